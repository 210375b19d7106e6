//! Dynamic filters: what a join or a top-k above a scan learns while it runs, applied before genotypes are read.
//!
//! A hash join knows the keys of its build side when the first row of the other side is asked for, a top-k knows
//! its worst row so far. A filter on `sample_id` alone is judged once per sample and narrows the sample blocks that
//! are read; a filter on the key of a variant rules out row groups and pages when a file is opened, and is judged on
//! site rows, before their genotypes. Both are hints: the operator above still judges every row. Only names and keys
//! that the session may see are judged.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TransformedResult as _;
use datafusion::datasource::physical_plan::parquet::{
    PagePruningAccessPlanFilter, ParquetAccessPlan, RowGroupAccess,
};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, DynamicFilterPhysicalExpr};
use datafusion::physical_expr::utils::{collect_columns, conjunction, reassign_expr_columns};
use datafusion::physical_expr_common::physical_expr::{
    snapshot_generation, snapshot_physical_expr_opt,
};
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use genokura_storage::FileReader;
use parking_lot::Mutex;

use crate::choice::passes;
use crate::error::Result;
use crate::interval_join::stretches::Stretches;
use crate::pruning::groups_left;
use crate::source::{SiteRows, evaluate, prune_pages};
use crate::spec::ScanKind;
use crate::table::KEY_COLUMNS;

/// The dynamic filters of a scan.
#[derive(Clone, Debug, Default)]
pub(crate) struct DynamicFilters {
    samples: Vec<Arc<dyn PhysicalExpr>>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    /// What the filters on keys said when a file was opened last; filters change, and rarely.
    pruner: Arc<Mutex<Option<Held>>>,
}

/// A pruner and the generation of the filters that it was made of.
type Held = (u64, Arc<DynamicPruner>);

/// What the filters on keys say at a time, ready to judge statistics of row groups and pages.
///
/// Each filter is taken apart into alternatives, of which a row must satisfy one: pages are judged by one column at a
/// time, and only within an alternative does each column rule out pages of its own.
#[derive(Debug)]
pub(crate) struct DynamicPruner {
    filters: Vec<Vec<Alternative>>,
}

#[derive(Debug)]
struct Alternative {
    row_groups: PruningPredicate,
    pages: PagePruningAccessPlanFilter,
}

/// Alternatives of a filter at most; a filter with more is judged as a whole.
const ALTERNATIVES_MAX: usize = 256;

impl DynamicPruner {
    fn new(filters: &[Arc<dyn PhysicalExpr>], schema: &SchemaRef) -> Result<Self> {
        let alternative = |expr: Arc<dyn PhysicalExpr>| -> Result<Alternative> {
            let row_groups = PruningPredicateBuilder::new()
                .with_file_schema(Arc::clone(schema))
                .try_build(Arc::clone(&expr))?;
            Ok(Alternative {
                row_groups,
                pages: PagePruningAccessPlanFilter::new(&expr, Arc::clone(schema)),
            })
        };
        let apart = |filter| {
            let apart: Vec<_> = alternatives(filter, schema)?;
            apart.into_iter().map(alternative).collect()
        };
        let filters = filters.iter().map(apart).collect::<Result<_>>()?;
        Ok(Self { filters })
    }

    /// What is left of some rows of a file.
    pub(crate) fn prune(
        &self,
        reader: &FileReader,
        mut access: ParquetAccessPlan,
    ) -> ParquetAccessPlan {
        for filter in &self.filters {
            let mut left = ParquetAccessPlan::new_none(access.len());
            for alternative in filter {
                let kept = groups_left(&alternative.row_groups, reader);
                let mut own = access.clone();
                for group in access.row_group_indexes() {
                    if kept.get(group) == Some(&false) {
                        own.skip(group);
                    }
                }
                if own.row_group_indexes().is_empty() {
                    continue;
                }
                let (own, _, _) = prune_pages(&alternative.pages, reader, own);
                for (group, rows) in own.into_inner().into_iter().enumerate() {
                    let both = either(left.inner().get(group), rows);
                    left.set(group, both);
                }
            }
            access = left;
        }
        access
    }
}

/// Rows that are in one or the other.
fn either(one: Option<&RowGroupAccess>, other: RowGroupAccess) -> RowGroupAccess {
    use RowGroupAccess::{Scan, Selection, Skip};
    match (one, other) {
        (None | Some(Skip), other) => other,
        (Some(Scan), _) | (_, Scan) => Scan,
        (Some(one), Skip) => one.clone(),
        (Some(Selection(one)), Selection(other)) => Selection(one.union(&other)),
    }
}

/// The alternatives of a filter, of which a row must satisfy one.
fn alternatives(
    filter: &Arc<dyn PhysicalExpr>,
    schema: &SchemaRef,
) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
    if let Some(stretches) = filter.downcast_ref::<Stretches>() {
        return Ok(stretches.alternatives(schema)?);
    }
    let whole = || Ok(vec![Arc::clone(filter)]);
    let Some(binary) = filter.downcast_ref::<BinaryExpr>() else {
        return whole();
    };
    let sides = || -> Result<_> {
        let left = alternatives(binary.left(), schema)?;
        Ok((left, alternatives(binary.right(), schema)?))
    };
    match binary.op() {
        Operator::Or => {
            let (mut left, right) = sides()?;
            left.extend(right);
            if left.len() > ALTERNATIVES_MAX {
                whole()
            } else {
                Ok(left)
            }
        }
        Operator::And => {
            let (left, right) = sides()?;
            if left.len() * right.len() > ALTERNATIVES_MAX {
                return whole();
            }
            let with = |one: &Arc<dyn PhysicalExpr>| {
                let one = Arc::clone(one);
                let and = move |other| conjunction([Arc::clone(&one), Arc::clone(other)]);
                right.iter().map(and)
            };
            Ok(left.iter().flat_map(with).collect())
        }
        _ => whole(),
    }
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

    /// What the filters on keys say now of files with the columns of `schema`; `None` when nothing.
    pub(crate) fn pruner(&self, schema: &SchemaRef) -> Result<Option<Arc<DynamicPruner>>> {
        if self.keys.is_empty() {
            return Ok(None);
        }
        let generation = |sum: u64, key| sum.wrapping_add(snapshot_generation(key));
        let generation = self.keys.iter().fold(0, generation);
        let mut held = self.pruner.lock();
        if let Some((of, pruner)) = &*held
            && *of == generation
        {
            return Ok(Some(Arc::clone(pruner)));
        }
        let snapshot = |key: &Arc<dyn PhysicalExpr>| {
            let plain = snapshot_physical_expr_opt(Arc::clone(key)).data()?;
            Ok(reassign_expr_columns(plain, schema)?)
        };
        let keys = self.keys.iter().map(snapshot).collect::<Result<Vec<_>>>()?;
        let pruner = Arc::new(DynamicPruner::new(&keys, schema)?);
        *held = Some((generation, Arc::clone(&pruner)));
        Ok(Some(pruner))
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
