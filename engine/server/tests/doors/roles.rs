//! Rights: what a role may not see is absent, whatever path it takes.

use std::fmt::Write as _;

use datafusion::prelude::SessionContext;
use genokura_exec::AccessContext;
use genokura_server::roles::{RoleStore, Roles};
use genokura_server::session::{Backend, Session, SessionOptions, Settings, Snapshot, statement};
use genokura_server::sqlstate::ServerError;
use tokio_postgres::Client;

use super::setup::{LAKE, Lake, RoleFile, Server, refused, refused_in_full, rows, soon, told};

/// Every way to name a relation, with `{}` where its name stands.
pub const PATHS: &[&str] = &[
    "select * from {}",
    "select count(*) from {}",
    "table {}",
    "select 1 from (select * from {}) as s",
    "with w as (select * from {}) select * from w",
    "with recursive w as (select 1 as n union all select n + 1 from w, {} where n < 2) select * from w",
    "select (select count(*) from {})",
    "select 1 where exists (select 1 from {})",
    "select * from kb.panel p, lateral (select * from {} limit 1) as l",
    "select * from kb.panel union all select 'a', 'b' from {}",
    "select * from kb.panel natural join {}",
    "explain select * from {}",
    "explain analyze select * from {}",
    "explain (verbose) select * from {}",
    "copy {} to stdout",
    "copy (select * from {}) to stdout (format binary)",
    "declare c cursor with hold for select * from {}",
    "prepare p as select * from {}",
    "select '{}'::regclass",
    "select '{}'::regclass::oid",
    "select has_table_privilege('{}', 'select')",
    "select has_any_column_privilege('{}', 'select')",
    "select has_column_privilege('{}', 'pos', 'select')",
    "select pg_table_size('{}')",
    "select pg_relation_size('{}')",
    "select pg_total_relation_size('{}'::regclass)",
    "select obj_description('{}'::regclass)",
    "select col_description('{}'::regclass, 1)",
    "select c.relname, v.pos from pg_class c, {} v",
    "select * from merge_regions('{}')",
    "select * from count_overlaps('lab.variants', 'select * from {} as t')",
    "select * from nearest('select * from lab.variants where pos in (select pos from {})', 'lab.variants')",
];

/// The catalog rows that tell of relations, columns and schemas.
const CATALOG: &[&str] = &[
    "select n.nspname, c.relname, c.reltuples from pg_class c join pg_namespace n on n.oid = c.relnamespace \
     where n.nspname not like 'pg%' and n.nspname <> 'information_schema' order by 1, 2",
    "select table_schema, table_name from information_schema.tables \
     where table_schema not in ('pg_catalog', 'information_schema') order by 1, 2",
    "select c.relname, a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid \
     join pg_namespace n on n.oid = c.relnamespace \
     where n.nspname not like 'pg%' and n.nspname <> 'information_schema' order by 1, 2",
    "select table_schema, table_name, column_name from information_schema.columns \
     where table_schema not in ('pg_catalog', 'information_schema') order by 1, 2, 3",
    "select nspname from pg_namespace order by 1",
    "select schema_name from information_schema.schemata order by 1",
    "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    "select schemaname, relname from pg_stat_user_tables order by 1, 2",
    "select table_name, column_name from information_schema.column_privileges \
     where table_schema not in ('pg_catalog', 'information_schema')",
    "select table_name from information_schema.table_privileges \
     where table_schema not in ('pg_catalog', 'information_schema')",
    "select typname from pg_type where typrelid <> 0 and typname !~ '^pg_|^_' order by 1",
    "select description from pg_description d join pg_class c on c.oid = d.objoid where c.relname = 'calls'",
    "select rolname from pg_roles order by 1",
    "select usename from pg_user order by 1",
    "select to_regclass('lab.calls')",
    "select to_regclass('clin.person')",
];

fn strangers(answers: &[String], words: &[&str]) -> Vec<String> {
    let tells = |line: &&String| words.iter().any(|word| line.contains(word));
    answers.iter().filter(tells).cloned().collect()
}

