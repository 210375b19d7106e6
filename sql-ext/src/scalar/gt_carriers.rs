//! `gt_carriers(gt [, cohort])`: the names of the samples that carry the row's ALT.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListArray, StringBuilder};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;

use super::{Definition, types};
use crate::doc::{COHORT, COHORT_RULE, Chapter, FunctionDoc, GT};
use crate::error::{Error, Result};
use crate::genotypes::{CohortRow, per_cohort};

/// Names of one batch of rows: their offsets are numbers of 32 bits.
const MOST_BYTES: usize = i32::MAX as usize;

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "gt_carriers",
        chapter: Chapter::Cohort,
        arguments: &[GT, COHORT],
        returns: "text[]",
        summary: "Names of the samples that carry at least one copy of the row's ALT allele.",
        details: &[
            "In the order of the dataset's samples. Half calls that show the ALT (`./1`) are in. \
             Empty when nobody carries it.",
            "The allele `*` (the base is deleted) is an allele of its own row and makes nobody a \
             carrier in another one.",
            COHORT_RULE,
        ],
        example: "SELECT contig, pos, ref, alt, gt_carriers(gt) FROM cohort.variants WHERE ac = 1 LIMIT 5;",
    },
    coerce: types::gt_and_cohort,
    returns: types::text_list,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    let mut names = StringBuilder::new();
    let mut carriers = Vec::new();
    let lengths = per_cohort(args, |row| {
        carriers.clear();
        collect(row, &mut carriers)?;
        for index in &carriers {
            let name = row.directory.samples.get(*index as usize);
            let name = name.ok_or(Error::Internal(
                "a block names a sample its directory lacks",
            ))?;
            if names.values_slice().len() + name.len() > MOST_BYTES {
                return Err(Error::TooManyNames);
            }
            names.append_value(name);
        }
        Ok(Some(carriers.len()))
    })?;
    let nulls = lengths.iter().map(Option::is_some).collect::<NullBuffer>();
    let offsets = OffsetBuffer::from_lengths(lengths.into_iter().map(Option::unwrap_or_default));
    let element = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let lists = ListArray::try_new(element, offsets, Arc::new(names.finish()), Some(nulls))?;
    Ok(Arc::new(lists))
}

/// Indices of the carriers in the directory's samples, ascending.
fn collect(row: &CohortRow<'_, '_>, carriers: &mut Vec<u32>) -> Result<()> {
    row.for_each_row(|ordinal, calls, mask| {
        let Some(block) = row.directory.blocks.get(ordinal as usize) else {
            return;
        };
        calls.for_each_carrier(|position, _| {
            if mask.is_none_or(|mask| mask.contains(position)) {
                carriers.extend(block.samples.get(position as usize).copied());
            }
        });
    })?;
    carriers.sort_unstable();
    Ok(())
}
