//! Whether two expressions are the same, however they are written.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Expr, VisitorMut};

use super::names::folded;

/// An expression without what may be left out of it: the tables of its columns, parentheses, and, where they may be to the
/// type that it has already, casts.
pub(in crate::session) fn bare(expr: &Expr, casts: bool) -> String {
    let mut bare = expr.clone();
    let _: ControlFlow<()> = ast::VisitMut::visit(&mut bare, &mut Bare { casts });
    bare.to_string()
}

struct Bare {
    casts: bool,
}

impl VisitorMut for Bare {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let plain = match expr {
            Expr::Nested(inner) => inner.as_ref().clone(),
            Expr::Cast { expr: inner, .. } if self.casts => inner.as_ref().clone(),
            Expr::Identifier(name) => Expr::Identifier(ast::Ident::new(folded(name))),
            Expr::CompoundIdentifier(names) => match names.last() {
                Some(name) => Expr::Identifier(ast::Ident::new(folded(name))),
                None => return ControlFlow::Continue(()),
            },
            Expr::Function(function) => {
                for part in &mut function.name.0 {
                    if let ast::ObjectNamePart::Identifier(name) = part {
                        *name = ast::Ident::new(folded(name));
                    }
                }
                return ControlFlow::Continue(());
            }
            _ => return ControlFlow::Continue(()),
        };
        *expr = plain;
        ControlFlow::Continue(())
    }
}
