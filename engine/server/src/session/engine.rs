//! Sessions on a lake: the engine as a [`Backend`].

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::execution::context::SessionContext;
use genokura_exec::{AccessContext, Engine};
use genokura_storage::LakeSnapshot;

use super::{Backend, Snapshot};
use crate::sqlstate::{ServerError, with_causes};

/// Queries the lake of an engine; every user sees all samples until roles exist.
pub struct EngineBackend {
    engine: Arc<Engine>,
}

impl EngineBackend {
    /// A backend over `engine`.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> EngineBackend {
        EngineBackend { engine }
    }
}

#[async_trait]
impl Backend for EngineBackend {
    async fn snapshot(&self) -> Result<Snapshot, ServerError> {
        let snapshot = self
            .engine
            .lake()
            .snapshot()
            .await
            .map_err(|error| ServerError::new("58030", with_causes(&error)))?;
        Ok(Snapshot { version: snapshot.version, state: snapshot })
    }

    fn context(
        &self,
        snapshot: &Snapshot,
        principal: &str,
    ) -> Result<SessionContext, ServerError> {
        let state = Arc::clone(&snapshot.state)
            .downcast::<LakeSnapshot>()
            .map_err(|_| ServerError::internal("a snapshot of another backend"))?;
        self.engine
            .session(state, AccessContext::all(principal), &genokura_sql_ext::register_all)
            .map_err(|error| ServerError::new("58000", with_causes(&error)))
    }
}
