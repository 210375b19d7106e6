//! Constants with escapes, read as PostgreSQL reads them before the tokenizer sees them.
//!
//! ```text
//! E'\303\251'  ─►  E'é'        bytes make characters, which have to be UTF-8
//! U&'d!0061ta' UESCAPE '!'  ─►  E'data'        U&"d\0061ta"  ─►  "data"
//! ```
//! The tokenizer knows neither, and takes code 0. What is written anew is filled up with spaces: whatever stands behind
//! it keeps its place.

use std::borrow::Cow;

use crate::pg_input::utf8;
use crate::sqlstate::ServerError;

/// The text, in which every constant can be read by the tokenizer.
///
/// # Errors
/// 22021 for bytes that are no characters, 42601 and 22025 for escapes that are none.
pub(super) fn read(sql: &str) -> Result<Cow<'_, str>, ServerError> {
    if !sql.contains('\\') && !sql.contains("u&") && !sql.contains("U&") {
        return Ok(Cow::Borrowed(sql));
    }
    let mut scan = Scan { sql, at: 0 };
    let (mut out, mut copied) = (String::new(), 0);
    while let Some((start, constant)) = scan.next_constant() {
        let opening = scan.at;
        let written = match constant {
            Constant::Escaped => scan.escaped()?,
            Constant::Unicode(quote) => scan.unicode(quote)?,
        };
        let Some(Written { text, close }) = written else {
            // As it is, or without an end, which the tokenizer tells.
            scan.at = scan.at.max(opening);
            continue;
        };
        let last_line = |text: &str| {
            text.rsplit('\n')
                .next()
                .map_or(0, |line| line.chars().count())
        };
        let room = last_line(scan.between(start, close)).saturating_sub(last_line(&text));
        out.push_str(scan.between(copied, start));
        out.push_str(&text);
        out.extend(std::iter::repeat_n(' ', room));
        let behind = scan.between(close, scan.at).chars();
        out.extend(behind.map(|c| if c == '\n' { c } else { ' ' }));
        copied = scan.at;
    }
    if copied == 0 {
        return Ok(Cow::Borrowed(sql));
    }
    out.push_str(scan.between(copied, sql.len()));
    Ok(Cow::Owned(out))
}

/// A constant with escapes.
enum Constant {
    /// `E'…'`.
    Escaped,
    /// `U&'…'` and `U&"…"`.
    Unicode(char),
}

/// What takes the place of a constant.
struct Written {
    text: String,
    /// Where its closing quote ends in the text.
    close: usize,
}

