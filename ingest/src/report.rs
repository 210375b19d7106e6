//! What an ingest did: counts in = counts stored + counts refused.

use serde::{Deserialize, Serialize};

/// The account of one ingest job, printed to the user and kept in the lake commit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct IngestReport {
    /// Batch number of the dataset; `None` when the job was already done or wrote a plain table.
    pub batch: Option<u32>,
    /// One entry per input, in job order.
    pub inputs: Vec<InputReport>,
    /// Records found in all inputs.
    pub records_read: u64,
    /// Records now in the lake.
    pub records_stored: u64,
    /// Records refused and kept in the quarantine table.
    pub records_quarantined: u64,
    /// Rows stored: one per ALT allele for a call set, one per record for a plain table.
    pub rows: u64,
    /// Distinct samples of the job.
    pub samples: u64,
    /// Named repairs and how often each was needed, by rule name.
    pub repairs: Vec<(String, u64)>,
    /// What was kept and may not be what was meant, with its input and line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Values kept as text because they do not fit their declared type: (key, rule, count).
    pub typed_issues: Vec<(String, String, u64)>,
    /// Refused records by rule name.
    pub quarantined: Vec<(String, u64)>,
    /// The same inputs had landed before; nothing was written.
    pub already_done: bool,
    /// Lake version in which the result is visible.
    pub lake_version: Option<u64>,
    /// Wall time of the job in seconds.
    pub seconds: f64,
    /// Bytes of input read, as they lie in the store.
    pub bytes: u64,
}

/// The account of one input.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputReport {
    /// Number of the input in the job, 1-based.
    pub input: u32,
    /// Digest of the input's bytes with its scheme, e.g. `sha256:…`.
    pub digest: String,
    /// Size in bytes, as it lies in the store.
    pub size: u64,
    /// Records found.
    pub records: u64,
    /// Records refused.
    pub quarantined: u64,
    /// Samples in the header.
    pub samples: u64,
}

impl IngestReport {
    /// What is known before a job reads records: the digest and the size of each input, in job order.
    pub(crate) fn of_inputs<'a>(inputs: impl Iterator<Item = (&'a String, u64)>) -> Self {
        let input = |((digest, size), number): ((&String, u64), u32)| InputReport {
            input: number,
            digest: digest.clone(),
            size,
            ..InputReport::default()
        };
        let inputs: Vec<InputReport> = inputs.zip(1..).map(input).collect();
        Self {
            bytes: inputs.iter().map(|input| input.size).sum(),
            inputs,
            ..Self::default()
        }
    }

    /// Whether every record read is stored or quarantined.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        self.records_read == self.records_stored + self.records_quarantined
    }
}
