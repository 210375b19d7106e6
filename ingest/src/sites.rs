//! Sites: a VCF or BCF of alleles without people (ClinVar, gnomAD, TogoVar) as one table of knowledge.
//!
//! ```text
//! clinvar_20240107.vcf.gz --release 2024-01-07 ─┐
//! clinvar_20240206.vcf.gz --release 2024-02-06 ─┴─► kb.clinvar: one row per ALT and release
//! ```
//! Records are read as those of a dataset are: split, trimmed, left-aligned by the reference when there is one, INFO
//! typed by the header. So `contig, pos, ref, alt` are equal where alleles are. Releases lie side by side: a later file
//! adds rows, and columns for keys that are new; a key may not change its type. All of a file lands or nothing.
//!
//! A release may come in several calls, some contigs in each. A contig that it has already is refused: a corrected file
//! beside the one that it corrects would join each allele twice. Files without a release are one release.
//!
//! A table of knowledge has no place for records that break a rule: they refuse the file, by rule and line, and
//! `ingest vcf` keeps such a file as a dataset.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, AsArray, Date32Array, RecordBatch, StringArray};
use arrow::datatypes::{
    DataType, Date32Type, Field, FieldRef, Int32Type, Int64Type, Schema, SchemaRef,
};
use chrono::NaiveDate;
use futures::TryStreamExt as _;
use genokura_core::contig::{Assembly, ContigNames};
use genokura_core::schema::{COMMENT_KEY, INFO_PREFIX, quarantine_schema, site_schema};
use genokura_storage::{
    DataFile, DatasetState, FileReader, Lake, LakeSnapshot, ReadPlan, TableId, TableSnapshot,
};

use crate::assembly::{Held, Said};
use crate::error::{Error, Result};
use crate::job::VcfJob;
use crate::progress::{CancelFlag, Progress, Silent};
use crate::report::IngestReport;
use crate::table::{Landing, Sink, merged};

/// The dataset that the file is while it is on its way.
const PASSING: &str = "sites";
/// Columns of the site table that a table of sites has, in its order; then the INFO keys.
const COLUMNS: [&str; 14] = [
    "contig",
    "pos",
    "end_pos",
    "ref",
    "alt",
    "ids",
    "qual",
    "filters",
    "variant_type",
    "vcf_pos",
    "vcf_ref",
    "vcf_alts",
    "alt_index",
    "info_raw",
];

/// Contigs that a refusal names.
const CONTIGS_TOLD: usize = 3;

/// Files of alleles into one table.
pub struct SitesJob {
    /// The lake.
    pub lake: Arc<Lake>,
    /// The table, such as `kb/clinvar`. It is made when it does not exist.
    pub id: TableId,
    /// Paths, globs, URLs or `-`.
    pub inputs: Vec<String>,
    /// The date of the release, the value of the column `release`.
    pub release: Option<NaiveDate>,
    /// How human primary contigs are to be named; `None`: as the files name them.
    pub contigs: Option<ContigNames>,
    /// FASTA to left-align by.
    pub reference: Option<String>,
    /// The assembly, where the header does not tell or names another.
    pub assembly: Option<String>,
    /// Drop the table's rows and columns first. Otherwise rows are added.
    pub replace: bool,
    /// Worker threads.
    pub threads: usize,
    /// Bound of the memory for rows under way, in bytes.
    pub memory_bytes: usize,
    /// Where to report to.
    pub progress: Arc<dyn Progress>,
    /// Stops the job.
    pub cancel: CancelFlag,
}

impl SitesJob {
    /// A job that adds the alleles of one input, silently.
    #[must_use]
    pub fn new(lake: Arc<Lake>, id: TableId, input: impl Into<String>) -> Self {
        Self {
            lake,
            id,
            inputs: vec![input.into()],
            release: None,
            contigs: None,
            reference: None,
            assembly: None,
            replace: false,
            threads: 1,
            memory_bytes: 256 << 20,
            progress: Arc::new(Silent),
            cancel: CancelFlag::new(),
        }
    }

