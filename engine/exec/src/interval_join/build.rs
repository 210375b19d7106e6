//! The build side: collected once for all partitions, indexed, or spilled when it does not fit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat_batches, take};
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::utils::memory::{RecordBatchMemoryCounter, get_record_batch_memory_size};
use datafusion::error::Result as DfResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryReservation};
use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;

use super::condition::{Keys, Side};
use super::index::{Index, NO_GROUP, SpanRows};
use super::spill::SpilledBuild;
use super::stream::JoinContext;
use crate::error::{Error, Result};

/// Bytes of the rows of a chunk at most: offsets of text are 32 bits wide.
const CHUNK_BYTES_MAX: usize = 1 << 30;
/// Indexes of more rows are made on a thread of their own.
const INLINE_ROWS_MAX: usize = 1 << 18;

/// The build side of one execution, made by whoever asks first and shared by all partitions.
#[derive(Debug, Default)]
pub(super) struct SharedBuild {
    made: Mutex<Option<BuildFuture>>,
}

type BuildFuture = Shared<BoxFuture<'static, DfResult<Arc<Build>, Arc<DataFusionError>>>>;

impl SharedBuild {
    /// The future of the build side. Any of its clones drives it.
    pub(super) fn get(&self, join: &JoinContext) -> DfResult<BuildFuture> {
        let mut made = self.made.lock();
        if let Some(made) = &*made {
            return Ok(made.clone());
        }
        let stream = join.left.execute(0, Arc::clone(&join.task))?;
        let join = join.clone();
        let build = async move {
            let built = Build::collect(stream, &join).await;
            built.map(Arc::new).map_err(|error| Arc::new(error.into()))
        };
        Ok(made.insert(build.boxed().shared()).clone())
    }
}

/// The build side.
#[derive(Debug)]
pub(super) struct Build {
    pub(super) rows: BuildRows,
    /// Which of its rows had a match; only for joins that ask.
    pub(super) matched: Flags,
    /// Partitions of the probe side that are not finished.
    unfinished: AtomicUsize,
}

#[derive(Debug)]
pub(super) enum BuildRows {
    Memory(Box<Chunk>),
    Spilled(SpilledBuild),
}

impl Build {
    async fn collect(mut stream: SendableRecordBatchStream, join: &JoinContext) -> Result<Self> {
        let mut loader = Loader::new(join)?;
        let mut rows = 0;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            let _timer = join.metrics.build_time.timer();
            join.metrics.build_rows.add(batch.num_rows());
            rows += batch.num_rows();
            if let Err(error) = loader.push(batch.clone()) {
                let spilled = SpilledBuild::write(join, loader, Some(batch), stream, error).await?;
                join.publish(None)?;
                let rows = spilled.rows;
                return Ok(Self::new(BuildRows::Spilled(spilled), rows, join));
            }
        }
        let chunk = match loader.finish(join).await? {
            Finished::Chunk(chunk) => chunk,
            Finished::TooLarge(loader, error) => {
                let spilled = SpilledBuild::write(join, *loader, None, stream, error).await?;
                join.publish(None)?;
                return Ok(Self::new(BuildRows::Spilled(spilled), rows, join));
            }
        };
        join.publish(Some(&*chunk))?;
        Ok(Self::new(BuildRows::Memory(chunk), rows, join))
    }

    fn new(rows: BuildRows, count: usize, join: &JoinContext) -> Self {
        let flags = if join.kind.flags_build { count } else { 0 };
        Self {
            rows,
            matched: Flags::new(flags),
            unfinished: AtomicUsize::new(join.probe_partitions),
        }
    }

    /// Says that a partition is finished; true of the last.
    pub(super) fn finish(&self) -> bool {
        self.unfinished.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// A bit for each row, set by any thread.
#[derive(Debug)]
pub(super) struct Flags {
    words: Vec<AtomicU64>,
}

impl Flags {
    fn new(rows: usize) -> Self {
        let words = rows.div_ceil(64);
        Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    #[inline]
    pub(super) fn set(&self, row: usize) {
        if let Some(word) = self.words.get(row / 64) {
            let bit = 1 << (row % 64);
            // Most rows of a busy build side are set already: reading does not take the line from others.
            if word.load(Ordering::Relaxed) & bit == 0 {
                word.fetch_or(bit, Ordering::Relaxed);
            }
        }
    }

    #[inline]
    pub(super) fn get(&self, row: usize) -> bool {
        let word = self.words.get(row / 64);
        word.is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (row % 64)) != 0)
    }
}

