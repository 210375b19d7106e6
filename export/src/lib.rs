//! Exports: a dataset of a lake, or a part of it, as VCF, BCF or PLINK 1 files.
//!
//! [`ExportJob`] writes the records of a [`genokura_exec::records::Records`]. What was ingested
//! comes back: the header lines, and of every record each column as `bcftools view` shows it.

mod bcf;
mod bgzf;
mod calls;
mod dictionary;
pub mod error;
mod header;
mod index;
pub mod job;
mod long;
mod plink;
mod sink;
mod site;
mod typed;
mod vcf;

pub use error::{Error, Result};
pub use job::{ExportJob, ExportReport, Format, Progress, Silent};
pub use plink::FamilyMember;
