//! Dates and times from their text, as PostgreSQL reads them.

use arrow::datatypes::IntervalMonthDayNano;

use super::moment::{Fault, Moment, Word, read};
use crate::calendar::{DAY, SECOND};
use crate::clock::Clock;
use crate::sqlstate::ServerError;

/// The days of PostgreSQL's end there, in days since 1970.
const LAST_DAY: i32 = 2_145_042_905;

/// Days since 1970; the greatest and the least number are the infinities.
pub(super) fn date(text: &str, clock: &Clock) -> Result<i32, ServerError> {
    let moment = read(text, clock).map_err(|fault| told(fault, "date", text))?;
    let day = match (moment.word, moment.day) {
        (Some(Word::Infinity), _) => return Ok(i32::MAX),
        (Some(Word::MinusInfinity), _) => return Ok(i32::MIN),
        (Some(Word::Epoch), _) => 0,
        (Some(Word::Now), _) => clock.zone.local(clock.transaction).div_euclid(DAY),
        // What follows a date is read and dropped.
        (None, Some(day)) => day,
        (None, None) => return Err(syntax("date", text)),
    };
    // The last day that PostgreSQL has is in the year 5874897.
    i32::try_from(day)
        .ok()
        .filter(|day| *day <= LAST_DAY)
        .ok_or_else(|| ServerError::new("22008", format!("date out of range: \"{text}\"")))
}

/// Microseconds since midnight.
pub(super) fn time(text: &str, clock: &Clock) -> Result<i64, ServerError> {
    let moment = read(text, clock).map_err(|fault| match fault {
        // No order of day and month is at fault.
        Fault::Field => out_of_range(text),
        fault => told(fault, "time", text),
    })?;
    match (moment.word, moment.micros) {
        (Some(Word::Now), _) => Ok(clock.zone.local(clock.transaction).rem_euclid(DAY)),
        (None, Some(micros)) => Ok(micros),
        _ => Err(syntax("time", text)),
    }
}

/// Microseconds since 1970, of what a clock shows: a zone in the text is read and dropped.
pub(super) fn timestamp(text: &str, clock: &Clock) -> Result<i64, ServerError> {
    let moment = read(text, clock).map_err(|fault| told(fault, "timestamp", text))?;
    match moment.word {
        Some(Word::Now) => Ok(clock.zone.local(clock.transaction)),
        Some(word) => Ok(fixed(word)),
        None => local(&moment, "timestamp", text),
    }
}

/// Microseconds since 1970 in UTC; a text that names no zone is of the clock's.
pub(super) fn instant(text: &str, clock: &Clock) -> Result<i64, ServerError> {
    let name = "timestamp with time zone";
    let moment = read(text, clock).map_err(|fault| told(fault, name, text))?;
    match moment.word {
        Some(Word::Now) => Ok(clock.transaction),
        Some(word) => Ok(fixed(word)),
        None => {
            let local = local(&moment, name, text)?;
            Ok(moment.zone.unwrap_or(clock.zone).instant(local))
        }
    }
}

fn fixed(word: Word) -> i64 {
    match word {
        Word::Infinity => i64::MAX,
        Word::MinusInfinity => i64::MIN,
        Word::Epoch | Word::Now => 0,
    }
}

fn local(moment: &Moment, name: &str, text: &str) -> Result<i64, ServerError> {
    let day = moment.day.ok_or_else(|| syntax(name, text))?;
    let midnight = day.checked_mul(DAY);
    let local = midnight.and_then(|at| at.checked_add(moment.micros.unwrap_or(0)));
    // As far as clocks of all zones can be told from infinity.
    let within = local.filter(|local| local.abs() <= i64::MAX - 16 * DAY);
    within.ok_or_else(|| ServerError::new("22008", format!("timestamp out of range: \"{text}\"")))
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
    let moment = read(&rest, &Clock::default()).ok()?;
    let only = moment.day.is_none() && moment.zone.is_none() && moment.word.is_none();
    let minutes = moment.micros.filter(|_| only)?;
    let hour = i128::from(3_600 * SECOND);
    Some(i128::from(hours) * hour + i128::from(minutes))
}

fn interval_range(text: &str) -> ServerError {
    let message = format!("interval field value out of range: \"{text}\"");
    ServerError::new("22015", message)
}

