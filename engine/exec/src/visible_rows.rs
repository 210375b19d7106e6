//! Rows of plain tables about people: where a session may not see every sample, it sees only the rows of those it may.
//!
//! | a table with | shows the rows of |
//! |---|---|
//! | `family_id` and `proband_id` | families whose every member is visible: what is told of a family is told of them all |
//! | else `sample_id` | visible samples |
//! | else `person_id` | persons with a visible sample, as the tables that hold both columns tell; a person whom no table links to a sample is not shown |
//! | else `family_id` | families, as above |
//! | else `proband_id` | persons, as above |
//! | none of them | everybody: its rows are nobody's |
//!
//! The members of a family are those that tables with `family_id` and `sample_id` or `person_id` tell of. In rows that
//! are shown, of whatever table, `father_id`, `mother_id` and `proband_id` read as NULL where they name somebody who is
//! not.
//!
//! [`VisibleExec`] stands directly on the files, also where only columns are masked. It lets no filter, limit or
//! statistic pass: what an expression of the user computes, it computes on visible rows alone, and no error, count or
//! estimate tells of the others. Where people are hidden, the plan ends there: what is read below depends on all rows
//! and names a key that the session may not read, so neither the optimiser nor EXPLAIN finds it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array,
};
use arrow::compute::{cast, filter_record_batch, nullif};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    SendableRecordBatchStream,
};
use futures::{StreamExt as _, TryStreamExt as _};
use genokura_storage::{FileReader, Lake, LakeSnapshot, ReadPlan};

use crate::access::{AccessContext, SampleVisibility};
use crate::error::{Error, Result};
use crate::table::nullable_where_masked;

/// The column that names a sample in every table about samples.
pub(crate) const SAMPLE: &str = "sample_id";
/// The column that names a person.
pub(crate) const PERSON: &str = "person_id";
/// The column that names a family.
pub(crate) const FAMILY: &str = "family_id";
/// The column that names the person for whom a family was enrolled.
pub(crate) const PROBAND: &str = "proband_id";
/// Columns that name other persons or samples than the one whose row it is.
const RELATIVES: [&str; 3] = ["father_id", "mother_id", PROBAND];

/// Which rows of a table a session may see, and whom they may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VisibleKeys {
    /// The rows; `None`: all, of a table whose rows are nobody's.
    pub(crate) rows: Option<RowKeys>,
    /// The persons and samples whom cells about relatives may name; `None`: the table has no such cells.
    pub(crate) relatives: Option<Arc<BTreeSet<String>>>,
}

/// The rows of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowKeys {
    /// Rows are seen whose value here is one of `keys`.
    pub(crate) column: &'static str,
    pub(crate) keys: Arc<BTreeSet<String>>,
}

/// The column by which rows of a table belong to people; `None` for a table about nobody.
pub(crate) fn key_column(schema: &Schema) -> Option<&'static str> {
    let has = |name: &str| schema.index_of(name).is_ok();
    if has(FAMILY) && has(PROBAND) {
        return Some(FAMILY);
    }
    [SAMPLE, PERSON, FAMILY, PROBAND]
        .into_iter()
        .find(|name| has(name))
}

/// Whether a table has cells that name relatives.
pub(crate) fn names_relatives(schema: &Schema) -> bool {
    let has = |name: &&str| schema.index_of(name).is_ok();
    RELATIVES.iter().any(has)
}

/// The schema with the cells that name relatives nullable.
pub(crate) fn nullable_relatives(schema: &SchemaRef) -> SchemaRef {
    nullable_where_masked(schema, &RELATIVES.iter().map(|n| (*n).to_owned()).collect())
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
    for_each_row(lake, snapshot, &[SAMPLE, PERSON], |row| {
        if let [Some(sample), Some(person)] = row
            && samples.contains(*sample)
        {
            persons.insert((*person).to_owned());
        }
    })
    .await?;
    Ok(persons)
}

/// The families that have members and no hidden one. `samples` and `persons` are the visible ones.
pub(crate) async fn visible_families(
    lake: &Lake,
    snapshot: &LakeSnapshot,
    samples: &BTreeSet<String>,
    persons: &BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    let (mut seen, mut hidden) = (BTreeSet::new(), BTreeSet::new());
    for (column, visible) in [(SAMPLE, samples), (PERSON, persons)] {
        for_each_row(lake, snapshot, &[FAMILY, column], |row| {
            if let [Some(family), Some(member)] = row {
                let families = match visible.contains(*member) {
                    true => &mut seen,
                    false => &mut hidden,
                };
                if !families.contains(*family) {
                    families.insert((*family).to_owned());
                }
            }
        })
        .await?;
    }
    Ok(seen.difference(&hidden).cloned().collect())
}

