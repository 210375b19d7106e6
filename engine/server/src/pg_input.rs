//! PostgreSQL's input and receive functions: values in text or binary to columns of Arrow.
//!
//! ```text
//! field of a table ──► ColumnInput ──text(…) or binary(…) a value──► finish() = one Arrow array
//! ```
//! A value that its type does not have is refused in PostgreSQL's words; nothing is rounded away but where PostgreSQL
//! rounds (numeric with a scale, fractions of a microsecond).

mod binary;
mod decimal;
mod encoding;
mod inet;
mod interval;
mod json_fault;
mod jsonb;
mod moment;
mod received;
mod text;
mod time;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder,
    Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder,
    IntervalMonthDayNanoBuilder, ListArray, NullBufferBuilder, StringBuilder,
    Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    DataType, Field, FieldRef, IntervalMonthDayNano, IntervalUnit, TimeUnit, i256,
};

use crate::clock::{Clock, DateOrder};
use crate::pg_types::{PgType, modifier_of_field};
use crate::sqlstate::ServerError;

/// A truth value from its text.
///
/// # Errors
/// 22P02 for a text that is none.
pub(crate) fn truth_of_text(text: &str) -> Result<bool, ServerError> {
    text::boolean(text)
}
pub(crate) use binary::array_dimensions;
pub(crate) use encoding::utf8;
pub(crate) use inet::Inet;
pub(crate) use interval::{Fields, Unit, interval_of_fields};
pub(crate) use jsonb::key as jsonb_key;
pub(crate) use received::{Received, format as bad_format};
pub(crate) use text::json_levels;

/// A column that grows value by value.
pub(crate) struct ColumnInput {
    pg_type: PgType,
    values: Values,
}

enum Values {
    Bool(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Float4(Float32Builder),
    Float8(Float64Builder),
    Numeric128(Decimal128Builder, decimal::Shape),
    Numeric256(Decimal256Builder, decimal::Shape),
    /// Text and what is kept as text; the most characters a value may have.
    Text(StringBuilder, Option<usize>),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    List(Box<ListInput>),
}

struct ListInput {
    item: FieldRef,
    items: ColumnInput,
    offsets: Vec<i32>,
    valid: NullBufferBuilder,
    /// Dimensions that every value of the column has; an empty array has none.
    depth: usize,
}

impl ColumnInput {
    /// An empty column for the values of `field`.
    ///
    /// # Errors
    /// 0A000 for types that have no input function here, as structs.
    pub(crate) fn new(field: &Field) -> Result<Self, ServerError> {
        let pg_type = PgType::of_field(field);
        let characters = || {
            let bounded = matches!(pg_type, PgType::VARCHAR | PgType::BPCHAR);
            let most = usize::try_from(modifier_of_field(field) - 4).ok();
            most.filter(|_| bounded)
        };
        let values = match field.data_type() {
            DataType::Boolean => Values::Bool(BooleanBuilder::new()),
            DataType::Int16 => Values::Int2(Int16Builder::new()),
            DataType::Int32 => Values::Int4(Int32Builder::new()),
            DataType::Int64 => Values::Int8(Int64Builder::new()),
            DataType::Float32 => Values::Float4(Float32Builder::new()),
            DataType::Float64 => Values::Float8(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => Values::Numeric128(
                Decimal128Builder::new().with_precision_and_scale(*precision, *scale)?,
                decimal::Shape::of(*precision, *scale, field),
            ),
            DataType::Decimal256(precision, scale) => Values::Numeric256(
                Decimal256Builder::new().with_precision_and_scale(*precision, *scale)?,
                decimal::Shape::of(*precision, *scale, field),
            ),
            DataType::Utf8 => Values::Text(StringBuilder::new(), characters()),
            DataType::Binary => Values::Bytes(BinaryBuilder::new()),
            DataType::Date32 => Values::Date(Date32Builder::new()),
            DataType::Time64(TimeUnit::Microsecond) => {
                Values::Time(Time64MicrosecondBuilder::new())
            }
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                let builder = TimestampMicrosecondBuilder::new();
                Values::Timestamp(builder.with_timezone_opt(zone.clone()))
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                Values::Interval(IntervalMonthDayNanoBuilder::new())
            }
            DataType::List(item) => Values::List(Box::new(ListInput::new(item, field)?)),
            other => {
                return Err(ServerError::unsupported(format!(
                    "values of column \"{}\" ({other}) cannot be read; make the table with CREATE TEMP TABLE … AS",
                    field.name()
                )));
            }
        };
        Ok(Self { pg_type, values })
    }

