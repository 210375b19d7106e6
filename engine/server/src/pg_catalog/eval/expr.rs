//! Values of expressions in a frame.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use super::{Cx, Env, internal};
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::plan::{Expr, Index, Kind, Subquery};
use crate::pg_catalog::value::{ArrayValue, Key, RecordValue, Value, compare, element_type, key};
use crate::pg_catalog::{convert, functions, operators};

impl Cx<'_> {
    /// Evaluates an expression in a frame.
    #[expect(clippy::too_many_lines, reason = "one arm per kind of expression")]
    pub(crate) fn eval(&self, expr: &Expr, env: &Env<'_>) -> Result<Value> {
        Ok(match &expr.kind {
            Kind::Const(value) => value.clone(),
            Kind::Param(i) => self.params.get(*i).cloned().ok_or_else(|| {
                CatalogError::new("08P01", format!("no value for parameter ${}", i + 1))
            })?,
            Kind::Column { depth, slot, col } => {
                let frame = env.up(*depth).ok_or_else(|| internal("frame is missing"))?;
                match frame.tuple.get(*slot).and_then(Option::as_ref) {
                    Some(row) => row.get(*col).cloned().unwrap_or(Value::Null),
                    None => Value::Null,
                }
            }
            Kind::WholeRow { depth, slot } => {
                let frame = env.up(*depth).ok_or_else(|| internal("frame is missing"))?;
                match frame.tuple.get(*slot).and_then(Option::as_ref) {
                    Some(row) => record(expr, row.to_vec()),
                    None => Value::Null,
                }
            }
            Kind::Aggregate(i) => env
                .aggregates
                .get(*i)
                .cloned()
                .ok_or_else(|| internal("aggregate is missing"))?,
            Kind::Window(i) => env
                .windows
                .get(*i)
                .cloned()
                .ok_or_else(|| internal("window is missing"))?,
            Kind::SetReturning(i) => env
                .sets
                .get(*i)
                .cloned()
                .ok_or_else(|| internal("set is missing"))?,
            Kind::And(a, b) => match self.eval(a, env)?.as_bool() {
                Some(false) => Value::Bool(false),
                a => match (a, self.eval(b, env)?.as_bool()) {
                    (_, Some(false)) => Value::Bool(false),
                    (Some(_), Some(_)) => Value::Bool(true),
                    _ => Value::Null,
                },
            },
            Kind::Or(a, b) => match self.eval(a, env)?.as_bool() {
                Some(true) => Value::Bool(true),
                a => match (a, self.eval(b, env)?.as_bool()) {
                    (_, Some(true)) => Value::Bool(true),
                    (Some(_), Some(_)) => Value::Bool(false),
                    _ => Value::Null,
                },
            },
            Kind::Not(e) => self
                .eval(e, env)?
                .as_bool()
                .map_or(Value::Null, |b| Value::Bool(!b)),
            Kind::IsNull(e, negated) => {
                let value = self.eval(e, env)?;
                let null = match &value {
                    // A row is null when all fields are, not null when none is.
                    Value::Record(r) if *negated => {
                        return Ok(Value::Bool(r.values.iter().all(|v| !v.is_null())));
                    }
                    Value::Record(r) => r.values.iter().all(Value::is_null),
                    other => other.is_null(),
                };
                Value::Bool(null != *negated)
            }
            Kind::IsTruth(e, wanted, negated) => {
                Value::Bool((self.eval(e, env)?.as_bool() == *wanted) != *negated)
            }
            Kind::IsDistinct(a, b, negated) => {
                let (a, b) = (self.eval(a, env)?, self.eval(b, env)?);
                let same = (a.is_null() && b.is_null())
                    || (!a.is_null() && !b.is_null() && compare(&a, &b).is_eq());
                Value::Bool(same == *negated)
            }
            Kind::Operator { name, args } => {
                let mut values = Vec::with_capacity(args.len());
                for arg in args {
                    values.push(self.eval(arg, env)?);
                }
                operators::apply(self, name, &values, args, expr.ty)?
            }
            Kind::Call { function, args } => {
                let mut values = Vec::with_capacity(args.len());
                for arg in args {
                    let value = self.eval(arg, env)?;
                    if function.strict && value.is_null() {
                        return Ok(Value::Null);
                    }
                    values.push(value);
                }
                if function.set {
                    return Ok(functions::set_returning(self, function, &values, expr)?
                        .into_iter()
                        .next()
                        .unwrap_or(Value::Null));
                }
                functions::call(self, function, &values, args, expr)?
            }
            Kind::Cast { input, explicit } => {
                let value = self.eval(input, env)?;
                convert::cast(
                    self.model,
                    self.session,
                    value,
                    input.ty,
                    expr.ty,
                    expr.typmod,
                    *explicit,
                )?
            }
            Kind::Case { whens, otherwise } => {
                for (condition, result) in whens {
                    if self.holds(condition, env)? {
                        return self.eval(result, env);
                    }
                }
                match otherwise {
                    Some(otherwise) => self.eval(otherwise, env)?,
                    None => Value::Null,
                }
            }
            Kind::Coalesce(items) => {
                for item in items {
                    let value = self.eval(item, env)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Value::Null
            }
            Kind::NullIf(equal, value) => {
                if self.holds(equal, env)? {
                    Value::Null
                } else {
                    self.eval(value, env)?
                }
            }
            Kind::Extreme { items, greatest } => {
                let wanted = if *greatest {
                    Ordering::Greater
                } else {
                    Ordering::Less
                };
                let mut best = Value::Null;
                for item in items {
                    let value = self.eval(item, env)?;
                    if !value.is_null() && (best.is_null() || compare(&value, &best) == wanted) {
                        best = value;
                    }
                }
                best
            }
            Kind::InList {
                input,
                items,
                negated,
            } => {
                let value = self.eval(input, env)?;
                let mut unknown = value.is_null();
                let mut found = false;
                if !unknown {
                    for item in items {
                        let item = self.eval(item, env)?;
                        if item.is_null() {
                            unknown = true;
                        } else if compare(&value, &item).is_eq() {
                            found = true;
                            break;
                        }
                    }
                }
                match (found, unknown) {
                    (true, _) => Value::Bool(!negated),
                    (false, true) => Value::Null,
                    (false, false) => Value::Bool(*negated),
                }
            }
            Kind::Quantified {
                left,
                operator,
                right,
                all,
            } => {
                let (value, array) = (self.eval(left, env)?, self.eval(right, env)?);
                let Some(array) = array.as_array() else {
                    return Ok(Value::Null);
                };
                let element = Expr::constant(Value::Null, array.element);
                let args = [left.as_ref().clone(), element];
                let answers = array.items.iter().map(|item| {
                    if operator == "=" && !value.is_null() && !item.is_null() {
                        Ok(Value::Bool(compare(&value, item).is_eq()))
                    } else {
                        operators::apply(
                            self,
                            operator,
                            &[value.clone(), item.clone()],
                            &args,
                            expr.ty,
                        )
                    }
                });
                quantify(answers, *all)?
            }
            Kind::InSubquery {
                left,
                operator,
                subquery,
                all,
            } => self.in_subquery(left, operator, subquery, *all, env)?,
            Kind::Exists(subquery) => Value::Bool(!self.memo(subquery, env)?.rows.is_empty()),
            Kind::Scalar(subquery) => {
                let memo = self.memo(subquery, env)?;
                if memo.rows.len() > 1 {
                    return Err(CatalogError::new(
                        "21000",
                        "more than one row returned by a subquery used as an expression",
                    ));
                }
                memo.rows
                    .first()
                    .and_then(|r| r.first())
                    .cloned()
                    .unwrap_or(Value::Null)
            }
            Kind::ArraySubquery(subquery) => {
                let memo = self.memo(subquery, env)?;
                let items: Vec<Value> = memo
                    .rows
                    .iter()
                    .filter_map(|r| r.first())
                    .cloned()
                    .collect();
                let column = subquery.query.columns.first().map_or(0, |c| c.ty);
                if column == expr.ty {
                    nested_array(items)
                } else {
                    Value::array(column, items)
                }
            }
            Kind::Array { items, nested } => {
                let values = items
                    .iter()
                    .map(|e| self.eval(e, env))
                    .collect::<Result<Vec<_>>>()?;
                if *nested {
                    nested_array(values)
                } else {
                    Value::array(element_type(expr.ty).unwrap_or(0), values)
                }
            }
            Kind::Row(items) => {
                let values = items
                    .iter()
                    .map(|e| self.eval(e, env))
                    .collect::<Result<Vec<_>>>()?;
                record(expr, values)
            }
            Kind::Subscript { input, indexes } => {
                let input = self.eval(input, env)?;
                self.subscript(&input, indexes, env)?
            }
            Kind::Field { input, index } => match self.eval(input, env)? {
                Value::Record(record) => record.values.get(*index).cloned().unwrap_or(Value::Null),
                _ => Value::Null,
            },
            Kind::Like {
                input,
                pattern,
                escape,
                insensitive,
                similar,
            } => {
                let (input, pattern) = (self.eval(input, env)?, self.eval(pattern, env)?);
                match (input.as_str(), pattern.as_str()) {
                    (Some(input), Some(pattern)) => Value::Bool(operators::like(
                        self,
                        input,
                        pattern,
                        *escape,
                        *insensitive,
                        *similar,
                    )?),
                    _ => Value::Null,
                }
            }
        })
    }

    pub(super) fn in_subquery(
        &self,
        left: &[Expr],
        operator: &str,
        subquery: &Subquery,
        all: bool,
        env: &Env<'_>,
    ) -> Result<Value> {
        let values = left
            .iter()
            .map(|e| self.eval(e, env))
            .collect::<Result<Vec<_>>>()?;
        let memo = self.memo(subquery, env)?;
        if let ([value], "=", false, false) =
            (values.as_slice(), operator, all, subquery.correlated)
        {
            if memo.rows.is_empty() {
                return Ok(Value::Bool(false));
            }
            let (keys, has_null) = memo.keys.get_or_init(|| {
                let keys: HashSet<Key> = memo
                    .rows
                    .iter()
                    .filter_map(|r| r.first())
                    .map(key)
                    .collect();
                let has_null = keys.contains(&Key::Null);
                (keys, has_null)
            });
            return Ok(
                match (value.is_null(), keys.contains(&key(value)), has_null) {
                    (true, _, _) => Value::Null,
                    (false, true, _) => Value::Bool(true),
                    (false, false, true) => Value::Null,
                    (false, false, false) => Value::Bool(false),
                },
            );
        }
        let answers = memo.rows.iter().map(|row| -> Result<Value> {
            let mut answer = Value::Bool(true);
            for ((value, item), expr) in values.iter().zip(row.iter()).zip(left) {
                let args = [expr.clone(), expr.clone()];
                match operators::apply(
                    self,
                    operator,
                    &[value.clone(), item.clone()],
                    &args,
                    crate::pg_types::oid::BOOL,
                )? {
                    Value::Bool(true) => {}
                    Value::Bool(false) => return Ok(Value::Bool(false)),
                    _ => answer = Value::Null,
                }
            }
            Ok(answer)
        });
        quantify(answers, all)
    }

    pub(super) fn subscript(
        &self,
        input: &Value,
        indexes: &[Index],
        env: &Env<'_>,
    ) -> Result<Value> {
        let Some(array) = input.as_array() else {
            return Ok(Value::Null);
        };
        let slice = indexes.iter().any(|i| matches!(i, Index::Slice(..)));
        let mut bounds = Vec::new();
        for (i, index) in indexes.iter().enumerate() {
            let (len, lower) = array.dims.get(i).copied().unwrap_or((0, 1));
            let number = |e: &Expr| -> Result<Option<i64>> { Ok(self.eval(e, env)?.as_int()) };
            let (from, to) = match index {
                Index::At(e) => match number(e)? {
                    Some(n) if slice => (1, n),
                    Some(n) => (n, n),
                    None => return Ok(Value::Null),
                },
                Index::Slice(a, b) => {
                    let from = match a {
                        Some(e) => number(e)?,
                        None => Some(i64::from(lower)),
                    };
                    let to = match b {
                        Some(e) => number(e)?,
                        None => Some(i64::from(lower) + i64::from(len) - 1),
                    };
                    match (from, to) {
                        (Some(a), Some(b)) => (a, b),
                        _ => return Ok(Value::Null),
                    }
                }
            };
            bounds.push((from - i64::from(lower), to - i64::from(lower)));
        }
        Ok(take_slice(array, &bounds, slice))
    }
}

