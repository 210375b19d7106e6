//! Functions of texts that PostgreSQL has for bytes as well: parts of them, what stands at their ends, where one is in
//! another.
//!
//! ```text
//! substring(by FROM 2), btrim(by, '\x00'), position('\x61' IN by), overlay(by PLACING '\x41' FROM 1)
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, BinaryArray, Int32Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::bytes::is_bytes;
use super::patterns;
use crate::sqlstate::ServerError;

/// The functions by the names that the planner has for them.
const FUNCTIONS: [&str; 6] = ["btrim", "ltrim", "overlay", "rtrim", "strpos", "substr"];

/// Gives a context the functions, and the clauses that are calls of them.
pub(super) fn install(context: &SessionContext) {
    let state = context.state();
    let mut functions = Vec::with_capacity(FUNCTIONS.len());
    for name in FUNCTIONS {
        if let Some(inner) = state.scalar_functions().get(name) {
            let function = ScalarUDF::new_from_impl(OfBytes {
                inner: Arc::clone(inner),
                name,
                signature: Signature::user_defined(Volatility::Immutable),
            });
            context.register_udf(function.clone());
            functions.push(Arc::new(function));
        }
    }
    super::ask_first(context, Arc::new(Clauses { functions }));
}

/// `substring(… FROM …)`, `position(… IN …)` and `overlay(… PLACING …)`.
#[derive(Debug)]
struct Clauses {
    functions: Vec<Arc<ScalarUDF>>,
}

impl Clauses {
    fn call(&self, name: &str, args: Vec<Expr>) -> PlannerResult<Vec<Expr>> {
        match self.functions.iter().find(|known| known.name() == name) {
            Some(function) => {
                let call = ScalarFunction::new_udf(Arc::clone(function), args);
                PlannerResult::Planned(Expr::ScalarFunction(call))
            }
            None => PlannerResult::Original(args),
        }
    }
}

impl ExprPlanner for Clauses {
    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(self.call("substr", args))
    }

    fn plan_position(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(self.call("strpos", args))
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(self.call("overlay", args))
    }
}

/// The planner's function of texts, also of bytes.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfBytes {
    inner: Arc<ScalarUDF>,
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for OfBytes {
    fn name(&self) -> &'static str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if self.name == "substr" && patterns::is_part(types) {
            return Ok(vec![DataType::Utf8; types.len()]);
        }
        let Some(first) = types.first().filter(|first| is_bytes(first)) else {
            return super::coerced(self.inner.as_ref(), types);
        };
        let taken = match (self.name, types.len()) {
            ("substr", 2 | 3) => vec![DataType::Int64; types.len() - 1],
            ("overlay", 3 | 4) => {
                let mut taken = vec![DataType::Int64; types.len() - 1];
                if let Some(new) = taken.first_mut() {
                    *new = DataType::Binary;
                }
                taken
            }
            ("btrim" | "ltrim" | "rtrim" | "strpos", 2) => vec![DataType::Binary],
            _ => return super::clock::no_function(self.name, types),
        };
        let fits = types.iter().skip(1).zip(&taken).all(|(of, taken)| {
            of.is_null()
                || match taken {
                    DataType::Int64 => of.is_integer(),
                    // A constant in quotes is read as bytes.
                    _ => is_bytes(of) || super::text::is_text(of),
                }
        });
        match fits {
            true => Ok([first.clone()].into_iter().chain(taken).collect()),
            false => super::clock::no_function(self.name, types),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(first) if is_bytes(first) => Ok(match self.name {
                "strpos" => DataType::Int32,
                _ => DataType::Binary,
            }),
            _ => self.inner.return_type(types),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let first = args.arg_fields.first();
        match first.filter(|first| is_bytes(first.data_type())) {
            Some(_) => {
                let types: Vec<DataType> = args
                    .arg_fields
                    .iter()
                    .map(|field| field.data_type().clone())
                    .collect();
                let returned = self.return_type(&types)?;
                Ok(Arc::new(Field::new(self.name, returned, true)))
            }
            None => self.inner.return_field_from_args(args),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let of_bytes = args
            .args
            .first()
            .is_some_and(|first| is_bytes(&first.data_type()));
        let types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        if self.name == "substr" && patterns::is_part(&types) {
            return patterns::part(args);
        }
        if !of_bytes {
            return self.inner.invoke_with_args(args);
        }
        let constant = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let single = args.args.iter().all(constant);
        let rows = if single { 1 } else { args.number_rows };
        let arrays: Vec<ArrayRef> = args
            .args
            .iter()
            .map(|value| value.to_array(rows))
            .collect::<Result<_>>()?;
        let made = self.made(&arrays, rows)?;
        Ok(match single {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(made),
        })
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let of_bytes = args
            .first()
            .is_some_and(|first| info.get_data_type(first).is_ok_and(|of| is_bytes(&of)));
        match of_bytes {
            true => Ok(ExprSimplifyResult::Original(args)),
            false => self.inner.simplify(args, info),
        }
    }
}

