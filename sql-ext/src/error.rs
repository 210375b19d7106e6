//! What can go wrong in a function, with the SQLSTATE and the hint that the server shows.

use datafusion::common::DataFusionError;

/// An error of a genomic function. It travels as [`DataFusionError::External`]; the server takes it out by
/// downcast and shows message, [`Error::sqlstate`] and [`Error::hint`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A sample name that the dataset (as far as the session may see it) does not hold.
    #[error("sample \"{name}\" is not in this dataset")]
    UnknownSample {
        /// The name as written in the statement.
        name: String,
        /// The most similar visible name.
        nearest: Option<String>,
    },
    /// A region text that does not parse.
    #[error("{0}")]
    Region(genokura_core::Error),
    /// An argument of the wrong type.
    #[error("{function}: {expected}, not {got}")]
    Argument {
        /// The function.
        function: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        got: String,
    },
    /// A binary value that is not a packed genotype.
    #[error("the value is not a packed genotype: {0}")]
    Genotype(genokura_core::Error),
    /// A packed genotype whose samples nobody holds any more.
    #[error("the samples of a packed genotype are no longer known (directory {0:016x})")]
    DirectoryGone(u64),
    /// A packed genotype that contradicts its directory: our bug.
    #[error("internal error: {0}. Please report it.")]
    Internal(&'static str),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The PostgreSQL code of the error.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::UnknownSample { .. } | Self::Region(_) => "22023",
            Self::Argument { .. } => "42883",
            Self::Genotype(_) => "22P03",
            Self::DirectoryGone(_) => "55000",
            Self::Internal(_) => "XX000",
        }
    }

    /// What to do about it, when there is more to say than the message.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownSample {
                nearest: Some(name),
                ..
            } => Some(format!("Did you mean \"{name}\"?")),
            Self::UnknownSample { nearest: None, .. } => {
                Some("The table samples of the dataset lists the names.".to_owned())
            }
            Self::Region(_) => Some(
                "A region is 'chr22', 'chr22:100', 'chr22:100-200' or 'chr22:100-': 1-based, both \
                 ends included."
                    .to_owned(),
            ),
            Self::Genotype(_) => {
                Some("The gt_ functions take column gt of a dataset's table variants.".to_owned())
            }
            Self::DirectoryGone(_) => {
                Some("Use gt in the statement that reads it from variants.".to_owned())
            }
            Self::Argument { .. } | Self::Internal(_) => None,
        }
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn an_error_is_small() {
        assert!(size_of::<Error>() <= 64, "{}", size_of::<Error>());
    }
}
