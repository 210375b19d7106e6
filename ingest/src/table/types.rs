//! Column types of plain tables: what texts they take, and how a type is found from texts.
//!
//! | type | SQL | takes |
//! |---|---|---|
//! | `Bool` | bool | true false (any case); declared: also t f yes no y n 1 0 |
//! | `Int4`, `Int8` | int4, int8 | digits with an optional `-`; leading zeros only when declared |
//! | `Float8` | float8 | decimal numbers, with exponent; declared: also NaN, Infinity |
//! | `Date` | date | `YYYY-MM-DD` |
//! | `Timestamp` | timestamp | date, `T` or space, `HH:MM[:SS[.ffffff]]`; a bare date is midnight |
//! | `TimestampTz` | timestamptz | the same with `Z` or `+HH[:MM]`; kept in UTC |
//! | `Text` | text | anything |
//! | `TextList`, `IntList` | text[], int4[] | values separated by commas |
//!
//! A type is found over the whole file: the first in the order above that takes every value. A
//! whole number with a leading zero is text (`007` is a name), and so is one beyond int8: a column is of
//! integers only where they print as they were written (`-0` is no integer). A column of decimal numbers
//! holds their values and not how they were written (`1.0` prints as `1`). One in which nothing but
//! exponents as in `1E5` would say so is text: wells of a plate and codes look like that, and who writes
//! numbers writes `1e+05`, `1e-8` or `1.0e5`. A column without values is text.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int32Builder, Int64Builder,
    ListBuilder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// One cell of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell<'a> {
    /// No value.
    Null,
    /// Text whose type is to be found (csv, numbers of JSON).
    Bare(&'a str),
    /// Text that says it is text (strings of JSON): never a number.
    Quoted(&'a str),
    /// Several texts.
    List(&'a [String]),
}

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Bool,
    Int4,
    Int8,
    Float8,
    Date,
    Timestamp,
    TimestampTz,
    Text,
    TextList,
    IntList,
}

impl ColumnType {
    /// The type of a data dictionary's word, as PostgreSQL and common tools name types.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase();
        let base = word.split('(').next().unwrap_or("").trim();
        Some(match base {
            "bool" | "boolean" | "logical" => Self::Bool,
            "int" | "integer" | "int4" | "int2" | "smallint" | "int32" | "int16" | "serial" => {
                Self::Int4
            }
            "int8" | "bigint" | "int64" | "long" => Self::Int8,
            "float" | "float4" | "float8" | "real" | "double" | "double precision" | "numeric"
            | "decimal" | "number" | "float64" | "float32" => Self::Float8,
            "date" => Self::Date,
            "timestamp" | "datetime" | "timestamp without time zone" => Self::Timestamp,
            "timestamptz" | "timestamp with time zone" => Self::TimestampTz,
            "text" | "string" | "varchar" | "character varying" | "char" | "character" | "str"
            | "factor" | "categorical" | "uuid" => Self::Text,
            _ => return None,
        })
    }

    pub(crate) fn arrow(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int4 => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::Float8 => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Text => DataType::Utf8,
            Self::TextList => list_of(DataType::Utf8),
            Self::IntList => list_of(DataType::Int32),
        }
    }

    /// The type of a column of a table that exists; `None` for one this job cannot append to.
    pub(crate) fn of_arrow(ty: &DataType) -> Option<Self> {
        Some(match ty {
            DataType::Boolean => Self::Bool,
            DataType::Int32 => Self::Int4,
            DataType::Int64 => Self::Int8,
            DataType::Float64 => Self::Float8,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(TimeUnit::Microsecond, None) => Self::Timestamp,
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => Self::TimestampTz,
            DataType::Utf8 => Self::Text,
            DataType::List(item) if *item.data_type() == DataType::Utf8 => Self::TextList,
            DataType::List(item) if *item.data_type() == DataType::Int32 => Self::IntList,
            _ => return None,
        })
    }

    /// Name as messages show it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int4 => "int4",
            Self::Int8 => "int8",
            Self::Float8 => "float8",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
            Self::Text => "text",
            Self::TextList => "text[]",
            Self::IntList => "int4[]",
        }
    }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

