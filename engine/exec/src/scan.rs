//! The scan of `variants`, `calls` and `carriers`: one plan node, with what makes its rows told apart by the spec.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as DfResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    SortOrderPushdownResult,
};
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use genokura_core::codec::counted::COHORTS_MAX;
use genokura_core::schema::site_schema;
use tokio::sync::OnceCell;

use crate::call_join::{fields_beside, places};
use crate::calls::CallRows;
use crate::choice::Choice;
use crate::dataset::DatasetView;
use crate::dynamic::DynamicFilters;
use crate::error::{Error, Result};
use crate::lanes::{cut, lone_part};
use crate::metrics::{ScanMetrics, report_pruned};
use crate::predicate::Predicate;
use crate::source::{MERGE_COLUMNS, ReadContext};
use crate::spec::{FilePart, GtOf, ScanKind, ScanSpec, Unit};
use crate::table::sql_schema;
use crate::variants::{VariantRows, gt_blocks, reads_genotypes};

/// Reads a table of a dataset.
#[derive(Clone, Debug)]
pub struct DatasetScanExec {
    pub(crate) spec: Arc<ScanSpec>,
    pub(crate) view: Arc<DatasetView>,
    maker: Maker,
    pub(crate) dynamic: DynamicFilters,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// The partitions with places that are not cut, once they are known.
    whole: Arc<OnceCell<Vec<Vec<Unit>>>>,
}

/// What makes the rows.
#[derive(Clone, Debug)]
enum Maker {
    Variants,
    Calls(Arc<Choice>),
}

/// Makes the rows of units of work.
struct RowsOf {
    scan: DatasetScanExec,
    batch_size: usize,
    metrics: ScanMetrics,
}

impl RowsOf {
    fn stream(&self, units: Vec<Unit>) -> DfResult<SendableRecordBatchStream> {
        let (size, metrics) = (self.batch_size, self.metrics.clone());
        let schema = self.scan.schema();
        Ok(match &self.scan.maker {
            Maker::Variants => {
                let rows = VariantRows::new(&self.scan, units, size, metrics)?;
                let stream = stream::try_unfold(rows, |mut rows| async move {
                    Ok(rows.next().await?.map(|batch| (batch, rows)))
                });
                Box::pin(RecordBatchStreamAdapter::new(schema, stream))
            }
            Maker::Calls(choice) => {
                let mut units = units;
                if self.scan.is_backward() {
                    units = backward(units, size);
                }
                let rows = CallRows::new(&self.scan, choice, units, size, metrics)?;
                let stream = stream::try_unfold(rows, |mut rows| async move {
                    Ok(rows.next().await?.map(|batch| (batch, rows)))
                });
                Box::pin(RecordBatchStreamAdapter::new(schema, stream))
            }
        })
    }

    /// What the readers of a partition share.
    fn context(&self) -> Result<Arc<ReadContext>> {
        Ok(match &self.scan.maker {
            Maker::Variants => VariantRows::new(
                &self.scan,
                Vec::new(),
                self.batch_size,
                self.metrics.clone(),
            )?
            .into_context(),
            Maker::Calls(choice) => {
                let metrics = self.metrics.clone();
                CallRows::new(&self.scan, choice, Vec::new(), self.batch_size, metrics)?
                    .into_context()
            }
        })
    }

    /// The rows of a partition of calls that are joined with their variants.
    async fn joined(self, partition: usize) -> DfResult<SendableRecordBatchStream> {
        let units = self.scan.units(&*self.context()?, partition).await?;
        self.stream(units)
    }

    /// The rows of a stretch, read by several tasks: one after the other, all but the first ahead of time.
    async fn in_lanes(
        self,
        part: &FilePart,
        lanes: usize,
    ) -> DfResult<impl Stream<Item = DfResult<RecordBatch>> + use<>> {
        let context = self.context()?;
        let mut lanes = cut(&context, part, lanes).await?;
        if self.scan.spec.variants.is_some() {
            lanes = places::whole(&context, lanes).await?;
        }
        if self.scan.is_backward() {
            lanes.reverse();
        }
        let mut streams = Vec::new();
        for (lane, units) in lanes.into_iter().enumerate() {
            let rows = self.stream(units)?;
            streams.push(match lane {
                0 => rows,
                _ => spawn_buffered(rows, LANE_BATCHES),
            });
        }
        Ok(stream::iter(streams).flatten())
    }
}

