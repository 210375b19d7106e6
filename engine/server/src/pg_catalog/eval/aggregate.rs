//! Grouping, aggregates and window functions.

use std::collections::{HashMap, HashSet};

use super::{Cx, Env, Group, Tuple, compare_sorted, row_key};
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::functions;
use crate::pg_catalog::numeric::Numeric;
use crate::pg_catalog::plan::{Aggregate, Expr, Select, Window};
use crate::pg_catalog::value::{Value, compare, key};
use crate::pg_types::{PgType, oid};

impl Cx<'_> {
    pub(super) fn group(
        &self,
        select: &Select,
        keys: &[Expr],
        tuples: Vec<Tuple>,
        outer: &Env<'_>,
    ) -> Result<Vec<Group>> {
        let mut groups: Vec<(Vec<Tuple>, Vec<Value>)> = Vec::new();
        let mut index = HashMap::new();
        if keys.is_empty() {
            groups.push((tuples, Vec::new()));
        } else {
            for tuple in tuples {
                let env = Env::of_tuple(&tuple, Some(outer));
                for sets in self.rows_of_sets(select, &select.grouped_sets, &env)? {
                    let env = Env { sets: &sets, ..env };
                    let values = keys
                        .iter()
                        .map(|k| self.eval(k, &env))
                        .collect::<Result<Vec<_>>>()?;
                    let at = *index.entry(row_key(&values)).or_insert(groups.len());
                    match groups.get_mut(at) {
                        Some((members, _)) => members.push(tuple.clone()),
                        None => groups.push((vec![tuple.clone()], sets)),
                    }
                }
            }
        }
        let mut out = Vec::new();
        for (members, sets) in groups {
            let mut aggregates = Vec::new();
            for call in &select.aggregates {
                aggregates.push(self.aggregate(call, members.iter(), outer)?);
            }
            let mut members = members.into_iter();
            out.push(Group {
                tuple: members.next().unwrap_or_else(|| vec![None; select.slots]),
                aggregates,
                sets,
            });
        }
        Ok(out)
    }

    fn aggregate<'t>(
        &self,
        call: &Aggregate,
        members: impl Iterator<Item = &'t Tuple>,
        outer: &Env<'_>,
    ) -> Result<Value> {
        let mut rows: Vec<(Vec<Value>, Vec<Value>)> = Vec::new();
        for tuple in members {
            self.step()?;
            let env = Env::of_tuple(tuple, Some(outer));
            if let Some(filter) = &call.filter
                && !self.holds(filter, &env)?
            {
                continue;
            }
            let args = call
                .args
                .iter()
                .map(|e| self.eval(e, &env))
                .collect::<Result<Vec<_>>>()?;
            let keys = call
                .order
                .iter()
                .map(|k| self.eval(&k.expr, &env))
                .collect::<Result<Vec<_>>>()?;
            rows.push((args, keys));
        }
        if !call.order.is_empty() {
            rows.sort_by(|a, b| compare_sorted(&a.1, &b.1, &call.order));
        }
        let mut args: Vec<Vec<Value>> = rows.into_iter().map(|r| r.0).collect();
        if call.distinct {
            let mut seen = HashSet::new();
            args.retain(|a| seen.insert(row_key(a)));
            if call.order.is_empty() {
                args.sort_by(|a, b| super::compare_rows(a, b));
            }
        }
        self.accumulate(call, &args)
    }

    fn accumulate(&self, call: &Aggregate, rows: &[Vec<Value>]) -> Result<Value> {
        let first = || rows.iter().filter_map(|r| r.first());
        let present = || first().filter(|v| !v.is_null());
        let count = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
        let ty = call.args.first().map_or(0, |a| a.ty);
        Ok(match call.function.name.as_str() {
            "count" if call.star || call.args.is_empty() => count(rows.len()),
            "count" => count(present().count()),
            "min" => present()
                .min_by(|a, b| compare(a, b))
                .cloned()
                .unwrap_or(Value::Null),
            "max" => present()
                .max_by(|a, b| compare(a, b))
                .cloned()
                .unwrap_or(Value::Null),
            "sum" => sum(present(), call.ty)?,
            "avg" => average(present(), call.ty)?,
            "bool_and" | "every" => present()
                .filter_map(Value::as_bool)
                .reduce(|a, b| a && b)
                .map_or(Value::Null, Value::Bool),
            "bool_or" => present()
                .filter_map(Value::as_bool)
                .reduce(|a, b| a || b)
                .map_or(Value::Null, Value::Bool),
            "bit_and" => present()
                .filter_map(Value::as_int)
                .reduce(|a, b| a & b)
                .map_or(Value::Null, Value::Int),
            "bit_or" => present()
                .filter_map(Value::as_int)
                .reduce(|a, b| a | b)
                .map_or(Value::Null, Value::Int),
            "any_value" => present().next().cloned().unwrap_or(Value::Null),
            "array_agg" if rows.is_empty() => Value::Null,
            "array_agg" => match first().next() {
                Some(Value::Array(_)) => super::expr::nested_array(first().cloned().collect()),
                _ => Value::array(ty, first().cloned().collect()),
            },
            "string_agg" => {
                let mut out: Option<String> = None;
                for row in rows {
                    let (Some(text), separator) = (
                        row.first().and_then(Value::as_str),
                        row.get(1).and_then(Value::as_str),
                    ) else {
                        continue;
                    };
                    match &mut out {
                        None => out = Some(text.to_owned()),
                        Some(out) => {
                            out.push_str(separator.unwrap_or_default());
                            out.push_str(text);
                        }
                    }
                }
                Value::optional_text(out)
            }
            "json_agg" | "jsonb_agg" if rows.is_empty() => Value::Null,
            "json_agg" | "jsonb_agg" => {
                let parts: Vec<String> =
                    first().map(|v| functions::json_text(self, v, ty)).collect();
                // Rows and arrays stand on lines of their own.
                let between = match first().find(|v| !v.is_null()) {
                    Some(Value::Record(_) | Value::Array(_)) => ", \n ",
                    _ => ", ",
                };
                self.json(
                    format!("[{}]", parts.join(between)),
                    call.function.name.starts_with("jsonb"),
                )
            }
            "json_object_agg" | "jsonb_object_agg" if rows.is_empty() => Value::Null,
            "json_object_agg" | "jsonb_object_agg" => {
                let value_type = call.args.get(1).map_or(0, |a| a.ty);
                let parts: Vec<String> = rows
                    .iter()
                    .map(|r| {
                        let name = functions::scalar_text(self, &r[0], ty).unwrap_or_default();
                        format!(
                            "{} : {}",
                            serde_json::Value::from(name),
                            functions::json_text(self, &r[1], value_type)
                        )
                    })
                    .collect();
                self.json(
                    format!("{{ {} }}", parts.join(", ")),
                    call.function.name.starts_with("jsonb"),
                )
            }
            other => return Err(CatalogError::unsupported(format!("aggregate {other}()"))),
        })
    }

    fn json(&self, text: String, binary: bool) -> Value {
        if binary && let Ok(kept) = crate::pg_input::kept_text(&text, PgType::JSONB) {
            return Value::text(kept);
        }
        Value::text(text)
    }

    /// One list of values per window call, in the order of the rows.
    pub(super) fn windows(
        &self,
        select: &Select,
        rows: &[Group],
        outer: &Env<'_>,
    ) -> Result<Vec<Vec<Value>>> {
        select
            .windows
            .iter()
            .map(|w| self.window(w, rows, outer))
            .collect()
    }

    fn window(&self, window: &Window, rows: &[Group], outer: &Env<'_>) -> Result<Vec<Value>> {
        let mut partitions: HashMap<Vec<crate::pg_catalog::value::Key>, Vec<usize>> =
            HashMap::new();
        let mut keys = Vec::new();
        let mut args = Vec::new();
        for (i, group) in rows.iter().enumerate() {
            self.step()?;
            let env = group.env(outer);
            let partition = window
                .partition
                .iter()
                .map(|e| self.eval(e, &env).map(|v| key(&v)))
                .collect::<Result<_>>()?;
            partitions.entry(partition).or_default().push(i);
            keys.push(
                window
                    .order
                    .iter()
                    .map(|k| self.eval(&k.expr, &env))
                    .collect::<Result<Vec<_>>>()?,
            );
            let kept = match &window.call.filter {
                Some(filter) => self.holds(filter, &env)?,
                None => true,
            };
            args.push((
                window
                    .call
                    .args
                    .iter()
                    .map(|e| self.eval(e, &env))
                    .collect::<Result<Vec<_>>>()?,
                kept,
            ));
        }
        let mut out = vec![Value::Null; rows.len()];
        for members in partitions.values_mut() {
            members.sort_by(|a, b| compare_sorted(&keys[*a], &keys[*b], &window.order));
            self.window_partition(window, members, &keys, &args, &mut out)?;
        }
        Ok(out)
    }

    fn window_partition(
        &self,
        window: &Window,
        members: &[usize],
        keys: &[Vec<Value>],
        args: &[(Vec<Value>, bool)],
        out: &mut [Value],
    ) -> Result<()> {
        let same = |a: usize, b: usize| {
            compare_sorted(&keys[members[a]], &keys[members[b]], &window.order).is_eq()
        };
        let (mut rank, mut dense) = (0i64, 0i64);
        for n in 0..members.len() {
            self.step()?;
            let number = i64::try_from(n).unwrap_or(0);
            if n == 0 || !same(n - 1, n) {
                rank = number + 1;
                dense += 1;
            }
            // The default frame ends with the last peer of the current row.
            let mut end = members.len();
            if !window.whole && !window.order.is_empty() {
                end = (n + 1..members.len())
                    .find(|m| !same(n, *m))
                    .unwrap_or(members.len());
            }
            let argument = |at: Option<usize>, i: usize| {
                at.and_then(|at| members.get(at))
                    .and_then(|m| args[*m].0.get(i))
                    .cloned()
            };
            let offset = argument(Some(n), 1)
                .and_then(|v| v.as_int())
                .and_then(|o| usize::try_from(o).ok())
                .unwrap_or(1);
            let shifted = |at: Option<usize>| match at.filter(|at| *at < members.len()) {
                Some(at) => argument(Some(at), 0).unwrap_or(Value::Null),
                None => argument(Some(n), 2).unwrap_or(Value::Null),
            };
            out[members[n]] = match window.call.function.name.as_str() {
                "row_number" => Value::Int(number + 1),
                "rank" => Value::Int(rank),
                "dense_rank" => Value::Int(dense),
                "lag" => shifted(n.checked_sub(offset)),
                "lead" => shifted(n.checked_add(offset)),
                "first_value" => argument(Some(0), 0).unwrap_or(Value::Null),
                "last_value" => argument(end.checked_sub(1), 0).unwrap_or(Value::Null),
                "nth_value" => {
                    argument(offset.checked_sub(1).filter(|o| *o < end), 0).unwrap_or(Value::Null)
                }
                _ => {
                    let frame: Vec<Vec<Value>> = members[..end]
                        .iter()
                        .filter(|m| args[**m].1)
                        .map(|m| args[*m].0.clone())
                        .collect();
                    self.accumulate(&window.call, &frame)?
                }
            };
        }
        Ok(())
    }
}

