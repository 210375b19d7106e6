//! Delta tables through `delta_kernel`: read a pinned version, commit a new one.
//!
//! The kernel works with blocking calls that wait for I/O on an executor of its own. Both live
//! here: every kernel call runs on a blocking thread, its I/O on one small runtime of the process,
//! over the same object store as everything else.
//!
//! A commit states what the table shall hold (see [`crate::commit`] for the rule); the
//! difference to the tip of its log is what the Delta transaction does. Where the kernel has no
//! transaction for it (another type or another set of columns) the log entry is written here, as
//! the protocol describes an overwrite: one `metaData` action beside the `add`s and `remove`s.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use delta_kernel::committer::FileSystemCommitter;
use delta_kernel::engine::arrow_conversion::{TryIntoArrow as _, TryIntoKernel as _};
use delta_kernel::schema::{MetadataValue, StructField, StructType};
use delta_kernel::snapshot::{Snapshot, SnapshotRef};
use delta_kernel::transaction::create_table::create_table;
use delta_kernel::transaction::data_layout::DataLayout;
use delta_kernel::transaction::{CommitResult, CommittedTransaction, UpdateTableOperation};
use delta_kernel::{FilteredEngineData, KernelError};
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use delta_kernel_default_engine::{DefaultEngine, DefaultEngineBuilder};
use futures::TryStreamExt as _;
use genokura_core::schema::{
    ASSEMBLY_KEY, CONTIG_LIKE_KEY, CONTIG_SPELLING_KEY, UNUSUAL_CONTIGS_KEY,
};
use object_store::path::Path;
use object_store::{ObjectStore as _, PutMode, PutOptions, PutPayload};
use serde_json::json;
use url::Url;
use uuid::Uuid;

use crate::commit::{TableChange, pause};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::manifest::{DataFile, TableId};
use crate::snapshot::TableSnapshot;

mod actions;

/// How often a Delta version is tried while other writers take its number.
const ATTEMPTS_MAX: u32 = 200;

/// A checkpoint is written when this many commits have none.
const CHECKPOINT_EVERY: u64 = 20;

/// Threads of the runtime that does the kernel's I/O.
const IO_THREADS: usize = 2;

type Engine = DefaultEngine<TokioMultiThreadExecutor>;

/// A Delta table of a lake, present or not.
pub(crate) struct DeltaTable {
    lake: Lake,
    id: TableId,
    root: Path,
    url: Url,
}

/// What a table shall hold.
struct Target {
    /// Columns, partition columns at the end.
    schema: StructType,
    partition_columns: Vec<String>,
    /// By path relative to the table.
    files: BTreeMap<String, DataFile>,
}

/// What the tip of the log holds.
struct Tip {
    snapshot: SnapshotRef,
    partition_columns: Vec<String>,
    files: BTreeMap<String, DataFile>,
    /// The rows of the scan as the kernel wants them back to remove files.
    scanned: Vec<FilteredEngineData>,
}

/// How one attempt ended.
enum Attempt {
    /// The table is as wanted at this version.
    Version(u64),
    /// Somebody else took the version.
    Lost,
    /// The kernel cannot; write this log entry at this version.
    Entry { version: u64, text: String },
}

impl DeltaTable {
    pub(crate) fn of(lake: &Lake, id: &TableId) -> Self {
        let root = lake.layout().table(id);
        Self {
            lake: lake.clone(),
            id: id.clone(),
            root,
            url: lake.table_url(id),
        }
    }

    /// The table at `version`.
    pub(crate) async fn snapshot_at(&self, version: u64) -> Result<TableSnapshot> {
        self.blocking(move |table| {
            let engine = table.engine()?;
            let snapshot = Snapshot::builder_for(table.url.as_str())
                .at_version(version)
                .build(&engine)
                .map_err(|e| table.error(e))?;
            table.read(&engine, snapshot)
        })
        .await
    }

    /// The newest version in the log, landed or not; `None` without a log.
    pub(crate) async fn tip_version(&self) -> Result<Option<u64>> {
        if !self.exists().await? {
            return Ok(None);
        }
        self.blocking(|table| {
            let snapshot = Snapshot::builder_for(table.url.as_str())
                .build(&table.engine()?)
                .map_err(|e| table.error(e))?;
            Ok(Some(snapshot.version()))
        })
        .await
    }

