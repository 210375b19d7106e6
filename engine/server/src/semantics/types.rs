//! Types of results that PostgreSQL gives otherwise than the planner, settled before the planner settles types.
//!
//! - The sum of bigint is numeric, and so is what is divided by it: `sum(n_ts) / sum(n_tv)` is 0.2997.
//! - Division of numeric and its average keep 16 more digits than the planner's 4.
//! - A constant beside a time is read as what that is, a date beside an instant as the session's midnight.

use std::cell::Cell;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction, WindowFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator, cast};

/// Digits behind the point that a dividend has at least: PostgreSQL gives some 16 significant ones.
const SCALE: i8 = 16;
/// Digits of the widest decimal.
const WIDEST: u8 = 76;
/// Digits of any bigint.
const BIGINT_DIGITS: u8 = 20;

/// A plan whose expressions have PostgreSQL's types.
///
/// # Errors
/// What changing a plan fails with.
pub(crate) fn settle(plan: LogicalPlan) -> Result<LogicalPlan> {
    settle_by(plan, typed)
}

/// A plan whose times are told apart from what stands beside them; other types may not be known yet.
///
/// # Errors
/// As [`settle`].
pub(crate) fn settle_times(plan: LogicalPlan) -> Result<LogicalPlan> {
    settle_by(plan, super::clock::settled)
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

/// What an expression should be; `None` when its type is PostgreSQL's.
fn typed(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    if let Some(settled) = super::clock::settled(expr, schema) {
        return Some(settled);
    }
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let of = |side: &Expr| side.get_type(schema).ok();
            match op {
                Operator::Divide => {
                    let dividend = dividend(&of(left)?, &of(right)?)?;
                    Some(binary(
                        cast(left.as_ref().clone(), dividend),
                        *op,
                        right.as_ref().clone(),
                    ))
                }
                _ => None,
            }
        }
        Expr::AggregateFunction(aggregate) => {
            let args = &aggregate.params.args;
            let arg = argument(aggregate.func.name(), args, schema)?;
            let mut params = aggregate.params.clone();
            *params.args.first_mut()? = arg;
            let func = std::sync::Arc::clone(&aggregate.func);
            Some(Expr::AggregateFunction(AggregateFunction { func, params }))
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
            let arg = argument(window.fun.name(), &window.params.args, schema)?;
            let mut changed = WindowFunction::clone(window);
            *changed.params.args.first_mut()? = arg;
            Some(Expr::WindowFunction(Box::new(changed)))
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
fn argument(function: &str, args: &[Expr], schema: &DFSchema) -> Option<Expr> {
    let [arg] = args else {
        return None;
    };
    let from = || arg.get_type(schema).ok();
    let to = match function {
        "sum" if from()? == DataType::Int64 => DataType::Decimal128(BIGINT_DIGITS, 0),
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
