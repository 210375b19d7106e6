//! Errors of the catalog evaluator: a SQLSTATE, PostgreSQL's message, and where.

use crate::sqlstate::ServerError;

/// An error of a catalog query, ready to be sent as an ErrorResponse.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct CatalogError {
    /// Five-character SQLSTATE.
    pub sqlstate: &'static str,
    /// The message, in PostgreSQL's wording where PostgreSQL has one.
    pub message: String,
    /// What more there is to say.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// 1-based line and column in the statement text.
    pub position: Option<(u64, u64)>,
}

/// Result of the catalog evaluator.
pub type Result<T, E = CatalogError> = std::result::Result<T, E>;

impl CatalogError {
    pub(crate) fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self {
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
        }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn at(mut self, span: datafusion::sql::sqlparser::tokenizer::Span) -> Self {
        if self.position.is_none() && span.start.line > 0 {
            self.position = Some((span.start.line, span.start.column));
        }
        self
    }

    /// As `error`, which was found elsewhere.
    pub(crate) fn of(error: &ServerError) -> Self {
        Self {
            sqlstate: error.code(),
            message: error.to_string(),
            detail: error.detail_text().map(str::to_owned),
            hint: error.hint_text().map(str::to_owned),
            position: None,
        }
    }

    pub(crate) fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::new(
            "0A000",
            format!("{what} is not supported in catalog queries"),
        )
    }
}
