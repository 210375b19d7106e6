//! Position: a 1-based place on a contig.
//!
//! Invariant: 0 to 2,147,483,647. 0 is the telomere before the first base (VCF 4.5 section 1.6.1),
//! and the length of the contig plus one is the telomere after the last.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A 1-based position; 0 is the place before the first base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u32);

impl Position {
    /// The telomere before the first base.
    pub const TELOMERE: Self = Self(0);
    /// The first base.
    pub const FIRST: Self = Self(1);
    /// The largest position that fits the `int4` columns; stands for "to the end" in an interval.
    pub const MAX: Self = Self(i32::MAX as u32);

    /// A position, 1-based.
    ///
    /// # Errors
    /// [`Error::Position`] above 2,147,483,647.
    pub fn new(pos: u32) -> Result<Self> {
        if pos > Self::MAX.0 {
            return Err(Error::Position {
                text: pos.to_string().into(),
            });
        }
        Ok(Self(pos))
    }

    /// The number, 1-based.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// The number as the `int4` columns hold it, 1-based.
    #[must_use]
    pub fn as_i32(self) -> i32 {
        i32::try_from(self.0).unwrap_or(i32::MAX)
    }

    /// The position `bases` further to the right; stops at [`Position::MAX`].
    #[must_use]
    pub fn saturating_add(self, bases: u32) -> Self {
        Self(self.0.saturating_add(bases).min(Self::MAX.0))
    }
}

impl FromStr for Position {
    type Err = Error;

    /// Decimal digits, thousands may be separated by commas.
    fn from_str(text: &str) -> Result<Self> {
        let error = || Error::Position { text: text.into() };
        let mut value = 0u32;
        let mut digits = 0;
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => {
                    value = value
                        .checked_mul(10)
                        .and_then(|v| v.checked_add(u32::from(byte - b'0')))
                        .ok_or_else(error)?;
                    digits += 1;
                }
                b',' if digits > 0 => {}
                _ => return Err(error()),
            }
        }
        if digits == 0 || text.ends_with(',') || value > Self::MAX.0 {
            return Err(error());
        }
        Ok(Self(value))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_texts() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1", Some(1)),
            ("20,000,000", Some(20_000_000)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", None),
            ("99999999999", None),
            ("", None),
            (",1", None),
            ("1,", None),
            ("-1", None),
            ("1e3", None),
        ] {
            let position = text.parse::<Position>().ok().map(Position::get);
            assert_eq!(position, expected, "{text}");
        }
    }
}
