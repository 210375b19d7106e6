//! Times with intervals: added, taken away, and between two times.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray as _, BooleanArray, IntervalMonthDayNanoArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast as arrow_cast;
use datafusion::arrow::datatypes::{
    DataType, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, Volatility};

use super::convert::{convert, instants, locals};
use super::spans::{self, Span};
use super::{
    Call, Function, LOCAL, SPAN, failed, instant_type, is_date, is_instant, is_local, is_text,
    no_function, out_of_range,
};
use crate::calendar::{DAY, add_months, civil, month_length};
use crate::zone::{Zone, is_endless};

/// A local time and an interval: months first, then days, then the rest.
fn moved(local: i64, span: Span) -> Option<i64> {
    let local = match span.months {
        0 => local,
        months => add_months(local, months)?,
    };
    let local = local.checked_add(span.days.checked_mul(DAY)?)?;
    local.checked_add(span.micros)
}

/// An instant and an interval: months and days by the clocks of a zone, the rest as time goes by.
fn moved_in(zone: Zone, instant: i64, span: Span) -> Option<i64> {
    let mut instant = instant;
    if span.months != 0 {
        instant = zone.instant(add_months(zone.local(instant), span.months)?);
    }
    if span.days != 0 {
        let local = zone
            .local(instant)
            .checked_add(span.days.checked_mul(DAY)?)?;
        instant = zone.instant(local);
    }
    instant.checked_add(span.micros)
}

/// The time a span later; by the clocks of a zone for an instant.
pub(super) fn next(zone: Option<Zone>, time: i64, span: Span) -> Option<i64> {
    match zone {
        Some(zone) => moved_in(zone, time, span),
        None => moved(time, span),
    }
}

/// The first of a column of timestamps.
pub(super) fn micros(array: &ArrayRef) -> Option<i64> {
    let times = array.as_primitive::<TimestampMicrosecondType>();
    times.iter().next().flatten()
}

/// `time + span`, or `time - span`, for timestamps and instants.
pub(super) fn shifted(time: Expr, minus: bool, span: Expr) -> Expr {
    let function = match minus {
        true => Function::new("time_minus", same, |call| shift(call, -1)),
        false => Function::new("time_plus", same, |call| shift(call, 1)),
    };
    function.call(vec![time, span])
}

fn same(
    types: &[DataType],
    _values: &[Option<&datafusion::common::ScalarValue>],
) -> Result<DataType> {
    Ok(match types.first() {
        Some(time) if is_instant(time) => instant_type(),
        _ => LOCAL,
    })
}

fn shift(call: &Call, sign: i64) -> Result<ArrayRef> {
    let (times, spans) = (call.arg(0)?, spans::of(call.arg(1)?)?);
    let in_zone = is_instant(times.data_type());
    let times = match in_zone {
        true => instants(times, &call.clock)?,
        false => locals(times, &call.clock)?,
    };
    let made = times.iter().zip(&spans).map(|pair| {
        let (Some(time), Some(span)) = pair else {
            return Ok(None);
        };
        if is_endless(time) {
            return Ok(Some(time));
        }
        let span = Span::from(span);
        let span = Span {
            months: sign * span.months,
            days: sign * span.days,
            micros: sign * span.micros,
        };
        let made = match in_zone {
            true => moved_in(call.clock.zone, time, span),
            false => moved(time, span),
        };
        let made = made.filter(|made| !is_endless(*made));
        made.map(Some).ok_or_else(|| out_of_range("timestamp"))
    });
    let made: Result<TimestampMicrosecondArray> = made.collect();
    stamped(made?, &call.to)
}

fn stamped(values: TimestampMicrosecondArray, to: &DataType) -> Result<ArrayRef> {
    Ok(match to {
        DataType::Timestamp(_, Some(zone)) => Arc::new(values.with_timezone(Arc::clone(zone))),
        _ => Arc::new(values),
    })
}

