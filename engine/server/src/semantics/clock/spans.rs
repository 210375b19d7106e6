//! Intervals: their arithmetic, how they compare, `justify_hours` and its kin.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, Decimal128Array, IntervalMonthDayNanoArray,
};
use datafusion::arrow::compute::cast as arrow_cast;
use datafusion::arrow::datatypes::{
    DataType, DurationMicrosecondType, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    TimeUnit,
};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, Volatility};

use super::{Function, SPAN, failed, is_number, is_span, no_function, out_of_range};
use crate::calendar::{DAY, SECOND};
use crate::zone::Zone;

/// Months, days and microseconds of an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) months: i64,
    pub(super) days: i64,
    pub(super) micros: i64,
}

impl From<IntervalMonthDayNano> for Span {
    fn from(value: IntervalMonthDayNano) -> Self {
        Span {
            months: value.months.into(),
            days: value.days.into(),
            micros: value.nanoseconds / 1_000,
        }
    }
}

impl Span {
    /// The interval; 22008 when one of its numbers does not fit.
    pub(super) fn told(self) -> Result<IntervalMonthDayNano> {
        let told = || {
            let months = i32::try_from(self.months).ok()?;
            let days = i32::try_from(self.days).ok()?;
            let nanos = self.micros.checked_mul(1_000)?;
            Some(IntervalMonthDayNano::new(months, days, nanos))
        };
        told().ok_or_else(|| out_of_range("interval"))
    }

    fn each(self, other: Span, add: impl Fn(i64, i64) -> Option<i64>) -> Result<Span> {
        let made = || {
            Some(Span {
                months: add(self.months, other.months)?,
                days: add(self.days, other.days)?,
                micros: add(self.micros, other.micros)?,
            })
        };
        made().ok_or_else(|| out_of_range("interval"))
    }

    pub(super) fn plus(self, other: Span) -> Result<Span> {
        self.each(other, i64::checked_add)
    }

    pub(super) fn minus(self, other: Span) -> Result<Span> {
        self.each(other, i64::checked_sub)
    }

    /// The interval so many times: what is left of a month becomes days of which it has 30, of a day its hours.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a cast saturates, and what does not fit is refused when the interval is told"
    )]
    #[expect(clippy::cast_precision_loss, reason = "as PostgreSQL computes it")]
    fn scaled(self, scale: impl Fn(f64) -> f64) -> Result<Span> {
        let round = |value: f64| (value * 1e6).round_ties_even() / 1e6;
        let (months, days) = (scale(self.months as f64), scale(self.days as f64));
        let micros = scale(self.micros as f64);
        if !(months.is_finite() && days.is_finite() && micros.is_finite()) {
            return Err(out_of_range("interval"));
        }
        let (whole_months, mut whole_days) = (months.trunc(), days.trunc());
        let over_days = round((months - whole_months) * 30.0);
        let mut seconds = round((days - whole_days + over_days - over_days.trunc()) * 86_400.0);
        if seconds.abs() >= 86_400.0 {
            let more = (seconds / 86_400.0).trunc();
            whole_days += more;
            seconds -= more * 86_400.0;
        }
        whole_days += over_days.trunc();
        let micros = (micros + seconds * 1e6).round_ties_even();
        if micros.abs() >= 9.2e18 {
            return Err(out_of_range("interval"));
        }
        Ok(Span {
            months: whole_months as i64,
            days: whole_days as i64,
            micros: micros as i64,
        })
    }

    pub(super) fn over(self, divisor: f64) -> Result<Span> {
        match divisor == 0.0 {
            true => Err(failed("22012", "division by zero")),
            false => self.scaled(|value| value / divisor),
        }
    }

    /// What intervals are compared by: microseconds, a month of 30 days and a day of 24 hours.
    pub(super) fn length(self) -> i128 {
        let days = i128::from(self.months) * 30 + i128::from(self.days);
        days * i128::from(DAY) + i128::from(self.micros)
    }

    /// Whole days of the hours become days.
    fn justify_hours(self) -> Span {
        let mut span = self;
        span.days += span.micros / DAY;
        span.micros %= DAY;
        if span.days > 0 && span.micros < 0 {
            span.days -= 1;
            span.micros += DAY;
        } else if span.days < 0 && span.micros > 0 {
            span.days += 1;
            span.micros -= DAY;
        }
        span
    }

    /// Every 30 days become a month.
    fn justify_days(self) -> Span {
        let mut span = self;
        span.months += span.days / 30;
        span.days %= 30;
        if span.months > 0 && span.days < 0 {
            span.months -= 1;
            span.days += 30;
        } else if span.months < 0 && span.days > 0 {
            span.months += 1;
            span.days -= 30;
        }
        span
    }

    /// Both, with one sign for all.
    fn justify(self) -> Span {
        let mut span = self;
        span.days += span.micros / DAY;
        span.micros %= DAY;
        span.months += span.days / 30;
        span.days %= 30;
        let after = span.days < 0 || (span.days == 0 && span.micros < 0);
        let before = span.days > 0 || (span.days == 0 && span.micros > 0);
        if span.months > 0 && after {
            span.months -= 1;
            span.days += 30;
        } else if span.months < 0 && before {
            span.months += 1;
            span.days -= 30;
        }
        if span.days > 0 && span.micros < 0 {
            span.days -= 1;
            span.micros += DAY;
        } else if span.days < 0 && span.micros > 0 {
            span.days += 1;
            span.micros -= DAY;
        }
        span
    }
}

