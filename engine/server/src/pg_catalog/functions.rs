//! Functions: catalog inquiry, text, arrays, json, clocks.

use std::sync::Arc;

use super::builtin::{Function, builtin};
use super::convert::output;
use super::error::{CatalogError, Result};
use super::eval::{Cx, record};
use super::format;
use super::numeric::Numeric;
use super::operators::regex;
use super::plan::Expr;
use super::value::{ArrayValue, Value, compare, element_type};
use crate::pg_types::oid;
pub(crate) use number_char::is_of_numbers;
use to_char::to_char;

mod inquiry;
mod number_char;
mod text;
mod to_char;

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
    if let Some(value) = inquiry::call(cx, function, args)? {
        return Ok(value);
    }
    if let Some(value) = text::call(cx, function, args, exprs)? {
        return Ok(value);
    }
    if let Some(value) = array(cx, function, args, expr)? {
        return Ok(value);
    }
    if let Some(value) = json(cx, function, args, exprs)? {
        return Ok(value);
    }
    if let Some(value) = math(function, args)? {
        return Ok(value);
    }
    time(cx, function, args, expr)?.ok_or_else(|| unsupported(function))
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

/// A value as json.
pub(crate) fn json_text(cx: &Cx<'_>, value: &Value, ty: u32) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Int(_) if !super::value::is_reg(ty) && ty != oid::OID => {
            value.to_text(ty).unwrap_or_default()
        }
        Value::Float(f) if f.is_finite() => value.to_text(ty).unwrap_or_default(),
        Value::Numeric(n) => n.to_string(),
        Value::Text(t) if matches!(ty, oid::JSON | oid::JSONB) => t.to_string(),
        Value::Array(array) if !matches!(ty, oid::INT2VECTOR | oid::OIDVECTOR) => format!(
            "[{}]",
            array
                .items
                .iter()
                .map(|v| json_text(cx, v, array.element))
                .collect::<Vec<_>>()
                .join(",")
        ),
        Value::Record(row) => {
            let parts: Vec<String> = row
                .names
                .iter()
                .zip(&row.values)
                .zip(&row.types)
                .map(|((n, v), t)| {
                    format!(
                        "{}:{}",
                        serde_json::Value::from(n.as_ref()),
                        json_text(cx, v, *t)
                    )
                })
                .collect();
            format!("{{{}}}", parts.join(","))
        }
        other => {
            serde_json::Value::from(output(cx.model, cx.session, other, ty).unwrap_or_default())
                .to_string()
        }
    }
}

fn as_jsonb(text: String, function: &Function) -> Value {
    if function.result == oid::JSONB
        && let Ok(parsed) = serde_json::from_str(&text)
    {
        return Value::text(super::convert::jsonb_text(&parsed));
    }
    Value::text(text)
}

