//! Workload `panel`: the variants of a hundred genes in a cohort, by a join on a warm server and by `bcftools query -R`.
//!
//! Genes are 100 spans of 8 kb, a regular distance apart over the cohort's contig. The number of variants found is equal
//! before anything is timed.

use std::fmt::Write as _;

use anyhow::Context;

use crate::RunArgs;
use crate::answers;
use crate::measure::{self, Row};
use crate::peers::genokura;
use crate::startup::Server;

const GENES: i64 = 100;
const GENE_BP: i64 = 8_000;
const QUESTIONS: [(&str, &str); 3] = [
    (
        "count of each gene",
        "SELECT g.name, count(*), max(v.af) FROM kb.panel g JOIN cohort.variants v \
         ON v.contig = g.contig AND v.pos <= g.end_pos AND v.end_pos >= g.pos \
         GROUP BY g.name ORDER BY g.name;",
    ),
    (
        "rare variants of each gene",
        "SELECT g.name, v.contig, v.pos, v.ref, v.alt, v.ac, v.af FROM kb.panel g JOIN cohort.variants v \
         ON v.contig = g.contig AND v.pos <= g.end_pos AND v.end_pos >= g.pos WHERE v.af < 0.00005;",
    ),
    (
        "carriers of rare variants of each gene",
        "SELECT g.name, count(*), count(DISTINCT c.sample_id) FROM kb.panel g JOIN cohort.variants v \
         ON v.contig = g.contig AND v.pos <= g.end_pos AND v.end_pos >= g.pos \
         JOIN cohort.carriers c ON c.contig = v.contig AND c.pos = v.pos AND c.ref = v.ref AND c.alt = v.alt \
         WHERE v.af < 0.00005 GROUP BY g.name ORDER BY g.name;",
    ),
];

/// Measures.
///
/// # Errors
/// When a command fails or an answer differs.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Vec<Row>> {
    genokura::lake(args)?;
    let bed = args.scratch.join("panel.bed");
    let bed = bed.display();
    // The lake may be a new one, or have the genes already.
    std::fs::write(args.scratch.join("panel.bed"), panel(args)?)?;
    measure::output(&format!(
        "{} ingest regions --lake {} --table kb.panel --replace {bed}",
        args.genokura.display(),
        args.scratch.join("lake").display()
    ))?;
    let cohort = args.cohort.display();
    let mut server = Server::start(args)?;
    let mut rows = Vec::new();
    // All regions of a BED, each allele once: the simulator's genes do not overlap.
    let peer = format!("bcftools query -R {bed} -f '%ALT\\n' {cohort} | tr ',' '\\n'");
    if !args.skips("bcftools query -R") {
        let [(_, counts), ..] = QUESTIONS;
        let total = format!(
            "SELECT sum(n) FROM ({}) AS s (g, n, af);",
            counts.trim_end_matches(';')
        );
        let found = genokura::answer(&server, &total)?;
        let expected = measure::output(&format!("{peer} | wc -l"))?;
        anyhow::ensure!(
            found.trim() == expected.trim(),
            "genokura {found}, bcftools {expected}"
        );
    }
    for (name, sql) in QUESTIONS {
        let workload = format!(
            "panel of {GENES} genes: {name} {}",
            answers::cohort_name(&args.cohort)
        );
        let seconds = genokura::seconds(&server, sql, args.repeat * 5)?;
        let times = (1..).zip(seconds);
        rows.extend(times.map(|(i, wall_s)| Row::warm(&workload, genokura::WARM, i, wall_s)));
        if name == QUESTIONS[0].0 && !args.skips("bcftools query -R") {
            for i in 1..=args.repetitions("bcftools query -R") {
                rows.push(measure::shell(&workload, "bcftools query -R", i, &peer)?);
            }
        }
    }
    server.stop()?;
    Ok(rows)
}

/// The genes as BED.
fn panel(args: &RunArgs) -> anyhow::Result<String> {
    let positions = measure::output(&format!(
        "tabix -l {cohort}; bgzip -dc {cohort} | grep -v -m 1 '^#' | cut -f 2",
        cohort = args.cohort.display()
    ))?;
    let mut lines = positions.lines();
    let contig = lines.next().context("a cohort without a contig")?;
    let first: i64 = lines.next().context("a cohort without records")?.parse()?;
    let mut bed = String::new();
    for gene in 0..GENES {
        let start = first + gene * 2_000_000 / GENES;
        writeln!(bed, "{contig}\t{start}\t{}\tGENE{gene:03}", start + GENE_BP)?;
    }
    Ok(bed)
}