    /// Reads the inputs and commits their rows. The same inputs again with the same release are a no-op.
    ///
    /// # Errors
    /// [`Error::Request`] for a file with samples or with records that break a rule, for a key of another type than
    /// the table's and for contigs that the release has in the table already; what reading and the lake report. The lake is then as it was.
    pub async fn run(self) -> Result<IngestReport> {
        let begun = Instant::now();
        let landing = Landing::begin(&self.lake, &self.id, self.replace, "ingest sites").await?;
        // On its way the file is a dataset of a lake of its own, on disk: parsing, sorting and typing are those of
        // `ingest vcf`, and memory is bounded.
        let place = tempfile::tempdir().map_err(|e| Error::Internal(e.to_string()))?;
        let passing = Arc::new(Lake::open_or_create(&place.path().to_string_lossy()).await?);
        let mut report = self.read(&passing, landing.assembly()).await?;
        let snapshot = passing.snapshot().await?;
        let state = snapshot.dataset(PASSING).cloned().unwrap_or_default();
        let key = self.key(&state);
        if landing.has_landed(&key).await? {
            report.already_done = true;
            report.lake_version = landing.version();
            return Ok(report);
        }
        let sites = sites_of(&snapshot).await?;
        let sources = columns(&state);
        let schema = merged(&self.id, &sources, landing.existing())?;
        if let Some(held) = landing.held().await? {
            self.check_release(&held, &passing, &sites).await?;
        }
        let inputs: Vec<_> = state
            .batches
            .iter()
            .flat_map(|batch| &batch.inputs)
            .collect();
        let inputs: Vec<_> = inputs
            .iter()
            .map(|input| serde_json::json!({"size": input.size, "digest": input.digest}))
            .collect();
        let details = serde_json::json!({
            "key": key,
            "inputs": inputs,
            "release": self.release.map(|date| date.to_string()),
        });
        let rows = Rows {
            read: read_schema(&state),
            schema: Arc::clone(&schema),
            release: self.release,
            contigs: self.contigs,
        };
        let cancel = self.cancel.clone();
        let handle = tokio::runtime::Handle::current();
        let assembly = state.assembly.as_deref().and_then(Assembly::from_name);
        let produce = move |sink: &Sink| {
            if let Some(assembly) = assembly {
                sink.said(0, Said::of_all(assembly))?;
            }
            for file in in_order(&sites, &state) {
                let reader = handle.block_on(FileReader::open(&passing, file))?;
                let mut batches = reader.read(ReadPlan::of(Arc::clone(&rows.read)))?;
                while let Some(batch) = handle.block_on(batches.try_next())? {
                    cancel.check()?;
                    sink.send(rows.of(&batch)?)?;
                }
            }
            Ok(())
        };
        let landed = landing.write(schema, details, produce).await?;
        report.rows = landed.rows;
        report.lake_version = landed.version;
        report.notes.extend(landed.notes);
        report.batch = None;
        report.seconds = begun.elapsed().as_secs_f64();
        drop(place);
        Ok(report)
    }

    async fn read(&self, passing: &Arc<Lake>, onto: Option<Held>) -> Result<IngestReport> {
        let job = VcfJob {
            lake: Arc::clone(passing),
            dataset: PASSING.to_owned(),
            inputs: self.inputs.clone(),
            reference: self.reference.clone(),
            assembly: self.assembly.clone(),
            strict: false,
            repeated_samples: false,
            threads: self.threads,
            memory_bytes: self.memory_bytes,
            progress: Arc::clone(&self.progress),
            cancel: self.cancel.clone(),
        };
        let report = job.run_onto(onto).await?;
        if report.samples > 0 {
            let message = format!(
                "the input has {} samples, and a table of sites holds alleles only; load it with ingest vcf --dataset",
                report.samples
            );
            return Err(Error::Request(message));
        }
        if report.records_quarantined > 0 {
            let rules = report.quarantined.iter();
            let rules: Vec<String> = rules.map(|(rule, n)| format!("{rule}: {n}")).collect();
            let first = first_refusal(passing).await?;
            let first = first.map(|first| format!("; the first is {first}"));
            let message = format!(
                "{} of {} records break a rule ({}){}; mend them, or load the file with ingest vcf --dataset, whose \
                 table quarantine tells each with its line",
                report.records_quarantined,
                report.records_read,
                rules.join(", "),
                first.unwrap_or_default()
            );
            return Err(Error::Request(message));
        }
        Ok(report)
    }

