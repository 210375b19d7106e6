//! Where aggregates, windows and functions that give sets may stand.
//!
//! ```text
//! SELECT relkind, count(*) FROM pg_class GROUP BY 2     ─►  42803 aggregate functions are not allowed in GROUP BY
//! ```
//! Each is computed at a stage of a SELECT of its own; a clause that is computed before that stage cannot have it.

use datafusion::sql::sqlparser::ast;

use super::Binder;
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::plan::{Expr, Kind, children};

/// A part of a SELECT, or of what stands beside one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pg_catalog) enum Place {
    /// The list of outputs, ORDER BY and DISTINCT ON: everything may stand here.
    #[default]
    Output,
    Where,
    Join,
    FromFunction,
    GroupBy,
    Having,
    Filter,
    Limit,
    Offset,
    Values,
    /// Arguments and order of an aggregate.
    Aggregate,
    /// Arguments of a window function.
    Window,
    /// PARTITION BY and ORDER BY of a window.
    Frame,
}

/// What to do with a set that may not stand where it does.
const MOVE_SET: &str =
    "You might be able to move the set-returning function into a LATERAL FROM item.";

impl Place {
    /// The place in PostgreSQL's words.
    fn name(self) -> &'static str {
        match self {
            Self::Output => "SELECT",
            Self::Where => "WHERE",
            Self::Join => "JOIN conditions",
            Self::FromFunction => "functions in FROM",
            Self::GroupBy => "GROUP BY",
            Self::Having => "HAVING",
            Self::Filter => "FILTER",
            Self::Limit => "LIMIT",
            Self::Offset => "OFFSET",
            Self::Values => "VALUES",
            Self::Aggregate => "aggregate functions",
            Self::Window => "window functions",
            Self::Frame => "window definitions",
        }
    }

    /// Whether what stands here is computed from the groups, when there are any.
    pub(super) fn is_of_groups(self) -> bool {
        matches!(
            self,
            Self::Output | Self::Having | Self::Window | Self::Frame
        )
    }

    /// Whether an aggregate may stand here.
    pub(super) fn aggregate(self) -> Result<()> {
        match self {
            Self::Output | Self::Having | Self::Window | Self::Frame => Ok(()),
            Self::Aggregate => Err(CatalogError::new(
                "42803",
                "aggregate function calls cannot be nested",
            )),
            place => Err(CatalogError::new(
                "42803",
                format!("aggregate functions are not allowed in {}", place.name()),
            )),
        }
    }

    /// Whether a window function may stand here.
    pub(super) fn window(self) -> Result<()> {
        match self {
            Self::Output => Ok(()),
            Self::Aggregate => Err(CatalogError::new(
                "42803",
                "aggregate function calls cannot contain window function calls",
            )),
            Self::Window => Err(CatalogError::new(
                "42P20",
                "window function calls cannot be nested",
            )),
            place => Err(CatalogError::new(
                "42P20",
                format!("window functions are not allowed in {}", place.name()),
            )),
        }
    }

    /// Whether a function that gives a set may stand here.
    pub(super) fn set(self) -> Result<()> {
        let contains = |what: &str| {
            let text = format!("{what} function calls cannot contain set-returning function calls");
            Err(CatalogError::new("0A000", text).hint(MOVE_SET))
        };
        match self {
            Self::Output | Self::GroupBy => Ok(()),
            Self::Aggregate => contains("aggregate"),
            Self::Window => contains("window"),
            Self::FromFunction => Err(CatalogError::new(
                "0A000",
                "set-returning functions must appear at top level of FROM",
            )),
            place => Err(CatalogError::new(
                "0A000",
                format!(
                    "set-returning functions are not allowed in {}",
                    place.name()
                ),
            )),
        }
    }
}

impl Binder<'_> {
    /// Binds something that stands in such a place of the current frame.
    pub(super) fn placed<T>(
        &mut self,
        place: Place,
        bind: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let before = std::mem::replace(&mut self.scope()?.place, place);
        let bound = bind(self);
        self.scope()?.place = before;
        bound
    }

    /// Refuses a set in a branch of CASE or COALESCE, which may not be computed at all.
    pub(super) fn refuse_sets<'e>(
        &self,
        branches: impl IntoIterator<Item = &'e Expr>,
        what: &str,
        at: Option<&ast::Expr>,
    ) -> Result<()> {
        if !branches.into_iter().any(gives_set) {
            return Ok(());
        }
        let text = format!("set-returning functions are not allowed in {what}");
        let error = CatalogError::new("0A000", text).hint(MOVE_SET);
        Err(match at {
            Some(expr) => error.at(ast::Spanned::span(expr)),
            None => error,
        })
    }
}

/// Whether a set is among what an expression is made of.
fn gives_set(expr: &Expr) -> bool {
    let mut gives = matches!(expr.kind, Kind::SetReturning(_));
    children(expr, &mut |part| gives |= gives_set(part));
    gives
}
