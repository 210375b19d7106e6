//! `EXCEPT ALL` and `INTERSECT ALL` count copies: of three equal rows and two on the other side one is left, or two are
//! common. The planner looks only whether there is any.
//!
//! ```text
//! l EXCEPT ALL r   ─►   each copy gets its number on either side, and goes with the copy of that number
//! ```

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, JoinType, NullEquality, Result};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Distinct, Expr, ExprFunctionExt as _, Join, LogicalPlan, LogicalPlanBuilder,
};

/// What the number of a copy is called.
const COPY: &str = "number of the copy";

/// A plan whose set operations count copies.
///
/// # Errors
/// What making a plan fails with.
pub(super) fn counted(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) if is_of_all(&join) => numbered(&join).map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    })
    .map(|plan| plan.data)
}

/// Whether a join is what the planner makes of one of these. Where the left side has each row once there is nothing to
/// count.
fn is_of_all(join: &Join) -> bool {
    join.null_equality == NullEquality::NullEqualsNull
        && matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.filter.is_none()
        && join.on.len() == join.left.schema().fields().len()
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(Distinct::All(_)))
}

fn numbered(join: &Join) -> Result<LogicalPlan> {
    let side = |plan: &LogicalPlan, values: Vec<Expr>| {
        let number = row_number().partition_by(values).build()?.alias(COPY);
        LogicalPlanBuilder::from(plan.clone())
            .window(vec![number])?
            .build()
    };
    let (left, right) = join.on.iter().cloned().unzip();
    let (left, right) = (side(&join.left, left)?, side(&join.right, right)?);
    let number = Expr::Column(Column::new_unqualified(COPY));
    let mut on = join.on.clone();
    on.push((number.clone(), number));
    let columns = join.left.schema().columns().into_iter().map(Expr::Column);
    let joined = Join::try_new(
        left.into(),
        right.into(),
        on,
        None,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    LogicalPlanBuilder::from(LogicalPlan::Join(joined))
        .project(columns)?
        .build()
}
