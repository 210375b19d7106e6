//! `to_char` of numbers: digits by a pattern.
//!
//! Digits are 9 (blank where nothing is) and 0; `.` and D the point, `,` and G between groups; the sign is S, MI, SG, PL or
//! PR, or stands before the first digit; FM leaves blanks out. A number that has more digits than the pattern is `#`.

use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::numeric::Numeric;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Nine,
    Zero,
    Point,
    Group,
    Sign,
    Minus,
    Plus,
    Both,
    Other(char),
}

/// A pattern taken apart.
struct Pattern {
    parts: Vec<Part>,
    fill: bool,
    angled: bool,
}

/// Whether a pattern is one of numbers: it has a digit and no word of dates.
pub(crate) fn is_of_numbers(pattern: &str) -> bool {
    let upper = pattern.to_ascii_uppercase();
    let known = |c: char| "90.,DGSLFMIPRVETHN ".contains(c) || !c.is_ascii_alphabetic();
    let digits = pattern.contains(['9', '0']);
    let dates = ["DD", "MM", "YY", "HH", "SS", "MON", "DAY"];
    digits && upper.chars().all(known) && !dates.iter().any(|word| upper.contains(word))
}

fn pattern_of(pattern: &str) -> Result<Pattern> {
    let mut made = Pattern {
        parts: Vec::new(),
        fill: true,
        angled: false,
    };
    let mut rest = pattern;
    while let Some(next) = rest.chars().next() {
        if next == '"' {
            let quoted = &rest[1..];
            let (text, behind) = quoted.split_once('"').unwrap_or((quoted, ""));
            made.parts.extend(text.chars().map(Part::Other));
            rest = behind;
            continue;
        }
        let word = rest
            .get(..2)
            .map(str::to_ascii_uppercase)
            .unwrap_or_default();
        let of_two = match word.as_str() {
            "FM" => {
                made.fill = false;
                Some(None)
            }
            "PR" => {
                made.angled = true;
                Some(None)
            }
            "MI" => Some(Some(Part::Minus)),
            "PL" => Some(Some(Part::Plus)),
            "SG" => Some(Some(Part::Both)),
            "TH" | "RN" | "EE" => {
                return Err(CatalogError::unsupported(format!(
                    "\"{word}\" in the pattern \"{pattern}\""
                )));
            }
            _ => None,
        };
        if let Some(part) = of_two {
            made.parts.extend(part);
            rest = &rest[2..];
            continue;
        }
        made.parts.push(match next.to_ascii_uppercase() {
            '9' => Part::Nine,
            '0' => Part::Zero,
            '.' | 'D' => Part::Point,
            ',' | 'G' => Part::Group,
            'S' => Part::Sign,
            'V' | 'L' => {
                return Err(CatalogError::unsupported(format!(
                    "\"{next}\" in the pattern \"{pattern}\""
                )));
            }
            _ => Part::Other(next),
        });
        rest = &rest[next.len_utf8()..];
    }
    Ok(made)
}

