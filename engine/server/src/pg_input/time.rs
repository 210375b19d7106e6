//! Dates and times from their text, ISO 8601 as PostgreSQL prints them.

use arrow::datatypes::IntervalMonthDayNano;
use arrow_array::timezone::Tz;
use chrono::{NaiveDate, NaiveDateTime, TimeDelta, TimeZone as _};

use crate::sqlstate::ServerError;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Days since 1970.
pub(super) fn date(text: &str) -> Result<i32, ServerError> {
    let (date, rest) = split(text.trim());
    let day = day(date).ok_or_else(|| syntax("date", text))?;
    // What follows a date is read and dropped, as in PostgreSQL.
    if !rest.is_empty() && clock_and_zone(rest).is_none() {
        return Err(syntax("date", text));
    }
    let day = day.map_err(|fault| fault.told(text))?;
    let days = day.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).map_err(|_| out_of_range(text))
}

/// Microseconds since midnight.
pub(super) fn time(text: &str) -> Result<i64, ServerError> {
    let (micros, _zone) = clock_and_zone(text.trim()).ok_or_else(|| syntax("time", text))?;
    micros.ok_or_else(|| out_of_range(text))
}

/// Microseconds since 1970; with a zone those of UTC, and a text that names none is of this one.
pub(super) fn timestamp(text: &str, zone: Option<&Tz>) -> Result<i64, ServerError> {
    let name = match zone {
        Some(_) => "timestamp with time zone",
        None => "timestamp",
    };
    let trimmed = text.trim();
    match trimmed {
        "infinity" => return Ok(i64::MAX),
        "-infinity" => return Ok(i64::MIN),
        "epoch" => return Ok(0),
        _ => {}
    }
    let (date, rest) = split(trimmed);
    let day = day(date).ok_or_else(|| syntax(name, text))?;
    let (micros, written) = match rest {
        "" => (Some(0), None),
        rest => clock_and_zone(rest).ok_or_else(|| syntax(name, text))?,
    };
    let day = day.map_err(|fault| fault.told(text))?;
    let micros = micros.ok_or_else(|| out_of_range(text))?;
    let midnight = day.and_time(chrono::NaiveTime::MIN);
    let local = midnight.checked_add_signed(TimeDelta::microseconds(micros));
    let local = local.ok_or_else(|| out_of_range(text))?;
    let instant = match (zone, written) {
        (None, _) => local.and_utc().timestamp_micros(),
        (Some(_), Some(written)) => {
            let written: Tz = written.parse().map_err(|_| {
                let message = format!("time zone \"{written}\" not recognized");
                ServerError::new("22023", message)
            })?;
            in_zone(local, &written).ok_or_else(|| out_of_range(text))?
        }
        (Some(zone), None) => in_zone(local, zone).ok_or_else(|| out_of_range(text))?,
    };
    Ok(instant)
}

