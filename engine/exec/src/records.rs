//! Records: the rows of a dataset as the VCF records they came from, in the order of a VCF, as one
//! access context sees them. What exports read.
//!
//! [`Records`] is opened by [`crate::Engine::records`]. A [`RecordSet`] says which records are wanted:
//! [`Records::in_regions`] finds those of some regions, and a SQL predicate finds others through
//! [`Records::variants_table`], whose column [`RECORD_IDS`] names the records that the rows of a
//! variant stand in. A [`RecordReader`] then gives them in groups, genotypes and FORMAT arrays with
//! them, to be written on as many threads as there are.
//!
//! Samples that the session may not see do not occur. Masked columns read as absent. What INFO says
//! of the whole cohort in its own words (AF, DP, …) stands as the file had it, as in `variants`.

mod loaded;
mod set;
mod site;
mod stream;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::catalog::TableProvider;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use genokura_core::contig::is_long;
use genokura_core::interval::Interval;
use genokura_core::schema::{FieldDef, calls_columns};
use genokura_storage::{Contig, DatasetState, LakeSnapshot};

use crate::access::AccessContext;
use crate::dataset::DatasetView;
use crate::dynamic::DynamicFilters;
use crate::effects::INPUT_COLUMNS;
use crate::error::{Error, Result};
use crate::metrics::ScanMetrics;
use crate::plain::header_batches;
use crate::predicate::{Comparison, Literal, Predicate};
use crate::pruning::{SiteFilters, plan};
use crate::scan::{empty_table, read_schema};
use crate::session::Engine;
use crate::source::{Allowance, ReadContext, SiteSource, column};
use crate::spec::{FilePart, ScanKind, Unit};
use crate::table::{DatasetTable, RECORDS_COLUMN};

pub use loaded::{
    BlockSlots, Calls, InfoRows, LoadedRecords, Part, RecordReader, RecordView, Selection,
};
pub use set::RecordSet;
pub use site::SiteBatch;
use stream::RecordStream;

/// Column of [`Records::variants_table`] with the ids of the records of a variant (`bigint[]`).
pub const RECORD_IDS: &str = RECORDS_COLUMN;

/// Columns without which a record has no identity.
const IDENTITY: [&str; 8] = [
    "contig",
    "pos",
    "ref",
    "alt",
    "vcf_pos",
    "vcf_ref",
    "vcf_alts",
    "alt_index",
];

/// A line of a header that a dataset was ingested from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderLine {
    /// Batch and input of the batch.
    pub input: (i32, i32),
    /// Line in the input, from 1.
    pub line: i32,
    /// `INFO`, `contig`, `fileformat`, `CHROM`, …; empty when the line is not key=value.
    pub key: String,
    /// ID of a structured line.
    pub id: Option<String>,
    /// The whole line.
    pub text: String,
}

/// A header field with what the session may see of it.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) def: FieldDef,
    pub(crate) is_visible: bool,
}

/// Fields of a dataset and where their keys are.
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) info: Vec<Field>,
    pub(crate) format: Vec<Field>,
    info_index: HashMap<String, usize>,
    format_index: HashMap<String, usize>,
    gt_is_visible: bool,
}

impl Fields {
    fn of(view: &DatasetView) -> Self {
        let state = &view.data.state;
        let masked = view.masked("variants");
        let info: Vec<Field> = state
            .info
            .iter()
            .map(|def| Field {
                is_visible: !masked.contains(&def.column),
                def: def.clone(),
            })
            .collect();
        let masked = view.masked("calls");
        let mut names = calls_columns(&state.format).into_iter();
        let format: Vec<Field> = state
            .format
            .iter()
            .map(|def| {
                let name = match def.key.as_str() {
                    "GT" => Some("gt".to_owned()),
                    _ => names.next(),
                };
                Field {
                    is_visible: name.is_none_or(|name| !masked.contains(&name)),
                    def: def.clone(),
                }
            })
            .collect();
        let index = |fields: &[Field]| {
            let keys = fields.iter().enumerate();
            keys.map(|(i, field)| (field.def.key.clone(), i)).collect()
        };
        Self {
            info_index: index(&info),
            format_index: index(&format),
            gt_is_visible: !masked.contains("gt"),
            info,
            format,
        }
    }
}

