//! Clinical tables, as every kind of ingest makes them: rows of hidden people are hidden, and so is what is told of
//! their families and relatives.

use std::fmt::Write as _;

use super::setup::{Lake, RoleFile, Server, VCF, rows, told};

/// A phenopacket of a person with a sample, a phenotype and a disease.
fn packet(person: &str, sample: &str, term: &str, disease: &str) -> String {
    format!(
        r#"{{"id": "K{person}", "subject": {{"id": "{person}"}},
 "phenotypicFeatures": [{{"type": {{"id": "{term}"}}}}, {{"type": {{"id": "HP:0001263"}}, "excluded": true}}],
 "diseases": [{{"term": {{"id": "{disease}"}}}}],
 "measurements": [{{"assay": {{"id": "LOINC:2085-9"}}, "value": {{"quantity": {{"unit": {{"id": "UCUM:1"}},
  "value": 4{person_digit}}}}}}}],
 "biosamples": [{{"id": "B{person}", "sampleType": {{"id": "NCIT:C17610"}}}}],
 "files": [{{"uri": "file:x.vcf", "individualToFileIdentifiers": {{"{person}": "{sample}"}}}}],
 "metaData": {{"created": "2024-02-29T10:00:00Z", "phenopacketSchemaVersion": "2.0"}}}}"#,
        person_digit = &person[1..],
    )
}

/// A family: the proband, relatives, and the father of the proband.
fn family(id: &str, proband: &str, relatives: &[String], pedigree: &str) -> String {
    format!(
        r#"{{"id": "{id}", "proband": {proband}, "relatives": [{}], "pedigree": {{"persons": [{pedigree}]}},
 "metaData": {{"created": "2024-02-29T10:00:00Z", "phenopacketSchemaVersion": "2.0"}}}}"#,
        relatives.join(",\n")
    )
}

/// What the lake holds of P3 and P4, whose samples S3 and S4 are hidden.
struct Hidden {
    term: &'static str,
    disease: &'static str,
    year: u32,
    alt: &'static str,
    expression: &'static str,
    more_genes: &'static str,
    /// The contig of a segment of S3.
    contig: &'static str,
    relatives: &'static str,
    people: &'static str,
}

const ONE: Hidden = Hidden {
    term: "HP:0001250",
    disease: "OMIM:154700",
    year: 1950,
    alt: "T",
    expression: "70",
    more_genes: "",
    contig: "17",
    relatives: r#"{"individualId": "P1", "paternalId": "P3", "affectedStatus": "AFFECTED"}, {"individualId": "P3"}"#,
    people: "3,marfan\n4,flu\n",
};
const OTHER: Hidden = Hidden {
    term: "HP:0000707",
    disease: "OMIM:607208",
    year: 1991,
    alt: "G",
    expression: "-8",
    more_genes: "KRAS\t3845\t\t\t5\n",
    contig: "GL000220.1",
    relatives: r#"{"individualId": "P1", "paternalId": "P3", "affectedStatus": "AFFECTED"},
 {"individualId": "P3", "affectedStatus": "AFFECTED"}, {"individualId": "P9", "paternalId": "P3"}"#,
    people: "3,long covid\n4,x\n4,y\n",
};

