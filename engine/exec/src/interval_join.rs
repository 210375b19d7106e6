//! The interval join: rows of two inputs whose keys are equal and whose spans overlap.
//!
//! ```text
//!   genes (left, build side)                 variants (right, probe side)
//!   collected once, indexed per contig       streamed, in their order, in any number of partitions
//!   ┌───────────────────────────┐
//!   │ chr1  [---BRCA1---]       │ ◄───────── chr1 17   asks the index: which spans start at 17 or before
//!   │            [--NBR2--]     │            chr1 17   and end at 17 or behind?
//!   │ chr2  [-SCN1A-]           │ ◄───────── chr2 40
//!   └───────────────────────────┘
//!          └── dynamic filter: where the spans lie ──► the scan of the probe side reads no other page
//! ```
//!
//! # Contract
//! - The answer is that of a nested loop with the conditions of [`IntervalCondition`] and the filter, for every type of
//!   join, under any batch size and number of partitions. NULL keys and bounds match nothing; rows of a preserved side
//!   stay, as SQL demands.
//! - The left side is the build side: put the smaller one there. It is collected from one partition.
//! - Rows of the probe side come out in their order, where the type of join keeps it (`maintains_input_order`).
//! - Batches have at most the session's batch size; only those without any column may have more rows.
//! - Memory is reserved in the pool. When the build side does not fit, both sides are spilled and joined in as many
//!   passes as needed ([`spill`]); when there is no disk to spill to, the error of the pool is the answer.
//! - It yields between batches, so that a cancelled query ends.

mod bounds;
mod build;
mod condition;
mod index;
mod output;
mod spill;
mod stream;
pub(crate) mod stretches;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{JoinSide, JoinType, Statistics, internal_err, plan_err, project_schema};
use datafusion::error::Result as DfResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::equivalence::{ProjectionMapping, join_equivalence_properties};
use datafusion::physical_expr::expressions::{DynamicFilterPhysicalExpr, lit};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{Distribution, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase,
    FilterPushdownPropagation,
};
use datafusion::physical_plan::joins::utils::{
    ColumnIndex, JoinFilter, adjust_right_output_partitioning, build_join_schema,
};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::{
    EmbeddedProjection, ProjectionExec, try_embed_projection,
};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _,
    InputDistributionRequirements, Partitioning, PlanProperties,
};
use futures::stream as streams;

pub use condition::{IntervalCondition, SpanExprs};

use build::SharedBuild;
use stream::{JoinContext, JoinRows};

/// Joins rows whose keys are equal and whose spans overlap; see the module.
#[derive(Debug)]
pub struct IntervalJoinExec {
    parts: Parts,
    join_schema: SchemaRef,
    column_indices: Vec<ColumnIndex>,
    build: Arc<SharedBuild>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// What a join is made of.
#[derive(Clone, Debug)]
struct Parts {
    left: Arc<dyn ExecutionPlan>,
    right: Arc<dyn ExecutionPlan>,
    join_type: JoinType,
    condition: Arc<IntervalCondition>,
    filter: Option<JoinFilter>,
    projection: Option<Vec<usize>>,
    dynamic: Option<Arc<DynamicFilterPhysicalExpr>>,
}

impl IntervalJoinExec {
    /// A join of two inputs; `filter` is what else must hold of a pair, `projection` the columns that come out of all
    /// those that the type of join gives.
    ///
    /// # Errors
    /// When the condition does not fit the inputs.
    pub fn try_new(
        left: Arc<dyn ExecutionPlan>,
        right: Arc<dyn ExecutionPlan>,
        join_type: JoinType,
        condition: IntervalCondition,
        filter: Option<JoinFilter>,
        projection: Option<Vec<usize>>,
    ) -> DfResult<Self> {
        condition.check(&left.schema(), &right.schema())?;
        Self::of(Parts {
            left,
            right,
            join_type,
            condition: Arc::new(condition),
            filter,
            projection,
            dynamic: None,
        })
    }

