//! Rows of `variants`: site rows, counts over the visible samples, genotype cells.
//!
//! Order of work per batch: site rows are read and filtered, counts are made (from the site row when every sample
//! is visible, else from the genotypes), filters on counts are applied, and only for what survives are genotype
//! blobs fetched and cells made.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Builder, ListBuilder,
    RecordBatch, RecordBatchOptions, new_null_array,
};
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan as _;
use genokura_core::codec::AlleleCounts;
use genokura_core::schema::variants_schema;

use crate::blobs::{BlobReader, chunks};
use crate::cells::CellBuilder;
use crate::counted::CountedCells;
use crate::dataset::{BlockView, DatasetView};
use crate::dynamic::DynamicFilters;
use crate::error::{Error, Result};
use crate::members::{ALT_INDEX, MEMBER_COLUMNS, Members};
use crate::metrics::ScanMetrics;
use crate::predicate::Predicate;
use crate::pruning::bind;
use crate::scan::{DatasetScanExec, empty_table, read_schema};
use crate::source::{Allowance, ReadContext, SiteRows, SiteSource, column, evaluate};
use crate::spec::{GtOf, ScanKind, ScanSpec, Unit};
use crate::table::{RECORDS_COLUMN, Stages, nullable_where_masked, sql_schema};

/// The columns that are counted.
const COUNTS: [&str; 6] = ["ac", "an", "af", "n_het", "n_hom_alt", "n_missing"];
/// Those of them that site rows hold; `af` is made of the first two.
pub(crate) const STORED_COUNTS: [&str; 5] = ["ac", "an", "n_het", "n_hom_alt", "n_missing"];

/// True when a scan of `variants` reads genotype blobs.
pub(crate) fn reads_genotypes(spec: &ScanSpec, view: &DatasetView) -> bool {
    let needed = spec.columns_needed();
    let counted = COUNTS.iter().any(|c| needed.contains(c));
    let told = spec.columns.iter().any(|c| c == "gt");
    let of_gt = told
        && match &spec.gt {
            GtOf::Counts(cohorts) => CountedCells::new(cohorts, view).reads_genotypes(),
            GtOf::All | GtOf::Samples(_) => true,
        };
    of_gt || (counted && !view.sees_all)
}

/// Per block of the dataset whether genotypes of it are read for column `gt`.
pub(crate) fn gt_blocks(spec: &ScanSpec, view: &DatasetView) -> Vec<bool> {
    let samples: Option<BTreeSet<u32>> = match &spec.gt {
        GtOf::All => None,
        GtOf::Samples(names) => {
            let index = |name: &String| view.directory.index_of(name);
            Some(names.iter().filter_map(index).collect())
        }
        GtOf::Counts(cohorts) => return CountedCells::new(cohorts, view).blocks(view),
    };
    let wanted = |block: &BlockView| {
        block.ordinal.is_some()
            && samples.as_ref().is_none_or(|samples| {
                let mut places = block.directory_index.iter();
                places.any(|sample| samples.contains(sample))
            })
    };
    view.blocks.iter().map(wanted).collect()
}

/// Per block of the dataset the samples of which column `gt` must tell; `None`: all.
fn gt_samples(spec: &ScanSpec, view: &DatasetView) -> Option<Vec<Vec<u32>>> {
    let GtOf::Samples(names) = &spec.gt else {
        return None;
    };
    let index = |name: &String| view.directory.index_of(name);
    let wanted: BTreeSet<u32> = names.iter().filter_map(index).collect();
    let of_block = |block: &BlockView| {
        let places = (0u32..).zip(block.directory_index.iter());
        let places = places.filter(|(_, sample)| wanted.contains(*sample));
        places.map(|(place, _)| place).collect()
    };
    Some(view.blocks.iter().map(of_block).collect())
}

/// Batches of some units of work.
pub(crate) struct VariantRows {
    context: Arc<ReadContext>,
    source: SiteSource,
    schema: SchemaRef,
    last: Option<LastFilter>,
    masked: BTreeSet<String>,
    genotypes: Option<BlobReader>,
    /// Blocks of which genotypes are read.
    blocks: Vec<bool>,
    /// Per block the samples of which column `gt` must tell; `None`: all.
    samples: Option<Vec<Vec<u32>>>,
    /// Makes column `gt` where it tells of counts.
    counted: Option<CountedCells>,
    needs: Needs,
    pending: VecDeque<SiteRows>,
    remaining: usize,
    dynamic: DynamicFilters,
}

