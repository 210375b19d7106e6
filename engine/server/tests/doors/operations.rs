//! Operations: who sees and stops whose sessions, what the admin port tells, and what logs hold.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::limits::SLOW;
use super::setup::{IDENTIFIERS, RoleFile, Server, refused, rows, soon, told};

/// Fails without: the handler of SIGHUP (`pgwire.rs`), which ends a process else.
#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_ends_nobody() {
    let server = Server::start(&[]);
    let client = server.connect("anybody").await;
    server.signal("HUP");
    assert!(soon(async || server.said().contains("SIGHUP")).await);
    assert_eq!(rows(&client, "select 1").await, ["1"]);
}

/// Fails without: the filter of sessions by who asks.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_sees_and_stops_its_own_kind_only() {
    let roles = RoleFile::new();
    roles.reader("ann", &["*"]);
    roles.reader("bob", &["*"]);
    roles.add("root", &["--admin"]);
    let server = Server::with_roles(&roles);
    let (ann, other) = (server.connect("ann").await, server.connect("ann").await);
    let (bob, root) = (server.connect("bob").await, server.connect("root").await);
    let pid = async |client: &tokio_postgres::Client| {
        rows(client, "select pg_backend_pid()").await.remove(0)
    };
    let (bob_pid, other_pid) = (pid(&bob).await, pid(&other).await);
    let bob_runs = tokio::spawn(async move { (bob.simple_query(SLOW).await.map(drop), bob) });
    let other_runs = tokio::spawn(async move { (other.simple_query(SLOW).await.map(drop), other) });
    let active = "select usename, state from pg_stat_activity where query like '%generate_series%' \
                  and pid <> pg_backend_pid() order by usename";
    assert!(soon(async || rows(&root, active).await == ["ann|active", "bob|active"]).await);
    assert_eq!(rows(&ann, active).await, ["ann|active"]);
    assert_eq!(
        rows(&ann, "select distinct usename from pg_stat_activity").await,
        ["ann"]
    );
    for function in ["pg_cancel_backend", "pg_terminate_backend"] {
        let sql = format!("select {function}({bob_pid})");
        assert_eq!(rows(&ann, &sql).await, ["f"], "{sql}");
        assert_eq!(
            rows(&ann, &format!("select {function}(123456)")).await,
            ["f"]
        );
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!bob_runs.is_finished(), "a stranger stopped it");
    let started = Instant::now();
    let stop = format!("select pg_cancel_backend({other_pid})");
    assert_eq!(rows(&ann, &stop).await, ["t"]);
    let (stopped, other) = other_runs.await.unwrap();
    assert_eq!(
        told(&stopped.unwrap_err()),
        "57014 canceling statement due to user request"
    );
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(rows(&other, "select 1").await, ["1"]);
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'bob'";
    assert_eq!(rows(&root, end).await, ["t"]);
    let (ended, bob) = bob_runs.await.unwrap();
    assert!(told(&ended.unwrap_err()).starts_with("57P01"));
    assert!(soon(async || bob.is_closed()).await);
    // An idle session ends too.
    let end = format!("select pg_terminate_backend({other_pid})");
    assert_eq!(rows(&ann, &end).await, ["t"]);
    assert!(soon(async || other.is_closed()).await);
    assert_eq!(
        rows(&ann, "select count(*) from pg_stat_activity").await,
        ["1"]
    );
}

/// Fails without: the secret of a CancelRequest.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_needs_the_secret_of_its_session() {
    let server = Server::start(&[]);
    let mut raw = super::auth::Raw::start(&server, "owner").await;
    let mut key = Vec::new();
    loop {
        let (kind, body) = raw.message().await.unwrap();
        match kind {
            b'K' => key = body,
            b'Z' => break,
            _ => {}
        }
    }
    let query = format!("{SLOW}\0");
    let length = u32::try_from(query.len() + 4).unwrap().to_be_bytes();
    let asked = [&b"Q"[..], &length, query.as_bytes()].concat();
    raw.0.write_all(&asked).await.unwrap();
    let active = "select count(*) from pg_stat_activity where state = 'active' and query like '%generate_series%' \
                  and pid <> pg_backend_pid()";
    let other = server.try_connect("owner", "").await.unwrap();
    assert!(soon(async || rows(&other, active).await == ["1"]).await);
    let cancel = async |key: &[u8]| {
        let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", server.port))
            .await
            .unwrap();
        let request = [&[0, 0, 0, 16, 4, 210, 22, 46][..], key].concat();
        socket.write_all(&request).await.unwrap();
        let _ = socket.read_to_end(&mut Vec::new()).await;
    };
    for place in [4, 7] {
        let mut wrong = key.clone();
        wrong[place] ^= 1;
        cancel(&wrong).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(rows(&other, active).await, ["1"], "a stranger stopped it");
    cancel(&key).await;
    let error = loop {
        let (kind, body) = raw.message().await.unwrap();
        if kind == b'E' {
            break body;
        }
    };
    assert!(String::from_utf8_lossy(&error).contains("57014"));
}

