//! `genokura.cohorts`: the cohorts that the lake keeps, as a session may see them.
//!
//! A session sees the cohorts that it may read, and of each the samples that it may see: its size and the datasets that
//! have all of it are counted over those, so that neither depends on a hidden sample.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use genokura_core::schema::COMMENT_KEY;
use genokura_storage::{COHORT_SCHEMA, LakeSnapshot};

use crate::access::AccessContext;
use crate::error::{Error, Result};
use crate::session::Engine;
use crate::table::without;
use crate::visible_rows::visible_samples;

/// The schema of what genokura tells of the lake itself.
pub(crate) const OWN_SCHEMA: &str = "genokura";
/// The table of cohorts in it.
pub(crate) const COHORTS: &str = "cohorts";
/// Times of the lake are in UTC.
const UTC: &str = "+00:00";

/// Whether the session is shown the table: when it was granted it, or may read a cohort.
pub(crate) fn shown(snapshot: &LakeSnapshot, access: &AccessContext) -> bool {
    let own = || readable(snapshot, access).next().is_some();
    access.columns(OWN_SCHEMA, COHORTS).is_some() || (!access.closes(OWN_SCHEMA) && own())
}

fn readable<'a>(
    snapshot: &'a LakeSnapshot,
    access: &'a AccessContext,
) -> impl Iterator<Item = &'a str> {
    let names = snapshot.cohorts().map(|(name, _)| name);
    names.filter(|name| access.columns(COHORT_SCHEMA, name).is_some())
}

/// The table.
#[derive(Debug)]
pub(crate) struct CohortsTable {
    engine: Arc<Engine>,
    snapshot: Arc<LakeSnapshot>,
    access: AccessContext,
    schema: SchemaRef,
}

impl CohortsTable {
    pub(crate) fn new(
        engine: Arc<Engine>,
        snapshot: Arc<LakeSnapshot>,
        access: AccessContext,
    ) -> Self {
        let granted = access.columns(OWN_SCHEMA, COHORTS);
        let hidden = |name: &str| granted.as_ref().is_some_and(|c| !c.contains(name));
        let schema = without(&columns(), hidden);
        Self {
            engine,
            snapshot,
            access,
            schema,
        }
    }

    async fn rows(&self) -> Result<RecordBatch> {
        let visible = visible_samples(&self.access);
        let datasets = self.engine.samples(&self.snapshot, &self.access).await?;
        let (mut names, mut owners) = (Vec::new(), Vec::new());
        let (mut sizes, mut created) = (Vec::new(), Vec::new());
        let mut homes = ListBuilder::new(StringBuilder::new());
        for name in readable(&self.snapshot, &self.access) {
            let (Some(state), Some(mut members)) = (
                self.snapshot.state.cohorts.get(name),
                self.snapshot.cohort_members(name).await?,
            ) else {
                continue;
            };
            if let Some(visible) = &visible {
                members.retain(|sample| visible.contains(sample));
            }
            let has_all = |(_, samples): &(&String, &BTreeSet<String>)| members.is_subset(samples);
            for (dataset, _) in datasets.iter().filter(has_all) {
                homes.values().append_value(dataset);
            }
            homes.append(true);
            names.push(name);
            owners.push(state.owner.as_str());
            sizes.push(i64::try_from(members.len()).unwrap_or(i64::MAX));
            created.push(micros(&state.created)?);
            tokio::task::yield_now().await;
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(names)),
            Arc::new(homes.finish()),
            Arc::new(Int64Array::from(sizes)),
            Arc::new(StringArray::from(owners)),
            Arc::new(TimestampMicrosecondArray::from(created).with_timezone(UTC)),
        ];
        Ok(RecordBatch::try_new(self::columns(), columns)?)
    }
}

fn micros(text: &str) -> Result<i64> {
    let time = chrono::DateTime::parse_from_rfc3339(text);
    let time = time.map_err(|error| Error::damaged("cohorts", error.to_string()))?;
    Ok(time.timestamp_micros())
}

fn columns() -> SchemaRef {
    let commented = |name: &str, data_type: DataType, comment: &str| {
        let comment = (COMMENT_KEY.to_owned(), comment.to_owned());
        Field::new(name, data_type, false).with_metadata([comment].into())
    };
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
    Arc::new(Schema::new(vec![
        commented(
            "name",
            DataType::Utf8,
            "Name of the cohort, a table of schema public",
        ),
        commented(
            "datasets",
            DataType::List(item),
            "Datasets that have every one of its samples: those whose gt it can be counted on",
        ),
        commented("size", DataType::Int64, "Number of its samples"),
        commented("owner", DataType::Utf8, "The role that made it"),
        commented("created", time, "When it was made"),
    ]))
}

#[async_trait]
impl TableProvider for CohortsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let rows = self.rows().await?;
        let places = self
            .schema
            .fields()
            .iter()
            .map(|field| rows.schema().index_of(field.name()));
        let rows = rows.project(&places.collect::<Result<Vec<_>, _>>()?)?;
        let schema = Arc::clone(&self.schema);
        Ok(MemorySourceConfig::try_new_exec(
            &[vec![rows]],
            schema,
            projection.cloned(),
        )?)
    }
}

impl Engine {
    /// The samples of each dataset that names them to the session, as far as it may see them.
    ///
    /// # Errors
    /// Tables of the lake that cannot be read.
    pub async fn samples(
        &self,
        snapshot: &Arc<LakeSnapshot>,
        access: &AccessContext,
    ) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let mut all = BTreeMap::new();
        for (name, _) in snapshot.datasets() {
            if !access.names_samples(name) {
                continue;
            }
            let Some(dataset) = self.dataset(snapshot, name).await? else {
                continue;
            };
            let samples = dataset
                .names
                .iter()
                .filter(|sample| access.sees(name, sample));
            all.insert(name.to_owned(), samples.cloned().collect());
        }
        Ok(all)
    }
}
