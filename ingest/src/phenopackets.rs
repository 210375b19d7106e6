//! Phenopackets, version 2 of the schema, in JSON: one in a file or many, families and cohorts too, into long tables.
//!
//! ```text
//! *.json ─┬─► clin.person          subject, pedigree       clin.measurement
//!         ├─► clin.phenotype       excluded or there       clin.treatment       medical actions
//!         ├─► clin.condition       diseases                clin.interpretation  variants: join with a call set
//!         ├─► clin.specimen        biosamples              clin.family
//!         └─► clin.phenopacket     the message as it came
//! ```
//! - A phenotype that was looked for and not found is a row with `excluded` true, never a missing row.
//! - Tables that are there already keep their columns; those that they lack are added.
//! - A person has one phenopacket: a second one, in these files or in the lake, is an error. Whom only the pedigree of a
//!   family knows has none; their first one takes the place of that row and keeps what the pedigree says.
//! - A phenotype of HPO that the release in the lake does not know is an error; without HPO in the lake none is looked up.
//!   One that is obsolete without a term in its place is counted in the report (`obsolete-term`).
//! - All files land or none. Errors name the input, the line where its message begins and the JSON path.

mod node;
mod rows;
mod tables;
mod times;
mod words;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use futures::TryStreamExt as _;
use genokura_core::contig::{Assembly, ContigNames};
use genokura_storage::{FileReader, Lake, ReadPlan, TableId, TableSnapshot};

use crate::assembly::Said;
use crate::error::{Error, Result};
use crate::ontology::known::{KnownTerms, note_obsolete};
use crate::progress::{CancelFlag, Progress, Silent};
use crate::report::IngestReport;
use crate::table::fixed::{FixedColumn, Out, columns};
use crate::table::json::{JsonRows, Strict};
use crate::table::{Input, Landing, Sink, blocking, merged, schema_of};

use node::Node;
use rows::{Reader, Told};
use tables::{Row, Rows, Table};

/// Files of phenopackets into the tables of one schema.
pub struct PhenopacketsJob {
    /// The lake.
    pub lake: Arc<Lake>,
    /// The schema.
    pub schema: String,
    /// Paths, globs, URLs or `-`; gzip is seen by itself. A file is a message, an array of them, or one after the other.
    /// A directory stands for the JSON files in it and below.
    pub inputs: Vec<String>,
    /// How human primary contigs are to be named; `None`: as the files name them.
    pub contigs: Option<ContigNames>,
    /// Drop the rows and columns of the tables first. Otherwise rows are added.
    pub replace: bool,
    /// Where to report to.
    pub progress: Arc<dyn Progress>,
    /// Stops the job.
    pub cancel: CancelFlag,
}

/// What reading has found so far.
struct Read {
    reader: Reader,
    /// Where each person was met.
    persons: HashMap<String, Met>,
    /// Persons whose row in the lake goes, since their phenopacket has come.
    superseded: HashSet<String>,
    messages: Vec<u64>,
}

/// Where a person was met.
enum Met {
    Lake,
    Input(u32, u64),
    /// In the pedigree of a family only; the row that the lake has (0), or that this input is to add, at its line.
    Pedigree(Row, u32, u64),
}

impl PhenopacketsJob {
    /// A job that adds to `clin`, silently.
    #[must_use]
    pub fn new(lake: Arc<Lake>, inputs: Vec<String>) -> Self {
        Self {
            lake,
            schema: "clin".to_owned(),
            inputs,
            contigs: None,
            replace: false,
            progress: Arc::new(Silent),
            cancel: CancelFlag::new(),
        }
    }

