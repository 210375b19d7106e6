//! `gt_missing_rate(gt [, cohort])`: how many genotypes are missing.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;

use super::{Definition, types};
use crate::doc::{COHORT, COHORT_RULE, Chapter, FunctionDoc, GT};
use crate::genotypes::per_counts;

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "gt_missing_rate",
        chapter: Chapter::Cohort,
        arguments: &[GT, COHORT],
        returns: "double precision",
        summary: "Share of the genotypes with any allele missing.",
        details: &[
            "One less the call rate; `F_MISSING` of `bcftools +fill-tags`. NULL when there is no genotype (an empty cohort, a record without GT).",
            COHORT_RULE,
        ],
        example: "SELECT contig, pos, ref, alt FROM cohort.variants WHERE gt_missing_rate(gt) > 0.05;",
    },
    coerce: types::gt_and_cohort,
    returns: || DataType::Float64,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    let rates = per_counts(args, |counts| {
        let missing = f64::from(counts.alleles.n_missing);
        (counts.genotypes > 0).then(|| missing / f64::from(counts.genotypes))
    })?;
    Ok(Arc::new(Float64Array::from(rates)))
}
