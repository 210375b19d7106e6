//! `SELECT` of no columns and of no table, which the parser does not know: one row without columns.
//!
//! ```text
//! SELECT WHERE true  ──►  SELECT FROM (VALUES (0)) AS "no table" ("no column") WHERE true
//! ```

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

/// A table of one row, apart from what stands beside it.
const SOURCE: &str = " FROM (VALUES (0)) AS \"no table\" (\"no column\")";

/// The tokens, with a table of one row in every SELECT that has neither columns nor tables.
pub(super) fn with_source(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_bare = |at: usize| {
        let mut rest = tokens.iter().skip(at);
        let is_select = rest.next().is_some_and(is_select);
        let next = rest.find(|token| !super::is_space(&token.token));
        is_select && next.is_none_or(|next| ends(&next.token))
    };
    let bare: Vec<usize> = (0..tokens.len()).filter(|at| is_bare(*at)).collect();
    if bare.is_empty() {
        return tokens;
    }
    let source = Tokenizer::new(&PostgreSqlDialect {}, SOURCE).tokenize();
    let source: Vec<Token> = source.unwrap_or_default();
    let mut all = Vec::with_capacity(tokens.len() + bare.len() * source.len());
    for (at, token) in tokens.into_iter().enumerate() {
        let span = token.span;
        all.push(token);
        if bare.binary_search(&at).is_ok() {
            let made = source.iter().cloned();
            all.extend(made.map(|token| TokenWithSpan { token, span }));
        }
    }
    all
}

fn is_select(token: &TokenWithSpan) -> bool {
    matches!(&token.token, Token::Word(word)
        if word.quote_style.is_none() && word.keyword == Keyword::SELECT)
}

/// Whether the columns of a SELECT end before this token.
fn ends(token: &Token) -> bool {
    match token {
        Token::RParen | Token::SemiColon | Token::EOF => true,
        Token::Word(word) if word.quote_style.is_none() => matches!(
            word.keyword,
            Keyword::WHERE
                | Keyword::GROUP
                | Keyword::HAVING
                | Keyword::WINDOW
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT
                | Keyword::ORDER
                | Keyword::LIMIT
                | Keyword::OFFSET
                | Keyword::FETCH
        ),
        _ => false,
    }
}
