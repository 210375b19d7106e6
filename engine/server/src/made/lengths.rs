//! How many bytes the values of an argument have.

use datafusion::arrow::array::{Array, AsArray as _};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

/// What a value takes whose width its type does not tell.
const UNKNOWN: usize = 16;
/// What an item of a list takes beside its bytes.
const ITEM: usize = 4;

/// One number a row.
pub(super) enum PerRow {
    Same(usize),
    Each(Vec<usize>),
}

impl PerRow {
    pub(super) fn at(&self, row: usize) -> usize {
        match self {
            PerRow::Same(number) => *number,
            PerRow::Each(numbers) => numbers.get(row).copied().unwrap_or(0),
        }
    }
}

/// The bytes of an argument in each row.
pub(super) fn bytes(args: &ScalarFunctionArgs, place: usize) -> Result<PerRow> {
    Ok(match args.args.get(place) {
        None => PerRow::Same(0),
        Some(ColumnarValue::Scalar(value)) => PerRow::Same(of_scalar(value)?),
        Some(ColumnarValue::Array(array)) => PerRow::Each(each(array)),
    })
}

/// The items of a list in each row; none of what is no list.
pub(super) fn items(args: &ScalarFunctionArgs, place: usize) -> Result<PerRow> {
    Ok(match args.args.get(place) {
        None => PerRow::Same(0),
        Some(ColumnarValue::Scalar(value)) => PerRow::Same(match value.data_type().is_nested() {
            true => items_of(&value.to_array()?).first().copied().unwrap_or(0),
            false => 0,
        }),
        Some(ColumnarValue::Array(array)) => match array.data_type().is_nested() {
            true => PerRow::Each(items_of(array)),
            false => PerRow::Same(0),
        },
    })
}

/// A whole number in each row, none of which is below zero.
pub(super) fn number(args: &ScalarFunctionArgs, place: usize) -> Result<PerRow> {
    let length = |number: i64| usize::try_from(number).unwrap_or(0);
    Ok(match args.args.get(place) {
        Some(ColumnarValue::Array(_)) => {
            PerRow::Each(whole(args, place)?.into_iter().map(length).collect())
        }
        Some(ColumnarValue::Scalar(value)) if value.data_type().is_integer() => {
            let number = value.cast_to(&DataType::Int64)?;
            match number {
                ScalarValue::Int64(Some(number)) => PerRow::Same(length(number)),
                _ => PerRow::Same(0),
            }
        }
        _ => PerRow::Same(0),
    })
}

/// A whole number in each row; none for an argument of another kind.
pub(super) fn whole(args: &ScalarFunctionArgs, place: usize) -> Result<Vec<i64>> {
    let Some(argument) = args.args.get(place) else {
        return Ok(Vec::new());
    };
    if !argument.data_type().is_integer() {
        return Ok(Vec::new());
    }
    let array = cast(&argument.to_array(args.number_rows)?, &DataType::Int64)?;
    let numbers = array.as_primitive::<Int64Type>().iter();
    Ok(numbers.map(Option::unwrap_or_default).collect())
}

/// The text of an argument in a row.
pub(super) fn text(args: &ScalarFunctionArgs, place: usize, row: usize) -> Result<Option<String>> {
    let text = |value: &ScalarValue| value.try_as_str().flatten().map(str::to_owned);
    Ok(match args.args.get(place) {
        None => None,
        Some(ColumnarValue::Scalar(value)) => text(value),
        Some(ColumnarValue::Array(array)) => text(&ScalarValue::try_from_array(array, row)?),
    })
}

/// The bytes of an argument in all rows, told without looking at each of them where that can be.
pub(super) fn total(args: &ScalarFunctionArgs, place: usize) -> Result<usize> {
    Ok(match args.args.get(place) {
        None => 0,
        Some(ColumnarValue::Scalar(value)) => of_scalar(value)?.saturating_mul(args.number_rows),
        Some(ColumnarValue::Array(array)) => sum(array),
    })
}

/// The bytes of a constant.
pub(super) fn of_scalar(value: &ScalarValue) -> Result<usize> {
    Ok(match value.try_as_str() {
        Some(text) => text.map_or(0, str::len),
        None => match value.data_type().primitive_width() {
            Some(width) => width,
            None => each(&value.to_array()?).first().copied().unwrap_or(0),
        },
    })
}