/// What a batch needs beside columns of the site table.
#[derive(Clone, Copy)]
struct Needs {
    /// Which of the [`STORED_COUNTS`].
    counts: [bool; 5],
    cells: bool,
    /// The ids of the records of each variant.
    records: bool,
    /// Counts are made from genotypes.
    recount: bool,
    /// All of the [`STORED_COUNTS`] are read as they are.
    sums: bool,
}

/// Filters that see what the access context leaves.
struct LastFilter {
    expr: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
}

impl VariantRows {
    pub(crate) fn new(
        scan: &DatasetScanExec,
        units: Vec<Unit>,
        batch_size: usize,
        metrics: ScanMetrics,
    ) -> Result<Self> {
        let (spec, view) = (&scan.spec, &scan.view);
        let masked = view.masked("variants");
        let stages = Stages::of(spec.kind, &spec.filters, &masked);
        let mut needs = Needs::of(spec, view);
        let counted = match &spec.gt {
            GtOf::Counts(cohorts) if needs.cells => Some(CountedCells::new(cohorts, view)),
            _ => None,
        };
        needs.sums |= counted.as_ref().is_some_and(CountedCells::reads_sites);
        let last = LastFilter::new(&stages.last, view, &masked)?;
        let context = read_context(scan, stages, needs, batch_size, metrics)?;
        let blocks = match &counted {
            _ if needs.recount => view.blocks.iter().map(|b| b.ordinal.is_some()).collect(),
            Some(counted) => counted.blocks(view),
            None => gt_blocks(spec, view),
        };
        let of_counts = counted.as_ref().map(CountedCells::reads_genotypes);
        let reads = needs.recount || (needs.cells && of_counts.unwrap_or(true));
        let genotypes = reads
            .then(|| BlobReader::genotypes(view, &context.metrics))
            .flatten();
        Ok(Self {
            source: SiteSource::new(Arc::clone(&context), units),
            schema: scan.schema(),
            last,
            masked,
            genotypes,
            blocks,
            samples: gt_samples(spec, view),
            counted,
            needs,
            pending: VecDeque::new(),
            remaining: spec.limit.unwrap_or(usize::MAX),
            dynamic: scan.dynamic.clone(),
            context,
        })
    }

    /// True when a scan makes its counts of genotypes, because not every sample is visible.
    pub(crate) fn recounts(spec: &ScanSpec, view: &DatasetView) -> bool {
        Needs::of(spec, view).recount
    }

