//! Inputs that do not fit what they are put beside, and comparisons that can find nothing: each is told of.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    dead_code,
    unreachable_pub
)]

mod annotations;
mod assemblies;
mod assemblies_joined;
mod contig_texts;
mod odd_contigs;
mod phenopackets;
#[path = "../support/mod.rs"]
mod support;
mod symbolic_alleles;
mod tables;

use std::path::{Path, PathBuf};

/// A lake in a directory of its own, and files beside it.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub fn lake(&self) -> PathBuf {
        self.dir.path().join("lake")
    }

    /// A file of this text.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `genokura ingest …` of a file: whether it succeeded, and all that it said.
    pub fn ingest(&self, words: &str, file: &Path) -> (bool, String) {
        let mut command = support::genokura();
        command.arg("ingest").args(words.split(' '));
        command.arg("--lake").arg(self.lake()).arg(file);
        let output = support::run(&mut command);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        (output.status.success(), said)
    }

    /// The same of what must land.
    pub fn load(&self, words: &str, file: &Path) -> String {
        let (done, said) = self.ingest(words, file);
        assert!(done, "{words} {file:?}: {said}");
        said
    }

    /// The same of what must be refused with all of these words.
    pub fn refused(&self, words: &str, file: &Path, told: &[&str]) {
        let (done, said) = self.ingest(words, file);
        assert!(!done, "{words} {file:?} landed: {said}");
        for word in told {
            assert!(said.contains(word), "{words} {file:?}: {word:?} in {said}");
        }
    }

    /// Rows of a statement as csv, and what was said beside them.
    pub fn sql(&self, sql: &str) -> (String, String) {
        let (done, rows, said) = self.run(sql);
        assert!(done, "{sql}: {said}");
        (rows.lines().skip(1).collect::<Vec<_>>().join("\n"), said)
    }

    /// What is said of a statement that must fail.
    pub fn sql_refused(&self, sql: &str) -> String {
        let (done, rows, said) = self.run(sql);
        assert!(!done, "{sql}: {rows}");
        said
    }

    fn run(&self, sql: &str) -> (bool, String, String) {
        let mut command = support::genokura();
        command.args(["sql", "--format", "csv", "-c", sql, "--lake"]);
        let output = support::run(command.arg(self.lake()));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (rows, said) = (text(&output.stdout), text(&output.stderr));
        (output.status.success(), rows, said)
    }
}
