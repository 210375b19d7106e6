//! Aggregates over windows whose values grow: `array_agg(x) OVER (ORDER BY y)` of n rows makes n * n / 2 items, all of
//! them at once where a frame reaches to the end. They look for each row whether their statement was stopped, and take
//! memory for the values of a partition that are made together.

use std::hash::{Hash, Hasher};
use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, WindowFunctionDefinition,
};

use super::Made;
use crate::semantics::{as_inner, signed_as_inner};
use crate::session::heed;

/// Aggregates whose value is as long as all of theirs together.
const GATHERING: [&str; 2] = ["array_agg", "string_agg"];
/// A value is there twice while the rows of a partition become a column.
const TWICE: usize = 2;

/// Whether a call over a window is one of these, and not watched yet.
pub(super) fn grows(window: &WindowFunction) -> bool {
    match &window.fun {
        WindowFunctionDefinition::AggregateUDF(function) => {
            GATHERING.contains(&function.name())
                && function.inner().downcast_ref::<Watched>().is_none()
        }
        WindowFunctionDefinition::WindowUDF(_) => false,
    }
}

/// The call, watched.
pub(super) fn watched(mut window: Box<WindowFunction>, options: &Arc<ConfigOptions>) -> Expr {
    if let WindowFunctionDefinition::AggregateUDF(inner) = &window.fun {
        let watched = Watched {
            inner: Arc::clone(inner),
            options: Arc::clone(options),
        };
        let watched = Arc::new(AggregateUDF::new_from_impl(watched));
        window.fun = WindowFunctionDefinition::AggregateUDF(watched);
    }
    Expr::WindowFunction(window)
}

/// An aggregate of one statement.
#[derive(Debug)]
struct Watched {
    inner: Arc<AggregateUDF>,
    options: Arc<ConfigOptions>,
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Watched {}

impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl Watched {
    fn of(&self, values: Box<dyn Accumulator>, name: &str) -> Result<Box<dyn Accumulator>> {
        let made = Made::within(&self.options);
        let held = match made.is_whole(name) {
            true => made.take(self.inner.name(), 0)?,
            false => None,
        };
        Ok(Box::new(Heeding {
            values,
            options: Arc::clone(&self.options),
            held,
        }))
    }
}

impl AggregateUDFImpl for Watched {
    as_inner!();
    signed_as_inner!();

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let name = args.name;
        self.of(self.inner.accumulator(args)?, name)
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        let name = args.name;
        self.of(self.inner.create_sliding_accumulator(args)?, name)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }
}

/// Values that are made for somebody who still waits.
#[derive(Debug)]
struct Heeding {
    values: Box<dyn Accumulator>,
    options: Arc<ConfigOptions>,
    /// What the values of a partition take; `None` where a few rows are made at a time.
    held: Option<MemoryReservation>,
}

impl Accumulator for Heeding {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.update_batch(values)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.values.supports_retract_batch()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        heed(&self.options)?;
        let value = self.values.evaluate()?;
        if let Some(held) = &self.held {
            held.try_grow(value.size().saturating_mul(TWICE))?;
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
