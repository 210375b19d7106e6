//! Conversions: type names, input text, casts, and the `reg*` types that read and print object names.

use std::sync::Arc;

use super::array_text::parse_array;
use super::builtin::builtin;
use super::error::{CatalogError, Result};
use super::format::sql_name;
use super::model::{CatalogModel, SessionInfo};
use super::numeric::Numeric;
use super::value::{ArrayValue, RecordValue, Value, base_type, element_type, is_oid_like, is_reg};
use crate::calendar::DAY;
use crate::pg_input::{self, Inet};
use crate::pg_types::{PgType, oid};

mod objects;

use objects::reg_input;
pub(crate) use objects::{by_name, reg_output};

/// Whether a modifier changes values of the type.
pub(crate) fn has_length(ty: u32) -> bool {
    matches!(
        ty,
        oid::VARCHAR | oid::BPCHAR | oid::NUMERIC | oid::TIMESTAMP | oid::TIMESTAMPTZ
    )
}

/// A built-in type by its SQL or internal name, with its modifier.
pub(crate) fn builtin_type(text: &str) -> Option<(u32, i32)> {
    let mut text = text.trim();
    let mut is_array = false;
    // An array has one type, whatever its dimensions.
    while let Some(inner) = text.strip_suffix(']') {
        let (inner, _) = inner.rsplit_once('[')?;
        (text, is_array) = (inner.trim_end(), true);
    }
    if is_array {
        let (element, typmod) = builtin_type(text)?;
        return Some((
            if element_type(element).is_some() && sql_name(element).ends_with("[]") {
                element
            } else {
                super::resolve::array_type(element)
            },
            typmod,
        ));
    }
    let (name, modifier) = split_modifier(text);
    if name.starts_with('"') {
        return match identifier_parts(&name).as_slice() {
            [schema, quoted] if schema == "pg_catalog" => builtin().type_named(quoted),
            [quoted] => builtin().type_named(quoted),
            _ => None,
        }
        .map(|ty| (ty, typmod(ty, modifier.as_deref(), "")));
    }
    let bare = name
        .strip_prefix("pg_catalog.")
        .or_else(|| name.strip_prefix("PG_CATALOG."))
        .unwrap_or(&name);
    if let Some(quoted) = bare.strip_prefix('"').and_then(|b| b.strip_suffix('"')) {
        return builtin().type_named(quoted).map(|t| (t, -1));
    }
    let lower = bare
        .to_lowercase()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let qualified = bare.len() != name.len();
    let spelled = match lower.as_str() {
        "char" | "character" if !qualified => "bpchar",
        "boolean" => "bool",
        "smallint" => "int2",
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double precision" | "float" | "double" => "float8",
        "decimal" | "dec" => "numeric",
        "character varying" | "char varying" | "nvarchar" => "varchar",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        "time without time zone" => "time",
        "time with time zone" => "timetz",
        "bit varying" => "varbit",
        other if is_interval(other) => "interval",
        other => other.strip_prefix("information_schema.").unwrap_or(other),
    };
    let ty = builtin().type_named(spelled)?;
    Some((ty, typmod(ty, modifier.as_deref(), &lower)))
}

/// `interval day to second` and its like: the fields that are kept.
fn is_interval(spelled: &str) -> bool {
    let Some(fields) = spelled.strip_prefix("interval ") else {
        return false;
    };
    let is_field = |field: &str| {
        matches!(
            field,
            "year" | "month" | "day" | "hour" | "minute" | "second"
        )
    };
    match fields.split_once(" to ") {
        Some((from, to)) => is_field(from) && is_field(to),
        None => is_field(fields),
    }
}

fn split_modifier(text: &str) -> (String, Option<String>) {
    match (text.find('('), text.find(')')) {
        (Some(open), Some(close)) if open < close => (
            format!("{}{}", &text[..open], &text[close + 1..]),
            Some(text[open + 1..close].to_owned()),
        ),
        _ => (text.to_owned(), None),
    }
}

fn typmod(ty: u32, modifier: Option<&str>, spelled: &str) -> i32 {
    let numbers: Vec<i32> = modifier
        .unwrap_or_default()
        .split(',')
        .filter_map(|n| n.trim().parse().ok())
        .collect();
    match (ty, numbers.as_slice()) {
        (oid::VARCHAR | oid::BPCHAR, [n]) => n + 4,
        (oid::BPCHAR, []) if spelled == "char" || spelled == "character" => 5,
        (oid::NUMERIC, [p]) => (p << 16) + 4,
        (oid::NUMERIC, [p, s]) => ((p << 16) | (s & 0x7ff)) + 4,
        (oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::TIME | oid::TIMETZ, [n]) => *n,
        _ => -1,
    }
}

