//! Filters over joins whose sides were exchanged: `a RIGHT JOIN b ON a.k = b.k WHERE b.x > 2 AND a.k IS NULL`.
//!
//! ```text
//! FilterExec: k@0 IS NULL                    ProjectionExec: k@1 as k, k@0 as k
//!   ProjectionExec: k@1 as k, k@0 as k   ─►    FilterExec: k@1 IS NULL
//!     HashJoinExec (sides exchanged)             HashJoinExec (sides exchanged)
//! ```
//! DataFusion looks for the side that smaller tables make, and puts the columns back in order by a projection. When it
//! then moves filters down it knows columns of a projection by their names alone: of two `k` it takes one for the other.
//! Below the projection it goes by their places.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

/// The same context, whose filters stand below such projections before they are moved down.
pub(super) fn filtering_below(context: &SessionContext) -> SessionContext {
    let state = context.state();
    let mut rules = state.physical_optimizers().to_vec();
    let selection = rules
        .iter()
        .position(|rule| rule.name() == "join_selection");
    rules.insert(selection.map_or(0, |at| at + 1), Arc::new(BelowRule));
    let builder = SessionStateBuilder::new_from_existing(state);
    SessionContext::new_with_state(builder.with_physical_optimizer_rules(rules).build())
}

#[derive(Debug)]
struct BelowRule;

impl PhysicalOptimizerRule for BelowRule {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|node| {
            Ok(match below(&node)? {
                Some(exchanged) => Transformed::yes(exchanged),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "FiltersBelowProjections"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn below(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(filter) = node.downcast_ref::<FilterExec>() else {
        return Ok(None);
    };
    let Some(projection) = filter.input().downcast_ref::<ProjectionExec>() else {
        return Ok(None);
    };
    let columns = projection.expr();
    let own = columns.iter().map(|column| column.alias.as_str()).collect();
    let inner = projection.input().schema();
    let inner = inner.fields().iter().map(|field| field.name().as_str());
    let repeated = repeats(own) || repeats(inner.collect());
    let plain = columns.iter().all(|column| column.expr.is::<Column>());
    if !repeated || !plain || filter.fetch().is_some() {
        return Ok(None);
    }
    let predicate = Arc::clone(filter.predicate()).transform_down(|part| {
        let column = part.downcast_ref::<Column>();
        let own = column.and_then(|column| columns.get(column.index()));
        Ok(match own {
            Some(own) => {
                let own = Arc::clone(&own.expr) as Arc<dyn PhysicalExpr>;
                Transformed::new(own, true, TreeNodeRecursion::Jump)
            }
            None => Transformed::no(part),
        })
    })?;
    let filtered = FilterExecBuilder::new(predicate.data, Arc::clone(projection.input()))
        .with_default_selectivity(filter.default_selectivity())
        .with_batch_size(filter.batch_size())
        .build()?;
    let kept: Vec<ProjectionExpr> = match filter.projection() {
        Some(places) => places
            .iter()
            .filter_map(|at| columns.get(*at).cloned())
            .collect(),
        None => columns.to_vec(),
    };
    Ok(Some(Arc::new(ProjectionExec::try_new(
        kept,
        Arc::new(filtered),
    )?)))
}

fn repeats(mut names: Vec<&str>) -> bool {
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}
