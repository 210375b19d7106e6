//! `a # b` of whole numbers, as a function: the optimizer makes 0 of `a # a`, also where that is NULL.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{ArrayRef, AsArray as _};
use datafusion::arrow::compute::kernels::bitwise::bitwise_xor;
use datafusion::arrow::datatypes::{DataType, Int16Type, Int32Type, Int64Type};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable as _, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

/// The bits in which two whole numbers of one type differ; `None` for numbers that the planner has otherwise.
pub(super) fn apart(left: &Expr, right: &Expr, schema: &DFSchema) -> Option<Expr> {
    static APART: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        Arc::new(ScalarUDF::new_from_impl(Apart {
            signature: Signature::any(2, Volatility::Immutable),
        }))
    });
    let of = |side: &Expr| side.get_type(schema).ok();
    let (from, other) = (of(left)?, of(right)?);
    if from != other || !from.is_signed_integer() || from == DataType::Int8 {
        return None;
    }
    let args = vec![left.clone(), right.clone()];
    let call = ScalarFunction::new_udf(Arc::clone(&APART), args);
    Some(Expr::ScalarFunction(call))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Apart {
    signature: Signature,
}

impl ScalarUDFImpl for Apart {
    fn name(&self) -> &'static str {
        "bits_apart"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().map_or(DataType::Null, DataType::clone))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let single = args.args.iter().all(constant);
        let rows = if single { 1 } else { args.number_rows };
        let sides: Vec<ArrayRef> = args
            .args
            .iter()
            .map(|value| value.to_array(rows))
            .collect::<Result<_>>()?;
        let [left, right] = sides.as_slice() else {
            return Err(DataFusionError::Internal("bits of one number".to_owned()));
        };
        let made: ArrayRef = match left.data_type() {
            DataType::Int16 => Arc::new(bitwise_xor(
                left.as_primitive::<Int16Type>(),
                right.as_primitive::<Int16Type>(),
            )?),
            DataType::Int32 => Arc::new(bitwise_xor(
                left.as_primitive::<Int32Type>(),
                right.as_primitive::<Int32Type>(),
            )?),
            DataType::Int64 => Arc::new(bitwise_xor(
                left.as_primitive::<Int64Type>(),
                right.as_primitive::<Int64Type>(),
            )?),
            _ => return Err(DataFusionError::Internal("bits of no number".to_owned())),
        };
        Ok(match single {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    }
}
