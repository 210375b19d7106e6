//! Messages that are not as the protocol has them, and bytes that are no text: each is answered as PostgreSQL answers it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod wire_support;

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wire_support::TestServer;
use wire_support::raw::{Raw, bind, execute, kinds, message, parse, query, startup, sync, texts};

/// A field of an error: its text.
fn field(message: &(u8, Vec<u8>), kind: u8) -> String {
    let mut fields = message.1.split(|byte| *byte == 0);
    let found = fields.find_map(|field| field.strip_prefix(&[kind]));
    String::from_utf8(found.unwrap_or_default().to_vec()).unwrap()
}

/// Severity, SQLSTATE, message and context of the errors among messages.
fn errors(messages: &[(u8, Vec<u8>)]) -> Vec<String> {
    let errors = messages.iter().filter(|message| message.0 == b'E');
    let told = errors.map(|error| {
        let told = [b'S', b'C', b'M', b'W'].map(|kind| field(error, kind));
        told.join(" ").trim_end().to_owned()
    });
    told.collect()
}

/// Parse of a name and a text in bytes, with the types of parameters.
fn parse_bytes(name: &[u8], sql: &[u8], types: &[u32]) -> Vec<u8> {
    let count = u16::try_from(types.len()).unwrap().to_be_bytes();
    let types: Vec<u8> = types.iter().flat_map(|oid| oid.to_be_bytes()).collect();
    message(b'P', &[name, b"\0", sql, b"\0", &count, &types].concat())
}

/// Bind of one value under a format.
fn bind_value(portal: &str, format: i16, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap().to_be_bytes();
    let format = format.to_be_bytes();
    let parts: [&[u8]; 8] = [
        portal.as_bytes(),
        b"\0\0\0\x01",
        &format,
        b"\0\x01",
        &length,
        value,
        b"\0\0",
        b"",
    ];
    message(b'B', &parts.concat())
}

