//! Fractions that become integers: rounded, as PostgreSQL does.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, ListArray};
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

static ROUND: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Rounded::new())));

/// The value without its fraction; `None` for a type that has none.
///
/// Halves go to the even neighbour in `real` and `double precision`, away from zero in `numeric`.
pub(super) fn rounded(value: &Expr, from: &DataType) -> Option<Expr> {
    if let Expr::ScalarFunction(call) = value
        && Arc::ptr_eq(&call.func, &ROUND)
    {
        return None;
    }
    match (value, from) {
        (Expr::Literal(ScalarValue::Float64(Some(value)), metadata), _) => {
            let whole = ScalarValue::Float64(Some(value.round_ties_even()));
            let fraction = value.fract() != 0.0;
            fraction.then(|| Expr::Literal(whole, metadata.clone()))
        }
        (_, DataType::Float32 | DataType::Float64) => {
            let args = vec![value.clone()];
            Some(Expr::ScalarFunction(ScalarFunction::new_udf(
                Arc::clone(&ROUND),
                args,
            )))
        }
        // Arrow rounds halves away from zero when digits go.
        (_, DataType::Decimal128(precision, scale)) if *scale > 0 => {
            let whole = DataType::Decimal128(*precision, 0);
            Some(Expr::Cast(Cast::new(Box::new(value.clone()), whole)))
        }
        (_, DataType::Decimal256(precision, scale)) if *scale > 0 => {
            let whole = DataType::Decimal256(*precision, 0);
            Some(Expr::Cast(Cast::new(Box::new(value.clone()), whole)))
        }
        _ => None,
    }
}

/// The array with items without their fractions; `None` for an array of a type that has none.
pub(super) fn items(value: &Expr, from: &DataType) -> Option<Expr> {
    static ROUND: LazyLock<Arc<ScalarUDF>> =
        LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Rounded::new())));
    let DataType::List(item) = from else {
        return None;
    };
    if let Expr::ScalarFunction(call) = value
        && Arc::ptr_eq(&call.func, &ROUND)
    {
        return None;
    }
    let fractions = matches!(item.data_type(), DataType::Float32 | DataType::Float64);
    fractions.then(|| {
        let args = vec![value.clone()];
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&ROUND), args))
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Rounded {
    signature: Signature,
}

impl Rounded {
    fn new() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Rounded {
    fn name(&self) -> &'static str {
        "rounded"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Float64))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(array) = arrays.first() else {
            return Err(datafusion::common::DataFusionError::Internal(
                "nothing to round".to_owned(),
            ));
        };
        Ok(ColumnarValue::Array(whole(array)?))
    }
}

fn whole(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        DataType::List(field) => {
            let list = array.as_list::<i32>();
            Arc::new(ListArray::try_new(
                Arc::clone(field),
                list.offsets().clone(),
                whole(list.values())?,
                list.nulls().cloned(),
            )?)
        }
        DataType::Float32 => Arc::new(
            array
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(f32::round_ties_even),
        ),
        _ => Arc::new(
            array
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(f64::round_ties_even),
        ),
    })
}
