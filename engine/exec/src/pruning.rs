//! Filters to work: which partitions, files, row groups and pages of the site table a scan must read.
//!
//! Partitions and files are judged by the statistics of the Delta log, row groups by their footers, both while
//! planning, so that EXPLAIN tells of them; pages are judged by the page index when a file is read.
//!
//! What remains is cut into units of some [`UNIT_ROWS`] rows in the order of the genome and dealt to partitions as
//! consecutive runs, so partition after partition gives the same rows in the same order whatever their number.
//!
//! Files of different batches whose positions overlap are merged while reading (their rows may be one variant):
//! ```text
//!   pos_bin chr22:0     batch 0  [--file a--][--file b--]
//!                       batch 1          [--file c--]            [-file d-]
//!   components           ^-------- a b c: merge --------^         ^d alone: straight pass
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, UInt64Array, new_null_array,
};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::common::pruning::PruningStatistics;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use datafusion::prelude::Column;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use genokura_core::contig::POS_BIN_SHIFT;
use genokura_core::schema::site_schema;
use genokura_storage::{DataFile, FileReader, ScalarStat, TableSnapshot};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::file::metadata::RowGroupMetaData;

use crate::dataset::Dataset;
use crate::error::Result;
use crate::plain::scalar_of;
use crate::predicate::Predicate;
use crate::spec::{FilePart, PruneReport, Unit};

/// Rows of the smallest piece of work; a multiple of it is a window of the genotype table.
pub(crate) const UNIT_ROWS: usize = 16_384;
/// Rows of a unit that is merged, roughly.
const MERGE_UNIT_ROWS: usize = 65_536;
/// Footers that planning reads at once.
const FOOTERS_AT_ONCE: usize = 16;
/// The bin of all short contigs.
const OTHER_BIN: &str = genokura_core::contig::OTHER_BIN;

/// The work of a scan.
#[derive(Debug)]
pub(crate) struct Work {
    /// Units per partition; never empty, though a partition may be.
    pub(crate) partitions: Vec<Vec<Unit>>,
    pub(crate) report: PruneReport,
}

/// Filters of a scan as the site table is judged by them.
pub(crate) struct SiteFilters<'a> {
    /// On columns in which all rows of one variant agree; prune every file.
    pub(crate) key: &'a [Predicate],
    /// On columns of single rows; prune only files that nothing is merged with.
    pub(crate) row: &'a [Predicate],
}

/// Plans which rows are read by whom.
pub(crate) async fn plan(
    data: &Dataset,
    filters: &SiteFilters<'_>,
    partitions: usize,
) -> Result<Work> {
    let partitions = partitions.max(1);
    let Some(table) = &data.site else {
        let report = PruneReport {
            rows_exact: true,
            ..PruneReport::default()
        };
        return Ok(Work {
            partitions: vec![Vec::new()],
            report,
        });
    };
    let schema = site_schema(&data.state.info);
    let judge = Judge::new(filters, &schema)?;
    let kept = judge.files(table);
    let components = components(data, table, &kept);
    let mut report = files_report(table, &kept);
    report.rows_exact = components.iter().all(|c| !c.merge);
    let mut footers = open_all(data, table, &components).await?;
    let mut units = Vec::new();
    for component in &components {
        let groups = judge.row_groups(table, component, &mut footers, &mut report)?;
        units.extend(if component.merge {
            merge_units(table, component, &groups, &footers)
        } else {
            straight_units(component, &groups)
        });
    }
    report.rows = units
        .iter()
        .flat_map(|u| &u.streams)
        .flatten()
        .map(|p| p.rows() as u64)
        .sum();
    Ok(Work {
        partitions: deal(units, partitions),
        report,
    })
}

/// Predicates bound to the site schema and ready to judge statistics.
struct Judge {
    schema: SchemaRef,
    key: Option<PruningPredicate>,
    all: Option<PruningPredicate>,
}

