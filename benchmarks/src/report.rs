//! Raw rows to and from csv, and the summary: medians and ratios to genokura.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;

use crate::measure::{Row, median};

const HEADER: &str = "workload,peer,repetition,wall_s,cpu_s,peak_mib,bytes";

/// Writes raw.csv and summary.md.
///
/// # Errors
/// When the files cannot be written.
pub(crate) fn write(out: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let mut raw = format!("{HEADER}\n");
    for r in rows {
        writeln!(
            raw,
            "{},{},{},{:.4},{:.4},{:.1},{}",
            r.workload, r.peer, r.repetition, r.wall_s, r.cpu_s, r.peak_mib, r.bytes
        )?;
    }
    std::fs::write(out.join("raw.csv"), raw)?;
    std::fs::write(out.join("summary.md"), summary(rows))?;
    Ok(())
}

/// Reads a raw.csv.
///
/// # Errors
/// Names the line that is not a row.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Row>> {
    let text = std::fs::read_to_string(path)?;
    let lines = text.lines().enumerate().skip(1);
    lines
        .map(|(i, line)| parse(line).with_context(|| format!("line {}: {line}", i + 1)))
        .collect()
}

fn parse(line: &str) -> anyhow::Result<Row> {
    let fields: Vec<&str> = line.split(',').collect();
    let [workload, peer, repetition, wall_s, cpu_s, peak_mib, bytes] = fields.as_slice() else {
        anyhow::bail!("not seven fields");
    };
    Ok(Row {
        workload: (*workload).to_owned(),
        peer: (*peer).to_owned(),
        repetition: repetition.parse()?,
        wall_s: wall_s.parse()?,
        cpu_s: cpu_s.parse()?,
        peak_mib: peak_mib.parse()?,
        bytes: bytes.parse()?,
    })
}

/// One table: medians of every peer, and each peer's wall time over genokura's.
pub(crate) fn summary(rows: &[Row]) -> String {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in rows {
        let peers = groups.entry(&row.workload).or_default();
        if !peers.contains(&row.peer.as_str()) {
            peers.push(&row.peer);
        }
    }
    let mut text = String::from(
        "| workload | who | wall s | CPU s | peak MiB | MB on disk | wall / genokura |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for (workload, peers) in groups {
        let ours = peers
            .iter()
            .find(|p| p.starts_with("genokura"))
            .map_or(f64::NAN, |p| of(rows, workload, p, |r| r.wall_s));
        for peer in peers {
            let wall = of(rows, workload, peer, |r| r.wall_s);
            let line = format!(
                "| {workload} | {peer} | {wall:.3} | {:.2} | {:.0} | {:.1} | {:.2} |\n",
                of(rows, workload, peer, |r| r.cpu_s),
                of(rows, workload, peer, |r| r.peak_mib),
                of(rows, workload, peer, |r| megabytes(r.bytes)),
                wall / ours,
            );
            text.push_str(&line);
        }
    }
    text
}

fn of(rows: &[Row], workload: &str, peer: &str, value: impl Fn(&Row) -> f64) -> f64 {
    let values: Vec<f64> = rows
        .iter()
        .filter(|r| r.workload == workload && r.peer == peer)
        .map(value)
        .collect();
    median(&values)
}

#[expect(clippy::cast_precision_loss, reason = "a size in MB, for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_rows_come_back_and_ratios_are_to_genokura() -> anyhow::Result<()> {
        let row = |peer: &str, wall_s| Row {
            workload: "ingest".to_owned(),
            peer: peer.to_owned(),
            repetition: 1,
            wall_s,
            cpu_s: 1.0,
            peak_mib: 2.0,
            bytes: 3_000_000,
        };
        let rows = vec![row("genokura", 2.0), row("plink2", 6.0)];
        let dir = tempfile::tempdir()?;
        write(dir.path(), &rows)?;
        assert_eq!(read(&dir.path().join("raw.csv"))?, rows);
        assert!(summary(&rows).contains("| plink2 | 6.000 | 1.00 | 2 | 3.0 | 3.00 |"));
        Ok(())
    }
}