/// `time + span` or `time - span` of times of day: it goes round.
pub(super) fn time_of_day(time: Expr, minus: bool, span: Expr) -> Expr {
    fn run(call: &Call, sign: i64) -> Result<ArrayRef> {
        let times = arrow_cast(call.arg(0)?, &DataType::Time64(TimeUnit::Microsecond))?;
        let spans = spans::of(call.arg(1)?)?;
        let times = times.as_primitive::<Time64MicrosecondType>().iter();
        let made = times.zip(&spans).map(|(time, span)| {
            let micros = Span::from(span?).micros % DAY;
            Some((time? + sign * micros).rem_euclid(DAY))
        });
        let made: Time64MicrosecondArray = made.collect();
        Ok(arrow_cast(&made, &call.to)?)
    }
    let function = match minus {
        true => Function::with(
            "clock_minus",
            |_, _| Ok(super::TIME),
            |call| run(call, -1),
            Volatility::Immutable,
        ),
        false => Function::with(
            "clock_plus",
            |_, _| Ok(super::TIME),
            |call| run(call, 1),
            Volatility::Immutable,
        ),
    };
    function.call(vec![time, span])
}

/// `left - right` of two timestamps or two instants: days of 24 hours and the rest.
pub(super) fn between(left: Expr, right: Expr) -> Expr {
    let function = Function::new(
        "time_between",
        |_, _| Ok(SPAN),
        |call| {
            let (left, right) = both(call)?;
            let made = left.iter().zip(&right).map(|pair| {
                let (Some(left), Some(right)) = pair else {
                    return Ok(None);
                };
                if is_endless(left) || is_endless(right) {
                    return Err(failed("22008", "cannot subtract infinite timestamps"));
                }
                let micros = left
                    .checked_sub(right)
                    .ok_or_else(|| out_of_range("interval"))?;
                let span = Span {
                    months: 0,
                    days: micros / DAY,
                    micros: micros % DAY,
                };
                span.told().map(Some)
            });
            let made: Result<IntervalMonthDayNanoArray> = made.collect();
            Ok(Arc::new(made?))
        },
    );
    function.call(vec![left, right])
}

/// Two columns of times on one scale: instants when one of them is of instants.
fn both(call: &Call) -> Result<(TimestampMicrosecondArray, TimestampMicrosecondArray)> {
    let (left, right) = (call.arg(0)?, call.arg(1)?);
    match is_instant(left.data_type()) || is_instant(right.data_type()) {
        true => Ok((instants(left, &call.clock)?, instants(right, &call.clock)?)),
        false => Ok((locals(left, &call.clock)?, locals(right, &call.clock)?)),
    }
}

pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new(
            "age",
            |types, _| {
                let known = |side: &DataType| {
                    is_local(side)
                        || is_instant(side)
                        || is_date(side)
                        || is_text(side)
                        || *side == DataType::Null
                };
                match types {
                    [one] if known(one) => Ok(SPAN),
                    [one, other] if known(one) && known(other) => Ok(SPAN),
                    _ => no_function("age", types),
                }
            },
            age,
        ),
        Function::with(
            "isfinite",
            |types, _| match types {
                [one]
                    if is_local(one) || is_instant(one) || is_date(one) || super::is_span(one) =>
                {
                    Ok(DataType::Boolean)
                }
                _ => no_function("isfinite", types),
            },
            |call| {
                let values = call.arg(0)?;
                let finite: BooleanArray = match super::is_span(values.data_type()) {
                    true => spans::of(values)?
                        .iter()
                        .map(|span| span.map(|_| true))
                        .collect(),
                    false => {
                        let values = convert(values, &LOCAL, &call.clock)?;
                        let values = locals(&values, &call.clock)?;
                        values
                            .iter()
                            .map(|time| time.map(|time| !is_endless(time)))
                            .collect()
                    }
                };
                Ok(Arc::new(finite))
            },
            Volatility::Immutable,
        ),
    ]
}

