//! `is_transition(ref, alt)`: a purine for a purine or a pyrimidine for a pyrimidine (A-G, C-T).

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;
use genokura_core::allele::Substitution;

use super::{Definition, types};
use crate::doc::{ALT, Chapter, FunctionDoc, REF};
use crate::substitution::per_change;

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "is_transition",
        chapter: Chapter::Alleles,
        arguments: &[REF, ALT],
        returns: "boolean",
        summary: "Whether a change of one base is a transition.",
        details: &[
            "True for a purine for a purine or a pyrimidine for a pyrimidine (A-G, C-T), false for the other changes of one base, NULL for everything that is not one \
             base of `ACGT` for another (in any case): insertions, `*`, `N`, symbolic alleles.",
        ],
        example: "SELECT count(*) FILTER (WHERE is_transition(ref, alt))::float8\n\
                  / count(*) FILTER (WHERE is_transversion(ref, alt)) AS ti_tv FROM cohort.variants;",
    },
    coerce: types::two_alleles,
    returns: || DataType::Boolean,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    per_change(args, Substitution::Transition)
}
