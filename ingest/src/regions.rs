//! Regions: GFF3, GTF and BED into a plain table, in the coordinates of the lake.
//!
//! Columns: `contig, pos, end_pos` (1-based, both ends included, whatever the file counts like), `name,
//! score, strand, feature, source, phase`, then one column per attribute, typed over the whole file,
//! named by its key in lower case (`attr_<key>` where a column above has that name). Rows are
//! sorted by contig in order of first appearance, then position.
//!
//! - `name` of GFF3 and GTF: the first of `Name, gene_name, gene, gene_id, ID` that is there.
//! - An attribute is `text[]` when GFF3 lets it have several values (Parent, Alias, Note, Dbxref,
//!   Ontology_term) or a line of the file has its key twice (GTF `tag`).
//! - A BED span of length zero is the point between two bases: `end_pos = pos - 1`. A span that
//!   holds both neighbours overlaps it, nothing else does.
//! - BED columns 7 to 12 are `thick_start` (1-based), `thick_end`, `item_rgb`, `block_count`,
//!   `block_sizes` and `block_starts` (offsets from the start, 0-based) when all rows fit, else, and
//!   beyond 12, `column_<n>`. Every row has as many columns as the first.
//! - A GFF3 ends at `##FASTA`.

mod assembly;
mod feature;
mod spool;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::SchemaRef;
use genokura_core::contig::ContigNames;
use genokura_storage::{Lake, TableId};

use crate::assembly::Said;
use crate::error::{Error, Result};
use crate::progress::{CancelFlag, Progress, Silent};
use crate::report::IngestReport;
use crate::table::{
    BatchBuilder, Cell, Column, ColumnType, Inference, Input, Landing, Names, Sink, blocking,
    details, finish_report, match_columns, new_report, schema_of, sql_name,
};

pub use feature::RegionsFormat;
use feature::{Attribute, Feature, parse, refuse};
use spool::{DataLines, SortedLines, Spool, detect};

/// Lines between two looks at the cancel flag.
const LINES_PER_CHECK: u64 = 4_096;

/// One regions file into one plain table.
pub struct RegionsJob {
    /// The lake.
    pub lake: Arc<Lake>,
    /// The table, such as `kb/genes`. It is made when it does not exist.
    pub id: TableId,
    /// Path, URL or `-`; gzip is seen by itself.
    pub input: String,
    /// Drop the table's rows and columns first. Otherwise rows are appended, and the columns must be
    /// those of the table.
    pub replace: bool,
    /// The format; `None`: by file name and content.
    pub format: Option<RegionsFormat>,
    /// How human primary contigs are to be named; `None`: as the file names them.
    pub contigs: Option<ContigNames>,
    /// The assembly, where the file does not tell or names another.
    pub assembly: Option<String>,
    /// Where to report to.
    pub progress: Arc<dyn Progress>,
    /// Stops the job.
    pub cancel: CancelFlag,
}

impl RegionsJob {
    /// A job that appends, silently.
    #[must_use]
    pub fn new(lake: Arc<Lake>, id: TableId, input: impl Into<String>) -> Self {
        Self {
            lake,
            id,
            input: input.into(),
            replace: false,
            format: None,
            contigs: None,
            assembly: None,
            progress: Arc::new(Silent),
            cancel: CancelFlag::new(),
        }
    }

