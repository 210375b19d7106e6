//! Phenopackets, families and cohorts as rows.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::DateTime;
use genokura_core::contig::ContigNames;
use genokura_core::variant::{trim, upper_case};

use super::node::{Node, Result};
use super::tables::{Held, Row, Rows, Table, bare};
use super::times::{date, instant, moment, time};
use super::words::{self, word};
use crate::ontology::known::KnownTerms;

/// Keys of a phenopacket of version 1 that version 2 does not have.
const KEYS_OF_V1: [&str; 3] = ["genes", "variants", "htsFiles"];

/// What a message says of those around a phenopacket.
#[derive(Default)]
struct Around {
    family_id: Option<String>,
    cohort_id: Option<String>,
    proband: Option<bool>,
    /// Lines of the pedigree by person.
    pedigree: BTreeMap<String, Member>,
    /// `files` of the family or cohort.
    files: Vec<(String, String)>,
}

/// One person of a pedigree.
#[derive(Clone, Default)]
struct Member {
    father: Option<String>,
    mother: Option<String>,
    sex: Option<String>,
    affected: Option<bool>,
}

/// A person whom a message tells of.
pub(super) struct Told {
    pub(super) id: String,
    /// The pedigree of a family knows them, and no phenopacket in it.
    pub(super) is_of_pedigree: bool,
}

/// Turns messages into rows.
pub(super) struct Reader {
    /// How human primary contigs are to be named.
    pub(super) contigs: Option<ContigNames>,
    /// The ids that HPO knows, where the lake has it.
    pub(super) terms: Option<KnownTerms>,
}

impl Reader {
    /// Rows of a message of any of the three kinds, and the persons it tells of.
    pub(super) fn message(&self, node: &Node<'_>) -> Result<(Rows, Vec<Told>)> {
        let mut made = Made {
            reader: self,
            rows: Rows::default(),
            persons: Vec::new(),
        };
        if node.has("proband") || node.has("pedigree") {
            made.family(node)?;
        } else if node.has("members") {
            made.cohort(node)?;
        } else {
            made.packet(node, &Around::default(), true)?;
        }
        Ok((made.rows, made.persons))
    }

    /// Refuses an id of HPO that HPO does not know.
    fn known(&self, node: &Node<'_>, id: &str) -> Result<()> {
        match self.terms.as_ref().and_then(|terms| terms.fault(id)) {
            Some(fault) => Err(node.fault(&fault)),
            None => Ok(()),
        }
    }
}

struct Made<'r> {
    reader: &'r Reader,
    rows: Rows,
    persons: Vec<Told>,
}

