//! Input functions: values from their text.

use super::{
    ColumnInput, ListInput, Values, decimal, invalid, out_of_range, time, within, wrong_depth,
};
use crate::pg_catalog::parse_array;
use crate::pg_types::PgType;
use crate::pgwire::encode::TextStyle;
use crate::session::bytea_of_text;
use crate::sqlstate::ServerError;

impl ColumnInput {
    /// Adds the value that a text stands for; times without a zone are of the zone of `style`.
    ///
    /// # Errors
    /// As PostgreSQL's input functions: 22P02, 22003, 22007, 22008, 22001.
    pub(crate) fn text(&mut self, text: &str, style: &TextStyle) -> Result<(), ServerError> {
        let pg_type = self.pg_type;
        match &mut self.values {
            Values::Bool(values) => values.append_value(boolean(text)?),
            Values::Int2(values) => values.append_value(integer(text, pg_type)?),
            Values::Int4(values) => values.append_value(integer(text, pg_type)?),
            Values::Int8(values) => values.append_value(integer(text, pg_type)?),
            Values::Float4(values) => {
                let wide = float(text, pg_type)?;
                #[expect(clippy::cast_possible_truncation, reason = "looked at below")]
                let value = match text.trim().parse::<f32>() {
                    Ok(value) if !value.is_nan() => value,
                    _ => wide as f32,
                };
                if (value.is_infinite() && wide.is_finite()) || (value == 0.0 && wide != 0.0) {
                    return Err(too_large(text, pg_type));
                }
                values.append_value(value);
            }
            Values::Float8(values) => values.append_value(float(text, pg_type)?),
            Values::Numeric128(values, shape) => {
                let number = numeric(text, *shape)?;
                let narrow = number
                    .to_i128()
                    .ok_or_else(|| shape.error(&decimal::Fault::Overflow, text))?;
                values.append_value(narrow);
            }
            Values::Numeric256(values, shape) => values.append_value(numeric(text, *shape)?),
            Values::Text(values, most) => match pg_type {
                PgType::UUID => values.append_value(super::kept_text(text, pg_type)?),
                PgType::JSON | PgType::JSONB => {
                    values.append_value(super::kept_text(text, pg_type)?);
                }
                PgType::BPCHAR => {
                    // Results have the blanks again that it ends with.
                    values.append_value(within(text, *most, pg_type)?.trim_end_matches(' '));
                }
                _ => values.append_value(within(text, *most, pg_type)?),
            },
            Values::Bytes(values) => values.append_value(bytea_of_text(text)?),
            Values::Date(values) => values.append_value(time::date(text, &style.clock)?),
            Values::Time(values) => values.append_value(time::time(text, &style.clock)?),
            Values::Timestamp(values) => {
                values.append_value(match pg_type {
                    PgType::TIMESTAMPTZ => time::instant(text, &style.clock)?,
                    _ => time::timestamp(text, &style.clock)?,
                });
            }
            Values::Interval(values) => values.append_value(super::interval(text)?),
            Values::List(list) => list.text(text, pg_type, style)?,
        }
        Ok(())
    }
}

impl ListInput {
    fn text(&mut self, text: &str, pg_type: PgType, style: &TextStyle) -> Result<(), ServerError> {
        let (dims, items) = parse_array(text, ',')?;
        let dims: Vec<usize> = dims
            .iter()
            .map(|(length, _)| usize::try_from(*length).unwrap_or(0))
            .collect();
        if !dims.is_empty() && dims.len() != self.depth {
            return Err(wrong_depth(dims.len(), self.depth, pg_type));
        }
        let mut items = items.into_iter();
        let mut add = |column: &mut ColumnInput| match items.next().flatten() {
            Some(item) => column.text(&item, style),
            None => {
                column.null();
                Ok(())
            }
        };
        self.nested(&dims, &mut add)
    }

    /// Adds one array of these dimensions, whose items `add` adds one by one.
    pub(super) fn nested(
        &mut self,
        dims: &[usize],
        add: &mut dyn FnMut(&mut ColumnInput) -> Result<(), ServerError>,
    ) -> Result<(), ServerError> {
        let (length, inner) = match dims.split_first() {
            Some((length, inner)) => (*length, inner),
            None => (0, dims),
        };
        for _ in 0..length {
            match &mut self.items.values {
                Values::List(list) => list.nested(inner, add)?,
                _ => add(&mut self.items)?,
            }
        }
        self.end(true);
        Ok(())
    }
}

