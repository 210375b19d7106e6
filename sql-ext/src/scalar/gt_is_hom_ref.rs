//! `gt_is_hom_ref(gt, sample)`: every allele is the reference allele.

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
        name: "gt_is_hom_ref",
        chapter: Chapter::OneSample,
        arguments: &[GT, SAMPLE],
        returns: "boolean",
        summary: "Whether every allele of a sample is the reference allele.",
        details: &[
            "`0/2` is not, in any row of its record: it carries another ALT allele.",
            "Every allele must be called: with a missing allele (`./.`, `./1`) the answer is NULL.",
            PER_SAMPLE_RULE,
        ],
        example: "SELECT count(*) FROM cohort.variants WHERE gt_is_hom_ref(gt, 'GK0001');",
    },
    coerce: types::gt_and_sample,
    returns: || DataType::Boolean,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    Ok(Arc::new(BooleanArray::from(per_sample(args, is_hom_ref)?)))
}

fn is_hom_ref(call: CallRef<'_>) -> Option<bool> {
    let tally = call.tally();
    if tally.is_missing() {
        return None;
    }
    // Other ALT alleles of the record stand only in the text.
    let mut text = Vec::with_capacity(3);
    call.write_text(&mut text);
    Some(text.iter().all(|byte| matches!(byte, b'0' | b'/' | b'|')))
}
