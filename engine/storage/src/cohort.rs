//! Cohorts: named sets of samples that the lake keeps.
//!
//! A cohort is a Delta table of its own in the schema [`COHORT_SCHEMA`], a row a sample, beside an entry in the lake
//! commit that says whose it is. It is always written whole, so that two writers of one cohort collide and writers of
//! different ones do not.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use futures::TryStreamExt as _;
use genokura_core::schema::COMMENT_KEY;

use crate::commit::{CommitOutcome, LakeChange, TableChange};
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::manifest::TableId;
use crate::reader::{FileReader, ReadPlan};
use crate::snapshot::LakeSnapshot;
use crate::state::CohortState;
use crate::writer::{PartWriter, WritePolicy};

/// The schema that the tables of cohorts lie in; it holds nothing else.
pub const COHORT_SCHEMA: &str = "public";

/// The one column of a cohort.
pub const COHORT_COLUMN: &str = "sample_id";

/// Rows that are given to the writer at once.
const BATCH_ROWS: usize = 8_192;

/// The table of a cohort.
#[must_use]
pub fn cohort_table(name: &str) -> TableId {
    TableId::new(COHORT_SCHEMA, name)
}

/// The columns of every cohort.
#[must_use]
pub fn cohort_schema() -> SchemaRef {
    let comment = "Sample of the cohort; every one once".to_owned();
    let field = Field::new(COHORT_COLUMN, DataType::Utf8, true)
        .with_metadata([(COMMENT_KEY.to_owned(), comment)].into());
    Arc::new(Schema::new(vec![field]))
}

impl Lake {
    /// Writes a cohort whole: a new one, or in the place of the one that `base` has.
    ///
    /// # Errors
    /// [`Error::Name`] for a name that no table can have; what the object store reports.
    pub async fn put_cohort(
        &self,
        base: &LakeSnapshot,
        name: &str,
        cohort: CohortState,
        members: &BTreeSet<String>,
    ) -> Result<CommitOutcome> {
        let id = cohort_table(name);
        id.check()?;
        let schema = cohort_schema();
        let mut writer = PartWriter::new(self, &id, Arc::clone(&schema), WritePolicy::plain());
        let names: Vec<&str> = members.iter().map(String::as_str).collect();
        for some in names.chunks(BATCH_ROWS) {
            let column = Arc::new(StringArray::from(some.to_vec()));
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column])?;
            writer.write(None, &batch).await?;
        }
        let table = TableChange {
            id,
            schema,
            partition_columns: Vec::new(),
            add: writer.finish().await?,
            replace: true,
        };
        let change = LakeChange {
            operation: "create cohort".to_owned(),
            tables: vec![table],
            cohorts: [(name.to_owned(), Some(cohort))].into(),
            ..LakeChange::default()
        };
        self.commit(base, change).await
    }

    /// Takes cohorts out of the lake. Their files stay until they are vacuumed.
    ///
    /// # Errors
    /// What the object store reports.
    pub async fn drop_cohorts(
        &self,
        base: &LakeSnapshot,
        names: impl IntoIterator<Item = String>,
    ) -> Result<CommitOutcome> {
        let change = LakeChange {
            operation: "drop cohort".to_owned(),
            cohorts: names.into_iter().map(|name| (name, None)).collect(),
            ..LakeChange::default()
        };
        self.commit(base, change).await
    }
}

impl LakeSnapshot {
    /// Cohorts by name, sorted.
    pub fn cohorts(&self) -> impl Iterator<Item = (&str, &CohortState)> {
        let cohorts = self.state.cohorts.iter();
        cohorts.map(|(name, state)| (name.as_str(), state))
    }

    /// The samples of a cohort; `None` when there is no such cohort.
    ///
    /// # Errors
    /// Files and Delta logs that cannot be read.
    pub async fn cohort_members(&self, name: &str) -> Result<Option<BTreeSet<String>>> {
        let Some(table) = self.table(&cohort_table(name)).await? else {
            return Ok(None);
        };
        let mut members = BTreeSet::new();
        for file in &table.files {
            let reader = FileReader::open(self.lake(), file).await?;
            let mut batches = reader.read(ReadPlan::of(cohort_schema()))?;
            while let Some(batch) = batches.try_next().await? {
                let column = batch.column_by_name(COHORT_COLUMN).ok_or_else(|| {
                    Error::Internal(format!("a cohort without a column {COHORT_COLUMN}"))
                })?;
                let names = cast(column, &DataType::Utf8)?;
                let names = names.as_string::<i32>().iter().flatten();
                members.extend(names.map(str::to_owned));
            }
        }
        Ok(Some(members))
    }
}
