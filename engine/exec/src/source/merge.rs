//! Streams of one unit merged by position.
//!
//! Streams are sorted by (contig, position). Everything before the *horizon*, the smallest last key among the
//! buffered batches, is complete: it is cut off, sorted by (contig, pos, ref, alt, end_pos, vid), and rows of one
//! variant form a *group*. Only the order of contigs and positions of a stream is relied on.
//! ```text
//!   stream 0   | 10 12 15 15 20 |            horizon = 17: 10 12 15 15 and 11 15 17< are sorted and given out,
//!   stream 1   | 11 15 17 |                  the 17 waits, because stream 1 may have more rows at 17
//! ```
//! Rows of a group are of different batches or inputs and have no sample in common. Where three rows of one variant
//! could pair in two ways, a row joins the first group, by lowest vid, that takes it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    Array as _, AsArray, Int32Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Int32Type, Int64Type, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;

use super::part::{Early, PartStream};
use super::{ReadContext, SiteRows, column, evaluate};
use crate::dataset::DatasetView;
use crate::error::{Error, Result};
use crate::predicate::{Comparison, Literal, Predicate};
use crate::pruning::bind;
use crate::spec::Unit;

/// Batches of merged streams are at least this many rows.
const MERGE_BATCH_ROWS_MIN: usize = 256;

/// Streams of one unit merged by position.
pub(super) struct MergeStream {
    context: Arc<ReadContext>,
    inputs: Vec<Input>,
    disjoint: Disjoint,
    /// Filters on single rows, which only the identity row of a variant must satisfy.
    row: Option<Arc<dyn PhysicalExpr>>,
}

struct Input {
    stream: PartStream,
    rows: Option<Keyed>,
    done: bool,
}

/// A batch with the sort key of each row: contig rank and position.
struct Keyed {
    batch: RecordBatch,
    keys: Vec<u64>,
}

impl MergeStream {
    pub(super) fn new(context: &Arc<ReadContext>, unit: Unit) -> Result<Self> {
        let mut filters = context.key.clone();
        if let Some((start, end)) = unit.positions {
            let bound = |op, value| Predicate::Compare {
                column: "pos".to_owned(),
                op,
                value: Literal::Int32(value),
            };
            filters.extend([bound(Comparison::GtEq, start), bound(Comparison::Lt, end)]);
        }
        let early = Arc::new(Early::new(context, filters)?);
        let rows = context.batch_size.div_ceil(unit.streams.len().max(1));
        let rows = rows.max(MERGE_BATCH_ROWS_MIN.min(context.batch_size));
        let inputs = unit.streams.into_iter().map(|parts| Input {
            stream: PartStream::new(context, Arc::clone(&early), parts, rows),
            rows: None,
            done: false,
        });
        Ok(Self {
            inputs: inputs.collect(),
            disjoint: Disjoint::default(),
            row: bind(&context.row, &context.schema)?,
            context: Arc::clone(context),
        })
    }

    pub(super) async fn next(&mut self) -> Result<Option<SiteRows>> {
        loop {
            let Some(ready) = self.cut().await? else {
                return Ok(None);
            };
            let rows = self.grouped(ready)?;
            let rows = match &self.row {
                Some(expr) => {
                    let keep = evaluate(expr, &rows.identity()?)?;
                    rows.filter(&keep)?
                }
                None => rows,
            };
            if rows.len() > 0 {
                return Ok(Some(rows));
            }
        }
    }

    /// Complete rows of all inputs, unsorted; `None` at the end.
    async fn cut(&mut self) -> Result<Option<Keyed>> {
        for input in &mut self.inputs {
            if input.rows.is_none() {
                input.extend(&self.context.view).await?;
            }
        }
        loop {
            let open = self.inputs.iter().filter(|i| !i.done);
            let horizon = open.filter_map(Input::last_key).min().unwrap_or(u64::MAX);
            let cut = self
                .inputs
                .iter_mut()
                .filter_map(|input| input.before(horizon));
            let cut: Vec<Keyed> = cut.collect();
            if !cut.is_empty() {
                return Keyed::concat(&self.context.schema, &cut).map(Some);
            }
            if self.inputs.iter().all(|input| input.done) {
                return Ok(None);
            }
            for input in &mut self.inputs {
                if !input.done && input.last_key() == Some(horizon) {
                    input.extend(&self.context.view).await?;
                }
            }
        }
    }

