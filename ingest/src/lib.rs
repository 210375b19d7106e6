//! Ingest of VCF, BCF, tables and regions into a lake.