/// Fails without: the filter of the catalog by grants (`LakeSchema::tables`).
#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_a_grant_looks_like_one_that_never_was() {
    let roles = RoleFile::new();
    roles.reader("ann", &["lab.variants", "kb.*"]);
    roles.reader("bob", &["lab.*"]);
    let server = Server::with_roles(&roles);
    let client = server.connect("ann").await;
    assert_eq!(
        rows(&client, "select count(*) from lab.variants").await,
        ["3"]
    );
    for path in PATHS {
        let hidden = refused_in_full(&client, &path.replace("{}", "lab.calls")).await;
        let never = refused_in_full(&client, &path.replace("{}", "lab.callz")).await;
        assert_eq!(
            hidden.replace("calls", "?"),
            never.replace("callz", "?"),
            "{path}"
        );
        let hidden = refused_in_full(&client, &path.replace("{}", "clin.person")).await;
        let never = refused_in_full(&client, &path.replace("{}", "clim.person")).await;
        assert_eq!(
            hidden.replace("clin", "?"),
            never.replace("clim", "?"),
            "{path}"
        );
    }
    // No hint names what is hidden, and a bare name does not find it.
    for sql in [
        "select * from lab.cals",
        "select * from lab.carrier",
        "select * from clin.persons",
        "select * from clim.person",
        "select * from person",
        "select * from merge_regions('clim.person')",
        "select * from sample_qc('clim')",
    ] {
        let error = client.simple_query(sql).await.unwrap_err();
        let hint = error
            .as_db_error()
            .and_then(|e| e.hint())
            .unwrap_or_default();
        assert!(
            !hint.contains("call") && !hint.contains("carriers") && !hint.contains("clin"),
            "{hint}"
        );
    }
    rows(&client, "set search_path = clin, lab").await;
    assert!(
        refused(&client, "select * from person")
            .await
            .starts_with("42P01")
    );
    for sql in CATALOG {
        let answers = rows(&client, sql).await;
        let told = strangers(
            &answers,
            &["calls", "carriers", "samples", "clin", "person", "bob"],
        );
        let columns = ["info_", "sample_id"].map(|_| "sample_id");
        assert!(
            told.is_empty() && strangers(&answers, &columns).is_empty(),
            "{sql}: {told:?}"
        );
    }
    assert_eq!(
        rows(&client, "select current_schemas(false)").await,
        ["{lab}"]
    );
}