impl Judge {
    fn new(filters: &SiteFilters<'_>, schema: &SchemaRef) -> Result<Self> {
        let all: Vec<Predicate> = filters.key.iter().chain(filters.row).cloned().collect();
        Ok(Self {
            schema: Arc::clone(schema),
            key: pruning_predicate(filters.key, schema)?,
            all: pruning_predicate(&all, schema)?,
        })
    }

    /// Files that may hold rows of the result. Whole files are judged by key columns only: whether a
    /// file is merged is not known before.
    fn files(&self, table: &TableSnapshot) -> Vec<usize> {
        let all = 0..table.files.len();
        let Some(predicate) = &self.key else {
            return all.collect();
        };
        let statistics = FilesStatistics {
            files: &table.files,
            schema: &self.schema,
        };
        match predicate.prune(&statistics) {
            Ok(keep) => all
                .zip(keep)
                .filter_map(|(file, keep)| keep.then_some(file))
                .collect(),
            Err(_) => all.collect(),
        }
    }

    /// Per file of a component the row groups that may hold rows of the result, with their rows.
    fn row_groups(
        &self,
        table: &TableSnapshot,
        component: &Component,
        footers: &mut HashMap<usize, FileReader>,
        report: &mut PruneReport,
    ) -> Result<Vec<FileGroups>> {
        let predicate = if component.merge {
            &self.key
        } else {
            &self.all
        };
        let mut files = Vec::new();
        for &file in &component.files {
            let Some(reader) = footers.get(&file) else {
                continue;
            };
            let groups = reader.metadata().row_groups();
            let keep = match predicate {
                Some(p) => p
                    .prune(&GroupStatistics {
                        reader,
                        groups,
                        schema: &self.schema,
                    })
                    .unwrap_or_else(|_| vec![true; groups.len()]),
                None => vec![true; groups.len()],
            };
            let rows = |i: usize| groups.get(i).map_or(0, rows_of);
            let kept: Vec<_> = (0..groups.len())
                .filter(|&i| keep[i])
                .map(|i| (i, rows(i)))
                .collect();
            report.row_groups_total += groups.len();
            report.row_groups += kept.len();
            files.push(FileGroups {
                file,
                batch: batch_of(table, file),
                groups: kept,
            });
        }
        Ok(files)
    }
}

/// Which row groups of a file may hold rows that a predicate on site columns is true of.
pub(crate) fn groups_left(predicate: &PruningPredicate, reader: &FileReader) -> Vec<bool> {
    let groups = reader.metadata().row_groups();
    let schema = predicate.schema();
    let statistics = GroupStatistics {
        reader,
        groups,
        schema,
    };
    // Statistics that cannot be judged leave everything.
    predicate
        .prune(&statistics)
        .unwrap_or_else(|_| vec![true; groups.len()])
}

struct FileGroups {
    file: usize,
    batch: Option<i64>,
    /// Row group and its rows.
    groups: Vec<(usize, usize)>,
}

fn rows_of(group: &RowGroupMetaData) -> usize {
    usize::try_from(group.num_rows()).unwrap_or_default()
}

/// The predicates as one pruning predicate; `None` when they can judge no statistics.
fn pruning_predicate(
    predicates: &[Predicate],
    schema: &SchemaRef,
) -> Result<Option<PruningPredicate>> {
    let Some(expr) = bind(predicates, schema)? else {
        return Ok(None);
    };
    let built = PruningPredicateBuilder::new()
        .with_file_schema(Arc::clone(schema))
        .try_build(expr)?;
    Ok((!built.always_true()).then_some(built))
}

/// The conjunction of predicates over a schema; `None` of none.
pub(crate) fn bind(
    predicates: &[Predicate],
    schema: &SchemaRef,
) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    if predicates.is_empty() {
        return Ok(None);
    }
    let bound = predicates
        .iter()
        .map(|p| p.to_physical(schema))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Some(conjunction(bound)))
}

