//! `generate_series(first, last, step)` of timestamps, dates and instants as a table.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::Expr;

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

fn series(
    first: &ScalarValue,
    last: &ScalarValue,
    step: &ScalarValue,
    clock: &Clock,
) -> Result<Arc<dyn TableProvider>> {
    // Dates are instants to PostgreSQL, since it has no series of them.
    let local = |value: &ScalarValue| is_local(&value.data_type());
    let to = if local(first) || local(last) {
        LOCAL
    } else {
        instant_type()
    };
    let micros = |value: &ScalarValue| -> Result<Option<i64>> {
        let array = convert(&value.to_array()?, &to, clock)?;
        Ok(super::shift::micros(&array))
    };
    let step = spans::of(&convert(&step.to_array()?, &SPAN, clock)?)?;
    let step = step.iter().next().flatten().map(Span::from);
    let mut times = Vec::new();
    if let (Some(first), Some(last), Some(step)) = (micros(first)?, micros(last)?, step) {
        if step.length() == 0 {
            return Err(failed("22023", "step size cannot equal zero"));
        }
        if is_endless(first) || is_endless(last) {
            return Err(failed(
                "22008",
                "a series of infinite timestamps has no end",
            ));
        }
        let forth = step.length() > 0;
        let zone = is_instant(&to).then_some(clock.zone);
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
    }
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
