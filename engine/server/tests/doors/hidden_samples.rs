//! Samples that a role may not see: no answer depends on them, whoever asks however.

use std::fmt::Write as _;

use super::setup::{LAKE, Lake, RoleFile, Server, refused, refused_in_full, rows, soon, told};

/// What a role that sees S1 and S2 may ask; the answers must not depend on anybody else.
const QUESTIONS: &[&str] = &[
    "select * from lab.variants order by pos",
    "select * from lab.calls order by pos, sample_id",
    "select * from lab.carriers order by pos, sample_id",
    "select * from lab.samples order by 1",
    "select * from lab.headers order by 1, 2",
    "select count(*), count(*) filter (where dosage > 0) from lab.calls",
    "select sample_id, count(*), sum(dosage), avg(dosage) from lab.calls group by 1 order by 1",
    "select pos, count(*) from lab.carriers group by pos order by pos",
    "select pos from lab.variants where ac > 0 order by pos",
    "select pos from lab.variants where info_ac > 1 or qual > 31 or info_af < 0.4",
    "select pos, gt_carriers(gt), gt_allele_count(gt), gt_allele_number(gt), gt_call_rate(gt), gt_hwe_p(gt), \
     gt_het_count(gt), gt_missing_count(gt) from lab.variants order by pos",
    "select pos, gt_allele_frequency(gt), gt_allele_count(gt) from lab.variants order by pos",
    "select gt_text(gt, 'S3') from lab.variants",
    "select gt_dosage(gt, 'S4') from lab.variants",
    "select gt_is_het(gt, 'S3') from lab.variants",
    "select gt_allele_count(gt, array['S1', 'S3']) from lab.variants",
    "select gt_is_de_novo(gt, 'S1', 'S3', 'S4') from lab.variants",
    "select count(*) from lab.calls where sample_id = 'S3'",
    "select count(*) from lab.calls where sample_id in ('S3', 'S1')",
    "select * from sample_qc('lab') order by 1",
    "select * from mendel_errors('lab') order by 1, 2",
    "select * from merge_regions('select * from lab.carriers') order by 1, 2",
    "select * from count_overlaps('lab.variants', 'select * from lab.carriers') order by 1, 2",
    "select * from coverage('lab.calls', 'select * from lab.variants where ac > 1') order by 1, 2",
    "select * from cluster('select * from lab.variants where info_ac > 1 or qual > 31') order by 1, 2",
    "select * from nearest('lab.variants', 'select * from lab.calls where sample_id = ''S3''') order by 1, 2",
    "select * from subtract_regions('lab.variants', 'select * from lab.carriers') order by 1, 2",
    "explain analyze select * from count_overlaps('lab.variants', 'select * from lab.carriers')",
    "select count(*) from lab.quarantine",
    "select * from clin.person order by 1",
    "select * from clin.condition order by 1",
    "select count(*), min(person_id), max(person_id), count(distinct sex) from clin.person",
    "select 1 / zero from clin.person",
    "select count(*) from clin.person where 1 / zero > 0",
    "select sum(case when sample_id = 'S3' then 1 / zero else 0 end) from clin.person",
    "select cast(sample_id as int) from clin.person where sample_id like 'S3%'",
    "select count(*) from (select 1 from clin.person limit 1) as p",
    "select person_id from clin.person where sex = 'female' limit 1",
    "select person_id from clin.person limit 2",
    "select count(*) from clin.person limit 3",
    "select * from clin.person order by sample_id desc limit 2",
    "select p.sex, count(*) from lab.carriers c join clin.person p using (sample_id) group by 1 order by 1",
    "select name, count(*) from clin.condition group by 1 order by 1",
    "select count(*) from clin.condition c left join clin.person p using (person_id) where p.person_id is null",
    "select reltuples, relpages from pg_class where relname in ('person', 'condition', 'calls', 'samples') order by 1",
    "select n_live_tup from pg_stat_user_tables order by 1",
    "select pg_table_size('clin.person'), pg_relation_size('lab.calls'), pg_total_relation_size('lab.samples')",
    "select pg_database_size('genokura')",
    "explain select * from lab.calls where sample_id = 'S3'",
    "explain select * from lab.variants where ac > 1 and info_ac = 1",
    "explain select count(*) from clin.person",
    "explain select name, count(*) from clin.condition where condition_id > 1 group by name",
    "explain (verbose) select * from clin.person where zero = 0",
    "explain select count(*) from lab.carriers",
    "explain analyze select count(*) from lab.carriers",
    "explain analyze select * from lab.calls where sample_id = 'S3'",
    "explain (analyze, verbose) select * from clin.person where zero = 0",
    "explain analyze select * from clin.person p join lab.calls c using (sample_id)",
];

