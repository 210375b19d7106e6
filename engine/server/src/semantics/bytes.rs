//! Texts that become `bytea`: read as the type's input function reads them, `\x01ff` and octal escapes. To the planner
//! they are the bytes of the text. And the length of bytes, of which the planner counts the characters that they are shown
//! with.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, BinaryArray, BinaryBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::length::length as length_of;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable as _, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::key::{Key, call};
use super::text::is_text;
use crate::session::bytea_of_text;

/// A text that is cast to bytes; `None` for any other expression.
pub(super) fn read(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    static READ: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Key::function("bytea_in", values));
    let Expr::Cast(cast) = expr else {
        return None;
    };
    let from = cast.expr.get_type(schema).ok()?;
    (is_bytes(cast.field.data_type()) && is_text(&from))
        .then(|| call(&READ, cast.expr.as_ref().clone()))
}

/// The length of bytes; `None` for any other expression.
pub(super) fn length(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    static LENGTH: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        Arc::new(ScalarUDF::new_from_impl(Length(Signature::any(
            1,
            Volatility::Immutable,
        ))))
    });
    let Expr::ScalarFunction(called) = expr else {
        return None;
    };
    let [value] = called.args.as_slice() else {
        return None;
    };
    let of_bytes =
        called.func.name() == "character_length" && is_bytes(&value.get_type(schema).ok()?);
    of_bytes.then(|| {
        Expr::ScalarFunction(ScalarFunction::new_udf(
            Arc::clone(&LENGTH),
            vec![value.clone()],
        ))
    })
}

/// Whether values of a type are bytes.
pub(super) fn is_bytes(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView
    )
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Length(Signature);

impl ScalarUDFImpl for Length {
    fn name(&self) -> &'static str {
        "length"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(array) = arrays.first() else {
            return Err(DataFusionError::Internal("a length of no value".to_owned()));
        };
        let lengths = length_of(&cast(array, &DataType::Binary)?)?;
        Ok(ColumnarValue::Array(lengths))
    }
}

fn values(texts: &ArrayRef) -> Result<BinaryArray> {
    let texts = cast(texts, &DataType::Utf8)?;
    let mut values = BinaryBuilder::with_capacity(texts.len(), texts.get_array_memory_size());
    for text in texts.as_string::<i32>() {
        match text.map(bytea_of_text).transpose() {
            Ok(value) => values.append_option(value),
            Err(error) => return Err(DataFusionError::External(Box::new(error))),
        }
    }
    Ok(values.finish())
}
