//! Numbers that are exact beside floats, as PostgreSQL has them: a constant with a point is numeric, and what stands
//! beside a float becomes one.
//!
//! ```text
//! af < 0.01                    ─►   af < 0.01::float8, rounded from the text of the constant: scans prune by it
//! x + 1.5                      ─►   numeric, of one digit behind the point
//! qual > 30.1, r * 2           ─►   computed in float8, as real has no operators with other numbers
//! CASE WHEN … THEN 1.5 ELSE af END, VALUES (1.5), (af)   ─►   float8
//! ```
//! The planner has decimals of so many digits win over floats, of which they cut off the rest.

mod choices;
mod free;
pub(super) mod means;
mod operations;
pub(super) mod quotients;
mod rows;
mod sums;

pub(crate) use free::of_floats as numerics_of_floats;
pub(crate) use operations::{Planned, operands};

use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, DecimalType as _, i256,
};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, Case, Cast, InList, InSubquery};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator, cast};

use super::arrays::constants::ONE_OF;
pub(super) use choices::digits_of_all;
use choices::{chosen, in_room};
use operations::widened;
use rows::{listed, of_sets, recursive, united};

use super::arrays::innermost;
use super::integers::{Casts, Inputs};
use crate::pg_input::plain_decimal;

/// Digits of a decimal that a double precision has all of, whatever they are.
const DOUBLE_DIGITS: u8 = 15;
/// Whole numbers up to this size are the same in real.
const SINGLE_WHOLE: u64 = 1 << 24;

/// Numbers by what the others become beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Whole,
    Exact,
    Single,
    Double,
}

impl Class {
    /// Of numbers, and of the items of arrays of them.
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match innermost(data_type) {
            DataType::Float64 => Class::Double,
            DataType::Float16 | DataType::Float32 => Class::Single,
            item if item.is_decimal() => Class::Exact,
            item if item.is_integer() => Class::Whole,
            _ => return None,
        })
    }
}

/// A plan whose numbers have the types that PostgreSQL gives them, before the planner looks for common ones.
///
/// # Errors
/// What changing a plan fails with.
pub(super) fn settle(plan: LogicalPlan) -> Result<LogicalPlan> {
    super::walked(plan, |node| {
        Ok(match &node {
            LogicalPlan::Union(union) => match united(union)? {
                Some(union) => Transformed::yes(LogicalPlan::Union(union)),
                None => Transformed::no(node),
            },
            LogicalPlan::Values(values) => match listed(values)? {
                Some(values) => Transformed::yes(values),
                None => of_expressions(node)?,
            },
            LogicalPlan::Join(join) => match of_sets(join)? {
                Some(join) => Transformed::yes(join),
                None => of_expressions(node)?,
            },
            LogicalPlan::RecursiveQuery(query) => match recursive(query)? {
                Some(query) => Transformed::yes(query),
                None => Transformed::no(node),
            },
            _ => of_expressions(node)?.transform_data(sums::of_reals)?,
        })
    })
}

fn of_expressions(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let inputs = match super::types::hangs_on_kinds(&node)? {
        true => Some(Inputs::of(&node, Casts::Written)),
        false => None,
    };
    super::with_expressions(node, |expr, schema| settled(expr, schema, inputs.as_ref()))
}

/// The literal that digits with a point are, with as many of them as are written; `None` for what is no number or has
/// too many.
pub(crate) fn literal(digits: &str) -> Option<ScalarValue> {
    let plain = plain_decimal(digits.trim()).ok()?;
    let bare = plain.trim_start_matches(['-', '+']);
    let (whole, fraction) = bare.split_once('.').unwrap_or((bare, ""));
    let scale = u8::try_from(fraction.len()).ok()?;
    let whole = whole.trim_start_matches('0');
    let precision = u8::try_from(whole.len()).ok()?.checked_add(scale)?.max(1);
    let units: String = plain.chars().filter(|c| *c != '.' && *c != '+').collect();
    let scale = i8::try_from(scale).ok()?;
    if precision <= DECIMAL128_MAX_PRECISION {
        return Some(ScalarValue::Decimal128(
            Some(units.parse().ok()?),
            precision,
            scale,
        ));
    }
    let fits = precision <= super::types::WIDEST;
    fits.then(|| i256::from_string(&units))
        .flatten()
        .map(|units| ScalarValue::Decimal256(Some(units), precision, scale))
}

