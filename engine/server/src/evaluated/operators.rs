//! Operators by the types of their operands: those of json, which the planner does not have, and arithmetic with a
//! constant in quotes.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL256_MAX_SCALE, DataType};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::functions_nested::expr_fn::make_array;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr,
};
use datafusion::logical_expr::{
    Expr, ExprSchemable as _, GetFieldAccess, Operator, ScalarUDF, cast,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::{Callee, Evaluated};
use crate::pg_types::PgType;
use crate::semantics::{self, Planned};
use crate::session::{chosen, told_as};
use crate::sqlstate::ServerError;

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
        let may_be_json = matches!(
            op,
            BinaryOperator::AtArrow
                | BinaryOperator::ArrowAt
                | BinaryOperator::StringConcat
                | BinaryOperator::Minus
        );
        let (left, right) = match may_be_json {
            true => (made_of_json(left, schema), made_of_json(right, schema)),
            false => (left, right),
        };
        let (left, right) = as_json(&op, left, right, schema);
        let json = match op {
            BinaryOperator::Arrow => Some("->"),
            BinaryOperator::LongArrow => Some("->>"),
            BinaryOperator::HashArrow => Some("#>"),
            BinaryOperator::HashLongArrow => Some("#>>"),
            BinaryOperator::Question => Some("?"),
            BinaryOperator::QuestionPipe => Some("?|"),
            BinaryOperator::QuestionAnd => Some("?&"),
            BinaryOperator::HashMinus => Some("#-"),
            BinaryOperator::Minus if is_json(&left, schema) => Some("-"),
            BinaryOperator::AtArrow if is_json(&left, schema) => Some("@>"),
            BinaryOperator::ArrowAt if is_json(&left, schema) => Some("<@"),
            BinaryOperator::StringConcat if is_json(&left, schema) && is_json(&right, schema) => {
                Some("||")
            }
            _ => None,
        };
        if let Some(operator) = json {
            // A CASE of values of json is one, too.
            let left = chosen(&left, schema).unwrap_or(left);
            let name = format!("operator {operator}");
            let function = Evaluated::of(name, Callee::Operator(operator));
            let function = Arc::new(ScalarUDF::from(function));
            let call = ScalarFunction::new_udf(function, vec![left, right]);
            return Ok(PlannerResult::Planned(Expr::ScalarFunction(call)));
        }
        if is_of_bits(&op) {
            let typed = |side: &Expr, other: &Expr| whole_beside(side, other, schema);
            let (left, right) = (
                typed(&left, &right).unwrap_or_else(|| left.clone()),
                typed(&right, &left).unwrap_or_else(|| right.clone()),
            );
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
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
            let of_spans = matches!(operator, Operator::Multiply | Operator::Divide);
            let read = untyped(expr, other, schema);
            let read = read.or_else(|| factor(expr, other, schema).filter(|_| of_spans));
            read.unwrap_or_else(|| expr.clone())
        };
        let (left, right) = (typed(&left, &right), typed(&right, &left));
        let (left, right) = semantics::operands(left, operator, right, schema, Planned::Part);
        if operator == Operator::Multiply {
            bounded(&left, &right, schema)?;
        }
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

/// Plans subscripts of jsonb.
#[derive(Debug)]
pub(crate) struct Subscripts;

impl ExprPlanner for Subscripts {
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        // What numbers alone are subscripts of is not known before the plan is read.
        let json = subscripted(&access.expr, schema).unwrap_or_else(|| access.expr.clone());
        if !is_json(&json, schema) {
            return Ok(PlannerResult::Original(access));
        }
        let key = match access.field_access {
            GetFieldAccess::NamedStructField { name } => Expr::Literal(name, None),
            GetFieldAccess::ListIndex { key } => *key,
            GetFieldAccess::ListRange { .. } => {
                let text = "jsonb subscript does not support slices";
                let error = ServerError::unsupported(text);
                return Err(DataFusionError::External(Box::new(error)));
            }
        };
        Ok(PlannerResult::Planned(at_path(json, vec![key])))
    }
}

/// The value of a jsonb that subscripts name: of the operator that takes a path, as PostgreSQL has it.
fn at_path(json: Expr, path: Vec<Expr>) -> Expr {
    let function = Evaluated::of("operator #>".to_owned(), Callee::Operator("#>"));
    let path = path.into_iter().map(|key| match key {
        Expr::Literal(value, _) if !value.is_null() => {
            Expr::Literal(ScalarValue::from(value.to_string()), None)
        }
        key => cast(key, DataType::Utf8),
    });
    let args = vec![json, make_array(path.collect())];
    let call = ScalarFunction::new_udf(Arc::new(ScalarUDF::from(function)), args);
    Expr::ScalarFunction(call)
}

