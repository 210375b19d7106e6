//! Workload `formats`: bytes of each FORMAT key beside the same key in BCF; no times.
//!
//! A key's bytes in BCF are those of a file with GT and that key less those of a file with GT alone, and
//! so for several keys: together they take more than one by one, since they stand side by side in a
//! record. In the lake they are the compressed bytes of the columns.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use crate::RunArgs;
use crate::answers;
use crate::measure::{self, Row};
use crate::peers::{bcftools, genokura};

/// Keys that `prepare --format full` writes besides GT, one by one and together.
const KEYS: [&[&str]; 6] = [
    &["AD"],
    &["DP"],
    &["GQ"],
    &["PL"],
    &["AD", "DP", "GQ"],
    &["AD", "DP", "GQ", "PL"],
];

/// Makes what is not there yet and reads the sizes.
///
/// # Errors
/// When a command fails, or the cohort lacks a key.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Vec<Row>> {
    let name = answers::cohort_name(&args.cohort);
    genokura::lake(args)?;
    let columns = columns(args)?;
    let bcf = bcftools::bcf(args)?;
    let gt_alone = kept(args, &bcf, &[])?;
    let mut rows = Vec::new();
    for keys in KEYS {
        let mut ours = 0;
        for key in keys {
            let column = format!("fmt_{}", key.to_lowercase());
            ours += columns
                .get(&column)
                .with_context(|| format!("the lake has no column {column}"))?;
        }
        let theirs = kept(args, &bcf, keys)? - gt_alone;
        let workload = format!("FORMAT {} of {name}", keys.join(" "));
        rows.push(Row::size(&workload, "genokura", ours));
        rows.push(Row::size(&workload, "BCF", theirs));
    }
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

/// Bytes of the BCF with GT and some keys; with all keys it is the file itself, which bcftools refuses
/// to take nothing out of.
fn kept(args: &RunArgs, bcf: &Path, keys: &[&str]) -> anyhow::Result<u64> {
    if KEYS.last() == Some(&keys) {
        return measure::size(bcf);
    }
    let name = ["GT"].iter().chain(keys).copied();
    let path = args.scratch.join(format!(
        "{}.bcf",
        name.clone().collect::<Vec<_>>().join("-")
    ));
    if !path.exists() {
        let fields: Vec<String> = name.map(|key| format!("FORMAT/{key}")).collect();
        measure::output(&format!(
            "bcftools annotate -x ^{2} -Ob -o {0}.part {1} && mv {0}.part {0}",
            path.display(),
            bcf.display(),
            fields.join(",")
        ))?;
    }
    measure::size(&path)
}
