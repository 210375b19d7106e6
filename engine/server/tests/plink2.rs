//! Counts over a cohort equal what plink2 makes of the same file: frequencies, Hardy-Weinberg test, inbreeding; those on
//! X, Y and the mitochondrial genome what it makes of an exported file set with the sexes of the pedigree.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use support::{genokura, ingest, run, select, stdout_of};

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

/// People in pairs of a man and a woman; every third person is a child of the first two.
const PEOPLE: usize = 12;

fn is_man(person: usize) -> bool {
    person.is_multiple_of(2)
}

/// Records of every kind of place: an autosome, X in and outside of its pseudoautosomal regions, Y, the mitochondrial
/// genome. A person has as many copies as belong there; some calls are missing.
fn every_place() -> String {
    let mut text = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=248956422>\n\
                    ##contig=<ID=chrX,length=156040895>\n##contig=<ID=chrY,length=57227415>\n\
                    ##contig=<ID=chrM,length=16569>\n\
                    ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"g\">\n\
                    #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
        .to_owned();
    for person in 0..PEOPLE {
        text.push_str(&format!("\tP{person}"));
    }
    // Begin of each place, and the copies of a man and of a woman.
    let places = [
        ("chr1", 1_000, [2, 2]),
        ("chrX", 20_000, [2, 2]),
        ("chrX", 5_000_000, [1, 2]),
        ("chrX", 155_800_000, [2, 2]),
        ("chrY", 5_000_000, [1, 0]),
        ("chrM", 100, [1, 1]),
    ];
    let mut random = 12_345_u64;
    let mut next = |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for (contig, begin, copies) in places {
        for site in 0..20 {
            let pos = begin + 10 * site;
            text.push_str(&format!("\n{contig}\t{pos}\t.\tA\tC\t.\t.\t.\tGT"));
            for person in 0..PEOPLE {
                let missing = next(8) == 0;
                let call = match copies[usize::from(!is_man(person))] {
                    0 => ".".to_owned(),
                    1 if missing => ".".to_owned(),
                    1 => next(2).to_string(),
                    _ if missing => "./.".to_owned(),
                    _ => format!("{}/{}", next(2), next(2)),
                };
                text.push_str(&format!("\t{call}"));
            }
        }
    }
    text + "\n"
}

#[test]
fn an_exported_file_set_is_counted_alike_on_the_sex_chromosomes() {
    let dir = tempfile::tempdir().unwrap();
    let (vcf, ped) = (dir.path().join("places.vcf"), dir.path().join("f.ped"));
    std::fs::write(&vcf, every_place()).unwrap();
    let line = |person: usize| {
        let (father, mother) = match person {
            _ if person % 3 != 2 => ("0", "0"),
            2 => ("P0", "P1"),
            // A mother whom nobody called.
            _ => ("P0", "ELSEWHERE"),
        };
        let sex = if is_man(person) { 1 } else { 2 };
        format!("F1\tP{person}\t{father}\t{mother}\t{sex}\t0\n")
    };
    std::fs::write(&ped, (0..PEOPLE).map(line).collect::<String>()).unwrap();
    let lake = dir.path().join("lake");
    ingest(&lake, &[&vcf]);
    let export = |prefix: &Path, more: &[&str]| {
        let mut command = genokura();
        command.args(["export", "bed", "--dataset", "cohort", "--lake"]);
        run(command.arg(&lake).args(more).arg("-o").arg(prefix))
    };
    let fam = |prefix: &Path| std::fs::read_to_string(prefix.with_extension("fam")).unwrap();
    let bare = dir.path().join("bare");
    assert!(export(&bare, &[]).status.success());
    assert_eq!(fam(&bare).lines().nth(2), Some("0\tP2\t0\t0\t0\t-9"));
    let mut command = genokura();
    command.args(["ingest", "pedigree", "--lake"]).arg(&lake);
    stdout_of(command.arg(&ped));
    let set = dir.path().join("set");
    assert!(export(&set, &[]).status.success());
    let lines = fam(&set);
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines[1], "F1\tP1\t0\t0\t2\t-9");
    assert_eq!(lines[2], "F1\tP2\tP0\tP1\t1\t-9");
    assert_eq!(lines[5], "F1\tP5\tP0\t0\t2\t-9");
    // Only who is written can be a parent; a pedigree may be left out, and one that there is not is told.
    let some = dir.path().join("some");
    assert!(export(&some, &["--samples", "P1,P2"]).status.success());
    assert_eq!(fam(&some), "F1\tP1\t0\t0\t2\t-9\nF1\tP2\t0\tP1\t1\t-9\n");
    let none = dir.path().join("none");
    assert!(export(&none, &["--pedigree", "none"]).status.success());
    assert_eq!(fam(&none), fam(&bare));
    for (table, told) in [
        ("clin.pedigre", "did you mean \"clin.pedigree\"?"),
        ("pedigree", "schema.table"),
        ("cohort.headers", "sample_id"),
    ] {
        let output = export(&dir.path().join("no"), &["--pedigree", table]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(told), "{error}");
    }

    let split = dir.path().join("split");
    let mut plink2 = Command::new("plink2");
    plink2.args([
        "--threads",
        "1",
        "--split-par",
        "hg38",
        "--make-pgen",
        "--bfile",
    ]);
    stdout_of(plink2.arg(&set).arg("--out").arg(&split));
    let mut plink2 = Command::new("plink2");
    plink2.args([
        "--threads",
        "1",
        "--nonfounders",
        "--freq",
        "counts",
        "--pfile",
    ]);
    stdout_of(plink2.arg(&split).arg("--out").arg(&split));
    let theirs = table(&split.with_extension("acount"), &["ALT_CTS", "OBS_CT"]);
    let ours = select(
        &lake,
        "SELECT contig, pos, ref, alt, ac, an FROM cohort.variants",
    );
    assert_eq!((ours.len(), theirs.len()), (120, 120));
    let mut of_y = 0.0;
    for line in &ours {
        let fields: Vec<&str> = line.split(',').collect();
        let id = fields[..4].join(":");
        let counts: Vec<f64> = fields[4..].iter().map(|n| n.parse().unwrap()).collect();
        assert_eq!(theirs[&id], counts, "{line}");
        of_y += if fields[0] == "chrY" { counts[1] } else { 0.0 };
    }
    assert!(of_y > 80.0, "{of_y}");
}
