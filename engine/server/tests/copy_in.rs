//! COPY … FROM STDIN: rows and errors are those of PostgreSQL, which gets the same bytes; and temporary tables over the
//! extended protocol, for roles, and within the memory of a session.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod oracle_support;
mod wire_support;

use bytes::Bytes;
use futures::SinkExt;
use oracle_support::Oracle;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use wire_support::TestServer;

/// Rows as text, or an error: SQLSTATE, message, context, hint.
type Answer = Result<Vec<String>, [String; 4]>;

fn told(error: &tokio_postgres::Error) -> [String; 4] {
    let error = error.as_db_error().expect("an error of the server");
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    [
        error.code().code().to_owned(),
        error.message().to_owned(),
        text(error.where_()),
        text(error.hint()),
    ]
}

async fn connect(postgres: &Oracle) -> Client {
    let (client, connection) = tokio_postgres::connect(&postgres.address, NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let settings = "set timezone = 'UTC'; set client_min_messages = error";
    client.batch_execute(settings).await.unwrap();
    client
}

/// Sends data in parts of this size.
async fn copy(
    client: &Client,
    sql: &str,
    data: &[u8],
    part: usize,
) -> Result<u64, tokio_postgres::Error> {
    let sink = client.copy_in(sql).await?;
    let mut sink = std::pin::pin!(sink);
    for part in data.chunks(part) {
        // The server may have refused the copy already: finish tells.
        if sink.send(Bytes::copy_from_slice(part)).await.is_err() {
            break;
        }
    }
    sink.finish().await
}

async fn rows(client: &Client, sql: &str) -> Vec<String> {
    let messages = client.simple_query(sql).await;
    let messages = messages.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let cells = (0..row.len()).map(|at| row.get(at).unwrap_or("NULL"));
            Some(cells.collect::<Vec<_>>().join("|"))
        }
        _ => None,
    });
    rows.collect()
}

/// Makes a table, copies into it and reads it back.
async fn answer(client: &Client, columns: &str, options: &str, data: &[u8], part: usize) -> Answer {
    let create = format!("drop table if exists mine; create temp table mine ({columns})");
    let created = client.batch_execute(&create).await;
    created.unwrap_or_else(|error| panic!("{create}: {error:?}"));
    let sql = format!("copy mine {options}");
    match copy(client, &sql, data, part).await {
        Ok(copied) => {
            let rows = rows(client, "select * from mine").await;
            assert_eq!(copied, u64::try_from(rows.len()).unwrap(), "{sql}");
            Ok(rows)
        }
        Err(error) => {
            let left = client.simple_query("select * from mine").await;
            let left = left.unwrap_or_else(|after| panic!("{sql}: after {error:?}: {after:?}"));
            let rows =
                |message: &&SimpleQueryMessage| matches!(message, SimpleQueryMessage::Row(_));
            assert_eq!(left.iter().filter(rows).count(), 0, "{sql}");
            Err(told(&error))
        }
    }
}

const ALL: &str = "i2 smallint, i4 int, i8 bigint, f4 real, f8 double precision, n numeric(12,4), b boolean, \
    t text, v varchar(3), y bytea, d date, tm time, ts timestamp, tz timestamptz, iv interval, u uuid, j json, \
    ia int[], ta text[], ua uuid[], ja jsonb[], i2d int[][], t2d text[][], u2d uuid[][], j2d jsonb[][], \
    n2d numeric(6,2)[][]";

