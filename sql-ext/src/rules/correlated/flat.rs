//! What a subquery reads, apart from what it asks of the outer row.

use datafusion::common::tree_node::TreeNode as _;
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Join, LogicalPlan, LogicalPlanBuilder, lit, when};

use super::apply::Names;
use super::left_alone::speaks_of_outer;
use super::{is_subquery, parts, projected, with_columns};

/// A plan that speaks of the outer row only in a condition on its rows and in what is computed of each.
pub(super) struct Flat {
    /// The rows, which depend on no outer row.
    pub(super) rows: LogicalPlan,
    /// What must hold of a row and the outer one, over the columns of `rows`.
    pub(super) conditions: Vec<Expr>,
    /// The columns of the plan, over those of `rows`.
    pub(super) columns: Vec<Expr>,
}

/// A plan taken apart; `None` when it does more with the outer row than to filter and compute.
pub(super) fn flat(plan: &LogicalPlan, names: &mut Names) -> Result<Option<Flat>> {
    if !speaks_of_outer(plan)? {
        return Ok(Some(Flat {
            columns: columns(plan),
            rows: plan.clone(),
            conditions: Vec::new(),
        }));
    }
    match plan {
        LogicalPlan::Subquery(inner) => flat(&inner.subquery, names),
        LogicalPlan::SubqueryAlias(inner) => flat(&inner.input, names),
        LogicalPlan::Projection(node) => {
            let Some(inner) = flat(&node.input, names)? else {
                return Ok(None);
            };
            if node
                .expr
                .iter()
                .any(|e| e.is_volatile() || holds_subquery(e))
            {
                return Ok(None);
            }
            let columns = inner.over(&node.expr, &node.input)?;
            Ok(columns.map(|columns| Flat { columns, ..inner }))
        }
        LogicalPlan::Filter(node) => match flat(&node.input, names)? {
            Some(inner) => inner.filtered(&node.predicate, &node.input),
            None => Ok(None),
        },
        LogicalPlan::Join(join) => joined(join, names),
        LogicalPlan::Values(node) => parts::values(node, names),
        LogicalPlan::Union(node) => parts::union(node, names),
        _ => Ok(None),
    }
}

fn columns(plan: &LogicalPlan) -> Vec<Expr> {
    let columns = plan.schema().columns();
    columns.into_iter().map(Expr::Column).collect()
}

pub(super) fn holds_subquery(expr: &Expr) -> bool {
    // Nothing in it fails.
    expr.exists(|part| Ok(is_subquery(part))).unwrap_or(true)
}

impl Flat {
    /// Expressions over the columns of `plan`, which this is, as ones over the rows; without their names.
    fn over(&self, exprs: &[Expr], plan: &LogicalPlan) -> Result<Option<Vec<Expr>>> {
        let schema = plan.schema();
        let mut over = Vec::with_capacity(exprs.len());
        for expr in exprs {
            let column = |column: &_| {
                let place = schema.maybe_index_of_column(column)?;
                self.columns.get(place).cloned()
            };
            let Some(expr) = with_columns(expr, column)? else {
                return Ok(None);
            };
            over.push(expr.unalias_nested().data);
        }
        Ok(Some(over))
    }

    fn filtered(mut self, predicate: &Expr, plan: &LogicalPlan) -> Result<Option<Self>> {
        let mut kept = Vec::new();
        for part in split_conjunction(predicate) {
            let Some(over) = self.over(std::slice::from_ref(part), plan)? else {
                return Ok(None);
            };
            for over in over {
                if part.is_volatile() {
                    return Ok(None);
                }
                // A subquery in it names columns as they were.
                let moved = holds_subquery(part) && (over != *part || over.contains_outer());
                match over.contains_outer() {
                    _ if moved => return Ok(None),
                    true => self.conditions.push(over),
                    false => kept.push(over),
                }
            }
        }
        if let Some(kept) = kept.into_iter().reduce(Expr::and) {
            self.rows = LogicalPlanBuilder::from(self.rows).filter(kept)?.build()?;
        }
        Ok(Some(self))
    }

