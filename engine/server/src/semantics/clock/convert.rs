//! Casts between texts, dates, times of day, timestamps and instants, by the clock of the session.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray as _, Date32Array, Int64Array, IntervalMonthDayNanoArray, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, make_array,
};
use datafusion::arrow::compute::cast as arrow_cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::spans::Span;
use super::{
    Function, LOCAL, SPAN, failed, instant_type, is_date, is_instant, is_local, is_span, is_text,
    is_time, no_function, out_of_range,
};
use crate::calendar::{DAY, SECOND};
use crate::clock::Clock;
use crate::pg_input;
use crate::sqlstate::ServerError;
use crate::zone::{Zone, is_endless};

/// Whether a cast between these types is PostgreSQL's to make, not Arrow's.
pub(crate) fn converts(from: &DataType, to: &DataType) -> bool {
    let stamp = |side: &DataType| is_local(side) || is_instant(side);
    match (from, to) {
        (from, to) if from == to => false,
        (from, to) if is_text(from) => stamp(to) || is_date(to) || is_time(to) || is_span(to),
        (DataType::Date32, to) => stamp(to),
        (DataType::Timestamp(..), to) => stamp(to) || is_date(to) || is_time(to),
        (from, to) if is_time(from) => is_span(to),
        (from, to) if is_span(from) => is_time(to),
        _ => false,
    }
}

/// A value cast to a type by the clock of the session.
pub(crate) fn cast(value: Expr, to: &DataType) -> Expr {
    let function = ScalarUDF::new_from_impl(Cast {
        to: to.clone(),
        signature: Signature::any(1, Volatility::Stable),
    });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), vec![value]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Cast {
    to: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Cast {
    fn name(&self) -> &'static str {
        "by_the_clock"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let clock = Clock::of(&args.config_options);
        match args.args.as_slice() {
            [ColumnarValue::Scalar(value)] => {
                let made = convert(&value.to_array()?, &self.to, &clock)?;
                let value = ScalarValue::try_from_array(&made, 0)?;
                Ok(ColumnarValue::Scalar(value))
            }
            [ColumnarValue::Array(array)] => {
                convert(array, &self.to, &clock).map(ColumnarValue::Array)
            }
            _ => Err(DataFusionError::Internal("a cast of one value".to_owned())),
        }
    }
}

/// The values of a column in another type.
///
/// # Errors
/// 22007 and 22008 for texts that are no times, 22008 for what the other type does not reach.
pub(crate) fn convert(array: &ArrayRef, to: &DataType, clock: &Clock) -> Result<ArrayRef> {
    let from = array.data_type();
    match (from, to) {
        (from, to) if from == to => Ok(Arc::clone(array)),
        (from, to) if !converts(from, to) => Ok(arrow_cast(array, to)?),
        (from, _) if is_text(from) => read(array, to, clock),
        (_, DataType::Timestamp(unit, zone)) => {
            let values = match zone {
                Some(_) => instants(array, clock)?,
                None => locals(array, clock)?,
            };
            in_unit(&values, *unit, to)
        }
        (_, to) if is_date(to) => {
            let locals = locals(array, clock)?;
            let days: Date32Array = locals.unary_opt(|local| match local {
                i64::MAX => Some(i32::MAX),
                i64::MIN => Some(i32::MIN),
                local => i32::try_from(local.div_euclid(DAY)).ok(),
            });
            Ok(arrow_cast(&days, to)?)
        }
        (from, to) if is_span(from) && is_time(to) => {
            let spans = super::spans::of(array)?;
            let times = spans.iter().map(|span| {
                let span = Span::from(span?);
                Some(span.micros.rem_euclid(DAY))
            });
            let times: Time64MicrosecondArray = times.collect();
            Ok(arrow_cast(&times, to)?)
        }
        (from, to) if is_time(to) && !is_time(from) => {
            let locals = locals(array, clock)?;
            let times = locals.iter().map(|local| {
                let local = local.filter(|local| !is_endless(*local))?;
                Some(local.rem_euclid(DAY))
            });
            let times: Time64MicrosecondArray = times.collect();
            Ok(arrow_cast(&times, to)?)
        }
        (from, to) if is_time(from) && is_span(to) => {
            let times = arrow_cast(array, &DataType::Time64(TimeUnit::Microsecond))?;
            let spans = times.as_primitive::<Time64MicrosecondType>().iter();
            let spans = spans.map(|micros| micros.map(super::spans::of_micros));
            Ok(Arc::new(spans.collect::<IntervalMonthDayNanoArray>()))
        }
        (_, to) => Ok(arrow_cast(array, to)?),
    }
}