/// The text of a decimal constant.
fn digits_of(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Decimal128(Some(units), precision, scale) => {
            Some(Decimal128Type::format_decimal(*units, *precision, *scale))
        }
        ScalarValue::Decimal256(Some(units), precision, scale) => {
            Some(Decimal256Type::format_decimal(*units, *precision, *scale))
        }
        _ => None,
    }
}

/// The float that a decimal constant is cast to; `None` for any other cast.
pub(super) fn constant(value: &Expr, to: &DataType) -> Option<Expr> {
    let decimal = matches!(value, Expr::Literal(value, _) if digits_of(value).is_some());
    let made = (decimal && to.is_floating()).then(|| floating(value, to));
    made.filter(|made| matches!(made, Expr::Literal(..)))
}

/// An expression as a float: a constant is the one next to what is written.
fn floating(expr: &Expr, to: &DataType) -> Expr {
    if let Expr::Literal(value, metadata) = expr {
        let digits = match value {
            ScalarValue::Int64(Some(value)) => Some(value.to_string()),
            value => digits_of(value),
        };
        let value = digits.and_then(|digits| match to {
            DataType::Float32 => digits
                .parse()
                .ok()
                .map(|value| ScalarValue::Float32(Some(value))),
            DataType::Float64 => digits
                .parse()
                .ok()
                .map(|value| ScalarValue::Float64(Some(value))),
            _ => None,
        });
        if let Some(value) = value {
            return Expr::Literal(value, metadata.clone());
        }
    }
    cast(expr.clone(), to.clone())
}

/// A whole number as a decimal.
fn exact(expr: &Expr, of: &DataType) -> Expr {
    if let Expr::Literal(ScalarValue::Int64(Some(value)), metadata) = expr
        && let Some(value) = literal(&value.to_string())
    {
        return Expr::Literal(value, metadata.clone());
    }
    // What is computed may be wider than is known yet.
    let digits = match (expr, innermost(of)) {
        (Expr::Column(_), DataType::Int8 | DataType::UInt8) => 3,
        (Expr::Column(_), DataType::Int16 | DataType::UInt16) => 5,
        (Expr::Column(_), DataType::Int32 | DataType::UInt32) => 10,
        _ => 20,
    };
    cast(
        expr.clone(),
        with_item(of, &DataType::Decimal128(digits, 0)),
    )
}

/// A type of arrays with other items; any other type becomes the item.
pub(super) fn with_item(data_type: &DataType, item: &DataType) -> DataType {
    match data_type {
        DataType::List(inner) | DataType::LargeList(inner) | DataType::FixedSizeList(inner, _) => {
            DataType::new_list(with_item(inner.data_type(), item), true)
        }
        _ => item.clone(),
    }
}

/// An expression of a type as one of another class; `None` when it is one.
fn turned(expr: &Expr, of: &DataType, to: Class) -> Option<Expr> {
    let class = Class::of(of)?;
    if class == to {
        return None;
    }
    Some(match to {
        Class::Whole => return None,
        Class::Exact => exact(expr, of),
        Class::Single => floating(expr, &with_item(of, &DataType::Float32)),
        Class::Double => floating(expr, &with_item(of, &DataType::Float64)),
    })
}

/// What some expressions should be, of which one is the result; `None` when they are right.
fn alike(parts: &[&Expr], types: &[DataType]) -> Option<Vec<Expr>> {
    let classes = types.iter().filter_map(Class::of);
    let greatest = classes.clone().max()?;
    if classes.min()? == greatest {
        return None;
    }
    each(parts, types, greatest)
}