/// Fails without: the filter of columns (`only_readable`, `without`).
#[tokio::test(flavor = "multi_thread")]
async fn a_column_without_a_grant_looks_like_one_that_never_was() {
    let roles = RoleFile::new();
    roles.add("ann", &[]);
    roles.run(&[
        "grant",
        "ann",
        "lab.variants",
        "--columns",
        "contig,pos,ref,alt",
    ]);
    roles.run(&["grant", "ann", "lab.calls", "--columns", "pos,dosage"]);
    roles.run(&["grant", "ann", "lab.samples", "--columns", "batch"]);
    roles.run(&["grant", "ann", "lab.headers", "--columns", "key"]);
    roles.run(&["grant", "ann", "clin.person", "--columns", "person_id,sex"]);
    let server = Server::with_roles(&roles);
    let client = server.connect("ann").await;
    let star = "select * from lab.variants order by pos limit 1";
    assert_eq!(rows(&client, star).await, ["chr1|100|A|G"]);
    assert_eq!(
        rows(&client, "select * from lab.samples limit 1").await,
        ["0"]
    );
    assert_eq!(
        rows(&client, "select * from clin.person order by 1 limit 1").await,
        ["P1|female"]
    );
    let calls = "select pos, sum(dosage) from lab.calls group by pos order by pos";
    assert_eq!(rows(&client, calls).await, ["100|4", "200|1", "300|3"]);
    for (table, hidden) in [
        ("lab.variants", "ac"),
        ("lab.variants", "gt"),
        ("lab.variants", "info_cln"),
        ("lab.calls", "gt"),
        ("lab.calls", "sample_id"),
        ("lab.samples", "sample_id"),
        ("lab.headers", "text"),
        ("clin.person", "sample_id"),
    ] {
        for path in [
            "select {c} from {t}",
            "select v.{c} from {t} as v",
            "select 1 from {t} where {c} is not null",
            "select count(*) from {t} group by {c}",
            "select 1 from {t} order by {c}",
            "select max({c}) from {t}",
            "select 1 from {t} a join {t} b using ({c})",
            "select 1 from {t} a join {t} b on a.{c} = b.{c}",
            "explain select {c} from {t}",
            "copy (select {c} from {t}) to stdout",
            "copy {t} ({c}) to stdout",
            "declare c cursor with hold for select {c} from {t}",
            "prepare p as select {c} from {t}",
            "select has_column_privilege('{t}', '{c}', 'select')",
            "select row_number() over (order by {c}) from {t}",
        ] {
            let with = |column: &str| path.replace("{t}", table).replace("{c}", column);
            let told = refused(&client, &with(hidden)).await;
            let never = refused(&client, &with("zzzzzz")).await;
            assert!(told.starts_with("42703"), "{}: {told}", with(hidden));
            assert_eq!(
                told.replace(hidden, "?"),
                never.replace("zzzzzz", "?"),
                "{path}"
            );
        }
    }
    for sql in CATALOG {
        let told = strangers(
            &rows(&client, sql).await,
            &["info_", "sample_id", "gt", "dp", "family"],
        );
        assert!(told.is_empty(), "{sql}: {told:?}");
    }
    // Functions read what the session may read.
    let told = refused(&client, "select * from sample_qc('lab')").await;
    assert!(
        told.starts_with("42703") || told.starts_with("42P01"),
        "{told}"
    );
    assert_eq!(
        rows(
            &client,
            "select has_column_privilege('lab.variants', 'pos', 'select')"
        )
        .await,
        ["t"]
    );
}

