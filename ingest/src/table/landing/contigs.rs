//! What names of contigs rows may have that are written to a plain table, and what is kept of them.
//!
//! A column of contigs keeps the spelling that it has (`chr1` or `1`): rows with another are refused, since a table of
//! both is joined in part only, and comparisons with it could no longer be checked. The first rows of a table give it its
//! spelling. Names of human contigs that other tables do not use (`chr01`, `chrMT`) stay, since other species have such;
//! the metadata of the column names them ([`UNUSUAL_CONTIGS_KEY`]), so that joins can tell what they do not meet.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use genokura_core::contig::{ContigNames, is_contig_column, names_contigs, spelling, usual_name};
use genokura_core::schema::UNUSUAL_CONTIGS_KEY;
use genokura_storage::{TableId, TableSnapshot};

use crate::error::{Error, Result};

/// Unusual names that a column keeps; a table of people has fewer.
const UNUSUAL_MAX: usize = 100;
/// Different names that are remembered, so that a table in no order does not ask again of each row.
const SEEN_MAX: usize = 1_000;

/// A column of contigs of a table that is there, and how it spells the human primaries.
#[derive(Debug)]
pub(super) struct Spelled {
    column: String,
    spelling: String,
}

/// The columns of contigs of a table, as far as they tell how they spell.
pub(super) fn spelled(table: &TableSnapshot) -> Vec<Spelled> {
    let fields = table.schema.fields().iter();
    let texts = fields.filter(|field| field.data_type() == &DataType::Utf8);
    let spelled = texts.filter_map(|field| {
        Some(Spelled {
            column: field.name().clone(),
            spelling: table.contig_spelling(field.name())?.to_owned(),
        })
    });
    spelled.collect()
}

impl Spelled {
    /// Refuses rows that name a human primary another way than the table.
    pub(super) fn check(&self, id: &TableId, rows: &RecordBatch, operation: &str) -> Result<()> {
        let names = rows.column_by_name(&self.column);
        let Some(names) = names.and_then(|names| names.as_string_opt::<i32>()) else {
            return Ok(());
        };
        let mut last = "";
        for name in names.iter().flatten() {
            if name == last {
                continue;
            }
            last = name;
            if spelling(name).is_some_and(|spelling| spelling != self.spelling) {
                return Err(self.refused(id, name, operation));
            }
        }
        Ok(())
    }

    fn refused(&self, id: &TableId, name: &str, operation: &str) -> Error {
        let names = match self.spelling.as_str() {
            "chr" => Some(ContigNames::Chr),
            "" => Some(ContigNames::Plain),
            _ => None,
        };
        let like = names.map_or_else(
            || format!("{}…", self.spelling),
            |n| n.of(name).into_owned(),
        );
        let how = match names {
            Some(names) if operation != "ingest table" => {
                format!("give --contigs {}", names.as_str())
            }
            _ => "name them as the table does".to_owned(),
        };
        Error::Request(format!(
            "column \"{}\" of {}.{} names contigs like \"{like}\" and this input \"{name}\": joins would find half of such a \
             table; {how}, or use --replace",
            self.column, id.schema, id.table
        ))
    }
}

/// A column of contigs of a table that is new: the first primary gives it its spelling.
#[derive(Debug)]
pub(super) struct Watched {
    column: String,
    /// The first primary.
    first: Option<String>,
    /// The first that is spelt another way, and its row from 1.
    other: Option<(u64, String)>,
    /// Only its name says that it holds contigs: it does when all its values are primaries.
    by_name: bool,
    /// It holds something else.
    is_other: bool,
}

impl Watched {
    /// The columns of a new table that are called as contigs are.
    pub(super) fn of(schema: &SchemaRef) -> Vec<Self> {
        let fields = schema.fields().iter();
        let texts = fields.filter(|field| field.data_type() == &DataType::Utf8);
        let named = texts.filter(|field| names_contigs(field.name()));
        let watched = named.map(|field| Self {
            column: field.name().clone(),
            first: None,
            other: None,
            by_name: !is_contig_column(field.name()),
            is_other: false,
        });
        watched.collect()
    }

