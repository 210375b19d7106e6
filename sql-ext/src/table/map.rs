//! Mapping the batches of a plan one by one; partitions stay as they are.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result as DfResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::{StreamExt as _, stream};

use super::fold::Batches;
use crate::error::Error;

/// What makes batches of a batch.
pub(super) trait Map: fmt::Debug + Send + Sync + 'static {
    /// A word on what is done, for EXPLAIN.
    fn title(&self) -> String;
    /// The result for some rows.
    fn map(&self, batch: &RecordBatch) -> DfResult<Batches>;
}

/// The plan node of a [`Map`].
#[derive(Debug)]
pub(super) struct MapExec<M> {
    map: Arc<M>,
    input: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl<M: Map> MapExec<M> {
    pub(super) fn new(map: M, input: Arc<dyn ExecutionPlan>, schema: &SchemaRef) -> Self {
        Self::shared(Arc::new(map), input, schema)
    }

    fn shared(map: Arc<M>, input: Arc<dyn ExecutionPlan>, schema: &SchemaRef) -> Self {
        let partitions = input.properties().partitioning.partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(schema)),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            map,
            input,
            schema: Arc::clone(schema),
            properties: Arc::new(properties),
        }
    }
}

impl<M: Map> DisplayAs for MapExec<M> {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GenotypeMapExec: {}", self.map.title())
    }
}

impl<M: Map> ExecutionPlan for MapExec<M> {
    fn name(&self) -> &'static str {
        "GenotypeMapExec"
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
                Arc::clone(&self.map),
                input,
                &self.schema,
            ))),
            _ => Err(Error::Internal("GenotypeMapExec has one input").into()),
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        let map = Arc::clone(&self.map);
        let stream = rows.flat_map(move |batch| {
            let batches = batch.and_then(|batch| map.map(&batch));
            let batches = batches.unwrap_or_else(|error| Box::new(std::iter::once(Err(error))));
            stream::iter(batches)
        });
        let schema = Arc::clone(&self.schema);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }
}
