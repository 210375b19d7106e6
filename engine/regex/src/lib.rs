//! PostgreSQL's regular expressions: its syntax, its matches, its errors.
//!
//! A pattern is read as PostgreSQL reads it and matches what it matches there: of the matches that begin first the
//! longest, or the shortest where the pattern prefers that; and the groups where its rules put them. An automaton tells
//! where a match is, in time that grows with the text alone; the groups are told by taking the match apart.
//!
//! ```
//! use genokura_regex::{Flags, Regex};
//! let regex = Regex::new("(a|ab)(c|bcd)", Flags::default()).unwrap();
//! let found = genokura_regex::first_match(&regex, "abcd", &|| false).unwrap();
//! assert_eq!(found, Some(vec![Some("a"), Some("bcd")]));
//! ```

mod apply;
mod classes;
mod dfa;
mod error;
mod exec;
mod flags;
mod lex;
mod nfa;
mod parse;
mod regex;
mod rust;
mod sets;
mod tree;

pub use apply::{
    Instance, MOST_BYTES, Place, Replacement, count, each_match, each_part, first_match, instance,
    matches, replace, replaced_bytes, split, substring,
};
pub use error::Error;
pub use flags::Flags;
pub use regex::{Matcher, Regex};
