//! Functions and operators of arrays that compare items: an item that is NULL equals none, and those that look for one
//! or take it away know NULL as a value like others.
//!
//! ```text
//! a @> b, a <@ b, a && b                ─►   array_holds(a, b), array_shares(a, b)     NULL for no array
//! array_remove(a, x), array_position …  ─►   array_items_without(a, x) …               x may be NULL
//! ```
//! Arrays of arrays count by their items.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Float32Array, Float64Array, ListArray,
    ListBuilder, UInt64Array, UInt64Builder, new_empty_array, new_null_array,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::{cast, interleave, take};
use datafusion::arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int64Type};
use datafusion::arrow::row::{Row, RowConverter, Rows, SortField};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::order::flat;
use super::{failed, lists, range};
use crate::sqlstate::ServerError;

/// Arrays of more items are looked up in a set of them.
const SEARCHED_MAX: usize = 8;

/// The call that has PostgreSQL's answer in place of the planner's; `None` for any other function.
pub(in crate::semantics) fn compared(call: &ScalarFunction) -> Option<Expr> {
    static ALL: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
        let all = Asked::ALL.map(|asked| {
            Arc::new(ScalarUDF::new_from_impl(Items {
                asked,
                signature: Signature::variadic_any(Volatility::Immutable),
            }))
        });
        all.to_vec()
    });
    let planned = call.func.name();
    let at = Asked::ALL
        .iter()
        .position(|asked| asked.planned() == planned)?;
    let function = Arc::clone(ALL.get(at)?);
    let call = ScalarFunction::new_udf(function, call.args.clone());
    Some(Expr::ScalarFunction(call))
}

/// What is asked of the items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Asked {
    /// Whether an array has all items of another.
    All,
    /// Whether it has one of them.
    Any,
    /// Where an item is, from a place on.
    Place,
    /// Where it is each time.
    Places,
    /// The array without it.
    Without,
    /// The array with another in its place.
    Replaced,
}

impl Asked {
    const ALL: [Self; 6] = [
        Asked::All,
        Asked::Any,
        Asked::Place,
        Asked::Places,
        Asked::Without,
        Asked::Replaced,
    ];