fn json(cx: &Cx<'_>, function: &Function, args: &[Value], exprs: &[Expr]) -> Result<Option<Value>> {
    let ty = |i: usize| exprs.get(i).map_or(oid::TEXT, |e| e.ty);
    let parsed = || {
        args.first()
            .and_then(Value::as_str)
            .and_then(|t| serde_json::from_str::<serde_json::Value>(t).ok())
    };
    Ok(Some(match function.name.as_str() {
        "json_build_object" | "jsonb_build_object" => {
            let mut parts = Vec::new();
            for i in (0..args.len()).step_by(2) {
                let name = output(cx.model, cx.session, &args[i], ty(i)).ok_or_else(|| {
                    CatalogError::new(
                        "22004",
                        format!("null value not allowed for object key, argument {}", i + 1),
                    )
                })?;
                let value = args.get(i + 1).ok_or_else(|| {
                    CatalogError::new("22023", "argument list must have even number of elements")
                })?;
                parts.push(format!(
                    "{} : {}",
                    serde_json::Value::from(name),
                    json_text(cx, value, ty(i + 1))
                ));
            }
            as_jsonb(format!("{{{}}}", parts.join(", ")), function)
        }
        "json_build_array" | "jsonb_build_array" => as_jsonb(
            format!(
                "[{}]",
                args.iter()
                    .enumerate()
                    .map(|(i, v)| json_text(cx, v, ty(i)))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            function,
        ),
        "row_to_json" | "to_json" | "to_jsonb" | "array_to_json" => {
            as_jsonb(json_text(cx, &args[0], ty(0)), function)
        }
        "json_extract_path" | "jsonb_extract_path" => match reached(parsed(), &args[1..]) {
            Some(found) => as_jsonb(super::convert::jsonb_text(&found), function),
            None => Value::Null,
        },
        "json_extract_path_text" | "jsonb_extract_path_text" => {
            reached(parsed(), &args[1..]).map_or(Value::Null, |found| json_item(found, true))
        }
        "json_object" => json_object(args)?,
        "json_strip_nulls" => parsed().map_or(Value::Null, |json| {
            Value::text(without_nulls(json).to_string())
        }),
        "jsonb_strip_nulls" => parsed().map_or(Value::Null, |json| {
            Value::text(super::convert::jsonb_text(&without_nulls(json)))
        }),
        "jsonb_pretty" => parsed().map_or(Value::Null, |json| Value::text(pretty(&json))),
        "json_array_length" | "jsonb_array_length" => match parsed() {
            Some(serde_json::Value::Array(items)) => count(items.len()),
            _ => {
                return Err(CatalogError::new(
                    "22023",
                    "cannot get array length of a non-array",
                ));
            }
        },
        "json_typeof" | "jsonb_typeof" => Value::optional_text(parsed().map(|v| match v {
            serde_json::Value::Null => "null",
            serde_json::Value::Bool(_) => "boolean",
            serde_json::Value::Number(_) => "number",
            serde_json::Value::String(_) => "string",
            serde_json::Value::Array(_) => "array",
            serde_json::Value::Object(_) => "object",
        })),
        _ => return Ok(None),
    }))
}

/// What lies at the end of a path of names and places.
fn reached(json: Option<serde_json::Value>, path: &[Value]) -> Option<serde_json::Value> {
    path.iter().try_fold(json?, |at, step| {
        let step = step.as_str()?;
        match at {
            serde_json::Value::Object(mut fields) => fields.remove(step),
            serde_json::Value::Array(mut items) => {
                let place: i64 = step.parse().ok()?;
                let place = match place < 0 {
                    true => i64::try_from(items.len()).ok()? + place,
                    false => place,
                };
                let place = usize::try_from(place)
                    .ok()
                    .filter(|place| *place < items.len())?;
                Some(items.swap_remove(place))
            }
            _ => None,
        }
    })
}

/// `json_object`: names and values of one array by turns, or of two.
fn json_object(args: &[Value]) -> Result<Value> {
    let items = |at: usize| args.get(at).and_then(Value::as_array);
    let Some(first) = items(0) else {
        return Ok(Value::Null);
    };
    let pairs: Vec<(&Value, &Value)> = match items(1) {
        Some(second) if first.items.len() == second.items.len() => {
            first.items.iter().zip(&second.items).collect()
        }
        Some(_) => return Err(CatalogError::new("2202E", "mismatched array dimensions")),
        None if first.dims.len() <= 1 && first.items.len() % 2 == 1 => {
            let text = "array must have even number of elements";
            return Err(CatalogError::new("2202E", text));
        }
        None => {
            let pairs = first.items.chunks_exact(2);
            pairs.map(|pair| (&pair[0], &pair[1])).collect()
        }
    };
    let texts = pairs.into_iter().map(|(name, value)| {
        let Some(name) = name.as_str() else {
            return Err(CatalogError::new(
                "22004",
                "null value not allowed for object key",
            ));
        };
        let value = value
            .as_str()
            .map_or(serde_json::Value::Null, serde_json::Value::from);
        Ok(format!("{} : {value}", serde_json::Value::from(name)))
    });
    let texts: Vec<String> = texts.collect::<Result<_>>()?;
    Ok(Value::text(format!("{{{}}}", texts.join(", "))))
}

fn without_nulls(json: serde_json::Value) -> serde_json::Value {
    match json {
        serde_json::Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            serde_json::Value::Object(
                kept.map(|(name, value)| (name, without_nulls(value)))
                    .collect(),
            )
        }
        serde_json::Value::Array(items) => {
            serde_json::Value::Array(items.into_iter().map(without_nulls).collect())
        }
        other => other,
    }
}

