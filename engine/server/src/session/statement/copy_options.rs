//! The options of COPY, in parentheses and as they were written before, read from tokens.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::tokenizer::Token;

use super::commands::Read;
use super::cursor::TokenCursor;
use super::set::set_value;
use crate::sqlstate::ServerError;

/// The format of COPY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// Tab-separated with backslash escapes.
    Text,
    /// Comma-separated with quotes.
    Csv,
    /// PGCOPY.
    Binary,
}

/// What the first line of COPY in text or csv is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyHeader {
    /// A row.
    #[default]
    None,
    /// The names of the columns.
    Line,
    /// The names of the columns, which must be those of the table.
    Match,
}

/// Format and options of COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// Format.
    pub format: CopyFormat,
    /// What the first line holds.
    pub header: CopyHeader,
    /// Between fields.
    pub delimiter: u8,
    /// What a NULL is printed as.
    pub null: String,
    /// Quote of csv.
    pub quote: u8,
    /// Escape of the quote in csv.
    pub escape: u8,
    /// Columns quoted in every row, `*` for all (csv).
    pub force_quote: Vec<String>,
    /// Columns where a quoted value may be NULL (csv, COPY FROM).
    pub force_null: Vec<String>,
    /// Columns where no value is NULL (csv, COPY FROM).
    pub force_not_null: Vec<String>,
}

/// Options as written; the defaults of the rest depend on the format.
#[derive(Default)]
struct CopyWritten {
    format: Option<CopyFormat>,
    header: CopyHeader,
    delimiter: Option<String>,
    null: Option<String>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Vec<String>,
    force_null: Vec<String>,
    force_not_null: Vec<String>,
    /// The options that were read.
    given: BTreeSet<&'static str>,
}

/// The option that the words of an option stand for; `None` for one that may be repeated, or is none.
fn copy_option_of(words: &str) -> Option<&'static str> {
    Some(match words {
        "FORMAT" | "BINARY" | "CSV" => "format",
        "HEADER" => "header",
        "FREEZE" => "freeze",
        "DELIMITER" | "DELIMITERS" => "delimiter",
        "NULL" => "null",
        "QUOTE" => "quote",
        "ESCAPE" => "escape",
        "ENCODING" => "encoding",
        "FORCE_QUOTE" => "force_quote",
        "FORCE_NULL" => "force_null",
        "FORCE_NOT_NULL" => "force_not_null",
        _ => return None,
    })
}

