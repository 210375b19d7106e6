//! Exports against their sources: every valid VCF and BCF of the shared data and property-made files
//! come back as `bcftools view` sees them; parts of a dataset are those that `bcftools view` selects.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod export_support;
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use export_support::made::{self, Shape};
use export_support::{Exported, bcftools, header_of, lines_of, manifest, shared, sorted};
use futures::StreamExt as _;
use genokura_exec::AccessContext;
use genokura_exec::records::Records;
use genokura_storage::Lake;

/// Files that are checked at once.
const JOBS: usize = 3;

/// Files of which `bcftools view` shows something else after the round trip, and why.
const DIFFERENT: &[(&str, &str)] = &[
    (
        "vcf-validator/v4.4/compressed_files/readable/passed/passed_compressed.vcf.gz",
        UNDECLARED,
    ),
    (
        "vcf-validator/v4.4/passed/passed_body_chrom.vcf",
        UNDECLARED,
    ),
    ("vcf-validator/v4.4/passed/passed_body_info.vcf", UNDECLARED),
    ("vcf-validator/v4.4/passed/passed_body_pos.vcf", UNDECLARED),
    ("vcf-validator/v4.4/passed/passed_body_ref.vcf", UNDECLARED),
    (
        "vcf-validator/v4.4/passed/passed_symbolic_duplicates.vcf",
        UNDECLARED,
    ),
];
const UNDECLARED: &str =
    "GL is not declared: bcftools keeps its text, the lake the numbers, and -0.00 comes back as -0";

/// Files that no VCF reader takes.
const REFUSED: &[(&str, &str)] = &[("pyvcf/example-4.1-bnd.vcf", "spaces in the #CHROM line")];

#[tokio::test(flavor = "multi_thread")]
async fn every_valid_file_of_the_shared_data_comes_back() {
    let Some(shared) = shared() else { return };
    let files = manifest(&shared);
    assert!(files.len() >= 600, "{} files", files.len());
    let checked: Vec<(String, Result<(), String>)> = futures::stream::iter(files)
        .map(|file| {
            let path = shared.join(&file);
            async move {
                let task = tokio::spawn(async move { round_trip(&path, 1).await });
                let outcome = task.await.unwrap_or_else(|e| Err(format!("panicked: {e}")));
                (file, outcome)
            }
        })
        .buffer_unordered(JOBS)
        .collect()
        .await;
    let count = checked.len();
    let mut wrong = Vec::new();
    for (file, outcome) in checked {
        let known = DIFFERENT
            .iter()
            .chain(REFUSED)
            .find(|(path, _)| *path == file);
        match (outcome, known) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Ok(()), Some((_, why))) => wrong.push(format!("{file}: is no exception: {why}")),
            (Err(what), None) => wrong.push(format!("{file}: {what}")),
        }
    }
    wrong.sort();
    let shown = wrong.join("\n");
    assert!(
        wrong.is_empty(),
        "{} of {count} files:\n{shown}",
        wrong.len()
    );
}

/// What differs between a file and its export, if anything. The indexes are asked for some contigs.
async fn round_trip(source: &Path, contigs_asked: usize) -> Result<(), String> {
    let exported = Exported::of(&[source]).await?;
    let text = exported.write("all.vcf.gz").await?;
    let Some(lines) = lines_of(source) else {
        return own_reading(source, &exported, &text).await;
    };
    let records = &exported.records;
    let kept = lines
        .into_iter()
        .filter(|line| position(line) <= i64::from(i32::MAX));
    let expected = sorted(kept.collect(), &contigs(records));
    let ours = lines_of(&text).ok_or("bcftools refuses the export")?;
    same_lines(&expected, &ours)?;
    same_lines(&header_of(source), &header_of(&text)).map_err(|e| format!("header: {e}"))?;
    check_index(&text, &ours, contigs_asked)?;
    let bcf = exported.write("all.bcf").await?;
    let ours = lines_of(&bcf).ok_or("bcftools refuses the BCF")?;
    same_lines(&expected, &ours).map_err(|e| format!("BCF: {e}"))?;
    declares_as_much(&header_of(source), &header_of(&bcf))?;
    check_index(&bcf, &ours, contigs_asked - 1)
}

/// The header of a BCF has every line of its source, and declares what the source only uses.
fn declares_as_much(source: &[String], ours: &[String]) -> Result<(), String> {
    let missing = source.iter().find(|line| !ours.contains(line));
    if let Some(line) = missing {
        return Err(format!("BCF header: it lacks {line}"));
    }
    let is_added = |line: &&String| {
        line.contains("Description=\"Dummy\"") || line.starts_with("##contig=<ID=")
    };
    let more = ours
        .iter()
        .filter(|line| !source.contains(line))
        .find(|line| !is_added(line));
    more.map_or(Ok(()), |line| {
        Err(format!("BCF header: it has {line} as well"))
    })
}

fn position(line: &str) -> i64 {
    line.split('\t')
        .nth(1)
        .and_then(|pos| pos.parse().ok())
        .unwrap_or(0)
}

