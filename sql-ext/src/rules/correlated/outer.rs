//! Outer joins with a condition whose subqueries speak of rows of both sides, or that may be another each time.
//!
//! ```text
//! a LEFT JOIN b ON a.x = b.x AND b.y > ALL (SELECT … of a and b)
//!
//! Projection: a.*, CASE WHEN mark THEN b.* END
//!   Filter: mark OR place = 1
//!     Window: place = row_number() of the rows of one number, those with a mark first
//!       Projection: a.*, b.*, number, whether the condition holds AS mark
//!         Left Join: a.x = b.x
//!           Window: number = row_number()
//!             a
//!           b
//! ```
//! Each row of the side that stays is kept once when it meets none of the other.

use std::sync::Arc;

use datafusion::common::tree_node::TreeNode as _;
use datafusion::common::{Column, NullEquality, Result};
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{
    Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Window, WindowFunctionDefinition, lit,
    when,
};

use super::apply::{Names, answered};
use super::{is_subquery, projected};

fn columns(plan: &LogicalPlan) -> Vec<Expr> {
    let columns = plan.schema().columns();
    columns.into_iter().map(Expr::Column).collect()
}

fn numbered(plan: LogicalPlan, by: WindowFunction, name: &str) -> Result<LogicalPlan> {
    let number = Expr::from(by).alias(name);
    Window::try_new(vec![number], Arc::new(plan)).map(LogicalPlan::Window)
}

fn row_number() -> WindowFunction {
    WindowFunction::new(
        WindowFunctionDefinition::WindowUDF(row_number_udwf()),
        Vec::new(),
    )
}

/// The join as one whose condition is asked of each pair of rows; `None` when it has no such form.
pub(super) fn kept(join: &Join, names: &mut Names) -> Result<Option<LogicalPlan>> {
    let (stays, other) = match join.join_type {
        JoinType::Left => (&join.left, &join.right),
        JoinType::Right => (&join.right, &join.left),
        _ => return Ok(None),
    };
    if join.null_aware || join.null_equality != NullEquality::NullEqualsNothing {
        return Ok(None);
    }
    let (mut on, mut asked) = (Vec::new(), Vec::new());
    for part in join.filter.iter().flat_map(split_conjunction) {
        let plain = !part.is_volatile() && !part.exists(|part| Ok(is_subquery(part)))?;
        match plain {
            true => on.push(part.clone()),
            false => asked.push(part.clone()),
        }
    }
    on.extend(join.on.iter().map(|(l, r)| l.clone().eq(r.clone())));
    if on.is_empty() {
        on.push(lit(true));
    }
    let Some(condition) = conjunction(asked) else {
        return Ok(None);
    };
    let [number, any, mark, place] = ["row", "any", "mark", "place"].map(|what| names.next(what));
    let column = |name: &String| Expr::Column(Column::new_unqualified(name));
    let rows = numbered(stays.as_ref().clone(), row_number(), &number)?;
    let mut list = columns(other);
    list.push(lit(true).alias(&any));
    let beside = projected(other.as_ref().clone(), list)?;
    let pairs = LogicalPlanBuilder::from(rows).join_on(beside, JoinType::Left, on)?;
    let Some((pairs, condition)) = answered(&pairs.build()?, &condition, names)? else {
        return Ok(None);
    };
    let holds = column(&any).is_true().and(condition);
    let mut list = columns(stays);
    list.extend(columns(other));
    list.push(column(&number));
    list.push(when(holds, lit(true)).end()?.alias(&mark));
    let pairs = projected(pairs, list)?;
    let mut first = row_number();
    first.params.partition_by = vec![column(&number)];
    first.params.order_by = vec![column(&mark).is_true().sort(false, false)];
    let pairs = numbered(pairs, first, &place)?;
    let is_pair = column(&mark).is_true();
    let stays_alone = column(&place).eq(lit(1_u64));
    let pairs = LogicalPlanBuilder::from(pairs).filter(is_pair.or(stays_alone))?;
    let pairs = pairs.build()?;
    let mut list = Vec::new();
    for side in [&join.left, &join.right] {
        for (qualifier, field) in side.schema().iter() {
            let value = Expr::Column(Column::from((qualifier, field)));
            list.push(match Arc::ptr_eq(side, stays) {
                true => value,
                false => when(column(&mark), value)
                    .end()?
                    .alias_qualified(qualifier.cloned(), field.name()),
            });
        }
    }
    projected(pairs, list).map(Some)
}
