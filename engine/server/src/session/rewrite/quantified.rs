//! Patterns beside ANY and ALL: `name LIKE ANY (ARRAY['a%', 'b%'])`, `name ~ ALL (patterns)`.
//!
//! ```text
//! x LIKE ANY (ARRAY['a%', 'b%'])   ─►   x LIKE 'a%' OR x LIKE 'b%'
//! x ~ ANY (patterns)               ─►   x ~ ANY (SELECT unnest(patterns))
//! ```
//! The planner has patterns of subqueries, and of arrays only what compares.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, DataType, Expr, SelectItem, SetExpr, Value,
};

use super::calls::call_of;
use super::literals::{cast, string_literal, text};
use crate::pg_catalog::parse_array;
use crate::sqlstate::ServerError;

/// Patterns of a list that are written out one by one.
const LISTED_MAX: usize = 500;

/// Makes patterns of arrays a list of conditions, or those of a subquery.
///
/// # Errors
/// 22P02 for a text that is no array.
pub(in crate::session) fn patterns(statement: &mut ast::Statement) -> Result<(), ServerError> {
    let flow = ast::visit_expressions_mut(statement, |expr| match pattern(expr) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    });
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn pattern(expr: &mut Expr) -> Result<(), ServerError> {
    let (left, operator, right, all) = match expr {
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => (left, compare_op, right, false),
        Expr::AllOp {
            left,
            compare_op,
            right,
        } => (left, compare_op, right, true),
        _ => return Ok(()),
    };
    if !is_of_patterns(operator) || matches!(right.as_ref(), Expr::Subquery(_)) {
        return Ok(());
    }
    let Some(items) = items(right)?.filter(|items| items.len() <= LISTED_MAX) else {
        let array = right.as_ref().clone();
        let mut query = super::every_column()?;
        if let SetExpr::Select(select) = query.body.as_mut() {
            let items = call_of("unnest", vec![array.clone()]);
            select.projection = vec![SelectItem::UnnamedExpr(items)];
            select.from = Vec::new();
        }
        **right = Expr::Subquery(Box::new(query));
        // No array is not one without items.
        let (no_array, with) = match all {
            true => (Expr::IsNotNull(Box::new(array)), BinaryOperator::Or),
            false => (Expr::IsNull(Box::new(array)), BinaryOperator::And),
        };
        let unknown = cast(Expr::value(Value::Null), DataType::Boolean);
        let no_array = binary(no_array, with, unknown);
        let with = match all {
            true => BinaryOperator::And,
            false => BinaryOperator::Or,
        };
        *expr = Expr::Nested(Box::new(binary(expr.clone(), with, no_array)));
        return Ok(());
    };
    let with = match all {
        true => BinaryOperator::And,
        false => BinaryOperator::Or,
    };
    let value = match left.as_ref() {
        simple @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_)) => {
            simple.clone()
        }
        other => Expr::Nested(Box::new(other.clone())),
    };
    let conditions = items
        .into_iter()
        .map(|item| matched(&value, operator, item));
    let conditions = conditions.reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: with.clone(),
        right: Box::new(right),
    });
    *expr = match conditions {
        Some(conditions) => Expr::Nested(Box::new(conditions)),
        None => Expr::value(Value::Boolean(all)),
    };
    Ok(())
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(Expr::Nested(Box::new(left))),
        op,
        right: Box::new(Expr::Nested(Box::new(right))),
    }
}

fn is_of_patterns(operator: &BinaryOperator) -> bool {
    matches!(
        operator,
        BinaryOperator::PGRegexMatch
            | BinaryOperator::PGRegexIMatch
            | BinaryOperator::PGRegexNotMatch
            | BinaryOperator::PGRegexNotIMatch
            | BinaryOperator::PGLikeMatch
            | BinaryOperator::PGILikeMatch
            | BinaryOperator::PGNotLikeMatch
            | BinaryOperator::PGNotILikeMatch
    )
}

fn matched(value: &Expr, operator: &BinaryOperator, pattern: Expr) -> Expr {
    let (expr, right) = (Box::new(value.clone()), Box::new(pattern));
    let (any, escape_char) = (false, None);
    let negated = matches!(
        operator,
        BinaryOperator::PGNotLikeMatch | BinaryOperator::PGNotILikeMatch
    );
    match operator {
        BinaryOperator::PGLikeMatch | BinaryOperator::PGNotLikeMatch => Expr::Like {
            negated,
            any,
            expr,
            pattern: right,
            escape_char,
        },
        BinaryOperator::PGILikeMatch | BinaryOperator::PGNotILikeMatch => Expr::ILike {
            negated,
            any,
            expr,
            pattern: right,
            escape_char,
        },
        regular => Expr::BinaryOp {
            left: expr,
            op: regular.clone(),
            right,
        },
    }
}

/// The items of an array that is written out; `None` for any other.
fn items(array: &Expr) -> Result<Option<Vec<Expr>>, ServerError> {
    let null = || cast(Expr::value(Value::Null), DataType::Text);
    match array {
        Expr::Nested(inner) => items(inner),
        Expr::Cast {
            expr,
            data_type: DataType::Array(_),
            ..
        } => items(expr),
        Expr::Array(array) => {
            let of_arrays = array.elem.iter().any(|item| matches!(item, Expr::Array(_)));
            let item = |item: &Expr| match item {
                Expr::Value(value) if value.value == Value::Null => null(),
                Expr::Value(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_) => item.clone(),
                other => Expr::Nested(Box::new(other.clone())),
            };
            Ok((!of_arrays).then(|| array.elem.iter().map(item).collect()))
        }
        written => {
            let Some(written) = string_literal(written) else {
                return Ok(None);
            };
            let (_, items) = parse_array(written, ',').map_err(ServerError::from)?;
            let item = |item: Option<String>| item.map_or_else(null, |item| text(&item));
            Ok(Some(items.into_iter().map(item).collect()))
        }
    }
}
