//! How rows of a plain table land in the lake: written while they are read, committed at the end,
//! and not done twice.
//!
//! A lake commit of such a job names its input by digest (`details.key`). The same key among the
//! commits since the table was last replaced means that the input has landed.
//!
//! Rows whose contigs are spelt another way than those of their table are refused ([`contigs`]), and so are those of
//! another assembly, as far as inputs say theirs ([`crate::assembly`]).

mod contigs;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use genokura_core::contig::Assembly;
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
    /// The tables as they are; `None`: new or replaced.
    tables: Vec<Option<Arc<TableSnapshot>>>,
    /// The assembly of each table, where it is known.
    assemblies: Vec<Option<Assembly>>,
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

/// A table whose assembly is known.
fn held(id: &TableId, assembly: Assembly) -> Held {
    let of = format!("table {}.{}", id.schema, id.table);
    Held { assembly, of }
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
        let mut tables = Vec::with_capacity(ids.len());
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
            let assembly = table.as_ref().and_then(|t| assembly::of_table(&t.schema));
            assemblies.push(assembly);
            existing.push(table.as_ref().map(|table| Arc::clone(&table.schema)));
            tables.push(table);
        }
        Ok(Self {
            lake: Arc::clone(lake),
            ids,
            replace,
            operation,
            base,
            existing,
            tables,
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
        let columns = self.tables.iter().zip(&schemas);
        let mut columns: Vec<Vec<contigs::Column>> = columns
            .map(|(table, schema)| contigs::Column::all(schema, table.as_deref()))
            .collect();
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
            let of_table = self.ids.get(table).zip(columns.get_mut(table));
            if let Some((id, columns)) = of_table {
                for column in columns {
                    column.see(id, &batch, *rows, self.operation)?;
                }
            }
            if is_new {
                *rows += batch.num_rows() as u64;
            }
            writer.write(None, &batch).await?;
        }
        producer
            .await
            .map_err(|e| Error::Internal(e.to_string()))??;
        for (id, columns) in self.ids.iter().zip(&columns) {
            let mut columns = columns.iter();
            columns.try_for_each(|column| column.check(id, self.operation))?;
        }
        let notes = self.ids.iter().zip(&columns).flat_map(|(id, columns)| {
            let notes = columns.iter().map(|column| column.note(id, self.operation));
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
        let targets = targets.zip(rewritten).zip(assemblies).zip(columns);
        for ((((((id, schema), existing), rewritten), assembly), columns), (writer, rows)) in
            targets.zip(writers)
        {
            all_rows += rows;
            if several && rows == 0 && existing.is_some() && !rewritten {
                continue;
            }
            let schema = contigs::telling(&schema, &columns);
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
