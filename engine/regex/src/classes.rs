//! Classes of characters, their case, and the names of characters.
//!
//! `classes.txt` is what PostgreSQL says of every character (`testdata/bin/regex-classes.py`).

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::sets::CharSet;

const DIGITS: (u32, u32) = (0x30, 0x39);

/// A class that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Alnum,
    Alpha,
    Ascii,
    Blank,
    Cntrl,
    Digit,
    Graph,
    Lower,
    Print,
    Punct,
    Space,
    Upper,
    Word,
    Xdigit,
}

impl Class {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "alnum" => Self::Alnum,
            "alpha" => Self::Alpha,
            "ascii" => Self::Ascii,
            "blank" => Self::Blank,
            "cntrl" => Self::Cntrl,
            "digit" => Self::Digit,
            "graph" => Self::Graph,
            "lower" => Self::Lower,
            "print" => Self::Print,
            "punct" => Self::Punct,
            "space" => Self::Space,
            "upper" => Self::Upper,
            "word" => Self::Word,
            "xdigit" => Self::Xdigit,
            _ => return None,
        })
    }

    /// Its characters. Where case does not matter, letters of one case are letters.
    pub(crate) fn set(self, insensitive: bool) -> CharSet {
        let listed = |names: &[&str], more: &[(u32, u32)]| {
            let mut set = CharSet::default();
            for name in names {
                if let Some(known) = tables().get(name) {
                    set.extend(known);
                }
            }
            for (low, high) in more {
                set.push(*low, *high);
            }
            set.normalize();
            set
        };
        match self {
            Self::Alnum => listed(&["alpha"], &[DIGITS]),
            Self::Lower | Self::Upper if insensitive => listed(&["alpha"], &[]),
            Self::Alpha => listed(&["alpha"], &[]),
            Self::Ascii => listed(&[], &[(0, 0x7F)]),
            Self::Blank => listed(&[], &[(9, 9), (0x20, 0x20)]),
            Self::Cntrl => listed(&[], &[(0, 0x1F), (0x7F, 0x9F)]),
            Self::Digit => listed(&[], &[DIGITS]),
            Self::Graph => listed(&["alpha", "punct"], &[DIGITS]),
            Self::Lower => listed(&["lower"], &[]),
            // What is seen, and blanks as wide as a character.
            Self::Print => listed(
                &["alpha", "punct"],
                &[
                    DIGITS,
                    (0x20, 0x20),
                    (0x1680, 0x1680),
                    (0x2000, 0x2006),
                    (0x2008, 0x200A),
                    (0x205F, 0x205F),
                    (0x3000, 0x3000),
                ],
            ),
            Self::Punct => listed(&["punct"], &[]),
            Self::Space => listed(&["space"], &[]),
            Self::Upper => listed(&["upper"], &[]),
            Self::Word => listed(&["alpha"], &[DIGITS, (0x5F, 0x5F)]),
            Self::Xdigit => listed(&[], &[DIGITS, (0x41, 0x46), (0x61, 0x66)]),
        }
    }
}

/// Whether a character is one of a word.
pub(crate) fn is_word(c: char) -> bool {
    static WORD: OnceLock<CharSet> = OnceLock::new();
    match c.is_ascii() {
        true => c.is_ascii_alphanumeric() || c == '_',
        false => WORD.get_or_init(|| Class::Word.set(false)).contains(c),
    }
}

fn tables() -> &'static HashMap<&'static str, CharSet> {
    static TABLES: OnceLock<HashMap<&'static str, CharSet>> = OnceLock::new();
    TABLES.get_or_init(|| {
        let lines = include_str!("classes.txt").lines();
        lines.filter_map(table).collect()
    })
}

/// The name and the characters of a line.
fn table(line: &'static str) -> Option<(&'static str, CharSet)> {
    let (name, words) = line.split_once(' ')?;
    let (mut set, mut last) = (CharSet::default(), 0_u32);
    for word in words.split(' ') {
        let (gap, more) = word.split_once('+').unwrap_or((word, "0"));
        let low = last + gap.parse::<u32>().ok()?;
        last = low + more.parse::<u32>().ok()?;
        set.push(low, last);
    }
    Some((name, set))
}

/// The small letter of a letter, or what it is.
pub(crate) fn lower(c: char) -> char {
    if c == '\u{130}' {
        return 'i';
    }
    single(c.to_lowercase(), c)
}

/// The capital letter of a letter, or what it is.
pub(crate) fn upper(c: char) -> char {
    let code = u32::from(c);
    let capital = match code {
        // Those whose capital has two characters have a title letter beside it.
        0x1F80..=0x1FAF if code & 8 == 0 => Some(code + 8),
        0x1FB3 | 0x1FC3 | 0x1FF3 => Some(code + 9),
        _ => None,
    };
    match capital.and_then(char::from_u32) {
        Some(capital) => capital,
        None => single(c.to_uppercase(), c),
    }
}

