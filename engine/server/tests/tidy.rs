//! Tidy: the rules of the house that a compiler does not check.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which workspace crate may import which, itself left out: the arrows of docs/architecture.md.
const ARROWS: &[(&str, &[&str])] = &[
    ("genokura-core", &[]),
    ("genokura-testdata", &["genokura-core"]),
    ("genokura-storage", &["genokura-core"]),
    ("genokura-regex", &[]),
    ("genokura-exec", &["genokura-core", "genokura-storage"]),
    (
        "genokura-sql-ext",
        &["genokura-core", "genokura-storage", "genokura-exec"],
    ),
    ("genokura-ingest", &["genokura-core", "genokura-storage"]),
    (
        "genokura-export",
        &["genokura-core", "genokura-storage", "genokura-exec"],
    ),
    (
        "genokura-server",
        &[
            "genokura-core",
            "genokura-storage",
            "genokura-exec",
            "genokura-regex",
            "genokura-sql-ext",
            "genokura-ingest",
            "genokura-export",
            "genokura-testdata",
        ],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Normal dependencies of every workspace crate on other workspace crates.
fn workspace_dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let internal = dependencies
                .filter(|d| d["kind"].is_null())
                .map(|d| d["name"].as_str().unwrap().to_owned())
                .filter(|name| name.starts_with("genokura-"))
                .collect();
            (package["name"].as_str().unwrap().to_owned(), internal)
        })
        .collect()
}

#[test]
fn crates_import_only_along_the_arrows() {
    let dependencies = workspace_dependencies();
    for (name, allowed) in ARROWS {
        let found = dependencies
            .get(*name)
            .unwrap_or_else(|| panic!("no crate {name}"));
        for import in found {
            assert!(
                allowed.contains(&import.as_str()),
                "{name} must not import {import}"
            );
        }
    }
    let known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for name in dependencies
        .keys()
        .filter(|name| *name != "genokura-benchmarks")
    {
        assert!(
            known.contains(name.as_str()),
            "crate {name} has no arrows in tidy.rs"
        );
    }
}

#[test]
fn core_knows_neither_datafusion_nor_tokio() {
    let manifest = std::fs::read_to_string(root().join("engine/core/Cargo.toml")).unwrap();
    let normal = manifest.split("[dev-dependencies]").next().unwrap();
    for forbidden in ["datafusion", "tokio", "object_store", "arrow-array"] {
        assert!(
            !normal.contains(forbidden),
            "engine/core depends on {forbidden}"
        );
    }
}

fn tracked_files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "git ls-files failed");
    let listing = String::from_utf8(output.stdout).unwrap();
    listing.lines().map(|line| root().join(line)).collect()
}

fn is_text(path: &Path) -> bool {
    let known = ["rs", "md", "toml", "sh", "slt", "py", "sql", "yml", "json"];
    path.extension()
        .is_some_and(|e| known.contains(&e.to_string_lossy().as_ref()))
}

#[test]
fn every_source_file_says_what_it_is_in_its_first_line() {
    for path in tracked_files() {
        if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(
                text.starts_with("//!"),
                "{} does not begin with //!",
                path.display()
            );
        }
    }
}

#[test]
fn no_unfinished_code_and_no_machine_paths() {
    let me = Path::new(file!()).file_name();
    for path in tracked_files()
        .iter()
        .filter(|p| is_text(p) && p.file_name() != me)
    {
        let text = std::fs::read_to_string(path).unwrap();
        for (number, line) in text.lines().enumerate() {
            for forbidden in ["todo!(", "unimplemented!(", "dbg!(", "/work/", "/root/"] {
                assert!(
                    !line.contains(forbidden),
                    "{}:{}: {forbidden}",
                    path.display(),
                    number + 1
                );
            }
        }
    }
}

/// Who parses a text of somebody without measuring it first lets that text overflow the stack of the server.
#[test]
fn texts_are_parsed_behind_the_bound_on_their_depth() {
    // Beside `depth.rs`: forms that the program itself has written.
    let may = [
        "sql-ext/src/depth.rs",
        "sql-ext/src/syntax.rs",
        "session/rewrite/rows/subqueries.rs",
        "session/rewrite/sets.rs",
        "session/statement/values.rs",
    ];
    for path in tracked_files() {
        let name = path.to_string_lossy().into_owned();
        let is_source = name.contains("/src/") && name.ends_with(".rs");
        if !is_source || may.iter().any(|allowed| name.ends_with(allowed)) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let product = text.split("#[cfg(test)]").next().unwrap();
        for forbidden in ["try_with_sql(", "Parser::parse_sql("] {
            assert!(!product.contains(forbidden), "{name}: {forbidden}");
        }
    }
}

#[test]
fn documents_link_to_files_that_exist() {
    for path in tracked_files()
        .iter()
        .filter(|p| p.extension().is_some_and(|e| e == "md"))
    {
        let text = std::fs::read_to_string(path).unwrap();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = target.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            let resolved = path.parent().unwrap().join(file);
            assert!(resolved.exists(), "{} links to {target}", path.display());
        }
    }
}
