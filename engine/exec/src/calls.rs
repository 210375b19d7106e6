//! `calls` and `carriers`: one row per variant and sample, made of packed genotypes as they are asked for.
//!
//! Filters on `sample_id` and on `dosage` are judged before a blob is fetched (see [`Choice`]); where they leave only
//! carriers (and always in `carriers`) variants that nobody carries are skipped, and samples that do not carry are
//! not looked at. Filters on `gt`, `dosage` and `phased` are judged once for each default call; where the one of a
//! record is not kept, only samples that differ from it are looked at. Filters on FORMAT columns alone are judged on
//! their values before rows are made, where rows would be made of most samples; see [`FormatFirst`]. What is left of
//! the filters is applied to batches of finished rows, FORMAT columns last and only for rows that passed the others.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, BooleanBuilder, Int16Builder, Int32Array, RecordBatch,
    RecordBatchOptions, StringBuilder, UInt32Array, new_null_array,
};
use arrow::compute::kernels::cmp::gt;
use arrow::compute::{filter_record_batch, take};
use arrow::datatypes::{Int64Type, Schema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan as _;
use genokura_core::codec::{CallRef, CallsOf, DefaultCall, GenotypeRow, SampleMask};
use genokura_core::schema::{FieldDef, calls_columns};

use crate::blobs::{BlobReader, Blobs, Wanted, chunks};
use crate::call_join::places::WholePlaces;
use crate::call_join::{JOIN_KEY, SiteJoin, fields_beside};
use crate::choice::{Choice, passes};
use crate::dataset::{DatasetView, HIDDEN};
use crate::dynamic::DynamicFilters;
use crate::error::{Error, Result};
use crate::formats::FormatColumn;
use crate::members::{MEMBER_COLUMNS, Member, Members};
use crate::metrics::ScanMetrics;
use crate::predicate::Predicate;
use crate::pruning::bind;
use crate::scan::{DatasetScanExec, empty_table, read_schema, table_name};
use crate::source::{Allowance, ReadContext, SiteRows, SiteSource, column, evaluate};
use crate::spec::Unit;
use crate::table::{Stages, sql_schema};
use crate::variants::stored_counts;

/// Up to so many samples of a block are looked up one by one.
const FEW_SAMPLES: u32 = 8;
/// Rows of the first batch: what reads them starts early, and later batches are twice as long each.
const FIRST_BATCH_ROWS: usize = 1_024;

/// Batches of some units of work.
pub(crate) struct CallRows {
    context: Arc<ReadContext>,
    source: Sites,
    choice: Arc<Choice>,
    blocks: Vec<bool>,
    genotypes: Option<BlobReader>,
    format_reader: Option<BlobReader>,
    output: CallColumns,
    pending: VecDeque<SiteRows>,
    open: Option<OpenChunk>,
    ready: VecDeque<RecordBatch>,
    remaining: usize,
    /// Rows of the next batch.
    batch_rows: usize,
    names: ArrayRef,
    dynamic: DynamicFilters,
    /// Of the dynamic filters when they were looked at last; `None`: not yet.
    generation: Option<u64>,
    /// Later variants come first.
    backward: bool,
}

impl CallRows {
    pub(crate) fn new(
        scan: &DatasetScanExec,
        choice: &Arc<Choice>,
        units: Vec<Unit>,
        batch_size: usize,
        metrics: ScanMetrics,
    ) -> Result<Self> {
        let (spec, view) = (&scan.spec, &scan.view);
        let masked = view.masked(table_name(spec.kind));
        let stages = Stages::of(spec.kind, &spec.filters, &masked);
        let output = CallColumns::new(scan, choice, masked)?;
        let mut extra = Vec::new();
        if choice.carriers() {
            extra.push("ac");
        }
        if !output.formats.is_empty() {
            extra.push("record");
        }
        let context = read_context(scan, stages.key, extra, batch_size, metrics)?;
        let blocks = choice.blocks();
        let genotypes = choice
            .reads_genotypes()
            .then(|| BlobReader::genotypes(view, &context.metrics));
        let physical = &output.physical;
        let format_reader = (!physical.is_empty())
            .then(|| BlobReader::formats(view, physical, &context.metrics))
            .flatten();
        Ok(Self {
            source: Sites::new(scan, &context, units)?,
            choice: Arc::clone(choice),
            blocks,
            genotypes: genotypes.flatten(),
            format_reader,
            output,
            pending: VecDeque::new(),
            open: None,
            ready: VecDeque::new(),
            remaining: spec.limit.unwrap_or(usize::MAX),
            batch_rows: batch_size.min(FIRST_BATCH_ROWS),
            names: Arc::clone(view.directory.names()),
            dynamic: scan.dynamic.clone(),
            generation: None,
            backward: scan.is_backward(),
            context,
        })
    }

    /// Leaves out what no row of an operator above can match any more: a join knows before the first row is asked
    /// for, a top-k knows better with each batch, though variants are open of which it wants no more calls.
    fn narrow(&mut self) -> Result<()> {
        let generation = self.dynamic.generation();
        if self.generation.replace(generation) == Some(generation) {
            return Ok(());
        }
        let view = &self.context.view;
        if let Some(left) = self.dynamic.samples(&view.directory.samples)? {
            self.choice = Arc::new(self.choice.among(&left, view));
            self.blocks = self.choice.blocks();
            if self.choice.n_samples() == 0 {
                self.remaining = 0;
            }
        }
        if let Some(chunk) = &mut self.open
            && let Some(left) = self.dynamic.variants(&chunk.identity)?
        {
            let is_left = |part: &Part| passes(&left, part.group as usize);
            chunk.parts.retain(is_left);
        }
        for mut rows in std::mem::take(&mut self.pending) {
            rows = self.dynamic.rows(rows)?;
            if rows.len() > 0 {
                self.pending.push_back(rows);
            }
        }
        Ok(())
    }

    /// What its readers share.
    pub(crate) fn into_context(self) -> Arc<ReadContext> {
        self.context
    }

    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        self.narrow()?;
        while self.remaining > 0 {
            if let Some(batch) = self.ready.pop_front() {
                let batch = batch.slice(0, batch.num_rows().min(self.remaining));
                self.remaining -= batch.num_rows();
                self.context
                    .metrics
                    .baseline
                    .record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            match self.open.take() {
                Some(chunk) => self.explode(chunk)?,
                None => match self.chunk().await? {
                    Some(rows) => self.open = Some(self.begin(rows).await?),
                    None => return Ok(None),
                },
            }
            // A long run of rows that no filter passes must not keep the thread.
            tokio::task::yield_now().await;
            self.narrow()?;
        }
        Ok(None)
    }

    async fn chunk(&mut self) -> Result<Option<SiteRows>> {
        loop {
            if let Some(rows) = self.pending.pop_front() {
                return Ok(Some(rows));
            }
            let Some(pieces) = self.source.next().await? else {
                return Ok(None);
            };
            for mut rows in pieces {
                if self.choice.carriers() {
                    rows = carried(rows)?;
                }
                rows = self.dynamic.rows(rows)?;
                let readers = [self.genotypes.as_ref(), self.format_reader.as_ref()];
                let size = self.context.batch_size;
                let chunks = chunks(rows, readers, &self.blocks, size).await?;
                self.pending.extend(chunks);
            }
        }
    }

    /// Reads the blobs of a chunk.
    async fn begin(&mut self, rows: SiteRows) -> Result<OpenChunk> {
        let view = &self.context.view;
        let members = Members::read(view, &rows, self.genotypes.as_ref(), &self.blocks).await?;
        let (records, formats) = match &self.format_reader {
            Some(reader) => {
                let (wanted, records) = records(&rows, &members)?;
                (records, reader.read(&wanted, &self.blocks).await?)
            }
            None => (Vec::new(), Blobs::none()),
        };
        let mut parts = parts(&members, &self.blocks, &self.choice);
        if self.backward {
            parts.make_contiguous().reverse();
        }
        Ok(OpenChunk {
            identity: rows.identity()?,
            members,
            records,
            formats,
            parts,
            made: Exploded::default(),
        })
    }

    /// Makes the rows of about a batch, filters them and keeps what is left of the chunk.
    fn explode(&mut self, mut chunk: OpenChunk) -> Result<()> {
        let _timer = self.context.metrics.baseline.elapsed_compute().timer();
        let batch_size = self.batch_rows;
        let mut rows = std::mem::take(&mut chunk.made);
        match &self.output.first {
            None => {
                while rows.len() < batch_size
                    && let Some(part) = chunk.parts.pop_front()
                {
                    let mask = self.choice.mask(part.block);
                    self.push(&chunk, &part, mask, &mut rows)?;
                }
            }
            Some(first) => {
                for (part, mask) in self.judged(first, &mut chunk) {
                    self.push(&chunk, &part, mask.as_deref(), &mut rows)?;
                }
                // Few calls pass: rows of many parts make a batch, and other work has its turn between them.
                if rows.len() < batch_size.min(self.remaining) && !chunk.parts.is_empty() {
                    chunk.made = rows;
                    self.open = Some(chunk);
                    return Ok(());
                }
            }
        }
        let batch = self
            .output
            .batch(&chunk, rows, &self.names, &self.context.view)?;
        for start in (0..batch.num_rows()).step_by(batch_size) {
            let length = batch_size.min(batch.num_rows() - start);
            self.ready.push_back(batch.slice(start, length));
        }
        self.batch_rows = (2 * batch_size).min(self.context.batch_size);
        if !chunk.parts.is_empty() {
            self.open = Some(chunk);
        }
        Ok(())
    }

    /// Takes parts of about a batch of calls, each with the samples that filters on FORMAT columns leave.
    fn judged(
        &self,
        first: &FormatFirst,
        chunk: &mut OpenChunk,
    ) -> Vec<(Part, Option<Cow<'_, SampleMask>>)> {
        let mut parts = Vec::new();
        let mut cells = Vec::new();
        while cells.len() < self.batch_rows
            && let Some(part) = chunk.parts.pop_front()
        {
            let mask = self.choice.mask(part.block);
            let member = chunk.members.all().get(part.member);
            let most = !self.choice.reads_genotypes()
                || member.is_some_and(|member| self.choice.keeps_default(member.default));
            let start = cells.len();
            if let Some(mask) = mask.filter(|_| most) {
                let record = chunk.record_of(part.member);
                cells.extend(mask.iter().map(|sample| (record, part.block, sample)));
            }
            parts.push((part, mask, most.then_some(start..cells.len())));
        }
        // What cannot be judged here may be left out by other filters, or fails with them.
        let judged = first.judge(&self.output, &cells, &chunk.formats, &self.context.view);
        let mut narrowed = Vec::with_capacity(parts.len());
        for (part, mask, cells_of) in parts {
            let left = match (mask, cells_of, &judged) {
                (Some(mask), Some(cells_of), Ok(keep)) => {
                    let kept = cells_of.filter(|&cell| passes(keep, cell));
                    let kept = kept.filter_map(|cell| cells.get(cell).map(|(.., sample)| *sample));
                    let kept = SampleMask::from_indices(mask.n_samples(), kept);
                    (kept.count_ones() > 0).then_some(Cow::Owned(kept))
                }
                (mask, ..) => mask.map(Cow::Borrowed),
            };
            narrowed.push((part, left));
        }
        narrowed
    }

    /// Makes the rows of one site row in one block, of the samples of a mask.
    fn push(
        &self,
        chunk: &OpenChunk,
        part: &Part,
        mask: Option<&SampleMask>,
        rows: &mut Exploded,
    ) -> Result<()> {
        let view = &self.context.view;
        let (Some(block), Some(mask)) = (view.blocks.get(part.block), mask) else {
            return Ok(());
        };
        let Some(member) = chunk.members.all().get(part.member) else {
            return Ok(());
        };
        let mut sink = Sink {
            rows,
            part: *part,
            samples: &block.directory_index,
            needs: self.output.needs,
            failed: None,
        };
        if !self.choice.reads_genotypes() {
            mask.iter().for_each(|sample| sink.place(sample));
            return Ok(());
        }
        let stored = match part.stored {
            Some(number) => chunk.members.stored_row(number, member, part.block)?,
            None => None,
        };
        if let Some(row) = &stored {
            push_calls(row, mask, &self.choice, &mut sink);
        } else {
            let row = GenotypeRow::of_default(block.n_samples, member.default);
            push_calls(&row, mask, &self.choice, &mut sink);
        }
        sink.failed.map_or(Ok(()), |what| {
            let vid = member.vid;
            Err(Error::damaged(
                format!("{}/genotype", view.data.name),
                format!("vid {vid}, block {}: {what}", block.block),
            ))
        })
    }
}

/// The site rows that calls are made of.
pub(crate) enum Sites {
    Alone(SiteSource),
    /// Joined with themselves, as variants.
    Joined(Box<WholePlaces>, SiteJoin),
}

impl Sites {
    pub(crate) fn new(
        scan: &DatasetScanExec,
        context: &Arc<ReadContext>,
        units: Vec<Unit>,
    ) -> Result<Self> {
        let source = SiteSource::new(Arc::clone(context), units);
        Ok(match &scan.spec.variants {
            None => Self::Alone(source),
            Some(side) => {
                let join = SiteJoin::new(side, &scan.view)?;
                Self::Joined(Box::new(WholePlaces::new(source)), join)
            }
        })
    }

    /// The next rows, perhaps none, in pieces; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<VecDeque<SiteRows>>> {
        match self {
            Self::Alone(source) => Ok(source.next().await?.map(|rows| [rows].into())),
            Self::Joined(source, join) => match source.next().await? {
                Some(rows) => join.join(rows).map(Some),
                None => Ok(None),
            },
        }
    }
}

