//! Values that become text: printed as results are.

use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use datafusion::arrow::array::{ArrayRef, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::clock::Clock;
use crate::pg_types::PgType;
use crate::pgwire::encode::{Cells, TextStyle};

static TEXT: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Printed::new())));

/// The text that `concat` makes of a value, where DataFusion makes another: of a truth value it is one letter.
pub(super) fn put_together(value: &Expr, from: &DataType) -> Option<Expr> {
    match from {
        DataType::Boolean => {
            let args = vec![value.clone()];
            let call = ScalarFunction::new_udf(Arc::clone(&TEXT), args);
            Some(Expr::ScalarFunction(call))
        }
        _ => printed(value, from),
    }
}

/// The text of a value of a type that DataFusion prints in another way; `None` for the others.
pub(super) fn printed(value: &Expr, from: &DataType) -> Option<Expr> {
    let other = matches!(
        from,
        DataType::Float32
            | DataType::Float64
            | DataType::Timestamp(..)
            | DataType::Date32
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Interval(_)
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
    );
    other.then(|| {
        let args = vec![value.clone()];
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&TEXT), args))
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Printed {
    signature: Signature,
}

impl Printed {
    fn new() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Stable),
        }
    }
}

impl ScalarUDFImpl for Printed {
    fn name(&self) -> &'static str {
        "printed"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(array) = arrays.first() else {
            return Err(DataFusionError::Internal("nothing to print".to_owned()));
        };
        let style = TextStyle {
            clock: Clock::of(&args.config_options),
            ..TextStyle::default()
        };
        texts(array, &style)
            .map(ColumnarValue::Array)
            .map_err(|error| DataFusionError::External(Box::new(error)))
    }
}

fn texts(
    array: &ArrayRef,
    style: &TextStyle,
) -> std::result::Result<ArrayRef, crate::sqlstate::ServerError> {
    let cells = Cells::new(array, PgType::of_arrow(array.data_type()))?;
    let mut texts = StringBuilder::with_capacity(array.len(), 8 * array.len());
    let mut text = BytesMut::new();
    for row in 0..array.len() {
        if cells.is_null(row) {
            texts.append_null();
            continue;
        }
        text.clear();
        cells.text(row, style, &mut text)?;
        let text = std::str::from_utf8(&text).map_err(|_| {
            crate::sqlstate::ServerError::internal("a value whose text is not UTF-8")
        })?;
        texts.append_value(text);
    }
    Ok(Arc::new(texts.finish()))
}
