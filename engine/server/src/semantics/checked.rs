//! Sums, differences and products of integers that fail where the result leaves its type; quotients and products of
//! floats that fail where there is none, or, in conditions, give infinity and NaN. There is one NaN, greater than all
//! numbers: that which processors make has a sign, by which it would be less.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array as _, ArrayRef, ArrowPrimitiveType, AsArray as _, Datum};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::numeric::{add, div, mul, sub};
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// What is done where there is no such number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mode {
    /// An error; in a condition that it was moved into, nothing.
    Fails,
    /// An error in the condition that it stands in, which is asked of the rows that PostgreSQL asks.
    FailsHere,
    /// No error.
    Quiet,
}

/// The checked form of an operation on two numbers of one type.
pub(super) fn call(op: Operator, left: &Expr, right: &Expr) -> Expr {
    in_mode(Mode::Fails, op, left, right)
}

/// The form of an operation on two numbers of one type that has this mode.
pub(super) fn in_mode(mode: Mode, op: Operator, left: &Expr, right: &Expr) -> Expr {
    static FORMS: LazyLock<[[Arc<ScalarUDF>; 4]; 3]> =
        LazyLock::new(|| [Mode::Fails, Mode::FailsHere, Mode::Quiet].map(Checked::forms));
    let [fails, here, quiet] = &*FORMS;
    let forms = match mode {
        Mode::Fails => fails,
        Mode::FailsHere => here,
        Mode::Quiet => quiet,
    };
    of_two(forms, op, left, right)
}

/// An operation on two floats that never fails.
pub(super) fn quiet(op: Operator, left: &Expr, right: &Expr) -> Expr {
    in_mode(Mode::Quiet, op, left, right)
}

fn of_two(forms: &[Arc<ScalarUDF>; 4], op: Operator, left: &Expr, right: &Expr) -> Expr {
    let [add, subtract, multiply, divide] = forms;
    let function = match op {
        Operator::Plus => add,
        Operator::Minus => subtract,
        Operator::Divide => divide,
        _ => multiply,
    };
    let args = vec![left.clone(), right.clone()];
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), args))
}

/// The mode of a checked division of floats; `None` for any other call.
pub(super) fn mode_of_division(call: &ScalarFunction) -> Option<Mode> {
    let (op, mode) = operation(call)?;
    (op == Operator::Divide).then_some(mode)
}

/// What a checked call does, and its mode; `None` for any other call. Of integers every mode fails.
pub(super) fn operation(call: &ScalarFunction) -> Option<(Operator, Mode)> {
    let function = call.func.inner().downcast_ref::<Checked>()?;
    Some((function.op, function.mode))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    op: Operator,
    mode: Mode,
    signature: Signature,
}

impl Checked {
    /// Sum, difference, product and quotient.
    fn forms(mode: Mode) -> [Arc<ScalarUDF>; 4] {
        use Operator::{Divide, Minus, Multiply, Plus};
        [Plus, Minus, Multiply, Divide].map(|op| Self::made(op, mode))
    }

    fn made(op: Operator, mode: Mode) -> Arc<ScalarUDF> {
        let signature = Signature::any(2, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Self {
            op,
            mode,
            signature,
        }))
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &'static str {
        match (self.op, self.mode != Mode::Quiet) {
            (Operator::Plus, true) => "checked_add",
            (Operator::Plus, false) => "float_add",
            (Operator::Minus, true) => "checked_subtract",
            (Operator::Minus, false) => "float_subtract",
            (Operator::Divide, true) => "checked_divide",
            (Operator::Divide, false) => "float_divide",
            (_, true) => "checked_multiply",
            (_, false) => "float_multiply",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Int64))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let operation = match self.op {
            Operator::Plus => add,
            Operator::Minus => sub,
            Operator::Divide => div,
            _ => mul,
        };
        let [left, right] = args.args.as_slice() else {
            return Err(DataFusionError::Internal("an operation of two".to_owned()));
        };
        let result = operation(&*datum(left)?, &*datum(right)?);
        let result = result.map_err(|error| told(error, &left.data_type()))?;
        if self.mode != Mode::Quiet {
            self.finite(&result, left, right)?;
        }
        let result = one_nan(result);
        let both = [left, right].map(|side| matches!(side, ColumnarValue::Scalar(_)));
        Ok(match both {
            [true, true] => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
            _ => ColumnarValue::Array(result),
        })
    }
}

