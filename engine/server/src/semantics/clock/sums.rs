//! `sum`, `avg`, `min` and `max` of intervals; `avg` of numerics is rounded ([`means`]), and what floats are added up to is
//! finite ([`finite_sums`]).

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type, IntervalMonthDayNano};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{
    AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs,
};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, GroupsAccumulator, Operator, ReversedUDAF,
    Signature, StatisticsArgs, Volatility,
};

use super::spans::{self, Span};
use crate::semantics::finite_sums;
use crate::semantics::numerics::means;
use crate::semantics::wrapped::as_inner;

use super::{SPAN, failed, is_span, out_of_range};

/// Lets `sum` and `avg` of a context take intervals.
pub(super) fn install(context: &SessionContext) {
    let state = context.state();
    for (name, mean) in [("sum", false), ("avg", true)] {
        if let Some(inner) = state.aggregate_functions().get(name) {
            let inner = Arc::clone(inner);
            context.register_udaf(AggregateUDF::new_from_impl(WithSpans { inner, mean }));
        }
    }
}

/// One of intervals that have the same length: that with the most months, then days.
pub(super) fn one_of() -> Arc<AggregateUDF> {
    Extreme::function(true)
}

/// The function that finds the shortest or the longest of intervals, instead of the one of this name.
pub(super) fn extreme(name: &str, of: &DataType) -> Option<Arc<AggregateUDF>> {
    static MIN: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| Extreme::function(false));
    static MAX: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| Extreme::function(true));
    if !is_span(of) {
        return None;
    }
    match name {
        "min" => Some(Arc::clone(&MIN)),
        "max" => Some(Arc::clone(&MAX)),
        _ => None,
    }
}

/// An aggregate of numbers that takes intervals as well.
#[derive(Debug, PartialEq, Eq, Hash)]
struct WithSpans {
    inner: Arc<AggregateUDF>,
    mean: bool,
}

fn of_spans(types: &[DataType]) -> bool {
    matches!(types, [one] if is_span(one))
}

impl AggregateUDFImpl for WithSpans {
    as_inner!();

