//! Samples that are called again: a file that holds a sample the dataset has, at a variant where it has it.
//!
//! Files of the same samples that are cut by chromosome or by region are one call set and welcome, and so is a
//! second caller that finds other alleles. The same variant of the same sample twice (a file compressed anew, or
//! called anew) would count everybody twice in every sum over rows: it is refused, with its place, as soon as
//! its row comes by.
//!
//! ```text
//! headers   samples of the job ──bounds of the files of `samples`──> old blocks that hold one of them
//!           nobody met (the rule): nothing below happens
//! rows      sorted, as they are written ──bounds of files, row groups, pages──> old rows of these blocks
//!           equal contig, pos, end_pos, ref and alt: refused
//! ```
//! In memory are the samples of the job, the blocks met, and the keys of one batch of rows.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, Int32Array, RecordBatch, StringArray};
use futures::{StreamExt, TryStreamExt};
use genokura_core::schema::{samples_schema, site_schema};
use genokura_storage::{DataFile, FileReader, Lake, LakeSnapshot, ReadPlan, ScalarStat, TableId};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use crate::error::{Error, Result};

/// Files of the samples table read at once.
const FILES_AT_ONCE: usize = 8;
/// Bits of a vid below the batch.
const BATCH_SHIFT: u32 = 40;
/// Bits of a block below the batch.
const BLOCK_SHIFT: u32 = 12;

/// Which inputs of a job share samples with each other and with what the dataset holds.
#[derive(Debug, Default)]
pub(crate) struct Meetings {
    dataset: String,
    /// Old blocks, with the inputs (from 0) that have a sample of theirs.
    blocks: BTreeMap<i32, BTreeSet<i32>>,
    /// Pairs of inputs with a sample in common, the lower first.
    pairs: HashSet<(i32, i32)>,
    /// Samples of the job that the dataset has.
    n_samples: usize,
}

impl Meetings {
    /// Looks for the samples of some inputs in a dataset, batches `known` aside, and in each other.
    ///
    /// # Errors
    /// When the samples table cannot be read.
    pub(crate) async fn of(
        base: &LakeSnapshot,
        dataset: &str,
        inputs: &[&[String]],
        known: &BTreeSet<u32>,
    ) -> Result<Self> {
        let mut lists: Vec<(&[String], Vec<i32>)> = Vec::new();
        for (samples, input) in inputs.iter().zip(0..) {
            match lists.iter_mut().find(|(list, _)| list == samples) {
                Some((_, same)) => same.push(input),
                None => lists.push((samples, vec![input])),
            }
        }
        let mut names: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (list, (samples, _)) in lists.iter().enumerate() {
            for name in *samples {
                names.entry(name).or_default().push(list);
            }
        }
        let mut meetings = Self {
            dataset: dataset.to_owned(),
            ..Self::default()
        };
        let shared: BTreeSet<&Vec<usize>> = names.values().collect();
        for lists_of_name in shared {
            let inputs = lists_of_name.iter().flat_map(|list| &lists[*list].1);
            let inputs: Vec<i32> = inputs.copied().collect();
            for (i, a) in inputs.iter().enumerate() {
                let pairs = inputs[i + 1..].iter().map(|b| (*a.min(b), *a.max(b)));
                meetings.pairs.extend(pairs);
            }
        }
        let Some(table) = base.table(&TableId::new(dataset, "samples")).await? else {
            return Ok(meetings);
        };
        let may_hold = |file: &&DataFile| holds_one(file, &names);
        let files: Vec<DataFile> = table.files.iter().filter(may_hold).cloned().collect();
        let lake = base.lake();
        let mut found = futures::stream::iter(files)
            .map(|file| async move { read_samples(lake, &file).await })
            .buffer_unordered(FILES_AT_ONCE);
        let mut met: HashSet<&str> = HashSet::new();
        while let Some(batches) = found.try_next().await? {
            for batch in &batches {
                let (ids, blocks) = (texts(batch, 0)?, numbers(batch, 1)?);
                for row in 0..batch.num_rows() {
                    let Some((name, lists_of_name)) = names.get_key_value(ids.value(row)) else {
                        continue;
                    };
                    let block = blocks.value(row);
                    if known.contains(&batch_of_block(block)) {
                        continue;
                    }
                    met.insert(name);
                    let inputs = lists_of_name.iter().flat_map(|list| &lists[*list].1);
                    meetings.blocks.entry(block).or_default().extend(inputs);
                }
            }
        }
        meetings.n_samples = met.len();
        Ok(meetings)
    }

