//! Whether a column of numerics says how many digits it has: `numeric(10,2)` of a table or a cast, followed through
//! subqueries, joins and common table expressions.
//!
//! What is computed has none in PostgreSQL, nor have constants: here any column has a number of digits, which is its own
//! affair.

use arrow::datatypes::Fields;
use datafusion::common::{NullEquality, ScalarValue};
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan};

/// Whether the type of a column of a plan was said with its digits.
pub(super) fn are_said(plan: &LogicalPlan, at: usize) -> bool {
    said(plan, at, false)
}

/// The same of rows that are put `together` with others, for which the planner casts.
fn said(plan: &LogicalPlan, at: usize, together: bool) -> bool {
    let by = |expr: Option<&Expr>, input: &LogicalPlan| {
        expr.is_some_and(|expr| said_by(expr, input, together))
    };
    match plan {
        // What EXCEPT leaves is cast to be shown.
        LogicalPlan::Projection(node) if is_set(&node.input) => match node.expr.get(at) {
            Some(Expr::Alias(alias)) if matches!(alias.expr.as_ref(), Expr::Cast(_)) => false,
            expr => by(expr, &node.input),
        },
        LogicalPlan::Projection(node) => by(node.expr.get(at), &node.input),
        LogicalPlan::Distinct(Distinct::On(node)) => by(node.select_expr.get(at), &node.input),
        LogicalPlan::Aggregate(node) => match node.group_expr.as_slice() {
            [Expr::GroupingSet(sets)] => by(sets.distinct_expr().get(at).copied(), &node.input),
            keys => by(keys.get(at), &node.input),
        },
        LogicalPlan::Window(node) => {
            at < node.input.schema().fields().len() && said(&node.input, at, together)
        }
        LogicalPlan::Unnest(node) => {
            let below = node.dependency_indices.get(at);
            below.is_some_and(|at| said(&node.input, *at, together))
        }
        LogicalPlan::Join(node) if is_set(plan) => {
            let (left, right) = (node.left.schema().fields(), node.right.schema().fields());
            let of = |fields: &Fields| fields.get(at).map(|field| field.data_type().clone());
            of(left) == of(right) && said(&node.left, at, true) && said(&node.right, at, true)
        }
        LogicalPlan::Join(node) => {
            let width = match node.join_type {
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => 0,
                _ => node.left.schema().fields().len(),
            };
            match at.checked_sub(width) {
                None => said(&node.left, at, together),
                Some(at) => {
                    at < node.right.schema().fields().len() && said(&node.right, at, together)
                }
            }
        }
        LogicalPlan::Union(node) => {
            let of = |plan: &LogicalPlan| {
                let field = plan.schema().fields().get(at)?;
                Some(field.data_type().clone())
            };
            let alike = |input: &LogicalPlan| of(input) == of(plan) && said(input, at, true);
            node.inputs.iter().all(|input| alike(input))
        }
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::RecursiveQuery(node) => said(&node.static_term, at, together),
        LogicalPlan::Values(node) => {
            let mut cells = node.values.iter().filter_map(|row| row.get(at));
            cells.all(|cell| said_by(cell, plan, true))
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => match plan.inputs().as_slice() {
            [input] => said(input, at, together),
            _ => false,
        },
        _ => false,
    }
}

fn said_by(expr: &Expr, input: &LogicalPlan, together: bool) -> bool {
    let said_by = |expr: &Expr| said_by(expr, input, together);
    match expr {
        Expr::Alias(alias) => said_by(&alias.expr),
        Expr::Column(column) => {
            let place = input.schema().maybe_index_of_column(column);
            place.is_some_and(|at| said(input, at, false))
        }
        Expr::ScalarSubquery(query) => said(&query.subquery, 0, false),
        Expr::Cast(cast) => !together && !is_made(&cast.expr),
        Expr::Literal(..) if together => false,
        // A constant has as many digits as are written, unless they are said.
        Expr::Literal(ScalarValue::Decimal128(Some(units), digits, scale), _) => {
            is_longer(*digits, &units.unsigned_abs().to_string(), *scale)
        }
        Expr::Literal(ScalarValue::Decimal256(Some(units), digits, scale), _) => {
            is_longer(*digits, units.wrapping_abs().to_string().as_str(), *scale)
        }
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            let mut results = results.chain(case.else_expr.as_deref());
            results.all(said_by)
        }
        Expr::ScalarFunction(call) => {
            let name = call.func.name();
            let chooses = ["coalesce", "greatest", "least", "nullif"].contains(&name);
            chooses && call.args.iter().all(said_by)
        }
        _ => false,
    }
}

/// Whether rows are those of EXCEPT or INTERSECT.
fn is_set(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Join(join)
        if join.null_equality == NullEquality::NullEqualsNull
            && matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti))
}

/// Whether what is cast is made so that it has to be: whole numbers of numerics, quotients that are rounded.
fn is_made(value: &Expr) -> bool {
    match value {
        Expr::ScalarFunction(call) => ["ceil", "floor", "trunc"].contains(&call.func.name()),
        Expr::BinaryExpr(quotient) => {
            matches!(quotient.left.as_ref(), Expr::Cast(cast) if !cast.field.metadata().is_empty())
        }
        _ => false,
    }
}

/// Whether a type has more digits than a number that is written out.
fn is_longer(digits: u8, written: &str, scale: i8) -> bool {
    let behind = usize::from(scale.unsigned_abs());
    usize::from(digits) > written.len().max(behind).max(1)
}
