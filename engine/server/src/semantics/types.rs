//! Types of results that PostgreSQL gives otherwise than the planner, settled before the planner settles types.
//!
//! - The sum of bigint is numeric, and so is what is divided by it: `sum(n_ts) / sum(n_tv)` is 0.2997. The sum of integers
//!   is bigint, also where the planner has them as bigint: `sum(CASE WHEN affected THEN dosage ELSE 0 END)`.
//! - Places of rows are bigint, not unsigned: `(row_number() OVER () - 1) / 2` is a whole number.
//! - Division of numeric and its average keep 16 more digits than the planner's 4.
//! - A constant beside a time is read as what that is, a date beside an instant as the session's midnight.

use std::cell::Cell;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, Cast, ScalarFunction, WindowFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator, cast};

/// Digits behind the point that a dividend has at least: PostgreSQL gives some 16 significant ones.
const SCALE: i8 = 16;
/// Digits of the widest decimal.
const WIDEST: u8 = 76;
/// Digits of any bigint.
const BIGINT_DIGITS: u8 = 20;

/// A plan whose expressions have PostgreSQL's types, of one that stands as it was written.
///
/// # Errors
/// What changing a plan fails with.
pub(crate) fn settle(plan: LogicalPlan) -> Result<LogicalPlan> {
    settle_by(plan, |expr, schema| typed(expr, schema, Casts::Written))
}

/// The same of a plan that [`settle_early`] has seen and that was analysed since.
///
/// # Errors
/// As [`settle`].
pub(crate) fn settle_analysed(plan: LogicalPlan) -> Result<LogicalPlan> {
    settle_by(plan, |expr, schema| typed(expr, schema, Casts::Planned))
}

/// A plan that can be analysed before its types are settled: times are told apart from what stands beside them, and
/// the casts to bigint that were written from those that the planner will add.
///
/// # Errors
/// As [`settle`].
pub(crate) fn settle_early(plan: LogicalPlan) -> Result<LogicalPlan> {
    settle_by(plan, |expr, schema| {
        super::clock::settled(expr, schema)
            .or_else(|| summed_as_written(expr))
            .or_else(|| digits_told(expr))
    })
}

/// Whose a cast to bigint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Casts {
    /// It was written.
    Written,
    /// It is the planner's, unless what it casts is one already.
    Planned,
}

type Better = fn(&Expr, &DFSchema) -> Option<Expr>;

fn settle_by(plan: LogicalPlan, better: Better) -> Result<LogicalPlan> {
    let changed = Cell::new(false);
    plan.transform_up_with_subqueries(|node| settled(node, better, &changed))
        .map(|plan| plan.data)
}

fn settled(
    node: LogicalPlan,
    better: Better,
    any: &Cell<bool>,
) -> Result<Transformed<LogicalPlan>> {
    let node = super::with_expressions(node, better)?;
    any.set(any.get() || node.transformed);
    // Whatever stands above a changed type has other types as well.
    match any.get() {
        true => node.map_data(LogicalPlan::recompute_schema),
        false => Ok(node),
    }
}

/// `round` and `trunc` to a constant number of digits, said as the planner has it: the type of what they give hangs on
/// it, and would be another before the planner's own cast of the constant is folded.
fn digits_told(expr: &Expr) -> Option<Expr> {
    let Expr::ScalarFunction(call) = expr else {
        return None;
    };
    let [
        value,
        Expr::Literal(ScalarValue::Int64(Some(digits)), metadata),
    ] = call.args.as_slice()
    else {
        return None;
    };
    if !matches!(call.func.name(), "round" | "trunc") {
        return None;
    }
    let digits = ScalarValue::Int32(Some(i32::try_from(*digits).ok()?));
    let args = vec![value.clone(), Expr::Literal(digits, metadata.clone())];
    let function = std::sync::Arc::clone(&call.func);
    Some(Expr::ScalarFunction(ScalarFunction::new_udf(
        function, args,
    )))
}

/// What an expression should be; `None` when its type is PostgreSQL's.
fn typed(expr: &Expr, schema: &DFSchema, casts: Casts) -> Option<Expr> {
    if let Some(settled) = super::clock::settled(expr, schema).or_else(|| digits_told(expr)) {
        return Some(settled);
    }
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            if !matches!(
                op,
                Operator::Plus
                    | Operator::Minus
                    | Operator::Multiply
                    | Operator::Divide
                    | Operator::Modulo
            ) {
                return None;
            }
            let of = |side: &Expr| side.get_type(schema).ok();
            let (left_type, right_type) = (of(left)?, of(right)?);
            if left_type == DataType::UInt64 || right_type == DataType::UInt64 {
                let signed = |side: &Expr, from: &DataType| match from {
                    DataType::UInt64 => cast(side.clone(), DataType::Int64),
                    _ => side.clone(),
                };
                let (left, right) = (signed(left, &left_type), signed(right, &right_type));
                return Some(binary(left, *op, right));
            }
            if *op != Operator::Divide {
                return None;
            }
            let dividend = dividend(&left_type, &right_type)?;
            let left = cast(left.as_ref().clone(), dividend);
            Some(binary(left, *op, right.as_ref().clone()))
        }
        Expr::AggregateFunction(aggregate) => {
            let args = &aggregate.params.args;
            let arg = argument(aggregate.func.name(), args, schema, casts)?;
            with_argument(expr, arg)
        }
        Expr::ScalarFunction(call) if matches!(call.func.name(), "concat" | "concat_ws") => {
            let texts: Vec<Option<Expr>> = call
                .args
                .iter()
                .map(|arg| super::text::put_together(arg, &arg.get_type(schema).ok()?))
                .collect();
            if texts.iter().all(Option::is_none) {
                return None;
            }
            let args = texts.into_iter().zip(&call.args);
            let args = args.map(|(text, arg)| text.unwrap_or_else(|| arg.clone()));
            let function = std::sync::Arc::clone(&call.func);
            Some(Expr::ScalarFunction(ScalarFunction::new_udf(
                function,
                args.collect(),
            )))
        }
        Expr::WindowFunction(window) => {
            let arg = argument(window.fun.name(), &window.params.args, schema, casts)?;
            with_argument(expr, arg)
        }
        _ => None,
    }
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// The type that a dividend is to have; `None` when it has it, or when nothing of the two is numeric.
fn dividend(left: &DataType, right: &DataType) -> Option<DataType> {
    let exact = |side: &DataType| side.is_integer() || side.is_decimal();
    if !exact(left) || !exact(right) || !(left.is_decimal() || right.is_decimal()) {
        return None;
    }
    let (digits, scale) = digits(left);
    let wide = DataType::Decimal256(WIDEST, scale.max(SCALE));
    (scale < SCALE || digits < WIDEST).then_some(wide)
}