/// P1 is a child of P3, P2 a family of one, P4 too.
fn lake(hidden: &Hidden) -> Lake {
    let lake = Lake::of(VCF);
    let mut hpo = Vec::new();
    genokura_testdata::write_hpo(&mut hpo).unwrap();
    lake.ingest(
        &["hpo"],
        &lake.file("hp.obo", &String::from_utf8(hpo).unwrap()),
    );
    let unseen = |person, sample| packet(person, sample, hidden.term, hidden.disease);
    let packets = [
        family(
            "F1",
            &packet("P1", "S1", "HP:0001250", "OMIM:1"),
            &[unseen("P3", "S3")],
            hidden.relatives,
        ),
        family(
            "F2",
            &packet("P2", "S2", "HP:0000707", "OMIM:2"),
            &[],
            r#"{"individualId": "P2"}"#,
        ),
        family("F4", &unseen("P4", "S4"), &[], r#"{"individualId": "P4"}"#),
    ];
    let packets = lake.file("cases.json", &packets.join("\n"));
    lake.ingest(&["phenopackets"], &packets);
    let members = hidden.relatives.matches("individualId").count();
    lake.table(
        "kin.family",
        &format!(
            "family_id,proband_id,members,affected\nF1,P1,{members},1\nF2,P2,1,0\nF4,P4,1,1\n"
        ),
    );
    lake.table(
        "kin.proband",
        &format!("proband_id,note\nP1,one\nP2,two\nP4,{}\n", hidden.disease),
    );
    let ped = "F1\tS1\tS3\t0\t2\t2\nF1\tS3\t0\t0\t1\t1\nF2\tS2\t0\t0\t1\t1\nF4\tS4\t0\t0\t1\t2\n";
    lake.ingest(&["pedigree"], &lake.file("kin.ped", ped));
    // OMOP counts persons by numbers of its own; a table links them to samples.
    lake.table("omop.link", "person_id,sample_id\n1,S1\n2,S2\n3,S3\n4,S4\n");
    let year = hidden.year;
    lake.file(
        "cdm/person.csv",
        &format!("person_id,year_of_birth\n1,1981\n2,1982\n3,{year}\n4,{year}\n5,{year}\n"),
    );
    let conditions = format!("1,asthma\n2,eczema\n{}", hidden.people);
    let conditions = conditions.lines().enumerate().fold(
        "condition_occurrence_id,person_id,condition_source_value\n".to_owned(),
        |text, (n, line)| format!("{text}{n},{line}\n"),
    );
    lake.file("cdm/condition_occurrence.csv", &conditions);
    let death = lake.file(
        "cdm/death.csv",
        &format!("person_id,death_date\n3,{year}-12-31\n"),
    );
    lake.ingest(&["omop"], death.parent().unwrap());
    study(&lake, hidden);
    lake
}

fn study(lake: &Lake, hidden: &Hidden) {
    let meta = lake.file(
        "study/meta_study.txt",
        "type_of_cancer: brca\ncancer_study_identifier: demo\nname: Demo\n",
    );
    for (name, kind, datatype, more, data) in [
        (
            "clinical_patient",
            "CLINICAL",
            "PATIENT_ATTRIBUTES",
            "",
            format!(
                "#a\tb\n#a\tb\n#STRING\tNUMBER\n#1\t1\nPATIENT_ID\tAGE\nP1\t51\nP2\t52\nP3\t{}\n",
                hidden.year
            ),
        ),
        (
            "clinical_sample",
            "CLINICAL",
            "SAMPLE_ATTRIBUTES",
            "",
            format!(
                "PATIENT_ID\tSAMPLE_ID\tPURITY\nP1\tS1\t0.5\nP2\tS2\t0.75\nP3\tS3\t0.{}\n",
                hidden.year
            ),
        ),
        (
            "mutations",
            "MUTATION_EXTENDED",
            "MAF",
            "stable_id: mutations\n",
            format!(
                "Hugo_Symbol\tEntrez_Gene_Id\tChromosome\tStart_Position\tEnd_Position\tReference_Allele\t\
                 Tumor_Seq_Allele2\tTumor_Sample_Barcode\nTP53\t7157\t17\t7674220\t7674220\tC\tT\tS1\n\
                 TP53\t7157\t17\t7675088\t7675088\tC\t{}\tS3\n",
                hidden.alt
            ),
        ),
        (
            "seg",
            "COPY_NUMBER_ALTERATION",
            "SEG",
            "",
            format!(
                "ID\tchrom\tloc.start\tloc.end\tnum.mark\tseg.mean\nS1\t17\t100\t900\t12\t-0.5\n\
                 S3\t{1}\t{0}\t9{0}\t3\t1.5\n",
                hidden.year, hidden.contig
            ),
        ),
        (
            "expression",
            "MRNA_EXPRESSION",
            "CONTINUOUS",
            "stable_id: rna_seq\n",
            format!(
                "Hugo_Symbol\tEntrez_Gene_Id\tS1\tS2\tS3\nTP53\t7157\t10.5\t2\t{}\nERBB2\t2064\t1\t\t{}\n{}",
                hidden.expression, hidden.expression, hidden.more_genes
            ),
        ),
    ] {
        lake.file(
            &format!("study/meta_{name}.txt"),
            &format!(
                "cancer_study_identifier: demo\ngenetic_alteration_type: {kind}\ndatatype: {datatype}\n{more}\
                 data_filename: data_{name}.txt\n"
            ),
        );
        lake.file(&format!("study/data_{name}.txt"), &data);
    }
    lake.ingest(&["cbioportal"], meta.parent().unwrap());
}

/// Every table that tells of people, and what counts, joins and functions make of them.
const QUESTIONS: &[&str] = &[
    "select * from clin.person order by person_id",
    "select * from clin.family order by family_id",
    "select * from kin.family order by family_id",
    "select * from kin.proband order by proband_id",
    "select * from clin.pedigree order by sample_id",
    "select * from clin.phenotype order by person_id, hpo_id",
    "select * from clin.condition order by person_id",
    "select * from clin.measurement order by person_id",
    "select * from clin.specimen order by person_id",
    "select * from clin.phenopacket order by phenopacket_id",
    "select person_id, hpo_is_a(hpo_id, 'HP:0000707') from clin.phenotype order by 1, 2",
    "select person_id, bool_or(hpo_present(hpo_id, excluded, 'HP:0001250')) from clin.phenotype group by 1 order by 1",
    "select count(*) from clin.phenotype where hpo_is_a(hpo_id, 'HP:0000707') and not excluded",
    "select t.name, count(p.person_id) from clin.phenotype p join kb.hpo_terms t on t.term = p.hpo_id group by 1 order by 1",
    "select sum(members), sum(affected), count(*) from kin.family",
    "select count(*) from clin.person where father_id = 'P3' or father_id is not null",
    "select count(*) from clin.person c join clin.person f on f.person_id = c.father_id",
    "select count(*) from clin.pedigree where father_id = 'S3' or father_id is not null",
    "select 1 / (members - 2) from clin.family where family_id = 'F1'",
    "select * from omop.person order by person_id",
    "select * from omop.condition_occurrence order by 1",
    "select * from omop.death order by 1",
    "select p.year_of_birth, count(*) from omop.person p join omop.condition_occurrence c using (person_id) group by 1 order by 1",
    "select min(year_of_birth), max(year_of_birth), count(*) from omop.person",
    "select 1 / (year_of_birth - 1950) from omop.person order by 1",
    "select * from demo.patient order by 1",
    "select * from demo.sample order by 1, 2",
    "select * from demo.mutation order by sample_id",
    "select * from demo.segment order by sample_id",
    "select * from omics.expression order by gene, sample_id",
    "select * from omics_wide('omics.expression', array['TP53', 'ERBB2']) order by sample_id",
    "select max(tp53), min(tp53), count(*) from omics_wide('omics.expression', array['TP53'], 'rna_seq')",
    "select * from omics_wide('omics.expression', array['KRAS']) order by 1",
    "select count(*) from merge_regions('demo.segment')",
    "select count(*) from demo.segment s join lab.variants v on v.contig = s.contig and v.pos = s.pos",
    "select count(distinct gene), count(*) from omics.expression",
    "select relname, reltuples from pg_class where relname in ('person', 'family', 'death', 'mutation', 'expression') \
     order by 1, 2",
    "explain select * from omop.person where year_of_birth = 1950",
    "explain analyze select * from clin.family where members = 2",
    "explain analyze select * from omics.expression where value < 0",
];

/// Fails without: `key_column`, `visible_persons`, `visible_families` and `Sight::column`
/// (`engine/exec/src/visible_rows.rs`). Two lakes that differ in hidden people only give the same bytes.
#[tokio::test(flavor = "multi_thread")]
async fn no_clinical_table_tells_of_hidden_people_their_families_or_relatives() {
    let roles = RoleFile::new();
    roles.reader("ann", &["*"]);
    roles.run(&["samples", "ann", "--dataset", "lab", "--only", "S1,S2"]);
    roles.add("root", &["--admin"]);
    let mut answers = Vec::new();
    for lake in [lake(&ONE), lake(&OTHER)] {
        let server = Server::on(&lake, &["--roles", roles.path().to_str().unwrap()]);
        let (ann, root) = (server.connect("ann").await, server.connect("root").await);
        let mut transcript = String::new();
        for question in QUESTIONS {
            let answer = match ann.simple_query(question).await {
                Ok(_) => rows(&ann, question).await.join("\n"),
                Err(error) => told(&error),
            };
            writeln!(transcript, "-- {question}\n{answer}").unwrap();
        }
        answers.push(transcript);
        // They are there: an admin sees them.
        for (sql, answer) in [
            (
                "select father_id from clin.person where person_id = 'P1'",
                "P3",
            ),
            (
                "select father_id from clin.pedigree where sample_id = 'S1'",
                "S3",
            ),
            ("select count(*) from kin.family", "3"),
            ("select count(*) from clin.family", "3"),
            ("select count(*) from omop.death", "1"),
        ] {
            assert_eq!(rows(&root, sql).await, [answer], "{sql}");
        }
    }
    for (one, other) in answers[0].lines().zip(answers[1].lines()) {
        assert_eq!(one, other);
    }
    assert_eq!(answers[0], answers[1]);
    let seen = &answers[0];
    for expected in [
        "F2|P2|1|0",
        "P1|one\nP2|two",
        "\n1|1981\n",
        "S1|10.5|1\nS2|2|NULL",
        "KP1",
        "F1|S1|NULL|NULL|female|t",
    ] {
        assert!(seen.contains(expected), "{expected} is visible\n{seen}");
    }
    let lines = seen.lines().filter(|line| !line.starts_with("-- "));
    for line in lines {
        let words = line.split(|c: char| !c.is_alphanumeric());
        for word in words {
            let hidden = ["S3", "S4", "P3", "P4", "P9", "F4", "KP3", "KP4", "metrics"];
            assert!(!hidden.contains(&word), "{word}: {line}");
        }
    }
}

/// Fails without: relatives that are asked for apart from keys in `LakeSchema::visible_keys`.
#[tokio::test(flavor = "multi_thread")]
async fn relatives_are_hidden_in_tables_about_nobody() {
    let lake = Lake::of(VCF);
    lake.table("clin.person", super::setup::PERSON);
    lake.table(
        "kin.trio",
        "child,father_id,mother_id\nc1,P1,P3\nc2,S4,S2\n",
    );
    let roles = RoleFile::new();
    for name in ["all", "few"] {
        roles.reader(name, &["kin.*"]);
    }
    roles.run(&["samples", "few", "--dataset", "lab", "--only", "S1,S2"]);
    let server = Server::on(&lake, &["--roles", roles.path().to_str().unwrap()]);
    for (name, seen) in [
        ("all", ["c1|P1|P3", "c2|S4|S2"]),
        ("few", ["c1|P1|NULL", "c2|NULL|S2"]),
    ] {
        let client = server.connect(name).await;
        assert_eq!(
            rows(&client, "select * from kin.trio order by child").await,
            seen
        );
        // A filter is judged by what is seen.
        let hidden = "select child from kin.trio where mother_id = 'P3' or father_id = 'S4'";
        assert_eq!(
            rows(&client, hidden).await.len(),
            if name == "all" { 2 } else { 0 }
        );
    }
}
