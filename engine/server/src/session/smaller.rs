//! Errors that name the type of a small whole constant: bigint to the planner, integer to PostgreSQL.
//!
//! The statement is planned again with such constants cast to integer, which happens after an error only. What it is
//! refused for then is told when it is the same but for the name of the type.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, DataType, Expr, Value};

use super::plan::{self, PlanContext};
use super::rewrite::cast;
use crate::sqlstate::ServerError;

/// The error of a plan, with integer in place of bigint where that is the type of a constant.
pub(super) async fn told(
    context: &PlanContext,
    statement: &ast::Statement,
    error: ServerError,
) -> ServerError {
    let message = error.to_string();
    let of_types = matches!(error.code(), "42883" | "42804" | "42846" | "22P02");
    if !of_types || !message.contains("bigint") {
        return error;
    }
    let mut again = statement.clone();
    let _: ControlFlow<()> = ast::visit_expressions_mut(&mut again, |expr| {
        if let Expr::Value(value) = &*expr
            && let Value::Number(digits, _) = &value.value
            && digits.parse::<i32>().is_ok()
        {
            *expr = cast(expr.clone(), DataType::Integer(None));
        }
        ControlFlow::Continue(())
    });
    if plan::resolve(context, &mut again).is_err() {
        return error;
    }
    let Err(found) = Box::pin(plan::logical(context, again, &[])).await else {
        return error;
    };
    let told = found.to_string();
    let same = told.replace("bigint", "integer") == message.replace("bigint", "integer");
    match same && found.code() == error.code() {
        true => error.reworded(told),
        false => error,
    }
}
