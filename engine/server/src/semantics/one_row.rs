//! Aggregates of all rows beside an outer join: their one row stays whatever the conditions of the join are.
//!
//! ```text
//! g LEFT JOIN (SELECT count(*) FROM v) q ON false   ─►   … LEFT JOIN ((SELECT count(*) FROM v) LIMIT 1) q ON false
//! ```
//! The planner would move a condition without columns below the aggregate, which then counts no rows: 0, not NULL.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{
    JoinType, LogicalPlan, LogicalPlanBuilder, Projection, SubqueryAlias, lit,
};

/// An outer join whose sides keep their row.
///
/// # Errors
/// What making a plan fails with.
pub(super) fn kept(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Join(mut join) = node else {
        return Ok(Transformed::no(node));
    };
    let always = match &join.filter {
        None => true,
        Some(condition) => *condition == lit(true),
    };
    if join.join_type == JoinType::Inner || always {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let (left, right) = (bounded(&join.left)?, bounded(&join.right)?);
    let changed = left.is_some() || right.is_some();
    if let Some(left) = left {
        join.left = Arc::new(left);
    }
    if let Some(right) = right {
        join.right = Arc::new(right);
    }
    let join = LogicalPlan::Join(join);
    Ok(match changed {
        true => Transformed::yes(join),
        false => Transformed::no(join),
    })
}

/// The plan with a bound above its aggregate; `None` when it is none of all rows.
fn bounded(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    Ok(match plan {
        LogicalPlan::Aggregate(node) if node.group_expr.is_empty() => {
            let one = LogicalPlanBuilder::from(plan.clone()).limit(0, Some(1))?;
            Some(one.build()?)
        }
        LogicalPlan::Projection(node) => match bounded(&node.input)? {
            Some(input) => {
                let list = Projection::try_new(node.expr.clone(), Arc::new(input))?;
                Some(LogicalPlan::Projection(list))
            }
            None => None,
        },
        LogicalPlan::SubqueryAlias(node) => match bounded(&node.input)? {
            Some(input) => {
                let table = SubqueryAlias::try_new(Arc::new(input), node.alias.clone())?;
                Some(LogicalPlan::SubqueryAlias(table))
            }
            None => None,
        },
        _ => None,
    })
}
