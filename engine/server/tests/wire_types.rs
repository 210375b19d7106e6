//! Values of each type in text and binary, as results and as parameters: the bytes are those that PostgreSQL 15 sends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod oracle_support;

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::{BufMut as _, BytesMut};
use genokura_server::backend::EngineBackend;
use genokura_server::pgwire::{ServerConfig, serve_on};
use genokura_storage::Lake;
use oracle_support::Oracle;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

/// Bytes as they are, of whatever type.
#[derive(Debug, Clone)]
struct Raw(Option<Vec<u8>>, Sent);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Text,
    Binary,
}

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Some(raw.to_vec()), Sent::Binary))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(None, Sent::Binary))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.0 {
            Some(bytes) => {
                out.put_slice(bytes);
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        match self.1 {
            Sent::Text => Format::Text,
            Sent::Binary => Format::Binary,
        }
    }

    to_sql_checked!();
}

async fn server() -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let lake = Arc::new(Lake::memory());
    let backend = EngineBackend::with_config(lake, genokura_exec::EngineConfig::default()).unwrap();
    let config = ServerConfig::default();
    tokio::spawn(serve_on(
        listener,
        Arc::new(backend),
        config,
        CancellationToken::new(),
    ));
    connect(&format!(
        "host=127.0.0.1 port={port} user=ann dbname=genokura"
    ))
    .await
}

async fn connect(address: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("set timezone = 'UTC'").await.unwrap();
    client
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => format!("{} {}", error.code().code(), error.message()),
        None => format!("{error:?}"),
    }
}

/// Type, modifier, text and binary of one value.
async fn result(client: &Client, sql: &str) -> Result<[String; 3], String> {
    let statement = client.prepare(sql).await.map_err(|e| told(&e))?;
    let column = &statement.columns()[0];
    let shape = format!("{} {}", column.type_().name(), column.type_modifier());
    let row = client
        .query_one(&statement, &[])
        .await
        .map_err(|e| told(&e))?;
    let raw: Raw = row.get(0);
    let binary = raw.0.as_deref().map_or("NULL".to_owned(), hex);
    let text = client.simple_query(sql).await.map_err(|e| told(&e))?;
    let text = text.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
        _ => None,
    });
    Ok([shape, text.unwrap(), binary])
}

/// A parameter of a type, sent so and read back in binary, and as text.
async fn parameter(client: &Client, pg_type: &Type, value: &Raw) -> Result<[String; 2], String> {
    let types = [pg_type.clone()];
    let statement = client.prepare_typed("select $1", &types);
    let statement = statement.await.map_err(|e| told(&e))?;
    let shape = statement.columns()[0].type_().name().to_owned();
    let row = client
        .query_one(&statement, &[value])
        .await
        .map_err(|e| told(&e))?;
    let raw: Raw = row.get(0);
    Ok([shape, raw.0.as_deref().map_or("NULL".to_owned(), hex)])
}

