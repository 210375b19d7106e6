//! Values that have to be of one type and have none in common: the results of CASE, the arguments of `coalesce`, the items of
//! an array, the columns of queries side by side.

use datafusion::common::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::refusals::refused;
use super::told::{Told, of_column};
use crate::pg_catalog::{Apart, apart};
use crate::pg_types::PgType;
use crate::sqlstate::{About, Construct, ServerError};

/// # Errors
/// 42804, and 42846 for types of one category that do not become one another.
pub(super) fn checked(expr: &Expr, told: &Told<'_>) -> Result<()> {
    let type_of = |part: &Expr| told.type_of(part);
    match expr {
        Expr::Case(case) => {
            // PostgreSQL begins with ELSE.
            let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            let results = case.else_expr.as_deref().into_iter().chain(results);
            let results: Vec<&Expr> = results.collect();
            matched("CASE", &results, &type_of, Construct::CaseResult)
        }
        Expr::ScalarFunction(call) => {
            let args: Vec<&Expr> = call.args.iter().collect();
            let (place, name) = match call.func.name() {
                "coalesce" => ("COALESCE", "coalesce"),
                "greatest" => ("GREATEST", "greatest"),
                "least" => ("LEAST", "least"),
                "make_array" => return matched("ARRAY", &args, &type_of, Construct::Item),
                _ => return Ok(()),
            };
            matched(place, &args, &type_of, |at| Construct::Argument(name, at))
        }
        _ => Ok(()),
    }
}

fn matched(
    place: &str,
    values: &[&Expr],
    type_of: &impl Fn(&Expr) -> Option<u32>,
    construct: impl Fn(usize) -> Construct,
) -> Result<()> {
    let types: Vec<Option<u32>> = values.iter().map(|value| type_of(value)).collect();
    match apart(&types) {
        Some(found) => {
            let (at, error) = told(place, found);
            let part = values.get(at).copied();
            Err(refused(error.about(About::new(construct(at), part))))
        }
        None => Ok(()),
    }
}

/// What is wrong with a column of queries side by side, and in which of them; `None` where they have a type in common.
pub(super) fn of_queries(
    place: &str,
    queries: &[&LogicalPlan],
    at: usize,
) -> Option<(usize, ServerError)> {
    let types = queries.iter().map(|query| of_column(query, at));
    let types: Vec<Option<u32>> = types.collect();
    apart(&types).map(|found| told(place, found))
}

fn told(place: &str, found: Apart) -> (usize, ServerError) {
    let name = |ty: u32| PgType::of_oid(ty).sql_name();
    match found {
        Apart::Unmatched { at, known, other } => {
            let (known, other) = (name(known), name(other));
            let text = format!("{place} types {known} and {other} cannot be matched");
            (at, ServerError::new("42804", text))
        }
        Apart::Unconverted { at, from, to } => {
            let (from, to) = (name(from), name(to));
            let text = format!("{place} could not convert type {from} to {to}");
            (at, ServerError::new("42846", text))
        }
    }
}
