//! Intervals in the forms of ISO 8601.

use super::{Fault, Number, OF_CLOCK, Span, Unit};

/// ISO 8601: `P1Y2M3DT4H`, `P0001-02-03T04:05:06`, `P00010203T040506`.
pub(super) fn iso(text: &str) -> Result<Span, Fault> {
    let rest = text.strip_prefix('P').ok_or(Fault::Syntax)?;
    if rest.is_empty() {
        return Err(Fault::Syntax);
    }
    let mut span = Span::default();
    let (date, time) = match rest.split_once('T') {
        Some((date, time)) => (date, time),
        None => (rest, ""),
    };
    if time.contains('T') {
        return Err(Fault::Syntax);
    }
    iso_part(
        &mut span,
        date,
        '-',
        8,
        [Unit::Year, Unit::Month, Unit::Day],
        |unit| match unit {
            'Y' => Some(Unit::Year),
            'M' => Some(Unit::Month),
            'W' => Some(Unit::Week),
            'D' => Some(Unit::Day),
            _ => None,
        },
    )?;
    iso_part(&mut span, time, ':', 6, OF_CLOCK, |unit| match unit {
        'H' => Some(Unit::Hour),
        'M' => Some(Unit::Minute),
        'S' => Some(Unit::Second),
        _ => None,
    })?;
    Ok(span)
}

/// The numbers on one side of the T: each with its letter, or all in order with a mark between them or in a run of digits.
fn iso_part(
    span: &mut Span,
    text: &str,
    between: char,
    run: usize,
    order: [Unit; 3],
    unit_of: fn(char) -> Option<Unit>,
) -> Result<(), Fault> {
    let mut rest = text;
    let mut ordered = order.into_iter();
    let mut lettered = false;
    while !rest.is_empty() {
        let (number, digits, after) = iso_number(rest)?;
        let letter = after.chars().next();
        if let Some(unit) = letter.and_then(unit_of)
            && ordered.len() == order.len()
        {
            span.add(number, unit)?;
            lettered = true;
            rest = after.get(1..).unwrap_or_default();
            continue;
        }
        if lettered || !(letter.is_none() || letter == Some(between)) {
            return Err(Fault::Syntax);
        }
        let first = ordered.len() == order.len();
        if first && letter.is_none() && digits == run {
            return iso_run(span, number, order);
        }
        let unit = ordered.next().ok_or(Fault::Syntax)?;
        span.add(number, unit)?;
        rest = match after.strip_prefix(between) {
            Some("") => return Err(Fault::Syntax),
            Some(after) => after,
            None => after,
        };
    }
    Ok(())
}

/// Adds `20010203` or `040506`, whose fraction is of the last.
fn iso_run(span: &mut Span, number: Number, order: [Unit; 3]) -> Result<(), Fault> {
    let whole = number.whole;
    let parts = [whole / 10_000, whole / 100 % 100, whole % 100];
    for (unit, whole) in order.into_iter().zip(parts) {
        let last = matches!(unit, Unit::Day | Unit::Second);
        let part = if last { number.part } else { 0.0 };
        span.add(Number { whole, part }, unit)?;
    }
    Ok(())
}

/// A number of ISO 8601, how many digits it begins with, and what follows it.
fn iso_number(text: &str) -> Result<(Number, usize, &str), Fault> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let end = unsigned.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let end = end.unwrap_or(unsigned.len());
    let (said, rest) = unsigned.split_at(end);
    let digits = said.find('.').unwrap_or(said.len());
    let value: f64 = said.parse().map_err(|_| Fault::Syntax)?;
    if value > 1e15 {
        return Err(Fault::Range);
    }
    let value = if text.starts_with('-') { -value } else { value };
    #[expect(clippy::cast_possible_truncation, reason = "looked at above")]
    let whole = value.trunc() as i64;
    let part = value.fract();
    Ok((Number { whole, part }, digits, rest))
}
