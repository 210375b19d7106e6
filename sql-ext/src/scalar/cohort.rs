//! `cohort(name)`: the samples of a cohort.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, new_null_array};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;

use super::{Definition, types};
use crate::doc::{Chapter, FunctionDoc, argument};
use crate::error::Error;

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "cohort",
        chapter: Chapter::Cohort,
        arguments: &[argument(
            "name",
            "text",
            "A cohort of the session or of the lake, a constant.",
        )],
        returns: "text[]",
        summary: "The samples of a cohort that the session may see, each once.",
        details: &[
            "Cohorts are made by `CREATE [OR REPLACE] [TEMP] COHORT name AS SELECT sample_id …` and listed by \
             `genokura.cohorts`; each is a table with the column `sample_id` too. The functions on `gt` take the name \
             itself: `gt_allele_frequency(gt, 'cases')` is `gt_allele_frequency(gt, cohort('cases'))`. A name of no \
             cohort is an error, NULL gives NULL.",
        ],
        example: "SELECT count(*) FROM cohort.carriers WHERE sample_id = ANY(cohort('cases')) AND contig = 'chr13';",
    },
    coerce: types::one_text,
    returns: types::text_list,
    invoke,
    simplify: None,
};

/// The server puts the samples in the place of a constant name before it plans; what is left is no constant.
fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    let name = args.args[0].to_array(args.number_rows)?;
    if name.null_count() < name.len() {
        return Err(Error::CohortName.into());
    }
    Ok(Arc::new(new_null_array(&types::text_list(), name.len())))
}
