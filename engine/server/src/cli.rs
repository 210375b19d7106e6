//! The command line: one file per subcommand; this file holds what they share.
//!
//! Exit codes: 0 done; 1 failed (the error says why); 2 the command line is wrong; 3 done, but
//! records were quarantined; 4 another writer landed first and the changes collide, run it again;
//! 130 interrupted, the lake is as it was.

/// A line for whoever runs the command. Nobody may listen any more, which must not end the work.
macro_rules! tell {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}

mod config;
mod export;
mod ingest;
mod lake;
mod progress;
mod quickstart;
pub use quickstart::QUESTIONS;
mod role;
mod serve;
mod sql;
mod table;

use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;

use clap::{Args, Parser, Subcommand};
use genokura_sql_ext::depth::STACK_BYTES;
use genokura_storage::Lake;

/// How a subcommand ended when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything asked for was done.
    Done,
    /// Done, and some records were refused and kept in the quarantine table.
    Quarantined,
    /// Another writer landed first.
    Conflict,
    /// Ctrl-C: nothing became visible.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Quarantined => 3,
            Outcome::Conflict => 4,
            Outcome::Interrupted => 130,
        })
    }
}

/// genokura: a columnar analytical database for genomic variants.
#[derive(Debug, Parser)]
#[command(name = "genokura", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with quarantined \
    records, 4 conflict with another writer, 130 interrupted."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Load a demo lake from bundled data, serve it and print the psql line
    Quickstart(quickstart::QuickstartArgs),
    /// Load variants, tables or regions into a lake
    #[command(subcommand)]
    Ingest(ingest::IngestCommand),
    /// Write a dataset, or a part of it, as a file that other programs read
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// Serve a lake to every PostgreSQL client
    Serve(serve::ServeArgs),
    /// Say who may connect to a server, and what each may read and take
    #[command(subcommand)]
    Role(role::RoleCommand),
    /// Print the settings of a server, each with what it means and where it came from
    Config(config::ConfigArgs),
    /// Ask a lake in SQL without a server
    Sql(sql::SqlArgs),
    /// Look after a lake
    #[command(subcommand)]
    Lake(lake::LakeCommand),
}

/// Which lake a command works on.
#[derive(Debug, Clone, Args)]
pub struct LakeArg {
    /// The lake: a path, s3://bucket/prefix, gs://… or az://… (clouds read their own environment
    /// variables)
    #[arg(long = "lake", env = "GENOKURA_LAKE", value_name = "URL")]
    url: String,
}

impl LakeArg {
    /// Opens a lake that exists.
    pub async fn open(&self) -> anyhow::Result<Arc<Lake>> {
        Ok(Arc::new(Lake::open(&self.url).await?))
    }

    /// Opens a lake; the first commit makes it.
    pub async fn open_or_create(&self) -> anyhow::Result<Arc<Lake>> {
        Ok(Arc::new(Lake::open_or_create(&self.url).await?))
    }
}

/// Runs one parsed command line and prints its error, if any, in one line a cause.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    // The first thread has the stack that the system gives it.
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    match thread.spawn(|| run_here(cli)).map(JoinHandle::join) {
        Ok(Ok(code)) => code,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => fail(&anyhow::Error::new(error).context("cannot start a thread")),
    }
}

fn run_here(cli: Cli) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("cannot start the runtime")),
    };
    let result = runtime.block_on(Box::pin(dispatch(cli.command)));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match result {
        Ok(outcome) => outcome.into(),
        Err(error) => fail(&error),
    }
}

async fn dispatch(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Quickstart(args) => quickstart::run(args).await,
        Command::Ingest(command) => ingest::run(command).await,
        Command::Export(command) => export::run(command).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Role(command) => role::run(command).await,
        Command::Config(args) => config::run(&args),
        Command::Sql(args) => sql::run(args).await,
        Command::Lake(command) => lake::run(command).await,
    }
}

fn fail(error: &anyhow::Error) -> ExitCode {
    tell!("genokura: {error}");
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let text = cause.to_string();
        if !said.contains(&text) {
            tell!("  because: {text}");
            said.push_str(&text);
        }
    }
    ExitCode::FAILURE
}
