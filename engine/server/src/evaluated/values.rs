//! Cells of columns as values of the catalog evaluator, and back.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray as _, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray,
    ListArray, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, FieldRef, Float64Type, Int64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, IntervalUnit, TimeUnit, TimestampMicrosecondType,
};

use crate::pg_catalog::{ArrayValue, Numeric, RecordValue, Value};
use crate::pg_types::{PgType, is_free, oid};
use crate::pgwire::encode::{Cells, TextStyle};
use crate::semantics;
use crate::sqlstate::ServerError;

/// Digits of the decimals that come back.
const DIGITS: u8 = 38;

/// The column that results of a PostgreSQL type make; of numeric with so many digits behind the point.
pub(super) fn data_type(ty: u32, digits: i8) -> DataType {
    if let Some(element) = (PgType { oid: ty, len: -1 }).element() {
        let element = data_type(element.oid, digits);
        return DataType::new_list(element, true);
    }
    match ty {
        oid::BOOL => DataType::Boolean,
        oid::INT2 => DataType::Int16,
        oid::INT4 => DataType::Int32,
        oid::INT8 => DataType::Int64,
        oid::FLOAT4 => DataType::Float32,
        oid::FLOAT8 => DataType::Float64,
        oid::NUMERIC => DataType::Decimal128(DIGITS, digits),
        oid::BYTEA => DataType::Binary,
        oid::DATE => DataType::Date32,
        oid::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        oid::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        oid::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        _ => DataType::Utf8,
    }
}

/// The most digits behind the point that an argument, or an item of one, has.
pub(super) fn digits(fields: &[FieldRef]) -> i8 {
    let of = |field: &FieldRef| match semantics::innermost(field.data_type()) {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => *scale,
        _ => 0,
    };
    fields.iter().map(of).max().unwrap_or(0).clamp(0, 30)
}

/// Reads the cells of one column as values of a type.
pub(super) enum Reader {
    Null,
    Bool(BooleanArray),
    Int(Int64Array),
    Float(Float64Array),
    Date(Date32Array),
    Timestamp(TimestampMicrosecondArray),
    Interval(IntervalMonthDayNanoArray),
    Bytes(BinaryArray),
    Text(StringArray),
    /// Numbers of any digits, by their text.
    Numeric(StringArray),
    List {
        list: ListArray,
        items: Box<Reader>,
        element: u32,
    },
    Record {
        fields: Vec<(Arc<str>, u32, Reader)>,
        nulls: Option<NullBuffer>,
    },
    /// Whatever else has a text.
    Printed(Box<Cells>),
}

impl Reader {
    /// # Errors
    /// What a conversion of the column fails with; 0A000 for a column that has no PostgreSQL form.
    pub(super) fn new(array: &ArrayRef, ty: u32) -> Result<Self, ServerError> {
        let to = |data_type: DataType| cast(array, &data_type);
        Ok(match array.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Bool(array.as_boolean().clone()),
            DataType::UInt64 => Self::Numeric(to(DataType::Utf8)?.as_string().clone()),
            data_type if data_type.is_integer() => {
                Self::Int(to(DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 if ty == oid::NUMERIC => {
                Self::Numeric(to(DataType::Utf8)?.as_string().clone())
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                Self::Float(to(DataType::Float64)?.as_primitive::<Float64Type>().clone())
            }
            DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale)
                if is_free(*digits, *scale) =>
            {
                let texts = to(DataType::Utf8)?;
                let texts = texts.as_string::<i32>().iter();
                let of_own =
                    |text: &str| text.trim_end_matches('0').trim_end_matches('.').to_owned();
                Self::Numeric(texts.map(|text| text.map(of_own)).collect())
            }
            data_type if data_type.is_decimal() => {
                Self::Numeric(to(DataType::Utf8)?.as_string().clone())
            }
            DataType::Date32 => Self::Date(array.as_primitive::<Date32Type>().clone()),
            DataType::Timestamp(_, zone) => {
                let micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
                let micros = to(micros)?;
                Self::Timestamp(micros.as_primitive::<TimestampMicrosecondType>().clone())
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                Self::Interval(array.as_primitive::<IntervalMonthDayNanoType>().clone())
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                Self::Bytes(to(DataType::Binary)?.as_binary().clone())
            }
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Dictionary(..) => Self::Text(to(DataType::Utf8)?.as_string().clone()),
            DataType::List(field) => {
                let element = PgType::of_field(field).oid;
                let list = array.as_list::<i32>().clone();
                let items = Box::new(Self::new(list.values(), element)?);
                Self::List {
                    list,
                    items,
                    element,
                }
            }
            DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
                let list = to(DataType::List(Arc::clone(field)))?;
                return Self::new(&list, ty);
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns();
                let fields = fields.iter().zip(columns).map(|(field, column)| {
                    let ty = PgType::of_field(field).oid;
                    Ok((record_name(field.name()), ty, Self::new(column, ty)?))
                });
                Self::Record {
                    fields: fields.collect::<Result<_, ServerError>>()?,
                    nulls: array.logical_nulls(),
                }
            }
            data_type => Self::Printed(Box::new(Cells::new(array, PgType::of_arrow(data_type))?)),
        })
    }

