//! Side-by-side benchmarks: the same question to genokura and its peers, answers first, then time.
//!
//! `prepare` makes the cohorts (seeded), `run` measures and writes raw.csv, summary.md and
//! versions.txt, `report` prints the summary of a run.

mod answers;
mod clients;
mod effects;
mod export;
mod formats;
mod ingest;
mod intervals;
mod measure;
mod panel;
mod peers;
mod prepare;
mod query;
mod questions;
mod report;
mod sizes;
mod startup;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Benchmarks of genokura beside bgzip, plink2 and bcftools.
#[derive(Debug, Parser)]
#[command(name = "genokura-benchmarks")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulate a cohort with msprime (seeded) as a bgzipped, indexed VCF
    Prepare(prepare::PrepareArgs),
    /// Measure, and write raw.csv and summary.md
    Run(RunArgs),
    /// Join points and spans in memory: genokura as a peer of workload intervals
    Intervals(intervals::IntervalArgs),
    /// Print the summary of a raw.csv again
    Report {
        /// The raw.csv of a run
        raw: PathBuf,
    },
}

/// Arguments of `run`.
#[derive(Clone, Debug, clap::Args)]
struct RunArgs {
    /// The genokura binary, built with --release
    #[arg(long)]
    genokura: PathBuf,
    /// A cohort VCF made by `prepare`; intervals, effects and clients need none
    #[arg(long, default_value = "cohort.vcf.gz")]
    cohort: PathBuf,
    /// Where lakes and results of peers go (several GB)
    #[arg(long)]
    scratch: PathBuf,
    /// Where raw.csv and summary.md go
    #[arg(long)]
    out: PathBuf,
    /// Repetitions of each command; medians are reported
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// A Python with msprime, numpy, pyarrow and duckdb
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// The vcf2zarr command of bio2zarr
    #[arg(long, default_value = "vcf2zarr")]
    vcf2zarr: PathBuf,
    /// Workloads: ingest, query, startup, sizes, questions, formats, export, panel, intervals, effects, clients
    #[arg(long, value_delimiter = ',', default_value = "ingest,query,startup")]
    workloads: Vec<String>,
    /// Peers left out, for example bcftools on the largest cohort
    #[arg(long, value_delimiter = ',')]
    skip: Vec<String>,
    /// Peers measured in the first repetition only, for example bcftools on the largest cohort
    #[arg(long, value_delimiter = ',')]
    once: Vec<String>,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Prepare(args) => prepare::run(&args),
        Command::Run(args) => run(&args),
        Command::Intervals(args) => intervals::own(&args),
        Command::Report { raw } => {
            print!("{}", report::summary(&report::read(&raw)?));
            Ok(())
        }
    }
}

impl RunArgs {
    /// Whether a peer was left out by its name's beginning.
    pub(crate) fn skips(&self, peer: &str) -> bool {
        self.skip.iter().any(|name| peer.starts_with(name.as_str()))
    }

    /// How often a peer is measured.
    pub(crate) fn repetitions(&self, peer: &str) -> usize {
        let once = self.once.iter().any(|name| peer.starts_with(name.as_str()));
        if once { 1 } else { self.repeat }
    }
}

fn run(args: &RunArgs) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.scratch)?;
    std::fs::create_dir_all(&args.out)?;
    let mut rows = Vec::new();
    for workload in &args.workloads {
        match workload.as_str() {
            "ingest" => rows.extend(ingest::run(args)?),
            "query" => rows.extend(query::run(args)?),
            "startup" => rows.extend(startup::run(args)?),
            "sizes" => rows.extend(sizes::run(args)?),
            "questions" => rows.extend(questions::run(args)?),
            "formats" => rows.extend(formats::run(args)?),
            "export" => rows.extend(export::run(args)?),
            "clients" => rows.extend(clients::run(args)?),
            "effects" => rows.extend(effects::run(args)?),
            "panel" => rows.extend(panel::run(args)?),
            "intervals" => rows.extend(intervals::run(args)?),
            other => anyhow::bail!(
                "no workload \"{other}\": choose ingest, query, startup, sizes, questions, formats, \
                 export, panel, intervals, effects, clients"
            ),
        }
        report::write(&args.out, &rows)?;
    }
    std::fs::write(args.out.join("versions.txt"), measure::versions(args)?)?;
    print!("{}", report::summary(&rows));
    Ok(())
}
