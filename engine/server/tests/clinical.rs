//! Clinical inputs end to end: HPO, phenopackets and the tables they make, on files of other projects and on bad ones.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::{Path, PathBuf};

use support::{genokura, run, select, stdout_of};

/// Files of other projects, beside the checkout.
fn shared(folder: &str) -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let dir = std::env::var_os("GENOKURA_SHARED_DATA").map_or_else(default, PathBuf::from);
    dir.join(folder)
}

/// What an ingest that must fail says.
fn refused(lake: &Path, what: &str, input: &Path) -> String {
    let output = run(genokura()
        .args(["ingest", what, "--lake"])
        .arg(lake)
        .arg(input));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn ingest(lake: &Path, what: &[&str], inputs: &[&Path]) -> String {
    stdout_of(
        genokura()
            .arg("ingest")
            .args(what)
            .arg("--lake")
            .arg(lake)
            .args(inputs),
    )
}

fn written(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn hpo_is_loaded_once_replaced_whole_and_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let mut text = Vec::new();
    genokura_testdata::write_hpo(&mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let obo = written(dir.path(), "hp.obo", &text);
    let terms = text.matches("[Term]").count();
    let told = ingest(&lake, &["hpo"], &[&obo]);
    assert!(told.contains(&format!("{terms} records read")), "{told}");
    assert!(told.contains("obsolete-without-replacement: 1"), "{told}");
    assert!(ingest(&lake, &["hpo"], &[&obo]).contains("already"));
    let other = written(
        dir.path(),
        "other.obo",
        &text.replace("2025-01-16", "2026-01-01"),
    );
    assert!(refused(&lake, "hpo", &other).contains("use --replace"));
    ingest(&lake, &["hpo", "--replace"], &[&other]);
    let releases = "SELECT release, count(*) FROM kb.hpo_terms GROUP BY release";
    assert_eq!(
        select(&lake, releases),
        [format!("hp/releases/2026-01-01,{terms}")]
    );
    ingest(&lake, &["hpo", "--name", "second"], &[&obo]);
    let same = "SELECT count(*) FROM kb.second_closure a JOIN kb.hpo_closure b USING (term, ancestor, distance)";
    let all = select(&lake, "SELECT count(*) FROM kb.hpo_closure");
    assert_eq!(select(&lake, same), all);
    let head = "format-version: 1.2\n\n[Term]\nid: A\nname: a\n";
    for (tail, line, what) in [
        ("is_a: B\n", "line 3", "is_a \"B\" names no term"),
        ("\n[Term]\nid: A\n", "line 7", "belongs to another term"),
        ("is_a: A\n", "line 3", "an ancestor of its own"),
        ("def: none\n", "line 6", "no text within quotes"),
    ] {
        let bad = written(dir.path(), "bad.obo", &format!("{head}{tail}"));
        let error = refused(&dir.path().join("no"), "hpo", &bad);
        assert!(
            error.contains(line) && error.contains(what),
            "{tail}: {error}"
        );
    }
    let owl = written(dir.path(), "hp.owl", "<?xml version=\"1.0\"?>\n<rdf:RDF>\n");
    let no = dir.path().join("no");
    assert!(refused(&no, "hpo", &owl).contains("no OBO file"));
}

#[test]
fn functions_on_hpo_say_what_to_do_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let persons = written(
        dir.path(),
        "person.csv",
        "person_id,hpo_id\nP1,HP:0001250\n",
    );
    ingest(&lake, &["table", "--table", "clin.phenotype"], &[&persons]);
    let sql = "SELECT hpo_is_a(hpo_id, 'HP:0000707') FROM clin.phenotype";
    let output = run(genokura().args(["sql", "-c", sql, "--lake"]).arg(&lake));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("HPO is not in this lake") && error.contains("genokura ingest hpo"),
        "{error}"
    );
}

