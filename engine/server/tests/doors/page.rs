//! `docs/security.md` and the tests name each other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Names of test functions in a file.
fn tests_of(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if is_test && let Some((_, rest)) = line.split_once("fn ") {
            found.insert(rest.split('(').next().unwrap().to_owned());
            is_test = false;
        }
    }
    found
}

#[test]
fn every_attack_has_a_test_and_every_test_an_attack() {
    let page = read(&root().join("docs/security.md"));
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && line.matches('|').count() > 3);
    let named: BTreeSet<String> = rows
        .filter_map(|line| line.trim_end_matches([' ', '|']).rsplit('|').next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    assert!(named.len() > 25, "the page was not read: {named:?}");
    let mut doors = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("engine/server/tests/doors")).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("page.rs") {
            doors.extend(tests_of(&read(&path)));
        }
    }
    let mut all = doors.clone();
    for file in [
        "roles/names.rs",
        "roles/tests.rs",
        "sqlstate/sources.rs",
        "allowed.rs",
        "allowed/lengths.rs",
        "config.rs",
        "pgwire/inbox.rs",
        "pgwire/scram.rs",
        "../tests/wire_messages.rs",
    ] {
        all.extend(tests_of(&read(
            &root().join("engine/server/src").join(file),
        )));
    }
    let absent: Vec<_> = named.difference(&all).collect();
    assert!(
        absent.is_empty(),
        "docs/security.md names tests that are not there: {absent:?}"
    );
    let unnamed: Vec<_> = doors.difference(&named).collect();
    assert!(
        unnamed.is_empty(),
        "docs/security.md does not name {unnamed:?}"
    );
}