impl Made<'_> {
    fn add(&mut self, row: Row) {
        self.rows.0.push(row);
    }

    fn family(&mut self, node: &Node<'_>) -> Result<()> {
        let known = [
            "id",
            "proband",
            "relatives",
            "consanguinousParent",
            "pedigree",
            "files",
            "metaData",
        ];
        let node = node.clone().only(&known)?;
        version(&node, true)?;
        let id = node.need_text("id")?;
        let mut around = Around {
            family_id: Some(id.clone()),
            files: files(&node)?,
            pedigree: pedigree(&node)?,
            ..Around::default()
        };
        let proband = node.need("proband")?;
        around.proband = Some(true);
        let proband_id = self.packet(&proband, &around, false)?;
        around.proband = Some(false);
        for relative in node.list("relatives")? {
            self.packet(&relative, &around, false)?;
        }
        let told: Vec<String> = self.persons.iter().map(|p| p.id.clone()).collect();
        let untold: Vec<String> = around
            .pedigree
            .keys()
            .filter(|p| !told.contains(p))
            .cloned()
            .collect();
        for person in untold {
            let mut row = Row::of(Table::Person);
            row.put("person_id", person.clone());
            around.put(&person, None, &mut row);
            self.add(row);
            self.persons.push(Told {
                id: person,
                is_of_pedigree: true,
            });
        }
        let affected = around
            .pedigree
            .values()
            .filter(|m| m.affected == Some(true));
        let count = |n: usize| Held::Bare(n.to_string());
        let mut row = Row::of(Table::Family);
        row.put("family_id", id)
            .put("person_id", proband_id.clone())
            .put("proband_id", proband_id);
        row.put("members", count(around.pedigree.len().max(told.len())));
        row.put("affected", count(affected.count()));
        row.put("consanguinous_parents", node.bool("consanguinousParent")?);
        self.add(row);
        Ok(())
    }

    fn cohort(&mut self, node: &Node<'_>) -> Result<()> {
        let node = node
            .clone()
            .only(&["id", "description", "members", "files", "metaData"])?;
        version(&node, true)?;
        let around = Around {
            cohort_id: Some(node.need_text("id")?),
            files: files(&node)?,
            ..Around::default()
        };
        for member in node.list("members")? {
            self.packet(&member, &around, false)?;
        }
        Ok(())
    }

    /// One phenopacket; gives the person.
    fn packet(&mut self, node: &Node<'_>, around: &Around, alone: bool) -> Result<Option<String>> {
        if let Some(key) = KEYS_OF_V1.iter().find(|key| node.has(key)) {
            return Err(node.fault(&format!(
                "\"{key}\" is of version 1 of the schema; {CONVERT}"
            )));
        }
        version(node, alone)?;
        let node = node.clone().only(&[
            "id",
            "subject",
            "phenotypicFeatures",
            "measurements",
            "biosamples",
            "interpretations",
            "diseases",
            "medicalActions",
            "files",
            "metaData",
        ])?;
        let packet = node.need_text("id")?;
        let mut of_files = files(&node)?;
        of_files.extend(around.files.iter().cloned());
        let person = match node.get("subject") {
            Some(subject) => Some(self.subject(&subject, &packet, around, &of_files)?),
            None => None,
        };
        let needs = [
            "phenotypicFeatures",
            "diseases",
            "measurements",
            "medicalActions",
            "interpretations",
        ];
        if let (None, Some(key)) = (&person, needs.iter().find(|key| node.has(key))) {
            return Err(node.fault(&format!("\"{key}\" is of nobody: \"subject\" is missing")));
        }
        let of = Of {
            packet: &packet,
            person: person.as_deref(),
            specimen: None,
        };
        for feature in node.list("phenotypicFeatures")? {
            self.phenotype(feature, of)?;
        }
        for disease in node.list("diseases")? {
            self.condition(disease, of)?;
        }
        for measurement in node.list("measurements")? {
            self.measurement(measurement, of)?;
        }
        for action in node.list("medicalActions")? {
            self.treatment(action, of)?;
        }
        for interpretation in node.list("interpretations")? {
            self.interpretation(interpretation, of)?;
        }
        for biosample in node.list("biosamples")? {
            self.specimen(biosample, of, &of_files)?;
        }
        let mut row = of.row(Table::Phenopacket);
        if let Some(meta) = node.get("metaData") {
            row.put("created", moment(&meta, "created")?);
            row.put("created_by", meta.text("createdBy")?);
            row.put("schema_version", meta.text("phenopacketSchemaVersion")?);
            let references = meta.list("externalReferences")?;
            let ids: Result<Vec<Option<String>>> =
                references.iter().map(|r| r.text("id")).collect();
            row.put(
                "reference_ids",
                ids?.into_iter().flatten().collect::<Vec<_>>(),
            );
        }
        row.put("message", node.json());
        self.add(row);
        Ok(person)
    }

    fn subject(
        &mut self,
        node: &Node<'_>,
        packet: &str,
        around: &Around,
        files: &[(String, String)],
    ) -> Result<String> {
        let node = node.clone().only(&[
            "id",
            "alternateIds",
            "dateOfBirth",
            "timeAtLastEncounter",
            "vitalStatus",
            "sex",
            "karyotypicSex",
            "gender",
            "taxonomy",
        ])?;
        let id = node.need_text("id")?;
        let mut row = Row::of(Table::Person);
        row.put("person_id", id.clone())
            .put("phenopacket_id", packet);
        row.put("sample_id", sample(files, &id));
        around.put(&id, word(&node, "sex", words::SEX, "_SEX")?, &mut row);
        let karyotype = node.word("karyotypicSex", words::KARYOTYPE)?;
        row.put("karyotypic_sex", karyotype.map(str::to_owned));
        row.put_term("gender_id", "gender", node.term("gender")?);
        row.put("date_of_birth", date(&node, "dateOfBirth")?);
        row.put("alternate_ids", node.texts("alternateIds")?);
        row.put("taxonomy_id", node.term("taxonomy")?.map(|(id, _)| id));
        time(&mut row, "last_encounter", node.get("timeAtLastEncounter"))?;
        if let Some(vital) = node.get("vitalStatus") {
            let known = [
                "status",
                "timeOfDeath",
                "causeOfDeath",
                "survivalTimeInDays",
            ];
            let vital = vital.only(&known)?;
            row.put(
                "vital_status",
                word(&vital, "status", words::VITAL, "_STATUS")?,
            );
            row.put_term(
                "cause_of_death_id",
                "cause_of_death",
                vital.term("causeOfDeath")?,
            );
            row.put("survival_days", vital.integer("survivalTimeInDays")?);
            time(&mut row, "death", vital.get("timeOfDeath"))?;
        }
        self.add(row);
        self.persons.push(Told {
            id: id.clone(),
            is_of_pedigree: false,
        });
        Ok(id)
    }

    fn phenotype(&mut self, node: Node<'_>, of: Of<'_>) -> Result<()> {
        if node.has("negated") || node.has("classOfOnset") {
            return Err(node.fault(&format!(
                "the phenotype is of version 1 of the schema; {CONVERT}"
            )));
        }
        let node = node.only(&[
            "description",
            "type",
            "excluded",
            "severity",
            "modifiers",
            "onset",
            "resolution",
            "evidence",
        ])?;
        let term = node.need("type")?;
        let (id, label) = term.as_term()?;
        self.reader.known(&term, &id)?;
        let mut row = of.row(Table::Phenotype);
        row.put("hpo_id", id).put("hpo_label", label);
        row.put("excluded", node.bool("excluded")?.unwrap_or(false));
        row.put_term("severity_id", "severity", node.term("severity")?);
        let (ids, labels) = node.terms("modifiers")?;
        row.put("modifier_ids", ids).put("modifiers", labels);
        row.put("description", node.text("description")?);
        time(&mut row, "onset", node.get("onset"))?;
        time(&mut row, "resolution", node.get("resolution"))?;
        let (mut codes, mut references) = (Vec::new(), Vec::new());
        for evidence in node.list("evidence")? {
            let evidence = evidence.only(&["evidenceCode", "reference"])?;
            codes.extend(evidence.term("evidenceCode")?.map(|(id, _)| id));
            if let Some(reference) = evidence.get("reference") {
                references.extend(reference.text("id")?.or(reference.text("reference")?));
            }
        }
        row.put("evidence_ids", codes)
            .put("evidence_references", references);
        self.add(row);
        Ok(())
    }

    fn condition(&mut self, node: Node<'_>, of: Of<'_>) -> Result<()> {
        if node.has("classOfOnset") || node.has("ageOfOnset") {
            return Err(node.fault(&format!(
                "the disease is of version 1 of the schema; {CONVERT}"
            )));
        }
        let node = node.only(&[
            "term",
            "excluded",
            "onset",
            "resolution",
            "diseaseStage",
            "clinicalTnmFinding",
            "primarySite",
            "laterality",
        ])?;
        let (id, label) = node.need("term")?.as_term()?;
        let mut row = of.row(Table::Condition);
        row.put("condition_id", id).put("condition", label);
        row.put("excluded", node.bool("excluded")?.unwrap_or(false));
        time(&mut row, "onset", node.get("onset"))?;
        time(&mut row, "resolution", node.get("resolution"))?;
        let (ids, labels) = node.terms("diseaseStage")?;
        row.put("stage_ids", ids).put("stages", labels);
        let (ids, labels) = node.terms("clinicalTnmFinding")?;
        row.put("tnm_ids", ids).put("tnm", labels);
        row.put_term("primary_site_id", "primary_site", node.term("primarySite")?);
        row.put_term("laterality_id", "laterality", node.term("laterality")?);
        self.add(row);
        Ok(())
    }

    fn measurement(&mut self, node: Node<'_>, of: Of<'_>) -> Result<()> {
        let node = node.only(&[
            "description",
            "assay",
            "value",
            "complexValue",
            "timeObserved",
            "procedure",
        ])?;
        let row = |of: Of<'_>| -> Result<Row> {
            let mut row = of.row(Table::Measurement);
            let (id, label) = node.need("assay")?.as_term()?;
            row.put("assay_id", id).put("assay", label);
            row.put("description", node.text("description")?);
            time(&mut row, "observed", node.get("timeObserved"))?;
            procedure(&mut row, node.get("procedure"))?;
            Ok(row)
        };
        if let Some(complex) = node.get("complexValue") {
            for typed in complex
                .only(&["typedQuantities"])?
                .list("typedQuantities")?
            {
                let typed = typed.only(&["type", "quantity"])?;
                let mut row = row(of)?;
                row.put_term("component_id", "component", typed.term("type")?);
                quantity(&mut row, &typed.need("quantity")?)?;
                self.add(row);
            }
            return Ok(());
        }
        let value = node.need("value")?.only(&["quantity", "ontologyClass"])?;
        let mut row = row(of)?;
        match value.get("quantity") {
            Some(found) => quantity(&mut row, &found)?,
            None => {
                let (id, label) = value.need("ontologyClass")?.as_term()?;
                row.put("value_id", id).put("value_label", label);
            }
        }
        self.add(row);
        Ok(())
    }

    fn treatment(&mut self, node: Node<'_>, of: Of<'_>) -> Result<()> {
        let node = node.only(&[
            "procedure",
            "treatment",
            "radiationTherapy",
            "therapeuticRegimen",
            "treatmentTarget",
            "treatmentIntent",
            "responseToTreatment",
            "adverseEvents",
            "treatmentTerminationReason",
        ])?;
        let mut row = of.row(Table::Treatment);
        if let Some(done) = node.get("procedure") {
            let done = done.only(&["code", "bodySite", "performed"])?;
            row.put("kind", "procedure");
            row.put_term("action_id", "action", Some(done.need("code")?.as_term()?));
            row.put_term("body_site_id", "body_site", done.term("bodySite")?);
            time(&mut row, "started", done.get("performed"))?;
        } else if let Some(given) = node.get("treatment") {
            drug(&mut row, given)?;
        } else if let Some(given) = node.get("radiationTherapy") {
            let given = given.only(&["modality", "bodySite", "dosage", "fractions"])?;
            row.put("kind", "radiation_therapy");
            row.put_term(
                "action_id",
                "action",
                Some(given.need("modality")?.as_term()?),
            );
            row.put_term("body_site_id", "body_site", given.term("bodySite")?);
            row.put("cumulative_dose", bare(given.number("dosage")?));
            row.put("cumulative_dose_unit", "Gy");
            row.put("fractions", given.integer("fractions")?);
        } else {
            let known = [
                "externalReference",
                "ontologyClass",
                "startTime",
                "endTime",
                "regimenStatus",
            ];
            let given = node.need("therapeuticRegimen")?.only(&known)?;
            row.put("kind", "therapeutic_regimen");
            match given.get("externalReference") {
                Some(reference) => {
                    row.put("action_id", reference.text("id")?);
                    row.put("action", reference.text("description")?);
                }
                None => {
                    row.put_term("action_id", "action", given.term("ontologyClass")?);
                }
            }
            time(&mut row, "started", given.get("startTime"))?;
            time(&mut row, "ended", given.get("endTime"))?;
            row.put(
                "regimen_status",
                word(&given, "regimenStatus", words::REGIMEN, "")?,
            );
        }
        row.put_term("target_id", "target", node.term("treatmentTarget")?);
        row.put_term("intent_id", "intent", node.term("treatmentIntent")?);
        row.put_term("response_id", "response", node.term("responseToTreatment")?);
        let (ids, labels) = node.terms("adverseEvents")?;
        row.put("adverse_event_ids", ids)
            .put("adverse_events", labels);
        let reason = node.term("treatmentTerminationReason")?;
        row.put_term("termination_reason_id", "termination_reason", reason);
        self.add(row);
        Ok(())
    }

    fn interpretation(&mut self, node: Node<'_>, of: Of<'_>) -> Result<()> {
        let node = node.only(&["id", "progressStatus", "diagnosis", "summary"])?;
        let start = || -> Result<Row> {
            let mut row = of.row(Table::Interpretation);
            row.put("interpretation_id", node.need_text("id")?);
            row.put(
                "progress_status",
                word(&node, "progressStatus", words::PROGRESS, "_STATUS")?,
            );
            row.put("summary", node.text("summary")?);
            Ok(row)
        };
        let Some(diagnosis) = node.get("diagnosis") else {
            let row = start()?;
            self.add(row);
            return Ok(());
        };
        let diagnosis = diagnosis.only(&["disease", "genomicInterpretations"])?;
        let disease = diagnosis.term("disease")?;
        let found = diagnosis.list("genomicInterpretations")?;
        if found.is_empty() {
            let mut row = start()?;
            row.put_term("condition_id", "condition", disease);
            self.add(row);
            return Ok(());
        }
        for genomic in found {
            let mut row = start()?;
            row.put_term("condition_id", "condition", disease.clone());
            self.genomic(&mut row, genomic)?;
            self.add(row);
        }
        Ok(())
    }

    fn genomic(&self, row: &mut Row, node: Node<'_>) -> Result<()> {
        let node = node.only(&[
            "subjectOrBiosampleId",
            "interpretationStatus",
            "gene",
            "geneDescriptor",
            "variantInterpretation",
        ])?;
        row.put("subject_or_specimen_id", node.text("subjectOrBiosampleId")?);
        row.put(
            "status",
            word(
                &node,
                "interpretationStatus",
                words::INTERPRETATION,
                "_STATUS",
            )?,
        );
        if let Some(gene) = node.get("gene").or(node.get("geneDescriptor")) {
            put_gene(row, &gene)?;
        }
        let Some(variant) = node.get("variantInterpretation") else {
            return Ok(());
        };
        let known = [
            "acmgPathogenicityClassification",
            "therapeuticActionability",
            "variationDescriptor",
        ];
        let variant = variant.only(&known)?;
        row.put(
            "acmg",
            word(&variant, "acmgPathogenicityClassification", words::ACMG, "")?,
        );
        row.put(
            "actionability",
            word(
                &variant,
                "therapeuticActionability",
                words::ACTIONABILITY,
                "",
            )?,
        );
        let described = variant.need("variationDescriptor")?.only(&[
            "id",
            "variation",
            "label",
            "description",
            "geneContext",
            "expressions",
            "vcfRecord",
            "xrefs",
            "alternateLabels",
            "extensions",
            "moleculeContext",
            "structuralType",
            "vrsRefAlleleSeq",
            "allelicState",
        ])?;
        row.put("variant_id", described.text("id")?);
        row.put("variant_label", described.text("label")?);
        row.put(
            "molecule_context",
            word(
                &described,
                "moleculeContext",
                words::MOLECULE,
                "_MOLECULE_CONTEXT",
            )?,
        );
        row.put_term(
            "structural_type_id",
            "structural_type",
            described.term("structuralType")?,
        );
        row.put_term("zygosity_id", "zygosity", described.term("allelicState")?);
        if let Some(gene) = described.get("geneContext") {
            put_gene(row, &gene)?;
        }
        for expression in described.list("expressions")? {
            let expression = expression.only(&["syntax", "value", "version"])?;
            let value = expression.need_text("value")?;
            match expression.need_text("syntax")?.as_str() {
                "hgvs.c" | "hgvs.n" => row.put("hgvs_c", value),
                "hgvs.g" | "hgvs.m" => row.put("hgvs_g", value),
                "hgvs.p" => row.put("hgvs_p", value),
                _ => row,
            };
        }
        match described.get("vcfRecord") {
            Some(record) => self.allele(row, record),
            None => Ok(()),
        }
    }

    /// The allele, as it stood and trimmed as those of a call set are.
    fn allele(&self, row: &mut Row, node: Node<'_>) -> Result<()> {
        let known = [
            "genomeAssembly",
            "chrom",
            "pos",
            "id",
            "ref",
            "alt",
            "qual",
            "filter",
            "info",
        ];
        let node = node.only(&known)?;
        let (contig, reference) = (node.need_text("chrom")?, node.need_text("ref")?);
        let (alt, pos) = (node.need_text("alt")?, node.integer("pos")?);
        // Which of them is causative, and what the zygosity is of, would not be known.
        if alt.contains(',') {
            let message = "\"alt\" has several alleles, and an interpretation is of one variant; give each allele a \
                           variantInterpretation with a vcfRecord of its own";
            return Err(node.fault(message));
        }
        let pos = pos.filter(|pos| *pos > 0);
        let pos = pos.ok_or_else(|| node.fault("\"pos\" is no position; VCF counts from 1"))?;
        row.put("assembly", node.text("genomeAssembly")?);
        let named = match self.reader.contigs {
            Some(_) => crate::cbioportal::contig(&contig, self.reader.contigs).into_owned(),
            None => contig,
        };
        row.put("contig", named);
        let trimmed = trim(pos, reference.as_bytes(), alt.as_bytes());
        let text =
            |allele: Cow<'_, [u8]>| String::from_utf8_lossy(&upper_case(allele)).into_owned();
        let length = i32::try_from(trimmed.reference.len()).unwrap_or(i32::MAX);
        row.put("pos", Some(trimmed.pos));
        row.put("end_pos", Some(trimmed.pos.saturating_add(length - 1)));
        row.put("ref", text(trimmed.reference))
            .put("alt", text(trimmed.alternate));
        row.put("vcf_pos", Some(pos))
            .put("vcf_ref", reference)
            .put("vcf_alt", alt);
        Ok(())
    }

    fn specimen(&mut self, node: Node<'_>, of: Of<'_>, around: &[(String, String)]) -> Result<()> {
        let node = node.only(&[
            "id",
            "individualId",
            "derivedFromId",
            "description",
            "sampledTissue",
            "sampleType",
            "phenotypicFeatures",
            "measurements",
            "taxonomy",
            "timeOfCollection",
            "histologicalDiagnosis",
            "tumorProgression",
            "tumorGrade",
            "pathologicalStage",
            "pathologicalTnmFinding",
            "diagnosticMarkers",
            "procedure",
            "files",
            "materialSample",
            "sampleProcessing",
            "sampleStorage",
        ])?;
        let id = node.need_text("id")?;
        let individual = node.text("individualId")?;
        let person = individual.as_deref().or(of.person);
        let of = Of {
            person,
            specimen: Some(&id),
            ..of
        };
        let mut own = files(&node)?;
        own.extend(around.iter().cloned());
        let mut row = of.row(Table::Specimen);
        row.put("sample_id", sample(&own, &id));
        row.put("derived_from_id", node.text("derivedFromId")?);
        row.put("description", node.text("description")?);
        for (key, id, label) in [
            ("sampleType", "material_id", "material"),
            ("sampledTissue", "tissue_id", "tissue"),
            ("histologicalDiagnosis", "histology_id", "histology"),
            (
                "tumorProgression",
                "tumor_progression_id",
                "tumor_progression",
            ),
            ("tumorGrade", "tumor_grade_id", "tumor_grade"),
            ("pathologicalStage", "stage_id", "stage"),
        ] {
            row.put_term(id, label, node.term(key)?);
        }
        row.put("taxonomy_id", node.term("taxonomy")?.map(|(id, _)| id));
        time(&mut row, "collected", node.get("timeOfCollection"))?;
        row.put("tnm_ids", node.terms("pathologicalTnmFinding")?.0);
        row.put("marker_ids", node.terms("diagnosticMarkers")?.0);
        procedure(&mut row, node.get("procedure"))?;
        self.add(row);
        for feature in node.list("phenotypicFeatures")? {
            self.phenotype(feature, of)?;
        }
        for measurement in node.list("measurements")? {
            self.measurement(measurement, of)?;
        }
        Ok(())
    }
}

