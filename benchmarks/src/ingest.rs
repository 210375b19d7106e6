//! Workload `ingest`: one cohort VCF into each store, two threads each.
//!
//! `bgzip -dc -@2` is the limit: it only inflates. plink2 and bcftools write their own binary forms.

use crate::RunArgs;
use crate::answers;
use crate::measure::{self, Row};

/// Measures every peer in turn, repetition by repetition, and compares counts with the file's own.
///
/// # Errors
/// When a command fails or an answer differs.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Vec<Row>> {
    let workload = format!("ingest {}", answers::cohort_name(&args.cohort));
    let simulated = answers::simulated_counts(args)?;
    let mut rows = Vec::new();
    for repetition in 1..=args.repeat {
        for (peer, line, result) in commands(args) {
            if args.skips(peer) || repetition > args.repetitions(peer) {
                continue;
            }
            measure::output(&format!("rm -rf {}", result.display()))?;
            let mut row = measure::shell(&workload, peer, repetition, &line)?;
            row.bytes = result_size(&result)?;
            rows.push(row);
        }
        answers::compare_counts(args, &simulated)?;
    }
    Ok(rows)
}

fn commands(args: &RunArgs) -> Vec<(&'static str, String, std::path::PathBuf)> {
    let cohort = args.cohort.display();
    let genokura = args.genokura.display();
    let scratch = &args.scratch;
    let lake = scratch.join("lake");
    let pgen = scratch.join("plink2");
    let bcf = scratch.join("bcftools.bcf");
    vec![
        (
            "bgzip -dc -@2",
            format!("bgzip -dc -@2 {cohort}"),
            scratch.join("none"),
        ),
        (
            "genokura",
            format!(
                "{genokura} ingest vcf --lake {} --dataset cohort --threads 2 {cohort}",
                lake.display()
            ),
            lake.clone(),
        ),
        (
            "plink2 --make-pgen",
            format!(
                "mkdir -p {0} && plink2 --vcf {cohort} --make-pgen --threads 2 --out {0}/out",
                pgen.display()
            ),
            pgen.clone(),
        ),
        (
            "bcftools view -Ob",
            format!(
                "bcftools view -Ob --threads 2 -o {} {cohort}",
                bcf.display()
            ),
            bcf,
        ),
    ]
}

fn result_size(result: &std::path::Path) -> anyhow::Result<u64> {
    if result.exists() {
        measure::size(result)
    } else {
        Ok(0)
    }
}
