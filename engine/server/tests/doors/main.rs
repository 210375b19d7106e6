//! The door is locked: each attack that `docs/security.md` names, tried against the running server.
//!
//! One file per theme. Each test says which defence it fails without.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    dead_code,
    unreachable_pub
)]

mod auth;
mod cohorts;
mod dotted_names;
mod explained;
mod files;
mod grants;
mod hidden_samples;
mod left;
mod limits;
mod made;
mod operations;
mod page;
mod people;
mod revokes;
mod roles;
mod sample_names;
mod setup;
mod temporary;
mod tls;
mod ways_out;
