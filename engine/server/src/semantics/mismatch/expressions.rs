//! Expressions of a plan whose values have no operator, no cast and no common type.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator};

use super::classes::Class;
use super::is_untyped;
use super::refusals::{
    boolean, compared, matched, matches_text, missing, name, no_function, no_operator, refused,
    type_of,
};
use super::texts::texts;
use crate::pg_catalog;
use crate::pg_input;
use crate::pg_types::PgType;
use crate::semantics::arrays;
use crate::semantics::arrays::constants::ONE_OF;
use crate::sqlstate::{About, Construct, ServerError};

pub(super) fn checked(expr: &Expr, schema: &DFSchema) -> Result<()> {
    let class = |expr: &Expr| Class::of(expr, schema);
    let told = |expr: &Expr| Some((class(expr)?, name(expr, schema)));
    let about = |construct: Construct, part: &Expr| About::new(construct, [part]);
    match expr {
        Expr::Cast(cast) => {
            let Some(from) = class(&cast.expr) else {
                return Ok(());
            };
            let apart = match Class::of_type(cast.field.data_type()) {
                Some(_) => {
                    let from = type_of(&cast.expr, schema);
                    let to = PgType::of_field(&cast.field);
                    // What is a bigint here may be made of constants, which are integers there.
                    let may_be_integer = (from, to) == (PgType::INT8, PgType::BOOL);
                    !may_be_integer && !pg_catalog::can_cast(from.oid, to.oid)
                }
                // A text may be that of an array.
                None => from != Class::Text && arrays::dimensions(cast.field.data_type()) > 0,
            };
            match apart {
                false => Ok(()),
                true => {
                    let from = name(&cast.expr, schema);
                    let to = PgType::of_field(&cast.field).sql_name();
                    let text = format!("cannot cast type {from} to {to}");
                    Err(refused(ServerError::new("42846", text)))
                }
            }
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::IsDistinctFrom | Operator::IsNotDistinctFrom,
            right,
        }) => compared(left, "=", right, schema),
        Expr::Between(between) => {
            compared(&between.expr, ">=", &between.low, schema)?;
            compared(&between.expr, "<=", &between.high, schema)
        }
        Expr::InList(list) => {
            // Thousands of items are compared with one value.
            let Some(value) = class(&list.expr) else {
                return Ok(());
            };
            let op = if list.negated { "<>" } else { "=" };
            let unlike = |item: &&Expr| class(item).is_some_and(|item| value.unlike(item));
            match list.list.iter().find(unlike) {
                Some(item) => Err(no_operator(&list.expr, op, item, schema)),
                None => Ok(()),
            }
        }
        Expr::InSubquery(within) => among(&within.expr, "=", &within.subquery.subquery, schema),
        Expr::SetComparison(compared) => {
            let op = compared.op.to_string();
            among(&compared.expr, &op, &compared.subquery.subquery, schema)
        }
        Expr::AggregateFunction(aggregate) => {
            if let Some(filter) = &aggregate.params.filter {
                boolean("FILTER", filter, schema)?;
            }
            let args = &aggregate.params.args;
            let takes = match (aggregate.func.name(), args.as_slice()) {
                ("min" | "max", [arg]) => class(arg) != Some(Class::Bool),
                ("count", args) => args.len() < 2,
                ("string_agg", [value, between]) => [value, between]
                    .into_iter()
                    .all(|arg| matches!(class(arg), None | Some(Class::Text | Class::Bytes))),
                _ => true,
            };
            match takes {
                true => Ok(()),
                false => Err(no_function(aggregate.func.name(), args, schema)),
            }
        }
        // The planner would read any text as a time.
        Expr::ScalarFunction(call)
            if matches!(call.func.name(), "date_trunc" | "date_part" | "extract") =>
        {
            match call.args.get(1).and_then(class) {
                Some(Class::Text) => Err(no_function(call.func.name(), &call.args, schema)),
                _ => Ok(()),
            }
        }
        Expr::ScalarFunction(call) if call.func.name() == "date_bin" => {
            match call.args.first().is_some_and(has_months) {
                true => {
                    let text =
                        "timestamps cannot be binned into intervals containing months or years";
                    Err(refused(ServerError::new("0A000", text)))
                }
                false => Ok(()),
            }
        }
        Expr::ScalarFunction(call) if call.func.name() == "to_timestamp" => {
            match call.args.as_slice() {
                [seconds] if class(seconds) == Some(Class::Text) => {
                    Err(no_function("to_timestamp", &call.args, schema))
                }
                _ => Ok(()),
            }
        }
        Expr::Like(like) => {
            let op = match (like.negated, like.case_insensitive) {
                (false, false) => "~~",
                (true, false) => "!~~",
                (false, true) => "~~*",
                (true, true) => "!~~*",
            };
            matches_text(&like.expr, op, &like.pattern, schema)
        }
        // What the planner makes of `= ANY`.
        Expr::ScalarFunction(call) if call.func.name() == "array_has" => {
            let [array, value] = call.args.as_slice() else {
                return Ok(());
            };
            any_of(array, value, schema)
        }
        Expr::ScalarFunction(call) if ONE_OF.contains(&call.func.name()) => {
            let args = call.args.as_slice();
            if let ("nullif", [left, right]) = (call.func.name(), args) {
                compared(left, "=", right, schema)?;
                return match array_beside(args, schema) {
                    Some(_) => Err(no_operator(left, "=", right, schema)),
                    None => Ok(()),
                };
            }
            let function = ONE_OF.iter().find(|name| **name == call.func.name());
            let function = function.copied().unwrap_or_default();
            let argument = |at: usize| {
                args.get(at)
                    .map(|arg| (Construct::Argument(function, at), arg))
            };
            let place = function.to_ascii_uppercase();
            matched(&place, args.iter().map(told))
                .map_err(|(at, error)| refused(placed(error, argument(at))))?;
            match array_beside(args, schema) {
                Some((first, other)) => {
                    let of = |at: usize| args.get(at).map(|arg| name(arg, schema));
                    let (one, two) = (of(first).unwrap_or_default(), of(other).unwrap_or_default());
                    let text = format!("{place} types {one} and {two} cannot be matched");
                    let error = ServerError::new("42804", text);
                    Err(refused(placed(error, argument(other))))
                }
                None => Ok(()),
            }
        }
        Expr::ScalarFunction(call) if call.func.name() == "make_array" => {
            let item = |at: usize| call.args.get(at).map(|arg| (Construct::Item(at), arg));
            matched("ARRAY", call.args.iter().map(told))
                .map_err(|(at, error)| refused(placed(error, item(at))))
        }
        // PostgreSQL begins with ELSE.
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            let results = case.else_expr.as_deref().into_iter().chain(results);
            let types = results.clone().map(told);
            matched("CASE", types).map_err(|(at, error)| {
                let result = results.clone().nth(at);
                let result = result.map(|result| (Construct::CaseResult(at), result));
                refused(placed(error, result))
            })?;
            let mut conditions = case.when_then_expr.iter();
            let Some(value) = &case.expr else {
                return conditions.try_for_each(|(when, _)| boolean("CASE/WHEN", when, schema));
            };
            conditions.try_for_each(|(when, _)| compared(value, "=", when, schema))
        }
        Expr::IsTrue(value) => boolean("IS TRUE", value, schema),
        Expr::IsNotTrue(value) => boolean("IS NOT TRUE", value, schema),
        Expr::IsFalse(value) => boolean("IS FALSE", value, schema),
        Expr::IsNotFalse(value) => boolean("IS NOT FALSE", value, schema),
        Expr::IsUnknown(value) => boolean("IS UNKNOWN", value, schema),
        Expr::IsNotUnknown(value) => boolean("IS NOT UNKNOWN", value, schema),
        Expr::Not(condition) => match class(condition) {
            None | Some(Class::Bool) => Ok(()),
            Some(_) => {
                let found = name(condition, schema);
                let text = format!("argument of NOT must be type boolean, not type {found}");
                let about = about(Construct::Condition, condition);
                Err(refused(ServerError::new("42804", text).about(about)))
            }
        },
        Expr::ScalarFunction(call) => texts(call, schema),
        _ => Ok(()),
    }
}

