//! Patterns that match in the same texts written as the regex crate takes them, for the sake of its speed.

use std::fmt::Write as _;

use crate::parse::Parsed;
use crate::sets::CharSet;
use crate::tree::{Look, Re};

/// Ranges that such a pattern may have in all: each is one more thing to compile.
const MOST_RANGES: usize = 4_000;

struct Writer<'a> {
    parsed: &'a Parsed,
    out: String,
    /// What may still be written.
    left: usize,
}

/// The pattern; `None` where the crate has nothing of the kind, or would have to be large for it.
pub(crate) fn written(parsed: &Parsed) -> Option<String> {
    let mut writer = Writer {
        parsed,
        out: String::new(),
        left: MOST_RANGES,
    };
    writer.re(&parsed.re, false, 1)?;
    Some(writer.out)
}

impl Writer<'_> {
    /// Writes a part; as one thing where something is said of it.
    fn re(&mut self, re: &Re, as_one: bool, times: usize) -> Option<()> {
        let group = |writer: &mut Self, parts: &[std::rc::Rc<Re>], between: &str, opens: bool| {
            if opens {
                writer.out.push_str("(?:");
            }
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    writer.out.push_str(between);
                }
                let is_choice = between.is_empty() && matches!(**part, Re::Either(_));
                writer.re(part, is_choice, times)?;
            }
            if opens {
                writer.out.push(')');
            }
            Some(())
        };
        match re {
            Re::Empty => self.out.push_str("(?:)"),
            Re::Set(set) => {
                let set = usize::try_from(*set).ok();
                let set = set.and_then(|set| self.parsed.sets.get(set))?;
                self.set(set, times)?;
            }
            Re::Look(look) => {
                let look = usize::try_from(*look).ok();
                let written = match look.and_then(|look| self.parsed.looks.get(look))? {
                    Look::TextStart => "^",
                    Look::TextEnd => "$",
                    Look::LineStart => "(?m:^)",
                    Look::LineEnd => "(?m:$)",
                    _ => return None,
                };
                self.out.push_str(written);
            }
            Re::Sequence(parts) => group(self, parts, "", as_one)?,
            Re::Either(parts) => group(self, parts, "|", as_one)?,
            Re::Repeat(part, least, most) => {
                let most_times = usize::try_from(most.unwrap_or(*least).max(1)).ok()?;
                // What is counted itself is one thing in brackets only.
                let in_brackets = matches!(**part, Re::Repeat(..) | Re::Look(_));
                if in_brackets {
                    self.out.push_str("(?:");
                }
                self.re(part, true, times.saturating_mul(most_times))?;
                if in_brackets {
                    self.out.push(')');
                }
                match (least, most) {
                    (0, None) => self.out.push('*'),
                    (1, None) => self.out.push('+'),
                    (0, Some(1)) => self.out.push('?'),
                    (least, None) => write!(self.out, "{{{least},}}").ok()?,
                    (least, Some(most)) => write!(self.out, "{{{least},{most}}}").ok()?,
                }
            }
            Re::Again(..) => return None,
        }
        Some(())
    }

    fn set(&mut self, set: &CharSet, times: usize) -> Option<()> {
        let ranges = set.ranges();
        self.left = self
            .left
            .checked_sub(ranges.len().max(1).saturating_mul(times))?;
        if set.is_all() {
            self.out.push_str("(?s:.)");
            return Some(());
        }
        if let Some(c) = set.single() {
            self.char(c);
            return Some(());
        }
        if ranges.is_empty() {
            self.out.push_str("[^\\x{0}-\\x{10FFFF}]");
            return Some(());
        }
        // What is left out is told where that is shorter.
        let others = set.complement();
        let (sign, ranges) = match others.ranges().len() < ranges.len() {
            true => ("^", others.ranges()),
            false => ("", ranges),
        };
        write!(self.out, "[{sign}").ok()?;
        for &(low, high) in ranges {
            self.bound(low, true);
            if high > low {
                self.out.push('-');
                self.bound(high, false);
            }
        }
        self.out.push(']');
        Some(())
    }

    /// An end of a range; one that is no character is the next that is.
    fn bound(&mut self, code: u32, is_low: bool) {
        let next = if is_low { '\u{E000}' } else { '\u{D7FF}' };
        self.char(char::from_u32(code).unwrap_or(next));
    }

    fn char(&mut self, c: char) {
        if is_special(c) {
            self.out.extend(['\\', c]);
        } else if c.is_alphanumeric() || c.is_ascii_graphic() || c == ' ' {
            self.out.push(c);
        } else {
            let written = write!(self.out, "\\x{{{:X}}}", u32::from(c));
            debug_assert!(written.is_ok());
        }
    }
}

/// Whether a character means something else to the crate, in brackets or out of them. Behind a backslash others may.
fn is_special(c: char) -> bool {
    matches!(
        c,
        '\\' | '.'
            | '+'
            | '*'
            | '?'
            | '('
            | ')'
            | '|'
            | '['
            | ']'
            | '{'
            | '}'
            | '^'
            | '$'
            | '#'
            | '&'
            | '-'
            | '~'
    )
}
