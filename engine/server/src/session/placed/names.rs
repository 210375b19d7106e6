//! Names of columns that are wrong: where they stand, and which table was meant.

use std::ops::ControlFlow;

use datafusion::execution::context::SessionContext;
use datafusion::sql::sqlparser::ast::{
    self, Expr, Function, Ident, JoinConstraint, JoinOperator, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, Spanned as _, TableFactor, Visit as _, Visitor,
};

use super::said::field_of_row;
use super::start::{of, of_ident};
use crate::session::rewrite::{self, folded};
use crate::sqlstate::{Place, ServerError};

/// The error about a column or a table, which has no place but that of a word.
pub(super) fn placed(
    error: ServerError,
    message: &str,
    statement: &ast::Statement,
    context: &SessionContext,
) -> ServerError {
    let names = named(statement, context);
    if let Some(table) = quoted(message, "missing FROM-clause entry for table ") {
        return missing(error, &table, &names);
    }
    let column = match error.code() {
        "42803" => quoted(message, "column "),
        "42702" => quoted(message, "column reference "),
        _ => quoted(message, "column ").or_else(|| {
            let name = message.strip_prefix("column ")?;
            name.strip_suffix(" does not exist").map(str::to_owned)
        }),
    };
    let Some(column) = column else {
        return error;
    };
    let is_grouped = error.code() == "42803";
    if is_grouped && column.contains(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))) {
        return ungrouped(error, statement, context);
    }
    let parts: Vec<&str> = column.split('.').collect();
    let is = |found: &&Found| {
        let known: Vec<&str> = found.parts.iter().map(String::as_str).collect();
        let same = match (known.as_slice(), parts.as_slice()) {
            // Where rows are grouped, a column is told by its whole name.
            ([name], [.., last]) if is_grouped => name == last,
            ([.., table, name], [asked, last]) => name == last && table == asked,
            (known, asked) => known == asked,
        };
        same && !(is_grouped && found.aggregated)
    };
    let place = names
        .found
        .iter()
        .find(is)
        .and_then(|found| found.place.clone());
    let star = names.stars.first().cloned().filter(|_| is_grouped);
    error.place(place.or(star))
}

/// The names of columns in a part of a statement.
fn named<'a>(part: &impl ast::Visit, context: &'a SessionContext) -> Names<'a> {
    let mut names = Names {
        context,
        within: Vec::new(),
        scopes: Vec::new(),
        found: Vec::new(),
        stars: Vec::new(),
    };
    let _: ControlFlow<()> = part.visit(&mut names);
    names
}

/// HAVING makes one group of all rows: the first column that is shown or asked for beside aggregates is the wrong one.
fn ungrouped(
    error: ServerError,
    statement: &ast::Statement,
    context: &SessionContext,
) -> ServerError {
    struct Having<'a> {
        context: &'a SessionContext,
        first: Option<(String, Option<Place>)>,
    }
    impl Visitor for Having<'_> {
        type Break = ();

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            let Some(having) = &select.having else {
                return ControlFlow::Continue(());
            };
            let listed = select.projection.iter().filter_map(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    Some(expr)
                }
                _ => None,
            });
            for expr in listed.chain(std::iter::once(having)) {
                let found = named(expr, self.context).found;
                let Some(found) = found.into_iter().find(|found| !found.aggregated) else {
                    continue;
                };
                let name = match (found.parts.as_slice(), tables(select).as_slice()) {
                    ([.., table, column], _) => Some(format!("{table}.{column}")),
                    ([column], [(table, alias, _)]) => {
                        Some(format!("{}.{column}", alias.as_ref().unwrap_or(table)))
                    }
                    _ => None,
                };
                self.first = name.map(|name| (name, found.place));
                break;
            }
            ControlFlow::Break(())
        }
    }
    let mut having = Having {
        context,
        first: None,
    };
    let _: ControlFlow<()> = statement.visit(&mut having);
    match having.first {
        Some((name, place)) => {
            let text = format!(
                "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
            );
            ServerError::new("42803", text).place(place)
        }
        None => error,
    }
}