/// An interval: numbers with units and `hh:mm:ss`, as PostgreSQL prints it; `years-months`; ISO 8601 (`P1Y2M3DT4H`).
pub(super) fn interval(text: &str) -> Result<IntervalMonthDayNano, ServerError> {
    let bad = || syntax("interval", text);
    let mut span = Span::default();
    let mut words: Vec<&str> = text.split_whitespace().collect();
    if words.first() == Some(&"@") {
        words.remove(0);
    }
    let ago = words
        .last()
        .is_some_and(|word| word.eq_ignore_ascii_case("ago"));
    if ago {
        words.pop();
    }
    if words.is_empty() {
        return Err(bad());
    }
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if let Some(iso) = word.strip_prefix(['P', 'p']) {
            span.iso(iso).ok_or_else(bad)?;
            continue;
        }
        if let Some(months) = years_and_months(word) {
            span.months = span.months.saturating_add(months);
            continue;
        }
        if word.contains(':') {
            let minus = word.starts_with('-');
            let clock = word.strip_prefix(['-', '+']).unwrap_or(word);
            let micros = hours(clock).ok_or_else(bad)?;
            span.micros += if minus { -micros } else { micros };
            continue;
        }
        let end = word
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(word.len());
        let (number, unit) = word.split_at(end);
        let number: f64 = number.parse().map_err(|_| bad())?;
        let unit = match unit {
            "" => words.next().unwrap_or("second"),
            unit => unit,
        };
        span.add(number, unit).ok_or_else(bad)?;
    }
    if ago {
        span = Span {
            months: span.months.saturating_neg(),
            days: span.days.saturating_neg(),
            micros: span.micros.saturating_neg(),
        };
    }
    let months = i32::try_from(span.months).map_err(|_| interval_range(text))?;
    let days = i32::try_from(span.days).map_err(|_| interval_range(text))?;
    let nanos = span.micros.checked_mul(1_000);
    let nanos = nanos.and_then(|nanos| i64::try_from(nanos).ok());
    let nanos = nanos.ok_or_else(|| interval_range(text))?;
    Ok(IntervalMonthDayNano::new(months, days, nanos))
}

#[derive(Default)]
struct Span {
    months: i64,
    days: i64,
    micros: i128,
}

impl Span {
    /// Adds a number of a unit; what is left of a month goes to days of which it has 30, of a day to its hours.
    fn add(&mut self, number: f64, unit: &str) -> Option<()> {
        let lower = unit.to_ascii_lowercase();
        let unit = match lower.strip_suffix('s') {
            Some(one) if one.len() > 1 => one,
            _ => &lower,
        };
        match unit {
            "y" | "yr" | "year" => self.months(number * 12.0),
            "mon" | "month" => self.months(number),
            "w" | "week" => self.days(number * 7.0),
            "d" | "day" => self.days(number),
            "h" | "hr" | "hour" => self.seconds(number * 3_600.0),
            "m" | "min" | "minute" => self.seconds(number * 60.0),
            "s" | "sec" | "second" => self.seconds(number),
            "ms" | "msec" | "millisecond" => self.seconds(number / 1e3),
            "us" | "usec" | "microsecond" => self.microseconds(number),
            _ => return None,
        }
        Some(())
    }

    /// Adds what follows the P of ISO 8601.
    fn iso(&mut self, text: &str) -> Option<()> {
        let (date, time) = match text.split_once(['T', 't']) {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        if date.is_empty() && time.is_none_or(str::is_empty) {
            return None;
        }
        for (part, units) in [(Some(date), "YMWD"), (time, "HMS")] {
            let mut rest = part.unwrap_or_default();
            while !rest.is_empty() {
                let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
                let number: f64 = rest.get(..end)?.parse().ok()?;
                let unit = rest.get(end..=end)?.to_ascii_uppercase();
                if !units.contains(&unit) {
                    return None;
                }
                // M is months before the T and minutes after it.
                let unit = if unit == "M" && units == "YMWD" {
                    "mon"
                } else {
                    &unit
                };
                self.add(number, unit)?;
                rest = rest.get(end + 1..)?;
            }
        }
        Some(())
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, and is looked at later"
    )]
    fn months(&mut self, number: f64) {
        self.months = self.months.saturating_add(number.trunc() as i64);
        if number.fract() != 0.0 {
            self.days(number.fract() * 30.0);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, and is looked at later"
    )]
    fn days(&mut self, number: f64) {
        self.days = self.days.saturating_add(number.trunc() as i64);
        if number.fract() != 0.0 {
            self.seconds(number.fract() * 86_400.0);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, and is looked at later"
    )]
    fn microseconds(&mut self, number: f64) {
        self.micros = self.micros.saturating_add(number.round() as i128);
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates, and is looked at later"
    )]
    fn seconds(&mut self, number: f64) {
        let micros = (number * 1e6).round() as i128;
        self.micros = self.micros.saturating_add(micros);
    }
}

