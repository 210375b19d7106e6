//! The memory of what functions make of values: texts, bytea and lists.
//!
//! The planner's memory pool counts what operators keep, not what functions make for them. Here each function that can
//! make more than it is given is called through [`bounded`], which
//!
//! ```text
//! reckons how much it will make of a batch of rows       little: it is called, and nothing is counted
//! refuses a value that no statement may have             54000, 53200 before the bytes are made
//! calls it for a few rows at a time                      stopped in between, when nobody waits any more
//! takes memory for what was made                         given back when the last array of it is dropped
//! ```
//!
//! Sorts and joins count such batches too, where they keep them. So functions have a share of their own beside what the
//! operators of the statement may take: what was answered before is not refused because it is counted twice.

mod bounded;
mod holding;
mod joined;
mod kinds;
mod lengths;
mod reckoned;
mod windows;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

use parking_lot::Mutex;

pub(crate) use bounded::bounding;
pub(crate) use lengths::each as widths_of;

use crate::sqlstate::ServerError;

/// Bytes of the longest value; PostgreSQL's ends at 1 GB.
const VALUE_MAX: usize = 256 << 20;
/// How often the memory of a role goes into what functions of one statement may hold: arrays are counted here and by
/// operators that keep them.
const SHARES: usize = 2;
/// One part in so many of the engine's memory is left to functions where sorts have taken all of it: they spill, once
/// they ask for more.
const SLACK: usize = 4;

/// What functions of one statement may hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made(Option<Arc<Share>>);

#[derive(Debug)]
struct Share {
    pool: Arc<dyn MemoryPool>,
    most: usize,
    /// Constants that were computed while the statement was planned stay in its plan.
    constants: MemoryReservation,
    /// Columns of windows that are made of whole partitions at once.
    whole: Mutex<BTreeSet<String>>,
}

impl Made {
    /// A share for a statement whose operators may take `limit` bytes of the engine's memory.
    pub(crate) fn of(engine: &Arc<dyn MemoryPool>, limit: Option<usize>) -> Made {
        let all = match engine.memory_limit() {
            MemoryLimit::Finite(bytes) => bytes,
            _ => usize::MAX,
        };
        let most = limit.map_or(all, |limit| limit.saturating_mul(SHARES).min(all));
        let pool: Arc<dyn MemoryPool> = Arc::new(MadePool {
            parent: Arc::clone(engine),
            most,
            parent_most: all.saturating_add(all / SLACK),
            used: AtomicUsize::new(0),
        });
        let constants = MemoryConsumer::new("constants").register(&pool);
        Made(Some(Arc::new(Share {
            pool,
            most,
            constants,
            whole: Mutex::default(),
        })))
    }

    /// The share of the statement that a function is called for.
    pub(crate) fn within(options: &ConfigOptions) -> Made {
        options
            .extensions
            .get::<Made>()
            .cloned()
            .unwrap_or_default()
    }

    /// The pool that it is; `None` where nothing is counted.
    pub(crate) fn pool(&self) -> Option<Arc<dyn MemoryPool>> {
        self.0.as_ref().map(|share| Arc::clone(&share.pool))
    }

    /// The bytes that one value may have.
    fn most_of_value(&self) -> usize {
        self.0
            .as_ref()
            .map_or(VALUE_MAX, |share| share.most.min(VALUE_MAX))
    }

    /// A window makes this column of whole partitions at once.
    pub(crate) fn is_made_whole(&self, column: &str) {
        if let Some(share) = &self.0 {
            share.whole.lock().insert(column.to_owned());
        }
    }

    fn is_whole(&self, column: &str) -> bool {
        let share = self.0.as_ref();
        share.is_some_and(|share| share.whole.lock().contains(column))
    }

    /// The bytes that functions of the statement may hold; `None` where nothing is counted.
    pub(crate) fn most(&self) -> Option<usize> {
        self.0.as_ref().map(|share| share.most)
    }

    /// Memory for so many bytes; `None` where nothing is counted.
    ///
    /// # Errors
    /// 53200 when there is no more.
    pub(crate) fn take(&self, what: &str, bytes: usize) -> Result<Option<MemoryReservation>> {
        let Some(share) = &self.0 else {
            return Ok(None);
        };
        let held = MemoryConsumer::new(what).register(&share.pool);
        held.try_grow(bytes)?;
        Ok(Some(held))
    }

    /// Memory for a constant, as long as the plan that it is in.
    fn keep(&self, bytes: usize) -> Result<()> {
        match &self.0 {
            Some(share) if is_planning() => share.constants.try_grow(bytes),
            _ => Ok(()),
        }
    }

    /// What is told of a value that is too long.
    fn too_long(&self, function: &str, bytes: usize) -> DataFusionError {
        let most = self.most_of_value();
        let (code, text) = match function {
            "repeat" | "lpad" | "rpad" => ("54000", "requested length too large"),
            _ if bytes > VALUE_MAX => ("54000", "out of memory"),
            _ => ("53200", "out of memory"),
        };
        let error = ServerError::new(code, text).detail(format!(
            "A value of {bytes} bytes was asked of {function}; one may have {most} bytes."
        ));
        DataFusionError::External(Box::new(error))
    }
}

/// What is told of an array that has no room for its values.
fn too_much(bytes: usize) -> DataFusionError {
    DataFusionError::ResourcesExhausted(format!("rows of {bytes} bytes at once"))
}

genokura_exec::carried_in_options!(Made, "made");

thread_local! {
    /// How many rules of the planner this thread is in.
    static PLANNING: Cell<usize> = const { Cell::new(0) };
}

fn is_planning() -> bool {
    PLANNING.get() > 0
}

/// Runs a rule of the planner: what is computed within are constants, which stay.
pub(crate) fn planning<T>(rule: impl FnOnce() -> T) -> T {
    struct Within;
    impl Drop for Within {
        fn drop(&mut self) {
            PLANNING.set(PLANNING.get().saturating_sub(1));
        }
    }
    PLANNING.set(PLANNING.get() + 1);
    let _within = Within;
    rule()
}

/// A share of the engine's memory that operators do not take theirs from.
#[derive(Debug)]
struct MadePool {
    parent: Arc<dyn MemoryPool>,
    most: usize,
    parent_most: usize,
    used: AtomicUsize,
}

impl fmt::Display for MadePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "functions(limit: {} bytes)", self.most)
    }
}

impl MemoryPool for MadePool {
    fn name(&self) -> &str {
        "functions"
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
        let what = reservation.consumer().name();
        let fits = |used: usize| {
            let sum = used.checked_add(additional);
            sum.filter(|sum| *sum <= self.most)
        };
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        taken.map_err(|used| {
            DataFusionError::ResourcesExhausted(format!(
                "{what} asked for {additional} bytes; functions of the query hold {used} of {} bytes",
                self.most
            ))
        })?;
        let all = self.parent.reserved().saturating_add(additional);
        if all > self.parent_most {
            self.used.fetch_sub(additional, Ordering::Relaxed);
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{what} asked for {additional} bytes, which the server does not have left"
            )));
        }
        self.parent.grow(reservation, additional);
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.most)
    }
}
