//! `jsonb` in PostgreSQL's order ([`crate::pg_input::jsonb_key`]): comparisons, joins and sorts go by keys, since to the
//! planner it is text.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, BinaryArray, BinaryBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, ScalarUDF};

use super::key::{Key, between_keys, call};
use crate::pg_input;
use crate::pg_types::PgType;

/// A comparison of jsonb by keys; `None` for any other expression.
pub(super) fn comparable(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    // A constant in quotes has been read as jsonb, and is text to the planner.
    let is_read = |side: &Expr, is_jsonb: bool| is_jsonb || matches!(side, Expr::Literal(..));
    if let Expr::Between(between) = expr {
        let parts = [&between.expr, &between.low, &between.high];
        let told = parts.map(|part| is_jsonb(part, schema));
        let all = parts.iter().zip(told);
        let every = all.into_iter().all(|(part, told)| is_read(part, told));
        return (told.contains(&true) && every).then(|| between_keys(between, key));
    }
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else {
        return None;
    };
    let (of_left, of_right) = (is_jsonb(left, schema), is_jsonb(right, schema));
    let both = is_read(left, of_left) && is_read(right, of_right);
    if !super::clock::compares(*op) || !(of_left || of_right) || !both {
        return None;
    }
    let side = |side: &Expr| Box::new(key(side.clone()));
    let (left, right) = (side(left), side(right));
    Some(Expr::BinaryExpr(BinaryExpr::new(left, *op, right)))
}

/// What a jsonb is sorted by; `None` for any other value.
pub(super) fn sorted(by: &Expr, schema: &DFSchema) -> Option<Expr> {
    is_jsonb(by, schema).then(|| key(by.clone()))
}

fn is_jsonb(expr: &Expr, schema: &DFSchema) -> bool {
    let told = expr.to_field(schema);
    told.is_ok_and(|(_, field)| PgType::of_field(&field) == PgType::JSONB)
}

fn key(value: Expr) -> Expr {
    static KEY: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Key::function("jsonb_key", keys));
    call(&KEY, value)
}

fn keys(array: &ArrayRef) -> Result<BinaryArray> {
    let texts = cast(array, &DataType::Utf8)?;
    let mut keys = BinaryBuilder::with_capacity(texts.len(), 16 * texts.len());
    for text in texts.as_string::<i32>() {
        match text.map(pg_input::jsonb_key).transpose() {
            Ok(key) => keys.append_option(key),
            Err(error) => return Err(DataFusionError::External(Box::new(error))),
        }
    }
    Ok(keys.finish())
}