    /// Samples of the job that the dataset has.
    pub(crate) fn n_samples(&self) -> usize {
        self.n_samples
    }

    /// A check of one pass over the inputs; `None` where no sample is met.
    ///
    /// # Errors
    /// When the log of the site table cannot be read.
    pub(crate) async fn check(&self, base: &LakeSnapshot) -> Result<Option<Check<'_>>> {
        if self.blocks.is_empty() && self.pairs.is_empty() {
            return Ok(None);
        }
        let mut files: HashMap<Option<String>, Vec<DataFile>> = HashMap::new();
        let batches: BTreeSet<u32> = self.blocks.keys().map(|b| batch_of_block(*b)).collect();
        if let (false, Some(table)) = (
            batches.is_empty(),
            base.table(&TableId::new(&self.dataset, "site")).await?,
        ) {
            for file in table.files.iter().filter(|file| is_of(file, &batches)) {
                let of_bin = files.entry(file.pos_bin.clone()).or_default();
                of_bin.push(file.clone());
            }
        }
        Ok(Some(Check {
            meetings: self,
            lake: base.lake().clone(),
            files,
            last: Vec::new(),
            n_otherwise: 0,
        }))
    }
}

fn batch_of_block(block: i32) -> u32 {
    block.unsigned_abs() >> BLOCK_SHIFT
}

/// Whether a file of the samples table may hold one of some names, by its bounds.
fn holds_one(file: &DataFile, names: &BTreeMap<&str, Vec<usize>>) -> bool {
    let bounds = file.stats.column("sample_id");
    let bounds = bounds.and_then(|stats| Some((stats.min.as_ref()?, stats.max.as_ref()?)));
    match bounds {
        Some((ScalarStat::Text(min), ScalarStat::Text(max))) if min <= max => {
            names.range(min.as_str()..=max.as_str()).next().is_some()
        }
        _ => true,
    }
}

async fn read_samples(lake: &Lake, file: &DataFile) -> Result<Vec<RecordBatch>> {
    let schema = columns(&samples_schema(), &["sample_id", "block"])?;
    let reader = FileReader::open(lake, file).await?;
    Ok(reader.read(ReadPlan::of(schema))?.try_collect().await?)
}

/// Whether a file of the site table may hold rows of some batches.
fn is_of(file: &DataFile, batches: &BTreeSet<u32>) -> bool {
    let Some((min, max)) = file.stats.int_range("vid") else {
        return true;
    };
    let batch = |vid: i64| u32::try_from(vid >> BATCH_SHIFT).unwrap_or(u32::MAX);
    let range: RangeInclusive<u32> = batch(min)..=batch(max);
    range.start() > range.end() || batches.range(range).next().is_some()
}

fn columns(
    schema: &arrow::datatypes::Schema,
    names: &[&str],
) -> Result<arrow::datatypes::SchemaRef> {
    let places = names.iter().map(|name| schema.index_of(name));
    let places = places.collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(Arc::new(schema.project(&places)?))
}

fn texts(batch: &RecordBatch, column: usize) -> Result<&StringArray> {
    let column = batch.columns().get(column);
    let texts = column.and_then(|column| column.as_string_opt::<i32>());
    texts.ok_or_else(|| Error::Internal("a column is no text".to_owned()))
}

fn numbers(batch: &RecordBatch, column: usize) -> Result<&Int32Array> {
    let column = batch.columns().get(column);
    let numbers = column.and_then(|column| column.as_primitive_opt::<Int32Type>());
    numbers.ok_or_else(|| Error::Internal("a column is no number".to_owned()))
}

