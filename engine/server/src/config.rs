//! Settings of a server with their units: a file, then the environment, then flags; the last wins.
//!
//! Every setting is declared once, in [`Settings`], with its documentation; `genokura serve --help` and `genokura
//! config` print from there.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::pgwire::tls::{Tls, TlsFiles};
use crate::roles::RoleStore;
use crate::sqlstate::nearest;

/// Where clients are answered when nothing else is said: this machine only.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:5433";

/// A value that a file, an environment variable and a flag can give.
trait Value: Sized {
    /// # Errors
    /// Says what is allowed.
    fn read(text: &str) -> Result<Self, String>;
    /// What is wrong with leaving it empty, where that does not mean that it is unset.
    fn empty() -> Result<(), String> {
        Ok(())
    }
    /// As a TOML value; None: unset.
    fn print(&self) -> Option<String>;
}

macro_rules! plain_value {
    ($($type:ty),*) => {$(
        impl Value for $type {
            fn read(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|e| format!("{e}"))
            }
            fn print(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )*};
}
plain_value!(usize, u64, bool);

impl Value for SocketAddr {
    fn read(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|e| format!("{e}"))
    }
    fn print(&self) -> Option<String> {
        Some(format!("\"{self}\""))
    }
}

impl Value for PathBuf {
    fn read(text: &str) -> Result<Self, String> {
        Ok(PathBuf::from(text))
    }
    /// Files decide who may come in: a variable that somebody forgot to fill opens no door.
    fn empty() -> Result<(), String> {
        Err("name a file, or leave the setting out".to_owned())
    }
    fn print(&self) -> Option<String> {
        Some(toml::Value::String(self.display().to_string()).to_string())
    }
}

impl<T: Value> Value for Option<T> {
    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return T::empty().map(|()| None);
        }
        T::read(text).map(Some)
    }
    fn print(&self) -> Option<String> {
        self.as_ref().and_then(T::print)
    }
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr;)+) => {
        /// The settings of `genokura serve`.
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        /// Name and documentation of every setting.
        pub const DOCUMENTED: &[(&str, &str)] = &[
            $((stringify!($name), concat!($($doc),+)),)+
        ];

        impl Settings {
            /// Gives a setting the value of a text.
            ///
            /// # Errors
            /// Names the setting, the nearest one when there is none of that name, and what is allowed.
            pub fn set(&mut self, name: &str, text: &str) -> anyhow::Result<()> {
                match name {
                    $(stringify!($name) => {
                        self.$name = Value::read(text)
                            .map_err(|e| anyhow::anyhow!("{name}=\"{text}\": {e}"))?;
                    })+
                    _ => return Err(unknown(name)),
                }
                Ok(())
            }

            /// A setting as the file would have it; None: unset.
            #[must_use]
            pub fn shown(&self, name: &str) -> Option<String> {
                match name {
                    $(stringify!($name) => self.$name.print(),)+
                    _ => None,
                }
            }
        }
    };
}

settings! {
    /// Address and port of the PostgreSQL wire protocol. Without roles it must be a loopback address.
    listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 5433));
    /// Address and port of /healthz, /readyz and /metrics; unset: none of them. They tell numbers of the server,
    /// never of the data, to whoever can reach the port.
    admin_listen: Option<SocketAddr> = None;
    /// The role file, made by "genokura role"; unset: whoever connects is the lake's owner.
    roles: Option<PathBuf> = None;
    /// PEM file of the server's certificate and those that signed it; unset: connections are in clear.
    tls_certificate: Option<PathBuf> = None;
    /// PEM file of the certificate's private key, readable by the server alone.
    tls_key: Option<PathBuf> = None;
    /// PEM file of the authorities that sign certificates of clients; unset: clients show none.
    tls_client_ca: Option<PathBuf> = None;
    /// Whether connections in clear are refused.
    require_tls: bool = false;
    /// Connections accepted at once; the next is refused with SQLSTATE 53300.
    max_connections: usize = 200;
    /// Longest run of one statement in milliseconds; 0 means no limit. Roles may have a shorter one.
    statement_timeout_ms: u64 = 0;
    /// How long running statements may go on after SIGTERM, in milliseconds.
    drain_timeout_ms: u64 = 30_000;
    /// Memory of all queries together in bytes; sorts and joins spill beyond it.
    memory_bytes: usize = 4 << 30;
    /// Bytes of memory that one statement may take; unset: all of memory_bytes.
    query_memory_bytes: Option<usize> = None;
    /// Directory of spill files; unset: the system's directory of temporary files.
    spill_dir: Option<PathBuf> = None;
    /// Bytes of all spill files together; unset: 100 GB. Beyond it SQLSTATE 53400.
    spill_bytes: Option<u64> = None;
    /// Parallel streams of one query; 0 means the number of cores.
    partitions: usize = 0;
}

