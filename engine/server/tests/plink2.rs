//! Counts over a cohort equal what plink2 makes of the same file: frequencies, Hardy-Weinberg test, inbreeding.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use support::{ingest, select, stdout_of};

/// A table that plink2 wrote: per variant id the named columns.
fn table(path: &Path, columns: &[&str]) -> BTreeMap<String, Vec<f64>> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let head = lines.next().unwrap().trim_start_matches('#');
    let head: Vec<&str> = head.split('\t').collect();
    let place = |name: &str| head.iter().position(|column| *column == name).unwrap();
    let id = place("ID");
    let places: Vec<usize> = columns.iter().map(|name| place(name)).collect();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let number = |at: &usize| fields[*at].parse().unwrap_or(f64::NAN);
        (fields[id].to_owned(), places.iter().map(number).collect())
    };
    lines.map(row).collect()
}

/// plink2 prints six digits.
fn alike(a: f64, b: f64) -> bool {
    (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-5 * a.abs().max(b.abs()).max(1e-30)
}

/// Autosomal variants with one ALT, over every other person: diploid, with missing and half calls.
#[test]
fn counts_over_a_cohort_equal_plink2() {
    let dir = tempfile::tempdir().unwrap();
    let cohort = genokura_testdata::cohort(5, 40);
    let files = genokura_testdata::write_cohort(&cohort, &dir.path().join("source")).unwrap();
    let vcf = dir.path().join("biallelic.vcf");
    let mut view = Command::new("bcftools");
    view.args(["view", "-Ov", "-m2", "-M2", "-t", "^chrX,chrY,chrM", "-o"]);
    stdout_of(view.arg(&vcf).arg(&files.vcf));
    let lake = dir.path().join("lake");
    ingest(&lake, &[&vcf]);

    let samples = select(
        &lake,
        "SELECT sample_id FROM cohort.samples ORDER BY sample_id",
    );
    let people: Vec<&str> = samples.iter().step_by(2).map(String::as_str).collect();
    let keep = dir.path().join("keep.txt");
    std::fs::write(&keep, people.join("\n")).unwrap();
    let out = dir.path().join("plink2");
    let mut plink2 = Command::new("plink2");
    plink2.args([
        "--threads",
        "1",
        "--vcf-half-call",
        "missing",
        "--output-chr",
        "chrM",
    ]);
    plink2.args([
        "--set-all-var-ids",
        "@:#:$r:$a",
        "--new-id-max-allele-len",
        "1000",
    ]);
    plink2.args([
        "--freq",
        "cols=altfreq,nobs",
        "--hardy",
        "--missing",
        "variant-only",
        "--vcf",
    ]);
    stdout_of(
        plink2
            .arg(&vcf)
            .arg("--keep")
            .arg(&keep)
            .arg("--out")
            .arg(&out),
    );
    let frequencies = table(&out.with_extension("afreq"), &["ALT_FREQS", "OBS_CT"]);
    let tests = table(
        &out.with_extension("hardy"),
        &["O(HET_A1)", "E(HET_A1)", "P"],
    );
    let missing = table(&out.with_extension("vmiss"), &["F_MISS"]);

    let list = format!("ARRAY['{}']", people.join("', '"));
    let functions = [
        "allele_frequency",
        "allele_number",
        "inbreeding",
        "hwe_p",
        "missing_rate",
    ];
    let functions = functions.map(|name| format!("gt_{name}(gt, {list})"));
    let ours = select(
        &lake,
        &format!(
            "SELECT contig, vcf_pos, vcf_ref, vcf_alts[1], {}, gt_missing_count(gt, {list}) \
             FROM cohort.variants",
            functions.join(", ")
        ),
    );
    assert!(ours.len() > 1000, "{}", ours.len());
    assert_eq!(ours.len(), frequencies.len());
    for line in &ours {
        let fields: Vec<&str> = line.split(',').collect();
        let id = fields[..4].join(":");
        let number = |at: usize| fields[at].parse().unwrap_or(f64::NAN);
        let whole = fields[9] == "0";
        // A half call counts its called allele here; plink2 was told to take it as missing.
        if whole {
            let [frequency, observed] = frequencies[&id][..] else {
                panic!("{id}")
            };
            assert!(alike(number(4), frequency), "{line} {frequency}");
            assert!(alike(number(5), observed), "{line} {observed}");
        }
        let [observed, expected, p] = tests[&id][..] else {
            panic!("{id}")
        };
        let inbreeding = 1.0 - observed / expected;
        // The difference of two numbers of six digits.
        let close = (number(6) - inbreeding).abs() < 2e-5;
        assert!(
            close || (number(6).is_nan() && inbreeding.is_nan()),
            "{line} {inbreeding}"
        );
        assert!(alike(number(7), p), "{line} {p}");
        assert!(
            alike(number(8), missing[&id][0]),
            "{line} {:?}",
            missing[&id]
        );
    }
}
