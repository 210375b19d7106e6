//! Times with fewer digits after the point: `timestamp(3)` keeps milliseconds.
//!
//! As in PostgreSQL halves go away from its zero: the start of the year 2000, midnight, no time at all.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::datatypes::{
    DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, Time64MicrosecondType,
    TimeUnit, TimestampMicrosecondType,
};

use crate::sqlstate::ServerError;

/// Microseconds from 1970 to 2000.
const ZERO: i64 = 946_684_800_000_000;
const DAY: i64 = 86_400_000_000;
/// Digits of a microsecond.
const ALL: u32 = 6;

/// Values with the digits that a type modifier leaves them; others than times as they are.
///
/// # Errors
/// 22008 for a time of day that becomes the next day.
pub(in crate::session) fn rounded(array: ArrayRef, modifier: i32) -> Result<ArrayRef, ServerError> {
    // The modifier of an interval has its fields in the upper half.
    let digits = u32::try_from(modifier).map(|modifier| modifier & 0xffff);
    let Some(digits) = digits.ok().filter(|digits| *digits < ALL) else {
        return Ok(array);
    };
    let unit = 10_i64.pow(ALL - digits);
    Ok(match array.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let values = array.as_primitive::<TimestampMicrosecondType>();
            let round = |value: i64| match value {
                // Infinity is no point in time.
                i64::MIN | i64::MAX => value,
                _ => nearest(value.saturating_sub(ZERO), unit).saturating_add(ZERO),
            };
            let rounded = values.unary::<_, TimestampMicrosecondType>(round);
            Arc::new(rounded.with_timezone_opt(zone.clone()))
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            let values = array.as_primitive::<Time64MicrosecondType>();
            let rounded =
                values.try_unary::<_, Time64MicrosecondType, _>(|value| {
                    match nearest(value, unit) {
                        rounded if rounded < DAY => Ok(rounded),
                        _ => Err(ServerError::new("22008", "time out of range")),
                    }
                })?;
            Arc::new(rounded)
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let values = array.as_primitive::<IntervalMonthDayNanoType>();
            let unit = unit.saturating_mul(1_000);
            let rounded =
                values.unary::<_, IntervalMonthDayNanoType>(|value| IntervalMonthDayNano {
                    nanoseconds: nearest(value.nanoseconds, unit),
                    ..value
                });
            Arc::new(rounded)
        }
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let items = rounded(Arc::clone(list.values()), modifier)?;
            Arc::new(ListArray::try_new(
                Arc::clone(item),
                list.offsets().clone(),
                items,
                list.nulls().cloned(),
            )?)
        }
        _ => array,
    })
}

/// The multiple of `unit` that is next to a value, halves away from zero.
fn nearest(value: i64, unit: i64) -> i64 {
    let rest = value % unit;
    let whole = value - rest;
    match rest.abs() >= unit - unit / 2 {
        true => whole.saturating_add(unit * rest.signum()),
        false => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn halves_go_away_from_zero() {
        for (value, unit, expected) in [
            (1_499, 1_000, 1_000),
            (1_500, 1_000, 2_000),
            (-1_500, 1_000, -2_000),
            (-1_499, 1_000, -1_000),
            (0, 10, 0),
            (15, 10, 20),
        ] {
            assert_eq!(nearest(value, unit), expected, "{value} {unit}");
        }
    }
}
