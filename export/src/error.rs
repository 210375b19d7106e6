//! Errors of exports.

use std::path::PathBuf;

/// Why an export did not come to its end. Nothing stands under the final name then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The dataset could not be read.
    #[error(transparent)]
    Exec(#[from] genokura_exec::Error),
    /// The output is not one of a name or place.
    #[error(transparent)]
    Storage(#[from] genokura_storage::Error),
    /// The request cannot be met as it stands.
    #[error("{0}")]
    Request(String),
    /// The output is there already.
    #[error("{} is there already; choose another name, or --force to replace it", .0.display())]
    Exists(PathBuf),
    /// The output could not be written.
    #[error("cannot write {place}: {source}")]
    Write {
        /// The path or URL.
        place: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The object store refused.
    #[error("cannot write {place}: {source}")]
    Store {
        /// The URL.
        place: String,
        /// What the store said.
        source: object_store::Error,
    },
    /// A broken invariant of this crate.
    #[error("internal error: {0}. Please report it.")]
    Internal(String),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