fn contigs(records: &Records) -> BTreeMap<String, usize> {
    let contigs = records.state().contigs.iter().enumerate();
    contigs
        .map(|(rank, contig)| (contig.name.clone(), rank))
        .collect()
}

fn same_lines(expected: &[String], ours: &[String]) -> Result<(), String> {
    for (number, (expected, ours)) in expected.iter().zip(ours).enumerate() {
        if expected != ours {
            let cut = |line: &str| line.chars().take(300).collect::<String>();
            return Err(format!(
                "line {}\n    source {}\n    export {}",
                number + 1,
                cut(expected),
                cut(ours)
            ));
        }
    }
    match expected.len() == ours.len() {
        true => Ok(()),
        false => Err(format!(
            "{} lines, the source has {}",
            ours.len(),
            expected.len()
        )),
    }
}

/// A source that bcftools refuses is compared by its own text, column by column.
async fn own_reading(source: &Path, exported: &Exported, text: &Path) -> Result<(), String> {
    let refused = exported.quarantined_lines().await?;
    let body = export_support::text_of(source)?;
    let lines = body.lines().enumerate();
    let lines = lines.filter(|(number, line)| {
        !line.starts_with('#') && !line.is_empty() && !refused.contains(&(number + 1))
    });
    let lines = lines.map(|(_, line)| line.to_owned()).collect();
    let expected = sorted(lines, &contigs(&exported.records));
    let body = export_support::text_of(text)?;
    let ours: Vec<&str> = body.lines().filter(|line| !line.starts_with('#')).collect();
    if expected.len() != ours.len() {
        return Err(format!(
            "{} lines, the source has {}",
            ours.len(),
            expected.len()
        ));
    }
    for (expected, ours) in expected.iter().zip(ours) {
        if !export_support::reads_alike(expected, ours) {
            return Err(format!("\n    source {expected}\n    export {ours}"));
        }
    }
    Ok(())
}

/// The index leads bcftools to every record of each contig.
fn check_index(text: &Path, ours: &[String], contigs: usize) -> Result<(), String> {
    let mut of_contig: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    // A region begins at 1: none finds a record at the telomere, POS 0.
    for line in ours.iter().filter(|line| position(line) > 0) {
        let contig = line.split('\t').next().unwrap_or("");
        of_contig.entry(contig).or_default().push(line.clone());
    }
    let odd = |contig: &str| contig.contains([':', ',', '-', '{', '*']);
    for (contig, expected) in of_contig
        .iter()
        .filter(|(contig, _)| !odd(contig))
        .take(contigs)
    {
        let found = bcftools(&["view", "--no-version", "-H", "-r", contig], text)
            .ok_or("bcftools does not take the index")?;
        same_lines(expected, &found).map_err(|e| format!("index, contig {contig}: {e}"))?;
        let middle = position(&expected[expected.len() / 2]);
        let region = format!("{contig}:{middle}-{middle}");
        let found = bcftools(&["view", "--no-version", "-H", "-r", &region], text)
            .ok_or("bcftools does not take the index")?;
        let there = |line: &&String| position(line) == middle;
        let expected: Vec<String> = expected.iter().filter(there).cloned().collect();
        let found: Vec<String> = found.iter().filter(there).cloned().collect();
        same_lines(&expected, &found).map_err(|e| format!("index, region {region}: {e}"))?;
    }
    Ok(())
}

