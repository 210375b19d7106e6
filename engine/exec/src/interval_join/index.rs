//! The spans of the build side, sorted for lookup.
//!
//! Spans of one key are a *group*: a stretch of two arrays, `starts` rising and the `ends` that belong to them. A
//! query asks for all spans with `start <= hi` and `end >= lo`. Those with `start <= hi` are a prefix of the group;
//! its length comes from a table of buckets of equal width, so that it costs one look and a short search. Hits are
//! then taken from the prefix backwards, sixteen ends (a cache line) at a time:
//!
//! ```text
//! starts   3   5   8  12 | 13  20  22  25 | 31  40  ..    hi = 33: the prefix ends after 31
//! ends    90   9  15  14 | 18  21  60  26 | 35  41  ..    lo = 30: 35 hits
//! block max      90      |       60       |     41        60 >= 30: look into the block, 60 hits
//! prefix max     90      |       90       |     90        90 >= 30: go on; were it less, nothing before could hit
//! ```
//!
//! The maxima of sixteen blocks make a block of the next level, and so on, so that a long stretch without a hit is
//! jumped over: a query costs O(1 + hits), times the depth of the levels at worst, whatever the spans look like. No
//! use is made of `start <= end`, so reversed spans and queries have the answers that the comparisons give.

use super::stretches::joined;

/// Ends that are looked at together, and blocks of one level that make a block of the next.
const BLOCK: usize = 16;
const BLOCK_SHIFT: u32 = BLOCK.trailing_zeros();
/// Groups up to this size are searched and scanned without tables.
const SMALL: usize = 4 * BLOCK;
/// The group of a row that matches nothing.
pub(super) const NO_GROUP: u32 = u32::MAX;
/// The row that stands for "no row" among pairs.
pub(super) const NO_ROW: u32 = u32::MAX;

/// What each row of one side asks for or offers: its group and a span. The fields are one row after the other.
#[derive(Debug, Default)]
pub(super) struct SpanRows {
    /// [`NO_GROUP`] where the row can match nothing: a NULL key or bound.
    pub(super) groups: Vec<u32>,
    pub(super) starts: Vec<i64>,
    pub(super) ends: Vec<i64>,
}

impl SpanRows {
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }
}

/// Where the matches of a batch of queries are to be continued.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    /// The query.
    pub(super) row: usize,
    /// Spans of its group that are left, from the first; `None` before the query was begun.
    left: Option<u32>,
}

/// Matches: rows of the build side beside rows of the probe side.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub(super) build: Vec<u32>,
    pub(super) probe: Vec<u32>,
}

impl Pairs {
    pub(super) fn clear(&mut self) {
        self.build.clear();
        self.probe.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.build.len()
    }
}

/// A position as the index holds it: half the bytes when all fit.
trait Position: Copy + Ord {
    const MIN: Self;
    /// The largest position that is not above `value`; `None` when all are.
    fn at_most(value: i64) -> Option<Self>;
    /// The smallest position that is not below `value`; `None` when all are.
    fn at_least(value: i64) -> Option<Self>;
    /// How far it is from a smaller position.
    fn distance(self, from: Self) -> u64;
}

impl Position for i64 {
    const MIN: Self = i64::MIN;

    fn at_most(value: i64) -> Option<Self> {
        Some(value)
    }

    fn at_least(value: i64) -> Option<Self> {
        Some(value)
    }

    fn distance(self, from: Self) -> u64 {
        self.abs_diff(from)
    }
}

impl Position for i32 {
    const MIN: Self = i32::MIN;

    fn at_most(value: i64) -> Option<Self> {
        match i32::try_from(value) {
            Ok(value) => Some(value),
            Err(_) => (value > 0).then_some(i32::MAX),
        }
    }

    fn at_least(value: i64) -> Option<Self> {
        match i32::try_from(value) {
            Ok(value) => Some(value),
            Err(_) => (value < 0).then_some(i32::MIN),
        }
    }

    fn distance(self, from: Self) -> u64 {
        self.abs_diff(from).into()
    }
}

/// The spans of the build side.
#[derive(Debug)]
pub(super) struct Index {
    spans: Width,
    /// No span ends before it starts.
    regular: bool,
}