/// What a row is of.
#[derive(Clone, Copy)]
struct Of<'a> {
    packet: &'a str,
    person: Option<&'a str>,
    specimen: Option<&'a str>,
}

impl Of<'_> {
    fn row(self, table: Table) -> Row {
        let mut row = Row::of(table);
        row.put("phenopacket_id", self.packet);
        row.put("person_id", self.person.map(str::to_owned));
        if self.specimen.is_some() {
            row.put("specimen_id", self.specimen.map(str::to_owned));
        }
        row
    }
}

impl Around {
    /// What is known of a person from without the phenopacket.
    fn put(&self, person: &str, sex: Option<String>, row: &mut Row) {
        let member = self.pedigree.get(person).cloned().unwrap_or_default();
        let sex = sex.filter(|sex| sex != "unknown").or(member.sex);
        row.put("sex", sex.unwrap_or_else(|| "unknown".to_owned()));
        row.put("family_id", self.family_id.clone());
        row.put("cohort_id", self.cohort_id.clone());
        row.put("father_id", member.father)
            .put("mother_id", member.mother);
        row.put("affected", member.affected);
        row.put("proband", self.proband);
    }
}

/// What to do with version 1.
const CONVERT: &str = "convert the file to version 2.0 first, as phenopacket-tools does (convert)";

