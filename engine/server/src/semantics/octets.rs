//! `octet_length` and `bit_length` of texts and of bytes.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ArrowNativeTypeOp as _, AsArray as _, Int32Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::length::length;
use datafusion::arrow::datatypes::{DataType, Int32Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::clock::no_function;
use super::text::is_text;

/// `octet_length` or `bit_length`, which the planner has for texts only.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Length {
    name: &'static str,
    /// What an octet counts.
    each: i32,
    signature: Signature,
}

impl Length {
    fn new(name: &'static str, each: i32) -> Self {
        Self {
            name,
            each,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    /// `octet_length`.
    pub(super) fn in_octets() -> Self {
        Self::new("octet_length", 1)
    }

    /// `bit_length`.
    pub(super) fn in_bits() -> Self {
        Self::new("bit_length", 8)
    }
}

impl ScalarUDFImpl for Length {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [DataType::Null] => Ok(vec![DataType::Utf8]),
            [of] if is_text(of) || is_bytes(of) => Ok(types.to_vec()),
            _ => no_function(self.name(), types),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let single = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if single { 1 } else { rows };
        let [value] = datafusion::common::utils::take_function_args(self.name(), args.args)?;
        let values = value.into_array(rows)?;
        let plain = match values.data_type() {
            DataType::Utf8View => cast(&values, &DataType::Utf8)?,
            DataType::BinaryView => cast(&values, &DataType::Binary)?,
            _ => Arc::clone(&values),
        };
        let octets = cast(&length(&plain)?, &DataType::Int32)?;
        let octets = octets.as_primitive::<Int32Type>();
        let lengths: Int32Array = octets.try_unary(|octets| octets.mul_checked(self.each))?;
        let lengths: ArrayRef = Arc::new(lengths);
        Ok(match single {
            true => ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(
                &lengths, 0,
            )?),
            false => ColumnarValue::Array(lengths),
        })
    }
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView
    )
}
