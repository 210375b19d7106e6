//! The engine of a process and the sessions it makes.
//!
//! Sessions share the runtime (memory pool, spill files, footer caches) and nothing else: each has its own settings,
//! functions and catalog, and sees one lake snapshot as one access context may.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use datafusion::catalog::CatalogProvider;
use datafusion::common::config::Dialect;
use datafusion::execution::SessionState;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{
    FairSpillPool, GreedyMemoryPool, MemoryPool, TrackConsumersPool,
};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use genokura_storage::{Lake, LakeSnapshot};
use parking_lot::Mutex;

use crate::access::AccessContext;
use crate::catalog::LakeCatalog;
use crate::dataset::{Dataset, DatasetView};
use crate::directory::CellAccess;
use crate::error::Result;

/// Name of the catalog, which PostgreSQL clients see as the database.
pub const CATALOG: &str = "genokura";
/// Name of the schema that unqualified names refer to; of the lake it holds the cohorts, and nothing else.
pub const DEFAULT_SCHEMA: &str = genokura_storage::COHORT_SCHEMA;

/// Datasets and views of them kept in memory per engine.
const CACHED_DATASETS: usize = 64;
/// How many of the largest memory consumers an out-of-memory error names.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4);
/// Bytes of query memory when nothing is configured.
const MEMORY_BYTES_DEFAULT: usize = 2 << 30;
/// Rows of a batch when nothing is configured.
const BATCH_SIZE_DEFAULT: usize = 8_192;

/// How concurrent operators share the memory of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryPoolKind {
    /// First come, first served: best when few queries run at a time.
    #[default]
    Greedy,
    /// Operators that can spill get equal shares: best when many queries run at a time.
    Fair,
}

/// Settings of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Partitions a query is split into; usually the number of cores.
    pub partitions: usize,
    /// Rows of a record batch at most.
    pub batch_size: usize,
    /// Bytes that sorts, joins and aggregates of all queries together may hold before they spill or fail.
    pub memory_bytes: usize,
    /// How queries share these bytes.
    pub memory_pool: MemoryPoolKind,
    /// Directory of spill files; `None`: the system's directory of temporary files.
    pub spill_dir: Option<PathBuf>,
    /// Bytes of spill files at most; `None`: DataFusion's own limit.
    pub spill_bytes_max: Option<u64>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            partitions: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            batch_size: BATCH_SIZE_DEFAULT,
            memory_bytes: MEMORY_BYTES_DEFAULT,
            memory_pool: MemoryPoolKind::default(),
            spill_dir: None,
            spill_bytes_max: None,
        }
    }
}

/// What all sessions of a process on one lake share.
#[derive(Debug)]
pub struct Engine {
    lake: Arc<Lake>,
    config: EngineConfig,
    runtime: Arc<RuntimeEnv>,
    datasets: Mutex<Vec<CachedDataset>>,
    views: Mutex<Vec<CachedView>>,
}

#[derive(Debug)]
struct CachedDataset {
    name: String,
    version: Option<u64>,
    data: Arc<Dataset>,
}

#[derive(Debug)]
struct CachedView {
    data: Arc<Dataset>,
    view: Arc<DatasetView>,
}

impl Engine {
    /// An engine on `lake`. Reads nothing yet.
    ///
    /// # Errors
    /// When the spill directory cannot be used.
    pub fn new(lake: Arc<Lake>, config: EngineConfig) -> Result<Arc<Self>> {
        let runtime = runtime(&config)?;
        runtime.register_object_store(lake_store_url().as_ref(), lake.store());
        Ok(Arc::new(Self {
            lake,
            config,
            runtime,
            datasets: Mutex::default(),
            views: Mutex::default(),
        }))
    }

    /// The lake that is queried.
    pub fn lake(&self) -> &Arc<Lake> {
        &self.lake
    }

    /// The settings the engine was made with.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Memory pool, spill files and object stores shared by all sessions.
    pub fn runtime(&self) -> &Arc<RuntimeEnv> {
        &self.runtime
    }

    /// A session over `snapshot` as `access` may see it. `extensions` adds functions, rules and planners.
    ///
    /// The session keeps the snapshot: later commits are not seen. To move a session to another
    /// snapshot register [`Engine::catalog`] of it under [`CATALOG`].
    ///
    /// # Errors
    /// None today; settings that DataFusion refuses would be reported here.
    pub fn session(
        self: &Arc<Self>,
        snapshot: Arc<LakeSnapshot>,
        access: AccessContext,
        extensions: &dyn Fn(SessionStateBuilder) -> SessionStateBuilder,
    ) -> Result<SessionContext> {
        let mut state = extensions(self.state_builder()).build();
        let options = state.config_mut().options_mut();
        options.extensions.insert(CellAccess::of(&access));
        let context = SessionContext::new_with_state(state);
        context.register_catalog(CATALOG, self.catalog(snapshot, access));
        Ok(context)
    }

    /// The catalog of a snapshot as `access` may see it: one schema per dataset and per plain schema,
    /// and an empty [`DEFAULT_SCHEMA`] that takes session tables.
    pub fn catalog(
        self: &Arc<Self>,
        snapshot: Arc<LakeSnapshot>,
        access: AccessContext,
    ) -> Arc<dyn CatalogProvider> {
        Arc::new(LakeCatalog::new(Arc::clone(self), snapshot, access))
    }

