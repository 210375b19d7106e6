//! Functions: catalog inquiry, text, arrays, json, clocks.

use std::sync::Arc;

use super::builtin::Function;
use super::convert::output;
use super::error::{CatalogError, Result};
use super::eval::Cx;
use super::format;
use super::numeric::Numeric;
use super::plan::Expr;
use super::value::{ArrayValue, Value, compare, element_type};
use crate::mathematics;
use crate::pg_types::{PgType, oid};
pub(super) use inquiry::{address, port};
pub(crate) use json::{json_text, scalar_text};
pub(crate) use number_char::is_of_numbers;
pub(crate) use number_read::decimals_of;
pub(crate) use regex::asked;
pub(crate) use sets::{gives_values, set_returning};
pub(super) use text::fitting;

mod bytes;
mod hashes;
mod inquiry;
mod json;
mod number_char;
mod number_read;
mod privileges;
mod regex;
mod sets;
mod text;
mod time;
mod to_char;
pub(super) mod widths;

/// Version text: what `version()` answers and clients parse.
pub const VERSION: &str = concat!("PostgreSQL 16.4 (genokura ", env!("CARGO_PKG_VERSION"), ")");

/// Whether calls of this name are answered; overloads of names not listed exist for typing and listing only.
pub(crate) fn is_implemented(name: &str) -> bool {
    static NAMES: std::sync::OnceLock<std::collections::HashSet<&'static str>> =
        std::sync::OnceLock::new();
    NAMES
        .get_or_init(|| {
            include_str!("data/functions.txt")
                .split_whitespace()
                .collect()
        })
        .contains(name)
}

pub(super) fn unsupported(function: &Function) -> CatalogError {
    CatalogError::unsupported(format!("function {}", function.name))
}

/// Calls a scalar function.
pub(crate) fn call(
    cx: &Cx<'_>,
    function: &Function,
    args: &[Value],
    exprs: &[Expr],
    expr: &Expr,
) -> Result<Value> {
    if function.name == "pg_typeof" {
        return Ok(Value::oid(exprs.first().map_or(0, |e| e.ty)));
    }
    if let ("pg_column_size", Some(value), Some(of)) =
        (function.name.as_str(), args.first(), exprs.first())
    {
        let pg_type = PgType::scalar(of.ty).unwrap_or(PgType::TEXT);
        let text = value.to_text(of.ty, &cx.session.style);
        return Ok(bytes::size(value, pg_type, text.as_deref()));
    }
    if let Some(value) = bytes::call(function, args)? {
        return Ok(value);
    }
    if let Some(value) = hashes::call(&function.name, args) {
        return Ok(value);
    }
    if let Some(value) = widths::call(&function.name, args) {
        return Ok(value);
    }
    if let Some(value) = inquiry::call(cx, function, args)? {
        return Ok(value);
    }
    if let Some(value) = super::escapes::call(&function.name, args)? {
        return Ok(value);
    }
    if let Some(value) = text::call(cx, function, args, exprs)? {
        return Ok(value);
    }
    if let Some(value) = array(cx, function, args, expr)? {
        return Ok(value);
    }
    if let Some(value) = json::call(cx, function, args, exprs)? {
        return Ok(value);
    }
    if let Some(value) = super::jsonb::call(function, args)? {
        return Ok(value);
    }
    if let Some(value) = math(function, args)? {
        return Ok(value);
    }
    time::call(cx, function, args, expr)?.ok_or_else(|| unsupported(function))
}

fn count(n: usize) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

