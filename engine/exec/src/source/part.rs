//! Rows of parts of site files: row groups and pages pruned, filters applied.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::datasource::physical_plan::ParquetFileMetrics;
use datafusion::datasource::physical_plan::parquet::{
    PagePruningAccessPlanFilter, ParquetAccessPlan, RowGroupAccess,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use genokura_core::schema::site_schema;
use genokura_storage::{FileReader, ReadPlan};
use parquet::arrow::arrow_reader::{ArrowPredicateFn, RowFilter, RowSelection, RowSelector};

use super::{ReadContext, decoded, evaluate};
use crate::dynamic::DynamicPruner;
use crate::error::{Error, Result};
use crate::metrics::ScanMetrics;
use crate::nan::judged_by_pages;
use crate::predicate::Predicate;
use crate::pruning::bind;
use crate::spec::FilePart;

/// Filters that are applied while a file is read.
pub(crate) struct Early {
    all: Filters,
    /// The contig that they ask for, and the others: all there is to judge where rows are of that contig.
    contig: Option<(String, Filters)>,
    pub(crate) pages: Option<PagePruningAccessPlanFilter>,
}

/// Filters, all of which a row must pass.
struct Filters {
    list: Vec<Predicate>,
    /// Over [`ReadContext::schema`].
    expr: Option<Arc<dyn PhysicalExpr>>,
}

impl Early {
    pub(crate) fn new(context: &ReadContext, filters: Vec<Predicate>) -> Result<Self> {
        let schema = site_schema(&context.view.data.state.info);
        let pages = bind(&filters, &schema)?.map(|expr| judged_by_pages(&expr, &schema));
        let never_null = schema
            .field_with_name("contig")
            .is_ok_and(|field| !field.is_nullable());
        let asked = filters.iter().find_map(Predicate::contig);
        let contig = match asked.filter(|_| never_null) {
            Some(contig) => {
                let is_it = |filter: &&Predicate| filter.contig() != Some(contig);
                let others = filters.iter().filter(is_it).cloned().collect();
                Some((contig.to_owned(), Filters::new(others, &context.schema)?))
            }
            None => None,
        };
        Ok(Self {
            all: Filters::new(filters, &context.schema)?,
            contig,
            pages,
        })
    }

    /// The filters that some rows of these row groups may fail because of more than their contig.
    fn of_groups(&self, reader: &FileReader, groups: &[usize]) -> &Filters {
        match &self.contig {
            Some((contig, others)) if are_of(contig, reader, groups) => others,
            _ => &self.all,
        }
    }
}

/// Whether all rows of these row groups are of a contig.
fn are_of(contig: &str, reader: &FileReader, groups: &[usize]) -> bool {
    let wanted = reader
        .row_groups()
        .filter(|group| groups.contains(&group.index));
    let mut ranges = wanted.map(|group| group.text_range("contig"));
    ranges.all(|range| range == Some((contig, contig)))
}

impl Filters {
    fn new(list: Vec<Predicate>, schema: &SchemaRef) -> Result<Self> {
        let expr = bind(&list, schema)?;
        Ok(Self { list, expr })
    }

    /// The filters as a predicate inside the Parquet reader; `None` when the file lacks a column.
    fn row_filter(&self, reader: &FileReader) -> Result<Option<RowFilter>> {
        let mut columns = HashSet::new();
        for filter in &self.list {
            filter.for_each_column(&mut |column| {
                columns.insert(column.to_owned());
            });
        }
        let stored = reader.schema();
        let typed_alike = |name: &String| stored.field_with_name(name).is_ok();
        if self.list.is_empty() || !columns.iter().all(typed_alike) {
            return Ok(None);
        }
        let mut places: Vec<usize> = columns
            .iter()
            .filter_map(|c| stored.index_of(c).ok())
            .collect();
        places.sort_unstable();
        let schema = Arc::new(stored.project(&places)?);
        let Some(expr) = bind(&self.list, &schema)? else {
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
pub(super) struct PartStream {
    context: Arc<ReadContext>,
    early: Arc<Early>,
    parts: VecDeque<FilePart>,
    current: Option<OpenPart>,
    batch_size: usize,
}

struct OpenPart {
    stream: BoxStream<'static, genokura_storage::Result<RecordBatch>>,
    /// What is still to be judged of a row.
    filter: Option<Arc<dyn PhysicalExpr>>,
}

impl PartStream {
    pub(super) fn new(
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
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
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
        let rows = batch.num_rows();
        self.context.metrics.rows_read.add(rows);
        let open = self.current.as_ref();
        let Some(filter) = open.and_then(|open| open.filter.as_ref()) else {
            return Ok(batch);
        };
        let keep = evaluate(filter, &batch)?;
        match run_of(&keep) {
            Some(run) => Ok(batch.slice(run.start, run.len())),
            None => Ok(filter_record_batch(&batch, &keep)?),
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
        let access = select(&reader, part, &self.early, dynamic, &context.metrics)?;
        let row_groups = access.row_group_indexes();
        if row_groups.is_empty() {
            return Ok(None);
        }
        let filters = self.early.of_groups(&reader, &row_groups);
        let cut = decoded::cut(&reader, &context.schema, &access, &context.allowance);
        if let Some(cut) = cut.await? {
            let batches = cut.batches(self.batch_size).map(Ok);
            return Ok(Some(OpenPart {
                stream: futures::stream::iter(batches).boxed(),
                filter: filters.expr.clone(),
            }));
        }
        let selection = access.into_overall_row_selection(reader.metadata().row_groups())?;
        let filter = filters.row_filter(&reader)?;
        let left = filters.expr.clone().filter(|_| filter.is_none());
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
            filter: left,
        }))
    }
}

/// Where the rows that pass stand side by side, they: no row needs to be copied then.
fn run_of(keep: &BooleanArray) -> Option<Range<usize>> {
    let passed = match keep.nulls() {
        None => keep.values().clone(),
        Some(known) => keep.values() & known.inner(),
    };
    let mut runs = passed.set_slices();
    let (start, end) = runs.next().unwrap_or((0, 0));
    runs.next().is_none().then_some(start..end)
}

/// Rows of a part that the page index and the dynamic filters leave.
fn select(
    reader: &FileReader,
    part: &FilePart,
    early: &Early,
    dynamic: Option<&DynamicPruner>,
    metrics: &ScanMetrics,
) -> Result<ParquetAccessPlan> {
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
    Ok(access)
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
