//! What DataFusion computes otherwise than PostgreSQL, mended in the plans of sessions.
//!
//! - A fraction that becomes an integer is rounded, not cut off: `2.7::int` is 3.
//! - Whole numbers that leave their type are an error (22003), not another number: `ac * an` of integers.
//! - What becomes text is printed as results are: `{1,2}`, `10000000000`.
//! - Sums, quotients and dates have PostgreSQL's types ([`settle`]).
//!
//! The rule runs after types are settled. A sum or difference with a small constant stays as it is, so that scans and
//! joins still recognise `pos + 1000`.

mod checked;
mod rounded;
mod text;
mod types;

pub(crate) use types::settle;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;

/// Makes a session compute as PostgreSQL does.
pub(crate) fn install(context: &SessionContext) {
    context.add_analyzer_rule(Arc::new(PostgresSemantics));
}

#[derive(Debug)]
struct PostgresSemantics;

impl AnalyzerRule for PostgresSemantics {
    fn name(&self) -> &'static str {
        "postgres_semantics"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(node)
            .map(|plan| plan.data)
    }
}

fn node(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let changed = with_expressions(node, mended)?;
    match changed.transformed {
        true => changed.map_data(LogicalPlan::recompute_schema),
        false => Ok(changed),
    }
}

/// A node whose expressions are what `better` makes of them and of their parts, under the names that they had.
fn with_expressions(
    node: LogicalPlan,
    better: impl Fn(&Expr, &DFSchema) -> Option<Expr>,
) -> Result<Transformed<LogicalPlan>> {
    let mut schema = DFSchema::empty();
    for input in node.inputs() {
        schema.merge(input.schema());
    }
    let names = NamePreserver::new(&node);
    node.map_expressions(|expr| {
        // Names of long constants cost more than looking first.
        if !expr.exists(|part| Ok(better(part, &schema).is_some()))? {
            return Ok(Transformed::no(expr));
        }
        let name = names.save(&expr);
        let changed = expr.transform_up(|part| {
            Ok(match better(&part, &schema) {
                Some(better) => Transformed::yes(better),
                None => Transformed::no(part),
            })
        })?;
        Ok(changed.update_data(|expr| name.restore(expr)))
    })
}

/// What an expression should be; `None` when it is right. What names a column of an outer query has no type here and
/// stays.
fn mended(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    match expr {
        Expr::Cast(Cast { expr: value, field }) => {
            let from = value.get_type(schema).ok()?;
            match field.data_type() {
                to if to.is_integer() => {
                    let value = rounded::rounded(value, &from)?;
                    Some(recast(value, field))
                }
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                    let value = text::printed(value, &from)?;
                    Some(recast(value, field))
                }
                _ => None,
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            if !matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply) {
                return None;
            }
            let of = |side: &Expr| side.get_type(schema).ok();
            let (from, other) = (of(left)?, of(right)?);
            if from != other || !from.is_signed_integer() || stays(left, *op, right, schema) {
                return None;
            }
            Some(checked::call(*op, left, right))
        }
        _ => None,
    }
}

fn recast(value: Expr, field: &FieldRef) -> Expr {
    Expr::Cast(Cast {
        expr: Box::new(value),
        field: Arc::clone(field),
    })
}

/// Whether a result stays in its type whatever the columns hold, or all but surely so.
fn stays(left: &Expr, op: Operator, right: &Expr, schema: &DFSchema) -> bool {
    let (Some(a), Some(b)) = (bits(left, schema), bits(right, schema)) else {
        return false;
    };
    let room = match left.get_type(schema) {
        Ok(DataType::Int8) => 7,
        Ok(DataType::Int16) => 15,
        Ok(DataType::Int32) => 31,
        _ => 63,
    };
    let needed = match op {
        Operator::Multiply => a + b,
        _ => a.max(b) + 1,
    };
    // A column of bigint is not within 2^31 of its end.
    let small = |literal: &Expr, bits: u32, other: &Expr| {
        is_constant(literal) && bits <= 31 && !is_constant(other) && op != Operator::Multiply
    };
    needed <= room || (room == 63 && (small(left, a, right) || small(right, b, left)))
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(..) => true,
        Expr::Cast(cast) => is_constant(&cast.expr),
        Expr::Negative(expr) => is_constant(expr),
        _ => false,
    }
}

/// Binary digits of the greatest size that an integer may have.
fn bits(expr: &Expr, schema: &DFSchema) -> Option<u32> {
    let of_value = |value: i64| i64::BITS - value.unsigned_abs().leading_zeros();
    match expr {
        Expr::Literal(value, _) => match value {
            ScalarValue::Int8(Some(value)) => Some(of_value(i64::from(*value))),
            ScalarValue::Int16(Some(value)) => Some(of_value(i64::from(*value))),
            ScalarValue::Int32(Some(value)) => Some(of_value(i64::from(*value))),
            ScalarValue::Int64(Some(value)) => Some(of_value(*value)),
            value if value.is_null() => Some(0),
            _ => None,
        },
        Expr::Negative(expr) => bits(expr, schema),
        Expr::Cast(cast) => match bits(&cast.expr, schema) {
            Some(bits) => Some(bits),
            None => of_type(&expr.get_type(schema).ok()?),
        },
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (a, b) = (bits(left, schema)?, bits(right, schema)?);
            let most = of_type(&expr.get_type(schema).ok()?)?;
            match op {
                Operator::Plus | Operator::Minus => Some(most.min(a.max(b) + 1)),
                Operator::Multiply => Some(most.min(a + b)),
                _ => Some(most),
            }
        }
        _ => of_type(&expr.get_type(schema).ok()?),
    }
}

fn of_type(data_type: &DataType) -> Option<u32> {
    Some(match data_type {
        DataType::Int8 => 7,
        DataType::UInt8 => 8,
        DataType::Int16 => 15,
        DataType::UInt16 => 16,
        DataType::Int32 => 31,
        DataType::UInt32 => 32,
        DataType::Int64 => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use datafusion::arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::{cast, col, lit};

    fn stays_in_type(expr: Expr) -> bool {
        let fields = [("pos", DataType::Int32), ("n", DataType::Int64)];
        let fields = fields.map(|(name, ty)| Field::new(name, ty, true));
        let schema = DFSchema::try_from(Schema::new(fields.to_vec())).unwrap();
        mended(&expr, &schema).is_none()
    }

    #[test]
    fn arithmetic_is_checked_where_it_could_leave_its_type() {
        let long = |name: &str| cast(col(name), DataType::Int64);
        assert!(stays_in_type(long("pos") + lit(1000i64)));
        assert!(stays_in_type(long("pos") * long("pos")));
        assert!(stays_in_type(col("n") - lit(1i64)));
        assert!(!stays_in_type(col("pos") * col("pos")));
        assert!(!stays_in_type(col("pos") + col("pos")));
        assert!(!stays_in_type(col("n") + col("n")));
        assert!(!stays_in_type(col("n") * lit(2i64)));
        assert!(!stays_in_type(lit(i64::MAX) + lit(1i64)));
        assert!(stays_in_type(lit(7i64) * lit(6i64)));
    }
}
