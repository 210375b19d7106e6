//! `json` and `jsonb`: built, taken apart, printed.

use super::super::builtin::Function;
use super::super::convert::output;
use super::super::error::{CatalogError, Result};
use super::super::eval::Cx;
use super::super::plan::Expr;
use super::super::value::Value;
use super::count;
use super::sets::json_item;
use crate::pg_input;
use crate::pg_types::{PgType, oid};

/// A value as json.
pub(crate) fn json_text(cx: &Cx<'_>, value: &Value, ty: u32) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Int(_) if !super::super::value::is_reg(ty) && ty != oid::OID => {
            value.to_text(ty, &cx.session.style).unwrap_or_default()
        }
        Value::Float(f) if f.is_finite() => {
            value.to_text(ty, &cx.session.style).unwrap_or_default()
        }
        Value::Numeric(n) => n.to_string(),
        Value::Text(t) if matches!(ty, oid::JSON | oid::JSONB) => t.to_string(),
        Value::Array(array) if !matches!(ty, oid::INT2VECTOR | oid::OIDVECTOR) => {
            let items: Vec<String> = array
                .items
                .iter()
                .map(|v| json_text(cx, v, array.element))
                .collect();
            let lengths: Vec<usize> = array
                .dims
                .iter()
                .map(|(length, _)| usize::try_from(*length).unwrap_or(0))
                .collect();
            json_array(&lengths, &items)
        }
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
            let text = scalar_text(cx, other, ty).unwrap_or_default();
            serde_json::Value::from(text).to_string()
        }
    }
}

/// The text of a scalar that stands in quotes, or of the name of a member: times are those of ISO 8601.
pub(crate) fn scalar_text(cx: &Cx<'_>, value: &Value, ty: u32) -> Option<String> {
    match value {
        Value::Date(_) | Value::Timestamp(_) => value.to_text(ty, &cx.session.style.in_json()),
        _ => output(cx.model, cx.session, value, ty),
    }
}

/// Items in their dimensions: an array of arrays is one in json as well.
fn json_array(lengths: &[usize], items: &[String]) -> String {
    let parts: Vec<String> = match lengths {
        [_, inner @ ..] if !inner.is_empty() => {
            let each: usize = inner.iter().product();
            let rows = items.chunks(each.max(1));
            rows.map(|row| json_array(inner, row)).collect()
        }
        _ => items.to_vec(),
    };
    format!("[{}]", parts.join(","))
}

pub(super) fn as_jsonb(text: String, function: &Function) -> Value {
    if function.result == oid::JSONB
        && let Ok(kept) = pg_input::kept_text(&text, PgType::JSONB)
    {
        return Value::text(kept);
    }
    Value::text(text)
}

pub(super) fn call(
    cx: &Cx<'_>,
    function: &Function,
    args: &[Value],
    exprs: &[Expr],
) -> Result<Option<Value>> {
    let ty = |i: usize| exprs.get(i).map_or(oid::TEXT, |e| e.ty);
    let parsed = || match args.first().and_then(Value::as_str) {
        Some(text) => super::super::json::parsed(text),
        None => Ok(None),
    };
    // As `parsed`, where strings of it become text.
    let read = || match args.first().and_then(Value::as_str) {
        Some(text) => super::super::json::read(text),
        None => Ok(None),
    };
    Ok(Some(match function.name.as_str() {
        "json_build_object" | "jsonb_build_object" => {
            let mut parts = Vec::new();
            for i in (0..args.len()).step_by(2) {
                let name = scalar_text(cx, &args[i], ty(i)).ok_or_else(|| {
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
        "json_extract_path" | "jsonb_extract_path" => match reached(read()?, &args[1..]) {
            Some(found) => as_jsonb(super::super::convert::jsonb_text(&found), function),
            None => Value::Null,
        },
        "json_extract_path_text" | "jsonb_extract_path_text" => {
            reached(read()?, &args[1..]).map_or(Value::Null, |found| json_item(found, true))
        }
        "json_object" => json_object(args)?,
        "json_strip_nulls" => read()?.map_or(Value::Null, |json| {
            Value::text(without_nulls(json).to_string())
        }),
        "jsonb_strip_nulls" => parsed()?.map_or(Value::Null, |json| {
            Value::text(super::super::convert::jsonb_text(&without_nulls(json)))
        }),
        "jsonb_pretty" => parsed()?.map_or(Value::Null, |json| Value::text(pretty(&json))),
        "json_array_length" | "jsonb_array_length" => match parsed()? {
            Some(serde_json::Value::Array(items)) => count(items.len()),
            other => {
                let what = match other {
                    Some(serde_json::Value::Object(_)) => "a non-array",
                    _ => "a scalar",
                };
                let text = format!("cannot get array length of {what}");
                return Err(CatalogError::new("22023", text));
            }
        },
        "json_typeof" | "jsonb_typeof" => Value::optional_text(parsed()?.map(|v| match v {
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
pub(super) fn pretty(json: &serde_json::Value) -> String {
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