/// Writes a made file, compressed and indexed by bgzip and tabix.
fn indexed(folder: &Path, name: &str, text: &str) -> PathBuf {
    let plain = folder.join(name);
    std::fs::write(&plain, text).unwrap();
    support::stdout_of(Command::new("bgzip").arg("-f").arg(&plain));
    let path = folder.join(format!("{name}.gz"));
    support::stdout_of(Command::new("tabix").args(["-f", "-p", "vcf"]).arg(&path));
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn made_files_come_back() {
    for (seed, samples) in [(1, 0), (2, 1), (3, 7), (4, 70), (5, 13), (6, 3)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made.vcf");
        std::fs::write(&path, made::vcf(seed, samples, 60, Shape::Any)).unwrap();
        let outcome = round_trip(&path, 3).await;
        assert_eq!(outcome, Ok(()), "seed {seed}");
    }
}

/// Some samples, regions and a predicate, against `bcftools view -s -r -i`.
#[test]
fn parts_are_those_that_bcftools_selects() {
    let folder = tempfile::tempdir().unwrap();
    let source = indexed(
        folder.path(),
        "made.vcf",
        &made::vcf(11, 9, 300, Shape::Tame),
    );
    let lake = folder.path().join("lake");
    support::ingest(&lake, &[&source]);
    let cases: [(&[&str], &[&str]); 7] = [
        (&["--samples", "S3,S1,S8,S1"], &["-s", "S3,S1,S8"]),
        (&["--region", "2:100-900"], &["-r", "2:100-900"]),
        (
            &[
                "--region",
                "1:500-520",
                "--region",
                "1:510-",
                "--region",
                "3",
            ],
            &["-r", "1:500-520,1:510-,3"],
        ),
        (&["--where", "qual > 30"], &["-i", "QUAL>30"]),
        (
            &["--where", "array_has(filters, 'PASS') AND vcf_pos < 700"],
            &["-i", "FILTER=\"PASS\" && POS<700"],
        ),
        (&["--drop-genotypes"], &["-G"]),
        (
            &[
                "--samples",
                "S7",
                "--region",
                "1:200-2,000",
                "--where",
                "qual >= 10",
            ],
            &["-s", "S7", "-r", "1:200-2000", "-i", "QUAL>=10"],
        ),
    ];
    for (ours, theirs) in cases {
        for name in ["part.vcf.gz", "part.bcf"] {
            let kind = if name.ends_with("bcf") { "bcf" } else { "vcf" };
            let output = folder.path().join(name);
            let mut command = support::genokura();
            command.args(["export", kind, "--dataset", "cohort", "--force", "--lake"]);
            command.arg(&lake).args(ours).arg("-o").arg(&output);
            support::stdout_of(&mut command);
            let arguments = [&["view", "--no-version", "-H"], theirs].concat();
            let expected = bcftools(&arguments, &source).expect("bcftools selects");
            assert!(!expected.is_empty(), "{theirs:?}");
            let found = lines_of(&output).expect("bcftools reads the export");
            assert_eq!(same_lines(&expected, &found), Ok(()), "{ours:?} as {name}");
        }
    }
}

/// Contigs whose names hold ':' are those that htslib reads (as tabix has it: `bcftools view -r` 1.16 reads none), with
/// braces and without; what it finds ambiguous is refused.
#[test]
fn regions_of_contigs_with_colons_are_read_as_htslib_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/slt/lake/hla.vcf");
    let source = indexed(
        folder.path(),
        "hla.vcf",
        &std::fs::read_to_string(text).unwrap(),
    );
    let lake = folder.path().join("lake");
    support::ingest(&lake, &[&source]);
    let output = folder.path().join("part.vcf");
    for (region, records) in [
        ("HLA-A*01:01:01:01", Some(2)),
        ("HLA-A*01:01:01:01:1-9", Some(1)),
        ("HLA-A*02:259", Some(2)),
        ("HLA-A*02:259:259", Some(1)),
        ("{HLA-A*02:259}:1-100", Some(1)),
        ("HLA-B:7", None),
        ("{HLA-B}:7", Some(1)),
        ("{HLA-B:7}", Some(1)),
        ("HLA-B:7:20-", Some(1)),
        ("chr6:29942470", Some(1)),
    ] {
        let theirs = support::run(Command::new("tabix").arg(&source).arg(region));
        let said = String::from_utf8(theirs.stderr).unwrap();
        let expected = String::from_utf8(theirs.stdout).unwrap();
        let expected: Vec<String> = expected.lines().map(str::to_owned).collect();
        let expected = match said.contains("ambiguous") {
            true => None,
            false => Some(expected),
        };
        let mut command = support::genokura();
        command.args(["export", "vcf", "--dataset", "cohort", "--force", "--lake"]);
        command.arg(&lake).args(["--region", region]);
        let done = support::run(command.arg("-o").arg(&output));
        let found = done
            .status
            .success()
            .then(|| lines_of(&output).expect("bcftools reads the export"));
        assert_eq!(found, expected, "{region}");
        assert_eq!(found.map(|lines| lines.len()), records, "{region}");
    }
}

