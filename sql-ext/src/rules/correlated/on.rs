//! Subqueries among the conditions of a join, as conditions of the side whose rows they are about.
//!
//! ```text
//! a JOIN b ON a.x = b.x AND a.y NOT IN (SELECT …)        ─►   (a WHERE a.y NOT IN (SELECT …)) JOIN b ON a.x = b.x
//! a LEFT JOIN b ON a.x = b.x AND a.y NOT IN (SELECT …)   ─►   (a with the answer as a column) LEFT JOIN b ON … AND answer
//! ```
//! DataFusion moves such conditions late, when constants of theirs are gone, and has none on both sides of an outer join.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{Expr, Filter, Join, JoinType, LogicalPlan};

use super::apply::{Names, with_value};
use super::{columns_of, is_subquery, rewritten};

/// The side of a join that a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    /// Neither: it is the same of every row.
    None,
    Both,
}

/// The join without subqueries of one side among its conditions; `None` when it has none.
pub(super) fn apart(join: &Join, names: &mut Names) -> Result<Option<LogicalPlan>> {
    let Some(filter) = &join.filter else {
        return Ok(None);
    };
    if !filter.exists(|part| Ok(is_subquery(part)))? {
        return Ok(None);
    }
    let keeps_left = matches!(join.join_type, JoinType::Left | JoinType::Full);
    let keeps_right = matches!(join.join_type, JoinType::Right | JoinType::Full);
    if !keeps_left && !keeps_right && join.join_type != JoinType::Inner {
        return Ok(None);
    }
    let (mut left, mut right) = (join.left.as_ref().clone(), join.right.as_ref().clone());
    let (mut on, mut above) = (Vec::new(), Vec::new());
    let mut changed = false;
    for part in split_conjunction(filter) {
        let part = part.clone();
        if part.is_volatile()
            || part.contains_outer()
            || !part.exists(|part| Ok(is_subquery(part)))?
        {
            on.push(part);
            continue;
        }
        let side = match side(&part, join)? {
            Side::None if keeps_left => Side::Right,
            Side::None => Side::Left,
            side => side,
        };
        let taken = match side {
            Side::Left if !keeps_left => {
                left = filtered(left, part, names)?;
                None
            }
            Side::Right if !keeps_right => {
                right = filtered(right, part, names)?;
                None
            }
            Side::Both if join.join_type == JoinType::Inner => {
                above.push(part);
                None
            }
            Side::Left => answered(&part, &left, names)?.map(|answered| (&mut left, answered)),
            Side::Right => answered(&part, &right, names)?.map(|answered| (&mut right, answered)),
            Side::Both | Side::None => return Ok(None),
        };
        if let Some((plan, (with_answers, answer))) = taken {
            *plan = with_answers;
            on.push(answer);
        }
        changed = true;
    }
    if !changed {
        return Ok(None);
    }
    let joined = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        join.on.clone(),
        conjunction(on),
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    let plan = columns_of(&LogicalPlan::Join(join.clone()), LogicalPlan::Join(joined))?;
    match conjunction(above) {
        Some(condition) => filtered(plan, condition, names).map(Some),
        None => Ok(Some(plan)),
    }
}

/// The rows of a plan that meet a condition with subqueries.
fn filtered(plan: LogicalPlan, condition: Expr, names: &mut Names) -> Result<LogicalPlan> {
    let filter = Filter::try_new(condition, Arc::new(plan))?;
    Ok(rewritten(LogicalPlan::Filter(filter), names)?.data)
}

/// Whose columns a condition names, those of the row around its subqueries among them.
fn side(condition: &Expr, join: &Join) -> Result<Side> {
    let (mut of_left, mut of_right) = (false, false);
    let mut see = |column: &Column| {
        of_left |= join.left.schema().has_column(column);
        of_right |= join.right.schema().has_column(column);
    };
    condition.apply(|part| {
        let subquery = match part {
            Expr::Column(column) => {
                see(column);
                None
            }
            Expr::ScalarSubquery(subquery) => Some(subquery),
            Expr::Exists(exists) => Some(&exists.subquery),
            Expr::InSubquery(within) => Some(&within.subquery),
            Expr::SetComparison(compared) => Some(&compared.subquery),
            _ => None,
        };
        for outer in subquery.iter().flat_map(|s| &s.outer_ref_columns) {
            if let Expr::OuterReferenceColumn(_, column) = outer {
                see(column);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(match (of_left, of_right) {
        (true, true) => Side::Both,
        (true, false) => Side::Left,
        (false, true) => Side::Right,
        (false, false) => Side::None,
    })
}

/// One side of a join with what the subqueries of a condition give, and the condition over that; `None` when one of them
/// has no such form.
fn answered(
    condition: &Expr,
    plan: &LogicalPlan,
    names: &mut Names,
) -> Result<Option<(LogicalPlan, Expr)>> {
    let mut plan = plan.clone();
    let mut all = true;
    let condition = condition.clone().transform_down(|part| {
        if !all || !is_subquery(&part) {
            return Ok(Transformed::no(part));
        }
        Ok(match with_value(&plan, &part, names)? {
            Some((with_value, value)) => {
                plan = with_value;
                Transformed::new(value, true, TreeNodeRecursion::Jump)
            }
            None => {
                all = false;
                Transformed::new(part, false, TreeNodeRecursion::Jump)
            }
        })
    })?;
    Ok(all.then_some((plan, condition.data)))
}