#[derive(Debug)]
enum Width {
    Narrow(Spans<i32>),
    Wide(Spans<i64>),
}

/// Runs the same code on spans of either width.
macro_rules! on_spans {
    ($index:expr, $spans:ident => $do:expr) => {
        match &$index.spans {
            Width::Narrow($spans) => $do,
            Width::Wide($spans) => $do,
        }
    };
}

impl Index {
    /// An index of rows, and the rows in the order of its places. Rows without a group have no place. `counts`:
    /// [`Index::count`] will be asked for.
    pub(super) fn new(rows: &SpanRows, groups: usize, counts: bool) -> (Self, Vec<u32>) {
        let order = order(rows, groups);
        let narrow = |values: &[i64]| values.iter().all(|v| i32::try_from(*v).is_ok());
        let regular = (0..rows.len()).all(|row| rows.starts[row] <= rows.ends[row]);
        let counts = counts && regular;
        let spans = if narrow(&rows.starts) && narrow(&rows.ends) {
            let to = |value: i64| i32::try_from(value).unwrap_or_default();
            Width::Narrow(Spans::new(rows, &order, groups, counts, to))
        } else {
            Width::Wide(Spans::new(rows, &order, groups, counts, |value| value))
        };
        (Self { spans, regular }, order)
    }

    /// Bytes of memory that an index of so many rows and groups takes at most, while it is made.
    pub(super) fn bytes_bound(rows: usize, groups: usize) -> usize {
        // Rows: group, start, end, order; starts, ends, two tables, sorted ends.
        let rows = rows.saturating_mul(4 + 8 + 8 + 4 + 8 + 8 + 8 + 8 + 8);
        rows.saturating_add(groups.saturating_mul(size_of::<Group>() + size_of::<Tables<i64>>()))
    }

    /// Bytes of memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        on_spans!(self, spans => spans.bytes())
    }

    /// Appends matches of queries from `cursor` on until `pairs` holds `limit` of them or all queries are answered;
    /// true when they are. Matches of a query come by falling start.
    pub(super) fn matches(
        &self,
        queries: &SpanRows,
        cursor: &mut Cursor,
        pairs: &mut Pairs,
        limit: usize,
    ) -> bool {
        on_spans!(self, spans => spans.matches(queries, cursor, pairs, limit))
    }

    /// Whether each query matches any span.
    pub(super) fn any<'a>(&'a self, queries: &'a SpanRows) -> impl Iterator<Item = bool> + 'a {
        let any = |row: usize| on_spans!(self, spans => spans.any(queries, row));
        (0..queries.len()).map(any)
    }

    /// How many spans each query matches, in all.
    pub(super) fn count(&self, queries: &SpanRows) -> u64 {
        let rows = 0..queries.len();
        on_spans!(self, spans => rows.map(|row| spans.count(queries, row, self.regular)).sum())
    }

    /// Per group the outline of its spans: stretches without a gap, as (first start, last end), by rising start.
    pub(super) fn outline(&self, group: usize) -> Vec<(i64, i64)> {
        on_spans!(self, spans => spans.outline(group))
    }
}

/// Rows by group, start, end and place among the rows; those without a group left out.
fn order(rows: &SpanRows, groups: usize) -> Vec<u32> {
    let mut begins = vec![0usize; groups + 1];
    for group in &rows.groups {
        if let Some(count) = begins.get_mut(*group as usize + 1) {
            *count += 1;
        }
    }
    for group in 0..groups {
        begins[group + 1] += begins[group];
    }
    let mut order = vec![0u32; begins[groups]];
    let mut next = begins.clone();
    for (row, group) in (0u32..).zip(&rows.groups) {
        if *group != NO_GROUP {
            let place = &mut next[*group as usize];
            order[*place] = row;
            *place += 1;
        }
    }
    let span = |row: u32| (rows.starts[row as usize], rows.ends[row as usize]);
    for group in 0..groups {
        let rows = &mut order[begins[group]..begins[group + 1]];
        // Most inputs are sorted: they cost one look at each row.
        if !rows.is_sorted_by_key(|row| span(*row)) {
            rows.sort_unstable_by_key(|row| (span(*row), *row));
        }
    }
    order
}