    /// Settings, runtime and standard functions of a session, without a catalog.
    fn state_builder(self: &Arc<Self>) -> SessionStateBuilder {
        SessionStateBuilder::new()
            .with_config(self.session_config())
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_default_features()
    }

    fn session_config(self: &Arc<Self>) -> SessionConfig {
        let mut config = SessionConfig::new()
            .with_target_partitions(self.config.partitions.max(1))
            .with_batch_size(self.config.batch_size.max(1))
            .with_default_catalog_and_schema(CATALOG, DEFAULT_SCHEMA)
            .with_create_default_catalog_and_schema(false)
            // The server has its own, with PostgreSQL's columns; DataFusion's tells of the engine's settings.
            .with_information_schema(false)
            .with_extension(Arc::clone(self));
        let options = config.options_mut();
        options.sql_parser.dialect = Dialect::PostgreSQL;
        options.sql_parser.enable_ident_normalization = true;
        options.sql_parser.map_string_types_to_utf8view = false;
        options.execution.parquet.schema_force_view_types = false;
        options.execution.parquet.pushdown_filters = true;
        // The planner takes `x IS TRUE` for what is never NULL, and what computes it for what may be: that is no error.
        options.execution.skip_physical_aggregate_schema_check = true;
        config
    }

    /// A dataset of a snapshot as `access` may see it, loaded once per version.
    pub(crate) async fn view(
        &self,
        snapshot: &Arc<LakeSnapshot>,
        name: &str,
        access: &AccessContext,
    ) -> Result<Option<Arc<DatasetView>>> {
        let Some(data) = self.dataset(snapshot, name).await? else {
            return Ok(None);
        };
        let matches = |c: &CachedView| Arc::ptr_eq(&c.data, &data) && c.view.access == *access;
        if let Some(found) = self.views.lock().iter().find(|c| matches(c)) {
            return Ok(Some(Arc::clone(&found.view)));
        }
        let view = Arc::new(DatasetView::new(Arc::clone(&data), access.clone())?);
        let cached = CachedView {
            data,
            view: Arc::clone(&view),
        };
        push_bounded(&mut self.views.lock(), cached);
        Ok(Some(view))
    }

    pub(crate) async fn dataset(
        &self,
        snapshot: &Arc<LakeSnapshot>,
        name: &str,
    ) -> Result<Option<Arc<Dataset>>> {
        let matches = |c: &CachedDataset| c.name == name && c.version == snapshot.version;
        if let Some(found) = self.datasets.lock().iter().find(|c| matches(c)) {
            return Ok(Some(Arc::clone(&found.data)));
        }
        let Some(data) = Dataset::load(snapshot, name).await? else {
            return Ok(None);
        };
        let data = Arc::new(data);
        let cached = CachedDataset {
            name: name.to_owned(),
            version: snapshot.version,
            data: Arc::clone(&data),
        };
        push_bounded(&mut self.datasets.lock(), cached);
        Ok(Some(data))
    }
}

/// Appends to a cache and drops its oldest entry when it is full.
fn push_bounded<T>(cache: &mut Vec<T>, entry: T) {
    if cache.len() >= CACHED_DATASETS {
        cache.remove(0);
    }
    cache.push(entry);
}

/// The URL under which the runtime knows the lake's store; never shown and never resolved by name.
#[expect(clippy::expect_used, reason = "a constant URL, parsed in every test")]
pub(crate) fn lake_store_url() -> &'static ObjectStoreUrl {
    static URL: LazyLock<ObjectStoreUrl> = LazyLock::new(|| {
        ObjectStoreUrl::parse("genokura-lake://lake/").expect("a constant URL parses")
    });
    &URL
}

fn runtime(config: &EngineConfig) -> Result<Arc<RuntimeEnv>> {
    let mut disk = DiskManagerBuilder::default();
    if let Some(dir) = &config.spill_dir {
        disk = disk.with_mode(DiskManagerMode::Directories(vec![dir.clone()]));
    }
    if let Some(bytes) = config.spill_bytes_max {
        disk = disk.with_max_temp_directory_size(bytes);
    }
    let builder = RuntimeEnvBuilder::new()
        .with_memory_pool(memory_pool(config))
        .with_disk_manager_builder(disk);
    Ok(builder.build_arc()?)
}

fn memory_pool(config: &EngineConfig) -> Arc<dyn MemoryPool> {
    let bytes = config.memory_bytes;
    match config.memory_pool {
        MemoryPoolKind::Greedy => Arc::new(TrackConsumersPool::new(
            GreedyMemoryPool::new(bytes),
            CONSUMERS_NAMED,
        )),
        MemoryPoolKind::Fair => Arc::new(TrackConsumersPool::new(
            FairSpillPool::new(bytes),
            CONSUMERS_NAMED,
        )),
    }
}

/// The engine behind a session's state, for callers that only hold the state.
pub fn engine_of(state: &SessionState) -> Option<Arc<Engine>> {
    state.config().get_extension::<Engine>()
}
