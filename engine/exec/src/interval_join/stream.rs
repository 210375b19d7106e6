//! One partition of the probe side, streamed against the build side.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use datafusion::common::{DataFusionError, JoinSide, JoinType};
use datafusion::error::Result as DfResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::{DynamicFilterPhysicalExpr, lit};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, SpillMetrics, Time,
};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties as _};
use futures::StreamExt as _;

use super::bounds;
use super::build::{Build, BuildRows, Chunk, Flags, SharedBuild};
use super::condition::{IntervalCondition, Side};
use super::index::{Cursor, NO_ROW, Pairs, SpanRows};
use super::output::{Output, counted};
use super::spill::SpilledRows;
use super::{IntervalJoinExec, keeps_order};
use crate::error::{Error, Result};

/// What a type of join asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) join_type: JoinType,
    /// Pairs come out.
    pub(super) pairs: bool,
    /// Rows of the probe side come out, judged by whether they have a match.
    pub(super) judges_probe: bool,
    /// Rows of the probe side without a match come out beside NULL.
    pub(super) fills_probe: bool,
    /// Which rows of the build side had a match is wanted at the end.
    pub(super) flags_build: bool,
    /// Rows of the build side that can match nothing come out all the same.
    pub(super) keeps_unmatchable: bool,
}

impl Kind {
    fn of(join_type: JoinType) -> Self {
        use JoinType::{
            Full, Inner, Left, LeftAnti, LeftMark, LeftSemi, Right, RightAnti, RightMark, RightSemi,
        };
        Self {
            join_type,
            pairs: matches!(join_type, Inner | Left | Right | Full),
            judges_probe: matches!(join_type, RightSemi | RightAnti | RightMark),
            fills_probe: matches!(join_type, Right | Full),
            flags_build: matches!(join_type, Left | Full | LeftSemi | LeftAnti | LeftMark),
            keeps_unmatchable: matches!(join_type, Left | Full | LeftAnti | LeftMark),
        }
    }
}

/// What an execution tells of itself.
#[derive(Clone, Debug)]
pub(super) struct JoinMetrics {
    pub(super) baseline: BaselineMetrics,
    pub(super) build_time: Time,
    pub(super) build_rows: Count,
    pub(super) index_bytes: Count,
    /// Stretches that the scan of the probe side was told of.
    stretches: Count,
    pub(super) probe_rows: Count,
    /// Pairs whose keys and spans match, before the filter.
    matches: Count,
    pub(super) passes: Count,
}

impl JoinMetrics {
    fn new(set: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let counter = |name: &'static str| MetricBuilder::new(set).counter(name, partition);
        Self {
            baseline: BaselineMetrics::new(set, partition),
            build_time: MetricBuilder::new(set).subset_time("build_time", partition),
            build_rows: counter("build_input_rows"),
            index_bytes: counter("index_bytes"),
            stretches: counter("stretches_published"),
            probe_rows: counter("input_rows"),
            matches: counter("matches"),
            passes: counter("passes"),
        }
    }
}

/// What one partition of an execution needs.
#[derive(Clone, Debug)]
pub(super) struct JoinContext {
    pub(super) kind: Kind,
    pub(super) left: Arc<dyn ExecutionPlan>,
    pub(super) right: Arc<dyn ExecutionPlan>,
    pub(super) partition: usize,
    pub(super) probe_partitions: usize,
    pub(super) task: Arc<TaskContext>,
    pub(super) batch_size: usize,
    condition: Arc<IntervalCondition>,
    pub(super) build_side: Side,
    pub(super) probe_side: Side,
    pub(super) output: Output,
    dynamic: Option<Arc<DynamicFilterPhysicalExpr>>,
    /// The order of the probe side is promised to somebody.
    pub(super) ordered: bool,
    pub(super) metrics: JoinMetrics,
    pub(super) spill_metrics: SpillMetrics,
}

