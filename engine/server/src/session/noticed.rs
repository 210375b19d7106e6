//! What a statement may have got wrong and runs with all the same: a sample that its dataset does not have.
//!
//! `WHERE sample_id = 'S0000'` is true of no row, in SQL no error; of a slip in the name an empty answer says nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Column, TableReference};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use genokura_exec::{DatasetInfo, dataset_info};

use super::plan::Planned;
use crate::sqlstate::{ServerError, Severity, nearest};

/// Names that are told of; a list of more is of another dataset.
const TOLD_MAX: usize = 3;

/// A warning for each sample that a query compares with and that the dataset does not have, as far as the session may
/// see it.
pub(super) fn unknown_samples(planned: &Planned) -> Vec<ServerError> {
    let Planned::Lake { plan, .. } = planned else {
        return Vec::new();
    };
    let mut told: Vec<ServerError> = Vec::new();
    let mut seen = BTreeSet::new();
    // A plan that cannot be walked is told of when it is run.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Filter(filter) = node {
            for (column, names) in compared(&filter.predicate) {
                let unknown =
                    |info: &DatasetInfo, name: &str| info.directory.index_of(name).is_none();
                let Some(info) = dataset_of(&filter.input, &column) else {
                    continue;
                };
                for name in names {
                    if told.len() < TOLD_MAX && unknown(&info, &name) && seen.insert(name.clone()) {
                        told.push(warning(&info, &name));
                    }
                }
            }
        }
        Ok(match told.len() < TOLD_MAX {
            true => TreeNodeRecursion::Continue,
            false => TreeNodeRecursion::Stop,
        })
    });
    told
}

fn warning(info: &DatasetInfo, name: &str) -> ServerError {
    let text = format!("sample \"{name}\" is not in this dataset: no row is compared equal");
    let warning = ServerError::new("01000", text).severity(Severity::Warning);
    match nearest(name, info.directory.samples.iter().map(String::as_str)) {
        Some(meant) => warning.hint(format!("Did you mean \"{meant}\"?")),
        None => warning.hint("The table samples of the dataset lists the names."),
    }
}

/// Columns `sample_id` of a condition, and the constants that they must equal or be one of.
fn compared(condition: &Expr) -> Vec<(Column, Vec<String>)> {
    let mut found = Vec::new();
    let mut add = |column: &Expr, names: &mut dyn Iterator<Item = &Expr>| {
        if let Expr::Column(column) = bare(column)
            && column.name == "sample_id"
        {
            found.push((column.clone(), names.filter_map(text).collect()));
        }
    };
    let _ = condition.apply(|part| {
        match part {
            Expr::Not(_) => return Ok(TreeNodeRecursion::Jump),
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::Eq,
                right,
            }) => {
                add(left, &mut std::iter::once(&**right));
                add(right, &mut std::iter::once(&**left));
            }
            Expr::InList(InList {
                expr,
                list,
                negated: false,
            }) => add(expr, &mut list.iter()),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Cast(cast) => bare(&cast.expr),
        expr => expr,
    }
}

fn text(expr: &Expr) -> Option<String> {
    match bare(expr) {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_owned),
        _ => None,
    }
}

/// The dataset of the table that a column of a plan comes from as it is.
fn dataset_of(plan: &LogicalPlan, column: &Column) -> Option<DatasetInfo> {
    provider_of(plan, column.relation.as_ref()).and_then(|provider| dataset_info(provider.as_ref()))
}

fn provider_of(
    plan: &LogicalPlan,
    relation: Option<&TableReference>,
) -> Option<Arc<dyn TableProvider>> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let is_it = relation.is_none_or(|relation| *relation == scan.table_name);
            is_it
                .then(|| source_as_provider(&scan.source).ok())
                .flatten()
        }
        LogicalPlan::SubqueryAlias(alias) => match (relation, &*alias.input) {
            (Some(relation), LogicalPlan::TableScan(_)) if *relation == alias.alias => {
                provider_of(&alias.input, None)
            }
            _ => None,
        },
        LogicalPlan::Filter(filter) => provider_of(&filter.input, relation),
        LogicalPlan::Join(join) => {
            provider_of(&join.left, relation).or_else(|| provider_of(&join.right, relation))
        }
        _ => None,
    }
}
