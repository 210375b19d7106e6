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
//! - Matrices are long: `study_id, profile, gene, entrez_id, sample_id, value`; a cell without a value has no row.
//! - All files land together or not at all. A cell that does not fit is named with file, line and column.

mod maf;
mod meta;

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{BufRead as _, BufReader, Read as _};
use std::sync::Arc;
use std::time::Instant;

use genokura_core::contig::{Assembly, ContigNames};
use genokura_storage::{Lake, TableId};

use crate::assembly::Said;
use crate::error::{Error, NOT_UTF8, Result};
use crate::progress::{CancelFlag, Progress, Silent};
use crate::report::IngestReport;
use crate::table::fixed::Out;
use crate::table::{
    Cell, Column, ColumnType, Delimited, Format, Inference, Input, Landing, Names, Rows, Sink,
    blocking, merged, names_people, schema_of, sql_name,
};

use meta::{Kind, Study};

/// Header lines of a clinical file at most.
const CLINICAL_HEADERS: usize = 5;
/// Bytes of them at most.
const HEADER_BYTES_MAX: u64 = 64 << 20;
/// Columns of contigs in the tables.
const CONTIGS: [&str; 3] = ["contig", "site1_chromosome", "site2_chromosome"];
/// Rows between two looks at the cancel flag.
const ROWS_PER_CHECK: u64 = 4_096;
/// Columns of a matrix that are no samples.
const OF_GENES: [&str; 10] = [
    "hugo_symbol",
    "entrez_gene_id",
    "composite_element_ref",
    "cytoband",
    "entity_stable_id",
    "name",
    "description",
    "transcript_id",
    "url",
    "gene_symbol",
];
/// Words for no value in clinical files.
const NO_VALUE: [&str; 8] = [
    "[Not Available]",
    "[Not Applicable]",
    "[Not Evaluated]",
    "[Pending]",
    "[Discrepancy]",
    "[Unknown]",
    "[Completed]",
    "[null]",
];

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

/// Patients and samples of a study, and where each is listed: file and line.
type Listed = HashMap<(&'static str, String), (Arc<str>, u64)>;

/// A file and what becomes of its columns.
struct File {
    kind: Kind,
    profile: String,
    input: Input,
    name: String,
    /// The assembly that a meta file names, and what it says.
    assembly: Option<(Assembly, String)>,
    /// Columns of the table.
    columns: Vec<Column>,
    /// What stands in each column of the file.
    parts: Vec<Part>,
}

/// What a column of a file is.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    /// The column of the table at this place.
    Column(usize),
    /// The symbol of the gene, or what else names the row.
    Gene,
    Entrez,
    /// Values of a sample.
    Sample(String),
    /// Nothing that is kept.
    Passed,
}

