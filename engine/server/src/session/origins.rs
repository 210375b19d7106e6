//! Which column of which relation a column of a result is: what RowDescription tells of a plain reference.
//!
//! As in PostgreSQL a reference is followed through subqueries, common table expressions and joins down to the table,
//! and ends at a view. What is computed, and the rows of a UNION, are of no table.
//!
//! ```text
//! select v.x from (select a as x from t) v
//!   Projection v.x ─► SubqueryAlias v ─► Projection t.a AS x ─► TableScan t: column a of t
//! ```

use std::collections::HashMap;

use datafusion::common::{Column, DFSchema, TableReference};
use datafusion::logical_expr::expr::Alias;
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan, TableScan};

use super::DATABASE;
use super::catalog::{self, SYSTEM};
use super::plan::PlanContext;
use super::whole_row;

/// OID of a relation and number of a column of it, from 1 on.
type Origin = (u32, i16);

/// The alias of a view's query begins with this and ends with its name; no client can write such a name.
const VIEW: &str = "\u{1}view ";

/// The alias that marks the query of a temporary view.
pub(super) fn of_view(name: &str) -> String {
    format!("{VIEW}{name}")
}

/// Where each column of a plan's rows comes from.
pub(super) fn of(context: &PlanContext, plan: &LogicalPlan) -> Vec<Option<Origin>> {
    let width = plan.schema().fields().len();
    trace(context, plan, (0..width).map(Some).collect())
}

/// The origins of these columns of a plan; None is a column without one.
fn trace(
    context: &PlanContext,
    plan: &LogicalPlan,
    wanted: Vec<Option<usize>>,
) -> Vec<Option<Origin>> {
    if wanted.iter().all(Option::is_none) {
        return vec![None; wanted.len()];
    }
    match plan {
        LogicalPlan::Projection(node) => {
            let wanted = behind(&node.expr, node.input.schema(), wanted);
            trace(context, &node.input, wanted)
        }
        LogicalPlan::Distinct(Distinct::On(node)) => {
            let wanted = behind(&node.select_expr, node.input.schema(), wanted);
            trace(context, &node.input, wanted)
        }
        LogicalPlan::Aggregate(node) => {
            let keys = match node.group_expr.as_slice() {
                [Expr::GroupingSet(sets)] => sets.distinct_expr().into_iter().cloned().collect(),
                keys => keys.to_vec(),
            };
            let wanted = behind(&keys, node.input.schema(), wanted);
            trace(context, &node.input, wanted)
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => match plan.inputs().as_slice() {
            [input] => trace(context, input, wanted),
            _ => vec![None; wanted.len()],
        },
        // The columns of the input come first.
        LogicalPlan::Window(node) => {
            let width = node.input.schema().fields().len();
            let wanted = wanted.into_iter().map(|at| at.filter(|at| *at < width));
            trace(context, &node.input, wanted.collect())
        }
        LogicalPlan::Unnest(node) => {
            let spread = |at: usize| {
                let lists = node.list_type_columns.iter().map(|(list, _)| *list);
                lists
                    .chain(node.struct_type_columns.iter().copied())
                    .any(|list| list == at)
            };
            let input = |at: usize| node.dependency_indices.get(at).copied();
            let wanted = wanted
                .into_iter()
                .map(|at| at.and_then(input).filter(|at| !spread(*at)));
            trace(context, &node.input, wanted.collect())
        }
        LogicalPlan::Join(node) => {
            let width = match node.join_type {
                JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => 0,
                _ => node.left.schema().fields().len(),
            };
            let left = |at: usize| (at < width).then_some(at);
            let right = |at: usize| at.checked_sub(width);
            let side = |of: &dyn Fn(usize) -> Option<usize>| -> Vec<Option<usize>> {
                wanted.iter().map(|at| at.and_then(of)).collect()
            };
            let left = trace(context, &node.left, side(&left));
            let right = match node.join_type {
                // Of the right side there is at most a mark.
                JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
                    vec![None; wanted.len()]
                }
                _ => trace(context, &node.right, side(&right)),
            };
            left.into_iter()
                .zip(right)
                .map(|(left, right)| left.or(right))
                .collect()
        }
        LogicalPlan::SubqueryAlias(node) => match node.alias.table().strip_prefix(VIEW) {
            None => trace(context, &node.input, wanted),
            Some(view) => {
                let schema = super::temp::schema_name(context.info.pid);
                let oid = catalog::relation_oids(context).get(&schema, view);
                numbered(oid, wanted)
            }
        },
        LogicalPlan::TableScan(scan) => {
            let oid = relation(context, &scan.table_name);
            let wanted = wanted
                .into_iter()
                .map(|at| at.and_then(|at| stored(scan, at)));
            numbered(oid, wanted.collect())
        }
        _ => vec![None; wanted.len()],
    }
}

