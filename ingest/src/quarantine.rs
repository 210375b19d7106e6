//! Refused records: where they stood, by which rule, and their text.

use std::fmt;

/// Longest text of a refused line that is kept, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// One refused record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Number of the input in the job, 1-based.
    pub input: u32,
    /// Line in the input, 1-based; for BCF the ordinal of the record, 1-based.
    pub line: u64,
    /// Contig as the record names it, if it could be read.
    pub contig: Option<String>,
    /// Position as the record has it, if it could be read.
    pub pos: Option<String>,
    /// Stable name of the rule.
    pub rule: &'static str,
    /// What is wrong, with the offending field.
    pub message: String,
    /// The line, at most [`TEXT_BYTES_MAX`] bytes; bytes that are not UTF-8 are replaced.
    pub text: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "input {}, line {}", self.input, self.line)?;
        if let (Some(contig), Some(pos)) = (&self.contig, &self.pos) {
            write!(f, ", {contig}:{pos}")?;
        }
        write!(f, ": {} (rule {})", self.message, self.rule)
    }
}
