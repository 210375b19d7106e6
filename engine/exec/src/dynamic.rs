//! Dynamic filters: what a join or a top-k above a scan learns while it runs, applied before genotypes are read.
//!
//! A hash join knows the keys of its build side when the first row of the other side is asked for, a top-k knows
//! its worst row so far. A filter on `sample_id` alone is judged once per sample and narrows the sample blocks that
//! are read; a filter on the key of a variant rules out row groups and pages when a file is opened, and is judged on
//! site rows, before their genotypes. A filter on more than that (`pos < 5 OR pos = 5 AND sample_id < 'B'`) is judged
//! by what follows from it for the variant alone (`pos < 5 OR pos = 5`), and for the sample alone. All are hints: the
//! operator above still judges every row. Only names and keys that the session may see are judged.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::compute::and_kleene;
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
use crate::nan::judged_by_pages;
use crate::pruning::groups_left;
use crate::source::{SiteRows, evaluate, prune_pages};
use crate::spec::ScanKind;
use crate::table::KEY_COLUMNS;

/// The dynamic filters of a scan.
#[derive(Clone, Debug, Default)]
pub(crate) struct DynamicFilters {
    /// All of them, as the operators above gave them.
    all: Vec<Arc<dyn PhysicalExpr>>,
    samples: Vec<Hint>,
    keys: Vec<Hint>,
    /// What the filters on keys said when a file was opened last; filters change, and rarely.
    pruner: Arc<Mutex<Option<Held>>>,
}

/// A filter and the columns of it that are judged.
#[derive(Clone, Debug)]
struct Hint {
    filter: Arc<dyn PhysicalExpr>,
    /// `None`: all of them.
    judged: Option<BTreeSet<String>>,
}

impl Hint {
    /// Of a filter on columns `names`, judged by those that `is_judged`; `None` when that is none of them.
    fn of(
        filter: &Arc<dyn PhysicalExpr>,
        names: &BTreeSet<&str>,
        is_judged: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let judged = names.iter().filter(|name| is_judged(name));
        let judged: BTreeSet<String> = judged.map(|name| (*name).to_owned()).collect();
        (!judged.is_empty()).then(|| Self {
            filter: Arc::clone(filter),
            judged: (judged.len() < names.len()).then_some(judged),
        })
    }

    /// What the filter says now of the columns that are judged; `None` when nothing.
    fn now(&self) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let plain = snapshot_physical_expr_opt(Arc::clone(&self.filter)).data()?;
        Ok(match &self.judged {
            None => Some(plain),
            Some(judged) => follows(&plain, judged),
        })
    }

    /// The rows of a batch that are left.
    fn judge(&self, batch: &RecordBatch) -> Result<Option<BooleanArray>> {
        let filter = match &self.judged {
            None => Some(Arc::clone(&self.filter)),
            Some(_) => self.now()?,
        };
        let judge = |filter| evaluate(&reassign_expr_columns(filter, &batch.schema())?, batch);
        filter.map(judge).transpose()
    }
}

