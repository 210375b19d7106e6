//! Corners of the protocol, byte by byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod wire_support;

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire_support::TestServer;
use wire_support::raw::{
    Raw, bind, execute, kinds, message, parse, query, run, sqlstate, startup, sync, texts,
};

#[tokio::test(flavor = "multi_thread")]
async fn encryption_requests_are_declined_in_any_order() {
    let server = TestServer::start().await;
    let mut raw = Raw(server.raw().await);
    for request in [80_877_103_u32, 80_877_104] {
        raw.0
            .write_all(&[&8_u32.to_be_bytes()[..], &request.to_be_bytes()].concat())
            .await
            .unwrap();
        assert_eq!(raw.0.read_u8().await.unwrap(), b'N');
    }
    raw.0.write_all(&startup(&[("user", "ann")])).await.unwrap();
    assert!(kinds(&raw.until_ready().await).starts_with('R'));
}

#[tokio::test(flavor = "multi_thread")]
async fn greeting_reports_settings_and_a_key() {
    let server = TestServer::start().await;
    let (_raw, greeting) = Raw::start(&server).await;
    let reported: Vec<String> = greeting
        .iter()
        .filter(|(kind, _)| *kind == b'S')
        .map(|(_, body)| {
            String::from_utf8_lossy(body)
                .replace('\0', "=")
                .trim_end_matches('=')
                .to_owned()
        })
        .collect();
    for expected in [
        "server_encoding=UTF8",
        "integer_datetimes=on",
        "standard_conforming_strings=on",
    ] {
        assert!(reported.iter().any(|r| r == expected), "{reported:?}");
    }
    assert!(
        reported.iter().any(|r| r.starts_with("server_version=16")),
        "{reported:?}"
    );
    assert!(kinds(&greeting).ends_with("KZ"));
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_database_and_version_are_refused() {
    let server = TestServer::start().await;
    let mut raw = Raw(server.raw().await);
    raw.0
        .write_all(&startup(&[("user", "ann"), ("database", "nope")]))
        .await
        .unwrap();
    assert_eq!(sqlstate(&raw.message().await.unwrap()), "3D000");
    assert!(raw.message().await.is_none());
    let mut raw = Raw(server.raw().await);
    raw.0.write_all(&[0, 0, 0, 9, 0, 2, 0, 0, 0]).await.unwrap();
    assert_eq!(sqlstate(&raw.message().await.unwrap()), "0A000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_skips_to_sync_after_an_error() {
    let server = TestServer::start().await;
    let (mut raw, _) = Raw::start(&server).await;
    raw.send(&[
        parse("select 1"),
        bind(),
        execute(0),
        parse("select nope"),
        bind(),
        execute(0),
    ])
    .await;
    raw.send(&[sync(), parse("select 2"), bind(), execute(0), sync()])
        .await;
    let first = raw.until_ready().await;
    assert_eq!(kinds(&first), "12DC1EZ".replace("1E", "E"));
    assert_eq!(sqlstate(&first[4]), "42703");
    assert_eq!(kinds(&raw.until_ready().await), "12DCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_limit_suspends_the_portal() {
    let server = TestServer::start().await;
    let (mut raw, _) = Raw::start(&server).await;
    raw.send(&[query("begin")]).await;
    raw.until_ready().await;
    raw.send(&[
        parse("select id from demo.t order by id limit 3"),
        bind(),
        execute(2),
        sync(),
    ])
    .await;
    assert_eq!(kinds(&raw.until_ready().await), "12DDsZ");
    // The portal outlives Sync inside a transaction.
    raw.send(&[execute(2), execute(2), sync()]).await;
    assert_eq!(kinds(&raw.until_ready().await), "DCCZ");
}

/// As PostgreSQL 15 answers the same bytes.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_pipeline_sets_lasts_until_sync() {
    let server = TestServer::start().await;
    let (mut raw, _) = Raw::start(&server).await;
    let show = || run("show lock_timeout");
    raw.send(&[run("set local lock_timeout = 5000"), show(), sync()])
        .await;
    let answer = raw.until_ready().await;
    assert_eq!(texts(&answer), ["25P01", "SET", "5s", "SHOW"]);
    raw.send(&[show(), sync()]).await;
    assert_eq!(texts(&raw.until_ready().await), ["0", "SHOW"]);
    raw.send(&[
        run("set lock_timeout = '7s'"),
        run("select nope"),
        sync(),
        show(),
        sync(),
    ])
    .await;
    assert_eq!(texts(&raw.until_ready().await), ["SET", "42703"]);
    assert_eq!(texts(&raw.until_ready().await), ["0", "SHOW"]);
    let declare = "declare c cursor for values (1)";
    raw.send(&[run("select 1"), run(declare), sync()]).await;
    let answer = raw.until_ready().await;
    assert_eq!(texts(&answer), ["1", "SELECT 1", "25P01"]);
}

/// As PostgreSQL 15 answers the same bytes. Fails without: `Session::columns_now`.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_later_in_a_pipeline_may_be_named_before() {
    let server = TestServer::start().await;
    let (mut raw, _) = Raw::start(&server).await;
    let parse_as = |name: &str, sql: &str| {
        let body = [name.as_bytes(), b"\0", sql.as_bytes(), b"\0\0\0"].concat();
        message(b'P', &body)
    };
    let bind_of = |name: &str| message(b'B', &[b"\0", name.as_bytes(), b"\0\0\0\0\0\0\0"].concat());
    let describe =
        |kind: &str, name: &str| message(b'D', &[kind.as_bytes(), name.as_bytes(), b"\0"].concat());
    for (late, code) in [("fetch 1 from nope", "34000"), ("execute nope", "26000")] {
        raw.send(&[
            parse_as("s", late),
            describe("S", "s"),
            bind_of("s"),
            describe("P", ""),
            execute(0),
            sync(),
            message(b'C', b"Ss\0"),
            sync(),
        ])
        .await;
        let answer = raw.until_ready().await;
        assert_eq!(kinds(&answer), "1tn2nEZ", "{late}");
        assert_eq!(texts(&answer), [code], "{late}");
        raw.until_ready().await;
    }
    // Both are prepared before what they name, and described by what is there at Bind.
    raw.send(&[
        run("begin"),
        parse_as("f", "fetch 2 from c"),
        parse_as("e", "execute p"),
        run("declare c cursor for select id from demo.t order by id"),
        run("prepare p as select 7"),
        bind_of("f"),
        describe("P", ""),
        execute(0),
        bind_of("e"),
        describe("P", ""),
        execute(0),
        sync(),
    ])
    .await;
    let answer = raw.until_ready().await;
    assert_eq!(kinds(&answer), "12C1112C12C2TDDC2TDCZ");
    let told = [
        "BEGIN",
        "DECLARE CURSOR",
        "PREPARE",
        "0",
        "1",
        "FETCH 2",
        "7",
        "SELECT 1",
    ];
    assert_eq!(texts(&answer), told);
    // What is bound before it is there was told without rows: they are passed over.
    raw.send(&[
        run("close c"),
        message(b'B', b"early\0f\0\0\0\0\0\0\0"),
        run("declare c cursor for select id from demo.t order by id"),
        message(b'E', b"early\0\0\0\0\0"),
        run("fetch 1 from c"),
        sync(),
    ])
    .await;
    let told = ["CLOSE CURSOR", "DECLARE CURSOR", "FETCH 2", "2", "FETCH 1"];
    assert_eq!(texts(&raw.until_ready().await), told);
}

/// Fails without: `Shared::pinned`.
#[tokio::test(flavor = "multi_thread")]
async fn statements_of_one_string_or_pipeline_read_one_state() {
    let server = TestServer::start().await;
    let (mut raw, _) = Raw::start(&server).await;
    let count = || run("select count(*) from demo.t");
    let flush = || message(b'H', b"");
    raw.send(&[count(), flush()]).await;
    let mut before = Vec::new();
    while before.len() < 4 {
        before.push(raw.message().await.unwrap());
    }
    server.backend.commit();
    raw.send(&[count(), sync(), count(), sync()]).await;
    let after = raw.until_ready().await;
    assert_eq!(texts(&before)[0], "10000");
    assert_eq!(texts(&before), texts(&after));
    assert_eq!(texts(&raw.until_ready().await)[0], "10001");
    // BEGIN makes a block of what came before it; COMMIT ends it.
    let ends = [("", 0), ("begin; ", 0), ("begin; commit; ", 1)];
    for (rows, (middle, sees_more)) in (10_001..).zip(ends) {
        let count = "select count(*) from demo.t";
        server.backend.planned();
        raw.send(&[query(&format!(
            "{count}; select pg_sleep(0.5); {middle}{count}"
        ))])
        .await;
        while server.backend.planned() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.backend.commit();
        let told = texts(&raw.until_ready().await);
        let counted: Vec<i32> = told.iter().filter_map(|text| text.parse().ok()).collect();
        assert_eq!(counted, [rows, rows + sees_more], "{middle}");
        raw.send(&[query("rollback")]).await;
        raw.until_ready().await;
    }
}

/// Fails without: `Connection::is_followed`, `Session::must_be_last`.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_back_runs_last_before_sync() {
    let server = TestServer::start().await;
    let (mut raw, _) = Raw::start(&server).await;
    let close = || message(b'C', b"P\0");
    for sql in [
        "create cohort c as select 'S1'",
        "grant select on demo.t to ann",
    ] {
        raw.send(&[run(sql), sync()]).await;
        // Neither a lake nor a role file is there to write.
        let alone = texts(&raw.until_ready().await);
        assert_ne!(alone[0], "25001", "{sql}");
        for before in [vec![run("select 1")], vec![parse(sql), bind()], vec![]] {
            raw.send(&before).await;
            raw.send(&[run(sql), close(), close(), sync()]).await;
            let told = texts(&raw.until_ready().await);
            assert_eq!(told.last(), alone.last(), "{sql}");
        }
        raw.send(&[run(sql), run("select 1"), sync()]).await;
        assert_eq!(texts(&raw.until_ready().await), ["25001"], "{sql}");
        raw.send(&[run(sql), close(), parse("select nope"), sync()])
            .await;
        assert_eq!(texts(&raw.until_ready().await), ["25001"], "{sql}");
        // A client that waits for the answer gets it.
        raw.send(&[run(sql), message(b'H', b"")]).await;
        while raw.message().await.unwrap().0 != b'E' {}
        raw.send(&[sync()]).await;
        assert_eq!(texts(&raw.until_ready().await), [""; 0], "{sql}");
        raw.send(&[query(&format!("{sql}; select 1"))]).await;
        assert_eq!(texts(&raw.until_ready().await), ["25001"], "{sql}");
        raw.send(&[query(&format!("select 1; {sql}"))]).await;
        assert_eq!(
            texts(&raw.until_ready().await).last(),
            alone.last(),
            "{sql}"
        );
        raw.send(&[query("begin"), run(sql), sync(), query("rollback")])
            .await;
        raw.until_ready().await;
        assert_eq!(texts(&raw.until_ready().await), ["25001"], "{sql}");
        raw.until_ready().await;
    }
}