/// The records of one dataset.
pub struct Records {
    pub(crate) view: Arc<DatasetView>,
    pub(crate) fields: Fields,
    pub(crate) merges: bool,
    /// Masked columns of `variants`.
    hidden: BTreeSet<String>,
    metrics: ScanMetrics,
    partitions: usize,
    batch_size: usize,
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = &self.view.data.name;
        f.debug_struct("Records")
            .field("dataset", name)
            .finish_non_exhaustive()
    }
}

/// Rows of the site table that follow each other, as far as a contig filter leaves them.
pub(crate) struct Run {
    units: Vec<Unit>,
    filters: Vec<Predicate>,
}

impl Engine {
    /// The records of a dataset of a snapshot as `access` may see them; `None` when there is no such
    /// dataset.
    ///
    /// # Errors
    /// [`Error::Masked`] when the session may not see what a record is known by.
    pub async fn records(
        &self,
        snapshot: &Arc<LakeSnapshot>,
        dataset: &str,
        access: &AccessContext,
    ) -> Result<Option<Arc<Records>>> {
        let Some(view) = self.view(snapshot, dataset, access).await? else {
            return Ok(None);
        };
        let of_variants = view.masked("variants");
        let masked = IDENTITY.iter().find(|name| of_variants.contains(**name));
        let masked = masked.copied().or_else(|| {
            let hidden = view.masked("calls").contains("sample_id");
            hidden.then_some("sample_id")
        });
        if let Some(column) = masked {
            return Err(Error::Masked { column });
        }
        Ok(Some(Arc::new(Records {
            fields: Fields::of(&view),
            merges: view.data.state.batches.len() > 1 || !view.data.self_merging.is_empty(),
            metrics: ScanMetrics::new(&ExecutionPlanMetricsSet::new(), 0),
            partitions: self.config().partitions,
            batch_size: self.config().batch_size,
            hidden: of_variants,
            view,
        })))
    }
}

impl Records {
    /// Contigs, fields and batches of the dataset.
    #[must_use]
    pub fn state(&self) -> &DatasetState {
        &self.view.data.state
    }

    /// Names of the visible samples, in order of first appearance.
    #[must_use]
    pub fn samples(&self) -> &[String] {
        &self.view.directory.samples
    }

    /// True when no sample of the dataset is hidden from the session.
    #[must_use]
    pub fn sees_all_samples(&self) -> bool {
        self.view.sees_all
    }

    /// True when the session may see the INFO or FORMAT key (or the dataset has none such).
    #[must_use]
    pub fn shows(&self, kind: &str, key: &str) -> bool {
        let (fields, index) = match kind {
            "INFO" => (&self.fields.info, &self.fields.info_index),
            "FORMAT" if key == "GT" => return self.fields.gt_is_visible,
            "FORMAT" => (&self.fields.format, &self.fields.format_index),
            _ => return true,
        };
        let found = index.get(key).and_then(|i| fields.get(*i));
        found.is_none_or(|field| field.is_visible)
    }

    /// `variants` of the dataset with one column more, [`RECORD_IDS`].
    #[must_use]
    pub fn variants_table(&self) -> Arc<dyn TableProvider> {
        let view = Arc::clone(&self.view);
        Arc::new(DatasetTable::new(view, ScanKind::Records).without(&INPUT_COLUMNS))
    }

