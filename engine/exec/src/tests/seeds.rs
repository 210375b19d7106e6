//! Cohorts made by seed, each query against the naive reading.

use super::*;

async fn check_seed(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let shape = Shape {
        block_samples: rng.random_range(1..=5),
        window: rng.random_range(1..=8),
        site_rows: rng.random_range(1..=9),
        page_rows: rng.random_range(1..=4),
        file_rows: *[3, 10, 1 << 20].choose(&mut rng).unwrap(),
    };
    let fixture = Fixture::of(shape, random_batches(&mut rng)).await;
    let all = expected(&fixture.batches);
    let names: BTreeSet<String> = fixture
        .batches
        .iter()
        .flatten()
        .flat_map(|s| s.samples.clone())
        .collect();
    let visible: BTreeSet<String> = names
        .iter()
        .filter(|_| rng.random_bool(0.6))
        .cloned()
        .collect();
    let restricted = AccessContext::only("r", [(DATASET.to_owned(), visible.clone())]);
    let restricted = vouching_for_qual(restricted);
    for access in [AccessContext::default(), restricted] {
        let sees: Box<dyn Fn(&str) -> bool> = match access.sees_all_samples() {
            true => Box::new(everybody),
            false => Box::new(|name: &str| visible.contains(name)),
        };
        let mut bytes: BTreeMap<&str, Vec<RecordBatch>> = BTreeMap::new();
        for (partitions, batch_size) in [(1, 1), (2, 7), (8, 8192)] {
            let ctx = session(&fixture, partitions, batch_size, access.clone()).await;
            check_queries(&ctx, &all, sees.as_ref()).await;
            for sql in [
                "SELECT * FROM cohort.variants",
                "SELECT * FROM cohort.calls",
                "SELECT * FROM cohort.carriers WHERE pos > 3",
            ] {
                let batches = run(&ctx, sql).await;
                assert!(batches.iter().all(|b| b.num_rows() <= batch_size));
                let Some(first) = batches.first() else {
                    continue;
                };
                let whole = arrow::compute::concat_batches(&first.schema(), &batches).unwrap();
                let known = bytes.entry(sql).or_insert_with(|| vec![whole.clone()]);
                assert_eq!(known[0], whole, "{sql}");
            }
        }
    }
}

