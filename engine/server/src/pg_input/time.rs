//! Dates and times from their text, as PostgreSQL reads them.

use super::moment::{Fault, Moment, Word, read, read_time};
use crate::calendar::DAY;
use crate::clock::Clock;
use crate::sqlstate::ServerError;

/// The first and the last day that PostgreSQL has, in days since 1970: in 4714 BC and in the year 5874897.
const DAYS: std::ops::RangeInclusive<i32> = -2_440_588..=2_145_042_905;

/// The microseconds since 1970 that timestamps have: from PostgreSQL's first day to as far as clocks of all zones can be
/// told from infinity, which is in the year 294247 and 29 years before PostgreSQL's last.
const MICROS: std::ops::RangeInclusive<i64> = -210_866_803_200_000_000..=i64::MAX - 16 * DAY;

/// Whether PostgreSQL has this day, or it is infinite.
pub(super) fn is_day(day: i32) -> bool {
    DAYS.contains(&day) || matches!(day, i32::MIN | i32::MAX)
}

/// Whether there is a timestamp of these microseconds.
pub(super) fn is_timestamp(micros: i64) -> bool {
    MICROS.contains(&micros)
}

/// Whether a time of day has these microseconds.
pub(super) fn is_time(micros: i64) -> bool {
    (0..=DAY).contains(&micros)
}

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
    i32::try_from(day)
        .ok()
        .filter(|day| DAYS.contains(day))
        .ok_or_else(|| ServerError::new("22008", format!("date out of range: \"{text}\"")))
}

/// Microseconds since midnight.
pub(super) fn time(text: &str, clock: &Clock) -> Result<i64, ServerError> {
    let moment = read_time(text, clock).map_err(|fault| match fault {
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
        None => within(local(&moment, "timestamp", text)?, text),
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
            within(moment.zone.unwrap_or(clock.zone).instant(local), text)
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
    // A zone moves it by less than a day.
    let movable = local.filter(|local| local.abs() <= i64::MAX - 2 * DAY);
    movable.ok_or_else(|| beyond(text))
}

fn within(micros: i64, text: &str) -> Result<i64, ServerError> {
    match is_timestamp(micros) {
        true => Ok(micros),
        false => Err(beyond(text)),
    }
}

fn beyond(text: &str) -> ServerError {
    ServerError::new("22008", format!("timestamp out of range: \"{text}\""))
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

pub(super) fn syntax(name: &str, text: &str) -> ServerError {
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
    use crate::calendar::SECOND;

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
        assert_eq!(day("J2451187"), 10_599);
        assert_eq!(day("4714-11-24 BC"), day("J0"));
        assert_eq!(date("4714-11-23 BC", &utc).unwrap_err().code(), "22008");
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
        assert_eq!(of_day("00:00:01.0000005"), 1_000_000);
        assert_eq!(of_day("00:00:01.0000015"), 1_000_002);
        assert_eq!(of_day("040506.789"), of_day("4:05:06.789"));
        assert_eq!(of_day("0405 pm"), of_day("16:05"));
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
            ("4714-11-23 23:59:59Z BC", "22008"),
            ("4714-11-24 00:00+01 BC", "22008"),
            ("+09", "22007"),
        ] {
            assert_eq!(instant(text, &tokyo).unwrap_err().code(), code, "{text}");
        }
    }
}
