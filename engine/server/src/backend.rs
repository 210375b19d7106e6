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
        let state = Arc::clone(&snapshot.state).downcast::<LakeSnapshot>();
        let snapshot = state.map_err(|_| ServerError::internal("a snapshot of another backend"))?;
        // Until policies exist every principal sees all samples; the scan asks the context all the same.
        let access = AccessContext::all(principal);
        let session = self
            .engine
            .session(snapshot, access, &genokura_sql_ext::register_all);
        session.map_err(|error| refused(&error))
    }
}

fn refused(error: &dyn std::error::Error) -> ServerError {
    ServerError::new("58030", error.to_string())
}
