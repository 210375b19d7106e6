//! psql against the wire server: meta-commands, formats, errors, \copy, cursors by FETCH_COUNT.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod wire_support;

use std::io::Write;
use std::process::{Command, Stdio};

use wire_support::TestServer;

/// Runs psql with these arguments and input; returns standard output and standard error.
async fn psql(server: &TestServer, arguments: &[&str], input: &str) -> (String, String) {
    let mut command = Command::new("psql");
    command
        .args(["-X", "-h", "127.0.0.1", "-U", "ann", "-d", "genokura", "-p"])
        .arg(server.port.to_string())
        .args(arguments)
        .env("PGOPTIONS", "-c search_path=demo")
        .env("PGCONNECT_TIMEOUT", "20")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let input = input.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command
            .spawn()
            .expect("psql is installed (postgresql-client)");
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    })
    .await
    .unwrap();
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn meta_commands_answer() {
    let server = TestServer::start().await;
    let table = [
        ("\\d", "t"),
        ("\\dt", "demo"),
        ("\\dn", "other"),
        ("\\d t", "double precision"),
        ("\\d+ demo.t", "score"),
        ("\\l", "genokura"),
        ("\\df gt_*", "gt_"),
        ("\\du", "ann"),
        ("\\dt *.*", "other"),
        ("\\conninfo", "genokura"),
        ("\\encoding", "UTF8"),
    ];
    for (command, shown) in table {
        let (out, err) = psql(&server, &["-c", command], "").await;
        assert!(err.is_empty(), "{command}: {err}");
        if command != "\\df gt_*" {
            assert!(out.contains(shown), "{command}: {out}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_copy_and_cursors() {
    let server = TestServer::start().await;
    let (out, err) = psql(
        &server,
        &["-At", "-c", "select id, name from t order by id limit 2"],
        "",
    )
    .await;
    assert_eq!((out.as_str(), err.as_str()), ("0|name 0\n1|name 1\n", ""));
    let (out, _) = psql(
        &server,
        &["-At"],
        "\\set FETCH_COUNT 1000\nselect id from t;\n",
    )
    .await;
    assert_eq!(
        out.lines().count(),
        usize::try_from(wire_support::ROWS).unwrap()
    );
    let (out, _) = psql(
        &server,
        &[
            "-c",
            "\\copy (select id from t where id < 3 order by id) to stdout csv header force quote id",
        ],
        "",
    )
    .await;
    assert_eq!(out, "id\n\"0\"\n\"1\"\n\"2\"\n");
    let (out, _) = psql(&server, &["-At"], "select 1 as x \\gset\n\\echo :x\n").await;
    assert_eq!(out, "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_point_at_the_place() {
    let server = TestServer::start().await;
    let (_, err) = psql(&server, &["-c", "select id, nmae from t"], "").await;
    assert!(
        err.contains("ERROR:  column \"nmae\" does not exist"),
        "{err}"
    );
    assert!(err.contains("LINE 1: select id, nmae from t"), "{err}");
    assert!(
        err.contains("HINT:  Perhaps you meant to reference the column \"t.name\"."),
        "{err}"
    );
    let (_, err) = psql(&server, &["-c", "select * from tt"], "").await;
    assert!(err.contains("relation \"tt\" does not exist"), "{err}");
}
