//! `octet_length` of texts and of bytes.

use std::sync::Arc;

use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::length::length;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::clock::no_function;
use super::text::is_text;

/// `octet_length`, which the planner has for texts only.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct OctetLength {
    signature: Signature,
}

impl Default for OctetLength {
    fn default() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for OctetLength {
    fn name(&self) -> &str {
        "octet_length"
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
        let lengths = cast(&length(&plain)?, &DataType::Int32)?;
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
