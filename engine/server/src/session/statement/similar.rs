//! `substring(x SIMILAR p ESCAPE e)` as `substring(x, p, e)`, which the parser knows.

use std::borrow::Cow;

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{is_space, is_word};

/// The tokens, with commas where such a call has words.
pub(super) fn as_arguments(tokens: Cow<'_, [TokenWithSpan]>) -> Cow<'_, [TokenWithSpan]> {
    if !tokens
        .iter()
        .any(|token| is_word(&token.token, &["SIMILAR"]))
    {
        return tokens;
    }
    let said = tokens.iter().enumerate();
    let said: Vec<(usize, &Token)> = said
        .map(|(place, token)| (place, &token.token))
        .filter(|(_, token)| !is_space(token))
        .collect();
    let mut commas = Vec::new();
    for (at, pair) in said.windows(2).enumerate() {
        if let [(_, name), (_, Token::LParen)] = pair
            && is_word(name, &["SUBSTRING"])
        {
            commas.extend(words(said.get(at + 2..).unwrap_or_default()));
        }
    }
    if commas.is_empty() {
        return tokens;
    }
    let mut tokens = tokens.into_owned();
    for place in commas {
        if let Some(token) = tokens.get_mut(place) {
            token.token = Token::Comma;
        }
    }
    Cow::Owned(tokens)
}

/// The places of SIMILAR and ESCAPE among the arguments that begin here.
fn words(tokens: &[(usize, &Token)]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut depth = 0usize;
    for (at, (place, token)) in tokens.iter().enumerate() {
        match token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen if depth == 0 => break,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            token if found.is_empty() && is_word(token, &["SIMILAR"]) => {
                let next = tokens.get(at + 1).map(|(_, next)| *next);
                if !next.is_some_and(|next| is_word(next, &["TO"])) {
                    found.push(*place);
                }
            }
            token if found.len() == 1 && is_word(token, &["ESCAPE"]) => found.push(*place),
            _ => {}
        }
    }
    match found.len() {
        2 => found,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::super::{Statement, parse};

    #[test]
    fn words_of_substring_are_commas() {
        for (sql, read) in [
            (
                "SELECT substring(x SIMILAR f(y, z) ESCAPE '#')",
                "SELECT SUBSTRING(x, f(y, z), '#')",
            ),
            (
                "SELECT substring(x SIMILAR TO y, 2)",
                "SELECT SUBSTRING(x SIMILAR TO y, 2)",
            ),
        ] {
            match parse(sql).unwrap().remove(0).statement {
                Statement::Query(query) => assert_eq!(query.to_string(), read),
                other => panic!("{other:?}"),
            }
        }
        assert!(parse("SELECT substring(x SIMILAR y)").is_err());
    }
}