/// Rows of the build side, all or some, with their index.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) index: Index,
    pub(super) keys: Keys,
    /// The kept columns: rows of the index in its order, then rows that match nothing, where they are needed.
    pub(super) batch: RecordBatch,
    /// The place of each row of `batch` among the rows as they came.
    pub(super) order: Vec<u32>,
    #[expect(dead_code, reason = "held while the chunk is")]
    reservation: MemoryReservation,
}

/// Collects batches into a chunk.
pub(super) struct Loader {
    side: Side,
    keys: Keys,
    rows: SpanRows,
    batches: Vec<RecordBatch>,
    bytes: usize,
    held: RecordBatchMemoryCounter,
    reservation: MemoryReservation,
}

/// What became of a loader.
pub(super) enum Finished {
    Chunk(Box<Chunk>),
    /// There is no memory for the index; with what the pool said.
    TooLarge(Box<Loader>, DataFusionError),
}

impl Loader {
    pub(super) fn new(join: &JoinContext) -> Result<Self> {
        let consumer = MemoryConsumer::new("IntervalJoinBuild").with_can_spill(true);
        Ok(Self {
            keys: Keys::new(&join.build_side, &join.left.schema())?,
            side: join.build_side.clone(),
            rows: SpanRows::default(),
            batches: Vec::new(),
            bytes: 0,
            held: RecordBatchMemoryCounter::new(),
            reservation: consumer.register(join.task.memory_pool()),
        })
    }

    /// What was collected; its memory is given back.
    pub(super) fn into_batches(self) -> Vec<RecordBatch> {
        self.batches
    }