/// Fails without: the access context in scans, the mask of what was computed over all samples, `VisibleRowsExec`, and
/// the care about EXPLAIN. Two lakes that differ in hidden people only give the same bytes to every question.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_depends_on_a_hidden_sample() {
    let roles = RoleFile::new();
    roles.reader("ann", &["*"]);
    roles.run(&["samples", "ann", "--dataset", "lab", "--only", "S1,S2"]);
    let mut answers = Vec::new();
    for lake in [&*LAKE, &other_lake()] {
        let server = Server::on(lake, &["--roles", roles.path().to_str().unwrap()]);
        let client = server.connect("ann").await;
        let mut transcript = String::new();
        for question in QUESTIONS {
            let answer = match client.simple_query(question).await {
                Ok(_) => rows(&client, question).await.join("\n"),
                Err(error) => told(&error),
            };
            writeln!(transcript, "-- {question}\n{answer}").unwrap();
        }
        answers.push(transcript);
    }
    for (one, other) in answers[0].lines().zip(answers[1].lines()) {
        assert_eq!(one, other);
    }
    assert_eq!(answers[0], answers[1]);
    let seen = &answers[0];
    for expected in [
        "{S1}",
        "P1|S1|female",
        "1|P1|asthma",
        "where 1 / zero > 0\n2\n",
        "select 1 / zero from clin.person\n1\n1\n",
        "limit 2\nP1\nP2\n",
    ] {
        assert!(seen.contains(expected), "{expected} is visible\n{seen}");
    }
    let lines = seen.lines().filter(|line| !line.starts_with("-- "));
    let hidden = ["S4", "P3", "P4", "marfan", "metrics", ".parquet", "files="];
    // The question named S4 itself there.
    for line in lines.filter(|line| !line.contains("is not in this dataset")) {
        assert!(!hidden.iter().any(|word| line.contains(word)), "{line}");
    }
}

/// Fails without: the access that a cell's id opens its list of samples for (`CellAccess`). A cell that somebody saw who
/// may see everybody, or that a role kept from before its samples were narrowed, names nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_genotype_of_a_session_that_sees_more_names_nobody() {
    let roles = RoleFile::new();
    for name in ["all", "few", "kept"] {
        roles.reader(name, &["lab.*"]);
    }
    roles.run(&["samples", "few", "--dataset", "lab", "--only", "S1,S2"]);
    let server = Server::with_roles(&roles);
    let all = server.connect("all").await;
    let few = server.connect("few").await;
    let kept = server.connect("kept").await;
    let cells = rows(&all, "SELECT gt::text FROM lab.variants ORDER BY pos").await;
    assert_eq!(cells.len(), 3);
    let questions = |cell: &str| {
        [
            format!("SELECT gt_carriers('{cell}'::bytea)"),
            format!("SELECT gt_is_het('{cell}'::bytea, 'S3')"),
            format!("SELECT gt_text('{cell}'::bytea, 'S1')"),
            format!("SELECT gt_allele_count('{cell}'::bytea, ARRAY['S4'])"),
            format!("SELECT gt_carriers(c::bytea) FROM (VALUES ('{cell}')) AS v(c)"),
        ]
    };
    for cell in &cells {
        for question in questions(cell) {
            rows(&all, &question).await;
            rows(&kept, &question).await;
            let said = refused(&few, &question).await;
            assert!(said.contains("55000"), "{question}: {said}");
            assert!(!said.contains("S2"), "{question}: {said}");
        }
    }
    // Its own genotypes it may keep and ask.
    few.batch_execute("CREATE TEMP TABLE mine AS SELECT pos, gt FROM lab.variants")
        .await
        .unwrap();
    let own = "SELECT pos, gt_carriers(gt) FROM mine ORDER BY pos";
    assert_eq!(rows(&few, own).await, ["100|{S1}", "200|{}", "300|{S1,S2}"]);
    roles.run(&["samples", "kept", "--dataset", "lab", "--only", "S2"]);
    let narrowed = async || {
        let samples = rows(&kept, "SELECT sample_id FROM lab.samples").await;
        samples == ["S2"]
    };
    assert!(soon(narrowed).await);
    for question in questions(&cells[0]) {
        let said = refused(&kept, &question).await;
        assert!(said.contains("55000"), "{question}: {said}");
    }
}

/// Fails without: counts of visible people where nothing is stored of a block, since everybody in it is 0/0.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_nobody_carries_is_counted_over_visible_people() {
    let nobody = "chr1\t400\t.\tT\tC\t.\tPASS\t.\tGT:DP\t0/0:1\t0/0:2\t0/0:3\t0/0:4\n";
    let lake = Lake::of(&format!("{}{nobody}", super::setup::VCF));
    let roles = RoleFile::new();
    for name in ["all", "few"] {
        roles.reader(name, &["lab.*"]);
    }
    roles.run(&["samples", "few", "--dataset", "lab", "--only", "S1,S2"]);
    let server = Server::on(&lake, &["--roles", roles.path().to_str().unwrap()]);
    let sql = "select ac, an, n_missing, gt_allele_number(gt) from lab.variants where pos = 400";
    for (name, answer) in [("all", "0|8|0|8"), ("few", "0|4|0|4")] {
        let client = server.connect(name).await;
        assert_eq!(rows(&client, sql).await, [answer], "{name}");
    }
}

