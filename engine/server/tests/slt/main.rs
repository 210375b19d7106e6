//! `testdata/slt/*.slt`, the readable specification of SQL, run in process at several partition counts and over the
//! wire; and the law behind half of it: plain SQL over `calls` and the packed functions give the same answers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement as DfStatement;
use futures::TryStreamExt as _;
use genokura_core::contig::ContigNames;
use genokura_exec::{AccessContext, Engine, EngineConfig};
use genokura_ingest::{CancelFlag, OntologyJob, PedigreeJob, RegionsJob, Silent, TableJob, VcfJob};
use genokura_server::backend::EngineBackend;
use genokura_server::pgwire::encode::{Format, RowEncoder};
use genokura_server::pgwire::{ServerConfig, serve_on};
use genokura_server::session::{Session, SessionOptions, Settings, query_batches};
use genokura_server::sqlstate::ServerError;
use genokura_storage::{Lake, TableId};

use proptest::prelude::*;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

fn slt_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/slt")
}

fn input(name: &str) -> String {
    slt_dir()
        .join("lake")
        .join(name)
        .to_string_lossy()
        .into_owned()
}

/// Every `.slt` file, by name.
fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(slt_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|p| p.extension().is_some_and(|e| e == "slt"))
        .collect();
    files.sort();
    assert!(files.len() >= 11, "{files:?}");
    files
}

/// The small lake under the files: datasets `demo` in two batches and `quartet`, `clin` and `kb` tables.
async fn lake() -> Arc<Lake> {
    let lake = Arc::new(Lake::memory());
    for vcf in ["family.vcf", "second.vcf"] {
        ingest(&lake, "demo", input(vcf)).await;
    }
    for table in ["person", "phenotype"] {
        let id = TableId::new("clin", table);
        let mut job = TableJob::new(Arc::clone(&lake), id, input(&format!("{table}.csv")));
        job.dictionary = Some(input("dictionary.csv"));
        job.run().await.unwrap();
    }
    ingest(&lake, "quartet", input("quartet.vcf")).await;
    ingest(&lake, "annotated", input("annotated.vcf")).await;
    let pedigree = TableId::new("clin", "pedigree");
    PedigreeJob::new(Arc::clone(&lake), pedigree, input("families.ped"))
        .run()
        .await
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let hpo = dir.path().join("hp.obo");
    genokura_testdata::write_hpo(&mut std::fs::File::create(&hpo).unwrap()).unwrap();
    OntologyJob::new(Arc::clone(&lake), hpo.to_string_lossy())
        .run()
        .await
        .unwrap();
    let genes = TableId::new("kb", "genes");
    RegionsJob::new(Arc::clone(&lake), genes, input("genes.gff3"))
        .run()
        .await
        .unwrap();
    for (table, contigs) in [("ensembl", None), ("ensembl_chr", Some(ContigNames::Chr))] {
        let id = TableId::new("kb", table);
        let job = RegionsJob {
            contigs,
            ..RegionsJob::new(Arc::clone(&lake), id, input("genes_plain.gff3"))
        };
        job.run().await.unwrap();
    }
    lake
}

async fn ingest(lake: &Arc<Lake>, dataset: &str, input: String) {
    let job = VcfJob {
        lake: Arc::clone(lake),
        dataset: dataset.to_owned(),
        inputs: vec![input],
        reference: None,
        assembly: None,
        strict: false,
        threads: 1,
        memory_bytes: 256 << 20,
        progress: Arc::new(Silent),
        cancel: CancelFlag::new(),
    };
    job.run().await.unwrap();
}

/// A session in process: engine and functions, no server.
async fn embedded(lake: &Arc<Lake>, partitions: usize) -> SessionContext {
    embedded_as(lake, partitions, AccessContext::all("slt")).await
}

async fn embedded_as(lake: &Arc<Lake>, partitions: usize, access: AccessContext) -> SessionContext {
    let config = EngineConfig {
        partitions,
        batch_size: 1024,
        ..EngineConfig::default()
    };
    let engine = Engine::new(Arc::clone(lake), config).unwrap();
    let snapshot = lake.snapshot().await.unwrap();
    engine
        .session(snapshot, access, &genokura_sql_ext::register_all)
        .unwrap()
}

/// A connection that the runner drives.
enum Client {
    Embedded(SessionContext),
    /// A server's session without the wire.
    Session(Box<Session>),
    Wire(tokio_postgres::Client),
}

/// An error with what the runner compares: message and SQLSTATE.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Failure {
    code: String,
    message: String,
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let told = error.as_db_error();
        let code = told.map_or(String::new(), |told| told.code().code().to_owned());
        let message = told.map_or_else(|| error.to_string(), |told| told.message().to_owned());
        Self { code, message }
    }
}

#[async_trait]
impl AsyncDB for Client {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let rows = match self {
            Self::Embedded(context) => run_embedded(context, sql).await?,
            Self::Session(session) => run_session(session, sql).await?,
            Self::Wire(client) => run_wire(client, sql).await?,
        };
        let width = rows.first().map_or(0, Vec::len);
        Ok(DBOutput::Rows {
            types: vec![DefaultColumnType::Any; width],
            rows,
        })
    }

    async fn shutdown(&mut self) {}

    fn error_sql_state(error: &Failure) -> Option<String> {
        Some(error.code.clone())
    }
}

async fn run_session(session: &mut Session, sql: &str) -> Result<Vec<Vec<String>>, Failure> {
    let (columns, mut batches) = query_batches(session, sql).await?;
    let style = session.settings().text_style();
    let formats = vec![Format::Text; columns.len()];
    let mut rows = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        let mut encoder = RowEncoder::new(&batch, &columns, &formats, &style)?;
        for row in 0..batch.num_rows() {
            let mut cells = Vec::with_capacity(columns.len());
            for column in 0..columns.len() {
                let mut text = bytes::BytesMut::from(&b"NULL"[..]);
                if !encoder.is_null(column, row) {
                    text.clear();
                    encoder.text(column, row, &mut text)?;
                }
                cells.push(String::from_utf8(text.to_vec()).unwrap());
            }
            rows.push(cells);
        }
    }
    session.sync();
    Ok(rows)
}

async fn run_embedded(context: &SessionContext, sql: &str) -> Result<Vec<Vec<String>>, Failure> {
    let frame = embedded_frame(context, sql)
        .await
        .map_err(ServerError::from)?;
    let batches = frame.collect().await.map_err(ServerError::from)?;
    let rows: Vec<Vec<String>> = batches.iter().flat_map(rows_of).collect();
    let explains = batches
        .first()
        .is_some_and(|b| b.schema().field(0).name() == "plan_type");
    Ok(if explains { physical_plan(&rows) } else { rows })
}

