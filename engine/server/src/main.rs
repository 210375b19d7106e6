//! The genokura command.
fn main() {}
