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
const SCHEMAS_RESERVED: [&str; 4] = ["public", "pg_catalog", "information_schema", "_genokura"];

/// One table that is about to receive rows.
pub(crate) struct Landing {
    lake: Arc<Lake>,
    id: TableId,
    replace: bool,
    operation: &'static str,
    base: Arc<LakeSnapshot>,
    existing: Option<SchemaRef>,
}

/// What landed.
pub(crate) struct Landed {
    pub(crate) version: Option<u64>,
    pub(crate) rows: u64,
}

/// Takes batches from the thread that reads. Fails when nobody takes them any more.
pub(crate) struct Sink(tokio::sync::mpsc::Sender<RecordBatch>);

impl Sink {
    pub(crate) fn send(&self, batch: RecordBatch) -> Result<()> {
        self.0.blocking_send(batch).map_err(|_| Error::Cancelled)
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
        let base = lake.snapshot().await?;
        if SCHEMAS_RESERVED.contains(&id.schema.as_str()) || base.dataset(&id.schema).is_some() {
            let message = format!(
                "schema \"{}\" holds no plain tables (it is a dataset or reserved); name another, such as clin.{}",
                id.schema, id.table
            );
            return Err(Error::Request(message));
        }
        let table = base.table(id).await?;
        let existing = table
            .filter(|_| !replace)
            .map(|table| Arc::clone(&table.schema));
        Ok(Self {
            lake: Arc::clone(lake),
            id: id.clone(),
            replace,
            operation,
            base,
            existing,
        })
    }

    /// Columns of the table that rows are appended to; `None` when it is new or replaced.
    pub(crate) fn existing(&self) -> Option<&SchemaRef> {
        self.existing.as_ref()
    }

    /// Newest version of the lake.
    pub(crate) fn version(&self) -> Option<u64> {
        self.base.version
    }

    /// Whether this very input is in the table (for a replacement: whether it is all of it).
    pub(crate) async fn has_landed(&self, key: &str) -> Result<bool> {
        if !self.base.state.tables.contains_key(&self.id) {
            return Ok(false);
        }
        let mut keys: Vec<Option<String>> = Vec::new();
        for commit in self.lake.log().await? {
            let Some(change) = commit.changes.iter().find(|c| c.table == self.id) else {
                continue;
            };
            if change.replaced {
                keys.clear();
            }
            let key = commit.details.get("key").and_then(|key| key.as_str());
            keys.push(key.map(str::to_owned));
        }
        let is_this = |known: &Option<String>| known.as_deref() == Some(key);
        Ok(if self.replace {
            keys.len() == 1 && keys.iter().all(is_this)
        } else {
            keys.iter().any(is_this)
        })
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
        let (sender, mut batches) = tokio::sync::mpsc::channel(QUEUE);
        let sink = Sink(sender);
        let producer = tokio::spawn(blocking(move || produce(&sink)));
        let mut writer = PartWriter::new(
            &self.lake,
            &self.id,
            Arc::clone(&schema),
            WritePolicy::plain(),
        );
        let mut rows = 0;
        while let Some(batch) = batches.recv().await {
            rows += batch.num_rows() as u64;
            writer.write(None, &batch).await?;
        }
        producer
            .await
            .map_err(|e| Error::Internal(e.to_string()))??;
        let table = TableChange {
            id: self.id,
            schema,
            partition_columns: Vec::new(),
            add: writer.finish().await?,
            replace: self.replace,
        };
        let change = LakeChange {
            operation: self.operation.to_owned(),
            dataset: None,
            tables: vec![table],
            details,
        };
        match self.lake.commit(&self.base, change).await? {
            CommitOutcome::Committed(snapshot) => Ok(Landed {
                version: snapshot.version,
                rows,
            }),
            CommitOutcome::Conflict { version, reason } => Err(Error::Conflict { version, reason }),
        }
    }
}
