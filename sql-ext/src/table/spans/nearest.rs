//! `nearest(regions, others [, k] [, side])`: the closest other spans of each region.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, Int32Builder, Int64Array, RecordBatch, StringArray, StringBuilder,
};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Result as DfResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements, Partitioning,
    PlanProperties,
};
use futures::{StreamExt as _, stream};

use super::arguments::{OTHERS, REGIONS};
use super::{Call, SpanDefinition, Takes, same_spelling, spelling};
use crate::doc::{Argument, Chapter, FunctionDoc, optional};
use crate::error::Error;
use crate::table::{column, nullable};

const K: Argument = optional(
    "k",
    "integer",
    "How many others; 1 when left out. Others at the distance of the last are given too.",
);
const SIDE: Argument = optional(
    "side",
    "text",
    "`upstream`: only others before the region, by position; `downstream`: only those behind it; `either` when left \
     out. Those that overlap it are given in any case.",
);

pub(super) const DEFINITION: SpanDefinition = SpanDefinition {
    doc: FunctionDoc {
        name: "nearest",
        chapter: Chapter::Regions,
        arguments: &[REGIONS, OTHERS, K, SIDE],
        returns: "TABLE (contig text, pos integer, end_pos integer, nearest_pos integer, nearest_end_pos integer, \
                  distance integer)",
        summary: "The closest other spans of each region on its contig.",
        details: &[
            "`distance` is 0 for spans that share a base (and for two points between the same bases), else the way from \
             the last base of the one to the first of the other: neighbours are 1 apart. It is negative where the other \
             lies before the region.",
            "Ties are all given: with `k` = 2 an other is given when fewer than 2 are closer than it. A region without \
             any other on its contig, or on the side asked for, is given once with NULL.",
            "The spans of `bedtools closest -D ref -k` with all ties; upstream and downstream are by position, not by \
             strand. A table is given by schema and name; the query of an argument names its tables with their \
             schemas.",
        ],
        example: "SELECT n.contig, n.pos, g.name, n.distance FROM nearest('cohort.variants', 'kb.genes') n\n\
                  JOIN kb.genes g ON g.contig = n.contig AND g.pos = n.nearest_pos AND g.end_pos = n.nearest_end_pos;",
    },
    columns: &[
        column("contig", DataType::Utf8, "Contig"),
        column("pos", DataType::Int32, "First base of the region, 1-based"),
        column("end_pos", DataType::Int32, "Last base, included"),
        nullable(
            "nearest_pos",
            DataType::Int32,
            "First base of the other span",
        ),
        nullable(
            "nearest_end_pos",
            DataType::Int32,
            "Its last base, included",
        ),
        nullable(
            "distance",
            DataType::Int32,
            "Bases from one to the other; negative when the other lies before",
        ),
    ],
    takes: Takes {
        texts: 2,
        numbers: (0, 1),
        word: true,
        expected: "takes (regions, others [, k] [, 'upstream', 'downstream' or 'either']): constants, k at least 1",
    },
    plan: |call, state| Box::pin(plan(call, state)),
};

async fn plan(call: &Call, state: &SessionState) -> DfResult<Arc<dyn ExecutionPlan>> {
    let k = call.arguments.numbers.first().copied().unwrap_or(1);
    let side = call.arguments.word.as_deref().unwrap_or("either");
    let least = usize::try_from(k).ok().filter(|k| *k > 0);
    let (Some(k), Some(side)) = (least, Side::of(side)) else {
        return Err(Error::Argument {
            function: DEFINITION.doc.name,
            expected: DEFINITION.takes.expected,
            got: format!("{k}, '{side}'"),
        }
        .into());
    };
    let regions = call.spans(state, 0).await?;
    let others = call.spans(state, 1).await?;
    let spelled = (
        spelling(state, &regions).await?,
        spelling(state, &others).await?,
    );
    same_spelling(spelled.0.as_deref(), spelled.1.as_deref())?;
    let regions = call
        .query(state, &format!("SELECT * FROM {regions} AS regions"))
        .await?;
    let others = call
        .query(state, &format!("SELECT * FROM {others} AS others"))
        .await?;
    let schema = Arc::clone(&call.schema);
    Ok(Arc::new(NearestExec::new(regions, others, k, side, schema)))
}