const RESULTS: &[&str] = &[
    // arrays whose items are texts to the engine
    "select array_agg(u) from (values ('9f1a1e1c-0000-4000-8000-00000000000a'::uuid), (null)) v(u)",
    "select array_agg(j) from (values ('{\"a\": 1}'::jsonb)) v(j)",
    "select array_agg(j) from (values ('[1]'::json)) v(j)",
    "select us || u from (values (array['9f1a1e1c-0000-4000-8000-00000000000a'::uuid], null::uuid)) v(us, u)",
    "select array_append(js, j) from (values (array['1'::jsonb], '2'::jsonb)) v(js, j)",
    "select array(select u from (values ('9f1a1e1c-0000-4000-8000-00000000000a'::uuid)) v(u))",
    "select unnest(us) from (values (array['9f1a1e1c-0000-4000-8000-00000000000a'::uuid])) v(us)",
    "select x from (values (array['{}'::jsonb])) v(js), unnest(js) x",
    "select coalesce(us, null::uuid[]) from (values (array['9f1a1e1c-0000-4000-8000-00000000000a'::uuid])) v(us)",
    "select coalesce(us, '{}') from (values (null::uuid[])) v(us)",
    "select case when n = 1 then us else null::uuid[] end from (values (1, '{}'::uuid[])) v(n, us)",
    "select null::uuid[] from (values (1)) v(n)",
    "select null::jsonb[] from (values (1)) v(n)",
    "select null::varchar[] from (values (1)) v(n)",
    "select '{a,bcd}'::varchar(2)[] from (values (1)) v(n)",
    "select '{a,bcd}'::char(2)[] from (values (1)) v(n)",
    "select vs || v from (values ('{a}'::varchar[], 'b'::varchar(3))) v(vs, v)",
    // parts of jsonb, and bits
    "select j['a'][0] from (values ('{\"a\": [{\"b\": 1}]}'::jsonb)) v(j)",
    "select j[0] from (values ('[7]'::jsonb)) v(j)",
    "select 5::bit(8)",
    "select b'101'::bit(3)",
    "select ('x' || md5('5'))::bit(64)",
    "select ('x' || md5('5'))::bit(64)::bigint",
    "select 'x1F'::bit(12)::int",
    "select 5::bit(8)::text",
    "select null::bit(3)",
    // interval
    "select interval '1 year 2 mons 3 days 04:05:06.789'",
    "select '-1 day'::interval",
    "select '0'::interval",
    "select interval '1 mon -1 day'",
    "select '-00:00:00.000001'::interval",
    "select 'P1Y2M3DT4H5M6S'::interval",
    "select '1-2'::interval",
    "select '@ 3 days ago'::interval",
    "select '1.5 hours'::interval",
    "select null::interval",
    "select array['1 day'::interval, null, '01:00'::interval]",
    // json, jsonb
    "select '{\"b\": 1,  \"a\":[1,null,\"x\\u00e9\"], \"b\": {}}'::json",
    "select '{\"bb\": 1,  \"a\":[1,null,\"x\\u00e9\", 1.50, 1e3], \"bb\": {}, \"c\":true}'::jsonb",
    "select '\"a\\tb\\\\\"'::jsonb",
    "select '[]'::jsonb",
    "select ' 1.0 '::jsonb",
    "select '-0.0'::jsonb",
    "select jsonb '{\"a\": {\"d\": [], \"c\": \"\"}}'",
    "select json '[1]'",
    "select '{'::jsonb",
    "select 'x'::json",
    "select null::jsonb",
    "select '{}'::jsonb::text",
    "select array['{}'::jsonb, '1'::jsonb]",
    "select '{\"{}\",NULL}'::jsonb[]",
    "select '{{9f1a1e1c-0000-4000-8000-00000000000a}}'::uuid[]",
    "select array[['9f1a1e1c-0000-4000-8000-00000000000a'],[null]]::uuid[]",
    "select '{{1,NULL},{\"{\\\"b\\\": 1}\",\"[1]\"}}'::jsonb[]",
    "select array[['{}'::jsonb], ['1'::jsonb]]",
    "select array_dims('{{1},{2}}'::jsonb[])",
    "select ('{{1},{2}}'::jsonb[])::text[]",
    "select '9f1a1e1c-0000-4000-8000-00000000000a'::uuid",
    // name and "char"
    "select 'x'::name",
    "select repeat('é', 40)::name",
    "select 5::name",
    "select null::name",
    "select ('x'::name)::text",
    "select 'abc'::\"char\"",
    "select ('abc'::\"char\")::text",
    "select '{9F1A1E1C00004000800000000000000A}'::uuid",
    "select 'nope'::uuid",
    // numeric
    "select 123.450::numeric(10,3)",
    "select '123.456'::numeric(10,2)",
    "select 1.10",
    "select -0.00001",
    "select '123456789012345678901234567890.123456789'::numeric",
    "select 123456789012345678901234567890123456789012345678901234567890.5",
    "select '1234567890123456789012345678901234567890.12'::numeric(50,2)",
    "select '1e20'::numeric",
    "select '1.5e-7'::numeric",
    "select '12345678901234567890123456789012345678901234567890123456789012345678901234567'::numeric",
    "select '1e100'::numeric",
    "select 'NaN'::numeric",
    "select 'abc'::numeric",
    "select '12345.6'::numeric(5,2)",
    "select null::numeric(7,2)",
    "select array[1.5, null, 2.25]",
    "select '{1.5,NULL,-2}'::numeric(6,2)[]",
    // types with a modifier
    "select 'abcd'::varchar(3)",
    "select 'é€x'::varchar(2)",
    "select 12345::varchar(3)",
    "select null::varchar(3)",
    "select 'abc'::varchar",
    "select 'ab'::char(5)",
    "select 'abcdef'::char(5)",
    "select 'ab'::char",
    "select length('ab'::char(5))",
    "select 'ab'::char(5) || 'x'",
    "select 'ab'::char(5) = 'ab'",
    "select 'ab'::varchar(5) || 'x'",
    "select 'ab'::varchar(5)::text",
    "select x::text from (select 'ab'::varchar(5)) t(x)",
    "select upper(x) from (values ('ab'::varchar(5))) t(x)",
    "select x from (select 'ab'::char(5)) t(x)",
    "select x from (values ('ab'::varchar(3)), ('abc'::varchar(3))) t(x)",
    "select case when true then 'ab'::varchar(3) else 'b'::varchar(3) end",
    "select case when true then 'ab'::varchar(3) else 'b'::varchar(4) end",
    "select case when true then 'ab'::varchar(3) else 'b' end",
    "select case when true then 'ab'::varchar(3) end",
    "select case when true then '{\"a\": 1}'::jsonb else '{}' end",
    "select coalesce('1'::jsonb, '{}'::jsonb)",
    "select case when false then '9f1a1e1c-0000-4000-8000-00000000000a'::uuid end",
    "select x::varchar(2) from (values ('abc')) t(x) group by x::varchar(2)",
    "select count(*) from (values ('abc'), ('abd')) t(x) group by x::varchar(2)",
    "select case when true then 1::numeric(8,2) end",
    "select -1::numeric(8,2)",
    "select timestamp '2024-01-01 10:00:00.25'::timestamp(1)",
    "select timestamp(1) '2024-01-01 10:00:00.26'",
    "select timestamp(0) '1999-12-31 23:59:59.5'",
    "select '2024-01-01 10:00:00.1235'::timestamp(3)",
    "select '2024-01-01 10:00:00.123456+00'::timestamptz(2)",
    "select (timestamptz '2024-01-01 10:00:00.26+00')::timestamptz(1)",
    "select time(1) '10:00:00.26'",
    "select '1.66 seconds'::interval(1)",
    "select '10.0.0.1'::inet",
    "select '10.1.2.3/8'::inet",
    "select '::1'::inet",
    "select '10.0.0.1'::inet::text",
    "select '10.0.0'::inet",
    "select null::inet",
    // arrays
    "select array[[1,2],[3,4]]",
    "select '{{1,2},{3,NULL}}'::int[]",
    "select '{{{a,\"b c\"}},{{\"\",NULL}}}'::text[]",
    "select '{}'::int[]",
    "select '{1,2'::int[]",
    "select '{{1},{2,3}}'::int[]",
    "select array[array['x'], array[null]]",
    "select '{\"2024-01-01 00:00\",NULL}'::timestamp[]",
    // records
    "select row(1, 'a'::text, null::int, true)",
    "select row(1.5, 'a b'::text, ''::text, 'x\"y'::text, 'c\\d'::text, '(,)'::text)",
    "select (1, (2, 'z'::text))",
    "select row(array[1,2], date '2024-01-31')",
    // one letter, which is a byte also when there is none
    "select attgenerated from pg_attribute where attrelid = 1259 and attnum = 1",
    "select attgenerated, attidentity, relkind from pg_attribute join pg_class c on c.oid = attrelid where attrelid = 1259 and attnum = 1",
    "select array_agg(attgenerated) from pg_attribute where attrelid = 1259 and attnum < 3 and attnum > 0",
    "select 'pg_class'::regclass, 'int4'::regtype, 'pg_catalog'::regnamespace from pg_am limit 1",
];

