//! How wide the values are that an operator makes of each row, as far as its expressions tell before it runs.
//!
//! A constant of 200 KB in a list of columns becomes 1.6 GB in a batch of 8,192 rows, which no memory pool sees, and
//! more than 2 GB in a batch are an error. So operators with wide values are given few rows at a time; that also lets a
//! costly function over them be stopped.

use std::sync::Arc;

use arrow::array::Array as _;
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;

/// Bytes that the values of one batch should not exceed.
const BATCH_BYTES: usize = 4 << 20;
/// Values of so many bytes fit into any batch.
const NARROW_BYTES: usize = 512;
/// Functions that put an argument of theirs into the first one again and again, with its place.
const PUT_IN: [(&str, usize); 3] = [
    ("array_to_string", 1),
    ("regexp_replace", 2),
    ("replace", 2),
];
/// How often that is taken to be: once in so many bytes.
const LETTERS_APART: usize = 16;
/// What a text is taken for whose width nothing tells.
const SOME_TEXT: usize = 64;
/// What each unit of a length is taken for, where it counts copies.
const COPY_BYTES: usize = 8;
/// What is taken for a length that is no constant.
const UNKNOWN_LENGTH: usize = 4096;
/// Functions whose second argument says how long their value is.
const LENGTHS: [&str; 6] = [
    "repeat",
    "lpad",
    "rpad",
    "array_repeat",
    "array_resize",
    "list_repeat",
];

/// Rows that a window of growing values is given first.
pub(super) const FIRST_ROWS: usize = 64;
/// Whether this operator is a window of values that may be longer than those that they are made of: `string_agg` of all
/// rows so far.
pub(super) fn is_growing(node: &dyn ExecutionPlan) -> bool {
    if !node.name().ends_with("WindowAggExec") {
        return false;
    }
    let given = node.children().first().map(|child| child.schema());
    let given = given.map_or(0, |schema| schema.fields().len());
    let schema = node.schema();
    let mut made = schema.fields().iter().skip(given);
    made.any(|field| !field.data_type().is_primitive())
}

/// Whether the state of an aggregate by groups grows with the rows of a group.
///
/// # Errors
/// What an aggregate fails with that cannot tell its state.
pub(super) fn has_growing(aggregate: &AggregateExec) -> Result<bool> {
    for function in aggregate.aggr_expr() {
        let state = function.state_fields()?;
        let lists = state.iter().any(|field| field.data_type().is_nested());
        if lists || function.fun().name() == "string_agg" {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many rows like those of this batch are not too many bytes.
///
/// # Errors
/// When the batch cannot be measured.
pub(super) fn rows_like(batch: &RecordBatch) -> Result<usize> {
    let each = batch.columns().iter().map(|column| {
        let data = column.to_data();
        data.get_slice_memory_size()
    });
    let bytes = each.sum::<Result<usize, _>>()?;
    let row = bytes / batch.num_rows().max(1);
    Ok((BATCH_BYTES / row.max(NARROW_BYTES)).max(1))
}

/// How many rows this operator should be given at a time; `None` where its values are narrow.
///
/// # Errors
/// None of its own.
pub(super) fn rows_of(node: &dyn ExecutionPlan) -> Result<Option<usize>> {
    let mut bytes = 0_usize;
    node.apply_expressions(&mut |expr| {
        bytes = bytes
            .saturating_add(width(expr))
            .saturating_add(again(expr));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok((bytes > NARROW_BYTES).then(|| (BATCH_BYTES / bytes).max(1)))
}

/// The bytes of a constant list that each row has again. As an argument it is there once.
fn again(expr: &Arc<dyn PhysicalExpr>) -> usize {
    let literal = expr.downcast_ref::<Literal>().map(Literal::value);
    let list = literal.filter(|value| value.data_type().is_nested());
    let bytes = list.map_or(0, ScalarValue::size);
    if bytes > NARROW_BYTES { bytes } else { 0 }
}

/// The bytes of wide parts of an expression.
fn width(expr: &Arc<dyn PhysicalExpr>) -> usize {
    if let Some(literal) = expr.downcast_ref::<Literal>() {
        return of_constant(literal.value());
    }
    let parts = expr.children().into_iter().map(width);
    let parts = parts.fold(0_usize, usize::saturating_add);
    parts.saturating_add(made(expr))
}

/// The bytes that a function makes beyond its arguments.
fn made(expr: &Arc<dyn PhysicalExpr>) -> usize {
    let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() else {
        return 0;
    };
    if let Some((_, place)) = PUT_IN.iter().find(|(name, _)| *name == call.name()) {
        let within = call.args().first().map_or(0, width).max(SOME_TEXT);
        let put = call.args().get(*place).map_or(0, width);
        return (within / LETTERS_APART).saturating_mul(put);
    }
    if !LENGTHS.contains(&call.name()) {
        return 0;
    }
    let length = call.args().get(1);
    let length = length.map(|length| match length.downcast_ref::<Literal>() {
        Some(literal) => match literal.value() {
            ScalarValue::Int64(Some(length)) => usize::try_from(*length).unwrap_or(0),
            ScalarValue::Int32(Some(length)) => usize::try_from(*length).unwrap_or(0),
            _ => UNKNOWN_LENGTH,
        },
        None => UNKNOWN_LENGTH,
    });
    let given = call.args().first().map_or(0, width);
    let copy = given.max(COPY_BYTES);
    length.unwrap_or(0).saturating_mul(copy)
}

/// The bytes of a constant that each row would have again.
fn of_constant(value: &ScalarValue) -> usize {
    let bytes = match value {
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) => text.len(),
        ScalarValue::Binary(Some(bytes)) | ScalarValue::LargeBinary(Some(bytes)) => bytes.len(),
        // Views of one text are one text.
        ScalarValue::Utf8View(_) | ScalarValue::BinaryView(_) => 0,
        _ => 0,
    };
    match bytes > NARROW_BYTES {
        true => bytes,
        false => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn rows(sql: &str) -> Vec<Option<usize>> {
        let context = SessionContext::new();
        let plan = context.sql(sql).await.unwrap();
        let mut plan = plan.create_physical_plan().await.unwrap();
        let mut found = Vec::new();
        loop {
            found.push(rows_of(plan.as_ref()).unwrap());
            let Some(child) = plan.children().first().map(|child| Arc::clone(child)) else {
                return found;
            };
            plan = child;
        }
    }

    #[tokio::test]
    async fn wide_constants_and_long_results_are_seen() {
        let narrow = "SELECT a, 'x' || a FROM (VALUES ('b')) t(a) WHERE a <> 'c'";
        assert!(rows(narrow).await.iter().all(Option::is_none));
        for (what, most) in [
            ("repeat('x', 1000000)", 4),
            ("repeat(a, 100000)", 5),
            ("lpad(a, 100000)", 5),
            ("a || repeat('x', 100000)", 41),
            ("array_repeat(a, 10000)", 60),
            ("range(100000)", 10),
            ("replace(repeat(a, 10000), 'a', repeat('b', 1000))", 1),
            (
                "regexp_replace(repeat(a, 10000), 'a', repeat('b', 1000), 'g')",
                1,
            ),
        ] {
            let sql = format!("SELECT {what} FROM (VALUES ('b'), ('c')) t(a)");
            let found = rows(&sql).await.into_iter().flatten().min();
            assert!(found.is_some_and(|rows| rows <= most), "{what}: {found:?}");
        }
    }
}
