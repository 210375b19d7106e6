//! Raw rows to and from csv, and the summary: medians and ratios to genokura.

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
        let has_comma = r.workload.contains(',') || r.peer.contains(',');
        anyhow::ensure!(
            !has_comma,
            "a name with a comma: {}, {}",
            r.workload,
            r.peer
        );
        writeln!(
            raw,
            "{},{},{},{:.5},{:.4},{:.1},{}",
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

/// Two tables: medians of times with each peer's wall time over genokura's, and sizes of what was not
/// timed with each peer's bytes over genokura's.
pub(crate) fn summary(rows: &[Row]) -> String {
    let (timed, sized): (Vec<Row>, Vec<Row>) = rows.iter().cloned().partition(|r| r.wall_s > 0.0);
    let mut text = String::new();
    if !timed.is_empty() {
        text.push_str(
            "| workload | who | wall s | CPU s | peak MiB | MB on disk | wall / genokura |\n\
             |---|---|---|---|---|---|---|\n",
        );
    }
    for (workload, peers) in groups(&timed) {
        let ours = first(&timed, workload, &peers, |r| r.wall_s);
        for peer in peers {
            let wall = of(&timed, workload, peer, |r| r.wall_s);
            text.push_str(&format!(
                "| {workload} | {peer} | {wall:.4} | {:.2} | {:.0} | {:.1} | {:.2} |\n",
                of(&timed, workload, peer, |r| r.cpu_s),
                of(&timed, workload, peer, |r| r.peak_mib),
                of(&timed, workload, peer, |r| megabytes(r.bytes)),
                wall / ours,
            ));
        }
    }
    if !sized.is_empty() {
        text.push_str("\n| what | who | MB | genokura / this |\n|---|---|---|---|\n");
    }
    for (workload, peers) in groups(&sized) {
        let ours = first(&sized, workload, &peers, |r| megabytes(r.bytes));
        for peer in peers {
            let size = of(&sized, workload, peer, |r| megabytes(r.bytes));
            let ratio = ours / size;
            text.push_str(&format!(
                "| {workload} | {peer} | {size:.2} | {ratio:.3} |\n"
            ));
        }
    }
    text
}

/// Workloads and their peers, as they come.
fn groups(rows: &[Row]) -> Vec<(&str, Vec<&str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in rows {
        let at = groups.iter().position(|(name, _)| *name == row.workload);
        let at = at.unwrap_or_else(|| {
            groups.push((&row.workload, Vec::new()));
            groups.len() - 1
        });
        if !groups[at].1.contains(&row.peer.as_str()) {
            groups[at].1.push(&row.peer);
        }
    }
    groups
}

/// The value of genokura that comes first.
fn first(rows: &[Row], workload: &str, peers: &[&str], value: fn(&Row) -> f64) -> f64 {
    let ours = peers.iter().find(|peer| peer.starts_with("genokura"));
    ours.map_or(f64::NAN, |peer| of(rows, workload, peer, value))
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
        let rows = vec![
            row("genokura", 2.0),
            row("plink2", 6.0),
            Row::size("stored", "genokura genotypes", 2_000_000),
            Row::size("stored", "plink2 .pgen", 8_000_000),
        ];
        let dir = tempfile::tempdir()?;
        write(dir.path(), &rows)?;
        assert_eq!(read(&dir.path().join("raw.csv"))?, rows);
        let text = summary(&rows);
        assert!(
            text.contains("| plink2 | 6.0000 | 1.00 | 2 | 3.0 | 3.00 |"),
            "{text}"
        );
        assert!(text.contains("| plink2 .pgen | 8.00 | 0.250 |"), "{text}");
        Ok(())
    }
}
