//! Types of expressions as far as the statement alone tells them: constants, casts, and what functions and operators of
//! PostgreSQL make of those. Columns have theirs from the planner.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

use super::params::{placeholder, type_of_sql};
use super::rewrite;
use crate::pg_catalog::{self, Taken};
use crate::pg_types::{PgType, oid};

/// Types by what is known of parameters.
#[derive(Clone, Copy)]
pub(super) struct Types<'a> {
    /// A parameter that is not among these is of no type yet; `None` where nothing is known of any.
    pub(super) parameters: Option<&'a BTreeMap<usize, PgType>>,
}

impl Types<'_> {
    /// The type of an expression: `UNKNOWN` for a text and a parameter without one, `None` for what only the planner knows.
    pub(super) fn of(self, expr: &Expr) -> Option<u32> {
        if let Some(number) = placeholder(expr) {
            let known = self.parameters?.get(&number);
            return Some(known.map_or(oid::UNKNOWN, |ty| ty.oid));
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
            Expr::Nested(inner) => self.of(inner),
            Expr::UnaryOp {
                op: UnaryOperator::Minus | UnaryOperator::Plus,
                expr,
            } => self.of(expr).filter(|ty| *ty != oid::UNKNOWN),
            Expr::Cast { data_type, .. } => type_of_sql(data_type).map(of_type),
            Expr::TypedString(typed) => type_of_sql(&typed.data_type).map(of_type),
            Expr::Interval(_) => Some(oid::INTERVAL),
            Expr::Array(array) => {
                let items: Vec<&Expr> = array.elem.iter().collect();
                let item = PgType::scalar(self.of_alike(&items)?)?;
                item.element().is_none().then(|| PgType::array(item).oid)
            }
            Expr::BinaryOp {
                left,
                op:
                    op @ (BinaryOperator::Plus
                    | BinaryOperator::Minus
                    | BinaryOperator::Multiply
                    | BinaryOperator::Divide
                    | BinaryOperator::Modulo
                    | BinaryOperator::StringConcat),
                right,
            } => pg_catalog::operator_result(&op.to_string(), self.of(left)?, self.of(right)?),
            Expr::Function(function) if function.name.0.len() == 1 => {
                match rewrite::function_name(function).as_str() {
                    "current_timestamp" => Some(oid::TIMESTAMPTZ),
                    "current_date" => Some(oid::DATE),
                    "localtimestamp" => Some(oid::TIMESTAMP),
                    "nullif" => None,
                    "coalesce" | "greatest" | "least" => self.of_alike(&alike(expr)),
                    name => self.of_call(name, &rewrite::call_arguments(function)),
                }
            }
            Expr::Case { .. } => self.of_alike(&alike(expr)),
            _ => None,
        }
    }

    /// The common type of expressions that become one.
    fn of_alike(self, alike: &[&Expr]) -> Option<u32> {
        let types = alike.iter().map(|part| self.of(part));
        let types: Vec<u32> = types.collect::<Option<_>>()?;
        (!types.is_empty()).then(|| pg_catalog::common_type(&types))?
    }

    fn of_call(self, name: &str, arguments: &[&Expr]) -> Option<u32> {
        let given: Vec<Option<u32>> = arguments.iter().map(|part| self.of(part)).collect();
        match pg_catalog::taken(name, &given) {
            Taken::As { result, .. } => result,
            Taken::NotUnique | Taken::Undetermined | Taken::Nothing => None,
        }
    }
}

/// The expressions that an expression finds a common type of.
pub(super) fn alike(expr: &Expr) -> Vec<&Expr> {
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
