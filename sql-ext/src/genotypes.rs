//! Reading packed genotypes row by row: whose call, and counts over whom.
//!
//! A `gt` cell names its sample directory by id and its blocks by their place there. Names are resolved once
//! per batch and directory, not per row: all rows of one dataset share the directory, so [`Directory`] keeps the
//! last one and what was resolved against it. A cohort that is a constant of the statement is resolved once for
//! all of its batches.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, ListArray, StringArray};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use genokura_core::codec::cell::{Cell, Part};
use genokura_core::codec::counted::{self, CohortCounts, CohortId};
use genokura_core::codec::{CallRef, GenotypeRow, SampleMask};
use genokura_core::genotype::CallClass;
use genokura_exec::directory::{self, CellAccess, SampleDirectory};

use crate::error::{Error, Result};
use crate::name_list::{self, NameList};
use crate::nearest::nearest;

/// A text argument: one value for the batch, or one for each row.
pub(crate) enum Text<'a> {
    Constant(Option<&'a str>),
    Column(StringArray),
}

impl Text<'_> {
    pub(crate) fn get(&self, row: usize) -> Option<&str> {
        match self {
            Text::Constant(value) => *value,
            Text::Column(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}

/// The argument at `index` as text; coercion has made it `Utf8`.
pub(crate) fn text_argument(args: &ScalarFunctionArgs, index: usize) -> DfResult<Text<'_>> {
    match &args.args[index] {
        ColumnarValue::Scalar(ScalarValue::Utf8(value)) => Ok(Text::Constant(value.as_deref())),
        other => {
            let array = other.to_array(args.number_rows)?;
            Ok(Text::Column(array.as_string::<i32>().clone()))
        }
    }
}

/// The packed genotypes of the batch; coercion has made them `BinaryView`.
pub(crate) fn gt_argument(args: &ScalarFunctionArgs) -> DfResult<BinaryViewArray> {
    Ok(args.args[0]
        .to_array(args.number_rows)?
        .as_binary_view()
        .clone())
}

/// Where a sample stands in one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) ordinal: u32,
    pub(crate) position: u32,
    /// The batch of the block.
    pub(crate) batch: u32,
}

/// Bits of a block number below the number of its batch.
const BLOCK_BITS: u32 = 12;

/// The directory of the last cell, and the names resolved against it.
pub(crate) struct Directory {
    /// None: a call outside of any session, for which no cell opens.
    access: Option<CellAccess>,
    current: Option<Arc<SampleDirectory>>,
    places: HashMap<String, Vec<Place>>,
    /// Counts up whenever the directory changes.
    generation: usize,
}

impl Directory {
    /// For the cells of one call.
    pub(crate) fn of_call(args: &ScalarFunctionArgs) -> Self {
        Self {
            access: CellAccess::in_options(&args.config_options),
            current: None,
            places: HashMap::new(),
            generation: 0,
        }
    }

    /// The directory of a cell, and its generation.
    fn of(&mut self, cell: &Cell<'_>) -> Result<(Arc<SampleDirectory>, usize)> {
        let id = cell.directory_id();
        if let Some(current) = self.current.as_ref().filter(|current| current.id == id) {
            return Ok((Arc::clone(current), self.generation));
        }
        let found = self.access.and_then(|access| directory::lookup(id, access));
        let found = found.ok_or(Error::DirectoryGone(id))?;
        self.current = Some(Arc::clone(&found));
        self.places.clear();
        self.generation += 1;
        Ok((found, self.generation))
    }

    /// The call of a sample; None when the row has no data for it, or its record no GT.
    pub(crate) fn call<'a>(
        &mut self,
        cell: &Cell<'a>,
        sample: &str,
    ) -> Result<Option<CallRef<'a>>> {
        Ok(self.placed_call(cell, sample)?.map(|(call, _)| call))
    }

    /// The same with the number of the batch the call was ingested in: calls of one batch are of one record.
    pub(crate) fn placed_call<'a>(
        &mut self,
        cell: &Cell<'a>,
        sample: &str,
    ) -> Result<Option<(CallRef<'a>, u32)>> {
        let (directory, _) = self.of(cell)?;
        if !self.places.contains_key(sample) {
            self.places
                .insert(sample.to_owned(), places(&directory, sample)?);
        }
        match self.places.get(sample) {
            Some(places) => call_at(&directory, cell, places),
            None => Ok(None),
        }
    }
}

