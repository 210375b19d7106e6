//! Tables that are stored as they are shown: clinical tables, regions, and the small tables of a dataset.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::{MemTable, TableType};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use futures::TryStreamExt as _;
use genokura_core::schema::{COMMENT_KEY, headers_schema};
use genokura_storage::{DataFile, FileReader, ReadPlan, ScalarStat, TableId, TableSnapshot};
use object_store::ObjectMeta;

use crate::access::AccessContext;
use crate::dataset::{DatasetView, HIDDEN, SAMPLE_COUNTS, SampleRow};
use crate::error::{Error, Result};
use crate::session::lake_store_url;

/// A stored table over the files that one snapshot pins.
#[derive(Debug)]
pub(crate) struct PlainTable {
    table: Arc<TableSnapshot>,
    masked: BTreeSet<String>,
}

impl PlainTable {
    pub(crate) fn new(table: Arc<TableSnapshot>, access: &AccessContext) -> Self {
        let masked = access
            .masked(&table.id.schema, &table.id.table)
            .map(str::to_owned)
            .collect();
        Self { table, masked }
    }

    fn files(&self) -> Vec<PartitionedFile> {
        self.table
            .files
            .iter()
            .map(|file| partitioned(file, &self.table.schema))
            .collect()
    }

    fn source(
        &self,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
        partitions: usize,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let source = Arc::new(
            ParquetSource::new(Arc::clone(&self.table.schema))
                .with_pushdown_filters(true)
                .with_enable_page_index(true),
        );
        let mut groups = FileGroup::new(self.files()).split_files(partitions.max(1));
        if groups.is_empty() {
            groups.push(FileGroup::default());
        }
        let config = FileScanConfigBuilder::new(lake_store_url().clone(), source)
            .with_file_groups(groups)
            .with_statistics(self.statistics_of_all())
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn statistics_of_all(&self) -> Statistics {
        let rows = usize::try_from(self.table.rows()).unwrap_or(usize::MAX);
        Statistics {
            num_rows: Precision::Exact(rows),
            ..Statistics::new_unknown(&self.table.schema)
        }
    }

    /// Puts NULL over the masked columns of a plan.
    fn mask(&self, plan: Arc<dyn ExecutionPlan>) -> DfResult<Arc<dyn ExecutionPlan>> {
        let schema = plan.schema();
        if !schema
            .fields()
            .iter()
            .any(|f| self.masked.contains(f.name()))
        {
            return Ok(plan);
        }
        let exprs = schema.fields().iter().enumerate().map(|(i, field)| {
            let expr: Arc<dyn PhysicalExpr> = if self.masked.contains(field.name()) {
                Arc::new(Literal::new(ScalarValue::try_from(field.data_type())?))
            } else {
                Arc::new(Column::new(field.name(), i))
            };
            Ok((expr, field.name().clone()))
        });
        let exprs = exprs.collect::<DfResult<Vec<_>>>()?;
        Ok(Arc::new(ProjectionExec::try_new(exprs, plan)?))
    }
}

#[async_trait]
impl TableProvider for PlainTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters reach the files through the physical optimiser; here we only keep them from being lost.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DfResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![
            TableProviderFilterPushDown::Unsupported;
            filters.len()
        ])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        self.mask(self.source(projection, limit, state.config().target_partitions())?)
    }

    fn statistics(&self) -> Option<Statistics> {
        Some(self.statistics_of_all())
    }
}

fn partitioned(file: &DataFile, schema: &Schema) -> PartitionedFile {
    let modified = chrono::DateTime::from_timestamp_millis(file.modified_ms).unwrap_or_default();
    let meta = ObjectMeta {
        location: file.path.clone(),
        last_modified: modified,
        size: file.size,
        e_tag: None,
        version: None,
    };
    PartitionedFile::new_from_meta(meta).with_statistics(Arc::new(file_statistics(file, schema)))
}

fn file_statistics(file: &DataFile, schema: &Schema) -> Statistics {
    let rows = usize::try_from(file.rows).unwrap_or(usize::MAX);
    let columns = schema
        .fields()
        .iter()
        .map(|field| column_statistics(file, field))
        .collect();
    Statistics {
        num_rows: Precision::Exact(rows),
        column_statistics: columns,
        ..Statistics::new_unknown(schema)
    }
}

