//! OMOP CDM, versions 5.3 and 5.4: a directory of csv, tsv or Parquet files, one for each table of the model, as typed
//! tables.
//!
//! - Types are those of the model, not of the file: an empty table has its columns, an id is never text. A column that the
//!   model does not have is kept as text. A whole number may be written `8507.0`, a date or a moment `20240229`, a date
//!   with a midnight behind it, a moment with a zone that is UTC (`Z`, `+00`), as other programs write them.
//! - All files land together or not at all. A file that is no table of the model is refused by name, and so is one that
//!   tells of persons without naming them (`cost`, `note_nlp`, …): its rows could not be hidden with their person.
//! - A cell that does not fit its type is an error that names file (as table), line and column.

mod cdm;
mod keys;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use genokura_storage::{Lake, TableId};

use crate::error::{Error, Result};
use crate::progress::{CancelFlag, Progress, Silent};
use crate::report::IngestReport;
use crate::table::fixed::Out;
use crate::table::{
    Cell, Column, ColumnType, Delimited, Format, Input, Landing, Names, ParquetInput, Rows, Sink,
    blocking, merged, schema_of, sql_name,
};

use cdm::{CdmTable, NAMELESS, PERSON};
use keys::Keys;

/// A directory of CDM tables into one schema.
pub struct OmopJob {
    /// The lake.
    pub lake: Arc<Lake>,
    /// The schema.
    pub schema: String,
    /// The directory with `PERSON.csv`, `person.parquet` and the like, in any case, text gzip or not.
    pub directory: String,
    /// Drop the rows and columns of the tables first. Otherwise rows are added.
    pub replace: bool,
    /// Where to report to.
    pub progress: Arc<dyn Progress>,
    /// Stops the job.
    pub cancel: CancelFlag,
}

/// One file and its columns.
struct File {
    table: &'static CdmTable,
    input: Input,
    columns: Vec<Column>,
}

impl OmopJob {
    /// A job that adds to `omop`, silently.
    #[must_use]
    pub fn new(lake: Arc<Lake>, directory: impl Into<String>) -> Self {
        Self {
            lake,
            schema: "omop".to_owned(),
            directory: directory.into(),
            replace: false,
            progress: Arc::new(Silent),
            cancel: CancelFlag::new(),
        }
    }

