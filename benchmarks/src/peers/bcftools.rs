//! bcftools: whole processes over its own indexed BCF.

use std::path::PathBuf;

use crate::RunArgs;
use crate::measure;

/// The BCF of the cohort with its index; made unless it is there.
///
/// # Errors
/// When bcftools fails.
pub(crate) fn bcf(args: &RunArgs) -> anyhow::Result<PathBuf> {
    let bcf = args.scratch.join("bcftools.bcf");
    let (path, cohort) = (bcf.display(), args.cohort.display());
    if !bcf.exists() {
        measure::output(&format!("bcftools view -Ob --threads 2 -o {path} {cohort}"))?;
    }
    if !args.scratch.join("bcftools.bcf.csi").exists() {
        measure::output(&format!("bcftools index {path}"))?;
    }
    Ok(bcf)
}

/// Copies of every allele among the people of a list: bcftools counts them again for the subset.
pub(crate) fn frequencies(bcf: &str, cohort: &str) -> String {
    format!("bcftools view -S {cohort} -Ou {bcf} | bcftools query -f '%POS\\t%REF\\t%ALT\\t%AC\\n'")
}

/// Genotypes of some people where any of them carries an ALT.
pub(crate) fn genotypes(bcf: &str, samples: &str) -> String {
    format!(
        "bcftools view -s {samples} -Ou {bcf} | bcftools view -i 'GT=\"alt\"' -Ou | \
         bcftools query -f '%POS\\t%REF\\t%ALT[\\t%GT]\\n'"
    )
}

/// Everybody who carries anything in a region, with the cohort's counts.
pub(crate) fn carriers(bcf: &str, region: &str) -> String {
    format!(
        "bcftools view -r {region} -Ou {bcf} | \
         bcftools query -i 'GT=\"alt\"' -f '[%POS\\t%REF\\t%ALT\\t%AC\\t%SAMPLE\\t%GT\\n]'"
    )
}

/// `pos, ref, alt, copies` of every allele that is there, from [`frequencies`].
///
/// # Errors
/// When a line is not as asked.
pub(crate) fn copies(text: &str) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [pos, reference, alternates, counts] = fields.as_slice() else {
            anyhow::bail!("bcftools wrote \"{line}\"");
        };
        for (alternate, count) in alternates.split(',').zip(counts.split(',')) {
            if count.parse::<u64>()? > 0 {
                lines.push(format!("{pos}\t{reference}\t{alternate}\t{count}"));
            }
        }
    }
    Ok(lines)
}

/// `pos, ref, alt, dosage` of the one person of [`genotypes`].
///
/// # Errors
/// When a line is not as asked.
pub(crate) fn dosages(text: &str) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let (site, genotypes) = cut(line, 3)?;
        for (number, alternate) in (1..).zip(site[2].split(',')) {
            let dosage = dosage(genotypes[0], number);
            if dosage > 0 {
                lines.push(format!("{}\t{}\t{alternate}\t{dosage}", site[0], site[1]));
            }
        }
    }
    Ok(lines)
}

/// `pos, ref, alt` of what the first of three people carries and the others do not, of [`genotypes`].
///
/// # Errors
/// When a line is not as asked.
pub(crate) fn new_in_first(text: &str) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let (site, genotypes) = cut(line, 3)?;
        for (number, alternate) in (1..).zip(site[2].split(',')) {
            let carries = |gt: &&str| dosage(gt, number) > 0;
            if carries(&genotypes[0]) && !genotypes[1..].iter().any(carries) {
                lines.push(format!("{}\t{}\t{alternate}", site[0], site[1]));
            }
        }
    }
    Ok(lines)
}

/// `pos, ref, alt, sample` of alleles below a count, of [`carriers`].
///
/// # Errors
/// When a line is not as asked.
pub(crate) fn rare(text: &str, copies_below: f64) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let (site, call) = cut(line, 4)?;
        let alternates = site[2].split(',').zip(site[3].split(','));
        for (number, (alternate, count)) in (1..).zip(alternates) {
            if count.parse::<f64>()? < copies_below && dosage(call[1], number) > 0 {
                lines.push(format!(
                    "{}\t{}\t{alternate}\t{}",
                    site[0], site[1], call[0]
                ));
            }
        }
    }
    Ok(lines)
}

type Cut<'a> = (Vec<&'a str>, Vec<&'a str>);

/// The first `n` fields and the others, of which there is one at least.
fn cut(line: &str, n: usize) -> anyhow::Result<Cut<'_>> {
    let mut fields: Vec<&str> = line.split('\t').collect();
    anyhow::ensure!(fields.len() > n, "bcftools wrote \"{line}\"");
    let rest = fields.split_off(n);
    Ok((fields, rest))
}

fn dosage(genotype: &str, number: u32) -> usize {
    let alleles = genotype.split(['|', '/']);
    alleles.filter(|a| a.parse() == Ok(number)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_by_allele() -> anyhow::Result<()> {
        assert_eq!(copies("5\tA\tC,T\t0,3\n")?, ["5\tA\tT\t3"]);
        assert_eq!(
            dosages("5\tA\tC,T\t1|2\n6\tG\tC\t1/1\n")?,
            ["5\tA\tC\t1", "5\tA\tT\t1", "6\tG\tC\t2"]
        );
        let trio = "5\tA\tC,T\t1|2\t0|0\t0|1\n6\tG\tC\t1|1\t0|0\t0|0\n7\tG\tC\t0|0\t0|1\t0|0\n";
        assert_eq!(new_in_first(trio)?, ["5\tA\tT", "6\tG\tC"]);
        let carriers = "5\tA\tC,T\t4,9\tS1\t1|2\n";
        assert_eq!(rare(carriers, 5.0)?, ["5\tA\tC\tS1"]);
        assert!(copies("5\tA").is_err() && dosages("5\tA\tC").is_err());
        Ok(())
    }
}