fn unknown(name: &str) -> anyhow::Error {
    let hint = nearest(name, DOCUMENTED.iter().map(|(name, _)| *name))
        .map(|near| format!("; perhaps you meant {near}"))
        .unwrap_or_default();
    anyhow::anyhow!("there is no setting {name}{hint} (\"genokura config\" lists them)")
}

/// The environment variable of a setting.
#[must_use]
pub fn variable(name: &str) -> String {
    format!("GENOKURA_{}", name.to_ascii_uppercase())
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
        for (name, _) in DOCUMENTED {
            let variable = variable(name);
            if let Some(text) = env(&variable) {
                settings
                    .set(name, &text)
                    .map_err(|e| anyhow::anyhow!("{variable}=\"{text}\": {e}"))?;
            }
        }
        Ok(settings)
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            anyhow::anyhow!("cannot read the configuration {}: {e}", path.display())
        })?;
        toml::from_str(&text).map_err(|e| anyhow::anyhow!("in {}: {e}", path.display()))
    }

    /// Applies flags of the form `name=value`.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub fn apply(&mut self, assignments: &[String]) -> anyhow::Result<()> {
        for assignment in assignments {
            let (name, value) = assignment
                .split_once('=')
                .with_context(|| format!("\"{assignment}\" must read name=value"))?;
            self.set(name.trim(), value)?;
        }
        Ok(())
    }

    /// The roles of the role file, or none.
    ///
    /// # Errors
    /// When the file cannot be read or is open to others.
    pub fn open_roles(&self) -> anyhow::Result<RoleStore> {
        match &self.roles {
            Some(path) => RoleStore::open(path),
            None => RoleStore::none(),
        }
    }

    /// The certificate, loaded.
    ///
    /// # Errors
    /// When half of it is configured, or a file cannot be used: the server does not start then.
    pub fn load_tls(&self) -> anyhow::Result<Option<Tls>> {
        let (certificate, key) = match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            (None, None) => {
                ensure!(
                    !self.require_tls && self.tls_client_ca.is_none(),
                    "require_tls and tls_client_ca need tls_certificate and tls_key"
                );
                return Ok(None);
            }
            _ => anyhow::bail!("tls_certificate and tls_key go together; one of them is not set"),
        };
        let files = TlsFiles {
            certificate,
            key,
            client_ca: self.tls_client_ca.clone(),
        };
        Tls::load(&files).map(Some)
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

    /// Every setting with its documentation, variable and value: a file that says what these settings are.
    #[must_use]
    pub fn to_file(&self) -> String {
        let mut out = String::from(
            "# Settings of \"genokura serve\": a file like this (--config FILE), then the environment, then flags\n\
             # (--set name=value); the last wins. A line that begins with # is unset.\n",
        );
        for (name, doc) in DOCUMENTED {
            let value = self.shown(name);
            let mark = if value.is_some() { "" } else { "# " };
            let value = value.unwrap_or_else(|| "\"\"".to_owned());
            let _ = writeln!(out);
            for line in wrapped(doc.trim(), 96) {
                let _ = writeln!(out, "# {line}");
            }
            let _ = writeln!(out, "# {}", variable(name));
            let _ = writeln!(out, "{mark}{name} = {value}");
        }
        out
    }
}

/// Every setting in one paragraph each, for `--help`.
#[must_use]
pub fn help() -> String {
    let mut out =
        String::from("Settings (in --config FILE, as GENOKURA_<NAME>, or --set name=value):\n");
    let defaults = Settings::default();
    for (name, doc) in DOCUMENTED {
        let default = defaults.shown(name).unwrap_or_else(|| "unset".to_owned());
        let _ = writeln!(out, "  {name} [default: {default}]");
        for line in wrapped(doc.trim(), 90) {
            let _ = writeln!(out, "      {line}");
        }
    }
    out
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let full = lines
            .last()
            .is_some_and(|line| !line.is_empty() && line.len() + word.len() >= width);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
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
    fn a_printed_file_reads_back_and_documents_every_setting() {
        let mut settings = Settings::default();
        settings
            .apply(&[
                "roles=/etc/genokura/roles.toml".into(),
                "memory_bytes=1000".into(),
            ])
            .unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, settings.to_file()).unwrap();
        assert_eq!(
            Settings::load_with(Some(file.path()), |_| None).unwrap(),
            settings
        );
        for (name, doc) in DOCUMENTED {
            assert!(help().contains(name) && doc.len() > 20, "{name}");
        }
        let error = settings.apply(&["memory_byte=1".into()]).unwrap_err();
        assert!(error.to_string().contains("memory_bytes"), "{error}");
    }

    #[test]
    fn half_a_certificate_is_refused() {
        for assignment in [
            "tls_key=/k",
            "tls_certificate=/c",
            "require_tls=true",
            "tls_client_ca=/a",
        ] {
            let mut settings = Settings::default();
            settings.apply(&[assignment.into()]).unwrap();
            assert!(settings.load_tls().is_err(), "{assignment}");
        }
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
