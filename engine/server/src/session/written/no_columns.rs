//! Subqueries of no columns where one is wanted, which the planner takes for a bug of its own.

use datafusion::sql::sqlparser::ast::{Expr, Query};

use crate::session::placed::{end, start, width};
use crate::sqlstate::ServerError;

/// # Errors
/// 42601.
pub(super) fn check(expr: &Expr) -> Result<(), ServerError> {
    let none = |query: &Query| width(&query.body) == Some(0);
    let few = || ServerError::syntax("subquery has too few columns", None);
    match expr {
        Expr::InSubquery { expr, subquery, .. } if none(subquery) => {
            Err(few().place(end(expr).map(|place| place.next(&["NOT", "IN"]))))
        }
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        }
        | Expr::AllOp {
            left,
            compare_op,
            right,
        } if matches!(right.as_ref(), Expr::Subquery(query) if none(query)) => {
            let operator = compare_op.to_string();
            Err(few().place(end(left).map(|place| place.next(&[&operator]))))
        }
        Expr::Subquery(query) if none(query) => {
            let text = "subquery must return only one column";
            Err(ServerError::syntax(text, None).place(start(expr)))
        }
        _ => Ok(()),
    }
}
