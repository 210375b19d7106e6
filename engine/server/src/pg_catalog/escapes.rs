//! Escapes of patterns: `x LIKE 'a!%' ESCAPE '!'` is `x LIKE 'a\%'`.

use datafusion::sql::sqlparser::ast;

use super::error::{CatalogError, Result};
use super::similar::escape_of;
use super::value::Value;

/// The character of patterns that nothing is said of.
pub(crate) const BACKSLASH: &str = r"\";

/// What stands behind ESCAPE: a text, or `None` for NULL.
///
/// # Errors
/// 42883 for what is no text, 0A000 for a parameter.
pub(crate) fn escape_text(said: &ast::Value) -> Result<Option<String>> {
    let other = |ty: &str| {
        let text = format!("function pg_catalog.like_escape(unknown, {ty}) does not exist");
        Err(CatalogError::new("42883", text).hint(crate::sqlstate::NO_FUNCTION))
    };
    match said {
        ast::Value::Null => Ok(None),
        ast::Value::Number(digits, _) if digits.parse::<i32>().is_ok() => other("integer"),
        ast::Value::Number(..) => other("numeric"),
        ast::Value::Boolean(_) => other("boolean"),
        ast::Value::Placeholder(_) => {
            let text = "SIMILAR TO takes an escape character that is a constant here";
            Err(CatalogError::new("0A000", text))
        }
        text => Ok(text.clone().into_string()),
    }
}

/// A pattern of LIKE with the backslash in place of its escape.
///
/// # Errors
/// As [`escape_of`].
pub(crate) fn like_escape(pattern: &str, escape: &str) -> Result<String> {
    let escape = escape_of(escape)?;
    if escape == Some('\\') {
        return Ok(pattern.to_owned());
    }
    let mut written = String::with_capacity(pattern.len() + 1);
    let mut is_escaped = false;
    for character in pattern.chars() {
        if Some(character) == escape && !is_escaped {
            written.push('\\');
            is_escaped = true;
            continue;
        }
        if character == '\\' && !is_escaped {
            written.push('\\');
        }
        written.push(character);
        is_escaped = false;
    }
    Ok(written)
}

/// `like_escape`; `None` for another function.
pub(super) fn call(name: &str, args: &[Value]) -> Result<Option<Value>> {
    let text = |at: usize| args.get(at).and_then(Value::as_str);
    Ok(match (name, text(0)) {
        ("like_escape", Some(pattern)) => {
            let escape = text(1).unwrap_or(BACKSLASH);
            Some(Value::text(like_escape(pattern, escape)?))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_pattern_is_written_with_backslashes() {
        for (pattern, escape, written) in [
            ("a!%b", "!", r"a\%b"),
            ("a!!b", "!", r"a\!b"),
            (r"a\b", "", r"a\\b"),
            (r"a\b", "!", r"a\\b"),
            (r"a!\b", "!", r"a\\b"),
            (r"a\%", r"\", r"a\%"),
            ("a%%", "%", r"a\%"),
            ("a!", "!", r"a\"),
        ] {
            assert_eq!(like_escape(pattern, escape).unwrap(), written, "{pattern}");
        }
        assert_eq!(like_escape("a", "ab").unwrap_err().sqlstate, "22025");
    }
}
