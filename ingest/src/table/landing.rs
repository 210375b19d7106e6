//! How rows of a plain table land in the lake: written while they are read, committed at the end,
//! and not done twice.
//!
//! A lake commit of such a job names its input by digest (`details.key`). The same key among the
//! commits since the table was last replaced means that the input has landed.
//!
//! A column of contigs keeps the spelling that it has (`chr1` or `1`): rows with another are refused, since a table of
//! both is joined in part only, and comparisons with it could no longer be checked. The first rows of a table give it its
//! spelling. The same holds of the assembly, as far as inputs say theirs ([`crate::assembly`]).

use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use genokura_core::contig::{
    Assembly, ContigNames, is_contig_column, names_contigs, spelling, usual_name,
};
use genokura_storage::{
    CommitOutcome, Lake, LakeChange, LakeSnapshot, PartWriter, TableChange, TableId, TableSnapshot,
    WritePolicy,
};

use super::input::blocking;
use crate::assembly::{self, Held, Said};
use crate::error::{Error, Result};

/// Batches that may wait for the writer.
const QUEUE: usize = 2;

/// In the details of a lake commit: tables that were written anew and hold what they held.
const REWRITTEN: &str = "rewritten";

/// Schemas that hold no tables of users.
const SCHEMAS_RESERVED: [&str; 5] = [
    "public",
    "pg_catalog",
    "information_schema",
    "genokura",
    "_genokura",
];

/// Tables that are about to receive rows: one, or several that one commit makes visible together.
pub(crate) struct Landing {
    lake: Arc<Lake>,
    ids: Vec<TableId>,
    replace: bool,
    operation: &'static str,
    base: Arc<LakeSnapshot>,
    existing: Vec<Option<SchemaRef>>,
    spellings: Vec<Vec<Spelled>>,
    /// The assembly of each table, where it is known.
    assemblies: Vec<Option<Assembly>>,
}

/// A column of contigs of a table that is there, and how it spells the human primaries.
#[derive(Debug)]
struct Spelled {
    column: String,
    spelling: String,
}

/// What landed.
pub(crate) struct Landed {
    pub(crate) version: Option<u64>,
    pub(crate) rows: u64,
    /// What of the rows may not be what was meant.
    pub(crate) notes: Vec<String>,
}

/// Takes batches from the thread that reads. Fails when nobody takes them any more.
pub(crate) struct Sink(tokio::sync::mpsc::Sender<Sent>);

/// What goes to the writer of one of the tables.
enum Sent {
    /// New rows.
    Rows(usize, RecordBatch),
    /// What the input says of the assembly of its rows.
    Said(usize, Said),
    /// What the table holds is written anew: only the rows that are sent stay.
    Rewrite(usize),
    /// Rows that the table held and keeps.
    Kept(usize, RecordBatch),
}

impl Sink {
    /// A batch of the only table.
    pub(crate) fn send(&self, batch: RecordBatch) -> Result<()> {
        self.send_to(0, batch)
    }

    /// A batch of one of several tables.
    pub(crate) fn send_to(&self, table: usize, batch: RecordBatch) -> Result<()> {
        self.sent(Sent::Rows(table, batch))
    }

    /// The assembly of the rows of a table, as an input says. Another one than the table's refuses the job.
    pub(crate) fn said(&self, table: usize, said: Said) -> Result<()> {
        self.sent(Sent::Said(table, said))
    }

    /// The rows that a table holds go, but for those that [`keep`](Self::keep) sends. The inputs that brought them count
    /// as landed as before.
    pub(crate) fn rewrite(&self, table: usize) -> Result<()> {
        self.sent(Sent::Rewrite(table))
    }

    /// Rows that the table held and keeps.
    pub(crate) fn keep(&self, table: usize, batch: RecordBatch) -> Result<()> {
        self.sent(Sent::Kept(table, batch))
    }

    fn sent(&self, sent: Sent) -> Result<()> {
        let sent = self.0.blocking_send(sent);
        sent.map_err(|_| Error::Cancelled)
    }
}