/// Refuses messages of another version; `required`: the message must have metadata.
fn version(node: &Node<'_>, required: bool) -> Result<()> {
    let meta = match node.get("metaData") {
        Some(meta) => meta,
        None if required => {
            let message = "\"metaData\" is missing: this is no phenopacket, family or cohort";
            return Err(node.fault(message));
        }
        None => return Ok(()),
    };
    let known = [
        "created",
        "createdBy",
        "submittedBy",
        "resources",
        "updates",
        "phenopacketSchemaVersion",
        "externalReferences",
    ];
    let meta = meta.only(&known)?;
    match meta.text("phenopacketSchemaVersion")? {
        Some(version) if version == "2" || version.starts_with("2.") => Ok(()),
        Some(version) => {
            let message = format!("version {version:?} of the schema is not read; {CONVERT}");
            Err(meta.fault(&message))
        }
        None => {
            Err(meta.fault("\"phenopacketSchemaVersion\" is missing; version 2.0 is what is read"))
        }
    }
}

/// Person or specimen, and sample in a file.
fn files(node: &Node<'_>) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for file in node.list("files")? {
        let file = file.only(&["uri", "individualToFileIdentifiers", "fileAttributes"])?;
        pairs.extend(file.map("individualToFileIdentifiers")?);
    }
    Ok(pairs)
}

