//! The value of the row at a distance from this one, of which every row may have another: what `lag` and `lead` are where
//! the distance is no constant.
//!
//! ```text
//! row_at(x, n)     ─►   x, n rows further down the window; NULL where there is none
//! has_row_at(n)    ─►   whether there is one; NULL where n is
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, UInt64Array};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    PartitionEvaluator, Signature, Volatility, WindowUDF, WindowUDFImpl,
};

/// The value of a row at a distance.
pub(crate) const ROW_AT: &str = "row_at";
/// Whether there is a row at a distance.
pub(crate) const HAS_ROW_AT: &str = "has_row_at";

/// Adds the functions to a session.
pub(super) fn install(context: &SessionContext) {
    for (name, arguments) in [(ROW_AT, 2), (HAS_ROW_AT, 1)] {
        context.register_udwf(WindowUDF::new_from_impl(RowAt {
            name,
            signature: Signature::any(arguments, Volatility::Immutable),
        }));
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RowAt {
    name: &'static str,
    signature: Signature,
}

impl WindowUDFImpl for RowAt {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(
        &self,
        _args: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Rows {
            gives_value: self.name == ROW_AT,
        }))
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        let value = match self.name == ROW_AT {
            true => args
                .input_fields()
                .first()
                .map(|field| field.as_ref().clone()),
            false => Some(Field::new(args.name(), DataType::Boolean, true)),
        };
        let value = value.ok_or_else(no_value)?;
        Ok(Arc::new(value.with_name(args.name()).with_nullable(true)))
    }
}

fn no_value() -> DataFusionError {
    DataFusionError::Internal("a row at a distance has a value and a distance".to_owned())
}

/// The rows of a partition.
#[derive(Debug)]
struct Rows {
    gives_value: bool,
}

impl PartitionEvaluator for Rows {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let distances = values.get(usize::from(self.gives_value));
        let distances = cast(distances.ok_or_else(no_value)?, &DataType::Int64)?;
        let distances = distances.as_primitive::<Int64Type>();
        // The inner option: whether a row is there.
        let places = (0u64..).zip(distances).take(rows).map(|(here, distance)| {
            let there = here.checked_add_signed(distance?);
            let last = u64::try_from(rows).unwrap_or(u64::MAX);
            Some(there.filter(|there| *there < last))
        });
        if !self.gives_value {
            let there = places.map(|place| Some(place?.is_some()));
            return Ok(Arc::new(there.collect::<BooleanArray>()));
        }
        let places: UInt64Array = places.map(Option::flatten).collect();
        let values = values.first().ok_or_else(no_value)?;
        Ok(take(
            &values.slice(0, rows.min(values.len())),
            &places,
            None,
        )?)
    }
}
