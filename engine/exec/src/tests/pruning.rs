//! What is not read, in which order rows come, and what ends early.

use super::*;

/// 64 records on two bins of chr2 and some on chr10, one batch, tiny row groups and pages.
async fn long_cohort() -> Fixture {
    let mut records = Vec::new();
    for i in 0..48 {
        records.push(Record::new(
            "chr2",
            1_000 + i * 10,
            &["C"],
            &["0/1", "0/0", "0/0", "0/0"],
        ));
    }
    for i in 0..16 {
        records.push(Record::new(
            "chr2",
            100_000_000 + i,
            &["C"],
            &["0/0", "0/0", "0/0", "1/1"],
        ));
    }
    records.push(Record::new(
        "chr10",
        7,
        &["C"],
        &["0/0", "0/0", "1/1", "0/0"],
    ));
    let source = Source::new(&["S1", "S2", "S3", "S4"], records);
    let shape = Shape {
        file_rows: 24,
        ..Shape::default()
    };
    Fixture::of(shape, vec![vec![source]]).await
}

#[tokio::test]
async fn region_filters_prune_files_row_groups_and_pages() {
    let fixture = long_cohort().await;
    let ctx = open(&fixture).await;
    let sql = "SELECT pos FROM cohort.variants WHERE contig = 'chr2' AND pos BETWEEN 1035 AND 1055";
    let physical = plan(&ctx, sql).await;
    let rows = texts(&run_plan(&ctx, Arc::clone(&physical)).await);
    assert_eq!(rows, ["1040", "1050"]);
    assert_eq!(metric(&physical, "files_total"), 4);
    assert_eq!(metric(&physical, "files_pruned"), 3);
    assert_eq!(metric(&physical, "row_groups_total"), 3);
    assert_eq!(metric(&physical, "row_groups_pruned"), 2);
    assert!(metric(&physical, "pages_total") >= 4);
    assert!(metric(&physical, "pages_pruned") >= 2);
    assert!(metric(&physical, "site_rows_read") <= 4);
    assert!(metric(&physical, "bytes_scanned") > 0);
    assert_eq!(metric(&physical, "genotype_rows_read"), 0);
    let text = explain(&ctx, sql).await;
    assert!(
        text.contains("VariantScanExec: dataset=cohort, partitions=1/3, files=1/4, row_groups=1/3"),
        "{text}"
    );
    assert!(
        text.contains("genotypes=skipped") && !text.contains("FilterExec"),
        "{text}"
    );
    // Only the windows of surviving alleles are read from the genotype table.
    let sql = format!("{}, gt", sql.split(" FROM").next().unwrap());
    let sql = format!("{sql} FROM cohort.variants WHERE contig = 'chr2' AND pos = 1040");
    let physical = plan(&ctx, &sql).await;
    assert_eq!(run_plan(&ctx, Arc::clone(&physical)).await[0].num_rows(), 1);
    assert!(metric(&physical, "genotype_rows_read") <= 2);
    assert!(explain(&ctx, &sql).await.contains("genotypes=needed"));
}

#[tokio::test]
async fn sample_filters_prune_blocks() {
    let fixture = long_cohort().await;
    let ctx = open(&fixture).await;
    let sql = "SELECT pos FROM cohort.carriers WHERE sample_id = 'S4'";
    let physical = plan(&ctx, sql).await;
    let rows = texts(&run_plan(&ctx, Arc::clone(&physical)).await);
    assert_eq!(rows.len(), 16);
    // Block 0 (S1 to S3) has 49 rows, block 1 (S4) has 16.
    assert_eq!(metric(&physical, "genotype_rows_read"), 16);
    let text = explain(&ctx, sql).await;
    assert!(
        text.contains("CallScanExec: dataset=cohort") && text.contains("blocks=1/2"),
        "{text}"
    );
    assert!(
        text.contains("carriers only") && !text.contains("FilterExec"),
        "{text}"
    );
    // Who has calls at all needs no genotypes.
    let text = explain(&ctx, "SELECT count(*) FROM cohort.calls").await;
    assert!(text.contains("genotypes=skipped"), "{text}");
    assert_eq!(
        query(&ctx, "SELECT count(*) FROM cohort.calls").await,
        ["260"]
    );
}

