//! Which subqueries DataFusion makes joins of itself, and rightly.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprSchemable as _, JoinType, LogicalPlan, Operator, Subquery,
};

use super::is_subquery;

/// Ends a walk when something is found.
pub(super) fn until(found: bool) -> TreeNodeRecursion {
    match found {
        true => TreeNodeRecursion::Stop,
        false => TreeNodeRecursion::Continue,
    }
}

/// The subqueries of a node that DataFusion does not take, each once.
pub(super) fn others(node: &LogicalPlan) -> Result<Vec<Expr>> {
    let mut found: Vec<Expr> = Vec::new();
    if !holds_subqueries(node)? {
        return Ok(found);
    }
    // What is a part of a subquery itself is moved, and holds none then.
    let inside = speaks_of_outer(node)?;
    match node {
        LogicalPlan::Filter(filter) => {
            let schema = filter.input.schema();
            for part in split_conjunction(&filter.predicate) {
                let moves = part.contains_outer();
                collect(part, &mut found, |subquery| match subquery {
                    // It is looked for where that row is known.
                    subquery if moves && looks_outside(subquery) => Ok(true),
                    _ if moves => Ok(false),
                    Expr::ScalarSubquery(inner) => Ok(!inside && is_taken_scalar(inner)?),
                    subquery => is_taken_of_where(subquery, part == subquery, schema),
                })?;
            }
        }
        LogicalPlan::Projection(_) => {
            node.apply_expressions(|expr| {
                collect(expr, &mut found, |subquery| match subquery {
                    Expr::ScalarSubquery(inner) => Ok(!inside && is_taken_scalar(inner)?),
                    _ => Ok(false),
                })?;
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) | LogicalPlan::Sort(_) => {
            node.apply_expressions(|expr| {
                collect(expr, &mut found, |subquery| match subquery {
                    Expr::ScalarSubquery(inner) => {
                        Ok(!inside && inner.outer_ref_columns.is_empty())
                    }
                    _ => Ok(false),
                })?;
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        _ => {}
    }
    Ok(found)
}

fn holds_subqueries(node: &LogicalPlan) -> Result<bool> {
    let mut any = false;
    node.apply_expressions(|expr| {
        any = any || expr.exists(|part| Ok(is_subquery(part)))?;
        Ok(until(any))
    })?;
    Ok(any)
}

/// Adds the subqueries of an expression that are not taken.
fn collect(
    expr: &Expr,
    found: &mut Vec<Expr>,
    is_taken: impl Fn(&Expr) -> Result<bool>,
) -> Result<()> {
    expr.apply(|part| {
        if is_subquery(part) && !is_taken(part)? && !found.contains(part) {
            found.push(part.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Whether DataFusion takes `EXISTS` or `IN` of WHERE, which is a condition of its own (`top`) or a part of one.
fn is_taken_of_where(subquery: &Expr, top: bool, schema: &DFSchema) -> Result<bool> {
    match subquery {
        Expr::Exists(Exists { subquery, .. }) => {
            Ok(subquery.outer_ref_columns.is_empty() || is_filtered(subquery, true)?)
        }
        Expr::InSubquery(within) => {
            let subquery = &within.subquery;
            let mut items = subquery.subquery.schema().fields().iter();
            let null = within.expr.nullable(schema)? || items.any(|item| item.is_nullable());
            // DataFusion knows of NULL only where IN is the whole condition, and nothing else is compared. Of what is
            // not among the values it knows when a column of the rows is looked for: that is a key of its join.
            // Beside other conditions it takes a column of a UNION twice.
            let is_union = |node: &LogicalPlan| Ok(matches!(node, LogicalPlan::Union(_)));
            if !top
                && subquery.outer_ref_columns.is_empty()
                && subquery.subquery.exists(is_union)?
            {
                return Ok(false);
            }
            match (subquery.outer_ref_columns.is_empty(), within.negated) {
                (true, true) => Ok(!null || (top && is_key(&within.expr))),
                (true, false) => Ok(!null || top),
                (false, negated) => Ok(top && !negated && is_filtered(subquery, false)?),
            }
        }
        Expr::SetComparison(_) => Ok(false),
        _ => Ok(true),
    }
}

/// Whether a value is a column of the rows, whatever its type becomes.
pub(super) fn is_key(value: &Expr) -> bool {
    match value {
        Expr::Column(_) => true,
        Expr::Cast(cast) => is_key(&cast.expr),
        _ => false,
    }
}

fn is_taken_scalar(subquery: &Subquery) -> Result<bool> {
    Ok(subquery.outer_ref_columns.is_empty() || is_sum_of_equals(&subquery.subquery)?)
}

/// Whether DataFusion may still find a way: it takes more forms of `EXISTS` and `IN` in WHERE than are known here.
pub(super) fn may_be_taken(node: &LogicalPlan, subquery: &Expr) -> Result<bool> {
    let plan = match subquery {
        Expr::Exists(exists) => &exists.subquery.subquery,
        Expr::InSubquery(within) => &within.subquery.subquery,
        _ => return Ok(false),
    };
    // It forgets NULL of what is not among others further in.
    let mut forgets = false;
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            forgets = forgets
                || expr.exists(|part| {
                    let is_plain = matches!(part, Expr::InSubquery(within) if !within.negated);
                    Ok(looks_outside(part) && !is_plain)
                })?;
            Ok(until(forgets))
        })?;
        forgets = forgets || asks_too_late(node)?;
        Ok(until(forgets))
    })?;
    Ok(!forgets && matches!(node, LogicalPlan::Filter(_)))
}

/// Whether a join's condition or a side of it speaks of the outer row and would be asked above the join, where it is another
/// question: DataFusion takes conditions out of the sides of any join.
fn asks_too_late(node: &LogicalPlan) -> Result<bool> {
    let LogicalPlan::Join(join) = node else {
        return Ok(false);
    };
    Ok(match join.join_type {
        JoinType::Inner => false,
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
            node.contains_outer_reference() || speaks_of_outer(&join.right)?
        }
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
            node.contains_outer_reference() || speaks_of_outer(&join.left)?
        }
        JoinType::Full => speaks_of_outer(node)?,
    })
}

/// Whether a value of the outer row is looked for among those of a subquery that does not speak of any.
fn looks_outside(part: &Expr) -> bool {
    match part {
        Expr::InSubquery(within) => within.expr.contains_outer() && !speaks_of_row(part),
        Expr::SetComparison(compared) => compared.expr.contains_outer() && !speaks_of_row(part),
        _ => false,
    }
}

/// Whether a part of an expression is a subquery that speaks of the row that it stands beside, or of one further out.
pub(super) fn speaks_of_row(part: &Expr) -> bool {
    let subquery = match part {
        Expr::ScalarSubquery(subquery) => subquery,
        Expr::Exists(exists) => &exists.subquery,
        Expr::InSubquery(within) => &within.subquery,
        Expr::SetComparison(compared) => &compared.subquery,
        _ => return false,
    };
    !subquery.outer_ref_columns.is_empty()
}

/// Whether a plan speaks of rows of an outer query.
pub(super) fn speaks_of_outer(plan: &LogicalPlan) -> Result<bool> {
    let mut outer = false;
    plan.apply(|node| {
        outer = outer || node.contains_outer_reference();
        Ok(until(outer))
    })?;
    Ok(outer)
}

/// Whether only filters speak of the outer row, and nothing above them counts rows.
fn is_filtered(subquery: &Subquery, exists: bool) -> Result<bool> {
    let mut plan: &LogicalPlan = &subquery.subquery;
    loop {
        plan = match plan {
            LogicalPlan::Subquery(inner) => &inner.subquery,
            LogicalPlan::Projection(_) if plan.contains_outer_reference() => return Ok(false),
            LogicalPlan::Projection(inner) => &inner.input,
            LogicalPlan::SubqueryAlias(inner) => &inner.input,
            LogicalPlan::Filter(inner) => {
                let outside = inner.predicate.exists(|part| Ok(looks_outside(part)))?;
                match outside {
                    true => return Ok(false),
                    false => &inner.input,
                }
            }
            LogicalPlan::Distinct(Distinct::All(inner)) => inner,
            LogicalPlan::Limit(inner) if exists && inner.skip.is_none() => &inner.input,
            plan => return Ok(!speaks_of_outer(plan)?),
        };
    }
}

/// Whether a scalar subquery is an aggregate of all rows whose columns equal something of the outer row.
fn is_sum_of_equals(plan: &LogicalPlan) -> Result<bool> {
    match plan {
        LogicalPlan::Projection(_) if plan.contains_outer_reference() => Ok(false),
        LogicalPlan::Projection(inner) => is_sum_of_equals(&inner.input),
        LogicalPlan::SubqueryAlias(inner) => is_sum_of_equals(&inner.input),
        LogicalPlan::Subquery(inner) => is_sum_of_equals(&inner.subquery),
        LogicalPlan::Aggregate(Aggregate {
            input, group_expr, ..
        }) => {
            let whole = group_expr.is_empty() && !plan.contains_outer_reference();
            Ok(whole && are_equals(input)?)
        }
        _ => Ok(false),
    }
}

fn are_equals(mut plan: &LogicalPlan) -> Result<bool> {
    let mut any = false;
    while let LogicalPlan::Filter(filter) = plan {
        let schema = filter.input.schema();
        for part in split_conjunction(&filter.predicate) {
            if !part.contains_outer() {
                continue;
            }
            let Expr::BinaryExpr(binary) = part else {
                return Ok(false);
            };
            let is_key = |side: &Expr| match side {
                Expr::Column(_) => Ok::<_, DataFusionError>(is_exact(&side.get_type(schema)?)),
                // Two values must not be one after a cast, since rows are put together before it.
                Expr::Cast(cast) if matches!(cast.expr.as_ref(), Expr::Column(_)) => {
                    let (from, to) = (cast.expr.get_type(schema)?, cast.field.data_type());
                    Ok(is_exact(&from) && keeps_apart(&from, to))
                }
                _ => Ok(false),
            };
            let is_outer = |side: &Expr| !side.any_column_refs();
            let (left, right) = (&*binary.left, &*binary.right);
            let equal = (is_key(left)? && is_outer(right)) || (is_key(right)? && is_outer(left));
            if binary.op != Operator::Eq || !equal {
                return Ok(false);
            }
            any = true;
        }
        plan = &filter.input;
    }
    Ok(any && !speaks_of_outer(plan)?)
}

/// Whether values of a type are equal only when they are the same.
fn is_exact(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_exact(values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Boolean | DataType::Date32 => true,
        other => other.is_integer(),
    }
}

fn keeps_apart(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Dictionary(_, from), to) => from.as_ref() == to || keeps_apart(from, to),
        (from, to) if from.is_integer() && to.is_integer() => {
            from.primitive_width() <= to.primitive_width()
                && from.is_signed_integer() == to.is_signed_integer()
        }
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, to) => {
            matches!(
                to,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
            )
        }
        _ => false,
    }
}