/// Where others are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Upstream,
    Downstream,
    Either,
}

impl Side {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "upstream" => Self::Upstream,
            "downstream" => Self::Downstream,
            "either" => Self::Either,
            _ => return None,
        })
    }
}

/// Others of one contig.
#[derive(Debug, Default)]
struct Others {
    /// (first, last) by first.
    by_start: Vec<(i64, i64)>,
    /// (last, first) by last.
    by_end: Vec<(i64, i64)>,
    /// The greatest last base among runs of `by_start`, as a binary tree: node 1 is of all, the children of node `n`
    /// are `2 n` and `2 n + 1`, and the leaf of the first is in the middle.
    reach: Vec<i64>,
}

impl Others {
    fn sort(&mut self) {
        self.by_start.sort_unstable();
        self.by_end = self
            .by_start
            .iter()
            .map(|(start, end)| (*end, *start))
            .collect();
        self.by_end.sort_unstable();
        let leaves = self.by_start.len().next_power_of_two();
        self.reach = vec![i64::MIN; 2 * leaves];
        for (leaf, (_, end)) in self.reach[leaves..].iter_mut().zip(&self.by_start) {
            *leaf = *end;
        }
        for node in (1..leaves).rev() {
            self.reach[node] = self.reach[2 * node].max(self.reach[2 * node + 1]);
        }
    }

    /// Calls `found` with the places below `begun` in `by_start`, in order, of the spans that end at `pos` or behind.
    ///
    /// # Cost
    /// The logarithm of their number for each that is found, however long spans before them are.
    fn reaching(&self, begun: usize, pos: i64, found: &mut impl FnMut(usize)) {
        let leaves = self.reach.len() / 2;
        // Nodes that are still to be looked at, the next one last, with the first place and the number of their leaves.
        let mut open = vec![(1, 0, leaves)];
        while let Some((node, first, count)) = open.pop() {
            if first >= begun || self.reach[node] < pos {
                continue;
            }
            if count == 1 {
                found(first);
                continue;
            }
            let half = count / 2;
            open.push((2 * node + 1, first + half, half));
            open.push((2 * node, first, half));
        }
    }

    /// The closest, as (first, last, distance): those than which fewer than `k` are closer.
    fn nearest(&self, pos: i64, end_pos: i64, k: usize, side: Side) -> Vec<(i64, i64, i64)> {
        let mut found = Vec::new();
        let begun = self
            .by_start
            .partition_point(|(start, _)| *start <= end_pos);
        self.reaching(begun, pos, &mut |place| {
            let (start, end) = self.by_start[place];
            found.push((start, end, 0));
        });
        // Points between the same two bases are at one place, and hold no base that they could share.
        let same = self.by_start[begun..].partition_point(|other| *other == (pos, end_pos));
        found.extend(std::iter::repeat_n((pos, end_pos, 0), same));
        let begun = begun + same;
        let ended = self.by_end.partition_point(|(end, _)| *end < pos) - same;
        let wants = |of: Side| side == Side::Either || side == of;
        let before = if wants(Side::Upstream) {
            &self.by_end[..ended]
        } else {
            &[]
        };
        let behind = if wants(Side::Downstream) {
            &self.by_start[begun..]
        } else {
            &[]
        };
        // Of equal ends the one that starts first comes first.
        let mut before = before
            .chunk_by(|a, b| a.0 == b.0)
            .rev()
            .flatten()
            .peekable();
        let mut behind = behind.iter().peekable();
        let (mut closer, mut at) = (0, 0);
        loop {
            let up = before.peek().map(|(end, _)| pos - end);
            let down = behind.peek().map(|(start, _)| start - end_pos);
            let Some(distance) = up.into_iter().chain(down).min() else {
                return found;
            };
            if distance > at {
                (closer, at) = (found.len(), distance);
            }
            if closer >= k {
                return found;
            }
            if up == Some(distance) {
                found.extend(before.next().map(|(end, start)| (*start, *end, -distance)));
            } else {
                found.extend(behind.next().map(|(start, end)| (*start, *end, distance)));
            }
        }
    }
}

