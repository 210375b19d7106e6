//! Joins on sites against the hash joins that they replace, on cohorts in which files hold alleles twice.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{BooleanArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::error::Result as DfResult;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::SessionContext;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::Twins;
use crate::testing::{Fixture, Record, Shape, Source};
use crate::tests::{
    plan, query, random_batches, random_shape, run_plan, session, session_with, texts,
    vouching_for_qual,
};
use crate::{AccessContext, count_on_packed, join_on_sites};

#[derive(Debug)]
struct JoinOnSites;

impl PhysicalOptimizerRule for JoinOnSites {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let join = |node: Arc<dyn ExecutionPlan>| {
            let joined = node.downcast_ref::<HashJoinExec>().map(join_on_sites);
            Ok(match joined.transpose()?.flatten() {
                Some(joined) => Transformed::yes(joined),
                None => Transformed::no(node),
            })
        };
        plan.transform_up(join).data()
    }

    fn name(&self) -> &'static str {
        "join_on_sites"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A session whose joins of calls with variants are made on sites.
async fn on_sites(
    fixture: &Fixture,
    partitions: usize,
    batch_size: usize,
    access: AccessContext,
) -> SessionContext {
    session_with(fixture, partitions, batch_size, access, &|mut builder| {
        let optimizer = builder.physical_optimizers().get_or_insert_default();
        optimizer.rules.insert(0, Arc::new(JoinOnSites));
        builder
    })
    .await
}

fn counted(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let count = |node: Arc<dyn ExecutionPlan>| {
        let counted = node.downcast_ref::<AggregateExec>().map(count_on_packed);
        Ok(match counted.transpose()?.flatten() {
            Some(counted) => Transformed::yes(counted),
            None => Transformed::no(node),
        })
    };
    plan.transform_down(count).data().unwrap()
}

async fn sorted(ctx: &SessionContext, plan: Arc<dyn ExecutionPlan>) -> Vec<String> {
    let mut rows = texts(&run_plan(ctx, plan).await);
    rows.sort_unstable();
    rows
}

fn text(plan: &Arc<dyn ExecutionPlan>) -> String {
    displayable(plan.as_ref()).indent(false).to_string()
}

fn is_on_sites(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let text = text(plan);
    text.contains("joined with variants=") && !text.contains("HashJoin")
}

const USING: &str = "USING (contig, pos, ref, alt)";

/// Joins that need no count of people.
fn joins() -> Vec<String> {
    vec![
        format!(
            "SELECT v.pos, v.ref, v.alt, v.qual, v.end_pos, v.info_dp, c.sample_id, c.gt, c.dp \
             FROM cohort.variants v JOIN cohort.calls c {USING} WHERE v.qual > 15"
        ),
        format!("SELECT * FROM (SELECT v.vcf_alts, v.qual, c.* FROM cohort.carriers c JOIN cohort.variants v {USING}) q"),
        format!(
            "SELECT c.sample_id, v.filters FROM cohort.variants v JOIN cohort.carriers c {USING} \
             WHERE v.pos BETWEEN 3 AND 8 AND c.dosage = 1 AND c.contig = 'chr2'"
        ),
        format!("SELECT count(*) FROM cohort.variants v JOIN cohort.calls c {USING} WHERE v.qual IS NULL"),
        format!(
            "SELECT c.sample_id, count(*), sum(c.dosage) FROM cohort.variants v \
             JOIN cohort.carriers c {USING} WHERE v.qual < 30 GROUP BY 1"
        ),
        format!(
            "SELECT c.pos, count(*) FROM cohort.variants v JOIN cohort.carriers c {USING} \
             WHERE v.qual < 30 GROUP BY 1"
        ),
        "SELECT c.pos, c.alt, c.sample_id FROM cohort.calls c WHERE EXISTS (SELECT 1 FROM cohort.variants v \
         WHERE v.contig = c.contig AND v.pos = c.pos AND v.ref = c.ref AND v.alt = c.alt AND v.qual > 10)"
            .to_owned(),
    ]
}

/// Joins that ask for counts over all people.
fn counting_joins() -> Vec<String> {
    vec![
        format!(
            "SELECT v.af, v.ac, v.n_het, c.sample_id, c.dosage, c.ad FROM cohort.variants v \
             JOIN cohort.carriers c {USING} WHERE v.af < 0.5"
        ),
        format!(
            "SELECT c.sample_id, count(*) FROM cohort.variants v JOIN cohort.carriers c {USING} \
             WHERE v.ac BETWEEN 1 AND 3 GROUP BY 1"
        ),
    ]
}