    /// Makes a version that holds `pinned` plus `change`, whatever the log's tip holds,
    /// and returns its number. An existing version that holds just that is taken as it is.
    pub(crate) async fn commit(
        &self,
        pinned: Option<Arc<TableSnapshot>>,
        change: &TableChange,
    ) -> Result<u64> {
        let target = Arc::new(self.target(pinned.as_deref(), change)?);
        for attempt in 0..ATTEMPTS_MAX {
            let exists = self.exists().await?;
            let wanted = Arc::clone(&target);
            let step = self
                .blocking(move |table| {
                    if exists {
                        table.update(&wanted)
                    } else {
                        table.create(&wanted)
                    }
                })
                .await?;
            match step {
                Attempt::Version(version) => return Ok(version),
                Attempt::Entry { version, text } => {
                    if self.put_entry(version, text).await? {
                        return Ok(version);
                    }
                }
                Attempt::Lost => {}
            }
            pause(attempt).await;
        }
        Err(Error::Contended {
            what: format!("table {}", self.id),
            attempts: ATTEMPTS_MAX,
        })
    }

    async fn exists(&self) -> Result<bool> {
        let log = self.root.clone().join("_delta_log");
        Ok(self
            .lake
            .store_ref()
            .list(Some(&log))
            .try_next()
            .await?
            .is_some())
    }

