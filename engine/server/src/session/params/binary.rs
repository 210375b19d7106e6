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
<<<<<<< HEAD
        PgType::NUMERIC => numeric(&value.numeric()?)?,
        PgType::BYTEA => bytes(&value.rest()),
        PgType::DATE | PgType::TIME | PgType::TIMESTAMP | PgType::TIMESTAMPTZ => {
            moment(value, pg_type)?
=======
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
>>>>>>> types
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
            days => day_text(i64::from(days) + 10_957),
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

<<<<<<< HEAD
fn binary_array(
    value: &mut Received,
    element: PgType,
    pg_type: PgType,
) -> Result<Expr, ServerError> {
    let (dimensions, flags, oid) = (value.i32()?, value.i32()?, value.oid()?);
    let many = usize::try_from(dimensions).map_err(|_| {
        let text = format!("invalid number of dimensions: {dimensions}");
        bad_format(&text)
    })?;
    if many > DIMENSIONS_MAX {
        let text = format!(
            "number of array dimensions ({many}) exceeds the maximum allowed ({DIMENSIONS_MAX})"
        );
        return Err(ServerError::new("54000", text));
    }
    if !matches!(flags, 0 | 1) {
        return Err(bad_format("invalid array flags"));
    }
    if oid != element.oid {
        return Err(other_element(oid, element));
    }
    let mut dims = Vec::with_capacity(many);
    let mut total = usize::from(many > 0);
    for _ in 0..many {
        let (length, _lower) = (value.i32()?, value.i32()?);
        let length = usize::try_from(length).ok();
        let product = length.and_then(|length| total.checked_mul(length));
        let product = product.filter(|product| *product <= ITEMS_MAX);
        let (Some(length), Some(product)) = (length, product) else {
            let text = format!("array size exceeds the maximum allowed ({ITEMS_MAX})");
            return Err(ServerError::new("54000", text));
        };
        total = product;
        dims.push(length);
    }
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
=======
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
>>>>>>> types
        }
    }
    Ok(array(&dims, items, pg_type))
}

<<<<<<< HEAD
/// 42804: items of another type than the array has.
fn other_element(oid: u32, element: PgType) -> ServerError {
    let found = PgType::scalar(oid).map_or("-", PgType::sql_name);
    let (wanted, name) = (element.oid, element.sql_name());
    let text = format!(
        "binary data has array element type {oid} ({found}) instead of expected {wanted} ({name})"
    );
    ServerError::new("42804", text)
}

/// The most dimensions of an array, as in PostgreSQL.
const DIMENSIONS_MAX: usize = 6;
/// The most items of one.
const ITEMS_MAX: usize = 134_217_727;
=======
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
>>>>>>> types
