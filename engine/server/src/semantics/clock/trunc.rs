//! `date_trunc('unit', value [, zone])`.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray as _, IntervalMonthDayNanoArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast as arrow_cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;

use super::convert::{instants, locals, zones};
use super::parts::Part;
use super::spans::{self, Span};
use super::{
    Call, Function, LOCAL, SPAN, UTC, failed, instant_type, is_date, is_instant, is_local, is_span,
    is_text, no_function, out_of_range,
};
use crate::calendar::{DAY, SECOND, civil, day_of, monday};
use crate::pg_types::PgType;
use crate::zone::is_endless;

pub(super) fn functions() -> Vec<Function> {
    let date_trunc = Function::new(
        "date_trunc",
        |types, _| {
            let unit = types.first().is_some_and(is_text);
            match types {
                [_, value] if unit && is_local(value) => Ok(LOCAL),
                [_, value] if unit && is_span(value) => Ok(SPAN),
                // A date and a text are taken as instants.
                [_, value]
                | [
                    _,
                    value,
                    DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View,
                ] if unit
                    && (is_instant(value)
                        || is_date(value)
                        || is_text(value)
                        || is_local(value)
                        || *value == DataType::Null) =>
                {
                    Ok(instant_type())
                }
                _ => no_function("date_trunc", types),
            }
        },
        run,
    );
    vec![date_trunc.also("datetrunc")]
}

fn run(call: &Call) -> Result<ArrayRef> {
    let units = units(call)?;
    let value = call.arg(1)?;
    if is_span(value.data_type()) {
        let spans = spans::of(value)?;
        let made = units.iter().zip(&spans).map(|row| match row {
            (Some(unit), Some(span)) => of_span(*unit, span.into())?.told().map(Some),
            _ => Ok(None),
        });
        let made: Result<IntervalMonthDayNanoArray> = made.collect();
        return Ok(Arc::new(made?));
    }
    if call.to == LOCAL {
        let times = locals(value, &call.clock)?;
        let made = units
            .iter()
            .zip(&times)
            .map(|(unit, time)| match (unit, time) {
                (Some(unit), Some(time)) => of_local(*unit, time).map(Some),
                _ => Ok(None),
            });
        let made: Result<TimestampMicrosecondArray> = made.collect();
        return Ok(Arc::new(made?));
    }
    let times = instants(value, &call.clock)?;
    let zones = match call.args.get(2) {
        Some(names) => zones(names)?,
        None => vec![Some(call.clock.zone); call.rows],
    };
    let made = units.iter().zip(&times).zip(zones).map(|row| match row {
        ((Some(unit), Some(time)), Some(zone)) => {
            if is_endless(time) {
                return Ok(Some(time));
            }
            let local = zone.local(time);
            Ok(Some(match unit {
                // Hours and less have no need of clocks, and one that comes twice stays the one it is.
                Part::Hour
                | Part::Minute
                | Part::Second
                | Part::Milliseconds
                | Part::Microseconds => time - (local - of_local(*unit, local)?),
                _ => zone.instant(of_local(*unit, local)?),
            }))
        }
        _ => Ok(None),
    });
    let made: Result<TimestampMicrosecondArray> = made.collect();
    Ok(Arc::new(made?.with_timezone(UTC)))
}

fn units(call: &Call) -> Result<Vec<Option<Part>>> {
    let names = arrow_cast(call.arg(0)?, &DataType::Utf8)?;
    let type_name = PgType::of_arrow(call.arg(1)?.data_type()).sql_name();
    let unit = |name: Option<&str>| {
        let Some(name) = name else { return Ok(None) };
        match Part::named(name) {
            None => {
                let message = format!("unit \"{name}\" not recognized for type {type_name}");
                Err(failed("22023", message))
            }
            Some(
                Part::DayOfWeek
                | Part::IsoDayOfWeek
                | Part::DayOfYear
                | Part::IsoYear
                | Part::Julian
                | Part::Epoch
                | Part::Zone
                | Part::ZoneHour
                | Part::ZoneMinute,
            ) => {
                let message = format!("unit \"{name}\" not supported for type {type_name}");
                Err(failed("0A000", message))
            }
            known => Ok(known),
        }
    };
    names.as_string::<i32>().iter().map(unit).collect()
}

/// The beginning of the unit that a local time lies in.
fn of_local(unit: Part, local: i64) -> Result<i64> {
    if is_endless(local) {
        return Ok(local);
    }
    let day = local.div_euclid(DAY);
    let (year, month, _) = civil(day);
    let step = |length: i64| local.div_euclid(length) * length;
    let years = |length: i64, first: i64| (year - first).div_euclid(length) * length + first;
    let day = match unit {
        Part::Microseconds => return Ok(local),
        Part::Milliseconds => return Ok(step(1_000)),
        Part::Second => return Ok(step(SECOND)),
        Part::Minute => return Ok(step(60 * SECOND)),
        Part::Hour => return Ok(step(3_600 * SECOND)),
        Part::Week => monday(day),
        Part::Month => day_of(year, month, 1),
        Part::Quarter => day_of(year, (month - 1) / 3 * 3 + 1, 1),
        Part::Year => day_of(year, 1, 1),
        Part::Decade => day_of(years(10, 0), 1, 1),
        Part::Century => day_of(years(100, 1), 1, 1),
        Part::Millennium => day_of(years(1_000, 1), 1, 1),
        _ => day,
    };
    day.checked_mul(DAY)
        .ok_or_else(|| out_of_range("timestamp"))
}

fn of_span(unit: Part, span: Span) -> Result<Span> {
    let months = |length: i64| Span {
        months: span.months / length * length,
        ..Span::default()
    };
    let clock = |length: i64| Span {
        micros: span.micros / length * length,
        ..span
    };
    Ok(match unit {
        Part::Microseconds => span,
        Part::Milliseconds => clock(1_000),
        Part::Second => clock(SECOND),
        Part::Minute => clock(60 * SECOND),
        Part::Hour => clock(3_600 * SECOND),
        Part::Day => Span { micros: 0, ..span },
        Part::Month => months(1),
        Part::Quarter => months(3),
        Part::Year => months(12),
        Part::Decade => months(120),
        Part::Century => months(1_200),
        Part::Millennium => months(12_000),
        _ => {
            let error = crate::sqlstate::ServerError::new(
                "0A000",
                "unit \"week\" not supported for type interval",
            );
            let error = error.detail("Months usually have fractional weeks.");
            return Err(datafusion::common::DataFusionError::External(Box::new(
                error,
            )));
        }
    })
}
