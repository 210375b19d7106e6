//! What the scan of the probe side does not read, and that a query can be stopped. The answers themselves are checked
//! against a nested loop in `sql-ext/tests/interval_join.rs`.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::physical_expr::expressions::col;
use datafusion::physical_optimizer::PhysicalOptimizerRule as _;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::SessionContext;

use super::{IntervalCondition, IntervalJoinExec, SpanExprs};
use crate::testing::{Fixture, Record, Shape, Source};
use crate::tests::metric;
use crate::{AccessContext, Engine, EngineConfig};

/// 400 variants of chr2 at every hundredth base and 80 of chr10, in row groups of 8 rows and pages of 2.
async fn cohort() -> SessionContext {
    let record = |contig, pos| Record::new(contig, pos, &["C"], &["0/1", "0/0"]);
    let chr2 = (1..=400).map(|i| record("chr2", i * 100));
    let chr10 = (1..=80).map(|i| record("chr10", i * 100));
    let source = Source::new(&["S1", "S2"], chr2.chain(chr10).collect());
    let fixture = Fixture::of(Shape::default(), vec![vec![source]]).await;
    let config = EngineConfig {
        partitions: 2,
        ..EngineConfig::default()
    };
    let engine = Engine::new(Arc::clone(&fixture.lake), config).unwrap();
    let snapshot = fixture.lake.snapshot().await.unwrap();
    engine
        .session(snapshot, AccessContext::default(), &|builder| builder)
        .unwrap()
}

/// Genes given as VALUES joined with the carriers of the cohort that lie in them.
async fn joined(ctx: &SessionContext, genes: &str, join_type: JoinType) -> Arc<dyn ExecutionPlan> {
    let plan = |sql: String| async move {
        ctx.sql(&sql)
            .await
            .unwrap()
            .create_physical_plan()
            .await
            .unwrap()
    };
    let genes = format!("SELECT * FROM (VALUES {genes}) AS g (contig, start, stop)");
    let left = plan(genes).await;
    let right = plan("SELECT contig, pos, end_pos, gt FROM cohort.carriers".to_owned()).await;
    let (l, r) = (left.schema(), right.schema());
    let condition = IntervalCondition {
        keys: vec![(col("contig", &l).unwrap(), col("contig", &r).unwrap())],
        left: SpanExprs {
            start: col("start", &l).unwrap(),
            end: col("stop", &l).unwrap(),
        },
        right: SpanExprs {
            start: col("pos", &r).unwrap(),
            end: col("end_pos", &r).unwrap(),
        },
        start_open: false,
        end_open: false,
    };
    let join = IntervalJoinExec::try_new(left, right, join_type, condition, None, None).unwrap();
    let state = ctx.state();
    FilterPushdown::new_post_optimization()
        .optimize(Arc::new(join), state.config_options())
        .unwrap()
}

#[tokio::test]
async fn a_panel_reads_the_row_groups_and_pages_of_its_genes() {
    let ctx = cohort().await;
    let panel = "('chr2', 1450::int, 1650::int), ('chr2', 30000, 30000), ('chr10', 1, 99)";
    let join = joined(&ctx, panel, JoinType::Inner).await;
    let rows: usize = collect(Arc::clone(&join), ctx.task_ctx())
        .await
        .unwrap()
        .iter()
        .map(|batch| batch.num_rows())
        .sum();
    // chr2:1500, 1600 and 30000; nothing of chr10.
    assert_eq!(rows, 3);
    assert_eq!(metric(&join, "stretches_published"), 3);
    let pruned = metric(&join, "dynamic_row_groups_pruned");
    assert!(pruned >= 55, "{pruned} of 60 row groups");
    let read = metric(&join, "site_rows_read");
    assert!(read <= 8, "{read} rows of 480");
    let genotypes = metric(&join, "genotype_rows_read");
    assert!(genotypes <= 4, "{genotypes} rows of genotypes");
}

#[tokio::test]
async fn without_a_gene_nothing_is_read_and_a_preserved_side_is_read_whole() {
    let ctx = cohort().await;
    let nowhere = "('chrM', 1::int, 2::int), (NULL, 1, 2)";
    let join = joined(&ctx, nowhere, JoinType::Left).await;
    let rows = collect(Arc::clone(&join), ctx.task_ctx()).await.unwrap();
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 2);
    assert_eq!(metric(&join, "site_rows_read"), 0);

    let join = joined(&ctx, nowhere, JoinType::Right).await;
    let rows = collect(Arc::clone(&join), ctx.task_ctx()).await.unwrap();
    assert_eq!(
        rows.iter().map(|batch| batch.num_rows()).sum::<usize>(),
        480
    );
    assert_eq!(metric(&join, "site_rows_read"), 480);
}

#[tokio::test]
async fn a_dropped_query_ends() {
    let ctx = cohort().await;
    // Every variant with every span: 480 x 200 pairs, and one spoonful of them.
    let spans: Vec<String> = (0..200)
        .map(|_| "('chr2', 1::int, 100000::int)".to_owned())
        .collect();
    let join = joined(&ctx, &spans.join(", "), JoinType::Inner).await;
    let mut stream = datafusion::physical_plan::execute_stream(join, ctx.task_ctx()).unwrap();
    let first = futures::StreamExt::next(&mut stream)
        .await
        .unwrap()
        .unwrap();
    assert!((1..=8192).contains(&first.num_rows()));
    drop(stream);
    let pool = Arc::clone(&ctx.runtime_env().memory_pool);
    // Tasks of other partitions end when they are looked at next.
    for _ in 0..10_000 {
        if pool.reserved() == 0 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{} bytes are still reserved", pool.reserved());
}