/// The type of the rows of a table, where a column of a plan is such a row.
pub(super) fn row_type(context: &PlanContext, plan: &LogicalPlan, at: usize) -> Option<u32> {
    match plan {
        LogicalPlan::Projection(node) => {
            let mut expr = node.expr.get(at)?;
            loop {
                expr = match expr {
                    Expr::Alias(alias) => &alias.expr,
                    // What a join fills up is no row.
                    Expr::Case(case) if case.else_expr.is_none() => {
                        let [(_, row)] = case.when_then_expr.as_slice() else {
                            return None;
                        };
                        row
                    }
                    Expr::Column(column) => {
                        let at = node.input.schema().maybe_index_of_column(column)?;
                        return row_type(context, &node.input, at);
                    }
                    Expr::ScalarFunction(call) if call.func.name() == whole_row::NAME => {
                        return of_row(context, &node.input, &call.args);
                    }
                    _ => return None,
                };
            }
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => match plan.inputs().as_slice() {
            [input] => row_type(context, input, at),
            _ => None,
        },
        _ => None,
    }
}

/// The type of the rows of a table, all of whose columns these are, with names between them.
fn of_row(context: &PlanContext, input: &LogicalPlan, args: &[Expr]) -> Option<u32> {
    let columns = args.iter().skip(1).step_by(2);
    let columns = columns.map(|arg| match arg {
        Expr::Column(column) => Some(column),
        _ => None,
    });
    let columns: Vec<&Column> = columns.collect::<Option<_>>()?;
    let name = columns.first()?.relation.as_ref()?;
    if !columns
        .iter()
        .all(|column| column.relation.as_ref() == Some(name))
    {
        return None;
    }
    let scan = scan_of(input, name)?;
    let stored = scan.source.schema();
    let names = stored.fields().iter().map(|field| field.name());
    if !names.eq(columns.iter().map(|column| &column.name)) {
        return None;
    }
    let schema = scan.table_name.schema()?;
    catalog::relation_oids(context).row_type(schema, scan.table_name.table())
}

/// The scan of a table that a plan calls by this name, and not a query.
fn scan_of<'a>(plan: &'a LogicalPlan, name: &TableReference) -> Option<&'a TableScan> {
    match plan {
        LogicalPlan::TableScan(scan) => (scan.table_name == *name).then_some(scan),
        LogicalPlan::SubqueryAlias(node) => match node.input.as_ref() {
            LogicalPlan::TableScan(scan) if node.alias == *name => Some(scan),
            _ => None,
        },
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Union(_) => None,
        _ => plan
            .inputs()
            .into_iter()
            .find_map(|input| scan_of(input, name)),
    }
}

/// What these expressions are plain references to.
fn behind(exprs: &[Expr], input: &DFSchema, wanted: Vec<Option<usize>>) -> Vec<Option<usize>> {
    let places: HashMap<(Option<&TableReference>, &str), usize> = input
        .iter()
        .enumerate()
        .map(|(at, (qualifier, field))| ((qualifier, field.name().as_str()), at))
        .collect();
    let place = |column: &Column| {
        let known = places.get(&(column.relation.as_ref(), column.name.as_str()));
        known
            .copied()
            .or_else(|| input.maybe_index_of_column(column))
    };
    let of = |expr: &Expr| {
        let mut expr = expr;
        while let Expr::Alias(alias) = expr {
            expr = match alias.expr.as_ref() {
                // A column that is told as what PostgreSQL has it as keeps its whole name, which no other cast does.
                Expr::Cast(told) if is_named_as(alias, &told.expr) => &told.expr,
                inner => inner,
            };
        }
        match expr {
            Expr::Column(column) => place(column),
            _ => None,
        }
    };
    let wanted = wanted.into_iter();
    wanted
        .map(|at| at.and_then(|at| exprs.get(at)).and_then(of))
        .collect()
}

fn is_named_as(alias: &Alias, expr: &Expr) -> bool {
    match expr {
        Expr::Column(column) => {
            alias.relation.is_some()
                && alias.relation == column.relation
                && alias.name == column.name
        }
        _ => false,
    }
}

/// The place among all columns of a table of a column that a scan gives.
fn stored(scan: &TableScan, at: usize) -> Option<usize> {
    match &scan.projection {
        Some(projection) => projection.get(at).copied(),
        None => Some(at),
    }
}

/// The OID of a scanned relation; functions in FROM have names without a schema.
fn relation(context: &PlanContext, name: &TableReference) -> Option<u32> {
    let known = name
        .catalog()
        .is_none_or(|catalog| [DATABASE, SYSTEM].contains(&catalog));
    let schema = name.schema().filter(|_| known)?;
    catalog::relation_oids(context).get(schema, name.table())
}

fn numbered(oid: Option<u32>, columns: Vec<Option<usize>>) -> Vec<Option<Origin>> {
    let origin = |at: usize| Some((oid?, i16::try_from(at + 1).ok()?));
    columns.into_iter().map(|at| at.and_then(origin)).collect()
}