/// Times, each in several zones.
const TIMES: &[&str] = &[
    "select timestamptz '2024-07-01 22:00+00'",
    "select timestamptz '2024-10-27 02:30'",
    "select timestamptz '2024-03-31 02:30'",
    "select timestamp '2024-07-01 22:00' at time zone 'Asia/Tokyo'",
    "select timestamptz '2024-07-01 22:00+00' at time zone 'Asia/Tokyo'",
    "select (timestamptz '2024-07-01 22:00+00')::date",
    "select (timestamptz '2024-07-01 22:00+00')::time",
    "select (timestamptz '2024-07-01 22:00+00')::timestamp",
    "select array[timestamptz '2024-07-01 22:00+00', null]",
    "select row(timestamptz '2024-07-01 22:00+00')",
    "select date_trunc('month', timestamptz '2024-06-30 22:00+00')",
    "select date_trunc('year', date '2024-06-30')",
    "select now() - now()",
    "select current_date - current_date",
    "select now() - now() + timestamptz '2024-07-01 22:00+00'",
    "select date_trunc('millennium', current_timestamp)",
    "select date_trunc('millennium', localtimestamp)",
    "select (localtime - localtime)::text",
    "select timestamp 'infinity'",
    "select timestamptz '-infinity'",
    "select date 'infinity'",
    "select timestamp '9999-12-31 23:59:59.999999'",
    "select timestamp '0044-03-15 BC'",
    "select timestamptz '1600-01-01 00:00+00'",
    "select timestamptz '2600-07-01 00:00+00'",
    "select timestamptz '2024-03-30 12:00' + interval '1 day'",
    "select timestamp '2024-01-10' - timestamp '2024-01-01 12:00'",
    "select date '2024-01-10' - date '2024-01-01'",
    "select age(date '2024-03-10', date '1980-05-20')",
    "select interval '1 mon' * 1.5",
    "select extract(hour from timestamptz '2024-07-01 22:00+00')",
    "select extract(epoch from timestamptz '2024-07-01 22:00:00.5+00')",
    "select extract(second from time '10:00:01.5')",
    "select date_part('day', timestamptz '2024-07-01 22:00+00')",
    "select to_timestamp(1284352323.5)",
    "select make_timestamptz(2024, 7, 1, 12, 0, 0)",
    "select to_char(timestamptz '2024-07-01 22:00+00', 'YYYY-MM-DD HH24:MI TZ')",
    "select timestamptz 'garbage'",
    "select timestamptz '2024-07-01 12:00+00' at time zone 'Mars/Olympus'",
];

/// What is told otherwise here, and why it is.
const KNOWN: &[(&str, &str)] = &[
    // More digits than any number has here, and no number.
    (
        "select '12345678901234567890123456789012345678901234567890123456789012345678901234567'::numeric",
        "22003 value overflows numeric format",
    ),
    (
        "select '1e100'::numeric",
        "22003 value overflows numeric format",
    ),
    ("select 'NaN'::numeric", "22003 numeric has no NaN here"),
    // All numbers of an array have one scale.
    ("select array[1.5, null, 2.25]", "{1.50,NULL,2.25}"),
];