/// A text that is read from its front.
struct Scan<'a> {
    sql: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn between(&self, from: usize, to: usize) -> &'a str {
        self.sql.get(from..to).unwrap_or_default()
    }

    fn rest(&self) -> &'a str {
        self.between(self.at, self.sql.len())
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// Takes what stands next, if it is this.
    fn takes(&mut self, text: &str) -> bool {
        let is = self.rest().starts_with(text);
        if is {
            self.at += text.len();
        }
        is
    }

    /// Goes behind the next of these, or to the end.
    fn skip_to(&mut self, text: &str) {
        self.at += self
            .rest()
            .find(text)
            .map_or(self.rest().len(), |at| at + text.len());
    }

    /// 1-based position in characters.
    fn position(&self, at: usize) -> usize {
        self.between(0, at).chars().count() + 1
    }

    /// Goes behind the opening quote of the next constant with escapes; where it starts.
    fn next_constant(&mut self) -> Option<(usize, Constant)> {
        loop {
            let start = self.at;
            match self.peek()? {
                '\'' | '"' => {
                    let quote = self.next()?;
                    // A doubled quote begins the next part.
                    self.skip_to(quote.encode_utf8(&mut [0; 4]));
                }
                '-' if self.takes("--") => self.skip_to("\n"),
                '/' if self.takes("/*") => self.comment(),
                '$' => self.dollars(),
                c if in_word(c) => {
                    let word = self.word();
                    if word.eq_ignore_ascii_case("e") && self.takes("'") {
                        return Some((start, Constant::Escaped));
                    }
                    if word.eq_ignore_ascii_case("u") && self.takes("&'") {
                        return Some((start, Constant::Unicode('\'')));
                    }
                    if word.eq_ignore_ascii_case("u") && self.takes("&\"") {
                        return Some((start, Constant::Unicode('"')));
                    }
                }
                _ => {
                    self.next();
                }
            }
        }
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !in_word(c) && c != '$');
        let word = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
        self.at += word.len();
        word
    }

    /// A comment may hold comments.
    fn comment(&mut self) {
        let mut depth = 1;
        while depth > 0 && self.at < self.sql.len() {
            if self.takes("/*") {
                depth += 1;
            } else if self.takes("*/") {
                depth -= 1;
            } else {
                self.next();
            }
        }
    }

    /// `$tag$…$tag$`; a lone dollar is none.
    fn dollars(&mut self) {
        let rest = self.rest();
        let tag = rest.get(1..).and_then(|behind| {
            let end = behind.find(|c: char| !in_word(c))?;
            let sound =
                behind.get(end..)?.starts_with('$') && !behind.starts_with(char::is_numeric);
            sound.then(|| rest.get(..end + 2)).flatten()
        });
        match tag {
            Some(tag) => {
                self.at += tag.len();
                self.skip_to(tag);
            }
            None => self.at += 1,
        }
    }

    /// `E'…'` from behind its quote; None when the tokenizer reads the same.
    fn escaped(&mut self) -> Result<Option<Written>, ServerError> {
        let (mut value, mut text) = (Vec::new(), b"E'".to_vec());
        let (mut anew, mut first) = (false, None);
        loop {
            let from = self.at;
            let next = self.next();
            if first.is_some() && !(next == Some('\\') && self.rest().starts_with(['u', 'U'])) {
                return Err(self.no_pair(from));
            }
            let escape = match next {
                None => return Ok(None),
                Some('\'') if !self.takes("'") => break,
                Some('\'') => Escape::Char('\''),
                Some('\\') => self.escape(from, &mut first)?,
                Some(c) => Escape::Char(c),
            };
            let source = self.between(from, self.at).as_bytes();
            match escape {
                Escape::Byte(byte) if byte.is_ascii() => {
                    value.push(byte);
                    text.extend(source);
                }
                Escape::Byte(byte) => {
                    anew = true;
                    value.push(byte);
                    text.push(byte);
                }
                Escape::Char(c) => {
                    value.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
                    text.extend(source);
                }
                Escape::Half => {}
                Escape::Pair(c) => {
                    anew = true;
                    let mut bytes = [0; 4];
                    let bytes = c.encode_utf8(&mut bytes).as_bytes();
                    value.extend(bytes);
                    text.extend(bytes);
                }
            }
        }
        text.push(b'\'');
        utf8(&value)?;
        let close = self.at;
        let text = utf8(&text)?.to_owned();
        Ok(anew.then_some(Written { text, close }))
    }

    /// What stands behind a backslash of `E'…'`, which is at `from`. A first half of a pair waits for the second.
    fn escape(&mut self, from: usize, first: &mut Option<u32>) -> Result<Escape, ServerError> {
        let Some(kind) = self.next() else {
            return Ok(Escape::Half);
        };
        let wanted = match kind {
            'u' => 4,
            'U' => 8,
            'x' if self.peek().is_some_and(|c| c.is_ascii_hexdigit()) => {
                return Ok(Escape::Byte(self.byte(0, 16)));
            }
            '0'..='7' => {
                let digit = kind.to_digit(8).unwrap_or(0);
                return Ok(Escape::Byte(self.byte(digit, 8)));
            }
            'b' => return Ok(Escape::Char('\u{8}')),
            'f' => return Ok(Escape::Char('\u{c}')),
            'n' => return Ok(Escape::Char('\n')),
            'r' => return Ok(Escape::Char('\r')),
            't' => return Ok(Escape::Char('\t')),
            other => return Ok(Escape::Char(other)),
        };
        let Some(code) = self.code(wanted) else {
            let error = ServerError::new("22025", "invalid Unicode escape");
            let error = error.at_position(Some(self.position(from)));
            return Err(error.hint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX."));
        };
        match (first.take(), char::from_u32(code)) {
            (None, Some(c)) if c != '\0' => Ok(Escape::Char(c)),
            (None, None) if is_first(code) => {
                *first = Some(code);
                Ok(Escape::Half)
            }
            (Some(high), None) if is_second(code) => match pair(high, code) {
                Some(c) => Ok(Escape::Pair(c)),
                None => Err(self.no_pair(from)),
            },
            (None, _) if !is_second(code) => {
                Err(self.near("invalid Unicode escape value", from, self.at))
            }
            _ => Err(self.near("invalid Unicode surrogate pair", from, self.at)),
        }
    }

    /// A byte of a digit that was read and at most two more.
    fn byte(&mut self, first: u32, base: u32) -> u8 {
        let mut value = first;
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(base)) else {
                break;
            };
            value = value * base + digit;
            self.at += 1;
        }
        value.to_le_bytes()[0]
    }

    /// A number of so many digits to the base of 16.
    fn code(&mut self, digits: usize) -> Option<u32> {
        let text = self.rest().get(..digits)?;
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += digits;
        u32::from_str_radix(text, 16).ok()
    }

    /// 42601 at the character that no second half of a pair begins with.
    fn no_pair(&self, at: usize) -> ServerError {
        let next = self.between(at, self.sql.len()).chars().next();
        let end = at + next.map_or(0, char::len_utf8);
        self.near("invalid Unicode surrogate pair", at, end)
    }

    fn near(&self, text: &str, from: usize, to: usize) -> ServerError {
        let text = match self.between(from, to) {
            "" => format!("{text} at end of input"),
            here => format!("{text} at or near \"{here}\""),
        };
        ServerError::syntax(text, Some(self.position(from)))
    }

    /// `U&'…'` and `U&"…"` from behind the quote, with UESCAPE; None when the tokenizer reads the same.
    fn unicode(&mut self, quote: char) -> Result<Option<Written>, ServerError> {
        let start = self.position(self.at);
        let mut content = String::new();
        loop {
            match self.next() {
                None => return Ok(None),
                Some(c) if c != quote => content.push(c),
                Some(_) if self.peek() == Some(quote) => {
                    content.push(quote);
                    self.next();
                }
                Some(_) => break,
            }
        }
        let close = self.at;
        let sign = self.escape_sign()?;
        let (value, has_pairs) = unescaped(&content, sign.unwrap_or('\\'), start)?;
        if quote == '"' {
            let text = format!("\"{}\"", value.replace('"', "\"\""));
            return Ok(Some(Written { text, close }));
        }
        if sign.is_none() && !has_pairs {
            return Ok(None);
        }
        let text = value.replace('\\', "\\\\").replace('\'', "''");
        // A line break of an escape must not become one of the text.
        let text = match value.matches('\n').count() == content.matches('\n').count() {
            true => text,
            false => text.replace('\n', "\\n"),
        };
        let text = format!("E'{text}'");
        Ok(Some(Written { text, close }))
    }

    /// The sign of UESCAPE, where it stands next.
    fn escape_sign(&mut self) -> Result<Option<char>, ServerError> {
        let before = self.at;
        self.spaces();
        if !self.word().eq_ignore_ascii_case("uescape") {
            self.at = before;
            return Ok(None);
        }
        self.spaces();
        let from = self.at;
        if !self.takes("'") {
            self.word();
            let text = "UESCAPE must be followed by a simple string literal";
            return Err(self.near(text, from, self.at));
        }
        let sign = self.next();
        let taken = |c: char| c.is_ascii_hexdigit() || c.is_whitespace() || "+'\"".contains(c);
        match sign.filter(|sign| !taken(*sign)) {
            Some(sign) if self.takes("'") => Ok(Some(sign)),
            _ => {
                self.skip_to("'");
                let text = "invalid Unicode escape character";
                Err(self.near(text, from, self.at))
            }
        }
    }

    fn spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }
}