    /// Reads the input and commits its rows. The same input again (by digest) is a no-op.
    ///
    /// # Errors
    /// [`Error::Line`] for a line that is no feature, [`Error::Request`] when the columns are not
    /// those of the table, and what reading and the lake report. The lake is then as it was.
    pub async fn run(self) -> Result<IngestReport> {
        let begun = Instant::now();
        let input = Arc::new(Input::open(&self.input).await?);
        let landing = Landing::begin(&self.lake, &self.id, self.replace, "ingest regions").await?;
        let (again, cancel) = (Arc::clone(&input), self.cancel.clone());
        let digest = blocking(move || again.digest(&cancel)).await?;
        let mut report = new_report(&input, &digest);
        let key = match self.contigs {
            Some(names) => format!("{digest}+contigs:{}", names.as_str()),
            None => digest.clone(),
        };
        if landing.has_landed(&key).await? {
            report.already_done = true;
            report.lake_version = landing.version();
            return Ok(report);
        }
        let details = details(&key, &input, &digest);
        let (format, cancel) = (self.format, self.cancel.clone());
        let existing = landing.existing().cloned();
        let (survey, columns) = blocking(move || {
            let survey = Survey::read(&input, format, &cancel)?;
            let columns = survey.columns(existing.as_ref())?;
            Ok((survey, columns))
        })
        .await?;
        let (cancel, progress) = (self.cancel.clone(), Arc::clone(&self.progress));
        let schema = schema_of(&columns.list);
        let names = self.contigs;
        let said = Said::of_file(self.assembly.as_deref(), survey.said.clone())?;
        let produce = move |sink: &Sink| {
            if let Some(said) = said {
                sink.said(0, said)?;
            }
            send(survey, columns, names, &cancel, progress.as_ref(), sink)
        };
        let landed = landing.write(schema, details, produce).await?;
        finish_report(&mut report, &landed, begun);
        Ok(report)
    }
}

/// Columns that every regions table begins with.
const FIXED: [(&str, ColumnType, &str); 9] = [
    ("contig", ColumnType::Text, "Sequence the feature lies on"),
    ("pos", ColumnType::Int4, "First base, 1-based"),
    ("end_pos", ColumnType::Int4, "Last base, 1-based, included"),
    ("name", ColumnType::Text, "Name of the feature"),
    ("score", ColumnType::Float8, "Score as the file has it"),
    (
        "strand",
        ColumnType::Text,
        "+ or -, ? when relevant but unknown",
    ),
    (
        "feature",
        ColumnType::Text,
        "Kind of feature, such as gene or exon",
    ),
    (
        "source",
        ColumnType::Text,
        "Program or database the feature is from",
    ),
    (
        "phase",
        ColumnType::Int4,
        "Bases before the first full codon of a CDS: 0, 1 or 2",
    ),
];

/// Names and types of BED columns 7 to 12.
const BED_COLUMNS: [(&str, ColumnType); 6] = [
    ("thick_start", ColumnType::Int4),
    ("thick_end", ColumnType::Int4),
    ("item_rgb", ColumnType::Text),
    ("block_count", ColumnType::Int4),
    ("block_sizes", ColumnType::IntList),
    ("block_starts", ColumnType::IntList),
];

/// Everything the first pass finds out.
struct Survey {
    format: RegionsFormat,
    lines: Spool,
    keys: Vec<Key>,
    places: HashMap<String, usize>,
    bed_columns: Option<usize>,
    /// What the file says of its assembly.
    said: Option<Said>,
}

/// An attribute key of the file.
struct Key {
    key: String,
    inference: Inference,
    is_list: bool,
    is_int_list: bool,
}

/// The columns of the table, and for each attribute of the survey its place among them.
struct Columns {
    list: Vec<Column>,
    /// By place in the file's own order (fixed, then attributes): place in the table.
    places: Vec<usize>,
    is_standard_bed: bool,
}

impl Survey {
    /// Reads the whole input once: checks every line, keeps it on disk, learns the attributes.
    fn read(input: &Input, format: Option<RegionsFormat>, cancel: &CancelFlag) -> Result<Self> {
        let mut lines = DataLines::new(input.read()?);
        let given = format;
        let format = given.unwrap_or(RegionsFormat::Bed);
        let (keys, places) = (Vec::new(), HashMap::new());
        let mut survey = Self {
            format,
            lines: Spool::new()?,
            keys,
            places,
            bed_columns: None,
            said: None,
        };
        let mut n = 0_u64;
        loop {
            let is_gff3 = lines.is_gff3();
            let Some((number, line)) = lines.next_line()? else {
                break;
            };
            if n == 0 && given.is_none() {
                survey.format = detect(input.name(), is_gff3, line);
            }
            survey.line(number, line)?;
            n += 1;
            if n.is_multiple_of(LINES_PER_CHECK) {
                cancel.check()?;
            }
        }
        survey.said = lines.said();
        Ok(survey)
    }

