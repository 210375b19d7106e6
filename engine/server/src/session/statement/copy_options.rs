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

/// Which way rows go, which some options are only for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// COPY FROM.
    From,
    /// COPY TO.
    To,
}

pub(super) fn copy_options(cursor: &mut TokenCursor<'_>, way: Way) -> Read<CopyOptions> {
    cursor.accept("WITH");
    let mut written = CopyWritten::default();
    if cursor.peek() == Some(&Token::LParen) {
        let inner = cursor.take_parenthesised()?;
        let mut inner = TokenCursor::new(inner, cursor.sql());
        while !inner.at_end() {
            copy_option(&mut inner, &mut written, way)?;
            if !inner.at_end() {
                inner.expect(&Token::Comma)?;
            }
        }
    } else {
        while !cursor.at_end() && cursor.peek_word().as_deref() != Some("WHERE") {
            legacy_copy_option(cursor, &mut written)?;
        }
    }
    written.finish(way)
}

fn copy_option(cursor: &mut TokenCursor<'_>, written: &mut CopyWritten, way: Way) -> Read<()> {
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
                "match" if way == Way::To => {
                    let text = "cannot use \"match\" with HEADER in COPY TO";
                    return Err(ServerError::unsupported(text));
                }
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
                let value = set_value(cursor)?;
                truth("freeze", &value)?;
            }
        }
        "encoding" => {
            encoding(&cursor.string()?).map_err(|error| match error.code() {
                "22023" => error.at_position(position),
                _ => error,
            })?;
        }
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

/// A truth value of an option.
///
/// # Errors
/// 42601.
pub(super) fn truth(option: &str, value: &str) -> Read<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => {
            let text = format!("{option} requires a Boolean value");
            Err(ServerError::syntax(text, None))
        }
    }
}

fn encoding(name: &str) -> Read<()> {
    let plain: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    if matches!(plain.as_str(), "utf8" | "unicode") {
        return Ok(());
    }
    if !is_encoding(&plain) {
        let text = "argument to option \"encoding\" must be a valid encoding name";
        return Err(ServerError::new("22023", text));
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

/// Whether PostgreSQL knows an encoding by a name, of which only letters and digits count.
pub(in crate::session) fn is_encoding(plain: &str) -> bool {
    let families = [
        "latin", "iso8859", "win", "windows", "euc", "koi8", "sjis", "shiftjis", "mskanji", "johab",
    ];
    let others = [
        "sqlascii",
        "muleinternal",
        "abc",
        "alt",
        "big5",
        "gb18030",
        "gbk",
        "tcvn",
        "tcvn5712",
        "uhc",
        "vscii",
    ];
    let with_number = |family: &str| {
        plain
            .strip_prefix(family)
            .is_some_and(|rest| rest.len() < 8)
    };
    families.iter().any(|family| with_number(family)) || others.contains(&plain)
}

impl CopyWritten {
    /// The options, with defaults for the rest; they are looked at in the order of PostgreSQL.
    fn finish(self, way: Way) -> Read<CopyOptions> {
        let format = self.format.unwrap_or(CopyFormat::Text);
        let csv = format == CopyFormat::Csv;
        let binary = format == CopyFormat::Binary;
        for (given, what) in [
            (self.delimiter.is_some(), "DELIMITER"),
            (self.null.is_some(), "NULL"),
        ] {
            if given && binary {
                let text = format!("cannot specify {what} in BINARY mode");
                return Err(ServerError::syntax(text, None));
            }
        }
        let delimiter = one_byte("delimiter", self.delimiter, if csv { b',' } else { b'\t' })?;
        let unfit = |text: String| Err(ServerError::new("22023", text));
        if matches!(delimiter, b'\n' | b'\r') {
            return unfit("COPY delimiter cannot be newline or carriage return".to_owned());
        }
        let default = if csv { "" } else { "\\N" };
        let null = self.null.unwrap_or_else(|| default.to_owned());
        if null.contains(['\n', '\r']) {
            let text = "COPY null representation cannot use newline or carriage return";
            return unfit(text.to_owned());
        }
        let plain = matches!(delimiter, b'\\' | b'.' | b'a'..=b'z' | b'0'..=b'9');
        if !csv && !binary && plain {
            let shown = char::from(delimiter);
            return unfit(format!("COPY delimiter cannot be \"{shown}\""));
        }
        if binary && self.header != CopyHeader::None {
            let text = "cannot specify HEADER in BINARY mode";
            return Err(ServerError::unsupported(text));
        }
        only_in_csv(self.quote.is_some(), "quote", csv)?;
        let quote = one_byte("quote", self.quote, b'"')?;
        if csv && delimiter == quote {
            return unfit("COPY delimiter and quote must be different".to_owned());
        }
        only_in_csv(self.escape.is_some(), "escape", csv)?;
        let escape = one_byte("escape", self.escape, quote)?;
        for (given, what, of) in [
            (!self.force_quote.is_empty(), "force quote", Way::To),
            (!self.force_not_null.is_empty(), "force not null", Way::From),
            (!self.force_null.is_empty(), "force null", Way::From),
        ] {
            only_in_csv(given, what, csv)?;
            if given && of != way {
                let of = if of == Way::To { "TO" } else { "FROM" };
                let text = format!("COPY {what} only available using COPY {of}");
                return Err(ServerError::unsupported(text));
            }
        }
        if !binary && null.as_bytes().contains(&delimiter) {
            let text = "COPY delimiter must not appear in the NULL specification";
            return Err(ServerError::unsupported(text));
        }
        if csv && null.as_bytes().contains(&quote) {
            let text = "CSV quote character must not appear in the NULL specification";
            return Err(ServerError::unsupported(text));
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

/// # Errors
/// 0A000 for an option of csv beside another format.
fn only_in_csv(given: bool, what: &str, csv: bool) -> Read<()> {
    match given && !csv {
        true => {
            let text = format!("COPY {what} available only in CSV mode");
            Err(ServerError::unsupported(text))
        }
        false => Ok(()),
    }
}

fn one_byte(what: &str, text: Option<String>, default: u8) -> Read<u8> {
    match text.as_deref().map(str::as_bytes) {
        None => Ok(default),
        Some([byte]) => Ok(*byte),
        Some(_) => Err(ServerError::unsupported(format!(
            "COPY {what} must be a single one-byte character"
        ))),
    }
}
