//! Constant expressions: numbers with all their digits, bytes, arrays of any dimensions.

use datafusion::sql::sqlparser::ast::{
    self, ArrayElemTypeDef, DataType, ExactNumberInfo, Expr, UnaryOperator, Value,
};

use super::sql_type;
use crate::pg_input;
use crate::pg_types::PgType;
use crate::session::rewrite::cast;
use crate::session::{kinds, rewrite};
use crate::sqlstate::ServerError;

/// An array of these dimensions, none of them for one without items.
pub(super) fn array(dims: &[usize], items: Vec<Expr>, pg_type: PgType) -> Expr {
    let mut data_type = sql_type(pg_type);
    for _ in 1..dims.len() {
        data_type = DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(data_type), None));
    }
    let function = pg_type.element().and_then(kinds::function_of);
    let mut items: Vec<Expr> = match function {
        // The function reads the texts of the whole array.
        Some(_) => items.into_iter().map(uncast).collect(),
        None => items,
    };
    // The last dimension is the innermost.
    for length in dims.iter().skip(1).rev() {
        let mut rest = items.into_iter();
        let mut rows = Vec::new();
        loop {
            let elem: Vec<Expr> = rest.by_ref().take((*length).max(1)).collect();
            if elem.is_empty() {
                break;
            }
            rows.push(Expr::Array(ast::Array { elem, named: true }));
        }
        items = rows;
    }
    if pg_type.element() == Some(PgType::NUMERIC)
        && let Some(digits) = digits_of(&items)
    {
        data_type = with_digits(data_type, digits);
    }
    let elem = items;
    let made = cast(Expr::Array(ast::Array { elem, named: true }), data_type);
    match function {
        Some(function) => rewrite::call(function, made),
        None => made,
    }
}

/// The text of an item; NULL says that it is one, as the rows of an array of arrays must have one type.
fn uncast(item: Expr) -> Expr {
    match item {
        Expr::Cast { expr, .. } => match *expr {
            Expr::Value(value) if value.value == Value::Null => {
                cast(Expr::Value(value), DataType::Text)
            }
            text => text,
        },
        other => other,
    }
}

/// The digits that numbers of an array have at most.
fn digits_of(items: &[Expr]) -> Option<ExactNumberInfo> {
    let (mut before, mut after) = (0, 0);
    for item in items {
        match item {
            Expr::Array(inner) => match digits_of(&inner.elem)? {
                ExactNumberInfo::PrecisionAndScale(precision, scale) => {
                    before = before.max(i64::try_from(precision).ok()? - scale);
                    after = after.max(scale);
                }
                _ => return None,
            },
            Expr::Cast {
                data_type: DataType::Numeric(ExactNumberInfo::PrecisionAndScale(precision, scale)),
                ..
            } => {
                before = before.max(i64::try_from(*precision).ok()? - scale);
                after = after.max(*scale);
            }
            _ => {}
        }
    }
    let precision = u64::try_from(before + after).ok()?.max(1);
    let fits = usize::try_from(precision).is_ok_and(|p| p <= NUMERIC_DIGITS_MAX);
    fits.then_some(ExactNumberInfo::PrecisionAndScale(precision, after))
}

fn with_digits(data_type: DataType, digits: ExactNumberInfo) -> DataType {
    match data_type {
        DataType::Array(ArrayElemTypeDef::SquareBracket(item, size)) => {
            let item = Box::new(with_digits(*item, digits));
            DataType::Array(ArrayElemTypeDef::SquareBracket(item, size))
        }
        _ => DataType::Numeric(digits),
    }
}

pub(super) fn string(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.to_owned()))
}

