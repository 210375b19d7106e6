//! Intervals from their text, as PostgreSQL reads them: numbers with units and `hh:mm:ss`, `years-months`, ISO 8601.
//!
//! ```text
//! text ──tokens──► words and numbers, read from the right ──► Span ──cut to its fields──► months, days, nanoseconds
//! ```

mod iso;

use arrow::datatypes::IntervalMonthDayNano;

use iso::iso;

use super::moment::fraction;
use super::time::syntax;
use crate::calendar::{DAY, SECOND};
use crate::sqlstate::ServerError;

/// What the text of an interval is made of, and the last that `interval '…' DAY TO HOUR` keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unit {
    Millennium,
    Century,
    Decade,
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
}

/// The fields that an interval is declared with: `DAY TO HOUR`, `MINUTE TO SECOND(2)`, `(3)`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fields {
    /// The last field; what is finer is cut off.
    pub(crate) last: Option<Unit>,
    /// `MINUTE TO SECOND`, where `1:02` is a minute and two seconds.
    pub(crate) minutes: bool,
    /// Digits of the fraction of seconds.
    pub(crate) digits: Option<u32>,
}

/// Why a text is no interval.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Syntax,
    Range,
}

/// An interval of all fields.
pub(crate) fn interval(text: &str) -> Result<IntervalMonthDayNano, ServerError> {
    interval_of_fields(text, Fields::default())
}

/// An interval of these fields.
pub(crate) fn interval_of_fields(
    text: &str,
    fields: Fields,
) -> Result<IntervalMonthDayNano, ServerError> {
    let read = match spelled(text, fields) {
        Err(Fault::Syntax) => iso(text),
        read => read,
    };
    let span = read.map_err(|fault| match fault {
        Fault::Syntax => syntax("interval", text),
        Fault::Range => out_of_range(text),
    })?;
    span.cut(fields).packed().ok_or_else(|| out_of_range(text))
}

fn out_of_range(text: &str) -> ServerError {
    let message = format!("interval field value out of range: \"{text}\"");
    ServerError::new("22015", message)
}

/// A number with its fraction apart.
#[derive(Clone, Copy)]
struct Number {
    whole: i64,
    part: f64,
}

#[derive(Clone, Copy, Default)]
struct Span {
    months: i64,
    days: i64,
    micros: i128,
}

impl Span {
    /// Adds a number of a unit; what is left of a month goes to days, of which it has 30, of a day to its hours.
    fn add(&mut self, number: Number, unit: Unit) -> Result<(), Fault> {
        let Number { whole, part } = number;
        let years = |years: i64| {
            years
                .checked_mul(12)
                .and_then(|months| months.checked_mul(whole))
        };
        match unit {
            Unit::Millennium => self.months(years(1_000), part * 12_000.0),
            Unit::Century => self.months(years(100), part * 1_200.0),
            Unit::Decade => self.months(years(10), part * 120.0),
            Unit::Year => self.months(years(1), part * 12.0),
            Unit::Month => {
                self.months(Some(whole), 0.0)?;
                self.days(0, part * 30.0)
            }
            Unit::Week => self.days(whole.checked_mul(7).ok_or(Fault::Range)?, part * 7.0),
            Unit::Day => {
                self.days(whole, 0.0)?;
                self.micros(0, part, DAY)
            }
            Unit::Hour => self.micros(whole, part, 3_600 * SECOND),
            Unit::Minute => self.micros(whole, part, 60 * SECOND),
            Unit::Second => self.micros(whole, part, SECOND),
            Unit::Millisecond => self.micros(whole, part, 1_000),
            Unit::Microsecond => self.micros(whole, part, 1),
        }
    }

    fn months(&mut self, whole: Option<i64>, part: f64) -> Result<(), Fault> {
        #[expect(clippy::cast_possible_truncation, reason = "12000 at most")]
        let part = part.round_ties_even() as i64;
        let months = whole
            .and_then(|whole| self.months.checked_add(whole)?.checked_add(part))
            .filter(|months| i32::try_from(*months).is_ok());
        self.months = months.ok_or(Fault::Range)?;
        Ok(())
    }

    fn days(&mut self, whole: i64, part: f64) -> Result<(), Fault> {
        #[expect(clippy::cast_possible_truncation, reason = "30 at most")]
        let more = part.trunc() as i64;
        let days = self
            .days
            .checked_add(whole)
            .and_then(|days| days.checked_add(more))
            .filter(|days| i32::try_from(*days).is_ok());
        self.days = days.ok_or(Fault::Range)?;
        self.micros(0, part.fract(), DAY)
    }

