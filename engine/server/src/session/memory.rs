//! The memory of what a session keeps between its statements: temporary tables, prepared statements, portals, savepoints,
//! and rows of COPY that have not ended.
//!
//! It is taken from the memory of the engine, so that what all sessions keep together has an end, and no session keeps
//! more than its role's limit or a share of the whole. Unnamed statements and portals are one each and short-lived: they
//! count when they are long.

use std::sync::Arc;

use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

use super::Session;
use crate::limits::QueryPool;
use crate::roles::Authorised;
use crate::sqlstate::ServerError;

/// The share of the engine's memory that one session may keep: one in this many.
const SHARE: usize = 4;
/// What a prepared statement takes beside its text: types, columns, a plan. Measured: 80 KB for short ones.
const PREPARED_BYTES: usize = 80 << 10;
/// What each byte of its text takes: itself, twice, and what it was parsed to.
const PREPARED_TEXT: usize = 5;
/// What a portal takes beside its values: a plan, and rows on their way. Measured: 300 KB.
const PORTAL_BYTES: usize = 300 << 10;
/// What a temporary view takes beside its text. Measured: 50 KB for short ones.
const VIEW_BYTES: usize = 50 << 10;
/// What a savepoint takes beside the texts of the settings, which it keeps.
const SAVEPOINT_BYTES: usize = 16 << 10;
/// What each byte of its values takes.
const PORTAL_VALUES: usize = 3;
/// Bytes of unnamed statements and portals that are not counted.
const UNCOUNTED_MAX: usize = 1 << 20;

/// The memory that a session may keep.
#[derive(Clone)]
pub(super) struct SessionMemory {
    pool: Arc<dyn MemoryPool>,
    most: usize,
}

impl SessionMemory {
    /// Memory of `parent` for one session.
    pub(super) fn new(parent: &Arc<dyn MemoryPool>) -> SessionMemory {
        let pool = QueryPool::new(Arc::clone(parent), usize::MAX);
        SessionMemory {
            pool: Arc::new(pool),
            most: usize::MAX,
        }
    }

    /// The same memory, of which at most `limit` bytes and the session's share may be held.
    pub(super) fn at_most(&self, limit: Option<usize>, engine: usize) -> SessionMemory {
        let share = engine / SHARE;
        SessionMemory {
            pool: Arc::clone(&self.pool),
            most: limit.map_or(share, |limit| limit.min(share)),
        }
    }

    /// Memory for `what`, in the plural.
    ///
    /// # Errors
    /// 53200 when the session may not hold so much, or the engine has no more.
    pub(super) fn take(
        &self,
        what: &'static str,
        bytes: usize,
    ) -> Result<MemoryReservation, ServerError> {
        let held = MemoryConsumer::new(what).register(&self.pool);
        self.grow(&held, what, bytes)?;
        Ok(held)
    }

    /// More memory for `what`.
    ///
    /// # Errors
    /// As [`SessionMemory::take`].
    pub(super) fn grow(
        &self,
        held: &MemoryReservation,
        what: &'static str,
        bytes: usize,
    ) -> Result<(), ServerError> {
        if self.pool.reserved().saturating_add(bytes) > self.most {
            let text = format!("the {what} of the session do not fit into its memory");
            return Err(ServerError::new("53200", text)
                .detail(format!("A session may keep {} bytes.", self.most)));
        }
        Ok(held.try_grow(bytes)?)
    }
}

/// The bytes that the memory of an engine has.
pub(super) fn all_of(pool: &Arc<dyn MemoryPool>) -> usize {
    match pool.memory_limit() {
        MemoryLimit::Finite(bytes) => bytes,
        _ => usize::MAX,
    }
}

impl Session {
    /// The memory of a prepared statement; `None` where nothing counts it.
    pub(super) fn memory_of_prepared(
        &mut self,
        name: &str,
        text: &str,
    ) -> Result<Option<MemoryReservation>, ServerError> {
        let text = text.len().saturating_mul(PREPARED_TEXT);
        let hint = "DEALLOCATE those that are not needed any more, or send shorter ones.";
        let bytes = PREPARED_BYTES.saturating_add(text);
        self.memory_of(name, "prepared statements", bytes)
            .map_err(|error| error.hint(hint))
    }

    /// The memory of a portal or cursor with so many bytes of values; `None` where nothing counts it.
    pub(super) fn memory_of_portal(
        &mut self,
        name: &str,
        values: usize,
    ) -> Result<Option<MemoryReservation>, ServerError> {
        let values = values.saturating_mul(PORTAL_VALUES);
        let hint = "CLOSE those that are not needed any more, or bind shorter values.";
        let bytes = PORTAL_BYTES.saturating_add(values);
        self.memory_of(name, "portals and cursors", bytes)
            .map_err(|error| error.hint(hint))
    }

    /// The memory of a temporary view; `None` where nothing counts it.
    pub(super) fn memory_of_view(
        &mut self,
        name: &str,
        text: usize,
    ) -> Result<Option<MemoryReservation>, ServerError> {
        let bytes = VIEW_BYTES.saturating_add(text.saturating_mul(PREPARED_TEXT));
        self.memory_of(name, "temporary views", bytes)
            .map_err(|error| error.hint("DROP those that are not needed any more."))
    }

    /// The memory of a savepoint; `None` where nothing counts it.
    pub(super) fn memory_of_savepoint(
        &mut self,
        name: &str,
    ) -> Result<Option<MemoryReservation>, ServerError> {
        let settings = self.settings.bytes();
        let bytes = SAVEPOINT_BYTES
            .saturating_add(name.len())
            .saturating_add(settings.saturating_mul(2));
        self.memory_of(name, "savepoints", bytes)
            .map_err(|error| error.hint("RELEASE those that are not needed any more."))
    }

    fn memory_of(
        &mut self,
        name: &str,
        what: &'static str,
        bytes: usize,
    ) -> Result<Option<MemoryReservation>, ServerError> {
        if name.is_empty() && bytes <= UNCOUNTED_MAX {
            return Ok(None);
        }
        let Some(pool) = self.backend.memory() else {
            return Ok(None);
        };
        let limits = self.authorised.as_ref().map(Authorised::limits);
        let limits = [
            self.options.memory_limit,
            limits.unwrap_or_default().memory_bytes,
        ];
        let memory = self
            .kept_memory
            .get_or_insert_with(|| SessionMemory::new(&pool));
        let memory = memory.at_most(limits.into_iter().flatten().min(), all_of(&pool));
        memory.take(what, bytes).map(Some)
    }
}
