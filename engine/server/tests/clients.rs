//! The matrix of PostgreSQL clients, each against a served demo lake: connect, list tables, reflect, types,
//! parameters, a big result in chunks, cancel, an error. `docs/clients.md` is what the run found;
//! `UPDATE_DOCS=1 cargo test -p genokura-server --test clients` rewrites it.
//!
//! The clients are scripts in `testdata/clients`, made ready by `testdata/bin/client-tools.sh`. What they have to
//! find was asked of the same server before, by tokio-postgres in text.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use support::{Served, genokura, stdout_of};
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// How a client is run.
#[derive(Clone, Copy, Debug)]
enum Runs {
    Python,
    Java,
    Node,
    R,
    Shell,
}

/// Name, script, how it is run; in the order of the table.
const CLIENTS: [(&str, &str, Runs); 16] = [
    ("psql", "psql_client.sh", Runs::Shell),
    ("psycopg 3", "psycopg3.py", Runs::Python),
    ("psycopg 2", "psycopg2_client.py", Runs::Python),
    ("asyncpg", "asyncpg_client.py", Runs::Python),
    ("pg8000", "pg8000_client.py", Runs::Python),
    ("SQLAlchemy", "sqlalchemy_client.py", Runs::Python),
    ("pandas", "pandas_client.py", Runs::Python),
    ("polars", "polars_client.py", Runs::Python),
    ("ADBC", "adbc_client.py", Runs::Python),
    ("connectorx", "connectorx_client.py", Runs::Python),
    ("DuckDB postgres scanner", "duckdb_client.py", Runs::Python),
    ("ibis", "ibis_client.py", Runs::Python),
    ("psqlODBC, unixODBC", "pyodbc_client.py", Runs::Python),
    ("pgjdbc", "Jdbc.java", Runs::Java),
    ("node pg", "node_client.js", Runs::Node),
    ("R RPostgreSQL", "r_client.R", Runs::R),
];
/// Not drivers: only their own checks.
const TOOLS: [(&str, &str, Runs); 1] = [("pgbench", "pgbench_client.sh", Runs::Shell)];
/// Columns of the table.
const CHECKS: [&str; 9] = [
    "connect",
    "tables",
    "reflect",
    "types",
    "parameters",
    "chunks",
    "temporary",
    "cancel",
    "error",
];
/// A client that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(180);

const HEAD: &str = "\
# Clients

<!-- Made by `UPDATE_DOCS=1 cargo test -p genokura-server --test clients`; do not edit. -->

Every client below is run by the tests against a served demo lake and does what its users do. The scripts
are in [testdata/clients](../testdata/clients) and read as examples of how to connect: no password, database
`genokura`, any user, on the port that `genokura serve` prints.

| check | what is done |
|---|---|
| connect | connect, ask for the database and the server's version |
| tables | list the tables of a schema by the client's own means |
| reflect | columns, types and keys of a table by the client's own means |
| types | a row of every type (integers, floats, numeric, bool, text, bytea, date, timestamps, arrays, NULL) reads back |
| parameters | queries with parameters, once and as prepared statements |
| chunks | all 45,000 carriers of the demo cohort in portions: cursor, portal or COPY, whatever the client has |
| temporary | a temporary table is made, filled (COPY, INSERT, whatever the client has), read, dropped |
| cancel | a statement that would run for hours is stopped within seconds |
| error | a misspelt table gives 42P01 and the nearest name; the connection goes on |

A dash: the client has no such thing, or its users have no need of it.
";

/// What one client reported.
#[derive(Debug, Default)]
struct Report {
    version: String,
    passed: BTreeMap<String, String>,
    /// In the order they were reported.
    others: Vec<String>,
    failed: Vec<String>,
    seconds: f64,
}

