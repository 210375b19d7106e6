//! `to_timestamp(text, pattern)` and `to_date(text, pattern)`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray as _, Date32Array, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast as arrow_cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};

use super::pattern::{Field, Piece, pieces};
use super::{Call, Function, UTC, convert, failed, format, is_text, no_function, out_of_range};
use crate::calendar::{DAY, SECOND, day_of, month_length, weekday};
use crate::sqlstate::ServerError;
use crate::zone::Zone;

pub(super) fn to_date() -> Function {
    Function::new(
        "to_date",
        |types, _| match types {
            [text] | [text, DataType::Null] if is_text(text) => Ok(DataType::Date32),
            [text, pattern] if is_text(pattern) && (is_text(text) || *text == DataType::Null) => {
                Ok(DataType::Date32)
            }
            _ => no_function("to_date", types),
        },
        |call| {
            if call.args.len() == 1 {
                return convert(call.arg(0)?, &DataType::Date32, &call.clock);
            }
            let days = each(call, |found| {
                i32::try_from(found.day()?).map_err(|_| out_of_range("date"))
            })?;
            Ok(Arc::new(Date32Array::from(days)))
        },
    )
}

/// `to_timestamp` with a pattern: of the session's zone unless the text says an offset.
pub(super) fn to_timestamp(call: &Call) -> Result<ArrayRef> {
    let zone = call.clock.zone;
    let times = each(call, |found| {
        let midnight = found.day()?.checked_mul(DAY);
        let local = midnight.and_then(|at| at.checked_add(found.micros().ok()?));
        found.micros()?;
        let local = local.ok_or_else(|| out_of_range("timestamp"))?;
        Ok(found.zone.unwrap_or(zone).instant(local))
    })?;
    Ok(Arc::new(
        TimestampMicrosecondArray::from(times).with_timezone(UTC),
    ))
}

fn each<T>(call: &Call, f: impl Fn(&Found) -> Result<T>) -> Result<Vec<Option<T>>> {
    let texts = arrow_cast(call.arg(0)?, &DataType::Utf8)?;
    let patterns = arrow_cast(call.arg(1)?, &DataType::Utf8)?;
    let pairs = texts
        .as_string::<i32>()
        .iter()
        .zip(patterns.as_string::<i32>());
    let mut last: Option<(&str, Vec<Piece>)> = None;
    let mut made = Vec::with_capacity(call.rows);
    for pair in pairs {
        let (Some(text), Some(pattern)) = pair else {
            made.push(None);
            continue;
        };
        if pattern.contains('%') {
            made.push(Some(f(&by_chrono(text, pattern)?)?));
            continue;
        }
        if last.as_ref().is_none_or(|(known, _)| *known != pattern) {
            last = Some((pattern, pieces(pattern)));
        }
        let pieces = last.as_ref().map_or(&[][..], |(_, pieces)| pieces);
        made.push(Some(f(&read(text, pieces)?)?));
    }
    Ok(made)
}

/// What a text says by its pattern.
#[derive(Debug, Default)]
struct Found {
    year: Option<i64>,
    before_christ: bool,
    century: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    iso_year: Option<i64>,
    iso_week: Option<i64>,
    iso_day: Option<i64>,
    date: Option<i64>,
    hour: i64,
    twelve: bool,
    afternoon: Option<bool>,
    minute: i64,
    second: i64,
    second_of_day: Option<i64>,
    micros: i64,
    zone: Option<Zone>,
    east: Option<(i64, i64)>,
}