/// What clocks show: a timestamp as it is, an instant by the clock of the session, a date at its midnight.
pub(super) fn locals(array: &ArrayRef, clock: &Clock) -> Result<TimestampMicrosecondArray> {
    match array.data_type() {
        from if is_instant(from) => {
            let zone = clock.zone;
            Ok(micros(array)?.unary(|instant| zone.local(instant)))
        }
        from if is_local(from) => micros(array),
        from if is_date(from) => midnights(array),
        DataType::Null => Ok(TimestampMicrosecondArray::new_null(array.len())),
        from if is_text(from) => {
            let read = read(array, &LOCAL, clock)?;
            Ok(read.as_primitive::<TimestampMicrosecondType>().clone())
        }
        other => Err(failed("42846", format!("cannot cast {other} to timestamp"))),
    }
}

/// Instants: what clocks show is what those of the session show.
pub(super) fn instants(array: &ArrayRef, clock: &Clock) -> Result<TimestampMicrosecondArray> {
    match array.data_type() {
        from if is_instant(from) => micros(array),
        from if is_text(from) => {
            let read = read(array, &instant_type(), clock)?;
            micros(&read)
        }
        _ => {
            let zone = clock.zone;
            Ok(locals(array, clock)?.unary(|local| zone.instant(local)))
        }
    }
}

/// Microseconds of timestamps of any unit, without their zone.
fn micros(array: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    let values = match array.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => Arc::clone(array),
        DataType::Timestamp(_, zone) => arrow_cast(
            array,
            &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        )?,
        other => {
            return Err(DataFusionError::Internal(format!(
                "{other} is no timestamp"
            )));
        }
    };
    let values = values.as_primitive::<TimestampMicrosecondType>();
    Ok(values.clone().with_timezone_opt(None::<Arc<str>>))
}

fn midnights(array: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    let days = arrow_cast(array, &DataType::Date32)?;
    let days = days.as_primitive::<Date32Type>();
    days.try_unary(|day| match day {
        i32::MAX => Ok(i64::MAX),
        i32::MIN => Ok(i64::MIN),
        day => {
            let at = i64::from(day).checked_mul(DAY);
            at.ok_or_else(|| failed("22008", "date out of range for timestamp"))
        }
    })
}

/// Microseconds as timestamps of a unit: what is left over is rounded, half of it away from zero.
fn in_unit(values: &TimestampMicrosecondArray, unit: TimeUnit, to: &DataType) -> Result<ArrayRef> {
    let step = match unit {
        TimeUnit::Microsecond | TimeUnit::Nanosecond => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Second => SECOND,
    };
    let numbers: Int64Array = match unit {
        TimeUnit::Nanosecond => values.try_unary(|micros| match is_endless(micros) {
            true => Ok(micros),
            false => {
                let nanos = micros.checked_mul(1_000);
                nanos.ok_or_else(|| out_of_range("timestamp"))
            }
        })?,
        _ => values.unary(|micros| match is_endless(micros) {
            true => micros,
            false => (micros.abs() + step / 2) / step * micros.signum(),
        }),
    };
    let plain = DataType::Timestamp(unit, None);
    let stamped = arrow_cast(&numbers, &plain)?;
    match to {
        DataType::Timestamp(_, None) => Ok(stamped),
        _ => Ok(make_array(
            stamped
                .to_data()
                .into_builder()
                .data_type(to.clone())
                .build()?,
        )),
    }
}