/// `jsonb_pretty`: four blanks a level.
fn pretty(json: &serde_json::Value) -> String {
    fn level(json: &serde_json::Value, depth: usize) -> String {
        let (inner, outer) = ("    ".repeat(depth + 1), "    ".repeat(depth));
        match json {
            serde_json::Value::Object(fields) => {
                let mut names: Vec<&String> = fields.keys().collect();
                names.sort_by(|a, b| a.len().cmp(&b.len()).then(a.cmp(b)));
                let lines = names.into_iter().map(|name| {
                    let shown = serde_json::Value::from(name.as_str());
                    let value = fields
                        .get(name)
                        .map_or_else(String::new, |value| level(value, depth + 1));
                    format!("{inner}{shown}: {value}")
                });
                let lines: Vec<String> = lines.collect();
                format!("{{\n{}\n{outer}}}", lines.join(",\n"))
            }
            serde_json::Value::Array(items) => {
                let lines = items
                    .iter()
                    .map(|item| format!("{inner}{}", level(item, depth + 1)));
                let lines: Vec<String> = lines.collect();
                format!("[\n{}\n{outer}]", lines.join(",\n"))
            }
            other => other.to_string(),
        }
    }
    level(json, 0)
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
            numeric(n.truncate(u32::try_from(digits).unwrap_or(0)))?
        }
        ("trunc", _) => Value::Float(float(0).trunc()),
        ("floor", Some(Value::Numeric(n))) => numeric(n.floor())?,
        ("floor", _) => Value::Float(float(0).floor()),
        ("ceil" | "ceiling", Some(Value::Numeric(n))) => numeric(n.negate().floor())?.negated(),
        ("ceil" | "ceiling", _) => Value::Float(float(0).ceil()),
        ("sqrt", Some(Value::Numeric(n))) => numeric(n.square_root())?,
        ("sqrt", _) => Value::Float(float(0).sqrt()),
        ("ln", Some(Value::Float(f))) => Value::Float(f.ln()),
        ("exp", Some(Value::Float(f))) => Value::Float(f.exp()),
        ("log", Some(Value::Float(f))) => Value::Float(f.log10()),
        ("power" | "pow", Some(Value::Float(f))) => Value::Float(f.powf(float(1))),
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

