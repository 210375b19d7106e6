//! Domain types of genokura: positions, alleles, genotypes, the genotype codec, schemas.
//!
//! This crate is the root of every other: it knows neither DataFusion nor tokio nor arrow arrays,
//! so that its tests and fuzzers build in seconds.

pub mod allele;
pub mod annotation;
pub mod codec;
pub mod consequence;
pub mod contig;
pub mod error;
pub mod genotype;
pub mod inheritance;
pub mod interval;
pub mod ontology;
pub mod position;
pub mod region;
pub mod schema;
pub mod sex;
pub mod variant;

pub use error::{Error, Located, Result};
