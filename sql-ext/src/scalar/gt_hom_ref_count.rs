//! `gt_hom_ref_count(gt [, cohort])`: genotypes without any ALT in a cohort.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;

use super::{Definition, types};
use crate::doc::{COHORT, COHORT_RULE, Chapter, FunctionDoc, GT};
use crate::genotypes::per_cohort;

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "gt_hom_ref_count",
        chapter: Chapter::Cohort,
        arguments: &[GT, COHORT],
        returns: "integer",
        summary: "Genotypes that are wholly the reference allele.",
        details: &[
            "Every allele is called and all are REF; a haploid `0` counts, `0/2` in the row of ALT 1 does not. Missing is not reference.",
            COHORT_RULE,
        ],
        example: "SELECT pos, gt_hom_ref_count(gt), gt_missing_count(gt) FROM cohort.variants LIMIT 10;",
    },
    coerce: types::gt_and_cohort,
    returns: || DataType::Int32,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    Ok(Arc::new(Int32Array::from(per_cohort(args, |row| {
        Ok(Some(row.hom_ref()?))
    })?)))
}
