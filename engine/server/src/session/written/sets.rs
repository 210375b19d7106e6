//! Functions that give sets where one value is wanted, and queries side by side that are sorted by more than a column.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, OrderByKind, Query, SelectItem, SetExpr, TableFactor,
};

use crate::session::placed::start;
use crate::session::rewrite::{self, folded};
use crate::sqlstate::{Place, ServerError};

/// What PostgreSQL advises for a set where it takes none.
const MOVE: &str = "You might be able to move the set-returning function into a LATERAL FROM item.";

/// A set among the values of CASE or COALESCE.
pub(super) fn among(place: &str, call: Option<Place>) -> ServerError {
    let text = format!("set-returning functions are not allowed in {place}");
    ServerError::new("0A000", text).hint(MOVE).place(call)
}

/// A set as the condition of a CASE.
pub(super) fn as_condition(place: Option<Place>) -> ServerError {
    let text = "argument of CASE/WHEN must not return a set";
    ServerError::new("42804", text).place(place)
}

/// A set among the arguments of an aggregate or of a window function.
pub(super) fn within_calls(of_window: bool, call: Option<Place>) -> ServerError {
    let outer = if of_window { "window" } else { "aggregate" };
    let text = format!("{outer} function calls cannot contain set-returning function calls");
    ServerError::new("0A000", text).hint(MOVE).place(call)
}

/// Looks at the parts of a CASE or a call, which may be conditions.
pub(super) fn parts(
    expr: &Expr,
    look: impl Fn(&Expr, bool) -> Result<(), ServerError>,
) -> Result<(), ServerError> {
    match expr {
        Expr::Case {
            operand,
            conditions,
            else_result,
            ..
        } => {
            let is_condition = operand.is_none();
            operand.iter().try_for_each(|value| look(value, false))?;
            for case in conditions {
                look(&case.condition, is_condition)?;
                look(&case.result, false)?;
            }
            else_result.iter().try_for_each(|value| look(value, false))
        }
        Expr::Function(function) => {
            let mut arguments = rewrite::call_arguments(function).into_iter();
            arguments.try_for_each(|argument| look(argument, false))
        }
        _ => Ok(()),
    }
}

/// Refuses more names of columns than a function in FROM has.
///
/// # Errors
/// 42P10.
pub(super) fn columns(factor: &TableFactor) -> Result<(), ServerError> {
    let TableFactor::Table {
        name,
        alias: Some(alias),
        args: Some(_),
        with_ordinality,
        ..
    } = factor
    else {
        return Ok(());
    };
    let has = 1 + usize::from(*with_ordinality);
    match rewrite::last_part(name) == "generate_series" && alias.columns.len() > has {
        true => {
            let text = format!(
                "table \"{}\" has {has} columns available but {} columns specified",
                folded(&alias.name),
                alias.columns.len()
            );
            Err(ServerError::new("42P10", text))
        }
        false => Ok(()),
    }
}

/// Refuses queries side by side that are sorted by what is computed of their columns.
///
/// # Errors
/// 0A000.
pub(super) fn order(query: &Query) -> Result<(), ServerError> {
    let (SetExpr::SetOperation { .. }, Some(by)) = (query.body.as_ref(), &query.order_by) else {
        return Ok(());
    };
    let OrderByKind::Expressions(order) = &by.kind else {
        return Ok(());
    };
    let Some(names) = names(&query.body) else {
        return Ok(());
    };
    for by in order {
        if is_computed_of(&by.expr, &names) {
            let text = "invalid UNION/INTERSECT/EXCEPT ORDER BY clause";
            let hint = "Add the expression/function to every SELECT, or move the UNION into a FROM clause.";
            let detail = "Only result column names can be used, not expressions or functions.";
            return Err(ServerError::new("0A000", text)
                .detail(detail.to_owned())
                .hint(hint)
                .place(start(&by.expr)));
        }
    }
    Ok(())
}

/// Whether an expression is more than a name, and has no others than these.
fn is_computed_of(by: &Expr, names: &[String]) -> bool {
    match by {
        Expr::Nested(inner) => return is_computed_of(inner, names),
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => return false,
        _ => {}
    }
    let unknown = ast::visit_expressions(by, |part| {
        let known = match part {
            Expr::Identifier(name) => names.contains(&folded(name)),
            Expr::Value(_)
            | Expr::BinaryOp { .. }
            | Expr::UnaryOp { .. }
            | Expr::Function(_)
            | Expr::Cast { .. }
            | Expr::Nested(_)
            | Expr::Collate { .. }
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::Case { .. } => true,
            _ => false,
        };
        match known {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    });
    unknown.is_continue()
}

/// The names of the columns of a query that lists them.
fn names(body: &SetExpr) -> Option<Vec<String>> {
    match body {
        SetExpr::SetOperation { left, .. } => names(left),
        SetExpr::Query(query) => names(&query.body),
        SetExpr::Select(select) => {
            let names = select.projection.iter().map(|item| match item {
                SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
                SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(folded(name)),
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => {
                    names.last().map(folded)
                }
                _ => None,
            });
            names.collect()
        }
        _ => None,
    }
}