/// What some expressions should be that are compared or computed with; `None` when they are right.
fn compared(parts: &[&Expr], types: &[DataType]) -> Option<Vec<Expr>> {
    let classes = types.iter().filter_map(Class::of);
    let greatest = classes.clone().max()?;
    let has = |wanted: Class| classes.clone().any(|class| class == wanted);
    match greatest {
        Class::Double if has(Class::Exact) => each(parts, types, Class::Double),
        Class::Single if has(Class::Exact) => each(parts, types, Class::Double),
        Class::Single if has(Class::Whole) => {
            let plain = |(part, of): (&&Expr, &DataType)| match part {
                Expr::Literal(ScalarValue::Int64(Some(value)), _) => {
                    value.unsigned_abs() <= SINGLE_WHOLE
                }
                _ => Class::of(of) != Some(Class::Whole),
            };
            match parts.iter().zip(types).all(plain) {
                true => None,
                false => each(parts, types, Class::Double),
            }
        }
        Class::Exact if has(Class::Whole) => {
            // Small numbers are the same in floats, which scans and the counting of calls know.
            let plain = |(part, of): (&&Expr, &DataType)| match (part, of) {
                (Expr::Literal(ScalarValue::Int64(Some(value)), _), _) => {
                    i32::try_from(*value).is_ok()
                }
                (Expr::Literal(ScalarValue::Decimal128(_, digits, _), _), _) => {
                    *digits <= DOUBLE_DIGITS
                }
                (_, DataType::Int8 | DataType::Int16 | DataType::Int32) => true,
                (_, of) => of.is_null(),
            };
            match parts.iter().zip(types).all(plain) {
                true => each(parts, types, Class::Double),
                false => in_room(parts, types),
            }
        }
        Class::Exact => in_room(parts, types),
        _ => None,
    }
}

fn each(parts: &[&Expr], types: &[DataType], to: Class) -> Option<Vec<Expr>> {
    let all = parts.iter().zip(types);
    let all = all.map(|(part, of)| turned(part, of, to).unwrap_or_else(|| Expr::clone(part)));
    Some(all.collect())
}

/// The decimals that constants in quotes are beside a number that is one; `None` when they are right.
fn unquoted(parts: &[&Expr], types: &[DataType]) -> Option<Vec<Expr>> {
    if !types.iter().any(DataType::is_decimal) {
        return None;
    }
    let read = |part: &&Expr| match part {
        Expr::Literal(ScalarValue::Utf8(Some(text)), metadata) => {
            literal(text).map(|value| Expr::Literal(value, metadata.clone()))
        }
        _ => None,
    };
    let read: Vec<Option<Expr>> = parts.iter().map(read).collect();
    if read.iter().all(Option::is_none) {
        return None;
    }
    let all = parts.iter().zip(read);
    let all = all.map(|(part, read)| read.unwrap_or_else(|| Expr::clone(part)));
    Some(all.collect())
}

/// What an expression should be; `None` when its numbers are right.
fn settled(expr: &Expr, schema: &DFSchema, inputs: Option<&Inputs>) -> Option<Expr> {
    // What is rounded to a number of digits has a type of so many only when it is told them.
    let told = super::types::digits_told(expr);
    let expr = told.as_ref().unwrap_or(expr);
    numbers(expr, schema)
        .or_else(|| super::types::summed(expr, schema, inputs?))
        .or(told)
}