/// A query chooses samples; what does not exist is told with what was meant; nothing is overwritten.
#[test]
fn what_is_asked_for_is_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let source = indexed(
        folder.path(),
        "made.vcf",
        &made::vcf(12, 4, 20, Shape::Tame),
    );
    let lake = folder.path().join("lake");
    support::ingest(&lake, &[&source]);
    let output = folder.path().join("out.vcf");
    let export = |more: &[&str]| {
        let mut command = support::genokura();
        command
            .args(["export", "vcf", "--lake"])
            .arg(&lake)
            .args(more);
        support::run(command.arg("-o").arg(&output))
    };
    let said = |more: &[&str]| {
        let done = export(more);
        assert!(!done.status.success(), "{more:?}");
        assert!(!output.exists(), "{more:?}");
        String::from_utf8(done.stderr).unwrap()
    };
    let text = said(&["--dataset", "cohrt"]);
    assert!(text.contains("did you mean \"cohort\"?"), "{text}");
    let text = said(&["--dataset", "cohort", "--samples", "S1,S22"]);
    assert!(
        text.contains("there is no sample \"S22\"; did you mean \"S2\"?"),
        "{text}"
    );
    let text = said(&["--dataset", "cohort", "--samples", "T1"]);
    assert!(
        text.contains("there is no sample \"T1\"; did you mean \"S1\"?"),
        "{text}"
    );
    let text = said(&["--dataset", "cohort", "--region", "chr1:5"]);
    assert!(text.contains("did you mean \"1\"?"), "{text}");
    let text = said(&["--dataset", "cohort", "--region", "1:9-5"]);
    assert!(
        text.contains("--region: region \"1:9-5\" ends before it starts"),
        "{text}"
    );
    for unbalanced in [
        "ac > 0) OR (true",
        "ac > 0) ORDER BY (1",
        "ac > 0 --)\n) -- (",
        "",
        "ac > 0; true",
    ] {
        let text = said(&["--dataset", "cohort", "--where", unbalanced]);
        assert!(text.contains("--where: "), "{text}");
        assert!(text.contains("syntax error"), "{unbalanced}: {text}");
    }
    let text = said(&["--dataset", "cohort", "--where", "qul > 3"]);
    assert!(text.contains("qul"), "{text}");
    // A predicate is over the columns that `variants` has in SQL.
    for column in ["source", "record"] {
        let text = said(&["--dataset", "cohort", "--where", &format!("{column} >= 0")]);
        assert!(
            text.contains(&format!("column \"{column}\" does not exist")),
            "{text}"
        );
    }
    let query = "SELECT sample_id FROM cohort.samples WHERE sample_id > 'S1' ORDER BY 1 DESC";
    let done = export(&["--dataset", "cohort", "--samples-sql", query]);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let text = std::fs::read_to_string(&output).unwrap();
    let columns = text
        .lines()
        .find(|line| line.starts_with("#CHROM"))
        .unwrap();
    assert!(columns.ends_with("\tFORMAT\tS3\tS2"), "{columns}");
    let again = export(&["--dataset", "cohort"]);
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(
        said.contains("is there already") && said.contains("--force"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(&output).unwrap(), text);
    let left = std::fs::read_dir(folder.path()).unwrap();
    let left = left.filter(|e| {
        e.as_ref()
            .unwrap()
            .path()
            .extension()
            .is_some_and(|x| x == "part")
    });
    assert_eq!(left.count(), 0);
}

/// A lake that keeps cohorts is exported from as one without, and a cohort chooses samples; one that is called as the
/// table of `--where` does not take its place.
#[test]
fn a_lake_with_cohorts_is_selected_from() {
    let folder = tempfile::tempdir().unwrap();
    let made = made::vcf(12, 4, 20, Shape::Tame);
    let source = indexed(folder.path(), "made.vcf", &made);
    let lake = folder.path().join("lake");
    support::ingest(&lake, &[&source]);
    let export = |kind: &str, name: &str, more: &[&str]| {
        let output = folder.path().join(name);
        let mut command = support::genokura();
        command.args(["export", kind, "--dataset", "cohort", "--lake"]);
        command.arg(&lake).args(more).arg("-o").arg(&output);
        support::stdout_of(&mut command);
        let held = match kind {
            "bed" => output.with_extension("bed"),
            _ => output,
        };
        std::fs::read(held).unwrap()
    };
    let by_query = "SELECT sample_id FROM cohort.samples WHERE sample_id IN ('S1', 'S3')";
    let kinds = [
        ("vcf", ["a.vcf", "b.vcf"]),
        ("bcf", ["a.bcf", "b.bcf"]),
        ("bed", ["a", "b"]),
    ];
    let predicate = ["--where", "ac > 1"];
    let before = kinds.map(|(kind, [name, _])| export(kind, name, &predicate));
    let chosen = export("vcf", "c.vcf", &["--samples-sql", by_query]);
    for cohort in ["variants", "two"] {
        let sql = format!("CREATE COHORT {cohort} AS {by_query}");
        let mut command = support::genokura();
        support::stdout_of(command.args(["sql", "-c", &sql, "--lake"]).arg(&lake));
    }
    for ((kind, [_, name]), before) in kinds.into_iter().zip(before) {
        assert!(!before.is_empty());
        assert_eq!(export(kind, name, &predicate), before, "{kind}");
    }
    let by_cohort = "SELECT sample_id FROM two";
    for (sql, name) in [(by_query, "d.vcf"), (by_cohort, "e.vcf")] {
        assert_eq!(
            export("vcf", name, &["--samples-sql", sql]),
            chosen,
            "{sql}"
        );
    }
}

const TWO_BATCHES: [&str; 2] = [
    "##fileformat=VCFv4.2\n##contig=<ID=1,length=1000>\n\
     ##INFO=<ID=DP,Number=1,Type=Integer,Description=\"d\">\n\
     ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"g\">\n\
     #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\tB\n\
     1\t5\tx\tA\tC\t9\tPASS\tDP=3\tGT\t0/1\t0\n\
     1\t7\t.\tACCCCCCCCC\tACCCCCCCCG\t.\t.\t.\tGT\t0/0\t1/1\n\
     1\t9\t.\tC\tT\t.\t.\t.\tGT\t0/1\t0/0\n",
    "##fileformat=VCFv4.3\n##contig=<ID=1,length=1000>\n##contig=<ID=2,length=10>\n\
     ##FORMAT=<ID=DP,Number=1,Type=Integer,Description=\"d\">\n\
     ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"g\">\n\
     #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tC\n\
     1\t5\ty\tA\tC\t1\tLOW\tDP=8\tDP:GT\t7:1|1\n\
     1\t8\t.\tC\tT\t.\t.\t.\tGT\t./.\n\
     2\t1\t.\tG\tA\t.\t.\t.\tGT\t0/1\n",
];

