//! Genotypes of the samples that a statement names, and of nobody else.
//!
//! ```text
//! before   FilterExec: gt_is_de_novo(gt, 'C', 'F', 'M')
//!            VariantScanExec: columns=[pos, gt]
//! after    FilterExec: gt_is_de_novo(gt, 'C', 'F', 'M')
//!            VariantScanExec: columns=[pos, gt], gt_blocks=2/8
//! ```
//! When every use of a scan's column `gt` is a function that names its samples, the scan reads the sample blocks
//! that hold them. A `gt` that reaches the client, or a node that [`gt_uses`](super::gt_uses) does not know, leaves
//! the scan as it was.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use genokura_exec::DatasetScanExec;

use super::gt_uses::{GtCall, ended_by};
use crate::doc::COHORT;
use crate::name_list;

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
        let narrow = |node: Arc<dyn ExecutionPlan>| {
            let samples = ended_by(&node).and_then(|calls| {
                let mut samples = BTreeSet::new();
                let mut calls = calls.iter();
                calls.try_for_each(|call| names_of(call, &mut samples))?;
                Some(samples)
            });
            match samples {
                Some(samples) if !samples.is_empty() => {
                    with_scan(node, |scan| scan.with_gt_of(&samples))
                }
                _ => Ok(Transformed::no(node)),
            }
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

/// The plan with another scan below.
pub(super) fn with_scan(
    plan: Arc<dyn ExecutionPlan>,
    other: impl Fn(&DatasetScanExec) -> Option<DatasetScanExec>,
) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    plan.transform_down(|node| {
        let scan = node.downcast_ref::<DatasetScanExec>();
        Ok(match scan.and_then(&other) {
            Some(scan) => Transformed::yes(Arc::new(scan) as Arc<dyn ExecutionPlan>),
            None => Transformed::no(node),
        })
    })
}

/// Adds the samples among the arguments of a function; `None` unless all of them are known to be samples.
fn names_of(call: &GtCall, samples: &mut BTreeSet<String>) -> Option<()> {
    let doc = crate::functions()
        .into_iter()
        .find(|doc| doc.name == call.function)?;
    if call.arguments.is_empty() {
        return None;
    }
    for (place, argument) in call.arguments.iter().enumerate() {
        let named = doc.arguments.get(place + 1)?.name;
        if !SAMPLE_ARGUMENTS.contains(&named) {
            return None;
        }
        match argument.downcast_ref::<Literal>()?.value() {
            ScalarValue::Utf8(Some(text)) if named == COHORT.name => {
                let list = name_list::read(text).ok()?;
                let names = list.names.as_string_opt::<i32>()?;
                samples.extend(names.iter().flatten().map(str::to_owned));
            }
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
