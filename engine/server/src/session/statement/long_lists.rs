//! Long arrays of texts among the arguments of a function, as one token.
//!
//! A cohort of thousands of samples is `f(gt, ARRAY['S1', 'S2', …])`, and a parser makes a tree of it, name by name.
//! Here it becomes `f(gt, '{"S1","S2",…}'::text[])`, which is the same to PostgreSQL and a leaf.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};
use genokura_sql_ext::name_list;

use super::is_space;

/// Items of a list that is long.
pub(in crate::session) const LONG: usize = 64;

/// The tokens with every long list as one.
pub(super) fn folded(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if tokens.len() < 2 * LONG {
        return tokens;
    }
    let mut out: Vec<TokenWithSpan> = Vec::new();
    // Of each open parenthesis whether it follows the name of a function.
    let mut open = Vec::new();
    let mut after_name = false;
    let mut rest = tokens.as_slice();
    while let [token, after @ ..] = rest {
        if open.last() == Some(&true)
            && let Some((list, length)) = list(rest)
        {
            let span = token.span;
            let parts = [
                Token::SingleQuotedString(list),
                Token::DoubleColon,
                Token::make_word("text", None),
                Token::LBracket,
                Token::RBracket,
            ];
            out.extend(parts.map(|token| TokenWithSpan { token, span }));
            rest = rest.get(length..).unwrap_or_default();
            after_name = false;
            continue;
        }
        match &token.token {
            Token::LParen => open.push(after_name),
            Token::RParen => {
                open.pop();
            }
            // In a subquery among the arguments, arrays may be columns, which have their names of what they are.
            Token::Word(word) if word.keyword == Keyword::SELECT => {
                if let Some(open) = open.last_mut() {
                    *open = false;
                }
            }
            _ => {}
        }
        if !is_space(&token.token) {
            after_name = is_name(&token.token);
        }
        out.push(token.clone());
        rest = after;
    }
    out
}

fn is_name(token: &Token) -> bool {
    matches!(
        token,
        Token::Word(Word {
            keyword: Keyword::NoKeyword,
            ..
        })
    )
}

/// The text of a long list that stands first, and how many tokens it takes.
fn list(tokens: &[TokenWithSpan]) -> Option<(String, usize)> {
    let mut kept = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| !is_space(&token.token));
    let mut next = || kept.next().map(|(place, token)| (place, &token.token));
    match next()?.1 {
        Token::Word(word) if word.keyword == Keyword::ARRAY && word.quote_style.is_none() => {}
        _ => return None,
    }
    if *next()?.1 != Token::LBracket {
        return None;
    }
    let mut names = Vec::new();
    let end = loop {
        let (_, Token::SingleQuotedString(name)) = next()? else {
            return None;
        };
        names.push(name.as_str());
        match next()? {
            (_, Token::Comma) => {}
            (place, Token::RBracket) => break place,
            _ => return None,
        }
    };
    // What is taken of the list would be taken of the type.
    let subscripted = next().is_some_and(|(_, token)| *token == Token::LBracket);
    (names.len() >= LONG && !subscripted).then(|| (name_list::written(names), end + 1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::statement::{Statement, parse};

    fn text(sql: &str) -> String {
        match parse(sql).unwrap().remove(0).statement {
            Statement::Query(query) => query.to_string(),
            other => format!("{other:?}"),
        }
    }

    fn names(n: usize) -> String {
        let names: Vec<String> = (0..n).map(|i| format!("'S''{i}'")).collect();
        names.join(" , ")
    }

    #[test]
    fn long_lists_of_functions_are_one_constant() {
        let sql = format!("SELECT f(gt, ARRAY [ {} ], 1) FROM t", names(LONG));
        let folded = text(&sql);
        assert!(
            folded.starts_with("SELECT f(gt, '{\"S''0\",\"S''1\","),
            "{folded}"
        );
        assert!(folded.ends_with("}'::TEXT[], 1) FROM t"), "{folded}");
        let sql = format!("SELECT 1 WHERE g(f(gt, ARRAY[{}]) , 2) > 0", names(LONG));
        assert!(text(&sql).contains("::TEXT[]), 2) > 0"));
    }

    #[test]
    fn other_lists_stay_as_they_are() {
        for sql in [
            format!("SELECT f(gt, ARRAY[{}])", names(LONG - 1)),
            format!("SELECT ARRAY[{}]", names(LONG)),
            format!("SELECT (ARRAY[{}])", names(LONG)),
            format!("SELECT a = ANY(ARRAY[{}])", names(LONG)),
            format!("SELECT f(ARRAY(SELECT 1, ARRAY[{}]))", names(LONG)),
            format!("SELECT f(gt, ARRAY[{}][2])", names(LONG)),
            format!("SELECT f(gt, ARRAY[{}, 1])", names(LONG)),
            format!("SELECT f(gt, ARRAY[{}, NULL])", names(LONG)),
            format!("SELECT a IN ({})", names(LONG)),
        ] {
            assert!(!text(&sql).contains("::TEXT[]"), "{sql}");
        }
    }
}