/// Records of two batches with different samples are one record; the order is that of POS, though the
/// allele of one record lies to the right of the next.
#[tokio::test(flavor = "multi_thread")]
async fn batches_are_merged() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Arc::new(Lake::memory());
    for (i, text) in TWO_BATCHES.iter().enumerate() {
        let path = folder.path().join(format!("{i}.vcf"));
        std::fs::write(&path, text).unwrap();
        export_support::load(&lake, &[&path]).await.unwrap();
    }
    let all = Exported::open(Arc::clone(&lake), AccessContext::default())
        .await
        .unwrap();
    let text = std::fs::read_to_string(all.write("all.vcf").await.unwrap()).unwrap();
    let expected = "##fileformat=VCFv4.3\n##contig=<ID=1,length=1000>\n##contig=<ID=2,length=10>\n\
        ##INFO=<ID=DP,Number=1,Type=Integer,Description=\"d\">\n\
        ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"g\">\n\
        ##FORMAT=<ID=DP,Number=1,Type=Integer,Description=\"d\">\n\
        #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\tB\tC\n\
        1\t5\tx\tA\tC\t9\tPASS\tDP=3\tGT:DP\t0/1:.\t0:.\t1|1:7\n\
        1\t7\t.\tACCCCCCCCC\tACCCCCCCCG\t.\t.\t.\tGT\t0/0\t1/1\t./.\n\
        1\t8\t.\tC\tT\t.\t.\t.\tGT\t./.\t./.\t./.\n\
        1\t9\t.\tC\tT\t.\t.\t.\tGT\t0/1\t0/0\t./.\n\
        2\t1\t.\tG\tA\t.\t.\t.\tGT\t./.\t./.\t0/1\n";
    assert_eq!(text, expected);
    // Somebody who may see B and C only gets no number of A.
    let visible = [("ds".to_owned(), ["B".to_owned(), "C".to_owned()].into())];
    let some = Exported::open(lake, AccessContext::only("reader", visible))
        .await
        .unwrap();
    let columns = some.records.select(0..2);
    let text = some.part("some.vcf", None, columns, true).await.unwrap();
    let text = std::fs::read_to_string(text).unwrap();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("##"))
        .collect();
    assert!(lines[0].ends_with("FORMAT\tB\tC"), "{}", lines[0]);
    // QUAL and INFO were computed over A too.
    let first = "1\t5\tx\tA\tC\t.\tPASS\tAC=2;AN=3\tGT:DP\t0:.\t1|1:7";
    assert_eq!(lines[1], first);
    assert_eq!(lines[4], "1\t9\t.\tC\tT\t.\t.\tAC=0;AN=2\tGT\t0/0\t./.");
}