/// Finds the type of a column from its values.
#[derive(Debug, Clone)]
pub(crate) struct Inference {
    bool_: bool,
    int4: bool,
    int8: bool,
    float8: bool,
    date: bool,
    timestamp: bool,
    timestamptz: bool,
    list: bool,
    seen: bool,
    wide_int: bool,
    fraction: bool,
    /// Some value is a decimal number that is nothing else.
    decimal: bool,
}

impl Default for Inference {
    fn default() -> Self {
        Self {
            bool_: true,
            int4: true,
            int8: true,
            float8: true,
            date: true,
            timestamp: true,
            timestamptz: true,
            list: false,
            seen: false,
            wide_int: false,
            fraction: false,
            decimal: false,
        }
    }
}

/// Whole numbers up to this are exact as float8.
const EXACT_MAX: i64 = 1 << 53;

impl Inference {
    /// Takes one more value into account.
    pub(crate) fn observe(&mut self, cell: Cell<'_>) {
        match cell {
            Cell::Null => {}
            Cell::Bare(text) => {
                self.seen = true;
                self.observe_number(text);
                self.observe_time(text);
                self.bool_ = self.bool_ && plain_bool(text).is_some();
            }
            Cell::Quoted(text) => {
                self.seen = true;
                (self.bool_, self.int4, self.int8, self.float8) = (false, false, false, false);
                self.observe_time(text);
            }
            Cell::List(_) => self.list = true,
        }
    }

    fn observe_number(&mut self, text: &str) {
        if !(self.int4 || self.int8 || self.float8) {
            return;
        }
        let whole = is_plain_integer(text)
            .then(|| text.parse::<i64>().ok())
            .flatten();
        match whole {
            Some(value) => {
                self.int4 = self.int4 && i32::try_from(value).is_ok();
                self.wide_int |= value.unsigned_abs() > EXACT_MAX.unsigned_abs();
            }
            None => {
                (self.int4, self.int8) = (false, false);
                self.fraction = true;
                self.float8 = self.float8 && is_plain_decimal(text) && !is_plain_integer(text);
                self.decimal |= !is_like_a_well(text);
            }
        }
    }

    fn observe_time(&mut self, text: &str) {
        self.date = self.date && parse_date(text).is_some();
        self.timestamp = self.timestamp && parse_timestamp(text).is_some();
        self.timestamptz = self.timestamptz && parse_timestamptz(text).is_some();
    }

    /// Whether a text is a date or a moment.
    pub(crate) fn is_time(text: &str) -> bool {
        parse_timestamp(text).is_some() || parse_timestamptz(text).is_some()
    }

    /// Whether no value was seen.
    pub(crate) fn is_empty(&self) -> bool {
        !self.seen
    }

    /// The type that takes every value seen.
    pub(crate) fn result(&self) -> ColumnType {
        let float8 = self.float8 && self.decimal && !(self.wide_int && self.fraction);
        match self {
            Self { list: true, .. } => ColumnType::TextList,
            Self { seen: false, .. } => ColumnType::Text,
            Self { bool_: true, .. } => ColumnType::Bool,
            Self { int4: true, .. } => ColumnType::Int4,
            Self { int8: true, .. } => ColumnType::Int8,
            _ if float8 => ColumnType::Float8,
            Self { date: true, .. } => ColumnType::Date,
            Self {
                timestamp: true, ..
            } => ColumnType::Timestamp,
            Self {
                timestamptz: true, ..
            } => ColumnType::TimestampTz,
            _ => ColumnType::Text,
        }
    }
}

fn plain_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

fn declared_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// Digits with an optional minus, no leading zero: what prints as it was written.
fn is_plain_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    !digits.is_empty()
        && digits.iter().all(u8::is_ascii_digit)
        && (digits[0] != b'0' || text == "0")
}

/// Digits, `E` and digits: `1E5`, a number or the name of a well.
fn is_like_a_well(text: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parts = text.split_once(['e', 'E']);
    parts.is_some_and(|(row, column)| is_digits(row) && is_digits(column))
}

/// A decimal number as files write them: no leading zero before a digit, no names of infinity.
fn is_plain_decimal(text: &str) -> bool {
    let body = text.strip_prefix('-').unwrap_or(text);
    let leading_zero =
        body.len() > 1 && body.starts_with('0') && body.as_bytes()[1].is_ascii_digit();
    let begins = body
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_digit() || b == b'.');
    begins && !leading_zero && text.parse::<f64>().is_ok_and(f64::is_finite)
}

