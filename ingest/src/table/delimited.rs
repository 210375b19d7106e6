//! csv and tsv.
//!
//! - Lines before the header that begin with `#` are comments; the last with as many cells as the line after it is the
//!   header itself (`#FID<tab>IID`), unless a comment before it has as many.
//! - NULL: an empty cell, `NA`, `N/A`, `NULL`, `null`, `\N`; quoted or not. White space around a
//!   csv cell is kept, around a NULL word or a number it is not.
//! - csv, with commas or semicolons: quotes as in RFC 4180. tsv: a cell within quotes loses them, doubled quotes become one;
//!   a quote elsewhere is a character like any other.
//! - UTF-8 only; a byte order mark is ignored.
//! - A quote that is never closed is an error with the line where it opens: the cell would hold the rest of the file.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read};

use super::reader::{Format, Rows};
use super::types::Cell;
use crate::error::{Error, NOT_UTF8, Result};

/// Longest header or row, in bytes.
const ROW_BYTES_MAX: usize = 64 << 20;

/// A csv or tsv input.
pub(crate) struct Delimited<R> {
    reader: csv::Reader<Quotes<BufReader<R>>>,
    headers: Vec<String>,
    record: csv::StringRecord,
    bytes: csv::ByteRecord,
    unquoted: Vec<Option<String>>,
    lines_before: u64,
    delimiter: u8,
    is_tsv: bool,
    pending: bool,
}

impl<R: Read> Delimited<R> {
    /// Reads comments and header.
    ///
    /// # Errors
    /// [`Error::Line`] for an input without header or with bytes that are not UTF-8.
    pub(crate) fn new(input: R, format: Format) -> Result<Self> {
        let is_tsv = format == Format::Tsv;
        let mut input = BufReader::with_capacity(1 << 18, input);
        let delimiter = format.delimiter();
        let (header, lines_before) = comments(&mut input, delimiter)?;
        let mut table = Self {
            reader: builder(delimiter).from_reader(Quotes::new(input, delimiter)),
            headers: Vec::new(),
            record: csv::StringRecord::new(),
            bytes: csv::ByteRecord::new(),
            unquoted: Vec::new(),
            lines_before,
            delimiter,
            is_tsv,
            pending: false,
        };
        table.read_header(header)?;
        Ok(table)
    }

    fn read_header(&mut self, header: Vec<u8>) -> Result<()> {
        // A header that was taken as a line may hold the start of a quoted cell with a line break.
        let mut text = header;
        let begins = self.lines_before;
        while !self.is_tsv && text.iter().filter(|&&b| b == b'"').count() % 2 == 1 {
            let n = self
                .reader
                .get_mut()
                .input
                .read_until(b'\n', &mut text)
                .map_err(failed)?;
            self.lines_before += 1;
            if n == 0 || text.len() > ROW_BYTES_MAX {
                return Err(not_closed(begins));
            }
        }
        let mut one = builder(self.delimiter).from_reader(text.as_slice());
        if !one
            .read_byte_record(&mut self.bytes)
            .map_err(|e| self.csv_error(&e))?
        {
            return Err(line_error(
                1,
                "no-header",
                "the input has no header line with column names",
            ));
        }
        self.take_record(self.lines_before)?;
        self.headers = (0..self.record.len())
            .map(|i| self.text(i).trim().to_owned())
            .collect();
        Ok(())
    }

    fn take_record(&mut self, line: u64) -> Result<()> {
        self.record = csv::StringRecord::from_byte_record(std::mem::take(&mut self.bytes))
            .map_err(|e| {
                let column = e.utf8_error().field();
                let name = self.headers.get(column).map_or("", String::as_str);
                Error::Cell {
                    input: 1,
                    line,
                    column: name.to_owned(),
                    message: format!("{NOT_UTF8} (rule utf8)"),
                }
            })?;
        if self.is_tsv {
            self.unquoted.clear();
            self.unquoted.extend(self.record.iter().map(unquote));
        }
        Ok(())
    }

    fn text(&self, column: usize) -> &str {
        match self.unquoted.get(column) {
            Some(Some(text)) => text,
            _ => self.record.get(column).unwrap_or(""),
        }
    }

    fn csv_error(&self, error: &csv::Error) -> Error {
        if let Some(line) = self.unclosed() {
            return not_closed(line);
        }
        let line = error.position().map_or(0, csv::Position::line) + self.lines_before;
        line_error(line, "read", &error.to_string())
    }