    /// Refuses alleles of contigs of which the release has alleles in the table already.
    async fn check_release(
        &self,
        held: &TableSnapshot,
        passing: &Lake,
        sites: &TableSnapshot,
    ) -> Result<()> {
        let known = contigs_of(&self.lake, held, days(self.release), &self.cancel).await?;
        if known.is_empty() {
            return Ok(());
        }
        let new = contigs_of(passing, sites, None, &self.cancel).await?;
        let new = new.iter().map(|name| match self.contigs {
            Some(names) => names.of(name),
            None => name.into(),
        });
        let twice: Vec<_> = new.filter(|name| known.contains(name.as_ref())).collect();
        if twice.is_empty() {
            return Ok(());
        }
        let mut told = twice[..twice.len().min(CONTIGS_TOLD)].join(", ");
        if twice.len() > CONTIGS_TOLD {
            told.push_str(&format!(" and {} more", twice.len() - CONTIGS_TOLD));
        }
        let (release, other) = match self.release {
            Some(date) => (format!("release {date} of "), "another --release"),
            None => (String::new(), "a --release of its own"),
        };
        Err(Error::Request(format!(
            "{release}{}.{} has alleles of {told} already, and each would be joined twice; give the input {other}, or \
             --replace with all inputs that the table is to hold",
            self.id.schema, self.id.table
        )))
    }

    /// What names the inputs in the lake's log.
    fn key(&self, state: &DatasetState) -> String {
        let inputs = state.batches.iter().flat_map(|batch| &batch.inputs);
        let mut key: Vec<String> = inputs.map(|input| input.digest.clone()).collect();
        key.extend(self.release.map(|date| format!("release:{date}")));
        key.extend(
            self.contigs
                .map(|names| format!("contigs:{}", names.as_str())),
        );
        key.extend(
            state
                .reference
                .iter()
                .map(|name| format!("reference:{name}")),
        );
        key.join("+")
    }
}

/// The site table of the passing dataset.
async fn sites_of(snapshot: &LakeSnapshot) -> Result<Arc<TableSnapshot>> {
    let id = TableId::new(PASSING, "site");
    let sites = snapshot.table(&id).await?;
    sites.ok_or_else(|| Error::Request("the input has no records".to_owned()))
}

/// The contigs of the rows of a table that are of a release (its day, or `None` as the column has it).
async fn contigs_of(
    lake: &Lake,
    table: &TableSnapshot,
    release: Option<i32>,
    cancel: &CancelFlag,
) -> Result<BTreeSet<String>> {
    let contig = Field::new("contig", DataType::Utf8, true);
    let day = Field::new("release", DataType::Date32, true);
    let columns = Arc::new(Schema::new(vec![contig, day]));
    let mut found = BTreeSet::new();
    for file in &table.files {
        let reader = FileReader::open(lake, file).await?;
        let mut batches = reader.read(ReadPlan::of(Arc::clone(&columns)))?;
        while let Some(batch) = batches.try_next().await? {
            cancel.check()?;
            let names = batch.column(0).as_string_opt::<i32>();
            let days = batch.column(1).as_primitive_opt::<Date32Type>();
            let (Some(names), Some(days)) = (names, days) else {
                return Err(Error::Internal("contigs of another type".to_owned()));
            };
            let mut last = None;
            for (name, day) in names.iter().zip(days) {
                if day == release && name != last {
                    last = name;
                    found.extend(name.map(str::to_owned));
                }
            }
        }
    }
    Ok(found)
}

/// The first refused record of the passing dataset, as messages tell it.
async fn first_refusal(passing: &Arc<Lake>) -> Result<Option<String>> {
    let id = TableId::new(PASSING, "quarantine");
    let Some(table) = passing.snapshot().await?.table(&id).await? else {
        return Ok(None);
    };
    let mut first: Option<((i32, i64), String)> = None;
    for file in &table.files {
        let reader = FileReader::open(passing, file).await?;
        let mut batches = reader.read(ReadPlan::of(quarantine_schema()))?;
        while let Some(batch) = batches.try_next().await? {
            let columns = (
                batch.column(1).as_primitive_opt::<Int32Type>(),
                batch.column(2).as_primitive_opt::<Int64Type>(),
                batch.column(5).as_string_opt::<i32>(),
                batch.column(6).as_string_opt::<i32>(),
            );
            let (Some(inputs), Some(lines), Some(rules), Some(messages)) = columns else {
                return Err(Error::Internal("a quarantine of other columns".to_owned()));
            };
            for row in 0..batch.num_rows() {
                let place = (inputs.value(row), lines.value(row));
                if first.as_ref().is_none_or(|(before, _)| place < *before) {
                    let (message, rule) = (messages.value(row), rules.value(row));
                    let (input, line) = (place.0 + 1, place.1);
                    let told = format!("input {input}, line {line}: {message} (rule {rule})");
                    first = Some((place, told));
                }
            }
        }
    }
    Ok(first.map(|(_, told)| told))
}

