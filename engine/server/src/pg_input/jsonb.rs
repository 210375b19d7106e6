//! jsonb from its text, as PostgreSQL prints it again: keys once, shorter ones first, and no space of the writer's.

mod key;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::decimal;
use crate::sqlstate::ServerError;

pub(crate) use key::key;

/// The text of a jsonb value.
///
/// # Errors
/// 22P02 for what is no JSON, or nested too deep; 22P05 for the character of code 0.
pub(super) fn canonical(text: &str) -> Result<String, ServerError> {
    // From here on the text is known to be JSON of bounded depth.
    super::text::json(text)?;
    let mut scanner = Scanner { rest: text };
    let mut out = String::with_capacity(text.len());
    scanner.value(&mut out)?;
    Ok(out)
}

/// What is left of a text that is known to be JSON.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start();
        self.rest.bytes().next()
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Takes a byte when it comes next.
    fn accept(&mut self, byte: u8) -> bool {
        let comes = self.peek() == Some(byte);
        if comes {
            self.take(1);
        }
        comes
    }

    /// Appends the next value as jsonb prints it.
    fn value(&mut self, out: &mut String) -> Result<(), ServerError> {
        match self.peek() {
            Some(b'{') => self.object(out),
            Some(b'[') => self.array(out),
            Some(b'"') => {
                let text = self.text()?;
                string(&text, out)
            }
            Some(b'-' | b'0'..=b'9') => {
                out.push_str(&number(self.number())?);
                Ok(())
            }
            _ => {
                out.push_str(self.word());
                Ok(())
            }
        }
    }

    /// Takes the number that comes next, as it is written.
    fn number(&mut self) -> &'a str {
        let ends = |c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E');
        self.take(self.rest.find(ends).unwrap_or(self.rest.len()))
    }

    /// Takes the word that comes next.
    fn word(&mut self) -> &'a str {
        let end = self.rest.find(|c: char| !c.is_ascii_lowercase());
        self.take(end.unwrap_or(self.rest.len()))
    }

    fn array(&mut self, out: &mut String) -> Result<(), ServerError> {
        self.take(1);
        out.push('[');
        let mut first = true;
        while !self.accept(b']') {
            if !first {
                self.accept(b',');
                out.push_str(", ");
            }
            first = false;
            self.value(out)?;
        }
        out.push(']');
        Ok(())
    }

    fn object(&mut self, out: &mut String) -> Result<(), ServerError> {
        self.take(1);
        // Of several members with one key the last counts; shorter keys come first, then by their bytes.
        let mut members: BTreeMap<(usize, String), String> = BTreeMap::new();
        while !self.accept(b'}') {
            self.accept(b',');
            self.peek();
            let key = self.text()?;
            self.accept(b':');
            let mut value = String::new();
            self.value(&mut value)?;
            members.insert((key.len(), key), value);
        }
        out.push('{');
        for (at, ((_, key), value)) in members.iter().enumerate() {
            out.push_str(if at > 0 { ", " } else { "" });
            string(key, out)?;
            out.push_str(": ");
            out.push_str(value);
        }
        out.push('}');
        Ok(())
    }

    /// Takes the string that comes next.
    fn text(&mut self) -> Result<String, ServerError> {
        let mut escaped = true;
        let end = self.rest.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let raw = self.take(end.map_or(self.rest.len(), |end| end + 1));
        serde_json::from_str(raw).map_err(|error| {
            ServerError::new("22P02", "invalid input syntax for type json")
                .detail(error.to_string())
        })
    }
}

fn string(text: &str, out: &mut String) -> Result<(), ServerError> {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => {
                return Err(
                    ServerError::new("22P05", "unsupported Unicode escape sequence")
                        .detail("\\u0000 cannot be converted to text."),
                );
            }
            c if u32::from(c) < 0x20 => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    Ok(())
}

/// A number without its exponent; zero has no sign.
fn number(raw: &str) -> Result<String, ServerError> {
    let plain = decimal::plain(raw)?;
    let zero = plain.bytes().all(|byte| matches!(byte, b'-' | b'.' | b'0'));
    Ok(match plain.strip_prefix('-').filter(|_| zero) {
        Some(unsigned) => unsigned.to_owned(),
        None => plain,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_are_printed_as_postgresql_prints_them() {
        let table = [
            (
                " {\"bb\":1,\"a\" :[ ],\"bb\":{}} ",
                "{\"a\": [], \"bb\": {}}",
            ),
            ("[1.50,1e3,-0.0,-2E-2]", "[1.50, 1000, 0.0, -0.02]"),
            ("\"\\u00e9\\/\\t\\u0001\"", "\"é/\\t\\u0001\""),
            ("null", "null"),
        ];
        for (text, printed) in table {
            assert_eq!(canonical(text).unwrap(), printed);
            assert_eq!(canonical(printed).unwrap(), printed);
        }
        for (text, code) in [("{", "22P02"), ("\"\\u0000\"", "22P05"), ("1 2", "22P02")] {
            assert_eq!(canonical(text).unwrap_err().code(), code, "{text}");
        }
    }
}
