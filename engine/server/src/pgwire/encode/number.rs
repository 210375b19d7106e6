//! Text forms of numbers, each laid out in a small buffer of its own: a cell is then one copy.

use super::TextStyle;

/// Longest text of a number of eight bytes: `-1.7976931348623157e+308` has 24.
const LONGEST: usize = 32;

/// Every pair of decimal digits.
const PAIRS: &[u8; 200] = b"0001020304050607080910111213141516171819\
    2021222324252627282930313233343536373839\
    4041424344454647484950515253545556575859\
    6061626364656667686970717273747576777879\
    8081828384858687888990919293949596979899";

/// The text of one number.
#[derive(Clone, Copy)]
pub(crate) struct NumberText {
    bytes: [u8; LONGEST],
    from: u8,
    to: u8,
}

impl NumberText {
    const EMPTY: NumberText = NumberText {
        bytes: [0; LONGEST],
        from: 0,
        to: 0,
    };

    /// The characters, all of them ASCII.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        let range = usize::from(self.from)..usize::from(self.to);
        self.bytes.get(range).unwrap_or_default()
    }

    fn of(text: &[u8]) -> NumberText {
        let mut number = NumberText::EMPTY;
        number.push(text);
        number
    }

    fn push(&mut self, text: &[u8]) {
        for byte in text {
            if let Some(slot) = self.bytes.get_mut(usize::from(self.to)) {
                *slot = *byte;
                self.to += 1;
            }
        }
    }

    fn push_zeros(&mut self, count: usize) {
        for _ in 0..count {
            self.push(b"0");
        }
    }
}

/// A numeric without the zeros that it ends with, and its scale then.
pub(super) fn of_own_digits(unscaled: &str, mut scale: i8) -> (String, i8) {
    let mut digits = unscaled.to_owned();
    while scale > 0 && digits.ends_with('0') {
        digits.pop();
        scale -= 1;
    }
    match digits.as_str() {
        "" | "-" => ("0".to_owned(), 0),
        _ => (digits, scale),
    }
}

/// Decimal digits of an integer.
pub(super) fn integer(value: i64) -> NumberText {
    let mut number = NumberText::EMPTY;
    let mut at = LONGEST;
    let mut rest = value.unsigned_abs();
    let pair = |pair: u64| usize::try_from(pair).unwrap_or(0) * 2;
    while rest >= 100 {
        let two = pair(rest % 100);
        rest /= 100;
        at -= 2;
        number.bytes[at..at + 2].copy_from_slice(&PAIRS[two..two + 2]);
    }
    if rest >= 10 {
        let two = pair(rest);
        at -= 2;
        number.bytes[at..at + 2].copy_from_slice(&PAIRS[two..two + 2]);
    } else {
        at -= 1;
        number.bytes[at] = PAIRS[pair(rest) + 1];
    }
    if value < 0 {
        at -= 1;
        number.bytes[at] = b'-';
    }
    number.from = u8::try_from(at).unwrap_or(0);
    number.to = u8::try_from(LONGEST).unwrap_or(0);
    number
}

/// Shortest digits that read back the same, exponent form from 1e15 and below 1e-4.
pub(super) fn float8(value: f64) -> NumberText {
    match special(value) {
        Some(text) => NumberText::of(text),
        None => shortest(ryu::Buffer::new().format_finite(value).as_bytes(), 15),
    }
}

/// Shortest digits that read back the same, exponent form from 1e6 and below 1e-4.
pub(super) fn float4(value: f32) -> NumberText {
    match special(f64::from(value)) {
        Some(text) => NumberText::of(text),
        None => shortest(ryu::Buffer::new().format_finite(value).as_bytes(), 6),
    }
}

/// A number of four or eight bytes as the settings of a session have it.
#[expect(clippy::cast_possible_truncation, reason = "a float4 kept as f64")]
pub(crate) fn float(value: f64, is_narrow: bool, style: &TextStyle) -> NumberText {
    let mut texts = FloatTexts::forgetful(style.fewer_float_digits);
    match is_narrow {
        true => texts.float4(value as f32),
        false => texts.float8(value),
    }
}

/// A number rounded to so many digits, as `%.15g` prints it.
fn rounded(value: f64, digits: i32) -> NumberText {
    let digits = digits.max(1);
    match special(value) {
        Some(text) => NumberText::of(text),
        None => {
            let more = usize::try_from(digits - 1).unwrap_or(0);
            shortest(format!("{value:.more$e}").as_bytes(), digits)
        }
    }
}

fn special(value: f64) -> Option<&'static [u8]> {
    if value.is_finite() {
        None
    } else if value.is_nan() {
        Some(b"NaN")
    } else if value > 0.0 {
        Some(b"Infinity")
    } else {
        Some(b"-Infinity")
    }
}