    /// What its readers share.
    pub(crate) fn into_context(self) -> Arc<ReadContext> {
        self.context
    }

    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.remaining > 0 {
            let Some(rows) = self.chunk().await? else {
                return Ok(None);
            };
            let batch = self.build(rows).await?;
            // A long run of rows that no filter passes must not keep the thread.
            tokio::task::yield_now().await;
            if batch.num_rows() == 0 {
                continue;
            }
            let batch = batch.slice(0, batch.num_rows().min(self.remaining));
            self.remaining -= batch.num_rows();
            self.context
                .metrics
                .baseline
                .record_output(batch.num_rows());
            return Ok(Some(batch));
        }
        Ok(None)
    }

    /// The next rows, no more than a batch of them.
    async fn chunk(&mut self) -> Result<Option<SiteRows>> {
        loop {
            if let Some(rows) = self.pending.pop_front() {
                return Ok(Some(rows));
            }
            let Some(rows) = self.source.next().await? else {
                return Ok(None);
            };
            let rows = self.dynamic.rows(rows)?;
            let size = self.context.batch_size;
            let readers = [self.genotypes.as_ref(), None];
            self.pending = chunks(rows, readers, &self.blocks, size).await?;
        }
    }

    async fn build(&mut self, rows: SiteRows) -> Result<RecordBatch> {
        let members = if self.needs.recount {
            Some(self.members(&rows).await?)
        } else {
            None
        };
        let timer = self.context.metrics.baseline.elapsed_compute().timer();
        let counts = match &members {
            _ if self.needs.counts == [false; 5] => None,
            Some(members) => Some(Counts::visible(members)?),
            None => Some(Counts::stored(&rows, self.needs.counts)?),
        };
        let keep = match &self.last {
            Some(last) => Some(last.evaluate(&rows, counts.as_ref(), &self.masked)?),
            None => None,
        };
        let (rows, counts, places) = kept(rows, counts, keep)?;
        timer.done();
        if rows.len() == 0 {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        let cells = match (self.needs.cells, members) {
            (false, _) => None,
            (true, Some(members)) => Some(self.cells(&members, &places, &rows)?),
            (true, None) => {
                let members = self.members(&rows).await?;
                let places: Vec<usize> = (0..rows.len()).collect();
                Some(self.cells(&members, &places, &rows)?)
            }
        };
        let identity = rows.identity()?;
        let records = match self.needs.records {
            true => Some(record_ids(&rows)?),
            false => None,
        };
        let columns = SqlColumns {
            identity: &identity,
            counts: counts.as_ref(),
            cells: cells.as_ref(),
            records: records.as_ref(),
            masked: &self.masked,
        };
        columns.batch(&self.schema)
    }

    async fn members(&mut self, rows: &SiteRows) -> Result<Members> {
        Members::read(
            &self.context.view,
            rows,
            self.genotypes.as_ref(),
            &self.blocks,
        )
        .await
    }

    /// Column `gt` of `rows`, which are the variants at `places` among `members`.
    fn cells(&self, members: &Members, places: &[usize], rows: &SiteRows) -> Result<ArrayRef> {
        let _timer = self.context.metrics.baseline.elapsed_compute().timer();
        let view = &self.context.view;
        match &self.counted {
            Some(counted) => counted.column(view, members, places, rows),
            None => {
                let mut cells = CellBuilder::new(view, &self.blocks, self.samples.as_deref());
                cells.column(members, places.iter().copied())
            }
        }
    }
}

fn read_context(
    scan: &DatasetScanExec,
    stages: Stages,
    needs: Needs,
    batch_size: usize,
    metrics: ScanMetrics,
) -> Result<Arc<ReadContext>> {
    let (spec, view) = (&scan.spec, &scan.view);
    let merge = spec
        .partitions
        .iter()
        .flatten()
        .any(|u| u.merge || u.streams.len() > 1);
    let mut extra = Vec::new();
    if needs.cells || needs.recount {
        extra.extend(MEMBER_COLUMNS);
    }
    if needs.cells && merge {
        extra.push(ALT_INDEX);
    }
    if needs.records {
        extra.push("record");
    }
    let stored = STORED_COUNTS.into_iter().zip(needs.counts);
    let stored = stored.filter(|(_, needed)| needs.sums || (*needed && !needs.recount));
    extra.extend(stored.map(|(name, _)| name));
    let schema = read_schema(view, &spec.columns_needed(), extra, merge)?;
    let table = view.data.site.clone();
    let table = table.ok_or_else(|| Error::Plan("the dataset has no site table".into()));
    let unfiltered = stages.row.is_empty() && stages.last.is_empty();
    // A small LIMIT decodes a small batch.
    let batch_size = match spec.limit {
        Some(limit) if unfiltered => batch_size.min(limit.max(1)),
        _ => batch_size,
    };
    let table = if spec.partitions.iter().all(Vec::is_empty) {
        table.unwrap_or_else(|_| empty_table(view))
    } else {
        table?
    };
    Ok(Arc::new(ReadContext {
        view: Arc::clone(view),
        table,
        schema,
        key: stages.key,
        row: stages.row,
        batch_size,
        metrics,
        dynamic: scan.dynamic.clone(),
        allowance: Allowance::new(spec.limit),
    }))
}

impl Needs {
    fn of(spec: &ScanSpec, view: &DatasetView) -> Self {
        let needed = spec.columns_needed();
        let counts = counts_of(&needed);
        let masked = view.masked("variants");
        let cells = spec.columns.iter().any(|c| c == "gt") && !masked.contains("gt");
        let recount = counts != [false; 5] && !view.sees_all;
        Self {
            counts,
            cells,
            records: needed.contains(RECORDS_COLUMN),
            recount,
            sums: false,
        }
    }
}

