//! The lake: Parquet files, Delta tables and lake commits on object storage.