fn array(cx: &Cx<'_>, function: &Function, args: &[Value], expr: &Expr) -> Result<Option<Value>> {
    let first = args.first().and_then(Value::as_array);
    let dimension = |array: &ArrayValue| {
        args.get(1)
            .and_then(Value::as_int)
            .and_then(|d| usize::try_from(d - 1).ok())
            .and_then(|d| array.dims.get(d).copied())
    };
    let is = |v: &Value, w: &Value| {
        (v.is_null() && w.is_null()) || (!v.is_null() && !w.is_null() && compare(v, w).is_eq())
    };
    let element = element_type(expr.ty).unwrap_or(0);
    let list = |items: Vec<Value>| Value::array(element, items);
    Ok(Some(match function.name.as_str() {
        "array_upper" => first.and_then(dimension).map_or(Value::Null, |(len, low)| {
            Value::Int(i64::from(low + len - 1))
        }),
        "array_lower" => first
            .and_then(dimension)
            .map_or(Value::Null, |(_, low)| Value::Int(i64::from(low))),
        "array_length" => first
            .and_then(dimension)
            .map_or(Value::Null, |(len, _)| Value::Int(i64::from(len))),
        "array_ndims" => first
            .filter(|a| !a.dims.is_empty())
            .map_or(Value::Null, |a| count(a.dims.len())),
        "array_dims" => first
            .filter(|a| !a.dims.is_empty())
            .map_or(Value::Null, |a| {
                Value::text(
                    a.dims
                        .iter()
                        .map(|(len, low)| format!("[{low}:{}]", low + len - 1))
                        .collect::<String>(),
                )
            }),
        "cardinality" => first.map_or(Value::Null, |a| count(a.items.len())),
        "array_position" => match first {
            Some(a) => {
                let low = a.dims.first().map_or(1, |d| i64::from(d.1));
                let start = args
                    .get(2)
                    .and_then(Value::as_int)
                    .map_or(0, |s| usize::try_from(s - low).unwrap_or(0));
                a.items
                    .iter()
                    .enumerate()
                    .skip(start)
                    .find(|(_, v)| is(v, &args[1]))
                    .map_or(Value::Null, |(i, _)| {
                        Value::Int(i64::try_from(i).unwrap_or(0) + low)
                    })
            }
            None => Value::Null,
        },
        "array_positions" => match first {
            Some(a) => Value::array(
                oid::INT4,
                a.items
                    .iter()
                    .enumerate()
                    .filter(|(_, v)| is(v, &args[1]))
                    .map(|(i, _)| count(i + 1))
                    .collect(),
            ),
            None => Value::Null,
        },
        "array_append" => list(
            first
                .map_or_else(Vec::new, |a| a.items.clone())
                .into_iter()
                .chain([args[1].clone()])
                .collect(),
        ),
        "array_prepend" => list(
            [args[0].clone()]
                .into_iter()
                .chain(
                    args[1]
                        .as_array()
                        .map_or_else(Vec::new, |a| a.items.clone()),
                )
                .collect(),
        ),
        "array_cat" => match (first, args[1].as_array()) {
            (None, None) => Value::Null,
            (a, b) => list(
                a.into_iter()
                    .chain(b)
                    .flat_map(|a| a.items.clone())
                    .collect(),
            ),
        },
        "array_remove" => first.map_or(Value::Null, |a| {
            list(
                a.items
                    .iter()
                    .filter(|v| !is(v, &args[1]))
                    .cloned()
                    .collect(),
            )
        }),
        "array_replace" => first.map_or(Value::Null, |a| {
            list(
                a.items
                    .iter()
                    .map(|v| {
                        if is(v, &args[1]) {
                            args[2].clone()
                        } else {
                            v.clone()
                        }
                    })
                    .collect(),
            )
        }),
        "trim_array" => first.map_or(Value::Null, |a| {
            list(
                a.items[..a.items.len().saturating_sub(
                    args[1]
                        .as_int()
                        .and_then(|n| usize::try_from(n).ok())
                        .unwrap_or(0),
                )]
                    .to_vec(),
            )
        }),
        "array_to_string" => match (first, args[1].as_str()) {
            (Some(a), Some(separator)) => {
                let null = args.get(2).and_then(Value::as_str);
                let parts: Vec<String> = a
                    .items
                    .iter()
                    .filter_map(|v| {
                        if v.is_null() {
                            null.map(str::to_owned)
                        } else {
                            output(cx.model, cx.session, v, a.element)
                        }
                    })
                    .collect();
                let bytes = parts.iter().map(|part| part.len() + separator.len());
                fitting(bytes.fold(0, usize::saturating_add))?;
                Value::text(parts.join(separator))
            }
            _ => Value::Null,
        },
        "array_fill" => filled(args, element)?,
        "num_nulls" => count(args.iter().filter(|v| v.is_null()).count()),
        "num_nonnulls" => count(args.iter().filter(|v| !v.is_null()).count()),
        _ => return Ok(None),
    }))
}

