//! The region functions: closed intervals, NULL, and the comparisons they are rewritten to.
#![allow(clippy::unwrap_used)]

mod common;

use common::{column, context, error};

#[tokio::test]
async fn spans_are_closed() {
    for (expression, expected) in [
        ("interval_overlaps('chr1', 5, 8, 'chr1', 8, 9)", "true"),
        ("interval_overlaps('chr1', 5, 8, 'chr1', 9, 9)", "false"),
        ("interval_overlaps('chr1', 5, 8, 'chr2', 5, 8)", "false"),
        ("interval_overlaps('chr1', 5, 8, 'chr1', NULL, 9)", "-"),
        ("interval_overlaps('chr1', 5, 8, 'chr1', 9, NULL)", "false"),
        ("interval_overlaps('chr1', 5, 8, NULL, 5, 8)", "-"),
        ("in_region('chr22', 10, 12, 'chr22:12-20')", "true"),
        ("in_region('chr22', 10, 12, 'chr22:13-20')", "false"),
        ("in_region('chr22', 20, 25, 'chr22:1,2-20')", "true"),
        ("in_region('chr22', 21, 25, 'chr22:12-20')", "false"),
        ("in_region('22', 20, 20, 'chr22:20')", "true"),
        ("in_region('chr22', 20, 20, '22:20-')", "true"),
        ("in_region('chr2', 20, 20, 'chr22')", "false"),
        ("in_region('chr22', 20, 20, 'chr22')", "true"),
        ("in_region('chrM', 20, 20, 'MT')", "true"),
        (
            "in_region('HLA-A*01:01', 7, 7, '{HLA-A*01:01}:5-9')",
            "true",
        ),
        ("in_region('chr22', 20, 20, NULL)", "-"),
        ("in_region(NULL, 20, 20, 'chr22')", "-"),
        ("in_region('chr22', 20, NULL, 'chr22:1-10')", "false"),
    ] {
        let folded = column(&context(), &format!("SELECT {expression}")).await;
        assert_eq!(folded, [expected], "{expression}");
    }
}

/// The same answers when nothing can be folded: the region comes from a column.
#[tokio::test]
async fn a_region_column_is_read_row_by_row() {
    let sql = "SELECT in_region(contig, pos, pos + 2, region) FROM (VALUES \
        ('chr1', 5, 'chr1:7-9'), ('chr1', 5, 'chr1:8-9'), ('1', 5, 'chr1'), ('chr1', 5, NULL)) \
        AS t(contig, pos, region)";
    assert_eq!(
        column(&context(), sql).await,
        ["true", "false", "true", "-"]
    );
}

async fn plan(sql: &str) -> String {
    let context = context();
    let table =
        "CREATE TABLE v (contig TEXT, pos INTEGER, end_pos INTEGER) AS VALUES ('chr1', 1, 1)";
    context.sql(table).await.unwrap().collect().await.unwrap();
    let frame = context.sql(sql).await.unwrap();
    frame
        .into_optimized_plan()
        .unwrap()
        .display_indent()
        .to_string()
}

#[tokio::test]
async fn a_literal_region_becomes_comparisons() {
    let plan = plan(
        "SELECT pos FROM v WHERE in_region(contig, pos, end_pos, 'chr22:20,000,000-20,100,000')",
    )
    .await;
    assert!(!plan.contains("in_region"), "{plan}");
    for part in [
        "Utf8(\"chr22\")",
        "v.pos <= Int32(20100000)",
        "v.end_pos >= Int32(20000000)",
    ] {
        assert!(plan.contains(part), "{part} in {plan}");
    }
}

#[tokio::test]
async fn overlap_with_literals_becomes_comparisons_of_the_bare_columns() {
    let plan =
        plan("SELECT pos FROM v WHERE interval_overlaps(contig, pos, end_pos, 'chr1', 5, 10)")
            .await;
    for part in [
        "v.contig = Utf8(\"chr1\")",
        "v.pos <= Int32(10)",
        "v.end_pos >= Int32(5)",
    ] {
        assert!(plan.contains(part), "{part} in {plan}");
    }
}

#[tokio::test]
async fn a_join_on_overlap_is_a_join_on_contig() {
    let plan = plan(
        "SELECT a.pos FROM v a JOIN v b \
         ON interval_overlaps(a.contig, a.pos, a.end_pos, b.contig, b.pos, b.end_pos)",
    )
    .await;
    assert!(plan.contains("a.contig = b.contig"), "{plan}");
}

#[tokio::test]
async fn a_text_that_is_no_region_is_an_error() {
    for text in ["chr1:9-5", "chr1:x", ""] {
        let sql = format!("SELECT in_region('chr1', 1, 1, '{text}')");
        let message = error(&context(), &sql).await.to_string();
        assert!(message.contains("region"), "{message}");
    }
    let wrong = error(&context(), "SELECT in_region('chr1', 'x', 1, 'chr1')").await;
    assert!(
        wrong
            .to_string()
            .contains("in_region: takes (contig, pos, end_pos, region)"),
        "{wrong}"
    );
}
