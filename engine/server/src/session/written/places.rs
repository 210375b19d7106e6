//! Places of columns in lists, and lists of VALUES.

use datafusion::sql::sqlparser::ast::{self, Expr, Select, SetExpr, Value};

use super::{constants, shapes};
use crate::session::placed::start;
use crate::session::rewrite;
use crate::sqlstate::ServerError;

/// Refuses a constant that is no place of a column.
pub(super) fn whole_number(by: &Expr, clause: &str) -> Result<(), ServerError> {
    if let Expr::UnaryOp {
        op: ast::UnaryOperator::Minus,
        expr,
    } = by
        && let Some(digits) = rewrite::constant(expr)
        && digits.parse::<i64>().is_ok()
    {
        let text = format!("{clause} position -{digits} is not in select list");
        return Err(ServerError::new("42P10", text).place(start(by)));
    }
    let Expr::Value(value) = by else {
        return Ok(());
    };
    let refused = match &value.value {
        Value::Number(digits, _) if digits.parse() == Ok(0) => {
            let text = format!("{clause} position {digits} is not in select list");
            return Err(ServerError::new("42P10", text).place(start(by)));
        }
        Value::Number(digits, _) => digits.parse::<i64>().is_err(),
        Value::SingleQuotedString(_)
        | Value::EscapedStringLiteral(_)
        | Value::Boolean(_)
        | Value::Null => true,
        _ => false,
    };
    match refused {
        false => Ok(()),
        true => {
            let text = format!("non-integer constant in {clause}");
            Err(ServerError::syntax(text, None).place(start(by)))
        }
    }
}

/// Refuses the place of a column that a query does not list.
pub(super) fn listed(by: &Expr, select: &Select, clause: &str) -> Result<(), ServerError> {
    let plain = select.projection.iter().all(|item| {
        matches!(
            item,
            ast::SelectItem::UnnamedExpr(_) | ast::SelectItem::ExprWithAlias { .. }
        )
    });
    let place = rewrite::constant(by).and_then(|digits| digits.parse::<usize>().ok());
    match place {
        Some(at) if plain && at > select.projection.len() => {
            let text = format!("{clause} position {at} is not in select list");
            Err(ServerError::new("42P10", text).place(start(by)))
        }
        _ => Ok(()),
    }
}

/// Refuses lists of VALUES of different lengths.
pub(super) fn lists(body: &SetExpr) -> Result<(), ServerError> {
    match body {
        SetExpr::Values(values) => {
            let mut rows = values.rows.iter().map(|row| &row.content);
            let Some(first) = rows.next() else {
                return Ok(());
            };
            match rows.find(|row| row.len() != first.len()) {
                None => (0..first.len()).try_for_each(|at| {
                    let column = values.rows.iter().filter_map(|row| row.content.get(at));
                    shapes::alike(column.clone())?;
                    constants::together(column)
                }),
                Some(row) => {
                    let text = "VALUES lists must all be the same length";
                    Err(ServerError::syntax(text, None).place(row.first().and_then(start)))
                }
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            lists(left)?;
            lists(right)
        }
        _ => Ok(()),
    }
}