/// Fails without: the mask in every scan, and the rule that filters on masked columns are judged after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_masked_column_is_null_on_every_path() {
    let roles = RoleFile::new();
    roles.reader("ann", &["lab.*", "clin.*"]);
    roles.run(&[
        "mask",
        "ann",
        "lab.variants.ac",
        "lab.calls.dosage",
        "lab.carriers.dosage",
    ]);
    roles.run(&[
        "mask",
        "ann",
        "clin.person.zero",
        "clin.person.sex",
        "lab.samples.n_het",
    ]);
    roles.run(&[
        "mask",
        "ann",
        "lab.variants.info_cln",
        "lab.calls.dp",
        "lab.carriers.dp",
    ]);
    let server = Server::with_roles(&roles);
    let client = server.connect("ann").await;
    for (sql, answer) in [
        ("select count(info_cln), count(*) from lab.variants", "0|3"),
        (
            "select count(*) from lab.variants where info_cln = 'vus' or info_cln <> 'vus'",
            "0",
        ),
        (
            "select count(*) from lab.variants where info_cln is null",
            "3",
        ),
        (
            "select count(dp), max(dp), count(*) from lab.calls",
            "0|NULL|12",
        ),
        (
            "select count(*) from lab.calls where dp > 20 or dp <= 20",
            "0",
        ),
        (
            "select count(*) from lab.calls where dp is null and pos = 100",
            "4",
        ),
        ("select count(*) from lab.carriers where dp > 0", "0"),
        ("select count(ac), count(*) from lab.variants", "0|3"),
        (
            "select count(*) from lab.variants where ac > 0 or ac = 0",
            "0",
        ),
        ("select count(*) from lab.variants where ac is null", "3"),
        (
            "select max(ac), min(ac), sum(ac) from lab.variants",
            "NULL|NULL|NULL",
        ),
        ("select count(*) from lab.calls where dosage >= 0", "0"),
        ("select sum(dosage), count(dosage) from lab.calls", "NULL|0"),
        (
            "select count(sex), max(sex), count(*) from clin.person",
            "0|NULL|4",
        ),
        (
            "select count(*) from merge_regions('select * from lab.variants where ac >= 0')",
            "0",
        ),
        ("select count(*) from clin.person where sex = 'male'", "0"),
        ("select count(*) from clin.person where sex is null", "4"),
        ("select count(*) from clin.person where 1 / zero = 1", "0"),
        (
            "select count(*) from clin.person a join clin.person b using (sex)",
            "0",
        ),
        (
            "select count(distinct sex), count(n_het) from clin.person, lab.samples",
            "0|0",
        ),
    ] {
        assert_eq!(rows(&client, sql).await, [answer], "{sql}");
    }
    // Masked keys: files and row groups are not looked for by them, and joins do not tell scans which ones they want.
    roles.reader("key", &["lab.*"]);
    roles.run(&["mask", "key", "lab.variants.contig", "lab.variants.pos"]);
    roles.run(&["mask", "key", "lab.calls.contig", "lab.calls.pos"]);
    roles.run(&["mask", "key", "lab.calls.sample_id"]);
    let key = server.connect("key").await;
    for (sql, answer) in [
        ("lab.variants where pos = 100", "0"),
        ("lab.variants where pos > 100 or contig = 'chr1'", "0"),
        ("lab.variants where pos is null and contig is null", "3"),
        (
            "lab.variants where in_region(contig, pos, end_pos, 'chr1:100-200')",
            "0",
        ),
        ("lab.calls where contig = 'chr1' or pos < 300", "0"),
        ("lab.calls where pos is null", "12"),
        ("lab.calls where sample_id = 'S1'", "0"),
        ("lab.calls where sample_id is null", "12"),
        (
            "lab.variants join (values (null::int)) v(n) on n is not distinct from pos",
            "3",
        ),
        (
            "lab.calls join (values (null::int)) v(n) on n is not distinct from pos",
            "12",
        ),
        (
            "lab.calls join (values (null::text)) v(n) on n is not distinct from sample_id",
            "12",
        ),
    ] {
        let sql = format!("select count(*) from {sql}");
        assert_eq!(rows(&key, &sql).await, [answer], "{sql}");
    }
    // How many rows passed a filter on a masked column is not told either.
    for sql in [
        "lab.variants where ac > 1",
        "clin.person where sex = 'male'",
    ] {
        let explained = rows(&client, &format!("explain analyze select * from {sql}")).await;
        let explained = explained.join("\n");
        assert!(!explained.contains("metrics="), "{explained}");
    }
}

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

