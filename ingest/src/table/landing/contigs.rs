//! What names of contigs rows may have that are written to a plain table, and what is kept of them.
//!
//! A column of contigs keeps the spelling that it has (`chr1` or `1`): rows with another are refused, since a table of
//! both is joined in part only, and comparisons with it could no longer be checked. The first rows of a table give it its
//! spelling. Names of human contigs that other tables do not use (`chr01`, `chrMT`) stay, since other species have such.
//! The metadata of the column tells both ([`CONTIG_SPELLING_KEY`], [`UNUSUAL_CONTIGS_KEY`]), so that joins can tell what
//! they would not meet. Columns that are not called as contigs are tell how they spell them where half of their names
//! are human contigs ([`CONTIG_LIKE_KEY`]).

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use genokura_core::contig::{ContigNames, is_contig_column, names_contigs, spelling, usual_name};
use genokura_core::schema::{CONTIG_LIKE_KEY, CONTIG_SPELLING_KEY, UNUSUAL_CONTIGS_KEY};
use genokura_storage::{TableId, TableSnapshot};

use crate::error::{Error, Result};

/// Unusual names from which on a column tells none; a table of people has fewer.
const UNUSUAL_MAX: usize = 100;
/// Different names that are remembered, so that a table in no order does not ask again of each row. A column of more
/// that is not called as contigs are holds none.
const SEEN_MAX: usize = 1_000;
/// Other names than those of human contigs in such a column, from which on it holds none unless they are the fewer.
const OTHERS_MAX: usize = 50;

/// What the name of a column says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Called {
    /// It holds contigs and nothing else.
    Contigs,
    /// It is called like contigs, as `chrom_a`, `chromosome_note`.
    Like,
    /// Nothing.
    Otherwise,
}

impl Called {
    fn of(column: &str) -> Self {
        match (is_contig_column(column), names_contigs(column)) {
            (true, _) => Called::Contigs,
            (false, true) => Called::Like,
            (false, false) => Called::Otherwise,
        }
    }
}

/// A column of texts while its rows are written.
#[derive(Debug)]
pub(super) struct Column {
    name: String,
    called: Called,
    /// How the rows spell the human contigs that the table has already.
    held: Option<String>,
    /// The same of a column that is not called as contigs are, which may be of both ways.
    like: Option<String>,
    /// Whether the table has no rows yet.
    is_new: bool,
    /// Whether it may hold contigs, as far as was seen.
    may: bool,
    seen: HashSet<String>,
    /// Different names of human contigs, and others.
    primaries: usize,
    others: usize,
    /// The first human contig.
    first: Option<String>,
    /// The first that is spelt another way, and its row from 1.
    other: Option<(u64, String)>,
    /// The first unusual name, and what others call that contig.
    first_unusual: Option<(String, String)>,
    unusual: BTreeSet<String>,
}

impl Column {
    /// The columns of texts of a table, of which some rows may be there.
    pub(super) fn all(schema: &SchemaRef, table: Option<&TableSnapshot>) -> Vec<Self> {
        let fields = schema.fields().iter();
        let texts = fields.filter(|field| field.data_type() == &DataType::Utf8);
        let columns = texts.map(|field| Self {
            called: Called::of(field.name()),
            held: table
                .and_then(|table| table.contig_spelling(field.name()))
                .map(str::to_owned),
            like: table
                .and_then(|table| table.contig_like(field.name()))
                .map(str::to_owned),
            is_new: table.is_none(),
            may: true,
            seen: HashSet::new(),
            primaries: 0,
            others: 0,
            first: None,
            other: None,
            first_unusual: None,
            unusual: BTreeSet::new(),
            name: field.name().clone(),
        });
        columns.collect()
    }

