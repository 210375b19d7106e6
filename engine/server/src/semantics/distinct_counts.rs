//! `count(DISTINCT …)` is counted: what the planner knows of a constant column is that it has one value, also where that is
//! NULL, or where there is no row.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;

/// The planner's rule that answers aggregates from statistics.
const OF_STATISTICS: &str = "aggregate_statistics";

/// Keeps the planner from answering such counts by what it knows of columns.
pub(super) fn install(context: &SessionContext) {
    let state = context.state_ref();
    let mut state = state.write();
    let rules = state.physical_optimizers().iter().cloned();
    let rules = rules.map(|rule| match rule.name() {
        OF_STATISTICS => Arc::new(Counted(rule)) as _,
        _ => rule,
    });
    let rules = rules.collect();
    let builder = SessionStateBuilder::new_from_existing(state.clone());
    *state = builder.with_physical_optimizer_rules(rules).build();
}

/// The rule for plans without such counts.
#[derive(Debug)]
struct Counted(Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for Counted {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut counts = false;
        plan.apply(|node| {
            if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
                let mut exprs = aggregate.aggr_expr().iter();
                counts = counts || exprs.any(|expr| expr.is_distinct());
            }
            Ok(match counts {
                true => TreeNodeRecursion::Stop,
                false => TreeNodeRecursion::Continue,
            })
        })?;
        match counts {
            true => Ok(plan),
            false => self.0.optimize(plan, config),
        }
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}