    fn micros(&mut self, whole: i64, part: f64, unit: i64) -> Result<(), Fault> {
        #[expect(clippy::cast_precision_loss, reason = "a day at most")]
        let part = part * unit as f64;
        #[expect(clippy::cast_possible_truncation, reason = "a day at most")]
        let mut rest = part as i64;
        // A half is none.
        if part.fract() > 0.5 {
            rest += 1;
        } else if part.fract() < -0.5 {
            rest -= 1;
        }
        let micros = self.micros + i128::from(whole) * i128::from(unit) + i128::from(rest);
        if i64::try_from(micros).is_err() {
            return Err(Fault::Range);
        }
        self.micros = micros;
        Ok(())
    }

    fn negated(self) -> Self {
        Self {
            months: -self.months,
            days: -self.days,
            micros: -self.micros,
        }
    }

    /// What is left of it within its fields.
    fn cut(mut self, fields: Fields) -> Self {
        let kept = match fields.last {
            Some(Unit::Year) => {
                self.months = self.months / 12 * 12;
                0
            }
            Some(Unit::Month | Unit::Day) => 0,
            Some(Unit::Hour) => 3_600 * SECOND,
            Some(Unit::Minute) => 60 * SECOND,
            _ => 1,
        };
        if matches!(fields.last, Some(Unit::Year | Unit::Month)) {
            self.days = 0;
        }
        let kept = i128::from(kept);
        self.micros = self.micros.checked_div(kept).unwrap_or(0) * kept;
        if let Some(digits) = fields.digits {
            let scale = 10_i128.pow(6_u32.saturating_sub(digits));
            let rounded = (self.micros.abs() + scale / 2) / scale * scale;
            self.micros = rounded * self.micros.signum();
        }
        self
    }

    fn packed(self) -> Option<IntervalMonthDayNano> {
        let months = i32::try_from(self.months).ok()?;
        let days = i32::try_from(self.days).ok()?;
        let nanos = i64::try_from(self.micros.checked_mul(1_000)?).ok()?;
        Some(IntervalMonthDayNano::new(months, days, nanos))
    }
}

/// A part of a text.
#[derive(Clone, Copy)]
enum Token<'t> {
    /// `12`, `-1.5`, `1-2`.
    Number(&'t str),
    /// `-12:30:01.5`.
    Clock(&'t str),
    Word(&'t str),
}

/// The parts of a text; a sign may stand away from its number.
fn tokens(text: &str) -> Result<Vec<(bool, Token<'_>)>, Fault> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        if first.is_ascii_whitespace() || first == '\u{b}' {
            rest = after;
            continue;
        }
        let minus = first == '-';
        let signed = matches!(first, '+' | '-');
        let from = match signed {
            true => after.trim_start(),
            false => rest,
        };
        let leading = |take: fn(char) -> bool| {
            let end = from.find(|c| !take(c)).unwrap_or(from.len());
            from.split_at(end)
        };
        let next = from.chars().next();
        let (token, after) = match next {
            Some('0'..='9') => {
                let (said, after) = leading(|c| c.is_ascii_digit() || matches!(c, ':' | '.' | '-'));
                match said.contains(':') {
                    true => (Token::Clock(said), after),
                    false => (Token::Number(said), after),
                }
            }
            Some('.') if !signed => {
                let (said, after) = leading(|c| c.is_ascii_digit() || c == '.');
                (Token::Number(said), after)
            }
            Some(letter) if letter.is_ascii_alphabetic() && !signed => {
                let (said, after) = leading(|c| c.is_ascii_alphabetic());
                (Token::Word(said), after)
            }
            Some(other) if other.is_ascii_punctuation() && !signed => {
                rest = after;
                continue;
            }
            _ => return Err(Fault::Syntax),
        };
        all.push((minus, token));
        rest = after;
    }
    Ok(all)
}

/// The unit of a word, of which the first ten letters count.
fn unit(word: &str) -> Option<Unit> {
    let lower = word.to_ascii_lowercase();
    Some(match lower.get(..10).unwrap_or(&lower) {
        "mil" | "mils" | "millennia" | "millennium" => Unit::Millennium,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "w" | "week" | "weeks" => Unit::Week,
        "d" | "day" | "days" => Unit::Day,
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecon" => Unit::Millisecond,
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecon" => Unit::Microsecond,
        _ => return None,
    })
}

/// Units that were read; none may be said twice.
#[derive(Default)]
struct Said(Vec<Unit>);

impl Said {
    fn of(&mut self, units: &[Unit]) -> Result<(), Fault> {
        if units.iter().any(|unit| self.0.contains(unit)) {
            return Err(Fault::Syntax);
        }
        self.0.extend(units);
        Ok(())
    }
}