/// Columns of a long matrix.
const MATRIX: [(&str, ColumnType, &str); 6] = [
    ("study_id", ColumnType::Text, "Study"),
    (
        "profile",
        ColumnType::Text,
        "Profile: what was measured, and how",
    ),
    (
        "gene",
        ColumnType::Text,
        "Symbol of the gene, or what else names the row",
    ),
    ("entrez_id", ColumnType::Int8, "Entrez id of the gene"),
    ("sample_id", ColumnType::Text, "Sample"),
    ("value", ColumnType::Float8, "Value"),
];

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
            for ((file, place), number) in files.iter().zip(places).zip(1_u32..) {
                let out = Out::of_columns(place, file.columns.clone(), &cancel, sink);
                let mut out = out.into_schema(Arc::clone(&targets[place]));
                let sent = match file.kind {
                    Kind::Matrix(_) => file.send_matrix(&study_id, &mut out),
                    Kind::Table(_) => {
                        let to = (place, number, sink);
                        file.send_table(&study_id, contigs, &mut listed, &mut out, to)
                    }
                };
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
        report.records_read = report.inputs.iter().map(|input| input.records).sum();
        report.records_stored = report.records_read;
        report.rows = landed.rows;
        report.lake_version = landed.version;
        report.notes.extend(landed.notes);
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

/// The name of a column that has a meaning here, by the kind of its file.
fn meaning(table: &str, name: &str) -> Option<(&'static str, ColumnType)> {
    use ColumnType::{Float8, Int4, Int8, Text};
    Some(match (table, name) {
        (_, "patient_id") => ("person_id", Text),
        (_, "sample_id" | "tumor_sample_barcode") | ("segment", "id") => ("sample_id", Text),
        ("mutation", "hugo_symbol") => ("gene", Text),
        (_, "entrez_gene_id") => ("entrez_id", Int8),
        ("mutation", "chromosome") | ("segment", "chrom") => ("contig", Text),
        ("mutation", "start_position") | ("segment", "loc_start") => ("pos", Int4),
        ("mutation", "end_position") | ("segment", "loc_end") => ("end_pos", Int4),
        ("structural_variant", "site1_chromosome") => ("site1_chromosome", Text),
        ("structural_variant", "site2_chromosome") => ("site2_chromosome", Text),
        ("mutation", "reference_allele") => ("ref", Text),
        ("mutation", maf::SECOND) => ("alt", Text),
        ("segment", "num_mark") => ("n_probes", Int4),
        ("segment", "seg_mean") => ("mean", Float8),
        _ => return None,
    })
}

/// The columns that a file must have.
fn needed(table: &str) -> &'static [&'static str] {
    match table {
        "patient" => &["person_id"],
        "sample" => &["person_id", "sample_id"],
        "mutation" => &["gene", "contig", "pos", "ref", "alt", "sample_id"],
        "structural_variant" => &["sample_id"],
        "segment" => &["sample_id", "contig", "pos", "end_pos", "mean"],
        _ => &[],
    }
}

/// The columns without which a row says nothing of anybody, and what a row without them lacks.
fn needed_in_rows(table: &str) -> &'static [(&'static str, &'static str)] {
    const SAMPLE: (&str, &str) = ("sample_id", "sample");
    const CONTIG: (&str, &str) = ("contig", "contig");
    const POS: (&str, &str) = ("pos", "position");
    match table {
        "mutation" => &[SAMPLE, CONTIG, POS],
        "segment" => &[SAMPLE, CONTIG, POS, ("end_pos", "end")],
        "structural_variant" => &[SAMPLE],
        _ => &[],
    }
}

/// Header lines of a clinical file: names, descriptions, types of the columns.
#[derive(Default)]
struct Told {
    names: Vec<String>,
    descriptions: Vec<String>,
    types: Vec<Option<ColumnType>>,
}