/// What makes two rows one variant: contig, pos, end_pos, ref, alt.
type Key<'a> = (&'a str, i32, i32, &'a str, Option<&'a str>);

/// A row kept beyond its batch.
type OwnKey = (String, i32, i32, String, Option<String>);

fn own(key: Key<'_>) -> OwnKey {
    let (contig, pos, end, reference, alternate) = key;
    let alternate = alternate.map(str::to_owned);
    (contig.to_owned(), pos, end, reference.to_owned(), alternate)
}

fn borrowed(key: &OwnKey) -> Key<'_> {
    (&key.0, key.1, key.2, &key.3, key.4.as_deref())
}

/// Columns of rows by which they are told apart.
const KEY: [&str; 5] = ["contig", "pos", "end_pos", "ref", "alt"];

struct Keys<'a> {
    contig: &'a StringArray,
    pos: &'a Int32Array,
    end_pos: &'a Int32Array,
    reference: &'a StringArray,
    alternate: &'a StringArray,
}

impl<'a> Keys<'a> {
    /// The first five columns of a batch.
    fn of(batch: &'a RecordBatch) -> Result<Self> {
        Ok(Self {
            contig: texts(batch, 0)?,
            pos: numbers(batch, 1)?,
            end_pos: numbers(batch, 2)?,
            reference: texts(batch, 3)?,
            alternate: texts(batch, 4)?,
        })
    }

    fn get(&self, row: usize) -> Key<'a> {
        let alternate = self.alternate.is_valid(row);
        (
            self.contig.value(row),
            self.pos.value(row),
            self.end_pos.value(row),
            self.reference.value(row),
            alternate.then(|| self.alternate.value(row)),
        )
    }
}

/// The check of one pass.
pub(crate) struct Check<'a> {
    meetings: &'a Meetings,
    lake: Lake,
    /// Old files of the site table, by partition.
    files: HashMap<Option<String>, Vec<DataFile>>,
    /// Rows at the last position so far, with their inputs: equal ones may come in the next batch.
    last: Vec<(OwnKey, i32)>,
    /// Positions at which a sample has other alleles from an earlier batch.
    n_otherwise: u64,
}