/// What an escape of `E'…'` stands for.
enum Escape {
    /// A byte, which may be a part of a character.
    Byte(u8),
    /// A character that the tokenizer reads, too.
    Char(char),
    /// The first half of a pair of surrogates.
    Half,
    /// The character of a pair.
    Pair(char),
}

/// The value of `U&'…'`, whose content starts at this position, and whether pairs of surrogates are in it.
fn unescaped(content: &str, sign: char, start: usize) -> Result<(String, bool), ServerError> {
    let chars: Vec<char> = content.chars().collect();
    let digits = |from: usize, many: usize| {
        let digits: String = chars.get(from..from + many)?.iter().collect();
        let sound = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        sound
            .then(|| u32::from_str_radix(&digits, 16).ok())
            .flatten()
    };
    let error = |text: &str, at: usize| ServerError::syntax(text, Some(start + at));
    let no_pair = |at: usize| error("invalid Unicode surrogate pair", at);
    let (mut value, mut has_pairs) = (String::new(), false);
    let (mut at, mut first) = (0, None);
    while let Some(c) = chars.get(at).copied() {
        if c != sign || chars.get(at + 1) == Some(&sign) {
            if first.is_some() {
                return Err(no_pair(at));
            }
            value.push(c);
            at += if c == sign { 2 } else { 1 };
            continue;
        }
        let plus = chars.get(at + 1) == Some(&'+');
        let (skip, many) = if plus { (2, 6) } else { (1, 4) };
        let Some(code) = digits(at + skip, many) else {
            let error = error("invalid Unicode escape", at);
            return Err(error.hint("Unicode escapes must be \\XXXX or \\+XXXXXX."));
        };
        match (first.take(), char::from_u32(code)) {
            (_, Some('\0')) => return Err(error("invalid Unicode escape value", at)),
            (None, Some(c)) => value.push(c),
            (None, None) if is_first(code) => first = Some(code),
            (Some(high), None) if is_second(code) => {
                has_pairs = true;
                value.push(pair(high, code).ok_or_else(|| no_pair(at))?);
            }
            (_, None) if code > 0x10_ffff => {
                return Err(error("invalid Unicode escape value", at));
            }
            _ => return Err(no_pair(at)),
        }
        at += skip + many;
    }
    match first {
        Some(_) => Err(no_pair(at)),
        None => Ok((value, has_pairs)),
    }
}

