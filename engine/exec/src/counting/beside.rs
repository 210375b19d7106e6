//! What stands beside the calls of each sample: the joins and filters above a scan of calls, made once for each
//! sample instead of once for each of its calls.
//!
//! ```text
//! HashJoinExec: on=[sample_id]               HashJoinExec: on=[sample_id]
//!   clin.person                      →         clin.person
//!   CallScanExec: columns=[sample_id, pos]     one row a sample: sample_id, pos=NULL, number of the sample
//! ```
//! All calls of a sample meet the same rows, since nothing in between looks at more of a call than whose it is. What
//! the plan on the right gives for a sample therefore stands beside each of its calls.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::memory::MemorySourceConfig;
use datafusion::common::{JoinSide, JoinType, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr,
    Literal, NotExpr,
};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};

use super::recognise::{Given, given, plain};
use crate::bare_rows::BareRowsExec;
use crate::choice::Choice;
use crate::dataset::{DatasetView, HIDDEN};
use crate::scan::{DatasetScanExec, table_name};
use crate::spec::ScanKind;

/// The last column of the plans: the sample by its index in the directory.
const SAMPLE: &str = "sample";

/// A plan above a scan of calls, with one row for each sample where there was one for each call.
#[derive(Clone)]
pub(super) struct Beside<'a> {
    pub(super) scan: &'a DatasetScanExec,
    /// Has the columns of the plan above the calls, of which those that are not of samples are not to be looked at,
    /// and [`SAMPLE`].
    pub(super) plan: Arc<dyn ExecutionPlan>,
    pub(super) columns: Vec<Origin>,
}

/// What a column depends on.
#[derive(Clone)]
pub(super) struct Origin {
    /// The column of calls that it is.
    pub(super) call: Option<Given>,
    /// It is the same for all calls of a sample.
    pub(super) of_sample: bool,
}

impl Origin {
    const OF_SAMPLE: Self = Self {
        call: None,
        of_sample: true,
    };
}

