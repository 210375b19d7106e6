//! SELECT DISTINCT is sorted by what it lists: of anything else each of its rows may stand for several. The planner takes
//! whatever is computed of columns that are listed.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Distinct, Expr, OrderByKind, Query, SelectItem, SetExpr, Visit as _, Visitor,
};

use crate::session::placed::start;
use crate::session::rewrite;
use crate::sqlstate::ServerError;

/// Refuses a statement that is right otherwise: PostgreSQL looks at the names first.
///
/// # Errors
/// 42P10.
pub(in crate::session) fn check(statement: &ast::Statement) -> Result<(), ServerError> {
    match statement.visit(&mut Queries) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Queries;

impl Visitor for Queries {
    type Break = ServerError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<ServerError> {
        let (SetExpr::Select(select), Some(by)) = (query.body.as_ref(), &query.order_by) else {
            return ControlFlow::Continue(());
        };
        let (Some(Distinct::Distinct), OrderByKind::Expressions(order)) =
            (&select.distinct, &by.kind)
        else {
            return ControlFlow::Continue(());
        };
        let listed = select.projection.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        });
        let listed: BTreeSet<String> = listed.map(|expr| rewrite::bare(expr, true)).collect();
        let mut computed = order.iter().filter(|by| !is_plain(&by.expr));
        match computed.find(|by| !listed.contains(&rewrite::bare(&by.expr, true))) {
            None => ControlFlow::Continue(()),
            Some(by) => {
                let text = "for SELECT DISTINCT, ORDER BY expressions must appear in select list";
                ControlFlow::Break(ServerError::new("42P10", text).place(start(&by.expr)))
            }
        }
    }
}

/// Whether it is a name or the place of a column, which the planner looks for.
fn is_plain(by: &Expr) -> bool {
    match by {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => true,
        Expr::Nested(inner) => is_plain(inner),
        Expr::Collate { expr, .. } => is_plain(expr),
        _ => false,
    }
}