    /// Adds NULL.
    pub(crate) fn null(&mut self) {
        match &mut self.values {
            Values::Bool(values) => values.append_null(),
            Values::Int2(values) => values.append_null(),
            Values::Int4(values) => values.append_null(),
            Values::Int8(values) => values.append_null(),
            Values::Float4(values) => values.append_null(),
            Values::Float8(values) => values.append_null(),
            Values::Numeric128(values, _) => values.append_null(),
            Values::Numeric256(values, _) => values.append_null(),
            Values::Text(values, _) => values.append_null(),
            Values::Bytes(values) => values.append_null(),
            Values::Date(values) => values.append_null(),
            Values::Time(values) => values.append_null(),
            Values::Timestamp(values) => values.append_null(),
            Values::Interval(values) => values.append_null(),
            Values::List(list) => list.end(false),
        }
    }

    /// All values so far; the column is empty then.
    ///
    /// # Errors
    /// Never for values that were taken; the signature follows Arrow's.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ServerError> {
        Ok(match &mut self.values {
            Values::Bool(values) => Arc::new(values.finish()),
            Values::Int2(values) => Arc::new(values.finish()),
            Values::Int4(values) => Arc::new(values.finish()),
            Values::Int8(values) => Arc::new(values.finish()),
            Values::Float4(values) => Arc::new(values.finish()),
            Values::Float8(values) => Arc::new(values.finish()),
            Values::Numeric128(values, _) => Arc::new(values.finish()),
            Values::Numeric256(values, _) => Arc::new(values.finish()),
            Values::Text(values, _) => Arc::new(values.finish()),
            Values::Bytes(values) => Arc::new(values.finish()),
            Values::Date(values) => Arc::new(values.finish()),
            Values::Time(values) => Arc::new(values.finish()),
            Values::Timestamp(values) => Arc::new(values.finish()),
            Values::Interval(values) => Arc::new(values.finish()),
            Values::List(list) => list.finish()?,
        })
    }
}

/// The items of a column of arrays, with what the column says of them.
pub(crate) fn item_of(item: &Field, array: &Field) -> Field {
    let told = array.metadata().clone();
    Field::new(array.name(), item.data_type().clone(), true).with_metadata(told)
}

impl ListInput {
    fn new(item: &FieldRef, array: &Field) -> Result<Self, ServerError> {
        let items = ColumnInput::new(&item_of(item, array))?;
        let depth = match &items.values {
            Values::List(inner) => inner.depth + 1,
            _ => 1,
        };
        Ok(Self {
            item: Arc::clone(item),
            items,
            offsets: vec![0],
            valid: NullBufferBuilder::new(0),
            depth,
        })
    }

    /// Ends the value whose items were added.
    fn end(&mut self, valid: bool) {
        let length = i32::try_from(self.items.len()).unwrap_or(i32::MAX);
        self.offsets.push(length);
        self.valid.append(valid);
    }

    fn finish(&mut self) -> Result<ArrayRef, ServerError> {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let items = self.items.finish()?;
        Ok(Arc::new(ListArray::try_new(
            Arc::clone(&self.item),
            OffsetBuffer::new(offsets.into()),
            items,
            self.valid.finish(),
        )?))
    }
}

impl ColumnInput {
    /// Values so far.
    fn len(&self) -> usize {
        use arrow::array::ArrayBuilder as _;
        match &self.values {
            Values::Bool(values) => values.len(),
            Values::Int2(values) => values.len(),
            Values::Int4(values) => values.len(),
            Values::Int8(values) => values.len(),
            Values::Float4(values) => values.len(),
            Values::Float8(values) => values.len(),
            Values::Numeric128(values, _) => values.len(),
            Values::Numeric256(values, _) => values.len(),
            Values::Text(values, _) => values.len(),
            Values::Bytes(values) => values.len(),
            Values::Date(values) => values.len(),
            Values::Time(values) => values.len(),
            Values::Timestamp(values) => values.len(),
            Values::Interval(values) => values.len(),
            Values::List(list) => list.offsets.len() - 1,
        }
    }
}