impl File {
    fn rows(&self) -> Result<FileRows<'_>> {
        let rows = Delimited::new(self.input.read()?, Format::Tsv);
        let rows = rows.map_err(|error| error.in_file(&self.name))?;
        Ok(FileRows {
            rows,
            name: &self.name,
            is_matrix: matches!(self.kind, Kind::Matrix(_)),
        })
    }

    fn look(&mut self, cancel: &CancelFlag) -> Result<()> {
        match self.kind {
            Kind::Matrix(_) => self.look_at_matrix(),
            Kind::Table(table) => self.look_at_table(table, cancel),
        }
    }

    fn look_at_matrix(&mut self) -> Result<()> {
        let rows = self.rows()?;
        let part = |(header, number): (&String, usize)| match sql_name(header, number).as_str() {
            "hugo_symbol" | "composite_element_ref" | "entity_stable_id" | "gene_symbol" => {
                Part::Gene
            }
            "entrez_gene_id" => Part::Entrez,
            name if OF_GENES.contains(&name) => Part::Passed,
            _ => Part::Sample(header.clone()),
        };
        let mut parts: Vec<Part> = rows.headers().iter().zip(1..).map(part).collect();
        // Of several columns that name the row the first does.
        let first = parts.iter().position(|part| *part == Part::Gene);
        for (at, part) in parts.iter_mut().enumerate() {
            if *part == Part::Gene && Some(at) != first {
                *part = Part::Passed;
            }
        }
        if first.is_none() && !parts.contains(&Part::Entrez) {
            return Err(
                self.refuse("no column Hugo_Symbol, Entrez_Gene_Id or Composite.Element.REF")
            );
        }
        let mut samples: Vec<&String> = Vec::new();
        for (part, number) in parts.iter().zip(1..) {
            let Part::Sample(sample) = part else { continue };
            if sample.is_empty() || samples.contains(&sample) {
                let message = format!(
                    "column {number} of the header names no sample, or one that another names"
                );
                return Err(self.refuse(&message));
            }
            samples.push(sample);
        }
        self.parts = parts;
        self.columns = crate::table::fixed::columns(&MATRIX);
        Ok(())
    }

    fn refuse(&self, message: &str) -> Error {
        let reason = format!("{}: {message}", self.name);
        Error::Format { input: 1, reason }
    }

    fn look_at_table(&mut self, table: &'static str, cancel: &CancelFlag) -> Result<()> {
        let told = match table {
            "patient" | "sample" => self.told()?,
            _ => Told::default(),
        };
        let mut rows = self.rows()?;
        let mut found: Vec<Inference> = vec![Inference::default(); rows.headers().len()];
        let mut n = 0_u64;
        while rows.next_row()?.is_some() {
            for (at, inference) in found.iter_mut().enumerate() {
                inference.observe(cell(rows.cell(at)));
            }
            n += 1;
            if n.is_multiple_of(ROWS_PER_CHECK) {
                cancel.check()?;
            }
        }
        let mut names = Names::default();
        let mut columns = vec![Column {
            name: names.take("study_id"),
            source: "study_id".to_owned(),
            ty: ColumnType::Text,
            comment: "Study".to_owned(),
        }];
        let headers = rows.headers().to_vec();
        let called: Vec<String> = headers
            .iter()
            .zip(1..)
            .map(|(h, n)| sql_name(h, n))
            .collect();
        // Of two alleles the second is the place of the alternative; a file may have the first alone.
        let only_first = !called.iter().any(|name| name == maf::SECOND);
        for (at, (header, name)) in headers.iter().zip(called).enumerate() {
            let (name, known) = match meaning(table, &name) {
                None if table == "mutation" && only_first && name == maf::FIRST => {
                    ("alt".to_owned(), Some(ColumnType::Text))
                }
                Some((name, ty)) => (name.to_owned(), Some(ty)),
                None => (name, None),
            };
            let declared = told.types.get(at).copied().flatten();
            let text = |texts: &[String]| texts.get(at).cloned().unwrap_or_default();
            let comment = match (text(&told.names), text(&told.descriptions)) {
                (name, description) if description.is_empty() || name == description => name,
                (name, description) => format!("{name}: {description}"),
            };
            columns.push(Column {
                name: names.take(&name),
                source: format!("{}: {header}", self.name),
                ty: known
                    .or(declared)
                    .unwrap_or_else(|| match names_people(header) {
                        true => ColumnType::Text,
                        false => found[at].result(),
                    }),
                comment,
            });
            self.parts.push(Part::Column(at + 1));
        }
        for needed in needed(table) {
            if !columns.iter().any(|column| column.name == *needed) {
                return Err(self.refuse(&format!("no column for {needed}")));
            }
        }
        self.columns = columns;
        Ok(())
    }

    /// The `#` lines of a clinical file: names, descriptions, types, priorities.
    fn told(&self) -> Result<Told> {
        let mut told = Told::default();
        let read = |e: std::io::Error| Error::Read {
            input: 1,
            reason: e.to_string(),
        };
        let head = self.input.read()?.take(HEADER_BYTES_MAX);
        let mut lines = BufReader::new(head)
            .split(b'\n')
            .take(CLINICAL_HEADERS)
            .zip(1_u64..);
        let mut cells = || -> Result<Option<Vec<String>>> {
            let Some((line, number)) = lines.next() else {
                return Ok(None);
            };
            let line = line.map_err(read)?;
            let bare = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
            if !bare.starts_with(b"#") {
                return Ok(None);
            }
            let line = String::from_utf8(line).map_err(|_| Error::Line {
                input: 1,
                line: number,
                rule: "utf8",
                message: format!("{}: {NOT_UTF8}", self.name),
            })?;
            let line = line.trim_start_matches('\u{feff}').trim_end_matches('\r');
            let cells = line.strip_prefix('#');
            Ok(cells.map(|line| {
                line.split('\t')
                    .map(|cell| cell.trim().to_owned())
                    .collect()
            }))
        };
        let (Some(names), Some(descriptions), Some(types)) = (cells()?, cells()?, cells()?) else {
            return Ok(told);
        };
        for (word, number) in types.iter().zip(1..) {
            told.types.push(match word.to_ascii_uppercase().as_str() {
                "STRING" => Some(ColumnType::Text),
                "NUMBER" => Some(ColumnType::Float8),
                "BOOLEAN" => Some(ColumnType::Bool),
                _ => {
                    let message = format!(
                        "{}: column {number}: {word:?} is no type; STRING, NUMBER and BOOLEAN are",
                        self.name
                    );
                    return Err(Error::Line {
                        input: 1,
                        line: 3,
                        rule: "cbioportal-type",
                        message,
                    });
                }
            });
        }
        (told.names, told.descriptions) = (names, descriptions);
        Ok(told)
    }

    /// Sends the rows of a table; gives their number.
    fn send_table(
        &self,
        study: &str,
        contigs: Option<ContigNames>,
        listed: &mut Listed,
        out: &mut Out<'_>,
        (table, number, sink): (usize, u32, &Sink),
    ) -> Result<u64> {
        let mut rows = self.rows()?;
        let mut builds = maf::Builds::of(&self.columns, self.kind);
        let key = self.key();
        let needed = self.needed_in_rows();
        let of_contigs = |(place, column): (usize, &Column)| {
            CONTIGS.contains(&column.name.as_str()).then_some(place)
        };
        let of_contigs: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .filter_map(of_contigs)
            .collect();
        let alleles = match self.kind {
            Kind::Table("mutation") => maf::Alleles::of(&self.columns),
            _ => None,
        };
        let mut n = 0;
        while let Some(line) = rows.next_row()? {
            let named = of_contigs
                .iter()
                .filter_map(|place| match rows.cell(place - 1) {
                    Cell::Bare(text) | Cell::Quoted(text) => Some((*place, contig(text, contigs))),
                    _ => None,
                });
            let named: Vec<(usize, Cow<'_, str>)> = named.collect();
            let mut cells = vec![Cell::Null; self.columns.len()];
            cells[0] = Cell::Quoted(study);
            for (at, part) in self.parts.iter().enumerate() {
                let Part::Column(place) = part else { continue };
                cells[*place] = cell(rows.cell(at));
            }
            for (place, name) in &named {
                if cells[*place] != Cell::Null {
                    cells[*place] = Cell::Quoted(name);
                }
            }
            if let Some((_, what)) = needed.iter().find(|(place, _)| cells[*place] == Cell::Null) {
                return Err(Error::Line {
                    input: 1,
                    line,
                    rule: "cbioportal-missing",
                    message: format!("{}: the row has no {what}", self.name),
                });
            }
            self.check_span(&cells, line)?;
            if let Some(builds) = &mut builds
                && let Some((assembly, build)) = builds.next(&cells)
            {
                let by = format!("NCBI_Build {build:?} of {}", self.name);
                sink.said(table, Said::by_value(assembly, number, line, by))?;
            }
            let variant = alleles.as_ref().map(|alleles| alleles.variant(&cells));
            let variant = variant.transpose().map_err(|message| Error::Line {
                input: 1,
                line,
                rule: "maf-alternative",
                message: format!("{}: {message}", self.name),
            })?;
            let cells = match (&alleles, &variant) {
                (Some(alleles), Some(variant)) => alleles.put(variant, cells),
                _ => cells,
            };
            if let Some((kind, place)) = key {
                self.check_key(kind, cells.get(place), line, listed)?;
            }
            out.row(&cells, line)?;
            n += 1;
        }
        // What no line says the meta files do.
        if let Some((assembly, by)) = &self.assembly
            && !builds.as_ref().is_some_and(maf::Builds::has_said)
        {
            sink.said(table, Said::by_value(*assembly, number, 1, by.clone()))?;
        }
        out.flush()?;
        Ok(n)
    }

    /// The columns that no row may lack, and what each is called.
    fn needed_in_rows(&self) -> Vec<(usize, &'static str)> {
        let Kind::Table(table) = self.kind else {
            return Vec::new();
        };
        let needed = needed_in_rows(table).iter().filter_map(|(name, what)| {
            let place = self
                .columns
                .iter()
                .position(|column| column.name == *name)?;
            Some((place, *what))
        });
        needed.collect()
    }

    /// What a row of a clinical file is about, and the column that names it.
    fn key(&self) -> Option<(&'static str, usize)> {
        let (kind, name) = match self.kind {
            Kind::Table("patient") => ("patient", "person_id"),
            Kind::Table("sample") => ("sample", "sample_id"),
            _ => return None,
        };
        let place = self.columns.iter().position(|column| column.name == name)?;
        Some((kind, place))
    }

    /// Refuses a patient or sample that was listed before, and a row of none.
    fn check_key(
        &self,
        kind: &'static str,
        cell: Option<&Cell<'_>>,
        line: u64,
        listed: &mut Listed,
    ) -> Result<()> {
        let refused = |rule, told: &str| Error::Line {
            input: 1,
            line,
            rule,
            message: format!("{}: {told}", self.name),
        };
        let Some(Cell::Bare(text) | Cell::Quoted(text)) = cell else {
            return Err(refused(
                "cbioportal-key",
                &format!("the row names no {kind}"),
            ));
        };
        match listed.entry((kind, (*text).to_owned())) {
            Entry::Occupied(first) => {
                let (file, first) = first.get();
                let told =
                    format!("the {kind} of this row is listed in line {first} of {file} already");
                Err(refused("cbioportal-twice", &told))
            }
            Entry::Vacant(place) => {
                place.insert((Arc::from(self.name.as_str()), line));
                Ok(())
            }
        }
    }

    /// Refuses a span that ends before it starts; what is no number is refused with its column.
    fn check_span(&self, cells: &[Cell<'_>], line: u64) -> Result<()> {
        let place = |name: &str| -> Option<i64> {
            let at = self.columns.iter().position(|column| column.name == name)?;
            match cells.get(at)? {
                Cell::Bare(text) | Cell::Quoted(text) => text.trim().parse().ok(),
                _ => None,
            }
        };
        match (place("pos"), place("end_pos")) {
            (Some(pos), Some(end)) if end < pos => Err(Error::Line {
                input: 1,
                line,
                rule: "span",
                message: format!("{}: end {end} is before start {pos}", self.name),
            }),
            _ => Ok(()),
        }
    }

    /// Sends the values of a matrix, gene by gene; gives the number of its rows.
    fn send_matrix(&self, study: &str, out: &mut Out<'_>) -> Result<u64> {
        let mut rows = self.rows()?;
        let mut n = 0;
        let gene = self.parts.iter().position(|part| *part == Part::Gene);
        let entrez = self.parts.iter().position(|part| *part == Part::Entrez);
        while let Some(line) = rows.next_row()? {
            let of = |place: Option<usize>| place.map_or(Cell::Null, |place| rows.cell(place));
            let (gene, entrez) = (of(gene), of(entrez));
            let gene = if gene == Cell::Null { entrez } else { gene };
            if gene == Cell::Null {
                let message = format!("{}: the row has no gene", self.name);
                return Err(Error::Line {
                    input: 1,
                    line,
                    rule: "cbioportal-gene",
                    message,
                });
            }
            for (at, part) in self.parts.iter().enumerate() {
                let Part::Sample(sample) = part else { continue };
                let value = match cell(rows.cell(at)) {
                    Cell::Null | Cell::Bare("NaN") => continue,
                    value => value,
                };
                if let Cell::Bare(text) | Cell::Quoted(text) = value
                    && text.parse::<f64>().is_err()
                {
                    return Err(Error::Cell {
                        input: 1,
                        line,
                        column: format!("{}: column {}", self.name, at + 1),
                        message: "no number (rule cell-type)".to_owned(),
                    });
                }
                let profile = Cell::Quoted(&self.profile);
                let cells = [
                    Cell::Quoted(study),
                    profile,
                    gene,
                    entrez,
                    Cell::Quoted(sample),
                    value,
                ];
                out.row(&cells, line)?;
            }
            n += 1;
        }
        out.flush()?;
        Ok(n)
    }
}

/// Rows of a file, whose name stands in every error.
struct FileRows<'a> {
    rows: Delimited<Box<dyn std::io::Read + Send>>,
    name: &'a str,
    /// Names of columns are samples, so that their numbers are told.
    is_matrix: bool,
}