    /// Reads the files and commits their rows. The same files again (by digest) are a no-op.
    ///
    /// # Errors
    /// [`Error::Request`] for a directory without tables and for files that are none, [`Error::Cell`] for a cell that
    /// does not fit, and what reading and the lake report. The lake is then as it was.
    pub async fn run(self) -> Result<IngestReport> {
        let begun = Instant::now();
        let mut files = Vec::new();
        for (table, path) in self.tables().await? {
            let input = Input::open(&path).await?;
            files.push(File {
                table,
                input,
                columns: Vec::new(),
            });
        }
        let (files, digests) = self.look(files).await?;
        let id = |file: &File| TableId::new(&self.schema, file.table.name);
        let ids: Vec<TableId> = files.iter().map(id).collect();
        let landing =
            Landing::begin_all(&self.lake, ids.clone(), self.replace, "ingest omop").await?;
        let mut report = report(&files, &digests);
        let key = digests.join("+");
        if landing.has_landed(&key).await? {
            report.already_done = true;
            report.lake_version = landing.version();
            return Ok(report);
        }
        let unknown: usize = files.iter().map(File::unknown).sum();
        if unknown > 0 {
            report
                .repairs
                .push(("column-not-of-the-model".to_owned(), unknown as u64));
        }
        let mut schemas = Vec::new();
        for ((id, file), existing) in ids.iter().zip(&files).zip(landing.existing_of_all()) {
            let columns = schema_of(&file.columns);
            schemas.push(merged(id, columns.fields(), existing.as_ref())?);
        }
        let inputs = report.inputs.iter();
        let inputs = inputs.map(|i| serde_json::json!({"size": i.size, "digest": i.digest}));
        let details = serde_json::json!({"key": key, "inputs": inputs.collect::<Vec<_>>()});
        let (cancel, progress) = (self.cancel.clone(), Arc::clone(&self.progress));
        let targets = schemas.clone();
        let (tell, told) = tokio::sync::oneshot::channel();
        let produce = move |sink: &Sink| {
            let mut counts = Vec::new();
            for ((place, file), target) in files.iter().enumerate().zip(targets) {
                let out = Out::of_columns(place, file.columns.clone(), &cancel, sink);
                let number = u32::try_from(place + 1).unwrap_or(u32::MAX);
                let sent = file.send(out.into_schema(target));
                counts.push(sent.map_err(|error| error.in_input(number))?);
                progress.records(counts.iter().sum());
            }
            // Nobody listens only where the job has failed already.
            let _ = tell.send(counts);
            Ok(())
        };
        let landed = landing.write_all(schemas, details, produce).await?;
        let counts = told.await.map_err(|e| Error::Internal(e.to_string()))?;
        for (input, n) in report.inputs.iter_mut().zip(counts) {
            input.records = n;
        }
        report.records_read = landed.rows;
        report.records_stored = landed.rows;
        report.rows = landed.rows;
        report.lake_version = landed.version;
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    /// The files of the directory, by the name of their table.
    async fn tables(&self) -> Result<Vec<(&'static CdmTable, String)>> {
        let directory = self.directory.clone();
        let paths = blocking(move || {
            let cannot = |e: std::io::Error| {
                Error::Request(format!("the directory {directory:?} cannot be read: {e}"))
            };
            let mut paths = Vec::new();
            for entry in std::fs::read_dir(&directory).map_err(cannot)? {
                paths.push(entry.map_err(cannot)?.path());
            }
            paths.sort();
            Ok(paths)
        })
        .await?;
        let mut tables: Vec<(&'static CdmTable, String)> = Vec::new();
        for path in paths {
            let Some(name) = table_name(&path) else {
                continue;
            };
            let table = known(&name)?;
            if tables.iter().any(|(other, _)| other.name == table.name) {
                let message = format!("the directory has two files of table {name}; leave one");
                return Err(Error::Request(message));
            }
            let text = path.to_str().map(str::to_owned);
            let text = text.ok_or_else(|| Error::Request("a path that is not UTF-8".to_owned()))?;
            tables.push((table, text));
        }
        if tables.is_empty() {
            let message = format!(
                "no csv, tsv or Parquet file in {:?}; a CDM has PERSON.csv and others",
                self.directory
            );
            return Err(Error::Request(message));
        }
        Ok(tables)
    }

    /// Reads digests and headers.
    async fn look(&self, files: Vec<File>) -> Result<(Vec<File>, Vec<String>)> {
        let cancel = self.cancel.clone();
        blocking(move || {
            let (mut looked, mut digests) = (Vec::new(), Vec::new());
            for (mut file, number) in files.into_iter().zip(1_u32..) {
                digests.push(file.input.digest(&cancel)?);
                let header = file.rows();
                let header =
                    header.map_err(|error| error.in_file(file.table.name).in_input(number))?;
                file.columns = columns(file.table, header.headers())?;
                looked.push(file);
            }
            Ok((looked, digests))
        })
        .await
    }
}

fn report(files: &[File], digests: &[String]) -> IngestReport {
    let sizes = files.iter().map(|file| file.input.size());
    IngestReport::of_inputs(digests.iter().zip(sizes))
}

/// `PERSON.csv.gz` as `person`; `None` for what is no table.
fn table_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let mut stems = [".csv", ".tsv", ".parquet"].iter();
    Some(stems.find_map(|end| name.strip_suffix(end))?.to_owned())
}

fn known(name: &str) -> Result<&'static CdmTable> {
    if NAMELESS.contains(&name) {
        let message = format!(
            "table {name} tells of persons without a column person_id, so that its rows could not be hidden with \
             their person; move the file away (ingest table loads it for everybody who may read it)"
        );
        return Err(Error::Request(message));
    }
    cdm::table(name).ok_or_else(|| {
        let near = cdm::nearest(name).map(|near| format!("; did you mean {near}?"));
        Error::Request(format!(
            "{name} is no table of the OMOP CDM{}",
            near.unwrap_or_else(|| "; rename it or move it away".to_owned())
        ))
    })
}

