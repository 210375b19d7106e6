//! Optimiser rules, one in each file: what makes plain SQL over `calls` and `carriers` run on packed genotypes.

mod count_calls;
mod genotype_samples;

use std::sync::Arc;

use datafusion::physical_optimizer::PhysicalOptimizerRule;

/// The rules that run on the finished physical plan.
pub(crate) fn physical() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    vec![
        Arc::new(count_calls::CountCalls),
        Arc::new(genotype_samples::GenotypeSamples),
    ]
}
