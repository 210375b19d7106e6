//! DuckDB over the long-format Parquet, warm in one process, two threads.

use std::path::Path;

use anyhow::Context;

use crate::RunArgs;
use crate::measure;

/// The name in reports.
pub(crate) const LONG: &str = "DuckDB (warm)";

fn command(args: &RunArgs, directory: &Path, sql: &str, task: &str) -> anyhow::Result<String> {
    let name = format!("genokura-bench-{}-long.sql", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, sql)?;
    Ok(format!(
        "{} {} {} {task} < {}",
        args.python.display(),
        concat!(env!("CARGO_MANIFEST_DIR"), "/duckdb_peer.py"),
        directory.display(),
        path.display()
    ))
}

/// Rows of a statement, tab separated.
///
/// # Errors
/// When it fails.
pub(crate) fn answer(args: &RunArgs, directory: &Path, sql: &str) -> anyhow::Result<String> {
    measure::output(&command(args, directory, sql, "answer")?)
}

/// Seconds of each repetition, after one to warm.
///
/// # Errors
/// When it fails.
pub(crate) fn seconds(
    args: &RunArgs,
    directory: &Path,
    sql: &str,
    repetitions: usize,
) -> anyhow::Result<Vec<f64>> {
    let text = measure::output(&command(args, directory, sql, &repetitions.to_string())?)?;
    let times = text.lines().skip(1);
    times
        .map(|line| {
            line.parse()
                .with_context(|| format!("DuckDB wrote \"{line}\""))
        })
        .collect()
}

/// A whole process that writes the rows as text.
///
/// # Errors
/// When the statement cannot be written.
pub(crate) fn stream(args: &RunArgs, directory: &Path, sql: &str) -> anyhow::Result<String> {
    Ok(format!(
        "{} > /dev/null",
        command(args, directory, sql, "0")?
    ))
}
