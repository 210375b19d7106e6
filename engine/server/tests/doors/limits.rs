//! Limits of a role: each is enforced, and tells by its SQLSTATE which one it was.

use std::time::{Duration, Instant};

use futures::TryStreamExt as _;

use super::setup::{RoleFile, Server, password, refused, rows, soon, told};

/// A statement that runs for minutes.
pub const SLOW: &str = "select count(*) from generate_series(1, 100000) as a(i), \
                        generate_series(1, 100000) as b(j) where i * j % 7 = 1";

fn limited(limit: &[&str]) -> (RoleFile, Server) {
    limited_by(limit, &[])
}

/// Like [`limited`], with arguments of the server.
pub fn limited_by(limit: &[&str], server: &[&str]) -> (RoleFile, Server) {
    let roles = RoleFile::new();
    roles.reader("ann", &["*"]);
    roles.reader("bob", &["*"]);
    roles.run(&[&["limit", "ann"], limit].concat());
    let path = roles.path();
    let of_roles = ["--roles", path.to_str().unwrap()];
    let server = Server::start(&[&of_roles, server].concat());
    (roles, server)
}

/// Fails without: the count of a role's sessions, and the places that are kept for admins.
#[tokio::test(flavor = "multi_thread")]
async fn connections_of_a_role_are_counted() {
    let (roles, server) = limited(&["--connections", "2"]);
    roles.add("root", &["--admin"]);
    let (one, _two) = (server.connect("ann").await, server.connect("ann").await);
    let third = server
        .try_connect("ann", &password("ann"))
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!(told(&third), "53300 too many connections for role \"ann\"");
    let _bob = server.connect("bob").await;
    drop(one);
    assert!(soon(async || server.try_connect("ann", &password("ann")).await.is_ok()).await);
    // A wrong password does not tell that the role is full.
    let _again = server.connect("ann").await;
    let wrong = server
        .try_connect("ann", "wrong")
        .await
        .map(drop)
        .unwrap_err();
    assert!(told(&wrong).starts_with("28P01"));
    let server = Server::start(&[
        "--set",
        "max_connections=1",
        "--roles",
        roles.path().to_str().unwrap(),
    ]);
    let _bob = server.connect("bob").await;
    let second = server
        .try_connect("bob", &password("bob"))
        .await
        .map(drop)
        .unwrap_err();
    assert!(told(&second).starts_with("53300"), "{}", told(&second));
    // An admin comes in and makes room.
    let root = server.connect("root").await;
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'bob'";
    assert_eq!(rows(&root, end).await, ["t"]);
    assert!(soon(async || server.try_connect("bob", &password("bob")).await.is_ok()).await);
}

/// Fails without: the cap on the session's own timeout.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_stopped_whatever_the_session_sets() {
    let (_roles, server) = limited(&["--statement-timeout-ms", "4000"]);
    let client = server.connect("ann").await;
    for before in [
        "select 1",
        "set statement_timeout = 0",
        "select set_config('statement_timeout', '0', false)",
    ] {
        rows(&client, before).await;
        let started = Instant::now();
        let told = refused(&client, SLOW).await;
        assert_eq!(
            told, "57014 canceling statement due to statement timeout",
            "{before}"
        );
        assert!(started.elapsed() < Duration::from_secs(15), "{before}");
    }
    rows(&client, "set statement_timeout = 50").await;
    assert!(refused(&client, SLOW).await.starts_with("57014"));
}

/// Fails without: the rules of the planner asking whether their statement was stopped.
#[tokio::test(flavor = "multi_thread")]
async fn planning_ends_with_its_statement() {
    let (_roles, server) = limited(&["--statement-timeout-ms", "300"]);
    let client = server.connect("ann").await;
    // Planned for a minute.
    let condition =
        |i: usize| format!("(pos > {i} and length(ref) < {i} and alt <> 'A{i}' and qual > {i}.5)");
    let conditions: Vec<String> = (0..1_500).map(condition).collect();
    let columns = |i: usize| {
        format!("case when pos > {i} then length(ref) + {i} else length(alt) * {i} end as c{i}")
    };
    let columns: Vec<String> = (0..1_600).map(columns).collect();
    for sql in [
        format!(
            "explain select count(*) from lab.variants where {}",
            conditions.join(" or ")
        ),
        format!("explain select {} from lab.variants", columns.join(", ")),
    ] {
        // The limit of the role holds for the first statement of a session, too.
        let stopped = client.simple_query(&sql).await.map(drop).unwrap_err();
        assert!(told(&stopped).starts_with("57014"), "{}", told(&stopped));
        // What one rule does with one node is done to its end.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = server.ticks();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let used = server.ticks() - before;
        assert!(used < 50, "{used} hundredths of a second");
    }
}