/// A value of a type that is kept as text, as its type prints it.
///
/// # Errors
/// 22P02 for a text that is no value of the type.
pub(crate) fn kept_text(text: &str, pg_type: PgType) -> Result<String, ServerError> {
    match pg_type {
        PgType::UUID => text::uuid(text),
        PgType::JSONB => jsonb::canonical(text),
        PgType::INET => match Inet::parse(text) {
            Some(inet) => Ok(inet.to_string()),
            None => {
                let text = format!("invalid input syntax for type inet: \"{text}\"");
                Err(ServerError::new("22P02", text))
            }
        },
        PgType::JSON => text::json(text).map(|()| text.to_owned()),
        PgType::NAME => Ok(text.chars().scan(0, within_name).collect()),
        PgType::CHAR => Ok(text::one_byte(text)),
        _ => Ok(text.to_owned()),
    }
}

/// A byte as a "char" shows it.
pub(crate) fn char_of_byte(byte: u8) -> String {
    text::shown_byte(byte)
}

/// Bytes of the longest name.
const NAME_BYTES: usize = 63;

/// A character of a name, as long as there is room for it.
fn within_name(bytes: &mut usize, next: char) -> Option<char> {
    *bytes += next.len_utf8();
    (*bytes <= NAME_BYTES).then_some(next)
}

/// A decimal number without exponent, every digit kept.
///
/// # Errors
/// 22P02 for what is no number, 22003 for one that is longer than any column.
pub(crate) fn plain_decimal(text: &str) -> Result<String, ServerError> {
    decimal::plain(text)
}

/// A number as numerics without digits have it: times ten to their scale.
///
/// # Errors
/// 22P02, 22003, and 0A000 for digits that there is no room for.
pub(crate) fn free_numeric(text: &str) -> Result<i256, ServerError> {
    decimal::free(text)
}

/// The same without the digits that there is no room for.
///
/// # Errors
/// 22P02 and 22003.
pub(crate) fn free_numeric_cut(text: &str) -> Result<i256, ServerError> {
    decimal::free_cut(text)
}

/// A float from its text, as C reads it: hexadecimal digits too.
///
/// # Errors
/// 22P02 for what is no number, 22003 for one that the type has not.
pub(crate) fn float(text: &str, pg_type: PgType) -> Result<f64, ServerError> {
    text::float(text, pg_type)
}

/// Whether PostgreSQL has a day, or it is infinite.
pub(crate) fn is_day(day: i32) -> bool {
    time::is_day(day)
}

/// Whether there is a timestamp of these microseconds since 1970.
pub(crate) fn is_timestamp(micros: i64) -> bool {
    time::is_timestamp(micros)
}

/// Days since 1970 of a date, by this clock where the text leaves something to it.
///
/// # Errors
/// 22007 and 22008 as PostgreSQL reports them.
pub(crate) fn date(text: &str, clock: &Clock) -> Result<i32, ServerError> {
    time::date(text, clock)
}

/// Microseconds since midnight of a time of day.
///
/// # Errors
/// As [`date`].
pub(crate) fn time(text: &str, clock: &Clock) -> Result<i64, ServerError> {
    time::time(text, clock)
}

/// Microseconds since 1970 of a timestamp without zone.
///
/// # Errors
/// As [`date`].
pub(crate) fn timestamp(text: &str, clock: &Clock) -> Result<i64, ServerError> {
    time::timestamp(text, clock)
}

/// Microseconds since 1970 in UTC of a timestamp with zone, which is the clock's unless the text says it.
///
/// # Errors
/// As [`date`], and 22023 for a zone that is not known.
pub(crate) fn instant(text: &str, clock: &Clock) -> Result<i64, ServerError> {
    time::instant(text, clock)
}