fn numbers(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let types = |parts: &[&Expr]| -> Option<Vec<DataType>> {
        parts
            .iter()
            .map(|part| part.get_type(schema).ok())
            .collect()
    };
    match expr {
        Expr::Cast(Cast { expr: value, field }) => {
            constant(value, field.data_type()).or_else(|| free::made(value, field, schema))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let computes = matches!(
                op,
                Operator::Plus
                    | Operator::Minus
                    | Operator::Multiply
                    | Operator::Divide
                    | Operator::Modulo
            );
            if !computes && !super::clock::compares(*op) {
                return None;
            }
            let parts = [left.as_ref(), right.as_ref()];
            let types = types(&parts)?;
            if computes {
                let whole = |of: &DataType| of.is_signed_integer();
                if types.iter().all(whole) {
                    return None;
                }
                let bare = parts.map(|side| widened(side).unwrap_or_else(|| Expr::clone(side)));
                let [l, r] = bare;
                let (l, r) = operands(l, *op, r, schema, Planned::All);
                let (left, right) = changed(vec![l, r], &parts).and_then(two)?;
                let (left, right) = (Box::new(left), Box::new(right));
                return Some(Expr::BinaryExpr(BinaryExpr::new(left, *op, right)));
            }
            let made = unquoted(&parts, &types).or_else(|| compared(&parts, &types));
            let [left, right] = <[Expr; 2]>::try_from(made?).ok()?;
            Some(Expr::BinaryExpr(BinaryExpr::new(
                Box::new(left),
                *op,
                Box::new(right),
            )))
        }
        Expr::Between(between) => {
            let parts = [&*between.expr, &*between.low, &*between.high];
            let types = types(&parts)?;
            let made = unquoted(&parts, &types).or_else(|| compared(&parts, &types))?;
            let [value, low, high] = <[Expr; 3]>::try_from(made).ok()?;
            Some(Expr::Between(Between {
                expr: Box::new(value),
                negated: between.negated,
                low: Box::new(low),
                high: Box::new(high),
            }))
        }
        Expr::InList(list) => {
            let parts: Vec<&Expr> = std::iter::once(&*list.expr).chain(&list.list).collect();
            let types = types(&parts)?;
            let made = unquoted(&parts, &types).or_else(|| {
                // Several items have one type, which then is real beside real.
                let classes = types.iter().filter_map(Class::of);
                match classes.max() {
                    Some(Class::Single) if list.list.len() > 1 => {
                        each(&parts, &types, Class::Single)
                    }
                    _ => compared(&parts, &types),
                }
            });
            let mut made = changed(made?, &parts)?.into_iter();
            Some(Expr::InList(InList {
                expr: Box::new(made.next()?),
                list: made.collect(),
                negated: list.negated,
            }))
        }
        Expr::InSubquery(within) => {
            let column = within.subquery.subquery.schema().fields().first()?;
            let of = within.expr.get_type(schema).ok()?;
            let floats = Class::of(column.data_type()) >= Some(Class::Single);
            if !floats || Class::of(&of) != Some(Class::Exact) {
                return None;
            }
            Some(Expr::InSubquery(InSubquery {
                expr: Box::new(floating(&within.expr, &DataType::Float64)),
                subquery: within.subquery.clone(),
                negated: within.negated,
            }))
        }
        Expr::Case(case) => chosen(case, types),
        Expr::ScalarFunction(call) => {
            let parts: Vec<&Expr> = call.args.iter().collect();
            let types = types(&parts)?;
            let name = call.func.name();
            let of_arrays = types.iter().any(|of| matches!(of, DataType::List(_)));
            let made = if let ("nullif", [left, right]) = (name, call.args.as_slice()) {
                let greatest = types.iter().filter_map(Class::of).max();
                let of_left = types.first().and_then(Class::of);
                if of_left == Some(Class::Single) && greatest.is_some() {
                    return kept_unless(left, right, &types);
                }
                if let [of @ DataType::Int16, DataType::Int32 | DataType::Int64] = types.as_slice()
                {
                    return left_unless(left.clone(), right.clone(), left.clone(), of);
                }
                unquoted(&parts, &types).or_else(|| match greatest {
                    Some(Class::Single) => each(&parts, &types, Class::Double),
                    Some(Class::Double) => compared(&parts, &types),
                    _ => alike(&parts, &types),
                })
            } else if matches!(name, "ceil" | "floor" | "round" | "trunc") {
                match types.as_slice() {
                    [of] if of.is_integer() || *of == DataType::Float32 => {
                        each(&parts, &types, Class::Double)
                    }
                    // A number of as many digits as it has may get one more.
                    [of, ..] if of.is_decimal() => match free::cut(parts.first()?) {
                        Some(cut) if matches!(name, "round" | "trunc") => {
                            let rest = parts.iter().skip(1).map(|part| Expr::clone(part));
                            Some(std::iter::once(cut).chain(rest).collect())
                        }
                        _ => roomier(&parts, of),
                    },
                    [of, _] if of.is_integer() => {
                        let value = exact(parts.first()?, of);
                        let rest = parts.iter().skip(1).map(|part| Expr::clone(part));
                        Some(std::iter::once(value).chain(rest).collect())
                    }
                    _ => None,
                }
            } else if ONE_OF.contains(&name) || name == "make_array" {
                unquoted(&parts, &types).or_else(|| alike(&parts, &types))
            } else if name == "percentile_disc_of_array" {
                // One of the items, whatever the fraction is.
                None
            } else if of_arrays {
                let floats = types.iter().filter_map(Class::of).max() >= Some(Class::Single);
                floats.then(|| alike(&parts, &types)).flatten()
            } else if is_of_floats(name) {
                let of_others =
                    |of: &DataType| matches!(Class::of(of), Some(Class::Exact | Class::Single));
                let others = types.iter().any(of_others);
                others
                    .then(|| each(&parts, &types, Class::Double))
                    .flatten()
            } else {
                None
            };
            let mut changed = call.clone();
            changed.args = made?;
            let whole = types.first().and_then(|of| whole(name, &parts, of));
            let changed = Expr::ScalarFunction(changed);
            Some(match whole {
                Some(whole) => cast(changed, whole),
                None => changed,
            })
        }
        _ => None,
    }
}

