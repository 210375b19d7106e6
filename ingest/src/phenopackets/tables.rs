//! The tables of phenopackets: their columns, and rows on the way to them.

use crate::error::{Error, Result};
use crate::table::fixed::{FixedColumn, Out};
use crate::table::{Cell, ColumnType};

use ColumnType::{Bool, Date, Float8, Int4, Text, TextList, TimestampTz};

/// A table, by its place in [`Table::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Person,
    Family,
    Phenotype,
    Condition,
    Specimen,
    Measurement,
    Treatment,
    Interpretation,
    Phenopacket,
}

/// Columns of a moment or an age: what a TimeElement may be.
macro_rules! time {
    ($name:literal, $what:literal) => {
        &[
            (
                concat!($name, "_age"),
                Text,
                concat!($what, ": age as ISO 8601 duration, the first of a range"),
            ),
            (
                concat!($name, "_age_years"),
                Float8,
                concat!($what, ": that age in years"),
            ),
            (
                concat!($name, "_age_until"),
                Text,
                concat!($what, ": the last age of a range"),
            ),
            (
                concat!($name, "_gestation_days"),
                Int4,
                concat!($what, ": days of gestation"),
            ),
            (
                concat!($name, "_id"),
                Text,
                concat!($what, ": term, such as HP:0003577"),
            ),
            (
                concat!($name, "_label"),
                Text,
                concat!($what, ": name of the term"),
            ),
            (
                concat!($name, "_time"),
                TimestampTz,
                concat!($what, ": moment, the first of an interval"),
            ),
            (
                concat!($name, "_time_until"),
                TimestampTz,
                concat!($what, ": the last moment of an interval"),
            ),
        ]
    };
}

const PERSON_ID: FixedColumn = ("person_id", Text, "Person: subject.id");
const PACKET_ID: FixedColumn = ("phenopacket_id", Text, "Phenopacket that says so");
const SPECIMEN_ID: FixedColumn = ("specimen_id", Text, "Specimen: id of the biosample");