/// Months of `years-months`.
fn years_and_months(text: &str) -> Option<i64> {
    let minus = text.starts_with('-');
    let (years, months) = text
        .strip_prefix(['-', '+'])
        .unwrap_or(text)
        .split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(years) || !digits(months) {
        return None;
    }
    let (years, months): (i64, i64) = (years.parse().ok()?, months.parse().ok()?);
    let all = years
        .checked_mul(12)?
        .checked_add(months)
        .filter(|_| months < 12)?;
    Some(if minus { -all } else { all })
}

/// Microseconds of `hh:mm[:ss[.ffffff]]` with any number of hours.
fn hours(text: &str) -> Option<i128> {
    let (hours, rest) = text.split_once(':')?;
    let digits = !hours.is_empty() && hours.bytes().all(|byte| byte.is_ascii_digit());
    let hours: i64 = hours.parse().ok().filter(|_| digits)?;
    let rest = format!("00:{rest}");
    let (minutes, zone) = clock_and_zone(&rest)?;
    let minutes = minutes.filter(|_| zone.is_none())?;
    let hour = i128::from(3_600 * MICROS_PER_SECOND);
    Some(i128::from(hours) * hour + i128::from(minutes))
}

fn interval_range(text: &str) -> ServerError {
    let message = format!("interval field value out of range: \"{text}\"");
    ServerError::new("22015", message)
}

/// A local time that a change of clocks left out counts as that of before it, one that comes twice as the first.
fn in_zone(local: NaiveDateTime, zone: &Tz) -> Option<i64> {
    let found = zone.from_local_datetime(&local).earliest().or_else(|| {
        let before = zone.from_local_datetime(&(local - TimeDelta::hours(1)));
        before.earliest().map(|time| time + TimeDelta::hours(1))
    });
    found.map(|time| time.timestamp_micros())
}

/// A date and what follows it.
fn split(text: &str) -> (&str, &str) {
    match text.split_once([' ', 'T', 't']) {
        Some((date, rest)) => (date, rest.trim_start()),
        None => (text, ""),
    }
}

/// Digits that name no day.
enum NoDay {
    /// A month or a day that no year has.
    Field,
    /// A day that this month does not have.
    Calendar,
}

impl NoDay {
    fn told(self, text: &str) -> ServerError {
        match self {
            NoDay::Field => {
                out_of_range(text).hint("Perhaps you need a different \"datestyle\" setting.")
            }
            NoDay::Calendar => out_of_range(text),
        }
    }
}

/// A day; None: no date at all.
fn day(text: &str) -> Option<Result<NaiveDate, NoDay>> {
    let number = |part: &str| -> Option<u32> {
        let digits = !part.is_empty() && part.len() <= 6;
        (digits && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse().ok())?
    };
    let (year, month, day) = match text.split('-').collect::<Vec<_>>().as_slice() {
        [year, month, day] if year.len() >= 3 && month.len() <= 2 && day.len() <= 2 => {
            (number(year)?, number(month)?, number(day)?)
        }
        [all] if all.len() == 8 => {
            let (year, rest) = all.split_at_checked(4)?;
            let (month, day) = rest.split_at_checked(2)?;
            (number(year)?, number(month)?, number(day)?)
        }
        _ => return None,
    };
    let year = i32::try_from(year).ok()?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return Some(Err(NoDay::Field));
    }
    Some(NaiveDate::from_ymd_opt(year, month, day).ok_or(NoDay::Calendar))
}

