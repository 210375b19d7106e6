//! `gt_missing_count(gt [, cohort])`: missing genotypes in a cohort.

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
        name: "gt_missing_count",
        chapter: Chapter::Cohort,
        arguments: &[GT, COHORT],
        returns: "integer",
        summary: "Genotypes with any allele missing.",
        details: &[
            "A half call (`./1`) is missing here, though its called allele counts in AN. Samples that the row has no data for are no genotypes and count nowhere. The column `n_missing` over everybody.",
            COHORT_RULE,
        ],
        example: "SELECT contig, pos, gt_missing_count(gt) FROM cohort.variants ORDER BY 3 DESC LIMIT 10;",
    },
    coerce: types::gt_and_cohort,
    returns: || DataType::Int32,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    Ok(Arc::new(Int32Array::from(per_counts(args, |counts| {
        Some(counts.alleles.n_missing)
    })?)))
}