fn time(cx: &Cx<'_>, function: &Function, args: &[Value], expr: &Expr) -> Result<Option<Value>> {
    use chrono::{Datelike, Timelike};
    let micros = |v: Option<&Value>| match v {
        Some(Value::Timestamp(t)) => Some(*t),
        Some(Value::Date(d)) => Some(i64::from(*d) * 86_400_000_000),
        _ => None,
    };
    let number = |v: Option<&Value>| match v {
        Some(Value::Int(i)) => Some(Numeric::from(*i)),
        Some(Value::Float(f)) => Numeric::from_f64(*f),
        Some(Value::Numeric(n)) => Some(*n),
        _ => None,
    };
    Ok(Some(match function.name.as_str() {
        "now" | "transaction_timestamp" | "statement_timestamp" => Value::Timestamp(cx.now),
        "clock_timestamp" => Value::Timestamp(chrono::Utc::now().timestamp_micros()),
        "timeofday" => Value::text(
            chrono::Utc::now()
                .format("%a %b %d %H:%M:%S%.6f %Y UTC")
                .to_string(),
        ),
        "pg_postmaster_start_time" | "pg_conf_load_time" => {
            Value::Timestamp(cx.session.server_started)
        }
        "age" => match (micros(args.first()), micros(args.get(1))) {
            (Some(a), Some(b)) => Value::Interval {
                months: 0,
                days: i32::try_from((a - b) / 86_400_000_000).unwrap_or(0),
                micros: (a - b) % 86_400_000_000,
            },
            // age(xid): nothing ever freezes here.
            (None, _) => Value::Int(0),
            (Some(a), None) => {
                let today = cx.now - cx.now.rem_euclid(86_400_000_000);
                Value::Interval {
                    months: 0,
                    days: i32::try_from((today - a) / 86_400_000_000).unwrap_or(0),
                    micros: (today - a) % 86_400_000_000,
                }
            }
        },
        "to_timestamp" => match args.first() {
            #[expect(clippy::cast_possible_truncation, reason = "out of range saturates")]
            Some(Value::Float(f)) => Value::Timestamp((f * 1e6) as i64),
            _ => return Ok(None),
        },
        "to_char" if let Some(number) = number(args.first()) => {
            let pattern = args.get(1).and_then(Value::as_str).unwrap_or_default();
            Value::text(number_char::number_text(number, pattern)?)
        }
        "to_char" => {
            let time = micros(args.first()).and_then(super::value::timestamp);
            let pattern = args.get(1).and_then(Value::as_str);
            match time
                .zip(pattern)
                .map(|(time, pattern)| to_char(time, pattern))
            {
                Some(Some(text)) => Value::text(text),
                _ => return Ok(None),
            }
        }
        "extract" | "date_part" => {
            let field = args
                .first()
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_lowercase();
            let number: f64 = match args.get(1) {
                Some(Value::Interval {
                    months,
                    days,
                    micros,
                }) => interval_part(&field, *months, *days, *micros),
                other => {
                    let Some(t) = micros(other) else {
                        return Ok(None);
                    };
                    let Some(time) = super::value::timestamp(t) else {
                        return Ok(Some(Value::Null));
                    };
                    #[expect(
                        clippy::cast_precision_loss,
                        reason = "microseconds of today fit 53 bits"
                    )]
                    match field.as_str() {
                        "epoch" => t as f64 / 1e6,
                        "year" => f64::from(time.year()),
                        "month" => f64::from(time.month()),
                        "day" => f64::from(time.day()),
                        "hour" => f64::from(time.hour()),
                        "minute" => f64::from(time.minute()),
                        "second" => f64::from(time.second()) + t.rem_euclid(1_000_000) as f64 / 1e6,
                        "dow" => f64::from(time.weekday().num_days_from_sunday()),
                        "isodow" => f64::from(time.weekday().number_from_monday()),
                        "doy" => f64::from(time.ordinal()),
                        "quarter" => f64::from((time.month() - 1) / 3 + 1),
                        "week" => f64::from(time.iso_week().week()),
                        "timezone" => 0.0,
                        _ => {
                            return Err(CatalogError::new(
                                "22023",
                                format!(
                                    "unit \"{field}\" not recognized for type timestamp with time zone"
                                ),
                            ));
                        }
                    }
                }
            };
            if expr.ty == oid::NUMERIC {
                let digits = if matches!(field.as_str(), "epoch" | "second") {
                    6
                } else {
                    0
                };
                Numeric::from_f64(number)
                    .and_then(|n| n.round(digits))
                    .map_or(Value::Null, Value::Numeric)
            } else {
                Value::Float(number)
            }
        }
        "date_trunc" => {
            let field = args
                .first()
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_lowercase();
            let Some(t) = micros(args.get(1)) else {
                return Ok(None);
            };
            let step = match field.as_str() {
                "microseconds" => 1,
                "milliseconds" => 1_000,
                "second" => 1_000_000,
                "minute" => 60_000_000,
                "hour" => 3_600_000_000,
                "day" => 86_400_000_000,
                _ => {
                    let Some(time) = super::value::timestamp(t) else {
                        return Ok(Some(Value::Null));
                    };
                    let month = match field.as_str() {
                        "month" => time.month(),
                        "quarter" => (time.month() - 1) / 3 * 3 + 1,
                        "year" => 1,
                        _ => {
                            return Err(CatalogError::new(
                                "22023",
                                format!(
                                    "unit \"{field}\" not recognized for type timestamp with time zone"
                                ),
                            ));
                        }
                    };
                    let start = chrono::NaiveDate::from_ymd_opt(time.year(), month, 1)
                        .and_then(|d| d.and_hms_opt(0, 0, 0));
                    return Ok(Some(start.map_or(Value::Null, |s| {
                        Value::Timestamp(s.and_utc().timestamp_micros())
                    })));
                }
            };
            Value::Timestamp(t - t.rem_euclid(step))
        }
        "isfinite" => Value::Bool(!matches!(
            args.first(),
            Some(Value::Timestamp(i64::MAX | i64::MIN) | Value::Date(i32::MAX | i32::MIN))
        )),
        "pg_sleep" => Value::text(""),
        _ => return Ok(None),
    }))
}

