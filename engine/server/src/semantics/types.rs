//! Types of results that PostgreSQL gives otherwise than the planner, settled before the planner settles types.
//!
//! - The sum of bigint is numeric, and so is what is divided by it: `sum(n_ts) / sum(n_tv)` is 0.2997. The sum of integers
//!   is bigint, also where the planner has them as bigint: `sum(CASE WHEN affected THEN dosage ELSE 0 END)`.
//! - Places of rows are bigint, not unsigned: `(row_number() OVER () - 1) / 2` is a whole number.
//! - Division of numeric and its average keep 16 more digits than the planner's 4.
//! - A constant beside a time is read as what that is, a date beside an instant as the session's midnight.

use std::cell::Cell;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction, WindowFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator, cast};

use genokura_exec::MEAN_OF_INTEGERS;

use super::integers::{Casts, Inputs, Kind, told_as};

/// Digits behind the point that a dividend has at least: PostgreSQL gives some 16 significant ones.
const SCALE: i8 = 16;
/// Digits of the widest decimal.
pub(super) const WIDEST: u8 = 76;
/// Digits behind the point that the planner's division adds.
pub(super) const ADDED_BY_DIVISION: i8 = 4;
/// Digits that an average has more than what it is of, and one more to be rounded.
const MEAN_ADDS: u8 = 5;
/// What bigints are averaged as.
const MEAN_OF_BIGINTS: DataType = DataType::Decimal256(36, SCALE);
/// Digits of any bigint.
const BIGINT_DIGITS: u8 = 20;

/// A plan whose expressions have PostgreSQL's types, of one that stands as it was written.
///
/// # Errors
/// What changing a plan fails with.
pub(crate) fn settle(plan: LogicalPlan) -> Result<LogicalPlan> {
    settle_by(plan, Casts::Written, typed)
}

/// The same of a plan that [`settle_early`] has seen and that was analysed since.
///
/// # Errors
/// As [`settle`].
pub(crate) fn settle_analysed(plan: LogicalPlan) -> Result<LogicalPlan> {
    settle_by(plan, Casts::Planned, typed)
}

/// A plan that can be analysed before its types are settled: times are told apart from what stands beside them.
///
/// # Errors
/// As [`settle`].
pub(crate) fn settle_early(plan: LogicalPlan) -> Result<LogicalPlan> {
    settle_by(plan, Casts::Written, |expr, schema, inputs| {
        super::clock::settled(expr, schema)
            .or_else(|| asked_of_integer(expr, schema, inputs?))
            .or_else(|| digits_told(expr))
            .or_else(|| put_together(expr, schema))
    })
}

type Better = fn(&Expr, &DFSchema, Option<&Inputs>) -> Option<Expr>;

fn settle_by(plan: LogicalPlan, casts: Casts, better: Better) -> Result<LogicalPlan> {
    let changed = Cell::new(false);
    plan.transform_up_with_subqueries(|node| settled(node, casts, better, &changed))
        .map(|plan| plan.data)
}

fn settled(
    node: LogicalPlan,
    casts: Casts,
    better: Better,
    any: &Cell<bool>,
) -> Result<Transformed<LogicalPlan>> {
    let inputs = match hangs_on_kinds(&node)? {
        true => Some(Inputs::of(&node, casts)),
        false => None,
    };
    let node = super::with_expressions(node, |expr, schema| better(expr, schema, inputs.as_ref()))?;
    any.set(any.get() || node.transformed);
    // Whatever stands above a changed type has other types as well.
    match any.get() {
        true => node.map_data(LogicalPlan::recompute_schema),
        false => Ok(node),
    }
}

