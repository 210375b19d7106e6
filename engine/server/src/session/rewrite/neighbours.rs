//! `lag` and `lead` with a default, or of rows at a distance that the rows tell: the planner takes constants alone, and
//! makes the default one of the value's type.
//!
//! ```text
//! lag(x, 1, y) OVER w    ─►   CASE WHEN lag(true, 1) OVER w THEN lag(x, 1) OVER w ELSE y END
//! lead(x, n, y) OVER w   ─►   CASE has_row_at(n) OVER w WHEN false THEN y ELSE row_at(x, n) OVER w END
//! ```

use datafusion::sql::sqlparser::ast::{self, Expr, Function, UnaryOperator, Value};

use super::calls::{call_arguments, call_of, is_call_of};
use super::literals::{cast, number};
use crate::semantics::{HAS_ROW_AT, ROW_AT};

/// Makes such a call a choice of values.
pub(super) fn respell(expr: &mut Expr) {
    let Expr::Function(function) = &*expr else {
        return;
    };
    if function.over.is_none() || function.null_treatment.is_some() {
        return;
    }
    let name = match (is_call_of(function, "lag"), is_call_of(function, "lead")) {
        (true, _) => "lag",
        (_, true) => "lead",
        _ => return,
    };
    let (value, distance, default) = match call_arguments(function).as_slice() {
        [value, distance] => (Expr::clone(value), Expr::clone(distance), None),
        [value, distance, default] => {
            let default = (!is_null(default)).then(|| Expr::clone(default));
            (Expr::clone(value), Expr::clone(distance), default)
        }
        _ => return,
    };
    let over = |called: Expr| with_window(called, function);
    let made = match (is_known(&distance), default) {
        (true, None) => return,
        (true, Some(_)) if is_null(&distance) => return,
        (true, Some(default)) => {
            let there = Expr::value(Value::Boolean(true));
            let there = over(call_of(name, vec![there, distance.clone()]));
            choice(
                None,
                there,
                over(call_of(name, vec![value, distance])),
                default,
            )
        }
        (false, default) => {
            let distance = from_here(name, distance);
            let there = over(call_of(HAS_ROW_AT, vec![distance.clone()]));
            let found = over(call_of(ROW_AT, vec![value, distance]));
            match default {
                None => found,
                Some(default) => {
                    let not = Expr::value(Value::Boolean(false));
                    choice(Some(there), not, default, found)
                }
            }
        }
    };
    *expr = made;
}

/// `CASE operand WHEN condition THEN result ELSE other END`.
fn choice(operand: Option<Expr>, condition: Expr, result: Expr, other: Expr) -> Expr {
    Expr::Case {
        case_token: ast::helpers::attached_token::AttachedToken::empty(),
        end_token: ast::helpers::attached_token::AttachedToken::empty(),
        operand: operand.map(Box::new),
        conditions: vec![ast::CaseWhen { condition, result }],
        else_result: Some(Box::new(other)),
    }
}

/// A call over the window of another.
fn with_window(mut called: Expr, of: &Function) -> Expr {
    if let Expr::Function(function) = &mut called {
        function.over.clone_from(&of.over);
    }
    called
}

/// How many rows further down the row is.
fn from_here(name: &str, distance: Expr) -> Expr {
    let distance = cast(distance, ast::DataType::BigInt(None));
    match name {
        "lag" => Expr::Nested(Box::new(Expr::BinaryOp {
            left: Box::new(cast(number(0), ast::DataType::BigInt(None))),
            op: ast::BinaryOperator::Minus,
            right: Box::new(distance),
        })),
        _ => distance,
    }
}

fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_null(inner),
        Expr::Value(value) => value.value == Value::Null,
        _ => false,
    }
}

/// Whether a distance is one that the planner takes.
fn is_known(distance: &Expr) -> bool {
    match distance {
        Expr::Nested(inner) => is_known(inner),
        Expr::UnaryOp {
            op: UnaryOperator::Minus | UnaryOperator::Plus,
            expr,
        } => matches!(expr.as_ref(), Expr::Value(_)),
        Expr::Value(value) => !matches!(value.value, Value::Placeholder(_)),
        _ => false,
    }
}