async fn check_queries(ctx: &SessionContext, all: &[Expected], sees: &dyn Fn(&str) -> bool) {
    let variants = variant_texts(all, sees);
    let select = format!("SELECT {VARIANT_COLUMNS} FROM cohort.variants");
    assert_eq!(query(ctx, &select).await, variants);
    assert_eq!(
        query(ctx, "SELECT count(*) FROM cohort.variants").await,
        [all.len().to_string()]
    );
    let cells = cell_texts(&run(ctx, "SELECT gt FROM cohort.variants").await);
    assert_eq!(cells, expected_cells(all, sees));
    type Test = fn(&Expected, &dyn Fn(&str) -> bool) -> bool;
    let filters: [(&str, Test); 6] = [
        ("contig = 'chr2' AND pos BETWEEN 3 AND 8", |e, _| {
            e.contig == "chr2" && (3..=8).contains(&e.pos)
        }),
        ("pos > 70000000 OR alt = 'G'", |e, _| {
            e.pos > 70_000_000 || e.alt.as_deref() == Some("G")
        }),
        ("alt IS NULL", |e, _| e.alt.is_none()),
        ("qual >= 25", |e, _| e.qual.is_some_and(|q| q >= 25.0)),
        ("NOT (qual >= 25)", |e, _| e.qual.is_some_and(|q| q < 25.0)),
        ("ac > 0 AND n_missing < 2", |e, s| {
            e.counts(s).ac > 0 && e.counts(s).n_missing < 2
        }),
    ];
    for (filter, test) in filters {
        let kept: Vec<Expected> = all.iter().filter(|e| test(e, sees)).cloned().collect();
        let rows = query(ctx, &format!("{select} WHERE {filter}")).await;
        assert_eq!(rows, variant_texts(&kept, sees), "{filter}");
    }
    let calls = call_rows(all, sees);
    let select = |table: &str| format!("SELECT {CALL_COLUMNS} FROM cohort.{table}");
    let texts = |test: &dyn Fn(&CallText) -> bool| -> Vec<String> {
        calls
            .iter()
            .filter(|c| test(c))
            .map(|c| c.text.clone())
            .collect()
    };
    assert_eq!(query(ctx, &select("calls")).await, texts(&|_| true));
    assert_eq!(
        query(ctx, &select("carriers")).await,
        texts(&|c| c.dosage > Some(0))
    );
    let one = query(
        ctx,
        &format!("{} WHERE sample_id IN ('S1', 'S5')", select("calls")),
    )
    .await;
    assert_eq!(
        one,
        texts(&|c| c.text.contains(" S1 ") || c.text.contains(" S5 "))
    );
    let none = query(ctx, &format!("{} WHERE dosage IS NULL", select("calls"))).await;
    assert_eq!(none, texts(&|c| c.dosage.is_none()));
    let deep = query(
        ctx,
        &format!("{} WHERE dp >= 100 AND dosage >= 1", select("calls")),
    )
    .await;
    let dp = |c: &CallText| c.text.split(' ').nth(7).and_then(|t| t.parse::<i32>().ok());
    assert_eq!(deep, texts(&|c| c.dosage > Some(0) && dp(c) >= Some(100)));
    // Judged before rows are made, with and without other filters.
    let called = |c: &CallText| c.text.split(' ').nth(5) != Some("-");
    type OfCall<'a> = &'a dyn Fn(&CallText) -> bool;
    let of_dp: [(&str, OfCall<'_>); 5] = [
        ("dp >= 100", &|c: &CallText| dp(c) >= Some(100)),
        ("dp IS NULL", &|c: &CallText| dp(c).is_none()),
        ("dp < 30 AND gt IS NOT NULL", &|c: &CallText| {
            dp(c).is_some_and(|dp| dp < 30) && called(c)
        }),
        (
            "(dp IS NULL OR dp > 50) AND sample_id <> 'S1'",
            &|c: &CallText| dp(c).is_none_or(|dp| dp > 50) && !c.text.contains(" S1 "),
        ),
        ("dp BETWEEN 20 AND 300 AND dp <> 50", &|c: &CallText| {
            dp(c).is_some_and(|dp| (20..=300).contains(&dp) && dp != 50)
        }),
    ];
    for (filter, passes) in of_dp {
        let sql = format!("{} WHERE {filter}", select("calls"));
        assert_eq!(query(ctx, &sql).await, texts(passes), "{filter}");
    }
    let gt = |c: &CallText| {
        c.text
            .split(' ')
            .nth(5)
            .filter(|t| *t != "-")
            .map(str::to_owned)
    };
    type OfGt = fn(&str) -> bool;
    let of_gt: [(&str, OfGt); 6] = [
        ("gt = '0/1'", |gt| gt == "0/1"),
        ("gt <> '0/0'", |gt| gt != "0/0"),
        ("gt IN ('./.', '0|0')", |gt| gt == "./." || gt == "0|0"),
        ("gt IS NOT NULL AND NOT phased", |gt| !gt.contains('|')),
        ("phased", |gt| gt.contains('|')),
        ("gt > '0/1' AND gt < '1|1'", |gt| gt > "0/1" && gt < "1|1"),
    ];
    for (filter, test) in of_gt {
        let rows = query(ctx, &format!("{} WHERE {filter}", select("calls"))).await;
        let expected = texts(&|c| gt(c).is_some_and(|gt| test(&gt)));
        if filter.contains("phased") {
            // Phase is that of the stored call: `|1/0` of VCF 4.4 says more than its text has bars.
            assert!(
                rows.iter().all(|row| texts(&|_| true).contains(row)),
                "{filter}"
            );
            let all = query(ctx, &select("calls")).await.len();
            let opposite =
                format!("SELECT count(*) FROM cohort.calls WHERE NOT ({filter}) OR phased IS NULL");
            let others: usize = query(ctx, &opposite).await[0].parse().unwrap();
            assert_eq!(rows.len() + others, all, "{filter}");
        } else {
            assert_eq!(rows, expected, "{filter}");
        }
    }
    let carriers = query(ctx, "SELECT count(*) FROM cohort.carriers").await;
    assert_eq!(carriers, [texts(&|c| c.dosage > Some(0)).len().to_string()]);
}

#[tokio::test]
async fn plans_travel_as_bytes() {
    let fixture = two_batches().await;
    let ctx = session(&fixture, 3, 2, AccessContext::default()).await;
    for sql in [
        "SELECT pos, ac, gt FROM cohort.variants WHERE pos >= 100 AND af > 0.1",
        "SELECT pos, sample_id, gt FROM cohort.calls WHERE dosage = 1",
    ] {
        let physical = plan(&ctx, sql).await;
        let bytes = crate::encode_scan(physical.as_ref()).unwrap().unwrap();
        let engine = crate::engine_of(&ctx.state()).unwrap();
        let again = crate::decode_scan(&engine, &bytes).await.unwrap();
        let direct = texts(&run_plan(&ctx, physical).await);
        assert_eq!(texts(&run_plan(&ctx, again).await), direct);
        assert!(!direct.is_empty());
    }
    let sql =
        "SELECT sample_id, count(*) FILTER (WHERE dosage = 1) FROM cohort.carriers GROUP BY 1";
    let physical = plan(&ctx, sql).await;
    let mut count = None;
    physical
        .apply(|node| {
            if let Some(aggregate) = node.downcast_ref::<AggregateExec>() {
                count = crate::count_on_packed(aggregate)?.or(count.take());
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .unwrap();
    let count = count.unwrap();
    let bytes = crate::encode_scan(count.as_ref()).unwrap().unwrap();
    let engine = crate::engine_of(&ctx.state()).unwrap();
    let again = crate::decode_scan(&engine, &bytes).await.unwrap();
    assert_eq!(again.schema(), count.schema());
    let direct = texts(&run_plan(&ctx, count).await);
    assert_eq!(texts(&run_plan(&ctx, again).await), direct);
    assert!(!direct.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 0, ..ProptestConfig::default() })]
    #[test]
    fn every_cohort_reads_as_its_texts(seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_seed(seed));
    }
}
