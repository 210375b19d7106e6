//! `TRIM(LEADING FROM x)` with the blank that it means, which the parser asks for.

use std::borrow::Cow;

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::is_space;

/// The tokens, with a blank where a TRIM names a side and nothing that it takes away.
pub(super) fn of_blanks(tokens: Cow<'_, [TokenWithSpan]>) -> Cow<'_, [TokenWithSpan]> {
    let said = tokens.iter().enumerate();
    let said: Vec<(usize, &Token)> = said
        .map(|(place, token)| (place, &token.token))
        .filter(|(_, token)| !is_space(token))
        .collect();
    let places: Vec<usize> = said
        .windows(4)
        .filter_map(|four| match four {
            [(_, trim), (_, Token::LParen), (place, side), (_, from)]
                if is_word(trim, &[Keyword::TRIM])
                    && is_word(side, &[Keyword::LEADING, Keyword::TRAILING, Keyword::BOTH])
                    && is_word(from, &[Keyword::FROM]) =>
            {
                Some(*place)
            }
            _ => None,
        })
        .collect();
    if places.is_empty() {
        return tokens;
    }
    let mut tokens = tokens.into_owned();
    for place in places.into_iter().rev() {
        let Some(span) = tokens.get(place).map(|token| token.span) else {
            continue;
        };
        let blank = Token::SingleQuotedString(" ".to_owned());
        tokens.insert(place + 1, TokenWithSpan { token: blank, span });
    }
    Cow::Owned(tokens)
}

fn is_word(token: &Token, words: &[Keyword]) -> bool {
    matches!(token, Token::Word(Word { quote_style: None, keyword, .. }) if words.contains(keyword))
}
