//! `extract(part FROM value)`, which is numeric, and `date_part('part', value)`, which is double precision.

use std::sync::Arc;

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, Decimal128Array, Float64Array};
use datafusion::arrow::compute::cast as arrow_cast;
use datafusion::arrow::datatypes::{DataType, Time64MicrosecondType, TimeUnit};
use datafusion::common::{Result, ScalarValue};

use super::convert::{instants, locals};
use super::spans::{self, Span};
use super::{
    Call, Function, failed, is_date, is_instant, is_local, is_span, is_text, is_time,
    may_be_of_time, no_function,
};
use crate::calendar::{DAY, SECOND, civil, day_of, iso_week, weekday};
use crate::pg_types::PgType;
use crate::zone::is_endless;

/// A part of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    IsoYear,
    Julian,
    Epoch,
    Zone,
    ZoneHour,
    ZoneMinute,
}

impl Part {
    pub(super) fn named(name: &str) -> Option<Part> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "microseconds" | "microsecond" | "us" | "usec" | "usecs" => Part::Microseconds,
            "milliseconds" | "millisecond" | "ms" | "msec" | "msecs" => Part::Milliseconds,
            "second" | "seconds" | "s" | "sec" | "secs" => Part::Second,
            "minute" | "minutes" | "m" | "min" | "mins" => Part::Minute,
            "hour" | "hours" | "h" | "hr" | "hrs" => Part::Hour,
            "day" | "days" | "d" => Part::Day,
            "week" | "weeks" | "w" => Part::Week,
            "month" | "months" | "mon" | "mons" => Part::Month,
            "quarter" | "qtr" => Part::Quarter,
            "year" | "years" | "y" | "yr" | "yrs" => Part::Year,
            "decade" | "decades" | "dec" | "decs" => Part::Decade,
            "century" | "centuries" | "c" | "cent" => Part::Century,
            "millennium" | "millennia" | "mil" | "mils" => Part::Millennium,
            "dow" => Part::DayOfWeek,
            "isodow" => Part::IsoDayOfWeek,
            "doy" => Part::DayOfYear,
            "isoyear" => Part::IsoYear,
            "julian" | "jd" | "j" => Part::Julian,
            "epoch" => Part::Epoch,
            "timezone" => Part::Zone,
            "timezone_hour" => Part::ZoneHour,
            "timezone_minute" => Part::ZoneMinute,
            _ => return None,
        })
    }

    /// Digits behind the point of the part of a value of this type.
    fn digits(self, of: &DataType) -> i8 {
        match self {
            Part::Second => 6,
            Part::Milliseconds => 3,
            Part::Epoch if !is_date(of) => 6,
            Part::Julian if !is_date(of) => 20,
            _ => 0,
        }
    }

    /// Whether the part of a value goes with the value, so that infinity has it.
    fn goes_on(self) -> bool {
        matches!(
            self,
            Part::Year
                | Part::IsoYear
                | Part::Decade
                | Part::Century
                | Part::Millennium
                | Part::Julian
                | Part::Epoch
        )
    }
}

/// A number with so many of its digits behind the point.
#[derive(Clone, Copy)]
struct Value(i128, i8);

/// A part of a local time whose zone is so many seconds ahead.
fn of_time(part: Part, local: i64, offset: Option<i32>) -> Option<Value> {
    let (day, micros) = (local.div_euclid(DAY), local.rem_euclid(DAY));
    let (year, month, of_month) = civil(day);
    // The year before 1 is -1.
    let shown = if year > 0 { year } else { year - 1 };
    let offset = || offset.map(i64::from);
    let whole = match part {
        Part::Year => shown,
        Part::Month => month,
        Part::Day => of_month,
        Part::Quarter => (month - 1) / 3 + 1,
        Part::Week => iso_week(day).1,
        Part::IsoYear => {
            let year = iso_week(day).0;
            if year > 0 { year } else { year - 1 }
        }
        Part::DayOfWeek => weekday(day),
        Part::IsoDayOfWeek => (weekday(day) + 6) % 7 + 1,
        Part::DayOfYear => day - day_of(year, 1, 1) + 1,
        Part::Decade => year.div_euclid(10),
        Part::Century => ages(year, 100),
        Part::Millennium => ages(year, 1_000),
        Part::Zone => offset()?,
        Part::ZoneHour => offset()? / 3_600,
        Part::ZoneMinute => offset()? / 60 % 60,
        Part::Epoch => {
            let instant =
                i128::from(local) - i128::from(offset().unwrap_or(0)) * i128::from(SECOND);
            return Some(Value(instant, 6));
        }
        Part::Julian => {
            let days = i128::from(day + 2_440_588) * 10i128.pow(20);
            let rest = i128::from(micros) * 10i128.pow(20) / i128::from(DAY);
            return Some(Value(days + rest, 20));
        }
        _ => return of_clock(part, micros),
    };
    Some(Value(whole.into(), 0))
}