/// The error about a field of a column of the query around, by the whole name of which: a column is no row, so that the
/// name before the point is that of a table.
pub(super) fn of_outer(
    error: ServerError,
    column: &str,
    statement: &ast::Statement,
    context: &SessionContext,
) -> ServerError {
    let table = column.rsplit('.').next().unwrap_or(column);
    let names = named(statement, context);
    let found = names
        .found
        .iter()
        .find(|found| match found.parts.as_slice() {
            [of, _] => of == table,
            _ => false,
        });
    let Some(found) = found else {
        return error;
    };
    let (code, text) = match (&found.sees, found.parts.last()) {
        (Sees::Own | Sees::Outer, Some(name)) => {
            ("42703", format!("column {table}.{name} does not exist"))
        }
        _ => (
            "42P01",
            format!("missing FROM-clause entry for table \"{table}\""),
        ),
    };
    ServerError::new(code, text).place(found.place.clone())
}

/// The error about an `=` that the statement does not have: one that USING stands for.
pub(super) fn joined(error: ServerError, statement: &ast::Statement) -> ServerError {
    struct Using(bool);
    impl Visitor for Using {
        type Break = ();

        fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
            let mut joins = select.from.iter().flat_map(|tables| &tables.joins);
            self.0 |= joins.any(|join| match &join.join_operator {
                JoinOperator::Join(constraint)
                | JoinOperator::Inner(constraint)
                | JoinOperator::Left(constraint)
                | JoinOperator::LeftOuter(constraint)
                | JoinOperator::Right(constraint)
                | JoinOperator::RightOuter(constraint)
                | JoinOperator::FullOuter(constraint) => matches!(
                    constraint,
                    JoinConstraint::Using(_) | JoinConstraint::Natural
                ),
                _ => false,
            });
            ControlFlow::Continue(())
        }
    }
    let mut using = Using(false);
    let _: ControlFlow<()> = statement.visit(&mut using);
    let message = error.to_string();
    let types = message
        .strip_prefix("operator does not exist: ")
        .and_then(|types| types.split_once(" = "));
    match types.filter(|_| using.0) {
        Some((left, right)) => {
            let text = format!("JOIN/USING types {left} and {right} cannot be matched");
            ServerError::new("42804", text)
        }
        None => error,
    }
}

/// What a message has in quotes behind some words.
fn quoted(message: &str, words: &str) -> Option<String> {
    let rest = message.strip_prefix(words)?.strip_prefix('"')?;
    Some(rest.split_once('"')?.0.to_owned())
}

/// A column of a table that FROM does not have, or has elsewhere, or under another name.
fn missing(error: ServerError, table: &str, names: &Names<'_>) -> ServerError {
    let of_table = |found: &&Found| {
        let mut parts = found.parts.iter().rev();
        parts.next();
        parts.next().is_some_and(|part| part == table)
    };
    let named: Vec<&Found> = names.found.iter().filter(of_table).collect();
    let Some(wrong) = named.iter().find(|found| found.sees != Sees::Own) else {
        return error;
    };
    let place = wrong.place.clone();
    let text = format!("invalid reference to FROM-clause entry for table \"{table}\"");
    match &wrong.sees {
        // The planner looks for it in the subquery alone.
        Sees::Outer => {
            let column = wrong.parts.last().map_or("", String::as_str);
            let text = format!("column {table}.{column} does not exist");
            ServerError::new("42703", text).place(place)
        }
        Sees::Called(alias) => ServerError::new("42P01", text)
            .hint(format!(
                "Perhaps you meant to reference the table alias \"{alias}\"."
            ))
            .place(place),
        Sees::Beside => ServerError::new("42P01", text)
            .detail(format!(
                "There is an entry for table \"{table}\", but it cannot be referenced from this part of the query."
            ))
            .hint("To reference that table, you must mark this subquery with LATERAL.")
            .place(place),
        Sees::Own | Sees::Nothing => error.place(place),
    }
}

/// A name of a column in an expression.
struct Found {
    parts: Vec<String>,
    place: Option<Place>,
    /// Among the arguments of an aggregate.
    aggregated: bool,
    sees: Sees,
}

/// Which table of FROM the name of a column means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sees {
    /// One of its own query, or none is named.
    Own,
    /// One of a query around.
    Outer,
    /// One that is called otherwise there.
    Called(String),
    /// One beside the subquery that it stands in.
    Beside,
    Nothing,
}

/// The name of a table, what it is called, and where it stands.
type Named = (String, Option<String>, Option<(u64, u64)>);

/// What a SELECT has in FROM.
struct Scope {
    tables: Vec<Named>,
    /// Whether it is a subquery in FROM, which does not see the tables beside it.
    is_closed: bool,
}

