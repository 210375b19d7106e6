//! `gt_is_het(gt, sample)`: some but not all alleles are the row's ALT.

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
        name: "gt_is_het",
        chapter: Chapter::OneSample,
        arguments: &[GT, SAMPLE],
        returns: "boolean",
        summary: "Whether a sample is heterozygous for the row's ALT allele.",
        details: &[
            "True when some but not all of its alleles are the ALT; `1/2` is heterozygous in the rows of both ALT \
             alleles, a haploid call never is.",
            "Every allele must be called: with a missing allele (`./.`, `./1`) the answer is NULL.",
            PER_SAMPLE_RULE,
        ],
        example: "SELECT count(*) FROM cohort.variants WHERE gt_is_het(gt, 'GK0003');",
    },
    coerce: types::gt_and_sample,
    returns: || DataType::Boolean,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    Ok(Arc::new(BooleanArray::from(per_sample(args, is_het)?)))
}

fn is_het(call: CallRef<'_>) -> Option<bool> {
    let tally = call.tally();
    (!tally.is_missing()).then(|| tally.is_het())
}
