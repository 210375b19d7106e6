//! What an expression is told as while a statement is planned, by another of the same type.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DFSchema, DataFusionError, Result, utils::take_function_args};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable as _, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::arrays::Item;
use super::text::is_text;
use crate::pg_types::PgType;

/// The function of an expression and of what it is like.
pub(crate) const TOLD_LIKE: &str = "told_like";

/// Gives a context the function.
pub(super) fn install(context: &SessionContext) {
    let signature = Signature::any(2, Volatility::Immutable);
    context.register_udf(ScalarUDF::new_from_impl(ToldLike(signature)));
}

/// The plan without the expressions that others are like.
///
/// # Errors
/// What changing a plan fails with.
pub(crate) fn told_alike(plan: LogicalPlan) -> Result<LogicalPlan> {
    super::walked(plan, |node| super::with_expressions(node, alone))
}

fn alone(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::ScalarFunction(call) = expr else {
        return None;
    };
    let ([value, like], TOLD_LIKE) = (call.args.as_slice(), call.func.name()) else {
        return None;
    };
    let told = || {
        let (_, field) = like.to_field(schema).ok()?;
        let of = value.get_type(schema).ok()?;
        let kind = kind(&of, &field)?;
        crate::session::told_as(kind, value.clone())
    };
    Some(told().unwrap_or_else(|| value.clone()))
}

/// The type that a text is told as beside a value of it; `None` where that is text.
fn kind(of: &DataType, like: &FieldRef) -> Option<PgType> {
    let told = PgType::of_field(like);
    (is_kind(told) && is_text(of)).then_some(told)
}

/// Whether values of a type are texts that are told as it.
fn is_kind(told: PgType) -> bool {
    matches!(
        told,
        PgType::JSON | PgType::JSONB | PgType::UUID | PgType::INET
    )
}

/// The value of a subquery that stands alone, told as its column is: what runs it knows a text only. `None` for any other
/// expression.
pub(super) fn told_value(expr: &Expr) -> Option<Expr> {
    let Expr::ScalarSubquery(query) = expr else {
        return None;
    };
    let field = query.subquery.schema().fields().first()?;
    let told = PgType::of_field(field);
    let alone = query.outer_ref_columns.is_empty();
    if let (true, Some(_), Some(item)) = (alone, told.element(), Item::of(field)) {
        return Some(item.tells(expr.clone()));
    }
    (is_kind(told) && alone)
        .then(|| crate::session::told_as(told, expr.clone()))
        .flatten()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToldLike(Signature);

impl ScalarUDFImpl for ToldLike {
    fn name(&self) -> &'static str {
        TOLD_LIKE
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let [value, like] = take_function_args(self.name(), args.arg_fields)?;
        let field = value.as_ref().clone();
        Ok(Arc::new(match kind(value.data_type(), like) {
            Some(_) => field.with_metadata(like.metadata().clone()),
            None => field,
        }))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let text = "a value that is told like another was planned to its end".to_owned();
        Err(DataFusionError::Internal(text))
    }
}
