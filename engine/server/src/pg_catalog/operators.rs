//! Operators: comparison, arithmetic, text, regular expressions, arrays, json.

use std::rc::Rc;
use std::sync::Arc;

use genokura_regex::Flags;

use super::error::{CatalogError, Result};
use super::eval::Cx;
use super::functions::asked;
use super::numeric::Numeric;
use super::plan::Expr;
use super::similar::similar_to_escape;
use super::value::{ArrayValue, Value, compare, element_type};
use crate::patterns::compiled;
use crate::pg_input::jsonb_key;
use crate::pg_types::oid;

/// Applies an operator to evaluated operands whose types are those of `args`.
pub(crate) fn apply(
    cx: &Cx<'_>,
    name: &str,
    values: &[Value],
    args: &[Expr],
    result: u32,
) -> Result<Value> {
    if let ("||", [a, b]) = (name, values) {
        let types = [
            args.first().map_or(0, |e| e.ty),
            args.get(1).map_or(0, |e| e.ty),
        ];
        if result != oid::JSONB {
            return concatenate(cx, a, b, types, result);
        }
    }
    if values.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    let is_json = args.first().is_some_and(|left| left.ty == oid::JSONB);
    if let ("?" | "?|" | "?&" | "@>" | "<@" | "||" | "-" | "#-", [a, b], true) =
        (name, values, is_json)
    {
        return super::jsonb::operator(name, a, b);
    }
    match values {
        [value] => prefix(name, value, result),
        [a, b] => infix(cx, name, a, b, args, result),
        _ => Err(CatalogError::unsupported(format!("operator {name}"))),
    }
}

fn prefix(name: &str, value: &Value, result: u32) -> Result<Value> {
    Ok(match (name, value) {
        ("-", Value::Int(i)) => checked(i.checked_neg(), result)?,
        ("-", Value::Float(f)) => Value::Float(-f),
        ("-", Value::Numeric(n)) => Value::Numeric(n.negate()),
        (
            "-",
            Value::Interval {
                months,
                days,
                micros,
            },
        ) => Value::Interval {
            months: -months,
            days: -days,
            micros: -micros,
        },
        ("+", other) => other.clone(),
        ("~", Value::Int(i)) => Value::Int(!i),
        ("@", Value::Int(i)) => checked(i.checked_abs(), result)?,
        ("@", Value::Float(f)) => Value::Float(f.abs()),
        _ => return Err(CatalogError::unsupported(format!("operator {name}"))),
    })
}

fn infix(
    cx: &Cx<'_>,
    name: &str,
    a: &Value,
    b: &Value,
    args: &[Expr],
    result: u32,
) -> Result<Value> {
    let of_documents = args.iter().any(|side| side.ty == oid::JSONB);
    let order = || match (of_documents, a, b) {
        (true, Value::Text(a), Value::Text(b)) => jsonb_key(a).ok().cmp(&jsonb_key(b).ok()),
        _ => compare(a, b),
    };
    let text = || -> Result<(&str, &str)> {
        a.as_str()
            .zip(b.as_str())
            .ok_or_else(|| CatalogError::unsupported(format!("operator {name} of these types")))
    };
    Ok(Value::Bool(match name {
        "=" => order().is_eq(),
        "<>" | "!=" => order().is_ne(),
        "<" => order().is_lt(),
        "<=" => order().is_le(),
        ">" => order().is_gt(),
        ">=" => order().is_ge(),
        "~" | "~*" | "!~" | "!~*" => {
            let (input, pattern) = text()?;
            matches(cx, input, pattern, name.ends_with('*'))? != name.starts_with('!')
        }
        "~~" | "!~~" | "~~*" | "!~~*" => {
            let (input, pattern) = text()?;
            like(cx, input, pattern, Some('\\'), name.ends_with('*'), false)?
                != name.starts_with('!')
        }
        "^@" => {
            let (input, start) = text()?;
            input.starts_with(start)
        }
        "~<~" | "~<=~" | "~>~" | "~>=~" => match name {
            "~<~" => order().is_lt(),
            "~<=~" => order().is_le(),
            "~>~" => order().is_gt(),
            _ => order().is_ge(),
        },
        "@>" | "<@" | "&&" => match (a, b) {
            (Value::Array(a), Value::Array(b)) => arrays(name, a, b),
            _ => {
                return Err(CatalogError::unsupported(format!(
                    "operator {name} of these types"
                )));
            }
        },
        "->" | "->>" | "#>" | "#>>" => {
            let is_jsonb = args.first().is_some_and(|left| left.ty == oid::JSONB);
            return json(cx, name, a, b, is_jsonb);
        }
        _ => return arithmetic(name, a, b, args, result),
    }))
}