/// Batch number of a file's rows; `None` when its statistics do not tell.
fn batch_of(table: &TableSnapshot, file: usize) -> Option<i64> {
    let (min, max) = table.files.get(file)?.stats.int_range("vid")?;
    (min >> 40 == max >> 40).then_some(min >> 40)
}

fn files_report(table: &TableSnapshot, kept: &[usize]) -> PruneReport {
    let bins = |files: &mut dyn Iterator<Item = &DataFile>| {
        files
            .map(|f| f.pos_bin.as_deref())
            .collect::<BTreeSet<_>>()
            .len()
    };
    PruneReport {
        bins_total: bins(&mut table.files.iter()),
        bins: bins(&mut kept.iter().filter_map(|&i| table.files.get(i))),
        files_total: table.files.len(),
        files: kept.len(),
        ..PruneReport::default()
    }
}

/// Files of one bin whose positions overlap, in the order of the genome.
#[derive(Debug)]
struct Component {
    files: Vec<usize>,
    merge: bool,
    /// True when every row is of one contig, so that position alone orders them.
    one_contig: bool,
}

/// Groups files into components, bins in the order of contigs and positions.
fn components(data: &Dataset, table: &TableSnapshot, kept: &[usize]) -> Vec<Component> {
    let mut bins: BTreeMap<BinKey<'_>, Vec<usize>> = BTreeMap::new();
    for &file in kept {
        if let Some(f) = table.files.get(file) {
            bins.entry(BinKey::of(data, f.pos_bin.as_deref()))
                .or_default()
                .push(file);
        }
    }
    let mut found = Vec::new();
    for (bin, files) in bins {
        let sets = if bin.one_contig {
            overlapping(table, files)
        } else {
            vec![files]
        };
        for mut files in sets {
            let merge = needs_merge(data, table, &files);
            files.sort_by_key(|&f| table.files.get(f).and_then(|f| f.stats.int_range("vid")));
            found.push(Component {
                files,
                merge,
                one_contig: bin.one_contig,
            });
        }
    }
    found
}

/// Order of the partitions: contigs as the dataset orders them, `other` last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct BinKey<'a> {
    rank: u32,
    number: u32,
    one_contig: bool,
    name: Option<&'a str>,
}

impl<'a> BinKey<'a> {
    fn of(data: &Dataset, bin: Option<&'a str>) -> Self {
        let split = bin
            .filter(|b| *b != OTHER_BIN)
            .and_then(|b| b.rsplit_once(':'));
        match split.and_then(|(contig, number)| Some((contig, number.parse().ok()?))) {
            Some((contig, number)) => Self {
                rank: data.rank_of(contig),
                number,
                one_contig: true,
                name: bin,
            },
            None => Self {
                rank: u32::MAX,
                number: 0,
                one_contig: false,
                name: bin,
            },
        }
    }
}

/// Sets of files whose closed position ranges touch, in rising order.
fn overlapping(table: &TableSnapshot, files: Vec<usize>) -> Vec<Vec<usize>> {
    let range = |file: usize| {
        let stats = table.files.get(file).map(|f| &f.stats);
        stats
            .and_then(|s| s.int_range("pos"))
            .unwrap_or((i64::MIN, i64::MAX))
    };
    let mut files: Vec<_> = files.into_iter().map(|f| (range(f), f)).collect();
    files.sort_unstable();
    let mut sets: Vec<Vec<usize>> = Vec::new();
    let mut reach = i64::MIN;
    for ((start, end), file) in files {
        match sets.last_mut() {
            Some(set) if start <= reach => set.push(file),
            _ => sets.push(vec![file]),
        }
        reach = reach.max(end);
    }
    sets
}

