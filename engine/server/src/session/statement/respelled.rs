//! Spellings that the parser has another of: `days := 1` is `days => 1`, `int4 ARRAY[3]` is `int4[3]`, and
//! `ORDER BY x USING >` is `ORDER BY x DESC`.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::is_space;
use crate::pg_catalog::is_reserved;

/// The tokens with names of arguments before `=>`, with types of arrays in brackets, and with words for orders.
pub(super) fn respelled(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let wanted = |token: &TokenWithSpan| {
        token.token == Token::Assignment
            || is_array(&token.token)
            || is_keyword(&token.token, Keyword::USING)
    };
    if !tokens.iter().any(wanted) {
        return tokens;
    }
    let mut read: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut depth = 0_usize;
    let mut left_out = None;
    for (at, token) in tokens.iter().enumerate() {
        if left_out == Some(at) {
            continue;
        }
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Assignment if depth > 0 => {
                read.push(TokenWithSpan::new(Token::RArrow, token.span));
                continue;
            }
            word if is_keyword(word, Keyword::USING) => {
                let behind = tokens.iter().enumerate().skip(at + 1);
                let mut behind = behind.filter(|(_, token)| !is_space(&token.token));
                let order = behind.next().and_then(|(at, sign)| match sign.token {
                    Token::Lt => Some((at, "ASC")),
                    Token::Gt => Some((at, "DESC")),
                    _ => None,
                });
                if let Some((sign, order)) = order {
                    left_out = Some(sign);
                    let order = Token::make_keyword(order);
                    read.push(TokenWithSpan::new(order, token.span));
                    continue;
                }
            }
            word if is_array(word) && ends_type(&read) => {
                let behind = tokens.get(at + 1..).unwrap_or_default();
                let mut behind = behind.iter().map(|token| &token.token);
                let next: Vec<&Token> = behind.by_ref().filter(|t| !is_space(t)).take(3).collect();
                match next.as_slice() {
                    [Token::LBracket, Token::Number(..), Token::RBracket] => continue,
                    [Token::LBracket | Token::LParen, ..] => {}
                    _ => {
                        let brackets = [Token::LBracket, Token::RBracket];
                        read.extend(brackets.map(|sign| TokenWithSpan::new(sign, token.span)));
                        continue;
                    }
                }
            }
            _ => {}
        }
        read.push(token.clone());
    }
    read
}

fn is_array(token: &Token) -> bool {
    is_keyword(token, Keyword::ARRAY)
}

fn is_keyword(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word)
        if word.quote_style.is_none() && word.keyword == keyword)
}

/// Whether the tokens end in what may be the name of a type: a word that is not reserved, modifiers behind it or not.
fn ends_type(tokens: &[TokenWithSpan]) -> bool {
    let said = tokens.iter().map(|token| &token.token);
    let mut back = said.rev().filter(|token| !is_space(token)).peekable();
    if back.next_if(|token| **token == Token::RParen).is_some() {
        let modifiers = |token: &&Token| matches!(token, Token::Number(..) | Token::Comma);
        while back.next_if(modifiers).is_some() {}
        if back.next_if(|token| **token == Token::LParen).is_none() {
            return false;
        }
    }
    match back.next() {
        Some(Token::Word(word)) => {
            // Words that an expression follows, although a column may be called so.
            let goes_on = ["between", "by", "escape", "ilike", "is", "like"];
            let lower = word.value.to_ascii_lowercase();
            word.quote_style.is_some()
                || !(is_reserved(&lower) || goes_on.contains(&lower.as_str()))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    use super::*;

    #[test]
    fn types_of_arrays_are_told_from_arrays() {
        for (sql, read) in [
            ("x::int4 ARRAY", "x::int4 []"),
            (
                "(x numeric(5,2) array[3], y text Array)",
                "(x numeric(5,2) [3], y text [])",
            ),
            (
                "select array[1], f(a := array[b])",
                "select array[1], f(a => array[b])",
            ),
            (
                "x between array[1] and array [2]",
                "x between array[1] and array [2]",
            ),
            ("order by array[1]", "order by array[1]"),
            ("select array(select 1)", "select array(select 1)"),
            ("x := 1", "x := 1"),
            (
                "order by x using >, y Using < nulls first",
                "order by x DESC , y ASC  nulls first",
            ),
            ("a join b using (x)", "a join b using (x)"),
        ] {
            let mut tokens = Tokenizer::new(&PostgreSqlDialect {}, sql);
            let tokens = respelled(tokens.tokenize_with_location().unwrap());
            let text: String = tokens.iter().map(|t| t.token.to_string()).collect();
            assert_eq!(text, read);
        }
    }
}
