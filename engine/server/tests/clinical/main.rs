//! Clinical inputs end to end, on files of other projects and on bad ones: one file a format.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod cbioportal;
mod hpo;
mod omop;
mod phenopackets;

use std::path::{Path, PathBuf};

use support::{genokura, run, select, stdout_of};

/// Files of other projects, beside the checkout.
fn shared(folder: &str) -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let dir = std::env::var_os("GENOKURA_SHARED_DATA").map_or_else(default, PathBuf::from);
    dir.join(folder)
}

/// What an ingest that must fail says.
fn refused(lake: &Path, what: &str, input: &Path) -> String {
    let output = run(genokura()
        .args(["ingest", what, "--lake"])
        .arg(lake)
        .arg(input));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn ingest(lake: &Path, what: &[&str], inputs: &[&Path]) -> String {
    stdout_of(
        genokura()
            .arg("ingest")
            .args(what)
            .arg("--lake")
            .arg(lake)
            .args(inputs),
    )
}

fn written(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A filter on instants reaches the file, in whatever zone its constant is read, and from what kind it is compared with.
#[test]
fn filters_on_instants_prune_files() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let visits = written(
        dir.path(),
        "visit.csv",
        "id,at,day\n1,2024-03-31T00:30:00Z,2024-03-31\n2,2024-07-01T22:00:00Z,2024-07-02\n",
    );
    ingest(&lake, &["table", "--table", "clin.visit"], &[&visits]);
    for (filter, pruned) in [
        ("at >= '2024-07-01 08:00'", "at_max@0 >= 1719788400000000"),
        (
            "at >= timestamp '2024-07-01 08:00'",
            "at_max@0 >= 1719788400000000",
        ),
        ("at >= date '2024-07-01'", "at_max@0 >= 1719759600000000"),
        (
            "at BETWEEN '2024-07-01' AND '2024-07-02 12:00'",
            "at_max@0 >= 1719759600000000 AND at_null_count@1 != row_count@2 AND at_min@3 <= 1719889200000000",
        ),
        ("at IN ('2024-07-01')", "1719759600000000 <= at_max@1"),
        ("at < now() - interval '1 day'", "at_min@0 < "),
        ("day = '2024-07-02'", "2024-07-02 <= day_max@1"),
    ] {
        let explain = format!(
            "SET TimeZone = 'Asia/Tokyo'; EXPLAIN SELECT id FROM clin.visit WHERE {filter}"
        );
        let plan = select(&lake, &explain).join("\n");
        assert!(plan.contains(pruned), "{filter}: {plan}");
    }
    let counted =
        "SET TimeZone = 'Asia/Tokyo'; SELECT count(*) FROM clin.visit WHERE at::date = day";
    assert_eq!(select(&lake, counted), ["2"]);
}
