//! `genokura lake`: what happened to a lake, and whether it is whole.

use clap::{Args, Subcommand};
use genokura_storage::LakeCommit;

use super::{LakeArg, Outcome};

/// Subcommands of `genokura lake`.
#[derive(Debug, Subcommand)]
pub(super) enum LakeCommand {
    /// List the commits of a lake, newest first
    Log(LogArgs),
    /// Check that every file that the newest commit pins is there and whole
    Verify(VerifyArgs),
}

/// Arguments of `lake log`.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Arguments of `lake verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    lake: LakeArg,
}

/// Runs `genokura lake …`.
pub(super) async fn run(command: LakeCommand) -> anyhow::Result<Outcome> {
    match command {
        LakeCommand::Log(args) => log(args).await,
        LakeCommand::Verify(args) => verify(args).await,
    }
}

async fn log(args: LogArgs) -> anyhow::Result<Outcome> {
    let lake = args.lake.open().await?;
    let mut commits = lake.log().await?;
    commits.sort_by_key(|commit| std::cmp::Reverse(commit.version));
    for commit in &commits {
        if args.json {
            println!("{}", serde_json::to_string(commit)?);
        } else {
            println!("{}", line(commit));
        }
    }
    Ok(Outcome::Done)
}

/// Version, time, operation, and what it did to each table.
fn line(commit: &LakeCommit) -> String {
    let tables: Vec<String> = commit
        .changes
        .iter()
        .map(|change| {
            let sign = if change.replaced { '=' } else { '+' };
            format!("{} {sign}{}", change.table, change.rows)
        })
        .collect();
    let LakeCommit {
        version,
        timestamp,
        operation,
        ..
    } = commit;
    format!(
        "{version:>5}  {timestamp}  {operation:<14}  {}",
        tables.join(", ")
    )
}

async fn verify(args: VerifyArgs) -> anyhow::Result<Outcome> {
    let lake = args.lake.open().await?;
    let report = lake.verify(|_, _| ()).await?;
    let version = report
        .lake_version
        .map_or("none".to_owned(), |v| v.to_string());
    println!(
        "lake version {version}: {} tables, {} files, {} rows, {} bytes",
        report.tables, report.files, report.rows, report.bytes
    );
    for (table, version) in &report.ahead {
        println!("{table}: Delta version {version} is not part of the lake yet; nobody sees it");
    }
    for problem in &report.problems {
        tell!(
            "genokura: {} {}: {}",
            problem.table,
            problem.path,
            problem.what
        );
    }
    anyhow::ensure!(
        report.is_whole(),
        "{} of {} files are damaged or missing: restore them from a copy of the lake",
        report.problems.len(),
        report.files,
    );
    println!("whole");
    Ok(Outcome::Done)
}
