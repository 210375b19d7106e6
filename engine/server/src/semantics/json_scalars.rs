//! Casts of jsonb to numbers and truth values: of a value of another kind there is none.
//!
//! ```text
//! (j -> 'n')::int   ─►   json_scalar(j -> 'n', 'integer')::int
//! ```
//! jsonb is text to the planner, whose cast would say that the text is no number.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::AsArray as _;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable as _, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use crate::pg_types::PgType;
use crate::sqlstate::ServerError;

static SCALAR: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(Scalar {
        signature: Signature::any(2, Volatility::Immutable),
    }))
});

/// A cast to a number or a truth value that looks at the value first; `None` when it is no jsonb, or cast to another
/// type.
pub(super) fn looked_at(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::Cast(Cast { expr: value, field }) = expr else {
        return None;
    };
    let to = field.data_type();
    if !to.is_numeric() && *to != DataType::Boolean {
        return None;
    }
    let (_, told) = value.to_field(schema).ok()?;
    if PgType::of_field(&told) != PgType::JSONB {
        return None;
    }
    let name = PgType::of_arrow(to).sql_name().to_owned();
    let name = Expr::Literal(ScalarValue::Utf8(Some(name)), None);
    let args = vec![value.as_ref().clone(), name];
    let call = ScalarFunction::new_udf(Arc::clone(&SCALAR), args);
    let text = Expr::ScalarFunction(call);
    if !to.is_integer() {
        return Some(super::recast(text, field));
    }
    // A fraction is rounded, as that of a numeric is.
    let exact = DataType::Decimal128(38, 9);
    let number = datafusion::logical_expr::cast(text, exact.clone());
    let number = super::rounded::rounded(&number, &exact).unwrap_or(number);
    Some(super::recast(number, field))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Scalar {
    signature: Signature,
}

impl ScalarUDFImpl for Scalar {
    fn name(&self) -> &'static str {
        "json_scalar"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (Some(values), Some(ColumnarValue::Scalar(ScalarValue::Utf8(Some(to))))) =
            (args.args.first(), args.args.get(1))
        else {
            return Err(DataFusionError::Internal(
                "json_scalar takes a value and the name of a type".to_owned(),
            ));
        };
        let texts = cast(&values.to_array(args.number_rows)?, &DataType::Utf8)?;
        for text in texts.as_string::<i32>().iter().flatten() {
            let kind = kind(text);
            let wanted = if to == "boolean" {
                "boolean"
            } else {
                "numeric"
            };
            if kind != wanted {
                let text = format!("cannot cast jsonb {kind} to type {to}");
                let error = ServerError::new("22023", text);
                return Err(DataFusionError::External(Box::new(error)));
            }
        }
        Ok(ColumnarValue::Array(texts))
    }
}

/// What PostgreSQL calls the kind of a value.
fn kind(text: &str) -> &'static str {
    match text.trim_start().bytes().next() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "numeric",
    }
}
