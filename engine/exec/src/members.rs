//! The member rows of variants with their genotypes: what counts, cells and calls are made of.

use std::ops::{AddAssign, Range, Sub};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int8Type, Int16Type, Int32Type, Int64Type};
use genokura_core::codec::{AlleleCounts, DefaultCall, GenotypeRow};

use crate::blobs::{BlobReader, Blobs, StoredRow, Wanted};
use crate::dataset::DatasetView;
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
    /// Place of the variant among those that were read.
    pub(crate) group: usize,
    /// Place of its vid among those asked for.
    wanted: usize,
}

/// All members of some variants and the blobs found for them.
pub(crate) struct Members {
    view: Arc<DatasetView>,
    members: Vec<Member>,
    groups: Vec<Range<usize>>,
    /// Members in the order of the vids asked for.
    order: Vec<usize>,
    blobs: Blobs,
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
        for (place, &member) in order.iter().enumerate() {
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
            order,
            blobs,
        })
    }

    /// Calls `f` with every row of the genotype table that was read, in the order of [`Blobs::hits`], its member and
    /// its block.
    ///
    /// What a member has no row for, all samples of the block have its default call.
    #[inline]
    pub(crate) fn for_each_stored(
        &self,
        mut f: impl FnMut(&Member, usize, &GenotypeRow<'_>),
    ) -> Result<()> {
        self.for_each_bytes(|member, block, stored| {
            f(member, block, &self.read_row(stored, member, block)?);
            Ok(())
        })
    }

    /// [`Members::for_each_stored`] without reading the rows.
    #[inline]
    fn for_each_bytes(
        &self,
        mut f: impl FnMut(&Member, usize, StoredRow<'_>) -> Result<()>,
    ) -> Result<()> {
        for (number, (place, block)) in self.stored_places().enumerate() {
            let stored = self.blobs.stored_row(number);
            if let (Some(member), Some(stored)) = (self.members.get(place), stored) {
                f(member, block, stored)?;
            }
        }
        Ok(())
    }

    /// Of every stored row the place of its member among [`Members::all`], and its block.
    pub(crate) fn stored_places(&self) -> impl Iterator<Item = (usize, usize)> {
        let place = |wanted: usize| self.order.get(wanted).copied().unwrap_or(usize::MAX);
        let hits = self.blobs.hits();
        hits.map(move |(wanted, block)| (place(wanted), block))
    }

    /// The `number`th stored row, which is of this member in this block.
    #[inline]
    pub(crate) fn stored_row(
        &self,
        number: usize,
        member: &Member,
        block: usize,
    ) -> Result<Option<GenotypeRow<'_>>> {
        let stored = self.blobs.stored_row(number);
        let row = stored.map(|stored| self.read_row(stored, member, block));
        row.transpose()
    }

    /// Reads the row of a member in a block.
    #[inline]
    pub(crate) fn read_row<'a>(
        &self,
        stored: StoredRow<'a>,
        member: &Member,
        block: usize,
    ) -> Result<GenotypeRow<'a>> {
        let row = stored.read();
        let row = row.map_err(|e| self.damaged(member, block, &e))?;
        self.check_size(&row, member, block)?;
        Ok(row)
    }

    /// The members of one variant, the one that gives its identity first.
    pub(crate) fn of(&self, group: usize) -> &[Member] {
        let range = self.groups.get(group).cloned().unwrap_or_default();
        self.members.get(range).unwrap_or_default()
    }

    /// Number of variants.
    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Every member of every variant.
    pub(crate) fn all(&self) -> &[Member] {
        &self.members
    }

    /// A member's row in one of its blocks; without one everybody has the default call.
    #[inline]
    pub(crate) fn stored(&self, member: &Member, block: usize) -> Option<StoredRow<'_>> {
        self.blobs.stored(member.wanted, block)
    }

    #[inline]
    fn check_size(&self, row: &GenotypeRow<'_>, member: &Member, block: usize) -> Result<()> {
        let (n, wanted) = (row.n_samples(), self.view.blocks.get(block));
        match wanted.map_or(0, |block| block.n_samples) {
            wanted if wanted == n => Ok(()),
            wanted => {
                let what = format!("the row has {n} samples, its block {wanted}");
                Err(self.damaged(member, block, &what))
            }
        }
    }

    fn damaged(&self, member: &Member, block: usize, what: &dyn std::fmt::Display) -> Error {
        let number = self.view.blocks.get(block).map_or(0, |b| b.block);
        let what = format!("vid {}, block {number}: {what}", member.vid);
        Error::damaged(format!("{}/genotype", self.view.data.name), what)
    }

    /// Of each variant the sum over its members and their blocks: what `of_default` says of the default call in a
    /// block, or `of_row` of a row that stands there.
    ///
    /// # Cost
    /// Sums of default calls are made once for each default and block; the rest grows with the rows.
    pub(crate) fn sums<T>(
        &self,
        of_default: impl Fn(DefaultCall, usize) -> T,
        of_row: impl Fn(&GenotypeRow<'_>, usize) -> T,
    ) -> Result<Vec<T>>
    where
        T: Clone + Default + AddAssign + Sub<Output = T>,
    {
        self.sums_of(of_default, |stored, member, block| {
            Ok(of_row(&self.read_row(stored, member, block)?, block))
        })
    }

    /// [`Members::sums`] that leaves it to `of_stored` to read a row.
    #[inline]
    pub(crate) fn sums_of<T>(
        &self,
        of_default: impl Fn(DefaultCall, usize) -> T,
        of_stored: impl Fn(StoredRow<'_>, &Member, usize) -> Result<T>,
    ) -> Result<Vec<T>>
    where
        T: Clone + Default + AddAssign + Sub<Output = T>,
    {
        let (mut sums, defaults) = self.with_defaults(of_default);
        self.for_each_bytes(|member, block, stored| {
            let defaults = defaults.get(usize::from(member.default.number()));
            if let Some(default) = defaults.and_then(|d| d.as_ref()?.blocks.get(block)) {
                let sum = &mut sums[member.group];
                *sum = std::mem::take(sum) - default.clone();
                *sum += of_stored(stored, member, block)?;
            }
            Ok(())
        })?;
        Ok(sums)
    }

    /// [`Members::sums`] as if no row was stored.
    pub(crate) fn default_sums<T>(&self, of_default: impl Fn(DefaultCall, usize) -> T) -> Vec<T>
    where
        T: Clone + Default + AddAssign + Sub<Output = T>,
    {
        self.with_defaults(of_default).0
    }

    fn with_defaults<T>(
        &self,
        of_default: impl Fn(DefaultCall, usize) -> T,
    ) -> (Vec<T>, [Option<DefaultSums<T>>; DefaultCall::ALL.len()])
    where
        T: Clone + Default + AddAssign + Sub<Output = T>,
    {
        let blocks = self.view.blocks.len();
        let mut defaults = [const { None }; DefaultCall::ALL.len()];
        let mut sums = vec![T::default(); self.groups.len()];
        for member in &self.members {
            let Some(defaults) = defaults.get_mut(usize::from(member.default.number())) else {
                continue;
            };
            let defaults = defaults.get_or_insert_with(|| {
                DefaultSums::of(blocks, |block| of_default(member.default, block))
            });
            sums[member.group] += defaults.over(&member.blocks);
        }
        (sums, defaults)
    }

    /// True when the session sees a sample of the variant.
    pub(crate) fn is_visible(&self, group: usize) -> bool {
        let visible = |block: usize| {
            let block = self.view.blocks.get(block);
            block.is_some_and(|block| block.ordinal.is_some())
        };
        let mut members = self.of(group).iter();
        members.any(|member| member.blocks.clone().any(visible))
    }

    /// Counts of each variant over the visible samples.
    pub(crate) fn visible_counts(&self) -> Result<Vec<AlleleCounts>> {
        let visible = |place: usize| {
            let block = self.view.blocks.get(place);
            block.filter(|block| block.ordinal.is_some())
        };
        self.sums(
            |default, place| {
                let n = visible(place).map_or(0, |block| block.visible.count_ones());
                GenotypeRow::of_default(n, default).counts()
            },
            |row, place| match visible(place) {
                None => AlleleCounts::default(),
                Some(block) if block.sees_all() => row.counts(),
                Some(block) => row.counts_in(&block.visible),
            },
        )
    }
}

/// What a default call adds to a sum, in each block and up to each block.
struct DefaultSums<T> {
    blocks: Vec<T>,
    /// Entry b: the sum over all blocks before b.
    before: Vec<T>,
}

impl<T: Clone + Default + AddAssign + Sub<Output = T>> DefaultSums<T> {
    fn of(n_blocks: usize, of_block: impl Fn(usize) -> T) -> Self {
        let blocks: Vec<T> = (0..n_blocks).map(of_block).collect();
        let mut sum = T::default();
        let mut before = vec![sum.clone()];
        for block in &blocks {
            sum += block.clone();
            before.push(sum.clone());
        }
        Self { blocks, before }
    }

    fn over(&self, blocks: &Range<usize>) -> T {
        match (self.before.get(blocks.start), self.before.get(blocks.end)) {
            (Some(start), Some(end)) => end.clone() - start.clone(),
            _ => T::default(),
        }
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
                group,
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
