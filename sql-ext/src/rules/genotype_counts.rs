//! Counts in the place of genotypes, where a statement only counts.
//!
//! ```text
//! before   ProjectionExec: pos, gt_allele_frequency(gt, ['A', 'B'])
//!            VariantScanExec: columns=[pos, gt]
//! after    ProjectionExec: pos, gt_allele_frequency(gt, ['A', 'B'])
//!            VariantScanExec: columns=[pos, gt], gt=counts of 1 cohort, gt_blocks=1/8
//! ```
//! When every use of a scan's column `gt` is a function that needs no more than counts over a constant cohort, the
//! scan counts where the genotypes are decoded, and gives away counts of those cohorts instead. Counts of everybody
//! come from the site table when the session sees everybody.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

use super::genotype_samples::with_scan;
use super::gt_uses::{GtCall, ended_by};
use crate::genotypes::COUNTING;
use crate::name_list;

/// Everybody, or a set of names.
type Cohort = Option<BTreeSet<String>>;

/// The rule.
#[derive(Debug)]
pub(crate) struct GenotypeCounts;

impl PhysicalOptimizerRule for GenotypeCounts {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let count = |node: Arc<dyn ExecutionPlan>| {
            let cohorts = ended_by(&node)
                .and_then(|calls| calls.iter().map(cohort_of).collect::<Option<BTreeSet<_>>>());
            match cohorts {
                Some(cohorts) if !cohorts.is_empty() => {
                    with_scan(node, |scan| scan.with_counts_of(&cohorts))
                }
                _ => Ok(Transformed::no(node)),
            }
        };
        plan.transform_up(count).data()
    }

    fn name(&self) -> &'static str {
        "genotype_counts"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The cohort that a function counts over; `None` when it needs more than counts or the cohort is no constant.
fn cohort_of(call: &GtCall) -> Option<Cohort> {
    if !COUNTING.contains(&call.function.as_str()) {
        return None;
    }
    let argument = match &call.arguments[..] {
        [] => return Some(None),
        [argument] => argument.downcast_ref::<Literal>()?,
        _ => return None,
    };
    let names = match argument.value() {
        ScalarValue::List(list) if list.is_valid(0) => list.value(0),
        ScalarValue::Utf8(Some(text)) => ArrayRef::clone(&name_list::read(text).ok()?.names),
        _ => return None,
    };
    let names = names.as_string_opt::<i32>()?;
    Some(Some(names.iter().flatten().map(str::to_owned).collect()))
}
