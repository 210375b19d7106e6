//! serial and identity columns.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::super::cursor::TokenCursor;
use super::super::is_word;
use super::{Read, folded};
use crate::sqlstate::ServerError;

/// A column that a sequence fills.
#[derive(Clone, Debug)]
pub struct GeneratedDef {
    /// GENERATED ALWAYS; None: serial.
    pub always: Option<bool>,
    /// The sequence.
    pub sequence: SequenceDef,
}

/// What is said of a sequence.
#[derive(Clone, Debug, Default)]
pub struct SequenceDef {
    /// START.
    pub start: Option<i64>,
    /// INCREMENT.
    pub increment: Option<i64>,
    /// MINVALUE.
    pub min: Option<i64>,
    /// MAXVALUE.
    pub max: Option<i64>,
    /// CYCLE.
    pub cycle: bool,
}

/// The type that a serial column has.
pub(super) fn of_serial(data_type: &ast::DataType) -> Option<ast::DataType> {
    let ast::DataType::Custom(name, modifiers) = data_type else {
        return None;
    };
    let name = name.0.last()?.as_ident().map(folded)?;
    if !modifiers.is_empty() {
        return None;
    }
    match name.as_str() {
        "serial" | "serial4" => Some(ast::DataType::Integer(None)),
        "bigserial" | "serial8" => Some(ast::DataType::BigInt(None)),
        "smallserial" | "serial2" => Some(ast::DataType::SmallInt(None)),
        _ => None,
    }
}

/// The tokens of a column without what stands in parentheses after IDENTITY, and that.
pub(super) fn identity(
    rest: &[TokenWithSpan],
    sql: &str,
) -> Read<(Vec<TokenWithSpan>, SequenceDef)> {
    let mut depth = 0_usize;
    for (at, token) in rest.iter().enumerate() {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            token if depth == 0 && is_word(token, &["IDENTITY"]) => {
                let behind = rest.get(at + 1..).unwrap_or_default();
                let mut cursor = TokenCursor::new(behind, sql);
                if cursor.peek() != Some(&Token::LParen) {
                    continue;
                }
                let inner = cursor.take_parenthesised()?;
                let mut kept = rest.get(..=at).unwrap_or_default().to_vec();
                kept.extend_from_slice(cursor.take_rest());
                return Ok((kept, sequence(&mut TokenCursor::new(inner, sql))?));
            }
            _ => {}
        }
    }
    Ok((rest.to_vec(), SequenceDef::default()))
}

/// What is said of a sequence, in any order.
fn sequence(cursor: &mut TokenCursor<'_>) -> Read<SequenceDef> {
    let mut said = SequenceDef::default();
    while !cursor.at_end() {
        let no = cursor.accept("NO");
        let word = cursor.peek_word().unwrap_or_default();
        cursor.next();
        match word.as_str() {
            "MINVALUE" if no => said.min = None,
            "MAXVALUE" if no => said.max = None,
            "CYCLE" => said.cycle = !no,
            "MINVALUE" => said.min = Some(whole(cursor)?),
            "MAXVALUE" => said.max = Some(whole(cursor)?),
            "START" => {
                cursor.accept("WITH");
                said.start = Some(whole(cursor)?);
            }
            "INCREMENT" => {
                cursor.accept("BY");
                said.increment = Some(whole(cursor)?);
            }
            // There is nobody else to keep values from.
            "CACHE" => {
                whole(cursor)?;
            }
            _ => return Err(cursor.syntax_error()),
        }
    }
    Ok(said)
}

/// A whole number with its sign.
fn whole(cursor: &mut TokenCursor<'_>) -> Read<i64> {
    let minus = cursor.accept_token(&Token::Minus);
    if !minus {
        cursor.accept_token(&Token::Plus);
    }
    let Some(Token::Number(digits, _)) = cursor.peek() else {
        return Err(cursor.syntax_error());
    };
    cursor.next();
    let text = format!("{}{digits}", if minus { "-" } else { "" });
    text.parse().map_err(|_| {
        let text = format!("value \"{text}\" is out of range for type bigint");
        ServerError::new("22003", text)
    })
}
