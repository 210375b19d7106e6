//! Records in order to table rows in order: gives ids, orders alleles, cuts windows.
//!
//! Records come by (contig rank, vcf_pos, input order). Trimming and left-alignment move alleles
//! away from their record, so site rows wait in a heap until no later record can come before them
//! (the hold-back). Rows are never copied while they wait: a row is a chunk and an index.
//!
//! ```text
//! records ──> heap by (rank, pos, ref, alt, record) ──> vid ──┬─> site rows, 8,192 a batch
//!    │                                                        └─> genotype rows, block by block
//!    └─> format rows, windows of 4,096 records, block by block     in windows of 16,384 alleles
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;

use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use genokura_core::contig::pos_bin;
use genokura_core::schema::{format_schema, genotype_schema, site_schema};
use genokura_storage::Contig;

use crate::encode::{RecordEnd, Rows};
use crate::error::{Error, Result};
use crate::plan::Layout;

/// Alleles per window of the genotype table.
pub(crate) const WINDOW_ALLELES: usize = 16_384;
/// Records per window of the format table.
pub(crate) const WINDOW_RECORDS: usize = 4_096;
/// Rows per batch of the site table.
const SITE_ROWS: usize = 8_192;

/// Chunks that a batch of the site table picks its rows from: a bound of memory for long INFO.
const SITE_CHUNKS: usize = 128;

/// A table of a dataset that rows go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Table {
    Site,
    Genotype,
    Format,
    Quarantine,
}

/// Rows ready to be written.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) table: Table,
    /// `None` for a table without partitions.
    pub(crate) pos_bin: Option<Arc<str>>,
    pub(crate) rows: RecordBatch,
    /// The rows end a row group.
    pub(crate) ends_row_group: bool,
}

/// Why a pass over the inputs has to begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    /// A record came before its predecessor.
    Unsorted,
    /// Left-alignment moved an allele further than the hold-back.
    HoldBack,
    /// A key without a column.
    UndeclaredKey,
}

/// Contigs in the order of rows; a record's unknown contig is appended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contigs {
    pub(crate) list: Vec<Contig>,
    ranks: HashMap<String, u32>,
}

impl Contigs {
    pub(crate) fn new(list: Vec<Contig>) -> Self {
        let ranks = (0..).zip(&list).map(|(i, c)| (c.name.clone(), i)).collect();
        Self { list, ranks }
    }

    pub(crate) fn declare(&mut self, name: &str, length: Option<u64>) {
        match self.ranks.get(name) {
            Some(rank) => {
                let known = &mut self.list[*rank as usize];
                known.length = known.length.or(length);
            }
            None => {
                self.rank(name);
                if let Some(last) = self.list.last_mut() {
                    last.length = length;
                }
            }
        }
    }

    pub(crate) fn rank(&mut self, name: &str) -> u32 {
        if let Some(rank) = self.ranks.get(name) {
            return *rank;
        }
        let rank = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(Contig {
            name: name.to_owned(),
            length: None,
        });
        self.ranks.insert(name.to_owned(), rank);
        rank
    }
}

/// One record and where its rows lie.
#[derive(Debug, Clone)]
pub(crate) struct RecordRows {
    pub(crate) rank: u32,
    pub(crate) vcf_pos: i32,
    pub(crate) rows: Arc<Rows>,
    pub(crate) sites: std::ops::Range<usize>,
    pub(crate) genotypes: std::ops::Range<usize>,
    pub(crate) formats: std::ops::Range<usize>,
}

impl RecordRows {
    /// The record that ends at `end`, after one that ended at `start`.
    pub(crate) fn between(rank: u32, start: RecordEnd, end: RecordEnd, rows: &Arc<Rows>) -> Self {
        let range = |a: u32, b: u32| a as usize..b as usize;
        Self {
            rank,
            vcf_pos: end.vcf_pos,
            rows: Arc::clone(rows),
            sites: range(start.sites, end.sites),
            genotypes: range(start.genotypes, end.genotypes),
            formats: range(start.formats, end.formats),
        }
    }
}

