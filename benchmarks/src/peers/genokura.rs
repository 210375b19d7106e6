//! genokura: a warm server asked by psql.

use anyhow::Context;

use crate::RunArgs;
use crate::measure;
use crate::startup::Server;

/// The name in reports.
pub(crate) const WARM: &str = "genokura (warm; psql)";

/// Ingests the cohort into the lake of the scratch directory unless it is there.
///
/// # Errors
/// When the ingest fails.
pub(crate) fn lake(args: &RunArgs) -> anyhow::Result<()> {
    let lake = args.scratch.join("lake");
    if lake.exists() {
        return Ok(());
    }
    let line = format!(
        "{} ingest vcf --lake {} --dataset cohort --threads 2 {}",
        args.genokura.display(),
        lake.display(),
        args.cohort.display()
    );
    measure::output(&line).map(drop)
}

/// Loads `clin.person` into the lake in the place of an older one.
///
/// # Errors
/// When the ingest fails.
pub(crate) fn people(args: &RunArgs, table: &str) -> anyhow::Result<()> {
    let file = args.scratch.join("person.csv");
    std::fs::write(&file, table)?;
    let line = format!(
        "{} ingest table --lake {} --table clin.person --replace {}",
        args.genokura.display(),
        args.scratch.join("lake").display(),
        file.display()
    );
    measure::output(&line).map(drop)
}

/// Where clients connect.
pub(crate) fn uri(server: &Server) -> String {
    format!("postgresql://owner@127.0.0.1:{}/genokura", server.port)
}

/// psql itself: what Debian calls psql is a script that looks for a version, which takes it 40 ms.
fn program() -> String {
    let versions = (10..=30).rev();
    let mut paths = versions.map(|version| format!("/usr/lib/postgresql/{version}/bin/psql"));
    let found = paths.find(|path| std::path::Path::new(path).exists());
    found.unwrap_or_else(|| "psql".to_owned())
}

fn psql(server: &Server) -> String {
    let program = program();
    format!("{program} -X -q -v ON_ERROR_STOP=1 '{}'", uri(server))
}

/// Rows of a statement, tab separated.
///
/// # Errors
/// When the statement fails.
pub(crate) fn answer(server: &Server, sql: &str) -> anyhow::Result<String> {
    let script = script(&[sql])?;
    let flags = "-A -t -F \"$(printf '\\t')\"";
    measure::output(&format!("{} {flags} -f {}", psql(server), script.display()))
}

/// Seconds of each repetition as psql's `\timing` tells them, from the statement sent to the last row
/// received; one more comes first, to warm.
///
/// # Errors
/// When the statement fails.
pub(crate) fn seconds(server: &Server, sql: &str, repetitions: usize) -> anyhow::Result<Vec<f64>> {
    let mut lines = vec!["\\o /dev/null", "\\pset format unaligned", "\\timing on"];
    lines.extend(std::iter::repeat_n(sql, repetitions + 1));
    let script = script(&lines)?;
    let text = measure::output(&format!("{} -f {}", psql(server), script.display()))?;
    let times = text.lines().filter_map(|line| line.strip_prefix("Time: "));
    let mut seconds = Vec::new();
    for time in times {
        let ms = time.split(' ').next().unwrap_or_default();
        let ms: f64 = ms
            .parse()
            .with_context(|| format!("psql wrote \"{time}\""))?;
        seconds.push(ms / 1000.0);
    }
    anyhow::ensure!(seconds.len() == repetitions + 1, "psql wrote:\n{text}");
    seconds.remove(0);
    Ok(seconds)
}

/// A whole psql process that asks one statement, its output to `sink`.
///
/// # Errors
/// When the script cannot be written.
pub(crate) fn process(server: &Server, sql: &str, sink: &str) -> anyhow::Result<String> {
    let script = script(&[sql])?;
    Ok(format!(
        "{} -A -t -f {} {sink}",
        psql(server),
        script.display()
    ))
}

/// A file for psql; the cohort's names are too long for a command line.
fn script(lines: &[&str]) -> anyhow::Result<std::path::PathBuf> {
    let name = format!("genokura-bench-{}.sql", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, lines.join("\n") + "\n")?;
    Ok(path)
}
