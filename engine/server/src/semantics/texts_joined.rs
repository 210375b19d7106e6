//! `string_agg` of values in an order of its own: beside another order the planner has none of them, as it sorts the rows
//! of a group once. Of those that find their rows sorted otherwise each sorts its values itself, as `array_agg` does.
//!
//! ORDER BY within what does not hang on it says nothing: `count(x ORDER BY y)`, of which the planner counts the values of
//! `y` that are not NULL.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray as _};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::functions_aggregate::array_agg::ArrayAgg;
use datafusion::functions_aggregate::string_agg::string_agg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, GroupsAccumulator, ReversedUDAF, Signature,
};
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::expressions::Literal;

/// Gives a context its own function.
pub(super) fn install(context: &SessionContext) {
    context.register_udaf(AggregateUDF::new_from_impl(Joined { sorted: false }));
}

/// Aggregates that are the same in any order.
const IN_ANY_ORDER: [&str; 19] = [
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "grouping",
    "max",
    "min",
    "regr_count",
    "stddev",
    "stddev_pop",
    "sum",
    "var",
    "var_pop",
];

/// An aggregate without an order that it does not hang on; `None` for any other expression.
pub(super) fn unordered(expr: &Expr) -> Option<Expr> {
    let Expr::AggregateFunction(called) = expr else {
        return None;
    };
    if called.params.order_by.is_empty() || !IN_ANY_ORDER.contains(&called.func.name()) {
        return None;
    }
    let mut called = called.clone();
    called.params.order_by = Vec::new();
    Some(Expr::AggregateFunction(called))
}

/// `string_agg`, whose rows may be sorted for it already.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    sorted: bool,
}

/// Values and what they are sorted by, without what stands between them.
fn without_delimiter<T: Clone>(values: &[T]) -> Vec<T> {
    let others = values.iter().enumerate().filter(|(at, _)| *at != 1);
    others.map(|(_, value)| value.clone()).collect()
}

impl Joined {
    fn values(&self) -> Result<Arc<dyn AggregateUDFImpl>> {
        let values = Arc::new(ArrayAgg::default());
        match self.sorted {
            true => Ok(Arc::clone(&values)
                .with_beneficial_ordering(true)?
                .unwrap_or(values)),
            false => Ok(values),
        }
    }
}

impl AggregateUDFImpl for Joined {
    fn name(&self) -> &'static str {
        "string_agg"
    }

    fn signature(&self) -> &Signature {
        static PLANNED: std::sync::LazyLock<Arc<AggregateUDF>> =
            std::sync::LazyLock::new(string_agg_udaf);
        PLANNED.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        string_agg_udaf().return_type(types)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        string_agg_udaf().state_fields(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::SoftRequirement
    }

    fn with_beneficial_ordering(
        self: Arc<Self>,
        sorted: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        Ok(Some(Arc::new(Self { sorted })))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Reversed(Arc::new(AggregateUDF::new_from_impl(Self {
            sorted: self.sorted,
        })))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if args.order_bys.is_empty() {
            return string_agg_udaf().accumulator(args);
        }
        if args.is_distinct {
            // They are sorted at the end, whatever way the rows came in.
            let by = args.order_bys.iter().cloned();
            let by: Vec<PhysicalSortExpr> = by
                .map(|by| match args.is_reversed {
                    true => by.reverse(),
                    false => by,
                })
                .collect();
            return string_agg_udaf().accumulator(AccumulatorArgs {
                order_bys: &by,
                ..args
            });
        }
        let delimiter = args.exprs.get(1).and_then(|expr| {
            let literal = expr.downcast_ref::<Literal>()?;
            match literal.value() {
                value if value.is_null() => Some(String::new()),
                value => Some(value.try_as_str()??.to_owned()),
            }
        });
        let Some(delimiter) = delimiter else {
            return string_agg_udaf().accumulator(args);
        };
        let list = DataType::new_list(args.return_field.data_type().clone(), true);
        let values = self.values()?.accumulator(AccumulatorArgs {
            return_field: Arc::new(Field::new("values", list, true)),
            exprs: &without_delimiter(args.exprs),
            expr_fields: &without_delimiter(args.expr_fields),
            schema: args.schema,
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys,
            is_reversed: args.is_reversed,
            name: args.name,
            is_distinct: args.is_distinct,
        })?;
        Ok(Box::new(Gathered { values, delimiter }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        string_agg_udaf().groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        string_agg_udaf().create_groups_accumulator(args)
    }
}

/// Values in their order, put together at the end.
#[derive(Debug)]
struct Gathered {
    values: Box<dyn Accumulator>,
    delimiter: String,
}

impl Accumulator for Gathered {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.update_batch(&without_delimiter(values))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let ScalarValue::List(list) = self.values.evaluate()? else {
            let text = "values to put together are no array";
            return Err(DataFusionError::Internal(text.to_owned()));
        };
        let texts = cast(list.values(), &DataType::LargeUtf8)?;
        let texts: Vec<&str> = texts.as_string::<i64>().iter().flatten().collect();
        let joined = (!texts.is_empty()).then(|| texts.join(&self.delimiter));
        Ok(ScalarValue::LargeUtf8(joined))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.values.size() + self.delimiter.capacity()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.values.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.values.merge_batch(states)
    }
}