/// Bounds of one column; inexact because a text maximum may be longer than any value.
fn column_statistics(file: &DataFile, field: &Field) -> ColumnStatistics {
    let mut known = ColumnStatistics::new_unknown();
    let Some(stats) = file.stats.column(field.name()) else {
        return known;
    };
    let bound = |stat: &Option<ScalarStat>| {
        let value = stat.as_ref().and_then(|s| scalar_of(s, field.data_type()));
        value.map_or(Precision::Absent, Precision::Inexact)
    };
    known.min_value = bound(&stats.min);
    known.max_value = bound(&stats.max);
    if let Some(nulls) = stats.null_count.and_then(|n| usize::try_from(n).ok()) {
        known.null_count = Precision::Exact(nulls);
    }
    known
}

/// A bound of the Delta log as a value of the column's type; `None` where the log's form is another.
pub(crate) fn scalar_of(stat: &ScalarStat, data_type: &DataType) -> Option<ScalarValue> {
    match (stat, data_type) {
        (ScalarStat::Int(v), DataType::Int8) => {
            Some(ScalarValue::Int8(Some((*v).try_into().ok()?)))
        }
        (ScalarStat::Int(v), DataType::Int16) => {
            Some(ScalarValue::Int16(Some((*v).try_into().ok()?)))
        }
        (ScalarStat::Int(v), DataType::Int32) => {
            Some(ScalarValue::Int32(Some((*v).try_into().ok()?)))
        }
        (ScalarStat::Int(v), DataType::Int64) => Some(ScalarValue::Int64(Some(*v))),
        (ScalarStat::Float(v), DataType::Float64) => Some(ScalarValue::Float64(Some(*v))),
        (ScalarStat::Text(v), DataType::Utf8) => Some(ScalarValue::Utf8(Some(v.clone()))),
        _ => None,
    }
}

/// `samples`: one row per visible sample, its counts added up over batches.
pub(crate) fn samples_table(view: &DatasetView) -> Result<Arc<dyn TableProvider>> {
    let mut merged: BTreeMap<u32, SampleRow> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for row in visible_rows(view) {
        // Inputs that share a block may each list its samples: one place counts once.
        if !seen.insert((row.block, row.index_in_block)) {
            continue;
        }
        merged
            .entry(row.name)
            .and_modify(|sum| add_counts(sum, row))
            .or_insert_with(|| row.clone());
    }
    let rows: Vec<SampleRow> = merged.into_values().collect();
    let batch = samples_batch(view, &rows)?;
    let batch = mask_batch(&batch, &view.masked("samples"))?;
    Ok(Arc::new(MemTable::try_new(
        batch.schema(),
        vec![vec![batch]],
    )?))
}

fn visible_rows(view: &DatasetView) -> impl Iterator<Item = &SampleRow> {
    view.data.sample_rows.iter().filter(|row| {
        let name = view.data.names.get(row.name as usize);
        name.is_some_and(|name| view.access.sees(&view.data.name, name))
    })
}

fn add_counts(sum: &mut SampleRow, row: &SampleRow) {
    for (total, more) in sum.counts.iter_mut().zip(row.counts) {
        *total = total.saturating_add(more);
    }
    if sum.karyotype.is_none() {
        sum.karyotype.clone_from(&row.karyotype);
    }
}

