//! Genomic SQL functions.
//!
//! [`register_all`] adds them to a session, and the optimiser rules of `rules/` with them; [`functions`] lists
//! their documentation, from which `docs/sql-reference.md` is generated ([`reference::markdown`]). Every function
//! lies in a file of its own under `scalar/`. Coordinates are 1-based and closed; a NULL argument gives NULL unless a page says
//! otherwise; an unknown sample name is an error, never an empty answer.

mod contigs;
pub mod depth;
pub mod dialect;
pub mod doc;
mod error;
mod genotypes;
mod literals;
pub mod name_list;
mod nearest;
mod ontologies;
pub mod reference;
pub mod repeated;
mod rules;
mod scalar;
mod substitution;
pub mod syntax;
mod table;
mod trio;
mod warnings;

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableFunction;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::ScalarUDF;

pub use doc::FunctionDoc;
pub use error::{Error, Result};
pub use table::pedigree::{Member, pedigree};
pub use warnings::{Warning, Warnings};

/// Adds every function of this crate to a session, beside the functions it has already.
pub fn register_all(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    let helper = Arc::new(ScalarUDF::from(syntax::ArrayOrEmpty::new()));
    builder
        .scalar_functions()
        .get_or_insert_default()
        .extend(scalar_functions().into_iter().chain([helper]));
    let tables = builder.table_functions().get_or_insert_default();
    tables.extend(table_functions());
    let ontology = Arc::new(table::ontology::HpoOntology);
    let ontology = TableFunction::new(syntax::HPO_ONTOLOGY.to_owned(), ontology);
    tables.insert(ontology.name().to_owned(), Arc::new(ontology));
    let wide = Arc::new(table::omics_wide::OmicsWide);
    let wide = TableFunction::new(table::omics_wide::DOC.name.to_owned(), wide);
    tables.insert(wide.name().to_owned(), Arc::new(wide));
    let planners = builder.expr_planners().get_or_insert_default();
    planners.insert(0, Arc::new(literals::TextArrays));
    rules::register(builder)
}

/// The table functions by name, as DataFusion takes them.
fn table_functions() -> impl Iterator<Item = (String, Arc<TableFunction>)> {
    let of_datasets = table::DEFINITIONS.iter().map(|definition| {
        let name = definition.doc.name.to_owned();
        TableFunction::new(name, Arc::new(table::Function(definition)))
    });
    let of_spans = table::spans::DEFINITIONS.iter().map(|definition| {
        let name = definition.doc.name.to_owned();
        TableFunction::new(name, Arc::new(table::spans::Function(definition)))
    });
    let all = of_datasets.chain(of_spans);
    all.map(|function| (function.name().to_owned(), Arc::new(function)))
}

/// The scalar functions as DataFusion takes them.
pub fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    scalar::all()
        .into_iter()
        .map(|function| Arc::new(ScalarUDF::from(function)))
        .collect()
}

/// The places, from 0, of the arguments of a table function that are the name of a table or a query, from which it reads
/// spans.
pub fn span_sources(function: &str) -> Vec<usize> {
    table::spans::sources(function)
}

/// The columns of a table function, which are the same whatever its arguments are; `None` where they are not, and of
/// another function.
pub fn table_columns(function: &str) -> Option<SchemaRef> {
    table::columns_of(function)
}

/// The SQL type of an argument of a function, by its place from 0.
pub fn argument_type(function: &str, place: usize) -> Option<&'static str> {
    let known = functions();
    let known = known.into_iter().find(|doc| doc.name == function)?;
    Some(known.arguments.get(place)?.sql_type)
}

/// The parts of a text that is the name of a table, as FROM reads it: in small letters unless in quotes. `None` of
/// another text.
pub fn name_parts(text: &str) -> Option<Vec<String>> {
    table::spans::arguments::name_parts(text)
}

/// The place of the argument of a function that takes a cohort, from 0; `None` when there is none.
pub fn cohort_argument(function: &str) -> Option<usize> {
    let known = scalar::documented(function)?;
    known
        .arguments
        .iter()
        .position(|argument| argument.name == doc::COHORT.name)
}

/// The documentation of every function, in the order of the reference: what `\df` and the manual show.
pub fn functions() -> Vec<&'static FunctionDoc> {
    let scalars = scalar::all().into_iter().map(|function| function.doc());
    let tables = table::DEFINITIONS.iter().map(|table| &table.doc);
    let spans = table::spans::DEFINITIONS.iter().map(|table| &table.doc);
    let all = scalars.chain(spans).chain(tables);
    let all = all.chain([&table::omics_wide::DOC]);
    let mut all: Vec<&'static FunctionDoc> = all.collect();
    all.sort_by_key(|doc| doc.chapter);
    all
}
