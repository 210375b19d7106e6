//! The command line end to end: help, exit codes, the quickstart and its three questions in psql.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::{Duration, Instant};

use support::{Served, genokura, run, select, stdout_of};

#[test]
fn every_command_has_help() {
    for command in [
        &["--help"][..],
        &["quickstart", "--help"],
        &["ingest", "--help"],
        &["ingest", "vcf", "--help"],
        &["ingest", "table", "--help"],
        &["ingest", "regions", "--help"],
        &["serve", "--help"],
        &["sql", "--help"],
        &["lake", "log", "--help"],
        &["lake", "verify", "--help"],
    ] {
        let text = stdout_of(genokura().args(command));
        assert!(text.contains("Usage: genokura"), "{command:?}: {text}");
    }
}

#[test]
fn a_missing_lake_is_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(genokura()
        .args(["sql", "-c", "SELECT 1", "--lake"])
        .arg(dir.path().join("no")));
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.starts_with("genokura: ") && text.contains("ingest"),
        "{text}"
    );
}

#[test]
fn the_quickstart_answers_its_three_questions_in_psql() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::quickstart(dir.path());
    for (question, sql) in genokura_server::cli::QUESTIONS {
        let answer = stdout_of(served.psql().args(["-A", "-t", "-c", sql]));
        assert!(answer.lines().count() >= 3, "{question}\n{answer}");
    }
    let tables = stdout_of(served.psql().args(["-A", "-t", "-c", "\\dt cohort.*"]));
    for table in ["variants", "calls", "carriers", "samples", "headers"] {
        assert!(tables.contains(table), "{tables}");
    }
    drop(served);
    // A second quickstart on the same directory loads nothing again.
    let again = stdout_of(
        genokura()
            .args(["quickstart", "--no-serve", "--dir"])
            .arg(dir.path()),
    );
    assert_eq!(again, "");
    let log = stdout_of(
        genokura()
            .args(["lake", "log", "--json", "--lake"])
            .arg(dir.path().join("lake")),
    );
    let commits = log.lines().count();
    let stored = select(
        &dir.path().join("lake"),
        "SELECT count(*) FROM cohort.samples",
    );
    assert!(
        commits >= 8 && stored[0].parse::<u32>().unwrap() > 200,
        "{log}\n{stored:?}"
    );
    let verified = stdout_of(
        genokura()
            .args(["lake", "verify", "--lake"])
            .arg(dir.path().join("lake")),
    );
    assert!(!verified.is_empty());
}

#[test]
fn sigterm_drains_the_server_and_ends_it_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    stdout_of(
        genokura()
            .args(["quickstart", "--no-serve", "--dir"])
            .arg(dir.path()),
    );
    let served = Served::lake(&dir.path().join("lake"));
    stdout_of(served.psql().args(["-c", "SELECT 1"]));
    let id = served.id().to_string();
    stdout_of(std::process::Command::new("kill").args(["-TERM", &id]));
    let started = Instant::now();
    assert!(served.wait_for_exit().success());
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_killed_ingest_leaves_nothing_visible() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let cohort = genokura_testdata::cohort(3, 40);
    let files = genokura_testdata::write_cohort(&cohort, &dir.path().join("source")).unwrap();
    for delay_ms in [30, 120, 400] {
        let mut child = genokura()
            .args(["ingest", "vcf", "--dataset", "cohort", "--lake"])
            .arg(&lake)
            .arg(&files.vcf)
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay_ms));
        child.kill().unwrap();
        child.wait().unwrap();
        let output = run(genokura().args(["lake", "verify", "--lake"]).arg(&lake));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() || text.contains("ingest"), "{text}");
    }
    support::ingest(&lake, &[&files.vcf]);
    let rows = select(&lake, "SELECT count(*) FROM cohort.variants");
    assert_eq!(rows, [files.totals.alleles.to_string()]);
}

#[test]
fn quarantined_records_have_their_own_exit_code_and_strict_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let vcf = dir.path().join("bad.vcf");
    let text = "##fileformat=VCFv4.3\n##contig=<ID=chr1,length=248956422>\n\
        ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"Genotype\">\n\
        #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tA\n\
        chr1\t100\t.\tA\tG\t.\tPASS\t.\tGT\t0/1\n\
        chr1\tnowhere\t.\tA\tG\t.\tPASS\t.\tGT\t0/1\n";
    std::fs::write(&vcf, text).unwrap();
    let lake = dir.path().join("lake");
    let ingest = ["ingest", "vcf", "--dataset", "cohort", "--lake"];
    let strict = run(genokura().args(ingest).arg(&lake).arg("--strict").arg(&vcf));
    let message = String::from_utf8(strict.stderr).unwrap();
    assert_eq!(strict.status.code(), Some(1), "{message}");
    assert!(
        message.contains("line 6") && message.contains("bad_position"),
        "{message}"
    );
    let output = run(genokura().args(ingest).arg(&lake).arg(&vcf));
    assert_eq!(
        output.status.code(),
        Some(3),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(select(&lake, "SELECT count(*) FROM cohort.variants"), ["1"]);
    let refused = select(&lake, "SELECT line, rule FROM cohort.quarantine");
    assert_eq!(refused, ["6,bad_position"]);
}

#[test]
fn sql_writes_every_format() {
    let dir = tempfile::tempdir().unwrap();
    stdout_of(
        genokura()
            .args(["quickstart", "--no-serve", "--dir"])
            .arg(dir.path()),
    );
    let lake = dir.path().join("lake");
    let sql = "SELECT contig, pos, alt FROM cohort.variants ORDER BY contig, pos, alt LIMIT 3";
    let of = |format: &str| {
        run(genokura()
            .args(["sql", "--format", format, "-c", sql, "--lake"])
            .arg(&lake))
        .stdout
    };
    assert!(
        String::from_utf8(of("table"))
            .unwrap()
            .ends_with("(3 rows)\n\n")
    );
    assert_eq!(String::from_utf8(of("csv")).unwrap().lines().count(), 4);
    assert_eq!(String::from_utf8(of("json")).unwrap().lines().count(), 3);
    assert!(of("parquet").starts_with(b"PAR1"));
    assert!(!of("arrow").is_empty());
}