fn push_calls(row: &GenotypeRow<'_>, mask: &SampleMask, choice: &Choice, sink: &mut Sink<'_>) {
    let keep = choice.keep();
    let whose = match keep {
        keep if keep.is_of_carriers() => CallsOf::Carriers,
        _ if !choice.keeps_default(row.default_call()) => CallsOf::Unlike,
        _ => CallsOf::All,
    };
    let few = mask.count_ones() <= FEW_SAMPLES;
    let by_dosage = whose == CallsOf::Carriers && !sink.needs.text && !sink.needs.phased;
    if by_dosage && !few {
        return row.for_each_carrier(|sample, dosage| {
            if mask.contains(sample) && keep.keeps(Some(dosage)) {
                sink.place(sample);
                if sink.needs.dosage {
                    sink.rows.dosage.append_value(i16::from(dosage));
                }
            }
        });
    }
    let mut push = |sample: u32, call: CallRef<'_>| {
        if keep.keeps(call.dosage()) {
            sink.call(sample, &call);
        }
    };
    if few {
        let calls = mask
            .iter()
            .filter_map(|sample| Some((sample, row.call(sample)?)));
        calls.for_each(|(sample, call)| push(sample, call));
    } else {
        row.for_each_call_of(whose, Some(mask), push);
    }
}

