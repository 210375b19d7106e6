//! `min` and `max` of floats by group: NaN is greater than all numbers, as in PostgreSQL, and infinity is a value.
//!
//! The planner's way of many groups begins at the end of a type's numbers and compares with `<`, so that a group of
//! infinities shows that beginning, and a NaN takes or loses what stood before it. Its way of one group is right.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array as _, ArrayRef, ArrowPrimitiveType, AsArray as _, BooleanArray, PrimitiveArray,
};
use datafusion::arrow::compute::{not, nullif, prep_null_mask_filter};
use datafusion::arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF,
    StatisticsArgs,
};

use super::wrapped::{as_inner, signed_as_inner};

/// Mends `min` and `max` of a context.
pub(super) fn install(context: &SessionContext) {
    let state = context.state();
    for (name, greatest) in [("min", false), ("max", true)] {
        if let Some(inner) = state.aggregate_functions().get(name) {
            let inner = Arc::clone(inner);
            context.register_udaf(AggregateUDF::new_from_impl(Extreme { inner, greatest }));
        }
    }
}

/// The planner's function but for groups of floats.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    inner: Arc<AggregateUDF>,
    greatest: bool,
}

impl AggregateUDFImpl for Extreme {
    as_inner!();
    signed_as_inner!();

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
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

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        match args.return_field.data_type() {
            DataType::Float32 => Ok(Box::new(Groups::<Float32Type>::new(self.greatest))),
            DataType::Float64 => Ok(Box::new(Groups::<Float64Type>::new(self.greatest))),
            _ => self.inner.create_groups_accumulator(args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.inner.reverse_udf()
    }

    fn value_from_stats(&self, args: &StatisticsArgs<'_>) -> Option<ScalarValue> {
        self.inner.value_from_stats(args)
    }
}

/// The least or greatest float of each group.
struct Groups<T: ArrowPrimitiveType> {
    greatest: bool,
    found: Vec<Option<T::Native>>,
}

impl<T: ArrowPrimitiveType> Groups<T>
where
    T::Native: Into<f64>,
{
    fn new(greatest: bool) -> Self {
        Self {
            greatest,
            found: Vec::new(),
        }
    }

    fn take(&mut self, group: usize, value: T::Native) {
        let Some(found) = self.found.get_mut(group) else {
            return;
        };
        let better = match found.map(Into::<f64>::into) {
            None => true,
            Some(found) => {
                let value: f64 = value.into();
                match self.greatest {
                    true => !found.is_nan() && (value.is_nan() || value > found),
                    false => !value.is_nan() && (found.is_nan() || value < found),
                }
            }
        };
        if better {
            *found = Some(value);
        }
    }
}

impl<T: ArrowPrimitiveType> GroupsAccumulator for Groups<T>
where
    T::Native: Into<f64>,
{
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        let values = values
            .first()
            .and_then(|values| values.as_primitive_opt::<T>());
        let values = values.ok_or_else(|| {
            DataFusionError::Internal("an extreme of floats of something else".to_owned())
        })?;
        self.found.resize(total, None);
        for (row, (group, value)) in groups.iter().zip(values.iter()).enumerate() {
            let passes = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if let Some(value) = value.filter(|_| passes) {
                self.take(*group, value);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let found = emit_to.take_needed(&mut self.found);
        Ok(Arc::new(PrimitiveArray::<T>::from_iter(found)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.update_batch(values, groups, None, total)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let Some(filter) = filter else {
            return Ok(values.to_vec());
        };
        let filter = match filter.null_count() {
            0 => filter.clone(),
            _ => prep_null_mask_filter(filter),
        };
        let out = not(&filter)?;
        let kept = values.iter().map(|values| Ok(nullif(values, &out)?));
        kept.collect()
    }

    fn size(&self) -> usize {
        self.found.capacity() * size_of::<Option<T::Native>>()
    }
}
