//! Operators by the types of their operands: those of json, which the planner does not have, and arithmetic with a
//! constant in quotes.

use std::sync::Arc;

use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable as _, Operator, ScalarUDF, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::{Callee, Evaluated};
use crate::semantics::{self, Planned};

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
        let operator = match op {
            BinaryOperator::Plus => Operator::Plus,
            BinaryOperator::Minus => Operator::Minus,
            BinaryOperator::Multiply => Operator::Multiply,
            BinaryOperator::Divide => Operator::Divide,
            BinaryOperator::Modulo => Operator::Modulo,
            _ => return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right })),
        };
        let typed = |expr: &Expr, other: &Expr| {
            let read = untyped(expr, other, schema);
            read.unwrap_or_else(|| expr.clone())
        };
        let (left, right) = (typed(&left, &right), typed(&right, &left));
        let (left, right) = semantics::operands(left, operator, right, schema, Planned::Part);
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

/// What a constant in quotes is beside a number: one of its type, a numeric with the digits that are written.
fn untyped(expr: &Expr, other: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), None) = expr else {
        return None;
    };
    let other = other.get_type(schema).ok()?;
    let exact = || {
        other
            .is_decimal()
            .then(|| semantics::numeric(text))
            .flatten()
    };
    if let Some(value) = exact() {
        return Some(Expr::Literal(value, None));
    }
    other.is_numeric().then(|| cast(expr.clone(), other))
}
