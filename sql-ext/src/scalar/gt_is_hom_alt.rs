//! `gt_is_hom_alt(gt, sample)`: every allele is the row's ALT.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;
use genokura_core::codec::CallRef;

use super::{Definition, types};
use crate::doc::{Chapter, FunctionDoc, GT, PER_SAMPLE_RULE, SAMPLE};
use crate::genotypes::per_sample;

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "gt_is_hom_alt",
        chapter: Chapter::OneSample,
        arguments: &[GT, SAMPLE],
        returns: "boolean",
        summary: "Whether every allele of a sample is the row's ALT allele.",
        details: &[
            "The haploid call `1` (a male's X outside the pseudoautosomal regions, the mitochondrion) is true.",
            "Every allele must be called: with a missing allele (`./.`, `./1`) the answer is NULL.",
            PER_SAMPLE_RULE,
        ],
        example: "SELECT contig, pos, ref, alt FROM cohort.variants WHERE gt_is_hom_alt(gt, 'GK0003');",
    },
    coerce: types::gt_and_sample,
    returns: || DataType::Boolean,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    Ok(Arc::new(BooleanArray::from(per_sample(args, is_hom_alt)?)))
}

fn is_hom_alt(call: CallRef<'_>) -> Option<bool> {
    let tally = call.tally();
    (!tally.is_missing()).then(|| tally.is_hom_alt())
}