    fn of(parts: Parts) -> DfResult<Self> {
        let (left, right) = (parts.left.schema(), parts.right.schema());
        let (join_schema, column_indices) = build_join_schema(&left, &right, &parts.join_type);
        let join_schema = Arc::new(join_schema);
        let properties = parts.properties(&join_schema)?;
        Ok(Self {
            parts,
            join_schema,
            column_indices,
            build: Arc::default(),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    /// The build side.
    pub fn left(&self) -> &Arc<dyn ExecutionPlan> {
        &self.parts.left
    }

    /// The probe side.
    pub fn right(&self) -> &Arc<dyn ExecutionPlan> {
        &self.parts.right
    }

    /// The type of join.
    pub fn join_type(&self) -> JoinType {
        self.parts.join_type
    }

    /// When rows match.
    pub fn condition(&self) -> &IntervalCondition {
        &self.parts.condition
    }

    /// What else must hold of a pair.
    pub fn filter(&self) -> Option<&JoinFilter> {
        self.parts.filter.as_ref()
    }

    /// The columns that come out, by side.
    fn projected(&self) -> Vec<ColumnIndex> {
        match &self.parts.projection {
            Some(places) => places
                .iter()
                .map(|i| self.column_indices[*i].clone())
                .collect(),
            None => self.column_indices.clone(),
        }
    }

    /// True when a scan of the probe side has taken the dynamic filter.
    fn is_listened_to(&self) -> DfResult<bool> {
        let Some(id) = self
            .parts
            .dynamic
            .as_ref()
            .and_then(|filter| filter.expression_id())
        else {
            return Ok(false);
        };
        let mut found = false;
        self.parts.right.apply(|node| {
            node.apply_expressions(&mut |root| {
                root.apply(|expr| {
                    found |= expr.expression_id() == Some(id);
                    Ok(if found {
                        TreeNodeRecursion::Stop
                    } else {
                        TreeNodeRecursion::Continue
                    })
                })
            })?;
            Ok(if found {
                TreeNodeRecursion::Stop
            } else {
                TreeNodeRecursion::Continue
            })
        })?;
        Ok(found)
    }
}

/// The order of the probe side's rows is kept by types of join that give none of them after the others.
fn keeps_order(join_type: JoinType) -> bool {
    use JoinType::{Inner, Right, RightAnti, RightMark, RightSemi};
    matches!(join_type, Inner | Right | RightSemi | RightAnti | RightMark)
}

/// Rows of the probe side without a match do not come out, so that a scan may leave them out.
fn drops_unmatched_probe(join_type: JoinType) -> bool {
    use JoinType::{Inner, Left, LeftAnti, LeftMark, LeftSemi, RightSemi};
    matches!(
        join_type,
        Inner | Left | LeftSemi | LeftAnti | LeftMark | RightSemi
    )
}

impl Parts {
    fn properties(&self, join_schema: &SchemaRef) -> DfResult<PlanProperties> {
        let maintains = [false, keeps_order(self.join_type)];
        // No side is named as the probe side: rows of the left side are in the order of their starts, not in theirs.
        let mut equivalence = join_equivalence_properties(
            self.left.equivalence_properties().clone(),
            self.right.equivalence_properties().clone(),
            &self.join_type,
            Arc::clone(join_schema),
            &maintains,
            None,
            &self.condition.keys,
        )?;
        let mut partitioning = self.partitioning()?;
        if let Some(projection) = &self.projection {
            let mapping = ProjectionMapping::from_indices(projection, join_schema)?;
            let schema = project_schema(join_schema, Some(projection))?;
            partitioning = partitioning.project(&mapping, &equivalence);
            equivalence = equivalence.project(&mapping, schema);
        }
        let emission = match self.right.pipeline_behavior() {
            EmissionType::Incremental if keeps_order(self.join_type) => EmissionType::Incremental,
            EmissionType::Incremental => EmissionType::Both,
            other => other,
        };
        // Tables of a lake end.
        let bounded = Boundedness::Bounded;
        Ok(PlanProperties::new(
            equivalence,
            partitioning,
            emission,
            bounded,
        ))
    }

    /// That of the probe side, where all rows of the output are rows of it.
    fn partitioning(&self) -> DfResult<Partitioning> {
        use JoinType::{Inner, Right, RightAnti, RightMark, RightSemi};
        let right = self.right.output_partitioning();
        Ok(match self.join_type {
            Inner | Right => {
                adjust_right_output_partitioning(right, self.left.schema().fields().len())?
            }
            RightSemi | RightAnti | RightMark => right.clone(),
            _ => Partitioning::UnknownPartitioning(right.partition_count()),
        })
    }
}

impl DisplayAs for IntervalJoinExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &self.parts;
        if format == DisplayFormatType::TreeRender {
            return write!(f, "join_type={:?}\n{}", parts.join_type, parts.condition);
        }
        write!(
            f,
            "IntervalJoinExec: join_type={:?}, {}",
            parts.join_type, parts.condition
        )?;
        if let Some(filter) = &parts.filter {
            write!(f, ", filter={}", filter.expression())?;
        }
        if let Some(projection) = &parts.projection {
            let name = |i: &usize| format!("{}@{i}", self.join_schema.field(*i).name());
            let names: Vec<String> = projection.iter().map(name).collect();
            write!(f, ", projection=[{}]", names.join(", "))?;
        }
        if parts.dynamic.is_some() {
            write!(f, ", tells the scan where spans lie")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for IntervalJoinExec {
    fn name(&self) -> &'static str {
        "IntervalJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![
            Distribution::SinglePartition,
            Distribution::UnspecifiedDistribution,
        ])
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false, keeps_order(self.parts.join_type)]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.parts.left, &self.parts.right]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        let filter = self.parts.filter.iter().map(|filter| filter.expression());
        for expr in self.parts.condition.exprs().chain(filter) {
            if f(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        match &self.parts.dynamic {
            Some(dynamic) => f(&(Arc::clone(dynamic) as Arc<dyn PhysicalExpr>)),
            None => Ok(TreeNodeRecursion::Continue),
        }
    }

    fn dynamic_expressions_produced(&self) -> Vec<Arc<dyn PhysicalExpr>> {
        let dynamic = self.parts.dynamic.iter();
        dynamic.map(|filter| Arc::clone(filter) as _).collect()
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let Ok([left, right]) = <[_; 2]>::try_from(children) else {
            return internal_err!("IntervalJoinExec has two children");
        };
        let parts = Parts {
            left,
            right,
            ..self.parts.clone()
        };
        Ok(Arc::new(Self::of(parts)?))
    }

    /// The dynamic filter stays: the probe side reads it, and every execution tells it anew.
    fn reset_state(self: Arc<Self>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::of(self.parts.clone())?))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        let schema = self.schema();
        let dynamic = self.parts.dynamic.as_ref();
        let listened = self.is_listened_to()?;
        let join = JoinContext::new(self, partition, context, dynamic.filter(|_| listened))?;
        let rows = JoinRows::new(join, Arc::clone(&self.build));
        let stream = streams::try_unfold(rows, |mut rows| async move {
            Ok(rows.next().await?.map(|batch| (batch, rows)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    /// The build side is read by every partition.
    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(None), ChildStats::At(partition)]
    }

    /// A guess: of two sets of spans about as many pairs overlap as the larger has rows.
    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> DfResult<Arc<Statistics>> {
        let rows = |side: usize| {
            inputs
                .get(side)
                .and_then(|s| s.num_rows.get_value().copied())
        };
        let rows = match (rows(0), rows(1), self.parts.join_type) {
            (Some(left), _, JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark) => {
                Precision::Inexact(left)
            }
            (_, Some(right), JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark) => {
                Precision::Inexact(right)
            }
            (Some(left), Some(right), _) => Precision::Inexact(left.max(right)),
            _ => Precision::Absent,
        };
        let mut statistics = Statistics::new_unknown(&self.schema());
        statistics.num_rows = rows;
        Ok(Arc::new(statistics))
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExec,
    ) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
        match self.parts.projection {
            Some(_) => Ok(None),
            None => try_embed_projection(projection, self),
        }
    }

    /// Filters of the parent go to the side whose columns they name, where rows of it come out as they are.
    fn gather_filters_for_pushdown(
        &self,
        phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> DfResult<FilterDescription> {
        use JoinType::{Inner, Left, LeftAnti, LeftMark, LeftSemi};
        let parts = &self.parts;
        let columns = self.projected();
        let of = |side: JoinSide| -> HashSet<usize> {
            let places = columns.iter().enumerate();
            places
                .filter(|(_, column)| column.side == side)
                .map(|(i, _)| i)
                .collect()
        };
        let child = |side: JoinSide, plan: &Arc<dyn ExecutionPlan>, preserved: bool| match preserved
        {
            true => ChildFilterDescription::from_child_with_allowed_indices(
                &parent_filters,
                of(side),
                plan,
            ),
            false => Ok(ChildFilterDescription::all_unsupported(&parent_filters)),
        };
        let left_kept = matches!(
            parts.join_type,
            Inner | Left | LeftSemi | LeftAnti | LeftMark
        );
        let left = child(JoinSide::Left, &parts.left, left_kept)?;
        let mut right = child(JoinSide::Right, &parts.right, keeps_order(parts.join_type))?;
        let wanted = phase == FilterPushdownPhase::Post
            && parts.dynamic.is_none()
            && drops_unmatched_probe(parts.join_type)
            && config.optimizer.enable_join_dynamic_filter_pushdown;
        if let Some(filter) = wanted.then(|| self.dynamic_filter()).flatten() {
            right = right.with_self_filter(filter);
        }
        Ok(FilterDescription::new().with_child(left).with_child(right))
    }

    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> DfResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let own = result
            .self_filters
            .get(1)
            .and_then(|filters| filters.first());
        let own = own.map(|filter| Arc::clone(&filter.predicate));
        let answer = FilterPushdownPropagation::if_any(result);
        let Some(Ok(dynamic)) = own.map(|own| Arc::downcast::<DynamicFilterPhysicalExpr>(own))
        else {
            return Ok(answer);
        };
        let parts = Parts {
            dynamic: Some(dynamic),
            ..self.parts.clone()
        };
        Ok(answer.with_updated_node(Arc::new(Self::of(parts)?)))
    }
}

impl IntervalJoinExec {
    /// A filter of rows of the probe side that says nothing yet; `None` when it could never say anything.
    fn dynamic_filter(&self) -> Option<Arc<DynamicFilterPhysicalExpr>> {
        let condition = &self.parts.condition;
        let keys = condition.keys.iter().map(|(_, right)| right);
        let exprs = keys.chain([&condition.right.start, &condition.right.end]);
        let mut columns: Vec<_> = exprs.flat_map(collect_columns).collect();
        columns.sort_by_key(|column| column.index());
        columns.dedup();
        let children = columns.into_iter().map(|column| Arc::new(column) as _);
        let children: Vec<Arc<dyn PhysicalExpr>> = children.collect();
        (!children.is_empty())
            .then(|| Arc::new(DynamicFilterPhysicalExpr::new(children, lit(true))))
    }
}

impl EmbeddedProjection for IntervalJoinExec {
    fn with_projection(&self, projection: Option<Vec<usize>>) -> DfResult<Self> {
        let columns = self.schema().fields().len();
        if projection.iter().flatten().any(|i| *i >= columns) {
            return plan_err!("a projection of columns that the join does not have");
        }
        let inner = self.parts.projection.as_ref();
        let projection = match (projection, inner) {
            (Some(outer), Some(inner)) => Some(outer.iter().map(|i| inner[*i]).collect()),
            (Some(outer), None) => Some(outer),
            (None, inner) => inner.cloned(),
        };
        Self::of(Parts {
            projection,
            ..self.parts.clone()
        })
    }
}

/// The schema of the columns of a side that are kept.
fn kept_schema(schema: &Schema, kept: &[usize]) -> DfResult<SchemaRef> {
    Ok(Arc::new(schema.project(kept)?))
}

#[cfg(test)]
mod tests;