fn arrays(name: &str, a: &ArrayValue, b: &ArrayValue) -> bool {
    let has = |array: &ArrayValue, item: &Value| {
        array
            .items
            .iter()
            .any(|i| !i.is_null() && compare(i, item).is_eq())
    };
    match name {
        "@>" => b.items.iter().all(|i| !i.is_null() && has(a, i)),
        "<@" => a.items.iter().all(|i| !i.is_null() && has(b, i)),
        _ => a.items.iter().any(|i| !i.is_null() && has(b, i)),
    }
}

fn checked(value: Option<i64>, ty: u32) -> Result<Value> {
    let out = || {
        CatalogError::new(
            "22003",
            format!("{} out of range", super::format::sql_name(ty)),
        )
    };
    let value = value.ok_or_else(out)?;
    let fits = match ty {
        oid::INT2 => i16::try_from(value).is_ok(),
        oid::INT4 => i32::try_from(value).is_ok(),
        _ => true,
    };
    if fits {
        Ok(Value::Int(value))
    } else {
        Err(out())
    }
}

fn arithmetic(name: &str, a: &Value, b: &Value, args: &[Expr], result: u32) -> Result<Value> {
    let zero = || CatalogError::new("22012", "division by zero");
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => {
            if matches!(name, "/" | "%") && *b == 0 {
                return Err(zero());
            }
            let shift = u32::try_from(*b).unwrap_or(0);
            let value = match name {
                "+" => a.checked_add(*b),
                "-" => a.checked_sub(*b),
                "*" => a.checked_mul(*b),
                "/" => a.checked_div(*b),
                "%" => a.checked_rem(*b),
                "&" => Some(a & b),
                "|" => Some(a | b),
                "#" => Some(a ^ b),
                "<<" => Some(if result == oid::INT4 {
                    i64::from(i32::try_from(*a).unwrap_or(0).wrapping_shl(shift))
                } else {
                    a.wrapping_shl(shift)
                }),
                ">>" => Some(a.wrapping_shr(shift)),
                _ => return unsupported(name),
            };
            checked(value, result)
        }
        (Value::Numeric(a), Value::Numeric(b)) => {
            if matches!(name, "/" | "%") && b.compare(&Numeric::from(0)).is_eq() {
                return Err(zero());
            }
            let value = match name {
                "+" => a.add(*b),
                "-" => a.add(b.negate()),
                "*" => a.multiply(*b),
                "/" => a.divide(*b),
                "%" => a.remainder(*b),
                "^" => Numeric::from_f64(a.to_f64().powf(b.to_f64())),
                _ => return unsupported(name),
            };
            value
                .map(Value::Numeric)
                .ok_or_else(|| CatalogError::new("22003", "value overflows numeric format"))
        }
        (Value::Timestamp(_) | Value::Date(_) | Value::Interval { .. }, _)
        | (_, Value::Interval { .. }) => time_arithmetic(name, a, b, args),
        _ => {
            let (Some(x), Some(y)) = (a.as_f64(), b.as_f64()) else {
                return unsupported(name);
            };
            if matches!(name, "/" | "%") && y == 0.0 {
                return Err(zero());
            }
            let value = match name {
                "+" => x + y,
                "-" => x - y,
                "*" => x * y,
                "/" => x / y,
                "^" => x.powf(y),
                _ => return unsupported(name),
            };
            #[expect(clippy::cast_possible_truncation, reason = "float4 arithmetic rounds")]
            Ok(Value::Float(if result == oid::FLOAT4 {
                f64::from(value as f32)
            } else {
                value
            }))
        }
    }
}

fn unsupported(name: &str) -> Result<Value> {
    Err(CatalogError::unsupported(format!(
        "operator {name} of these types"
    )))
}

