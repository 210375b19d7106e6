//! Values of parameters in binary.

use arrow::datatypes::IntervalMonthDayNano;
use bytes::{Buf as _, Bytes};
use datafusion::sql::sqlparser::ast::{DataType, Expr, Value};

use super::made::{array, bytes, float_text, integer, numeric, string};
use super::sql_type;
use super::values::{interval, kind, null_of};
use crate::calendar::{self, DAY, SECOND};
use crate::pg_input::{self, Inet};
use crate::pg_types::PgType;
use crate::session::rewrite::cast;
use crate::sqlstate::ServerError;

pub(super) fn of_binary(mut value: Bytes, pg_type: PgType) -> Result<Expr, ServerError> {
    let bad = || {
        let name = pg_type.sql_name();
        ServerError::new(
            "22P03",
            format!("incorrect binary data format of type {name}"),
        )
    };
    if let Some(element) = pg_type.element() {
        return binary_array(value, element, pg_type);
    }
    let want = |length: usize| {
        if value.len() == length {
            Ok(())
        } else {
            Err(bad())
        }
    };
    Ok(match pg_type {
        PgType::BOOL => {
            want(1)?;
            Expr::value(Value::Boolean(value.get_u8() != 0))
        }
        PgType::INT2 => {
            want(2)?;
            integer(value.get_i16().into(), pg_type)
        }
        PgType::INT4 => {
            want(4)?;
            integer(value.get_i32().into(), pg_type)
        }
        PgType::INT8 => {
            want(8)?;
            integer(value.get_i64(), pg_type)
        }
        PgType::OID => {
            want(4)?;
            integer(value.get_u32().into(), pg_type)
        }
        PgType::FLOAT4 => {
            want(4)?;
            cast(
                string(&float_text(value.get_f32().into())),
                sql_type(pg_type),
            )
        }
        PgType::FLOAT8 => {
            want(8)?;
            cast(string(&float_text(value.get_f64())), sql_type(pg_type))
        }
        PgType::NUMERIC => {
            let text = numeric_text(value).ok_or_else(bad)?;
            numeric(&text)?
        }
        PgType::BYTEA => bytes(&value),
        PgType::DATE => {
            want(4)?;
            let text = match value.get_i32() {
                i32::MAX => "infinity".to_owned(),
                i32::MIN => "-infinity".to_owned(),
                days => {
                    let day = days
                        .checked_add(10_957)
                        .filter(|day| pg_input::is_day(*day));
                    let beyond = || ServerError::new("22008", "date out of range");
                    day_text(day.ok_or_else(beyond)?.into())
                }
            };
            cast(string(&text), DataType::Date)
        }
        PgType::TIME => {
            want(8)?;
            let micros = value.get_i64();
            let time = chrono::DateTime::from_timestamp_micros(micros);
            let time = time.filter(|_| (0..86_400_000_000).contains(&micros));
            let time = time.ok_or_else(|| ServerError::new("22008", "time out of range"))?;
            cast(
                string(&time.format("%H:%M:%S%.6f").to_string()),
                sql_type(pg_type),
            )
        }
        PgType::TIMESTAMP | PgType::TIMESTAMPTZ => {
            want(8)?;
            let text = match value.get_i64() {
                i64::MAX => "infinity".to_owned(),
                i64::MIN => "-infinity".to_owned(),
                micros => {
                    let micros = micros.checked_add(946_684_800_000_000);
                    let micros = micros.filter(|micros| pg_input::is_timestamp(*micros));
                    let beyond = || ServerError::new("22008", "timestamp out of range");
                    let micros = micros.ok_or_else(beyond)?;
                    let (day, of_day) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
                    let (seconds, rest) = (of_day / SECOND, of_day % SECOND);
                    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
                    let clock = format!("{hours:02}:{minutes:02}:{:02}.{rest:06}", seconds % 60);
                    let zone = if pg_type == PgType::TIMESTAMPTZ {
                        "+00"
                    } else {
                        ""
                    };
                    format!("{clock}{zone} {}", day_text(day))
                }
            };
            cast(string(&text), sql_type(pg_type))
        }
        PgType::INTERVAL => {
            want(16)?;
            let (micros, days, months) = (value.get_i64(), value.get_i32(), value.get_i32());
            let nanoseconds = micros.checked_mul(1_000);
            let nanoseconds =
                nanoseconds.ok_or_else(|| ServerError::new("22008", "interval out of range"))?;
            interval(IntervalMonthDayNano::new(months, days, nanoseconds))
        }
        PgType::UUID => {
            want(16)?;
            let id = uuid::Uuid::from_slice(&value).map_err(|_| bad())?;
            kind(&id.to_string(), pg_type)
        }
        PgType::INET => kind(&Inet::receive(&value).ok_or_else(bad)?.to_string(), pg_type),
        PgType::JSON => {
            let text = std::str::from_utf8(&value).map_err(|_| bad())?;
            kind(&pg_input::kept_text(text, pg_type)?, pg_type)
        }
        PgType::JSONB => {
            let text = value.get(1..).ok_or_else(bad)?;
            let text = std::str::from_utf8(text).map_err(|_| bad())?;
            kind(&pg_input::kept_text(text, pg_type)?, pg_type)
        }
        _ => string(std::str::from_utf8(&value).map_err(|_| bad())?),
    })
}

