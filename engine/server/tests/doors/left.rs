//! Statements that are planned for long: others do not wait for them, and what nobody waits for any more is bounded.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::limits::SLOW;
use super::operations::{admin_port, get};
use super::setup::{RoleFile, Server, refused, rows, soon, told};

/// A statement that one rule of the planner works on for seconds: its work doubles with each SIMILAR TO.
fn long_to_plan() -> String {
    let (open, close) = (
        "case when ".repeat(16),
        " similar to 'a' then 'a' else 'b' end".repeat(16),
    );
    format!("select count(*) from kb.panel where {open}gene{close} = 'x'")
}

fn of_ann_and_bob() -> (RoleFile, Server) {
    let roles = RoleFile::new();
    roles.reader("ann", &["*"]);
    roles.reader("bob", &["*"]);
    let path = roles.path();
    let server = Server::start(&[
        "--roles",
        path.to_str().unwrap(),
        "--set",
        "admin_listen=127.0.0.1:0",
    ]);
    (roles, server)
}

/// Fails without: the hand-over of a thread that plans, the bound on what a role has left, and a shutdown that does not
/// wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_leaves_behind_keeps_no_other_role_waiting() {
    let (_roles, mut server) = of_ann_and_bob();
    let port = admin_port(&server).await;
    let (ann, bob) = (server.connect("ann").await, server.connect("bob").await);
    rows(&ann, "set statement_timeout = 300").await;
    // The fifth waits for one of those before it to end, and for no longer than it may run.
    for _ in 0..5 {
        assert!(refused(&ann, &long_to_plan()).await.starts_with("57014"));
    }
    let left = get(port, "/metrics");
    assert!(left.contains("genokura_statements_left 4\n"), "{left}");
    rows_soon(&bob, "select count(*) from kb.panel").await;
    assert!(get(port, "/readyz").starts_with("HTTP/1.1 200"));
    let another = server.connect("ann").await;
    let refused = refused(&another, "select 1").await;
    assert_eq!(
        refused,
        "53000 too many statements of role \"ann\" are still being stopped"
    );
    rows_soon(&bob, "select count(*) from kb.panel").await;
    let started = Instant::now();
    server.signal("TERM");
    assert!(soon(async || server.has_ended()).await);
    assert!(started.elapsed() < Duration::from_secs(8));
}

async fn rows_soon(client: &tokio_postgres::Client, sql: &str) {
    let answer = tokio::time::timeout(Duration::from_secs(5), rows(client, sql));
    assert_eq!(answer.await.unwrap(), ["1"]);
}

/// Fails without: the hand-over of a thread that plans.
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_subqueries_keep_no_other_role_waiting() {
    let (_roles, server) = of_ann_and_bob();
    let port = admin_port(&server).await;
    let many = format!("select 1 where 1 in ({}1)", "(select 1), ".repeat(5_500));
    let mut planned = Vec::new();
    for _ in 0..4 {
        let (ann, many) = (server.connect("ann").await, many.clone());
        planned.push(tokio::spawn(
            async move { ann.prepare(&many).await.map(drop) },
        ));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let bob = server.connect("bob").await;
    rows_soon(&bob, "select count(*) from kb.panel").await;
    let started = Instant::now();
    assert!(get(port, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(planned.iter().any(|planned| !planned.is_finished()));
}

/// Fails without: the second signal.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_waits_for_no_statement() {
    let (_roles, mut server) = of_ann_and_bob();
    let ann = server.connect("ann").await;
    let runs = tokio::spawn(async move { ann.simple_query(SLOW).await.map(drop) });
    let bob = server.connect("bob").await;
    server.signal("TERM");
    assert!(soon(async || bob.is_closed()).await);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!server.has_ended() && !runs.is_finished());
    server.signal("TERM");
    assert!(soon(async || server.has_ended()).await);
    assert!(told(&runs.await.unwrap().unwrap_err()).starts_with("57P01"));
}

/// Fails without: the place that whoever has been silent for longest gives up.
#[tokio::test(flavor = "multi_thread")]
async fn silent_clients_of_the_admin_port_keep_nobody_out() {
    let (_roles, server) = of_ann_and_bob();
    let port = admin_port(&server).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(("127.0.0.1", port)).unwrap());
    }
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let started = Instant::now();
    socket.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(started.elapsed() < Duration::from_secs(4));
}

/// Fails without: the look at what a role file is before it is opened.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_role_file_that_gives_nothing_to_read_is_not_opened() {
    let (roles, server) = of_ann_and_bob();
    let port = admin_port(&server).await;
    let ann = server.connect("ann").await;
    let path = roles.path();
    std::fs::rename(&path, path.with_extension("kept")).unwrap();
    super::setup::must(
        std::process::Command::new("mkfifo")
            .args(["-m", "600"])
            .arg(&path),
    );
    for client in [&ann, &server.connect("bob").await] {
        rows_soon(client, "select count(*) from kb.panel").await;
    }
    assert!(get(port, "/healthz").starts_with("HTTP/1.1 200"));
    assert!(soon(async || server.said().contains("is no regular file")).await);
}
