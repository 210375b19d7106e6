//! Genomic SQL functions.
