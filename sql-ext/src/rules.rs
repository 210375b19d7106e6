//! Optimiser rules, one in each file: what makes plain SQL over `calls` and `carriers` run on packed genotypes and
//! joins by overlap run as interval joins, what joins calls with their variants where both are read, what makes joins of
//! subqueries that speak of outer rows, what refuses comparisons of contigs that are named in different ways, and what
//! keeps sorts and limits where the answer needs them.

mod bare_rows;
pub(crate) mod contig_names;
mod correlated;
mod count_below_join;
mod count_calls;
mod genotype_counts;
mod genotype_samples;
mod gt_uses;
mod interval_join;
mod join_on_sites;
mod symbolic_alleles;

use std::sync::Arc;

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_optimizer::PhysicalOptimizerRule;

/// The first of DataFusion's rules that wraps nodes.
const WRAPS: &str = "EnsureCooperative";
/// The rule of DataFusion that chooses the build side of joins.
const CHOOSES_SIDES: &str = "join_selection";
/// The rule of DataFusion that plans sorts and partitions.
const SORTS: &str = "EnsureRequirements";

/// Adds the rules to those of a session: those on genotypes where the plan has its final shape and before its nodes are
/// wrapped to yield; that on joins when their sides are chosen and their inputs are not yet partitioned.
///
/// That on joins of calls works on logical plans, after DataFusion's own rules.
pub(crate) fn register(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    let logical = builder.optimizer_rules().get_or_insert_default();
    logical.push(Arc::new(count_below_join::CountBelowJoin));
    let ours: [Arc<dyn PhysicalOptimizerRule + Send + Sync>; 3] = [
        Arc::new(count_calls::CountCalls),
        Arc::new(genotype_counts::GenotypeCounts),
        Arc::new(genotype_samples::GenotypeSamples),
    ];
    let optimizer = builder.physical_optimizers().get_or_insert_default();
    let wraps = optimizer.rules.iter().position(|rule| rule.name() == WRAPS);
    let at = wraps.unwrap_or(optimizer.rules.len());
    optimizer.rules.splice(at..at, ours);
    let chosen = optimizer
        .rules
        .iter()
        .position(|rule| rule.name() == CHOOSES_SIDES);
    let at = chosen.map_or(0, |at| at + 1);
    optimizer
        .rules
        .insert(at, Arc::new(interval_join::IntervalJoin));
    let sorts = optimizer.rules.iter().position(|rule| rule.name() == SORTS);
    let at = sorts.map_or(optimizer.rules.len(), |at| at + 1);
    optimizer
        .rules
        .insert(at, Arc::new(bare_rows::BareRowsKept));
    optimizer
        .rules
        .insert(at.saturating_sub(1), Arc::new(bare_rows::BareRows));
    // Before anything stands between a join and its scans.
    optimizer
        .rules
        .insert(0, Arc::new(join_on_sites::JoinOnSites));
    builder
        .with_analyzer_rule(Arc::new(correlated::Correlated))
        .with_analyzer_rule(Arc::new(contig_names::ContigConstants))
        .with_query_planner(Arc::new(contig_names::ContigPlanner))
}