    /// Adds a batch, with memory for it, for its copy in the order of the index, and for its part of the index.
    ///
    /// # Errors
    /// That of the pool when it does not fit.
    pub(super) fn push(&mut self, batch: RecordBatch) -> DfResult<()> {
        let bytes = rows_bytes(&batch)?;
        if self.bytes + bytes > CHUNK_BYTES_MAX && !self.batches.is_empty() {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "the build side of an interval join has more than {CHUNK_BYTES_MAX} bytes"
            )));
        }
        let needed = self.needed(&batch, bytes);
        self.reservation.try_grow(needed)?;
        self.add(batch, bytes)
    }

    /// Adds a batch whatever the pool says: some batch must be joined at a time.
    pub(super) fn push_first(&mut self, batch: RecordBatch) -> DfResult<()> {
        let bytes = rows_bytes(&batch)?;
        let needed = self.needed(&batch, bytes);
        self.reservation.grow(needed);
        self.add(batch, bytes)
    }

    /// Bytes that a batch keeps alive and no other did before, of its rows alone, and of its part of the index.
    fn needed(&mut self, batch: &RecordBatch, rows: usize) -> usize {
        self.held.count_batch(batch) + rows + Index::bytes_bound(batch.num_rows(), 0)
    }

    fn add(&mut self, batch: RecordBatch, bytes: usize) -> DfResult<()> {
        let keys = self.side.keys(&batch)?;
        let groups = self.keys.intern(&keys, batch.num_rows())?;
        self.side.append(&batch, groups, &mut self.rows)?;
        self.bytes += bytes;
        self.batches.push(batch);
        Ok(())
    }

    /// Bytes that a chunk may take while `partitions` of them are made at once.
    pub(super) fn budget(join: &JoinContext) -> usize {
        match join.task.memory_pool().memory_limit() {
            MemoryLimit::Finite(bytes) => bytes / (2 * join.probe_partitions.max(1)),
            _ => CHUNK_BYTES_MAX,
        }
    }

    pub(super) fn reserved(&self) -> usize {
        self.reservation.size()
    }

    /// The chunk of what was collected.
    pub(super) async fn finish(self, join: &JoinContext) -> Result<Finished> {
        let _timer = join.metrics.build_time.timer();
        let groups = self.keys.len();
        let more = self.keys.bytes() + Index::bytes_bound(0, groups);
        if let Err(error) = self.reservation.try_grow(more) {
            return Ok(Finished::TooLarge(Box::new(self), error));
        }
        let chunk = self.indexed(join).await?;
        Ok(Finished::Chunk(Box::new(chunk)))
    }

    /// The chunk, with memory that may be over what the pool gives by the keys of one batch.
    pub(super) async fn finish_first(self, join: &JoinContext) -> Result<Chunk> {
        let more = self.keys.bytes() + Index::bytes_bound(0, self.keys.len());
        self.reservation.grow(more);
        self.indexed(join).await
    }

    async fn indexed(self, join: &JoinContext) -> Result<Chunk> {
        let Self {
            keys,
            rows,
            batches,
            reservation,
            ..
        } = self;
        let counts = join.output.only_counts();
        let unplaced = join.kind.keeps_unmatchable;
        let kept = join.output.kept.clone();
        let schema = super::kept_schema(&join.left.schema(), &kept)?;
        let groups = keys.len();
        let large = rows.len() > INLINE_ROWS_MAX;
        let make = move || -> Result<(Index, Vec<u32>, RecordBatch)> {
            let (index, mut order) = Index::new(&rows, groups, counts);
            if unplaced {
                let places = (0u32..).zip(&rows.groups);
                order.extend(places.filter(|(_, g)| **g == NO_GROUP).map(|(row, _)| row));
            }
            let batch = ordered(&schema, batches, &kept, &order)?;
            Ok((index, order, batch))
        };
        let (index, order, batch) = if large {
            let task = SpawnedTask::spawn_blocking(make);
            task.join()
                .await
                .map_err(|error| Error::Internal(error.to_string()))??
        } else {
            make()?
        };
        let order = if join.kind.flags_build {
            order
        } else {
            Vec::new()
        };
        let bytes = get_record_batch_memory_size(&batch)
            + index.bytes()
            + keys.bytes()
            + size_of_val(&order[..]);
        if bytes < reservation.size() {
            reservation.resize(bytes);
        }
        join.metrics.index_bytes.add(index.bytes());
        Ok(Chunk {
            index,
            keys,
            batch,
            order,
            reservation,
        })
    }
}

/// Bytes of the rows of a batch, which may be a part of larger buffers.
fn rows_bytes(batch: &RecordBatch) -> DfResult<usize> {
    let bytes = |column: &ArrayRef| Ok(column.to_data().get_slice_memory_size()?);
    batch.columns().iter().map(bytes).sum()
}

/// The kept columns of batches, in another order.
fn ordered(
    schema: &SchemaRef,
    batches: Vec<RecordBatch>,
    kept: &[usize],
    order: &[u32],
) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(order.len()));
    let empty = |columns| RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options);
    if kept.is_empty() {
        return Ok(empty(Vec::new())?);
    }
    let mut projected = Vec::with_capacity(batches.len());
    for batch in batches {
        // Declared and actual nullability may differ between the inputs of a union.
        let columns = batch.project(kept)?.columns().to_vec();
        projected.push(RecordBatch::try_new(Arc::clone(schema), columns)?);
    }
    let all = match &projected[..] {
        [single] => single.clone(),
        several => concat_batches(schema, several)?,
    };
    drop(projected);
    let same = order.len() == all.num_rows() && (0u32..).zip(order).all(|(i, row)| i == *row);
    if same {
        return Ok(all);
    }
    let rows = UInt32Array::from(order.to_vec());
    let column = |column: &ArrayRef| take(column, &rows, None);
    let columns = all.columns().iter().map(column).collect::<Result<_, _>>()?;
    Ok(empty(columns)?)
}
