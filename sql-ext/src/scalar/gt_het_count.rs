//! `gt_het_count(gt [, cohort])`: heterozygous genotypes in a cohort.

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
        name: "gt_het_count",
        chapter: Chapter::Cohort,
        arguments: &[GT, COHORT],
        returns: "integer",
        summary: "Heterozygous genotypes of the row's ALT allele.",
        details: &[
            "Genotypes with every allele called, some but not all of them the ALT: `1/2` counts in the rows of both ALT alleles, a haploid call never does. The column `n_het` over everybody.",
            COHORT_RULE,
        ],
        example: "SELECT pos, gt_het_count(gt, ARRAY(SELECT sample_id FROM clin.person WHERE sex = 'female'))\nFROM cohort.variants LIMIT 10;",
    },
    coerce: types::gt_and_cohort,
    returns: || DataType::Int32,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    Ok(Arc::new(Int32Array::from(per_counts(args, |counts| {
        Some(counts.alleles.n_het)
    })?)))
}
