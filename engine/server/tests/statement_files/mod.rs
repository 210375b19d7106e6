//! Files of statements that tests put to genokura and to PostgreSQL.

use std::path::Path;

/// Statements of a test input: separated by a line that starts with `;`, comments start with `#`.
pub(crate) fn statements(name: &str) -> Vec<String> {
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
