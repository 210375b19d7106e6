//! A build side that does not fit: both sides on disk, joined in passes.
//!
//! ```text
//! build side ──► file ──► chunk 1, chunk 2, … of as many rows as fit, each indexed in its turn
//! probe side ──► pass 1: joined with chunk 1 as it comes, and written to a file
//!                pass 2…: read from the file, joined with chunk 2…
//!                last:    read once more for rows without a match, where these are wanted
//! ```
//! Which rows had a match is kept over the passes, of the probe side per partition, of the build side for all. Every
//! partition makes its own passes, because one that waits for another could wait for ever.
//!
//! Where the order of the probe side was promised, each pass writes its rows with their numbers to a run of its own,
//! and the runs are merged by these numbers at the end.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::error::Result as DfResult;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, SpillFile};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::SpillManager;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::sorts::streaming_merge::{SortedSpillFile, StreamingMergeBuilder};
use futures::StreamExt as _;

use super::build::{Build, BuildRows, Chunk, Loader};
use super::index::{NO_ROW, Pairs};
use super::stream::{JoinContext, Probe, Ready, flagged_rows, join_step, judged_rows};
use crate::error::{Error, Result};

/// The column of a run that numbers the rows of the probe side.
const NUMBER: &str = "__genokura_probe_row";
/// Rows of a batch on disk at least, when there are so many.
const BATCH_ROWS_MIN: usize = 1024;

/// A file that is written batch by batch.
struct Writer {
    write: WriteFn,
    /// Bytes of memory of the largest batch in it.
    largest: usize,
}

/// Appends a batch and tells its bytes; without one it ends the file and gives it, unless it is empty.
type WriteFn = Box<dyn FnMut(Option<&RecordBatch>) -> DfResult<(usize, File)> + Send>;
type File = Option<Arc<dyn SpillFile>>;

impl Writer {
    fn new(manager: &SpillManager, what: &str) -> Result<Self> {
        let mut file = manager.create_in_progress_file(what)?;
        Ok(Self {
            write: Box::new(move |batch| match batch {
                Some(batch) => Ok((file.append_batch(batch)?, None)),
                None => Ok((0, file.finish()?)),
            }),
            largest: 0,
        })
    }

    fn append(&mut self, batch: &RecordBatch, rows_max: usize) -> Result<()> {
        let rows_max = rows_max.max(BATCH_ROWS_MIN);
        for start in (0..batch.num_rows()).step_by(rows_max) {
            let rows = rows_max.min(batch.num_rows() - start);
            let (bytes, _) = (self.write)(Some(&batch.slice(start, rows)))?;
            self.largest = self.largest.max(bytes);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<File> {
        Ok((self.write)(None)?.1)
    }
}

/// A finished file of batches, or nothing when there was none.
struct Written {
    manager: SpillManager,
    file: File,
}

impl Written {
    /// The batches from the first on; `None` when there are none.
    fn read(&self) -> Result<Option<SendableRecordBatchStream>> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        let file = Arc::clone(file);
        Ok(Some(
            self.manager.read_spill_as_stream_unbuffered(file, None)?,
        ))
    }
}

fn manager(join: &JoinContext, schema: &SchemaRef) -> SpillManager {
    let runtime = join.task.runtime_env();
    SpillManager::new(runtime, join.spill_metrics.clone(), Arc::clone(schema))
}

/// The build side on disk, in the order in which it came.
pub(super) struct SpilledBuild {
    written: Written,
    pub(super) rows: usize,
}

impl fmt::Debug for SpilledBuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpilledBuild")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl SpilledBuild {
    /// Writes what a loader holds, the batch that did not fit, and what is still to come. Without a disk to write to,
    /// the error that made it necessary is the answer.
    pub(super) async fn write(
        join: &JoinContext,
        loader: Loader,
        batch: Option<RecordBatch>,
        mut stream: SendableRecordBatchStream,
        error: DataFusionError,
    ) -> Result<Self> {
        let (mut writer, manager) = Self::writer(join, error)?;
        let mut rows = 0;
        let held = loader.into_batches();
        for batch in held.into_iter().chain(batch) {
            rows += batch.num_rows();
            writer.append(&batch, join.batch_size)?;
            tokio::task::yield_now().await;
        }
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            join.metrics.build_rows.add(batch.num_rows());
            rows += batch.num_rows();
            writer.append(&batch, join.batch_size)?;
        }
        let file = writer.finish()?;
        Ok(Self {
            written: Written { manager, file },
            rows,
        })
    }

    fn writer(join: &JoinContext, error: DataFusionError) -> Result<(Writer, SpillManager)> {
        let exhausted = matches!(error.find_root(), DataFusionError::ResourcesExhausted(_));
        if !exhausted || !join.task.runtime_env().disk_manager.tmp_files_enabled() {
            return Err(error.into());
        }
        let manager = manager(join, &join.left.schema());
        Ok((Writer::new(&manager, "interval join, build side")?, manager))
    }
}

