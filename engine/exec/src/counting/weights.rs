//! How often each sample's calls count, and in which group: read from the plan of what stands beside samples.
//!
//! A *slot* is a sum of its own: one for each group, and in it one for each filter of an aggregate that looks at
//! samples. A sample has a weight in a slot: the number of rows that put it there.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{FieldRef, UInt32Type};
use arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::ExecutionPlan;
use futures::StreamExt as _;
use tokio::sync::OnceCell;

use crate::choice::{Choice, passes};
use crate::dataset::{DatasetView, HIDDEN};
use crate::error::{Error, Result};

/// Bytes of a weight while weights are gathered and sorted.
const WEIGHT_BYTES: usize = 64;
/// Bytes of a group beside its key and the sums of its slots.
const GROUP_BYTES: usize = 96;
/// Bytes of the sums of a slot.
const SLOT_BYTES: usize = 64;

/// The rows beside samples, and what is made of them once for all partitions.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    /// The sample by its number, the columns of the key, the filters; one partition.
    pub(super) plan: Arc<dyn ExecutionPlan>,
    /// Columns of the key.
    pub(super) keys: Vec<FieldRef>,
    /// Filters of aggregates.
    pub(super) filters: usize,
    weights: Arc<OnceCell<Arc<Weights>>>,
}

impl Rows {
    pub(super) fn new(plan: Arc<dyn ExecutionPlan>, keys: Vec<FieldRef>, filters: usize) -> Self {
        Self {
            plan,
            keys,
            filters,
            weights: Arc::default(),
        }
    }

    /// The same over another plan, not yet read.
    pub(super) fn over(&self, plan: Arc<dyn ExecutionPlan>) -> Self {
        Self::new(plan, self.keys.clone(), self.filters)
    }

    /// The weights; whoever asks first reads the rows.
    pub(super) async fn weights(
        &self,
        context: &Arc<TaskContext>,
        view: &DatasetView,
        choice: &Choice,
    ) -> Result<Arc<Weights>> {
        let read = || async {
            let mut gathered = Gathered::new(self, context)?;
            let mut rows = self.plan.execute(0, Arc::clone(context))?;
            while let Some(batch) = rows.next().await {
                gathered.add(&batch?)?;
            }
            gathered.finish(view, choice).map(Arc::new)
        };
        self.weights.get_or_try_init(read).await.map(Arc::clone)
    }
}

/// A slot and how often a sample counts there.
pub(super) type Weight = (u32, u64);

/// The weights of all samples.
#[derive(Debug)]
pub(super) struct Weights {
    /// Columns of the key, with a row for each group.
    pub(super) keys: Vec<ArrayRef>,
    pub(super) groups: usize,
    /// Slots of a group: all its calls, then those that each filter leaves.
    pub(super) slots_per_group: usize,
    /// Where the weights of each sample of the directory begin.
    starts: Vec<usize>,
    weights: Vec<Weight>,
    blocks: Vec<Option<BlockWeights>>,
    _reservation: MemoryReservation,
}

/// The weights of the samples of a block.
#[derive(Debug)]
struct BlockWeights {
    /// Of each sample its index in the directory, if it counts.
    samples: Vec<u32>,
    /// Of all of them together.
    totals: Vec<Weight>,
}

impl Weights {
    pub(super) fn slots(&self) -> usize {
        self.groups * self.slots_per_group
    }

    /// Per block whether a sample of it counts.
    pub(super) fn blocks(&self) -> Vec<bool> {
        self.blocks.iter().map(Option::is_some).collect()
    }

    /// The weights of all samples of a block together; none when none of them counts.
    #[inline]
    pub(super) fn totals(&self, block: usize) -> &[Weight] {
        let block = self.blocks.get(block).and_then(Option::as_ref);
        block.map_or(&[], |block| &block.totals)
    }

    /// The weights of a sample of a block.
    #[inline]
    pub(super) fn of(&self, block: usize, sample: u32) -> &[Weight] {
        let block = self.blocks.get(block).and_then(Option::as_ref);
        let index = block.and_then(|block| block.samples.get(sample as usize));
        index.map_or(&[], |index| self.of_index(*index))
    }

    #[inline]
    fn of_index(&self, index: u32) -> &[Weight] {
        let index = index as usize;
        match (self.starts.get(index), self.starts.get(index + 1)) {
            (Some(start), Some(end)) => self.weights.get(*start..*end).unwrap_or_default(),
            _ => &[],
        }
    }
}

/// Weights while rows come.
struct Gathered {
    converter: RowConverter,
    groups: HashMap<OwnedRow, u32>,
    /// The keys by the number of their group.
    keys: Vec<OwnedRow>,
    n_keys: usize,
    filters: usize,
    /// By sample and slot.
    weights: HashMap<(u32, u32), u64>,
    reservation: MemoryReservation,
}