/// Fails without: effects being made of what the session sees of `variants`, and the mask above them.
#[tokio::test(flavor = "multi_thread")]
async fn effects_hold_to_the_rights_of_variants() {
    let vcf = super::setup::VCF
        .replace(
            "##FORMAT=<ID=GT",
            "##INFO=<ID=CSQ,Number=.,Type=String,Description=\"Format: Allele|Consequence|SYMBOL\">\n##FORMAT=<ID=GT",
        )
        .replace("CLN=benign", "CLN=benign;CSQ=G|missense_variant|ONE,G|intron_variant|TWO");
    let lake = Lake::make(&vcf, super::setup::PERSON, super::setup::CONDITION);
    let roles = RoleFile::new();
    for name in ["all", "few", "vouched", "masked", "veiled"] {
        roles.reader(name, &["lab.*"]);
    }
    roles.add("without", &[]);
    roles.run(&["grant", "without", "lab.variant_effects"]);
    roles.add("narrow", &[]);
    roles.run(&["grant", "narrow", "lab.variants"]);
    roles.run(&[
        "grant",
        "narrow",
        "lab.variant_effects",
        "--columns",
        "pos,worst",
    ]);
    for name in ["few", "vouched"] {
        roles.run(&["samples", name, "--dataset", "lab", "--only", "S1,S2"]);
    }
    roles.run(&["grant", "vouched", "lab.variants", "--columns", "info_csq"]);
    roles.run(&["mask", "masked", "lab.variants.info_csq"]);
    roles.run(&[
        "mask",
        "veiled",
        "lab.variant_effects.gene",
        "lab.variant_effects.pos",
    ]);
    let server = Server::on(&lake, &["--roles", roles.path().to_str().unwrap()]);
    let counts = "select count(*), count(gene), count(pos) from lab.variant_effects";
    for (name, expected) in [
        ("all", "2|2|2"),
        ("few", "0|0|0"),
        ("vouched", "2|2|2"),
        ("masked", "0|0|0"),
        ("veiled", "2|0|0"),
    ] {
        let client = server.connect(name).await;
        assert_eq!(rows(&client, counts).await, [expected], "{name}");
    }
    let client = server.connect("veiled").await;
    for filter in ["gene = 'ONE'", "pos = 100", "pos > 0 or gene is not null"] {
        let sql = format!("select count(*) from lab.variant_effects where {filter}");
        assert_eq!(rows(&client, &sql).await, ["0"], "{filter}");
    }
    let joined = "select count(*) from lab.variant_effects e join lab.variants v on v.pos = e.pos";
    assert_eq!(rows(&client, joined).await, ["0"]);
    let client = server.connect("without").await;
    refused(&client, counts).await;
    let client = server.connect("narrow").await;
    let star = "select * from lab.variant_effects order by worst";
    assert_eq!(
        rows(&client, star).await,
        ["100|intron_variant", "100|missense_variant"]
    );
    assert!(refused(&client, counts).await.starts_with("42703"));
}

/// Fails without: the check of rights at every statement, not at login alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoke_holds_for_open_sessions_statements_portals_and_cursors() {
    let roles = RoleFile::new();
    roles.reader("ann", &["lab.variants", "kb.*"]);
    let server = Server::with_roles(&roles);
    let client = server.connect("ann").await;
    let statement = client
        .prepare("select pos from lab.variants order by pos")
        .await
        .unwrap();
    assert_eq!(client.query(&statement, &[]).await.unwrap().len(), 3);
    let held = "declare held cursor with hold for select pos from lab.variants order by pos";
    rows(&client, held).await;
    assert_eq!(rows(&client, "fetch 1 from held").await, ["100"]);
    rows(&client, "begin").await;
    assert_eq!(
        rows(&client, "select count(*) from lab.variants").await,
        ["3"]
    );
    roles.run(&["revoke", "ann", "lab.variants"]);
    let gone = soon(async || client.simple_query("fetch 1 from held").await.is_err()).await;
    assert!(gone, "the cursor went on reading");
    rows(&client, "rollback").await;
    // Prepared under other rights, it is there no more.
    let told_now = told(&client.query(&statement, &[]).await.unwrap_err());
    assert!(told_now.starts_with("26000"), "{told_now}");
    for path in PATHS {
        let told = refused(&client, &path.replace("{}", "lab.variants")).await;
        assert!(
            told.starts_with("42P01") || told.starts_with("3F000"),
            "{path}: {told}"
        );
    }
    roles.run(&["grant", "ann", "lab.variants"]);
    assert!(
        soon(async || client
            .simple_query("select 1 from lab.variants")
            .await
            .is_ok())
        .await
    );
    roles.run(&["drop", "ann"]);
    let ended = soon(async || match client.simple_query("select 1").await {
        Ok(_) => false,
        Err(error) => told(&error).starts_with("57P01") || client.is_closed(),
    });
    assert!(ended.await, "a role that was removed goes on asking");
    assert!(server.try_connect("ann", "secret-ann").await.is_err());
}

