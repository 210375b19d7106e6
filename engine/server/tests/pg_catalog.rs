//! The catalog evaluator against a real PostgreSQL 15: values, column names and types of the same SQL text.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod oracle_support;
mod statement_files;

use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use genokura_server::pg_catalog::{
    CatalogModel, CatalogResult, Column, Relation, SessionInfo, Value, describe, execute,
    is_catalog_query,
};
use genokura_server::pg_types::oid;
use genokura_server::pgwire::encode::TextStyle;
use oracle_support::Oracle;
use statement_files::statements;

fn model() -> CatalogModel {
    let mut model = CatalogModel::new("genokura");
    model.add_role("ada", true, true);
    model.add_setting("server_version", "16.4", "Shows the server version.");
    model.add_setting(
        "max_index_keys",
        "32",
        "Shows the maximum number of index keys.",
    );
    for schema in ["cohort", "clin"] {
        for table in ["calls", "samples", "variants"] {
            let column = |name: &str, ty: u32, comment: Option<&str>| Column {
                name: name.to_owned(),
                ty,
                typmod: -1,
                dimensions: 0,
                not_null: name == "vid",
                comment: comment.map(str::to_owned),
                default: None,
                identity: None,
            };
            let columns = vec![
                column("vid", oid::INT8, Some("variant id")),
                column("contig", oid::TEXT, None),
                column("pos", oid::INT4, Some("1-based position")),
                column("filters", oid::TEXT_ARRAY, None),
                column("qual", oid::FLOAT4, None),
            ];
            model.add_relation(Relation {
                oid: 0,
                row_type: 0,
                array_type: 0,
                schema: schema.to_owned(),
                name: table.to_owned(),
                kind: 'r',
                columns,
                rows: Some(1000.0),
                bytes: Some(123_456),
                comment: Some(format!("table {table}")),
                definition: None,
                system: false,
                rules: Default::default(),
            });
        }
    }
    model.add_function(
        "public",
        "in_region",
        'f',
        vec![oid::TEXT, oid::INT4, oid::TEXT],
        false,
        oid::BOOL,
        false,
        Some("position lies in the region".to_owned()),
    );
    model
}

fn session() -> SessionInfo {
    SessionInfo {
        user: "ada".to_owned(),
        search_path: vec!["cohort".to_owned(), "public".to_owned()],
        backend_pid: 42,
        ..SessionInfo::default()
    }
}

fn parse(sql: &str) -> Result<Statement, String> {
    let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).map_err(|e| e.to_string())?;
    parsed.pop().ok_or_else(|| "empty".to_owned())
}

fn run(model: &CatalogModel, sql: &str) -> Result<CatalogResult, String> {
    if !is_catalog_query(&parse(sql)?, &session().search_path, model) {
        return Err("not routed to the catalog".to_owned());
    }
    evaluate(model, sql)
}

fn evaluate(model: &CatalogModel, sql: &str) -> Result<CatalogResult, String> {
    let statement = parse(sql)?;
    let described = describe(model, &session(), &statement, &[])
        .map_err(|e| format!("{} {}", e.sqlstate, e.message))?;
    let result = execute(model, &session(), &statement, &[])
        .map_err(|e| format!("{} {}", e.sqlstate, e.message))?;
    assert_eq!(
        described.columns, result.columns,
        "describe and execute disagree on {sql}"
    );
    Ok(result)
}

fn texts(result: &CatalogResult) -> Vec<Vec<Option<String>>> {
    result
        .rows
        .iter()
        .map(|row| {
            row.iter()
                .zip(&result.columns)
                .map(|(v, c)| v.to_text(c.type_oid, &TextStyle::default()))
                .collect()
        })
        .collect()
}

