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

use std::cell::Cell;
use std::sync::Arc;

use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, DecimalType as _, Field,
    Schema, i256,
};
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::expr::{Alias, Between, Case, Cast, InList, InSubquery};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, LogicalPlanBuilder, Operator, Projection,
    RecursiveQuery, Union, Values, cast,
};

use super::arrays::constants::ONE_OF;
use super::arrays::innermost;
use super::integers::{Casts, Inputs};
use crate::pg_input::plain_decimal;
use crate::pg_types::PgType;
use crate::sqlstate::ServerError;

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
    let changed = Cell::new(false);
    let plan = plan.transform_up_with_subqueries(|node| {
        let node = match &node {
            LogicalPlan::Union(union) => match united(union)? {
                Some(union) => Transformed::yes(union),
                None => Transformed::no(node),
            },
            LogicalPlan::Values(values) => match listed(values)? {
                Some(values) => Transformed::yes(values),
                None => of_expressions(node)?,
            },
            LogicalPlan::RecursiveQuery(query) => match recursive(query)? {
                Some(query) => Transformed::yes(query),
                None => Transformed::no(node),
            },
            _ => of_expressions(node)?,
        };
        changed.set(changed.get() || node.transformed);
        // Whatever stands above a changed type has other types as well.
        match changed.get() {
            true => node.map_data(|node| match node {
                LogicalPlan::Union(union) => {
                    Union::try_new_with_loose_types(union.inputs).map(LogicalPlan::Union)
                }
                node => node.recompute_schema(),
            }),
            false => Ok(node),
        }
    })?;
    Ok(plan.data)
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
fn with_item(data_type: &DataType, item: &DataType) -> DataType {
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
                false => None,
            }
        }
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
        Expr::Cast(Cast { expr: value, field }) => constant(value, field.data_type()),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let computes = matches!(
                op,
                Operator::Plus
                    | Operator::Minus
                    | Operator::Multiply
                    | Operator::Divide
                    | Operator::Modulo
            );
            if !computes && !compares(*op) {
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
                    [of, ..] if of.is_decimal() => roomier(&parts, of),
                    [of, _] if of.is_integer() => {
                        let value = exact(parts.first()?, of);
                        let rest = parts.iter().skip(1).map(|part| Expr::clone(part));
                        Some(std::iter::once(value).chain(rest).collect())
                    }
                    _ => None,
                }
            } else if ONE_OF.contains(&name) || name == "make_array" {
                unquoted(&parts, &types).or_else(|| alike(&parts, &types))
            } else if of_arrays {
                let floats = types.iter().filter_map(Class::of).max() >= Some(Class::Single);
                floats.then(|| alike(&parts, &types)).flatten()
            } else if is_of_floats(name) {
                let exact = types.iter().any(|of| Class::of(of) == Some(Class::Exact));
                exact.then(|| each(&parts, &types, Class::Double)).flatten()
            } else {
                None
            };
            let mut changed = call.clone();
            changed.args = made?;
            Some(Expr::ScalarFunction(changed))
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
    let rest = rest.iter().map(|part| Expr::clone(part));
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
    let same = Expr::BinaryExpr(BinaryExpr::new(Box::new(l), Operator::Eq, Box::new(r)));
    let none = Expr::Literal(ScalarValue::Float32(None), None);
    let when = vec![(Box::new(same), Box::new(none))];
    Some(Expr::Case(Case::new(
        None,
        when,
        Some(Box::new(left.clone())),
    )))
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