#[tokio::test(flavor = "multi_thread")]
async fn results_are_sent_as_postgresql_sends_them() {
    let (postgres, ours) = (Oracle::start(), server().await);
    let theirs = connect(&postgres.address).await;
    let mut failures = Vec::new();
    for sql in RESULTS {
        let (want, got) = (result(&theirs, sql).await, result(&ours, sql).await);
        let known = KNOWN.iter().find(|(known, _)| known == sql);
        let same = match (&want, &got) {
            (Ok(want), Ok(got)) => want == got,
            (Err(want), Err(got)) => want[..5] == got[..5],
            _ => false,
        };
        match known {
            Some((_, told)) if same || !format!("{got:?}").contains(told) => {
                failures.push(format!("{sql}\n  known: {told}\n  got:  {got:?}"));
            }
            Some(_) => {}
            None if !same => failures.push(format!("{sql}\n  want: {want:?}\n  got:  {got:?}")),
            None => {}
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_those_of_postgresql_in_any_zone() {
    let (postgres, ours) = (Oracle::start(), server().await);
    let theirs = connect(&postgres.address).await;
    let mut failures = Vec::new();
    for zone in ["UTC", "Asia/Tokyo", "Europe/Berlin", "America/St_Johns"] {
        for client in [&theirs, &ours] {
            let set = format!("set timezone = '{zone}'");
            client.batch_execute(&set).await.unwrap();
        }
        for sql in TIMES {
            let (want, got) = (result(&theirs, sql).await, result(&ours, sql).await);
            let same = match (&want, &got) {
                (Ok(want), Ok(got)) => want == got,
                (Err(want), Err(got)) => want[..5] == got[..5],
                _ => false,
            };
            if !same {
                failures.push(format!("{zone}: {sql}\n  want: {want:?}\n  got:  {got:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_type_void_are_no_arguments() {
    let (postgres, ours) = (Oracle::start(), server().await);
    let theirs = connect(&postgres.address).await;
    for client in [&theirs, &ours] {
        for sql in ["select * from abs($1, $2) as r", "select abs($1, $2) as r"] {
            let types = [Type::VOID, Type::INT4];
            let statement = client.prepare_typed(sql, &types).await.unwrap();
            let void = Raw(None, Sent::Text);
            let rows = client.query(&statement, &[&void, &-5i32]).await.unwrap();
            assert_eq!(rows[0].get::<_, i32>(0), 5, "{sql}");
        }
    }
}

/// Objects beside a table of the user: what is sent as text and as bytes, as what type.
const OBJECTS: &[&str] = &[
    "select 'pg_class'::regclass, id from beside",
    "select 'int8'::regtype as t, 'pg_catalog'::regnamespace, id from beside",
    "select 'pg_class'::regclass, count(*) from beside",
    "select id from beside where 'pg_class'::regclass = 1259",
    "select 'pg_class'::regclass::oid = 1259, 'pg_class'::regclass::text from beside",
    "select to_regclass('pg_class') is null, pg_get_userbyid(0) from beside",
    "select 'no_such'::regclass from beside",
];

#[tokio::test(flavor = "multi_thread")]
async fn objects_beside_tables_are_sent_as_postgresql_sends_them() {
    let (postgres, ours) = (Oracle::start(), server().await);
    let theirs = connect(&postgres.address).await;
    for client in [&theirs, &ours] {
        let make = "create temp table beside (id int); insert into beside values (1)";
        client.batch_execute(make).await.unwrap();
    }
    for sql in OBJECTS {
        let (want, got) = (result(&theirs, sql).await, result(&ours, sql).await);
        assert_eq!(got, want, "{sql}");
    }
}

/// Types, and texts of values of them.
const PARAMETERS: &[(Type, &[&str])] = &[
    (
        Type::INTERVAL,
        &[
            "1 year 2 mons 3 days 04:05:06.789",
            "-1 days +00:00:01",
            "00:00:00",
            "P1DT2H",
            "x",
        ],
    ),
    (Type::JSON, &["{\"b\": 1,  \"a\":[1, null]}", "x"]),
    (
        Type::JSONB,
        &["{\"b\": 1,  \"a\":[1, null]}", "\"\\u00e9\"", "x"],
    ),
    (Type::UUID, &["9f1a1e1c-0000-4000-8000-00000000000a", "x"]),
    (
        Type::NUMERIC,
        &[
            "0",
            "-0.00",
            "1.50",
            "12345678901234567890.5",
            "0.00001",
            "-9999.9999",
            "1e5",
            "10000",
            "123456789012345678901234567890123456789012345678901234567890.25",
            "12345678901234567890123456789012345678901234567890123456789012345678901234567",
            "x",
        ],
    ),
    (Type::BYTEA, &["\\x00ff", ""]),
    (Type::BOOL, &["t", "false", "x"]),
    (Type::INT2, &["-32768", "32768", "x"]),
    (Type::INT4, &["7", "2147483648"]),
    (Type::INT8, &["-9223372036854775808", "9223372036854775808"]),
    (Type::FLOAT4, &["1.5", "NaN", "-Infinity", "1e50"]),
    (Type::FLOAT8, &["1.5", "NaN", "Infinity", "1e-300", "x"]),
    (Type::TEXT, &["", "a\"b'c\\", "é"]),
    (
        Type::DATE,
        &[
            "2024-02-29",
            "0001-01-01",
            "2024-02-30",
            "infinity",
            "0044-03-15 BC",
            "8 Jan 1999",
        ],
    ),
    (Type::TIME, &["12:34:56.789", "24:00:00", "25:00"]),
    (
        Type::TIMESTAMP,
        &[
            "2024-02-29 12:34:56.789",
            "1900-01-01",
            "1066-10-14 09:00",
            "9999-12-31 23:59:59.999999",
            "12345-01-01",
            "-infinity",
            "x",
        ],
    ),
    (
        Type::TIMESTAMPTZ,
        &[
            "2024-02-29 12:34:56.789+09",
            "2024-02-29 12:34",
            "infinity",
            "0044-03-15 12:00 BC",
            "1/8/1999 04:05 PM PST",
        ],
    ),
    (
        Type::INT4_ARRAY,
        &[
            "{}",
            "{1,NULL,3}",
            "{{1,2},{3,4}}",
            "{{{1}},{{NULL}}}",
            "{{1},{2,3}}",
            "{1,{2}}",
            "1",
        ],
    ),
    (
        Type::TEXT_ARRAY,
        &[
            "{a,\"b c\",NULL,\"NULL\",\"\",\"q\\\"\\\\\"}",
            "{{a,b},{c,d}}",
            "{a",
        ],
    ),
    (Type::NUMERIC_ARRAY, &["{1.5,NULL}", "{{1},{2.25}}"]),
    (Type::FLOAT8_ARRAY, &["{1.5,NaN}", "{{1,2}}"]),
    (Type::BOOL_ARRAY, &["{t,f}", "{{t},{f}}"]),
    (Type::DATE_ARRAY, &["{2024-01-31}", "{{2024-01-31},{NULL}}"]),
    (Type::TIMESTAMPTZ_ARRAY, &["{\"2024-01-31 00:00+00\"}"]),
    (Type::INTERVAL_ARRAY, &["{\"1 day\",NULL}"]),
    (
        Type::JSONB_ARRAY,
        &[
            "{\"{}\",\"[1, 2]\"}",
            "{{1,NULL},{\"{\\\"b\\\": 1, \\\"a\\\": 2}\",null}}",
            "{}",
            "{{x}}",
        ],
    ),
    (Type::JSON_ARRAY, &["{{1,NULL},{\"{\\\"b\\\":1}\",[]}}"]),
    (
        Type::UUID_ARRAY,
        &[
            "{9f1a1e1c-0000-4000-8000-00000000000a}",
            "{{9F1A1E1C-0000-4000-8000-00000000000A,NULL},{NULL,NULL}}",
            "{{{9f1a1e1c-0000-4000-8000-00000000000a}}}",
            "{{x}}",
        ],
    ),
];

/// Values of parameters that are told otherwise here.
const KNOWN_PARAMETERS: &[(&str, &str)] = &[
    (
        "12345678901234567890123456789012345678901234567890123456789012345678901234567",
        "22003 value overflows numeric format",
    ),
    ("{{1},{2.25}}", "000a000100000000000200010000000c"),
    // The end of a day is no time here.
    ("24:00:00", "22008"),
];

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_read_as_postgresql_reads_them() {
    let (postgres, ours) = (Oracle::start(), server().await);
    let theirs = connect(&postgres.address).await;
    let mut failures = Vec::new();
    for (pg_type, texts) in PARAMETERS {
        for text in *texts {
            let value = Raw(Some(text.as_bytes().to_vec()), Sent::Text);
            let want = parameter(&theirs, pg_type, &value).await;
            let got = parameter(&ours, pg_type, &value).await;
            let mut pairs = vec![("text", want.clone(), got)];
            // PostgreSQL's own bytes, sent back.
            if let Ok([_, bytes]) = &want {
                let digits = bytes.as_bytes().chunks(2);
                let bytes = digits.map(|pair| {
                    u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()
                });
                let value = Raw(Some(bytes.collect()), Sent::Binary);
                pairs.push(("binary", want, parameter(&ours, pg_type, &value).await));
            }
            for (format, want, got) in pairs {
                let known = KNOWN_PARAMETERS.iter().find(|(known, _)| known == text);
                let same = match (&want, &got) {
                    (Ok(want), Ok(got)) => want == got,
                    (Err(want), Err(got)) => want[..5] == got[..5],
                    _ => false,
                };
                let expected =
                    known.map_or(same, |(_, told)| !same && format!("{got:?}").contains(told));
                if !expected {
                    let name = pg_type.name();
                    failures.push(format!(
                        "{name} {format} {text}\n  want: {want:?}\n  got:  {got:?}"
                    ));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Bytes at the ends of what their types have, and beyond.
const BYTES: &[(&Type, &str)] = &[
    (
        &Type::INT4_ARRAY,
        "0000000100000000000000170000000100000001000000040000002a",
    ),
    // Flags, dimensions and bounds that there are not.
    (
        &Type::INT4_ARRAY,
        "0000000100000002000000170000000100000001000000040000002a",
    ),
    (
        &Type::INT4_ARRAY,
        "00000001ffffffff000000170000000100000001000000040000002a",
    ),
    (&Type::INT4_ARRAY, "ffffffff0000000000000017"),
    (
        &Type::INT4_ARRAY,
        "00000001000000000000001700000001 7fffffff000000040000002a",
    ),
    (
        &Type::INT4_ARRAY,
        "000000010000000000000017ffffffff00000001",
    ),
    // No items, and items of another type: of one that only its database knows too.
    (
        &Type::INT4_ARRAY,
        "0000000100000000000000170000000000000001",
    ),
    (
        &Type::INT4_ARRAY,
        "000000010000000000000014000000010000000100000008000000000000002a",
    ),
    (&Type::INT4_ARRAY, "000000000000000000000014"),
    (
        &Type::INT4_ARRAY,
        "0000000100000000000f423f0000000100000001000000040000002a",
    ),
    (&Type::DATE, "ffda97a7"),
    (&Type::DATE, "ffda97a6"),
    (&Type::DATE, "7ffffffe"),
    (&Type::DATE, "7fffffff"),
    (&Type::TIMESTAMP, "fd0f7cc1411fa000"),
    (&Type::TIMESTAMP, "fd0f7cc1411f9fff"),
    (&Type::TIMESTAMP, "7fffff5bb3b2a000"),
    (&Type::TIMESTAMP, "7fffffffffffffff"),
    (&Type::TIMESTAMPTZ, "fd0f7cc1411f9fff"),
    (&Type::TIME, "000000141dd76001"),
    (&Type::TIME, "ffffffffffffffff"),
];

/// Fails without `array_dimensions` and the ranges of times: some were taken, others told otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_at_the_ends_of_their_types_are_read_as_postgresql_reads_them() {
    let (postgres, ours) = (Oracle::start(), server().await);
    let theirs = connect(&postgres.address).await;
    for (pg_type, digits) in BYTES {
        let digits = digits.replace(' ', "");
        let bytes = digits.as_bytes().chunks(2);
        let bytes =
            bytes.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
        let value = Raw(Some(bytes.collect()), Sent::Binary);
        let want = parameter(&theirs, pg_type, &value).await;
        let got = parameter(&ours, pg_type, &value).await;
        assert_eq!(got, want, "{} {digits}", pg_type.name());
    }
}

/// Statements whose parameters have types by what stands beside them.
const BESIDE: &[&str] = &[
    "select substr($1, $2, $3), substr($4, $5)",
    "select substring($1 from 2 for $2)",
    "select overlay($1 placing $2 from $3)",
    "select substring($1, $2), substr($3, $4, $5)",
    "select position($1 in $2), $3::interval * $4",
    "select $1::interval * $2, $3 * interval '1 day', $4::interval / $5",
    "select timestamp '2020-01-01' + $1, timestamp '2020-01-01' - $2, interval '1 day' + $3",
    "select coalesce($1, $2, 3), coalesce($3, $4), coalesce($5, $6::date), coalesce($7, true)",
    "select greatest($1, 2.5), least($2, now()), nullif($3, 1), nullif(1, $4)",
    "select case when $1 then $2 else 1.5 end",
    "select case when true then $1 when false then $2 else current_date end",
    "values ($1), (1.5)",
    "values ($1, $2), (1, now())",
    "select array[$1, 2], array[$2, 2.5, $3]",
    "select $1 between 1 and 2, $2 between 1 and $3, 5 between $4 and $5",
    "select $1 in (1, 2), $2 in (1, 2.5), 1 in ($3, $4), $5 = any (array[1, 2])",
    "select $1 union select 1",
    "select coalesce($1, coalesce($2, $3::int8))",
    "select $1::int between $2 and $3, $1",
    "select 'a' like any (array[$1, $2]), 'a' like any ($3)",
];

/// Fails without `params::common_types`: the planner takes most of them for texts.
#[tokio::test(flavor = "multi_thread")]
async fn parameters_have_the_types_of_what_stands_beside_them_as_in_postgresql() {
    let (postgres, ours) = (Oracle::start(), server().await);
    let theirs = connect(&postgres.address).await;
    let types = async |client: &Client, sql: &str| match client.prepare(sql).await {
        Ok(statement) => Ok(statement.params().to_vec()),
        Err(error) => Err(told(&error)),
    };
    let mut failures = Vec::new();
    for sql in BESIDE {
        let (want, got) = (types(&theirs, sql).await, types(&ours, sql).await);
        assert!(want.is_ok(), "{sql}: {want:?}");
        if want != got {
            failures.push(format!("{sql}\n  want: {want:?}\n  got:  {got:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let row = ours
        .query_one(
            "select substr($1, $2, $3), $4 between 1 and 2",
            &[&"abcdef", &2, &3, &2],
        )
        .await
        .unwrap();
    assert_eq!((row.get(0), row.get(1)), ("bcd", true));
    let row = ours.query_one("select substring($1, $2)", &[&"abcdef", &"c.e"]);
    assert_eq!(row.await.unwrap().get::<_, &str>(0), "cde");
}

/// Queries with parameters that only a column beside them tells the type of, each with values in text.
const USED: &[(&str, &[&str])] = &[
    ("select pos / $1 * $1 from v", &["4"]),
    ("select floor(pos / $1) * $1 from v", &["4"]),
    (
        "select (pos / $1)::int * $1 as bin, count(*) from v group by 1 order by 1",
        &["10"],
    ),
    ("select 5 + $1, 5.0 * $1", &["1"]),
    ("select $1::int + $2, $3 || $4", &["1", "2", "a", "b"]),
    ("select pos from v where pos > $1 and f * 100 > $1", &["9"]),
    ("select pos from v where n > $1 and pos > $1", &["1.5"]),
    (
        "select pos from v where fl @> $1 and coalesce(f, $2) < 1 order by 1",
        &["{PASS}", "1"],
    ),
    (
        "select pos from v where coalesce(q, $1) > $2 order by 1",
        &["1", "2"],
    ),
    (
        "select pos from v where case when ref = $1 then pos else $2 end = $3",
        &["A", "0", "9"],
    ),
    ("select greatest(pos, $1) from v order by 1", &["9"]),
    (
        "select pos from v where $1 between pos and end_pos",
        &["50"],
    ),
    ("select array[pos, $1] from v order by 1", &["5"]),
    (
        "select lag(pos, 1, $1) over (order by pos) from v order by 1",
        &["7"],
    ),
    ("select make_interval(days => $1)", &["3"]),
    (
        "select make_interval(days := $1, secs := $2)",
        &["3", "1.5"],
    ),
    ("select floor($1), ceil($2)", &["1.5", "1.5"]),
    (
        "select case pos when $1 then 'y' end from v order by 1",
        &["10"],
    ),
    ("select pos from v where $1 is true order by 1", &["t"]),
    ("select j || $1 from v order by pos", &["{\"z\":1}"]),
    ("select j @> $1 from v order by pos", &["{\"c\":1}"]),
    ("select j #> $1 from v order by pos", &["{a,b}"]),
    ("select j #>> $1 from v order by pos", &["{a,b,0}"]),
    ("select j ?| $1 from v order by pos", &["{a,c}"]),
    ("select fl || $1 from v order by pos", &["{z}"]),
    ("select array_append(fl, $1) from v order by pos", &["z"]),
    ("select pos from v union select $1 order by 1", &["1"]),
    ("select $1 union select pos from v order by 1", &["1"]),
    ("select ts - $1 from v order by pos", &["2020-01-01"]),
    ("select d - $1 from v order by pos", &["2020-01-01"]),
    ("select $1 = any(fl) from v order by pos", &["PASS"]),
    ("select ref like $1 escape '!' from v order by pos", &["A%"]),
    (
        "select ref like $1 escape $2 from v order by pos",
        &["A%", "!"],
    ),
    ("select ref similar to $1 from v order by pos", &["A|B"]),
    (
        "select pos from v where (ref, pos) in (($1, $2), ($3, $4))",
        &["A", "9", "C", "11"],
    ),
    (
        "select pos from v where u = $1 and bo = $2",
        &["00000000-0000-0000-0000-000000000005", "t"],
    ),
    (
        "select array[1, 2] @> $1, array[1, 2] || $2",
        &["{1}", "{3}"],
    ),
    (
        "select pos from v where pos > $1 and greatest(pos, $2) > 3 order by 1",
        &["8", "1"],
    ),
    (
        "select sum(case when pos > $1 then $2 else 0 end) from v",
        &["9", "2"],
    ),
];

/// Fails without `params::used`: of what the planner does not compare it takes every one for a text.
#[tokio::test(flavor = "multi_thread")]
async fn parameters_have_the_types_of_their_first_use_as_in_postgresql() {
    let (postgres, ours) = (Oracle::start(), server().await);
    let theirs = connect(&postgres.address).await;
    let tables = "create temp table v (pos int, end_pos int, q real, f float8, ref text, fl text[],
            d date, j jsonb, n numeric(6,2), u uuid, bo bool, ts timestamptz);
        insert into v values (9, 100, 1.5, 0.25, 'A', '{PASS,q10}', '2020-01-02', '{\"a\":{\"b\":[1,2]}}', 1.25,
            '00000000-0000-0000-0000-000000000005', true, '2020-01-02 03:04:05+00'),
            (10, 20, 2.5, 0.5, 'C', '{PASS}', '2021-01-02', '{\"c\":1}', 2.5,
            '00000000-0000-0000-0000-000000000006', false, '2021-01-02 03:04:05+00');";
    let mut failures = Vec::new();
    for client in [&theirs, &ours] {
        client.batch_execute(tables).await.unwrap();
    }
    for (sql, values) in USED {
        let want = answered(&theirs, sql, values).await;
        let got = answered(&ours, sql, values).await;
        assert!(want.is_ok(), "{sql}: {want:?}");
        if want != got {
            failures.push(format!("{sql}\n  want: {want:?}\n  got:  {got:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The types of a statement's parameters and columns, and its rows as they are sent.
async fn answered(client: &Client, sql: &str, values: &[&str]) -> Result<String, String> {
    let statement = client.prepare(sql).await.map_err(|error| told(&error))?;
    let values: Vec<Raw> = values
        .iter()
        .map(|value| Raw(Some(value.as_bytes().to_vec()), Sent::Text))
        .collect();
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
    let rows = client.query(&statement, &values).await;
    let rows = rows.map_err(|error| told(&error))?;
    let columns: Vec<&Type> = statement.columns().iter().map(|c| c.type_()).collect();
    let rows: Vec<Vec<Raw>> = rows
        .iter()
        .map(|row| (0..row.len()).map(|at| row.get(at)).collect())
        .collect();
    Ok(format!("{:?} {columns:?} {rows:?}", statement.params()))
}

/// Columns of a temporary table tell the types of what INSERT and UPDATE put into them.
#[tokio::test(flavor = "multi_thread")]
async fn parameters_have_the_types_of_the_columns_that_they_go_to() {
    let (postgres, ours) = (Oracle::start(), server().await);
    let theirs = connect(&postgres.address).await;
    for client in [&theirs, &ours] {
        let table =
            "create temp table w (i int, j jsonb, u uuid, n numeric(8,2), ts timestamptz, t text)";
        client.batch_execute(table).await.unwrap();
    }
    let (uuid, other) = (
        "00000000-0000-0000-0000-000000000005",
        "00000000-0000-0000-0000-000000000006",
    );
    for (sql, values) in [
        (
            "insert into w values ($1, $2, $3, $4, $5, $6), ($7, $8, $9, $10, $11, $12)",
            vec![
                "1",
                "{\"a\":1}",
                uuid,
                "1.25",
                "2020-01-01",
                "a",
                "2",
                "[2]",
                other,
                "2.5",
                "2021-01-01",
                "b",
            ],
        ),
        (
            "insert into w (i, j, t) values ($1, $2, $3), ($4, null, 5)",
            vec!["3", "null", "c", "4"],
        ),
        (
            "update w set j = $1, u = $2 where i = $3",
            vec!["7", uuid, "4"],
        ),
        ("update w set t = $1 where $2 = i", vec!["x", "2"]),
    ] {
        let want = answered(&theirs, sql, &values).await;
        assert_eq!(want, answered(&ours, sql, &values).await, "{sql}");
    }
    let all = "select * from w order by i";
    assert_eq!(
        answered(&theirs, all, &[]).await,
        answered(&ours, all, &[]).await
    );
}

/// Rows by the hundreds, each of parameters: what is NULL among them is found when they are bound.
#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_rows_of_parameters_are_looked_up() {
    let (postgres, ours) = (Oracle::start(), server().await);
    let theirs = connect(&postgres.address).await;
    for client in [&theirs, &ours] {
        let table = "create temp table p (contig text, pos int);
            insert into p select 'chr' || x % 3, x from generate_series(1, 2000) x;
            insert into p values (null, 5), ('chr1', null), (null, null);";
        client.batch_execute(table).await.unwrap();
    }
    let rows: Vec<String> = (0..600)
        .map(|row| format!("(${}, ${})", 2 * row + 1, 2 * row + 2))
        .collect();
    let sql = format!(
        "select * from p where (contig, pos) in ({}) order by 2",
        rows.join(", ")
    );
    let texts: Vec<String> = (0..600)
        .flat_map(|row| [format!("chr{}", row % 3), row.to_string()])
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let want = answered(&theirs, &sql, &texts).await;
    assert!(want.is_ok(), "{want:?}");
    assert_eq!(want, answered(&ours, &sql, &texts).await);
    let constants: Vec<String> = (0..600)
        .map(|row| match row % 100 {
            7 => format!("(null, {row})"),
            8 => "('chr1', null)".to_owned(),
            9 => "(null, null)".to_owned(),
            _ => format!("('chr{}', {row})", row % 3),
        })
        .collect();
    for negated in ["", "not "] {
        let sql = format!(
            "select (contig, pos) {negated}in ({}), count(*) from p group by 1 order by 1",
            constants.join(", ")
        );
        let want = answered(&theirs, &sql, &[]).await;
        assert!(want.is_ok(), "{want:?}");
        assert_eq!(want, answered(&ours, &sql, &[]).await);
    }
}

/// Queries whose columns have names, types and modifiers that hang on more than one part of them.
const TOLD: &[&str] = &[
    "select '{1,2}'::int[], '{a}'::text[], '{}'::json, '{}'::jsonb, '{1.5}'::numeric(5,2)[] from a",
    "select '{1}'::varchar(3)[]::text[], '1 day'::interval, 'a'::varchar(3), 1::real, true::bool::text from a",
    "select floor(5.7), ceil(d), trunc(d), round(d), floor(d) * 10, d from a",
    "select x, y from (select floor(d) as x, d as y from a) q",
    "select v from (values (1.5), (2)) t(v)",
    "select v from (values (1.5), (22.25)) t(v)",
    "select v from (select 1.5::numeric(5,2) as v from a) q",
    "select v from (select coalesce(d, 1.5) as v, d from a) q",
    "select n from a except select 2::bigint",
    "select n from a intersect select 1980.0",
    "select n from a union select 1980.0",
    "select d from a union all select d from a",
    "select d from a union all select 1.5",
    "select 1.5 as x union select 2.25",
    "select d::numeric(6,3) as x from a union select d::numeric(6,3) from a",
    "select d from a except select 1",
    "select n from a except select n from a",
    "select 1 except select 2::bigint from a",
    "select d, n from a group by d, n",
    "select max(d), sum(n), avg(n) from a",
    "with w as (select d, d + 1 as e from a) select d, e from w order by 1",
    "select (select d from a), (values (1)) from a",
    "select t::text collate \"C\" from a",
];

/// Fails where a column is told as its first part alone is.
#[tokio::test(flavor = "multi_thread")]
async fn columns_are_told_as_postgresql_tells_them() {
    let (postgres, ours) = (Oracle::start(), server().await);
    let theirs = connect(&postgres.address).await;
    let mut failures = Vec::new();
    for client in [&theirs, &ours] {
        client.batch_execute(RELATIONS).await.unwrap();
    }
    let told_of = async |client: &Client, sql: &str| {
        let statement = client.prepare(sql).await.map_err(|error| told(&error))?;
        let columns = statement.columns().iter().map(|column| {
            let (name, of) = (column.name(), column.type_().name());
            format!("{name} {of} {}", column.type_modifier())
        });
        Ok::<Vec<String>, String>(columns.collect())
    };
    for sql in TOLD {
        let (want, got) = (told_of(&theirs, sql).await, told_of(&ours, sql).await);
        assert!(want.is_ok(), "{sql}: {want:?}");
        if want != got {
            failures.push(format!("{sql}\n  want: {want:?}\n  got:  {got:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Made in both servers: a table, a view of it with names of its own, a view of the view.
const RELATIONS: &str = "create temp table a (n int, t text, d numeric(5,2));
    create temp table b (n int, u text);
    create temp view v (m, s, e) as select n, t, n + 1 from a where n > 0;
    create temp view w as select s, m from v";

/// Queries whose columns come from somewhere.
const ORIGINS: &[&str] = &[
    "select * from a",
    "select n, n + 1, t as other, d::text, d from a",
    "select t, count(*), max(n) from a group by t",
    "select distinct t, n from a order by n",
    "select n from a union all select n from b",
    "select n from (select n from a union select n from b) s",
    "select s.x, s.y from (select n as x, upper(t) as y from a) s",
    "with c as (select u, n from b) select n, u, c.u || 'x' from c",
    "with recursive c as (select n from a union all select n + 1 from c where n < 3) select n from c",
    "select x.*, b.u, x.n + b.n from a x join b on x.n = b.n",
    "select x.t, y.t, y.n from a x left join a y on x.n = y.n + 1",
    "select a.t from a where exists (select 1 from b where b.n = a.n)",
    "select (select u from b limit 1), t from a",
    "select m, s, e from v",
    "select q.a1, q.e from v q (a1) order by 1",
    "select s, m from w",
    "select v.m, a.t from v, a where v.m = a.n",
    "select n, row_number() over (order by t), lag(t) over (order by n) from a limit 3",
    "select t, unnest(array[n, 2]) from a",
    "select s.u, a.n from a, lateral (select u from b where b.n = a.n) s",
    "select case when n > 1 then t end, coalesce(t, 'x'), t from a",
    "select n, t from a group by rollup (n, t)",
    "select g, n from generate_series(1, 2) g, a",
    "table b",
    "select 1, 'x', null, now()",
    "values (1)",
    "select relname, oid, relname::text, reltuples from pg_class",
    "select c.relname, n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace",
    "select attname from (select attname, attnum from pg_attribute) x",
    "with c as (select typname as n from pg_type) select n from c",
    "select typname from pg_type union select relname from pg_class",
    "select table_name, column_name from information_schema.columns",
    "select a.n, c.relname from a, pg_class c",
];

/// `table.column` of each column.
async fn origins(client: &Client, sql: &str) -> Vec<String> {
    let statement = client
        .prepare(sql)
        .await
        .unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    let mut told = Vec::new();
    for column in statement.columns() {
        let (Some(oid), Some(number)) = (column.table_oid(), column.column_id()) else {
            told.push("computed".to_owned());
            continue;
        };
        let name = client
            .query_one(
                "select c.relname::text, a.attname::text from pg_catalog.pg_class c
                join pg_catalog.pg_attribute a on a.attrelid = c.oid
                where c.oid = $1 and a.attnum = $2",
                &[&oid, &number],
            )
            .await
            .unwrap_or_else(|e| panic!("{sql}: {oid} {number}: {e:?}"));
        told.push(format!(
            "{}.{}",
            name.get::<_, String>(0),
            name.get::<_, String>(1)
        ));
    }
    told
}

/// As in PostgreSQL, whose transaction they are together. Fails without: `Shared::time`.
#[tokio::test(flavor = "multi_thread")]
async fn time_stands_still_in_a_query_string() {
    let client = server().await;
    let told = client
        .simple_query("select now(); select pg_sleep(0.01); begin; select now(); commit")
        .await
        .unwrap();
    let times = told.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).filter(|text| !text.is_empty()),
        _ => None,
    });
    let times: Vec<&str> = times.collect();
    assert!(times.len() == 2 && times[0] == times[1], "{times:?}");
}

/// What a plain reference shows is told with its table and the number of its column, those of the catalog.
#[tokio::test(flavor = "multi_thread")]
async fn columns_are_told_with_their_tables_as_postgresql_tells_them() {
    let (postgres, ours) = (Oracle::start(), server().await);
    let theirs = connect(&postgres.address).await;
    for client in [&theirs, &ours] {
        client.batch_execute(RELATIONS).await.unwrap();
    }
    let mut failures = Vec::new();
    for sql in ORIGINS {
        let (want, got) = (origins(&theirs, sql).await, origins(&ours, sql).await);
        if want != got {
            failures.push(format!("{sql}\n  want: {want:?}\n  got:  {got:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