/// A stretch of the spans.
#[derive(Clone, Copy, Debug)]
struct Group {
    begin: u32,
    len: u32,
    /// Its place among the tables; groups of up to [`SMALL`] spans have none.
    tables: u32,
}

#[derive(Debug)]
struct Spans<P> {
    starts: Vec<P>,
    /// [`BLOCK`] more than there are spans, so that every block is whole.
    ends: Vec<P>,
    groups: Vec<Group>,
    tables: Vec<Tables<P>>,
}

/// What makes lookups in a large group fast.
#[derive(Debug)]
struct Tables<P> {
    starts: Buckets<P>,
    /// Largest end of each block, then of sixteen blocks each, and so on.
    maxima: Vec<Vec<P>>,
    /// Largest end of each block and all before it.
    prefix: Vec<P>,
    /// All ends, rising.
    ends: Option<(Vec<P>, Buckets<P>)>,
}

/// How many of some rising values lie below each of equal steps.
#[derive(Debug)]
struct Buckets<P> {
    first: P,
    shift: u32,
    /// One more than there are buckets.
    below: Vec<u32>,
}

impl<P: Position> Buckets<P> {
    /// Of values that rise; at least one.
    fn new(values: &[P]) -> Option<Self> {
        let (first, last) = (*values.first()?, *values.last()?);
        let wanted = values.len() as u64;
        let shift = last
            .distance(first)
            .checked_div(wanted)
            .map_or(0, |width| u64::BITS - width.leading_zeros());
        let bucket =
            |value: P| usize::try_from(value.distance(first) >> shift).unwrap_or(usize::MAX);
        let mut below = Vec::with_capacity(bucket(last) + 2);
        for (value, index) in values.iter().zip(0u32..) {
            below.resize(below.len().max(bucket(*value) + 1), index);
        }
        below.push(u32::try_from(values.len()).ok()?);
        Some(Self {
            first,
            shift,
            below,
        })
    }

    /// How many of the values are at most `value`.
    #[inline]
    fn up_to(&self, values: &[P], value: P) -> usize {
        self.split(values, value, |other| *other <= value)
    }

    /// How many of the values are less than `value`.
    #[inline]
    fn less_than(&self, values: &[P], value: P) -> usize {
        self.split(values, value, |other| *other < value)
    }

    #[inline]
    fn split(&self, values: &[P], value: P, before: impl Fn(&P) -> bool) -> usize {
        if value < self.first {
            return 0;
        }
        let bucket = usize::try_from(value.distance(self.first) >> self.shift);
        let bucket = bucket.unwrap_or(usize::MAX - 1);
        let (Some(from), Some(to)) = (self.below.get(bucket), self.below.get(bucket + 1)) else {
            return values.len();
        };
        let (from, to) = (*from as usize, *to as usize);
        from + values[from..to].partition_point(before)
    }
}

impl<P: Position> Tables<P> {
    fn new(starts: &[P], ends: &[P], counts: bool) -> Option<Self> {
        let largest = |block: &[P]| block.iter().copied().max().unwrap_or(P::MIN);
        let mut maxima: Vec<Vec<P>> = vec![ends.chunks(BLOCK).map(largest).collect()];
        while let Some(below) = maxima.last().filter(|level| level.len() > BLOCK) {
            maxima.push(below.chunks(BLOCK).map(largest).collect());
        }
        let prefix = maxima.first()?.iter().scan(P::MIN, |max, block| {
            *max = (*max).max(*block);
            Some(*max)
        });
        let sorted = || {
            let mut ends = ends.to_vec();
            ends.sort_unstable();
            let buckets = Buckets::new(&ends)?;
            Some((ends, buckets))
        };
        Some(Self {
            starts: Buckets::new(starts)?,
            prefix: prefix.collect(),
            maxima,
            ends: if counts { sorted() } else { None },
        })
    }

    /// The last block up to `block` with an end of at least `lo`.
    fn last_block(&self, mut block: usize, lo: P) -> Option<usize> {
        let mut level = 0;
        loop {
            let maxima = self.maxima.get(level)?;
            let first = block & !(BLOCK - 1);
            if let Some(found) = (first..=block).rev().find(|i| maxima[*i] >= lo) {
                return self.within(level, found, lo);
            }
            block = (block >> BLOCK_SHIFT).checked_sub(1)?;
            level += 1;
        }
    }

