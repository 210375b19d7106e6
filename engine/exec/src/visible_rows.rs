//! Rows of plain tables about people: where a session may not see every sample, it sees only the rows of those it may.
//!
//! A table with a column `sample_id` shows the rows of visible samples. A table with `person_id` and no `sample_id`
//! shows the rows of persons who have a visible sample, as the tables that hold both columns tell; a person whom no
//! table links to a sample is not shown. Tables with neither column are about nobody and stay whole.
//!
//! [`VisibleExec`] stands directly on the files, also where only columns are masked. It lets no filter, limit or
//! statistic pass: what an expression of the user computes, it computes on visible rows alone, and no error, count or
//! estimate tells of the others.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    SendableRecordBatchStream,
};
use futures::{StreamExt as _, TryStreamExt as _};
use genokura_storage::{FileReader, Lake, LakeSnapshot, ReadPlan, TableSnapshot};

use crate::access::{AccessContext, SampleVisibility};
use crate::error::{Error, Result};
use crate::table::nullable_where_masked;

/// The column that names a sample in every table about samples.
pub(crate) const SAMPLE: &str = "sample_id";
/// The column that names a person.
pub(crate) const PERSON: &str = "person_id";

/// Which rows of a table a session may see: those whose key is in the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VisibleKeys {
    pub(crate) column: &'static str,
    pub(crate) keys: Arc<BTreeSet<String>>,
}

/// The column by which rows of a table belong to samples; `None` for a table about nobody.
pub(crate) fn key_column(schema: &Schema) -> Option<&'static str> {
    [SAMPLE, PERSON]
        .into_iter()
        .find(|name| schema.index_of(name).is_ok())
}

/// Every sample that the session may see, of whatever dataset; `None` when it sees all.
pub(crate) fn visible_samples(access: &AccessContext) -> Option<BTreeSet<String>> {
    match &access.visible {
        SampleVisibility::All => None,
        SampleVisibility::Only(sets) => Some(sets.values().flatten().cloned().collect()),
    }
}

/// The persons who have one of these samples, as the tables that hold both tell.
pub(crate) async fn visible_persons(
    lake: &Lake,
    snapshot: &LakeSnapshot,
    samples: &BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    let mut persons = BTreeSet::new();
    for id in snapshot.tables() {
        let Some(table) = snapshot.table(id).await? else {
            continue;
        };
        let has = |name| table.schema.index_of(name).is_ok();
        if has(SAMPLE) && has(PERSON) {
            links(lake, &table, samples, &mut persons).await?;
        }
    }
    Ok(persons)
}

async fn links(
    lake: &Lake,
    table: &TableSnapshot,
    samples: &BTreeSet<String>,
    persons: &mut BTreeSet<String>,
) -> Result<()> {
    let fields: Vec<Arc<Field>> = table
        .schema
        .fields()
        .iter()
        .filter(|field| [SAMPLE, PERSON].contains(&field.name().as_str()))
        .cloned()
        .collect();
    let schema = Arc::new(Schema::new(fields));
    for file in &table.files {
        let reader = FileReader::open(lake, file).await?;
        let mut batches = reader.read(ReadPlan::of(Arc::clone(&schema)))?;
        while let Some(batch) = batches.try_next().await? {
            let (sample, person) = (texts(&batch, SAMPLE)?, texts(&batch, PERSON)?);
            let pairs = sample
                .as_string::<i32>()
                .iter()
                .zip(person.as_string::<i32>());
            for (sample, person) in pairs {
                if let (Some(sample), Some(person)) = (sample, person)
                    && samples.contains(sample)
                {
                    persons.insert(person.to_owned());
                }
            }
        }
    }
    Ok(())
}

/// A column as texts.
fn texts(batch: &RecordBatch, name: &str) -> Result<arrow::array::ArrayRef> {
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| Error::Internal(format!("column {name} was not read")))?;
    Ok(cast(column, &DataType::Utf8)?)
}