const OF_SECONDS: [Unit; 3] = [Unit::Second, Unit::Millisecond, Unit::Microsecond];
const OF_CLOCK: [Unit; 3] = [Unit::Hour, Unit::Minute, Unit::Second];

/// Numbers with units, read from the right: what stands behind a number says what it counts.
fn spelled(text: &str, fields: Fields) -> Result<Span, Fault> {
    let mut span = Span::default();
    let mut said = Said::default();
    let mut ago = false;
    let mut next: Option<Unit> = None;
    for (minus, token) in tokens(text)?.into_iter().rev() {
        match token {
            Token::Clock(clock) => {
                let micros = clock_time(clock, fields.minutes)?;
                span.micros += if minus { -micros } else { micros };
                said.of(&OF_CLOCK)?;
                // A number before it counts days.
                next = Some(Unit::Day);
            }
            Token::Number(number) => {
                let bare = match fields.last {
                    Some(last) => last,
                    None => Unit::Second,
                };
                let counted = next.unwrap_or(bare);
                let Some((number, counted)) = counted_by(number, minus, counted)? else {
                    return Err(Fault::Syntax);
                };
                next = match counted {
                    Unit::Hour => Some(Unit::Day),
                    counted => Some(counted),
                };
                span.add(number, counted)?;
                match counted {
                    Unit::Second if number.part != 0.0 => said.of(&OF_SECONDS)?,
                    counted => said.of(&[counted])?,
                }
            }
            Token::Word(word) => match unit(word) {
                Some(unit) => next = Some(unit),
                None if word.eq_ignore_ascii_case("ago") => ago = true,
                None if matches!(word.to_ascii_lowercase().as_str(), "at" | "on") => {}
                None => return Err(Fault::Syntax),
            },
        }
    }
    match said.0.is_empty() {
        true => Err(Fault::Syntax),
        false if ago => Ok(span.negated()),
        false => Ok(span),
    }
}

/// A number and what it counts: `1-2` are months whatever stands behind it.
fn counted_by(text: &str, minus: bool, counted: Unit) -> Result<Option<(Number, Unit)>, Fault> {
    let end = text.find(['-', '.']).unwrap_or(text.len());
    let (whole, rest) = text.split_at(end);
    let whole = match whole {
        "" => 0,
        whole => whole.parse::<i64>().map_err(|_| Fault::Range)?,
    };
    let sign = if minus { -1 } else { 1 };
    if let Some(months) = rest.strip_prefix('-') {
        if months.contains(['-', '.']) || months.is_empty() {
            return Ok(None);
        }
        let months = months.parse().ok().filter(|months| *months < 12);
        let all = whole
            .checked_mul(12)
            .and_then(|years| years.checked_add(months?));
        let whole = all.ok_or(Fault::Range)? * sign;
        return Ok(Some((Number { whole, part: 0.0 }, Unit::Month)));
    }
    let part: f64 = match rest {
        "" | "." => 0.0,
        rest => match format!("0{rest}").parse() {
            Ok(part) if !rest.contains('-') => part,
            _ => return Ok(None),
        },
    };
    let part = if minus { -part } else { part };
    let whole = whole * sign;
    Ok(Some((Number { whole, part }, counted)))
}