/// As PostgreSQL 15 answers the same bytes.
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_a_portal_and_a_portal_a_cursor() {
    let server = TestServer::start().await;
    let (mut raw, _) = Raw::start(&server).await;
    let execute_of = |name: &str, rows: u32| {
        message(
            b'E',
            &[name.as_bytes(), b"\0", &rows.to_be_bytes()[..]].concat(),
        )
    };
    raw.send(&[query(
        "begin; declare c scroll cursor for values (1), (2), (3), (4)",
    )])
    .await;
    raw.until_ready().await;
    // FETCH in portions; then the portal of the cursor itself.
    raw.send(&[
        parse("fetch 2 from c"),
        bind(),
        execute(1),
        execute(1),
        sync(),
        message(b'D', b"Pc\0"),
        execute_of("c", 1),
        sync(),
        execute_of("c", 0),
        sync(),
    ])
    .await;
    assert_eq!(kinds(&raw.until_ready().await), "12DsDsZ");
    let next = raw.until_ready().await;
    assert_eq!(kinds(&next), "TDsZ");
    assert_eq!(texts(&next), ["3"]);
    assert_eq!(texts(&raw.until_ready().await), ["4", "SELECT 1"]);
    raw.send(&[
        run("fetch prior from c"),
        run("move backward all in c"),
        sync(),
    ])
    .await;
    assert_eq!(texts(&raw.until_ready().await), ["4", "FETCH 1", "MOVE 3"]);
    // A portal that Bind made after a savepoint is a cursor that goes forward, and goes with the savepoint.
    let named = message(b'B', b"x\0\0\0\0\0\0\0\0");
    raw.send(&[
        run("savepoint s"),
        parse("values (1), (2), (3)"),
        named,
        execute_of("x", 1),
        run("fetch x"),
        run("select '<' || name || '>' from pg_cursors order by name"),
        run("fetch prior from x"),
        sync(),
    ])
    .await;
    let answer = raw.until_ready().await;
    let expected = [
        "SAVEPOINT",
        "1",
        "2",
        "FETCH 1",
        "<>",
        "<c>",
        "<x>",
        "SELECT 3",
        "55000",
    ];
    assert_eq!(texts(&answer), expected);
    raw.send(&[run("rollback to s"), execute_of("x", 0), sync()])
        .await;
    assert_eq!(texts(&raw.until_ready().await), ["ROLLBACK", "34000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_queries_and_several_statements() {
    let server = TestServer::start().await;
    let (mut raw, _) = Raw::start(&server).await;
    raw.send(&[query(" ; ")]).await;
    assert_eq!(kinds(&raw.until_ready().await), "IZ");
    raw.send(&[query("select 1; select nope; select 2")]).await;
    assert_eq!(kinds(&raw.until_ready().await), "TDCEZ");
    raw.send(&[parse(""), bind(), message(b'D', b"P\0"), execute(0), sync()])
        .await;
    assert_eq!(kinds(&raw.until_ready().await), "12nIZ");
    raw.send(&[query("set application_name = 'x'")]).await;
    assert_eq!(kinds(&raw.until_ready().await), "CSZ");
    raw.send(&[query("copy (select 1) to stdout")]).await;
    assert_eq!(kinds(&raw.until_ready().await), "HdcCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_messages_end_only_their_connection() {
    let server = TestServer::start().await;
    let (mut other, _) = Raw::start(&server).await;
    let broken: [Vec<u8>; 3] = [
        vec![b'Q', 0, 0, 0, 1],
        vec![b'Q', 0x7f, 0xff, 0xff, 0xff],
        message(b'!', b""),
    ];
    for bytes in broken {
        let (mut raw, _) = Raw::start(&server).await;
        raw.send(std::slice::from_ref(&bytes)).await;
        let answer = tokio::time::timeout(Duration::from_secs(5), raw.message())
            .await
            .unwrap();
        assert_eq!(sqlstate(&answer.unwrap()), "08P01", "{bytes:?}");
        assert!(raw.message().await.is_none());
    }
    other.send(&[query("select 1")]).await;
    assert_eq!(kinds(&other.until_ready().await), "TDCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn spoilt_messages_take_nobody_else_down() {
    let server = TestServer::start().await;
    let (mut other, _) = Raw::start(&server).await;
    let good = [
        parse("select id from t where id < 3"),
        message(b'D', b"S\0"),
        bind(),
        message(b'D', b"P\0"),
        execute(2),
        message(b'C', b"P\0"),
        message(b'd', b"x"),
        message(b'c', b""),
        sync(),
        query("begin; declare c cursor for select id from t; fetch 2 from c; commit"),
        message(b'H', b""),
    ]
    .concat();
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = |below: usize| -> usize {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    for round in 0..150 {
        let mut bytes = good.clone();
        for _ in 0..=next(4) {
            let at = next(bytes.len());
            match next(3) {
                0 => bytes[at] = u8::try_from(next(256)).unwrap(),
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, u8::try_from(next(256)).unwrap()),
            }
        }
        let (mut raw, _) = Raw::start(&server).await;
        raw.send(std::slice::from_ref(&bytes)).await;
        raw.0.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), raw.0.read_to_end(&mut rest));
        // The server may close a connection with bytes of ours unread: a reset is an end too.
        let _ = read
            .await
            .unwrap_or_else(|_| panic!("round {round} hangs: {bytes:?}"));
    }
    other.send(&[query("select 1")]).await;
    assert_eq!(kinds(&other.until_ready().await), "TDCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_start_is_dropped() {
    let server = TestServer::with(genokura_server::pgwire::ServerConfig {
        startup_timeout: Duration::from_millis(200),
        ..wire_support::config()
    })
    .await;
    let mut raw = Raw(server.raw().await);
    let ended = tokio::time::timeout(Duration::from_secs(5), raw.message())
        .await
        .unwrap();
    assert!(ended.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn values_print_as_postgresql_prints_them() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let table = [
        ("1.5::numeric(10,3)", "1.500"),
        ("(-0.05)::numeric(10,2)", "-0.05"),
        ("1e20::double precision", "1e+20"),
        ("0.1::real", "0.1"),
        ("date '2024-02-29'", "2024-02-29"),
        (
            "timestamp '2024-01-01 00:00:00.25'",
            "2024-01-01 00:00:00.25",
        ),
        ("interval '1 month 2 days 3 hours'", "1 mon 2 days 03:00:00"),
        ("array['a','b c',null]", "{a,\"b c\",NULL}"),
        ("array[array[1,2],array[3,4]]", "{{1,2},{3,4}}"),
        ("x'00ff'", "\\x00ff"),
        ("named_struct('a', 1, 'b', 'x')", "(1,x)"),
        ("true", "t"),
    ];
    for (expression, text) in table {
        let sql = format!("select {expression}");
        assert_eq!(wire_support::one(&client, &sql).await, text, "{expression}");
    }
}
