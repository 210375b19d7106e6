//! `to_number`: the number that a text shows by a pattern, where PostgreSQL passes over much.

use crate::pg_catalog::error::{CatalogError, Result};

/// A part of a pattern.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// 9, 0, `.` and D.
    Digit,
    Point,
    /// A comma, or G.
    Group,
    /// S, which stands before or behind the digits.
    Sign,
    Minus,
    Plus,
    Both,
    /// L: a currency, of so many characters at most.
    Skip(usize),
    Other,
}

/// The words of a pattern, the longer first.
const WORDS: [(&str, Option<Part>); 15] = [
    ("FM", None),
    ("PR", None),
    ("MI", Some(Part::Minus)),
    ("PL", Some(Part::Plus)),
    ("SG", Some(Part::Both)),
    ("TH", Some(Part::Skip(2))),
    ("9", Some(Part::Digit)),
    ("0", Some(Part::Digit)),
    (".", Some(Part::Point)),
    ("D", Some(Part::Point)),
    (",", Some(Part::Group)),
    ("G", Some(Part::Group)),
    ("S", Some(Part::Sign)),
    ("L", Some(Part::Skip(1))),
    ("B", None),
];

struct Pattern {
    parts: Vec<Part>,
    angled: bool,
    filled: bool,
    /// Digits behind the point.
    decimals: usize,
}

/// The pattern's parts.
fn pattern_of(text: &str) -> Result<Pattern> {
    let mut made = Pattern {
        parts: Vec::new(),
        angled: false,
        filled: true,
        decimals: 0,
    };
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (inner, behind) = quoted.split_once('"').unwrap_or((quoted, ""));
            made.parts.extend(inner.chars().map(|_| Part::Other));
            rest = behind;
            continue;
        }
        let upper = first.to_ascii_uppercase();
        let begins = |word: &str| {
            let start = rest.get(..word.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        if begins("RN") || begins("EEEE") || upper == 'V' {
            let text = format!("the pattern \"{text}\" of to_number");
            return Err(CatalogError::unsupported(text));
        }
        let known = WORDS.iter().find(|(word, _)| begins(word));
        let (length, part) = match known {
            Some((word, part)) => (word.len(), *part),
            None => (first.len_utf8(), Some(Part::Other)),
        };
        made.angled |= begins("PR");
        made.filled &= !begins("FM");
        if part == Some(Part::Digit) && made.parts.contains(&Part::Point) {
            made.decimals += 1;
        }
        made.parts.extend(part);
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(made)
}

/// Digits behind the point that a number by this pattern may have.
pub(crate) fn decimals_of(pattern: &str) -> usize {
    pattern_of(pattern).map_or(0, |pattern| pattern.decimals)
}

/// The number as text, with a blank or a sign before it; a blank alone where there is none.
///
/// # Errors
/// 0A000 for patterns that are not read here.
pub(super) fn number_read(text: &str, pattern: &str) -> Result<String> {
    let pattern = pattern_of(pattern)?;
    let text: Vec<char> = text.chars().collect();
    let mut reader = Reader {
        text: &text,
        at: 0,
        sign: ' ',
        digits: String::new(),
        whole: 0,
        decimals: None,
    };
    for part in &pattern.parts {
        let Some(next) = reader.peek() else { break };
        match part {
            Part::Digit | Part::Point => {
                reader.digit(&pattern, *part);
                reader.at += 1;
            }
            Part::Group if next == ',' && (!reader.is_empty() || pattern.filled) => reader.at += 1,
            Part::Group | Part::Sign => {}
            Part::Minus if next == '-' => reader.take_sign(),
            Part::Plus if next == '+' => reader.take_sign(),
            Part::Both if matches!(next, '+' | '-') => reader.take_sign(),
            Part::Minus | Part::Plus | Part::Both => reader.pass(1),
            Part::Skip(most) => reader.pass(*most),
            Part::Other => reader.at += 1,
        }
    }
    let digits = reader.digits.trim_end_matches('.');
    Ok(format!("{}{digits}", reader.sign))
}

struct Reader<'t> {
    text: &'t [char],
    at: usize,
    sign: char,
    digits: String,
    /// Digits before the point, and behind one that was read.
    whole: usize,
    decimals: Option<usize>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn is_empty(&self) -> bool {
        self.whole + self.decimals.unwrap_or(0) == 0
    }

    fn take_sign(&mut self) {
        self.sign = self.peek().unwrap_or(' ');
        self.at += 1;
    }

    /// Passes over characters that are none of a number.
    fn pass(&mut self, most: usize) {
        for _ in 0..most {
            match self.peek() {
                Some(c) if !"0123456789.,+-".contains(c) => self.at += 1,
                _ => return,
            }
        }
    }

    /// Reads a digit, the point or the sign beside them.
    fn digit(&mut self, pattern: &Pattern, part: Part) {
        let sign_at = pattern.parts.iter().position(|part| *part == Part::Sign);
        let of = |part: &Part| pattern.parts.iter().position(|other| other == part);
        let last_digit = pattern.parts.iter().rposition(|part| *part == Part::Digit);
        // Before the point it leads, unless it is the last of all.
        let leads = sign_at.is_some_and(|at| {
            of(&Part::Point).is_none_or(|point| at < point) && last_digit.is_some_and(|d| at < d)
        });
        if self.peek() == Some(' ') {
            self.at += 1;
        }
        if self.sign == ' ' && part == Part::Digit && self.is_empty() {
            let may_lead = sign_at.is_none() || leads;
            match self.peek() {
                Some('<') if pattern.angled => {
                    self.sign = '-';
                    self.at += 1;
                }
                Some('-' | '+') if may_lead || sign_at.is_some() => self.take_sign(),
                _ => {}
            }
        }
        let mut read = false;
        match self.peek() {
            Some(digit) if digit.is_ascii_digit() => {
                if self.decimals == Some(pattern.decimals) {
                    return;
                }
                self.digits.push(digit);
                match &mut self.decimals {
                    Some(decimals) => *decimals += 1,
                    None => self.whole += 1,
                }
                read = true;
            }
            Some('.') if self.decimals.is_none() && of(&Part::Point).is_some() => {
                self.digits.push('.');
                self.decimals = Some(0);
                read = true;
            }
            _ => {}
        }
        if self.sign != ' ' || self.is_empty() {
            return;
        }
        let trailing = [Part::Minus, Part::Plus, Part::Both];
        if sign_at.is_some() && read {
            if let Some(sign @ ('-' | '+')) = self.text.get(self.at + 1) {
                self.sign = *sign;
                self.at += 1;
            }
        } else if !read
            && trailing.iter().any(|part| of(part).is_some())
            && let Some(sign @ ('-' | '+')) = self.peek()
        {
            self.sign = sign;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_are_read_by_their_pattern() {
        for (text, pattern, number) in [
            ("12,454.8-", "99G999D9S", "-12454.8"),
            ("-34,338,492", "99G999G999", "-34338492"),
            ("$1,234.56", "L9,999.99", " 1234.56"),
            ("12.3", "99", " 12"),
            ("abc", "999", " "),
            ("1 2", "99", " 12"),
            ("<12>", "99PR", "-12"),
            ("5.01-", "FM9.999999MI", "-5.01"),
        ] {
            assert_eq!(number_read(text, pattern).unwrap(), number, "{text}");
        }
    }
}
