//! ANALYZE and VACUUM.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::Statement;
use super::commands::{Read, quote_identifier};
use super::cursor::TokenCursor;
use crate::sqlstate::ServerError;

/// ANALYZE or VACUUM of some tables, or of all.
#[derive(Clone, Debug)]
pub struct Maintenance {
    /// The command, which is its tag, too.
    pub tag: &'static str,
    /// The tables; none: every table that the session may maintain.
    pub tables: Vec<Maintained>,
}

/// A table of ANALYZE or VACUUM.
#[derive(Clone, Debug)]
pub struct Maintained {
    /// Its name as SQL.
    pub name: String,
    /// The columns that are meant; none: all.
    pub columns: Vec<String>,
}

const OF_ANALYZE: &[&str] = &["verbose", "skip_locked", "buffer_usage_limit"];
const OF_VACUUM: &[&str] = &[
    "full",
    "freeze",
    "verbose",
    "analyze",
    "disable_page_skipping",
    "skip_locked",
    "index_cleanup",
    "process_main",
    "process_toast",
    "truncate",
    "parallel",
    "skip_database_stats",
    "only_database_stats",
    "buffer_usage_limit",
];

/// Reads the command behind its first word.
pub(super) fn read(cursor: &mut TokenCursor<'_>, word: &str) -> Read<Statement> {
    let (tag, known, words): (_, _, &[&str]) = match word {
        "VACUUM" => (
            "VACUUM",
            OF_VACUUM,
            &["FULL", "FREEZE", "VERBOSE", "ANALYZE"],
        ),
        _ => ("ANALYZE", OF_ANALYZE, &["VERBOSE"]),
    };
    if cursor.peek() == Some(&Token::LParen) {
        check_options(cursor, tag, known)?;
    } else {
        for word in words {
            cursor.accept(word);
        }
    }
    let mut tables = Vec::new();
    while !cursor.at_end() {
        if !tables.is_empty() {
            cursor.expect(&Token::Comma)?;
        }
        tables.push(table(cursor)?);
    }
    Ok(Statement::Maintain(Maintenance { tag, tables }))
}

fn check_options(cursor: &mut TokenCursor<'_>, tag: &str, known: &[&str]) -> Read<()> {
    let tokens = cursor.take_parenthesised()?;
    for option in tokens.split(|token| token.token == Token::Comma) {
        let name = option.iter().find_map(|token| match &token.token {
            Token::Word(word) => Some((word.value.to_ascii_lowercase(), token.span.start)),
            _ => None,
        });
        if let Some((name, start)) = name
            && !known.contains(&name.as_str())
        {
            let text = format!("unrecognized {tag} option \"{name}\"");
            let error = ServerError::new("42601", text).at(start.line, start.column);
            return Err(error.locate(cursor.sql()));
        }
    }
    Ok(())
}

fn table(cursor: &mut TokenCursor<'_>) -> Read<Maintained> {
    let mut name = quote_identifier(&cursor.identifier()?);
    while cursor.accept_token(&Token::Period) {
        name.push('.');
        name.push_str(&quote_identifier(&cursor.identifier()?));
    }
    let mut columns = Vec::new();
    if cursor.accept_token(&Token::LParen) {
        columns.push(cursor.identifier()?);
        while cursor.accept_token(&Token::Comma) {
            columns.push(cursor.identifier()?);
        }
        cursor.expect(&Token::RParen)?;
    }
    Ok(Maintained { name, columns })
}