#[test]
fn published_phenopackets_become_tables() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let pattern = shared("phenopackets").join("*/phenopackets/*.json");
    let told = ingest(&lake, &["phenopackets"], &[&pattern]);
    assert!(told.contains("40 records read, 40 stored"), "{told}");
    assert!(ingest(&lake, &["phenopackets"], &[&pattern]).contains("already"));
    // Counted in the files by another program (docs/clinical.md tells how).
    let counts = "SELECT (SELECT count(*) FROM clin.person), (SELECT count(*) FROM clin.phenotype), \
                  (SELECT count(*) FROM clin.phenotype WHERE excluded), (SELECT count(*) FROM clin.condition), \
                  (SELECT count(*) FROM clin.interpretation WHERE pos IS NOT NULL), \
                  (SELECT count(*) FROM clin.phenopacket)";
    assert_eq!(select(&lake, counts), ["40,621,321,40,38,40"]);
    let one = "SELECT i.gene, i.contig, i.pos, i.ref, i.alt, i.hgvs_c, i.acmg, i.status, i.zygosity, p.sex, \
               p.last_encounter_age_years FROM clin.interpretation i JOIN clin.person p USING (person_id) \
               WHERE p.phenopacket_id = 'PMID_39013458_individual_Diagnostic110001'";
    let expected = "EHMT1,chr9,137710979,A,AC,NM_024757.5:c.34_35insC,pathogenic,causative,heterozygous,female,27";
    assert_eq!(select(&lake, one), [expected]);
    let columns = "SELECT data_type FROM information_schema.columns WHERE table_schema = 'clin' \
                   AND table_name = 'person' AND column_name = 'date_of_birth'";
    assert_eq!(select(&lake, columns), ["date"]);
    let again = shared("phenopackets").join("EHMT1/phenopackets/*1.json");
    let error = refused(&lake, "phenopackets", &again);
    assert!(
        error.contains("subject.id: the person is in the lake already"),
        "{error}"
    );
    let plain = "SELECT DISTINCT contig FROM clin.interpretation WHERE contig NOT LIKE 'chr%'";
    assert!(select(&lake, plain).is_empty());
}

/// A packet of a person with some members more.
fn packet(person: &str, members: &str) -> String {
    format!(
        "{{\"id\": \"K-{person}\", \"subject\": {{\"id\": \"{person}\"}}, {members}\
         \"metaData\": {{\"created\": \"2024-02-29T10:00:00Z\", \"phenopacketSchemaVersion\": \"2.0\"}}}}\n"
    )
}

const EVERYTHING: &str = r#"
"phenotypicFeatures": [
 {"type": {"id": "HP:0001250", "label": "Seizure"}, "severity": {"id": "HP:0012828", "label": "Severe"},
  "modifiers": [{"id": "HP:0031796", "label": "Recurrent"}], "onset": {"ontologyClass": {"id": "HP:0003593"}},
  "evidence": [{"evidenceCode": {"id": "ECO:0006017"}, "reference": {"id": "PMID:1"}}]},
 {"type": {"id": "HP:0001263"}, "excluded": true}],
"diseases": [{"term": {"id": "OMIM:607208"}, "onset": {"age": {"iso8601duration": "P1Y6M"}}}],
"measurements": [
 {"assay": {"id": "LOINC:2085-9", "label": "HDL"}, "timeObserved": {"timestamp": "2023-05-06T07:08:09Z"},
  "value": {"quantity": {"unit": {"id": "UCUM:mg/dL"}, "value": 41.5, "referenceRange": {"low": 40, "high": 60}}}},
 {"assay": {"id": "LOINC:85354-9"}, "complexValue": {"typedQuantities": [
  {"type": {"id": "NCIT:C25298"}, "quantity": {"unit": {"id": "UCUM:mm[Hg]"}, "value": 120}},
  {"type": {"id": "NCIT:C25299"}, "quantity": {"unit": {"id": "UCUM:mm[Hg]"}, "value": 70}}]}}],
"medicalActions": [
 {"treatment": {"agent": {"id": "DrugCentral:1", "label": "valproate"}, "doseIntervals": [
  {"interval": {"start": "2020-01-02T00:00:00Z", "end": "2020-02-03T00:00:00Z"}}]},
  "treatmentTarget": {"id": "HP:0001250"}},
 {"procedure": {"code": {"id": "NCIT:C1"}, "performed": {"timestamp": "2021-01-01T00:00:00Z"}}}],
"biosamples": [{"id": "B1", "sampleType": {"id": "NCIT:C17610", "label": "blood"},
  "timeOfCollection": {"age": {"iso8601duration": "P2Y"}}}],
"files": [{"uri": "file:x.vcf", "individualToFileIdentifiers": {"P1": "S1", "B1": "S1"}}],
"#;