/// Two inputs that define keys in other ways; each key is in the records of both.
const DEFINED_OTHERWISE: [&str; 2] = [
    "##fileformat=VCFv4.2\n##contig=<ID=1,length=1000>\n\
     ##INFO=<ID=IF,Number=1,Type=Integer,Description=\"whole, then float\">\n\
     ##INFO=<ID=FI,Number=1,Type=Float,Description=\"float, then whole\">\n\
     ##INFO=<ID=BIG,Number=1,Type=Float,Description=\"float, then long whole\">\n\
     ##INFO=<ID=IS,Number=A,Type=Integer,Description=\"whole, then text\">\n\
     ##INFO=<ID=FL,Number=0,Type=Flag,Description=\"flag, then whole\">\n\
     ##INFO=<ID=ST,Number=1,Type=String,Description=\"text, then flag\">\n\
     ##INFO=<ID=N,Number=1,Type=Integer,Description=\"one, then as many as ALT\">\n\
     ##INFO=<ID=SAME,Number=1,Type=Integer,Description=\"the same\">\n\
     ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"g\">\n\
     ##FORMAT=<ID=IF,Number=1,Type=Integer,Description=\"whole, then float\">\n\
     ##FORMAT=<ID=FI,Number=1,Type=Float,Description=\"float, then whole\">\n\
     ##FORMAT=<ID=BIG,Number=1,Type=Integer,Description=\"long whole, then float\">\n\
     ##FORMAT=<ID=IS,Number=1,Type=Integer,Description=\"whole, then text\">\n\
     ##FORMAT=<ID=AD,Number=R,Type=Integer,Description=\"by allele, then any\">\n\
     #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\tB\n\
     1\t5\t.\tA\tC\t.\t.\tIF=3;FI=0.25;BIG=0.5;IS=7;FL;ST=x,y;N=4;SAME=1\tGT:IF:FI:BIG:IS:AD\t0/1:5:0.5:16777217:4:3,4\t0/0:.:1:-7:.:9,0\n\
     1\t7\t.\tA\tC,G\t.\t.\tIF=-999999;FI=3;IS=7,8\tGT:AD\t0/2:1,2,3\t./.:.\n",
    "##fileformat=VCFv4.3\n##contig=<ID=1,length=1000>\n\
     ##INFO=<ID=IF,Number=1,Type=Float,Description=\"other\">\n\
     ##INFO=<ID=FI,Number=1,Type=Integer,Description=\"other\">\n\
     ##INFO=<ID=BIG,Number=1,Type=Integer,Description=\"other\">\n\
     ##INFO=<ID=IS,Number=1,Type=String,Description=\"other\">\n\
     ##INFO=<ID=FL,Number=1,Type=Integer,Description=\"other\">\n\
     ##INFO=<ID=ST,Number=0,Type=Flag,Description=\"other\">\n\
     ##INFO=<ID=N,Number=A,Type=Integer,Description=\"other\">\n\
     ##INFO=<ID=SAME,Number=1,Type=Integer,Description=\"described otherwise\">\n\
     ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"g\">\n\
     ##FORMAT=<ID=IF,Number=1,Type=Float,Description=\"other\">\n\
     ##FORMAT=<ID=FI,Number=1,Type=Integer,Description=\"other\">\n\
     ##FORMAT=<ID=BIG,Number=1,Type=Float,Description=\"other\">\n\
     ##FORMAT=<ID=IS,Number=1,Type=String,Description=\"other\">\n\
     ##FORMAT=<ID=AD,Number=.,Type=Integer,Description=\"other\">\n\
     #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tC\n\
     1\t5\t.\tA\tC\t.\t.\tIF=1\tGT:IF:FI:BIG:IS:AD\t1/1:0.125:12:0.5:abc:1,2,3\n\
     1\t8\t.\tA\tC,G\t.\t.\tIF=0.5;FI=999999;BIG=16777217;IS=a/b;FL=12;ST;N=1,2;SAME=2\tGT:FI\t1/2:3\n\
     1\t9\t.\tA\tC\t.\t.\tIF=2;FI=-5;BIG=1234567;IS=.;FL=-1\tGT:IF:BIG\t0/1:2:1.5\n",
];

/// Keys that two inputs define in other ways come back in a header that bcftools reads, with every value
/// of both, in one batch and in two, whichever comes first.
#[tokio::test(flavor = "multi_thread")]
async fn keys_defined_otherwise_are_widened() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = (0..2)
        .map(|i| folder.path().join(format!("{i}.vcf")))
        .collect();
    for (path, text) in paths.iter().zip(DEFINED_OTHERWISE) {
        std::fs::write(path, text).unwrap();
    }
    let sources: Vec<Vec<String>> = paths.iter().map(|path| values(path)).collect();
    for (order, batches) in [([0, 1], 2), ([1, 0], 2), ([0, 1], 1)] {
        let lake = Arc::new(Lake::memory());
        let inputs: Vec<&Path> = order.iter().map(|i| paths[*i].as_path()).collect();
        for inputs in inputs.chunks(3 - batches) {
            export_support::load(&lake, inputs).await.unwrap();
        }
        let all = Exported::open(lake, AccessContext::default())
            .await
            .unwrap();
        for name in ["all.vcf", "all.bcf"] {
            let written = all.write(name).await.unwrap();
            let header = header_of(&written);
            for (kind, id, number, ty) in [
                ("INFO", "IF", "1", "Float"),
                ("INFO", "FI", "1", "Float"),
                ("INFO", "BIG", "1", "String"),
                ("INFO", "IS", ".", "String"),
                ("INFO", "FL", ".", "String"),
                ("INFO", "ST", ".", "String"),
                ("INFO", "N", ".", "Integer"),
                ("INFO", "SAME", "1", "Integer"),
                ("FORMAT", "GT", "1", "String"),
                ("FORMAT", "IF", "1", "Float"),
                ("FORMAT", "FI", "1", "Float"),
                ("FORMAT", "BIG", "1", "String"),
                ("FORMAT", "IS", "1", "String"),
                ("FORMAT", "AD", ".", "Integer"),
            ] {
                let start = format!("##{kind}=<ID={id},Number={number},Type={ty},");
                let found = header
                    .iter()
                    .filter(|line| line.starts_with(&start))
                    .count();
                assert_eq!(found, 1, "{name} {order:?} {start} {header:#?}");
            }
            let ours = values(&written);
            for (number, source) in sources.iter().enumerate() {
                // Of two inputs with the record, INFO is that of the first.
                let is_later = |value: &str| value.starts_with("1:5 INFO") && number != order[0];
                for value in source.iter().filter(|value| !is_later(value)) {
                    let said = || format!("{name} {order:?} of {number}: {value} {ours:#?}");
                    assert!(ours.contains(value), "{}", said());
                }
            }
        }
    }
}

