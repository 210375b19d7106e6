//! A file of a study, and its rows as cBioPortal writes them.

use std::borrow::Cow;

use genokura_core::contig::{Assembly, ContigNames};

use crate::error::{Error, Result};
use crate::progress::CancelFlag;
use crate::table::{Cell, Column, Delimited, Format, Input, Rows};

use super::meta::Kind;

/// Words for no value in clinical files.
const NO_VALUE: [&str; 8] = [
    "[Not Available]",
    "[Not Applicable]",
    "[Not Evaluated]",
    "[Pending]",
    "[Discrepancy]",
    "[Unknown]",
    "[Completed]",
    "[null]",
];

/// A file and what becomes of its columns.
pub(super) struct File {
    pub(super) kind: Kind,
    pub(super) profile: String,
    pub(super) input: Input,
    pub(super) name: String,
    /// The assembly that a meta file names, and what it says.
    pub(super) assembly: Option<(Assembly, String)>,
    /// Columns of the table.
    pub(super) columns: Vec<Column>,
    /// What stands in each column of the file.
    pub(super) parts: Vec<Part>,
}

/// What a column of a file is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    /// The column of the table at this place.
    Column(usize),
    /// The symbol of the gene, or what else names the row.
    Gene,
    Entrez,
    /// Values of a sample.
    Sample(String),
    /// Nothing that is kept.
    Passed,
}

impl File {
    pub(super) fn rows(&self) -> Result<FileRows<'_>> {
        let rows = Delimited::new(self.input.read()?, Format::Tsv);
        let rows = rows.map_err(|error| error.in_file(&self.name))?;
        Ok(FileRows {
            rows,
            name: &self.name,
            is_matrix: matches!(self.kind, Kind::Matrix(_)),
        })
    }

    pub(super) fn look(&mut self, cancel: &CancelFlag) -> Result<()> {
        match self.kind {
            Kind::Matrix(_) => self.look_at_matrix(),
            Kind::Table(table) => self.look_at_table(table, cancel),
        }
    }

    pub(super) fn refuse(&self, message: &str) -> Error {
        let reason = format!("{}: {message}", self.name);
        Error::Format { input: 1, reason }
    }
}

/// Rows of a file, whose name stands in every error.
pub(super) struct FileRows<'a> {
    rows: Delimited<Box<dyn std::io::Read + Send>>,
    name: &'a str,
    /// Names of columns are samples, so that their numbers are told.
    is_matrix: bool,
}

impl Rows for FileRows<'_> {
    fn next_row(&mut self) -> Result<Option<u64>> {
        let row = self.rows.next_row();
        row.map_err(|mut error| {
            if let (true, Error::Cell { column, .. }) = (self.is_matrix, &mut error) {
                let place = self
                    .rows
                    .headers()
                    .iter()
                    .position(|header| header == column);
                *column = place.map_or_else(String::new, |place| format!("column {}", place + 1));
            }
            error.in_file(self.name)
        })
    }

    fn headers(&self) -> &[String] {
        self.rows.headers()
    }

    fn cell(&self, column: usize) -> Cell<'_> {
        self.rows.cell(column)
    }
}

/// The name of a contig: 23 and 24 are X and Y in the files of cBioPortal, and a primary is named as asked for.
pub(crate) fn contig(text: &str, names: Option<ContigNames>) -> Cow<'_, str> {
    let (prefix, plain) = match text.get(..3) {
        Some(prefix) if prefix.eq_ignore_ascii_case("chr") => text.split_at(3),
        _ => ("", text),
    };
    let text = match plain {
        "23" => Cow::Owned(format!("{prefix}X")),
        "24" => Cow::Owned(format!("{prefix}Y")),
        _ => Cow::Borrowed(text),
    };
    match names {
        Some(names) => Cow::Owned(names.of(&text).into_owned()),
        None => text,
    }
}

/// A cell as cBioPortal reads it.
pub(super) fn cell(cell: Cell<'_>) -> Cell<'_> {
    match cell {
        Cell::Bare(text) | Cell::Quoted(text) if NO_VALUE.contains(&text) => Cell::Null,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chromosomes_are_numbered_as_cbioportal_does() {
        for (text, names, expected) in [
            ("23", None, "X"),
            ("24", None, "Y"),
            ("25", None, "25"),
            ("chr23", None, "chrX"),
            ("23", Some(ContigNames::Chr), "chrX"),
            ("24", Some(ContigNames::Plain), "Y"),
            ("22", Some(ContigNames::Chr), "chr22"),
            ("X", None, "X"),
            ("GL000191.1", Some(ContigNames::Chr), "GL000191.1"),
        ] {
            assert_eq!(contig(text, names), expected, "{text}");
        }
    }
}