/// The variants that somebody carries.
pub(crate) fn carried(rows: SiteRows) -> Result<SiteRows> {
    let carried = gt(&rows.sums("ac")?, &Int32Array::new_scalar(0))?;
    rows.filter(&carried)
}

/// What the readers of a scan of calls share; `extra` are physical columns that are read beside those asked for.
pub(crate) fn read_context(
    scan: &DatasetScanExec,
    key: Vec<Predicate>,
    mut extra: Vec<&'static str>,
    batch_size: usize,
    metrics: ScanMetrics,
) -> Result<Arc<ReadContext>> {
    let (spec, view) = (&scan.spec, &scan.view);
    extra.extend(MEMBER_COLUMNS);
    let merge = spec
        .partitions
        .iter()
        .flatten()
        .any(|u| u.merge || u.streams.len() > 1);
    let site = |c: &&str| ["contig", "pos", "end_pos", "ref", "alt"].contains(c);
    let mut needed: BTreeSet<&str> = spec.columns_needed().into_iter().filter(site).collect();
    if let Some(side) = &spec.variants {
        let mut beside: BTreeSet<&str> = side.columns.iter().map(String::as_str).collect();
        for filter in &side.filters {
            filter.collect_columns(&mut beside);
        }
        extra.extend(stored_counts(&beside));
        needed.extend(JOIN_KEY);
        needed.extend(beside);
    }
    let schema = read_schema(view, &needed, extra, merge)?;
    let table = view.data.site.clone().unwrap_or_else(|| empty_table(view));
    let view = Arc::clone(view);
    Ok(Arc::new(ReadContext {
        view,
        table,
        schema,
        key,
        row: Vec::new(),
        batch_size,
        metrics,
        dynamic: scan.dynamic.clone(),
        allowance: Allowance::new(spec.limit),
    }))
}

