//! `generate_series(first, last, step)` of timestamps, dates and instants as a table and as an array.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray as _, ListArray, RecordBatch, TimestampMicrosecondArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::convert::convert;
use super::shift::next;
use super::spans::{self, Span};
use super::{LOCAL, SPAN, UTC, failed, instant_type, is_date, is_instant, is_local};
use crate::clock::Clock;
use crate::zone::is_endless;

/// Times that one call may give.
const MOST: usize = 4 << 20;

/// Lets the function of a context give times.
pub(super) fn install(context: &SessionContext) {
    let state = context.state();
    if let Some(inner) = state.table_functions().get("generate_series") {
        let inner = Arc::clone(inner);
        context.register_udtf("generate_series", Arc::new(WithTimes { inner }));
    }
    if let Some(inner) = state.scalar_functions().get(LISTED) {
        let inner = Arc::clone(inner);
        context.register_udf(ScalarUDF::new_from_impl(Listed {
            inner,
            signature: Signature::user_defined(Volatility::Immutable),
        }));
    }
}

#[derive(Debug)]
struct WithTimes {
    inner: Arc<TableFunction>,
}

impl TableFunctionImpl for WithTimes {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let values: Vec<Option<ScalarValue>> = args
            .exprs()
            .iter()
            .map(|arg| match arg {
                Expr::Literal(value, _) => Some(value.clone()),
                _ => None,
            })
            .collect();
        let clock = Clock::of(args.session().config_options());
        match values.as_slice() {
            [Some(first), Some(last), Some(step)] if is_time(first) || is_time(last) => {
                series(first, last, step, &clock)
            }
            _ => {
                // NULL of a type ends a series as any other.
                let plain = args.exprs().iter().map(|arg| match arg {
                    Expr::Literal(value, metadata) if value.is_null() => {
                        Expr::Literal(ScalarValue::Null, metadata.clone())
                    }
                    other => other.clone(),
                });
                let plain: Vec<Expr> = plain.collect();
                let args = TableFunctionArgs::new(&plain, args.session());
                self.inner.create_table_provider_with_args(args)
            }
        }
    }
}

fn is_time(value: &ScalarValue) -> bool {
    let of = value.data_type();
    is_local(&of) || is_instant(&of) || is_date(&of)
}

/// What a series of such values is of: dates are instants to PostgreSQL, since it has no series of them.
fn made_of(first: &DataType, last: &DataType) -> DataType {
    match is_local(first) || is_local(last) {
        true => LOCAL,
        false => instant_type(),
    }
}

fn series(
    first: &ScalarValue,
    last: &ScalarValue,
    step: &ScalarValue,
    clock: &Clock,
) -> Result<Arc<dyn TableProvider>> {
    let to = made_of(&first.data_type(), &last.data_type());
    let micros = |value: &ScalarValue| -> Result<Option<i64>> {
        let array = convert(&value.to_array()?, &to, clock)?;
        Ok(super::shift::micros(&array))
    };
    let step = spans::of(&convert(&step.to_array()?, &SPAN, clock)?)?;
    let step = step.iter().next().flatten().map(Span::from);
    let times = match (micros(first)?, micros(last)?, step) {
        (Some(first), Some(last), Some(step)) => between(first, last, step, &to, clock)?,
        _ => Vec::new(),
    };
    let times = TimestampMicrosecondArray::from(times);
    let times: ArrayRef = match is_instant(&to) {
        true => Arc::new(times.with_timezone(UTC)),
        false => Arc::new(times),
    };
    let schema = Arc::new(Schema::new(vec![Field::new("value", to, true)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![times])?;
    let table = MemTable::try_new(schema, vec![vec![batch]])?;
    Ok(Arc::new(table))
}

/// The times from the first to the last one, a step apart.
fn between(first: i64, last: i64, step: Span, to: &DataType, clock: &Clock) -> Result<Vec<i64>> {
    if step.length() == 0 {
        return Err(failed("22023", "step size cannot equal zero"));
    }
    if is_endless(first) || is_endless(last) {
        let text = "a series of infinite timestamps has no end";
        return Err(failed("22008", text));
    }
    let forth = step.length() > 0;
    let zone = is_instant(to).then_some(clock.zone);
    let mut times = Vec::new();
    let mut at = Some(first);
    while let Some(time) = at.filter(|time| if forth { *time <= last } else { *time >= last }) {
        if times.len() == MOST {
            let message = format!("generate_series of more than {MOST} timestamps");
            return Err(failed("54000", message));
        }
        times.push(time);
        // Each is the one before and a step: a month after 31 January goes on from 29 February.
        at = next(zone, time, step);
    }
    Ok(times)
}

/// What the function of arrays is called by that gives the rows of a series.
const LISTED: &str = "array_of_generate_series";

/// The planner's function, of times as PostgreSQL counts them.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Listed {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

fn has_times(types: &[DataType]) -> bool {
    let is_time = |of: &DataType| is_local(of) || is_instant(of) || is_date(of);
    types.len() == 3 && types.iter().take(2).any(is_time)
}

impl ScalarUDFImpl for Listed {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [first, last, _] if has_times(types) => {
                let to = made_of(first, last);
                Ok(vec![to.clone(), to, SPAN])
            }
            _ => crate::semantics::coerced(self.inner.as_ref(), types),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [first, last, _] if has_times(types) => {
                Ok(DataType::new_list(made_of(first, last), true))
            }
            _ => self.inner.return_type(types),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let [first, last, step] = args.args.as_slice() else {
            return self.inner.invoke_with_args(args);
        };
        if !has_times(&types) {
            return self.inner.invoke_with_args(args);
        }
        let clock = Clock::of(&args.config_options);
        let rows = args.number_rows;
        let to = made_of(&first.data_type(), &last.data_type());
        let micros = |value: &ColumnarValue| -> Result<ArrayRef> {
            let times = convert(&value.to_array(rows)?, &to, &clock)?;
            Ok(cast(&times, &DataType::Int64)?)
        };
        let (first, last) = (micros(first)?, micros(last)?);
        let (first, last) = (
            first.as_primitive::<Int64Type>(),
            last.as_primitive::<Int64Type>(),
        );
        let steps = spans::of(&convert(&step.to_array(rows)?, &SPAN, &clock)?)?;
        let mut times: Vec<i64> = Vec::new();
        let mut lengths = Vec::with_capacity(rows);
        for ((first, last), step) in first.iter().zip(last).zip(steps.iter()) {
            let made = match (first, last, step.map(Span::from)) {
                (Some(first), Some(last), Some(step)) => between(first, last, step, &to, &clock)?,
                _ => Vec::new(),
            };
            lengths.push(made.len());
            times.extend(made);
        }
        let times = TimestampMicrosecondArray::from(times);
        let times: ArrayRef = match is_instant(&to) {
            true => Arc::new(times.with_timezone(UTC)),
            false => Arc::new(times),
        };
        let item = Arc::new(Field::new_list_field(to, true));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let lists = ListArray::try_new(item, offsets, times, None)?;
        Ok(ColumnarValue::Array(Arc::new(lists)))
    }
}