#[tokio::test]
async fn joins_on_sites_give_what_hash_joins_give() {
    let (mut rows, mut counts) = (0, 0);
    for seed in 0..4 {
        let mut rng = StdRng::seed_from_u64(seed);
        let shape = random_shape(&mut rng);
        let fixture = Fixture::of(shape, random_batches(&mut rng)).await;
        let visible: BTreeSet<String> = (0..14)
            .filter(|_| rng.random_bool(0.6))
            .map(|n| format!("S{n}"))
            .collect();
        let restricted = AccessContext::only("r", [("cohort".to_owned(), visible)]);
        let restricted = vouching_for_qual(restricted);
        for access in [AccessContext::default(), restricted] {
            let plain = session(&fixture, 2, 8192, access.clone()).await;
            for sql in joins().into_iter().chain(counting_joins()) {
                let expected = sorted(&plain, plan(&plain, &sql).await).await;
                rows += expected.len();
                for (partitions, batch_size) in [(1, 1), (2, 7), (8, 8192), (3, 2)] {
                    let ctx = on_sites(&fixture, partitions, batch_size, access.clone()).await;
                    let joined = plan(&ctx, &sql).await;
                    let asks_counts = counting_joins().contains(&sql);
                    // Counts over the people that one sees are made of genotypes.
                    let counts_all = !asks_counts || access.sees_all_samples();
                    assert!(is_on_sites(&joined) || !counts_all, "{sql}");
                    let found = sorted(&ctx, joined).await;
                    let told = format!("seed {seed}, {partitions} partitions: {sql}");
                    assert_eq!(found, expected, "{told}");
                    // A plan runs once.
                    let again = counted(plan(&ctx, &sql).await);
                    counts += usize::from(text(&again).contains("CallCountExec: "));
                    assert_eq!(sorted(&ctx, again).await, expected, "counted, {told}");
                }
            }
        }
    }
    assert!(rows > 1_000, "{rows} rows were compared");
    assert!(counts > 100, "{counts} plans count on packed genotypes");
}

/// 3,000 rows, of which the 40 in the middle, where lanes and row groups are cut, are one allele.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_and_partitions_do_not_cut_places() {
    let pos = |row: i32| {
        if (1_480..1_520).contains(&row) {
            5_500
        } else {
            1_000 + row * 3
        }
    };
    let record = |row: i32| Record {
        qual: Some(if row % 2 == 0 { 10.0 } else { 30.0 }),
        ..Record::new("chr2", pos(row), &["C"], &["0/1", "0/0", "1/1"])
    };
    let source = Source::new(&["S1", "S2", "S3"], (0..3_000).map(record).collect());
    for site_rows in [1_500, 4_096] {
        let shape = Shape {
            window: 512,
            site_rows,
            page_rows: 100,
            ..Shape::default()
        };
        let fixture = Fixture::of(shape, vec![vec![source.clone()]]).await;
        let sql = format!(
            "SELECT count(*), sum(v.qual), sum(v.pos) FROM cohort.variants v \
             JOIN cohort.carriers c {USING} WHERE v.qual > 20"
        );
        // 1,480 rows and 1,480 rows of their own, half of them kept, and 40 x 20 at one place; two carriers each.
        let joined = i64::from(2 * (740 + 740 + 40 * 20));
        for (partitions, batch_size) in [(1, 8192), (2, 8192), (4, 64), (8, 10)] {
            let ctx = on_sites(&fixture, partitions, batch_size, AccessContext::default()).await;
            let plan = plan(&ctx, &sql).await;
            assert!(is_on_sites(&plan));
            let found = texts(&run_plan(&ctx, plan).await);
            assert!(found[0].starts_with(&format!("{joined} ")), "{found:?}");
            let plain = session(&fixture, partitions, batch_size, AccessContext::default()).await;
            let expected = query(&plain, &sql).await;
            assert_eq!(
                found, expected,
                "{partitions} partitions, row groups of {site_rows}"
            );
            let some = format!(
                "SELECT count(*) FROM (SELECT c.sample_id FROM cohort.variants v \
                 JOIN cohort.carriers c {USING} WHERE v.qual > 20 LIMIT 1700) q"
            );
            assert_eq!(query(&ctx, &some).await, ["1700"]);
            // The rows are in the order that the scan says they are: nothing sorts them.
            let in_order = format!(
                "SELECT c.pos FROM cohort.variants v JOIN cohort.carriers c {USING} \
                 WHERE c.contig = 'chr2' AND v.qual > 20 ORDER BY c.pos"
            );
            let unsorted = self::plan(&ctx, &in_order).await;
            assert!(is_on_sites(&unsorted) && !text(&unsorted).contains("SortExec"));
            let found = texts(&run_plan(&ctx, unsorted).await);
            assert_eq!(found, query(&plain, &in_order).await);
        }
    }
}

