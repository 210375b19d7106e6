//! `nth_value(x, 0)`: there is no such row, which the planner takes for a value of NULL. Rows are refused when there are any.

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::mismatch::refused;
use crate::sqlstate::ServerError;

/// The function of the value that is asked for.
pub(crate) const NO_ROW: &str = "of_no_row";

/// Gives a context the function.
pub(super) fn install(context: &SessionContext) {
    // As a constant it would fail before there is any row.
    let signature = Signature::any(1, Volatility::Volatile);
    context.register_udf(ScalarUDF::new_from_impl(OfNoRow(signature)));
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfNoRow(Signature);

impl ScalarUDFImpl for OfNoRow {
    fn name(&self) -> &'static str {
        NO_ROW
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = args.arg_fields.first().cloned();
        field.ok_or_else(|| DataFusionError::Internal("a value without a field".to_owned()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(values) if args.number_rows == 0 => Ok(values),
            _ => {
                let text = "argument of nth_value must be greater than zero";
                Err(refused(ServerError::new("22016", text)))
            }
        }
    }
}