fn sum(array: &dyn Array) -> usize {
    match array.data_type() {
        DataType::Utf8 => span(array.as_string::<i32>().value_offsets()).1,
        DataType::LargeUtf8 => span(array.as_string::<i64>().value_offsets()).1,
        DataType::Binary => span(array.as_binary::<i32>().value_offsets()).1,
        DataType::LargeBinary => span(array.as_binary::<i64>().value_offsets()).1,
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (from, items) = span(list.value_offsets());
            sum(&list.values().slice(from, items)) + items * ITEM
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let (from, items) = span(list.value_offsets());
            sum(&list.values().slice(from, items)) + items * ITEM
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            columns.map(|column| sum(column)).sum()
        }
        other => match other.primitive_width() {
            Some(width) => width * array.len(),
            None => each(array).iter().sum(),
        },
    }
}

/// Where the values of an array begin, and how many there are.
fn span<T: Copy + TryInto<usize>>(offsets: &[T]) -> (usize, usize) {
    let at = |offset: Option<&T>| offset.and_then(|at| (*at).try_into().ok()).unwrap_or(0);
    let from = at(offsets.first());
    (from, at(offsets.last()).saturating_sub(from))
}

fn apart<T: Copy + TryInto<usize>>(offsets: &[T]) -> Vec<usize> {
    let at = |offset: T| offset.try_into().unwrap_or(0);
    let ends = offsets.iter().skip(1);
    let pairs = offsets.iter().zip(ends);
    pairs
        .map(|(from, to)| at(*to).saturating_sub(at(*from)))
        .collect()
}

/// How many items the list of each row has, with those of lists within.
pub(super) fn items_of(array: &dyn Array) -> Vec<usize> {
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            within(list.value_offsets(), list.values())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            within(list.value_offsets(), list.values())
        }
        DataType::Map(..) => apart(array.as_map().value_offsets()),
        DataType::FixedSizeList(_, items) => {
            vec![usize::try_from(*items).unwrap_or(0); array.len()]
        }
        _ => vec![0; array.len()],
    }
}

fn within<T: Copy + TryInto<usize>>(offsets: &[T], values: &dyn Array) -> Vec<usize> {
    let items = apart(offsets);
    if !values.data_type().is_nested() {
        return items;
    }
    let (from, all) = span(offsets);
    let inner = items_of(&values.slice(from, all));
    let mut inner = inner.into_iter();
    let sums = items.into_iter();
    sums.map(|items| items + inner.by_ref().take(items).sum::<usize>())
        .collect()
}

/// The bytes of each value of an array.
pub(crate) fn each(array: &dyn Array) -> Vec<usize> {
    let long = |length: u32| usize::try_from(length).unwrap_or(usize::MAX);
    match array.data_type() {
        DataType::Utf8 => apart(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => apart(array.as_string::<i64>().value_offsets()),
        DataType::Binary => apart(array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => apart(array.as_binary::<i64>().value_offsets()),
        DataType::Utf8View => array.as_string_view().lengths().map(long).collect(),
        DataType::BinaryView => array.as_binary_view().lengths().map(long).collect(),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            of_items(list.value_offsets(), list.values())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            of_items(list.value_offsets(), list.values())
        }
        DataType::Map(..) => {
            let map = array.as_map();
            of_items(map.value_offsets(), map.entries())
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let values = each(dictionary.values());
            if values.is_empty() {
                return vec![0; array.len()];
            }
            let keys = dictionary.normalized_keys().into_iter();
            keys.map(|key| values.get(key).copied().unwrap_or(0))
                .collect()
        }
        DataType::Struct(_) => {
            let mut sums = vec![0; array.len()];
            for column in array.as_struct().columns() {
                for (sum, bytes) in sums.iter_mut().zip(each(column)) {
                    *sum += bytes;
                }
            }
            sums
        }
        other => vec![other.primitive_width().unwrap_or(UNKNOWN); array.len()],
    }
}

fn of_items<T: Copy + TryInto<usize>>(offsets: &[T], values: &dyn Array) -> Vec<usize> {
    let (from, items) = span(offsets);
    let widths = each(&values.slice(from, items));
    let mut widths = widths.into_iter();
    apart(offsets)
        .into_iter()
        .map(|items| widths.by_ref().take(items).sum::<usize>() + items * ITEM)
        .collect()
}
