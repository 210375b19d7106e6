//! Operators by the types of their operands: those of json, which the planner does not have, and arithmetic with a
//! constant in quotes.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable as _, ScalarUDF, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::{Callee, Evaluated};

/// Plans such operators.
#[derive(Debug)]
pub(crate) struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let json = match op {
            BinaryOperator::Arrow => Some("->"),
            BinaryOperator::LongArrow => Some("->>"),
            BinaryOperator::HashArrow => Some("#>"),
            BinaryOperator::HashLongArrow => Some("#>>"),
            BinaryOperator::Question => Some("?"),
            _ => None,
        };
        if let Some(operator) = json {
            let name = format!("operator {operator}");
            let function = Evaluated::of(name, Callee::Operator(operator));
            let function = Arc::new(ScalarUDF::from(function));
            let call = ScalarFunction::new_udf(function, vec![left, right]);
            return Ok(PlannerResult::Planned(Expr::ScalarFunction(call)));
        }
        let arithmetic = matches!(
            op,
            BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo
        );
        if !arithmetic {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        }
        let left_as = untyped(&left, &right, schema);
        let right_as = untyped(&right, &left, schema);
        let typed = |expr: Expr, to: Option<DataType>| match to {
            Some(to) => cast(expr, to),
            None => expr,
        };
        let (left, right) = (typed(left, left_as), typed(right, right_as));
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

/// The type that a constant in quotes has beside a number: that of the number.
fn untyped(expr: &Expr, other: &Expr, schema: &DFSchema) -> Option<DataType> {
    let Expr::Literal(ScalarValue::Utf8(Some(_)), None) = expr else {
        return None;
    };
    let other = other.get_type(schema).ok()?;
    other.is_numeric().then_some(other)
}
