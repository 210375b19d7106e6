//! Errors of the execution engine.

use datafusion::error::DataFusionError;

/// What can go wrong when a lake is queried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The lake or one of its files could not be read.
    #[error(transparent)]
    Storage(#[from] genokura_storage::Error),
    /// Planning or execution failed.
    #[error(transparent)]
    DataFusion(#[from] Box<DataFusionError>),
    /// A stored value breaks a rule of the format.
    #[error("{table}: {what}. Run `genokura lake verify` to find every damaged file.")]
    Damaged {
        /// The physical table, such as `cohort/genotype`.
        table: String,
        /// Row, block and rule.
        what: String,
    },
    /// What a record is known by is hidden from the session.
    #[error("column {column} is hidden from this session, and a record cannot be told without it")]
    Masked {
        /// The column as SQL names it.
        column: &'static str,
    },
    /// An annotation whose subfields have no names.
    #[error("{0}. Its text is in the column of variants.")]
    Annotation(String),
    /// A plan that was made by another build or for another lake.
    #[error("the plan cannot be read: {0}. Plan the statement again on this server.")]
    Plan(String),
    /// A broken invariant of this crate.
    #[error("internal error: {0}. Please report it.")]
    Internal(String),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        match error {
            DataFusionError::External(inner) => match inner.downcast::<Error>() {
                Ok(own) => *own,
                Err(other) => Self::DataFusion(Box::new(DataFusionError::External(other))),
            },
            other => Self::DataFusion(Box::new(other)),
        }
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        match error {
            Error::DataFusion(inner) => *inner,
            other => Self::External(Box::new(other)),
        }
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        DataFusionError::from(error).into()
    }
}

impl Error {
    /// A damaged stored value.
    pub(crate) fn damaged(table: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Damaged {
            table: table.into(),
            what: what.into(),
        }
    }
}
