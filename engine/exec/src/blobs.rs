//! Blobs by id and block: the rows of the genotype or format table that surviving site rows ask for.
//!
//! Ids are asked for in rising order, so files, row groups and pages without any of them are never read. A row group
//! that is small or wanted for the most part is decoded as a whole and kept for whoever asks next: see [`decoded`].

mod decoded;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, AsArray, BinaryViewArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};
use datafusion::physical_plan::metrics::Count;
use futures::StreamExt as _;
use genokura_core::Result as CodecResult;
use genokura_core::codec::GenotypeRow;
use genokura_storage::{DataFile, FileReader, ReadPlan, RowGroup, TableSnapshot};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use crate::dataset::DatasetView;
use crate::error::{Error, Result};
use crate::metrics::ScanMetrics;
use crate::source::{SiteRows, column};

/// Id column of the genotype table.
const VID: &str = "vid";
/// Rows of a batch of blobs when pages are picked.
const BATCH_ROWS: usize = 4_096;
/// Rows of a batch when whole row groups are read, at most.
const GROUP_ROWS: usize = 65_536;
/// A row group of one page that decodes to no more than this is read as a whole.
const SMALL_BYTES: u64 = 1 << 20;
/// Row groups that together decode to no more than this are read as a whole when most of their rows are wanted.
const WHOLE_BYTES: u64 = 32 << 20;
/// Bytes of decoded blobs that a chunk of site rows should not go beyond.
const CHUNK_BYTES: u64 = 32 << 20;
/// A blob that the table does not have.
const ABSENT: u32 = u32::MAX;

/// One id and the blocks it is wanted in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) id: i64,
    /// Places in [`DatasetView::blocks`].
    pub(crate) blocks: Range<usize>,
}

/// Reads blobs of one table.
pub(crate) struct BlobReader {
    view: Arc<DatasetView>,
    table: Arc<TableSnapshot>,
    id_column: &'static str,
    /// Id, block, then the blob columns.
    schema: SchemaRef,
    metrics: ScanMetrics,
    rows_read: Count,
    /// Names of the columns of `schema`.
    columns: Arc<[String]>,
}

/// What was found. Blobs are views into decoded pages, which live as long as this.
pub(crate) struct Blobs {
    batches: Vec<FoundBatch>,
    /// What was found, in the order in which row groups were read.
    hits: Vec<Hit>,
    /// First slot of each wanted id, and where its blocks begin.
    starts: Vec<(usize, usize)>,
    /// Number of slots: one for each wanted id and block.
    n_slots: usize,
    /// The hit of each slot; made when somebody asks by id and block.
    slots: OnceLock<Vec<u32>>,
}

/// Blob columns of a batch.
struct FoundBatch {
    columns: Vec<BinaryViewArray>,
    /// Those of the first are genotype rows that were checked.
    checked: bool,
}

/// A row of the table that was wanted.
#[derive(Clone, Copy, Debug)]
struct Hit {
    wanted: u32,
    block: u32,
    batch: u32,
    row: u32,
}

/// A genotype row as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredRow<'a> {
    bytes: &'a [u8],
    checked: bool,
}

impl<'a> StoredRow<'a> {
    /// The bytes as they are stored.
    #[inline]
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes, if they are known to be a row.
    #[inline]
    pub(crate) fn checked(&self) -> Option<&'a [u8]> {
        self.checked.then_some(self.bytes)
    }

    /// The row.
    ///
    /// # Errors
    /// When the bytes are none.
    #[inline]
    pub(crate) fn read(&self) -> CodecResult<GenotypeRow<'a>> {
        match self.checked {
            true => GenotypeRow::trusted(self.bytes),
            false => GenotypeRow::parse(self.bytes),
        }
    }
}

impl Blobs {
    /// No blobs at all.
    pub(crate) fn none() -> Self {
        Self {
            batches: Vec::new(),
            hits: Vec::new(),
            starts: Vec::new(),
            n_slots: 0,
            slots: OnceLock::new(),
        }
    }

    /// The blob of the `wanted`th id in a block; `None` when the table has no such row or value.
    pub(crate) fn get(&self, wanted: usize, block: usize, column: usize) -> Option<&[u8]> {
        self.value(self.hit(wanted, block)?, column)
    }

