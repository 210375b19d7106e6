//! Rows of the site table: read, filtered early, and merged where several batches hold the same variant.
//!
//! # Merging
//! Streams are sorted by (contig, position). Everything before the *horizon*, the smallest last key among the
//! buffered batches, is complete: it is cut off, sorted by (contig, pos, ref, alt, end_pos, vid), and rows of one
//! variant form a *group*. Only the order of contigs and positions of a stream is relied on.
//! ```text
//!   stream 0   | 10 12 15 15 20 |            horizon = 17: 10 12 15 15 and 11 15 17< are sorted and given out,
//!   stream 1   | 11 15 17 |                  the 17 waits, because stream 1 may have more rows at 17
//! ```
//! Rows of a group are of different batches or inputs and have no sample in common. Where three rows of one variant
//! could pair in two ways, a row joins the first group, by lowest vid, that takes it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, AsArray, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use arrow::datatypes::{Int32Type, Int64Type, SchemaRef};
use datafusion::datasource::physical_plan::ParquetFileMetrics;
use datafusion::datasource::physical_plan::parquet::{
    PagePruningAccessPlanFilter, ParquetAccessPlan, RowGroupAccess,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use genokura_core::schema::site_schema;
use genokura_storage::{FileReader, ReadPlan, TableSnapshot};
use parquet::arrow::arrow_reader::{ArrowPredicateFn, RowFilter, RowSelection, RowSelector};

use crate::dataset::DatasetView;
use crate::dynamic::{DynamicFilters, DynamicPruner};
use crate::error::{Error, Result};
use crate::metrics::ScanMetrics;
use crate::predicate::{Comparison, Literal, Predicate};
use crate::pruning::bind;
use crate::spec::{FilePart, Unit};

/// Columns that merging reads beside those asked for.
pub(crate) const MERGE_COLUMNS: [&str; 9] = [
    "vid",
    "contig",
    "pos",
    "end_pos",
    "ref",
    "alt",
    "block_from",
    "block_to",
    "source",
];
/// Batches of merged streams are at least this many rows.
const MERGE_BATCH_ROWS_MIN: usize = 256;

/// What every reader of a scan shares.
pub(crate) struct ReadContext {
    pub(crate) view: Arc<DatasetView>,
    pub(crate) table: Arc<TableSnapshot>,
    /// Columns of the batches.
    pub(crate) schema: SchemaRef,
    /// Filters in which all rows of a variant agree.
    pub(crate) key: Vec<Predicate>,
    /// Filters on single rows.
    pub(crate) row: Vec<Predicate>,
    pub(crate) batch_size: usize,
    pub(crate) metrics: ScanMetrics,
    /// Filters on keys whose values become known while the scan runs.
    pub(crate) dynamic: DynamicFilters,
}

/// Rows of the site table, of which each group is one row of `variants`.
pub(crate) struct SiteRows {
    /// Member rows in the columns of [`ReadContext::schema`].
    pub(crate) batch: RecordBatch,
    /// Rows `start..end` of each group, the one with the lowest vid first; `None`: each row is a group.
    groups: Option<Vec<(u32, u32)>>,
}

impl SiteRows {
    /// Number of variants.
    pub(crate) fn len(&self) -> usize {
        self.groups.as_ref().map_or(self.batch.num_rows(), Vec::len)
    }

    /// Rows of one variant.
    pub(crate) fn members(&self, group: usize) -> Range<usize> {
        match &self.groups {
            None => group..group + 1,
            Some(groups) => groups
                .get(group)
                .map_or(0..0, |(start, end)| *start as usize..*end as usize),
        }
    }

    /// The first row of each variant, which gives its identity and record.
    pub(crate) fn identity(&self) -> Result<RecordBatch> {
        match &self.groups {
            None => Ok(self.batch.clone()),
            Some(groups) => {
                let first: UInt32Array = groups.iter().map(|(start, _)| *start).collect();
                Ok(take_record_batch(&self.batch, &first)?)
            }
        }
    }

    /// Sums an Int32 column over the rows of each variant.
    pub(crate) fn sums(&self, column: &str) -> Result<Int32Array> {
        let values = self.column(column)?.as_primitive::<Int32Type>();
        match &self.groups {
            None => Ok(values.clone()),
            Some(groups) => {
                let sum = |(start, end): &(u32, u32)| {
                    let rows = *start as usize..*end as usize;
                    rows.map(|row| values.value(row))
                        .fold(0i32, i32::saturating_add)
                };
                Ok(groups.iter().map(sum).collect::<Vec<_>>().into())
            }
        }
    }

    pub(crate) fn column(&self, name: &str) -> Result<&dyn Array> {
        column(&self.batch, name)
    }

    /// The variants for which `keep` is true; NULL is false.
    pub(crate) fn filter(self, keep: &BooleanArray) -> Result<Self> {
        if keep.true_count() == keep.len() {
            return Ok(self);
        }
        match self.groups {
            None => Ok(Self {
                batch: filter_record_batch(&self.batch, keep)?,
                groups: None,
            }),
            Some(groups) => {
                let kept = groups.into_iter().zip(keep.iter());
                let groups = kept
                    .filter(|(_, keep)| *keep == Some(true))
                    .map(|(group, _)| group)
                    .collect();
                Ok(Self {
                    batch: self.batch,
                    groups: Some(groups),
                })
            }
        }
    }

    /// `length` variants from `start` on.
    pub(crate) fn slice(&self, start: usize, length: usize) -> Self {
        match &self.groups {
            None => Self {
                batch: self.batch.slice(start, length),
                groups: None,
            },
            Some(groups) => {
                let groups = groups.iter().skip(start).take(length).copied().collect();
                Self {
                    batch: self.batch.clone(),
                    groups: Some(groups),
                }
            }
        }
    }
}

/// A column that the read schema has.
pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array> {
    batch
        .column_by_name(name)
        .map(AsRef::as_ref)
        .ok_or_else(|| Error::Internal(format!("column {name} was not read")))
}

/// Evaluates a predicate over a batch.
pub(crate) fn evaluate(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray> {
    let value = expr.evaluate(batch)?.into_array(batch.num_rows())?;
    value
        .as_boolean_opt()
        .cloned()
        .ok_or_else(|| Error::Internal(format!("filter {expr} is not boolean")))
}

/// The rows of one partition's units, in order.
pub(crate) struct SiteSource {
    context: Arc<ReadContext>,
    units: VecDeque<Unit>,
    current: Option<Current>,
}

enum Current {
    Straight(PartStream),
    Merge(Box<MergeStream>),
}

impl SiteSource {
    pub(crate) fn new(context: Arc<ReadContext>, units: Vec<Unit>) -> Self {
        Self {
            context,
            units: units.into(),
            current: None,
        }
    }

    /// The next rows, at least one; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<SiteRows>> {
        loop {
            let rows = match &mut self.current {
                Some(Current::Straight(stream)) => stream.next().await?.map(|batch| SiteRows {
                    batch,
                    groups: None,
                }),
                Some(Current::Merge(stream)) => stream.next().await?,
                None => None,
            };
            if rows.is_some() {
                return Ok(rows);
            }
            let Some(unit) = self.units.pop_front() else {
                return Ok(None);
            };
            self.current = Some(self.start(unit)?);
        }
    }

    fn start(&self, mut unit: Unit) -> Result<Current> {
        if !unit.merge && unit.streams.len() == 1 {
            let parts = unit.streams.pop().unwrap_or_default();
            let context = &self.context;
            let filters = context.key.iter().chain(&context.row).cloned().collect();
            let early = Arc::new(Early::new(context, filters)?);
            return Ok(Current::Straight(PartStream::new(
                context,
                early,
                parts,
                context.batch_size,
            )));
        }
        Ok(Current::Merge(Box::new(MergeStream::new(
            &self.context,
            unit,
        )?)))
    }
}

/// Filters that are applied while a file is read.
pub(crate) struct Early {
    filters: Vec<Predicate>,
    /// Over [`ReadContext::schema`].
    expr: Option<Arc<dyn PhysicalExpr>>,
    pub(crate) pages: Option<PagePruningAccessPlanFilter>,
}

impl Early {
    pub(crate) fn new(context: &ReadContext, filters: Vec<Predicate>) -> Result<Self> {
        let schema = site_schema(&context.view.data.state.info);
        let pages = bind(&filters, &schema)?
            .map(|expr| PagePruningAccessPlanFilter::new(&expr, Arc::clone(&schema)));
        Ok(Self {
            expr: bind(&filters, &context.schema)?,
            filters,
            pages,
        })
    }

    /// The filters as a predicate inside the Parquet reader; `None` when the file lacks a column.
    fn row_filter(&self, reader: &FileReader) -> Result<Option<RowFilter>> {
        let mut columns = HashSet::new();
        for filter in &self.filters {
            filter.for_each_column(&mut |column| {
                columns.insert(column.to_owned());
            });
        }
        let stored = reader.schema();
        let typed_alike = |name: &String| stored.field_with_name(name).is_ok();
        if self.filters.is_empty() || !columns.iter().all(typed_alike) {
            return Ok(None);
        }
        let mut places: Vec<usize> = columns
            .iter()
            .filter_map(|c| stored.index_of(c).ok())
            .collect();
        places.sort_unstable();
        let schema = Arc::new(stored.project(&places)?);
        let Some(expr) = bind(&self.filters, &schema)? else {
            return Ok(None);
        };
        let mask = reader.projection(columns.iter().map(String::as_str));
        let predicate = ArrowPredicateFn::new(mask, move |batch| {
            evaluate(&expr, &batch)
                .map_err(|e| arrow::error::ArrowError::ExternalError(Box::new(e)))
        });
        Ok(Some(RowFilter::new(vec![Box::new(predicate)])))
    }
}

/// The rows of parts of files, one part after the other.
struct PartStream {
    context: Arc<ReadContext>,
    early: Arc<Early>,
    parts: VecDeque<FilePart>,
    current: Option<OpenPart>,
    batch_size: usize,
}

struct OpenPart {
    stream: BoxStream<'static, genokura_storage::Result<RecordBatch>>,
    /// True when the filters are still to be applied.
    filter: bool,
}

impl PartStream {
    fn new(
        context: &Arc<ReadContext>,
        early: Arc<Early>,
        parts: Vec<FilePart>,
        batch_size: usize,
    ) -> Self {
        let context = Arc::clone(context);
        Self {
            context,
            early,
            parts: parts.into(),
            current: None,
            batch_size,
        }
    }

    /// The next batch, not empty; `None` at the end.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(open) = &mut self.current {
                match open.stream.next().await {
                    Some(batch) => {
                        let batch = self.filtered(batch?)?;
                        if batch.num_rows() > 0 {
                            return Ok(Some(batch));
                        }
                        tokio::task::yield_now().await;
                        continue;
                    }
                    None => self.current = None,
                }
            }
            let Some(part) = self.parts.pop_front() else {
                return Ok(None);
            };
            self.current = self.open(&part).await?;
        }
    }

    fn filtered(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let filter = self.current.as_ref().is_some_and(|open| open.filter);
        let rows = batch.num_rows();
        self.context.metrics.rows_read.add(rows);
        match &self.early.expr {
            Some(expr) if filter => {
                let keep = evaluate(expr, &batch)?;
                Ok(filter_record_batch(&batch, &keep)?)
            }
            _ => Ok(batch),
        }
    }

    /// Opens a part; `None` when the page index leaves nothing of it.
    async fn open(&mut self, part: &FilePart) -> Result<Option<OpenPart>> {
        let context = &self.context;
        let file =
            context.table.files.get(part.file).ok_or_else(|| {
                Error::Plan(format!("it names file {} of the site table", part.file))
            })?;
        let reader =
            FileReader::open_at(context.metrics.store(context.view.data.lake()), file).await?;
        let dynamic = context
            .dynamic
            .pruner(&site_schema(&context.view.data.state.info))?;
        let dynamic = dynamic.as_deref();
        let Some((row_groups, selection)) =
            select(&reader, part, &self.early, dynamic, &context.metrics)?
        else {
            return Ok(None);
        };
        let filter = self.early.row_filter(&reader)?;
        let applied = filter.is_some();
        let plan = ReadPlan {
            schema: Some(Arc::clone(&context.schema)),
            row_groups: Some(row_groups),
            selection,
            filter,
            batch_size: self.batch_size,
            limit: None,
        };
        Ok(Some(OpenPart {
            stream: reader.read(plan)?,
            filter: !applied,
        }))
    }
}