/// What survives the last filter: rows, their counts, and their places before.
fn kept(
    rows: SiteRows,
    counts: Option<Counts>,
    keep: Option<BooleanArray>,
) -> Result<(SiteRows, Option<Counts>, Vec<usize>)> {
    let Some(keep) = keep else {
        let places = (0..rows.len()).collect();
        return Ok((rows, counts, places));
    };
    let places = keep
        .iter()
        .enumerate()
        .filter(|(_, k)| *k == Some(true))
        .map(|(i, _)| i);
    let places = places.collect();
    let counts = counts.map(|c| c.filter(&keep)).transpose()?;
    Ok((rows.filter(&keep)?, counts, places))
}

impl LastFilter {
    fn new(
        filters: &[Predicate],
        view: &DatasetView,
        masked: &BTreeSet<String>,
    ) -> Result<Option<Self>> {
        let mut names = BTreeSet::new();
        for filter in filters {
            filter.for_each_column(&mut |column| {
                names.insert(column.to_owned());
            });
        }
        let full = nullable_where_masked(&variants_schema(&view.data.state.info), masked);
        let fields = full.fields().iter().filter(|f| names.contains(f.name()));
        let schema = Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()));
        Ok(bind(filters, &schema)?.map(|expr| Self { expr, schema }))
    }

    fn evaluate(
        &self,
        rows: &SiteRows,
        counts: Option<&Counts>,
        masked: &BTreeSet<String>,
    ) -> Result<BooleanArray> {
        let identity = rows.identity()?;
        let columns = SqlColumns {
            identity: &identity,
            counts,
            cells: None,
            records: None,
            masked,
        };
        evaluate(&self.expr, &columns.batch(&self.schema)?)
    }
}

/// What is told of variants without their genotypes: filters judged, columns made.
pub(crate) struct SiteColumns {
    filter: Option<LastFilter>,
    schema: SchemaRef,
    /// Which of the [`STORED_COUNTS`].
    counts: [bool; 5],
    masked: BTreeSet<String>,
}

impl SiteColumns {
    /// Columns and filters that need no genotypes: not `gt`, and counts only of those who see every sample.
    pub(crate) fn new(
        columns: &[String],
        filters: &[Predicate],
        view: &DatasetView,
    ) -> Result<Self> {
        let masked = view.masked("variants");
        let all = sql_schema(ScanKind::Variants, view);
        let places = columns.iter().map(|name| Ok(all.index_of(name)?));
        let places = places.collect::<Result<Vec<_>>>()?;
        let mut needed: BTreeSet<&str> = columns.iter().map(String::as_str).collect();
        filters.iter().for_each(|f| f.collect_columns(&mut needed));
        Ok(Self {
            filter: LastFilter::new(filters, view, &masked)?,
            schema: Arc::new(all.project(&places)?),
            counts: counts_of(&needed),
            masked,
        })
    }

    /// The variants that satisfy the filters; `None` without filters.
    pub(crate) fn keep(&self, rows: &SiteRows) -> Result<Option<BooleanArray>> {
        let Some(filter) = &self.filter else {
            return Ok(None);
        };
        let counts = Counts::stored(rows, self.counts)?;
        filter.evaluate(rows, Some(&counts), &self.masked).map(Some)
    }

    /// The columns.
    pub(crate) fn batch(&self, rows: &SiteRows) -> Result<RecordBatch> {
        let counts = Counts::stored(rows, self.counts)?;
        let columns = SqlColumns {
            identity: &rows.identity()?,
            counts: Some(&counts),
            cells: None,
            records: None,
            masked: &self.masked,
        };
        columns.batch(&self.schema)
    }
}

/// The counts of site rows that some columns are made of.
pub(crate) fn stored_counts(needed: &BTreeSet<&str>) -> impl Iterator<Item = &'static str> {
    let stored = STORED_COUNTS.into_iter().zip(counts_of(needed));
    stored.filter_map(|(name, needed)| needed.then_some(name))
}

/// Which of the [`STORED_COUNTS`] some columns are made of.
fn counts_of(needed: &BTreeSet<&str>) -> [bool; 5] {
    let of_af = needed.contains("af");
    STORED_COUNTS.map(|name| needed.contains(name) || (of_af && matches!(name, "ac" | "an")))
}

