//! The cells of one column of one batch, downcast once.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray,
    LargeBinaryArray, LargeStringArray, PrimitiveArray, StringArray, StringViewArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, DurationMicrosecondType, Field, Fields,
    Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType,
    IntervalUnit, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, UInt32Type,
    UInt64Type,
};

use crate::pg_types::{PgType, is_free};
use crate::sqlstate::ServerError;

/// A column's values with their concrete Arrow array.
#[derive(Debug, Clone)]
pub(crate) struct Cells {
    nulls: Option<NullBuffer>,
    pub(super) kind: Kind,
}

/// The value kinds that differ on the wire. Narrower Arrow types are widened once per batch.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Null,
    Bool(BooleanArray),
    Int2(PrimitiveArray<Int16Type>),
    Int4(PrimitiveArray<Int32Type>),
    Int8(PrimitiveArray<Int64Type>),
    Oid(PrimitiveArray<UInt32Type>),
    Float4(PrimitiveArray<Float32Type>),
    Float8(PrimitiveArray<Float64Type>),
    UInt8(PrimitiveArray<UInt64Type>),
    Numeric128(PrimitiveArray<Decimal128Type>, i8),
    Numeric256(PrimitiveArray<Decimal256Type>, i8),
    /// Each with the digits that it has.
    Free(PrimitiveArray<Decimal256Type>, i8),
    Utf8(StringArray),
    LargeUtf8(LargeStringArray),
    Utf8View(StringViewArray),
    /// Text that carries a value of another type (catalog results): binary form by that type.
    TextOf(StringArray, PgType),
    /// Both wire forms, as the system catalog gives them.
    Forms(StringArray, BinaryArray),
    Binary(BinaryArray),
    LargeBinary(LargeBinaryArray),
    BinaryView(BinaryViewArray),
    FixedBinary(FixedSizeBinaryArray),
    Uuid(FixedSizeBinaryArray),
    Date(PrimitiveArray<Date32Type>),
    Time(PrimitiveArray<Time64MicrosecondType>),
    Timestamp(PrimitiveArray<TimestampMicrosecondType>),
    TimestampTz(PrimitiveArray<TimestampMicrosecondType>),
    Interval(PrimitiveArray<IntervalMonthDayNanoType>),
    Duration(PrimitiveArray<DurationMicrosecondType>),
    List(Box<ListCells>),
    Struct(Vec<FieldCells>),
    Map(Box<MapCells>),
}

/// Elements of a list column and where each row's begin and end.
#[derive(Debug, Clone)]
pub(super) struct ListCells {
    pub(super) ranges: Vec<(usize, usize)>,
    pub(super) elements: Cells,
    pub(super) element_type: PgType,
}

/// A field of a struct column.
#[derive(Debug, Clone)]
pub(super) struct FieldCells {
    pub(super) name: String,
    pub(super) pg_type: PgType,
    pub(super) cells: Cells,
}

/// Keys and values of a map column and where each row's begin and end.
#[derive(Debug, Clone)]
pub(super) struct MapCells {
    pub(super) ranges: Vec<(usize, usize)>,
    pub(super) keys: Cells,
    pub(super) values: Cells,
}

impl Cells {
    /// Downcasts `array`, which is announced to the client as `pg_type`.
    pub(crate) fn new(array: &ArrayRef, pg_type: PgType) -> Result<Cells, ServerError> {
        Ok(Cells {
            nulls: array.logical_nulls(),
            kind: kind_of(array, pg_type)?,
        })
    }

    /// Whether the value in `row` is NULL.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        match &self.nulls {
            Some(nulls) => nulls.is_null(row),
            None => matches!(self.kind, Kind::Null),
        }
    }
}