/// Values that texts stand for.
fn read(array: &ArrayRef, to: &DataType, clock: &Clock) -> Result<ArrayRef> {
    let texts = arrow_cast(array, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    match to {
        DataType::Timestamp(unit, zone) => {
            let values = match zone {
                Some(_) => each(texts, |text| pg_input::instant(text, clock))?,
                None => each(texts, |text| pg_input::timestamp(text, clock))?,
            };
            let values = TimestampMicrosecondArray::from_iter(values);
            in_unit(&values, *unit, to)
        }
        to if is_date(to) => {
            let days = each(texts, |text| pg_input::date(text, clock))?;
            Ok(arrow_cast(&Date32Array::from_iter(days), to)?)
        }
        to if is_time(to) => {
            let times = each(texts, |text| pg_input::time(text, clock))?;
            if times.iter().flatten().any(|micros| *micros >= DAY) {
                return Err(failed("22008", "the time 24:00:00 is no time of day here"));
            }
            Ok(arrow_cast(&Time64MicrosecondArray::from_iter(times), to)?)
        }
        to => {
            let spans = each(texts, pg_input::interval)?;
            let spans: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from_iter(spans));
            match to == &SPAN {
                true => Ok(spans),
                false => Ok(arrow_cast(&spans, to)?),
            }
        }
    }
}

fn each<T>(
    texts: &StringArray,
    read: impl Fn(&str) -> std::result::Result<T, ServerError>,
) -> Result<Vec<Option<T>>> {
    let read = |text: Option<&str>| text.map(&read).transpose();
    let values: std::result::Result<Vec<_>, _> = texts.iter().map(read).collect();
    values.map_err(|error| DataFusionError::External(Box::new(error)))
}

/// `timezone(zone, value)`, which `value AT TIME ZONE zone` is: an instant as the clocks of that zone show it, and the
/// instant at which they show a timestamp.
pub(super) fn timezone() -> Function {
    Function::new(
        "timezone",
        |types, _| match types {
            [zone, value] if is_text(zone) || is_span(zone) || *zone == DataType::Null => {
                match value {
                    value if is_local(value) => Ok(instant_type()),
                    value if is_instant(value) || is_date(value) || is_text(value) => Ok(LOCAL),
                    DataType::Null => Ok(LOCAL),
                    _ => no_function("timezone", types),
                }
            }
            _ => no_function("timezone", types),
        },
        |call| {
            let zones = zones(call.arg(0)?)?;
            let value = call.arg(1)?;
            let local = is_local(value.data_type());
            let values = match local {
                true => locals(value, &call.clock)?,
                false => instants(value, &call.clock)?,
            };
            let moved = values.iter().zip(zones).map(|(value, zone)| {
                let (value, zone) = (value?, zone?);
                Some(match local {
                    true => zone.instant(value),
                    false => zone.local(value),
                })
            });
            let moved = TimestampMicrosecondArray::from_iter(moved);
            in_unit(&moved, TimeUnit::Microsecond, &call.to)
        },
    )
}

/// The zones that texts name or intervals are of.
pub(super) fn zones(array: &ArrayRef) -> Result<Vec<Option<Zone>>> {
    if is_span(array.data_type()) {
        let spans = super::spans::of(array)?;
        let zone = |span: Option<_>| span.map(super::spans::zone).transpose();
        return spans.iter().map(zone).collect();
    }
    let texts = arrow_cast(array, &DataType::Utf8)?;
    let mut last: Option<(String, Zone)> = None;
    let mut found = Vec::with_capacity(texts.len());
    for text in texts.as_string::<i32>() {
        let Some(text) = text else {
            found.push(None);
            continue;
        };
        let zone = match &last {
            Some((name, zone)) if name == text => *zone,
            _ => {
                let zone = Zone::of_name(text).ok_or_else(|| {
                    failed("22023", format!("time zone \"{text}\" not recognized"))
                })?;
                last = Some((text.to_owned(), zone));
                zone
            }
        };
        found.push(Some(zone));
    }
    Ok(found)
}
