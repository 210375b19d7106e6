//! `gt_allele_count(gt [, cohort])`: copies of the row's ALT in a cohort.

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
        name: "gt_allele_count",
        chapter: Chapter::Cohort,
        arguments: &[GT, COHORT],
        returns: "integer",
        summary: "Called copies of the row's ALT allele (AC).",
        details: &[
            "A half call adds what is called. The same number as `sum(dosage)` over the cohort's rows of `calls`, \
             counted on the packed genotypes. Source: INFO AC, VCF 4.5 section 1.6.1.",
            COHORT_RULE,
        ],
        example: "SELECT pos, alt, gt_allele_count(gt, (SELECT array_agg(sample_id) FROM clin.person WHERE proband))\nFROM cohort.variants WHERE in_region(contig, pos, end_pos, 'chr13:20,187,470-20,192,938');",
    },
    coerce: types::gt_and_cohort,
    returns: || DataType::Int32,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    Ok(Arc::new(Int32Array::from(per_counts(args, |counts| {
        Some(counts.alleles.ac)
    })?)))
}
