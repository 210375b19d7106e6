//! Genomic SQL functions.
//!
//! [`register_all`] adds them to a session; [`functions`] lists their documentation, from which
//! `docs/sql-reference.md` is generated ([`reference::markdown`]). Every function lies in a file of its own
//! under `scalar/`. Coordinates are 1-based and closed; a NULL argument gives NULL unless a page says
//! otherwise; an unknown sample name is an error, never an empty answer.

pub mod doc;
mod error;
mod genotypes;
pub mod reference;
mod scalar;

use std::sync::Arc;

use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::ScalarUDF;

pub use doc::FunctionDoc;
pub use error::{Error, Result};

/// Adds every function of this crate to a session, beside the functions it has already.
pub fn register_all(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    builder
        .scalar_functions()
        .get_or_insert_default()
        .extend(scalar_functions());
    builder
}

/// The functions as DataFusion takes them.
pub fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    scalar::all()
        .into_iter()
        .map(|function| Arc::new(ScalarUDF::from(function)))
        .collect()
}

/// The documentation of every function, in the order of the reference: what `\df` and the manual show.
pub fn functions() -> Vec<&'static FunctionDoc> {
    scalar::all()
        .into_iter()
        .map(|function| function.doc())
        .collect()
}
