//! Functions that give a set of rows.

use super::super::acl;
use super::super::builtin::{Function, builtin};
use super::super::error::{CatalogError, Result};
use super::super::eval::{Cx, record};
use super::super::numeric::Numeric;
use super::super::plan::Expr;
use super::super::value::Value;
use super::{count, regex, text, unsupported};

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
    // Where strings of it become text, not every escape can.
    let json = |is_text: bool| match is_text {
        true => super::super::json::read(first_text()),
        false => super::super::json::parsed(first_text()),
    };
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
        "string_to_table" => {
            let parts = text::split(first_text(), args.get(1).and_then(Value::as_str));
            text::kept(cx, parts.map(Value::text))?
        }
        "regexp_split_to_table" => regex::parts(cx, "regexp_split_to_table", args)?,
        "regexp_matches" => regex::all_matches(cx, args)?,
        "json_array_elements"
        | "jsonb_array_elements"
        | "json_array_elements_text"
        | "jsonb_array_elements_text" => match json(function.name.ends_with("_text"))? {
            Some(serde_json::Value::Array(items)) => {
                let items = items.into_iter();
                text::kept(
                    cx,
                    items.map(|i| json_item(i, function.name.ends_with("_text"))),
                )?
            }
            other => return Err(not_as(&function.name, other.as_ref())),
        },
        "json_each" | "jsonb_each" | "json_each_text" | "jsonb_each_text" => match json(true)? {
            Some(serde_json::Value::Object(map)) => map
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
            other => return Err(not_as(&function.name, other.as_ref())),
        },
        "json_object_keys" | "jsonb_object_keys" => match json(true)? {
            Some(serde_json::Value::Object(map)) => {
                map.into_iter().map(|(k, _)| Value::text(k)).collect()
            }
            other => return Err(not_as(&function.name, other.as_ref())),
        },
        name @ ("pg_timezone_names" | "pg_timezone_abbrevs") => {
            let view = cx.model.find_relation(Some("pg_catalog"), name, &[]);
            let rows = super::super::tables::rows(cx.model, cx.session, view.map_or(0, |r| r.oid))?;
            rows.iter().map(|r| record(expr, r.to_vec())).collect()
        }
        "pg_show_all_settings" => {
            super::super::tables::rows(cx.model, cx.session, super::super::tables::SETTINGS)?
                .iter()
                .map(|r| record(expr, r.to_vec()))
                .collect()
        }
        "aclexplode" => {
            let items = args.first().and_then(Value::as_array);
            let mut rows = Vec::new();
            for item in items.into_iter().flat_map(|array| &array.items) {
                let parts = acl::parts(cx.model, item.as_str().unwrap_or_default())?;
                rows.extend(parts.into_iter().map(|part| {
                    let fields = vec![
                        Value::oid(part.grantor),
                        Value::oid(part.grantee),
                        Value::text(part.right),
                        Value::Bool(part.grantable),
                    ];
                    record(expr, fields)
                }));
            }
            rows
        }
        "pg_listening_channels" => cx.session.heard.iter().map(Value::text).collect(),
        // Nothing of the kind exists here: no WAL, partitions or foreign options.
        "pg_options_to_table"
        | "pg_partition_tree"
        | "pg_partition_ancestors"
        | "pg_tablespace_databases"
        | "pg_get_replication_slots"
        | "pg_available_extensions"
        | "pg_stat_get_backend_idset" => Vec::new(),
        _ => return Err(unsupported(function)),
    })
}

/// Whether the rows of a function are called `value`, whatever alias it has.
pub(crate) fn gives_values(function: &str) -> bool {
    matches!(
        function,
        "json_array_elements"
            | "json_array_elements_text"
            | "jsonb_array_elements"
            | "jsonb_array_elements_text"
    )
}

pub(super) fn json_item(value: serde_json::Value, text: bool) -> Value {
    match value {
        serde_json::Value::Null if text => Value::Null,
        serde_json::Value::String(s) if text => Value::text(s),
        other => Value::text(super::super::convert::jsonb_text(&other)),
    }
}

pub(super) fn series(cx: &Cx<'_>, args: &[Value]) -> Result<Vec<Value>> {
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

pub(super) fn steps(
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
        cx.keep(size_of::<Value>())?;
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

/// What a function of json says of a value that it takes nothing out of.
fn not_as(function: &str, value: Option<&serde_json::Value>) -> CatalogError {
    use serde_json::Value::{Array, Object};
    let text = match (function, value) {
        ("jsonb_array_elements" | "jsonb_array_elements_text", Some(Object(_))) => {
            "cannot extract elements from an object".to_owned()
        }
        ("jsonb_array_elements" | "jsonb_array_elements_text", _) => {
            "cannot extract elements from a scalar".to_owned()
        }
        ("json_each" | "json_each_text", Some(Array(_))) => {
            "cannot deconstruct an array as an object".to_owned()
        }
        ("json_each" | "json_each_text", _) => "cannot deconstruct a scalar".to_owned(),
        ("jsonb_each" | "jsonb_each_text", _) => format!("cannot call {function} on a non-object"),
        (_, Some(Object(_))) => format!("cannot call {function} on a non-array"),
        (_, Some(Array(_))) => format!("cannot call {function} on an array"),
        _ => format!("cannot call {function} on a scalar"),
    };
    CatalogError::new("22023", text)
}
