//! Lists of names as one text constant, `{"S1","S2"}`.
//!
//! Whoever plans a statement prints its expressions again and again to compare and to name them, and prints an array
//! item by item. The server therefore writes a long cohort of a function of `gt` as a text, which is copied as it
//! stands; functions and rules read it here, once for all batches of a statement.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use datafusion::arrow::array::{ArrayRef, StringArray};
use genokura_core::codec::counted::CohortId;

use crate::error::{Error, Result};

/// The text of a list.
pub fn written<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::from("{");
    for (place, name) in names.into_iter().enumerate() {
        text.push_str(if place == 0 { "\"" } else { ",\"" });
        for c in name.chars() {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
    }
    text.push('}');
    text
}

/// A list that was read.
#[derive(Debug)]
pub(crate) struct NameList {
    text: String,
    pub(crate) names: ArrayRef,
    pub(crate) id: CohortId,
}

/// Lists that are kept read.
const KEPT: usize = 16;
/// Bytes of the text of a list that is kept.
const KEPT_BYTES: usize = 8 << 20;

static READ: LazyLock<Mutex<VecDeque<Arc<NameList>>>> = LazyLock::new(Mutex::default);

/// Reads the text of a list.
///
/// # Errors
/// When the text is none that [`written`] gives.
pub(crate) fn read(text: &str) -> Result<Arc<NameList>> {
    let kept = || READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = kept().iter().find(|list| list.text == text) {
        return Ok(Arc::clone(found));
    }
    let names = parse(text).ok_or(Error::NameList)?;
    let list = Arc::new(NameList {
        text: text.to_owned(),
        id: CohortId::of(names.iter().map(String::as_str)),
        names: Arc::new(StringArray::from(names)),
    });
    if text.len() <= KEPT_BYTES {
        let mut kept = kept();
        kept.truncate(KEPT - 1);
        kept.push_front(Arc::clone(&list));
    }
    Ok(list)
}

fn parse(text: &str) -> Option<Vec<String>> {
    let body = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut names = Vec::new();
    let mut chars = body.chars().peekable();
    while chars.peek().is_some() {
        if !names.is_empty() && chars.next()? != ',' {
            return None;
        }
        if chars.next()? != '"' {
            return None;
        }
        let mut name = String::new();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => name.push(chars.next()?),
                c => name.push(c),
            }
        }
        names.push(name);
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use datafusion::arrow::array::AsArray as _;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(names in prop::collection::vec(".*", 0..9)) {
            let text = written(names.iter().map(String::as_str));
            let list = read(&text).unwrap();
            let read: Vec<&str> = list.names.as_string::<i32>().iter().flatten().collect();
            prop_assert_eq!(read, names);
        }
    }

    #[test]
    fn the_text_is_that_of_an_array() {
        assert_eq!(written(["S1", "a\"b\\", ""]), r#"{"S1","a\"b\\",""}"#);
        assert_eq!(written([]), "{}");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "S1",
            "{S1}",
            "{\"S1\"",
            "{\"S1\",}",
            "{\"S1\"\"S2\"}",
            "{,\"S1\"}",
        ] {
            assert!(matches!(read(text), Err(Error::NameList)), "{text}");
        }
    }
}
