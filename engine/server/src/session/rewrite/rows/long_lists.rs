//! Rows among hundreds of constant ones, looked up at once.
//!
//! ```text
//! (a, b) IN ((1, 2), (3, 4), …)  ─►  CASE WHEN a IS NOT NULL AND b IS NOT NULL
//!                                         THEN (a, b) IN ((1, 2), (3, 4), …)
//!                                         WHEN a IS NULL THEN b IN (2, 4, …) AND NULL
//!                                         ELSE a IN (1, 3, …) AND NULL END
//! ```
//! The planner looks a row up as one value, to which NULL is a value like others: rows of the list that have one are
//! looked up by their other columns, `(a, b) IN ((NULL, 2), …)` as `b IN (2, …) AND NULL`. What is no constant is
//! compared one by one.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{self, BinaryOperator, Expr, Value};

use super::{among as one_by_one, joined, nested, not, unequal};
use crate::sqlstate::ServerError;

/// Columns of rows that are looked up: each part of a row is looked up too, where the others are NULL.
const WIDTH_MAX: usize = 4;

/// Whether a row is among others, with SQL's three answers.
///
/// # Errors
/// 42601 for rows of different lengths; 0A000 for rows of many columns.
pub(super) fn among(
    row: &[Expr],
    rows: Vec<Vec<Expr>>,
    negated: bool,
) -> Result<Expr, ServerError> {
    for other in &rows {
        unequal(row.len(), other.len())?;
    }
    let (constant, others): (Vec<_>, Vec<_>) = rows
        .into_iter()
        .partition(|row| row.iter().all(|item| is_value(item) || is_null(item)));
    if row.len() > WIDTH_MAX || others.len() > super::LISTED_MAX {
        let text = "hundreds of rows of many columns, or of what is no constant, in a list";
        return Err(ServerError::unsupported(text)
            .hint("Write them as VALUES in a subquery, or into a temporary table."));
    }
    // By which columns they have.
    let mut alike: BTreeMap<Vec<bool>, Vec<Vec<Expr>>> = BTreeMap::new();
    for other in constant {
        let known = other.iter().map(|item| !is_null(item)).collect();
        alike.entry(known).or_default().push(other);
    }
    let parts = alike.iter().map(|(known, rows)| partly(row, known, rows));
    let mut parts: Vec<Expr> = parts.collect();
    parts.extend(one_by_one(row, &others, false)?);
    let found = joined(parts, &BinaryOperator::Or)
        .ok_or_else(|| ServerError::internal("a list without rows"))?;
    Ok(if negated { not(found) } else { found })
}

/// A row among rows of which the same columns are known.
fn partly(row: &[Expr], known: &[bool], rows: &[Vec<Expr>]) -> Expr {
    let of = |row: &[Expr]| -> Vec<Expr> {
        let items = row.iter().zip(known);
        let items = items.filter(|(_, known)| **known);
        items.map(|(item, _)| item.clone()).collect()
    };
    if known.iter().all(|known| *known) {
        return looked_up(row, rows);
    }
    let rest = of(row);
    if rest.is_empty() {
        return super::unknown();
    }
    let rows: Vec<Vec<Expr>> = rows.iter().map(|row| of(row)).collect();
    Expr::BinaryOp {
        left: Box::new(nested(looked_up(&rest, &rows))),
        op: BinaryOperator::And,
        right: Box::new(super::unknown()),
    }
}

fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => value.value == Value::Null,
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_null(inner),
        _ => false,
    }
}

/// A constant that is not NULL, or a parameter: a statement with such rows is planned again with its values.
fn is_value(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => value.value != Value::Null,
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_value(inner),
        Expr::Cast { expr: inner, .. } => is_value(inner),
        Expr::TypedString(_) => true,
        _ => false,
    }
}

/// A row among rows without NULL.
fn looked_up(row: &[Expr], rows: &[Vec<Expr>]) -> Expr {
    if let [column] = row {
        return Expr::InList {
            expr: Box::new(nested(column.clone())),
            list: rows.iter().flatten().cloned().collect(),
            negated: false,
        };
    }
    let known = row
        .iter()
        .map(|column| Expr::IsNotNull(Box::new(nested(column.clone()))));
    let known = joined(known.collect(), &BinaryOperator::And);
    let found = Expr::InList {
        expr: Box::new(Expr::Tuple(row.to_vec())),
        list: rows.iter().cloned().map(Expr::Tuple).collect(),
        negated: false,
    };
    let mut conditions: Vec<ast::CaseWhen> = known
        .into_iter()
        .map(|condition| ast::CaseWhen {
            condition,
            result: found.clone(),
        })
        .collect();
    for (at, column) in row.iter().enumerate() {
        let without = |row: &[Expr]| -> Vec<Expr> {
            let kept = row.iter().enumerate().filter(|(other, _)| *other != at);
            kept.map(|(_, item)| item.clone()).collect()
        };
        let rest: Vec<Vec<Expr>> = rows.iter().map(|row| without(row)).collect();
        let possible = looked_up(&without(row), &rest);
        conditions.push(ast::CaseWhen {
            condition: Expr::IsNull(Box::new(nested(column.clone()))),
            result: Expr::BinaryOp {
                left: Box::new(nested(possible)),
                op: BinaryOperator::And,
                right: Box::new(super::unknown()),
            },
        });
    }
    Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions,
        else_result: None,
    }
}