/// The chunks of a spilled build side, one after the other.
struct Chunks {
    stream: Option<SendableRecordBatchStream>,
    /// Read, but not part of a chunk.
    carry: Option<RecordBatch>,
    rows: usize,
}

impl Chunks {
    /// The next chunk with the number of its first row; `None` when there are no more rows.
    async fn next(&mut self, join: &JoinContext) -> Result<Option<(Chunk, usize)>> {
        let first = match self.carry.take() {
            Some(batch) => Some(batch),
            None => self.read().await?,
        };
        let Some(first) = first else {
            return Ok(None);
        };
        let (budget, first_row) = (Loader::budget(join), self.rows);
        let mut loader = Loader::new(join)?;
        self.rows += first.num_rows();
        loader.push_first(first)?;
        while let Some(batch) = self.read().await? {
            if loader.reserved() >= budget {
                self.carry = Some(batch);
                break;
            }
            match loader.push(batch.clone()) {
                Ok(()) => self.rows += batch.num_rows(),
                Err(error)
                    if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) =>
                {
                    self.carry = Some(batch);
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        join.metrics.passes.add(1);
        Ok(Some((loader.finish_first(join).await?, first_row)))
    }

    async fn read(&mut self) -> Result<Option<RecordBatch>> {
        match &mut self.stream {
            Some(stream) => Ok(stream.next().await.transpose()?),
            None => Ok(None),
        }
    }

    fn is_last(&self) -> bool {
        self.carry.is_none()
    }
}

/// The rows of one partition of a join with a spilled build side.
pub(super) struct SpilledRows {
    build: Arc<Build>,
    chunks: Chunks,
    /// The chunk of this pass and the number of its first row.
    chunk: Option<(Chunk, usize)>,
    source: Option<SendableRecordBatchStream>,
    /// The number of the next row of the probe side in this pass.
    next_row: usize,
    current: Option<(Probe, usize)>,
    pairs: Pairs,
    /// Everything is in one chunk after all.
    single: bool,
    recorder: Option<Writer>,
    replay: Written,
    matched: Matched,
    runs: Option<Runs>,
    phase: Phase,
}

enum Phase {
    /// Joins `source` with `chunk`.
    Pass,
    /// Gives out rows of the probe side by whether they had a match.
    Probe,
    /// Merges the runs.
    Merge(Option<SendableRecordBatchStream>),
    /// Gives out rows of the build side, from the row with this number on.
    Build(Option<SendableRecordBatchStream>, usize),
    Done,
}

impl SpilledRows {
    pub(super) async fn new(
        join: &JoinContext,
        build: Arc<Build>,
        source: SendableRecordBatchStream,
    ) -> Result<Self> {
        let BuildRows::Spilled(spilled) = &build.rows else {
            return Err(Error::Internal(
                "a build side in memory is not on disk".into(),
            ));
        };
        let stream = spilled.written.read()?;
        let mut chunks = Chunks {
            stream,
            carry: None,
            rows: 0,
        };
        let chunk = chunks.next(join).await?;
        let single = chunks.is_last();
        let manager = manager(join, &join.right.schema());
        let recorder = match single {
            true => None,
            false => Some(Writer::new(&manager, "interval join, probe side")?),
        };
        let ordered = join.ordered && join.kind.pairs && !single;
        Ok(Self {
            build,
            chunks,
            chunk,
            source: Some(source),
            next_row: 0,
            current: None,
            pairs: Pairs::default(),
            single,
            recorder,
            replay: Written {
                manager,
                file: None,
            },
            matched: Matched::new(join),
            runs: if ordered {
                Some(Runs::new(join)?)
            } else {
                None
            },
            phase: Phase::Pass,
        })
    }

    /// Does some work; false when there is no more.
    pub(super) async fn advance(&mut self, join: &JoinContext, ready: &mut Ready) -> Result<bool> {
        match &mut self.phase {
            Phase::Pass => self.pass(join, ready).await?,
            Phase::Probe => self.judged(join, ready).await?,
            Phase::Merge(stream) => {
                let batch = match stream {
                    Some(stream) => stream.next().await.transpose()?,
                    None => None,
                };
                match batch {
                    Some(batch) => ready.push(unnumbered(join, &batch)?, join.batch_size),
                    None => self.phase = self.last(join)?,
                }
            }
            Phase::Build(stream, first) => {
                let batch = match stream {
                    Some(stream) => stream.next().await.transpose()?,
                    None => None,
                };
                match batch {
                    Some(batch) => {
                        let flag = |row: usize| self.build.matched.get(*first + row);
                        let kept = batch.project(&join.output.kept)?;
                        let rows = flagged_rows(join, &kept, 0..batch.num_rows(), flag)?;
                        ready.push(rows, join.batch_size);
                        *first += batch.num_rows();
                    }
                    None => self.phase = Phase::Done,
                }
            }
            Phase::Done => return Ok(false),
        }
        Ok(true)
    }

    /// One step of a pass.
    async fn pass(&mut self, join: &JoinContext, ready: &mut Ready) -> Result<()> {
        if self.current.is_none() && !self.next_batch(join).await? {
            return self.end_of_pass(join).await;
        }
        let (Some((probe, number)), Some((chunk, first_row))) = (&mut self.current, &self.chunk)
        else {
            return Ok(());
        };
        let _timer = join.metrics.baseline.elapsed_compute().timer();
        if self.single {
            let flags = &self.build.matched;
            join_step(
                join,
                chunk,
                probe,
                &mut self.pairs,
                flags,
                *first_row,
                ready,
            )?;
        } else {
            probe.step(
                join,
                chunk,
                &mut self.pairs,
                &self.build.matched,
                *first_row,
            )?;
            if join.kind.pairs && self.pairs.len() > 0 {
                let base = *number as u64;
                let numbers = self.pairs.probe.iter().map(|row| base + u64::from(*row));
                let numbers: UInt64Array = numbers.collect::<Vec<_>>().into();
                let rows = join
                    .output
                    .pairs(&chunk.batch, &probe.batch, &mut self.pairs, false)?;
                match &mut self.runs {
                    Some(runs) => runs.append(join, &rows, numbers)?,
                    None => ready.push(rows, join.batch_size),
                }
            }
            if probe.done {
                self.matched.add(*number, &probe.matched)?;
            }
        }
        if probe.done {
            self.current = None;
        }
        Ok(())
    }

    /// Takes the next batch of the probe side; false at its end.
    async fn next_batch(&mut self, join: &JoinContext) -> Result<bool> {
        let Some(source) = &mut self.source else {
            return Ok(false);
        };
        let Some(batch) = source.next().await.transpose()? else {
            return Ok(false);
        };
        let rows = batch.num_rows();
        if let Some(recorder) = &mut self.recorder {
            recorder.append(&batch, join.batch_size)?;
        }
        if self.recorder.is_some() || self.single {
            join.metrics.probe_rows.add(rows);
        }
        if let Some((chunk, _)) = &self.chunk {
            self.current = Some((Probe::new(join, chunk, batch)?, self.next_row));
        }
        self.next_row += rows;
        Ok(true)
    }

    async fn end_of_pass(&mut self, join: &JoinContext) -> Result<()> {
        if let Some(recorder) = self.recorder.take() {
            self.replay.file = recorder.finish()?;
        }
        if let Some(runs) = &mut self.runs {
            runs.end()?;
        }
        // The memory of a chunk is given back before the next is read.
        self.chunk = None;
        self.chunk = self.chunks.next(join).await?;
        self.next_row = 0;
        self.source = if self.single {
            None
        } else {
            self.replay.read()?
        };
        self.phase = if self.chunk.is_some() {
            Phase::Pass
        } else if (join.kind.judges_probe || join.kind.fills_probe) && !self.single {
            Phase::Probe
        } else {
            self.merge(join)?
        };
        Ok(())
    }

    /// Gives out rows of one batch of the probe side by whether they had a match.
    async fn judged(&mut self, join: &JoinContext, ready: &mut Ready) -> Result<()> {
        let batch = match &mut self.source {
            Some(source) => source.next().await.transpose()?,
            None => None,
        };
        let Some(batch) = batch else {
            if let Some(runs) = &mut self.runs {
                runs.end()?;
            }
            self.phase = self.merge(join)?;
            return Ok(());
        };
        let first = self.next_row;
        self.next_row += batch.num_rows();
        let matched = self.matched.of(first, batch.num_rows());
        if join.kind.judges_probe {
            ready.push(judged_rows(join, &batch, &matched)?, join.batch_size);
            return Ok(());
        }
        let lone = (0u32..).zip(&matched).filter(|(_, matched)| !**matched);
        let probe: Vec<u32> = lone.map(|(row, _)| row).collect();
        let numbers = probe.iter().map(|row| first as u64 + u64::from(*row));
        let numbers: UInt64Array = numbers.collect::<Vec<_>>().into();
        let mut pairs = Pairs {
            build: vec![NO_ROW; probe.len()],
            probe,
        };
        let nothing =
            RecordBatch::new_empty(super::kept_schema(&join.left.schema(), &join.output.kept)?);
        let rows = join.output.pairs(&nothing, &batch, &mut pairs, true)?;
        match &mut self.runs {
            Some(runs) => runs.append(join, &rows, numbers)?,
            None => ready.push(rows, join.batch_size),
        }
        Ok(())
    }

    fn merge(&mut self, join: &JoinContext) -> Result<Phase> {
        match self.runs.take() {
            Some(runs) => Ok(Phase::Merge(runs.merged(join)?)),
            None => self.last(join),
        }
    }

    /// The rows of the build side, when this partition is the last.
    fn last(&self, join: &JoinContext) -> Result<Phase> {
        let BuildRows::Spilled(spilled) = &self.build.rows else {
            return Err(Error::Internal(
                "a build side in memory is not on disk".into(),
            ));
        };
        if self.build.finish() && join.kind.flags_build {
            return Ok(Phase::Build(spilled.written.read()?, 0));
        }
        Ok(Phase::Done)
    }
}

/// Which rows of a partition of the probe side had a match, as bits.
struct Matched {
    words: Vec<u64>,
    reservation: MemoryReservation,
}

impl Matched {
    fn new(join: &JoinContext) -> Self {
        let consumer = MemoryConsumer::new("IntervalJoinMatched");
        Self {
            words: Vec::new(),
            reservation: consumer.register(join.task.memory_pool()),
        }
    }

    fn add(&mut self, first: usize, matched: &[bool]) -> Result<()> {
        let words = (first + matched.len()).div_ceil(64);
        if words > self.words.len() && !matched.is_empty() {
            self.words.resize(words.max(self.words.len() * 2), 0);
            self.reservation.try_resize(size_of_val(&self.words[..]))?;
        }
        for (row, _) in (first..).zip(matched).filter(|(_, matched)| **matched) {
            self.words[row / 64] |= 1 << (row % 64);
        }
        Ok(())
    }

    fn of(&self, first: usize, rows: usize) -> Vec<bool> {
        let word = |row: usize| self.words.get(row / 64).copied().unwrap_or_default();
        (first..first + rows)
            .map(|row| word(row) & (1 << (row % 64)) != 0)
            .collect()
    }
}

/// Rows with the numbers of their rows of the probe side, a file for each pass.
struct Runs {
    schema: SchemaRef,
    manager: SpillManager,
    current: Option<Writer>,
    files: Vec<SortedSpillFile>,
}

impl Runs {
    fn new(join: &JoinContext) -> Result<Self> {
        let output = join.output.schema().fields().iter().cloned();
        let number = Arc::new(Field::new(NUMBER, DataType::UInt64, false));
        let schema = Arc::new(Schema::new(output.chain([number]).collect::<Vec<_>>()));
        Ok(Self {
            manager: manager(join, &schema),
            schema,
            current: None,
            files: Vec::new(),
        })
    }

    fn append(
        &mut self,
        join: &JoinContext,
        rows: &RecordBatch,
        numbers: UInt64Array,
    ) -> Result<()> {
        let numbers: ArrayRef = Arc::new(numbers);
        let columns = rows.columns().iter().cloned().chain([numbers]);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns.collect())?;
        let writer = match self.current.take() {
            Some(writer) => writer,
            None => Writer::new(&self.manager, "interval join, rows of a pass")?,
        };
        self.current.insert(writer).append(&batch, join.batch_size)
    }

    /// Ends the run of a pass.
    fn end(&mut self) -> Result<()> {
        if let Some(writer) = self.current.take() {
            let max_record_batch_memory = writer.largest;
            let sorted = |file| SortedSpillFile {
                file,
                max_record_batch_memory,
            };
            self.files.extend(writer.finish()?.map(sorted));
        }
        Ok(())
    }

    /// All rows by their numbers; `None` when there are none.
    fn merged(self, join: &JoinContext) -> Result<Option<SendableRecordBatchStream>> {
        if self.files.is_empty() {
            return Ok(None);
        }
        let number = self.schema.fields().len() - 1;
        let number = PhysicalSortExpr::new_default(Arc::new(Column::new(NUMBER, number)));
        let Some(order) = LexOrdering::new([number]) else {
            return Err(Error::Internal("an order of one column is empty".into()));
        };
        let consumer = MemoryConsumer::new("IntervalJoinMerge");
        // Its rows are counted as those of the join.
        let scratch = BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), join.partition);
        let merged = StreamingMergeBuilder::new()
            .with_sorted_spill_files(self.files)
            .with_spill_manager(self.manager)
            .with_schema(Arc::clone(&self.schema))
            .with_expressions(&order)
            .with_metrics(scratch)
            .with_batch_size(join.batch_size)
            .with_reservation(consumer.register(join.task.memory_pool()))
            .build()?;
        Ok(Some(merged))
    }
}

/// A batch of a run without its numbers.
fn unnumbered(join: &JoinContext, batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = Arc::clone(join.output.schema());
    let columns = batch.columns()[..batch.num_columns() - 1].to_vec();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        schema, columns, &options,
    )?)
}
