//! Values of parameters, and of constants in quotes, as constant expressions of their types.

use arrow::datatypes::IntervalMonthDayNano;
use bytes::Bytes;
use datafusion::sql::sqlparser::ast::{self, DataType, Expr, Value};

use super::binary::of_binary;
use super::made::{array, bytea_of_text, bytes, integer, numeric, string};
use super::sql_type;
use crate::pg_input::{self, Received, bad_format};
use crate::pg_types::PgType;
use crate::pgwire::encode::Format;
use crate::session::kinds;
use crate::session::rewrite::cast;
use crate::sqlstate::ServerError;

/// A NULL of a type: stands for a parameter whose value is not known yet.
pub(crate) fn null_of(pg_type: PgType) -> Expr {
    match kinds::function_of(pg_type) {
        Some(_) if pg_type.element().is_none() => kind_cast(Expr::value(Value::Null), pg_type),
        _ => cast(Expr::value(Value::Null), sql_type(pg_type)),
    }
}

/// A value of a client as a constant expression.
///
/// # Errors
/// 22P02, 22P03 and 08P01 when the bytes are no value of the type, 22021 when they are no text.
pub(crate) fn constant(
    value: Option<&Bytes>,
    format: Format,
    pg_type: PgType,
) -> Result<Expr, ServerError> {
    let Some(value) = value else {
        return Ok(null_of(pg_type));
    };
    match format {
        Format::Text => of_text(pg_input::utf8(value)?, pg_type),
        Format::Binary => {
            let mut received = Received(value.clone());
            let read = of_binary(&mut received, pg_type)?;
            match received.0.is_empty() {
                true => Ok(read),
                false => Err(bad_format("incorrect binary data format")),
            }
        }
    }
}

pub(super) fn of_text(text: &str, pg_type: PgType) -> Result<Expr, ServerError> {
    if let Some(element) = pg_type.element() {
        let (dims, items) = crate::pg_catalog::parse_array(text, ',')?;
        let dims = dims
            .iter()
            .map(|(length, _)| usize::try_from(*length).unwrap_or(0));
        let items = items.into_iter().map(|item| match item {
            Some(item) => of_text(&item, element),
            None => Ok(null_of(element)),
        });
        let items = items.collect::<Result<Vec<_>, _>>()?;
        return Ok(array(&dims.collect::<Vec<_>>(), items, pg_type));
    }
    Ok(match pg_type {
        PgType::BOOL => Expr::value(Value::Boolean(pg_input::truth_of_text(text)?)),
        PgType::INT2 => integer(whole::<i16>(text, pg_type)?.into(), pg_type),
        PgType::INT4 => integer(whole::<i32>(text, pg_type)?.into(), pg_type),
        PgType::INT8 | PgType::OID => integer(whole(text, pg_type)?, pg_type),
        PgType::FLOAT4 | PgType::FLOAT8 => {
            let value = pg_input::float(text, pg_type)?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "asks whether it is too large"
            )]
            let narrow = pg_type == PgType::FLOAT4 && (value as f32).is_infinite();
            if narrow && value.is_finite() {
                let name = pg_type.sql_name();
                let text = format!("\"{}\" is out of range for type {name}", text.trim());
                return Err(ServerError::new("22003", text));
            }
            cast(string(text.trim()), sql_type(pg_type))
        }
        PgType::NUMERIC => numeric(text)?,
        PgType::BYTEA => bytes(&bytea_of_text(text)?),
        PgType::INTERVAL => interval(pg_input::interval(text)?),
        // What it means depends on the session's clock, which the planner knows.
        PgType::DATE | PgType::TIME | PgType::TIMESTAMP | PgType::TIMESTAMPTZ => {
            pg_input::check_time(text, pg_type)?;
            cast(string(text), sql_type(pg_type))
        }
        PgType::JSON | PgType::JSONB | PgType::UUID | PgType::INET => {
            kind(&pg_input::kept_text(text, pg_type)?, pg_type)
        }
        _ => string(text),
    })
}

/// An integer from its text: 22P02 for what is none, 22003 for one that the type has not.
fn whole<T: TryFrom<i128>>(text: &str, pg_type: PgType) -> Result<T, ServerError> {
    let name = pg_type.sql_name();
    let value: i128 = text.trim().parse().map_err(|_| {
        let text = format!("invalid input syntax for type {name}: \"{text}\"");
        ServerError::new("22P02", text)
    })?;
    T::try_from(value).map_err(|_| {
        let text = format!("value \"{text}\" is out of range for type {name}");
        ServerError::new("22003", text)
    })
}

/// A constant of a type that is kept as text.
pub(super) fn kind(text: &str, pg_type: PgType) -> Expr {
    kind_cast(string(text), pg_type)
}

pub(super) fn kind_cast(value: Expr, pg_type: PgType) -> Expr {
    let data_type = match pg_type {
        PgType::JSON => DataType::JSON,
        PgType::JSONB => DataType::JSONB,
        PgType::INET => DataType::Custom(ast::Ident::new("inet").into(), Vec::new()),
        _ => DataType::Uuid,
    };
    cast(value, data_type)
}

/// An interval as a constant that the planner reads back as it is.
pub(crate) fn interval(value: IntervalMonthDayNano) -> Expr {
    let IntervalMonthDayNano {
        months,
        days,
        nanoseconds,
    } = value;
    // PostgreSQL's are of whole microseconds.
    let micros = nanoseconds / 1_000;
    let text = format!("{months} months {days} days {micros} microseconds");
    cast(string(&text), sql_type(PgType::INTERVAL))
}
