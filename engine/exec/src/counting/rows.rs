//! The states of one partition: site rows are read as a scan reads them, genotypes only where they are counted.

mod grouped;

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Decimal128Array, Float64Array, Int16Array,
    Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray, UInt32Array, UInt64Array,
};
use arrow::compute::take;
use arrow::datatypes::{Int32Type, SchemaRef};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan as _;
use genokura_core::codec::{DefaultCall, DosageCounts, GenotypeRow, SampleCounts, SampleMask};

use super::tally::{Open, Tally};
use super::weights::Rows;
use super::{
    CallCountExec, Count, Counting, Extreme, GroupCounts, Groups, MEAN_SCALE, MEAN_SUM_DIGITS,
    Measure, Source, kept_by,
};
use crate::blobs::{BlobReader, chunks};
use crate::calls::{Sites, carried, read_context};
use crate::choice::{Choice, Keep, Kept};
use crate::dataset::HIDDEN;
use crate::dynamic::DynamicFilters;
use crate::error::{Error, Result};
use crate::members::Members;
use crate::metrics::ScanMetrics;
use crate::scan::{DatasetScanExec, table_name};
use crate::source::{ReadContext, SiteRows, column};
use crate::table::Stages;

/// Counts of the site table that a count of carriers is made of.
const SITE_COUNTS: [&str; 4] = ["ac", "n_het", "n_hom_alt", "n_missing"];

/// Batches of partial states.
pub(super) struct CountRows {
    context: Arc<ReadContext>,
    scan: DatasetScanExec,
    partition: usize,
    /// Once the first row is asked for.
    source: Option<Sites>,
    choice: Arc<Choice>,
    counting: Arc<Counting>,
    made_of: Source,
    /// What the scan keeps, then what each measure counts.
    base: Keep,
    keeps: Vec<Keep>,
    genotypes: Option<BlobReader>,
    blocks: Vec<bool>,
    batch_size: usize,
    schema: SchemaRef,
    pending: VecDeque<SiteRows>,
    ready: VecDeque<RecordBatch>,
    /// Of all calls together.
    total: Group,
    /// Of all calls together, by dosage.
    dosages: DosageCounts,
    /// Per block of the dataset.
    samples: Vec<Option<SampleCounts>>,
    done: bool,
    dynamic: DynamicFilters,
    /// Samples have been looked at: dynamic filters on them, and what stands beside them.
    narrowed: bool,
    beside: Option<Rows>,
    task: Arc<TaskContext>,
    /// Sums of groups of samples.
    tally: Option<Tally>,
    open: Option<Open>,
}

/// The counts of a group: what the scan keeps, and what each measure counts.
#[derive(Clone, Default)]
struct Group {
    base: Kept,
    measures: GroupCounts,
}

impl CountRows {
    pub(super) fn new(
        node: &CallCountExec,
        partition: usize,
        task: Arc<TaskContext>,
        metrics: ScanMetrics,
    ) -> Result<Self> {
        let batch_size = task.session_config().batch_size();
        let (spec, view) = (&node.scan.spec, &node.scan.view);
        let masked = view.masked(table_name(spec.kind));
        let stages = Stages::of(spec.kind, &spec.filters, &masked);
        let made_of = node.source();
        let mut extra = Vec::new();
        if made_of == Source::Sites {
            extra.extend(SITE_COUNTS);
        } else if node.choice.carriers() {
            extra.push("ac");
        }
        let context = read_context(&node.scan, stages.key, extra, batch_size, metrics)?;
        let genotypes = (made_of != Source::Samples)
            .then(|| BlobReader::genotypes(view, &context.metrics))
            .flatten();
        let base = node.choice.keep().clone();
        let measures = &node.counting.measures;
        Ok(Self {
            scan: node.scan.clone(),
            partition,
            source: None,
            choice: Arc::clone(&node.choice),
            counting: Arc::clone(&node.counting),
            made_of,
            keeps: measures.iter().map(|m| kept_by(m, &base)).collect(),
            base,
            genotypes,
            blocks: node.choice.blocks(),
            batch_size: batch_size.max(1),
            schema: node.schema(),
            pending: VecDeque::new(),
            ready: VecDeque::new(),
            total: Group {
                base: Kept::default(),
                measures: vec![Kept::default(); measures.len()],
            },
            dosages: DosageCounts::default(),
            samples: view.blocks.iter().map(|_| None).collect(),
            done: false,
            dynamic: node.scan.dynamic.clone(),
            narrowed: false,
            beside: node.beside.clone(),
            task,
            tally: None,
            open: None,
            context,
        })
    }