fn sum<'v>(values: impl Iterator<Item = &'v Value>, ty: u32) -> Result<Value> {
    let overflow = || CatalogError::new("22003", "sum out of range");
    let mut total: Option<Numeric> = None;
    let mut float: Option<f64> = None;
    for value in values {
        match value {
            Value::Int(i) => {
                total = Some(
                    total
                        .unwrap_or(Numeric::from(0))
                        .add(Numeric::from(*i))
                        .ok_or_else(overflow)?,
                )
            }
            Value::Numeric(n) => {
                total = Some(
                    total
                        .unwrap_or(Numeric::from(0))
                        .add(*n)
                        .ok_or_else(overflow)?,
                )
            }
            other => {
                float = Some(
                    float.unwrap_or(0.0)
                        + other
                            .as_f64()
                            .ok_or_else(|| CatalogError::unsupported("sum of this type"))?,
                )
            }
        }
    }
    Ok(match (total, float, ty) {
        (_, Some(f), _) => Value::Float(f),
        (Some(n), None, oid::INT8) => Value::Int(n.to_i64().ok_or_else(overflow)?),
        (Some(n), None, _) => Value::Numeric(n),
        (None, None, _) => Value::Null,
    })
}

fn average<'v>(values: impl Iterator<Item = &'v Value>, ty: u32) -> Result<Value> {
    let all: Vec<&Value> = values.collect();
    let count = i64::try_from(all.len()).unwrap_or(i64::MAX);
    if all.is_empty() {
        return Ok(Value::Null);
    }
    let total = sum(all.into_iter(), oid::NUMERIC)?;
    Ok(match total {
        Value::Numeric(n) if ty != oid::FLOAT8 => n
            .divide(Numeric::from(count))
            .map_or(Value::Null, Value::Numeric),
        #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
        other => other
            .as_f64()
            .map_or(Value::Null, |f| Value::Float(f / count as f64)),
    })
}
