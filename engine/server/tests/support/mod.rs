//! What the end-to-end tests share: the binary, a served lake, and commands that must succeed.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// The genokura binary under test, without a lake in its environment.
pub fn genokura() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_genokura"));
    command.env_remove("GENOKURA_LAKE").stdin(Stdio::null());
    command
}

/// Runs a command that must succeed and returns its standard output.
pub fn stdout_of(command: &mut Command) -> String {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("output is UTF-8")
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"))
}

/// Rows of a SELECT on a lake as csv lines without the heading, through `genokura sql`.
pub fn select(lake: &Path, sql: &str) -> Vec<String> {
    let text = stdout_of(
        genokura()
            .args(["sql", "--format", "csv", "-c", sql, "--lake"])
            .arg(lake),
    );
    text.lines().skip(1).map(str::to_owned).collect()
}

/// Ingests files into dataset `cohort` of a lake; quarantined records fail the test.
pub fn ingest(lake: &Path, inputs: &[&Path]) {
    stdout_of(
        genokura()
            .args(["ingest", "vcf", "--dataset", "cohort", "--lake"])
            .arg(lake)
            .args(inputs),
    );
}

/// A `genokura serve` (or quickstart) on a free loopback port, stopped on drop.
pub struct Served {
    child: Child,
    /// Where it listens.
    pub port: u16,
}

impl Served {
    /// Serves a lake.
    pub fn lake(lake: &Path) -> Self {
        let mut command = genokura();
        command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--log",
                "error",
                "--lake",
            ])
            .arg(lake);
        let child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("genokura starts");
        Self::wait(
            child,
            |child| Box::new(child.stderr.take().unwrap()),
            " on 127.0.0.1:",
        )
    }

    /// Runs a quickstart in a directory.
    pub fn quickstart(dir: &Path) -> Self {
        let mut command = genokura();
        command
            .args(["quickstart", "--listen", "127.0.0.1:0", "--dir"])
            .arg(dir);
        let child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("genokura starts");
        Self::wait(
            child,
            |child| Box::new(child.stdout.take().unwrap()),
            "psql -h 127.0.0.1 -p ",
        )
    }

    fn wait(
        mut child: Child,
        output: impl Fn(&mut Child) -> Box<dyn Read + Send>,
        mark: &str,
    ) -> Self {
        let mut lines = BufReader::new(output(&mut child)).lines();
        for line in lines.by_ref() {
            let line = line.expect("output is UTF-8");
            if let Some((_, rest)) = line.split_once(mark) {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                let port = digits.parse().expect("a port");
                std::thread::spawn(move || lines.for_each(drop));
                return Self { child, port };
            }
        }
        panic!("the server ended before it listened: {:?}", child.wait());
    }

    /// psql connected to the server; output unaligned, without headings, errors stop it.
    pub fn psql(&self) -> Command {
        let mut command = Command::new("psql");
        let port = self.port.to_string();
        command.args([
            "-X",
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "owner",
            "-d",
            "genokura",
        ]);
        command.args(["-v", "ON_ERROR_STOP=1"]).stdin(Stdio::null());
        command
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the server to end by itself.
    pub fn wait_for_exit(mut self) -> std::process::ExitStatus {
        self.child.wait().expect("the server ends")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