    /// Leaves out the samples that no row of a join above can match, and those that nothing stands beside: known when
    /// the first row is asked for.
    async fn narrow(&mut self) -> Result<()> {
        let view = &self.context.view;
        if let Some(beside) = &self.beside {
            let weights = beside.weights(&self.task, view, &self.choice).await?;
            self.blocks = weights.blocks();
            self.tally = Some(Tally::new(weights));
            if !self.blocks.contains(&true) {
                self.done = true;
                self.finish()?;
            }
            self.narrowed = true;
            return Ok(());
        }
        if let Some(left) = self.dynamic.samples(&view.directory.samples)? {
            self.choice = Arc::new(self.choice.among(&left, view));
            self.blocks = self.choice.blocks();
            self.done = self.choice.n_samples() == 0;
        }
        self.narrowed = true;
        Ok(())
    }

    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if !self.narrowed {
            self.narrow().await?;
        }
        loop {
            if let Some(batch) = self.ready.pop_front() {
                self.context
                    .metrics
                    .baseline
                    .record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            if self.done {
                return Ok(None);
            }
            if let Some(open) = self.open.take() {
                self.count_tally(open)?;
                tokio::task::yield_now().await;
                continue;
            }
            match self.chunk().await? {
                Some(rows) => self.count(rows).await?,
                None => {
                    self.done = true;
                    self.finish()?;
                }
            }
            // Counting a long stretch must not keep the thread.
            tokio::task::yield_now().await;
        }
    }

    async fn chunk(&mut self) -> Result<Option<SiteRows>> {
        loop {
            if let Some(rows) = self.pending.pop_front() {
                return Ok(Some(rows));
            }
            if self.source.is_none() {
                let units = self.scan.units(&self.context, self.partition).await?;
                self.source = Some(Sites::new(&self.scan, &self.context, units)?);
            }
            let Some(source) = &mut self.source else {
                return Ok(None);
            };
            let Some(pieces) = source.next().await? else {
                return Ok(None);
            };
            for mut rows in pieces {
                if self.choice.carriers() {
                    rows = carried(rows)?;
                }
                let readers = [self.genotypes.as_ref(), None];
                let chunks = chunks(rows, readers, &self.blocks, self.batch_size).await?;
                self.pending.extend(chunks);
            }
        }
    }

    async fn count(&mut self, rows: SiteRows) -> Result<()> {
        if self.made_of != Source::Sites {
            return self.count_members(rows).await;
        }
        let complete = rows.sums("n_missing")?;
        let complete: BooleanArray = complete.iter().map(|n| Some(n? == 0)).collect();
        let incomplete: BooleanArray = complete.iter().map(|c| Some(!c?)).collect();
        let mut of_genotypes = Vec::new();
        if incomplete.true_count() > 0 {
            // A half call carries the ALT and is missing: only its genotype tells.
            let rows = rows.slice(0, rows.len()).filter(&incomplete)?;
            let members = self.members(&rows).await?;
            let counts = self.dosages(&members)?;
            of_genotypes.extend(counts.iter().map(|counts| self.group(counts)));
        }
        let mut of_genotypes = of_genotypes.into_iter();
        let mut groups = self.of_sites(&rows)?;
        // Variants stay in their order.
        for (group, complete) in groups.iter_mut().zip(&complete) {
            if complete == Some(false) {
                *group = of_genotypes.next().unwrap_or_default();
            }
        }
        self.take_groups(&rows, groups)
    }

    /// Groups of variants whose calls are all complete, by the counts of the site table.
    fn of_sites(&self, rows: &SiteRows) -> Result<Vec<Group>> {
        let _timer = self.context.metrics.baseline.elapsed_compute().timer();
        let [ac, het, hom_alt] = ["ac", "n_het", "n_hom_alt"].map(|name| rows.sums(name));
        let (ac, het, hom_alt) = (ac?, het?, hom_alt?);
        let number = |n: i32| u64::try_from(n).unwrap_or(0);
        let groups = (0..rows.len()).map(|row| {
            let calls = number(het.value(row)) + number(hom_alt.value(row));
            let kept = Kept {
                calls,
                with_dosage: calls,
                copies: number(ac.value(row)),
                ..Kept::default()
            };
            Group {
                base: kept,
                measures: vec![kept; self.keeps.len()],
            }
        });
        Ok(groups.collect())
    }

