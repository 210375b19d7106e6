//! Times as PostgreSQL has them: in the zone of the session, over all years, with intervals of months, days and hours.
//!
//! ```text
//! inside the engine             what SQL sees
//! Timestamp(µs, "UTC")          timestamptz: an instant; shown, read and taken apart by the clocks of the session
//! Timestamp(µs, None)           timestamp: what a clock shows, whatever the zone
//! Interval(MonthDayNano)        interval: three numbers, compared as if a month had 30 days and a day 24 hours
//! ```
//! An instant is in UTC whatever the session's zone is, so that filters compare columns as they are stored and scans
//! prune. The zone comes in where an instant meets a clock ([`convert`]): casts, `date_trunc`, `extract`, `to_char`,
//! days and months of intervals. The greatest and the least number of microseconds are the infinities.

mod convert;
mod format;
mod groups;
mod make;
mod now;
mod operators;
mod parse;
mod parts;
mod pattern;
mod series;
mod shift;
mod spans;
mod sums;
mod trunc;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::registry::FunctionRegistry as _;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

pub(crate) use convert::convert;
pub(super) use convert::{cast, converts};
pub(super) use groups::grouped;
pub(super) use operators::{comparable, compares, settled};
pub(crate) use shift::age_between;
pub(super) use spans::key;

use crate::clock::Clock;
use crate::pg_types::{ANY_SCALE, PgType};
use crate::sqlstate::ServerError;

/// The zone that instants have inside the engine.
const UTC: &str = "UTC";
/// `interval`.
const SPAN: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
/// `timestamp`.
const LOCAL: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);
/// `time`.
const TIME: DataType = DataType::Time64(TimeUnit::Nanosecond);

/// `timestamptz`.
fn instant_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

/// Gives a context PostgreSQL's functions and operators of time.
pub(super) fn install(context: &SessionContext) {
    let all = [
        now::functions(),
        parts::functions(),
        trunc::functions(),
        shift::functions(),
        spans::functions(),
        make::functions(),
        format::functions(),
        vec![convert::timezone(), parse::to_date()],
    ];
    for function in all.into_iter().flatten() {
        context.register_udf(ScalarUDF::new_from_impl(function));
    }
    sums::install(context);
    series::install(context);
    let state = context.state_ref();
    let planner = state
        .write()
        .register_expr_planner(Arc::new(operators::Times));
    if let Err(error) = planner {
        tracing::error!(%error, "a session without the operators of times");
    }
}

/// A call of a function: its arguments as columns, and the clock.
struct Call {
    args: Vec<ArrayRef>,
    rows: usize,
    clock: Clock,
    /// The type of the result.
    to: DataType,
}

impl Call {
    fn arg(&self, at: usize) -> Result<&ArrayRef> {
        let arg = self.args.get(at);
        arg.ok_or_else(|| DataFusionError::Internal("an argument that is not there".to_owned()))
    }
}

/// The type of a result, from types of arguments and what is known of their values.
type Returns = fn(&[DataType], &[Option<&ScalarValue>]) -> Result<DataType>;
type Run = fn(&Call) -> Result<ArrayRef>;

/// A function of time.
struct Function {
    name: &'static str,
    returns: Returns,
    run: Run,
    signature: Signature,
    /// Other names that the planner knows it by.
    aliases: Vec<String>,
}

impl Function {
    /// The function under another name as well.
    fn also(mut self, alias: &str) -> Self {
        self.aliases.push(alias.to_owned());
        self
    }

    /// A function that gives the same in a statement: it may ask the clock.
    fn new(name: &'static str, returns: Returns, run: Run) -> Self {
        Self::with(name, returns, run, Volatility::Stable)
    }

    fn with(name: &'static str, returns: Returns, run: Run, volatility: Volatility) -> Self {
        let signature = Signature::user_defined(volatility);
        Self {
            name,
            returns,
            run,
            signature,
            aliases: Vec::new(),
        }
    }

    fn call(self, args: Vec<Expr>) -> Expr {
        let function = Arc::new(ScalarUDF::new_from_impl(self));
        Expr::ScalarFunction(ScalarFunction::new_udf(function, args))
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .finish()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    // A context that is copied has its functions registered anew: those of the planner under the names left to them.
    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        (self.returns)(types, &vec![None; types.len()])
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args
            .arg_fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let to = (self.returns)(&types, args.scalar_arguments)?;
        let decimal = to.is_decimal();
        let field = Field::new(self.name, to, true);
        Ok(Arc::new(match decimal {
            // PostgreSQL says nothing of the digits.
            true => field.with_metadata([(ANY_SCALE.to_owned(), String::new())].into()),
            false => field,
        }))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        (self.returns)(types, &vec![None; types.len()])?;
        Ok(types.to_vec())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(_));
        let constant =
            args.args.iter().all(scalar) && self.signature.volatility != Volatility::Volatile;
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows));
        let call = Call {
            args: arrays.collect::<Result<_>>()?,
            rows,
            clock: Clock::of(&args.config_options),
            to: args.return_field.data_type().clone(),
        };
        let made = (self.run)(&call)?;
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    }
}

/// An error of PostgreSQL's.
fn failed(code: &'static str, message: impl Into<String>) -> DataFusionError {
    DataFusionError::External(Box::new(ServerError::new(code, message.into())))
}

fn out_of_range(what: &str) -> DataFusionError {
    failed("22008", format!("{what} out of range"))
}

/// 42883 for a call with arguments that the function does not have.
pub(super) fn no_function<T>(name: &str, types: &[DataType]) -> Result<T> {
    let types: Vec<&str> = types
        .iter()
        .map(|data_type| PgType::of_arrow(data_type).sql_name())
        .collect();
    let message = format!("function {name}({}) does not exist", types.join(", "));
    let error = ServerError::new("42883", message).hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    );
    Err(DataFusionError::External(Box::new(error)))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// Dates, times, timestamps and intervals, and the texts and NULLs that may be one.
fn may_be_of_time(data_type: &DataType) -> bool {
    is_instant(data_type)
        || is_local(data_type)
        || is_date(data_type)
        || is_time(data_type)
        || is_span(data_type)
        || is_text(data_type)
        || *data_type == DataType::Null
}

fn is_local(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, None))
}

fn is_instant(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, Some(_)))
}

fn is_date(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64)
}

fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Time32(_) | DataType::Time64(_))
}

fn is_span(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || data_type.is_decimal()
}
