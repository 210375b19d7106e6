//! Files that cannot be read: who runs the server is told which and why, a role which of its tables it is.

use std::path::{Path, PathBuf};

use super::setup::{CONDITION, Lake, PERSON, RoleFile, Server, VCF, refused_in_full, soon};

/// The Parquet files below a directory.
fn parquet(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(parquet(&path));
        } else if path.extension().is_some_and(|ending| ending == "parquet") {
            found.push(path);
        }
    }
    found
}

/// Fails without: `ServerError::of_file`, `ServerError::told_to` (`engine/server/src/sqlstate/stored.rs`) and the log
/// line of `Connection::told`.
#[tokio::test(flavor = "multi_thread")]
async fn where_the_lake_lies_is_told_to_admins_and_to_the_log() {
    let lake = Lake::make(VCF, PERSON, CONDITION);
    for file in parquet(&lake.path.join("kb/panel")) {
        std::fs::write(file, "PAR1 is no end").unwrap();
    }
    for dir in ["clin/condition", "lab/format", "lab/genotype"] {
        for file in parquet(&lake.path.join(dir)) {
            std::fs::remove_file(file).unwrap();
        }
    }
    let roles = RoleFile::new();
    roles.add("root", &["--admin"]);
    roles.reader("all", &["*"]);
    roles.reader("few", &["*"]);
    roles.run(&["samples", "few", "--dataset", "lab", "--only", "S1,S2"]);
    let server = Server::on(&lake, &["--roles", roles.path().to_str().unwrap()]);
    let place = lake
        .path
        .to_str()
        .unwrap()
        .trim_start_matches('/')
        .to_owned();
    for (sql, what) in [
        ("select * from kb.panel", "table kb.panel"),
        ("select count(gene) from kb.panel", "table kb.panel"),
        ("select name from clin.condition", "table clin.condition"),
        ("select dp from lab.calls", "dataset lab"),
        ("select gt from lab.variants", "dataset lab"),
        ("select * from sample_qc('lab')", "dataset lab"),
        (
            "begin; declare c cursor for select * from kb.panel; fetch 1 from c",
            "table kb.panel",
        ),
        (
            "create temp table t as select * from kb.panel",
            "table kb.panel",
        ),
    ] {
        for name in ["all", "few"] {
            let client = server.connect(name).await;
            let told = refused_in_full(&client, sql).await;
            let expected = format!(" a file of {what} cannot be read");
            assert!(
                told.starts_with("58") && told.contains(&expected),
                "{name} {sql}: {told}"
            );
            assert!(told.contains(" of connection "), "{told}");
            for secret in [&place, "part-", ".parquet"] {
                assert!(!told.contains(secret), "{name} {sql}: {told}");
            }
        }
        let root = server.connect("root").await;
        let told = refused_in_full(&root, sql).await;
        assert!(
            told.contains(what) && told.contains(".parquet"),
            "{sql}: {told}"
        );
    }
    let logged = async || {
        let said = server.said();
        let mut lines = said.lines().filter(|line| line.contains("\"ERROR\""));
        lines.any(|line| {
            ["kb/panel/", "\"query\":", "\"connection\":", "\"58"]
                .iter()
                .all(|word| line.contains(word))
        })
    };
    assert!(soon(logged).await, "{}", server.said());
}
