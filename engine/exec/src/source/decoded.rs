//! Columns of stretches of the site table as they were decoded last, shared by all scans of the process.
//!
//! A stretch is 8,192 rows of a row group, about a page. Who looks at a gene asks about it again: the second scan that
//! reads a stretch decodes all rows of the columns that it needs and keeps them, and later ones cut their rows out of
//! memory, without a page or a decompressor. A scan of many rows takes so much from here and then goes to the files:
//! it would push out what others come back for. So does a scan with a LIMIT, which wants few rows at once.
//!
//! Files are never changed under their name, so what was decoded stays true. Nobody's access is judged here: stretches
//! are what files hold, and scans show of them what a session may see.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use futures::StreamExt as _;
use genokura_storage::{ByteCache, FileReader, ReadPlan, RowGroup};
use object_store::path::Path;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use crate::error::Result;

/// Rows of a stretch; the last of a row group may have fewer.
const ROWS: usize = 8_192;
/// Bytes of all stretches.
const BYTES_MAX: usize = 64 << 20;
/// Bytes of one of them; a larger one would push out too many others.
const STRETCH_BYTES_MAX: usize = 2 << 20;
/// Rows that a partition of a scan may ask for here.
const SCAN_ROWS_MAX: usize = 131_072;

/// How many more rows a partition of a scan may have from here.
pub(crate) struct Allowance(AtomicUsize);

impl Allowance {
    /// That of a scan with this LIMIT.
    pub(crate) fn new(limit: Option<usize>) -> Self {
        Self(AtomicUsize::new(limit.map_or(SCAN_ROWS_MAX, |_| 0)))
    }

    /// Takes these rows of it, if it has them.
    fn take(&self, rows: usize) -> bool {
        let left = |left: usize| left.checked_sub(rows);
        let order = Ordering::Relaxed;
        self.0.fetch_update(order, order, left).is_ok()
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    path: Path,
    group: usize,
    stretch: usize,
}

/// What is known of a stretch: nothing after its first use.
#[derive(Default)]
struct Stretch {
    columns: BTreeMap<String, ArrayRef>,
    /// The columns asked for were too large to be kept.
    refused: bool,
}

impl Stretch {
    fn has(&self, field: &Field) -> bool {
        let column = self.columns.get(field.name());
        column.is_some_and(|column| column.data_type() == field.data_type())
    }

