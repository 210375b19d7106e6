//! The memory that a catalog query's rows take, out of what its session may use.
//!
//! Rows are counted as they are made and forgotten when the query, or the subquery, that made them is done. What a row
//! shares with others is counted in each: the sum is never too small by much, and too large by little.

use std::cell::Cell;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};

use super::{Cx, Tuple};
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::model::SessionInfo;
use crate::pg_catalog::value::Value;

/// Memory is taken in steps of so many bytes: most catalog queries take none.
const STEP: usize = 1 << 20;

/// What is counted, and where it comes from.
pub(super) struct Memory {
    now: Cell<usize>,
    taken: Option<MemoryReservation>,
}

impl Memory {
    pub(super) fn of(session: &SessionInfo) -> Memory {
        let pool = session.memory.as_ref();
        Memory {
            now: Cell::new(0),
            taken: pool.map(|pool| MemoryConsumer::new("catalog query").register(pool)),
        }
    }
}

impl Cx<'_> {
    /// Counts bytes that are kept.
    ///
    /// # Errors
    /// 53200 when there are no more.
    pub(in crate::pg_catalog) fn keep(&self, bytes: usize) -> Result<()> {
        let now = self.memory.now.get().saturating_add(bytes);
        self.memory.now.set(now);
        let Some(taken) = &self.memory.taken else {
            return Ok(());
        };
        let has = taken.size();
        if now < STEP || now <= has {
            return Ok(());
        }
        let more = (now - has).next_multiple_of(STEP);
        taken.try_grow(more).map_err(|_full| {
            CatalogError::new("53200", "out of memory")
                .hint("Name the tables or columns you want to know about.")
        })
    }

    /// Runs a query, of which nothing is kept but its result.
    pub(in crate::pg_catalog) fn keeping<T>(&self, query: impl FnOnce() -> Result<T>) -> Result<T> {
        let before = self.memory.now.get();
        let result = query();
        self.memory.now.set(before);
        result
    }
}

/// The bytes of some values.
pub(super) fn bytes_of(values: &[Value]) -> usize {
    size_of_val(values) + values.iter().map(beside).sum::<usize>()
}

/// The bytes of a tuple, whose rows others have.
pub(super) fn of_tuple(tuple: &Tuple) -> usize {
    size_of::<Tuple>() + size_of_val(tuple.as_slice())
}

/// What a value has elsewhere.
fn beside(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Reg(_, text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(array) => bytes_of(&array.items),
        Value::Record(record) => bytes_of(&record.values),
        _ => 0,
    }
}
