//! Blobs by id and block: the rows of the genotype or format table that surviving site rows ask for.
//!
//! Ids are asked for in rising order, so files, row groups and pages without any of them are never read.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryViewArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef};
use datafusion::physical_plan::metrics::Count;
use futures::StreamExt as _;
use genokura_storage::{DataFile, FileReader, ReadPlan, TableSnapshot};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use crate::dataset::DatasetView;
use crate::error::{Error, Result};
use crate::metrics::ScanMetrics;
use crate::source::column;

/// Rows of a batch of blobs.
const BATCH_ROWS: usize = 4_096;
/// A blob that the table does not have.
const ABSENT: (u32, u32) = (u32::MAX, 0);

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
}

/// What was found. Blobs are views into decoded pages, which live as long as this.
pub(crate) struct Blobs {
    /// Blob columns of each batch.
    batches: Vec<Vec<BinaryViewArray>>,
    /// Batch and row per wanted id and block.
    slots: Vec<(u32, u32)>,
    /// First slot of each wanted id, and where its blocks begin.
    starts: Vec<(usize, usize)>,
}

impl Blobs {
    /// No blobs at all.
    pub(crate) fn none() -> Self {
        Self {
            batches: Vec::new(),
            slots: Vec::new(),
            starts: Vec::new(),
        }
    }

    /// The blob of the `wanted`th id in a block; `None` when the table has no such row or value.
    pub(crate) fn get(&self, wanted: usize, block: usize, column: usize) -> Option<&[u8]> {
        let (start, first) = *self.starts.get(wanted)?;
        let (batch, row) = *self.slots.get(start + block.checked_sub(first)?)?;
        let array = self.batches.get(batch as usize)?.get(column)?;
        array
            .is_valid(row as usize)
            .then(|| array.value(row as usize))
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
            "vid",
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
        Self {
            view: Arc::clone(view),
            table: Arc::clone(table),
            id_column,
            schema: Arc::new(Schema::new(fields)),
            metrics: metrics.clone(),
            rows_read,
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
        let mut groups = Vec::new();
        let mut selectors: Vec<RowSelector> = Vec::new();
        for group in reader.row_groups() {
            let ids = group.int_range(self.id_column);
            if !found.touches(ids, group.int_range("block")) {
                continue;
            }
            let pages = reader.pages_where(group.index, self.id_column, |min, max| {
                found.any_id(min, max)
            });
            if pages.selects_any() {
                groups.push(group.index);
                selectors.extend(Vec::from(pages));
            }
        }
        if groups.is_empty() {
            return Ok(());
        }
        let plan = ReadPlan {
            row_groups: Some(groups),
            selection: Some(RowSelection::from(selectors)),
            batch_size: BATCH_ROWS,
            ..ReadPlan::of(Arc::clone(&self.schema))
        };
        let mut stream = reader.read(plan)?;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            self.rows_read.add(batch.num_rows());
            found.take(&batch)?;
        }
        Ok(())
    }
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
            batches: Vec::new(),
            slots: vec![ABSENT; slots],
            starts,
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

    fn touches(&self, ids: Option<(i64, i64)>, blocks: Option<(i64, i64)>) -> bool {
        let Some((first, last)) = self.block_range else {
            return false;
        };
        blocks.is_none_or(|(min, max)| min <= last && first <= max)
            && ids.is_none_or(|(min, max)| self.any_id(min, max))
    }

    fn any_id(&self, min: i64, max: i64) -> bool {
        let at = self.wanted.partition_point(|w| w.id < min);
        self.wanted.get(at).is_some_and(|w| w.id <= max)
    }

    /// Notes the rows of a batch that are wanted.
    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let ids = column(batch, self.reader.id_column)?.as_primitive::<Int64Type>();
        let numbers = column(batch, "block")?.as_primitive::<Int32Type>();
        let place = u32::try_from(self.blobs.batches.len())
            .map_err(|_| Error::Internal("too many batches of blobs".into()))?;
        let mut any = false;
        let mut walk = Walk::default();
        for (row, (&id, &number)) in (0u32..).zip(ids.values().iter().zip(numbers.values())) {
            let Some(at) = walk.find(self.wanted, id) else {
                continue;
            };
            let Some(block) = walk.block(&self.reader.view, number) else {
                let what = format!("{} {id} names block {number}", self.reader.id_column);
                return Err(Error::damaged(self.reader.table.id.to_string(), what));
            };
            if self.blocks.get(block) == Some(&true) && self.wanted[at].blocks.contains(&block) {
                let (start, first) = self.blobs.starts[at];
                self.blobs.slots[start + block - first] = (place, row);
                any = true;
            }
        }
        if any {
            let columns = batch.columns().iter().skip(2);
            let columns = columns.map(|c| c.as_binary_view().clone()).collect();
            self.blobs.batches.push(columns);
        }
        Ok(())
    }
}

/// Remembers the last place, since ids rise and blocks repeat.
#[derive(Default)]
struct Walk {
    at: usize,
    last: Option<i64>,
    block: Option<(i32, usize)>,
}

impl Walk {
    fn find(&mut self, wanted: &[Wanted], id: i64) -> Option<usize> {
        if self.last.is_none_or(|last| id < last) {
            self.at = wanted.partition_point(|w| w.id < id);
        } else {
            let rest = wanted.get(self.at..).unwrap_or_default();
            // Rows that are next to each other are usually both wanted.
            self.at += match rest.iter().take(8).position(|w| w.id >= id) {
                Some(near) => near,
                None => rest.partition_point(|w| w.id < id),
            };
        }
        self.last = Some(id);
        wanted.get(self.at).filter(|w| w.id == id).map(|_| self.at)
    }

    fn block(&mut self, view: &DatasetView, number: i32) -> Option<usize> {
        if let Some((last, place)) = self.block
            && last == number
        {
            return Some(place);
        }
        let place = view
            .blocks
            .binary_search_by_key(&number, |b| b.block)
            .ok()?;
        self.block = Some((number, place));
        Some(place)
    }
}