/// What of some columns alone is true wherever `filter` is; `None` when that is anything.
fn follows(
    filter: &Arc<dyn PhysicalExpr>,
    columns: &BTreeSet<String>,
) -> Option<Arc<dyn PhysicalExpr>> {
    let sides = filter.downcast_ref::<BinaryExpr>();
    match sides.map(|binary| (binary, binary.op())) {
        Some((binary, Operator::And)) => {
            let sides = [binary.left(), binary.right()];
            let known = sides.into_iter().filter_map(|side| follows(side, columns));
            known.reduce(|left, right| Arc::new(BinaryExpr::new(left, Operator::And, right)))
        }
        Some((binary, Operator::Or)) => {
            let left = follows(binary.left(), columns)?;
            let right = follows(binary.right(), columns)?;
            Some(Arc::new(BinaryExpr::new(left, Operator::Or, right)))
        }
        _ => {
            let named = collect_columns(filter);
            let known = named.iter().all(|column| columns.contains(column.name()));
            known.then(|| Arc::clone(filter))
        }
    }
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
                pages: judged_by_pages(&expr, schema),
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
        let names: BTreeSet<&str> = columns.iter().map(|c| c.name()).collect();
        if filter.downcast_ref::<DynamicFilterPhysicalExpr>().is_none() {
            return false;
        }
        let of_sample = |name: &str| name == "sample_id" && !is_masked(name);
        let of_variant = |name: &str| KEY_COLUMNS.contains(&name) && !is_masked(name);
        let samples = (kind != ScanKind::Variants)
            .then(|| Hint::of(filter, &names, of_sample))
            .flatten();
        let keys = Hint::of(filter, &names, of_variant);
        let taken = samples.is_some() || keys.is_some();
        if taken {
            self.all.push(Arc::clone(filter));
        }
        self.samples.extend(samples);
        self.keys.extend(keys);
        taken
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        self.all.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// A number that changes whenever a filter does; filters of a join change once, those of a top-k often.
    pub(crate) fn generation(&self) -> u64 {
        let of = |sum: u64, filter| sum.wrapping_add(snapshot_generation(filter));
        self.all.iter().fold(0, of)
    }

    /// What the filters on keys say now of files with the columns of `schema`; `None` when nothing.
    pub(crate) fn pruner(&self, schema: &SchemaRef) -> Result<Option<Arc<DynamicPruner>>> {
        if self.keys.is_empty() {
            return Ok(None);
        }
        let generation = self.generation();
        let mut held = self.pruner.lock();
        if let Some((of, pruner)) = &*held
            && *of == generation
        {
            return Ok(Some(Arc::clone(pruner)));
        }
        let mut keys = Vec::new();
        for key in &self.keys {
            if let Some(key) = key.now()? {
                keys.push(reassign_expr_columns(key, schema)?);
            }
        }
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
            let Some(judged) = filter.judge(&batch)? else {
                continue;
            };
            for (place, left) in left.iter_mut().enumerate() {
                *left &= passes(&judged, place);
            }
        }
        Ok(Some(left))
    }

    /// The variants that are left.
    pub(crate) fn rows(&self, mut rows: SiteRows) -> Result<SiteRows> {
        if self.keys.is_empty() {
            return Ok(rows);
        }
        if let Some(left) = self.variants(&rows.identity()?)? {
            rows = rows.filter(&left)?;
        }
        Ok(rows)
    }

    /// Which variants of a batch are left; `None`: all are.
    pub(crate) fn variants(&self, identity: &RecordBatch) -> Result<Option<BooleanArray>> {
        let mut left: Option<BooleanArray> = None;
        for filter in &self.keys {
            let Some(judged) = filter.judge(identity)? else {
                continue;
            };
            left = Some(match left {
                None => judged,
                Some(left) => and_kleene(&left, &judged)?,
            });
        }
        Ok(left.filter(|left| left.true_count() < left.len()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::physical_expr::expressions::{Column, is_null, lit};

    use super::*;

    /// What follows from a filter for the variant alone, for the sample alone, and from one of others for neither.
    #[test]
    fn a_filter_on_more_is_judged_by_what_follows_from_it() {
        let column =
            |name: &str, place| -> Arc<dyn PhysicalExpr> { Arc::new(Column::new(name, place)) };
        let with = |left, op, right| -> Arc<dyn PhysicalExpr> {
            Arc::new(BinaryExpr::new(left, op, right))
        };
        let (pos, sample) = (column("pos", 0), column("sample_id", 1));
        let less = with(Arc::clone(&pos), Operator::Lt, lit(5));
        let tie = with(pos, Operator::Eq, lit(5));
        let before = with(Arc::clone(&sample), Operator::Lt, lit("B"));
        let absent = is_null(column("gq", 2)).unwrap();
        let tied = with(Arc::clone(&tie), Operator::And, Arc::clone(&before));
        let filter = with(Arc::clone(&less), Operator::Or, tied);
        let of = |filter: &Arc<dyn PhysicalExpr>, name: &str| {
            follows(filter, &[name.to_owned()].into()).map(|f| f.to_string())
        };
        let weaker = with(less, Operator::Or, tie).to_string();
        assert_eq!(of(&filter, "pos"), Some(weaker));
        assert_eq!(of(&filter, "sample_id"), None);
        let both = with(Arc::clone(&absent), Operator::And, Arc::clone(&before));
        assert_eq!(of(&both, "sample_id"), Some(before.to_string()));
        assert_eq!(of(&with(absent, Operator::Or, before), "sample_id"), None);
    }
}
