//! Exact decimal numbers of catalog queries: 38 digits, which is what sums of counts and sizes need.

use std::cmp::Ordering;
use std::fmt;

/// A decimal number: `units / 10^scale`.
#[derive(Clone, Copy, Debug)]
pub struct Numeric {
    units: i128,
    scale: u32,
}

impl From<i64> for Numeric {
    fn from(value: i64) -> Self {
        Self {
            units: i128::from(value),
            scale: 0,
        }
    }
}

impl Numeric {
    /// Reads `-12.50` or `1e3`; `None` when it is no number or too long.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = whole.trim_start_matches(['+', '-']);
        if (digits.is_empty() && fraction.is_empty())
            || !digits
                .bytes()
                .chain(fraction.bytes())
                .all(|b| b.is_ascii_digit())
        {
            return None;
        }
        let mut units: i128 = format!("{digits}{fraction}").parse().ok()?;
        if whole.starts_with('-') {
            units = -units;
        }
        let scale = i32::try_from(fraction.len()).ok()? - exponent;
        match u32::try_from(scale) {
            Ok(scale) => Some(Self { units, scale }),
            Err(_) => Some(Self {
                units: units.checked_mul(10i128.checked_pow(scale.unsigned_abs())?)?,
                scale: 0,
            }),
        }
    }

    pub(crate) fn from_f64(value: f64) -> Option<Self> {
        Self::parse(&super::value::float_text(value, false))
    }

    pub(crate) fn to_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    fn rescaled(self, scale: u32) -> Option<i128> {
        self.units
            .checked_mul(10i128.checked_pow(scale.checked_sub(self.scale)?)?)
    }

    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        match (self.rescaled(scale), other.rescaled(scale)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => self.to_f64().total_cmp(&other.to_f64()),
        }
    }

    pub(crate) fn add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        Some(Self {
            units: self.rescaled(scale)?.checked_add(other.rescaled(scale)?)?,
            scale,
        })
    }

    pub(crate) fn negate(self) -> Self {
        Self {
            units: -self.units,
            scale: self.scale,
        }
    }

    pub(crate) fn multiply(self, other: Self) -> Option<Self> {
        Some(Self {
            units: self.units.checked_mul(other.units)?,
            scale: self.scale + other.scale,
        })
    }

    /// The quotient with at least 16 significant digits, as PostgreSQL chooses the scale; `None` on division by zero or overflow.
    pub(crate) fn divide(self, other: Self) -> Option<Self> {
        if other.units == 0 {
            return None;
        }
        let scale = self.division_scale(other);
        let shift = scale + other.scale;
        let (a, b) = if shift >= self.scale {
            (
                self.units
                    .checked_mul(10i128.checked_pow(shift - self.scale)?)?,
                other.units,
            )
        } else {
            (
                self.units,
                other
                    .units
                    .checked_mul(10i128.checked_pow(self.scale - shift)?)?,
            )
        };
        Some(Self {
            units: divide_rounded(a, b),
            scale,
        })
    }

    /// PostgreSQL works in base 10000 and asks for four more groups than the quotient's first.
    fn division_scale(self, other: Self) -> u32 {
        let (weight_a, first_a) = self.leading_group();
        let (weight_b, first_b) = other.leading_group();
        let mut weight = weight_a - weight_b;
        if first_a <= first_b {
            weight -= 1;
        }
        let wanted = 16 - weight * 4;
        u32::try_from(wanted)
            .unwrap_or(0)
            .max(self.scale)
            .max(other.scale)
            .min(30)
    }

    fn leading_group(self) -> (i32, i32) {
        if self.units == 0 {
            return (0, 0);
        }
        let digits = self.units.unsigned_abs().to_string();
        let before_point =
            i32::try_from(digits.len()).unwrap_or(0) - i32::try_from(self.scale).unwrap_or(0);
        let weight = (before_point - 1).div_euclid(4);
        let take = usize::try_from(before_point - weight * 4)
            .unwrap_or(1)
            .min(digits.len());
        let missing = usize::try_from(before_point - weight * 4).unwrap_or(1) - take;
        let group: i32 = format!("{}{}", &digits[..take], "0".repeat(missing))
            .parse()
            .unwrap_or(0);
        (weight, group)
    }

    /// The square root with at least 16 significant digits; `None` of a negative number.
    pub(crate) fn square_root(self) -> Option<Self> {
        let weight = self.leading_group().0;
        let scale = u32::try_from(16 - (weight * 2 + 1))
            .unwrap_or(0)
            .max(self.scale);
        let radicand = u128::try_from(self.units)
            .ok()?
            .checked_mul(10u128.checked_pow((2 * scale).checked_sub(self.scale)?)?)?;
        Some(Self {
            units: i128::try_from(radicand.isqrt()).ok()?,
            scale,
        })
    }

    pub(crate) fn remainder(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        Some(Self {
            units: self.rescaled(scale)?.checked_rem(other.rescaled(scale)?)?,
            scale,
        })
    }

    /// Rounds half away from zero to `digits` decimals (may be negative).
    pub(crate) fn round(self, digits: i32) -> Option<Self> {
        let scale = u32::try_from(digits).unwrap_or(0);
        if scale >= self.scale && digits >= 0 {
            return Some(Self {
                units: self.rescaled(scale)?,
                scale,
            });
        }
        let drop = u32::try_from(i64::from(self.scale) - i64::from(digits)).ok()?;
        let units = divide_rounded(self.units, 10i128.checked_pow(drop)?);
        Some(if digits < 0 {
            Self {
                units: units.checked_mul(10i128.checked_pow(digits.unsigned_abs())?)?,
                scale: 0,
            }
        } else {
            Self { units, scale }
        })
    }

    /// Cuts towards zero to `digits` decimals.
    pub(crate) fn truncate(self, digits: u32) -> Option<Self> {
        if digits >= self.scale {
            return Some(Self {
                units: self.rescaled(digits)?,
                scale: digits,
            });
        }
        Some(Self {
            units: self.units / 10i128.checked_pow(self.scale - digits)?,
            scale: digits,
        })
    }

    pub(crate) fn floor(self) -> Option<Self> {
        Some(Self {
            units: self.units.div_euclid(10i128.checked_pow(self.scale)?),
            scale: 0,
        })
    }

    pub(crate) fn to_i64(self) -> Option<i64> {
        i64::try_from(self.round(0)?.units).ok()
    }

    pub(crate) fn to_i64_exact(self) -> Option<i64> {
        let normal = self.normalized();
        (normal.scale == 0)
            .then(|| i64::try_from(normal.units).ok())
            .flatten()
    }

    pub(crate) fn normalized(mut self) -> Self {
        while self.scale > 0 && self.units % 10 == 0 {
            self.units /= 10;
            self.scale -= 1;
        }
        self
    }

    /// The number in units of so many digits behind the point, rounded; `None` when it is too great for them.
    pub(crate) fn units_of(self, scale: u32) -> Option<i128> {
        self.round(i32::try_from(scale).ok()?)?.rescaled(scale)
    }

    /// Digits behind the point.
    pub(crate) fn scale(self) -> u32 {
        self.scale
    }

    pub(crate) fn is_negative(self) -> bool {
        self.units < 0
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "base-10000 groups and 38 digits fit 16 bits"
    )]
    pub(crate) fn write_binary(self, out: &mut Vec<u8>) {
        let text = self.units.unsigned_abs().to_string();
        let scale = self.scale as usize;
        let padded = if text.len() <= scale {
            format!("{}{text}", "0".repeat(scale + 1 - text.len()))
        } else {
            text
        };
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
        let fraction = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
        let mut groups: Vec<i16> = format!("{whole}{fraction}")
            .as_bytes()
            .chunks(4)
            .map(|c| c.iter().fold(0, |n, b| n * 10 + i16::from(b - b'0')))
            .collect();
        let mut weight = (whole.len() / 4) as i16 - 1;
        while groups.first() == Some(&0) {
            groups.remove(0);
            weight -= 1;
        }
        while groups.last() == Some(&0) {
            groups.pop();
        }
        if groups.is_empty() {
            weight = 0;
        }
        out.extend((groups.len() as i16).to_be_bytes());
        out.extend(weight.to_be_bytes());
        out.extend(if self.units < 0 { 0x4000i16 } else { 0 }.to_be_bytes());
        out.extend((self.scale as i16).to_be_bytes());
        for group in groups {
            out.extend(group.to_be_bytes());
        }
    }
}

fn divide_rounded(a: i128, b: i128) -> i128 {
    let quotient = a / b;
    let rest = (a % b).unsigned_abs();
    if rest >= b.unsigned_abs() - rest {
        quotient + if (a < 0) == (b < 0) { 1 } else { -1 }
    } else {
        quotient
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.units.unsigned_abs().to_string();
        let scale = self.scale as usize;
        let padded = if digits.len() <= scale {
            format!("{}{digits}", "0".repeat(scale + 1 - digits.len()))
        } else {
            digits
        };
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        let sign = if self.units < 0 { "-" } else { "" };
        if fraction.is_empty() {
            write!(f, "{sign}{whole}")
        } else {
            write!(f, "{sign}{whole}.{fraction}")
        }
    }
}