/// The call at the first of these places that the row has data for.
pub(crate) fn call_at<'a>(
    directory: &SampleDirectory,
    cell: &Cell<'a>,
    places: &[Place],
) -> Result<Option<(CallRef<'a>, u32)>> {
    let place_in = |ordinal| places.iter().find(|place| place.ordinal == ordinal);
    let found = cell
        .find(|ordinal| place_in(ordinal).is_some())
        .map_err(Error::Genotype)?;
    let Some((ordinal, part)) = found else {
        return Ok(None);
    };
    let Some(place) = place_in(ordinal) else {
        return Ok(None);
    };
    let row = row_of(directory, ordinal, part)?;
    let call = row.call(place.position).filter(CallRef::has_gt);
    Ok(call.map(|call| (call, place.batch)))
}

/// Every block position of a sample.
pub(crate) fn places(directory: &SampleDirectory, name: &str) -> Result<Vec<Place>> {
    let wanted = directory
        .index_of(name)
        .ok_or_else(|| unknown(directory, name))?;
    let mut places = Vec::new();
    for (ordinal, block) in (0u32..).zip(&directory.blocks) {
        let hits = (0u32..)
            .zip(block.samples.iter())
            .filter(|(_, sample)| **sample == wanted);
        let batch = block.block.cast_unsigned() >> BLOCK_BITS;
        places.extend(hits.map(|(position, _)| Place {
            ordinal,
            position,
            batch,
        }));
    }
    Ok(places)
}

pub(crate) fn unknown(directory: &SampleDirectory, name: &str) -> Error {
    Error::UnknownSample {
        name: name.to_owned(),
        nearest: nearest(name, directory.samples.iter().map(String::as_str)),
    }
}

/// Of a cell that nobody wrote: who sends bytes may send any.
fn forged(reason: &'static str) -> Error {
    Error::Genotype(genokura_core::Error::Corrupt {
        structure: "genotype cell",
        reason,
    })
}

fn sizes_differ() -> Error {
    forged("a row and its block differ in samples")
}

pub(crate) fn row_of<'a>(
    directory: &SampleDirectory,
    ordinal: u32,
    part: Part<'a>,
) -> Result<GenotypeRow<'a>> {
    let block = directory.blocks.get(ordinal as usize);
    let block = block.ok_or_else(|| forged("it names a block that its directory lacks"))?;
    let size = u32::try_from(block.samples.len());
    let size = size.map_err(|_| Error::Internal("a sample block is too large"))?;
    match part {
        Part::Default(default) => Ok(GenotypeRow::of_default(size, default)),
        Part::Row(row) if row.n_samples() == size => Ok(row),
        Part::Row(_) => Err(sizes_differ()),
    }
}

