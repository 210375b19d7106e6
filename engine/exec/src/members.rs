//! The member rows of variants with their genotypes: what counts, cells and calls are made of.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int8Type, Int16Type, Int32Type, Int64Type};
use genokura_core::codec::{AlleleCounts, DefaultCall, GenotypeRow};

use crate::blobs::{BlobReader, Blobs, Wanted};
use crate::dataset::{BlockView, DatasetView};
use crate::error::{Error, Result};
use crate::source::SiteRows;

/// Columns that members are read from.
pub(crate) const MEMBER_COLUMNS: [&str; 4] = ["vid", "block_from", "block_to", "gt_default"];

/// Read as well where rows of several records may be one variant.
pub(crate) const ALT_INDEX: &str = "alt_index";

/// One site row of a variant.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Row in the batch of the [`SiteRows`].
    pub(crate) row: usize,
    pub(crate) vid: i64,
    pub(crate) default: DefaultCall,
    /// Which ALT of its record it is; 0 where [`ALT_INDEX`] was not read.
    pub(crate) alt_index: u16,
    /// Its sample blocks as places in [`DatasetView::blocks`]; empty without samples.
    pub(crate) blocks: Range<usize>,
    /// Place of its vid among those asked for.
    wanted: usize,
}

/// All members of some variants and the blobs found for them.
pub(crate) struct Members {
    view: Arc<DatasetView>,
    members: Vec<Member>,
    groups: Vec<Range<usize>>,
    blobs: Blobs,
}

/// The genotypes of one member in one block.
#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack")]
pub(crate) enum BlockCalls<'a> {
    /// Every sample has the default call.
    Default(DefaultCall),
    /// The stored row: parsed, and its bytes.
    Row(GenotypeRow<'a>, &'a [u8]),
}

impl Members {
    /// Reads the genotypes of `rows` in the blocks of which `blocks` is true.
    pub(crate) async fn read(
        view: &Arc<DatasetView>,
        rows: &SiteRows,
        reader: Option<&BlobReader>,
        blocks: &[bool],
    ) -> Result<Self> {
        let (mut members, groups) = members_of(view, rows)?;
        let mut order: Vec<usize> = (0..members.len()).collect();
        if !members.is_sorted_by_key(|m| m.vid) {
            order.sort_unstable_by_key(|&i| members[i].vid);
        }
        let wanted: Vec<Wanted> = order
            .iter()
            .map(|&i| Wanted {
                id: members[i].vid,
                blocks: members[i].blocks.clone(),
            })
            .collect();
        for (place, member) in order.into_iter().enumerate() {
            members[member].wanted = place;
        }
        let blobs = match reader {
            Some(reader) => reader.read(&wanted, blocks).await?,
            None => Blobs::none(),
        };
        Ok(Self {
            view: Arc::clone(view),
            members,
            groups,
            blobs,
        })
    }

    /// The members of one variant, the one that gives its identity first.
    pub(crate) fn of(&self, group: usize) -> &[Member] {
        let range = self.groups.get(group).cloned().unwrap_or_default();
        self.members.get(range).unwrap_or_default()
    }

    /// Every member of every variant.
    pub(crate) fn all(&self) -> &[Member] {
        &self.members
    }

    /// The genotypes of a member in one of its blocks.
    pub(crate) fn calls(&self, member: &Member, block: usize) -> Result<BlockCalls<'_>> {
        let Some(bytes) = self.blobs.get(member.wanted, block, 0) else {
            return Ok(BlockCalls::Default(member.default));
        };
        let n_samples = self.view.blocks.get(block).map_or(0, |b| b.n_samples);
        let row = GenotypeRow::parse(bytes).map_err(|e| self.damaged(member, block, &e))?;
        if row.n_samples() != n_samples {
            let what = format!(
                "the row has {} samples, its block {n_samples}",
                row.n_samples()
            );
            return Err(self.damaged(member, block, &what));
        }
        Ok(BlockCalls::Row(row, bytes))
    }

    fn damaged(&self, member: &Member, block: usize, what: &dyn std::fmt::Display) -> Error {
        let number = self.view.blocks.get(block).map_or(0, |b| b.block);
        let what = format!("vid {}, block {number}: {what}", member.vid);
        Error::damaged(format!("{}/genotype", self.view.data.name), what)
    }

    /// Counts over the visible samples of a variant.
    pub(crate) fn visible_counts(&self, group: usize) -> Result<AlleleCounts> {
        let mut sum = AlleleCounts::default();
        for member in self.of(group) {
            for block in member.blocks.clone() {
                let Some(of_block) = self.view.blocks.get(block) else {
                    continue;
                };
                if of_block.ordinal.is_some() {
                    sum += counts(&self.calls(member, block)?, of_block);
                }
            }
        }
        Ok(sum)
    }
}

fn counts(calls: &BlockCalls<'_>, block: &BlockView) -> AlleleCounts {
    match calls {
        BlockCalls::Default(default) => {
            GenotypeRow::of_default(block.visible.count_ones(), *default).counts()
        }
        BlockCalls::Row(row, _) if block.sees_all() => row.counts(),
        BlockCalls::Row(row, _) => row.counts_in(&block.visible),
    }
}

fn members_of(view: &DatasetView, rows: &SiteRows) -> Result<(Vec<Member>, Vec<Range<usize>>)> {
    let vid = rows.column("vid")?.as_primitive::<Int64Type>();
    let from = rows.column("block_from")?.as_primitive::<Int32Type>();
    let to = rows.column("block_to")?.as_primitive::<Int32Type>();
    let default = rows.column("gt_default")?.as_primitive::<Int8Type>();
    let alt_index = rows.batch.column_by_name(ALT_INDEX);
    let alt_index = alt_index.map(|column| column.as_primitive::<Int16Type>());
    let mut members = Vec::with_capacity(rows.len());
    let mut groups = Vec::with_capacity(rows.len());
    let mut last: Option<((i32, i32), Range<usize>)> = None;
    for group in 0..rows.len() {
        let start = members.len();
        for row in rows.members(group) {
            let blocks = if from.is_valid(row) && to.is_valid(row) {
                let range = (from.value(row), to.value(row));
                match &last {
                    Some((known, places)) if *known == range => places.clone(),
                    _ => places(view, range)?,
                }
            } else {
                0..0
            };
            if from.is_valid(row) && to.is_valid(row) {
                last = Some(((from.value(row), to.value(row)), blocks.clone()));
            }
            let default = default_call(view, vid.value(row), default.value(row))?;
            members.push(Member {
                row,
                vid: vid.value(row),
                default,
                alt_index: alt_index.map_or(0, |alt| alt.value(row).try_into().unwrap_or(0)),
                blocks,
                wanted: 0,
            });
        }
        groups.push(start..members.len());
    }
    Ok((members, groups))
}

fn places(view: &DatasetView, (from, to): (i32, i32)) -> Result<Range<usize>> {
    let start = view.blocks.partition_point(|b| b.block < from);
    let end = view.blocks.partition_point(|b| b.block <= to);
    if start == end {
        let what = format!("blocks {from} to {to} are not blocks of the dataset");
        return Err(Error::damaged(format!("{}/site", view.data.name), what));
    }
    Ok(start..end)
}

fn default_call(view: &DatasetView, vid: i64, number: i8) -> Result<DefaultCall> {
    u8::try_from(number)
        .ok()
        .and_then(DefaultCall::from_u8)
        .ok_or_else(|| {
            let what = format!("vid {vid}: gt_default is {number}");
            Error::damaged(format!("{}/site", view.data.name), what)
        })
}
