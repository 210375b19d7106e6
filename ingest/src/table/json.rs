//! JSON: an array of objects, or objects one after the other (JSON lines).
//!
//! NULL: `null` and an absent key. Columns are all keys in order of first appearance. A string is
//! text unless all strings of the column are dates or timestamps; a nested object or array is kept as
//! its JSON text. A key twice in one object is an error: one of its values would be lost. The objects are cut out of the
//! stream one by one, so that memory holds one.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufRead, BufReader, Read};

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::delimited::{failed, line_error};
use super::reader::Rows;
use super::types::Cell;
use crate::error::Result;

/// Longest object, in bytes.
const OBJECT_BYTES_MAX: usize = 64 << 20;

/// A JSON value whose objects have each key once, at any depth.
pub(crate) struct Strict(pub(crate) Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> std::result::Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                let message = format!("key {key:?} stands twice in one object; leave one");
                return Err(de::Error::custom(message));
            }
            let Strict(value) = members.next_value()?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// A JSON input.
pub(crate) struct JsonRows<R> {
    input: BufReader<R>,
    line: u64,
    headers: Vec<String>,
    places: HashMap<String, usize>,
    cells: Vec<Value>,
    texts: Vec<String>,
    object: Vec<u8>,
    in_array: bool,
    begun: bool,
    ended: bool,
}

impl<R: Read> JsonRows<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(1 << 18, input),
            line: 1,
            headers: Vec::new(),
            places: HashMap::new(),
            cells: Vec::new(),
            texts: Vec::new(),
            object: Vec::new(),
            in_array: false,
            begun: false,
            ended: false,
        }
    }

    /// The next byte that is no white space, not taken; counts lines.
    fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            let Some(&byte) = self.input.fill_buf().map_err(failed)?.first() else {
                return Ok(None);
            };
            match byte {
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' | 0xef | 0xbb | 0xbf => {}
                _ => return Ok(Some(byte)),
            }
            self.input.consume(1);
        }
    }

    /// Goes to the first byte of the next object; false at the end.
    fn seek_object(&mut self) -> Result<bool> {
        while let Some(byte) = self.peek()? {
            match byte {
                b'{' if !self.ended => return Ok(true),
                b'[' if !self.begun => self.in_array = true,
                b',' if self.in_array && !self.ended => {}
                b']' if self.in_array && !self.ended => self.ended = true,
                _ => return Err(self.refuse("expected an array of objects or one object per line")),
            }
            self.begun = true;
            self.input.consume(1);
        }
        if self.in_array && !self.ended {
            return Err(self.refuse("the array is not closed; is the file cut off?"));
        }
        Ok(false)
    }

    fn refuse(&self, message: &str) -> crate::Error {
        line_error(self.line, "json", message)
    }

    /// Copies one object to `self.object`; strings and nesting decide where it ends.
    fn take_object(&mut self) -> Result<()> {
        self.object.clear();
        let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
        loop {
            let buffer = self.input.fill_buf().map_err(failed)?;
            if buffer.is_empty() || self.object.len() > OBJECT_BYTES_MAX {
                return Err(self.refuse("the object is not closed; is the file cut off?"));
            }
            let mut used = 0;
            for &byte in buffer {
                used += 1;
                self.line += u64::from(byte == b'\n');
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if in_string => escaped = true,
                    b'"' => in_string = !in_string,
                    b'{' | b'[' if !in_string => depth += 1,
                    b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
                    _ => continue,
                }
                if depth == 0 {
                    break;
                }
            }
            self.object.extend_from_slice(&buffer[..used]);
            self.input.consume(used);
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn store(&mut self, key: String, value: Value) {
        let next = self.places.len();
        let place = *self.places.entry(key).or_insert_with_key(|key| {
            self.headers.push(key.clone());
            next
        });
        if place >= self.cells.len() {
            self.cells.resize(place + 1, Value::Null);
            self.texts.resize(place + 1, String::new());
        }
        self.texts[place].clear();
        if !matches!(value, Value::String(_) | Value::Null) {
            self.texts[place] = value.to_string();
        }
        self.cells[place] = value;
    }
}

impl<R: Read> JsonRows<R> {
    /// Goes on to the next object, whole; gives the line where it begins, or `None` at the end.
    ///
    /// # Errors
    /// [`Error::Line`](crate::Error::Line) for what is no object, is not closed or is too long.
    pub(crate) fn next_object(&mut self) -> Result<Option<u64>> {
        if !self.seek_object()? {
            return Ok(None);
        }
        self.begun = true;
        let line = self.line;
        self.take_object()?;
        Ok(Some(line))
    }

    /// The bytes of the object at hand.
    pub(crate) fn object(&self) -> &[u8] {
        &self.object
    }
}

impl<R: Read> Rows for JsonRows<R> {
    fn next_row(&mut self) -> Result<Option<u64>> {
        let Some(line) = self.next_object()? else {
            return Ok(None);
        };
        self.cells.fill(Value::Null);
        let parsed: Strict = serde_json::from_slice(&self.object)
            .map_err(|e| line_error(line, "json", &format!("the object that begins here: {e}")))?;
        if let Strict(Value::Object(members)) = parsed {
            for (key, value) in members {
                self.store(key, value);
            }
        }
        Ok(Some(line))
    }

    fn headers(&self) -> &[String] {
        &self.headers
    }

    fn cell(&self, column: usize) -> Cell<'_> {
        match (self.cells.get(column), self.texts.get(column)) {
            (None | Some(Value::Null), _) | (_, None) => Cell::Null,
            (Some(Value::String(text)), _) => Cell::Quoted(text),
            (Some(Value::Object(_) | Value::Array(_)), Some(text)) => Cell::Quoted(text),
            (Some(_), Some(text)) => Cell::Bare(text),
        }
    }
}