/// The columns that are read.
fn read_schema(state: &DatasetState) -> SchemaRef {
    let sites = site_schema(&state.info);
    let wanted = |field: &&FieldRef| {
        COLUMNS.contains(&field.name().as_str()) || field.name().starts_with(INFO_PREFIX)
    };
    let fields: Vec<_> = sites.fields().iter().filter(wanted).cloned().collect();
    Arc::new(Schema::new(fields))
}

/// The columns of the table that a file alone would make: all may be NULL, so that releases may differ in them.
fn columns(state: &DatasetState) -> Vec<FieldRef> {
    let read = read_schema(state);
    let named = COLUMNS
        .iter()
        .filter_map(|name| read.field_with_name(name).ok());
    let info = read.fields().iter().map(AsRef::as_ref);
    let info = info.filter(|field: &&Field| !COLUMNS.contains(&field.name().as_str()));
    let mut fields: Vec<FieldRef> = named
        .chain(info)
        .map(|field| Arc::new(field.clone().with_nullable(true)))
        .collect();
    let comment = [(COMMENT_KEY.to_owned(), "Date of the release".to_owned())];
    let release = Field::new("release", DataType::Date32, true).with_metadata(comment.into());
    fields.insert(5, Arc::new(release));
    fields
}

/// The files of the table in the order of contigs and positions.
fn in_order<'a>(sites: &'a TableSnapshot, state: &DatasetState) -> Vec<&'a DataFile> {
    let rank = |name: &str| state.contigs.iter().position(|contig| contig.name == name);
    let order = |file: &&DataFile| {
        let bin = file.pos_bin.as_deref().unwrap_or_default();
        let (contig, number) = bin.rsplit_once(':').unwrap_or((bin, "0"));
        let number: u64 = number.parse().unwrap_or_default();
        (rank(contig).unwrap_or(usize::MAX), number)
    };
    let mut files: Vec<&DataFile> = sites.files.iter().collect();
    files.sort_by_key(order);
    files
}

/// Days since 1970, the value of the column `release`.
fn days(release: Option<NaiveDate>) -> Option<i32> {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
    i32::try_from(release?.signed_duration_since(epoch).num_days()).ok()
}

/// How rows of the passing dataset become rows of the table.
struct Rows {
    read: SchemaRef,
    schema: SchemaRef,
    release: Option<NaiveDate>,
    contigs: Option<ContigNames>,
}

impl Rows {
    fn of(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let column = |field: &FieldRef| -> Result<ArrayRef> {
            match (field.name().as_str(), batch.column_by_name(field.name())) {
                ("release", _) => Ok(Arc::new(Date32Array::from(vec![days(self.release); rows]))),
                ("contig", Some(contigs)) => self.named(contigs),
                (_, Some(column)) => Ok(Arc::clone(column)),
                (_, None) => Ok(arrow::array::new_null_array(field.data_type(), rows)),
            }
        };
        let columns = self
            .schema
            .fields()
            .iter()
            .map(column)
            .collect::<Result<Vec<_>>>()?;
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|e| Error::Internal(e.to_string()))
    }

    fn named(&self, contigs: &ArrayRef) -> Result<ArrayRef> {
        let Some(names) = self.contigs else {
            return Ok(Arc::clone(contigs));
        };
        let texts = contigs.as_string_opt::<i32>();
        let texts = texts.ok_or_else(|| Error::Internal("contigs that are no text".to_owned()))?;
        let mut known: HashMap<&str, String> = HashMap::new();
        let renamed = texts.iter().map(|text| {
            let text = text?;
            Some(
                known
                    .entry(text)
                    .or_insert_with(|| names.of(text).into_owned())
                    .clone(),
            )
        });
        Ok(Arc::new(renamed.collect::<StringArray>()))
    }
}
