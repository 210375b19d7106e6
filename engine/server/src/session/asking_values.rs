//! VALUES of several rows whose cells are subqueries, which the planner computes before it can ask them: they stand above.
//!
//! ```text
//! VALUES (1, 'a'), ((SELECT max(x) FROM t), 'b')
//!   ─►  SELECT CASE n WHEN 1 THEN (SELECT max(x) FROM t) ELSE column1 END, column2
//!       FROM (VALUES (1, 'a', 0), (NULL, 'b', 1)) v(column1, column2, n)
//! ```

use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{
    Expr, ExprSchemable as _, LogicalPlan, LogicalPlanBuilder, Values, cast, lit,
};

/// A plan whose VALUES ask nothing.
///
/// # Errors
/// What making a plan fails with.
pub(super) fn answered(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| match &node {
        LogicalPlan::Values(values) if values.values.len() > 1 && asks_any(values)? => {
            Ok(Transformed::yes(above(values)?))
        }
        _ => Ok(Transformed::no(node)),
    })?;
    Ok(plan.data)
}

fn asks_any(values: &Values) -> Result<bool> {
    for cell in values.values.iter().flatten() {
        if asks(cell)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a cell has a subquery in it.
fn asks(cell: &Expr) -> Result<bool> {
    use datafusion::common::tree_node::TreeNode as _;
    cell.exists(|part| {
        Ok(matches!(
            part,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
        ))
    })
}

/// The same rows, with what they ask above them.
fn above(values: &Values) -> Result<LogicalPlan> {
    let fields = values.schema.fields();
    let mut asked: Vec<Vec<(i64, Expr)>> = vec![Vec::new(); fields.len()];
    let mut rows = Vec::with_capacity(values.values.len());
    for (number, row) in (0_i64..).zip(&values.values) {
        let mut kept = Vec::with_capacity(row.len() + 1);
        for ((cell, field), asked) in row.iter().zip(fields).zip(&mut asked) {
            if asks(cell)? {
                let nothing = ScalarValue::try_new_null(field.data_type())?;
                // The rows of VALUES say the same of their cells.
                let told = FieldMetadata::from(field.metadata().clone());
                kept.push(Expr::Literal(nothing, Some(told)));
                asked.push((number, cell.clone()));
            } else {
                kept.push(cell.clone());
            }
        }
        kept.push(lit(number));
        rows.push(kept);
    }
    let plan = LogicalPlanBuilder::values(rows)?.build()?;
    let columns = plan.schema().columns();
    let number = columns.last().cloned().map(Expr::Column);
    let made = columns.iter().zip(fields).zip(asked);
    let made = made.map(|((column, field), asked): ((&Column, _), _)| {
        let plain = Expr::Column(column.clone());
        if asked.is_empty() {
            return plain;
        }
        let answers = asked.into_iter().map(|(row, answer)| {
            let known = answer.get_type(&DFSchema::empty());
            let answer = match known.is_ok_and(|known| known == *field.data_type()) {
                true => answer,
                false => cast(answer, field.data_type().clone()),
            };
            (Box::new(lit(row)), Box::new(answer))
        });
        let case = Case::new(
            number.clone().map(Box::new),
            answers.collect(),
            Some(Box::new(plain)),
        );
        Expr::Case(case).alias(field.name())
    });
    LogicalPlanBuilder::from(plan).project(made)?.build()
}