/// A chunk of variants with its blobs, and the parts that are not yet rows.
struct OpenChunk {
    identity: RecordBatch,
    members: Members,
    /// Per member the place of its record among those of `formats`.
    records: Vec<usize>,
    formats: Blobs,
    parts: VecDeque<Part>,
    /// Rows that were made and not yet given out.
    made: Exploded,
}

impl OpenChunk {
    /// Place of a member's record among those of `formats`.
    fn record_of(&self, member: usize) -> usize {
        self.records.get(member).copied().unwrap_or(usize::MAX)
    }
}

/// One member row of a variant in one block.
#[derive(Clone, Copy, Default)]
struct Part {
    group: u32,
    member: usize,
    block: usize,
    /// The number of its stored row; without one everybody has the default call.
    stored: Option<usize>,
}

/// The parts in the order of the variants, their members and their blocks; those without a stored row only where the
/// default call is kept.
fn parts(members: &Members, blocks: &[bool], choice: &Choice) -> VecDeque<Part> {
    let group = |member: &Member| u32::try_from(member.group).unwrap_or(u32::MAX);
    let all = members.all();
    let mut parts: Vec<Part> = Vec::with_capacity(members.stored_places().size_hint().0);
    let is_chosen = |block: usize| blocks.get(block) == Some(&true);
    let mut kept = DefaultCall::ALL.map(|default| choice.keeps_default(default));
    if !choice.reads_genotypes() {
        kept.fill(true);
    }
    if kept.contains(&true) {
        for (place, member) in all.iter().enumerate() {
            if kept[usize::from(member.default.number())] {
                let chosen = member.blocks.clone().filter(|&block| is_chosen(block));
                parts.extend(chosen.map(|block| Part {
                    group: group(member),
                    member: place,
                    block,
                    stored: None,
                }));
            }
        }
    }
    let of_defaults = parts.len();
    for (number, (place, block)) in members.stored_places().enumerate() {
        if let Some(member) = all.get(place).filter(|_| is_chosen(block)) {
            parts.push(Part {
                group: group(member),
                member: place,
                block,
                stored: Some(number),
            });
        }
    }
    if of_defaults == 0 {
        // Most often rows were found block after block, and this is all.
        parts = by_member(&parts, all.len());
    }
    // Of a part that is there twice the one with a stored row comes first and stays.
    let key = |part: &Part| (part.member, part.block, part.stored.is_none());
    if !parts.is_sorted_by_key(key) {
        parts.sort_unstable_by_key(key);
    }
    parts.dedup_by_key(|part| (part.member, part.block));
    parts.into()
}

