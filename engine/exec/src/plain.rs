//! Tables that are stored as they are shown: clinical tables, regions, and the small tables of a dataset.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
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
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt as _;
use genokura_core::schema::{COMMENT_KEY, headers_schema};
use genokura_storage::{DataFile, FileReader, ReadPlan, ScalarStat, TableId, TableSnapshot};
use object_store::ObjectMeta;

use crate::access::AccessContext;
use crate::dataset::{DatasetView, HIDDEN, SAMPLE_COUNTS, SampleRow};
use crate::error::{Error, Result};
use crate::lake_files::LakeFiles;
use crate::session::lake_store_url;
use crate::table::{
    nullable_where_masked, only_readable, projected, with_contig_like, with_spelling,
    with_symbolic, with_unusual, without,
};
use crate::visible_rows::{Sight, VisibleExec, VisibleKeys, key_column, nullable_relatives};

/// A stored table over the files that one snapshot pins.
#[derive(Debug)]
pub(crate) struct PlainTable {
    table: Arc<TableSnapshot>,
    masked: BTreeSet<String>,
    /// The columns as they are stored, with what is known of them.
    stored: SchemaRef,
    /// The columns that the session may read.
    schema: SchemaRef,
    /// The rows that it may see; `None`: all.
    visible: Option<VisibleKeys>,
}

impl PlainTable {
    pub(crate) fn new(table: Arc<TableSnapshot>, access: &AccessContext) -> Self {
        let masked: BTreeSet<String> = access
            .masked(&table.id.schema, &table.id.table)
            .map(str::to_owned)
            .collect();
        // Where rows are hidden, nothing is told of all of them.
        let told = access.sees_all_samples() || key_column(&table.schema).is_none();
        let tells = |column: &str| told && !masked.contains(column);
        let stored = with_spelling(&table.schema, |column| match tells(column) {
            true => table.contig_spelling(column),
            false => None,
        });
        let stored = with_contig_like(&stored, |column| match tells(column) {
            true => table.contig_like(column),
            false => None,
        });
        let stored = with_unusual(&stored, |column| match tells(column) {
            true => table.unusual_contigs(column),
            false => None,
        });
        let symbolic = tells("alt") && table.has_symbolic_alleles();
        let name = format!("{}.{}", table.id.schema, table.id.table);
        let stored = with_symbolic(&stored, symbolic.then_some(name.as_str()));
        let columns = access.columns(&table.id.schema, &table.id.table);
        let hidden = |name: &str| columns.as_ref().is_none_or(|c| !c.contains(name));
        let schema = nullable_where_masked(&without(&stored, hidden), &masked);
        Self {
            table,
            masked,
            stored,
            schema,
            visible: None,
        }
    }

    /// The same table with only the rows of these keys.
    pub(crate) fn with_visible(self, visible: Option<VisibleKeys>) -> Self {
        let schema = match &visible {
            Some(keys) if keys.relatives.is_some() => nullable_relatives(&self.schema),
            _ => self.schema,
        };
        Self {
            visible,
            schema,
            ..self
        }
    }

    /// Places in the stored table of the columns of a projection of the session's schema.
    fn stored_places(&self, projection: Option<&Vec<usize>>) -> DfResult<Vec<usize>> {
        projected(&self.schema, projection)
            .iter()
            .map(|name| Ok(self.table.schema.index_of(name)?))
            .collect()
    }

    /// What the session sees of these columns. In one partition where rows are hidden: into how many a table is cut
    /// depends on all of its rows.
    fn seen(&self, places: Vec<usize>, partitions: usize) -> DfResult<Arc<dyn ExecutionPlan>> {
        let columns = (0..places.len()).collect();
        let mut read = places;
        let mut cut = partitions;
        if let Some(visible) = &self.visible {
            if let Some(rows) = &visible.rows {
                let key = self.table.schema.index_of(rows.column)?;
                if !read.contains(&key) {
                    read.push(key);
                }
            }
            cut = 1;
        }
        let sight = Sight {
            visible: self.visible.clone(),
            columns,
            masked: self.masked.clone(),
        };
        let input = self.source(&read, None, cut)?;
        Ok(Arc::new(VisibleExec::new(input, sight)?))
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
        places: &[usize],
        limit: Option<usize>,
        partitions: usize,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let source = ParquetSource::new(Arc::clone(&self.stored))
            .with_pushdown_filters(true)
            .with_enable_page_index(true);
        let source = Arc::new(LakeFiles::new(source));
        let mut groups = FileGroup::new(self.files()).split_files(partitions.max(1));
        if groups.is_empty() {
            groups.push(FileGroup::default());
        }
        let config = FileScanConfigBuilder::new(lake_store_url().clone(), source)
            .with_file_groups(groups)
            .with_statistics(self.statistics_of_all())
            .with_projection_indices(Some(places.to_vec()))?
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
}

#[async_trait]
impl TableProvider for PlainTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
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
        let partitions = state.config().target_partitions();
        let places = self.stored_places(projection)?;
        let masks = projected(&self.schema, projection)
            .iter()
            .any(|name| self.masked.contains(name));
        if masks || self.visible.is_some() {
            return self.seen(places, partitions);
        }
        self.source(&places, limit, partitions)
    }

    /// How many rows there are is told only to those who may see all of them, the size of the files to who may also
    /// see all columns.
    fn statistics(&self) -> Option<Statistics> {
        let rows = self.statistics_of_all().num_rows;
        let whole =
            self.masked.is_empty() && self.schema.fields().len() == self.stored.fields().len();
        let bytes = usize::try_from(self.table.bytes()).ok().filter(|_| whole);
        self.visible.is_none().then(|| Statistics {
            num_rows: rows,
            total_byte_size: bytes.map_or(Precision::Absent, Precision::Exact),
            ..Statistics::new_unknown(&self.schema)
        })
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
    // Statistics leave NaN out, which is greater than all floats.
    if !field.data_type().is_floating() {
        known.max_value = bound(&stats.max);
    }
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
    let batch = readable(
        &mask_batch(&batch, &view.masked("samples"))?,
        view,
        "samples",
    )?;
    let bytes = view.told_bytes("samples", view.data.samples_bytes);
    let statistics = view.sees_all.then(|| Statistics {
        num_rows: Precision::Exact(batch.num_rows()),
        total_byte_size: bytes,
        ..Statistics::new_unknown(&batch.schema())
    });
    let rows = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
    Ok(Arc::new(SamplesTable { rows, statistics }))
}

