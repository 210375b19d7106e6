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

/// Whom only a pedigree knows is no obstacle to their own phenopacket, in the same job or later.
#[test]
fn a_person_of_a_pedigree_may_have_a_phenopacket_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let bare =
        |person: &str| format!("{{\"id\": \"K-{person}\", \"subject\": {{\"id\": \"{person}\"}}}}");
    let family = format!(
        "{{\"id\": \"F1\", \"proband\": {}, \"pedigree\": {{\"persons\": [\
         {{\"individualId\": \"C\", \"paternalId\": \"D\", \"maternalId\": \"M\", \"sex\": \"MALE\", \"affectedStatus\": 2}},\
         {{\"individualId\": \"D\", \"paternalId\": \"G\", \"sex\": 2, \"affectedStatus\": \"UNAFFECTED\"}},\
         {{\"individualId\": \"M\", \"sex\": \"FEMALE\"}}]}},\
         \"metaData\": {{\"phenopacketSchemaVersion\": \"2.0\"}}}}\n",
        bare("C")
    );
    let family = written(dir.path(), "family.json", &family);
    let father = written(dir.path(), "father.json", &packet("D", EVERYTHING));
    let expected = [
        "C,F1,D,M,male,t,t,K-C",
        "D,F1,G,,male,f,f,K-D",
        "M,F1,,,female,,f,",
    ];
    let persons = "SELECT person_id, family_id, father_id, mother_id, sex, affected, proband, phenopacket_id \
                   FROM clin.person ORDER BY 1";
    let (together, later) = (dir.path().join("together"), dir.path().join("later"));
    ingest(&together, &["phenopackets"], &[&family, &father]);
    assert_eq!(select(&together, persons), expected);
    ingest(&later, &["phenopackets"], &[&family]);
    assert_eq!(select(&later, persons)[1], "D,F1,G,,male,f,f,");
    ingest(&later, &["phenopackets"], &[&father]);
    assert_eq!(select(&later, persons), expected);
    // Both files have landed, and a second phenopacket of the person is refused.
    for file in [&family, &father] {
        assert!(ingest(&later, &["phenopackets"], &[file]).contains("already"));
    }
    let second = written(dir.path(), "second.json", &packet("D", ""));
    assert!(refused(&later, "phenopackets", &second).contains("in the lake already"));
    assert_eq!(select(&later, persons), expected);
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
        (
            packet("P2", "\"diseases\": [], \"diseases\": [], "),
            1,
            "key \"diseases\" stands twice in one object",
        ),
        (
            packet("P2", "").replace("\"id\": \"P2\"", "\"id\": \"P2\", \"sex\": \"FEMAIL\""),
            1,
            "subject.sex: \"FEMAIL\" is none of UNKNOWN_SEX, FEMALE, MALE, OTHER_SEX; did you mean \"FEMALE\"?",
        ),
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

/// Phenotypes that the HPO of the lake does not know, and messages from a directory.
#[test]
fn a_directory_of_phenopackets_and_terms_that_hpo_does_not_know() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let cases = dir.path().join("cases");
    std::fs::create_dir_all(cases.join("b")).unwrap();
    let one = |person: &str, term: &str| {
        let members = format!(
            "\"phenotypicFeatures\":[{{\"type\":{{\"id\":\"HP:0001250\"}}}},\
             {{\"type\":{{\"id\":\"{term}\"}},\"excluded\":true}}],"
        );
        packet(person, &members)
    };
    written(&cases, "a.json", &one("p1", "HP:0001263"));
    let lines = one("p2", "HP:0001250") + &one("p3", "HP:0001250");
    written(&cases.join("b"), "lines.jsonl", &lines);
    written(&cases, "README.md", "no phenopacket");
    ingest(&lake, &["phenopackets"], &[&cases]);
    let counts = "SELECT count(DISTINCT person_id), count(*), count(*) FILTER (WHERE excluded) FROM clin.phenotype";
    assert_eq!(select(&lake, counts), ["3,6,3"]);

    let hpo = dir.path().join("hp.obo");
    genokura_testdata::write_hpo(&mut std::fs::File::create(&hpo).unwrap()).unwrap();
    ingest(&lake, &["hpo"], &[&hpo]);
    let bad = written(
        dir.path(),
        "bad.jsonl",
        &format!("{}\n{}", one("p4", "HP:0001250"), one("p5", "HP:00012633")),
    );
    let told = refused(&lake, "phenopackets", &bad);
    for word in [
        "input 1",
        "line 3",
        "phenotypicFeatures[1].type",
        "knows no term \"HP:00012633\"; did you mean \"HP:0001263\"?",
    ] {
        assert!(told.contains(word), "{told}");
    }
    assert_eq!(select(&lake, counts), ["3,6,3"]);
    let lower = written(dir.path(), "lower.json", &one("p6", "hp:0001263"));
    let told = refused(&lake, "phenopackets", &lower);
    assert!(
        told.contains("\"hp:0001263\"; did you mean \"HP:0001263\"?"),
        "{told}"
    );
    let gone = select(
        &lake,
        "SELECT term FROM kb.hpo_terms WHERE is_obsolete AND resolves_to IS NULL",
    );
    let old = written(dir.path(), "old.json", &one("p7", &gone[0]));
    let told = ingest(&lake, &["phenopackets"], &[&old]);
    assert!(told.contains("obsolete-term: 1"), "{told}");
    let table = written(
        dir.path(),
        "old.csv",
        &format!("person_id,hpo_id\np8,{}\n", gone[0]),
    );
    let told = ingest(&lake, &["table", "--table", "clin.old"], &[&table]);
    assert!(told.contains("obsolete-term: 1"), "{told}");
}

