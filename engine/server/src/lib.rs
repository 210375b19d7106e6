//! The genokura command: PostgreSQL wire server, embedded SQL, ingest.

mod admin;
mod advisory;
mod allowed;
pub mod backend;
mod calendar;
pub mod catalog_context;
pub mod cli;
pub mod clock;
pub mod config;
mod evaluated;
pub mod limits;
mod made;
mod mathematics;
pub mod metrics;
mod patterns;
pub mod pg_catalog;
mod pg_input;
pub mod pg_types;
pub mod pgwire;
pub mod roles;
mod semantics;
pub mod session;
pub mod sqlstate;
pub mod zone;
