//! Temporary tables: they hold what their owner could read, no more than the role's memory, and not longer than its
//! rights.

use super::setup::{RoleFile, Server, refused, rows};

/// Fails without: scans as the only source of the rows of a temporary table.
#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_table_holds_what_its_owner_sees() {
    let roles = RoleFile::new();
    roles.reader("ann", &["lab.*"]);
    roles.run(&["samples", "ann", "--dataset", "lab", "--only", "S1,S2"]);
    roles.reader("bob", &["kb.*"]);
    let server = Server::with_roles(&roles);
    let ann = server.connect("ann").await;
    rows(&ann, "create temp table seen as select * from lab.calls").await;
    assert_eq!(
        rows(&ann, "select distinct sample_id from seen order by 1").await,
        ["S1", "S2"]
    );
    rows(
        &ann,
        "create temp table packed as select pos, ac, gt from lab.variants",
    )
    .await;
    // The bytes of packed genotypes are those that the role is sent.
    assert_eq!(
        rows(&ann, "select pos, ac, gt from packed order by pos").await,
        rows(&ann, "select pos, ac, gt from lab.variants order by pos").await
    );
    // Whoever may read nothing of a table makes nothing of it, and learns nothing.
    let bob = server.connect("bob").await;
    for sql in [
        "create temp table mine as select * from lab.calls",
        "select * into temp mine from lab.calls",
        "create temp view mine as select * from lab.calls",
        "insert into lab.calls values (1)",
        "delete from lab.calls",
        "truncate lab.calls",
        "drop table lab.calls",
        "copy lab.calls from stdin",
    ] {
        let told = refused(&bob, sql).await;
        let same = sql.replace("lab.calls", "lab.never");
        let never = refused(&bob, &same).await.replace("never", "calls");
        assert_eq!(told, never, "{sql}");
        // DROP names the schema that is not there, as PostgreSQL does.
        let code = if sql.starts_with("drop") {
            "3F000"
        } else {
            "42P01"
        };
        assert!(told.starts_with(code), "{sql}: {told}");
    }
    // A table of another session is one that never was.
    let schema = rows(&ann, "select pg_my_temp_schema()::regnamespace").await;
    let told = refused(&bob, &format!("select * from {}.seen", schema[0])).await;
    assert!(told.starts_with("42P01"), "{told}");
    // A role without any grant has tables of its own.
    rows(
        &bob,
        "create temp table own (x int); insert into own values (1)",
    )
    .await;
    assert_eq!(rows(&bob, "select * from own").await, ["1"]);
    assert_eq!(
        rows(&bob, "select has_table_privilege('own', 'select')").await,
        ["t"]
    );
}

/// Fails without: `Session::forget_temporary`.
#[tokio::test(flavor = "multi_thread")]
async fn temporary_tables_go_with_the_rights_they_were_made_under() {
    let roles = RoleFile::new();
    roles.reader("ann", &["lab.*"]);
    let server = Server::with_roles(&roles);
    let ann = server.connect("ann").await;
    rows(&ann, "create temp table seen as select * from lab.calls").await;
    rows(
        &ann,
        "begin; savepoint s; declare c cursor for select * from seen",
    )
    .await;
    roles.run(&["samples", "ann", "--dataset", "lab", "--only", "S1"]);
    assert!(super::setup::soon(async || refused_now(&ann).await).await);
    assert!(refused_now(&ann).await, "a savepoint kept it");
    rows(&ann, "rollback").await;
    let told = refused(&ann, "select * from seen").await;
    assert!(told.starts_with("42P01"), "{told}");
}

/// Whether the table is gone; the block is left as it was.
async fn refused_now(client: &tokio_postgres::Client) -> bool {
    let gone = client.batch_execute("select count(*) from seen").await;
    let gone = gone.is_err();
    client.batch_execute("rollback to s").await.unwrap();
    gone
}

/// Fails without: `TempMemory::hold`.
#[tokio::test(flavor = "multi_thread")]
async fn temporary_tables_are_bounded_by_the_memory_of_the_role() {
    let roles = RoleFile::new();
    roles.reader("ann", &["*"]);
    roles.reader("bob", &["*"]);
    roles.run(&["limit", "ann", "--memory-bytes", "8000000"]);
    let server = Server::with_roles(&roles);
    let ann = server.connect("ann").await;
    let many = |name: &str, rows: u32| {
        format!(
            "create temp table {name} as select i, repeat('x', 100) as x from generate_series(1, {rows}) as t(i)"
        )
    };
    let told = refused(&ann, &many("big", 200_000)).await;
    assert!(told.starts_with("53200"), "{told}");
    // Together, too; and what goes makes room.
    let mut made = 0;
    let told = loop {
        match ann.batch_execute(&many(&format!("t{made}"), 10_000)).await {
            Ok(()) => made += 1,
            Err(error) => break super::setup::told(&error),
        }
        assert!(made < 20);
    };
    assert!(made > 1 && told.starts_with("53200"), "{made}: {told}");
    let copied = format!("t{made}");
    rows(&ann, &format!("create temp table {copied} (i int, x text)")).await;
    let sink = ann
        .copy_in(&format!("copy {copied} from stdin"))
        .await
        .unwrap();
    let mut sink = std::pin::pin!(sink);
    let line = format!("1\t{}\n", "y".repeat(1000)).repeat(100);
    let mut ended = Ok(());
    for _ in 0..200 {
        use futures::SinkExt as _;
        ended = sink.send(bytes::Bytes::from(line.clone())).await;
        if ended.is_err() {
            break;
        }
    }
    let error = match sink.finish().await {
        Err(error) => error,
        Ok(rows) => panic!("{rows} rows were taken, {ended:?}"),
    };
    let told = super::setup::told(&error);
    assert!(told.starts_with("53200"), "{told}");
    rows(&ann, "drop table t0").await;
    rows(&ann, &many("again", 10_000)).await;
    // Others have their own memory.
    let bob = server.connect("bob").await;
    rows(&bob, &many("big", 200_000)).await;
    assert_eq!(rows(&bob, "select count(*) from big").await, ["200000"]);
    // A quarter of the engine's memory is the most, whatever the role may take.
    let path = roles.path();
    let small = [
        "--roles",
        path.to_str().unwrap(),
        "--set",
        "memory_bytes=32000000",
    ];
    roles.reader("eve", &["*"]);
    roles.run(&["limit", "eve", "--memory-bytes", "31000000"]);
    let small = Server::start(&small);
    for name in ["bob", "eve"] {
        let client = small.connect(name).await;
        let told = refused(&client, &many("big", 100_000)).await;
        assert!(told.starts_with("53200"), "{name}: {told}");
        rows(&client, &many("less", 20_000)).await;
    }
    // What a session held is free when it is gone.
    rows(&ann, "discard temp").await;
    rows(&ann, &many("more", 20_000)).await;
}
