//! `ESCAPE` of LIKE and SIMILAR TO: the planner knows the backslash alone.
//!
//! ```text
//! x LIKE 'a!%' ESCAPE '!'   ─►   x LIKE 'a\%'
//! x LIKE p ESCAPE '!'       ─►   x LIKE like_escape(p, '!')
//! x SIMILAR TO p            ─►   x ~ similar_to_escape(p)
//! ```

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, BinaryOperator, DataType, Expr, Value, VisitMut};

use super::calls::call_of;
use super::literals::{cast, string_literal, text};
use crate::pg_catalog::{BACKSLASH, escape_of, escape_text, like_escape, similar_to_escape};
use crate::sqlstate::ServerError;

/// Lets LIKE … ESCAPE $n be a call, so that the parameter is one of the statement's.
pub(in crate::session) fn of_parameters<N: VisitMut>(node: &mut N) {
    let _: ControlFlow<()> = ast::visit_expressions_mut(node, |expr| {
        if let Expr::Like {
            pattern,
            escape_char,
            ..
        }
        | Expr::ILike {
            pattern,
            escape_char,
            ..
        } = expr
            && let Some(escape) = escape_char.take_if(is_parameter)
        {
            let arguments = vec![pattern.as_ref().clone(), Expr::Value(escape)];
            **pattern = call_of("like_escape", arguments);
        }
        ControlFlow::Continue(())
    });
}

fn is_parameter(value: &mut ast::ValueWithSpan) -> bool {
    matches!(value.value, Value::Placeholder(_))
}

/// Writes a pattern with backslashes, and SIMILAR TO as a regular expression.
///
/// # Errors
/// 22025 for an escape of many characters, and for a pattern of SIMILAR TO that ends in it.
pub(super) fn respell(expr: &mut Expr) -> Result<(), ServerError> {
    match expr {
        Expr::Like {
            pattern,
            escape_char,
            ..
        }
        | Expr::ILike {
            pattern,
            escape_char,
            ..
        } => {
            let Some(escape) = escape_char.take() else {
                return Ok(());
            };
            **pattern = match (escape_text(&escape.value)?, string_literal(pattern)) {
                (None, _) => null(),
                (Some(escape), Some(plain)) => text(&like_escape(plain, &escape)?),
                (Some(escape), None) if escape == BACKSLASH => return Ok(()),
                (Some(escape), None) => {
                    escape_of(&escape)?;
                    call_of("like_escape", vec![pattern.as_ref().clone(), text(&escape)])
                }
            };
        }
        Expr::SimilarTo {
            negated,
            expr: whole,
            pattern,
            escape_char,
        } => {
            let escape = match escape_char {
                Some(said) => escape_text(&said.value)?,
                None => Some(BACKSLASH.to_owned()),
            };
            let regex = match (escape, string_literal(pattern)) {
                (None, _) => null(),
                (Some(escape), Some(plain)) => {
                    text(&similar_to_escape(plain, escape_of(&escape)?)?)
                }
                (Some(escape), None) => {
                    escape_of(&escape)?;
                    let arguments = vec![pattern.as_ref().clone(), text(&escape)];
                    call_of("similar_to_escape", arguments)
                }
            };
            *expr = Expr::Nested(Box::new(Expr::BinaryOp {
                left: Box::new(Expr::Nested(whole.clone())),
                op: match negated {
                    true => BinaryOperator::PGRegexNotMatch,
                    false => BinaryOperator::PGRegexMatch,
                },
                right: Box::new(regex),
            }));
        }
        _ => {}
    }
    Ok(())
}

fn null() -> Expr {
    cast(Expr::value(Value::Null), DataType::Text)
}