/// Evaluates `value` on the call of the sample of each row: None for a NULL argument or no data.
pub(crate) fn per_sample<T: Clone>(
    args: &ScalarFunctionArgs,
    value: impl Fn(CallRef<'_>) -> Option<T>,
) -> DfResult<Vec<Option<T>>> {
    let (gt, sample) = (gt_argument(args)?, text_argument(args, 1)?);
    let mut directory = Directory::of_call(args);
    let constant = matches!(sample, Text::Constant(_));
    let mut last = None;
    let mut values: Vec<Option<T>> = Vec::with_capacity(gt.len());
    for row in 0..gt.len() {
        let view = gt.is_valid(row).then(|| gt.views()[row]);
        // Many rows share one cell: everybody has the default call there.
        if constant && row > 0 && last == view {
            values.push(values[row - 1].clone());
            continue;
        }
        last = view;
        let given = view.and_then(|_| sample.get(row));
        values.push(match given {
            None => None,
            Some(sample) => {
                let cell = Cell::open(gt.value(row)).map_err(Error::Genotype)?;
                directory.call(&cell, sample)?.and_then(&value)
            }
        });
    }
    Ok(values)
}

/// One row for the functions over a cohort: its blocks with the cohort's members in them, read as they are asked for.
pub(crate) struct CohortRow<'a, 'c> {
    pub(crate) directory: &'c SampleDirectory,
    cell: Cell<'a>,
    /// None: everybody.
    members: Option<&'c Members>,
}

/// What a row holds of one block, and who of the block is in the cohort (None: everybody).
pub(crate) struct Block<'a, 'c> {
    pub(crate) calls: GenotypeRow<'a>,
    pub(crate) mask: Option<&'c SampleMask>,
}

impl<'a, 'c> CohortRow<'a, 'c> {
    fn counts(&self) -> Result<CohortCounts> {
        let mut counts = CohortCounts::default();
        for block in self.blocks() {
            let block = block?;
            counts += CohortCounts::of(&block.calls, block.mask);
        }
        Ok(counts)
    }

    /// Genotypes that are wholly the reference allele.
    pub(crate) fn hom_ref(&self) -> Result<i32> {
        let mut n_hom_ref = 0;
        for block in self.blocks() {
            let Block { calls, mask } = block?;
            n_hom_ref += by_default(&calls, mask, CallClass::HomRef);
            calls.for_each_unlike(|sample, class, _| {
                let member = mask.is_none_or(|mask| mask.contains(sample));
                let was = calls.default_call().class() == Some(CallClass::HomRef);
                let is = class == CallClass::HomRef;
                n_hom_ref += i32::from(member) * (i32::from(is) - i32::from(was));
            });
        }
        Ok(n_hom_ref)
    }

    /// Every block with a member.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Result<Block<'a, 'c>>> {
        self.parts().map(|part| {
            let (ordinal, part, mask) = part?;
            let calls = row_of(self.directory, ordinal, part)?;
            Ok(Block { calls, mask })
        })
    }

    /// Calls `f` with ordinal, calls and members of each block in which somebody may have another call than the
    /// default, which nobody who carries the ALT has.
    pub(crate) fn for_each_row(
        &self,
        mut f: impl FnMut(u32, &GenotypeRow<'a>, Option<&'c SampleMask>),
    ) -> Result<()> {
        let mut differs = false;
        let visit = |ordinal: u32, row: &GenotypeRow<'a>| {
            if self.has_size_of(ordinal, row) {
                f(ordinal, row, self.mask(ordinal).flatten());
            } else {
                differs = true;
            }
        };
        let wanted = |ordinal| self.mask(ordinal).is_some();
        let read = self.cell.for_each_row(wanted, visit);
        read.map_err(Error::Genotype)?;
        if differs {
            return Err(sizes_differ());
        }
        Ok(())
    }

    fn has_size_of(&self, ordinal: u32, row: &GenotypeRow<'_>) -> bool {
        let block = self.directory.blocks.get(ordinal as usize);
        block.is_some_and(|block| block.samples.len() == row.n_samples() as usize)
    }

    /// The members in a block: None when there is none, Some(None) for everybody.
    fn mask(&self, ordinal: u32) -> Option<Option<&'c SampleMask>> {
        match self.members {
            None => Some(None),
            Some(members) => members.masks.get(ordinal as usize)?.as_ref().map(Some),
        }
    }

    fn parts(&self) -> impl Iterator<Item = Result<(u32, Part<'a>, Option<&'c SampleMask>)>> {
        let wanted = |ordinal| self.mask(ordinal).is_some();
        self.cell.parts_where(wanted).map(|part| {
            let (ordinal, part) = part.map_err(Error::Genotype)?;
            Ok((ordinal, part, self.mask(ordinal).flatten()))
        })
    }
}