/// The sample that the files name; none when they differ.
fn sample(files: &[(String, String)], id: &str) -> Option<String> {
    let mut of = files
        .iter()
        .filter(|(known, _)| known == id)
        .map(|(_, sample)| sample);
    let first = of.next()?;
    of.all(|other| other == first).then(|| first.clone())
}

fn pedigree(node: &Node<'_>) -> Result<BTreeMap<String, Member>> {
    let mut members = BTreeMap::new();
    let Some(pedigree) = node.get("pedigree") else {
        return Ok(members);
    };
    let keys = [
        "familyId",
        "individualId",
        "paternalId",
        "maternalId",
        "sex",
        "affectedStatus",
    ];
    for person in pedigree.only(&["persons"])?.list("persons")? {
        let person = person.only(&keys)?;
        let parent =
            |key| -> Result<Option<String>> { Ok(person.text(key)?.filter(|id| id != "0")) };
        let affected = match person.word("affectedStatus", words::AFFECTED)? {
            Some("AFFECTED") => Some(true),
            Some("UNAFFECTED") => Some(false),
            _ => None,
        };
        let member = Member {
            father: parent("paternalId")?,
            mother: parent("maternalId")?,
            sex: word(&person, "sex", words::SEX, "_SEX")?,
            affected,
        };
        let id = person.need_text("individualId")?;
        if members.insert(id, member).is_some() {
            return Err(person.fault("the person stands in the pedigree already"));
        }
    }
    Ok(members)
}

