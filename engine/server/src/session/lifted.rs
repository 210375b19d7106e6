//! Conditions on the row around a subquery that stand within a table of its FROM, taken out of that table: the planner
//! looks for them there with the names of inside, and finds none.
//!
//! ```text
//! EXISTS (SELECT 1 FROM (SELECT s.x FROM s WHERE s.k = o.k) r)
//!   ─►  EXISTS (SELECT 1 FROM (SELECT s.x, s.k AS "lifted 0" FROM s) r WHERE r."lifted 0" = o.k)
//! ```
//! What groups, sorts or bounds rows is left as it is: there the condition comes first.

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Column, Result, TableReference};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Expr, Filter, LogicalPlan, LogicalPlanBuilder, Projection, SubqueryAlias, Union,
};

/// A plan whose tables within FROM take nothing from outside by a condition.
///
/// # Errors
/// What making a plan fails with.
pub(super) fn lifted(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut any = false;
    plan.apply_with_subqueries(|node| {
        any |= matches!(node, LogicalPlan::Filter(filter) if filter.predicate.contains_outer());
        Ok(match any {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    if !any {
        return Ok(plan);
    }
    let changed = Cell::new(false);
    let count = Cell::new(0);
    let plan = plan.transform_up_with_subqueries(|node| {
        let node = match node {
            LogicalPlan::SubqueryAlias(table) => match conditions(table.input.as_ref(), &count)? {
                Some((input, conditions)) => {
                    changed.set(true);
                    Transformed::yes(filtered(table.alias, input, conditions)?)
                }
                None => Transformed::no(LogicalPlan::SubqueryAlias(table)),
            },
            LogicalPlan::Filter(above) if changed.get() => Transformed::yes(as_one(above)?),
            other => Transformed::no(other),
        };
        if !changed.get() || node.transformed {
            return Ok(node);
        }
        // What stands above has the columns that were added below.
        node.map_data(|node| match node {
            LogicalPlan::Union(union) => {
                Union::try_new_with_loose_types(union.inputs).map(LogicalPlan::Union)
            }
            node => node.recompute_schema(),
        })
    })?;
    Ok(plan.data)
}

/// A table with what was taken out of it.
fn filtered(
    alias: TableReference,
    input: LogicalPlan,
    conditions: Vec<Expr>,
) -> Result<LogicalPlan> {
    let table = SubqueryAlias::try_new(Arc::new(input), alias.clone())?;
    let outside = conditions.into_iter().map(|condition| {
        renamed(condition, &mut |column| {
            Ok(Column::new(Some(alias.clone()), column.name))
        })
    });
    let outside: Vec<Expr> = outside.collect::<Result<_>>()?;
    let table = LogicalPlan::SubqueryAlias(table);
    match conjunction(outside) {
        Some(condition) => LogicalPlanBuilder::from(table).filter(condition)?.build(),
        None => Ok(table),
    }
}

/// Two conditions on the row around, one upon the other, as one: the planner takes the columns of the upper one alone.
fn as_one(above: Filter) -> Result<LogicalPlan> {
    match above.input.as_ref() {
        LogicalPlan::Filter(below) if below.predicate.contains_outer() => {
            let both = above.predicate.and(below.predicate.clone());
            let input = Arc::clone(&below.input);
            Filter::try_new(both, input).map(LogicalPlan::Filter)
        }
        _ => LogicalPlan::Filter(above).recompute_schema(),
    }
}

/// A plan without its conditions on the row around, and those, over its columns; `None` when it has none that may be
/// asked later.
fn conditions(plan: &LogicalPlan, count: &Cell<usize>) -> Result<Option<(LogicalPlan, Vec<Expr>)>> {
    match plan {
        LogicalPlan::Filter(Filter {
            predicate, input, ..
        }) => {
            let (outer, own): (Vec<Expr>, Vec<Expr>) = split_conjunction_owned(predicate.clone())
                .into_iter()
                .partition(is_lifted);
            let below = conditions(input, count)?;
            if outer.is_empty() && below.is_none() {
                return Ok(None);
            }
            let (input, mut taken) = below.unwrap_or_else(|| (input.as_ref().clone(), Vec::new()));
            taken.extend(outer);
            let plan = match conjunction(own) {
                Some(own) => LogicalPlanBuilder::from(input).filter(own)?.build()?,
                None => input,
            };
            Ok(Some((plan, taken)))
        }
        LogicalPlan::Projection(Projection { expr, input, .. }) => {
            let Some((input, taken)) = conditions(input, count)? else {
                return Ok(None);
            };
            let mut listed = expr.clone();
            let taken = taken.into_iter().map(|condition| {
                renamed(condition, &mut |column| {
                    let name = format!("lifted {}", count.get());
                    count.set(count.get() + 1);
                    listed.push(Expr::Column(column).alias(name.as_str()));
                    Ok(Column::new_unqualified(name))
                })
            });
            let taken: Vec<Expr> = taken.collect::<Result<_>>()?;
            let plan = LogicalPlanBuilder::from(input).project(listed)?.build()?;
            Ok(Some((plan, taken)))
        }
        _ => Ok(None),
    }
}

/// Whether it is about the row around, and names its columns itself: those of a query within it are not renamed.
fn is_lifted(condition: &Expr) -> bool {
    let is_query = |part: &Expr| {
        matches!(
            part,
            Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::ScalarSubquery(_)
                | Expr::SetComparison(_)
        )
    };
    let has_query = condition.exists(|part| Ok(is_query(part)));
    condition.contains_outer() && has_query.is_ok_and(|has_query| !has_query)
}

/// A condition whose own columns have other names; those of the row around stay.
fn renamed(condition: Expr, name: &mut dyn FnMut(Column) -> Result<Column>) -> Result<Expr> {
    let renamed = condition.transform_up(|part| match part {
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(name(column)?))),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(renamed.data)
}
