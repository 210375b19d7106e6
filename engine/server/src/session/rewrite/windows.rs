//! Windows that go on from others that have a name, which the planner does not look at.
//!
//! ```text
//! sum(i) OVER (w ORDER BY i) … WINDOW w AS (PARTITION BY k)   ─►   sum(i) OVER (PARTITION BY k ORDER BY i)
//! ```
//! `OVER w` is written out as well: the planner knows it in lists of columns alone.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, NamedWindowDefinition, NamedWindowExpr, Query, SetExpr, VisitMut as _, VisitorMut,
    WindowSpec, WindowType,
};

use super::names::folded;

/// A window with its name, folded.
pub(in crate::session) type Named = (String, WindowSpec);

/// Windows by their names, each with what it has of those before it.
pub(in crate::session) fn written_out(windows: &[NamedWindowDefinition]) -> Vec<Named> {
    let mut known: Vec<Named> = Vec::with_capacity(windows.len());
    for window in windows {
        if let NamedWindowExpr::WindowSpec(spec) = &window.1 {
            let mut spec = spec.clone();
            complete(&mut spec, &known);
            known.push((folded(&window.0), spec));
        }
    }
    known
}

/// The window of a name.
pub(in crate::session) fn of_name<'k>(known: &'k [Named], name: &str) -> Option<&'k WindowSpec> {
    let mut named = known.iter().filter(|(known, _)| known == name);
    named.next().map(|(_, spec)| spec)
}

/// Gives a window what it goes on from; one whose name nothing has is refused before.
fn complete(spec: &mut WindowSpec, known: &[Named]) {
    let base = spec.window_name.as_ref();
    let Some(base) = base.and_then(|name| of_name(known, &folded(name))) else {
        return;
    };
    spec.window_name = None;
    spec.partition_by.clone_from(&base.partition_by);
    if spec.order_by.is_empty() {
        spec.order_by.clone_from(&base.order_by);
    }
}

/// Writes out the windows that calls of a query name.
pub(super) fn complete_all(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    if select.named_window.is_empty() {
        return;
    }
    let known = written_out(&select.named_window);
    for window in &mut select.named_window {
        if let NamedWindowExpr::WindowSpec(spec) = &mut window.1
            && let Some(whole) = of_name(&known, &folded(&window.0))
        {
            spec.clone_from(whole);
        }
    }
    let mut calls = Calls { known, depth: 0 };
    let _: ControlFlow<()> = select.projection.visit(&mut calls);
    let _: ControlFlow<()> = select.distinct.visit(&mut calls);
    let _: ControlFlow<()> = query.order_by.visit(&mut calls);
}

struct Calls {
    known: Vec<Named>,
    /// Subqueries around, which have windows of their own.
    depth: usize,
}

impl VisitorMut for Calls {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        if let Expr::Function(function) = expr {
            match &mut function.over {
                Some(WindowType::WindowSpec(spec)) => complete(spec, &self.known),
                Some(over @ WindowType::NamedWindow(_)) => {
                    let spec = match &*over {
                        WindowType::NamedWindow(name) => of_name(&self.known, &folded(name)),
                        WindowType::WindowSpec(_) => None,
                    };
                    if let Some(spec) = spec {
                        *over = WindowType::WindowSpec(spec.clone());
                    }
                }
                None => {}
            }
        }
        ControlFlow::Continue(())
    }
}
