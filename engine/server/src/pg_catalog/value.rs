//! Values of the catalog evaluator: PostgreSQL's output text, input text, binary form and ordering.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::BytesMut;
use chrono::NaiveDateTime;

use super::builtin::builtin;
use super::error::{CatalogError, Result};
use super::numeric::Numeric;
use crate::pg_input::{Inet, Received};
use crate::pg_types::oid;
use crate::pgwire::encode::{self, TextStyle};

/// One value. Its SQL type is known from outside (a column, an expression): integers of all widths, OIDs and `reg*` types are `Int`.
#[derive(Clone, Debug)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// bool
    Bool(bool),
    /// int2, int4, int8, oid, xid and the reg* types
    Int(i64),
    /// A value of a reg* type with its name, as results carry it.
    Reg(u32, Arc<str>),
    /// float4 and float8
    Float(f64),
    /// numeric
    Numeric(Numeric),
    /// text, name, varchar, "char", json, jsonb and every type whose value is its text
    Text(Arc<str>),
    /// bytea
    Bytes(Arc<[u8]>),
    /// date: days since 1970-01-01
    Date(i32),
    /// timestamp and timestamptz: microseconds since 1970-01-01 (UTC)
    Timestamp(i64),
    /// interval
    Interval {
        /// Months.
        months: i32,
        /// Days.
        days: i32,
        /// Microseconds.
        micros: i64,
    },
    /// An array.
    Array(Arc<ArrayValue>),
    /// A row.
    Record(Arc<RecordValue>),
}

/// An array: element type, dimensions (length, lower bound; none when empty) and elements in row-major order.
#[derive(Clone, Debug)]
pub struct ArrayValue {
    /// OID of the element type.
    pub element: u32,
    /// (length, lower bound) of each dimension.
    pub dims: Vec<(i32, i32)>,
    /// Elements, row-major.
    pub items: Vec<Value>,
}

/// A row value: field names, types and values, of equal length.
#[derive(Clone, Debug)]
pub struct RecordValue {
    /// Field names.
    pub names: Vec<Arc<str>>,
    /// Field types.
    pub types: Vec<u32>,
    /// Field values.
    pub values: Vec<Value>,
}

impl ArrayValue {
    /// A one-dimensional array with lower bound 1.
    #[must_use]
    pub fn flat(element: u32, items: Vec<Value>) -> Self {
        let dims = if items.is_empty() {
            Vec::new()
        } else {
            vec![(i32::try_from(items.len()).unwrap_or(i32::MAX), 1)]
        };
        Self {
            element,
            dims,
            items,
        }
    }
}

