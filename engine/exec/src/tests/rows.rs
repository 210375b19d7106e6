//! Variants and calls of cohorts that are written out.

use super::*;

#[tokio::test]
async fn variants_of_disjoint_batches_are_one_row_and_others_are_not() {
    let fixture = two_batches().await;
    let ctx = open(&fixture).await;
    let rows =
        query(&ctx, "SELECT pos, alt, ac, an, n_het, n_hom_alt, n_missing FROM cohort.variants WHERE contig = 'chr2'")
            .await;
    // At 100 the first two batches share no sample; T2 is in the second and the third.
    assert_eq!(
        rows,
        [
            "100 C 4 10 2 1 1",
            "100 C 3 4 1 1 0",
            "200 C 1 7 1 0 1",
            "200 G 2 7 2 0 1",
            "250 C 3 4 1 1 0",
            "300 C 0 8 0 0 0",
        ]
    );
    let all = expected(&fixture.batches);
    let rows = query(
        &ctx,
        &format!("SELECT {VARIANT_COLUMNS} FROM cohort.variants"),
    )
    .await;
    assert_eq!(rows, variant_texts(&all, &everybody));
    let cells = cell_texts(&run(&ctx, "SELECT gt FROM cohort.variants").await);
    assert_eq!(cells, expected_cells(&all, &everybody));
}

#[tokio::test]
async fn calls_show_the_genotypes_as_the_records_had_them() {
    let fixture = two_batches().await;
    let ctx = open(&fixture).await;
    let rows = query(
        &ctx,
        "SELECT alt, sample_id, gt, dosage, phased FROM cohort.calls WHERE contig = 'chr2' AND pos = 200",
    )
    .await;
    assert_eq!(
        rows,
        [
            "C S1 1/2 1 false",
            "C S2 0/2 0 false",
            "C S3 0/0 0 false",
            "C S4 0/. 0 false",
            "G S1 1/2 1 false",
            "G S2 0/2 1 false",
            "G S3 0/0 0 false",
            "G S4 0/. 0 false",
        ]
    );
    let rows = query(
        &ctx,
        "SELECT pos, sample_id, gt FROM cohort.carriers WHERE contig = 'chrM' OR sample_id IN ('T1', 'U1')",
    )
    .await;
    assert_eq!(
        rows,
        [
            "100 T1 0/1",
            "100 U1 0/1",
            "250 T1 1/1",
            "150 T1 0|1",
            "5 S2 1"
        ]
    );
}

/// Blocks that an earlier statement decoded are at hand before the others, and still come in their order.
#[tokio::test]
async fn samples_of_a_variant_are_in_order_whatever_was_decoded_before() {
    let records = (1..=20).map(|pos| Record::new("chr2", pos, &["C"], &["0/1"; 4]));
    let source = Source::new(&["S1", "S2", "S3", "S4"], records.collect());
    let fixture = Fixture::of(Shape::default(), vec![vec![source]]).await;
    let ctx = open(&fixture).await;
    let one = "SELECT pos FROM cohort.carriers WHERE sample_id = 'S4'";
    assert_eq!(query(&ctx, one).await.len(), 20);
    let rows = query(&ctx, "SELECT pos, sample_id FROM cohort.carriers").await;
    let expected = (1..=20).flat_map(|pos| (1..=4).map(move |s| format!("{pos} S{s}")));
    assert_eq!(rows, expected.collect::<Vec<_>>());
}

