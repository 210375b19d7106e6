//! Data dictionaries: a csv, tsv or json file that gives columns their types and comments.
//!
//! One row a column: `column` (or `name`, `variable`, `field`): its name, as in the input or in SQL;
//! optional `type`; optional `comment` (or `description`, `label`); optional `source`: its name in the input
//! when `column` is the name to give it in SQL. An empty type leaves the type to be found.

use std::collections::HashMap;

use super::delimited::Delimited;
use super::json::JsonRows;
use super::names::sql_name;
use super::reader::{Format, Rows};
use super::types::{Cell, ColumnType};
use crate::error::{Error, Result};

/// What a dictionary says about one column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Name to give the column.
    pub(crate) name: String,
    /// Type, if it says one.
    pub(crate) ty: Option<ColumnType>,
    /// Comment, may be empty.
    pub(crate) comment: String,
}

/// A dictionary by name in the input, in SQL form.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    entries: HashMap<String, Entry>,
}

impl Dictionary {
    /// Reads a dictionary.
    ///
    /// # Errors
    /// [`Error::Request`] naming the line of the dictionary and what is wrong.
    pub(crate) fn read(name: &str, bytes: &[u8]) -> Result<Self> {
        let in_dictionary = |e: Error| Error::Request(format!("data dictionary: {e}"));
        let mut rows: Box<dyn Rows + '_> = match Format::detect(name, bytes).divided(bytes) {
            Format::Json => Box::new(JsonRows::new(bytes)),
            Format::Parquet => {
                return Err(Error::Request(
                    "a data dictionary is csv, tsv or json".to_owned(),
                ));
            }
            format => Box::new(Delimited::new(bytes, format).map_err(in_dictionary)?),
        };
        let mut dictionary = Self::default();
        while let Some(line) = rows.next_row().map_err(in_dictionary)? {
            dictionary.row(rows.as_ref(), line)?;
        }
        Ok(dictionary)
    }

    fn row(&mut self, rows: &dyn Rows, line: u64) -> Result<()> {
        let refuse = |what: String| Error::Request(format!("data dictionary, line {line}: {what}"));
        let text = |names: &[&str]| field(rows, names);
        let Some(column) = text(&["column", "name", "variable", "field"]) else {
            return Err(refuse(
                "no column name; the dictionary needs a column \"column\"".to_owned(),
            ));
        };
        let ty = match text(&["type", "data_type", "datatype"]) {
            None => None,
            Some(word) => Some(ColumnType::parse(&word).ok_or_else(|| {
                refuse(format!(
                    "type {word:?} of column {column:?} is unknown; use bool, int4, int8, float8, date, timestamp, timestamptz or text"
                ))
            })?),
        };
        let source = text(&["source", "source_column"]).unwrap_or_else(|| column.clone());
        let comment = text(&["comment", "description", "label"]).unwrap_or_default();
        let entry = Entry {
            name: sql_name(&column, 0),
            ty,
            comment,
        };
        if self.entries.insert(sql_name(&source, 0), entry).is_some() {
            return Err(refuse(format!("column {column:?} is described twice")));
        }
        Ok(())
    }

    /// What the dictionary says about a column of the input.
    pub(crate) fn get(&self, source: &str) -> Option<&Entry> {
        self.entries.get(&sql_name(source, 0))
    }

    /// How many of its columns are not among those of the input.
    pub(crate) fn absent(&self, sources: &[String]) -> u64 {
        let have: Vec<String> = sources.iter().map(|s| sql_name(s, 0)).collect();
        self.entries
            .keys()
            .filter(|name| !have.contains(name))
            .count() as u64
    }
}

/// The first non-empty value among columns of these names.
fn field(rows: &dyn Rows, names: &[&str]) -> Option<String> {
    let headers = rows.headers();
    for name in names {
        let Some(i) = headers
            .iter()
            .position(|h| sql_name(h, 0).trim_end_matches('_') == *name)
        else {
            continue;
        };
        if let Cell::Bare(text) | Cell::Quoted(text) = rows.cell(i) {
            return Some(text.trim().to_owned()).filter(|t| !t.is_empty());
        }
    }
    None
}
