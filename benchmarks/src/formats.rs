//! Workload `formats`: bytes of each FORMAT key beside the same key in BCF; no times.
//!
//! A key's bytes in BCF are those of a file with GT and that key less those of a file with GT alone.
//! In the lake they are the compressed bytes of its column.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use crate::RunArgs;
use crate::answers;
use crate::measure::{self, Row};
use crate::peers::{bcftools, genokura};

/// The keys that `prepare --format full` writes besides GT.
const KEYS: [&str; 4] = ["AD", "DP", "GQ", "PL"];

/// Makes what is not there yet and reads the sizes.
///
/// # Errors
/// When a command fails, or the cohort lacks a key.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Vec<Row>> {
    let name = answers::cohort_name(&args.cohort);
    genokura::lake(args)?;
    let ours = columns(args)?;
    let bcf = bcftools::bcf(args)?;
    let gt_alone = kept(args, &bcf, "FORMAT/GT", "gt")?;
    let mut rows = Vec::new();
    let (mut all_ours, mut all_bcf) = (0, 0);
    for key in KEYS {
        let column = format!("fmt_{}", key.to_lowercase());
        let ours = ours
            .get(&column)
            .with_context(|| format!("the lake has no column {column}"))?;
        let theirs = kept(args, &bcf, &format!("FORMAT/GT,FORMAT/{key}"), key)? - gt_alone;
        let workload = format!("FORMAT {key} {name}");
        rows.push(Row::size(&workload, "genokura", *ours));
        rows.push(Row::size(&workload, "BCF", theirs));
        all_ours += ours;
        all_bcf += theirs;
    }
    let workload = format!("FORMAT {} {name}", KEYS.join(" "));
    rows.push(Row::size(&workload, "genokura", all_ours));
    rows.push(Row::size(&workload, "BCF", all_bcf));
    Ok(rows)
}

fn columns(args: &RunArgs) -> anyhow::Result<BTreeMap<String, u64>> {
    let text = measure::output(&format!(
        "{} {} {}",
        args.python.display(),
        concat!(env!("CARGO_MANIFEST_DIR"), "/parquet_columns.py"),
        args.scratch.join("lake/cohort/format").display()
    ))?;
    let line = |line: &str| {
        let (column, bytes) = line.split_once('\t').context("no tab")?;
        Ok((column.to_owned(), bytes.parse()?))
    };
    text.lines().map(line).collect()
}

/// Bytes of the BCF with some fields of it.
fn kept(args: &RunArgs, bcf: &Path, fields: &str, name: &str) -> anyhow::Result<u64> {
    let path = args.scratch.join(format!("{name}.bcf"));
    if !path.exists() {
        measure::output(&format!(
            "bcftools annotate -x ^{fields} -Ob -o {0}.part {1} && mv {0}.part {0}",
            path.display(),
            bcf.display()
        ))?;
    }
    measure::size(&path)
}
