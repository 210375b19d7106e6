//! Counts of calls joined with tables of samples, against the joins themselves, on cohorts by seed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult as _, TreeNode as _};
use datafusion::datasource::MemTable;
use datafusion::error::Result as DfResult;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::SessionContext;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::count_on_packed;
use crate::AccessContext;
use crate::testing::Fixture;
use crate::tests::{plan, random_batches, random_shape, run_plan, session, session_with, texts};

/// `person (sample_id, sex, affected)`: some samples twice, some without a row, one that there is not, and NULL.
fn person(rng: &mut StdRng) -> RecordBatch {
    let (mut names, mut sexes, mut affected) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..16 {
        for _ in 0..[0, 1, 1, 1, 2, 5][rng.random_range(0..6)] {
            names.push((number != 15).then(|| format!("S{number}")));
            sexes.push(["f", "m", "x"].get(rng.random_range(0..4)).copied());
            affected.push([Some(true), Some(false), None][rng.random_range(0..3)]);
        }
    }
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let fields = vec![
        field("sample_id", DataType::Utf8),
        field("sex", DataType::Utf8),
        field("affected", DataType::Boolean),
    ];
    RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        vec![
            Arc::new(StringArray::from(names)),
            Arc::new(StringArray::from(sexes)),
            Arc::new(BooleanArray::from(affected)),
        ],
    )
    .unwrap()
}

#[derive(Debug)]
struct CountCalls;

impl PhysicalOptimizerRule for CountCalls {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let count = |node: Arc<dyn ExecutionPlan>| {
            let counted = node.downcast_ref::<AggregateExec>().map(count_on_packed);
            Ok(match counted.transpose()?.flatten() {
                Some(counted) => Transformed::yes(counted),
                None => Transformed::no(node),
            })
        };
        plan.transform_down(count).data()
    }

    fn name(&self) -> &'static str {
        "count_calls"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A session that counts where it can, before joins hand their keys to scans.
async fn counting(
    fixture: &Fixture,
    partitions: usize,
    batch_size: usize,
    access: AccessContext,
) -> SessionContext {
    session_with(fixture, partitions, batch_size, access, &|mut builder| {
        let optimizer = builder.physical_optimizers().get_or_insert_default();
        let wraps = |rule: &Arc<dyn PhysicalOptimizerRule + Send + Sync>| {
            rule.name() == "EnsureCooperative"
        };
        let at = optimizer.rules.iter().position(wraps).unwrap();
        optimizer.rules.insert(at, Arc::new(CountCalls));
        builder
    })
    .await
}

fn with_person(ctx: SessionContext, person: &RecordBatch) -> SessionContext {
    let table = MemTable::try_new(person.schema(), vec![vec![person.clone()]]);
    ctx.register_table("person", Arc::new(table.unwrap()))
        .unwrap();
    ctx
}

async fn sorted(ctx: &SessionContext, plan: Arc<dyn ExecutionPlan>) -> Vec<String> {
    let mut rows = texts(&run_plan(ctx, plan).await);
    rows.sort_unstable();
    rows
}

