//! Arrays in PostgreSQL's order: item by item, where NULL is the greatest, then by their dimensions. Comparisons, joins,
//! extremes and sorts go by keys: to the planner NULL is the least, and arrays of arrays it does not compare.

use std::mem::size_of_val;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array as _, ArrayRef, BinaryArray, ListArray, UInt64Array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::{SortOptions, take};
use datafusion::arrow::datatypes::{DataType, Field, Int32Type};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, BinaryExpr, Expr, ExprSchemable as _, Join,
    LogicalPlan, Operator, ScalarUDF, Signature, Volatility, WindowFunctionDefinition,
};

use super::super::key::{Key, between_keys, call};
use super::{dimensions, lists, range};

/// A comparison of arrays by their keys; `None` for any other expression, and for arrays of plain values that are equal
/// or not.
pub(in crate::semantics) fn comparable(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    if let Expr::Between(between) = expr {
        let is_array = |side: &Expr| {
            let data_type = side.get_type(schema);
            data_type.is_ok_and(|data_type| dimensions(&data_type) > 0)
        };
        let parts = [&between.expr, &between.low, &between.high];
        return parts
            .iter()
            .all(|part| is_array(part))
            .then(|| between_keys(between, key));
    }
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else {
        return None;
    };
    let least = match op {
        Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => 1,
        Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => {
            2
        }
        _ => return None,
    };
    let is_array = |side: &Expr| {
        let data_type = side.get_type(schema);
        data_type.is_ok_and(|data_type| dimensions(&data_type) >= least)
    };
    if !is_array(left) || !is_array(right) {
        return None;
    }
    let side = |side: &Expr| Box::new(key(side.clone()));
    Some(Expr::BinaryExpr(BinaryExpr::new(
        side(left),
        *op,
        side(right),
    )))
}

/// A join whose equal columns are compared by their keys.
pub(in crate::semantics) fn joined(node: LogicalPlan) -> Transformed<LogicalPlan> {
    let LogicalPlan::Join(join) = node else {
        return Transformed::no(node);
    };
    let nested = |side: &Expr, schema: &DFSchema| {
        let data_type = side.get_type(schema);
        data_type.is_ok_and(|data_type| dimensions(&data_type) > 1)
    };
    let is_nested = |(left, right): &(Expr, Expr)| {
        nested(left, join.left.schema()) && nested(right, join.right.schema())
    };
    if !join.on.iter().any(is_nested) {
        return Transformed::no(LogicalPlan::Join(join));
    }
    let on = join.on.iter().map(|pair| match is_nested(pair) {
        true => (key(pair.0.clone()), key(pair.1.clone())),
        false => pair.clone(),
    });
    let on = on.collect();
    Transformed::yes(LogicalPlan::Join(Join { on, ..join }))
}

/// `min` and `max` of arrays, in place of the planner's; `None` for any other expression.
pub(in crate::semantics) fn extreme(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    static MIN: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| Extreme::function(false));
    static MAX: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| Extreme::function(true));
    let function = |name: &str, args: &[Expr]| {
        let greatest = match name {
            "min" => false,
            "max" => true,
            _ => return None,
        };
        let data_type = args.first()?.get_type(schema).ok()?;
        let known: &Arc<AggregateUDF> = if greatest { &MAX } else { &MIN };
        (dimensions(&data_type) > 0).then(|| Arc::clone(known))
    };
    match expr {
        Expr::AggregateFunction(aggregate) if !is_extreme(&aggregate.func) => {
            let params = aggregate.params.clone();
            let func = function(aggregate.func.name(), &params.args)?;
            Some(Expr::AggregateFunction(AggregateFunction { func, params }))
        }
        Expr::WindowFunction(window) => {
            if let WindowFunctionDefinition::AggregateUDF(known) = &window.fun
                && is_extreme(known)
            {
                return None;
            }
            let func = function(window.fun.name(), &window.params.args)?;
            let mut changed = WindowFunction::clone(window);
            changed.fun = WindowFunctionDefinition::AggregateUDF(func);
            Some(Expr::WindowFunction(Box::new(changed)))
        }
        _ => None,
    }
}

fn is_extreme(function: &AggregateUDF) -> bool {
    function.inner().downcast_ref::<Extreme>().is_some()
}

/// What an array is sorted by; `None` for any other value.
pub(in crate::semantics) fn sorted(by: &Expr, schema: &DFSchema) -> Option<Expr> {
    let data_type = by.get_type(schema).ok()?;
    (dimensions(&data_type) > 0).then(|| key(by.clone()))
}