impl OfBytes {
    fn made(&self, arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let bytes = |at: usize| -> Result<Option<BinaryArray>> {
            let array = arrays.get(at).filter(|array| is_bytes(array.data_type()));
            let array = array
                .map(|array| cast(array, &DataType::Binary))
                .transpose()?;
            Ok(array.map(|array| array.as_binary::<i32>().clone()))
        };
        let (values, others) = (bytes(0)?, bytes(1)?);
        let numbers: Vec<ArrayRef> = arrays
            .iter()
            .skip(1)
            .filter(|array| !is_bytes(array.data_type()))
            .map(|array| Ok(cast(array, &DataType::Int64)?))
            .collect::<Result<_>>()?;
        let some = |array: &Option<BinaryArray>, row: usize| {
            let array = array.as_ref()?;
            array.is_valid(row).then(|| array.value(row).to_vec())
        };
        let number = |at: usize, row: usize| {
            let numbers = numbers.get(at)?.as_primitive::<Int64Type>();
            numbers.is_valid(row).then(|| numbers.value(row))
        };
        if self.name == "strpos" {
            let places = (0..rows).map(|row| {
                let (value, part) = some(&values, row).zip(some(&others, row))?;
                i32::try_from(place_of(&part, &value)).ok()
            });
            return Ok(Arc::new(places.collect::<Int32Array>()));
        }
        let made = (0..rows).map(|row| {
            let Some(value) = some(&values, row) else {
                return Ok(None);
            };
            match self.name {
                "substr" | "overlay" => {
                    let given: Option<Vec<i64>> =
                        (0..numbers.len()).map(|at| number(at, row)).collect();
                    match (given, self.name) {
                        (Some(given), "substr") => part(&value, &given).map(Some),
                        (Some(given), _) => match some(&others, row) {
                            Some(new) => replaced(&value, &new, &given).map(Some),
                            None => Ok(None),
                        },
                        (None, _) => Ok(None),
                    }
                }
                name => Ok(some(&others, row).map(|set| trimmed(name, &value, &set))),
            }
        });
        Ok(Arc::new(made.collect::<Result<BinaryArray>>()?))
    }
}

/// Where a part begins, counted from 1; 0 for what is not there.
fn place_of(part: &[u8], value: &[u8]) -> usize {
    match part.is_empty() {
        true => 1,
        false => {
            let found = value.windows(part.len()).position(|window| window == part);
            found.map_or(0, |found| found + 1)
        }
    }
}

fn negative() -> DataFusionError {
    let error = ServerError::new("22011", "negative substring length not allowed");
    DataFusionError::External(Box::new(error))
}

/// The bytes from a place on, so many of them as are said.
fn part(value: &[u8], given: &[i64]) -> Result<Vec<u8>> {
    let from = given.first().copied().unwrap_or(1);
    let to = match given.get(1) {
        Some(length) if *length < 0 => return Err(negative()),
        Some(length) => from.saturating_add(*length),
        None => i64::MAX,
    };
    let at = |place: i64| usize::try_from(place.saturating_sub(1)).unwrap_or(0);
    let (begin, end) = (at(from).min(value.len()), at(to).min(value.len()));
    Ok(value
        .get(begin..end.max(begin))
        .unwrap_or_default()
        .to_vec())
}

/// The bytes with others in place of those from a place on.
fn replaced(value: &[u8], new: &[u8], given: &[i64]) -> Result<Vec<u8>> {
    let from = given.first().copied().unwrap_or(1);
    let new_length = i64::try_from(new.len()).unwrap_or(i64::MAX);
    let length = given.get(1).copied().unwrap_or(new_length);
    if from <= 0 {
        return Err(negative());
    }
    let before = part(value, &[1, from - 1])?;
    let behind = part(value, &[from.saturating_add(length)])?;
    Ok([before.as_slice(), new, behind.as_slice()].concat())
}

/// The bytes without those of a set at their ends.
fn trimmed(name: &str, value: &[u8], set: &[u8]) -> Vec<u8> {
    let goes = |byte: &u8| set.contains(byte);
    let begin = match name {
        "rtrim" => 0,
        _ => value.iter().take_while(|byte| goes(byte)).count(),
    };
    let rest = value.get(begin..).unwrap_or_default();
    let end = match name {
        "ltrim" => 0,
        _ => rest.iter().rev().take_while(|byte| goes(byte)).count(),
    };
    rest.get(..rest.len() - end).unwrap_or_default().to_vec()
}