/// Shows the rows of every table that has all of these columns, and of each row the texts of those.
async fn for_each_row(
    lake: &Lake,
    snapshot: &LakeSnapshot,
    columns: &[&str],
    mut show: impl FnMut(&[Option<&str>]),
) -> Result<()> {
    for id in snapshot.tables() {
        let Some(table) = snapshot.table(id).await? else {
            continue;
        };
        let found = columns.iter().map(|name| {
            let found = table.schema.fields().find(name);
            found.map(|(_, field)| Arc::clone(field))
        });
        let Some(fields) = found.collect::<Option<Vec<_>>>() else {
            continue;
        };
        let schema = Arc::new(Schema::new(fields));
        for file in &table.files {
            let reader = FileReader::open(lake, file).await?;
            let mut batches = reader.read(ReadPlan::of(Arc::clone(&schema)))?;
            while let Some(batch) = batches.try_next().await? {
                show_rows(&batch, columns, &mut show)?;
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(())
}

fn show_rows(
    batch: &RecordBatch,
    columns: &[&str],
    show: &mut impl FnMut(&[Option<&str>]),
) -> Result<()> {
    let columns = columns.iter().map(|name| texts(batch, name));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let columns: Vec<_> = columns.iter().map(|c| c.as_string::<i32>()).collect();
    let mut row = Vec::with_capacity(columns.len());
    for place in 0..batch.num_rows() {
        row.clear();
        row.extend(
            columns
                .iter()
                .map(|column| column.is_valid(place).then(|| column.value(place))),
        );
        show(&row);
    }
    Ok(())
}

/// A column as texts.
fn texts(batch: &RecordBatch, name: &str) -> Result<ArrayRef> {
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
        let schema = nullable_where_masked(&schema, &self.masked);
        Ok(match self.relatives() {
            Some(_) => nullable_relatives(&schema),
            None => schema,
        })
    }

    /// Whom cells about relatives may name; `None`: anybody.
    fn relatives(&self) -> Option<&BTreeSet<String>> {
        self.visible.as_ref()?.relatives.as_deref()
    }

    /// A column as it is seen.
    fn column(&self, field: &Field, column: &ArrayRef) -> Result<ArrayRef> {
        if self.masked.contains(field.name()) {
            return Ok(new_null_array(field.data_type(), column.len()));
        }
        match self.relatives() {
            Some(seen) if RELATIVES.contains(&field.name().as_str()) => {
                let names = cast(column, &DataType::Utf8)?;
                let names = names.as_string::<i32>().iter();
                let hidden = |name: Option<&str>| name.is_some_and(|name| !seen.contains(name));
                let hidden: BooleanArray = names.map(|name| Some(hidden(name))).collect();
                Ok(nullif(column, &hidden)?)
            }
            _ => Ok(Arc::clone(column)),
        }
    }

    /// What is seen of a batch.
    fn of(&self, batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
        let shown = batch.project(&self.columns)?;
        let columns = schema.fields().iter().zip(shown.columns());
        let columns = columns.map(|(field, column)| self.column(field, column));
        let options = RecordBatchOptions::new().with_row_count(Some(shown.num_rows()));
        let shown = RecordBatch::try_new_with_options(
            Arc::clone(schema),
            columns.collect::<Result<_>>()?,
            &options,
        )?;
        let Some(rows) = self.visible.as_ref().and_then(|v| v.rows.as_ref()) else {
            return Ok(shown);
        };
        let keys = texts(batch, rows.column)?;
        let keys = keys.as_string::<i32>().iter();
        let seen = |key: Option<&str>| Some(key.is_some_and(|key| rows.keys.contains(key)));
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
        )
        .with_scheduling_type(input.properties().scheduling_type);
        Ok(Self {
            input,
            sight,
            properties: Arc::new(properties),
        })
    }

    /// Whether the plan ends here for whoever looks at it: people are hidden below.
    fn is_whole(&self) -> bool {
        self.sight.visible.is_some()
    }
}

impl DisplayAs for VisibleExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VisibleExec:")?;
        let schema = self.schema();
        if self.is_whole() {
            let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            write!(f, " columns=[{}]", names.join(", "))?;
        }
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
        match self.is_whole() {
            true => Vec::new(),
            false => vec![&self.input],
        }
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
        let input = match (children.next(), children.next(), self.is_whole()) {
            (Some(input), None, false) => input,
            // What was executed starts anew.
            (None, None, true) => reset_plan_states(Arc::clone(&self.input))?,
            _ => return Err(DataFusionError::Internal("inputs of VisibleExec".into())),
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
    use arrow::array::{Int32Array, Int64Array, StringArray};

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
            rows: Some(RowKeys {
                column: SAMPLE,
                keys: Arc::new(["S2".to_owned()].into()),
            }),
            relatives: None,
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

    #[test]
    fn cells_that_name_hidden_relatives_are_null() {
        let schema = Schema::new(vec![
            Field::new(PERSON, DataType::Int64, false),
            Field::new("father_id", DataType::Int64, false),
        ]);
        let ids = |ids: [i64; 3]| Arc::new(Int64Array::from(ids.to_vec())) as ArrayRef;
        let columns = vec![ids([1, 2, 3]), ids([2, 7, 1])];
        let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
        let seen: Arc<BTreeSet<String>> = Arc::new(["1".to_owned(), "2".to_owned()].into());
        let sight = Sight {
            visible: Some(VisibleKeys {
                rows: Some(RowKeys {
                    column: PERSON,
                    keys: Arc::clone(&seen),
                }),
                relatives: Some(seen),
            }),
            columns: vec![0, 1],
            masked: BTreeSet::new(),
        };
        let schema = sight.schema(batch.schema_ref()).unwrap();
        let shown = sight.of(&batch, &schema).unwrap();
        let fathers = Int64Array::from(vec![Some(2), None]);
        assert_eq!(shown.column(1).as_ref(), &fathers);
    }

    #[test]
    fn rows_belong_to_families_samples_and_persons() {
        let key = |names: &[&str]| {
            let field = |name: &&str| Field::new(*name, DataType::Utf8, true);
            key_column(&Schema::new(names.iter().map(field).collect::<Vec<_>>()))
        };
        for (columns, expected) in [
            (&["person_id", "sample_id", "family_id"][..], Some(SAMPLE)),
            (&["person_id", "family_id"], Some(PERSON)),
            (&["family_id", "person_id", "proband_id"], Some(FAMILY)),
            (&["family_id", "members"], Some(FAMILY)),
            (&["proband_id"], Some(PROBAND)),
            (&["gene", "note"], None),
        ] {
            assert_eq!(key(columns), expected, "{columns:?}");
        }
    }
}
