//! Rows of the site table: read, filtered early, and merged where several batches hold the same variant.

mod decoded;
mod merge;
mod part;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, take, take_record_batch};
use arrow::datatypes::{FieldRef, Int32Type, Schema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use genokura_storage::TableSnapshot;

use self::merge::MergeStream;
use self::part::PartStream;
use crate::dataset::DatasetView;
use crate::dynamic::DynamicFilters;
use crate::error::{Error, Result};
use crate::metrics::ScanMetrics;
use crate::predicate::Predicate;
use crate::spec::Unit;

pub(crate) use self::decoded::{Allowance, is_kept, rows_left};
pub(crate) use self::merge::{Disjoint, Origin};
pub(crate) use self::part::{Early, part_access, prune_pages};

/// Columns that merging reads beside those asked for.
pub(crate) const MERGE_COLUMNS: [&str; 9] = [
    "vid",
    "contig",
    "pos",
    "end_pos",
    "ref",
    "alt",
    "block_from",
    "block_to",
    "source",
];
/// What every reader of a scan shares.
pub(crate) struct ReadContext {
    pub(crate) view: Arc<DatasetView>,
    pub(crate) table: Arc<TableSnapshot>,
    /// Columns of the batches.
    pub(crate) schema: SchemaRef,
    /// Filters in which all rows of a variant agree.
    pub(crate) key: Vec<Predicate>,
    /// Filters on single rows.
    pub(crate) row: Vec<Predicate>,
    pub(crate) batch_size: usize,
    pub(crate) metrics: ScanMetrics,
    /// Filters on keys whose values become known while the scan runs.
    pub(crate) dynamic: DynamicFilters,
    /// What it may have of decoded stretches.
    pub(crate) allowance: Allowance,
}

/// Rows of the site table, of which each group is one row of `variants`.
pub(crate) struct SiteRows {
    /// Member rows in the columns of [`ReadContext::schema`].
    pub(crate) batch: RecordBatch,
    /// Rows `start..end` of each group, the one with the lowest vid first; `None`: each row is a group.
    groups: Option<Vec<(u32, u32)>>,
}

impl SiteRows {
    /// Number of variants.
    pub(crate) fn len(&self) -> usize {
        self.groups.as_ref().map_or(self.batch.num_rows(), Vec::len)
    }

    /// Rows of one variant.
    pub(crate) fn members(&self, group: usize) -> Range<usize> {
        match &self.groups {
            None => group..group + 1,
            Some(groups) => groups
                .get(group)
                .map_or(0..0, |(start, end)| *start as usize..*end as usize),
        }
    }

    /// The first row of each variant, which gives its identity and record.
    pub(crate) fn identity(&self) -> Result<RecordBatch> {
        match &self.groups {
            None => Ok(self.batch.clone()),
            Some(groups) => {
                let first: UInt32Array = groups.iter().map(|(start, _)| *start).collect();
                Ok(take_record_batch(&self.batch, &first)?)
            }
        }
    }

    /// Sums an Int32 column over the rows of each variant.
    pub(crate) fn sums(&self, column: &str) -> Result<Int32Array> {
        let values = self.column(column)?.as_primitive::<Int32Type>();
        match &self.groups {
            None => Ok(values.clone()),
            Some(groups) => {
                let sum = |(start, end): &(u32, u32)| {
                    let rows = *start as usize..*end as usize;
                    rows.map(|row| values.value(row))
                        .fold(0i32, i32::saturating_add)
                };
                Ok(groups.iter().map(sum).collect::<Vec<_>>().into())
            }
        }
    }

    pub(crate) fn column(&self, name: &str) -> Result<&dyn Array> {
        column(&self.batch, name)
    }

    /// The variants for which `keep` is true; NULL is false.
    pub(crate) fn filter(self, keep: &BooleanArray) -> Result<Self> {
        if keep.true_count() == keep.len() {
            return Ok(self);
        }
        match self.groups {
            None => Ok(Self {
                batch: filter_record_batch(&self.batch, keep)?,
                groups: None,
            }),
            Some(groups) => {
                let kept = groups.into_iter().zip(keep.iter());
                let groups = kept
                    .filter(|(_, keep)| *keep == Some(true))
                    .map(|(group, _)| group)
                    .collect();
                Ok(Self {
                    batch: self.batch,
                    groups: Some(groups),
                })
            }
        }
    }

    /// These variants in this order, each once.
    pub(crate) fn take(&self, variants: &[u32]) -> Result<Self> {
        Ok(match &self.groups {
            None => Self {
                batch: take_record_batch(&self.batch, &UInt32Array::from(variants.to_vec()))?,
                groups: None,
            },
            Some(groups) => {
                let group = |variant: &u32| groups.get(*variant as usize).copied();
                Self {
                    batch: self.batch.clone(),
                    groups: Some(variants.iter().filter_map(group).collect()),
                }
            }
        })
    }

    /// These variants and then those of `other`.
    pub(crate) fn followed_by(&self, other: &Self) -> Result<Self> {
        let batch = concat_batches(&self.batch.schema(), [&self.batch, &other.batch])?;
        if self.groups.is_none() && other.groups.is_none() {
            return Ok(Self {
                batch,
                groups: None,
            });
        }
        let groups = |rows: &Self, after: usize| -> Vec<(u32, u32)> {
            let number = |row: usize| u32::try_from(row + after).unwrap_or(u32::MAX);
            let members = (0..rows.len()).map(|variant| rows.members(variant));
            members.map(|m| (number(m.start), number(m.end))).collect()
        };
        let groups = [groups(self, 0), groups(other, self.batch.num_rows())].concat();
        Ok(Self {
            batch,
            groups: Some(groups),
        })
    }

    /// The same rows with more columns, which have a value for each variant.
    pub(crate) fn with_columns(self, fields: &[FieldRef], columns: &[ArrayRef]) -> Result<Self> {
        let rows = self.batch.num_rows();
        let mut all = self.batch.columns().to_vec();
        for column in columns {
            all.push(match &self.groups {
                None => Arc::clone(column),
                Some(groups) => {
                    // The first row of a variant gives its identity.
                    let mut places = vec![None; rows];
                    for (number, (first, _)) in (0u32..).zip(groups) {
                        places[*first as usize] = Some(number);
                    }
                    take(column, &UInt32Array::from(places), None)?
                }
            });
        }
        let known = self.batch.schema();
        let added = fields.iter().map(|field| match &self.groups {
            None => Arc::clone(field),
            Some(_) => Arc::new(field.as_ref().clone().with_nullable(true)),
        });
        let fields: Vec<FieldRef> = known.fields().iter().cloned().chain(added).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), all)?;
        Ok(Self { batch, ..self })
    }

    /// `length` variants from `start` on.
    pub(crate) fn slice(&self, start: usize, length: usize) -> Self {
        match &self.groups {
            None => Self {
                batch: self.batch.slice(start, length),
                groups: None,
            },
            Some(groups) => {
                let groups = groups.iter().skip(start).take(length).copied().collect();
                Self {
                    batch: self.batch.clone(),
                    groups: Some(groups),
                }
            }
        }
    }
}

