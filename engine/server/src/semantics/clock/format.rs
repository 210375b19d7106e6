//! `to_char` of times and intervals.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, AsArray as _, StringArray};
use datafusion::arrow::compute::cast as arrow_cast;
use datafusion::arrow::datatypes::{DataType, Field as ArrowField};
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};

use super::convert::{convert, instants, locals};
use super::pattern::{Case, Field, Piece, pieces};
use super::spans::{self, Span};
use super::{
    Call, Function, SPAN, failed, is_date, is_instant, is_span, is_text, is_time, may_be_of_time,
    no_function,
};
use crate::calendar::{DAY, SECOND, civil, day_of, iso_week, weekday};
use crate::zone::is_endless;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
const ROMAN: [&str; 12] = [
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII",
];

pub(super) fn months() -> &'static [&'static str; 12] {
    &MONTHS
}

pub(super) fn days() -> &'static [&'static str; 7] {
    &DAYS
}

pub(super) fn functions() -> Vec<Function> {
    let to_char = Function::new(
        "to_char",
        |types, _| match types {
            [value, pattern] if is_text(pattern) || *pattern == DataType::Null => {
                if may_be_of_time(value) || value.is_numeric() {
                    Ok(DataType::Utf8)
                } else {
                    no_function("to_char", types)
                }
            }
            _ => no_function("to_char", types),
        },
        run,
    );
    vec![to_char.also("date_format")]
}

/// A time or an interval, taken apart.
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    micros: i64,
    /// The day since 1970; None for an interval.
    date: Option<i64>,
    /// Seconds east, and the name of the zone.
    zone: Option<(i32, String)>,
}

/// The texts of numbers, by patterns that are not known to be of numbers before.
fn numbers(call: &Call) -> Result<ArrayRef> {
    static TO_CHAR: LazyLock<ScalarUDF> = LazyLock::new(|| crate::evaluated::otherwise("to_char"));
    let field = |array: &ArrayRef| Arc::new(ArrowField::new("", array.data_type().clone(), true));
    let texts = TO_CHAR.invoke_with_args(ScalarFunctionArgs {
        args: call
            .args
            .iter()
            .cloned()
            .map(ColumnarValue::Array)
            .collect(),
        arg_fields: call.args.iter().map(field).collect(),
        number_rows: call.rows,
        return_field: Arc::new(ArrowField::new("", DataType::Utf8, true)),
        config_options: Arc::default(),
    })?;
    texts.into_array(call.rows)
}

fn run(call: &Call) -> Result<ArrayRef> {
    if call.arg(0)?.data_type().is_numeric() {
        return numbers(call);
    }
    let patterns = arrow_cast(call.arg(1)?, &DataType::Utf8)?;
    let patterns = patterns.as_string::<i32>();
    let value = call.arg(0)?;
    let values = parts(call, value)?;
    let mut last: Option<(&str, Vec<Piece>)> = None;
    let mut texts = Vec::with_capacity(call.rows);
    for (value, pattern) in values.into_iter().zip(patterns) {
        let (Some(value), Some(pattern)) = (value, pattern) else {
            texts.push(None);
            continue;
        };
        if pattern.contains('%') {
            texts.push(Some(by_chrono(&value, pattern)?));
            continue;
        }
        if last.as_ref().is_none_or(|(known, _)| *known != pattern) {
            last = Some((pattern, pieces(pattern)));
        }
        let pieces = last.as_ref().map_or(&[][..], |(_, pieces)| pieces);
        texts.push(Some(written(&value, pieces)?));
    }
    Ok(Arc::new(StringArray::from(texts)))
}

fn parts(call: &Call, value: &ArrayRef) -> Result<Vec<Option<Parts>>> {
    let of = value.data_type();
    if is_span(of) || is_time(of) {
        let spans = spans::of(&convert(value, &SPAN, &call.clock)?)?;
        let each = spans.iter().map(|span| {
            let span = Span::from(span?);
            Some(Parts {
                year: span.months / 12,
                month: span.months % 12,
                day: span.days,
                micros: span.micros,
                date: None,
                zone: None,
            })
        });
        return Ok(each.collect());
    }
    // A date and a text are instants to PostgreSQL, since to_char has none for them.
    let in_zone = is_instant(of) || is_date(of) || is_text(of);
    let times = match in_zone {
        true => instants(value, &call.clock)?,
        false => locals(value, &call.clock)?,
    };
    let each = times.iter().map(|time| {
        let time = time.filter(|time| !is_endless(*time))?;
        let zone = call.clock.zone;
        let local = if in_zone { zone.local(time) } else { time };
        let date = local.div_euclid(DAY);
        let (year, month, day) = civil(date);
        Some(Parts {
            year,
            month,
            day,
            micros: local.rem_euclid(DAY),
            date: Some(date),
            zone: in_zone.then(|| (zone.offset_at(time), zone.abbreviation_at(time))),
        })
    });
    Ok(each.collect())
}

