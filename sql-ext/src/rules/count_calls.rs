//! Counts of calls on packed genotypes.
//!
//! ```text
//! before   AggregateExec: mode=Partial, gby=[sample_id], aggr=[count(1)]
//!            CallScanExec: table=carriers
//! after    CallCountExec: table=carriers, by=[sample_id], counts=[count(*)]
//! ```
//! See [`genokura_exec::count_on_packed`] for which aggregations it is.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use genokura_exec::count_on_packed;

/// The rule.
#[derive(Debug)]
pub(crate) struct CountCalls;

impl PhysicalOptimizerRule for CountCalls {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let count = |node: Arc<dyn ExecutionPlan>| {
            let counted = match node.downcast_ref::<AggregateExec>() {
                Some(aggregate) => count_on_packed(aggregate)?,
                None => None,
            };
            Ok(match counted {
                Some(counted) => Transformed::yes(counted),
                None => Transformed::no(node),
            })
        };
        plan.transform_down(count).data()
    }

    fn name(&self) -> &'static str {
        "count_calls"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
