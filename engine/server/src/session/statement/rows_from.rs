//! `ROWS FROM (f(x), g(y))` as a function of these calls, by a name that no function has: the parser knows no other.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{is_space, is_word};

/// The name.
pub(crate) const ROWS_FROM: &str = "rows from";

/// The tokens, with that name for the two words where a relation may stand.
pub(super) fn named(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let said = tokens.iter().enumerate();
    let said: Vec<(usize, &Token)> = said
        .map(|(place, token)| (place, &token.token))
        .filter(|(_, token)| !is_space(token))
        .collect();
    let places: Vec<(usize, usize)> = said
        .windows(4)
        .filter_map(|four| match four {
            [
                (_, before),
                (rows, first),
                (from, second),
                (_, Token::LParen),
            ] if (matches!(before, Token::Comma | Token::LParen)
                || is_word(before, &["FROM", "JOIN", "LATERAL"]))
                && is_word(first, &["ROWS"])
                && is_word(second, &["FROM"]) =>
            {
                Some((*rows, *from))
            }
            _ => None,
        })
        .collect();
    for (rows, from) in places.into_iter().rev() {
        if let Some(token) = tokens.get_mut(rows) {
            token.token = Token::make_word(ROWS_FROM, Some('"'));
        }
        tokens.remove(from);
    }
    tokens
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::super::{Statement, parse};

    #[test]
    fn rows_from_is_a_function() {
        let sql = "SELECT * FROM t, ROWS FROM (f(1), g(2)) WITH ORDINALITY AS x (a, b, n)";
        match parse(sql).unwrap().remove(0).statement {
            Statement::Query(query) => assert_eq!(
                query.to_string(),
                "SELECT * FROM t, \"rows from\"(f(1), g(2)) WITH ORDINALITY AS x (a, b, n)"
            ),
            other => panic!("{other:?}"),
        }
        assert!(parse("SELECT rows FROM (SELECT 1 AS rows) t").is_ok());
    }
}
