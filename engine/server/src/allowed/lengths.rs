//! Functions whose result is as long as an argument says: bounded, since no memory pool sees what they make.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

use crate::sqlstate::ServerError;

/// Bytes or items that one call may make for one batch of rows; PostgreSQL stops at 1 GB a value.
const MADE_MAX: i64 = 256 << 20;

/// Function, place of the argument that says how long, and whether that is a factor of the first argument's length.
const BOUNDED: [(&str, usize, bool); 6] = [
    ("repeat", 1, true),
    ("lpad", 1, false),
    ("rpad", 1, false),
    ("array_repeat", 1, false),
    ("array_resize", 1, false),
    ("list_repeat", 1, false),
];
/// Functions that count from the first argument to the second.
const RANGES: [&str; 2] = ["range", "generate_series"];

/// Puts bounds on these functions of a context.
pub(super) fn bound(context: &SessionContext) {
    let state = context.state();
    let find = |name: &str| state.scalar_functions().get(name).map(Arc::clone);
    for (name, place, factor) in BOUNDED {
        if let Some(inner) = find(name) {
            let length = Length::Said { place, factor };
            context.register_udf(ScalarUDF::new_from_impl(Bounded { inner, length }));
        }
    }
    for name in RANGES {
        if let Some(inner) = find(name) {
            let length = Length::Range;
            context.register_udf(ScalarUDF::new_from_impl(Bounded { inner, length }));
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Length {
    Said { place: usize, factor: bool },
    Range,
}

/// A function that refuses to make too much.
#[derive(Debug)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    length: Length,
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner && self.length == other.length
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.name().hash(state);
        self.length.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.inner().return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.inner().coerce_types(types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if matches!(self.name(), "lpad" | "rpad") {
            not_below_zero(&mut args, 1)?;
        }
        let made = match self.length {
            Length::Said { place, factor } => said(&args, place, factor)?,
            Length::Range => ranged(&args)?,
        };
        if made > i128::from(MADE_MAX) {
            let text = format!("requested length too large for {}", self.name());
            let error = ServerError::new("54000", text);
            return Err(DataFusionError::External(Box::new(error)));
        }
        self.inner.invoke_with_args(args)
    }
}

/// A length below zero is none, which the function would take for a great one.
fn not_below_zero(args: &mut ScalarFunctionArgs, place: usize) -> Result<()> {
    if integers(args, place)?.iter().all(|length| *length >= 0) {
        return Ok(());
    }
    let Some(argument) = args.args.get_mut(place) else {
        return Ok(());
    };
    let lengths = cast(&argument.to_array(args.number_rows)?, &DataType::Int64)?;
    let lengths = lengths.as_primitive::<Int64Type>();
    let lengths: Int64Array = lengths.unary(|length| length.max(0));
    *argument = ColumnarValue::Array(cast(&lengths, &argument.data_type())?);
    Ok(())
}

/// An integer argument, one number a row; empty for an argument of another kind.
fn integers(args: &ScalarFunctionArgs, place: usize) -> Result<Vec<i64>> {
    let Some(argument) = args.args.get(place) else {
        return Ok(Vec::new());
    };
    if !argument.data_type().is_integer() {
        return Ok(Vec::new());
    }
    let array = cast(&argument.to_array(args.number_rows)?, &DataType::Int64)?;
    let array = array.as_primitive::<Int64Type>();
    Ok(array.iter().map(Option::unwrap_or_default).collect())
}

fn said(args: &ScalarFunctionArgs, place: usize, factor: bool) -> Result<i128> {
    let lengths = integers(args, place)?;
    let first = args.args.first();
    let is_text = |kind: DataType| {
        matches!(
            kind,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        )
    };
    let unit = match first {
        Some(first) if factor && is_text(first.data_type()) => {
            let texts = first.to_array(args.number_rows)?;
            Some(cast(&texts, &DataType::Utf8)?)
        }
        _ => None,
    };
    let mut sum = 0i128;
    for (row, length) in lengths.into_iter().enumerate() {
        let each = unit.as_ref().map_or(1, |texts| {
            let texts = texts.as_string::<i32>();
            if texts.is_valid(row) {
                texts.value(row).len()
            } else {
                0
            }
        });
        sum += i128::from(length.max(0)) * i128::try_from(each).unwrap_or(i128::MAX);
    }
    Ok(sum)
}

/// From the first argument to the second by the third; one argument counts from zero.
fn ranged(args: &ScalarFunctionArgs) -> Result<i128> {
    let (first, second) = (integers(args, 0)?, integers(args, 1)?);
    let steps = integers(args, 2)?;
    let mut sum = 0i128;
    for (row, first) in first.iter().enumerate() {
        let (start, end) = match second.get(row) {
            Some(second) => (*first, *second),
            None => (0, *first),
        };
        let step = steps.get(row).copied().unwrap_or(1).unsigned_abs().max(1);
        sum += (i128::from(end) - i128::from(start)).abs() / i128::from(step);
    }
    // Eight bytes a number.
    Ok(sum * 8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn run(sql: &str) -> std::result::Result<usize, ServerError> {
        let context = SessionContext::new();
        bound(&context);
        let frame = context.sql(sql).await?;
        let batches = frame.collect().await?;
        Ok(batches.iter().map(|batch| batch.num_rows()).sum())
    }

    #[tokio::test]
    async fn lengths_are_bounded_whatever_says_them() {
        for sql in [
            "select length(repeat('x', 2000000000))",
            "select length(repeat(repeat('x', 10000), 100000))",
            "select sum(length(repeat('x', value::bigint * 100000))) from generate_series(1, 8000)",
            "select length(lpad('x', 2000000000))",
            "select length(rpad('x', 2000000000, 'y'))",
            "select array_length(array_repeat(1, 2000000000))",
            "select array_length(array_resize([1], 2000000000, 0))",
            "select array_length(range(0, 9000000000000000000))",
            "select array_length(generate_series(-9000000000000000000, 9000000000000000000))",
        ] {
            let error = run(sql).await.unwrap_err();
            assert_eq!(error.code(), "54000", "{sql}: {error}");
        }
        for sql in [
            "select repeat('ab', 3), lpad('x', 5), rpad('x', 5, 'y'), array_repeat(1, 3)",
            "select range(5), range(1, 5), generate_series(1, 10, 2), repeat(null, 3), repeat('a', -1)",
            "select value, repeat('x', value::bigint) from generate_series(1, 3)",
        ] {
            assert!(run(sql).await.is_ok(), "{sql}");
        }
    }
}