/// A column of terms in a table of any format is looked up too; ids of other vocabularies are not.
#[test]
fn terms_of_a_table_that_hpo_does_not_know_are_named_with_their_line() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let table = |name: &str, text: &str| written(dir.path(), name, text);
    let bad = table(
        "bad.csv",
        "person_id,HPO_ID\np1,HP:0001250\np2,\np3,HP:00012633\n",
    );
    // Without HPO nothing is looked up.
    ingest(&lake, &["table", "--table", "clin.before"], &[&bad]);
    let sql = "SELECT person_id, hpo_id FROM clin.before ORDER BY 1";
    let mut command = genokura();
    command.args(["sql", "--format", "parquet", "-c", sql, "--lake"]);
    let output = run(command.arg(&lake));
    assert!(output.status.success(), "{output:?}");
    let rows = dir.path().join("bad.parquet");
    std::fs::write(&rows, output.stdout).unwrap();

    let hpo = dir.path().join("hp.obo");
    genokura_testdata::write_hpo(&mut std::fs::File::create(&hpo).unwrap()).unwrap();
    ingest(&lake, &["hpo"], &[&hpo]);
    let json = table(
        "bad.jsonl",
        "{\"person_id\": \"p1\", \"hpo_id\": \"HP:0001250\"}\n\n{\"person_id\": \"p2\", \"hpo_id\": \"HP:00012633\"}\n",
    );
    for (input, column, line) in [
        (&bad, "HPO_ID", 4),
        (&rows, "hpo_id", 3),
        (&json, "hpo_id", 3),
    ] {
        let mut command = genokura();
        command.args(["ingest", "table", "--table", "clin.phenotype", "--lake"]);
        let output = run(command.arg(&lake).arg(input));
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        for word in [
            format!("line {line}"),
            column.to_owned(),
            "knows no term \"HP:00012633\"; did you mean \"HP:0001263\"?".to_owned(),
        ] {
            assert!(told.contains(&word), "{word}: {told}");
        }
    }
    let good = table("good.csv", "person_id,hpo_id\np1,HP:0001250\np2,OMIM:1\n");
    ingest(&lake, &["table", "--table", "clin.phenotype"], &[&good]);
    let counted = "SELECT count(*), count(hpo_id) FROM clin.phenotype";
    assert_eq!(select(&lake, counted), ["2,2"]);
}

