//! Values that become text: printed as results are.

use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use datafusion::arrow::array::{Array as _, ArrayRef, ListArray, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::pg_types::{PgType, is_free};
use crate::pgwire::encode::{Cells, TextStyle};

static TEXT: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Printed::new("printed", false))));
static TEXTS: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::new_from_impl(Printed::new(
        "printed_items",
        true,
    )))
});

/// The text that `concat` makes of a value, where DataFusion makes another: of a truth value it is one letter.
pub(super) fn put_together(value: &Expr, from: &DataType) -> Option<Expr> {
    match from {
        // What is no value yet, as the first part of a UNION or a CASE may be, is what the others are.
        DataType::Boolean | DataType::Null => {
            let args = vec![value.clone()];
            let call = ScalarFunction::new_udf(Arc::clone(&TEXT), args);
            Some(Expr::ScalarFunction(call))
        }
        _ => printed(value, from),
    }
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
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
            | DataType::Struct(_)
    ) || matches!(from, DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale)
        if is_free(*digits, *scale));
    other.then(|| {
        let args = vec![value.clone()];
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(&TEXT), args))
    })
}

/// An array of the texts of the items of one, however deep they are; `None` where DataFusion prints them alike.
pub(super) fn printed_items(value: &Expr, from: &DataType) -> Option<Expr> {
    texts_of_items(from, |item| printed(value, item).is_some())?;
    let args = vec![value.clone()];
    let call = ScalarFunction::new_udf(Arc::clone(&TEXTS), args);
    Some(Expr::ScalarFunction(call))
}

/// As [`printed_items`], where items are put together to a text.
pub(super) fn items_put_together(value: &Expr, from: &DataType) -> Option<Expr> {
    texts_of_items(from, |item| put_together(value, item).is_some())?;
    let args = vec![value.clone()];
    let call = ScalarFunction::new_udf(Arc::clone(&TEXTS), args);
    Some(Expr::ScalarFunction(call))
}

/// The type of an array with texts in place of items, when `is_wanted` for those; `None` for what is no array.
fn texts_of_items(from: &DataType, is_wanted: impl Fn(&DataType) -> bool) -> Option<DataType> {
    let (DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)) =
        from
    else {
        return None;
    };
    let item = item.data_type();
    let texts = match super::arrays::dimensions(item) {
        0 => is_wanted(item).then_some(DataType::Utf8)?,
        _ => texts_of_items(item, is_wanted)?,
    };
    Some(DataType::new_list(texts, true))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Printed {
    name: &'static str,
    /// Items of arrays one by one.
    items: bool,
    signature: Signature,
}

impl Printed {
    fn new(name: &'static str, items: bool) -> Self {
        Self {
            name,
            items,
            signature: Signature::any(1, Volatility::Stable),
        }
    }
}

impl ScalarUDFImpl for Printed {
    fn name(&self) -> &'static str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let of_items = types.first().and_then(|of| texts_of_items(of, |_| true));
        match of_items.filter(|_| self.items) {
            Some(texts) => Ok(texts),
            None => Ok(DataType::Utf8),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(array) = arrays.first() else {
            return Err(DataFusionError::Internal("nothing to print".to_owned()));
        };
        let style = TextStyle::of(&args.config_options);
        let made = match self.items {
            true => texts_within(array, &style),
            false => texts(array, &style),
        };
        made.map(ColumnarValue::Array)
            .map_err(|error| DataFusionError::External(Box::new(error)))
    }
}

/// The texts of the items of arrays, in arrays of the same dimensions.
fn texts_within(
    array: &ArrayRef,
    style: &TextStyle,
) -> std::result::Result<ArrayRef, crate::sqlstate::ServerError> {
    let Some(list) = super::arrays::lists(array)? else {
        return texts(array, style);
    };
    let items = texts_within(list.values(), style)?;
    let field = Field::new_list_field(items.data_type().clone(), true);
    let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
    Ok(Arc::new(ListArray::try_new(
        Arc::new(field),
        offsets,
        items,
        nulls,
    )?))
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
