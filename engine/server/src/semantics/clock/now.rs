//! What time it is: `now()`, `current_date` and the others.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, Date32Array, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast as arrow_cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::Volatility;

use super::{Call, Function, LOCAL, TIME, UTC, instant_type, no_function, out_of_range};
use crate::calendar::DAY;
use crate::clock::Clock;

pub(super) fn functions() -> Vec<Function> {
    // The time of the transaction, whatever way it is asked for.
    let begun: [(&'static str, super::Returns); 3] = [
        ("now", |types, _| {
            at_most_digits("now", types, instant_type())
        }),
        ("current_timestamp", |types, _| {
            at_most_digits("current_timestamp", types, instant_type())
        }),
        ("transaction_timestamp", |types, _| {
            at_most_digits("transaction_timestamp", types, instant_type())
        }),
    ];
    let mut all: Vec<Function> = begun
        .into_iter()
        .map(|(name, returns)| {
            Function::new(name, returns, |call| instants(call, call.clock.transaction))
        })
        .collect();
    all.push(Function::new(
        "statement_timestamp",
        |types, _| at_most_digits("statement_timestamp", types, instant_type()),
        |call| instants(call, call.clock.statement),
    ));
    all.push(Function::with(
        "clock_timestamp",
        |types, _| at_most_digits("clock_timestamp", types, instant_type()),
        |call| instants(call, Clock::read()),
        Volatility::Volatile,
    ));
    all.push(Function::new(
        "localtimestamp",
        |types, _| at_most_digits("localtimestamp", types, LOCAL),
        |call| {
            let local = call.clock.zone.local(call.clock.transaction);
            let values = vec![rounded(call, local)?; call.rows];
            Ok(Arc::new(TimestampMicrosecondArray::from(values)))
        },
    ));
    let times: [(&'static str, super::Returns); 2] = [
        ("current_time", |types, _| {
            at_most_digits("current_time", types, TIME)
        }),
        ("localtime", |types, _| {
            at_most_digits("localtime", types, TIME)
        }),
    ];
    all.extend(times.into_iter().map(|(name, returns)| {
        Function::new(name, returns, |call| {
            let local = call.clock.zone.local(call.clock.transaction);
            let time = rounded(call, local)?.rem_euclid(DAY);
            let times = Time64MicrosecondArray::from(vec![time; call.rows]);
            Ok(arrow_cast(&times, &TIME)?)
        })
    }));
    let days: [(&'static str, super::Returns); 2] = [
        ("current_date", |types, _| {
            at_most_digits("current_date", types, DataType::Date32)
        }),
        ("today", |types, _| {
            at_most_digits("today", types, DataType::Date32)
        }),
    ];
    all.extend(days.into_iter().map(|(name, returns)| {
        Function::new(name, returns, |call| {
            let local = call.clock.zone.local(call.clock.transaction);
            let day = i32::try_from(local.div_euclid(DAY)).map_err(|_| out_of_range("date"))?;
            Ok(Arc::new(Date32Array::from(vec![day; call.rows])))
        })
    }));
    all
}

/// Digits behind the second may be asked for, and none in a call without arguments.
fn at_most_digits(name: &str, types: &[DataType], to: DataType) -> Result<DataType> {
    let digits = name.starts_with("current_t") || name.starts_with("local");
    match types {
        [] => Ok(to),
        [one] if digits && one.is_integer() => Ok(to),
        _ => no_function(name, types),
    }
}

fn instants(call: &Call, instant: i64) -> Result<ArrayRef> {
    let values = vec![rounded(call, instant)?; call.rows];
    let values = TimestampMicrosecondArray::from(values);
    Ok(Arc::new(values.with_timezone(UTC)))
}

/// A time with as many digits behind its second as the call asks for.
fn rounded(call: &Call, micros: i64) -> Result<i64> {
    let Some(digits) = call.args.first() else {
        return Ok(micros);
    };
    let digits = arrow_cast(digits, &DataType::Int64)?;
    let digits = digits.as_primitive::<Int64Type>();
    let digits = match digits.is_empty() || digits.is_null(0) {
        true => 6,
        false => digits.value(0).clamp(0, 6),
    };
    let step = 10i64.pow(u32::try_from(6 - digits).unwrap_or(0));
    Ok((micros + step / 2).div_euclid(step) * step)
}
