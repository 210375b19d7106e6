//! Receive functions: values from their binary form.

use bytes::{Buf, Bytes};

use super::{ColumnInput, ListInput, Received, Values, decimal, time, utf8, within, wrong_depth};
use crate::pg_types::PgType;
use crate::sqlstate::ServerError;

/// Days and microseconds from 1970 to 2000, where PostgreSQL counts from.
const DAYS: i32 = 10_957;
const MICROS: i64 = 946_684_800_000_000;

impl ColumnInput {
    /// Adds the value of a binary field.
    ///
    /// # Errors
    /// 08P01 for too few bytes and 22P03 for bytes that are no value of the type; 22021 for text that is not UTF-8.
    pub(crate) fn binary(&mut self, value: Bytes) -> Result<(), ServerError> {
        let mut value = Received(value);
        self.receive(&mut value)?;
        match value.0.is_empty() {
            true => Ok(()),
            false => Err(malformed()),
        }
    }

    fn receive(&mut self, value: &mut Received) -> Result<(), ServerError> {
        let pg_type = self.pg_type;
        match &mut self.values {
            Values::Bool(values) => values.append_value(value.byte()? != 0),
            Values::Int2(values) => values.append_value(value.i16()?),
            Values::Int4(values) => values.append_value(value.i32()?),
            Values::Int8(values) => values.append_value(value.i64()?),
            Values::Float4(values) => values.append_value(value.take(4)?.get_f32()),
            Values::Float8(values) => values.append_value(value.take(8)?.get_f64()),
            Values::Numeric128(values, shape) => {
                let (number, text) = numeric(value, *shape)?;
                let number = number.to_i128();
                let number = number.ok_or_else(|| shape.error(&decimal::Fault::Overflow, &text));
                values.append_value(number?);
            }
            Values::Numeric256(values, shape) => values.append_value(numeric(value, *shape)?.0),
            Values::Text(values, most) => match pg_type {
                PgType::UUID => values.append_value(value.uuid()?),
                PgType::JSONB => {
                    values.append_value(super::kept_text(&value.jsonb()?, pg_type)?);
                }
                _ => values.append_value(within(utf8(&value.rest())?, *most, pg_type)?),
            },
            Values::Bytes(values) => values.append_value(value.rest()),
            Values::Date(values) => {
                values.append_value(match value.i32()? {
                    // Infinity stays what it is.
                    edge @ (i32::MAX | i32::MIN) => edge,
                    days => {
                        let days = days.checked_add(DAYS).filter(|day| time::is_day(*day));
                        days.ok_or_else(|| out_of_range("date"))?
                    }
                });
            }
            Values::Time(values) => {
                let micros = Some(value.i64()?).filter(|micros| time::is_time(*micros));
                values.append_value(micros.ok_or_else(|| out_of_range("time"))?);
            }
            Values::Timestamp(values) => {
                values.append_value(match value.i64()? {
                    edge @ (i64::MAX | i64::MIN) => edge,
                    micros => {
                        let micros = micros.checked_add(MICROS);
                        let micros = micros.filter(|micros| time::is_timestamp(*micros));
                        micros.ok_or_else(|| out_of_range("timestamp"))?
                    }
                });
            }
            Values::Interval(values) => {
                let (micros, days, months) = (value.i64()?, value.i32()?, value.i32()?);
                let nanos = micros.checked_mul(1_000);
                let nanos = nanos.ok_or_else(|| out_of_range("interval"))?;
                values.append_value(arrow::datatypes::IntervalMonthDayNano::new(
                    months, days, nanos,
                ));
            }
            Values::List(list) => list.binary(value.rest(), pg_type)?,
        }
        Ok(())
    }
}

/// PostgreSQL's arrays have no more dimensions.
const DEEPEST: i32 = 6;

/// The most items of one.
const ITEMS_MAX: usize = 134_217_727;

/// Types below have the same number in every database.
const BUILT_IN: u32 = 10_000;

