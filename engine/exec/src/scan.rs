//! The scan of `variants`: site rows, counts over the visible samples, genotype cells.
//!
//! Order of work per batch: site rows are read and filtered, counts are made (from the site row when every sample
//! is visible, else from the genotypes), filters on counts are applied, and only for what survives are genotype
//! blobs fetched and cells made.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int32Array, RecordBatch, RecordBatchOptions,
    new_null_array,
};
use arrow::compute::{SortOptions, filter};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as DfResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::stream;
use genokura_core::codec::AlleleCounts;
use genokura_core::schema::{site_schema, variants_schema};

use crate::blobs::BlobReader;
use crate::cells::CellBuilder;
use crate::dataset::DatasetView;
use crate::error::{Error, Result};
use crate::members::{MEMBER_COLUMNS, Members};
use crate::metrics::{ScanMetrics, report_pruned};
use crate::predicate::{Comparison, Literal, Predicate};
use crate::pruning::bind;
use crate::source::{MERGE_COLUMNS, ReadContext, SiteRows, SiteSource, column, evaluate};
use crate::spec::{ScanKind, ScanSpec};
use crate::table::{Stages, nullable_where_masked};

/// The columns that are counted.
const COUNTS: [&str; 6] = ["ac", "an", "af", "n_het", "n_hom_alt", "n_missing"];
/// Bytes of decoded genotypes of a batch, at two bits a sample.
const BATCH_BLOB_BYTES: usize = 32 << 20;
/// Variants of a batch with genotypes at least.
const BATCH_ROWS_MIN: usize = 64;

/// Reads `variants`.
#[derive(Clone, Debug)]
pub struct VariantScanExec {
    spec: Arc<ScanSpec>,
    view: Arc<DatasetView>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl VariantScanExec {
    pub(crate) fn new(spec: ScanSpec, view: Arc<DatasetView>) -> Result<Self> {
        let full = variants_schema(&view.data.state.info);
        let full = nullable_where_masked(&full, &view.masked("variants"));
        let schema = output_schema(&full, &spec.columns)?;
        let metrics = ExecutionPlanMetricsSet::new();
        report_pruned(&metrics, &spec.pruned);
        let properties = scan_properties(&spec, &schema);
        Ok(Self {
            spec: Arc::new(spec),
            view,
            properties,
            metrics,
        })
    }

    /// The scan as plain data; see [`ScanSpec::to_bytes`].
    pub fn spec(&self) -> &ScanSpec {
        &self.spec
    }

    /// True when genotype blobs are read.
    fn reads_genotypes(&self) -> bool {
        let needed = self.spec.columns_needed();
        let counted = COUNTS.iter().any(|c| needed.contains(c));
        self.spec.columns.iter().any(|c| c == "gt") || (counted && !self.view.sees_all)
    }
}

/// Fields of the named columns.
pub(crate) fn output_schema(full: &SchemaRef, columns: &[String]) -> Result<SchemaRef> {
    let place = |name: &String| {
        full.index_of(name)
            .map_err(|_| Error::Plan(format!("column {name} does not exist")))
    };
    let places = columns.iter().map(place).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(full.project(&places)?))
}

/// Partitions, and the order of positions where the rows are of one contig.
pub(crate) fn scan_properties(spec: &ScanSpec, schema: &SchemaRef) -> Arc<PlanProperties> {
    let mut orderings: Vec<Vec<PhysicalSortExpr>> = Vec::new();
    let sort = |name: &str| {
        let place = schema.index_of(name).ok()?;
        let expr: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, place));
        Some(PhysicalSortExpr {
            expr,
            options: SortOptions::default(),
        })
    };
    let masked = spec
        .access
        .masked(&spec.dataset, table_name(spec.kind))
        .collect::<Vec<_>>();
    let hidden = |name: &str| masked.contains(&name);
    if one_contig(&spec.filters)
        && !hidden("pos")
        && !hidden("contig")
        && let Some(pos) = sort("pos")
    {
        orderings.push(vec![pos.clone()]);
        orderings.extend(sort("contig").map(|contig| vec![contig, pos]));
    }
    let equivalence = EquivalenceProperties::new_with_orderings(Arc::clone(schema), orderings);
    let partitions = Partitioning::UnknownPartitioning(spec.partitions.len().max(1));
    let properties = PlanProperties::new(
        equivalence,
        partitions,
        EmissionType::Incremental,
        Boundedness::Bounded,
    );
    Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative))
}