/// Whether the types of a node hang on what of its bigints are integers.
pub(super) fn hangs_on_kinds(node: &LogicalPlan) -> Result<bool> {
    let mut hangs = false;
    node.apply_expressions(|expr| {
        hangs = hangs
            || expr.exists(|part| {
                Ok(match part {
                    Expr::AggregateFunction(aggregate) => adds_up(aggregate.func.name()),
                    Expr::WindowFunction(window) => adds_up(window.fun.name()),
                    Expr::ScalarFunction(call) => call.func.name() == TYPE_OF,
                    _ => false,
                })
            })?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(hangs)
}

fn adds_up(aggregate: &str) -> bool {
    matches!(aggregate, "sum" | "avg")
}

/// The function that tells the type of its argument.
const TYPE_OF: &str = "pg_typeof";

/// The question for the type of an integer that the planner has as a bigint.
fn asked_of_integer(expr: &Expr, schema: &DFSchema, inputs: &Inputs) -> Option<Expr> {
    let Expr::ScalarFunction(call) = expr else {
        return None;
    };
    let [arg] = call.args.as_slice() else {
        return None;
    };
    if call.func.name() != TYPE_OF {
        return None;
    }
    let integer = told_as(&arg.get_type(schema).ok()?, inputs.kind(arg))?;
    let function = std::sync::Arc::clone(&call.func);
    let args = vec![cast(arg.clone(), integer)];
    Some(Expr::ScalarFunction(ScalarFunction::new_udf(
        function, args,
    )))
}

/// `round` and `trunc` to a constant number of digits, said as the planner has it: the type of what they give hangs on
/// it, and would be another before the planner's own cast of the constant is folded.
pub(super) fn digits_told(expr: &Expr) -> Option<Expr> {
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
fn typed(expr: &Expr, schema: &DFSchema, inputs: Option<&Inputs>) -> Option<Expr> {
    let settled = super::clock::settled(expr, schema)
        .or_else(|| digits_told(expr))
        .or_else(|| asked_of_integer(expr, schema, inputs?));
    if settled.is_some() {
        return settled;
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
            let arg = argument(aggregate.func.name(), args, schema, inputs)?;
            with_argument(expr, arg)
        }
        Expr::ScalarFunction(_) => put_together(expr, schema),
        Expr::WindowFunction(window) => {
            let arg = argument(window.fun.name(), &window.params.args, schema, inputs)?;
            with_argument(expr, arg)
        }
        _ => None,
    }
}

/// A call that puts values together to a text, of what they are printed as; `None` for any other, and where the planner
/// prints them alike. The planner casts them to text once it analyses a plan, which hides what they were.
fn put_together(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::ScalarFunction(call) = expr else {
        return None;
    };
    match call.func.name() {
        "concat" | "concat_ws" => {
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
        "array_to_string" => {
            let array = call.args.first()?;
            let texts = super::text::items_put_together(array, &array.get_type(schema).ok()?)?;
            let mut args = call.args.clone();
            if let Some(array) = args.first_mut() {
                *array = texts;
            }
            let function = std::sync::Arc::clone(&call.func);
            let call = ScalarFunction::new_udf(function, args);
            Some(Expr::ScalarFunction(call))
        }
        _ => None,
    }
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

/// The type that a dividend is to have; `None` when it has it, or when nothing of the two is numeric.
pub(super) fn dividend(left: &DataType, right: &DataType) -> Option<DataType> {
    let exact = |side: &DataType| side.is_integer() || side.is_decimal();
    if !exact(left) || !exact(right) || !(left.is_decimal() || right.is_decimal()) {
        return None;
    }
    let whole = |side: &DataType| match side {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        _ => BIGINT_DIGITS,
    };
    let shape = |side: &DataType| match side.is_decimal() {
        true => digits(side),
        false => (whole(side), 0),
    };
    let ((given, scale), (_, of_divisor)) = (shape(left), shape(right));
    if left.is_decimal() && scale >= SCALE {
        return None;
    }
    let wide = i16::from(given) - i16::from(scale) + i16::from(SCALE);
    let room = wide + i16::from(ADDED_BY_DIVISION) + i16::from(of_divisor);
    let narrow =
        !matches!(left, DataType::Decimal256(..)) && !matches!(right, DataType::Decimal256(..));
    let wide = u8::try_from(wide.max(i16::from(SCALE))).ok()?.min(WIDEST);
    // 128 bits hold what some quotients are made of.
    Some(
        match narrow && room <= i16::from(DECIMAL128_MAX_PRECISION) {
            true => DataType::Decimal128(wide, SCALE),
            false => DataType::Decimal256(wide, SCALE),
        },
    )
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
fn argument(
    function: &str,
    args: &[Expr],
    schema: &DFSchema,
    inputs: Option<&Inputs>,
) -> Option<Expr> {
    let [arg] = args else {
        return None;
    };
    let from = || arg.get_type(schema).ok();
    let to = match function {
        "sum" => match from()? {
            DataType::Int64 if inputs?.kind(arg) != Kind::Integer => {
                DataType::Decimal128(BIGINT_DIGITS, 0)
            }
            DataType::UInt64 => DataType::Decimal128(BIGINT_DIGITS, 0),
            _ => return None,
        },
        "avg" => {
            let from = from()?;
            match from {
                DataType::Int8 | DataType::Int16 | DataType::Int32 => {
                    return Some(cast(arg.clone(), MEAN_OF_INTEGERS));
                }
                DataType::Int64 if inputs?.kind(arg) == Kind::Integer => {
                    return Some(cast(arg.clone(), MEAN_OF_INTEGERS));
                }
                DataType::Int64 | DataType::UInt64 => {
                    return Some(cast(arg.clone(), MEAN_OF_BIGINTS));
                }
                _ => {}
            }
            mean_of_numeric(&from)?
        }
        _ => return None,
    };
    Some(cast(arg.clone(), to))
}

/// The sum or average of what has another type in PostgreSQL, before the planner's casts to bigint stand among those that
/// were written.
pub(super) fn summed(expr: &Expr, schema: &DFSchema, inputs: &Inputs) -> Option<Expr> {
    let (name, args) = match expr {
        Expr::AggregateFunction(aggregate) => (aggregate.func.name(), &aggregate.params.args),
        Expr::WindowFunction(window) => (window.fun.name(), &window.params.args),
        _ => return None,
    };
    let [arg] = args.as_slice() else {
        return None;
    };
    let wide = match (name, inputs.kind(arg)) {
        ("sum", Kind::Bigint) => DataType::Decimal128(BIGINT_DIGITS, 0),
        ("avg", Kind::Bigint) => MEAN_OF_BIGINTS,
        ("avg", Kind::Integer) => MEAN_OF_INTEGERS,
        ("avg", Kind::Other) => mean_of_numeric(&arg.get_type(schema).ok()?)?,
        _ => return None,
    };
    with_argument(expr, cast(arg.clone(), wide))
}

/// What a numeric is averaged as; `None` when it has the digits.
fn mean_of_numeric(from: &DataType) -> Option<DataType> {
    let (given, scale) = digits(from);
    if let DataType::Decimal128(..) = from
        && scale >= SCALE
        && given + MEAN_ADDS > DECIMAL128_MAX_PRECISION
    {
        return Some(DataType::Decimal256(given, scale));
    }
    let given = !from.is_decimal() || scale >= SCALE || *from == MEAN_OF_INTEGERS;
    (!given).then_some(DataType::Decimal256(WIDEST, SCALE))
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
