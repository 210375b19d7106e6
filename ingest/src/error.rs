//! What can go wrong in an ingest, named by cause.
//!
//! Messages name an input by its number in the job (1-based), never by its file name, and never
//! show more of the data than the offending field.

use crate::quarantine::Refusal;

/// What is said of text that is not UTF-8.
pub(crate) const NOT_UTF8: &str = "not UTF-8; convert the file, e.g. iconv -f latin1 -t utf8";

/// Result of an ingest step.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of this crate. A refused record is an error only under `--strict`; the default keeps it
/// in the quarantine table and goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input cannot be opened or read.
    #[error("input {input}: {reason}")]
    Read {
        /// Number of the input in the job, 1-based.
        input: u32,
        /// What the system said.
        reason: String,
    },
    /// The compressed bytes are damaged or cut short.
    #[error("input {input}: {reason} at byte {offset}; fetch the file again or check the copy")]
    Corrupt {
        /// Number of the input in the job, 1-based.
        input: u32,
        /// Offset in the compressed input where the damage was seen, 0-based.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The input is not of a kind this job reads.
    #[error("input {input}: {reason}")]
    Format {
        /// Number of the input in the job, 1-based.
        input: u32,
        /// What was found instead, and what to do.
        reason: String,
    },
    /// The header cannot be read, or `--strict` refuses it.
    #[error("input {input}, line {line}: {message} (rule {rule})")]
    Header {
        /// Number of the input in the job, 1-based; 0 until the job has filled it in.
        input: u32,
        /// Line in the input, 1-based.
        line: u64,
        /// Stable name of the rule.
        rule: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
    /// `--strict` met a record it refuses.
    #[error("{0}; mend the record, or run without --strict to quarantine it")]
    Refused(Box<Refusal>),
    /// The request itself is wrong (no input, an unknown assembly, …).
    #[error("{0}")]
    Request(String),
    /// The job was cancelled; nothing became visible.
    #[error("ingest cancelled; the lake is unchanged")]
    Cancelled,
    /// Another writer changed the dataset in a way that cannot be joined with this job.
    #[error("lake version {version} collides with this ingest: {reason}; run the ingest again")]
    Conflict {
        /// The lake version that landed first.
        version: u64,
        /// Why both cannot stand.
        reason: String,
    },
    /// A sample is called at a variant at which it is called already.
    #[error(
        "input {input}, {contig}:{pos}: a sample of the input is called at this variant in {before} already (rule \
         sample-called-again); dataset {dataset:?} would count it twice. Leave the file or the sample out, load it into \
         another dataset, or keep both calls beside each other with --repeated-samples"
    )]
    Again {
        /// Number of the input in the job, 1-based.
        input: u32,
        /// Contig of the variant.
        contig: String,
        /// Position of its trimmed alleles, 1-based.
        pos: i32,
        /// Where it is called already: a batch of the dataset, or an input of the job.
        before: String,
        /// The dataset.
        dataset: String,
    },
    /// A cell of a plain table does not fit its column.
    #[error("input {input}, line {line}, column {column:?}: {message}")]
    Cell {
        /// Number of the input in the job, 1-based.
        input: u32,
        /// Line in the input, 1-based.
        line: u64,
        /// Name of the column.
        column: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// A shared type refused a value.
    #[error(transparent)]
    Core(#[from] genokura_core::Error),
    /// The lake refused.
    #[error(transparent)]
    Storage(#[from] genokura_storage::Error),
    /// A line of a plain table or of a regions file cannot be read.
    #[error("input {input}, line {line}: {message} (rule {rule})")]
    Line {
        /// Number of the input in the job, 1-based.
        input: u32,
        /// Line in the input, 1-based.
        line: u64,
        /// Stable name of the rule.
        rule: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
    /// Building an Arrow column failed.
    #[error(transparent)]
    Arrow(#[from] arrow::error::ArrowError),
    /// A temporary file could not be used.
    #[error("temporary file: {0}")]
    Spill(#[source] std::io::Error),
    /// Our bug; nothing was committed.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

impl Error {
    /// The same error of a line or cell, with the name that its kind of input gives the file. For files whose names are
    /// prescribed, which tell of no sample.
    #[must_use]
    pub(crate) fn in_file(mut self, name: &str) -> Self {
        let told = match &mut self {
            Self::Cell { column, .. } => Some(column),
            Self::Line { message, .. } => Some(message),
            _ => None,
        };
        if let Some(told) = told {
            *told = format!("{name}: {told}");
        }
        self
    }

    /// The same error, with the number of the input filled in (1-based).
    #[must_use]
    pub fn in_input(mut self, number: u32) -> Self {
        match &mut self {
            Self::Read { input, .. }
            | Self::Corrupt { input, .. }
            | Self::Format { input, .. }
            | Self::Header { input, .. }
            | Self::Cell { input, .. }
            | Self::Line { input, .. } => *input = number,
            Self::Refused(refusal) => refusal.input = number,
            _ => {}
        }
        self
    }
}
