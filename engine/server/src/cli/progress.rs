//! Progress of long work: a bar on a terminal, one JSON object a line otherwise.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use genokura_ingest::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;

/// How often JSON lines are written at most.
const JSON_INTERVAL: Duration = Duration::from_secs(2);

/// Chooses the form that fits standard error.
pub(super) fn reporter(title: &str) -> Arc<dyn Progress> {
    if std::io::stderr().is_terminal() {
        Arc::new(Bar::new(title))
    } else {
        Arc::new(JsonLines::new(title))
    }
}

/// Chooses the form that fits standard error, for work that is counted in records.
pub(super) fn counter(title: &str) -> Arc<dyn genokura_export::Progress> {
    if std::io::stderr().is_terminal() {
        Arc::new(RecordBar(Bar::with_template(
            title,
            "{msg:24!} {bar:30} {human_pos:>11} of {human_len:11} records {per_sec:>13} {eta}",
        )))
    } else {
        Arc::new(RecordLines(JsonLines::new(title)))
    }
}

/// A bar with records, rate and time left.
struct RecordBar(Bar);

impl genokura_export::Progress for RecordBar {
    fn records(&self, done: u64, total: Option<u64>) {
        Progress::bytes(&self.0, done, total);
    }

    fn message(&self, text: &str) {
        self.0.message(text);
    }
}

/// One JSON object a line, with records and no bytes.
struct RecordLines(JsonLines);

impl genokura_export::Progress for RecordLines {
    fn records(&self, done: u64, total: Option<u64>) {
        let mut state = self.0.state.lock();
        if state.last.elapsed() < JSON_INTERVAL {
            return;
        }
        state.last = Instant::now();
        let title = &self.0.title;
        let line = serde_json::json!({
            "progress": title, "records": done, "records_total": total,
        });
        tell!("{line}");
    }

    fn message(&self, text: &str) {
        self.0.message(text);
    }
}

/// A bar with bytes, rate and time left.
struct Bar {
    bar: ProgressBar,
}

impl Bar {
    fn new(title: &str) -> Self {
        let template =
            "{msg:24!} {bar:30} {bytes:>11} of {total_bytes:11} {bytes_per_sec:>13} {eta}";
        Self::with_template(title, template)
    }

    fn with_template(title: &str, template: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(title.to_owned());
        Self { bar }
    }
}

impl Progress for Bar {
    fn bytes(&self, done: u64, total: Option<u64>) {
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    fn records(&self, _count: u64) {}

    fn message(&self, text: &str) {
        self.bar.println(text);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// One JSON object a line, for scripts and job logs.
struct JsonLines {
    title: String,
    state: Mutex<JsonState>,
}

struct JsonState {
    last: Instant,
    bytes: u64,
    total: Option<u64>,
    records: u64,
}

impl JsonLines {
    fn new(title: &str) -> Self {
        let state = JsonState {
            last: Instant::now(),
            bytes: 0,
            total: None,
            records: 0,
        };
        Self {
            title: title.to_owned(),
            state: Mutex::new(state),
        }
    }

    fn tick(&self, state: &mut JsonState) {
        if state.last.elapsed() < JSON_INTERVAL {
            return;
        }
        state.last = Instant::now();
        let line = serde_json::json!({
            "progress": self.title, "bytes": state.bytes, "bytes_total": state.total,
            "records": state.records,
        });
        tell!("{line}");
    }
}

impl Progress for JsonLines {
    fn bytes(&self, done: u64, total: Option<u64>) {
        let mut state = self.state.lock();
        state.bytes = done;
        state.total = total;
        self.tick(&mut state);
    }

    fn records(&self, count: u64) {
        let mut state = self.state.lock();
        state.records = count;
        self.tick(&mut state);
    }

    fn message(&self, text: &str) {
        tell!(
            "{}",
            serde_json::json!({ "progress": self.title, "message": text })
        );
    }
}
