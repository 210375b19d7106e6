//! The keys of a table, to tell one that comes again.

use std::collections::{BTreeMap, HashSet};

use crate::table::Cell;

/// Keys that were seen. Numbers are kept as stretches without a gap, as most tables number their rows: a few bytes for any
/// number of rows then, and 50 bytes a row where keys are random.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// First and last of each stretch.
    numbers: BTreeMap<i64, i64>,
    texts: HashSet<String>,
}

impl Keys {
    /// Whether a key was not seen before; no value is no key.
    pub(super) fn is_new(&mut self, cell: Cell<'_>) -> bool {
        let (Cell::Bare(text) | Cell::Quoted(text)) = cell else {
            return true;
        };
        let text = text.trim();
        let whole = text.strip_suffix(".0").unwrap_or(text);
        match whole.parse() {
            Ok(number) => self.is_new_number(number),
            Err(_) => self.texts.insert(text.to_owned()),
        }
    }

    fn is_new_number(&mut self, number: i64) -> bool {
        let before = self.numbers.range(..=number).next_back();
        let before = before.map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| last >= number) {
            return false;
        }
        let behind = number.checked_add(1);
        let behind = behind.and_then(|next| self.numbers.remove(&next));
        let last = behind.unwrap_or(number);
        match before {
            Some((first, end)) if end.checked_add(1) == Some(number) => {
                self.numbers.insert(first, last);
            }
            _ => {
                self.numbers.insert(number, last);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_new_once() {
        let mut keys = Keys::default();
        let mut seen = HashSet::new();
        // All residues in a stirred order, each met several times.
        for step in 0..4_000_i64 {
            let number = step * 7_919 % 1_009 - 500;
            let text = number.to_string();
            assert_eq!(
                keys.is_new(Cell::Bare(&text)),
                seen.insert(number),
                "{number}"
            );
        }
        assert_eq!(keys.numbers.len(), 1);
        for number in [i64::MAX, i64::MIN] {
            let text = number.to_string();
            assert!(keys.is_new(Cell::Bare(&text)) && !keys.is_new(Cell::Bare(&text)));
        }
        assert!(keys.is_new(Cell::Bare("SNOMED")) && !keys.is_new(Cell::Quoted("SNOMED")));
        assert!(!keys.is_new(Cell::Bare("5.0")) && keys.is_new(Cell::Null));
    }
}
