//! Temporary tables over the protocol: RETURNING in portals, types of parameters, and errors by their fields.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod wire_support;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};
use wire_support::{TestServer, raw};

const TABLE: &str = "create temp table t (id serial primary key, a int not null check (a > 0), b text default 'x', \
     unique (a, b))";

async fn connect() -> (TestServer, Client) {
    let server = TestServer::start().await;
    let client = server.connect().await;
    client.batch_execute(TABLE).await.unwrap();
    (server, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn returning_is_described_and_its_parameters_are_those_of_the_statement() {
    let (_server, client) = connect().await;
    let insert = client
        .prepare("insert into t (a, b) values ($1, $2) returning id, a + $3 as more, b")
        .await
        .unwrap();
    assert_eq!(insert.params(), [Type::INT4, Type::TEXT, Type::INT4]);
    let names: Vec<&str> = insert
        .columns()
        .iter()
        .map(|column| column.name())
        .collect();
    assert_eq!(names, ["id", "more", "b"]);
    let types: Vec<&Type> = insert
        .columns()
        .iter()
        .map(|column| column.type_())
        .collect();
    assert_eq!(types, [&Type::INT4, &Type::INT4, &Type::TEXT]);
    let row = client
        .query_one(&insert, &[&5_i32, &"y", &10_i32])
        .await
        .unwrap();
    assert_eq!(
        (
            row.get::<_, i32>(0),
            row.get::<_, i32>(1),
            row.get::<_, &str>(2)
        ),
        (1, 15, "y")
    );
    // The same again: the plan is made for what the table holds now.
    let row = client
        .query_one(&insert, &[&6_i32, &"y", &1_i32])
        .await
        .unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(1)), (2, 7));
    let upsert = "insert into t (a, b) values ($1, $2) on conflict (a, b) \
         do update set b = excluded.b || $3 where t.a > $4 returning id, b";
    let upsert = client.prepare(upsert).await.unwrap();
    assert_eq!(
        upsert.params(),
        [Type::INT4, Type::TEXT, Type::TEXT, Type::INT4]
    );
    let rows = client
        .query(&upsert, &[&6_i32, &"y", &"!", &0_i32])
        .await
        .unwrap();
    assert_eq!(
        (rows[0].get::<_, i32>(0), rows[0].get::<_, &str>(1)),
        (2, "y!")
    );
    let rows = client
        .query(&upsert, &[&5_i32, &"y", &"!", &100_i32])
        .await
        .unwrap();
    assert!(rows.is_empty());
    let update = "update t set a = a + $1 where id = $2 returning t.*";
    let rows = client.query(update, &[&100_i32, &1_i32]).await.unwrap();
    assert_eq!(
        (rows[0].get::<_, i32>("id"), rows[0].get::<_, i32>("a")),
        (1, 105)
    );
    let delete = client
        .prepare("delete from t where a > $1 returning id")
        .await
        .unwrap();
    assert_eq!(delete.params(), [Type::INT4]);
    let rows = client.query(&delete, &[&0_i32]).await.unwrap();
    assert_eq!(rows.len(), 2);
    // Rows that nobody reads are written all the same.
    assert_eq!(
        client
            .execute(&insert, &[&7_i32, &"z", &1_i32])
            .await
            .unwrap(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_returning_are_those_of_the_table() {
    let (_server, client) = connect().await;
    let selected = client.prepare("select id, b, a + 1 from t").await.unwrap();
    let told = client
        .prepare("insert into t (a) values (1) returning id, b, a + 1")
        .await
        .unwrap();
    let origins = |statement: &tokio_postgres::Statement| -> Vec<_> {
        let columns = statement.columns().iter();
        columns
            .map(|column| (column.table_oid(), column.column_id()))
            .collect()
    };
    assert_eq!(origins(&told), origins(&selected));
    assert!(told.columns()[0].table_oid().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_hands_out_returning_in_parts_and_all_was_written_before() {
    let (_server, mut client) = connect().await;
    let transaction = client.transaction().await.unwrap();
    let insert = "insert into t (a) select g from generate_series(1, 10) g returning a";
    let portal = transaction.bind(insert, &[]).await.unwrap();
    let first = transaction.query_portal(&portal, 4).await.unwrap();
    assert_eq!(first.len(), 4);
    let count = transaction
        .query_one("select count(*) from t", &[])
        .await
        .unwrap();
    assert_eq!(count.get::<_, i64>(0), 10);
    let rest = transaction.query_portal(&portal, 0).await.unwrap();
    let all = first.iter().chain(&rest).map(|row| row.get::<_, i32>(0));
    assert_eq!(all.collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    transaction.rollback().await.unwrap();
    let count = client
        .query_one("select count(*) from t", &[])
        .await
        .unwrap();
    assert_eq!(count.get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tag_counts_what_was_written() {
    let (server, _client) = connect().await;
    let (mut raw, _) = raw::Raw::start(&server).await;
    raw.send(&[raw::query(TABLE)]).await;
    raw.until_ready().await;
    for (sql, tag) in [
        (
            "insert into t (a) values (1), (2) returning a",
            "INSERT 0 2",
        ),
        ("update t set a = a + 10 returning a", "UPDATE 2"),
        (
            "insert into t (a) values (11), (12) on conflict do nothing returning a",
            "INSERT 0 0",
        ),
        ("delete from t where a = 11 returning a", "DELETE 1"),
    ] {
        for extended in [false, true] {
            let mut messages = vec![raw::query("begin")];
            match extended {
                false => messages.push(raw::query(sql)),
                true => messages.push([raw::run(sql), raw::sync()].concat()),
            }
            // The second time is the one that stays.
            messages.push(raw::query(if extended { "commit" } else { "rollback" }));
            let mut tags = Vec::new();
            for message in messages {
                raw.send(&[message]).await;
                let answers = raw.until_ready().await;
                let complete = answers.into_iter().find(|(kind, _)| *kind == b'C');
                let (_, body) = complete.unwrap_or_else(|| panic!("{sql}"));
                tags.push(
                    String::from_utf8(body)
                        .unwrap()
                        .trim_end_matches('\0')
                        .to_owned(),
                );
            }
            assert_eq!(tags[1], tag, "{sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_constraints_name_what_they_are_about() {
    let (_server, client) = connect().await;
    client
        .batch_execute("insert into t (a) values (1)")
        .await
        .unwrap();
    for (sql, code, detail, column, constraint) in [
        (
            "insert into t (id, a) values (1, 2)",
            "23505",
            "Key (id)=(1) already exists.",
            None,
            Some("t_pkey"),
        ),
        (
            "insert into t (id, a) values (5, -1)",
            "23514",
            "Failing row contains (5, -1, x).",
            None,
            Some("t_a_check"),
        ),
        (
            "insert into t (id) values (6)",
            "23502",
            "Failing row contains (6, null, x).",
            Some("a"),
            None,
        ),
        (
            "update t set a = null",
            "23502",
            "Failing row contains (1, null, x).",
            Some("a"),
            None,
        ),
    ] {
        let error = client.batch_execute(sql).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), code, "{sql}");
        assert_eq!(error.detail(), Some(detail), "{sql}");
        assert!(error.schema().unwrap().starts_with("pg_temp_"), "{sql}");
        assert_eq!(error.table(), Some("t"), "{sql}");
        assert_eq!(error.column(), column, "{sql}");
        assert_eq!(error.constraint(), constraint, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copied_rows_keep_to_constraints() {
    use bytes::Bytes;
    use futures::SinkExt as _;
    let (_server, client) = connect().await;
    for (data, code) in [
        ("1\ta\n2\tb\n", None),
        ("3\tc\n1\ta\n", Some("23505")),
        ("4\td\n-1\te\n", Some("23514")),
        ("5\tf\n", None),
    ] {
        let sink = client.copy_in("copy t (a, b) from stdin").await.unwrap();
        let mut sink = std::pin::pin!(sink);
        sink.send(Bytes::from_static(data.as_bytes()))
            .await
            .unwrap();
        let found = sink.finish().await;
        let found = found
            .err()
            .map(|error| error.code().unwrap().code().to_owned());
        assert_eq!(found.as_deref(), code, "{data}");
    }
    let rows = client
        .simple_query("select a, b from t order by a")
        .await
        .unwrap();
    let rows = rows
        .iter()
        .filter(|row| matches!(row, SimpleQueryMessage::Row(_)));
    assert_eq!(rows.count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_keys_are_compared_at_once() {
    let (_server, client) = connect().await;
    let started = std::time::Instant::now();
    client
        .batch_execute(
            "create temp table big (k int primary key, s text unique); \
             insert into big select g, 'row ' || g from generate_series(1, 200000) g",
        )
        .await
        .unwrap();
    let error = client
        .batch_execute(
            "insert into big select g, 'other ' || g from generate_series(200000, 400000) g",
        )
        .await
        .unwrap_err();
    assert_eq!(
        error.as_db_error().unwrap().detail(),
        Some("Key (k)=(200000) already exists.")
    );
    // Single rows do not read the others again.
    for k in 200_001..200_051 {
        let insert = "insert into big values ($1, $2)";
        client
            .execute(insert, &[&k, &format!("row {k}")])
            .await
            .unwrap();
    }
    assert!(
        started.elapsed() < std::time::Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
}

/// UPDATE with FROM and DELETE with USING: their parameters, and the columns of both sides in RETURNING.
#[tokio::test(flavor = "multi_thread")]
async fn returning_of_both_sides_is_described() {
    let (_server, client) = connect().await;
    client
        .batch_execute(
            "insert into t (a, b) values (1, 'p'), (2, 'q'); \
             create temp table other (k int, u uuid, j jsonb); \
             insert into other values (1, '9f1a1e1c-0000-4000-8000-00000000000a', '{\"x\": 1}'), (2, null, null)",
        )
        .await
        .unwrap();
    let update = client
        .prepare(
            "update t set b = $1 || t.b, a = t.a + v.d from other o, (values ($2::int, 10)) as v (k, d) \
             where o.k = t.a and v.k = o.k returning t.a, b, o.u, v.d, o.*, $3 || b",
        )
        .await
        .unwrap();
    assert_eq!(update.params(), [Type::TEXT, Type::INT4, Type::TEXT]);
    let types: Vec<&Type> = update
        .columns()
        .iter()
        .map(|column| column.type_())
        .collect();
    assert_eq!(
        types,
        [
            &Type::INT4,
            &Type::TEXT,
            &Type::UUID,
            &Type::INT4,
            &Type::INT4,
            &Type::UUID,
            &Type::JSONB,
            &Type::TEXT
        ]
    );
    let rows = client
        .query(&update, &[&"x", &1_i32, &"is "])
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(
        (
            row.get::<_, i32>(0),
            row.get::<_, &str>(1),
            row.get::<_, i32>(3)
        ),
        (11, "xp", 10)
    );
    assert_eq!(row.get::<_, &str>(7), "is xp");
    let gone = client
        .query(
            "delete from t using other o where o.k = t.a and o.k > $1 returning o.k, t.b",
            &[&1_i32],
        )
        .await
        .unwrap();
    assert_eq!(
        (gone[0].get::<_, i32>(0), gone[0].get::<_, &str>(1)),
        (2, "q")
    );
    let with =
        "with s as (select $1::int as x) insert into t (a, b) select x, $2 from s returning a, b";
    let made = client.query_one(with, &[&5_i32, &"made"]).await.unwrap();
    assert_eq!((made.get::<_, i32>(0), made.get::<_, &str>(1)), (5, "made"));
}

/// A row of a table is told as the type of its rows, which `pg_type` has.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_tables_have_a_type_of_their_own() {
    let (_server, client) = connect().await;
    client
        .batch_execute("create temp table own_rows (a int, b text)")
        .await
        .unwrap();
    let of_rows = client
        .query_one(
            "select t.oid from pg_type t join pg_class c on c.oid = t.typrelid where c.relname = 'own_rows'",
            &[],
        )
        .await
        .unwrap();
    let expected = of_rows.get::<_, u32>(0);
    for sql in [
        "select x from own_rows x",
        "select own_rows from own_rows",
        "select q.x from (select x from own_rows x where a > 0) q",
    ] {
        let statement = client.prepare(sql).await.unwrap();
        assert_eq!(statement.columns()[0].type_().oid(), expected, "{sql}");
    }
    for sql in [
        "select q from (select a, b from own_rows) q",
        "select row(a, b) from own_rows",
    ] {
        let statement = client.prepare(sql).await.unwrap();
        assert_eq!(statement.columns()[0].type_(), &Type::RECORD, "{sql}");
    }
}

/// `client_min_messages` holds from the next statement of the same query string on.
#[tokio::test(flavor = "multi_thread")]
async fn notices_are_silenced_by_the_client() {
    let server = TestServer::start().await;
    let (mut client, _) = raw::Raw::start(&server).await;
    for (sql, kinds) in [
        ("drop table if exists nowhere_to_be", "NCZ"),
        (
            "set client_min_messages = warning; drop table if exists nowhere_to_be",
            "CCZ",
        ),
        ("drop table if exists nowhere_to_be", "CZ"),
        (
            "reset client_min_messages; drop table if exists nowhere_to_be",
            "CNCZ",
        ),
    ] {
        client.send(&[raw::query(sql)]).await;
        let messages = client.until_ready().await;
        assert_eq!(raw::kinds(&messages), kinds, "{sql}");
    }
}
