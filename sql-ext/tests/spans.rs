//! The table functions on spans against bedtools, on the same spans.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider,
};
use datafusion::datasource::MemTable;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

type Span = (&'static str, i32, i32);

/// Spans of three contigs from a seed, sorted as bedtools wants them.
fn seeded(count: usize, seed: i64, longest: i64) -> Vec<Span> {
    let mut state = seed;
    let mut next = move |below: i64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).rem_euclid(below)
    };
    let span = |_| {
        let contig = ["chr1", "chr2", "chr3"][usize::try_from(next(3)).unwrap()];
        let pos = i32::try_from(1 + next(5_000)).unwrap();
        (contig, pos, pos + i32::try_from(next(longest)).unwrap())
    };
    let mut spans: Vec<Span> = (0..count).map(span).collect();
    spans.sort_unstable();
    spans
}

fn provider(spans: &[Span]) -> MemTable {
    let contig: ArrayRef = Arc::new(spans.iter().map(|s| Some(s.0)).collect::<StringArray>());
    let pos: ArrayRef = Arc::new(spans.iter().map(|s| s.1).collect::<Int32Array>());
    let end: ArrayRef = Arc::new(spans.iter().map(|s| s.2).collect::<Int32Array>());
    let columns = [("contig", contig), ("pos", pos), ("end_pos", end)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let half = batch.num_rows() / 2;
    let halves = [
        batch.slice(0, half),
        batch.slice(half, batch.num_rows() - half),
    ];
    MemTable::try_new(batch.schema(), halves.map(|half| vec![half]).to_vec()).unwrap()
}

fn session(a: &[Span], b: &[Span], partitions: usize) -> SessionContext {
    let mut config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_batch_size(100)
        .with_default_catalog_and_schema("genokura", "kb")
        .with_create_default_catalog_and_schema(false);
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let builder = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features();
    let state = genokura_sql_ext::register_all(builder).build();
    let context = SessionContext::new_with_state(state);
    let schema = Arc::new(MemorySchemaProvider::new());
    schema
        .register_table("a".to_owned(), Arc::new(provider(a)))
        .unwrap();
    schema
        .register_table("b".to_owned(), Arc::new(provider(b)))
        .unwrap();
    let catalog = Arc::new(MemoryCatalogProvider::new());
    catalog.register_schema("kb", schema).unwrap();
    context.register_catalog("genokura", catalog);
    context
}

async fn rows(context: &SessionContext, sql: &str) -> Vec<String> {
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let mut rows = Vec::new();
    for batch in &batches {
        let options = FormatOptions::default().with_null(".");
        let columns = batch.columns().iter();
        let columns: Vec<_> = columns
            .map(|c| ArrayFormatter::try_new(c, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let values = columns.iter().map(|column| column.value(row).to_string());
            rows.push(values.collect::<Vec<_>>().join("\t"));
        }
    }
    rows.sort_unstable();
    rows
}

fn bed(directory: &Path, name: &str, spans: &[Span]) {
    let mut text = String::new();
    for (contig, pos, end) in spans {
        writeln!(text, "{contig}\t{}\t{end}", pos - 1).unwrap();
    }
    std::fs::write(directory.join(name), text).unwrap();
}

/// What bedtools writes, its 0-based starts turned into positions by `awk`.
fn bedtools(directory: &Path, command: &str, awk: &str) -> Vec<String> {
    let line = format!("set -o pipefail; bedtools {command} | awk -v OFS='\\t' '{awk}'");
    let output = Command::new("bash")
        .args(["-c", &line])
        .current_dir(directory)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{line} (apt-get install bedtools): {error}"
    );
    let mut rows: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    rows.sort_unstable();
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_bedtools() {
    let directory = tempfile::tempdir().unwrap();
    let random = [
        (seeded(150, 3, 60), seeded(200, 5, 40)),
        (seeded(40, 7, 2), seeded(60, 11, 300)),
        (seeded(60, 13, 400), seeded(3, 17, 10)),
    ];
    let random = random.into_iter().map(|pair| (pair, &[1, 2, 8][..]));
    let adversarial = adversarial().map(|pair| (pair, &[2][..]));
    for ((a, b), partitions) in random.chain(adversarial) {
        let sessions: Vec<_> = partitions.iter().map(|n| session(&a, &b, *n)).collect();
        bed(directory.path(), "a.bed", &a);
        bed(directory.path(), "b.bed", &b);
        let span = "print $1, $2 + 1, $3";
        let closest = "if ($4 == \".\") print $1, $2 + 1, $3, \".\", \".\", \".\"; \
                       else print $1, $2 + 1, $3, $5 + 1, $6, $7";
        let both = "print $1, $2 + 1, $3, $5 + 1, $6";
        let cases = [
            (
                "(SELECT a.contig, a.pos, a.end_pos, b.pos AS p, b.end_pos AS e FROM kb.a a JOIN kb.b b \
                 ON a.contig = b.contig AND a.pos <= b.end_pos AND a.end_pos >= b.pos)",
                "intersect -wa -wb -a a.bed -b b.bed",
                both,
            ),
            (
                "(SELECT a.contig, a.pos, a.end_pos, b.pos AS p, b.end_pos AS e FROM kb.a a LEFT JOIN kb.b b \
                 ON interval_overlaps(a.contig, a.pos, a.end_pos, b.contig, b.pos, b.end_pos))",
                "intersect -loj -a a.bed -b b.bed",
                "if ($4 == \".\") print $1, $2 + 1, $3, \".\", \".\"; else print $1, $2 + 1, $3, $5 + 1, $6",
            ),
            (
                "(SELECT * FROM kb.a a WHERE EXISTS (SELECT 1 FROM kb.b b \
                 WHERE a.contig = b.contig AND a.pos <= b.end_pos AND a.end_pos >= b.pos))",
                "intersect -u -a a.bed -b b.bed",
                span,
            ),
            (
                "(SELECT * FROM kb.a a WHERE NOT EXISTS (SELECT 1 FROM kb.b b \
                 WHERE a.contig = b.contig AND a.pos <= b.end_pos AND a.end_pos >= b.pos))",
                "intersect -v -a a.bed -b b.bed",
                span,
            ),
            (
                "(SELECT a.contig, greatest(a.pos, b.pos) AS p, least(a.end_pos, b.end_pos) AS e FROM kb.a a \
                 JOIN kb.b b ON a.contig = b.contig AND NOT (a.pos > b.end_pos OR a.end_pos < b.pos))",
                "intersect -a a.bed -b b.bed",
                span,
            ),
            (
                "(SELECT a.contig, a.pos, a.end_pos, b.pos AS p, b.end_pos AS e FROM kb.a a JOIN kb.b b \
                 ON a.contig = b.contig AND a.pos >= b.pos AND a.end_pos <= b.end_pos)",
                "intersect -f 1 -wa -wb -a a.bed -b b.bed",
                both,
            ),
            (
                "(SELECT a.contig, a.pos, a.end_pos, b.pos AS p, b.end_pos AS e FROM kb.a a JOIN kb.b b \
                 ON a.contig = b.contig AND a.pos <= b.end_pos + 7 AND a.end_pos >= b.pos - 7)",
                "window -w 7 -a a.bed -b b.bed",
                both,
            ),
            (
                "count_overlaps('kb.a', 'kb.b')",
                "intersect -c -a a.bed -b b.bed",
                "print $1, $2 + 1, $3, $4",
            ),
            (
                "(SELECT contig, pos, end_pos, n_overlaps, covered_bp FROM coverage('kb.a', 'SELECT * FROM kb.b'))",
                "coverage -a a.bed -b b.bed",
                "print $1, $2 + 1, $3, $4, $5",
            ),
            (
                "merge_regions('kb.a')",
                "merge -c 1 -o count -i a.bed",
                "print $1, $2 + 1, $3, $4",
            ),
            (
                "merge_regions('kb.a', 20)",
                "merge -d 20 -c 1 -o count -i a.bed",
                "print $1, $2 + 1, $3, $4",
            ),
            (
                "(SELECT min(pos) AS first, count(*) AS n FROM cluster('kb.a', 5) GROUP BY contig, cluster)",
                "cluster -d 5 -i a.bed",
                "if ($4 != c) { if (NR > 1) print p, n; c = $4; p = $2 + 1; n = 0 } n++ } END { print p, n",
            ),
            (
                "subtract_regions('kb.a', 'kb.b')",
                "subtract -a a.bed -b b.bed",
                span,
            ),
            (
                "nearest('kb.a', 'kb.b')",
                "closest -D ref -t all -a a.bed -b b.bed",
                closest,
            ),
            (
                "nearest('kb.a', 'kb.b', 1, 'upstream')",
                "closest -D ref -id -t all -a a.bed -b b.bed",
                closest,
            ),
            (
                "nearest('kb.a', 'kb.b', 1, 'downstream')",
                "closest -D ref -iu -t all -a a.bed -b b.bed",
                closest,
            ),
        ];
        for (ours, theirs, awk) in cases {
            let expected = bedtools(directory.path(), theirs, &format!("{{ {awk} }}"));
            for context in &sessions {
                let found = rows(context, &format!("SELECT * FROM {ours}")).await;
                assert_eq!(
                    found, expected,
                    "{ours} and bedtools {theirs} of {a:?} and {b:?}"
                );
            }
        }
    }
}

/// The last base of a contig; bedtools counts to 2^29.
const FAR: i32 = 500_000_000;

/// Where ends, contigs and copies meet: spans of one base, neighbours, spans in spans, equal starts and equal ends, copies,
/// the first base of a contig, contigs that only one side has, and one side without spans. Points between two bases are
/// left to the model below: bedtools makes two bases of them.
fn adversarial() -> impl Iterator<Item = (Vec<Span>, Vec<Span>)> {
    let nested: Vec<Span> = (1..30).map(|i| ("chr1", i, 60 - i)).collect();
    let stairs: Vec<Span> = (0..30).map(|i| ("chr1", 1 + 2 * i, 2 + 2 * i)).collect();
    let bases: Vec<Span> = (1..60).map(|i| ("chr1", i, i)).collect();
    let same_start: Vec<Span> = (0..20).map(|i| ("chr1", 10, 10 + i)).collect();
    let same_end: Vec<Span> = (1..21).map(|i| ("chr1", i, 21)).collect();
    let copies = vec![("chr1", 5, 9); 12];
    let whole = vec![("chr1", 1, 248_956_422), ("chr2", 1, 1), ("chr3", 1, FAR)];
    let elsewhere = vec![("chr2", 1, 1), ("chr2", 2, 2), ("chr3", FAR, FAR)];
    let mut far = nested.clone();
    far.extend([("chr2", 1, 5), ("chr3", 7, 7)]);
    let shapes = [
        nested, stairs, bases, same_start, same_end, copies, whole, elsewhere, far,
    ];
    // Each with itself and with two others.
    let pair = move |n: usize| {
        let (a, b) = (n / 3, n / 3 + [0, 1, 4][n % 3]);
        (shapes[a].clone(), shapes[b % shapes.len()].clone())
    };
    let pairs = (0..27).map(pair);
    let crowds = (0..8).map(|seed| {
        let long = |seed| {
            let mut spans: Vec<Span> = crowded(seed);
            spans.retain(|span| span.1 <= span.2);
            // bedtools wants a span to begin with.
            spans.push(("chr2", 3, 4));
            spans.sort_unstable();
            spans
        };
        (long(2 * seed + 1), long(2 * seed + 2))
    });
    pairs.chain(crowds)
}

/// Few spans in a small place: copies, neighbours, spans in spans and points between two bases come up all the time.
fn crowded(seed: i64) -> Vec<Span> {
    let mut state = seed;
    let mut next = move |below: i64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i32::try_from((state >> 33).rem_euclid(below)).unwrap()
    };
    let count = next(9) * (next(4).min(1));
    let span = |_| {
        let pos = 1 + next(14);
        let length = next(5).min(next(9));
        (
            ["chr1", "chr2"][usize::try_from(next(2)).unwrap()],
            pos,
            pos + length - 1,
        )
    };
    (0..count).map(span).collect()
}

/// What the functions say, by their words and nothing else.
mod model {
    use super::Span;

    pub(super) fn overlap(a: &Span, b: &Span) -> bool {
        a.0 == b.0 && a.1 <= b.2 && a.2 >= b.1
    }

    pub(super) fn count_overlaps(a: &[Span], b: &[Span]) -> Vec<String> {
        let count = |a: &Span| b.iter().filter(|b| overlap(a, b)).count();
        let line = |a: &Span| format!("{}\t{}\t{}\t{}", a.0, a.1, a.2, count(a));
        a.iter().map(line).collect()
    }

    fn is_covered(contig: &str, base: i32, b: &[Span]) -> bool {
        b.iter()
            .any(|b| overlap(&(static_name(contig), base, base), b) && b.1 <= b.2)
    }

    fn static_name(contig: &str) -> &'static str {
        ["chr1", "chr2"]
            .into_iter()
            .find(|name| *name == contig)
            .unwrap()
    }

    pub(super) fn coverage(a: &[Span], b: &[Span]) -> Vec<String> {
        let line = |a: &Span| {
            let n = b.iter().filter(|b| overlap(a, b)).count();
            let bases = (a.1..=a.2).filter(|base| is_covered(a.0, *base, b)).count();
            format!("{}\t{}\t{}\t{n}\t{bases}", a.0, a.1, a.2)
        };
        a.iter().map(line).collect()
    }

    /// Spans that are linked by any chain of gaps of at most `distance`.
    fn clusters(a: &[Span], distance: i32) -> Vec<Vec<Span>> {
        let linked = |x: &Span, y: &Span| {
            x.0 == y.0 && x.1 - distance - 1 <= y.2 && y.1 - distance - 1 <= x.2
        };
        let mut clusters: Vec<Vec<Span>> = Vec::new();
        for span in a {
            let (with, without): (Vec<_>, Vec<_>) = clusters
                .into_iter()
                .partition(|cluster| cluster.iter().any(|other| linked(span, other)));
            clusters = without;
            clusters.push(with.into_iter().flatten().chain([*span]).collect());
        }
        clusters.sort_by_key(|cluster| cluster.iter().min().copied());
        clusters
    }

    pub(super) fn merge(a: &[Span], distance: i32) -> Vec<String> {
        let line = |cluster: &Vec<Span>| {
            let pos = cluster.iter().map(|s| s.1).min().unwrap();
            let end = cluster.iter().map(|s| s.2).max().unwrap();
            format!("{}\t{pos}\t{end}\t{}", cluster[0].0, cluster.len())
        };
        clusters(a, distance).iter().map(line).collect()
    }

    pub(super) fn cluster(a: &[Span], distance: i32) -> Vec<String> {
        let mut lines = Vec::new();
        let (mut contig, mut number) = ("", 0);
        for cluster in clusters(a, distance) {
            number = if cluster[0].0 == contig {
                number + 1
            } else {
                1
            };
            contig = cluster[0].0;
            lines.extend(
                cluster
                    .iter()
                    .map(|s| format!("{}\t{}\t{}\t{number}", s.0, s.1, s.2)),
            );
        }
        lines
    }

    pub(super) fn subtract(a: &[Span], b: &[Span]) -> Vec<String> {
        let mut lines = Vec::new();
        for span in a {
            if span.1 > span.2 {
                let held = b.iter().any(|b| overlap(span, b) && b.1 <= b.2);
                lines.extend((!held).then(|| format!("{}\t{}\t{}", span.0, span.1, span.2)));
                continue;
            }
            let mut begun = None;
            for base in span.1..=span.2 + 1 {
                let is_left = base <= span.2 && !is_covered(span.0, base, b);
                if is_left {
                    begun = begun.or(Some(base));
                } else if let Some(start) = begun.take() {
                    lines.push(format!("{}\t{start}\t{}", span.0, base - 1));
                }
            }
        }
        lines
    }

    pub(super) fn nearest(a: &[Span], b: &[Span], k: usize, side: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for a in a {
            let distance = |b: &Span| match () {
                () if overlap(a, b) || a == b => 0,
                () if b.2 < a.1 => b.2 - a.1,
                () => b.1 - a.2,
            };
            let others: Vec<(i32, &Span)> = b
                .iter()
                .filter(|b| a.0 == b.0)
                .map(|b| (distance(b), b))
                .filter(|(d, _)| match side {
                    "upstream" => *d <= 0,
                    "downstream" => *d >= 0,
                    _ => true,
                })
                .collect();
            let closer = |d: i32| others.iter().filter(|(o, _)| o.abs() < d.abs()).count();
            let given = others.iter().filter(|(d, _)| closer(*d) < k);
            let before = lines.len();
            lines.extend(
                given.map(|(d, b)| format!("{}\t{}\t{}\t{}\t{}\t{d}", a.0, a.1, a.2, b.1, b.2)),
            );
            if lines.len() == before {
                lines.push(format!("{}\t{}\t{}\t.\t.\t.", a.0, a.1, a.2));
            }
        }
        lines
    }
}

