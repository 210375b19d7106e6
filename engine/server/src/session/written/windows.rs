//! Windows that have names, and what aggregates over windows may not have.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, Function, NamedWindowExpr, Select, Visit as _, Visitor, WindowSpec, WindowType,
};

use super::named as place_of;
use crate::session::placed::of_ident;
use crate::session::rewrite::folded;
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
    let mut used = Used { select, depth: 0 };
    let exprs = select
        .projection
        .iter()
        .try_for_each(|item| item.visit(&mut used));
    match exprs {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Windows that calls of one SELECT go on from.
struct Used<'a> {
    select: &'a Select,
    depth: usize,
}

impl Visitor for Used<'_> {
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
        let Some(WindowType::WindowSpec(spec)) = &function.over else {
            return ControlFlow::Continue(());
        };
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let place = place_of(function).map(|place| place.behind(&["OVER"]));
        match goes_on(self.select, spec, place) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn goes_on(select: &Select, spec: &WindowSpec, place: Option<Place>) -> Result<(), ServerError> {
    let Some(name) = &spec.window_name else {
        return Ok(());
    };
    let name = folded(name);
    let window = select
        .named_window
        .iter()
        .find(|window| folded(&window.0) == name);
    let Some(window) = window else {
        let text = format!("window \"{name}\" does not exist");
        return Err(ServerError::new("42704", text).place(place));
    };
    let NamedWindowExpr::WindowSpec(base) = &window.1 else {
        return Ok(());
    };
    let refused = |text: String| Err(ServerError::new("42P20", text).place(place.clone()));
    if !spec.partition_by.is_empty() {
        return refused(format!(
            "cannot override PARTITION BY clause of window \"{name}\""
        ));
    }
    if !spec.order_by.is_empty() && !base.order_by.is_empty() {
        return refused(format!(
            "cannot override ORDER BY clause of window \"{name}\""
        ));
    }
    if base.window_frame.is_some() {
        return refused(format!(
            "cannot copy window \"{name}\" because it has a frame clause"
        ));
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