    /// The line of a quote that the end of the input, or of what a cell may hold, has not closed.
    fn unclosed(&self) -> Option<u64> {
        let opened = self.reader.get_ref().unclosed()?;
        Some(opened + self.lines_before)
    }
}

/// Passes bytes to the csv reader and knows whether they are within quotes, which that reader does not tell at the end.
struct Quotes<R> {
    input: R,
    delimiter: u8,
    state: Quoting,
    /// Line breaks so far.
    breaks: u64,
    /// Where the last quote was opened: line from 0, and bytes since then.
    opened: u64,
    within: usize,
    ended: bool,
}

/// Where the next byte stands, as RFC 4180 has it and the csv reader reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quoting {
    /// There are no quotes in this format.
    Off,
    /// At the first byte of a cell, where a quote opens.
    Start,
    /// In a cell without quotes, where a quote is a character.
    Bare,
    Quoted,
    /// Behind a quote within quotes: another one is a character, anything else stands outside.
    Closing,
}

impl<R> Quotes<R> {
    fn new(input: R, delimiter: u8) -> Self {
        Self {
            input,
            delimiter,
            state: if delimiter == b'\t' {
                Quoting::Off
            } else {
                Quoting::Start
            },
            breaks: 0,
            opened: 0,
            within: 0,
            ended: false,
        }
    }

    /// The line from 1 of a quote that is open where nothing more is read.
    fn unclosed(&self) -> Option<u64> {
        (self.ended && self.state == Quoting::Quoted).then_some(self.opened + 1)
    }

    fn see(&mut self, bytes: &[u8]) {
        if self.state == Quoting::Off {
            return;
        }
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (Quoting::Start, b'"') => {
                    (self.opened, self.within) = (self.breaks, 0);
                    Quoting::Quoted
                }
                (Quoting::Quoted, b'"') => Quoting::Closing,
                (Quoting::Closing, b'"') | (Quoting::Quoted, _) => Quoting::Quoted,
                (_, b'\n' | b'\r') => Quoting::Start,
                (_, byte) if byte == self.delimiter => Quoting::Start,
                _ => Quoting::Bare,
            };
            self.within += 1;
            self.breaks += u64::from(byte == b'\n');
        }
    }
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(out)?;
        self.see(&out[..n]);
        self.ended = n == 0 && !out.is_empty();
        if self.state == Quoting::Quoted && self.within > ROW_BYTES_MAX {
            self.ended = true;
            return Err(io::Error::other("a cell is longer than 64 MiB"));
        }
        Ok(n)
    }
}

fn not_closed(line: u64) -> Error {
    let message = "a quote that opens here is never closed, so that the cell would hold the rest of the file; close it, or \
                   double a quote that is a character";
    line_error(line, "quote-not-closed", message)
}

fn builder(delimiter: u8) -> csv::ReaderBuilder {
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true);
    builder.quoting(delimiter != b'\t').delimiter(delimiter);
    builder
}

/// Passes comments; gives the header line and how many lines were read, it included.
fn comments(input: &mut impl BufRead, delimiter: u8) -> Result<(Vec<u8>, u64)> {
    let mut lines = 0;
    // Cells of the comments so far: one more of as many is no header but tells of the columns (cBioPortal).
    let mut widths = BTreeSet::new();
    loop {
        let mut line = Vec::new();
        let n = input
            .by_ref()
            .take(ROW_BYTES_MAX as u64)
            .read_until(b'\n', &mut line)
            .map_err(failed)?;
        if lines == 0 && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        lines += 1;
        if n > 0 && line.trim_ascii().is_empty() {
            continue;
        }
        // A comment may be the header (`#CHROM`): look at what follows. Behind others, only a name right at the sign is.
        let width = line.iter().filter(|&&byte| byte == delimiter).count();
        let is_name = line.get(1).is_some_and(u8::is_ascii_alphabetic);
        let named = is_name && (width == 0 || !widths.contains(&width));
        if line.starts_with(b"#")
            && (lines == 1 || named)
            && is_header(input, &line, delimiter, named)?
        {
            return Ok((line.split_off(1), lines));
        }
        if line.starts_with(b"#") {
            widths.insert(width);
            continue;
        }
        return Ok((line, lines));
    }
}

