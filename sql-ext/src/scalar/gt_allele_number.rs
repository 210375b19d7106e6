//! `gt_allele_number(gt [, cohort])`: called alleles in a cohort.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;

use super::{Definition, types};
use crate::doc::{COHORT, COHORT_RULE, Chapter, FunctionDoc, GT};
use crate::genotypes::per_counts;

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "gt_allele_number",
        chapter: Chapter::Cohort,
        arguments: &[GT, COHORT],
        returns: "integer",
        summary: "Called alleles (AN).",
        details: &[
            "Every called allele of every genotype, whichever allele it is: two for `0/1`, one for `1` and for the \
             half call `./1`, none for `./.`. Source: INFO AN, VCF 4.5 section 1.6.1.",
            COHORT_RULE,
        ],
        example: "SELECT pos, gt_allele_number(gt, ARRAY['GK0001', 'GK0002']) FROM cohort.variants LIMIT 10;",
    },
    coerce: types::gt_and_cohort,
    returns: || DataType::Int32,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    Ok(Arc::new(Int32Array::from(per_counts(args, |counts| {
        Some(counts.alleles.an)
    })?)))
}