    #[inline]
    fn hit(&self, wanted: usize, block: usize) -> Option<&Hit> {
        let (start, first) = *self.starts.get(wanted)?;
        let slots = self.slots.get_or_init(|| self.index());
        let hit = *slots.get(start + block.checked_sub(first)?)?;
        self.hits.get(hit as usize)
    }

    /// Every row that was found: the place of its id among the wanted, and its block.
    ///
    /// A row group has ids rising in one block; row groups that were decoded before come first, then those that are
    /// read as a whole, then those of which pages are picked.
    pub(crate) fn hits(&self) -> impl Iterator<Item = (usize, usize)> {
        let hits = self.hits.iter();
        hits.map(|hit| (hit.wanted as usize, hit.block as usize))
    }

    /// The genotype row of the `number`th of [`Blobs::hits`]; `None` without a value.
    #[inline]
    pub(crate) fn stored_row(&self, number: usize) -> Option<StoredRow<'_>> {
        self.row_of(self.hits.get(number)?)
    }

    /// The genotype row of the `wanted`th id in a block; `None` when the table has no such row or value.
    #[inline]
    pub(crate) fn stored(&self, wanted: usize, block: usize) -> Option<StoredRow<'_>> {
        self.row_of(self.hit(wanted, block)?)
    }

    #[inline]
    fn row_of(&self, hit: &Hit) -> Option<StoredRow<'_>> {
        let batch = self.batches.get(hit.batch as usize)?;
        let (array, row) = (batch.columns.first()?, hit.row as usize);
        array.is_valid(row).then(|| StoredRow {
            bytes: array.value(row),
            checked: batch.checked,
        })
    }

    #[inline]
    fn value(&self, hit: &Hit, column: usize) -> Option<&[u8]> {
        let array = self.batches.get(hit.batch as usize)?.columns.get(column)?;
        let row = hit.row as usize;
        array.is_valid(row).then(|| array.value(row))
    }

    fn index(&self) -> Vec<u32> {
        let mut slots = vec![ABSENT; self.n_slots];
        for (number, hit) in (0u32..).zip(&self.hits) {
            let (start, first) = self.starts[hit.wanted as usize];
            slots[start + hit.block as usize - first] = number;
        }
        slots
    }
}

impl BlobReader {
    /// A reader of the genotype table.
    pub(crate) fn genotypes(view: &Arc<DatasetView>, metrics: &ScanMetrics) -> Option<Self> {
        let table = view.data.genotype.as_ref()?;
        let rows = metrics.genotype_rows.clone();
        Some(Self::new(
            view,
            table,
            VID,
            &["gt".to_owned()],
            metrics,
            rows,
        ))
    }

    /// A reader of some columns of the format table.
    pub(crate) fn formats(
        view: &Arc<DatasetView>,
        columns: &[String],
        metrics: &ScanMetrics,
    ) -> Option<Self> {
        let table = view.data.format.as_ref()?;
        let rows = metrics.format_rows.clone();
        Some(Self::new(view, table, "record", columns, metrics, rows))
    }

    fn new(
        view: &Arc<DatasetView>,
        table: &Arc<TableSnapshot>,
        id_column: &'static str,
        columns: &[String],
        metrics: &ScanMetrics,
        rows_read: Count,
    ) -> Self {
        let mut fields = vec![
            Field::new(id_column, DataType::Int64, true),
            Field::new("block", DataType::Int32, true),
        ];
        fields.extend(
            columns
                .iter()
                .map(|c| Field::new(c, DataType::Binary, true)),
        );
        let columns = fields.iter().map(|field| field.name().clone()).collect();
        Self {
            view: Arc::clone(view),
            table: Arc::clone(table),
            id_column,
            schema: Arc::new(Schema::new(fields)),
            metrics: metrics.clone(),
            rows_read,
            columns,
        }
    }

    /// The blobs of ids in rising order, each in its blocks as far as `blocks` says true of them.
    pub(crate) async fn read(&self, wanted: &[Wanted], blocks: &[bool]) -> Result<Blobs> {
        let mut found = Found::new(self, wanted, blocks);
        for file in &self.table.files {
            if found.touches_file(file) {
                self.read_file(file, &mut found).await?;
            }
        }
        Ok(found.blobs)
    }

