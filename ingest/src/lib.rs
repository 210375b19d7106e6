//! Ingest of VCF, BCF, tables and regions into a lake.
//!
//! Records are conserved: every record read is stored or quarantined under a named rule. A job
//! that fails or is cancelled leaves nothing visible, and a job that has landed is not done twice.

pub mod bcf;
pub mod error;
pub mod header;
pub mod progress;
pub mod quarantine;
pub mod report;

pub use error::{Error, Result};
pub use progress::{CancelFlag, Progress, Silent};
pub use quarantine::Refusal;
pub use report::{IngestReport, InputReport};