/// Fails without: the look at rights when a portal goes on, and for every statement of a transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoke_holds_inside_of_a_transaction_and_for_a_portal_that_was_begun() {
    let roles = RoleFile::new();
    roles.reader("ann", &["lab.variants", "kb.*"]);
    let server = Server::with_roles(&roles);
    let (mut one, two) = (server.connect("ann").await, server.connect("ann").await);
    let three = server.connect("ann").await;
    let prepared = three.prepare("select 1 from lab.variants").await.unwrap();
    let block = one.transaction().await.unwrap();
    let sql = "select pos from lab.variants order by pos";
    let portal = block.bind(sql, &[]).await.unwrap();
    let untouched = block.bind(sql, &[]).await.unwrap();
    assert_eq!(block.query_portal(&portal, 1).await.unwrap().len(), 1);
    rows(&two, "begin; select 1 from lab.variants; savepoint s").await;
    roles.run(&["revoke", "ann", "lab.variants"]);
    let refused_now = async || {
        let gone = two.batch_execute("select 1 from lab.variants").await;
        let gone = gone.is_err_and(|error| told(&error).starts_with("42P01"));
        two.batch_execute("rollback to s").await.unwrap();
        gone
    };
    assert!(soon(refused_now).await, "the transaction goes on reading");
    // Nothing is bound to what was prepared under other rights.
    let unbound = told(&three.query(&prepared, &[]).await.unwrap_err());
    assert!(unbound.starts_with("26000"), "{unbound}");
    let refused = block.query_portal(&portal, 1).await.unwrap_err();
    assert!(told(&refused).starts_with("34000"), "{}", told(&refused));
    block.rollback().await.unwrap();
    drop(untouched);
    // A role that is gone cannot even prepare what reads nothing.
    roles.run(&["drop", "ann"]);
    assert!(soon(async || server.try_connect("ann", "secret-ann").await.is_err()).await);
    let told = told(&two.prepare("show timezone").await.unwrap_err());
    assert!(told.starts_with("57P01"), "{told}");
}

/// Takes a right away between the plan of a statement and its start.
struct Meddling {
    inner: std::sync::Arc<genokura_server::backend::EngineBackend>,
    roles: std::sync::Arc<RoleStore>,
}

#[async_trait::async_trait]
impl Backend for Meddling {
    async fn snapshot(&self) -> Result<Snapshot, ServerError> {
        self.inner.snapshot().await
    }

    fn context(&self, snapshot: &Snapshot, principal: &str) -> Result<SessionContext, ServerError> {
        self.inner.context(snapshot, principal)
    }

    fn restricted(
        &self,
        snapshot: &Snapshot,
        access: &AccessContext,
    ) -> Result<SessionContext, ServerError> {
        let context = self.inner.restricted(snapshot, access);
        let change = |roles: &mut Roles| {
            roles.get_mut("ann")?.grants.clear();
            Ok(())
        };
        self.roles.update(change).unwrap();
        context
    }
}

/// Fails without: the look at rights when a planned statement starts.
#[tokio::test(flavor = "multi_thread")]
async fn rights_that_change_while_a_statement_is_planned_stop_it() {
    let file = RoleFile::new();
    file.reader("ann", &["kb.*"]);
    let roles = std::sync::Arc::new(RoleStore::open(&file.path()).unwrap());
    let backend = Meddling {
        inner: super::setup::backend(),
        roles: std::sync::Arc::clone(&roles),
    };
    let options = SessionOptions {
        user: "ann".to_owned(),
        pid: 1,
        runtime: tokio::runtime::Handle::current(),
        memory_limit: None,
    };
    let session = Session::new(std::sync::Arc::new(backend), options, Settings::default());
    let mut session = session.with_roles(roles);
    let sql = statement::parse("select 1").unwrap();
    let error = session.run(&sql[0], &[]).await.unwrap_err();
    assert_eq!(error.code(), "40001", "{error}");
    // Nothing is left to take away.
    assert!(session.run(&sql[0], &[]).await.is_ok());
}