/// An interval of microseconds alone.
pub(super) fn of_micros(micros: i64) -> IntervalMonthDayNano {
    IntervalMonthDayNano::new(0, 0, micros.saturating_mul(1_000))
}

/// The intervals of a column.
pub(super) fn of(array: &ArrayRef) -> Result<IntervalMonthDayNanoArray> {
    match array.data_type() {
        DataType::Duration(_) => {
            let micros = arrow_cast(array, &DataType::Duration(TimeUnit::Microsecond))?;
            let micros = micros.as_primitive::<DurationMicrosecondType>().iter();
            Ok(micros.map(|value| value.map(of_micros)).collect())
        }
        _ => {
            let spans = arrow_cast(array, &SPAN)?;
            Ok(spans.as_primitive::<IntervalMonthDayNanoType>().clone())
        }
    }
}

/// The zone so far from Greenwich as an interval says.
pub(super) fn zone(span: IntervalMonthDayNano) -> Result<Zone> {
    let span = Span::from(span);
    let within = span.months == 0 && span.days == 0;
    let zone = Zone::east(span.micros / SECOND).filter(|_| within);
    zone.ok_or_else(|| {
        failed(
            "22023",
            "an interval that is a time zone has no months or days",
        )
    })
}

/// What intervals are compared by.
pub(crate) fn key(value: Expr) -> Expr {
    let function = Function::with(
        "interval_length",
        |_, _| Ok(DataType::Decimal128(38, 0)),
        |call| {
            let spans = of(call.arg(0)?)?;
            let lengths = spans
                .iter()
                .map(|span| span.map(|span| Span::from(span).length()));
            let lengths: Decimal128Array = lengths.collect();
            Ok(Arc::new(lengths.with_precision_and_scale(38, 0)?))
        },
        Volatility::Immutable,
    );
    function.call(vec![value])
}

/// The results of a function on each interval of a column.
pub(super) fn each(
    spans: &IntervalMonthDayNanoArray,
    f: impl Fn(Span) -> Result<Span>,
) -> Result<ArrayRef> {
    let made = spans.iter().map(|span| {
        let made = span.map(|span| f(span.into())?.told());
        made.transpose()
    });
    let made: Result<IntervalMonthDayNanoArray> = made.collect();
    Ok(Arc::new(made?))
}

/// The results of a function on pairs of intervals.
fn pairs(call: &super::Call, f: impl Fn(Span, Span) -> Result<Span>) -> Result<ArrayRef> {
    let (left, right) = (of(call.arg(0)?)?, of(call.arg(1)?)?);
    results(left.iter().zip(&right), |left, right| {
        f(left.into(), right.into())
    })
}

/// The interval of each pair; NULL where a side is.
fn results<A, B>(
    pairs: impl Iterator<Item = (Option<A>, Option<B>)>,
    f: impl Fn(A, B) -> Result<Span>,
) -> Result<ArrayRef> {
    let made = pairs.map(|pair| match pair {
        (Some(a), Some(b)) => f(a, b)?.told().map(Some),
        _ => Ok(None),
    });
    let made: Result<IntervalMonthDayNanoArray> = made.collect();
    Ok(Arc::new(made?))
}

/// `left + right` or `left - right`.
pub(super) fn sum(left: Expr, minus: bool, right: Expr) -> Expr {
    let function = match minus {
        true => Function::with(
            "interval_minus",
            |_, _| Ok(SPAN),
            |call| pairs(call, Span::minus),
            Volatility::Immutable,
        ),
        false => Function::with(
            "interval_plus",
            |_, _| Ok(SPAN),
            |call| pairs(call, Span::plus),
            Volatility::Immutable,
        ),
    };
    function.call(vec![left, right])
}

/// `span * number` or `span / number`.
pub(super) fn product(span: Expr, over: bool, number: Expr) -> Expr {
    fn run(call: &super::Call, f: impl Fn(Span, f64) -> Result<Span>) -> Result<ArrayRef> {
        let spans = of(call.arg(0)?)?;
        let numbers = arrow_cast(call.arg(1)?, &DataType::Float64)?;
        let numbers = numbers.as_primitive::<Float64Type>();
        results(spans.iter().zip(numbers), |span, number| {
            f(span.into(), number)
        })
    }
    let function = match over {
        true => Function::with(
            "interval_over",
            |_, _| Ok(SPAN),
            |call| run(call, Span::over),
            Volatility::Immutable,
        ),
        false => Function::with(
            "interval_times",
            |_, _| Ok(SPAN),
            |call| run(call, |span, factor| span.scaled(|value| value * factor)),
            Volatility::Immutable,
        ),
    };
    function.call(vec![span, number])
}