/// `array_fill(value, lengths)`: one value over and over.
fn filled(args: &[Value], element: u32) -> Result<Value> {
    let wrong = |code, text: &str| Err(CatalogError::new(code, text));
    let ints = |at: usize| -> Option<Vec<i64>> {
        let array = args.get(at)?.as_array()?;
        array.items.iter().map(Value::as_int).collect()
    };
    let Some(lengths) = ints(1) else {
        return wrong("22004", "dimension array or low bound array cannot be null");
    };
    let lows = match args.get(2) {
        Some(_) => ints(2),
        None => Some(vec![1; lengths.len()]),
    };
    let Some(lows) = lows.filter(|lows| lows.len() == lengths.len()) else {
        return wrong("2202E", "wrong number of array subscripts");
    };
    let narrow = |number: &i64| i32::try_from(*number).ok();
    let size = lengths
        .iter()
        .try_fold(1i64, |all, length| all.checked_mul((*length).max(0)));
    let size = size.and_then(|size| usize::try_from(size).ok());
    let Some(size) = size.filter(|size| *size <= 1 << 20) else {
        return wrong("54000", "array size exceeds the maximum allowed (1048576)");
    };
    let dims: Option<Vec<(i32, i32)>> = lengths
        .iter()
        .zip(&lows)
        .map(|(length, low)| narrow(length).zip(narrow(low)))
        .collect();
    let value = args.first().cloned().unwrap_or(Value::Null);
    Ok(Value::Array(Arc::new(ArrayValue {
        element,
        dims: dims.filter(|_| size > 0).unwrap_or_default(),
        items: vec![value; size],
    })))
}

/// `width_bucket`: the bucket of a histogram that an operand falls into; 0 and one past the last lie outside.
fn width_bucket(args: &[Value]) -> Result<Value> {
    let wrong = |text: &str| Err(CatalogError::new("2201G", text));
    if let Some(thresholds) = args.get(1).and_then(Value::as_array) {
        if thresholds.items.iter().any(Value::is_null) {
            let text = "thresholds array must not contain NULLs";
            return Err(CatalogError::new("22004", text));
        }
        let below = |threshold: &&Value| compare(threshold, &args[0]).is_le();
        return Ok(count(thresholds.items.iter().take_while(below).count()));
    }
    let [operand, low, high, buckets] = args else {
        return Ok(Value::Null);
    };
    let buckets = buckets.as_int().unwrap_or(0);
    if buckets <= 0 {
        return wrong("count must be greater than zero");
    }
    let float = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let ([at, from, to], exact) = ([operand, low, high].map(float), [operand, low, high]);
    if at.is_nan() || from.is_nan() || to.is_nan() {
        return wrong("operand, lower bound, and upper bound cannot be NaN");
    }
    if from.is_infinite() || to.is_infinite() {
        return wrong("lower and upper bounds must be finite");
    }
    let order = |a: &Value, b: &Value| compare(a, b);
    let rising = match order(low, high) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Greater => false,
        std::cmp::Ordering::Equal => return wrong("lower bound cannot equal upper bound"),
    };
    let (before, past) = match rising {
        true => (order(operand, low).is_lt(), order(operand, high).is_ge()),
        false => (order(operand, low).is_gt(), order(operand, high).is_le()),
    };
    if before {
        return Ok(Value::Int(0));
    }
    if past {
        return Ok(Value::Int(buckets + 1));
    }
    if let [Value::Numeric(at), Value::Numeric(from), Value::Numeric(to)] = exact {
        let way = |end: Numeric| end.add(from.negate());
        let share = way(*at)
            .and_then(|way| way.multiply(Numeric::from(buckets)))
            .zip(way(*to))
            .and_then(|(way, whole)| way.divide(whole)?.floor()?.to_i64());
        if let Some(share) = share {
            return Ok(Value::Int(share + 1));
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "between 0 and the number of buckets, which is an integer"
    )]
    let bucket = ((at - from) / (to - from) * buckets as f64).floor() as i64;
    Ok(Value::Int(bucket.min(buckets - 1) + 1))
}

