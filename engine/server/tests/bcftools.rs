//! Counts, tests and families equal what bcftools makes of the same files: `+fill-tags` on every allele of every row,
//! `stats` of every sample, `+mendelian` of every trio.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;
use std::process::Command;

use support::{genokura, ingest, select, stdout_of};

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

/// The autosomes of a VCF, further restricted by options of `bcftools view`.
fn autosomes(source: &Path, to: &Path, options: &[&str]) {
    let sexless = "^X,Y,MT,chrX,chrY,chrM";
    stdout_of(
        Command::new("bcftools")
            .args(["view", "-Ov", "-t", sexless])
            .args(options)
            .arg("-o")
            .args([to, source]),
    );
}

/// A quickstart cohort: VCF and PED file.
fn quickstart(dir: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let cohort = genokura_testdata::cohort(3, 30);
    let files = genokura_testdata::write_cohort(&cohort, &dir.join("source")).unwrap();
    (files.vcf, dir.join("source").join("pedigree.ped"))
}

/// PSC of `bcftools stats` for diploid SNVs with one ALT: `sample,hom ref,hom alt,het,ts,tv,private,missing`.
#[test]
fn sample_qc_equals_psc_of_stats() {
    let dir = tempfile::tempdir().unwrap();
    let (source, _) = quickstart(dir.path());
    let snvs = dir.path().join("snvs.vcf");
    autosomes(&source, &snvs, &["-m2", "-M2", "-v", "snps"]);
    let lake = dir.path().join("lake");
    ingest(&lake, &[&snvs]);
    let ours = select(
        &lake,
        "SELECT sample_id, n_hom_ref, n_hom_alt, n_het, n_ts, n_tv, n_private, n_missing \
         FROM sample_qc('cohort') ORDER BY sample_id",
    );
    let stats = stdout_of(
        Command::new("bcftools")
            .args(["stats", "-s", "-"])
            .arg(&snvs),
    );
    let psc = stats.lines().filter(|line| line.starts_with("PSC\t"));
    let mut theirs: Vec<String> = psc
        .map(|line| {
            let f: Vec<&str> = line.split('\t').collect();
            [f[2], f[3], f[4], f[5], f[6], f[7], f[10], f[13]].join(",")
        })
        .collect();
    theirs.sort();
    assert!(theirs.len() > 50, "{}", theirs.len());
    assert_eq!(ours, theirs);
}

/// The exact test and missingness, to the digits that bcftools prints.
#[test]
fn hardy_weinberg_and_missingness_equal_fill_tags() {
    let dir = tempfile::tempdir().unwrap();
    let (source, _) = quickstart(dir.path());
    let biallelic = dir.path().join("biallelic.vcf");
    autosomes(&source, &biallelic, &["-m2", "-M2"]);
    let lake = dir.path().join("lake");
    ingest(&lake, &[&biallelic]);
    let mut ours = select(
        &lake,
        "SELECT contig, vcf_pos, gt_hwe_p(gt), gt_missing_rate(gt) FROM cohort.variants",
    );
    let mut tagged = Command::new("bcftools");
    tagged.args(["+fill-tags", "-Ou"]).arg(&biallelic);
    tagged
        .args(["--", "-t", "HWE,F_MISSING"])
        .stdout(std::process::Stdio::piped());
    let mut tagged = tagged.spawn().unwrap();
    let mut query = Command::new("bcftools");
    query.args(["query", "-f", "%CHROM,%POS,%HWE,%F_MISSING\\n"]);
    let mut theirs: Vec<String> = stdout_of(query.stdin(tagged.stdout.take().unwrap()))
        .lines()
        .map(str::to_owned)
        .collect();
    assert!(tagged.wait().unwrap().success());
    ours.sort();
    theirs.sort();
    assert!(ours.len() > 1000, "{}", ours.len());
    assert_eq!(ours.len(), theirs.len());
    let parts = |line: &str| -> (String, Vec<f64>) {
        let fields: Vec<&str> = line.split(',').collect();
        let numbers = fields[2..].iter().map(|text| text.parse().unwrap());
        (fields[..2].join(":"), numbers.collect())
    };
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let ((place, ours), (other, theirs)) = (parts(ours), parts(theirs));
        assert_eq!(place, other);
        for (a, b) in ours.iter().zip(&theirs) {
            assert!(
                (a - b).abs() <= 1e-5 * (1.0 + a.abs()),
                "{place}: {ours:?} {theirs:?}"
            );
        }
    }
}