    fn line(&mut self, number: u64, line: &str) -> Result<()> {
        let feature = parse(self.format, line, number)?;
        if self.format == RegionsFormat::Bed {
            let columns = feature.attributes.len();
            let first = *self.bed_columns.get_or_insert(columns);
            if first != columns {
                let message = "the line has another number of columns than the first".to_owned();
                return Err(refuse(number, "column-count", message));
            }
        }
        self.lines.push(line, &feature.contig, feature.pos)?;
        feature
            .attributes
            .iter()
            .for_each(|attribute| self.observe(attribute));
        Ok(())
    }

    fn observe(&mut self, attribute: &Attribute) {
        let place = match self.places.get(&attribute.key) {
            Some(&place) => place,
            None => self.add_key(&attribute.key),
        };
        let key = &mut self.keys[place];
        key.is_list |= attribute.is_list;
        for value in attribute.values.iter().filter(|value| !value.is_empty()) {
            key.inference.observe(Cell::Bare(value));
            key.is_int_list &= value
                .trim_end_matches(',')
                .split(',')
                .all(|v| v.parse::<i32>().is_ok());
        }
    }

    fn add_key(&mut self, key: &str) -> usize {
        let place = self.keys.len();
        self.places.insert(key.to_owned(), place);
        let inference = Inference::default();
        self.keys.push(Key {
            key: key.to_owned(),
            inference,
            is_list: false,
            is_int_list: true,
        });
        place
    }

    /// Whether BED columns 7 to 12 are what the format says.
    fn is_standard_bed(&self) -> bool {
        let fits = |(key, (_, ty)): (&Key, &(&str, ColumnType))| match ty {
            ColumnType::Int4 => {
                matches!(key.inference.result(), ColumnType::Int4) || key.inference.is_empty()
            }
            ColumnType::IntList => key.is_int_list,
            _ => true,
        };
        self.format == RegionsFormat::Bed && self.keys.iter().zip(&BED_COLUMNS).all(fits)
    }

    fn columns(&self, existing: Option<&SchemaRef>) -> Result<Columns> {
        let is_standard_bed = self.is_standard_bed();
        let mut names = Names::default();
        let fixed = FIXED.iter().map(|&(name, ty, comment)| Column {
            name: names.take(name),
            source: name.to_owned(),
            ty,
            comment: comment.to_owned(),
        });
        let mut list: Vec<Column> = fixed.collect();
        for (i, key) in self.keys.iter().enumerate() {
            let (name, ty) = match BED_COLUMNS.get(i) {
                Some(&(name, ty)) if is_standard_bed => (name.to_owned(), ty),
                _ => (self.attribute_name(&key.key), key.result()),
            };
            let name = names.take(&name);
            list.push(Column {
                name,
                source: key.key.clone(),
                ty,
                comment: String::new(),
            });
        }
        let mut places: Vec<usize> = (0..list.len()).collect();
        if let Some(existing) = existing {
            let sources = match_columns(&list, existing)?;
            for (place, &source) in sources.iter().enumerate() {
                places[source] = place;
            }
            list = sources.iter().map(|&i| list[i].clone()).collect();
            adopt_types(&mut list, existing)?;
        }
        Ok(Columns {
            list,
            places,
            is_standard_bed,
        })
    }

    fn attribute_name(&self, key: &str) -> String {
        if self.format == RegionsFormat::Bed {
            return format!("column_{key}");
        }
        let name = sql_name(key, 0);
        if FIXED.iter().any(|(fixed, ..)| *fixed == name) {
            format!("attr_{name}")
        } else {
            name
        }
    }
}

impl Key {
    fn result(&self) -> ColumnType {
        if self.is_list {
            ColumnType::TextList
        } else {
            self.inference.result()
        }
    }
}