    async fn put_entry(&self, version: u64, text: String) -> Result<bool> {
        let path = self
            .root
            .clone()
            .join("_delta_log")
            .join(format!("{version:020}.json"));
        let options = PutOptions {
            mode: PutMode::Create,
            ..PutOptions::default()
        };
        match self
            .lake
            .store_ref()
            .put_opts(&path, PutPayload::from(text), options)
            .await
        {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let table = Self {
            lake: self.lake.clone(),
            id: self.id.clone(),
            root: self.root.clone(),
            url: self.url.clone(),
        };
        tokio::task::spawn_blocking(move || work(&table)).await?
    }

    fn engine(&self) -> Result<Engine> {
        let executor = executor().map_err(|e| self.error(e))?;
        Ok(DefaultEngineBuilder::new(self.lake.store())
            .with_task_executor(executor)
            .build())
    }

    fn error(&self, source: KernelError) -> Error {
        Error::delta(&self.id, source)
    }

    fn target(&self, pinned: Option<&TableSnapshot>, change: &TableChange) -> Result<Target> {
        let kept = if change.replace { None } else { pinned };
        let schema = self.wanted_schema(kept, change)?;
        let old = kept.into_iter().flat_map(|table| &table.files);
        let mut files = BTreeMap::new();
        for file in old.chain(&change.add) {
            files.insert(self.relative(&file.path)?, file.clone());
        }
        let partition_columns = change.partition_columns.clone();
        Ok(Target {
            schema,
            partition_columns,
            files,
        })
    }

    fn wanted_schema(
        &self,
        kept: Option<&TableSnapshot>,
        change: &TableChange,
    ) -> Result<StructType> {
        let mut columns: Vec<StructField> = Vec::new();
        let known = kept.iter().flat_map(|table| table.schema.fields());
        let given = change.schema.fields().iter();
        let partition = change
            .partition_columns
            .iter()
            .map(|name| Arc::new(Field::new(name, DataType::Utf8, true)))
            .collect::<Vec<_>>();
        for field in known.chain(given).chain(&partition) {
            let column = self.delta_column(field)?;
            match columns
                .iter_mut()
                .find(|c| c.name().eq_ignore_ascii_case(column.name()))
            {
                None => columns.push(column),
                Some(same) if same.data_type() == column.data_type() => {
                    self.told_too(same, &column)?;
                }
                Some(other) => {
                    return Err(Error::ColumnType {
                        table: self.id.clone(),
                        column: field.name().clone(),
                        stored: other.data_type().to_string(),
                        given: column.data_type().to_string(),
                    });
                }
            }
        }
        StructType::try_new(columns).map_err(|e| self.error(e))
    }

    /// Adds what new rows tell of a column of contigs to what the column told before.
    fn told_too(&self, column: &mut StructField, new: &StructField) -> Result<()> {
        let told = |column: &StructField, key: &str| told(column, key).map(str::to_owned);
        let both = |column: &StructField, key: &str| (told(column, key), told(new, key));
        let mut tells = BTreeMap::new();
        match both(column, ASSEMBLY_KEY) {
            (Some(stored), Some(given)) if stored != given => {
                return Err(Error::Assembly {
                    table: self.id.clone(),
                    stored,
                    given,
                });
            }
            // A table of which nobody knew it gets it with the first rows that tell.
            (None, Some(given)) => {
                tells.insert(ASSEMBLY_KEY, given);
            }
            _ => {}
        }
        if let (None, Some(given)) = both(column, CONTIG_SPELLING_KEY) {
            tells.insert(CONTIG_SPELLING_KEY, given);
        }
        let (stored, given) = both(column, CONTIG_LIKE_KEY);
        if stored != given {
            column.metadata.remove(CONTIG_LIKE_KEY);
        }
        match both(column, UNUSUAL_CONTIGS_KEY) {
            (Some(names), Some(new)) => {
                let names: BTreeSet<&str> = names.lines().chain(new.lines()).collect();
                let names: Vec<&str> = names.into_iter().collect();
                tells.insert(UNUSUAL_CONTIGS_KEY, names.join("\n"));
            }
            // They are told only where all are known.
            _ => {
                column.metadata.remove(UNUSUAL_CONTIGS_KEY);
            }
        }
        for (key, told) in tells {
            let told = MetadataValue::String(told);
            column.metadata.insert(key.to_owned(), told);
        }
        Ok(())
    }

    fn delta_column(&self, field: &Field) -> Result<StructField> {
        let refuse = || Error::UnsupportedType {
            table: self.id.clone(),
            column: field.name().clone(),
            given: field.data_type().to_string(),
        };
        if !lossless_in_delta(field.data_type()) {
            return Err(refuse());
        }
        let field = field.clone().with_nullable(true);
        (&field).try_into_kernel().map_err(|_| refuse())
    }

    fn relative(&self, path: &Path) -> Result<String> {
        let outside = || Error::Internal(format!("{path} is not below table {}", self.id));
        let parts = path.prefix_match(&self.root).ok_or_else(outside)?;
        Ok(parts
            .map(|part| part.as_ref().to_owned())
            .collect::<Vec<_>>()
            .join("/"))
    }

    fn create(&self, target: &Target) -> Result<Attempt> {
        let engine = self.engine()?;
        self.make_directory()?;
        let layout = if target.partition_columns.is_empty() {
            DataLayout::None
        } else {
            DataLayout::partitioned(target.partition_columns.clone())
        };
        let schema = Arc::new(target.schema.clone());
        let built = create_table(self.url.as_str(), schema, crate::ENGINE, true)
            .with_data_layout(layout)
            .build(&engine, Box::new(FileSystemCommitter::new()));
        let mut transaction = match built {
            Ok(transaction) => transaction,
            Err(KernelError::TableAlreadyExistsAtPath(_)) => return Ok(Attempt::Lost),
            Err(other) => return Err(self.error(other)),
        };
        let files: Vec<_> = target.files.iter().collect();
        if !files.is_empty() {
            transaction.add_files(actions::add(&files, &target.partition_columns)?);
        }
        let result = transaction.commit(&engine).map_err(|e| self.error(e))?;
        self.finish(result, &engine)
    }

    /// The kernel wants the directory of a local table to be there; a table without files has none.
    fn make_directory(&self) -> Result<()> {
        match self.url.to_file_path() {
            Ok(path) if self.url.scheme() == "file" => {
                std::fs::create_dir_all(&path).map_err(|e| Error::Location {
                    text: path.display().to_string(),
                    reason: format!("the directory of table {} cannot be made: {e}", self.id),
                })
            }
            _ => Ok(()),
        }
    }

    fn update(&self, target: &Target) -> Result<Attempt> {
        let engine = self.engine()?;
        let tip = self.tip(&engine)?;
        let added: Vec<_> = target
            .files
            .iter()
            .filter(|(path, _)| !tip.files.contains_key(*path))
            .collect();
        let removed: BTreeSet<&str> = tip
            .files
            .keys()
            .filter(|p| !target.files.contains_key(*p))
            .map(String::as_str)
            .collect();
        let Some(new_columns) = evolution(&tip, target) else {
            let version = tip.snapshot.version() + 1;
            let text = self.overwrite_entry(&tip, target, &added, &removed)?;
            return Ok(Attempt::Entry { version, text });
        };
        if added.is_empty() && removed.is_empty() && new_columns.is_empty() {
            return Ok(Attempt::Version(tip.snapshot.version()));
        }
        let mut builder = Arc::clone(&tip.snapshot).update_table(
            UpdateTableOperation::Write,
            crate::ENGINE,
            true,
        );
        for column in new_columns {
            builder = builder.add_column(column);
        }
        let mut transaction = builder
            .build(&engine, Box::new(FileSystemCommitter::new()))
            .map_err(|e| self.error(e))?;
        if !added.is_empty() {
            transaction.add_files(actions::add(&added, &target.partition_columns)?);
        }
        for scanned in tip.scanned {
            if let Some(selected) = self.select(scanned, &removed)? {
                transaction.remove_files(selected);
            }
        }
        let result = transaction.commit(&engine).map_err(|e| self.error(e))?;
        self.finish(result, &engine)
    }

    fn finish<S>(&self, result: CommitResult<S>, engine: &Engine) -> Result<Attempt> {
        match result {
            CommitResult::Committed(committed) => {
                self.checkpoint_if_due(&committed, engine);
                Ok(Attempt::Version(committed.commit_version()))
            }
            CommitResult::Conflicted(_) => Ok(Attempt::Lost),
            CommitResult::Retryable(failed) => {
                tracing::warn!(table = %self.id, error = %failed.error, "Delta commit is tried again");
                Ok(Attempt::Lost)
            }
        }
    }

    /// A checkpoint only saves time, so a failure is logged and no more.
    fn checkpoint_if_due(&self, committed: &CommittedTransaction, engine: &Engine) {
        if committed.post_commit_stats().commits_since_checkpoint < CHECKPOINT_EVERY {
            return;
        }
        let Some(snapshot) = committed.post_commit_snapshot() else {
            return;
        };
        if let Err(error) = snapshot.checkpoint(engine, None) {
            tracing::warn!(table = %self.id, %error, "no checkpoint was written");
        }
    }

    fn tip(&self, engine: &Engine) -> Result<Tip> {
        let snapshot = Snapshot::builder_for(self.url.as_str())
            .build(engine)
            .map_err(|e| self.error(e))?;
        let scanned = self.scan(engine, &snapshot)?;
        let mut files = BTreeMap::new();
        for batch in &scanned {
            for file in actions::files(batch, &self.root)? {
                files.insert(self.relative(&file.path)?, file);
            }
        }
        let partition_columns = partition_columns(&snapshot);
        Ok(Tip {
            snapshot,
            partition_columns,
            files,
            scanned,
        })
    }

    fn scan(&self, engine: &Engine, snapshot: &SnapshotRef) -> Result<Vec<FilteredEngineData>> {
        let scan = Arc::clone(snapshot)
            .scan_builder()
            .build()
            .map_err(|e| self.error(e))?;
        let batches = scan.scan_metadata(engine).map_err(|e| self.error(e))?;
        batches
            .map(|batch| Ok(batch.map_err(|e| self.error(e))?.scan_files))
            .collect()
    }

    /// Narrows scanned files to those to be removed; `None` when none of them is.
    fn select(
        &self,
        scanned: FilteredEngineData,
        removed: &BTreeSet<&str>,
    ) -> Result<Option<FilteredEngineData>> {
        let (data, mut selection) = scanned.into_parts();
        let paths = actions::paths(data.as_ref())?;
        selection.resize(paths.len(), true);
        for (selected, path) in selection.iter_mut().zip(&paths) {
            *selected &= removed.contains(actions::decoded(path)?.as_str());
        }
        if !selection.contains(&true) {
            return Ok(None);
        }
        FilteredEngineData::try_new(data, selection)
            .map(Some)
            .map_err(|e| self.error(e))
    }

    /// The log entry of an overwrite: new columns, files out, files in.
    fn overwrite_entry(
        &self,
        tip: &Tip,
        target: &Target,
        added: &[(&String, &DataFile)],
        removed: &BTreeSet<&str>,
    ) -> Result<String> {
        let now = chrono::Utc::now().timestamp_millis();
        let schema = serde_json::to_string(&target.schema)
            .map_err(|e| Error::Internal(format!("schema of {}: {e}", self.id)))?;
        let mut lines = vec![json!({"commitInfo": {
            "timestamp": now, "operation": "REPLACE TABLE", "operationParameters": {},
            "engineInfo": crate::ENGINE,
        }})];
        if schema.contains("\"timestamp_ntz\"") {
            lines.push(json!({"protocol": {
                "minReaderVersion": 3, "minWriterVersion": 7,
                "readerFeatures": ["timestampNtz"], "writerFeatures": ["timestampNtz"],
            }}));
        }
        lines.push(json!({"metaData": {
            "id": Uuid::new_v4().to_string(), "format": {"provider": "parquet", "options": {}},
            "schemaString": schema, "partitionColumns": target.partition_columns,
            "configuration": {}, "createdTime": now,
        }}));
        // The partitioning may differ, so files that stay are written again as well.
        let again = tip.partition_columns != target.partition_columns;
        for path in removed {
            let file = &tip.files[*path];
            lines.push(actions::remove_json(
                path,
                file,
                &tip.partition_columns,
                now,
            ));
        }
        let stays = target
            .files
            .iter()
            .filter(|(p, _)| again && tip.files.contains_key(*p));
        for (path, file) in stays.chain(added.iter().copied()) {
            lines.push(actions::add_json(path, file, &target.partition_columns)?);
        }
        Ok(lines.iter().map(|line| format!("{line}\n")).collect())
    }

    fn read(&self, engine: &Engine, snapshot: SnapshotRef) -> Result<TableSnapshot> {
        let mut files = Vec::new();
        for batch in self.scan(engine, &snapshot)? {
            files.extend(actions::files(&batch, &self.root)?);
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let schema: Schema = snapshot.schema().as_ref().try_into_arrow()?;
        Ok(TableSnapshot {
            id: self.id.clone(),
            delta_version: snapshot.version(),
            schema: as_we_name_it(&schema),
            partition_columns: partition_columns(&snapshot),
            files,
        })
    }
}

/// Columns to be added so that the tip has those of the target; `None` when it takes more than
/// that (a column less, another type, other partitions, a type that needs a table feature).
fn evolution(tip: &Tip, target: &Target) -> Option<Vec<StructField>> {
    if tip.partition_columns != target.partition_columns {
        return None;
    }
    let stored = tip.snapshot.schema();
    let wanted: HashMap<&str, &StructField> = target
        .schema
        .fields()
        .map(|f| (f.name().as_str(), f))
        .collect();
    for field in stored.fields() {
        let wanted = wanted.get(field.name().as_str())?;
        if wanted.data_type() != field.data_type() || !tell_alike(wanted, field) {
            return None;
        }
    }
    let new: Vec<StructField> = target
        .schema
        .fields()
        .filter(|f| stored.field(f.name()).is_none())
        .cloned()
        .collect();
    let plain = |f: &StructField| *f.data_type() != delta_kernel::schema::DataType::TIMESTAMP_NTZ;
    if new.iter().all(plain) {
        Some(new)
    } else {
        None
    }
}

/// What a column tells of the contigs in its rows.
fn told<'a>(column: &'a StructField, key: &str) -> Option<&'a str> {
    match column.metadata.get(key)? {
        MetadataValue::String(told) => Some(told),
        _ => None,
    }
}

