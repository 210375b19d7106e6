//! Errors that are known by what they say: their place, and PostgreSQL's words where those hang on how the statement is
//! written.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::execution::context::SessionContext;
use datafusion::sql::sqlparser::ast::{
    self, AccessExpr, Expr, Query, SelectItem, SetExpr, Subscript, TableFactor, Value, Visit as _,
    Visitor,
};

use super::names;
use super::start::{end, of_ident, start};
use crate::session::rewrite::{self, folded};
use crate::sqlstate::{Place, ServerError};

/// The error, which has no place yet.
pub(super) fn placed(
    error: ServerError,
    statement: &ast::Statement,
    context: &SessionContext,
) -> ServerError {
    let message = error.to_string();
    let place = |of: &dyn Fn(&Expr) -> Option<Place>| only(statement, of);
    match error.code() {
        "42P02" => {
            let number = message.strip_prefix("there is no parameter ");
            let found = first(statement, &|expr| match expr {
                Expr::Value(value) => match &value.value {
                    Value::Placeholder(name) if Some(name.as_str()) == number => start(expr),
                    _ => None,
                },
                _ => None,
            });
            error.place(found)
        }
        "0A000" => match message.strip_prefix(OF_OUTER) {
            Some(column) => names::of_outer(error, column, statement, context),
            None => error,
        },
        "42P10" => distinct_or_named(error, &message, statement),
        "42601" if message == "subquery has too many columns" => one_column(error, statement),
        "42601" if message.starts_with("unequal number of entries") => {
            error.place(first(statement, &unequal))
        }
        "42809" if message.starts_with("op ANY/ALL") => error.place(place(&|expr| match expr {
            Expr::AnyOp {
                left, compare_op, ..
            }
            | Expr::AllOp {
                left, compare_op, ..
            } => Some(end(left)?.next(&[&compare_op.to_string()])),
            _ => None,
        })),
        "42809" if message.starts_with("a field of type ") => field(error, &message, statement),
        "42702" | "42703" | "42803" | "42P01" => names::placed(error, &message, statement, context),
        "42804" if message.starts_with("ARRAY types ") => error.place(place(&|expr| match expr {
            Expr::Array(array) => match array.elem.as_slice() {
                [_, second] => start(second),
                _ => None,
            },
            _ => None,
        })),
        "42804" if message.starts_with("cannot subscript type ") => {
            error.place(place(&|expr| match expr {
                Expr::CompoundFieldAccess { root, .. } => start(root),
                _ => None,
            }))
        }
        "42704" if message.starts_with("collation ") => {
            let found = place(&|expr| match expr {
                Expr::Collate { expr, .. } => Some(end(expr)?.next(&["COLLATE"])),
                _ => None,
            });
            error.place(found)
        }
        _ => error,
    }
}

/// What the planner says of `b.y` beside a column `b` of the query around.
const OF_OUTER: &str = "Nested identifiers are not yet supported for OuterReferenceColumn ";

/// The place of the only expression that has one by this.
fn only(statement: &ast::Statement, of: &dyn Fn(&Expr) -> Option<Place>) -> Option<Place> {
    let places = all(statement, of);
    match places.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    }
}

/// The place of the first such expression.
fn first(statement: &ast::Statement, of: &dyn Fn(&Expr) -> Option<Place>) -> Option<Place> {
    all(statement, of).into_iter().next()
}

fn all(statement: &ast::Statement, of: &dyn Fn(&Expr) -> Option<Place>) -> Vec<Place> {
    let mut places = Vec::new();
    let _: ControlFlow<()> = ast::visit_expressions(statement, |expr| {
        places.extend(of(expr));
        ControlFlow::Continue(())
    });
    places
}

/// Rows of different lengths side by side.
fn unequal(expr: &Expr) -> Option<Place> {
    let Expr::BinaryOp { left, op, right } = expr else {
        return None;
    };
    let length = |side: &Expr| match side {
        Expr::Tuple(items) => Some(items.len()),
        Expr::Function(function) if rewrite::is_call_of(function, "row") => {
            Some(rewrite::call_arguments(function).len())
        }
        _ => None,
    };
    match (length(left), length(right)) {
        (Some(l), Some(r)) if l != r => Some(end(left)?.next(&[&op.to_string()])),
        _ => None,
    }
}

/// Columns that a query lists; `None` when it has a wildcard.
pub(in crate::session) fn width(body: &SetExpr) -> Option<usize> {
    match body {
        SetExpr::Select(select) => {
            let is_plain = |item: &SelectItem| {
                matches!(
                    item,
                    SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
                )
            };
            let plain = select.projection.iter().all(is_plain);
            plain.then_some(select.projection.len())
        }
        SetExpr::Query(query) => width(&query.body),
        SetExpr::SetOperation { left, .. } => width(left),
        SetExpr::Values(values) => values.rows.first().map(|row| row.content.len()),
        _ => None,
    }
}