/// The bytes that a bytea literal stands for: hex digits after `\x`, else characters, of which `\\` is a backslash
/// and `\ooo` a byte in octal.
///
/// # Errors
/// 22P02 and 22023 in PostgreSQL's words.
pub(crate) fn bytea_of_text(text: &str) -> Result<Vec<u8>, ServerError> {
    if let Some(hex) = text.strip_prefix("\\x") {
        return hex_bytes(hex);
    }
    let invalid = || ServerError::new("22P02", "invalid input syntax for type bytea");
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
        } else if let Some(tail) = rest.strip_prefix(b"\\") {
            out.push(b'\\');
            rest = tail;
        } else {
            let (digits, tail) = rest.split_at_checked(3).ok_or_else(invalid)?;
            let digits = std::str::from_utf8(digits).map_err(|_| invalid())?;
            out.push(u8::from_str_radix(digits, 8).map_err(|_| invalid())?);
            rest = tail;
        }
    }
    Ok(out)
}

fn hex_bytes(hex: &str) -> Result<Vec<u8>, ServerError> {
    let digits: Vec<char> = hex.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let nibble = |digit: char| {
        let value = digit
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok());
        value.ok_or_else(|| {
            ServerError::new("22023", format!("invalid hexadecimal digit: \"{digit}\""))
        })
    };
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Ok(nibble(*high)? << 4 | nibble(*low)?),
        _ => Err(ServerError::new(
            "22023",
            "invalid hexadecimal data: odd number of digits",
        )),
    });
    pairs.collect()
}

pub(in crate::session) fn bytes(value: &[u8]) -> Expr {
    let hex = value.iter().map(|byte| format!("{byte:02x}")).collect();
    Expr::value(Value::HexStringLiteral(hex))
}

/// int8 stays bare, as LIMIT wants it; the narrower types are cast.
pub(super) fn integer(value: i64, pg_type: PgType) -> Expr {
    let digits = Expr::value(Value::Number(value.unsigned_abs().to_string(), false));
    let signed = match value < 0 {
        true => Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: Box::new(digits),
        },
        false => digits,
    };
    // Without it a small constant would be an integer.
    cast(signed, sql_type(pg_type))
}

pub(super) fn float_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    value.to_string()
}

/// Digits of the widest number.
const NUMERIC_DIGITS_MAX: usize = 76;

/// A decimal of exactly the digits of `text`.
///
/// # Errors
/// 22P02 for what is no number; 22003 for one of more than 76 digits, for NaN and for infinity.
pub(crate) fn numeric(text: &str) -> Result<Expr, ServerError> {
    let word = text
        .trim()
        .trim_start_matches(['+', '-'])
        .to_ascii_lowercase();
    if matches!(word.as_str(), "nan" | "inf" | "infinity") {
        let text = format!("numeric has no {} here", text.trim());
        return Err(ServerError::new("22003", text).hint("double precision has it."));
    }
    let plain = pg_input::plain_decimal(text)?;
    let digits = plain.strip_prefix('-').unwrap_or(&plain);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = fraction.len();
    let precision = (whole.trim_start_matches('0').len() + scale).max(1);
    let info = match (u64::try_from(precision), i64::try_from(scale)) {
        (Ok(precision), Ok(scale)) if precision <= NUMERIC_DIGITS_MAX as u64 => {
            ExactNumberInfo::PrecisionAndScale(precision, scale)
        }
        _ => {
            let detail = format!("A numeric has at most {NUMERIC_DIGITS_MAX} digits here.");
            return Err(ServerError::new("22003", "value overflows numeric format").detail(detail));
        }
    };
    Ok(cast(string(&plain), DataType::Numeric(info)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bytea_literals_read_as_in_postgresql() {
        let table: [(&str, &[u8]); 4] = [
            ("\\x00fF", &[0, 255]),
            ("\\x 01 02", &[1, 2]),
            ("a\\\\b\\000", b"a\\b\0"),
            ("", b""),
        ];
        for (text, bytes) in table {
            assert_eq!(bytea_of_text(text).unwrap(), bytes, "{text}");
        }
        for (text, code) in [("\\x0", "22023"), ("\\x0g", "22023"), ("\\9", "22P02")] {
            assert_eq!(bytea_of_text(text).unwrap_err().code(), code, "{text}");
        }
    }
}
