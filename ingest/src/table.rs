//! Clinical and other plain tables: csv, tsv, json or Parquet into a Delta table, typed.
//!
//! The whole input is looked at before a type is chosen (or a data dictionary says it), so a type
//! never fails halfway; a cell that does not fit a declared type is an error that names line, column
//! and rule, and nothing is visible. So is a term in a column `hpo_id` that HPO in the lake does not
//! know; one that is obsolete without another in its place is counted in the report.
//!
//! A column that is called as contigs are (`chr`, `contig`, …) is text, whatever it holds: `1` is a name there. So is one
//! that is called as ids of samples and persons are (`sample_id`, …): `1E5` is a well there, and `1` and `01` are two people.
//!
//! NULL rules stand with each format, name rules with the names, types with the table of types.

mod columns;
mod delimited;
mod dictionary;
pub(crate) mod fixed;
mod input;
pub(crate) mod json;
mod landing;
mod names;
mod parquet;
mod reader;
mod types;
mod written;

use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::AsArray as _;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use genokura_core::contig::is_contig_column;
use genokura_storage::{Lake, TableId};

use crate::error::{Error, Result};
use crate::ontology::known::{HPO_COLUMN, KnownTerms, note_obsolete};
use crate::progress::{CancelFlag, Progress, Silent};
use crate::report::{IngestReport, InputReport};

use dictionary::Dictionary;
use json::JsonRows;
use written::Written;

pub use reader::Format;

pub(crate) use columns::{BatchBuilder, Column, merged, schema_of};
pub(crate) use delimited::Delimited;
pub(crate) use input::{Input, blocking};
pub(crate) use landing::{Landed, Landing, Sink};
pub(crate) use names::{Names, names_people, sql_name};
pub(crate) use parquet::ParquetInput;
pub(crate) use reader::Rows;
pub(crate) use types::{Cell, ColumnType, Inference};

/// Rows between two looks at the cancel flag.
const ROWS_PER_CHECK: u64 = 4_096;

/// One input into one plain table.
pub struct TableJob {
    /// The lake.
    pub lake: Arc<Lake>,
    /// The table, such as `clin/person`. It is made when it does not exist.
    pub id: TableId,
    /// Path, URL or `-`; gzip is seen by itself.
    pub input: String,
    /// Path of a data dictionary.
    pub dictionary: Option<String>,
    /// Drop the table's rows and columns first. Otherwise rows are appended, and the columns must be
    /// those of the table.
    pub replace: bool,
    /// The format; `None`: by file name, else by content.
    pub format: Option<Format>,
    /// Where to report to.
    pub progress: Arc<dyn Progress>,
    /// Stops the job.
    pub cancel: CancelFlag,
}

/// The columns of the input and where each goes.
struct Plan {
    columns: Vec<Column>,
    /// Place in the input of each column of the table.
    places: Vec<usize>,
    renamed: u64,
    absent: u64,
}

impl TableJob {
    /// A job that appends, without dictionary and silently.
    #[must_use]
    pub fn new(lake: Arc<Lake>, id: TableId, input: impl Into<String>) -> Self {
        Self {
            lake,
            id,
            input: input.into(),
            dictionary: None,
            replace: false,
            format: None,
            progress: Arc::new(Silent),
            cancel: CancelFlag::new(),
        }
    }

    /// Reads the input and commits its rows. The same input again (by digest) is a no-op.
    ///
    /// # Errors
    /// [`Error::Cell`] and [`Error::Line`] for what does not fit, [`Error::Request`] when the columns
    /// are not those of the table, and what reading and the lake report. The lake is then as it was.
    pub async fn run(self) -> Result<IngestReport> {
        let begun = Instant::now();
        let input = Arc::new(Input::open(&self.input).await?);
        let dictionary = self.read_dictionary().await?;
        let landing = Landing::begin(&self.lake, &self.id, self.replace, "ingest table").await?;
        let (again, cancel) = (Arc::clone(&input), self.cancel.clone());
        let digest = blocking(move || again.digest(&cancel)).await?;
        let key = job_key(
            &digest,
            dictionary.as_ref().map(|(_, digest)| digest.as_str()),
        );
        let mut report = new_report(&input, &digest);
        if landing.has_landed(&key).await? {
            report.already_done = true;
            report.lake_version = landing.version();
            return Ok(report);
        }
        let dictionary = dictionary
            .map(|(dictionary, _)| dictionary)
            .unwrap_or_default();
        let details = details(&key, &input, &digest);
        let landed = self
            .land(
                Arc::clone(&input),
                landing,
                dictionary,
                details,
                &mut report,
            )
            .await?;
        finish_report(&mut report, &landed, begun);
        Ok(report)
    }

