//! How rows of a plain table land in the lake: written while they are read, committed at the end,
//! and not done twice.
//!
//! A lake commit of such a job names its input by digest (`details.key`). The same key among the
//! commits since the table was last replaced means that the input has landed.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use genokura_storage::{
    CommitOutcome, Lake, LakeChange, LakeSnapshot, PartWriter, TableChange, TableId, WritePolicy,
};

use super::input::blocking;
use crate::error::{Error, Result};

/// Batches that may wait for the writer.
const QUEUE: usize = 2;

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
}

/// What landed.
pub(crate) struct Landed {
    pub(crate) version: Option<u64>,
    pub(crate) rows: u64,
}

/// Takes batches from the thread that reads. Fails when nobody takes them any more.
pub(crate) struct Sink(tokio::sync::mpsc::Sender<(usize, RecordBatch)>);

impl Sink {
    /// A batch of the only table.
    pub(crate) fn send(&self, batch: RecordBatch) -> Result<()> {
        self.send_to(0, batch)
    }

    /// A batch of one of several tables.
    pub(crate) fn send_to(&self, table: usize, batch: RecordBatch) -> Result<()> {
        let sent = self.0.blocking_send((table, batch));
        sent.map_err(|_| Error::Cancelled)
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
            existing.push(table.map(|table| Arc::clone(&table.schema)));
        }
        Ok(Self {
            lake: Arc::clone(lake),
            ids,
            replace,
            operation,
            base,
            existing,
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
            if first.replaced || changes.any(|c| c.replaced && self.ids.contains(&c.table)) {
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
    /// What `produce` and the lake report, and [`Error::Conflict`].
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
        details: serde_json::Value,
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
        while let Some((table, batch)) = batches.recv().await {
            let writer = writers.get_mut(table);
            let (writer, rows) =
                writer.ok_or_else(|| Error::Internal("rows of no table".to_owned()))?;
            *rows += batch.num_rows() as u64;
            writer.write(None, &batch).await?;
        }
        producer
            .await
            .map_err(|e| Error::Internal(e.to_string()))??;
        let (mut tables, mut all_rows) = (Vec::new(), 0);
        let several = self.ids.len() > 1;
        let targets = self.ids.into_iter().zip(schemas).zip(self.existing);
        for (((id, schema), existing), (writer, rows)) in targets.zip(writers) {
            all_rows += rows;
            if several && rows == 0 && existing.is_some() {
                continue;
            }
            tables.push(TableChange {
                id,
                schema,
                partition_columns: Vec::new(),
                add: writer.finish().await?,
                replace: self.replace,
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
            }),
            CommitOutcome::Conflict { version, reason } => Err(Error::Conflict { version, reason }),
        }
    }
}
