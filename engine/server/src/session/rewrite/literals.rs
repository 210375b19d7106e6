//! Constants: made, and read.

use datafusion::sql::sqlparser::ast::{self, CastKind, DataType, Expr, Value};

/// The text of a string constant without a cast.
pub(in crate::session) fn string_literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
            Value::DollarQuotedString(constant) => Some(&constant.value),
            _ => None,
        },
        _ => None,
    }
}

pub(in crate::session) fn constant(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Boolean(on) => Some(on.to_string()),
            Value::Number(digits, _) => Some(digits.clone()),
            other => other.clone().into_string(),
        },
        Expr::Cast { expr, .. } | Expr::Nested(expr) => constant(expr),
        _ => None,
    }
}

pub(super) fn constant_number(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(digits),
            _ => None,
        },
        _ => None,
    }
}

pub(in crate::session) fn text(value: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(value.to_owned()))
}

pub(super) fn number(value: i64) -> Expr {
    Expr::value(Value::Number(value.to_string(), false))
}

pub(super) fn boolean(value: bool) -> Expr {
    Expr::value(Value::Boolean(value))
}

pub(super) fn null_text() -> Expr {
    cast(Expr::value(Value::Null), DataType::Text)
}

pub(crate) fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    }
}

pub(in crate::session) fn text_array(items: &[String]) -> Expr {
    let elem = items.iter().map(|item| text(item)).collect();
    Expr::Array(ast::Array { elem, named: true })
}
