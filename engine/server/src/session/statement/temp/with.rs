//! `WITH … INSERT`, `WITH … UPDATE` and `WITH … DELETE`: the queries before a statement that changes a table.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Query, SetExpr};
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::super::cursor::TokenCursor;
use super::super::{Statement, is_space, is_word, query_of, read_only};
use super::{Read, TempCommand, changes, folded};
use crate::sqlstate::ServerError;

const CHANGES: [&str; 4] = ["INSERT", "UPDATE", "DELETE", "MERGE"];

/// Reads a statement that begins with WITH; None, and nothing is read, when it is a query.
pub(in super::super) fn read(cursor: &mut TokenCursor<'_>) -> Read<Option<Statement>> {
    let start = cursor.place();
    let tokens = cursor.take_rest();
    let Some(at) = change(tokens) else {
        cursor.back_to(start);
        return Ok(None);
    };
    let (before, rest) = tokens.split_at(at);
    let with = queries(before, cursor.sql())?;
    let mut rest = TokenCursor::new(rest, cursor.sql());
    let mut command = if rest.accept("INSERT") {
        changes::insert(&mut rest)?
    } else if rest.accept("UPDATE") {
        changes::update(&mut rest)?
    } else if rest.accept("DELETE") {
        changes::delete(&mut rest)?
    } else {
        return Err(read_only("MERGE"));
    };
    put(&mut command, with)?;
    Ok(Some(Statement::Temp(Box::new(command))))
}

/// Where the statement behind WITH begins, when it changes something: its word follows the last query's parenthesis.
fn change(tokens: &[TokenWithSpan]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut closed = false;
    for (at, token) in tokens.iter().enumerate() {
        match &token.token {
            token if is_space(token) => continue,
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            word if depth == 0 && closed && is_word(word, &CHANGES) => return Some(at),
            _ => {}
        }
        closed = token.token == Token::RParen && depth == 0;
    }
    None
}

/// The queries of WITH.
fn queries(tokens: &[TokenWithSpan], sql: &str) -> Read<ast::With> {
    let mut tokens = tokens.to_vec();
    let made = [
        Token::make_keyword("SELECT"),
        Token::Number("1".to_owned(), false),
    ];
    let span = Span::empty();
    tokens.extend(made.map(|token| TokenWithSpan { token, span }));
    let ast::Statement::Query(query) = *query_of(&tokens, sql)? else {
        return Err(ServerError::internal("WITH of no query"));
    };
    query
        .with
        .ok_or_else(|| ServerError::internal("WITH of no queries"))
}

/// Puts the queries where the statement reads them.
fn put(command: &mut TempCommand, queries: ast::With) -> Read<()> {
    match command {
        TempCommand::Insert {
            source,
            with,
            returning,
            conflict,
            ..
        } => {
            let update = conflict
                .as_ref()
                .and_then(|conflict| conflict.update.as_ref());
            let values = update.iter().flat_map(|update| &update.set);
            let values = values.map(|(_, value)| value);
            let conditions = update.iter().filter_map(|update| update.condition.as_ref());
            let reads = values.chain(conditions).any(|expr| reads(expr, &queries));
            if reads {
                return Err(read_elsewhere("ON CONFLICT DO UPDATE"));
            }
            told_without(returning.as_ref(), &queries)?;
            if let Some(source) = source {
                if source.with.is_some() {
                    let inner = std::mem::replace(source, Box::new(empty()));
                    *source.body = SetExpr::Query(inner);
                }
                source.with = Some(queries.clone());
            }
            *with = Some(queries);
        }
        TempCommand::Delete {
            with, returning, ..
        }
        | TempCommand::Update {
            with, returning, ..
        } => {
            told_without(returning.as_ref(), &queries)?;
            *with = Some(queries);
        }
        _ => {}
    }
    Ok(())
}

/// A query of nothing yet.
fn empty() -> Query {
    Query {
        with: None,
        body: Box::new(SetExpr::Values(ast::Values {
            explicit_row: false,
            value_keyword: false,
            rows: Vec::new(),
        })),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

/// Refuses RETURNING that reads the queries: they are computed once, before.
///
/// # Errors
/// 0A000.
fn told_without(returning: Option<&Vec<ast::SelectItem>>, queries: &ast::With) -> Read<()> {
    match returning.is_some_and(|items| reads(items, queries)) {
        true => Err(read_elsewhere("RETURNING")),
        false => Ok(()),
    }
}

fn read_elsewhere(what: &str) -> ServerError {
    let text = format!("{what} that reads a query of WITH is not supported");
    ServerError::unsupported(text).hint("Keep the query's rows in a temporary table first.")
}

/// Whether something names one of the queries as a relation.
fn reads(part: &impl ast::Visit, queries: &ast::With) -> bool {
    let names = queries.cte_tables.iter();
    let names: BTreeSet<String> = names.map(|cte| folded(&cte.alias.name)).collect();
    let found = ast::visit_relations(part, |name| match name.0.as_slice() {
        [part]
            if part
                .as_ident()
                .is_some_and(|name| names.contains(&folded(name))) =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}