impl Value {
    /// A text value.
    #[must_use]
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Text(Arc::from(text.as_ref()))
    }

    /// Text, or NULL.
    #[must_use]
    pub fn optional_text(text: Option<impl AsRef<str>>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    /// An OID.
    #[must_use]
    pub fn oid(oid: u32) -> Self {
        Self::Int(i64::from(oid))
    }

    /// A one-dimensional array.
    #[must_use]
    pub fn array(element: u32, items: Vec<Value>) -> Self {
        Self::Array(Arc::new(ArrayValue::flat(element, items)))
    }

    /// Whether this is SQL NULL.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(*b),
            _ => None,
        }
    }

    pub(crate) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(i) => Some(*i),
            Self::Reg(i, _) => Some(i64::from(*i)),
            _ => None,
        }
    }

    pub(crate) fn as_oid(&self) -> Option<u32> {
        self.as_int().and_then(|i| u32::try_from(i).ok())
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(t) => Some(t),
            _ => None,
        }
    }

    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(f) => Some(*f),
            #[expect(
                clippy::cast_precision_loss,
                reason = "int8 to float8 rounds in PostgreSQL too"
            )]
            Self::Int(i) => Some(*i as f64),
            Self::Numeric(n) => Some(n.to_f64()),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&ArrayValue> {
        match self {
            Self::Array(a) => Some(a),
            _ => None,
        }
    }

    /// PostgreSQL's output text for a value of type `ty`; `None` for NULL.
    #[must_use]
    pub fn to_text(&self, ty: u32, style: &TextStyle) -> Option<String> {
        let printed = |put: &dyn Fn(&mut BytesMut)| {
            let mut out = BytesMut::new();
            put(&mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        Some(match self {
            Self::Null => return None,
            Self::Bool(b) => if *b { "t" } else { "f" }.to_owned(),
            Self::Int(i) => i.to_string(),
            Self::Reg(_, name) => name.to_string(),
            Self::Float(f) => {
                let number = encode::float(*f, ty == oid::FLOAT4, style);
                printed(&|out| out.extend_from_slice(number.as_bytes()))
            }
            Self::Numeric(n) => n.to_string(),
            Self::Text(t) => t.to_string(),
            Self::Bytes(bytes) => printed(&|out| encode::bytea(bytes, style, out)),
            Self::Date(days) => printed(&|out| encode::date((*days).into(), style, out)),
            Self::Timestamp(micros) => {
                let is_instant = ty == oid::TIMESTAMPTZ;
                printed(&|out| encode::timestamp(*micros, is_instant, style, out))
            }
            Self::Interval {
                months,
                days,
                micros,
            } => printed(&|out| style.intervals.put(*months, *days, *micros, out)),
            Self::Array(array) => array_text(array, ty, style),
            Self::Record(record) => record_text(record, style),
        })
    }

    /// PostgreSQL's binary form for a value of type `ty`, as DataRow carries it; `None` for NULL.
    #[must_use]
    pub fn to_binary(&self, ty: u32) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        self.write_binary(ty, &mut out).then_some(out)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the declared type bounds the value"
    )]
    fn write_binary(&self, ty: u32, out: &mut Vec<u8>) -> bool {
        match self {
            Self::Null => return false,
            Self::Bool(b) => out.push(u8::from(*b)),
            Self::Int(i) => match base_type(ty) {
                oid::INT2 => out.extend((*i as i16).to_be_bytes()),
                oid::INT8 => out.extend(i.to_be_bytes()),
                _ => out.extend((*i as i32).to_be_bytes()),
            },
            Self::Reg(oid, _) => out.extend(oid.to_be_bytes()),
            Self::Float(f) if ty == oid::FLOAT4 => out.extend((*f as f32).to_be_bytes()),
            Self::Float(f) => out.extend(f.to_be_bytes()),
            Self::Numeric(n) => n.write_binary(out),
            Self::Text(t) if base_type(ty) == oid::INET => match Inet::parse(t) {
                Some(inet) => {
                    let mut sent = BytesMut::new();
                    inet.send(&mut sent);
                    out.extend(sent);
                }
                None => return false,
            },
            Self::Text(t) if base_type(ty) == oid::UUID => match uuid::Uuid::parse_str(t) {
                Ok(id) => out.extend(id.as_bytes()),
                Err(_) => return false,
            },
            // Always one byte, and none of text is zero.
            Self::Text(t) if base_type(ty) == oid::CHAR => {
                out.push(t.bytes().next().unwrap_or(0));
            }
            Self::Text(t) => {
                if base_type(ty) == oid::JSONB {
                    out.push(1);
                }
                out.extend(t.as_bytes());
            }
            Self::Bytes(bytes) => out.extend(bytes.iter()),
            // What has no end is sent as what it is.
            Self::Date(days @ (i32::MAX | i32::MIN)) => out.extend(days.to_be_bytes()),
            Self::Date(days) => out.extend(days.saturating_sub(10957).to_be_bytes()),
            Self::Timestamp(micros @ (i64::MAX | i64::MIN)) => out.extend(micros.to_be_bytes()),
            Self::Timestamp(micros) => {
                out.extend(micros.saturating_sub(946_684_800_000_000).to_be_bytes());
            }
            Self::Interval {
                months,
                days,
                micros,
            } => {
                out.extend(micros.to_be_bytes());
                out.extend(days.to_be_bytes());
                out.extend(months.to_be_bytes());
            }
            Self::Array(array) => write_array_binary(array, out),
            Self::Record(record) => {
                out.extend((record.values.len() as i32).to_be_bytes());
                for (value, ty) in record.values.iter().zip(&record.types) {
                    out.extend(ty.to_be_bytes());
                    write_field(value, *ty, out);
                }
            }
        }
        true
    }

    /// Reads PostgreSQL's binary form of a value of type `ty` (a bound parameter).
    pub fn from_binary(ty: u32, bytes: &[u8]) -> Result<Self> {
        let short = || {
            CatalogError::new(
                "22P03",
                format!("incorrect binary data format for type {}", type_name(ty)),
            )
        };
        Ok(match base_type(ty) {
            oid::BOOL => Self::Bool(bytes.first().copied().ok_or_else(short)? != 0),
            oid::INT2 => Self::Int(i64::from(i16::from_be_bytes(
                bytes.try_into().map_err(|_| short())?,
            ))),
            oid::INT4 => Self::Int(i64::from(i32::from_be_bytes(
                bytes.try_into().map_err(|_| short())?,
            ))),
            oid::INT8 => Self::Int(i64::from_be_bytes(bytes.try_into().map_err(|_| short())?)),
            oid::FLOAT4 => Self::Float(f64::from(f32::from_be_bytes(
                bytes.try_into().map_err(|_| short())?,
            ))),
            oid::FLOAT8 => Self::Float(f64::from_be_bytes(bytes.try_into().map_err(|_| short())?)),
            oid::BYTEA => Self::Bytes(bytes.into()),
            oid::INET => {
                let mut received = Received(bytes::Bytes::copy_from_slice(bytes));
                Self::text(
                    Inet::receive(&mut received)
                        .map_err(|_| short())?
                        .to_string(),
                )
            }
            oid::UUID => {
                let id = uuid::Uuid::from_slice(bytes).map_err(|_| short())?;
                Self::text(id.to_string())
            }
            oid::DATE => {
                let days = i32::from_be_bytes(bytes.try_into().map_err(|_| short())?);
                Self::Date(match days {
                    i32::MIN => days,
                    days => days.saturating_add(10957),
                })
            }
            oid::TIMESTAMP | oid::TIMESTAMPTZ => {
                let micros = i64::from_be_bytes(bytes.try_into().map_err(|_| short())?);
                Self::Timestamp(match micros {
                    i64::MIN => micros,
                    micros => micros.saturating_add(946_684_800_000_000),
                })
            }
            t if is_oid_like(t) => {
                Self::oid(u32::from_be_bytes(bytes.try_into().map_err(|_| short())?))
            }
            t if element_type(t).is_some() => read_array_binary(bytes).ok_or_else(short)?,
            t => {
                let bytes = if t == oid::JSONB {
                    bytes.get(1..).ok_or_else(short)?
                } else {
                    bytes
                };
                Self::text(std::str::from_utf8(bytes).map_err(|_| {
                    CatalogError::new("22021", "invalid byte sequence for encoding \"UTF8\"")
                })?)
            }
        })
    }
}