impl Table {
    pub(super) const ALL: [Self; 9] = [
        Self::Person,
        Self::Family,
        Self::Phenotype,
        Self::Condition,
        Self::Specimen,
        Self::Measurement,
        Self::Treatment,
        Self::Interpretation,
        Self::Phenopacket,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Family => "family",
            Self::Phenotype => "phenotype",
            Self::Condition => "condition",
            Self::Specimen => "specimen",
            Self::Measurement => "measurement",
            Self::Treatment => "treatment",
            Self::Interpretation => "interpretation",
            Self::Phenopacket => "phenopacket",
        }
    }

    pub(super) fn columns(self) -> Vec<FixedColumn> {
        let parts: &[&[FixedColumn]] = match self {
            Self::Person => &[
                &[
                    PERSON_ID,
                    (
                        "sample_id",
                        Text,
                        "Sample, where the files of the phenopacket name one",
                    ),
                    ("family_id", Text, "Family"),
                    ("father_id", Text, "Person who is the father"),
                    ("mother_id", Text, "Person who is the mother"),
                    ("sex", Text, "male, female, other or unknown"),
                    ("karyotypic_sex", Text, "Karyotype of the sex chromosomes"),
                    ("gender_id", Text, "Gender: term"),
                    ("gender", Text, "Gender: name of the term"),
                    ("date_of_birth", Date, "Date of birth"),
                    (
                        "proband",
                        Bool,
                        "Whether the person is the proband of the family",
                    ),
                    (
                        "affected",
                        Bool,
                        "Whether the pedigree calls the person affected; NULL when it does not know",
                    ),
                    ("cohort_id", Text, "Cohort"),
                    ("alternate_ids", TextList, "Other ids of the person"),
                    ("taxonomy_id", Text, "Species: term"),
                ],
                time!("last_encounter", "Last encounter"),
                &[
                    ("vital_status", Text, "alive or deceased"),
                    ("cause_of_death_id", Text, "Cause of death: term"),
                    ("cause_of_death", Text, "Cause of death: name of the term"),
                    (
                        "survival_days",
                        Int4,
                        "Days from diagnosis to death or last encounter",
                    ),
                ],
                time!("death", "Death"),
                &[PACKET_ID],
            ],
            Self::Family => &[&[
                ("family_id", Text, "Family"),
                (
                    "person_id",
                    Text,
                    "The proband again: who may not see the proband does not see the row",
                ),
                ("proband_id", Text, "Person who is the proband"),
                ("members", Int4, "Persons of the pedigree"),
                ("affected", Int4, "Persons whom the pedigree calls affected"),
                (
                    "consanguinous_parents",
                    Bool,
                    "Whether the parents of the proband are related",
                ),
            ]],
            Self::Phenotype => &[
                &[
                    PERSON_ID,
                    ("hpo_id", Text, "Term of the phenotype"),
                    ("hpo_label", Text, "Name of the term"),
                    (
                        "excluded",
                        Bool,
                        "True: looked for and not found. Such a row says that the person does NOT have it",
                    ),
                    ("severity_id", Text, "Severity: term"),
                    ("severity", Text, "Severity: name of the term"),
                    ("modifier_ids", TextList, "Modifiers: terms"),
                    ("modifiers", TextList, "Modifiers: names of the terms"),
                    ("description", Text, "What was written of it"),
                ],
                time!("onset", "Onset"),
                time!("resolution", "Resolution"),
                &[
                    ("evidence_ids", TextList, "Evidence: terms"),
                    (
                        "evidence_references",
                        TextList,
                        "Evidence: what it refers to",
                    ),
                    SPECIMEN_ID,
                    PACKET_ID,
                ],
            ],
            Self::Condition => &[
                &[
                    PERSON_ID,
                    ("condition_id", Text, "Term of the disease"),
                    ("condition", Text, "Name of the disease"),
                    ("excluded", Bool, "True: the person does NOT have it"),
                ],
                time!("onset", "Onset"),
                time!("resolution", "Resolution"),
                &[
                    ("stage_ids", TextList, "Stage: terms"),
                    ("stages", TextList, "Stage: names of the terms"),
                    ("tnm_ids", TextList, "TNM findings: terms"),
                    ("tnm", TextList, "TNM findings: names of the terms"),
                    ("primary_site_id", Text, "Primary site: term"),
                    ("primary_site", Text, "Primary site: name of the term"),
                    ("laterality_id", Text, "Side: term"),
                    ("laterality", Text, "Side: name of the term"),
                    PACKET_ID,
                ],
            ],
            Self::Specimen => &[
                &[
                    SPECIMEN_ID,
                    PERSON_ID,
                    (
                        "sample_id",
                        Text,
                        "Sample, where the files of the phenopacket name one",
                    ),
                    ("derived_from_id", Text, "Specimen that it was made from"),
                    ("description", Text, "What was written of it"),
                    ("material_id", Text, "Kind of sample: term"),
                    ("material", Text, "Kind of sample: name of the term"),
                    ("tissue_id", Text, "Tissue: term"),
                    ("tissue", Text, "Tissue: name of the term"),
                    ("taxonomy_id", Text, "Species: term"),
                ],
                time!("collected", "Collection"),
                &[
                    ("histology_id", Text, "Histological diagnosis: term"),
                    (
                        "histology",
                        Text,
                        "Histological diagnosis: name of the term",
                    ),
                    (
                        "tumor_progression_id",
                        Text,
                        "Primary, metastasis, recurrence: term",
                    ),
                    (
                        "tumor_progression",
                        Text,
                        "Primary, metastasis, recurrence: name of the term",
                    ),
                    ("tumor_grade_id", Text, "Grade: term"),
                    ("tumor_grade", Text, "Grade: name of the term"),
                    ("stage_id", Text, "Pathological stage: term"),
                    ("stage", Text, "Pathological stage: name of the term"),
                    ("tnm_ids", TextList, "Pathological TNM findings: terms"),
                    ("marker_ids", TextList, "Diagnostic markers: terms"),
                    ("procedure_id", Text, "How it was taken: term"),
                    ("procedure", Text, "How it was taken: name of the term"),
                    PACKET_ID,
                ],
            ],
            Self::Measurement => &[
                &[
                    PERSON_ID,
                    SPECIMEN_ID,
                    ("assay_id", Text, "Assay: term"),
                    ("assay", Text, "Assay: name of the term"),
                    ("component_id", Text, "What was measured of several: term"),
                    (
                        "component",
                        Text,
                        "What was measured of several: name of the term",
                    ),
                    ("value", Float8, "Value, in the unit"),
                    ("unit_id", Text, "Unit: term"),
                    ("unit", Text, "Unit: name of the term"),
                    (
                        "reference_low",
                        Float8,
                        "Lower end of what is normal, in its unit",
                    ),
                    (
                        "reference_high",
                        Float8,
                        "Upper end of what is normal, in its unit",
                    ),
                    ("value_id", Text, "Value that is a term"),
                    ("value_label", Text, "Name of that term"),
                ],
                time!("observed", "Observation"),
                &[
                    ("procedure_id", Text, "Procedure: term"),
                    ("procedure", Text, "Procedure: name of the term"),
                    ("description", Text, "What was written of it"),
                    PACKET_ID,
                ],
            ],
            Self::Treatment => &[
                &[
                    PERSON_ID,
                    (
                        "kind",
                        Text,
                        "procedure, treatment, radiation_therapy or therapeutic_regimen",
                    ),
                    (
                        "action_id",
                        Text,
                        "Procedure, agent, modality or regimen: term",
                    ),
                    (
                        "action",
                        Text,
                        "Procedure, agent, modality or regimen: name",
                    ),
                    ("body_site_id", Text, "Site: term"),
                    ("body_site", Text, "Site: name of the term"),
                    ("target_id", Text, "What is treated: term"),
                    ("target", Text, "What is treated: name of the term"),
                    ("intent_id", Text, "Intent: term"),
                    ("intent", Text, "Intent: name of the term"),
                    ("response_id", Text, "Response: term"),
                    ("response", Text, "Response: name of the term"),
                    ("adverse_event_ids", TextList, "Adverse events: terms"),
                    (
                        "adverse_events",
                        TextList,
                        "Adverse events: names of the terms",
                    ),
                    ("termination_reason_id", Text, "Why it ended: term"),
                    ("termination_reason", Text, "Why it ended: name of the term"),
                    ("route_id", Text, "Route of administration: term"),
                    ("route", Text, "Route of administration: name of the term"),
                    (
                        "drug_type",
                        Text,
                        "prescription, ehr medication list, administration related to procedure",
                    ),
                    ("cumulative_dose", Float8, "Dose in all, in the unit"),
                    ("cumulative_dose_unit", Text, "Unit of that dose"),
                    ("fractions", Int4, "Fractions of a radiation therapy"),
                    ("regimen_status", Text, "started, completed or discontinued"),
                    ("doses", Text, "Dose intervals as JSON"),
                ],
                time!("started", "Begin"),
                time!("ended", "End"),
                &[PACKET_ID],
            ],
            Self::Interpretation => &[&[
                PERSON_ID,
                ("interpretation_id", Text, "Interpretation"),
                ("progress_status", Text, "solved, in_progress, unsolved, …"),
                ("condition_id", Text, "Diagnosis: term of the disease"),
                ("condition", Text, "Diagnosis: name of the disease"),
                ("summary", Text, "What was written of it"),
                (
                    "subject_or_specimen_id",
                    Text,
                    "Person or specimen in whom the variant was found",
                ),
                (
                    "status",
                    Text,
                    "causative, contributory, candidate, rejected, no_known_disease_relationship",
                ),
                (
                    "acmg",
                    Text,
                    "benign, likely_benign, uncertain_significance, likely_pathogenic, pathogenic",
                ),
                ("actionability", Text, "actionable, not_actionable, …"),
                ("gene_id", Text, "Gene, such as HGNC:24650"),
                ("gene", Text, "Symbol of the gene"),
                ("contig", Text, "Contig of the allele"),
                ("pos", Int4, "First base of the trimmed allele, from 1"),
                ("end_pos", Int4, "Last reference base, included"),
                (
                    "ref",
                    Text,
                    "Reference allele, trimmed: joins with variants",
                ),
                ("alt", Text, "Alternate allele, trimmed"),
                ("vcf_pos", Int4, "POS as it stood"),
                ("vcf_ref", Text, "REF as it stood"),
                ("vcf_alt", Text, "ALT as it stood"),
                ("assembly", Text, "Assembly as it stood"),
                ("hgvs_c", Text, "Coding change"),
                ("hgvs_g", Text, "Genomic change"),
                ("hgvs_p", Text, "Change of the protein"),
                ("variant_id", Text, "Id of the variant"),
                ("variant_label", Text, "Name of the variant"),
                ("zygosity_id", Text, "Allelic state: term"),
                ("zygosity", Text, "Allelic state: name of the term"),
                ("structural_type_id", Text, "Structural type: term"),
                ("structural_type", Text, "Structural type: name of the term"),
                ("molecule_context", Text, "genomic, transcript or protein"),
                PACKET_ID,
            ]],
            Self::Phenopacket => &[&[
                PACKET_ID,
                PERSON_ID,
                ("created", TimestampTz, "When it was made"),
                ("created_by", Text, "Who made it"),
                ("schema_version", Text, "Version of the schema"),
                ("reference_ids", TextList, "What it refers to"),
                ("message", Text, "The phenopacket as it came, as JSON"),
            ]],
        };
        parts.concat()
    }
}

