//! `gt_is_missing(gt, sample)`: an allele is not called.

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
        name: "gt_is_missing",
        chapter: Chapter::OneSample,
        arguments: &[GT, SAMPLE],
        returns: "boolean",
        summary: "Whether any allele of a sample is missing.",
        details: &[
            "True for `./.`, `.` and the half call `./1`. Missing is not reference.",
            PER_SAMPLE_RULE,
        ],
        example: "SELECT count(*) FROM cohort.variants WHERE gt_is_missing(gt, 'GK0001');",
    },
    coerce: types::gt_and_sample,
    returns: || DataType::Boolean,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    Ok(Arc::new(BooleanArray::from(per_sample(args, |call| {
        Some(call.is_missing())
    })?)))
}