impl<'a> Beside<'a> {
    /// The ways to see `plan` as one above calls; a join of two tables of calls has two.
    pub(super) fn of(plan: &'a Arc<dyn ExecutionPlan>) -> Vec<Self> {
        if let Some(scan) = plan.downcast_ref::<DatasetScanExec>() {
            return Self::of_scan(scan).into_iter().collect();
        }
        if let Some(cooperative) = plan.downcast_ref::<CooperativeExec>() {
            return Self::of(cooperative.input());
        }
        if let Some(bare) = plan.downcast_ref::<BareRowsExec>() {
            return Self::of(bare.input());
        }
        if let Some(coalesce) = plan.downcast_ref::<CoalescePartitionsExec>() {
            return match coalesce.fetch() {
                None => Self::of(coalesce.input())
                    .into_iter()
                    .map(Self::in_one)
                    .collect(),
                Some(_) => Vec::new(),
            };
        }
        // What is counted needs no order.
        if let Some(sort) = plan.downcast_ref::<SortExec>() {
            return match sort.fetch() {
                None => Self::of(sort.input()),
                Some(_) => Vec::new(),
            };
        }
        if let Some(repartition) = plan.downcast_ref::<RepartitionExec>() {
            let below = Self::of(repartition.input()).into_iter();
            return below.filter_map(|b| b.dealt(repartition)).collect();
        }
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
            let below = Self::of(projection.input()).into_iter();
            return below.filter_map(|b| b.projected(projection)).collect();
        }
        if let Some(filter) = plan.downcast_ref::<FilterExec>() {
            let below = Self::of(filter.input()).into_iter();
            return below.filter_map(|b| b.filtered(filter)).collect();
        }
        let Some(join) = plan.downcast_ref::<HashJoinExec>() else {
            return Vec::new();
        };
        let sides = [JoinSide::Right, JoinSide::Left].into_iter();
        let sides = sides.filter(|side| keeps_rows(*join.join_type(), *side));
        let ways = sides.flat_map(|side| {
            let input = match side {
                JoinSide::Left => join.left(),
                _ => join.right(),
            };
            let below = Self::of(input).into_iter();
            below.filter_map(move |b| b.joined(join, side))
        });
        ways.collect()
    }

    fn of_scan(scan: &'a DatasetScanExec) -> Option<Self> {
        let choice = scan.choice()?;
        let spec = &scan.spec;
        let masked = scan.view.masked(table_name(spec.kind));
        let whole = matches!(spec.kind, ScanKind::Calls(_))
            && choice.rest().is_empty()
            && spec.limit.is_none()
            && scan.dynamic.is_empty()
            && !masked.contains("sample_id");
        if !whole {
            return None;
        }
        let schema = scan.schema();
        let origins = schema.fields().iter().enumerate().map(|(place, _)| {
            let name = spec.columns.get(place);
            Origin {
                call: name.map(|name| plain(name)),
                of_sample: name.is_some_and(|name| name == "sample_id"),
            }
        });
        let columns: Vec<Origin> = origins.collect();
        let plan = samples(&schema, &columns, choice, &scan.view)?;
        Some(Self {
            scan,
            plan,
            columns,
        })
    }

    fn over(&self, plan: Arc<dyn ExecutionPlan>, columns: Vec<Origin>) -> Self {
        Self {
            scan: self.scan,
            plan,
            columns,
        }
    }

    /// Whether an expression is the same for all calls of a sample.
    pub(super) fn is_of_sample(&self, expr: &Arc<dyn PhysicalExpr>) -> bool {
        let of_sample = |place: usize| self.columns.get(place).is_some_and(|c| c.of_sample);
        let columns = collect_columns(expr);
        columns.iter().all(|c| of_sample(c.index())) && !is_volatile(expr)
    }

    /// Whether an expression is the same for all calls of a sample, and cannot fail: a sample without a call that is
    /// left is asked, too.
    pub(super) fn is_known_of_sample(&self, expr: &Arc<dyn PhysicalExpr>) -> bool {
        self.is_of_sample(expr) && never_fails(expr)
    }

    /// The column of calls that an expression is.
    pub(super) fn call(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<Given> {
        given(expr, |place| self.columns.get(place)?.call.clone())
    }

    /// The column that tells the sample.
    pub(super) fn sample(&self) -> ProjectionExpr {
        let column = Column::new(SAMPLE, self.columns.len());
        ProjectionExpr::new(Arc::new(column), SAMPLE.to_owned())
    }

    /// The same rows in one partition.
    fn in_one(self) -> Self {
        match self
            .plan
            .properties()
            .output_partitioning()
            .partition_count()
        {
            1 => self,
            _ => {
                let plan = Arc::new(CoalescePartitionsExec::new(Arc::clone(&self.plan)));
                self.over(plan, self.columns.clone())
            }
        }
    }

    fn dealt(self, repartition: &RepartitionExec) -> Option<Self> {
        let partitioning = repartition.partitioning();
        match partitioning {
            Partitioning::RoundRobinBatch(_) => Some(self),
            Partitioning::Hash(exprs, _) if exprs.iter().all(|e| self.is_of_sample(e)) => {
                let below = Arc::clone(&self.plan);
                let plan = RepartitionExec::try_new(below, partitioning.clone()).ok()?;
                Some(self.over(Arc::new(plan), self.columns.clone()))
            }
            _ => None,
        }
    }

    fn projected(self, projection: &ProjectionExec) -> Option<Self> {
        let (mut exprs, mut columns) = (Vec::new(), Vec::new());
        let schema = projection.schema();
        for (given, field) in projection.expr().iter().zip(schema.fields()) {
            let of_sample = self.is_known_of_sample(&given.expr);
            columns.push(Origin {
                call: self.call(&given.expr),
                of_sample,
            });
            // What is not of samples is not computed: there is no call to compute it of.
            let expr = match of_sample {
                true => Arc::clone(&given.expr),
                false => nothing(field.data_type())?,
            };
            exprs.push(ProjectionExpr::new(expr, given.alias.clone()));
        }
        exprs.push(self.sample());
        let plan = ProjectionExec::try_new(exprs, Arc::clone(&self.plan)).ok()?;
        Some(self.over(Arc::new(plan), columns))
    }

    fn filtered(self, filter: &FilterExec) -> Option<Self> {
        if filter.fetch().is_some() || !self.is_of_sample(filter.predicate()) {
            return None;
        }
        let places = match filter.projection() {
            None => (0..self.columns.len()).collect(),
            Some(places) => places.to_vec(),
        };
        let column = |place: &usize| self.columns.get(*place).cloned();
        let columns = places.iter().map(column).collect::<Option<Vec<_>>>()?;
        let with_sample = [places, vec![self.columns.len()]].concat();
        let plan = FilterExecBuilder::new(Arc::clone(filter.predicate()), Arc::clone(&self.plan))
            .apply_projection(Some(with_sample))
            .and_then(FilterExecBuilder::build)
            .ok()?;
        Some(self.over(Arc::new(plan), columns))
    }

    /// A join of which `side` is this.
    fn joined(self, join: &HashJoinExec, side: JoinSide) -> Option<Self> {
        let is_left = side == JoinSide::Left;
        let keys = join.on().iter();
        let mut keys = keys.map(|(left, right)| if is_left { left } else { right });
        let judged = join
            .filter()
            .map_or(&[][..], |filter| filter.column_indices());
        let mut judged = judged.iter().filter(|column| column.side == side);
        let of_sample = |place: usize| self.columns.get(place).is_some_and(|c| c.of_sample);
        let by_sample =
            keys.all(|key| self.is_of_sample(key)) && judged.all(|column| of_sample(column.index));
        if !by_sample || join.fetch().is_some() {
            return None;
        }
        let other = match is_left {
            true => join.right(),
            false => join.left(),
        };
        let (own, others) = (self.columns.len(), other.schema().fields().len());
        let before = outputs(*join.join_type(), side, own, others);
        let after = outputs(*join.join_type(), side, own + 1, others);
        let moved = |output: &Output| after.iter().position(|o| o == output);
        let kept: Vec<Output> = match join.projection.as_deref() {
            None => before,
            Some(places) => places
                .iter()
                .map(|place| before.get(*place).copied())
                .collect::<Option<_>>()?,
        };
        let origin = |output: &Output| match output {
            Output::Own(place) => self.columns.get(*place).cloned(),
            Output::Other(_) | Output::Mark => Some(Origin::OF_SAMPLE),
        };
        let columns = kept.iter().map(origin).collect::<Option<Vec<_>>>()?;
        let sample = Output::Own(own);
        let places = kept.iter().chain([&sample]).map(moved);
        let places = places.collect::<Option<Vec<usize>>>()?;
        let children = match is_left {
            true => [&self.plan, other],
            false => [other, &self.plan],
        };
        let plan = join
            .builder()
            .reset_state()
            .with_new_children(children.map(Arc::clone).to_vec())
            .and_then(|builder| builder.with_projection(Some(places)).build_exec())
            .ok()?;
        Some(self.over(plan, columns))
    }
}