struct Tools {
    python: PathBuf,
    node: PathBuf,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_client_works() {
    let tools = tools();
    let dir = tempfile::tempdir().unwrap();
    stdout_of(
        genokura()
            .args(["quickstart", "--no-serve", "--dir"])
            .arg(dir.path()),
    );
    let served = Served::lake(&dir.path().join("lake"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let facts = runtime.block_on(facts(served.port));
    let types = types_sql(&tools, served.port, &facts);
    let queue: Mutex<Vec<_>> = Mutex::new(CLIENTS.iter().chain(&TOOLS).rev().collect());
    let reports = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((name, script, runs)) = next(&queue) {
                    let report = run_client(&tools, *runs, script, served.port, &facts, &types);
                    reports.lock().unwrap().insert(*name, report);
                }
            });
        }
    });
    let mut reports = reports.into_inner().unwrap();
    reports.insert(
        "tokio-postgres",
        runtime.block_on(tokio_postgres_client(served.port, &facts)),
    );
    let mut wrong = String::new();
    for (name, report) in &reports {
        println!("{name}: {:.1} s", report.seconds);
        for failure in &report.failed {
            writeln!(wrong, "{name}: {failure}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    compare(&document(&reports));
}

fn next<'a, T>(queue: &Mutex<Vec<&'a T>>) -> Option<&'a T> {
    queue.lock().unwrap().pop()
}

fn compare(document: &str) {
    let path = root().join("docs/clients.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, document).unwrap();
    }
    let stale =
        "docs/clients.md is stale: UPDATE_DOCS=1 cargo test -p genokura-server --test clients";
    assert_eq!(
        std::fs::read_to_string(&path).unwrap_or_default(),
        document,
        "{stale}"
    );
}

fn tools() -> Tools {
    let target = std::env::current_exe().unwrap();
    // target/debug/deps/clients-…: the tools live beside the profiles, where the test command puts them.
    let target = target.ancestors().nth(3).unwrap().to_path_buf();
    let mut command = Command::new(root().join("testdata/bin/client-tools.sh"));
    let text = stdout_of(command.env("CARGO_TARGET_DIR", target));
    let mut lines = text.lines().map(PathBuf::from);
    Tools {
        python: lines.next().unwrap(),
        node: lines.next().unwrap(),
    }
}

/// What is true of the demo lake, as JSON.
async fn facts(port: u16) -> String {
    let client = connect(port).await;
    let one = async |sql: &str| -> Vec<String> {
        let messages = client.simple_query(sql).await.unwrap();
        messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
                _ => None,
            })
            .collect()
    };
    let tables = one(
        "SELECT relname FROM pg_class WHERE relnamespace = 'cohort'::regnamespace ORDER BY relname",
    )
    .await;
    let number = async |sql: String| one(&sql).await[0].parse::<i64>().unwrap();
    let contig = one("SELECT min(contig) FROM cohort.variants")
        .await
        .remove(0);
    let of_contig = |what: &str| {
        number(format!(
            "SELECT {what} FROM cohort.variants WHERE contig = '{contig}'"
        ))
    };
    let first = of_contig("min(pos)").await;
    let last = of_contig("(min(pos) + max(pos)) / 2").await;
    let region = format!(
        "SELECT count(*) FROM cohort.variants WHERE contig = '{contig}' AND pos >= {first} AND pos <= {last}"
    );
    let region_rows = number(region).await;
    assert!(
        region_rows > 2,
        "{region_rows} variants in {contig}:{first}-{last}"
    );
    format!(
        "{{\"tables\": [{}], \"variants\": {}, \"pos_sum\": {}, \"carriers\": {}, \"carriers_pos_sum\": {}, \
         \"region\": [\"{contig}\", {first}, {last}], \"region_rows\": {region_rows}}}",
        tables
            .iter()
            .map(|t| format!("\"{t}\""))
            .collect::<Vec<_>>()
            .join(", "),
        number("SELECT count(*) FROM cohort.variants".to_owned()).await,
        number("SELECT sum(pos) FROM cohort.variants".to_owned()).await,
        number("SELECT count(*) FROM cohort.carriers".to_owned()).await,
        number("SELECT sum(pos) FROM cohort.carriers".to_owned()).await,
    )
}

