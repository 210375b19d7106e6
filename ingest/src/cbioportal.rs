//! A study of cBioPortal: what its `meta_*.txt` files name, as tables.
//!
//! ```text
//! meta_study.txt             <study>.patient   <study>.sample      clinical attributes, typed by their header lines
//! meta_*.txt ─► data_*.txt ─► <study>.mutation  <study>.segment     MAF, SEG, <study>.structural_variant
//!                             omics.expression, copy_number, methylation, protein: a row for each gene and sample
//! ```
//! - `PATIENT_ID` is `person_id`, `SAMPLE_ID` and its like `sample_id`, in every table.
//! - Clinical: the `#` lines give comments and types (STRING, NUMBER, BOOLEAN); `[Not Available]` and its like are NULL.
//! - MAF: `contig, pos, end_pos, ref, alt` are the columns of these meanings; `alt` is the tumour's allele that differs
//!   from the reference ([`maf`]). Substitutions are as in a call set; insertions and deletions have MAF's `-`.
//! - Chromosomes 23 and 24 are X and Y, as cBioPortal numbers them.
//! - A mutation, segment or structural variant of no sample or at no place is refused: it would join nothing, unseen.
//!   Samples and patients that the clinical files do not list are told of ([`met`]).
//! - Matrices are long: `study_id, profile, gene, entrez_id, sample_id, value`; a cell without a value has no row.
//! - All files land together or not at all. A cell that does not fit is named with file, line and column.

mod clinical;
mod file;
mod maf;
mod matrix;
mod met;
mod meta;
mod tables;

use std::sync::Arc;
use std::time::Instant;

use genokura_core::contig::ContigNames;
use genokura_storage::{Lake, TableId};

use crate::error::{Error, Result};
use crate::progress::{CancelFlag, Progress, Silent};
use crate::report::IngestReport;
use crate::table::fixed::Out;
use crate::table::{Input, Landing, Sink, blocking, merged, schema_of, sql_name};

use file::File;
pub(crate) use file::contig;
use met::Met;
use meta::{Kind, Study};
use tables::Listed;

/// One study into the tables of its schema and of `omics`.
pub struct CbioportalJob {
    /// The lake.
    pub lake: Arc<Lake>,
    /// The schema of the study's tables; `None`: the study's identifier.
    pub schema: Option<String>,
    /// The schema of its matrices.
    pub omics: String,
    /// The directory of the study.
    pub directory: String,
    /// How human primary contigs are to be named; `None`: as the files name them.
    pub contigs: Option<ContigNames>,
    /// Where to report to.
    pub progress: Arc<dyn Progress>,
    /// Stops the job.
    pub cancel: CancelFlag,
}

impl CbioportalJob {
    /// A job that adds to the study's schema and `omics`, silently.
    #[must_use]
    pub fn new(lake: Arc<Lake>, directory: impl Into<String>) -> Self {
        Self {
            lake,
            schema: None,
            omics: "omics".to_owned(),
            directory: directory.into(),
            contigs: None,
            progress: Arc::new(Silent),
            cancel: CancelFlag::new(),
        }
    }

