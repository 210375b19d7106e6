//! plink2: whole processes over its own .pgen, two threads.

use std::path::PathBuf;

use crate::RunArgs;
use crate::measure;

/// The .pgen set of the cohort, without its ending; made unless it is there.
///
/// # Errors
/// When plink2 fails.
pub(crate) fn pgen(args: &RunArgs) -> anyhow::Result<PathBuf> {
    let out = args.scratch.join("plink2/out");
    if !out.with_extension("pgen").exists() {
        measure::output(&format!(
            "mkdir -p {} && plink2 --vcf {} --make-pgen --threads 2 --out {}",
            args.scratch.join("plink2").display(),
            args.cohort.display(),
            out.display()
        ))?;
    }
    Ok(out)
}

/// Frequencies in the people of a list (names, a line each); they are written to `out`.afreq.
pub(crate) fn frequencies(pgen: &str, cohort: &str, out: &str) -> String {
    format!(
        "plink2 --pfile {pgen} --keep {cohort} --freq cols=pos,ref,alt,altfreq,nobs --threads 2 --out {out}"
    )
}

/// `pos, ref, alt, copies` of every allele that is there, from a .afreq file.
///
/// # Errors
/// When a line is not as plink2 writes it.
pub(crate) fn copies(afreq: &str) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    for line in afreq.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [pos, _, reference, alternates, frequencies, observed] = fields.as_slice() else {
            anyhow::bail!("plink2 wrote \"{line}\"");
        };
        let observed: f64 = observed.parse()?;
        for (alternate, frequency) in alternates.split(',').zip(frequencies.split(',')) {
            let copies = (frequency.parse::<f64>()? * observed).round();
            if copies > 0.0 {
                lines.push(format!("{pos}\t{reference}\t{alternate}\t{copies}"));
            }
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_each_allele() -> anyhow::Result<()> {
        let text = "#POS\tID\tREF\tALT\tALT_FREQS\tOBS_CT\n\
                    10\t.\tA\tC,T\t0.25,0\t8\n11\t.\tG\tA\t0.0001\t10000\n";
        assert_eq!(copies(text)?, ["10\tA\tC\t2", "11\tG\tA\t1"]);
        assert!(copies("10\tA\tC").is_err());
        Ok(())
    }
}