/// FORMAT values of one sample come from its block alone, those of a region from few pages, and AD,
/// which is stored relative to DP, is read with it.
#[tokio::test]
async fn format_values_are_read_by_block_and_position() {
    let record = |i: i32| Record {
        dp: ["30", "31", ".", "8"].map(str::to_owned).to_vec(),
        ad: ["30,0", "10,20", ".", "3,4"].map(str::to_owned).to_vec(),
        ..Record::new("chr2", 1_000 + i, &["C"], &["0/1", "0/0", "0/0", "0/1"])
    };
    let source = Source::new(&["S1", "S2", "S3", "S4"], (0..64).map(record).collect());
    let fixture = Fixture::of(Shape::default(), vec![vec![source]]).await;
    let ctx = open(&fixture).await;
    // Blocks of three samples: S4 is alone in the second.
    let sql = "SELECT DISTINCT ad FROM cohort.calls WHERE sample_id = 'S4'";
    let physical = plan(&ctx, sql).await;
    assert_eq!(
        texts(&run_plan(&ctx, Arc::clone(&physical)).await),
        ["[3, 4]"]
    );
    assert_eq!(metric(&physical, "format_rows_read"), 64);
    let sql =
        "SELECT sample_id, dp, ad FROM cohort.calls WHERE sample_id IN ('S2', 'S3') AND pos = 1020";
    let physical = plan(&ctx, sql).await;
    let rows = texts(&run_plan(&ctx, Arc::clone(&physical)).await);
    assert_eq!(rows, ["S2 31 [10, 20]", "S3 - -"]);
    let read = metric(&physical, "format_rows_read");
    assert!((1..=4).contains(&read), "a page of some rows, not {read}");
}

#[tokio::test]
async fn sites_without_samples() {
    let source = Source::new(
        &[],
        vec![
            Record::new("chr2", 10, &["C"], &[]),
            Record::new("chr2", 10, &["C"], &[]),
        ],
    );
    let fixture = Fixture::of(
        Shape::default(),
        vec![vec![source.clone(), source.clone()], vec![source]],
    )
    .await;
    let ctx = open(&fixture).await;
    let rows = query(&ctx, "SELECT pos, ac, an, af, gt FROM cohort.variants").await;
    // Rows of one batch stay apart; each finds one of the other batch.
    assert_eq!(rows, ["10 0 0 - -"; 4]);
    assert_eq!(
        query(&ctx, "SELECT count(*) FROM cohort.calls").await,
        ["0"]
    );
    assert_eq!(
        query(&ctx, "SELECT count(*) FROM cohort.samples").await,
        ["0"]
    );
}

#[tokio::test]
async fn an_empty_lake_has_the_default_schema_and_the_one_of_listings() {
    let fixture = Fixture::new(Shape::default());
    let ctx = open(&fixture).await;
    let schemas = ctx.catalog("genokura").unwrap().schema_names();
    assert_eq!(schemas, ["genokura", "public"]);
    assert!(ctx.sql("SELECT 1 FROM cohort.variants").await.is_err());
}

/// Calls of each dosage are as many on packed genotypes as in rows, also among the samples that a session sees.
#[tokio::test]
async fn calls_are_counted_by_dosage() {
    let fixture = two_batches().await;
    let some = [("cohort".to_owned(), ["S1".to_owned()].into())];
    for access in [AccessContext::default(), AccessContext::only("r", some)] {
        let ctx = session(&fixture, 3, 2, access).await;
        for (table, filter) in [
            ("calls", ""),
            ("calls", "WHERE dosage IS NULL OR dosage > 1"),
            ("calls", "WHERE sample_id > 'S1'"),
            ("carriers", ""),
        ] {
            let sql = format!(
                "SELECT dosage, count(*), sum(dosage), count(*) FILTER (WHERE dosage < 2) \
                 FROM cohort.{table} {filter} GROUP BY dosage ORDER BY dosage"
            );
            let in_rows = plan(&ctx, &sql).await;
            let count = |node: Arc<dyn ExecutionPlan>| {
                let counted = match node.downcast_ref::<AggregateExec>() {
                    Some(aggregate) => crate::count_on_packed(aggregate)?,
                    None => None,
                };
                Ok(match counted {
                    Some(counted) => Transformed::yes(counted),
                    None => Transformed::no(node),
                })
            };
            let packed = Arc::clone(&in_rows).transform_down(count).unwrap();
            assert!(packed.transformed, "{sql}");
            let packed = texts(&run_plan(&ctx, packed.data).await);
            assert_eq!(packed, texts(&run_plan(&ctx, in_rows).await), "{sql}");
        }
    }
}
