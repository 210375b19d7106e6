//! `consequence_rank(consequences)`: the place of the most severe term.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Builder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;

use super::worst_consequence::{CONSEQUENCES, each};
use super::{Definition, types};
use crate::doc::{Chapter, FunctionDoc};

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "consequence_rank",
        chapter: Chapter::Annotations,
        arguments: &[CONSEQUENCES],
        returns: "integer",
        summary: "The place of the most severe of some consequences in Ensembl's order.",
        details: &[
            "1 is the worst, `transcript_ablation`; 13 is `missense_variant`, 22 `synonymous_variant`, 41 the last. \
             NULL where no term is listed; the order is that of `worst_consequence`.",
        ],
        example: "SELECT * FROM cohort.variant_effects WHERE severity <= consequence_rank('missense_variant');",
    },
    coerce: types::terms,
    returns: || DataType::Int32,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    let mut ranks = Int32Builder::new();
    each(DEFINITION.doc.name, args, |found| {
        ranks.append_option(found.and_then(|(_, rank)| rank).map(i32::from));
    })?;
    Ok(Arc::new(ranks.finish()))
}