fn key(array: Expr) -> Expr {
    static KEY: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Key::function("array_key", keys));
    call(&KEY, array)
}

fn keys(array: &ArrayRef) -> Result<BinaryArray> {
    let Some(list) = lists(array)? else {
        return Err(DataFusionError::Internal("keys of no arrays".to_owned()));
    };
    let shapes = shapes(&list)?;
    let flat: ArrayRef = Arc::new(flat(&list)?);
    // A NULL among items is greater than any.
    let options = SortOptions {
        descending: false,
        nulls_first: false,
    };
    let field = |array: &ArrayRef| SortField::new_with_options(array.data_type().clone(), options);
    let converter = RowConverter::new(vec![field(&flat), field(&shapes)])?;
    let rows = converter.convert_columns(&[flat, shapes])?;
    Ok((0..list.len())
        .map(|row| list.is_valid(row).then(|| rows.row(row).as_ref().to_vec()))
        .collect())
}

/// Each array with its items in one row, whatever its dimensions.
pub(super) fn flat(list: &ListArray) -> Result<ListArray> {
    let mut bounds: Vec<(usize, usize)> = (0..list.len()).map(|row| range(list, row)).collect();
    let mut values = Arc::clone(list.values());
    while let Some(inner) = lists(&values)? {
        for (from, to) in &mut bounds {
            let (begin, end) = match *from < *to {
                true => (range(&inner, *from).0, range(&inner, *to - 1).1),
                false => (0, 0),
            };
            (*from, *to) = (begin, end);
        }
        values = Arc::clone(inner.values());
    }
    let places = bounds.iter().flat_map(|(from, to)| *from..*to);
    let places = places.map(|at| u64::try_from(at).ok());
    let items = take(&values, &places.collect::<UInt64Array>(), None)?;
    Ok(ListArray::try_new(
        Arc::new(Field::new_list_field(items.data_type().clone(), true)),
        OffsetBuffer::from_lengths(bounds.iter().map(|(from, to)| to - from)),
        items,
        list.nulls().cloned(),
    )?)
}

/// How long each array is in each dimension; an empty one has none.
fn shapes(list: &ListArray) -> Result<ArrayRef> {
    let mut all: Vec<Option<Vec<Option<i32>>>> = Vec::with_capacity(list.len());
    let mut places: Vec<Option<usize>> = (0..list.len()).map(Some).collect();
    all.resize(list.len(), Some(Vec::new()));
    let mut level = Some(list.clone());
    while let Some(list) = level {
        for (place, shape) in places.iter_mut().zip(&mut all) {
            let Some((from, to)) = place.map(|place| range(&list, place)) else {
                continue;
            };
            if from < to
                && let Some(shape) = shape
            {
                shape.push(i32::try_from(to - from).ok());
            }
            *place = (from < to).then_some(from);
        }
        level = lists(list.values())?;
    }
    Ok(Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(
        all,
    )))
}

/// The least or the greatest of arrays.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    greatest: bool,
    signature: Signature,
}

impl Extreme {
    fn function(greatest: bool) -> Arc<AggregateUDF> {
        let signature = Signature::any(1, Volatility::Immutable);
        Arc::new(AggregateUDF::new_from_impl(Self {
            greatest,
            signature,
        }))
    }
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &'static str {
        match self.greatest {
            true => "max",
            false => "min",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().map_or(DataType::Null, DataType::clone))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Best {
            greatest: self.greatest,
            key: Vec::new(),
            found: ScalarValue::try_from(args.return_type())?,
        }))
    }
}

#[derive(Debug)]
struct Best {
    greatest: bool,
    key: Vec<u8>,
    found: ScalarValue,
}

impl Accumulator for Best {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else {
            return Ok(());
        };
        let keys = keys(values)?;
        let known = keys.iter().enumerate();
        let known = known.filter_map(|(row, key)| key.map(|key| (key, row)));
        let best = match self.greatest {
            true => known.max(),
            false => known.min(),
        };
        let Some((key, row)) = best else {
            return Ok(());
        };
        let better = match self.greatest {
            true => key > self.key.as_slice(),
            false => key < self.key.as_slice(),
        };
        if self.found.is_null() || better {
            self.key = key.to_vec();
            // Not the whole batch that it came in.
            self.found = ScalarValue::try_from_array(values, row)?.compacted();
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.found.clone()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.found.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.key.capacity() + self.found.size()
    }
}
