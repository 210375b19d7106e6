//! Ingest of VCF, BCF, tables and regions into a lake.
//!
//! Records are conserved: every record read is stored or quarantined under a named rule. A job
//! that fails or is cancelled leaves nothing visible, and a job that has landed is not done twice.

mod again;
mod assemble;
mod assembly;
pub mod bcf;
pub mod cbioportal;
mod encode;
pub mod error;
#[doc(hidden)]
pub mod fuzz;
pub mod header;
mod inflate;
pub mod job;
mod normalise;
pub mod omop;
pub mod ontology;
mod open;
mod pass;
pub mod pedigree;
pub mod phenopackets;
mod plan;
pub mod progress;
pub mod quarantine;
pub mod regions;
pub mod report;
pub mod sites;
mod sorter;
mod source;
pub mod table;
mod tally;
mod vcf;
mod write;

pub use cbioportal::CbioportalJob;
pub use error::{Error, Result};
pub use job::VcfJob;
pub use omop::OmopJob;
pub use ontology::OntologyJob;
pub use pedigree::PedigreeJob;
pub use phenopackets::PhenopacketsJob;
pub use progress::{CancelFlag, Progress, Silent};
pub use quarantine::Refusal;
pub use regions::RegionsJob;
pub use report::{IngestReport, InputReport};
pub use sites::SitesJob;
pub use table::TableJob;
