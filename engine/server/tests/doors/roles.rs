//! Rights: what a role may not see is absent, whatever path it takes.

use tokio_postgres::Client;

use super::setup::{Lake, RoleFile, Server, refused, refused_in_full, rows};

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
