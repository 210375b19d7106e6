//! What a statement may have got wrong and runs with all the same: a sample or a contig that its dataset does not have.
//!
//! `WHERE sample_id = 'S0000'` is true of no row, in SQL no error; of a slip in the name an empty answer says nothing.
//! The same of `contig = 'chrr7'`. A list tells as much: `IN (…)`, `= ANY (ARRAY[…])`.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue, TableReference};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use genokura_core::contig::{canonical_key, suggest};
use genokura_exec::{DatasetInfo, dataset_info};
use genokura_sql_ext::{Warning, Warnings};

use super::plan::Planned;
use crate::sqlstate::{ServerError, Severity, nearest};

/// Names that are told of; a list of more is of another dataset.
const TOLD_MAX: usize = 3;

/// What of a dataset a constant is compared with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Sample,
    Contig,
}

impl Named {
    fn of(column: &str) -> Option<Self> {
        match column {
            "sample_id" => Some(Self::Sample),
            "contig" => Some(Self::Contig),
            _ => None,
        }
    }

    fn is_known(self, info: &DatasetInfo, name: &str) -> bool {
        match self {
            Self::Sample => info.directory.index_of(name).is_some(),
            // Another spelling of one that it has is refused where it is all that is asked for, and else may stand beside
            // the right one.
            Self::Contig => {
                let key = canonical_key(name);
                info.contigs
                    .iter()
                    .any(|contig| contig == name || (key.is_some() && canonical_key(contig) == key))
            }
        }
    }
}

/// A warning for each sample and contig that a query compares with and that the dataset does not have, as far as the
/// session may see it.
pub(super) fn unknown_names(planned: &Planned) -> Vec<ServerError> {
    let Planned::Lake { plan, .. } = planned else {
        return Vec::new();
    };
    let mut told: Vec<ServerError> = Vec::new();
    let mut seen = BTreeSet::new();
    // A plan that cannot be walked is told of when it is run.
    let _ = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Filter(filter) = node {
            for (column, what, names) in compared(&filter.predicate) {
                let Some(info) = dataset_of(&filter.input, &column) else {
                    continue;
                };
                for name in names {
                    let is_told = told.len() >= TOLD_MAX || what.is_known(&info, &name);
                    if !is_told && seen.insert((what, name.clone())) {
                        told.push(warning(&info, what, &name));
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

/// What was found of a statement while it was planned.
pub(super) fn warnings(found: &Warnings) -> Vec<ServerError> {
    let found = found.take().into_iter().map(|Warning { text, hint }| {
        ServerError::new("01000", text)
            .severity(Severity::Warning)
            .hint(hint)
    });
    found.collect()
}

fn warning(info: &DatasetInfo, what: Named, name: &str) -> ServerError {
    let (kind, nearest, lists) = match what {
        Named::Sample => {
            let known = info.directory.samples.iter().map(String::as_str);
            let lists = "The table samples of the dataset lists the names.";
            ("sample", nearest(name, known), lists)
        }
        Named::Contig => {
            let known: Vec<&str> = info.contigs.iter().map(String::as_str).collect();
            let lists = "SELECT DISTINCT contig FROM variants of the dataset lists the names.";
            ("contig", suggest(name, &known), lists)
        }
    };
    let text = format!("{kind} \"{name}\" is not in this dataset: no row is compared equal");
    let warning = ServerError::new("01000", text).severity(Severity::Warning);
    match nearest {
        Some(meant) => warning.hint(format!("Did you mean \"{meant}\"?")),
        None => warning.hint(lists),
    }
}

/// Columns of samples and contigs in a condition, and the constants that they must equal or be one of.
fn compared(condition: &Expr) -> Vec<(Column, Named, Vec<String>)> {
    let mut found = Vec::new();
    let mut add = |column: &Expr, names: &mut dyn Iterator<Item = &Expr>| {
        if let Expr::Column(column) = bare(column)
            && let Some(what) = Named::of(&column.name)
        {
            found.push((column.clone(), what, names.flat_map(texts).collect()));
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
            Expr::ScalarFunction(function) => {
                if let ("array_has", [list, column]) = (function.name(), &function.args[..]) {
                    add(column, &mut std::iter::once(list));
                }
            }
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

/// The text of a constant, or the texts of a list of constants.
fn texts(expr: &Expr) -> Vec<String> {
    match bare(expr) {
        Expr::Literal(ScalarValue::List(list), _) => {
            let values = cast(list.values(), &DataType::Utf8).ok();
            let texts = values.as_ref().and_then(|v| v.as_string_opt::<i32>());
            let texts = texts.into_iter().flat_map(|texts| texts.iter().flatten());
            texts.map(str::to_owned).collect()
        }
        Expr::Literal(value, _) => {
            let text = value.try_as_str().flatten();
            text.map(str::to_owned).into_iter().collect()
        }
        Expr::ScalarFunction(function) if function.name() == "make_array" => {
            function.args.iter().flat_map(texts).collect()
        }
        _ => Vec::new(),
    }
}

/// The dataset of the table that a column of a plan comes from as it is.
fn dataset_of(plan: &LogicalPlan, column: &Column) -> Option<DatasetInfo> {
    let provider = provider_of(plan, column.relation.as_ref())?;
    // A column that is masked reads as NULL, and tells nothing of what stands in it.
    let schema = provider.schema();
    let masked = schema.field_with_name(&column.name).ok()?.is_nullable();
    let info = dataset_info(provider.as_ref())?;
    (!masked || column.name == "sample_id").then_some(info)
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
