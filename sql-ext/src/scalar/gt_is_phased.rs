//! `gt_is_phased(gt, sample)`: the order of the alleles is known.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;

use super::{Definition, types};
use crate::doc::{Chapter, FunctionDoc, GT, PER_SAMPLE_RULE, SAMPLE};
use crate::genotypes::per_sample;

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "gt_is_phased",
        chapter: Chapter::OneSample,
        arguments: &[GT, SAMPLE],
        returns: "boolean",
        summary: "Whether every allele of a sample is phased.",
        details: &[
            "`0|1` is, `0/1` is not; a haploid call is. The prefix of VCF 4.4 (`/0|1`) counts.",
            PER_SAMPLE_RULE,
        ],
        example: "SELECT gt_is_phased(gt, 'GK0003'), count(*) FROM cohort.variants GROUP BY 1;",
    },
    coerce: types::gt_and_sample,
    returns: || DataType::Boolean,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    Ok(Arc::new(BooleanArray::from(per_sample(args, |call| {
        Some(call.phased())
    })?)))
}
