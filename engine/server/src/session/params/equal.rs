//! Values beside parameters as equalities, of which the planner infers the types of both sides.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, BinaryOperator, Expr, Value};

use super::{placeholder, unnested};
use crate::session::rewrite;

/// What was made of a statement.
#[derive(Default)]
pub(crate) struct Equalities {
    /// Parameters that are arrays of what the planner takes them for.
    pub(crate) arrays: BTreeSet<usize>,
    /// Pairs of parameters of which the second is what the first is.
    pub(crate) alike: Vec<(usize, usize)>,
    /// The statement is another now.
    pub(crate) changed: bool,
}

/// Turns `x op ANY ($n)` into `x op $n`, so that the planner infers the element type. A long list of rows becomes the
/// equality with the first. An operator of two arrays becomes their
/// equality in the same way, and so do values of which one is given: `coalesce(x, $n)`, `CASE … THEN x ELSE $n END`.
pub(crate) fn any_as_equal(statement: &mut ast::Statement) -> Equalities {
    let mut made = Equalities::default();
    let _: ControlFlow<()> = ast::visit_expressions_mut(statement, |expr| {
        if let Expr::BinaryOp { left, op, right } = expr
            && matches!(
                op,
                BinaryOperator::PGOverlap | BinaryOperator::AtArrow | BinaryOperator::ArrowAt
            )
            && (placeholder(left).is_some() || placeholder(right).is_some())
        {
            *op = BinaryOperator::Eq;
            made.changed = true;
        }
        if let Some((equal, alike)) = rewrite::first_of_long(expr) {
            *expr = equal;
            made.alike.extend(alike);
            made.changed = true;
        }
        if let Some(equal) = one_of_as_equal(expr) {
            *expr = equal;
            made.changed = true;
        }
        if let Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        }
        | Expr::AllOp {
            left,
            compare_op,
            right,
        } = expr
            && let Some(number) = placeholder(unnested(right))
        {
            made.arrays.insert(number);
            let right = Box::new(unnested(right).clone());
            *expr = Expr::BinaryOp {
                left: left.clone(),
                op: compare_op.clone(),
                right,
            };
        }
        ControlFlow::Continue(())
    });
    made.changed |= !made.arrays.is_empty();
    made
}

/// A choice with parameters among its values as the equality of these with another one, beside the conditions of a
/// CASE; `None` for any other expression.
fn one_of_as_equal(expr: &Expr) -> Option<Expr> {
    let (values, conditions): (Vec<&Expr>, Vec<&Expr>) = match expr {
        Expr::Function(function) if function.name.0.len() == 1 => {
            let name = rewrite::function_name(function);
            let chooses = matches!(name.as_str(), "coalesce" | "greatest" | "least" | "nullif");
            let values = rewrite::call_arguments(function);
            (chooses.then_some(values)?, Vec::new())
        }
        Expr::Case {
            operand: None,
            conditions,
            else_result,
            ..
        } => {
            let results = conditions.iter().map(|case| &case.result);
            let results = results.chain(else_result.as_deref());
            let conditions = conditions.iter().map(|case| &case.condition);
            (results.collect(), conditions.collect())
        }
        _ => return None,
    };
    let (open, given): (Vec<&Expr>, Vec<&Expr>) = values
        .into_iter()
        .partition(|value| placeholder(unnested(value)).is_some());
    // What has no type itself gives none, and of several the planner would have to find a common one.
    let mut given = given.into_iter().filter(|value| {
        let bare = unnested(value);
        !matches!(bare, Expr::Value(value) if !matches!(value.value, Value::Number(..)))
    });
    let (Some(given), None) = (given.next(), given.next()) else {
        return None;
    };
    let nested = |expr: &Expr| Box::new(Expr::Nested(Box::new(expr.clone())));
    let equal = open.into_iter().map(|open| Expr::BinaryOp {
        left: nested(given),
        op: BinaryOperator::Eq,
        right: nested(open),
    });
    let equal: Vec<Expr> = equal.collect();
    if equal.is_empty() {
        return None;
    }
    let all = conditions.into_iter().cloned().chain(equal);
    let all = all.reduce(|left, right| Expr::BinaryOp {
        left: nested(&left),
        op: BinaryOperator::And,
        right: nested(&right),
    });
    all.map(|all| Expr::Nested(Box::new(all)))
}
