//! How often the wire server plans a statement, and that a kept plan is never an outdated one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod wire_support;

use tokio_postgres::types::{ToSql, Type};
use wire_support::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_statement_is_planned_once() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let text = "name 7";
    let table: [(&str, &[&(dyn ToSql + Sync)]); 6] = [
        ("select id, name from t where id < 3", &[]),
        ("select id, name from t where id = $1", &[&7_i32]),
        (
            "select id from t where name = $1 and id = $2",
            &[&text, &7_i32],
        ),
        (
            "select id, $2::text from t where id = $1::int4",
            &[&7_i32, &text],
        ),
        (
            "select id from t where score > $1 order by id limit $2",
            &[&1.5_f64, &2_i64],
        ),
        (
            "select count(*) from t where $1::bool or id in ($2, $3)",
            &[&false, &1_i32, &2_i32],
        ),
    ];
    for (sql, values) in table {
        server.backend.planned();
        let statement = client.prepare(sql).await.unwrap();
        // Parameters of given and of inferred types may take a plan each.
        let at_parse = server.backend.planned();
        assert!((1..=2).contains(&at_parse), "{sql}: {at_parse} at Parse");
        for _ in 0..3 {
            assert!(
                !client.query(&statement, values).await.unwrap().is_empty(),
                "{sql}"
            );
        }
        assert_eq!(server.backend.planned(), 0, "{sql}");
    }
    // Types that the client gives need no inference: one plan in all.
    server.backend.planned();
    let statement = client
        .prepare_typed("select name from t where id = $1", &[Type::INT4])
        .await
        .unwrap();
    let row = client.query_one(&statement, &[&3_i32]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "name 3");
    assert_eq!(server.backend.planned(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn prepare_execute_and_copy_use_the_plan_too() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    server.backend.planned();
    client
        .batch_execute("prepare p (int) as select name from t where id = $1")
        .await
        .unwrap();
    assert_eq!(wire_support::one(&client, "execute p (5)").await, "name 5");
    assert_eq!(wire_support::one(&client, "execute p (6)").await, "name 6");
    assert_eq!(server.backend.planned(), 1);
    // tokio-postgres sends COPY by Parse, Bind, Execute, as libpq's PQexecParams does.
    let out = server
        .copy(&client, "copy (select id from t where id < 2) to stdout")
        .await;
    assert_eq!(out, b"0\n1\n");
    assert_eq!(server.backend.planned(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_snapshot_is_seen_by_prepared_statements() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let all = client.prepare("select count(*) from t").await.unwrap();
    let some = client
        .prepare("select count(*) from t where id >= $1")
        .await
        .unwrap();
    let count = async |statement, values: &[&(dyn ToSql + Sync)]| -> i64 {
        client.query_one(statement, values).await.unwrap().get(0)
    };
    let rows = i64::from(wire_support::ROWS);
    assert_eq!(
        (count(&all, &[]).await, count(&some, &[&0_i32]).await),
        (rows, rows)
    );
    server.backend.commit();
    let more = rows + 1;
    assert_eq!(
        (count(&all, &[]).await, count(&some, &[&0_i32]).await),
        (more, more)
    );
    // A transaction keeps its snapshot, whatever was planned before.
    client.batch_execute("begin").await.unwrap();
    assert_eq!(count(&all, &[]).await, more);
    server.backend.commit();
    assert_eq!(
        (count(&all, &[]).await, count(&some, &[&0_i32]).await),
        (more, more)
    );
    client.batch_execute("commit").await.unwrap();
    assert_eq!(
        (count(&all, &[]).await, count(&some, &[&0_i32]).await),
        (more + 1, more + 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_changed_after_parse_are_heeded() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let who = client.prepare("select who from u").await.unwrap();
    let zone = client
        .prepare("select current_setting('timezone') as zone, count(*) from t")
        .await
        .unwrap();
    let text =
        async |statement| -> String { client.query_one(statement, &[]).await.unwrap().get(0) };
    assert_eq!(
        (text(&who).await, text(&zone).await),
        ("demo".into(), "UTC".into())
    );
    client
        .batch_execute("set search_path = other, demo; set timezone = 'Asia/Tokyo'")
        .await
        .unwrap();
    assert_eq!(
        (text(&who).await, text(&zone).await),
        ("other".into(), "Asia/Tokyo".into())
    );
    // Another table of that name with other columns: the client reads rows by what it was told of.
    let all = client.prepare("select * from u").await.unwrap();
    client
        .batch_execute("set search_path = wide")
        .await
        .unwrap();
    let error = client.query(&all, &[]).await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(
        (error.code().code(), error.message()),
        ("0A000", "cached plan must not change result type")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_the_plan_depends_on_are_planned_with() {
    let server = TestServer::start().await;
    let client = server.connect().await;
    let statement = client
        .prepare_typed(
            "select ($1 * 2)::text, count(*) from t where id < $2",
            &[Type::NUMERIC, Type::INT4],
        )
        .await
        .unwrap();
    let value = Decimal("1.25");
    let row = client
        .query_one(&statement, &[&value, &3_i32])
        .await
        .unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, i64>(1)), ("2.50", 3));
    let changed = client
        .query_one(
            "select set_config('application_name', $1, false), count(*) from t",
            &[&"report"],
        )
        .await
        .unwrap();
    assert_eq!(changed.get::<_, &str>(0), "report");
    assert_eq!(
        wire_support::one(&client, "show application_name").await,
        "report"
    );
    let bad = client
        .prepare("select id from t where name = $1::date::text")
        .await
        .unwrap();
    assert_eq!(bad.params(), [Type::DATE]);
}

/// A numeric parameter in text, of at most four digits before and after the point.
#[derive(Debug)]
struct Decimal(&'static str);

impl ToSql for Decimal {
    fn to_sql(
        &self,
        _type: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<tokio_postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
        use bytes::BufMut;
        let (whole, fraction) = self.0.split_once('.').unwrap();
        out.put_slice(&[0, 2, 0, 0, 0, 0]);
        out.put_i16(i16::try_from(fraction.len())?);
        out.put_i16(whole.parse()?);
        out.put_i16(format!("{fraction:0<4}").parse()?);
        Ok(tokio_postgres::types::IsNull::No)
    }

    fn accepts(pg_type: &Type) -> bool {
        *pg_type == Type::NUMERIC
    }

    tokio_postgres::types::to_sql_checked!();
}
