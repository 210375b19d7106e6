//! Bit strings on their way from a text or a number to another, or to the client: there are no columns of them, and no
//! operators.
//!
//! ```text
//! ('x' || md5(id))::bit(64)::bigint   ─►   bits_int8(bits_of('x' || md5(id), 64))
//! SELECT 5::bit(8)                    ─►   SELECT bits_of(5, 8)                       told as bit(8)
//! ```
//! The bits are kept as a text of zeros and ones.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, Int32Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::sql::sqlparser::ast::{self, Expr, Value};

use super::{kinds, rewrite};
use crate::pg_types::{PgType, TYPMOD};
use crate::sqlstate::ServerError;

/// Bits of the longest.
const MOST: u64 = 83_886_080;

/// The functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Made {
    /// Bits of a text or a number.
    Bits,
    /// An integer of bits.
    Int4,
    /// A bigint of bits.
    Int8,
}

impl Made {
    const ALL: [Made; 3] = [Made::Bits, Made::Int4, Made::Int8];

    fn name(self) -> &'static str {
        match self {
            Made::Bits => "bits_of",
            Made::Int4 => "bits_int4",
            Made::Int8 => "bits_int8",
        }
    }
}

/// Adds the functions to a session.
pub(super) fn register(context: &SessionContext) {
    for made in Made::ALL {
        context.register_udf(ScalarUDF::from(Bits {
            made,
            signature: Signature::user_defined(Volatility::Immutable),
        }));
    }
}

/// A cast of bits to a number or a text, as a call.
///
/// # Errors
/// 22023 for a length that no bit string has.
pub(super) fn respell(expr: &mut Expr) -> std::result::Result<(), ServerError> {
    let Expr::Cast {
        expr: value,
        data_type,
        ..
    } = &*expr
    else {
        return Ok(());
    };
    let function = match data_type {
        ast::DataType::Integer(None) | ast::DataType::Int(None) | ast::DataType::Int4(None) => {
            Made::Int4.name()
        }
        ast::DataType::BigInt(None) | ast::DataType::Int8(None) => Made::Int8.name(),
        ast::DataType::Text => kinds::AS_TEXT,
        _ => return Ok(()),
    };
    if let Some(bits) = told(value)? {
        *expr = rewrite::call(function, bits);
    }
    Ok(())
}

/// A cast to bits as a call; `None` for any other expression.
///
/// # Errors
/// As [`respell`].
pub(super) fn told(expr: &Expr) -> std::result::Result<Option<Expr>, ServerError> {
    let literal = |expr: &Expr| match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedByteStringLiteral(bits) => Some(bits.clone()),
            _ => None,
        },
        _ => None,
    };
    match expr {
        Expr::Nested(inner) => told(inner),
        Expr::Cast {
            expr: value,
            data_type: ast::DataType::Bit(length),
            ..
        } => {
            let length = length.unwrap_or(1);
            if !(1..=MOST).contains(&length) {
                let text = match length {
                    0 => "length for type bit must be at least 1".to_owned(),
                    _ => format!("length for type bit cannot exceed {MOST}"),
                };
                return Err(ServerError::new("22023", text));
            }
            let value = match literal(value) {
                Some(bits) => rewrite::text(&format!("b{bits}")),
                None => value.as_ref().clone(),
            };
            Ok(Some(call(value, length)))
        }
        other => Ok(literal(other).and_then(|bits| {
            let length = u64::try_from(bits.len()).ok();
            let length = Expr::UnaryOp {
                op: ast::UnaryOperator::Minus,
                expr: Box::new(number(length.filter(|length| *length > 0)?)),
            };
            let value = rewrite::text(&format!("b{bits}"));
            Some(rewrite::call_of(Made::Bits.name(), vec![value, length]))
        })),
    }
}

fn call(value: Expr, length: u64) -> Expr {
    rewrite::call_of(Made::Bits.name(), vec![value, number(length)])
}

