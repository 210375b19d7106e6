//! Dynamic filters: what a join or a top-k above a scan learns while it runs, applied before genotypes are read.
//!
//! A hash join knows the keys of its build side when the first row of the other side is asked for, a top-k knows
//! its worst row so far. A filter on `sample_id` alone is judged once per sample and narrows the sample blocks that
//! are read; a filter on the key of a variant is judged on site rows, before their genotypes. Both are hints: the
//! operator above still judges every row. Only names and keys that the session may see are judged.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};

use crate::choice::passes;
use crate::error::Result;
use crate::source::{SiteRows, evaluate};
use crate::spec::ScanKind;
use crate::table::KEY_COLUMNS;

/// The dynamic filters of a scan.
#[derive(Clone, Debug, Default)]
pub(crate) struct DynamicFilters {
    samples: Vec<Arc<dyn PhysicalExpr>>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
}

impl DynamicFilters {
    /// Takes a filter of a scan's rows if it can be judged early; false when it cannot.
    pub(crate) fn take(
        &mut self,
        filter: &Arc<dyn PhysicalExpr>,
        kind: ScanKind,
        is_masked: impl Fn(&str) -> bool,
    ) -> bool {
        let columns = collect_columns(filter);
        let names: HashSet<&str> = columns.iter().map(|c| c.name()).collect();
        let dynamic = filter.downcast_ref::<DynamicFilterPhysicalExpr>().is_some();
        if !dynamic || names.is_empty() || names.iter().any(|name| is_masked(name)) {
            return false;
        }
        if kind != ScanKind::Variants && names.iter().all(|name| *name == "sample_id") {
            self.samples.push(Arc::clone(filter));
            return true;
        }
        let keys = names.iter().all(|name| KEY_COLUMNS.contains(name));
        if keys {
            self.keys.push(Arc::clone(filter));
        }
        keys
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        self.samples.iter().chain(&self.keys)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.keys.is_empty()
    }

    /// Whether each sample of these names is left; `None`: all are.
    pub(crate) fn samples(&self, names: &[String]) -> Result<Option<Vec<bool>>> {
        if self.samples.is_empty() {
            return Ok(None);
        }
        let field = Field::new("sample_id", DataType::Utf8, true);
        let array: StringArray = names.iter().map(Some).collect();
        let array: ArrayRef = Arc::new(array);
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array])?;
        let mut left = vec![true; names.len()];
        for filter in &self.samples {
            let judged = judge(filter, &batch)?;
            for (place, left) in left.iter_mut().enumerate() {
                *left &= passes(&judged, place);
            }
        }
        Ok(Some(left))
    }

    /// The variants that are left.
    pub(crate) fn rows(&self, mut rows: SiteRows) -> Result<SiteRows> {
        for filter in &self.keys {
            let judged = judge(filter, &rows.identity()?)?;
            if judged.true_count() < rows.len() {
                rows = rows.filter(&judged)?;
            }
        }
        Ok(rows)
    }
}

fn judge(filter: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray> {
    let schema = batch.schema();
    let filter = reassign_expr_columns(Arc::clone(filter), &schema)?;
    evaluate(&filter, batch)
}
