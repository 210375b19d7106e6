//! Where in a statement an error of its plan is: the statement as it was written is looked through again.
//!
//! ```text
//! CASE types integer and date cannot be matched, the second result  ─►  CASE WHEN b THEN d ELSE x END
//!                                                                                        ^
//! ```
//! Nothing is looked for until there is an error. Where more than one place fits, none is told.

mod names;
mod said;
mod start;

use std::ops::ControlFlow;

use datafusion::execution::context::SessionContext;
use datafusion::sql::sqlparser::ast::{self, Expr, SetExpr, Spanned as _, Visit as _, Visitor};
use datafusion::sql::sqlparser::tokenizer::Span;

pub(in crate::session) use said::{fields_of_rows, width};
pub(in crate::session) use start::{end, of_constant, of_ident, start};

use super::rewrite;
use crate::sqlstate::{About, Construct, Place, ServerError};

/// The error with its place in the statement, if it has none yet and the statement tells one.
pub(super) fn placed(
    error: ServerError,
    statement: &ast::Statement,
    context: &SessionContext,
) -> ServerError {
    let error = of_alias(of_having(error, statement), statement);
    let place = match error.what() {
        Some(about) => match of_construct(about, statement) {
            None if about.construct == Construct::Operator("=".to_owned()) => {
                return names::joined(error, statement);
            }
            place => place,
        },
        None if error.is_nowhere() => return said::placed(error, statement, context),
        None => None,
    };
    error.place(place)
}

/// The error about the condition of a statement that has HAVING and no WHERE, which the planner takes for one.
fn of_having(error: ServerError, statement: &ast::Statement) -> ServerError {
    let message = error.to_string();
    let Some(rest) = message.strip_prefix("argument of WHERE must be type boolean") else {
        return error;
    };
    let mut finder = Having {
        found: Vec::new(),
        conditions: false,
    };
    let _: ControlFlow<()> = statement.visit(&mut finder);
    match (finder.found.as_slice(), finder.conditions) {
        ([place], false) => {
            let text = format!("argument of HAVING must be type boolean{rest}");
            error.reworded(text).place(place.clone())
        }
        _ => error,
    }
}

/// The error about a name that is only one of the columns that a SELECT gives: where it stands in a clause that does not
/// know these.
fn of_alias(error: ServerError, statement: &ast::Statement) -> ServerError {
    let message = error.to_string();
    let name = message
        .strip_prefix("column \"")
        .and_then(|rest| rest.strip_suffix("\" does not exist"))
        .filter(|_| error.code() == "42703");
    let Some(name) = name else {
        return error;
    };
    let mut finder = Alias { name, found: None };
    let _: ControlFlow<()> = statement.visit(&mut finder);
    match finder.found {
        Some(place) => error.place(Some(place)),
        None => error,
    }
}

struct Alias<'a> {
    name: &'a str,
    found: Option<Place>,
}

impl Visitor for Alias<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &ast::Select) -> ControlFlow<()> {
        let is_alias = |item: &ast::SelectItem| {
            matches!(item, ast::SelectItem::ExprWithAlias { alias, .. }
                if rewrite::folded(alias) == self.name)
        };
        if !select.projection.iter().any(is_alias) {
            return ControlFlow::Continue(());
        }
        let listed = select.projection.iter().filter_map(|item| match item {
            ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. } => {
                Some(expr)
            }
            _ => None,
        });
        let clauses = listed.chain(&select.selection).chain(&select.having);
        for clause in clauses {
            let mut place = None;
            let _: ControlFlow<()> = ast::visit_expressions(clause, |part| match part {
                Expr::Identifier(name) if rewrite::folded(name) == self.name => {
                    place = of_ident(name);
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            });
            if place.is_some() {
                self.found = place;
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

/// The places of the conditions of HAVING, and whether there are others.
struct Having {
    found: Vec<Option<Place>>,
    conditions: bool,
}

impl Visitor for Having {
    type Break = ();

    fn pre_visit_select(&mut self, select: &ast::Select) -> ControlFlow<()> {
        self.found.extend(select.having.iter().map(start));
        self.conditions |= select.selection.is_some();
        ControlFlow::Continue(())
    }
}

fn of_construct(about: &About, statement: &ast::Statement) -> Option<Place> {
    let mut finder = Finder {
        about,
        found: None,
        count: 0,
    };
    let _: ControlFlow<()> = statement.visit(&mut finder);
    match about.columns {
        // The innermost that has all of the columns was found last.
        Some(_) => finder.found,
        None => finder.found.filter(|_| finder.count == 1),
    }
}

struct Finder<'a> {
    about: &'a About,
    found: Option<Place>,
    count: usize,
}

impl Visitor for Finder<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        if let Construct::SetColumn(at) = self.about.construct {
            self.set_columns(&query.body, at);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.has(expr.span())
            && let Some(place) = self.part(expr)
        {
            self.found = Some(place);
            self.count += 1;
        }
        ControlFlow::Continue(())
    }
}

impl Finder<'_> {
    /// Whether the columns are within.
    fn has(&self, span: Span) -> bool {
        match self.about.columns {
            None => true,
            Some((first, last)) => {
                (span.start.line, span.start.column) <= first
                    && last <= (span.end.line, span.end.column)
            }
        }
    }

    fn part(&self, expr: &Expr) -> Option<Place> {
        match &self.about.construct {
            Construct::Operator(sign) => operator(expr, sign),
            Construct::Call => None,
            Construct::Subscript => match expr {
                Expr::CompoundFieldAccess { access_chain, .. } => {
                    access_chain.iter().find_map(|access| match access {
                        ast::AccessExpr::Subscript(ast::Subscript::Index { index })
                            if self.has(index.span()) =>
                        {
                            start(index)
                        }
                        _ => None,
                    })
                }
                _ => None,
            },
            Construct::Argument(name, at) => match expr {
                Expr::Function(function) if rewrite::is_call_of(function, name) => {
                    start(rewrite::call_arguments(function).get(*at)?)
                }
                _ => None,
            },
            Construct::CaseResult(at) => match expr {
                Expr::Case {
                    conditions,
                    else_result,
                    ..
                } => {
                    let results = conditions.iter().map(|case| &case.result);
                    start(else_result.as_deref().into_iter().chain(results).nth(*at)?)
                }
                _ => None,
            },
            Construct::Item(at) => match expr {
                Expr::Array(array) => start(array.elem.get(*at)?),
                _ => None,
            },
            Construct::Condition => self.condition(expr),
            Construct::SetColumn(_) => None,
        }
    }

    /// The condition in a construct that holds the columns.
    fn condition(&self, expr: &Expr) -> Option<Place> {
        use ast::BinaryOperator::{And, Or};
        let conditions: Vec<&Expr> = match expr {
            Expr::BinaryOp {
                left,
                op: And | Or,
                right,
            } => vec![left, right],
            Expr::UnaryOp {
                op: ast::UnaryOperator::Not,
                expr,
            } => vec![expr],
            Expr::Function(function) => function.filter.as_deref().into_iter().collect(),
            Expr::IsTrue(expr)
            | Expr::IsNotTrue(expr)
            | Expr::IsFalse(expr)
            | Expr::IsNotFalse(expr)
            | Expr::IsUnknown(expr)
            | Expr::IsNotUnknown(expr) => vec![expr],
            Expr::Case {
                operand: None,
                conditions,
                ..
            } => conditions.iter().map(|case| &case.condition).collect(),
            _ => return None,
        };
        self.about.columns?;
        start(conditions.into_iter().find(|part| self.has(part.span()))?)
    }

    fn set_columns(&mut self, body: &SetExpr, at: usize) {
        let SetExpr::SetOperation { left, right, .. } = body else {
            return;
        };
        self.set_columns(left, at);
        self.set_columns(right, at);
        let found = item(right, at).filter(|expr| self.has(expr.span()));
        if let Some(place) = found.and_then(start) {
            self.found = Some(place);
            self.count += 1;
        }
    }
}

