//! Numbers of a fixed scale from decimal text.

use arrow::datatypes::{Field, i256};

use crate::pg_types::FREE_SCALE;
use crate::sqlstate::ServerError;

/// Digits a numeric column keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    precision: u8,
    scale: i8,
    /// `numeric` without a scale: PostgreSQL would keep every digit, so that none may be rounded away.
    exact: bool,
}

/// Why a text is no such number.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is no number.
    Syntax,
    /// Too many digits before the point.
    Overflow,
    /// More digits after the point than a column without a scale keeps.
    Inexact,
}

/// The most digits that a number without exponent is written with.
const DIGITS_MAX: i32 = 1_000;

/// A decimal number without its exponent: its digits, and a point when some stand after it.
///
/// # Errors
/// 22P02 for what is no number; 22003 for one that would be longer than any number here.
pub(super) fn plain(text: &str) -> Result<String, ServerError> {
    let invalid = || super::invalid(crate::pg_types::PgType::NUMERIC, text);
    let (sign, number) = match text.trim() {
        number if number.starts_with('-') => ("-", number.get(1..).unwrap_or_default()),
        number => ("", number.strip_prefix('+').unwrap_or(number)),
    };
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| invalid())?),
        None => (number, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid());
    }
    if exponent.abs() > DIGITS_MAX {
        return Err(overflow());
    }
    // Where the point stands among the digits.
    let point = i32::try_from(whole.len())
        .map_err(|_| overflow())?
        .saturating_add(exponent);
    let before = usize::try_from(point.max(0)).map_err(|_| overflow())?;
    let after = usize::try_from(point.min(0).unsigned_abs()).map_err(|_| overflow())?;
    let mut padded = format!("{}{digits}", "0".repeat(after));
    // A width of `format!` has 16 bits.
    padded.push_str(&"0".repeat(before.saturating_sub(padded.len())));
    let (whole, fraction) = padded.split_at(before);
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let point = if fraction.is_empty() { "" } else { "." };
    Ok(format!("{sign}{whole}{point}{fraction}"))
}

/// 22003: more digits than any number has here.
fn overflow() -> ServerError {
    ServerError::new("22003", "value overflows numeric format")
}

/// The shape of numerics that name no digits.
const FREE: Shape = Shape {
    precision: 76,
    scale: FREE_SCALE,
    exact: true,
};

/// A number times ten to the scale of numerics that name no digits.
///
/// # Errors
/// 22P02, 22003, and 0A000 for digits that there is no room for.
pub(super) fn free(text: &str) -> Result<i256, ServerError> {
    let error = match FREE.read(text) {
        Ok(number) => return Ok(number),
        Err(Fault::Syntax) if is_no_number(text) => {
            let text = format!("numeric has no {} here", text.trim());
            return Err(ServerError::new("22003", text).hint("double precision has it."));
        }
        Err(Fault::Overflow) => overflow(),
        Err(fault) => FREE.error(&fault, text),
    };
    match error.code() {
        "0A000" => Err(error.hint(
            "Cast it to numeric(precision, scale), or round it to fewer digits as double precision.",
        )),
        _ => Err(error),
    }
}

/// The same without the digits that there is no room for.
///
/// # Errors
/// 22P02 and 22003.
pub(super) fn free_cut(text: &str) -> Result<i256, ServerError> {
    match FREE.read(text) {
        Err(Fault::Inexact) => {
            let plain = plain(text)?;
            let scale = usize::from(FREE_SCALE.unsigned_abs());
            let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
            let kept = fraction.get(..scale).unwrap_or(fraction);
            free(&format!("{whole}.{kept}"))
        }
        _ => free(text),
    }
}

