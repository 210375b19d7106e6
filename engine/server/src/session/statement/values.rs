//! `TABLE t` and `VALUES …` where a query may stand, as the SELECT that they are short for.
//!
//! ```text
//! x IN (TABLE t)                    ──►  x IN (SELECT * FROM t)
//! x > ANY (VALUES (1), (2))         ──►  x > ANY (SELECT column1 FROM (VALUES (1), (2)) AS "values")
//! ```
//! The parser forgets how the name of a table is written, and the planner has no subquery that is a list of rows.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Expr, Query, SetExpr, TableFactor};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Whitespace};

use super::is_space;
use genokura_sql_ext::dialect::Bounded;

/// The tokens of a query, with `SELECT * FROM` for TABLE before the name of one.
pub(super) fn tables(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    selects(tokens, false)
}

/// The same of what stands behind INSERT, where TABLE may come behind the name of a table.
pub(super) fn tables_of_insert(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    selects(tokens, true)
}

fn selects(tokens: Vec<TokenWithSpan>, of_insert: bool) -> Vec<TokenWithSpan> {
    let keyword = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    };
    if !tokens
        .iter()
        .any(|token| keyword(token) == Some(Keyword::TABLE))
    {
        return tokens;
    }
    let solid: Vec<(usize, &TokenWithSpan)> = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| !is_space(&token.token))
        .collect();
    // Behind INTO and a name.
    let is_into = |place: usize| {
        let mut before = solid.iter().take(place).map(|(_, token)| *token);
        before.next().and_then(keyword) == Some(Keyword::INTO)
            && before.all(|token| matches!(&token.token, Token::Word(_) | Token::Period))
    };
    let begins = |place: usize| match place.checked_sub(1).and_then(|place| solid.get(place)) {
        None => true,
        Some((_, before)) => match keyword(before) {
            _ if of_insert && is_into(place) => true,
            None => matches!(before.token, Token::LParen | Token::RParen),
            Some(word) => matches!(
                word,
                Keyword::UNION
                    | Keyword::INTERSECT
                    | Keyword::EXCEPT
                    | Keyword::ALL
                    | Keyword::DISTINCT
            ),
        },
    };
    // What follows a closed parenthesis may be called "table" itself.
    let is_name = |place: usize| match solid.get(place + 1) {
        Some((_, next)) => match &next.token {
            Token::Word(word) => word.quote_style.is_some() || word.keyword == Keyword::NoKeyword,
            _ => false,
        },
        None => false,
    };
    let places: Vec<usize> = solid
        .iter()
        .enumerate()
        .filter(|(place, (_, token))| {
            keyword(token) == Some(Keyword::TABLE) && begins(*place) && is_name(*place)
        })
        .map(|(_, (at, _))| *at)
        .collect();
    let mut all = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.into_iter().enumerate() {
        if places.binary_search(&at).is_err() {
            all.push(token);
            continue;
        }
        let space = || Token::Whitespace(Whitespace::Space);
        let select = [
            Token::make_keyword("SELECT"),
            space(),
            Token::Mul,
            space(),
            Token::make_keyword("FROM"),
        ];
        let span: Span = token.span;
        all.extend(select.map(|token| TokenWithSpan { token, span }));
    }
    all
}

/// Makes the rows of VALUES that stand as a subquery of an expression rows of a SELECT.
pub(super) fn selected(query: &mut ast::Statement) {
    let _: ControlFlow<()> = ast::visit_expressions_mut(query, |expr| {
        if let Expr::Subquery(subquery)
        | Expr::InSubquery { subquery, .. }
        | Expr::Exists { subquery, .. } = expr
        {
            select_of(&mut subquery.body);
        }
        ControlFlow::Continue(())
    });
}

fn select_of(body: &mut SetExpr) {
    match body {
        SetExpr::SetOperation { left, right, .. } => {
            select_of(left);
            select_of(right);
        }
        SetExpr::Query(query) => select_of(&mut query.body),
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, |row| row.content.len());
            let columns = match width {
                1 => "column1",
                _ => "*",
            };
            if let Some(mut made) =
                parsed(&format!("SELECT {columns} FROM (VALUES (0)) AS \"values\""))
                && let SetExpr::Select(select) = made.body.as_mut()
                && let Some(from) = select.from.first_mut()
                && let TableFactor::Derived { subquery, .. } = &mut from.relation
            {
                std::mem::swap(subquery.body.as_mut(), body);
                *body = *made.body;
            }
        }
        _ => {}
    }
}

pub(super) fn parsed(sql: &str) -> Option<Box<Query>> {
    let dialect = Bounded::of(sql.len());
    Parser::new(&dialect)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_query())
        .ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::super::{Statement, parse};

    fn query(sql: &str) -> String {
        match parse(sql).unwrap().remove(0).statement {
            Statement::Query(query) => query.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn tables_and_values_are_selects() {
        for (sql, select) in [
            (
                "SELECT 1 IN (TABLE \"T\")",
                "SELECT 1 IN (SELECT * FROM \"T\")",
            ),
            (
                "SELECT 1 UNION ALL TABLE a.b ORDER BY 1",
                "SELECT 1 UNION ALL SELECT * FROM a.b ORDER BY 1",
            ),
            (
                "WITH x AS (TABLE a) TABLE x LIMIT 1",
                "WITH x AS (SELECT * FROM a) SELECT * FROM x LIMIT 1",
            ),
            (
                "SELECT 1 = ANY (VALUES (1), (2))",
                "SELECT 1 = ANY(SELECT column1 FROM (VALUES (1), (2)) AS \"values\")",
            ),
            (
                "SELECT 1 > (VALUES (1))",
                "SELECT 1 > ((SELECT column1 FROM (VALUES (1)) AS \"values\"))",
            ),
        ] {
            assert_eq!(query(sql), select, "{sql}");
        }
    }
}