fn take_slice(array: &ArrayValue, bounds: &[(i64, i64)], slice: bool) -> Value {
    if !slice {
        if bounds.len() != array.dims.len() {
            return Value::Null;
        }
        let mut at = 0i64;
        for ((from, _), (len, _)) in bounds.iter().zip(&array.dims) {
            if *from < 0 || *from >= i64::from(*len) {
                return Value::Null;
            }
            at = at * i64::from(*len) + from;
        }
        return usize::try_from(at)
            .ok()
            .and_then(|i| array.items.get(i))
            .cloned()
            .unwrap_or(Value::Null);
    }
    let inner: i64 = array.dims.iter().skip(1).map(|d| i64::from(d.0)).product();
    let Some((len, _)) = array.dims.first() else {
        return Value::array(array.element, Vec::new());
    };
    let (from, to) = bounds.first().copied().unwrap_or((0, -1));
    let (from, to) = (from.max(0), to.min(i64::from(*len) - 1));
    if from > to {
        return Value::array(array.element, Vec::new());
    }
    let range = |n: i64| usize::try_from(n * inner).unwrap_or(0);
    let items = array.items[range(from)..range(to + 1).min(array.items.len())].to_vec();
    let mut dims = vec![(i32::try_from(to - from + 1).unwrap_or(0), 1)];
    dims.extend(array.dims.iter().skip(1).map(|d| (d.0, 1)));
    Value::Array(Arc::new(ArrayValue {
        element: array.element,
        dims,
        items,
    }))
}

