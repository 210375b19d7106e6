//! Tables we write are read by others: delta-rs reads the Delta log, polars and DuckDB the rows.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::tools::{S3Server, python};
use common::{Kit, append, append_with_column, delta_only, die_with_column, land, write};
use genokura_storage::{Lake, TableId};
use serde_json::{Value, json};

fn script(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Value {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/interop")
        .join(name);
    let output = Command::new(python())
        .arg(script)
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .expect("Python starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {error}");
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

/// A table with a history: rows, a column added later, a dead writer in between, a checkpoint.
async fn table_with_a_history(lake: &Lake, commits: i64) -> TableId {
    let id = TableId::new("demo", "site");
    let parts = [("chr1:0", 0..3000), ("other", 3000..3500)];
    land(lake, append(&id, write(lake, &id, &parts).await)).await;
    die_with_column(lake, &id, "info_dead", 9000..9010).await;
    let (change, _) = append_with_column(lake, &id, "info_af", 3500..3600).await;
    land(lake, change).await;
    for n in 0..commits {
        let files = write(lake, &id, &[("chr1:1", 3600 + n..3601 + n)]).await;
        land(lake, append(&id, files)).await;
    }
    id
}

fn expected(rows: i64) -> Value {
    json!({
        "rows": rows,
        "sum_vid": rows * (rows - 1) / 2,
        "sum_pos": rows * (rows - 1) / 2 + 100 * rows,
        "info_af": 100,
        "blobs": (0..rows).filter(|v| v % 5 != 0).count(),
        "blob_bytes": (0..rows).filter(|v| v % 5 != 0).map(|v| v % 7 * 8).sum::<i64>(),
        "ids": (0..rows).map(|v| v % 3).sum::<i64>(),
        "bins": ["chr1:0", "chr1:1", "other"],
    })
}

const COLUMNS: &str = "vid:long contig:string pos:integer small:short qual:float gt:binary \
                       ids:array<string> pos_bin:string info_af:integer";

#[tokio::test(flavor = "multi_thread")]
async fn others_read_our_table_on_a_local_path() {
    let kit = Kit::plain_local().await;
    let lake = kit.lake().await;
    let id = table_with_a_history(&lake, 25).await;
    let path = lake.table_url(&id).to_file_path().unwrap();
    let found = script("read_table.py", &[path.to_str().unwrap()], &[]);
    let want = expected(3625);
    assert_eq!(found["delta-rs and polars"], want);
    assert_eq!(found["delta-rs files and DuckDB"], want);
    assert_eq!(found["columns"].as_str().unwrap(), COLUMNS);
    assert_eq!(found["comment of pos"], "Position, 1-based");
}

#[tokio::test(flavor = "multi_thread")]
async fn others_read_our_table_on_s3() {
    let kit = Kit::s3("interop").await;
    let lake = kit.lake().await;
    let id = table_with_a_history(&lake, 1).await;
    let server = S3Server::shared();
    let environment = [
        ("AWS_ENDPOINT_URL", server.endpoint()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
    ];
    let url = lake.table_url(&id);
    let found = script(
        "read_table.py",
        &[url.as_str(), "--no-duckdb"],
        &environment,
    );
    assert_eq!(found["delta-rs and polars"], expected(3601));
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_in_the_log_let_others_skip_files() {
    let kit = Kit::plain_local().await;
    let lake = kit.lake().await;
    let id = table_with_a_history(&lake, 3).await;
    let path = lake.table_url(&id).to_file_path().unwrap();
    let found = script("read_statistics.py", &[path.to_str().unwrap()], &[]);
    let files = found.as_array().unwrap();
    assert_eq!(files.len(), 6);
    for file in files {
        let rows = file["num_records"].as_i64().unwrap();
        let (min, max) = (
            file["min_vid"].as_i64().unwrap(),
            file["max_vid"].as_i64().unwrap(),
        );
        assert_eq!(max - min + 1, rows, "{file}");
        assert_eq!(file["min_pos"].as_i64().unwrap(), min + 100, "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_schema_is_read_by_others() {
    use common::{Kind, plain_change};
    let kit = Kit::plain_local().await;
    let lake = kit.lake().await;
    let id = TableId::new("clin", "person");
    land(
        &lake,
        plain_change(&lake, &id, "age", Kind::Int, 3, false).await,
    )
    .await;
    land(
        &lake,
        plain_change(&lake, &id, "age", Kind::Text, 5, true).await,
    )
    .await;
    delta_only(
        &lake,
        plain_change(&lake, &id, "dead", Kind::Text, 7, false).await,
    )
    .await;
    land(
        &lake,
        plain_change(&lake, &id, "age", Kind::Text, 2, false).await,
    )
    .await;
    let path = lake.table_url(&id).to_file_path().unwrap();
    let found = script("read_plain.py", &[path.to_str().unwrap()], &[]);
    assert_eq!(
        found,
        json!({"rows": 7, "columns": "person_id:string age:string"})
    );
}