/// The name under which SQL knows the table of a scan.
pub(crate) fn table_name(kind: ScanKind) -> &'static str {
    match kind {
        ScanKind::Variants => "variants",
        ScanKind::Calls(crate::spec::CallKind::Calls) => "calls",
        ScanKind::Calls(crate::spec::CallKind::Carriers) => "carriers",
    }
}

fn one_contig(filters: &[Predicate]) -> bool {
    filters.iter().any(|filter| match filter {
        Predicate::Compare {
            column,
            op: Comparison::Eq,
            value: Literal::Text(_),
        } => column == "contig",
        Predicate::And(parts) => one_contig(parts),
        _ => false,
    })
}

/// What EXPLAIN tells of every scan.
pub(crate) fn write_spec(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    spec: &ScanSpec,
    genotypes: bool,
) -> fmt::Result {
    let pruned = &spec.pruned;
    let filters: Vec<String> = spec.filters.iter().map(ToString::to_string).collect();
    write!(f, "{name}: dataset={}", spec.dataset)?;
    write!(f, ", partitions={}/{}", pruned.bins, pruned.bins_total)?;
    write!(f, ", files={}/{}", pruned.files, pruned.files_total)?;
    write!(
        f,
        ", row_groups={}/{}",
        pruned.row_groups, pruned.row_groups_total
    )?;
    write!(f, ", columns=[{}]", spec.columns.join(", "))?;
    write!(f, ", filters=[{}]", filters.join(", "))?;
    write!(
        f,
        ", genotypes={}",
        if genotypes { "needed" } else { "skipped" }
    )?;
    if spec.partitions.iter().flatten().any(|unit| unit.merge) {
        write!(f, ", merge=batches")?;
    }
    if let Some(limit) = spec.limit {
        write!(f, ", limit={limit}")?;
    }
    Ok(())
}

impl DisplayAs for VariantScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_spec(f, "VariantScanExec", &self.spec, self.reads_genotypes())
    }
}

