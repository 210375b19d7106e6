//! Both wire forms of an object: its name and its number.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, BinaryArray, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::pgwire::encode::two_forms;

/// The function that tells a name and a number as an object of a type.
pub(super) const AS_OBJECT: &str = "as_object";

/// Adds the function that objects are shown by to a session.
pub(in crate::session) fn register(context: &SessionContext) {
    context.register_udf(ScalarUDF::from(AsObject {
        signature: Signature::any(3, Volatility::Immutable),
    }));
}

/// `as_object(name, number, type)`: both forms that an object is sent in.
#[derive(Debug, PartialEq, Eq, Hash)]
struct AsObject {
    signature: Signature,
}

impl ScalarUDFImpl for AsObject {
    fn name(&self) -> &str {
        AS_OBJECT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(Fields::from(two_forms())))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = Field::new(AS_OBJECT, self.return_type(&[])?, true);
        let Some(Some(ScalarValue::Utf8(Some(name)))) = args.scalar_arguments.get(2) else {
            return Err(misused());
        };
        let kind = ("pg_type".to_owned(), name.clone());
        Ok(Arc::new(field.with_metadata([kind].into())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = ColumnarValue::values_to_arrays(&args.args)?;
        let [names, numbers, _] = values.as_slice() else {
            return Err(misused());
        };
        let names = arrow::compute::cast(names, &DataType::Utf8)?;
        let numbers = arrow::compute::cast(numbers, &DataType::Int64)?;
        let names: &StringArray = names.as_string::<i32>();
        let binary = numbers.as_primitive::<Int64Type>().iter().zip(names);
        let binary = binary.map(|(number, name)| {
            let number = u32::try_from(number?).ok()?;
            name.map(|_| number.to_be_bytes())
        });
        let forms: Vec<ArrayRef> = vec![
            Arc::new(names.clone()),
            Arc::new(binary.collect::<BinaryArray>()),
        ];
        let nulls = names.nulls().cloned();
        let made = StructArray::try_new(Fields::from(two_forms()), forms, nulls)?;
        Ok(ColumnarValue::Array(Arc::new(made)))
    }
}

fn misused() -> DataFusionError {
    DataFusionError::Internal(format!("{AS_OBJECT} takes a name, a number and a type"))
}