/// Fails without: the allow-list of SET, and the refusal of other identities.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_becomes_somebody_else() {
    let roles = RoleFile::new();
    roles.reader("ann", &["kb.*"]);
    roles.add("root", &["--admin"]);
    let server = Server::with_roles(&roles);
    let client = server.connect("ann").await;
    for name in ["root", "owner", "nobody"] {
        for sql in [
            format!("set role {name}"),
            format!("set session authorization {name}"),
            format!("set session role '{name}'"),
            format!("select set_config('role', '{name}', false)"),
            format!("select set_config('session_authorization', '{name}', false)"),
            format!("set local role {name}"),
            format!("begin; set local role {name}"),
        ] {
            let told = refused(&client, &sql).await;
            assert!(told.starts_with("22023"), "{sql}: {told}");
            let _ = client.simple_query("rollback").await;
        }
    }
    for sql in [
        "set role none",
        "set role ann",
        "set session authorization default",
        "reset role",
    ] {
        rows(&client, sql).await;
    }
    assert_eq!(
        rows(
            &client,
            "select current_user, session_user, current_setting('is_superuser')"
        )
        .await,
        ["ann|ann|off"]
    );
    let root = server.connect("root").await;
    assert_eq!(
        rows(&root, "select current_setting('is_superuser')").await,
        ["on"]
    );
    let start = format!(
        "host=127.0.0.1 port={} dbname=genokura user=ann password=secret-ann options='-c role=root'",
        server.port
    );
    let become_root = tokio_postgres::connect(&start, tokio_postgres::NoTls).await;
    assert!(become_root.is_err());
}

async fn readable(client: &Client, table: &str) -> bool {
    client
        .simple_query(&format!("select 1 from {table}"))
        .await
        .is_ok()
}

/// Fails without: the check that who gives rights is an admin.
#[tokio::test(flavor = "multi_thread")]
async fn an_admin_gives_and_takes_rights_in_sql_and_nobody_else_does() {
    let roles = RoleFile::new();
    roles.reader("ann", &["kb.*"]);
    roles.add("root", &["--admin"]);
    let server = Server::with_roles(&roles);
    let (ann, root) = (server.connect("ann").await, server.connect("root").await);
    for sql in [
        "grant select on lab.variants to ann",
        "grant select on all tables in schema lab to ann",
        "revoke select on kb.panel from ann",
        "create role eve",
        "create user eve password 'SCRAM-SHA-256$4096:c2FsdHNhbHQ=$x:y'",
        "alter role root password null",
        "alter role ann superuser",
        "alter role ann password null connection limit -1",
        "alter user ann nosuperuser",
        "grant create on schema public to ann",
        "drop role root",
        "drop role ann",
        "drop role if exists nobody",
    ] {
        assert!(refused(&ann, sql).await.starts_with("42501"), "{sql}");
    }
    rows(&root, "grant select on lab.variants to ann").await;
    rows(
        &root,
        "grant select (person_id, sex) on table clin.person to ann",
    )
    .await;
    assert!(readable(&ann, "lab.variants").await && !readable(&ann, "lab.calls").await);
    assert_eq!(
        rows(&ann, "select * from clin.person order by 1 limit 1").await,
        ["P1|female"]
    );
    rows(&root, "grant select on all tables in schema lab to ann").await;
    assert!(readable(&ann, "lab.calls").await);
    rows(&root, "revoke select on lab.calls from ann").await;
    assert!(!readable(&ann, "lab.calls").await && readable(&ann, "lab.variants").await);
    rows(
        &root,
        "revoke all privileges on all tables in schema lab from ann",
    )
    .await;
    assert!(!readable(&ann, "lab.variants").await && !readable(&ann, "lab.calls").await);
    rows(&root, "revoke select (sex) on clin.person from ann").await;
    assert_eq!(
        rows(&ann, "select * from clin.person order by 1 limit 1").await,
        ["P1"]
    );
    for (sql, code) in [
        ("grant select on lab.nothing to ann", "42P01"),
        ("grant select (nope) on lab.variants to ann", "42703"),
        ("grant select on lab.variants to nobody", "42704"),
        ("grant insert on lab.variants to ann", "0A000"),
        ("grant select on all tables in schema nope to ann", "3F000"),
        ("create role eve password 'plain'", "0A000"),
    ] {
        let told = refused(&root, sql).await;
        assert!(
            told.starts_with(code) && !told.contains("plain'"),
            "{sql}: {told}"
        );
    }
    rows(&root, "begin").await;
    let told = refused(&root, "grant select on lab.calls to ann").await;
    assert!(
        told.starts_with("25001"),
        "a role file knows no rollback: {told}"
    );
    rows(&root, "rollback").await;
    // A query string is a transaction, too, whose last statement may fail.
    for sql in [
        "grant select on lab.calls to ann; select 1 / 0",
        "grant select on lab.calls to ann; select 1",
        "create role mallory; revoke select on clin.person from ann",
    ] {
        let told = refused(&root, sql).await;
        assert!(told.starts_with("25001"), "{sql}: {told}");
    }
    assert!(!readable(&ann, "lab.calls").await);
    assert!(
        refused(&root, "drop role mallory")
            .await
            .starts_with("42704")
    );
    rows(&root, "create role eve").await;
    assert!(
        rows(&root, "select rolname from pg_roles")
            .await
            .contains(&"eve".to_owned())
    );
    let secret = genokura_server::roles::ScramKeys::generate("another").unwrap();
    rows(
        &root,
        &format!("alter role eve with login password '{secret}'"),
    )
    .await;
    assert!(server.try_connect("eve", "another").await.is_ok());
    rows(&root, "drop role eve").await;
    assert!(server.try_connect("eve", "another").await.is_err());
    // One's own password is one's own.
    let secret = genokura_server::roles::ScramKeys::generate("mine").unwrap();
    rows(&ann, &format!("alter user ann password '{secret}'")).await;
    assert!(server.try_connect("ann", "mine").await.is_ok());
    assert!(server.try_connect("ann", "secret-ann").await.is_err());
}