/// A part of a time of day.
fn of_clock(part: Part, micros: i64) -> Option<Value> {
    let of_minute = micros % (60 * SECOND);
    Some(match part {
        Part::Hour => Value((micros / (3_600 * SECOND)).into(), 0),
        Part::Minute => Value((micros / (60 * SECOND) % 60).into(), 0),
        Part::Second => Value(of_minute.into(), 6),
        Part::Milliseconds => Value(of_minute.into(), 3),
        Part::Microseconds => Value(of_minute.into(), 0),
        Part::Epoch => Value(micros.into(), 6),
        _ => return None,
    })
}

/// Centuries or millennia: the first begins with year 1.
fn ages(year: i64, length: i64) -> i64 {
    match year > 0 {
        true => (year + length - 1) / length,
        false => -((length - 1 - (year - 1)) / length),
    }
}

fn of_span(part: Part, span: Span) -> Option<Value> {
    let years = span.months / 12;
    let whole = match part {
        Part::Year => years,
        Part::Month => span.months % 12,
        Part::Quarter => span.months % 12 / 3 + 1,
        Part::Day => span.days,
        Part::Decade => years / 10,
        Part::Century => years / 100,
        Part::Millennium => years / 1_000,
        Part::Epoch => {
            // A year has 365 days and a quarter, a month that is left over 30.
            let seconds = years * 31_557_600 + span.months % 12 * 2_592_000 + span.days * 86_400;
            let all = i128::from(seconds) * i128::from(SECOND) + i128::from(span.micros);
            return Some(Value(all, 6));
        }
        _ => return of_clock(part, span.micros),
    };
    Some(Value(whole.into(), 0))
}

fn known(types: &[DataType], name: &str) -> Result<()> {
    match types {
        [part, value] if is_text(part) => {
            if may_be_of_time(value) {
                Ok(())
            } else {
                no_function(name, types)
            }
        }
        _ => no_function(name, types),
    }
}

pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new(
            "extract",
            |types, values| {
                known(types, "extract")?;
                let name = match values.first() {
                    Some(Some(
                        ScalarValue::Utf8(Some(name))
                        | ScalarValue::Utf8View(Some(name))
                        | ScalarValue::LargeUtf8(Some(name)),
                    )) => name,
                    _ => return Ok(DataType::Decimal128(38, 6)),
                };
                let digits = match types.get(1) {
                    Some(of) => part(name, of)?.digits(of),
                    None => 0,
                };
                Ok(DataType::Decimal128(
                    if digits == 0 { 20 } else { 38 },
                    digits,
                ))
            },
            |call| {
                let scale = match call.to {
                    DataType::Decimal128(_, scale) => scale,
                    _ => 0,
                };
                let values = values(call)?;
                let made = values.into_iter().map(|value| match value {
                    Some(Found::Value(value)) => Ok(Some(in_scale(value, scale))),
                    Some(Found::Endless(_)) => Err(failed(
                        "0A000",
                        "extract from an infinite timestamp: numeric has no infinity here",
                    )),
                    None => Ok(None),
                });
                let made: Result<Decimal128Array> = made.collect();
                Ok(Arc::new(made?.with_data_type(call.to.clone())))
            },
        ),
        Function::new(
            "date_part",
            |types, values| {
                known(types, "date_part")?;
                if let (Some(Some(ScalarValue::Utf8(Some(name)))), Some(of)) =
                    (values.first(), types.get(1))
                {
                    part(name, of)?;
                }
                Ok(DataType::Float64)
            },
            |call| {
                let values = values(call)?;
                let made = values.into_iter().map(|value| {
                    value.map(|value| match value {
                        Found::Value(value) => float(value),
                        Found::Endless(true) => f64::INFINITY,
                        Found::Endless(false) => f64::NEG_INFINITY,
                    })
                });
                Ok(Arc::new(made.collect::<Float64Array>()))
            },
        )
        .also("datepart"),
    ]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "double precision is what is asked for"
)]
fn float(Value(number, scale): Value) -> f64 {
    number as f64 / 10f64.powi(scale.into())
}

fn in_scale(Value(number, has): Value, scale: i8) -> i128 {
    let power = |digits: i8| 10i128.pow(u32::try_from(digits).unwrap_or(0));
    match has <= scale {
        true => number * power(scale - has),
        false => number / power(has - scale),
    }
}

enum Found {
    Value(Value),
    /// What goes with an infinity: the positive one.
    Endless(bool),
}

