//! `LATERAL`: a table beside each row of those before it.
//!
//! ```text
//! FROM genes g LEFT JOIN LATERAL (SELECT v.pos FROM variants v WHERE v.pos > g.end ORDER BY v.pos LIMIT 2) n ON true
//! ```
//! What only filters and computes is a join with the condition that was written. What does more (aggregates, LIMIT,
//! windows) works within the rows of one outer row ([`numbered`]), whose rows are then those of the subquery; `LEFT`
//! keeps one row of an outer row that has none.

use std::sync::Arc;

use datafusion::common::{Column, Result};
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Window, WindowFunctionDefinition, lit,
    when,
};

use super::apply::{Applied, Names, numbered, with_outer};
use super::flat::{Renamed, flat};
use super::left_alone::speaks_of_outer;
use super::{projected, with_columns};

/// Whether the right side of a join reads the rows of its left one.
pub(super) fn is_lateral(join: &Join) -> bool {
    let mut plan = &join.right;
    loop {
        plan = match plan.as_ref() {
            LogicalPlan::Subquery(inner) => {
                let left = join.left.schema();
                let mut columns = inner.outer_ref_columns.iter();
                return columns.any(|outer| match outer {
                    Expr::OuterReferenceColumn(_, column) => left.has_column(column),
                    _ => false,
                });
            }
            LogicalPlan::SubqueryAlias(inner) => &inner.input,
            LogicalPlan::Projection(inner) => &inner.input,
            LogicalPlan::Filter(inner) => &inner.input,
            _ => return false,
        };
    }
}

/// The join as one of sides that do not read each other; `None` when it has no such form.
pub(super) fn beside(join: &Join, names: &mut Names) -> Result<Option<LogicalPlan>> {
    if !speaks_of_outer(&join.right)? {
        return Ok(None);
    }
    let lateral = Lateral { join };
    let keeps = match join.join_type {
        JoinType::Inner => false,
        JoinType::Left => true,
        _ => return Ok(None),
    };
    if let Some(flat) = flat(&join.right, names)? {
        let Some(flat) = flat.renamed(names)? else {
            return Ok(None);
        };
        return lateral.joined(flat, keeps);
    }
    let Some((rows, applied)) = numbered(&join.left, &join.right, names)? else {
        return Ok(None);
    };
    match keeps {
        true => lateral.kept(&rows.number, applied, names),
        false => {
            let mark = applied.mark.clone();
            let plan = LogicalPlanBuilder::from(applied.plan)
                .filter(mark)?
                .build()?;
            let plan = lateral.listed(plan, &applied.columns)?;
            lateral.filtered(plan).map(Some)
        }
    }
}

struct Lateral<'a> {
    join: &'a Join,
}

impl Lateral<'_> {
    /// A join with rows that depend on no outer row.
    fn joined(&self, flat: Renamed, keeps: bool) -> Result<Option<LogicalPlan>> {
        let left = self.join.left.as_ref();
        let over = |exprs: &[Expr]| -> Result<Option<Vec<Expr>>> {
            exprs.iter().map(|expr| with_outer(expr, left)).collect()
        };
        let (Some(mut on), Some(mut columns)) = (over(&flat.conditions)?, over(&flat.columns)?)
        else {
            return Ok(None);
        };
        if keeps {
            let Some(condition) = self.condition(&columns)? else {
                return Ok(None);
            };
            on.extend(condition);
            flat.null_without(&mut columns)?;
        }
        if on.is_empty() {
            on.push(lit(true));
        }
        let plan = LogicalPlanBuilder::from(left.clone());
        let plan = plan.join_on(flat.rows, self.join.join_type, on)?.build()?;
        let plan = self.listed(plan, &columns)?;
        match keeps {
            true => Ok(Some(plan)),
            false => self.filtered(plan).map(Some),
        }
    }

    /// The rows of the subquery that meet the condition of the join, and of an outer row without any its own.
    fn kept(
        &self,
        number: &Expr,
        applied: Applied,
        names: &mut Names,
    ) -> Result<Option<LogicalPlan>> {
        let Some(condition) = self.condition(&applied.columns)? else {
            return Ok(None);
        };
        let applied = match condition.into_iter().reduce(Expr::and) {
            Some(condition) => applied.marked(condition)?,
            None => applied,
        };
        let mark = applied.mark;
        let mut plan = applied.plan;
        if !applied.single {
            let mut place = WindowFunction::new(
                WindowFunctionDefinition::WindowUDF(row_number_udwf()),
                Vec::new(),
            );
            place.params.partition_by = vec![number.clone()];
            // Rows of the subquery first.
            let is_row = mark.clone().is_true();
            place.params.order_by = vec![is_row.sort(false, false)];
            let name = names.next("place");
            let place = Expr::from(place).alias(&name);
            plan = LogicalPlan::Window(Window::try_new(vec![place], Arc::new(plan))?);
            let first = Expr::Column(Column::new_unqualified(name)).eq(lit(1_u64));
            let stays = mark.clone().is_true().or(first);
            plan = LogicalPlanBuilder::from(plan).filter(stays)?.build()?;
        }
        let columns = applied.columns.into_iter();
        let columns = columns.map(|column| when(mark.clone(), column).end());
        let columns = columns.collect::<Result<Vec<_>>>()?;
        self.listed(plan, &columns).map(Some)
    }

    /// The condition of the join over the left side and what the columns of the subquery are; `None` when a part of it
    /// cannot be.
    fn condition(&self, columns: &[Expr]) -> Result<Option<Vec<Expr>>> {
        let right = self.join.right.schema();
        let on = self.join.on.iter().map(|(l, r)| l.clone().eq(r.clone()));
        let parts = on.chain(self.join.filter.clone()).map(|part| {
            with_columns(&part, |column| match right.maybe_index_of_column(column) {
                Some(place) => columns.get(place).cloned(),
                None => Some(Expr::Column(column.clone())),
            })
        });
        parts.collect()
    }

    /// The columns of the join, with these on its right side.
    fn listed(&self, plan: LogicalPlan, columns: &[Expr]) -> Result<LogicalPlan> {
        let left = self.join.left.schema().columns();
        let mut list: Vec<Expr> = left.into_iter().map(Expr::Column).collect();
        for ((qualifier, field), column) in self.join.right.schema().iter().zip(columns) {
            list.push(
                column
                    .clone()
                    .alias_qualified(qualifier.cloned(), field.name()),
            );
        }
        projected(plan, list)
    }

    /// The rows that meet the condition of the join.
    fn filtered(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let on = self.join.on.iter().map(|(l, r)| l.clone().eq(r.clone()));
        let condition = on.chain(self.join.filter.clone()).reduce(Expr::and);
        match condition {
            Some(condition) => LogicalPlanBuilder::from(plan).filter(condition)?.build(),
            None => Ok(plan),
        }
    }
}
