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
use crate::semantics::age_between;
use crate::zone::{Zone, is_endless};

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
        // age(xid): nothing ever freezes here.
        "age" if micros(args.first()).is_none() => Value::Int(0),
        "age" => {
            let midnight = || {
                let now = convert::local(cx.session, cx.now, oid::TIMESTAMPTZ);
                Some(now - now.rem_euclid(86_400_000_000))
            };
            let (left, right) = match args.len() {
                1 => (midnight(), shown(0)),
                _ => (shown(0), shown(1)),
            };
            let Some((left, right)) = left.zip(right) else {
                return Ok(None);
            };
            return age(left, right).map(Some);
        }
        "timezone" => {
            let (Some(zone), Some(time)) = (args.first(), micros(args.get(1))) else {
                return Ok(None);
            };
            let zone = zone_of(zone)?;
            Value::Timestamp(match given(1) {
                oid::TIMESTAMP => zone.instant(time),
                _ => zone.local(time),
            })
        }
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
                }) => interval_part(&field, *months, *days, *micros)?,
                other => {
                    let (Some(instant), Some(t)) = (micros(other), shown(1)) else {
                        return Ok(None);
                    };
                    if is_endless(instant) || !has_end(other) {
                        let what =
                            "a part of a time without an end, in a statement over the catalog";
                        return Err(CatalogError::unsupported(what));
                    }
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
                let digits = match field.as_str() {
                    "epoch" | "second" => 6,
                    "milliseconds" => 3,
                    _ => 0,
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
            // Clocks of a zone that is named, or those of the session.
            let zone = args.get(2).map(zone_of).transpose()?;
            let at = match zone {
                Some(zone) => micros(args.get(1)).map(|instant| zone.local(instant)),
                None => shown(1),
            };
            let Some(t) = at else {
                return Ok(None);
            };
            if is_endless(t) || !has_end(args.get(1)) {
                return Ok(Some(match args.get(1) {
                    Some(Value::Date(i32::MIN)) => Value::Timestamp(i64::MIN),
                    Some(Value::Date(_)) => Value::Timestamp(i64::MAX),
                    _ => Value::Timestamp(t),
                }));
            }
            let made = |local: i64| {
                Value::Timestamp(match zone {
                    Some(zone) => zone.instant(local),
                    None => convert::of_local(cx.session, local, function.result),
                })
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

/// Whether a date has an end; what is none has.
fn has_end(value: Option<&Value>) -> bool {
    !matches!(value, Some(Value::Date(i32::MAX | i32::MIN)))
}

/// The zone that a text names or an interval is.
///
/// # Errors
/// 22023 for one that is none.
fn zone_of(value: &Value) -> Result<Zone> {
    let unknown = |text: String| CatalogError::new("22023", text);
    match value {
        Value::Interval {
            months: 0,
            days: 0,
            micros,
        } => Zone::east(micros / 1_000_000)
            .ok_or_else(|| unknown("interval time zone is out of range".to_owned())),
        Value::Interval { .. } => Err(unknown(
            "interval time zone must not include months or days".to_owned(),
        )),
        other => {
            let name = other.as_str().unwrap_or_default();
            Zone::of_name(name)
                .ok_or_else(|| unknown(format!("time zone \"{name}\" not recognized")))
        }
    }
}

/// What a calendar says lies between two times.
///
/// # Errors
/// 22008 for times without an end.
fn age(left: i64, right: i64) -> Result<Value> {
    let between = match is_endless(left) || is_endless(right) {
        true => None,
        false => age_between(left, right),
    };
    let (months, days, micros) = between.ok_or_else(|| {
        let text = "the age of an infinite timestamp is out of range";
        CatalogError::new("22008", text)
    })?;
    Ok(Value::Interval {
        months,
        days,
        micros,
    })
}

#[expect(clippy::cast_precision_loss, reason = "interval parts are small")]
fn interval_part(field: &str, months: i32, days: i32, micros: i64) -> Result<f64> {
    const DAY: f64 = 86_400.0;
    let years = months / 12;
    let of_minute = micros % 60_000_000;
    Ok(match field {
        "epoch" => {
            let whole = f64::from(years) * 365.25 + f64::from(months % 12) * 30.0;
            (whole + f64::from(days)) * DAY + micros as f64 / 1e6
        }
        "millennium" => f64::from(years / 1000),
        "century" => f64::from(years / 100),
        "decade" => f64::from(years / 10),
        "year" => f64::from(years),
        "quarter" => f64::from(months % 12 / 3 + 1),
        "month" => f64::from(months % 12),
        "day" => f64::from(days),
        "hour" => (micros / 3_600_000_000) as f64,
        "minute" => (micros / 60_000_000 % 60) as f64,
        "second" => of_minute as f64 / 1e6,
        "milliseconds" => of_minute as f64 / 1e3,
        "microseconds" => of_minute as f64,
        _ => {
            let text = format!("unit \"{field}\" not recognized for type interval");
            return Err(CatalogError::new("22023", text));
        }
    })
}
