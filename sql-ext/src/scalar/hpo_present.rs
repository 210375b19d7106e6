//! `hpo_present(term, excluded, asked)`: what one observation says of a phenotype.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, new_empty_array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;

use super::hpo_is_a::{Known, NAMES, TERM, ontology_argument};
use super::{Definition, types};
use crate::doc::{Chapter, FunctionDoc, argument};
use crate::error::Error;
use crate::genotypes::text_argument;

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "hpo_present",
        chapter: Chapter::Phenotypes,
        arguments: &[
            TERM,
            argument(
                "excluded",
                "boolean",
                "Whether it was looked for and not found: column `excluded` of `clin.phenotype`.",
            ),
            argument("asked", "text", "Id of the term that is asked for."),
        ],
        returns: "boolean",
        summary: "What an observed or excluded phenotype says of another: true it is there, false it is not, NULL nothing.",
        details: &[
            "Somebody with a phenotype has every ancestor of it: a row with `excluded` false gives true when its term is \
             a kind of `asked`. Somebody without a phenotype has nothing that is a kind of it: a row with `excluded` true \
             gives false when `asked` is a kind of its term. Everything else gives NULL, and so does a NULL.",
            "So `bool_or(hpo_present(hpo_id, excluded, …))` of a person is true, false, or NULL where nobody looked. \
             An excluded phenotype never counts as present.",
            NAMES,
        ],
        example: "SELECT person_id, bool_or(hpo_present(hpo_id, excluded, 'HP:0001250')) AS seizures\n\
                  FROM clin.phenotype GROUP BY person_id;",
    },
    coerce: types::observed_term,
    returns: || DataType::Boolean,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    let (terms, asked) = (text_argument(args, 0)?, text_argument(args, 2)?);
    let excluded = args.args[1].to_array(args.number_rows)?;
    let excluded = excluded.as_boolean_opt();
    let excluded = excluded.ok_or(Error::Internal("excluded of another type"))?;
    if args.number_rows == 0 {
        return Ok(new_empty_array(&DataType::Boolean));
    }
    let bytes = ontology_argument(args, 3)?;
    let mut ontology = Known::open(&bytes)?;
    let mut values = Vec::with_capacity(args.number_rows);
    for row in 0..args.number_rows {
        let not_there = excluded.is_valid(row).then(|| excluded.value(row));
        values.push(match (terms.get(row), not_there, asked.get(row)) {
            (Some(term), Some(not_there), Some(asked)) => {
                let (term, asked) = (ontology.place(term)?, ontology.place(asked)?);
                let tells = match not_there {
                    false => ontology.packed.is_a(term, asked),
                    true => ontology.packed.is_a(asked, term),
                };
                tells.then_some(!not_there)
            }
            _ => None,
        });
    }
    Ok(Arc::new(BooleanArray::from(values)))
}
