//! `LIKE ANY (…)` as the operator that it is, which the parser knows beside ANY and ALL.

use std::borrow::Cow;

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::is_space;

/// The tokens with `[NOT] LIKE` and `[NOT] ILIKE` before ANY, SOME and ALL as `~~`, `!~~`, `~~*` and `!~~*`.
pub(super) fn as_operators(tokens: Cow<'_, [TokenWithSpan]>) -> Cow<'_, [TokenWithSpan]> {
    let words = tokens.iter().enumerate();
    let words = words.filter(|(_, token)| !is_space(&token.token));
    let words: Vec<(usize, Option<Keyword>)> = words
        .map(|(place, token)| (place, keyword(&token.token)))
        .collect();
    let mut operators = Vec::new();
    for (number, pair) in words.windows(2).enumerate() {
        let [
            (place, Some(like)),
            (_, Some(Keyword::ANY | Keyword::SOME | Keyword::ALL)),
        ] = pair
        else {
            continue;
        };
        let before = number.checked_sub(1).and_then(|before| words.get(before));
        let not = before.filter(|(_, word)| *word == Some(Keyword::NOT));
        let operator = match (like, not) {
            (Keyword::LIKE, None) => Token::DoubleTilde,
            (Keyword::LIKE, Some(_)) => Token::ExclamationMarkDoubleTilde,
            (Keyword::ILIKE, None) => Token::DoubleTildeAsterisk,
            (Keyword::ILIKE, Some(_)) => Token::ExclamationMarkDoubleTildeAsterisk,
            _ => continue,
        };
        operators.push((*place, not.map(|(place, _)| *place), operator));
    }
    if operators.is_empty() {
        return tokens;
    }
    let mut tokens = tokens.into_owned();
    for (place, not, operator) in operators.into_iter().rev() {
        if let Some(token) = tokens.get_mut(place) {
            token.token = operator;
        }
        if let Some(not) = not {
            tokens.remove(not);
        }
    }
    Cow::Owned(tokens)
}

fn keyword(token: &Token) -> Option<Keyword> {
    match token {
        Token::Word(Word {
            quote_style: None,
            keyword,
            ..
        }) => Some(*keyword),
        _ => None,
    }
}