fn needs_merge(data: &Dataset, table: &TableSnapshot, files: &[usize]) -> bool {
    let batches: BTreeSet<_> = files.iter().map(|&f| batch_of(table, f)).collect();
    batches.len() > 1
        || batches.iter().any(|batch| match batch.map(u32::try_from) {
            Some(Ok(batch)) => data.self_merging.contains(&batch),
            _ => true,
        })
}

async fn open_all(
    data: &Dataset,
    table: &TableSnapshot,
    components: &[Component],
) -> Result<HashMap<usize, FileReader>> {
    let mut opening = Vec::new();
    for &place in components.iter().flat_map(|c| &c.files) {
        if let Some(file) = table.files.get(place) {
            opening.push(open(data, place, file));
        }
    }
    stream::iter(opening)
        .buffer_unordered(FOOTERS_AT_ONCE)
        .try_collect()
        .await
}

async fn open(data: &Dataset, place: usize, file: &DataFile) -> Result<(usize, FileReader)> {
    Ok((place, FileReader::open(data.lake(), file).await?))
}

/// One unit per [`UNIT_ROWS`] rows of each row group.
fn straight_units(_component: &Component, files: &[FileGroups]) -> Vec<Unit> {
    let mut units = Vec::new();
    for file in files {
        for &(group, rows) in &file.groups {
            for start in (0..rows).step_by(UNIT_ROWS) {
                let end = rows.min(start + UNIT_ROWS);
                let part = FilePart {
                    file: file.file,
                    row_groups: vec![(group, start, end)],
                };
                units.push(Unit {
                    streams: vec![vec![part]],
                    merge: false,
                    positions: None,
                });
            }
        }
    }
    units
}

/// Units that are merged: stretches of positions between the first positions of row groups.
fn merge_units(
    table: &TableSnapshot,
    component: &Component,
    files: &[FileGroups],
    footers: &HashMap<usize, FileReader>,
) -> Vec<Unit> {
    let spans = component
        .one_contig
        .then(|| group_spans(files, footers))
        .flatten();
    let Some(spans) = spans else {
        return vec![Unit {
            streams: streams(files, |_, _| true),
            merge: true,
            positions: None,
        }];
    };
    let cuts = cuts(&spans);
    let ranges = cuts.windows(2).map(|pair| pair[0]..pair[1]);
    ranges
        .map(|range| {
            let keep = |file, group| {
                let span: &Range<i32> = &spans[&(file, group)].0;
                span.start < range.end && range.start < span.end
            };
            let positions = Some((range.start, range.end));
            Unit {
                streams: streams(files, keep),
                merge: true,
                positions,
            }
        })
        .filter(|unit| !unit.streams.is_empty() && !table.files.is_empty())
        .collect()
}

/// Positions (half-open) and rows of each row group; `None` when one is not known.
type Spans = BTreeMap<(usize, usize), (Range<i32>, usize)>;

fn group_spans(files: &[FileGroups], footers: &HashMap<usize, FileReader>) -> Option<Spans> {
    let mut spans = Spans::new();
    for file in files {
        let reader = footers.get(&file.file)?;
        let all: Vec<_> = reader.row_groups().map(|g| g.int_range("pos")).collect();
        for &(group, rows) in &file.groups {
            let (min, max) = (*all.get(group)?)?;
            let end = i32::try_from(max).ok()?.checked_add(1)?;
            spans.insert((file.file, group), (i32::try_from(min).ok()?..end, rows));
        }
    }
    Some(spans)
}

/// Positions at which units begin, and the end of the last: some [`MERGE_UNIT_ROWS`] rows apart.
fn cuts(spans: &Spans) -> Vec<i32> {
    let mut starts: Vec<(i32, usize)> = spans
        .values()
        .map(|(span, rows)| (span.start, *rows))
        .collect();
    starts.sort_unstable();
    let end = spans.values().map(|(span, _)| span.end).max();
    let mut cuts = Vec::new();
    let mut rows_since = 0;
    for (start, rows) in starts {
        if cuts
            .last()
            .is_none_or(|&last| rows_since >= MERGE_UNIT_ROWS && start > last)
        {
            cuts.push(start);
            rows_since = 0;
        }
        rows_since += rows;
    }
    cuts.extend(end);
    cuts
}

