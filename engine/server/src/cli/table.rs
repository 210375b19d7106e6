//! Rows for people: psql's aligned form, streamed.
//!
//! Widths come from the first rows; a later, wider cell widens its own line only, so that a result
//! of any length is printed in bounded memory.

use std::io::{self, Write};

/// Rows looked at before the first line is written.
const SAMPLE_ROWS: usize = 1_000;

/// One column of the heading.
#[derive(Clone, Debug)]
pub(super) struct Heading {
    /// Name as selected.
    pub name: String,
    /// Numbers stand right, everything else left.
    pub numeric: bool,
}

/// Prints rows as psql does: heading, rule, rows, count.
pub(super) struct TablePrinter<W: Write> {
    out: W,
    headings: Vec<Heading>,
    waiting: Vec<Vec<String>>,
    widths: Vec<usize>,
    started: bool,
    rows: u64,
}

impl<W: Write> TablePrinter<W> {
    /// A printer for one result.
    pub(super) fn new(out: W, headings: Vec<Heading>) -> Self {
        let widths = headings.iter().map(|h| h.name.chars().count()).collect();
        Self {
            out,
            headings,
            waiting: Vec::new(),
            widths,
            started: false,
            rows: 0,
        }
    }

    /// Takes one row; NULL is the empty string.
    pub(super) fn row(&mut self, cells: Vec<String>) -> io::Result<()> {
        self.rows += 1;
        if self.started {
            return self.line(&cells);
        }
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.chars().count());
        }
        self.waiting.push(cells);
        if self.waiting.len() >= SAMPLE_ROWS {
            self.start()
        } else {
            Ok(())
        }
    }

    /// Writes what is left and the row count.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if !self.started {
            self.start()?;
        }
        let noun = if self.rows == 1 { "row" } else { "rows" };
        writeln!(self.out, "({} {noun})\n", self.rows)?;
        self.out.flush()
    }

    fn start(&mut self) -> io::Result<()> {
        self.started = true;
        let names: Vec<String> = self
            .headings
            .iter()
            .zip(&self.widths)
            .map(|(heading, width)| format!(" {:^width$} ", heading.name))
            .collect();
        writeln!(self.out, "{}", names.join("|").trim_end())?;
        let rules: Vec<String> = self
            .widths
            .iter()
            .map(|width| "-".repeat(width + 2))
            .collect();
        writeln!(self.out, "{}", rules.join("+"))?;
        for cells in std::mem::take(&mut self.waiting) {
            self.line(&cells)?;
        }
        Ok(())
    }

    fn line(&mut self, cells: &[String]) -> io::Result<()> {
        let cells: Vec<String> = cells
            .iter()
            .zip(&self.headings)
            .zip(&self.widths)
            .map(|((cell, heading), width)| {
                if heading.numeric {
                    format!(" {cell:>width$} ")
                } else {
                    format!(" {cell:<width$} ")
                }
            })
            .collect();
        writeln!(self.out, "{}", cells.join("|").trim_end())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rows_are_aligned_as_psql_aligns_them() {
        let headings = vec![
            Heading {
                name: "gene".to_owned(),
                numeric: false,
            },
            Heading {
                name: "n".to_owned(),
                numeric: true,
            },
        ];
        let mut out = Vec::new();
        let mut printer = TablePrinter::new(&mut out, headings);
        printer
            .row(vec!["BRCA2".to_owned(), "7".to_owned()])
            .unwrap();
        printer.row(vec![String::new(), "120".to_owned()]).unwrap();
        printer.finish().unwrap();
        let expected = " gene  |  n\n-------+-----\n BRCA2 |   7\n       | 120\n(2 rows)\n\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