fn kind_of(array: &ArrayRef, pg_type: PgType) -> Result<Kind, ServerError> {
    if pg_type.is_oid_like() && array.data_type().is_integer() {
        return Ok(Kind::Oid(
            cast(array, &DataType::UInt32)?.as_primitive().clone(),
        ));
    }
    Ok(match array.data_type() {
        DataType::Null => Kind::Null,
        DataType::Boolean => Kind::Bool(array.as_boolean().clone()),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => {
            Kind::Int2(cast(array, &DataType::Int16)?.as_primitive().clone())
        }
        DataType::Int32 | DataType::UInt16 => {
            Kind::Int4(cast(array, &DataType::Int32)?.as_primitive().clone())
        }
        DataType::Int64 | DataType::UInt32 => {
            Kind::Int8(cast(array, &DataType::Int64)?.as_primitive().clone())
        }
        DataType::UInt64 => Kind::UInt8(array.as_primitive().clone()),
        DataType::Float16 | DataType::Float32 => {
            Kind::Float4(cast(array, &DataType::Float32)?.as_primitive().clone())
        }
        DataType::Float64 => Kind::Float8(array.as_primitive().clone()),
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale)
            if is_free(*digits, *scale) =>
        {
            let array = cast(array, &DataType::Decimal256(*digits, *scale))?;
            Kind::Free(array.as_primitive().clone(), *scale)
        }
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) => {
            let array = cast(array, &DataType::Decimal128(*p, *s))?;
            Kind::Numeric128(array.as_primitive().clone(), *s)
        }
        DataType::Decimal256(_, scale) => Kind::Numeric256(array.as_primitive().clone(), *scale),
        DataType::Utf8 if text_like(pg_type) => Kind::Utf8(array.as_string().clone()),
        DataType::Utf8 => Kind::TextOf(array.as_string().clone(), pg_type),
        DataType::LargeUtf8 => Kind::LargeUtf8(array.as_string().clone()),
        DataType::Utf8View => Kind::Utf8View(array.as_string_view().clone()),
        DataType::Binary => Kind::Binary(array.as_binary().clone()),
        DataType::LargeBinary => Kind::LargeBinary(array.as_binary().clone()),
        DataType::BinaryView => Kind::BinaryView(array.as_binary_view().clone()),
        DataType::FixedSizeBinary(16) if pg_type == PgType::UUID => {
            Kind::Uuid(array.as_fixed_size_binary().clone())
        }
        DataType::FixedSizeBinary(_) => Kind::FixedBinary(array.as_fixed_size_binary().clone()),
        DataType::Date32 | DataType::Date64 => {
            Kind::Date(cast(array, &DataType::Date32)?.as_primitive().clone())
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let array = cast(array, &DataType::Time64(TimeUnit::Microsecond))?;
            Kind::Time(array.as_primitive().clone())
        }
        DataType::Timestamp(_, zone) => {
            let target = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            let cells = cast(array, &target)?.as_primitive().clone();
            if zone.is_some() {
                Kind::TimestampTz(cells)
            } else {
                Kind::Timestamp(cells)
            }
        }
        DataType::Interval(_) => {
            let array = cast(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
            Kind::Interval(array.as_primitive().clone())
        }
        DataType::Duration(_) => {
            let array = cast(array, &DataType::Duration(TimeUnit::Microsecond))?;
            Kind::Duration(array.as_primitive().clone())
        }
        DataType::Dictionary(_, value) => return kind_of(&cast(array, value)?, pg_type),
        DataType::RunEndEncoded(_, value) => {
            return kind_of(&cast(array, value.data_type())?, pg_type);
        }
        DataType::ListView(field) | DataType::LargeListView(field) => {
            return kind_of(
                &cast(array, &DataType::LargeList(Arc::clone(field)))?,
                pg_type,
            );
        }
        DataType::List(field) => {
            let list = array.as_list::<i32>();
            list_kind(ranges(list.offsets()), list.values(), field, pg_type)?
        }
        DataType::LargeList(field) => {
            let list = array.as_list::<i64>();
            let ranges = list
                .offsets()
                .windows(2)
                .map(|w| (wide(w[0]), wide(w[1])))
                .collect();
            list_kind(ranges, list.values(), field, pg_type)?
        }
        DataType::FixedSizeList(field, size) => {
            let size = index(*size);
            let ranges = (0..array.len())
                .map(|row| (row * size, (row + 1) * size))
                .collect();
            {
                let values = array.as_fixed_size_list().values();
                list_kind(ranges, values, field, pg_type)?
            }
        }
        DataType::Struct(fields) if !pg_type.is_row() || is_two_forms(fields) => forms(array)?,
        DataType::Struct(fields) => {
            let cells = fields
                .iter()
                .zip(array.as_struct().columns())
                .map(|(field, column)| {
                    let pg_type = PgType::of_field(field);
                    Ok(FieldCells {
                        name: field.name().clone(),
                        pg_type,
                        cells: Cells::new(column, pg_type)?,
                    })
                });
            Kind::Struct(cells.collect::<Result<_, ServerError>>()?)
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let of = |a: &ArrayRef| Cells::new(a, PgType::of_arrow(a.data_type()));
            let (keys, values) = (of(map.keys())?, of(map.values())?);
            Kind::Map(Box::new(MapCells {
                ranges: ranges(map.offsets()),
                keys,
                values,
            }))
        }
        other => {
            return Err(ServerError::unsupported(format!(
                "a result column of type {other} has no PostgreSQL form; cast it to text"
            )));
        }
    })
}

fn list_kind(
    ranges: Vec<(usize, usize)>,
    values: &ArrayRef,
    field: &Field,
    pg_type: PgType,
) -> Result<Kind, ServerError> {
    // Every dimension is told as the same array type.
    let inner = match PgType::of_arrow(field.data_type()) {
        list if list.element().is_some() => pg_type,
        scalar => pg_type.element().unwrap_or(scalar),
    };
    let elements = Cells::new(values, inner)?;
    let element_type = inner.element().unwrap_or(inner);
    Ok(Kind::List(Box::new(ListCells {
        ranges,
        elements,
        element_type,
    })))
}

/// What tells a value's two wire forms from a row with two columns.
const FORM: &str = "pg_form";

/// The fields of a value of the catalog whose wire forms are both kept.
pub(crate) fn two_forms() -> Vec<Field> {
    let form = |name: &str, data_type| {
        let told = [(FORM.to_owned(), String::new())].into();
        Field::new(name, data_type, true).with_metadata(told)
    };
    vec![
        form("text", DataType::Utf8),
        form("binary", DataType::Binary),
    ]
}

fn is_two_forms(fields: &Fields) -> bool {
    let first = fields.first();
    first.is_some_and(|field| field.metadata().contains_key(FORM))
}

/// A struct of `text` and `binary`.
fn forms(array: &ArrayRef) -> Result<Kind, ServerError> {
    let form = |name| array.as_struct().column_by_name(name);
    match (form("text"), form("binary")) {
        (Some(text), Some(binary)) => Ok(Kind::Forms(
            text.as_string().clone(),
            binary.as_binary().clone(),
        )),
        _ => Err(ServerError::internal(
            "a catalog value without its wire forms",
        )),
    }
}

/// Types whose text and binary forms are both the bytes of the text.
fn text_like(pg_type: PgType) -> bool {
    matches!(pg_type.oid, 19 | 25 | 114 | 142 | 194 | 705 | 1042 | 1043)
}

fn ranges(offsets: &[i32]) -> Vec<(usize, usize)> {
    offsets
        .windows(2)
        .map(|w| (index(w[0]), index(w[1])))
        .collect()
}

fn index(offset: i32) -> usize {
    usize::try_from(offset).unwrap_or(0)
}

fn wide(offset: i64) -> usize {
    usize::try_from(offset).unwrap_or(0)
}
