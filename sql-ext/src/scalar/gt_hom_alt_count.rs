//! `gt_hom_alt_count(gt [, cohort])`: homozygous carriers in a cohort.

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
        name: "gt_hom_alt_count",
        chapter: Chapter::Cohort,
        arguments: &[GT, COHORT],
        returns: "integer",
        summary: "Genotypes that are wholly the row's ALT allele.",
        details: &[
            "Every allele is called and all are the ALT; a haploid `1` counts. The column `n_hom_alt` over everybody.",
            COHORT_RULE,
        ],
        example: "SELECT pos, gt_hom_alt_count(gt) FROM cohort.variants WHERE gt_hom_alt_count(gt) > 0 LIMIT 10;",
    },
    coerce: types::gt_and_cohort,
    returns: || DataType::Int32,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    Ok(Arc::new(Int32Array::from(per_counts(args, |counts| {
        Some(counts.alleles.n_hom_alt)
    })?)))
}
