//! Sums, products and quotients of numerics, integers and floats.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr, ExprSchemable as _, Operator, cast};

use super::{Class, each, literal};
use crate::semantics::types::dividend;

/// How much of a plan there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    /// An expression, of which parts may get other types.
    Part,
    /// All of it, with the types of what is below settled.
    All,
}

/// The operands of an operation as PostgreSQL's operator takes them.
pub(crate) fn operands(
    left: Expr,
    op: Operator,
    right: Expr,
    schema: &DFSchema,
    planned: Planned,
) -> (Expr, Expr) {
    let settled = |left: &Expr, right: &Expr| {
        let parts = [left, right];
        let types = [left.get_type(schema).ok()?, right.get_type(schema).ok()?];
        let made = computed(&parts, op, &types, planned)?;
        <[Expr; 2]>::try_from(made).ok()
    };
    let signed = |side: Expr| match (&side, side.get_type(schema)) {
        (Expr::Literal(ScalarValue::UInt64(Some(value)), metadata), _) => {
            match literal(&value.to_string()) {
                Some(value) => Expr::Literal(value, metadata.clone()),
                None => side,
            }
        }
        // Places of rows are bigint.
        (_, Ok(DataType::UInt64)) => cast(side, DataType::Int64),
        _ => side,
    };
    let (mut left, mut right) = (signed(left), signed(right));
    // A whole constant becomes a decimal first, then the dividend has room for its quotient.
    for _ in 0..2 {
        if let Some(made) = settled(&left, &right) {
            [left, right] = made;
        }
    }
    (left, right)
}

/// The operands of an operation.
fn computed(
    parts: &[&Expr; 2],
    op: Operator,
    types: &[DataType],
    planned: Planned,
) -> Option<Vec<Expr>> {
    let [left, right] = [types.first()?, types.get(1)?];
    let classes = (Class::of(left)?, Class::of(right)?);
    match classes {
        (Class::Double, Class::Exact) | (Class::Exact, Class::Double) => {
            each(parts, types, Class::Double)
        }
        // The planner would have real.
        (Class::Single, Class::Whole | Class::Exact)
        | (Class::Whole | Class::Exact, Class::Single) => each(parts, types, Class::Double),
        (Class::Exact, Class::Whole) | (Class::Whole, Class::Exact)
            if parts
                .iter()
                .any(|part| matches!(part, Expr::Literal(ScalarValue::Int64(Some(_)), _))) =>
        {
            each(parts, types, Class::Exact)
        }
        (Class::Whole | Class::Exact, Class::Whole | Class::Exact)
            if left.is_decimal() || right.is_decimal() =>
        {
            match op {
                Operator::Multiply => multiplied(parts, left, right, planned),
                Operator::Divide if planned == Planned::All => divided(parts, left, right),
                _ => None,
            }
        }
        _ => None,
    }
}

/// What was cast to make room for a product while an expression was planned, of which the type may be another by now.
pub(super) fn widened(side: &Expr) -> Option<Expr> {
    match side {
        Expr::Cast(Cast { expr: value, field }) if field.metadata().contains_key(FOR_NOW) => {
            Some(Expr::clone(value))
        }
        _ => None,
    }
}

/// Marks a cast that is looked at again when all of a plan is known.
const FOR_NOW: &str = "for_now";

/// A decimal in 256 bits, with the digits that it has.
fn wide(expr: &Expr, of: &DataType, planned: Planned) -> Option<Expr> {
    let to = match of {
        DataType::Decimal256(..) => return None,
        DataType::Decimal128(digits, scale) => DataType::Decimal256(*digits, *scale),
        DataType::Int8 | DataType::UInt8 => DataType::Decimal256(3, 0),
        DataType::Int16 | DataType::UInt16 => DataType::Decimal256(5, 0),
        DataType::Int32 | DataType::UInt32 => DataType::Decimal256(10, 0),
        _ => DataType::Decimal256(20, 0),
    };
    let field = Field::new("wide", to, true);
    let field = match planned {
        Planned::Part => field.with_metadata([(FOR_NOW.to_owned(), String::new())].into()),
        Planned::All => field,
    };
    let expr = Box::new(expr.clone());
    Some(Expr::Cast(Cast::new_from_field(expr, Arc::new(field))))
}

/// The factors of a product that has room for all digits of both.
fn multiplied(
    parts: &[&Expr; 2],
    left: &DataType,
    right: &DataType,
    planned: Planned,
) -> Option<Vec<Expr>> {
    let digits = |of: &DataType| match of {
        DataType::Decimal128(digits, _) => Some(*digits),
        of if of.is_integer() => Some(20),
        _ => None,
    };
    let narrow = digits(left).zip(digits(right));
    if narrow.is_some_and(|(a, b)| a + b < DECIMAL128_MAX_PRECISION) {
        return None;
    }
    // None of them is left in 128 bits: the planner would give both the digits of both.
    let made = [
        wide(parts[0], left, planned),
        wide(parts[1], right, planned),
    ];
    if made.iter().all(Option::is_none) {
        return None;
    }
    let made = made.into_iter().zip(parts);
    let made = made.map(|(made, part)| made.unwrap_or_else(|| Expr::clone(part)));
    Some(made.collect())
}

/// The operands of a division whose quotient has PostgreSQL's digits.
fn divided(parts: &[&Expr; 2], left: &DataType, right: &DataType) -> Option<Vec<Expr>> {
    let to = dividend(left, right);
    let of_left = to.as_ref().unwrap_or(left);
    let dividend = to
        .as_ref()
        .map(|to| cast(Expr::clone(parts[0]), to.clone()));
    let divisor = match (of_left, right) {
        (DataType::Decimal256(..), DataType::Decimal128(..)) => wide(parts[1], right, Planned::All),
        _ => None,
    };
    if dividend.is_none() && divisor.is_none() {
        return None;
    }
    Some(vec![
        dividend.unwrap_or_else(|| Expr::clone(parts[0])),
        divisor.unwrap_or_else(|| Expr::clone(parts[1])),
    ])
}