fn told(fault: Fault, name: &str, text: &str) -> ServerError {
    match fault {
        Fault::Syntax => syntax(name, text),
        Fault::Field => {
            out_of_range(text).hint("Perhaps you need a different \"datestyle\" setting.")
        }
        Fault::Calendar => out_of_range(text),
        Fault::Zone(zone) => {
            ServerError::new("22023", format!("time zone \"{zone}\" not recognized"))
        }
    }
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

    fn clock(zone: &str) -> Clock {
        Clock {
            zone: crate::zone::Zone::of_name(zone).unwrap(),
            transaction: 1_704_110_400_000_000, // 2024-01-01 12:00 UTC
            ..Clock::default()
        }
    }

    #[test]
    fn dates_and_times_are_read_as_postgresql_reads_them() {
        let utc = Clock::default();
        let day = |text: &str| date(text, &utc).unwrap();
        assert_eq!(day("1970-01-02"), 1);
        assert_eq!(day("19691231"), -1);
        for text in [
            "1999-01-08",
            "January 8, 1999",
            "8 Jan 1999",
            "1/8/1999",
            "1999.008",
            "Jan-08-1999",
            "08-Jan-99",
        ] {
            let read = date(text, &utc);
            let known = !text.starts_with("Jan-");
            assert_eq!(read.is_ok_and(|day| day == 10_599), known, "{text}");
        }
        let dmy = Clock {
            order: crate::clock::DateOrder::Dmy,
            ..utc
        };
        assert_eq!(date("8/1/1999", &dmy).unwrap(), 10_599);
        assert_eq!(day("0044-03-15 BC"), -735_160);
        assert_eq!(day("infinity"), i32::MAX);
        for (text, code) in [
            ("2024-02-30", "22008"),
            ("2024-13-01", "22008"),
            ("2024-02", "22007"),
            ("garbage", "22007"),
        ] {
            assert_eq!(date(text, &utc).unwrap_err().code(), code, "{text}");
        }
        let of_day = |text: &str| time(text, &utc).unwrap();
        assert_eq!(of_day("24:00"), DAY);
        assert_eq!(of_day("00:00:01.0000005"), 1_000_001);
        assert_eq!(of_day("04:05 PM"), of_day("16:05"));
        assert_eq!(of_day("12:05 am"), of_day("00:05"));
        assert_eq!(time("25:00", &utc).unwrap_err().code(), "22008");
    }

    #[test]
    fn instants_are_read_in_the_zone_of_the_clock() {
        let hour = 3_600 * SECOND;
        let tokyo = clock("Asia/Tokyo");
        for (text, hours) in [
            ("1970-01-01 09:00:00", 0.0),
            ("1970-01-01T09:00:00Z", 9.0),
            ("1970-01-01 09:00:00-01", 10.0),
            ("1970-01-01 09:00:00 +05:30", 3.5),
            ("1970-01-01 09:00 +0530", 3.5),
            ("1970-01-01 09:00:00 PST", 17.0),
            ("1970-01-01 10:00 Europe/Paris", 9.0),
            ("Thu Jan 01 09:00:00 1970 UTC", 9.0),
            ("19700101T090000", 0.0),
            ("1970-01-01", -9.0),
        ] {
            #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
            let expected = (hours * 3_600.0) as i64 * SECOND;
            assert_eq!(instant(text, &tokyo).unwrap(), expected, "{text}");
        }
        assert_eq!(
            timestamp("1970-01-01 09:00:00+05", &tokyo).unwrap(),
            9 * hour
        );
        assert_eq!(timestamp("infinity", &tokyo).unwrap(), i64::MAX);
        assert_eq!(instant("-infinity", &tokyo).unwrap(), i64::MIN);
        assert_eq!(
            instant("today", &tokyo).unwrap(),
            tokyo.transaction - 12 * hour - 9 * hour
        );
        assert_eq!(instant("now", &tokyo).unwrap(), tokyo.transaction);
        for (text, code) in [
            ("1970-01-01 9", "22007"),
            ("1970-01-01 09:00x", "22007"),
            ("1970-01-01 09:00 Mars/Olympus", "22023"),
            ("300000-01-01", "22008"),
            ("+09", "22007"),
        ] {
            assert_eq!(instant(text, &tokyo).unwrap_err().code(), code, "{text}");
        }
    }

    #[test]
    fn intervals_are_read_as_postgresql_reads_them() {
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
