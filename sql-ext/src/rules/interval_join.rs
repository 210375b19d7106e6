//! Joins by overlap as interval joins.
//!
//! ```text
//! before   HashJoinExec: on=[(contig, contig)], filter=pos@0 <= end_pos@3 AND end_pos@1 >= pos@2 AND score@4 > 3
//!            genes
//!            variants
//! after    IntervalJoinExec: on=[(contig, contig)], overlap=[pos <= end_pos, end_pos >= pos], filter=score@0 > 3
//!            genes
//!            variants
//! ```
//! The same is done of a `NestedLoopJoinExec` (no equal keys), and of a `FilterExec` over a `CrossJoinExec`. Of the
//! condition, two comparisons between the sides make the overlap: one that says that a place of the left side is not
//! behind a place of the right, one that another place of it is not before another. So all spellings are found:
//! `<=` and `<`, BETWEEN, swapped sides, half-open spans with `± 1`, places of different integer widths, a position in
//! a span, a span within a span, a distance (`BETWEEN pos - 1000 AND pos + 1000`), dates. Where there are more
//! comparisons, those of columns that are called like positions are taken. The rest of the condition stays as the
//! filter. `interval_overlaps` has become comparisons before; `in_region` of a column with regions is taken apart here:
//!
//! ```text
//! before   NestedLoopJoinExec: filter=in_region(contig, pos, end_pos, region)
//! after    IntervalJoinExec: on=[(primary(contig), region_contig(region))],
//!            overlap=[pos <= region_end(region), end_pos >= region_start(region)], filter=in_region(…)
//! ```
//!
//! It runs after DataFusion's choice of the build side by statistics, and before partitions are dealt out. Joins where
//! NULL equals NULL or that are aware of NULL (`NOT IN`) are left alone.

mod condition;
mod region;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::common::{JoinSide, JoinType, NullEquality, Result};
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::{collect_columns, conjunction, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec};
use genokura_exec::{IntervalCondition, IntervalJoinExec};

/// The rule.
#[derive(Debug)]
pub(crate) struct IntervalJoin;

impl PhysicalOptimizerRule for IntervalJoin {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rewrite = |node: Arc<dyn ExecutionPlan>| {
            let join = match Join::of(&node)? {
                Some(join) => join.by_overlap()?,
                None => None,
            };
            Ok(match join {
                Some(join) => Transformed::yes(Arc::new(join) as Arc<dyn ExecutionPlan>),
                None => Transformed::no(node),
            })
        };
        plan.transform_up(rewrite).data()
    }

    fn name(&self) -> &'static str {
        "interval_join"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A join with a condition, whatever node it was.
struct Join {
    left: Arc<dyn ExecutionPlan>,
    right: Arc<dyn ExecutionPlan>,
    join_type: JoinType,
    on: Vec<(PhysicalExprRef, PhysicalExprRef)>,
    filter: JoinFilter,
    projection: Option<Vec<usize>>,
}

impl Join {
    fn of(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Self>> {
        if let Some(join) = node.downcast_ref::<HashJoinExec>() {
            return Ok(Self::of_hash(join));
        }
        if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
            return Ok(join.filter().map(|filter| Self {
                left: Arc::clone(join.left()),
                right: Arc::clone(join.right()),
                join_type: *join.join_type(),
                on: Vec::new(),
                filter: filter.clone(),
                projection: join.projection().as_ref().map(|p| p.to_vec()),
            }));
        }
        let Some(filter) = node.downcast_ref::<FilterExec>() else {
            return Ok(None);
        };
        let cross = filter.input().downcast_ref::<CrossJoinExec>();
        Ok(cross.and_then(|cross| Self::of_cross(cross, filter)))
    }

    fn of_hash(join: &HashJoinExec) -> Option<Self> {
        let plain = !join.null_aware
            && join.null_equality() == NullEquality::NullEqualsNothing
            && join.fetch().is_none();
        let filter = join.filter().filter(|_| plain)?;
        Some(Self {
            left: Arc::clone(join.left()),
            right: Arc::clone(join.right()),
            join_type: *join.join_type(),
            on: join.on().to_vec(),
            filter: filter.clone(),
            projection: join.projection.as_ref().map(|p| p.to_vec()),
        })
    }

