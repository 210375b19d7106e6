//! Refused records: where they stood, by which rule, and their text.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use genokura_core::schema::quarantine_schema;

use crate::assemble::{Output, Table};
use crate::error::Result;

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

/// Gathers refusals into rows of the quarantine table; never holds more than a few MiB.
pub(crate) struct Quarantine {
    batch: i32,
    rows: Vec<(i32, Refusal)>,
    bytes: usize,
    counts: BTreeMap<String, u64>,
}

/// Rows and bytes of a batch of the quarantine table.
const BATCH_ROWS: usize = 1_024;
const BATCH_BYTES: usize = 4 << 20;

impl Quarantine {
    pub(crate) fn new(batch: u32) -> Self {
        let batch = i32::try_from(batch).unwrap_or(i32::MAX);
        Self {
            batch,
            rows: Vec::new(),
            bytes: 0,
            counts: BTreeMap::new(),
        }
    }

    pub(crate) fn push(
        &mut self,
        source: i32,
        refusal: Refusal,
        emit: &mut dyn FnMut(Output) -> Result<()>,
    ) -> Result<()> {
        *self.counts.entry(refusal.rule.to_owned()).or_default() += 1;
        self.bytes += refusal.text.len();
        self.rows.push((source, refusal));
        if self.rows.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            self.flush(emit)
        } else {
            Ok(())
        }
    }

    /// Writes what is left; refusals by rule.
    pub(crate) fn finish(
        mut self,
        emit: &mut dyn FnMut(Output) -> Result<()>,
    ) -> Result<BTreeMap<String, u64>> {
        self.flush(emit)?;
        Ok(self.counts)
    }

    fn flush(&mut self, emit: &mut dyn FnMut(Output) -> Result<()>) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        if rows.is_empty() {
            return Ok(());
        }
        let texts = |f: fn(&Refusal) -> Option<&str>| {
            Arc::new(StringArray::from_iter(rows.iter().map(|r| f(&r.1)))) as ArrayRef
        };
        let line = |r: &(i32, Refusal)| i64::try_from(r.1.line).unwrap_or(i64::MAX);
        let columns = vec![
            Arc::new(Int32Array::from(vec![self.batch; rows.len()])) as ArrayRef,
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|r| r.0))),
            Arc::new(Int64Array::from_iter_values(rows.iter().map(line))),
            texts(|r| r.contig.as_deref()),
            texts(|r| r.pos.as_deref()),
            texts(|r| Some(r.rule)),
            texts(|r| Some(&r.message)),
            texts(|r| Some(&r.text)),
        ];
        let rows = RecordBatch::try_new(quarantine_schema(), columns)?;
        emit(Output {
            table: Table::Quarantine,
            pos_bin: None,
            rows,
            ends_row_group: false,
        })
    }
}