/// Empty tables, copies, neighbours, spans in spans and points: every function is what its page says, in any number of
/// partitions.
#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_the_words() {
    let mut empty = 0;
    for seed in 0..8 {
        let (a, b) = (crowded(seed * 2 + 1), crowded(seed * 2 + 2));
        empty += usize::from(a.is_empty()) + usize::from(b.is_empty());
        let cases = [
            (
                "SELECT * FROM count_overlaps('kb.a', 'kb.b')",
                model::count_overlaps(&a, &b),
            ),
            (
                "SELECT contig, pos, end_pos, n_overlaps, covered_bp FROM coverage('kb.a', 'kb.b')",
                model::coverage(&a, &b),
            ),
            ("SELECT * FROM merge_regions('kb.a')", model::merge(&a, 0)),
            (
                "SELECT * FROM merge_regions('kb.a', 2)",
                model::merge(&a, 2),
            ),
            ("SELECT * FROM cluster('kb.a', 1)", model::cluster(&a, 1)),
            (
                "SELECT * FROM subtract_regions('kb.a', 'kb.b')",
                model::subtract(&a, &b),
            ),
            (
                "SELECT * FROM nearest('kb.a', 'kb.b')",
                model::nearest(&a, &b, 1, "either"),
            ),
            (
                "SELECT * FROM nearest('kb.a', 'kb.b', 3)",
                model::nearest(&a, &b, 3, "either"),
            ),
            (
                "SELECT * FROM nearest('kb.a', 'kb.b', 2, 'upstream')",
                model::nearest(&a, &b, 2, "upstream"),
            ),
            (
                "SELECT * FROM nearest('kb.a', 'kb.b', 2, 'downstream')",
                model::nearest(&a, &b, 2, "downstream"),
            ),
        ];
        let sessions = [1, 2, 8].map(|partitions| session(&a, &b, partitions));
        for (sql, mut expected) in cases {
            expected.sort_unstable();
            for context in &sessions {
                let found = rows(context, sql).await;
                assert_eq!(found, expected, "{sql} of {a:?} and {b:?}");
            }
        }
    }
    assert!(empty > 2, "tables without rows are among them");
}

