//! Constants and arrays that are none, whatever they stand beside.

use datafusion::sql::sqlparser::ast::{self, Expr, Value};

use crate::sqlstate::{Place, ServerError};

/// Refuses what the parser takes for a constant: the variables of a client that it did not put values for, and bits that
/// are none.
pub(super) fn constant(value: &Value, place: Option<Place>) -> Result<(), ServerError> {
    match value {
        Value::Placeholder(name) if !name.starts_with('$') => {
            let sign: String = name.chars().take(1).collect();
            let text = format!("syntax error at or near \"{sign}\"");
            Err(ServerError::syntax(text, None).place(place))
        }
        Value::HexStringLiteral(digits) => {
            match digits.chars().find(|digit| !digit.is_ascii_hexdigit()) {
                None => Ok(()),
                Some(digit) => {
                    let text = format!("\"{digit}\" is not a valid hexadecimal digit");
                    Err(ServerError::new("22P02", text).place(place))
                }
            }
        }
        Value::SingleQuotedByteStringLiteral(bits) => {
            match bits.chars().find(|bit| !matches!(bit, '0' | '1')) {
                None => Ok(()),
                Some(bit) => {
                    let text = format!("\"{bit}\" is not a valid binary digit");
                    Err(ServerError::new("22P02", text).place(place))
                }
            }
        }
        _ => Ok(()),
    }
}

/// The arrays that a cast of this tells the type of.
pub(super) fn arrays_within(expr: &Expr, found: &mut Vec<*const Expr>) {
    match expr {
        Expr::Nested(inner) => arrays_within(inner, found),
        Expr::Array(array) => {
            found.push(std::ptr::from_ref(expr));
            array
                .elem
                .iter()
                .for_each(|item| arrays_within(item, found));
        }
        _ => {}
    }
}

pub(super) fn empty_array(place: Option<Place>) -> ServerError {
    ServerError::new("42P18", "cannot determine type of empty array")
        .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
        .place(Some(
            place.unwrap_or_else(|| Place::at(1, 1).next(&["ARRAY"])),
        ))
}

/// Refuses an array of arrays of different lengths.
pub(super) fn rectangular(array: &ast::Array) -> Result<(), ServerError> {
    let mut lengths = array.elem.iter().map(|item| match item {
        Expr::Array(inner) => Some(inner.elem.len()),
        _ => None,
    });
    let first = lengths.next().flatten();
    let other = |length: Option<usize>| first.is_some() && length.is_some() && length != first;
    match lengths.any(other) {
        false => Ok(()),
        true => Err(ServerError::new(
            "2202E",
            "multidimensional arrays must have array expressions with matching dimensions",
        )),
    }
}
