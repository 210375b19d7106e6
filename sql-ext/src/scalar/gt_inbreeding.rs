//! `gt_inbreeding(gt [, cohort])`: inbreeding coefficient of a site.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;

use super::gt_hwe_p::Diploids;
use super::{Definition, types};
use crate::doc::{COHORT, COHORT_RULE, Chapter, FunctionDoc, GT};
use crate::genotypes::per_cohort;

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "gt_inbreeding",
        chapter: Chapter::Cohort,
        arguments: &[GT, COHORT],
        returns: "double precision",
        summary: "Inbreeding coefficient F of the row's ALT allele: the share of heterozygotes that is lacking.",
        details: &[
            "F = 1 - H_obs / H_exp, where H_obs is the share of heterozygous genotypes and H_exp = 2 p (1 - p) with p the frequency of the ALT among the same genotypes. Source: Wright, Am. Nat. 56:330-338 (1922), as the fixation index of one population; no correction for small samples. Negative when there are more heterozygotes than expected.",
            "Counted over diploid genotypes with both alleles called, the ALT against every other allele, as in `gt_hwe_p`; haploid, polyploid and (half) missing calls are left out. NULL when H_exp is 0 (nobody or everybody has the ALT alone) or no genotype is left.",
            COHORT_RULE,
        ],
        example: "SELECT contig, pos, ref, alt, gt_inbreeding(gt) FROM cohort.variants WHERE ac > 20 AND gt_inbreeding(gt) < -0.3;",
    },
    coerce: types::gt_and_cohort,
    returns: || DataType::Float64,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    let values = per_cohort(args, |row| Ok(Diploids::of(row)?.inbreeding()))?;
    Ok(Arc::new(Float64Array::from(values)))
}
