//! `gt_dosage(gt, sample)`: copies of the row's ALT.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int16Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;

use super::{Definition, types};
use crate::doc::{Chapter, FunctionDoc, GT, PER_SAMPLE_RULE, SAMPLE};
use crate::genotypes::per_sample;

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "gt_dosage",
        chapter: Chapter::OneSample,
        arguments: &[GT, SAMPLE],
        returns: "smallint",
        summary: "How many copies of the row's ALT allele a sample carries.",
        details: &[
            "From 0 to the ploidy of the call. A half call counts what is called: `./1` is 1. NULL when no allele \
             is called.",
            "Other ALT alleles of the record do not count: `0/2` has dosage 0 in the row of ALT 1 and 1 in that of ALT 2.",
            PER_SAMPLE_RULE,
        ],
        example: "SELECT contig, pos, ref, alt FROM cohort.variants WHERE gt_dosage(gt, 'GK0003') = 2;",
    },
    coerce: types::gt_and_sample,
    returns: || DataType::Int16,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    Ok(Arc::new(Int16Array::from(per_sample(args, |call| {
        call.dosage().map(i16::from)
    })?)))
}
