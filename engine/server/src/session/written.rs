//! What a statement is refused for as it is written, whatever its tables hold: aggregates, windows and sets where they
//! may not stand, lists of unequal length, names given twice, frames that end before they start.
//!
//! The planner refuses most of it too, without a place, and some of it in silence. One walk over the statement.

mod constants;
mod distinct;
mod foreign;
mod frames;
mod no_columns;
mod places;
mod recursive;
mod sets;
mod shapes;
mod values;
mod windows;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::execution::context::SessionContext;
use datafusion::sql::sqlparser::ast::{
    self, Expr, Function, GroupByExpr, JoinConstraint, JoinOperator, LimitClause, OrderByKind,
    Query, Select, SetExpr, TableFactor, Visit as _, Visitor,
};

use super::miscalled;
use super::placed::{of_ident, start};
use super::rewrite::{self, folded};
use super::spelling;
use super::using::constraint;
use places::{listed, lists, whole_number};
use values::{arrays_within, constant, empty_array, rectangular};

use crate::evaluated;
use crate::sqlstate::{NO_FUNCTION, Place, ServerError};

/// Refuses what no table makes right.
///
/// # Errors
/// 42803, 42P20 and 0A000 for functions where they may not stand; 42601, 42712.
pub(super) fn check(
    context: &SessionContext,
    statement: &ast::Statement,
) -> Result<(), ServerError> {
    let mut checked = Checked {
        context,
        depth: 0,
        cast: Vec::new(),
    };
    match statement.visit(&mut checked) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

pub(super) use distinct::check as check_planned;
pub(super) use foreign::check as check_clauses;

/// Refuses aggregates, windows and sets in a place where there are none, as `UPDATE`.
///
/// # Errors
/// 42803, 42P20 and 0A000.
pub(super) fn check_in<'e>(
    context: &SessionContext,
    place: &str,
    values: impl Iterator<Item = &'e Expr>,
) -> Result<(), ServerError> {
    let checked = Checked {
        context,
        depth: 0,
        cast: Vec::new(),
    };
    checked.none_in(place, values)
}

struct Checked<'a> {
    context: &'a SessionContext,
    /// Queries around.
    depth: usize,
    /// Arrays of no items that a cast tells the type of, by where they are.
    cast: Vec<*const Expr>,
}

