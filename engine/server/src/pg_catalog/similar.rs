//! Patterns of SIMILAR TO, and of the `substring` that knows them, as regular expressions.
//!
//! ```text
//! similar_to_escape('a%|b_', '\')   ─►   ^(?:a.*|b.)$
//! substring('foobar', '%#"o_b#"%', '#')   ─►   the group of   ^(?:.*){1,1}?(o.b){1,1}(?:.*)$
//! ```

use super::error::{CatalogError, Result};

/// The escape character that a text says; `None` where it says that there is none.
///
/// # Errors
/// 22025 for more than one character.
pub(crate) fn escape_of(text: &str) -> Result<Option<char>> {
    let mut chars = text.chars();
    let escape = chars.next();
    match chars.next() {
        None => Ok(escape),
        Some(_) => Err(CatalogError::new("22025", "invalid escape string")
            .hint("Escape string must be empty or one character.")),
    }
}

/// PostgreSQL's regular expression of such a pattern. The part before a marked one takes as little as it can.
///
/// # Errors
/// 2200C for more than two marks.
pub(crate) fn similar_to_escape(pattern: &str, escape: Option<char>) -> Result<String> {
    let mut out = String::from("^(?:");
    let mut chars = pattern.chars();
    let (mut class, mut marks) = (false, 0);
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            match chars.next() {
                Some('"') if !class => {
                    out.push_str(match marks {
                        0 => "){1,1}?(",
                        1 => "){1,1}(?:",
                        _ => {
                            let text = "SQL regular expression may not contain more than two escape-double-quote separators";
                            return Err(CatalogError::new("2200C", text));
                        }
                    });
                    marks += 1;
                }
                // As in PostgreSQL a letter keeps what it means behind a backslash.
                Some(next) => out.extend(['\\', next]),
                None => {}
            }
            continue;
        }
        match c {
            _ if class => {
                if c == '\\' {
                    out.push('\\');
                }
                out.push(c);
                class = c != ']';
            }
            '[' => {
                out.push(c);
                class = true;
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '\\' | '.' | '^' | '$' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push_str(")$");
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_are_regular_expressions() {
        for (pattern, escape, regex) in [
            ("a%|b_", Some('\\'), "^(?:a.*|b.)$"),
            ("(a.b)[%^]", Some('\\'), "^(?:(?:a\\.b)[%^])$"),
            ("a\\%", Some('\\'), "^(?:a\\%)$"),
            ("a\\%", None, "^(?:a\\\\.*)$"),
            ("%#\"o_b#\"%", Some('#'), "^(?:.*){1,1}?(o.b){1,1}(?:.*)$"),
        ] {
            assert_eq!(similar_to_escape(pattern, escape).unwrap(), regex);
        }
        assert_eq!(
            similar_to_escape("#\"a#\"b#\"", Some('#'))
                .unwrap_err()
                .sqlstate,
            "2200C"
        );
        assert!(escape_of("ab").is_err());
        assert_eq!(escape_of("").unwrap(), None);
    }
}
