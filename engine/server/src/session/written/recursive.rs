//! Queries of WITH RECURSIVE that speak of themselves where PostgreSQL has no meaning for it. The engine would run some of
//! them for ever.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Cte, Expr, Function, JoinOperator, LimitClause, ObjectNamePart, OrderByKind, Query,
    Select, SetExpr, SetOperator, TableFactor, Visitor,
};

use super::{named, own_calls};
use crate::session::placed::{of_ident, start};
use crate::session::rewrite::folded;
use crate::sqlstate::{Place, ServerError};

/// Refuses queries of WITH RECURSIVE that are no recursion; `is_aggregate` knows the aggregates.
///
/// # Errors
/// 42P19 and 0A000.
pub(super) fn check(
    query: &Query,
    is_aggregate: &dyn Fn(&Function) -> bool,
) -> Result<(), ServerError> {
    let with = query.with.iter().filter(|with| with.recursive);
    with.flat_map(|with| &with.cte_tables)
        .try_for_each(|cte| checked(cte, is_aggregate))
}

fn checked(cte: &Cte, is_aggregate: &dyn Fn(&Function) -> bool) -> Result<(), ServerError> {
    let name = folded(&cte.alias.name);
    if references(cte.query.as_ref(), &name).is_empty() {
        return Ok(());
    }
    let refused = |text: String, place| Err(ServerError::new("42P19", text).place(place));
    let query = unwrapped(&cte.query);
    let SetExpr::SetOperation {
        left,
        op: SetOperator::Union,
        right,
        ..
    } = query.body.as_ref()
    else {
        let form = "does not have the form non-recursive-term UNION [ALL] recursive-term";
        return refused(
            format!("recursive query \"{name}\" {form}"),
            of_ident(&cte.alias.name),
        );
    };
    if let Some(first) = references(left.as_ref(), &name).into_iter().next() {
        let text = "must not appear within its non-recursive term";
        return refused(
            format!("recursive reference to query \"{name}\" {text}"),
            first.place,
        );
    }
    bounds(query)?;
    let found = references(right.as_ref(), &name);
    for (at, reference) in found.iter().enumerate() {
        let text = match (reference.within, at) {
            (Within::Subquery, _) => "must not appear within a subquery",
            (Within::Outer, _) => "must not appear within an outer join",
            (Within::From, 0) => continue,
            (Within::From, _) => "must not appear more than once",
        };
        return refused(
            format!("recursive reference to query \"{name}\" {text}"),
            reference.place.clone(),
        );
    }
    match right.as_ref() {
        SetExpr::Select(select) => no_aggregate(select, is_aggregate),
        _ => Ok(()),
    }
}

/// The query in parentheses around a query.
fn unwrapped(query: &Query) -> &Query {
    match query.body.as_ref() {
        SetExpr::Query(inner)
            if query.order_by.is_none() && query.limit_clause.is_none() && query.with.is_none() =>
        {
            unwrapped(inner)
        }
        _ => query,
    }
}

/// Refuses what orders or bounds a recursion.
fn bounds(query: &Query) -> Result<(), ServerError> {
    let unsupported = |what: &str, of: Option<&Expr>| {
        let text = format!("{what} in a recursive query is not implemented");
        Err(ServerError::unsupported(text).place(of.and_then(start)))
    };
    if let Some(OrderByKind::Expressions(order)) = query.order_by.as_ref().map(|by| &by.kind) {
        return unsupported("ORDER BY", order.first().map(|by| &by.expr));
    }
    match &query.limit_clause {
        Some(LimitClause::LimitOffset {
            offset: Some(offset),
            ..
        }) => unsupported("OFFSET", Some(&offset.value)),
        Some(LimitClause::LimitOffset {
            limit: Some(limit), ..
        }) => unsupported("LIMIT", Some(limit)),
        _ => Ok(()),
    }
}

fn no_aggregate(
    select: &Select,
    is_aggregate: &dyn Fn(&Function) -> bool,
) -> Result<(), ServerError> {
    let listed = select.projection.iter().filter_map(|item| match item {
        ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. } => {
            Some(expr)
        }
        _ => None,
    });
    for expr in listed.chain(&select.having) {
        own_calls(expr, &mut |function| match is_aggregate(function) {
            false => Ok(()),
            true => {
                let text =
                    "aggregate functions are not allowed in a recursive query's recursive term";
                Err(ServerError::new("42P19", text).place(named(function)))
            }
        })?;
    }
    Ok(())
}

/// What is around a name in a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    From,
    /// The side of an outer join that may be made up.
    Outer,
    Subquery,
}

struct Reference {
    place: Option<Place>,
    within: Within,
}

/// Where FROM names a query.
fn references(part: &impl ast::Visit, name: &str) -> Vec<Reference> {
    let mut finder = Finder {
        name,
        exprs: 0,
        outer: Vec::new(),
        found: Vec::new(),
    };
    let _: ControlFlow<()> = part.visit(&mut finder);
    finder.found
}

struct Finder<'a> {
    name: &'a str,
    /// Expressions around.
    exprs: usize,
    /// Names of the tables of outer joins that may be made up, by their place.
    outer: Vec<(u64, u64)>,
    found: Vec<Reference>,
}

impl Visitor for Finder<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for tables in &select.from {
            let mut before = vec![&tables.relation];
            for join in &tables.joins {
                let (left, right) = match &join.join_operator {
                    JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => (false, true),
                    JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (true, false),
                    JoinOperator::FullOuter(_) => (true, true),
                    _ => (false, false),
                };
                if left {
                    self.outer
                        .extend(before.iter().filter_map(|of| location(of)));
                }
                if right {
                    self.outer.extend(location(&join.relation));
                }
                before.push(&join.relation);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name, args: None, ..
        } = factor
            && let [ObjectNamePart::Identifier(ident)] = name.0.as_slice()
            && folded(ident) == self.name
        {
            let is_outer = location(factor).is_some_and(|at| self.outer.contains(&at));
            let within = match (self.exprs > 0, is_outer) {
                (true, _) => Within::Subquery,
                (_, true) => Within::Outer,
                _ => Within::From,
            };
            self.found.push(Reference {
                place: of_ident(ident),
                within,
            });
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, _expr: &Expr) -> ControlFlow<()> {
        self.exprs += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _expr: &Expr) -> ControlFlow<()> {
        self.exprs -= 1;
        ControlFlow::Continue(())
    }
}

/// Where a table is named.
fn location(factor: &TableFactor) -> Option<(u64, u64)> {
    let TableFactor::Table { name, .. } = factor else {
        return None;
    };
    let at = name.0.first()?.as_ident()?.span.start;
    (at.line > 0).then_some((at.line, at.column))
}
