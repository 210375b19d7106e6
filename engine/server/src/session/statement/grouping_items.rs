//! Grouping sets within grouping sets, which are sets beside the others: `GROUPING SETS (GROUPING SETS (a, b), c)`. The
//! parser has none.
//!
//! Items of grouping sets that begin with a parenthesis and are no list: `CUBE ((a)[2])`, `ROLLUP ((a + 1) * 2, b)`. The
//! parser takes the parenthesis for that of a list, and so they are put into another one.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{is_space, is_word};

/// The tokens, with the sets of grouping sets within others among those.
pub(super) fn flat(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let said = tokens.iter().enumerate();
    let said: Vec<(usize, &Token)> = said
        .map(|(place, token)| (place, &token.token))
        .filter(|(_, token)| !is_space(token))
        .collect();
    // For each parenthesis that is open whether it is one of grouping sets, and whether it is left out.
    let mut open: Vec<(bool, bool)> = Vec::new();
    let mut left_out: Vec<usize> = Vec::new();
    for (at, (place, token)) in said.iter().enumerate() {
        match token {
            Token::LParen => {
                let word = |back: usize| at.checked_sub(back).and_then(|at| said.get(at));
                let is = |back: usize, word_is: &str| {
                    word(back).is_some_and(|(_, token)| is_word(token, &[word_is]))
                };
                let of_sets = is(1, "SETS") && is(2, "GROUPING");
                let within = of_sets && matches!(open.last(), Some((true, _)));
                if within {
                    left_out.extend([1, 2].into_iter().filter_map(word).map(|(at, _)| *at));
                    left_out.push(*place);
                }
                open.push((of_sets, within));
            }
            Token::RParen => {
                if let Some((_, true)) = open.pop() {
                    left_out.push(*place);
                }
            }
            _ => {}
        }
    }
    if left_out.is_empty() {
        return tokens;
    }
    let kept = tokens.into_iter().enumerate();
    kept.filter(|(place, _)| !left_out.contains(place))
        .map(|(_, token)| token)
        .collect()
}

/// The tokens, with such items in parentheses.
pub(super) fn wrapped(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let begins = |token: &TokenWithSpan| is_word(&token.token, &["CUBE", "ROLLUP", "SETS"]);
    if !tokens.iter().any(begins) {
        return tokens;
    }
    let words = tokens.iter().enumerate();
    let words: Vec<(usize, &Token)> = words
        .map(|(place, token)| (place, &token.token))
        .filter(|(_, token)| !is_space(token))
        .collect();
    let mut marks: Vec<(usize, Token)> = Vec::new();
    for (at, pair) in words.windows(2).enumerate() {
        if let [(_, word), (_, Token::LParen)] = pair
            && is_word(word, &["CUBE", "ROLLUP", "SETS"])
            && let Some(rest) = words.get(at + 2..)
        {
            marks.extend(of_items(rest));
        }
    }
    if marks.is_empty() {
        return tokens;
    }
    let mut all = Vec::with_capacity(tokens.len() + marks.len());
    for (at, token) in tokens.into_iter().enumerate() {
        let span = token.span;
        let made = marks.iter().filter(|(place, _)| *place == at);
        all.extend(made.map(|(_, mark)| TokenWithSpan {
            token: mark.clone(),
            span,
        }));
        all.push(token);
    }
    all
}

/// Parentheses around the items that need them, each before the token of its place.
fn of_items(tokens: &[(usize, &Token)]) -> Vec<(usize, Token)> {
    let mut marks = Vec::new();
    let (mut depth, mut begin) = (0usize, 0);
    for (at, (place, token)) in tokens.iter().enumerate() {
        match token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::Comma | Token::RParen if depth == 0 => {
                let item = tokens.get(begin..at).unwrap_or_default();
                if let Some((first, _)) = item.first().filter(|_| goes_on(item)) {
                    marks.push((*first, Token::LParen));
                    marks.push((*place, Token::RParen));
                }
                if matches!(token, Token::RParen) {
                    return marks;
                }
                begin = at + 1;
            }
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    // The parenthesis has no end.
    Vec::new()
}

/// Whether an item goes on behind the parenthesis that it begins with.
fn goes_on(item: &[(usize, &Token)]) -> bool {
    if !matches!(item.first(), Some((_, Token::LParen))) {
        return false;
    }
    let mut depth = 0usize;
    let end = item.iter().position(|(_, token)| {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    });
    end.is_some_and(|end| end + 1 < item.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::parse;

    #[test]
    fn items_of_grouping_sets_may_begin_with_a_parenthesis() {
        for by in [
            "CUBE ((a)[2])",
            "ROLLUP ((a + 1) * 2, (b, c), (d)::text)",
            "GROUPING SETS ((), (a), (a, (b)::int), (a) || b)",
            "GROUPING SETS (GROUPING SETS (a, (b, c)), GROUPING SETS (GROUPING SETS (()), ROLLUP (a)))",
        ] {
            assert!(
                parse(&format!("SELECT 1 FROM t GROUP BY {by}")).is_ok(),
                "{by}"
            );
        }
        assert!(parse("SELECT 1 FROM t GROUP BY CUBE ((a)[2)").is_err());
        assert!(parse("SELECT 1 FROM t GROUP BY CUBE ((a) b)").is_err());
    }
}