fn time_arithmetic(name: &str, a: &Value, b: &Value, _args: &[Expr]) -> Result<Value> {
    const DAY: i64 = 86_400_000_000;
    let is_endless = |value: &Value| {
        matches!(
            value,
            Value::Timestamp(i64::MAX | i64::MIN) | Value::Date(i32::MAX | i32::MIN)
        )
    };
    let span_of = |what: &str| {
        let text = format!("cannot subtract infinite {what}");
        Err(CatalogError::new("22008", text))
    };
    Ok(match (name, a, b) {
        ("-", Value::Timestamp(_), Value::Timestamp(_)) if is_endless(a) || is_endless(b) => {
            return span_of("timestamps");
        }
        ("-", Value::Date(_), Value::Date(_)) if is_endless(a) || is_endless(b) => {
            return span_of("dates");
        }
        ("+" | "-", Value::Date(_), Value::Int(_)) if is_endless(a) => a.clone(),
        ("-", Value::Timestamp(a), Value::Timestamp(b)) => {
            let span = a - b;
            Value::Interval {
                months: 0,
                days: i32::try_from(span / DAY).unwrap_or(0),
                micros: span % DAY,
            }
        }
        ("-", Value::Date(a), Value::Date(b)) => Value::Int(i64::from(*a) - i64::from(*b)),
        ("+" | "-", Value::Date(d), Value::Int(n)) => {
            let n = i32::try_from(*n).unwrap_or(0);
            Value::Date(if name == "+" {
                d.saturating_add(n)
            } else {
                d.saturating_sub(n)
            })
        }
        (
            "+" | "-",
            Value::Timestamp(_) | Value::Date(_),
            Value::Interval {
                months,
                days,
                micros,
            },
        ) => {
            let start = match a {
                Value::Timestamp(t) => *t,
                Value::Date(i32::MAX) => i64::MAX,
                Value::Date(i32::MIN) => i64::MIN,
                Value::Date(d) => i64::from(*d).saturating_mul(DAY),
                _ => 0,
            };
            // Infinity stays what it is.
            if matches!(start, i64::MAX | i64::MIN) {
                return Ok(Value::Timestamp(start));
            }
            let sign = if name == "+" { 1 } else { -1 };
            let rest = i64::from(*days).saturating_mul(DAY).saturating_add(*micros);
            let months = months.saturating_mul(sign);
            let moved = rest.saturating_mul(i64::from(sign));
            Value::Timestamp(add_months(start, months).saturating_add(moved))
        }
        ("+", Value::Interval { .. }, Value::Timestamp(_) | Value::Date(_)) => {
            return time_arithmetic("+", b, a, _args);
        }
        (
            "+" | "-",
            Value::Interval {
                months: m1,
                days: d1,
                micros: u1,
            },
            Value::Interval {
                months: m2,
                days: d2,
                micros: u2,
            },
        ) => {
            let sign = if name == "+" { 1 } else { -1 };
            Value::Interval {
                months: m1 + m2 * sign,
                days: d1 + d2 * sign,
                micros: u1 + u2 * i64::from(sign),
            }
        }
        _ => return unsupported(name),
    })
}

fn add_months(micros: i64, months: i32) -> i64 {
    if months == 0 {
        return micros;
    }
    let Some(time) = super::value::timestamp(micros) else {
        return micros;
    };
    let moved = if months > 0 {
        time.checked_add_months(chrono::Months::new(months.unsigned_abs()))
    } else {
        time.checked_sub_months(chrono::Months::new(months.unsigned_abs()))
    };
    moved.map_or(micros, |t| t.and_utc().timestamp_micros())
}

fn concatenate(cx: &Cx<'_>, a: &Value, b: &Value, types: [u32; 2], result: u32) -> Result<Value> {
    if let Some(element) = element_type(result) {
        let as_items = |v: &Value, ty: u32| match v {
            Value::Array(x) => x.items.clone(),
            Value::Null if element_type(ty).is_some() => Vec::new(),
            other => vec![other.clone()],
        };
        if element_type(types[0]).is_some()
            && element_type(types[1]).is_some()
            && a.is_null()
            && b.is_null()
        {
            return Ok(Value::Null);
        }
        let mut items = as_items(a, types[0]);
        items.extend(as_items(b, types[1]));
        return Ok(Value::Array(Arc::new(ArrayValue::flat(element, items))));
    }
    if a.is_null() || b.is_null() {
        return Ok(Value::Null);
    }
    // As casts to text make them.
    let text = |v: &Value, ty: u32| match (v, ty) {
        (Value::Bool(truth), _) => truth.to_string(),
        _ => {
            let shown = super::convert::output(cx.model, cx.session, v, ty).unwrap_or_default();
            match ty {
                oid::BPCHAR => shown.trim_end_matches(' ').to_owned(),
                _ => shown,
            }
        }
    };
    if let (Value::Bytes(a), Value::Bytes(b)) = (a, b) {
        return Ok(Value::Bytes([a.as_ref(), b.as_ref()].concat().into()));
    }
    let (a, b) = (text(a, types[0]), text(b, types[1]));
    super::functions::fitting(a.len().saturating_add(b.len()))?;
    Ok(Value::text(format!("{a}{b}")))
}