/// Whether the type is stored as an unsigned 32-bit number.
pub(crate) fn is_oid_like(ty: u32) -> bool {
    matches!(ty, oid::OID | oid::XID | oid::CID) || is_reg(ty)
}

/// Whether the type prints the name of the object its OID names.
pub(crate) fn is_reg(ty: u32) -> bool {
    matches!(
        ty,
        oid::REGPROC
            | oid::REGPROCEDURE
            | oid::REGOPER
            | oid::REGOPERATOR
            | oid::REGCLASS
            | oid::REGTYPE
            | oid::REGNAMESPACE
            | oid::REGROLE
            | oid::REGCOLLATION
            | oid::REGCONFIG
            | 3769
    )
}

/// The type under a domain.
pub(crate) fn base_type(ty: u32) -> u32 {
    match builtin().type_of(ty) {
        Some(t) if t.kind == 'd' => base_type(t.base),
        _ => ty,
    }
}

/// The element type of an array type (int2vector and oidvector included).
pub(crate) fn element_type(ty: u32) -> Option<u32> {
    let info = builtin().type_of(base_type(ty))?;
    (info.element != 0 && (info.category == 'A')).then_some(info.element)
}

pub(crate) fn type_name(ty: u32) -> String {
    builtin()
        .type_of(ty)
        .map_or_else(|| ty.to_string(), |t| super::format::sql_name(t.oid))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "lengths of values in memory that came from 32-bit messages"
)]
fn write_field(value: &Value, ty: u32, out: &mut Vec<u8>) {
    let at = out.len();
    out.extend((-1i32).to_be_bytes());
    if value.write_binary(ty, out) {
        let len = (out.len() - at - 4) as i32;
        out[at..at + 4].copy_from_slice(&len.to_be_bytes());
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "array dimensions are small"
)]
fn write_array_binary(array: &ArrayValue, out: &mut Vec<u8>) {
    out.extend((array.dims.len() as i32).to_be_bytes());
    out.extend(i32::from(array.items.iter().any(Value::is_null)).to_be_bytes());
    out.extend(array.element.to_be_bytes());
    for (len, lower) in &array.dims {
        out.extend(len.to_be_bytes());
        out.extend(lower.to_be_bytes());
    }
    for item in &array.items {
        write_field(item, array.element, out);
    }
}

