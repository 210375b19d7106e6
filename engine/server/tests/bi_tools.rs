//! The SQL that DBeaver, Metabase, Superset, Grafana, pgAdmin, Npgsql and Power BI send when they connect and look
//! around, over the wire against genokura and against PostgreSQL 15: it runs, with the same columns and types.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod oracle_support;
mod statement_files;
mod support;

use oracle_support::Oracle;
use statement_files::statements;
use support::{Served, genokura, stdout_of};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Columns that release 16 has and 15 has not.
const NEW: [&str; 4] = [
    "daticurules",
    "collicurules",
    "inherit_option",
    "set_option",
];
/// Columns that release 16 made smallint.
const NARROWED: [&str; 3] = ["attstattarget", "attndims", "attinhcount"];

/// Name and type of each column, and the number of rows.
type Answer = (Vec<(String, u32)>, usize);

async fn connect(line: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(line, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn ask(client: &Client, sql: &str) -> Result<Answer, String> {
    let message = |error: tokio_postgres::Error| {
        let told = error.as_db_error();
        told.map_or_else(
            || error.to_string(),
            |e| format!("{} {}", e.code().code(), e.message()),
        )
    };
    let prepared = client.prepare(sql).await.map_err(message)?;
    let columns = prepared.columns().iter();
    let columns = columns
        .map(|c| (c.name().to_owned(), c.type_().oid()))
        .collect();
    let messages = client.simple_query(sql).await.map_err(message)?;
    let rows = messages
        .iter()
        .filter(|m| matches!(m, SimpleQueryMessage::Row(_)));
    Ok((columns, rows.count()))
}

/// The columns of genokura's answer as release 15 would give them.
fn as_of_15(columns: &[(String, u32)]) -> Vec<(String, u32)> {
    let known = columns
        .iter()
        .filter(|(name, _)| !NEW.contains(&name.as_str()));
    let narrowed = |name: &str| NARROWED.contains(&name);
    let mut known: Vec<(String, u32)> = known
        .map(|(name, oid)| (name.clone(), if narrowed(name) { 23 } else { *oid }))
        .collect();
    // Release 16 moved columns of pg_attribute.
    if known.iter().any(|(name, _)| narrowed(name)) {
        known.sort();
    }
    known
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_see_what_postgresql_shows_them() {
    let dir = tempfile::tempdir().unwrap();
    stdout_of(
        genokura()
            .args(["quickstart", "--no-serve", "--dir"])
            .arg(dir.path()),
    );
    let served = Served::lake(&dir.path().join("lake"));
    let ours = connect(&format!(
        "host=127.0.0.1 port={} user=owner dbname=genokura",
        served.port
    ))
    .await;
    let oracle = Oracle::start();
    let plain = connect(&oracle.address).await;
    plain
        .batch_execute("CREATE DATABASE genokura")
        .await
        .unwrap();
    let theirs = connect(&format!("{} dbname=genokura", oracle.address)).await;
    theirs
        .batch_execute(
            "CREATE SCHEMA cohort; CREATE TABLE cohort.variants (contig text NOT NULL, pos int4 NOT NULL, \
             an int4, af float8, filters text[])",
        )
        .await
        .unwrap();
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for sql in statements("tools.sql") {
        asked += 1;
        let expected = ask(&theirs, &sql).await;
        let expected = expected.unwrap_or_else(|e| panic!("PostgreSQL 15 refuses {sql}: {e}"));
        match ask(&ours, &sql).await {
            Ok((columns, _)) if as_of_15(&columns) == as_of_15(&expected.0) => {}
            Ok((columns, _)) => wrong.push(format!(
                "{sql}\n  postgresql {:?}\n  genokura   {columns:?}",
                expected.0
            )),
            Err(error) => wrong.push(format!("{sql}\n  {error}")),
        }
    }
    assert!(asked > 40, "{asked} statements");
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // What they do beside SELECT.
    for sql in [
        "SET extra_float_digits = 3; SET application_name = 'DBeaver 24.1 - Main <genokura>'",
        "SET DateStyle=ISO; SET client_min_messages=notice; SET client_encoding='UTF8'",
        "set search_path = \"cohort\"",
        "EXPLAIN SELECT contig FROM cohort.variants",
        "SHOW search_path",
        "BEGIN READ ONLY; SELECT 1; ROLLBACK",
        "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL",
        "DISCARD ALL",
    ] {
        ours.batch_execute(sql)
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
}
