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
    /// The same with semicolons, as programs write it where the comma is the decimal sign.
    Semicolons,
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

    /// The byte between two cells.
    pub(crate) fn delimiter(self) -> u8 {
        match self {
            Self::Tsv => b'\t',
            Self::Semicolons => b';',
            Self::Csv | Self::Json | Self::Parquet => b',',
        }
    }

    /// What the header is divided by, whatever the name of the file says: where it has not the sign of its format, or the
    /// line behind it only as many of another.
    pub(crate) fn divided(self, head: &[u8]) -> Self {
        if !matches!(self, Self::Csv | Self::Tsv) {
            return self;
        }
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        let lines = head.split(|&b| b == b'\n');
        let mut lines =
            lines.filter(|line| !line.trim_ascii().is_empty() && !line.starts_with(b"#"));
        let (Some(header), next) = (lines.next(), lines.next()) else {
            return self;
        };
        let count = |line: &[u8], format: Self| outside_quotes(line, format.delimiter());
        let fits = |format: Self| {
            let cells = count(header, format);
            cells > 0 && next.is_none_or(|next| count(next, format) == cells)
        };
        let own = count(header, self);
        let others = [Self::Csv, Self::Semicolons, Self::Tsv];
        let mut others = others.into_iter().filter(|other| *other != self);
        match own {
            0 => others
                .clone()
                .find(|other| fits(*other))
                .or_else(|| others.find(|other| self == Self::Csv && count(header, *other) > 0)),
            _ if next.is_some() && !fits(self) => others.find(|other| fits(*other)),
            _ => None,
        }
        .unwrap_or(self)
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

/// How often a byte stands in a line outside of quotes.
fn outside_quotes(line: &[u8], delimiter: u8) -> usize {
    let mut quoted = false;
    let mut count = 0;
    for &byte in line {
        quoted ^= byte == b'"';
        count += usize::from(byte == delimiter && !quoted);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::Format::{self, Csv, Semicolons, Tsv};

    #[test]
    fn the_header_tells_what_divides() {
        for (format, text, expected) in [
            (Csv, "id,v\n1,2\n", Csv),
            (Csv, "id;v\n1;2\n", Semicolons),
            (Csv, "id;v\n1,5;2\n", Semicolons),
            (Csv, "id;v", Semicolons),
            (Csv, "id\tv\n1\t2\n", Tsv),
            (Csv, "id;weight,kg\n1;2,5\n", Csv),
            (Csv, "id;weight,kg\n1;2\n", Semicolons),
            (Csv, "id,a;b\n1,x\n", Csv),
            (Csv, "\"a;b\"\nx\n", Csv),
            (Csv, "# x;y\nid;v\n1;2\n", Semicolons),
            (Csv, "id\n1\n", Csv),
            (Tsv, "id\tv\n1\t2\n", Tsv),
            (Tsv, "id,v\n1,2\n", Csv),
            (Tsv, "name, full\nAnn\n", Tsv),
            (Format::Json, "a;b", Format::Json),
        ] {
            assert_eq!(format.divided(text.as_bytes()), expected, "{text}");
        }
    }
}