/// Parts in the order of their members, of one member as they were.
fn by_member(parts: &[Part], members: usize) -> Vec<Part> {
    let mut place = vec![0usize; members + 1];
    for part in parts {
        place[part.member + 1] += 1;
    }
    for member in 0..members {
        place[member + 1] += place[member];
    }
    let mut sorted = vec![Part::default(); parts.len()];
    for part in parts {
        sorted[place[part.member]] = *part;
        place[part.member] += 1;
    }
    sorted
}

/// The records of all members in rising order, and the place of each member's.
fn records(rows: &SiteRows, members: &Members) -> Result<(Vec<Wanted>, Vec<usize>)> {
    let ids = rows.column("record")?.as_primitive::<Int64Type>();
    let id = |member: &Member| ids.value(member.row);
    let mut wanted: Vec<(i64, Range<usize>)> = members
        .all()
        .iter()
        .map(|m| (id(m), m.blocks.clone()))
        .collect();
    wanted.sort_unstable_by_key(|(id, _)| *id);
    wanted.dedup_by_key(|(id, _)| *id);
    let place = |member: &Member| wanted.binary_search_by_key(&id(member), |(id, _)| *id);
    let places = members
        .all()
        .iter()
        .map(|m| place(m).unwrap_or(usize::MAX))
        .collect();
    let wanted = wanted
        .into_iter()
        .map(|(id, blocks)| Wanted { id, blocks })
        .collect();
    Ok((wanted, places))
}

