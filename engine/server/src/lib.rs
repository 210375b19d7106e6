//! The genokura command: PostgreSQL wire server, embedded SQL, ingest.
