//! What is sorted by keys in sorts and windows: intervals, arrays and jsonb, which the planner has other orders of.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{
    Expr, ExprSchemable as _, LogicalPlan, WindowFrame, WindowFrameBound, WindowFrameUnits,
};

use super::{arrays, clock, json_order};

/// Intervals are sorted by their length, arrays with NULL as the greatest item, jsonb by its kinds and what it holds.
pub(super) fn sorted(node: LogicalPlan) -> Transformed<LogicalPlan> {
    let LogicalPlan::Sort(mut sort) = node else {
        return Transformed::no(node);
    };
    let mut any = false;
    for by in &mut sort.expr {
        if let Some(key) = sort_key(&by.expr, sort.input.schema()) {
            by.expr = key;
            any = true;
        }
    }
    Transformed::new_transformed(LogicalPlan::Sort(sort), any)
}

/// What a value is sorted by; `None` where that is the value.
fn sort_key(by: &Expr, schema: &DFSchema) -> Option<Expr> {
    if matches!(by.get_type(schema), Ok(DataType::Interval(_))) {
        return Some(clock::key(by.clone()));
    }
    arrays::order::sorted(by, schema).or_else(|| json_order::sorted(by, schema))
}

/// Whether values are of a type that ranges are not taken of.
fn has_no_distance(by: &Expr, schema: &DFSchema) -> bool {
    matches!(
        by.get_type(schema),
        Ok(DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
            | DataType::Struct(_))
    )
}

/// A call over a window whose rows are sorted and told apart by keys; `None` where those are the values.
pub(super) fn windowed(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::WindowFunction(window) = expr else {
        return None;
    };
    let far = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::Preceding(value) | WindowFrameBound::Following(value) => !value.is_null(),
        WindowFrameBound::CurrentRow => false,
    };
    let frame = &window.params.window_frame;
    // The frame counts in values.
    if frame.units == WindowFrameUnits::Range && (far(&frame.start_bound) || far(&frame.end_bound))
    {
        return None;
    }
    let mut changed = window.clone();
    let mut any = false;
    let partitions = changed.params.partition_by.iter_mut();
    let orders = changed.params.order_by.iter_mut().map(|by| &mut by.expr);
    for value in partitions.chain(orders) {
        if let Some(key) = sort_key(value, schema) {
            *value = key;
            any = true;
        }
    }
    // Between rows that are equal and the ends a frame of groups is the same, whatever the keys are. The planner looks
    // for distances of values in ranges, also where there are none to look for.
    if frame.units == WindowFrameUnits::Range && !window.params.order_by.is_empty() {
        let mut orders = window.params.order_by.iter();
        any |= orders.any(|by| has_no_distance(&by.expr, schema));
        changed.params.window_frame = WindowFrame::new_bounds(
            WindowFrameUnits::Groups,
            frame.start_bound.clone(),
            frame.end_bound.clone(),
        );
    }
    any.then_some(Expr::WindowFunction(changed))
}