/// Numbered subscripts of a jsonb, which were taken for those of an array; `None` for any other expression.
pub(crate) fn subscripted(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::ScalarFunction(call) = expr else {
        return None;
    };
    let ([json, path @ ..], semantics::SUBSCRIPT) = (call.args.as_slice(), call.func.name()) else {
        return None;
    };
    is_json(json, schema).then(|| at_path(json.clone(), path.to_vec()))
}

/// What takes its value from jsonb as one: a CASE, `coalesce`, a subquery.
fn made_of_json(side: Expr, schema: &DFSchema) -> Expr {
    let told = match &side {
        Expr::Case(_) | Expr::ScalarFunction(_) => chosen(&side, schema),
        Expr::ScalarSubquery(query) => {
            let field = query.subquery.schema().fields().first();
            let is_jsonb = field.is_some_and(|field| PgType::of_field(field) == PgType::JSONB);
            is_jsonb
                .then(|| told_as(PgType::JSONB, side.clone()))
                .flatten()
        }
        _ => None,
    };
    match told {
        Some(told) if is_json(&told, schema) => told,
        _ => side,
    }
}

/// Whether an expression is told as jsonb.
fn is_json(expr: &Expr, schema: &DFSchema) -> bool {
    // A cast is to another type, whatever its field keeps saying.
    if let Expr::Cast(_) = expr {
        return false;
    }
    let field = expr.to_field(schema);
    field.is_ok_and(|(_, field)| PgType::of_field(&field) == PgType::JSONB)
}

/// The sides of an operator of two jsonb: a constant in quotes beside one is another.
fn as_json(op: &BinaryOperator, left: Expr, right: Expr, schema: &DFSchema) -> (Expr, Expr) {
    let of_two = matches!(
        op,
        BinaryOperator::AtArrow
            | BinaryOperator::ArrowAt
            | BinaryOperator::StringConcat
            | BinaryOperator::Eq
            | BinaryOperator::NotEq
    );
    if !of_two {
        return (left, right);
    }
    let read = |side: Expr, other: &Expr| {
        if !is_json(other, schema) {
            return side;
        }
        match &side {
            Expr::Literal(ScalarValue::Utf8(_), None) => {}
            // `{}` was taken for an array.
            _ if matches!(side.get_type(schema), Ok(DataType::List(_))) => {
                let empty = Expr::Literal(ScalarValue::from("{}"), None);
                return told_as(PgType::JSONB, empty).unwrap_or(side);
            }
            _ => return side,
        }
        told_as(PgType::JSONB, side.clone()).unwrap_or(side)
    };
    let left = read(left, &right);
    let right = read(right, &left);
    (left, right)
}

/// # Errors
/// 22003 for a product of more digits behind the point than any numeric has.
fn bounded(left: &Expr, right: &Expr, schema: &DFSchema) -> Result<()> {
    let scale = |side: &Expr| match side.get_type(schema) {
        Ok(DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale)) => i16::from(scale),
        _ => 0,
    };
    if scale(left) + scale(right) <= i16::from(DECIMAL256_MAX_SCALE) {
        return Ok(());
    }
    let error = ServerError::new("22003", "value overflows numeric format");
    let error = error.detail("A numeric has at most 76 digits here.".to_owned());
    Err(DataFusionError::External(Box::new(error)))
}

fn is_of_bits(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::BitwiseAnd
            | BinaryOperator::BitwiseOr
            | BinaryOperator::BitwiseXor
            | BinaryOperator::PGBitwiseXor
            | BinaryOperator::PGBitwiseShiftLeft
            | BinaryOperator::PGBitwiseShiftRight
    )
}

/// What a constant in quotes is beside a whole number: one of its type.
fn whole_beside(expr: &Expr, other: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), None) = expr else {
        return None;
    };
    let other = other.get_type(schema).ok()?;
    let whole = || match text.trim().parse::<i64>() {
        Ok(value) => Expr::Literal(ScalarValue::from(value), None),
        Err(_) => cast(expr.clone(), other.clone()),
    };
    other.is_integer().then(whole)
}

/// What a constant in quotes is that an interval is multiplied with.
fn factor(expr: &Expr, other: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::Literal(ScalarValue::Utf8(Some(_)), None) = expr else {
        return None;
    };
    let of_span = matches!(other.get_type(schema), Ok(DataType::Interval(_)));
    of_span.then(|| cast(expr.clone(), DataType::Float64))
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