impl Rows for FileRows<'_> {
    fn next_row(&mut self) -> Result<Option<u64>> {
        let row = self.rows.next_row();
        row.map_err(|mut error| {
            if let (true, Error::Cell { column, .. }) = (self.is_matrix, &mut error) {
                let place = self
                    .rows
                    .headers()
                    .iter()
                    .position(|header| header == column);
                *column = place.map_or_else(String::new, |place| format!("column {}", place + 1));
            }
            error.in_file(self.name)
        })
    }

    fn headers(&self) -> &[String] {
        self.rows.headers()
    }

    fn cell(&self, column: usize) -> Cell<'_> {
        self.rows.cell(column)
    }
}

/// The name of a contig: 23 and 24 are X and Y in the files of cBioPortal, and a primary is named as asked for.
pub(crate) fn contig(text: &str, names: Option<ContigNames>) -> Cow<'_, str> {
    let (prefix, plain) = match text.get(..3) {
        Some(prefix) if prefix.eq_ignore_ascii_case("chr") => text.split_at(3),
        _ => ("", text),
    };
    let text = match plain {
        "23" => Cow::Owned(format!("{prefix}X")),
        "24" => Cow::Owned(format!("{prefix}Y")),
        _ => Cow::Borrowed(text),
    };
    match names {
        Some(names) => Cow::Owned(names.of(&text).into_owned()),
        None => text,
    }
}

/// A cell as cBioPortal reads it.
fn cell(cell: Cell<'_>) -> Cell<'_> {
    match cell {
        Cell::Bare(text) | Cell::Quoted(text) if NO_VALUE.contains(&text) => Cell::Null,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chromosomes_are_numbered_as_cbioportal_does() {
        for (text, names, expected) in [
            ("23", None, "X"),
            ("24", None, "Y"),
            ("25", None, "25"),
            ("chr23", None, "chrX"),
            ("23", Some(ContigNames::Chr), "chrX"),
            ("24", Some(ContigNames::Plain), "Y"),
            ("22", Some(ContigNames::Chr), "chr22"),
            ("X", None, "X"),
            ("GL000191.1", Some(ContigNames::Chr), "GL000191.1"),
        ] {
            assert_eq!(contig(text, names), expected, "{text}");
        }
    }
}
