//! Reading packed genotypes row by row: whose call, and counts over whom.
//!
//! A `gt` cell names its sample directory by id and its blocks by their place there. Names are resolved once
//! per batch and directory, not per row: all rows of one dataset share the directory, so [`Directory`] keeps the
//! last one and what was resolved against it.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, ListArray, StringArray};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};
use genokura_core::codec::cell::{Cell, Part};
use genokura_core::codec::{AlleleCounts, CallRef, DefaultCall, GenotypeRow, SampleMask};
use genokura_exec::directory::{self, SampleDirectory};

use crate::error::{Error, Result};

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
struct Place {
    ordinal: u32,
    position: u32,
}

/// The directory of the last cell, and the names resolved against it.
#[derive(Default)]
pub(crate) struct Directory {
    current: Option<Arc<SampleDirectory>>,
    places: HashMap<String, Vec<Place>>,
    /// Counts up whenever the directory changes.
    generation: usize,
}

impl Directory {
    /// The directory of a cell, and its generation.
    fn of(&mut self, cell: &Cell<'_>) -> Result<(Arc<SampleDirectory>, usize)> {
        let id = cell.directory_id();
        if let Some(current) = self.current.as_ref().filter(|current| current.id == id) {
            return Ok((Arc::clone(current), self.generation));
        }
        let found = directory::lookup(id).ok_or(Error::DirectoryGone(id))?;
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
        let (directory, _) = self.of(cell)?;
        if !self.places.contains_key(sample) {
            self.places
                .insert(sample.to_owned(), places(&directory, sample)?);
        }
        let Some(places) = self.places.get(sample) else {
            return Ok(None);
        };
        for (ordinal, part) in cell.parts() {
            if let Some(place) = places.iter().find(|place| place.ordinal == ordinal) {
                let row = row_of(&directory, ordinal, part)?;
                return Ok(row.call(place.position).filter(CallRef::has_gt));
            }
        }
        Ok(None)
    }
}

/// Every block position of a sample.
fn places(directory: &SampleDirectory, name: &str) -> Result<Vec<Place>> {
    let wanted = directory
        .index_of(name)
        .ok_or_else(|| unknown(directory, name))?;
    let mut places = Vec::new();
    for (ordinal, block) in (0u32..).zip(&directory.blocks) {
        let hits = (0u32..)
            .zip(block.samples.iter())
            .filter(|(_, sample)| **sample == wanted);
        places.extend(hits.map(|(position, _)| Place { ordinal, position }));
    }
    Ok(places)
}

fn unknown(directory: &SampleDirectory, name: &str) -> Error {
    let distance = |other: &str| strsim::osa_distance(name, other);
    let limit = 1 + name.chars().count() / 4;
    let best = directory
        .samples
        .iter()
        .map(|other| (distance(other), other))
        .min();
    let nearest = best
        .filter(|(distance, _)| *distance <= limit)
        .map(|(_, other)| other.clone());
    Error::UnknownSample {
        name: name.to_owned(),
        nearest,
    }
}

fn row_of<'a>(
    directory: &SampleDirectory,
    ordinal: u32,
    part: Part<'a>,
) -> Result<GenotypeRow<'a>> {
    let block = directory.blocks.get(ordinal as usize);
    let block = block.ok_or(Error::Internal(
        "a genotype names a block its directory lacks",
    ))?;
    let size = u32::try_from(block.samples.len());
    let size = size.map_err(|_| Error::Internal("a sample block is too large"))?;
    match part {
        Part::Default(default) => Ok(GenotypeRow::of_default(size, default)),
        Part::Row(row) if row.n_samples() == size => Ok(row),
        Part::Row(_) => Err(Error::Internal(
            "a genotype row and its block differ in samples",
        )),
    }
}

/// Evaluates `value` on the call of the sample of each row: None for a NULL argument or no data.
pub(crate) fn per_sample<T>(
    args: &ScalarFunctionArgs,
    value: impl Fn(CallRef<'_>) -> Option<T>,
) -> DfResult<Vec<Option<T>>> {
    let (gt, sample) = (gt_argument(args)?, text_argument(args, 1)?);
    let mut directory = Directory::default();
    let mut values = Vec::with_capacity(gt.len());
    for row in 0..gt.len() {
        let given = gt.is_valid(row).then(|| sample.get(row)).flatten();
        values.push(match given {
            None => None,
            Some(sample) => {
                let cell = Cell::parse(gt.value(row)).map_err(Error::Genotype)?;
                directory.call(&cell, sample)?.and_then(&value)
            }
        });
    }
    Ok(values)
}

/// One row for the functions over a cohort: its blocks with the cohort's members in them.
pub(crate) struct CohortRow<'a, 'c> {
    pub(crate) directory: &'c SampleDirectory,
    blocks: Vec<(u32, GenotypeRow<'a>, Option<&'c SampleMask>)>,
}

/// Counts of one row over a cohort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) alleles: AlleleCounts,
    /// Samples that have a genotype, called or missing.
    pub(crate) genotypes: i32,
}