impl JoinContext {
    pub(super) fn new(
        exec: &IntervalJoinExec,
        partition: usize,
        task: Arc<TaskContext>,
        dynamic: Option<&Arc<DynamicFilterPhysicalExpr>>,
    ) -> DfResult<Self> {
        let parts = &exec.parts;
        let right = Arc::clone(&parts.right);
        Ok(Self {
            kind: Kind::of(parts.join_type),
            partition,
            probe_partitions: right.output_partitioning().partition_count(),
            batch_size: task.session_config().batch_size().max(1),
            build_side: parts.condition.side(JoinSide::Left),
            probe_side: parts.condition.side(JoinSide::Right),
            output: Output::new(exec.schema(), exec.projected(), parts.filter.as_ref()),
            condition: Arc::clone(&parts.condition),
            dynamic: dynamic.cloned(),
            ordered: keeps_order(parts.join_type) && right.output_ordering().is_some(),
            metrics: JoinMetrics::new(&exec.metrics, partition),
            spill_metrics: SpillMetrics::new(&exec.metrics, partition),
            left: Arc::clone(&parts.left),
            right,
            task,
        })
    }

    /// Tells the scan of the probe side where spans lie; everywhere without a chunk.
    pub(super) fn publish(&self, chunk: Option<&Chunk>) -> Result<()> {
        let Some(dynamic) = &self.dynamic else {
            return Ok(());
        };
        let schema = self.right.schema();
        let filter = match chunk {
            Some(chunk) => bounds::filter(&self.condition, &schema, chunk)?,
            None => None,
        };
        match filter {
            Some((filter, stretches)) => {
                self.metrics.stretches.add(stretches);
                dynamic.update(filter)?;
            }
            None => dynamic.update(lit(true))?,
        }
        dynamic.mark_complete();
        Ok(())
    }

    /// The probe side. It is started when the build side is ready, so that its scans know the dynamic filter.
    pub(super) fn probe(&self) -> Result<SendableRecordBatchStream> {
        Ok(self.right.execute(self.partition, Arc::clone(&self.task))?)
    }
}

/// A batch of the probe side and how far it is joined with a chunk.
pub(super) struct Probe {
    pub(super) batch: RecordBatch,
    queries: SpanRows,
    cursor: Cursor,
    /// Whether each row had a match; empty where nobody asks.
    pub(super) matched: Vec<bool>,
    /// Rows before this one are finished, and given out where they had no match.
    filled: usize,
    pub(super) done: bool,
}

impl Probe {
    pub(super) fn new(join: &JoinContext, chunk: &Chunk, batch: RecordBatch) -> Result<Self> {
        let keys = join.probe_side.keys(&batch)?;
        let groups = chunk.keys.find(&keys, batch.num_rows())?;
        let mut queries = SpanRows::default();
        join.probe_side.append(&batch, groups, &mut queries)?;
        let judged = join.kind.judges_probe || join.kind.fills_probe;
        Ok(Self {
            matched: vec![false; if judged { batch.num_rows() } else { 0 }],
            queries,
            batch,
            cursor: Cursor::default(),
            filled: 0,
            done: false,
        })
    }

    /// The next pairs that match and satisfy the filter, at most a batch of them. `flag` is told of each row of the
    /// chunk that is among them.
    pub(super) fn step(
        &mut self,
        join: &JoinContext,
        chunk: &Chunk,
        pairs: &mut Pairs,
        flags: &Flags,
        first_row: usize,
    ) -> Result<()> {
        pairs.clear();
        if join.kind.judges_probe && !join.output.filters() {
            for (matched, any) in self.matched.iter_mut().zip(chunk.index.any(&self.queries)) {
                *matched = any;
            }
            self.done = true;
            return Ok(());
        }
        let index = &chunk.index;
        self.done = index.matches(&self.queries, &mut self.cursor, pairs, join.batch_size);
        join.metrics.matches.add(pairs.len());
        join.output.judge(&chunk.batch, &self.batch, pairs)?;
        if join.kind.flags_build {
            for place in &pairs.build {
                let row = chunk.order.get(*place as usize).copied().unwrap_or(NO_ROW);
                flags.set(first_row + row as usize);
            }
        }
        if !self.matched.is_empty() {
            for row in &pairs.probe {
                self.matched[*row as usize] = true;
            }
        }
        Ok(())
    }

