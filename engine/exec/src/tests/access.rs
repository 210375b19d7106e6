//! Sessions that may see some samples or columns only.

use super::*;

#[tokio::test]
async fn restricted_sessions_count_and_show_only_their_samples() {
    let fixture = two_batches().await;
    let visible: BTreeSet<String> = ["S2", "S4", "T2"].map(str::to_owned).into();
    let access = AccessContext::only("reader", [(DATASET.to_owned(), visible.clone())]);
    let masked = session(&fixture, 1, 8192, access.clone()).await;
    let of_all = "SELECT count(qual), count(*) FROM cohort.variants";
    assert_eq!(query(&masked, of_all).await, ["0 10"]);
    let access = vouching_for_qual(access);
    let sees = |name: &str| visible.contains(name);
    let all = expected(&fixture.batches);
    for (partitions, batch_size) in [(1, 3), (3, 8192)] {
        let ctx = session(&fixture, partitions, batch_size, access.clone()).await;
        let rows = query(
            &ctx,
            &format!("SELECT {VARIANT_COLUMNS} FROM cohort.variants"),
        )
        .await;
        assert_eq!(rows, variant_texts(&all, &sees));
        let cells = cell_texts(&run(&ctx, "SELECT gt FROM cohort.variants").await);
        assert_eq!(cells, expected_cells(&all, &sees));
        let calls = query(&ctx, &format!("SELECT {CALL_COLUMNS} FROM cohort.calls")).await;
        let naive: Vec<String> = call_rows(&all, &sees).into_iter().map(|c| c.text).collect();
        assert_eq!(calls, naive);
        // Filters on counts see the counts of the session, and a hidden sample has no calls.
        let singletons = query(&ctx, "SELECT pos FROM cohort.variants WHERE ac = 1").await;
        let naive: Vec<String> = all
            .iter()
            .filter(|e| e.counts(sees).ac == 1)
            .map(|e| e.pos.to_string())
            .collect();
        assert_eq!(singletons, naive);
        let hidden = query(&ctx, "SELECT * FROM cohort.calls WHERE sample_id = 'S1'").await;
        assert!(hidden.is_empty());
        assert_eq!(
            query(&ctx, "SELECT sample_id FROM cohort.samples").await,
            ["S2", "S4", "T2"]
        );
        let chrom = query(
            &ctx,
            "SELECT text FROM cohort.headers WHERE key = 'CHROM' ORDER BY batch",
        )
        .await;
        assert!(
            chrom
                .iter()
                .all(|line| !line.contains("S1") && !line.contains("U1")),
            "{chrom:?}"
        );
        assert!(chrom[0].ends_with("FORMAT\tS2\tS4"), "{chrom:?}");
    }
}

#[tokio::test]
async fn a_session_that_sees_nobody_keeps_the_sites() {
    let fixture = two_batches().await;
    let access = AccessContext::only("reader", []);
    let ctx = session(&fixture, 2, 8192, access).await;
    let sums = query(
        &ctx,
        "SELECT count(*), sum(ac), sum(an), sum(n_missing), count(af), count(gt) FROM cohort.variants",
    )
    .await;
    assert_eq!(sums, ["10 0 0 0 0 0"]);
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
async fn masked_columns_read_as_null_before_any_filter() {
    let fixture = two_batches().await;
    let mask = |table: &str, column: &str| MaskedColumn {
        schema: DATASET.into(),
        table: table.into(),
        column: column.into(),
    };
    let access = AccessContext::default().with_masked([
        mask("variants", "qual"),
        mask("variants", "ac"),
        mask("calls", "gt"),
        mask("calls", "dosage"),
        mask("samples", "n_het"),
    ]);
    let ctx = session(&fixture, 2, 8192, access).await;
    assert_eq!(
        query(
            &ctx,
            "SELECT count(*) FROM cohort.variants WHERE qual >= 0 OR ac >= 0"
        )
        .await,
        ["0"]
    );
    assert_eq!(
        query(
            &ctx,
            "SELECT count(qual), count(ac), count(an) FROM cohort.variants"
        )
        .await,
        ["0 0 10"]
    );
    assert_eq!(
        query(&ctx, "SELECT count(*) FROM cohort.calls WHERE dosage > 0").await,
        ["0"]
    );
    assert_eq!(
        query(
            &ctx,
            "SELECT count(gt), count(dosage), count(*) > 9 FROM cohort.calls"
        )
        .await,
        ["0 0 true"]
    );
    assert_eq!(
        query(
            &ctx,
            "SELECT count(n_het), count(n_hom_ref) FROM cohort.samples"
        )
        .await,
        ["0 7"]
    );
}