/// What calls `c` are joined with or chosen by, and whether a row `p` stands beside them.
const JOINED: [(&str, bool); 16] = [
    (
        "WHERE c.sample_id NOT IN (SELECT sample_id FROM person WHERE sample_id IS NOT NULL AND affected) \
         AND c.sample_id NOT IN (SELECT sample_id FROM person WHERE sample_id IS NOT NULL AND sex = 'm')",
        false,
    ),
    (
        "JOIN person p ON p.sample_id = c.sample_id WHERE c.sample_id NOT IN (SELECT sample_id FROM person WHERE \
         sample_id > 'S8') AND EXISTS (SELECT 1 FROM person q WHERE q.sample_id = c.sample_id AND q.sex = 'f')",
        true,
    ),
    ("JOIN person p ON p.sample_id = c.sample_id", true),
    (
        "JOIN person p USING (sample_id) WHERE p.sex IS NOT NULL AND c.dosage > 0",
        true,
    ),
    ("LEFT JOIN person p ON p.sample_id = c.sample_id", true),
    (
        "LEFT JOIN person p ON p.sample_id = c.sample_id AND p.sex = 'f'",
        true,
    ),
    (
        "LEFT JOIN person p ON p.sample_id = c.sample_id WHERE p.sex IS DISTINCT FROM 'm'",
        true,
    ),
    (
        "JOIN person p ON p.sample_id = c.sample_id JOIN (SELECT sex, count(*) AS n FROM person GROUP BY sex) s \
      ON s.sex = p.sex",
        true,
    ),
    (
        "JOIN person p ON p.sample_id = c.sample_id AND p.sex < substr(c.sample_id, 1, 1) || 'z' WHERE c.pos > 3",
        true,
    ),
    (
        "WHERE c.sample_id IN (SELECT sample_id FROM person WHERE sex = 'f')",
        false,
    ),
    (
        "WHERE c.sample_id NOT IN (SELECT sample_id FROM person WHERE sex = 'f')",
        false,
    ),
    (
        "WHERE c.sample_id NOT IN (SELECT sample_id FROM person WHERE sample_id IS NOT NULL AND affected)",
        false,
    ),
    (
        "WHERE NOT EXISTS (SELECT 1 FROM person q WHERE q.sample_id = c.sample_id AND q.affected)",
        false,
    ),
    (
        "WHERE c.sample_id IN (SELECT sample_id FROM person) OR c.sample_id > 'S3'",
        false,
    ),
    (
        "WHERE c.sample_id IN (SELECT sample_id FROM cohort.carriers WHERE pos < 6)",
        false,
    ),
    (
        "WHERE c.sample_id IN (SELECT sample_id FROM person WHERE sex = 'none of them')",
        false,
    ),
];

/// Groups and counts over calls alone.
const OF_CALLS: [(&str, &str); 8] = [
    (
        "c.pos, c.ref",
        "sum(CASE WHEN c.dosage = 1 THEN 1 ELSE 0 END), sum(CASE WHEN c.dosage > 1 THEN 1 END), \
         sum(CASE WHEN c.dosage IS NULL THEN 1 ELSE 0 END), count(CASE WHEN c.dosage = 2 THEN c.ref END), \
         sum(CASE WHEN c.dosage > 0 THEN 0 ELSE 1 END), sum(CASE c.dosage WHEN 1 THEN 1 ELSE 0 END), \
         avg(CASE WHEN c.dosage = 0 THEN NULL ELSE c.dosage END)",
    ),
    (
        "c.contig, c.pos, c.ref, c.alt",
        "count(*), sum(c.dosage), avg(c.dosage)",
    ),
    (
        "c.pos",
        "count(c.dosage), count(*) FILTER (WHERE c.dosage = 1)",
    ),
    ("c.dosage", "count(*), sum(c.dosage)"),
    ("c.pos, c.sample_id", "count(*)"),
    (
        "c.alt",
        "count(*), count(*) FILTER (WHERE c.sample_id > 'S3' AND c.dosage IS NOT NULL)",
    ),
    (
        "'all'",
        "count(*), sum(c.dosage), min(c.dosage), max(c.dosage)",
    ),
    (
        "c.contig, c.pos",
        "min(c.dosage), max(c.dosage), min(c.end_pos), max(c.pos) FILTER (WHERE c.dosage > 0)",
    ),
];