/// A site row that waits for its turn. Rows are ordered by contig, pos, ref, alt (none first), record
/// and number of the ALT; nothing of them is copied.
#[derive(Debug, Clone)]
struct Waiting {
    rank: u32,
    pos: i32,
    record: i64,
    alt_index: usize,
    rows: Arc<Rows>,
    site: usize,
    genotypes: std::ops::Range<usize>,
}

impl Waiting {
    fn alleles(&self) -> (&str, Option<&str>) {
        let order = &self.rows.order;
        let alternate = order.alternate.is_valid(self.site);
        let alternate = alternate.then(|| order.alternate.value(self.site));
        (order.reference.value(self.site), alternate)
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.rank, self.pos)
            .cmp(&(other.rank, other.pos))
            .then_with(|| self.alleles().cmp(&other.alleles()))
            .then_with(|| (self.record, self.alt_index).cmp(&(other.record, other.alt_index)))
    }
}

/// See the head of the file.
pub(crate) struct Assembler<'a> {
    pub(crate) contigs: Contigs,
    emit: &'a mut dyn FnMut(Output) -> Result<()>,
    first_id: i64,
    n_records: i64,
    n_rows: i64,
    hold_back: i32,
    waiting: BinaryHeap<Reverse<Waiting>>,
    last: (u32, i32),
    /// The row that was released last.
    last_row: Option<Waiting>,
    bins: Bins,
    sites: Gather,
    genotypes: Window,
    formats: Window,
    window_bytes: usize,
}

impl<'a> Assembler<'a> {
    /// `hold_back`: bases that an allele may move left. `window_bytes`: a window of blobs ends
    /// early when it holds more than that.
    pub(crate) fn new(
        layout: &Layout,
        contigs: Contigs,
        batch: u32,
        hold_back: i32,
        window_bytes: usize,
        emit: &'a mut dyn FnMut(Output) -> Result<()>,
    ) -> Self {
        Self {
            contigs,
            emit,
            first_id: i64::from(batch) << 40,
            n_records: 0,
            n_rows: 0,
            hold_back,
            waiting: BinaryHeap::new(),
            last: (0, i32::MIN),
            last_row: None,
            bins: Bins::default(),
            sites: Gather::new(Table::Site, site_schema(&layout.info)),
            genotypes: Window::new(Table::Genotype, genotype_schema(), WINDOW_ALLELES),
            formats: Window::new(Table::Format, format_schema(&layout.format), WINDOW_RECORDS),
            window_bytes,
        }
    }

    /// Rows of the site table so far.
    pub(crate) fn n_rows(&self) -> u64 {
        self.n_rows.unsigned_abs()
    }

    /// Records so far.
    pub(crate) fn n_records(&self) -> u64 {
        self.n_records.unsigned_abs()
    }

    /// Takes the next record; `Some` when the pass cannot go on.
    pub(crate) fn record(&mut self, record: &RecordRows) -> Result<Option<Restart>> {
        let place = (record.rank, record.vcf_pos);
        if place < self.last {
            return Ok(Some(Restart::Unsorted));
        }
        self.last = place;
        let id = self.first_id + self.n_records;
        self.n_records += 1;
        if self.n_records >= 1 << 40 {
            return Err(Error::Request(
                "more than 2^40 records in one job; split the inputs".to_owned(),
            ));
        }
        self.release_before((record.rank, record.vcf_pos.saturating_sub(self.hold_back)))?;
        self.queue(record, id)?;
        self.formats(record, id)?;
        let overtaken = self
            .waiting
            .peek()
            .is_some_and(|Reverse(first)| self.last_row.as_ref().is_some_and(|last| first < last));
        Ok(overtaken.then_some(Restart::HoldBack))
    }

