//! Bytes that compare as jsonb values do in PostgreSQL: by kinds, containers by how much they hold and then part by part,
//! numbers by what they are worth.
//!
//! ```text
//! null < texts < numbers < false < true < arrays < objects
//! ```
//! A value that is in nothing counts as an array of it, which is less than an array of one item.

use super::Scanner;
use crate::sqlstate::ServerError;

/// Kinds of values, the least first.
const NULL: u8 = 1;
const TEXT: u8 = 2;
const NUMBER: u8 = 3;
const TRUTH: u8 = 4;
const ARRAY: u8 = 5;
const OBJECT: u8 = 6;

/// Signs of numbers, the least first.
const NEGATIVE: u8 = 1;
const ZERO: u8 = 2;
const POSITIVE: u8 = 3;

/// Behind the last byte of a text or the last digit of a number.
const END: u8 = 0;

/// The key of a jsonb value, whose text is canonical.
///
/// # Errors
/// 22P02 for a text that is no JSON.
pub(crate) fn key(text: &str) -> Result<Vec<u8>, ServerError> {
    crate::pg_input::text::json(text)?;
    let mut scanner = Scanner { rest: text };
    let mut out = Vec::with_capacity(text.len() + 8);
    if !matches!(scanner.peek(), Some(b'{' | b'[')) {
        out.push(ARRAY);
        count(1, &mut out);
        out.push(0);
        scanner.key(&mut out)?;
        return Ok(out);
    }
    scanner.container(true, &mut out)?;
    Ok(out)
}

fn count(number: usize, out: &mut Vec<u8>) {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    out.extend(number.to_be_bytes());
}

fn text(value: &str, out: &mut Vec<u8>) {
    // No text of jsonb has the character of code 0.
    out.extend(value.bytes());
    out.push(END);
}

impl Scanner<'_> {
    fn key(&mut self, out: &mut Vec<u8>) -> Result<(), ServerError> {
        match self.peek() {
            Some(b'{' | b'[') => self.container(false, out),
            Some(b'"') => {
                out.push(TEXT);
                text(&self.text()?, out);
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => {
                out.push(NUMBER);
                number(&super::number(self.number())?, out);
                Ok(())
            }
            _ => {
                out.extend(match self.word() {
                    "true" => &[TRUTH, 1][..],
                    "false" => &[TRUTH, 0],
                    _ => &[NULL],
                });
                Ok(())
            }
        }
    }

    fn container(&mut self, at_top: bool, out: &mut Vec<u8>) -> Result<(), ServerError> {
        let is_object = self.peek() == Some(b'{');
        self.take(1);
        let (kind, end) = match is_object {
            true => (OBJECT, b'}'),
            false => (ARRAY, b']'),
        };
        let mut parts = Vec::new();
        let mut length = 0;
        while !self.accept(end) {
            self.accept(b',');
            if is_object {
                self.peek();
                text(&self.text()?, &mut parts);
                self.accept(b':');
            }
            self.key(&mut parts)?;
            length += 1;
        }
        out.push(kind);
        count(length, out);
        if at_top && !is_object {
            out.push(1);
        }
        out.extend(parts);
        Ok(())
    }
}

/// A number without exponent: its sign, where its first digit stands, and its digits.
fn number(plain: &str, out: &mut Vec<u8>) {
    let (negative, size) = match plain.strip_prefix('-') {
        Some(size) => (true, size),
        None => (false, plain),
    };
    let (whole, fraction) = size.split_once('.').unwrap_or((size, ""));
    let digits = format!("{whole}{fraction}");
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let digits = digits.trim_matches('0');
    if digits.is_empty() {
        return out.push(ZERO);
    }
    out.push(if negative { NEGATIVE } else { POSITIVE });
    let place =
        i64::try_from(whole.len()).unwrap_or(i64::MAX) - i64::try_from(leading).unwrap_or(i64::MAX);
    let from = out.len();
    out.extend((place ^ i64::MIN).to_be_bytes());
    out.extend(digits.bytes());
    out.push(END);
    if negative {
        for byte in out.iter_mut().skip(from) {
            *byte = !*byte;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_are_in_the_order_of_postgresql() {
        // As `SELECT … ORDER BY x` of PostgreSQL 15 has them.
        let all = [
            "[]",
            "null",
            "\"\"",
            "\"a\"",
            "\"ab\"",
            "\"b\"",
            "-100.5",
            "-100",
            "-1",
            "-0.001",
            "0",
            "0.001",
            "1",
            "1.5",
            "9",
            "10",
            "123456789012345678901234567890",
            "false",
            "true",
            "[null]",
            "[5]",
            "[[]]",
            "[{}]",
            "[1, 2]",
            "[3, 0]",
            "{}",
            "{\"a\": 1}",
            "{\"a\": 2}",
            "{\"b\": 0}",
            "{\"aa\": 0, \"ab\": 0}",
        ];
        for pair in all.windows(2) {
            let (less, greater) = (key(pair[0]).unwrap(), key(pair[1]).unwrap());
            assert!(less < greater, "{pair:?}");
        }
        assert_eq!(key("1.50").unwrap(), key("1.5").unwrap());
        assert_eq!(key("[-10.0]").unwrap(), key("[-10]").unwrap());
    }
}
