//! The operator of functions that look every region up among others: others are collected, regions stream by.
//!
//! Batches of regions are looked up by tasks, as many at once as the session has partitions, and given out in the order
//! in which they came.

use std::collections::{HashMap, VecDeque};
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
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements, Partitioning,
    PlanProperties,
};
use futures::StreamExt as _;
use futures::stream::{self, Fuse};

use super::{Call, same_spelling, spelling, warn_of_contigs};
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
    fn index(&self, others: Collected, schema: SchemaRef) -> Arc<dyn Index>;
}

/// Others, to look regions up in.
pub(super) trait Index: Send + Sync {
    /// What becomes of a batch of regions.
    fn rows(self: Arc<Self>, regions: Regions) -> Box<dyn Rows>;
}

/// The rows of a batch of regions, in its order.
pub(super) trait Rows: Send {
    /// The next of them, at most `most`; `None` when there are no more.
    fn next(&mut self, most: usize) -> DfResult<Option<RecordBatch>>;
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
    Box::pin(warn_of_contigs(state, &regions, &others)).await?;
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
        let config = context.session_config();
        let rows = BesideRows {
            regions: self.regions.execute(0, Arc::clone(&context))?.fuse(),
            others: self.others.execute(0, Arc::clone(&context))?,
            what: Arc::clone(&self.what),
            index: None,
            ahead: VecDeque::new(),
            tasks: config.target_partitions().max(1),
            held: MemoryConsumer::new("Beside").register(context.memory_pool()),
            batch_size: config.batch_size().max(1),
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

/// Batches that a task makes ahead of the one that is given out.
const BATCHES_AHEAD: usize = 2;

struct BesideRows {
    regions: Fuse<SendableRecordBatchStream>,
    others: SendableRecordBatchStream,
    what: Arc<dyn Beside>,
    /// Made when the others are collected.
    index: Option<Arc<dyn Index>>,
    /// What becomes of each batch of regions that was read, in order.
    ahead: VecDeque<SendableRecordBatchStream>,
    tasks: usize,
    held: MemoryReservation,
    batch_size: usize,
    schema: SchemaRef,
    metrics: BaselineMetrics,
}

impl BesideRows {
    async fn next(&mut self) -> DfResult<Option<RecordBatch>> {
        let index = match &self.index {
            Some(index) => Arc::clone(index),
            None => {
                let index = self.collect().await?;
                Arc::clone(self.index.insert(index))
            }
        };
        loop {
            while self.ahead.len() < self.tasks {
                let Some(batch) = self.regions.next().await.transpose()? else {
                    break;
                };
                let rows = Arc::clone(&index).rows(Regions::of(&batch)?);
                self.ahead.push_back(self.made(rows));
            }
            let Some(first) = self.ahead.front_mut() else {
                return Ok(None);
            };
            if let Some(rows) = first.next().await.transpose()? {
                self.metrics.record_output(rows.num_rows());
                return Ok(Some(rows));
            }
            self.ahead.pop_front();
        }
    }

    async fn collect(&mut self) -> DfResult<Arc<dyn Index>> {
        let mut collected = Collected::new();
        while let Some(batch) = self.others.next().await.transpose()? {
            self.held
                .try_grow(batch.num_rows() * self.what.bytes_per_span())?;
            Regions::of(&batch)?.add_to(&mut collected);
        }
        let _timer = self.metrics.elapsed_compute().timer();
        Ok(self.what.index(collected, Arc::clone(&self.schema)))
    }

    /// The rows of a batch of regions, made by a task, which ends when nobody waits for them.
    fn made(&self, rows: Box<dyn Rows>) -> SendableRecordBatchStream {
        let (most, time) = (self.batch_size, self.metrics.elapsed_compute().clone());
        let stream = stream::try_unfold((rows, time), move |(mut rows, time)| async move {
            tokio::task::yield_now().await;
            let batch = {
                let _timer = time.timer();
                rows.next(most)?
            };
            Ok(batch.map(|batch| (batch, (rows, time))))
        });
        let schema = Arc::clone(&self.schema);
        let stream = Box::pin(RecordBatchStreamAdapter::new(schema, stream));
        spawn_buffered(stream, BATCHES_AHEAD)
    }
}
