//! Counters of a server, in Prometheus' text format: how much was asked and how it ended, never what.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// Upper bounds of the histogram of statement times, in milliseconds.
const BUCKETS_MS: [u64; 10] = [1, 5, 20, 100, 500, 1_000, 5_000, 20_000, 60_000, 300_000];

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Its value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that is counted since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections that were let in.
    pub connections: Counter,
    statements: Counter,
    rows: Counter,
    microseconds: Counter,
    buckets: [Counter; BUCKETS_MS.len()],
    /// By SQLSTATE: statements that failed and clients that were refused.
    errors: Mutex<BTreeMap<String, u64>>,
}

impl Metrics {
    /// A statement came to its end.
    pub fn statement(&self, rows: u64, elapsed: Duration) {
        self.statements.add(1);
        self.rows.add(rows);
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.add(micros);
        for (bucket, most) in self.buckets.iter().zip(BUCKETS_MS) {
            if micros <= most * 1_000 {
                bucket.add(1);
            }
        }
    }

    /// A statement failed, or a client was refused.
    pub fn failed(&self, sqlstate: &str) {
        *self.errors.lock().entry(sqlstate.to_owned()).or_default() += 1;
    }

    /// All of it in Prometheus' text format, with these gauges after it.
    #[must_use]
    pub fn text(&self, gauges: &[(&str, &str, u64)]) -> String {
        let mut out = String::new();
        counter(
            &mut out,
            "genokura_connections_total",
            "Connections let in.",
            self.connections.get(),
        );
        counter(
            &mut out,
            "genokura_rows_total",
            "Rows sent to clients.",
            self.rows.get(),
        );
        let name = "genokura_errors_total";
        head(
            &mut out,
            name,
            "Failed statements and refused clients.",
            "counter",
        );
        for (sqlstate, n) in self.errors.lock().iter() {
            let _ = writeln!(out, "{name}{{sqlstate=\"{sqlstate}\"}} {n}");
        }
        self.histogram(&mut out);
        for (name, what, value) in gauges {
            head(&mut out, name, what, "gauge");
            let _ = writeln!(out, "{name} {value}");
        }
        out
    }

    fn histogram(&self, out: &mut String) {
        let name = "genokura_statement_seconds";
        head(out, name, "How long statements ran.", "histogram");
        for (bucket, most) in self.buckets.iter().zip(BUCKETS_MS) {
            let (seconds, millis) = (most / 1_000, most % 1_000);
            let _ = writeln!(
                out,
                "{name}_bucket{{le=\"{seconds}.{millis:03}\"}} {}",
                bucket.get()
            );
        }
        let all = self.statements.get();
        let micros = self.microseconds.get();
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {all}");
        let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
        let _ = writeln!(out, "{name}_sum {seconds}.{rest:06}\n{name}_count {all}");
    }
}

fn counter(out: &mut String, name: &str, what: &str, value: u64) {
    head(out, name, what, "counter");
    let _ = writeln!(out, "{name} {value}");
}

fn head(out: &mut String, name: &str, what: &str, kind: &str) {
    let _ = writeln!(out, "# HELP {name} {what}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up_and_errors_are_counted_by_sqlstate() {
        let metrics = Metrics::default();
        metrics.statement(3, Duration::from_millis(7));
        metrics.statement(2, Duration::from_secs(400));
        metrics.failed("42P01");
        metrics.failed("42P01");
        let text = metrics.text(&[("genokura_sessions", "Open.", 4)]);
        for line in [
            "genokura_rows_total 5",
            "genokura_errors_total{sqlstate=\"42P01\"} 2",
            "genokura_statement_seconds_bucket{le=\"0.005\"} 0",
            "genokura_statement_seconds_bucket{le=\"0.020\"} 1",
            "genokura_statement_seconds_bucket{le=\"300.000\"} 1",
            "genokura_statement_seconds_bucket{le=\"+Inf\"} 2",
            "genokura_statement_seconds_sum 400.007000",
            "genokura_sessions 4",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