#[expect(clippy::cast_precision_loss, reason = "interval parts are small")]
fn interval_part(field: &str, months: i32, days: i32, micros: i64) -> f64 {
    match field {
        "epoch" => {
            f64::from(months) / 12.0 * 365.25 * 86_400.0
                + f64::from(days) * 86_400.0
                + micros as f64 / 1e6
        }
        "year" => f64::from(months / 12),
        "month" => f64::from(months % 12),
        "day" => f64::from(days),
        "hour" => (micros / 3_600_000_000) as f64,
        "minute" => (micros / 60_000_000 % 60) as f64,
        _ => (micros % 60_000_000) as f64 / 1e6,
    }
}

/// Rows of a set-returning function.
pub(crate) fn set_returning(
    cx: &Cx<'_>,
    function: &Function,
    args: &[Value],
    expr: &Expr,
) -> Result<Vec<Value>> {
    if function.strict && args.iter().any(Value::is_null) {
        return Ok(Vec::new());
    }
    let first_text = || args.first().and_then(Value::as_str).unwrap_or_default();
    Ok(match function.name.as_str() {
        "generate_series" => series(cx, args)?,
        "generate_subscripts" => match args.first().and_then(Value::as_array) {
            Some(array) => {
                let dimension = args[1]
                    .as_int()
                    .and_then(|d| usize::try_from(d - 1).ok())
                    .and_then(|d| array.dims.get(d));
                let mut all: Vec<Value> = dimension.map_or_else(Vec::new, |(len, low)| {
                    (0..*len).map(|i| Value::Int(i64::from(low + i))).collect()
                });
                if args.get(2).and_then(Value::as_bool) == Some(true) {
                    all.reverse();
                }
                all
            }
            None => Vec::new(),
        },
        "unnest" => args
            .first()
            .and_then(Value::as_array)
            .map_or_else(Vec::new, |a| a.items.clone()),
        "_pg_expandarray" => args
            .first()
            .and_then(Value::as_array)
            .map_or_else(Vec::new, |a| {
                a.items
                    .iter()
                    .enumerate()
                    .map(|(i, v)| record(expr, vec![v.clone(), count(i + 1)]))
                    .collect()
            }),
        "pg_get_keywords" => builtin()
            .keywords
            .iter()
            .map(|(word, kind, bare)| {
                let description = match kind {
                    'U' => "unreserved",
                    'C' => "unreserved (cannot be function or type name)",
                    'T' => "reserved (can be function or type name)",
                    _ => "reserved",
                };
                let label = if *bare {
                    "can be bare label"
                } else {
                    "requires AS"
                };
                record(
                    expr,
                    vec![
                        Value::text(word),
                        Value::text(kind.to_string()),
                        Value::Bool(*bare),
                        Value::text(description),
                        Value::text(label),
                    ],
                )
            })
            .collect(),
        "string_to_table" => text::split(first_text(), args.get(1).and_then(Value::as_str))
            .into_iter()
            .map(Value::text)
            .collect(),
        "regexp_split_to_table" => {
            let pattern = regex(cx, args[1].as_str().unwrap_or_default(), false)?;
            pattern.split(first_text()).map(Value::text).collect()
        }
        "regexp_matches" => {
            let flags = args.get(2).and_then(Value::as_str).unwrap_or_default();
            let pattern = regex(
                cx,
                args[1].as_str().unwrap_or_default(),
                flags.contains('i'),
            )?;
            let limit = if flags.contains('g') { usize::MAX } else { 1 };
            pattern
                .captures_iter(first_text())
                .take(limit)
                .map(|c| text::captures(&c))
                .collect()
        }
        "json_array_elements"
        | "jsonb_array_elements"
        | "json_array_elements_text"
        | "jsonb_array_elements_text" => match serde_json::from_str(first_text()) {
            Ok(serde_json::Value::Array(items)) => items
                .into_iter()
                .map(|i| json_item(i, function.name.ends_with("_text")))
                .collect(),
            _ => {
                return Err(CatalogError::new(
                    "22023",
                    "cannot extract elements from a scalar",
                ));
            }
        },
        "json_each" | "jsonb_each" | "json_each_text" | "jsonb_each_text" => {
            match serde_json::from_str(first_text()) {
                Ok(serde_json::Value::Object(map)) => map
                    .into_iter()
                    .map(|(k, v)| {
                        record(
                            expr,
                            vec![
                                Value::text(k),
                                json_item(v, function.name.ends_with("_text")),
                            ],
                        )
                    })
                    .collect(),
                _ => return Err(CatalogError::new("22023", "cannot deconstruct a scalar")),
            }
        }
        "json_object_keys" | "jsonb_object_keys" => match serde_json::from_str(first_text()) {
            Ok(serde_json::Value::Object(map)) => {
                map.into_iter().map(|(k, _)| Value::text(k)).collect()
            }
            _ => Vec::new(),
        },
        "pg_timezone_names" => chrono_tz::TZ_VARIANTS
            .iter()
            .map(|z| {
                record(
                    expr,
                    vec![
                        Value::text(z.name()),
                        Value::text(""),
                        Value::Null,
                        Value::Bool(false),
                    ],
                )
            })
            .collect(),
        "pg_show_all_settings" => {
            super::tables::rows(cx.model, cx.session, super::tables::SETTINGS)?
                .iter()
                .map(|r| record(expr, r.to_vec()))
                .collect()
        }
        // Nothing of the kind exists here: no WAL, partitions, listeners, ACLs or foreign options.
        "aclexplode"
        | "pg_options_to_table"
        | "pg_listening_channels"
        | "pg_partition_tree"
        | "pg_partition_ancestors"
        | "pg_tablespace_databases"
        | "pg_get_replication_slots"
        | "pg_timezone_abbrevs"
        | "pg_available_extensions"
        | "pg_stat_get_backend_idset" => Vec::new(),
        _ => return Err(unsupported(function)),
    })
}