/// The text of a number by a pattern.
///
/// # Errors
/// 0A000 for what of a pattern is not known here.
pub(super) fn number_text(number: Numeric, pattern: &str) -> Result<String> {
    let pattern = pattern_of(pattern)?;
    let is_digit = |part: &Part| matches!(part, Part::Nine | Part::Zero);
    let point = pattern.parts.iter().position(|part| *part == Part::Point);
    let (whole, fraction) = pattern.parts.split_at(point.unwrap_or(pattern.parts.len()));
    let (before, behind) = (
        whole.iter().filter(|part| is_digit(part)).count(),
        fraction.iter().filter(|part| is_digit(part)).count(),
    );
    let rounded = number.round(i32::try_from(behind).unwrap_or(0));
    let Some(rounded) = rounded else {
        return Err(CatalogError::new("22003", "value overflows numeric format"));
    };
    let text = rounded.to_string();
    let negative = text.starts_with('-') && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    let text = text.trim_start_matches('-');
    let (digits, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = digits.trim_start_matches('0');
    let overflow = digits.len() > before;
    // Digits from the right; what is before the first that is shown is blank.
    let first_zero = whole
        .iter()
        .filter(|part| is_digit(part))
        .position(|part| *part == Part::Zero);
    let mut shown = before
        .saturating_sub(digits.len())
        .min(first_zero.unwrap_or(before));
    if digits.is_empty() && first_zero.is_none() && point.is_none() {
        shown = before.saturating_sub(1);
    }
    let mut out = String::new();
    let anchored = pattern
        .parts
        .iter()
        .any(|part| matches!(part, Part::Sign | Part::Minus | Part::Plus | Part::Both));
    let leading = pattern.parts.first() == Some(&Part::Sign);
    let before_first = match (pattern.angled, anchored, negative) {
        (true, _, true) => Some('<'),
        (true, _, false) => Some(' '),
        (_, true, true) if leading => Some('-'),
        (_, true, false) if leading => Some('+'),
        (_, true, _) => None,
        (_, _, true) => Some('-'),
        (_, _, false) => Some(' '),
    };
    let mut signed = before_first.is_none();
    let mut sign = |out: &mut String| {
        if let Some(sign) = before_first.filter(|_| !signed) {
            signed = true;
            if sign != ' ' || pattern.fill {
                out.push(sign);
            }
        }
    };
    let mut place = 0;
    let mut decimal = 0;
    let mut in_fraction = false;
    // With FM zeros at the end go where the pattern has nines.
    let kept = match pattern.fill {
        true => behind,
        false => {
            let places: Vec<&Part> = fraction.iter().filter(|part| is_digit(part)).collect();
            let last_zero = places.iter().rposition(|part| **part == Part::Zero);
            let needed = decimals.trim_end_matches('0').len();
            needed.max(last_zero.map_or(0, |at| at + 1))
        }
    };
    for (at, part) in pattern.parts.iter().enumerate() {
        match part {
            Part::Nine | Part::Zero if !in_fraction => {
                if place >= shown || overflow {
                    sign(&mut out);
                    let digit = (place + digits.len()).checked_sub(before);
                    let digit = digit.and_then(|at| digits.as_bytes().get(at));
                    out.push(match digit {
                        _ if overflow => '#',
                        Some(digit) => char::from(*digit),
                        None => '0',
                    });
                } else if pattern.fill {
                    out.push(' ');
                }
                place += 1;
            }
            Part::Nine | Part::Zero => {
                if decimal < kept {
                    let digit = decimals.as_bytes().get(decimal);
                    out.push(match digit {
                        _ if overflow => '#',
                        Some(digit) => char::from(*digit),
                        None => '0',
                    });
                }
                decimal += 1;
            }
            Part::Point => {
                sign(&mut out);
                in_fraction = true;
                out.push('.');
            }
            Part::Group => {
                if place > shown || overflow {
                    out.push(',');
                } else if pattern.fill {
                    out.push(' ');
                }
            }
            Part::Sign if at == 0 => {}
            Part::Sign | Part::Both => out.push(if negative { '-' } else { '+' }),
            Part::Minus if negative => out.push('-'),
            Part::Plus if !negative => out.push('+'),
            Part::Minus | Part::Plus => {
                if pattern.fill {
                    out.push(' ');
                }
            }
            Part::Other(text) => out.push(*text),
        }
    }
    if pattern.angled {
        match negative {
            true => out.push('>'),
            false if pattern.fill => out.push(' '),
            false => {}
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_are_written_as_postgresql_writes_them() {
        for (number, pattern, expected) in [
            ("3", "999", "   3"),
            ("-4", "999", "  -4"),
            ("-1.5", "FM990.00", "-1.50"),
            ("10.25", "999,999.99", "      10.25"),
            ("1234567", "9,999,999", " 1,234,567"),
            ("0.5", "0.00", " 0.50"),
            ("-0.5", "90.9", " -0.5"),
            ("7", "0000", " 0007"),
            ("-4", "FM000", "-004"),
            ("0.5", "9.9", "  .5"),
            ("0", "99", "  0"),
            ("1.5", "FM9.99", "1.5"),
            ("1234", "99", " ##"),
            ("5", "S999", "  +5"),
            ("-5", "999S", "  5-"),
            ("-5", "999MI", "  5-"),
            ("-5", "999PR", "  <5>"),
            ("12.345", "FM99.0%", "12.3%"),
        ] {
            let number = Numeric::parse(number).unwrap();
            assert_eq!(number_text(number, pattern).unwrap(), expected, "{pattern}");
        }
        assert!(is_of_numbers("FM999,990.00") && !is_of_numbers("YYYY-MM-DD"));
    }
}
