//! Sorts and limits stand where the answer needs them.
//!
//! DataFusion (55.2) takes for granted what does not hold of every plan, in `EnsureRequirements`: a sort is then left
//! out, groups are closed before their last row has come, or a limit cuts rows that something above it still counts.
//! [`BareRows`] stands in front of that rule and puts a [`BareRowsExec`] where it would conclude too much;
//! [`BareRowsKept`] stands behind it and takes away those that changed nothing.
//!
//! # What is forgotten
//! - **Constants below an outer join.** What a filter below fixes is NULL in rows without a match, and equality to an
//!   expression ends there (`x = coalesce(y, 0)`). `EquivalenceGroup::join` keeps both:
//!   ```text
//!   SELECT p.grp FROM k LEFT JOIN p ON p.id = k.id AND p.grp = 'a' ORDER BY p.grp NULLS FIRST LIMIT 1
//!     CoalescePartitionsExec: fetch=1                                SortExec: TopK(fetch=1), expr=[grp ASC]
//!       HashJoinExec: join_type=Left, fetch=1            →             HashJoinExec: join_type=Left
//!         k                                                              k
//!         FilterExec: grp = a                                            BareRowsExec: forgets=[constants]
//!                                                                          FilterExec: grp = a
//!   ```
//! - **Order of a build side.** A hash join gives the rows of its right side in their order, and claims that those with
//!   equal values come in the order of the left side (`join_suffix`). They come as the rows of the right side do, each
//!   with its matches: in order only if no value is there twice. `ORDER BY right.a, left.b` lost its sort.
//! - **Everything below grouping sets.** `GROUP BY ROLLUP (grp)` has NULL for `grp` in between, whatever is known of it
//!   below; `AggregateExec` keeps constants, order, equal columns and keys.
//!
//! # Where no limit passes
//! A sort or merge with a fetch hands it to operators below that are in its order already, and they to what they sort
//! their input with, whether or not they give as many rows as they take (`pushdown_sorts_helper`):
//! ```text
//!   SELECT id, grp, lead(id) OVER (PARTITION BY grp ORDER BY id) FROM k ORDER BY grp, id LIMIT 1
//!     SortPreservingMergeExec: fetch=1                               SortPreservingMergeExec: fetch=1
//!       BoundedWindowAggExec: lead(id)                   →             BoundedWindowAggExec: lead(id)
//!         SortExec: TopK(fetch=1)     -- nothing to lead to              SortExec
//! ```
//! So do final aggregations, of whose partial states the sort below then let one pass. A node that forgets nothing
//! stands above such operators while `EnsureRequirements` runs, and lets no limit through.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::common::{JoinType, Result};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use genokura_exec::{BareRowsExec, Forgets, IntervalJoinExec};

/// The rule before sorts and partitions are planned.
#[derive(Debug)]
pub(crate) struct BareRows;

impl PhysicalOptimizerRule for BareRows {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan.transform_up(forgetting).data()?;
        holding(plan, false)
    }

    fn name(&self) -> &'static str {
        "bare_rows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The rule after it.
#[derive(Debug)]
pub(crate) struct BareRowsKept;

impl PhysicalOptimizerRule for BareRowsKept {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let idle = |node: Arc<dyn ExecutionPlan>| {
            Ok(match node.downcast_ref::<BareRowsExec>() {
                Some(bare) if bare.forgets_nothing() => Transformed::yes(Arc::clone(bare.input())),
                _ => Transformed::no(node),
            })
        };
        plan.transform_up(idle).data()
    }

    fn name(&self) -> &'static str {
        "bare_rows_kept"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The node with inputs that tell no more of their rows than holds of its own.
///
/// Also of inputs of which nothing is known yet: the sorts that `EnsureRequirements` adds below tell an order.
fn forgetting(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let forgets = forgotten(&node);
    if forgets.iter().all(|forgets| *forgets == Forgets::Nothing) {
        return Ok(Transformed::no(node));
    }
    let inputs = node.children().into_iter().zip(forgets);
    let inputs = inputs.map(|(input, forgets)| match forgets {
        Forgets::Nothing => Ok(Arc::clone(input)),
        _ => Ok(Arc::new(BareRowsExec::try_new(Arc::clone(input), forgets)?) as _),
    });
    let inputs: Vec<Arc<dyn ExecutionPlan>> = inputs.collect::<Result<_>>()?;
    Ok(Transformed::yes(replace_children_if_necessary(
        node, inputs,
    )?))
}

/// What does not hold any more above a node, by input.
fn forgotten(node: &Arc<dyn ExecutionPlan>) -> Vec<Forgets> {
    if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
        return match aggregate.group_expr().is_single() {
            true => Vec::new(),
            false => vec![Forgets::Everything],
        };
    }
    let hash = node.downcast_ref::<HashJoinExec>();
    let join_type = hash.map(|join| *join.join_type());
    let join_type = join_type.or_else(|| {
        let join = node.downcast_ref::<NestedLoopJoinExec>();
        join.map(|join| *join.join_type())
    });
    let join_type = join_type.or_else(|| {
        let join = node.downcast_ref::<SortMergeJoinExec>();
        join.map(|join| join.join_type())
    });
    let join_type = join_type.or_else(|| {
        let join = node.downcast_ref::<IntervalJoinExec>();
        join.map(IntervalJoinExec::join_type)
    });
    let Some(join_type) = join_type else {
        return Vec::new();
    };
    let (left, right) = match join_type {
        JoinType::Left => (Forgets::Nothing, Forgets::Constants),
        JoinType::Right => (Forgets::Constants, Forgets::Nothing),
        JoinType::Full => (Forgets::Constants, Forgets::Constants),
        _ => (Forgets::Nothing, Forgets::Nothing),
    };
    let claims_order = matches!(join_type, JoinType::Inner | JoinType::Right);
    let left = match hash {
        Some(_) if claims_order => left.and(Forgets::Orders),
        _ => left,
    };
    vec![left, right]
}

/// The plan with a node that no limit passes above the first operator below each limit that needs all of its input;
/// `limited`: there is a limit above, and what stands in between passes it on.
fn holding(node: Arc<dyn ExecutionPlan>, limited: bool) -> Result<Arc<dyn ExecutionPlan>> {
    let holds = limited && !passes_limits(&node);
    let limited = node.fetch().is_some() || (limited && !holds);
    let inputs = node.children().into_iter();
    let inputs = inputs.map(|input| holding(Arc::clone(input), limited));
    let inputs: Vec<Arc<dyn ExecutionPlan>> = inputs.collect::<Result<_>>()?;
    let children = node.children();
    let mut both = children.iter().zip(&inputs);
    let same = both.all(|(old, new)| Arc::ptr_eq(old, new));
    let node = match same {
        true => node,
        false => replace_children_if_necessary(node, inputs)?,
    };
    Ok(match holds {
        true => Arc::new(BareRowsExec::try_new(node, Forgets::Nothing)?),
        false => node,
    })
}

/// True where the first rows of the output are made of the first rows of each input.
fn passes_limits(node: &Arc<dyn ExecutionPlan>) -> bool {
    node.children().is_empty()
        || node.supports_limit_pushdown()
        || node.downcast_ref::<SortExec>().is_some()
        || node.downcast_ref::<SortPreservingMergeExec>().is_some()
        || node.downcast_ref::<CoalescePartitionsExec>().is_some()
        || node.downcast_ref::<GlobalLimitExec>().is_some()
        || node.downcast_ref::<LocalLimitExec>().is_some()
}