/// The columns of contigs of a table, as far as they tell how they spell.
fn spelled(table: &TableSnapshot) -> Vec<Spelled> {
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
    fn check(&self, id: &TableId, rows: &RecordBatch, operation: &str) -> Result<()> {
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
struct Watched {
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
    fn of(schema: &SchemaRef) -> Vec<Self> {
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
    fn see(&mut self, rows: &RecordBatch, before: u64) {
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
    fn check(&self, id: &TableId, operation: &str) -> Result<()> {
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

/// A table whose assembly is known.
fn held(id: &TableId, assembly: Assembly) -> Held {
    let of = format!("table {}.{}", id.schema, id.table);
    Held { assembly, of }
}

/// The first contig of a column that other tables have under another name: `chr01`, `chrMT`.
#[derive(Debug)]
struct Odd {
    column: String,
    first: Option<(String, String)>,
}

impl Odd {
    fn of(schema: &SchemaRef) -> Vec<Self> {
        let fields = schema.fields().iter();
        let texts = fields.filter(|field| field.data_type() == &DataType::Utf8);
        let named = texts.filter(|field| is_contig_column(field.name()));
        let odd = named.map(|field| Self {
            column: field.name().clone(),
            first: None,
        });
        odd.collect()
    }

    fn see(&mut self, rows: &RecordBatch) {
        let names = rows.column_by_name(&self.column);
        let Some(names) = names.and_then(|names| names.as_string_opt::<i32>()) else {
            return;
        };
        let mut last = "";
        for name in names.iter().flatten() {
            if self.first.is_some() {
                return;
            }
            if name != last {
                last = name;
                self.first = usual_name(name).map(|usual| (name.to_owned(), usual));
            }
        }
    }

    fn note(&self, id: &TableId, operation: &str) -> Option<String> {
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

impl Landing {
    /// Looks at the table as it is now.
    ///
    /// # Errors
    /// [`Error::Request`] for a schema that holds no plain tables.
    pub(crate) async fn begin(
        lake: &Arc<Lake>,
        id: &TableId,
        replace: bool,
        operation: &'static str,
    ) -> Result<Self> {
        Self::begin_all(lake, vec![id.clone()], replace, operation).await
    }

    /// The same for several tables.
    ///
    /// # Errors
    /// [`Error::Request`] for a schema that holds no plain tables.
    pub(crate) async fn begin_all(
        lake: &Arc<Lake>,
        ids: Vec<TableId>,
        replace: bool,
        operation: &'static str,
    ) -> Result<Self> {
        let base = lake.snapshot().await?;
        let mut existing = Vec::with_capacity(ids.len());
        let mut spellings = Vec::with_capacity(ids.len());
        let mut assemblies = Vec::with_capacity(ids.len());
        for id in &ids {
            if SCHEMAS_RESERVED.contains(&id.schema.as_str()) || base.dataset(&id.schema).is_some()
            {
                let message = format!(
                    "schema \"{}\" holds no plain tables (it is a dataset or reserved); name another, such as clin.{}",
                    id.schema, id.table
                );
                return Err(Error::Request(message));
            }
            let table = base.table(id).await?;
            let table = table.filter(|_| !replace);
            spellings.push(table.as_deref().map(spelled).unwrap_or_default());
            let assembly = table.as_ref().and_then(|t| assembly::of_table(&t.schema));
            assemblies.push(assembly);
            existing.push(table.map(|table| Arc::clone(&table.schema)));
        }
        Ok(Self {
            lake: Arc::clone(lake),
            ids,
            replace,
            operation,
            base,
            existing,
            spellings,
            assemblies,
        })
    }

    /// Columns of the (first) table that rows are appended to; `None` when it is new or replaced.
    pub(crate) fn existing(&self) -> Option<&SchemaRef> {
        self.existing.first().and_then(Option::as_ref)
    }

    /// The same of each table.
    pub(crate) fn existing_of_all(&self) -> &[Option<SchemaRef>] {
        &self.existing
    }

    /// The assembly of the (first) table, when it has rows and tells.
    pub(crate) fn assembly(&self) -> Option<Held> {
        let known = *self.assemblies.first()?;
        Some(held(self.ids.first()?, known?))
    }

    /// The (first) table that rows are appended to; `None` when it is new or replaced.
    pub(crate) async fn held(&self) -> Result<Option<Arc<TableSnapshot>>> {
        match self.ids.first().filter(|_| !self.replace) {
            Some(id) => Ok(self.base.table(id).await?),
            None => Ok(None),
        }
    }

    /// Newest version of the lake.
    pub(crate) fn version(&self) -> Option<u64> {
        self.base.version
    }

    /// Whether this very input is in the tables (for a replacement: whether it is all of them).
    pub(crate) async fn has_landed(&self, key: &str) -> Result<bool> {
        let known = &self.base.state.tables;
        if !self.ids.iter().any(|id| known.contains_key(id)) {
            return Ok(false);
        }
        let (mut landed, mut commits) = (false, 0_u64);
        for commit in self.lake.log().await? {
            let mut changes = commit.changes.iter();
            let Some(first) = changes.find(|c| self.ids.contains(&c.table)) else {
                continue;
            };
            let rewritten = commit
                .details
                .get(REWRITTEN)
                .and_then(|names| names.as_array());
            // What is written anew holds what it held.
            let is_new = |table: &TableId, replaced: bool| {
                let mut names = rewritten.into_iter().flatten();
                replaced && !names.any(|name| name.as_str() == Some(table.table.as_str()))
            };
            if is_new(&first.table, first.replaced)
                || changes.any(|c| is_new(&c.table, c.replaced) && self.ids.contains(&c.table))
            {
                (landed, commits) = (false, 0);
            }
            let this = commit.details.get("key").and_then(|key| key.as_str());
            landed |= this == Some(key);
            commits += 1;
        }
        Ok(landed && (!self.replace || commits == 1))
    }

    /// Writes the batches that `produce` sends and commits them. Nothing is visible unless this
    /// returns `Ok`.
    ///
    /// # Errors
    /// What `produce` and the lake report, [`Error::Request`] for contigs that are spelt another way than those that the
    /// table has, and [`Error::Conflict`].
    pub(crate) async fn write(
        self,
        schema: SchemaRef,
        details: serde_json::Value,
        produce: impl FnOnce(&Sink) -> Result<()> + Send + 'static,
    ) -> Result<Landed> {
        self.write_all(vec![schema], details, produce).await
    }

    /// The same for several tables, each with its columns. A table that is there already and gets no row stays as it is.
    ///
    /// # Errors
    /// What `produce` and the lake report, and [`Error::Conflict`].
    pub(crate) async fn write_all(
        self,
        schemas: Vec<SchemaRef>,
        mut details: serde_json::Value,
        produce: impl FnOnce(&Sink) -> Result<()> + Send + 'static,
    ) -> Result<Landed> {
        let (sender, mut batches) = tokio::sync::mpsc::channel(QUEUE);
        let sink = Sink(sender);
        let producer = tokio::spawn(blocking(move || produce(&sink)));
        let mut writers = Vec::with_capacity(self.ids.len());
        for (id, schema) in self.ids.iter().zip(&schemas) {
            let policy = WritePolicy::plain();
            let writer = PartWriter::new(&self.lake, id, Arc::clone(schema), policy);
            writers.push((writer, 0_u64));
        }
        let mut rewritten = vec![false; self.ids.len()];
        let mut assemblies = self.assemblies.clone();
        let new = self.existing.iter().zip(&schemas);
        let mut watched: Vec<Vec<Watched>> = new
            .map(|(existing, schema)| match existing {
                Some(_) => Vec::new(),
                None => Watched::of(schema),
            })
            .collect();
        let mut odd: Vec<Vec<Odd>> = schemas.iter().map(Odd::of).collect();
        while let Some(sent) = batches.recv().await {
            let (table, batch, is_new) = match sent {
                Sent::Rows(table, batch) => (table, batch, true),
                Sent::Kept(table, batch) => (table, batch, false),
                Sent::Said(table, said) => {
                    let known = assemblies.get_mut(table).zip(self.ids.get(table));
                    let (known, id) =
                        known.ok_or_else(|| Error::Internal("rows of no table".to_owned()))?;
                    match *known {
                        Some(known) => said.check(&held(id, known))?,
                        None => *known = Some(said.assembly),
                    }
                    continue;
                }
                Sent::Rewrite(table) => {
                    rewritten
                        .get_mut(table)
                        .into_iter()
                        .for_each(|it| *it = true);
                    continue;
                }
            };
            let writer = writers.get_mut(table);
            let (writer, rows) =
                writer.ok_or_else(|| Error::Internal("rows of no table".to_owned()))?;
            for column in watched.get_mut(table).into_iter().flatten() {
                column.see(&batch, *rows);
            }
            for column in odd.get_mut(table).into_iter().flatten() {
                column.see(&batch);
            }
            if is_new {
                *rows += batch.num_rows() as u64;
            }
            if let (Some(id), Some(spelled)) = (self.ids.get(table), self.spellings.get(table)) {
                let mut spelled = spelled.iter();
                spelled.try_for_each(|spelled| spelled.check(id, &batch, self.operation))?;
            }
            writer.write(None, &batch).await?;
        }
        producer
            .await
            .map_err(|e| Error::Internal(e.to_string()))??;
        for (id, columns) in self.ids.iter().zip(&watched) {
            let mut columns = columns.iter();
            columns.try_for_each(|column| column.check(id, self.operation))?;
        }
        let notes = self.ids.iter().zip(&odd).flat_map(|(id, columns)| {
            let notes = columns.iter().map(|odd| odd.note(id, self.operation));
            notes.flatten().collect::<Vec<_>>()
        });
        let notes: Vec<String> = notes.collect();
        let (mut tables, mut all_rows) = (Vec::new(), 0);
        let several = self.ids.len() > 1;
        let names = self.ids.iter().zip(&rewritten);
        let names: Vec<&str> = names
            .filter_map(|(id, is)| is.then_some(id.table.as_str()))
            .collect();
        if let (false, Some(details)) = (names.is_empty(), details.as_object_mut()) {
            details.insert(REWRITTEN.to_owned(), names.into());
        }
        let targets = self.ids.into_iter().zip(schemas).zip(self.existing);
        let targets = targets.zip(rewritten).zip(assemblies);
        for (((((id, schema), existing), rewritten), assembly), (writer, rows)) in
            targets.zip(writers)
        {
            all_rows += rows;
            if several && rows == 0 && existing.is_some() && !rewritten {
                continue;
            }
            tables.push(TableChange {
                id,
                schema: assembly::on(&schema, assembly),
                partition_columns: Vec::new(),
                add: writer.finish().await?,
                replace: self.replace || rewritten,
            });
        }
        let change = LakeChange {
            operation: self.operation.to_owned(),
            dataset: None,
            tables,
            details,
            ..LakeChange::default()
        };
        match self.lake.commit(&self.base, change).await? {
            CommitOutcome::Committed(snapshot) => Ok(Landed {
                version: snapshot.version,
                rows: all_rows,
                notes,
            }),
            CommitOutcome::Conflict { version, reason } => Err(Error::Conflict { version, reason }),
        }
    }
}
