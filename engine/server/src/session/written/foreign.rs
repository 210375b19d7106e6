//! Clauses that the parser knows from other databases. PostgreSQL has no such words there, and the planner leaves some of
//! them out in silence.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, ForClause, Query, Select, SelectFlavor, SetExpr, TableFactor, Visit as _, Visitor,
};

use super::flow;
use crate::sqlstate::{Place, ServerError};

/// Refuses what PostgreSQL does not read.
///
/// # Errors
/// 42601.
pub(in crate::session) fn check(statement: &ast::Statement) -> Result<(), ServerError> {
    match statement.visit(&mut Clauses) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Clauses;

impl Visitor for Clauses {
    type Break = ServerError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<ServerError> {
        flow(of_query(query))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<ServerError> {
        flow(of_select(select))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<ServerError> {
        flow(of_table(factor))
    }
}

fn of_query(query: &Query) -> Result<(), ServerError> {
    // Every part is named, so that none that the parser knows is left out in silence.
    let Query {
        with: _,
        body,
        order_by: _,
        limit_clause: _,
        fetch: _,
        locks: _,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    let word = match for_clause {
        Some(ForClause::Browse) => "BROWSE",
        Some(ForClause::Json { .. }) => "JSON",
        Some(ForClause::Xml { .. }) => "XML",
        None if settings.is_some() => "SETTINGS",
        None if format_clause.is_some() => "FORMAT",
        None if !pipe_operators.is_empty() => "|>",
        None => return Ok(()),
    };
    let from = match body.as_ref() {
        SetExpr::Select(select) => first_of(select),
        _ => Place::at(1, 1),
    };
    Err(ServerError::unexpected(from.next(&[word])))
}

fn of_select(select: &Select) -> Result<(), ServerError> {
    let Select {
        select_token: _,
        optimizer_hints: _,
        distinct: _,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection: _,
        exclude,
        // A table that is to be made; told of where statements are read.
        into: _,
        from: _,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by: _,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window: _,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    let has_modifiers = select_modifiers
        .as_ref()
        .is_some_and(|modifiers| modifiers.is_any_set());
    let first = first_of(select);
    let is_from_first = !matches!(flavor, SelectFlavor::Standard);
    if is_from_first || exclude.is_some() || value_table_mode.is_some() {
        let words = ["FROM", "EXCLUDE", "VALUE", "STRUCT"];
        return Err(ServerError::unexpected(first.next(&words)));
    }
    // Such a word is the alias of what stands before it.
    let known = [
        (has_modifiers, "SELECT"),
        (top.is_some(), "TOP"),
        (!lateral_views.is_empty(), "VIEW"),
        (prewhere.is_some(), "PREWHERE"),
        (!connect_by.is_empty(), "CONNECT"),
        (!cluster_by.is_empty(), "CLUSTER"),
        (!distribute_by.is_empty(), "DISTRIBUTE"),
        (!sort_by.is_empty(), "SORT"),
        (qualify.is_some(), "QUALIFY"),
    ];
    match known.iter().find(|(said, _)| *said) {
        None => Ok(()),
        Some((_, word)) => Err(ServerError::unexpected(first.behind(&[*word]))),
    }
}

/// Refuses a constant in quotes in place of a table's name.
fn of_table(factor: &TableFactor) -> Result<(), ServerError> {
    let TableFactor::Table { name, .. } = factor else {
        return Ok(());
    };
    let idents = name.0.iter().filter_map(|part| part.as_ident());
    let mut quoted = idents.filter(|ident| ident.quote_style == Some('\''));
    match quoted.next() {
        None => Ok(()),
        Some(ident) => {
            let place = Place::at(1, 1).next(&[ident.to_string().as_str()]);
            Err(ServerError::unexpected(place))
        }
    }
}

fn first_of(select: &Select) -> Place {
    let span = select.select_token.0.span;
    Place::at(span.start.line, span.start.column)
}