impl ExecutionPlan for VariantScanExec {
    fn name(&self) -> &'static str {
        "VariantScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        let metrics = ScanMetrics::new(&self.metrics, partition);
        let batch_size = context.session_config().batch_size();
        let rows = VariantRows::new(self, partition, batch_size, metrics)?;
        let stream = stream::try_unfold(rows, |mut rows| async move {
            Ok(rows.next().await?.map(|batch| (batch, rows)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            stream,
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _input_stats: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> DfResult<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        statistics.num_rows = self.rows(args.partition());
        Ok(Arc::new(statistics))
    }

    fn supports_limit_pushdown(&self) -> bool {
        false
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let mut spec = ScanSpec::clone(&self.spec);
        spec.limit = limit;
        Some(Arc::new(Self {
            spec: Arc::new(spec),
            ..self.clone()
        }))
    }

    fn fetch(&self) -> Option<usize> {
        self.spec.limit
    }
}

impl VariantScanExec {
    /// Rows of a partition or of all; exact without filters, limit and merging.
    fn rows(&self, partition: Option<usize>) -> Precision<usize> {
        let units = match partition {
            Some(partition) => self
                .spec
                .partitions
                .get(partition)
                .map_or(&[][..], Vec::as_slice),
            None => &[],
        };
        let of_units = units
            .iter()
            .flat_map(|u| &u.streams)
            .flatten()
            .map(|p| p.rows())
            .sum();
        let rows = match partition {
            Some(_) => of_units,
            None => usize::try_from(self.spec.pruned.rows).unwrap_or(usize::MAX),
        };
        let rows = self.spec.limit.map_or(rows, |limit| rows.min(limit));
        let exact = self.spec.filters.is_empty()
            && self.spec.pruned.rows_exact
            && (self.spec.limit.is_none() || self.spec.partitions.len() == 1);
        if exact {
            Precision::Exact(rows)
        } else {
            Precision::Inexact(rows)
        }
    }
}

/// Physical columns that a scan of these SQL columns reads.
pub(crate) fn read_schema(
    view: &DatasetView,
    sql_columns: &BTreeSet<&str>,
    extra: impl IntoIterator<Item = &'static str>,
    merge: bool,
) -> Result<SchemaRef> {
    let all = site_schema(&view.data.state.info);
    let mut wanted: BTreeSet<&str> = extra.into_iter().collect();
    wanted.extend(
        sql_columns
            .iter()
            .copied()
            .filter(|c| all.index_of(c).is_ok()),
    );
    if merge {
        wanted.extend(MERGE_COLUMNS);
    }
    let places = all
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, f)| wanted.contains(f.name().as_str()));
    Ok(Arc::new(
        all.project(&places.map(|(i, _)| i).collect::<Vec<_>>())?,
    ))
}

/// Batches of one partition.
struct VariantRows {
    context: Arc<ReadContext>,
    source: SiteSource,
    schema: SchemaRef,
    last: Option<LastFilter>,
    masked: BTreeSet<String>,
    genotypes: Option<BlobReader>,
    /// Blocks of which genotypes are read.
    blocks: Vec<bool>,
    needs: Needs,
    pending: VecDeque<SiteRows>,
    remaining: usize,
}

/// What a batch needs beside columns of the site table.
#[derive(Clone, Copy)]
struct Needs {
    counts: bool,
    cells: bool,
    /// Counts are made from genotypes.
    recount: bool,
    chunk_rows: usize,
}

/// Filters that see what the access context leaves.
struct LastFilter {
    expr: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
}

impl VariantRows {
    fn new(
        scan: &VariantScanExec,
        partition: usize,
        batch_size: usize,
        metrics: ScanMetrics,
    ) -> Result<Self> {
        let (spec, view) = (&scan.spec, &scan.view);
        let units = spec.partitions.get(partition).cloned().unwrap_or_default();
        let masked = view.masked("variants");
        let stages = Stages::of_variants(&spec.filters, &masked);
        let needs = Needs::of(spec, view, batch_size);
        let last = LastFilter::new(&stages.last, view, &masked)?;
        let context = read_context(spec, view, stages, needs, batch_size, metrics)?;
        let blocks = view.blocks.iter().map(|b| b.ordinal.is_some()).collect();
        let reads = needs.cells || (needs.counts && needs.recount);
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
            needs,
            pending: VecDeque::new(),
            remaining: spec.limit.unwrap_or(usize::MAX),
            context,
        })
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>> {
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
            let size = self.needs.chunk_rows;
            for start in (0..rows.len()).step_by(size) {
                self.pending
                    .push_back(rows.slice(start, size.min(rows.len() - start)));
            }
        }
    }

    async fn build(&mut self, rows: SiteRows) -> Result<RecordBatch> {
        let recount = self.needs.counts && self.needs.recount;
        let members = if recount {
            Some(self.members(&rows).await?)
        } else {
            None
        };
        let timer = self.context.metrics.baseline.elapsed_compute().timer();
        let counts = match &members {
            _ if !self.needs.counts => None,
            Some(members) => Some(Counts::visible(members, rows.len())?),
            None => Some(Counts::stored(&rows)?),
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
            (true, Some(members)) => Some(self.cells(&members, &places)?),
            (true, None) => {
                let members = self.members(&rows).await?;
                let places: Vec<usize> = (0..rows.len()).collect();
                Some(self.cells(&members, &places)?)
            }
        };
        let identity = rows.identity()?;
        let columns = SqlColumns {
            identity: &identity,
            counts: counts.as_ref(),
            cells: cells.as_ref(),
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

    fn cells(&self, members: &Members, groups: &[usize]) -> Result<ArrayRef> {
        let _timer = self.context.metrics.baseline.elapsed_compute().timer();
        CellBuilder::new(&self.context.view).column(members, groups.iter().copied())
    }
}

fn read_context(
    spec: &ScanSpec,
    view: &Arc<DatasetView>,
    stages: Stages,
    needs: Needs,
    batch_size: usize,
    metrics: ScanMetrics,
) -> Result<Arc<ReadContext>> {
    let merge = spec
        .partitions
        .iter()
        .flatten()
        .any(|u| u.merge || u.streams.len() > 1);
    let mut extra = Vec::new();
    if needs.cells || needs.recount {
        extra.extend(MEMBER_COLUMNS);
    }
    if needs.counts {
        extra.extend(["ac", "an", "n_het", "n_hom_alt", "n_missing"]);
    }
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
    }))
}

