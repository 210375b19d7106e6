//! Functions and operators of arrays and of items that are numbers of another type, or arrays of another depth: as
//! PostgreSQL's `anycompatible` has them, and its `@>`, `<@` and `&&`, which look at items alone.
//!
//! ```text
//! array_remove(numeric[], 2), integer[] || 1.5   ─►   both of the type that numbers of both have in common
//! ARRAY[1, 2] @> ARRAY[[1], [2]]                 ─►   ARRAY[1, 2] @> flatten(ARRAY[[1], [2]])
//! ```

use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, FieldRef};
use datafusion::common::{DFSchema, Result};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable as _, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::{dimensions, innermost};
use crate::semantics::numerics::{digits_of_all, with_item};
use crate::semantics::types::WIDEST;

/// Functions of arrays, each with how many of its arguments are arrays or items.
const FUNCTIONS: [(&str, usize); 9] = [
    ("array_append", 2),
    ("array_concat", usize::MAX),
    ("array_has_all", 2),
    ("array_has_any", 2),
    ("array_position", 2),
    ("array_positions", 2),
    ("array_prepend", 2),
    ("array_remove_all", 2),
    ("array_replace_all", 3),
];

/// Gives a context the functions, and the operators that are calls of them.
pub(super) fn install(context: &SessionContext) {
    let state = context.state();
    let mut functions = Vec::with_capacity(FUNCTIONS.len());
    for (name, counted) in FUNCTIONS {
        if let Some(inner) = state.scalar_functions().get(name) {
            let function = ScalarUDF::new_from_impl(Alike {
                inner: Arc::clone(inner),
                counted,
                signature: Signature::user_defined(Volatility::Immutable),
            });
            context.register_udf(function.clone());
            functions.push(Arc::new(function));
        }
    }
    crate::semantics::ask_first(context, Arc::new(Unlike { functions }));
}

/// Operators of arrays whose items or depths are not the same.
#[derive(Debug)]
struct Unlike {
    functions: Vec<Arc<ScalarUDF>>,
}

impl ExprPlanner for Unlike {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let is_of_arrays = matches!(
            expr.op,
            BinaryOperator::AtArrow | BinaryOperator::ArrowAt | BinaryOperator::StringConcat
        );
        if !is_of_arrays {
            return Ok(PlannerResult::Original(expr));
        }
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema))
        else {
            return Ok(PlannerResult::Original(expr));
        };
        let depths = (dimensions(&left), dimensions(&right));
        let types = [left, right];
        let (name, swapped) = match (&expr.op, depths) {
            (_, (0, 0)) => return Ok(PlannerResult::Original(expr)),
            (BinaryOperator::StringConcat, (left, right)) if left == right => {
                ("array_concat", false)
            }
            (BinaryOperator::StringConcat, (left, right)) if left > right => {
                ("array_append", false)
            }
            (BinaryOperator::StringConcat, _) => ("array_prepend", false),
            (_, (0, _) | (_, 0)) => return Ok(PlannerResult::Original(expr)),
            (BinaryOperator::ArrowAt, _) => ("array_has_all", true),
            _ => ("array_has_all", false),
        };
        let known = self.functions.iter().find(|known| known.name() == name);
        let known = known.filter(|_| made_alike(name, &types).is_some());
        let Some(function) = known else {
            return Ok(PlannerResult::Original(expr));
        };
        let args = match swapped {
            true => vec![expr.right, expr.left],
            false => vec![expr.left, expr.right],
        };
        let call = ScalarFunction::new_udf(Arc::clone(function), args);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}

/// The types that arrays and items are taken as; `None` where the planner knows.
fn made_alike(name: &str, types: &[DataType]) -> Option<Vec<DataType>> {
    let items: Vec<&DataType> = types.iter().map(innermost).collect();
    let common = common(&items);
    let of_any_depth = matches!(name, "array_has_all" | "array_has_any");
    match common {
        Some(common) => Some(types.iter().map(|of| with_item(of, &common)).collect()),
        None if of_any_depth => {
            let deep: Vec<usize> = types.iter().map(dimensions).collect();
            let unlike = deep.windows(2).any(|pair| pair.first() != pair.last());
            let alike = items.windows(2).all(|pair| pair.first() == pair.last());
            let whole = items.iter().all(|item| item.is_integer());
            match unlike && !deep.contains(&0) {
                true if alike => Some(types.to_vec()),
                true if whole => {
                    let wide = types.iter().map(|of| with_item(of, &DataType::Int64));
                    Some(wide.collect())
                }
                _ => None,
            }
        }
        None => None,
    }
}

/// The type that numbers of several have in common; `None` for whole numbers alone, for one type and for others.
fn common(types: &[&DataType]) -> Option<DataType> {
    let types = types.iter().filter(|of| !of.is_null());
    let first = types.clone().next()?;
    let numbers = types.clone().all(|of| of.is_numeric());
    let whole = types.clone().all(|of| of.is_integer());
    if !numbers || whole || types.clone().all(|of| of == first) {
        return None;
    }
    for float in [DataType::Float64, DataType::Float32] {
        if types.clone().any(|of| **of == float) {
            return Some(float);
        }
    }
    let (before, behind) = digits_of_all(types.copied())?;
    let digits = before.checked_add(behind)?;
    let scale = i8::try_from(behind).ok()?;
    match digits {
        digits if digits <= DECIMAL128_MAX_PRECISION => Some(DataType::Decimal128(digits, scale)),
        digits if digits <= WIDEST => Some(DataType::Decimal256(digits, scale)),
        _ => None,
    }
}

/// The planner's function, of arrays and items that become of one type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Alike {
    inner: Arc<ScalarUDF>,
    counted: usize,
    signature: Signature,
}

impl ScalarUDFImpl for Alike {
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
        let counted = self.counted.min(types.len());
        let (parts, rest) = types.split_at(counted);
        match made_alike(self.name(), parts) {
            Some(mut parts) => {
                parts.extend_from_slice(rest);
                Ok(parts)
            }
            None => crate::semantics::coerced(self.inner.as_ref(), types),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }
}