    pub(super) fn value(&self, row: usize) -> Value {
        if self.is_null(row) {
            return Value::Null;
        }
        match self {
            Self::Null => Value::Null,
            Self::Bool(array) => Value::Bool(array.value(row)),
            Self::Int(array) => Value::Int(array.value(row)),
            Self::Float(array) => Value::Float(array.value(row)),
            Self::Date(array) => Value::Date(array.value(row)),
            Self::Timestamp(array) => Value::Timestamp(array.value(row)),
            Self::Interval(array) => {
                let interval = array.value(row);
                Value::Interval {
                    months: interval.months,
                    days: interval.days,
                    micros: interval.nanoseconds / 1_000,
                }
            }
            Self::Bytes(array) => Value::Bytes(Arc::from(array.value(row))),
            Self::Text(array) => Value::text(array.value(row)),
            Self::Numeric(array) => {
                Numeric::parse(array.value(row)).map_or(Value::Null, Value::Numeric)
            }
            Self::List {
                list,
                items,
                element,
            } => {
                let offsets = list.value_offsets();
                let (Ok(from), Ok(to)) = (
                    usize::try_from(offsets[row]),
                    usize::try_from(offsets[row + 1]),
                ) else {
                    return Value::Null;
                };
                let items: Vec<Value> = (from..to).map(|at| items.value(at)).collect();
                Value::Array(Arc::new(array_of(*element, items)))
            }
            Self::Record { fields, .. } => Value::Record(Arc::new(RecordValue {
                names: fields.iter().map(|(name, ..)| Arc::clone(name)).collect(),
                types: fields.iter().map(|(_, ty, _)| *ty).collect(),
                values: fields
                    .iter()
                    .map(|(.., reader)| reader.value(row))
                    .collect(),
            })),
            Self::Printed(cells) => {
                let mut text = bytes::BytesMut::new();
                match cells.text(row, &TextStyle::default(), &mut text) {
                    Ok(()) => Value::text(String::from_utf8_lossy(&text)),
                    Err(_) => Value::Null,
                }
            }
        }
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(array) => array.is_null(row),
            Self::Int(array) => array.is_null(row),
            Self::Float(array) => array.is_null(row),
            Self::Date(array) => array.is_null(row),
            Self::Timestamp(array) => array.is_null(row),
            Self::Interval(array) => array.is_null(row),
            Self::Bytes(array) => array.is_null(row),
            Self::Text(array) | Self::Numeric(array) => array.is_null(row),
            Self::List { list, .. } => list.is_null(row),
            Self::Record { nulls, .. } => nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)),
            Self::Printed(cells) => cells.is_null(row),
        }
    }
}

/// An array of items, some of which may be arrays: PostgreSQL's have dimensions.
fn array_of(element: u32, items: Vec<Value>) -> ArrayValue {
    let Some(Value::Array(first)) = items.first() else {
        let scalar = PgType {
            oid: element,
            len: -1,
        }
        .element();
        return ArrayValue::flat(scalar.map_or(element, |scalar| scalar.oid), items);
    };
    let mut dims = vec![(i32::try_from(items.len()).unwrap_or(i32::MAX), 1)];
    dims.extend(first.dims.iter().copied());
    let element = first.element;
    let inner = items.iter().flat_map(|item| match item {
        Value::Array(inner) => inner.items.clone(),
        other => vec![other.clone()],
    });
    let items = inner.collect();
    ArrayValue {
        element,
        dims,
        items,
    }
}

/// Fields of a row that has no names are called f1, f2 and so on; to the planner they are c0, c1.
fn record_name(name: &str) -> Arc<str> {
    let number = name
        .strip_prefix('c')
        .and_then(|digits| digits.parse::<usize>().ok());
    match number {
        Some(number) if name == format!("c{number}") => Arc::from(format!("f{}", number + 1)),
        _ => Arc::from(name),
    }
}

