//! `m[1][2]` and `m[2:3]`: subscripts that no item has give NULL, and slices beyond an array are the part that is there.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, Float64Array, Int64Array, ListArray, UInt64Array,
    new_null_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::{dimensions, failed, innermost, lists, range};
use crate::pg_types::PgType;
use crate::sqlstate::ServerError;

/// The item at a place: the array and a subscript for each dimension.
pub(crate) const SUBSCRIPT: &str = "pg_subscript";
/// A part: the array, which bounds are given ([`Bound`]), and those.
pub(crate) const SLICE: &str = "pg_slice";

pub(super) fn install(context: &SessionContext) {
    for part in [false, true] {
        context.register_udf(ScalarUDF::new_from_impl(Subscript {
            part,
            signature: Signature::variadic_any(Volatility::Immutable),
        }));
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Subscript {
    part: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Subscript {
    fn name(&self) -> &str {
        match self.part {
            true => SLICE,
            false => SUBSCRIPT,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let field = |data_type: &DataType| Field::new("", data_type.clone(), true);
        let array = types.first().map_or(DataType::Null, DataType::clone);
        Ok(self.field(&field(&array))?.data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let array = args.arg_fields.first();
        let array = array.ok_or_else(|| DataFusionError::Internal("no array".to_owned()))?;
        self.field(array).map(Arc::new)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let part = match (self.part, args.args.get(1)) {
            (true, Some(ColumnarValue::Scalar(ScalarValue::Utf8(Some(bounds))))) => Some(bounds),
            (false, _) => None,
            _ => return Err(DataFusionError::Internal("a slice of nothing".to_owned())),
        };
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some((array, numbers)) = arrays.split_first() else {
            return Err(DataFusionError::Internal("no array".to_owned()));
        };
        let numbers: Vec<Int64Array> = numbers
            .iter()
            .skip(usize::from(self.part))
            .map(subscripts)
            .collect::<Result<_>>()?;
        let Some(list) = lists(array)? else {
            return Ok(ColumnarValue::Array(new_null_array(
                args.return_field.data_type(),
                array.len(),
            )));
        };
        Ok(ColumnarValue::Array(match part {
            Some(bounds) => {
                let bounds: Vec<Bound> = bounds.chars().map(Bound::of).collect();
                slices(&list, &bounds, &numbers)?
            }
            None => items(&list, &numbers)?,
        }))
    }
}

impl Subscript {
    /// What an item, or a part, of an array is: with what the column says of its items.
    fn field(&self, array: &Field) -> Result<Field> {
        let data_type = array.data_type();
        let made = match data_type {
            DataType::Null => DataType::Null,
            // It is another call when the plan is read.
            _ if !self.part && PgType::of_field(array) == PgType::JSONB => DataType::Utf8,
            _ if dimensions(data_type) == 0 => {
                let name = PgType::of_field(array).sql_name();
                let text = format!(
                    "cannot subscript type {name} because it does not support subscripting"
                );
                return Err(failed(ServerError::new("42804", text)));
            }
            _ if self.part => as_list(data_type),
            _ => innermost(data_type).clone(),
        };
        let told = array.metadata().clone();
        Ok(Field::new(self.name(), made, true).with_metadata(told))
    }
}

/// The type of a part of arrays: only the outermost may have had another form.
fn as_list(data_type: &DataType) -> DataType {
    match data_type {
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(Arc::clone(item))
        }
        other => other.clone(),
    }
}

/// # Errors
/// 42804 for what is no number, and 22P02 for a text that is none.
fn subscripts(array: &ArrayRef) -> Result<Int64Array> {
    match array.data_type() {
        DataType::Null | DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {}
        whole if whole.is_integer() => {}
        number if number.is_numeric() => {
            let number = cast(array, &DataType::Float64)?;
            let whole = number.as_primitive::<Float64Type>();
            let whole: Float64Array = whole.unary(f64::round);
            return Ok(cast(&whole, &DataType::Int64)?
                .as_primitive::<Int64Type>()
                .clone());
        }
        _ => {
            let error = ServerError::new("42804", "array subscript must have type integer");
            return Err(failed(error));
        }
    }
    Ok(cast(array, &DataType::Int64)?
        .as_primitive::<Int64Type>()
        .clone())
}

/// The item of each array at its subscripts.
fn items(list: &ListArray, numbers: &[Int64Array]) -> Result<ArrayRef> {
    let data_type = list.data_type();
    if dimensions(data_type) != numbers.len() {
        return Ok(new_null_array(innermost(data_type), list.len()));
    }
    let mut places: Vec<Option<usize>> = (0..list.len()).map(Some).collect();
    let mut level: ArrayRef = Arc::new(list.clone());
    for numbers in numbers {
        let Some(list) = lists(&level)? else {
            return Err(DataFusionError::Internal("an array too flat".to_owned()));
        };
        for (row, place) in places.iter_mut().enumerate() {
            let number = numbers.is_valid(row).then(|| numbers.value(row));
            *place = place
                .filter(|place| list.is_valid(*place))
                .and_then(|place| {
                    let (from, to) = range(&list, place);
                    let at = usize::try_from(number?.checked_sub(1)?).ok()?;
                    from.checked_add(at).filter(|at| *at < to)
                });
        }
        level = Arc::clone(list.values());
    }
    let places: UInt64Array = places
        .into_iter()
        .map(|place| place.and_then(|place| u64::try_from(place).ok()))
        .collect();
    Ok(take(&level, &places, None)?)
}

/// Which bounds of a slice are written.
#[derive(Clone, Copy)]
pub(crate) enum Bound {
    /// `[:]`
    Neither,
    /// `[1:]`
    Lower,
    /// `[:2]`, and a single subscript beside slices.
    Upper,
    /// `[1:2]`
    Both,
}

impl Bound {
    /// As the call of the function spells it.
    pub(crate) fn letter(self) -> char {
        match self {
            Bound::Neither => 'n',
            Bound::Lower => 'l',
            Bound::Upper => 'u',
            Bound::Both => 'b',
        }
    }

    fn of(letter: char) -> Self {
        match letter {
            'l' => Bound::Lower,
            'u' => Bound::Upper,
            'b' => Bound::Both,
            _ => Bound::Neither,
        }
    }
}

/// What of an array a slice takes.
enum Part {
    Null,
    Empty,
    /// First item and number of items in each dimension that is sliced.
    Of(Vec<(usize, usize)>),
}

fn slices(list: &ListArray, bounds: &[Bound], numbers: &[Int64Array]) -> Result<ArrayRef> {
    let parts: Vec<Part> = (0..list.len())
        .map(|row| part(list, row, bounds, numbers))
        .collect::<Result<_>>()?;
    let places: Vec<(usize, usize)> = (0..list.len()).map(|row| (row, row)).collect();
    sliced(list, &places, &parts, 0)
}

fn part(list: &ListArray, row: usize, bounds: &[Bound], numbers: &[Int64Array]) -> Result<Part> {
    if list.is_null(row) {
        return Ok(Part::Null);
    }
    let mut numbers = numbers.iter();
    let mut next = || {
        let number = numbers.next();
        number.and_then(|number| number.is_valid(row).then(|| number.value(row)))
    };
    let mut taken = Vec::with_capacity(bounds.len());
    let mut place = Some(row);
    let mut level: Option<ListArray> = Some(list.clone());
    let mut empty = false;
    for bound in bounds {
        let lower = matches!(bound, Bound::Lower | Bound::Both).then(&mut next);
        let upper = matches!(bound, Bound::Upper | Bound::Both).then(&mut next);
        if matches!(lower, Some(None)) || matches!(upper, Some(None)) {
            return Ok(Part::Null);
        }
        // An array with fewer dimensions, or with no items, has no such part.
        let (Some(list), Some(at)) = (&level, place) else {
            empty = true;
            continue;
        };
        let (from, to) = range(list, at);
        let length = to - from;
        let lower = usize::try_from(lower.flatten().unwrap_or(1).max(1)).unwrap_or(usize::MAX);
        let upper = match upper.flatten() {
            Some(upper) => usize::try_from(upper.max(0))
                .unwrap_or(usize::MAX)
                .min(length),
            None => length,
        };
        empty |= lower > upper;
        taken.push((lower - 1, (upper + 1).saturating_sub(lower)));
        place = (length > 0).then_some(from);
        level = lists(list.values())?;
    }
    Ok(match empty {
        true => Part::Empty,
        false => Part::Of(taken),
    })
}

/// The parts of the arrays at `places`, each with the row whose slice it belongs to.
fn sliced(
    list: &ListArray,
    places: &[(usize, usize)],
    parts: &[Part],
    depth: usize,
) -> Result<ArrayRef> {
    let DataType::List(field) = list.data_type() else {
        return Err(DataFusionError::Internal("a slice of no array".to_owned()));
    };
    let mut inner: Vec<(usize, usize)> = Vec::new();
    let mut lengths = Vec::with_capacity(places.len());
    let mut valid = Vec::with_capacity(places.len());
    for (place, row) in places {
        let before = inner.len();
        let part = parts.get(*row).unwrap_or(&Part::Null);
        valid.push(list.is_valid(*place) && !matches!(part, Part::Null));
        if let Part::Of(taken) = part {
            let (from, to) = range(list, *place);
            let (skipped, length) = taken.get(depth).copied().unwrap_or((0, to - from));
            let from = (from + skipped).min(to);
            inner.extend((from..(from + length).min(to)).map(|at| (at, *row)));
        }
        lengths.push(inner.len() - before);
    }
    let values = match lists(list.values())? {
        Some(values) if matches!(field.data_type(), DataType::List(_)) => {
            sliced(&values, &inner, parts, depth + 1)?
        }
        _ => {
            let places = inner.iter().map(|(at, _)| u64::try_from(*at).ok());
            take(list.values(), &places.collect::<UInt64Array>(), None)?
        }
    };
    Ok(Arc::new(ListArray::try_new(
        Arc::clone(field),
        OffsetBuffer::from_lengths(lengths),
        values,
        Some(NullBuffer::from(valid)),
    )?))
}