impl Found {
    fn day(&self) -> Result<i64> {
        let bad = || failed("22008", "date/time field value out of range");
        if let Some(date) = self.date {
            return Ok(date);
        }
        if let Some(year) = self.iso_year {
            // The fourth of January is in the first week.
            let fourth = day_of(year, 1, 4);
            let monday = fourth - (weekday(fourth) + 6) % 7;
            let (week, day) = (self.iso_week.unwrap_or(1), self.iso_day.unwrap_or(1));
            if !(1..=53).contains(&week) || !(1..=7).contains(&day) {
                return Err(bad());
            }
            return Ok(monday + (week - 1) * 7 + day - 1);
        }
        let year = match (self.year, self.century) {
            (Some(year), _) if self.before_christ => 1 - year,
            (Some(year), _) => year,
            (None, Some(century)) => (century - 1) * 100 + 1,
            (None, None) => 0,
        };
        if let (Some(day), None) = (self.day_of_year, self.month) {
            let length = day_of(year + 1, 1, 1) - day_of(year, 1, 1);
            return match (1..=length).contains(&day) {
                true => Ok(day_of(year, 1, 1) + day - 1),
                false => Err(bad()),
            };
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        let known = (1..=12).contains(&month) && day >= 1 && day <= month_length(year, month);
        match known {
            true => Ok(day_of(year, month, day)),
            false => Err(bad()),
        }
    }

    fn micros(&self) -> Result<i64> {
        if let Some(seconds) = self.second_of_day {
            return Ok(seconds.saturating_mul(SECOND).saturating_add(self.micros));
        }
        let mut hour = self.hour;
        if self.twelve {
            if !(1..=12).contains(&hour) {
                let message = format!("hour \"{hour}\" is invalid for the 12-hour clock");
                return Err(failed("22007", message));
            }
            match (self.afternoon, hour) {
                (Some(true), 1..=11) => hour += 12,
                (Some(false), 12) => hour = 0,
                _ => {}
            }
        }
        let known = (0..=24).contains(&hour)
            && (0..60).contains(&self.minute)
            && (0..=60).contains(&self.second);
        let all = ((hour * 60 + self.minute) * 60 + self.second) * SECOND + self.micros;
        match known && all <= DAY {
            true => Ok(all),
            false => Err(failed("22008", "date/time field value out of range")),
        }
    }
}

/// A text by a pattern of chrono's, which has `%`.
fn by_chrono(text: &str, pattern: &str) -> Result<Found> {
    let time = chrono::NaiveDateTime::parse_from_str(text, pattern);
    let day = chrono::NaiveDate::parse_from_str(text, pattern);
    let micros = match (time, day) {
        (Ok(time), _) => time.and_utc().timestamp_micros(),
        (_, Ok(day)) => day
            .and_time(chrono::NaiveTime::MIN)
            .and_utc()
            .timestamp_micros(),
        (Err(error), _) => {
            let message = format!("\"{text}\" does not fit the pattern \"{pattern}\": {error}");
            return Err(failed("22007", message));
        }
    };
    Ok(Found {
        date: Some(micros.div_euclid(DAY)),
        second_of_day: Some(micros.rem_euclid(DAY) / SECOND),
        micros: micros.rem_euclid(SECOND),
        ..Found::default()
    })
}

fn read(text: &str, pieces: &[Piece]) -> Result<Found> {
    let mut found = Found::default();
    let mut rest = text;
    let mut pieces = pieces.iter().peekable();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Text(text, quoted) => {
                for c in text.chars() {
                    let next = rest.chars().next();
                    // A letter stands for any one, a separator for one or none.
                    let skips = match (quoted, c.is_alphanumeric()) {
                        (true, _) | (_, true) => next.is_some(),
                        _ => next.is_some_and(|next| !next.is_alphanumeric()),
                    };
                    // A sign may belong to a number.
                    if skips {
                        rest = rest
                            .get(next.map_or(0, char::len_utf8)..)
                            .unwrap_or_default();
                    }
                }
            }
            Piece::Field { field, ordinal, .. } => {
                rest = rest.trim_start();
                if rest.is_empty() {
                    break;
                }
                // Digits go on to the next field of digits.
                let ends = !matches!(pieces.peek(), Some(Piece::Field { .. }));
                rest = found.take(*field, rest, ends)?;
                if ordinal.is_some() {
                    rest = rest.get(2..).unwrap_or_default();
                }
            }
        }
    }
    Ok(found)
}

