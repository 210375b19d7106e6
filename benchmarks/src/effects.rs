//! Workload `effects`: filters on VEP's annotations, by SQL on `variant_effects` and by `bcftools +split-vep`.
//!
//! genokura is a warm server asked by psql; bcftools is a process that reads the bgzipped VCF. The number of transcripts
//! found is equal before anything is timed.

use crate::RunArgs;
use crate::measure::{self, Row};
use crate::peers::genokura;
use crate::startup::Server;

const RECORDS: usize = 200_000;
const TRANSCRIPTS: usize = 5;

/// Name, SQL that counts, and the filter of bcftools.
const QUESTIONS: [(&str, &str, &str); 3] = [
    (
        "missense",
        "SELECT count(*) FROM annotated.variant_effects \
         WHERE 'missense_variant' = ANY (consequences);",
        "Consequence~\"missense_variant\"",
    ),
    (
        "high impact and canonical",
        "SELECT count(*) FROM annotated.variant_effects \
         WHERE impact = 'HIGH' AND csq_canonical;",
        "IMPACT=\"HIGH\" && CANONICAL=\"YES\"",
    ),
    (
        "missense and rare",
        "SELECT count(*) FROM annotated.variant_effects \
         WHERE 'missense_variant' = ANY (consequences) AND csq_gnomade_af < 0.001;",
        "Consequence~\"missense_variant\" && gnomADe_AF<0.001",
    ),
];

/// Measures.
///
/// # Errors
/// When a command fails or an answer differs.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Vec<Row>> {
    let args = RunArgs {
        scratch: args.scratch.join("effects"),
        ..args.clone()
    };
    let vcf = args.scratch.join("annotated.vcf.gz");
    let vcf = vcf.display();
    if !args.scratch.join("lake").exists() {
        std::fs::create_dir_all(&args.scratch)?;
        let script = format!("{}/site_inputs.py", env!("CARGO_MANIFEST_DIR"));
        measure::output(&format!(
            "{} {script} {vcf} {RECORDS} {TRANSCRIPTS} \
             && {} ingest vcf --lake {} --dataset annotated --threads 2 {vcf}",
            args.python.display(),
            args.genokura.display(),
            args.scratch.join("lake").display(),
        ))?;
    }
    let mut server = Server::start(&args)?;
    let mut rows = Vec::new();
    for (name, sql, filter) in QUESTIONS {
        let workload = format!("annotations: {name}");
        let split = format!(
            "bcftools +split-vep -d -c Consequence,IMPACT,CANONICAL,gnomADe_AF:Float \
             -f '%POS\\n' -i '{filter}' {vcf} | wc -l"
        );
        let (found, expected) = (genokura::answer(&server, sql)?, measure::output(&split)?);
        anyhow::ensure!(
            found.trim() == expected.trim(),
            "{name}: genokura {found}, bcftools {expected}"
        );
        let seconds = genokura::seconds(&server, sql, args.repeat * 3)?;
        let times = (1..).zip(seconds);
        rows.extend(times.map(|(i, wall_s)| Row::warm(&workload, genokura::WARM, i, wall_s)));
        for i in 1..=args.repetitions("bcftools +split-vep") {
            rows.push(measure::shell(&workload, "bcftools +split-vep", i, &split)?);
        }
    }
    server.stop()?;
    Ok(rows)
}
