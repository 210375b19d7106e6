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

/// Compares AC and AN of every allele with the INFO fields that the simulator counted.
///
/// # Errors
/// When any row differs.
pub(crate) fn compare_counts(args: &RunArgs) -> anyhow::Result<()> {
    let ours = measure::output(&format!(
        "{} sql --lake {} --format csv -c 'SELECT vcf_pos, alt_index, ac, an FROM cohort.variants' \
         | tail -n +2 | LC_ALL=C sort | sha256sum",
        args.genokura.display(),
        args.scratch.join("lake").display()
    ))?;
    let theirs = measure::output(&format!(
        "bcftools query -f '%POS\\t%INFO/AC\\t%INFO/AN\\n' {} | awk -F'\\t' \
         '{{ n = split($2, ac, \",\"); for (i = 1; i <= n; i++) print $1 \",\" i \",\" ac[i] \",\" $3 }}' \
         | LC_ALL=C sort | sha256sum",
        args.cohort.display()
    ))?;
    anyhow::ensure!(
        ours == theirs,
        "AC and AN differ: genokura {ours} and the file {theirs}"
    );
    Ok(())
}