    /// Reads the files and commits their rows. The same files again (by digest) are a no-op.
    ///
    /// # Errors
    /// [`Error::Line`] for a message that breaks the schema, is of version 1 or tells of a person who is there already;
    /// [`Error::Request`] for a table with a column of another type; what reading and the lake report. The lake is then
    /// as it was.
    pub async fn run(self) -> Result<IngestReport> {
        let begun = Instant::now();
        let named = self.inputs.clone();
        let files = blocking(move || files(&named)).await?;
        let inputs = Arc::new(Input::open_all(&files).await?);
        let id = |table: &Table| TableId::new(&self.schema, table.name());
        let ids: Vec<TableId> = Table::ALL.iter().map(id).collect();
        let operation = "ingest phenopackets";
        let landing = Landing::begin_all(&self.lake, ids.clone(), self.replace, operation).await?;
        let (again, cancel) = (Arc::clone(&inputs), self.cancel.clone());
        let digests: Vec<String> = blocking(move || {
            let digests = again.iter().map(|input| input.digest(&cancel));
            digests.collect()
        })
        .await?;
        let mut report = report(&inputs, &digests);
        let key = self.key(digests);
        if landing.has_landed(&key).await? {
            report.already_done = true;
            report.lake_version = landing.version();
            return Ok(report);
        }
        let persons = self.table_of(&ids[0], landing.existing()).await?;
        let known = self.known_persons(persons.as_deref()).await?;
        let terms = KnownTerms::of_hpo(&self.lake, &self.cancel).await?;
        let obsolete = terms.as_ref().map(KnownTerms::obsolete_met);
        let mut read = Read {
            reader: Reader {
                contigs: self.contigs,
                terms,
            },
            persons: known.into_iter().collect(),
            superseded: HashSet::new(),
            messages: vec![0; inputs.len()],
        };
        let all: Vec<Vec<FixedColumn>> = Table::ALL.iter().map(|table| table.columns()).collect();
        let mut schemas = Vec::new();
        for ((id, of), existing) in ids.iter().zip(&all).zip(landing.existing_of_all()) {
            schemas.push(merged(
                id,
                schema_of(&columns(of)).fields(),
                existing.as_ref(),
            )?);
        }
        let details = serde_json::json!({
            "key": key,
            "inputs": report.inputs.iter().map(|i| serde_json::json!({"size": i.size, "digest": i.digest}))
                .collect::<Vec<_>>(),
        });
        let (cancel, progress) = (self.cancel.clone(), Arc::clone(&self.progress));
        let targets = schemas.clone();
        let lake = Arc::clone(&self.lake);
        let (tell, told) = tokio::sync::oneshot::channel();
        let produce = move |sink: &Sink| {
            let mut outs = Vec::new();
            let target = Arc::clone(&targets[PERSONS]);
            for (table, (of, target)) in all.iter().zip(targets).enumerate() {
                outs.push(Out::new(table, of, &cancel, sink).into_schema(target));
            }
            for (input, number) in inputs.iter().zip(1_u32..) {
                let sent = read.input(input, number, &all, &mut outs, sink);
                sent.map_err(|error| error.in_input(number))?;
                progress.records(read.messages.iter().sum());
                cancel.check()?;
            }
            read.send_pedigreed(&all[PERSONS], &mut outs[PERSONS])?;
            outs.iter_mut().try_for_each(Out::flush)?;
            if let Some(persons) = persons.filter(|_| !read.superseded.is_empty()) {
                sink.rewrite(PERSONS)?;
                let kept = Kept {
                    target,
                    superseded: &read.superseded,
                    cancel: &cancel,
                };
                kept.send(&lake, &persons, sink)?;
            }
            // Nobody listens only where the job has failed already.
            let _ = tell.send(read.messages);
            Ok(())
        };
        let landed = landing.write_all(schemas, details, produce).await?;
        let messages = told.await.map_err(|e| Error::Internal(e.to_string()))?;
        note_obsolete(&mut report, obsolete.as_ref());
        for (input, n) in report.inputs.iter_mut().zip(messages) {
            input.records = n;
        }
        report.records_read = report.inputs.iter().map(|input| input.records).sum();
        report.records_stored = report.records_read;
        report.rows = landed.rows;
        report.lake_version = landed.version;
        report.notes.extend(landed.notes);
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    /// What names the inputs in the lake's log, whatever their order.
    fn key(&self, mut digests: Vec<String>) -> String {
        digests.sort();
        digests.extend(
            self.contigs
                .map(|names| format!("contigs:{}", names.as_str())),
        );
        digests.join("+")
    }

    /// The table of persons that rows are added to, when it has ids of them.
    async fn table_of(
        &self,
        id: &TableId,
        existing: Option<&SchemaRef>,
    ) -> Result<Option<Arc<TableSnapshot>>> {
        let field = existing.and_then(|schema| schema.field_with_name("person_id").ok());
        if field.is_none_or(|field| field.data_type() != &DataType::Utf8) {
            return Ok(None);
        }
        Ok(self.lake.snapshot().await?.table(id).await?)
    }

    /// Everybody whom the table of persons has.
    async fn known_persons(&self, table: Option<&TableSnapshot>) -> Result<Vec<(String, Met)>> {
        let mut persons = Vec::new();
        let Some(table) = table else {
            return Ok(persons);
        };
        let wanted = |field: &&FieldRef| {
            let name = field.name().as_str();
            name == "person_id" || name == "phenopacket_id" || OF_PEDIGREE.contains(&name)
        };
        let fields: Vec<FieldRef> = table
            .schema
            .fields()
            .iter()
            .filter(wanted)
            .cloned()
            .collect();
        let schema = Arc::new(Schema::new(fields));
        for file in &table.files {
            let reader = FileReader::open(&self.lake, file).await?;
            let mut batches = reader.read(ReadPlan::of(Arc::clone(&schema)))?;
            while let Some(batch) = batches.try_next().await? {
                self.cancel.check()?;
                let ids = batch.column_by_name("person_id");
                let ids = ids.and_then(|ids| ids.as_string_opt::<i32>());
                let ids =
                    ids.ok_or_else(|| Error::Internal("persons of another type".to_owned()))?;
                for (row, id) in ids.iter().enumerate() {
                    let Some(id) = id else { continue };
                    let met = match of_pedigree(&batch, row, id) {
                        Some(told) => Met::Pedigree(told, 0, 0),
                        None => Met::Lake,
                    };
                    persons.push((id.to_owned(), met));
                }
            }
        }
        Ok(persons)
    }
}

/// The place of the table of persons.
const PERSONS: usize = 0;
/// What a pedigree says of a person.
const OF_PEDIGREE: [&str; 6] = [
    "family_id",
    "father_id",
    "mother_id",
    "sex",
    "affected",
    "proband",
];

/// The row of a person whom only a pedigree knows: no phenopacket, and a family that tells whether they are its proband.
fn of_pedigree(batch: &RecordBatch, row: usize, id: &str) -> Option<Row> {
    let packet = batch.column_by_name("phenopacket_id")?;
    let is_there = |name: &str| batch.column_by_name(name).is_some_and(|c| c.is_valid(row));
    if packet.is_valid(row) || !is_there("family_id") || !is_there("proband") {
        return None;
    }
    let mut told = Row::of(Table::Person);
    told.put("person_id", id);
    for name in OF_PEDIGREE {
        let column = batch.column_by_name(name).filter(|c| c.is_valid(row));
        let Some(column) = column else { continue };
        if let Some(truths) = column.as_boolean_opt() {
            told.put(name, truths.value(row));
        } else if let Some(texts) = column.as_string_opt::<i32>() {
            told.put(name, texts.value(row));
        }
    }
    Some(told)
}

/// The rows of persons that stay when others go.
struct Kept<'a> {
    target: SchemaRef,
    superseded: &'a HashSet<String>,
    cancel: &'a CancelFlag,
}

