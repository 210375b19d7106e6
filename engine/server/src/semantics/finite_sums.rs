//! Sums and averages of floats that are greater than any float: an error (22003), unless infinity is among what was added.

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use crate::sqlstate::ServerError;

/// Whether a sum or an average is made of floats, one after the other.
pub(super) fn is_one(args: &AccumulatorArgs<'_>) -> bool {
    let mut fields = args.expr_fields.iter();
    !args.is_distinct
        && *args.return_type() == DataType::Float64
        && fields.next().is_some_and(|of| of.data_type().is_floating())
}

/// A sum of one group that fails where there is none.
pub(super) fn of_one(inner: Box<dyn Accumulator>) -> Box<dyn Accumulator> {
    let seen = Seen::default();
    Box::new(Finite { inner, seen })
}

/// The same of many groups.
pub(super) fn of_groups(inner: Box<dyn GroupsAccumulator>) -> Box<dyn GroupsAccumulator> {
    let seen = Seen::default();
    Box::new(FiniteGroups { inner, seen })
}

/// Whether there was a value without an end, by which a sum has none.
#[derive(Debug, Default)]
struct Seen {
    infinite: bool,
}

impl Seen {
    /// Looks at what is added: values, or sums of others.
    fn add(&mut self, values: &[ArrayRef]) {
        self.infinite = self.infinite || values.iter().any(has_infinite);
    }

    fn check(&self, sum: &ScalarValue) -> Result<()> {
        match sum {
            ScalarValue::Float64(Some(sum)) if sum.is_infinite() && !self.infinite => {
                Err(overflow())
            }
            _ => Ok(()),
        }
    }

    fn check_all(&self, sums: &ArrayRef) -> Result<()> {
        match !self.infinite && has_infinite(sums) {
            true => Err(overflow()),
            false => Ok(()),
        }
    }
}

fn overflow() -> DataFusionError {
    let error = ServerError::new("22003", "value out of range: overflow");
    DataFusionError::External(Box::new(error))
}

/// Whether one of some floats has no end; what NULL stands over counts for none.
fn has_infinite(values: &ArrayRef) -> bool {
    let of_doubles = |values: &Float64Array| {
        let any = values.values().iter().any(|value| value.is_infinite());
        any && values.iter().flatten().any(f64::is_infinite)
    };
    match values.data_type() {
        DataType::Float64 => of_doubles(values.as_primitive::<Float64Type>()),
        DataType::Float32 => {
            let values = values.as_primitive::<Float32Type>();
            values.iter().flatten().any(f32::is_infinite)
        }
        _ => false,
    }
}

#[derive(Debug)]
struct Finite {
    inner: Box<dyn Accumulator>,
    seen: Seen,
}

impl Accumulator for Finite {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.seen.add(values);
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = self.inner.evaluate()?;
        self.seen.check(&sum)?;
        Ok(sum)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = self.inner.state()?;
        for sum in &state {
            self.seen.check(sum)?;
        }
        Ok(state)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.seen.add(states);
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

struct FiniteGroups {
    inner: Box<dyn GroupsAccumulator>,
    seen: Seen,
}

impl GroupsAccumulator for FiniteGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.seen.add(values);
        self.inner
            .update_batch(values, group_indices, opt_filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = self.inner.evaluate(emit_to)?;
        self.seen.check_all(&sums)?;
        Ok(sums)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let state = self.inner.state(emit_to)?;
        for sums in &state {
            self.seen.check_all(sums)?;
        }
        Ok(state)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.seen.add(values);
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_is_null_is_not_infinite() {
        let values = [f64::INFINITY, 1.0];
        let nulls = vec![false, true];
        let array = Float64Array::new(values.to_vec().into(), Some(nulls.into()));
        assert!(!has_infinite(&(Arc::new(array) as ArrayRef)));
        let array = Float64Array::new(values.to_vec().into(), None);
        assert!(has_infinite(&(Arc::new(array) as ArrayRef)));
    }
}