    /// Looks at rows, of which the first comes behind `before` others.
    ///
    /// # Errors
    /// [`Error::Request`] for a human contig that is named another way than the table does.
    pub(super) fn see(
        &mut self,
        id: &TableId,
        rows: &RecordBatch,
        before: u64,
        operation: &str,
    ) -> Result<()> {
        if !self.may {
            return Ok(());
        }
        let names = rows.column_by_name(&self.name);
        let Some(names) = names.and_then(|names| names.as_string_opt::<i32>()) else {
            return Ok(());
        };
        let mut last = None;
        for (row, name) in (before + 1..).zip(names.iter()) {
            let Some(name) = name.filter(|name| last != Some(*name)) else {
                continue;
            };
            last = Some(name);
            if self.seen.contains(name) {
                continue;
            }
            let this = spelling(name);
            if let (Some(held), Some(this)) = (self.held.as_deref(), this)
                && held != this
            {
                return Err(self.refused(id, name, held, operation));
            }
            self.take(row, name, this);
            if !self.may {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, row: u64, name: &str, this: Option<&str>) {
        match this {
            Some(_) => self.primaries += 1,
            None => self.others += 1,
        }
        if self.seen.len() < SEEN_MAX {
            self.seen.insert(name.to_owned());
        }
        let many =
            self.seen.len() == SEEN_MAX || self.others > OTHERS_MAX && self.others > self.primaries;
        if self.called == Called::Otherwise && many {
            self.may = false;
            self.seen = HashSet::new();
            return;
        }
        match (this, &self.first) {
            (Some(_), None) => self.first = Some(name.to_owned()),
            (Some(this), Some(first)) => {
                if spelling(first) != Some(this) && self.other.is_none() {
                    self.other = Some((row, name.to_owned()));
                }
            }
            (None, _) => {}
        }
        if self.called != Called::Contigs {
            return;
        }
        let Some(usual) = usual_name(name) else {
            return;
        };
        self.first_unusual
            .get_or_insert_with(|| (name.to_owned(), usual));
        if self.unusual.len() < UNUSUAL_MAX {
            self.unusual.insert(name.to_owned());
        }
    }

    fn refused(&self, id: &TableId, name: &str, held: &str, operation: &str) -> Error {
        let names = match held {
            "chr" => Some(ContigNames::Chr),
            "" => Some(ContigNames::Plain),
            _ => None,
        };
        let like = names.map_or_else(|| format!("{held}…"), |n| n.of(name).into_owned());
        let how = match names {
            Some(names) if operation != "ingest table" => {
                format!("give --contigs {}", names.as_str())
            }
            _ => "name them as the table does".to_owned(),
        };
        Error::Request(format!(
            "column \"{}\" of {}.{} names contigs like \"{like}\" and this input \"{name}\": joins would find half of such a \
             table; {how}, or use --replace",
            self.name, id.schema, id.table
        ))
    }

    /// Refuses a column of contigs of two spellings in a new table. One that is only called like contigs holds them when
    /// all its values are human ones.
    ///
    /// # Errors
    /// [`Error::Request`] that names two of them.
    pub(super) fn check(&self, id: &TableId, operation: &str) -> Result<()> {
        let (Some(first), Some((row, other))) = (&self.first, &self.other) else {
            return Ok(());
        };
        let holds = match self.called {
            Called::Contigs => true,
            Called::Like => self.others == 0,
            Called::Otherwise => false,
        };
        if !self.is_new || !holds {
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
            self.name, id.schema, id.table
        )))
    }

    /// What to say of its unusual names.
    pub(super) fn note(&self, id: &TableId, operation: &str) -> Option<String> {
        let (name, usual) = self.first_unusual.as_ref()?;
        let how = match operation {
            "ingest table" => "name it so in the input",
            _ => "--contigs names it so",
        };
        Some(format!(
            "column \"{}\" of {}.{} holds \"{name}\": if that is the human contig that others call \"{usual}\", it is \
             equal to none of theirs; {how}",
            self.name, id.schema, id.table
        ))
    }

    /// How it spells the human contigs, and under which key the table tells that.
    fn spelled(&self) -> Option<(&'static str, &str)> {
        if self.other.is_some() || !self.may {
            return None;
        }
        let here = self.first.as_deref().and_then(spelling);
        let half = self.primaries >= self.others;
        match self.called {
            Called::Contigs => Some((CONTIG_SPELLING_KEY, here?)),
            Called::Like => Some((CONTIG_SPELLING_KEY, here.filter(|_| half)?)),
            Called::Otherwise if self.is_new => Some((CONTIG_LIKE_KEY, here.filter(|_| half)?)),
            // Rows without a human contig say nothing against those that are there.
            Called::Otherwise => {
                let there = self.like.as_deref()?;
                let same = here.is_none_or(|here| here == there);
                same.then_some((CONTIG_LIKE_KEY, there))
            }
        }
    }
}

/// The columns of a table, which tell of the contigs in the rows that were seen.
pub(super) fn telling(schema: &SchemaRef, seen: &[Column]) -> SchemaRef {
    let tells = |field: &FieldRef| -> FieldRef {
        let mut metadata = field.metadata().clone();
        for key in [CONTIG_SPELLING_KEY, CONTIG_LIKE_KEY, UNUSUAL_CONTIGS_KEY] {
            metadata.remove(key);
        }
        if let Some(column) = seen.iter().find(|column| column.name == *field.name()) {
            if let Some((key, spelled)) = column.spelled() {
                metadata.insert(key.to_owned(), spelled.to_owned());
            }
            if column.called == Called::Contigs && column.unusual.len() < UNUSUAL_MAX {
                let names: Vec<&str> = column.unusual.iter().map(String::as_str).collect();
                metadata.insert(UNUSUAL_CONTIGS_KEY.to_owned(), names.join("\n"));
            }
        }
        Arc::new(Field::clone(field).with_metadata(metadata))
    };
    let fields: Vec<FieldRef> = schema.fields().iter().map(tells).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}