/// The same tables as Parquet, under names in any case, load to the same rows.
#[test]
fn omop_tables_in_parquet_are_those_in_csv() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    ingest(&lake, &["omop"], &[&shared("omop-synthea")]);
    let cdm = dir.path().join("cdm");
    std::fs::create_dir(&cdm).unwrap();
    let tables = ["person", "condition_occurrence", "death"];
    for (table, file) in tables
        .into_iter()
        .zip(["PERSON", "Condition_Occurrence", "death"])
    {
        let sql = format!("SELECT * FROM omop.{table}");
        let mut command = genokura();
        command.args(["sql", "--format", "parquet", "-c", &sql, "--lake"]);
        let output = run(command.arg(&lake));
        assert!(output.status.success(), "{output:?}");
        std::fs::write(cdm.join(format!("{file}.parquet")), output.stdout).unwrap();
    }
    ingest(&lake, &["omop", "--schema", "again"], &[&cdm]);
    for table in tables {
        let rows = |schema: &str| {
            let mut rows = select(&lake, &format!("SELECT * FROM {schema}.{table}"));
            rows.sort();
            rows
        };
        assert_eq!(rows("again"), rows("omop"), "{table}");
        let types = |schema: &str| {
            let sql = "SELECT column_name, data_type FROM information_schema.columns";
            let of = format!("{sql} WHERE table_schema = '{schema}' AND table_name = '{table}'");
            select(&lake, &format!("{of} ORDER BY ordinal_position"))
        };
        assert_eq!(types("again"), types("omop"), "{table}");
    }
    std::fs::write(cdm.join("death.parquet"), "PAR1 and nothing else").unwrap();
    let told = refused(&lake, "omop", &cdm);
    assert!(
        told.contains("input 3") && told.contains("Parquet"),
        "{told}"
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
    assert!(refused(&lake, "omop", &source).contains("no csv, tsv or Parquet file"));
    let person = "person_id,gender_concept_id,year_of_birth,Ward No.\n1,8507.0,1980,7\n";
    written(&source, "Person.csv", person);
    for (name, text, told) in [
        (
            "death.csv",
            "person_id,death_date\n1,20200229\n1,2021-02-30\n",
            "line 3, column \"death.death_date\": a text of 10 characters is no date (rule cell-type); mend the cell\n",
        ),
        (
            "death.csv",
            "person_id,death_date\n,2020-02-29\n",
            "line 2, column \"death.person_id\": no value",
        ),
        (
            "death.csv",
            "death_date\n2020-02-29\n",
            "death has no column person_id",
        ),
        (
            "deaths.csv",
            "person_id\n1\n",
            "deaths is no table of the OMOP CDM; did you mean death?",
        ),
        (
            "cost.csv",
            "cost_id\n1\n",
            "table cost tells of persons without a column person_id",
        ),
        (
            "death.csv",
            "person_id,cause_source_value\n1,\"x\n1,y\n",
            "line 2: death: a quote that opens here is never closed",
        ),
        ("person.csv.gz", "", "two files of table person"),
        (
            "visit_occurrence.csv",
            "visit_occurrence_id,person_id\n7,1\n5,1\n6,2\n5.0,2\n",
            "line 5, column \"visit_occurrence.visit_occurrence_id\": a row before it has the same key (rule omop-key-twice)",
        ),
        (
            "vocabulary.csv",
            "vocabulary_id,vocabulary_name\nSNOMED,x\nSNOMED,y\n",
            "line 3, column \"vocabulary.vocabulary_id\": a row before it",
        ),
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

/// A small study with every kind of file.
fn study(dir: &Path) -> PathBuf {
    let study = dir.join("study");
    std::fs::create_dir(&study).unwrap();
    let meta = |name: &str, kind: &str, datatype: &str, more: &str| {
        let text = format!(
            "cancer_study_identifier: demo_2024\ngenetic_alteration_type: {kind}\ndatatype: {datatype}\n\
             {more}data_filename: data_{name}.txt\n"
        );
        written(&study, &format!("meta_{name}.txt"), &text);
    };
    let data = |name: &str, text: &str| written(&study, &format!("data_{name}.txt"), text);
    written(
        &study,
        "meta_study.txt",
        "type_of_cancer: brca\ncancer_study_identifier: demo_2024\nname: Demo: one\n",
    );
    meta("clinical_patient", "CLINICAL", "PATIENT_ATTRIBUTES", "");
    data(
        "clinical_patient",
        "#Patient\tAge\tDeceased\tGrade\n#Id\tAge at diagnosis\tDeceased\tGrade\n#STRING\tNUMBER\tBOOLEAN\tSTRING\n\
         #1\t1\t1\t1\nPATIENT_ID\tAGE\tOS_DEAD\tGRADE\nP1\t51\tTRUE\t2\nP2\t[Not Available]\tFALSE\t[Not Applicable]\n",
    );
    meta("clinical_sample", "CLINICAL", "SAMPLE_ATTRIBUTES", "");
    data(
        "clinical_sample",
        "PATIENT_ID\tSAMPLE_ID\tPURITY\nP1\tS1\t0.5\nP1\tS2\t0.75\nP2\tS3\t\n",
    );
    meta(
        "mutations",
        "MUTATION_EXTENDED",
        "MAF",
        "stable_id: mutations\n",
    );
    data(
        "mutations",
        "#version 2.4\nHugo_Symbol\tEntrez_Gene_Id\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\t\
         Tumor_Seq_Allele1\tTumor_Seq_Allele2\tTumor_Sample_Barcode\tHGVSp_Short\tt_alt_count\n\
         TP53\t7157\t17\t7674220\t7674220\tC\tC\tT\tS1\tp.R248Q\t31\n\
         TP53\t7157\t17\t7675088\t7675088\tC\tT\tC\tS3\tp.R175H\t\n\
         SRY\t6736\t24\t2787515\t2787515\tc\tNA\tt\tS3\tp.A1T\t4\n",
    );
    meta(
        "expression",
        "MRNA_EXPRESSION",
        "CONTINUOUS",
        "stable_id: rna_seq\n",
    );
    data(
        "expression",
        "Hugo_Symbol\tEntrez_Gene_Id\tS1\tS2\tS3\nTP53\t7157\t10.5\t2\tNA\nHLA-A\t3105\t1\t\t3e2\n",
    );
    meta(
        "zscores",
        "MRNA_EXPRESSION",
        "Z-SCORE",
        "stable_id: rna_seq_z\n",
    );
    data("zscores", "Hugo_Symbol\tS1\nTP53\t-1.25\n");
    meta(
        "cna",
        "COPY_NUMBER_ALTERATION",
        "DISCRETE",
        "stable_id: gistic\n",
    );
    data("cna", "Hugo_Symbol\tS1\tS2\nERBB2\t2\t-1\n");
    meta("seg", "COPY_NUMBER_ALTERATION", "SEG", "");
    data(
        "seg",
        "ID\tchrom\tloc.start\tloc.end\tnum.mark\tseg.mean\nS1\t17\t100\t900\t12\t-0.5\n\
         S2\t23\t100\t900\t12\t-1\n",
    );
    meta("panel", "GENE_PANEL_MATRIX", "GENE_PANEL_MATRIX", "");
    study
}

#[test]
fn a_study_of_cbioportal_becomes_tables_and_long_matrices() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let study = study(dir.path());
    let told = ingest(&lake, &["cbioportal", "--contigs", "chr"], &[&study]);
    assert!(
        told.contains("not-loaded-gene_panel_matrix-gene_panel_matrix: 1"),
        "{told}"
    );
    assert!(ingest(&lake, &["cbioportal", "--contigs", "chr"], &[&study]).contains("already"));
    for (sql, rows) in [
        (
            "SELECT study_id, person_id, age, os_dead, grade FROM demo_2024.patient ORDER BY 2",
            &["demo_2024,P1,51,t,2", "demo_2024,P2,,f,"][..],
        ),
        (
            "SELECT person_id, sample_id, purity FROM demo_2024.sample ORDER BY 2",
            &["P1,S1,0.5", "P1,S2,0.75", "P2,S3,"],
        ),
        (
            "SELECT gene, entrez_id, contig, pos, ref, alt, sample_id, hgvsp_short, t_alt_count FROM demo_2024.mutation ORDER BY pos",
            &[
                "SRY,6736,chrY,2787515,C,T,S3,p.A1T,4",
                "TP53,7157,chr17,7674220,C,T,S1,p.R248Q,31",
                "TP53,7157,chr17,7675088,C,T,S3,p.R175H,",
            ],
        ),
        (
            "SELECT sample_id, contig, pos, end_pos, n_probes, mean FROM demo_2024.segment ORDER BY 1",
            &["S1,chr17,100,900,12,-0.5", "S2,chrX,100,900,12,-1"],
        ),
        (
            "SELECT gene, sample_id, value FROM omics.copy_number ORDER BY 2",
            &["ERBB2,S1,2", "ERBB2,S2,-1"],
        ),
        (
            "SELECT profile, gene, entrez_id, sample_id, value FROM omics.expression ORDER BY 1, 2, 4",
            &[
                "rna_seq,HLA-A,3105,S1,1",
                "rna_seq,HLA-A,3105,S3,300",
                "rna_seq,TP53,7157,S1,10.5",
                "rna_seq,TP53,7157,S2,2",
                "rna_seq_z,TP53,,S1,-1.25",
            ],
        ),
        (
            "SELECT * FROM omics_wide('omics.expression', ARRAY['TP53', 'HLA-A'], 'rna_seq') ORDER BY sample_id",
            &["S1,10.5,1", "S2,2,", "S3,,300"],
        ),
        (
            "SELECT w.hla_a, m.hgvsp_short FROM omics_wide('omics.expression', ARRAY['HLA-A'], 'rna_seq') w \
             JOIN demo_2024.mutation m USING (sample_id) WHERE w.hla_a > 1 AND m.gene = 'TP53'",
            &["300,p.R175H"],
        ),
        (
            "SELECT erbb2 FROM omics_wide('omics.copy_number', ARRAY['ERBB2']) ORDER BY 1",
            &["-1", "2"],
        ),
    ] {
        assert_eq!(select(&lake, sql), rows, "{sql}");
    }
    let comment = "SELECT col_description('demo_2024.patient'::regclass, 3)";
    let served = support::Served::lake(&lake);
    let told = stdout_of(served.psql().args(["-A", "-t", "-c", comment]));
    assert_eq!(told.trim(), "Age: Age at diagnosis");
    for (call, what) in [
        ("('omics.expression', ARRAY['TP53'])", "several profiles"),
        (
            "('omics.expression', ARRAY['TP53'], 'rna')",
            "profile \"rna\" is not in this matrix",
        ),
        (
            "('omics.expression', ARRAY['TP53', 'TP54'], 'rna_seq')",
            "gene \"TP54\" is not in this matrix",
        ),
        (
            "('omics.expression', ARRAY['HLA-A', 'HLA.A'], 'rna_seq')",
            "two of the genes make a column",
        ),
        ("('omics.none', ARRAY['TP53'])", "does not exist"),
        (
            "('demo_2024.sample', ARRAY['TP53'])",
            "has no column \"gene\"",
        ),
        (
            "('omics.expression', 'TP53')",
            "takes (matrix, genes [, profile])",
        ),
    ] {
        let sql = format!("SELECT * FROM omics_wide{call}");
        let output = run(genokura().args(["sql", "-c", &sql, "--lake"]).arg(&lake));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(what), "{call}: {error}");
    }
}