/// Whether a word goes on with it: letters, digits and what is not ASCII.
fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

fn is_first(code: u32) -> bool {
    (0xd800..0xdc00).contains(&code)
}

fn is_second(code: u32) -> bool {
    (0xdc00..0xe000).contains(&code)
}

/// The character of two halves.
fn pair(first: u32, second: u32) -> Option<char> {
    char::from_u32(0x1_0000 + ((first & 0x3ff) << 10) + (second & 0x3ff))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn constants_are_written_as_the_tokenizer_reads_them() {
        let table = [
            (r"select E'\xc3\xa9', 1", "select E'é'       , 1"),
            (r"select e'\303\251a\nb'", r"select E'éa\nb'       "),
            (r"select E'\ud83d\ude00'", "select E'😀'           "),
            (
                r"select U&'d!0061ta!!' UESCAPE '!', 1",
                "select E'data!'                  , 1",
            ),
            (r"select U&'\D83D\DE00'", "select E'😀'          "),
            (
                "select U&\"d\\0061t\" from t",
                "select \"dat\"       from t",
            ),
            (
                "select U&'a!000ab'\nuescape '!'",
                "select E'a\\nb'    \n           ",
            ),
        ];
        for (sql, written) in table {
            assert_eq!(read(sql).unwrap(), written, "{sql}");
        }
        for sql in [
            r"select '\xc3', E'\n\x41\101\u00e9\\', U&'d\0061ta'",
            r"select $$E'\xff'$$, $a$ E'\000' $$ $a$, $1",
            r"/* E'\xff' /* ' */ E'\xff' */ select 1 -- E'\000'",
            "select \"E'\\xff'\", le'\\xff', '''E''\\000'",
            r"select E'\xff",
            r"select E'a''b\'c', 'E\000'",
        ] {
            assert!(matches!(read(sql), Ok(Cow::Borrowed(_))), "{sql}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let table = [
            (r"select E'\000'", "22021", None, ": 0x00"),
            (r"select E'\400'", "22021", None, ": 0x00"),
            (r"select 1, E'a\xff' as x", "22021", None, ": 0xff"),
            (r"select E'\xe9\x41'", "22021", None, ": 0xe9 0x41"),
            (
                r"select E'\u0000'",
                "42601",
                Some(10),
                r#"escape value at or near "\u0000""#,
            ),
            (
                r"select E'\U00110000'",
                "42601",
                Some(10),
                r#"value at or near "\U00110000""#,
            ),
            (
                r"select E'\uD800'",
                "42601",
                Some(16),
                "surrogate pair at or near \"'\"",
            ),
            (
                r"select E'\uDC00'",
                "42601",
                Some(10),
                r#"surrogate pair at or near "\uDC00""#,
            ),
            (
                r"select E'\u12'",
                "22025",
                Some(10),
                "invalid Unicode escape",
            ),
            (
                r"select U&'\0000'",
                "42601",
                Some(11),
                "invalid Unicode escape value",
            ),
            (
                r"select U&'a\+000000'",
                "42601",
                Some(12),
                "invalid Unicode escape value",
            ),
            (
                r"select U&'\+110000'",
                "42601",
                Some(11),
                "invalid Unicode escape value",
            ),
            (
                r"select U&'\D800'",
                "42601",
                Some(16),
                "invalid Unicode surrogate pair",
            ),
            (
                r"select U&'\12'",
                "42601",
                Some(11),
                "invalid Unicode escape",
            ),
            (
                "select U&'a' uescape 1",
                "42601",
                Some(22),
                "by a simple string literal at or near \"1\"",
            ),
            (
                "select U&'a' uescape 'bc'",
                "42601",
                Some(22),
                "escape character at or near \"'bc'\"",
            ),
            (
                "select U&\"\\0000\"",
                "42601",
                Some(11),
                "invalid Unicode escape value",
            ),
        ];
        for (sql, code, position, text) in table {
            let error = read(sql).unwrap_err();
            assert_eq!(error.code(), code, "{sql}");
            assert_eq!(error.position(), position, "{sql}");
            assert!(error.to_string().ends_with(text), "{sql}: {error}");
        }
    }
}
