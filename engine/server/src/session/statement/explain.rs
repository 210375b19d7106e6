//! EXPLAIN and its options, read from tokens.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::commands::{Read, read};
use super::copy_options::truth;
use super::cursor::TokenCursor;
use super::set::set_value;
use super::{Explaining, Statement};
use crate::sqlstate::ServerError;

pub(super) fn explain(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    let mut how = Explaining::default();
    if cursor.peek() == Some(&Token::LParen) && explain_options_follow(cursor) {
        let options = cursor.take_parenthesised()?;
        let mut options = TokenCursor::new(options, cursor.sql());
        // What only running the query tells.
        let (mut needs_rows, mut timed) = (None, false);
        while !options.at_end() {
            let position = options.syntax_error().position();
            let name = options.identifier()?;
            let value = if options.at_end() || options.peek() == Some(&Token::Comma) {
                "true".to_owned()
            } else {
                set_value(&mut options)?
            };
            let on = || truth(&name, &value);
            match name.as_str() {
                "analyze" => how.analyze = on()?,
                "verbose" => how.verbose = on()?,
                "format" => match value.to_ascii_lowercase().as_str() {
                    "text" => how.json = false,
                    "json" => how.json = true,
                    "xml" | "yaml" => {
                        return Err(ServerError::unsupported(format!("EXPLAIN format {value}")));
                    }
                    other => {
                        let text = format!(
                            "unrecognized value for EXPLAIN option \"format\": \"{other}\""
                        );
                        return Err(ServerError::new("22023", text).at_position(position));
                    }
                },
                "wal" => needs_rows = on()?.then_some("WAL").or(needs_rows),
                "timing" => timed = on()?,
                "costs" | "settings" | "generic_plan" | "buffers" | "summary" | "memory" => {
                    on()?;
                }
                "serialize" => {}
                other => {
                    let text = format!("unrecognized EXPLAIN option \"{other}\"");
                    return Err(ServerError::syntax(text, position));
                }
            }
            options.accept_token(&Token::Comma);
        }
        let needs_rows = needs_rows.or(timed.then_some("TIMING"));
        if let Some(option) = needs_rows.filter(|_| !how.analyze) {
            let text = format!("EXPLAIN option {option} requires ANALYZE");
            return Err(ServerError::new("22023", text));
        }
    } else {
        how.analyze = cursor.accept("ANALYZE") || cursor.accept("ANALYSE");
        how.verbose = cursor.accept("VERBOSE");
    }
    // Each would be read by this function again.
    if matches!(cursor.peek(), Some(Token::Word(word)) if word.value.eq_ignore_ascii_case("EXPLAIN"))
    {
        return Err(cursor.syntax_error());
    }
    Ok(match read(cursor)? {
        Statement::Query(query) | Statement::Declare { query, .. } => {
            Statement::Explain { how, query }
        }
        Statement::Execute { name, arguments } => Statement::ExplainExecute {
            how,
            name,
            arguments,
        },
        Statement::Refused(error) => Statement::Refused(error),
        _ => return Err(ServerError::syntax("EXPLAIN takes a query", None)),
    })
}

/// `EXPLAIN (ANALYZE) …` against `EXPLAIN (SELECT …)`.
fn explain_options_follow(cursor: &mut TokenCursor<'_>) -> bool {
    let mut ahead = TokenCursor::new(&[], "");
    std::mem::swap(&mut ahead, cursor);
    let (rest, sql) = (ahead.take_rest(), ahead.sql());
    *cursor = TokenCursor::new(rest, sql);
    let mut look = TokenCursor::new(rest, sql);
    look.next();
    !matches!(
        look.peek_word().as_deref(),
        Some("SELECT" | "WITH" | "VALUES" | "TABLE") | None
    )
}
