//! One dataset of a snapshot as one session sees it: its tables, its samples, and which samples each block holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::common::stats::Precision;
use futures::TryStreamExt as _;
use genokura_core::codec::SampleMask;
use genokura_core::schema::samples_schema;
use genokura_storage::{
    Block, DatasetState, FileReader, Lake, LakeSnapshot, ReadPlan, TableId, TableSnapshot,
};

use crate::access::{AccessContext, Columns};
use crate::directory::{CellAccess, DirectoryBlock, SampleDirectory};
use crate::error::{Error, Result};

/// Position of a hidden sample in [`BlockView::directory_index`].
pub(crate) const HIDDEN: u32 = u32::MAX;

/// What a dataset holds, whoever asks.
#[derive(Debug)]
pub(crate) struct Dataset {
    pub(crate) name: String,
    pub(crate) snapshot: Arc<LakeSnapshot>,
    pub(crate) state: DatasetState,
    pub(crate) site: Option<Arc<TableSnapshot>>,
    pub(crate) genotype: Option<Arc<TableSnapshot>>,
    pub(crate) format: Option<Arc<TableSnapshot>>,
    /// Every sample name once, in order of first appearance.
    pub(crate) names: Vec<String>,
    /// Per block in ascending number the samples by index in `names`.
    pub(crate) blocks: Vec<(i32, Arc<[u32]>)>,
    /// The samples table, one row per sample and block.
    pub(crate) sample_rows: Vec<SampleRow>,
    /// Bytes of the files of the samples table.
    pub(crate) samples_bytes: u64,
    /// Batches in which rows of different inputs may be one variant.
    pub(crate) self_merging: BTreeSet<u32>,
    /// Place of a contig in the order of the rows.
    pub(crate) contig_rank: HashMap<String, u32>,
}

/// One row of the samples table.
#[derive(Clone, Debug)]
pub(crate) struct SampleRow {
    pub(crate) name: u32,
    pub(crate) batch: i32,
    pub(crate) source: i32,
    pub(crate) block: i32,
    pub(crate) index_in_block: u32,
    pub(crate) counts: [i64; SAMPLE_COUNTS.len()],
    pub(crate) karyotype: Option<String>,
}

/// The per-sample counts of the samples table, in its order.
pub(crate) const SAMPLE_COUNTS: [&str; 8] = [
    "n_called",
    "n_hom_ref",
    "n_het",
    "n_hom_alt",
    "n_missing",
    "n_singleton",
    "n_ts",
    "n_tv",
];

impl Dataset {
    /// Reads what every scan of the dataset needs: table versions and the samples table.
    pub(crate) async fn load(snapshot: &Arc<LakeSnapshot>, name: &str) -> Result<Option<Self>> {
        let Some(state) = snapshot.dataset(name) else {
            return Ok(None);
        };
        let table = |table: &'static str| {
            let id = TableId::new(name, table);
            async move { snapshot.table(&id).await }
        };
        let (site, genotype, format, samples) = futures::try_join!(
            table("site"),
            table("genotype"),
            table("format"),
            table("samples")
        )?;
        let mut names = NameIndex::default();
        let samples_bytes = samples.as_ref().map_or(0, |samples| samples.bytes());
        let sample_rows = match samples {
            Some(samples) => read_samples(snapshot.lake(), &samples, &mut names).await?,
            None => Vec::new(),
        };
        let blocks = blocks_of(name, state, &sample_rows)?;
        let contigs = state.contigs.iter().zip(0u32..);
        Ok(Some(Self {
            name: name.to_owned(),
            snapshot: Arc::clone(snapshot),
            state: state.clone(),
            site,
            genotype,
            format,
            self_merging: self_merging(&sample_rows),
            names: names.names,
            blocks,
            sample_rows,
            samples_bytes,
            contig_rank: contigs
                .map(|(contig, rank)| (contig.name.clone(), rank))
                .collect(),
        }))
    }

    pub(crate) fn lake(&self) -> &Lake {
        self.snapshot.lake()
    }

    /// Place of a contig in the order of the rows; unknown ones come last.
    pub(crate) fn rank_of(&self, contig: &str) -> u32 {
        self.contig_rank.get(contig).copied().unwrap_or(u32::MAX)
    }
}

