//! Settings that are amounts of memory: read in any unit of PostgreSQL, kept and shown in the largest that fits.

use super::milliseconds::number;

/// Units by their size in kilobytes, the largest first.
const UNITS: &[(&str, f64)] = &[
    ("TB", 1_073_741_824.0),
    ("GB", 1_048_576.0),
    ("MB", 1_024.0),
    ("kB", 1.0),
    ("B", 1.0 / 1_024.0),
];

/// Why a text is no amount of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// No number.
    NoNumber,
    /// A number and something that is no unit.
    NoUnit,
    /// More than PostgreSQL's integers count.
    TooMuch,
    /// Below zero: this many kilobytes.
    Negative(i64),
}

impl Unread {
    /// PostgreSQL's hint.
    pub(super) fn hint(self) -> Option<&'static str> {
        match self {
            Unread::NoUnit => Some(
                "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".",
            ),
            Unread::TooMuch => Some("Value exceeds integer range."),
            Unread::NoNumber | Unread::Negative(_) => None,
        }
    }
}

/// `64`, `4MB`, `1.5 GB` in kilobytes, rounded as PostgreSQL rounds.
pub(super) fn read(text: &str) -> Result<u32, Unread> {
    let (number, unit) = number(text.trim()).ok_or(Unread::NoNumber)?;
    let size = match unit.trim() {
        "" => 1.0,
        unit => {
            let known = UNITS.iter().find(|(name, _)| *name == unit);
            known.ok_or(Unread::NoUnit)?.1
        }
    };
    let amount = (number * size).round_ties_even();
    if !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&amount) {
        return Err(Unread::TooMuch);
    }
    #[expect(clippy::cast_possible_truncation, reason = "a whole number in range")]
    let amount = amount as i64;
    u32::try_from(amount).map_err(|_| Unread::Negative(amount))
}

/// As SHOW prints it: the largest unit that divides it; 0 has none.
pub(super) fn shown(kilobytes: u32) -> String {
    for (unit, size) in [("TB", 1_073_741_824), ("GB", 1_048_576), ("MB", 1_024)] {
        if kilobytes > 0 && kilobytes.is_multiple_of(size) {
            return format!("{}{unit}", kilobytes / size);
        }
    }
    match kilobytes {
        0 => "0".to_owned(),
        kilobytes => format!("{kilobytes}kB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_shown_as_postgresql_does() {
        for (text, expected) in [
            ("64", "64kB"),
            ("4096", "4MB"),
            ("1.5GB", "1536MB"),
            ("1 TB", "1TB"),
            ("2048B", "2kB"),
        ] {
            assert_eq!(read(text).map(shown).as_deref(), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("a", Unread::NoNumber),
            ("1 foo", Unread::NoUnit),
            ("4TB", Unread::TooMuch),
            ("-1", Unread::Negative(-1)),
        ] {
            assert_eq!(read(text), Err(expected), "{text}");
        }
    }
}