/// NULLs and spans that end before they start are in no answer; projections, filters and other joins fit around.
#[tokio::test]
async fn rows_that_are_no_spans_are_left_out() {
    let context = session(&[("chr1", 5, 9), ("chr1", 30, 20)], &[("chr1", 9, 9)], 2);
    let regions =
        "SELECT * FROM kb.a UNION ALL SELECT NULL, 1, 2 UNION ALL SELECT ''chr1'', NULL, 2";
    for (sql, expected) in [
        (
            format!(
                "SELECT n_overlaps, pos FROM count_overlaps('{regions}', 'kb.b') WHERE pos > 0"
            ),
            "1\t5",
        ),
        (
            format!("SELECT count(*) FROM merge_regions('{regions}')"),
            "1",
        ),
        (
            format!("SELECT distance FROM nearest('{regions}', 'kb.b')"),
            "0",
        ),
        (
            "SELECT m.pos FROM merge_regions('SELECT * FROM merge_regions(''kb.a'')') m \
             JOIN kb.b ON b.contig = m.contig AND b.pos BETWEEN m.pos AND m.end_pos"
                .to_owned(),
            "5",
        ),
    ] {
        assert_eq!(rows(&context, &sql).await, [expected], "{sql}");
    }
}

#[tokio::test]
async fn arguments_and_tables_are_checked() {
    let context = session(&seeded(5, 3, 6), &seeded(5, 5, 4), 1);
    for (call, told) in [
        ("merge_regions('kb.nothing')", "kb.nothing"),
        ("merge_regions('missing')", "missing"),
        ("merge_regions('kb.a', -1)", "0 or more"),
        ("merge_regions('kb.a', 'kb.b')", "takes"),
        ("nearest('kb.a', 'kb.b', 0)", "at least 1"),
        ("nearest('kb.a', 'kb.b', 1, 'left')", "upstream"),
        ("coverage('kb.a')", "takes"),
        ("coverage('kb.a', 'DROP TABLE kb.b')", "query"),
        ("windows('nobody', 10)", "nobody"),
    ] {
        let sql = format!("SELECT * FROM {call}");
        let error = match context.sql(&sql).await {
            Ok(frame) => frame.collect().await.unwrap_err(),
            Err(error) => error,
        };
        assert!(error.to_string().contains(told), "{call}: {error}");
    }
}