impl Kept<'_> {
    /// Blocking.
    fn send(&self, lake: &Arc<Lake>, table: &TableSnapshot, sink: &Sink) -> Result<()> {
        let handle = tokio::runtime::Handle::current();
        for file in &table.files {
            let reader = handle.block_on(FileReader::open(lake, file))?;
            let mut batches = reader.read(ReadPlan::of(Arc::clone(&table.schema)))?;
            while let Some(batch) = handle.block_on(batches.try_next())? {
                self.cancel.check()?;
                let kept = filter_record_batch(&batch, &self.mask(&batch)?)?;
                let rows = kept.num_rows();
                let column = |field: &FieldRef| match kept.column_by_name(field.name()) {
                    Some(column) => Arc::clone(column),
                    None => new_null_array(field.data_type(), rows),
                };
                let columns = self.target.fields().iter().map(column).collect();
                let kept = RecordBatch::try_new(Arc::clone(&self.target), columns)?;
                sink.keep(PERSONS, kept)?;
            }
        }
        Ok(())
    }

    fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let ids = batch.column_by_name("person_id");
        let ids = ids.and_then(|ids| ids.as_string_opt::<i32>());
        let ids = ids.ok_or_else(|| Error::Internal("persons of another type".to_owned()))?;
        let stays = |(row, id): (usize, Option<&str>)| match id {
            Some(id) => !self.superseded.contains(id) || of_pedigree(batch, row, id).is_none(),
            None => true,
        };
        Ok(ids.iter().enumerate().map(stays).map(Some).collect())
    }
}