/// Fails without: the role's own memory pool.
#[tokio::test(flavor = "multi_thread")]
async fn memory_of_a_statement_is_bounded() {
    let (_roles, server) = limited(&["--memory-bytes", "3000000", "--spill-bytes", "0"]);
    let hungry = "select count(*) from (select i, count(*) from generate_series(1, 1000000::bigint) as t(i) group by i) as g";
    let client = server.connect("ann").await;
    let answer = refused(&client, hungry).await;
    assert!(answer.starts_with("53200"), "{answer}");
    assert_eq!(
        rows(&client, "select count(*) from lab.variants").await,
        ["3"]
    );
    let bob = server.connect("bob").await;
    assert_eq!(rows(&bob, hungry).await, ["1000000"]);
    // The server's own limit holds for everybody.
    let (_roles, server) = limited_by(
        &["--spill-bytes", "0"],
        &["--set", "query_memory_bytes=3000000"],
    );
    let client = server.connect("ann").await;
    assert!(refused(&client, hungry).await.starts_with("53200"));
}

/// Fails without: the role's own limit of spill files.
#[tokio::test(flavor = "multi_thread")]
async fn spill_files_of_a_statement_are_bounded() {
    // The sort carries the wide text, and OFFSET keeps it.
    let sorted = "select sum(length(p)) from (select p from (select repeat('x', 400) || i::text as p \
                  from generate_series(1, 200000) as t(i)) as a order by p offset 1) as b";
    // One sort: of two, the first could take the memory that the second needs for its first row (53200).
    let limits = ["--memory-bytes", "64000000", "--spill-bytes", "100000"];
    let (_roles, server) = limited_by(&limits, &["--set", "partitions=1"]);
    let client = server.connect("ann").await;
    let answer = refused(&client, sorted).await;
    assert!(answer.starts_with("53400"), "{answer}");
    let bob = server.connect("bob").await;
    assert_eq!(rows(&bob, sorted).await, ["81088494"]);
}

/// Fails without: memory and spill files of what a SCROLL cursor keeps being those of its statement.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_scroll_cursor_keeps_are_bounded() {
    let declare = "declare c scroll cursor with hold for \
                   select i, repeat('x', 100) || i::text from generate_series(1, 100000) as t(i)";
    for (spill, code) in [("0", "53200"), ("100000", "53400")] {
        let (_roles, server) = limited(&["--memory-bytes", "3000000", "--spill-bytes", spill]);
        let client = server.connect("ann").await;
        rows(&client, declare).await;
        let answer = refused(&client, "move last in c").await;
        assert!(answer.starts_with(code), "{spill}: {answer}");
        // What was read up to there is not given as if it were all.
        let answer = refused(&client, "fetch prior from c").await;
        assert_eq!(answer, "55000 portal \"c\" cannot be run");
    }
    let (_roles, server) = limited(&["--memory-bytes", "3000000", "--rows", "100000"]);
    let client = server.connect("ann").await;
    rows(&client, declare).await;
    let first = rows(&client, "fetch 3 from c").await;
    assert_eq!(rows(&client, "fetch last from c").await.len(), 1);
    let before = rows(&client, "fetch backward 60000 from c").await;
    assert_eq!(before.len(), 60_000);
    assert_eq!(
        rows(&client, "fetch forward 59999 from c").await.len(),
        59_999
    );
    let back: Vec<String> = rows(&client, "fetch backward all from c").await;
    assert_eq!(back.len(), 99_998);
    assert_eq!(
        back[99_995..],
        [&first[2], &first[1], &first[0]].map(String::clone)
    );
}