    /// Reads the genotypes of variants.
    async fn members(&mut self, rows: &SiteRows) -> Result<Members> {
        let view = Arc::clone(&self.context.view);
        Members::read(&view, rows, self.genotypes.as_ref(), &self.blocks).await
    }

    /// Adds variants by their genotypes, or by the number of their samples.
    async fn count_members(&mut self, rows: SiteRows) -> Result<()> {
        let members = self.members(&rows).await?;
        if self.tally.is_some() {
            self.open = Some(Open {
                rows,
                members,
                next: 0,
            });
            return Ok(());
        }
        let context = Arc::clone(&self.context);
        let _timer = context.metrics.baseline.elapsed_compute().timer();
        if matches!(self.counting.groups, Groups::Samples(_)) {
            return self.count_samples(&members);
        }
        let groups = self.dosages(&members)?;
        if matches!(self.counting.groups, Groups::Dosages(_)) {
            groups.iter().for_each(|counts| self.dosages.merge(counts));
            return Ok(());
        }
        let groups = groups.iter().map(|counts| self.group(counts)).collect();
        self.take_groups(&rows, groups)
    }

    /// Of each variant how many of the chosen calls have which dosage.
    fn dosages(&self, members: &Members) -> Result<Vec<DosageCounts>> {
        let count = |row: &GenotypeRow<'_>, block: usize| {
            let mask = self.choice.mask(block);
            mask.map_or_else(DosageCounts::default, |mask| {
                row.dosage_counts((!mask.is_all()).then_some(mask))
            })
        };
        members.sums(
            |default, block| {
                let n = self.choice.mask(block).map_or(0, SampleMask::n_samples);
                count(&GenotypeRow::of_default(n, default), block)
            },
            count,
        )
    }

    fn group(&self, counts: &DosageCounts) -> Group {
        Group {
            base: self.base.count(counts),
            measures: self.keeps.iter().map(|keep| keep.count(counts)).collect(),
        }
    }

    fn count_samples(&mut self, members: &Members) -> Result<()> {
        // Per default call and block: members less their stored rows.
        let blocks = self.samples.len();
        let mut rows = DefaultCall::ALL.map(|_| vec![0i64; blocks + 1]);
        let of = |default: DefaultCall| usize::from(default.number());
        for member in members.all() {
            let rows = &mut rows[of(member.default)];
            rows[member.blocks.start] += 1;
            rows[member.blocks.end] -= 1;
        }
        for rows in &mut rows {
            let mut open = 0;
            for rows in rows {
                open += *rows;
                *rows = open;
            }
        }
        members.for_each_stored(|member, block, row| {
            if let Some(counts) = self.samples_of(block) {
                counts.add(row);
                rows[of(member.default)][block] -= 1;
            }
        })?;
        for (default, rows) in DefaultCall::ALL.into_iter().zip(rows) {
            for (block, rows) in rows.into_iter().enumerate() {
                if let Some(counts) = self.samples_of(block) {
                    counts.add_default(default, u64::try_from(rows).unwrap_or(0));
                }
            }
        }
        Ok(())
    }

    /// The counts of the samples of a block; `None` when none of them is chosen.
    fn samples_of(&mut self, block: usize) -> Option<&mut SampleCounts> {
        let mask = self.choice.mask(block)?;
        let counts = self.samples.get_mut(block)?;
        Some(counts.get_or_insert_with(|| SampleCounts::new(mask.n_samples())))
    }

    /// Adds the groups of variants to the total, or makes a batch of them.
    fn take_groups(&mut self, rows: &SiteRows, mut groups: Vec<Group>) -> Result<()> {
        if self.counting.reads_places() {
            let identity = rows.identity()?;
            for (row, group) in groups.iter_mut().enumerate() {
                group.stands_at(&identity, row)?;
            }
        }
        let Groups::Variants(columns) = &self.counting.groups else {
            groups.iter().for_each(|group| self.total.add(group));
            return Ok(());
        };
        let kept = (0u32..).zip(&groups).filter(|(_, g)| g.base.calls > 0);
        let places: UInt32Array = kept.map(|(place, _)| place).collect();
        if places.is_empty() {
            return Ok(());
        }
        let identity = rows.identity()?;
        let keys = columns
            .iter()
            .map(|name| Ok(take(column(&identity, name)?, &places, None)?))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let groups: Vec<Group> = groups.into_iter().filter(|g| g.base.calls > 0).collect();
        self.push(keys, &groups)
    }

    fn finish(&mut self) -> Result<()> {
        if let Some(tally) = self.tally.take() {
            return match self.counting.groups {
                Groups::Variants(_) => Ok(()),
                _ => self.finish_tally(&tally),
            };
        }
        match self.counting.groups {
            Groups::All => {
                let total = std::mem::take(&mut self.total);
                self.push(Vec::new(), &[total])
            }
            Groups::Samples(columns) => self.finish_samples(columns),
            Groups::Dosages(columns) => self.finish_dosages(columns),
            Groups::Variants(_) => Ok(()),
        }
    }

    /// A group for each dosage that a call has; they are at most 257.
    fn finish_dosages(&mut self, columns: usize) -> Result<()> {
        let counts = std::mem::take(&mut self.dosages);
        let kept = counts.iter().filter(|(dosage, _)| self.base.keeps(*dosage));
        let kept: Vec<_> = kept.collect();
        if kept.is_empty() {
            return Ok(());
        }
        let of_one = |&(dosage, n): &(Option<u8>, u64)| self.group(&only(dosage, n));
        let groups: Vec<Group> = kept.iter().map(of_one).collect();
        let dosages = kept.iter().map(|(dosage, _)| dosage.map(i16::from));
        let dosages: ArrayRef = Arc::new(dosages.collect::<Int16Array>());
        self.push(vec![dosages; columns], &groups)
    }

    /// A group for each sample that has a call.
    fn finish_samples(&mut self, columns: usize) -> Result<()> {
        let view = Arc::clone(&self.context.view);
        let names = &view.directory.samples;
        let mut counts: Vec<DosageCounts> = vec![DosageCounts::default(); names.len()];
        for (place, block) in view.blocks.iter().enumerate() {
            let of_block = self.samples.get(place).and_then(Option::as_ref);
            let (Some(of_block), Some(mask)) = (of_block, self.choice.mask(place)) else {
                continue;
            };
            for sample in mask.iter() {
                let index = block.directory_index.get(sample as usize).copied();
                if let Some(sum) = counts.get_mut(index.unwrap_or(HIDDEN) as usize) {
                    sum.merge(&of_block.of(sample));
                }
            }
        }
        let (mut kept, mut groups) = (Vec::new(), Vec::new());
        for (name, counts) in names.iter().zip(&counts) {
            let group = self.group(counts);
            if group.base.calls > 0 {
                kept.push(name.as_str());
                groups.push(group);
            }
        }
        for (names, groups) in kept
            .chunks(self.batch_size)
            .zip(groups.chunks(self.batch_size))
        {
            let names: ArrayRef = Arc::new(StringArray::from_iter_values(names));
            self.push(vec![names; columns], groups)?;
        }
        Ok(())
    }

    /// Makes a batch of groups.
    fn push(&mut self, mut columns: Vec<ArrayRef>, groups: &[Group]) -> Result<()> {
        let base: Vec<Kept> = groups.iter().map(|group| group.base).collect();
        for (place, measure) in self.counting.measures.iter().enumerate() {
            let kept: Vec<Kept> = groups
                .iter()
                .map(|group| group.measures.get(place).copied().unwrap_or_default())
                .collect();
            columns.extend(states(measure, &kept, &base)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(groups.len()));
        let schema = Arc::clone(&self.schema);
        self.ready.push_back(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?);
        Ok(())
    }
}

