//! A row as one value: `whole_row('id', c.id, 'x', c.x)`, whose fields are told as the columns are.

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// What it is called.
pub(super) const NAME: &str = "whole_row";

/// The function: the planner's `named_struct` forgets that a text is jsonb.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct WholeRow {
    signature: Signature,
}

impl Default for WholeRow {
    fn default() -> Self {
        Self {
            signature: Signature::variadic_any(Volatility::Immutable),
        }
    }
}

fn no_names() -> DataFusionError {
    DataFusionError::Plan(format!("{NAME} takes names and values by turns"))
}

impl ScalarUDFImpl for WholeRow {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Err(no_names())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let names = args.scalar_arguments.iter().step_by(2);
        let values = args.arg_fields.iter().skip(1).step_by(2);
        let fields = names.zip(values).map(|(name, value)| match name {
            Some(ScalarValue::Utf8(Some(name))) => {
                let field = Field::new(name, value.data_type().clone(), true);
                Ok(field.with_metadata(value.metadata().clone()))
            }
            _ => Err(no_names()),
        });
        let fields: Fields = fields.collect::<Result<Vec<Field>>>()?.into();
        Ok(Arc::new(Field::new(NAME, DataType::Struct(fields), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let DataType::Struct(fields) = args.return_field.data_type() else {
            return Err(no_names());
        };
        let values = args.args.iter().skip(1).step_by(2);
        let values: Vec<ArrayRef> = values
            .map(|value| value.to_array(args.number_rows))
            .collect::<Result<_>>()?;
        let rows = match fields.is_empty() {
            true => StructArray::new_empty_fields(args.number_rows, None),
            false => StructArray::try_new(fields.clone(), values, None)?,
        };
        Ok(ColumnarValue::Array(Arc::new(rows)))
    }
}
