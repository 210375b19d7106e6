//! Sets of rows that begin with a parenthesis where an expression stands, which the parser does not know there:
//!
//! ```text
//! = ANY ((SELECT 1) UNION (SELECT 2))   ──►  = ANY (SELECT * FROM ((SELECT 1) UNION (SELECT 2)) AS "set")
//! SELECT ((SELECT 1) EXCEPT (SELECT 2)) ──►  SELECT (SELECT * FROM ((SELECT 1) EXCEPT (SELECT 2)) AS "set")
//! ```

use std::borrow::Cow;

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

use super::{is_space, is_word};

/// What joins queries to a set.
const JOINED: [&str; 3] = ["UNION", "EXCEPT", "INTERSECT"];
/// What a query begins with.
const BEGINS: [&str; 4] = ["SELECT", "WITH", "VALUES", "TABLE"];
/// Words that an expression may stand behind.
const BEFORE: [&str; 15] = [
    "ALL", "AND", "ANY", "BETWEEN", "BY", "CASE", "ELSE", "HAVING", "NOT", "ON", "OR", "SELECT",
    "SOME", "THEN", "WHEN",
];

/// The tokens, with such sets as the rows of a subquery.
pub(super) fn as_queries(tokens: Cow<'_, [TokenWithSpan]>) -> Cow<'_, [TokenWithSpan]> {
    if !tokens.iter().any(|token| is_word(&token.token, &JOINED)) {
        return tokens;
    }
    let said = tokens.iter().enumerate();
    let said: Vec<(usize, &Token)> = said
        .map(|(place, token)| (place, &token.token))
        .filter(|(_, token)| !is_space(token))
        .collect();
    // Where each parenthesis closes.
    let mut closes = vec![None; said.len()];
    let mut open = Vec::new();
    for (at, (_, token)) in said.iter().enumerate() {
        match token {
            Token::LParen => open.push(at),
            Token::RParen => {
                if let Some(close) = open.pop().and_then(|start: usize| closes.get_mut(start)) {
                    *close = Some(at);
                }
            }
            _ => {}
        }
    }
    let token = |at: usize| said.get(at).map(|(_, token)| *token);
    let mut inserts: Vec<(usize, bool)> = Vec::new();
    for (at, (place, _)) in said.iter().enumerate() {
        let (Some(Some(end)), Some(before)) = (closes.get(at), at.checked_sub(1).and_then(token))
        else {
            continue;
        };
        let behind = match before {
            Token::Word(_) => is_word(before, &BEFORE) || is_word(before, &["WHERE"]),
            Token::RParen | Token::RBracket => false,
            _ => true,
        };
        if !behind || token(at + 1) != Some(&Token::LParen) || !begins(&said, at + 1) {
            continue;
        }
        let Some(Some(first)) = closes.get(at + 1) else {
            continue;
        };
        let is_set = token(first + 1).is_some_and(|token| is_word(token, &JOINED));
        if is_set && let Some((close, _)) = said.get(*end) {
            inserts.push((place + 1, true));
            inserts.push((*close, false));
        }
    }
    if inserts.is_empty() {
        return tokens;
    }
    inserts.sort_unstable();
    let mut all = Vec::with_capacity(tokens.len() + inserts.len() * 8);
    let mut inserts = inserts.into_iter().peekable();
    for (place, token) in tokens.iter().enumerate() {
        while let Some((_, opens)) = inserts.next_if(|(at, _)| *at == place) {
            let made = match opens {
                true => around_begin(),
                false => around_end(),
            };
            let span = token.span;
            all.extend(made.into_iter().map(|token| TokenWithSpan { token, span }));
        }
        all.push(token.clone());
    }
    Cow::Owned(all)
}

/// Whether the first word behind parentheses that begin here is that of a query.
fn begins(said: &[(usize, &Token)], at: usize) -> bool {
    let inner = said.iter().skip(at).map(|(_, token)| *token);
    let mut words = inner.skip_while(|token| **token == Token::LParen);
    words.next().is_some_and(|token| is_word(token, &BEGINS))
}

fn space() -> Token {
    Token::Whitespace(Whitespace::Space)
}

fn around_begin() -> Vec<Token> {
    vec![
        Token::make_keyword("SELECT"),
        space(),
        Token::Mul,
        space(),
        Token::make_keyword("FROM"),
        space(),
        Token::LParen,
    ]
}

fn around_end() -> Vec<Token> {
    vec![
        Token::RParen,
        space(),
        Token::make_keyword("AS"),
        space(),
        Token::make_word("set", Some('"')),
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    use super::*;

    #[test]
    fn sets_in_expressions_are_queries() {
        for (sql, read) in [
            (
                "x = ANY ((SELECT 1) UNION (SELECT 2))",
                "x = ANY (SELECT * FROM ((SELECT 1) UNION (SELECT 2)) AS \"set\")",
            ),
            (
                "SELECT ((SELECT 1) EXCEPT (SELECT 2)) + 1",
                "SELECT (SELECT * FROM ((SELECT 1) EXCEPT (SELECT 2)) AS \"set\") + 1",
            ),
            (
                "x IN ((SELECT 1) UNION (SELECT 2))",
                "x IN ((SELECT 1) UNION (SELECT 2))",
            ),
            (
                "FROM ((SELECT 1) UNION (SELECT 2)) q",
                "FROM ((SELECT 1) UNION (SELECT 2)) q",
            ),
            ("(SELECT 1) UNION (SELECT 2)", "(SELECT 1) UNION (SELECT 2)"),
            (
                "SELECT (1 + (2)) UNION SELECT 2",
                "SELECT (1 + (2)) UNION SELECT 2",
            ),
        ] {
            let mut tokens = Tokenizer::new(&PostgreSqlDialect {}, sql);
            let tokens = tokens.tokenize_with_location().unwrap();
            let text: String = as_queries(Cow::Owned(tokens))
                .iter()
                .map(|token| token.token.to_string())
                .collect();
            assert_eq!(text, read);
        }
    }
}