/// The units from the last to the first, each of at most `rows` rows where nothing is merged: within a unit rows are
/// read as they lie, and a long one would begin with its least wanted rows.
fn backward(units: Vec<Unit>, rows: usize) -> Vec<Unit> {
    let mut short = Vec::new();
    for unit in units {
        let [parts] = unit.streams.as_slice() else {
            short.push(unit);
            continue;
        };
        if unit.merge {
            short.push(unit);
            continue;
        }
        for part in parts {
            for &(group, first, end) in &part.row_groups {
                let starts = (first..end).step_by(rows.max(1));
                short.extend(starts.map(|start| Unit {
                    streams: vec![vec![FilePart {
                        file: part.file,
                        row_groups: vec![(group, start, end.min(start + rows.max(1)))],
                    }]],
                    merge: false,
                    positions: unit.positions,
                }));
            }
        }
    }
    short.reverse();
    short
}

/// Batches that a lane reads ahead.
const LANE_BATCHES: usize = 2;

impl DatasetScanExec {
    pub(crate) fn new(spec: ScanSpec, view: Arc<DatasetView>) -> Result<Self> {
        let schema = output_schema(&spec, &view)?;
        let metrics = ExecutionPlanMetricsSet::new();
        report_pruned(&metrics, &spec.pruned);
        let maker = match spec.kind {
            ScanKind::Variants | ScanKind::Records => Maker::Variants,
            ScanKind::Calls(_) => Maker::Calls(Arc::new(Choice::of(&spec, &view)?)),
        };
        Ok(Self {
            properties: scan_properties(&spec, &schema),
            spec: Arc::new(spec),
            view,
            maker,
            dynamic: DynamicFilters::default(),
            metrics,
            whole: Arc::default(),
        })
    }

    /// The scan as plain data; see [`ScanSpec::to_bytes`].
    pub fn spec(&self) -> &ScanSpec {
        &self.spec
    }

    /// The same scan with a column `gt` that need not tell of anybody but `samples`; `None` when a sample is not
    /// known, or when nothing would be left out.
    ///
    /// Functions of genotypes that name samples give the same answers on it.
    #[must_use]
    pub fn with_gt_of(&self, samples: &BTreeSet<String>) -> Option<Self> {
        let view = &self.view;
        let known = |name: &String| view.knows(name);
        let spec = &self.spec;
        let counts = VariantRows::recounts(spec, view);
        let usable = matches!(self.maker, Maker::Variants)
            && spec.gt == GtOf::All
            && !counts
            && samples.iter().all(known);
        if !usable {
            return None;
        }
        let mut spec = ScanSpec::clone(spec);
        spec.gt = GtOf::Samples(samples.iter().cloned().collect());
        let narrowed = gt_blocks(&spec, view).iter().any(|wanted| !wanted);
        narrowed.then(|| Self {
            spec: Arc::new(spec),
            ..self.clone()
        })
    }

    /// The same scan with a column `gt` that holds counts over these cohorts, each a set of names or everybody, and
    /// no genotypes; `None` when a sample is not known.
    ///
    /// Only functions that ask for [`genokura_core::codec::counted`] cells of these cohorts may read it.
    #[must_use]
    pub fn with_counts_of(&self, cohorts: &BTreeSet<Option<BTreeSet<String>>>) -> Option<Self> {
        let view = &self.view;
        let known = |name: &String| view.knows(name);
        let usable = matches!(self.maker, Maker::Variants)
            && self.spec.gt == GtOf::All
            && (1..=COHORTS_MAX).contains(&cohorts.len())
            && cohorts.iter().flatten().flatten().all(known);
        usable.then(|| {
            let names = |cohort: &Option<BTreeSet<String>>| {
                let cohort = cohort.as_ref();
                cohort.map(|names| names.iter().cloned().collect())
            };
            let mut spec = ScanSpec::clone(&self.spec);
            spec.gt = GtOf::Counts(cohorts.iter().map(names).collect());
            Self {
                spec: Arc::new(spec),
                ..self.clone()
            }
        })
    }

    /// Which calls rows are made of; `None` for a scan of variants.
    pub(crate) fn choice(&self) -> Option<&Arc<Choice>> {
        match &self.maker {
            Maker::Variants => None,
            Maker::Calls(choice) => Some(choice),
        }
    }