/// One stream per batch: its files one after the other.
fn streams(files: &[FileGroups], keep: impl Fn(usize, usize) -> bool) -> Vec<Vec<FilePart>> {
    let mut streams: BTreeMap<(Option<i64>, usize), Vec<FilePart>> = BTreeMap::new();
    for file in files {
        let kept = file
            .groups
            .iter()
            .filter(|(group, _)| keep(file.file, *group));
        let row_groups: Vec<_> = kept.map(|&(group, rows)| (group, 0, rows)).collect();
        if row_groups.is_empty() {
            continue;
        }
        // A file of an unknown batch is a stream of its own.
        let key = (file.batch, if file.batch.is_some() { 0 } else { file.file });
        streams.entry(key).or_default().push(FilePart {
            file: file.file,
            row_groups,
        });
    }
    streams.into_values().collect()
}

/// Deals units to partitions in consecutive runs of about equal rows and joins neighbours in a file.
fn deal(units: Vec<Unit>, partitions: usize) -> Vec<Vec<Unit>> {
    let rows = |unit: &Unit| {
        unit.streams
            .iter()
            .flatten()
            .map(FilePart::rows)
            .sum::<usize>()
    };
    let total: usize = units.iter().map(rows).sum();
    let count = partitions.min(units.len()).max(1);
    let mut dealt: Vec<Vec<Unit>> = vec![Vec::new(); count];
    let mut before = 0;
    for unit in units {
        let rows = rows(&unit);
        // The partition in which the middle of the unit falls.
        let place = ((before + rows / 2) * count)
            .checked_div(total)
            .unwrap_or(0)
            .min(count - 1);
        before += rows;
        push_unit(&mut dealt[place], unit);
    }
    dealt
}

fn push_unit(units: &mut Vec<Unit>, unit: Unit) {
    if let (Some(last), false) = (units.last_mut(), unit.merge)
        && !last.merge
        && let (Some([left]), Some([right])) =
            (only_stream(last), unit.streams.first().map(Vec::as_slice))
        && left.file == right.file
    {
        join(left, right);
        return;
    }
    units.push(unit);
}

fn only_stream(unit: &mut Unit) -> Option<&mut [FilePart]> {
    unit.streams.first_mut().map(Vec::as_mut_slice)
}

fn join(left: &mut FilePart, right: &FilePart) {
    for &(group, start, end) in &right.row_groups {
        match left.row_groups.last_mut() {
            Some((last, _, last_end)) if *last == group && *last_end == start => *last_end = end,
            _ => left.row_groups.push((group, start, end)),
        }
    }
}

/// Statistics of files by the Delta log and by their partition.
struct FilesStatistics<'a> {
    files: &'a [DataFile],
    schema: &'a SchemaRef,
}

impl FilesStatistics<'_> {
    fn bounds(
        &self,
        column: &Column,
        bound: impl Fn(&DataFile, &str) -> Option<ScalarStat>,
    ) -> Option<ArrayRef> {
        let field = self.schema.field_with_name(&column.name).ok()?;
        let null = ScalarValue::try_from(field.data_type()).ok()?;
        let value = |file: &DataFile| {
            bound(file, &column.name)
                .and_then(|stat| scalar_of(&stat, field.data_type()))
                .unwrap_or_else(|| null.clone())
        };
        ScalarValue::iter_to_array(self.files.iter().map(value)).ok()
    }
}

