//! Makes a cohort: a seeded msprime simulation written as a bgzipped, indexed VCF.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

/// Arguments of `prepare`.
#[derive(Debug, clap::Args)]
pub(crate) struct PrepareArgs {
    /// A Python with msprime and numpy
    #[arg(long)]
    python: PathBuf,
    /// People in the cohort
    #[arg(long)]
    samples: u32,
    /// Length of the simulated region in base pairs
    #[arg(long)]
    length_bp: u64,
    /// `gt`: phased genotypes alone; `full`: unphased GT, AD, DP, GQ and PL of simulated reads
    #[arg(long, default_value = "gt")]
    format: String,
    /// Output, ending in .vcf.gz
    out: PathBuf,
}

/// Runs the simulation.
///
/// # Errors
/// When Python or bgzip fails.
pub(crate) fn run(args: &PrepareArgs) -> anyhow::Result<()> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/simulate.py");
    let status = Command::new(&args.python)
        .arg(script)
        .arg(&args.out)
        .args(["--samples", &args.samples.to_string()])
        .args(["--length", &args.length_bp.to_string()])
        .args(["--format", &args.format])
        .status()
        .with_context(|| format!("cannot run {}", args.python.display()))?;
    anyhow::ensure!(status.success(), "the simulation failed: {status}");
    Ok(())
}