    async fn read_dictionary(&self) -> Result<Option<(Dictionary, String)>> {
        let Some(path) = &self.dictionary else {
            return Ok(None);
        };
        let input = Input::open(path).await?;
        blocking(move || {
            let mut bytes = Vec::new();
            input
                .read()?
                .read_to_end(&mut bytes)
                .map_err(delimited::failed)?;
            let digest = input.digest(&CancelFlag::new())?;
            Ok(Some((Dictionary::read(input.name(), &bytes)?, digest)))
        })
        .await
    }

    async fn land(
        &self,
        input: Arc<Input>,
        landing: Landing,
        dictionary: Dictionary,
        details: serde_json::Value,
        report: &mut IngestReport,
    ) -> Result<Landed> {
        let again = Arc::clone(&input);
        let given = self.format;
        let format = blocking(move || {
            let head = again.head()?;
            let named = Format::detect(again.name(), &head);
            Ok(given.map_or_else(|| (named, named.divided(&head)), |given| (given, given)))
        })
        .await?;
        let (named, format) = format;
        if format != named {
            let sign = match format {
                Format::Tsv => "tabs",
                Format::Semicolons => "semicolons",
                _ => "commas",
            };
            let note = format!("read with {sign} between the cells, as the header has them");
            report.notes.push(note);
        }
        if format == Format::Parquet {
            return self
                .land_parquet(input, landing, dictionary, details, report)
                .await;
        }
        let (again, cancel) = (Arc::clone(&input), self.cancel.clone());
        let existing = landing.existing().cloned();
        let hint = match existing {
            Some(_) => "mend the cell, or use --replace, which finds the types anew",
            None => "mend the cell, or declare the column text in a dictionary",
        };
        let (plan, notes) = blocking(move || {
            let found = infer(open_rows(&again, format)?.as_mut(), &cancel)?;
            let plan = plan(&found.sources, &found.types, &dictionary, existing.as_ref())?;
            let notes = found.notes(&plan);
            Ok((plan, notes))
        })
        .await?;
        report.notes.extend(notes);
        note_repairs(&plan, report);
        let phenotypes = self.phenotypes(&schema_of(&plan.columns)).await?;
        let obsolete = phenotypes.as_ref().map(|of| of.terms.obsolete_met());
        let (columns, places) = (plan.columns, plan.places);
        let (cancel, progress) = (self.cancel.clone(), Arc::clone(&self.progress));
        let schema = schema_of(&columns);
        let produce = move |sink: &Sink| {
            let mut rows = open_rows(&input, format)?;
            send_rows(
                rows.as_mut(),
                columns,
                &places,
                phenotypes.as_ref(),
                hint,
                (&cancel, progress.as_ref()),
                sink,
            )
        };
        let landed = landing.write(schema, details, produce).await?;
        note_obsolete(report, obsolete.as_ref());
        Ok(landed)
    }

    async fn land_parquet(
        &self,
        input: Arc<Input>,
        landing: Landing,
        dictionary: Dictionary,
        details: serde_json::Value,
        report: &mut IngestReport,
    ) -> Result<Landed> {
        let existing = landing.existing().cloned();
        let (parquet, schema, plan) = blocking(move || {
            let parquet = ParquetInput::open(&input)?;
            let (plan, schema) = plan_parquet(&parquet, &dictionary, existing.as_ref())?;
            Ok((parquet, schema, plan))
        })
        .await?;
        note_repairs(&plan, report);
        let phenotypes = self.phenotypes(&schema).await?;
        let obsolete = phenotypes.as_ref().map(|of| of.terms.obsolete_met());
        let (cancel, same) = (self.cancel.clone(), Arc::clone(&schema));
        let look = move |batch: &RecordBatch, before: u64| match &phenotypes {
            Some(phenotypes) => phenotypes.check(batch, before, &plan.columns),
            None => Ok(()),
        };
        let produce = move |sink: &Sink| parquet.send(same, look, &cancel, sink);
        let landed = landing.write(schema, details, produce).await?;
        note_obsolete(report, obsolete.as_ref());
        Ok(landed)
    }