/// Any condition on the sample alone is judged by the names that there are, unless it fails on one of them.
#[tokio::test]
async fn conditions_on_the_sample_are_judged_by_name() {
    let fixture = long_cohort().await;
    let ctx = open(&fixture).await;
    let carriers = |filter: &str| format!("SELECT pos FROM cohort.carriers WHERE {filter}");
    for (filter, rows, genotype_rows) in [
        ("substr(sample_id, 2) = '4'", 16, 16),
        ("sample_id LIKE '%4'", 16, 16),
        ("upper(sample_id) = 'NOBODY'", 0, 0),
        ("CASE sample_id WHEN 'S4' THEN NULL ELSE false END", 0, 0),
        ("CAST(substr(sample_id, 2) AS INT) > 3 AND pos >= 0", 16, 16),
    ] {
        let sql = carriers(filter);
        let physical = plan(&ctx, &sql).await;
        let found = texts(&run_plan(&ctx, Arc::clone(&physical)).await);
        assert_eq!(found.len(), rows, "{sql}: {found:?}");
        let read = metric(&physical, "genotype_rows_read");
        assert!(read <= genotype_rows, "{sql}: {read} rows of genotypes");
        let text = explain(&ctx, &sql).await;
        assert!(!text.contains("FilterExec"), "{text}");
    }
    for filter in [
        "1 / (CAST(substr(sample_id, 2) AS INT) - 1) = 0",
        "random() > 0.5 AND substr(sample_id, 2) > CAST(random() AS TEXT)",
        "substr(sample_id, 2) = CAST(pos AS TEXT)",
    ] {
        let text = explain(&ctx, &carriers(filter)).await;
        assert!(text.contains("FilterExec"), "{text}");
    }
    // The name on which a condition fails is not looked at where the session may not see it.
    let visible = [(
        "cohort".to_owned(),
        ["S3".to_owned(), "S4".to_owned()].into(),
    )];
    let access = AccessContext::only("reader", visible);
    let ctx = session(&fixture, 2, 8192, access).await;
    let sql = carriers("6 / (CAST(substr(sample_id, 2) AS INT) - 1) = 2");
    let found = query(&ctx, &sql).await;
    assert_eq!(found.len(), 16, "{found:?}");
}

/// A join tells the scan below which samples and which variants it matches, before genotypes are read.
#[tokio::test]
async fn joins_read_the_genotypes_that_they_match() {
    let fixture = long_cohort().await;
    let ctx = open(&fixture).await;
    for (people, key, rows, genotype_rows) in [
        ("(VALUES ('S4')) AS k (sample_id)", "sample_id", 16, 16),
        ("(VALUES ('nobody')) AS k (sample_id)", "sample_id", 0, 0),
        (
            "(VALUES ('chr2', 1040::int)) AS k (contig, pos)",
            "contig, pos",
            1,
            2,
        ),
    ] {
        let sql = format!(
            "SELECT c.pos, c.sample_id FROM {people} JOIN cohort.carriers c USING ({key}) \
             WHERE c.gt <> ''"
        );
        let physical = plan(&ctx, &sql).await;
        let found = texts(&run_plan(&ctx, Arc::clone(&physical)).await);
        assert_eq!(found.len(), rows, "{sql}: {found:?}");
        let read = metric(&physical, "genotype_rows_read");
        assert!(read <= genotype_rows, "{sql}: {read} rows of genotypes");
        assert!(
            explain(&ctx, &sql).await.contains("dynamic filters"),
            "{sql}"
        );
    }
}

