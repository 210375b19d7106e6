//! What values are refused for, in PostgreSQL's words.

use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable as _};

use super::classes::{Class, is_text};
use super::told::Told;
use crate::pg_types::PgType;
use crate::sqlstate::{About, Construct, NO_FUNCTION, NO_OPERATOR, ServerError};

/// Refuses a pattern, or what is looked at by one, that is no text.
///
/// # Errors
/// 42883.
pub(super) fn matches_text(
    value: &Expr,
    op: &str,
    pattern: &Expr,
    schema: &DFSchema,
) -> Result<()> {
    let is_text = |side: &Expr| {
        matches!(
            Class::of(side, schema),
            None | Some(Class::Text | Class::Bytes)
        )
    };
    match is_text(value) && is_text(pattern) {
        true => Ok(()),
        false => Err(no_operator(value, op, pattern, schema)),
    }
}

/// # Errors
/// 42804 for a condition that is none.
pub(super) fn boolean(place: &str, condition: &Expr, schema: &DFSchema) -> Result<()> {
    match Class::of(condition, schema) {
        None | Some(Class::Bool) => Ok(()),
        Some(_) => {
            let found = name(condition, schema);
            let text = format!("argument of {place} must be type boolean, not type {found}");
            let about = About::new(Construct::Condition, [condition]);
            Err(refused(ServerError::new("42804", text).about(about)))
        }
    }
}

pub(super) fn no_function(function: &str, args: &[Expr], schema: &DFSchema) -> DataFusionError {
    no_function_for(function, args, &[], schema)
}

/// The same where the types of some arguments are known.
pub(super) fn no_function_for(
    function: &str,
    args: &[Expr],
    known: &[Option<u32>],
    schema: &DFSchema,
) -> DataFusionError {
    let told = Told::Schema(schema);
    let types = args.iter().enumerate().map(|(at, arg)| {
        let known = known.get(at).copied().flatten();
        match known.or_else(|| told.argument(arg)) {
            Some(known) => PgType::of_oid(known).sql_name().to_owned(),
            None => name(arg, schema),
        }
    });
    let types: Vec<String> = types.collect();
    let text = format!("function {function}({}) does not exist", types.join(", "));
    let about = About::new(Construct::Call, args);
    refused(
        ServerError::new("42883", text)
            .hint(NO_FUNCTION)
            .about(about),
    )
}

/// # Errors
/// 42804 when two of the types, which have to become one, have none in common; with the place of the second of them.
pub(super) fn matched(
    place: &str,
    types: impl Iterator<Item = Option<(Class, String)>>,
) -> std::result::Result<(), (usize, ServerError)> {
    let mut types = types
        .enumerate()
        .filter_map(|(at, known)| Some((at, known?)));
    let Some((_, (first, known))) = types.next() else {
        return Ok(());
    };
    match types.find(|(_, (class, _))| first.is_foreign(*class)) {
        Some((at, (_, other))) => {
            let text = format!("{place} types {known} and {other} cannot be matched");
            Err((at, ServerError::new("42804", text)))
        }
        None => Ok(()),
    }
}

/// # Errors
/// 42883 when no operator compares the two.
pub(super) fn compared(left: &Expr, op: &str, right: &Expr, schema: &DFSchema) -> Result<()> {
    match (Class::of(left, schema), Class::of(right, schema)) {
        (Some(l), Some(r)) if l.unlike(r) => Err(no_operator(left, op, right, schema)),
        _ => Ok(()),
    }
}

pub(super) fn no_operator(
    left: &Expr,
    op: &str,
    right: &Expr,
    schema: &DFSchema,
) -> DataFusionError {
    let operation = format!("{} {op} {}", name(left, schema), name(right, schema));
    without_operator(left, &operation, op, right)
}

/// The same where the types are known.
pub(super) fn without_operator(
    left: &Expr,
    operation: &str,
    op: &str,
    right: &Expr,
) -> DataFusionError {
    let about = About::new(Construct::Operator(op.to_owned()), [left, right]);
    refused(missing(operation).about(about))
}

/// Two constants in quotes, which any arithmetic might be meant of.
pub(super) fn not_unique(left: &Expr, op: &str, right: &Expr) -> DataFusionError {
    let text = format!("operator is not unique: unknown {op} unknown");
    let about = About::new(Construct::Operator(op.to_owned()), [left, right]);
    refused(ServerError::new("42725", text).about(about).hint(
        "Could not choose a best candidate operator. You might need to add explicit type casts.",
    ))
}

pub(super) fn missing(operation: &str) -> ServerError {
    let text = format!("operator does not exist: {operation}");
    ServerError::new("42883", text).hint(NO_OPERATOR)
}

/// What PostgreSQL calls the type of an expression.
pub(super) fn name(expr: &Expr, schema: &DFSchema) -> String {
    type_of(expr, schema).sql_name().to_owned()
}

/// The type of an expression as PostgreSQL has it: a small whole constant is an integer, one with a point numeric.
pub(super) fn type_of(expr: &Expr, schema: &DFSchema) -> PgType {
    if let Some(known) = Told::Schema(schema).type_of(expr) {
        return PgType::of_oid(known);
    }
    let expr = match expr {
        Expr::Alias(alias) => alias.expr.as_ref(),
        other => other,
    };
    let value = match expr {
        Expr::Negative(inner) => inner.as_ref(),
        other => other,
    };
    match value {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) if i32::try_from(*value).is_ok() => {
            PgType::INT4
        }
        Expr::Literal(ScalarValue::Float64(Some(_)), _) => PgType::NUMERIC,
        Expr::Literal(value, _) if value.is_null() || is_text(&value.data_type()) => {
            PgType::UNKNOWN
        }
        _ => match expr.to_field(schema) {
            Ok((_, field)) => PgType::of_field(&field),
            Err(_) => PgType::UNKNOWN,
        },
    }
}

pub(in crate::semantics) fn refused(error: ServerError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
