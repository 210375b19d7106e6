//! Workload `export`: the whole cohort out of each store, as VCF text and as BCF.
//!
//! Each reads its own store. The records, without header lines, must be equal.

use crate::RunArgs;
use crate::answers;
use crate::measure::{self, Row};
use crate::peers::{bcftools, genokura};

/// Measures both, in turn.
///
/// # Errors
/// When a command fails or the records differ.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Vec<Row>> {
    let name = answers::cohort_name(&args.cohort);
    genokura::lake(args)?;
    let bcf = bcftools::bcf(args)?;
    let bcf = bcf.display();
    let ours = format!(
        "{} export {{form}} --lake {} --dataset cohort -o {{out}}",
        args.genokura.display(),
        args.scratch.join("lake").display()
    );
    let mut rows = Vec::new();
    for (form, theirs, ending) in [
        (
            "vcf",
            format!("bcftools view --no-version -Ov -o {{out}} {bcf}"),
            "vcf",
        ),
        (
            "bcf",
            format!("bcftools view --no-version -Ob --threads 2 -o {{out}} {bcf}"),
            "bcf",
        ),
    ] {
        let workload = format!("export {form} {name}");
        let out = |peer: &str| args.scratch.join(format!("export-{peer}.{ending}"));
        let line = |text: &str, peer: &str| {
            let out = out(peer).display().to_string();
            text.replace("{form}", form).replace("{out}", &out)
        };
        let asked = [("genokura", ours.as_str()), ("bcftools", theirs.as_str())];
        for repetition in 1..=args.repeat {
            for (peer, text) in asked {
                if args.skips(peer) || repetition > args.repetitions(peer) {
                    continue;
                }
                let line = line(text, peer);
                // What an earlier repetition or run left is in the way.
                measure::output(&format!("rm -f {}", out(peer).display()))?;
                let mut row = measure::shell(&workload, peer, repetition, &line)?;
                row.bytes = measure::size(&out(peer))?;
                rows.push(row);
            }
        }
        if asked.iter().all(|(peer, _)| out(peer).exists()) {
            compare(&out("genokura"), &out("bcftools"))?;
        }
        for (peer, _) in asked {
            measure::output(&format!("rm -f {}", out(peer).display()))?;
        }
    }
    Ok(rows)
}

fn compare(ours: &std::path::Path, theirs: &std::path::Path) -> anyhow::Result<()> {
    let records = |path: &std::path::Path| {
        measure::output(&format!("bcftools view -H {} | sha256sum", path.display()))
    };
    let (ours, theirs) = (records(ours)?, records(theirs)?);
    anyhow::ensure!(
        ours == theirs,
        "the exported records differ: genokura {ours}, bcftools {theirs}"
    );
    Ok(())
}
