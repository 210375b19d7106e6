//! A real PostgreSQL 15, started by the test, and files of statements to compare it with.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Statements of a test input: separated by a line that starts with `;`, comments start with `#`.
pub fn statements(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data")
            .join(name),
    )
    .unwrap();
    let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with('#')).collect();
    lines
        .join("\n")
        .split("\n;")
        .map(|s| s.trim().trim_start_matches(';').trim().to_owned())
        .filter(|s| !s.is_empty())
        .collect()
}

/// Stopped and removed on drop.
pub struct Oracle {
    /// Connection parameters of its superuser.
    pub address: String,
    pid: String,
    directory: String,
}

impl Oracle {
    /// Starts a new cluster on a free port.
    pub fn start() -> Self {
        let out = Command::new(root().join("testdata/bin/start-postgres.sh"))
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "PostgreSQL 15 does not start: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        let line = String::from_utf8(out.stdout).unwrap();
        let [host, port, pid, directory] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("unexpected answer {line}")
        };
        Self {
            address: format!("host={host} port={port} user=postgres"),
            pid: pid.to_owned(),
            directory: directory.to_owned(),
        }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(&self.pid).status();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
