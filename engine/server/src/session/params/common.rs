//! Types that parameters have in common with what stands beside them: `coalesce($1, $2, 3)`, `VALUES ($1), (1.5)`,
//! `$1 BETWEEN 1 AND $2`, and those of operators of intervals: `$1::interval * $2`.
//!
//! The planner knows types of columns, and takes a parameter for a text where it would have to find a common type. Here
//! PostgreSQL's rule is asked, where the statement itself says what the others are.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, Query, SelectItem, SetExpr, UnaryOperator, Value, Visit as _,
    Visitor,
};

use super::{placeholder, type_of_sql, unnested};
use crate::pg_catalog;
use crate::pg_types::{PgType, oid};
use crate::session::rewrite;

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

/// The expressions that an expression finds a common type of.
fn alike(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::Case {
            conditions,
            else_result,
            ..
        } => {
            // The type of ELSE comes first.
            let results = conditions.iter().map(|case| &case.result);
            let last = else_result.iter().map(|last| last.as_ref());
            last.chain(results).collect()
        }
        Expr::InList { expr, list, .. } => list.iter().chain([expr.as_ref()]).collect(),
        Expr::Array(array) => array.elem.iter().collect(),
        Expr::Function(function) if function.name.0.len() == 1 => {
            match rewrite::function_name(function).as_str() {
                "coalesce" | "greatest" | "least" | "nullif" => rewrite::call_arguments(function),
                _ => Vec::new(),
            }
        }
        _ => Vec::new(),
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
        let given: Vec<u32> = arguments
            .iter()
            .map(|argument| self.type_of(argument).unwrap_or(oid::UNKNOWN))
            .collect();
        let types = pg_catalog::argument_types(name, &given).unwrap_or_default();
        for (argument, ty) in arguments.iter().zip(types) {
            if let Some(number) = placeholder(unnested(argument))
                && let Some(taken) = ty.and_then(PgType::scalar)
            {
                self.known.entry(number).or_insert(taken);
            }
        }
    }

    /// The type of an expression: `UNKNOWN` for a text and a parameter without one, `None` for what only the planner knows.
    fn type_of(&self, expr: &Expr) -> Option<u32> {
        if let Some(number) = placeholder(expr) {
            return Some(self.known.get(&number).map_or(oid::UNKNOWN, |ty| ty.oid));
        }
        let of_type = |pg_type: PgType| pg_type.oid;
        match expr {
            Expr::Value(value) => Some(match &value.value {
                Value::Number(digits, _) if digits.parse::<i32>().is_ok() => oid::INT4,
                Value::Number(digits, _) if digits.parse::<i64>().is_ok() => oid::INT8,
                Value::Number(..) => oid::NUMERIC,
                Value::Boolean(_) => oid::BOOL,
                Value::Null | Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_) => {
                    oid::UNKNOWN
                }
                _ => return None,
            }),
            Expr::Nested(inner) => self.type_of(inner),
            Expr::UnaryOp {
                op: UnaryOperator::Minus | UnaryOperator::Plus,
                expr,
            } => self.type_of(expr).filter(|ty| *ty != oid::UNKNOWN),
            Expr::Cast { data_type, .. } => type_of_sql(data_type).map(of_type),
            Expr::TypedString(typed) => type_of_sql(&typed.data_type).map(of_type),
            Expr::Interval(_) => Some(oid::INTERVAL),
            Expr::Function(function) if function.name.0.len() == 1 => {
                match rewrite::function_name(function).as_str() {
                    "now" | "current_timestamp" | "transaction_timestamp" | "clock_timestamp" => {
                        Some(oid::TIMESTAMPTZ)
                    }
                    "current_date" => Some(oid::DATE),
                    "localtimestamp" => Some(oid::TIMESTAMP),
                    "nullif" => None,
                    _ => self.type_of_alike(expr),
                }
            }
            Expr::Case { .. } => self.type_of_alike(expr),
            _ => None,
        }
    }

    fn type_of_alike(&self, expr: &Expr) -> Option<u32> {
        let alike = alike(expr);
        let types = alike.iter().map(|part| self.type_of(part));
        let types: Vec<u32> = types.collect::<Option<_>>()?;
        (!types.is_empty()).then(|| pg_catalog::common_type(&types))?
    }
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