fn parse_date(text: &str) -> Option<NaiveDate> {
    let is_shape = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
    is_shape
        .then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
        .flatten()
}

/// Microseconds since 1970 of a text without time zone.
fn parse_timestamp(text: &str) -> Option<i64> {
    if let Some(date) = parse_date(text) {
        return Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros());
    }
    if text.len() < 16 || !text.is_ascii() {
        return None;
    }
    let formats = [
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
    ];
    let parsed = formats
        .iter()
        .find_map(|f| NaiveDateTime::parse_from_str(text, f).ok())?;
    Some(parsed.and_utc().timestamp_micros())
}

/// Microseconds since 1970 of a text with time zone.
fn parse_timestamptz(text: &str) -> Option<i64> {
    if text.len() < 17 || !text.is_ascii() {
        return None;
    }
    let formats = [
        "%Y-%m-%d %H:%M:%S%.f%#z",
        "%Y-%m-%dT%H:%M:%S%.f%#z",
        "%Y-%m-%dT%H:%M%#z",
        "%Y-%m-%d %H:%M%#z",
    ];
    let parsed = formats
        .iter()
        .find_map(|f| DateTime::parse_from_str(text, f).ok())?;
    Some(parsed.timestamp_micros())
}

/// Builds one column of a batch.
pub(crate) enum ColumnBuilder {
    Bool(BooleanBuilder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Float8(Float64Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    TimestampTz(TimestampMicrosecondBuilder),
    Text(StringBuilder),
    TextList(ListBuilder<StringBuilder>),
    IntList(ListBuilder<Int32Builder>),
}

impl ColumnBuilder {
    pub(crate) fn new(ty: ColumnType) -> Self {
        match ty {
            ColumnType::Bool => Self::Bool(BooleanBuilder::new()),
            ColumnType::Int4 => Self::Int4(Int32Builder::new()),
            ColumnType::Int8 => Self::Int8(Int64Builder::new()),
            ColumnType::Float8 => Self::Float8(Float64Builder::new()),
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new()),
            ColumnType::TimestampTz => {
                Self::TimestampTz(TimestampMicrosecondBuilder::new().with_timezone("UTC"))
            }
            ColumnType::Text => Self::Text(StringBuilder::new()),
            ColumnType::TextList => Self::TextList(ListBuilder::new(StringBuilder::new())),
            ColumnType::IntList => Self::IntList(ListBuilder::new(Int32Builder::new())),
        }
    }

    /// Appends a value; false when it does not fit the type (nothing is appended then).
    #[must_use]
    pub(crate) fn append(&mut self, cell: Cell<'_>) -> bool {
        match cell {
            Cell::Null => self.append_null(),
            Cell::Bare(text) | Cell::Quoted(text) => return self.append_text(text),
            Cell::List(items) => return self.append_list(items.iter().map(String::as_str)),
        }
        true
    }

    fn append_null(&mut self) {
        match self {
            Self::Bool(b) => b.append_null(),
            Self::Int4(b) => b.append_null(),
            Self::Int8(b) => b.append_null(),
            Self::Float8(b) => b.append_null(),
            Self::Date(b) => b.append_null(),
            Self::Timestamp(b) | Self::TimestampTz(b) => b.append_null(),
            Self::Text(b) => b.append_null(),
            Self::TextList(b) => b.append_null(),
            Self::IntList(b) => b.append_null(),
        }
    }

    fn append_text(&mut self, text: &str) -> bool {
        match self {
            Self::Bool(b) => declared_bool(text).map(|v| b.append_value(v)),
            Self::Int4(b) => text.parse().ok().map(|v| b.append_value(v)),
            Self::Int8(b) => text.parse().ok().map(|v| b.append_value(v)),
            Self::Float8(b) => text.parse().ok().map(|v| b.append_value(v)),
            Self::Date(b) => parse_date(text).map(|v| b.append_value(days(v))),
            Self::Timestamp(b) => parse_timestamp(text).map(|v| b.append_value(v)),
            Self::TimestampTz(b) => parse_timestamptz(text).map(|v| b.append_value(v)),
            Self::Text(b) => {
                b.append_value(text);
                Some(())
            }
            Self::TextList(_) | Self::IntList(_) => {
                return self.append_list(text.trim_end_matches(',').split(','));
            }
        }
        .is_some()
    }

    fn append_list<'a>(&mut self, items: impl Iterator<Item = &'a str>) -> bool {
        match self {
            Self::TextList(b) => {
                items.for_each(|item| b.values().append_value(item));
                b.append(true);
                true
            }
            Self::IntList(b) => {
                let parsed: Option<Vec<i32>> = items.map(|item| item.trim().parse().ok()).collect();
                let Some(values) = parsed else { return false };
                b.values().append_slice(&values);
                b.append(true);
                true
            }
            _ => false,
        }
    }

