//! What a session queries: a source of snapshots and of DataFusion contexts over them.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::execution::context::SessionContext;

use crate::sqlstate::ServerError;

/// One state of the data that a statement or transaction reads.
#[derive(Clone)]
pub struct Snapshot {
    /// The number of the lake commit; None for an empty lake.
    pub version: Option<u64>,
    /// What the backend keeps of it.
    pub state: Arc<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The engine behind the sessions.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The newest snapshot; cheap when nothing was committed since the last call.
    async fn snapshot(&self) -> Result<Snapshot, ServerError>;

    /// A context over `snapshot` for `principal`: its tables under the catalog
    /// [`DATABASE`](crate::session::DATABASE), a schema each dataset, functions registered.
    fn context(&self, snapshot: &Snapshot, principal: &str) -> Result<SessionContext, ServerError>;
}