#[derive(Default)]
struct NameIndex {
    names: Vec<String>,
    index: HashMap<String, u32>,
}

impl NameIndex {
    fn of(&mut self, name: &str) -> Result<u32> {
        if let Some(&found) = self.index.get(name) {
            return Ok(found);
        }
        let next = u32::try_from(self.names.len())
            .map_err(|_| Error::Internal("more than 4 billion samples".into()))?;
        self.names.push(name.to_owned());
        self.index.insert(name.to_owned(), next);
        Ok(next)
    }
}

async fn read_samples(
    lake: &Lake,
    table: &TableSnapshot,
    names: &mut NameIndex,
) -> Result<Vec<SampleRow>> {
    let mut batches = Vec::new();
    for file in &table.files {
        let reader = FileReader::open(lake, file).await?;
        let read: Vec<RecordBatch> = reader
            .read(ReadPlan::of(samples_schema()))?
            .try_collect()
            .await?;
        batches.extend(read);
    }
    let mut rows = Vec::new();
    for batch in &batches {
        sample_rows(&table.id, batch, &mut rows)?;
    }
    rows.sort_by_key(|(_, row)| (row.batch, row.block, row.index_in_block, row.source));
    rows.into_iter()
        .map(|(name, row)| {
            Ok(SampleRow {
                name: names.of(&name)?,
                ..row
            })
        })
        .collect()
}

fn sample_rows(
    id: &TableId,
    batch: &RecordBatch,
    rows: &mut Vec<(String, SampleRow)>,
) -> Result<()> {
    let column = |name: &str| {
        batch
            .column_by_name(name)
            .ok_or_else(|| Error::damaged(id.to_string(), format!("column {name} is absent")))
    };
    let ids = column("sample_id")?.as_string::<i32>();
    let ints = |name: &str| Ok::<_, Error>(column(name)?.as_primitive::<Int32Type>());
    let (batches, sources) = (ints("batch")?, ints("source")?);
    let (blocks, indexes) = (ints("block")?, ints("index_in_block")?);
    let karyotype = column("ploidy_x")?.as_string::<i32>();
    let mut counts = Vec::new();
    for name in SAMPLE_COUNTS {
        counts.push(column(name)?.as_primitive::<Int64Type>());
    }
    for row in 0..batch.num_rows() {
        let index_in_block = u32::try_from(indexes.value(row)).map_err(|_| {
            Error::damaged(
                id.to_string(),
                format!("row {row}: index_in_block is negative"),
            )
        })?;
        let mut values = [0; SAMPLE_COUNTS.len()];
        for (value, column) in values.iter_mut().zip(&counts) {
            *value = column.value(row);
        }
        let parsed = SampleRow {
            name: 0,
            batch: batches.value(row),
            source: sources.value(row),
            block: blocks.value(row),
            index_in_block,
            counts: values,
            karyotype: karyotype
                .is_valid(row)
                .then(|| karyotype.value(row).to_owned()),
        };
        rows.push((ids.value(row).to_owned(), parsed));
    }
    Ok(())
}

/// Every block of the state with all of its samples.
fn blocks_of(
    dataset: &str,
    state: &DatasetState,
    rows: &[SampleRow],
) -> Result<Vec<(i32, Arc<[u32]>)>> {
    let mut blocks: BTreeMap<i32, Vec<u32>> = state
        .blocks
        .iter()
        .map(|b| (b.block, vec![HIDDEN; b.n_samples as usize]))
        .collect();
    for row in rows {
        let place = blocks
            .get_mut(&row.block)
            .and_then(|samples| samples.get_mut(row.index_in_block as usize))
            .ok_or_else(|| {
                let what = format!(
                    "block {} has no place {} for a sample",
                    row.block, row.index_in_block
                );
                Error::damaged(format!("{dataset}/samples"), what)
            })?;
        *place = row.name;
    }
    for (block, samples) in &blocks {
        if let Some(place) = samples.iter().position(|&s| s == HIDDEN) {
            let what = format!("block {block} has no sample at place {place}");
            return Err(Error::damaged(format!("{dataset}/samples"), what));
        }
    }
    Ok(blocks
        .into_iter()
        .map(|(block, samples)| (block, samples.into()))
        .collect())
}

