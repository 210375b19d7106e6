//! CASE: its results have one type before the planner takes that of the first.

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr, cast};

use super::{alike, compared, unquoted};
use crate::semantics::types::WIDEST;

/// Decimals of different digits as those of a type that has all of them; `None` when they have it.
fn of_one_shape(parts: &[&Expr], types: &[DataType]) -> Option<Vec<Expr>> {
    let shape = |of: &DataType| match of {
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale) => {
            Some((i16::from(*digits) - i16::from(*scale), *scale))
        }
        _ => None,
    };
    let shapes: Vec<(i16, i8)> = types.iter().filter_map(shape).collect();
    let first = types.iter().find(|of| of.is_decimal())?;
    if types.iter().all(|of| of == first || !of.is_decimal()) {
        return None;
    }
    let scale = shapes.iter().map(|(_, scale)| *scale).max()?;
    let digits = shapes.iter().map(|(whole, _)| *whole).max()? + i16::from(scale);
    let digits = u8::try_from(digits).ok()?.min(WIDEST);
    let wide = types
        .iter()
        .any(|of| matches!(of, DataType::Decimal256(..)));
    let to = match wide || digits > DECIMAL128_MAX_PRECISION {
        true => DataType::Decimal256(digits, scale),
        false => DataType::Decimal128(digits, scale),
    };
    let made = parts.iter().zip(types).map(|(part, of)| match of {
        of if of.is_decimal() && *of != to => cast(Expr::clone(part), to.clone()),
        _ => Expr::clone(part),
    });
    Some(made.collect())
}

/// A CASE whose results, and what it compares, have one class.
pub(super) fn chosen(
    case: &Case,
    types: impl Fn(&[&Expr]) -> Option<Vec<DataType>>,
) -> Option<Expr> {
    let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
    let results: Vec<&Expr> = results.chain(case.else_expr.as_deref()).collect();
    let of_results = types(&results)?;
    let results_made = unquoted(&results, &of_results).or_else(|| alike(&results, &of_results));
    let now: Vec<&Expr> = match &results_made {
        Some(made) => made.iter().collect(),
        None => results.clone(),
    };
    let results_made = match of_one_shape(&now, &types(&now)?) {
        Some(made) => Some(made),
        None => results_made,
    };
    let conditions_made = case.expr.as_ref().and_then(|value| {
        let whens = case.when_then_expr.iter().map(|(when, _)| when.as_ref());
        let parts: Vec<&Expr> = std::iter::once(value.as_ref()).chain(whens).collect();
        let of_parts = types(&parts)?;
        unquoted(&parts, &of_parts).or_else(|| compared(&parts, &of_parts))
    });
    if results_made.is_none() && conditions_made.is_none() {
        return None;
    }
    let mut made = case.clone();
    if let Some(conditions) = conditions_made {
        let mut conditions = conditions.into_iter();
        made.expr = conditions.next().map(Box::new);
        for ((when, _), condition) in made.when_then_expr.iter_mut().zip(conditions) {
            **when = condition;
        }
    }
    if let Some(results) = results_made {
        let mut results = results.into_iter();
        for ((_, then), result) in made.when_then_expr.iter_mut().zip(results.by_ref()) {
            **then = result;
        }
        made.else_expr = results.next().map(Box::new);
    }
    Some(Expr::Case(made))
}

/// Digits before and behind the point that numbers of several exact types have; `None` where one is of another.
pub(in crate::semantics) fn digits_of_all<'t>(
    mut types: impl Iterator<Item = &'t DataType>,
) -> Option<(u8, u8)> {
    types.try_fold((0u8, 0u8), |(before, behind), of| {
        let (digits, scale) = match of {
            DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale) => {
                (*digits, u8::try_from(*scale).ok()?)
            }
            DataType::Int8 | DataType::UInt8 => (3, 0),
            DataType::Int16 | DataType::UInt16 => (5, 0),
            DataType::Int32 | DataType::UInt32 => (10, 0),
            DataType::Int64 | DataType::UInt64 => (20, 0),
            _ => return None,
        };
        Some((before.max(digits.checked_sub(scale)?), behind.max(scale)))
    })
}

/// Numbers that are compared and have no type in common with room for all their digits, with as many before the point
/// as there is room for; `None` where they have one.
pub(super) fn in_room(parts: &[&Expr], types: &[DataType]) -> Option<Vec<Expr>> {
    let known = types.iter().filter(|of| !of.is_null());
    let (before, behind) = digits_of_all(known)?;
    if before.checked_add(behind)? <= WIDEST {
        return None;
    }
    let to = DataType::Decimal256(WIDEST, i8::try_from(behind).ok()?);
    let all = parts.iter().map(|part| cast(Expr::clone(part), to.clone()));
    Some(all.collect())
}