impl Visitor for Checked<'_> {
    type Break = ServerError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<ServerError> {
        self.depth += 1;
        flow(self.query(query))
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<ServerError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<ServerError> {
        flow(self.select(select))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<ServerError> {
        match factor {
            TableFactor::Table {
                name,
                args: Some(args),
                ..
            } if rewrite::last_part(name) == "generate_series"
                && !(2..=4).contains(&args.args.len()) =>
            {
                let types: Option<Vec<&str>> = args.args.iter().map(miscalled::type_of).collect();
                let types = types.unwrap_or_default().join(", ");
                let text = format!("function generate_series({types}) does not exist");
                let error = ServerError::new("42883", text).hint(NO_FUNCTION);
                let first = name.0.first().and_then(ast::ObjectNamePart::as_ident);
                ControlFlow::Break(error.place(first.and_then(of_ident)))
            }
            TableFactor::Table {
                name,
                args: Some(args),
                ..
            } => flow(
                self.in_from(name, &args.args)
                    .and_then(|()| sets::columns(factor)),
            ),
            factor => flow(sets::columns(factor)),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<ServerError> {
        if let Err(error) = no_columns::check(expr) {
            return ControlFlow::Break(error);
        }
        match expr {
            Expr::Function(function) if rewrite::is_call_of(function, "coalesce") => {
                flow(shapes::call(function).and_then(|()| self.no_sets(expr, "COALESCE")))
            }
            Expr::Function(function) => flow(
                shapes::call(function)
                    .and_then(|()| self.modifiers(function))
                    .and_then(|()| self.within(function)),
            ),
            Expr::Case { .. } => flow(self.no_sets(expr, "CASE")),
            Expr::Cast {
                expr: inner,
                data_type,
                ..
            } => {
                arrays_within(inner, &mut self.cast);
                flow(shapes::cast(inner, data_type))
            }
            Expr::CompoundIdentifier(names) => flow(shapes::names(names)),
            Expr::Array(array) if array.elem.is_empty() => {
                match self.cast.contains(&std::ptr::from_ref(expr)) {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(empty_array(start(expr))),
                }
            }
            Expr::Array(array) => flow(rectangular(array)),
            Expr::Value(value) => flow(constant(&value.value, start(expr))),
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<ServerError> {
        flow(constants::check(expr))
    }
}

fn flow(checked: Result<(), ServerError>) -> ControlFlow<ServerError> {
    match checked {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

/// What kind of call a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Aggregate,
    Window,
    Set,
}

impl Checked<'_> {
    fn kind(&self, function: &Function) -> Option<Call> {
        if function.over.is_some() {
            return Some(Call::Window);
        }
        let name = rewrite::last_part(&function.name);
        let state = self.context.state_ref();
        let state = state.read();
        if state.aggregate_functions().contains_key(&name) || !function.within_group.is_empty() {
            return Some(Call::Aggregate);
        }
        let is_set = matches!(name.as_str(), "generate_series" | "unnest");
        (is_set || evaluated::is_set(&name)).then_some(Call::Set)
    }

    fn query(&self, query: &Query) -> Result<(), ServerError> {
        let mut seen = BTreeSet::new();
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = folded(&cte.alias.name);
            let text = format!("WITH query name \"{name}\" specified more than once");
            if !seen.insert(name) {
                let place = of_ident(&cte.alias.name);
                return Err(ServerError::new("42712", text).place(place));
            }
        }
        recursive::check(query, &|function| {
            self.kind(function) == Some(Call::Aggregate)
        })?;
        if let Some(OrderByKind::Expressions(order)) =
            query.order_by.as_ref().map(|order| &order.kind)
        {
            for by in order {
                whole_number(&by.expr, "ORDER BY")?;
                shapes::unique(&by.expr, &query.body)?;
            }
        }
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            let offset = offset.as_ref().map(|offset| &offset.value);
            self.none_in("LIMIT", limit.iter())?;
            self.none_in("OFFSET", offset.into_iter())?;
        }
        if let SetExpr::Values(values) = query.body.as_ref() {
            let cells = values.rows.iter().flat_map(|row| &row.content);
            self.none_in("VALUES", cells)?;
        }
        sets::order(query)?;
        windows::named_in_order(query)?;
        lists(&query.body)
    }

    fn select(&self, select: &Select) -> Result<(), ServerError> {
        if select.distinct.is_some() && select.projection.is_empty() {
            let span = select.select_token.0.span;
            let from = Place::at(span.start.line, span.start.column).next(&["FROM"]);
            let text = "syntax error at or near \"FROM\"";
            return Err(ServerError::syntax(text, None).place(Some(from)));
        }
        shapes::select(select)?;
        let own = own_tables(select);
        self.none_of("WHERE", select.selection.iter(), false, &own)?;
        for join in select.from.iter().flat_map(|tables| &tables.joins) {
            let condition = condition(&join.join_operator);
            self.none_of("JOIN conditions", condition.into_iter(), false, &own)?;
        }
        if let GroupByExpr::Expressions(by, _) = &select.group_by {
            for by in by {
                whole_number(by, "GROUP BY")?;
            }
            self.none_of("GROUP BY", by.iter(), false, &own)?;
        }
        self.none_of("HAVING", select.having.iter(), true, &own)?;
        for named in &select.named_window {
            if let ast::NamedWindowExpr::WindowSpec(spec) = &named.1 {
                frames::check(spec, of_ident(&named.0))?;
            }
        }
        windows::named(select)?;
        if let Some(ast::Distinct::On(by)) = &select.distinct {
            for by in by {
                whole_number(by, "DISTINCT ON")?;
                listed(by, select, "DISTINCT ON")?;
            }
        }
        Ok(())
    }

    /// Refuses calls among expressions that are computed before rows are grouped.
    fn none_in<'e>(
        &self,
        place: &str,
        exprs: impl Iterator<Item = &'e Expr>,
    ) -> Result<(), ServerError> {
        self.none_of(place, exprs, false, &BTreeSet::new())
    }

    fn none_of<'e>(
        &self,
        place: &str,
        exprs: impl Iterator<Item = &'e Expr>,
        aggregates: bool,
        own: &BTreeSet<String>,
    ) -> Result<(), ServerError> {
        for expr in exprs {
            own_calls(expr, &mut |function| {
                let (code, what) = match self.kind(function) {
                    Some(Call::Aggregate) if aggregates || self.is_of_outer(function, own) => {
                        return Ok(());
                    }
                    Some(Call::Aggregate) => ("42803", "aggregate"),
                    Some(Call::Window) => ("42P20", "window"),
                    Some(Call::Set) => ("0A000", "set-returning"),
                    None => return Ok(()),
                };
                let text = format!("{what} functions are not allowed in {place}");
                Err(ServerError::new(code, text).place(named(function)))
            })?;
        }
        Ok(())
    }

    /// Whether an aggregate of a subquery is over columns of the query around it.
    fn is_of_outer(&self, function: &Function, own: &BTreeSet<String>) -> bool {
        let mut outer = false;
        for argument in rewrite::call_arguments(function) {
            let _: ControlFlow<()> = ast::visit_expressions(argument, |part| {
                if let Expr::CompoundIdentifier(names) = part
                    && let [.., table, _] = names.as_slice()
                {
                    outer |= !own.contains(&folded(table));
                }
                ControlFlow::Continue(())
            });
        }
        outer && self.depth > 1
    }

    /// Refuses aggregates and window functions in FROM.
    fn in_from(
        &self,
        name: &ast::ObjectName,
        args: &[ast::FunctionArg],
    ) -> Result<(), ServerError> {
        let function = rewrite::function_of(name.clone(), args.to_vec());
        let called = rewrite::function_name(&function);
        let state = self.context.state_ref();
        let state = state.read();
        let is_window = state.window_functions().contains_key(&called);
        let (code, text) = match is_window || shapes::is_of_windows(&called) {
            true => (
                "42809",
                format!("window function {called} requires an OVER clause"),
            ),
            false if state.aggregate_functions().contains_key(&called) => (
                "42803",
                "aggregate functions are not allowed in functions in FROM".to_owned(),
            ),
            false => return Ok(()),
        };
        Err(ServerError::new(code, text).place(named(&function)))
    }

    /// Refuses sets among the values of which one is chosen.
    fn no_sets(&self, expr: &Expr, place: &str) -> Result<(), ServerError> {
        sets::parts(expr, |part, is_condition| {
            own_calls(part, &mut |function| match self.kind(function) {
                Some(Call::Set) if is_condition => Err(sets::as_condition(start(part))),
                Some(Call::Set) => Err(sets::among(place, named(function))),
                _ => Ok(()),
            })
        })
    }

    /// Refuses words of aggregates and windows beside functions that are none, and aggregates of an order without one.
    fn modifiers(&self, function: &Function) -> Result<(), ServerError> {
        let name = rewrite::function_name(function);
        let refused = |code, text: String| Err(ServerError::new(code, text).place(named(function)));
        let ordered = !function.within_group.is_empty();
        if matches!(
            name.as_str(),
            "percentile_cont" | "percentile_disc" | "mode"
        ) {
            let has_arguments = !rewrite::call_arguments(function).is_empty();
            return match (ordered, function.over.is_some()) {
                (true, true) => refused(
                    "0A000",
                    format!("OVER is not supported for ordered-set aggregate {name}"),
                ),
                (false, _) if has_arguments == (name == "mode") => refused(
                    "42809",
                    format!("WITHIN GROUP is required for ordered-set aggregate {name}"),
                ),
                _ => Ok(()),
            };
        }
        let state = self.context.state_ref();
        let state = state.read();
        if state.aggregate_functions().contains_key(&name) {
            return windows::aggregate(function, &name);
        }
        let (distinct, sorted) = match &function.args {
            ast::FunctionArguments::List(list) => (
                matches!(
                    list.duplicate_treatment,
                    Some(ast::DuplicateTreatment::Distinct)
                ),
                list.clauses
                    .iter()
                    .any(|clause| matches!(clause, ast::FunctionArgumentClause::OrderBy(_))),
            ),
            _ => (false, false),
        };
        let filtered = function.filter.is_some();
        if state.window_functions().contains_key(&name) {
            return match filtered {
                true => refused(
                    "0A000",
                    "FILTER is not implemented for non-aggregate window functions".to_owned(),
                ),
                false => Ok(()),
            };
        }
        if !state
            .scalar_functions()
            .contains_key(spelling::planned_name(&name))
        {
            return Ok(());
        }
        let said = [
            (distinct, "DISTINCT"),
            (ordered, "WITHIN GROUP"),
            (sorted, "ORDER BY"),
            (filtered, "FILTER"),
        ];
        if let Some((_, what)) = said.iter().find(|(said, _)| *said) {
            let text = format!("{what} specified, but {name} is not an aggregate function");
            return refused("42809", text);
        }
        match function.over {
            None => Ok(()),
            Some(_) => {
                let kinds = "is not a window function nor an aggregate function";
                refused("42809", format!("OVER specified, but {name} {kinds}"))
            }
        }
    }

    /// Refuses calls among the arguments of an aggregate or a window function.
    fn within(&self, function: &Function) -> Result<(), ServerError> {
        let Some(outer) = self.kind(function).filter(|kind| *kind != Call::Set) else {
            return Ok(());
        };
        if let Some(ast::WindowType::WindowSpec(spec)) = &function.over {
            frames::check(spec, named(function))?;
        }
        if let Some(ast::WindowType::WindowSpec(spec)) = &function.over {
            let by = spec.order_by.iter().map(|by| &by.expr);
            for part in spec.partition_by.iter().chain(by) {
                own_calls(part, &mut |inner| match self.kind(inner) {
                    Some(Call::Window) => {
                        let text = "window functions are not allowed in window definitions";
                        Err(ServerError::new("42P20", text).place(named(inner)))
                    }
                    _ => Ok(()),
                })?;
            }
        }
        for argument in rewrite::call_arguments(function) {
            own_calls(argument, &mut |inner| {
                if self.kind(inner) == Some(Call::Set) && inner.over.is_none() {
                    return Err(sets::within_calls(outer == Call::Window, named(inner)));
                }
                let (code, text) = match (outer, self.kind(inner)) {
                    (Call::Aggregate, Some(Call::Aggregate)) => {
                        ("42803", "aggregate function calls cannot be nested")
                    }
                    (Call::Aggregate, Some(Call::Window)) => (
                        "42803",
                        "aggregate function calls cannot contain window function calls",
                    ),
                    (Call::Window, Some(Call::Window)) => {
                        ("42P20", "window function calls cannot be nested")
                    }
                    _ => return Ok(()),
                };
                Err(ServerError::new(code, text).place(named(inner)))
            })?;
        }
        self.none_in("FILTER", function.filter.as_deref().into_iter())
    }
}

/// The place of a call.
fn named(function: &Function) -> Option<Place> {
    function
        .name
        .0
        .first()
        .and_then(ast::ObjectNamePart::as_ident)
        .and_then(of_ident)
}

fn condition(operator: &JoinOperator) -> Option<&Expr> {
    match constraint(operator)? {
        JoinConstraint::On(condition) => Some(condition),
        _ => None,
    }
}

/// Names of the relations of a SELECT.
fn own_tables(select: &Select) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for tables in &select.from {
        let joined = tables.joins.iter().map(|join| &join.relation);
        for factor in std::iter::once(&tables.relation).chain(joined) {
            let (name, alias) = match factor {
                TableFactor::Table { name, alias, .. } => (Some(name), alias),
                TableFactor::Derived { alias, .. } | TableFactor::NestedJoin { alias, .. } => {
                    (None, alias)
                }
                _ => continue,
            };
            match (alias, name) {
                (Some(alias), _) => names.insert(folded(&alias.name)),
                (None, Some(name)) => names.insert(rewrite::last_part(name)),
                (None, None) => false,
            };
        }
    }
    names
}

/// Looks at the functions that an expression calls, those of its subqueries left out.
fn own_calls(
    expr: &Expr,
    look: &mut dyn FnMut(&Function) -> Result<(), ServerError>,
) -> Result<(), ServerError> {
    let mut calls = OwnCalls { depth: 0, look };
    match expr.visit(&mut calls) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct OwnCalls<'a> {
    /// Subqueries around.
    depth: usize,
    look: &'a mut dyn FnMut(&Function) -> Result<(), ServerError>,
}

impl Visitor for OwnCalls<'_> {
    type Break = ServerError;

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<ServerError> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<ServerError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<ServerError> {
        match expr {
            Expr::Function(function) if self.depth == 0 => flow((self.look)(function)),
            _ => ControlFlow::Continue(()),
        }
    }
}