/// A value of a row.
#[derive(Debug, Clone, Default)]
pub(super) enum Held {
    #[default]
    Null,
    /// A text that is one.
    Text(String),
    /// The text of a number, a date, a truth.
    Bare(String),
    List(Vec<String>),
}

impl From<Option<String>> for Held {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl From<String> for Held {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Held {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<bool> for Held {
    fn from(value: bool) -> Self {
        Self::Bare(value.to_string())
    }
}

impl From<Option<bool>> for Held {
    fn from(value: Option<bool>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}

impl From<Option<i32>> for Held {
    fn from(value: Option<i32>) -> Self {
        value.map_or(Self::Null, |value| Self::Bare(value.to_string()))
    }
}

impl From<Vec<String>> for Held {
    fn from(items: Vec<String>) -> Self {
        if items.is_empty() {
            return Self::Null;
        }
        Self::List(items)
    }
}

/// A number that is text on its way.
pub(super) fn bare(text: Option<String>) -> Held {
    text.map_or(Held::Null, Held::Bare)
}

/// Rows of one message.
#[derive(Debug, Default)]
pub(super) struct Rows(pub(super) Vec<Row>);

impl Rows {
    fn place_of_person(&self, id: &str) -> Option<usize> {
        let is_it = |row: &Row| row.table == Table::Person && row.is("person_id", id);
        self.0.iter().position(is_it)
    }