/// Which call columns are made.
#[derive(Clone, Copy, Debug, Default)]
struct CallNeeds {
    text: bool,
    dosage: bool,
    phased: bool,
}

/// Rows before filters: where each comes from, and its call.
#[derive(Default)]
struct Exploded {
    group: Vec<u32>,
    /// Index in the directory.
    sample: Vec<u32>,
    /// Index in the block.
    in_block: Vec<u32>,
    member: Vec<u32>,
    block: Vec<u32>,
    text: StringBuilder,
    dosage: Int16Builder,
    phased: BooleanBuilder,
    scratch: Vec<u8>,
}

impl Exploded {
    fn len(&self) -> usize {
        self.group.len()
    }
}

struct Sink<'a> {
    rows: &'a mut Exploded,
    part: Part,
    samples: &'a [u32],
    needs: CallNeeds,
    failed: Option<&'static str>,
}

impl Sink<'_> {
    /// Begins a row.
    fn place(&mut self, sample: u32) {
        let rows = &mut *self.rows;
        rows.group.push(self.part.group);
        rows.sample
            .push(self.samples.get(sample as usize).copied().unwrap_or(HIDDEN));
        rows.in_block.push(sample);
        rows.member
            .push(u32::try_from(self.part.member).unwrap_or(u32::MAX));
        rows.block
            .push(u32::try_from(self.part.block).unwrap_or(u32::MAX));
    }

    fn call(&mut self, sample: u32, call: &CallRef<'_>) {
        self.place(sample);
        let rows = &mut *self.rows;
        if self.needs.dosage {
            rows.dosage.append_option(call.dosage().map(i16::from));
        }
        if self.needs.phased {
            rows.phased
                .append_option(call.has_gt().then(|| call.phased()));
        }
        if !self.needs.text {
            return;
        }
        if !call.has_gt() {
            rows.text.append_null();
            return;
        }
        rows.scratch.clear();
        call.write_text(&mut rows.scratch);
        match std::str::from_utf8(&rows.scratch) {
            Ok(text) => rows.text.append_value(text),
            Err(_) => {
                rows.text.append_null();
                self.failed = Some("a genotype is not text");
            }
        }
    }
}

