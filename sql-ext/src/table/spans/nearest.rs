//! `nearest(regions, others [, k] [, side])`: the closest other spans of each region.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Int32Builder, RecordBatch, UInt32Array};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::common::Result as DfResult;
use datafusion::execution::SessionState;
use datafusion::physical_plan::ExecutionPlan;

use super::arguments::{OTHERS, REGIONS};
use super::beside::{Beside, Collected, Index, Regions, Rows, positions};
use super::cursor::Cursor;
use super::{Call, SpanDefinition, Takes, beside};
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
             strand. Names of tables are read as in FROM.",
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
    beside::plan(call, state, Arc::new(Nearest { k, side })).await
}

/// How many others, and where.
#[derive(Clone, Copy, Debug)]
struct Nearest {
    k: usize,
    side: Side,
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

/// First, last and distance.
type Found = (i64, i64, i64);

/// Others of one contig.
#[derive(Debug)]
struct Others {
    /// (first, last) by first.
    by_start: Vec<(i64, i64)>,
    /// (last, first) by last.
    by_end: Vec<(i64, i64)>,
    /// The greatest last base among runs of `by_start`, as a binary tree: node 1 is of all, the children of node `n`
    /// are `2 n` and `2 n + 1`, and the leaf of the first is in the middle.
    reach: Vec<i64>,
    /// The greatest last base of `by_start` up to each.
    furthest: Vec<i64>,
}

/// Where the last searches among the others of a contig ended.
#[derive(Debug, Default)]
struct Cursors {
    begun: Cursor,
    ended: Cursor,
    /// Nodes that are still to be looked at: kept for its memory.
    open: Vec<(usize, usize, usize)>,
}

impl Others {
    fn new(mut by_start: Vec<(i64, i64)>) -> Self {
        by_start.sort_unstable();
        let mut by_end: Vec<_> = by_start.iter().map(|(start, end)| (*end, *start)).collect();
        by_end.sort_unstable();
        let leaves = by_start.len().next_power_of_two();
        let mut reach = vec![i64::MIN; 2 * leaves];
        for (leaf, (_, end)) in reach[leaves..].iter_mut().zip(&by_start) {
            *leaf = *end;
        }
        for node in (1..leaves).rev() {
            reach[node] = reach[2 * node].max(reach[2 * node + 1]);
        }
        let furthest = by_start.iter().scan(i64::MIN, |most, (_, end)| {
            *most = (*most).max(*end);
            Some(*most)
        });
        Self {
            furthest: furthest.collect(),
            by_start,
            by_end,
            reach,
        }
    }

    /// Adds the spans that end at `pos` or behind, among the first `begun`, in order.
    ///
    /// # Cost
    /// The logarithm of their number for each that is found, however long spans before them are.
    fn reaching(
        &self,
        open: &mut Vec<(usize, usize, usize)>,
        begun: usize,
        pos: i64,
        found: &mut Vec<Found>,
    ) {
        let leaves = self.reach.len() / 2;
        // The next one last, with the first place and the number of its leaves.
        open.push((1, 0, leaves));
        while let Some((node, first, count)) = open.pop() {
            if first >= begun || self.reach[node] < pos {
                continue;
            }
            if count == 1 {
                let (start, end) = self.by_start[first];
                found.push((start, end, 0));
                continue;
            }
            let half = count / 2;
            open.push((2 * node + 1, first + half, half));
            open.push((2 * node, first, half));
        }
    }

    /// Makes `found` the closest: those than which fewer than `k` are closer.
    fn nearest(
        &self,
        at: &mut Cursors,
        (pos, end_pos): (i64, i64),
        Nearest { k, side }: Nearest,
        found: &mut Vec<Found>,
    ) {
        found.clear();
        let mut behind = at
            .begun
            .seek(&self.by_start, |(start, _)| *start <= end_pos);
        let reached = behind.checked_sub(1).map(|last| self.furthest[last]);
        if reached.is_some_and(|reached| reached >= pos) {
            self.reaching(&mut at.open, behind, pos, found);
        }
        // Points between the same two bases are at one place, and hold no base that they could share.
        let mut same = 0;
        if end_pos < pos {
            same = self.by_start[behind..].partition_point(|other| *other == (pos, end_pos));
            found.extend(std::iter::repeat_n((pos, end_pos, 0), same));
        }
        behind += same;
        let mut before = at.ended.seek(&self.by_end, |(end, _)| *end < pos) - same;
        let wants = |of: Side| side == Side::Either || side == of;
        if !wants(Side::Upstream) {
            before = 0;
        }
        if !wants(Side::Downstream) {
            behind = self.by_start.len();
        }
        // Those of one distance are all found, or none of them.
        while found.len() < k {
            let up = before.checked_sub(1).map(|last| pos - self.by_end[last].0);
            let down = self.by_start.get(behind).map(|(start, _)| start - end_pos);
            let Some(distance) = up.into_iter().chain(down).min() else {
                return;
            };
            if up == Some(distance) {
                // Of equal ends the one that starts first comes first.
                let of_end = |(end, _): &&(i64, i64)| pos - end == distance;
                let count = self.by_end[..before]
                    .iter()
                    .rev()
                    .take_while(of_end)
                    .count();
                let ties = &self.by_end[before - count..before];
                found.extend(ties.iter().map(|(end, start)| (*start, *end, -distance)));
                before -= count;
            }
            if down == Some(distance) {
                let of_start = |(start, _): &&(i64, i64)| start - end_pos == distance;
                let ties = self.by_start[behind..].iter().take_while(of_start);
                let some = found.len();
                found.extend(ties.map(|(start, end)| (*start, *end, distance)));
                behind += found.len() - some;
            }
        }
    }
}

impl Beside for Nearest {
    fn text(&self) -> String {
        format!("nearest, k={}, side={:?}", self.k, self.side)
    }