fn compares(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
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
fn widened(side: &Expr) -> Option<Expr> {
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
    let to = super::types::dividend(left, right);
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
    let digits = u8::try_from(digits).ok()?.min(super::types::WIDEST);
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
fn chosen(case: &Case, types: impl Fn(&[&Expr]) -> Option<Vec<DataType>>) -> Option<Expr> {
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

/// The class that each column of some rows is to have, of the types that it has in them.
fn wanted<'a>(columns: impl Iterator<Item = &'a DataType> + Clone) -> Option<Class> {
    let classes = columns.filter_map(Class::of);
    let greatest = classes.clone().max()?;
    let mixed = classes.clone().any(|class| class == Class::Exact) && classes.min()? != greatest;
    mixed.then_some(greatest)
}

/// A UNION whose columns have one class in all of its parts; `None` when they have.
fn united(union: &Union) -> Result<Option<LogicalPlan>> {
    let of_column = |at: usize| {
        let fields = union.inputs.iter();
        fields.filter_map(move |input| {
            input
                .schema()
                .fields()
                .get(at)
                .map(|field| field.data_type())
        })
    };
    let wanted: Vec<Option<Class>> = (0..union.schema.fields().len())
        .map(|at| wanted(of_column(at)))
        .collect();
    if wanted.iter().all(Option::is_none) {
        return Ok(None);
    }
    let inputs = union.inputs.iter().map(|input| {
        let columns: Vec<Expr> = match input.as_ref() {
            LogicalPlan::Projection(projection) => projection.expr.clone(),
            other => other
                .schema()
                .columns()
                .into_iter()
                .map(Expr::Column)
                .collect(),
        };
        let below = match input.as_ref() {
            LogicalPlan::Projection(projection) => Arc::clone(&projection.input),
            _ => Arc::clone(input),
        };
        let fields = input.schema().fields().iter();
        let columns = columns.into_iter().zip(fields).zip(&wanted);
        let columns = columns.map(|((expr, field), wanted)| {
            let bare = match &expr {
                Expr::Alias(Alias { expr, .. }) => expr.as_ref(),
                other => other,
            };
            let made = wanted.and_then(|wanted| turned(bare, field.data_type(), wanted));
            match made {
                Some(made) => made.alias(field.name()),
                None => expr,
            }
        });
        let projection = Projection::try_new(columns.collect(), below)?;
        Ok(Arc::new(LogicalPlan::Projection(projection)))
    });
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    Union::try_new_with_loose_types(inputs).map(|union| Some(LogicalPlan::Union(union)))
}

/// VALUES whose columns have one class, as the planner casts each cell to a type of its own choice; `None` when they
/// have.
fn listed(values: &Values) -> Result<Option<LogicalPlan>> {
    let none = DFSchema::empty();
    // What a cell was before the planner's cast.
    let written = |cell: &Expr, field: &Field| match cell {
        Expr::Cast(Cast {
            expr: value,
            field: to,
        }) if to.data_type() == field.data_type() => Expr::clone(value),
        cell => cell.clone(),
    };
    let mut rows = values.values.clone();
    let mut changed = false;
    for (at, field) in values.schema.fields().iter().enumerate() {
        if Class::of(field.data_type()) != Some(Class::Exact) {
            continue;
        }
        let cells = values.values.iter().filter_map(|row| row.get(at));
        let cells: Vec<Expr> = cells.map(|cell| written(cell, field)).collect();
        let types: Result<Vec<DataType>> = cells.iter().map(|cell| cell.get_type(&none)).collect();
        let Ok(types) = types else {
            return Ok(None);
        };
        let Some(wanted) = wanted(types.iter()).filter(|wanted| *wanted >= Class::Single) else {
            continue;
        };
        changed = true;
        for (row, (cell, of)) in rows.iter_mut().zip(cells.iter().zip(&types)) {
            if let Some(place) = row.get_mut(at) {
                *place = turned(cell, of, wanted).unwrap_or_else(|| cell.clone());
            }
        }
    }
    match changed {
        true => LogicalPlanBuilder::values(rows)?.build().map(Some),
        false => Ok(None),
    }
}

/// Numerics of a recursive query, to which every round may add digits.
const ROUNDS: DataType = DataType::Decimal256(super::types::WIDEST, 20);

/// A recursive query whose numerics have room for more digits than those that it begins with; `None` when nothing in it
/// needs any.
///
/// # Errors
/// 42804 for a column that goes on as another type than it begins with.
fn recursive(query: &RecursiveQuery) -> Result<Option<LogicalPlan>> {
    // The planner has cast what goes on to the types of what it begins with.
    let LogicalPlan::Projection(goes_on) = query.recursive_term.as_ref() else {
        return Ok(None);
    };
    let begins = query.static_term.schema();
    let mut wide = vec![false; begins.fields().len()];
    for (at, (expr, field)) in goes_on.expr.iter().zip(begins.fields()).enumerate() {
        let Some((value, _)) = cast_to(expr, field.data_type()) else {
            continue;
        };
        let Ok(of) = value.get_type(goes_on.input.schema()) else {
            continue;
        };
        let (Some(first), Some(next)) = (Class::of(field.data_type()), Class::of(&of)) else {
            continue;
        };
        if next > first {
            let name = |data_type: &DataType| PgType::of_arrow(data_type).sql_name();
            let text = format!(
                "recursive query \"{}\" column {} has type {} in non-recursive term but type {} overall",
                query.name,
                at + 1,
                match first {
                    Class::Whole => "integer",
                    _ => name(field.data_type()),
                },
                name(&of),
            );
            let error = ServerError::new("42804", text)
                .hint("Cast the output of the non-recursive term to the correct type.");
            return Err(DataFusionError::External(Box::new(error)));
        }
        if let Some(place) = wide.get_mut(at) {
            *place = first == Class::Exact;
        }
    }
    if !wide.contains(&true) {
        return Ok(None);
    }
    let columns = begins.columns().into_iter().zip(&wide);
    let columns = columns.map(|(column, wide)| {
        let name = column.name.clone();
        let column = Expr::Column(column);
        match wide {
            true => cast(column, ROUNDS).alias(name),
            false => column,
        }
    });
    let columns: Vec<Expr> = columns.collect();
    let first = LogicalPlanBuilder::from(Arc::clone(&query.static_term)).project(columns)?;
    let first = first.build()?;
    let fields = first.schema().fields().iter();
    let fields: Vec<Field> = fields
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    let rows = CteWorkTable::new(&query.name, Arc::new(Schema::new(fields)));
    let rows = provider_as_source(Arc::new(rows));
    let mut goes_on = goes_on.clone();
    for ((expr, field), wide) in goes_on.expr.iter_mut().zip(begins.fields()).zip(&wide) {
        if !wide {
            continue;
        }
        if let Some((value, name)) = cast_to(expr, field.data_type()) {
            *expr = cast(value.clone(), ROUNDS).alias(name);
        } else {
            let name = expr.schema_name().to_string();
            *expr = cast(expr.clone(), ROUNDS).alias(name);
        }
    }
    let next = LogicalPlan::Projection(goes_on).transform_up_with_subqueries(|node| {
        let node = match &node {
            LogicalPlan::TableScan(scan) if scan.table_name.table() == query.name => {
                let scan = LogicalPlanBuilder::scan(&query.name, Arc::clone(&rows), None)?;
                Transformed::yes(scan.build()?)
            }
            _ => Transformed::no(node),
        };
        node.map_data(LogicalPlan::recompute_schema)
    })?;
    let next = settle(next.data)?;
    let name = query.name.clone();
    let query = RecursiveQuery::try_new(name, Arc::new(first), Arc::new(next), query.is_distinct)?;
    Ok(Some(LogicalPlan::RecursiveQuery(query)))
}

/// What an expression casts to a type, and its name.
fn cast_to<'a>(expr: &'a Expr, to: &DataType) -> Option<(&'a Expr, String)> {
    let name = expr.schema_name().to_string();
    let bare = match expr {
        Expr::Alias(Alias { expr, .. }) => expr.as_ref(),
        other => other,
    };
    match bare {
        Expr::Cast(Cast { expr: value, field }) if field.data_type() == to => Some((value, name)),
        _ => None,
    }
}