/// Columns of the result and of the filters, and how rows become them.
struct CallColumns {
    schema: SchemaRef,
    /// Columns made without FORMAT: those of the result and of filters.
    plain: SchemaRef,
    plain_filter: Option<Arc<dyn PhysicalExpr>>,
    /// FORMAT columns of the result and of filters.
    formats: Vec<FormatColumn>,
    /// Columns of the format table that they are read from.
    physical: Vec<String>,
    /// Plain columns, then FORMAT columns.
    wide: SchemaRef,
    wide_filter: Option<Arc<dyn PhysicalExpr>>,
    /// Filters on FORMAT columns alone.
    first: Option<FormatFirst>,
    needs: CallNeeds,
    masked: BTreeSet<String>,
}

impl CallColumns {
    fn new(scan: &DatasetScanExec, choice: &Choice, masked: BTreeSet<String>) -> Result<Self> {
        let (spec, view) = (&scan.spec, &scan.view);
        let full = sql_schema(spec.kind, view);
        let needed = choice.columns_needed(spec);
        let formats = format_columns(&view.data.state.format, &full, &needed, &masked)?;
        let is_format = |name: &str| formats.iter().any(|f| f.name() == name);
        let wanted = full
            .fields()
            .iter()
            .filter(|f| needed.contains(f.name().as_str()));
        let (late, mut early): (Vec<_>, Vec<_>) =
            wanted.cloned().partition(|f| is_format(f.name()));
        if let Some(side) = &spec.variants {
            early.extend(fields_beside(side, view)?);
        }
        let plain = Arc::new(Schema::new(early.clone()));
        let wide = Arc::new(Schema::new([early, late].concat()));
        let (late, early): (Vec<Predicate>, Vec<Predicate>) = choice
            .rest()
            .iter()
            .cloned()
            .partition(|p| !p.only_columns(|c| !is_format(c)));
        let first = FormatFirst::new(&late, &formats, &wide)?;
        let needs = |name: &str| needed.contains(name) && !masked.contains(name);
        Ok(Self {
            first,
            schema: scan.schema(),
            plain_filter: bind(&early, &plain)?,
            wide_filter: bind(&late, &wide)?,
            needs: CallNeeds {
                text: needs("gt"),
                dosage: needs("dosage"),
                phased: needs("phased"),
            },
            plain,
            wide,
            physical: FormatColumn::all_physical(&formats),
            formats,
            masked,
        })
    }

    /// The finished rows of a chunk that satisfy every filter.
    fn batch(
        &self,
        chunk: &OpenChunk,
        mut rows: Exploded,
        names: &ArrayRef,
        view: &DatasetView,
    ) -> Result<RecordBatch> {
        let plain = self.plain_batch(chunk, &mut rows, names)?;
        let keep = self
            .plain_filter
            .as_ref()
            .map(|f| evaluate(f, &plain))
            .transpose()?;
        let places: Vec<usize> = match &keep {
            Some(keep) => (0..rows.len()).filter(|&i| passes(keep, i)).collect(),
            None => (0..rows.len()).collect(),
        };
        let plain = match &keep {
            Some(keep) => filter_record_batch(&plain, keep)?,
            None => plain,
        };
        if self.formats.is_empty() {
            return project(&plain, &self.schema);
        }
        let mut columns = plain.columns().to_vec();
        for format in &self.formats {
            let cells = places.iter().map(|&row| {
                let record = chunk.record_of(rows.member[row] as usize);
                (record, rows.block[row] as usize, rows.in_block[row])
            });
            columns.push(format.build(cells, &chunk.formats, &self.physical, view)?);
        }
        let wide = batch_of(&self.wide, columns, plain.num_rows())?;
        let wide = match &self.wide_filter {
            Some(filter) => filter_record_batch(&wide, &evaluate(filter, &wide)?)?,
            None => wide,
        };
        project(&wide, &self.schema)
    }

