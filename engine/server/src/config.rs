//! Settings of a server with their units: a file, then the environment, then flags; the last wins.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

/// Where clients are answered when nothing else is said: this machine only.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:5433";

/// The settings of `genokura serve`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port of the PostgreSQL wire protocol.
    pub listen: SocketAddr,
    /// Connections accepted at once; the next is refused with SQLSTATE 53300.
    pub max_connections: usize,
    /// Longest run of one statement in milliseconds; 0 means no limit.
    pub statement_timeout_ms: u64,
    /// How long running statements may go on after SIGTERM, in milliseconds.
    pub drain_timeout_ms: u64,
    /// Memory of all queries together in bytes; sorts and joins spill beyond it.
    pub memory_bytes: usize,
    /// Parallel streams of one query; 0 means the number of cores.
    pub partitions: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 5433)),
            max_connections: 200,
            statement_timeout_ms: 0,
            drain_timeout_ms: 30_000,
            memory_bytes: 4 << 30,
            partitions: 0,
        }
    }
}

impl Settings {
    /// Reads a file (TOML) when given, then `GENOKURA_<NAME>` for every setting.
    ///
    /// # Errors
    /// Names the file and the line, or the variable, and what is allowed.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        Self::load_with(file, |name| std::env::var(name).ok())
    }

    fn load_with(
        file: Option<&Path>,
        env: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        let mut settings = match file {
            Some(path) => Self::read(path)?,
            None => Self::default(),
        };
        settings.apply(&env)?;
        Ok(settings)
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            anyhow::anyhow!("cannot read the configuration {}: {e}", path.display())
        })?;
        toml::from_str(&text).map_err(|e| anyhow::anyhow!("in {}: {e}", path.display()))
    }

    fn apply(&mut self, env: &impl Fn(&str) -> Option<String>) -> anyhow::Result<()> {
        set(env, "GENOKURA_LISTEN", &mut self.listen)?;
        set(env, "GENOKURA_MAX_CONNECTIONS", &mut self.max_connections)?;
        set(
            env,
            "GENOKURA_STATEMENT_TIMEOUT_MS",
            &mut self.statement_timeout_ms,
        )?;
        set(env, "GENOKURA_DRAIN_TIMEOUT_MS", &mut self.drain_timeout_ms)?;
        set(env, "GENOKURA_MEMORY_BYTES", &mut self.memory_bytes)?;
        set(env, "GENOKURA_PARTITIONS", &mut self.partitions)
    }

    /// The statement timeout, when there is one.
    #[must_use]
    pub fn statement_timeout(&self) -> Option<Duration> {
        (self.statement_timeout_ms > 0).then(|| Duration::from_millis(self.statement_timeout_ms))
    }

    /// How long a shutdown waits for running statements.
    #[must_use]
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }

    /// Parallel streams of one query.
    #[must_use]
    pub fn partitions(&self) -> usize {
        match self.partitions {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
}

fn set<T: std::str::FromStr>(
    env: &impl Fn(&str) -> Option<String>,
    name: &str,
    value: &mut T,
) -> anyhow::Result<()>
where
    T::Err: std::fmt::Display,
{
    if let Some(text) = env(name) {
        *value = text
            .parse()
            .map_err(|e| anyhow::anyhow!("{name}=\"{text}\": {e}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_environment_wins_over_the_file_and_bad_values_are_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "listen = \"127.0.0.1:6000\"\nmax_connections = 7\n").unwrap();
        let env = |name: &str| (name == "GENOKURA_MAX_CONNECTIONS").then(|| "9".to_owned());
        let settings = Settings::load_with(Some(file.path()), env).unwrap();
        assert_eq!(settings.listen.port(), 6000);
        assert_eq!(settings.max_connections, 9);

        let env = |name: &str| (name == "GENOKURA_LISTEN").then(|| "nowhere".to_owned());
        let error = Settings::load_with(None, env).unwrap_err().to_string();
        assert!(error.contains("GENOKURA_LISTEN=\"nowhere\""), "{error}");
    }

    #[test]
    fn an_unknown_key_in_the_file_is_refused_by_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "lissten = \"127.0.0.1:1\"\n").unwrap();
        let error = Settings::load_with(Some(file.path()), |_| None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("lissten"), "{error}");
    }
}