    /// The name of the planner's function.
    fn planned(self) -> &'static str {
        match self {
            Asked::All => "array_has_all",
            Asked::Any => "array_has_any",
            Asked::Place => "array_position",
            Asked::Places => "array_positions",
            Asked::Without => "array_remove_all",
            Asked::Replaced => "array_replace_all",
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Items {
    asked: Asked,
    signature: Signature,
}

impl ScalarUDFImpl for Items {
    fn name(&self) -> &'static str {
        match self.asked {
            Asked::All => "array_holds",
            Asked::Any => "array_shares",
            Asked::Place => "array_place",
            Asked::Places => "array_places",
            Asked::Without => "array_without",
            Asked::Replaced => "array_replaced",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(match self.asked {
            Asked::All | Asked::Any => DataType::Boolean,
            Asked::Place => DataType::UInt64,
            Asked::Places => DataType::new_list(DataType::UInt64, true),
            Asked::Without | Asked::Replaced => match types.first() {
                Some(
                    DataType::List(item)
                    | DataType::LargeList(item)
                    | DataType::FixedSizeList(item, _),
                ) => DataType::new_list(item.data_type().clone(), true),
                Some(other) => other.clone(),
                None => DataType::Null,
            },
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let single = args.args.iter().all(constant);
        let rows = if single { 1 } else { args.number_rows };
        let arrays: Vec<ArrayRef> = args
            .args
            .iter()
            .map(|value| value.to_array(rows))
            .collect::<Result<_>>()?;
        let made = match (self.asked, arrays.as_slice()) {
            (Asked::All | Asked::Any, [left, right]) => shared(self.asked, left, right)?,
            (_, [array, item, rest @ ..]) => looked_for(self.asked, array, item, rest)?,
            _ => None,
        };
        let made = match made {
            Some(made) => made,
            // Of NULL without a type.
            None => new_null_array(args.return_field.data_type(), rows),
        };
        Ok(match single {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    }
}

/// Items as bytes that are the same for those that are equal.
struct Compared {
    rows: Rows,
    values: ArrayRef,
}

impl Compared {
    /// Those of two columns of one type.
    fn both(one: &ArrayRef, other: &ArrayRef) -> Result<(Self, Self)> {
        // NULL alone is of no type.
        let to = match one.data_type() {
            DataType::Null => other.data_type().clone(),
            known => known.clone(),
        };
        let plain = |array: &ArrayRef| -> Result<ArrayRef> { Ok(one_zero(&cast(array, &to)?)) };
        let (one, other) = (plain(one)?, plain(other)?);
        let converter = RowConverter::new(vec![SortField::new(to)])?;
        let of = |values: ArrayRef| -> Result<Self> {
            let rows = converter.convert_columns(&[Arc::clone(&values)])?;
            Ok(Self { rows, values })
        };
        Ok((of(one)?, of(other)?))
    }

    /// The item at a place; `None` for NULL.
    fn at(&self, place: usize) -> Option<Row<'_>> {
        self.values.is_valid(place).then(|| self.rows.row(place))
    }
}

/// Zeros of floats are equal, whatever their signs.
fn one_zero(items: &ArrayRef) -> ArrayRef {
    match items.data_type() {
        DataType::Float32 => {
            let floats = items.as_primitive::<Float32Type>();
            let plain: Float32Array = floats.unary(|value| value + 0.0);
            Arc::new(plain)
        }
        DataType::Float64 => {
            let floats = items.as_primitive::<Float64Type>();
            let plain: Float64Array = floats.unary(|value| value + 0.0);
            Arc::new(plain)
        }
        _ => Arc::clone(items),
    }
}

/// Whether arrays of one column have all, or one, of the items of those of another.
fn shared(asked: Asked, left: &ArrayRef, right: &ArrayRef) -> Result<Option<ArrayRef>> {
    let (Some(left), Some(right)) = (lists(left)?, lists(right)?) else {
        return Ok(None);
    };
    let (left, right) = (flat(&left)?, flat(&right)?);
    let (items, wanted) = Compared::both(left.values(), right.values())?;
    let answers = (0..left.len()).map(|row| {
        if left.is_null(row) || right.is_null(row) {
            return None;
        }
        let ((from, to), (begin, end)) = (range(&left, row), range(&right, row));
        let known = (from..to).filter_map(|at| items.at(at));
        let set: Option<HashSet<Row<'_>>> = (to - from > SEARCHED_MAX).then(|| known.collect());
        let has = |item: Row<'_>| match &set {
            Some(set) => set.contains(&item),
            None => (from..to).any(|at| items.at(at) == Some(item)),
        };
        let mut asked_for = (begin..end).map(|at| wanted.at(at));
        Some(match asked {
            Asked::All => asked_for.all(|item| item.is_some_and(has)),
            _ => asked_for.any(|item| item.is_some_and(has)),
        })
    });
    let answers: BooleanArray = answers.collect();
    Ok(Some(Arc::new(answers)))
}

/// What becomes of an array that an item is looked for in.
fn looked_for(
    asked: Asked,
    array: &ArrayRef,
    item: &ArrayRef,
    rest: &[ArrayRef],
) -> Result<Option<ArrayRef>> {
    let Some(list) = lists(array)? else {
        return Ok(None);
    };
    let (items, wanted) = Compared::both(list.values(), item)?;
    // Places of the items of an array, and whether each is the wanted one.
    let found = |row: usize| {
        let (from, to) = range(&list, row);
        let item = wanted.at(row);
        (from..to).map(move |at| (at, at - from, item))
    };
    let is_wanted = |(at, _, item): &(usize, usize, Option<Row<'_>>)| items.at(*at) == *item;
    Ok(Some(match asked {
        Asked::Places => {
            let mut made = ListBuilder::new(UInt64Builder::new());
            for row in 0..list.len() {
                if list.is_valid(row) {
                    for (_, place, _) in found(row).filter(is_wanted) {
                        made.values().append_option(u64::try_from(place + 1).ok());
                    }
                }
                made.append(list.is_valid(row));
            }
            Arc::new(made.finish())
        }
        Asked::Without => kept(&list, |row| {
            let others = found(row).filter(|item| !is_wanted(item));
            others.map(|(at, ..)| at).collect()
        })?,
        Asked::Replaced => {
            let Some(new) = rest.first() else {
                return Ok(None);
            };
            let new = cast(new, &list.value_type())?;
            replaced(&list, &new, |row| {
                let all = found(row);
                all.map(|item| (item.0, is_wanted(&item))).collect()
            })?
        }
        _ => {
            let starts = starts(&list, rest.first())?;
            let places = starts.iter().enumerate().map(|(row, start)| {
                let start = usize::try_from((*start)?).unwrap_or_default();
                let mut later = found(row).skip_while(|(_, place, _)| place + 1 < start);
                let (_, place, _) = later.find(is_wanted)?;
                u64::try_from(place + 1).ok()
            });
            Arc::new(places.collect::<UInt64Array>())
        }
    }))
}

/// From where each array is searched; `None` for no array.
///
/// # Errors
/// 22004 for NULL beside an array.
fn starts(list: &ListArray, given: Option<&ArrayRef>) -> Result<Vec<Option<i64>>> {
    let given = given
        .map(|given| cast(given, &DataType::Int64))
        .transpose()?;
    let given = given
        .as_ref()
        .map(|given| given.as_primitive::<Int64Type>());
    let start = |row: usize| {
        if list.is_null(row) {
            return Ok(None);
        }
        match given {
            None => Ok(Some(1)),
            Some(given) if given.is_valid(row) => Ok(Some(given.value(row))),
            Some(_) => {
                let text = "initial position must not be null";
                Err(failed(ServerError::new("22004", text)))
            }
        }
    };
    (0..list.len()).map(start).collect()
}

/// The arrays with those of their items alone that are at these places.
fn kept(list: &ListArray, of: impl Fn(usize) -> Vec<usize>) -> Result<ArrayRef> {
    let all: Vec<Vec<usize>> = (0..list.len())
        .map(|row| match list.is_valid(row) {
            true => of(row),
            false => Vec::new(),
        })
        .collect();
    let places = all.iter().flatten().map(|at| u64::try_from(*at).ok());
    let items = take(list.values(), &places.collect::<UInt64Array>(), None)?;
    made(list, all.iter().map(Vec::len), items)
}

/// The arrays with a new item where one is to be replaced.
fn replaced(
    list: &ListArray,
    new: &ArrayRef,
    of: impl Fn(usize) -> Vec<(usize, bool)>,
) -> Result<ArrayRef> {
    let mut lengths = Vec::with_capacity(list.len());
    let mut places = Vec::with_capacity(list.values().len());
    for row in 0..list.len() {
        let items = if list.is_valid(row) {
            of(row)
        } else {
            Vec::new()
        };
        lengths.push(items.len());
        let sources = items.into_iter().map(|(at, is_new)| match is_new {
            true => (1, row),
            false => (0, at),
        });
        places.extend(sources);
    }
    let items = match places.is_empty() {
        true => new_empty_array(&list.value_type()),
        false => interleave(&[list.values().as_ref(), new.as_ref()], &places)?,
    };
    made(list, lengths.into_iter(), items)
}

/// Arrays of items in so many each, NULL where others are.
fn made(
    list: &ListArray,
    lengths: impl Iterator<Item = usize>,
    items: ArrayRef,
) -> Result<ArrayRef> {
    Ok(Arc::new(ListArray::try_new(
        Arc::new(Field::new_list_field(items.data_type().clone(), true)),
        OffsetBuffer::from_lengths(lengths),
        items,
        list.nulls().cloned(),
    )?))
}
