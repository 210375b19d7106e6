//! How many spans each region overlaps, and how many of its bases they cover, by binary search.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result as DfResult;

use super::beside::{Beside, Collected, Index, Regions, Rows, positions};
use super::cursor::Cursor;

/// Columns `contig, pos, end_pos, n_overlaps`, and of coverage `covered_bp, covered`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overlaps {
    Count,
    Coverage,
}

impl Beside for Overlaps {
    fn text(&self) -> String {
        match self {
            Self::Count => "count of overlaps".to_owned(),
            Self::Coverage => "coverage".to_owned(),
        }
    }

    /// The span, its first and its last, and of coverage its share of the union.
    fn bytes_per_span(&self) -> usize {
        match self {
            Self::Count => 4 * size_of::<i64>(),
            Self::Coverage => 7 * size_of::<i64>(),
        }
    }

    fn index(&self, others: Collected, schema: SchemaRef) -> Arc<dyn Index> {
        let of = |(contig, spans)| (contig, Others::new(spans, *self));
        Arc::new(OverlapIndex {
            what: *self,
            contigs: others.into_iter().map(of).collect(),
            schema,
        })
    }
}

/// Spans of one contig.
#[derive(Debug, Default)]
struct Others {
    /// First bases, rising.
    starts: Vec<i64>,
    /// Last bases, rising.
    ends: Vec<i64>,
    /// Points between two bases (`end_pos = pos - 1`), by `pos`, rising.
    points: Vec<i64>,
    /// First bases of the union's stretches, rising.
    union_starts: Vec<i64>,
    /// Their last bases, and the bases of all stretches before.
    union_ends: Vec<(i64, i64)>,
}

/// Where the last searches among the spans of a contig ended.
#[derive(Debug, Default)]
struct Cursors {
    start: Cursor,
    end: Cursor,
    covered: [Cursor; 2],
}

impl Others {
    fn new(mut spans: Vec<(i64, i64)>, what: Overlaps) -> Self {
        let mut others = Self::default();
        if !spans.is_sorted() {
            spans.sort_unstable();
        }
        others.starts = spans.iter().map(|(start, _)| *start).collect();
        let points = spans.iter().filter(|(start, end)| end < start);
        others.points = points.map(|(start, _)| *start).collect();
        if what == Overlaps::Coverage {
            others.unite(&spans);
        }
        others.ends = spans.into_iter().map(|(_, end)| end).collect();
        others.ends.sort_unstable();
        others
    }

    /// Makes the union of spans that rise by their first base.
    fn unite(&mut self, spans: &[(i64, i64)]) {
        let mut bases = 0;
        for &(start, end) in spans.iter().filter(|(start, end)| start <= end) {
            match self.union_ends.last_mut() {
                Some((last, _)) if start <= *last + 1 => {
                    bases += (end - *last).max(0);
                    *last = end.max(*last);
                }
                _ => {
                    self.union_starts.push(start);
                    self.union_ends.push((end, bases));
                    bases += end - start + 1;
                }
            }
        }
    }

    /// How many share a base with a region, or hold both bases beside a point.
    fn count(&self, at: &mut Cursors, pos: i64, end_pos: i64) -> i64 {
        let begun = at.start.seek(&self.starts, |start| *start <= end_pos);
        let mut ended = at.end.seek(&self.ends, |end| *end < pos);
        if end_pos < pos {
            // Points at the same place have ended before they begin.
            let same = self.points.partition_point(|point| *point <= pos)
                - self.points.partition_point(|point| *point < pos);
            ended -= same;
        }
        i64::try_from(begun - ended).unwrap_or(i64::MAX)
    }

    /// Bases of a region that any covers.
    fn bases(&self, at: &mut Cursors, pos: i64, end_pos: i64) -> i64 {
        let [before, to] = &mut at.covered;
        self.bases_to(to, end_pos) - self.bases_to(before, pos - 1)
    }