    /// What a cache says of its size: never nothing, so that the number of stretches is bounded too.
    fn bytes(&self) -> usize {
        let columns = self.columns.values();
        let bytes: usize = columns.map(|column| column.get_array_memory_size()).sum();
        size_of::<Key>() + size_of::<Self>() + 128 + bytes
    }
}

static STRETCHES: LazyLock<ByteCache<Key, Arc<Stretch>>> =
    LazyLock::new(|| ByteCache::new(BYTES_MAX));

/// The rows of a row group that a plan leaves, rising.
pub(crate) fn rows_left(access: Option<&RowGroupAccess>, rows: usize) -> Vec<Range<usize>> {
    match access {
        None | Some(RowGroupAccess::Skip) => Vec::new(),
        Some(RowGroupAccess::Scan) => std::iter::once(0..rows).collect(),
        Some(RowGroupAccess::Selection(selection)) => {
            let mut at = 0;
            let mut left = Vec::new();
            for selector in selection.iter() {
                let next = at + selector.row_count;
                if !selector.skip {
                    left.push(at..next);
                }
                at = next;
            }
            left
        }
    }
}

/// Rows of some columns, cut out of stretches.
pub(super) struct Cut {
    stretches: Vec<(RecordBatch, Range<usize>)>,
}

impl Cut {
    /// The rows in batches of at most this many.
    pub(super) fn batches(self, size: usize) -> impl Iterator<Item = RecordBatch> {
        let size = size.max(1);
        self.stretches.into_iter().flat_map(move |(batch, rows)| {
            let end = rows.end;
            rows.step_by(size)
                .map(move |start| batch.slice(start, size.min(end - start)))
        })
    }
}

/// The rows that a plan leaves of a file, in these columns; `None` when the file is to be read for them.
///
/// # Errors
/// What reading the file fails with.
pub(super) async fn cut(
    reader: &FileReader,
    schema: &SchemaRef,
    access: &ParquetAccessPlan,
    allowance: &Allowance,
) -> Result<Option<Cut>> {
    let groups: Vec<RowGroup<'_>> = reader.row_groups().collect();
    let mut wanted = Vec::new();
    let mut rows = 0;
    for group in &groups {
        let of_group = usize::try_from(group.rows()).unwrap_or(usize::MAX);
        let left = rows_left(access.inner().get(group.index), of_group);
        rows += left.iter().map(ExactSizeIterator::len).sum::<usize>();
        if !left.is_empty() {
            wanted.push((group, by_stretch(&left)));
        }
    }
    if !allowance.take(rows) {
        return Ok(None);
    }
    let mut first_use = false;
    for (group, pieces) in &wanted {
        for stretch in pieces.keys() {
            let key = key(reader, group, *stretch);
            match STRETCHES.get(&key) {
                Some(known) if known.refused => return Ok(None),
                Some(_) => {}
                None => {
                    first_use = true;
                    let unknown = Arc::new(Stretch::default());
                    let bytes = unknown.bytes();
                    STRETCHES.put(key, unknown, bytes);
                }
            }
        }
    }
    if first_use {
        return Ok(None);
    }
    let mut stretches = Vec::new();
    for (group, pieces) in wanted {
        let numbers: Vec<usize> = pieces.keys().copied().collect();
        let Some(known) = known(reader, group, schema, &numbers).await? else {
            return Ok(None);
        };
        for (stretch, pieces) in known.iter().zip(pieces.into_values()) {
            let Some(batch) = batch_of(stretch, schema)? else {
                return Ok(None);
            };
            stretches.extend(pieces.into_iter().map(|rows| (batch.clone(), rows)));
        }
    }
    Ok(Some(Cut { stretches }))
}

/// Whether all columns of a schema are kept of the stretches that hold these rows of a row group.
pub(crate) fn is_kept(
    reader: &FileReader,
    group: usize,
    schema: &SchemaRef,
    rows: &[Range<usize>],
) -> bool {
    let group = reader.row_groups().find(|other| other.index == group);
    group.is_some_and(|group| {
        by_stretch(rows).into_keys().all(|stretch| {
            let kept = STRETCHES.get(&key(reader, &group, stretch));
            kept.is_some_and(|kept| schema.fields().iter().all(|field| kept.has(field)))
        })
    })
}

/// Rows of a row group by the number of their stretch, counted from its first row.
fn by_stretch(rows: &[Range<usize>]) -> BTreeMap<usize, Vec<Range<usize>>> {
    let mut pieces: BTreeMap<usize, Vec<Range<usize>>> = BTreeMap::new();
    for range in rows {
        let mut start = range.start;
        while start < range.end {
            let stretch = start / ROWS;
            let end = range.end.min((stretch + 1) * ROWS);
            let offset = stretch * ROWS;
            let piece = start - offset..end - offset;
            pieces.entry(stretch).or_default().push(piece);
            start = end;
        }
    }
    pieces
}

fn key(reader: &FileReader, group: &RowGroup<'_>, stretch: usize) -> Key {
    Key {
        path: reader.path().clone(),
        group: group.index,
        stretch,
    }
}

/// These stretches of a row group with all columns of a schema, decoded where they were not; `None` when they are too
/// large to be kept.
async fn known(
    reader: &FileReader,
    group: &RowGroup<'_>,
    schema: &SchemaRef,
    numbers: &[usize],
) -> Result<Option<Vec<Arc<Stretch>>>> {
    let kept = |number: &usize| {
        STRETCHES
            .get(&key(reader, group, *number))
            .unwrap_or_default()
    };
    let mut stretches: Vec<Arc<Stretch>> = numbers.iter().map(kept).collect();
    let lacks = |stretch: &Stretch| schema.fields().iter().any(|field| !stretch.has(field));
    let missing: Vec<usize> = (0..stretches.len())
        .filter(|&place| stretches.get(place).is_some_and(|s| lacks(s)))
        .collect();
    if missing.is_empty() {
        return Ok(Some(stretches));
    }
    let fields = schema.fields().iter().filter(|field| {
        let has = |place: &usize| stretches.get(*place).is_some_and(|s| s.has(field));
        !missing.iter().all(has)
    });
    let fields = Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()));
    let rows = usize::try_from(group.rows()).unwrap_or(usize::MAX);
    let bytes: u64 = fields
        .fields()
        .iter()
        .map(|f| group.decoded_bytes(f.name()))
        .sum();
    let of_stretch = u128::from(bytes) * ROWS.min(rows) as u128 / rows.max(1) as u128;
    let refuse = |place: &usize| {
        if let Some(number) = numbers.get(*place) {
            let stretch = Stretch {
                refused: true,
                ..Stretch::default()
            };
            let bytes = stretch.bytes();
            STRETCHES.put(key(reader, group, *number), Arc::new(stretch), bytes);
        }
    };
    if of_stretch > STRETCH_BYTES_MAX as u128 {
        missing.iter().for_each(refuse);
        return Ok(None);
    }
    let ranges = missing.iter().filter_map(|place| numbers.get(*place));
    let ranges: Vec<Range<usize>> = ranges
        .map(|number| number * ROWS..rows.min((number + 1) * ROWS))
        .collect();
    let plan = ReadPlan {
        row_groups: Some(vec![group.index]),
        selection: Some(selection(&ranges, rows)),
        batch_size: ROWS.min(rows),
        ..ReadPlan::of(Arc::clone(&fields))
    };
    let mut stream = reader.read(plan)?;
    for (place, range) in missing.into_iter().zip(ranges) {
        let (Some(batch), Some(number), Some(stretch)) = (
            stream.next().await.transpose()?,
            numbers.get(place),
            stretches.get_mut(place),
        ) else {
            return Ok(None);
        };
        if batch.num_rows() != range.len() {
            return Ok(None);
        }
        let mut columns = stretch.columns.clone();
        let names = batch.schema();
        let names = names.fields().iter().map(|field| field.name().clone());
        columns.extend(names.zip(batch.columns().iter().cloned()));
        let with_these = Stretch {
            columns,
            refused: false,
        };
        let bytes = with_these.bytes();
        if bytes > STRETCH_BYTES_MAX {
            refuse(&place);
            return Ok(None);
        }
        *stretch = Arc::new(with_these);
        STRETCHES.put(key(reader, group, *number), Arc::clone(stretch), bytes);
    }
    Ok(Some(stretches))
}