/// The part of this name; 22023 and 0A000 when values of the type have none.
fn part(name: &str, of: &DataType) -> Result<Part> {
    let type_name = match of {
        of if is_text(of) || *of == DataType::Null => PgType::TIMESTAMPTZ.sql_name(),
        of => PgType::of_arrow(of).sql_name(),
    };
    let Some(part) = Part::named(name) else {
        let message = format!("unit \"{name}\" not recognized for type {type_name}");
        return Err(failed("22023", message));
    };
    let zone = matches!(part, Part::Zone | Part::ZoneHour | Part::ZoneMinute);
    let clock = of_clock(part, 0).is_some();
    let has = match of {
        of if is_date(of) => part == Part::Epoch || !(zone || clock),
        of if is_local(of) => !zone,
        of if is_time(of) => clock,
        of if is_span(of) => of_span(part, Span::default()).is_some(),
        _ => true,
    };
    match has {
        true => Ok(part),
        false => {
            let message = format!("unit \"{name}\" not supported for type {type_name}");
            Err(failed("0A000", message))
        }
    }
}

fn values(call: &Call) -> Result<Vec<Option<Found>>> {
    let names = arrow_cast(call.arg(0)?, &DataType::Utf8)?;
    let names = names.as_string::<i32>();
    let of = call.arg(1)?.data_type().clone();
    let mut last: Option<(&str, Part)> = None;
    let mut parts = Vec::with_capacity(call.rows);
    for name in names {
        parts.push(match (name, last) {
            (None, _) => None,
            (Some(name), Some((known, part))) if known == name => Some(part),
            (Some(name), _) => {
                let part = part(name, &of)?;
                last = Some((name, part));
                Some(part)
            }
        });
    }
    let array = call.arg(1)?;
    let found = |part: Option<Part>, value: Option<Value>| part.and(value).map(Found::Value);
    Ok(match &of {
        of if is_span(of) => {
            let spans = spans::of(array)?;
            let each = parts
                .iter()
                .zip(&spans)
                .map(|(part, span)| found(*part, of_span((*part)?, span?.into())));
            each.collect()
        }
        of if is_time(of) => {
            let times = arrow_cast(array, &DataType::Time64(TimeUnit::Microsecond))?;
            let times = times.as_primitive::<Time64MicrosecondType>().iter();
            let each = parts.iter().zip(times);
            each.map(|(part, time)| found(*part, of_clock((*part)?, time?)))
                .collect()
        }
        _ => stamps(call, array, &parts)?,
    })
}

fn stamps(call: &Call, array: &ArrayRef, parts: &[Option<Part>]) -> Result<Vec<Option<Found>>> {
    let of = array.data_type();
    let in_zone = is_instant(of) || is_text(of);
    let times = match in_zone {
        true => instants(array, &call.clock)?,
        false => locals(array, &call.clock)?,
    };
    debug_assert_eq!(times.len(), parts.len());
    let date = is_date(of);
    let each = parts.iter().zip(&times).map(|(part, time)| {
        let (part, time) = ((*part)?, time?);
        if is_endless(time) {
            return part.goes_on().then_some(Found::Endless(time > 0));
        }
        let value = match in_zone {
            true => {
                let offset = call.clock.zone.offset_at(time);
                of_time(part, call.clock.zone.local(time), Some(offset))
            }
            false => of_time(part, time, None),
        };
        let value = value.map(|Value(number, scale)| match date && scale == 20 {
            true => Value(number / 10i128.pow(20), 0),
            false => Value(number, scale),
        });
        value.map(Found::Value)
    });
    Ok(each.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::LOCAL;
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn parts_are_those_of_postgresql() {
        let time = |text: &str| crate::pg_input::timestamp(text, &Clock::default()).unwrap();
        // SELECT extract(… FROM timestamp '…') of PostgreSQL 15.
        for (text, part, expected) in [
            ("2023-12-31 22:00", "dow", 0.0),
            ("2023-12-31 22:00", "isodow", 7.0),
            ("2023-01-01", "week", 52.0),
            ("2023-01-01", "isoyear", 2022.0),
            ("2023-05-01", "quarter", 2.0),
            ("2023-05-01", "decade", 202.0),
            ("2000-05-01", "century", 20.0),
            ("2001-05-01", "century", 21.0),
            ("2001-05-01", "millennium", 3.0),
            ("0044-03-15 BC", "year", -44.0),
            ("0044-03-15 BC", "century", -1.0),
            ("2023-05-01 12:00", "julian", 2_460_066.5),
            ("2023-05-01 12:00:07.25", "second", 7.25),
            ("2023-05-01 12:00:07.25", "ms", 7_250.0),
            ("1969-12-31 23:59:59.5", "epoch", -0.5),
        ] {
            let value = of_time(Part::named(part).unwrap(), time(text), None).unwrap();
            assert_eq!(float(value), expected, "{part} {text}");
        }
        let span: Span = crate::pg_input::interval("1 year 1 mon 2 days 03:04:05.5")
            .unwrap()
            .into();
        assert_eq!(
            float(of_span(Part::Epoch, span).unwrap()),
            31_557_600.0 + 2_775_845.5
        );
        assert!(part("nonsense", &LOCAL).is_err());
        assert!(part("hour", &DataType::Date32).is_err());
        assert!(part("timezone", &LOCAL).is_err());
    }
}