/// The operator: others are collected, regions stream by.
#[derive(Debug)]
struct NearestExec {
    regions: Arc<dyn ExecutionPlan>,
    others: Arc<dyn ExecutionPlan>,
    k: usize,
    side: Side,
    properties: Arc<PlanProperties>,
}

impl NearestExec {
    fn new(
        regions: Arc<dyn ExecutionPlan>,
        others: Arc<dyn ExecutionPlan>,
        k: usize,
        side: Side,
        schema: SchemaRef,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            regions,
            others,
            k,
            side,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for NearestExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NearestExec: k={}, side={:?}", self.k, self.side)
    }
}

impl ExecutionPlan for NearestExec {
    fn name(&self) -> &'static str {
        "NearestExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.regions, &self.others]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let single = || Distribution::SinglePartition;
        InputDistributionRequirements::new(vec![single(), single()])
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let Ok([regions, others]) = <[_; 2]>::try_from(children) else {
            return Err(Error::Internal("NearestExec has two inputs").into());
        };
        Ok(Arc::new(Self::new(
            regions,
            others,
            self.k,
            self.side,
            self.schema(),
        )))
    }

    fn execute(
        &self,
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        let rows = NearestRows {
            regions: self.regions.execute(0, Arc::clone(&context))?,
            others: Some(self.others.execute(0, Arc::clone(&context))?),
            contigs: HashMap::new(),
            held: MemoryConsumer::new("Nearest").register(context.memory_pool()),
            batch: None,
            found: VecDeque::new(),
            k: self.k,
            side: self.side,
            batch_size: context.session_config().batch_size().max(1),
            schema: self.schema(),
        };
        let stream = stream::try_unfold(rows, |mut rows| async move {
            Ok(rows.next().await?.map(|batch| (batch, rows)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            stream,
        )))
    }
}

/// The rows of the operator.
struct NearestRows {
    regions: SendableRecordBatchStream,
    /// `None` when they are collected.
    others: Option<SendableRecordBatchStream>,
    contigs: HashMap<String, Others>,
    held: MemoryReservation,
    /// Regions, and which of them comes next.
    batch: Option<(RecordBatch, usize)>,
    /// What is found of the region before that, and not given out.
    found: VecDeque<Option<(i64, i64, i64)>>,
    k: usize,
    side: Side,
    batch_size: usize,
    schema: SchemaRef,
}

impl NearestRows {
    async fn next(&mut self) -> DfResult<Option<RecordBatch>> {
        if let Some(mut others) = self.others.take() {
            while let Some(batch) = others.next().await.transpose()? {
                // Two orders of two positions, and up to four nodes.
                self.held
                    .try_grow(batch.num_rows() * 8 * size_of::<i64>())?;
                collect(&batch, &mut self.contigs)?;
            }
            self.contigs.values_mut().for_each(Others::sort);
        }
        loop {
            if self.batch.is_none() {
                let Some(batch) = self.regions.next().await.transpose()? else {
                    return Ok(None);
                };
                self.batch = Some((batch, 0));
            }
            let rows = self.rows()?;
            tokio::task::yield_now().await;
            if rows.num_rows() > 0 {
                return Ok(Some(rows));
            }
        }
    }

