//! The value of a subquery is NULL where it has no rows, whatever its column says of itself: the planner takes that of
//! `(SELECT 1 FROM t WHERE false)` for one that is never NULL.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Result, utils::take_function_args};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, EmptyRelation, Expr, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// A plan whose subqueries may give NULL where they may have no rows.
///
/// # Errors
/// What making a plan fails with.
pub(crate) fn without_rows(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut any = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            any = any || expr.exists(|part| Ok(nullable(part).is_some()))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(match any {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    match any {
        true => super::walked(plan, |node| {
            super::with_expressions(node, |expr, _| nullable(expr))
        }),
        false => Ok(plan),
    }
}

/// A subquery that may have no rows and does not say so; `None` for any other expression.
fn nullable(expr: &Expr) -> Option<Expr> {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
        let signature = Signature::any(1, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(RowOrNull(signature)))
    });
    let Expr::ScalarSubquery(subquery) = expr else {
        return None;
    };
    let field = subquery.subquery.schema().fields().first()?;
    let is_nullable = field.is_nullable() && !is_constant(&subquery.subquery);
    let says_so = is_nullable || has_a_row(&subquery.subquery);
    (!says_so).then(|| {
        let call = ScalarFunction::new_udf(Arc::clone(&FUNCTION), vec![expr.clone()]);
        Expr::ScalarFunction(call)
    })
}

/// Whether the value of a query is one that the planner may know before it runs: it is never NULL then.
fn is_constant(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            let value = projection.expr.first();
            value.is_some_and(|value| value.column_refs().is_empty())
        }
        LogicalPlan::SubqueryAlias(alias) => is_constant(&alias.input),
        LogicalPlan::Sort(sort) => is_constant(&sort.input),
        LogicalPlan::Limit(limit) => is_constant(&limit.input),
        LogicalPlan::Distinct(_) | LogicalPlan::Subquery(_) => plan
            .inputs()
            .first()
            .is_some_and(|input| is_constant(input)),
        _ => false,
    }
}

/// Whether a query has one row, whatever is in its tables.
fn has_a_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_a_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_a_row(&alias.input),
        LogicalPlan::Sort(sort) => sort.fetch.is_none() && has_a_row(&sort.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(EmptyRelation {
            produce_one_row, ..
        }) => *produce_one_row,
        _ => false,
    }
}

/// The value as it is, which may be NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RowOrNull(Signature);

impl ScalarUDFImpl for RowOrNull {
    fn name(&self) -> &'static str {
        "row_or_null"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let [field] = take_function_args(self.name(), args.arg_fields)?;
        Ok(Arc::new(field.as_ref().clone().with_nullable(true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = take_function_args(self.name(), args.args)?;
        Ok(value)
    }
}