#[test]
fn a_bad_study_is_named_by_file_line_and_column() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    assert!(refused(&lake, "cbioportal", dir.path()).contains("no meta_study.txt"));
    let study = study(dir.path());
    for (name, text, told) in [
        (
            "data_expression.txt",
            "Hugo_Symbol\tS1\tS2\nTP53\t1\thigh\n",
            "line 2, column \"data_expression.txt: column 3\": no number",
        ),
        (
            "data_expression.txt",
            "Hugo_Symbol\tS1\tS1\nTP53\t1\t2\n",
            "column 3 of the header names no sample, or one that another",
        ),
        (
            "data_expression.txt",
            "Gene\tS1\nTP53\t1\n",
            "data_expression.txt: no column Hugo_Symbol",
        ),
        (
            "data_cna.txt",
            "Hugo_Symbol\tS1\tS2\nERBB2\t2\n",
            "line 2: data_cna.txt: the row has 2 cells, the header 3",
        ),
        (
            "data_mutations.txt",
            "#version 2.4\nHugo_Symbol\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\tTumor_Seq_Allele2\t\
             Tumor_Sample_Barcode\nTP53\t17\t7674220\t7674219\tC\tT\tS1\n",
            "line 3: data_mutations.txt: end 7674219 is before start 7674220",
        ),
        (
            "data_mutations.txt",
            "#version 2.4\nHugo_Symbol\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\tTumor_Seq_Allele1\t\
             Tumor_Sample_Barcode\nTP53\t17\t5\t5\tC\tT\tS1\nTP53\t17\t6\t6\tC\tC\tS1\n",
            "line 4: data_mutations.txt: no tumour allele differs from the reference",
        ),
        (
            "data_mutations.txt",
            "Hugo_Symbol\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\tTumor_Seq_Allele2\t\
             Tumor_Sample_Barcode\nA\t17\t5\t5\tC\tT\tS1\nB\t17\t6\t6\tC\tT\t\n",
            "line 3: data_mutations.txt: the row has no sample",
        ),
        (
            "data_mutations.txt",
            "Hugo_Symbol\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\tTumor_Seq_Allele2\t\
             Tumor_Sample_Barcode\nA\tNA\t5\t5\tC\tT\tS1\n",
            "line 2: data_mutations.txt: the row has no contig",
        ),
        (
            "data_mutations.txt",
            "Hugo_Symbol\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\tTumor_Seq_Allele2\t\
             Tumor_Sample_Barcode\nA\t17\t\t\tC\tT\tS1\n",
            "line 2: data_mutations.txt: the row has no position",
        ),
        (
            "data_mutations.txt",
            "Hugo_Symbol\tChromosome\nTP53\t17\n",
            "data_mutations.txt: no column for pos",
        ),
        (
            "data_clinical_patient.txt",
            "#a\tb\n#a\tb\n#STRING\tDATE\n#1\t1\nPATIENT_ID\tX\nP1\t1\n",
            "line 3: data_clinical_patient.txt: column 2: \"DATE\" is no type",
        ),
        (
            "data_clinical_patient.txt",
            "#a\tb\n#a\tb\n#STRING\tNUMBER\n#1\t1\nPATIENT_ID\tAGE\nP1\told\n",
            "line 6, column \"data_clinical_patient.txt: AGE\": a text of 3 characters is no float8 (rule cell-type); mend the cell\n",
        ),
        (
            "data_clinical_patient.txt",
            "PATIENT_ID\tAGE\nP1\t5\nP2\t6\nP1\t7\n",
            "line 4: data_clinical_patient.txt: the patient of this row is listed in line 2 of data_clinical_patient.txt already",
        ),
        (
            "data_clinical_sample.txt",
            "PATIENT_ID\tSAMPLE_ID\nP1\tS1\nP2\tS1\n",
            "line 3: data_clinical_sample.txt: the sample of this row is listed in line 2",
        ),
        (
            "data_clinical_sample.txt",
            "PATIENT_ID\tSAMPLE_ID\nP1\tS1\nP2\t[Not Available]\n",
            "line 3: data_clinical_sample.txt: the row names no sample",
        ),
        (
            "data_mutations.txt",
            "Hugo_Symbol\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\tTumor_Seq_Allele2\t\
             Tumor_Sample_Barcode\nA\t17\t5\t5\tC\tT\tS1\nB\tchr17\t6\t6\tC\tT\tS1\n",
            "names contigs like \"17\" and in row 2 \"chr17\": joins would find half of such a table",
        ),
        (
            "meta_cna.txt",
            "data_filename data_cna.txt\n",
            "meta_cna.txt, line 1: expected",
        ),
        (
            "meta_cna.txt",
            "genetic_alteration_type: COPY_NUMBER_ALTERATION\ndatatype: DISCRETE\ndata_filename: none.txt\n",
            "names the file none.txt, which is not there",
        ),
        (
            "meta_cna.txt",
            "cancer_study_identifier: other\ndata_filename: data_cna.txt\n",
            "meta_cna.txt is of another study",
        ),
    ] {
        let held = std::fs::read_to_string(study.join(name)).unwrap();
        written(&study, name, text);
        let error = refused(&lake, "cbioportal", &study);
        assert!(error.contains(told), "{name}: {error}");
        written(&study, name, &held);
    }
    for (name, text, told) in [
        (
            "data_clinical_patient.txt",
            &b"#a\tb\n#Jos\xe9\tb\n#STRING\tSTRING\n#1\t1\nPATIENT_ID\tX\nP1\t1\n"[..],
            "line 2: data_clinical_patient.txt: not UTF-8",
        ),
        (
            "data_clinical_sample.txt",
            b"PATIENT_ID\tSAMPLE_ID\tSITE\nP1\tS1\tcr\xe2ne\n",
            "line 2, column \"data_clinical_sample.txt: SITE\": not UTF-8",
        ),
        (
            "meta_cna.txt",
            b"a: b\nc: \xe9\n",
            "meta_cna.txt, line 2: not UTF-8",
        ),
    ] {
        let held = std::fs::read(study.join(name)).unwrap();
        std::fs::write(study.join(name), text).unwrap();
        let error = refused(&lake, "cbioportal", &study);
        assert!(error.contains(told), "{name}: {error}");
        std::fs::write(study.join(name), held).unwrap();
    }
    ingest(&lake, &["cbioportal"], &[&study]);
    written(
        &study,
        "data_seg.txt",
        "ID\tchrom\tloc.start\tloc.end\tnum.mark\tseg.mean\n",
    );
    assert!(refused(&lake, "cbioportal", &study).contains("tables of a study already"));
}

