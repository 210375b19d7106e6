//! The engine as a session's backend: where exec, the genomic functions and the lake meet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::execution::context::SessionContext;
use datafusion::execution::memory_pool::MemoryPool;
use genokura_exec::{AccessContext, Engine, EngineConfig};
use genokura_storage::{CohortState, CommitOutcome, Lake, LakeSnapshot};

use crate::config::Settings;
use crate::session::{Backend, Snapshot};
use crate::sqlstate::ServerError;

/// A lake behind one engine that all sessions share.
pub struct EngineBackend {
    engine: Arc<Engine>,
}

impl EngineBackend {
    /// A backend over an engine that is there already.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    /// An engine over `lake` with the memory and partitions of `settings`.
    ///
    /// # Errors
    /// When the engine's memory pool or spill directory cannot be made.
    pub fn open(lake: Arc<Lake>, settings: &Settings) -> Result<Self, ServerError> {
        let config = EngineConfig {
            partitions: settings.partitions(),
            memory_bytes: settings.memory_bytes,
            spill_dir: settings.spill_dir.clone(),
            spill_bytes_max: settings.spill_bytes,
            ..EngineConfig::default()
        };
        Self::with_config(lake, config)
    }

    /// An engine over `lake` with this configuration.
    ///
    /// # Errors
    /// As [`EngineBackend::open`].
    pub fn with_config(lake: Arc<Lake>, config: EngineConfig) -> Result<Self, ServerError> {
        let engine = Engine::new(lake, config).map_err(|error| of_engine(&error))?;
        Ok(Self { engine })
    }
}

#[async_trait]
impl Backend for EngineBackend {
    async fn snapshot(&self) -> Result<Snapshot, ServerError> {
        let snapshot = self.engine.lake().snapshot().await;
        let snapshot = snapshot.map_err(|error| of_lake_itself(&error))?;
        Ok(Snapshot {
            version: snapshot.version,
            state: snapshot,
        })
    }

    fn context(&self, snapshot: &Snapshot, principal: &str) -> Result<SessionContext, ServerError> {
        self.restricted(snapshot, &AccessContext::all(principal))
    }

    fn cohorts(&self, snapshot: &Snapshot) -> Arc<BTreeMap<String, CohortState>> {
        let cohorts = of_lake(snapshot).map(|snapshot| snapshot.state.cohorts.clone());
        Arc::new(cohorts.unwrap_or_default())
    }

    async fn samples(
        &self,
        snapshot: &Snapshot,
        access: &AccessContext,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, ServerError> {
        let samples = self.engine.samples(&of_lake(snapshot)?, access).await;
        samples.map_err(|error| of_engine(&error))
    }

    async fn cohort_members(
        &self,
        snapshot: &Snapshot,
        name: &str,
    ) -> Result<BTreeSet<String>, ServerError> {
        let members = of_lake(snapshot)?.cohort_members(name).await;
        Ok(members
            .map_err(|error| of_lake_itself(&error))?
            .unwrap_or_default())
    }

    async fn put_cohort(
        &self,
        snapshot: &Snapshot,
        name: &str,
        cohort: CohortState,
        members: &BTreeSet<String>,
    ) -> Result<CommitOutcome, ServerError> {
        let (lake, base) = (self.engine.lake(), of_lake(snapshot)?);
        let outcome = lake.put_cohort(&base, name, cohort, members).await;
        outcome.map_err(|error| unwritten(&error))
    }

    async fn drop_cohorts(
        &self,
        snapshot: &Snapshot,
        names: BTreeSet<String>,
    ) -> Result<CommitOutcome, ServerError> {
        let base = of_lake(snapshot)?;
        let outcome = self.engine.lake().drop_cohorts(&base, names).await;
        outcome.map_err(|error| unwritten(&error))
    }

    fn memory(&self) -> Option<Arc<dyn MemoryPool>> {
        Some(Arc::clone(&self.engine.runtime().memory_pool))
    }

    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)> {
        let runtime = self.engine.runtime();
        let bytes = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        vec![
            (
                "genokura_memory_reserved_bytes",
                "Memory that queries hold.",
                bytes(runtime.memory_pool.reserved()),
            ),
            (
                "genokura_memory_limit_bytes",
                "Memory that queries may hold together.",
                bytes(self.engine.config().memory_bytes),
            ),
            (
                "genokura_spill_bytes",
                "Spill files on disk, without those of roles with a limit of their own.",
                runtime.disk_manager.used_disk_space(),
            ),
        ]
    }

    fn restricted(
        &self,
        snapshot: &Snapshot,
        access: &AccessContext,
    ) -> Result<SessionContext, ServerError> {
        let snapshot = of_lake(snapshot)?;
        let session =
            self.engine
                .session(snapshot, access.clone(), &genokura_sql_ext::register_all);
        let mut context = session.map_err(|error| of_engine(&error))?;
        crate::allowed::only_allowed_functions(&context);
        crate::evaluated::register(&mut context)
            .map_err(|error| ServerError::internal(error.to_string()))?;
        crate::semantics::install(&context);
        let state = context.state_ref();
        let mut state = state.write();
        // A constant with a point is numeric.
        state
            .config_mut()
            .options_mut()
            .sql_parser
            .parse_float_as_decimal = true;
        drop(state);
        Ok(context)
    }
}

fn of_lake(snapshot: &Snapshot) -> Result<Arc<LakeSnapshot>, ServerError> {
    let state = Arc::clone(&snapshot.state).downcast::<LakeSnapshot>();
    state.map_err(|_| ServerError::internal("a snapshot of another backend"))
}

/// The lake did not take a change: a server without the right to write it is well set up.
fn unwritten(error: &genokura_storage::Error) -> ServerError {
    ServerError::of_writing(error).hint(
        "The server may lack the right to write the lake. A cohort of the session needs none: CREATE TEMP COHORT.",
    )
}

fn of_lake_itself(error: &genokura_storage::Error) -> ServerError {
    ServerError::of_storage("58030", error)
}

fn of_engine(error: &genokura_exec::Error) -> ServerError {
    ServerError::of_engine("58030", error)
}