/// Fails without: admin answers from the role that was asked about.
#[tokio::test(flavor = "multi_thread")]
async fn privileges_are_told_as_they_are() {
    let roles = RoleFile::new();
    roles.reader("ann", &["lab.variants"]);
    roles.add("root", &["--admin"]);
    let server = Server::with_roles(&roles);
    let root = server.connect("root").await;
    for (sql, answer) in [
        (
            "select has_table_privilege('ann', 'lab.variants', 'select')",
            "t",
        ),
        (
            "select has_table_privilege('ann', 'lab.calls', 'select')",
            "f",
        ),
        (
            "select has_column_privilege('ann', 'lab.calls', 'gt', 'select')",
            "f",
        ),
        (
            "select has_table_privilege('ann', 'lab.variants', 'insert')",
            "f",
        ),
        ("select has_schema_privilege('ann', 'lab', 'usage')", "t"),
        ("select has_schema_privilege('ann', 'clin', 'usage')", "f"),
        ("select has_table_privilege('lab.calls', 'select')", "t"),
    ] {
        assert_eq!(rows(&root, sql).await, [answer], "{sql}");
    }
    let ann = server.connect("ann").await;
    assert!(
        refused(&ann, "select has_schema_privilege('clin', 'usage')")
            .await
            .starts_with("3F000")
    );
    // Other roles do not exist for a role.
    for sql in [
        "select has_table_privilege('root', 'lab.variants', 'select')",
        "select pg_has_role('root', 'member')",
        "select pg_has_role('root', 'ann', 'usage')",
    ] {
        let told = refused(&ann, sql).await;
        assert_eq!(told, "42704 role \"root\" does not exist", "{sql}");
    }
    let member = "select pg_has_role('ann', 'member'), pg_has_role('pg_read_all_stats', 'usage')";
    assert_eq!(rows(&ann, member).await, ["t|f"]);
    assert_eq!(rows(&root, member).await, ["t|t"]);
    let owner = "select pg_has_role(relowner, 'usage') from pg_class where relname = 'variants'";
    assert_eq!(rows(&ann, owner).await, ["f"]);
}