/// What the name of a bin tells of its rows: the contig and the positions.
fn bin_bounds(file: &DataFile, column: &str) -> Option<(ScalarStat, ScalarStat)> {
    let (contig, number) = file.pos_bin.as_deref()?.rsplit_once(':')?;
    let number: i64 = number.parse().ok()?;
    match column {
        "contig" => Some((
            ScalarStat::Text(contig.to_owned()),
            ScalarStat::Text(contig.to_owned()),
        )),
        "pos" => {
            let start = number << POS_BIN_SHIFT;
            let end = ((number + 1) << POS_BIN_SHIFT) - 1;
            Some((
                ScalarStat::Int(start),
                ScalarStat::Int(end.min(i64::from(i32::MAX))),
            ))
        }
        _ => None,
    }
}

impl PruningStatistics for FilesStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |file, name| {
            let logged = file.stats.column(name).and_then(|s| s.min.clone());
            logged.or_else(|| bin_bounds(file, name).map(|(min, _)| min))
        })
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        let greatest = self.bounds(column, |file, name| {
            let logged = file.stats.column(name).and_then(|s| s.max.clone());
            logged.or_else(|| bin_bounds(file, name).map(|(_, max)| max))
        });
        greatest.map(with_nan)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let nulls = self
            .files
            .iter()
            .map(|f| f.stats.column(&column.name)?.null_count);
        Some(Arc::new(nulls.collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(
            self.files
                .iter()
                .map(|f| Some(f.rows))
                .collect::<UInt64Array>(),
        ))
    }

    fn contained(
        &self,
        _column: &Column,
        _values: &std::collections::HashSet<ScalarValue>,
    ) -> Option<BooleanArray> {
        None
    }
}

/// The greatest values that statistics tell: they leave NaN out, which is greater than all floats and may be there.
fn with_nan(greatest: ArrayRef) -> ArrayRef {
    let rows = greatest.len();
    match greatest.data_type() {
        DataType::Float64 => Arc::new(Float64Array::from_value(f64::NAN, rows)),
        DataType::Float32 => Arc::new(Float32Array::from_value(f32::NAN, rows)),
        _ => greatest,
    }
}

/// Statistics of the row groups of one file.
struct GroupStatistics<'a> {
    reader: &'a FileReader,
    groups: &'a [RowGroupMetaData],
    schema: &'a SchemaRef,
}

impl GroupStatistics<'_> {
    fn converter(&self, column: &Column) -> Option<StatisticsConverter<'_>> {
        let descriptor = self.reader.metadata().file_metadata().schema_descr();
        StatisticsConverter::try_new(&column.name, self.reader.schema(), descriptor).ok()
    }

    /// The values as the site schema types them; all NULL for a column that the file lacks.
    fn typed(
        &self,
        column: &Column,
        values: impl Fn(&StatisticsConverter<'_>) -> Option<ArrayRef>,
    ) -> Option<ArrayRef> {
        let field = self.schema.field_with_name(&column.name).ok()?;
        if self.reader.schema().field_with_name(&column.name).is_err() {
            return Some(new_null_array(field.data_type(), self.groups.len()));
        }
        let found = values(&self.converter(column)?)?;
        if found.data_type() == field.data_type() {
            return Some(found);
        }
        arrow::compute::cast(&found, field.data_type()).ok()
    }
}

impl PruningStatistics for GroupStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.typed(column, |c| c.row_group_mins(self.groups).ok())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        let greatest = self.typed(column, |c| c.row_group_maxes(self.groups).ok());
        greatest.map(with_nan)
    }

    fn num_containers(&self) -> usize {
        self.groups.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        if self.reader.schema().field_with_name(&column.name).is_err() {
            return self.row_counts();
        }
        let counts = self
            .converter(column)?
            .row_group_null_counts(self.groups)
            .ok()?;
        Some(Arc::new(counts))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let rows = self.groups.iter().map(|g| Some(rows_of(g) as u64));
        Some(Arc::new(rows.collect::<UInt64Array>()))
    }

    fn contained(
        &self,
        _column: &Column,
        _values: &std::collections::HashSet<ScalarValue>,
    ) -> Option<BooleanArray> {
        None
    }
}
