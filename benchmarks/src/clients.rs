//! Workload `clients`: the rows of 5 million variants to PostgreSQL clients, from genokura and from PostgreSQL 15.
//!
//! Both hold the same rows: those of genokura are copied over, so their types are equal too; PostgreSQL has an index
//! of contig and position and fresh statistics. Every client is a process that stays connected. What it received is
//! equal before anything is timed. pgbench asks for a thousand bases at a random place, prepared.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::RunArgs;
use crate::measure::{self, Row, float};
use crate::peers::{genokura, postgres};
use crate::startup::Server;

/// Variants.
const RECORDS: usize = 5_000_000;
/// What clients read: columns that a table of PostgreSQL has alike.
const COLUMNS: &str = "contig, pos, end_pos, ref, alt, qual, info_ac, info_an, info_af";
const CLIENTS: [&str; 5] = [
    "psycopg-copy",
    "psycopg-select",
    "adbc",
    "connectorx",
    "first-row",
];
/// Clients whose rows stream while the server's memory is watched.
const STREAMING: usize = 8;
const WATCHED: Duration = Duration::from_secs(10);
/// Clients of pgbench.
const CONCURRENT: [usize; 3] = [1, 16, 64];
const PGBENCH_S: usize = 5;
const POINT: &str = "\\set p random(100000, 240000000)\n\
    SELECT contig, pos, ref, alt, info_af FROM sites.variants \
    WHERE contig = 'chr1' AND pos BETWEEN :p AND :p + 999;\n";

/// Measures.
///
/// # Errors
/// When a client or a server fails, or an answer differs.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Vec<Row>> {
    let args = RunArgs {
        scratch: args.scratch.join("clients"),
        ..args.clone()
    };
    lake(&args)?;
    let mut server = Server::start(&args)?;
    let postgres = postgres::Cluster::start()?;
    copy_over(&server, &postgres)?;
    let servers = [
        ("genokura", genokura::uri(&server)),
        ("PostgreSQL 15", postgres.uri()),
    ];
    let mut rows = Vec::new();
    for client in CLIENTS {
        rows.extend(of_client(&args, client, &servers)?);
    }
    rows.push(memory(&args, &server)?);
    for clients in CONCURRENT {
        rows.extend(pgbench(&args, clients, &servers)?);
    }
    server.stop()?;
    Ok(rows)
}

/// The lake with the sites, made when it is missing.
fn lake(args: &RunArgs) -> anyhow::Result<()> {
    let (lake, vcf) = (args.scratch.join("lake"), args.scratch.join("sites.vcf.gz"));
    if lake.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(&args.scratch)?;
    let script = format!("{}/site_inputs.py", env!("CARGO_MANIFEST_DIR"));
    measure::output(&format!(
        "{} {script} {vcf} {RECORDS} && {} ingest vcf --lake {} --dataset sites --threads 2 {vcf}",
        args.python.display(),
        args.genokura.display(),
        lake.display(),
        vcf = vcf.display(),
    ))
    .map(drop)
}

/// Makes a table of the same rows in PostgreSQL.
fn copy_over(server: &Server, postgres: &postgres::Cluster) -> anyhow::Result<()> {
    let names = COLUMNS.replace(", ", "', '");
    let types = genokura::answer(
        server,
        &format!(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a \
             WHERE a.attrelid = 'sites.variants'::regclass AND a.attname IN ('{names}');"
        ),
    )?;
    let of = |name: &str| {
        let mut lines = types.lines().filter_map(|line| line.split_once('\t'));
        let found = lines.find(|(column, _)| *column == name);
        found
            .map(|(_, ty)| format!("{name} {ty}"))
            .context("a column without a type")
    };
    let columns: anyhow::Result<Vec<String>> = COLUMNS.split(", ").map(of).collect();
    let psql = "psql -X -q -v ON_ERROR_STOP=1";
    let (ours, theirs) = (genokura::uri(server), postgres.uri());
    measure::output(&format!(
        "set -o pipefail
         {psql} '{theirs}' -c 'CREATE SCHEMA sites' \
            -c 'CREATE TABLE sites.variants ({})'
         {psql} '{ours}' -c 'COPY (SELECT {COLUMNS} FROM sites.variants) TO STDOUT (FORMAT binary)' \
            | {psql} '{theirs}' -c 'COPY sites.variants FROM STDIN (FORMAT binary)'
         {psql} '{theirs}' -c 'CREATE INDEX ON sites.variants (contig, pos)' \
            -c 'VACUUM ANALYZE sites.variants'",
        columns?.join(", ")
    ))
    .map(drop)
}

