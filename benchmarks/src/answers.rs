//! Answers are compared before anything is timed: equal counts on every row, or the run fails.

use std::path::Path;

use crate::RunArgs;
use crate::measure;

/// The cohort's name in reports: its file name without endings.
pub(crate) fn cohort_name(cohort: &Path) -> String {
    let name = cohort
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// Digest of AC and AN of every allele as the simulator counted them into INFO; read once per run,
/// because the text of the largest cohort has 22 GB.
///
/// # Errors
/// When the cohort cannot be read.
pub(crate) fn simulated_counts(args: &RunArgs) -> anyhow::Result<String> {
    measure::output(&format!(
        "bgzip -dc -@2 {} | LC_ALL=C cut -f 2,8 | grep -v '^##' | grep -v POS | awk -F'[\t;=]' \
         '{{ n = split($3, ac, \",\"); for (i = 1; i <= n; i++) print $1 \",\" i \",\" ac[i] \",\" $5 }}' \
         | LC_ALL=C sort | sha256sum",
        args.cohort.display()
    ))
}

/// Compares AC and AN of every allele with what the simulator counted.
///
/// # Errors
/// When any row differs.
pub(crate) fn compare_counts(args: &RunArgs, simulated: &str) -> anyhow::Result<()> {
    let ours = measure::output(&format!(
        "{} sql --lake {} --format csv -c 'SELECT vcf_pos, alt_index, ac, an FROM cohort.variants' \
         | tail -n +2 | LC_ALL=C sort | sha256sum",
        args.genokura.display(),
        args.scratch.join("lake").display()
    ))?;
    anyhow::ensure!(
        ours == simulated,
        "AC and AN differ: genokura {ours} and the simulator {simulated}"
    );
    Ok(())
}
