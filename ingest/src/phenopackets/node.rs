//! Reading JSON of protobuf messages: every value with its path, so that an error says where it stands.
//!
//! Keys are taken in lowerCamelCase or in snake_case, as protobuf's JSON does; `null` and an empty text are no value.
//! A key that a message does not have is refused with the nearest one that it has: `exclude` for `excluded` must not
//! turn a phenotype around. So is a word that an enumeration does not have, and a key that stands in both cases.

use serde_json::Value;

/// What is wrong, with the path.
#[derive(Debug)]
pub(super) struct Fault(pub(super) String);

pub(super) type Result<T> = std::result::Result<T, Fault>;

/// An id with its label.
pub(super) type Term = (String, Option<String>);

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Node<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        let path = String::new();
        Self { value, path }
    }

    /// An error at this value.
    pub(super) fn fault(&self, message: &str) -> Fault {
        match self.path.as_str() {
            "" => Fault(message.to_owned()),
            path => Fault(format!("{path}: {message}")),
        }
    }

    /// The value as JSON text.
    pub(super) fn json(&self) -> String {
        self.value.to_string()
    }

    /// Refuses what is no message with these keys only.
    pub(super) fn only(self, known: &[&str]) -> Result<Self> {
        let Value::Object(members) = self.value else {
            return Err(self.expected("an object"));
        };
        for key in members.keys() {
            if !known.iter().any(|name| *name == key || snake(name) == *key) {
                let near = nearest(key, known);
                let near = near.map(|name| format!("; did you mean \"{name}\"?"));
                let message = format!("unknown field \"{key}\"{}", near.unwrap_or_default());
                return Err(self.fault(&message));
            }
            if *key != snake(key) && members.contains_key(&snake(key)) {
                let other = snake(key);
                let message = format!("\"{key}\" and \"{other}\" are one field; leave one");
                return Err(self.fault(&message));
            }
        }
        Ok(self)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// A member, unless it is absent or null.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key).or_else(|| self.value.get(snake(key)))?;
        let path = match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        (!value.is_null()).then_some(Self { value, path })
    }

    pub(super) fn need(&self, key: &str) -> Result<Self> {
        self.get(key)
            .ok_or_else(|| self.fault(&format!("\"{key}\" is missing")))
    }

    /// A text, unless it is absent or empty.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>> {
        let Some(member) = self.get(key) else {
            return Ok(None);
        };
        match member.value {
            Value::String(text) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            _ => Err(member.expected("text")),
        }
    }

    pub(super) fn need_text(&self, key: &str) -> Result<String> {
        let text = self.text(key)?;
        text.ok_or_else(|| self.fault(&format!("\"{key}\" is missing or empty")))
    }

    pub(super) fn bool(&self, key: &str) -> Result<Option<bool>> {
        let Some(member) = self.get(key) else {
            return Ok(None);
        };
        match member.value {
            Value::Bool(value) => Ok(Some(*value)),
            _ => Err(member.expected("true or false")),
        }
    }

    /// A number as text; numbers of 64 bits stand in quotes.
    pub(super) fn number(&self, key: &str) -> Result<Option<String>> {
        let Some(member) = self.get(key) else {
            return Ok(None);
        };
        let text = match member.value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            _ => return Err(member.expected("a number")),
        };
        match text.parse::<f64>() {
            Ok(_) => Ok(Some(text)),
            Err(_) => Err(member.expected("a number")),
        }
    }

    /// A whole number of 32 bits.
    pub(super) fn integer(&self, key: &str) -> Result<Option<i32>> {
        let Some(text) = self.number(key)? else {
            return Ok(None);
        };
        let parsed = text.parse().map(Some);
        parsed.map_err(|_| self.fault(&format!("\"{key}\" is no whole number of 32 bits")))
    }

    pub(super) fn list(&self, key: &str) -> Result<Vec<Self>> {
        let Some(member) = self.get(key) else {
            return Ok(Vec::new());
        };
        let Value::Array(items) = member.value else {
            return Err(member.expected("a list"));
        };
        let item = |(place, value)| Node {
            value,
            path: format!("{}[{place}]", member.path),
        };
        Ok(items.iter().enumerate().map(item).collect())
    }

    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>> {
        let text = |item: &Node<'a>| match item.value {
            Value::String(text) => Ok(text.clone()),
            _ => Err(item.expected("text")),
        };
        self.list(key)?.iter().map(text).collect()
    }

    /// A word of an enumeration, as the schema has it: by its name in any case, or by its number, which is its place.
    /// `None` when it is absent or empty.
    pub(super) fn word(&self, key: &str, words: &[&'static str]) -> Result<Option<&'static str>> {
        let Some(member) = self.get(key) else {
            return Ok(None);
        };
        match member.value {
            Value::String(text) if text.is_empty() => Ok(None),
            Value::String(text) => {
                let known = words.iter().find(|word| word.eq_ignore_ascii_case(text));
                known.copied().map(Some).ok_or_else(|| {
                    let upper = text.to_ascii_uppercase();
                    let near =
                        nearest(&upper, words).map(|near| format!("; did you mean \"{near}\"?"));
                    member.fault(&format!(
                        "{text:?} is none of {}{}",
                        words.join(", "),
                        near.unwrap_or_default()
                    ))
                })
            }
            Value::Number(number) => {
                let place = number
                    .as_u64()
                    .and_then(|place| usize::try_from(place).ok());
                let known = place.and_then(|place| words.get(place));
                known.copied().map(Some).ok_or_else(|| {
                    let last = words.len().saturating_sub(1);
                    member.fault(&format!(
                        "{number} is the number of no value; 0 to {last} are {}",
                        words.join(", ")
                    ))
                })
            }
            _ => Err(member.expected("a word of an enumeration")),
        }
    }

    /// Members of a map of texts.
    pub(super) fn map(&self, key: &str) -> Result<Vec<(String, String)>> {
        let Some(member) = self.get(key) else {
            return Ok(Vec::new());
        };
        let Value::Object(members) = member.value else {
            return Err(member.expected("an object"));
        };
        let pair = |(key, value): (&String, &Value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            _ => Err(member.fault(&format!("the value of {key:?} is no text"))),
        };
        members.iter().map(pair).collect()
    }

    /// An ontology class.
    pub(super) fn term(&self, key: &str) -> Result<Option<Term>> {
        match self.get(key) {
            Some(member) => member.as_term().map(Some),
            None => Ok(None),
        }
    }

    /// This value as an ontology class.
    pub(super) fn as_term(&self) -> Result<Term> {
        let term = self.clone().only(&["id", "label"])?;
        Ok((term.need_text("id")?, term.text("label")?))
    }

    /// Ids and labels of a list of ontology classes; labels of none are empty.
    pub(super) fn terms(&self, key: &str) -> Result<(Vec<String>, Vec<String>)> {
        let terms: Result<Vec<Term>> = self.list(key)?.iter().map(Node::as_term).collect();
        let label = |(id, label): Term| (id, label.unwrap_or_default());
        Ok(terms?.into_iter().map(label).unzip())
    }

    fn expected(&self, what: &str) -> Fault {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.fault(&format!("expected {what}, found {found}"))
    }
}

/// `phenotypicFeatures` as `phenotypic_features`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    genokura_core::contig::suggest(name, known)
}