/// The site table of a dataset that has none: no files.
pub(crate) fn empty_table(view: &DatasetView) -> Arc<genokura_storage::TableSnapshot> {
    Arc::new(genokura_storage::TableSnapshot {
        id: genokura_storage::TableId::new(&view.data.name, "site"),
        delta_version: 0,
        schema: site_schema(&view.data.state.info),
        partition_columns: Vec::new(),
        files: Vec::new(),
    })
}

impl Needs {
    fn of(spec: &ScanSpec, view: &DatasetView, batch_size: usize) -> Self {
        let needed = spec.columns_needed();
        let counts = COUNTS.iter().any(|c| needed.contains(c));
        let masked = view.masked("variants");
        let cells = spec.columns.iter().any(|c| c == "gt") && !masked.contains("gt");
        let recount = counts && !view.sees_all;
        let samples: usize = view.blocks.iter().map(|b| b.n_samples as usize).sum();
        let by_bytes = BATCH_BLOB_BYTES / (samples / 4).max(1);
        let chunk_rows = if cells || recount {
            batch_size.min(by_bytes.max(BATCH_ROWS_MIN))
        } else {
            batch_size
        };
        Self {
            counts,
            cells,
            recount,
            chunk_rows: chunk_rows.max(1),
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
            masked,
        };
        evaluate(&self.expr, &columns.batch(&self.schema)?)
    }
}

/// The counted columns of a batch.
struct Counts {
    ac: Int32Array,
    an: Int32Array,
    n_het: Int32Array,
    n_hom_alt: Int32Array,
    n_missing: Int32Array,
}

impl Counts {
    /// Counts over all samples, as the site rows hold them.
    fn stored(rows: &SiteRows) -> Result<Self> {
        Ok(Self {
            ac: rows.sums("ac")?,
            an: rows.sums("an")?,
            n_het: rows.sums("n_het")?,
            n_hom_alt: rows.sums("n_hom_alt")?,
            n_missing: rows.sums("n_missing")?,
        })
    }

    /// Counts over the visible samples, from their genotypes.
    fn visible(members: &Members, groups: usize) -> Result<Self> {
        let counts: Vec<AlleleCounts> = (0..groups)
            .map(|group| members.visible_counts(group))
            .collect::<Result<_>>()?;
        let column = |value: fn(&AlleleCounts) -> i32| counts.iter().map(value).collect();
        Ok(Self {
            ac: column(|c| c.ac),
            an: column(|c| c.an),
            n_het: column(|c| c.n_het),
            n_hom_alt: column(|c| c.n_hom_alt),
            n_missing: column(|c| c.n_missing),
        })
    }

    fn filter(&self, keep: &BooleanArray) -> Result<Self> {
        let kept = |array: &Int32Array| -> Result<Int32Array> {
            Ok(arrow::array::AsArray::as_primitive(&filter(array, keep)?).clone())
        };
        Ok(Self {
            ac: kept(&self.ac)?,
            an: kept(&self.an)?,
            n_het: kept(&self.n_het)?,
            n_hom_alt: kept(&self.n_hom_alt)?,
            n_missing: kept(&self.n_missing)?,
        })
    }

    /// The column of this name; `None` for one that is not counted.
    fn column(&self, name: &str) -> Option<ArrayRef> {
        let ints = |array: &Int32Array| Some(Arc::new(array.clone()) as ArrayRef);
        match name {
            "ac" => ints(&self.ac),
            "an" => ints(&self.an),
            "n_het" => ints(&self.n_het),
            "n_hom_alt" => ints(&self.n_hom_alt),
            "n_missing" => ints(&self.n_missing),
            "af" => Some(Arc::new(self.frequencies())),
            _ => None,
        }
    }

    /// `ac / an`; NULL when no allele is called.
    fn frequencies(&self) -> Float64Array {
        let pairs = self.ac.values().iter().zip(self.an.values());
        pairs
            .map(|(&ac, &an)| (an > 0).then(|| f64::from(ac) / f64::from(an)))
            .collect()
    }
}

/// SQL columns of some variants.
struct SqlColumns<'a> {
    identity: &'a RecordBatch,
    counts: Option<&'a Counts>,
    cells: Option<&'a ArrayRef>,
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
