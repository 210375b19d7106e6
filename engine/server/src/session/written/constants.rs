//! Constants in quotes beside numbers that are written out: read as the type of those, before anything is planned. The
//! planner's own type of a whole number is bigint, PostgreSQL's the smallest that it fits.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

use crate::session::placed::start;
use crate::session::rewrite;
use crate::sqlstate::ServerError;

/// Refuses an expression of constants alone of which a text is no number.
///
/// # Errors
/// 22P02, and 22003 for a whole number that the type has no room for.
pub(super) fn check(expr: &Expr) -> Result<(), ServerError> {
    match expr {
        Expr::BinaryOp { left, op, right } if is_of_numbers(op) => sides(left, right),
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
            sides(left, right)
        }
        Expr::Between {
            expr, low, high, ..
        } => {
            sides(expr, low)?;
            sides(expr, high)
        }
        Expr::InList { expr, list, .. } => together(std::iter::once(expr.as_ref()).chain(list)),
        Expr::Case {
            operand,
            conditions,
            else_result,
            ..
        } => {
            if let Some(operand) = operand {
                for case in conditions {
                    sides(operand, &case.condition)?;
                }
            }
            // PostgreSQL begins with ELSE.
            let results = conditions.iter().map(|case| &case.result);
            together(else_result.as_deref().into_iter().chain(results))
        }
        Expr::Function(function) => match rewrite::function_name(function).as_str() {
            "coalesce" | "greatest" | "least" | "nullif" => {
                together(rewrite::call_arguments(function).into_iter())
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn is_of_numbers(op: &BinaryOperator) -> bool {
    use BinaryOperator as Op;
    matches!(
        op,
        Op::Eq
            | Op::NotEq
            | Op::Lt
            | Op::LtEq
            | Op::Gt
            | Op::GtEq
            | Op::Plus
            | Op::Minus
            | Op::Multiply
            | Op::Divide
            | Op::Modulo
    )
}

/// Two sides of an operator, column by column where they are rows.
fn sides(left: &Expr, right: &Expr) -> Result<(), ServerError> {
    match (bare(left), bare(right)) {
        (Expr::Tuple(left), Expr::Tuple(right)) => left
            .iter()
            .zip(right)
            .try_for_each(|(left, right)| sides(left, right)),
        (left, right) => together([left, right].into_iter()),
    }
}

/// A type of numbers, smaller ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Number {
    Integer,
    Bigint,
    Numeric,
}

/// Constants that have a type in common.
///
/// # Errors
/// As [`check`].
pub(super) fn together<'e>(exprs: impl Iterator<Item = &'e Expr>) -> Result<(), ServerError> {
    let mut number = None;
    let mut texts = Vec::new();
    for expr in exprs {
        let (value, negative) = match bare(expr) {
            Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr,
            } => (bare(expr), true),
            expr => (expr, false),
        };
        let Expr::Value(value) = value else {
            return Ok(());
        };
        match &value.value {
            Value::Number(digits, _) => {
                let of = match (digits.parse::<i32>(), digits.parse::<i64>()) {
                    (Ok(_), _) => Number::Integer,
                    (_, Ok(_)) => Number::Bigint,
                    _ => Number::Numeric,
                };
                number = number.max(Some(of));
            }
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) if !negative => {
                texts.push((expr, text));
            }
            Value::Null if !negative => {}
            _ => return Ok(()),
        }
    }
    let Some(number) = number else {
        return Ok(());
    };
    for (expr, text) in texts {
        read(number, text).map_err(|error| error.place(start(expr)))?;
    }
    Ok(())
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => bare(inner),
        other => other,
    }
}

fn read(number: Number, text: &str) -> Result<(), ServerError> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let is_whole = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let (name, is_number, fits) = match number {
        Number::Integer => ("integer", is_whole, trimmed.parse::<i32>().is_ok()),
        Number::Bigint => ("bigint", is_whole, trimmed.parse::<i64>().is_ok()),
        Number::Numeric => ("numeric", trimmed.parse::<f64>().is_ok(), true),
    };
    match (is_number, fits) {
        (true, true) => Ok(()),
        (true, false) => {
            let text = format!("value \"{text}\" is out of range for type {name}");
            Err(ServerError::new("22003", text))
        }
        (false, _) => {
            let text = format!("invalid input syntax for type {name}: \"{text}\"");
            Err(ServerError::new("22P02", text))
        }
    }
}