    fn plain_batch(
        &self,
        chunk: &OpenChunk,
        rows: &mut Exploded,
        names: &ArrayRef,
    ) -> Result<RecordBatch> {
        let groups = UInt32Array::from(rows.group.clone());
        let mut columns = Vec::new();
        for field in self.plain.fields() {
            let array: ArrayRef = match field.name().as_str() {
                name if self.masked.contains(name) => new_null_array(field.data_type(), rows.len()),
                "sample_id" => take(names, &UInt32Array::from(rows.sample.clone()), None)?,
                "gt" => Arc::new(rows.text.finish()),
                "dosage" => Arc::new(rows.dosage.finish()),
                "phased" => Arc::new(rows.phased.finish()),
                name => take(column(&chunk.identity, name)?, &groups, None)?,
            };
            columns.push(array);
        }
        batch_of(&self.plain, columns, rows.len())
    }
}

/// Filters on FORMAT columns alone, which are judged on the values of calls of which no row is made yet.
///
/// Where a statement keeps few kinds of calls (carriers, say), rows are made first: there are fewer of them than
/// values. The filters are applied to finished rows as well then.
struct FormatFirst {
    filter: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    /// Places of their columns among those of the scan.
    columns: Vec<usize>,
}

impl FormatFirst {
    /// Of filters that have something to do with FORMAT columns.
    fn new(
        filters: &[Predicate],
        formats: &[FormatColumn],
        wide: &SchemaRef,
    ) -> Result<Option<Self>> {
        let place = |name: &str| formats.iter().position(|f| f.name() == name);
        let alone = filters
            .iter()
            .filter(|filter| filter.only_columns(|column| place(column).is_some()));
        let alone: Vec<Predicate> = alone.cloned().collect();
        let mut names = BTreeSet::new();
        alone
            .iter()
            .for_each(|filter| filter.collect_columns(&mut names));
        let columns: Vec<usize> = names.into_iter().filter_map(place).collect();
        let field = |place: &usize| Ok(wide.field_with_name(formats[*place].name())?.clone());
        let fields = columns.iter().map(field).collect::<Result<Vec<_>>>()?;
        let schema = Arc::new(Schema::new(fields));
        Ok(bind(&alone, &schema)?.map(|filter| Self {
            filter,
            schema,
            columns,
        }))
    }

    /// Whether each of some calls (record, block, sample in the block) passes.
    fn judge(
        &self,
        output: &CallColumns,
        cells: &[(usize, usize, u32)],
        blobs: &Blobs,
        view: &DatasetView,
    ) -> Result<BooleanArray> {
        let formats = self.columns.iter().filter_map(|&c| output.formats.get(c));
        let columns = formats
            .map(|format| format.build(cells.iter().copied(), blobs, &output.physical, view))
            .collect::<Result<Vec<_>>>()?;
        let batch = batch_of(&self.schema, columns, cells.len())?;
        evaluate(&self.filter, &batch)
    }
}

fn batch_of(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}

/// The columns of the result, in its order.
fn project(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| {
        batch
            .column_by_name(field.name())
            .cloned()
            .ok_or_else(|| Error::Internal(format!("column {} was not made", field.name())))
    });
    batch_of(schema, columns.collect::<Result<_>>()?, batch.num_rows())
}

/// FORMAT columns that are needed and not masked, in the order of the table.
fn format_columns(
    fields: &[FieldDef],
    full: &SchemaRef,
    needed: &BTreeSet<&str>,
    masked: &BTreeSet<String>,
) -> Result<Vec<FormatColumn>> {
    let names = calls_columns(fields);
    let keys = fields.iter().filter(|f| f.key != "GT");
    keys.zip(names)
        .filter(|(_, name)| needed.contains(name.as_str()) && !masked.contains(name))
        .map(|(def, name)| {
            let field = full.field_with_name(&name)?;
            Ok(FormatColumn::new(
                name.clone(),
                def,
                fields,
                field.data_type().clone(),
            ))
        })
        .collect()
}
