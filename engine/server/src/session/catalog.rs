//! Routing to the system catalog: which statements it answers, and its tables for joins with data.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast;

use super::plan::{PlanContext, Planned};
use super::rewrite::Relations;
use crate::sqlstate::ServerError;

/// Whether the catalog evaluator answers the statement: it reads catalog relations only, or no
/// relation at all and something that only the catalog knows.
pub(crate) fn answers(relations: &Relations) -> bool {
    relations.lake == 0 && (!relations.catalog.is_empty() || relations.foreign)
}

/// Runs a catalog statement.
///
/// # Errors
/// As the catalog evaluator reports them.
pub(crate) async fn execute(
    _context: &PlanContext,
    _statement: &ast::Statement,
) -> Result<Planned, ServerError> {
    Err(ServerError::unsupported("the system catalog is not available"))
}

/// Makes catalog relations visible to DataFusion, for statements that join them with data.
///
/// # Errors
/// 0A000 until the catalog is there.
pub(crate) async fn materialise(
    _context: &PlanContext,
    relations: &BTreeSet<String>,
) -> Result<(), ServerError> {
    let names: Vec<&str> = relations.iter().map(String::as_str).collect();
    Err(ServerError::unsupported(format!(
        "joining {} with tables of the lake is not supported",
        names.join(", ")
    )))
}
