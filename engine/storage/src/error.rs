//! Errors of the storage crate: one enum, small, named by cause.

use crate::manifest::TableId;

/// Result of a storage operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request to the lake cannot be met.
///
/// An expected outcome (another writer landed first) is no error: see
/// [`CommitOutcome::Conflict`](crate::commit::CommitOutcome).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no URL or path that the lake can live at.
    #[error("\"{text}\" is no usable location: {reason}")]
    Location {
        /// What was given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no lake at the URL.
    #[error(
        "there is no lake at {url}: make one with \"genokura ingest vcf --lake {url} --dataset NAME INPUT\""
    )]
    NoLake {
        /// Where it was looked for.
        url: String,
    },
    /// A schema, table or dataset name that cannot be an object path.
    #[error(
        "\"{name}\" cannot name a {what}: use letters, digits, \"_\", \"-\" and \".\", \
         starting with a letter or digit, at most 63 characters"
    )]
    Name {
        /// `schema`, `table` or `dataset`.
        what: &'static str,
        /// The name as given.
        name: String,
    },
    /// A file of the lake that its own bookkeeping promises is absent.
    #[error("{path} is missing from the lake; run \"genokura lake verify\" to list all damage")]
    Missing {
        /// Path in the object store.
        path: String,
    },
    /// An object of the lake does not hold what it must.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// Path in the object store.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The lake was written by a newer genokura.
    #[error(
        "{path} has lake format {found}, this genokura reads up to {known}; use a newer genokura"
    )]
    NewerFormat {
        /// Path of the lake commit.
        path: String,
        /// Its format number.
        found: u32,
        /// The newest format we read.
        known: u32,
    },
    /// Columns of the same name and different types.
    #[error(
        "table {table}: column \"{column}\" is {stored} in the lake and {given} in the new rows; \
         rename the column or replace the table"
    )]
    ColumnType {
        /// The table.
        table: TableId,
        /// The column.
        column: String,
        /// Type in the lake.
        stored: String,
        /// Type offered.
        given: String,
    },
    /// Rows of another assembly than the table's.
    #[error(
        "table {table} is on {stored}, the new rows are on {given}; load them into another table"
    )]
    Assembly {
        /// The table.
        table: TableId,
        /// The assembly in the lake.
        stored: String,
        /// That of the rows.
        given: String,
    },
    /// A column type that Delta tables do not have.
    #[error("table {table}: column \"{column}\" has type {given}, which a Delta table cannot hold")]
    UnsupportedType {
        /// The table.
        table: TableId,
        /// The column.
        column: String,
        /// Its Arrow type.
        given: String,
    },
    /// The caller broke a rule of the storage API; our bug.
    #[error("internal error in storage: {0}")]
    Internal(String),
    /// Too many writers at once.
    #[error(
        "gave up committing {what} after {attempts} attempts; other writers landed first each time: try again"
    )]
    Contended {
        /// The table or lake.
        what: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// Another lake stands where this one was read from.
    #[error(
        "the lake was replaced while it was open: version {version}, which was read, is not there any more, and nothing is \
         written into another lake; restart what has it open"
    )]
    Replaced {
        /// The newest version that was read.
        version: u64,
    },
    /// The object store failed.
    #[error("object store: {0}")]
    Store(#[source] Box<object_store::Error>),
    /// The Delta log of a table could not be read or written.
    #[error("Delta log of {table}: {source}")]
    Delta {
        /// The table.
        table: TableId,
        /// What the Delta library reports.
        #[source]
        source: Box<delta_kernel::KernelError>,
    },
    /// A Parquet file could not be read or written.
    #[error("Parquet file {path}: {source}")]
    Parquet {
        /// Path in the object store.
        path: String,
        /// What the Parquet library reports.
        #[source]
        source: Box<parquet::errors::ParquetError>,
    },
    /// Arrow data did not fit together.
    #[error("Arrow: {0}")]
    Arrow(#[source] Box<arrow::error::ArrowError>),
    /// A lake commit is not the JSON it must be.
    #[error("{path} is not a lake commit: {source}")]
    Json {
        /// Path in the object store.
        path: String,
        /// What the JSON reader reports.
        #[source]
        source: Box<serde_json::Error>,
    },
    /// A background task ended without an answer (runtime shutting down, or a panic).
    #[error("a background task of the storage layer ended early: {0}")]
    Task(String),
}

impl Error {
    pub(crate) fn parquet(
        path: &object_store::path::Path,
        source: parquet::errors::ParquetError,
    ) -> Self {
        Self::Parquet {
            path: path.to_string(),
            source: Box::new(source),
        }
    }

    pub(crate) fn json(path: &object_store::path::Path, source: serde_json::Error) -> Self {
        Self::Json {
            path: path.to_string(),
            source: Box::new(source),
        }
    }

    pub(crate) fn delta(table: &TableId, source: delta_kernel::KernelError) -> Self {
        Self::Delta {
            table: table.clone(),
            source: Box::new(source),
        }
    }
}

impl From<object_store::Error> for Error {
    fn from(source: object_store::Error) -> Self {
        match source {
            object_store::Error::NotFound { path, .. } => Self::Missing { path },
            other => Self::Store(Box::new(other)),
        }
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(source: arrow::error::ArrowError) -> Self {
        Self::Arrow(Box::new(source))
    }
}

impl From<tokio::task::JoinError> for Error {
    fn from(source: tokio::task::JoinError) -> Self {
        Self::Task(source.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn an_error_stays_small() {
        assert!(size_of::<Error>() <= 128, "{}", size_of::<Error>());
    }
}