/// Groups and counts by what stands beside calls.
const BESIDE: [(&str, &str); 7] = [
    (
        "c.pos, c.alt",
        "sum(CASE WHEN p.affected THEN c.dosage ELSE 0 END), sum(CASE WHEN p.affected THEN c.dosage END), \
         avg(CASE WHEN p.sex = 'f' AND c.dosage > 0 THEN c.dosage END), count(CASE WHEN p.affected THEN 1 END), \
         sum(CASE WHEN NOT p.affected AND c.dosage > 0 THEN 1 ELSE 0 END), \
         sum(CASE WHEN p.affected THEN 0 ELSE c.dosage END), count(CASE WHEN p.affected THEN NULL ELSE 1 END), \
         sum(CASE p.sex WHEN 'f' THEN c.dosage ELSE 0 END)",
    ),
    (
        "p.sex, c.pos, c.alt",
        "count(*), sum(c.dosage), avg(c.dosage)",
    ),
    (
        "c.pos, upper(p.sex), c.ref, p.affected",
        "count(*), count(c.dosage)",
    ),
    (
        "c.pos, c.alt",
        "sum(c.dosage) FILTER (WHERE p.affected), sum(c.dosage) FILTER (WHERE NOT p.affected), \
      count(*) FILTER (WHERE p.affected AND c.dosage = 2), count(p.sex)",
    ),
    (
        "p.affected, c.dosage",
        "count(*), count(*) FILTER (WHERE p.sex = 'f')",
    ),
    (
        "p.sex, p.affected",
        "count(*) FILTER (WHERE p.sex > c.sample_id), avg(c.dosage)",
    ),
    (
        "p.sex = 'f'",
        "count(*), count(p.affected), sum(c.dosage) FILTER (WHERE c.dosage < 2 AND p.affected)",
    ),
];

fn statements() -> Vec<String> {
    let mut statements: Vec<String> = ["calls", "carriers"]
        .iter()
        .flat_map(|table| {
            [
                format!("SELECT min(pos), max(pos), min(end_pos), count(*) FROM cohort.{table}"),
                format!(
                    "SELECT contig, max(pos), max(end_pos), max(dosage), min(pos) FILTER (WHERE dosage = 1) \
                     FROM cohort.{table} WHERE sample_id > 'S2' GROUP BY contig"
                ),
                format!("SELECT sample_id, max(dosage), min(dosage) FROM cohort.{table} GROUP BY sample_id"),
                format!("SELECT dosage, min(dosage), count(*) FROM cohort.{table} WHERE pos > 3 GROUP BY dosage"),
                format!("SELECT max(pos), sum(dosage) FROM cohort.{table} WHERE sample_id = 'nobody'"),
            ]
        })
        .collect();
    for (joined, has_person) in JOINED {
        let beside = if has_person { &BESIDE[..] } else { &[] };
        for (by, counts) in OF_CALLS.iter().chain(beside) {
            for table in ["calls", "carriers"] {
                statements.push(format!(
                    "SELECT {by}, {counts} FROM cohort.{table} c {joined} GROUP BY {by}"
                ));
            }
        }
        statements.push(format!(
            "SELECT count(*), sum(CASE WHEN c.dosage > 0 THEN 1 ELSE 0 END), sum(c.dosage), avg(c.dosage) FROM cohort.calls c {joined}"
        ));
    }
    statements
}

/// Of one contig the calls are in order: a sort that is not needed is not made.
fn ordered() -> Vec<String> {
    let mut statements = Vec::new();
    for table in ["calls", "carriers"] {
        let of_contig = format!(
            "FROM cohort.{table} c JOIN person p ON p.sample_id = c.sample_id WHERE c.contig = 'chr2'"
        );
        statements.extend([
            format!("SELECT pos, count(*) FROM cohort.{table} WHERE contig = 'chr2' GROUP BY pos ORDER BY pos"),
            format!(
                "SELECT contig, pos, ref, alt, sum(dosage) FROM cohort.{table} WHERE contig = 'chr2' AND pos BETWEEN 2 AND 9 \
                 GROUP BY contig, pos, ref, alt ORDER BY contig, pos, ref, alt"
            ),
            format!(
                "SELECT pos, n, sum(n) OVER (ORDER BY pos) FROM (SELECT pos, count(*) AS n FROM cohort.{table} \
                 WHERE contig = 'chr2' GROUP BY pos) q ORDER BY pos"
            ),
            format!("SELECT c.pos, sum(c.dosage) {of_contig} GROUP BY c.pos ORDER BY c.pos"),
            format!("SELECT p.sex, c.pos, count(*) {of_contig} AND p.sex = 'f' GROUP BY 1, 2 ORDER BY 1, 2"),
            format!("SELECT c.contig, p.sex, count(*) {of_contig} AND p.sex = 'f' GROUP BY 1, 2 ORDER BY 1, 2"),
            format!("SELECT c.pos, c.alt, p.sex, avg(c.dosage) {of_contig} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"),
        ]);
    }
    statements
}