    /// Two orders of two positions, up to four nodes, and how far those before reach.
    fn bytes_per_span(&self) -> usize {
        9 * size_of::<i64>()
    }

    fn index(&self, others: Collected, schema: SchemaRef) -> Arc<dyn Index> {
        let of = |(contig, spans)| (contig, Arc::new(Others::new(spans)));
        Arc::new(NearestIndex {
            what: *self,
            contigs: others.into_iter().map(of).collect(),
            schema,
        })
    }
}

struct NearestIndex {
    what: Nearest,
    contigs: HashMap<String, Arc<Others>>,
    schema: SchemaRef,
}

impl Index for NearestIndex {
    fn rows(self: Arc<Self>, regions: Regions) -> Box<dyn Rows> {
        Box::new(NearestRows {
            index: self,
            regions,
            next: 0,
            run_end: 0,
            others: None,
            at: Cursors::default(),
            found: Vec::new(),
            given: 0,
            alone: false,
        })
    }
}

struct NearestRows {
    index: Arc<NearestIndex>,
    regions: Regions,
    /// The region that comes next.
    next: usize,
    /// Regions before this one are of one contig, with these others.
    run_end: usize,
    others: Option<Arc<Others>>,
    at: Cursors,
    /// What is found of the region before the next, how many of it are given out, and whether nothing was found.
    found: Vec<Found>,
    given: usize,
    alone: bool,
}

impl Rows for NearestRows {
    fn next(&mut self, most: usize) -> DfResult<Option<RecordBatch>> {
        let room = most.min(self.regions.len());
        let mut rows: Vec<u32> = Vec::with_capacity(room);
        let mut nearest: [Int32Builder; 3] =
            std::array::from_fn(|_| Int32Builder::with_capacity(room));
        let row = |next: usize| {
            u32::try_from(next).map_err(|_| Error::Internal("a batch of 2^32 regions"))
        };
        while rows.len() < most {
            if let Some((start, end, distance)) = self.found.get(self.given) {
                for (builder, value) in nearest.iter_mut().zip([start, end, distance]) {
                    builder.append_value(position(*value)?);
                }
                self.given += 1;
            } else if self.alone {
                nearest.iter_mut().for_each(Int32Builder::append_null);
                self.alone = false;
            } else if self.next < self.regions.len() {
                self.look_up();
                continue;
            } else {
                break;
            }
            rows.push(row(self.next - 1)?);
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let (regions, rows) = (&self.regions, UInt32Array::from(rows));
        let mut columns = vec![
            take(&regions.contigs, &rows, None)?,
            positions(take(&regions.pos, &rows, None)?.as_primitive())?,
            positions(take(&regions.end_pos, &rows, None)?.as_primitive())?,
        ];
        columns.extend(nearest.iter_mut().map(|n| Arc::new(n.finish()) as ArrayRef));
        Ok(Some(RecordBatch::try_new(
            Arc::clone(&self.index.schema),
            columns,
        )?))
    }
}

impl NearestRows {
    /// Finds what is nearest to the next region.
    fn look_up(&mut self) {
        if self.next >= self.run_end {
            self.run_end = self.regions.end_of_run(self.next);
            let contig = self.regions.contigs.value(self.next);
            self.others = self.index.contigs.get(contig).cloned();
            self.at = Cursors::default();
        }
        let (pos, end_pos) = (
            self.regions.pos.value(self.next),
            self.regions.end_pos.value(self.next),
        );
        self.given = 0;
        match &self.others {
            Some(others) => {
                let what = self.index.what;
                others.nearest(&mut self.at, (pos, end_pos), what, &mut self.found);
            }
            None => self.found.clear(),
        }
        self.alone = self.found.is_empty();
        self.next += 1;
    }
}

/// A position as results have it; the error is that of a cast.
fn position(value: i64) -> DfResult<i32> {
    i32::try_from(value).map_err(|_| {
        let told = format!("Can't cast value {value} to type Int32");
        ArrowError::CastError(told).into()
    })
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
        let others = Others::new(by_start);
        let mut at = Cursors::default();
        let mut nearest = |pos, end_pos, k, side| {
            let mut found = Vec::new();
            let what = Nearest { k, side };
            others.nearest(&mut at, (pos, end_pos), what, &mut found);
            found
        };
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
