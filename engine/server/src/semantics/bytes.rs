//! Texts that become `bytea`: read as the type's input function reads them, `\x01ff` and octal escapes. To the planner
//! they are the bytes of the text.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, BinaryArray, BinaryBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::{Expr, ExprSchemable as _, ScalarUDF};

use super::key::{Key, call};
use super::text::is_text;
use crate::session::bytea_of_text;

/// A text that is cast to bytes; `None` for any other expression.
pub(super) fn read(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    static READ: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Key::function("bytea_in", values));
    let Expr::Cast(cast) = expr else {
        return None;
    };
    let to_bytes = matches!(
        cast.field.data_type(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView
    );
    let from = cast.expr.get_type(schema).ok()?;
    (to_bytes && is_text(&from)).then(|| call(&READ, cast.expr.as_ref().clone()))
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