/// The type without digits behind the point that `floor`, `ceil` and `trunc` of a numeric give.
fn whole(function: &str, parts: &[&Expr], of: &DataType) -> Option<DataType> {
    if !matches!(function, "ceil" | "floor" | "trunc") || parts.len() != 1 {
        return None;
    }
    let left = |digits: u8, scale: i8| {
        let whole = i16::from(digits) - i16::from(scale) + 1;
        u8::try_from(whole.max(1)).ok()
    };
    match *of {
        DataType::Decimal128(digits, scale) if scale > 0 => {
            Some(DataType::Decimal128(left(digits, scale)?, 0))
        }
        DataType::Decimal256(digits, scale) if scale > 0 => {
            Some(DataType::Decimal256(left(digits, scale)?, 0))
        }
        _ => None,
    }
}

/// What is rounded, with a digit more before the point; `None` when it has one.
fn roomier(parts: &[&Expr], of: &DataType) -> Option<Vec<Expr>> {
    let (first, rest) = parts.split_first()?;
    let constant = matches!(first, Expr::Literal(..));
    let to = match of {
        DataType::Decimal128(digits, scale) if *digits < DECIMAL128_MAX_PRECISION => {
            DataType::Decimal128(digits + 1, *scale)
        }
        DataType::Decimal128(digits, scale) if constant => DataType::Decimal256(digits + 1, *scale),
        DataType::Decimal256(digits, scale) if *digits < super::types::WIDEST => {
            DataType::Decimal256(digits + 1, *scale)
        }
        _ => return None,
    };
    let rest = rest.iter().copied().cloned();
    Some(
        std::iter::once(cast(Expr::clone(first), to))
            .chain(rest)
            .collect(),
    )
}

/// `nullif` of a real and another number, which are compared in double precision and give the real.
fn kept_unless(left: &Expr, right: &Expr, types: &[DataType]) -> Option<Expr> {
    let parts = [left, right];
    let classes = types.iter().filter_map(Class::of);
    if classes.max() == Some(Class::Single) && compared(&parts, types).is_none() {
        return None;
    }
    let made = compared(&parts, types);
    let made = made.unwrap_or_else(|| vec![left.clone(), right.clone()]);
    let [l, r] = <[Expr; 2]>::try_from(made).ok()?;
    left_unless(l, r, left.clone(), &DataType::Float32)
}

/// A value of a type, and NULL where two others are the same.
fn left_unless(one: Expr, other: Expr, value: Expr, of: &DataType) -> Option<Expr> {
    let same = Expr::BinaryExpr(BinaryExpr::new(
        Box::new(one),
        Operator::Eq,
        Box::new(other),
    ));
    let none = Expr::Literal(ScalarValue::try_new_null(of).ok()?, None);
    let when = vec![(Box::new(same), Box::new(none))];
    Some(Expr::Case(Case::new(None, when, Some(Box::new(value)))))
}

fn two(exprs: Vec<Expr>) -> Option<(Expr, Expr)> {
    let [left, right] = <[Expr; 2]>::try_from(exprs).ok()?;
    Some((left, right))
}

/// Some expressions, when one of them is another than it was.
fn changed(made: Vec<Expr>, parts: &[&Expr]) -> Option<Vec<Expr>> {
    let same = made.iter().zip(parts).all(|(made, part)| made == *part);
    (!same).then_some(made)
}

/// Functions that compute in floats here, of which the planner has some for decimals as well.
fn is_of_floats(function: &str) -> bool {
    matches!(
        function,
        "acos"
            | "acosh"
            | "asin"
            | "asinh"
            | "atan"
            | "atan2"
            | "atanh"
            | "cbrt"
            | "cos"
            | "cosh"
            | "cot"
            | "degrees"
            | "exp"
            | "ln"
            | "log"
            | "log10"
            | "log2"
            | "power"
            | "radians"
            | "sin"
            | "sinh"
            | "sqrt"
            | "tan"
            | "tanh"
    )
}
