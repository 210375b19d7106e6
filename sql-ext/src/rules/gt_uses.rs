//! Who uses the column `gt` of a scan: the functions in the nodes above it, followed until a node gives it away no
//! more.

use std::sync::Arc;

use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use genokura_exec::{BareRowsExec, DatasetScanExec};

/// A function of `gt`.
pub(super) struct GtCall {
    pub(super) function: String,
    /// The arguments after `gt`.
    pub(super) arguments: Vec<Arc<dyn PhysicalExpr>>,
}

/// How a plan uses the `gt` of the scan below it.
enum Use {
    /// It still gives `gt` as this column, and called these functions of it so far.
    Live(usize, Vec<GtCall>),
    /// It gives it no more, and called these functions of it in all.
    Done(Vec<GtCall>),
}

/// All functions that are called of the `gt` of the one scan below `plan`, if that is the node that ends its use;
/// `None` when it is not, when `gt` is used otherwise, or when it cannot be told.
pub(super) fn ended_by(plan: &Arc<dyn ExecutionPlan>) -> Option<Vec<GtCall>> {
    match used_below(plan)? {
        Use::Done(calls) => Some(calls),
        Use::Live(..) => None,
    }
}

fn used_below(plan: &Arc<dyn ExecutionPlan>) -> Option<Use> {
    if let Some(scan) = plan.downcast_ref::<DatasetScanExec>() {
        let gt = scan.spec().columns.iter().position(|name| name == "gt")?;
        return Some(Use::Live(gt, Vec::new()));
    }
    let [input] = plan.children()[..] else {
        return None;
    };
    let Use::Live(gt, mut calls) = used_below(input)? else {
        return None;
    };
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        calls_in(filter.predicate(), gt, &mut calls)?;
        let out = match filter.projection() {
            None => Some(gt),
            Some(kept) => kept.iter().position(|column| *column == gt),
        };
        return Some(ended_or(out, calls));
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let mut out = None;
        for (place, expr) in projection.expr().iter().enumerate() {
            if is_column(&expr.expr, gt) {
                // Twice the same column: which of them is used later is not followed.
                if out.replace(place).is_some() {
                    return None;
                }
            } else {
                calls_in(&expr.expr, gt, &mut calls)?;
            }
        }
        return Some(ended_or(out, calls));
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        let groups = aggregate.group_expr().input_exprs();
        let arguments = aggregate.aggr_expr().iter().flat_map(|a| a.expressions());
        let filters = aggregate.filter_expr().iter().flatten().cloned();
        let orders = aggregate.aggr_expr().iter().flat_map(|a| a.order_bys());
        let orders = orders.map(|order| Arc::clone(&order.expr));
        for expr in groups
            .into_iter()
            .chain(arguments)
            .chain(filters)
            .chain(orders)
        {
            calls_in(&expr, gt, &mut calls)?;
        }
        return Some(Use::Done(calls));
    }
    let passes = plan.downcast_ref::<CooperativeExec>().is_some()
        || plan.downcast_ref::<BareRowsExec>().is_some()
        || plan.downcast_ref::<CoalescePartitionsExec>().is_some()
        || plan
            .downcast_ref::<RepartitionExec>()
            .is_some_and(|r| matches!(r.partitioning(), Partitioning::RoundRobinBatch(_)));
    passes.then_some(Use::Live(gt, calls))
}

fn ended_or(out: Option<usize>, calls: Vec<GtCall>) -> Use {
    match out {
        Some(gt) => Use::Live(gt, calls),
        None => Use::Done(calls),
    }
}

fn is_column(expr: &Arc<dyn PhysicalExpr>, index: usize) -> bool {
    let column = expr.downcast_ref::<Column>();
    column.is_some_and(|column| column.index() == index)
}

/// Adds the functions that an expression calls of column `gt`; `None` when it uses it otherwise.
fn calls_in(expr: &Arc<dyn PhysicalExpr>, gt: usize, calls: &mut Vec<GtCall>) -> Option<()> {
    if is_column(expr, gt) {
        return None;
    }
    if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>()
        && let [first, rest @ ..] = call.args()
        && is_column(first, gt)
    {
        calls.push(GtCall {
            function: call.name().to_owned(),
            arguments: rest.to_vec(),
        });
        // Arguments may use it as well.
        return rest.iter().try_for_each(|expr| calls_in(expr, gt, calls));
    }
    let children = expr.children();
    children
        .into_iter()
        .try_for_each(|child| calls_in(child, gt, calls))
}