/// Any beginning of the words that is not ambiguous.
pub(super) fn boolean(text: &str) -> Result<bool, ServerError> {
    let word = text.trim().to_ascii_lowercase();
    let begins = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || word == "on" || word == "1" {
        Ok(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(invalid(PgType::BOOL, text))
    }
}

fn integer<T: TryFrom<i128>>(text: &str, pg_type: PgType) -> Result<T, ServerError> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(pg_type, text));
    }
    let number = trimmed
        .parse::<i128>()
        .ok()
        .and_then(|n| T::try_from(n).ok());
    number.ok_or_else(|| out_of_range(pg_type, text))
}

pub(super) fn float(text: &str, pg_type: PgType) -> Result<f64, ServerError> {
    let trimmed = text.trim();
    let lower = trimmed.to_ascii_lowercase();
    let unsigned = lower.strip_prefix(['+', '-']).unwrap_or(&lower);
    match lower.as_str() {
        "inf" | "+inf" | "infinity" | "+infinity" => return Ok(f64::INFINITY),
        "-inf" | "-infinity" => return Ok(f64::NEG_INFINITY),
        _ if is_nan(unsigned) => return Ok(f64::NAN),
        _ => {}
    }
    let invalid = || invalid(pg_type, text);
    let (value, is_zero) = match unsigned.strip_prefix("0x") {
        Some(digits) => {
            let (value, is_zero) = hexadecimal(digits).ok_or_else(invalid)?;
            let value = if lower.starts_with('-') {
                -value
            } else {
                value
            };
            (value, is_zero)
        }
        None => {
            let value: f64 = trimmed.parse().map_err(|_| invalid())?;
            let mantissa = lower.split('e').next().unwrap_or(trimmed);
            let is_zero = !mantissa.contains(|digit: char| matches!(digit, '1'..='9'));
            (value, is_zero)
        }
    };
    // What is too small for the type would be zero.
    match value.is_finite() && (value != 0.0 || is_zero) {
        true => Ok(value),
        false => Err(too_large(text, pg_type)),
    }
}

/// `nan`, with whatever is told of it in parentheses.
fn is_nan(lower: &str) -> bool {
    let Some(rest) = lower.strip_prefix("nan") else {
        return false;
    };
    let told = rest
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    let word = |told: &str| told.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    rest.is_empty() || told.is_some_and(word)
}

/// The number of what follows `0x`, as C reads it (`1f.8p-3`), and whether its digits are zeros.
fn hexadecimal(text: &str) -> Option<(f64, bool)> {
    /// Digits that a number of 128 bits has for certain.
    const DIGITS: usize = 30;
    let (mantissa, exponent) = match text.split_once('p') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let (mut bits, mut scale, mut taken) = (0_u128, i64::from(exponent), 0_usize);
    for (digit, is_part) in whole
        .chars()
        .map(|c| (c, false))
        .chain(part.chars().map(|c| (c, true)))
    {
        let digit = u128::from(digit.to_digit(16)?);
        if taken < DIGITS {
            bits = bits * 16 + digit;
            taken += usize::from(bits > 0);
            scale -= if is_part { 4 } else { 0 };
        } else {
            // Only whether there is something counts so far behind.
            bits |= u128::from(digit > 0);
            scale += if is_part { 0 } else { 4 };
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "rounds as C does")]
    let mantissa = bits as f64;
    let scale = i32::try_from(scale.clamp(-10_000, 10_000)).unwrap_or(0);
    // In two steps, as the power alone may be beyond what floats have.
    let (first, second) = (scale / 2, scale - scale / 2);
    let value = mantissa * 2_f64.powi(first) * 2_f64.powi(second);
    Some((value, bits == 0))
}

fn too_large(text: &str, pg_type: PgType) -> ServerError {
    let name = pg_type.sql_name();
    ServerError::new(
        "22003",
        format!("\"{text}\" is out of range for type {name}"),
    )
}

