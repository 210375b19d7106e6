//! Workload `startup`: from the command to the first answer.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context;

use crate::RunArgs;
use crate::measure::{self, Row};

/// Measures `genokura sql -c 'SELECT 1'` and the time until `genokura serve` says its address.
///
/// # Errors
/// When a command fails.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Vec<Row>> {
    let lake = args.scratch.join("lake");
    let mut rows = Vec::new();
    for repetition in 1..=args.repeat.max(5) {
        let line = format!(
            "{} sql --lake {} -c 'SELECT 1'",
            args.genokura.display(),
            lake.display()
        );
        rows.push(measure::shell(
            "startup sql",
            "genokura",
            repetition,
            &line,
        )?);
        rows.push(serve(args, repetition)?);
    }
    Ok(rows)
}

fn serve(args: &RunArgs, repetition: usize) -> anyhow::Result<Row> {
    let started = Instant::now();
    let mut server = Server::start(args)?;
    let wall_s = started.elapsed().as_secs_f64();
    server.stop()?;
    Ok(Row::warm("startup serve", "genokura", repetition, wall_s))
}

/// A running `genokura serve` on a free loopback port.
pub(crate) struct Server {
    child: std::process::Child,
    /// Where it listens.
    pub port: u16,
}

impl Server {
    /// Starts it and waits until it tells its address.
    ///
    /// # Errors
    /// When it ends before it listens.
    pub(crate) fn start(args: &RunArgs) -> anyhow::Result<Self> {
        let mut child = Command::new(&args.genokura)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--log",
                "error",
                "--lake",
            ])
            .arg(args.scratch.join("lake"))
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", args.genokura.display()))?;
        let errors = child.stderr.take().context("no standard error")?;
        let mut lines = BufReader::new(errors).lines();
        while let Some(line) = lines.next().transpose()? {
            if let Some((_, address)) = line.split_once(" on 127.0.0.1:") {
                let port = address.trim().parse()?;
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(Self { child, port });
            }
        }
        anyhow::bail!("genokura serve ended: {}", child.wait()?)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it.
    ///
    /// # Errors
    /// When it cannot be stopped.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.kill().is_ok() && self.child.wait().is_err() {
            eprintln!("a server may still run");
        }
    }
}
