//! Subqueries that speak of rows of the outer query, as joins.
//!
//! DataFusion makes joins of those that compare by equality alone, and of `EXISTS` and `IN` in WHERE. This rule does the
//! others: scalar subqueries that compare in any way, wherever an expression may stand, and `EXISTS` and `IN` outside
//! of WHERE.
//!
//! ```text
//! SELECT g.name, (SELECT count(*) FROM variants v WHERE v.contig = g.contig AND v.pos BETWEEN g.start AND g.end)
//! FROM genes g
//!
//! Projection: g.name, __value_1
//!   Aggregate: groupBy=[row_number(), g.name, g.contig, g.start, g.end], aggr=[count(mark)]
//!     Left Join: v.contig = g.contig AND v.pos >= g.start AND v.pos <= g.end
//!       Window: row_number()
//!         genes g
//!       Projection: true AS mark, v.contig, v.pos
//!         variants v
//! ```
//! The rows of the outer side are numbered, joined with what the subquery reads, and put together again by their number:
//! each is read once, whatever it holds. A row that the subquery finds nothing for stays, without its mark, and every
//! aggregate leaves out what has no mark: `count` is 0 there. HAVING, GROUP BY, DISTINCT, ORDER BY and LIMIT of the
//! subquery work within the rows of one number ([`apply`]). `EXISTS` is a mark join and needs no number.
//!
//! The join has the condition that was written, so that one by overlap becomes an interval join. Parts of a UNION that
//! speak of the outer row are one table with the number of their part ([`parts`]), and `LATERAL` is the same without
//! the putting together ([`lateral`]). What stands among the conditions of a join is moved to the side that it is about
//! ([`on`]), and an outer join whose condition is about both is one of numbered rows ([`outer`]). INTERSECT and EXCEPT are
//! asked for each row of their left side ([`half`]). What has no such form (FULL JOIN with the outer row on a side) is
//! refused.
//!
//! It runs when types are settled, before constants are judged.

mod apply;
mod flat;
mod half;
mod lateral;
mod left_alone;
mod on;
mod outer;
mod parts;
mod single_value;

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Projection};
use datafusion::optimizer::AnalyzerRule;

use apply::Names;

use crate::error::Error;

/// The rule.
#[derive(Debug)]
pub(crate) struct Correlated;

impl AnalyzerRule for Correlated {
    fn name(&self) -> &'static str {
        "correlated_subqueries"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let mut any = false;
        plan.apply_with_subqueries(|node| {
            any = any || matches!(node, LogicalPlan::Subquery(_));
            node.apply_expressions(|expr| {
                any = any || expr.exists(|part| Ok(is_subquery(part)))?;
                Ok(left_alone::until(any))
            })
        })?;
        if !any {
            return Ok(plan);
        }
        let mut names = Names::default();
        // Nodes above another list of columns, which may be NULL where those were not.
        let mut stale = false;
        // What lies deepest comes first, so that a subquery holds none that compares with its own rows.
        plan.transform_up_with_subqueries(|node| {
            let node = match stale {
                true => node.recompute_schema()?,
                false => node,
            };
            let node = named_apart(node, &mut names)?;
            if let LogicalPlan::Join(join) = &node
                && lateral::is_lateral(join)
            {
                stale = true;
                return match lateral::beside(join, &mut names)? {
                    Some(beside) => Ok(Transformed::yes(beside)),
                    None => Err(Error::Clause(REFUSED).into()),
                };
            }
            if let LogicalPlan::Join(join) = &node
                && let Some(apart) = on::apart(join, &mut names)?
            {
                stale = true;
                return Ok(Transformed::yes(apart));
            }
            rewritten(node, &mut names)
        })
        .data()
    }
}

/// A filter on the outer row whose columns have names of their own: where DataFusion makes a join of its subquery, the rows
/// are those of one table, in which columns of two tables with one name would be one.
fn named_apart(node: LogicalPlan, names: &mut Names) -> Result<LogicalPlan> {
    let LogicalPlan::Filter(filter) = &node else {
        return Ok(node);
    };
    if !filter.predicate.contains_outer() {
        return Ok(node);
    }
    let schema = filter.input.schema();
    let mut apart: Vec<(Column, Expr)> = Vec::new();
    let parts = split_conjunction(&filter.predicate);
    for part in parts.into_iter().filter(|part| part.contains_outer()) {
        for column in part.column_refs() {
            let alike = schema.qualified_fields_with_unqualified_name(&column.name);
            let is_known = apart.iter().any(|(known, _)| known == column);
            if alike.len() > 1 && !is_known {
                let name = names.next("apart");
                apart.push((column.clone(), Expr::Column(Column::new_unqualified(name))));
            }
        }
    }
    if apart.is_empty() {
        return Ok(node);
    }
    // What its own names are, in an order that does not change from run to run.
    apart.sort_by(|(one, _), (other, _)| one.cmp(other));
    let renamed = apart.iter().map(|(column, own)| match own {
        Expr::Column(own) => Expr::Column(column.clone()).alias(&own.name),
        other => other.clone(),
    });
    let columns = schema.columns().into_iter().map(Expr::Column);
    let input = projected(
        filter.input.as_ref().clone(),
        columns.chain(renamed).collect(),
    )?;
    let own = |column: &Column| {
        let found = apart.iter().find(|(known, _)| known == column);
        Some(found.map_or_else(|| Expr::Column(column.clone()), |(_, own)| own.clone()))
    };
    let parts = split_conjunction(&filter.predicate).into_iter();
    let parts = parts.map(|part| match part.contains_outer() {
        true => with_columns(part, own).map(|changed| changed.unwrap_or_else(|| part.clone())),
        false => Ok(part.clone()),
    });
    let parts = parts.collect::<Result<Vec<_>>>()?;
    match parts.into_iter().reduce(Expr::and) {
        Some(predicate) => Filter::try_new(predicate, Arc::new(input)).map(LogicalPlan::Filter),
        None => Ok(node),
    }
}

