//! Calls joined with their variants where site rows are read.
//!
//! ```text
//! before   HashJoinExec: mode=CollectLeft, join_type=Inner, on=[contig, pos, ref, alt]
//!            VariantScanExec: filters=[af < 0.001]
//!            CallScanExec: table=carriers
//! after    CallScanExec: table=carriers, joined with variants=[af < 0.001]
//! ```
//! See [`genokura_exec::join_on_sites`] for which joins it is.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::{ProjectionExec, try_embed_projection};
use genokura_exec::join_on_sites;

/// A join that is made on sites, with the columns that a projection asks of it and no other.
fn with_projection(projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(join) = projection.input().downcast_ref::<HashJoinExec>() else {
        return Ok(None);
    };
    if join_on_sites(join)?.is_none() {
        return Ok(None);
    }
    try_embed_projection(projection, join)
}

/// The rule.
#[derive(Debug)]
pub(crate) struct JoinOnSites;

impl PhysicalOptimizerRule for JoinOnSites {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let join = |node: Arc<dyn ExecutionPlan>| {
            let embedded = match node.downcast_ref::<ProjectionExec>() {
                Some(projection) => with_projection(projection)?,
                None => None,
            };
            let changed = embedded.is_some();
            let node = embedded.unwrap_or(node);
            let joined = match node.downcast_ref::<HashJoinExec>() {
                Some(join) => join_on_sites(join)?,
                None => None,
            };
            Ok(match joined {
                Some(joined) => Transformed::yes(joined),
                None => Transformed::new_transformed(node, changed),
            })
        };
        plan.transform_down(join).data()
    }

    fn name(&self) -> &'static str {
        "join_on_sites"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
