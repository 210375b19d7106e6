//! Whoever answers: one file each, with the commands that peer is asked by and how its answers read.

pub(crate) mod bcftools;
pub(crate) mod datafusion;
pub(crate) mod duckdb;
pub(crate) mod genokura;
pub(crate) mod long_table;
pub(crate) mod plink2;
pub(crate) mod postgres;
pub(crate) mod vcf_zarr;
