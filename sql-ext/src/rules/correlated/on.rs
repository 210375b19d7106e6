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
use super::{columns_of, is_subquery, outer, rewritten};

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
        let is_plain = !part.exists(|part| Ok(is_subquery(part)))?;
        let is_inner = join.join_type == JoinType::Inner;
        if is_plain || part.contains_outer() {
            on.push(part);
            continue;
        }
        if part.is_volatile() && !is_inner {
            return outer::kept(join, names);
        }
        changed = true;
        match side(&part, join)? {
            _ if part.is_volatile() => above.push(part),
            Side::Left | Side::None if !keeps_left => left = filtered(left, part, names)?,
            Side::Right | Side::None if !keeps_right => right = filtered(right, part, names)?,
            Side::Both if is_inner => above.push(part),
            _ => match beside(&part, join, (&mut left, &mut right), names)? {
                Some(part) => on.push(part),
                None => return outer::kept(join, names),
            },
        }
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

/// A condition over the rows of both sides with what its subqueries give beside those; `None` when one of them speaks of
/// rows of both, or has no such form.
fn beside(
    condition: &Expr,
    join: &Join,
    (left, right): (&mut LogicalPlan, &mut LogicalPlan),
    names: &mut Names,
) -> Result<Option<Expr>> {
    let mut all = true;
    let condition = condition.clone().transform_down(|part| {
        if !is_subquery(&part) {
            return Ok(Transformed::no(part));
        }
        let rows = match side(&part, join)? {
            Side::Both => None,
            Side::Left => Some(&mut *left),
            Side::Right | Side::None => Some(&mut *right),
        };
        let answered = match &rows {
            Some(rows) => with_value(rows, &part, names)?,
            None => None,
        };
        Ok(match rows.zip(answered) {
            Some((rows, (plan, value))) => {
                *rows = plan;
                Transformed::new(value, true, TreeNodeRecursion::Jump)
            }
            None => {
                all = false;
                Transformed::new(part, false, TreeNodeRecursion::Jump)
            }
        })
    })?;
    Ok(all.then_some(condition.data))
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
