//! Folding all rows of a plan into one state: every input partition has a state of its own, filled by a task of its
//! own; the states are then merged in the order of partitions. What is merged must not depend on how rows were dealt
//! out, so that answers are the same for any number of partitions.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result as DfResult;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::error::Error;

/// Batches of a result, made while they are taken.
pub(super) type Batches = Box<dyn Iterator<Item = DfResult<RecordBatch>> + Send>;

/// What is folded.
pub(super) trait Fold: fmt::Debug + Send + Sync + 'static {
    /// The state of one partition.
    type State: Send + 'static;

    /// A word on what is done, for EXPLAIN.
    fn title(&self) -> String;
    /// A state without rows.
    fn start(&self) -> Self::State;
    /// Bytes that a state holds.
    fn bytes(&self, state: &Self::State) -> usize;
    /// Adds the rows of a batch.
    fn add(&self, state: &mut Self::State, batch: &RecordBatch) -> DfResult<()>;
    /// Adds what another partition has seen.
    fn merge(&self, into: &mut Self::State, other: Self::State);
    /// The result.
    fn finish(&self, state: Self::State) -> DfResult<Batches>;
}

/// The plan node of a [`Fold`]; one output partition.
pub(super) struct FoldExec<F> {
    fold: Arc<F>,
    input: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl<F: Fold> FoldExec<F> {
    pub(super) fn new(fold: F, input: Arc<dyn ExecutionPlan>, schema: &SchemaRef) -> Self {
        Self::shared(Arc::new(fold), input, schema)
    }

    fn shared(fold: Arc<F>, input: Arc<dyn ExecutionPlan>, schema: &SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            fold,
            input,
            schema: Arc::clone(schema),
            properties: Arc::new(properties),
        }
    }
}

impl<F: Fold> fmt::Debug for FoldExec<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoldExec")
            .field("fold", &self.fold)
            .finish_non_exhaustive()
    }
}

impl<F: Fold> DisplayAs for FoldExec<F> {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GenotypeFoldExec: {}", self.fold.title())
    }
}

impl<F: Fold> ExecutionPlan for FoldExec<F> {
    fn name(&self) -> &'static str {
        "GenotypeFoldExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Arc::new(Self::shared(
                Arc::clone(&self.fold),
                input,
                &self.schema,
            ))),
            _ => Err(Error::Internal("GenotypeFoldExec has one input").into()),
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        if partition != 0 {
            return Err(Error::Internal("GenotypeFoldExec has one partition").into());
        }
        let partitions = self.input.properties().partitioning.partition_count();
        let mut tasks = Vec::with_capacity(partitions);
        for partition in 0..partitions {
            let rows = self.input.execute(partition, Arc::clone(&context))?;
            let memory = MemoryConsumer::new(format!("{}[{partition}]", self.name()))
                .register(context.memory_pool());
            tasks.push((rows, memory));
        }
        let batches = fold_all(Arc::clone(&self.fold), tasks);
        let stream = stream::once(batches).try_flatten();
        let schema = Arc::clone(&self.schema);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }
}

type Rows = (SendableRecordBatchStream, MemoryReservation);

/// Runs the tasks and gives the result out; the memory is held until its last batch is taken.
async fn fold_all<F: Fold>(
    fold: Arc<F>,
    inputs: Vec<Rows>,
) -> DfResult<impl futures::Stream<Item = DfResult<RecordBatch>> + use<F>> {
    // A dropped task is aborted: nothing runs on when the statement is cancelled.
    let tasks: Vec<_> = inputs
        .into_iter()
        .map(|input| SpawnedTask::spawn(fold_one(Arc::clone(&fold), input)))
        .collect();
    let mut merged = fold.start();
    let mut held = Vec::with_capacity(tasks.len());
    for task in tasks {
        let joined = task.join_unwind().await;
        let (state, memory) = joined.map_err(|_| Error::Internal("a folding task was lost"))??;
        fold.merge(&mut merged, state);
        held.push(memory);
    }
    let batches = fold.finish(merged)?;
    Ok(stream::iter(batches)
        .then(|batch| async {
            tokio::task::yield_now().await;
            batch
        })
        .inspect(move |_| {
            let _ = &held;
        }))
}

async fn fold_one<F: Fold>(
    fold: Arc<F>,
    (mut rows, memory): Rows,
) -> DfResult<(F::State, MemoryReservation)> {
    let mut state = fold.start();
    while let Some(batch) = rows.next().await {
        fold.add(&mut state, &batch?)?;
        memory.try_resize(fold.bytes(&state))?;
        tokio::task::yield_now().await;
    }
    Ok((state, memory))
}
