//! The csv format of COPY: quoted fields may hold delimiters and line ends.

use super::{Splitter, TextField, malformed};
use crate::session::statement::CopyOptions;
use crate::sqlstate::ServerError;

/// What FORCE_NULL and FORCE_NOT_NULL say of a column.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Forced {
    pub(super) null: bool,
    pub(super) not_null: bool,
}

impl Splitter {
    /// The next line, as [`Splitter::text_line`]; line ends inside of quotes are data.
    pub(super) fn csv_line(
        &mut self,
        bytes: &[u8],
        options: &CopyOptions,
        last: bool,
    ) -> Result<Option<(usize, usize)>, ServerError> {
        while let Some(byte) = bytes.get(self.at) {
            if self.escaped {
                self.escaped = false;
            } else if self.quoted && *byte == options.escape && options.escape != options.quote {
                self.escaped = true;
            } else if *byte == options.quote {
                // A doubled quote closes and opens: what is between is nothing.
                self.quoted = !self.quoted;
            } else if matches!(byte, b'\n' | b'\r') && !self.quoted {
                match self.ends(bytes, self.at, last) {
                    None => return Ok(None),
                    Some(Some(ending)) => return Ok(Some((self.at, ending))),
                    Some(None) => {
                        let what = match byte {
                            b'\r' => "carriage return",
                            _ => "newline",
                        };
                        return Err(malformed(&format!("unquoted {what} found in data"))
                            .hint(format!("Use quoted CSV field to represent {what}.")));
                    }
                }
            }
            self.at += 1;
        }
        if last && self.quoted {
            return Err(malformed("unterminated CSV quoted field"));
        }
        Ok((last && !bytes.is_empty()).then_some((bytes.len(), 0)))
    }
}

/// The fields of a line.
pub(super) fn fields(
    line: &[u8],
    options: &CopyOptions,
    forced: impl Fn(usize) -> Forced,
) -> Result<Vec<TextField>, ServerError> {
    let mut fields = Vec::new();
    let mut bytes = line.iter().copied().peekable();
    loop {
        let (mut value, mut was_quoted, mut more) = (Vec::new(), false, false);
        let mut quoted = false;
        while let Some(byte) = bytes.next() {
            if quoted {
                let escapes = byte == options.escape
                    && bytes
                        .peek()
                        .is_some_and(|next| *next == options.quote || *next == options.escape);
                if escapes {
                    value.extend(bytes.next());
                } else if byte == options.quote {
                    quoted = false;
                } else {
                    value.push(byte);
                }
            } else if byte == options.quote {
                (quoted, was_quoted) = (true, true);
            } else if byte == options.delimiter {
                more = true;
                break;
            } else {
                value.push(byte);
            }
        }
        if quoted {
            return Err(malformed("unterminated CSV quoted field"));
        }
        let forced = forced(fields.len());
        let is_null = value == options.null.as_bytes()
            && match was_quoted {
                true => forced.null,
                false => !forced.not_null,
            };
        fields.push(match is_null {
            true => TextField::Null,
            false => TextField::Value(value),
        });
        if !more {
            return Ok(fields);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::statement::{CopyFormat, CopyHeader};

    fn options(escape: u8) -> CopyOptions {
        CopyOptions {
            format: CopyFormat::Csv,
            header: CopyHeader::None,
            delimiter: b',',
            null: String::new(),
            quote: b'"',
            escape,
            force_quote: Vec::new(),
            force_null: Vec::new(),
            force_not_null: Vec::new(),
        }
    }

    #[test]
    fn quotes_hold_what_would_end_a_field() {
        let value = |text: &str| TextField::Value(text.as_bytes().to_vec());
        let table: [(&str, Vec<TextField>); 6] = [
            ("a,\"b,c\"", vec![value("a"), value("b,c")]),
            (",\"\"", vec![TextField::Null, value("")]),
            ("\"a\"\"b\"", vec![value("a\"b")]),
            ("a\"b\"c", vec![value("abc")]),
            ("\"x\ny\",", vec![value("x\ny"), TextField::Null]),
            (" a ", vec![value(" a ")]),
        ];
        for (line, expected) in table {
            let found = fields(line.as_bytes(), &options(b'"'), |_| Forced::default());
            assert_eq!(found.unwrap(), expected, "{line}");
        }
        let found = fields(b"\"a\\\"b\"", &options(b'\\'), |_| Forced::default());
        assert_eq!(found.unwrap(), [value("a\"b")]);
        let forced = |null, not_null| move |_| Forced { null, not_null };
        let found = fields(b",\"\"", &options(b'"'), forced(false, true));
        assert_eq!(found.unwrap(), [value(""), value("")]);
        let found = fields(b",\"\"", &options(b'"'), forced(true, false));
        assert_eq!(found.unwrap(), [TextField::Null, TextField::Null]);
    }

    #[test]
    fn a_quoted_line_end_ends_no_line() {
        let mut splitter = Splitter::default();
        let line = splitter.csv_line(b"\"a\nb\",c\nd", &options(b'"'), false);
        assert_eq!(line.unwrap(), Some((7, 1)));
        let mut splitter = Splitter::default();
        let line = splitter.csv_line(b"\"a\nb", &options(b'"'), true);
        assert_eq!(line.unwrap_err().code(), "22P04");
    }
}