    /// The same with rows whose columns are called like no others.
    pub(super) fn renamed(self, names: &mut Names) -> Result<Option<Renamed>> {
        let name = names.next("sub");
        let old = self.rows.schema().columns();
        let renamed = old.iter().enumerate();
        let renamed =
            renamed.map(|(i, column)| Expr::Column(column.clone()).alias(format!("c{i}")));
        let any = lit(true).alias(ANY);
        let rows = projected(self.rows.clone(), renamed.chain([any]).collect())?;
        let rows = LogicalPlanBuilder::from(rows).alias(name)?.build()?;
        let mut new = columns(&rows);
        let Some(any) = new.pop() else {
            return Ok(None);
        };
        let schema = self.rows.schema();
        let moved = |exprs: &[Expr]| -> Result<Option<Vec<Expr>>> {
            let column = |column: &_| new.get(schema.maybe_index_of_column(column)?).cloned();
            exprs
                .iter()
                .map(|expr| with_columns(expr, column))
                .collect()
        };
        let (conditions, columns) = (moved(&self.conditions)?, moved(&self.columns)?);
        Ok(conditions
            .zip(columns)
            .map(|(conditions, columns)| Renamed {
                rows,
                conditions,
                columns,
                any,
            }))
    }
}

/// A column that is true in every row.
const ANY: &str = "any";

/// [`Flat`] with rows whose columns are called like no others.
#[derive(Clone)]
pub(super) struct Renamed {
    pub(super) rows: LogicalPlan,
    pub(super) conditions: Vec<Expr>,
    pub(super) columns: Vec<Expr>,
    /// True in every row.
    pub(super) any: Expr,
}

impl Renamed {
    /// Makes what is computed, or a column of the outer row, NULL where an outer join found none of these rows.
    pub(super) fn null_without(&self, columns: &mut [Expr]) -> Result<()> {
        let schema = self.rows.schema();
        for column in columns {
            let is_of_rows = matches!(column, Expr::Column(own) if schema.has_column(own));
            if !is_of_rows {
                *column = when(self.any.clone(), column.clone()).end()?;
            }
        }
        Ok(())
    }

    /// An expression over the rows when these have another name.
    pub(super) fn under(&self, expr: &Expr, name: &str) -> Result<Expr> {
        let schema = self.rows.schema();
        let moved = with_columns(expr, |column| {
            Some(Expr::Column(match schema.has_column(column) {
                true => Column::new(Some(name), &column.name),
                false => column.clone(),
            }))
        });
        Ok(moved?.unwrap_or_else(|| expr.clone()))
    }
}

/// A join of which one side or both speak of the outer row, or its condition.
fn joined(join: &Join, names: &mut Names) -> Result<Option<Flat>> {
    let plain = join.null_equality == NullEquality::NullEqualsNothing && !join.null_aware;
    let inner = join.join_type == JoinType::Inner;
    let known = inner || (join.join_type == JoinType::Left && !speaks_of_outer(&join.right)?);
    if !plain || !known {
        return Ok(None);
    }
    let (Some(left), Some(right)) = (flat(&join.left, names)?, flat(&join.right, names)?) else {
        return Ok(None);
    };
    let (Some(left), Some(right)) = (left.renamed(names)?, right.renamed(names)?) else {
        return Ok(None);
    };
    let on = join.on.iter().map(|(l, r)| l.clone().eq(r.clone()));
    let on = on.chain(join.filter.clone()).reduce(Expr::and);
    let on: Vec<Expr> = on.into_iter().collect();
    let column = |column: &Column| match join.left.schema().maybe_index_of_column(column) {
        Some(place) => left.columns.get(place).cloned(),
        None => {
            let place = join.right.schema().maybe_index_of_column(column)?;
            right.columns.get(place).cloned()
        }
    };
    let mut conditions: Vec<Expr> = left
        .conditions
        .iter()
        .chain(&right.conditions)
        .cloned()
        .collect();
    let mut kept = Vec::new();
    for part in on.iter().flat_map(split_conjunction) {
        if part.is_volatile() || holds_subquery(part) {
            return Ok(None);
        }
        let Some(part) = with_columns(part, column)? else {
            return Ok(None);
        };
        match part.contains_outer() {
            true if !inner => return Ok(None),
            true => conditions.push(part),
            false => kept.push(part),
        }
    }
    if kept.is_empty() {
        kept.push(lit(true));
    }
    let columns = left.columns.into_iter().chain(right.columns).collect();
    let rows = LogicalPlanBuilder::from(left.rows).join_on(right.rows, join.join_type, kept)?;
    Ok(Some(Flat {
        rows: rows.build()?,
        conditions,
        columns,
    }))
}
