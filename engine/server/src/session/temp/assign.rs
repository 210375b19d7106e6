//! Assignment casts: values of a query to the type of the column that they are stored in.
//!
//! As PostgreSQL's: numbers to numbers with a look at the range, anything to text, times to times; text to other types
//! only where the statement has a constant of no type (`'5'`), which was read as the column's type before.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, StringArray, new_empty_array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{CastOptions, cast_with_options, kernels::arity::unary};
use arrow::datatypes::{
    DataType, Field, FieldRef, Float32Type, Float64Type, IntervalUnit, TimeUnit,
};
use arrow::error::ArrowError;
use bytes::BytesMut;

use crate::pg_input::{ColumnInput, item_of, wrong_depth};
use crate::pg_types::{ANY_SCALE, PgType, dimensions};
use crate::pgwire::encode::{Cells, TextStyle};
use crate::semantics;
use crate::sqlstate::ServerError;

/// What casts of a session depend on.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) style: TextStyle,
}

/// Zone of stored instants.
pub(super) const UTC: &str = "UTC";

/// The Arrow type that a temporary table keeps values of a type in.
pub(super) fn stored(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Null | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Int8 | DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(_, zone) => {
            let zone = zone.as_ref().map(|_| UTC.into());
            DataType::Timestamp(TimeUnit::Microsecond, zone)
        }
        DataType::Interval(_) | DataType::Duration(_) => {
            DataType::Interval(IntervalUnit::MonthDayNano)
        }
        DataType::Dictionary(_, value) => stored(value),
        DataType::RunEndEncoded(_, value) => stored(value.data_type()),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => DataType::List(list_item(stored(item.data_type()))),
        other => other.clone(),
    }
}

/// The item of a list that a temporary table keeps.
pub(super) fn list_item(data_type: DataType) -> FieldRef {
    Arc::new(Field::new_list_field(data_type, true))
}

/// Whether values of one type may be assigned to a column of another.
pub(super) fn assignable(from: PgType, to: PgType) -> bool {
    let number = |t: PgType| {
        matches!(
            t,
            PgType::INT2
                | PgType::INT4
                | PgType::INT8
                | PgType::FLOAT4
                | PgType::FLOAT8
                | PgType::NUMERIC
        )
    };
    let moment = |t: PgType| matches!(t, PgType::DATE | PgType::TIMESTAMP | PgType::TIMESTAMPTZ);
    match (from.element(), to.element()) {
        (Some(from), Some(to)) => return assignable(from, to),
        (None, Some(_)) => return false,
        _ => {}
    }
    let kept_as_text = |t: PgType| matches!(t, PgType::UUID | PgType::JSON | PgType::JSONB);
    from == to
        || is_text(to)
        // Constants of these types are text until they are looked at.
        || (is_text(from) && kept_as_text(to))
        || (number(from) && number(to))
        || (moment(from) && moment(to))
        || (to == PgType::TIME && matches!(from, PgType::TIMESTAMP | PgType::TIMESTAMPTZ))
        || (from == PgType::TIME && to == PgType::INTERVAL)
        || (matches!(from, PgType::JSON | PgType::JSONB)
            && matches!(to, PgType::JSON | PgType::JSONB))
}

fn is_text(pg_type: PgType) -> bool {
    matches!(
        pg_type,
        PgType::TEXT | PgType::VARCHAR | PgType::BPCHAR | PgType::NAME
    )
}