    fn of_cross(cross: &CrossJoinExec, filter: &FilterExec) -> Option<Self> {
        if filter.fetch().is_some() {
            return None;
        }
        let columns = |side, plan: &Arc<dyn ExecutionPlan>| {
            let count = plan.schema().fields().len();
            (0..count).map(move |index| ColumnIndex { index, side })
        };
        let left = columns(JoinSide::Left, cross.left());
        let all = left.chain(columns(JoinSide::Right, cross.right()));
        let predicate = Arc::clone(filter.predicate());
        Some(Self {
            left: Arc::clone(cross.left()),
            right: Arc::clone(cross.right()),
            join_type: JoinType::Inner,
            on: Vec::new(),
            filter: JoinFilter::new(predicate, all.collect(), cross.schema()),
            projection: filter.projection().as_ref().map(|p| p.to_vec()),
        })
    }

    /// The join as an interval join; `None` when its condition speaks of no overlap.
    fn by_overlap(self) -> Result<Option<IntervalJoinExec>> {
        let (left, right) = (self.left.schema(), self.right.schema());
        for (one, other) in &self.on {
            if one.data_type(&left)? != other.data_type(&right)? {
                return Ok(None);
            }
        }
        let sides = Sides {
            left: &left,
            right: &right,
            columns: self.filter.column_indices(),
        };
        let parts = split_conjunction(self.filter.expression());
        let Some(found) = condition::overlap(&parts, &sides)? else {
            return Ok(None);
        };
        let rest = parts
            .iter()
            .enumerate()
            .filter(|(i, _)| !found.used.contains(i));
        let rest: Vec<PhysicalExprRef> = rest.map(|(_, part)| Arc::clone(part)).collect();
        let condition = IntervalCondition {
            keys: self.on.into_iter().chain(found.keys).collect(),
            left: found.left,
            right: found.right,
            start_open: found.start_open,
            end_open: found.end_open,
        };
        let filter = match rest.is_empty() {
            true => None,
            false => Some(narrowed(&conjunction(rest), &self.filter)?),
        };
        let (left, right) = (self.left, self.right);
        let join = IntervalJoinExec::try_new(
            left,
            right,
            self.join_type,
            condition,
            filter,
            self.projection,
        );
        join.map(Some)
    }
}

/// The inputs of a join and the columns that its filter speaks of.
struct Sides<'a> {
    left: &'a Schema,
    right: &'a Schema,
    columns: &'a [ColumnIndex],
}

impl Sides<'_> {
    fn schema(&self, side: JoinSide) -> &Schema {
        match side {
            JoinSide::Left => self.left,
            _ => self.right,
        }
    }

    /// The side whose columns an expression names; `None` when it names those of both, or none.
    fn side_of(&self, expr: &PhysicalExprRef) -> Option<JoinSide> {
        let columns = collect_columns(expr);
        let mut sides = columns
            .iter()
            .map(|c| self.columns.get(c.index()).map(|c| c.side));
        let first = sides.next()??;
        sides.all(|side| side == Some(first)).then_some(first)
    }

    /// An expression over the columns of the filter as one over the columns of its side.
    fn moved(&self, expr: &PhysicalExprRef, side: JoinSide) -> Result<PhysicalExprRef> {
        let schema = self.schema(side);
        let moved = Arc::clone(expr).transform(|expr| {
            let column = expr.downcast_ref::<Column>();
            let Some(place) = column.and_then(|c| self.columns.get(c.index())) else {
                return Ok(Transformed::no(expr));
            };
            let name = schema.field(place.index).name();
            Ok(Transformed::yes(
                Arc::new(Column::new(name, place.index)) as _
            ))
        });
        moved.data()
    }
}

/// A filter of the columns that it names, and no others.
fn narrowed(expr: &PhysicalExprRef, filter: &JoinFilter) -> Result<JoinFilter> {
    let used: BTreeSet<usize> = collect_columns(expr).iter().map(Column::index).collect();
    let used: Vec<usize> = used.into_iter().collect();
    let columns = used
        .iter()
        .filter_map(|i| filter.column_indices().get(*i).cloned());
    let schema = filter.schema().project(&used)?;
    let moved = Arc::clone(expr).transform(|expr| {
        let Some(column) = expr.downcast_ref::<Column>() else {
            return Ok(Transformed::no(expr));
        };
        let place = used.binary_search(&column.index()).unwrap_or_default();
        Ok(Transformed::yes(
            Arc::new(Column::new(column.name(), place)) as _,
        ))
    });
    Ok(JoinFilter::new(
        moved.data()?,
        columns.collect(),
        Arc::new(schema),
    ))
}