/// A time with all that a clock adds to it, in the form that everybody reads; None for one that has no such form, or that
/// is another in the next statement.
///
/// # Errors
/// As the functions that read the type.
pub(crate) fn absolute(
    text: &str,
    pg_type: PgType,
    clock: &Clock,
) -> Result<Option<String>, ServerError> {
    const DAY: i64 = crate::calendar::DAY;
    let micros = match pg_type {
        PgType::DATE => i64::from(date(text, clock)?).saturating_mul(DAY),
        PgType::TIMESTAMP => timestamp(text, clock)?,
        PgType::TIMESTAMPTZ => instant(text, clock)?,
        _ => return Ok(None),
    };
    let lower = text.to_ascii_lowercase();
    let relative = ["now", "today", "tomorrow", "yesterday"];
    let (year, month, day) = crate::calendar::civil(micros.div_euclid(DAY));
    if relative.iter().any(|word| lower.contains(word)) || !(1..10_000).contains(&year) {
        return Ok(None);
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    if pg_type == PgType::DATE {
        return Ok(Some(date));
    }
    let micros = micros.rem_euclid(DAY);
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let zone = if pg_type == PgType::TIMESTAMPTZ {
        "+00:00"
    } else {
        ""
    };
    Ok(Some(format!(
        "{date}T{hours:02}:{minutes:02}:{seconds:02}.{rest:06}{zone}"
    )))
}

/// Whether a text is a value of a type of times, whatever clock it is read by.
///
/// # Errors
/// As the functions that read the type.
pub(crate) fn check_time(text: &str, pg_type: PgType) -> Result<(), ServerError> {
    let read = |order| {
        let clock = Clock {
            order,
            ..Clock::default()
        };
        match pg_type {
            PgType::DATE => date(text, &clock).map(drop),
            PgType::TIME => time(text, &clock).map(drop),
            PgType::TIMESTAMP => timestamp(text, &clock).map(drop),
            _ => instant(text, &clock).map(drop),
        }
    };
    let error = match read(DateOrder::Mdy) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    match [DateOrder::Dmy, DateOrder::Ymd]
        .into_iter()
        .any(|order| read(order).is_ok())
    {
        true => Ok(()),
        false => Err(error),
    }
}

/// An interval from its text.
///
/// # Errors
/// 22007 and 22015 as PostgreSQL reports them.
pub(crate) fn interval(text: &str) -> Result<IntervalMonthDayNano, ServerError> {
    interval::interval(text)
}

/// 22P02 in PostgreSQL's words.
fn invalid(pg_type: PgType, text: &str) -> ServerError {
    let name = pg_type.sql_name();
    let message = format!("invalid input syntax for type {name}: \"{text}\"");
    ServerError::new("22P02", message)
}

/// PostgreSQL's array types have any number of dimensions, a column of ours the same in every row.
pub(crate) fn wrong_depth(found: usize, depth: usize, pg_type: PgType) -> ServerError {
    let name = pg_type.sql_name();
    let declared = pg_type.element().unwrap_or(pg_type).sql_name();
    let brackets = "[]".repeat(found);
    ServerError::unsupported(format!(
        "an array of {found} dimensions in a column of type {name} with {depth}"
    ))
    .hint(format!(
        "A column holds arrays of the dimensions that it is declared with: {declared}{brackets}."
    ))
}

/// 22003 for an integer that its type has not.
fn out_of_range(pg_type: PgType, text: &str) -> ServerError {
    let name = pg_type.sql_name();
    let message = format!("value \"{text}\" is out of range for type {name}");
    ServerError::new("22003", message)
}

/// 22001 for text that is longer than its column; spaces at the end may go, as in PostgreSQL.
fn within(text: &str, most: Option<usize>, pg_type: PgType) -> Result<&str, ServerError> {
    let Some(most) = most else { return Ok(text) };
    let Some((end, _)) = text.char_indices().nth(most) else {
        return Ok(text);
    };
    if text
        .get(end..)
        .is_some_and(|rest| rest.chars().all(|c| c == ' '))
    {
        return Ok(text.get(..end).unwrap_or(text));
    }
    let name = pg_type.sql_name();
    Err(ServerError::new(
        "22001",
        format!("value too long for type {name}({most})"),
    ))
}
