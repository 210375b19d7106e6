//! PostgreSQL's session commands, read from tokens: which command it is, and the short ones.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Whitespace};

use super::copy::copy;
use super::cursor::TokenCursor;
use super::explain::explain;
use super::prepared::{execute, prepare};
use super::set::{parameter_name, set};
use super::transaction::{chain, modes, optional_word, rollback};
use super::{Statement, query_of, query_statement, query_text, read_only};
use crate::sqlstate::ServerError;

pub(super) type Read<T> = Result<T, ServerError>;

/// Reads one statement; the caller checks that nothing is left.
pub(super) fn read(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    if cursor.peek() == Some(&Token::LParen) {
        return query_statement(cursor);
    }
    let Some(word) = cursor.peek_word() else {
        return Err(cursor.syntax_error());
    };
    match word.as_str() {
        "WITH" => match super::temp::read_with(cursor)? {
            Some(command) => return Ok(command),
            None => return query_statement(cursor),
        },
        "SELECT" | "VALUES" => return query_statement(cursor),
        "TABLE" => return table(cursor),
        _ => {}
    }
    let unknown = cursor.syntax_error();
    cursor.next();
    if let Some(command) = super::rights::read(&word, cursor)? {
        return Ok(Statement::Rights(command));
    }
    if let Some(command) = super::cohort::read(&word, cursor)? {
        return Ok(command);
    }
    if let Some(command) = super::temp::read(&word, cursor)? {
        return Ok(command);
    }
    Ok(match word.as_str() {
        "EXPLAIN" => explain(cursor)?,
        "SET" => set(cursor)?,
        "SHOW" => Statement::Show(parameter_name(cursor)?),
        "RESET" => {
            let name = parameter_name(cursor)?;
            Statement::Reset((name != "all").then_some(name))
        }
        "DISCARD" => discard(cursor)?,
        "BEGIN" => {
            optional_word(cursor);
            let modes = modes(cursor)?;
            Statement::Begin {
                tag: "BEGIN",
                modes,
            }
        }
        "START" => {
            cursor.expect_word("TRANSACTION")?;
            let modes = modes(cursor)?;
            Statement::Begin {
                tag: "START TRANSACTION",
                modes,
            }
        }
        "COMMIT" | "END" => {
            if cursor.accept("PREPARED") {
                return refuse(
                    cursor,
                    ServerError::unsupported("two-phase commit is not supported"),
                );
            }
            optional_word(cursor);
            Statement::Commit {
                chain: chain(cursor)?,
            }
        }
        "ROLLBACK" | "ABORT" => rollback(cursor)?,
        "SAVEPOINT" => Statement::Savepoint(cursor.identifier()?),
        "RELEASE" => {
            cursor.accept("SAVEPOINT");
            Statement::Release(cursor.identifier()?)
        }
        "PREPARE" => prepare(cursor)?,
        "EXECUTE" => execute(cursor)?,
        "DEALLOCATE" => {
            cursor.accept("PREPARE");
            Statement::Deallocate(name_or_all(cursor)?)
        }
        "DECLARE" => super::fetch::declare(cursor)?,
        "FETCH" => super::fetch::fetch(cursor, false)?,
        "MOVE" => super::fetch::fetch(cursor, true)?,
        "CLOSE" => Statement::Close(name_or_all(cursor)?),
        "COPY" => copy(cursor)?,
        "LISTEN" | "UNLISTEN" | "NOTIFY" => channel(cursor, &word)?,
        "LOCK" => refuse(
            cursor,
            ServerError::unsupported("LOCK TABLE is not supported"),
        )?,
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "TRUNCATE" | "CREATE" | "DROP" | "ALTER"
        | "COMMENT" | "REINDEX" | "CLUSTER" | "REFRESH" | "SECURITY" | "IMPORT" => {
            let object = match ddl(&word) {
                true => object_of(cursor),
                false => String::new(),
            };
            let what = format!("{word} {object}");
            refuse(cursor, read_only(what.trim_end()))?
        }
        "VACUUM" | "ANALYZE" | "ANALYSE" => super::maintenance::read(cursor, &word)?,
        "CHECKPOINT" | "CALL" | "DO" | "LOAD" => refuse(
            cursor,
            ServerError::unsupported(format!("{word} is not supported")),
        )?,
        _ => return Err(unknown),
    })
}