    /// The column of a table that has terms of HPO, where the lake has HPO.
    async fn phenotypes(&self, schema: &SchemaRef) -> Result<Option<Phenotypes>> {
        let Some((column, field)) = schema.column_with_name(HPO_COLUMN) else {
            return Ok(None);
        };
        if field.data_type() != &DataType::Utf8 {
            return Ok(None);
        }
        let terms = KnownTerms::of_hpo(&self.lake, &self.cancel).await?;
        Ok(terms.map(|terms| Phenotypes { column, terms }))
    }
}

/// A column of terms, and those that HPO knows.
struct Phenotypes {
    /// Its place in the table.
    column: usize,
    terms: KnownTerms,
}

impl Phenotypes {
    /// Refuses a term that HPO does not know.
    fn check_cell(&self, text: &str, line: u64, columns: &[Column]) -> Result<()> {
        let Some(message) = self.terms.fault(text) else {
            return Ok(());
        };
        let column = columns.get(self.column);
        Err(Error::Cell {
            input: 1,
            line,
            column: column.map_or_else(|| HPO_COLUMN.to_owned(), |c| c.source.clone()),
            message,
        })
    }

    /// The same of the rows of a batch, `before` which there were so many.
    fn check(&self, batch: &RecordBatch, before: u64, columns: &[Column]) -> Result<()> {
        let terms = batch.columns().get(self.column);
        let terms = terms.and_then(|terms| terms.as_string_opt::<i32>());
        let mut numbered = terms.into_iter().flatten().zip(before + 1..);
        numbered.try_for_each(|(term, row)| self.check_cell(term.unwrap_or_default(), row, columns))
    }
}

/// What names an input in the lake's log: its digest, and that of the dictionary it was read by.
fn job_key(digest: &str, dictionary: Option<&str>) -> String {
    dictionary.map_or_else(|| digest.to_owned(), |d| format!("{digest}+dictionary:{d}"))
}

/// Details of the lake commit of a job with one input.
pub(crate) fn details(key: &str, input: &Input, digest: &str) -> serde_json::Value {
    serde_json::json!({
        "key": key,
        "input": { "name": input.name(), "size": input.size(), "digest": digest },
    })
}

/// The report of a job with one input before anything is read.
pub(crate) fn new_report(input: &Input, digest: &str) -> IngestReport {
    let size = input.size();
    let one = InputReport {
        input: 1,
        digest: digest.to_owned(),
        size,
        ..InputReport::default()
    };
    IngestReport {
        inputs: vec![one],
        bytes: size,
        ..IngestReport::default()
    }
}

/// Fills in what landed.
pub(crate) fn finish_report(report: &mut IngestReport, landed: &Landed, begun: Instant) {
    report.records_read = landed.rows;
    report.records_stored = landed.rows;
    report.rows = landed.rows;
    report.lake_version = landed.version;
    report.notes.extend(landed.notes.iter().cloned());
    report.seconds = begun.elapsed().as_secs_f64();
    for input in &mut report.inputs {
        input.records = landed.rows;
    }
}

fn note_repairs(plan: &Plan, report: &mut IngestReport) {
    for (rule, count) in [
        ("column-renamed", plan.renamed),
        ("dictionary-column-absent", plan.absent),
    ] {
        if count > 0 {
            report.repairs.push((rule.to_owned(), count));
        }
    }
}