/// Plans as a program does that embeds the engine.
async fn embedded_frame(
    context: &SessionContext,
    sql: &str,
) -> datafusion::error::Result<DataFrame> {
    let state = context.state();
    let dialect = datafusion::common::config::Dialect::PostgreSQL;
    let mut statement = state.sql_to_statement(sql, &dialect)?;
    let mut plain = &mut statement;
    while let DfStatement::Explain(explain) = plain {
        plain = &mut explain.statement;
    }
    if let DfStatement::Statement(plain) = plain {
        genokura_sql_ext::syntax::rewrite(plain)?;
    }
    let plan = state.statement_to_plan(statement).await?;
    context.execute_logical_plan(plan).await
}

/// EXPLAIN as PostgreSQL shows it: one column, a line of the plan in each row.
fn physical_plan(rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let physical = rows.iter().filter(|row| row[0] == "physical_plan");
    physical
        .flat_map(|row| row[1].lines().map(|line| vec![line.to_owned()]))
        .collect()
}

async fn run_wire(client: &tokio_postgres::Client, sql: &str) -> Result<Vec<Vec<String>>, Failure> {
    let mut rows = Vec::new();
    for message in client.simple_query(sql).await? {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
            rows.push(
                (0..row.len())
                    .map(|i| row.get(i).unwrap_or("NULL").to_owned())
                    .collect(),
            );
        }
    }
    Ok(rows)
}

/// The values of a batch as PostgreSQL writes them.
fn rows_of(batch: &RecordBatch) -> Vec<Vec<String>> {
    let value = |column: &Arc<dyn Array>, row| text(column.as_ref(), row);
    let row_of = |row| {
        batch
            .columns()
            .iter()
            .map(|column| value(column, row))
            .collect()
    };
    (0..batch.num_rows()).map(row_of).collect()
}

