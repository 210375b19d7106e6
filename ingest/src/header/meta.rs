//! One `##` line: `##key=text` or `##key=<A=b,C="d, e",F=[g, h]>`, read tolerantly.

use super::repair;

/// One `name=value` of a structured line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// What stands before `=`.
    pub name: String,
    /// The value, unquoted, with `\"` and `\\` resolved.
    pub value: String,
    /// Whether the value stood in quotes.
    pub quoted: bool,
}

/// The right-hand side of a meta line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Plain text after `=` (the whole text after `##` when there is no `=`).
    Text(String),
    /// The attributes of `<…>` in order; `open` when a quote was never closed.
    Structured {
        /// The attributes in order, duplicates kept.
        attributes: Vec<Attribute>,
        /// A quoted value ran to the end of the line.
        open: bool,
    },
}

impl Value {
    /// The value of the first attribute of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes()
            .iter()
            .find(|a| a.name == name)
            .map(|a| a.value.as_str())
    }

    /// The attributes of a structured line; empty for plain text.
    #[must_use]
    pub fn attributes(&self) -> &[Attribute] {
        match self {
            Self::Text(_) => &[],
            Self::Structured { attributes, .. } => attributes,
        }
    }

    /// The text of a plain line.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Structured { .. } => None,
        }
    }

    /// Whether the line had `<…>` with attributes.
    #[must_use]
    pub fn is_structured(&self) -> bool {
        matches!(self, Self::Structured { .. })
    }

    /// Whether a quote was opened and never closed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Structured { open: true, .. })
    }
}

/// A parsed line and the repairs it needed.
pub(super) struct Parsed<'a> {
    pub(super) key: &'a str,
    pub(super) value: Value,
    pub(super) repairs: Vec<(&'static str, String)>,
}

/// Parses a line that begins with `##`. Never fails: what is not understood stays text.
pub(super) fn parse(line: &str) -> Parsed<'_> {
    let body = line.strip_prefix("##").unwrap_or(line);
    let Some((key, right)) = body.split_once('=') else {
        let message = "the line is not ##key=value; kept as text".to_owned();
        let repairs = vec![(repair::NOT_KEY_VALUE, message)];
        return Parsed {
            key: "",
            value: Value::Text(body.to_owned()),
            repairs,
        };
    };
    let trimmed = right.trim_end();
    match trimmed.strip_prefix('<') {
        Some(inner) if begins_attribute(inner) => structured(key, inner),
        _ => Parsed {
            key,
            value: Value::Text(right.to_owned()),
            repairs: Vec::new(),
        },
    }
}

fn structured<'a>(key: &'a str, inner: &str) -> Parsed<'a> {
    let mut repairs = Vec::new();
    let body = inner.strip_suffix('>').unwrap_or(inner);
    if body.len() == inner.len() {
        repairs.push((
            repair::MISSING_BRACKET,
            "the closing \">\" is missing".to_owned(),
        ));
    }
    let mut scanner = Scanner {
        rest: body,
        broken: false,
        open: false,
    };
    let mut attributes: Vec<Attribute> = Vec::new();
    while !scanner.rest.is_empty() {
        scanner.attribute(&mut attributes);
    }
    if scanner.open {
        let message = "a quoted value has no closing quote; it ends with the line".to_owned();
        repairs.push((repair::BROKEN_QUOTES, message));
    } else if scanner.broken {
        let message =
            "a quoted value holds a quote without backslash; kept as it stands".to_owned();
        repairs.push((repair::BROKEN_QUOTES, message));
    }
    Parsed {
        key,
        value: Value::Structured {
            attributes,
            open: scanner.open,
        },
        repairs,
    }
}

/// Whether the text begins with `name=`; names are letters, digits and `_ . -`.
fn begins_attribute(text: &str) -> bool {
    let text = text.trim_start();
    let name = text
        .bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || b"_.-".contains(b))
        .count();
    name > 0 && text.as_bytes().get(name) == Some(&b'=')
}

struct Scanner<'a> {
    rest: &'a str,
    broken: bool,
    open: bool,
}

impl Scanner<'_> {
    /// Takes one attribute and the comma behind it. Text without `name=` belongs to the value
    /// before it, since an unquoted value may hold a comma by mistake.
    fn attribute(&mut self, attributes: &mut Vec<Attribute>) {
        if !begins_attribute(self.rest) {
            return self.stray(attributes);
        }
        let Some((name, right)) = self.rest.split_once('=') else {
            return self.rest = "";
        };
        let name = name.trim().to_owned();
        self.rest = right;
        let quoted = right.starts_with('"');
        let value = if quoted { self.quoted() } else { self.plain() };
        attributes.push(Attribute {
            name,
            value,
            quoted,
        });
    }

    fn stray(&mut self, attributes: &mut Vec<Attribute>) {
        let text = self.plain();
        match attributes.last_mut() {
            Some(last) => {
                last.value.push(',');
                last.value.push_str(&text);
            }
            None => attributes.push(Attribute {
                name: String::new(),
                value: text,
                quoted: false,
            }),
        }
    }

    /// An unquoted value: up to the next comma, or the closing bracket of a `[…]` list.
    fn plain(&mut self) -> String {
        let list = self
            .rest
            .starts_with('[')
            .then(|| self.rest.find(']'))
            .flatten();
        let from = list.unwrap_or(0);
        let stop = self.rest[from..]
            .find(',')
            .map_or(self.rest.len(), |i| from + i);
        let value = self.rest[..stop].to_owned();
        self.rest = self.rest.get(stop + 1..).unwrap_or("");
        value
    }

    /// A quoted value. A quote closes it at the end of the line or before `,name=`; any other bare
    /// quote is part of the value.
    fn quoted(&mut self) -> String {
        let inner = &self.rest[1..];
        let mut value = String::with_capacity(inner.len());
        let mut chars = inner.char_indices().peekable();
        while let Some((i, c)) = chars.next() {
            match c {
                '\\' => match chars.next_if(|&(_, next)| next == '"' || next == '\\') {
                    Some((_, escaped)) => value.push(escaped),
                    None => value.push('\\'),
                },
                '"' if closes(&inner[i + 1..]) => {
                    let after = inner[i + 1..].trim_start();
                    self.rest = after.strip_prefix(',').unwrap_or(after);
                    return value;
                }
                '"' => {
                    self.broken = true;
                    value.push('"');
                }
                _ => value.push(c),
            }
        }
        self.open = true;
        self.rest = "";
        value
    }
}

/// Whether a quote followed by this text ends the value.
fn closes(after: &str) -> bool {
    let after = after.trim_start();
    after.is_empty()
        || after
            .strip_prefix(',')
            .is_some_and(|next| next.is_empty() || begins_attribute(next))
}
