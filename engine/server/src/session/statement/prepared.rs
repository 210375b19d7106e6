//! PREPARE and EXECUTE, read from tokens.

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use genokura_sql_ext::dialect::Bounded;

use super::commands::{Read, read, refuse};
use super::cursor::TokenCursor;
use super::{Parsed, Statement};
use crate::sqlstate::{ServerError, from_parser};

/// How statements begin that may be prepared by SQL.
const PREPARED: [&str; 8] = [
    "DELETE", "INSERT", "MERGE", "SELECT", "TABLE", "UPDATE", "VALUES", "WITH",
];

pub(super) fn prepare(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    if cursor.accept("TRANSACTION") {
        return refuse(
            cursor,
            ServerError::unsupported("two-phase commit is not supported"),
        );
    }
    let name = cursor.identifier()?;
    let mut types = Vec::new();
    if cursor.peek() == Some(&Token::LParen) {
        types = types_of_parameters(cursor.take_parenthesised()?);
    }
    cursor.expect_word("AS")?;
    let is_query = cursor.peek() == Some(&Token::LParen);
    let word = cursor.peek_word();
    if !is_query && !word.is_some_and(|word| PREPARED.contains(&word.as_str())) {
        return Err(cursor.syntax_error());
    }
    let statement = read(cursor)?;
    let text = cursor.sql().into();
    Ok(Statement::Prepare {
        name,
        types,
        statement: Box::new(Parsed { statement, text }),
    })
}

/// The types of a list, without their modifiers: parameters have none.
fn types_of_parameters(tokens: &[TokenWithSpan]) -> Vec<String> {
    let mut types = vec![String::new()];
    let mut depth = 0_usize;
    for token in tokens {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            Token::Comma => types.push(String::new()),
            other => {
                if let Some(last) = types.last_mut() {
                    last.push_str(&other.to_string().to_ascii_lowercase());
                }
            }
        }
    }
    let words = |text: &String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    types.iter().map(words).collect()
}

pub(super) fn execute(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    let name = cursor.identifier()?;
    let mut arguments = Vec::new();
    if cursor.peek() == Some(&Token::LParen) {
        let inner = cursor.take_parenthesised()?;
        let dialect = Bounded::of(cursor.sql().len());
        let mut parser = Parser::new(&dialect).with_tokens_with_locations(inner.to_vec());
        let parsed: Result<Vec<Expr>, _> = parser.parse_comma_separated(Parser::parse_expr);
        arguments = parsed.map_err(|error| from_parser(&error, cursor.sql()))?;
    }
    Ok(Statement::Execute { name, arguments })
}