async fn connect(oracle: &Oracle) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(&oracle.address, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

/// Name and type of each column, and the rows as text.
type Answer = (Vec<(String, u32)>, Vec<Vec<Option<String>>>);

async fn ask(client: &tokio_postgres::Client, sql: &str) -> Result<Answer, String> {
    let message = |e: tokio_postgres::Error| {
        e.as_db_error().map_or_else(
            || e.to_string(),
            |d| format!("{} {}", d.code().code(), d.message()),
        )
    };
    let prepared = client.prepare(sql).await.map_err(message)?;
    let columns: Vec<(String, u32)> = prepared
        .columns()
        .iter()
        .map(|c| (c.name().to_owned(), c.type_().oid()))
        .collect();
    let mut rows = Vec::new();
    for answer in client.simple_query(sql).await.map_err(message)? {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = answer {
            rows.push(
                (0..row.len())
                    .map(|i| row.get(i).map(str::to_owned))
                    .collect(),
            );
        }
    }
    Ok((columns, rows))
}

#[tokio::test]
async fn expressions_have_postgresql_s_values_names_and_types() {
    let oracle = Oracle::start();
    let client = connect(&oracle).await;
    let model = model();
    let mut wrong = Vec::new();
    for sql in statements("expressions.sql") {
        let expected = ask(&client, &sql).await;
        let actual = evaluate(&model, &sql).map(|r| {
            (
                r.columns
                    .iter()
                    .map(|c| (c.name.clone(), c.type_oid))
                    .collect::<Vec<_>>(),
                texts(&r),
            )
        });
        let same = match (&expected, &actual) {
            (Ok(e), Ok(a)) => e == a,
            // Errors agree when their SQLSTATE does.
            (Err(e), Err(a)) => e.split(' ').next() == a.split(' ').next(),
            _ => false,
        };
        if !same {
            wrong.push(format!(
                "{sql}\n  postgresql {expected:?}\n  genokura   {actual:?}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn client_queries_run_and_have_postgresql_s_columns() {
    let oracle = Oracle::start();
    let client = connect(&oracle).await;
    let model = model();
    let mut wrong = Vec::new();
    for sql in statements("psql.sql")
        .into_iter()
        .chain(statements("drivers.sql"))
    {
        let actual = run(&model, &sql);
        let expected = client.prepare(&sql).await;
        match (expected, actual) {
            (Ok(e), Ok(a)) => {
                let e: Vec<(String, u32)> = e
                    .columns()
                    .iter()
                    .map(|c| (c.name().to_owned(), c.type_().oid()))
                    .collect();
                let a: Vec<(String, u32)> = a
                    .columns
                    .iter()
                    .map(|c| (c.name.clone(), c.type_oid))
                    .collect();
                // Release 16 made these smallint.
                let widened: Vec<(String, u32)> = a
                    .iter()
                    .map(|(n, t)| {
                        (
                            n.clone(),
                            if matches!(n.as_str(), "attstattarget" | "attndims" | "attinhcount") {
                                oid::INT4
                            } else {
                                *t
                            },
                        )
                    })
                    .collect();
                if e != a && e != widened {
                    wrong.push(format!("{sql}\n  postgresql {e:?}\n  genokura   {a:?}"));
                }
            }
            (_, Err(a)) => wrong.push(format!("{sql}\n  {a}")),
            // Columns release 16 has and 15 has not.
            (Err(_), Ok(_)) => {}
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn tables_of_the_lake_are_listed_and_described() {
    let model = model();
    let sql = "SELECT n.nspname, c.relname, pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r','p','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast' AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2";
    let rows = texts(&run(&model, sql).unwrap());
    let names: Vec<_> = rows.iter().map(|r| r[1].clone().unwrap()).collect();
    assert_eq!(names, ["calls", "samples", "variants"]);
    let sql = "SELECT a.attname, format_type(a.atttypid, a.atttypmod), col_description(a.attrelid, a.attnum), a.attrelid::regclass::text FROM pg_attribute a
        WHERE a.attrelid = 'clin.variants'::regclass AND a.attnum > 0 ORDER BY a.attnum LIMIT 2";
    let rows = texts(&run(&model, sql).unwrap());
    let row = |cells: [&str; 4]| {
        cells
            .iter()
            .map(|c| {
                if c.is_empty() {
                    None
                } else {
                    Some((*c).to_owned())
                }
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        rows,
        [
            row(["vid", "bigint", "variant id", "clin.variants"]),
            row(["contig", "text", "", "clin.variants"])
        ]
    );
}

#[test]
fn oids_do_not_depend_on_the_session() {
    let (a, b) = (model(), model());
    let sql = "SELECT oid, relname FROM pg_class WHERE oid >= 16384 ORDER BY oid";
    assert_eq!(texts(&run(&a, sql).unwrap()), texts(&run(&b, sql).unwrap()));
    assert_eq!(run(&a, sql).unwrap().rows.len(), 6);
}

#[test]
fn queries_of_user_tables_are_not_answered_here() {
    let model = model();
    for sql in [
        "SELECT * FROM variants",
        "SELECT * FROM pg_class JOIN variants ON true",
        "SELECT in_region('1', 2, '1:1-2')",
        "SELECT (SELECT count(*) FROM cohort.calls)",
    ] {
        assert!(
            !is_catalog_query(&parse(sql).unwrap(), &session().search_path, &model),
            "{sql}"
        );
    }
    for sql in [
        "SELECT 1",
        "SELECT * FROM pg_class",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM generate_series(1, 3)",
    ] {
        assert!(
            is_catalog_query(&parse(sql).unwrap(), &session().search_path, &model),
            "{sql}"
        );
    }
}

#[test]
fn parameters_take_the_type_of_what_they_are_compared_with() {
    let model = model();
    let statement = parse("SELECT relname FROM pg_class WHERE oid = $1 AND relkind = ANY($2) AND relname LIKE $3 AND relnamespace = $4::regnamespace").unwrap();
    let described = describe(&model, &session(), &statement, &[]).unwrap();
    assert_eq!(
        described.parameters,
        [oid::OID, oid::CHAR_ARRAY, oid::TEXT, oid::REGNAMESPACE]
    );
    let params = [
        Value::text("1259"),
        Value::text("{r,v}"),
        Value::text("pg\\_%"),
        Value::text("pg_catalog"),
    ];
    let rows = texts(&execute(&model, &session(), &statement, &params).unwrap());
    assert_eq!(rows, [[Some("pg_class".to_owned())]]);
}

#[test]
fn an_endless_statement_ends() {
    let model = model();
    let error = run(
        &model,
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT 1 FROM t) SELECT count(*) FROM t",
    )
    .unwrap_err();
    assert!(error.starts_with("54000"), "{error}");
}

#[test]
fn a_catalog_of_thousands_of_tables_answers_quickly() {
    let mut model = CatalogModel::new("genokura");
    model.add_role("ada", true, true);
    model.add_setting("server_version", "16.4", "Shows the server version.");
    for n in 0..2_000 {
        let columns = (0..10)
            .map(|i| Column {
                name: format!("c{i}"),
                ty: oid::INT4,
                typmod: -1,
                dimensions: 0,
                not_null: false,
                comment: Some("x".to_owned()),
                default: None,
                identity: None,
            })
            .collect();
        model.add_relation(Relation {
            oid: 0,
            row_type: 0,
            array_type: 0,
            schema: "cohort".to_owned(),
            name: format!("t{n:05}"),
            kind: 'r',
            columns,
            rows: None,
            bytes: None,
            comment: None,
            definition: None,
            system: false,
            rules: Default::default(),
        });
    }
    let started = std::time::Instant::now();
    for sql in statements("drivers.sql") {
        run(&model, &sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    // The debug build takes seconds; nested loops without indexes would take hours.
    assert!(started.elapsed().as_secs() < 120, "{:?}", started.elapsed());
}
