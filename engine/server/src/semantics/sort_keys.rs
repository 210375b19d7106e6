//! What aggregates and windows are sorted by, each key once: a later one that is the same never matters, and the planner
//! takes the two for different columns of what it keeps.

use std::collections::HashSet;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr::{AggregateFunction, Sort, WindowFunction};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Leaves repeated keys out. After the planner's own rules, by which keys may have become the same.
#[derive(Debug)]
pub(super) struct KeysOnce;

impl OptimizerRule for KeysOnce {
    fn name(&self) -> &'static str {
        "sort_keys_once"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) => {
                super::with_expressions(plan, |expr, _| once(expr))
            }
            plan => Ok(Transformed::no(plan)),
        }
    }
}

/// An aggregate or a window with each key once; `None` when it has.
fn once(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::AggregateFunction(aggregate) => {
            let order_by = distinct(&aggregate.params.order_by)?;
            let mut changed = AggregateFunction::clone(aggregate);
            changed.params.order_by = order_by;
            Some(Expr::AggregateFunction(changed))
        }
        Expr::WindowFunction(window) => {
            let order_by = distinct(&window.params.order_by)?;
            let mut changed = WindowFunction::clone(window);
            changed.params.order_by = order_by;
            Some(Expr::WindowFunction(Box::new(changed)))
        }
        _ => None,
    }
}

/// What a key is called does not matter: one that was folded keeps its name.
fn distinct(keys: &[Sort]) -> Option<Vec<Sort>> {
    if keys.len() < 2 {
        return None;
    }
    let mut known = HashSet::new();
    let first: Vec<Sort> = keys
        .iter()
        .filter(|key| known.insert(key.expr.clone().unalias_nested().data))
        .cloned()
        .collect();
    (first.len() < keys.len()).then_some(first)
}