    /// The last block below a block of a level whose maximum is at least `lo`.
    fn within(&self, mut level: usize, mut block: usize, lo: P) -> Option<usize> {
        while level > 0 {
            level -= 1;
            let maxima = self.maxima.get(level)?;
            let first = block << BLOCK_SHIFT;
            let end = maxima.len().min(first + BLOCK);
            block = (first..end).rev().find(|i| maxima[*i] >= lo)?;
        }
        Some(block)
    }

    fn bytes(&self) -> usize {
        let ends = self.ends.as_ref();
        let ends = ends.map_or(0, |(ends, b)| {
            size_of_val(&ends[..]) + size_of_val(&b.below[..])
        });
        let maxima: usize = self
            .maxima
            .iter()
            .map(|level| size_of_val(&level[..]))
            .sum();
        size_of_val(&self.starts.below[..]) + maxima + size_of_val(&self.prefix[..]) + ends
    }
}

/// Of sixteen ends those of at least `lo`, as bits.
#[inline]
fn at_least<P: Position>(ends: &[P; BLOCK], lo: P) -> u32 {
    let mut mask = 0;
    for (place, end) in ends.iter().enumerate() {
        mask |= u32::from(*end >= lo) << place;
    }
    mask
}

impl<P: Position> Spans<P> {
    fn new(
        rows: &SpanRows,
        order: &[u32],
        groups: usize,
        counts: bool,
        to: impl Fn(i64) -> P,
    ) -> Self {
        let pick = |values: &[i64]| -> Vec<P> {
            let mut picked = Vec::with_capacity(order.len() + BLOCK);
            picked.extend(order.iter().map(|row| to(values[*row as usize])));
            picked
        };
        let (starts, mut ends) = (pick(&rows.starts), pick(&rows.ends));
        let mut made = Self {
            groups: Vec::with_capacity(groups),
            tables: Vec::new(),
            starts: Vec::new(),
            ends: Vec::new(),
        };
        let group_of = |place: &u32| rows.groups[*place as usize];
        let mut begin = 0;
        for group in (0u32..).take(groups) {
            let len = order[begin..].partition_point(|row| group_of(row) == group);
            let span = begin..begin + len;
            let tables = (len > SMALL)
                .then(|| Tables::new(&starts[span.clone()], &ends[span], counts))
                .flatten();
            made.groups.push(Group {
                begin: u32::try_from(begin).unwrap_or(u32::MAX),
                len: u32::try_from(len).unwrap_or(u32::MAX),
                tables: match &tables {
                    Some(_) => u32::try_from(made.tables.len()).unwrap_or(u32::MAX),
                    None => u32::MAX,
                },
            });
            made.tables.extend(tables);
            begin += len;
        }
        ends.resize(order.len() + BLOCK, P::MIN);
        made.starts = starts;
        made.ends = ends;
        made
    }

    fn bytes(&self) -> usize {
        let tables: usize = self.tables.iter().map(Tables::bytes).sum();
        size_of_val(&self.starts[..])
            + size_of_val(&self.ends[..])
            + size_of_val(&self.groups[..])
            + size_of_val(&self.tables[..])
            + tables
    }

    /// The group that a query asks, and its bounds; `None` when it matches nothing.
    #[inline]
    fn query(&self, queries: &SpanRows, row: usize) -> Option<(Group, P, P)> {
        let group = *self.groups.get(queries.groups[row] as usize)?;
        let lo = P::at_least(queries.starts[row])?;
        let hi = P::at_most(queries.ends[row])?;
        Some((group, lo, hi))
    }

    /// How many spans of a group start at `hi` or before.
    #[inline]
    fn reach(&self, group: Group, hi: P) -> usize {
        let begin = group.begin as usize;
        let starts = &self.starts[begin..begin + group.len as usize];
        match self.tables.get(group.tables as usize) {
            Some(tables) => tables.starts.up_to(starts, hi),
            None => starts.partition_point(|start| *start <= hi),
        }
    }

