//! Functions and operators that PostgreSQL does not have for such values, by its own tables and rules.
//!
//! The planner makes what it needs of what it is given, which PostgreSQL does where a type becomes the other by itself: a
//! uuid becomes no text, nor a float a numeric.

use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::planner::RawBinaryExpr;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::classes::is_text;
use super::refusals::{no_function_for, refused, without_operator};
use super::told::{Told, of_column, sign};
use crate::evaluated::planned_from;
use crate::pg_catalog::{can_assign, can_cast, has_operator, takes};
use crate::pg_types::{PgType, oid};
use crate::semantics::arrays::SUBSCRIPT;
use crate::sqlstate::{About, Construct, ServerError};

/// # Errors
/// 42883, and 42846 for a cast that there is not.
pub(super) fn checked(expr: &Expr, schema: &DFSchema, told: &Told<'_>) -> Result<()> {
    let compared = |left: &Expr, sign: &str, right: &Expr| -> Result<()> {
        let types = (told.type_of(left), told.type_of(right));
        let (Some(l), Some(r)) = types else {
            return Ok(());
        };
        there(l, sign, r).map_err(|operation| without_operator(left, &operation, sign, right))
    };
    match expr {
        Expr::ScalarFunction(call) => match (call.func.name(), call.args.as_slice()) {
            ("nullif", [left, right]) => compared(left, "=", right),
            ("coalesce" | "greatest" | "least", _) => Ok(()),
            (SUBSCRIPT, [_, places @ ..]) => subscripts(places, told),
            (name, args) => called(name, args, schema, told),
        },
        Expr::AggregateFunction(call)
            if call.func.name() == "string_agg"
                && call.params.args.first().and_then(|arg| told.type_of(arg))
                    == Some(oid::BYTEA) =>
        {
            // The planner would join their texts.
            Err(refused(ServerError::unsupported("string_agg of bytea")))
        }
        Expr::AggregateFunction(call) if call.params.order_by.is_empty() => {
            called(call.func.name(), &call.params.args, schema, told)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match sign(*op) {
            Some(_) if is_plain(left, *op, right, schema) => Ok(()),
            Some(sign) => compared(left, sign, right),
            None => Ok(()),
        },
        Expr::Like(like) => {
            let sign = match (like.negated, like.case_insensitive) {
                (false, false) => "~~",
                (true, false) => "!~~",
                (false, true) => "~~*",
                (true, true) => "!~~*",
            };
            compared(&like.expr, sign, &like.pattern)
        }
        Expr::Between(between) => {
            compared(&between.expr, ">=", &between.low)?;
            compared(&between.expr, "<=", &between.high)
        }
        Expr::InList(list) => {
            let sign = if list.negated { "<>" } else { "=" };
            among(&list.expr, sign, &list.list, told)
        }
        Expr::InSubquery(within) => {
            compared_with(&within.expr, "=", &within.subquery.subquery, told)
        }
        Expr::SetComparison(compared) => {
            let sign = sign(compared.op).unwrap_or_default();
            compared_with(&compared.expr, sign, &compared.subquery.subquery, told)
        }
        Expr::Case(case) => match &case.expr {
            Some(value) => {
                let mut conditions = case.when_then_expr.iter();
                conditions.try_for_each(|(when, _)| compared(value, "=", when))
            }
            None => Ok(()),
        },
        Expr::Cast(cast) => {
            let Some(from) = told.type_of(&cast.expr) else {
                return Ok(());
            };
            let to = PgType::of_field(&cast.field);
            // Bytes and texts are one another's in many places.
            let known = from != oid::UNKNOWN && from != oid::RECORD && from != oid::BYTEA;
            match known && !is_text(cast.field.data_type()) && !can_cast(from, to.oid) {
                true => {
                    let from = PgType::of_oid(from).sql_name();
                    let text = format!("cannot cast type {from} to {}", to.sql_name());
                    Err(refused(ServerError::new("42846", text)))
                }
                false => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Whether operands are numbers of one type, which has all of the plain operators: most are.
fn is_plain(left: &Expr, op: Operator, right: &Expr, schema: &DFSchema) -> bool {
    let plain = matches!(
        op,
        Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide
    );
    let of = |side: &Expr| side.get_type(schema).ok();
    plain && of(left).is_some_and(|ty| ty.is_numeric()) && of(left) == of(right)
}

fn called(name: &str, args: &[Expr], schema: &DFSchema, told: &Told<'_>) -> Result<()> {
    let given: Vec<Option<u32>> = args.iter().map(|arg| told.argument(arg)).collect();
    // Names of PostgreSQL that are one function to the planner.
    let other = match name {
        "character_length" => Some("length"),
        "substr" => Some("substring"),
        "strpos" => Some("position"),
        _ => None,
    };
    let names = std::iter::once(planned_from(name)).chain(other);
    let mut known = names.filter_map(|name| takes(name, &given)).peekable();
    match known.peek().is_some() && !known.any(|takes| takes) {
        true => Err(no_function_for(name, args, &given, schema)),
        false => Ok(()),
    }
}

/// Refuses places in an array that are no numbers.
fn subscripts(places: &[Expr], told: &Told<'_>) -> Result<()> {
    let is_none = |place: &&Expr| {
        let known = told.type_of(place).filter(|ty| *ty != oid::UNKNOWN);
        known.is_some_and(|known| !can_assign(known, oid::INT4))
    };
    match places.iter().find(is_none) {
        Some(place) => {
            let about = About::new(Construct::Subscript, [place]);
            let text = "array subscript must have type integer";
            Err(refused(ServerError::new("42804", text).about(about)))
        }
        None => Ok(()),
    }
}

/// # Errors
/// What PostgreSQL calls an operation that there is not for these types.
pub(super) fn there(left: u32, sign: &str, right: u32) -> std::result::Result<(), String> {
    let known = left != oid::UNKNOWN || right != oid::UNKNOWN;
    let row = left == oid::RECORD || right == oid::RECORD;
    match known && !row && !has_operator(sign, left, right) {
        true => {
            let name = |ty: u32| PgType::of_oid(ty).sql_name();
            Err(format!("{} {sign} {}", name(left), name(right)))
        }
        false => Ok(()),
    }
}

/// Refuses an item that a value is not compared with.
fn among(value: &Expr, sign: &str, list: &[Expr], told: &Told<'_>) -> Result<()> {
    let Some(left) = told.type_of(value) else {
        return Ok(());
    };
    // Thousands of items are of one type.
    let mut last = None;
    for item in list {
        let Some(right) = told.type_of(item) else {
            continue;
        };
        if last.replace(right) == Some(right) {
            continue;
        }
        there(left, sign, right)
            .map_err(|operation| without_operator(value, &operation, sign, item))?;
    }
    Ok(())
}

/// Refuses a value that is not compared with those of a subquery.
fn compared_with(value: &Expr, sign: &str, query: &LogicalPlan, told: &Told<'_>) -> Result<()> {
    match (told.type_of(value), of_column(query, 0)) {
        (Some(l), Some(r)) if r != oid::UNKNOWN => {
            there(l, sign, r).map_err(|operation| without_operator(value, &operation, sign, value))
        }
        _ => Ok(()),
    }
}

/// Refuses an operator while a statement is planned, before the planner looks for a type in common; of columns there is
/// only what their fields tell.
///
/// # Errors
/// 42883.
pub(super) fn operands(expr: &RawBinaryExpr, schema: &DFSchema) -> Result<()> {
    let Some(sign) = written(&expr.op) else {
        return Ok(());
    };
    let told = Told::Schema(schema);
    let types = (told.type_of(&expr.left), told.type_of(&expr.right));
    let (Some(l), Some(r)) = types else {
        return Ok(());
    };
    let refused = |operation: String| -> DataFusionError {
        without_operator(&expr.left, &operation, sign, &expr.right)
    };
    let Err(operation) = there(l, sign, r) else {
        return Ok(());
    };
    let others = may_be(r);
    let fits = |l: &u32| others.iter().any(|r| there(*l, sign, *r).is_ok());
    let fits = may_be(l).iter().any(fits);
    match fits || lossy(l) || lossy(r) {
        true => Ok(()),
        false => Err(refused(operation)),
    }
}

/// Whether it is an array of what may be something else.
fn lossy(ty: u32) -> bool {
    matches!(ty, oid::TEXT_ARRAY | oid::FLOAT8_ARRAY | oid::INT8_ARRAY)
}

/// What a value may be that a field tells as this.
fn may_be(told: u32) -> Vec<u32> {
    match told {
        oid::TEXT => vec![oid::TEXT, oid::UUID, oid::JSONB, oid::INET],
        oid::FLOAT8 => vec![oid::FLOAT8, oid::NUMERIC],
        oid::INT8 => vec![oid::INT8, oid::INT4],
        known => vec![known],
    }
}

fn written(op: &BinaryOperator) -> Option<&'static str> {
    Some(match op {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        BinaryOperator::Plus => "+",
        BinaryOperator::Minus => "-",
        BinaryOperator::Multiply => "*",
        BinaryOperator::Divide => "/",
        BinaryOperator::Modulo => "%",
        BinaryOperator::BitwiseAnd => "&",
        BinaryOperator::BitwiseOr => "|",
        BinaryOperator::PGBitwiseXor => "#",
        BinaryOperator::PGBitwiseShiftLeft => "<<",
        BinaryOperator::PGBitwiseShiftRight => ">>",
        BinaryOperator::StringConcat => "||",
        BinaryOperator::PGRegexMatch => "~",
        BinaryOperator::PGRegexIMatch => "~*",
        BinaryOperator::PGRegexNotMatch => "!~",
        BinaryOperator::PGRegexNotIMatch => "!~*",
        _ => return None,
    })
}
