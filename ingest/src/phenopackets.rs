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
//! - A person has one phenopacket: a second one, in these files or in the lake, is an error.
//! - A phenotype of HPO that the release in the lake does not know is an error; without HPO in the lake none is looked up.
//! - All files land or none. Errors name the input, the line where its message begins and the JSON path.

mod message;
mod node;
mod tables;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::AsArray as _;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use futures::TryStreamExt as _;
use genokura_core::contig::ContigNames;
use genokura_storage::{FileReader, Lake, ReadPlan, TableId};

use crate::error::{Error, Result};
use crate::ontology::known::KnownTerms;
use crate::progress::{CancelFlag, Progress, Silent};
use crate::report::IngestReport;
use crate::table::fixed::{FixedColumn, Out, columns};
use crate::table::json::JsonRows;
use crate::table::{Input, Landing, Sink, blocking, merged, schema_of};

use message::Reader;
use node::Node;
use tables::Table;

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
    messages: Vec<u64>,
}

/// Where a person was met.
enum Met {
    InTheLake,
    InInput(u32, u64),
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
        let known = self.known_persons(&ids[0], landing.existing()).await?;
        let mut read = Read {
            reader: Reader {
                contigs: self.contigs,
                terms: KnownTerms::of_hpo(&self.lake, &self.cancel).await?,
            },
            persons: known.into_iter().map(|id| (id, Met::InTheLake)).collect(),
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
        let (tell, told) = tokio::sync::oneshot::channel();
        let produce = move |sink: &Sink| {
            let mut outs = Vec::new();
            for (table, (of, target)) in all.iter().zip(targets).enumerate() {
                outs.push(Out::new(table, of, &cancel, sink).into_schema(target));
            }
            for (input, number) in inputs.iter().zip(1_u32..) {
                let sent = read.input(input, number, &all, &mut outs);
                sent.map_err(|error| error.in_input(number))?;
                progress.records(read.messages.iter().sum());
                cancel.check()?;
            }
            // Nobody listens only where the job has failed already.
            let _ = tell.send(read.messages);
            outs.iter_mut().try_for_each(Out::flush)
        };
        let landed = landing.write_all(schemas, details, produce).await?;
        let messages = told.await.map_err(|e| Error::Internal(e.to_string()))?;
        for (input, n) in report.inputs.iter_mut().zip(messages) {
            input.records = n;
        }
        report.records_read = report.inputs.iter().map(|input| input.records).sum();
        report.records_stored = report.records_read;
        report.rows = landed.rows;
        report.lake_version = landed.version;
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

    /// Everybody whom the table of persons has.
    async fn known_persons(
        &self,
        id: &TableId,
        existing: Option<&SchemaRef>,
    ) -> Result<Vec<String>> {
        let mut persons = Vec::new();
        let Some(field) = existing.and_then(|schema| schema.field_with_name("person_id").ok())
        else {
            return Ok(persons);
        };
        if field.data_type() != &DataType::Utf8 {
            return Ok(persons);
        }
        let snapshot = self.lake.snapshot().await?;
        let Some(table) = snapshot.table(id).await? else {
            return Ok(persons);
        };
        let schema = Arc::new(Schema::new(vec![field.clone()]));
        for file in &table.files {
            let reader = FileReader::open(&self.lake, file).await?;
            let mut batches = reader.read(ReadPlan::of(Arc::clone(&schema)))?;
            while let Some(batch) = batches.try_next().await? {
                self.cancel.check()?;
                let ids = batch.column(0).as_string_opt::<i32>();
                let ids =
                    ids.ok_or_else(|| Error::Internal("persons of another type".to_owned()))?;
                persons.extend(ids.iter().flatten().map(str::to_owned));
            }
        }
        Ok(persons)
    }
}

impl Read {
    fn input(
        &mut self,
        input: &Input,
        number: u32,
        all: &[Vec<FixedColumn>],
        outs: &mut [Out<'_>],
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
            let value = serde_json::from_slice(messages.object());
            let value: serde_json::Value = value
                .map_err(|e| fault(format!("the message that begins here is no JSON: {e}")))?;
            let (rows, persons) = self
                .reader
                .message(&Node::root(&value))
                .map_err(|found| fault(found.0))?;
            for person in persons {
                let before = self.persons.insert(person, Met::InInput(number, line));
                let told = match before {
                    None => continue,
                    Some(Met::InTheLake) => {
                        "in the lake already; use --replace, or leave the file out".to_owned()
                    }
                    Some(Met::InInput(input, line)) => {
                        format!(
                            "in input {input}, line {line} already; a person has one phenopacket"
                        )
                    }
                };
                return Err(fault(format!("subject.id: the person is {told}")));
            }
            for row in &rows.0 {
                let place = Table::ALL.iter().position(|table| *table == row.table);
                let place = place.ok_or_else(|| Error::Internal("a row of no table".to_owned()))?;
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