    /// Of a block of a group the ends of at least `lo`, among the first `left` spans of the group.
    #[inline]
    fn hits(&self, group: Group, block: usize, left: usize, lo: P) -> u32 {
        let first = block << BLOCK_SHIFT;
        let at = group.begin as usize + first;
        let Some(ends) = self.ends.get(at..).and_then(|ends| ends.first_chunk()) else {
            return 0;
        };
        let width = (left - first).min(BLOCK);
        at_least(ends, lo) & (u32::MAX >> (32 - width))
    }

    /// The block before `block` that has a hit, and all spans up to its end; 0 when there is none.
    #[inline]
    fn before(&self, group: Group, block: usize, lo: P) -> usize {
        let Some(previous) = block.checked_sub(1) else {
            return 0;
        };
        match self.tables.get(group.tables as usize) {
            None => block << BLOCK_SHIFT,
            Some(tables) if tables.prefix[previous] < lo => 0,
            Some(tables) if tables.maxima[0][previous] >= lo => block << BLOCK_SHIFT,
            Some(tables) => match tables.last_block(previous, lo) {
                Some(found) => (found + 1) << BLOCK_SHIFT,
                None => 0,
            },
        }
    }

    fn matches(
        &self,
        queries: &SpanRows,
        cursor: &mut Cursor,
        pairs: &mut Pairs,
        limit: usize,
    ) -> bool {
        while cursor.row < queries.len() {
            let row = u32::try_from(cursor.row).unwrap_or(NO_ROW);
            if let Some((group, lo, hi)) = self.query(queries, cursor.row) {
                let left = cursor.left.take().map(|left| left as usize);
                let mut left = left.unwrap_or_else(|| self.reach(group, hi));
                while left > 0 {
                    let block = (left - 1) >> BLOCK_SHIFT;
                    let mut hits = self.hits(group, block, left, lo);
                    let base = group.begin + u32::try_from(block << BLOCK_SHIFT).unwrap_or(0);
                    while hits != 0 {
                        if pairs.len() >= limit {
                            let seen = u32::BITS - hits.leading_zeros();
                            cursor.left = Some((base - group.begin) + seen);
                            return false;
                        }
                        let place = u32::BITS - 1 - hits.leading_zeros();
                        pairs.build.push(base + place);
                        pairs.probe.push(row);
                        hits ^= 1 << place;
                    }
                    left = self.before(group, block, lo);
                }
            }
            cursor.left = None;
            cursor.row += 1;
        }
        true
    }

    fn any(&self, queries: &SpanRows, row: usize) -> bool {
        let Some((group, lo, hi)) = self.query(queries, row) else {
            return false;
        };
        let mut left = self.reach(group, hi);
        while left > 0 {
            let block = (left - 1) >> BLOCK_SHIFT;
            if self.hits(group, block, left, lo) != 0 {
                return true;
            }
            left = self.before(group, block, lo);
        }
        false
    }

    fn count(&self, queries: &SpanRows, row: usize, regular: bool) -> u64 {
        let Some((group, lo, hi)) = self.query(queries, row) else {
            return 0;
        };
        let mut left = self.reach(group, hi);
        let tables = self.tables.get(group.tables as usize);
        // Of regular spans and queries, all that end before `lo` have started before `hi`.
        if regular
            && queries.starts[row] <= queries.ends[row]
            && let Some((ends, buckets)) = tables.and_then(|tables| tables.ends.as_ref())
        {
            return (left - buckets.less_than(ends, lo)) as u64;
        }
        let mut count = 0;
        while left > 0 {
            let block = (left - 1) >> BLOCK_SHIFT;
            count += u64::from(self.hits(group, block, left, lo).count_ones());
            left = self.before(group, block, lo);
        }
        count
    }
}

