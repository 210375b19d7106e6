//! GROUP BY and DISTINCT of intervals: those of one length are one group.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprSchemable as _, LogicalPlan, LogicalPlanBuilder, col,
};
use datafusion::prelude::Column;

use super::{is_span, spans, sums};

/// A node that groups intervals by their length, and shows one of each.
///
/// ```text
/// Aggregate: groupBy=[[iv]], aggr=[[count(1)]]
///   ─►  Projection: one AS iv, count(1)
///         Aggregate: groupBy=[[length(iv)]], aggr=[[count(1), longest(iv) AS one]]
/// ```
///
/// # Errors
/// What making a plan fails with.
pub(crate) fn grouped(node: LogicalPlan) -> Result<LogicalPlan> {
    match node {
        LogicalPlan::Aggregate(aggregate) => by_length(aggregate),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let fields = input.schema();
            if !fields
                .fields()
                .iter()
                .any(|field| is_span(field.data_type()))
            {
                return Ok(LogicalPlan::Distinct(Distinct::All(input)));
            }
            let columns = fields.columns().into_iter().map(Expr::Column).collect();
            by_length(Aggregate::try_new(input, columns, Vec::new())?)
        }
        other => Ok(other),
    }
}

fn by_length(aggregate: Aggregate) -> Result<LogicalPlan> {
    let schema = Arc::clone(aggregate.input.schema());
    let spans_at = |expr: &Expr| {
        let set = matches!(expr, Expr::GroupingSet(_));
        !set && expr.get_type(&schema).is_ok_and(|of| is_span(&of))
    };
    if !aggregate.group_expr.iter().any(spans_at) {
        return Ok(LogicalPlan::Aggregate(aggregate));
    }
    let Aggregate {
        input,
        group_expr,
        aggr_expr,
        schema: shown,
        ..
    } = aggregate;
    let groups = group_expr.len();
    let mut keys = Vec::with_capacity(groups);
    let mut all = Vec::with_capacity(aggr_expr.len() + groups);
    let mut columns = Vec::with_capacity(groups + aggr_expr.len());
    let mut ones = Vec::new();
    for (at, expr) in group_expr.into_iter().enumerate() {
        if spans_at(&expr) {
            let expr = expr.unalias();
            let name = format!("interval_{at}");
            keys.push(spans::key(expr.clone()).alias(format!("length_{at}")));
            let params = AggregateFunctionParams {
                args: vec![expr],
                distinct: false,
                filter: None,
                order_by: Vec::new(),
                null_treatment: None,
            };
            let func = sums::one_of();
            let one = Expr::AggregateFunction(AggregateFunction { func, params });
            ones.push(one.alias(name.clone()));
            columns.push(col(Column::new_unqualified(name)));
        } else {
            keys.push(expr);
            columns.push(Expr::Literal(datafusion::common::ScalarValue::Null, None));
        }
    }
    all.extend(aggr_expr);
    all.extend(ones);
    let made = Aggregate::try_new(input, keys, all)?;
    // Every other column is where it was.
    let names = made.schema.columns();
    for (at, name) in names.iter().enumerate().take(shown.fields().len()) {
        let column = Expr::Column(name.clone());
        match columns.get_mut(at) {
            Some(place @ Expr::Literal(..)) => *place = column,
            Some(_) => {}
            None => columns.push(column),
        }
    }
    let told = shown
        .iter()
        .zip(columns)
        .map(|((qualifier, field), column)| {
            column.alias_qualified(qualifier.cloned(), field.name())
        });
    let told: Vec<Expr> = told.collect();
    LogicalPlanBuilder::from(LogicalPlan::Aggregate(made))
        .project(told)?
        .build()
}
