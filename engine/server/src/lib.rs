//! The genokura command: PostgreSQL wire server, embedded SQL, ingest.

pub mod pg_catalog;
pub mod pg_types;