    /// Every header line, by input and line.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub async fn headers(&self) -> Result<Vec<HeaderLine>> {
        let mut lines = Vec::new();
        for batch in header_batches(&self.view).await? {
            header_lines(&batch, &mut lines)?;
        }
        lines.sort_by_key(|line: &HeaderLine| (line.input, line.line));
        Ok(lines)
    }

    /// Records that overlap one of the spans: from POS to INFO/END where it is a number from POS on,
    /// else to the last base of REF.
    ///
    /// # Errors
    /// When the dataset cannot be read.
    pub async fn in_regions(self: &Arc<Self>, spans: &[(String, Interval)]) -> Result<RecordSet> {
        let end = self
            .fields
            .info_index
            .get("END")
            .map(|i| &self.fields.info[*i]);
        let end = end.filter(|field| {
            field.is_visible && field.def.info_type() == arrow::datatypes::DataType::Int32
        });
        let end = end.map(|field| field.def.column.clone());
        let mut columns = vec!["record", "contig", "vcf_pos", "vcf_ref"];
        let of_end = end.clone();
        columns.extend(of_end.as_deref());
        let begins = spans.iter().map(|(contig, span)| {
            let end = Literal::Int32(span.end().as_i32());
            Predicate::And(vec![
                compare("contig", Comparison::Eq, Literal::Text(contig.clone())),
                compare("vcf_pos", Comparison::LtEq, end),
            ])
        });
        let filters = vec![Predicate::Or(begins.collect())];
        let spans: Arc<[(String, Interval)]> = spans.into();
        let sets = self.scan(&columns, filters, move |batch, set: &mut RecordSet| {
            overlapping(batch, &spans, end.as_deref(), set)
        });
        let mut all = RecordSet::default();
        sets.await?.iter().for_each(|set| all.extend(set));
        Ok(all)
    }

    /// Names that FILTER has in any record, each once, in order of name.
    ///
    /// # Errors
    /// When the dataset cannot be read.
    pub async fn filters_used(self: &Arc<Self>) -> Result<BTreeSet<String>> {
        if self.view.masked("variants").contains("filters") {
            return Ok(BTreeSet::new());
        }
        let found = self.scan(
            &["filters"],
            Vec::new(),
            |batch, names: &mut BTreeSet<String>| {
                let lists = column(batch, "filters")?.as_list::<i32>();
                for name in lists.values().as_string::<i32>().iter().flatten() {
                    if !names.contains(name) {
                        names.insert(name.to_owned());
                    }
                }
                Ok(())
            },
        );
        Ok(found.await?.into_iter().flatten().collect())
    }

    /// Most bases that a row stands right of the POS of its record.
    async fn spread(self: &Arc<Self>, wanted: &[Predicate]) -> Result<i32> {
        let columns = ["record", "pos", "vcf_pos"];
        let found = self.scan(&columns, wanted.to_vec(), |batch, most: &mut i32| {
            let pos = column(batch, "pos")?.as_primitive::<Int32Type>();
            let vcf_pos = column(batch, "vcf_pos")?.as_primitive::<Int32Type>();
            let moved = pos.values().iter().zip(vcf_pos.values());
            let moved = moved.map(|(pos, vcf)| pos.saturating_sub(*vcf)).max();
            *most = (*most).max(moved.unwrap_or(0));
            Ok(())
        });
        Ok(found.await?.into_iter().max().unwrap_or(0).max(0))
    }

    /// Reads a few columns of the site table on all cores; rows come in no order, some twice.
    async fn scan<T: Default + Send + 'static>(
        self: &Arc<Self>,
        columns: &[&str],
        filters: Vec<Predicate>,
        each: impl Fn(&RecordBatch, &mut T) -> Result<()> + Send + Sync + 'static,
    ) -> Result<Vec<T>> {
        let judged = SiteFilters {
            key: &filters,
            row: &[],
        };
        let work = plan(&self.view.data, &judged, self.partitions).await?;
        let mut wanted: BTreeSet<&str> = columns.iter().copied().collect();
        for filter in &filters {
            for name in ["contig", "vcf_pos", "record"] {
                if !filter.only_columns(|c| c != name) {
                    wanted.insert(name);
                }
            }
        }
        let schema = read_schema(&self.view, &wanted, [], false)?;
        let context = Arc::new(self.context(schema, filters));
        let each = Arc::new(each);
        let mut tasks = tokio::task::JoinSet::new();
        for units in work.partitions {
            let units = units.into_iter().flat_map(straight).collect();
            let mut source = SiteSource::new(Arc::clone(&context), units);
            let each = Arc::clone(&each);
            tasks.spawn(async move {
                let mut found = T::default();
                while let Some(rows) = source.next().await? {
                    each(&rows.batch, &mut found)?;
                    tokio::task::yield_now().await;
                }
                Ok::<_, Error>(found)
            });
        }
        let mut found = Vec::new();
        while let Some(task) = tasks.join_next().await {
            let of_task = task.map_err(|e| Error::Internal(format!("a scan ended: {e}")))?;
            found.push(of_task?);
        }
        Ok(found)
    }

    fn context(&self, schema: arrow::datatypes::SchemaRef, key: Vec<Predicate>) -> ReadContext {
        let table = self.view.data.site.clone();
        ReadContext {
            table: table.unwrap_or_else(|| empty_table(&self.view)),
            view: Arc::clone(&self.view),
            schema,
            key,
            row: Vec::new(),
            batch_size: self.batch_size,
            metrics: self.metrics.clone(),
            dynamic: DynamicFilters::default(),
            allowance: Allowance::new(None),
        }
    }

    /// A reader of the wanted records (`None`: all) for the selected samples; `genotypes`: with their
    /// calls and FORMAT values.
    ///
    /// # Errors
    /// When the dataset cannot be read.
    pub async fn read(
        self: &Arc<Self>,
        wanted: Option<RecordSet>,
        selection: Arc<Selection>,
        genotypes: bool,
    ) -> Result<RecordReader> {
        let filters: Vec<Predicate> = wanted.iter().map(RecordSet::hull).collect();
        let spread = self.spread(&filters).await?;
        let judged = SiteFilters {
            key: &filters,
            row: &[],
        };
        let work = plan(&self.view.data, &judged, 1).await?;
        let units = work.partitions.into_iter().flatten().collect();
        let runs = self.runs(units, &filters);
        let stream = RecordStream::new(self, runs, wanted.map(Arc::new), spread);
        Ok(RecordReader::new(stream, self, selection, genotypes))
    }

    /// The units in the order of contigs. Short contigs share a partition, which is read once for
    /// each run of them between long ones.
    fn runs(&self, units: Vec<Unit>, filters: &[Predicate]) -> Vec<Run> {
        let contigs = &self.state().contigs;
        let long = |name: &str, length| is_long(name, length);
        let mut of_contig: HashMap<String, Vec<Unit>> = HashMap::new();
        let mut shared = Vec::new();
        for unit in units {
            match self.contig_of(&unit) {
                Some(contig) => of_contig.entry(contig).or_default().push(unit),
                None => shared.push(unit),
            }
        }
        let no_long = of_contig.is_empty();
        let mut runs: Vec<Run> = Vec::new();
        let mut short: Vec<String> = Vec::new();
        let end_short = |short: &mut Vec<String>, runs: &mut Vec<Run>, rest: bool| {
            if !short.is_empty() && !shared.is_empty() {
                let names = short.iter().cloned().map(Literal::Text).collect();
                let only = Predicate::In {
                    column: "contig".to_owned(),
                    values: names,
                    negated: false,
                };
                let contig = (!(rest && no_long)).then_some(only);
                runs.push(Run {
                    units: shared.clone(),
                    filters: filters.iter().cloned().chain(contig).collect(),
                });
            }
            short.clear();
        };
        for contig in contigs {
            let own = of_contig.remove(&contig.name);
            if own.is_none() && !long(&contig.name, contig.length) {
                short.push(contig.name.clone());
            }
            if let Some(units) = own {
                end_short(&mut short, &mut runs, false);
                runs.push(self.run_of(contig, units, &shared, filters));
            }
        }
        end_short(&mut short, &mut runs, true);
        runs
    }

    /// The rows of a contig with partitions of its own. One that was not known to be long at first may
    /// have rows in the shared partition as well.
    fn run_of(
        &self,
        contig: &Contig,
        own: Vec<Unit>,
        shared: &[Unit],
        filters: &[Predicate],
    ) -> Run {
        let mut filters = filters.to_vec();
        if shared.is_empty() || is_long(&contig.name, None) {
            return Run {
                units: own,
                filters,
            };
        }
        let name = Literal::Text(contig.name.clone());
        filters.push(compare("contig", Comparison::Eq, name));
        let fused = Unit {
            streams: by_file(own.iter().chain(shared)),
            merge: true,
            positions: None,
        };
        Run {
            units: vec![fused],
            filters,
        }
    }

    /// The contig of a unit's partition; `None` for the one that short contigs share.
    fn contig_of(&self, unit: &Unit) -> Option<String> {
        let file = unit.streams.first()?.first()?.file;
        let bin = self
            .view
            .data
            .site
            .as_ref()?
            .files
            .get(file)?
            .pos_bin
            .as_deref()?;
        let (contig, number) = bin.rsplit_once(':')?;
        let known = number.parse::<u32>().is_ok();
        known.then(|| contig.to_owned())
    }

    /// The rows of a run with every column that a record is made of.
    pub(crate) fn source(&self, run: Run) -> Result<SiteSource> {
        let merge = run.units.iter().any(|u| u.merge || u.streams.len() > 1);
        let info = self.fields.info.iter().filter(|field| field.is_visible);
        let mut columns: BTreeSet<&str> = info.map(|field| field.def.column.as_str()).collect();
        columns.extend(site::RECORD_COLUMNS);
        let schema = read_schema(&self.view, &columns, [], merge)?;
        let context = self.context(schema, run.filters);
        Ok(SiteSource::new(Arc::new(context), run.units))
    }
}