/// A column of values.
///
/// # Errors
/// 22003 for a number that the column has no room for.
pub(super) fn array(
    values: &[Value],
    data_type: &DataType,
    style: &TextStyle,
) -> Result<ArrayRef, ServerError> {
    let range = || ServerError::new("22003", "value out of range");
    let int = |value: &Value| value.as_int();
    let float = |value: &Value| value.as_f64();
    Ok(match data_type {
        DataType::Boolean => Arc::new(values.iter().map(Value::as_bool).collect::<BooleanArray>()),
        DataType::Int16 => Arc::new(narrowed(values, "smallint")?.collect::<Int16Array>()),
        DataType::Int32 => Arc::new(narrowed(values, "integer")?.collect::<Int32Array>()),
        DataType::Int64 => Arc::new(values.iter().map(int).collect::<Int64Array>()),
        #[expect(clippy::cast_possible_truncation, reason = "a float4 kept as f64")]
        DataType::Float32 => Arc::new(
            values
                .iter()
                .map(|value| float(value).map(|f| f as f32))
                .collect::<Float32Array>(),
        ),
        DataType::Float64 => Arc::new(values.iter().map(float).collect::<Float64Array>()),
        DataType::Decimal128(precision, scale) => {
            let units = values.iter().map(|value| match value {
                Value::Numeric(number) => {
                    let units = number.units_of(u32::try_from(*scale).unwrap_or(0));
                    units.map(Some).ok_or_else(range)
                }
                Value::Int(number) => {
                    let units = Numeric::from(*number).units_of(u32::try_from(*scale).unwrap_or(0));
                    units.map(Some).ok_or_else(range)
                }
                _ => Ok(None),
            });
            let units: Decimal128Array = units.collect::<Result<_, ServerError>>()?;
            Arc::new(units.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Binary => {
            let bytes = values.iter().map(|value| match value {
                Value::Bytes(bytes) => Some(bytes.as_ref()),
                _ => None,
            });
            Arc::new(bytes.collect::<BinaryArray>())
        }
        DataType::Date32 => {
            let days = values.iter().map(|value| match value {
                Value::Date(days) => Some(*days),
                _ => None,
            });
            Arc::new(days.collect::<Date32Array>())
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let micros = values.iter().map(|value| match value {
                Value::Timestamp(micros) => Some(*micros),
                _ => None,
            });
            let micros = micros.collect::<TimestampMicrosecondArray>();
            Arc::new(micros.with_timezone_opt(zone.clone()))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let intervals = values.iter().map(|value| match value {
                Value::Interval {
                    months,
                    days,
                    micros,
                } => {
                    let nanos = micros.checked_mul(1_000).ok_or_else(range)?;
                    Ok(Some(IntervalMonthDayNano::new(*months, *days, nanos)))
                }
                _ => Ok(None),
            });
            Arc::new(intervals.collect::<Result<IntervalMonthDayNanoArray, ServerError>>()?)
        }
        DataType::List(field) => {
            let items = values
                .iter()
                .flat_map(|value| value.as_array().map_or(&[][..], |array| &array.items));
            let items: Vec<Value> = items.cloned().collect();
            let lengths = values
                .iter()
                .map(|value| value.as_array().map_or(0, |array| array.items.len()));
            let nulls: Vec<bool> = values.iter().map(|value| !value.is_null()).collect();
            let items = array(&items, field.data_type(), style)?;
            Arc::new(ListArray::try_new(
                Arc::clone(field),
                OffsetBuffer::from_lengths(lengths),
                items,
                Some(NullBuffer::from(nulls)),
            )?)
        }
        _ => Arc::new(
            values
                .iter()
                .map(|value| value.to_text(oid::TEXT, style))
                .collect::<StringArray>(),
        ),
    })
}

/// Whole numbers, of which those of a narrow type fit it.
fn narrowed<'a, T: TryFrom<i64>>(
    values: &'a [Value],
    name: &str,
) -> Result<impl Iterator<Item = Option<T>> + use<'a, T>, ServerError> {
    let fits = |value: &Value| {
        value
            .as_int()
            .is_none_or(|number| T::try_from(number).is_ok())
    };
    if !values.iter().all(fits) {
        return Err(ServerError::new("22003", format!("{name} out of range")));
    }
    Ok(values
        .iter()
        .map(|value| value.as_int().and_then(|number| T::try_from(number).ok())))
}
