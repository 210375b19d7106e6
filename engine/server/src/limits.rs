//! Limits: connections of the server, memory of one query.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::sqlstate::{ServerError, Severity};

/// Places beside all others that are kept for admins, as PostgreSQL keeps three for superusers.
const RESERVED: usize = 3;

/// Hands out at most `max` connection permits at a time, and a few more to admins.
#[derive(Clone, Debug)]
pub struct ConnectionLimit {
    permits: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
}

impl ConnectionLimit {
    /// A limit of `max` connections at once.
    #[must_use]
    pub fn new(max: usize) -> ConnectionLimit {
        ConnectionLimit {
            permits: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))),
            reserved: Arc::new(Semaphore::new(RESERVED)),
        }
    }

    /// A permit that frees its place when dropped.
    ///
    /// # Errors
    /// 53300 when all places are taken.
    pub fn enter(&self) -> Result<OwnedSemaphorePermit, ServerError> {
        permit(&self.permits)
    }

    /// As [`ConnectionLimit::enter`], for an admin: whoever fills the server can be ended.
    ///
    /// # Errors
    /// 53300 when the reserved places are taken, too.
    pub fn enter_as_admin(&self) -> Result<OwnedSemaphorePermit, ServerError> {
        self.enter().or_else(|_full| permit(&self.reserved))
    }
}

fn permit(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ServerError> {
    Arc::clone(places).try_acquire_owned().map_err(|_| {
        ServerError::new("53300", "sorry, too many clients already").severity(Severity::Fatal)
    })
}

/// A memory pool that lets one query take at most `limit` bytes of the pool it stands on.
#[derive(Debug)]
pub struct QueryPool {
    parent: Arc<dyn MemoryPool>,
    limit: usize,
    used: AtomicUsize,
}

impl QueryPool {
    /// At most `limit` bytes of `parent`.
    #[must_use]
    pub fn new(parent: Arc<dyn MemoryPool>, limit: usize) -> QueryPool {
        QueryPool {
            parent,
            limit,
            used: AtomicUsize::new(0),
        }
    }
}

impl std::fmt::Display for QueryPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "query(limit: {} bytes)", self.limit)
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.parent.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.parent.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);
        self.parent.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        self.parent.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let fits = |used: usize| {
            used.checked_add(additional)
                .filter(|sum| *sum <= self.limit)
        };
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map_err(|used| {
                DataFusionError::ResourcesExhausted(format!(
                    "{} asked for {additional} bytes; the query holds {used} of {} bytes",
                    reservation.consumer().name(),
                    self.limit
                ))
            })?;
        self.parent
            .try_grow(reservation, additional)
            .inspect_err(|_| {
                self.used.fetch_sub(additional, Ordering::Relaxed);
            })
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}