/// Row groups and rows of a part that the page index and the dynamic filters leave; `None` when they leave nothing.
fn select(
    reader: &FileReader,
    part: &FilePart,
    early: &Early,
    dynamic: Option<&DynamicPruner>,
    metrics: &ScanMetrics,
) -> Result<Option<(Vec<usize>, Option<RowSelection>)>> {
    let metadata = reader.metadata();
    let groups = metadata.row_groups();
    let mut access = ParquetAccessPlan::new_none(groups.len());
    for &(group, start, end) in &part.row_groups {
        let Some(meta) = groups.get(group) else {
            return Err(Error::Plan(format!(
                "it names row group {group} of a file without it"
            )));
        };
        let rows = usize::try_from(meta.num_rows()).unwrap_or_default();
        access.set(group, part_access(start, end, rows));
    }
    if let Some(pages) = &early.pages {
        let (pruned, matched);
        (access, pruned, matched) = prune_pages(pages, reader, access);
        metrics.pages_pruned.add(pruned);
        metrics.pages_total.add(pruned + matched);
    }
    if let Some(dynamic) = dynamic {
        let before = access.row_group_indexes().len();
        access = dynamic.prune(reader, access);
        let after = access.row_group_indexes().len();
        metrics.row_groups_pruned.add(before - after);
    }
    let kept = access.row_group_indexes();
    if kept.is_empty() {
        return Ok(None);
    }
    Ok(Some((kept, access.into_overall_row_selection(groups)?)))
}