/// Batches whose inputs do not all have the same blocks.
fn self_merging(rows: &[SampleRow]) -> BTreeSet<u32> {
    let mut blocks: BTreeMap<i32, BTreeMap<i32, BTreeSet<i32>>> = BTreeMap::new();
    for row in rows {
        blocks
            .entry(row.batch)
            .or_default()
            .entry(row.source)
            .or_default()
            .insert(row.block);
    }
    blocks
        .into_iter()
        .filter(|(_, sources)| sources.values().collect::<BTreeSet<_>>().len() > 1)
        .filter_map(|(batch, _)| u32::try_from(batch).ok())
        .collect()
}

/// A dataset through the eyes of one access context.
#[derive(Debug)]
pub(crate) struct DatasetView {
    pub(crate) data: Arc<Dataset>,
    pub(crate) access: AccessContext,
    /// The visible samples.
    pub(crate) directory: Arc<SampleDirectory>,
    /// [`AccessContext::names_samples`] of this dataset.
    names_samples: bool,
    /// Every block of the dataset in ascending number, visible or not.
    pub(crate) blocks: Vec<BlockView>,
    /// True when every sample of every block is visible.
    pub(crate) sees_all: bool,
}

/// One block through the eyes of one access context.
#[derive(Debug)]
pub(crate) struct BlockView {
    pub(crate) block: i32,
    pub(crate) n_samples: u32,
    /// Visible samples.
    pub(crate) visible: SampleMask,
    /// Place in the directory; `None` when no sample is visible.
    pub(crate) ordinal: Option<u32>,
    /// For each sample its index in the directory, or [`HIDDEN`].
    pub(crate) directory_index: Arc<[u32]>,
    /// For each sample its index in [`Dataset::names`].
    pub(crate) names: Arc<[u32]>,
}

impl BlockView {
    /// True when every sample is visible.
    pub(crate) fn sees_all(&self) -> bool {
        self.visible.count_ones() == self.n_samples
    }
}

impl DatasetView {
    /// Applies an access context to a dataset.
    pub(crate) fn new(data: Arc<Dataset>, access: AccessContext) -> Result<Self> {
        let mut samples = Vec::new();
        let place_of: Vec<u32> = data
            .names
            .iter()
            .map(|name| {
                if !access.sees(&data.name, name) {
                    return HIDDEN;
                }
                samples.push(name.clone());
                u32::try_from(samples.len() - 1).unwrap_or(HIDDEN)
            })
            .collect();
        let mut directory = Vec::new();
        let mut blocks = Vec::new();
        for (block, names) in &data.blocks {
            blocks.push(block_view(*block, names, &place_of, &mut directory)?);
        }
        let sees_all = blocks.iter().all(BlockView::sees_all);
        let names_samples = access.names_samples(&data.name);
        let readers = names_samples.then(|| CellAccess::of(&access));
        let directory = SampleDirectory::register(samples, directory, readers);
        Ok(Self {
            names_samples,
            data,
            access,
            directory,
            blocks,
            sees_all,
        })
    }

    /// The samples whose names the session is told: all that it may see, or nobody.
    pub(crate) fn told_directory(&self) -> Arc<SampleDirectory> {
        match self.names_samples {
            true => Arc::clone(&self.directory),
            false => SampleDirectory::empty(),
        }
    }

