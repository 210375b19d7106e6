//! Parameters of type void: a driver of JDBC sends one for what a function gives, and PostgreSQL calls the function
//! without it.
//!
//! ```text
//! {? = call abs(?)}   ─►   SELECT * FROM abs($1, $2), $1 void, $2 integer   ─►   abs($2)
//! ```

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, FunctionArg, FunctionArgExpr, TableFactor, VisitMut as _, VisitorMut,
};

use super::placeholder;

/// Takes the parameters of these numbers out of the calls that they are arguments of.
pub(in crate::session) fn taken_out(statement: &mut ast::Statement, numbers: BTreeSet<usize>) {
    if !numbers.is_empty() {
        let ControlFlow::Continue(()) = statement.visit(&mut Void(numbers));
    }
}

struct Void(BTreeSet<usize>);

impl Void {
    fn from(&self, arguments: &mut Vec<FunctionArg>) {
        arguments.retain(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                placeholder(expr).is_none_or(|number| !self.0.contains(&number))
            }
            _ => true,
        });
    }
}

impl VisitorMut for Void {
    type Break = std::convert::Infallible;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if let Expr::Function(function) = expr
            && let ast::FunctionArguments::List(list) = &mut function.args
        {
            self.from(&mut list.args);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        match factor {
            TableFactor::Table {
                args: Some(arguments),
                ..
            } => self.from(&mut arguments.args),
            TableFactor::Function { args, .. } => self.from(args),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