/// Fails without: the count of rows that a role is given.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_result_are_bounded() {
    let (_roles, server) = limited(&["--rows", "10"]);
    let client = server.connect("ann").await;
    let many = "select i from generate_series(1, 5000) as t(i)";
    for sql in [
        many.to_owned(),
        format!("{many} limit 11"),
        format!("explain analyze {many}; {many}"),
        format!("declare c cursor with hold for {many}; fetch 6 from c; fetch 6 from c"),
        format!("declare d cursor with hold for {many}; move 11 from d"),
        format!("declare s scroll cursor with hold for {many}; fetch 6 from s; fetch 6 from s"),
        format!("declare l scroll cursor with hold for {many}; fetch last from l"),
        format!("declare m scroll cursor with hold for {many}; move 11 from m"),
    ] {
        let answer = refused(&client, &sql).await;
        assert!(answer.starts_with("54000"), "{sql}: {answer}");
    }
    assert!(client.query(many, &[]).await.is_err());
    let copied = client
        .copy_out(&format!("copy ({many}) to stdout"))
        .await
        .unwrap();
    let copied: Result<Vec<_>, _> = copied.try_collect().await;
    assert!(told(&copied.unwrap_err()).starts_with("54000"));
    assert_eq!(rows(&client, &format!("{many} limit 10")).await.len(), 10);
    assert_eq!(
        rows(&client, &format!("select count(*) from ({many}) as s")).await,
        ["5000"]
    );
    let bob = server.connect("bob").await;
    assert_eq!(rows(&bob, many).await.len(), 5000);
}

/// Queries of which each reads the one before twice.
fn doubling(steps: usize) -> String {
    let mut sql = "with a0 as (select * from lab.variants)".to_owned();
    for (of, step) in (0..steps).zip(1..) {
        sql += &format!(", a{step} as (select x.* from a{of} x join a{of} y on x.pos = y.pos)");
    }
    format!("{sql} select * from a{steps}")
}