/// The longest or the shortest of intervals, NULLs aside.
pub(super) fn extreme(greatest: bool, args: Vec<Expr>) -> Expr {
    fn run(call: &super::Call, greatest: bool) -> Result<ArrayRef> {
        let columns = call.args.iter().map(of).collect::<Result<Vec<_>>>()?;
        let made = (0..call.rows).map(|row| {
            let spans = columns
                .iter()
                .filter(|column| column.is_valid(row))
                .map(|column| column.value(row));
            let length = |span: &IntervalMonthDayNano| Span::from(*span).length();
            match greatest {
                true => spans.max_by_key(length),
                false => spans.min_by_key(length),
            }
        });
        Ok(Arc::new(made.collect::<IntervalMonthDayNanoArray>()))
    }
    let function = match greatest {
        true => Function::with(
            "interval_greatest",
            |_, _| Ok(SPAN),
            |call| run(call, true),
            Volatility::Immutable,
        ),
        false => Function::with(
            "interval_least",
            |_, _| Ok(SPAN),
            |call| run(call, false),
            Volatility::Immutable,
        ),
    };
    function.call(args)
}

pub(super) fn functions() -> Vec<Function> {
    fn of_one(name: &'static str, run: super::Run) -> Function {
        Function::with(
            name,
            |types, _| match types {
                [span] if is_span(span) || *span == DataType::Null => Ok(SPAN),
                _ => no_function("justify_interval", types),
            },
            run,
            Volatility::Immutable,
        )
    }
    vec![
        of_one("justify_hours", |call| {
            each(&of(call.arg(0)?)?, |span| Ok(span.justify_hours()))
        }),
        of_one("justify_days", |call| {
            each(&of(call.arg(0)?)?, |span| Ok(span.justify_days()))
        }),
        of_one("justify_interval", |call| {
            each(&of(call.arg(0)?)?, |span| Ok(span.justify()))
        }),
        Function::with(
            "make_interval",
            |types, _| {
                let known = types.len() <= 7
                    && types
                        .iter()
                        .all(|side| is_number(side) || *side == DataType::Null);
                match known {
                    true => Ok(SPAN),
                    false => no_function("make_interval", types),
                }
            },
            make,
            Volatility::Immutable,
        ),
    ]
}

/// `make_interval(years, months, weeks, days, hours, mins, secs)`.
fn make(call: &super::Call) -> Result<ArrayRef> {
    let numbers = call
        .args
        .iter()
        .map(|arg| arrow_cast(arg, &DataType::Float64));
    let numbers = numbers.collect::<std::result::Result<Vec<_>, _>>()?;
    let made = (0..call.rows).map(|row| -> Result<Option<IntervalMonthDayNano>> {
        let mut parts = [0.0; 7];
        for (part, numbers) in parts.iter_mut().zip(&numbers) {
            let numbers = numbers.as_primitive::<Float64Type>();
            match numbers.is_null(row) {
                true => return Ok(None),
                false => *part = numbers.value(row),
            }
        }
        let whole = |number: f64| whole(number).ok_or_else(|| out_of_range("interval"));
        let [years, months, weeks, days, hours, minutes, seconds] = parts;
        let clock = (hours * 60.0 + minutes) * 60.0;
        let span = Span {
            months: whole(years * 12.0 + months)?,
            days: whole(weeks * 7.0 + days)?,
            micros: whole(clock * 1e6)?.saturating_add(whole((seconds * 1e6).round_ties_even())?),
        };
        span.told().map(Some)
    });
    let made: Result<IntervalMonthDayNanoArray> = made.collect();
    Ok(Arc::new(made?))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "within the range that was asked for"
)]
fn whole(number: f64) -> Option<i64> {
    (number.is_finite() && number.abs() < 9.2e18).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn span(text: &str) -> Span {
        crate::pg_input::interval(text).unwrap().into()
    }

    #[test]
    fn intervals_are_counted_with_as_postgresql_does() {
        for (text, factor, expected) in [
            ("1 day", 1.5, "1 day 12:00"),
            ("1 mon", 1.5, "1 mon 15 days"),
            ("1 mon 3 days", -1.0, "-1 mon -3 days"),
            ("1 day", 0.333, "07:59:31.2"),
        ] {
            let made = span(text).scaled(|value| value * factor).unwrap();
            assert_eq!(made, span(expected), "{text} * {factor}");
        }
        assert_eq!(span("1 mon").over(3.0).unwrap(), span("10 days"));
        assert!(span("1 mon").over(0.0).is_err());
        assert_eq!(span("1 mon").length(), span("720:00").length());
        assert_eq!(span("27:00").justify_hours(), span("1 day 03:00"));
        assert_eq!(span("35 days").justify_days(), span("1 mon 5 days"));
        assert_eq!(span("1 mon -1 hour").justify(), span("29 days 23:00"));
        assert_eq!(span("-1 mon 1 hour").justify(), span("-29 days -23:00"));
    }
}
