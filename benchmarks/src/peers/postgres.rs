//! PostgreSQL 15: a cluster of its own on a free port, as `testdata/bin/start-postgres.sh` makes it for the tests.

use anyhow::Context;

use crate::measure;

/// A running cluster; it ends and its files go when this does.
pub(crate) struct Cluster {
    port: u16,
    pid: u32,
    directory: String,
}

impl Cluster {
    /// Starts it.
    ///
    /// # Errors
    /// When PostgreSQL 15 is missing or does not start.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../testdata/bin/start-postgres.sh"
        );
        let text = measure::output(script)?;
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [_, port, pid, directory] = fields.as_slice() else {
            anyhow::bail!("{script} wrote \"{text}\"");
        };
        Ok(Self {
            port: port.parse().context("the port")?,
            pid: pid.parse().context("the process")?,
            directory: (*directory).to_owned(),
        })
    }

    /// Where clients connect.
    pub(crate) fn uri(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stop = format!("kill -INT {}; sleep 1; rm -rf {}", self.pid, self.directory);
        if let Err(error) = measure::output(&stop) {
            eprintln!("PostgreSQL may still run: {error}");
        }
    }
}
