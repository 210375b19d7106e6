//! Casts of floats and texts to `numeric`, and those that name no digits: a value keeps those that it has.
//!
//! ```text
//! count::numeric, price::numeric    ─►   as many digits as the type has: numeric(20, 0), numeric(10, 2)
//! af::numeric                       ─►   the 15 digits of a double precision, the 6 of a real
//! text::numeric                     ─►   what is written
//! af::numeric(10, 2)                ─►   rounded from those
//! ```
//! A column has one scale here, so that floats and texts get one for all, [`FREE_NUMERIC`]. What has digits behind that
//! is refused, never rounded in silence, unless it is rounded to fewer anyway: `round(p_value::numeric, 4)`.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, Decimal256Array, ListArray, PrimitiveArray,
};
use datafusion::arrow::compute::cast as arrow_cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type, i256};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable as _, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::{exact, with_item};
use crate::pg_input;
use crate::pg_types::{FREE_NUMERIC, FREE_SCALE, dimensions};
use crate::semantics::arrays::innermost;
use crate::semantics::text::is_text;
use crate::semantics::types::WIDEST;
use crate::sqlstate::ServerError;

/// What a value is as a numeric; `None` for any other cast, and for what the planner casts as well.
pub(super) fn made(value: &Expr, to: &FieldRef, schema: &DFSchema) -> Option<Expr> {
    let is_free = match innermost(to.data_type()) {
        free if *free == FREE_NUMERIC => true,
        // A constant in quotes is read by the planner, whose digits are those that it has.
        _ if matches!(value, Expr::Literal(text, _) if is_text(&text.data_type())) => return None,
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale)
            if *scale <= FREE_SCALE && has_room(*digits, *scale) =>
        {
            false
        }
        _ => return None,
    };
    let from = value.get_type(schema).ok()?;
    if dimensions(&from) != dimensions(to.data_type()) {
        return None;
    }
    match innermost(&from) {
        // Rounded from the digits that it has: to the planner 2.675 is a little less.
        item if !is_free && is_read(item) => {
            let free = Box::new(call(value.clone(), Rest::Cut));
            Some(Expr::Cast(Cast::new_from_field(free, Arc::clone(to))))
        }
        _ if !is_free => None,
        item if item.is_decimal() => Some(value.clone()),
        item if item.is_integer() => Some(exact(value, &from)),
        item if is_read(item) => Some(call(value.clone(), Rest::Refused)),
        _ => None,
    }
}

/// Whether such a number becomes no longer when its digits are read: as many as there are before the point.
fn has_room(digits: u8, scale: i8) -> bool {
    i16::from(digits) - i16::from(scale) <= i16::from(WIDEST) - i16::from(FREE_SCALE)
}

/// The same of what is rounded or cut to fewer digits then; `None` for any other value.
pub(super) fn cut(value: &Expr) -> Option<Expr> {
    match value {
        Expr::ScalarFunction(made) => {
            let known = made.func.inner().downcast_ref::<Free>()?;
            let refused = known.rest == Rest::Refused;
            let value = made.args.first().filter(|_| refused)?;
            Some(call(value.clone(), Rest::Cut))
        }
        _ => None,
    }
}

/// Floats as numerics of no digits.
///
/// # Errors
/// 22003, and 0A000 for digits that there is no room for, unless they are `rounded` then.
pub(crate) fn of_floats(floats: &ArrayRef, rounded: bool) -> Result<ArrayRef> {
    let rest = match rounded {
        true => Rest::Cut,
        false => Rest::Refused,
    };
    rest.read(floats)
}

fn is_read(item: &DataType) -> bool {
    is_text(item) || matches!(item, DataType::Float32 | DataType::Float64)
}

/// What becomes of digits that are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Rest {
    Refused,
    Cut,
}

fn call(value: Expr, rest: Rest) -> Expr {
    let function = ScalarUDF::new_from_impl(Free {
        rest,
        signature: Signature::any(1, Volatility::Immutable),
    });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), vec![value]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Free {
    rest: Rest,
    signature: Signature,
}

impl ScalarUDFImpl for Free {
    fn name(&self) -> &'static str {
        "numeric"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let from = types.first().unwrap_or(&DataType::Null);
        Ok(with_item(from, &FREE_NUMERIC))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(array) = arrays.first() else {
            return Err(DataFusionError::Internal("numeric of no value".to_owned()));
        };
        self.rest.read(array).map(ColumnarValue::Array)
    }
}

impl Rest {
    fn read(self, values: &ArrayRef) -> Result<ArrayRef> {
        let read: Result<Decimal256Array> = match values.data_type() {
            DataType::List(_) => {
                let list = values.as_list::<i32>();
                let items = self.read(list.values())?;
                let item = Arc::new(Field::new_list_field(items.data_type().clone(), true));
                let nulls = list.nulls().cloned();
                let list = ListArray::try_new(item, list.offsets().clone(), items, nulls)?;
                return Ok(Arc::new(list));
            }
            DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                let list = arrow_cast(values, &DataType::List(Arc::clone(item)))?;
                return self.read(&list);
            }
            DataType::Float64 => {
                let floats: &PrimitiveArray<Float64Type> = values.as_primitive();
                let texts = floats.iter().map(|value| Some(format!("{:.14e}", value?)));
                texts.map(|text| self.number(text.as_deref())).collect()
            }
            DataType::Float32 => {
                let floats: &PrimitiveArray<Float32Type> = values.as_primitive();
                let texts = floats.iter().map(|value| Some(format!("{:.5e}", value?)));
                texts.map(|text| self.number(text.as_deref())).collect()
            }
            _ => {
                let texts = arrow_cast(values, &DataType::Utf8)?;
                let texts = texts.as_string::<i32>();
                texts.iter().map(|text| self.number(text)).collect()
            }
        };
        let numbers = read?.with_precision_and_scale(WIDEST, FREE_SCALE)?;
        Ok(Arc::new(numbers))
    }

    fn number(self, text: Option<&str>) -> Result<Option<i256>> {
        let read = |text: &str| match self {
            Rest::Refused => pg_input::free_numeric(text),
            Rest::Cut => pg_input::free_numeric_cut(text),
        };
        let failed = |error: ServerError| DataFusionError::External(Box::new(error));
        text.map(|text| read(text).map_err(failed)).transpose()
    }
}