impl Found {
    fn take<'t>(&mut self, field: Field, text: &'t str, ends: bool) -> Result<&'t str> {
        let mut left = text;
        let mut number = |width: usize| -> Result<i64> {
            let signed = text.starts_with(['-', '+']);
            let begin = usize::from(signed);
            let digits = text.get(begin..).unwrap_or_default();
            let count = digits.bytes().take_while(u8::is_ascii_digit).count();
            let count = if ends { count } else { count.min(width) };
            let end = begin + count;
            let value = text
                .get(..end)
                .and_then(|digits| digits.parse::<i64>().ok());
            left = text.get(end..).unwrap_or_default();
            value.ok_or_else(|| {
                let shown: String = text.chars().take(width).collect();
                let text = format!("invalid value \"{shown}\" for \"{}\"", field.pattern());
                let error = ServerError::new("22007", text).detail("Value must be an integer.");
                DataFusionError::External(Box::new(error))
            })
        };
        match field {
            Field::Year(4) => self.year = Some(number(4)?),
            Field::YearWithComma => {
                let thousands = number(1)?;
                let rest = left.strip_prefix(',').unwrap_or(left);
                let below = rest.get(..3).and_then(|digits| digits.parse::<i64>().ok());
                let below = below.ok_or_else(|| failed("22007", "invalid value for \"Y,YYY\""))?;
                self.year = Some(thousands * 1_000 + below);
                left = rest.get(3..).unwrap_or_default();
            }
            Field::Year(width) => {
                let year = number(width as usize)?;
                self.year = Some(match year {
                    0..70 => year + 2_000,
                    70..100 => year + 1_900,
                    100..520 => year + 2_000,
                    520..1_000 => year + 1_000,
                    _ => year,
                });
            }
            Field::Century => self.century = Some(number(2)?),
            Field::Month => self.month = Some(number(2)?),
            Field::Day => self.day = Some(number(2)?),
            Field::DayOfYear => self.day_of_year = Some(number(3)?),
            Field::IsoYear(width) => self.iso_year = Some(number(width as usize)?),
            Field::IsoWeek => self.iso_week = Some(number(2)?),
            Field::IsoDayOfWeek => self.iso_day = Some(number(1)?),
            Field::Julian => self.date = Some(number(7)? - 2_440_588),
            Field::Hour24 => self.hour = number(2)?,
            Field::Hour12 => {
                self.hour = number(2)?;
                self.twelve = true;
            }
            Field::Minute => self.minute = number(2)?,
            Field::Second => self.second = number(2)?,
            Field::SecondOfDay => self.second_of_day = Some(number(5)?),
            Field::Fraction(width) => {
                let digits = text.bytes().take_while(u8::is_ascii_digit).count();
                let width = if ends {
                    digits
                } else {
                    digits.min(width as usize)
                };
                let digits = text.get(..width.min(6)).unwrap_or_default();
                self.micros = format!("{digits:0<6}").parse().unwrap_or(0);
                left = text.get(width..).unwrap_or_default();
            }
            Field::Quarter | Field::DayOfWeek | Field::WeekOfMonth | Field::WeekOfYear => {
                number(2)?;
            }
            Field::MonthName(_) | Field::MonthShort(_) => {
                let (place, rest) = named(format::months(), text)?;
                self.month = Some(place + 1);
                left = rest;
            }
            Field::DayName(_) | Field::DayShort(_) => left = named(format::days(), text)?.1,
            Field::Noon(points, _) => {
                let width = if points { 4 } else { 2 };
                let word = text.get(..width).unwrap_or_default().to_ascii_lowercase();
                self.afternoon = Some(match word.replace('.', "").as_str() {
                    "am" => false,
                    "pm" => true,
                    _ => {
                        return Err(failed(
                            "22007",
                            format!("invalid value \"{word}\" for \"AM\""),
                        ));
                    }
                });
                self.twelve = true;
                left = text.get(width..).unwrap_or_default();
            }
            Field::Era(..) => {
                let word = text.get(..2).unwrap_or_default().to_ascii_lowercase();
                self.before_christ = word == "bc";
                left = text.get(2..).unwrap_or_default();
            }
            Field::ZoneHour => {
                let hours = number(2)?;
                self.east = Some((hours, 0));
                self.zone = Zone::east(hours * 3_600);
            }
            Field::ZoneMinute => {
                let minutes = number(2)?;
                if let Some((hours, _)) = self.east {
                    self.zone = Zone::east(hours * 3_600 + minutes * 60 * hours.signum());
                }
            }
            Field::Roman(_) | Field::IsoDayOfYear | Field::ZoneName(_) | Field::Offset => {
                return Err(failed(
                    "0A000",
                    "this field of a pattern is only supported in to_char",
                ));
            }
        }
        Ok(left)
    }
}

fn named<'t>(names: &[&str], text: &'t str) -> Result<(i64, &'t str)> {
    let begins = |name: &str| {
        let here = text.get(..name.len());
        here.is_some_and(|here| here.eq_ignore_ascii_case(name))
    };
    for (place, name) in (0..).zip(names) {
        let short = name.get(..3).unwrap_or(name);
        let length = match (begins(name), begins(short)) {
            (true, _) => name.len(),
            (_, true) => 3,
            _ => continue,
        };
        return Ok((place, text.get(length..).unwrap_or_default()));
    }
    let word: String = text.chars().take_while(|c| c.is_alphanumeric()).collect();
    Err(failed(
        "22007",
        format!("invalid value \"{word}\" in a time: a name should stand here"),
    ))
}