#[tokio::test]
async fn counts_come_in_the_order_that_is_asked_for() {
    let mut rows = 0;
    for seed in 0..6 {
        let mut rng = StdRng::seed_from_u64(seed);
        let shape = random_shape(&mut rng);
        let fixture = Fixture::of(shape, random_batches(&mut rng)).await;
        let person = person(&mut rng);
        let plain = session(&fixture, 1, 8192, AccessContext::default()).await;
        let plain = with_person(plain, &person);
        for (partitions, batch_size) in [(1, 3), (2, 8192), (8, 7)] {
            let ctx = counting(&fixture, partitions, batch_size, AccessContext::default()).await;
            let ctx = with_person(ctx, &person);
            for sql in ordered() {
                let expected = texts(&run_plan(&plain, plan(&plain, &sql).await).await);
                let packed = plan(&ctx, &sql).await;
                let shown = displayable(packed.as_ref()).indent(false).to_string();
                assert!(shown.contains("CallCountExec"), "{sql}\n{shown}");
                rows += expected.len();
                let told = format!("seed {seed}, {partitions} partitions: {sql}\n{shown}");
                assert_eq!(texts(&run_plan(&ctx, packed).await), expected, "{told}");
            }
        }
    }
    assert!(rows > 100, "{rows} rows were compared");
}

#[tokio::test]
async fn counts_beside_samples_are_those_of_joined_rows() {
    let (mut rows, mut counts, mut asked) = (0, 0, 0);
    for seed in 0..2 {
        let mut rng = StdRng::seed_from_u64(seed);
        let shape = random_shape(&mut rng);
        let fixture = Fixture::of(shape, random_batches(&mut rng)).await;
        let visible: BTreeSet<String> = (0..14)
            .filter(|_| rng.random_bool(0.6))
            .map(|n| format!("S{n}"))
            .collect();
        let restricted = AccessContext::only("r", [("cohort".to_owned(), visible)]);
        let person = person(&mut rng);
        for access in [AccessContext::default(), restricted] {
            let rows_made = session(&fixture, 2, 8192, access.clone()).await;
            let rows_made = with_person(rows_made, &person);
            for (partitions, batch_size) in [(1, 8192), (2, 7), (8, 1)] {
                let ctx = counting(&fixture, partitions, batch_size, access.clone()).await;
                let ctx = with_person(ctx, &person);
                for sql in statements() {
                    if rng.random_bool(0.97) {
                        continue;
                    }
                    let expected = sorted(&rows_made, plan(&rows_made, &sql).await).await;
                    let packed = plan(&ctx, &sql).await;
                    let shown = displayable(packed.as_ref()).indent(false).to_string();
                    asked += 1;
                    counts += usize::from(shown.contains("by samples="));
                    assert!(
                        shown.contains("CallCountExec"),
                        "{sql}
{shown}"
                    );
                    rows += expected.len();
                    let told = format!("seed {seed}, {partitions} partitions: {sql}\n{shown}");
                    assert_eq!(sorted(&ctx, packed).await, expected, "{told}");
                }
            }
        }
    }
    assert!(rows > 200, "{rows} rows were compared");
    assert!(
        counts * 10 > asked * 9,
        "{counts} of {asked} plans count beside samples"
    );
}
