//! Phenopackets and the tables they make.

use super::*;

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
