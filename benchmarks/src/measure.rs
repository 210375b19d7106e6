//! Runs one command and measures wall time, CPU time and peak memory.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context;

/// One measured execution.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// Which question.
    pub workload: String,
    /// Who answered.
    pub peer: String,
    /// Which repetition, from 1.
    pub repetition: usize,
    /// Wall time in seconds.
    pub wall_s: f64,
    /// User and system CPU time in seconds, of the process and its children.
    pub cpu_s: f64,
    /// Peak resident memory in MiB; 0 when it was not measured.
    pub peak_mib: f64,
    /// Bytes of the result on disk, or 0.
    pub bytes: u64,
}

impl Row {
    /// A time taken inside a warm process, of which neither CPU nor memory is known.
    pub(crate) fn warm(workload: &str, peer: &str, repetition: usize, wall_s: f64) -> Self {
        Self {
            workload: workload.to_owned(),
            peer: peer.to_owned(),
            repetition,
            wall_s,
            cpu_s: 0.0,
            peak_mib: 0.0,
            bytes: 0,
        }
    }

    /// A size on disk.
    pub(crate) fn size(workload: &str, peer: &str, bytes: u64) -> Self {
        let row = Self::warm(workload, peer, 1, 0.0);
        Self { bytes, ..row }
    }
}

/// Runs a shell command under `time`, output thrown away.
///
/// # Errors
/// When the command cannot be started or fails: its error output is in the message.
pub(crate) fn shell(
    workload: &str,
    peer: &str,
    repetition: usize,
    line: &str,
) -> anyhow::Result<Row> {
    let report = tempfile_path(peer)?;
    let started = Instant::now();
    let output = Command::new("/usr/bin/time")
        .args(["-q", "-f", "%U %S %M", "-o"])
        .arg(&report)
        .args(["bash", "-c", line])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .context("cannot run /usr/bin/time: install the package \"time\"")?;
    let wall_s = started.elapsed().as_secs_f64();
    anyhow::ensure!(
        output.status.success(),
        "{line}\nfailed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (cpu_s, peak_mib) = parse_time(&std::fs::read_to_string(&report)?)?;
    std::fs::remove_file(&report)?;
    eprintln!(
        "{workload} {peer} #{repetition}: {wall_s:.2} s, {cpu_s:.2} s CPU, {peak_mib:.0} MiB"
    );
    Ok(Row {
        workload: workload.to_owned(),
        peer: peer.to_owned(),
        repetition,
        wall_s,
        cpu_s,
        peak_mib,
        bytes: 0,
    })
}

fn tempfile_path(peer: &str) -> anyhow::Result<std::path::PathBuf> {
    let name = format!("genokura-bench-{}-{peer}.time", std::process::id());
    Ok(std::env::temp_dir().join(name.replace([' ', '/'], "_")))
}

fn parse_time(text: &str) -> anyhow::Result<(f64, f64)> {
    let line = text.lines().last().context("time wrote nothing")?;
    let fields: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    match fields.as_slice() {
        [user, system, peak_kib] => Ok((user + system, peak_kib / 1024.0)),
        _ => anyhow::bail!("time wrote \"{line}\""),
    }
}

/// Output of a shell command as text.
///
/// # Errors
/// When the command fails.
pub(crate) fn output(line: &str) -> anyhow::Result<String> {
    let output = Command::new("bash")
        .args(["-c", line])
        .stdin(Stdio::null())
        .output()?;
    anyhow::ensure!(
        output.status.success(),
        "{line}\nfailed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// What was measured and on what: versions of all programs, cores and memory.
///
/// # Errors
/// When a program is missing.
pub(crate) fn versions(args: &crate::RunArgs) -> anyhow::Result<String> {
    output(&format!(
        "{} --version; bcftools --version | head -2; plink2 --version; bgzip --version | head -1; \
         psql --version; {} -c 'import duckdb, pyarrow; print(\"duckdb\", duckdb.__version__); \
         print(\"pyarrow\", pyarrow.__version__)'; echo \"datafusion {}\"; \
         {1} -c 'import polars_bio; print(\"polars-bio\", polars_bio.__version__)' 2>/dev/null; \
         if command -v bedtools >/dev/null; then bedtools --version; fi; \
         if command -v {3} >/dev/null; then {3} --version; fi; \
         echo \"$(nproc) cores, $(awk '/MemTotal/ {{ printf \"%.0f GiB\", $2 / 1048576 }}' /proc/meminfo)\"",
        args.genokura.display(),
        args.python.display(),
        datafusion::DATAFUSION_VERSION,
        args.vcf2zarr.display(),
    ))
}

/// Bytes of a file, or of everything below a directory.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn size(path: &Path) -> anyhow::Result<u64> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    std::fs::read_dir(path)?
        .map(|entry| size(&entry?.path()))
        .sum()
}

/// A count as a float.
#[expect(clippy::cast_precision_loss, reason = "counts of people are small")]
pub(crate) fn float(count: usize) -> f64 {
    count as f64
}

/// The median of measured values.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_even_and_none() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_command_is_measured_and_a_failure_is_told() -> anyhow::Result<()> {
        let row = shell("test", "true", 1, "true")?;
        assert!(row.wall_s >= 0.0 && row.peak_mib > 0.0);
        let error = shell("test", "false", 1, "echo oh >&2; false").err();
        assert!(error.is_some_and(|e| e.to_string().contains("oh")));
        Ok(())
    }
}