fn json_item(value: serde_json::Value, text: bool) -> Value {
    match value {
        serde_json::Value::Null if text => Value::Null,
        serde_json::Value::String(s) if text => Value::text(s),
        other => Value::text(super::convert::jsonb_text(&other)),
    }
}

fn series(cx: &Cx<'_>, args: &[Value]) -> Result<Vec<Value>> {
    if let (
        Value::Timestamp(from),
        Value::Timestamp(to),
        Some(Value::Interval {
            months: 0,
            days,
            micros,
        }),
    ) = (&args[0], &args[1], args.get(2))
    {
        let step = i64::from(*days) * 86_400_000_000 + micros;
        if step == 0 {
            return Err(CatalogError::new("22023", "step size cannot equal zero"));
        }
        return steps(cx, *from, *to, step, Value::Timestamp);
    }
    let number = |v: &Value| match v {
        Value::Int(i) => Some(*i),
        Value::Numeric(n) => n.to_i64_exact(),
        _ => None,
    };
    let (Some(from), Some(to)) = (number(&args[0]), number(&args[1])) else {
        return Err(CatalogError::unsupported("generate_series of these types"));
    };
    let step = args
        .get(2)
        .map_or(Some(1), number)
        .ok_or_else(|| CatalogError::unsupported("generate_series with this step"))?;
    if step == 0 {
        return Err(CatalogError::new("22023", "step size cannot equal zero"));
    }
    let decimal = matches!(args[0], Value::Numeric(_));
    steps(cx, from, to, step, |i| {
        if decimal {
            Value::Numeric(Numeric::from(i))
        } else {
            Value::Int(i)
        }
    })
}

fn steps(
    cx: &Cx<'_>,
    from: i64,
    to: i64,
    step: i64,
    value: impl Fn(i64) -> Value,
) -> Result<Vec<Value>> {
    let mut out = Vec::new();
    let mut at = from;
    while if step > 0 { at <= to } else { at >= to } {
        cx.step()?;
        if out.len() >= 10_000_000 {
            return Err(CatalogError::new(
                "54000",
                "generate_series of more than 10000000 rows in a catalog query",
            ));
        }
        out.push(value(at));
        let Some(next) = at.checked_add(step) else {
            break;
        };
        at = next;
    }
    Ok(out)
}

pub(super) fn text_array(items: Vec<Value>) -> Value {
    Value::Array(Arc::new(ArrayValue::flat(oid::TEXT, items)))
}

pub(super) fn quote(name: &str) -> String {
    format::quote_ident(name)
}