/// As the first, for the visible people; the hidden ones have other genotypes, depths, conditions and rows.
fn other_lake() -> Lake {
    let lake = Lake::make(
        &super::setup::VCF
            .replace("ID=S4,Father=S3", "ID=S3,Father=S4")
            .replace("marfan", "long covid")
            .replace(
                "0/1:11\t0/0:12\t1/1:13\t0/1:14",
                "0/1:11\t0/0:12\t0/0:93\t./.:94",
            )
            .replace(
                "0/0:21\t0/0:22\t0/1:23\t0/0:24",
                "0/0:21\t0/0:22\t1|1:9\t1/1:8",
            )
            .replace(
                "0/1:31\t1/1:32\t./.:33\t0/0:34",
                "0/1:31\t1/1:32\t0/1:7\t0/1:6",
            )
            .replace("\t31\tPASS\tAC=4;AF=0.5;", "\t71\tPASS\tAC=1;AF=0.2;")
            .replace("\t32\tPASS\tAC=1;AF=0.125;", "\t72\tPASS\tAC=4;AF=0.9;"),
        &format!(
            "person_id,sample_id,sex,family_id,zero\n{}{}",
            (5..400).fold(String::new(), |text, n| text
                + &format!("P{n},S{n},female,F{n},0\n")),
            super::setup::PERSON
                .replace("person_id,sample_id,sex,family_id,zero\n", "")
                .replace("P3,S3,male,F2,0", "P3,S3,female,F9,7")
                .replace("P4,S4,female,F2,0", "P4,S4,unknown,F9,8"),
        ),
        "condition_id,person_id,name\n1,P1,asthma\n2,P3,long covid\n3,P4,x\n4,P4,y\n5,P99,z\n",
    );
    // A second file of the table, for hidden people only.
    lake.table("clin.condition", "condition_id,person_id,name\n6,P4,w\n");
    lake
}

/// Fails without: the filter of headers by inputs and by what lines tell of (`engine/exec/src/plain.rs`).
#[tokio::test(flavor = "multi_thread")]
async fn headers_tell_of_records_of_inputs_with_a_visible_sample() {
    let lake = Lake::of(super::setup::VCF);
    // An input of a hidden person alone.
    let more = "##fileformat=VCFv4.3\n##contig=<ID=chr1,length=248956422>\n\
                ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"Genotype\">\n\
                #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS7\n\
                chr1\t100\t.\tA\tG\t.\tPASS\t.\tGT\t1/1\n";
    lake.ingest(&["vcf", "--dataset", "lab"], &lake.file("more.vcf", more));
    let roles = RoleFile::new();
    roles.reader("ann", &["lab.*"]);
    roles.add("root", &["--admin"]);
    roles.run(&["samples", "ann", "--dataset", "lab", "--only", "S1,S2"]);
    let server = Server::on(&lake, &["--roles", roles.path().to_str().unwrap()]);
    let (ann, root) = (server.connect("ann").await, server.connect("root").await);
    let inputs = "select distinct batch, source from lab.headers";
    assert_eq!(rows(&root, inputs).await.len(), 2);
    assert_eq!(rows(&ann, inputs).await.len(), 1);
    let texts = rows(&ann, "select text from lab.headers").await.join("\n");
    assert!(
        texts.contains("FORMAT\tS1\tS2\n") || texts.ends_with("FORMAT\tS1\tS2"),
        "{texts}"
    );
    assert!(texts.contains("##INFO=<ID=CLN"), "{texts}");
    for hidden in ["S3", "S4", "S7", "SAMPLE", "PEDIGREE", "Command"] {
        assert!(!texts.contains(hidden), "{hidden}: {texts}");
    }
    let all = rows(&root, "select text from lab.headers").await.join("\n");
    for there in ["SAMPLE", "PEDIGREE", "Command", "S7"] {
        assert!(all.contains(there), "{there}");
    }
}

/// Fails without: the rule that refused records, which hold everybody's genotypes, are hidden with any sample.
#[tokio::test(flavor = "multi_thread")]
async fn refused_records_are_hidden_with_the_samples_they_hold() {
    let bad = "chr1\tnowhere\t.\tG\tA\t33\tPASS\t.\tGT:DP\t0/1:31\t1/1:32\t1/1:33\t0/0:34\n";
    let lake = Lake::of(&format!("{}{bad}", super::setup::VCF));
    let roles = RoleFile::new();
    for name in ["all", "few"] {
        roles.reader(name, &["lab.*"]);
    }
    roles.run(&[
        "samples",
        "few",
        "--dataset",
        "lab",
        "--only",
        "S1,S2,S3,S4",
    ]);
    let server = Server::on(&lake, &["--roles", roles.path().to_str().unwrap()]);
    let sql = "select count(*) from lab.quarantine";
    assert_eq!(rows(&server.connect("all").await, sql).await, ["1"]);
    let few = server.connect("few").await;
    let told = refused_in_full(&few, sql).await;
    let never = refused_in_full(&few, "select count(*) from lab.quarantene").await;
    assert_eq!(told, never.replace("quarantene", "quarantine"));
}
