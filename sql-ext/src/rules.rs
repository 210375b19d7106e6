//! Optimiser rules, one in each file: what makes plain SQL over `calls` and `carriers` run on packed genotypes.

mod count_calls;
mod genotype_counts;
mod genotype_samples;
mod gt_uses;

use std::sync::Arc;

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_optimizer::PhysicalOptimizerRule;

/// The first of DataFusion's rules that wraps nodes.
const WRAPS: &str = "EnsureCooperative";

/// Adds the rules to those of a session: where the plan has its final shape and before its nodes are wrapped to
/// yield.
pub(crate) fn register(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    let ours: [Arc<dyn PhysicalOptimizerRule + Send + Sync>; 3] = [
        Arc::new(count_calls::CountCalls),
        Arc::new(genotype_counts::GenotypeCounts),
        Arc::new(genotype_samples::GenotypeSamples),
    ];
    let optimizer = builder.physical_optimizers().get_or_insert_default();
    let wraps = optimizer.rules.iter().position(|rule| rule.name() == WRAPS);
    let at = wraps.unwrap_or(optimizer.rules.len());
    optimizer.rules.splice(at..at, ours);
    builder
}