fn open_rows(input: &Input, format: Format) -> Result<Box<dyn Rows>> {
    let bytes = input.read()?;
    Ok(match format {
        Format::Json => Box::new(JsonRows::new(bytes)),
        format => Box::new(Delimited::new(bytes, format)?),
    })
}

/// Column names of the input, the types that take all their values, and how these are written.
struct Found {
    sources: Vec<String>,
    types: Vec<ColumnType>,
    written: Vec<Written>,
}

impl Found {
    /// What the columns of a table may not be as they were meant: texts that are dates, names that stand twice.
    fn notes(&self, plan: &Plan) -> Vec<String> {
        let mut notes = Vec::new();
        for (place, source) in self.sources.iter().enumerate() {
            // Of columns that are called alike the first comes first among those of a new table.
            let of = plan.columns.iter().zip(&plan.places);
            let column = of.into_iter().find(|(_, at)| **at == place);
            let Some((column, _)) = column else { continue };
            let mut before = self.sources.iter().take(place);
            if let Some(first) = before.position(|other| other.eq_ignore_ascii_case(source)) {
                notes.push(format!(
                    "columns {} and {} of the header are both called {source:?}: the second is \"{}\"",
                    first + 1,
                    place + 1,
                    column.name
                ));
            }
            if self.types[place] == ColumnType::Text && column.ty == ColumnType::Text {
                notes.extend(self.written[place].note(&column.name));
            }
        }
        notes
    }
}

fn infer(rows: &mut dyn Rows, cancel: &CancelFlag) -> Result<Found> {
    let mut found: Vec<Inference> = Vec::new();
    let mut written: Vec<Written> = Vec::new();
    let mut n = 0_u64;
    while rows.next_row()?.is_some() {
        found.resize_with(rows.headers().len(), Inference::default);
        written.resize_with(rows.headers().len(), Written::default);
        for (i, (inference, written)) in found.iter_mut().zip(&mut written).enumerate() {
            let cell = rows.cell(i);
            if let Cell::Bare(text) | Cell::Quoted(text) = cell {
                written.observe(text);
            }
            inference.observe(cell);
        }
        n += 1;
        if n.is_multiple_of(ROWS_PER_CHECK) {
            cancel.check()?;
        }
    }
    found.resize_with(rows.headers().len(), Inference::default);
    written.resize_with(rows.headers().len(), Written::default);
    if found.is_empty() {
        let reason = "no columns; a table needs a header or at least one object".to_owned();
        return Err(Error::Format { input: 1, reason });
    }
    Ok(Found {
        sources: rows.headers().to_vec(),
        types: found.iter().map(Inference::result).collect(),
        written,
    })
}

fn plan(
    sources: &[String],
    types: &[ColumnType],
    dictionary: &Dictionary,
    existing: Option<&SchemaRef>,
) -> Result<Plan> {
    let mut columns = named_columns(sources, types, dictionary);
    let renamed = columns
        .iter()
        .filter(|c| c.name != c.source.to_ascii_lowercase())
        .count() as u64;
    let absent = dictionary.absent(sources);
    let mut places: Vec<usize> = (0..columns.len()).collect();
    if let Some(existing) = existing {
        places = match_columns(&columns, existing)?;
        columns = places.iter().map(|&i| columns[i].clone()).collect();
        for (column, field) in columns.iter_mut().zip(existing.fields()) {
            column.ty = ColumnType::of_arrow(field.data_type())
                .ok_or_else(|| cannot_append(field.name()))?;
        }
    }
    Ok(Plan {
        columns,
        places,
        renamed,
        absent,
    })
}

fn cannot_append(column: &str) -> Error {
    Error::Request(format!(
        "column \"{column}\" of the table has a type that text cannot be appended to; use Parquet or --replace"
    ))
}

