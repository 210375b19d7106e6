//! The engine as a session's backend: where exec, the genomic functions and the lake meet.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::execution::context::SessionContext;
use genokura_exec::{AccessContext, Engine, EngineConfig};
use genokura_storage::{Lake, LakeSnapshot};

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
        let engine = Engine::new(lake, config).map_err(|error| refused(&error))?;
        Ok(Self { engine })
    }
}

#[async_trait]
impl Backend for EngineBackend {
    async fn snapshot(&self) -> Result<Snapshot, ServerError> {
        let snapshot = self.engine.lake().snapshot().await;
        let snapshot = snapshot.map_err(|error| refused(&error))?;
        Ok(Snapshot {
            version: snapshot.version,
            state: snapshot,
        })
    }

    fn context(&self, snapshot: &Snapshot, principal: &str) -> Result<SessionContext, ServerError> {
        self.restricted(snapshot, &AccessContext::all(principal))
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
        let state = Arc::clone(&snapshot.state).downcast::<LakeSnapshot>();
        let snapshot = state.map_err(|_| ServerError::internal("a snapshot of another backend"))?;
        let session =
            self.engine
                .session(snapshot, access.clone(), &genokura_sql_ext::register_all);
        let context = session.map_err(|error| refused(&error))?;
        crate::allowed::only_allowed_functions(&context);
        crate::semantics::install(&context);
        Ok(context)
    }
}

fn refused(error: &dyn std::error::Error) -> ServerError {
    ServerError::new("58030", error.to_string())
}
