//! Whether whole numbers have room in their type, by how many binary digits they may have.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, Operator};

/// Whether a result stays in its type whatever the columns hold, or all but surely so.
pub(super) fn stays(left: &Expr, op: Operator, right: &Expr, schema: &DFSchema) -> bool {
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