/// A column that the read schema has.
pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array> {
    batch
        .column_by_name(name)
        .map(AsRef::as_ref)
        .ok_or_else(|| Error::Internal(format!("column {name} was not read")))
}

/// Evaluates a predicate over a batch.
pub(crate) fn evaluate(expr: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray> {
    let value = expr.evaluate(batch)?.into_array(batch.num_rows())?;
    value
        .as_boolean_opt()
        .cloned()
        .ok_or_else(|| Error::Internal(format!("filter {expr} is not boolean")))
}

/// The rows of one partition's units, in order.
pub(crate) struct SiteSource {
    context: Arc<ReadContext>,
    units: VecDeque<Unit>,
    current: Option<Current>,
}

enum Current {
    Straight(PartStream),
    Merge(Box<MergeStream>),
}

impl SiteSource {
    pub(crate) fn new(context: Arc<ReadContext>, units: Vec<Unit>) -> Self {
        Self {
            context,
            units: units.into(),
            current: None,
        }
    }

    /// The next rows, at least one; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<SiteRows>> {
        loop {
            let rows = match &mut self.current {
                Some(Current::Straight(stream)) => stream.next().await?.map(|batch| SiteRows {
                    batch,
                    groups: None,
                }),
                Some(Current::Merge(stream)) => stream.next().await?,
                None => None,
            };
            if rows.is_some() {
                return Ok(rows);
            }
            let Some(unit) = self.units.pop_front() else {
                return Ok(None);
            };
            self.current = Some(self.start(unit)?);
        }
    }

    fn start(&self, mut unit: Unit) -> Result<Current> {
        if !unit.merge && unit.streams.len() == 1 {
            let parts = unit.streams.pop().unwrap_or_default();
            let context = &self.context;
            let filters = context.key.iter().chain(&context.row).cloned().collect();
            let early = Arc::new(Early::new(context, filters)?);
            return Ok(Current::Straight(PartStream::new(
                context,
                early,
                parts,
                context.batch_size,
            )));
        }
        Ok(Current::Merge(Box::new(MergeStream::new(
            &self.context,
            unit,
        )?)))
    }
}