impl Checked {
    /// Nothing but what was infinite before, or is unknown, gives an infinite float.
    ///
    /// # Errors
    /// 22012 for a quotient of zero, 22003 for what is greater than any, or nearer to zero.
    fn finite(&self, result: &ArrayRef, left: &ColumnarValue, right: &ColumnarValue) -> Result<()> {
        // A sum or difference is never too small.
        let shrinks = matches!(self.op, Operator::Multiply | Operator::Divide);
        let suspect = match result.data_type() {
            DataType::Float64 => {
                let values = result.as_primitive::<Float64Type>().values();
                let suspect = |value: &f64| !value.is_finite() || (shrinks && *value == 0.0);
                values.iter().any(suspect)
            }
            DataType::Float32 => {
                let values = result.as_primitive::<Float32Type>().values();
                let suspect = |value: &f32| !value.is_finite() || (shrinks && *value == 0.0);
                values.iter().any(suspect)
            }
            _ => false,
        };
        if !suspect {
            return Ok(());
        }
        let floats = |value: &ColumnarValue| -> Result<ArrayRef> {
            let array = value.to_array(result.len())?;
            Ok(cast(&array, &DataType::Float64)?)
        };
        let (left, right) = (floats(left)?, floats(right)?);
        let (left, right) = (
            left.as_primitive::<Float64Type>(),
            right.as_primitive::<Float64Type>(),
        );
        let of = |code, text: &str| {
            let error = crate::sqlstate::ServerError::new(code, text);
            DataFusionError::External(Box::new(error))
        };
        for row in (0..result.len()).filter(|row| result.is_valid(*row)) {
            let (a, b) = (left.value(row), right.value(row));
            if self.op == Operator::Divide && b == 0.0 && !a.is_nan() {
                return Err(of("22012", "division by zero"));
            }
            let made = match result.data_type() {
                DataType::Float32 => f64::from(result.as_primitive::<Float32Type>().value(row)),
                _ => result.as_primitive::<Float64Type>().value(row),
            };
            if made.is_infinite() && a.is_finite() && b.is_finite() {
                return Err(of("22003", "value out of range: overflow"));
            }
            let lost = match self.op {
                Operator::Multiply => b != 0.0,
                Operator::Divide => !b.is_infinite(),
                _ => false,
            };
            if lost && made == 0.0 && a != 0.0 {
                return Err(of("22003", "value out of range: underflow"));
            }
        }
        Ok(())
    }
}

/// The same floats with the NaN that has no sign.
fn one_nan(floats: ArrayRef) -> ArrayRef {
    fn mended<T: ArrowPrimitiveType>(floats: &ArrayRef, nan: T::Native) -> Option<ArrayRef>
    where
        T::Native: Into<f64>,
    {
        let floats = floats.as_primitive_opt::<T>()?;
        let is_nan = |value: T::Native| value.into().is_nan();
        if !floats.values().iter().any(|value| is_nan(*value)) {
            return None;
        }
        let one = |value| if is_nan(value) { nan } else { value };
        Some(Arc::new(floats.unary::<_, T>(one)))
    }
    let mended = match floats.data_type() {
        DataType::Float64 => mended::<Float64Type>(&floats, f64::NAN),
        DataType::Float32 => mended::<Float32Type>(&floats, f32::NAN),
        _ => None,
    };
    mended.unwrap_or(floats)
}

fn datum(value: &ColumnarValue) -> Result<Box<dyn Datum>> {
    Ok(match value {
        ColumnarValue::Array(array) => Box::new(Arc::clone(array)),
        ColumnarValue::Scalar(scalar) => Box::new(scalar.to_scalar()?),
    })
}

/// As PostgreSQL says it.
fn told(error: ArrowError, data_type: &DataType) -> DataFusionError {
    let name = match data_type {
        DataType::Int8 | DataType::Int16 => "smallint",
        DataType::Int32 => "integer",
        _ => "bigint",
    };
    match error {
        ArrowError::ArithmeticOverflow(_) => DataFusionError::External(Box::new(
            crate::sqlstate::ServerError::new("22003", format!("{name} out of range")),
        )),
        other => DataFusionError::from(other),
    }
}
