//! Rows of a text table, whatever its format.

use super::types::Cell;
use crate::error::Result;

/// Rows read one after the other.
pub(crate) trait Rows {
    /// Goes on to the next row; gives its line (1-based), or `None` at the end.
    ///
    /// # Errors
    /// What the format finds wrong, with the line.
    fn next_row(&mut self) -> Result<Option<u64>>;

    /// Column names seen so far, as the input has them. JSON may add some with every row.
    fn headers(&self) -> &[String];

    /// Value of a column in the row at hand. `Null` for a column this row does not have.
    fn cell(&self, column: usize) -> Cell<'_>;
}

/// Formats of plain tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated with quotes, RFC 4180.
    Csv,
    /// Tab-separated; a cell never holds a line break.
    Tsv,
    /// An array of objects, or one object per line.
    Json,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The format by file name, else by the first bytes of the (decompressed) text.
    pub(crate) fn detect(name: &str, head: &[u8]) -> Self {
        if head.starts_with(b"PAR1") {
            return Self::Parquet;
        }
        let name = name.to_ascii_lowercase();
        let stem = name
            .strip_suffix(".gz")
            .or(name.strip_suffix(".bgz"))
            .unwrap_or(&name);
        match stem.rsplit('.').next() {
            Some("csv") => Self::Csv,
            Some("tsv" | "tab") => Self::Tsv,
            Some("json" | "jsonl" | "ndjson") => Self::Json,
            Some("parquet") => Self::Parquet,
            _ => Self::sniff(head),
        }
    }

    fn sniff(head: &[u8]) -> Self {
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        if head
            .trim_ascii_start()
            .first()
            .is_some_and(|&b| b == b'{' || b == b'[')
        {
            return Self::Json;
        }
        let first = head
            .split(|&b| b == b'\n')
            .find(|line| !line.starts_with(b"#"));
        if first.is_some_and(|line| line.contains(&b'\t')) {
            Self::Tsv
        } else {
            Self::Csv
        }
    }
}
