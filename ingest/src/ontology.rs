//! Ontologies: an OBO file as two tables, its terms and who is an ancestor of whom.
//!
//! - `<name>_terms`: a row for each term, obsolete ones too. `resolves_to` is the term that the id means today: its own,
//!   or that of the term in its place; NULL when nothing replaces it.
//! - `<name>_closure`: `term, ancestor, distance`, a row for each name and each ancestor of what it means, itself at
//!   distance 0. `term` may be an alternative or a replaced id, so that a plain join finds old data; `ancestor` never is.
//!
//! One commit makes both visible. An ontology is whole: another release takes the place of the one that is there.

pub(crate) mod known;
mod obo;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use genokura_core::ontology::{Ontology, OntologyError};
use genokura_storage::{Lake, TableId};

use crate::error::{Error, Result};
use crate::progress::{CancelFlag, Progress, Silent};
use crate::report::IngestReport;
use crate::table::fixed::{FixedColumn, Out, cell, columns, list};
use crate::table::{
    Cell, ColumnType, Input, Landing, Sink, blocking, details, finish_report, new_report, schema_of,
};

use obo::{Obo, Stanza, fault};

/// Columns of the table of terms.
const TERMS: [FixedColumn; 13] = [
    ("term", ColumnType::Text, "Id of the term"),
    ("name", ColumnType::Text, "Name of the term"),
    ("definition", ColumnType::Text, "What the term means"),
    ("comment", ColumnType::Text, "What its editors say of it"),
    ("synonyms", ColumnType::TextList, "Other names"),
    (
        "alt_ids",
        ColumnType::TextList,
        "Other ids that mean this term",
    ),
    (
        "parents",
        ColumnType::TextList,
        "Terms that it is a kind of, the next ones (is_a)",
    ),
    (
        "xrefs",
        ColumnType::TextList,
        "The same thing in other vocabularies",
    ),
    (
        "is_obsolete",
        ColumnType::Bool,
        "Whether the term is no longer used",
    ),
    (
        "replaced_by",
        ColumnType::TextList,
        "What takes its place, as the file has it",
    ),
    (
        "consider",
        ColumnType::TextList,
        "What may be meant in its place",
    ),
    (
        "resolves_to",
        ColumnType::Text,
        "The term that the id means today; NULL when nothing replaces it",
    ),
    ("release", ColumnType::Text, "data-version of the file"),
];

/// Columns of the table of ancestors.
const CLOSURE: [FixedColumn; 3] = [
    (
        "term",
        ColumnType::Text,
        "Id of a term, an alternative or a replaced one",
    ),
    (
        "ancestor",
        ColumnType::Text,
        "Id of an ancestor of what it means, itself among them",
    ),
    (
        "distance",
        ColumnType::Int4,
        "Steps of is_a on the shortest way; 0: the term itself",
    ),
];

/// One OBO file into two tables.
pub struct OntologyJob {
    /// The lake.
    pub lake: Arc<Lake>,
    /// Schema of the tables.
    pub schema: String,
    /// Name of the ontology, the first part of the names of its tables. `hpo_is_a` reads those of `hpo` in `kb`.
    pub name: String,
    /// Path, URL or `-`; gzip is seen by itself.
    pub input: String,
    /// Take the place of the release that is there. Otherwise there must be none.
    pub replace: bool,
    /// Where to report to.
    pub progress: Arc<dyn Progress>,
    /// Stops the job.
    pub cancel: CancelFlag,
}

impl OntologyJob {
    /// A job for `kb.hpo_terms` and `kb.hpo_closure` that are not there yet, silent.
    #[must_use]
    pub fn new(lake: Arc<Lake>, input: impl Into<String>) -> Self {
        Self {
            lake,
            schema: "kb".to_owned(),
            name: "hpo".to_owned(),
            input: input.into(),
            replace: false,
            progress: Arc::new(Silent),
            cancel: CancelFlag::new(),
        }
    }