/// `hh:mm[:ss[.ffffff]]` and a zone; the inner None: digits that name no time.
fn clock_and_zone(text: &str) -> Option<(Option<i64>, Option<&str>)> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.')))
        .unwrap_or(text.len());
    let (clock, zone) = text.split_at(end);
    let zone = match zone.trim() {
        "" => None,
        "Z" | "z" | "UTC" | "GMT" => Some("+00:00"),
        other => Some(other),
    };
    let mut parts = clock.split(':');
    let two = |part: Option<&str>| -> Option<i64> {
        let part = part.filter(|part| (1..=2).contains(&part.len()))?;
        part.parse().ok()
    };
    let (hours, minutes) = (two(parts.next())?, two(parts.next())?);
    let (seconds, fraction) = match parts.next() {
        None => (0, 0),
        Some(part) => {
            let (whole, fraction) = part.split_once('.').unwrap_or((part, ""));
            (two(Some(whole))?, micros(fraction)?)
        }
    };
    if parts.next().is_some() {
        return None;
    }
    let total = ((hours * 60 + minutes) * 60 + seconds) * MICROS_PER_SECOND + fraction;
    let known = minutes < 60 && seconds <= 60 && total <= MICROS_PER_DAY;
    Some((known.then_some(total), zone))
}

/// Digits after the point of a second, rounded to microseconds.
fn micros(fraction: &str) -> Option<i64> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digit = |at: usize| {
        fraction
            .as_bytes()
            .get(at)
            .map_or(0, |byte| i64::from(byte - b'0'))
    };
    let whole = (0..6).fold(0, |sum, at| sum * 10 + digit(at));
    Some(whole + i64::from(digit(6) >= 5))
}

fn syntax(name: &str, text: &str) -> ServerError {
    let message = format!("invalid input syntax for type {name}: \"{text}\"");
    ServerError::new("22007", message)
}

fn out_of_range(text: &str) -> ServerError {
    let message = format!("date/time field value out of range: \"{text}\"");
    ServerError::new("22008", message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_are_read_as_postgresql_reads_them() {
        assert_eq!(date("1970-01-02").unwrap(), 1);
        assert_eq!(date("19691231").unwrap(), -1);
        assert_eq!(date("2024-02-30").unwrap_err().code(), "22008");
        assert_eq!(date("2024-02").unwrap_err().code(), "22007");
        assert_eq!(time("24:00").unwrap(), MICROS_PER_DAY);
        assert_eq!(time("00:00:01.0000005").unwrap(), 1_000_001);
        assert_eq!(time("25:00").unwrap_err().code(), "22008");
        let tokyo: Tz = "Asia/Tokyo".parse().unwrap();
        let hour = 3_600 * MICROS_PER_SECOND;
        for (text, zone, hours) in [
            ("1970-01-01 09:00:00", None, 9),
            ("1970-01-01 09:00:00+05", None, 9),
            ("1970-01-01 09:00:00", Some(&tokyo), 0),
            ("1970-01-01T09:00:00Z", Some(&tokyo), 9),
            ("1970-01-01 09:00:00-01", Some(&tokyo), 10),
            ("1970-01-01 09:00:00 +05:30", Some(&tokyo), 3),
            ("1970-01-01", Some(&tokyo), -9),
        ] {
            let expected = hours * hour + if hours == 3 { hour / 2 } else { 0 };
            assert_eq!(timestamp(text, zone).unwrap(), expected, "{text}");
        }
        for text in ["1970-01-01 9", "1970-01-01 09:00x", "yesterday"] {
            assert!(timestamp(text, Some(&tokyo)).is_err(), "{text}");
        }
        let span = interval("1 mon 2 days 03:04:05.5").unwrap();
        assert_eq!((span.months, span.days), (1, 2));
        assert_eq!(span.nanoseconds, 11_045_500_000_000);
        let span = interval("-1 years +2.5 days -100:00:01").unwrap();
        assert_eq!((span.months, span.days), (-12, 2));
        assert_eq!(span.nanoseconds, (12 * 3_600 - 360_001) * 1_000_000_000);
        for text in ["", "1 parsec", "x days", "1:2:3:4"] {
            assert_eq!(interval(text).unwrap_err().code(), "22007", "{text}");
        }
    }
}