/// Adds the other cases of the letters of a range.
pub(crate) fn others_of(set: &mut CharSet, low: u32, high: u32) {
    static CASED: OnceLock<Vec<(u32, char)>> = OnceLock::new();
    let cased = CASED.get_or_init(|| {
        let letters = (0..=0x1_FFFF).filter_map(char::from_u32);
        let others = letters.flat_map(|c| [lower(c), upper(c)].map(|other| (c, other)));
        let others = others.filter(|(c, other)| c != other);
        others.map(|(c, other)| (u32::from(c), other)).collect()
    });
    let from = cased.partition_point(|(c, _)| *c < low);
    let inside = cased.iter().skip(from).take_while(|(c, _)| *c <= high);
    for (_, other) in inside {
        set.push_char(*other);
    }
}

fn single(mut mapped: impl Iterator<Item = char>, c: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// The character that stands between `[.` and `.]`, by itself or by its name.
pub(crate) fn element(name: &str) -> Option<char> {
    let mut chars = name.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        return Some(c);
    }
    let found = NAMES.iter().find(|(known, _)| *known == name);
    found.map(|(_, c)| *c)
}

/// Names of characters, as POSIX has them.
const NAMES: [(&str, char); 95] = [
    ("NUL", '\0'),
    ("SOH", '\u{1}'),
    ("STX", '\u{2}'),
    ("ETX", '\u{3}'),
    ("EOT", '\u{4}'),
    ("ENQ", '\u{5}'),
    ("ACK", '\u{6}'),
    ("BEL", '\u{7}'),
    ("alert", '\u{7}'),
    ("BS", '\u{8}'),
    ("backspace", '\u{8}'),
    ("HT", '\t'),
    ("tab", '\t'),
    ("LF", '\n'),
    ("newline", '\n'),
    ("VT", '\u{B}'),
    ("vertical-tab", '\u{B}'),
    ("FF", '\u{C}'),
    ("form-feed", '\u{C}'),
    ("CR", '\r'),
    ("carriage-return", '\r'),
    ("SO", '\u{E}'),
    ("SI", '\u{F}'),
    ("DLE", '\u{10}'),
    ("DC1", '\u{11}'),
    ("DC2", '\u{12}'),
    ("DC3", '\u{13}'),
    ("DC4", '\u{14}'),
    ("NAK", '\u{15}'),
    ("SYN", '\u{16}'),
    ("ETB", '\u{17}'),
    ("CAN", '\u{18}'),
    ("EM", '\u{19}'),
    ("SUB", '\u{1A}'),
    ("ESC", '\u{1B}'),
    ("IS4", '\u{1C}'),
    ("FS", '\u{1C}'),
    ("IS3", '\u{1D}'),
    ("GS", '\u{1D}'),
    ("IS2", '\u{1E}'),
    ("RS", '\u{1E}'),
    ("IS1", '\u{1F}'),
    ("US", '\u{1F}'),
    ("space", ' '),
    ("exclamation-mark", '!'),
    ("quotation-mark", '"'),
    ("number-sign", '#'),
    ("dollar-sign", '$'),
    ("percent-sign", '%'),
    ("ampersand", '&'),
    ("apostrophe", '\''),
    ("left-parenthesis", '('),
    ("right-parenthesis", ')'),
    ("asterisk", '*'),
    ("plus-sign", '+'),
    ("comma", ','),
    ("hyphen", '-'),
    ("hyphen-minus", '-'),
    ("period", '.'),
    ("full-stop", '.'),
    ("slash", '/'),
    ("solidus", '/'),
    ("zero", '0'),
    ("one", '1'),
    ("two", '2'),
    ("three", '3'),
    ("four", '4'),
    ("five", '5'),
    ("six", '6'),
    ("seven", '7'),
    ("eight", '8'),
    ("nine", '9'),
    ("colon", ':'),
    ("semicolon", ';'),
    ("less-than-sign", '<'),
    ("equals-sign", '='),
    ("greater-than-sign", '>'),
    ("question-mark", '?'),
    ("commercial-at", '@'),
    ("left-square-bracket", '['),
    ("backslash", '\\'),
    ("reverse-solidus", '\\'),
    ("right-square-bracket", ']'),
    ("circumflex", '^'),
    ("circumflex-accent", '^'),
    ("underscore", '_'),
    ("low-line", '_'),
    ("grave-accent", '`'),
    ("left-brace", '{'),
    ("left-curly-bracket", '{'),
    ("vertical-line", '|'),
    ("right-brace", '}'),
    ("right-curly-bracket", '}'),
    ("tilde", '~'),
    ("DEL", '\u{7F}'),
];
