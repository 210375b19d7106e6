//! The genokura command: parses the command line, runs one subcommand, answers with its exit code.

use clap::Parser;
use genokura_server::cli::{self, Cli};

/// The allocator is chosen here, once: scans and encoders allocate per batch on many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run(Cli::parse())
}