/// What kind of object a command is about, without the words that only say how.
fn object_of(cursor: &mut TokenCursor<'_>) -> String {
    let how = [
        "OR",
        "REPLACE",
        "UNIQUE",
        "TEMP",
        "TEMPORARY",
        "GLOBAL",
        "LOCAL",
        "UNLOGGED",
        "RECURSIVE",
    ];
    while how.iter().any(|word| cursor.accept(word)) {}
    let first = cursor.peek_word().unwrap_or_default();
    cursor.next();
    let two = ["ACCESS", "EVENT", "FOREIGN", "MATERIALIZED"].contains(&first.as_str());
    match cursor.peek_word().filter(|_| two) {
        Some(second) => format!("{first} {second}"),
        None => first,
    }
}

fn ddl(word: &str) -> bool {
    matches!(word, "CREATE" | "DROP" | "ALTER" | "REFRESH")
}

pub(super) fn refuse(cursor: &mut TokenCursor<'_>, error: ServerError) -> Read<Statement> {
    cursor.take_rest();
    Ok(Statement::Refused(error))
}

/// A command about a channel.
fn channel(cursor: &mut TokenCursor<'_>, word: &str) -> Read<Statement> {
    if word == "UNLISTEN" && cursor.accept_token(&Token::Mul) {
        return Ok(Statement::Unlisten(None));
    }
    let channel = cursor.identifier()?;
    Ok(match word {
        "LISTEN" => Statement::Listen(channel),
        "UNLISTEN" => Statement::Unlisten(Some(channel)),
        _ => {
            let payload = match cursor.accept_token(&Token::Comma) {
                true => cursor.string()?,
                false => String::new(),
            };
            Statement::Notify(channel, payload)
        }
    })
}

fn table(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    cursor.next();
    let start = cursor.place();
    object_name(cursor)?;
    let goes_on = cursor.peek_word().is_some_and(|word| {
        matches!(
            word.as_str(),
            "ORDER" | "LIMIT" | "OFFSET" | "FETCH" | "UNION" | "EXCEPT" | "INTERSECT"
        )
    });
    cursor.back_to(start);
    if !goes_on {
        return Ok(Statement::Query(table_query(cursor)?));
    }
    let select = ["SELECT", "*", "FROM"].map(|word| TokenWithSpan {
        token: match word {
            "*" => Token::Mul,
            word => Token::make_keyword(word),
        },
        span: Span::empty(),
    });
    let mut tokens = Vec::new();
    for token in select {
        tokens.push(token);
        tokens.push(TokenWithSpan {
            token: Token::Whitespace(Whitespace::Space),
            span: Span::empty(),
        });
    }
    tokens.extend_from_slice(cursor.take_rest());
    Ok(Statement::Query(query_of(&tokens, cursor.sql())?))
}

/// What TABLE and a name stand for.
pub(super) fn table_query(cursor: &mut TokenCursor<'_>) -> Read<Box<ast::Statement>> {
    let name = object_name(cursor)?;
    query_text(&format!("SELECT * FROM {name}"))
}

/// A qualified name, quoted so that it reads back the same.
pub(super) fn object_name(cursor: &mut TokenCursor<'_>) -> Read<String> {
    let mut name = quote_identifier(&cursor.identifier()?);
    while cursor.accept_token(&Token::Period) {
        name.push('.');
        name.push_str(&quote_identifier(&cursor.identifier()?));
    }
    Ok(name)
}

pub(super) fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn discard(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    match cursor.peek_word().as_deref() {
        Some(what @ ("ALL" | "PLANS" | "TEMP" | "TEMPORARY" | "SEQUENCES")) => {
            let what = what.replace("TEMPORARY", "TEMP");
            cursor.next();
            Ok(Statement::Discard(what))
        }
        _ => Err(cursor.syntax_error()),
    }
}

fn name_or_all(cursor: &mut TokenCursor<'_>) -> Read<Option<String>> {
    if cursor.accept("ALL") {
        Ok(None)
    } else {
        cursor.identifier().map(Some)
    }
}