fn named_columns(sources: &[String], types: &[ColumnType], dictionary: &Dictionary) -> Vec<Column> {
    let mut names = Names::default();
    let column = |(i, (source, &ty)): (usize, (&String, &ColumnType))| {
        let entry = dictionary.get(source);
        let name = entry.map_or_else(|| sql_name(source, i + 1), |entry| entry.name.clone());
        let is_number = matches!(ty, ColumnType::Int4 | ColumnType::Int8);
        let is_list = matches!(ty, ColumnType::TextList | ColumnType::IntList);
        let of_contigs = is_contig_column(&name) || is_contig_column(source);
        let of_people = names_people(&name) || names_people(source);
        let found = match is_number && of_contigs || !is_list && of_people {
            true => ColumnType::Text,
            false => ty,
        };
        Column {
            name: names.take(&name),
            source: source.clone(),
            ty: entry.and_then(|entry| entry.ty).unwrap_or(found),
            comment: entry.map(|entry| entry.comment.clone()).unwrap_or_default(),
        }
    };
    sources.iter().zip(types).enumerate().map(column).collect()
}

/// For each column of the table its place among `columns`; both must have the same names.
pub(crate) fn match_columns(columns: &[Column], existing: &SchemaRef) -> Result<Vec<usize>> {
    let extra = columns
        .iter()
        .find(|c| existing.field_with_name(&c.name).is_err());
    if let Some(extra) = extra {
        let message = format!(
            "the table has no column \"{}\", the input has; rename or drop it, or use --replace",
            extra.name
        );
        return Err(Error::Request(message));
    }
    let place = |name: &String| {
        columns.iter().position(|c| c.name == *name).ok_or_else(|| {
            Error::Request(format!(
                "the input has no column \"{name}\", the table has; add it, or use --replace"
            ))
        })
    };
    existing
        .fields()
        .iter()
        .map(|field| place(field.name()))
        .collect()
}

fn plan_parquet(
    parquet: &ParquetInput,
    dictionary: &Dictionary,
    existing: Option<&SchemaRef>,
) -> Result<(Plan, SchemaRef)> {
    let sources = parquet.names();
    let columns = named_columns(&sources, &vec![ColumnType::Text; sources.len()], dictionary);
    let declared = |i: usize| dictionary.get(&sources[i]).and_then(|entry| entry.ty);
    let own = |i: usize| match declared(i) {
        Some(ty) => Ok(ty.arrow()),
        None => Ok(match parquet.target(i)? {
            DataType::Int32 | DataType::Int64
                if is_contig_column(&columns[i].name) || names_people(&columns[i].name) =>
            {
                DataType::Utf8
            }
            ty => ty,
        }),
    };
    let mut types: Vec<DataType> = (0..sources.len()).map(own).collect::<Result<_>>()?;
    let renamed = columns
        .iter()
        .filter(|c| c.name != c.source.to_ascii_lowercase())
        .count() as u64;
    if let Some(existing) = existing {
        match_columns(&columns, existing)?;
        for (column, ty) in columns.iter().zip(&mut types) {
            if let Ok(field) = existing.field_with_name(&column.name) {
                ty.clone_from(field.data_type());
            }
        }
    }
    let schema = parquet::typed_schema(&columns, types);
    let absent = dictionary.absent(&sources);
    Ok((
        Plan {
            columns,
            places: Vec::new(),
            renamed,
            absent,
        },
        schema,
    ))
}

fn send_rows(
    rows: &mut dyn Rows,
    columns: Vec<Column>,
    places: &[usize],
    phenotypes: Option<&Phenotypes>,
    hint: &'static str,
    (cancel, progress): (&CancelFlag, &dyn Progress),
    sink: &Sink,
) -> Result<()> {
    let mut batch = BatchBuilder::new(columns.clone()).with_hint(hint);
    let mut n = 0_u64;
    while let Some(line) = rows.next_row()? {
        for (column, &place) in places.iter().enumerate() {
            let cell = rows.cell(place);
            if let Some(phenotypes) = phenotypes.filter(|of| of.column == column)
                && let Cell::Bare(text) | Cell::Quoted(text) = cell
            {
                phenotypes.check_cell(text, line, &columns)?;
            }
            batch.append(column, cell, line)?;
        }
        n += 1;
        if batch.end_row() {
            cancel.check()?;
            progress.records(n);
            batch.finish()?.map_or(Ok(()), |full| sink.send(full))?;
        }
    }
    progress.records(n);
    batch.finish()?.map_or(Ok(()), |last| sink.send(last))
}