/// The counted columns of a batch, those that are needed, in the order of [`STORED_COUNTS`].
struct Counts([Option<Int32Array>; 5]);

impl Counts {
    /// Counts over all samples, as the site rows hold them.
    fn stored(rows: &SiteRows, needed: [bool; 5]) -> Result<Self> {
        let mut columns = [const { None }; 5];
        for ((column, name), needed) in columns.iter_mut().zip(STORED_COUNTS).zip(needed) {
            if needed {
                *column = Some(rows.sums(name)?);
            }
        }
        Ok(Self(columns))
    }

    /// Counts over the visible samples, from their genotypes.
    fn visible(members: &Members) -> Result<Self> {
        let counts = members.visible_counts()?;
        let column = |value: fn(&AlleleCounts) -> i32| Some(counts.iter().map(value).collect());
        Ok(Self([
            column(|c| c.ac),
            column(|c| c.an),
            column(|c| c.n_het),
            column(|c| c.n_hom_alt),
            column(|c| c.n_missing),
        ]))
    }

    fn filter(&self, keep: &BooleanArray) -> Result<Self> {
        let mut kept = [const { None }; 5];
        for (to, from) in kept.iter_mut().zip(&self.0) {
            if let Some(array) = from {
                *to = Some(filter(array, keep)?.as_primitive().clone());
            }
        }
        Ok(Self(kept))
    }

    /// The column of this name; `None` for one that is not counted.
    fn column(&self, name: &str) -> Option<ArrayRef> {
        if name == "af" {
            return Some(Arc::new(self.frequencies()?));
        }
        let place = STORED_COUNTS.iter().position(|stored| *stored == name)?;
        let counted = self.0[place].clone()?;
        Some(Arc::new(counted))
    }

    /// `ac / an`; NULL when no allele is called.
    fn frequencies(&self) -> Option<Float64Array> {
        let [Some(ac), Some(an), ..] = &self.0 else {
            return None;
        };
        let pairs = ac.values().iter().zip(an.values());
        let frequency = |(&ac, &an): (&i32, &i32)| (an > 0).then(|| f64::from(ac) / f64::from(an));
        Some(pairs.map(frequency).collect())
    }
}

/// The records that the rows of each variant stand in.
fn record_ids(rows: &SiteRows) -> Result<ArrayRef> {
    let ids = rows.column("record")?.as_primitive::<Int64Type>();
    let mut lists = ListBuilder::new(Int64Builder::new());
    for group in 0..rows.len() {
        let members = rows.members(group).map(|row| Some(ids.value(row)));
        lists.append_value(members);
    }
    Ok(Arc::new(lists.finish()))
}

/// SQL columns of some variants.
struct SqlColumns<'a> {
    identity: &'a RecordBatch,
    counts: Option<&'a Counts>,
    cells: Option<&'a ArrayRef>,
    records: Option<&'a ArrayRef>,
    masked: &'a BTreeSet<String>,
}

impl SqlColumns<'_> {
    fn batch(&self, schema: &SchemaRef) -> Result<RecordBatch> {
        let columns = schema
            .fields()
            .iter()
            .map(|f| self.column(f))
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.identity.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(schema),
            columns,
            &options,
        )?)
    }

    fn column(&self, field: &Field) -> Result<ArrayRef> {
        let name = field.name();
        if self.masked.contains(name) {
            return Ok(new_null_array(field.data_type(), self.identity.num_rows()));
        }
        if name == "gt" {
            return self
                .cells
                .cloned()
                .ok_or_else(|| Error::Internal("genotype cells were not made".into()));
        }
        if name == RECORDS_COLUMN {
            return self
                .records
                .cloned()
                .ok_or_else(|| Error::Internal("record ids were not made".into()));
        }
        if let Some(counted) = self.counts.and_then(|counts| counts.column(name)) {
            return Ok(counted);
        }
        let stored = column(self.identity, name)?.slice(0, self.identity.num_rows());
        if stored.data_type() == field.data_type() {
            return Ok(stored);
        }
        debug_assert!(!matches!(field.data_type(), DataType::Null));
        Ok(arrow::compute::cast(&stored, field.data_type())?)
    }
}