impl<P: Position + Into<i64>> Spans<P> {
    fn outline(&self, group: usize) -> Vec<(i64, i64)> {
        let Some(group) = self.groups.get(group) else {
            return Vec::new();
        };
        let places = group.begin as usize..(group.begin + group.len) as usize;
        joined(places.map(|place| (self.starts[place].into(), self.ends[place].into())))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn rows(spans: &[(u32, i64, i64)]) -> SpanRows {
        SpanRows {
            groups: spans.iter().map(|s| s.0).collect(),
            starts: spans.iter().map(|s| s.1).collect(),
            ends: spans.iter().map(|s| s.2).collect(),
        }
    }

    fn naive(build: &SpanRows, queries: &SpanRows) -> Vec<(u32, u32)> {
        let mut found = Vec::new();
        for q in 0..queries.len() {
            for b in 0..build.len() {
                let hit = build.groups[b] == queries.groups[q]
                    && build.groups[b] != NO_GROUP
                    && build.starts[b] <= queries.ends[q]
                    && build.ends[b] >= queries.starts[q];
                if hit {
                    found.push((u32::try_from(q).unwrap(), u32::try_from(b).unwrap()));
                }
            }
        }
        found
    }

    fn check(build: &SpanRows, queries: &SpanRows, groups: usize, limit: usize) {
        let expected = naive(build, queries);
        let (index, order) = Index::new(build, groups, true);
        let (mut cursor, mut pairs, mut found) = (Cursor::default(), Pairs::default(), Vec::new());
        loop {
            pairs.clear();
            let done = index.matches(queries, &mut cursor, &mut pairs, limit);
            assert!(pairs.len() <= limit);
            let build = pairs.build.iter().map(|place| order[*place as usize]);
            found.extend(pairs.probe.iter().copied().zip(build));
            if done {
                break;
            }
        }
        assert!(found.is_sorted_by_key(|(query, _)| *query), "probe order");
        found.sort_unstable();
        assert_eq!(found, expected);
        assert_eq!(index.count(queries), expected.len() as u64);
        let any: Vec<bool> = index.any(queries).collect();
        for (query, any) in (0u32..).zip(any) {
            assert_eq!(any, expected.iter().any(|(q, _)| *q == query));
        }
        let (_, without) = (0, Index::new(build, groups, false).0);
        assert_eq!(without.count(queries), expected.len() as u64);
    }

    fn spans(
        max: usize,
        at: impl Strategy<Value = i64> + Clone,
        regular: bool,
    ) -> impl Strategy<Value = SpanRows> {
        let group = prop_oneof![9 => 0u32..3, 1 => Just(NO_GROUP)];
        let span = (group, at.clone(), at).prop_map(move |(group, a, b)| match regular {
            true => (group, a.min(b), a.max(b)),
            false => (group, a, b),
        });
        proptest::collection::vec(span, 0..max).prop_map(|spans| rows(&spans))
    }

    fn anywhere() -> impl Strategy<Value = i64> + Clone {
        let edge = proptest::sample::select(vec![
            i64::MIN,
            i64::MIN + 1,
            i64::from(i32::MIN) - 1,
            i64::from(i32::MIN),
            -1,
            0,
            1,
            i64::from(i32::MAX),
            i64::from(i32::MAX) + 1,
            i64::MAX - 1,
            i64::MAX,
        ]);
        prop_oneof![4 => -50i64..50, 1 => edge]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_index_finds_what_the_comparisons_say(
            build in spans(700, 0i64..2_000, true),
            queries in spans(60, -10i64..2_010, true),
            limit in 1usize..40,
        ) {
            check(&build, &queries, 3, limit);
        }

        #[test]
        fn also_at_the_edges_and_of_reversed_spans(
            build in spans(300, anywhere(), false),
            queries in spans(60, anywhere(), false),
            limit in 1usize..40,
        ) {
            check(&build, &queries, 3, limit);
        }
    }

    #[test]
    fn nested_spans_and_one_that_holds_all() {
        // A nest of 5,000 spans, asked behind the middle: the hits are the first, the misses the last.
        let nest: Vec<_> = (0..5_000).map(|i| (0, i, 10_000 - i)).collect();
        let mut many: Vec<_> = (0..5_000).map(|i| (1, i * 10, i * 10 + 5)).collect();
        many.push((1, -5, 1_000_000));
        let build = rows(&[nest, many].concat());
        let queries = [
            (0, 9_990, 9_990),
            (1, 70_000, 70_001),
            (1, 49_999, 60_000),
            (0, -7, -6),
        ];
        check(&build, &rows(&queries), 2, 7);
    }

    #[test]
    fn the_outline_joins_what_touches() {
        let (index, _) = Index::new(
            &rows(&[(0, 1, 5), (0, 5, 9), (0, 11, 12), (0, 2, 3)]),
            1,
            false,
        );
        assert_eq!(index.outline(0), [(1, 9), (11, 12)]);
        assert_eq!(index.outline(1), []);
    }
}
