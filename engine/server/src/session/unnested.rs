//! Lists that become rows: a list of 20 million items beside a text of a kilobyte becomes 20 GB of rows in one batch,
//! since an operator unnests a batch at once. It is given few rows at a time here, and long lists in parts:
//!
//! ```text
//! {1,2,3,4,5} | x     ─►     {1,2} | x     {3,4} | x     {5} | x
//! ```
//! The rows are the same, and in the same order.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, GenericListArray, OffsetSizeTrait};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::physical_plan::unnest::UnnestExec;

use crate::made::widths_of;

/// Rows that a batch should not become more than.
const ROWS_MAX: usize = 64 << 10;
/// Bytes that the columns beside the lists should not become more than.
const BYTES_MAX: usize = 8 << 20;

/// The columns that are lists which become rows; `None` where lists in lists do.
pub(super) fn lists(unnest: &UnnestExec) -> Option<Arc<[usize]>> {
    let lists = unnest.list_column_indices();
    let flat = !lists.is_empty() && lists.iter().all(|list| list.depth == 1);
    let columns = lists.iter().map(|list| list.index_in_input_schema);
    flat.then(|| columns.collect())
}

/// The rows of a batch in parts that do not become too many rows, or too many bytes.
///
/// # Errors
/// What slicing a list fails with.
pub(super) fn parts(batch: &RecordBatch, lists: &[usize]) -> Result<Vec<RecordBatch>> {
    let (items, beside) = measured(batch, lists);
    let (mut parts, mut from) = (Vec::new(), 0);
    let (mut rows, mut bytes) = (0_usize, 0_usize);
    for (row, (items, beside)) in items.iter().zip(&beside).enumerate() {
        let own = items.saturating_mul(*beside);
        let fits =
            rows.saturating_add(*items) <= ROWS_MAX && bytes.saturating_add(own) <= BYTES_MAX;
        if fits {
            rows += items;
            bytes += own;
            continue;
        }
        if row > from {
            parts.push(batch.slice(from, row - from));
        }
        let most = ROWS_MAX.min(BYTES_MAX / (*beside).max(1)).max(1);
        if *items > most {
            let one = batch.slice(row, 1);
            for start in (0..*items).step_by(most) {
                parts.push(part(&one, lists, &(start..start + most))?);
            }
            (from, rows, bytes) = (row + 1, 0, 0);
        } else {
            (from, rows, bytes) = (row, *items, own);
        }
    }
    if from < batch.num_rows() {
        parts.push(batch.slice(from, batch.num_rows() - from));
    }
    Ok(parts)
}

/// How many rows each row becomes, and the bytes that each of those has beside its items.
fn measured(batch: &RecordBatch, lists: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let rows = batch.num_rows();
    let (mut items, mut beside) = (vec![0_usize; rows], vec![0_usize; rows]);
    for (at, column) in batch.columns().iter().enumerate() {
        if !lists.contains(&at) {
            for (sum, bytes) in beside.iter_mut().zip(widths_of(column)) {
                *sum = sum.saturating_add(bytes);
            }
            continue;
        }
        for (most, own) in items.iter_mut().zip(lengths(column)) {
            *most = own.max(*most);
        }
    }
    (items, beside)
}

fn lengths(column: &ArrayRef) -> Vec<usize> {
    let length = |range: Range<usize>| range.len();
    match column.data_type() {
        DataType::List(_) => ranges(column.as_list::<i32>()).map(length).collect(),
        DataType::LargeList(_) => ranges(column.as_list::<i64>()).map(length).collect(),
        _ => vec![1; column.len()],
    }
}

fn ranges<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> impl Iterator<Item = Range<usize>> {
    let offsets = list.value_offsets();
    let ends = offsets.iter().skip(1);
    let pairs = offsets.iter().zip(ends).enumerate();
    pairs.map(|(row, (from, to))| match list.is_null(row) {
        true => 0..0,
        false => from.as_usize()..to.as_usize(),
    })
}

/// A row with these items alone of each of its lists.
fn part(one: &RecordBatch, lists: &[usize], items: &Range<usize>) -> Result<RecordBatch> {
    let mut columns = one.columns().to_vec();
    for (at, column) in columns.iter_mut().enumerate() {
        if lists.contains(&at) {
            *column = match column.data_type() {
                DataType::List(_) => Arc::new(of_list(column.as_list::<i32>(), items)?),
                DataType::LargeList(_) => Arc::new(of_list(column.as_list::<i64>(), items)?),
                _ if items.start == 0 => Arc::clone(column),
                _ => arrow::array::new_null_array(column.data_type(), 1),
            };
        }
    }
    Ok(RecordBatch::try_new(one.schema(), columns)?)
}

fn of_list<O: OffsetSizeTrait>(
    list: &GenericListArray<O>,
    items: &Range<usize>,
) -> Result<GenericListArray<O>> {
    let own = ranges(list).next().unwrap_or(0..0);
    let from = (own.start + items.start).min(own.end);
    let to = (own.start + items.end).min(own.end);
    let field = match list.data_type() {
        DataType::List(field) | DataType::LargeList(field) => Arc::clone(field),
        other => return datafusion::common::internal_err!("{other} is no list"),
    };
    Ok(GenericListArray::try_new(
        field,
        OffsetBuffer::from_lengths([to - from]),
        list.values().slice(from, to - from),
        list.nulls().cloned(),
    )?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{Int64Array, ListArray, StringArray};
    use arrow::datatypes::{Field, Int64Type, Schema};

    use super::*;

    #[test]
    fn parts_have_the_items_of_the_whole() {
        let long = || Some((0..200_000_i64).map(Some).collect::<Vec<_>>());
        let rows = vec![
            Some(vec![Some(7), None]),
            None,
            long(),
            Some(vec![]),
            long(),
        ];
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(rows);
        let texts = StringArray::from(vec!["a", "b", "c", "d", "e"]);
        let fields = vec![
            Field::new("l", lists.data_type().clone(), true),
            Field::new("t", DataType::Utf8, true),
        ];
        let columns: Vec<ArrayRef> = vec![Arc::new(lists.clone()), Arc::new(texts)];
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let parts = parts(&batch.slice(0, 5), &[0]).unwrap();
        assert!(parts.len() > 6, "{}", parts.len());
        let mut all = Vec::new();
        for part in &parts {
            let list = part.column(0).as_list::<i32>();
            let of_part: usize = lengths(part.column(0)).iter().sum();
            assert!(of_part <= ROWS_MAX, "{of_part}");
            for row in 0..part.num_rows() {
                let texts = part.column(1).as_string::<i32>();
                let items = list.value(row);
                let items: &Int64Array = items.as_primitive();
                let null = list
                    .is_null(row)
                    .then_some((texts.value(row).to_owned(), None));
                all.extend(null);
                all.extend(items.iter().map(|i| (texts.value(row).to_owned(), Some(i))));
            }
        }
        assert_eq!(all.len(), 2 + 1 + 400_000);
        assert_eq!(all.first(), Some(&("a".to_owned(), Some(Some(7)))));
        assert_eq!(all.get(2), Some(&("b".to_owned(), None)));
        assert_eq!(all.last(), Some(&("e".to_owned(), Some(Some(199_999)))));
    }
}
