//! Aggregates over frames that rows leave, which the planner has for those alone that can take a row back: the others are
//! made again of the rows that a frame still has. So are those of floats: what was added to one is not taken back by
//! subtraction, and never from NaN.
//!
//! ```text
//! bool_or(b) OVER (ORDER BY i ROWS 1 PRECEDING)   ─►   of the rows between that row and this one
//! ```
//! Frames that rows only come to are not asked to give one back.

use std::collections::VecDeque;
use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{FieldRef, Schema};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, ExprSchemable as _, WindowFunctionDefinition,
};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

use super::wrapped::{as_inner, signed_as_inner};

/// Aggregates that take no row back.
const FORWARD: [&str; 6] = [
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "string_agg",
];

/// Whether it is one of this module's.
pub(super) fn is_framed(function: &AggregateUDF) -> bool {
    function.inner().downcast_ref::<Framed>().is_some()
}

/// Aggregates that are computed in floats, whatever they are of.
const OF_FLOATS: [&str; 19] = [
    "corr",
    "covar",
    "covar_pop",
    "covar_samp",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "var",
    "var_pop",
    "var_samp",
];

/// Whether an aggregate of these arguments takes a row back, if it does, by subtraction of floats.
fn subtracts(function: &str, args: &[Expr], schema: &DFSchema) -> bool {
    let is_float = |arg: &Expr| arg.get_type(schema).is_ok_and(|of| of.is_floating());
    OF_FLOATS.contains(&function)
        || (matches!(function, "sum" | "avg") && args.iter().any(is_float))
}

/// A call over a window of an aggregate that takes no row back, as one that does; `None` for any other expression.
pub(super) fn sliding(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::WindowFunction(window) = expr else {
        return None;
    };
    let WindowFunctionDefinition::AggregateUDF(inner) = &window.fun else {
        return None;
    };
    let is_forward = FORWARD.contains(&inner.name());
    if is_framed(inner) || !(is_forward || subtracts(inner.name(), &window.params.args, schema)) {
        return None;
    }
    let mut changed = WindowFunction::clone(window);
    let framed = Framed {
        inner: Arc::clone(inner),
    };
    let framed = Arc::new(AggregateUDF::new_from_impl(framed));
    changed.fun = WindowFunctionDefinition::AggregateUDF(framed);
    Some(Expr::WindowFunction(Box::new(changed)))
}

/// The planner's function, also over frames that rows leave.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Framed {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Framed {
    as_inner!();
    signed_as_inner!();

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Kept {
            made: Made::of(&self.inner, &args),
            batches: VecDeque::new(),
            left: 0,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }
}

/// What an aggregate is made with.
#[derive(Debug)]
struct Made {
    function: Arc<AggregateUDF>,
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    name: String,
    is_distinct: bool,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
}

impl Made {
    fn of(function: &Arc<AggregateUDF>, args: &AccumulatorArgs<'_>) -> Self {
        Self {
            function: Arc::clone(function),
            return_field: Arc::clone(&args.return_field),
            schema: args.schema.clone(),
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys.to_vec(),
            is_reversed: args.is_reversed,
            name: args.name.to_owned(),
            is_distinct: args.is_distinct,
            exprs: args.exprs.to_vec(),
            expr_fields: args.expr_fields.to_vec(),
        }
    }

    fn again(&self) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(AccumulatorArgs {
            return_field: Arc::clone(&self.return_field),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: self.is_distinct,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        })
    }
}

/// The rows that a frame has, in the batches that they came in.
#[derive(Debug)]
struct Kept {
    made: Made,
    batches: VecDeque<Vec<ArrayRef>>,
    /// Rows of the first batch that have left.
    left: usize,
}

/// Batches above which they are put into one: rows come one by one, and an aggregate of many small arrays is slow.
const BATCHES_MAX: usize = 64;

impl Kept {
    /// The rows that are left, batch by batch.
    fn present(&self) -> impl Iterator<Item = Vec<ArrayRef>> {
        self.batches.iter().enumerate().map(|(at, batch)| {
            let left = if at == 0 { self.left } else { 0 };
            let rest = |array: &ArrayRef| array.slice(left, array.len().saturating_sub(left));
            batch.iter().map(rest).collect()
        })
    }

    /// One batch of all rows.
    fn put_together(&mut self) -> Result<()> {
        let present: Vec<Vec<ArrayRef>> = self.present().collect();
        let width = present.first().map_or(0, Vec::len);
        let columns = (0..width).map(|at| {
            let column = present.iter().filter_map(|batch| batch.get(at));
            let column: Vec<&dyn Array> = column.map(AsRef::as_ref).collect();
            Ok(concat(&column)?)
        });
        let whole = columns.collect::<Result<Vec<ArrayRef>>>()?;
        self.batches = VecDeque::from([whole]);
        self.left = 0;
        Ok(())
    }
}

/// Rows of a batch.
fn rows(batch: &[ArrayRef]) -> usize {
    batch.first().map_or(0, |array| array.len())
}

impl Accumulator for Kept {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if rows(values) > 0 {
            self.batches.push_back(values.to_vec());
        }
        match self.batches.len() > BATCHES_MAX {
            true => self.put_together(),
            false => Ok(()),
        }
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.left += rows(values);
        while let Some(first) = self.batches.front().map(|batch| rows(batch)) {
            if self.left < first {
                break;
            }
            self.left -= first;
            self.batches.pop_front();
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut made = self.made.again()?;
        for batch in self.present() {
            made.update_batch(&batch)?;
        }
        made.evaluate()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Err(not_in_parts())
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        Err(not_in_parts())
    }

    fn size(&self) -> usize {
        let arrays = self.batches.iter().flatten();
        size_of_val(self)
            + arrays
                .map(|array| array.get_array_memory_size())
                .sum::<usize>()
    }
}

fn not_in_parts() -> DataFusionError {
    DataFusionError::Internal("an aggregate over a frame is not put together of parts".to_owned())
}
