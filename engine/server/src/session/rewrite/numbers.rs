//! Constants that are numbers, as the planner takes them for what PostgreSQL does.
//!
//! ```text
//! 1e3, 1e-2                       ─►   1000., 0.01: numeric, with a point
//! percentile_cont(0.5), exp(1.5)  ─►   of double precision, as these functions are
//! ```

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, UnaryOperator, Value,
};

use super::calls::{call_argument_mut, call_arguments};
use super::literals::{cast, constant_number, text};
use super::names::last_part;
use crate::pg_input;
use crate::semantics;

/// Writes a number without its exponent; one with more digits than numerics have here is a float.
pub(super) fn without_exponent(expr: &mut Expr) {
    let Some(digits) = constant_number(expr).filter(|digits| digits.contains(['e', 'E'])) else {
        return;
    };
    let plain = pg_input::plain_decimal(digits).ok();
    let plain = plain.filter(|plain| semantics::numeric(plain).is_some());
    *expr = match plain {
        Some(plain) if plain.contains('.') => number(plain),
        Some(plain) => number(format!("{plain}.")),
        None => cast(text(digits), DataType::DoublePrecision),
    };
}

fn number(digits: String) -> Expr {
    Expr::value(Value::Number(digits, false))
}

/// Functions that take numerics as they are, besides those of arrays and of json.
const EXACT: [&str; 53] = [
    "abs",
    "avg",
    "ceil",
    "ceiling",
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "div",
    "first_value",
    "floor",
    "format",
    "greatest",
    "lag",
    "last_value",
    "lead",
    "least",
    "make_array",
    "max",
    "min",
    "min_scale",
    "mod",
    "mode",
    "named_struct",
    "nth_value",
    "nullif",
    "num_nonnulls",
    "num_nulls",
    "pg_to_char",
    "pg_typeof",
    "quote_literal",
    "quote_nullable",
    "round",
    "row",
    "row_to_json",
    "scale",
    "sign",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "struct",
    "sum",
    "to_char",
    "to_json",
    "to_jsonb",
    "trim_scale",
    "trunc",
    "unnest",
    "var_pop",
    "var_samp",
    "variance",
    "width_bucket",
];

fn takes_numerics(function: &str) -> bool {
    EXACT.binary_search(&function).is_ok()
        || ["array_", "json_", "jsonb_"]
            .iter()
            .any(|family| function.starts_with(family))
}

/// Makes constants with a point floats among the arguments of a function that is one of floats.
pub(super) fn of_floats(function: &mut Function) {
    if takes_numerics(&last_part(&function.name)) {
        return;
    }
    let places: Vec<usize> = call_arguments(function)
        .into_iter()
        .enumerate()
        .filter(|(_, argument)| has_point(argument))
        .map(|(place, _)| place)
        .collect();
    for place in places {
        if let Some(argument) = call_argument_mut(function, place) {
            *argument = cast(argument.clone(), DataType::DoublePrecision);
        }
    }
}

/// `x = ANY (ARRAY[1.5, 2])` as `x IN (1.5, 2)`, and `x <> ALL` of one: a list has a type in common with what is looked
/// for, where the planner's arrays of decimals hold decimals alone.
pub(super) fn listed(expr: &mut Expr) {
    let (left, right, negated) = match &*expr {
        Expr::AnyOp {
            left,
            compare_op: BinaryOperator::Eq,
            right,
            ..
        } => (left, right, false),
        Expr::AllOp {
            left,
            compare_op: BinaryOperator::NotEq,
            right,
        } => (left, right, true),
        _ => return,
    };
    let mut array = right.as_ref();
    while let Expr::Nested(inner) = array {
        array = inner;
    }
    if let Expr::Array(array) = array
        && array.elem.iter().any(has_point)
    {
        *expr = Expr::InList {
            expr: left.clone(),
            list: array.elem.clone(),
            negated,
        };
    }
}

fn has_point(expr: &Expr) -> bool {
    match expr {
        Expr::UnaryOp {
            op: UnaryOperator::Minus | UnaryOperator::Plus,
            expr,
        }
        | Expr::Nested(expr) => has_point(expr),
        other => constant_number(other).is_some_and(|digits| digits.parse::<i64>().is_err()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_numerics_are_in_order() {
        assert!(EXACT.is_sorted());
    }
}
