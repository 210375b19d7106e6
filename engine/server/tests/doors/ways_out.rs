//! Ways out of the tables: files, URLs, settings of the engine, functions that nobody has read, and writing.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use genokura_server::session::{Session, SessionOptions, Settings, statement};

use super::setup::{RoleFile, Server, backend, refused, rows};

/// Fails without: the allow-list of statements, the check of planned statements, and the catalog that knows no files.
#[tokio::test(flavor = "multi_thread")]
async fn no_statement_reads_or_writes_files_or_urls() {
    let roles = RoleFile::new();
    roles.reader("ann", &["*"]);
    roles.add("root", &["--admin"]);
    let server = Server::with_roles(&roles);
    let target = roles.dir().join("stolen");
    let out = target.display();
    std::fs::write(roles.dir().join("bait.csv"), "a,b\n1,2\n").unwrap();
    let bait = roles.dir().join("bait.csv");
    let bait = bait.display();
    for user in ["ann", "root"] {
        let client = server.connect(user).await;
        for sql in [
            format!("copy lab.variants to '{out}'"),
            format!("copy (select * from lab.variants) to '{out}' stored as parquet"),
            format!("copy (select * from lab.variants) to '{out}' (format csv)"),
            format!("copy lab.variants to program 'cat > {out}'"),
            format!("copy lab.variants from '{bait}'"),
            "copy lab.variants from program 'id'".to_owned(),
            format!("create external table x stored as csv location '{bait}'"),
            format!("create external table x (a int) stored as csv location '{bait}'"),
            "create external table x stored as parquet location 's3://bucket/x'".to_owned(),
            "create external table x stored as parquet location 'http://127.0.0.1:9/x'".to_owned(),
            format!("create unbounded external table x stored as csv location '{bait}'"),
            format!("insert into x select * from '{bait}'"),
            format!("select * from '{bait}'"),
            format!("select * from \"{bait}\""),
            format!("select * from 'file://{bait}'"),
            "select * from 's3://bucket/x.parquet'".to_owned(),
            "select * from 'http://127.0.0.1:9/x.csv'".to_owned(),
            format!("select * from read_csv('{bait}')"),
            format!("select * from read_parquet('{bait}')"),
            format!("select * from parquet_metadata('{bait}')"),
            format!("select * from parquet_scan('{bait}')"),
            "select * from metadata_cache()".to_owned(),
            "select * from statistics_cache()".to_owned(),
            format!("select pg_read_file('{bait}')"),
            format!("select pg_read_binary_file('{bait}')"),
            "select pg_ls_dir('.')".to_owned(),
            format!("select lo_import('{bait}')"),
            "select dblink_connect('host=127.0.0.1')".to_owned(),
            "load 'evil.so'".to_owned(),
            "create function f() returns int language c as 'evil'".to_owned(),
            "create function f(a int) returns int return a + 1".to_owned(),
            "do $$ begin end $$".to_owned(),
            "call f()".to_owned(),
            "create extension dblink".to_owned(),
            "create table t as select 1".to_owned(),
            "create database d".to_owned(),
            "create schema s".to_owned(),
            "create catalog c".to_owned(),
            "drop table lab.variants".to_owned(),
            "delete from lab.variants".to_owned(),
            "update lab.variants set pos = 1".to_owned(),
            "insert into lab.variants (pos) values (1)".to_owned(),
            "truncate lab.variants".to_owned(),
            "with d as (delete from lab.variants returning *) select * from d".to_owned(),
            "select 1 into t".to_owned(),
            format!("explain copy lab.variants to '{out}'"),
            format!("explain analyze copy lab.variants to '{out}'"),
            "explain analyze delete from lab.variants".to_owned(),
            format!("prepare p as copy lab.variants to '{out}'"),
            format!("declare c cursor for copy lab.variants to '{out}'"),
            "select * from datafusion.information_schema.df_settings".to_owned(),
            "select * from information_schema.df_settings".to_owned(),
            // Texts that table functions take go the same way.
            format!("select * from merge_regions('{bait}')"),
            format!("select * from merge_regions('\"{bait}\"')"),
            format!(
                "select * from merge_regions('select a as contig, 1 as pos, 2 as end_pos from \"{bait}\"')"
            ),
            format!("select * from merge_regions('copy lab.variants to ''{out}'' ')"),
            "select * from merge_regions('delete from lab.variants')".to_owned(),
            "select * from merge_regions('with d as (select 1 into t) select * from d')".to_owned(),
            "select * from merge_regions('select name as contig, 1 as pos, 2 as end_pos \
             from information_schema.df_settings')"
                .to_owned(),
            "select * from merge_regions('select table_name as contig, 1 as pos, 2 as end_pos \
             from information_schema.tables')"
                .to_owned(),
            format!("select * from sample_qc('{bait}')"),
            format!("select * from omics_wide('{bait}', array['TP53'])"),
            format!("select * from sample_qc('lab', 'pos in (select a from \"{bait}\")')"),
            "with d as (select 1 into t) select * from d".to_owned(),
            "show functions".to_owned(),
            "show tables".to_owned(),
            "select * from genokura_system.pg_catalog.pg_class".to_owned(),
        ] {
            let told = refused(&client, &sql).await;
            assert!(!told.starts_with("XX000"), "{user}: {sql}: {told}");
            assert!(
                !told.starts_with("58"),
                "{user}: {sql} went as far as the store: {told}"
            );
        }
        assert!(!target.exists(), "a file was written");
        assert_eq!(
            rows(&client, "select count(*) from lab.variants").await,
            ["3"]
        );
    }
}

