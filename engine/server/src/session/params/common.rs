//! Types that parameters have in common with what stands beside them: `coalesce($1, $2, 3)`, `VALUES ($1), (1.5)`,
//! `$1 BETWEEN 1 AND $2`, and those of operators of intervals: `$1::interval * $2`.
//!
//! The planner knows types of columns, and takes a parameter for a text where it would have to find a common type. Here
//! PostgreSQL's rule is asked, where the statement itself says what the others are.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, Query, SelectItem, SetExpr, Visit as _, Visitor,
};

use super::{placeholder, unnested};
use crate::pg_catalog::{self, Taken};
use crate::pg_types::{PgType, oid};
use crate::session::typed::{Types, alike};

/// How often a type that was found may give another.
const ROUNDS_MAX: usize = 8;

/// Adds the types that parameters have by what stands beside them to those that are known.
pub(crate) fn common_types(statement: &ast::Statement, known: &mut BTreeMap<usize, PgType>) {
    for _ in 0..ROUNDS_MAX {
        let before = known.len();
        let mut beside = Beside { known };
        let _: ControlFlow<()> = statement.visit(&mut beside);
        if known.len() == before {
            return;
        }
    }
}

struct Beside<'a> {
    known: &'a mut BTreeMap<usize, PgType>,
}

impl Visitor for Beside<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.body(&query.body);
        ControlFlow::Continue(())
    }

    /// What is within has its types first.
    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Between {
                expr: value,
                low,
                high,
                ..
            } => {
                self.unify(&[value, low]);
                self.unify(&[value, high]);
            }
            Expr::AnyOp { left, right, .. } | Expr::AllOp { left, right, .. } => {
                if let Expr::Array(array) = unnested(right) {
                    let all: Vec<&Expr> = array.elem.iter().chain([left.as_ref()]).collect();
                    self.unify(&all);
                }
            }
            Expr::BinaryOp { left, op, right } => self.operands(left, op, right),
            Expr::Substring {
                expr: whole,
                substring_from,
                substring_for,
                shorthand,
                ..
            } => {
                let name = if *shorthand { "substr" } else { "substring" };
                let parts = [substring_from, substring_for].into_iter().flatten();
                let parts = parts.map(|part| part.as_ref());
                let arguments: Vec<&Expr> = [whole.as_ref()].into_iter().chain(parts).collect();
                self.arguments(name, &arguments);
            }
            Expr::Overlay {
                expr: whole,
                overlay_what,
                overlay_from,
                overlay_for,
            } => {
                let mut arguments = vec![whole.as_ref(), overlay_what, overlay_from];
                arguments.extend(overlay_for.iter().map(|part| part.as_ref()));
                self.arguments("overlay", &arguments);
            }
            other => {
                let alike = alike(other);
                if !alike.is_empty() {
                    self.unify(&alike);
                }
            }
        }
        ControlFlow::Continue(())
    }
}