    async fn read_file(&self, file: &DataFile, found: &mut Found<'_>) -> Result<()> {
        let store = self.metrics.store(self.view.data.lake());
        let reader = FileReader::open_at(store, file).await?;
        let touched: Vec<RowGroup<'_>> = reader
            .row_groups()
            .filter(|group| found.touches_group(group))
            .collect();
        let bytes: u64 = touched.iter().map(|group| self.bytes(group)).sum();
        let wanted = (found.wanted.first(), found.wanted.last());
        let (Some(first), Some(last)) = (wanted.0.map(|w| w.id), wanted.1.map(|w| w.id)) else {
            return Ok(());
        };
        let (mut whole, mut picked) = (Vec::new(), Vec::new());
        let mut selectors: Vec<RowSelector> = Vec::new();
        for group in touched {
            if let Some(group) = decoded::get(&self.key(file, group.index)) {
                for batch in group.between(first, last) {
                    self.rows_read.add(batch.num_rows());
                    found.take(&batch, group.checked())?;
                }
                continue;
            }
            let pages = reader.pages_where(group.index, self.id_column, |min, max| {
                found.any_id(min, max)
            });
            let selected = u64::try_from(pages.row_count()).unwrap_or(u64::MAX);
            let most = bytes <= WHOLE_BYTES && selected * 2 > group.rows();
            if selected == 0 {
                continue;
            }
            // Where all blobs stand in one page, all of them are decoded for any.
            if most || (self.bytes(&group) <= SMALL_BYTES && self.is_one_page(&reader, &group)) {
                whole.push((group.index, group.rows()));
            } else {
                picked.push(group.index);
                selectors.extend(Vec::from(pages));
            }
        }
        self.read_whole(&reader, file, whole, found).await?;
        if picked.is_empty() {
            return Ok(());
        }
        let plan = ReadPlan {
            row_groups: Some(picked),
            selection: Some(RowSelection::from(selectors)),
            batch_size: BATCH_ROWS,
            ..ReadPlan::of(Arc::clone(&self.schema))
        };
        let mut stream = reader.read(plan)?;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            self.rows_read.add(batch.num_rows());
            found.take(&batch, false)?;
        }
        Ok(())
    }

    /// Reads row groups, of which number and rows are given, as a whole.
    async fn read_whole(
        &self,
        reader: &FileReader,
        file: &DataFile,
        groups: Vec<(usize, u64)>,
        found: &mut Found<'_>,
    ) -> Result<()> {
        if groups.is_empty() {
            return Ok(());
        }
        // Arrays are as large as a batch may be, full or not, and the decoded row groups are kept.
        let most = groups.iter().map(|(_, rows)| *rows).max().unwrap_or(0);
        let plan = ReadPlan {
            row_groups: Some(groups.iter().map(|(group, _)| *group).collect()),
            batch_size: usize::try_from(most).map_or(GROUP_ROWS, |most| most.min(GROUP_ROWS)),
            ..ReadPlan::of(Arc::clone(&self.schema))
        };
        let genotypes = self.id_column == VID;
        let mut stream = reader.read(plan)?;
        for (group, rows) in groups {
            let (mut batches, mut got) = (Vec::new(), 0);
            // A batch is of one row group.
            while got < rows
                && let Some(batch) = stream.next().await
            {
                let batch = batch?;
                got += batch.num_rows() as u64;
                self.rows_read.add(batch.num_rows());
                found.take(&batch, false)?;
                batches.push(batch);
            }
            if got != rows {
                let what = format!("row group {group} has {got} rows, its footer says {rows}");
                return Err(Error::damaged(self.table.id.to_string(), what));
            }
            decoded::keep(
                self.key(file, group),
                decoded::Group::new(batches, genotypes),
            );
        }
        Ok(())
    }

    fn is_one_page(&self, reader: &FileReader, group: &RowGroup<'_>) -> bool {
        let mut blobs = self.columns.iter().skip(2);
        blobs.all(|column| {
            reader
                .pages(group.index, column)
                .is_none_or(|pages| pages <= 1)
        })
    }

    fn key(&self, file: &DataFile, group: usize) -> decoded::Key {
        decoded::Key {
            path: file.path.clone(),
            group,
            columns: Arc::clone(&self.columns),
        }
    }

    /// Bytes of a row group when decoded.
    fn bytes(&self, group: &RowGroup<'_>) -> u64 {
        let names = self.schema.fields().iter().skip(2);
        names.map(|f| group.decoded_bytes(f.name())).sum()
    }

    /// How many of these site rows have about as many bytes of blobs as a chunk may.
    async fn rows_at_once(&self, rows: &SiteRows, blocks: &[bool]) -> Result<usize> {
        let ids = rows.column(self.id_column)?.as_primitive::<Int64Type>();
        let (Some(first), Some(last)) = (min(ids), max(ids)) else {
            return Ok(rows.len());
        };
        let rows = rows.len();
        let wanted = [first, last].map(|id| Wanted {
            id,
            blocks: 0..self.view.blocks.len(),
        });
        let found = Found::new(self, &wanted, blocks);
        let mut bytes = 0u128;
        for file in &self.table.files {
            let overlaps =
                |ids: Option<(i64, i64)>| ids.is_none_or(|(min, max)| min <= last && first <= max);
            if !overlaps(file.stats.int_range(self.id_column)) {
                continue;
            }
            let store = self.metrics.store(self.view.data.lake());
            let reader = FileReader::open_at(store, file).await?;
            for group in reader.row_groups() {
                let ids = group.int_range(self.id_column);
                if !overlaps(ids) || !found.touches_blocks(group.int_range("block")) {
                    continue;
                }
                let of_group = u128::from(self.bytes(&group));
                bytes += ids.map_or(of_group, |(min, max)| {
                    let common = max.min(last).abs_diff(min.max(first)) + 1;
                    of_group * u128::from(common) / u128::from(max.abs_diff(min) + 1)
                });
            }
        }
        let fit = (rows as u128 * u128::from(CHUNK_BYTES)).checked_div(bytes);
        Ok(fit.map_or(rows, |fit| {
            usize::try_from(fit).unwrap_or(rows).clamp(1, rows.max(1))
        }))
    }
}

