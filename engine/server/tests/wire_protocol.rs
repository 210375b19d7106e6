//! The wire server over memory tables, asked by tokio-postgres and by bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod wire_support;

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::SqlState;
use wire_support::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn simple_queries_answer_in_text() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let messages = client
        .simple_query("select id, name, score from t order by id limit 2; select 1 as one")
        .await
        .unwrap();
    let rows: Vec<Vec<Option<String>>> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|i| row.get(i).map(str::to_owned))
                    .collect(),
            ),
            _ => None,
        })
        .collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        rows,
        [
            vec![some("0"), some("name 0"), None],
            vec![some("1"), some("name 1"), some("0.5")],
            vec![some("1")],
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_take_the_types_of_what_they_meet() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let row = client
        .query_one(
            "select id, name from demo.t where id = $1 and name = $2",
            &[&7_i32, &"name 7"],
        )
        .await
        .unwrap();
    assert_eq!(
        (row.get::<_, i32>(0), row.get::<_, &str>("name")),
        (7, "name 7")
    );
    let row = client
        .query_one(
            "select $1::int8 + 1 as a, $2::text as b, $3::float8 as c, $4::bool as d, $5 as e",
            &[&41_i64, &"x", &0.25_f64, &true, &"untyped"],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>("a"), 42);
    assert_eq!(row.get::<_, &str>("b"), "x");
    assert_eq!(row.get::<_, f64>("c"), 0.25);
    assert!(row.get::<_, bool>("d"));
    assert_eq!(row.get::<_, &str>("e"), "untyped");
    let rows = client
        .query(
            "select id from t where id = any($1) order by id",
            &[&vec![3_i32, 5, 1_000_000]],
        )
        .await
        .unwrap();
    assert_eq!(
        rows.iter()
            .map(|row| row.get::<_, i32>(0))
            .collect::<Vec<_>>(),
        [3, 5]
    );
    let rows = client
        .query("select id from t order by id limit $1", &[&2_i64])
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    let none: Option<i32> = None;
    let row = client
        .query_one("select $1::int4 is null", &[&none])
        .await
        .unwrap();
    assert!(row.get::<_, bool>(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_values_read_back() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let row = client
        .query_one(
            "select 1 as i4, cast(2 as smallint) as i2, 3::bigint as i8, 1.5::real as f4, \
             2.5::double precision as f8, true as b, 'é' as t, array[1,2] as a, \
             array['x', null] as ta, null::int as n, x'00ff' as bytes",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, i32>("i4"), 1);
    assert_eq!(row.get::<_, i16>("i2"), 2);
    assert_eq!(row.get::<_, i64>("i8"), 3);
    assert_eq!(row.get::<_, f32>("f4"), 1.5);
    assert_eq!(row.get::<_, f64>("f8"), 2.5);
    assert!(row.get::<_, bool>("b"));
    assert_eq!(row.get::<_, &str>("t"), "é");
    assert_eq!(row.get::<_, Vec<i32>>("a"), [1, 2]);
    assert_eq!(
        row.get::<_, Vec<Option<String>>>("ta"),
        [Some("x".to_owned()), None]
    );
    assert_eq!(row.get::<_, Option<i32>>("n"), None);
    assert_eq!(row.get::<_, Vec<u8>>("bytes"), [0, 255]);
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_with_a_row_limit_suspend_and_resume() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let transaction = client.transaction().await.unwrap();
    let portal = transaction
        .bind("select id from t order by id", &[])
        .await
        .unwrap();
    let mut seen = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 700).await.unwrap();
        if rows.is_empty() {
            break;
        }
        assert!(rows.len() <= 700);
        seen.extend(rows.iter().map(|row| row.get::<_, i32>(0)));
    }
    assert_eq!(seen, (0..wire_support::ROWS).collect::<Vec<_>>());
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_streamed_without_gathering() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let started = Instant::now();
    // Endless for any practical purpose: only a stream can answer.
    let mut rows = Box::pin(
        client
            .query_raw("select a.id from t a, t b, t c", Vec::<String>::new())
            .await
            .unwrap(),
    );
    for _ in 0..50_000 {
        rows.next().await.unwrap().unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn cancel_stops_a_running_statement() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let token = client.cancel_token();
    let asked = Instant::now();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        token.cancel_query(tokio_postgres::NoTls).await.unwrap();
    });
    let error = client.simple_query(wire_support::SLOW).await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    assert!(
        asked.elapsed() < Duration::from_millis(1_800),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(wire_support::one(&client, "select 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_timeout_stops_a_running_statement() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    client
        .batch_execute("set statement_timeout = '300ms'")
        .await
        .unwrap();
    let asked = Instant::now();
    for extended in [false, true] {
        let error = if extended {
            client.query(wire_support::SLOW, &[]).await.unwrap_err()
        } else {
            client.simple_query(wire_support::SLOW).await.unwrap_err()
        };
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
        let message = error.as_db_error().unwrap().message().to_owned();
        assert_eq!(message, "canceling statement due to statement timeout");
    }
    assert!(asked.elapsed() < Duration::from_secs(3));
    client
        .batch_execute("reset statement_timeout")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_never_yields_is_stopped_and_lets_others_run() {
    let server = TestServer::start().await;
    // One poll of it takes minutes: every pair of a batch with three million rows, and none of them is a row.
    let sql = "select count(*) from generate_series(1, 3000000) a(x) \
               join generate_series(1, 3000000) b(y) on x + y + doze(x::int4) < 0";
    let mut tokens = Vec::new();
    let mut running = Vec::new();
    // As many as there are threads for queries.
    for _ in 0..2 {
        let client = server.connect().await;
        tokens.push(client.cancel_token());
        running.push(tokio::spawn(async move { client.simple_query(sql).await }));
    }
    while server.backend.running() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let asked = Instant::now();
    let other = server.connect().await;
    assert_eq!(
        wire_support::one(&other, "select count(*) from u").await,
        "1"
    );
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "{:?}",
        asked.elapsed()
    );
    let asked = Instant::now();
    for token in tokens {
        token.cancel_query(tokio_postgres::NoTls).await.unwrap();
    }
    for query in running {
        let error = query.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
    }
    while server.backend.running() == 1 {
        let elapsed = asked.elapsed();
        assert!(elapsed < Duration::from_millis(1_800), "{elapsed:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vanished_client_stops_its_query() {
    let server = TestServer::start().await;
    let (client, connection) = server.connect_parts().await;
    let task = tokio::spawn(connection);
    let query = tokio::spawn(async move { client.simple_query(wire_support::SLOW).await });
    while server.backend.running() == 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    task.abort();
    query.abort();
    let gone = Instant::now();
    while server.backend.running() == 1 {
        assert!(
            gone.elapsed() < Duration::from_secs(8),
            "the query still runs"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("stopped after {:?}", gone.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_fail_and_savepoints_rescue() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    client.batch_execute("begin; savepoint s").await.unwrap();
    let error = client.simple_query("select nope from t").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::UNDEFINED_COLUMN));
    let error = client.simple_query("select 1").await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::IN_FAILED_SQL_TRANSACTION));
    client
        .batch_execute("rollback to savepoint s")
        .await
        .unwrap();
    assert_eq!(wire_support::one(&client, "select 1").await, "1");
    client.batch_execute("commit").await.unwrap();
    // A transaction keeps its snapshot.
    client.batch_execute("begin").await.unwrap();
    let before = wire_support::one(&client, "select count(*) from t").await;
    server.backend.commit();
    assert_eq!(
        wire_support::one(&client, "select count(*) from t").await,
        before
    );
    client.batch_execute("commit").await.unwrap();
    assert_ne!(
        wire_support::one(&client, "select count(*) from t").await,
        before
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_of_the_session() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    assert_eq!(wire_support::one(&client, "show search_path").await, "demo");
    client
        .batch_execute("set search_path to other, demo")
        .await
        .unwrap();
    assert_eq!(
        wire_support::one(&client, "select current_schema()").await,
        "other"
    );
    // Reserved words that are functions need no parentheses, with data or without.
    for sql in [
        "select current_schema",
        "select current_schema from u where current_role = current_user limit 1",
    ] {
        assert_eq!(wire_support::one(&client, sql).await, "other", "{sql}");
    }
    assert_eq!(
        wire_support::one(&client, "select current_setting('search_path')").await,
        "other, demo"
    );
    assert_eq!(
        wire_support::one(&client, "select who from u").await,
        "other"
    );
    client
        .batch_execute("begin; set local search_path to demo; commit")
        .await
        .unwrap();
    assert_eq!(
        wire_support::one(&client, "show search_path").await,
        "other, demo"
    );
    client
        .batch_execute("begin; set search_path to demo; rollback")
        .await
        .unwrap();
    assert_eq!(
        wire_support::one(&client, "show search_path").await,
        "other, demo"
    );
    wire_support::one(&client, "select set_config('search_path', 'demo', false)").await;
    assert_eq!(wire_support::one(&client, "show search_path").await, "demo");
    client
        .batch_execute("set timezone to 'Asia/Tokyo'")
        .await
        .unwrap();
    let shown = wire_support::one(&client, "select timestamptz '2024-01-01T00:00:00Z'").await;
    assert_eq!(shown, "2024-01-01 09:00:00+09");
    for sql in ["discard all; select 1", "select 1; discard all"] {
        let error = client.batch_execute(sql).await.unwrap_err();
        assert_eq!(error.code().map(SqlState::code), Some("25001"), "{sql}");
    }
    client.batch_execute("discard all").await.unwrap();
    assert_eq!(wire_support::one(&client, "show timezone").await, "UTC");
    let version = wire_support::one(&client, "select version()").await;
    assert!(version.starts_with("PostgreSQL 16"), "{version}");
    assert_eq!(
        wire_support::one(&client, "select current_database()").await,
        "genokura"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_sqlstate_position_and_hint() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let table = [
        ("select * from nope", "42P01"),
        ("select * from demo.tt", "42P01"),
        ("select nmae from t", "42703"),
        ("select no_such_function(1)", "42883"),
        ("selec 1", "42601"),
        ("select 1 +", "42601"),
        ("select 1 / (id - id) from t", "22012"),
        ("select 'x'::int", "22P02"),
        ("insert into t values (1)", "25006"),
        ("create table x (a int)", "25006"),
        ("copy t to '/tmp/x'", "42501"),
        ("show nope", "42704"),
        (
            "set datafusion.execution.batch_size = 1; show datafusion.nope",
            "42704",
        ),
        ("execute nope", "26000"),
        ("fetch 1 from nope", "34000"),
        ("select * from other_db.demo.t", "0A000"),
        ("select id from t group by name", "42803"),
    ];
    for (sql, code) in table {
        let error = client.simple_query(sql).await.unwrap_err();
        assert_eq!(
            error.code().map(SqlState::code),
            Some(code),
            "{sql}: {error:?}"
        );
    }
    let error = client
        .simple_query("select 1, nmae from t")
        .await
        .unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.message(), "column \"nmae\" does not exist");
    assert_eq!(
        error.hint(),
        Some("Perhaps you meant to reference the column \"t.name\".")
    );
    assert_eq!(
        error.position(),
        Some(&tokio_postgres::error::ErrorPosition::Original(11))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_out_in_three_formats() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let text = server
        .copy(
            &client,
            "copy (select id, name, score from t order by id limit 2) to stdout",
        )
        .await;
    assert_eq!(text, b"0\tname 0\t\\N\n1\tname 1\t0.5\n");
    let csv = server.copy(&client, "copy (select id, name, score from t order by id limit 2) to stdout (format csv, header)").await;
    assert_eq!(csv, b"id,name,score\n0,name 0,\n1,name 1,0.5\n");
    let empty = server
        .copy(
            &client,
            "copy (select id from t where false) to stdout with binary",
        )
        .await;
    assert_eq!(empty, b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff");
    let one = server
        .copy(
            &client,
            "copy (select 7 as x) to stdout (format \"binary\")",
        )
        .await;
    assert_eq!(
        one,
        b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x04\0\0\0\x07\xff\xff"
    );
    let all = server.copy(&client, "copy t (id) to stdout").await;
    assert_eq!(
        all.iter().filter(|b| **b == b'\n').count(),
        usize::try_from(wire_support::ROWS).unwrap()
    );
    for (sql, expected) in [
        ("copy (table demo.u) to stdout", "demo\n".to_owned()),
        (
            "copy (values (1, 'a,b'), (2, null), (3, E'tab\\there')) to stdout",
            "1\ta,b\n2\t\\N\n3\ttab\\there\n".to_owned(),
        ),
        (
            "copy (values (1, 'a,b'), (2, null)) to stdout with (format csv, header)",
            "column1,column2\n1,\"a,b\"\n2,\n".to_owned(),
        ),
        (
            "copy (with x as (select 5 as n) select n from x) to stdout",
            "5\n".to_owned(),
        ),
    ] {
        let copied = server.copy(&client, sql).await;
        assert_eq!(String::from_utf8(copied).unwrap(), expected, "{sql}");
    }
    let copied = server.copy(&client, "copy (table t) to stdout").await;
    let copied = String::from_utf8(copied).unwrap();
    let lines: std::collections::BTreeSet<&str> = copied.lines().collect();
    assert_eq!(lines.len(), usize::try_from(wire_support::ROWS).unwrap());
    assert!(lines.contains("0\tname 0\t\\N") && lines.contains("7\tname 7\t3.5"));
    // An error in the middle reaches the client as an error.
    let stream = client
        .copy_out("copy (select 1 / (5000 - id) from t order by id) to stdout")
        .await
        .unwrap();
    let error = stream.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
    assert_eq!(wire_support::one(&client, "select 1").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_fetch_forward() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    client
        .batch_execute("begin; declare c cursor for select id from t order by id")
        .await
        .unwrap();
    assert_eq!(
        wire_support::column(&client, "fetch 2 from c").await,
        ["0", "1"]
    );
    client.batch_execute("move 3 in c").await.unwrap();
    assert_eq!(wire_support::column(&client, "fetch next c").await, ["5"]);
    client.batch_execute("close c; commit").await.unwrap();
    let error = client
        .batch_execute("declare c cursor for select 1")
        .await
        .unwrap_err();
    assert_eq!(error.code().map(SqlState::code), Some("25P01"));
    client
        .batch_execute("prepare p (int) as select $1 + 1 as x")
        .await
        .unwrap();
    assert_eq!(
        wire_support::column(&client, "execute p (41)").await,
        ["42"]
    );
    client.batch_execute("deallocate p").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scroll_cursor_is_read_and_described_by_the_extended_protocol() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    client
        .batch_execute("begin; declare c scroll cursor for select id, name from t order by id")
        .await
        .unwrap();
    let ids = async |sql: &str| {
        let statement = client.prepare(sql).await.unwrap();
        let columns: Vec<&str> = statement.columns().iter().map(|c| c.name()).collect();
        assert_eq!(columns, ["id", "name"], "{sql}");
        let rows = client.query(&statement, &[]).await.unwrap();
        rows.iter()
            .map(|row| row.get::<_, i32>("id"))
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("fetch last from c").await, [wire_support::ROWS - 1]);
    assert_eq!(ids("fetch first from c").await, [0]);
    assert_eq!(ids("fetch absolute 9001 from c").await, [9_000]);
    assert_eq!(ids("fetch backward 3 from c").await, [8_999, 8_998, 8_997]);
    assert_eq!(
        client.execute("move backward all in c", &[]).await.unwrap(),
        8_997
    );
    let all = ids("fetch all from c").await;
    assert_eq!(all, (0..wire_support::ROWS).collect::<Vec<_>>());
    let back = ids("fetch backward all from c").await;
    assert_eq!(back, (0..wire_support::ROWS).rev().collect::<Vec<_>>());
    client.batch_execute("commit").await.unwrap();
    let error = client.batch_execute("fetch c").await.unwrap_err();
    assert_eq!(error.code().map(SqlState::code), Some("34000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_that_was_stopped_cannot_be_run() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    for scroll in ["scroll", "no scroll"] {
        let declare = format!(
            "begin; declare c {scroll} cursor for {}",
            wire_support::SLOW
        );
        client.batch_execute(&declare).await.unwrap();
        client
            .batch_execute("savepoint s; set statement_timeout = 200")
            .await
            .unwrap();
        let error = client.batch_execute("fetch c").await.unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
        client.batch_execute("rollback to s").await.unwrap();
        let error = client.batch_execute("fetch c").await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.message(), "portal \"c\" cannot be run");
        client.batch_execute("rollback").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_sets_whenever_it_runs() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let sql = "select set_config('my.x', '1', false), current_setting('my.x')";
    let statement = client.prepare(sql).await.unwrap();
    assert_eq!(statement.columns()[1].name(), "current_setting");
    let error = client.batch_execute("show my.x").await.unwrap_err();
    assert_eq!(error.code().map(SqlState::code), Some("42704"));
    for _ in 0..2 {
        let row = client.query_one(&statement, &[]).await.unwrap();
        assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("1", "1"));
        assert_eq!(wire_support::one(&client, "show my.x").await, "1");
        client.batch_execute("set my.x = '2'").await.unwrap();
    }
    let sql = "select set_config('my.x', $1, false)";
    let row = client.query_one(sql, &[&"3"]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "3");
    assert_eq!(wire_support::one(&client, "show my.x").await, "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_and_portals_are_listed_as_they_are() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let sql = "select id, name from t where id = $1 and name <> $2";
    let statement = client.prepare(sql).await.unwrap();
    for id in [1, 2] {
        client.query(&statement, &[&id, &"x"]).await.unwrap();
    }
    let listed = wire_support::rows(
        &client,
        "select statement, parameter_types, result_types, from_sql, generic_plans, custom_plans, \
         prepare_time between now() - interval '1 hour' and now() from pg_prepared_statements",
    )
    .await;
    assert_eq!(
        listed,
        [format!("{sql}|{{integer,text}}|{{integer,text}}|f|2|0|t")]
    );
    client
        .batch_execute("prepare n as fetch 1 from nowhere")
        .await
        .unwrap_err();
    client
        .batch_execute(
            "create temp table filled (x int); prepare s (numeric) as select $1; \
             prepare t as insert into filled values (1)",
        )
        .await
        .unwrap();
    client.batch_execute("execute s (1.5)").await.unwrap();
    let listed = wire_support::rows(
        &client,
        "select name, parameter_types, result_types, from_sql, generic_plans, custom_plans \
         from pg_prepared_statements where from_sql order by name",
    )
    .await;
    assert_eq!(listed, ["s|{numeric}|{numeric}|t|0|1", "t|{}|NULL|t|0|0"]);
    drop(statement);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_a_session_is_told_as_it_is() {
    let server = TestServer::start().await;
    let (watcher, client) = (server.connect().await, server.connect().await);
    let pid = wire_support::one(&client, "select pg_backend_pid()").await;
    let sql = format!(
        "select state, wait_event_type, wait_event, xact_start is null, query_start is null, \
         state_change >= query_start, leader_pid, backend_xid, query_id, query \
         from pg_stat_activity where pid = {pid}"
    );
    let told = async || wire_support::rows(&watcher, &sql).await.remove(0);
    let idle = "Client|ClientRead|";
    client.batch_execute("set my.x = '1'").await.unwrap();
    assert_eq!(
        told().await,
        format!("idle|{idle}t|f|t|NULL|NULL|NULL|set my.x = '1'")
    );
    client.batch_execute("begin").await.unwrap();
    assert_eq!(
        told().await,
        format!("idle in transaction|{idle}f|f|t|NULL|NULL|NULL|begin")
    );
    client.batch_execute("select nope").await.unwrap_err();
    assert_eq!(
        told().await,
        format!("idle in transaction (aborted)|{idle}f|f|t|NULL|NULL|NULL|select nope")
    );
    client.batch_execute("rollback").await.unwrap();
    assert!(told().await.starts_with("idle|"));
    // As in PostgreSQL, the whole string is told.
    client.batch_execute("begin; commit").await.unwrap();
    assert!(told().await.ends_with("|begin; commit"));
    let cancel = client.cancel_token();
    let running = tokio::spawn(async move { client.batch_execute(wire_support::SLOW).await });
    let active = format!(
        "active|NULL|NULL|f|f|f|NULL|NULL|NULL|{}",
        wire_support::SLOW
    );
    let mut seen = String::new();
    for _ in 0..200 {
        seen = told().await;
        if seen.starts_with("active") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The state changed when the statement came.
    assert_eq!(seen.replacen("|f|f|t|", "|f|f|f|", 1), active);
    cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
    assert!(running.await.unwrap().is_err());
}

/// Fails without: `Slot::ends`, the type inet.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_told_with_the_ends_of_its_connection() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let told = "select client_addr, client_port > 1023, application_name from pg_stat_activity \
                where pid = pg_backend_pid()";
    client
        .batch_execute("set application_name = 'report'")
        .await
        .unwrap();
    assert_eq!(
        wire_support::rows(&client, told).await,
        ["127.0.0.1|t|report"]
    );
    let ends = "select inet_client_addr(), inet_server_addr(), inet_server_port()";
    let expected = format!("127.0.0.1|127.0.0.1|{}", server.port);
    assert_eq!(wire_support::rows(&client, ends).await, [expected]);
    let same = "select inet_client_port() = client_port from pg_stat_activity \
                where pid = pg_backend_pid()";
    assert_eq!(wire_support::rows(&client, same).await, ["t"]);
    // In binary, by a driver that knows the type.
    let row = client.query_one(ends, &[]).await.unwrap();
    let address: std::net::IpAddr = row.get(0);
    assert_eq!(address.to_string(), "127.0.0.1");
    let row = client
        .query_one("select $1::inet::text", &[&address])
        .await
        .unwrap();
    assert_eq!(row.get::<_, &str>(0), "127.0.0.1/32");
    let clear = "select ssl, version, cipher, bits, client_dn from pg_stat_ssl \
                 where pid = pg_backend_pid()";
    assert_eq!(
        wire_support::rows(&client, clear).await,
        ["f|NULL|NULL|NULL|NULL"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_connections_at_once() {
    let server = TestServer::start().await;
    let server = &server;
    let sums = futures::future::join_all((0..200).map(|number| async move {
        let client = server.connect().await;
        let row = client
            .query_one("select count(*) from t where id >= $1", &[&number])
            .await
            .unwrap();
        row.get::<_, i64>(0)
    }))
    .await;
    for (number, sum) in sums.into_iter().enumerate() {
        assert_eq!(
            sum,
            i64::from(wire_support::ROWS) - i64::try_from(number).unwrap()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_told() {
    let config = wire_support::config();
    let server = TestServer::with(genokura_server::pgwire::ServerConfig {
        max_connections: 1,
        ..config
    })
    .await;
    let first = server.connect().await;
    let error = server.try_connect().await.unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::TOO_MANY_CONNECTIONS));
    // What is told of the limit is the limit.
    for sql in [
        "show max_connections",
        "select current_setting('max_connections')",
        "select setting from pg_settings where name = 'max_connections'",
    ] {
        assert_eq!(wire_support::one(&first, sql).await, "1", "{sql}");
    }
    drop(first);
    let server = TestServer::start().await;
    let client = server.connect().await;
    let default = genokura_server::pgwire::ServerConfig::default().max_connections;
    let told = wire_support::one(&client, "show max_connections").await;
    assert_eq!(told, default.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_ends_idle_sessions_and_cancels_late_statements() {
    let server = TestServer::with(genokura_server::pgwire::ServerConfig {
        drain_timeout: Duration::from_millis(500),
        ..wire_support::config()
    })
    .await;
    let idle = server.connect().await;
    let busy = server.connect().await;
    let running = tokio::spawn(async move { busy.simple_query(wire_support::SLOW).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.stop.cancel();
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::ADMIN_SHUTDOWN));
    assert!(idle.simple_query("select 1").await.is_err());
    let ended = tokio::time::timeout(Duration::from_secs(3), server.ended).await;
    ended.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_gives_json_to_tools_that_draw_plans() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let query = "select count(*) from t a join t b on a.id = b.id where a.id > 3";
    let read = async |options: &str| {
        let sql = format!("explain ({options}) {query}");
        let told = wire_support::column(&client, &sql).await;
        assert_eq!(told.len(), 1, "{told:?}");
        serde_json::from_str::<serde_json::Value>(&told[0]).unwrap()
    };
    let plan = read("format json").await;
    assert!(
        plan[0]["Plan"]["Plans"][0]["Node Type"].is_string(),
        "{plan}"
    );
    assert!(plan[0].get("Execution Time").is_none(), "{plan}");
    let plan = read("analyze, verbose, costs off, format json").await;
    assert_eq!(plan[0]["Plan"]["Actual Rows"], 1.0, "{plan}");
    assert!(plan[0]["Execution Time"].as_f64().unwrap() > 0.0);
    let prepared = client
        .prepare(&format!("explain (format json) {query}"))
        .await
        .unwrap();
    assert_eq!(prepared.columns()[0].type_().name(), "json");
    let lines = wire_support::column(&client, &format!("explain (format text) {query}")).await;
    assert!(lines.len() > 3, "{lines:?}");
    for (options, code) in [("format yaml", "0A000"), ("format x", "22023")] {
        let error = client
            .simple_query(&format!("explain ({options}) {query}"))
            .await
            .unwrap_err();
        assert_eq!(error.code().unwrap().code(), code, "{options}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_is_one_text_column() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let lines = wire_support::column(&client, "explain select count(*) from t where id > 3").await;
    assert!(
        lines.iter().any(|line| line.contains("AggregateExec")),
        "{lines:?}"
    );
    let statement = client.prepare("explain analyze select 1").await.unwrap();
    assert_eq!(statement.columns()[0].name(), "QUERY PLAN");
    assert!(!client.query(&statement, &[]).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_and_unnamed_columns_keep_their_names() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let statement = client
        .prepare("select 1, 1, id, id, count(*) over (), s.max from t, (select max(id) from t) s")
        .await
        .unwrap();
    let names: Vec<_> = statement.columns().iter().map(|c| c.name()).collect();
    assert_eq!(names, ["?column?", "?column?", "id", "id", "count", "max"]);
}

/// A client with the words that come to it, as `channel: payload`.
async fn listener(
    server: &TestServer,
) -> (
    tokio_postgres::Client,
    tokio::sync::mpsc::UnboundedReceiver<String>,
) {
    let (client, mut connection) = server.connect_parts().await;
    let (sender, words) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = futures::stream::poll_fn(move |cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            if let tokio_postgres::AsyncMessage::Notification(word) = message {
                let _ = sender.send(format!("{}: {}", word.channel(), word.payload()));
            }
        }
    });
    (client, words)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_transaction_says_is_heard_once_it_commits() {
    let server = TestServer::start().await;
    let (hearing, mut words) = listener(&server).await;
    let (speaking, mut own) = listener(&server).await;
    hearing
        .batch_execute("listen c; listen \"D\"")
        .await
        .unwrap();
    let heard = wire_support::column(&hearing, "select pg_listening_channels()").await;
    assert_eq!(heard, ["D", "c"]);
    // To a session that waits for nothing.
    speaking.batch_execute("notify c, 'one'").await.unwrap();
    assert_eq!(words.recv().await.unwrap(), "c: one");
    speaking.batch_execute("notify c").await.unwrap();
    assert_eq!(words.recv().await.unwrap(), "c: ");
    // With parameters, and once of the same.
    let said = "select pg_notify($1, $2), pg_notify($1, $2)";
    speaking.query(said, &[&"D", &"two"]).await.unwrap();
    assert_eq!(words.recv().await.unwrap(), "D: two");
    // A transaction, and what it takes back.
    speaking
        .batch_execute("begin; notify c, 'three'; savepoint s; notify c, 'gone'; rollback to s")
        .await
        .unwrap();
    speaking.batch_execute("notify c, 'four'").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(words.try_recv().is_err(), "not before the commit");
    speaking.batch_execute("commit").await.unwrap();
    assert_eq!(words.recv().await.unwrap(), "c: three");
    assert_eq!(words.recv().await.unwrap(), "c: four");
    speaking
        .batch_execute("begin; notify c, 'gone'; rollback")
        .await
        .unwrap();
    let failed = speaking
        .batch_execute("notify c, 'gone'; select nope")
        .await;
    assert!(failed.is_err());
    // Not in a transaction that goes on, but after it.
    hearing.batch_execute("begin").await.unwrap();
    speaking.batch_execute("notify c, 'five'").await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(words.try_recv().is_err(), "not within a transaction");
    hearing.batch_execute("commit").await.unwrap();
    assert_eq!(words.recv().await.unwrap(), "c: five");
    // To oneself as well; what is not listened to is not heard.
    speaking
        .batch_execute("listen own; notify own, 'mine'")
        .await
        .unwrap();
    assert_eq!(own.recv().await.unwrap(), "own: mine");
    hearing.batch_execute("unlisten c").await.unwrap();
    speaking
        .batch_execute("notify c, 'six'; notify \"D\", 'seven'")
        .await
        .unwrap();
    assert_eq!(words.recv().await.unwrap(), "D: seven");
    hearing.batch_execute("unlisten *").await.unwrap();
    let heard = wire_support::column(&hearing, "select pg_listening_channels()").await;
    assert!(heard.is_empty());
    for (sql, message) in [
        ("select pg_notify('', 'x')", "channel name cannot be empty"),
        (
            "select pg_notify(repeat('c', 64), 'x')",
            "channel name too long",
        ),
        (
            "select pg_notify('c', repeat('x', 8000))",
            "payload string too long",
        ),
    ] {
        let error = speaking.simple_query(sql).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!((error.code().code(), error.message()), ("22023", message));
    }
}

/// Clients that look for a server to write to find this one, as its sessions have temporary tables.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_may_write_until_it_says_otherwise() {
    let server = TestServer::start().await;
    let config = format!(
        "host=127.0.0.1 port={} user=ann dbname=genokura target_session_attrs=read-write",
        server.port
    );
    let (client, connection) = tokio_postgres::connect(&config, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    assert_eq!(
        wire_support::one(&client, "show transaction_read_only").await,
        "off"
    );
    assert_eq!(
        wire_support::one(&client, "show in_hot_standby").await,
        "off"
    );
}