    /// Bases that any covers up to one.
    fn bases_to(&self, at: &mut Cursor, base: i64) -> i64 {
        let begun = at.seek(&self.union_starts, |start| *start <= base);
        begun.checked_sub(1).map_or(0, |place| {
            let (end, before) = self.union_ends[place];
            before + base.min(end) - self.union_starts[place] + 1
        })
    }
}

struct OverlapIndex {
    what: Overlaps,
    contigs: HashMap<String, Others>,
    schema: SchemaRef,
}

impl Index for OverlapIndex {
    fn rows(self: Arc<Self>, regions: Regions) -> Box<dyn Rows> {
        Box::new(OverlapRows {
            index: self,
            regions,
            next: 0,
        })
    }
}

struct OverlapRows {
    index: Arc<OverlapIndex>,
    regions: Regions,
    /// Regions before this one are given out.
    next: usize,
}

impl Rows for OverlapRows {
    fn next(&mut self, most: usize) -> DfResult<Option<RecordBatch>> {
        let (index, regions) = (&self.index, &self.regions);
        let rows = self.next..regions.len().min(self.next + most);
        if rows.is_empty() {
            return Ok(None);
        }
        let (mut counts, mut bases) = (vec![0; rows.len()], Vec::new());
        if index.what == Overlaps::Coverage {
            bases = vec![0; rows.len()];
        }
        let mut row = rows.start;
        while row < rows.end {
            let run = regions.end_of_run(row).min(rows.end);
            if let Some(others) = index.contigs.get(regions.contigs.value(row)) {
                let mut at = Cursors::default();
                for row in row..run {
                    let (pos, end_pos) = (regions.pos.value(row), regions.end_pos.value(row));
                    counts[row - rows.start] = others.count(&mut at, pos, end_pos);
                    if let Some(bases) = bases.get_mut(row - rows.start) {
                        *bases = others.bases(&mut at, pos, end_pos);
                    }
                }
            }
            row = run;
        }
        let pos = regions.pos.slice(rows.start, rows.len());
        let end_pos = regions.end_pos.slice(rows.start, rows.len());
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(regions.contigs.slice(rows.start, rows.len())),
            positions(&pos)?,
            positions(&end_pos)?,
            Arc::new(Int64Array::from(counts)),
        ];
        if index.what == Overlaps::Coverage {
            let share =
                |(row, bases): (usize, &i64)| share(*bases, pos.value(row), end_pos.value(row));
            let shares: Float64Array = bases.iter().enumerate().map(share).collect();
            columns.push(Arc::new(Int64Array::from(bases)));
            columns.push(Arc::new(shares));
        }
        self.next = rows.end;
        Ok(Some(RecordBatch::try_new(
            Arc::clone(&index.schema),
            columns,
        )?))
    }
}

/// `covered_bp` of a region's length; a point has none.
#[expect(
    clippy::cast_precision_loss,
    reason = "lengths of contigs are far below 2^53"
)]
fn share(bases: i64, pos: i64, end_pos: i64) -> Option<f64> {
    let length = end_pos - pos + 1;
    (length > 0).then(|| bases as f64 / length as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_stretch_and_points_cover_nothing() {
        let spans = vec![(5, 8), (9, 12), (20, 19), (1, 2), (6, 7), (30, 30)];
        let others = Others::new(spans, Overlaps::Coverage);
        let mut at = Cursors::default();
        assert_eq!(others.union_starts, [1, 5, 30]);
        assert_eq!(others.union_ends, [(2, 0), (12, 2), (30, 10)]);
        for (pos, end_pos, count, bases) in [
            (1, 40, 6, 11),
            (2, 6, 3, 3),
            (13, 19, 0, 0),
            (13, 20, 1, 0),
            // Points: between the bases of a span, at one of the same place, beside a span.
            (7, 6, 2, 0),
            (20, 19, 0, 0),
            (5, 4, 0, 0),
            (9, 8, 0, 0),
        ] {
            assert_eq!(
                others.count(&mut at, pos, end_pos),
                count,
                "{pos}-{end_pos}"
            );
            assert_eq!(
                others.bases(&mut at, pos, end_pos),
                bases,
                "{pos}-{end_pos}"
            );
        }
    }
}
