//! `hpo_is_a(term, ancestor)`: one term is a kind of another.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, new_empty_array};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;
use genokura_core::ontology::{Meaning, PackedOntology};

use super::{Definition, types};
use crate::doc::{Argument, Chapter, FunctionDoc, argument};
use crate::error::{Error, Result};
use crate::genotypes::text_argument;
use crate::nearest::nearest;
use crate::ontologies;

/// A term as people write it.
pub(super) const TERM: Argument = argument(
    "term",
    "text",
    "Id of a term, such as `HP:0001250`; an alternative or a replaced id means the term of today.",
);

/// What both functions say of names.
pub(super) const NAMES: &str = "An id that HPO does not know is an error that tells the nearest one, in a column of a \
    table too, and so is an obsolete term that nothing replaces: neither is silently another answer.";

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "hpo_is_a",
        chapter: Chapter::Phenotypes,
        arguments: &[
            TERM,
            argument(
                "ancestor",
                "text",
                "Id of the term that it may be a kind of.",
            ),
        ],
        returns: "boolean",
        summary: "Whether a term of HPO is another one or a kind of it.",
        details: &[
            "By `is_a` in the release that `genokura ingest hpo` has put into `kb.hpo_terms`; a term is one of its own \
             kind. NULL gives NULL.",
            NAMES,
            "It says nothing of whether a phenotype was seen: that is what `hpo_present` is for.",
        ],
        example: "SELECT count(DISTINCT person_id) FROM clin.phenotype\n\
                  WHERE hpo_is_a(hpo_id, 'HP:0000707') AND NOT excluded;",
    },
    coerce: types::two_terms,
    returns: || DataType::Boolean,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    let (terms, ancestors) = (text_argument(args, 0)?, text_argument(args, 1)?);
    if args.number_rows == 0 {
        return Ok(new_empty_array(&DataType::Boolean));
    }
    let bytes = ontology_argument(args, 2)?;
    let mut ontology = Known::open(&bytes)?;
    let mut values = Vec::with_capacity(args.number_rows);
    for row in 0..args.number_rows {
        values.push(match (terms.get(row), ancestors.get(row)) {
            (Some(term), Some(ancestor)) => {
                let (term, ancestor) = (ontology.place(term)?, ontology.place(ancestor)?);
                Some(ontology.packed.is_a(term, ancestor))
            }
            _ => None,
        });
    }
    Ok(Arc::new(BooleanArray::from(values)))
}

/// The packed ontology of a batch with rows: the same for all of them.
pub(super) fn ontology_argument(args: &ScalarFunctionArgs, index: usize) -> DfResult<Arc<[u8]>> {
    let missing = || Error::Internal("a function on HPO without the ontology");
    let numbers = args.args.get(index).ok_or_else(missing)?;
    let numbers = numbers.to_array(1)?;
    let numbers = numbers
        .as_primitive_opt::<Int64Type>()
        .ok_or_else(missing)?;
    let number = numbers.iter().flatten().next().ok_or_else(missing)?;
    Ok(ontologies::held(number).ok_or(Error::OntologyGone)?)
}

/// An ontology and the names that were looked up last, one for each place they come from.
pub(super) struct Known<'a> {
    pub(super) packed: PackedOntology<'a>,
    last: [(String, u32); 2],
    turn: usize,
}

impl<'a> Known<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        let packed = PackedOntology::open(bytes);
        let packed = packed.map_err(|error| Error::Ontology(error.to_string()))?;
        Ok(Self {
            packed,
            last: Default::default(),
            turn: 0,
        })
    }

    /// The place of what a name means.
    ///
    /// # Errors
    /// [`Error::UnknownTerm`] and [`Error::ObsoleteTerm`].
    pub(super) fn place(&mut self, name: &str) -> Result<u32> {
        if let Some((_, place)) = self
            .last
            .iter()
            .find(|(last, _)| last == name && !last.is_empty())
        {
            return Ok(*place);
        }
        match self.packed.find(name) {
            Some(Meaning::Term(place)) => {
                self.last[self.turn] = (name.to_owned(), place);
                self.turn = 1 - self.turn;
                Ok(place)
            }
            Some(Meaning::Nothing) => Err(Error::ObsoleteTerm(name.to_owned())),
            None => Err(Error::UnknownTerm {
                name: name.to_owned(),
                nearest: nearest(name, self.packed.names()),
            }),
        }
    }
}