/// The values of a column of type `from` as those of `field`.
///
/// # Errors
/// 22003 for numbers out of range, 22001 for text that is too long, 22P02 for text that is no value of its type.
pub(super) fn assign(
    array: &ArrayRef,
    from: PgType,
    field: &Field,
    session: &Session,
) -> Result<ArrayRef, ServerError> {
    let to = PgType::of_field(field);
    let target = field.data_type();
    if *array.data_type() == DataType::Null {
        return Ok(new_null_array(target, array.len()));
    }
    if let (DataType::List(item), true) = (target, item_type(array.data_type()).is_some()) {
        return list(array, from, field, item, session);
    }
    if *target == DataType::Utf8 {
        let texts = match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                cast(array, target)?.as_string::<i32>().clone()
            }
            _ => texts(array, from, session)?,
        };
        let checked = matches!(
            to,
            PgType::VARCHAR | PgType::BPCHAR | PgType::UUID | PgType::JSON | PgType::JSONB
        );
        return match checked && (from != to || is_text(to)) {
            true => read(&texts, field, session),
            false => Ok(Arc::new(texts)),
        };
    }
    // Values of the system catalog come as text beside their binary form.
    if let DataType::Struct(_) = array.data_type()
        && !from.is_row()
    {
        return read(&texts(array, from, session)?, field, session);
    }
    match (array.data_type(), target) {
        (from, to) if from == to => Ok(Arc::clone(array)),
        (DataType::Float16 | DataType::Float32 | DataType::Float64, to) if to.is_integer() => {
            let wide = cast(array, &DataType::Float64)?;
            let whole =
                unary::<Float64Type, _, Float64Type>(wide.as_primitive(), f64::round_ties_even);
            number(&(Arc::new(whole) as ArrayRef), to)
        }
        (DataType::Decimal128(precision, scale), to) if to.is_integer() && *scale > 0 => {
            number(&cast(array, &DataType::Decimal128(*precision, 0))?, to)
        }
        (DataType::Decimal256(precision, scale), to) if to.is_integer() && *scale > 0 => {
            number(&cast(array, &DataType::Decimal256(*precision, 0))?, to)
        }
        (from, DataType::Float64) if from.is_decimal() => semantics::nearest(array),
        (DataType::Float64, DataType::Float32) => {
            let narrow = number(array, target)?;
            let wide = array.as_primitive::<Float64Type>();
            let too_large =
                narrow.as_primitive::<Float32Type>().iter().zip(wide).any(
                    |pair| matches!(pair, (Some(a), Some(b)) if a.is_infinite() && b.is_finite()),
                );
            match too_large {
                true => Err(ServerError::new("22003", "value out of range: overflow")),
                false => Ok(narrow),
            }
        }
        // The digits that a float has as a numeric, which the column may round.
        (from, to) if from.is_floating() && to.is_decimal() => {
            let rounded = !field.metadata().contains_key(ANY_SCALE);
            let numbers = semantics::numerics_of_floats(array, rounded)?;
            number(&numbers, to)
        }
        (
            DataType::Decimal128(_, has) | DataType::Decimal256(_, has),
            DataType::Decimal128(_, keeps) | DataType::Decimal256(_, keeps),
        ) => {
            let kept = number(array, target)?;
            // A numeric without a scale loses no digit: what it cannot keep is refused.
            if has > keeps && field.metadata().contains_key(ANY_SCALE) {
                let back = cast(&kept, array.data_type());
                if back.is_err() || back.is_ok_and(|back| back.as_ref() != array.as_ref()) {
                    let text = format!(
                        "a numeric without a scale keeps {keeps} digits after the point here, and a value of column \"{}\" has more",
                        field.name()
                    );
                    return Err(ServerError::unsupported(text)
                        .hint("Declare the column as numeric(precision, scale)."));
                }
            }
            Ok(kept)
        }
        // A local time is that of the session's zone.
        (DataType::Timestamp(..) | DataType::Date32 | DataType::Time64(_), _) => {
            Ok(semantics::convert(array, target, &session.style.clock)?)
        }
        (from, to) if is_number(from) && is_number(to) => number(array, to),
        (_, to) => cast(array, to),
    }
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

/// The items of a list; None for another type.
fn item_type(data_type: &DataType) -> Option<&FieldRef> {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => Some(item),
        _ => None,
    }
}

/// Arrays as those of a column of arrays, which have as many dimensions, or no item.
fn list(
    array: &ArrayRef,
    from: PgType,
    field: &Field,
    item: &FieldRef,
    session: &Session,
) -> Result<ArrayRef, ServerError> {
    let Some(inner) = item_type(array.data_type()) else {
        return Err(ServerError::internal("a list of another kind"));
    };
    let plain = cast(array, &DataType::List(Arc::clone(inner)))?;
    let plain = plain.as_list::<i32>();
    let (found, depth) = (dimensions(array.data_type()), dimensions(field.data_type()));
    if found != depth {
        let has_items = |row: usize| plain.is_valid(row) && plain.value_length(row) > 0;
        if (0..plain.len()).any(has_items) {
            return Err(wrong_depth(found, depth, PgType::of_field(field)));
        }
        return Ok(Arc::new(ListArray::try_new(
            Arc::clone(item),
            OffsetBuffer::new_zeroed(plain.len()),
            new_empty_array(item.data_type()),
            plain.nulls().cloned(),
        )?));
    }
    // Every dimension is told as the same array type.
    let of_items = match item_type(inner.data_type()) {
        Some(_) => from,
        None => from.element().unwrap_or(from),
    };
    let items = assign(plain.values(), of_items, &item_of(item, field), session)?;
    Ok(Arc::new(ListArray::try_new(
        Arc::clone(item),
        plain.offsets().clone(),
        items,
        plain.nulls().cloned(),
    )?))
}