/// `child,records,errors` of every trio, here and by `+mendelian`.
fn mendel_agrees(vcf: &Path, pedigree: &Path) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    ingest(&lake, &[vcf]);
    stdout_of(
        genokura()
            .args(["ingest", "pedigree", "--lake"])
            .args([&lake, pedigree]),
    );
    let ours = select(
        &lake,
        "SELECT child, n_ok + n_errors + n_skipped, n_errors FROM mendel_errors('cohort') ORDER BY child",
    );
    let trios = select(
        &lake,
        "SELECT mother, father, child FROM mendel_errors('cohort') ORDER BY child",
    );
    let mut theirs = Vec::new();
    for trio in &trios {
        let mut command = Command::new("bcftools");
        command
            .arg("+mendelian")
            .arg(vcf)
            .args(["-m", "c", "-t", trio]);
        let told = stdout_of(&mut command);
        let line = told.lines().find(|line| !line.starts_with('#')).unwrap();
        let f: Vec<&str> = line.split('\t').collect();
        let [ok, bad, skipped] = [f[0], f[1], f[2]].map(|text| text.parse::<u64>().unwrap());
        let child = trio.rsplit(',').next().unwrap();
        theirs.push(format!("{child},{},{bad}", ok + bad + skipped));
    }
    assert_eq!(ours, theirs);
    ours.len()
}

#[test]
fn mendelian_errors_equal_bcftools() {
    let dir = tempfile::tempdir().unwrap();
    let (source, pedigree) = quickstart(dir.path());
    let simulated = dir.path().join("autosomes.vcf");
    autosomes(&source, &simulated, &[]);
    assert!(mendel_agrees(&simulated, &pedigree) > 10);
}

/// The planted de novo variants of the quickstart cohort are found, and nothing else.
#[test]
fn de_novo_finds_what_was_planted() {
    let dir = tempfile::tempdir().unwrap();
    let (source, pedigree) = quickstart(dir.path());
    let lake = dir.path().join("lake");
    ingest(&lake, &[&source]);
    stdout_of(
        genokura()
            .args(["ingest", "pedigree", "--lake"])
            .args([&lake, &pedigree]),
    );
    let truth = std::fs::read_to_string(dir.path().join("source/de_novo_truth.csv")).unwrap();
    let place = |line: &str| line.split(',').take(5).collect::<Vec<_>>().join(",");
    let mut planted: Vec<String> = truth.lines().skip(1).map(place).collect();
    planted.sort();
    let mut found = select(
        &lake,
        "SELECT child, contig, pos, ref, alt FROM de_novo('cohort', 'ac = 1')",
    );
    found.sort();
    assert!(!planted.is_empty());
    assert_eq!(found, planted);
}

/// Files of other projects, beside the checkout when they are there: an Ashkenazi trio and Hail's list of errors.
#[test]
fn mendelian_errors_of_public_trios_equal_bcftools() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !shared.is_dir() {
        eprintln!("no ../shared/data beside the checkout: nothing to compare");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (vcf, pedigree, trios) in [
        ("slivar/ashk-trio.vcf.gz", "slivar/ashk-trio.ped", 1),
        ("hail/mendel.vcf", "hail/mendel.fam", 2),
    ] {
        let autosomal = dir.path().join("autosomes.vcf");
        autosomes(&shared.join(vcf), &autosomal, &[]);
        // Family 3 of Hail's file has a female father, which is refused: its first family is taken.
        let lines = std::fs::read_to_string(shared.join(pedigree)).unwrap();
        let first: Vec<&str> = lines.lines().take(5).collect();
        let ped = dir.path().join("first.ped");
        std::fs::write(&ped, first.join("\n")).unwrap();
        assert_eq!(mendel_agrees(&autosomal, &ped), trios, "{vcf}");
    }
}