/// A pattern of chrono's, which has `%`.
fn by_chrono(parts: &Parts, pattern: &str) -> Result<String> {
    let bad = || failed("22007", format!("\"{pattern}\" is no pattern of a time"));
    let micros = parts.date.unwrap_or(0).checked_mul(DAY);
    let micros = micros.and_then(|at| at.checked_add(parts.micros));
    let time = micros
        .and_then(chrono::DateTime::from_timestamp_micros)
        .ok_or_else(bad)?;
    let mut text = String::new();
    write!(text, "{}", time.naive_utc().format(pattern)).map_err(|_| bad())?;
    Ok(text)
}

fn written(parts: &Parts, pieces: &[Piece]) -> Result<String> {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text, _) => out.push_str(text),
            Piece::Field {
                field,
                bare,
                ordinal,
            } => {
                let begin = out.len();
                write_field(parts, *field, *bare, &mut out)?;
                if let Some(large) = ordinal {
                    let ending = ending(out.get(begin..).unwrap_or_default());
                    match large {
                        true => out.push_str(&ending.to_ascii_uppercase()),
                        false => out.push_str(ending),
                    }
                }
            }
        }
    }
    Ok(out)
}

/// `st`, `nd`, `rd` or `th` for digits.
fn ending(digits: &str) -> &'static str {
    let mut last = digits.bytes().rev();
    let (one, ten) = (last.next(), last.next());
    match (ten, one) {
        (Some(b'1'), _) => "th",
        (_, Some(b'1')) => "st",
        (_, Some(b'2')) => "nd",
        (_, Some(b'3')) => "rd",
        _ => "th",
    }
}

fn cased(name: &str, case: Case) -> String {
    match case {
        Case::Upper => name.to_ascii_uppercase(),
        Case::Capital => name.to_owned(),
        Case::Lower => name.to_ascii_lowercase(),
    }
}

fn at(names: &'static [&'static str], place: i64) -> &'static str {
    let place = usize::try_from(place).ok();
    place
        .and_then(|place| names.get(place).copied())
        .unwrap_or_default()
}