/// Whether a part of an expression is a subquery.
fn is_subquery(part: &Expr) -> bool {
    matches!(
        part,
        Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_)
    )
}

/// A node whose subqueries, as far as this rule takes them, are columns of its input.
fn rewritten(node: LogicalPlan, names: &mut Names) -> Result<Transformed<LogicalPlan>> {
    let taken = left_alone::others(&node)?;
    let ([input], false) = (&node.inputs()[..], taken.is_empty()) else {
        return Ok(Transformed::no(node));
    };
    let mut outer = (*input).clone();
    let mut values: Vec<(Expr, Expr)> = Vec::new();
    for subquery in taken {
        let applied = match apply::with_value(&outer, &subquery, names)? {
            None if matches!(node, LogicalPlan::Sort(_)) => below(&outer, &subquery, names)?,
            applied => applied,
        };
        match applied {
            Some((with_value, value)) => {
                outer = with_value;
                values.push((subquery, value));
            }
            None if left_alone::may_be_taken(&node, &subquery)? => {}
            None => return Err(Error::Clause(REFUSED).into()),
        }
    }
    let kept = NamePreserver::new(&node);
    let replaced = node.expressions().into_iter().map(|expr| {
        let name = kept.save(&expr);
        let changed = expr.transform_down(|part| {
            let found = values.iter().find(|(subquery, _)| *subquery == part);
            Ok(match found {
                Some((_, value)) => Transformed::yes(value.clone()),
                None => Transformed::no(part),
            })
        });
        changed.data().map(|expr| name.restore(expr))
    });
    let replaced = replaced.collect::<Result<Vec<_>>>()?;
    let changed = node.with_new_exprs(replaced, vec![outer])?;
    let passes_on = !matches!(node, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_));
    match passes_on {
        true => Ok(Transformed::yes(columns_of(&node, changed)?)),
        false => Ok(Transformed::yes(changed)),
    }
}

/// What the error of other subqueries calls them.
const REFUSED: &str = "this use of the outer row in a subquery";

/// ORDER BY may speak of rows below the list of columns: a list with a value more.
fn below(
    list: &LogicalPlan,
    subquery: &Expr,
    names: &mut Names,
) -> Result<Option<(LogicalPlan, Expr)>> {
    let LogicalPlan::Projection(list) = list else {
        return Ok(None);
    };
    let applied = apply::with_value(&list.input, subquery, names)?;
    let Some((input, value)) = applied else {
        return Ok(None);
    };
    let name = names.next("key");
    let column = Expr::Column(Column::new_unqualified(&name));
    let columns = list.expr.iter().cloned().chain([value.alias(name)]);
    Ok(Some((projected(input, columns.collect())?, column)))
}

/// `plan` with the columns of `node` and no others.
fn columns_of(node: &LogicalPlan, plan: LogicalPlan) -> Result<LogicalPlan> {
    let columns = node.schema().columns().into_iter().map(Expr::Column);
    projected(plan, columns.collect())
}

/// A projection of columns that are named in full.
fn projected(plan: LogicalPlan, columns: Vec<Expr>) -> Result<LogicalPlan> {
    Projection::try_new(columns, Arc::new(plan)).map(LogicalPlan::Projection)
}

/// An expression over other columns: `column` tells what stands for each, and `None` ends it.
fn with_columns(
    expr: &Expr,
    mut column: impl FnMut(&Column) -> Option<Expr>,
) -> Result<Option<Expr>> {
    let mut all = true;
    let changed = expr.clone().transform_up(|part| {
        let Expr::Column(named) = &part else {
            return Ok(Transformed::no(part));
        };
        Ok(match column(named) {
            Some(expr) => Transformed::yes(expr),
            None => {
                all = false;
                Transformed::no(part)
            }
        })
    });
    Ok(Some(changed.data()?).filter(|_| all))
}
