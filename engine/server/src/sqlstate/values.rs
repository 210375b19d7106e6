//! What values are refused for while a statement runs, by the text that the engine says.

use super::type_names::pg_name;
use super::{ServerError, between, first_of, wording};

pub(super) fn execution_error(text: &str) -> ServerError {
    let text = first_of(text, "\n\nbacktrace");
    if text.to_ascii_lowercase().contains("divide by zero") {
        return ServerError::new("22012", "division by zero");
    }
    if text.contains("Cannot cast") {
        return cast_error(text);
    }
    if text.contains("to store in a Decimal") {
        return field_overflow(text);
    }
    if let Some(error) = wording::told(text) {
        return error;
    }
    if text.contains("scalar subquery") || text.contains("more than one row") {
        return ServerError::new("21000", text.to_owned());
    }
    ServerError::new("22000", text.to_owned())
}

/// 22003 for a number that its column has no room for. Arrow: `123.46 is too large to store in a Decimal128 of precision
/// 4. Max is 99.99`.
pub(super) fn field_overflow(text: &str) -> ServerError {
    let error = ServerError::new("22003", "numeric field overflow");
    let precision = between(text, " of precision ", ".").and_then(|p| p.parse::<usize>().ok());
    let greatest = text
        .rsplit_once(" is ")
        .map(|(_, greatest)| greatest.trim());
    let (Some(precision), Some(greatest)) = (precision, greatest) else {
        return error.detail(text.to_owned());
    };
    let fraction = greatest
        .split_once('.')
        .map_or("", |(_, fraction)| fraction);
    let digits = fraction.chars().take_while(char::is_ascii_digit).count();
    let whole = precision.saturating_sub(digits);
    let bound = match whole {
        0 => "1".to_owned(),
        whole => format!("10^{whole}"),
    };
    error.detail(format!(
        "A field with precision {precision}, scale {digits} must round to an absolute value less than {bound}."
    ))
}

/// Arrow: `Cannot cast string 'x' to value of Int32 type`, `Cannot cast value 'x' to value of Boolean type`,
/// `Can't cast value 300 to type Int8`.
pub(super) fn cast_error(text: &str) -> ServerError {
    let value = between(text, "string '", "' to value")
        .or_else(|| between(text, "string '", "'"))
        .or_else(|| between(text, "cast value '", "' to value"));
    let target = between(text, "to value of ", " type")
        .or_else(|| between(text, "to type ", "\n"))
        .or_else(|| text.rsplit_once("to type ").map(|(_, t)| t));
    match (value, target.map(|t| pg_name(t.trim()))) {
        (Some(value), Some(target)) => {
            let code = match target.as_str() {
                "date" | "timestamp" => "22007",
                _ => "22P02",
            };
            if matches!(target.as_str(), "smallint" | "integer" | "bigint") && is_whole(value) {
                let text = format!("value \"{value}\" is out of range for type {target}");
                return ServerError::new("22003", text);
            }
            let text = format!("invalid input syntax for type {target}: \"{value}\"");
            ServerError::new(code, text)
        }
        (None, Some(target)) if text.contains("cast value") => {
            ServerError::new("22003", format!("{target} out of range"))
        }
        _ => ServerError::new("22P02", text.to_owned()),
    }
}

/// Whether a text is that of a whole number, which its type has no room for when it is refused.
fn is_whole(text: &str) -> bool {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}