/// Passes the rows whose key is visible, in the columns that were asked for, masked ones as NULL.
#[derive(Debug)]
pub(crate) struct VisibleExec {
    input: Arc<dyn ExecutionPlan>,
    sight: Sight,
    properties: Arc<PlanProperties>,
}

/// What goes on of the rows of a table.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    /// The rows; `None`: all.
    pub(crate) visible: Option<VisibleKeys>,
    /// Places of the columns in the input.
    pub(crate) columns: Vec<usize>,
    /// Columns that read as NULL.
    pub(crate) masked: BTreeSet<String>,
}

impl Sight {
    fn schema(&self, input: &Schema) -> Result<SchemaRef> {
        let schema = Arc::new(input.project(&self.columns)?);
        Ok(nullable_where_masked(&schema, &self.masked))
    }

    /// What is seen of a batch.
    fn of(&self, batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
        let shown = batch.project(&self.columns)?;
        let masked = schema.fields().iter().zip(shown.columns());
        let columns = masked.map(|(field, column)| match self.masked.contains(field.name()) {
            true => new_null_array(field.data_type(), shown.num_rows()),
            false => Arc::clone(column),
        });
        let options = RecordBatchOptions::new().with_row_count(Some(shown.num_rows()));
        let shown =
            RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect(), &options)?;
        let Some(visible) = &self.visible else {
            return Ok(shown);
        };
        let keys = texts(batch, visible.column)?;
        let keys = keys.as_string::<i32>().iter();
        let seen = |key: Option<&str>| Some(key.is_some_and(|key| visible.keys.contains(key)));
        let mask: BooleanArray = keys.map(seen).collect();
        Ok(filter_record_batch(&shown, &mask)?)
    }
}

impl VisibleExec {
    /// `input` holds the key column.
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, sight: Sight) -> Result<Self> {
        let schema = sight.schema(&input.schema())?;
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            input.output_partitioning().clone(),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        Ok(Self {
            input,
            sight,
            properties: Arc::new(properties),
        })
    }
}

impl DisplayAs for VisibleExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VisibleExec:")?;
        if let Some(visible) = &self.sight.visible {
            write!(f, " rows by {}", visible.column)?;
        }
        let schema = self.schema();
        let masked = schema.fields().iter().map(|field| field.name());
        for name in masked.filter(|name| self.sight.masked.contains(*name)) {
            write!(f, " {name}=NULL")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for VisibleExec {
    fn name(&self) -> &'static str {
        "VisibleExec"
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

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let mut children = children.into_iter();
        let (Some(input), None) = (children.next(), children.next()) else {
            return Err(DataFusionError::Internal("one input".into()));
        };
        Ok(Arc::new(Self::new(input, self.sight.clone())?))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        let (sight, schema) = (self.sight.clone(), self.schema());
        let rows = self.input.execute(partition, context)?.map(move |batch| {
            let batch = batch?;
            Ok(sight.of(&batch, &schema)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::{Int32Array, StringArray};

    #[test]
    fn rows_without_a_visible_key_go_and_so_do_those_without_a_key() {
        let schema = Schema::new(vec![
            Field::new(SAMPLE, DataType::Utf8, true),
            Field::new("n", DataType::Int32, true),
        ]);
        let batch = RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(StringArray::from(vec![Some("S1"), None, Some("S2")])),
                Arc::new(Int32Array::from(vec![1, 2, 3])),
            ],
        )
        .unwrap();
        let visible = VisibleKeys {
            column: SAMPLE,
            keys: Arc::new(["S2".to_owned()].into()),
        };
        let sight = |masked: &[&str]| Sight {
            visible: Some(visible.clone()),
            columns: vec![1],
            masked: masked.iter().map(|name| (*name).to_owned()).collect(),
        };
        for (masked, value) in [(&[][..], Some(3)), (&["n"][..], None)] {
            let sight = sight(masked);
            let schema = sight.schema(batch.schema_ref()).unwrap();
            let kept = sight.of(&batch, &schema).unwrap();
            assert_eq!(kept.column(0).as_ref(), &Int32Array::from(vec![value]));
        }
        assert_eq!(key_column(batch.schema_ref()), Some(SAMPLE));
    }
}
