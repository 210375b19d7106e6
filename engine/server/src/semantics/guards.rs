//! Divisions behind what keeps zeros from them: where one condition leaves a row out, or the FILTER of an aggregate
//! does, the next is not asked about it.
//!
//! ```text
//! WHERE an > 0 AND ac / an > 1        ─►  an > 0 AND ac / CASE WHEN an > 0 THEN an END > 1
//! CASE WHEN an > 0 THEN ac / an > 1 END  ─►  CASE WHEN an > 0 THEN ac / CASE WHEN an > 0 THEN an END > 1 END
//! sum(ac / an) FILTER (WHERE an > 0)  ─►  sum(CASE WHEN an > 0 THEN ac / an END) FILTER (WHERE an > 0)
//! ```
//! PostgreSQL asks from left to right and a row at a time; the planner computes for whole batches.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{AggregateFunction, Case, ScalarFunction};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable as _, Filter, LogicalPlan, Operator,
};

/// A filter whose divisions are asked for only where the conditions before them hold.
pub(super) fn guarded(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Filter(filter) = node else {
        return Ok(Transformed::no(node));
    };
    if !divides(&filter.predicate) {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let mut before: Vec<Expr> = Vec::new();
    let mut changed = false;
    let mut conditions = Vec::new();
    for condition in split_conjunction_owned(filter.predicate.clone()) {
        let about = condition.column_refs();
        let touches = |known: &&Expr| {
            let columns: HashSet<&Column> = known.column_refs();
            columns.iter().any(|column| about.contains(column))
        };
        let guards: Vec<Expr> = before.iter().filter(touches).cloned().collect();
        let guarded = match conjunction(guards) {
            Some(guard) if divides(&condition) => {
                changed = true;
                divided_where(condition.clone(), &guard)?
            }
            _ => condition.clone(),
        };
        if is_cheap(&condition) && !divides(&condition) {
            before.push(condition);
        }
        conditions.push(guarded);
    }
    match conjunction(conditions).filter(|_| changed) {
        Some(predicate) => {
            let filter = Filter::try_new(predicate, Arc::clone(&filter.input))?;
            Ok(Transformed::yes(LogicalPlan::Filter(filter)))
        }
        None => Ok(Transformed::no(LogicalPlan::Filter(filter))),
    }
}

/// A condition that divides only where another holds.
fn divided_where(condition: Expr, guard: &Expr) -> Result<Expr> {
    let made = condition.transform_up(|part| {
        Ok(match part {
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: op @ (Operator::Divide | Operator::Modulo),
                right,
            }) if !matches!(right.as_ref(), Expr::Case(_)) && !right.column_refs().is_empty() => {
                let right = Box::new(where_true(guard, *right));
                Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
            }
            Expr::ScalarFunction(mut call) if is_checked_division(&call) => {
                if let Some(right) = call.args.pop() {
                    call.args.push(where_true(guard, right));
                }
                Transformed::yes(Expr::ScalarFunction(call))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(made.data)
}

fn where_true(guard: &Expr, value: Expr) -> Expr {
    let taken = vec![(Box::new(guard.clone()), Box::new(value))];
    Expr::Case(Case::new(None, taken, None))
}

/// Whether a call divides by what is not a constant, and is not kept from zero yet.
fn is_checked_division(call: &ScalarFunction) -> bool {
    let divisor = call.args.get(1);
    call.func.name() == super::checked::DIVIDE
        && divisor.is_some_and(|divisor| {
            !matches!(divisor, Expr::Case(_)) && !divisor.column_refs().is_empty()
        })
}

/// A CASE of truth values whose divisions keep to their branch; `None` when nothing in it divides. The planner makes
/// conditions of such a CASE, all of which are computed.
pub(super) fn branches(case: &Case, schema: &DFSchema) -> Result<Option<Expr>> {
    let is_truth = |expr: &Expr| {
        expr.get_type(schema)
            .is_ok_and(|ty| ty == DataType::Boolean)
    };
    let first = case.when_then_expr.first();
    let truth = first.is_some_and(|(_, then)| is_truth(then));
    let otherwise = case.else_expr.as_deref();
    let any =
        case.when_then_expr.iter().any(|(_, then)| divides(then)) || otherwise.is_some_and(divides);
    if case.expr.is_some() || !truth || !any {
        return Ok(None);
    }
    let mut made = case.clone();
    let mut none_before: Vec<Expr> = Vec::new();
    for (when, then) in &mut made.when_then_expr {
        **then = divided_where(then.as_ref().clone(), when)?;
        none_before.push(Expr::IsNotTrue(when.clone()));
    }
    if let (Some(otherwise), Some(guard)) = (&mut made.else_expr, conjunction(none_before)) {
        **otherwise = divided_where(otherwise.as_ref().clone(), &guard)?;
    }
    Ok(Some(Expr::Case(made)))
}

/// An aggregate whose arguments are computed only for rows that its FILTER takes; `None` when nothing in them divides.
pub(super) fn filtered(aggregate: &AggregateFunction) -> Option<Expr> {
    let filter = aggregate.params.filter.as_ref()?;
    let open = |arg: &Expr| !matches!(arg, Expr::Case(_)) && divides(arg);
    if !aggregate.params.args.iter().any(open) {
        return None;
    }
    let mut made = aggregate.clone();
    for arg in &mut made.params.args {
        if open(arg) {
            let taken = vec![(filter.clone(), Box::new(arg.clone()))];
            *arg = Expr::Case(Case::new(None, taken, None));
        }
    }
    Some(Expr::AggregateFunction(made))
}

/// Whether an expression divides by what may be zero, outside of a CASE.
fn divides(expr: &Expr) -> bool {
    let mut found = false;
    let looked = expr.apply(|part| {
        use datafusion::common::tree_node::TreeNodeRecursion;
        Ok(match part {
            Expr::Case(_) => TreeNodeRecursion::Jump,
            Expr::BinaryExpr(BinaryExpr {
                op: Operator::Divide | Operator::Modulo,
                right,
                ..
            }) if !matches!(right.as_ref(), Expr::Case(_)) && !right.column_refs().is_empty() => {
                found = true;
                TreeNodeRecursion::Stop
            }
            Expr::ScalarFunction(call) if is_checked_division(call) => {
                found = true;
                TreeNodeRecursion::Stop
            }
            _ => TreeNodeRecursion::Continue,
        })
    });
    looked.is_ok() && found
}

/// Whether a condition may be asked twice.
fn is_cheap(condition: &Expr) -> bool {
    let costly = condition.exists(|part| {
        Ok(matches!(
            part,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::ScalarFunction(_)
        ))
    });
    costly.is_ok_and(|costly| !costly) && !condition.is_volatile()
}