/// Fails without: the check of planned statements. No statement of a client gets that far; this does not rely on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_writes_is_refused_whoever_parsed_it() {
    let options = SessionOptions {
        user: "owner".to_owned(),
        pid: 1,
        runtime: tokio::runtime::Handle::current(),
        memory_limit: None,
    };
    let mut session = Session::new(backend(), options, Settings::default());
    let temporary = statement::parse("create temp table t as select 1 as a").unwrap();
    session.run(&temporary[0], &[]).await.unwrap();
    for (sql, told) in [
        ("create table x as select 1", "DDL not supported"),
        ("create view x as select 1", "DDL not supported"),
        ("drop table t", "DDL not supported"),
        ("insert into pg_temp_1.t values (2)", "DML not supported"),
        ("delete from pg_temp_1.t", "DML not supported"),
        ("start transaction", "Statement not supported"),
    ] {
        let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
        let unlooked_at = statement::Parsed {
            statement: statement::Statement::Query(Box::new(parsed.remove(0))),
            text: sql.into(),
        };
        let error = session.run(&unlooked_at, &[]).await.unwrap_err();
        assert!(error.to_string().contains(told), "{sql}: {error}");
    }
}

/// Fails without: the allow-list of SET.
#[tokio::test(flavor = "multi_thread")]
async fn the_engines_own_settings_are_out_of_reach() {
    let roles = RoleFile::new();
    roles.reader("ann", &["*"]);
    let server = Server::with_roles(&roles);
    let client = server.connect("ann").await;
    for sql in [
        "set datafusion.execution.batch_size = 1",
        "set datafusion.catalog.location = '/etc'",
        "set datafusion.catalog.format = 'csv'",
        "set datafusion.sql_parser.dialect = 'mysql'",
        "set datafusion.runtime.memory_limit = '1T'",
        "set datafusion.execution.parquet.pushdown_filters = false",
        "set local datafusion.optimizer.max_passes = 0",
        "reset datafusion.runtime.memory_limit",
        "select set_config('datafusion.execution.batch_size', '1', false)",
        "show datafusion.execution.batch_size",
        "set data_directory = '/'",
        "set log_statement = 'all'",
        "set is_superuser = on",
        "set server_version = '9.6'",
        "set ssl = on",
        "set nonsense = 1",
        "select set_config('nonsense', '1', false)",
    ] {
        let told = refused(&client, sql).await;
        let known = ["42704", "55P02", "22023"]
            .iter()
            .any(|code| told.starts_with(code));
        assert!(known, "{sql}: {told}");
    }
}

/// Fails without: the allow-list of functions.
#[tokio::test(flavor = "multi_thread")]
async fn functions_that_tell_of_files_or_forge_metadata_do_not_exist() {
    let roles = RoleFile::new();
    roles.reader("ann", &["*"]);
    let server = Server::with_roles(&roles);
    let client = server.connect("ann").await;
    for sql in [
        "select input_file_name() from lab.variants",
        "select file_row_index() from lab.variants",
        "select file_row_index() from clin.person",
        "select arrow_metadata(gt, 'comment') from lab.variants",
        "select arrow_field(gt) from lab.variants",
        "select with_metadata(pos, 'a', 'b') from lab.variants",
    ] {
        let told = refused(&client, sql).await;
        assert!(told.starts_with("42883"), "{sql}: {told}");
    }
}

/// Fails without: read-only transactions.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_cannot_be_made_to_write() {
    let roles = RoleFile::new();
    roles.reader("ann", &["*"]);
    let server = Server::with_roles(&roles);
    let client = server.connect("ann").await;
    for before in [
        "begin read write",
        "set default_transaction_read_only = off",
        "set transaction_read_only = off",
    ] {
        let _ = client.simple_query(before).await;
        let told = refused(&client, "delete from lab.variants").await;
        assert!(told.starts_with("25006"), "{before}: {told}");
        let _ = client.simple_query("rollback").await;
    }
}