impl Read {
    fn input(
        &mut self,
        input: &Input,
        number: u32,
        all: &[Vec<FixedColumn>],
        outs: &mut [Out<'_>],
        sink: &Sink,
    ) -> Result<()> {
        let mut messages = JsonRows::new(input.read()?);
        let mut n = 0;
        while let Some(line) = messages.next_object()? {
            let fault = |message: String| Error::Line {
                input: number,
                line,
                rule: "phenopacket",
                message,
            };
            let value = serde_json::from_slice::<Strict>(messages.object());
            let Strict(value) = value
                .map_err(|e| fault(format!("the message that begins here is no JSON: {e}")))?;
            let (mut rows, persons) = self
                .reader
                .message(&Node::root(&value))
                .map_err(|found| fault(found.0))?;
            for person in persons {
                self.person(person, &mut rows, (number, line))
                    .map_err(&fault)?;
            }
            for row in &rows.0 {
                let place = Table::ALL.iter().position(|table| *table == row.table);
                let place = place.ok_or_else(|| Error::Internal("a row of no table".to_owned()))?;
                if let Some(text) = row.text("assembly")
                    && let Some(assembly) = Assembly::named_in(text)
                {
                    let by = format!("genomeAssembly {text:?} of the message");
                    sink.said(place, Said::by_value(assembly, number, line, by))?;
                }
                row.send(&all[place], &mut outs[place], line)?;
            }
            n += 1;
        }
        if n == 0 {
            let reason = "no phenopacket in it".to_owned();
            return Err(Error::Format {
                input: number,
                reason,
            });
        }
        if let Some(messages) = self.messages.get_mut(number as usize - 1) {
            *messages = n;
        }
        Ok(())
    }
}

impl Read {
    /// Notes a person of a message at a place, and refuses one who is there already.
    fn person(
        &mut self,
        person: Told,
        rows: &mut Rows,
        (input, line): (u32, u64),
    ) -> std::result::Result<(), String> {
        let met = match person.is_of_pedigree {
            // Their phenopacket may come yet.
            true => match rows.take_person(&person.id) {
                Some(row) => Met::Pedigree(row, input, line),
                None => Met::Input(input, line),
            },
            false => Met::Input(input, line),
        };
        let before = self.persons.insert(person.id.clone(), met);
        let told = match before {
            None => return Ok(()),
            Some(Met::Pedigree(row, of, _)) if !person.is_of_pedigree => {
                rows.fill_person(&person.id, row);
                if of == 0 {
                    self.superseded.insert(person.id);
                }
                return Ok(());
            }
            Some(Met::Lake | Met::Pedigree(_, 0, _)) => {
                "in the lake already; use --replace, or leave the file out".to_owned()
            }
            Some(Met::Input(input, line) | Met::Pedigree(_, input, line)) => {
                format!("in input {input}, line {line} already; a person has one phenopacket")
            }
        };
        let place = match person.is_of_pedigree {
            true => "pedigree",
            false => "subject.id",
        };
        Err(format!("{place}: the person is {told}"))
    }

    /// Sends the rows of those whom only the pedigrees of these inputs know, in the order of the inputs.
    fn send_pedigreed(&mut self, columns: &[FixedColumn], out: &mut Out<'_>) -> Result<()> {
        let mut rows: Vec<(u32, u64, &String, &Row)> = Vec::new();
        for (person, met) in &self.persons {
            match met {
                Met::Pedigree(row, input, line) if *input > 0 => {
                    rows.push((*input, *line, person, row));
                }
                _ => {}
            }
        }
        rows.sort_by_key(|(input, line, person, _)| (*input, *line, *person));
        let mut rows = rows.into_iter();
        rows.try_for_each(|(_, line, _, row)| row.send(columns, out, line))
    }
}

/// The inputs, with the JSON files of a directory and of those below it in its place.
fn files(inputs: &[String]) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for input in inputs {
        match Path::new(input).is_dir() {
            true => {
                let before = files.len();
                of_directory(Path::new(input), &mut files)?;
                if files.len() == before {
                    let message = format!("no .json or .jsonl file in the directory {input:?}");
                    return Err(Error::Request(message));
                }
            }
            false => files.push(input.clone()),
        }
    }
    Ok(files)
}

fn of_directory(directory: &Path, files: &mut Vec<String>) -> Result<()> {
    let cannot = |e: std::io::Error| {
        Error::Request(format!("the directory {directory:?} cannot be read: {e}"))
    };
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        // A link may lead back.
        entries.push((entry.path(), entry.file_type().map_err(cannot)?.is_dir()));
    }
    entries.sort();
    for (path, is_directory) in entries {
        if is_directory {
            of_directory(&path, files)?;
            continue;
        }
        let text = path.to_str().map(str::to_owned);
        let text = text.ok_or_else(|| Error::Request("a path that is not UTF-8".to_owned()))?;
        let name = text.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        if [".json", ".jsonl", ".ndjson"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            files.push(text);
        }
    }
    Ok(())
}

fn report(inputs: &[Input], digests: &[String]) -> IngestReport {
    IngestReport::of_inputs(digests.iter().zip(inputs.iter().map(Input::size)))
}