fn read_array_binary(bytes: &[u8]) -> Option<Value> {
    let mut at = 0usize;
    let mut word = || -> Option<i32> {
        let word = bytes.get(at..at + 4)?;
        at += 4;
        Some(i32::from_be_bytes(word.try_into().ok()?))
    };
    let n_dims = word()?;
    word()?;
    let element = u32::try_from(word()?).ok()?;
    let mut dims = Vec::new();
    for _ in 0..n_dims.clamp(0, 6) {
        dims.push((word()?, word()?));
    }
    let count: i64 = if dims.is_empty() {
        0
    } else {
        dims.iter().map(|d| i64::from(d.0)).product()
    };
    let mut items = Vec::new();
    for _ in 0..count {
        let len = i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
        at += 4;
        let Ok(len) = usize::try_from(len) else {
            items.push(Value::Null);
            continue;
        };
        items.push(Value::from_binary(element, bytes.get(at..at + len)?).ok()?);
        at += len;
    }
    Some(Value::Array(Arc::new(ArrayValue {
        element,
        dims,
        items,
    })))
}

#[expect(clippy::cast_possible_truncation, reason = "float4 is stored widened")]
pub(crate) fn float_text(f: f64, single: bool) -> String {
    if f.is_nan() {
        return "NaN".to_owned();
    }
    if f.is_infinite() {
        return if f > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = if single {
        format!("{:e}", f as f32)
    } else {
        format!("{f:e}")
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= if single { 6 } else { 15 } {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    if single {
        format!("{}", f as f32)
    } else {
        format!("{f}")
    }
}

pub(crate) fn timestamp(micros: i64) -> Option<NaiveDateTime> {
    chrono::DateTime::from_timestamp_micros(micros).map(|t| t.naive_utc())
}

fn array_text(array: &ArrayValue, ty: u32, style: &TextStyle) -> String {
    if matches!(ty, oid::INT2VECTOR | oid::OIDVECTOR) {
        return array
            .items
            .iter()
            .filter_map(|v| v.to_text(array.element, style))
            .collect::<Vec<_>>()
            .join(" ");
    }
    if array.items.is_empty() {
        return "{}".to_owned();
    }
    let mut out = String::new();
    if array.dims.iter().any(|d| d.1 != 1) {
        for (len, lower) in &array.dims {
            let _ = write!(out, "[{lower}:{}]", lower + len - 1);
        }
        out.push('=');
    }
    let delimiter = builtin()
        .type_of(array.element)
        .map_or(',', |t| t.delimiter);
    let mut at = 0;
    write_dimension(array, 0, (delimiter, style), &mut at, &mut out);
    out
}

fn write_dimension(
    array: &ArrayValue,
    depth: usize,
    (delimiter, style): (char, &TextStyle),
    at: &mut usize,
    out: &mut String,
) {
    out.push('{');
    for i in 0..array.dims.get(depth).map_or(0, |d| d.0) {
        if i > 0 {
            out.push(delimiter);
        }
        if depth + 1 < array.dims.len() {
            write_dimension(array, depth + 1, (delimiter, style), at, out);
        } else {
            let item = array.items.get(*at);
            match item.and_then(|v| v.to_text(array.element, style)) {
                Some(text) => quote_element(&text, delimiter, out),
                None => out.push_str("NULL"),
            }
            *at += 1;
        }
    }
    out.push('}');
}

fn quote_element(text: &str, delimiter: char, out: &mut String) {
    let plain = !text.is_empty()
        && !text.eq_ignore_ascii_case("null")
        && !text.contains(|c: char| {
            c == delimiter || matches!(c, '{' | '}' | '"' | '\\') || c.is_ascii_whitespace()
        });
    if plain {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

fn record_text(record: &RecordValue, style: &TextStyle) -> String {
    let mut out = String::from("(");
    for (i, (value, ty)) in record.values.iter().zip(&record.types).enumerate() {
        if i > 0 {
            out.push(',');
        }
        let Some(text) = value.to_text(*ty, style) else {
            continue;
        };
        let plain = !text.is_empty()
            && !text.contains(|c: char| {
                matches!(c, '"' | '\\' | '(' | ')' | ',') || c.is_ascii_whitespace()
            });
        if plain {
            out.push_str(&text);
        } else {
            out.push('"');
            for c in text.chars() {
                if matches!(c, '"' | '\\') {
                    out.push(c);
                }
                out.push(c);
            }
            out.push('"');
        }
    }
    out.push(')');
    out
}

/// Orders two non-null values of one type as PostgreSQL's btree does (C collation).
pub(crate) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        (Value::Date(a), Value::Timestamp(b)) => (i64::from(*a) * 86_400_000_000).cmp(b),
        (Value::Timestamp(a), Value::Date(b)) => a.cmp(&(i64::from(*b) * 86_400_000_000)),
        (Value::Interval { .. }, Value::Interval { .. }) => span(a).cmp(&span(b)),
        (Value::Array(a), Value::Array(b)) => {
            compare_lists(&a.items, &b.items).then_with(|| a.dims.len().cmp(&b.dims.len()))
        }
        (Value::Record(a), Value::Record(b)) => compare_lists(&a.values, &b.values),
        (Value::Numeric(a), Value::Numeric(b)) => a.compare(b),
        (Value::Numeric(a), Value::Int(b)) => a.compare(&Numeric::from(*b)),
        (Value::Int(a), Value::Numeric(b)) => Numeric::from(*a).compare(b),
        _ => match (a.as_int(), b.as_int()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => compare_floats(a.as_f64().unwrap_or(0.0), b.as_f64().unwrap_or(0.0)),
        },
    }
}

fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn compare_lists(a: &[Value], b: &[Value]) -> Ordering {
    a.iter()
        .zip(b)
        .map(|(a, b)| compare(a, b))
        .find(|o| o.is_ne())
        .unwrap_or_else(|| a.len().cmp(&b.len()))
}

fn span(value: &Value) -> i128 {
    match value {
        Value::Interval {
            months,
            days,
            micros,
        } => (i128::from(*months) * 30 + i128::from(*days)) * 86_400_000_000 + i128::from(*micros),
        _ => 0,
    }
}

/// Values that a group takes for one.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        key(self) == key(other)
    }
}

/// A key that is equal for values that compare equal; hash joins, DISTINCT and GROUP BY use it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    Null,
    Int(i64),
    Text(Arc<str>),
    Other(String),
}

pub(crate) fn key(value: &Value) -> Key {
    match value {
        Value::Null => Key::Null,
        Value::Bool(b) => Key::Int(i64::from(*b)),
        Value::Int(i) => Key::Int(*i),
        Value::Reg(i, _) => Key::Int(i64::from(*i)),
        Value::Text(t) => Key::Text(Arc::clone(t)),
        Value::Float(f) if f.fract() == 0.0 && f.abs() < 9e15 => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "checked to be a whole number in range"
            )]
            let whole = *f as i64;
            Key::Int(whole)
        }
        Value::Numeric(n) => match n.to_i64_exact() {
            Some(i) => Key::Int(i),
            None => Key::Other(n.normalized().to_string()),
        },
        Value::Array(a) => Key::Other(format!(
            "{:?}{:?}",
            a.dims,
            a.items.iter().map(key).collect::<Vec<_>>()
        )),
        Value::Record(r) => Key::Other(format!(
            "{:?}",
            r.values.iter().map(key).collect::<Vec<_>>()
        )),
        other => Key::Other(format!("{other:?}")),
    }
}