#[test]
fn samples_that_no_clinical_file_lists_are_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let study = study(dir.path());
    written(
        &study,
        "data_mutations.txt",
        "Hugo_Symbol\tChromosome\tStart_Position\tReference_Allele\tTumor_Seq_Allele2\tTumor_Sample_Barcode\n\
         TP53\t17\t5\tC\tT\tS1\nTP53\t17\t6\tC\tT\tX9\nTP53\t17\t7\tC\tT\tX8\n",
    );
    let told = ingest(&lake, &["cbioportal"], &[&study]);
    let note = "2 samples of this study are in no clinical file and join no row there; the first is in data_mutations.txt, line 3";
    assert!(told.contains(note), "{told}");
    assert!(
        !told.contains("X9") && !told.contains("patients of"),
        "{told}"
    );
}

#[test]
fn published_files_of_cbioportal_are_read_in_a_study() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let of = |name: &str| shared("cbioportal").join(name);
    for (name, kind, datatype, file) in [
        (
            "sample",
            "CLINICAL",
            "SAMPLE_ATTRIBUTES",
            of("kich_tcga_pub/normals/clinical_normals.txt"),
        ),
        (
            "seg",
            "COPY_NUMBER_ALTERATION",
            "SEG",
            of("kich_tcga_pub/normals/segment_normals.txt"),
        ),
        (
            "maf",
            "MUTATION_EXTENDED",
            "MAF",
            of("bcc_unige_2016/archived_files/filtered_samples_data_mutations_extended.txt"),
        ),
    ] {
        std::fs::copy(&file, dir.path().join(format!("data_{name}.txt"))).unwrap();
        let meta = format!(
            "genetic_alteration_type: {kind}\ndatatype: {datatype}\ndata_filename: data_{name}.txt\n"
        );
        written(dir.path(), &format!("meta_{name}.txt"), &meta);
    }
    written(
        dir.path(),
        "meta_study.txt",
        "cancer_study_identifier: mixed\n",
    );
    ingest(&lake, &["cbioportal"], &[dir.path()]);
    for (table, file) in [
        ("sample", "data_sample.txt"),
        ("segment", "data_seg.txt"),
        ("mutation", "data_maf.txt"),
    ] {
        let text = std::fs::read_to_string(dir.path().join(file)).unwrap();
        let n = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .count()
            - 1;
        let sql = format!("SELECT count(*) FROM mixed.{table}");
        assert_eq!(select(&lake, &sql), [n.to_string()], "{table}");
    }
    let one =
        "SELECT gene, contig, pos, ref, alt FROM mixed.mutation WHERE dbsnp_rs = 'rs141199449'";
    assert_eq!(select(&lake, one), ["MAP7,6,136687091,C,T"]);
}

