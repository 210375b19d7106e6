//! The keys of unique indexes: which rows of a table have them, as hashes over rows in Arrow's row format.
//!
//! ```text
//! rows of a table   0      1      2     3          bytes  |key 0|key 1|key 3|
//! keys              k0     k1     NULL  k3         ends   5     10    10    15      table: hash of a key ─► its row
//! ```
//! Keys are added at the end as rows are, and the last of them are taken out when their rows go: by ROLLBACK, or as
//! they were refused. States of a table that differ by rows at the end share one set of keys, which holds those of the
//! newest; every change of other rows begins another.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, Decimal128Array, ListArray};
use arrow::compute::kernels::arity::unary;
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit,
};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::execution::memory_pool::MemoryReservation;
use hashbrown::HashTable;
use parking_lot::Mutex;

use crate::pg_types::PgType;
use crate::session::memory::SessionMemory;
use crate::sqlstate::ServerError;

/// What holds the memory of keys, in the plural.
const KEYS: &str = "keys of temporary tables";
const DAY: i128 = 86_400_000_000_000;

/// A set of keys that states of a table share.
pub(super) type SharedKeys = Arc<Mutex<KeySet>>;

/// The keys of the rows of a table, from its first on.
pub(super) struct KeySet {
    bytes: Vec<u8>,
    /// Where the key of each row ends; of a row without one, where that of the row before does.
    ends: Vec<usize>,
    table: HashTable<usize>,
    hasher: RandomState,
    held: Option<MemoryReservation>,
}

impl Default for KeySet {
    fn default() -> KeySet {
        KeySet {
            bytes: Vec::new(),
            ends: Vec::new(),
            table: HashTable::new(),
            hasher: RandomState::new(),
            held: None,
        }
    }
}

impl std::fmt::Debug for KeySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySet")
            .field("rows", &self.ends.len())
            .finish_non_exhaustive()
    }
}

/// The key of a row.
fn key_of<'a>(bytes: &'a [u8], ends: &[usize], row: usize) -> &'a [u8] {
    let start = match row.checked_sub(1) {
        Some(before) => ends.get(before).copied().unwrap_or_default(),
        None => 0,
    };
    let end = ends.get(row).copied().unwrap_or(start);
    bytes.get(start..end).unwrap_or_default()
}

impl KeySet {
    /// How many rows it knows.
    pub(super) fn rows(&self) -> usize {
        self.ends.len()
    }

    /// Forgets the rows from this one on.
    pub(super) fn truncate(&mut self, rows: usize) {
        while self.ends.len() > rows {
            let last = self.ends.len() - 1;
            let key = key_of(&self.bytes, &self.ends, last);
            if !key.is_empty() {
                let hash = self.hasher.hash_one(key);
                if let Ok(entry) = self.table.find_entry(hash, |row| *row == last) {
                    entry.remove();
                }
            }
            let kept = self.bytes.len() - key.len();
            self.bytes.truncate(kept);
            self.ends.pop();
        }
    }

    /// The row that has this key.
    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        let hash = self.hasher.hash_one(key);
        let is_it = |row: &usize| key_of(&self.bytes, &self.ends, *row) == key;
        self.table.find(hash, is_it).copied()
    }

    /// Whether a row has no key.
    pub(super) fn is_without(&self, row: usize) -> bool {
        key_of(&self.bytes, &self.ends, row).is_empty()
    }

    /// Adds the key of the next row, or none; the row that has it already when there is one, and nothing is added.
    pub(super) fn push(&mut self, key: Option<&[u8]>) -> Result<(), usize> {
        if let Some(key) = key {
            if let Some(row) = self.find(key) {
                return Err(row);
            }
            let row = self.ends.len();
            self.bytes.extend_from_slice(key);
            self.ends.push(self.bytes.len());
            let (bytes, ends, hasher) = (&self.bytes, &self.ends, &self.hasher);
            let hash = |row: &usize| hasher.hash_one(key_of(bytes, ends, *row));
            self.table.insert_unique(hash(&row), row, hash);
        } else {
            self.ends.push(self.bytes.len());
        }
        Ok(())
    }

    /// Takes the memory that it has.
    ///
    /// # Errors
    /// 53200 when the session may not hold so much.
    pub(super) fn hold(&mut self, memory: &SessionMemory) -> Result<(), ServerError> {
        let word = size_of::<usize>();
        let bytes = self.bytes.capacity()
            + self.ends.capacity() * word
            + self.table.capacity() * (word + 1);
        let held = match &mut self.held {
            Some(held) => held,
            None => self.held.insert(memory.take(KEYS, 0)?),
        };
        match bytes.checked_sub(held.size()) {
            Some(more) => memory.grow(held, KEYS, more),
            None => Ok(()),
        }
    }
}

/// The keys of some rows.
pub(super) struct Keys {
    rows: Rows,
    /// Rows that have no key, for a column of it is NULL.
    without: Vec<bool>,
}