/// These ranges of the rows of a row group.
fn selection(ranges: &[Range<usize>], rows: usize) -> RowSelection {
    let mut selectors = Vec::with_capacity(2 * ranges.len() + 1);
    let mut at = 0;
    for range in ranges {
        selectors.push(RowSelector::skip(range.start - at));
        selectors.push(RowSelector::select(range.len()));
        at = range.end;
    }
    selectors.push(RowSelector::skip(rows - at));
    RowSelection::from(selectors)
}

/// All rows of a stretch in these columns; `None` when it lacks one.
fn batch_of(stretch: &Stretch, schema: &SchemaRef) -> Result<Option<RecordBatch>> {
    let column = |field: &Arc<Field>| stretch.columns.get(field.name()).cloned();
    let columns: Option<Vec<ArrayRef>> = schema.fields().iter().map(column).collect();
    let Some(columns) = columns else {
        return Ok(None);
    };
    let Some(rows) = columns.first().map(|column| column.len()) else {
        return Ok(None);
    };
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?;
    Ok(Some(batch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AccessContext;
    use crate::testing::{Fixture, Record, Shape, Source};
    use crate::tests::{metric, plan, run_plan, session, texts};

    /// Two files, each of row groups of more than a stretch.
    async fn cohort() -> Fixture {
        let genotypes = ["0/0", "0/1", "1/1"];
        let record = |pos: i32| {
            let gt = |s: i32| genotypes[usize::try_from((pos / s) % 3).unwrap_or_default()];
            Record::new("chr2", pos, &["C"], &[gt(1), gt(7)])
        };
        let source = Source::new(&["S1", "S2"], (1..=40_000).map(record).collect());
        let shape = Shape {
            window: 4_096,
            site_rows: 20_000,
            page_rows: 1_000,
            file_rows: 25_000,
            ..Shape::default()
        };
        Fixture::of(shape, vec![vec![source]]).await
    }

    /// Files are read for the first two uses and never again; a hidden sample stays hidden.
    #[tokio::test]
    async fn what_was_decoded_gives_the_rows_that_files_give() {
        let fixture = cohort().await;
        let only_one = AccessContext::only("r", [("cohort".to_owned(), ["S2".to_owned()].into())]);
        for (access, region, columns, rows) in [
            (None, "pos BETWEEN 8000 AND 17000", "pos, ref, ac", 9_001),
            (
                None,
                "pos BETWEEN 8000 AND 17000",
                "pos, n_het, info_dp",
                9_001,
            ),
            (
                None,
                "pos BETWEEN 8100 AND 25100 AND info_dp % 7 = 3",
                "pos, af",
                2_429,
            ),
            (None, "pos = 19999", "pos, qual, filters, info_dp", 1),
            (
                Some(&only_one),
                "pos BETWEEN 19000 AND 24000",
                "pos, ac, gt",
                5_001,
            ),
            (None, "pos BETWEEN 39000 AND 50000", "pos, ac, gt", 1_001),
        ] {
            let sql =
                format!("SELECT {columns} FROM cohort.variants WHERE contig = 'chr2' AND {region}");
            let mut first = None;
            for (turn, (partitions, batch_size)) in [(1, 8_192), (2, 100), (1, 3), (8, 8_192)]
                .into_iter()
                .enumerate()
            {
                let access = access.cloned().unwrap_or_default();
                let ctx = session(&fixture, partitions, batch_size, access).await;
                let plan = plan(&ctx, &sql).await;
                let batches = run_plan(&ctx, Arc::clone(&plan)).await;
                assert!(batches.iter().all(|batch| batch.num_rows() <= batch_size));
                let found = texts(&batches);
                assert_eq!(found.len(), rows, "{sql}");
                assert_eq!(first.get_or_insert_with(|| found.clone()), &found, "{sql}");
                // Genotypes have a memory of their own.
                let bytes = metric(&plan, "bytes_scanned");
                let only_sites = metric(&plan, "genotype_rows_read") == 0;
                assert!(
                    turn < 2 || bytes == 0 || !only_sites,
                    "{bytes} bytes in turn {turn} of {sql}"
                );
            }
        }
    }

    /// Nothing is decoded for a LIMIT but its few rows.
    #[tokio::test]
    async fn a_limit_passes_by() {
        let fixture = cohort().await;
        let sql = "SELECT pos FROM cohort.variants LIMIT 3";
        for _ in 0..3 {
            let ctx = session(&fixture, 1, 8_192, AccessContext::default()).await;
            let plan = plan(&ctx, sql).await;
            assert_eq!(
                texts(&run_plan(&ctx, Arc::clone(&plan)).await),
                ["1", "2", "3"]
            );
            assert!(metric(&plan, "bytes_scanned") > 0);
        }
    }

    #[test]
    fn rows_are_dealt_to_their_stretches() {
        let pieces = by_stretch(&[10..20, ROWS - 5..ROWS + 5, 3 * ROWS..4 * ROWS]);
        let pieces = pieces.into_iter().flat_map(|(stretch, rows)| {
            let bounds = move |rows: Range<usize>| (stretch, rows.start, rows.end);
            rows.into_iter().map(bounds)
        });
        assert_eq!(
            pieces.collect::<Vec<_>>(),
            [(0, 10, 20), (0, ROWS - 5, ROWS), (1, 0, 5), (3, 0, ROWS)]
        );
    }

    #[test]
    fn a_partition_takes_no_more_than_it_may() {
        let allowance = Allowance::new(None);
        assert!(allowance.take(SCAN_ROWS_MAX - 1));
        assert!(!allowance.take(2));
        assert!(allowance.take(1));
        assert!(!Allowance::new(Some(5)).take(1));
    }

    #[test]
    fn a_selection_of_ranges_is_those_rows() {
        let selection = selection(&[2..4, 4..6, 9..10], 12);
        let left = rows_left(Some(&RowGroupAccess::Selection(selection)), 12);
        let rows: Vec<usize> = left.into_iter().flatten().collect();
        assert_eq!(rows, [2, 3, 4, 5, 9]);
    }
}