/// Every value cast to text: of truth values that is a word, where results show a letter.
fn texts(array: &ArrayRef, pg_type: PgType, session: &Session) -> Result<StringArray, ServerError> {
    if *array.data_type() == DataType::Boolean {
        return Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone());
    }
    let cells = Cells::new(array, pg_type)?;
    let mut text = BytesMut::new();
    let mut out = Vec::with_capacity(array.len());
    for row in 0..array.len() {
        if cells.is_null(row) {
            out.push(None);
            continue;
        }
        text.clear();
        cells.text(row, &session.style, &mut text)?;
        out.push(Some(String::from_utf8_lossy(&text).into_owned()));
    }
    Ok(StringArray::from(out))
}

/// Texts read as values of `field`.
fn read(texts: &StringArray, field: &Field, session: &Session) -> Result<ArrayRef, ServerError> {
    let mut column = ColumnInput::new(field)?;
    for text in texts {
        match text {
            Some(text) => column.text(text, &session.style)?,
            None => column.null(),
        }
    }
    column.finish()
}

const STRICT: CastOptions<'static> = CastOptions {
    safe: false,
    format_options: arrow::util::display::FormatOptions::new(),
};

fn cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ServerError> {
    Ok(cast_with_options(array, to, &STRICT)?)
}

/// A number as one of another type: 22003 when that has it not.
fn number(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ServerError> {
    cast_with_options(array, to, &STRICT).map_err(|error| match error {
        ArrowError::CastError(_)
        | ArrowError::InvalidArgumentError(_)
        | ArrowError::ArithmeticOverflow(_)
        | ArrowError::ComputeError(_) => {
            let text = match to {
                DataType::Decimal128(..) | DataType::Decimal256(..) => {
                    "numeric field overflow".to_owned()
                }
                _ => format!("{} out of range", PgType::of_arrow(to).sql_name()),
            };
            ServerError::new("22003", text)
        }
        other => other.into(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::{Decimal128Array, Float64Array, Int32Array, Int64Array};
    use arrow::datatypes::{Int16Type, Int32Type};

    fn session() -> Session {
        Session {
            style: TextStyle::default(),
        }
    }

    fn assigned(array: ArrayRef, to: DataType) -> Result<ArrayRef, ServerError> {
        let from = PgType::of_arrow(array.data_type());
        assign(&array, from, &Field::new("x", to, true), &session())
    }

    #[test]
    fn numbers_are_rounded_as_in_postgresql_and_bounded() {
        let floats = Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5, -2.5]));
        let whole = assigned(floats, DataType::Int32).unwrap();
        assert_eq!(whole.as_primitive::<Int32Type>().values(), &[0, 2, 2, -2]);
        let decimals = Decimal128Array::from(vec![5, 15, 25, -25]);
        let decimals = decimals.with_precision_and_scale(5, 1).unwrap();
        let whole = assigned(Arc::new(decimals), DataType::Int16).unwrap();
        assert_eq!(whole.as_primitive::<Int16Type>().values(), &[1, 2, 3, -3]);
        let wide = Arc::new(Int64Array::from(vec![1 << 40]));
        let error = assigned(wide, DataType::Int32).unwrap_err();
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            ("22003", "integer out of range")
        );
        let wide = Arc::new(Int32Array::from(vec![1000]));
        assert_eq!(
            assigned(wide, DataType::Decimal128(4, 2))
                .unwrap_err()
                .code(),
            "22003"
        );
    }

    #[test]
    fn what_may_be_assigned_is_a_fixed_list() {
        for (from, to, may) in [
            (PgType::INT8, PgType::INT2, true),
            (PgType::NUMERIC, PgType::FLOAT8, true),
            (PgType::TEXT, PgType::INT4, false),
            (PgType::BOOL, PgType::INT4, false),
            (PgType::INT4, PgType::TEXT, true),
            (PgType::DATE, PgType::TIMESTAMPTZ, true),
            (PgType::TIMESTAMP, PgType::INTERVAL, false),
            (PgType::INT4.array(), PgType::INT8.array(), true),
            (PgType::INT4, PgType::INT4.array(), false),
        ] {
            assert_eq!(
                assignable(from, to),
                may,
                "{} to {}",
                from.sql_name(),
                to.sql_name()
            );
        }
    }
}