    /// Reads the study and commits its rows. The same files again (by digest) are a no-op.
    ///
    /// # Errors
    /// [`Error::Request`] for a directory that is no study, [`Error::Cell`] and [`Error::Line`] for what does not fit,
    /// and what reading and the lake report. The lake is then as it was.
    pub async fn run(self) -> Result<IngestReport> {
        let begun = Instant::now();
        let directory = self.directory.clone();
        let study = blocking(move || meta::read(&directory)).await?;
        let (files, digests) = self.look(&study).await?;
        let schema = self
            .schema
            .clone()
            .unwrap_or_else(|| sql_name(&study.id, 1));
        let id = |file: &File| match file.kind {
            Kind::Table(name) => TableId::new(&schema, name),
            Kind::Matrix(name) => TableId::new(&self.omics, name),
        };
        // Several files may go to one table.
        let mut ids: Vec<TableId> = Vec::new();
        let mut places = Vec::new();
        for file in &files {
            let id = id(file);
            let known = ids.iter().position(|known| *known == id);
            places.push(known.unwrap_or(ids.len()));
            if known.is_none() {
                ids.push(id);
            }
        }
        let landing =
            Landing::begin_all(&self.lake, ids.clone(), false, "ingest cbioportal").await?;
        let mut report = report(&files, &digests);
        let key = digests.join("+");
        if landing.has_landed(&key).await? {
            report.already_done = true;
            report.lake_version = landing.version();
            return Ok(report);
        }
        let mut there = ids.iter().zip(landing.existing_of_all());
        if there.any(|(id, existing)| id.schema == schema && existing.is_some()) {
            let message = format!(
                "schema {schema} has tables of a study already, and a study is loaded as a whole; name another with --schema"
            );
            return Err(Error::Request(message));
        }
        report
            .repairs
            .extend(study.others.iter().map(|other| (other.clone(), 1)));
        let mut schemas: Vec<_> = landing.existing_of_all().to_vec();
        for (file, &place) in files.iter().zip(&places) {
            let columns = schema_of(&file.columns);
            schemas[place] = Some(merged(
                &ids[place],
                columns.fields(),
                schemas[place].as_ref(),
            )?);
        }
        let schemas: Vec<_> = schemas.into_iter().flatten().collect();
        let inputs = report.inputs.iter();
        let inputs = inputs.map(|i| serde_json::json!({"size": i.size, "digest": i.digest}));
        let details = serde_json::json!({"key": key, "study": study.id, "inputs": inputs.collect::<Vec<_>>()});
        let (cancel, progress) = (self.cancel.clone(), Arc::clone(&self.progress));
        let (targets, contigs, study_id) = (schemas.clone(), self.contigs, study.id);
        let (tell, told) = tokio::sync::oneshot::channel();
        let produce = move |sink: &Sink| {
            let mut counts: Vec<u64> = Vec::new();
            let mut listed = Listed::new();
            let mut met = Met::default();
            for ((file, place), number) in files.iter().zip(places).zip(1_u32..) {
                let out = Out::of_columns(place, file.columns.clone(), &cancel, sink);
                let mut out = out.into_schema(Arc::clone(&targets[place]));
                let sent = match file.kind {
                    Kind::Matrix(_) => {
                        met.of_matrix(file);
                        file.send_matrix(&study_id, &mut out)
                    }
                    Kind::Table(_) => {
                        let to = (place, number, sink);
                        let known = (&mut listed, &mut met);
                        file.send_table(&study_id, contigs, known, &mut out, to)
                    }
                };
                counts.push(sent.map_err(|error| error.in_input(number))?);
                progress.records(counts.iter().sum());
            }
            // Nobody listens only where the job has failed already.
            let _ = tell.send((counts, met.notes(&listed)));
            Ok(())
        };
        let landed = landing.write_all(schemas, details, produce).await?;
        let (counts, notes) = told.await.map_err(|e| Error::Internal(e.to_string()))?;
        for (input, n) in report.inputs.iter_mut().zip(counts) {
            input.records = n;
        }
        report.records_read = report.inputs.iter().map(|input| input.records).sum();
        report.records_stored = report.records_read;
        report.rows = landed.rows;
        report.lake_version = landed.version;
        report.notes.extend(landed.notes);
        report.notes.extend(notes);
        report.seconds = begun.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Reads digests, headers, and types where the file does not tell them.
    async fn look(&self, study: &Study) -> Result<(Vec<File>, Vec<String>)> {
        let mut files = Vec::new();
        for data in &study.files {
            let path = data.path.to_str();
            let path = path.ok_or_else(|| Error::Request("a path that is not UTF-8".to_owned()))?;
            let input = Input::open(path).await?;
            files.push(File {
                kind: data.kind,
                profile: data.profile.clone(),
                name: input.name().to_owned(),
                assembly: data.assembly.clone(),
                input,
                columns: Vec::new(),
                parts: Vec::new(),
            });
        }
        let cancel = self.cancel.clone();
        blocking(move || {
            let mut digests = Vec::new();
            for (file, number) in files.iter_mut().zip(1_u32..) {
                digests.push(file.input.digest(&cancel)?);
                file.look(&cancel).map_err(|error| error.in_input(number))?;
            }
            Ok((files, digests))
        })
        .await
    }
}

fn report(files: &[File], digests: &[String]) -> IngestReport {
    let sizes = files.iter().map(|file| file.input.size());
    IngestReport::of_inputs(digests.iter().zip(sizes))
}