    /// Rows of the batch, at most as many as a batch has.
    fn rows(&mut self) -> DfResult<RecordBatch> {
        let mut contigs = StringBuilder::new();
        let mut positions: [Int32Builder; 5] = std::array::from_fn(|_| Int32Builder::new());
        let mut count = 0;
        if let Some((batch, next)) = &mut self.batch {
            let spans = Spans::of(batch)?;
            while count < self.batch_size {
                let Some(found) = self.found.pop_front() else {
                    if *next == batch.num_rows() {
                        break;
                    }
                    let (contig, pos, end_pos) = spans.get(*next);
                    let others = self.contigs.get(contig);
                    let nearest = others.map(|o| o.nearest(pos, end_pos, self.k, self.side));
                    self.found
                        .extend(nearest.unwrap_or_default().into_iter().map(Some));
                    if self.found.is_empty() {
                        self.found.push_back(None);
                    }
                    *next += 1;
                    continue;
                };
                let (contig, pos, end_pos) = spans.get(*next - 1);
                contigs.append_value(contig);
                let found = found.map(|(start, end, distance)| [start, end, distance]);
                let values = [Some(pos), Some(end_pos)].into_iter();
                let values = values.chain((0..3).map(|i| found.map(|found| found[i])));
                for (builder, value) in positions.iter_mut().zip(values) {
                    builder.append_option(value.map(position).transpose()?);
                }
                count += 1;
            }
            if self.found.is_empty() && *next == batch.num_rows() {
                self.batch = None;
            }
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(contigs.finish())];
        columns.extend(
            positions
                .iter_mut()
                .map(|p| Arc::new(p.finish()) as ArrayRef),
        );
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

fn position(value: i64) -> DfResult<i32> {
    i32::try_from(value).map_err(|_| Error::Internal("a position beyond integer").into())
}

/// The columns of a batch of spans, none of which is NULL.
struct Spans<'a> {
    contigs: &'a StringArray,
    pos: &'a Int64Array,
    end_pos: &'a Int64Array,
}

impl<'a> Spans<'a> {
    fn of(batch: &'a RecordBatch) -> DfResult<Self> {
        let [contigs, pos, end_pos] = batch.columns() else {
            return Err(Error::Internal("spans of other than three columns").into());
        };
        let contigs = contigs.as_string_opt();
        Ok(Self {
            contigs: contigs.ok_or(Error::Internal("contigs that are not text"))?,
            pos: pos.as_primitive(),
            end_pos: end_pos.as_primitive(),
        })
    }

    fn get(&self, row: usize) -> (&'a str, i64, i64) {
        (
            self.contigs.value(row),
            self.pos.value(row),
            self.end_pos.value(row),
        )
    }
}

fn collect(batch: &RecordBatch, contigs: &mut HashMap<String, Others>) -> DfResult<()> {
    let spans = Spans::of(batch)?;
    for row in 0..batch.num_rows() {
        let (contig, pos, end_pos) = spans.get(row);
        if !contigs.contains_key(contig) {
            contigs.insert(contig.to_owned(), Others::default());
        }
        if let Some(others) = contigs.get_mut(contig) {
            others.by_start.push((pos, end_pos));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_with_ties() {
        let by_start = vec![
            (1, 5),
            (2, 5),
            (8, 9),
            (20, 30),
            (22, 24),
            (35, 36),
            (40, 41),
            (45, 44),
        ];
        let mut others = Others {
            by_start,
            ..Others::default()
        };
        others.sort();
        let nearest = |pos, end_pos, k, side| others.nearest(pos, end_pos, k, side);
        use Side::{Downstream, Either, Upstream};
        for (pos, end_pos, k, side, expected) in [
            // Overlaps are all ties.
            (23, 25, 1, Either, vec![(20, 30, 0), (22, 24, 0)]),
            (23, 25, 2, Either, vec![(20, 30, 0), (22, 24, 0)]),
            (
                23,
                25,
                3,
                Either,
                vec![(20, 30, 0), (22, 24, 0), (35, 36, 10)],
            ),
            // Neighbours are one apart; equal distances are ties.
            (6, 7, 1, Either, vec![(1, 5, -1), (2, 5, -1), (8, 9, 1)]),
            (6, 7, 1, Downstream, vec![(8, 9, 1)]),
            (6, 6, 3, Upstream, vec![(1, 5, -1), (2, 5, -1)]),
            (
                50,
                50,
                3,
                Either,
                vec![(45, 44, -6), (40, 41, -9), (35, 36, -14)],
            ),
            (50, 50, 1, Downstream, vec![]),
            // A point is 1 from the bases on both sides, and at the place of another between the same two.
            (10, 9, 1, Either, vec![(8, 9, -1)]),
            (20, 19, 1, Either, vec![(20, 30, 1)]),
            (23, 22, 1, Either, vec![(20, 30, 0), (22, 24, 0)]),
            (45, 44, 1, Either, vec![(45, 44, 0)]),
            (45, 44, 2, Upstream, vec![(45, 44, 0), (40, 41, -4)]),
            (44, 46, 1, Either, vec![(45, 44, 0)]),
            (45, 46, 1, Either, vec![(45, 44, -1)]),
        ] {
            assert_eq!(
                nearest(pos, end_pos, k, side),
                expected,
                "{pos}-{end_pos} {k} {side:?}"
            );
        }
    }
}
