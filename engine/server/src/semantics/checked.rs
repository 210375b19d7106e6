//! Sums, differences and products of integers that fail where the result leaves its type.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::Datum;
use datafusion::arrow::compute::kernels::numeric::{add, mul, sub};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// The checked form of an operation on two integers of one type.
pub(super) fn call(op: Operator, left: &Expr, right: &Expr) -> Expr {
    static ADD: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Checked::function(Operator::Plus));
    static SUB: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Checked::function(Operator::Minus));
    static MUL: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Checked::function(Operator::Multiply));
    let function = match op {
        Operator::Plus => &ADD,
        Operator::Minus => &SUB,
        _ => &MUL,
    };
    let args = vec![left.clone(), right.clone()];
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), args))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    op: Operator,
    signature: Signature,
}

impl Checked {
    fn function(op: Operator) -> Arc<ScalarUDF> {
        let signature = Signature::any(2, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self { op, signature }))
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &'static str {
        match self.op {
            Operator::Plus => "checked_add",
            Operator::Minus => "checked_subtract",
            _ => "checked_multiply",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Int64))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let operation = match self.op {
            Operator::Plus => add,
            Operator::Minus => sub,
            _ => mul,
        };
        let [left, right] = args.args.as_slice() else {
            return Err(DataFusionError::Internal("an operation of two".to_owned()));
        };
        let result = operation(&*datum(left)?, &*datum(right)?);
        let result = result.map_err(|error| told(error, &left.data_type()))?;
        let both = [left, right].map(|side| matches!(side, ColumnarValue::Scalar(_)));
        Ok(match both {
            [true, true] => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
            _ => ColumnarValue::Array(result),
        })
    }
}

fn datum(value: &ColumnarValue) -> Result<Box<dyn Datum>> {
    Ok(match value {
        ColumnarValue::Array(array) => Box::new(Arc::clone(array)),
        ColumnarValue::Scalar(scalar) => Box::new(scalar.to_scalar()?),
    })
}

/// As PostgreSQL says it.
fn told(error: ArrowError, data_type: &DataType) -> DataFusionError {
    let name = match data_type {
        DataType::Int8 | DataType::Int16 => "smallint",
        DataType::Int32 => "integer",
        _ => "bigint",
    };
    match error {
        ArrowError::ArithmeticOverflow(_) => DataFusionError::External(Box::new(
            crate::sqlstate::ServerError::new("22003", format!("{name} out of range")),
        )),
        other => DataFusionError::from(other),
    }
}