/// Whether a constant is an interval of months.
fn has_months(span: &Expr) -> bool {
    match span {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(span)), _) => span.months != 0,
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => {
            pg_input::interval(text).is_ok_and(|span| span.months != 0)
        }
        Expr::Cast(cast) => has_months(&cast.expr),
        Expr::Alias(alias) => has_months(&alias.expr),
        _ => false,
    }
}

/// Refuses a value among those of a subquery that none of them is compared with.
fn among(value: &Expr, op: &str, query: &LogicalPlan, schema: &DFSchema) -> Result<()> {
    let field = query.schema().fields().first();
    let other = field.and_then(|field| {
        let of = Class::of_type(field.data_type())?;
        Some((of, PgType::of_field(field).sql_name()))
    });
    match (Class::of(value, schema), other) {
        (Some(l), Some((r, right))) if l.unlike(r) => {
            let left = name(value, schema);
            let about = About::new(Construct::Operator(op.to_owned()), [value]);
            Err(refused(
                missing(&format!("{left} {op} {right}")).about(about),
            ))
        }
        _ => Ok(()),
    }
}

/// Refuses a value that no item of an array is compared with.
fn any_of(array: &Expr, value: &Expr, schema: &DFSchema) -> Result<()> {
    let Ok((_, field)) = array.to_field(schema) else {
        return Ok(());
    };
    let DataType::List(item) = field.data_type() else {
        return Ok(());
    };
    match (Class::of(value, schema), Class::of_type(item.data_type())) {
        (Some(l), Some(r)) if l.unlike(r) => {
            let of_array = PgType::of_field(&field);
            let right = of_array.element().unwrap_or(of_array).sql_name();
            let left = name(value, schema);
            let about = About::new(Construct::Operator("=".to_owned()), [value, array]);
            Err(refused(missing(&format!("{left} = {right}")).about(about)))
        }
        _ => Ok(()),
    }
}

fn placed(error: ServerError, part: Option<(Construct, &Expr)>) -> ServerError {
    match part {
        Some((construct, part)) => error.about(About::new(construct, [part])),
        None => error,
    }
}

/// The first two of some values of which one is an array and the other none.
fn array_beside(args: &[Expr], schema: &DFSchema) -> Option<(usize, usize)> {
    let kind = |arg: &Expr| match Class::of(arg, schema) {
        Some(_) => Some(false),
        None if is_untyped(arg) => None,
        None => {
            let data_type = arg.get_type(schema).ok()?;
            (arrays::dimensions(&data_type) > 0).then_some(true)
        }
    };
    let mut kinds = args.iter().enumerate();
    let (first, known) = kinds.find_map(|(at, arg)| Some((at, kind(arg)?)))?;
    let other = kinds.find(|(_, arg)| kind(arg).is_some_and(|kind| kind != known))?;
    Some((first, other.0))
}