/// A top-k over calls says which variants and samples it still wants, though it orders by more than they are known
/// by: rows are made of few, whichever end they are wanted from.
#[tokio::test]
async fn a_top_k_makes_few_calls() {
    let all = ["S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8"];
    let calls: Vec<&str> = (0..8)
        .map(|s| ["0/1", "0/0", "1/1", "./."][s % 4])
        .collect();
    let record = |i: i32| {
        let contig = if i < 400 { "chr2" } else { "chr10" };
        // Two records at each place.
        Record::new(contig, 100 + i / 2, &[["C", "G"][i as usize % 2]], &calls)
    };
    let source = Source::new(&all, (0..800).map(record).collect());
    let fixture = Fixture::of(Shape::default(), vec![vec![source]]).await;
    for partitions in [1, 4] {
        let ctx = session(&fixture, partitions, 16, AccessContext::default()).await;
        for (columns, order) in [
            ("pos", "pos"),
            ("pos", "pos DESC"),
            ("pos, sample_id", "pos, sample_id"),
            ("pos, sample_id", "pos DESC, sample_id"),
            ("contig, pos", "contig, pos"),
            ("contig, pos", "contig DESC, pos DESC"),
            ("pos, dosage", "pos DESC, dosage DESC NULLS FIRST"),
            ("sample_id", "sample_id DESC"),
        ] {
            for (table, filter) in [
                ("calls", ""),
                ("carriers", ""),
                ("calls", "WHERE contig = 'chr2'"),
                ("carriers", "WHERE contig = 'chr10' AND sample_id <> 'S1'"),
            ] {
                let sql = format!("SELECT {columns} FROM cohort.{table} {filter} ORDER BY {order}");
                let mut expected = query(&ctx, &sql).await;
                expected.truncate(3);
                let sql = format!("{sql} LIMIT 3");
                let physical = plan(&ctx, &sql).await;
                let found = texts(&run_plan(&ctx, Arc::clone(&physical)).await);
                assert_eq!(found, expected, "{sql}");
                let made = calls_made(&physical);
                assert!(made <= 160 + 64 * partitions, "{sql}: {made} calls");
            }
        }
    }
}

/// Rows that scans of calls gave out.
fn calls_made(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let below = plan.children().into_iter().map(calls_made).sum::<usize>();
    let own = plan.metrics().filter(|_| plan.name() == "CallScanExec");
    below + own.and_then(|metrics| metrics.output_rows()).unwrap_or(0)
}

#[tokio::test]
async fn counting_all_rows_reads_nothing_and_limit_reads_little() {
    let fixture = long_cohort().await;
    let ctx = open(&fixture).await;
    let text = explain(&ctx, "SELECT count(*) FROM cohort.variants").await;
    assert!(
        text.contains("PlaceholderRowExec") && !text.contains("VariantScanExec: "),
        "{text}"
    );
    assert_eq!(
        query(&ctx, "SELECT count(*) FROM cohort.variants").await,
        ["65"]
    );
    let sql = "SELECT pos, gt FROM cohort.variants WHERE contig = 'chr2' LIMIT 3";
    let physical = plan(&ctx, sql).await;
    assert_eq!(texts(&run_plan(&ctx, Arc::clone(&physical)).await).len(), 3);
    let read = metric(&physical, "site_rows_read");
    assert!(read <= 12, "{read} rows read for 3");
}

#[tokio::test]
async fn rows_of_one_contig_are_in_order_and_the_plan_says_so() {
    let fixture = two_batches().await;
    let ctx = open(&fixture).await;
    let sql = "SELECT pos FROM cohort.variants WHERE contig = 'chr2' ORDER BY contig, pos";
    let text = explain(&ctx, sql).await;
    assert!(!text.contains("SortExec"), "{text}");
    assert_eq!(
        query(&ctx, sql).await,
        ["100", "100", "200", "200", "250", "300"]
    );
    let text = explain(&ctx, "SELECT pos FROM cohort.variants ORDER BY contig, pos").await;
    assert!(text.contains("SortExec"), "{text}");
}

#[tokio::test]
async fn a_dropped_stream_stops_reading() {
    let fixture = long_cohort().await;
    let ctx = session(&fixture, 1, 2, AccessContext::default()).await;
    let physical = plan(
        &ctx,
        "SELECT pos, gt, sample FROM (SELECT pos, gt, 1 AS sample FROM cohort.variants)",
    )
    .await;
    let mut stream = physical.execute(0, ctx.task_ctx()).unwrap();
    assert!(stream.next().await.unwrap().unwrap().num_rows() > 0);
    drop(stream);
    let before = metric(&physical, "site_rows_read");
    tokio::task::yield_now().await;
    assert_eq!(metric(&physical, "site_rows_read"), before);
    assert!(before < 30, "{before} of 65 rows were read");
}