/// A filter on instants reaches the file, in whatever zone its constant is read, and from what kind it is compared with.
#[test]
fn filters_on_instants_prune_files() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let visits = written(
        dir.path(),
        "visit.csv",
        "id,at,day\n1,2024-03-31T00:30:00Z,2024-03-31\n2,2024-07-01T22:00:00Z,2024-07-02\n",
    );
    ingest(&lake, &["table", "--table", "clin.visit"], &[&visits]);
    for (filter, pruned) in [
        ("at >= '2024-07-01 08:00'", "at_max@0 >= 1719788400000000"),
        (
            "at >= timestamp '2024-07-01 08:00'",
            "at_max@0 >= 1719788400000000",
        ),
        ("at >= date '2024-07-01'", "at_max@0 >= 1719759600000000"),
        (
            "at BETWEEN '2024-07-01' AND '2024-07-02 12:00'",
            "at_max@0 >= 1719759600000000 AND at_null_count@1 != row_count@2 AND at_min@3 <= 1719889200000000",
        ),
        ("at IN ('2024-07-01')", "1719759600000000 <= at_max@1"),
        ("at < now() - interval '1 day'", "at_min@0 < "),
        ("day = '2024-07-02'", "2024-07-02 <= day_max@1"),
    ] {
        let explain = format!(
            "SET TimeZone = 'Asia/Tokyo'; EXPLAIN SELECT id FROM clin.visit WHERE {filter}"
        );
        let plan = select(&lake, &explain).join("\n");
        assert!(plan.contains(pruned), "{filter}: {plan}");
    }
    let counted =
        "SET TimeZone = 'Asia/Tokyo'; SELECT count(*) FROM clin.visit WHERE at::date = day";
    assert_eq!(select(&lake, counted), ["2"]);
}