/// Whether two columns tell the same of the contigs in their rows.
fn tell_alike(one: &StructField, other: &StructField) -> bool {
    let keys = [
        ASSEMBLY_KEY,
        CONTIG_SPELLING_KEY,
        CONTIG_LIKE_KEY,
        UNUSUAL_CONTIGS_KEY,
    ];
    keys.iter().all(|key| told(one, key) == told(other, key))
}

fn partition_columns(snapshot: &SnapshotRef) -> Vec<String> {
    snapshot
        .table_configuration()
        .logical_partition_columns()
        .to_vec()
}

/// Types that a Delta table gives back as they were (unsigned integers and `Null` would not be).
fn lossless_in_delta(data_type: &DataType) -> bool {
    match data_type {
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => false,
        DataType::Null | DataType::Date64 | DataType::FixedSizeBinary(_) => false,
        DataType::Timestamp(unit, _) => *unit == arrow::datatypes::TimeUnit::Microsecond,
        DataType::List(item) => lossless_in_delta(item.data_type()),
        DataType::Struct(fields) => fields.iter().all(|f| lossless_in_delta(f.data_type())),
        _ => true,
    }
}

/// The schema with list items named `item`, as everywhere in genokura (Delta says `element`).
fn as_we_name_it(schema: &Schema) -> SchemaRef {
    let fields: Fields = schema
        .fields()
        .iter()
        .map(|f| Arc::new(name_items(f)))
        .collect();
    Arc::new(Schema::new(fields))
}

fn name_items(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::List(item) => {
            let item = name_items(item)
                .with_name("item")
                .with_metadata(HashMap::new());
            DataType::List(Arc::new(item))
        }
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|f| Arc::new(name_items(f))).collect())
        }
        other => other.clone(),
    };
    field.clone().with_data_type(data_type)
}

/// The executor of the kernel's I/O; one for the process, since a runtime must not end while
/// pooled connections of a shared store live on it.
fn executor() -> Result<Arc<TokioMultiThreadExecutor>, KernelError> {
    static EXECUTOR: OnceLock<Arc<TokioMultiThreadExecutor>> = OnceLock::new();
    if let Some(executor) = EXECUTOR.get() {
        return Ok(Arc::clone(executor));
    }
    let made = Arc::new(TokioMultiThreadExecutor::new_owned_runtime(
        Some(IO_THREADS),
        None,
    )?);
    Ok(Arc::clone(EXECUTOR.get_or_init(|| made)))
}