/// Whether the line behind a `#` line is no comment and has as many cells; one cell is a header when it is a name.
fn is_header(input: &mut impl BufRead, comment: &[u8], delimiter: u8, named: bool) -> Result<bool> {
    let next = input.fill_buf().map_err(failed)?;
    let next = next.split(|&b| b == b'\n').next().unwrap_or_default();
    let cells = |line: &[u8]| line.iter().filter(|&&b| b == delimiter).count();
    let word = || named && !comment.trim_ascii().iter().any(u8::is_ascii_whitespace);
    let same = cells(comment) == cells(next) && (cells(comment) > 0 || word());
    Ok(same && !next.starts_with(b"#") && !next.trim_ascii().is_empty())
}

/// The text within the quotes of a tsv cell; `None` when it has none.
fn unquote(cell: &str) -> Option<String> {
    let inner = cell.strip_prefix('"')?.strip_suffix('"')?;
    Some(inner.replace("\"\"", "\""))
}

/// Whether a cell says that there is no value.
pub(crate) fn is_null(text: &str) -> bool {
    matches!(text.trim(), "" | "NA" | "N/A" | "NULL" | "null" | "\\N")
}

impl<R: Read> Rows for Delimited<R> {
    fn next_row(&mut self) -> Result<Option<u64>> {
        if !self
            .reader
            .read_byte_record(&mut self.bytes)
            .map_err(|e| self.csv_error(&e))?
        {
            return Ok(None);
        }
        if let Some(line) = self.unclosed() {
            return Err(not_closed(line));
        }
        let line = self.bytes.position().map_or(0, csv::Position::line) + self.lines_before;
        self.take_record(line)?;
        self.pending = true;
        if self.record.len() != self.headers.len() {
            let message = format!(
                "the row has {} cells, the header {}; mend the row, or quote cells that hold the separator",
                self.record.len(),
                self.headers.len()
            );
            return Err(line_error(line, "cell-count", &message));
        }
        Ok(Some(line))
    }

    fn headers(&self) -> &[String] {
        &self.headers
    }

    fn cell(&self, column: usize) -> Cell<'_> {
        let text = self.text(column);
        let trimmed = text.trim();
        match text {
            _ if is_null(trimmed) => Cell::Null,
            _ if trimmed.len() != text.len() && looks_typed(trimmed) => Cell::Bare(trimmed),
            _ => Cell::Bare(text),
        }
    }
}

/// Whether white space around the text means nothing: numbers and dates.
fn looks_typed(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|b| b.is_ascii_digit() || b == b'-' || b == b'.')
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"+-.:eETZ ".contains(&b))
}

pub(crate) fn line_error(line: u64, rule: &'static str, message: &str) -> Error {
    Error::Line {
        input: 1,
        line,
        rule,
        message: message.to_owned(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "shape of map_err")]
pub(crate) fn failed(error: io::Error) -> Error {
    Error::Read {
        input: 1,
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Reads all rows; the error if there is one.
    fn read(text: &str) -> Result<u64> {
        let mut rows = Delimited::new(text.as_bytes(), Format::Csv)?;
        let mut n = 0;
        while rows.next_row()?.is_some() {
            n += 1;
        }
        Ok(n)
    }

    #[test]
    fn a_quote_that_is_never_closed_is_told_with_its_line() {
        for (text, line) in [
            ("p,n\n1,ok\n2,\"x\n3,y\n", 3),
            ("# c\np,n\n1,\"a\nb\"\n2,\"x", 5),
            ("p,n\n1,\"x\"\"\n", 2),
            ("p,n\n1,\"", 2),
            ("p,\"n\n1,2\n", 1),
            ("p,n\r\n\"1,2\r\n", 2),
        ] {
            match read(text).unwrap_err() {
                Error::Line { line: at, rule, .. } => {
                    assert_eq!((at, rule), (line, "quote-not-closed"), "{text}");
                }
                other => unreachable!("{text}: {other}"),
            }
        }
        for (text, rows) in [
            ("p,n\n1,\"x\"", 1),
            ("p,n\n1,\"x,\"\"\n\"\"\"\n2,\"\"\n", 2),
            ("p,n\n1,5\" \n2,a\"b\n", 2),
            ("p,n\n1,\"x\"y\"\n2,z\n", 2),
            ("p,n\n", 0),
        ] {
            assert_eq!(read(text).unwrap(), rows, "{text}");
        }
    }
}