/// Microseconds of `hh:mm[:ss[.ffffff]]` with any number of hours, and of `mm:ss.ffffff`.
fn clock_time(text: &str, minutes_first: bool) -> Result<i128, Fault> {
    let digits = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true if text.is_empty() => Ok(0),
        true => text.parse::<i64>().map_err(|_| Fault::Range),
        false => Err(Fault::Syntax),
    };
    let (clock, point) = match text.find('.') {
        Some(point) => text.split_at(point),
        None => (text, ""),
    };
    let (micros, rest) = fraction(point).map_err(|_| Fault::Syntax)?;
    if !rest.is_empty() {
        return Err(Fault::Syntax);
    }
    let parts = clock
        .split(':')
        .map(digits)
        .collect::<Result<Vec<_>, _>>()?;
    let (hours, minutes, seconds) = match parts.as_slice() {
        [minutes, seconds] if !point.is_empty() || minutes_first => (0, *minutes, *seconds),
        [hours, minutes] => (*hours, *minutes, 0),
        [hours, minutes, seconds] => (*hours, *minutes, *seconds),
        _ => return Err(Fault::Syntax),
    };
    if minutes > 59 || seconds > 60 {
        return Err(Fault::Range);
    }
    let all = (i128::from(hours) * 60 + i128::from(minutes)) * 60 + i128::from(seconds);
    let all = all * i128::from(SECOND) + i128::from(micros);
    match i64::try_from(all) {
        Ok(_) => Ok(all),
        Err(_) => Err(Fault::Range),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Months, days and microseconds.
    fn read(text: &str) -> (i32, i32, i64) {
        let span = interval(text).unwrap();
        (span.months, span.days, span.nanoseconds / 1_000)
    }

    #[test]
    fn intervals_are_read_as_postgresql_reads_them() {
        const HOUR: i64 = 3_600 * SECOND;
        let clock = 4 * HOUR + 5 * 60 * SECOND + 6 * SECOND;
        for (text, span) in [
            ("1 mon 2 days 03:04:05.5", (1, 2, 11_045_500_000)),
            (
                "-1 years +2.5 days -100:00:01",
                (-12, 2, 12 * HOUR - 100 * HOUR - SECOND),
            ),
            ("-1-2 3 -4:5:6", (-14, 3, -clock)),
            ("1-2", (14, 0, 0)),
            ("3 4:5:6", (0, 3, clock)),
            ("1 century 1 millennium 1 decade", (13_320, 0, 0)),
            ("2 cent 3 millenniums 2 decs", (38_640, 0, 0)),
            ("1.5 century", (1_800, 0, 0)),
            ("0.99 years", (12, 0, 0)),
            ("1.5 months", (1, 15, 0)),
            ("1.7 weeks", (0, 11, 21 * HOUR + 36 * 60 * SECOND)),
            (".5 day", (0, 0, 12 * HOUR)),
            ("- 1 day", (0, -1, 0)),
            ("1 Day,2 HOURS", (0, 1, 2 * HOUR)),
            ("1mon2days", (1, 2, 0)),
            ("1 year 2 months 3 days ago", (-14, -3, 0)),
            ("ago 1 day", (0, -1, 0)),
            ("day 1", (0, 0, SECOND)),
            ("1:2.5", (0, 0, 62_500_000)),
            ("59:59.9999995", (0, 0, HOUR)),
            ("1.0000005 sec", (0, 0, SECOND)),
            ("P1Y2M3DT4H5M6S", (14, 3, clock)),
            ("P0001-02-03T04:05:06", (14, 3, clock)),
            ("P00010203T040506", (14, 3, clock)),
            ("PT04:05:06", (0, 0, clock)),
            ("PT0405", (0, 0, 405 * HOUR)),
            ("P-1Y-2M3DT-4H", (-14, 3, -4 * HOUR)),
            ("P1", (12, 0, 0)),
            ("PT", (0, 0, 0)),
        ] {
            assert_eq!(read(text), span, "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_intervals_are_refused() {
        for (text, code) in [
            ("", "22007"),
            ("1 parsec", "22007"),
            ("x days", "22007"),
            ("1:2:3:4", "22007"),
            ("3 4", "22007"),
            ("1 day 1 day", "22007"),
            ("1 day 2 hours 3 hours", "22007"),
            ("1:00 2:00", "22007"),
            ("-.5 day", "22007"),
            ("1e3 s", "22007"),
            ("1-2-3", "22007"),
            ("1 qtr", "22007"),
            ("p1d", "22007"),
            ("P", "22007"),
            ("P1S", "22007"),
            ("PT1D", "22007"),
            ("ago", "22007"),
            ("1:60", "22015"),
            ("1-13", "22015"),
            ("2147483648 days", "22015"),
            ("2147483647 mons 1 mon", "22015"),
            ("9223372036854775808 us", "22015"),
        ] {
            assert_eq!(interval(text).unwrap_err().code(), code, "{text}");
        }
    }

    #[test]
    fn fields_say_what_a_number_counts_and_what_is_kept() {
        let of = |text: &str, last: Unit| {
            let fields = Fields {
                last: Some(last),
                ..Fields::default()
            };
            let span = interval_of_fields(text, fields).unwrap();
            (span.months, span.days, span.nanoseconds / 1_000)
        };
        const HOUR: i64 = 3_600 * SECOND;
        assert_eq!(of("1 10", Unit::Hour), (0, 1, 10 * HOUR));
        assert_eq!(of("1.5", Unit::Day), (0, 1, 0));
        let all = "1 year 2 mons 3 days 4:05:06.7";
        assert_eq!(of(all, Unit::Year), (12, 0, 0));
        assert_eq!(of(all, Unit::Month), (14, 0, 0));
        assert_eq!(of(all, Unit::Day), (14, 3, 0));
        assert_eq!(of(all, Unit::Hour), (14, 3, 4 * HOUR));
        assert_eq!(of(all, Unit::Minute), (14, 3, 4 * HOUR + 300 * SECOND));
        let fields = Fields {
            last: Some(Unit::Second),
            minutes: true,
            digits: Some(0),
        };
        let span = interval_of_fields("10:20.5", fields).unwrap();
        assert_eq!(span.nanoseconds, 621_000_000_000);
    }
}
