//! Planning that can be stopped: every rule of the planner looks first whether its statement is still wanted.
//!
//! Planning does not yield, so that dropping its task ends nothing: a statement of thousands of conditions would be
//! planned to its end although nobody waits for it. The rules are what the planner calls again and again, most of
//! them for every node of the plan.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{AnalyzerRule, OptimizerConfig, OptimizerRule};
use datafusion::physical_optimizer::{PhysicalOptimizerContext, PhysicalOptimizerRule};
use datafusion::physical_plan::ExecutionPlan;

use super::stop::Stop;
use crate::made;

/// The same context, whose planner heeds the [`Stop`] of its configuration.
pub(super) fn stoppable(context: &SessionContext) -> SessionContext {
    let state = context.state();
    let analyzer = state.analyzer().rules.iter().cloned();
    let analyzer = analyzer.map(|rule| Arc::new(HeedingAnalyzer(rule)) as _);
    let analyzer = analyzer.collect();
    let logical = state.optimizers().iter().cloned();
    let logical = logical.map(|rule| Arc::new(HeedingOptimizer(rule)) as _);
    let logical = logical.collect();
    let physical = state.physical_optimizers().iter().cloned();
    let physical = physical.map(|rule| Arc::new(HeedingPhysical(rule)) as _);
    let physical = physical.collect();
    let state = SessionStateBuilder::new_from_existing(state)
        .with_analyzer_rules(analyzer)
        .with_optimizer_rules(logical)
        .with_physical_optimizer_rules(physical)
        .build();
    SessionContext::new_with_state(state)
}

/// Fails once the statement that is planned under this configuration was stopped.
pub(crate) fn heed(config: &ConfigOptions) -> Result<()> {
    match config.extensions.get::<Stop>() {
        Some(stop) if stop.is_set() => Err(DataFusionError::Execution(
            "the statement was stopped".to_owned(),
        )),
        _ => Ok(()),
    }
}

#[derive(Debug)]
struct HeedingAnalyzer(Arc<dyn AnalyzerRule + Send + Sync>);

impl AnalyzerRule for HeedingAnalyzer {
    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        heed(config)?;
        made::planning(|| self.0.analyze(plan, config))
    }

    fn name(&self) -> &str {
        self.0.name()
    }
}

#[derive(Debug)]
struct HeedingOptimizer(Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for HeedingOptimizer {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        heed(&config.options())?;
        made::planning(|| self.0.rewrite(plan, config))
    }
}

#[derive(Debug)]
struct HeedingPhysical(Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for HeedingPhysical {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        heed(config)?;
        made::planning(|| self.0.optimize(plan, config))
    }

    fn optimize_with_context(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        context: &dyn PhysicalOptimizerContext,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        heed(context.config_options())?;
        made::planning(|| self.0.optimize_with_context(plan, context))
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

genokura_exec::carried_in_options!(Stop, "stop");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_statement_that_was_stopped_is_planned_no_further() {
        let stop = Stop::default();
        let mut state = stoppable(&SessionContext::new()).state();
        state
            .config_mut()
            .options_mut()
            .extensions
            .insert(stop.clone());
        let sql = "select a, count(*) from (values (1), (2)) as t(a) where a > 1 group by a";
        let plan = state.create_logical_plan(sql).await.unwrap();
        let physical = state.create_physical_plan(&plan).await.unwrap();
        assert!(state.optimize(&plan).is_ok());
        drop(stop.guard());
        let stopped = |error: DataFusionError| error.to_string().contains("was stopped");
        assert!(state.optimize(&plan).is_err_and(stopped));
        assert!(state.create_physical_plan(&plan).await.is_err_and(stopped));
        for rule in state.physical_optimizers() {
            let planned = rule.optimize(Arc::clone(&physical), state.config_options());
            assert!(planned.is_err_and(stopped), "{}", rule.name());
        }
    }
}
