//! `gt_ploidy(gt, sample)`: how many alleles the call has.

use std::sync::Arc;

use super::{Definition, types};
use crate::doc::{Chapter, FunctionDoc, GT, PER_SAMPLE_RULE, SAMPLE};
use crate::genotypes::per_sample;
use datafusion::arrow::array::{ArrayRef, Int16Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "gt_ploidy",
        chapter: Chapter::OneSample,
        arguments: &[GT, SAMPLE],
        returns: "smallint",
        summary: "How many alleles the call of a sample has, called or missing.",
        details: &[
            "`0/1` and `./.` have 2, `1` and `.` have 1.",
            PER_SAMPLE_RULE,
        ],
        example: "SELECT gt_ploidy(gt, 'GK0001'), count(*) FROM cohort.variants WHERE contig = 'chrX' GROUP BY 1;",
    },
    coerce: types::gt_and_sample,
    returns: || DataType::Int16,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    let ploidies = per_sample(args, |call| Some(i16::from(call.tally().ploidy)))?;
    Ok(Arc::new(Int16Array::from(ploidies)))
}
