//! Counts of simulated cohorts equal those of `bcftools +fill-tags` on every allele of every row.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::process::Command;

use support::{ingest, select, stdout_of};

/// `contig,pos,alt_index,ac,an,het,hom` of every allele as bcftools counts them. A haploid call of
/// the allele is homozygous here (bcftools calls it hemizygous), as documented for `n_hom_alt`.
fn bcftools_counts(vcf: &Path) -> Vec<String> {
    let tagged = stdout_of(
        Command::new("bcftools")
            .args(["+fill-tags", "-Ov"])
            .arg(vcf)
            .args(["--", "-t", "AC,AN,AC_Het,AC_Hom,AC_Hemi"]),
    );
    let mut lines = Vec::new();
    for line in tagged.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let tag = |name: &str| {
            let mut pairs = fields[7].split(';').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(key, _)| *key == name)
                .expect("the tag is filled")
                .1
        };
        let list = |name: &str| -> Vec<i64> {
            tag(name)
                .split(',')
                .map(|value| value.parse().unwrap())
                .collect()
        };
        let (ac, het, hom, hemi) = (list("AC"), list("AC_Het"), list("AC_Hom"), list("AC_Hemi"));
        for i in 0..ac.len() {
            let homozygous = hom[i] / 2 + hemi[i];
            let (contig, pos, an) = (fields[0], fields[1], tag("AN"));
            lines.push(format!(
                "{contig},{pos},{},{},{an},{},{homozygous}",
                i + 1,
                ac[i],
                het[i]
            ));
        }
    }
    lines.sort();
    lines
}

fn genokura_counts(lake: &Path) -> Vec<String> {
    let sql = "SELECT contig, vcf_pos, alt_index, ac, an, n_het, n_hom_alt \
               FROM cohort.variants WHERE alt_index > 0";
    let mut lines = select(lake, sql);
    lines.sort();
    lines
}

fn counts_agree(families: u32, seed: u64) {
    let dir = tempfile::tempdir().unwrap();
    let cohort = genokura_testdata::cohort(seed, families);
    let files = genokura_testdata::write_cohort(&cohort, &dir.path().join("source")).unwrap();
    let lake = dir.path().join("lake");
    ingest(&lake, &[&files.vcf]);
    let ours = genokura_counts(&lake);
    assert_eq!(
        ours.len() as u64,
        files.totals.alleles,
        "one row per ALT allele"
    );
    let theirs = bcftools_counts(&files.vcf);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn counts_of_the_quickstart_cohort_equal_fill_tags() {
    counts_agree(100, 1);
}

#[test]
fn counts_of_a_small_cohort_with_another_seed_equal_fill_tags() {
    counts_agree(7, 20_261_122);
}
