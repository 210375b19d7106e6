//! Ontologies that statements of this process use, by a number that is small enough to stand in every row.
//!
//! The planner may make a column of what a subquery gives; a packed ontology of a megabyte would then be copied for each
//! row. The number is a hash of the packed form, so that a release is held once however many statements ask for it. The
//! ones used last are held: [`HELD_MAX`] releases at a time are more than a lake has.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use parking_lot::Mutex;

/// Ontologies that are held at most.
const HELD_MAX: usize = 16;

/// A packed ontology and its number.
type Held = (i64, Arc<[u8]>);

static HELD: Mutex<Vec<Held>> = Mutex::new(Vec::new());

/// Holds a packed ontology; gives its number.
pub(crate) fn hold(packed: Vec<u8>) -> i64 {
    let mut hasher = DefaultHasher::new();
    packed.hash(&mut hasher);
    let mut number = i64::from_ne_bytes(hasher.finish().to_ne_bytes());
    let mut held = HELD.lock();
    while let Some(at) = held.iter().position(|(known, _)| *known == number) {
        if held[at].1[..] == packed[..] {
            let last = held.remove(at);
            held.push(last);
            return number;
        }
        number = number.wrapping_add(1);
    }
    if held.len() >= HELD_MAX {
        held.remove(0);
    }
    held.push((number, packed.into()));
    number
}

/// The packed ontology of a number, if it is still held.
pub(crate) fn held(number: i64) -> Option<Arc<[u8]>> {
    let held = HELD.lock();
    let found = held.iter().find(|(known, _)| *known == number);
    found.map(|(_, packed)| Arc::clone(packed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_ontology_is_held_once_and_the_last_ones_stay() {
        let first = hold(b"one".to_vec());
        assert_eq!(hold(b"one".to_vec()), first);
        for n in 0..HELD_MAX - 1 {
            hold(vec![1, u8::try_from(n).unwrap_or_default()]);
        }
        assert_eq!(held(first).as_deref(), Some(&b"one"[..]));
        hold(b"one more".to_vec());
        assert_eq!(held(first), None);
    }
}