fn numeric(text: &str, shape: decimal::Shape) -> Result<arrow::datatypes::i256, ServerError> {
    shape.read(text).map_err(|fault| shape.error(&fault, text))
}

pub(super) fn uuid(text: &str) -> Result<String, ServerError> {
    let digits = text.trim();
    let braced = digits
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let digits = braced.unwrap_or(digits).replace('-', "");
    let id = uuid::Uuid::try_parse(&digits).map_err(|_| invalid(PgType::UUID, text))?;
    Ok(id.hyphenated().to_string())
}

/// Levels of objects and arrays in JSON, as many as its reader takes.
pub(crate) const JSON_LEVELS_MAX: usize = 127;

/// Bounds the nesting of JSON: those who read and write it call themselves.
///
/// # Errors
/// 54001.
pub(crate) fn json_levels(text: &str) -> Result<(), ServerError> {
    let (mut level, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => level += 1,
            b']' | b'}' if !quoted => level = level.saturating_sub(1),
            _ => {}
        }
        if level > JSON_LEVELS_MAX {
            let hint = format!("JSON nests at most {JSON_LEVELS_MAX} levels.");
            return Err(ServerError::new("54001", "stack depth limit exceeded").hint(hint));
        }
    }
    Ok(())
}

pub(super) fn json(text: &str) -> Result<(), ServerError> {
    json_levels(text)?;
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map(drop)
        .map_err(|error| {
            // Also of jsonb, in PostgreSQL's words.
            ServerError::new("22P02", "invalid input syntax for type json")
                .detail(super::json_fault::detail(text).unwrap_or_else(|| error.to_string()))
        })
}

/// The byte of a text that is one, as a "char" shows it: the first, or the one whose number is written.
pub(super) fn one_byte(text: &str) -> String {
    match text.as_bytes() {
        [b'\\', digits @ ..] if digits.len() == 3 && digits.iter().all(is_octal) => {
            let value = digits.iter().fold(0_u16, |value, digit| {
                value * 8 + u16::from(digit.saturating_sub(b'0'))
            });
            let [_, byte] = value.to_be_bytes();
            shown_byte(byte)
        }
        [first, ..] => shown_byte(*first),
        [] => String::new(),
    }
}

fn is_octal(digit: &u8) -> bool {
    (b'0'..=b'7').contains(digit)
}

/// A byte as itself, as its number when it is no character alone, and nothing of zero.
pub(super) fn shown_byte(byte: u8) -> String {
    match byte {
        0 => String::new(),
        1..=127 => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn floats_are_read_as_c_reads_them() {
        for (text, value) in [
            ("0x10", 16.0),
            ("-0X1.8p3", -12.0),
            ("0x.8", 0.5),
            ("0x1p-1074", f64::from_bits(1)),
            ("0x0", 0.0),
            (
                "0x1fffffffffffff8000000000000000000000001",
                1.141_798_154_164_768e46,
            ),
            (" +.5 ", 0.5),
            ("5.", 5.0),
        ] {
            let read = float(text, PgType::FLOAT8).unwrap();
            assert!(
                (read - value).abs() <= value.abs() * 1e-15,
                "{text}: {read}"
            );
        }
        for text in ["nan", "-NaN", "+nan", "nan(1)"] {
            assert!(float(text, PgType::FLOAT8).unwrap().is_nan(), "{text}");
        }
        for (text, code) in [
            ("0x", "22P02"),
            ("0xg", "22P02"),
            ("0x1p", "22P02"),
            ("1_000", "22P02"),
            ("infinit", "22P02"),
            ("nan(", "22P02"),
            ("0x1p2000", "22003"),
            ("0x1p-2000", "22003"),
            ("1e-400", "22003"),
        ] {
            let read = float(text, PgType::FLOAT8);
            assert_eq!(read.unwrap_err().code(), code, "{text}");
        }
    }

    #[test]
    fn any_beginning_of_a_word_of_truth_is_one() {
        for (text, value) in [("of", false), ("tr", true), ("n", false), (" ON ", true)] {
            assert_eq!(boolean(text).unwrap(), value, "{text}");
        }
        for text in ["o", "", "offf", "2"] {
            assert_eq!(boolean(text).unwrap_err().code(), "22P02", "{text}");
        }
    }
}
