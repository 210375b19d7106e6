//! Grouping sets of what is computed, as those of columns: what a rule of the planner changes within a set has another
//! name outside of it.
//!
//! ```text
//! Aggregate: groupBy=[[ROLLUP (a.d + 1)]]
//!   ─►  Projection: "group 0" AS "a.d + 1", …
//!         Aggregate: groupBy=[[ROLLUP ("group 0")]]
//!           Projection: a.*, a.d + 1 AS "group 0"
//! ```

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::{AggregateFunction, GroupingSet};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder};

/// A plan whose grouping sets are of columns.
///
/// # Errors
/// What making a plan fails with.
pub(super) fn over_columns(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Aggregate(aggregate) = &node else {
            return Ok(Transformed::no(node));
        };
        Ok(match computed_below(aggregate)? {
            Some(made) => Transformed::yes(made),
            None => Transformed::no(node),
        })
    })
    .map(|plan| plan.data)
}

/// The same groups, with what they are made of computed below; `None` where that is columns.
fn computed_below(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let [Expr::GroupingSet(sets)] = aggregate.group_expr.as_slice() else {
        return Ok(None);
    };
    let keys = sets.distinct_expr().into_iter().enumerate();
    let computed: Vec<(&Expr, Column)> = keys
        .filter(|(_, key)| !matches!(key, Expr::Column(_)))
        .map(|(at, key)| (key, Column::new_unqualified(format!("group {at}"))))
        .collect();
    if computed.is_empty() {
        return Ok(None);
    }
    let schema = aggregate.input.schema();
    let mut below: Vec<Expr> = schema.columns().into_iter().map(Expr::Column).collect();
    below.extend(
        computed
            .iter()
            .map(|(key, column)| Expr::clone(key).alias(column.name.as_str())),
    );
    let input = LogicalPlanBuilder::from(Arc::clone(&aggregate.input))
        .project(below)?
        .build()?;
    let as_column = |expr: &Expr| {
        let known = computed.iter().find(|(key, _)| *key == expr);
        known.map_or_else(|| expr.clone(), |(_, column)| Expr::Column(column.clone()))
    };
    let set = |keys: &Vec<Expr>| keys.iter().map(as_column).collect();
    let sets = match sets {
        GroupingSet::Rollup(keys) => GroupingSet::Rollup(set(keys)),
        GroupingSet::Cube(keys) => GroupingSet::Cube(set(keys)),
        GroupingSet::GroupingSets(sets) => {
            GroupingSet::GroupingSets(sets.iter().map(set).collect())
        }
    };
    let calls = aggregate.aggr_expr.iter();
    let calls = calls.map(|call| asked_of(call, &as_column)).collect();
    let made = Aggregate::try_new(Arc::new(input), vec![Expr::GroupingSet(sets)], calls)?;
    let columns = made
        .schema
        .columns()
        .into_iter()
        .zip(aggregate.schema.iter());
    let columns: Vec<Expr> = columns
        // The planner's own column says which set a row is of, and is read where the aggregate is.
        .filter(|(column, _)| column.name != Aggregate::INTERNAL_GROUPING_ID)
        .map(|(column, (qualifier, field))| {
            Expr::Column(column).alias_qualified(qualifier.cloned(), field.name())
        })
        .collect();
    LogicalPlanBuilder::from(LogicalPlan::Aggregate(made))
        .project(columns)?
        .build()
        .map(Some)
}

/// An aggregate, where it is `grouping(…)` of what is a column now.
fn asked_of(call: &Expr, as_column: &impl Fn(&Expr) -> Expr) -> Expr {
    match call {
        Expr::Alias(alias) => {
            let mut alias = alias.clone();
            *alias.expr = asked_of(&alias.expr, as_column);
            Expr::Alias(alias)
        }
        Expr::AggregateFunction(called) if called.func.name() == "grouping" => {
            let mut called: AggregateFunction = called.clone();
            called.params.args = called.params.args.iter().map(as_column).collect();
            Expr::AggregateFunction(called)
        }
        other => other.clone(),
    }
}
