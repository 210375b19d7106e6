//! In which order rows come, and which of them are alike.

use std::cmp::Ordering;

use crate::pg_catalog::plan::SortKey;
use crate::pg_catalog::value::{Key, Value, compare, key};

pub(super) fn row_key(row: &[Value]) -> Vec<Key> {
    row.iter().map(key).collect()
}

pub(super) fn compare_rows(a: &[Value], b: &[Value]) -> Ordering {
    a.iter()
        .zip(b)
        .map(|(a, b)| compare_keys(a, b, false, false))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}

pub(super) fn compare_keys(a: &Value, b: &Value, descending: bool, nulls_first: bool) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => {
            if nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (false, true) => {
            if nulls_first {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        (false, false) => {
            if descending {
                compare(b, a)
            } else {
                compare(a, b)
            }
        }
    }
}

/// Orders two lists of sort key values.
pub(crate) fn compare_sorted(a: &[Value], b: &[Value], keys: &[SortKey]) -> Ordering {
    a.iter()
        .zip(b)
        .zip(keys)
        .map(|((a, b), k)| compare_keys(a, b, k.direction.descending, k.direction.nulls_first))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}
