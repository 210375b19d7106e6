//! Operands that have no operator, and fields of what is no row, refused while a statement is planned.

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, TableReference};
use datafusion::execution::context::SessionContext;
use datafusion::execution::{FunctionRegistry as _, SessionStateBuilder};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr, TypePlanner};
use datafusion::logical_expr::{Expr, ExprSchemable as _};
use datafusion::sql::sqlparser::ast::{self, BinaryOperator};

use super::classes::{Class, arithmetic};
use super::refusals::{boolean, matches_text, no_operator, not_unique, refused};
use super::signatures;
use crate::pg_input::truth_of_text;
use crate::semantics::patterns;
use crate::session::{bytea_of_text, declared_name};

/// Refuses operators of values that have none, before the planner looks for a common type.
pub(in crate::semantics) fn install(context: &SessionContext) {
    let planner = context
        .state_ref()
        .write()
        .register_expr_planner(std::sync::Arc::new(Operands));
    if let Err(error) = planner {
        tracing::error!(%error, "a session that compares dates with numbers");
    }
    // The planner's own looks for a field.
    crate::semantics::ask_first(context, std::sync::Arc::new(Fields));
    let state = context.state_ref();
    let mut state = state.write();
    let builder = SessionStateBuilder::new_from_existing(state.clone());
    *state = builder
        .with_type_planner(std::sync::Arc::new(Declared))
        .build();
}

/// Types of text parameters that a client declared: a text whose field says so.
#[derive(Debug)]
struct Declared;

impl TypePlanner for Declared {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        Ok(declared_name(sql_type).map(|name| {
            let told = ("pg_type".to_owned(), name.to_owned());
            let field = Field::new("", DataType::Utf8, true);
            std::sync::Arc::new(field.with_metadata([told].into()))
        }))
    }
}

#[derive(Debug)]
struct Operands;

/// Reads a constant in quotes beside bytes or a truth value, which the planner takes for a text.
///
/// # Errors
/// 22P02 and 22023 for a text that is none.
fn beside(known: Class, constant: &mut Expr) -> Result<()> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = &*constant else {
        return Ok(());
    };
    let value = match known {
        Class::Bytes => ScalarValue::Binary(Some(bytea_of_text(text).map_err(refused)?)),
        Class::Bool => ScalarValue::Boolean(Some(truth_of_text(text).map_err(refused)?)),
        _ => return Ok(()),
    };
    *constant = Expr::Literal(value, None);
    Ok(())
}

/// Reads NULL beside what is put to a text as one.
fn null_as_text(side: &mut Expr, other: Option<Class>) {
    let put = other.is_some_and(|class| !matches!(class, Class::Text | Class::Bytes));
    if put && matches!(side, Expr::Literal(ScalarValue::Null, _)) {
        *side = Expr::Literal(ScalarValue::Utf8(None), None);
    }
}

fn is_arithmetic(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo
    )
}

/// Whether it is a constant in quotes, whose type nothing tells.
fn is_unknown(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(ScalarValue::Utf8(Some(_)), _) => true,
        // A parameter whose type nothing tells.
        Expr::Cast(cast) => {
            *cast.field.data_type() == DataType::Utf8
                && cast.field.metadata().is_empty()
                && matches!(cast.expr.as_ref(), Expr::Literal(value, _) if value.is_null())
        }
        _ => false,
    }
}

/// Fields of what is no row.
#[derive(Debug)]
struct Fields;

impl ExprPlanner for Fields {
    /// `b.yy` beside a column `b` is a column of a table `b`, as there are no fields of what is no row.
    fn plan_compound_identifier(
        &self,
        field: &Field,
        _qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let has_fields = matches!(field.data_type(), DataType::Struct(_) | DataType::Map(..));
        match nested_names {
            [name] if !has_fields => {
                let table = TableReference::bare(field.name().as_str());
                let column = Column::new(Some(table), name);
                Ok(PlannerResult::Planned(Expr::Column(column)))
            }
            _ => Ok(PlannerResult::Original(Vec::new())),
        }
    }
}

impl ExprPlanner for Operands {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if matches!(expr.op, BinaryOperator::And | BinaryOperator::Or) {
            let op = expr.op.to_string();
            boolean(&op, &expr.left, schema)?;
            boolean(&op, &expr.right, schema)?;
            return Ok(PlannerResult::Original(expr));
        }
        signatures::operands(&expr, schema)?;
        // The type of a chain of conditions is asked of every link: long ones would be looked at again for each.
        let there: fn(Class, &BinaryOperator, Class) -> bool = match expr.op {
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq => |l, _, r| !l.unlike(r),
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo => arithmetic,
            BinaryOperator::StringConcat => |l, _, r| {
                l == Class::Text || r == Class::Text || l == Class::Bytes && r == Class::Bytes
            },
            BinaryOperator::PGRegexMatch
            | BinaryOperator::PGRegexIMatch
            | BinaryOperator::PGRegexNotMatch
            | BinaryOperator::PGRegexNotIMatch => {
                matches_text(&expr.left, &expr.op.to_string(), &expr.right, schema)?;
                return Ok(patterns::operator(expr));
            }
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let (left, right) = (
            Class::of(&expr.left, schema),
            Class::of(&expr.right, schema),
        );
        let mut expr = expr;
        if let BinaryOperator::StringConcat = expr.op {
            null_as_text(&mut expr.left, right);
            null_as_text(&mut expr.right, left);
        }
        let beside = |known: Class, constant: &mut Expr| match (known, &expr.op) {
            // A text, to which the truth value is put.
            (Class::Bool, BinaryOperator::StringConcat) => Ok(()),
            _ => beside(known, constant),
        };
        let (l, r) = match (left, right) {
            (Some(l), Some(r)) => (l, r),
            (Some(known), None) => {
                beside(known, &mut expr.right)?;
                return Ok(PlannerResult::Original(expr));
            }
            (None, Some(known)) => {
                beside(known, &mut expr.left)?;
                return Ok(PlannerResult::Original(expr));
            }
            (None, None) => {
                return match is_arithmetic(&expr.op)
                    && is_unknown(&expr.left)
                    && is_unknown(&expr.right)
                {
                    true => Err(not_unique(&expr.left, &expr.op.to_string(), &expr.right)),
                    false => Ok(PlannerResult::Original(expr)),
                };
            }
        };
        let whole = |side: &Expr| side.get_type(schema).is_ok_and(|of| of.is_integer());
        let days = match (l, r) {
            (Class::Date, Class::Number) => whole(&expr.right),
            (Class::Number, Class::Date) => whole(&expr.left),
            _ => true,
        };
        match days && there(l, &expr.op, r) {
            true => Ok(PlannerResult::Original(expr)),
            false => Err(no_operator(
                &expr.left,
                &expr.op.to_string(),
                &expr.right,
                schema,
            )),
        }
    }
}
