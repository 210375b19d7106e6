//! Divisions and functions behind what keeps from them the numbers that they have no result for: where one condition
//! leaves a row out, or the FILTER of an aggregate does, the next is not asked about it.
//!
//! ```text
//! WHERE an > 0 AND ac / an > 1        ─►  an > 0 AND ac / CASE WHEN an > 0 THEN an END > 1
//! CASE WHEN an > 0 THEN ac / an > 1 END  ─►  CASE WHEN an > 0 THEN ac / CASE WHEN an > 0 THEN an END > 1 END
//! SELECT x <= 0 OR ln(x) > 1         ─►  x <= 0 OR ln(CASE WHEN (x <= 0) IS NOT TRUE THEN x END) > 1
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

use super::checked::{self, Mode};
use super::mathematics;

/// A filter whose divisions are asked for only where the conditions before them hold.
pub(super) fn guarded(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Filter(filter) = node else {
        return Ok(Transformed::no(node));
    };
    if !may_fail(&filter.predicate) {
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
            Some(guard) if may_fail(&condition) => {
                changed = true;
                asked_where(condition.clone(), &guard)?
            }
            _ => condition.clone(),
        };
        if is_cheap(&condition) && !may_fail(&condition) {
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

/// What stands behind AND or OR, asked only where PostgreSQL asks it; `None` where it cannot fail. What may fail behind a
/// condition that is not to be asked twice is quiet.
pub(super) fn behind(
    left: &Expr,
    op: Operator,
    right: &Expr,
    is_condition: bool,
) -> Result<Option<Expr>> {
    if !may_fail(right) && !fails_within(right) {
        return Ok(None);
    }
    let guard = match op {
        Operator::And if is_condition => left.clone(),
        Operator::And => Expr::IsNotFalse(Box::new(left.clone())),
        _ => Expr::IsNotTrue(Box::new(left.clone())),
    };
    let asked = match is_cheap(left) && !fails_within(left) && is_short(left) {
        true => asked_where(right.clone(), &guard)?,
        false => quieted(right.clone())?,
    };
    let made = || {
        let (left, right) = (Box::new(left.clone()), Box::new(asked.clone()));
        Expr::BinaryExpr(BinaryExpr::new(left, op, right))
    };
    Ok((asked != *right).then(made))
}

/// An expression that is asked for what may fail only where a condition holds.
fn asked_where(condition: Expr, guard: &Expr) -> Result<Expr> {
    let made = condition.transform_up(|part| {
        Ok(match part {
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: op @ (Operator::Divide | Operator::Modulo),
                right,
            }) if is_open(&right, guard) => {
                let right = Box::new(where_true(guard, *right));
                Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
            }
            Expr::ScalarFunction(mut call) if fails(&call) => {
                // A division by what is asked for nowhere is none, and so is a function of it.
                let asked = match checked::mode_of_division(&call) {
                    Some(_) => call.args.last_mut(),
                    None => call
                        .args
                        .iter_mut()
                        .find(|arg| !arg.column_refs().is_empty()),
                };
                match asked.filter(|arg| is_open(arg, guard)) {
                    Some(arg) => {
                        *arg = where_true(guard, arg.clone());
                        Transformed::yes(Expr::ScalarFunction(call))
                    }
                    None => Transformed::no(Expr::ScalarFunction(call)),
                }
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

/// Whether an argument is no constant, and not yet asked for only where this condition holds.
fn is_open(arg: &Expr, guard: &Expr) -> bool {
    let mut inner = arg;
    while let Expr::Case(case) = inner {
        let [(when, then)] = case.when_then_expr.as_slice() else {
            break;
        };
        if **when == *guard {
            return false;
        }
        inner = then;
    }
    !arg.column_refs().is_empty()
}

/// Whether a call fails where there is no such number.
fn fails(call: &ScalarFunction) -> bool {
    let mode = mathematics::mode(call).or_else(|| checked::mode_of_division(call));
    mode.is_some_and(|mode| mode != Mode::Quiet)
}

/// Whether a call within fails where there is no such number.
fn fails_within(expr: &Expr) -> bool {
    let found = expr.exists(|part| {
        Ok(match part {
            Expr::ScalarFunction(call) => fails(call) && !part.column_refs().is_empty(),
            _ => false,
        })
    });
    found.is_ok_and(|found| found)
}

/// The same without the errors of its calls.
fn quieted(expr: Expr) -> Result<Expr> {
    let made = expr.transform_up(|part| {
        Ok(match quiet(&part, &[Mode::Fails, Mode::FailsHere]) {
            Some(quiet) => Transformed::yes(quiet),
            None => Transformed::no(part),
        })
    })?;
    Ok(made.data)
}

/// The quiet form of a call that has one of some modes; `None` for any other expression.
pub(super) fn quiet(expr: &Expr, modes: &[Mode]) -> Option<Expr> {
    let Expr::ScalarFunction(call) = expr else {
        return None;
    };
    if mathematics::mode(call).is_some_and(|mode| modes.contains(&mode)) {
        return mathematics::in_mode(call, Mode::Quiet);
    }
    let (op, mode) = checked::operation(call)?;
    let [left, right] = call.args.as_slice() else {
        return None;
    };
    let quiet = || checked::quiet(op, left, right);
    modes.contains(&mode).then(quiet)
}

/// How many parts a condition may have that is asked once more.
const PARTS_MAX: usize = 64;

fn is_short(condition: &Expr) -> bool {
    let mut parts = 0;
    let counted = condition.exists(|_| {
        parts += 1;
        Ok(parts > PARTS_MAX)
    });
    counted.is_ok_and(|long| !long)
}

/// A CASE of truth values whose divisions keep to their branch; `None` when nothing in it may fail. The planner makes
/// conditions of such a CASE, all of which are computed.
pub(super) fn branches(case: &Case, schema: &DFSchema) -> Result<Option<Expr>> {
    let is_truth = |expr: &Expr| {
        expr.get_type(schema)
            .is_ok_and(|ty| ty == DataType::Boolean)
    };
    let first = case.when_then_expr.first();
    let truth = first.is_some_and(|(_, then)| is_truth(then));
    let otherwise = case.else_expr.as_deref();
    let any = case.when_then_expr.iter().any(|(_, then)| may_fail(then))
        || otherwise.is_some_and(may_fail);
    if case.expr.is_some() || !truth || !any {
        return Ok(None);
    }
    let mut made = case.clone();
    let mut none_before: Vec<Expr> = Vec::new();
    for (when, then) in &mut made.when_then_expr {
        **then = asked_where(then.as_ref().clone(), when)?;
        none_before.push(Expr::IsNotTrue(when.clone()));
    }
    if let (Some(otherwise), Some(guard)) = (&mut made.else_expr, conjunction(none_before)) {
        **otherwise = asked_where(otherwise.as_ref().clone(), &guard)?;
    }
    Ok(Some(Expr::Case(made)))
}

/// An aggregate whose arguments are computed only for rows that its FILTER takes; `None` when nothing in them may
/// fail.
pub(super) fn filtered(aggregate: &AggregateFunction) -> Option<Expr> {
    let filter = aggregate.params.filter.as_ref()?;
    let open = |arg: &Expr| !matches!(arg, Expr::Case(_)) && may_fail(arg);
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

/// Whether an expression divides by what may be zero, or asks a function of what it may have no result for, outside of a
/// CASE.
fn may_fail(expr: &Expr) -> bool {
    let open = |arg: &Expr| !matches!(arg, Expr::Case(_)) && !arg.column_refs().is_empty();
    let mut found = false;
    let looked = expr.apply(|part| {
        use datafusion::common::tree_node::TreeNodeRecursion;
        Ok(match part {
            Expr::Case(_) => TreeNodeRecursion::Jump,
            Expr::BinaryExpr(BinaryExpr {
                op: Operator::Divide | Operator::Modulo,
                right,
                ..
            }) if open(right) => {
                found = true;
                TreeNodeRecursion::Stop
            }
            Expr::ScalarFunction(call) if fails(call) && call.args.iter().any(open) => {
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
