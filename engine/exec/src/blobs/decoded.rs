//! Row groups of blobs as they were decoded last, shared by all scans of the process.
//!
//! A window of variants has a row group for each sample block; a scan asks for it in several chunks, and the next
//! statement about the same stretch of the genome asks for it again. Files are never changed under their name, so
//! what was decoded stays true. Nobody's access is judged here: blobs are what files hold, and scans show of them
//! what a session may see.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use genokura_core::codec::GenotypeRow;
use genokura_storage::ByteCache;
use object_store::path::Path;

/// Bytes of all decoded row groups.
const BYTES_MAX: usize = 96 << 20;
/// Bytes of one of them; a larger one would push out too many others.
const GROUP_BYTES_MAX: usize = 8 << 20;

/// Before them stand the id and the block.
const FIRST_BLOBS: usize = 2;

/// A row group of a file and the columns that were read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) path: Path,
    pub(super) group: usize,
    /// Names of the columns.
    pub(super) columns: Arc<[String]>,
}

/// A decoded row group.
#[derive(Debug)]
pub(super) struct Group {
    /// Ids, block numbers, blobs.
    batches: Vec<RecordBatch>,
    /// Ids rise in each batch.
    rising: bool,
    /// Every blob of the first column of blobs is a genotype row.
    checked: bool,
}

impl Group {
    /// A row group of these batches, whose first column is the id and the first blobs, if `genotypes`, are genotype
    /// rows.
    pub(super) fn new(batches: Vec<RecordBatch>, genotypes: bool) -> Self {
        let rising = |batch: &RecordBatch| {
            let ids = batch.columns().first();
            let ids = ids.and_then(|ids| ids.as_primitive_opt::<Int64Type>());
            ids.is_some_and(|ids| ids.null_count() == 0 && ids.values().is_sorted())
        };
        Self {
            rising: batches.iter().all(rising),
            checked: genotypes && batches.iter().all(are_genotype_rows),
            batches,
        }
    }

    /// True when the first blobs are genotype rows that were checked: they need not be checked again.
    pub(super) fn checked(&self) -> bool {
        self.checked
    }

    /// Rows that may have an id between two bounds, and perhaps others.
    pub(super) fn between(&self, first: i64, last: i64) -> impl Iterator<Item = RecordBatch> {
        self.batches.iter().filter_map(move |batch| {
            if !self.rising {
                return Some(batch.clone());
            }
            let ids = batch.column(0).as_primitive::<Int64Type>().values();
            let start = ids.partition_point(|id| *id < first);
            let end = ids.partition_point(|id| *id <= last);
            (start < end).then(|| batch.slice(start, end - start))
        })
    }
}

fn are_genotype_rows(batch: &RecordBatch) -> bool {
    let blobs = batch.columns().get(FIRST_BLOBS);
    let blobs = blobs.and_then(|blobs| blobs.as_binary_view_opt());
    let is_row = |blob: Option<&[u8]>| blob.is_none_or(|blob| GenotypeRow::parse(blob).is_ok());
    blobs.is_some_and(|blobs| blobs.iter().all(is_row))
}

static DECODED: LazyLock<ByteCache<Key, Arc<Group>>> = LazyLock::new(|| ByteCache::new(BYTES_MAX));

/// A row group, if it is still there.
pub(super) fn get(key: &Key) -> Option<Arc<Group>> {
    DECODED.get(key)
}

/// Keeps a row group, for which those that were used least go.
pub(super) fn keep(key: Key, group: Group) {
    let batches = group.batches.iter();
    let bytes = batches.map(RecordBatch::get_array_memory_size).sum();
    if bytes <= GROUP_BYTES_MAX {
        DECODED.put(key, Arc::new(group), bytes);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::Int64Array;

    fn group(ids: impl Iterator<Item = i64>) -> Group {
        let ids: Int64Array = ids.collect();
        let batch = RecordBatch::try_from_iter([("vid", Arc::new(ids) as _)]).unwrap();
        Group::new(vec![batch], false)
    }

    #[test]
    fn ids_between_bounds_are_cut_out_where_they_rise() {
        let ids = |group: &Group, first, last| -> Vec<i64> {
            let batches = group.between(first, last);
            batches
                .flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec())
                .collect()
        };
        let rising = group([2, 3, 3, 7, 9].into_iter());
        assert_eq!(ids(&rising, 3, 8), [3, 3, 7]);
        assert_eq!(ids(&rising, 4, 6), [0; 0]);
        assert_eq!(ids(&rising, 0, 99), [2, 3, 3, 7, 9]);
        let other = group([2, 9, 3].into_iter());
        assert_eq!(ids(&other, 3, 3), [2, 9, 3]);
    }

    #[test]
    fn what_was_used_least_goes_first_and_the_sum_is_bounded() {
        let key = |group: usize, column: &str| Key {
            path: Path::from("decoded/test.parquet"),
            group,
            columns: [column.to_owned()].into(),
        };
        // A MiB each, more of them than fit.
        for number in 0..200 {
            keep(key(number, "gt"), group(0..1 << 17));
            get(&key(0, "gt")).unwrap();
        }
        assert!(get(&key(199, "gt")).is_some());
        assert!(get(&key(199, "fmt_dp")).is_none());
        assert!(get(&key(1, "gt")).is_none());
        assert!(DECODED.bytes() <= BYTES_MAX);
        keep(key(300, "gt"), group(0..2 << 20));
        assert!(get(&key(300, "gt")).is_none());
    }
}
