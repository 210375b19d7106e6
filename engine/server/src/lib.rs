//! The genokura command: PostgreSQL wire server, embedded SQL, ingest.

pub mod backend;
pub mod catalog_context;
pub mod cli;
pub mod config;
pub mod limits;
pub mod pg_catalog;
pub mod pg_types;
pub mod pgwire;
pub mod session;
pub mod sqlstate;
