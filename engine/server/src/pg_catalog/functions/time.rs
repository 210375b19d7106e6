//! Times and intervals of statements over the catalog, by the clocks of the session.

use super::super::builtin::Function;
use super::super::convert;
use super::super::error::{CatalogError, Result};
use super::super::eval::Cx;
use super::super::numeric::Numeric;
use super::super::plan::Expr;
use super::super::value::Value;
use super::number_char;
use super::to_char::to_char;
use crate::pg_types::oid;

pub(super) fn call(
    cx: &Cx<'_>,
    function: &Function,
    args: &[Value],
    expr: &Expr,
) -> Result<Option<Value>> {
    use chrono::{Datelike, Timelike};
    let micros = |v: Option<&Value>| match v {
        Some(Value::Timestamp(t)) => Some(*t),
        Some(Value::Date(d)) => Some(i64::from(*d) * 86_400_000_000),
        _ => None,
    };
    // What clocks show: of an instant those of the session.
    let given = |at: usize| {
        function
            .arguments
            .get(at)
            .copied()
            .unwrap_or(oid::TIMESTAMP)
    };
    let shown = |at: usize| {
        let micros = micros(args.get(at))?;
        Some(convert::local(cx.session, micros, given(at)))
    };
    let number = |v: Option<&Value>| match v {
        Some(Value::Int(i)) => Some(Numeric::from(*i)),
        Some(Value::Float(f)) => Numeric::from_f64(*f),
        Some(Value::Numeric(n)) => Some(*n),
        _ => None,
    };
    Ok(Some(match function.name.as_str() {
        "now" | "transaction_timestamp" | "statement_timestamp" => Value::Timestamp(cx.now),
        "clock_timestamp" => Value::Timestamp(chrono::Utc::now().timestamp_micros()),
        "timeofday" => Value::text(
            chrono::Utc::now()
                .format("%a %b %d %H:%M:%S%.6f %Y UTC")
                .to_string(),
        ),
        "pg_postmaster_start_time" | "pg_conf_load_time" => {
            Value::Timestamp(cx.session.server_started)
        }
        "age" => match (micros(args.first()), micros(args.get(1))) {
            (Some(a), Some(b)) => Value::Interval {
                months: 0,
                days: i32::try_from((a - b) / 86_400_000_000).unwrap_or(0),
                micros: (a - b) % 86_400_000_000,
            },
            // age(xid): nothing ever freezes here.
            (None, _) => Value::Int(0),
            (Some(a), None) => {
                let today = cx.now - cx.now.rem_euclid(86_400_000_000);
                Value::Interval {
                    months: 0,
                    days: i32::try_from((today - a) / 86_400_000_000).unwrap_or(0),
                    micros: (today - a) % 86_400_000_000,
                }
            }
        },
        "to_timestamp" => match args.first() {
            #[expect(clippy::cast_possible_truncation, reason = "out of range saturates")]
            Some(Value::Float(f)) => Value::Timestamp((f * 1e6) as i64),
            _ => return Ok(None),
        },
        "to_char" if let Some(number) = number(args.first()) => {
            let pattern = args.get(1).and_then(Value::as_str).unwrap_or_default();
            Value::text(number_char::number_text(number, pattern)?)
        }
        "to_char" => {
            let time = shown(0).and_then(super::super::value::timestamp);
            let east = match given(0) {
                oid::TIMESTAMPTZ => micros(args.first()).map(|at| {
                    let zone = cx.session.style.clock.zone;
                    (zone.abbreviation_at(at), zone.offset_at(at))
                }),
                _ => None,
            };
            let pattern = args.get(1).and_then(Value::as_str);
            match time
                .zip(pattern)
                .map(|(time, pattern)| to_char(time, pattern, east.as_ref()))
            {
                Some(Some(text)) => Value::text(text),
                _ => return Ok(None),
            }
        }
        "extract" | "date_part" => {
            let field = args
                .first()
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_lowercase();
            let number: f64 = match args.get(1) {
                Some(Value::Interval {
                    months,
                    days,
                    micros,
                }) => interval_part(&field, *months, *days, *micros),
                other => {
                    let (Some(instant), Some(t)) = (micros(other), shown(1)) else {
                        return Ok(None);
                    };
                    let Some(time) = super::super::value::timestamp(t) else {
                        return Ok(Some(Value::Null));
                    };
                    #[expect(
                        clippy::cast_precision_loss,
                        reason = "microseconds of today fit 53 bits"
                    )]
                    match field.as_str() {
                        "epoch" => instant as f64 / 1e6,
                        "year" => f64::from(time.year()),
                        "month" => f64::from(time.month()),
                        "day" => f64::from(time.day()),
                        "hour" => f64::from(time.hour()),
                        "minute" => f64::from(time.minute()),
                        "second" => f64::from(time.second()) + t.rem_euclid(1_000_000) as f64 / 1e6,
                        "dow" => f64::from(time.weekday().num_days_from_sunday()),
                        "isodow" => f64::from(time.weekday().number_from_monday()),
                        "doy" => f64::from(time.ordinal()),
                        "quarter" => f64::from((time.month() - 1) / 3 + 1),
                        "week" => f64::from(time.iso_week().week()),
                        "timezone" => (t - instant) as f64 / 1e6,
                        _ => {
                            return Err(CatalogError::new(
                                "22023",
                                format!(
                                    "unit \"{field}\" not recognized for type timestamp with time zone"
                                ),
                            ));
                        }
                    }
                }
            };
            if expr.ty == oid::NUMERIC {
                let digits = if matches!(field.as_str(), "epoch" | "second") {
                    6
                } else {
                    0
                };
                Numeric::from_f64(number)
                    .and_then(|n| n.round(digits))
                    .map_or(Value::Null, Value::Numeric)
            } else {
                Value::Float(number)
            }
        }
        "date_trunc" => {
            let field = args
                .first()
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_lowercase();
            let Some(t) = shown(1) else {
                return Ok(None);
            };
            let made = |local: i64| {
                Value::Timestamp(convert::of_local(cx.session, local, function.result))
            };
            let step = match field.as_str() {
                "microseconds" => 1,
                "milliseconds" => 1_000,
                "second" => 1_000_000,
                "minute" => 60_000_000,
                "hour" => 3_600_000_000,
                "day" => 86_400_000_000,
                _ => {
                    let Some(time) = super::super::value::timestamp(t) else {
                        return Ok(Some(Value::Null));
                    };
                    let month = match field.as_str() {
                        "month" => time.month(),
                        "quarter" => (time.month() - 1) / 3 * 3 + 1,
                        "year" => 1,
                        _ => {
                            return Err(CatalogError::new(
                                "22023",
                                format!(
                                    "unit \"{field}\" not recognized for type timestamp with time zone"
                                ),
                            ));
                        }
                    };
                    let start = chrono::NaiveDate::from_ymd_opt(time.year(), month, 1)
                        .and_then(|d| d.and_hms_opt(0, 0, 0));
                    return Ok(Some(
                        start.map_or(Value::Null, |s| made(s.and_utc().timestamp_micros())),
                    ));
                }
            };
            made(t - t.rem_euclid(step))
        }
        "isfinite" => Value::Bool(!matches!(
            args.first(),
            Some(Value::Timestamp(i64::MAX | i64::MIN) | Value::Date(i32::MAX | i32::MIN))
        )),
        "pg_sleep" => Value::text(""),
        _ => return Ok(None),
    }))
}

#[expect(clippy::cast_precision_loss, reason = "interval parts are small")]
pub(super) fn interval_part(field: &str, months: i32, days: i32, micros: i64) -> f64 {
    match field {
        "epoch" => {
            f64::from(months) / 12.0 * 365.25 * 86_400.0
                + f64::from(days) * 86_400.0
                + micros as f64 / 1e6
        }
        "year" => f64::from(months / 12),
        "month" => f64::from(months % 12),
        "day" => f64::from(days),
        "hour" => (micros / 3_600_000_000) as f64,
        "minute" => (micros / 60_000_000 % 60) as f64,
        _ => (micros % 60_000_000) as f64 / 1e6,
    }
}
