//! The text format of COPY: a line a row, fields between delimiters, backslash escapes.

use super::{Splitter, TextField, malformed};
use crate::session::statement::CopyOptions;
use crate::sqlstate::ServerError;

impl Splitter {
    /// The next line: its bytes, and those of its ending. None when its end is not there yet, or nothing is left.
    pub(super) fn text_line(
        &mut self,
        bytes: &[u8],
        last: bool,
    ) -> Result<Option<(usize, usize)>, ServerError> {
        while let Some(byte) = bytes.get(self.at) {
            if self.escaped {
                self.escaped = false;
            } else if *byte == b'\\' {
                self.escaped = true;
            } else if matches!(byte, b'\n' | b'\r') {
                match self.ends(bytes, self.at, last) {
                    None => return Ok(None),
                    Some(Some(ending)) => return Ok(Some((self.at, ending))),
                    Some(None) if *byte == b'\r' => {
                        return Err(malformed("literal carriage return found in data")
                            .hint("Use \"\\r\" to represent carriage return."));
                    }
                    Some(None) => {
                        return Err(malformed("literal newline found in data")
                            .hint("Use \"\\n\" to represent newline."));
                    }
                }
            }
            self.at += 1;
        }
        Ok((last && !bytes.is_empty()).then_some((bytes.len(), 0)))
    }

    #[cfg(test)]
    pub(super) fn ending(&self) -> Option<super::Ending> {
        self.ending
    }
}

/// The fields of a line.
pub(super) fn fields(line: &[u8], options: &CopyOptions) -> Result<Vec<TextField>, ServerError> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (raw, after) = raw_field(rest, options.delimiter);
        fields.push(match raw == options.null.as_bytes() {
            true => TextField::Null,
            false => TextField::Value(unescaped(raw)),
        });
        match after {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

/// A field as it is written, and what follows its delimiter.
fn raw_field(line: &[u8], delimiter: u8) -> (&[u8], Option<&[u8]>) {
    let mut escaped = false;
    for (at, byte) in line.iter().enumerate() {
        if escaped {
            escaped = false;
        } else if *byte == b'\\' {
            escaped = true;
        } else if *byte == delimiter {
            return (&line[..at], Some(&line[at + 1..]));
        }
    }
    (line, None)
}

fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let Some((code, tail)) = rest.split_first() else {
            // A backslash at the very end stands for itself.
            out.push(b'\\');
            break;
        };
        rest = tail;
        match code {
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(0x0b),
            b'0'..=b'7' => out.push(number(code - b'0', &mut rest, 8, 2)),
            b'x' if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
                out.push(number(0, &mut rest, 16, 2));
            }
            other => out.push(*other),
        }
    }
    out
}

/// Up to `most` more digits of a byte.
fn number(first: u8, rest: &mut &[u8], base: u32, most: usize) -> u8 {
    let mut value = first;
    for _ in 0..most {
        let digit = rest
            .first()
            .and_then(|byte| char::from(*byte).to_digit(base));
        let Some(digit) = digit.and_then(|digit| u8::try_from(digit).ok()) else {
            break;
        };
        value = value
            .wrapping_mul(base.to_le_bytes()[0])
            .wrapping_add(digit);
        *rest = &rest[1..];
    }
    value
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::super::Ending;
    use super::*;
    use crate::session::statement::{Statement, parse, temp::TempCommand};

    fn options(sql: &str) -> CopyOptions {
        match parse(sql).unwrap().remove(0).statement {
            Statement::Temp(command) => match *command {
                TempCommand::CopyFrom { options, .. } => options,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn fields_are_unescaped() {
        let options = options("copy t from stdin");
        let value = |text: &str| TextField::Value(text.as_bytes().to_vec());
        let table: [(&str, Vec<TextField>); 6] = [
            ("a\tb", vec![value("a"), value("b")]),
            ("\\N\t\\\\N", vec![TextField::Null, value("\\N")]),
            ("a\\tb\\n", vec![value("a\tb\n")]),
            ("a\\\tb", vec![value("a\tb")]),
            ("\\101\\x42\\q", vec![value("ABq")]),
            ("", vec![value("")]),
        ];
        for (line, expected) in table {
            assert_eq!(
                fields(line.as_bytes(), &options).unwrap(),
                expected,
                "{line}"
            );
        }
    }

    #[test]
    fn lines_end_as_the_first_does_wherever_messages_end() {
        for (data, lines, ending) in [
            ("a\nb\n", vec!["a", "b"], Ending::Lf),
            ("a\r\nb\r\n", vec!["a", "b"], Ending::CrLf),
            ("a\rb", vec!["a", "b"], Ending::Cr),
            ("a\\\nb\nc", vec!["a\\\nb", "c"], Ending::Lf),
        ] {
            for step in 1..=data.len() {
                let mut splitter = Splitter::default();
                let (mut buffer, mut found) = (Vec::new(), Vec::new());
                let mut take = |buffer: &mut Vec<u8>, last| {
                    while let Some((length, ending)) = splitter.text_line(buffer, last).unwrap() {
                        found.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
                        buffer.drain(..length + ending);
                        splitter.next();
                    }
                };
                for chunk in data.as_bytes().chunks(step) {
                    buffer.extend_from_slice(chunk);
                    take(&mut buffer, false);
                }
                take(&mut buffer, true);
                assert_eq!(found, lines, "{data:?} by {step}");
                assert_eq!(splitter.ending(), Some(ending));
            }
        }
        let mut splitter = Splitter::default();
        assert_eq!(
            splitter.text_line(b"a\nb\rc\n", true).unwrap(),
            Some((1, 1))
        );
        splitter.next();
        assert_eq!(
            splitter.text_line(b"b\rc\n", true).unwrap_err().code(),
            "22P04"
        );
    }
}