/// Whether an expression has a value for whatever its columns hold: comparisons and what combines them, texts cut and
/// put together; no arithmetic, no cast that may not fit.
fn never_fails(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let is_safe = if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        binary.op().is_logic_operator()
            || binary.op().supports_propagation()
            || *binary.op() == Operator::StringConcat
    } else if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        matches!(
            cast.cast_type(),
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8
        )
    } else if let Some(function) = expr.downcast_ref::<ScalarFunctionExpr>() {
        SAFE_FUNCTIONS.contains(&function.name())
    } else {
        expr.is::<Column>()
            || expr.is::<Literal>()
            || expr.is::<NotExpr>()
            || expr.is::<IsNullExpr>()
            || expr.is::<IsNotNullExpr>()
            || expr.is::<InListExpr>()
            || expr.is::<LikeExpr>()
            || expr.is::<CaseExpr>()
    };
    is_safe && expr.children().into_iter().all(never_fails)
}

/// Functions that have a value for all arguments.
const SAFE_FUNCTIONS: [&str; 15] = [
    "||",
    "btrim",
    "character_length",
    "coalesce",
    "concat",
    "date_part",
    "date_trunc",
    "left",
    "lower",
    "ltrim",
    "nullif",
    "right",
    "rtrim",
    "starts_with",
    "upper",
];

/// A column of a join before its projection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    Own(usize),
    Other(usize),
    Mark,
}

/// The columns of a join of which one side has `own` columns and the other `others`.
fn outputs(join: JoinType, side: JoinSide, own: usize, others: usize) -> Vec<Output> {
    let own = (0..own).map(Output::Own);
    let others = (0..others).map(Output::Other);
    match join {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::RightSemi | JoinType::RightAnti => {
            own.collect()
        }
        JoinType::LeftMark | JoinType::RightMark => own.chain([Output::Mark]).collect(),
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => match side {
            JoinSide::Left => own.chain(others).collect(),
            _ => others.chain(own).collect(),
        },
    }
}

/// Whether each row that a join gives has one of this side.
fn keeps_rows(join: JoinType, side: JoinSide) -> bool {
    match join {
        JoinType::Inner => true,
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
            side == JoinSide::Left
        }
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
            side == JoinSide::Right
        }
        JoinType::Full => false,
    }
}

fn nothing(data_type: &DataType) -> Option<Arc<dyn PhysicalExpr>> {
    let null = ScalarValue::try_from(data_type).ok()?;
    Some(Arc::new(Literal::new(null)))
}

/// One row for each chosen sample: its name where the calls have it, NULL in their other columns, and its number.
fn samples(
    schema: &Schema,
    columns: &[Origin],
    choice: &Choice,
    view: &DatasetView,
) -> Option<Arc<dyn ExecutionPlan>> {
    let mut chosen = vec![false; view.directory.samples.len()];
    for (place, block) in view.blocks.iter().enumerate() {
        for sample in choice.mask(place).iter().flat_map(|mask| mask.iter()) {
            let index = block.directory_index.get(sample as usize).copied();
            if let Some(chosen) = chosen.get_mut(index.unwrap_or(HIDDEN) as usize) {
                *chosen = true;
            }
        }
    }
    let numbers = (0u32..).zip(chosen).filter(|(_, chosen)| *chosen);
    let numbers: UInt32Array = numbers.map(|(number, _)| number).collect();
    let rows = numbers.len();
    let names = take(view.directory.names(), &numbers, None).ok()?;
    let array = |(field, origin): (&Arc<Field>, &Origin)| match origin.of_sample {
        true => Arc::clone(&names),
        false => new_null_array(field.data_type(), rows),
    };
    let arrays = schema.fields().iter().zip(columns).map(array);
    let numbers: ArrayRef = Arc::new(numbers);
    let arrays: Vec<ArrayRef> = arrays.chain([numbers]).collect();
    let nullable = |field: &Arc<Field>| Field::clone(field).with_nullable(true);
    let fields = schema.fields().iter().map(nullable);
    let sample = Field::new(SAMPLE, DataType::UInt32, false);
    let schema = Arc::new(Schema::new(fields.chain([sample]).collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).ok()?;
    let source = MemorySourceConfig::try_new_exec(&[vec![batch]], schema, None).ok()?;
    Some(source)
}