/// A type of the database by name: built in, or the row type of a relation.
pub(crate) fn type_named(model: &CatalogModel, text: &str) -> Result<(u32, i32)> {
    if let Some(found) = builtin_type(text) {
        return Ok(found);
    }
    let parts = identifier_parts(text.trim_end_matches("[]"));
    let relation = match parts.as_slice() {
        [name] => model.find_relation(None, name, &["public".to_owned()]),
        [schema, name] => model.find_relation(Some(schema), name, &[]),
        _ => None,
    };
    match relation {
        Some(r) if text.ends_with("[]") => Ok((r.array_type, -1)),
        Some(r) => Ok((r.row_type, -1)),
        None => match parts.as_slice() {
            [schema, _] if model.namespace_oid(schema) == 0 => {
                let text = format!("schema \"{schema}\" does not exist");
                Err(CatalogError::new("3F000", text))
            }
            _ => Err(CatalogError::new(
                "42704",
                format!("type \"{}\" does not exist", parts.join(".")),
            )),
        },
    }
}

/// Splits `a."B c".d` into folded parts.
pub(crate) fn identifier_parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.trim().chars().peekable();
    while let Some(c) = chars.next() {
        let last = parts.len() - 1;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                parts[last].push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            // Space around the dots is of no part.
            c if !quoted
                && c.is_whitespace()
                && (parts[last].is_empty()
                    || chars.clone().find(|c| !c.is_whitespace()) == Some('.')) => {}
            c if quoted => parts[last].push(c),
            c => parts[last].extend(c.to_lowercase()),
        }
    }
    parts
}

/// Reads the text of a value of type `ty`.
pub(crate) fn input(
    model: &CatalogModel,
    session: &SessionInfo,
    text: &str,
    ty: u32,
) -> Result<Value> {
    let bad = || {
        CatalogError::new(
            "22P02",
            format!(
                "invalid input syntax for type {}: \"{text}\"",
                sql_name(base_type(ty))
            ),
        )
    };
    let base = base_type(ty);
    let clock = &session.style.clock;
    if is_reg(base) {
        return reg_input(model, session, text, base);
    }
    if let Some(element) = element_type(base) {
        return array_input(model, session, text, base, element);
    }
    Ok(match base {
        oid::BOOL => Value::Bool(pg_input::truth_of_text(text).map_err(|e| CatalogError::of(&e))?),
        oid::INT2 | oid::INT4 | oid::INT8 => integer(text, base).ok_or_else(bad)??,
        oid::OID | oid::XID | oid::CID => match text.trim().parse::<i64>() {
            Ok(i) if (-2_147_483_648..=4_294_967_295).contains(&i) => {
                Value::Int(i.rem_euclid(1 << 32))
            }
            _ => return Err(bad()),
        },
        oid::FLOAT4 | oid::FLOAT8 => {
            let pg_type = PgType::scalar(base).unwrap_or(PgType::FLOAT8);
            Value::Float(pg_input::float(text, pg_type).map_err(|e| CatalogError::of(&e))?)
        }
        oid::NUMERIC => Value::Numeric(Numeric::parse(text).ok_or_else(bad)?),
        oid::CHAR => Value::text(text.chars().next().map(String::from).unwrap_or_default()),
        oid::NAME => Value::text(truncated(text, 63)),
        oid::BPCHAR => Value::text(text.trim_end_matches(' ')),
        oid::INET => Value::text(Inet::parse(text).ok_or_else(bad)?.to_string()),
        oid::BYTEA => Value::Bytes(parse_bytea(text).ok_or_else(bad)?.into()),
        oid::DATE => Value::Date(pg_input::date(text, clock).map_err(|e| CatalogError::of(&e))?),
        oid::TIMESTAMP => {
            Value::Timestamp(pg_input::timestamp(text, clock).map_err(|e| CatalogError::of(&e))?)
        }
        oid::TIMESTAMPTZ => {
            Value::Timestamp(pg_input::instant(text, clock).map_err(|e| CatalogError::of(&e))?)
        }
        oid::INTERVAL => {
            let span = pg_input::interval(text).map_err(|e| CatalogError::of(&e))?;
            Value::Interval {
                months: span.months,
                days: span.days,
                micros: span.nanoseconds / 1_000,
            }
        }
        oid::JSON | oid::JSONB => {
            let pg_type = if base == oid::JSONB {
                PgType::JSONB
            } else {
                PgType::JSON
            };
            let kept = pg_input::kept_text(text, pg_type);
            Value::text(kept.map_err(|e| CatalogError::of(&e))?)
        }
        _ => Value::text(text),
    })
}

