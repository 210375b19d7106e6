//! The order that a table in FROM has by its own ORDER BY: results, aggregates that gather rows (`array_agg`,
//! `string_agg`, `json_agg`) and windows that number them have it too where they say none. DISTINCT values are gathered in
//! ascending order. PostgreSQL does so; the planner drops an order that nothing asks for.
//!
//! ```text
//! SELECT x FROM (SELECT x FROM t ORDER BY y) q LIMIT 9      ─►   … ORDER BY q."order 0" LIMIT 9
//! SELECT array_agg(x) FROM (SELECT x FROM t ORDER BY y) q   ─►   array_agg(x ORDER BY q."order 0")
//! SELECT array_agg(DISTINCT x) FROM t                       ─►   array_agg(DISTINCT x ORDER BY x)
//! ```

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::{AggregateFunction, Sort as By, WindowFunction};
use datafusion::logical_expr::{
    Aggregate, Expr, Filter, Limit, LogicalPlan, LogicalPlanBuilder, Projection, SubqueryAlias,
    Window,
};

/// A plan whose orders are asked for where they show.
///
/// # Errors
/// What making a plan fails with.
pub(super) fn shown(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Aggregate(aggregate) if gathers(&aggregate) => of_rows(aggregate),
        LogicalPlan::Window(window) => of_window(window),
        other => Ok(Transformed::no(other)),
    })?;
    let plan = of_result(plan.data)?;
    let plan = plan.transform_down_with_subqueries(|node| match node {
        LogicalPlan::SubqueryAlias(table) => {
            let SubqueryAlias { input, alias, .. } = table;
            let input = unsorted(Arc::unwrap_or_clone(input), false)?;
            let table = SubqueryAlias::try_new(Arc::new(input), alias)?;
            Ok(Transformed::yes(LogicalPlan::SubqueryAlias(table)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(plan.data)
}

/// A result in the order that its table in FROM has, when it says none itself: `SELECT * FROM (… ORDER BY x) q LIMIT 10`.
fn of_result(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Limit(Limit { skip, fetch, input }) => {
            let input = Arc::new(of_result(Arc::unwrap_or_clone(input))?);
            Ok(LogicalPlan::Limit(Limit { skip, fetch, input }))
        }
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Window(_) => match order_of(&plan, &mut 0, false)? {
            Some((input, by)) => {
                let columns = plan.schema().columns().into_iter().map(Expr::Column);
                let sorted = LogicalPlanBuilder::from(input).sort(by)?;
                sorted.project(columns)?.build()
            }
            None => Ok(plan),
        },
        other => Ok(other),
    }
}

/// A plan within FROM without orders that nothing shows: of the rows of a LIMIT they are kept.
fn unsorted(plan: LogicalPlan, bounded: bool) -> Result<LogicalPlan> {
    let within = match &plan {
        LogicalPlan::Limit(_) => true,
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) => bounded,
        // Those have their own tables looked at.
        LogicalPlan::SubqueryAlias(_) => return Ok(plan),
        LogicalPlan::Sort(_) if bounded => false,
        LogicalPlan::Sort(sort) => return unsorted(sort.input.as_ref().clone(), false),
        _ => return Ok(plan),
    };
    plan.map_children(|child| unsorted(child, within).map(Transformed::yes))
        .map(|plan| plan.data)
}

/// Windows that number rows, or look at the next ones, in no order that they say, have that of FROM.
fn of_window(window: Window) -> Result<Transformed<LogicalPlan>> {
    let looks = |expr: &Expr| numbering(expr).is_some();
    if !window.window_expr.iter().any(looks) {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    }
    let Some((input, by)) = order_of(&window.input, &mut 0, false)? else {
        return Ok(Transformed::no(LogicalPlan::Window(window)));
    };
    let names = window.schema.columns();
    let made = window.window_expr.iter().map(|expr| match numbering(expr) {
        Some(called) => {
            let mut called = called.clone();
            called.params.order_by.clone_from(&by);
            let (relation, name) = expr.qualified_name();
            Expr::WindowFunction(Box::new(called)).alias_qualified(relation, name)
        }
        None => expr.clone(),
    });
    let told = Window::try_new(made.collect(), Arc::new(input))?;
    let columns = names.into_iter().map(Expr::Column);
    let plan = LogicalPlanBuilder::from(LogicalPlan::Window(told)).project(columns)?;
    plan.build().map(Transformed::yes)
}

fn numbering(expr: &Expr) -> Option<&WindowFunction> {
    let called = match expr {
        Expr::Alias(alias) => return numbering(&alias.expr),
        Expr::WindowFunction(called) => called.as_ref(),
        _ => return None,
    };
    let looks = matches!(called.fun.name(), "row_number" | "ntile" | "lag" | "lead");
    (looks && called.params.order_by.is_empty()).then_some(called)
}

fn gathers(aggregate: &Aggregate) -> bool {
    aggregate
        .aggr_expr
        .iter()
        .any(|expr| gathering(expr).is_some())
}

/// A call that gathers rows in no order that it says.
fn gathering(expr: &Expr) -> Option<&AggregateFunction> {
    let called = match expr {
        Expr::Alias(alias) => return gathering(&alias.expr),
        Expr::AggregateFunction(called) => called,
        _ => return None,
    };
    let gathers = matches!(
        called.func.name(),
        "array_agg"
            | "string_agg"
            | "json_agg"
            | "jsonb_agg"
            | "json_object_agg"
            | "jsonb_object_agg"
    );
    (gathers && called.params.order_by.is_empty()).then_some(called)
}

fn of_rows(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    // Of groups the planner reads all rows in one order.
    let others_order = !aggregate.group_expr.is_empty()
        && aggregate.aggr_expr.iter().any(|expr| {
            let called = match expr {
                Expr::Alias(alias) => alias.expr.as_ref(),
                other => other,
            };
            matches!(called, Expr::AggregateFunction(called) if !called.params.order_by.is_empty())
        });
    let sorted = match others_order {
        true => None,
        false => order_of(&aggregate.input, &mut 0, false)?,
    };
    let (input, order) = sorted.unwrap_or_else(|| (aggregate.input.as_ref().clone(), Vec::new()));
    let mut any = false;
    let made = aggregate.aggr_expr.iter().map(|expr| {
        let Some(called) = gathering(expr) else {
            return expr.clone();
        };
        let by = match called.params.distinct {
            true => called.params.args.first().map(|value| By {
                expr: value.clone(),
                asc: true,
                nulls_first: false,
            }),
            false => None,
        };
        let by = match by {
            Some(by) => vec![by],
            None => order.clone(),
        };
        any |= !by.is_empty();
        with_order(expr, by)
    });
    let made: Vec<Expr> = made.collect();
    if !any {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let schema = Arc::clone(&aggregate.schema);
    let names = schema
        .iter()
        .map(|(qualifier, field)| (qualifier.cloned(), field.name().clone()));
    let names: Vec<_> = names.collect();
    let told = Aggregate::try_new(Arc::new(input), aggregate.group_expr, made)?;
    let columns = told.schema.columns().into_iter().zip(names);
    // The planner's own column says which set a row is of, and is read where the aggregate is.
    let columns: Vec<Expr> = columns
        .filter(|(column, _)| column.name != Aggregate::INTERNAL_GROUPING_ID)
        .map(|(column, (qualifier, name))| {
            match column.relation == qualifier && column.name == name {
                true => Expr::Column(column),
                false => Expr::Column(column).alias_qualified(qualifier, name),
            }
        })
        .collect();
    let plan = LogicalPlanBuilder::from(LogicalPlan::Aggregate(told)).project(columns)?;
    plan.build().map(Transformed::yes)
}

fn with_order(expr: &Expr, by: Vec<By>) -> Expr {
    match expr {
        Expr::Alias(alias) => {
            let mut alias = alias.clone();
            *alias.expr = with_order(&alias.expr, by);
            Expr::Alias(alias)
        }
        Expr::AggregateFunction(called) => {
            let mut called = called.clone();
            called.params.order_by = by;
            Expr::AggregateFunction(called)
        }
        other => other.clone(),
    }
}

/// What the rows of a plan are sorted by, over its columns, of which it has some more then; it is not sorted itself any
/// more, but for those of a LIMIT, which are `kept` so.
fn order_of(
    plan: &LogicalPlan,
    count: &mut usize,
    kept: bool,
) -> Result<Option<(LogicalPlan, Vec<By>)>> {
    Ok(match plan {
        LogicalPlan::Sort(sort) if kept || sort.fetch.is_some() => {
            Some((plan.clone(), sort.expr.clone()))
        }
        LogicalPlan::Sort(sort) => Some((sort.input.as_ref().clone(), sort.expr.clone())),
        LogicalPlan::Limit(Limit { skip, fetch, input }) => {
            order_of(input, count, true)?.map(|(input, by)| {
                let limit = Limit {
                    skip: skip.clone(),
                    fetch: fetch.clone(),
                    input: Arc::new(input),
                };
                (LogicalPlan::Limit(limit), by)
            })
        }
        LogicalPlan::Filter(Filter {
            predicate, input, ..
        }) => match order_of(input, count, kept)? {
            Some((input, by)) => {
                let filter = Filter::try_new(predicate.clone(), Arc::new(input))?;
                Some((LogicalPlan::Filter(filter), by))
            }
            None => None,
        },
        LogicalPlan::Window(window) => match order_of(&window.input, count, kept)? {
            Some((input, by)) => {
                let window = Window::try_new(window.window_expr.clone(), Arc::new(input))?;
                Some((LogicalPlan::Window(window), by))
            }
            None => None,
        },
        LogicalPlan::Projection(Projection { expr, input, .. }) => {
            let Some((input, by)) = order_of(input, count, kept)? else {
                return Ok(None);
            };
            let mut listed = expr.clone();
            let by = by.into_iter().map(|by| {
                let name = format!("order {count}");
                *count += 1;
                listed.push(by.expr.alias(name.as_str()));
                By {
                    expr: Expr::Column(Column::new_unqualified(name)),
                    ..by
                }
            });
            let by = by.collect();
            let plan = LogicalPlanBuilder::from(input).project(listed)?.build()?;
            Some((plan, by))
        }
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => {
            let Some((input, by)) = order_of(input, count, kept)? else {
                return Ok(None);
            };
            let renamed = by.into_iter().map(|by| {
                let expr = by.expr.transform_up(|part| {
                    Ok(match part {
                        Expr::Column(column) => {
                            let column = Column::new(Some(alias.clone()), column.name);
                            Transformed::yes(Expr::Column(column))
                        }
                        other => Transformed::no(other),
                    })
                })?;
                Ok(By {
                    expr: expr.data,
                    ..by
                })
            });
            let by = renamed.collect::<Result<_>>()?;
            let table = SubqueryAlias::try_new(Arc::new(input), alias.clone())?;
            Some((LogicalPlan::SubqueryAlias(table), by))
        }
        _ => None,
    })
}
