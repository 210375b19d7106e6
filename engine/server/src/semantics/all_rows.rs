//! Aggregates of all rows have their row whatever a condition above them says, and conditions without columns stay above
//! them.
//!
//! ```text
//! SELECT n FROM (SELECT count(*) AS n FROM v) d WHERE (SELECT …) = 0   ─►   … ((SELECT count(*) …) LIMIT 1) d …
//! ```
//! The planner moves a condition below an aggregate when all columns in it are groups, which those without columns are
//! always: the aggregate would then count no rows, and have a row of 0 where there is none. Groups of no columns among
//! others are such rows, too.

use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Expr, GroupingSet, LogicalPlan, LogicalPlanBuilder, Operator, lit,
};

/// A plan whose conditions without columns stay above such aggregates.
///
/// # Errors
/// What making a plan fails with.
pub(super) fn kept(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        let moves = match &node {
            LogicalPlan::Filter(filter) => moves(&filter.predicate, &[filter.input.as_ref()]),
            LogicalPlan::Join(join) => join.filter.as_ref().is_some_and(|condition| {
                moves(condition, &[join.left.as_ref(), join.right.as_ref()])
            }),
            _ => false,
        };
        match moves {
            true => node.map_children(bounded),
            false => Ok(Transformed::no(node)),
        }
    })
    .map(|plan| plan.data)
}

/// Whether something in a condition over these plans has no columns, and may be moved alone.
fn moves(condition: &Expr, over: &[&LogicalPlan]) -> bool {
    match condition {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And | Operator::Or,
            right,
        }) => moves(left, over) || moves(right, over),
        Expr::Not(inner) => moves(inner, over),
        condition => *condition != lit(true) && is_free(condition, over),
    }
}

/// Whether an expression is the same for all rows of some plans, as far as columns tell.
fn is_free(expr: &Expr, over: &[&LogicalPlan]) -> bool {
    let mut free = true;
    let looked = expr.apply(|part| {
        match part {
            Expr::Column(column) => free &= over.iter().any(|plan| is_free_column(column, plan)),
            Expr::OuterReferenceColumn(..) => free = false,
            Expr::ScalarSubquery(query) => free &= query.outer_ref_columns.is_empty(),
            Expr::Exists(exists) => free &= exists.subquery.outer_ref_columns.is_empty(),
            Expr::InSubquery(within) => free &= within.subquery.outer_ref_columns.is_empty(),
            _ => {}
        }
        Ok(match free {
            true => TreeNodeRecursion::Continue,
            false => TreeNodeRecursion::Stop,
        })
    });
    looked.is_ok() && free
}

/// Whether a column of a plan is made of no column.
fn is_free_column(column: &Column, plan: &LogicalPlan) -> bool {
    let Some(at) = plan.schema().maybe_index_of_column(column) else {
        return false;
    };
    match plan {
        LogicalPlan::Projection(list) => list
            .expr
            .get(at)
            .is_some_and(|expr| is_free(expr, &[list.input.as_ref()])),
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Union(_) => plan.inputs().into_iter().any(|input| {
            let columns = input.schema().columns();
            let below = columns.get(at);
            below.is_some_and(|below| is_free_column(below, input))
        }),
        LogicalPlan::Join(join) => {
            is_free_column(column, &join.left) || is_free_column(column, &join.right)
        }
        _ => false,
    }
}

/// A plan with a bound above each of its aggregates that has a row of no group.
fn bounded(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Aggregate(node) => match most(&node) {
            Some(rows) => {
                let bound = LogicalPlanBuilder::from(LogicalPlan::Aggregate(node));
                bound.limit(0, Some(rows))?.build().map(Transformed::yes)
            }
            None => LogicalPlan::Aggregate(node).map_children(bounded),
        },
        LogicalPlan::Limit(_) => Ok(Transformed::no(plan)),
        plan => plan.map_children(bounded),
    }
}

/// How many rows an aggregate has at most that has one where there are no rows to aggregate; `None` for others.
fn most(node: &Aggregate) -> Option<usize> {
    let is_of_all = |expr: &Expr| match expr {
        Expr::GroupingSet(GroupingSet::Rollup(_) | GroupingSet::Cube(_)) => true,
        Expr::GroupingSet(GroupingSet::GroupingSets(sets)) => sets.iter().any(Vec::is_empty),
        _ => false,
    };
    match node.group_expr.as_slice() {
        [] => Some(1),
        [only] if is_of_all(only) => Some(usize::try_from(i64::MAX).unwrap_or(usize::MAX)),
        _ => None,
    }
}