fn math(function: &Function, args: &[Value]) -> Result<Option<Value>> {
    let float = |i: usize| args.get(i).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let digits = args
        .get(1)
        .and_then(Value::as_int)
        .and_then(|d| i32::try_from(d).ok())
        .unwrap_or(0);
    let numeric = |n: Option<Numeric>| {
        n.map(Value::Numeric)
            .ok_or_else(|| CatalogError::new("22003", "value overflows numeric format"))
    };
    Ok(Some(match (function.name.as_str(), args.first()) {
        ("abs", Some(Value::Int(i))) => Value::Int(
            i.checked_abs()
                .ok_or_else(|| CatalogError::new("22003", "bigint out of range"))?,
        ),
        ("abs", Some(Value::Numeric(n))) => {
            Value::Numeric(if n.is_negative() { n.negate() } else { *n })
        }
        ("abs", _) => Value::Float(float(0).abs()),
        ("round", Some(Value::Numeric(n))) => numeric(n.round(digits))?,
        ("round", _) => Value::Float(float(0).round_ties_even()),
        ("trunc", Some(Value::Numeric(n))) => {
            let kept = n.truncate(u32::try_from(digits).unwrap_or(0));
            if digits >= 0 {
                return numeric(kept).map(Some);
            }
            // Digits before the point go, too; a unit that is no number has more of them than any.
            match 10_i64.checked_pow(digits.unsigned_abs()).map(Numeric::from) {
                Some(unit) => numeric(kept.and_then(|n| n.add(n.remainder(unit)?.negate())))?,
                None => Value::Numeric(Numeric::from(0)),
            }
        }
        ("trunc", _) => Value::Float(float(0).trunc()),
        ("floor", Some(Value::Numeric(n))) => numeric(n.floor())?,
        ("floor", _) => Value::Float(float(0).floor()),
        ("ceil" | "ceiling", Some(Value::Numeric(n))) => numeric(n.negate().floor())?.negated(),
        ("ceil" | "ceiling", _) => Value::Float(float(0).ceil()),
        ("sqrt", Some(Value::Numeric(n))) => numeric(n.square_root())?,
        (name @ ("exp" | "ln" | "log" | "pow" | "power" | "sqrt"), Some(Value::Float(_))) => {
            let numbers: Vec<f64> = (0..args.len()).map(float).collect();
            match mathematics::called(name, &numbers) {
                Some(Ok(made)) => Value::Float(made),
                Some(Err(fault)) => {
                    let (code, text) = fault.told();
                    return Err(CatalogError::new(code, text));
                }
                None => return Ok(None),
            }
        }
        ("power" | "pow", Some(Value::Numeric(n))) => {
            numeric(Numeric::from_f64(n.to_f64().powf(float(1))))?
        }
        ("mod", Some(Value::Int(a))) => match args[1].as_int() {
            Some(0) => return Err(CatalogError::new("22012", "division by zero")),
            Some(b) => Value::Int(a.wrapping_rem(b)),
            None => Value::Null,
        },
        ("mod", Some(Value::Numeric(a))) => match &args[1] {
            Value::Numeric(b) => numeric(a.remainder(*b))?,
            _ => Value::Null,
        },
        ("div", Some(Value::Numeric(a))) => match &args[1] {
            Value::Numeric(b) if b.compare(&Numeric::from(0)).is_eq() => {
                return Err(CatalogError::new("22012", "division by zero"));
            }
            Value::Numeric(b) => numeric(a.divide(*b).and_then(|q| q.truncate(0)))?,
            _ => Value::Null,
        },
        ("sign", Some(Value::Numeric(n))) => {
            Value::Numeric(Numeric::from(match n.compare(&Numeric::from(0)) {
                std::cmp::Ordering::Less => -1,
                std::cmp::Ordering::Equal => 0,
                std::cmp::Ordering::Greater => 1,
            }))
        }
        ("sign", _) => Value::Float(if float(0) == 0.0 {
            0.0
        } else {
            float(0).signum()
        }),
        ("width_bucket", _) => width_bucket(args)?,
        ("scale", Some(Value::Numeric(n))) => Value::Int(i64::from(n.scale())),
        ("min_scale", Some(Value::Numeric(n))) => Value::Int(i64::from(n.normalized().scale())),
        ("trim_scale", Some(Value::Numeric(n))) => Value::Numeric(n.normalized()),
        ("random", _) => {
            #[expect(clippy::cast_precision_loss, reason = "any fraction will do")]
            let fraction = (uuid_bits() >> 11) as f64 / (1u64 << 53) as f64;
            Value::Float(fraction)
        }
        _ => return Ok(None),
    }))
}

fn uuid_bits() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}

impl Value {
    fn negated(self) -> Self {
        match self {
            Self::Numeric(n) => Self::Numeric(n.negate()),
            other => other,
        }
    }
}

pub(super) fn text_array(items: Vec<Value>) -> Value {
    Value::Array(Arc::new(ArrayValue::flat(oid::TEXT, items)))
}

pub(super) fn quote(name: &str) -> String {
    format::quote_ident(name)
}