struct Names<'a> {
    context: &'a SessionContext,
    /// Of each call around whether it is of an aggregate.
    within: Vec<bool>,
    scopes: Vec<Scope>,
    found: Vec<Found>,
    /// Places of asterisks in lists of columns.
    stars: Vec<Place>,
}

impl Visitor for Names<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.scopes.push(Scope {
            tables: tables(select),
            is_closed: false,
        });
        for item in &select.projection {
            match item {
                SelectItem::Wildcard(_) => self.stars.extend(of(item.span())),
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    _,
                ) => {
                    self.stars.extend(of(name.span()));
                    let idents = name.0.iter().filter_map(ast::ObjectNamePart::as_ident);
                    let mut parts: Vec<&Ident> = idents.collect();
                    let star = Ident::new("*");
                    parts.push(&star);
                    self.name(&parts);
                }
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &Select) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { lateral: false, .. } = factor {
            self.scopes.push(Scope {
                tables: Vec::new(),
                is_closed: true,
            });
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { lateral: false, .. } = factor {
            self.scopes.pop();
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.within.push(false);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.within.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => self.name(&[name]),
            Expr::CompoundIdentifier(names) => self.name(&names.iter().collect::<Vec<_>>()),
            Expr::CompoundFieldAccess { .. } => {
                if let Some((table, column)) = field_of_row(expr) {
                    self.name(&[table, column]);
                }
            }
            Expr::Function(function) => self.within.push(self.aggregates(function)),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(_) = expr {
            self.within.pop();
        }
        ControlFlow::Continue(())
    }
}

impl Names<'_> {
    fn aggregates(&self, function: &Function) -> bool {
        let name = rewrite::function_name(function);
        let state = self.context.state_ref();
        let known = state.read().aggregate_functions().contains_key(&name);
        known && function.over.is_none()
    }

    fn name(&mut self, names: &[&Ident]) {
        let parts: Vec<String> = names.iter().map(|name| folded(name)).collect();
        let place = names.first().and_then(|first| of_ident(first));
        let start = names.first().map(|first| first.span.start);
        let sees = match parts.as_slice() {
            [.., table, _] => self.table(table, start.map(|at| (at.line, at.column))),
            _ => Sees::Own,
        };
        self.found.push(Found {
            parts,
            place,
            aggregated: self.within.last() == Some(&true),
            sees,
        });
    }

    /// Which table a name means that stands at this place.
    fn table(&self, name: &str, at: Option<(u64, u64)>) -> Sees {
        let mut closed = false;
        let mut depth = 0;
        let mut other = Sees::Nothing;
        for scope in self.scopes.iter().rev() {
            if scope.is_closed {
                closed = true;
                continue;
            }
            for (table, alias, place) in &scope.tables {
                let called = alias.as_ref().unwrap_or(table);
                let is_before = matches!((place, at), (Some(place), Some(at)) if *place < at);
                if called == name {
                    match (closed, depth) {
                        (true, _) if is_before && other == Sees::Nothing => other = Sees::Beside,
                        (true, _) => {}
                        (false, 0) => return Sees::Own,
                        (false, _) => return Sees::Outer,
                    }
                } else if table == name && !closed && other == Sees::Nothing {
                    other = Sees::Called(called.clone());
                }
            }
            // Only the query right around a subquery in FROM has tables beside it.
            closed = false;
            depth += 1;
        }
        other
    }
}

fn tables(select: &Select) -> Vec<Named> {
    let mut found = Vec::new();
    for tables in &select.from {
        let joined = tables.joins.iter().map(|join| &join.relation);
        for factor in std::iter::once(&tables.relation).chain(joined) {
            let (name, alias) = match factor {
                TableFactor::Table { name, alias, .. } => (Some(name), alias),
                TableFactor::Derived { alias, .. } | TableFactor::UNNEST { alias, .. } => {
                    (None, alias)
                }
                _ => continue,
            };
            let alias_name = alias.as_ref().map(|alias| folded(&alias.name));
            let start = match (name, alias) {
                (Some(name), _) => Some(name.span().start),
                (None, Some(alias)) => Some(alias.name.span.start),
                (None, None) => None,
            };
            let place = start
                .filter(|start| start.line > 0)
                .map(|start| (start.line, start.column));
            let table = name.map(rewrite::last_part);
            if let Some(table) = table.or_else(|| alias_name.clone()) {
                found.push((table, alias_name, place));
            }
        }
    }
    found
}
