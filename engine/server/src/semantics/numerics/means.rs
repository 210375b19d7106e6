//! Averages of numerics with their last digit rounded, as PostgreSQL has it: the planner's cuts off what comes behind.
//!
//! They are computed with a digit more, which is then rounded away: halves go away from zero.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF, EmitTo, GroupsAccumulator};

use crate::semantics::types::WIDEST;

/// An average of one group.
///
/// # Errors
/// What the planner's average fails with.
pub(crate) fn accumulator(
    mean: &AggregateUDF,
    args: AccumulatorArgs<'_>,
) -> Result<Box<dyn Accumulator>> {
    let Some((args, to)) = finer(&args) else {
        return mean.accumulator(args);
    };
    let inner = mean.accumulator(args)?;
    Ok(Box::new(Rounded { inner, to }))
}

/// An average over a frame that moves.
///
/// # Errors
/// As [`accumulator`].
pub(crate) fn sliding(
    mean: &AggregateUDF,
    args: AccumulatorArgs<'_>,
) -> Result<Box<dyn Accumulator>> {
    let Some((args, to)) = finer(&args) else {
        return mean.create_sliding_accumulator(args);
    };
    let inner = mean.create_sliding_accumulator(args)?;
    Ok(Box::new(Rounded { inner, to }))
}

/// An average of many groups.
///
/// # Errors
/// As [`accumulator`].
pub(crate) fn of_groups(
    mean: &AggregateUDF,
    args: AccumulatorArgs<'_>,
) -> Result<Box<dyn GroupsAccumulator>> {
    let Some((args, to)) = finer(&args) else {
        return mean.create_groups_accumulator(args);
    };
    let inner = mean.create_groups_accumulator(args)?;
    Ok(Box::new(RoundedGroups { inner, to }))
}

/// The same of a result with a digit more, and the type that it becomes; `None` for floats, and where there is no room.
fn finer<'a>(args: &AccumulatorArgs<'a>) -> Option<(AccumulatorArgs<'a>, DataType)> {
    let to = args.return_type().clone();
    let wide = match to {
        DataType::Decimal128(digits, scale) if digits < DECIMAL128_MAX_PRECISION => {
            DataType::Decimal128(digits + 1, scale + 1)
        }
        DataType::Decimal256(digits, scale) if scale < SCALE_MAX => {
            DataType::Decimal256(digits.saturating_add(1).min(WIDEST), scale + 1)
        }
        _ => return None,
    };
    let field = args.return_field.as_ref().clone().with_data_type(wide);
    let args = AccumulatorArgs {
        return_field: Arc::new(field),
        schema: args.schema,
        ignore_nulls: args.ignore_nulls,
        order_bys: args.order_bys,
        is_reversed: args.is_reversed,
        name: args.name,
        is_distinct: args.is_distinct,
        exprs: args.exprs,
        expr_fields: args.expr_fields,
    };
    Some((args, to))
}

/// Digits behind the point that leave room for one more.
const SCALE_MAX: i8 = 75;

#[derive(Debug)]
struct Rounded {
    inner: Box<dyn Accumulator>,
    to: DataType,
}

impl Accumulator for Rounded {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.inner.evaluate()?.cast_to(&self.to)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

struct RoundedGroups {
    inner: Box<dyn GroupsAccumulator>,
    to: DataType,
}

impl GroupsAccumulator for RoundedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner
            .update_batch(values, group_indices, opt_filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(cast(&self.inner.evaluate(emit_to)?, &self.to)?)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner
            .merge_batch(values, group_indices, total_num_groups)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(values, opt_filter)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.inner.size()
    }
}