    /// Adds rows without a match, each at its place.
    pub(super) fn fill(&mut self, pairs: &mut Pairs) {
        let complete = if self.done {
            self.queries.len()
        } else {
            self.cursor.row
        };
        let mut filled = Pairs::default();
        filled.build.reserve(pairs.len());
        filled.probe.reserve(pairs.len());
        let mut next = self.filled;
        let mut fill = |until: usize, filled: &mut Pairs| {
            while next < until.min(complete) {
                if !self.matched[next] {
                    filled.build.push(NO_ROW);
                    filled.probe.push(u32::try_from(next).unwrap_or(NO_ROW));
                }
                next += 1;
            }
        };
        for (build, probe) in pairs.build.iter().zip(&pairs.probe) {
            fill(*probe as usize, &mut filled);
            filled.build.push(*build);
            filled.probe.push(*probe);
        }
        fill(complete, &mut filled);
        self.filled = complete;
        *pairs = filled;
    }

    /// How many pairs there are of the whole batch, when that is all that is wanted.
    fn count(&self, chunk: &Chunk) -> usize {
        usize::try_from(chunk.index.count(&self.queries)).unwrap_or(usize::MAX)
    }
}

/// The rows of the probe side that come out of a semi, anti or mark join.
pub(super) fn judged_rows(
    join: &JoinContext,
    batch: &RecordBatch,
    matched: &[bool],
) -> Result<RecordBatch> {
    let rows = (0u32..).zip(matched);
    let (rows, mark): (Vec<u32>, _) = match join.kind.join_type {
        JoinType::RightSemi => (rows.filter(|(_, m)| **m).map(|(i, _)| i).collect(), None),
        JoinType::RightAnti => (rows.filter(|(_, m)| !**m).map(|(i, _)| i).collect(), None),
        _ => {
            let mark = BooleanArray::from(matched.to_vec());
            (rows.map(|(i, _)| i).collect(), Some(mark))
        }
    };
    join.output.one_side(JoinSide::Right, batch, rows, mark)
}

/// Rows of the build side that come out at the end: of `rows` of a batch, of which the first has the flag `first`.
pub(super) fn flagged_rows(
    join: &JoinContext,
    batch: &RecordBatch,
    rows: std::ops::Range<usize>,
    flag: impl Fn(usize) -> bool,
) -> Result<RecordBatch> {
    let all = rows.filter_map(|row| Some((u32::try_from(row).ok()?, flag(row))));
    let (rows, mark): (Vec<u32>, _) = match join.kind.join_type {
        JoinType::LeftMark => {
            let (rows, marks): (Vec<u32>, Vec<bool>) = all.unzip();
            (rows, Some(BooleanArray::from(marks)))
        }
        JoinType::LeftSemi => (all.filter(|(_, m)| *m).map(|(row, _)| row).collect(), None),
        _ => (all.filter(|(_, m)| !*m).map(|(row, _)| row).collect(), None),
    };
    join.output.one_side(JoinSide::Left, batch, rows, mark)
}

/// Rows that wait to be given out, in batches of the session's size.
#[derive(Default)]
pub(super) struct Ready {
    batches: VecDeque<RecordBatch>,
}

impl Ready {
    pub(super) fn push(&mut self, batch: RecordBatch, batch_size: usize) {
        let rows = batch.num_rows();
        // Rows without columns weigh nothing.
        if rows <= batch_size || batch.num_columns() == 0 {
            if rows > 0 {
                self.batches.push_back(batch);
            }
            return;
        }
        for start in (0..rows).step_by(batch_size) {
            let slice = batch.slice(start, batch_size.min(rows - start));
            self.batches.push_back(slice);
        }
    }

    pub(super) fn pop(&mut self) -> Option<RecordBatch> {
        self.batches.pop_front()
    }
}

/// The rows of one partition of the join.
pub(super) struct JoinRows {
    join: JoinContext,
    shared: Arc<SharedBuild>,
    state: State,
    ready: Ready,
}

enum State {
    Start,
    Memory(Box<MemoryRows>),
    Spilled(Box<SpilledRows>),
    /// The rows of the build side that are wanted at the end, from this one on.
    Last(Arc<Build>, usize),
    Done,
}

/// The probe side against a build side in memory.
struct MemoryRows {
    build: Arc<Build>,
    stream: SendableRecordBatchStream,
    probe: Option<Probe>,
    pairs: Pairs,
}

impl JoinRows {
    pub(super) fn new(join: JoinContext, shared: Arc<SharedBuild>) -> Self {
        Self {
            join,
            shared,
            state: State::Start,
            ready: Ready::default(),
        }
    }

