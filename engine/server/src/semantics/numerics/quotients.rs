//! Quotients of numerics with their last digit rounded, as PostgreSQL has it: the planner's cut off what comes behind.
//!
//! ```text
//! a / b   ─►   ((a with a digit more) / b) as the type that a / b has: halves go away from zero
//! ```

use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field};
use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, Operator, cast};

use crate::semantics::types::{ADDED_BY_DIVISION, WIDEST};

/// Marks a dividend that has its digit more.
const FINER: &str = "finer";

/// A quotient that is rounded; `None` when it is, and for any other than of numerics.
pub(crate) fn rounded(left: &Expr, right: &Expr, schema: &DFSchema) -> Option<Expr> {
    if matches!(left, Expr::Cast(cast) if cast.field.metadata().contains_key(FINER)) {
        return None;
    }
    let divided = |left: Expr, right: Expr| {
        let (left, right) = (Box::new(left), Box::new(right));
        Expr::BinaryExpr(BinaryExpr::new(left, Operator::Divide, right))
    };
    let (of_left, of_right) = (left.get_type(schema).ok()?, right.get_type(schema).ok()?);
    let to = divided(left.clone(), right.clone()).get_type(schema).ok()?;
    let (digits, scale) = shape(&of_left)?;
    let (of_divisor, behind) = shape(&of_right)?;
    let (_, of_quotient) = shape(&to)?;
    if of_quotient != scale.checked_add(ADDED_BY_DIVISION)? {
        return None;
    }
    let more = (digits + 1, scale + 1);
    let room = i16::from(more.0) + i16::from(ADDED_BY_DIVISION) + i16::from(behind);
    let narrow = !matches!(of_left, DataType::Decimal256(..))
        && !matches!(of_right, DataType::Decimal256(..))
        && room <= i16::from(DECIMAL128_MAX_PRECISION);
    let (dividend, divisor) = match narrow {
        true => (DataType::Decimal128(more.0, more.1), of_right.clone()),
        false if more.1 + ADDED_BY_DIVISION <= SCALE_MAX => (
            DataType::Decimal256(more.0.min(WIDEST), more.1),
            DataType::Decimal256(of_divisor, behind),
        ),
        false => return None,
    };
    let marks = [(FINER.to_owned(), String::new())].into();
    let field = Field::new(FINER, dividend, true).with_metadata(marks);
    let dividend = Expr::Cast(Cast::new_from_field(
        Box::new(left.clone()),
        Arc::new(field),
    ));
    let divisor = match divisor == of_right {
        true => right.clone(),
        false => cast(right.clone(), divisor),
    };
    Some(cast(divided(dividend, divisor), to))
}

/// Digits behind the point that a quotient may have.
const SCALE_MAX: i8 = 76;

fn shape(of: &DataType) -> Option<(u8, i8)> {
    match of {
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale) => {
            Some((*digits, *scale))
        }
        _ => None,
    }
}