    /// Whether the session is told that there is a sample of this name.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.names_samples && self.directory.index_of(name).is_some()
    }

    /// How many calls there are: of each batch its rows times its samples, or, where the rows of batches were put
    /// together, all times all.
    pub(crate) fn called(&self, sites: u64) -> u64 {
        let state = &self.data.state;
        let samples = |batch: &u32| -> u64 {
            let of_batch = |b: &&Block| u32::try_from(b.block >> 12) == Ok(*batch);
            let blocks = state.blocks.iter().filter(of_batch);
            blocks.map(|b| u64::from(b.n_samples)).sum()
        };
        let apart = state.batches.iter().map(|batch| batch.rows).sum::<u64>() == sites;
        match apart {
            true => state
                .batches
                .iter()
                .map(|batch| batch.rows.saturating_mul(samples(&batch.batch)))
                .fold(0_u64, u64::saturating_add),
            false => {
                let samples = u64::try_from(self.directory.samples.len()).unwrap_or(u64::MAX);
                sites.saturating_mul(samples)
            }
        }
    }

    /// About how many calls carry an ALT: by record, of the calls without a missing allele.
    pub(crate) fn carrying(&self) -> u64 {
        let carried = |row: &SampleRow| {
            let counts = SAMPLE_COUNTS.iter().zip(row.counts);
            let of = counts.filter(|(name, _)| ["n_het", "n_hom_alt"].contains(name));
            of.map(|(_, count)| count).sum::<i64>()
        };
        let all: i64 = self.data.sample_rows.iter().map(carried).sum();
        u64::try_from(all).unwrap_or(0)
    }

    /// The size of the files of a table, told to those who may read all of it.
    pub(crate) fn told_bytes(&self, table: &str, bytes: u64) -> Precision<usize> {
        let all = self.access.columns(&self.data.name, table) == Some(Columns::All);
        match all && self.sees_all && self.masked(table).is_empty() {
            true => usize::try_from(bytes).map_or(Precision::Absent, Precision::Exact),
            false => Precision::Absent,
        }
    }

    /// The blocks from `from` to `to`, both included.
    pub(crate) fn blocks_in(&self, from: i32, to: i32) -> &[BlockView] {
        let start = self.blocks.partition_point(|b| b.block < from);
        let end = self.blocks.partition_point(|b| b.block <= to);
        self.blocks.get(start..end).unwrap_or_default()
    }

    /// Columns of a table that read as NULL: those that the access context masks, and, where samples are hidden,
    /// those that were computed over all of them by somebody else: QUAL and INFO of `variants` and `n_singleton` of
    /// `samples`. A grant that names such a column itself vouches for it.
    pub(crate) fn masked(&self, table: &str) -> BTreeSet<String> {
        let name = &self.data.name;
        let mut masked: BTreeSet<String> =
            self.access.masked(name, table).map(str::to_owned).collect();
        if !self.sees_all {
            let info = self.data.state.info.iter().map(|def| def.column.as_str());
            let of_all: Vec<&str> = match table {
                "variants" => info.chain(["qual"]).collect(),
                "samples" => vec!["n_singleton"],
                _ => Vec::new(),
            };
            let unknown = |column: &&str| !self.access.vouches(name, table, column);
            masked.extend(of_all.into_iter().filter(unknown).map(str::to_owned));
        }
        masked
    }
}

fn block_view(
    block: i32,
    names: &Arc<[u32]>,
    place_of: &[u32],
    directory: &mut Vec<DirectoryBlock>,
) -> Result<BlockView> {
    let n_samples = u32::try_from(names.len())
        .map_err(|_| Error::Internal(format!("block {block} is too large")))?;
    let place = |name: &u32| place_of.get(*name as usize).copied().unwrap_or(HIDDEN);
    let directory_index: Arc<[u32]> = names.iter().map(place).collect();
    let seen = (0u32..)
        .zip(directory_index.iter())
        .filter(|(_, p)| **p != HIDDEN);
    let visible = SampleMask::from_indices(n_samples, seen.map(|(i, _)| i));
    let ordinal = if visible.count_ones() == 0 {
        None
    } else {
        let samples = directory_index
            .iter()
            .copied()
            .filter(|&p| p != HIDDEN)
            .collect();
        directory.push(DirectoryBlock { block, samples });
        u32::try_from(directory.len() - 1).ok()
    };
    Ok(BlockView {
        block,
        n_samples,
        visible,
        ordinal,
        directory_index,
        names: Arc::clone(names),
    })
}
