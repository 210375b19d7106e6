//! What functions, lists and aggregates make of values: no more than the memory of the role, and told in time.

use super::limits::limited_by;
use super::operations::{admin_port, get};
use super::setup::{RoleFile, Server, refused, rows, soon};

/// What the server may have in memory at most, however much a statement of 32 MB asks for: a few times that, and itself.
const PEAK: usize = 900_000_000;

fn limited(limit: &[&str]) -> (RoleFile, Server) {
    limited_by(limit, &["--set", "admin_listen=127.0.0.1:0"])
}

/// Whether all memory was given back.
fn is_free(port: u16) -> bool {
    let metrics = get(port, "/metrics");
    let mut lines = metrics.lines();
    lines.any(|line| line == "genokura_memory_reserved_bytes 0")
}

/// Fails without: the bounds on functions (`made/bounded.rs`), which are told before the bytes are made.
#[tokio::test(flavor = "multi_thread")]
async fn functions_make_no_more_than_the_memory_there_is() {
    let (_roles, server) = limited(&["--memory-bytes", "32000000"]);
    let port = admin_port(&server).await;
    let client = server.connect("ann").await;
    let doubled = (1..12).map(|at| format!(", c{at} as (select t || t t from c{})", at - 1));
    let doubled = format!(
        "with c0 as (select repeat('x', 1000000) t){} select length(t) from c11",
        doubled.collect::<String>()
    );
    for (asked, code) in [
        (doubled.as_str(), "53200"),
        (
            "select length(replace(repeat('a', 100000), 'a', repeat('b', 40000)))",
            "54000",
        ),
        (
            "select max(length(replace(repeat(i::text, 1000), '1', repeat('b', 100000)))) from generate_series(1, 10000) i",
            "53200",
        ),
        (
            "select length(regexp_replace(repeat('a', 100000), 'a', repeat('b', 40000), 'g'))",
            "54000",
        ),
        (
            "select length(array_to_string(string_to_array(repeat('a,', 100000), ','), repeat('y', 40000)))",
            "54000",
        ),
        (
            "select count(*) from regexp_matches(repeat('a', 20000000), '(a)', 'g')",
            "53200",
        ),
        (
            "select count(*) from regexp_split_to_table(repeat('a,', 20000000), ',')",
            "53200",
        ),
        (
            "select count(*) from string_to_table(repeat('a,', 20000000), ',')",
            "53200",
        ),
        (
            "select length(jsonb_agg(g)::text) from generate_series(1, 9000000) g",
            "53200",
        ),
        (
            "select cardinality(array_fill(t, array[1000]) || t) from (select repeat(i::text, 200000) t from generate_series(100, 300) i) q",
            "53200",
        ),
    ] {
        let told = refused(&client, asked).await;
        assert!(told.starts_with(code), "{asked}: {told}");
    }
    let most = server.peak_memory_bytes();
    assert!(most < PEAK, "{most}");
    assert!(soon(async || is_free(port)).await);
}

/// Batches that are wide in the ordinary way: 8,192 rows of a kilobyte, sorted, grouped, and nested in functions.
#[tokio::test(flavor = "multi_thread")]
async fn ordinary_widths_are_answered() {
    let (_roles, server) = limited(&["--memory-bytes", "32000000"]);
    let client = server.connect("ann").await;
    let wide = "(select lower(replace(repeat('abcde', 200), 'a', i::text)) || 'x' x from generate_series(1, 20000) i) q";
    for (asked, answer) in [
        (format!("select count(*), max(length(x)) from {wide}"), "20000|1801"),
        (format!("select count(distinct x) from {wide} where length(x) < 1602"), "9999"),
        (format!("select length(x) from {wide} order by x desc limit 1"), "1001"),
        (
            "select length(replace(repeat('ab', 1000000), 'b', ''))".to_owned(),
            "1000000",
        ),
        (
            "select length(replace(repeat('ab', 1000000), 'c', repeat('d', 1000000)))".to_owned(),
            "2000000",
        ),
        (
            "select count(*) from regexp_split_to_table(repeat('a,', 50000), ',')".to_owned(),
            "50001",
        ),
        (
            "select count(*), max(length(t)) from (select unnest(string_to_array(repeat('a,', 300000), ',')) u, repeat('t', 1000) t
                from (select sample_id from lab.calls limit 1) c) q"
                .to_owned(),
            "300001|1000",
        ),
    ] {
        assert_eq!(joined(rows(&client, &asked).await), answer, "{asked}");
    }
}

fn joined(rows: Vec<String>) -> String {
    rows.join("|")
}

/// Fails without: the pace of windows (`session/yielding.rs`), which grows as the rows do, and what their aggregates
/// heed (`made/windows.rs`).
#[tokio::test(flavor = "multi_thread")]
async fn windows_of_growing_values_end_with_their_statement() {
    let (_roles, server) = limited(&[
        "--memory-bytes",
        "32000000",
        "--statement-timeout-ms",
        "3000",
    ]);
    let port = admin_port(&server).await;
    let (client, other) = (server.connect("ann").await, server.connect("bob").await);
    for asked in [
        "select max(length(s)) from (select string_agg(repeat('x', 100), ',') over (order by i) s from generate_series(1, 40000) i) q",
        "select max(cardinality(s)) from (select array_agg(i) over (order by i) s from generate_series(1, 60000) i) q",
        "select max(cardinality(s)) from (select array_agg(i) over (order by i rows between current row and unbounded following) s from generate_series(1, 60000) i) q",
    ] {
        let started = std::time::Instant::now();
        let told = refused(&client, asked).await;
        assert!(
            told.starts_with("57014") || told.starts_with("53200"),
            "{asked}: {told}"
        );
        assert_eq!(rows(&other, "select 1").await, ["1"]);
        assert!(
            started.elapsed().as_secs() < 6,
            "{asked}: {:?}",
            started.elapsed()
        );
        assert!(soon(async || is_free(port)).await);
    }
    let most = server.peak_memory_bytes();
    assert!(most < PEAK, "{most}");
}

/// Fails without: the small batches of aggregates whose values grow (`session/yielding.rs`), and lists unnested in parts
/// (`session/unnested.rs`).
#[tokio::test(flavor = "multi_thread")]
async fn groups_and_lists_that_are_wide_come_in_few_rows() {
    let (_roles, server) = limited(&["--memory-bytes", "128000000"]);
    let client = server.connect("ann").await;
    let grouped = "select count(*), max(length(s)) from (select i % 20000 k, string_agg(repeat('x', 1000), ',') s
        from generate_series(1, 200000) i group by 1) q";
    assert_eq!(joined(rows(&client, grouped).await), "20000|10009");
    let unnested = "select count(*), max(length(t)) from (select unnest(string_to_array(repeat('a,', 100000), ',')) u,
        repeat(sample_id, 1000) t from (select sample_id from lab.calls limit 10) c) q";
    assert_eq!(joined(rows(&client, unnested).await), "1000010|2000");
    let most = server.peak_memory_bytes();
    assert!(most < 1_100_000_000, "{most}");
}
