//! Advisory locks between the sessions of a server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod wire_support;

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use wire_support::TestServer;

async fn truth(client: &Client, sql: &str) -> bool {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn state(client: &Client, sql: &str) -> SqlState {
    let error = client.batch_execute(sql).await.unwrap_err();
    error.code().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_one_session_holds_the_others_off() {
    let server = TestServer::start().await;
    let (first, second) = (server.connect().await, server.connect().await);
    assert!(truth(&first, "select pg_try_advisory_lock(1)").await);
    assert!(!truth(&second, "select pg_try_advisory_lock(1)").await);
    assert!(!truth(&second, "select pg_try_advisory_lock_shared(1)").await);
    assert!(truth(&second, "select pg_try_advisory_lock(0, 1)").await);
    // Parameters, and a plan that is asked for before it runs.
    let lock = second
        .prepare("select pg_try_advisory_lock($1)")
        .await
        .unwrap();
    let taken: bool = second.query_one(&lock, &[&1_i64]).await.unwrap().get(0);
    assert!(!taken);
    let taken: bool = second.query_one(&lock, &[&2_i64]).await.unwrap().get(0);
    assert!(taken);
    assert!(!truth(&first, "select pg_try_advisory_lock(2)").await);
    // Waits end with the lock, a timeout or a cancel request.
    let wait = "select pg_advisory_lock(1)";
    second
        .batch_execute("set lock_timeout = '50ms'")
        .await
        .unwrap();
    assert_eq!(state(&second, wait).await, SqlState::LOCK_NOT_AVAILABLE);
    second
        .batch_execute("set lock_timeout = 0; set statement_timeout = '50ms'")
        .await
        .unwrap();
    assert_eq!(state(&second, wait).await, SqlState::QUERY_CANCELED);
    second
        .batch_execute("set statement_timeout = 0")
        .await
        .unwrap();
    let token = second.cancel_token();
    let (waited, ()) = tokio::join!(state(&second, wait), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        token.cancel_query(tokio_postgres::NoTls).await.unwrap();
    });
    assert_eq!(waited, SqlState::QUERY_CANCELED);
    let (waited, ()) = tokio::join!(second.batch_execute(wait), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(truth(&first, "select pg_advisory_unlock(1)").await);
    });
    waited.unwrap();
    assert!(!truth(&first, "select pg_try_advisory_lock(1)").await);
    second.batch_execute("discard all").await.unwrap();
    assert!(truth(&first, "select pg_try_advisory_lock(1)").await);
    // A session that ends gives up what it has.
    drop(first);
    second
        .batch_execute("set lock_timeout = '20s'; select pg_advisory_lock(1)")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_of_a_transaction_end_with_it() {
    let server = TestServer::start().await;
    let (first, second) = (server.connect().await, server.connect().await);
    let free = "select pg_try_advisory_xact_lock(5)";
    assert!(truth(&first, free).await);
    assert!(truth(&second, free).await);
    first
        .batch_execute("begin; select pg_advisory_xact_lock(5)")
        .await
        .unwrap();
    assert!(!truth(&second, free).await);
    first.batch_execute("commit").await.unwrap();
    assert!(truth(&second, free).await);
    // What a savepoint took goes with it, and an error ends them all.
    first
        .batch_execute(
            "begin; select pg_advisory_xact_lock(6); savepoint s; select pg_advisory_xact_lock(5)",
        )
        .await
        .unwrap();
    assert!(!truth(&second, free).await);
    first.batch_execute("rollback to s").await.unwrap();
    assert!(truth(&second, free).await);
    assert!(!truth(&second, "select pg_try_advisory_lock(6)").await);
    first
        .batch_execute("release s; select 1 / 0")
        .await
        .unwrap_err();
    assert!(truth(&second, "select pg_try_advisory_lock(6)").await);
    first.batch_execute("rollback").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_those_who_wait_is_told() {
    let server = TestServer::start().await;
    let (first, second) = (server.connect().await, server.connect().await);
    first
        .batch_execute("select pg_advisory_lock(8)")
        .await
        .unwrap();
    second
        .batch_execute("select pg_advisory_lock(9)")
        .await
        .unwrap();
    let (waited, dead) = tokio::join!(first.batch_execute("select pg_advisory_lock(9)"), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let dead = state(&second, "select pg_advisory_lock(8)").await;
        second
            .batch_execute("select pg_advisory_unlock(9)")
            .await
            .unwrap();
        dead
    });
    waited.unwrap();
    assert_eq!(dead, SqlState::T_R_DEADLOCK_DETECTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_beside_tables_are_told_as_names() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let told = client
        .prepare(
            "select current_user, session_user, current_schema, current_database() from demo.t",
        )
        .await
        .unwrap();
    let types: Vec<&str> = told.columns().iter().map(|c| c.type_().name()).collect();
    assert_eq!(types, ["name"; 4]);
}
