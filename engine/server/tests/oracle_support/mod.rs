//! A real PostgreSQL 15, started by the test.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Stopped and removed on drop.
pub(crate) struct Oracle {
    /// Connection parameters of its superuser.
    pub(crate) address: String,
    pid: String,
    directory: String,
}

impl Oracle {
    /// Starts a new cluster on a free port.
    pub(crate) fn start() -> Self {
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