/// What stands before the items of an array in binary: the length of every dimension, none where there are no items.
///
/// # Errors
/// 08P01 for too few bytes, 22P03 for what is no array, 42804 for one of other items, 54000 for one that is larger than arrays are.
pub(crate) fn array_dimensions(
    value: &mut Received,
    pg_type: PgType,
) -> Result<Vec<usize>, ServerError> {
    let refused = |code: &'static str, text: String| Err(ServerError::new(code, text));
    let (count, flags, element) = (value.i32()?, value.i32()?, value.oid()?);
    if count < 0 {
        return refused("22P03", format!("invalid number of dimensions: {count}"));
    }
    if count > DEEPEST {
        let text =
            format!("number of array dimensions ({count}) exceeds the maximum allowed ({DEEPEST})");
        return refused("54000", text);
    }
    if !matches!(flags, 0 | 1) {
        return refused("22P03", "invalid array flags".to_owned());
    }
    let wanted = pg_type.element().unwrap_or(pg_type);
    if element != wanted.oid && element < BUILT_IN {
        let found = PgType::scalar(element).map_or("unknown", PgType::sql_name);
        let text = format!(
            "binary data has array element type {element} ({found}) instead of expected {} ({})",
            wanted.oid,
            wanted.sql_name()
        );
        return refused("42804", text);
    }
    let mut dims = Vec::new();
    let mut total = 1_usize;
    for _ in 0..count {
        let (length, lower) = (value.i32()?, value.i32()?);
        let items = usize::try_from(length).ok();
        let product = items.and_then(|items| total.checked_mul(items));
        let product = product.filter(|product| *product <= ITEMS_MAX);
        let (Some(items), Some(product)) = (items, product) else {
            let text = format!("array size exceeds the maximum allowed ({ITEMS_MAX})");
            return refused("54000", text);
        };
        total = product;
        if lower.checked_add(length).is_none() {
            return refused("54000", format!("array lower bound is too large: {lower}"));
        }
        dims.push(items);
    }
    if dims.contains(&0) {
        dims.clear();
    }
    Ok(dims)
}

impl ListInput {
    fn binary(&mut self, value: Bytes, pg_type: PgType) -> Result<(), ServerError> {
        let bad = malformed;
        let mut value = Received(value);
        let dims = array_dimensions(&mut value, pg_type)?;
        let mut value = value.0;
        let count = dims.len();
        // Each item has its length at least: no more of them than the bytes allow.
        let items = dims
            .iter()
            .try_fold(1_usize, |product, length| product.checked_mul(*length));
        let fits = |items: usize| items > 0 && items <= value.len() / 4;
        if count > 0 && !items.is_some_and(fits) {
            return Err(bad());
        }
        if count != 0 && count != self.depth {
            return Err(wrong_depth(count, self.depth, pg_type));
        }
        let mut add = |column: &mut ColumnInput| {
            if value.len() < 4 {
                return Err(bad());
            }
            match usize::try_from(value.get_i32()) {
                Err(_) => column.null(),
                Ok(size) if size <= value.len() => column.binary(value.split_to(size))?,
                Ok(_) => return Err(bad()),
            }
            Ok(())
        };
        self.nested(&dims, &mut add)?;
        match value.is_empty() {
            true => Ok(()),
            false => Err(bad()),
        }
    }
}

fn numeric(
    value: &mut Received,
    shape: decimal::Shape,
) -> Result<(arrow::datatypes::i256, String), ServerError> {
    let text = value.numeric()?;
    let number = shape.read(&text);
    let number = number.map_err(|fault| shape.error(&fault, &text))?;
    Ok((number, text))
}

/// 22008 for a time beyond those that its type has.
fn out_of_range(name: &str) -> ServerError {
    ServerError::new("22008", format!("{name} out of range"))
}

/// PostgreSQL says no more than this: the column is in the context.
fn malformed() -> ServerError {
    ServerError::new("22P03", "incorrect binary data format")
}
