//! Joins that give rows of one side alone, with the outer row on either side: `INTERSECT`, `EXCEPT`.
//!
//! ```text
//! c IN (SELECT c FROM a EXCEPT SELECT c FROM b WHERE b.k = o.k)
//!
//!   LeftMark Join: a.c IS NOT DISTINCT FROM b.c AND b.k = o.k      a row of the subquery where there is none
//!     o, beside each row the rows of a
//!     b
//! ```
//! What the other side asks of the outer row is asked for each row of this one. Above such a join it would be another
//! question.

use datafusion::common::{Column, NullEquality, Result};
use datafusion::logical_expr::{
    Expr, Join, JoinType, LogicalPlanBuilder, Operator, binary_expr, lit,
};

use super::apply::{Applied, Applying};
use super::flat::{flat, holds_subquery};
use super::with_columns;

impl Applying<'_> {
    /// The rows of the left side that have one on the right, or none; `None` when it has no such form.
    pub(super) fn halved(&mut self, join: &Join) -> Result<Option<Applied>> {
        let Some(other) = flat(&join.right, self.names)? else {
            return Ok(None);
        };
        let Some(inner) = self.of(&join.left)? else {
            return Ok(None);
        };
        let Some(other) = other.renamed(self.names)? else {
            return Ok(None);
        };
        let (Some(mut on), Some(columns)) = (
            self.beside(&other.conditions)?,
            self.beside(&other.columns)?,
        ) else {
            return Ok(None);
        };
        let (left, right) = (join.left.schema(), join.right.schema());
        let of_left = |column: &Column| {
            let place = left.maybe_index_of_column(column)?;
            inner.columns.get(place).cloned()
        };
        let of_right = |column: &Column| {
            let place = right.maybe_index_of_column(column)?;
            columns.get(place).cloned()
        };
        let equal = match join.null_equality {
            NullEquality::NullEqualsNull => Operator::IsNotDistinctFrom,
            NullEquality::NullEqualsNothing => Operator::Eq,
        };
        let mut asked = Vec::with_capacity(join.on.len() + 1);
        for (one, another) in &join.on {
            let pair = (
                with_columns(one, of_left)?,
                with_columns(another, of_right)?,
            );
            let (Some(one), Some(another)) = pair else {
                return Ok(None);
            };
            asked.push(binary_expr(one, equal, another));
        }
        if let Some(filter) = &join.filter {
            if filter.is_volatile() || holds_subquery(filter) {
                return Ok(None);
            }
            let either = |column: &Column| of_left(column).or_else(|| of_right(column));
            let Some(filter) = with_columns(filter, either)? else {
                return Ok(None);
            };
            asked.push(filter);
        }
        let Some(asked) = self.beside(&asked)? else {
            return Ok(None);
        };
        on.extend(asked);
        if on.is_empty() {
            on.push(lit(true));
        }
        let plan = LogicalPlanBuilder::from(inner.plan.clone());
        let plan = plan.join_on(other.rows, JoinType::LeftMark, on)?.build()?;
        let Some(found) = plan.schema().columns().pop().map(Expr::Column) else {
            return Ok(None);
        };
        let stays = match join.join_type {
            JoinType::LeftSemi => found,
            _ => !found,
        };
        Applied { plan, ..inner }.marked(stays).map(Some)
    }

    /// Expressions in which columns of the outer row are columns beside others.
    fn beside(&self, exprs: &[Expr]) -> Result<Option<Vec<Expr>>> {
        let all = exprs.iter();
        all.map(|expr| super::apply::with_outer(expr, self.outer))
            .collect()
    }
}