impl Gathered {
    fn new(rows: &Rows, context: &TaskContext) -> Result<Self> {
        let fields = rows.keys.iter();
        let fields = fields.map(|field| SortField::new(field.data_type().clone()));
        Ok(Self {
            converter: RowConverter::new(fields.collect())?,
            groups: HashMap::new(),
            keys: Vec::new(),
            n_keys: rows.keys.len(),
            filters: rows.filters,
            weights: HashMap::new(),
            reservation: MemoryConsumer::new("CallCountExec").register(context.memory_pool()),
        })
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let (samples, rest) = match batch.columns() {
            [samples, rest @ ..] => (samples.as_primitive::<UInt32Type>(), rest),
            [] => return Err(Error::Internal("rows beside samples name none".into())),
        };
        let (keys, filters) = rest.split_at(self.n_keys.min(rest.len()));
        let filters: Vec<&BooleanArray> = filters.iter().map(|f| f.as_boolean()).collect();
        let groups = self.groups_of(keys, batch.num_rows())?;
        let before = self.weights.len();
        let per_group = slots_per_group(self.filters)?;
        for (row, group) in groups.into_iter().enumerate() {
            let sample = samples.value(row);
            let first = group.checked_mul(per_group).ok_or_else(too_many)?;
            *self.weights.entry((sample, first)).or_default() += 1;
            for (slot, filter) in (first + 1..).zip(&filters) {
                if passes(filter, row) {
                    *self.weights.entry((sample, slot)).or_default() += 1;
                }
            }
        }
        let more = self.weights.len() - before;
        self.reservation.try_grow(more * WEIGHT_BYTES)?;
        Ok(())
    }

    /// The group of each row.
    fn groups_of(&mut self, keys: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        if keys.is_empty() {
            return Ok(vec![0; rows]);
        }
        let per_group = GROUP_BYTES + SLOT_BYTES * (1 + self.filters);
        let encoded = self.converter.convert_columns(keys)?;
        let mut groups = Vec::with_capacity(rows);
        for row in &encoded {
            let key = row.owned();
            if let Some(group) = self.groups.get(&key) {
                groups.push(*group);
                continue;
            }
            let bytes = 2 * row.as_ref().len() + per_group;
            self.reservation.try_grow(bytes)?;
            let group = u32::try_from(self.keys.len()).map_err(|_| too_many())?;
            self.keys.push(key.clone());
            self.groups.insert(key, group);
            groups.push(group);
        }
        Ok(groups)
    }

    fn finish(self, view: &DatasetView, choice: &Choice) -> Result<Weights> {
        let (keys, groups) = match self.n_keys {
            // Everything is one group, though nothing is in it.
            0 => (Vec::new(), 1),
            _ => {
                let rows = self.keys.iter().map(OwnedRow::row);
                (self.converter.convert_rows(rows)?, self.keys.len())
            }
        };
        let mut sorted: Vec<((u32, u32), u64)> = self.weights.into_iter().collect();
        sorted.sort_unstable();
        let samples = view.directory.samples.len();
        let mut starts = Vec::with_capacity(samples + 1);
        let mut weights: Vec<Weight> = Vec::with_capacity(sorted.len());
        let mut left = sorted.into_iter().peekable();
        for index in 0..samples {
            starts.push(weights.len());
            let of_sample = |((sample, _), _): &((u32, u32), u64)| *sample as usize == index;
            while let Some(((_, slot), weight)) = left.next_if(of_sample) {
                weights.push((slot, weight));
            }
        }
        starts.push(weights.len());
        let mut made = Weights {
            keys,
            groups,
            slots_per_group: 1 + self.filters,
            starts,
            weights,
            blocks: Vec::new(),
            _reservation: self.reservation,
        };
        made.blocks = (0..view.blocks.len())
            .map(|block| made.of_block(view, choice, block))
            .collect();
        Ok(made)
    }
}

impl Weights {
    fn of_block(&self, view: &DatasetView, choice: &Choice, block: usize) -> Option<BlockWeights> {
        let mask = choice.mask(block)?;
        let view = view.blocks.get(block)?;
        let mut samples = vec![HIDDEN; view.n_samples as usize];
        let mut totals: HashMap<u32, u64> = HashMap::new();
        for sample in mask.iter() {
            let index = view.directory_index.get(sample as usize).copied();
            let index = index.unwrap_or(HIDDEN);
            let weights = self.of_index(index);
            if let (Some(place), false) = (samples.get_mut(sample as usize), weights.is_empty()) {
                *place = index;
            }
            for (slot, weight) in weights {
                *totals.entry(*slot).or_default() += weight;
            }
        }
        let mut totals: Vec<Weight> = totals.into_iter().collect();
        totals.sort_unstable();
        (!totals.is_empty()).then_some(BlockWeights { samples, totals })
    }
}

fn slots_per_group(filters: usize) -> Result<u32> {
    u32::try_from(1 + filters).map_err(|_| too_many())
}

fn too_many() -> Error {
    Error::Internal("more groups of samples than 32 bits number".into())
}
