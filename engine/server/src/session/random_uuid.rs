//! `gen_random_uuid()`: another one for each row.

use std::sync::Arc;

use arrow::array::StringArray;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::Result;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use uuid::Uuid;

use crate::pg_types::PgType;

/// Adds the function to a session.
pub(super) fn register(context: &SessionContext) {
    context.register_udf(ScalarUDF::from(RandomUuid {
        signature: Signature::nullary(Volatility::Volatile),
    }));
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RandomUuid {
    signature: Signature,
}

impl ScalarUDFImpl for RandomUuid {
    fn name(&self) -> &'static str {
        "gen_random_uuid"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let kind = ("pg_type".to_owned(), PgType::UUID.sql_name().to_owned());
        let field = Field::new(self.name(), DataType::Utf8, true);
        Ok(Arc::new(field.with_metadata([kind].into())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let made = (0..args.number_rows).map(|_| Some(Uuid::new_v4().to_string()));
        Ok(ColumnarValue::Array(Arc::new(
            made.collect::<StringArray>(),
        )))
    }
}