/// The rows of `samples`, counted.
#[derive(Debug)]
struct SamplesTable {
    rows: MemTable,
    /// Told to those who see every sample.
    statistics: Option<Statistics>,
}

#[async_trait]
impl TableProvider for SamplesTable {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        self.rows.scan(state, projection, filters, limit).await
    }

    fn statistics(&self) -> Option<Statistics> {
        self.statistics.clone()
    }
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

/// The batch with the columns that the session may read.
fn readable(batch: &RecordBatch, view: &DatasetView, table: &str) -> Result<RecordBatch> {
    let schema = only_readable(batch.schema_ref(), view, table);
    let columns = schema.fields().iter().map(|field| {
        let column = batch.column_by_name(field.name());
        column
            .map(Arc::clone)
            .ok_or_else(|| Error::Internal("a column that was there".into()))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        schema, columns, &options,
    )?)
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

/// `headers`: the stored table; where samples are hidden, without their inputs, their names and what is said of them.
pub(crate) async fn headers_table(view: &DatasetView) -> Result<Arc<dyn TableProvider>> {
    let id = TableId::new(&view.data.name, "headers");
    let Some(table) = view.data.snapshot.table(&id).await? else {
        let schema = only_readable(&headers_schema(), view, "headers");
        return Ok(Arc::new(MemTable::try_new(schema, vec![vec![]])?));
    };
    if view.sees_all {
        return Ok(Arc::new(PlainTable::new(table, &view.access)));
    }
    let batches = header_batches(view).await?;
    let batches = batches
        .iter()
        .map(|batch| readable(batch, view, "headers"))
        .collect::<Result<Vec<_>>>()?;
    let schema = match batches.first() {
        Some(batch) => batch.schema(),
        None => only_readable(&headers_schema(), view, "headers"),
    };
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

/// Keys of header lines that say what records look like. All others are hidden with the samples: they may name them
/// (`SAMPLE`, `PEDIGREE`), the files they came in, or commands that listed them.
const KEYS_OF_RECORDS: [&str; 11] = [
    "fileformat",
    "fileDate",
    "INFO",
    "FORMAT",
    "FILTER",
    "ALT",
    "contig",
    "assembly",
    "reference",
    "phasing",
    COLUMNS_KEY,
];
/// The key of the line that names the columns.
const COLUMNS_KEY: &str = "CHROM";
/// Columns of the `#CHROM` line before the samples.
const FIXED_COLUMNS: usize = 9;

/// The inputs, by batch and number, that hold samples and no visible one.
fn hidden_sources(view: &DatasetView) -> BTreeSet<(i32, i32)> {
    let source = |row: &SampleRow| (row.batch, row.source);
    let mut hidden: BTreeSet<_> = view.data.sample_rows.iter().map(source).collect();
    for row in visible_rows(view) {
        hidden.remove(&source(row));
    }
    hidden
}

fn visible_headers(view: &DatasetView, batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let place = |name: &str| {
        schema
            .index_of(name)
            .map_err(|e| Error::damaged("headers", e.to_string()))
    };
    let (key, text) = (place("key")?, place("text")?);
    let (batches, sources) = (place("batch")?, place("source")?);
    let hidden = hidden_sources(view);
    let batches = batch.column(batches).as_primitive::<Int32Type>().values();
    let sources = batch.column(sources).as_primitive::<Int32Type>().values();
    let keys = batch.column(key).as_string::<i32>();
    let sources = batches.iter().copied().zip(sources.iter().copied());
    let keep = keys.iter().zip(sources).map(|(key, source)| {
        let of_records = key.is_some_and(|key| KEYS_OF_RECORDS.contains(&key));
        Some(of_records && !hidden.contains(&source))
    });
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