/// Cuts site rows into chunks of at most `size` variants, whose blobs fit into memory.
pub(crate) async fn chunks(
    rows: SiteRows,
    readers: [Option<&BlobReader>; 2],
    blocks: &[bool],
    size: usize,
) -> Result<VecDeque<SiteRows>> {
    let mut size = size.max(1);
    for reader in readers.into_iter().flatten() {
        size = size.min(reader.rows_at_once(&rows, blocks).await?.max(1));
    }
    let starts = (0..rows.len()).step_by(size);
    Ok(starts
        .map(|start| rows.slice(start, size.min(rows.len() - start)))
        .collect())
}

/// Matches rows with what is wanted.
struct Found<'a> {
    reader: &'a BlobReader,
    wanted: &'a [Wanted],
    blocks: &'a [bool],
    /// Smallest and largest wanted block number.
    block_range: Option<(i64, i64)>,
    blobs: Blobs,
}

impl<'a> Found<'a> {
    fn new(reader: &'a BlobReader, wanted: &'a [Wanted], blocks: &'a [bool]) -> Self {
        let mut starts = Vec::with_capacity(wanted.len());
        let mut slots = 0;
        for want in wanted {
            starts.push((slots, want.blocks.start));
            slots += want.blocks.len();
        }
        let number = |place: usize| reader.view.blocks.get(place).map(|b| i64::from(b.block));
        let from = wanted.iter().map(|w| w.blocks.start).min();
        let to = wanted.iter().map(|w| w.blocks.end).max();
        let places = from.unwrap_or(0)..to.unwrap_or(0);
        let mut numbers = places
            .filter(|&p| blocks.get(p) == Some(&true))
            .filter_map(number)
            .collect::<Vec<_>>();
        numbers.sort_unstable();
        let block_range = numbers.first().copied().zip(numbers.last().copied());
        let blobs = Blobs {
            starts,
            n_slots: slots,
            ..Blobs::none()
        };
        Self {
            reader,
            wanted,
            blocks,
            block_range,
            blobs,
        }
    }

    fn touches_file(&self, file: &DataFile) -> bool {
        self.touches(
            file.stats.int_range(self.reader.id_column),
            file.stats.int_range("block"),
        )
    }

    fn touches_group(&self, group: &RowGroup<'_>) -> bool {
        self.touches(
            group.int_range(self.reader.id_column),
            group.int_range("block"),
        )
    }

    fn touches(&self, ids: Option<(i64, i64)>, blocks: Option<(i64, i64)>) -> bool {
        self.touches_blocks(blocks) && ids.is_none_or(|(min, max)| self.any_id(min, max))
    }