/// Counts of calls that all have one dosage.
fn only(dosage: Option<u8>, n: u64) -> DosageCounts {
    let mut counts = DosageCounts::default();
    counts.add_calls(dosage, n);
    counts
}

impl Group {
    /// Its calls are those of a variant, a row of `identity`.
    fn stands_at(&mut self, identity: &RecordBatch, row: usize) -> Result<()> {
        let at = |name: &str| -> Result<Option<(i32, i32)>> {
            let Some(column) = identity.column_by_name(name) else {
                return Ok(None);
            };
            let column = column.as_primitive_opt::<Int32Type>();
            let column = column.ok_or_else(|| Error::Internal(format!("{name} is no number")))?;
            Ok(column
                .is_valid(row)
                .then(|| (column.value(row), column.value(row))))
        };
        let (pos, end_pos) = (at("pos")?, at("end_pos")?);
        for kept in self.measures.iter_mut().filter(|kept| kept.calls > 0) {
            (kept.pos, kept.end_pos) = (pos, end_pos);
        }
        Ok(())
    }

    fn add(&mut self, other: &Self) {
        self.base.add(other.base);
        for (sum, kept) in self.measures.iter_mut().zip(&other.measures) {
            sum.add(*kept);
        }
    }
}

/// The columns of the state of one aggregate, as DataFusion's own would be.
fn states(measure: &Measure, kept: &[Kept], base: &[Kept]) -> Result<Vec<ArrayRef>> {
    let number =
        |n: u64| i64::try_from(n).map_err(|_| Error::Internal("a count beyond 64 bits".into()));
    let whole = |value: fn(&Kept) -> u64| -> Result<ArrayRef> {
        let values = kept.iter().map(|k| number(value(k)));
        Ok(Arc::new(values.collect::<Result<Int64Array>>()?))
    };
    // A sum of nothing is NULL.
    let sum = |added: fn(&Kept) -> u64, value: fn(&Kept) -> u64| -> Result<Vec<ArrayRef>> {
        let sum = |(kept, base): (&Kept, &Kept)| {
            let zeros = measure.or_zero && base.calls > kept.calls;
            let some = zeros || added(kept) > 0;
            some.then(|| number(value(kept))).transpose()
        };
        let sums = kept.iter().zip(base).map(sum);
        let sums: Int64Array = sums.collect::<Result<Vec<_>>>()?.into();
        Ok(vec![Arc::new(sums)])
    };
    Ok(match measure.count {
        Count::Calls => vec![whole(|k| k.calls)?],
        Count::WithDosage => vec![whole(|k| k.with_dosage)?],
        Count::Copies => sum(|k| k.with_dosage, |k| k.copies)?,
        Count::SumOfOnes => sum(|k| k.calls, |k| k.calls)?,
        Count::Least(of) => vec![extremes(of, kept, false)],
        Count::Greatest(of) => vec![extremes(of, kept, true)],
        Count::MeanCopies => {
            #[expect(clippy::cast_precision_loss, reason = "avg adds up doubles as well")]
            let sum = |k: &Kept| (k.with_dosage > 0).then_some(k.copies as f64);
            let sums: Float64Array = kept.iter().map(sum).collect();
            vec![seen(kept), Arc::new(sums)]
        }
        Count::ExactMeanCopies => {
            let unit = 10_i128.pow(MEAN_SCALE.unsigned_abs().into());
            let sum = |k: &Kept| (k.with_dosage > 0).then(|| i128::from(k.copies) * unit);
            let sums: Decimal128Array = kept.iter().map(sum).collect();
            let sums = sums.with_precision_and_scale(MEAN_SUM_DIGITS, MEAN_SCALE)?;
            vec![seen(kept), Arc::new(sums)]
        }
    })
}