    /// Writes what still waits.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.release_before((u32::MAX, i32::MAX))?;
        self.sites.flush(&mut self.emit)?;
        self.genotypes.flush(&mut self.emit)?;
        self.formats.flush(&mut self.emit)
    }

    fn queue(&mut self, record: &RecordRows, id: i64) -> Result<()> {
        let alts = record.rows.genotype_alts.get(record.genotypes.clone());
        let alts = alts.ok_or_else(|| Error::Internal("genotype rows without ALT".to_owned()))?;
        let mut cells = record.genotypes.start;
        for (i, site) in record.sites.clone().enumerate() {
            // Cells come ALT by ALT, and within one ALT the block rises.
            let own = alts[cells - record.genotypes.start..].iter();
            let n_cells = own
                .take_while(|alt| usize::from((**alt).max(1)) == i + 1)
                .count();
            let genotypes = cells..cells + n_cells;
            cells += n_cells;
            self.waiting.push(Reverse(Waiting {
                rank: record.rank,
                pos: record.rows.order.pos.value(site),
                record: id,
                alt_index: i,
                rows: Arc::clone(&record.rows),
                site,
                genotypes,
            }));
        }
        if cells != record.genotypes.end {
            return Err(Error::Internal("genotype rows of no ALT".to_owned()));
        }
        Ok(())
    }

    fn release_before(&mut self, bound: (u32, i32)) -> Result<()> {
        while self
            .waiting
            .peek()
            .is_some_and(|Reverse(w)| (w.rank, w.pos) < bound)
        {
            let Some(Reverse(next)) = self.waiting.pop() else {
                break;
            };
            self.release(next)?;
        }
        Ok(())
    }

    fn release(&mut self, next: Waiting) -> Result<()> {
        let vid = self.first_id + self.n_rows;
        self.n_rows += 1;
        let bin = self.bins.of(&self.contigs, next.rank, next.pos);
        self.sites.turn(&bin, &mut self.emit)?;
        self.sites
            .push(&next.rows, &next.rows.sites, next.site, &[vid, next.record]);
        if self.sites.len() >= SITE_ROWS || self.sites.batches.len() >= SITE_CHUNKS {
            self.sites.flush(&mut self.emit)?;
        }
        self.genotypes.turn(&bin, &mut self.emit)?;
        self.genotypes.begin_item();
        let blobs = &next.rows.genotypes;
        for cell in next.genotypes.clone() {
            self.genotypes.push(&next.rows, blobs, cell, vid)?;
        }
        self.last_row = Some(next);
        self.genotypes
            .flush_if_full(self.window_bytes, &mut self.emit)
    }

    fn formats(&mut self, record: &RecordRows, id: i64) -> Result<()> {
        if record.formats.is_empty() {
            return Ok(());
        }
        let bin = self.bins.of(&self.contigs, record.rank, record.vcf_pos);
        self.formats.turn(&bin, &mut self.emit)?;
        self.formats.begin_item();
        for row in record.formats.clone() {
            self.formats
                .push(&record.rows, &record.rows.formats, row, id)?;
        }
        self.formats
            .flush_if_full(self.window_bytes, &mut self.emit)
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch
        .column_by_name(name)
        .ok_or_else(|| Error::Internal(format!("column {name} is missing")))
}

/// The partition of a position; asked for every row, changes rarely.
#[derive(Default)]
struct Bins {
    known: HashMap<(u32, i32), Arc<str>>,
}

impl Bins {
    fn of(&mut self, contigs: &Contigs, rank: u32, pos: i32) -> Arc<str> {
        let key = (rank, pos.max(0) >> 26);
        let bin = self.known.entry(key).or_insert_with(|| {
            let contig = &contigs.list[rank as usize];
            pos_bin(&contig.name, contig.length, pos).into()
        });
        Arc::clone(bin)
    }
}

type Emit<'a> = &'a mut dyn FnMut(Output) -> Result<()>;

/// Rows picked from chunks, to be copied together.
struct Gather {
    table: Table,
    schema: SchemaRef,
    bin: Option<Arc<str>>,
    batches: Vec<RecordBatch>,
    /// Chunk of the last batch. Only its one table is kept, not the whole chunk.
    last_chunk: Option<u64>,
    picks: Vec<(usize, usize)>,
    /// Values of the id columns, which come first.
    ids: Vec<Vec<i64>>,
}

