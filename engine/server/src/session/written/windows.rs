//! Windows that have names, and what aggregates over windows may not have.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, Function, NamedWindowExpr, Select, Visit as _, Visitor, WindowSpec, WindowType,
};

use super::named as place_of;
use crate::session::placed::of_ident;
use crate::session::rewrite::{self, NamedWindow, folded};
use crate::sqlstate::{Place, ServerError};

/// Refuses names of windows that a SELECT gives twice or does not give, and windows that say again what the one that
/// they go on from says.
///
/// # Errors
/// 42P20, 42704.
pub(super) fn named(select: &Select) -> Result<(), ServerError> {
    let windows = &select.named_window;
    for (at, window) in windows.iter().enumerate() {
        let name = folded(&window.0);
        let earlier = windows.iter().take(at);
        if earlier.clone().any(|earlier| folded(&earlier.0) == name) {
            let text = format!("window \"{name}\" is already defined");
            return Err(ServerError::new("42P20", text).place(of_ident(&window.0)));
        }
    }
    let known = rewrite::written_out(windows);
    for (at, window) in windows.iter().enumerate() {
        if let NamedWindowExpr::WindowSpec(spec) = &window.1 {
            let earlier = known.get(..at).unwrap_or_default();
            let place = of_ident(&window.0).map(|place| place.behind(&["AS"]));
            goes_on(earlier, spec, place, true)?;
        }
    }
    let mut used = Used { known, depth: 0 };
    let exprs = select
        .projection
        .iter()
        .try_for_each(|item| item.visit(&mut used));
    match exprs {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The same for the windows of a query's ORDER BY.
///
/// # Errors
/// 42P20, 42704.
pub(super) fn named_in_order(query: &ast::Query) -> Result<(), ServerError> {
    let ast::SetExpr::Select(select) = query.body.as_ref() else {
        return Ok(());
    };
    let known = rewrite::written_out(&select.named_window);
    match query.order_by.visit(&mut Used { known, depth: 0 }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Windows that calls of one SELECT go on from.
struct Used {
    known: Vec<NamedWindow>,
    depth: usize,
}

impl Visitor for Used {
    type Break = ServerError;

    fn pre_visit_query(&mut self, _query: &ast::Query) -> ControlFlow<ServerError> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &ast::Query) -> ControlFlow<ServerError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<ServerError> {
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let checked = match &function.over {
            Some(WindowType::WindowSpec(spec)) => {
                let place = place_of(function).map(|place| place.behind(&["OVER"]));
                goes_on(&self.known, spec, place, false)
            }
            Some(WindowType::NamedWindow(name)) => {
                found(&self.known, name, of_ident(name)).map(|_| ())
            }
            None => Ok(()),
        };
        match checked {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// The window of a name.
fn found<'k>(
    known: &'k [NamedWindow],
    name: &ast::Ident,
    place: Option<Place>,
) -> Result<&'k WindowSpec, ServerError> {
    let name = folded(name);
    rewrite::window_of_name(known, &name).ok_or_else(|| {
        let text = format!("window \"{name}\" does not exist");
        ServerError::new("42704", text).place(place)
    })
}

/// Refuses a window that says again what the one that it goes on from says; `is_defined`: it has a name itself.
fn goes_on(
    known: &[NamedWindow],
    spec: &WindowSpec,
    place: Option<Place>,
    is_defined: bool,
) -> Result<(), ServerError> {
    let Some(name) = &spec.window_name else {
        return Ok(());
    };
    let base = found(known, name, place.clone())?;
    let name = folded(name);
    let refused = |text: String| ServerError::new("42P20", text).place(place.clone());
    if !spec.partition_by.is_empty() {
        let text = format!("cannot override PARTITION BY clause of window \"{name}\"");
        return Err(refused(text));
    }
    if !spec.order_by.is_empty() && !base.order_by.is_empty() {
        let text = format!("cannot override ORDER BY clause of window \"{name}\"");
        return Err(refused(text));
    }
    if base.window_frame.is_some() {
        let text = format!("cannot copy window \"{name}\" because it has a frame clause");
        let only = !is_defined && spec.order_by.is_empty() && spec.window_frame.is_none();
        return Err(match only {
            true => refused(text).hint("Omit the parentheses in this OVER clause."),
            false => refused(text),
        });
    }
    Ok(())
}

/// Refuses an aggregate over a window that has an order or a DISTINCT of its own.
///
/// # Errors
/// 0A000; 42601 for `DISTINCT *`.
pub(super) fn aggregate(function: &Function, name: &str) -> Result<(), ServerError> {
    let ast::FunctionArguments::List(list) = &function.args else {
        return Ok(());
    };
    let distinct = matches!(
        list.duplicate_treatment,
        Some(ast::DuplicateTreatment::Distinct)
    );
    let all = [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Wildcard)];
    if distinct && list.args == all {
        let place = place_of(function).map(|place| place.next(&["*"]));
        let error = ServerError::syntax("syntax error at or near \"*\"", None);
        return Err(error.place(place));
    }
    if function.over.is_none() {
        return match matches!(name, "first_value" | "last_value" | "nth_value") {
            true => {
                let text = format!("window function {name} requires an OVER clause");
                Err(ServerError::new("42809", text).place(place_of(function)))
            }
            false => Ok(()),
        };
    }
    let sorted = list
        .clauses
        .iter()
        .any(|clause| matches!(clause, ast::FunctionArgumentClause::OrderBy(_)));
    let text = match (distinct, sorted) {
        (true, _) => "DISTINCT is not implemented for window functions",
        (false, true) => "aggregate ORDER BY is not implemented for window functions",
        (false, false) => return Ok(()),
    };
    Err(ServerError::new("0A000", text).place(place_of(function)))
}
