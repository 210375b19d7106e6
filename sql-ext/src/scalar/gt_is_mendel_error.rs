//! `gt_is_mendel_error(gt, child, father, mother)`: the genotypes of a trio that cannot be.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;
use genokura_core::inheritance::{WholeCall, mendel_error};

use super::{Definition, types};
use crate::doc::{
    ASSEMBLY, CHILD, Chapter, FATHER, FunctionDoc, GT, MOTHER, SEX, TRIO_CONTIG, TRIO_POS,
};
use crate::trio::per_trio;

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "gt_is_mendel_error",
        chapter: Chapter::Family,
        arguments: &[
            GT,
            CHILD,
            FATHER,
            MOTHER,
            TRIO_CONTIG,
            TRIO_POS,
            SEX,
            ASSEMBLY,
        ],
        returns: "boolean",
        summary: "Whether the genotype of a child cannot come from its parents' genotypes.",
        details: &[
            "The whole genotypes of the record are compared, not only this row's ALT: the child needs one \
             allele of each parent. So both rows of a record with two ALT alleles say the same.",
            "A missing or half missing call can be anything. A child's gives NULL. With a parent's it is an \
             error when the other parent alone rules the child out (`1/1` of a `0/0`), as bcftools and PLINK \
             have it, else NULL. A call of a ploidy that does not fit (a haploid child on an autosome) is \
             taken as missing.",
            "With four arguments the autosomal rule holds everywhere. With all eight, outside of the \
             pseudoautosomal regions: on X a son needs his mother's allele and a daughter one of each \
             parent, a male call being haploid or twice the same allele (a heterozygous one gives NULL); on \
             Y a son needs his father's allele and daughters give NULL; on the mitochondrial genome every \
             allele must be one of the mother's. NULL on X and Y when the assembly is not known.",
            "Parents and child of different ingest batches: alleles other than REF and the row's ALT cannot be \
             compared and are taken to match. Agrees with `bcftools +mendelian` on autosomes.",
        ],
        example: "SELECT contig, pos, ref, alt FROM cohort.variants\n\
                  WHERE gt_is_mendel_error(gt, 'GK0003', 'GK0001', 'GK0002');",
    },
    coerce: types::gt_and_trio,
    returns: || DataType::Boolean,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    let values = per_trio(args, |zone, sex, calls| {
        let [child, father, mother] =
            calls.map(|call| call.and_then(|(call, batch)| WholeCall::of(&call, batch)));
        mendel_error(zone, sex, child, father, mother)
    })?;
    Ok(Arc::new(BooleanArray::from(values)))
}