/// What the page index leaves of some rows of a file, and how many pages it ruled out and left.
pub(crate) fn prune_pages(
    pages: &PagePruningAccessPlanFilter,
    reader: &FileReader,
    access: ParquetAccessPlan,
) -> (ParquetAccessPlan, usize, usize) {
    let metadata = reader.metadata();
    let scratch = ExecutionPlanMetricsSet::new();
    let counted = ParquetFileMetrics::new(0, "site", &scratch);
    let access = pages.prune_plan_with_page_index(
        access,
        reader.schema(),
        metadata.file_metadata().schema_descr(),
        metadata,
        &counted,
    );
    let pruned = &counted.page_index_pages_pruned;
    (access, pruned.pruned(), pruned.matched())
}

pub(crate) fn part_access(start: usize, end: usize, rows: usize) -> RowGroupAccess {
    let end = end.min(rows);
    if start == 0 && end == rows {
        return RowGroupAccess::Scan;
    }
    let selectors = vec![
        RowSelector::skip(start),
        RowSelector::select(end.saturating_sub(start)),
        RowSelector::skip(rows - end),
    ];
    RowGroupAccess::Selection(RowSelection::from(selectors))
}

/// Streams of one unit merged by position.
struct MergeStream {
    context: Arc<ReadContext>,
    inputs: Vec<Input>,
    disjoint: Disjoint,
    /// Filters on single rows, which only the identity row of a variant must satisfy.
    row: Option<Arc<dyn PhysicalExpr>>,
}

