//! Computed keys of windows and of ordered aggregates as columns of what they read.
//!
//! ```text
//! Window: rank() OVER (PARTITION BY length(t.s) < 5)     ─►     Projection: t.*, rank() … AS rank() …
//!   t                                                             Window: rank() OVER (PARTITION BY __key_1)
//!                                                                   Projection: t.*, length(t.s) < 5 AS __key_1
//! ```
//! The planner sorts by an expression and then asks its parts how they are ordered: of `<` over a function it gets no
//! answer, and refuses the plan that it made. Of a column it knows. A key is computed once, besides.

use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::{AggregateFunction, Sort, WindowFunction};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Makes columns of computed keys. After the planner's own rules, which write keys anew.
#[derive(Debug)]
pub(super) struct KeyColumns;

impl OptimizerRule for KeyColumns {
    fn name(&self) -> &'static str {
        "key_columns"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        if !matches!(plan, LogicalPlan::Window(_) | LogicalPlan::Aggregate(_)) {
            return Ok(Transformed::no(plan));
        }
        let mut computed = Vec::new();
        plan.apply_expressions(|expr| {
            expr.apply(|part| {
                for key in keys(part).filter(|key| is_computed(key)) {
                    if !computed.contains(key) {
                        computed.push(key.clone());
                    }
                }
                Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
            })
        })?;
        let [input] = plan.inputs()[..] else {
            return Ok(Transformed::no(plan));
        };
        if computed.is_empty() {
            return Ok(Transformed::no(plan));
        }
        let named: Vec<(Expr, String)> = computed
            .into_iter()
            .map(|key| (key, config.alias_generator().next("__key")))
            .collect();
        let own = |plan: &LogicalPlan| -> Vec<Expr> {
            let columns = plan.schema().columns();
            columns.into_iter().map(Expr::Column).collect()
        };
        let with_keys = own(input)
            .into_iter()
            .chain(named.iter().map(|(key, name)| key.clone().alias(name)));
        let with_keys = LogicalPlanBuilder::from(input.clone())
            .project(with_keys)?
            .build()?;
        let had = own(&plan);
        let over = super::with_expressions(plan, |expr, _| over_columns(expr, &named))?.data;
        let over = over.with_new_exprs(over.expressions(), vec![with_keys])?;
        let is_window = matches!(over, LogicalPlan::Window(_));
        Ok(Transformed::yes(match is_window {
            true => LogicalPlanBuilder::from(over).project(had)?.build()?,
            false => over,
        }))
    }
}

/// What a window or an ordered aggregate is kept in order by.
fn keys(expr: &Expr) -> impl Iterator<Item = &Expr> {
    let (parts, orders): (&[Expr], &[Sort]) = match expr {
        Expr::WindowFunction(window) => (&window.params.partition_by, &window.params.order_by),
        Expr::AggregateFunction(aggregate) => (&[], &aggregate.params.order_by),
        _ => (&[], &[]),
    };
    parts.iter().chain(orders.iter().map(|key| &key.expr))
}

/// Whether a key is more than a column, and can be computed below.
fn is_computed(key: &Expr) -> bool {
    match key {
        Expr::Column(_) | Expr::Literal(..) => false,
        Expr::Cast(cast) => is_computed(&cast.expr),
        Expr::Alias(alias) => is_computed(&alias.expr),
        key => !key.contains_outer() && !key.exists(|part| Ok(is_query(part))).unwrap_or(true),
    }
}

fn is_query(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_)
    )
}

/// The call with columns in place of its keys, also where a DISTINCT aggregate has a key for its argument; `None` when
/// it has none of them.
fn over_columns(expr: &Expr, named: &[(Expr, String)]) -> Option<Expr> {
    let column = |key: &Expr| -> Option<Expr> {
        let (_, name) = named.iter().find(|(computed, _)| computed == key)?;
        Some(Expr::Column(Column::new_unqualified(name)))
    };
    let each = |keys: &[Expr]| -> Vec<Expr> {
        let keys = keys.iter();
        keys.map(|key| column(key).unwrap_or_else(|| key.clone()))
            .collect()
    };
    let sorts = |keys: &[Sort]| -> Vec<Sort> {
        let keys = keys.iter().cloned();
        keys.map(|key| Sort {
            expr: column(&key.expr).unwrap_or(key.expr),
            ..key
        })
        .collect()
    };
    if !keys(expr).any(|key| column(key).is_some()) {
        return None;
    }
    match expr {
        Expr::WindowFunction(window) => {
            let mut changed = WindowFunction::clone(window);
            changed.params.partition_by = each(&window.params.partition_by);
            changed.params.order_by = sorts(&window.params.order_by);
            Some(Expr::WindowFunction(Box::new(changed)))
        }
        Expr::AggregateFunction(aggregate) => {
            let mut changed = AggregateFunction::clone(aggregate);
            changed.params.args = each(&aggregate.params.args);
            changed.params.order_by = sorts(&aggregate.params.order_by);
            Some(Expr::AggregateFunction(changed))
        }
        _ => None,
    }
}