    /// Later variants come first. Joined with variants they cannot: rows of one place must follow one another.
    pub(crate) fn is_backward(&self) -> bool {
        self.spec.backward && self.spec.variants.is_none()
    }

    /// Whether the first rows of an order are found sooner when calls are read from the end of the genome.
    fn is_wanted_backward(&self, order: &[PhysicalSortExpr]) -> bool {
        let masked = self.view.masked(table_name(self.spec.kind));
        let of_one = one_contig(&self.spec.filters);
        let name = |sort: &PhysicalSortExpr| {
            let column = sort.expr.downcast_ref::<Column>()?;
            Some((column.name().to_owned(), sort.options.descending))
        };
        let mut named = order.iter().map(name);
        let first = named.find(|name| {
            let is_same = name.as_ref().is_some_and(|(name, _)| name == "contig");
            !(of_one && is_same)
        });
        matches!(first, Some(Some((name, true)))
            if ["contig", "pos"].contains(&name.as_str()) && !masked.contains(&name))
    }

    /// What EXPLAIN tells of a node `name` that reads as this scan does.
    pub(crate) fn write_spec(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        genotypes: bool,
    ) -> fmt::Result {
        write_spec(f, name, &self.spec, genotypes)
    }

    /// What EXPLAIN tells of the variants that calls are joined with.
    pub(crate) fn write_variants(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(side) = &self.spec.variants else {
            return Ok(());
        };
        let filters: Vec<String> = side.filters.iter().map(ToString::to_string).collect();
        write!(f, ", joined with variants=[{}]", filters.join(", "))?;
        write!(f, ", variant_columns=[{}]", side.columns.join(", "))
    }

    /// The work of a partition. Rows of one place stay together where calls are joined with their variants.
    ///
    /// # Errors
    /// What reading the site table fails with.
    pub(crate) async fn units(&self, context: &ReadContext, partition: usize) -> Result<Vec<Unit>> {
        let planned = &self.spec.partitions;
        if self.spec.variants.is_none() || planned.len() < 2 {
            return Ok(planned.get(partition).cloned().unwrap_or_default());
        }
        let whole = || places::whole(context, planned.clone());
        let partitions = self.whole.get_or_try_init(whole).await?;
        Ok(partitions.get(partition).cloned().unwrap_or_default())
    }

    /// Rows of a partition or of all; exact without filters, limit and merging.
    fn rows(&self, partition: Option<usize>) -> Precision<usize> {
        match &self.maker {
            Maker::Variants => self.variants(partition),
            Maker::Calls(choice) => self.calls(choice.n_samples()),
        }
    }

    /// At most every variant for every chosen sample.
    fn calls(&self, samples: u64) -> Precision<usize> {
        let rows = self.spec.pruned.rows.saturating_mul(samples);
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        Precision::Inexact(self.spec.limit.map_or(rows, |limit| limit.min(rows)))
    }

    fn variants(&self, partition: Option<usize>) -> Precision<usize> {
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

impl DisplayAs for DatasetScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let genotypes = match &self.maker {
            Maker::Variants => reads_genotypes(&self.spec, &self.view),
            Maker::Calls(choice) => choice.reads_genotypes(),
        };
        self.write_spec(f, self.name(), genotypes)?;
        if !self.dynamic.is_empty() {
            write!(f, ", dynamic filters")?;
        }
        match &self.maker {
            Maker::Variants if self.spec.gt != GtOf::All => {
                if let GtOf::Counts(cohorts) = &self.spec.gt {
                    let plural = if cohorts.len() == 1 { "" } else { "s" };
                    write!(f, ", gt=counts of {} cohort{plural}", cohorts.len())?;
                }
                // In how many blocks people lie tells of the hidden ones among them.
                if !self.view.sees_all {
                    return Ok(());
                }
                let blocks = gt_blocks(&self.spec, &self.view);
                let wanted = blocks.iter().filter(|wanted| **wanted).count();
                write!(f, ", gt_blocks={wanted}/{}", blocks.len())
            }
            Maker::Variants => Ok(()),
            Maker::Calls(choice) => {
                write!(f, ", table={}, {choice}", table_name(self.spec.kind))?;
                self.write_variants(f)
            }
        }
    }
}