/// An array of arrays.
pub(super) fn nested_array(values: Vec<Value>) -> Value {
    let inner: Vec<Arc<ArrayValue>> = values
        .into_iter()
        .filter_map(|v| match v {
            Value::Array(a) => Some(a),
            _ => None,
        })
        .collect();
    let Some(first) = inner.first() else {
        return Value::array(0, Vec::new());
    };
    let mut dims = vec![(i32::try_from(inner.len()).unwrap_or(0), 1)];
    dims.extend(first.dims.iter().copied());
    let items = inner.iter().flat_map(|a| a.items.iter().cloned()).collect();
    Value::Array(Arc::new(ArrayValue {
        element: first.element,
        dims,
        items,
    }))
}

fn quantify(answers: impl Iterator<Item = Result<Value>>, all: bool) -> Result<Value> {
    let mut unknown = false;
    for answer in answers {
        match answer?.as_bool() {
            Some(b) if b != all => return Ok(Value::Bool(b)),
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok(if unknown {
        Value::Null
    } else {
        Value::Bool(all)
    })
}

/// A record with the field names and types of an expression.
pub(crate) fn record(expr: &Expr, values: Vec<Value>) -> Value {
    let (names, types) = match &expr.fields {
        Some(fields) => fields
            .iter()
            .map(|(n, t)| (Arc::from(n.as_str()), *t))
            .unzip(),
        None => (Vec::new(), Vec::new()),
    };
    Value::Record(Arc::new(RecordValue {
        names,
        types,
        values,
    }))
}
