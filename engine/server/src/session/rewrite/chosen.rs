//! A CASE beside functions and operators of json, which the planner takes for a text whatever its values are: with one of them beside it,
//! that says what it is told as.
//!
//! ```text
//! jsonb_typeof(CASE WHEN b THEN j ELSE '[]' END)   ─►   jsonb_typeof(told_like(CASE WHEN b THEN j ELSE '[]' END, j))
//! ```
//! The value goes again when the statement is planned ([`crate::semantics::told_alike`]).

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, BinaryOperator, Expr};

use super::calls::call_of;
use super::names::last_part;
use crate::semantics::TOLD_LIKE;

/// Tells the planner what each CASE of such a statement is like.
pub(in crate::session) fn told(statement: &mut ast::Statement) {
    let asks: ControlFlow<()> = ast::visit_expressions(statement, |expr| {
        match is_of_json(expr) || is_operation(expr) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    if asks.is_continue() {
        return;
    }
    let _: ControlFlow<()> = ast::visit_expressions_mut(statement, |expr| {
        if let Expr::Case { .. } = expr
            && let Some(like) = like(expr)
        {
            *expr = call_of(TOLD_LIKE, vec![expr.clone(), like]);
        }
        ControlFlow::Continue(())
    });
}

fn is_of_json(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(function) if last_part(&function.name).contains("json"))
}

fn is_operation(expr: &Expr) -> bool {
    use BinaryOperator as Op;
    let Expr::BinaryOp { op, .. } = expr else {
        return false;
    };
    matches!(
        op,
        Op::Arrow
            | Op::LongArrow
            | Op::HashArrow
            | Op::HashLongArrow
            | Op::HashMinus
            | Op::AtArrow
            | Op::ArrowAt
            | Op::Question
            | Op::QuestionAnd
            | Op::QuestionPipe
    )
}

/// One of the values that an expression may have, of which the planner knows the type.
fn like(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Case {
            conditions,
            else_result,
            ..
        } => {
            let results = conditions.iter().map(|when| &when.result);
            let mut results = results.chain(else_result.as_deref());
            results.find_map(like)
        }
        Expr::Nested(inner) => like(inner),
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::BinaryOp {
            op: BinaryOperator::Arrow | BinaryOperator::HashArrow,
            ..
        } => Some(expr.clone()),
        expr if is_of_json(expr) => Some(expr.clone()),
        _ => None,
    }
}
