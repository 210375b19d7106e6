//! Times made of numbers: `make_date`, `make_time`, `make_timestamp`, `make_timestamptz`, `to_timestamp`.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, Date32Array, Float64Array, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast as arrow_cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::Volatility;

use super::convert::zones;
use super::{
    Call, Function, LOCAL, TIME, UTC, failed, instant_type, is_number, is_text, no_function,
    out_of_range,
};
use crate::calendar::{DAY, SECOND, day_of, month_length};

fn numbers(types: &[DataType]) -> bool {
    types
        .iter()
        .all(|side| is_number(side) || *side == DataType::Null)
}

pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::with(
            "make_date",
            |types, _| match types.len() {
                3 if numbers(types) => Ok(DataType::Date32),
                _ => no_function("make_date", types),
            },
            |call| {
                let made = rows(call, 3, |row| {
                    let day = day(row)?;
                    i32::try_from(day).map_err(|_| out_of_range("date"))
                })?;
                Ok(Arc::new(Date32Array::from(made)))
            },
            Volatility::Immutable,
        ),
        Function::with(
            "make_time",
            |types, _| match types.len() {
                3 if numbers(types) => Ok(TIME),
                _ => no_function("make_time", types),
            },
            |call| {
                let made = rows(call, 3, |row| {
                    let micros = micros(row)?;
                    match micros < DAY {
                        true => Ok(micros),
                        false => Err(failed("22008", "the time 24:00:00 is no time of day here")),
                    }
                })?;
                Ok(arrow_cast(&Time64MicrosecondArray::from(made), &TIME)?)
            },
            Volatility::Immutable,
        ),
        Function::with(
            "make_timestamp",
            |types, _| match types.len() {
                6 if numbers(types) => Ok(LOCAL),
                _ => no_function("make_timestamp", types),
            },
            |call| {
                Ok(Arc::new(TimestampMicrosecondArray::from(rows(
                    call, 6, local,
                )?)))
            },
            Volatility::Immutable,
        ),
        Function::new(
            "make_timestamptz",
            |types, _| {
                let zone = types.get(6).is_none_or(is_text);
                match types.get(..6) {
                    Some(first) if numbers(first) && zone && types.len() <= 7 => Ok(instant_type()),
                    _ => no_function("make_timestamptz", types),
                }
            },
            |call| {
                let locals = rows(call, 6, local)?;
                let zones = match call.args.get(6) {
                    Some(names) => zones(names)?,
                    None => vec![Some(call.clock.zone); call.rows],
                };
                let made = locals.into_iter().zip(zones);
                let made = made.map(|(local, zone)| Some(zone?.instant(local?)));
                let made: TimestampMicrosecondArray = made.collect();
                Ok(Arc::new(made.with_timezone(UTC)))
            },
        ),
        Function::with(
            "to_timestamp",
            |types, _| match types {
                [one] if numbers(types) || is_text(one) => Ok(instant_type()),
                [text, pattern]
                    if (is_text(text) || *text == DataType::Null)
                        && (is_text(pattern) || *pattern == DataType::Null) =>
                {
                    Ok(instant_type())
                }
                _ => no_function("to_timestamp", types),
            },
            |call| {
                if call.args.len() == 2 {
                    return super::parse::to_timestamp(call);
                }
                if is_text(call.arg(0)?.data_type()) {
                    return super::convert(call.arg(0)?, &instant_type(), &call.clock);
                }
                let made = rows(call, 1, |row| {
                    let seconds = row.first().copied().unwrap_or(0.0);
                    if seconds.is_infinite() {
                        return Ok(if seconds > 0.0 { i64::MAX } else { i64::MIN });
                    }
                    whole((seconds * 1e6).round_ties_even()).ok_or_else(|| {
                        failed("22008", format!("timestamp out of range: \"{seconds}\""))
                    })
                })?;
                Ok(Arc::new(
                    TimestampMicrosecondArray::from(made).with_timezone(UTC),
                ))
            },
            Volatility::Stable,
        ),
    ]
}

/// What `f` makes of the first `width` arguments of each row; NULL where one of them is.
fn rows<T>(call: &Call, width: usize, f: impl Fn(&[f64]) -> Result<T>) -> Result<Vec<Option<T>>> {
    let columns = call.args.iter().take(width);
    let columns = columns.map(|column: &ArrayRef| arrow_cast(column, &DataType::Float64));
    let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
    let columns: Vec<&Float64Array> = columns
        .iter()
        .map(|c| c.as_primitive::<Float64Type>())
        .collect();
    let row = |at: usize| {
        if columns.iter().any(|column| column.is_null(at)) {
            return Ok(None);
        }
        let row: Vec<f64> = columns.iter().map(|column| column.value(at)).collect();
        f(&row).map(Some)
    };
    (0..call.rows).map(row).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "within the range that was asked for"
)]
fn whole(number: f64) -> Option<i64> {
    (number.is_finite() && number.abs() < 9.2e18).then_some(number as i64)
}

/// The day of a year, a month and a day; years below 0 are before Christ.
fn day(row: &[f64]) -> Result<i64> {
    let [year, month, day, ..] = row else {
        return Err(out_of_range("date"));
    };
    let bad = || {
        failed(
            "22008",
            format!("date field value out of range: {year}-{month:02}-{day:02}"),
        )
    };
    let field = |number: &f64| whole(*number).ok_or_else(bad);
    let (mut year, month, day) = (field(year)?, field(month)?, field(day)?);
    if year < 0 {
        year += 1;
    } else if year == 0 {
        return Err(bad());
    }
    let known = year.abs() < 300_000
        && (1..=12).contains(&month)
        && day >= 1
        && day <= month_length(year, month);
    match known {
        true => Ok(day_of(year, month, day)),
        false => Err(bad()),
    }
}

/// Microseconds since midnight of hours, minutes and seconds.
fn micros(row: &[f64]) -> Result<i64> {
    let [hours, minutes, seconds, ..] = row else {
        return Err(out_of_range("time"));
    };
    let bad = || {
        failed(
            "22008",
            format!("time field value out of range: {hours}:{minutes:02}:{seconds:02}"),
        )
    };
    let field = |number: f64| whole(number).ok_or_else(bad);
    let (h, m) = (field(*hours)?, field(*minutes)?);
    let s = field((seconds * 1e6).round_ties_even())?;
    let within = (0..=24).contains(&h) && (0..60).contains(&m) && (0..=60 * SECOND).contains(&s);
    let all = h
        .saturating_mul(3_600 * SECOND)
        .saturating_add(m.saturating_mul(60 * SECOND))
        .saturating_add(s);
    match within && all <= DAY {
        true => Ok(all),
        false => Err(bad()),
    }
}

fn local(row: &[f64]) -> Result<i64> {
    let (date, time) = row.split_at_checked(3).unwrap_or((row, &[]));
    let (day, micros) = (day(date)?, micros(time)?);
    let at = day.checked_mul(DAY).and_then(|at| at.checked_add(micros));
    at.ok_or_else(|| out_of_range("timestamp"))
}