    /// The next batch, not empty; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready.pop() {
                self.join.metrics.baseline.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            if !self.advance().await? {
                return Ok(None);
            }
            tokio::task::yield_now().await;
        }
    }

    /// One step of work; false at the end.
    async fn advance(&mut self) -> Result<bool> {
        match &mut self.state {
            State::Start => {
                let built = self.shared.get(&self.join)?.await;
                let build = built.map_err(DataFusionError::Shared)?;
                let stream = self.join.probe()?;
                self.state = match &build.rows {
                    BuildRows::Memory(_) => State::Memory(Box::new(MemoryRows {
                        build,
                        stream,
                        probe: None,
                        pairs: Pairs::default(),
                    })),
                    BuildRows::Spilled(_) => {
                        let rows = SpilledRows::new(&self.join, build, stream).await?;
                        State::Spilled(Box::new(rows))
                    }
                };
            }
            State::Memory(rows) => {
                if !rows.advance(&self.join, &mut self.ready).await? {
                    self.state = last(&self.join, &rows.build);
                }
            }
            State::Spilled(rows) => {
                if !rows.advance(&self.join, &mut self.ready).await? {
                    self.state = State::Done;
                }
            }
            State::Last(build, from) => {
                let BuildRows::Memory(chunk) = &build.rows else {
                    return Err(Error::Internal("a spilled build side is in memory".into()));
                };
                let until = chunk.batch.num_rows().min(*from + self.join.batch_size);
                let flag = |row: usize| {
                    let row = chunk.order.get(row).copied().unwrap_or(NO_ROW);
                    build.matched.get(row as usize)
                };
                let batch = flagged_rows(&self.join, &chunk.batch, *from..until, flag)?;
                self.ready.push(batch, self.join.batch_size);
                *from = until;
                if until == chunk.batch.num_rows() {
                    self.state = State::Done;
                }
            }
            State::Done => return Ok(false),
        }
        Ok(true)
    }
}

fn last(join: &JoinContext, build: &Arc<Build>) -> State {
    if build.finish() && join.kind.flags_build {
        State::Last(Arc::clone(build), 0)
    } else {
        State::Done
    }
}

impl MemoryRows {
    /// Joins some rows; false when there are no more.
    async fn advance(&mut self, join: &JoinContext, ready: &mut Ready) -> Result<bool> {
        let BuildRows::Memory(chunk) = &self.build.rows else {
            return Err(Error::Internal("a build side in memory was spilled".into()));
        };
        let Some(probe) = &mut self.probe else {
            let Some(batch) = self.stream.next().await.transpose()? else {
                return Ok(false);
            };
            let _timer = join.metrics.baseline.elapsed_compute().timer();
            join.metrics.probe_rows.add(batch.num_rows());
            let probe = Probe::new(join, chunk, batch)?;
            if join.output.only_counts() && join.kind.join_type == JoinType::Inner {
                let count = probe.count(chunk);
                join.metrics.matches.add(count);
                ready.push(counted(join.output.schema(), count)?, join.batch_size);
            } else {
                self.probe = Some(probe);
            }
            return Ok(true);
        };
        let _timer = join.metrics.baseline.elapsed_compute().timer();
        join_step(
            join,
            chunk,
            probe,
            &mut self.pairs,
            &self.build.matched,
            0,
            ready,
        )?;
        if probe.done {
            self.probe = None;
        }
        Ok(true)
    }
}

/// Joins some rows of a batch with a chunk that is the whole build side.
pub(super) fn join_step(
    join: &JoinContext,
    chunk: &Chunk,
    probe: &mut Probe,
    pairs: &mut Pairs,
    flags: &Flags,
    first_row: usize,
    ready: &mut Ready,
) -> Result<()> {
    probe.step(join, chunk, pairs, flags, first_row)?;
    if join.kind.fills_probe {
        probe.fill(pairs);
    }
    if join.kind.pairs && pairs.len() > 0 {
        let rows = join
            .output
            .pairs(&chunk.batch, &probe.batch, pairs, join.kind.fills_probe)?;
        ready.push(rows, join.batch_size);
    }
    if probe.done && join.kind.judges_probe {
        let rows = judged_rows(join, &probe.batch, &probe.matched)?;
        ready.push(rows, join.batch_size);
    }
    Ok(())
}