/// Fails without: the bounds on the depth of a statement (`sql-ext/src/depth.rs`), whose tree would overflow the stack and
/// end the process, on the work of the parser (`sql-ext/src/dialect.rs`), which nothing stops, and on queries that are read
/// many times (`sql-ext/src/repeated.rs`), which planning would hold as often.
/// A query in a text of a query in a text ….
fn texts_within(depth: usize) -> String {
    let innermost = "'lab.variants'".to_owned();
    (0..depth).fold(innermost, |text, at| {
        format!("$a{at}$select * from merge_regions({text})$a{at}$")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_takes_the_server_from_everybody() {
    let roles = RoleFile::new();
    roles.reader("ann", &["*"]);
    let server = Server::with_roles(&roles);
    let client = server.connect("ann").await;
    let many = |link: &str, n: usize| link.repeat(n);
    let nested =
        |open: &str, n: usize, close: &str| format!("{}1{}", many(open, n), many(close, n));
    for sql in [
        format!("select 'a'{}", many(" || 'b'", 50_000)),
        format!("select {}1", many("1 + ", 50_000)),
        format!("select 1{}", many("::int", 50_000)),
        format!("select 1{}", many(" is null", 50_000)),
        format!(
            "select pos from lab.variants where {}true",
            many("pos > 1 and ", 50_000)
        ),
        format!(
            "select relname from pg_class where {}true",
            many("oid > 1 or ", 50_000)
        ),
        format!("select 1{}", many(" union all select 1", 20_000)),
        format!(
            "select relname from pg_class{}",
            many(" union all select relname from pg_class", 20_000)
        ),
        format!("select {}", nested("(", 50_000, ")")),
        format!("select {}", nested("array[", 50_000, "]")),
        format!("select {}", nested("case when true then ", 50_000, " end")),
        format!(
            "select * from sample_qc('lab', '{}true')",
            many("pos > 1 and ", 50_000)
        ),
        format!(
            "select * from merge_regions('select * from lab.variants where {}true')",
            many("pos > 1 or ", 50_000)
        ),
        format!(
            "select * from merge_regions('select {}1')",
            many("interval ", 5_000)
        ),
        "select (repeat('[', 1000000) || repeat(']', 1000000))::jsonb".to_owned(),
        format!(
            "select '{}1{}'::jsonb",
            many("[", 200_000),
            many("]", 200_000)
        ),
        format!(
            "select oid from pg_class where '{}'::jsonb is null",
            many("[", 200_000)
        ),
        doubling(26),
        format!("create temp view v as {}", doubling(26)),
        format!("select * from merge_regions('{}')", doubling(26)),
        format!("select * from merge_regions({})", texts_within(800)),
        format!("select * from sample_qc('lab', {})", texts_within(800)),
        format!("create temp table t as select 1{}", many(" + 1", 50_000)),
        format!("prepare p as select 1{}", many(" + 1", 50_000)),
        format!("explain select 1{}", many(" + 1", 50_000)),
        format!("{}select 1", many("explain ", 50_000)),
        format!("{}select 1", many("explain (verbose) ", 50_000)),
        format!("select {}'1 day'", many("interval ", 50_000)),
        format!(
            "select {}1",
            many(&format!("{}not ", many("interval ", 199)), 200)
        ),
        format!(
            "select {}1",
            many(&format!("{}- ", many("interval ", 199)), 200)
        ),
        format!(
            "select length(relname){} from pg_class",
            many("::int::text", 20)
        ),
        format!(
            "select {}pos{} from lab.variants",
            many("(", 40),
            many(")::int", 40)
        ),
        format!(
            "select {}pos{} from lab.variants",
            many("(", 30),
            many(" between 0 and 5)::int", 30)
        ),
        format!(
            "select {}1{}",
            many("1 between symmetric 1 and (", 20),
            many(")", 20)
        ),
        format!("select {}", nested("position(", 45, ")")),
        format!("select {}", nested("array(select ", 45, ")")),
        format!("select {}", nested("exists(select ", 45, ")")),
        format!("select {}", nested("abs(", 45, ")")),
        format!("select {}", nested("(", 45, ", 1)")),
        format!(
            "select * from sample_qc('lab', 'pos = {}')",
            nested("position(", 45, ")")
        ),
    ] {
        let asked = client.simple_query(&sql);
        let answer = tokio::time::timeout(Duration::from_secs(60), asked).await;
        let start: String = sql.chars().take(60).collect();
        let error = answer
            .unwrap_or_else(|_| panic!("{start} goes on"))
            .unwrap_err();
        // An EXPLAIN of an EXPLAIN is none, however many they are.
        let code = match start.contains("(verbose) explain") {
            true => "42601",
            false => "54001",
        };
        assert!(told(&error).starts_with(code), "{start}: {}", told(&error));
        assert_eq!(rows(&client, "select 1").await, ["1"], "{start}");
    }
    for (link, code) in [
        (" between symmetric 1 and 2", "54001"),
        (" between 1 and 2", "42601"),
    ] {
        let chained = refused(&client, &format!("select 1{}", many(link, 24))).await;
        assert!(chained.starts_with(code), "{chained}");
    }
    // Many beside one another are no deeper than one.
    let beside = format!("select 1{}", many(" + '1'::text::int::int", 150));
    assert_eq!(rows(&client, &beside).await, ["151"]);
    let beside = format!("select true{}", many(" and 1 between 0 and 2", 500));
    assert_eq!(rows(&client, &beside).await, ["t"]);
    // An array has one type, whatever its dimensions.
    let arrays = format!("select to_regtype('int{}')", many("[]", 100_000));
    assert_eq!(rows(&client, &arrays).await, ["integer[]"]);
    // JSON that was made, and not read, is no deeper.
    let made = "with recursive r as (select '[]'::jsonb j, 1 n
        union all select jsonb_build_array(j), n + 1 from r where n < 300)
        select jsonb_typeof(j) from r where n = 300";
    assert!(refused(&client, made).await.starts_with("54001"));
    // Views do not get around it.
    rows(
        &client,
        "create temp view v0 as select pos from lab.variants",
    )
    .await;
    let mut refused = false;
    for (of, step) in (0..30).zip(1..) {
        let sql = format!(
            "create temp view v{step} as select x.pos from v{of} x join v{of} y on x.pos = y.pos"
        );
        let made = tokio::time::timeout(Duration::from_secs(60), client.simple_query(&sql)).await;
        if let Err(error) = made.expect("a view is made in time") {
            assert!(told(&error).starts_with("54001"), "{}", told(&error));
            refused = true;
            break;
        }
    }
    assert!(refused);
    // As deep as statements may be, in the threads that plan and drop them.
    let sql = format!("select 1{}", many(" is null", 1_990));
    assert_eq!(rows(&client, &sql).await, ["f"]);
}

/// Fails without: the pace of windows whose values grow (`session/widths.rs`), and the bound on what whole frames show (`semantics/whole_frames.rs`).
#[tokio::test(flavor = "multi_thread")]
async fn values_that_grow_with_their_rows_stay_within_the_memory_there_is() {
    let (_roles, server) = limited(&["--memory-bytes", "64000000"]);
    let client = server.connect("ann").await;
    let running =
        "select sum(length(s)) from (select string_agg(repeat('x', 1000), '') over (order by i) s
        from generate_series(1, 4000) i) q";
    assert_eq!(rows(&client, running).await, ["8002000000"]);
    let running = "select sum(cardinality(s)) from (select array_agg(repeat(i::text, 200)) over (order by i desc) s
        from generate_series(1, 1000) i) q";
    assert_eq!(rows(&client, running).await, ["500500"]);
    for whole in ["", "partition by i % 2"] {
        let whole = format!(
            "select sum(length(s)) from (select string_agg(repeat('x', 1000), '') over ({whole}) s
            from generate_series(1, 4000) i) q"
        );
        let told = refused(&client, &whole).await;
        assert!(told.starts_with("53200 out of memory"), "{told}");
    }
    let short = "select max(length(s)) from (select string_agg('x', '') over () s from generate_series(1, 4000)) q";
    assert_eq!(rows(&client, short).await, ["4000"]);
    let most = server.peak_memory_bytes();
    assert!(most < 1_000_000_000, "{most}");
}