    /// The column so far; the builder is empty afterwards.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(b) => Arc::new(b.finish()),
            Self::Int4(b) => Arc::new(b.finish()),
            Self::Int8(b) => Arc::new(b.finish()),
            Self::Float8(b) => Arc::new(b.finish()),
            Self::Date(b) => Arc::new(b.finish()),
            Self::Timestamp(b) | Self::TimestampTz(b) => Arc::new(b.finish()),
            Self::Text(b) => Arc::new(b.finish()),
            Self::TextList(b) => Arc::new(b.finish()),
            Self::IntList(b) => Arc::new(b.finish()),
        }
    }
}

/// Days since 1970-01-01.
fn days(date: NaiveDate) -> i32 {
    let epoch = NaiveDate::default();
    i32::try_from(date.signed_duration_since(epoch).num_days()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inferred(values: &[&str]) -> ColumnType {
        let mut inference = Inference::default();
        for value in values {
            inference.observe(if value.is_empty() {
                Cell::Null
            } else {
                Cell::Bare(value)
            });
        }
        inference.result()
    }

    #[test]
    fn types_are_found_over_all_values() {
        use ColumnType::{Bool, Date, Float8, Int4, Int8, Text, Timestamp, TimestampTz};
        let cases: [(&[&str], ColumnType); 26] = [
            (&["1", "", "-20"], Int4),
            (&["2147483648"], Int8),
            (&["99999999999999999999"], Text),
            (&["1", "2.5"], Float8),
            (&["9007199254740993", "2.5"], Text),
            (&["1e5", ".5", "3."], Float8),
            (&["1E5", "2E3"], Text),
            (&["1e5", "12", ""], Text),
            (&["1e-8", "1e+05", "1"], Float8),
            (&["1.0", "2.0"], Float8),
            (&["-0", "1"], Float8),
            (&["01", "1"], Text),
            (&["007"], Text),
            (&["00.5"], Text),
            (&["1", "x"], Text),
            (&["true", "FALSE"], Bool),
            (&["yes", "no"], Text),
            (&["2020-02-29"], Date),
            (&["2021-02-29"], Text),
            (&["2020-02-29", "2020-02-29 10:11:12"], Timestamp),
            (&["2020-02-29T10:11:12.5", "2020-02-29 10:11"], Timestamp),
            (
                &["2020-02-29T10:11:12Z", "2020-02-29 10:11:12+02"],
                TimestampTz,
            ),
            (&["2020-02-29T10:11:12Z", "2020-02-29 10:11:12"], Text),
            (&["NaN", "1"], Text),
            (&["", ""], Text),
            (&["+5"], Text),
        ];
        for (values, expected) in cases {
            assert_eq!(inferred(values), expected, "{values:?}");
        }
    }

    #[test]
    fn times_are_kept_to_the_microsecond() {
        assert_eq!(
            parse_timestamp("1970-01-01T00:00:01.000002"),
            Some(1_000_002)
        );
        assert_eq!(parse_timestamptz("1970-01-01 02:00:01+02"), Some(1_000_000));
        assert_eq!(parse_timestamptz("1970-01-01T00:00:01Z"), Some(1_000_000));
        assert_eq!(parse_date("1970-01-02").map(days), Some(1));
    }

    #[test]
    fn declared_types_take_what_the_table_says() {
        let cases = [
            (ColumnType::Bool, "yes", true),
            (ColumnType::Bool, "maybe", false),
            (ColumnType::Int4, "007", true),
            (ColumnType::Int4, "1.0", false),
            (ColumnType::Float8, "NaN", true),
            (ColumnType::Date, "1/2/2020", false),
            (ColumnType::IntList, "1,2,", true),
            (ColumnType::IntList, "1,x", false),
        ];
        for (ty, text, fits) in cases {
            assert_eq!(
                ColumnBuilder::new(ty).append(Cell::Bare(text)),
                fits,
                "{ty:?} {text}"
            );
        }
    }
}
