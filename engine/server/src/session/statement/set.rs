//! SET, SHOW and RESET, read from tokens.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::Statement;
use super::commands::{Read, quote_identifier, refuse};
use super::cursor::TokenCursor;
use super::transaction::modes;
use crate::session::settings::Settings;
use crate::sqlstate::ServerError;

/// The value of SET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetValue {
    /// SET name TO DEFAULT.
    Default,
    /// The value as SHOW prints it.
    Text(String),
}

pub(super) fn set(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    let local = cursor.accept("LOCAL");
    let session = !local && cursor.accept("SESSION");
    if session && cursor.accept("CHARACTERISTICS") {
        cursor.expect_word("AS")?;
        cursor.expect_word("TRANSACTION")?;
        return Ok(Statement::TransactionModes {
            modes: modes(cursor)?,
            of_session: true,
        });
    }
    if session && cursor.accept("AUTHORIZATION") {
        return role(cursor, "session_authorization");
    }
    if cursor.accept("TRANSACTION") {
        if cursor.accept("SNAPSHOT") {
            let error = ServerError::unsupported("exported snapshots are not supported");
            return refuse(cursor, error);
        }
        return Ok(Statement::TransactionModes {
            modes: modes(cursor)?,
            of_session: false,
        });
    }
    if cursor.accept("ROLE") {
        return role(cursor, "role");
    }
    if cursor.accept("TIME") {
        cursor.expect_word("ZONE")?;
        let value = match cursor.peek_word().as_deref() {
            Some("LOCAL" | "DEFAULT") => {
                cursor.next();
                SetValue::Default
            }
            _ => SetValue::Text(set_value(cursor)?),
        };
        return Ok(Statement::Set {
            name: "timezone".to_owned(),
            value,
            local,
        });
    }
    if cursor.accept("NAMES") {
        let value = SetValue::Text(set_value(cursor)?);
        return Ok(Statement::Set {
            name: "client_encoding".to_owned(),
            value,
            local,
        });
    }
    if cursor.accept("SCHEMA") {
        let value = SetValue::Text(quote_identifier(&cursor.string()?));
        return Ok(Statement::Set {
            name: "search_path".to_owned(),
            value,
            local,
        });
    }
    let name = dotted_name(cursor)?;
    if !cursor.accept_token(&Token::Eq) {
        cursor.expect_word("TO")?;
    }
    if cursor.accept("DEFAULT") {
        return Ok(Statement::Set {
            name,
            value: SetValue::Default,
            local,
        });
    }
    let list = name == "search_path";
    let mut text = list_item(cursor, list)?;
    if cursor.peek() == Some(&Token::Comma) && !list && name != "datestyle" {
        let text = format!("SET {name} takes only one argument");
        return refuse_set(cursor, &name, ServerError::new("22023", text));
    }
    while cursor.accept_token(&Token::Comma) {
        text.push_str(", ");
        text.push_str(&list_item(cursor, list)?);
    }
    Ok(Statement::Set {
        name,
        value: SetValue::Text(text),
        local,
    })
}

/// The error of a command, or of the name that it gives, which comes first.
fn refuse_set(cursor: &mut TokenCursor<'_>, name: &str, error: ServerError) -> Read<Statement> {
    let error = match Settings::default().set(name, None, false) {
        Err(unknown) if unknown.code() == "42704" => unknown,
        _ => error,
    };
    refuse(cursor, error)
}

fn list_item(cursor: &mut TokenCursor<'_>, identifiers: bool) -> Read<String> {
    let quoted = matches!(cursor.peek(), Some(Token::Word(word)) if word.quote_style.is_some());
    let text = set_value(cursor)?;
    let plain = text
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    Ok(if identifiers && quoted && !plain {
        quote_identifier(&text)
    } else {
        text
    })
}

fn role(cursor: &mut TokenCursor<'_>, name: &str) -> Read<Statement> {
    let value = match cursor.peek_word().as_deref() {
        Some("NONE" | "DEFAULT") => {
            cursor.next();
            SetValue::Default
        }
        _ => SetValue::Text(set_value(cursor)?),
    };
    Ok(Statement::Set {
        name: name.to_owned(),
        value,
        local: false,
    })
}

/// One value of SET: a string, a number or a word.
pub(super) fn set_value(cursor: &mut TokenCursor<'_>) -> Read<String> {
    let negative = cursor.accept_token(&Token::Minus);
    match cursor.peek() {
        Some(Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_)) if !negative => {
            cursor.string()
        }
        Some(Token::Number(digits, _)) => {
            cursor.next();
            Ok(if negative {
                format!("-{digits}")
            } else {
                digits.clone()
            })
        }
        Some(Token::Word(_)) if !negative => cursor.identifier(),
        _ => Err(cursor.syntax_error()),
    }
}

fn dotted_name(cursor: &mut TokenCursor<'_>) -> Read<String> {
    let mut name = cursor.identifier()?.to_ascii_lowercase();
    while cursor.accept_token(&Token::Period) {
        name.push('.');
        name.push_str(&cursor.identifier()?.to_ascii_lowercase());
    }
    Ok(name)
}

/// The parameter name of SHOW and RESET.
pub(super) fn parameter_name(cursor: &mut TokenCursor<'_>) -> Read<String> {
    if cursor.accept("TIME") {
        cursor.expect_word("ZONE")?;
        return Ok("timezone".to_owned());
    }
    if cursor.accept("TRANSACTION") {
        cursor.expect_word("ISOLATION")?;
        cursor.expect_word("LEVEL")?;
        return Ok("transaction_isolation".to_owned());
    }
    let name = dotted_name(cursor)?;
    if name == "session" && cursor.accept("AUTHORIZATION") {
        return Ok("session_authorization".to_owned());
    }
    Ok(name)
}