fn integer(text: &str, ty: u32) -> Option<Result<Value>> {
    let number: i128 = text.trim().parse().ok()?;
    let fits = match ty {
        oid::INT2 => i16::try_from(number).is_ok(),
        oid::INT4 => i32::try_from(number).is_ok(),
        _ => i64::try_from(number).is_ok(),
    };
    Some(match i64::try_from(number) {
        Ok(i) if fits => Ok(Value::Int(i)),
        _ => Err(CatalogError::new(
            "22003",
            format!(
                "value \"{}\" is out of range for type {}",
                text.trim(),
                sql_name(ty)
            ),
        )),
    })
}

fn parse_bytea(text: &str) -> Option<Vec<u8>> {
    let Some(hex) = text.strip_prefix("\\x") else {
        return Some(text.as_bytes().to_vec());
    };
    let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| {
            u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16)
                .ok()
                .filter(|_| pair.len() == 2)
        })
        .collect()
}

fn truncated(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn array_input(
    model: &CatalogModel,
    session: &SessionInfo,
    text: &str,
    ty: u32,
    element: u32,
) -> Result<Value> {
    if matches!(ty, oid::INT2VECTOR | oid::OIDVECTOR) {
        let items = text
            .split_whitespace()
            .map(|t| input(model, session, t, element))
            .collect::<Result<Vec<_>>>()?;
        return Ok(vector(element, items));
    }
    let delimiter = builtin().type_of(element).map_or(',', |t| t.delimiter);
    let (dims, items) = parse_array(text, delimiter)?;
    let items = items
        .into_iter()
        .map(|i| i.map_or(Ok(Value::Null), |t| input(model, session, &t, element)))
        .collect::<Result<_>>()?;
    Ok(Value::Array(Arc::new(ArrayValue {
        element,
        dims,
        items,
    })))
}

/// An int2vector or oidvector: subscripts from 0.
pub(crate) fn vector(element: u32, items: Vec<Value>) -> Value {
    let dims = if items.is_empty() {
        Vec::new()
    } else {
        vec![(i32::try_from(items.len()).unwrap_or(0), 0)]
    };
    Value::Array(Arc::new(ArrayValue {
        element,
        dims,
        items,
    }))
}

/// PostgreSQL's text of a value, names of `reg*` values included.
pub(crate) fn output(
    model: &CatalogModel,
    session: &SessionInfo,
    value: &Value,
    ty: u32,
) -> Option<String> {
    with_names(model, session, value, ty).to_text(base_type(ty), &session.style)
}

/// Replaces `reg*` numbers by numbers with names, so that the text form needs no catalog.
pub(crate) fn with_names(
    model: &CatalogModel,
    session: &SessionInfo,
    value: &Value,
    ty: u32,
) -> Value {
    let base = base_type(ty);
    match value {
        Value::Int(i) if is_reg(base) => {
            let number = u32::try_from(*i).unwrap_or(0);
            Value::Reg(number, reg_output(model, session, number, base).into())
        }
        Value::Array(array) if is_reg(array.element) => {
            let items = array
                .items
                .iter()
                .map(|v| with_names(model, session, v, array.element))
                .collect();
            Value::Array(Arc::new(ArrayValue {
                element: array.element,
                dims: array.dims.clone(),
                items,
            }))
        }
        Value::Record(record) if record.types.iter().any(|t| is_reg(*t)) => {
            let values = record
                .values
                .iter()
                .zip(&record.types)
                .map(|(v, t)| with_names(model, session, v, *t))
                .collect();
            Value::Record(Arc::new(RecordValue {
                names: record.names.clone(),
                types: record.types.clone(),
                values,
            }))
        }
        other => other.clone(),
    }
}

/// Converts a value between types.
pub(crate) fn cast(
    model: &CatalogModel,
    session: &SessionInfo,
    value: Value,
    from: u32,
    to: u32,
    typmod: i32,
    explicit: bool,
) -> Result<Value> {
    if value.is_null() {
        return Ok(value);
    }
    let (source, target) = (base_type(from), base_type(to));
    let value = if source == target {
        value
    } else {
        convert(model, session, value, source, target, explicit)?
    };
    with_typmod(value, target, typmod)
}

fn with_typmod(value: Value, ty: u32, typmod: i32) -> Result<Value> {
    if let (Value::Timestamp(micros), 0..6) = (&value, typmod) {
        return Ok(Value::Timestamp(of_digits(*micros, typmod)));
    }
    if typmod < 4 {
        return Ok(value);
    }
    Ok(match (&value, ty) {
        (Value::Text(t), oid::VARCHAR | oid::BPCHAR) => {
            let limit = usize::try_from(typmod - 4).unwrap_or(0);
            let mut cut: String = t.chars().take(limit).collect();
            if ty == oid::BPCHAR {
                let missing = limit - cut.chars().count().min(limit);
                cut.extend(std::iter::repeat_n(' ', missing));
            }
            Value::text(cut)
        }
        (Value::Numeric(n), oid::NUMERIC) => match n.round((typmod - 4) & 0x7ff) {
            Some(rounded) => of_precision(rounded, (typmod - 4) >> 16, (typmod - 4) & 0x7ff)?,
            None => value,
        },
        _ => value,
    })
}

/// A time with so many digits behind the point; halves go away from the start of the year 2000, as PostgreSQL's do.
fn of_digits(micros: i64, digits: i32) -> i64 {
    const START: i64 = 946_684_800_000_000;
    if crate::zone::is_endless(micros) {
        return micros;
    }
    let unit = 10_i64.pow(6_u32.saturating_sub(digits.unsigned_abs()));
    let since = micros.saturating_sub(START);
    let nearest = (since.abs() + unit / 2) / unit * unit;
    nearest.saturating_mul(since.signum()).saturating_add(START)
}

/// A number of at most so many digits, of which some stand behind the point.
///
/// # Errors
/// 22003 for one of more.
fn of_precision(number: Numeric, digits: i32, scale: i32) -> Result<Value> {
    let whole = u32::try_from(digits - scale).unwrap_or(0);
    let size = if number.is_negative() {
        number.negate()
    } else {
        number
    };
    let least = 10_i64.checked_pow(whole).map(Numeric::from);
    if least.is_some_and(|least| size.compare(&least).is_ge()) {
        let error = CatalogError::new("22003", "numeric field overflow");
        let text = format!(
            "A field with precision {digits}, scale {scale} must round to an absolute value less than {}.",
            match whole {
                0 => "1".to_owned(),
                whole => format!("10^{whole}"),
            },
        );
        return Err(error.detail(text));
    }
    Ok(Value::Numeric(number))
}

/// What the clocks of the session show at an instant; a timestamp as it is.
pub(crate) fn local(session: &SessionInfo, micros: i64, ty: u32) -> i64 {
    match ty {
        oid::TIMESTAMPTZ => session.style.clock.zone.local(micros),
        _ => micros,
    }
}

/// The value of `ty` of what a clock of the session shows.
pub(crate) fn of_local(session: &SessionInfo, local: i64, ty: u32) -> i64 {
    match ty {
        oid::TIMESTAMPTZ => session.style.clock.zone.instant(local),
        _ => local,
    }
}

fn convert(
    model: &CatalogModel,
    session: &SessionInfo,
    value: Value,
    from: u32,
    to: u32,
    explicit: bool,
) -> Result<Value> {
    let out_of_range = || CatalogError::new("22003", format!("{} out of range", sql_name(to)));
    let text_of = |v: &Value| output(model, session, v, from).unwrap_or_default();
    if let (Value::Array(array), Some(element)) = (&value, element_type(to)) {
        let items = array
            .items
            .iter()
            .map(|v| {
                cast(
                    model,
                    session,
                    v.clone(),
                    array.element,
                    element,
                    -1,
                    explicit,
                )
            })
            .collect::<Result<_>>()?;
        return Ok(Value::Array(Arc::new(ArrayValue {
            element,
            dims: array.dims.clone(),
            items,
        })));
    }
    if is_oid_like(to) {
        return match &value {
            Value::Int(i) => Ok(Value::Int(i.rem_euclid(1 << 32))),
            Value::Text(t) => input(model, session, t, to),
            _ => Err(out_of_range()),
        };
    }
    Ok(match to {
        oid::TEXT | oid::VARCHAR | oid::BPCHAR => match &value {
            Value::Bool(b) => Value::text(if *b { "true" } else { "false" }),
            Value::Text(t) if from == oid::BPCHAR => Value::text(t.trim_end_matches(' ')),
            Value::Text(t) if from == oid::INET => match Inet::parse(t) {
                Some(inet) => Value::text(inet.in_full()),
                None => value,
            },
            other => Value::text(text_of(other)),
        },
        oid::NAME => Value::text(truncated(&text_of(&value), 63)),
        oid::CHAR => match &value {
            Value::Int(i) => Value::text(
                u8::try_from(*i)
                    .ok()
                    .filter(|b| *b != 0)
                    .map(|b| char::from(b).to_string())
                    .unwrap_or_default(),
            ),
            other => Value::text(
                text_of(other)
                    .chars()
                    .next()
                    .map(String::from)
                    .unwrap_or_default(),
            ),
        },
        oid::INT2 | oid::INT4 | oid::INT8 => {
            let number = match &value {
                Value::Bool(b) => i64::from(*b),
                Value::Int(i) => *i,
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "range is checked below and PostgreSQL rounds to even"
                )]
                Value::Float(f) if f.is_finite() && f.abs() < 9.2e18 => f.round_ties_even() as i64,
                Value::Numeric(n) => n.to_i64().ok_or_else(out_of_range)?,
                Value::Text(t) if from == oid::CHAR => t.bytes().next().map_or(0, i64::from),
                Value::Text(t) => return input(model, session, t, to),
                _ => return Err(out_of_range()),
            };
            let fits = match to {
                oid::INT2 => i16::try_from(number).is_ok(),
                oid::INT4 => i32::try_from(number).is_ok(),
                _ => true,
            };
            if !fits {
                return Err(out_of_range());
            }
            Value::Int(number)
        }
        oid::FLOAT4 | oid::FLOAT8 => match &value {
            Value::Text(t) => return input(model, session, t, to),
            #[expect(clippy::cast_possible_truncation, reason = "float4 rounds")]
            other => {
                let f = other.as_f64().unwrap_or(f64::NAN);
                Value::Float(if to == oid::FLOAT4 {
                    f64::from(f as f32)
                } else {
                    f
                })
            }
        },
        oid::NUMERIC => match &value {
            Value::Int(i) => Value::Numeric(Numeric::from(*i)),
            Value::Float(f) => Value::Numeric(Numeric::from_f64(*f).ok_or_else(out_of_range)?),
            Value::Text(t) => return input(model, session, t, to),
            _ => return Err(out_of_range()),
        },
        oid::BOOL => match &value {
            Value::Int(i) => Value::Bool(*i != 0),
            Value::Text(t) => return input(model, session, t, to),
            other => other.clone(),
        },
        oid::DATE => match &value {
            Value::Timestamp(t) => Value::Date(match local(session, *t, from) {
                i64::MAX => i32::MAX,
                i64::MIN => i32::MIN,
                t => i32::try_from(t.div_euclid(DAY)).map_err(|_| out_of_range())?,
            }),
            other => return input(model, session, &text_of(other), to),
        },
        oid::TIMESTAMP | oid::TIMESTAMPTZ => match &value {
            Value::Date(d) => {
                let midnight = match *d {
                    i32::MAX => i64::MAX,
                    i32::MIN => i64::MIN,
                    d => i64::from(d).checked_mul(DAY).ok_or_else(out_of_range)?,
                };
                Value::Timestamp(of_local(session, midnight, to))
            }
            Value::Timestamp(t) => {
                Value::Timestamp(of_local(session, local(session, *t, from), to))
            }
            other => return input(model, session, &text_of(other), to),
        },
        oid::TIME if let Value::Timestamp(micros) = &value => {
            let micros = local(session, *micros, from).rem_euclid(DAY);
            let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
            let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
            let text = format!("{hours:02}:{minutes:02}:{:02}.{rest:06}", seconds % 60);
            let text = match rest {
                0 => text.trim_end_matches(".000000"),
                _ => text.trim_end_matches('0'),
            };
            return input(model, session, text, to);
        }
        oid::TIMETZ if matches!(value, Value::Timestamp(_)) => {
            return Err(CatalogError::unsupported("a cast to time with time zone"));
        }
        oid::JSONB => return input(model, session, &text_of(&value), to),
        oid::RECORD => value,
        _ => match &value {
            Value::Text(t) => return input(model, session, t, to),
            other => return input(model, session, &text_of(other), to),
        },
    })
}

/// jsonb's spelling: a space after `:` and `,`, keys in length-then-byte order.
pub(crate) fn jsonb_text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(items) => format!(
            "[{}]",
            items.iter().map(jsonb_text).collect::<Vec<_>>().join(", ")
        ),
        serde_json::Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.len().cmp(&b.0.len()).then_with(|| a.0.cmp(b.0)));
            let parts: Vec<String> = entries
                .into_iter()
                .map(|(k, v)| format!("{}: {}", serde_json::Value::from(k.as_str()), jsonb_text(v)))
                .collect();
            format!("{{{}}}", parts.join(", "))
        }
        other => other.to_string(),
    }
}