/// Every value of a file as bcftools reads it: `contig:pos INFO KEY=value`, `contig:pos SAMPLE KEY=value`.
fn values(file: &Path) -> Vec<String> {
    let lines = lines_of(file).expect("bcftools reads the file");
    let header = header_of(file);
    let names: Vec<&str> = header.last().unwrap().split('\t').skip(9).collect();
    let mut values = Vec::new();
    for line in lines {
        let columns: Vec<&str> = line.split('\t').collect();
        let place = format!("{}:{}", columns[0], columns[1]);
        values.extend(
            columns[7]
                .split(';')
                .map(|entry| format!("{place} INFO {entry}")),
        );
        let keys: Vec<&str> = columns[8].split(':').collect();
        for (name, column) in names.iter().zip(&columns[9..]) {
            for (key, value) in keys.iter().zip(column.split(':')) {
                values.push(format!("{place} {name} {key}={value}"));
            }
        }
    }
    values
}

/// The genotypes of a PLINK 1 file set are those of the VCF, ALT by ALT.
#[test]
fn a_bed_holds_the_copies_of_each_alt() {
    let folder = tempfile::tempdir().unwrap();
    let text = "##fileformat=VCFv4.2\n##contig=<ID=1,length=1000>\n\
        ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"g\">\n\
        #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\tB\tC\tD\tE\n\
        1\t5\trs5\tA\tC\t.\t.\t.\tGT\t0/1\t0|0\t1/1\t./1\t1\n\
        1\t6\trs6\tA\tC,G\t.\t.\t.\tGT\t0/2\t1|2\t2/2\t0/1/1\t0\n";
    let source = indexed(folder.path(), "made.vcf", text);
    let lake = folder.path().join("lake");
    support::ingest(&lake, &[&source]);
    let prefix = folder.path().join("set");
    let mut command = support::genokura();
    command
        .args(["export", "bed", "--dataset", "cohort", "--lake"])
        .arg(&lake);
    let done = support::run(command.arg("-o").arg(&prefix));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
    assert!(said.contains("1 calls"), "{said}");
    // Two bits a sample, the first in the lowest: 00 two copies, 10 one, 11 none, 01 missing.
    let expected = [
        0x6c,
        0x1b,
        0x01, // magic, variant after variant
        0b01_00_11_10,
        0b00, // C of rs5
        0b01_11_10_11,
        0b11, // C of rs6
        0b01_00_10_10,
        0b11, // G of rs6
    ];
    let read = |end: &str| std::fs::read(folder.path().join(format!("set.{end}"))).unwrap();
    assert_eq!(read("bed"), expected);
    let bim = "1\trs5\t0\t5\tC\tA\n1\t1:6:A:C\t0\t6\tC\tA\n1\t1:6:A:G\t0\t6\tG\tA\n";
    assert_eq!(String::from_utf8(read("bim")).unwrap(), bim);
    let fam = String::from_utf8(read("fam")).unwrap();
    assert_eq!(fam.lines().nth(1), Some("0\tB\t0\t0\t0\t-9"));
    plink2_reads(&prefix);
}

/// plink2 counts in the file set of [`a_bed_holds_the_copies_of_each_alt`] what the VCF says.
fn plink2_reads(prefix: &Path) {
    let mut command = Command::new("plink2");
    command.args(["--threads", "1", "--geno-counts", "--bfile"]);
    let done = support::run(command.arg(prefix).arg("--out").arg(prefix));
    assert!(done.status.success(), "{done:?}");
    let counts = std::fs::read_to_string(prefix.with_extension("gcount")).unwrap();
    let counts: Vec<&str> = counts.lines().collect();
    // Homozygous reference, heterozygous, homozygous ALT; haploid reference and ALT; missing.
    let expected = [
        "#CHROM\tID\tREF\tALT\tHOM_REF_CT\tHET_REF_ALT_CTS\tTWO_ALT_GENO_CTS\tHAP_REF_CT\tHAP_ALT_CTS\tMISSING_CT",
        "1\trs5\tA\tC\t1\t1\t2\t0\t0\t1",
        "1\t1:6:A:C\tA\tC\t3\t1\t0\t0\t0\t1",
        "1\t1:6:A:G\tA\tG\t1\t2\t1\t0\t0\t1",
    ];
    assert_eq!(counts, expected);
}

