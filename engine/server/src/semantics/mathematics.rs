//! Functions of floats as PostgreSQL has them: of double precision whatever they are given, and an error where there is no
//! such number.
//!
//! ```text
//! ln(0)                           ─►   2201E, cannot take logarithm of zero
//! exp(1000)                       ─►   22003, value out of range: overflow
//! WHERE x > 0 AND ln(x) > 1       ─►   asked only where x > 0 ([`super::guards`])
//! ```
//! A condition that may be asked of rows which PostgreSQL leaves out before has the quiet form: NULL where there is no
//! such number.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, Float64Array};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::types::{NativeType, logical_float64};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    Coercion, ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, TypeSignatureClass, Volatility,
};

use super::checked::Mode;
use crate::mathematics::{FUNCTIONS, Form, Number};
use crate::sqlstate::ServerError;

/// Makes the functions of a context fail as PostgreSQL's do.
pub(super) fn install(context: &SessionContext) {
    for (place, (name, _)) in FUNCTIONS.iter().enumerate() {
        let function = ScalarUDF::clone(&Mathematics::function(place, Mode::Fails));
        context.register_udf(match *name {
            "power" => function.with_aliases(["pow"]),
            _ => function,
        });
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mathematics {
    /// Its place among the functions.
    place: usize,
    mode: Mode,
    signature: Signature,
}

impl Mathematics {
    fn function(place: usize, mode: Mode) -> Arc<ScalarUDF> {
        static FORMS: LazyLock<Vec<[Arc<ScalarUDF>; 3]>> = LazyLock::new(|| {
            let made =
                |place, mode| Arc::new(ScalarUDF::new_from_impl(Mathematics::of(place, mode)));
            let modes = [Mode::Fails, Mode::FailsHere, Mode::Quiet];
            let all = (0..FUNCTIONS.len()).map(|place| modes.map(|mode| made(place, mode)));
            all.collect()
        });
        let [fails, here, quiet] = &FORMS[place];
        Arc::clone(match mode {
            Mode::Fails => fails,
            Mode::FailsHere => here,
            Mode::Quiet => quiet,
        })
    }

    fn of(place: usize, mode: Mode) -> Self {
        let float = Coercion::new_implicit(
            TypeSignatureClass::Native(logical_float64()),
            vec![TypeSignatureClass::Numeric],
            NativeType::Float64,
        );
        let of = |count: usize| TypeSignature::Coercible(vec![float.clone(); count]);
        let signature = match FUNCTIONS[place].1 {
            Form::Of(_) => of(1),
            Form::OfTwo(_) => of(2),
            Form::Either(..) => TypeSignature::OneOf(vec![of(1), of(2)]),
        };
        Self {
            place,
            mode,
            signature: Signature::new(signature, Volatility::Immutable),
        }
    }
}

/// The mode of a call of one of these functions; `None` for any other expression.
pub(super) fn mode(call: &ScalarFunction) -> Option<Mode> {
    let function = call.func.inner().downcast_ref::<Mathematics>()?;
    Some(function.mode)
}

/// A call in another mode; `None` where it is no call of these functions, or has the mode.
pub(super) fn in_mode(call: &ScalarFunction, mode: Mode) -> Option<Expr> {
    let function = call.func.inner().downcast_ref::<Mathematics>()?;
    (function.mode != mode).then(|| {
        let function = Mathematics::function(function.place, mode);
        Expr::ScalarFunction(ScalarFunction::new_udf(function, call.args.clone()))
    })
}

impl ScalarUDFImpl for Mathematics {
    fn name(&self) -> &'static str {
        FUNCTIONS[self.place].0
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constants = args.args.iter();
        let single = constants
            .clone()
            .all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if single { 1 } else { args.number_rows };
        let arrays: Vec<ArrayRef> = constants
            .map(|value| value.to_array(rows))
            .collect::<Result<_>>()?;
        let made = match (FUNCTIONS[self.place].1, arrays.as_slice()) {
            (Form::Of(of) | Form::Either(of, _), [x]) => {
                let x = x.as_primitive::<Float64Type>();
                self.each(rows, |row| x.is_valid(row).then(|| of(x.value(row))))
            }
            (Form::OfTwo(of) | Form::Either(_, of), [x, y]) => {
                let (x, y) = (
                    x.as_primitive::<Float64Type>(),
                    y.as_primitive::<Float64Type>(),
                );
                self.each(rows, |row| {
                    let known = x.is_valid(row) && y.is_valid(row);
                    known.then(|| of(x.value(row), y.value(row)))
                })
            }
            _ => {
                let text = format!("{} of {} arguments", self.name(), arrays.len());
                return Err(DataFusionError::Internal(text));
            }
        }?;
        Ok(match single {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(Arc::new(made)),
        })
    }
}

impl Mathematics {
    /// The numbers of so many rows; NaN has no sign.
    ///
    /// # Errors
    /// What the first row without a number fails with, unless that is NULL here.
    fn each(&self, rows: usize, of: impl Fn(usize) -> Option<Number>) -> Result<Float64Array> {
        let of = |row: usize| match of(row) {
            None => Ok(None),
            Some(Ok(made)) if made.is_nan() => Ok(Some(f64::NAN)),
            Some(Ok(made)) => Ok(Some(made)),
            Some(Err(_)) if self.mode == Mode::Quiet => Ok(None),
            Some(Err(fault)) => {
                let (code, text) = fault.told();
                let error = ServerError::new(code, text);
                Err(DataFusionError::External(Box::new(error)))
            }
        };
        (0..rows).map(of).collect()
    }
}
