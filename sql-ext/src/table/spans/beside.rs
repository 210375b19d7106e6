//! The operator of functions that look every region up among others: others are collected, regions stream by.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Result as DfResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements, Partitioning,
    PlanProperties,
};
use futures::{StreamExt as _, stream};

use super::{Call, same_spelling, spelling};
use crate::error::Error;

/// Spans of each contig, as (first, last), as they came.
pub(super) type Collected = HashMap<String, Vec<(i64, i64)>>;

/// What a function makes of regions beside others.
pub(super) trait Beside: fmt::Debug + Send + Sync {
    /// What EXPLAIN says.
    fn text(&self) -> String;

    /// Bytes that an index takes for each other span.
    fn bytes_per_span(&self) -> usize;

    /// An index of the others.
    fn index(&self, others: Collected, schema: SchemaRef) -> Box<dyn Rows>;
}

/// An index that makes rows of regions.
pub(super) trait Rows: Send {
    /// The next rows of a batch of regions, at most `most`; `None` when it has no more, and another may come.
    fn next(&mut self, regions: &Regions, most: usize) -> DfResult<Option<RecordBatch>>;
}

/// Regions beside others: the first two arguments of a call.
pub(super) async fn plan(
    call: &Call,
    state: &SessionState,
    what: Arc<dyn Beside>,
) -> DfResult<Arc<dyn ExecutionPlan>> {
    let regions = call.spans(state, 0).await?;
    let others = call.spans(state, 1).await?;
    let spelled = (
        spelling(state, &regions).await?,
        spelling(state, &others).await?,
    );
    same_spelling(spelled.0.as_deref(), spelled.1.as_deref())?;
    let regions = format!("SELECT * FROM {regions} AS regions");
    let others = format!("SELECT * FROM {others} AS others");
    let regions = call.query(state, &regions).await?;
    let others = call.query(state, &others).await?;
    let schema = Arc::clone(&call.schema);
    Ok(Arc::new(BesideExec::new(regions, others, what, schema)))
}

/// A batch of spans, none of whose columns is NULL.
pub(super) struct Regions {
    pub(super) contigs: StringArray,
    pub(super) pos: Int64Array,
    pub(super) end_pos: Int64Array,
}

impl Regions {
    fn of(batch: &RecordBatch) -> DfResult<Self> {
        let [contigs, pos, end_pos] = batch.columns() else {
            return Err(Error::Internal("spans of other than three columns").into());
        };
        Ok(Self {
            contigs: cast(contigs, &DataType::Utf8)?.as_string().clone(),
            pos: pos.as_primitive().clone(),
            end_pos: end_pos.as_primitive().clone(),
        })
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.pos.len()
    }

    /// One of them: contig, first and last.
    pub(super) fn get(&self, row: usize) -> (&str, i64, i64) {
        (
            self.contigs.value(row),
            self.pos.value(row),
            self.end_pos.value(row),
        )
    }

    /// First row behind `row` that is of another contig.
    pub(super) fn end_of_run(&self, row: usize) -> usize {
        let contig = self.contigs.value(row);
        let same = (row..self.len()).take_while(|&other| self.contigs.value(other) == contig);
        row + same.count()
    }

    fn add_to(&self, collected: &mut Collected) {
        let mut row = 0;
        while row < self.len() {
            let (contig, end) = (self.contigs.value(row), self.end_of_run(row));
            if !collected.contains_key(contig) {
                collected.insert(contig.to_owned(), Vec::new());
            }
            if let Some(spans) = collected.get_mut(contig) {
                spans.extend((row..end).map(|row| (self.pos.value(row), self.end_pos.value(row))));
            }
            row = end;
        }
    }
}

/// Positions as results have them.
pub(super) fn positions(values: &Int64Array) -> DfResult<ArrayRef> {
    let exact = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    Ok(cast_with_options(values, &DataType::Int32, &exact)?)
}

#[derive(Debug)]
struct BesideExec {
    regions: Arc<dyn ExecutionPlan>,
    others: Arc<dyn ExecutionPlan>,
    what: Arc<dyn Beside>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl BesideExec {
    fn new(
        regions: Arc<dyn ExecutionPlan>,
        others: Arc<dyn ExecutionPlan>,
        what: Arc<dyn Beside>,
        schema: SchemaRef,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            regions,
            others,
            what,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for BesideExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BesideExec: {}", self.what.text())
    }
}

impl ExecutionPlan for BesideExec {
    fn name(&self) -> &'static str {
        "BesideExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.regions, &self.others]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let single = || Distribution::SinglePartition;
        InputDistributionRequirements::new(vec![single(), single()])
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let Ok([regions, others]) = <[_; 2]>::try_from(children) else {
            return Err(Error::Internal("BesideExec has two inputs").into());
        };
        let what = Arc::clone(&self.what);
        Ok(Arc::new(Self::new(regions, others, what, self.schema())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        let rows = BesideRows {
            regions: self.regions.execute(0, Arc::clone(&context))?,
            others: self.others.execute(0, Arc::clone(&context))?,
            what: Arc::clone(&self.what),
            index: None,
            batch: None,
            held: MemoryConsumer::new("Beside").register(context.memory_pool()),
            batch_size: context.session_config().batch_size().max(1),
            schema: self.schema(),
            metrics: BaselineMetrics::new(&self.metrics, partition),
        };
        let stream = stream::try_unfold(rows, |mut rows| async move {
            Ok(rows.next().await?.map(|batch| (batch, rows)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            stream,
        )))
    }
}

struct BesideRows {
    regions: SendableRecordBatchStream,
    others: SendableRecordBatchStream,
    what: Arc<dyn Beside>,
    /// Made when the others are collected.
    index: Option<Box<dyn Rows>>,
    batch: Option<Regions>,
    held: MemoryReservation,
    batch_size: usize,
    schema: SchemaRef,
    metrics: BaselineMetrics,
}

impl BesideRows {
    async fn next(&mut self) -> DfResult<Option<RecordBatch>> {
        let index = match &mut self.index {
            Some(index) => index,
            none => {
                let mut collected = Collected::new();
                while let Some(batch) = self.others.next().await.transpose()? {
                    self.held
                        .try_grow(batch.num_rows() * self.what.bytes_per_span())?;
                    Regions::of(&batch)?.add_to(&mut collected);
                }
                let _timer = self.metrics.elapsed_compute().timer();
                none.insert(self.what.index(collected, Arc::clone(&self.schema)))
            }
        };
        loop {
            let regions = match &self.batch {
                Some(regions) => regions,
                None => {
                    let Some(batch) = self.regions.next().await.transpose()? else {
                        return Ok(None);
                    };
                    self.batch.insert(Regions::of(&batch)?)
                }
            };
            let rows = {
                let _timer = self.metrics.elapsed_compute().timer();
                index.next(regions, self.batch_size)?
            };
            match rows {
                Some(rows) => {
                    self.metrics.record_output(rows.num_rows());
                    return Ok(Some(rows));
                }
                None => self.batch = None,
            }
            tokio::task::yield_now().await;
        }
    }
}