#[test]
fn everything_of_a_phenopacket_has_its_table() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    // A table that is there already keeps its columns and its rows.
    let before = written(
        dir.path(),
        "person.csv",
        "person_id,sample_id,ward\nP0,S0,North\n",
    );
    ingest(&lake, &["table", "--table", "clin.person"], &[&before]);
    let text = format!("[{},\n{}]", packet("P1", EVERYTHING), packet("P2", ""));
    let file = written(dir.path(), "two.json", &text);
    ingest(&lake, &["phenopackets"], &[&file]);
    for (sql, rows) in [
        (
            "SELECT person_id, sample_id, ward FROM clin.person ORDER BY 1",
            &["P0,S0,North", "P1,S1,", "P2,,"][..],
        ),
        (
            "SELECT hpo_id, excluded, severity, array_to_string(modifiers, ' '), onset_id FROM clin.phenotype ORDER BY 1",
            &[
                "HP:0001250,f,Severe,Recurrent,HP:0003593",
                "HP:0001263,t,,,",
            ],
        ),
        (
            "SELECT condition_id, onset_age, onset_age_years FROM clin.condition",
            &["OMIM:607208,P1Y6M,1.5"],
        ),
        (
            "SELECT assay_id, component_id, value, unit_id, reference_high FROM clin.measurement ORDER BY value",
            &[
                "LOINC:2085-9,,41.5,UCUM:mg/dL,60",
                "LOINC:85354-9,NCIT:C25299,70,UCUM:mm[Hg],",
                "LOINC:85354-9,NCIT:C25298,120,UCUM:mm[Hg],",
            ],
        ),
        (
            "SELECT kind, action, started_time::date, ended_time::date, target_id FROM clin.treatment ORDER BY 1",
            &[
                "procedure,,2021-01-01,,",
                "treatment,valproate,2020-01-02,2020-02-03,HP:0001250",
            ],
        ),
        (
            "SELECT specimen_id, person_id, sample_id, material, collected_age FROM clin.specimen",
            &["B1,P1,S1,blood,P2Y"],
        ),
        (
            "SELECT phenopacket_id, created::date FROM clin.phenopacket ORDER BY 1",
            &["K-P1,2024-02-29", "K-P2,2024-02-29"],
        ),
    ] {
        assert_eq!(select(&lake, sql), rows, "{sql}");
    }
}

#[test]
fn a_bad_phenopacket_is_named_with_input_line_and_path_and_nothing_lands() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let good = written(dir.path(), "a.json", &packet("P1", ""));
    let v1 = packet("P2", "").replace("\"2.0\"", "\"1.0.0-RC3\"");
    let typo = "\"phenotypicFeatures\": [{\"type\": {\"id\": \"HP:1\"}, \"exluded\": true}], ";
    for (text, line, what) in [
        (
            format!("{}{}", packet("P2", ""), packet("P3", typo)),
            2,
            "phenotypicFeatures[0]: unknown field \"exluded\"; did you mean \"excluded\"?",
        ),
        (
            v1,
            1,
            "metaData: version \"1.0.0-RC3\" of the schema is not read; convert",
        ),
        (
            packet("P1", ""),
            1,
            "subject.id: the person is in input 1, line 1 already",
        ),
        ("\n\n{\"id\": 5}".to_owned(), 3, "\"metaData\" is missing"),
        ("{\"id\": \"x\"".to_owned(), 1, "not closed"),
        ("{\"id\": }".to_owned(), 1, "is no JSON"),
    ] {
        let bad = written(dir.path(), "b.json", &text);
        let output = run(genokura()
            .args(["ingest", "phenopackets", "--lake"])
            .arg(&lake)
            .arg(&good)
            .arg(&bad));
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        let place = format!("input 2, line {line}: ");
        assert!(
            error.contains(&place) && error.contains(what),
            "{text}\n{error}"
        );
    }
    let none = written(dir.path(), "c.json", " \n");
    assert!(refused(&lake, "phenopackets", &none).contains("no phenopacket in it"));
    let output = run(genokura()
        .args(["sql", "-c", "SELECT * FROM clin.person", "--lake"])
        .arg(&lake));
    assert!(!output.status.success());
}