impl Gather {
    fn new(table: Table, schema: SchemaRef) -> Self {
        Self {
            table,
            schema,
            bin: None,
            batches: Vec::new(),
            last_chunk: None,
            picks: Vec::new(),
            ids: Vec::new(),
        }
    }

    fn len(&self) -> usize {
        self.picks.len()
    }

    fn push(&mut self, rows: &Rows, batch: &RecordBatch, row: usize, ids: &[i64]) {
        if self.last_chunk != Some(rows.id) {
            self.batches.push(batch.clone());
            self.last_chunk = Some(rows.id);
        }
        self.picks.push((self.batches.len() - 1, row));
        self.ids.resize_with(ids.len(), Vec::new);
        for (column, id) in self.ids.iter_mut().zip(ids) {
            column.push(*id);
        }
    }

    /// Writes what is there when the partition changes.
    fn turn(&mut self, bin: &Arc<str>, emit: &mut Emit<'_>) -> Result<()> {
        if self.bin.as_ref() != Some(bin) {
            self.flush(emit)?;
            self.bin = Some(Arc::clone(bin));
        }
        Ok(())
    }

    fn take(&mut self) -> Result<RecordBatch> {
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let rows = interleave_record_batch(&batches, &self.picks)?;
        let ids = self
            .ids
            .iter_mut()
            .map(|ids| Arc::new(Int64Array::from(std::mem::take(ids))) as ArrayRef);
        let columns = ids.chain(rows.columns().iter().cloned()).collect();
        self.batches.clear();
        self.last_chunk = None;
        self.picks.clear();
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    fn flush(&mut self, emit: &mut Emit<'_>) -> Result<()> {
        if self.picks.is_empty() {
            return Ok(());
        }
        let rows = self.take()?;
        emit(Output {
            table: self.table,
            pos_bin: self.bin.clone(),
            rows,
            ends_row_group: false,
        })
    }
}

/// A window of blob rows, written block by block.
struct Window {
    table: Table,
    schema: SchemaRef,
    bin: Option<Arc<str>>,
    items_max: usize,
    items: usize,
    bytes: usize,
    blocks: BTreeMap<i32, Gather>,
}

impl Window {
    fn new(table: Table, schema: SchemaRef, items_max: usize) -> Self {
        Self {
            table,
            schema,
            bin: None,
            items_max,
            items: 0,
            bytes: 0,
            blocks: BTreeMap::new(),
        }
    }

    /// One more allele or record, whether it has rows or not.
    fn begin_item(&mut self) {
        self.items += 1;
    }

    fn push(&mut self, rows: &Rows, batch: &RecordBatch, row: usize, id: i64) -> Result<()> {
        let block = column(batch, "block")?
            .as_primitive::<Int32Type>()
            .value(row);
        let gather = self
            .blocks
            .entry(block)
            .or_insert_with(|| Gather::new(self.table, Arc::clone(&self.schema)));
        gather.push(rows, batch, row, &[id]);
        let blobs = batch
            .columns()
            .iter()
            .filter_map(|c| c.as_binary_opt::<i32>());
        self.bytes += blobs
            .map(|c| usize::try_from(c.value_length(row)).unwrap_or(0))
            .sum::<usize>();
        Ok(())
    }

    fn turn(&mut self, bin: &Arc<str>, emit: &mut Emit<'_>) -> Result<()> {
        if self.bin.as_ref() != Some(bin) {
            self.flush(emit)?;
            self.bin = Some(Arc::clone(bin));
        }
        Ok(())
    }

    fn flush_if_full(&mut self, bytes_max: usize, emit: &mut Emit<'_>) -> Result<()> {
        if self.items >= self.items_max || self.bytes > bytes_max {
            self.flush(emit)?;
        }
        Ok(())
    }

    fn flush(&mut self, emit: &mut Emit<'_>) -> Result<()> {
        (self.items, self.bytes) = (0, 0);
        for gather in self.blocks.values_mut().filter(|g| g.len() > 0) {
            let (rows, pos_bin) = (gather.take()?, self.bin.clone());
            emit(Output {
                table: self.table,
                pos_bin,
                rows,
                ends_row_group: true,
            })?;
        }
        Ok(())
    }
}