fn is_no_number(text: &str) -> bool {
    let word = text.trim().trim_start_matches(['+', '-']);
    ["nan", "inf", "infinity"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

impl Shape {
    pub(super) fn of(precision: u8, scale: i8, field: &Field) -> Shape {
        let exact = field.metadata().contains_key(crate::pg_types::ANY_SCALE);
        Shape {
            precision,
            scale,
            exact,
        }
    }

    /// The number times ten to the scale, rounded half away from zero.
    pub(super) fn read(self, text: &str) -> Result<i256, Fault> {
        let text = text.trim();
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => {
                let exponent = text.get(at + 1..).unwrap_or_default().parse::<i32>();
                let exponent = exponent.map_err(|_| Fault::Syntax)?;
                (text.get(..at).unwrap_or_default(), exponent)
            }
            None => (text, 0),
        };
        let negative = mantissa.starts_with('-');
        let mantissa = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Fault::Syntax);
        }
        let point = i32::try_from(whole.len()).map_err(|_| Fault::Overflow)?;
        // How many of the digits count: those before the point and `scale` after it.
        let kept = point
            .saturating_add(exponent)
            .saturating_add(self.scale.into());
        if digits.iter().all(|digit| *digit == b'0') {
            return Ok(i256::ZERO);
        }
        let leading = digits.iter().take_while(|digit| **digit == b'0').count();
        let leading = i32::try_from(leading).map_err(|_| Fault::Overflow)?;
        if kept.saturating_sub(leading) > i32::from(self.precision) {
            return Err(Fault::Overflow);
        }
        let kept = usize::try_from(kept.max(0)).map_err(|_| Fault::Overflow)?;
        let rounds_up = kept_rounds_up(&digits, point, exponent, self.scale);
        let rest = digits.get(kept..).unwrap_or_default();
        if self.exact && rest.iter().any(|digit| *digit != b'0') {
            return Err(Fault::Inexact);
        }
        digits.resize(kept, b'0');
        let text = String::from_utf8(digits).map_err(|_| Fault::Syntax)?;
        let number = match text.trim_start_matches('0') {
            "" => i256::ZERO,
            digits => i256::from_string(digits).ok_or(Fault::Overflow)?,
        };
        let number = number + i256::from_i128(i128::from(rounds_up));
        let limit = i256::from_i128(10)
            .checked_pow(u32::from(self.precision))
            .unwrap_or(i256::MAX);
        if number >= limit {
            return Err(Fault::Overflow);
        }
        Ok(if negative { -number } else { number })
    }

    /// What a fault is called, with the name of the type and the text.
    pub(super) fn error(self, fault: &Fault, text: &str) -> ServerError {
        let Shape {
            precision, scale, ..
        } = self;
        match fault {
            Fault::Syntax => super::invalid(crate::pg_types::PgType::NUMERIC, text),
            Fault::Overflow => {
                let digits = i16::from(precision) - i16::from(scale);
                ServerError::new("22003", "numeric field overflow").detail(format!(
                    "A field with precision {precision}, scale {scale} must round to an absolute value less than 10^{digits}."
                ))
            }
            Fault::Inexact => ServerError::unsupported(format!(
                "a numeric without a scale keeps {scale} digits after the point here, and \"{text}\" has more"
            ))
            .hint("Declare the column as numeric(precision, scale)."),
        }
    }
}

/// Whether the first digit that is cut off rounds the others up.
fn kept_rounds_up(digits: &[u8], point: i32, exponent: i32, scale: i8) -> bool {
    let at = point.saturating_add(exponent).saturating_add(scale.into());
    usize::try_from(at)
        .ok()
        .and_then(|at| digits.get(at))
        .is_some_and(|digit| *digit >= b'5')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_number_keeps_its_digits() {
        let digits = "9".repeat(70_000);
        assert!(plain(&digits).is_ok_and(|plain| plain == digits));
        assert!(plain("1.5e3").is_ok_and(|plain| plain == "1500"));
    }

    #[test]
    fn digits_are_kept_or_refused() {
        let shape = |precision, scale, exact| Shape {
            precision,
            scale,
            exact,
        };
        let table = [
            ("1.5", shape(5, 2, false), Ok(150)),
            ("-1.005", shape(5, 2, false), Ok(-101)),
            ("1.004", shape(5, 2, false), Ok(100)),
            ("0.009", shape(5, 2, false), Ok(1)),
            ("0.0009", shape(5, 2, false), Ok(0)),
            ("1e3", shape(7, 2, false), Ok(100_000)),
            ("12e-1", shape(5, 2, false), Ok(120)),
            ("000123", shape(3, 0, false), Ok(123)),
            (".5", shape(3, 0, false), Ok(1)),
            ("999.995", shape(5, 2, false), Err(Fault::Overflow)),
            ("1000", shape(5, 2, false), Err(Fault::Overflow)),
            ("1.239", shape(5, 2, true), Err(Fault::Inexact)),
            ("1.230", shape(5, 2, true), Ok(123)),
            ("", shape(5, 2, false), Err(Fault::Syntax)),
            ("1.2.3", shape(5, 2, false), Err(Fault::Syntax)),
            ("abc", shape(5, 2, false), Err(Fault::Syntax)),
            ("-", shape(5, 2, false), Err(Fault::Syntax)),
        ];
        for (text, shape, expected) in table {
            let expected = expected.map(i256::from_i128);
            assert_eq!(shape.read(text), expected, "{text} {shape:?}");
        }
    }
}