#[test]
fn omop_tables_of_synthea_are_typed_by_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let source = shared("omop-synthea");
    ingest(&lake, &["omop"], &[&source]);
    assert!(ingest(&lake, &["omop"], &[&source]).contains("already"));
    // Each table has as many rows as its file has records.
    for entry in std::fs::read_dir(&source).unwrap() {
        let path = entry.unwrap().path();
        let table = path.file_stem().unwrap().to_str().unwrap().to_lowercase();
        let n = csv_records(&path);
        let sql = format!("SELECT count(*) FROM omop.{table}");
        assert_eq!(select(&lake, &sql), [n.to_string()], "{table}");
    }
    let types = "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'omop' AND \
                 (table_name, column_name) IN (('person', 'person_id'), ('person', 'birth_datetime'), \
                 ('person', 'year_of_birth'), ('location', 'latitude'), ('drug_exposure', 'quantity'), \
                 ('death', 'death_date')) ORDER BY 1";
    let expected = [
        "birth_datetime,timestamp without time zone",
        "death_date,date",
        "latitude,double precision",
        "person_id,bigint",
        "quantity,double precision",
        "year_of_birth,integer",
    ];
    assert_eq!(select(&lake, types), expected);
    let joined = "SELECT count(*), min(d.drug_exposure_start_date) FROM omop.person p \
                  JOIN omop.drug_exposure d USING (person_id)";
    let told = select(&lake, joined);
    assert!(
        told[0].starts_with(&format!(
            "{},",
            csv_records(&source.join("DRUG_EXPOSURE.csv"))
        )),
        "{told:?}"
    );
}

/// Records of a csv file behind its header.
fn csv_records(path: &Path) -> usize {
    let text = std::fs::read_to_string(path).unwrap();
    let (mut quoted, mut records) = (false, 0);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '\n' if !quoted => records += 1,
            _ => {}
        }
    }
    records + usize::from(!text.ends_with('\n')) - 1
}

#[test]
fn a_bad_omop_directory_is_named_by_table_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let source = dir.path().join("cdm");
    std::fs::create_dir(&source).unwrap();
    assert!(refused(&lake, "omop", &source).contains("no csv file"));
    let person = "person_id,gender_concept_id,year_of_birth,Ward No.\n1,8507.0,1980,7\n";
    written(&source, "Person.csv", person);
    for (name, text, told) in [
        (
            "death.csv",
            "person_id,death_date\n1,20200229\n1,2021-02-30\n",
            "line 3, column \"death.death_date\"",
        ),
        (
            "death.csv",
            "person_id,death_date\n,2020-02-29\n",
            "line 2, column \"death.person_id\": no value",
        ),
        (
            "death.csv",
            "death_date\n2020-02-29\n",
            "death.csv has no column person_id",
        ),
        (
            "deaths.csv",
            "person_id\n1\n",
            "deaths.csv is no table of the OMOP CDM; did you mean death?",
        ),
        (
            "cost.csv",
            "cost_id\n1\n",
            "table cost tells of persons without a column person_id",
        ),
        ("person.csv.gz", "", "two files of table person"),
    ] {
        let file = written(&source, name, text);
        let error = refused(&lake, "omop", &source);
        assert!(error.contains(told), "{name}: {error}");
        std::fs::remove_file(file).unwrap();
    }
    written(
        &source,
        "CONCEPT.csv",
        "concept_id\tconcept_name\tvalid_start_date\n8507\tMALE, \"m\"\t19700101\n",
    );
    let told = ingest(&lake, &["omop"], &[&source]);
    assert!(told.contains("column-not-of-the-model: 1"), "{told}");
    let persons = "SELECT p.person_id, p.ward_no, c.concept_name, c.valid_start_date FROM omop.person p \
                   JOIN omop.concept c ON c.concept_id = p.gender_concept_id";
    assert_eq!(
        select(&lake, persons),
        ["1,7,\"MALE, \"\"m\"\"\",1970-01-01"]
    );
    // Another delivery adds rows, and columns that are new.
    let more = dir.path().join("more");
    std::fs::create_dir(&more).unwrap();
    written(&more, "person.csv", "person_id,month_of_birth\n2,12\n");
    ingest(&lake, &["omop"], &[&more]);
    let both = "SELECT person_id, year_of_birth, month_of_birth FROM omop.person ORDER BY 1";
    assert_eq!(select(&lake, both), ["1,1980,", "2,,12"]);
}