    fn grouped(&mut self, rows: Keyed) -> Result<SiteRows> {
        let columns = MergeColumns::of(&rows)?;
        let mut order: Vec<usize> = (0..rows.keys.len()).collect();
        order.sort_unstable_by(|&a, &b| columns.compare(a, b));
        let mut taken = Vec::with_capacity(order.len());
        let mut groups = Vec::new();
        for cluster in order.chunk_by(|&a, &b| columns.same_variant(a, b)) {
            self.split(cluster, &columns, &mut taken, &mut groups);
        }
        let indices: UInt32Array = taken.into();
        Ok(SiteRows {
            batch: take_record_batch(&rows.batch, &indices)?,
            groups: Some(groups),
        })
    }

    /// Deals the rows of one variant, by rising vid, to groups.
    fn split(
        &mut self,
        cluster: &[usize],
        columns: &MergeColumns<'_>,
        taken: &mut Vec<u32>,
        groups: &mut Vec<(u32, u32)>,
    ) {
        let mut found: Vec<Vec<usize>> = Vec::new();
        for &row in cluster {
            let origin = columns.origin(row);
            let home = found.iter_mut().find(|group| {
                group.iter().all(|&other| {
                    self.disjoint
                        .may_merge(&self.context.view, columns.origin(other), origin)
                })
            });
            match home {
                Some(group) => group.push(row),
                None => found.push(vec![row]),
            }
        }
        for group in found {
            let start = count_u32(taken.len());
            taken.extend(group.iter().map(|&row| count_u32(row)));
            groups.push((start, count_u32(taken.len())));
        }
    }
}

/// Rows of one batch, of which there are far fewer than 4 billion.
fn count_u32(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}

impl Input {
    fn last_key(&self) -> Option<u64> {
        self.rows.as_ref()?.keys.last().copied()
    }

    /// Appends the next batch of the stream.
    async fn extend(&mut self, view: &DatasetView) -> Result<()> {
        if self.done {
            return Ok(());
        }
        let Some(batch) = self.stream.next().await? else {
            self.done = true;
            return Ok(());
        };
        let next = Keyed::of(batch, view)?;
        self.rows = Some(match self.rows.take() {
            Some(rest) => Keyed::concat(&rest.batch.schema(), &[rest, next])?,
            None => next,
        });
        Ok(())
    }

    /// Takes the rows before `horizon`, all of them when the stream is done and nothing follows.
    fn before(&mut self, horizon: u64) -> Option<Keyed> {
        let rows = self.rows.take()?;
        let cut = if horizon == u64::MAX {
            rows.keys.len()
        } else {
            rows.keys.partition_point(|&key| key < horizon)
        };
        let (ready, rest) = rows.split_at(cut);
        self.rows = rest;
        ready
    }
}

impl Keyed {
    fn of(batch: RecordBatch, view: &DatasetView) -> Result<Self> {
        let contigs = column(&batch, "contig")?.as_string::<i32>();
        let positions = column(&batch, "pos")?.as_primitive::<Int32Type>();
        let mut keys = Vec::with_capacity(batch.num_rows());
        let mut last: Option<(&str, u64)> = None;
        for row in 0..batch.num_rows() {
            let contig = contigs.value(row);
            let rank = match last {
                Some((name, rank)) if name == contig => rank,
                _ => u64::from(view.data.rank_of(contig)),
            };
            last = Some((contig, rank));
            let pos = u32::try_from(positions.value(row)).unwrap_or_default();
            keys.push(rank << 32 | u64::from(pos));
        }
        if !keys.is_sorted() {
            let what = "rows are not in the order of contigs and positions";
            return Err(Error::damaged(format!("{}/site", view.data.name), what));
        }
        Ok(Self { batch, keys })
    }