impl Keys {
    /// The keys of the rows of a batch, of these columns. NULLs are equal where `nulls_equal`; else a row with one has
    /// no key.
    ///
    /// # Errors
    /// Never for types that [`has_keys`] knows.
    pub(super) fn of(
        batch: &RecordBatch,
        columns: &[usize],
        nulls_equal: bool,
    ) -> Result<Keys, ServerError> {
        let (mut arrays, mut fields) = (Vec::new(), Vec::new());
        let mut without = vec![false; batch.num_rows()];
        for at in columns {
            let (array, field) = batch
                .columns()
                .get(*at)
                .zip(batch.schema_ref().fields().get(*at))
                .ok_or_else(|| ServerError::internal("a key of a column that is not there"))?;
            if !nulls_equal && let Some(nulls) = array.logical_nulls() {
                for (row, without) in without.iter_mut().enumerate() {
                    *without |= nulls.is_null(row);
                }
            }
            let array = comparable(array, PgType::of_field(field))?;
            fields.push(SortField::new(array.data_type().clone()));
            arrays.push(array);
        }
        let converter = RowConverter::new(fields)?;
        Ok(Keys {
            rows: converter.convert_columns(&arrays)?,
            without,
        })
    }

    /// The key of a row; None when it has none.
    pub(super) fn get(&self, row: usize) -> Option<&[u8]> {
        let without = self.without.get(row).copied().unwrap_or(true);
        (!without && row < self.rows.num_rows()).then(|| self.rows.row(row).data())
    }
}

/// The same values, equal in their bytes where they are equal in SQL.
fn comparable(array: &ArrayRef, pg_type: PgType) -> Result<ArrayRef, ServerError> {
    Ok(match array.data_type() {
        DataType::Float32 => {
            let plain = |value: f32| match value.is_nan() {
                true => f32::NAN,
                // -0 is 0.
                false => value + 0.0,
            };
            Arc::new(unary::<Float32Type, _, Float32Type>(
                array.as_primitive(),
                plain,
            ))
        }
        DataType::Float64 => {
            let plain = |value: f64| match value.is_nan() {
                true => f64::NAN,
                false => value + 0.0,
            };
            Arc::new(unary::<Float64Type, _, Float64Type>(
                array.as_primitive(),
                plain,
            ))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let intervals = array.as_primitive::<IntervalMonthDayNanoType>();
            let lengths = intervals.iter().map(|interval| interval.map(length));
            let lengths: Decimal128Array = lengths.collect();
            Arc::new(lengths.with_precision_and_scale(38, 0)?)
        }
        // Blanks at the end are none.
        DataType::Utf8 if pg_type == PgType::BPCHAR => {
            let texts = array.as_string::<i32>().iter();
            let texts = texts.map(|text| text.map(|text| text.trim_end_matches(' ')));
            Arc::new(texts.collect::<arrow::array::StringArray>())
        }
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let element = pg_type.element().unwrap_or(pg_type);
            let items = comparable(list.values(), element)?;
            let item = item
                .as_ref()
                .clone()
                .with_data_type(items.data_type().clone());
            Arc::new(ListArray::try_new(
                Arc::new(item),
                list.offsets().clone(),
                items,
                list.nulls().cloned(),
            )?)
        }
        _ => Arc::clone(array),
    })
}

/// How long an interval is: a month is 30 days, a day 24 hours.
fn length(interval: IntervalMonthDayNano) -> i128 {
    let days = i128::from(interval.months) * 30 + i128::from(interval.days);
    days * DAY + i128::from(interval.nanoseconds)
}

/// Refuses types whose values make no keys here.
///
/// # Errors
/// 0A000 for what is text here and something else in PostgreSQL.
pub(super) fn has_keys(pg_type: PgType) -> Result<(), ServerError> {
    match pg_type.element().unwrap_or(pg_type) {
        PgType::JSONB => Err(ServerError::unsupported(
            "unique keys of type jsonb are not supported in a temporary table",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::{Float64Array, IntervalMonthDayNanoArray, StringArray};
    use arrow::datatypes::{Field, Schema};

    fn keys(array: ArrayRef) -> Keys {
        let field = Field::new("x", array.data_type().clone(), true);
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap();
        Keys::of(&batch, &[0], false).unwrap()
    }

    #[test]
    fn values_that_are_equal_have_one_key() {
        let other_nan = f64::from_bits(f64::NAN.to_bits() | 1);
        let floats = keys(Arc::new(Float64Array::from(vec![
            0.0,
            -0.0,
            f64::NAN,
            other_nan,
        ])));
        assert_eq!(floats.get(0), floats.get(1));
        assert_eq!(floats.get(2), floats.get(3));
        assert_ne!(floats.get(0), floats.get(2));
        let month = IntervalMonthDayNano::new(1, 0, 0);
        let days = IntervalMonthDayNano::new(0, 30, 0);
        let spans = keys(Arc::new(IntervalMonthDayNanoArray::from(vec![month, days])));
        assert_eq!(spans.get(0), spans.get(1));
        assert!(
            keys(Arc::new(StringArray::from(vec![None::<&str>])))
                .get(0)
                .is_none()
        );
    }

    #[test]
    fn keys_of_rows_that_go_are_free_again() {
        let mut set = KeySet::default();
        for key in [&b"a"[..], b"b", b"c"] {
            set.push(Some(key)).unwrap();
        }
        set.push(None).unwrap();
        assert_eq!(set.push(Some(b"b")), Err(1));
        assert_eq!(set.rows(), 4);
        set.truncate(1);
        assert_eq!(
            (set.rows(), set.find(b"b"), set.find(b"a")),
            (1, None, Some(0))
        );
        set.push(Some(b"c")).unwrap();
        assert_eq!(set.push(Some(b"c")), Err(1));
    }
}