/// Lays out the shortest decimal form of a number (`12.5`, `1.25e-7`) the way PostgreSQL prints it.
fn shortest(text: &[u8], exponent_limit: i32) -> NumberText {
    let mut number = NumberText::EMPTY;
    let mut digits = [0_u8; LONGEST];
    let (mut n, mut point, mut past_point) = (0, 0_i32, false);
    let mut bytes = text.iter();
    for byte in bytes.by_ref() {
        match *byte {
            b'-' => number.push(b"-"),
            b'.' => past_point = true,
            b'e' => {
                point += read_exponent(bytes.as_slice());
                break;
            }
            // Zeros in front only move the point.
            b'0' if n == 0 => point -= i32::from(past_point),
            digit => {
                if let Some(slot) = digits.get_mut(n) {
                    *slot = digit;
                    n += 1;
                }
                point += i32::from(!past_point);
            }
        }
    }
    let mut digits = digits.get(..n).unwrap_or_default();
    while let [rest @ .., b'0'] = digits {
        digits = rest;
    }
    let [first, after_first @ ..] = digits else {
        number.push(b"0");
        return number;
    };
    let exponent = point - 1;
    if exponent < -4 || exponent >= exponent_limit {
        number.push(&[*first]);
        if !after_first.is_empty() {
            number.push(b".");
            number.push(after_first);
        }
        number.push(if exponent < 0 { b"e-" } else { b"e+" });
        if exponent.abs() < 10 {
            number.push(b"0");
        }
        number.push(integer(i64::from(exponent.abs())).as_bytes());
        return number;
    }
    let whole = usize::try_from(point).unwrap_or(0);
    if whole == 0 {
        number.push(b"0.");
        number.push_zeros(usize::try_from(-point).unwrap_or(0));
        number.push(digits);
    } else if let Some((whole, fraction)) = digits.split_at_checked(whole)
        && !fraction.is_empty()
    {
        number.push(whole);
        number.push(b".");
        number.push(fraction);
    } else {
        number.push(digits);
        number.push_zeros(whole - digits.len());
    }
    number
}

/// The number after `e`: an optional minus and digits.
fn read_exponent(text: &[u8]) -> i32 {
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        digits => (1, digits),
    };
    sign * digits
        .iter()
        .fold(0, |value, digit| value * 10 + i32::from(digit - b'0'))
}

/// Texts of floating-point numbers that were printed lately. Columns repeat theirs: half of the
/// alleles of a cohort are seen once or twice and share a frequency.
#[derive(Default)]
pub(super) struct FloatTexts {
    known: Vec<(u64, NumberText)>,
    /// Digits more than a type surely has; None: the fewest that read back the same.
    extra: Option<i32>,
}

impl FloatTexts {
    /// A memory that is worth its set-up.
    pub(super) fn new(extra: Option<i32>) -> FloatTexts {
        let known = vec![(f64::NAN.to_bits(), NumberText::EMPTY); 256];
        FloatTexts { known, extra }
    }

    /// For a single number.
    pub(super) fn forgetful(extra: Option<i32>) -> FloatTexts {
        let known = Vec::new();
        FloatTexts { known, extra }
    }

    /// As [`float8`].
    pub(super) fn float8(&mut self, value: f64) -> NumberText {
        if value.is_nan() {
            return float8(value);
        }
        let extra = self.extra;
        self.recall(value.to_bits(), || match extra {
            Some(extra) => rounded(value, 15 + extra),
            None => float8(value),
        })
    }

    /// As [`float4`].
    pub(super) fn float4(&mut self, value: f32) -> NumberText {
        // Beside those of eight bytes: a NaN is none that is looked up.
        let extra = self.extra;
        self.recall(
            u64::from(value.to_bits()) | 0xfff0_0001_0000_0000,
            || match extra {
                Some(extra) => rounded(f64::from(value), 6 + extra),
                None => float4(value),
            },
        )
    }

    #[inline]
    fn recall(&mut self, bits: u64, print: impl FnOnce() -> NumberText) -> NumberText {
        let place = bits.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0];
        let Some((of, text)) = self.known.get_mut(usize::from(place)) else {
            return print();
        };
        if *of != bits || text.to == 0 {
            (*of, *text) = (bits, print());
        }
        *text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: NumberText) -> String {
        String::from_utf8_lossy(number.as_bytes()).into_owned()
    }

    #[test]
    fn integers_of_every_length() {
        let mut value = 1_i64;
        for _ in 0..19 {
            for near in [value - 1, value, value + 1, -value, i64::MIN, i64::MAX] {
                assert_eq!(text(integer(near)), near.to_string());
            }
            value = value.saturating_mul(10);
        }
    }

    #[test]
    fn floats_print_as_postgresql_prints_them() {
        let table = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.000_012_5, "1.25e-05"),
            (-12.5, "-12.5"),
            (120.0, "120"),
            (123_456_789_012_345.0, "123456789012345"),
            (1e15, "1e+15"),
            (-1.5e300, "-1.5e+300"),
            (f64::MIN, "-1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        let mut memory = FloatTexts::new(None);
        for _ in 0..2 {
            for (value, printed) in table {
                assert_eq!(text(float8(value)), printed);
                assert_eq!(text(memory.float8(value)), printed);
            }
        }
        let table = [
            (100_000.0_f32, "100000"),
            (1e6, "1e+06"),
            (0.1, "0.1"),
            (33.15, "33.15"),
            (f32::NAN, "NaN"),
        ];
        for _ in 0..2 {
            for (value, printed) in table {
                assert_eq!(text(float4(value)), printed);
                assert_eq!(text(memory.float4(value)), printed);
            }
        }
    }

    #[test]
    fn any_float_reads_back_and_no_form_is_shorter() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        let mut memory = FloatTexts::new(None);
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let narrow = f32::from_bits(u32::try_from(bits >> 32).unwrap_or(0));
            assert_eq!(text(memory.float4(narrow)), text(float4(narrow)));
            for value in [
                f64::from_bits(bits),
                (bits >> 40) as f64 / 62_156.0,
                (bits >> 60) as f64 / 10_000.0,
            ] {
                if !value.is_finite() {
                    continue;
                }
                let text = text(memory.float8(value));
                assert_eq!(text.parse::<f64>(), Ok(value));
                let digits = |text: &str| {
                    let mantissa = text.split('e').next().unwrap_or_default();
                    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
                    digits.trim_matches('0').to_owned()
                };
                // Of two forms as short and as near, either may be taken.
                let shortest = digits(&format!("{value:e}")).len();
                assert_eq!(digits(&text).len(), shortest, "{text}");
            }
        }
    }
}
