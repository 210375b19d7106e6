//! Long chains of AND and OR in conditions, as trees.
//!
//! A chain of a thousand conditions is parsed as an expression a thousand deep, and some rules of the planner take a
//! time that grows with the square of the depth: within one such rule planning cannot be stopped. The order of the
//! conditions stays, so that what guards a later one still comes before it.

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode as _};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

/// Conditions in a chain that stays as it is.
const LONG: usize = 64;

/// The plan with long chains in its filters and joins turned into trees.
pub(super) fn as_trees(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_down_with_subqueries(|node| match node {
        // Elsewhere an expression names a column.
        LogicalPlan::Filter(_) | LogicalPlan::Join(_) => {
            node.map_expressions(|expr| expr.transform_down(|expr| Ok(as_tree(expr))))
        }
        node => Ok(Transformed::no(node)),
    })
    .data()
}

fn as_tree(expr: Expr) -> Transformed<Expr> {
    let Some(operator) = chained(&expr).filter(|operator| is_long(&expr, *operator)) else {
        return Transformed::no(expr);
    };
    let mut conditions = Vec::new();
    let mut rest = expr;
    let first = loop {
        match rest {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if op == operator => {
                conditions.push(*right);
                rest = *left;
            }
            first => break first,
        }
    };
    conditions.push(first);
    conditions.reverse();
    while conditions.len() > 1 {
        let mut pairs = Vec::with_capacity(conditions.len().div_ceil(2));
        let mut rest = conditions.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => {
                    let (left, right) = (Box::new(left), Box::new(right));
                    Expr::BinaryExpr(BinaryExpr::new(left, operator, right))
                }
                None => left,
            });
        }
        conditions = pairs;
    }
    match conditions.pop() {
        Some(tree) => Transformed::yes(tree),
        None => Transformed::no(Expr::default()),
    }
}

/// The operator of a chain.
fn chained(expr: &Expr) -> Option<Operator> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { op, .. }) => {
            matches!(op, Operator::And | Operator::Or).then_some(*op)
        }
        _ => None,
    }
}

fn is_long(expr: &Expr, operator: Operator) -> bool {
    let (mut length, mut rest) = (1, expr);
    while let Expr::BinaryExpr(BinaryExpr { left, op, .. }) = rest
        && *op == operator
        && length <= LONG
    {
        length += 1;
        rest = left;
    }
    length > LONG
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::prelude::{and, col, lit, or};

    use super::*;

    fn depth(expr: &Expr) -> usize {
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, right, .. }) => 1 + depth(left).max(depth(right)),
            _ => 0,
        }
    }

    fn leaves(expr: &Expr, found: &mut Vec<String>) {
        match chained(expr) {
            Some(_) => {
                if let Expr::BinaryExpr(BinaryExpr { left, right, .. }) = expr {
                    leaves(left, found);
                    leaves(right, found);
                }
            }
            None => found.push(expr.to_string()),
        }
    }

    #[test]
    fn a_long_chain_becomes_a_tree_in_the_same_order() {
        for (length, expected) in [(1, 1), (64, 64), (65, 8), (300, 10)] {
            let condition = |n: usize| col("x").gt(lit(n as i64));
            let chain = (1..length).fold(condition(0), |all, n| or(all, condition(n)));
            let tree = chain
                .clone()
                .transform_down(|e| Ok(as_tree(e)))
                .unwrap()
                .data;
            assert_eq!(depth(&tree), expected, "{length}");
            let (mut before, mut after) = (Vec::new(), Vec::new());
            leaves(&chain, &mut before);
            leaves(&tree, &mut after);
            assert_eq!(before, after);
        }
        // A chain within a chain of the other kind.
        let inner = (0..100).fold(col("a"), |all, _| and(all, col("b")));
        let outer = (0..100).fold(inner.clone(), |all, _| or(all, inner.clone()));
        let tree = outer.transform_down(|e| Ok(as_tree(e))).unwrap().data;
        assert_eq!(depth(&tree), 14);
    }
}