fn compare(column: &str, op: Comparison, value: Literal) -> Predicate {
    Predicate::Compare {
        column: column.to_owned(),
        op,
        value,
    }
}

/// The streams of a unit one by one.
fn straight(unit: Unit) -> VecDeque<Unit> {
    let one = |stream| Unit {
        streams: vec![stream],
        merge: false,
        positions: None,
    };
    unit.streams.into_iter().map(one).collect()
}

/// One stream per file, each row group once.
fn by_file<'a>(units: impl Iterator<Item = &'a Unit>) -> Vec<Vec<FilePart>> {
    let mut files: BTreeMap<usize, BTreeMap<usize, (usize, usize)>> = BTreeMap::new();
    for part in units.flat_map(|unit| unit.streams.iter().flatten()) {
        for &(group, start, end) in &part.row_groups {
            let rows = files.entry(part.file).or_default().entry(group);
            rows.and_modify(|r| *r = (r.0.min(start), r.1.max(end)))
                .or_insert((start, end));
        }
    }
    let part = |(file, groups): (usize, BTreeMap<usize, (usize, usize)>)| {
        let row_groups = groups.into_iter().map(|(g, (start, end))| (g, start, end));
        vec![FilePart {
            file,
            row_groups: row_groups.collect(),
        }]
    };
    files.into_iter().map(part).collect()
}