fn adopt_types(columns: &mut [Column], existing: &SchemaRef) -> Result<()> {
    for (column, field) in columns.iter_mut().zip(existing.fields()) {
        column.ty = ColumnType::of_arrow(field.data_type()).ok_or_else(|| {
            let message = format!(
                "column \"{}\" of the table has a type that regions do not have; use --replace",
                field.name()
            );
            Error::Request(message)
        })?;
    }
    Ok(())
}

/// The second pass: all features in sort order as batches.
fn send(
    survey: Survey,
    columns: Columns,
    contigs: Option<ContigNames>,
    cancel: &CancelFlag,
    progress: &dyn Progress,
    sink: &Sink,
) -> Result<()> {
    let Survey {
        format,
        lines,
        places,
        ..
    } = survey;
    let mut lines: SortedLines = lines.into_sorted()?;
    let mut rows = Rows {
        batch: BatchBuilder::new(columns.list.clone()),
        columns,
        keys: places,
        contigs,
    };
    let mut n = 0_u64;
    while let Some(line) = lines.next_line()? {
        n += 1;
        if rows.push(&parse(format, line, n)?, n)? {
            cancel.check()?;
            progress.records(n);
            rows.batch
                .finish()?
                .map_or(Ok(()), |full| sink.send(full))?;
        }
    }
    progress.records(n);
    rows.batch.finish()?.map_or(Ok(()), |last| sink.send(last))
}

struct Rows {
    batch: BatchBuilder,
    columns: Columns,
    keys: HashMap<String, usize>,
    contigs: Option<ContigNames>,
}

impl Rows {
    /// Appends one feature; true when the batch is full. `line` is its place in sort order.
    fn push(&mut self, feature: &Feature<'_>, line: u64) -> Result<bool> {
        let (pos, end_pos) = (feature.pos.to_string(), feature.end_pos.to_string());
        let contig = match self.contigs {
            Some(names) => names.of(&feature.contig),
            None => feature.contig.as_ref().into(),
        };
        let fixed = [
            Some(contig.as_ref()),
            Some(pos.as_str()),
            Some(end_pos.as_str()),
            feature.name.as_deref(),
            feature.score,
            feature.strand,
            feature.feature.as_deref(),
            feature.source.as_deref(),
            feature.phase,
        ];
        for (i, text) in fixed.into_iter().enumerate() {
            self.batch.append(
                self.columns.places[i],
                text.map_or(Cell::Null, Cell::Quoted),
                line,
            )?;
        }
        let mut found: Vec<Option<&Attribute>> = vec![None; self.keys.len()];
        for attribute in &feature.attributes {
            if let Some(slot) = self
                .keys
                .get(&attribute.key)
                .and_then(|&key| found.get_mut(key))
            {
                *slot = Some(attribute);
            }
        }
        for (key, attribute) in found.into_iter().enumerate() {
            self.attribute(key, attribute, line)?;
        }
        Ok(self.batch.end_row())
    }

    fn attribute(&mut self, key: usize, attribute: Option<&Attribute>, line: u64) -> Result<()> {
        let place = self.columns.places[FIXED.len() + key];
        let ty = self.columns.list[place].ty;
        let values = attribute.map_or(&[][..], |attribute| attribute.values.as_slice());
        let shifted = self.one_based(key, values);
        let cell = match (ty, values) {
            (_, []) => Cell::Null,
            (ColumnType::TextList, values) => Cell::List(values),
            (_, [one]) if one.is_empty() => Cell::Null,
            (_, [one]) => Cell::Bare(shifted.as_deref().unwrap_or(one)),
            (_, many) => Cell::List(many),
        };
        self.batch.append(place, cell, line)
    }

    /// BED `thick_start` counted from 1.
    fn one_based(&self, key: usize, values: &[String]) -> Option<String> {
        let is_start = self.columns.is_standard_bed && key == 0;
        let start: i32 = values.first().filter(|_| is_start)?.parse().ok()?;
        Some(start.checked_add(1)?.to_string())
    }
}