fn http(port: u16, request: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

pub fn get(port: u16, path: &str) -> String {
    http(port, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
}

pub async fn admin_port(server: &Server) -> u16 {
    let mut found = None;
    let told = soon(async || {
        let said = server.said();
        let line = said.lines().find(|line| line.contains("admin port"));
        let address = line.and_then(|line| line.split_once("127.0.0.1:"));
        found = address.and_then(|(_, rest)| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        });
        found.is_some()
    });
    assert!(told.await, "{}", server.said());
    found.unwrap()
}

/// Fails without: the admin port; it tells numbers only and takes no orders.
#[tokio::test(flavor = "multi_thread")]
async fn the_admin_port_tells_health_and_numbers() {
    let roles = RoleFile::new();
    roles.reader("ann", &["*"]);
    let path = roles.path();
    let server = Server::start(&[
        "--roles",
        path.to_str().unwrap(),
        "--set",
        "admin_listen=127.0.0.1:0",
    ]);
    let port = admin_port(&server).await;
    let client = server.connect("ann").await;
    rows(&client, "select * from lab.calls where sample_id = 'S3'").await;
    refused(&client, "select * from lab.S4").await;
    assert!(server.try_connect("ann", "wrong").await.is_err());
    assert!(get(port, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(get(port, "/readyz").starts_with("HTTP/1.1 200"));
    let metrics = get(port, "/metrics");
    for line in [
        "genokura_sessions 1",
        "genokura_connections_total 1",
        "genokura_errors_total{sqlstate=\"42P01\"} 1",
        "genokura_errors_total{sqlstate=\"28P01\"} 1",
        "genokura_rows_total 3",
        "genokura_statement_seconds_count 1",
        "# TYPE genokura_memory_reserved_bytes gauge",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line}\n{metrics}");
    }
    for line in metrics.lines().skip_while(|line| !line.is_empty()).skip(1) {
        let number = line.rsplit(' ').next().unwrap().parse::<f64>();
        assert!(line.starts_with("# ") || number.is_ok(), "{line}");
    }
    for word in IDENTIFIERS.iter().chain(&["ann", "lab", "select"]) {
        assert!(!words(&metrics).contains(word), "{word}");
    }
    assert!(get(port, "/").starts_with("HTTP/1.1 404"));
    assert!(get(port, "/../etc/passwd").starts_with("HTTP/1.1 404"));
    assert!(http(port, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(20_000));
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let _ = socket.write_all(long.as_bytes());
    let mut answer = String::new();
    let _ = socket.read_to_string(&mut answer);
    // Answered at once, and not when patience ends; a reset may come first, for there was more to read.
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
        "{answer}"
    );
    drop(socket);
    assert!(get(port, "/healthz").starts_with("HTTP/1.1 200"));
}

/// The words of a text, as identifiers are made of letters, digits and `_`.
fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect()
}

/// Fails without: care in every log call. Statements, values and messages of errors stay with the client.
#[tokio::test(flavor = "multi_thread")]
async fn logs_hold_query_ids_and_no_identifier() {
    let roles = RoleFile::new();
    roles.reader("ann", &["*"]);
    roles.run(&["samples", "ann", "--dataset", "lab", "--only", "S1,S2"]);
    let path = roles.path();
    let server = Server::noisy(&["--roles", path.to_str().unwrap()]);
    let client = server.connect("ann").await;
    for sql in [
        "select * from lab.calls where sample_id = 'S1'",
        "select gt_text(gt, 'S3') from lab.variants",
        "select gt_carriers(gt) from lab.variants",
        "select * from clin.person where person_id = 'P1'",
        "select cast(sample_id as int) from clin.person",
        "select name from clin.condition where name = 'marfan'",
        "select * from lab.S4",
        "select S3 from lab.variants",
        "select 'S1' || 1/0",
        "select * from sample_qc('S2')",
        "select * from de_novo('lab', 'S1', 'S2', 'S9')",
        "selec 'P4'",
        "set application_name = 'P2'",
        "set nonsense = 'P3'",
        "declare S1 cursor with hold for select 1",
        "fetch all from S1",
        "prepare S2 as select 'S2'",
        "execute S2",
        "copy (select * from lab.calls where sample_id = 'S2') to stdout",
        "explain analyze select * from lab.calls where sample_id = 'S1'",
        "select pg_cancel_backend(1) from pg_stat_activity where query like '%S3%'",
        "grant select on lab.S1 to S2",
    ] {
        let _ = client.simple_query(sql).await;
    }
    let _ = client
        .query("select * from lab.calls where sample_id = $1", &[&"S1"])
        .await;
    let _ = client.query("select 1 where $1::int = 1", &[&7]).await;
    assert!(server.try_connect("S3", "S4").await.is_err());
    assert!(server.try_connect("marfan", "P1").await.is_err());
    drop(client);
    assert!(soon(async || server.said().contains("disconnected")).await);
    let said = server.said();
    let logged: Vec<&str> = said.lines().filter(|line| line.starts_with('{')).collect();
    for line in &logged {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(json["fields"]["message"].is_string(), "{line}");
    }
    let with_id = |message: &str| {
        let has = |line: &&&str| line.contains(message) && line.contains("\"query\":");
        logged.iter().filter(has).count()
    };
    assert!(
        with_id("\"statement\"") >= 10 && with_id("\"statement failed\"") >= 5,
        "{said}"
    );
    drop(server);
    // Without roles a user name is whatever the client typed.
    let server = Server::noisy(&[]);
    drop(server.try_connect("S3", "").await.unwrap());
    assert!(soon(async || server.said().contains("disconnected")).await);
    let said = [said, server.said()].join("\n");
    for line in said.lines().filter(|line| line.starts_with('{')) {
        let found = words(line);
        for word in IDENTIFIERS
            .iter()
            .chain(&["S9", "0/1", "secret", "sample_qc"])
        {
            assert!(!found.contains(word), "{word} in {line}");
        }
        assert!(
            !line.contains("0/1") && !line.to_lowercase().contains("select"),
            "{line}"
        );
    }
}