/// How many dosages an average is of: NULL, not 0, is how it says that it has seen none.
fn seen(kept: &[Kept]) -> ArrayRef {
    let count = |k: &Kept| (k.with_dosage > 0).then_some(k.with_dosage);
    Arc::new(kept.iter().map(count).collect::<UInt64Array>())
}

/// The least or the greatest of each group.
fn extremes(of: Extreme, kept: &[Kept], greatest: bool) -> ArrayRef {
    let place = |stretch: Option<(i32, i32)>| {
        stretch.map(|(least, most)| if greatest { most } else { least })
    };
    let places = |of: fn(&Kept) -> Option<(i32, i32)>| -> ArrayRef {
        let values = kept.iter().map(|kept| place(of(kept)));
        Arc::new(values.collect::<Int32Array>())
    };
    match of {
        Extreme::Pos => places(|kept| kept.pos),
        Extreme::EndPos => places(|kept| kept.end_pos),
        Extreme::Dosage => {
            let wide = |(least, most)| (i32::from(least), i32::from(most));
            let values = kept.iter().map(|kept| place(kept.dosage.map(wide)));
            let narrow = |value: i32| i16::try_from(value).unwrap_or(i16::MAX);
            let values = values.map(|value| value.map(narrow));
            Arc::new(values.collect::<Int16Array>())
        }
    }
}