    fn concat(schema: &SchemaRef, parts: &[Self]) -> Result<Self> {
        let batch = concat_batches(schema, parts.iter().map(|p| &p.batch))?;
        Ok(Self {
            batch,
            keys: parts.iter().flat_map(|p| &p.keys).copied().collect(),
        })
    }

    fn split_at(mut self, at: usize) -> (Option<Self>, Option<Self>) {
        if at == 0 {
            return (None, Some(self));
        }
        if at >= self.keys.len() {
            return (Some(self), None);
        }
        let rest = self.batch.slice(at, self.keys.len() - at);
        let keys = self.keys.split_off(at);
        let ready = Self {
            batch: self.batch.slice(0, at),
            keys: self.keys,
        };
        (Some(ready), Some(Self { batch: rest, keys }))
    }
}

/// Columns that order rows and tell variants apart.
struct MergeColumns<'a> {
    keys: &'a [u64],
    vid: &'a Int64Array,
    end_pos: &'a Int32Array,
    reference: &'a StringArray,
    alt: &'a StringArray,
    source: &'a Int32Array,
    from: &'a Int32Array,
    to: &'a Int32Array,
}

/// Where a row comes from: batch, input of the batch, sample blocks.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) batch: i64,
    pub(crate) source: i32,
    pub(crate) blocks: Option<(i32, i32)>,
}

impl<'a> MergeColumns<'a> {
    fn of(rows: &'a Keyed) -> Result<Self> {
        let ints = |name| Ok::<_, Error>(column(&rows.batch, name)?.as_primitive::<Int32Type>());
        Ok(Self {
            keys: &rows.keys,
            vid: column(&rows.batch, "vid")?.as_primitive::<Int64Type>(),
            end_pos: ints("end_pos")?,
            reference: column(&rows.batch, "ref")?.as_string::<i32>(),
            alt: column(&rows.batch, "alt")?.as_string::<i32>(),
            source: ints("source")?,
            from: ints("block_from")?,
            to: ints("block_to")?,
        })
    }

    fn variant(&self, row: usize) -> (u64, &str, Option<&str>, i32) {
        let alt = self.alt.is_valid(row).then(|| self.alt.value(row));
        (
            self.keys[row],
            self.reference.value(row),
            alt,
            self.end_pos.value(row),
        )
    }

    fn compare(&self, a: usize, b: usize) -> std::cmp::Ordering {
        let vids = || self.vid.value(a).cmp(&self.vid.value(b));
        self.variant(a).cmp(&self.variant(b)).then_with(vids)
    }

    fn same_variant(&self, a: usize, b: usize) -> bool {
        self.variant(a) == self.variant(b)
    }

    fn origin(&self, row: usize) -> Origin {
        let blocks = (self.from.is_valid(row) && self.to.is_valid(row))
            .then(|| (self.from.value(row), self.to.value(row)));
        Origin {
            batch: self.vid.value(row) >> 40,
            source: self.source.value(row),
            blocks,
        }
    }
}

/// Block ranges of two rows.
type RangePair = ((i32, i32), (i32, i32));

/// Which ranges of blocks have no sample in common; each pair is compared once.
#[derive(Default)]
pub(crate) struct Disjoint {
    known: HashMap<RangePair, bool>,
}

impl Disjoint {
    pub(crate) fn may_merge(&mut self, view: &DatasetView, a: Origin, b: Origin) -> bool {
        if a.batch == b.batch && a.source == b.source {
            return false;
        }
        match (a.blocks, b.blocks) {
            (Some(a), Some(b)) => self.disjoint(view, a, b),
            // A row without samples merges with nothing of its own batch.
            _ => a.batch != b.batch,
        }
    }

    fn disjoint(&mut self, view: &DatasetView, a: (i32, i32), b: (i32, i32)) -> bool {
        *self.known.entry((a, b)).or_insert_with(|| {
            let names = |(from, to)| {
                view.blocks_in(from, to)
                    .iter()
                    .flat_map(|block| block.names.iter().copied())
            };
            let of_a: HashSet<u32> = names(a).collect();
            names(b).all(|name| !of_a.contains(&name))
        })
    }
}