/// Members of a block that are of this class as long as the row does not name them.
fn by_default(row: &GenotypeRow<'_>, mask: Option<&SampleMask>, class: CallClass) -> i32 {
    if row.default_call().class() != Some(class) {
        return 0;
    }
    let n = mask.map_or(row.n_samples(), SampleMask::count_ones);
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// The members of a cohort in each block of a directory, None where there is none.
type Masks = Arc<Vec<Option<SampleMask>>>;

/// The cohort argument resolved against a directory.
struct Members {
    generation: usize,
    names: ArrayRef,
    masks: Masks,
}

/// The cohort argument of a batch.
enum Cohort {
    /// Left out: all samples.
    All,
    /// A literal or a subquery that was run once: the names, None for NULL.
    Constant(Option<ArrayRef>),
    /// A list of names that was written as one text.
    Named(Arc<NameList>),
    /// A list in each row.
    Column(ListArray),
}

impl Cohort {
    fn of(args: &ScalarFunctionArgs) -> DfResult<Self> {
        Ok(match args.args.get(1) {
            None => Self::All,
            Some(ColumnarValue::Scalar(ScalarValue::List(list))) => {
                Self::Constant(list.is_valid(0).then(|| list.value(0)))
            }
            Some(ColumnarValue::Scalar(ScalarValue::Utf8(Some(text)))) => {
                Self::Named(name_list::read(text)?)
            }
            Some(ColumnarValue::Scalar(value)) if value.is_null() => Self::Constant(None),
            Some(other) => Self::Column(other.to_array(args.number_rows)?.as_list().clone()),
        })
    }

    /// None for NULL; Some(None) for all samples.
    fn names(&self, row: usize) -> Option<Option<ArrayRef>> {
        match self {
            Self::All => Some(None),
            Self::Constant(names) => names.clone().map(Some),
            Self::Named(list) => Some(Some(ArrayRef::clone(&list.names))),
            Self::Column(list) => list.is_valid(row).then(|| Some(list.value(row))),
        }
    }
}

/// Cohorts that were constants of a statement, resolved: the batches of a statement, on whatever thread, share one.
static RESOLVED: LazyLock<Mutex<VecDeque<Resolved>>> = LazyLock::new(Mutex::default);
/// Cohorts that are kept resolved.
const RESOLVED_MAX: usize = 32;

struct Resolved {
    directory: Weak<SampleDirectory>,
    names: ArrayRef,
    masks: Masks,
}

/// The masks of a constant cohort: those of the same list in the same directory, or resolved anew.
fn shared_masks(directory: &Arc<SampleDirectory>, names: &ArrayRef) -> Result<Masks> {
    let same = |held: &Resolved| {
        Weak::ptr_eq(&held.directory, &Arc::downgrade(directory)) && same_names(&held.names, names)
    };
    let held = || RESOLVED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = held().iter().find(|held| same(held)) {
        return Ok(Arc::clone(&found.masks));
    }
    let masks: Masks = Arc::new(masks(directory, names.as_string::<i32>())?);
    let mut held = held();
    held.retain(|held| held.directory.strong_count() > 0);
    if held.len() >= RESOLVED_MAX {
        held.pop_front();
    }
    held.push_back(Resolved {
        directory: Arc::downgrade(directory),
        names: ArrayRef::clone(names),
        masks: Arc::clone(&masks),
    });
    Ok(masks)
}

fn same_names(a: &ArrayRef, b: &ArrayRef) -> bool {
    a.len() == b.len() && (a.to_data().ptr_eq(&b.to_data()) || **a == **b)
}

/// The functions that [`per_counts`] evaluates: they need no more of a row than counts.
pub(crate) const COUNTING: [&str; 8] = [
    "gt_allele_count",
    "gt_allele_number",
    "gt_allele_frequency",
    "gt_call_rate",
    "gt_het_count",
    "gt_hom_alt_count",
    "gt_missing_count",
    "gt_missing_rate",
];

/// Evaluates `value` on the counts of each row over the cohort (argument 1, when given): None for a NULL argument.
///
/// Rows may hold counts of the cohort instead of genotypes, as the rule `genotype_counts` has it.
pub(crate) fn per_counts<T>(
    args: &ScalarFunctionArgs,
    value: impl Fn(CohortCounts) -> Option<T>,
) -> DfResult<Vec<Option<T>>> {
    let gt = gt_argument(args)?;
    let counted = gt.iter().flatten().next().is_some_and(counted::is_counted);
    if !counted {
        return per_cohort(args, |row| Ok(value(row.counts()?)));
    }
    let id = match Cohort::of(args)? {
        Cohort::All => CohortId::ALL,
        Cohort::Constant(Some(names)) => CohortId::of(names.as_string::<i32>().iter().flatten()),
        Cohort::Named(list) => list.id,
        _ => return Err(Error::Internal("a counted genotype without a constant cohort").into()),
    };
    let of_row = |cell: Option<&[u8]>| match cell {
        None => Ok(None),
        Some(cell) => counted::counts_of(cell, id).map(&value),
    };
    let values = gt.iter().map(of_row).collect::<Result<_, _>>();
    Ok(values.map_err(Error::Genotype)?)
}

/// Evaluates `value` on each row over the cohort (argument 1, when given): None for a NULL argument.
pub(crate) fn per_cohort<T>(
    args: &ScalarFunctionArgs,
    mut value: impl FnMut(&CohortRow<'_, '_>) -> Result<Option<T>>,
) -> DfResult<Vec<Option<T>>> {
    let gt = gt_argument(args)?;
    let cohort = Cohort::of(args)?;
    let mut directory = Directory::of_call(args);
    let mut members: Option<Members> = None;
    let mut values = Vec::with_capacity(gt.len());
    for row in 0..gt.len() {
        let Some(names) = cohort.names(row).filter(|_| gt.is_valid(row)) else {
            values.push(None);
            continue;
        };
        let cell = Cell::open(gt.value(row)).map_err(Error::Genotype)?;
        let (current, generation) = directory.of(&cell)?;
        if let Some(names) = names {
            let constant = matches!(cohort, Cohort::Constant(_) | Cohort::Named(_));
            resolve(&mut members, &current, generation, names, constant)?;
        }
        values.push(value(&CohortRow {
            directory: &current,
            cell,
            members: members.as_ref(),
        })?);
    }
    Ok(values)
}

/// Keeps the members resolved last when directory and names are the same.
fn resolve(
    members: &mut Option<Members>,
    directory: &Arc<SampleDirectory>,
    generation: usize,
    names: ArrayRef,
    constant: bool,
) -> Result<()> {
    let same = |held: &Members| {
        held.generation == generation && (constant || same_names(&held.names, &names))
    };
    if !members.as_ref().is_some_and(same) {
        let masks = if constant {
            shared_masks(directory, &names)?
        } else {
            Arc::new(masks(directory, names.as_string::<i32>())?)
        };
        *members = Some(Members {
            generation,
            names,
            masks,
        });
    }
    Ok(())
}

fn masks(directory: &SampleDirectory, names: &StringArray) -> Result<Vec<Option<SampleMask>>> {
    let mut member = vec![false; directory.samples.len()];
    for name in names.iter().flatten() {
        let index = directory
            .index_of(name)
            .ok_or_else(|| unknown(directory, name))?;
        member[index as usize] = true;
    }
    let in_block = |block: &directory::DirectoryBlock| {
        let size = u32::try_from(block.samples.len()).unwrap_or(u32::MAX);
        let chosen = (0u32..)
            .zip(block.samples.iter())
            .filter(|(_, s)| member[**s as usize]);
        let mask = SampleMask::from_indices(size, chosen.map(|(position, _)| position));
        (mask.count_ones() > 0).then_some(mask)
    };
    Ok(directory.blocks.iter().map(in_block).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use genokura_exec::AccessContext;
    use genokura_exec::directory::DirectoryBlock;

    fn directory(names: [&str; 3]) -> Arc<SampleDirectory> {
        let block = DirectoryBlock {
            block: 0,
            samples: [0, 1, 2].into(),
        };
        let access = CellAccess::of(&AccessContext::default());
        SampleDirectory::register(names.map(str::to_owned).to_vec(), vec![block], access)
    }

    #[test]
    fn a_constant_cohort_is_resolved_once_for_each_directory() {
        let (first, second) = (directory(["A", "B", "C"]), directory(["C", "B", "A"]));
        let names = || Arc::new(StringArray::from(vec![Some("C"), None, Some("C")])) as ArrayRef;
        let once = shared_masks(&first, &names()).unwrap();
        assert!(Arc::ptr_eq(&once, &shared_masks(&first, &names()).unwrap()));
        assert!(
            once[0]
                .as_ref()
                .is_some_and(|mask| mask.contains(2) && mask.count_ones() == 1)
        );
        let other = shared_masks(&second, &names()).unwrap();
        assert!(
            other[0]
                .as_ref()
                .is_some_and(|mask| mask.contains(0) && mask.count_ones() == 1)
        );
        let unknown: ArrayRef = Arc::new(StringArray::from(vec!["D"]));
        for _ in 0..2 {
            assert!(shared_masks(&first, &unknown).is_err());
        }
    }
}
