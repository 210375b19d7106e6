//! `testdata/slt/*.slt`, the readable specification of SQL, run in process at several partition counts and over the
//! wire; and the law behind half of it: plain SQL over `calls` and the packed functions give the same answers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod correlated;
mod cursors;
mod laws;

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

/// The small lake under the files: datasets `demo` in two batches, `quartet` and others, `clin` and `kb` tables.
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
    ingest(&lake, "hla", input("hla.vcf")).await;
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
        repeated_samples: false,
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

/// An error with what the runner compares: message and SQLSTATE, and where the file is about that, its place.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.told())]
struct Failure {
    code: String,
    message: String,
    position: Option<u32>,
    /// `42703 at 8: column "nope" does not exist`
    whole: bool,
}

impl Failure {
    fn told(&self) -> String {
        match (self.whole, self.position) {
            (false, _) => self.message.clone(),
            (true, None) => format!("{}: {}", self.code, self.message),
            (true, Some(position)) => format!("{} at {position}: {}", self.code, self.message),
        }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            position: error.position().and_then(|at| u32::try_from(at).ok()),
            whole: false,
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let told = error.as_db_error();
        let code = told.map_or(String::new(), |told| told.code().code().to_owned());
        let message = told.map_or_else(|| error.to_string(), |told| told.message().to_owned());
        let position = told.and_then(|told| match told.position() {
            Some(tokio_postgres::error::ErrorPosition::Original(at)) => Some(*at),
            _ => None,
        });
        Self {
            code,
            message,
            position,
            whole: false,
        }
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

/// A client of a file: those about errors have them told with SQLSTATE and place.
struct OfFile {
    client: Client,
    whole_errors: bool,
}

#[async_trait]
impl AsyncDB for OfFile {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let run = self.client.run(sql).await;
        run.map_err(|failure| Failure {
            whole: self.whole_errors,
            ..failure
        })
    }

    async fn shutdown(&mut self) {}

    fn error_sql_state(error: &Failure) -> Option<String> {
        Some(error.code.clone())
    }
}

async fn run_session(session: &mut Session, sql: &str) -> Result<Vec<Vec<String>>, Failure> {
    let rows = rows_of_session(session, sql).await;
    if rows.is_err() {
        session.fail();
    }
    session.sync();
    rows
}

async fn rows_of_session(session: &mut Session, sql: &str) -> Result<Vec<Vec<String>>, Failure> {
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
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let whole_errors = name.starts_with("pg_compat_session_errors_");
        let mut runner = Runner::new(|| async {
            let client = connect().await;
            Ok(OfFile {
                client,
                whole_errors,
            })
        });
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
        let text = laws::vcf(&vec![(0, false, vec!["0/0"; 2])], prefix);
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
    // Of the family in the pedigree the dataset has a mother and her son.
    let owner = embedded_as(&lake, 2, AccessContext::all("owner")).await;
    let sons = "SELECT pos, father_gt FROM x_linked('pair') ORDER BY pos";
    let sons = run_embedded(&owner, sons).await.unwrap();
    assert_eq!(sons, [["5000000", "NULL"], ["5000200", "NULL"]]);
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
        // A father who is hidden is as one who never was.
        let sons = |dataset| {
            format!("SELECT pos, father_gt FROM x_linked('{dataset}', 'SON', NULL, 'MO')")
        };
        let hidden = run_embedded(&context, &sons("quartet")).await.unwrap();
        assert_eq!(hidden.len(), 2);
        assert_eq!(hidden, run_embedded(&context, &sons("pair")).await.unwrap());
        for function in ["x_linked", "de_novo"] {
            let of = |dataset| format!("SELECT * FROM {function}('{dataset}') ORDER BY pos");
            let hidden = run_embedded(&context, &of("quartet")).await.unwrap();
            assert_eq!(hidden, run_embedded(&context, &of("pair")).await.unwrap());
        }
        let named = "SELECT * FROM de_novo('quartet', 'SON', 'FA', 'MO')";
        let error = run_embedded(&context, named).await.unwrap_err();
        assert_eq!(error.to_string(), "sample \"FA\" is not in this dataset");
    }
}
