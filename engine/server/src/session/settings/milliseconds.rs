//! Settings that are lengths of time: read in any unit of PostgreSQL, kept and shown in the largest that fits.

/// Units by their length in milliseconds, the longest first.
const UNITS: &[(&str, f64)] = &[
    ("d", 86_400_000.0),
    ("h", 3_600_000.0),
    ("min", 60_000.0),
    ("s", 1_000.0),
    ("ms", 1.0),
    ("us", 0.001),
];

/// Why a text is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// No number.
    NoNumber,
    /// A number and something that is no unit.
    NoUnit,
    /// Longer than PostgreSQL's integers count.
    TooLong,
    /// Before zero: this many milliseconds.
    Negative(i32),
}

impl Unread {
    /// PostgreSQL's hint.
    pub(super) fn hint(self) -> Option<&'static str> {
        match self {
            Unread::NoUnit => Some(
                "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".",
            ),
            Unread::TooLong => Some("Value exceeds integer range."),
            Unread::NoNumber | Unread::Negative(_) => None,
        }
    }
}

/// `250`, `250ms`, `1.5s`, `5 min`, `0x10` in milliseconds, rounded as PostgreSQL rounds.
pub(super) fn read(text: &str) -> Result<u32, Unread> {
    let text = text.trim();
    let (number, unit) = number(text).ok_or(Unread::NoNumber)?;
    let length = match unit.trim() {
        "" => 1.0,
        unit => {
            let known = UNITS.iter().find(|(name, _)| *name == unit);
            known.ok_or(Unread::NoUnit)?.1
        }
    };
    let milliseconds = (number * length).round_ties_even();
    if !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&milliseconds) {
        return Err(Unread::TooLong);
    }
    #[expect(clippy::cast_possible_truncation, reason = "a whole number in range")]
    let milliseconds = milliseconds as i32;
    u32::try_from(milliseconds).map_err(|_| Unread::Negative(milliseconds))
}

/// The number at the start of a text, and what follows it.
pub(super) fn number(text: &str) -> Option<(f64, &str)> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let hexadecimal = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
    if let Some(digits) = hexadecimal {
        let end = digits.find(|c: char| !c.is_ascii_hexdigit());
        let (number, rest) = digits.split_at(end.unwrap_or(digits.len()));
        let number = u32::from_str_radix(number, 16).ok()?;
        return Some((sign * f64::from(number), rest));
    }
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, rest) = digits.split_at(end.unwrap_or(digits.len()));
    Some((sign * number.parse::<f64>().ok()?, rest))
}

/// As SHOW prints it: the largest unit that divides it; 0 has none.
pub(super) fn shown(milliseconds: u32) -> String {
    let fits = |factor: u32| milliseconds > 0 && milliseconds.is_multiple_of(factor);
    for (unit, factor) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("min", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ] {
        if fits(factor) {
            return format!("{}{unit}", milliseconds / factor);
        }
    }
    "0".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_shown_as_postgresql_does() {
        for (text, expected) in [
            ("0", "0"),
            ("90s", "90s"),
            ("60000", "1min"),
            ("1.5s", "1500ms"),
            ("2us", "0"),
            ("2500us", "2ms"),
            ("1d", "1d"),
            ("0x10", "16ms"),
            (" 10 s ", "10s"),
        ] {
            assert_eq!(read(text).map(shown).as_deref(), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("5x", Unread::NoUnit),
            ("abc", Unread::NoNumber),
            ("", Unread::NoNumber),
            ("30d", Unread::TooLong),
            ("-1", Unread::Negative(-1)),
        ] {
            assert_eq!(read(text), Err(expected), "{text}");
        }
    }
}
