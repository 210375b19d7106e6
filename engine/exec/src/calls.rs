//! `calls` and `carriers`: one row per variant and sample, made of packed genotypes as they are asked for.
//!
//! Filters on `sample_id` choose blocks and samples before a blob is fetched; a filter that only a carrier can
//! satisfy (`dosage > 0`, and every row of `carriers`) skips variants that nobody carries and samples that do not
//! carry; all other filters are applied to batches of finished rows, FORMAT columns last and only for rows that
//! passed the others.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Int16Builder, RecordBatch,
    RecordBatchOptions, StringArray, StringBuilder, UInt32Array, new_null_array,
};
use arrow::compute::{filter_record_batch, take};
use arrow::datatypes::{Int64Type, Schema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan as _;
use genokura_core::codec::{CallRef, GenotypeRow, SampleMask};
use genokura_core::schema::{FieldDef, calls_columns};

use crate::blobs::{BlobReader, Blobs, Wanted};
use crate::dataset::{DatasetView, HIDDEN};
use crate::error::{Error, Result};
use crate::formats::FormatColumn;
use crate::members::{BlockCalls, MEMBER_COLUMNS, Member, Members};
use crate::metrics::ScanMetrics;
use crate::predicate::{Comparison, Literal, Predicate};
use crate::pruning::bind;
use crate::scan::{DatasetScanExec, empty_table, read_schema, table_name};
use crate::source::{ReadContext, SiteRows, SiteSource, column, evaluate};
use crate::spec::{CallKind, ScanKind, ScanSpec};
use crate::table::{Stages, sql_schema};

/// Columns that are made of genotypes.
const CALL_COLUMNS: [&str; 3] = ["gt", "dosage", "phased"];
/// Bytes of decoded blobs of a batch of variants.
const BATCH_BLOB_BYTES: usize = 32 << 20;
/// Bytes of FORMAT values per sample and key, as a guess.
const FORMAT_VALUE_BYTES: usize = 4;
/// Up to so many samples of a block are looked up one by one.
const FEW_SAMPLES: u32 = 8;

/// Which samples and which of their calls a scan makes rows of.
#[derive(Debug)]
pub(crate) struct Choice {
    /// Per block of the dataset the chosen visible samples; `None` when there are none.
    masks: Vec<Option<SampleMask>>,
    /// Only samples that carry the ALT can satisfy the filters.
    carriers: bool,
    /// Genotypes are read at all.
    genotypes: bool,
}

impl Choice {
    pub(crate) fn of(spec: &ScanSpec, view: &DatasetView) -> Self {
        let masked = view.masked(table_name(spec.kind));
        let open = |column: &str| !masked.contains(column);
        let names = open("sample_id")
            .then(|| chosen_samples(&spec.filters))
            .flatten();
        let carriers = spec.kind == ScanKind::Calls(CallKind::Carriers)
            || (open("dosage") && spec.filters.iter().any(needs_carrier));
        let needed = spec.columns_needed();
        let genotypes = carriers || CALL_COLUMNS.iter().any(|c| needed.contains(c) && open(c));
        let masks = view.blocks.iter().map(|block| {
            let chosen = (0u32..)
                .zip(block.directory_index.iter())
                .filter(|(_, sample)| {
                    let name = view.directory.samples.get(**sample as usize);
                    **sample != HIDDEN
                        && names
                            .as_ref()
                            .is_none_or(|n| name.is_some_and(|name| n.contains(name)))
                });
            let mask = SampleMask::from_indices(block.n_samples, chosen.map(|(i, _)| i));
            (mask.count_ones() > 0).then_some(mask)
        });
        Self {
            masks: masks.collect(),
            carriers,
            genotypes,
        }
    }
}

impl Choice {
    /// Samples of which rows may be made.
    pub(crate) fn n_samples(&self) -> u64 {
        let masks = self.masks.iter().flatten();
        masks.map(|mask| u64::from(mask.count_ones())).sum()
    }

    pub(crate) fn reads_genotypes(&self) -> bool {
        self.genotypes
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (chosen, blocks) = (self.masks.iter().flatten().count(), self.masks.len());
        let samples = self.n_samples();
        write!(f, "blocks={chosen}/{blocks}, calls_per_variant<={samples}")?;
        if self.carriers {
            write!(f, ", carriers only")?;
        }
        Ok(())
    }
}

/// The names that filters on `sample_id` leave; `None` when they leave all.
fn chosen_samples(filters: &[Predicate]) -> Option<BTreeSet<String>> {
    filters
        .iter()
        .filter_map(samples_of)
        .reduce(|a, b| a.intersection(&b).cloned().collect())
}

fn samples_of(filter: &Predicate) -> Option<BTreeSet<String>> {
    let text = |value: &Literal| match value {
        Literal::Text(text) => Some(text.clone()),
        _ => None,
    };
    match filter {
        Predicate::Compare {
            column,
            op: Comparison::Eq,
            value,
        } if column == "sample_id" => Some([text(value)?].into()),
        Predicate::In {
            column,
            values,
            negated: false,
        } if column == "sample_id" => values.iter().map(text).collect(),
        Predicate::And(parts) => chosen_samples(parts),
        Predicate::Or(parts) => {
            let sets = parts.iter().map(samples_of).collect::<Option<Vec<_>>>()?;
            Some(sets.into_iter().flatten().collect())
        }
        _ => None,
    }
}

/// True when only a sample with at least one copy of the ALT satisfies the filter.
fn needs_carrier(filter: &Predicate) -> bool {
    let int = |value: &Literal| match value {
        Literal::Int16(value) => Some(*value),
        _ => None,
    };
    match filter {
        Predicate::Compare { column, op, value } if column == "dosage" => match (op, int(value)) {
            (Comparison::Gt, Some(value)) => value >= 0,
            (Comparison::GtEq | Comparison::Eq, Some(value)) => value > 0,
            _ => false,
        },
        Predicate::In {
            column,
            values,
            negated: false,
        } if column == "dosage" => values
            .iter()
            .all(|value| int(value).is_some_and(|value| value > 0)),
        Predicate::And(parts) => parts.iter().any(needs_carrier),
        Predicate::Or(parts) => !parts.is_empty() && parts.iter().all(needs_carrier),
        _ => false,
    }
}

/// Batches of one partition.
pub(crate) struct CallRows {
    context: Arc<ReadContext>,
    source: SiteSource,
    choice: Arc<Choice>,
    blocks: Vec<bool>,
    genotypes: Option<BlobReader>,
    format_reader: Option<BlobReader>,
    output: CallColumns,
    chunk_rows: usize,
    pending: VecDeque<SiteRows>,
    open: Option<OpenChunk>,
    ready: VecDeque<RecordBatch>,
    remaining: usize,
    names: ArrayRef,
}

impl CallRows {
    pub(crate) fn new(
        scan: &DatasetScanExec,
        choice: &Arc<Choice>,
        partition: usize,
        batch_size: usize,
        metrics: ScanMetrics,
    ) -> Result<Self> {
        let (spec, view) = (&scan.spec, &scan.view);
        let units = spec.partitions.get(partition).cloned().unwrap_or_default();
        let masked = view.masked(table_name(spec.kind));
        let stages = Stages::of(spec.kind, &spec.filters, &masked);
        let output = CallColumns::new(scan, &stages.last, masked)?;
        let context = read_context(scan, choice, stages.key, &output, batch_size, metrics)?;
        let blocks: Vec<bool> = choice.masks.iter().map(Option::is_some).collect();
        let genotypes = choice
            .genotypes
            .then(|| BlobReader::genotypes(view, &context.metrics));
        let physical = &output.physical;
        let format_reader = (!physical.is_empty())
            .then(|| BlobReader::formats(view, physical, &context.metrics))
            .flatten();
        let samples: usize = view
            .blocks
            .iter()
            .zip(&blocks)
            .filter(|(_, chosen)| **chosen)
            .map(|(block, _)| block.n_samples as usize)
            .sum();
        let row_bytes = samples / 4 + samples * FORMAT_VALUE_BYTES * physical.len();
        let chunk_rows = batch_size.min(BATCH_BLOB_BYTES / row_bytes.max(1)).max(1);
        let names: StringArray = view.directory.samples.iter().map(Some).collect();
        Ok(Self {
            source: SiteSource::new(Arc::clone(&context), units),
            choice: Arc::clone(choice),
            blocks,
            genotypes: genotypes.flatten(),
            format_reader,
            output,
            chunk_rows,
            pending: VecDeque::new(),
            open: None,
            ready: VecDeque::new(),
            remaining: spec.limit.unwrap_or(usize::MAX),
            names: Arc::new(names),
            context,
        })
    }

    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>> {
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
        }
        Ok(None)
    }

    async fn chunk(&mut self) -> Result<Option<SiteRows>> {
        loop {
            if let Some(rows) = self.pending.pop_front() {
                return Ok(Some(rows));
            }
            let Some(mut rows) = self.source.next().await? else {
                return Ok(None);
            };
            if self.choice.carriers {
                let carried = rows.sums("ac")?.iter().map(|ac| Some(ac? > 0)).collect();
                rows = rows.filter(&carried)?;
            }
            for start in (0..rows.len()).step_by(self.chunk_rows) {
                let length = self.chunk_rows.min(rows.len() - start);
                self.pending.push_back(rows.slice(start, length));
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
        let parts = parts(&rows, &members, &self.blocks);
        Ok(OpenChunk {
            identity: rows.identity()?,
            members,
            records,
            formats,
            parts,
        })
    }

    /// Makes the rows of about a batch, filters them and keeps what is left of the chunk.
    fn explode(&mut self, mut chunk: OpenChunk) -> Result<()> {
        let _timer = self.context.metrics.baseline.elapsed_compute().timer();
        let batch_size = self.context.batch_size;
        let mut rows = Exploded::default();
        while rows.len() < batch_size
            && let Some(part) = chunk.parts.pop_front()
        {
            self.push(&chunk, &part, &mut rows)?;
        }
        let batch = self
            .output
            .batch(&chunk, rows, &self.names, &self.context.view)?;
        for start in (0..batch.num_rows()).step_by(batch_size) {
            let length = batch_size.min(batch.num_rows() - start);
            self.ready.push_back(batch.slice(start, length));
        }
        if !chunk.parts.is_empty() {
            self.open = Some(chunk);
        }
        Ok(())
    }

    /// Makes the rows of one site row in one block.
    fn push(&self, chunk: &OpenChunk, part: &Part, rows: &mut Exploded) -> Result<()> {
        let view = &self.context.view;
        let (Some(block), Some(Some(mask))) = (
            view.blocks.get(part.block),
            self.choice.masks.get(part.block),
        ) else {
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
        if !self.choice.genotypes {
            mask.iter().for_each(|sample| sink.place(sample));
            return Ok(());
        }
        match chunk.members.calls(member, part.block)? {
            // Nobody carries the ALT by default.
            BlockCalls::Default(_) if self.choice.carriers => {}
            BlockCalls::Default(default) => {
                let row = GenotypeRow::of_default(block.n_samples, default);
                push_calls(&row, mask, &mut sink);
            }
            BlockCalls::Row(row, _) if self.choice.carriers => push_carriers(&row, mask, &mut sink),
            BlockCalls::Row(row, _) => push_calls(&row, mask, &mut sink),
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

fn push_calls(row: &GenotypeRow<'_>, mask: &SampleMask, sink: &mut Sink<'_>) {
    if mask.count_ones() > FEW_SAMPLES {
        row.for_each_call(Some(mask), |sample, call| sink.call(sample, &call));
        return;
    }
    for sample in mask.iter() {
        if let Some(call) = row.call(sample) {
            sink.call(sample, &call);
        }
    }
}

fn push_carriers(row: &GenotypeRow<'_>, mask: &SampleMask, sink: &mut Sink<'_>) {
    if mask.count_ones() <= FEW_SAMPLES {
        for sample in mask.iter() {
            if let Some(call) = row.call(sample)
                && call.dosage().is_some_and(|dosage| dosage > 0)
            {
                sink.call(sample, &call);
            }
        }
    } else if sink.needs.text || sink.needs.phased {
        row.for_each_call(Some(mask), |sample, call| {
            if call.dosage().is_some_and(|dosage| dosage > 0) {
                sink.call(sample, &call);
            }
        });
    } else {
        row.for_each_carrier(|sample, dosage| {
            if mask.contains(sample) {
                sink.place(sample);
                if sink.needs.dosage {
                    sink.rows.dosage.append_value(i16::from(dosage));
                }
            }
        });
    }
}

fn read_context(
    scan: &DatasetScanExec,
    choice: &Choice,
    key: Vec<Predicate>,
    output: &CallColumns,
    batch_size: usize,
    metrics: ScanMetrics,
) -> Result<Arc<ReadContext>> {
    let (spec, view) = (&scan.spec, &scan.view);
    let mut extra = MEMBER_COLUMNS.to_vec();
    if choice.carriers {
        extra.push("ac");
    }
    if !output.formats.is_empty() {
        extra.push("record");
    }
    let merge = spec
        .partitions
        .iter()
        .flatten()
        .any(|u| u.merge || u.streams.len() > 1);
    let site = |c: &&str| ["contig", "pos", "end_pos", "ref", "alt"].contains(c);
    let needed: BTreeSet<&str> = spec.columns_needed().into_iter().filter(site).collect();
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
}

/// One member row of a variant in one block.
#[derive(Clone, Copy, Default)]
struct Part {
    group: u32,
    member: usize,
    block: usize,
}

fn parts(rows: &SiteRows, members: &Members, blocks: &[bool]) -> VecDeque<Part> {
    let mut parts = VecDeque::new();
    let mut first = 0;
    for (group, place) in (0u32..).zip(0..rows.len()) {
        let of_group = members.of(place);
        for (i, member) in of_group.iter().enumerate() {
            let chosen = member
                .blocks
                .clone()
                .filter(|&block| blocks.get(block) == Some(&true));
            parts.extend(chosen.map(|block| Part {
                group,
                member: first + i,
                block,
            }));
        }
        first += of_group.len();
    }
    parts
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
    needs: CallNeeds,
    masked: BTreeSet<String>,
}

impl CallColumns {
    fn new(scan: &DatasetScanExec, last: &[Predicate], masked: BTreeSet<String>) -> Result<Self> {
        let (spec, view) = (&scan.spec, &scan.view);
        let full = sql_schema(spec.kind, view);
        let needed = spec.columns_needed();
        let formats = format_columns(&view.data.state.format, &full, &needed, &masked)?;
        let is_format = |name: &str| formats.iter().any(|f| f.name() == name);
        let wanted = full
            .fields()
            .iter()
            .filter(|f| needed.contains(f.name().as_str()));
        let (late, early): (Vec<_>, Vec<_>) = wanted.cloned().partition(|f| is_format(f.name()));
        let plain = Arc::new(Schema::new(early.clone()));
        let wide = Arc::new(Schema::new([early, late].concat()));
        let (late, early): (Vec<Predicate>, Vec<Predicate>) = last
            .iter()
            .cloned()
            .partition(|p| !p.only_columns(|c| !is_format(c)));
        let needs = |name: &str| needed.contains(name) && !masked.contains(name);
        Ok(Self {
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
                let member = rows.member[row] as usize;
                let record = chunk.records.get(member).copied().unwrap_or(usize::MAX);
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

fn passes(keep: &BooleanArray, row: usize) -> bool {
    keep.is_valid(row) && keep.value(row)
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
