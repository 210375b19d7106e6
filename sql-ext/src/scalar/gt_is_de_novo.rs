//! `gt_is_de_novo(gt, child, father, mother)`: the child carries the row's ALT, neither parent does.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;
use genokura_core::inheritance::de_novo;

use super::{Definition, types};
use crate::doc::{
    ASSEMBLY, CHILD, Chapter, FATHER, FunctionDoc, GT, MOTHER, SEX, TRIO_CONTIG, TRIO_POS,
};
use crate::trio::per_trio;

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "gt_is_de_novo",
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
        summary: "Whether a child carries the row's ALT allele and neither parent does.",
        details: &[
            "A candidate, not a verdict: only genotypes are looked at, no depth and no quality.",
            "The child carries the ALT with one called copy (`./1` is enough). A parent does not \
             carry it when every allele is called and none is the ALT. NULL when a missing call \
             leaves it open; false as soon as one of the three says no.",
            "With four arguments both parents are asked everywhere. With all eight only those who hand \
             down the place: the mother alone for a son's X outside of its pseudoautosomal regions and \
             for the mitochondrial genome, the father alone for Y. Without a known sex, a haploid call on \
             X is a son's. NULL on X and Y when the assembly is not known.",
            "A sample that the row has no data for, or a record without GT, is a missing call.",
        ],
        example: "SELECT v.contig, v.pos, v.ref, v.alt, c.sample_id\n\
                  FROM clin.person c JOIN clin.person f ON f.person_id = c.father_id\n\
                  JOIN clin.person m ON m.person_id = c.mother_id, cohort.variants v\n\
                  WHERE v.ac = 1 AND gt_is_de_novo(v.gt, c.sample_id, f.sample_id, m.sample_id);",
    },
    coerce: types::gt_and_trio,
    returns: || DataType::Boolean,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    let values = per_trio(args, |zone, sex, calls| {
        let [child, father, mother] = calls.map(|call| call.map(|(call, _)| call));
        de_novo(zone, sex, child, father, mother)
    })?;
    Ok(Arc::new(BooleanArray::from(values)))
}