impl Beside<'_> {
    /// Columns of VALUES, and of the parts of a UNION.
    fn body(&mut self, body: &SetExpr) {
        let mut rows = Vec::new();
        let columns = matches!(body, SetExpr::Values(_) | SetExpr::SetOperation { .. });
        if !columns || !selected(body, &mut rows) {
            return;
        }
        let width = rows.iter().map(Vec::len).min().unwrap_or(0);
        for at in 0..width {
            let column = rows.iter().filter_map(|row| row.get(at).copied());
            if let Some(column) = column.collect::<Option<Vec<&Expr>>>() {
                self.unify(&column);
            }
        }
    }

    /// Gives parameters among expressions their common type.
    fn unify(&mut self, alike: &[&Expr]) {
        let open: Vec<usize> = alike
            .iter()
            .filter_map(|expr| placeholder(unnested(expr)))
            .filter(|number| !self.known.contains_key(number))
            .collect();
        if open.is_empty() {
            return;
        }
        if let Some(common) = self.common(alike) {
            self.known
                .extend(open.into_iter().map(|number| (number, common)));
        }
    }

    /// The common type of expressions, where each has one or is open, and one has one.
    fn common(&self, alike: &[&Expr]) -> Option<PgType> {
        let types = alike.iter().map(|expr| self.type_of(expr));
        let types: Vec<u32> = types.collect::<Option<_>>()?;
        if types.iter().all(|ty| *ty == oid::UNKNOWN) {
            return None;
        }
        PgType::scalar(pg_catalog::common_type(&types)?)
    }

    /// Types of the operands of an operator of times and intervals; numbers beside columns are the planner's.
    fn operands(&mut self, left: &Expr, op: &BinaryOperator, right: &Expr) {
        let (number, other) = match (placeholder(unnested(left)), placeholder(unnested(right))) {
            (Some(number), None) => (number, right),
            (None, Some(number)) => (number, left),
            _ => return,
        };
        let name = match op {
            BinaryOperator::Plus => "+",
            BinaryOperator::Minus => "-",
            BinaryOperator::Multiply => "*",
            BinaryOperator::Divide => "/",
            _ => return,
        };
        let of_times = [oid::DATE, oid::TIMESTAMP, oid::TIMESTAMPTZ, oid::INTERVAL];
        let known = self.type_of(other).filter(|ty| of_times.contains(ty));
        if self.known.contains_key(&number) || known.is_none() {
            return;
        }
        let (Some(l), Some(r)) = (self.type_of(left), self.type_of(right)) else {
            return;
        };
        let taken = pg_catalog::operand_types(name, l, r);
        let taken = taken.and_then(|(l, r)| match std::ptr::eq(other, right) {
            true => PgType::scalar(l),
            false => PgType::scalar(r),
        });
        if let Some(taken) = taken {
            self.known.insert(number, taken);
        }
    }

    /// Types of the arguments of a function.
    fn arguments(&mut self, name: &str, arguments: &[&Expr]) {
        let found = argument_types(name, arguments, self.known);
        for (number, taken) in found {
            self.known.entry(number).or_insert(taken);
        }
    }

    fn type_of(&self, expr: &Expr) -> Option<u32> {
        let parameters = Some(&*self.known);
        Types { parameters }.of(expr)
    }
}

/// The types that a function takes those of its arguments as that are parameters.
pub(super) fn argument_types(
    name: &str,
    arguments: &[&Expr],
    known: &BTreeMap<usize, PgType>,
) -> Vec<(usize, PgType)> {
    let is_open = |argument: &&Expr| placeholder(unnested(argument)).is_some();
    if !arguments.iter().any(is_open) {
        return Vec::new();
    }
    let types = Types {
        parameters: Some(known),
    };
    let given: Vec<Option<u32>> = arguments.iter().map(|part| types.of(part)).collect();
    let taken = match pg_catalog::taken(name, &given) {
        Taken::As { arguments, .. } => arguments,
        Taken::NotUnique | Taken::Undetermined | Taken::Nothing => Vec::new(),
    };
    // What is not known yet may be as unknown as a constant.
    let guessed: Vec<u32> = given.iter().map(|ty| ty.unwrap_or(oid::UNKNOWN)).collect();
    let guessed = pg_catalog::argument_types(name, &guessed).unwrap_or_default();
    let found = arguments.iter().enumerate().filter_map(|(at, argument)| {
        let number = placeholder(unnested(argument))?;
        let taken = taken.get(at).copied().flatten();
        let ty = taken.or_else(|| guessed.get(at).copied().flatten())?;
        Some((number, PgType::scalar(ty)?))
    });
    found.collect()
}

/// The lists of the SELECTs of a UNION; whether all of them are lists of expressions.
fn selected<'a>(body: &'a SetExpr, rows: &mut Vec<Vec<Option<&'a Expr>>>) -> bool {
    match body {
        SetExpr::Select(select) => {
            let item = |item: &'a SelectItem| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    Some(expr)
                }
                _ => None,
            };
            rows.push(select.projection.iter().map(item).collect());
            // What an asterisk stands for moves the others.
            rows.last()
                .is_some_and(|row| row.iter().all(Option::is_some))
        }
        SetExpr::SetOperation { left, right, .. } => selected(left, rows) && selected(right, rows),
        SetExpr::Values(values) => {
            let listed = values.rows.iter().map(|row| &row.content);
            rows.extend(listed.map(|row| row.iter().map(Some).collect::<Vec<_>>()));
            true
        }
        SetExpr::Query(query) => selected(&query.body, rows),
        _ => false,
    }
}