/// What a query shows as its column at this place, when it lists its columns.
pub(super) fn item(body: &SetExpr, at: usize) -> Option<&Expr> {
    match body {
        SetExpr::Select(select) => {
            let listed = select.projection.get(..=at)?;
            let listed = listed.iter().map(|item| match item {
                ast::SelectItem::UnnamedExpr(expr)
                | ast::SelectItem::ExprWithAlias { expr, .. } => Some(expr),
                _ => None,
            });
            listed.collect::<Option<Vec<_>>>()?.pop()
        }
        SetExpr::Query(query) => item(&query.body, at),
        SetExpr::SetOperation { left, .. } => item(left, at),
        SetExpr::Values(values) => values.rows.first()?.content.get(at),
        _ => None,
    }
}

/// The place of what a query shows as its column at this place, or of the asterisk that it is among.
pub(super) fn column_place(body: &SetExpr, at: usize) -> Option<Place> {
    if let Some(expr) = item(body, at) {
        return start(expr);
    }
    let SetExpr::Select(select) = body else {
        return None;
    };
    select.projection.iter().find_map(|item| match item {
        ast::SelectItem::Wildcard(_) | ast::SelectItem::QualifiedWildcard(..) => {
            start::of(item.span())
        }
        _ => None,
    })
}

/// The place of an operator, or of the word that stands for it.
fn operator(expr: &Expr, sign: &str) -> Option<Place> {
    let is_equal = sign == "=";
    match expr {
        Expr::BinaryOp { left, op, .. } if op.to_string() == sign => Some(end(left)?.next(&[sign])),
        Expr::AnyOp {
            left, compare_op, ..
        }
        | Expr::AllOp {
            left, compare_op, ..
        } if compare_op.to_string() == sign => Some(end(left)?.next(&[sign])),
        Expr::IsDistinctFrom(left, _) | Expr::IsNotDistinctFrom(left, _) if is_equal => {
            Some(end(left)?.next(&["IS"]))
        }
        Expr::InSubquery { expr, .. } if is_equal => Some(end(expr)?.next(&["NOT", "IN"])),
        Expr::InList { expr, negated, .. } if sign == if *negated { "<>" } else { "=" } => {
            Some(end(expr)?.next(&["NOT", "IN"]))
        }
        Expr::Like { expr, .. } if matches!(sign, "~~" | "!~~") => {
            Some(end(expr)?.next(&["NOT", "LIKE"]))
        }
        Expr::ILike { expr, .. } if matches!(sign, "~~*" | "!~~*") => {
            Some(end(expr)?.next(&["NOT", "ILIKE"]))
        }
        Expr::Between { expr, .. } if matches!(sign, ">=" | "<=") => {
            Some(end(expr)?.next(&["NOT", "BETWEEN"]))
        }
        Expr::Function(function) if is_equal && rewrite::is_call_of(function, "nullif") => {
            start(expr)
        }
        Expr::Case {
            operand: Some(_),
            conditions,
            ..
        } if is_equal => match conditions.as_slice() {
            [one] => Some(start(&one.condition)?.last(&["WHEN"])),
            _ => None,
        },
        _ => None,
    }
}