fn number(length: u64) -> Expr {
    Expr::value(Value::Number(length.to_string(), false))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bits {
    made: Made,
    signature: Signature,
}

impl ScalarUDFImpl for Bits {
    fn name(&self) -> &str {
        self.made.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let value = |from: &DataType| match from {
            DataType::Int16 | DataType::Int32 | DataType::Int64 => Ok(DataType::Int64),
            DataType::Null
            | DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Dictionary(..) => Ok(DataType::Utf8),
            other => {
                let from = PgType::of_arrow(other).sql_name();
                let text = format!("cannot cast type {from} to bit");
                Err(failed(ServerError::new("42846", text)))
            }
        };
        match (self.made, types) {
            (Made::Bits, [from, _]) => Ok(vec![value(from)?, DataType::Int64]),
            (Made::Int4 | Made::Int8, [_]) => Ok(vec![DataType::Utf8]),
            _ => Err(DataFusionError::Plan(format!("{} of what", self.name()))),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.made {
            Made::Bits => DataType::Utf8,
            Made::Int4 => DataType::Int32,
            Made::Int8 => DataType::Int64,
        })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = Field::new(self.name(), self.return_type(&[])?, true);
        if self.made != Made::Bits {
            return Ok(Arc::new(field));
        }
        let mut metadata = HashMap::new();
        metadata.insert("pg_type".to_owned(), PgType::BIT.sql_name().to_owned());
        // That of a constant is its own affair: it is told by a number below 0.
        if let Some(Some(ScalarValue::Int64(Some(length)))) = args.scalar_arguments.get(1)
            && *length > 0
        {
            metadata.insert(TYPMOD.to_owned(), length.to_string());
        }
        Ok(Arc::new(field.with_metadata(metadata)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = args.args.first();
        let value = value.ok_or_else(|| DataFusionError::Internal("bits of nothing".to_owned()))?;
        let values = value.to_array(args.number_rows)?;
        let made: ArrayRef = match self.made {
            Made::Bits => {
                let length = match args.args.get(1) {
                    Some(ColumnarValue::Scalar(ScalarValue::Int64(Some(length)))) => *length,
                    _ => return Err(DataFusionError::Internal("bits of any length".to_owned())),
                };
                Arc::new(bits(
                    &values,
                    usize::try_from(length.unsigned_abs()).unwrap_or(1),
                )?)
            }
            Made::Int4 => {
                let numbers = numbers(&values, 32, "integer")?.into_iter();
                let wrapped = numbers.map(|number| {
                    let low = u32::try_from(number?).unwrap_or(u32::MAX);
                    Some(low.cast_signed())
                });
                Arc::new(wrapped.collect::<Int32Array>())
            }
            Made::Int8 => {
                let numbers = numbers(&values, 64, "bigint")?.into_iter();
                let wrapped = numbers.map(|number| Some(number?.cast_signed()));
                Arc::new(wrapped.collect::<Int64Array>())
            }
        };
        Ok(ColumnarValue::Array(made))
    }
}

fn failed(error: ServerError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// So many bits of each value.
fn bits(values: &ArrayRef, length: usize) -> Result<StringArray> {
    if let Some(numbers) = values.as_primitive_opt::<Int64Type>() {
        let of = |number: i64| {
            let places = (0..length).rev();
            let bit = |place: usize| match u32::try_from(place).ok().filter(|place| *place < 64) {
                Some(place) => number >> place & 1 == 1,
                None => number < 0,
            };
            places
                .map(|place| if bit(place) { '1' } else { '0' })
                .collect::<String>()
        };
        return Ok(numbers.iter().map(|number| number.map(of)).collect());
    }
    let texts = cast(values, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>().iter();
    let made = texts.map(|text| text.map(|text| of_text(text, length)).transpose());
    let made: std::result::Result<StringArray, ServerError> = made.collect();
    made.map_err(failed)
}

/// The bits that a text says, with zeros behind them or cut off.
fn of_text(text: &str, length: usize) -> std::result::Result<String, ServerError> {
    let invalid = |digit: char, what: &str| {
        let text = format!("\"{digit}\" is not a valid {what} digit");
        ServerError::new("22P02", text)
    };
    let mut bits = String::new();
    if let Some(digits) = text.strip_prefix(['x', 'X']) {
        for digit in digits.chars() {
            let value = digit.to_digit(16);
            let value = value.ok_or_else(|| invalid(digit, "hexadecimal"))?;
            bits.push_str(&format!("{value:04b}"));
        }
    } else {
        for digit in text.strip_prefix(['b', 'B']).unwrap_or(text).chars() {
            match digit {
                '0' | '1' => bits.push(digit),
                _ => return Err(invalid(digit, "binary")),
            }
        }
    }
    bits.truncate(length);
    while bits.len() < length {
        bits.push('0');
    }
    Ok(bits)
}

/// The numbers that bits are, of so many at most.
fn numbers(values: &ArrayRef, most: usize, name: &str) -> Result<Vec<Option<u64>>> {
    let texts = values.as_string::<i32>().iter();
    let numbers = texts.map(|text| {
        let Some(text) = text else {
            return Ok(None);
        };
        if text.len() > most {
            let text = format!("{name} out of range");
            return Err(failed(ServerError::new("22003", text)));
        }
        Ok(u64::from_str_radix(text, 2).ok())
    });
    numbers.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn texts_are_bits_of_a_length() {
        assert_eq!(of_text("x1F", 8).unwrap(), "00011111");
        assert_eq!(of_text("x1f", 4).unwrap(), "0001");
        assert_eq!(of_text("101", 5).unwrap(), "10100");
        assert_eq!(of_text("b", 1).unwrap(), "0");
        assert_eq!(of_text("x1g", 8).unwrap_err().code(), "22P02");
        assert_eq!(
            of_text("12", 8).unwrap_err().to_string(),
            "\"2\" is not a valid binary digit"
        );
    }

    #[test]
    fn numbers_have_their_sign_in_front() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![5, -1, -2]));
        let made = bits(&numbers, 4).unwrap();
        assert_eq!(
            made.iter().flatten().collect::<Vec<_>>(),
            ["0101", "1111", "1110"]
        );
        assert_eq!(
            bits(&numbers, 70)
                .unwrap()
                .value(2)
                .chars()
                .filter(|c| *c == '0')
                .count(),
            1
        );
    }
}