struct Input {
    stream: PartStream,
    rows: Option<Keyed>,
    done: bool,
}

/// A batch with the sort key of each row: contig rank and position.
struct Keyed {
    batch: RecordBatch,
    keys: Vec<u64>,
}

impl MergeStream {
    fn new(context: &Arc<ReadContext>, unit: Unit) -> Result<Self> {
        let mut filters = context.key.clone();
        if let Some((start, end)) = unit.positions {
            let bound = |op, value| Predicate::Compare {
                column: "pos".to_owned(),
                op,
                value: Literal::Int32(value),
            };
            filters.extend([bound(Comparison::GtEq, start), bound(Comparison::Lt, end)]);
        }
        let early = Arc::new(Early::new(context, filters)?);
        let rows = context.batch_size.div_ceil(unit.streams.len().max(1));
        let rows = rows.max(MERGE_BATCH_ROWS_MIN.min(context.batch_size));
        let inputs = unit.streams.into_iter().map(|parts| Input {
            stream: PartStream::new(context, Arc::clone(&early), parts, rows),
            rows: None,
            done: false,
        });
        Ok(Self {
            inputs: inputs.collect(),
            disjoint: Disjoint::default(),
            row: bind(&context.row, &context.schema)?,
            context: Arc::clone(context),
        })
    }

    async fn next(&mut self) -> Result<Option<SiteRows>> {
        loop {
            let Some(ready) = self.cut().await? else {
                return Ok(None);
            };
            let rows = self.grouped(ready)?;
            let rows = match &self.row {
                Some(expr) => {
                    let keep = evaluate(expr, &rows.identity()?)?;
                    rows.filter(&keep)?
                }
                None => rows,
            };
            if rows.len() > 0 {
                return Ok(Some(rows));
            }
        }
    }

