//! Values of many rows that each of those rows shows: `string_agg(x, '') OVER ()` of 4,000 rows of a kilobyte would be
//! 4,000 times 4 MB, made at once. Beyond a bound that is refused before it is made.

use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{Array as _, ArrayRef};
use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, WindowFunctionDefinition,
};

use super::wrapped::{as_inner, signed_as_inner};
use crate::sqlstate::ServerError;

/// Aggregates whose value is as long as all of theirs together.
const GATHERING: [&str; 2] = ["array_agg", "string_agg"];
/// Bytes that the rows of one frame may show.
const BYTES_MAX: usize = 256 << 20;
/// Rows that show a value, where a filter keeps it a secret how many they are.
const ROWS_OF_FILTERED: usize = 8_192;

/// A call over a window of an aggregate that gathers values, as one with a bound; `None` for any other expression.
pub(super) fn bounded(expr: &Expr) -> Option<Expr> {
    let Expr::WindowFunction(window) = expr else {
        return None;
    };
    let WindowFunctionDefinition::AggregateUDF(inner) = &window.fun else {
        return None;
    };
    let is_own = inner.inner().downcast_ref::<Bounded>().is_some();
    let is_framed = super::frames::is_framed(inner);
    if is_own || is_framed || !GATHERING.contains(&inner.name()) {
        return None;
    }
    let mut changed = WindowFunction::clone(window);
    let bounded = Bounded {
        inner: Arc::clone(inner),
        is_filtered: window.params.filter.is_some(),
    };
    let bounded = Arc::new(AggregateUDF::new_from_impl(bounded));
    changed.fun = WindowFunctionDefinition::AggregateUDF(bounded);
    Some(Expr::WindowFunction(Box::new(changed)))
}

/// The planner's function, whose value may not be too long for the rows that show it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<AggregateUDF>,
    is_filtered: bool,
}

impl AggregateUDFImpl for Bounded {
    as_inner!();
    signed_as_inner!();

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let least = match self.is_filtered {
            true => ROWS_OF_FILTERED,
            false => 1,
        };
        Ok(Box::new(Shown {
            values: self.inner.accumulator(args)?,
            least,
            rows: 0,
        }))
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }
}

/// Values, and how many rows have come since their aggregate was last asked for: they show it.
#[derive(Debug)]
struct Shown {
    values: Box<dyn Accumulator>,
    least: usize,
    rows: usize,
}

impl Accumulator for Shown {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.rows += values.first().map_or(0, |array| array.len());
        self.values.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = self.values.evaluate()?;
        // A row at a time comes in batches that are as small as its values are long.
        let rows = match std::mem::take(&mut self.rows) {
            0 | 1 => 1,
            rows => rows.max(self.least),
        };
        if value.size().saturating_mul(rows) > BYTES_MAX {
            let error = ServerError::new("53200", "out of memory")
                .detail(format!(
                    "{rows} rows of a window would each show a value of {} bytes.",
                    value.size()
                ))
                .hint("Gather the values of each group with GROUP BY, and join the rows with the groups.");
            return Err(DataFusionError::External(Box::new(error)));
        }
        Ok(value)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.values.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.values.merge_batch(states)
    }
}