    /// Reads, checks and commits the file. The same file again (by digest) is a no-op.
    ///
    /// # Errors
    /// [`Error::Line`] for a line that breaks the format or a term that contradicts others, [`Error::Request`] when
    /// another release is there, and what reading and the lake report. The lake is then as it was.
    pub async fn run(self) -> Result<IngestReport> {
        let begun = Instant::now();
        let input = Arc::new(Input::open(&self.input).await?);
        let id = |part: &str| TableId::new(&self.schema, format!("{}_{part}", self.name));
        let ids = vec![id("terms"), id("closure")];
        let landing = Landing::begin_all(&self.lake, ids, self.replace, "ingest ontology").await?;
        let (again, cancel) = (Arc::clone(&input), self.cancel.clone());
        let digest = blocking(move || again.digest(&cancel)).await?;
        let mut report = new_report(&input, &digest);
        if landing.has_landed(&digest).await? {
            report.already_done = true;
            report.lake_version = landing.version();
            return Ok(report);
        }
        if landing.existing_of_all().iter().any(Option::is_some) {
            let message = format!(
                "{}.{}_terms holds a release already; use --replace to put this one in its place",
                self.schema, self.name
            );
            return Err(Error::Request(message));
        }
        let details = details(&digest, &input, &digest);
        let (again, cancel) = (Arc::clone(&input), self.cancel.clone());
        let (obo, ontology, unresolved) = blocking(move || {
            let mut obo = obo::read(again.read()?, &cancel)?;
            let unresolved = replacements(&mut obo);
            let ontology = build(&obo)?;
            Ok((obo, ontology, unresolved))
        })
        .await?;
        if unresolved > 0 {
            report
                .repairs
                .push(("obsolete-without-replacement".to_owned(), unresolved));
        }
        let schemas = vec![schema_of(&columns(&TERMS)), schema_of(&columns(&CLOSURE))];
        let (progress, cancel) = (Arc::clone(&self.progress), self.cancel.clone());
        let terms = obo.stanzas.len() as u64;
        let produce = move |sink: &Sink| {
            progress.records(terms);
            send_terms(&obo, &ontology, &cancel, sink)?;
            send_closure(&ontology, &cancel, sink)
        };
        let landed = landing.write_all(schemas, details, produce).await?;
        finish_report(&mut report, &landed, begun);
        (report.records_read, report.records_stored) = (terms, terms);
        for input in &mut report.inputs {
            input.records = terms;
        }
        Ok(report)
    }
}

/// Gives obsolete terms the one term that replaces them; counts those that have none or several.
fn replacements(obo: &mut Obo) -> u64 {
    let mut without = 0;
    for stanza in obo.stanzas.iter_mut().filter(|s| s.term.is_obsolete) {
        match &stanza.replacements[..] {
            [one] => stanza.term.replaced_by = Some(one.clone()),
            _ => without += 1,
        }
    }
    without
}

fn build(obo: &Obo) -> Result<Ontology> {
    let terms: Vec<_> = obo.stanzas.iter().map(|s| s.term.clone()).collect();
    Ontology::build(&terms).map_err(|error| {
        let at = |term: usize, rule| {
            let stanza = &obo.stanzas[term];
            fault(
                stanza.line,
                rule,
                format!("term {}: {error}", stanza.term.id),
            )
        };
        match &error {
            OntologyError::Twice { term, .. } => at(*term, "ontology-twice"),
            OntologyError::UnknownParent { term, .. } => at(*term, "ontology-parent"),
            OntologyError::Circle { term } => at(*term, "ontology-circle"),
            other => Error::Request(other.to_string()),
        }
    })
}

fn send_terms(obo: &Obo, ontology: &Ontology, cancel: &CancelFlag, sink: &Sink) -> Result<()> {
    let mut out = Out::new(0, &TERMS, cancel, sink);
    let mut order: Vec<&Stanza> = obo.stanzas.iter().collect();
    order.sort_by(|a, b| a.term.id.cmp(&b.term.id));
    for stanza in order {
        let term = &stanza.term;
        let means = ontology.find(&term.id).flatten();
        let means = means.and_then(|place| ontology.ids().get(place as usize));
        out.row(
            &[
                Cell::Quoted(&term.id),
                cell(stanza.name.as_deref()),
                cell(stanza.definition.as_deref()),
                cell(stanza.comment.as_deref()),
                list(&stanza.synonyms),
                list(&term.alt_ids),
                list(&term.parents),
                list(&stanza.xrefs),
                Cell::Bare(if term.is_obsolete { "true" } else { "false" }),
                list(&stanza.replacements),
                list(&stanza.consider),
                cell(means.map(String::as_str)),
                cell(obo.release.as_deref()),
            ],
            stanza.line,
        )?;
    }
    out.flush()
}

fn send_closure(ontology: &Ontology, cancel: &CancelFlag, sink: &Sink) -> Result<()> {
    let mut out = Out::new(1, &CLOSURE, cancel, sink);
    let mut numbers: HashMap<u32, String> = HashMap::new();
    for (name, place) in ontology.names() {
        let Some(place) = place else { continue };
        for ancestor in ontology.ancestors(place) {
            let distance = numbers.entry(ancestor.distance);
            let distance = distance.or_insert_with(|| ancestor.distance.to_string());
            let id = ontology.ids().get(ancestor.place as usize);
            let cells = [
                Cell::Quoted(name),
                cell(id.map(String::as_str)),
                Cell::Bare(distance),
            ];
            out.row(&cells, 0)?;
        }
    }
    out.flush()
}