fn client(args: &RunArgs, name: &str, uri: &str, repetitions: &str) -> String {
    let script = format!("{}/client_peer.py", env!("CARGO_MANIFEST_DIR"));
    let python = args.python.display();
    format!("{python} {script} {uri} {name} {repetitions} 'SELECT {COLUMNS} FROM sites.variants'")
}

fn of_client(args: &RunArgs, name: &str, servers: &[(&str, String)]) -> anyhow::Result<Vec<Row>> {
    let mut answers = Vec::new();
    for (_, uri) in servers {
        answers.push(measure::output(&client(args, name, uri, "answer"))?);
    }
    anyhow::ensure!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "{name}: {answers:?}"
    );
    let workload = format!("5 million variants to {name}");
    let mut rows = Vec::new();
    // In turns, so that both see the machine's good and bad moments.
    for repetition in 1..=args.repeat {
        for (server, uri) in servers {
            let text = measure::output(&client(args, name, uri, "2"))?;
            let last = text.lines().last().context("no time")?;
            rows.push(Row::warm(&workload, server, repetition, last.parse()?));
        }
    }
    Ok(rows)
}

/// Growth of the server's memory for each of some clients whose rows stream.
fn memory(args: &RunArgs, server: &Server) -> anyhow::Result<Row> {
    let status = format!("/proc/{}", server.pid());
    let before = resident_mib(&status, "VmRSS:")?;
    // The peak begins anew.
    std::fs::write(format!("{status}/clear_refs"), "5")?;
    let line = client(args, "stream", &genokura::uri(server), "0");
    let mut clients = Vec::new();
    for _ in 0..STREAMING {
        clients.push(Streaming::start(&line)?);
    }
    let started = Instant::now();
    while started.elapsed() < WATCHED {
        std::thread::sleep(Duration::from_millis(100));
        for client in &mut clients {
            anyhow::ensure!(client.0.try_wait()?.is_none(), "a streaming client ended");
        }
    }
    let growth = resident_mib(&status, "VmHWM:")? - before;
    let row = Row::warm(
        "memory of the server per streaming client",
        "genokura",
        1,
        0.0,
    );
    Ok(Row {
        peak_mib: growth / float(STREAMING),
        ..row
    })
}

fn resident_mib(status: &str, name: &str) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(Path::new(status).join("status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().split(' ').next());
    Ok(kib.context("no memory in /proc")?.parse::<f64>()? / 1024.0)
}

/// A client that reads rows until it is dropped.
struct Streaming(Child);

impl Streaming {
    fn start(line: &str) -> anyhow::Result<Self> {
        let mut command = Command::new("bash");
        command.args(["-c", &format!("exec {line}")]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().context("no output")?;
        let client = Self(child);
        let mut first = String::new();
        BufReader::new(out).read_line(&mut first)?;
        anyhow::ensure!(first.trim() == "streams", "a client wrote \"{first}\"");
        Ok(client)
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        if self.0.kill().is_err() || self.0.wait().is_err() {
            eprintln!("a client may still run");
        }
    }
}

fn pgbench(args: &RunArgs, clients: usize, servers: &[(&str, String)]) -> anyhow::Result<Vec<Row>> {
    let script = args.scratch.join("point.sql");
    std::fs::write(&script, POINT)?;
    let workload = format!("seconds per short query; pgbench with {clients} clients");
    let mut rows = Vec::new();
    for repetition in 1..=args.repeat {
        for (server, uri) in servers {
            let text = measure::output(&format!(
                "pgbench -n -M prepared -c {clients} -j 2 -T {PGBENCH_S} -f {} '{uri}' 2>&1",
                script.display()
            ))?;
            let tps = text.lines().find_map(|line| line.strip_prefix("tps = "));
            let tps = tps.and_then(|line| line.split(' ').next());
            let tps: f64 = tps
                .with_context(|| format!("pgbench wrote {text}"))?
                .parse()?;
            rows.push(Row::warm(&workload, server, repetition, 1.0 / tps));
        }
    }
    Ok(rows)
}
