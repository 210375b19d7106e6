//! `worst_consequence(consequences)`: the most severe term.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::common::utils::take_function_args;
use datafusion::logical_expr::ScalarFunctionArgs;
use genokura_core::consequence::{self, Rank};
use std::sync::Arc;

use super::{Definition, types};
use crate::doc::{Argument, Chapter, FunctionDoc, argument};
use crate::error::Error;

/// What the functions on consequences take.
pub(super) const CONSEQUENCES: Argument = argument(
    "consequences",
    "text or text[]",
    "Terms of the Sequence Ontology: `consequences` of `variant_effects`, or a text with `&` or `,` between them.",
);

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "worst_consequence",
        chapter: Chapter::Annotations,
        arguments: &[CONSEQUENCES],
        returns: "text",
        summary: "The most severe of some consequences.",
        details: &[
            "In the order that Ensembl publishes, `transcript_ablation` first. The terms of SnpEff and `bcftools csq` \
             have the place of the term that they are a kind of. The first of equals; a term that nobody lists is \
             given only where there is no other. NULL gives NULL, and so do no terms.",
            "Source: Ensembl, Calculated variant consequences.",
        ],
        example: "SELECT contig, pos, ref, alt, worst_consequence(array_agg(worst)) FROM cohort.variant_effects\n\
                  GROUP BY contig, pos, ref, alt;",
    },
    coerce: types::terms,
    returns: || DataType::Utf8,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    let mut worst = StringBuilder::new();
    each(DEFINITION.doc.name, args, |found| {
        worst.append_option(found.map(|(term, _)| term));
    })?;
    Ok(Arc::new(worst.finish()))
}

/// Calls `found` with the worst term of each row and its rank.
pub(super) fn each(
    function: &'static str,
    args: &ScalarFunctionArgs,
    mut found: impl FnMut(Option<(&str, Option<Rank>)>),
) -> DfResult<()> {
    let [terms] = take_function_args(function, &args.args)?;
    let terms = terms.to_array(args.number_rows)?;
    if let Some(texts) = terms.as_string_opt::<i32>() {
        for text in texts {
            found(text.and_then(|text| consequence::worst(consequence::terms(text))));
        }
        return Ok(());
    }
    let lists = terms.as_list_opt::<i32>();
    let lists = lists.ok_or(Error::Internal("consequences of another type"))?;
    for row in 0..lists.len() {
        if lists.is_null(row) {
            found(None);
            continue;
        }
        let values = lists.value(row);
        let texts = values.as_string_opt::<i32>();
        let texts = texts.ok_or(Error::Internal("consequences of another type"))?;
        found(consequence::worst(
            texts.iter().flatten().flat_map(consequence::terms),
        ));
    }
    Ok(())
}
