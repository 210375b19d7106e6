//! `is_transversion(ref, alt)`: a purine for a pyrimidine or the other way round.

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
        name: "is_transversion",
        chapter: Chapter::Alleles,
        arguments: &[REF, ALT],
        returns: "boolean",
        summary: "Whether a change of one base is a transversion.",
        details: &[
            "True for a purine for a pyrimidine or the other way round, false for the other changes of one base, NULL for everything that is not one \
             base of `ACGT` for another (in any case): insertions, `*`, `N`, symbolic alleles.",
        ],
        example: "SELECT contig, pos, ref, alt FROM cohort.variants WHERE is_transversion(ref, alt) LIMIT 10;",
    },
    coerce: types::two_alleles,
    returns: || DataType::Boolean,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    per_change(args, Substitution::Transversion)
}