/// A subquery of several columns where one is wanted.
fn one_column(error: ServerError, statement: &ast::Statement) -> ServerError {
    let wide = |query: &Query| width(&query.body) != Some(1);
    let among = first(statement, &|expr| match expr {
        Expr::InSubquery { expr, subquery, .. } if wide(subquery) => {
            Some(end(expr)?.next(&["NOT", "IN"]))
        }
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        }
        | Expr::AllOp {
            left,
            compare_op,
            right,
        } if matches!(right.as_ref(), Expr::Subquery(query) if wide(query)) => {
            Some(end(left)?.next(&[&compare_op.to_string()]))
        }
        _ => None,
    });
    if among.is_some() {
        return error.place(among);
    }
    let alone = first(statement, &|expr| match expr {
        Expr::Subquery(query) if wide(query) => start(expr),
        _ => None,
    });
    match alone {
        Some(place) => {
            let text = "subquery must return only one column";
            ServerError::syntax(text, None).place(Some(place))
        }
        None => error,
    }
}

/// The names of the columns that a query shows; `None` when it has a wildcard.
fn shown_names(body: &SetExpr) -> Option<Vec<String>> {
    match body {
        SetExpr::Select(select) => select.projection.iter().map(rewrite::item_name).collect(),
        SetExpr::Query(query) => shown_names(&query.body),
        SetExpr::SetOperation { left, .. } => shown_names(left),
        _ => None,
    }
}

/// Names of the relations in FROM, wherever it stands.
pub(in crate::session) fn relations(statement: &ast::Statement) -> BTreeSet<String> {
    struct Relations(BTreeSet<String>);
    impl Visitor for Relations {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            let (name, alias) = match factor {
                TableFactor::Table { name, alias, .. } => (Some(name), alias),
                TableFactor::Derived { alias, .. } | TableFactor::UNNEST { alias, .. } => {
                    (None, alias)
                }
                _ => return ControlFlow::Continue(()),
            };
            let known = match (alias, name) {
                (Some(alias), _) => Some(folded(&alias.name)),
                (None, name) => name.map(rewrite::last_part),
            };
            self.0.extend(known);
            ControlFlow::Continue(())
        }
    }
    let mut found = Relations(BTreeSet::new());
    let _: ControlFlow<()> = statement.visit(&mut found);
    found.0
}

/// `s.x` of a column `s`, which PostgreSQL looks for among the tables, and `items['a']`.
fn field(error: ServerError, message: &str, statement: &ast::Statement) -> ServerError {
    if message.contains("[], which") {
        let mut key = None;
        let place = only(statement, &|expr| match expr {
            Expr::CompoundFieldAccess { access_chain, .. } => {
                access_chain.iter().find_map(|access| match access {
                    AccessExpr::Subscript(Subscript::Index { index }) => {
                        rewrite::string_literal(index).and_then(|_| start(index))
                    }
                    _ => None,
                })
            }
            _ => None,
        });
        let _: ControlFlow<()> = ast::visit_expressions(statement, |expr| {
            if let Expr::CompoundFieldAccess { access_chain, .. } = expr {
                let mut keys = access_chain.iter().filter_map(|access| match access {
                    AccessExpr::Subscript(Subscript::Index { index }) => {
                        rewrite::string_literal(index)
                    }
                    _ => None,
                });
                key = keys.next().map(str::to_owned);
            }
            ControlFlow::Continue(())
        });
        return match (key, place) {
            (Some(key), Some(place)) => {
                let text = format!("invalid input syntax for type integer: \"{key}\"");
                ServerError::new("22P02", text).place(Some(place))
            }
            _ => error,
        };
    }
    let known = relations(statement);
    let mut names = Vec::new();
    let _: ControlFlow<()> = ast::visit_expressions(statement, |expr| {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [table, _] = parts.as_slice()
            && !known.contains(&folded(table))
        {
            names.push(table.clone());
        }
        ControlFlow::Continue(())
    });
    match names.as_slice() {
        [table] => {
            let name = folded(table);
            let text = format!("missing FROM-clause entry for table \"{name}\"");
            ServerError::new("42P01", text).place(of_ident(table))
        }
        _ => error,
    }
}

/// The two names of `(a).x`.
pub(super) fn field_of_row(expr: &Expr) -> Option<(&ast::Ident, &ast::Ident)> {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else {
        return None;
    };
    let Expr::Nested(inner) = root.as_ref() else {
        return None;
    };
    match (inner.as_ref(), access_chain.as_slice()) {
        (Expr::Identifier(table), [AccessExpr::Dot(Expr::Identifier(column))])
            if column.value != "*" =>
        {
            Some((table, column))
        }
        _ => None,
    }
}

