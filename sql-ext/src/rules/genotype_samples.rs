//! Genotypes of the samples that a statement names, and of nobody else.
//!
//! ```text
//! before   FilterExec: gt_is_de_novo(gt, 'C', 'F', 'M')
//!            VariantScanExec: columns=[pos, gt]
//! after    FilterExec: gt_is_de_novo(gt, 'C', 'F', 'M')
//!            VariantScanExec: columns=[pos, gt], gt_blocks=2/8
//! ```
//! When every use of a scan's column `gt` is a function that names its samples, the scan reads the sample blocks
//! that hold them. A use is looked for from the scan upwards, until a node gives `gt` away no more; a node that this
//! rule does not know, or a `gt` that reaches the client, leaves the scan as it was.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use genokura_exec::DatasetScanExec;

/// Arguments by which a function names samples.
const SAMPLE_ARGUMENTS: [&str; 5] = ["sample", "child", "father", "mother", "cohort"];

/// The rule.
#[derive(Debug)]
pub(crate) struct GenotypeSamples;

impl PhysicalOptimizerRule for GenotypeSamples {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let narrow = |node: Arc<dyn ExecutionPlan>| match used_below(&node) {
            Some(Use::Done(samples)) if !samples.is_empty() => narrowed(node, &samples),
            _ => Ok(Transformed::no(node)),
        };
        plan.transform_up(narrow).data()
    }

    fn name(&self) -> &'static str {
        "genotype_samples"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// How a plan uses the `gt` of the scan below it.
enum Use {
    /// It still gives `gt` as this column, and named these samples so far.
    Live(usize, BTreeSet<String>),
    /// It gives it no more, and named these samples in all.
    Done(BTreeSet<String>),
}

/// The scan below with the genotypes of some samples.
fn narrowed(
    plan: Arc<dyn ExecutionPlan>,
    samples: &BTreeSet<String>,
) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    plan.transform_down(|node| {
        let scan = node.downcast_ref::<DatasetScanExec>();
        Ok(match scan.and_then(|scan| scan.with_gt_of(samples)) {
            Some(scan) => Transformed::yes(Arc::new(scan) as Arc<dyn ExecutionPlan>),
            None => Transformed::no(node),
        })
    })
}

/// How `gt` is used in a chain of nodes over one scan; `None` for anything else, or when it cannot be told. Only the
/// node that ends its use is told of as [`Use::Done`].
fn used_below(plan: &Arc<dyn ExecutionPlan>) -> Option<Use> {
    if let Some(scan) = plan.downcast_ref::<DatasetScanExec>() {
        let gt = scan.spec().columns.iter().position(|name| name == "gt")?;
        return Some(Use::Live(gt, BTreeSet::new()));
    }
    let [input] = plan.children()[..] else {
        return None;
    };
    let Use::Live(gt, mut samples) = used_below(input)? else {
        return None;
    };
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        name_samples(filter.predicate(), gt, &mut samples)?;
        let out = match filter.projection() {
            None => Some(gt),
            Some(kept) => kept.iter().position(|column| *column == gt),
        };
        return Some(out.map_or(Use::Done(samples.clone()), |gt| Use::Live(gt, samples)));
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let mut out = None;
        for (place, expr) in projection.expr().iter().enumerate() {
            if is_column(&expr.expr, gt) {
                // Twice the same column: which of them is used later is not followed.
                if out.replace(place).is_some() {
                    return None;
                }
            } else {
                name_samples(&expr.expr, gt, &mut samples)?;
            }
        }
        return Some(out.map_or(Use::Done(samples.clone()), |gt| Use::Live(gt, samples)));
    }
    if let Some(aggregate) = plan.downcast_ref::<AggregateExec>() {
        let groups = aggregate.group_expr().input_exprs();
        let arguments = aggregate.aggr_expr().iter().flat_map(|a| a.expressions());
        let filters = aggregate.filter_expr().iter().flatten().cloned();
        let orders = aggregate.aggr_expr().iter().flat_map(|a| a.order_bys());
        let orders = orders.map(|order| Arc::clone(&order.expr));
        for expr in groups
            .into_iter()
            .chain(arguments)
            .chain(filters)
            .chain(orders)
        {
            name_samples(&expr, gt, &mut samples)?;
        }
        return Some(Use::Done(samples));
    }
    let passes = plan.downcast_ref::<CooperativeExec>().is_some()
        || plan.downcast_ref::<CoalescePartitionsExec>().is_some()
        || plan
            .downcast_ref::<RepartitionExec>()
            .is_some_and(|r| matches!(r.partitioning(), Partitioning::RoundRobinBatch(_)));
    passes.then_some(Use::Live(gt, samples))
}

fn is_column(expr: &Arc<dyn PhysicalExpr>, index: usize) -> bool {
    let column = expr.downcast_ref::<Column>();
    column.is_some_and(|column| column.index() == index)
}

/// Adds the samples that an expression names where it uses column `gt`; `None` when it may need others.
fn name_samples(
    expr: &Arc<dyn PhysicalExpr>,
    gt: usize,
    samples: &mut BTreeSet<String>,
) -> Option<()> {
    if is_column(expr, gt) {
        return None;
    }
    if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>()
        && let [first, rest @ ..] = call.args()
        && is_column(first, gt)
    {
        return names_of(call.name(), rest, samples);
    }
    for child in expr.children() {
        name_samples(child, gt, samples)?;
    }
    Some(())
}

/// The samples among the arguments after `gt` of a function; `None` unless all of them are known to be samples.
fn names_of(
    function: &str,
    arguments: &[Arc<dyn PhysicalExpr>],
    samples: &mut BTreeSet<String>,
) -> Option<()> {
    let doc = crate::functions()
        .into_iter()
        .find(|doc| doc.name == function)?;
    if arguments.is_empty() {
        return None;
    }
    for (place, argument) in arguments.iter().enumerate() {
        let named = doc.arguments.get(place + 1)?.name;
        if !SAMPLE_ARGUMENTS.contains(&named) {
            return None;
        }
        match argument.downcast_ref::<Literal>()?.value() {
            ScalarValue::Utf8(name) => samples.extend(name.clone()),
            ScalarValue::List(list) => {
                let names = list.values();
                let names = names.as_string_opt::<i32>()?;
                samples.extend(names.iter().flatten().map(str::to_owned));
            }
            _ => return None,
        }
    }
    Some(())
}