    /// Takes out the row of a person.
    pub(super) fn take_person(&mut self, id: &str) -> Option<Row> {
        Some(self.0.remove(self.place_of_person(id)?))
    }

    /// Adds to the row of a person what it lacks and another says of them.
    pub(super) fn fill_person(&mut self, id: &str, other: Row) {
        if let Some(place) = self.place_of_person(id) {
            self.0[place].fill(other);
        }
    }
}

/// One row: values by column.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) table: Table,
    values: Vec<(String, Held)>,
}

impl Row {
    pub(super) fn of(table: Table) -> Self {
        let values = Vec::new();
        Self { table, values }
    }

    pub(super) fn put(&mut self, column: &str, value: impl Into<Held>) -> &mut Self {
        self.values.push((column.to_owned(), value.into()));
        self
    }

    /// Whether a column holds this text.
    fn is(&self, column: &str, text: &str) -> bool {
        let mut values = self.values.iter();
        values
            .any(|(name, held)| name == column && matches!(held, Held::Text(held) if held == text))
    }

    /// Takes the values of another row where this one has none; a sex that is not known is none.
    fn fill(&mut self, other: Self) {
        for (column, value) in other.values {
            let is_none = |held: &Held| match held {
                Held::Null => true,
                Held::Text(text) => column == "sex" && text == "unknown",
                _ => false,
            };
            let own = self.values.iter_mut().rev();
            match own.into_iter().find(|(name, _)| *name == column) {
                Some((_, held)) if is_none(held) => *held = value,
                Some(_) => {}
                None => self.values.push((column, value)),
            }
        }
    }

    /// The id of a term to one column, its label to another.
    pub(super) fn put_term(
        &mut self,
        id: &str,
        label: &str,
        term: Option<(String, Option<String>)>,
    ) -> &mut Self {
        if let Some((of_id, of_label)) = term {
            self.put(id, of_id).put(label, of_label);
        }
        self
    }

    /// The value of a text column.
    pub(super) fn text(&self, column: &str) -> Option<&str> {
        self.values.iter().find_map(|(name, held)| match held {
            Held::Text(text) | Held::Bare(text) if name == column => Some(text.as_str()),
            _ => None,
        })
    }

    /// Sends the row to its table.
    ///
    /// # Errors
    /// What `out` reports.
    pub(super) fn send(&self, columns: &[FixedColumn], out: &mut Out<'_>, line: u64) -> Result<()> {
        let mut cells = vec![Cell::Null; columns.len()];
        for (name, held) in &self.values {
            let place = columns.iter().position(|(column, ..)| column == name);
            let place = place.ok_or_else(|| Error::Internal(format!("no column {name}")))?;
            cells[place] = match held {
                Held::Null => Cell::Null,
                Held::Text(text) => Cell::Quoted(text),
                Held::Bare(text) => Cell::Bare(text),
                Held::List(items) => Cell::List(items),
            };
        }
        out.row(&cells, line)
    }
}