    fn touches_blocks(&self, blocks: Option<(i64, i64)>) -> bool {
        self.block_range.is_some_and(|(first, last)| {
            blocks.is_none_or(|(min, max)| min <= last && first <= max)
        })
    }

    fn any_id(&self, min: i64, max: i64) -> bool {
        let at = self.wanted.partition_point(|w| w.id < min);
        self.wanted.get(at).is_some_and(|w| w.id <= max)
    }

    /// Notes the rows of a batch that are wanted.
    fn take(&mut self, batch: &RecordBatch, checked: bool) -> Result<()> {
        let ids = column(batch, self.reader.id_column)?.as_primitive::<Int64Type>();
        let numbers = column(batch, "block")?.as_primitive::<Int32Type>();
        let place = count_u32(self.blobs.batches.len())?;
        let before = self.blobs.hits.len();
        let mut walk = Walk::default();
        for (row, (&id, &number)) in (0u32..).zip(ids.values().iter().zip(numbers.values())) {
            let Some(at) = walk.find(self.wanted, id) else {
                continue;
            };
            let Some((block, chosen)) = walk.block(&self.reader.view, self.blocks, number) else {
                let what = format!("{} {id} names block {number}", self.reader.id_column);
                return Err(Error::damaged(self.reader.table.id.to_string(), what));
            };
            if chosen && self.wanted[at].blocks.contains(&block) {
                self.blobs.hits.push(Hit {
                    wanted: count_u32(at)?,
                    block: count_u32(block)?,
                    batch: place,
                    row,
                });
            }
        }
        if self.blobs.hits.len() > before {
            let columns = batch.columns().iter().skip(2);
            let columns = columns.map(|c| c.as_binary_view().clone()).collect();
            self.blobs.batches.push(FoundBatch { columns, checked });
        }
        Ok(())
    }
}

/// A number of things in memory.
fn count_u32(n: usize) -> Result<u32> {
    u32::try_from(n).map_err(|_| Error::Internal("too many blobs at once".into()))
}

/// Remembers the last place, since ids rise and blocks repeat.
#[derive(Default)]
struct Walk {
    at: usize,
    last: Option<i64>,
    block: Option<(i32, usize, bool)>,
}

impl Walk {
    #[inline]
    fn find(&mut self, wanted: &[Wanted], id: i64) -> Option<usize> {
        match wanted.get(self.at) {
            Some(near) if self.last.is_some_and(|last| last <= id) && near.id <= id => {
                // Ids are different and rise: this far from the last place at most, and exactly so in a run of ids.
                let far = usize::try_from(id - near.id).unwrap_or(usize::MAX);
                let far = self.at.saturating_add(far);
                self.at = match wanted.get(far) {
                    Some(there) if there.id == id => far,
                    _ => {
                        let rest = wanted.get(self.at..=far).or(wanted.get(self.at..));
                        self.at + rest.unwrap_or_default().partition_point(|w| w.id < id)
                    }
                };
            }
            Some(_) if self.last.is_some_and(|last| last <= id) => {}
            _ => self.at = wanted.partition_point(|w| w.id < id),
        }
        self.last = Some(id);
        wanted.get(self.at).filter(|w| w.id == id).map(|_| self.at)
    }

    /// The place of a block, and whether it is chosen.
    #[inline]
    fn block(&mut self, view: &DatasetView, chosen: &[bool], number: i32) -> Option<(usize, bool)> {
        if let Some((last, place, chosen)) = self.block
            && last == number
        {
            return Some((place, chosen));
        }
        let place = view
            .blocks
            .binary_search_by_key(&number, |b| b.block)
            .ok()?;
        let chosen = chosen.get(place) == Some(&true);
        self.block = Some((number, place, chosen));
        Some((place, chosen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_are_found_where_they_stand(
            wanted in prop::collection::btree_set(0i64..60, 0..40),
            asked in prop::collection::vec(0i64..70, 0..60),
            ascending in any::<bool>(),
        ) {
            let ids: Vec<i64> = wanted.into_iter().collect();
            let wanted: Vec<Wanted> = ids.iter().map(|&id| Wanted { id, blocks: 0..1 }).collect();
            let mut asked = asked;
            if ascending {
                asked.sort_unstable();
            }
            let mut walk = Walk::default();
            for id in asked {
                prop_assert_eq!(walk.find(&wanted, id), ids.binary_search(&id).ok(), "{}", id);
            }
        }
    }
}