fn write_field(parts: &Parts, field: Field, bare: bool, out: &mut String) -> Result<()> {
    let no_date = || {
        let error = failed(
            "22007",
            "invalid format specification for an interval value",
        );
        Err(error)
    };
    let digits = |value: i64, width: usize, out: &mut String| {
        let width = if bare {
            0
        } else {
            width + usize::from(value < 0)
        };
        out.push_str(&format!("{value:0width$}"));
    };
    let name = |name: String, width: usize, out: &mut String| {
        let width = if bare { 0 } else { width };
        out.push_str(&format!("{name:width$}"));
    };
    let seconds = parts.micros / SECOND;
    let hour = seconds / 3_600;
    // Numbers of a calendar are of dates only.
    let date = parts.date;
    // The year as people say it: that before 1 is 1 before Christ.
    let shown = match date {
        Some(_) if parts.year <= 0 => 1 - parts.year,
        _ => parts.year,
    };
    match field {
        Field::Hour24 => digits(hour, 2, out),
        Field::Hour12 => {
            let hour = hour % 12;
            digits(if hour == 0 { 12 } else { hour }, 2, out);
        }
        Field::Minute => digits(seconds / 60 % 60, 2, out),
        Field::Second => digits(seconds % 60, 2, out),
        Field::Fraction(count) => {
            let fraction = (parts.micros % SECOND).abs() / 10i64.pow(6 - count.min(6));
            out.push_str(&format!("{fraction:0width$}", width = count as usize));
        }
        Field::SecondOfDay => digits(seconds, 0, out),
        Field::Noon(points, case) => {
            let after = hour.rem_euclid(24) >= 12;
            let text = match (after, points) {
                (false, false) => "AM",
                (true, false) => "PM",
                (false, true) => "A.M.",
                (true, true) => "P.M.",
            };
            out.push_str(&cased(text, case));
        }
        Field::Era(_, case) => {
            let text = if parts.year > 0 { "AD" } else { "BC" };
            out.push_str(&cased(text, case));
        }
        Field::YearWithComma => {
            out.push_str(&format!("{},{:03}", shown / 1_000, shown % 1_000));
        }
        Field::Year(4) => digits(shown, 4, out),
        Field::Year(count) => digits(shown % 10i64.pow(count), count as usize, out),
        Field::Month => digits(parts.month, 2, out),
        Field::Day => digits(parts.day, 2, out),
        Field::Century => {
            let century = match date {
                Some(_) if parts.year > 0 => (parts.year + 99) / 100,
                Some(_) => -((99 - (parts.year - 1)) / 100),
                None => parts.year / 100,
            };
            digits(century, 2, out);
        }
        Field::Quarter if parts.month > 0 => digits((parts.month - 1) / 3 + 1, 1, out),
        Field::Quarter => {}
        Field::DayOfYear => {
            let day = match date {
                Some(date) => date - day_of(parts.year, 1, 1) + 1,
                None => (parts.year * 12 + parts.month) * 30 + parts.day,
            };
            digits(day, 3, out);
        }
        Field::WeekOfMonth => digits((parts.day - 1) / 7 + 1, 1, out),
        Field::Roman(case) if parts.month > 0 => {
            name(cased(at(&ROMAN, parts.month - 1), case), 4, out);
        }
        Field::Roman(_) => {}
        Field::ZoneName(case) => {
            if let Some((_, zone)) = &parts.zone {
                out.push_str(&cased(
                    zone,
                    if case == Case::Lower {
                        case
                    } else {
                        Case::Capital
                    },
                ));
            } else if date.is_none() {
                return no_date();
            }
        }
        Field::ZoneHour | Field::ZoneMinute | Field::Offset => {
            if date.is_none() {
                return no_date();
            }
            let east = parts.zone.as_ref().map_or(0, |(east, _)| *east);
            let sign = if east < 0 { '-' } else { '+' };
            let (hours, minutes) = (east.abs() / 3_600, east.abs() / 60 % 60);
            match (field, minutes) {
                (Field::ZoneMinute, _) => out.push_str(&format!("{minutes:02}")),
                (Field::ZoneHour, _) | (_, 0) => out.push_str(&format!("{sign}{hours:02}")),
                _ => out.push_str(&format!("{sign}{hours:02}:{minutes:02}")),
            }
        }
        _ => {
            let Some(date) = date else {
                return no_date();
            };
            let (iso_year, iso_week) = iso_week(date);
            match field {
                Field::IsoYear(4) => digits(iso_year, 4, out),
                Field::IsoYear(count) => digits(iso_year % 10i64.pow(count), count as usize, out),
                Field::IsoWeek => digits(iso_week, 2, out),
                Field::IsoDayOfYear => {
                    let day = (iso_week - 1) * 7 + (weekday(date) + 6) % 7 + 1;
                    digits(day, 3, out);
                }
                Field::DayOfWeek => digits(weekday(date) + 1, 1, out),
                Field::IsoDayOfWeek => digits((weekday(date) + 6) % 7 + 1, 1, out),
                Field::WeekOfYear => digits((date - day_of(parts.year, 1, 1)) / 7 + 1, 2, out),
                Field::Julian => digits(date + 2_440_588, 0, out),
                Field::MonthName(case) => name(cased(at(&MONTHS, parts.month - 1), case), 9, out),
                Field::MonthShort(case) => {
                    let short = at(&MONTHS, parts.month - 1).get(..3).unwrap_or_default();
                    out.push_str(&cased(short, case));
                }
                Field::DayName(case) => name(cased(at(&DAYS, weekday(date)), case), 9, out),
                Field::DayShort(case) => {
                    let short = at(&DAYS, weekday(date)).get(..3).unwrap_or_default();
                    out.push_str(&cased(short, case));
                }
                _ => return no_date(),
            }
        }
    }
    Ok(())
}