/// Sends, and checks the errors of what comes back; then the connection goes on.
async fn fails(raw: &mut Raw, sent: &[Vec<u8>], expected: &[&str]) {
    raw.send(sent).await;
    let answer = raw.until_ready().await;
    assert_eq!(errors(&answer), expected, "{sent:?}");
    assert_eq!(answer.last().map(|last| last.0), Some(b'Z'), "{sent:?}");
    raw.send(&[query("select 1")]).await;
    assert_eq!(kinds(&raw.until_ready().await), "TDCZ", "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_not_utf8_is_refused_and_never_stored() {
    let server = TestServer::start().await;
    let (mut raw, _) = Raw::start(&server).await;
    raw.send(&[query("create temp table z (t text)")]).await;
    raw.until_ready().await;
    let bad =
        |bytes: &str| format!("ERROR 22021 invalid byte sequence for encoding \"UTF8\": {bytes}");
    let table: [(Vec<u8>, &str); 10] = [
        (
            message(b'Q', b"insert into z values ('\xe9')\0"),
            "0xe9 0x27 0x29",
        ),
        (
            message(b'Q', b"select '\xc3\xa9\xf0\x9f\x98'\0"),
            "0xf0 0x9f 0x98 0x27",
        ),
        (message(b'Q', b"select '\xed\xa0\x80'\0"), "0xed 0xa0 0x80"),
        (message(b'Q', b"select '\xc0\x80'\0"), "0xc0 0x80"),
        (message(b'Q', b"select '\xff'\0"), "0xff"),
        (parse_bytes(b"", b"select '\xe9'", &[]), "0xe9 0x27"),
        (parse_bytes(b"n\xe9", b"select 1", &[]), "0xe9"),
        (message(b'B', b"p\xe9\0\0\0\0\0\0\0\0"), "0xe9"),
        (message(b'E', b"p\xe9\0\0\0\0\0"), "0xe9"),
        (message(b'D', b"Sp\xe9\0"), "0xe9"),
    ];
    for (sent, bytes) in table {
        let sent = match sent[0] {
            b'Q' => vec![sent],
            _ => vec![sent, sync()],
        };
        fails(&mut raw, &sent, &[&bad(bytes)]).await;
    }
    raw.send(&[query("insert into z values ('é'); select * from z")])
        .await;
    assert_eq!(
        texts(&raw.until_ready().await),
        ["INSERT 0 1", "é", "SELECT 1"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zero_is_in_no_text() {
    let server = TestServer::start().await;
    let (mut raw, _) = Raw::start(&server).await;
    let zero =
        "ERROR 22021 invalid byte sequence for encoding \"UTF8\": 0x00 unnamed portal parameter $1";
    let array: &[u8] = b"\0\0\0\x01\0\0\0\0\0\0\0\x19\0\0\0\x01\0\0\0\x01\0\0\0\x02a\0";
    let values: [(u32, i16, &[u8]); 8] = [
        (25, 0, b"a\0b"),
        (25, 1, b"a\0b"),
        (1043, 1, b"\0"),
        (19, 1, b"a\0"),
        (1009, 0, b"{a\0}"),
        (1009, 1, array),
        (114, 1, b"{\"a\":\"\0\"}"),
        (3802, 1, b"\x01{\"a\":\"\0\"}"),
    ];
    for (oid, format, value) in values {
        let sent = [
            parse_bytes(b"", b"select $1", &[oid]),
            bind_value("", format, value),
            execute(0),
            sync(),
        ];
        fails(&mut raw, &sent, &[zero]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copied_text_is_utf8_without_zeros() {
    let server = TestServer::start().await;
    let (mut raw, _) = Raw::start(&server).await;
    raw.send(&[query("create temp table z (t text, b text[])")])
        .await;
    raw.until_ready().await;
    let binary = |text: &[u8]| {
        let head: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x02";
        [head, text, b"\xff\xff\xff\xff\xff\xff"].concat()
    };
    let table: [(&str, Vec<u8>, &str); 9] = [
        ("", b"a\0b\t{}\n".to_vec(), "0x00 COPY z, line 1"),
        (
            "",
            b"a\\000b\t{}\n".to_vec(),
            "0x00 COPY z, line 1: \"a\\000b\t{}\"",
        ),
        (
            "",
            b"ok\t{}\na\t{\\000}\n".to_vec(),
            "0x00 COPY z, line 2: \"a\t{\\000}\"",
        ),
        ("", b"a\xe9\t{}\n".to_vec(), "0xe9 0x09 0x7b COPY z, line 1"),
        (
            "",
            b"ok\t{}\na\\xe9\t{}\n".to_vec(),
            "0xe9 COPY z, line 2: \"a\\xe9\t{}\"",
        ),
        (
            "(format csv)",
            b"\"a\0b\",{}\n".to_vec(),
            "0x00 COPY z, line 1",
        ),
        (
            "(format csv, header match)",
            b"t\0,b\n".to_vec(),
            "0x00 COPY z, line 1",
        ),
        (
            "(format binary)",
            binary(b"a\0"),
            "0x00 COPY z, line 1, column t",
        ),
        (
            "(format binary)",
            binary(b"a\xe9"),
            "0xe9 COPY z, line 1, column t",
        ),
    ];
    for (options, data, told) in table {
        let expected = format!("ERROR 22021 invalid byte sequence for encoding \"UTF8\": {told}");
        let copy = query(&format!("copy z from stdin {options}"));
        let sent = [copy, message(b'd', &data), message(b'c', b"")];
        fails(&mut raw, &sent, &[&expected]).await;
    }
    let copy = || query("copy z from stdin");
    let table: [(&[u8], &str); 3] = [
        (b"no\0", "57014 COPY from stdin failed: no"),
        (b"no", "08P01 invalid string in message"),
        (
            b"\xe9\0",
            "22021 invalid byte sequence for encoding \"UTF8\": 0xe9",
        ),
    ];
    for (why, told) in table {
        let expected = format!("ERROR {told} COPY z, line 1");
        fails(&mut raw, &[copy(), message(b'f', why)], &[&expected]).await;
    }
    raw.send(&[copy(), message(b'S', b"x"), message(b'c', b"x")])
        .await;
    assert_eq!(texts(&raw.until_ready().await), ["COPY 0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_read_fails_alone() {
    let server = TestServer::start().await;
    let (mut raw, _) = Raw::start(&server).await;
    let string = "ERROR 08P01 invalid string in message";
    let format = "ERROR 08P01 invalid message format";
    let data = "ERROR 08P01 insufficient data left in message";
    let table: [(u8, &[u8], &str); 24] = [
        (b'Q', b"select 1", string),
        (b'Q', b"select 1\0x", format),
        (b'Q', b"", string),
        (b'S', b"x", format),
        (b'F', b"", data),
        (
            b'F',
            b"\0\0\x03\xbd\0\0\0\0\0\0",
            "ERROR 0A000 function calls by OID are not supported",
        ),
        (b'P', b"", string),
        (b'P', b"a\0select 1", string),
        (b'P', b"\0select 1\0\0", data),
        (b'P', b"\0select 1\0\xff\xff", data),
        (b'P', b"\0selec\0\0\0x", format),
        (b'B', b"\0", string),
        (b'B', b"\0\0\0\x01", data),
        (
            b'B',
            b"\0\0\0\0\0\x01\0\0\0\x05x",
            "ERROR 08P01 insufficient data left in message unnamed portal parameter $1",
        ),
        (
            b'B',
            b"p\0\0\0\0\0\x01\xff\xff\xff\xfe",
            "ERROR 08P01 insufficient data left in message portal \"p\" parameter $1",
        ),
        (b'B', b"\0\0\0\0\0\0\0\0x", format),
        (b'E', b"", string),
        (b'E', b"\0\0\0", data),
        (b'E', b"nope\0\0\0\0\0x", format),
        (b'D', b"", "ERROR 08P01 no data left in message"),
        (
            b'D',
            b"Xnope\0",
            "ERROR 08P01 invalid DESCRIBE message subtype 88",
        ),
        (
            b'C',
            b"Xnope\0",
            "ERROR 08P01 invalid CLOSE message subtype 88",
        ),
        (b'C', b"Pnope\0x", format),
        (b'H', b"x", format),
    ];
    for (kind, body, expected) in table {
        let mut sent = vec![message(kind, body)];
        if !b"QSF".contains(&kind) {
            // What comes before Sync is skipped, a query string and a call among it.
            sent.extend([query("select 2"), message(b'F', b""), execute(0), sync()]);
        }
        fails(&mut raw, &sent, &[expected]).await;
    }
    raw.send(&[
        query("begin"),
        message(b'Q', b"select 1"),
        query("select 1"),
        query("rollback"),
    ])
    .await;
    let mut told = Vec::new();
    for _ in 0..4 {
        told.extend(texts(&raw.until_ready().await));
    }
    assert_eq!(told, ["BEGIN", "08P01", "25P02", "ROLLBACK"]);
    // Late messages of a COPY are ignored, whatever they say.
    raw.send(&[
        message(b'f', b"\xe9"),
        message(b'c', b"x"),
        query("select 1"),
    ])
    .await;
    assert_eq!(kinds(&raw.until_ready().await), "TDCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_ends_the_connection_alone() {
    let server = TestServer::start().await;
    let (mut other, _) = Raw::start(&server).await;
    let table: [(Vec<u8>, &str); 5] = [
        (message(b'z', b""), "invalid frontend message type 122"),
        (
            message(b'p', b"secret\0"),
            "invalid frontend message type 112",
        ),
        (vec![b'G'], "invalid frontend message type 71"),
        (
            [parse("selec"), message(b'z', b"")].concat(),
            "invalid frontend message type 122",
        ),
        (vec![b'Q', 0, 0, 0, 3], "invalid message length 3"),
    ];
    for (bytes, told) in table {
        let (mut raw, _) = Raw::start(&server).await;
        raw.send(std::slice::from_ref(&bytes)).await;
        let answer = raw.until_ready().await;
        let told = format!("FATAL 08P01 {told}");
        assert_eq!(errors(&answer).last(), Some(&told), "{bytes:?}");
        assert!(raw.message().await.is_none());
    }
    let (mut raw, _) = Raw::start(&server).await;
    raw.send(&[
        query("create temp table z (t text); copy z from stdin"),
        query("select 1"),
    ])
    .await;
    let told = "FATAL 08P01 unexpected message type 0x51 during COPY from stdin COPY z, line 1";
    assert_eq!(errors(&raw.until_ready().await), [told]);
    other.send(&[query("select 1")]).await;
    assert_eq!(kinds(&other.until_ready().await), "TDCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_block_describes_what_has_no_rows() {
    let server = TestServer::start().await;
    let (mut raw, _) = Raw::start(&server).await;
    let prepared = [
        parse_bytes(b"rows", b"select 1", &[]),
        parse_bytes(b"none", b"commit", &[]),
        sync(),
        query("begin"),
        message(b'B', b"p\0rows\0\0\0\0\0\0\0"),
        sync(),
        query("selec"),
    ];
    raw.send(&prepared).await;
    for _ in 0..4 {
        raw.until_ready().await;
    }
    for (target, answer) in [
        (&b"Srows\0"[..], "25P02"),
        (b"Pp\0", "25P02"),
        (b"Snope\0", "26000"),
        (b"Pnope\0", "34000"),
    ] {
        raw.send(&[message(b'D', target), sync()]).await;
        assert_eq!(texts(&raw.until_ready().await), [answer], "{target:?}");
    }
    raw.send(&[message(b'D', b"Snone\0"), sync()]).await;
    assert_eq!(kinds(&raw.until_ready().await), "tnZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_cannot_be_bound_say_which_they_are() {
    let server = TestServer::start().await;
    let (mut raw, _) = Raw::start(&server).await;
    let data = "08P01 insufficient data left in message";
    let parameter = "22P03 incorrect binary data format in bind parameter 1";
    let table: [(u32, i16, &[u8], &str); 19] = [
        (23, 3, b"1", "22023 unsupported format code: 3"),
        (23, -1, b"1", "22023 unsupported format code: -1"),
        (23, 1, b"\0\0\0", data),
        (23, 1, b"\0\0\0\0\0", parameter),
        (16, 1, b"", "08P01 no data left in message"),
        (2950, 1, b"0123", data),
        (
            3802,
            1,
            b"\x02{}",
            "XX000 unsupported jsonb version number 2",
        ),
        (
            1700,
            1,
            b"\0\x01\0\0\0\0\0\0\x27\x10",
            "22P03 invalid digit in external \"numeric\" value",
        ),
        (
            1700,
            1,
            b"\0\x01\0\0\x12\x34\0\0\0\x01",
            "22P03 invalid sign in external \"numeric\" value",
        ),
        (1700, 1, b"\0\x02\0\0\0\0\0\0\0\x01", data),
        (
            869,
            1,
            b"\x07\x20\0\x04\x01\x02\x03\x04",
            "22P03 invalid address family in external \"inet\" value",
        ),
        (18, 1, b"ab", parameter),
        (19, 1, &[b'a'; 64], "42622 identifier too long"),
        (
            1007,
            1,
            b"\0\0\0\x07\0\0\0\0\0\0\0\x17",
            "54000 number of array dimensions (7) exceeds the maximum allowed (6)",
        ),
        (
            1007,
            1,
            b"\0\0\0\x01\0\0\0\0\0\0\0\x17\0\0\0\x01\0\0\0\x01\0\0\0\x09",
            "22P03 insufficient data left in message",
        ),
        (
            1007,
            1,
            b"\0\0\0\0\0\0\0\0\0\0\0\x19",
            "42804 binary data has array element type 25 (text) instead of expected 23 (integer)",
        ),
        (
            1266,
            1,
            &[0; 12],
            "0A000 binary values of type time with time zone are not supported",
        ),
        (
            790,
            1,
            &[0; 8],
            "0A000 binary values of type money are not supported",
        ),
        (
            3904,
            1,
            b"\x01",
            "0A000 binary values of type int4range are not supported",
        ),
    ];
    for (oid, format, value, told) in table {
        let sent = [
            parse_bytes(b"", b"select $1", &[oid]),
            bind_value("", format, value),
            sync(),
        ];
        let expected = format!("ERROR {told} unnamed portal parameter $1");
        fails(&mut raw, &sent, &[&expected]).await;
    }
    let sent = [
        parse_bytes(b"", b"select $1", &[23]),
        bind_value("p", 0, b"12x"),
        sync(),
    ];
    let expected = "ERROR 22P02 invalid input syntax for type integer: \"12x\" portal \"p\" parameter $1 = '...'";
    fails(&mut raw, &sent, &[expected]).await;
    let two_formats = message(b'B', b"\0\0\0\x02\0\0\0\0\0\x01\0\0\0\x011\0\0");
    let sent = [parse_bytes(b"", b"select $1", &[23]), two_formats, sync()];
    let expected = "ERROR 08P01 bind message has 2 parameter formats but 1 parameters";
    fails(&mut raw, &sent, &[expected]).await;
    raw.send(&[query("begin")]).await;
    raw.until_ready().await;
    let portal = || message(b'B', b"p\0\0\0\0\0\0\0\0");
    raw.send(&[parse("select 1"), portal(), portal(), sync()])
        .await;
    let told = "ERROR 42P03 cursor \"p\" already exists";
    assert_eq!(errors(&raw.until_ready().await), [told]);
}

#[tokio::test(flavor = "multi_thread")]
async fn start_up_parameters_are_text() {
    let server = TestServer::start().await;
    // The name of an application may be in any encoding: PostgreSQL shows what of it is ASCII.
    let start = |name: &str, value: &[u8]| {
        let placeholder = "?".repeat(value.len());
        let mut bytes = startup(&[("user", "ann"), (name, &placeholder)]);
        let at = bytes.len() - 2 - value.len();
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    };
    let mut raw = Raw(server.raw().await);
    raw.0
        .write_all(&start("application_name", b"\xe9x"))
        .await
        .unwrap();
    raw.until_ready().await;
    raw.send(&[query("show application_name")]).await;
    assert_eq!(texts(&raw.until_ready().await)[0], "?x");
    for (bytes, told) in [
        (
            start("search_path", b"\xe9"),
            "FATAL 22021 invalid byte sequence for encoding \"UTF8\": 0xe9",
        ),
        (
            [&[0, 0, 0, 14, 0, 3, 0, 0][..], b"user\0x"].concat(),
            "FATAL 08P01 invalid startup packet layout: expected terminator as last byte",
        ),
    ] {
        let mut raw = Raw(server.raw().await);
        raw.0.write_all(&bytes).await.unwrap();
        assert_eq!(errors(&raw.until_ready().await), [told]);
        assert_eq!(raw.0.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
    let (mut raw, _) = Raw::start(&server).await;
    raw.send(&[parse("select 1"), bind(), execute(0), sync()])
        .await;
    assert_eq!(kinds(&raw.until_ready().await), "12DCZ");
}

/// The client sends more than is read ahead and is gone: what runs before all of that ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_ends_when_its_client_is_gone_whatever_it_sent_before() {
    let server = TestServer::start().await;
    let (mut raw, _) = Raw::start(&server).await;
    raw.send(&[query("set search_path = demo"), query(wire_support::SLOW)])
        .await;
    raw.send(&vec![query("select 1"); 300]).await;
    until(async || server.backend.running() == 1).await;
    drop(raw);
    until(async || server.backend.running() == 0).await;
}

/// A client that reads nothing keeps its session from writing: it is ended all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_client_does_not_read_can_be_terminated() {
    let server = TestServer::start().await;
    let other = server.connect().await;
    let (mut raw, _) = Raw::start(&server).await;
    // Answers of statements that are over, errors among them: none of them can be cancelled any more.
    let answers = query("select repeat('x', 100000)");
    let sent = vec![[answers, query("select 1 / 0")].concat(); 500];
    raw.send(&sent).await;
    let others = "from pg_stat_activity where pid <> pg_backend_pid()";
    let count = format!("select count(*) {others}");
    assert_eq!(wire_support::one(&other, &count).await, "1");
    tokio::time::sleep(Duration::from_millis(500)).await;
    let end = format!("select pg_terminate_backend(pid) {others}");
    assert_eq!(wire_support::one(&other, &end).await, "t");
    until(async || wire_support::one(&other, &count).await == "0").await;
}

/// Waits until it is so, at most ten seconds.
async fn until(so: impl AsyncFn() -> bool) {
    for _ in 0..200 {
        if so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within ten seconds");
}
