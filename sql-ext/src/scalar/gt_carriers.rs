//! `gt_carriers(gt [, cohort])`: the names of the samples that carry the row's ALT.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;

use super::{Definition, types};
use crate::doc::{COHORT, COHORT_RULE, Chapter, FunctionDoc, GT};
use crate::genotypes::{CohortRow, per_cohort};

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
    let rows = per_cohort(args, |row| Some(carriers(row)))?;
    let element = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(element);
    for names in rows {
        match names {
            Some(names) => {
                names
                    .iter()
                    .for_each(|name| lists.values().append_value(name));
                lists.append(true);
            }
            None => lists.append(false),
        }
    }
    Ok(Arc::new(lists.finish()))
}

fn carriers(row: &CohortRow<'_, '_>) -> Vec<String> {
    let mut indices = Vec::new();
    for (ordinal, calls, members) in row.blocks() {
        let Some(block) = row.directory.blocks.get(ordinal as usize) else {
            continue;
        };
        calls.for_each_carrier(|position, _| {
            if members.is_some_and(|members| !members.contains(position)) {
                return;
            }
            indices.extend(block.samples.get(position as usize).copied());
        });
    }
    indices.sort_unstable();
    indices
        .iter()
        .filter_map(|index| row.directory.samples.get(*index as usize))
        .cloned()
        .collect()
}