    /// Looks at rows, of which the first comes behind `before` others.
    pub(super) fn see(&mut self, rows: &RecordBatch, before: u64) {
        let names = rows.column_by_name(&self.column);
        let Some(names) = names.and_then(|names| names.as_string_opt::<i32>()) else {
            return;
        };
        let mut last = None;
        for (row, name) in (before + 1..).zip(names.iter()) {
            if self.other.is_some() && !self.by_name {
                return;
            }
            let Some(name) = name.filter(|name| last != Some(*name)) else {
                continue;
            };
            last = Some(name);
            match (spelling(name), &self.first) {
                (None, _) => self.is_other = true,
                (Some(_), None) => self.first = Some(name.to_owned()),
                (Some(this), Some(first)) => {
                    if spelling(first) != Some(this) && self.other.is_none() {
                        self.other = Some((row, name.to_owned()));
                    }
                }
            }
        }
    }

    /// Refuses a column of two spellings.
    pub(super) fn check(&self, id: &TableId, operation: &str) -> Result<()> {
        let (Some(first), Some((row, other))) = (&self.first, &self.other) else {
            return Ok(());
        };
        if self.by_name && self.is_other {
            return Ok(());
        }
        let (place, how) = match operation {
            "ingest regions" | "ingest sites" => {
                (String::new(), "name them one way, or give --contigs")
            }
            _ => (format!(" in row {row}"), "name them one way"),
        };
        Err(Error::Request(format!(
            "column \"{}\" of {}.{} names contigs like \"{first}\" and{place} \"{other}\": joins would find half of such a \
             table; {how}",
            self.column, id.schema, id.table
        )))
    }
}

/// Names in a column of contigs that other tables do not use for a human contig: `chr01`, `chrMT`.
#[derive(Debug)]
pub(super) struct Unusual {
    column: String,
    /// The first, and what others call it.
    first: Option<(String, String)>,
    names: BTreeSet<String>,
    seen: HashSet<String>,
}

impl Unusual {
    /// Of the columns of contigs of a table.
    pub(super) fn of(schema: &SchemaRef) -> Vec<Self> {
        let fields = schema.fields().iter();
        let texts = fields.filter(|field| field.data_type() == &DataType::Utf8);
        let named = texts.filter(|field| is_contig_column(field.name()));
        let unusual = named.map(|field| Self {
            column: field.name().clone(),
            first: None,
            names: BTreeSet::new(),
            seen: HashSet::new(),
        });
        unusual.collect()
    }

    /// Looks at rows.
    pub(super) fn see(&mut self, rows: &RecordBatch) {
        let names = rows.column_by_name(&self.column);
        let Some(names) = names.and_then(|names| names.as_string_opt::<i32>()) else {
            return;
        };
        let mut last = "";
        for name in names.iter().flatten() {
            if name == last || self.seen.contains(name) {
                continue;
            }
            last = name;
            if self.seen.len() < SEEN_MAX {
                self.seen.insert(name.to_owned());
            }
            let Some(usual) = usual_name(name) else {
                continue;
            };
            self.first.get_or_insert_with(|| (name.to_owned(), usual));
            if self.names.len() < UNUSUAL_MAX {
                self.names.insert(name.to_owned());
            }
        }
    }

    /// What to say of them.
    pub(super) fn note(&self, id: &TableId, operation: &str) -> Option<String> {
        let (name, usual) = self.first.as_ref()?;
        let how = match operation {
            "ingest table" => "name it so in the input",
            _ => "--contigs names it so",
        };
        Some(format!(
            "column \"{}\" of {}.{} holds \"{name}\": if that is the human contig that others call \"{usual}\", it is \
             equal to none of theirs; {how}",
            self.column, id.schema, id.table
        ))
    }
}

/// The columns of a table, of which those of contigs tell the unusual names of the rows that were seen.
pub(super) fn telling(schema: &SchemaRef, found: &[Unusual]) -> SchemaRef {
    let tells = |field: &FieldRef| -> FieldRef {
        let mut metadata = field.metadata().clone();
        metadata.remove(UNUSUAL_CONTIGS_KEY);
        let mut of_columns = found.iter();
        let of_column = of_columns.find(|of| of.column == *field.name());
        if let Some(of) = of_column.filter(|of| !of.names.is_empty()) {
            let names: Vec<&str> = of.names.iter().map(String::as_str).collect();
            metadata.insert(UNUSUAL_CONTIGS_KEY.to_owned(), names.join("\n"));
        }
        Arc::new(Field::clone(field).with_metadata(metadata))
    };
    let fields: Vec<FieldRef> = schema.fields().iter().map(tells).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}
