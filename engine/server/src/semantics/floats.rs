//! Floats that a text, or a wider number, is too large or too small for: an error (22003), and not infinity.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, Float64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field, Float32Type, Float64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::text::is_text;
use crate::pg_input::ColumnInput;
use crate::pg_types::PgType;
use crate::pgwire::encode::TextStyle;
use crate::sqlstate::ServerError;

/// Digits of a decimal that the planner's cast has the nearest float of.
const DOUBLE_DIGITS: u8 = 15;

/// A value that becomes a float; `None` where the planner's cast is as good.
pub(super) fn read(value: &Expr, from: &DataType, to: &DataType) -> Option<Expr> {
    static FLOAT4: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Read::function(DataType::Float32));
    static FLOAT8: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Read::function(DataType::Float64));
    let narrow = matches!(to, DataType::Float32);
    // The planner divides by a power of ten, which is no longer exact beyond these.
    let many = match from {
        DataType::Decimal128(digits, _) | DataType::Decimal256(digits, _) => {
            *digits > DOUBLE_DIGITS
        }
        _ => false,
    };
    let reads =
        is_text(from) || many || (narrow && (from.is_decimal() || *from == DataType::Float64));
    if !reads || is_plain(value, narrow) {
        return None;
    }
    let function = if narrow { &FLOAT4 } else { &FLOAT8 };
    let call = ScalarFunction::new_udf(Arc::clone(function), vec![value.clone()]);
    Some(Expr::ScalarFunction(call))
}

/// Whether a constant is far from the ends of what floats have.
fn is_plain(value: &Expr, narrow: bool) -> bool {
    let number = match value {
        Expr::Literal(ScalarValue::Float64(Some(number)), _) => *number,
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => match text.parse::<f64>() {
            Ok(number) => number,
            Err(_) => return false,
        },
        Expr::Literal(value, _) => return value.is_null(),
        _ => return false,
    };
    let size = number.abs();
    let far = if narrow { 1e30 } else { 1e300 };
    number.is_nan() || (size > 1.0 / far && size < far)
}

/// A list with a zero of floats, with the zero of the other sign beside it: the planner looks values up by their bits.
pub(super) fn with_both_zeros(among: &InList) -> Option<Expr> {
    let zero = |item: &Expr, bits: u64| match item {
        Expr::Literal(ScalarValue::Float64(Some(value)), _) => value.to_bits() == bits,
        Expr::Literal(ScalarValue::Float32(Some(value)), _) => f64::from(*value).to_bits() == bits,
        _ => false,
    };
    let of = |bits: u64| among.list.iter().find(|item| zero(item, bits));
    let (item, narrow, wide) = match (of(0.0_f64.to_bits()), of((-0.0_f64).to_bits())) {
        (Some(item), None) => (item, -0.0_f32, -0.0_f64),
        (None, Some(item)) => (item, 0.0, 0.0),
        _ => return None,
    };
    let other = match item {
        Expr::Literal(ScalarValue::Float32(_), _) => ScalarValue::Float32(Some(narrow)),
        _ => ScalarValue::Float64(Some(wide)),
    };
    let mut among = among.clone();
    among.list.push(Expr::Literal(other, None));
    Some(Expr::InList(among))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Read {
    to: DataType,
    signature: Signature,
}

impl Read {
    fn function(to: DataType) -> Arc<ScalarUDF> {
        let signature = Signature::any(1, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self { to, signature }))
    }
}

impl ScalarUDFImpl for Read {
    fn name(&self) -> &'static str {
        match self.to {
            DataType::Float32 => "read_real",
            _ => "read_double",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(array) = arrays.first() else {
            return Err(DataFusionError::Internal("nothing to read".to_owned()));
        };
        let wide = array.data_type().is_decimal() && self.to == DataType::Float64;
        let made = match is_text(array.data_type()) {
            true => self.texts(array),
            false if wide => nearest(array),
            false => self.narrowed(array),
        };
        made.map(ColumnarValue::Array)
            .map_err(|error| DataFusionError::External(Box::new(error)))
    }
}

impl Read {
    fn texts(&self, array: &ArrayRef) -> std::result::Result<ArrayRef, ServerError> {
        let texts = cast(array, &DataType::Utf8)?;
        let style = TextStyle::default();
        let mut input = ColumnInput::new(&Field::new("float", self.to.clone(), true))?;
        for text in texts.as_string::<i32>() {
            match text {
                Some(text) => input.text(text, &style)?,
                None => input.null(),
            }
        }
        input.finish()
    }

    /// Wider numbers as `real`.
    fn narrowed(&self, array: &ArrayRef) -> std::result::Result<ArrayRef, ServerError> {
        let made = cast(array, &self.to)?;
        let wide = cast(array, &DataType::Float64)?;
        let (narrow, wide) = (
            made.as_primitive::<Float32Type>(),
            wide.as_primitive::<Float64Type>(),
        );
        for row in (0..narrow.len()).filter(|row| narrow.is_valid(*row)) {
            let (narrow, wide) = (narrow.value(row), wide.value(row));
            let overflow = narrow.is_infinite() && wide.is_finite();
            if !overflow && (narrow != 0.0 || wide == 0.0) {
                continue;
            }
            if array.data_type().is_decimal() {
                let number = cast(&array.slice(row, 1), &DataType::Utf8)?;
                let number = number.as_string::<i32>().value(0).to_owned();
                return Err(out_of_range(&number, PgType::FLOAT4));
            }
            let what = if overflow { "overflow" } else { "underflow" };
            return Err(ServerError::new(
                "22003",
                format!("value out of range: {what}"),
            ));
        }
        Ok(made)
    }
}

/// The floats that are next to decimals.
///
/// # Errors
/// What Arrow's casts fail with.
pub(crate) fn nearest(array: &ArrayRef) -> std::result::Result<ArrayRef, ServerError> {
    let mut made = cast(array, &DataType::Float64)?
        .as_primitive::<Float64Type>()
        .clone();
    // Of up to 2^53 units of up to 22 digits both the units and the power of ten are exact.
    let plain = |row: usize| match array.data_type() {
        DataType::Decimal128(_, 0..=22) => {
            let units = array.as_primitive::<Decimal128Type>().value(row);
            units.unsigned_abs() <= 1 << 53
        }
        _ => false,
    };
    let rows: Vec<usize> = (0..array.len())
        .filter(|row| array.is_valid(*row) && !plain(*row))
        .collect();
    if rows.is_empty() {
        return Ok(Arc::new(made));
    }
    let texts = cast(array, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    let mut values = made.values().to_vec();
    for row in rows {
        if let (Some(value), Ok(read)) = (values.get_mut(row), texts.value(row).parse()) {
            *value = read;
        }
    }
    made = Float64Array::new(values.into(), made.nulls().cloned());
    Ok(Arc::new(made))
}

/// 22003 for a number, written out, that a float type does not have.
pub(crate) fn out_of_range(number: &str, pg_type: PgType) -> ServerError {
    let name = pg_type.sql_name();
    ServerError::new(
        "22003",
        format!("\"{number}\" is out of range for type {name}"),
    )
}