    /// Complete rows of all inputs, unsorted; `None` at the end.
    async fn cut(&mut self) -> Result<Option<Keyed>> {
        for input in &mut self.inputs {
            if input.rows.is_none() {
                input.extend(&self.context.view).await?;
            }
        }
        loop {
            let open = self.inputs.iter().filter(|i| !i.done);
            let horizon = open.filter_map(Input::last_key).min().unwrap_or(u64::MAX);
            let cut = self
                .inputs
                .iter_mut()
                .filter_map(|input| input.before(horizon));
            let cut: Vec<Keyed> = cut.collect();
            if !cut.is_empty() {
                return Keyed::concat(&self.context.schema, &cut).map(Some);
            }
            if self.inputs.iter().all(|input| input.done) {
                return Ok(None);
            }
            for input in &mut self.inputs {
                if !input.done && input.last_key() == Some(horizon) {
                    input.extend(&self.context.view).await?;
                }
            }
        }
    }

    fn grouped(&mut self, rows: Keyed) -> Result<SiteRows> {
        let columns = MergeColumns::of(&rows)?;
        let mut order: Vec<usize> = (0..rows.keys.len()).collect();
        order.sort_unstable_by(|&a, &b| columns.compare(a, b));
        let mut taken = Vec::with_capacity(order.len());
        let mut groups = Vec::new();
        for cluster in order.chunk_by(|&a, &b| columns.same_variant(a, b)) {
            self.split(cluster, &columns, &mut taken, &mut groups);
        }
        let indices: UInt32Array = taken.into();
        Ok(SiteRows {
            batch: take_record_batch(&rows.batch, &indices)?,
            groups: Some(groups),
        })
    }

    /// Deals the rows of one variant, by rising vid, to groups.
    fn split(
        &mut self,
        cluster: &[usize],
        columns: &MergeColumns<'_>,
        taken: &mut Vec<u32>,
        groups: &mut Vec<(u32, u32)>,
    ) {
        let mut found: Vec<Vec<usize>> = Vec::new();
        for &row in cluster {
            let origin = columns.origin(row);
            let home = found.iter_mut().find(|group| {
                group.iter().all(|&other| {
                    self.disjoint
                        .may_merge(&self.context.view, columns.origin(other), origin)
                })
            });
            match home {
                Some(group) => group.push(row),
                None => found.push(vec![row]),
            }
        }
        for group in found {
            let start = count_u32(taken.len());
            taken.extend(group.iter().map(|&row| count_u32(row)));
            groups.push((start, count_u32(taken.len())));
        }
    }
}

/// Rows of one batch, of which there are far fewer than 4 billion.
fn count_u32(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}

impl Input {
    fn last_key(&self) -> Option<u64> {
        self.rows.as_ref()?.keys.last().copied()
    }

    /// Appends the next batch of the stream.
    async fn extend(&mut self, view: &DatasetView) -> Result<()> {
        if self.done {
            return Ok(());
        }
        let Some(batch) = self.stream.next().await? else {
            self.done = true;
            return Ok(());
        };
        let next = Keyed::of(batch, view)?;
        self.rows = Some(match self.rows.take() {
            Some(rest) => Keyed::concat(&rest.batch.schema(), &[rest, next])?,
            None => next,
        });
        Ok(())
    }

    /// Takes the rows before `horizon`, all of them when the stream is done and nothing follows.
    fn before(&mut self, horizon: u64) -> Option<Keyed> {
        let rows = self.rows.take()?;
        let cut = if horizon == u64::MAX {
            rows.keys.len()
        } else {
            rows.keys.partition_point(|&key| key < horizon)
        };
        let (ready, rest) = rows.split_at(cut);
        self.rows = rest;
        ready
    }
}

impl Keyed {
    fn of(batch: RecordBatch, view: &DatasetView) -> Result<Self> {
        let contigs = column(&batch, "contig")?.as_string::<i32>();
        let positions = column(&batch, "pos")?.as_primitive::<Int32Type>();
        let mut keys = Vec::with_capacity(batch.num_rows());
        let mut last: Option<(&str, u64)> = None;
        for row in 0..batch.num_rows() {
            let contig = contigs.value(row);
            let rank = match last {
                Some((name, rank)) if name == contig => rank,
                _ => u64::from(view.data.rank_of(contig)),
            };
            last = Some((contig, rank));
            let pos = u32::try_from(positions.value(row)).unwrap_or_default();
            keys.push(rank << 32 | u64::from(pos));
        }
        if !keys.is_sorted() {
            let what = "rows are not in the order of contigs and positions";
            return Err(Error::damaged(format!("{}/site", view.data.name), what));
        }
        Ok(Self { batch, keys })
    }