/// A day since 1970 as its type prints it.
fn day_text(day: i64) -> String {
    let (year, month, day) = calendar::civil(day);
    match year > 0 {
        true => format!("{year:04}-{month:02}-{day:02}"),
        false => format!("{:04}-{month:02}-{day:02} BC", 1 - year),
    }
}

fn binary_array(mut value: Bytes, element: PgType, pg_type: PgType) -> Result<Expr, ServerError> {
    let bad = || ServerError::new("22P03", "incorrect binary data format of an array");
    let dims = pg_input::array_dimensions(&mut value, pg_type)?;
    let total = dims
        .iter()
        .try_fold(usize::from(!dims.is_empty()), |all, n| all.checked_mul(*n));
    let total = total.ok_or_else(bad)?;
    // Every item has at least its length.
    if total > value.len() / 4 {
        return Err(bad());
    }
    let mut items = Vec::with_capacity(total);
    for _ in 0..total {
        if value.len() < 4 {
            return Err(bad());
        }
        match value.get_i32() {
            -1 => items.push(null_of(element)),
            size => match usize::try_from(size) {
                Ok(size) if size <= value.len() => {
                    items.push(of_binary(value.split_to(size), element)?);
                }
                _ => return Err(bad()),
            },
        }
    }
    if !value.is_empty() {
        return Err(bad());
    }
    Ok(array(&dims, items, pg_type))
}

/// The decimal text of a binary numeric.
pub(crate) fn numeric_text(mut value: Bytes) -> Option<String> {
    if value.len() < 8 {
        return None;
    }
    let groups = usize::try_from(value.get_i16()).ok()?;
    let weight = i32::from(value.get_i16());
    let sign = value.get_u16();
    let scale = usize::try_from(value.get_i16()).ok()?;
    if value.len() != groups * 2 {
        return None;
    }
    if sign == 0xC000 {
        return Some("NaN".to_owned());
    }
    let digits: Vec<i16> = (0..groups).map(|_| value.get_i16()).collect();
    let group = |at: i32| -> i16 {
        usize::try_from(at)
            .ok()
            .and_then(|at| digits.get(at))
            .copied()
            .unwrap_or(0)
    };
    let mut text = String::new();
    for at in 0..=weight.max(0) {
        text.push_str(&format!("{:04}", if weight < 0 { 0 } else { group(at) }));
    }
    let mut fraction = String::new();
    let mut at = weight + 1;
    while fraction.len() < scale {
        fraction.push_str(&format!("{:04}", group(at)));
        at += 1;
    }
    fraction.truncate(scale);
    let whole = text.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let minus = if sign == 0x4000 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    Some(format!("{minus}{whole}{point}{fraction}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn binary_numerics_read_back() {
        let table: [(&[i16], &str); 4] = [
            (&[2, 0, 0, 2, 123, 4500], "123.45"),
            (&[1, -1, 0, 4, 5], "0.0005"),
            (&[1, 1, 0x4000, 0, 1], "-10000"),
            (&[0, 0, 0, 0], "0"),
        ];
        for (words, text) in table {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
            assert_eq!(numeric_text(bytes.into()).unwrap(), text);
        }
    }
}