/// Makes `(a).x` of a relation `a` what it is another way to write: `a.x`.
pub(in crate::session) fn fields_of_rows(statement: &mut ast::Statement) {
    let any = ast::visit_expressions(statement, |expr| match field_of_row(expr) {
        Some(_) => ControlFlow::Break(()),
        None => ControlFlow::Continue(()),
    });
    if any.is_continue() {
        return;
    }
    let known = relations(statement);
    let _: ControlFlow<()> = ast::visit_expressions_mut(statement, |expr| {
        let found = field_of_row(expr).filter(|(table, _)| known.contains(&folded(table)));
        if let Some((table, column)) = found {
            *expr = Expr::CompoundIdentifier(vec![table.clone(), column.clone()]);
        }
        ControlFlow::Continue(())
    });
}

/// DISTINCT beside ORDER BY, and lists of names that are longer than what they name.
fn distinct_or_named(error: ServerError, message: &str, statement: &ast::Statement) -> ServerError {
    let mut looked = Looked {
        given: None,
        distinct: None,
        on: None,
        named: None,
        not_shown: None,
    };
    looked.given = message
        .strip_suffix(" columns specified")
        .and_then(|text| text.rsplit_once(' '))
        .and_then(|(_, number)| number.parse().ok());
    let _: ControlFlow<()> = statement.visit(&mut looked);
    if let Some((name, place)) = looked.not_shown {
        let text = format!("column \"{name}\" does not exist");
        return ServerError::new("42703", text).place(place);
    }
    if message.starts_with("for SELECT DISTINCT") {
        return error.place(looked.distinct);
    }
    if message.starts_with("SELECT DISTINCT ON") {
        return error.place(looked.on);
    }
    let columns = message
        .strip_prefix("table has ")
        .filter(|_| looked.given.is_some());
    match (columns, looked.named) {
        (Some(columns), Some((name, true, place))) => {
            ServerError::new("42P10", format!("WITH query \"{name}\" has {columns}")).place(place)
        }
        (Some(columns), Some((name, false, _))) => {
            ServerError::new("42P10", format!("table \"{name}\" has {columns}"))
        }
        _ => error,
    }
}

struct Looked {
    /// Names in the list that is too long.
    given: Option<usize>,
    /// What a SELECT DISTINCT is ordered by and does not show.
    distinct: Option<Place>,
    /// What a SELECT DISTINCT ON is not ordered by.
    on: Option<Place>,
    /// Whose list of names it is, whether that is a query of WITH, and where.
    named: Option<(String, bool, Option<Place>)>,
    /// A name in ORDER BY of a UNION that it does not show.
    not_shown: Option<(String, Option<Place>)>,
}

impl Visitor for Looked {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            if Some(cte.alias.columns.len()) == self.given && self.named.is_none() {
                let name = folded(&cte.alias.name);
                self.named = Some((name, true, of_ident(&cte.alias.name)));
            }
        }
        let order = match query.order_by.as_ref().map(|order| &order.kind) {
            Some(ast::OrderByKind::Expressions(order)) => order.as_slice(),
            _ => &[],
        };
        if let SetExpr::SetOperation { left, .. } = query.body.as_ref()
            && let Some(names) = shown_names(left)
        {
            let hidden = order.iter().find_map(|by| match &by.expr {
                Expr::Identifier(name) if !names.contains(&folded(name)) => Some(name),
                _ => None,
            });
            self.not_shown = hidden.map(|name| (folded(name), of_ident(name)));
        }
        let SetExpr::Select(select) = query.body.as_ref() else {
            return ControlFlow::Continue(());
        };
        let shown = |by: &Expr| {
            select.projection.iter().any(|item| match item {
                SelectItem::UnnamedExpr(expr) => same(expr, by),
                SelectItem::ExprWithAlias { expr, alias } => {
                    same(expr, by)
                        || matches!(by, Expr::Identifier(name) if folded(name) == folded(alias))
                }
                _ => false,
            }) || rewrite::constant(by).is_some()
        };
        match &select.distinct {
            Some(ast::Distinct::Distinct) => {
                let hidden = order.iter().find(|by| !shown(&by.expr));
                let place = hidden.and_then(|by| start(&by.expr));
                self.distinct = self.distinct.take().or(place);
            }
            Some(ast::Distinct::On(on)) => {
                let leading = order
                    .iter()
                    .take_while(|by| on.iter().any(|one| same(&by.expr, one)));
                let leading: Vec<_> = leading.collect();
                let left_out = on
                    .iter()
                    .find(|one| !leading.iter().any(|by| same(&by.expr, one)));
                let place = left_out.and_then(start);
                self.on = self.on.take().or(place);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let alias = match factor {
            TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } => alias,
            _ => return ControlFlow::Continue(()),
        };
        if let Some(alias) = alias
            && Some(alias.columns.len()) == self.given
            && self.named.is_none()
        {
            self.named = Some((folded(&alias.name), false, None));
        }
        ControlFlow::Continue(())
    }
}

/// Whether two expressions are the same: a column may be called by its table or not.
fn same(one: &Expr, other: &Expr) -> bool {
    let column = |expr: &Expr| match expr {
        Expr::Identifier(name) => Some(folded(name)),
        Expr::CompoundIdentifier(names) => names.last().map(folded),
        _ => None,
    };
    match (column(one), column(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}