/// Definition of the table, options, data.
fn cases() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let text = |data: &str| data.as_bytes().to_vec();
    let mut cases = vec![
        (
            "a int, b text",
            "from stdin",
            text("1\tone\n2\t\\N\n\\N\tthree\\tx\\\\\n"),
        ),
        ("a int, b text", "from stdin", text("1\tone\r\n2\ttwo\r\n")),
        ("a int, b text", "from stdin", text("1\tone\r2\ttwo")),
        (
            "a int, b text",
            "from stdin",
            text("1\ta\\\nb\n\\.\nrest is not read\n"),
        ),
        ("a int, b text", "from stdin", text("")),
        ("a int, b text", "from stdin", text("1\n")),
        ("a int, b text", "from stdin", text("1\ta\tb\n")),
        ("a int, b text", "from stdin", text("1\ta\nx\tb\n")),
        (
            "a int, b text",
            "from stdin",
            text("1\ta\n99999999999\tb\n"),
        ),
        ("a int, b text", "from stdin", text("1\ta\rb\n2\tb\n")),
        ("a int, b text", "from stdin", text("1\ta\n2\tb\rc\n")),
        ("a int, b text", "from stdin", text("1\ta\r\n2\tb\n")),
        ("a int, b text", "from stdin", b"1\ta\xffb\n".to_vec()),
        (
            "a int, b text",
            "from stdin delimiter '|' null 'NA'",
            text("1|NA\nNA|x\\|y\n"),
        ),
        (
            "a int not null, b text",
            "from stdin",
            text("1\ta\n\\N\tb\n"),
        ),
        (
            "a int, b text default 'd', c int",
            "(c, a) from stdin",
            text("1\t2\n"),
        ),
        (
            "a int, b text",
            "from stdin where a > 1 and b <> 'x'",
            text("1\ta\n2\tb\n3\tx\n\\N\ty\n4\t\\N\n5\tc\n"),
        ),
        (
            "a int, b text, c int default 7",
            "(b, a) from stdin with (format csv, header) where c = 7 and mine.b like 'a%'",
            text("b,a\nab,1\nba,2\n"),
        ),
        ("a int, b text", "from stdin csv where false", text("1,a\n")),
        (
            "a int, b text",
            "from stdin where a > 0",
            text("1\ta\nx\tb\n"),
        ),
        (
            "a timestamp(3), b timestamptz(0), c time(2), d interval(1), e timestamp(1)[]",
            "from stdin",
            text(
                "2024-01-01 00:00:00.1235\t2024-01-01 00:00:00.5+00\t10:00:00.126\t1.26 s\t{\"2024-01-01 00:00:00.19\"}\n\
                1999-12-31 23:59:58.0005\t1999-12-31 23:59:59.5+00\t\\N\t-1.25 s\t\\N\n",
            ),
        ),
        ("a int", "from stdin", text(" 7 \n+8\n-0\n")),
        ("a int", "from stdin", text("\n")),
        ("a text", "from stdin", text("\n \n\\x41\\102\\b\n")),
        (
            "a int, b text",
            "from stdin (format csv)",
            text("1,\"a,\"\"b\"\"\nc\"\n2,\n3,\"\"\n"),
        ),
        (
            "a int, b text",
            "from stdin (format csv, header)",
            text("x,y\n1,a\n"),
        ),
        (
            "a int, b text",
            "from stdin (format csv, header match)",
            text("a,b\n1,a\n"),
        ),
        (
            "a int, b text",
            "from stdin (format csv, header match)",
            text("a,c\n1,a\n"),
        ),
        (
            "a int, b text",
            "from stdin (format csv, header match)",
            text("a\n1,a\n"),
        ),
        (
            "a int, b text",
            "from stdin (format csv, null 'NA', delimiter ';', quote '''')",
            text("NA;'NA'\n1;'x''y'\n"),
        ),
        (
            "a int, b text",
            "from stdin (format csv, escape '\\')",
            text("1,\"a\\\"b\"\n"),
        ),
        (
            "a int, b text",
            "from stdin (format csv, force_null (b))",
            text("1,\"\"\n"),
        ),
        (
            "a int, b text",
            "from stdin (format csv, force_not_null (b))",
            text("1,\n"),
        ),
        (
            "a int, b text",
            "from stdin csv force not null b",
            text("1,\n"),
        ),
        (
            "a int, b text",
            "from stdin (format csv)",
            text("1,\"open\n2,b\n"),
        ),
        ("a int, b text", "from stdin (format csv)", text("1,a,b\n")),
        ("a int, b text", "from stdin (format csv)", text("1\n")),
        (
            "a int, b text",
            "from stdin (format csv)",
            text("1,a\n\\.\n2,b\n"),
        ),
        (
            "a int, b text",
            "from stdin (format csv)",
            text("1,a\rb\n2,b\n"),
        ),
        (
            "a int, b text",
            "from stdin (format csv)",
            text("1,a\n2,b\rc\n"),
        ),
        (
            "a int",
            "from stdin binary",
            text("not a copy file, at all\n"),
        ),
        ("a int", "from stdin binary", text("PGCOPY")),
        (
            "a boolean",
            "from stdin",
            text("t\nfalse\nyes\noff\n1\n0\n\\N\n"),
        ),
        ("a boolean", "from stdin", text("o\n")),
        ("a smallint", "from stdin", text("32768\n")),
        ("a bigint", "from stdin", text("9223372036854775808\n")),
        ("a real", "from stdin", text("1.5\nNaN\n-Infinity\n1e-3\n")),
        ("a real", "from stdin", text("1e39\n")),
        ("a double precision", "from stdin", text("1e400\n")),
        (
            "a double precision",
            "from stdin",
            text("0.1\n1e308\n-inf\n"),
        ),
        ("a double precision", "from stdin", text("x\n")),
        (
            "a numeric(6,2)",
            "from stdin",
            text("1.005\n-1.005\n1e3\n.5\n9999.994\n"),
        ),
        ("a numeric(6,2)", "from stdin", text("9999.995\n")),
        ("a numeric(6,2)", "from stdin", text("1,5\n")),
        ("a varchar(3)", "from stdin", text("abc\nab   \n\n")),
        ("a varchar(3)", "from stdin", text("abcd\n")),
        ("a char(3)", "from stdin", text("a\nabc\n")),
        (
            "a bytea",
            "from stdin",
            text("\\\\x00fF\na\\\\\\\\b\\\\000\n"),
        ),
        ("a bytea", "from stdin", text("\\\\x0\n")),
        (
            "a date",
            "from stdin",
            text("2024-02-29\n1999-1-2\n20240131\n"),
        ),
        ("a date", "from stdin", text("2023-02-29\n")),
        ("a date", "from stdin", text("later\n")),
        (
            "a time",
            "from stdin",
            text("10:11\n10:11:12.1234567\n24:00\n"),
        ),
        (
            "a timestamp",
            "from stdin",
            text(
                "2024-01-02 03:04:05.678\n2024-01-02T03:04\n2024-01-02\n2024-01-02 03:04:05+09\ninfinity\n",
            ),
        ),
        (
            "a timestamptz",
            "from stdin",
            text(
                "2024-01-02 03:04:05+09\n2024-01-02 03:04:05\n2024-01-02 03:04:05Z\n2024-01-02 03:04:05 -03:30\n",
            ),
        ),
        ("a timestamptz", "from stdin", text("2024-13-02 03:04:05\n")),
        (
            "a interval",
            "from stdin",
            text("1 mon 2 days 03:04:05.5\n-1 day\n1 year\n02:00:00\n1.5 days\n"),
        ),
        ("a interval", "from stdin", text("soon\n")),
        (
            "a uuid",
            "from stdin",
            text("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\n"),
        ),
        ("a uuid", "from stdin", text("a0ee\n")),
        ("a json", "from stdin", text("{\"a\": [1, 2]}\n")),
        (
            "a int[]",
            "from stdin",
            text("{1,NULL,3}\n{}\n\\N\n{ 4 , 5 }\n"),
        ),
        ("a int[]", "from stdin", text("{1,x}\n")),
        ("a int[]", "from stdin", text("1,2\n")),
        ("a int[][]", "from stdin", text("{{1,2},{3,NULL}}\n")),
        (
            "a text[]",
            "from stdin",
            text("{a,\"b,\\\\\"c\",NULL,\"NULL\",\"\"}\n"),
        ),
        (
            "a timestamptz[]",
            "from stdin",
            text("{\"2024-01-02 03:04:05+09\"}\n"),
        ),
    ];
    let row = "-1\t2\t3\t1.5\t-0.1\t12.3456\tt\té \"x\"\tabc\t\\\\x00ff\t2024-02-29\t12:34:56.789\t\
        2024-02-29 12:34:56.789\t2024-02-29 12:34:56+00\t1 mon 2 days 03:04:05\t\
        a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\t[1]\t{1,NULL}\t{a,\"b,c\"}\t\
        {A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11,NULL}\t{\"{\\\\\"b\\\\\": 1}\",2}\t{{1,NULL},{3,4}}\t{{a,NULL},{\"b c\",\"\"}}\t\
        {{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11},{NULL}}\t{{\"{\\\\\"b\\\\\":1}\",2}}\t{{1.005},{2}}\n";
    let nulls = vec!["\\N"; 26].join("\t");
    for (columns, data) in [
        ("a int[][]", "{{1},{x}}\n"),
        ("a int[][]", "{{1,2},{3}}\n"),
        ("a uuid[][]", "{{x}}\n"),
        ("a varchar(2)[][]", "{{ab},{abc}}\n"),
        ("a uuid[]", "{x}\n"),
        ("a int[][]", "{}\n\\N\n{{1},{2}}\n"),
    ] {
        cases.push((columns, "from stdin", text(data)));
    }
    cases.push((ALL, "from stdin", text(&format!("{row}{nulls}\n{row}"))));
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_errors_are_those_of_postgresql() {
    let server = TestServer::start().await;
    let ours = server.connect().await;
    let postgres = Oracle::start();
    let theirs = connect(&postgres).await;
    let mut wrong = Vec::new();
    for (columns, options, data) in cases() {
        let known = answer(&theirs, columns, options, &data, 1 << 16).await;
        for part in [1 << 16, 7, 1] {
            let found = answer(&ours, columns, options, &data, part).await;
            if found != known {
                let data = String::from_utf8_lossy(&data);
                wrong.push(format!(
                    "({columns}) {options} by {part}: {data:?}\n  PostgreSQL {known:?}\n  genokura   {found:?}"
                ));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Refused before any data is asked for.
    let create = "drop table if exists mine; create temp table mine (a int, b text)";
    for options in [
        "(c) from stdin",
        "(a, a) from stdin",
        "from stdin (format csv, force_null (c))",
        "from stdin (format binary, header)",
        "from stdin (format nonsense)",
        "from stdin (delimiter 'ab')",
        "from stdin (quote '\"')",
    ] {
        let mut answers = Vec::new();
        for client in [&theirs, &ours] {
            client.batch_execute(create).await.unwrap();
            let refused = client.batch_execute(&format!("copy mine {options}")).await;
            answers.push(told(&refused.unwrap_err())[..2].to_vec());
        }
        assert_eq!(answers[0], answers[1], "{options}");
    }
}

/// What PostgreSQL writes in binary is read, and the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn binary_goes_both_ways() {
    use futures::TryStreamExt as _;
    let server = TestServer::start().await;
    let ours = server.connect().await;
    let postgres = Oracle::start();
    let theirs = &connect(&postgres).await;
    let all = cases().pop().unwrap();
    for client in [&ours, theirs] {
        answer(client, all.0, all.1, &all.2, 1 << 16).await.unwrap();
    }
    let expected = rows(theirs, "select * from mine").await;
    assert_eq!(rows(&ours, "select * from mine").await, expected);
    let out = async |client: &Client| -> Vec<u8> {
        let stream = client.copy_out("copy mine to stdout binary").await.unwrap();
        let parts: Vec<Bytes> = stream.try_collect().await.unwrap();
        parts.concat()
    };
    let data = out(theirs).await;
    assert_eq!(out(&ours).await, data, "binary COPY TO");
    for part in [1 << 16, 3] {
        ours.batch_execute("truncate mine").await.unwrap();
        let copied = copy(&ours, "copy mine from stdin binary", &data, part).await;
        assert_eq!(copied.unwrap(), 3);
        assert_eq!(rows(&ours, "select * from mine").await, expected);
    }
    // Damaged files are told in the same words.
    let mut wrong_count = data.clone();
    wrong_count[20] = 18;
    let mut wrong_length = data.clone();
    wrong_length[24] = 3;
    let after = [data.as_slice(), b"x"].concat();
    for data in [
        &data[..data.len() - 40],
        &wrong_count,
        &wrong_length,
        &after,
    ] {
        let sql = "copy mine from stdin binary";
        let found = told(&copy(&ours, sql, data, 1 << 16).await.unwrap_err());
        let known = told(&copy(theirs, sql, data, 1 << 16).await.unwrap_err());
        assert_eq!(found[..3], known[..3]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_can_be_given_up_and_the_session_goes_on() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    client
        .batch_execute("create temp table t2 (a int)")
        .await
        .unwrap();
    {
        let sink = client
            .copy_in::<_, Bytes>("copy t2 from stdin")
            .await
            .unwrap();
        let mut sink = std::pin::pin!(sink);
        sink.send(Bytes::from_static(b"1\n2\n")).await.unwrap();
        // Dropped: CopyFail.
    }
    assert_eq!(rows(&client, "select count(*) from t2").await, ["0"]);
    // In a block the failure aborts it.
    client.batch_execute("begin").await.unwrap();
    let error = copy(&client, "copy t2 from stdin", b"x\n", 10).await;
    assert_eq!(told(&error.unwrap_err())[0], "22P02");
    let error = client.batch_execute("select 1").await.unwrap_err();
    assert_eq!(told(&error)[0], "25P02");
    client.batch_execute("rollback").await.unwrap();
    // A timeout ends a copy whose client says nothing.
    client
        .batch_execute("set statement_timeout = 300")
        .await
        .unwrap();
    let sink = client
        .copy_in::<_, Bytes>("copy t2 from stdin")
        .await
        .unwrap();
    let sink = std::pin::pin!(sink);
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    let error = sink.finish().await.unwrap_err();
    assert_eq!(told(&error)[0], "57014");
    client
        .batch_execute("reset statement_timeout")
        .await
        .unwrap();
    for (sql, code) in [
        ("copy u from stdin", "25006"),
        ("copy nowhere from stdin", "42P01"),
        ("copy t2 from '/etc/passwd'", "42501"),
        ("copy t2 from program 'id'", "42501"),
    ] {
        let error = client.batch_execute(sql).await.unwrap_err();
        assert_eq!(told(&error)[0], code, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_with_parameters_fill_tables() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    client
        .batch_execute("create temp table p (a int, b text[], c float8, d timestamptz)")
        .await
        .unwrap();
    let insert = client
        .prepare("insert into p (b, a, c) values ($1, $2, $3)")
        .await
        .unwrap();
    let types: Vec<&str> = insert.params().iter().map(|t| t.name()).collect();
    assert_eq!(types, ["_text", "int4", "float8"]);
    for at in 0..3 {
        let rows = client
            .execute(&insert, &[&vec!["x", "y"], &at, &(f64::from(at) / 2.0)])
            .await
            .unwrap();
        assert_eq!(rows, 1);
    }
    // A statement that was prepared before the table changed sees it as it is.
    let count = client
        .prepare("select count(*) from p where a >= $1")
        .await
        .unwrap();
    let counted = async || {
        client
            .query_one(&count, &[&1_i32])
            .await
            .unwrap()
            .get::<_, i64>(0)
    };
    assert_eq!(counted().await, 2);
    let made = client
        .execute(
            "create temp table q as select a, c from p where a > $1",
            &[&0_i32],
        )
        .await
        .unwrap();
    assert_eq!(made, 2);
    assert_eq!(
        client
            .execute("delete from p where a = $1", &[&2_i32])
            .await
            .unwrap(),
        1
    );
    assert_eq!(counted().await, 1);
    let update = client
        .prepare("update p set c = $1, a = a + $2 where a = $3")
        .await
        .unwrap();
    let types: Vec<&str> = update.params().iter().map(|t| t.name()).collect();
    assert_eq!(types, ["float8", "int4", "int4"]);
    let updated = client.execute(&update, &[&0.25_f64, &10_i32, &1_i32]);
    assert_eq!(updated.await.unwrap(), 1);
    assert_eq!(
        rows(&client, "select a, b, c from p order by a").await,
        ["0|{x,y}|0", "11|{x,y}|0.25"]
    );
    // What a condition says of a row is asked once.
    let half = "update p set a = 0 where random() < 0.5";
    client.batch_execute(half).await.unwrap();
    assert_eq!(rows(&client, "select count(*) from p").await, ["2"]);
    client.batch_execute("drop table p").await.unwrap();
    let error = client.query_one(&count, &[&1_i32]).await.unwrap_err();
    assert_eq!(told(&error)[0], "42P01");
    // An error takes back what the same query string did before it, as in PostgreSQL.
    let error = client
        .batch_execute(
            "insert into q values (7, 7); create temp table w (x int); select * from nowhere",
        )
        .await
        .unwrap_err();
    assert_eq!(told(&error)[0], "42P01");
    assert_eq!(rows(&client, "select count(*) from q").await, ["2"]);
    let error = client.batch_execute("select * from w").await.unwrap_err();
    assert_eq!(told(&error)[0], "42P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_do_not_see_each_other() {
    let server = TestServer::start().await;
    let (one, two) = (server.connect().await, server.connect().await);
    one.batch_execute("create temp table secret as select 42 as x")
        .await
        .unwrap();
    let schema = rows(&one, "select pg_my_temp_schema()::regnamespace").await;
    for sql in [
        "select * from secret".to_owned(),
        format!("select * from {}.secret", schema[0]),
        "insert into secret values (1)".to_owned(),
        format!("copy {}.secret from stdin", schema[0]),
        format!("drop table {}.secret", schema[0]),
    ] {
        let error = two.batch_execute(&sql).await.unwrap_err();
        assert_eq!(told(&error)[0], "42P01", "{sql}");
    }
    let seen = "select count(*) from pg_class where relname = 'secret'";
    assert_eq!(rows(&two, seen).await, ["0"]);
    assert_eq!(rows(&one, seen).await, ["1"]);
    two.batch_execute("create temp table secret as select 'other' as x")
        .await
        .unwrap();
    assert_eq!(rows(&one, "select x from secret").await, ["42"]);
    one.batch_execute("discard all").await.unwrap();
    let error = one.batch_execute("select * from secret").await.unwrap_err();
    assert_eq!(told(&error)[0], "42P01");
}