impl Check<'_> {
    /// Looks at the next rows of the site table, sorted by position within their partition.
    ///
    /// # Errors
    /// [`Error::Again`] for the first row of which some sample is called already.
    pub(crate) async fn rows(&mut self, pos_bin: Option<&str>, rows: &RecordBatch) -> Result<()> {
        let schema = rows.schema();
        let wanted = KEY
            .iter()
            .chain(&["source"])
            .map(|name| schema.index_of(name));
        let wanted = wanted.collect::<std::result::Result<Vec<_>, _>>()?;
        let rows = rows.project(&wanted)?;
        let (keys, sources) = (Keys::of(&rows)?, numbers(&rows, 5)?);
        let mut inputs: HashMap<Key<'_>, Vec<i32>> = HashMap::new();
        let last = std::mem::take(&mut self.last);
        for (key, input) in &last {
            inputs.entry(borrowed(key)).or_default().push(*input);
        }
        for row in 0..rows.num_rows() {
            let (key, input) = (keys.get(row), sources.value(row));
            let same = inputs.entry(key).or_default();
            let shares = |other: &&i32| {
                self.meetings
                    .pairs
                    .contains(&(input.min(**other), input.max(**other)))
            };
            if let Some(other) = same.iter().find(shares) {
                let before = format!("input {} of this job", other + 1);
                return Err(self.again(input.max(*other), key, before));
            }
            if !same.contains(&input) {
                same.push(input);
            }
        }
        if let Some(files) = self.files.get(&pos_bin.map(str::to_owned)) {
            self.n_otherwise += self.old_rows(files, &keys, &inputs).await?;
        }
        let at = |key: &Key<'_>| (key.0.to_owned(), key.1);
        let end = rows.num_rows().checked_sub(1).map(|row| at(&keys.get(row)));
        let mut kept = Vec::new();
        for (key, of_key) in &inputs {
            if end.as_ref() == Some(&at(key)) {
                kept.extend(of_key.iter().map(|input| (own(*key), *input)));
            }
        }
        self.last = kept;
        Ok(())
    }

    /// Compares with the rows of some old files; gives at how many positions samples have other alleles.
    async fn old_rows(
        &self,
        files: &[DataFile],
        keys: &Keys<'_>,
        inputs: &HashMap<Key<'_>, Vec<i32>>,
    ) -> Result<u64> {
        let positions = keys.pos.values();
        let (Some(from), Some(to)) = (positions.iter().min(), positions.iter().max()) else {
            return Ok(0);
        };
        let (from, to) = (i64::from(*from), i64::from(*to));
        let overlaps = |min: i64, max: i64| min <= to && max >= from;
        let mut places: HashMap<(&str, i32), (usize, BTreeSet<i32>)> = HashMap::new();
        for (key, of_key) in inputs {
            let number = places.len();
            let place = places.entry((key.0, key.1));
            place.or_insert((number, BTreeSet::new())).1.extend(of_key);
        }
        let mut otherwise: HashSet<usize> = HashSet::new();
        let within = |file: &&DataFile| {
            let range = file.stats.int_range("pos");
            range.is_none_or(|(min, max)| overlaps(min, max))
        };
        for file in files.iter().filter(within) {
            let mut batches = self.read(file, overlaps).await?;
            while let Some(batch) = batches.try_next().await? {
                let old = Keys::of(&batch)?;
                let (block_from, block_to) = (numbers(&batch, 5)?, numbers(&batch, 6)?);
                for row in 0..batch.num_rows() {
                    let key = old.get(row);
                    let Some((place, of_place)) = places.get(&(key.0, key.1)) else {
                        continue;
                    };
                    if block_from.is_null(row) || block_to.is_null(row) {
                        continue;
                    }
                    let range = block_from.value(row)..=block_to.value(row);
                    let met = |input: &i32| {
                        let mut blocks = self.meetings.blocks.range(range.clone());
                        blocks.any(|(_, inputs)| inputs.contains(input))
                    };
                    let same = inputs
                        .get(&key)
                        .into_iter()
                        .flatten()
                        .find(|input| met(input));
                    if let Some(input) = same {
                        let batch = batch_of_block(*range.start());
                        return Err(self.again(*input, key, format!("batch {batch}")));
                    }
                    if of_place.iter().any(met) {
                        otherwise.insert(*place);
                    }
                }
            }
        }
        Ok(otherwise.len() as u64)
    }

    /// Rows of the pages of an old file that overlap.
    async fn read(
        &self,
        file: &DataFile,
        overlaps: impl Fn(i64, i64) -> bool,
    ) -> Result<futures::stream::BoxStream<'static, genokura_storage::Result<RecordBatch>>> {
        let reader = FileReader::open(&self.lake, file).await?;
        let mut groups = Vec::new();
        let mut selectors: Vec<RowSelector> = Vec::new();
        for group in reader.row_groups() {
            if group
                .int_range("pos")
                .is_none_or(|(min, max)| overlaps(min, max))
            {
                groups.push(group.index);
                selectors.extend(Vec::from(reader.pages_where(group.index, "pos", &overlaps)));
            }
        }
        let names = [&KEY[..], &["block_from", "block_to"]].concat();
        let plan = ReadPlan {
            row_groups: Some(groups),
            selection: Some(RowSelection::from(selectors)),
            ..ReadPlan::of(columns(&site_schema(&[]), &names)?)
        };
        Ok(reader.read(plan)?)
    }

    fn again(&self, input: i32, key: Key<'_>, before: String) -> Error {
        Error::Again {
            input: input.unsigned_abs() + 1,
            contig: key.0.to_owned(),
            pos: key.1,
            before,
            dataset: self.meetings.dataset.clone(),
        }
    }

    /// Positions at which a sample has other alleles from an earlier batch.
    pub(crate) fn n_otherwise(&self) -> u64 {
        self.n_otherwise
    }
}