impl ExecutionPlan for DatasetScanExec {
    fn name(&self) -> &'static str {
        match self.maker {
            Maker::Variants => "VariantScanExec",
            Maker::Calls(_) => "CallScanExec",
        }
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    /// A join fills its dynamic filter only when it finds somebody here who reads it.
    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        for filter in self.dynamic.iter() {
            if f(filter)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
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
        let rows_of = RowsOf {
            scan: self.clone(),
            batch_size: context.session_config().batch_size(),
            metrics: ScanMetrics::new(&self.metrics, partition),
        };
        let lanes = context.session_config().target_partitions();
        let Some(part) = lone_part(&self.spec).filter(|_| lanes > 1) else {
            if self.spec.variants.is_none() {
                let units = self.spec.partitions.get(partition).cloned();
                return rows_of.stream(units.unwrap_or_default());
            }
            let rows = stream::once(rows_of.joined(partition)).try_flatten();
            return Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)));
        };
        let part = part.clone();
        let streams = stream::once(async move { rows_of.in_lanes(&part, lanes).await });
        let rows = streams.try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
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

    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> DfResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let mut dynamic = self.dynamic.clone();
        let masked = self.view.masked(table_name(self.spec.kind));
        let mut taken = false;
        for filter in &result.parent_filters {
            // Rows that are one allele may end elsewhere, and are joined all the same.
            let joined = self.spec.variants.is_some();
            let is_closed = |name: &str| masked.contains(name) || (joined && name == "end_pos");
            taken |= dynamic.take(&filter.filter, self.spec.kind, is_closed);
        }
        // Hints only: whoever made a filter judges every row all the same.
        let answer = FilterPushdownPropagation::all_unsupported(result);
        Ok(match taken {
            true => answer.with_updated_node(Arc::new(Self {
                dynamic,
                ..self.clone()
            })),
            false => answer,
        })
    }

    /// Calls in falling order of positions are read from the end of the genome, so that a top-k above soon knows which
    /// variants it wants. They are sorted all the same.
    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> DfResult<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        let calls = self.choice().is_some() && self.spec.variants.is_none();
        if !calls || self.spec.limit.is_some() || !self.is_wanted_backward(order) {
            return Ok(SortOrderPushdownResult::Unsupported);
        }
        let mut spec = ScanSpec::clone(&self.spec);
        spec.backward = true;
        Ok(SortOrderPushdownResult::Inexact {
            inner: Arc::new(Self {
                properties: scan_properties(&spec, &self.schema()),
                spec: Arc::new(spec),
                ..self.clone()
            }),
        })
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

/// Fields of the named columns, then those of the variants that calls are joined with.
fn output_schema(spec: &ScanSpec, view: &DatasetView) -> Result<SchemaRef> {
    let full = sql_schema(spec.kind, view);
    let place = |name: &String| {
        full.index_of(name)
            .map_err(|_| Error::Plan(format!("column {name} does not exist")))
    };
    let places = spec.columns.iter().map(place);
    let own = full.project(&places.collect::<Result<Vec<_>>>()?)?;
    let Some(side) = &spec.variants else {
        return Ok(Arc::new(own));
    };
    let mut fields: Vec<FieldRef> = own.fields().iter().cloned().collect();
    fields.extend(fields_beside(side, view)?);
    Ok(Arc::new(Schema::new(fields)))
}

/// Partitions, and the order of positions where the rows are of one contig.
fn scan_properties(spec: &ScanSpec, schema: &SchemaRef) -> Arc<PlanProperties> {
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
        && !spec.backward
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
        ScanKind::Variants | ScanKind::Records => "variants",
        ScanKind::Calls(crate::spec::CallKind::Calls) => "calls",
        ScanKind::Calls(crate::spec::CallKind::Carriers) => "carriers",
    }
}

fn one_contig(filters: &[Predicate]) -> bool {
    filters.iter().any(|filter| match filter {
        Predicate::And(parts) => one_contig(parts),
        filter => filter.contig().is_some(),
    })
}

/// What EXPLAIN tells of every scan.
fn write_spec(
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
    if spec.backward {
        write!(f, ", from the end")?;
    }
    if let Some(limit) = spec.limit {
        write!(f, ", limit={limit}")?;
    }
    Ok(())
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