/// Fails without: the memory of what a session keeps between statements (`session/memory.rs`), and the bound on the bytes of
/// settings.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_keeps_is_bounded() {
    let (_roles, server) = limited(&["--memory-bytes", "8000000"]);
    let client = server.connect("ann").await;
    // Prepared statements, until there are as many as fit: no more than one for each 80 KB.
    let mut kept = 0;
    let error = loop {
        match client
            .simple_query(&format!("prepare p{kept} as select {kept}"))
            .await
        {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    let full = "53200 the prepared statements of the session do not fit into its memory";
    assert_eq!(told(&error), full);
    assert!((50..100).contains(&kept), "{kept} were kept");
    client.batch_execute("deallocate all").await.unwrap();
    let long = format!("prepare long as select '{}'", "x".repeat(2_000_000));
    assert!(refused(&client, &long).await.starts_with(full));
    // The message of an unnamed one may be long, too; it is not kept beside its values.
    let unnamed = format!("select length('{}')", "x".repeat(1_000_000));
    assert_eq!(rows(&client, &unnamed).await, ["1000000"]);
    // Cursors: one for each 300 KB.
    client.batch_execute("begin").await.unwrap();
    let mut kept = 0;
    let error = loop {
        let declare = format!("declare c{kept} cursor for select 1; fetch c{kept}");
        match client.simple_query(&declare).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(
        told(&error),
        "53200 the portals and cursors of the session do not fit into its memory"
    );
    assert!((15..30).contains(&kept), "{kept} were open");
    client
        .batch_execute("rollback; begin; declare c cursor for select 1; rollback")
        .await
        .unwrap();
    // Views: one for each 50 KB and their texts.
    let text = "x".repeat(1_000_000);
    let view = |n| format!("create temp view v{n} as select '{text}' as x");
    client.batch_execute(&view(0)).await.unwrap();
    let views = refused(&client, &view(1)).await;
    let full = "53200 the temporary views of the session do not fit into its memory";
    assert!(views.starts_with(full), "{views}");
    client.batch_execute("drop view v0").await.unwrap();
    // Savepoints: one for each 16 KB, and what they keep of the settings.
    client.batch_execute("begin").await.unwrap();
    let savepoints = refused(&client, &"savepoint s;".repeat(2_000)).await;
    let full = "53200 the savepoints of the session do not fit into its memory";
    assert!(savepoints.starts_with(full), "{savepoints}");
    client.batch_execute("rollback").await.unwrap();
    // Rows of COPY that do not end.
    client
        .batch_execute("create temp table t (a text)")
        .await
        .unwrap();
    let sink = client
        .copy_in::<_, bytes::Bytes>("copy t from stdin")
        .await
        .unwrap();
    let parts = (0..64).map(|_| Ok(bytes::Bytes::from(vec![b'x'; 1 << 20])));
    let mut parts = futures::stream::iter(parts.collect::<Vec<_>>());
    let mut sink = std::pin::pin!(sink);
    let sent = futures::SinkExt::send_all(&mut sink, &mut parts).await;
    let error = match sent {
        Ok(()) => sink.finish().await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(
        told(&error),
        "53200 the rows of COPY of the session do not fit into its memory"
    );
    // Settings of its own.
    let value = "x".repeat(100_000);
    for name in ["one", "two"] {
        client
            .batch_execute(&format!("set my.{name} = '{value}'"))
            .await
            .unwrap();
    }
    let third = refused(&client, &format!("set my.three = '{value}'")).await;
    assert!(third.starts_with("53200"), "{third}");
    client.batch_execute("reset my.one").await.unwrap();
    client
        .batch_execute(&format!("set my.three = '{value}'"))
        .await
        .unwrap();
    // Nothing of it is left for others.
    assert_eq!(rows(&server.connect("bob").await, "select 1").await, ["1"]);
}

/// Fails without: the bound on names (`sql-ext/src/depth.rs`), and values being compared for hints only where they are short
/// (`sqlstate/slips.rs`). Hints are made where sockets are served, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_name_takes_no_time() {
    let (_roles, server) = limited(&["--memory-bytes", "800000000"]);
    let client = server.connect("ann").await;
    let long = "x".repeat(3_000_000);
    let begun = Instant::now();
    for (sql, code) in [
        (format!("set {long} = 1"), "42622"),
        (format!("show {long}"), "42622"),
        (format!("set timezone = '{long}'"), "22023"),
        (format!("select {long}(1)"), "42622"),
        (format!("select {long} from lab.variants"), "42622"),
        (format!("select * from {long}"), "42622"),
    ] {
        let told = refused(&client, &sql).await;
        assert!(
            told.starts_with(code),
            "{}",
            told.get(..200).unwrap_or(&told)
        );
    }
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
    client
        .batch_execute(&format!("set application_name = '{long}'"))
        .await
        .unwrap();
    assert_eq!(rows(&client, "show application_name").await, [&long[..63]]);
}

/// Fails without: the memory of rows of the catalog (`pg_catalog/eval/memory.rs`).
#[tokio::test(flavor = "multi_thread")]
async fn memory_of_catalog_queries_is_bounded() {
    let (_roles, server) = limited(&["--memory-bytes", "20000000"]);
    let client = server.connect("ann").await;
    let two = "pg_attribute a, pg_attribute b";
    for sql in [
        format!("select count(*) from (select distinct a.attname || b.attname from {two}) q"),
        format!("select count(*) from (select a.attname || b.attname x from {two} order by 1) q"),
        format!("select array_agg(a.attname || b.attname) from {two}"),
        "select length(string_agg(repeat('x', 100000), ',')) from pg_attribute".to_owned(),
        "with recursive r as (select 1 as n, repeat('x', 100000) as t union all \
         select n + 1, t || 'x' from r, pg_am where n < 4000) select count(*) from r"
            .to_owned(),
    ] {
        let told = refused(&client, &sql).await;
        assert!(told.starts_with("53200"), "{sql}: {told}");
    }
    let usual = "select count(*) > 100 from pg_attribute a join pg_class c on c.oid = a.attrelid";
    assert_eq!(rows(&client, usual).await, ["t"]);
}

/// Fails without: few rows at a time for what makes wide values of them (`session/widths.rs`). A batch of these constants has
/// more bytes than a column may have.
#[tokio::test(flavor = "multi_thread")]
async fn wide_constants_come_in_few_rows() {
    let (_roles, server) = limited(&["--memory-bytes", "100000000"]);
    let client = server.connect("ann").await;
    let sql = "select count(*), sum(length(a) + length(b)) from \
               (select repeat('x', 300000) || i as a, repeat('y', i * 10) as b \
                from generate_series(1, 8192) as g(i)) as q";
    assert_eq!(rows(&client, sql).await, ["8192|2793216941"]);
}

/// Fails without: values being read beside the threads that serve sockets (`session/portal.rs`), and arrays that need no
/// planner (`session/template.rs`).
#[tokio::test(flavor = "multi_thread")]
async fn long_values_keep_nobody_waiting() {
    let (_roles, server) = limited(&["--memory-bytes", "100000000"]);
    let client = server.connect("ann").await;
    let other = server.connect("bob").await;
    let ids: Vec<i32> = (0..200_000).collect();
    let sql = "select count(*) from generate_series(1, 10) as g(i) where i = any($1::int[])";
    let asked = async {
        client
            .query_one(sql, &[&ids])
            .await
            .map(|row| row.get::<_, i64>(0))
    };
    let waits = async {
        let mut longest = Duration::ZERO;
        for _ in 0..50 {
            let begun = Instant::now();
            rows(&other, "select 1").await;
            longest = longest.max(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        longest
    };
    let (answer, longest) = tokio::join!(asked, waits);
    assert_eq!(answer.unwrap(), 10);
    assert!(longest < Duration::from_secs(5), "{longest:?}");
}
