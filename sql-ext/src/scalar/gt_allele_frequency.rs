//! `gt_allele_frequency(gt [, cohort])`: AC / AN in a cohort.

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
        name: "gt_allele_frequency",
        chapter: Chapter::Cohort,
        arguments: &[GT, COHORT],
        returns: "double precision",
        summary: "Frequency of the row's ALT allele among the called alleles (AC / AN).",
        details: &[
            "NULL when no allele is called (so for an empty cohort).",
            COHORT_RULE,
        ],
        example: "SELECT contig, pos, ref, alt FROM cohort.variants\nWHERE gt_allele_frequency(gt, ARRAY['GK0001', 'GK0002', 'GK0005']) > 0.5;",
    },
    coerce: types::gt_and_cohort,
    returns: || DataType::Float64,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    let frequencies = per_counts(args, |counts| {
        let alleles = counts.alleles;
        (alleles.an > 0).then(|| f64::from(alleles.ac) / f64::from(alleles.an))
    })?;
    Ok(Arc::new(Float64Array::from(frequencies)))
}