async fn connect(port: u16) -> tokio_postgres::Client {
    let line = format!("host=127.0.0.1 port={port} user=owner dbname=genokura");
    let (client, connection) = tokio_postgres::connect(&line, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The statement with a value of every type: one text for all clients.
fn types_sql(tools: &Tools, port: u16, facts: &str) -> String {
    let mut command = Command::new(&tools.python);
    command
        .args(["-c", "import matrix; print(matrix.TYPES)"])
        .current_dir(root().join("testdata/clients"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("GENOKURA_PORT", port.to_string())
        .env("GENOKURA_FACTS", facts);
    stdout_of(&mut command).trim().to_owned()
}

fn run_client(
    tools: &Tools,
    runs: Runs,
    script: &str,
    port: u16,
    facts: &str,
    types: &str,
) -> Report {
    let mut command = match runs {
        Runs::Python => Command::new(&tools.python),
        Runs::Java => Command::new("java"),
        Runs::Node => Command::new("node"),
        Runs::R => Command::new("Rscript"),
        Runs::Shell => Command::new("bash"),
    };
    match runs {
        // A short-lived program: no time for the optimising compiler.
        Runs::Java => command.args([
            "-XX:TieredStopAtLevel=1",
            "-cp",
            "/usr/share/java/postgresql.jar",
        ]),
        Runs::R => command.arg("--vanilla"),
        _ => &mut command,
    };
    let output = tempfile::NamedTempFile::new().unwrap();
    let errors = tempfile::NamedTempFile::new().unwrap();
    let started = Instant::now();
    let mut child = command
        .arg(script)
        .arg(types)
        .current_dir(root().join("testdata/clients"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NODE_PATH", &tools.node)
        .env("GENOKURA_PORT", port.to_string())
        .env("GENOKURA_FACTS", facts)
        .stdin(Stdio::null())
        .stdout(output.reopen().unwrap())
        .stderr(errors.reopen().unwrap())
        .spawn()
        .unwrap_or_else(|error| panic!("{script}: {error}"));
    let ended = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if started.elapsed() > LIMIT {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let text = |file: &tempfile::NamedTempFile| std::fs::read_to_string(file.path()).unwrap();
    let mut report = read_report(&text(&output));
    report.seconds = started.elapsed().as_secs_f64();
    match ended {
        Some(status) if status.success() => {}
        Some(status) => report.failed.push(format!("{status}\n{}", text(&errors))),
        None => report
            .failed
            .push(format!("hangs after {:?}", report.passed.keys())),
    }
    report
}

/// Lines of tabs: `version`, `ok`, `fail`; whatever else a client prints is its own.
fn read_report(text: &str) -> Report {
    let mut report = Report::default();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        match cells.as_slice() {
            ["version", version] => (*version).clone_into(&mut report.version),
            ["ok", check, detail] => report.pass(check, detail),
            ["fail", check, reason] => report.failed.push(format!("{check}: {reason}")),
            _ => {}
        }
    }
    report
}

impl Report {
    fn pass(&mut self, check: &str, detail: &str) {
        if CHECKS.contains(&check) {
            self.passed.insert(check.to_owned(), detail.to_owned());
        } else if detail.is_empty() {
            self.others.push(check.to_owned());
        } else {
            self.others.push(format!("{check} ({detail})"));
        }
    }
}

fn document(reports: &BTreeMap<&str, Report>) -> String {
    let mut text = format!(
        "{HEAD}\n| client | version | {} | how, and what else |\n",
        CHECKS.join(" | ")
    );
    text.push_str(&format!("|---|---|{}---|\n", "---|".repeat(CHECKS.len())));
    let names = CLIENTS.iter().map(|client| client.0);
    let names = names
        .chain(["tokio-postgres"])
        .chain(TOOLS.iter().map(|tool| tool.0));
    for name in names {
        let report = &reports[name];
        let cells = CHECKS.map(|check| match report.passed.contains_key(check) {
            true => "✓",
            false => "–",
        });
        // Details that tell how, not what the server answered.
        let how = CHECKS.iter().filter(|check| **check != "connect");
        let how = how.filter_map(|check| report.passed.get(*check));
        let mut notes: Vec<&str> = how
            .map(String::as_str)
            .filter(|note| !note.is_empty())
            .collect();
        notes.extend(report.others.iter().map(String::as_str));
        let version = &report.version;
        let row = format!(
            "| {name} | {version} | {} | {} |\n",
            cells.join(" | "),
            notes.join("; ")
        );
        text.push_str(&row);
    }
    text
}

async fn temporary(client: &tokio_postgres::Client) -> &'static str {
    use futures::SinkExt as _;
    let create = "CREATE TEMP TABLE mine (id int, name text)";
    client.batch_execute(create).await.unwrap();
    let sink = client.copy_in("COPY mine FROM STDIN").await.unwrap();
    let mut sink = std::pin::pin!(sink);
    sink.send(bytes::Bytes::from_static(b"1\ta\n2\t"))
        .await
        .unwrap();
    sink.send(bytes::Bytes::from_static(b"b\n")).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 2);
    let insert = "INSERT INTO mine VALUES ($1, $2)";
    let inserted = client.execute(insert, &[&3_i32, &"c"]).await.unwrap();
    assert_eq!(inserted, 1);
    let sum = "SELECT sum(id), string_agg(name, '' ORDER BY id) FROM mine";
    let row = client.query_one(sum, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (6, "abc"));
    client.batch_execute("DROP TABLE mine").await.unwrap();
    "copy_in"
}

async fn tokio_postgres_client(port: u16, facts: &str) -> Report {
    let started = Instant::now();
    let mut report = Report {
        version: "0.7".to_owned(),
        ..Report::default()
    };
    let facts: serde_json::Value = serde_json::from_str(facts).unwrap();
    let mut client = connect(port).await;
    let database: String = client
        .query_one("SELECT current_database()", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(database, "genokura");
    report.pass("connect", "");
    let sql =
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = $1 ORDER BY 1";
    let rows = client.query(sql, &[&"cohort"]).await.unwrap();
    let tables: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(serde_json::json!(tables), facts["tables"]);
    report.pass("tables", "");
    let prepared = client
        .prepare("SELECT pos, filters, qual, gt FROM cohort.variants")
        .await
        .unwrap();
    let types: Vec<&str> = prepared
        .columns()
        .iter()
        .map(|column| column.type_().name())
        .collect();
    assert_eq!(types, ["int4", "_text", "float4", "bytea"]);
    report.pass("reflect", "");
    let region = &facts["region"];
    let number = |at: usize| i32::try_from(region[at].as_i64().unwrap()).unwrap();
    let sql = "SELECT count(*) FROM cohort.variants WHERE contig = $1 AND pos BETWEEN $2 AND $3";
    let row = client
        .query_one(sql, &[&region[0].as_str().unwrap(), &number(1), &number(2)])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), facts["region_rows"]);
    report.pass("parameters", "binary");
    let transaction = client.transaction().await.unwrap();
    let portal = transaction
        .bind("SELECT pos FROM cohort.carriers", &[])
        .await
        .unwrap();
    let (mut count, mut sum) = (0, 0);
    loop {
        let rows = transaction.query_portal(&portal, 5_000).await.unwrap();
        if rows.is_empty() {
            break;
        }
        count += rows.len();
        sum += rows
            .iter()
            .map(|row| i64::from(row.get::<_, i32>(0)))
            .sum::<i64>();
    }
    transaction.commit().await.unwrap();
    assert_eq!(
        serde_json::json!([count, sum]),
        serde_json::json!([facts["carriers"], facts["carriers_pos_sum"]])
    );
    report.pass("chunks", "portal");
    report.pass("temporary", temporary(&client).await);
    let token = client.cancel_token();
    let slow = "SELECT count(*) FROM cohort.calls a JOIN cohort.calls b ON a.pos + b.pos < 0";
    let asked = Instant::now();
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        token.cancel_query(NoTls).await.unwrap();
    };
    let (answer, ()) = tokio::join!(client.query(slow, &[]), cancel);
    assert_eq!(answer.unwrap_err().code().unwrap().code(), "57014");
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "{:?}",
        asked.elapsed()
    );
    report.pass("cancel", "");
    let error = client
        .query("SELECT * FROM cohort.variant", &[])
        .await
        .unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "42P01");
    assert_eq!(
        error.hint(),
        Some("Perhaps you meant the relation \"cohort.variants\".")
    );
    report.pass("error", "");
    report.seconds = started.elapsed().as_secs_f64();
    report
}
