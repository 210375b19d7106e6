//! JSON of which texts are read: not every escape that JSON has stands for a character of text.

use serde_json::Value as Json;

use super::error::{CatalogError, Result};
use crate::pg_input::json_levels;

/// The value of a JSON text; `None` for what is no JSON.
///
/// # Errors
/// 54001 for what nests too deep.
pub(super) fn parsed(text: &str) -> Result<Option<Json>> {
    json_levels(text).map_err(|error| CatalogError::of(&error))?;
    Ok(serde_json::from_str(text).ok())
}

/// The value of a JSON text of which strings or keys are read; `None` for what is no JSON.
///
/// # Errors
/// As [`parsed`]; 22P05 for the character of code 0, 22P02 for half a pair of surrogates.
pub(super) fn read(text: &str) -> Result<Option<Json>> {
    let parsed = parsed(text)?;
    if !text.contains("\\u") {
        return Ok(parsed);
    }
    match parsed {
        Some(json) if has_zero(&json) => Err(CatalogError::new(
            "22P05",
            "unsupported Unicode escape sequence",
        )
        .detail("\\u0000 cannot be converted to text.")),
        None if is_json_without_surrogates(text) => Err(CatalogError::new(
            "22P02",
            "invalid input syntax for type json",
        )
        .detail("Unicode low surrogate must follow a high surrogate.")),
        parsed => Ok(parsed),
    }
}

/// Whether a string or key holds the character of code 0.
fn has_zero(json: &Json) -> bool {
    match json {
        Json::String(text) => text.contains('\0'),
        Json::Array(items) => items.iter().any(has_zero),
        Json::Object(fields) => fields
            .iter()
            .any(|(key, value)| key.contains('\0') || has_zero(value)),
        _ => false,
    }
}

/// Whether surrogates are what is wrong: the text is JSON with other characters in their place.
fn is_json_without_surrogates(text: &str) -> bool {
    let mut plain = text.to_owned();
    for digit in ["d", "D"] {
        for low in "89abcdefABCDEF".chars() {
            plain = plain.replace(&format!("\\u{digit}{low}"), "\\u00");
        }
    }
    serde_json::from_str::<Json>(&plain).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn escapes_that_are_no_text_are_refused() {
        for (text, code) in [
            (r#""\u0000""#, "22P05"),
            (r#"{"a": [1, "x\u0000"]}"#, "22P05"),
            (r#"{"\u0000": 1}"#, "22P05"),
            (r#"["\ud800"]"#, "22P02"),
            (r#"["\uDC00x"]"#, "22P02"),
        ] {
            assert_eq!(read(text).unwrap_err().sqlstate, code, "{text}");
        }
        for text in [r#""\\u0000""#, r#""\ud83d\ude00\u00e9""#, "[1]"] {
            assert!(read(text).unwrap().is_some(), "{text}");
        }
        assert!(read(r#"{"\u0041"#).unwrap().is_none());
    }
}