fn digits(data_type: &DataType) -> (u8, i8) {
    match data_type {
        DataType::Decimal32(digits, scale)
        | DataType::Decimal64(digits, scale)
        | DataType::Decimal128(digits, scale)
        | DataType::Decimal256(digits, scale) => (*digits, *scale),
        _ => (0, 0),
    }
}

/// The argument that an aggregate is to have; `None` when it has it.
fn argument(function: &str, args: &[Expr], schema: &DFSchema, casts: Casts) -> Option<Expr> {
    let [arg] = args else {
        return None;
    };
    let from = || arg.get_type(schema).ok();
    let to = match function {
        "sum" => match from()? {
            DataType::Int64 if !is_integer(arg, schema, casts) => {
                DataType::Decimal128(BIGINT_DIGITS, 0)
            }
            DataType::UInt64 => DataType::Decimal128(BIGINT_DIGITS, 0),
            _ => return None,
        },
        "avg" => {
            let from = from()?;
            let (_, scale) = digits(&from);
            if !from.is_decimal() || scale >= SCALE {
                return None;
            }
            DataType::Decimal256(WIDEST, SCALE)
        }
        _ => return None,
    };
    Some(cast(arg.clone(), to))
}

/// Whether what the planner has as a bigint is an integer, or smaller, in PostgreSQL: constants below 2^31 are, and what
/// is made of them and of integers. Products are left to numeric, which has room for those that an integer has not.
fn is_integer(expr: &Expr, schema: &DFSchema, casts: Casts) -> bool {
    let is = |part: &Expr| is_integer(part, schema, casts);
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => i32::try_from(*value).is_ok(),
        Expr::Literal(value, _) if value.is_null() => true,
        Expr::Alias(alias) => is(&alias.expr),
        Expr::Negative(value) => is(value),
        Expr::Cast(Cast { expr: value, field }) if *field.data_type() == DataType::Int64 => {
            casts == Casts::Planned && is_small(value, schema)
        }
        Expr::Case(case) => {
            let mut branches = case.when_then_expr.iter().map(|(_, then)| then);
            branches.all(|then| is(then)) && case.else_expr.iter().all(|value| is(value))
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Plus | Operator::Minus | Operator::Divide | Operator::Modulo,
            right,
        }) => is(left) && is(right),
        Expr::ScalarFunction(call) if keeps_type(call.func.name()) => call.args.iter().all(is),
        _ => is_small(expr, schema),
    }
}

/// Whether a function of numbers gives one of their type.
fn keeps_type(function: &str) -> bool {
    matches!(
        function,
        "coalesce" | "greatest" | "least" | "nullif" | "abs"
    )
}

fn is_small(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(
        expr.get_type(schema),
        Ok(DataType::Int8 | DataType::Int16 | DataType::Int32)
    )
}

/// A sum of what casts to bigint, each of which stands twice: so it is not taken for the planner's.
fn summed_as_written(expr: &Expr) -> Option<Expr> {
    let (name, args) = match expr {
        Expr::AggregateFunction(aggregate) => (aggregate.func.name(), &aggregate.params.args),
        Expr::WindowFunction(window) => (window.fun.name(), &window.params.args),
        _ => return None,
    };
    let is_bigint = |part: &Expr| matches!(part, Expr::Cast(cast) if *cast.field.data_type() == DataType::Int64);
    let [arg] = args.as_slice() else {
        return None;
    };
    if name != "sum" || !arg.exists(|part| Ok(is_bigint(part))).ok()? {
        return None;
    }
    let twice = arg.clone().transform_up(|part| {
        Ok(match is_bigint(&part) {
            true => Transformed::yes(cast(part, DataType::Int64)),
            false => Transformed::no(part),
        })
    });
    with_argument(expr, twice.ok()?.data)
}

/// An aggregate of another argument.
fn with_argument(expr: &Expr, arg: Expr) -> Option<Expr> {
    match expr {
        Expr::AggregateFunction(aggregate) => {
            let mut params = aggregate.params.clone();
            *params.args.first_mut()? = arg;
            let func = std::sync::Arc::clone(&aggregate.func);
            Some(Expr::AggregateFunction(AggregateFunction { func, params }))
        }
        Expr::WindowFunction(window) => {
            let mut changed = WindowFunction::clone(window);
            *changed.params.args.first_mut()? = arg;
            Some(Expr::WindowFunction(Box::new(changed)))
        }
        _ => None,
    }
}