    fn concat(schema: &SchemaRef, parts: &[Self]) -> Result<Self> {
        let batch = concat_batches(schema, parts.iter().map(|p| &p.batch))?;
        Ok(Self {
            batch,
            keys: parts.iter().flat_map(|p| &p.keys).copied().collect(),
        })
    }

    fn split_at(mut self, at: usize) -> (Option<Self>, Option<Self>) {
        if at == 0 {
            return (None, Some(self));
        }
        if at >= self.keys.len() {
            return (Some(self), None);
        }
        let rest = self.batch.slice(at, self.keys.len() - at);
        let keys = self.keys.split_off(at);
        let ready = Self {
            batch: self.batch.slice(0, at),
            keys: self.keys,
        };
        (Some(ready), Some(Self { batch: rest, keys }))
    }
}

/// Columns that order rows and tell variants apart.
struct MergeColumns<'a> {
    keys: &'a [u64],
    vid: &'a Int64Array,
    end_pos: &'a Int32Array,
    reference: &'a StringArray,
    alt: &'a StringArray,
    source: &'a Int32Array,
    from: &'a Int32Array,
    to: &'a Int32Array,
}

/// Where a row comes from: batch, input of the batch, sample blocks.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) batch: i64,
    pub(crate) source: i32,
    pub(crate) blocks: Option<(i32, i32)>,
}

impl<'a> MergeColumns<'a> {
    fn of(rows: &'a Keyed) -> Result<Self> {
        let ints = |name| Ok::<_, Error>(column(&rows.batch, name)?.as_primitive::<Int32Type>());
        Ok(Self {
            keys: &rows.keys,
            vid: column(&rows.batch, "vid")?.as_primitive::<Int64Type>(),
            end_pos: ints("end_pos")?,
            reference: column(&rows.batch, "ref")?.as_string::<i32>(),
            alt: column(&rows.batch, "alt")?.as_string::<i32>(),
            source: ints("source")?,
            from: ints("block_from")?,
            to: ints("block_to")?,
        })
    }

    fn variant(&self, row: usize) -> (u64, &str, Option<&str>, i32) {
        let alt = self.alt.is_valid(row).then(|| self.alt.value(row));
        (
            self.keys[row],
            self.reference.value(row),
            alt,
            self.end_pos.value(row),
        )
    }

    fn compare(&self, a: usize, b: usize) -> std::cmp::Ordering {
        let vids = || self.vid.value(a).cmp(&self.vid.value(b));
        self.variant(a).cmp(&self.variant(b)).then_with(vids)
    }

    fn same_variant(&self, a: usize, b: usize) -> bool {
        self.variant(a) == self.variant(b)
    }

    fn origin(&self, row: usize) -> Origin {
        let blocks = (self.from.is_valid(row) && self.to.is_valid(row))
            .then(|| (self.from.value(row), self.to.value(row)));
        Origin {
            batch: self.vid.value(row) >> 40,
            source: self.source.value(row),
            blocks,
        }
    }
}

/// Block ranges of two rows.
type RangePair = ((i32, i32), (i32, i32));

/// Which ranges of blocks have no sample in common; each pair is compared once.
#[derive(Default)]
pub(crate) struct Disjoint {
    known: HashMap<RangePair, bool>,
}

impl Disjoint {
    pub(crate) fn may_merge(&mut self, view: &DatasetView, a: Origin, b: Origin) -> bool {
        if a.batch == b.batch && a.source == b.source {
            return false;
        }
        match (a.blocks, b.blocks) {
            (Some(a), Some(b)) => self.disjoint(view, a, b),
            // A row without samples merges with nothing of its own batch.
            _ => a.batch != b.batch,
        }
    }

    fn disjoint(&mut self, view: &DatasetView, a: (i32, i32), b: (i32, i32)) -> bool {
        *self.known.entry((a, b)).or_insert_with(|| {
            let names = |(from, to)| {
                view.blocks_in(from, to)
                    .iter()
                    .flat_map(|block| block.names.iter().copied())
            };
            let of_a: HashSet<u32> = names(a).collect();
            names(b).all(|name| !of_a.contains(&name))
        })
    }
}
