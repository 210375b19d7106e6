//! `docs/sql-reference.md` is what the functions say; `UPDATE_DOCS=1` rewrites it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

#[test]
fn the_reference_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sql-reference.md");
    let made = genokura_sql_ext::reference::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let held = fs::read_to_string(&path).unwrap_or_default();
    let stale = "docs/sql-reference.md is stale: UPDATE_DOCS=1 cargo test -p genokura-sql-ext";
    assert!(held == made, "{stale}");
}

#[test]
fn every_function_is_documented() {
    for doc in genokura_sql_ext::functions() {
        assert!(
            doc.summary.ends_with('.') && !doc.details.is_empty(),
            "{}",
            doc.name
        );
        assert!(doc.example.contains(doc.name), "{}", doc.name);
        assert!(
            doc.syntax().starts_with(&format!("{}(", doc.name)),
            "{}",
            doc.syntax()
        );
    }
}
