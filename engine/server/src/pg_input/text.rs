//! Input functions: values from their text.

use super::{
    ColumnInput, ListInput, Values, decimal, invalid, out_of_range, time, within, wrong_depth,
};
use crate::pg_catalog::parse_array;
use crate::pg_types::PgType;
use crate::pgwire::encode::TextStyle;
use crate::session::bytea_of_text;
use crate::sqlstate::ServerError;

impl ColumnInput {
    /// Adds the value that a text stands for; times without a zone are of the zone of `style`.
    ///
    /// # Errors
    /// As PostgreSQL's input functions: 22P02, 22003, 22007, 22008, 22001.
    pub(crate) fn text(&mut self, text: &str, style: &TextStyle) -> Result<(), ServerError> {
        let pg_type = self.pg_type;
        match &mut self.values {
            Values::Bool(values) => values.append_value(boolean(text)?),
            Values::Int2(values) => values.append_value(integer(text, pg_type)?),
            Values::Int4(values) => values.append_value(integer(text, pg_type)?),
            Values::Int8(values) => values.append_value(integer(text, pg_type)?),
            Values::Float4(values) => {
                let wide = float(text, pg_type)?;
                #[expect(clippy::cast_possible_truncation, reason = "looked at below")]
                let value = match text.trim().parse::<f32>() {
                    Ok(value) => value,
                    Err(_) => wide as f32,
                };
                if (value.is_infinite() && wide.is_finite()) || (value == 0.0 && wide != 0.0) {
                    return Err(too_large(text, pg_type));
                }
                values.append_value(value);
            }
            Values::Float8(values) => values.append_value(float(text, pg_type)?),
            Values::Numeric128(values, shape) => {
                let number = numeric(text, *shape)?;
                let narrow = number
                    .to_i128()
                    .ok_or_else(|| shape.error(&decimal::Fault::Overflow, text))?;
                values.append_value(narrow);
            }
            Values::Numeric256(values, shape) => values.append_value(numeric(text, *shape)?),
            Values::Text(values, most) => match pg_type {
                PgType::UUID => values.append_value(super::kept_text(text, pg_type)?),
                PgType::JSON | PgType::JSONB => {
                    values.append_value(super::kept_text(text, pg_type)?);
                }
                PgType::BPCHAR => {
                    // Results have the blanks again that it ends with.
                    values.append_value(within(text, *most, pg_type)?.trim_end_matches(' '));
                }
                _ => values.append_value(within(text, *most, pg_type)?),
            },
            Values::Bytes(values) => values.append_value(bytea_of_text(text)?),
            Values::Date(values) => values.append_value(time::date(text, &style.clock)?),
            Values::Time(values) => values.append_value(time::time(text, &style.clock)?),
            Values::Timestamp(values) => {
                values.append_value(match pg_type {
                    PgType::TIMESTAMPTZ => time::instant(text, &style.clock)?,
                    _ => time::timestamp(text, &style.clock)?,
                });
            }
            Values::Interval(values) => values.append_value(time::interval(text)?),
            Values::List(list) => list.text(text, pg_type, style)?,
        }
        Ok(())
    }
}

impl ListInput {
    fn text(&mut self, text: &str, pg_type: PgType, style: &TextStyle) -> Result<(), ServerError> {
        let (dims, items) = parse_array(text, ',')?;
        let dims: Vec<usize> = dims
            .iter()
            .map(|(length, _)| usize::try_from(*length).unwrap_or(0))
            .collect();
        if !dims.is_empty() && dims.len() != self.depth {
            return Err(wrong_depth(dims.len(), self.depth, pg_type));
        }
        let mut items = items.into_iter();
        let mut add = |column: &mut ColumnInput| match items.next().flatten() {
            Some(item) => column.text(&item, style),
            None => {
                column.null();
                Ok(())
            }
        };
        self.nested(&dims, &mut add)
    }

    /// Adds one array of these dimensions, whose items `add` adds one by one.
    pub(super) fn nested(
        &mut self,
        dims: &[usize],
        add: &mut dyn FnMut(&mut ColumnInput) -> Result<(), ServerError>,
    ) -> Result<(), ServerError> {
        let (length, inner) = match dims.split_first() {
            Some((length, inner)) => (*length, inner),
            None => (0, dims),
        };
        for _ in 0..length {
            match &mut self.items.values {
                Values::List(list) => list.nested(inner, add)?,
                _ => add(&mut self.items)?,
            }
        }
        self.end(true);
        Ok(())
    }
}

/// Any beginning of the words that is not ambiguous.
pub(super) fn boolean(text: &str) -> Result<bool, ServerError> {
    let word = text.trim().to_ascii_lowercase();
    let begins = |whole: &str, least: usize| word.len() >= least && whole.starts_with(&word);
    if begins("true", 1) || begins("yes", 1) || word == "on" || word == "1" {
        Ok(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(invalid(PgType::BOOL, text))
    }
}

fn integer<T: TryFrom<i128>>(text: &str, pg_type: PgType) -> Result<T, ServerError> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid(pg_type, text));
    }
    let number = trimmed
        .parse::<i128>()
        .ok()
        .and_then(|n| T::try_from(n).ok());
    number.ok_or_else(|| out_of_range(pg_type, text))
}

fn float(text: &str, pg_type: PgType) -> Result<f64, ServerError> {
    let trimmed = text.trim();
    match trimmed.to_ascii_lowercase().as_str() {
        "nan" => return Ok(f64::NAN),
        "inf" | "+inf" | "infinity" | "+infinity" => return Ok(f64::INFINITY),
        "-inf" | "-infinity" => return Ok(f64::NEG_INFINITY),
        _ => {}
    }
    let value: f64 = trimmed.parse().map_err(|_| invalid(pg_type, text))?;
    // What is too small for the type would be zero.
    let mantissa = trimmed.split(['e', 'E']).next().unwrap_or(trimmed);
    let vanished = value == 0.0 && mantissa.contains(|digit: char| matches!(digit, '1'..='9'));
    match value.is_finite() && !vanished {
        true => Ok(value),
        false => Err(too_large(text, pg_type)),
    }
}

fn too_large(text: &str, pg_type: PgType) -> ServerError {
    let name = pg_type.sql_name();
    ServerError::new(
        "22003",
        format!("\"{text}\" is out of range for type {name}"),
    )
}

fn numeric(text: &str, shape: decimal::Shape) -> Result<arrow::datatypes::i256, ServerError> {
    shape.read(text).map_err(|fault| shape.error(&fault, text))
}

pub(super) fn uuid(text: &str) -> Result<String, ServerError> {
    let digits = text.trim();
    let braced = digits
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let digits = braced.unwrap_or(digits).replace('-', "");
    let id = uuid::Uuid::try_parse(&digits).map_err(|_| invalid(PgType::UUID, text))?;
    Ok(id.hyphenated().to_string())
}

pub(super) fn json(text: &str) -> Result<(), ServerError> {
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map(drop)
        .map_err(|error| {
            // Also of jsonb, in PostgreSQL's words.
            ServerError::new("22P02", "invalid input syntax for type json")
                .detail(super::json_fault::detail(text).unwrap_or_else(|| error.to_string()))
        })
}