impl<'a> CohortRow<'a, '_> {
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (_, row, mask) in &self.blocks {
            let of_block = match mask {
                None => row.counts(),
                Some(mask) => row.counts_in(mask),
            };
            counts.alleles += of_block;
            if row.default_call() != DefaultCall::None {
                counts.genotypes += of_block.n_samples;
            }
        }
        counts
    }

    /// Block ordinal, row and members of each block.
    pub(crate) fn blocks(
        &self,
    ) -> impl Iterator<Item = (u32, &GenotypeRow<'a>, Option<&SampleMask>)> {
        self.blocks
            .iter()
            .map(|(ordinal, row, mask)| (*ordinal, row, *mask))
    }
}

/// The cohort argument resolved against a directory: the members in each block, None where there is none.
struct Members {
    generation: usize,
    names: ArrayRef,
    masks: Vec<Option<SampleMask>>,
}

/// Evaluates `value` on each row over the cohort (argument 1, when given): None for a NULL argument.
pub(crate) fn per_cohort<T>(
    args: &ScalarFunctionArgs,
    value: impl Fn(&CohortRow<'_, '_>) -> Option<T>,
) -> DfResult<Vec<Option<T>>> {
    let gt = gt_argument(args)?;
    let cohorts = args
        .args
        .get(1)
        .map(|cohort| cohort.to_array(one_or_all(cohort, args)));
    let cohorts: Option<ListArray> = cohorts.transpose()?.map(|array| array.as_list().clone());
    let mut directory = Directory::default();
    let mut members: Option<Members> = None;
    let mut values = Vec::with_capacity(gt.len());
    for row in 0..gt.len() {
        let cohort = cohorts.as_ref().map(|list| cohort_of(list, row));
        if gt.is_null(row) || matches!(cohort, Some(None)) {
            values.push(None);
            continue;
        }
        let cell = Cell::parse(gt.value(row)).map_err(Error::Genotype)?;
        let (current, generation) = directory.of(&cell)?;
        if let Some(names) = cohort.flatten() {
            resolve(&mut members, &current, generation, names)?;
        }
        let blocks = blocks_of(&cell, &current, members.as_ref())?;
        values.push(value(&CohortRow {
            directory: &current,
            blocks,
        }));
    }
    Ok(values)
}

/// A constant cohort stays one row, so that it is resolved once.
fn one_or_all(cohort: &ColumnarValue, args: &ScalarFunctionArgs) -> usize {
    if matches!(cohort, ColumnarValue::Scalar(_)) {
        1
    } else {
        args.number_rows
    }
}

fn cohort_of(list: &ListArray, row: usize) -> Option<ArrayRef> {
    let row = if list.len() == 1 { 0 } else { row };
    list.is_valid(row).then(|| list.value(row))
}

/// Keeps the members resolved last when directory and names are the same.
fn resolve(
    members: &mut Option<Members>,
    directory: &SampleDirectory,
    generation: usize,
    names: ArrayRef,
) -> Result<()> {
    let same = |held: &Members| {
        held.generation == generation
            && (held.names.to_data().ptr_eq(&names.to_data()) || *held.names == *names)
    };
    if !members.as_ref().is_some_and(same) {
        let masks = masks(directory, names.as_string::<i32>())?;
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

fn blocks_of<'a, 'c>(
    cell: &Cell<'a>,
    directory: &SampleDirectory,
    members: Option<&'c Members>,
) -> Result<Vec<(u32, GenotypeRow<'a>, Option<&'c SampleMask>)>> {
    let mut blocks = Vec::new();
    for (ordinal, part) in cell.parts() {
        let mask = match members {
            None => None,
            Some(members) => match members.masks.get(ordinal as usize) {
                Some(Some(mask)) => Some(mask),
                _ => continue,
            },
        };
        blocks.push((ordinal, row_of(directory, ordinal, part)?, mask));
    }
    Ok(blocks)
}