    fn signature(&self) -> &Signature {
        static ANY: LazyLock<Signature> =
            LazyLock::new(|| Signature::user_defined(Volatility::Immutable));
        &ANY
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if of_spans(types) {
            return Ok(vec![SPAN]);
        }
        crate::semantics::coerced(self.inner.as_ref(), types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match of_spans(types) {
            true => Ok(SPAN),
            false => self.inner.return_type(types),
        }
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        match fields {
            [one] if is_span(one.data_type()) => Ok(Arc::new(Field::new(self.name(), SPAN, true))),
            _ => self.inner.return_field(fields),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if !is_span(args.return_type()) {
            let of_floats = finite_sums::is_one(&args);
            let sum = match self.mean {
                true => means::accumulator(&self.inner, args),
                false => self.inner.accumulator(args),
            };
            return match of_floats {
                true => sum.map(finite_sums::of_one),
                false => sum,
            };
        }
        if args.is_distinct {
            let message = format!("{}(DISTINCT …) of intervals is not supported", self.name());
            return Err(failed("0A000", message));
        }
        Ok(Box::new(Total {
            sum: Span::default(),
            count: 0,
            mean: self.mean,
        }))
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        match is_span(args.return_type()) {
            true => self.accumulator(args),
            false if self.mean => means::sliding(&self.inner, args),
            false => self.inner.create_sliding_accumulator(args),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if !is_span(args.return_type()) {
            return self.inner.state_fields(args);
        }
        let field = |name: &str| -> FieldRef {
            let name = format!("{}[{name}]", args.name);
            Arc::new(Field::new(name, DataType::Int64, true))
        };
        Ok(["months", "days", "micros", "count"].map(field).to_vec())
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !is_span(args.return_type()) && self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let of_floats = finite_sums::is_one(&args);
        let sums = match self.mean {
            true => means::of_groups(&self.inner, args),
            false => self.inner.create_groups_accumulator(args),
        };
        match of_floats {
            true => sums.map(finite_sums::of_groups),
            false => sums,
        }
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.inner.simplify()
    }

    fn simplify_expr_op_literal(
        &self,
        aggregate: &AggregateFunction,
        arg: &Expr,
        op: Operator,
        literal: &Expr,
        arg_is_left: bool,
    ) -> Result<Option<Expr>> {
        let inner = self.inner.inner();
        inner.simplify_expr_op_literal(aggregate, arg, op, literal, arg_is_left)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.reverse_udf() {
            ReversedUDAF::Identical => ReversedUDAF::Identical,
            _ => ReversedUDAF::NotSupported,
        }
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs<'_>) -> Option<ScalarValue> {
        match is_span(statistics.return_type) {
            true => None,
            false => self.inner.value_from_stats(statistics),
        }
    }
}

/// A sum of intervals, or their mean.
#[derive(Debug)]
struct Total {
    sum: Span,
    count: i64,
    mean: bool,
}

impl Total {
    fn each(
        &mut self,
        values: &[ArrayRef],
        add: impl Fn(Span, Span) -> Result<Span>,
        one: i64,
    ) -> Result<()> {
        let Some(values) = values.first() else {
            return Ok(());
        };
        for span in spans::of(values)?.iter().flatten() {
            self.sum = add(self.sum, span.into())?;
            self.count += one;
        }
        Ok(())
    }
}

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.each(values, Span::plus, 1)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.each(values, Span::minus, -1)
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = match (self.count, self.mean) {
            (0, _) => None,
            (_, false) => Some(self.sum),
            (count, true) => {
                let count = i32::try_from(count).map_err(|_| out_of_range("interval"))?;
                Some(self.sum.over(count.into())?)
            }
        };
        let value = value.map(Span::told).transpose()?;
        Ok(ScalarValue::IntervalMonthDayNano(value))
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let Span {
            months,
            days,
            micros,
        } = self.sum;
        Ok([months, days, micros, self.count]
            .map(|number| ScalarValue::Int64(Some(number)))
            .to_vec())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [months, days, micros, counts] = states else {
            return Err(DataFusionError::Internal(
                "a sum of four numbers".to_owned(),
            ));
        };
        let [months, days, micros, counts] =
            [months, days, micros, counts].map(|numbers| numbers.as_primitive::<Int64Type>());
        for row in 0..counts.len() {
            if counts.is_null(row) {
                continue;
            }
            let part = Span {
                months: months.value(row),
                days: days.value(row),
                micros: micros.value(row),
            };
            self.sum = self.sum.plus(part)?;
            self.count += counts.value(row);
        }
        Ok(())
    }
}

/// The shortest or the longest of intervals.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    longest: bool,
    signature: Signature,
}

impl Extreme {
    fn function(longest: bool) -> Arc<AggregateUDF> {
        Arc::new(AggregateUDF::new_from_impl(Extreme {
            longest,
            signature: Signature::any(1, Volatility::Immutable),
        }))
    }
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &'static str {
        match self.longest {
            true => "longest",
            false => "shortest",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(SPAN)
    }

    fn accumulator(&self, _args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Found {
            found: None,
            longest: self.longest,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format!("{}[found]", args.name);
        Ok(vec![Arc::new(Field::new(name, SPAN, true))])
    }
}

#[derive(Debug)]
struct Found {
    found: Option<IntervalMonthDayNano>,
    longest: bool,
}

impl Accumulator for Found {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else {
            return Ok(());
        };
        let values = spans::of(values)?;
        // Of those of one length the same is given whatever comes first.
        let length = |span: IntervalMonthDayNano| {
            let span = Span::from(span);
            (span.length(), span.months, span.days)
        };
        for span in values.iter().flatten() {
            let better = self.found.is_none_or(|found| match self.longest {
                true => length(span) > length(found),
                false => length(span) < length(found),
            });
            if better {
                self.found = Some(span);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::IntervalMonthDayNano(self.found))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::IntervalMonthDayNano(self.found)])
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}