/// Positions that a tbi index cannot hold have a csi index, and bcftools finds them by it.
#[test]
fn a_long_contig_has_an_index_that_finds_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "##fileformat=VCFv4.3\n##contig=<ID=long,length=2100000000>\n\
        #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        .to_owned();
    let places = [
        5,
        536_870_911,
        536_870_912,
        536_870_913,
        1_900_000_000,
        2_099_999_999,
    ];
    for pos in places {
        text.push_str(&format!("long\t{pos}\t.\tA\tC\t.\t.\t.\n"));
    }
    let source = folder.path().join("long.vcf");
    std::fs::write(&source, text).unwrap();
    let lake = folder.path().join("lake");
    support::ingest(&lake, &[&source]);
    for name in ["long.vcf.gz", "long.bcf"] {
        let output = folder.path().join(name);
        let mut command = support::genokura();
        let kind = if name.ends_with("bcf") { "bcf" } else { "vcf" };
        command.args(["export", kind, "--dataset", "cohort", "--lake"]);
        support::stdout_of(command.arg(&lake).arg("-o").arg(&output));
        assert!(folder.path().join(format!("{name}.csi")).exists());
        for pos in places {
            let region = format!("long:{pos}-{pos}");
            let found = bcftools(&["view", "--no-version", "-H", "-r", &region], &output);
            let found = found.expect("bcftools takes the index");
            let found: Vec<i64> = found.iter().map(|line| position(line)).collect();
            assert_eq!(found, [pos], "{name}");
        }
    }
}

/// An export that is killed leaves nothing under its name; the next one is whole.
#[test]
fn a_killed_export_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("made.vcf");
    std::fs::write(&source, made::vcf(21, 200, 700, Shape::Tame)).unwrap();
    let lake = folder.path().join("lake");
    support::ingest(&lake, &[&source]);
    let output = folder.path().join("out").join("all.vcf.gz");
    std::fs::create_dir(output.parent().unwrap()).unwrap();
    let mut command = support::genokura();
    command.args(["export", "vcf", "--dataset", "cohort", "--lake"]);
    command.arg(&lake).arg("-o").arg(&output);
    command.stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    // As soon as it writes: something under a temporary name, nothing under its own.
    let begun = std::time::Instant::now();
    let written = || std::fs::read_dir(output.parent().unwrap()).unwrap().count();
    while written() == 0 {
        assert!(begun.elapsed().as_secs() < 60, "it does not begin");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    let status = child.wait().unwrap();
    let there = output.exists();
    assert!(
        there == status.success(),
        "{status}: killed after its last step, or no file"
    );
    let done = support::run(command.arg("--force"));
    assert!(done.status.success(), "{done:?}");
    let whole = lines_of(&output).expect("bcftools reads the export").len();
    let source = std::fs::read_to_string(&source).unwrap();
    let records = source.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(whole, records);
}

/// The S3 server of a test, stopped with it.
struct S3 {
    child: std::process::Child,
    endpoint: String,
    python: String,
}

impl S3 {
    fn start(bucket: &str) -> Self {
        let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/bin");
        let python = support::stdout_of(&mut Command::new(bin.join("python-tools.sh")));
        let mut child = Command::new(python.trim())
            .arg(bin.join("s3-server.py"))
            .arg(bucket)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut said = std::io::BufReader::new(child.stdout.as_mut().unwrap());
        std::io::BufRead::read_line(&mut said, &mut line).unwrap();
        let endpoint = line.trim().to_owned();
        let python = python.trim().to_owned();
        Self {
            child,
            endpoint,
            python,
        }
    }

    /// Downloads an object with another client than ours.
    fn fetch(&self, bucket: &str, key: &str, to: &Path) {
        let script = "import boto3, sys\n\
            s3 = boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1',\n\
            \taws_access_key_id='test', aws_secret_access_key='test')\n\
            s3.download_file(*sys.argv[2:])\n";
        let mut command = Command::new(&self.python);
        command.args(["-c", script, &self.endpoint, bucket, key]);
        support::stdout_of(command.arg(to));
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An export to an object store is the export to a path, index included.
#[test]
fn an_object_store_takes_an_export() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("made.vcf");
    std::fs::write(&source, made::vcf(8, 20, 200, Shape::Tame)).unwrap();
    let lake = folder.path().join("lake");
    support::ingest(&lake, &[&source]);
    let s3 = S3::start("exports");
    let local = folder.path().join("part.vcf.gz");
    for output in [local.to_str().unwrap(), "s3://exports/release/part.vcf.gz"] {
        let mut command = support::genokura();
        command
            .env("AWS_ENDPOINT", &s3.endpoint)
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
        command.args(["export", "vcf", "--dataset", "cohort", "--lake"]);
        support::stdout_of(command.arg(&lake).args(["-o", output]));
    }
    let remote = folder.path().join("fetched.vcf.gz");
    s3.fetch("exports", "release/part.vcf.gz", &remote);
    let index = folder.path().join("fetched.vcf.gz.tbi");
    s3.fetch("exports", "release/part.vcf.gz.tbi", &index);
    let plain = ["view", "--no-version", "-H"];
    for arguments in [&plain[..], &[&plain[..], &["-r", "2"]].concat()] {
        let expected = bcftools(arguments, &local).expect("bcftools reads the export");
        let found = bcftools(arguments, &remote).expect("bcftools reads the object");
        assert!(!expected.is_empty());
        assert!(expected == found, "{arguments:?}");
    }
}
