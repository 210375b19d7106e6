//! Regular expressions as PostgreSQL reads them, compiled once for all who ask for them.

use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use genokura_regex::{Error, Flags, Regex};
use lru::LruCache;
use parking_lot::Mutex;

use crate::pg_catalog::CatalogError;
use crate::sqlstate::ServerError;

/// Patterns that are kept.
const KEPT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(63);
/// The longest of them, in bytes.
const LONGEST_KEPT: usize = 4096;

type Patterns = LruCache<(String, Flags), Arc<Regex>>;

static PATTERNS: LazyLock<Mutex<Patterns>> = LazyLock::new(|| Mutex::new(LruCache::new(KEPT)));

/// A pattern that is ready to be matched.
///
/// # Errors
/// 2201B for what is none.
pub(crate) fn compiled(pattern: &str, flags: Flags) -> Result<Arc<Regex>, Error> {
    // How many matches are asked for is nothing of the pattern.
    let flags = flags.of_pattern();
    let key = (pattern.to_owned(), flags);
    if let Some(known) = PATTERNS.lock().get(&key) {
        return Ok(Arc::clone(known));
    }
    let made = Arc::new(Regex::new(pattern, flags)?);
    if pattern.len() <= LONGEST_KEPT && made.is_small() {
        PATTERNS.lock().put(key, Arc::clone(&made));
    }
    Ok(made)
}

/// The flags of `regexp_replace`, behind which a start may be meant.
///
/// # Errors
/// 22023 for a letter that is none.
pub(crate) fn flags_of_replace(letters: &str) -> Result<Flags, Error> {
    Flags::read(letters).map_err(|error| match letters.starts_with(|c: char| c.is_ascii_digit()) {
        true => Error {
            message: format!("invalid regular expression option: \"{letters}\""),
            hint: Some(
                "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.",
            ),
            ..error
        },
        false => error,
    })
}

/// A place or a number among the arguments of such a function.
///
/// # Errors
/// 22023 for one that is less than it may be.
pub(crate) fn number(name: &str, given: i64, least: i64) -> Result<usize, CatalogError> {
    let fits = usize::try_from(given).ok().filter(|_| given >= least);
    fits.ok_or_else(|| {
        let text = format!("invalid value for parameter \"{name}\": {given}");
        CatalogError::new("22023", text)
    })
}

impl From<Error> for CatalogError {
    fn from(error: Error) -> Self {
        let made = CatalogError::new(error.sqlstate, error.message);
        match error.hint {
            Some(hint) => made.hint(hint),
            None => made,
        }
    }
}

impl From<Error> for ServerError {
    fn from(error: Error) -> Self {
        CatalogError::from(error).into()
    }
}