fn text(array: &dyn Array, row: usize) -> String {
    if array.is_null(row) {
        return "NULL".to_owned();
    }
    match array.data_type() {
        DataType::Boolean => if array.as_boolean().value(row) {
            "t"
        } else {
            "f"
        }
        .to_owned(),
        DataType::Float32 => array.as_primitive::<Float32Type>().value(row).to_string(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::List(_) => {
            let elements = array.as_list::<i32>().value(row);
            let texts: Vec<_> = (0..elements.len())
                .map(|i| text(elements.as_ref(), i))
                .collect();
            format!("{{{}}}", texts.join(","))
        }
        _ => ArrayFormatter::try_new(array, &FormatOptions::default())
            .unwrap()
            .value(row)
            .to_string(),
    }
}

/// Runs every file, each with a client of its own.
async fn run_all<F>(connect: impl Fn() -> F)
where
    F: Future<Output = Client>,
{
    run(files(), connect).await;
}

/// Files about what a session keeps from one statement to the next: temporary tables, transactions.
fn is_of_sessions(file: &Path) -> bool {
    file.file_name()
        .is_some_and(|name| name.to_string_lossy().contains("session"))
}

async fn run<F>(files: Vec<PathBuf>, connect: impl Fn() -> F)
where
    F: Future<Output = Client>,
{
    let mut failures = Vec::new();
    for file in files {
        let mut runner = Runner::new(|| async { Ok(connect().await) });
        if let Err(error) = runner.run_file_async(&file).await {
            failures.push(error.to_string());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_process_whatever_the_partitions() {
    let lake = lake().await;
    let (sessions, plain): (Vec<_>, Vec<_>) =
        files().into_iter().partition(|file| is_of_sessions(file));
    assert!(sessions.len() >= 2, "{sessions:?}");
    for partitions in [1, 2, 8] {
        let client = || async { Client::Embedded(embedded(&lake, partitions).await) };
        run(plain.clone(), client).await;
        let client = || async { Client::Session(Box::new(session(&lake, partitions))) };
        run(sessions.clone(), client).await;
    }
}

fn session(lake: &Arc<Lake>, partitions: usize) -> Session {
    let config = EngineConfig {
        partitions,
        ..EngineConfig::default()
    };
    let engine = Engine::new(Arc::clone(lake), config).unwrap();
    let options = SessionOptions {
        user: "slt".to_owned(),
        pid: 7,
        runtime: tokio::runtime::Handle::current(),
        memory_limit: None,
    };
    let backend = Arc::new(EngineBackend::new(engine));
    Session::new(backend, options, Settings::default())
}

/// A server on a free port of loopback, until the token is dropped with its guard.
async fn served(lake: &Arc<Lake>) -> (std::net::SocketAddr, tokio_util::sync::DropGuard) {
    let engine = Engine::new(Arc::clone(lake), EngineConfig::default()).unwrap();
    let backend = Arc::new(EngineBackend::new(engine));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = tokio_util::sync::CancellationToken::new();
    tokio::spawn(serve_on(
        listener,
        backend,
        ServerConfig::default(),
        shutdown.clone(),
    ));
    (address, shutdown.drop_guard())
}

async fn connect_to(config: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(config, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    Client::Wire(client)
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_wire() {
    let lake = lake().await;
    let (address, _running) = served(&lake).await;
    let config = format!(
        "host=127.0.0.1 port={} user=slt dbname=genokura",
        address.port()
    );
    run_all(|| connect_to(&config)).await;
}

/// A throwaway PostgreSQL; gone when dropped.
struct Postgres {
    port: u16,
    pid: String,
    directory: String,
}

impl Postgres {
    fn start() -> Self {
        let script = slt_dir().join("../bin/start-postgres.sh");
        let output = std::process::Command::new(script).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let told = String::from_utf8(output.stdout).unwrap();
        let words: Vec<&str> = told.split_whitespace().collect();
        let [_, port, pid, directory] = words[..] else {
            panic!("{told}")
        };
        let port = port.parse().unwrap();
        Self {
            port,
            pid: pid.to_owned(),
            directory: directory.to_owned(),
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = std::process::Command::new("kill").arg(&self.pid).status();
        let _ = std::process::Command::new("rm")
            .args(["-rf", &self.directory])
            .status();
    }
}

/// What we call PostgreSQL's answer is PostgreSQL's answer.
#[tokio::test(flavor = "multi_thread")]
async fn the_compatibility_files_hold_on_postgresql() {
    let postgres = Postgres::start();
    let named = |p: &PathBuf| {
        p.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("pg_compat_")
    };
    let files: Vec<PathBuf> = files().into_iter().filter(named).collect();
    assert!(files.len() >= 2);
    let config = format!(
        "host=127.0.0.1 port={} user=postgres dbname=postgres",
        postgres.port
    );
    run(files, || connect_to(&config)).await;
}

/// Rows for subqueries to be asked of: `g(id, c, s, e, t)` and `v(id, c, p, x, t)`, few values, some NULL, some twice.
fn correlated_rows(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut below = move |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    let (outer, inner) = (below(7) + 1, below(14) + u64::from(seed > 1));
    let mut value = |kind: &str| {
        let null = below(8) == 0;
        let number = below(9);
        match kind {
            "contig" => ["'1'", "'2'", "'X'"][usize::try_from(below(3)).unwrap()].to_owned(),
            _ if null => format!("NULL::{kind}"),
            "text" => format!("'t{}'", number / 2),
            "float8" => format!("{}::float8", number as f64 / 2.0),
            _ => format!("{number}::{kind}"),
        }
    };
    let mut rows = |count: u64, kinds: [&str; 4]| {
        let row = |id: u64, value: &mut dyn FnMut(&str) -> String| {
            let cells: Vec<String> = kinds.iter().map(|kind| value(kind)).collect();
            format!("({id}::int, {})", cells.join(", "))
        };
        let rows: Vec<String> = (0..count).map(|id| row(id, &mut value)).collect();
        match rows.is_empty() {
            true => {
                let kinds = kinds.map(|kind| format!("NULL::{}", kind.replace("contig", "text")));
                format!("SELECT 0::int, {} WHERE false", kinds.join(", "))
            }
            false => format!("VALUES {}", rows.join(", ")),
        }
    };
    let g = rows(outer, ["contig", "int", "int", "text"]);
    let v = rows(inner, ["contig", "int", "float8", "text"]);
    format!("WITH g(id, c, s, e, t) AS ({g}), v(id, c, p, x, t) AS ({v}) ")
}

/// Statements with subqueries that speak of the outer row.
fn correlated_statements() -> Vec<String> {
    let overlap = "v.c = g.c AND v.p BETWEEN g.s AND g.e";
    let conditions = [
        overlap,
        "v.p > g.s",
        "v.p <> g.s AND v.x < 3",
        "v.c = g.c",
        "v.t = g.t AND v.c = g.c",
        "v.x::int = g.s",
        "v.c = g.c AND (v.p > g.s OR v.t IS NULL)",
        "g.s > 3",
        "v.p = g.s + g.e OR g.e IS NULL",
        "v.t IS NOT DISTINCT FROM g.t",
    ];
    let values = [
        "count(*)",
        "count(v.p)",
        "count(DISTINCT v.p)",
        "count(*) FILTER (WHERE v.x > 1)",
        "sum(v.p)",
        "max(v.t)",
        "min(v.x)",
        "bool_or(v.p > g.s)",
        "array_agg(v.id ORDER BY v.id)",
        "string_agg(v.t, ',' ORDER BY v.id DESC)",
        "sum(v.p - g.s)",
        "count(*) + 1",
        "coalesce(max(v.p), g.s, -1)",
        "CASE WHEN count(*) > 1 THEN 'many' ELSE 'few' END",
        "count(*) FILTER (WHERE v.p > g.s + 1)",
    ];
    let mut all = Vec::new();
    for (i, condition) in conditions.iter().enumerate() {
        for (j, value) in values.iter().enumerate() {
            // Every value with an overlap, and each with some other conditions.
            if i == 0 || (i + j) % 3 == 0 {
                all.push(format!(
                    "SELECT g.id, (SELECT {value} FROM v WHERE {condition}) FROM g ORDER BY 1"
                ));
            }
        }
        for (k, statement) in [
            "SELECT g.id, EXISTS (SELECT 1 FROM v WHERE {}), NOT EXISTS (SELECT v.p FROM v WHERE {} LIMIT 1) FROM g ORDER BY 1",
            "SELECT g.id, CASE WHEN EXISTS (SELECT FROM v WHERE {}) THEN 'y' ELSE 'n' END FROM g ORDER BY 1",
            "SELECT g.id, g.s IN (SELECT v.p FROM v WHERE {}), g.s NOT IN (SELECT v.p FROM v WHERE {}) FROM g ORDER BY 1",
            "SELECT g.id FROM g WHERE (SELECT count(*) FROM v WHERE {}) > 1 ORDER BY 1",
            "SELECT g.id FROM g WHERE (SELECT count(*) FROM v WHERE {}) = 0 OR g.s > 5 ORDER BY 1",
            "SELECT g.c, count(*) FILTER (WHERE (SELECT count(*) FROM v WHERE {}) > 1), count(*) FROM g GROUP BY g.c ORDER BY 1",
            "SELECT g.c, sum((SELECT count(*) FROM v WHERE {})) FROM g GROUP BY g.c ORDER BY 1",
            "SELECT g.id, (SELECT v.id FROM v WHERE {} ORDER BY v.p, v.id LIMIT 1) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT v.id FROM v WHERE {} ORDER BY v.x DESC, v.id OFFSET 1 LIMIT 1) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT max(n) FROM (SELECT v.t, count(*) AS n FROM v WHERE {} GROUP BY v.t) AS q) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT count(*) FROM (SELECT DISTINCT v.t, v.p FROM v WHERE {}) AS q) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT count(*) FROM (SELECT DISTINCT q.t FROM (SELECT DISTINCT v.t, v.p FROM v WHERE {}) AS q) AS r) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT count(*) FROM v WHERE {} HAVING count(*) > 1) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT count(*) FROM v WHERE {} HAVING count(*) = 0) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT array_agg(q.id) FROM (SELECT v.id FROM v WHERE {} ORDER BY v.x, v.id LIMIT 2) AS q) IS NULL FROM g ORDER BY 1",
            "SELECT g.id, (SELECT sum(q.p) FROM (SELECT v.p, v.id FROM v WHERE {} ORDER BY v.id DESC LIMIT 2) AS q) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT count(*) FROM v JOIN v AS w ON w.id = v.id WHERE {}) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT count(w.id) FROM v LEFT JOIN v AS w ON w.p = v.p AND w.id > v.id WHERE {}) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT count(*) FROM (SELECT * FROM v WHERE {}) AS a JOIN (SELECT * FROM v WHERE {}) AS b ON a.p < b.p) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT max(q.n) FROM (SELECT row_number() OVER (PARTITION BY v.t ORDER BY v.id) AS n FROM v WHERE {}) AS q) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT count(q.i) FROM (SELECT max(v.id) AS m FROM v WHERE {} GROUP BY v.t) AS r JOIN (SELECT v.id AS i FROM v) AS q ON q.i < r.m) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT count(*) FROM v WHERE ({}) AND v.p > g.s - (SELECT max(w.p) FROM v AS w)) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT bool_or(EXISTS (SELECT 1 FROM v AS w WHERE w.p > v.p)) FROM v WHERE {}) FROM g ORDER BY 1",
            "SELECT g.id FROM g ORDER BY (SELECT count(*) FROM v WHERE {}) DESC, g.id LIMIT 3",
            "SELECT g.id, row_number() OVER (ORDER BY (SELECT count(*) FROM v WHERE {}), g.id) FROM g ORDER BY 1",
            "SELECT g.id, row_number() OVER (ORDER BY g.id), (SELECT count(*) FROM v WHERE {}) FROM g ORDER BY 1",
            "SELECT g.c, max(g.s) FROM g GROUP BY g.c HAVING max(g.s) > (SELECT count(*) FROM v WHERE v.c < g.c) ORDER BY 1",
            "SELECT g.id, (SELECT count(*) FROM v WHERE {}), (SELECT sum(v.p) FROM v WHERE {}) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT count(*) FROM v WHERE ({}) AND EXISTS (SELECT 1 FROM v AS w WHERE w.p > v.p)) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT count(*) FROM v WHERE {} OR EXISTS (SELECT 1 FROM v AS w WHERE w.p > v.p)) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT count(*) FROM v WHERE ({}) OR v.p IN (SELECT w.id FROM v AS w WHERE w.p > v.p)) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT count(*) FROM v WHERE ({}) AND v.p NOT IN (SELECT w.id FROM v AS w WHERE w.x > v.x)) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT count(*) FROM v WHERE ({}) AND (SELECT count(*) FROM v AS w WHERE w.p > v.p) > 2) FROM g ORDER BY 1",
            "SELECT g.id, (SELECT sum((SELECT count(*) FROM v AS w WHERE w.p > v.p)) FROM v WHERE {}) FROM g ORDER BY 1",
            "SELECT q.id, (SELECT count(*) FROM v WHERE v.p > q.n) FROM (SELECT g.id, (SELECT count(*) FROM v WHERE {}) AS n FROM g) AS q ORDER BY 1",
            "SELECT g.id FROM g WHERE EXISTS (SELECT count(*) FROM v WHERE {}) ORDER BY 1",
            "SELECT g.id FROM g WHERE 0 IN (SELECT count(*) FROM v WHERE {}) ORDER BY 1",
            "SELECT g.id FROM g WHERE g.s NOT IN (SELECT v.p FROM v WHERE {}) ORDER BY 1",
            "SELECT g.id FROM g WHERE g.s IN (SELECT v.p FROM v WHERE {}) OR g.id = 0 ORDER BY 1",
            "SELECT g.id FROM g WHERE NOT (g.s IN (SELECT v.p FROM v WHERE {}) OR g.id = 0) ORDER BY 1",
            "SELECT g.id FROM g WHERE EXISTS (SELECT v.t FROM v WHERE {} GROUP BY v.t HAVING count(*) > 1) ORDER BY 1",
            "SELECT g.id FROM g WHERE EXISTS (SELECT 1 FROM v WHERE {} OFFSET 1) ORDER BY 1",
            "SELECT q.id, (SELECT count(*) FROM v WHERE v.p > q.s) FROM (SELECT * FROM g ORDER BY g.s, g.id LIMIT 3) AS q ORDER BY 1",
            "SELECT DISTINCT (SELECT count(*) FROM v WHERE {}) AS n FROM g ORDER BY 1",
            "SELECT (SELECT count(*) FROM v WHERE {}) AS n, count(*) FROM g GROUP BY 1 ORDER BY 1",
            "SELECT g.id FROM g LEFT JOIN v AS w ON w.p = g.s WHERE (SELECT count(*) FROM v WHERE ({}) AND (w.id IS NULL OR w.id > v.id)) > 0 ORDER BY 1",
        ]
        .iter()
        .enumerate()
        {
            // All forms with an overlap, each with half of the others.
            if i == 0 || (i + k) % 2 == 0 {
                all.push(statement.replace("{}", condition));
            }
        }
    }
    for alone in [
        "SELECT g.id FROM g WHERE g.s NOT IN (SELECT v.p FROM v) OR g.e > 6 ORDER BY 1",
        "SELECT g.id FROM g WHERE NOT (g.s IN (SELECT v.p FROM v) AND g.e < 6) ORDER BY 1",
        "SELECT g.id FROM g WHERE (g.s IN (SELECT v.p FROM v)) IS NULL ORDER BY 1",
        "SELECT g.id FROM g WHERE g.s IN (SELECT v.p FROM v) OR g.t IN (SELECT v.t FROM v) ORDER BY 1",
        "SELECT g.id, (SELECT max(q.n) FROM (SELECT (SELECT count(*) FROM v AS w WHERE w.p = v.p) AS n FROM v WHERE v.c = g.c) AS q) FROM g ORDER BY 1",
        "SELECT g.id, (SELECT max(v.p - (SELECT min(w.p) FROM v AS w)) FROM v WHERE v.p > g.s) FROM g ORDER BY 1",
        "SELECT g.id, (SELECT count(*) FROM v WHERE v.p > g.s HAVING count(*) > (SELECT min(w.id) FROM v AS w)) FROM g ORDER BY 1",
        "SELECT g.id, (SELECT count(*) FROM v WHERE v.p > g.s AND v.p > (SELECT min(w.p) FROM v AS w) AND v.id < (SELECT count(*) FROM v AS w WHERE w.p = v.p) + 9) FROM g ORDER BY 1",
        "SELECT g.id, EXISTS (SELECT 1 FROM v WHERE v.p > 7) FROM g ORDER BY 1",
        "SELECT g.id, EXISTS (SELECT 1 WHERE g.s > 3) FROM g ORDER BY 1",
        "SELECT g.id, (SELECT g.s WHERE g.s > 3) FROM g ORDER BY 1",
        "SELECT g.id, (SELECT g.s + 1) FROM g ORDER BY 1",
        "SELECT g.id, g.s IN (SELECT v.p FROM v), g.s NOT IN (SELECT v.p FROM v WHERE v.p IS NOT NULL) FROM g ORDER BY 1",
        "SELECT g.id, g.s IN (SELECT v.p FROM v WHERE v.id < 0) FROM g ORDER BY 1",
        "SELECT count(*) FILTER (WHERE g.s IN (SELECT v.p FROM v)) FROM g",
        "SELECT count(*) FILTER (WHERE EXISTS (SELECT 1 FROM v WHERE v.p = g.s)) FROM g",
        "SELECT g.id, (SELECT v.id FROM v WHERE v.id = g.id) FROM g ORDER BY 1",
        "SELECT g.id, (SELECT v.p FROM v WHERE v.id >= g.id AND v.id <= g.id) FROM g ORDER BY 1",
        "SELECT g.id, (SELECT v.p FROM v WHERE v.c = g.c) FROM g ORDER BY 1",
        "SELECT g.id, (SELECT v.p FROM v WHERE v.p > g.s) FROM g ORDER BY 1",
        "SELECT g.id, (SELECT max(v.p) FROM v WHERE v.c = g.c GROUP BY v.c) FROM g ORDER BY 1",
        "SELECT g.id, (SELECT max(v.p) FROM v WHERE v.p > g.s GROUP BY v.c) FROM g ORDER BY 1",
    ] {
        all.push(alone.to_owned());
    }
    all
}

/// Subqueries that speak of the outer row answer as PostgreSQL's do, at any number of partitions; as many are answered.
#[tokio::test(flavor = "multi_thread")]
async fn correlated_subqueries_are_those_of_postgresql() {
    let postgres = Postgres::start();
    let config = format!(
        "host=127.0.0.1 port={} user=postgres dbname=postgres",
        postgres.port
    );
    let Client::Wire(reference) = connect_to(&config).await else {
        unreachable!("a connection is one")
    };
    let lake = Arc::new(Lake::memory());
    let mut sessions = [1, 2, 8].map(|partitions| session(&lake, partitions));
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for seed in 0..CORRELATED_SEEDS {
        let rows = correlated_rows(seed);
        for (number, statement) in (0..).zip(correlated_statements()) {
            // Every statement is asked in some rounds, at all partition counts in turn.
            if (number + seed) % 4 != 0 {
                continue;
            }
            let sql = format!("{rows}{statement}");
            let expected = run_wire(&reference, &sql).await;
            let place = usize::try_from(number / 4 + seed).unwrap() % sessions.len();
            let session = &mut sessions[place];
            asked += 1;
            let got = run_session(session, &sql).await;
            let same = match (&expected, &got) {
                (Ok(expected), Ok(got)) => expected == got,
                (Err(expected), Err(got)) => expected.code == got.code,
                _ => false,
            };
            if !same {
                wrong.push(format!(
                    "{sql}\n  PostgreSQL {expected:?}\n  genokura {got:?}"
                ));
            }
        }
    }
    assert!(asked > 250);
    let shown: Vec<&String> = wrong.iter().take(10).collect();
    assert!(
        wrong.is_empty(),
        "{} of {asked} differ\n{shown:#?}",
        wrong.len()
    );
}

/// Rounds of rows, each asked all statements.
const CORRELATED_SEEDS: u64 = 4;

/// Windows and complements of a dataset's contigs are those of bedtools.
#[tokio::test(flavor = "multi_thread")]
async fn windows_and_complements_are_those_of_bedtools() {
    let lake = lake().await;
    let context = embedded(&lake, 2).await;
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, rows: Vec<Vec<String>>| {
        let lines: Vec<String> = rows.iter().map(|row| row.join("\t") + "\n").collect();
        std::fs::write(directory.path().join(name), lines.concat()).unwrap();
    };
    // A contig whole is a window as large as any contig; bedtools wants names in the order of text.
    let contigs = "SELECT contig, end_pos FROM windows('demo', 2147483647) ORDER BY contig";
    write("genome", run_embedded(&context, contigs).await.unwrap());
    let genes = "SELECT contig, pos - 1, end_pos FROM kb.genes ORDER BY contig, pos, end_pos";
    write("genes.bed", run_embedded(&context, genes).await.unwrap());
    for (ours, theirs) in [
        (
            "windows('demo', 1000003)",
            "makewindows -g genome -w 1000003",
        ),
        (
            "windows('demo', 1000, 777777)",
            "makewindows -g genome -w 1000 -s 777777",
        ),
        (
            "windows('demo', 99900, 40000)",
            "makewindows -g genome -w 99900 -s 40000",
        ),
        (
            "complement('kb.genes', 'demo')",
            "complement -i genes.bed -g genome",
        ),
    ] {
        let sql =
            format!("SELECT contig, pos - 1, end_pos FROM {ours} ORDER BY contig, pos, end_pos");
        let found = run_embedded(&context, &sql).await.unwrap();
        let found: Vec<String> = found.iter().map(|row| row.join("\t")).collect();
        let output = std::process::Command::new("bedtools")
            .args(theirs.split(' '))
            .current_dir(directory.path())
            .output()
            .expect("apt-get install bedtools");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{theirs}: {error}");
        let expected = String::from_utf8(output.stdout).unwrap();
        let expected: Vec<&str> = expected.lines().collect();
        assert!(expected.len() > 4, "{theirs}");
        assert!(found == expected, "{ours} and bedtools {theirs} differ");
    }
}

/// A record counts once for its samples, also where another batch numbers the ALTs of the same place otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn records_count_once_whatever_the_order_of_their_alts() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Arc::new(Lake::memory());
    for (prefix, alts, gts) in [("A", "C", "0/1\t1/1"), ("B", "G,C", "0/0\t0/0")] {
        let path = dir.path().join(format!("{prefix}.vcf"));
        let text = vcf(&vec![(0, false, vec!["0/0"; 2])], prefix);
        let (head, _) = text.split_once("chr1\t100").unwrap();
        let record = format!("chr1\t100\t.\tA\t{alts}\t.\t.\t.\tGT\t{gts}\n");
        std::fs::write(&path, format!("{head}{record}")).unwrap();
        ingest(&lake, "d", path.to_string_lossy().into_owned()).await;
    }
    let context = embedded(&lake, 2).await;
    let sql =
        "SELECT sample_id, n_hom_ref, n_het, n_hom_alt FROM sample_qc('d') ORDER BY sample_id";
    let counted = run_embedded(&context, sql).await.unwrap();
    let expected = [
        ["A0", "0", "1", "0"],
        ["A1", "0", "0", "1"],
        ["B0", "1", "0", "0"],
        ["B1", "1", "0", "0"],
    ];
    assert_eq!(counted, expected);
}

/// Hidden samples are in no row and no number: counts are those of a dataset of the visible ones alone.
#[tokio::test(flavor = "multi_thread")]
async fn hidden_samples_are_in_no_count() {
    let lake = lake().await;
    let whole = std::fs::read_to_string(input("quartet.vcf")).unwrap();
    let visible = |line: &str| match line.strip_prefix("##") {
        Some(_) => line.to_owned(),
        // FA, MO, SON, DTR
        None => {
            let fields: Vec<&str> = line.split('\t').collect();
            [&fields[..9], &fields[10..12]].concat().join("\t")
        }
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pair.vcf");
    let lines: Vec<String> = whole.lines().map(visible).collect();
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    ingest(&lake, "pair", path.to_string_lossy().into_owned()).await;
    let sees = |name: &str| (name.to_owned(), ["MO", "SON"].map(str::to_owned).into());
    let access = AccessContext::only("reader", [sees("quartet"), sees("pair")]);
    for partitions in [1, 2] {
        let context = embedded_as(&lake, partitions, access.clone()).await;
        let of = |dataset| format!("SELECT * FROM sample_qc('{dataset}') ORDER BY sample_id");
        let hidden = run_embedded(&context, &of("quartet")).await.unwrap();
        assert_eq!(hidden, run_embedded(&context, &of("pair")).await.unwrap());
        assert_eq!(hidden.len(), 2);
        let trios = run_embedded(&context, "SELECT * FROM mendel_errors('quartet')").await;
        assert!(trios.unwrap().is_empty());
        let named = "SELECT * FROM de_novo('quartet', 'SON', 'FA', 'MO')";
        let error = run_embedded(&context, named).await.unwrap_err();
        assert_eq!(error.to_string(), "sample \"FA\" is not in this dataset");
    }
}

/// Genotype texts of records with two ALT alleles: plain ones often, the awkward ones too.
fn any_genotype() -> impl Strategy<Value = &'static str> {
    let plain = prop::sample::select(vec!["0/0", "0/1", "1/1", "0|1", "./.", "1/2", "0/2"]);
    let rare = prop::sample::select(vec![
        "0", "1", ".", "./1", "2/.", "0/1/2", "|0", ".|.", "1|2",
    ]);
    prop_oneof![8 => plain, 1 => rare]
}

/// Records of a file: position (few, so that files meet), whether ALT has a second allele, a text per sample.
type Records = Vec<(u8, bool, Vec<&'static str>)>;

fn any_file() -> impl Strategy<Value = Records> {
    (1usize..5).prop_flat_map(|samples| {
        let texts = prop::collection::vec(any_genotype(), samples);
        prop::collection::vec((0u8..6, any::<bool>(), texts), 1..8)
    })
}

/// The file as VCF text; samples are named by `prefix`.
fn vcf(records: &Records, prefix: &str) -> String {
    let samples = records[0].2.len();
    let names: Vec<String> = (0..samples).map(|i| format!("{prefix}{i}")).collect();
    let mut text = String::from(
        "##fileformat=VCFv4.4\n##contig=<ID=chr1,length=248956422>\n\
         ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"Genotype\">\n",
    );
    text += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t";
    text += &(names.join("\t") + "\n");
    for (place, two, texts) in records {
        let alts = if *two { "C,G" } else { "C" };
        let fits = |gt: &&str| {
            if *two {
                (*gt).to_owned()
            } else {
                gt.replace('2', "1")
            }
        };
        let texts: Vec<String> = texts.iter().map(fits).collect();
        let pos = 100 + 10 * i32::from(*place);
        text += &format!(
            "chr1\t{pos}\t.\tA\t{alts}\t.\t.\t.\tGT\t{}\n",
            texts.join("\t")
        );
    }
    text
}

/// Pairs of an aggregation that rows of `calls` are made for, because its groups are expressions, and the one that
/// is counted on packed genotypes.
fn counting_laws(list: &str) -> Vec<(String, String)> {
    let values = "count(*), count(dosage), sum(dosage), avg(dosage), count(*) FILTER (WHERE dosage = 1), \
                  sum(dosage) FILTER (WHERE dosage <> 1), count(*) FILTER (WHERE dosage IS NULL)";
    let filters = [
        String::new(),
        "WHERE dosage = 2".to_owned(),
        "WHERE dosage IS NULL OR dosage = 0".to_owned(),
        format!("WHERE sample_id IN ({list}) AND pos > 3"),
        "WHERE sample_id NOT LIKE 'A%'".to_owned(),
    ];
    let mut laws = Vec::new();
    for table in ["d.calls", "d.carriers"] {
        for filter in &filters {
            for keys in [&["sample_id"][..], &["contig", "pos", "alt"], &["pos"]] {
                let query = |keys: &[String]| {
                    let keys = keys.join(", ");
                    format!(
                        "SELECT {keys}, {values} FROM {table} {filter} GROUP BY {keys} ORDER BY {keys}"
                    )
                };
                let long_way = |key: &&str| match *key {
                    "pos" => "pos + 0".to_owned(),
                    key => format!("{key} || ''"),
                };
                let plain: Vec<String> = keys.iter().map(long_way).collect();
                let packed: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
                laws.push((query(&plain), query(&packed)));
            }
            laws.push((
                format!(
                    "SELECT count(*) FILTER (WHERE gt IS NULL OR gt <> '') FROM {table} {filter}"
                ),
                format!("SELECT count(*) FROM {table} {filter}"),
            ));
        }
    }
    laws
}

/// Pairs of a plain query over `calls` and one on packed genotypes that must agree, for a cohort of samples.
fn laws(cohort: &[String]) -> Vec<(String, String)> {
    let list = cohort
        .iter()
        .map(|name| format!("'{name}'"))
        .collect::<Vec<_>>()
        .join(", ");
    let key = "contig, pos, ref, alt";
    let plain = |value: &str, from: &str| {
        format!(
            "SELECT {key}, {value} FROM {from} GROUP BY {key} HAVING count(*) > 0 ORDER BY {key}"
        )
    };
    let packed = |value: &str| format!("SELECT {key}, {value} FROM d.variants ORDER BY {key}");
    let members = format!("d.calls WHERE sample_id IN ({list})");
    let mut laws = vec![
        (
            plain("coalesce(sum(dosage), 0)", "d.calls"),
            packed("gt_allele_count(gt)"),
        ),
        (plain("coalesce(sum(dosage), 0)", "d.calls"), packed("ac")),
        (
            plain("count(*) FILTER (WHERE gt LIKE '%.%')", "d.calls"),
            packed("n_missing"),
        ),
        (
            plain("count(*) FILTER (WHERE dosage > 0)", "d.calls"),
            packed("coalesce(array_length(gt_carriers(gt)), 0)"),
        ),
        (
            format!(
                "SELECT {key}, coalesce(sum(dosage) FILTER (WHERE sample_id IN ({list})), 0) \
                 FROM d.calls GROUP BY {key} ORDER BY {key}"
            ),
            packed(&format!("gt_allele_count(gt, ARRAY[{list}])")),
        ),
        (
            format!("SELECT {key} FROM {members} AND dosage > 0 GROUP BY {key} ORDER BY {key}"),
            format!(
                "SELECT {key} FROM d.variants WHERE gt_allele_count(gt, ARRAY[{list}]) > 0 \
                 ORDER BY {key}"
            ),
        ),
    ];
    laws.extend(class_laws(&list));
    laws.push(sample_law());
    laws.extend(cohort.iter().map(|name| {
        (
            format!("SELECT {key}, gt, dosage, phased FROM d.calls WHERE sample_id = '{name}' ORDER BY {key}"),
            format!(
                "SELECT {key}, gt_text(gt, '{name}'), gt_dosage(gt, '{name}'), gt_is_phased(gt, '{name}') \
                 FROM d.variants WHERE gt_text(gt, '{name}') IS NOT NULL ORDER BY {key}"
            ),
        )
    }));
    laws
}

/// Counts of genotypes by class, from their texts: an allele is one character here.
fn class_laws(list: &str) -> Vec<(String, String)> {
    let key = "contig, pos, ref, alt";
    let calls = format!(
        "(SELECT {key}, dosage, sample_id IN ({list}) AS member, \
         replace(replace(gt, '/', ''), '|', '') AS alleles FROM d.calls)"
    );
    let whole = "member AND alleles NOT LIKE '%.%'";
    let (none, het, hom) = (
        "dosage = 0",
        "dosage > 0 AND dosage < length(alleles)",
        "dosage = length(alleles)",
    );
    let n = |class: &str| format!("count(*) FILTER (WHERE {whole} AND {class})");
    let two = |class: &str| n(&format!("length(alleles) = 2 AND {class}"));
    let alt = format!("(2 * {} + {})", two(hom), two(het));
    let other = format!("(2 * {} + {})", two(none), two(het));
    let expected = format!(
        "({alt}::float8 * {other}::float8 / (2.0 * {}::float8))",
        two("true")
    );
    let inbreeding = format!(
        "CASE WHEN {alt} > 0 AND {other} > 0 THEN 1.0 - {}::float8 / {expected} END",
        two(het)
    );
    let missing = "count(*) FILTER (WHERE member AND alleles LIKE '%.%')";
    let members = "count(*) FILTER (WHERE member)";
    let rate = format!("CASE WHEN {members} > 0 THEN {missing}::float8 / {members}::float8 END");
    let cohort = format!("ARRAY(SELECT sample_id FROM d.samples WHERE sample_id IN ({list}))");
    let same = [
        ("gt_hom_ref_count", n("ltrim(alleles, '0') = ''")),
        ("gt_het_count", n(het)),
        ("gt_hom_alt_count", n(hom)),
        ("gt_missing_count", missing.to_owned()),
        ("gt_missing_rate", rate),
        ("gt_inbreeding", inbreeding),
    ];
    let law = |(function, plain): (&str, String)| {
        (
            format!("SELECT {key}, {plain} FROM {calls} GROUP BY {key} ORDER BY {key}"),
            format!("SELECT {key}, {function}(gt, {cohort}) FROM d.variants ORDER BY {key}"),
        )
    };
    same.into_iter().map(law).collect()
}

/// Every function that needs counts only, over a cohort and over everybody: on counts that the scan makes, and on
/// genotypes, which a function that needs them keeps in the plan.
fn counts_law(list: &str) -> (String, String) {
    let key = "contig, pos, ref, alt";
    let functions = [
        "allele_count",
        "allele_number",
        "allele_frequency",
        "call_rate",
        "het_count",
        "hom_alt_count",
        "missing_count",
        "missing_rate",
    ];
    let values = functions.map(|name| format!("gt_{name}(gt), gt_{name}(gt, ARRAY[{list}])"));
    let counted = format!("SELECT {key}, {} FROM d.variants", values.join(", "));
    let on_genotypes =
        format!("{counted} WHERE coalesce(gt_hom_ref_count(gt), 0) >= 0 ORDER BY {key}");
    (on_genotypes, format!("{counted} ORDER BY {key}"))
}

/// Counts by what samples are joined with: calls joined one by one, and counted below the join.
fn joined_laws(samples: &[String]) -> Vec<(String, String)> {
    // Samples are in no group, in one, or in two; a group has nobody, and a row names none.
    let mut rows = vec!["('nobody', 'x', 1)".to_owned(), "(NULL, 'y', 2)".to_owned()];
    for (number, sample) in samples.iter().enumerate().filter(|(n, _)| n % 4 != 3) {
        let group = ["x", "y"][number % 2];
        rows.push(format!("('{sample}', '{group}', {number})"));
        if number % 3 == 0 {
            rows.push(format!("('{sample}', 'z', 7)"));
        }
    }
    let groups = format!("(VALUES {}) AS g(sample_id, grp, w)", rows.join(", "));
    let on = "ON g.sample_id = c.sample_id";
    let questions = [
        format!(
            "SELECT g.grp, count(*), sum(c.dosage), count(c.dosage), count(DISTINCT c.sample_id), max(g.w) \
             FROM CALLS c JOIN {groups} {on} GROUP BY g.grp ORDER BY 1"
        ),
        format!(
            "SELECT g.grp, c.sample_id, count(*) FROM {groups} JOIN CALLS c {on} GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        format!(
            "SELECT count(*), sum(dosage), count(*) FILTER (WHERE dosage = 1) FROM CALLS c JOIN {groups} {on} \
             WHERE g.grp = 'y'"
        ),
        format!("SELECT count(*), sum(dosage) FROM CALLS c JOIN {groups} {on} WHERE g.w = 1"),
        format!("SELECT count(*) FROM CALLS c WHERE sample_id IN (SELECT sample_id FROM {groups})"),
        format!(
            "SELECT sample_id, count(*) FROM CALLS c WHERE NOT EXISTS (SELECT 1 FROM {groups} WHERE \
             g.sample_id = c.sample_id) GROUP BY sample_id ORDER BY 1"
        ),
    ];
    let tables = ["d.carriers", "d.calls"].into_iter().cycle();
    let both = |(question, table): (&String, &str)| {
        let apart = format!("(SELECT * FROM {table} LIMIT 1000000000)");
        (
            question.replace("CALLS", &apart),
            question.replace("CALLS", table),
        )
    };
    questions.iter().zip(tables).map(both).collect()
}

/// Counts of every sample: records through the row of ALT C, which every record has first; A to G is the transition.
fn sample_law() -> (String, String) {
    let whole = "alt = 'C' AND alleles NOT LIKE '%.%'";
    let uniform = "ltrim(alleles, substr(alleles, 1, 1)) = ''";
    let n = |what: &str| format!("count(*) FILTER (WHERE {what})");
    let plain = format!(
        "WITH c AS (SELECT sample_id, alt, dosage, replace(replace(gt, '/', ''), '|', '') AS alleles, \
         sum(dosage) OVER (PARTITION BY contig, pos, ref, alt) AS ac FROM d.calls) \
         SELECT sample_id, {}, {}, {}, {}, {}, {}, {} FROM c GROUP BY sample_id ORDER BY sample_id",
        n(&format!("{whole} AND ltrim(alleles, '0') = ''")),
        n(&format!("{whole} AND NOT {uniform}")),
        n(&format!("{whole} AND {uniform} AND alleles NOT LIKE '0%'")),
        n("alt = 'C' AND alleles LIKE '%.%'"),
        n("alt = 'G' AND dosage > 0"),
        n("alt = 'C' AND dosage > 0"),
        n("ac = 1 AND dosage = 1"),
    );
    let packed = "SELECT sample_id, n_hom_ref, n_het, n_hom_alt, n_missing, n_ts, n_tv, n_singleton \
                  FROM sample_qc('d') ORDER BY sample_id";
    (plain, packed.to_owned())
}

/// Mendelian errors of a trio of one file, from the texts of three calls.
fn mendel_law([child, father, mother]: [&str; 3]) -> (String, String) {
    let key = "contig, pos, ref, alt";
    let of = |who: &str, name: &str| {
        format!(
            "{who} AS (SELECT {key}, replace(replace(gt, '/', ''), '|', '') AS g FROM d.calls \
             WHERE sample_id = '{name}')"
        )
    };
    let whole = |who: &str| format!("({who}.g NOT LIKE '%.%' AND length({who}.g) = 2)");
    let has =
        |who: &str, allele: &str| format!("(NOT {} OR strpos({who}.g, {allele}) > 0)", whole(who));
    let (a, b) = ("substr(child.g, 1, 1)", "substr(child.g, 2, 1)");
    let possible = format!(
        "({} AND {} OR {} AND {})",
        has("father", a),
        has("mother", b),
        has("father", b),
        has("mother", a)
    );
    let own = "child.contig, child.pos, child.ref, child.alt";
    let join = |who: &str| {
        let same = ["contig", "pos", "ref", "alt"].map(|c| format!("{who}.{c} = child.{c}"));
        format!("JOIN {who} ON {}", same.join(" AND "))
    };
    let plain = format!(
        "WITH {}, {}, {} SELECT {own}, CASE WHEN length(child.g) = 2 AND child.g NOT LIKE '%.%' THEN \
         CASE WHEN NOT {possible} THEN true WHEN {} AND {} THEN false END END \
         FROM child {} {} ORDER BY {own}",
        of("child", child),
        of("father", father),
        of("mother", mother),
        whole("father"),
        whole("mother"),
        join("father"),
        join("mother"),
    );
    let packed = format!(
        "SELECT {key}, gt_is_mendel_error(gt, '{child}', '{father}', '{mother}') FROM d.variants \
         WHERE gt_text(gt, '{child}') IS NOT NULL ORDER BY {key}"
    );
    (plain, packed)
}

/// Rows with equal alleles of one file are kept apart by `variants` and put together by GROUP BY: one position once.
fn without_repeats(mut records: Records) -> Records {
    let mut seen = std::collections::HashSet::new();
    records.retain(|(place, ..)| seen.insert(*place));
    records
}

async fn same_answers(context: &SessionContext, plain: &str, packed: &str) {
    let of_calls = run_embedded(context, plain).await.unwrap();
    let of_packed = run_embedded(context, packed).await.unwrap();
    assert_eq!(of_calls, of_packed, "{plain}\n{packed}");
}

async fn plain_equals_packed(first: Records, second: Records) {
    let dir = tempfile::tempdir().unwrap();
    let lake = Arc::new(Lake::memory());
    let mut samples = Vec::new();
    for (records, prefix) in [(first, "A"), (second, "B")] {
        let path = dir.path().join(format!("{prefix}.vcf"));
        std::fs::write(&path, vcf(&records, prefix)).unwrap();
        ingest(&lake, "d", path.to_string_lossy().into_owned()).await;
        samples.extend((0..records[0].2.len()).map(|i| format!("{prefix}{i}")));
    }
    let cohort: Vec<String> = samples.iter().step_by(2).cloned().collect();
    let context = embedded(&lake, 2).await;
    let of_first: Vec<&str> = samples
        .iter()
        .map(String::as_str)
        .filter(|s| s.starts_with('A'))
        .collect();
    let trio = of_first.first_chunk::<3>().map(|trio| mendel_law(*trio));
    for (plain, packed) in laws(&cohort).into_iter().chain(trio) {
        same_answers(&context, &plain, &packed).await;
    }
    let list = cohort.join("', '");
    for (plain, packed) in counting_laws(&format!("'{list}'")) {
        for (query, counts) in [(&plain, false), (&packed, true)] {
            let plan = run_embedded(&context, &format!("EXPLAIN {query}"))
                .await
                .unwrap();
            let counted = plan.concat().concat().contains("CallCountExec");
            assert_eq!(counted, counts, "{query}\n{plan:?}");
        }
        same_answers(&context, &plain, &packed).await;
    }
    for (joined, below) in joined_laws(&samples) {
        for (query, counts) in [(&joined, false), (&below, true)] {
            let plan = run_embedded(&context, &format!("EXPLAIN {query}"))
                .await
                .unwrap();
            let plan = plan.concat().concat();
            assert_eq!(plan.contains("CallCountExec"), counts, "{query}\n{plan}");
        }
        same_answers(&context, &joined, &below).await;
    }
    let (on_genotypes, counted) = counts_law(&format!("'{list}'"));
    for (query, counts) in [(&on_genotypes, false), (&counted, true)] {
        let plan = run_embedded(&context, &format!("EXPLAIN {query}"))
            .await
            .unwrap();
        let by_scan = plan.concat().concat().contains("gt=counts of 2 cohorts");
        assert_eq!(by_scan, counts, "{query}\n{plan:?}");
    }
    same_answers(&context, &on_genotypes, &counted).await;
    // Counts of everybody stand in the site table.
    let everybody = "EXPLAIN SELECT pos, gt_call_rate(gt) FROM d.variants";
    let plan = run_embedded(&context, everybody).await.unwrap();
    let plan = plan.concat().concat();
    assert!(plan.contains("genotypes=skipped, "), "{plan}");
    assert!(plan.contains("gt=counts of 1 cohort,"), "{plan}");
    // Some samples are hidden: counts are over the others, whoever makes them.
    let visible = samples.iter().skip(1).cloned().collect();
    let access = AccessContext::only("reader", [("d".to_owned(), visible)]);
    let reader = embedded_as(&lake, 2, access).await;
    let seen: Vec<&str> = cohort.iter().skip(1).map(String::as_str).collect();
    if !seen.is_empty() {
        let (on_genotypes, counted) = counts_law(&format!("'{}'", seen.join("', '")));
        same_answers(&reader, &on_genotypes, &counted).await;
    }
    // Genotypes of the blocks that hold the named samples, of two batches.
    let named = "EXPLAIN SELECT pos FROM d.variants WHERE gt_is_het(gt, 'B0')";
    let plan = run_embedded(&context, named).await.unwrap();
    assert!(plan.concat().concat().contains("gt_blocks=1/2"), "{plan:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn plain_sql_and_packed_functions_agree(first in any_file(), second in any_file()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(plain_equals_packed(without_repeats(first), without_repeats(second)));
    }
}