/// Whether a text matches a regular expression.
fn matches(cx: &Cx<'_>, input: &str, pattern: &str, insensitive: bool) -> Result<bool> {
    let regex = compiled(pattern, Flags::of_operator(insensitive))?;
    asked(cx, &regex, |matcher| matcher.is_match(input))
}

/// The regular expression that a pattern of LIKE is, for the whole text.
///
/// # Errors
/// 22025 for a pattern that ends with the escape character.
fn pattern_regex(pattern: &str, escape: Option<char>) -> Result<String> {
    let mut out = String::from("^(?:");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            let Some(next) = chars.next() else {
                return Err(CatalogError::new(
                    "22025",
                    "LIKE pattern must not end with escape character",
                ));
            };
            out.push_str(&regex::escape(&next.to_string()));
            continue;
        }
        match c {
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    out.push_str(")$");
    Ok(out)
}

/// LIKE, ILIKE and SIMILAR TO.
pub(crate) fn like(
    cx: &Cx<'_>,
    input: &str,
    pattern: &str,
    escape: Option<char>,
    insensitive: bool,
    similar: bool,
) -> Result<bool> {
    if similar {
        return matches(cx, input, &similar_to_escape(pattern, escape)?, insensitive);
    }
    let out = pattern_regex(pattern, escape)?;
    let cached = format!("l{}{out}", u8::from(insensitive));
    if let Some(found) = cx.regexes.borrow().get(&cached) {
        return Ok(found.is_match(input));
    }
    let compiled = regex::RegexBuilder::new(&out)
        .case_insensitive(insensitive)
        .dot_matches_new_line(true)
        .size_limit(4 << 20)
        .build()
        .map_err(|e| CatalogError::new("2201B", format!("invalid regular expression: {e}")))?;
    let matched = compiled.is_match(input);
    cx.regexes.borrow_mut().insert(cached, Rc::new(compiled));
    Ok(matched)
}

fn json(cx: &Cx<'_>, name: &str, a: &Value, b: &Value, is_jsonb: bool) -> Result<Value> {
    let parsed = match a.as_str() {
        Some(text) => super::json::read(text)?.unwrap_or(serde_json::Value::Null),
        None => serde_json::Value::Null,
    };
    let step = |value: &serde_json::Value, key: &str| -> Option<serde_json::Value> {
        match value {
            serde_json::Value::Array(items) => key
                .parse::<i64>()
                .ok()
                .and_then(|i| {
                    if i < 0 {
                        items.len().checked_sub(usize::try_from(-i).ok()?)
                    } else {
                        usize::try_from(i).ok()
                    }
                })
                .and_then(|i| items.get(i))
                .cloned(),
            serde_json::Value::Object(map) => map.get(key).cloned(),
            _ => None,
        }
    };
    let found = match b {
        Value::Text(key) => match &parsed {
            serde_json::Value::Object(_) => step(&parsed, key),
            _ => None,
        },
        Value::Int(i) => match &parsed {
            serde_json::Value::Array(_) => step(&parsed, &i.to_string()),
            serde_json::Value::Object(_) => None,
            // A scalar is the one item of an array to jsonb, and none to json.
            scalar => (is_jsonb && matches!(i, -1 | 0)).then(|| scalar.clone()),
        },
        Value::Array(path) => path.items.iter().try_fold(parsed, |value, key| {
            step(
                &value,
                &super::convert::output(cx.model, cx.session, key, path.element)?,
            )
        }),
        _ => None,
    };
    Ok(match found {
        None => Value::Null,
        Some(serde_json::Value::Null) if name.ends_with(">>") => Value::Null,
        Some(serde_json::Value::String(s)) if name.ends_with(">>") => Value::text(s),
        Some(other) => Value::text(super::convert::jsonb_text(&other)),
    })
}