fn put_gene(row: &mut Row, node: &Node<'_>) -> Result<()> {
    let known = [
        "valueId",
        "symbol",
        "description",
        "alternateIds",
        "alternateSymbols",
        "xrefs",
    ];
    let gene = node.clone().only(&known)?;
    row.put("gene_id", gene.text("valueId")?)
        .put("gene", gene.text("symbol")?);
    Ok(())
}

fn procedure(row: &mut Row, node: Option<Node<'_>>) -> Result<()> {
    if let Some(node) = node {
        let node = node.only(&["code", "bodySite", "performed"])?;
        row.put_term(
            "procedure_id",
            "procedure",
            Some(node.need("code")?.as_term()?),
        );
    }
    Ok(())
}

fn quantity(row: &mut Row, node: &Node<'_>) -> Result<()> {
    let node = node.clone().only(&["unit", "value", "referenceRange"])?;
    // Protobuf leaves a zero out.
    let value = node.number("value")?.unwrap_or_else(|| "0".to_owned());
    row.put("value", Held::Bare(value));
    row.put_term("unit_id", "unit", node.term("unit")?);
    if let Some(range) = node.get("referenceRange") {
        let range = range.only(&["unit", "low", "high"])?;
        row.put("reference_low", bare(range.number("low")?));
        row.put("reference_high", bare(range.number("high")?));
    }
    Ok(())
}