#[tokio::test]
async fn what_is_no_join_of_calls_with_their_variants_stays_a_hash_join() {
    let source = Source::new(&["S1"], vec![Record::new("chr2", 5, &["C"], &["0/1"])]);
    let fixture = Fixture::of(Shape::default(), vec![vec![source]]).await;
    let ctx = on_sites(&fixture, 1, 8192, AccessContext::default()).await;
    let join = |what: &str| format!("SELECT count(*) FROM cohort.variants v {what}");
    for sql in [
        join("JOIN cohort.calls c USING (contig, pos, ref)"),
        join("JOIN cohort.calls c USING (contig, pos, ref, alt, end_pos)"),
        join(&format!("LEFT JOIN cohort.calls c {USING}")),
        join(&format!("JOIN cohort.variants c {USING}")),
        join(&format!("JOIN cohort.calls c {USING} WHERE c.end_pos > 3")),
        join("JOIN cohort.calls c ON v.contig = c.contig AND v.pos = c.pos AND v.ref = c.alt AND v.alt = c.ref"),
        format!("SELECT v.gt, c.sample_id FROM cohort.variants v JOIN cohort.calls c {USING}"),
        "SELECT c.pos FROM cohort.calls c WHERE NOT EXISTS (SELECT 1 FROM cohort.variants v WHERE v.contig = c.contig \
         AND v.pos = c.pos AND v.ref = c.ref AND v.alt = c.alt)"
            .to_owned(),
    ] {
        assert!(!is_on_sites(&plan(&ctx, &sql).await), "{sql}");
    }
    assert!(is_on_sites(
        &plan(&ctx, &join(&format!("JOIN cohort.calls c {USING}"))).await
    ));
}

/// Contig, position, REF and ALT.
type Allele = (&'static str, i32, &'static str, Option<&'static str>);

#[test]
fn twins_are_rows_of_one_allele_at_one_place() {
    let batch = |rows: &[Allele]| {
        let fields = [
            Field::new("contig", DataType::Utf8, false),
            Field::new("pos", DataType::Int32, false),
            Field::new("ref", DataType::Utf8, false),
            Field::new("alt", DataType::Utf8, true),
        ];
        let text = |of: fn(&Allele) -> Option<String>| {
            Arc::new(rows.iter().map(of).collect::<StringArray>())
        };
        RecordBatch::try_new(
            Arc::new(Schema::new(fields.to_vec())),
            vec![
                text(|row| Some(row.0.to_owned())),
                Arc::new(rows.iter().map(|row| row.1).collect::<Int32Array>()),
                text(|row| Some(row.2.to_owned())),
                text(|row| row.3.map(str::to_owned)),
            ],
        )
        .unwrap()
    };
    let apart = [
        ("1", 5, "A", Some("C")),
        ("1", 5, "A", Some("G")),
        ("1", 5, "AC", Some("G")),
        ("2", 5, "A", Some("C")),
        ("2", 6, "A", Some("C")),
    ];
    assert!(Twins::of(&batch(&apart)).unwrap().is_none());
    let many = (0..20).map(|n| ("1", n / 10, "A", (n % 10 != 9).then_some("C")));
    for rows in [vec![apart[0], apart[1], apart[0]], many.collect::<Vec<_>>()] {
        let twins = Twins::of(&batch(&rows)).unwrap().unwrap();
        for kept in 0..8u32 {
            let keep = |row: usize| kept & (1 << (row % 3)) != 0;
            let judged: BooleanArray = (0..rows.len()).map(|row| Some(keep(row))).collect();
            for once in [false, true] {
                let mut expected = Vec::new();
                for row in 0..rows.len() {
                    let met =
                        (0..rows.len()).filter(|&other| keep(other) && rows[other] == rows[row]);
                    let met = met.take(if once { 1 } else { usize::MAX });
                    expected.extend(met.map(|other| (row as u32, other as u32)));
                }
                let pieces = twins.pieces(&judged, once);
                for piece in &pieces {
                    assert!(
                        piece.is_sorted_by(|a, b| a.0 < b.0),
                        "a row comes twice: {piece:?}"
                    );
                }
                assert_eq!(pieces.concat(), expected);
            }
        }
    }
}