/// The columns of a file, typed by the model.
fn columns(table: &CdmTable, headers: &[String]) -> Result<Vec<Column>> {
    let mut names = Names::default();
    let column = |(header, number): (&String, usize)| {
        let name = sql_name(header, number);
        let ty = table.column(&name);
        Column {
            name: names.take(&name),
            source: format!("{}.{name}", table.name),
            ty: ty.unwrap_or(ColumnType::Text),
            comment: String::new(),
        }
    };
    let columns: Vec<Column> = headers.iter().zip(1..).map(column).collect();
    let renamed = |column: &&Column| column.source != format!("{}.{}", table.name, column.name);
    if let Some(twice) = columns.iter().find(renamed) {
        let message = format!(
            "{} stands twice in the header; leave the column that is meant",
            twice.source
        );
        return Err(Error::Request(message));
    }
    let needs = [
        table.key(),
        if table.is_of_persons() {
            PERSON
        } else {
            table.key()
        },
    ];
    for needed in needs {
        if !columns.iter().any(|column| column.name == needed) {
            let message = format!(
                "{} has no column {needed}, which the CDM asks for",
                table.name
            );
            return Err(Error::Request(message));
        }
    }
    Ok(columns)
}

impl File {
    fn rows(&self) -> Result<Box<dyn Rows>> {
        let head = self.input.head()?;
        if Format::detect(self.input.name(), &head) == Format::Parquet {
            return Ok(Box::new(ParquetInput::open(&self.input)?.rows()?));
        }
        let first = head.split(|b| *b == b'\n').next().unwrap_or_default();
        // Vocabularies come with tabs under the name of csv.
        let format = match first.contains(&b'\t') {
            true => Format::Tsv,
            false => Format::Csv.divided(&head),
        };
        Ok(Box::new(Delimited::new(self.input.read()?, format)?))
    }

    /// Columns that the model does not have.
    fn unknown(&self) -> usize {
        let unknown = |column: &&Column| self.table.column(&column.name).is_none();
        self.columns.iter().filter(unknown).count()
    }

    /// Sends the rows; gives their number.
    fn send(&self, mut out: Out<'_>) -> Result<u64> {
        let mut rows = self.rows()?;
        let person = self.columns.iter().position(|column| column.name == PERSON);
        let key = self.table.unique_key();
        let key = key.and_then(|key| self.columns.iter().position(|column| column.name == key));
        let mut keys = Keys::default();
        let mut n = 0;
        let told = |error: Error| error.in_file(self.table.name);
        while let Some(line) = rows.next_row().map_err(told)? {
            if person.is_some_and(|person| rows.cell(person) == Cell::Null) {
                return Err(Error::Cell {
                    input: 1,
                    line,
                    column: format!("{}.{PERSON}", self.table.name),
                    message: "no value: the row is of nobody (rule omop-person)".to_owned(),
                });
            }
            if let Some(key) = key
                && !keys.is_new(rows.cell(key))
            {
                return Err(Error::Cell {
                    input: 1,
                    line,
                    column: format!("{}.{}", self.table.name, self.columns[key].name),
                    message: "a row before it has the same key (rule omop-key-twice)".to_owned(),
                });
            }
            let texts: Vec<Option<Cow<'_, str>>> = self
                .columns
                .iter()
                .enumerate()
                .map(|(place, column)| match rows.cell(place) {
                    Cell::Bare(text) | Cell::Quoted(text) => Some(fitted(text, column.ty)),
                    _ => None,
                })
                .collect();
            let cells: Vec<Cell<'_>> = texts
                .iter()
                .map(|text| text.as_deref().map_or(Cell::Null, Cell::Bare))
                .collect();
            out.row(&cells, line)?;
            n += 1;
        }
        out.flush()?;
        Ok(n)
    }
}