fn overlapping(
    batch: &RecordBatch,
    spans: &[(String, Interval)],
    end: Option<&str>,
    set: &mut RecordSet,
) -> Result<()> {
    let ids = column(batch, "record")?.as_primitive::<Int64Type>();
    let contigs = column(batch, "contig")?.as_string::<i32>();
    let starts = column(batch, "vcf_pos")?.as_primitive::<Int32Type>();
    let references = column(batch, "vcf_ref")?.as_string::<i32>();
    let ends = match end {
        Some(name) => Some(column(batch, name)?.as_primitive::<Int32Type>()),
        None => None,
    };
    for row in 0..batch.num_rows() {
        let start = i64::from(starts.value(row));
        let length = i64::from(references.value_length(row)).max(1);
        let told = ends
            .filter(|ends| ends.is_valid(row))
            .map(|ends| i64::from(ends.value(row)));
        let last = told
            .filter(|end| *end >= start)
            .unwrap_or(start + length - 1);
        let hit = spans.iter().any(|(contig, span)| {
            contigs.value(row) == contig
                && start <= i64::from(span.end().get())
                && last >= i64::from(span.start().get())
        });
        if hit {
            set.insert(ids.value(row));
        }
    }
    Ok(())
}

fn header_lines(batch: &RecordBatch, lines: &mut Vec<HeaderLine>) -> Result<()> {
    let text = |name| Ok::<_, Error>(column(batch, name)?.as_string::<i32>());
    let int = |name| Ok::<_, Error>(column(batch, name)?.as_primitive::<Int32Type>());
    let (inputs, sources, numbers) = (int("batch")?, int("source")?, int("line")?);
    let (keys, ids, texts) = (text("key")?, text("id")?, text("text")?);
    for row in 0..batch.num_rows() {
        if texts.is_null(row) {
            continue;
        }
        lines.push(HeaderLine {
            input: (inputs.value(row), sources.value(row)),
            line: numbers.value(row),
            key: keys.value(row).to_owned(),
            id: ids.is_valid(row).then(|| ids.value(row).to_owned()),
            text: texts.value(row).to_owned(),
        });
    }
    Ok(())
}
