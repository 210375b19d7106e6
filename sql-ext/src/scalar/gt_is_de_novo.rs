//! `gt_is_de_novo(gt, child, father, mother)`: the child carries the row's ALT, neither parent does.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;
use genokura_core::codec::CallRef;
use genokura_core::codec::cell::Cell;

use super::in_region::all_of;
use super::{Definition, types};
use crate::doc::{Chapter, FunctionDoc, GT, argument};
use crate::error::{Error, Result};
use crate::genotypes::{Directory, gt_argument, text_argument};

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "gt_is_de_novo",
        chapter: Chapter::Family,
        arguments: &[
            GT,
            argument("child", "text", "Sample of the child."),
            argument("father", "text", "Sample of the father."),
            argument("mother", "text", "Sample of the mother."),
        ],
        returns: "boolean",
        summary: "Whether a child carries the row's ALT allele and neither parent does.",
        details: &[
            "A candidate, not a verdict: only genotypes are looked at, no depth and no quality.",
            "The child carries the ALT with one called copy (`./1` is enough). A parent does not \
             carry it when every allele is called and none is the ALT. NULL when a missing call \
             leaves it open; false as soon as one of the three says no.",
            "Ploidy is the call's own. A son's X comes from his mother alone, yet an ALT that his \
             father carries is reported as not de novo.",
            "A sample that the row has no data for, or a record without GT, is a missing call.",
        ],
        example: "SELECT v.contig, v.pos, v.ref, v.alt, c.sample_id\n\
                  FROM clin.person c JOIN clin.person f ON f.person_id = c.father_id\n\
                  JOIN clin.person m ON m.person_id = c.mother_id, cohort.variants v\n\
                  WHERE v.ac = 1 AND gt_is_de_novo(v.gt, c.sample_id, f.sample_id, m.sample_id);",
    },
    coerce: types::gt_and_trio,
    returns: || DataType::Boolean,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    let gt = gt_argument(args)?;
    let (child, father) = (text_argument(args, 1)?, text_argument(args, 2)?);
    let mother = text_argument(args, 3)?;
    let mut directory = Directory::default();
    let mut values = Vec::with_capacity(gt.len());
    for row in 0..gt.len() {
        let trio = [child.get(row), father.get(row), mother.get(row)];
        let given = gt.is_valid(row) && trio.iter().all(Option::is_some);
        values.push(match given {
            true => de_novo(
                gt.value(row),
                trio.map(Option::unwrap_or_default),
                &mut directory,
            )?,
            false => None,
        });
    }
    Ok(Arc::new(BooleanArray::from(values)))
}

fn de_novo(cell: &[u8], trio: [&str; 3], directory: &mut Directory) -> Result<Option<bool>> {
    let cell = Cell::parse(cell).map_err(Error::Genotype)?;
    let child = directory.call(&cell, trio[0])?.and_then(carries);
    let father = directory.call(&cell, trio[1])?.and_then(carries);
    let mother = directory.call(&cell, trio[2])?.and_then(carries);
    Ok(all_of(&[
        child,
        father.map(|carries| !carries),
        mother.map(|carries| !carries),
    ]))
}

/// Whether the ALT is among the called alleles; None when a missing allele leaves it open.
fn carries(call: CallRef<'_>) -> Option<bool> {
    let tally = call.tally();
    if tally.copies > 0 {
        return Some(true);
    }
    (!tally.is_missing()).then_some(false)
}