/// Years, months, days and the rest between two times as clocks show them; between midnight of today and one time.
fn age(call: &Call) -> Result<ArrayRef> {
    let clock = &call.clock;
    let (left, right) = match call.args.as_slice() {
        [one] => {
            let midnight = clock.zone.local(clock.transaction).div_euclid(DAY) * DAY;
            let today = TimestampMicrosecondArray::from(vec![midnight; call.rows]);
            (today, locals(one, clock)?)
        }
        _ => {
            // Two dates, or one of them an instant, are taken by the clocks of the session.
            (locals(call.arg(0)?, clock)?, locals(call.arg(1)?, clock)?)
        }
    };
    let made = left.iter().zip(&right).map(|pair| {
        let (Some(left), Some(right)) = pair else {
            return Ok(None);
        };
        if is_endless(left) || is_endless(right) {
            return Err(failed(
                "22008",
                "the age of an infinite timestamp is out of range",
            ));
        }
        symbolic(left, right).told().map(Some)
    });
    let made: Result<IntervalMonthDayNanoArray> = made.collect();
    Ok(Arc::new(made?))
}

/// Months, days and microseconds between two local times that have an end.
pub(crate) fn age_between(left: i64, right: i64) -> Option<(i32, i32, i64)> {
    let span = symbolic(left, right);
    let months = i32::try_from(span.months).ok()?;
    Some((months, i32::try_from(span.days).ok()?, span.micros))
}

/// What a calendar says lies between two local times.
fn symbolic(left: i64, right: i64) -> Span {
    let back = left < right;
    let (later, earlier) = if back { (right, left) } else { (left, right) };
    let (year, month, day) = civil(later.div_euclid(DAY));
    let (from_year, from_month, from_day) = civil(earlier.div_euclid(DAY));
    let mut micros = later.rem_euclid(DAY) - earlier.rem_euclid(DAY);
    let mut days = day - from_day;
    let mut months = (year - from_year) * 12 + month - from_month;
    if micros < 0 {
        micros += DAY;
        days -= 1;
    }
    while days < 0 {
        // Days are of the month of the second argument's date or of the first's, whichever is earlier.
        days += month_length(from_year, from_month);
        months -= 1;
    }
    let sign = if back { -1 } else { 1 };
    Span {
        months: sign * months,
        days: sign * days,
        micros: sign * micros,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::clock::Clock;

    fn local(text: &str) -> i64 {
        crate::pg_input::timestamp(text, &Clock::default()).unwrap()
    }

    fn span(text: &str) -> Span {
        crate::pg_input::interval(text).unwrap().into()
    }

    #[test]
    fn ages_are_as_a_calendar_says() {
        // SELECT age(…, …) of PostgreSQL 15.
        for (left, right, expected) in [
            ("2024-03-10", "1980-05-20", "43 years 9 mons 21 days"),
            (
                "2024-03-10 10:00",
                "2023-01-31 12:00",
                "1 year 1 mon 9 days 22:00:00",
            ),
            ("2024-01-01", "2024-03-31", "-2 mons -30 days"),
            ("2024-05-31", "2024-02-29", "3 mons 2 days"),
        ] {
            assert_eq!(
                symbolic(local(left), local(right)),
                span(expected),
                "{left} {right}"
            );
        }
    }

    #[test]
    fn days_follow_the_clock_and_hours_the_time() {
        let berlin = Zone::of_name("Europe/Berlin").unwrap();
        let noon = berlin.instant(local("2024-03-30 12:00"));
        let at = |text: &str| berlin.instant(local(text));
        assert_eq!(
            moved_in(berlin, noon, span("1 day")).unwrap(),
            at("2024-03-31 12:00")
        );
        assert_eq!(
            moved_in(berlin, noon, span("24:00")).unwrap(),
            at("2024-03-31 13:00")
        );
        assert_eq!(
            moved(local("2024-01-31"), span("1 mon")).unwrap(),
            local("2024-02-29")
        );
        assert_eq!(
            moved(local("2024-01-01"), span("1 mon -1 day")).unwrap(),
            local("2024-01-31")
        );
    }
}