fn samples_batch(view: &DatasetView, rows: &[SampleRow]) -> Result<RecordBatch> {
    let stored = genokura_core::schema::samples_schema();
    let comment = |name: &str| {
        stored
            .field_with_name(name)
            .ok()
            .and_then(|f| f.metadata().get(COMMENT_KEY))
            .cloned()
    };
    let name = |row: &SampleRow| view.data.names.get(row.name as usize).map(String::as_str);
    let mut columns: Vec<(&str, ArrayRef, Option<String>)> = vec![
        (
            "sample_id",
            Arc::new(rows.iter().map(name).collect::<StringArray>()),
            comment("sample_id"),
        ),
        ("source", ints(rows, |r| r.source), comment("source")),
        ("batch", ints(rows, |r| r.batch), comment("batch")),
    ];
    for (i, count) in SAMPLE_COUNTS.iter().enumerate() {
        let values: Int64Array = rows.iter().map(|r| r.counts.get(i).copied()).collect();
        columns.push((count, Arc::new(values), comment(count)));
    }
    let karyotype: StringArray = rows.iter().map(|r| r.karyotype.as_deref()).collect();
    columns.push(("karyotype", Arc::new(karyotype), comment("ploidy_x")));
    let fields = columns.iter().map(|(name, array, comment)| {
        let nullable = *name == "karyotype";
        let metadata = comment
            .iter()
            .map(|c| (COMMENT_KEY.to_owned(), c.clone()))
            .collect();
        Field::new(*name, array.data_type().clone(), nullable).with_metadata(metadata)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    Ok(RecordBatch::try_new(
        schema,
        columns.into_iter().map(|(_, array, _)| array).collect(),
    )?)
}

fn ints(rows: &[SampleRow], value: impl Fn(&SampleRow) -> i32) -> ArrayRef {
    Arc::new(rows.iter().map(value).collect::<Int32Array>())
}

/// The batch with NULL in place of masked columns.
fn mask_batch(batch: &RecordBatch, masked: &BTreeSet<String>) -> Result<RecordBatch> {
    if masked.is_empty() {
        return Ok(batch.clone());
    }
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if masked.contains(field.name()) {
            fields.push(Arc::new(field.as_ref().clone().with_nullable(true)));
            columns.push(arrow::array::new_null_array(
                field.data_type(),
                batch.num_rows(),
            ));
        } else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}

/// `headers`: the stored table; where samples are hidden, without their names and what is said of them.
pub(crate) async fn headers_table(view: &DatasetView) -> Result<Arc<dyn TableProvider>> {
    let id = TableId::new(&view.data.name, "headers");
    let Some(table) = view.data.snapshot.table(&id).await? else {
        return Ok(Arc::new(MemTable::try_new(headers_schema(), vec![vec![]])?));
    };
    if view.sees_all {
        return Ok(Arc::new(PlainTable::new(table, &view.access)));
    }
    let batches = header_batches(view).await?;
    let schema = batches
        .first()
        .map_or_else(headers_schema, RecordBatch::schema);
    Ok(Arc::new(MemTable::try_new(schema, vec![batches])?))
}

/// The rows of `headers` as a session sees them.
pub(crate) async fn header_batches(view: &DatasetView) -> Result<Vec<RecordBatch>> {
    let id = TableId::new(&view.data.name, "headers");
    let Some(table) = view.data.snapshot.table(&id).await? else {
        return Ok(Vec::new());
    };
    let mut batches = Vec::new();
    for file in &table.files {
        let reader = FileReader::open(view.data.lake(), file).await?;
        let read: Vec<RecordBatch> = reader
            .read(ReadPlan::of(headers_schema()))?
            .try_collect()
            .await?;
        for batch in read {
            let visible = match view.sees_all {
                true => batch,
                false => visible_headers(view, &batch)?,
            };
            batches.push(mask_batch(&visible, &view.masked("headers"))?);
        }
    }
    Ok(batches)
}

/// Keys of header lines that tell of samples or families.
const SAMPLE_KEYS: [&str; 3] = ["SAMPLE", "PEDIGREE", "META"];
/// Columns of the `#CHROM` line before the samples.
const FIXED_COLUMNS: usize = 9;

fn visible_headers(view: &DatasetView, batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let place = |name: &str| {
        schema
            .index_of(name)
            .map_err(|e| Error::damaged("headers", e.to_string()))
    };
    let (key, text) = (place("key")?, place("text")?);
    let keys = batch.column(key).as_string::<i32>();
    let keep = keys
        .iter()
        .map(|key| Some(key.is_none_or(|key| !SAMPLE_KEYS.contains(&key))));
    let texts = batch.column(text).as_string::<i32>();
    let rewritten: StringArray = texts
        .iter()
        .map(|line| line.map(|line| visible_line(view, line)))
        .collect();
    let mut columns = batch.columns().to_vec();
    if let Some(column) = columns.get_mut(text) {
        *column = Arc::new(rewritten);
    }
    let batch = RecordBatch::try_new(schema, columns)?;
    Ok(filter_record_batch(&batch, &keep.collect())?)
}

fn visible_line(view: &DatasetView, line: &str) -> String {
    if !line.starts_with("#CHROM") {
        return line.to_owned();
    }
    let seen = |(i, name): &(usize, &str)| {
        *i < FIXED_COLUMNS
            || view
                .directory
                .index_of(name)
                .is_some_and(|index| index != HIDDEN)
    };
    let kept: Vec<&str> = line
        .split('\t')
        .enumerate()
        .filter(seen)
        .map(|(_, name)| name)
        .collect();
    kept.join("\t")
}
