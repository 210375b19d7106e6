//! Sets that read the row beside them, planned as what they are: the row with an array, unnested.
//!
//! ```text
//! FROM t, unnest(t.ids) AS u(id)
//!   before  Join(t, Subquery(Projection(Unnest(Projection(outer_ref(t.ids), one row)))))
//!   after   Projection(t.*, u.id)(Unnest(Projection(t.*, t.ids)(t)))
//! ```
//! The planner reads such a FROM and has no plan to run it by.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, NullHandling, Result, TableReference};
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::logical_expr::{
    EmptyRelation, Expr, Filter, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Projection,
    SubqueryAlias, Unnest,
};

/// The name that columns of the set have until they get their own.
const INNER: &str = "beside";
/// How the planner calls arrays before and after it unnests them.
const PLACEHOLDER: &str = "__unnest_placeholder";

/// A plan without joins of rows with what is made of each alone.
///
/// # Errors
/// What making a plan fails with.
pub(super) fn unnested(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut any = false;
    plan.apply_with_subqueries(|node| {
        any |= matches!(node, LogicalPlan::Subquery(_));
        Ok(match any {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    if !any {
        return Ok(plan);
    }
    plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Join(join) = &node else {
            return Ok(Transformed::no(node));
        };
        Ok(match beside(join)? {
            Some(better) => Transformed::yes(better),
            None => Transformed::no(node),
        })
    })
    .map(|plan| plan.data)
}

/// What a join with such a set is; `None` for any other join.
fn beside(join: &Join) -> Result<Option<LogicalPlan>> {
    let always = match &join.filter {
        None => true,
        Some(Expr::Literal(value, _)) => value.to_string() == "true",
        Some(_) => false,
    };
    let outer = match join.join_type {
        JoinType::Inner => false,
        JoinType::Left if always => true,
        _ => return Ok(None),
    };
    let Some(set) = subquery(&join.right).filter(|_| join.on.is_empty()) else {
        return Ok(None);
    };
    let over = Over {
        left: &join.left,
        outer,
    };
    let Some(plan) = over.plan(&set.subquery)? else {
        return Ok(None);
    };
    let mut columns = over.columns();
    for (qualifier, field) in join.right.schema().iter() {
        let column = Expr::Column(inner(field.name()));
        columns.push(column.alias_qualified(qualifier.cloned(), field.name()));
    }
    let mut builder = LogicalPlanBuilder::from(plan).project(columns)?;
    if let Some(filter) = join.filter.as_ref().filter(|_| !always) {
        builder = builder.filter(filter.clone())?;
    }
    builder.build().map(Some)
}

fn subquery(plan: &LogicalPlan) -> Option<&Subquery> {
    match plan {
        LogicalPlan::Subquery(subquery) => Some(subquery),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => subquery(input),
        _ => None,
    }
}

fn holds_unnest(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::Unnest(_))))
}

/// Whether an expression reads no column of the set.
fn is_of_no_set(expr: &Expr) -> bool {
    expr.column_refs().is_empty()
}

/// A column of the set, by the name that it has there.
fn inner(name: &str) -> Column {
    match name.starts_with(PLACEHOLDER) {
        true => Column::new_unqualified(name),
        false => Column::new(Some(TableReference::bare(INNER)), name),
    }
}

/// The rows that a set stands beside.
struct Over<'a> {
    left: &'a Arc<LogicalPlan>,
    /// Whether a row without a partner stays.
    outer: bool,
}

impl Over<'_> {
    fn columns(&self) -> Vec<Expr> {
        let columns = self.left.schema().columns();
        columns.into_iter().map(Expr::Column).collect()
    }

    /// The plan of the set over these rows instead of one row of nothing; `None` when it is made of more than
    /// expressions, conditions and arrays.
    fn plan(&self, set: &LogicalPlan) -> Result<Option<LogicalPlan>> {
        Ok(match set {
            LogicalPlan::EmptyRelation(EmptyRelation {
                produce_one_row: true,
                ..
            }) => Some(self.left.as_ref().clone()),
            LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => self.plan(input)?,
            LogicalPlan::Subquery(Subquery { subquery, .. }) => self.plan(subquery)?,
            // A row without a partner has none of the set's columns, also those that are of the row itself.
            LogicalPlan::Projection(Projection { expr, input, .. })
                if self.outer && holds_unnest(input)? && expr.iter().any(is_of_no_set) =>
            {
                None
            }
            LogicalPlan::Projection(Projection { expr, input, .. }) => {
                let Some(below) = self.plan(input)? else {
                    return Ok(None);
                };
                let mut columns = self.columns();
                for expr in expr {
                    let (_, name) = expr.qualified_name();
                    let Some(made) = self.expression(expr, input.schema())? else {
                        return Ok(None);
                    };
                    let column = inner(&name);
                    columns.push(made.alias_qualified(column.relation, column.name));
                }
                Some(LogicalPlanBuilder::from(below).project(columns)?.build()?)
            }
            LogicalPlan::Filter(Filter {
                predicate, input, ..
            }) if !self.outer => {
                let Some(below) = self.plan(input)? else {
                    return Ok(None);
                };
                let Some(predicate) = self.expression(predicate, input.schema())? else {
                    return Ok(None);
                };
                Some(LogicalPlanBuilder::from(below).filter(predicate)?.build()?)
            }
            LogicalPlan::Unnest(Unnest {
                input,
                exec_columns,
                options,
                ..
            }) => {
                let Some(below) = self.plan(input)? else {
                    return Ok(None);
                };
                let mut options = options.clone();
                if self.outer {
                    options.null_handling = NullHandling::PreserveAndExpandEmpty;
                }
                for recursion in &mut options.recursions {
                    recursion.input_column = inner(&recursion.input_column.name);
                    recursion.output_column = inner(&recursion.output_column.name);
                }
                let columns = exec_columns.iter().map(|column| inner(&column.name));
                let builder = LogicalPlanBuilder::from(below);
                let builder = builder.unnest_columns_with_options(columns.collect(), options)?;
                Some(builder.build()?)
            }
            _ => None,
        })
    }

    /// An expression of the set over the rows: what it took from outside is a column now. `None` when it takes
    /// from further outside, or holds a query of its own.
    fn expression(&self, expr: &Expr, set: &DFSchema) -> Result<Option<Expr>> {
        let mut known = true;
        let made = expr.clone().transform_down(|part| {
            Ok(match part {
                Expr::OuterReferenceColumn(field, column) => {
                    match self.left.schema().has_column(&column) {
                        true => Transformed::yes(Expr::Column(column)),
                        false => {
                            known = false;
                            Transformed::no(Expr::OuterReferenceColumn(field, column))
                        }
                    }
                }
                Expr::Column(column) if set.has_column(&column) => {
                    Transformed::yes(Expr::Column(inner(&column.name)))
                }
                Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) => {
                    known = false;
                    Transformed::no(part)
                }
                other => Transformed::no(other),
            })
        })?;
        Ok(known.then_some(made.data))
    }
}
