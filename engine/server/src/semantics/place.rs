//! Where expressions stand in a plan, and what may be done there.

use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan};

use super::any_equal;
use super::checked::Mode;

/// Where an expression stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Among conditions, where an infinite number is compared as it is.
    pub(super) is_condition: bool,
    /// Among conditions in which every `= ANY` stands below AND and OR alone: an unknown may be false there.
    pub(super) is_positive: bool,
    /// What is done where there is no such number.
    pub(super) mode: Mode,
}

impl Place {
    pub(super) fn of(node: &LogicalPlan) -> Self {
        let is_condition = is_condition(node);
        let mut is_positive = is_condition;
        let looked = node.apply_expressions(|expr| {
            is_positive = is_positive && any_equal::decides_alone(expr);
            Ok(TreeNodeRecursion::Continue)
        });
        let mode = match node {
            LogicalPlan::Filter(filter) if asks_every_row(filter) => Mode::FailsHere,
            _ if is_condition => Mode::Quiet,
            _ => Mode::Fails,
        };
        Self {
            is_condition,
            is_positive: is_positive && looked.is_ok(),
            mode,
        }
    }
}

/// Whether a condition is asked of every row of a table, as PostgreSQL asks it: of rows that something else may leave out
/// before, it is not known.
fn asks_every_row(filter: &Filter) -> bool {
    fn is_whole(plan: &LogicalPlan) -> bool {
        match plan {
            LogicalPlan::SubqueryAlias(alias) => is_whole(&alias.input),
            LogicalPlan::Projection(projection) => is_whole(&projection.input),
            LogicalPlan::TableScan(scan) => scan.filters.is_empty() && scan.fetch.is_none(),
            LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => true,
            _ => false,
        }
    }
    let of_others = filter.predicate.exists(|part| {
        Ok(matches!(
            part,
            Expr::OuterReferenceColumn(..)
                | Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
        ))
    });
    is_whole(&filter.input) && of_others.is_ok_and(|others| !others)
}

/// Whether the expressions of a node are conditions.
pub(super) fn is_condition(node: &LogicalPlan) -> bool {
    matches!(
        node,
        LogicalPlan::Filter(_) | LogicalPlan::Join(_) | LogicalPlan::TableScan(_)
    )
}
