//! Sums of real, which are real: they are added up in double precision, so that the order of the rows changes little,
//! and rounded once.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan, LogicalPlanBuilder, cast};

/// A node that adds up reals, below one that tells their sums as real.
///
/// # Errors
/// What making a plan fails with.
pub(super) fn of_reals(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let made = match &node {
        LogicalPlan::Aggregate(aggregate) => &aggregate.aggr_expr,
        LogicalPlan::Window(window) => &window.window_expr,
        _ => return Ok(Transformed::no(node)),
    };
    let schema = super::super::input_schema(&node);
    let sums: Vec<bool> = made.iter().map(|expr| adds_reals(expr, &schema)).collect();
    if !sums.contains(&true) {
        return Ok(Transformed::no(node));
    }
    // What a node makes stands behind what it has.
    let before = node.schema().fields().len() - sums.len();
    let sums = std::iter::repeat_n(false, before).chain(sums);
    let columns = node.schema().iter().zip(sums);
    let columns: Vec<Expr> = columns
        .map(|((qualifier, field), is_sum)| {
            let column = Expr::Column((qualifier, field).into());
            match is_sum {
                true => cast(column, DataType::Float32)
                    .alias_qualified(qualifier.cloned(), field.name()),
                false => column,
            }
        })
        .collect();
    let told = LogicalPlanBuilder::from(node).project(columns)?.build()?;
    Ok(Transformed::yes(told))
}

fn adds_reals(expr: &Expr, schema: &DFSchema) -> bool {
    let (name, args) = match expr {
        Expr::Alias(alias) => return adds_reals(&alias.expr, schema),
        Expr::AggregateFunction(aggregate) => (aggregate.func.name(), &aggregate.params.args),
        Expr::WindowFunction(window) => (window.fun.name(), &window.params.args),
        _ => return false,
    };
    let of_reals = |arg: &Expr| matches!(arg.get_type(schema), Ok(DataType::Float32));
    name == "sum" && matches!(args.as_slice(), [arg] if of_reals(arg))
}
