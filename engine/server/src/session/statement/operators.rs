//! Operators that name the schema that they are of: `OPERATOR(pg_catalog.=)` is `=`, which the parser takes in more places.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// The tokens, in which operators of `pg_catalog` stand by their sign alone where that binds as strongly: what compares
/// keeps its words before a list or a subquery.
pub(super) fn plain(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_operator = |token: &TokenWithSpan| is_word(&token.token, "operator");
    if !tokens.iter().any(is_operator) {
        return tokens;
    }
    let mut read = Vec::with_capacity(tokens.len());
    let mut rest = tokens.as_slice();
    while let Some((first, tail)) = rest.split_first() {
        match named(rest) {
            Some((sign, behind)) => {
                read.push(TokenWithSpan::new(sign.clone(), first.span));
                rest = behind;
            }
            None => {
                read.push(first.clone());
                rest = tail;
            }
        }
    }
    read
}

fn is_word(token: &Token, wanted: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

fn is_blank(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_))
}

/// The sign of an operator that stands at the start of the tokens and is followed by ANY, SOME or ALL, and what is behind it.
fn named(tokens: &[TokenWithSpan]) -> Option<(&Token, &[TokenWithSpan])> {
    let mut rest = tokens;
    let mut next = || loop {
        let (first, tail) = rest.split_first()?;
        rest = tail;
        if !is_blank(first) {
            return Some(&first.token);
        }
    };
    let opened = is_word(next()?, "operator")
        && *next()? == Token::LParen
        && is_word(next()?, "pg_catalog")
        && *next()? == Token::Period;
    let sign = next().filter(|_| opened)?;
    if *next()? != Token::RParen {
        return None;
    }
    let behind = rest.iter().find(|token| !is_blank(token))?;
    let quantified = ["any", "some", "all"];
    let is_quantified = quantified.iter().any(|word| is_word(&behind.token, word));
    is_quantified.then_some((sign, rest))
}
