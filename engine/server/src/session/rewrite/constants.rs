//! Constants in quotes where one type alone may stand: conditions and LIMIT.
//!
//! ```text
//! WHERE 't'      ─►  WHERE true
//! LIMIT '10'     ─►  LIMIT 10
//! ```

use bytes::Bytes;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, JoinConstraint, JoinOperator, Select, UnaryOperator,
};

use super::literals::{constant_number, string_literal};
use crate::pg_catalog::can_assign;
use crate::pg_types::{PgType, oid};
use crate::pgwire::encode::Format;
use crate::session::params;
use crate::session::placed::start;
use crate::session::typed::Types;
use crate::sqlstate::ServerError;

/// Reads a constant in quotes as a value of this type; anything else stays.
///
/// # Errors
/// 22P02 for a text that is none.
pub(super) fn read(expr: &mut Expr, pg_type: PgType) -> Result<(), ServerError> {
    let Some(text) = string_literal(expr) else {
        return Ok(());
    };
    let text = Bytes::from(text.to_owned());
    let read = params::constant(Some(&text), Format::Text, pg_type);
    *expr = read.map_err(|error| error.place(start(expr)))?;
    Ok(())
}

/// Reads the number of rows of LIMIT or OFFSET.
///
/// # Errors
/// 22P02 and 22003 for a constant that is none, 42804 for what becomes no number.
pub(super) fn count(clause: &str, expr: &mut Expr) -> Result<(), ServerError> {
    read(expr, PgType::INT8)?;
    if let Some(digits) = constant_number(expr).filter(|digits| digits.parse::<i64>().is_err()) {
        let number: f64 = digits.parse().unwrap_or(f64::INFINITY);
        let whole = format!("{:.0}", number.round());
        if whole.parse::<i64>().is_err() {
            return Err(ServerError::new("22003", "bigint out of range"));
        }
        *expr = Expr::value(ast::Value::Number(whole, false));
        return Ok(());
    }
    let types = Types { parameters: None };
    match types.of(expr) {
        Some(known) if known != oid::UNKNOWN && !can_assign(known, oid::INT8) => {
            let found = PgType::of_oid(known).sql_name();
            let text = format!("argument of {clause} must be type bigint, not type {found}");
            Err(ServerError::new("42804", text).place(start(expr)))
        }
        _ => Ok(()),
    }
}

/// Reads the conditions of a SELECT.
///
/// # Errors
/// As [`read`].
pub(super) fn conditions(select: &mut Select) -> Result<(), ServerError> {
    let joins = select.from.iter_mut().flat_map(|tables| &mut tables.joins);
    let joined = joins.filter_map(|join| match &mut join.join_operator {
        JoinOperator::Join(JoinConstraint::On(condition))
        | JoinOperator::Inner(JoinConstraint::On(condition))
        | JoinOperator::Left(JoinConstraint::On(condition))
        | JoinOperator::LeftOuter(JoinConstraint::On(condition))
        | JoinOperator::Right(JoinConstraint::On(condition))
        | JoinOperator::RightOuter(JoinConstraint::On(condition))
        | JoinOperator::FullOuter(JoinConstraint::On(condition)) => Some(condition),
        _ => None,
    });
    let conditions = select.selection.iter_mut().chain(select.having.as_mut());
    for condition in conditions.chain(joined) {
        read(condition, PgType::BOOL)?;
    }
    Ok(())
}

/// Reads what an expression has for conditions.
///
/// # Errors
/// As [`read`].
pub(super) fn truths(expr: &mut Expr) -> Result<(), ServerError> {
    match expr {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And | BinaryOperator::Or,
            right,
        } => {
            read(left, PgType::BOOL)?;
            read(right, PgType::BOOL)
        }
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => read(expr, PgType::BOOL),
        Expr::Case {
            operand: None,
            conditions,
            ..
        } => {
            let mut conditions = conditions.iter_mut();
            conditions.try_for_each(|case| read(&mut case.condition, PgType::BOOL))
        }
        Expr::Function(ast::Function {
            filter: Some(filter),
            ..
        }) => read(filter, PgType::BOOL),
        _ => Ok(()),
    }
}