impl CopyWritten {
    /// Takes note of an option that begins at a position.
    fn once(&mut self, words: &str, position: Option<usize>) -> Read<()> {
        match copy_option_of(words) {
            Some(option) if !self.given.insert(option) => {
                let text = "conflicting or redundant options";
                Err(ServerError::syntax(text, position))
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn copy_options(cursor: &mut TokenCursor<'_>) -> Read<CopyOptions> {
    cursor.accept("WITH");
    let mut written = CopyWritten::default();
    if cursor.peek() == Some(&Token::LParen) {
        let inner = cursor.take_parenthesised()?;
        let mut inner = TokenCursor::new(inner, cursor.sql());
        while !inner.at_end() {
            copy_option(&mut inner, &mut written)?;
            if !inner.at_end() {
                inner.expect(&Token::Comma)?;
            }
        }
    } else {
        while !cursor.at_end() && cursor.peek_word().as_deref() != Some("WHERE") {
            legacy_copy_option(cursor, &mut written)?;
        }
    }
    written.finish()
}

fn copy_option(cursor: &mut TokenCursor<'_>, written: &mut CopyWritten) -> Read<()> {
    let position = cursor.syntax_error().position();
    let name = cursor.identifier()?.to_ascii_lowercase();
    written.once(&name.to_ascii_uppercase(), position)?;
    match name.as_str() {
        "format" => {
            let format = copy_format(&set_value(cursor)?);
            written.format = Some(format.map_err(|error| error.at_position(position))?);
        }
        "header" => {
            let bare = cursor.at_end() || cursor.peek() == Some(&Token::Comma);
            let value = if bare {
                "true".to_owned()
            } else {
                set_value(cursor)?
            };
            written.header = match value.to_ascii_lowercase().as_str() {
                "true" | "on" | "1" => CopyHeader::Line,
                "match" => CopyHeader::Match,
                "false" | "off" | "0" => CopyHeader::None,
                _ => {
                    let text = "header requires a Boolean value or \"match\"";
                    return Err(ServerError::syntax(text, None));
                }
            };
        }
        "delimiter" => written.delimiter = Some(cursor.string()?),
        "null" => written.null = Some(cursor.string()?),
        "quote" => written.quote = Some(cursor.string()?),
        "escape" => written.escape = Some(cursor.string()?),
        "force_quote" => written.force_quote = columns_or_all(cursor)?,
        "force_null" => written.force_null = columns_or_all(cursor)?,
        "force_not_null" => written.force_not_null = columns_or_all(cursor)?,
        // Rows are not frozen here: there is nothing to wait for.
        "freeze" => {
            if !cursor.at_end() && cursor.peek() != Some(&Token::Comma) {
                set_value(cursor)?;
            }
        }
        "encoding" => encoding(&cursor.string()?)?,
        other => {
            let text = format!("option \"{other}\" not recognized");
            return Err(ServerError::syntax(text, position));
        }
    }
    Ok(())
}

fn legacy_copy_option(cursor: &mut TokenCursor<'_>, written: &mut CopyWritten) -> Read<()> {
    let Some(word) = cursor.peek_word() else {
        return Err(cursor.syntax_error());
    };
    let unknown = cursor.syntax_error();
    cursor.next();
    written.once(&word, unknown.position())?;
    match word.as_str() {
        "BINARY" => written.format = Some(CopyFormat::Binary),
        "CSV" => written.format = Some(CopyFormat::Csv),
        "HEADER" => written.header = CopyHeader::Line,
        "FREEZE" => {}
        "DELIMITER" | "DELIMITERS" | "NULL" | "QUOTE" | "ESCAPE" => {
            cursor.accept("AS");
            let value = Some(cursor.string()?);
            match word.as_str() {
                "NULL" => written.null = value,
                "QUOTE" => written.quote = value,
                "ESCAPE" => written.escape = value,
                _ => written.delimiter = value,
            }
        }
        "ENCODING" => encoding(&cursor.string()?)?,
        "FORCE" => {
            let option = if cursor.accept("NOT") {
                cursor.expect_word("NULL")?;
                "FORCE_NOT_NULL"
            } else if cursor.accept("NULL") {
                "FORCE_NULL"
            } else {
                cursor.expect_word("QUOTE")?;
                "FORCE_QUOTE"
            };
            written.once(option, unknown.position())?;
            let forced = match option {
                "FORCE_NOT_NULL" => &mut written.force_not_null,
                "FORCE_NULL" => &mut written.force_null,
                _ => &mut written.force_quote,
            };
            loop {
                let all = cursor.accept_token(&Token::Mul);
                forced.push(if all {
                    "*".to_owned()
                } else {
                    cursor.identifier()?
                });
                if !cursor.accept_token(&Token::Comma) {
                    break;
                }
            }
        }
        _ => return Err(unknown),
    }
    Ok(())
}

fn columns_or_all(cursor: &mut TokenCursor<'_>) -> Read<Vec<String>> {
    if cursor.accept_token(&Token::Mul) {
        return Ok(vec!["*".to_owned()]);
    }
    let inner = cursor.take_parenthesised()?;
    let mut inner = TokenCursor::new(inner, cursor.sql());
    let mut columns = vec![inner.identifier()?];
    while inner.accept_token(&Token::Comma) {
        columns.push(inner.identifier()?);
    }
    Ok(columns)
}

fn encoding(name: &str) -> Read<()> {
    if matches!(
        name.to_ascii_lowercase().replace('-', "").as_str(),
        "utf8" | "unicode"
    ) {
        return Ok(());
    }
    Err(ServerError::unsupported(format!(
        "encoding \"{name}\" is not supported; use UTF8"
    )))
}

fn copy_format(name: &str) -> Read<CopyFormat> {
    match name.to_ascii_lowercase().as_str() {
        "text" => Ok(CopyFormat::Text),
        "csv" => Ok(CopyFormat::Csv),
        "binary" => Ok(CopyFormat::Binary),
        other => Err(ServerError::new(
            "22023",
            format!("COPY format \"{other}\" not recognized"),
        )),
    }
}

impl CopyWritten {
    fn finish(self) -> Read<CopyOptions> {
        let format = self.format.unwrap_or(CopyFormat::Text);
        let csv = format == CopyFormat::Csv;
        if format == CopyFormat::Binary {
            let what = match (&self.delimiter, &self.null) {
                (Some(_), _) => "cannot specify DELIMITER in BINARY mode",
                (None, Some(_)) => "cannot specify NULL in BINARY mode",
                (None, None) if self.header != CopyHeader::None => {
                    let text = "cannot specify HEADER in BINARY mode";
                    return Err(ServerError::unsupported(text));
                }
                (None, None) => "",
            };
            if !what.is_empty() {
                return Err(ServerError::syntax(what, None));
            }
        }
        let csv_only = [
            (self.quote.is_some(), "quote"),
            (self.escape.is_some(), "escape"),
            (!self.force_quote.is_empty(), "force quote"),
            (!self.force_not_null.is_empty(), "force not null"),
            (!self.force_null.is_empty(), "force null"),
        ];
        if let Some((_, what)) = csv_only.iter().find(|(given, _)| *given && !csv) {
            let text = format!("COPY {what} available only in CSV mode");
            return Err(ServerError::unsupported(text));
        }
        let delimiter = one_byte("delimiter", self.delimiter, if csv { b',' } else { b'\t' })?;
        let quote = one_byte("quote", self.quote, b'"')?;
        let escape = one_byte("escape", self.escape, quote)?;
        let null = self
            .null
            .unwrap_or_else(|| if csv { String::new() } else { "\\N".to_owned() });
        if csv && delimiter == quote {
            return Err(ServerError::new(
                "22023",
                "COPY delimiter and quote must be different",
            ));
        }
        Ok(CopyOptions {
            format,
            header: self.header,
            delimiter,
            null,
            quote,
            escape,
            force_quote: self.force_quote,
            force_null: self.force_null,
            force_not_null: self.force_not_null,
        })
    }
}

fn one_byte(what: &str, text: Option<String>, default: u8) -> Read<u8> {
    match text.as_deref().map(str::as_bytes) {
        None => Ok(default),
        Some([byte]) if !matches!(byte, b'\n' | b'\r') => Ok(*byte),
        Some(_) => Err(ServerError::unsupported(format!(
            "COPY {what} must be a single one-byte character"
        ))),
    }
}