fn drug(row: &mut Row, node: Node<'_>) -> Result<()> {
    let node = node.only(&[
        "agent",
        "routeOfAdministration",
        "doseIntervals",
        "drugType",
        "cumulativeDose",
    ])?;
    row.put("kind", "treatment");
    row.put_term("action_id", "action", Some(node.need("agent")?.as_term()?));
    row.put_term("route_id", "route", node.term("routeOfAdministration")?);
    row.put(
        "drug_type",
        word(&node, "drugType", words::DRUG, "_DRUG_TYPE")?,
    );
    if let Some(dose) = node.get("cumulativeDose") {
        let dose = dose.only(&["unit", "value", "referenceRange"])?;
        row.put("cumulative_dose", bare(dose.number("value")?));
        row.put(
            "cumulative_dose_unit",
            dose.term("unit")?.map(|(id, label)| label.unwrap_or(id)),
        );
    }
    let (mut first, mut last) = (None, None);
    for dose in node.list("doseIntervals")? {
        let dose = dose.only(&["quantity", "scheduleFrequency", "interval"])?;
        let Some(interval) = dose.get("interval") else {
            continue;
        };
        let interval = interval.only(&["start", "end"])?;
        let ends = (instant(&interval, "start")?, instant(&interval, "end")?);
        first = [first, ends.0].into_iter().flatten().min();
        last = last.max(ends.1);
    }
    let held =
        |found: Option<DateTime<_>>| found.map_or(Held::Null, |at| Held::Bare(at.to_rfc3339()));
    row.put("started_time", held(first))
        .put("ended_time", held(last));
    if let Some(doses) = node.get("doseIntervals") {
        row.put("doses", doses.json());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> std::result::Result<Rows, String> {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        let reader = Reader {
            contigs: Some(ContigNames::Chr),
            terms: None,
        };
        let made = reader.message(&Node::root(&value));
        made.map(|(rows, _)| rows).map_err(|fault| fault.0)
    }

    fn packet(middle: &str) -> String {
        format!(
            "{{\"id\":\"K\",\"subject\":{{\"id\":\"P\"}},{middle}\"metaData\":{{\"phenopacketSchemaVersion\":\"2.0\"}}}}"
        )
    }

    #[test]
    fn an_excluded_phenotype_says_so_and_one_without_the_word_is_there() {
        let rows = read(&packet(
            "\"phenotypic_features\":[{\"type\":{\"id\":\"HP:1\"},\"excluded\":true},\
             {\"type\":{\"id\":\"HP:2\"},\"onset\":{\"ageRange\":{\"start\":{\"iso8601duration\":\"P1Y\"},\
             \"end\":{\"iso8601duration\":\"P2Y\"}}}}],",
        ))
        .unwrap();
        let found: Vec<_> = rows
            .0
            .iter()
            .filter(|r| r.table == Table::Phenotype)
            .collect();
        assert_eq!(found[0].text("excluded"), Some("true"));
        assert_eq!(found[1].text("excluded"), Some("false"));
        assert_eq!(found[1].text("onset_age_until"), Some("P2Y"));
    }

    #[test]
    fn enumerations_are_read_by_name_and_by_number() {
        let sexes = [
            ("\"FEMALE\"", "female"),
            ("1", "female"),
            ("2", "male"),
            ("\"OTHER_SEX\"", "other"),
            ("3", "other"),
            ("0", "unknown"),
            ("\"male\"", "male"),
        ];
        for (sex, expected) in sexes {
            let subject = format!("{{\"id\":\"P\",\"sex\":{sex},\"karyotypicSex\":4}}");
            let rows = read(&packet("").replace("{\"id\":\"P\"}", &subject)).unwrap();
            let person = rows.0.iter().find(|r| r.table == Table::Person).unwrap();
            assert_eq!(person.text("sex"), Some(expected), "{sex}");
            assert_eq!(person.text("karyotypic_sex"), Some("XXY"));
        }
    }

    #[test]
    fn an_allele_is_trimmed_and_named() {
        let rows = read(&packet(
            "\"interpretations\":[{\"id\":\"I\",\"progressStatus\":\"SOLVED\",\"diagnosis\":{\"genomicInterpretations\":[\
             {\"interpretationStatus\":\"CAUSATIVE\",\"variantInterpretation\":{\"variationDescriptor\":{\"id\":\"v\",\
             \"vcfRecord\":{\"chrom\":\"7\",\"pos\":\"117559590\",\"ref\":\"ATCTA\",\"alt\":\"AA\"}}}}]}}],",
        ))
        .unwrap();
        let row = rows
            .0
            .iter()
            .find(|r| r.table == Table::Interpretation)
            .unwrap();
        for (column, value) in [
            ("contig", "chr7"),
            ("pos", "117559590"),
            ("end_pos", "117559593"),
            ("ref", "ATCT"),
            ("alt", "A"),
            ("vcf_ref", "ATCTA"),
            ("status", "causative"),
            ("progress_status", "solved"),
        ] {
            assert_eq!(row.text(column), Some(value), "{column}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_path() {
        let feature = |text: &str| {
            packet(&format!(
                "\"phenotypicFeatures\":[{{\"type\":{{\"id\":\"HP:1\"}}}},{text}],"
            ))
        };
        let of_two = "\"interpretations\":[{\"id\":\"I\",\"progressStatus\":\"SOLVED\",\"diagnosis\":{\
                      \"genomicInterpretations\":[{\"variantInterpretation\":{\"variationDescriptor\":{\"id\":\"v\",\
                      \"vcfRecord\":{\"chrom\":\"7\",\"pos\":5,\"ref\":\"A\",\"alt\":\"C,G\"}}}}]}}],";
        for (text, told) in [
            (
                packet(of_two),
                "interpretations[0].diagnosis.genomicInterpretations[0].variantInterpretation.variationDescriptor.\
                 vcfRecord: \"alt\" has several alleles",
            ),
            (
                feature("{\"type\":{\"id\":\"HP:1\"},\"exclude\":true}"),
                "phenotypicFeatures[1]: unknown field \"exclude\"; did you mean \"excluded\"?",
            ),
            (
                feature("{\"type\":{\"id\":\"HP:1\"},\"excluded\":\"yes\"}"),
                "phenotypicFeatures[1].excluded: expected true or false, found text",
            ),
            (
                feature("{\"type\":{\"label\":\"x\"}}"),
                "phenotypicFeatures[1].type: \"id\" is missing",
            ),
            (
                feature("{\"type\":{\"id\":\"HP:1\"},\"negated\":true}"),
                "phenotypicFeatures[1]: the phenotype is of version 1",
            ),
            (
                feature(
                    "{\"type\":{\"id\":\"HP:1\"},\"onset\":{\"age\":{\"iso8601duration\":\"3 years\"}}}",
                ),
                "phenotypicFeatures[1].onset.age: \"iso8601duration\" is no",
            ),
            (
                packet("").replace("{\"id\":\"P\"}", "{\"id\":\"P\",\"sex\":\"FEMAIL\"}"),
                "subject.sex: \"FEMAIL\" is none of UNKNOWN_SEX, FEMALE, MALE, OTHER_SEX; did you mean \"FEMALE\"?",
            ),
            (
                packet("").replace("{\"id\":\"P\"}", "{\"id\":\"P\",\"karyotypicSex\":11}"),
                "subject.karyotypicSex: 11 is the number of no value; 0 to 10 are",
            ),
            (
                packet("\"phenotypicFeatures\":[],\"phenotypic_features\":[],"),
                "\"phenotypicFeatures\" and \"phenotypic_features\" are one field",
            ),
            (packet("\"genes\":[],"), "\"genes\" is of version 1"),
            (
                packet("").replace("2.0", "1.0.0"),
                "metaData: version \"1.0.0\" of the schema is not read",
            ),
            (
                packet("").replace("phenopacketSchemaVersion", "createdBy"),
                "metaData: \"phenopacketSchemaVersion\" is missing",
            ),
            ("{\"id\":\"K\"}".to_owned(), "\"metaData\" is missing"),
            (
                packet("").replace("\"subject\":{\"id\":\"P\"}", "\"subject\":{\"id\":\"\"}"),
                "subject: \"id\" is missing or empty",
            ),
            (
                packet("").replace(
                    "{\"id\":\"P\"}",
                    "{\"id\":\"P\",\"dateOfBirth\":\"1.2.2003\"}",
                ),
                "subject: \"dateOfBirth\" is no moment",
            ),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.starts_with(told), "{text}\n{error}");
        }
    }

    #[test]
    fn a_family_gives_persons_their_parents() {
        let member = |id: &str| {
            format!(
                "{{\"id\":\"K{id}\",\"subject\":{{\"id\":\"{id}\",\"sex\":\"MALE\",\"dateOfBirth\":\"1990-02-03T00:00:00Z\"}}}}"
            )
        };
        let text = format!(
            "{{\"id\":\"F\",\"proband\":{},\"relatives\":[{}],\"pedigree\":{{\"persons\":[\
             {{\"individualId\":\"C\",\"paternalId\":\"D\",\"maternalId\":\"M\",\"affectedStatus\":\"AFFECTED\"}},\
             {{\"individualId\":\"D\",\"paternalId\":\"0\"}},{{\"individualId\":\"M\",\"sex\":\"FEMALE\"}}]}},\
             \"files\":[{{\"uri\":\"f\",\"individualToFileIdentifiers\":{{\"C\":\"S1\"}}}}],\
             \"metaData\":{{\"phenopacketSchemaVersion\":\"2.0\"}}}}",
            member("C"),
            member("D")
        );
        let rows = read(&text).unwrap();
        let person = |id: &str| {
            let mut persons = rows.0.iter().filter(|r| r.table == Table::Person);
            persons.find(|r| r.text("person_id") == Some(id)).unwrap()
        };
        let child = person("C");
        for (column, value) in [
            ("father_id", "D"),
            ("mother_id", "M"),
            ("affected", "true"),
            ("proband", "true"),
            ("sample_id", "S1"),
            ("family_id", "F"),
            ("date_of_birth", "1990-02-03"),
            ("sex", "male"),
        ] {
            assert_eq!(child.text(column), Some(value), "{column}");
        }
        assert_eq!(person("D").text("father_id"), None);
        assert_eq!(person("M").text("sex"), Some("female"));
        let family = rows.0.iter().find(|r| r.table == Table::Family).unwrap();
        assert_eq!(
            (family.text("members"), family.text("affected")),
            (Some("3"), Some("1"))
        );
    }
}