/// A text in the form that its type is read from.
fn fitted(text: &str, ty: ColumnType) -> Cow<'_, str> {
    match ty {
        ColumnType::Int4 | ColumnType::Int8 => {
            let whole = text.split_once('.');
            let whole =
                whole.filter(|(_, rest)| !rest.is_empty() && rest.bytes().all(|b| b == b'0'));
            Cow::Borrowed(whole.map_or(text, |(whole, _)| whole))
        }
        ColumnType::Date => dashed(without_midnight(without_zone(text))),
        ColumnType::Timestamp => dashed(without_zone(text)),
        _ => Cow::Borrowed(text),
    }
}

/// A moment without the zone that says UTC: the model has times without zone.
fn without_zone(text: &str) -> &str {
    let mut zones = ["Z", "+00:00", "+0000", "+00", " UTC"].iter();
    let bare = zones.find_map(|zone| text.strip_suffix(zone));
    bare.filter(|bare| bare.contains(':')).unwrap_or(text)
}

/// The day of a moment that is its midnight.
fn without_midnight(text: &str) -> &str {
    let is_zero = |time: &str| match time.strip_prefix("00:00") {
        Some(rest) => rest.bytes().all(|b| matches!(b, b'0' | b':' | b'.')),
        None => false,
    };
    match text.split_once([' ', 'T']) {
        Some((day, time)) if is_zero(time) => day,
        _ => text,
    }
}

/// `20240229` as `2024-02-29`.
fn dashed(text: &str) -> Cow<'_, str> {
    match (text.len(), text.bytes().all(|b| b.is_ascii_digit())) {
        (8, true) => Cow::Owned(format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..])),
        _ => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_other_programs_fit() {
        for (text, ty, expected) in [
            ("8507.0", ColumnType::Int8, "8507"),
            ("8507.5", ColumnType::Int8, "8507.5"),
            ("8507.", ColumnType::Int8, "8507."),
            ("20240229", ColumnType::Date, "2024-02-29"),
            ("2024-02-29 00:00:00", ColumnType::Date, "2024-02-29"),
            (
                "2024-02-29 10:00:00",
                ColumnType::Date,
                "2024-02-29 10:00:00",
            ),
            ("20240229", ColumnType::Text, "20240229"),
            ("2020-01-01 00:00:00.000", ColumnType::Date, "2020-01-01"),
            ("2020-01-01T00:00:00Z", ColumnType::Date, "2020-01-01"),
            ("2020-01-01 00:00:00+00", ColumnType::Date, "2020-01-01"),
            ("2020-01-01 00:00:00 UTC", ColumnType::Date, "2020-01-01"),
            (
                "2020-01-01 00:00:00.001",
                ColumnType::Date,
                "2020-01-01 00:00:00.001",
            ),
            ("20200101", ColumnType::Timestamp, "2020-01-01"),
            (
                "2020-01-01T10:11:12.5Z",
                ColumnType::Timestamp,
                "2020-01-01T10:11:12.5",
            ),
            (
                "2020-01-01 10:11:12+00:00",
                ColumnType::Timestamp,
                "2020-01-01 10:11:12",
            ),
            (
                "2020-01-01 10:11:12+09",
                ColumnType::Timestamp,
                "2020-01-01 10:11:12+09",
            ),
        ] {
            assert_eq!(fitted(text, ty), expected, "{text}");
        }
    }

    #[test]
    fn files_are_told_by_their_names() {
        let name = |text: &str| table_name(Path::new(text));
        assert_eq!(name("d/PERSON.csv.gz").as_deref(), Some("person"));
        assert_eq!(name("d/Person.parquet").as_deref(), Some("person"));
        assert_eq!(name("d/README.md"), None);
    }
}
