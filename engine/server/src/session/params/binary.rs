//! Values of parameters in binary.

use arrow::datatypes::IntervalMonthDayNano;
use bytes::Buf as _;
use datafusion::sql::sqlparser::ast::{DataType, Expr, Value};

use super::made::{array, bytes, float_text, integer, numeric, string};
use super::sql_type;
use super::values::{interval, kind, null_of};
use crate::calendar::{self, DAY, SECOND};
use crate::pg_input::{self, Inet, Received, bad_format};
use crate::pg_types::PgType;
use crate::session::rewrite::cast;
use crate::sqlstate::ServerError;

/// A value as PostgreSQL's receive function of its type takes it; what is left of the bytes is no part of it.
///
/// # Errors
/// 08P01 for too few bytes, 22P03 for what is no value of the type, 22021 for what is no text, 0A000 for a type that
/// has no values here.
pub(super) fn of_binary(value: &mut Received, pg_type: PgType) -> Result<Expr, ServerError> {
    if let Some(element) = pg_type.element() {
        return binary_array(value, element, pg_type);
    }
    Ok(match pg_type {
        PgType::BOOL => Expr::value(Value::Boolean(value.byte()? != 0)),
        PgType::INT2 => integer(value.i16()?.into(), pg_type),
        PgType::INT4 => integer(value.i32()?.into(), pg_type),
        PgType::INT8 => integer(value.i64()?, pg_type),
        PgType::OID => integer(value.oid()?.into(), pg_type),
        PgType::FLOAT4 => {
            let number = value.take(4)?.get_f32();
            cast(string(&float_text(number.into())), sql_type(pg_type))
        }
        PgType::FLOAT8 => {
            let number = value.take(8)?.get_f64();
            cast(string(&float_text(number)), sql_type(pg_type))
        }
        PgType::NUMERIC => numeric(&value.numeric()?)?,
        PgType::BYTEA => bytes(&value.rest()),
        PgType::DATE | PgType::TIME | PgType::TIMESTAMP | PgType::TIMESTAMPTZ => {
            moment(value, pg_type)?
        }
        PgType::INTERVAL => {
            let (micros, days, months) = (value.i64()?, value.i32()?, value.i32()?);
            let nanoseconds = micros.checked_mul(1_000);
            let nanoseconds =
                nanoseconds.ok_or_else(|| ServerError::new("22008", "interval out of range"))?;
            interval(IntervalMonthDayNano::new(months, days, nanoseconds))
        }
        PgType::UUID => kind(&value.uuid()?, pg_type),
        PgType::INET => kind(&Inet::receive(value)?.to_string(), pg_type),
        PgType::JSON => kind(&pg_input::kept_text(&value.text()?, pg_type)?, pg_type),
        PgType::JSONB => kind(&pg_input::kept_text(&value.jsonb()?, pg_type)?, pg_type),
        // A zero is PostgreSQL's empty value.
        PgType::CHAR => match value.byte()? {
            0 => string(""),
            byte => string(pg_input::utf8(&[byte])?),
        },
        PgType::NAME => {
            let name = value.text()?;
            if name.len() >= NAME_BYTES {
                let detail = format!("Identifier must be less than {NAME_BYTES} characters.");
                return Err(ServerError::new("42622", "identifier too long").detail(detail));
            }
            string(&name)
        }
        // In text they may be numbers, too.
        PgType::XID
        | PgType::CID
        | PgType::REGPROC
        | PgType::REGPROCEDURE
        | PgType::REGCLASS
        | PgType::REGTYPE
        | PgType::REGNAMESPACE
        | PgType::REGROLE => string(&value.oid()?.to_string()),
        PgType::TEXT | PgType::VARCHAR | PgType::BPCHAR | PgType::UNKNOWN | PgType::XML => {
            string(&value.text()?)
        }
        _ => return Err(no_binary(pg_type.sql_name())),
    })
}

/// 0A000 for a type that has no values here.
pub(crate) fn no_binary(name: &str) -> ServerError {
    ServerError::unsupported(format!("binary values of type {name} are not supported"))
        .hint("Send the value in text.")
}

/// Bytes of a name, the zero behind it included.
const NAME_BYTES: usize = 64;

/// A date, a time of day or a time.
fn moment(value: &mut Received, pg_type: PgType) -> Result<Expr, ServerError> {
    let text = match pg_type {
        PgType::DATE => match value.i32()? {
            i32::MAX => "infinity".to_owned(),
            i32::MIN => "-infinity".to_owned(),
            days => {
                let day = days
                    .checked_add(10_957)
                    .filter(|day| pg_input::is_day(*day));
                let beyond = || ServerError::new("22008", "date out of range");
                day_text(day.ok_or_else(beyond)?.into())
            }
        },
        PgType::TIME => {
            let micros = value.i64()?;
            let time = chrono::DateTime::from_timestamp_micros(micros);
            let time = time.filter(|_| (0..=DAY).contains(&micros));
            let time = time.ok_or_else(|| ServerError::new("22008", "time out of range"))?;
            match micros {
                DAY => "24:00:00".to_owned(),
                _ => time.format("%H:%M:%S%.6f").to_string(),
            }
        }
        _ => match value.i64()? {
            i64::MAX => "infinity".to_owned(),
            i64::MIN => "-infinity".to_owned(),
            micros => {
                let micros = micros.checked_add(946_684_800_000_000);
                let micros = micros.filter(|micros| pg_input::is_timestamp(*micros));
                let micros =
                    micros.ok_or_else(|| ServerError::new("22008", "timestamp out of range"))?;
                let (day, of_day) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
                let (seconds, rest) = (of_day / SECOND, of_day % SECOND);
                let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
                let clock = format!("{hours:02}:{minutes:02}:{:02}.{rest:06}", seconds % 60);
                let zone = match pg_type {
                    PgType::TIMESTAMPTZ => "+00",
                    _ => "",
                };
                format!("{clock}{zone} {}", day_text(day))
            }
        },
    };
    let data_type = match pg_type {
        PgType::DATE => DataType::Date,
        _ => sql_type(pg_type),
    };
    Ok(cast(string(&text), data_type))
}

/// A day since 1970 as its type prints it.
fn day_text(day: i64) -> String {
    let (year, month, day) = calendar::civil(day);
    match year > 0 {
        true => format!("{year:04}-{month:02}-{day:02}"),
        false => format!("{:04}-{month:02}-{day:02} BC", 1 - year),
    }
}

fn binary_array(
    value: &mut Received,
    element: PgType,
    pg_type: PgType,
) -> Result<Expr, ServerError> {
    let dims = pg_input::array_dimensions(value, pg_type)?;
    let total = match dims.is_empty() {
        true => 0,
        false => dims.iter().product(),
    };
    // Every item has at least its length: no room is made for what is not there.
    let mut items = Vec::with_capacity(total.min(value.0.len() / 4));
    for number in 1..=total {
        let Some(mut item) = value.item()? else {
            items.push(null_of(element));
            continue;
        };
        items.push(of_binary(&mut item, element)?);
        if !item.0.is_empty() {
            let text = format!("improper binary format in array element {number}");
            return Err(bad_format(&text));
        }
    }
    Ok(array(&dims, items, pg_type))
}
