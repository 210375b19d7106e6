//! What a session queries: a source of snapshots and of DataFusion contexts over them.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::execution::context::SessionContext;
use datafusion::execution::memory_pool::MemoryPool;
use genokura_exec::AccessContext;
use genokura_storage::{CohortState, CommitOutcome};

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

    /// What the memory of long messages is taken from; None: nothing counts it.
    fn memory(&self) -> Option<Arc<dyn MemoryPool>> {
        None
    }

    /// The cohorts that the lake keeps.
    fn cohorts(&self, _snapshot: &Snapshot) -> Arc<BTreeMap<String, CohortState>> {
        Arc::default()
    }

    /// The samples of every dataset that `access` lets read anything of, as far as it lets them be seen.
    ///
    /// # Errors
    /// Tables of the lake that cannot be read.
    async fn samples(
        &self,
        _snapshot: &Snapshot,
        _access: &AccessContext,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, ServerError> {
        Ok(BTreeMap::new())
    }

    /// All samples of a cohort of the lake.
    ///
    /// # Errors
    /// Tables of the lake that cannot be read.
    async fn cohort_members(
        &self,
        _snapshot: &Snapshot,
        _name: &str,
    ) -> Result<BTreeSet<String>, ServerError> {
        Ok(BTreeSet::new())
    }

    /// Writes a cohort to the lake, whole.
    ///
    /// # Errors
    /// 58030 when the lake cannot be written.
    async fn put_cohort(
        &self,
        _snapshot: &Snapshot,
        _name: &str,
        _cohort: CohortState,
        _members: &BTreeSet<String>,
    ) -> Result<CommitOutcome, ServerError> {
        Err(ServerError::unsupported("cohorts cannot be kept here"))
    }

    /// Takes cohorts out of the lake.
    ///
    /// # Errors
    /// 58030 when the lake cannot be written.
    async fn drop_cohorts(
        &self,
        _snapshot: &Snapshot,
        _names: BTreeSet<String>,
    ) -> Result<CommitOutcome, ServerError> {
        Err(ServerError::unsupported("cohorts cannot be kept here"))
    }

    /// Numbers of the engine for `/metrics`: name, what it is, value.
    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)> {
        Vec::new()
    }

    /// As [`Backend::context`], with only what `access` lets through.
    ///
    /// # Errors
    /// A backend that cannot restrict refuses every access but the owner's.
    fn restricted(
        &self,
        snapshot: &Snapshot,
        access: &AccessContext,
    ) -> Result<SessionContext, ServerError> {
        if *access == AccessContext::all(&access.principal) {
            return self.context(snapshot, &access.principal);
        }
        Err(ServerError::internal("a backend that restricts nobody"))
    }
}
