//! The law of the interval join: its answers are those of a nested loop, whatever the spelling, the type of join, the
//! batch size, the number of partitions and the memory.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::{SessionConfig, SessionContext};
use proptest::prelude::*;
use tokio::runtime::Runtime;

/// A row: contig, another key, first and last place, a value for the rest of conditions.
#[derive(Clone, Debug)]
struct Row {
    contig: Option<&'static str>,
    key: Option<i32>,
    start: Option<i64>,
    end: Option<i64>,
    value: i32,
}

/// A table with its spans in 32 or in 64 bits.
#[derive(Clone, Debug)]
struct Table {
    rows: Vec<Row>,
    wide: bool,
    partitions: usize,
    batch_rows: usize,
}

impl Table {
    fn batch(&self) -> RecordBatch {
        let rows = &self.rows;
        let places = |place: fn(&Row) -> Option<i64>| -> ArrayRef {
            if self.wide {
                Arc::new(rows.iter().map(place).collect::<Int64Array>())
            } else {
                let narrow = |row: &Row| place(row).map(|p| i32::try_from(p).unwrap());
                Arc::new(rows.iter().map(narrow).collect::<Int32Array>())
            }
        };
        let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(
            0..i32::try_from(rows.len()).unwrap(),
        ));
        let contigs: ArrayRef = Arc::new(rows.iter().map(|r| r.contig).collect::<StringArray>());
        let keys: ArrayRef = Arc::new(rows.iter().map(|r| r.key).collect::<Int32Array>());
        let values: ArrayRef = Arc::new(rows.iter().map(|r| Some(r.value)).collect::<Int32Array>());
        RecordBatch::try_from_iter_with_nullable([
            ("id", ids, false),
            ("contig", contigs, true),
            ("k", keys, true),
            ("pos", places(|r| r.start), true),
            ("end_pos", places(|r| r.end), true),
            ("val", values, false),
        ])
        .unwrap()
    }

    /// Rows dealt out in runs, each run in batches.
    fn provider(&self) -> MemTable {
        let all = self.batch();
        let run = all.num_rows().div_ceil(self.partitions).max(1);
        let partition = |i: usize| {
            let from = (i * run).min(all.num_rows());
            let rows = all.slice(from, run.min(all.num_rows() - from));
            let starts = (0..rows.num_rows()).step_by(self.batch_rows);
            let batches = starts.map(|s| rows.slice(s, self.batch_rows.min(rows.num_rows() - s)));
            batches.collect::<Vec<_>>()
        };
        let partitions = (0..self.partitions).map(partition).collect();
        MemTable::try_new(all.schema(), partitions).unwrap()
    }
}

#[derive(Clone, Copy, Debug)]
struct Setting {
    partitions: usize,
    batch_size: usize,
    reorder: bool,
    memory: Option<usize>,
}

const PLAIN: Setting = Setting {
    partitions: 1,
    batch_size: 8192,
    reorder: true,
    memory: None,
};

fn session(tables: &[Table; 2], setting: Setting, rule: bool) -> SessionContext {
    let mut config = SessionConfig::new()
        .with_target_partitions(setting.partitions)
        .with_batch_size(setting.batch_size);
    let options = config.options_mut();
    options.sql_parser.map_string_types_to_utf8view = false;
    options.optimizer.join_reordering = setting.reorder;
    // The small pools of these tests are for the join; a sort of its answer has none of its own.
    options.execution.sort_spill_reservation_bytes = 0;
    let mut runtime = RuntimeEnvBuilder::new();
    if let Some(bytes) = setting.memory {
        runtime = runtime.with_memory_limit(bytes, 1.0);
    }
    let builder = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime.build_arc().unwrap())
        .with_default_features();
    // Functions are the same in both; only the rules differ.
    let mut state = genokura_sql_ext::register_all(builder).build();
    if !rule {
        let rules = state.physical_optimizers().to_vec();
        let others = rules
            .into_iter()
            .filter(|rule| rule.name() != "interval_join");
        let builder = SessionStateBuilder::new_from_existing(state);
        state = builder
            .with_physical_optimizer_rules(others.collect())
            .build();
    }
    let context = SessionContext::new_with_state(state);
    for (name, table) in ["a", "b"].into_iter().zip(tables) {
        context
            .register_table(name, Arc::new(table.provider()))
            .unwrap();
    }
    context
}

/// The plan, and the rows as text in the order in which they came.
async fn run(context: &SessionContext, sql: &str) -> (String, Vec<String>) {
    let plan = context
        .sql(sql)
        .await
        .unwrap()
        .create_physical_plan()
        .await
        .unwrap();
    let shown = displayable(plan.as_ref()).indent(true).to_string();
    let batches = datafusion::physical_plan::collect(plan, context.task_ctx()).await;
    let batches = batches.unwrap_or_else(|error| panic!("{sql}: {error}\n{shown}"));
    let max = context.copied_config().batch_size();
    for batch in &batches {
        let rows = batch.num_rows();
        assert!(rows <= max || batch.num_columns() == 0, "{rows} rows");
    }
    (shown, texts(&batches))
}

/// Rows as text.
fn texts(batches: &[RecordBatch]) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in batches {
        let options = FormatOptions::default().with_null("-");
        let columns = batch.columns().iter();
        let columns: Vec<_> = columns
            .map(|c| ArrayFormatter::try_new(c, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let values = columns.iter().map(|column| column.value(row).to_string());
            rows.push(values.collect::<Vec<_>>().join(" "));
        }
    }
    rows
}

async fn sorted(context: &SessionContext, sql: &str) -> (String, Vec<String>) {
    let (plan, mut rows) = run(context, sql).await;
    rows.sort_unstable();
    (plan, rows)
}

/// Conditions that speak of an overlap, in every spelling.
const SPELLINGS: [&str; 18] = [
    "a.contig = b.contig AND a.pos <= b.end_pos AND a.end_pos >= b.pos",
    "b.contig = a.contig AND b.end_pos >= a.pos AND b.pos <= a.end_pos",
    "a.contig = b.contig AND a.pos < b.end_pos AND b.pos < a.end_pos",
    "a.contig = b.contig AND a.pos - 1 < b.end_pos AND a.end_pos > b.pos - 1",
    "a.contig = b.contig AND a.pos BETWEEN b.pos AND b.end_pos",
    "a.contig = b.contig AND b.pos BETWEEN a.pos AND a.end_pos",
    "a.contig = b.contig AND a.pos >= b.pos AND a.end_pos <= b.end_pos",
    "interval_overlaps(a.contig, a.pos, a.end_pos, b.contig, b.pos, b.end_pos)",
    "interval_overlaps(b.contig, b.pos, b.pos, a.contig, a.pos, a.end_pos)",
    "a.contig = b.contig AND NOT (a.pos > b.end_pos OR a.end_pos < b.pos)",
    "a.contig = b.contig AND a.pos::bigint <= b.end_pos::bigint AND a.end_pos >= b.pos",
    "a.contig = b.contig AND a.pos <= b.end_pos AND a.end_pos >= b.pos AND a.val + b.val > 9",
    "a.contig = b.contig AND a.pos <= b.end_pos AND a.end_pos >= b.pos AND a.val < b.val",
    "a.contig = b.contig AND a.k = b.k AND a.pos <= b.end_pos AND a.end_pos >= b.pos",
    "a.k = b.k AND a.pos <= b.end_pos AND a.end_pos > b.pos",
    "a.pos <= b.end_pos AND a.end_pos >= b.pos",
    "a.pos < b.end_pos AND a.end_pos >= b.pos AND (a.val = b.val OR a.contig = b.contig)",
    "a.contig = b.contig AND a.pos BETWEEN b.pos - 10 AND b.end_pos + 10 AND b.val > 1",
];

/// Subqueries of the rows of `b` beside a row of `a`.
fn subqueries(condition: &str) -> [String; 4] {
    [
        format!("SELECT id, pos, (SELECT count(*) FROM b WHERE {condition}) FROM a"),
        format!("SELECT id, (SELECT sum(b.val - a.val) FROM b WHERE {condition}) FROM a"),
        format!("SELECT id, EXISTS (SELECT 1 FROM b WHERE {condition}) FROM a"),
        format!("SELECT id FROM a WHERE (SELECT max(b.id) FROM b WHERE {condition}) > a.val"),
    ]
}

/// Every type of join of `a` and `b` by a condition.
fn joins(condition: &str) -> [String; 12] {
    let all = |join: &str| format!("SELECT a.*, b.* FROM a {join} JOIN b ON {condition}");
    [
        all("INNER"),
        all("LEFT"),
        all("RIGHT"),
        all("FULL"),
        format!("SELECT count(*) FROM a JOIN b ON {condition}"),
        format!("SELECT a.id, b.contig FROM b JOIN a ON {condition}"),
        format!("SELECT * FROM a WHERE EXISTS (SELECT 1 FROM b WHERE {condition})"),
        format!("SELECT id FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE {condition})"),
        format!("SELECT * FROM a WHERE val > 5 OR EXISTS (SELECT 1 FROM b WHERE {condition})"),
        format!("SELECT * FROM b RIGHT SEMI JOIN a ON {condition}"),
        format!("SELECT id FROM b RIGHT ANTI JOIN a ON {condition}"),
        format!("SELECT * FROM a, b WHERE {condition} AND a.id <> b.id"),
    ]
}

fn rows(
    max: usize,
    place: impl Strategy<Value = i64> + Clone + 'static,
) -> impl Strategy<Value = Vec<Row>> {
    let contig = prop_oneof![
        6 => Just(Some("chr1")),
        3 => Just(Some("chr2")),
        1 => Just(Some("chrUn_KI270302v1")),
        1 => Just(None),
    ];
    let key = proptest::option::weighted(0.9, 0i32..3);
    let span = (place.clone(), place, 0u8..10).prop_map(|(one, other, kind)| match kind {
        // Mostly in order; some reversed, some of one base, some unknown.
        0 => (Some(one.max(other)), Some(one.min(other))),
        1 => (Some(one), Some(one)),
        2 => (None, Some(other)),
        3 => (Some(one), None),
        _ => (Some(one.min(other)), Some(one.max(other))),
    });
    let row = (contig, key, span, 0i32..10).prop_map(|(contig, key, (start, end), value)| Row {
        contig,
        key,
        start,
        end,
        value,
    });
    proptest::collection::vec(row, 0..max)
}

/// Places of some neighbourhood, or at the limits of the type.
fn place(wide: bool) -> impl Strategy<Value = i64> + Clone + 'static {
    let (min, max) = match wide {
        true => (i64::MIN, i64::MAX),
        false => (i64::from(i32::MIN), i64::from(i32::MAX)),
    };
    // One less and one more: sums and differences of the conditions must not wrap.
    let edge = prop_oneof![Just(min + 11), Just(max - 11), Just(0), Just(-1)];
    prop_oneof![12 => -20i64..200, 1 => edge]
}

fn table(max: usize) -> impl Strategy<Value = Table> {
    (any::<bool>(), 1usize..4).prop_flat_map(move |(wide, partitions)| {
        let rows = rows(max, place(wide));
        rows.prop_map(move |rows| Table {
            rows,
            wide,
            partitions,
            batch_rows: 7,
        })
    })
}

fn setting() -> impl Strategy<Value = Setting> {
    let partitions = proptest::sample::select(vec![1usize, 2, 8]);
    let batch_size = proptest::sample::select(vec![1usize, 2, 8192]);
    (partitions, batch_size, any::<bool>()).prop_map(|(partitions, batch_size, reorder)| Setting {
        partitions,
        batch_size,
        reorder,
        memory: None,
    })
}

async fn check(tables: &[Table; 2], condition: &str, setting: Setting) {
    let with = session(tables, setting, true);
    let without = session(tables, PLAIN, false);
    for sql in joins(condition).into_iter().chain(subqueries(condition)) {
        let (plan, found) = sorted(&with, &sql).await;
        let (reference, expected) = sorted(&without, &sql).await;
        assert!(!reference.contains("IntervalJoinExec"), "{reference}");
        // An empty table may make the join needless.
        let empty = tables.iter().any(|table| table.rows.is_empty());
        assert!(empty || plan.contains("IntervalJoinExec"), "{sql}\n{plan}");
        assert_eq!(found, expected, "{sql}\n{plan}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn answers_are_those_of_a_nested_loop(
        a in table(60),
        b in table(25),
        swap in any::<bool>(),
        spelling in 0..SPELLINGS.len(),
        setting in setting(),
    ) {
        let tables = if swap { [b, a] } else { [a, b] };
        let runtime = Runtime::new().unwrap();
        runtime.block_on(check(&tables, SPELLINGS[spelling], setting));
    }
}

fn seeded(count: i64, seed: i64, partitions: usize) -> Table {
    let contigs = ["chr1", "chr2", "chr3"];
    let mut state = seed;
    let mut next = move |below: i64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).rem_euclid(below)
    };
    let row = |_| {
        let start = next(20_000);
        Row {
            contig: Some(contigs[usize::try_from(next(3)).unwrap()]),
            key: Some(i32::try_from(next(4)).unwrap()),
            start: (next(50) > 0).then_some(start),
            end: Some(start + next(60)),
            value: i32::try_from(next(10)).unwrap(),
        }
    };
    Table {
        rows: (0..count).map(row).collect(),
        wide: false,
        partitions,
        batch_rows: 200,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_spelling_is_found_and_right_on_larger_tables() {
    let tables = [seeded(400, 7, 3), seeded(150, 11, 2)];
    for (number, condition) in SPELLINGS.iter().enumerate() {
        let partitions = [1, 2, 8][number % 3];
        let setting = Setting {
            partitions,
            batch_size: 512,
            reorder: true,
            memory: None,
        };
        check(&tables, condition, setting).await;
    }
}

/// How often the join of a plan that was run has spilled.
fn spills(plan: &Arc<dyn ExecutionPlan>) -> usize {
    let of_join = plan.name() == "IntervalJoinExec";
    let own = plan
        .metrics()
        .filter(|_| of_join)
        .and_then(|m| m.spill_count());
    own.unwrap_or(0) + plan.children().into_iter().map(spills).sum::<usize>()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_side_that_does_not_fit_is_spilled_with_the_same_answers() {
    let tables = [seeded(2_400, 3, 3), seeded(2_000, 5, 2)];
    let condition = "a.contig = b.contig AND a.pos <= b.end_pos AND a.end_pos >= b.pos";
    let filtered = format!("{condition} AND a.val + b.val > 9");
    let in_memory = session(&tables, PLAIN, true);
    for (partitions, condition) in [(1, condition), (3, filtered.as_str())] {
        for sql in joins(condition) {
            let (_, expected) = sorted(&in_memory, &sql).await;
            let mut spilled = 0;
            // A join that shows few columns needs less memory for them.
            for bytes in [200_000, 100_000] {
                // Each partition holds a batch whatever the pool says, and all of them may at once.
                let setting = Setting {
                    partitions,
                    batch_size: 1024 / partitions,
                    reorder: true,
                    memory: Some(bytes),
                };
                let with = session(&tables, setting, true);
                let plan = with.sql(&sql).await.unwrap();
                let plan = plan.create_physical_plan().await.unwrap();
                let batches =
                    datafusion::physical_plan::collect(Arc::clone(&plan), with.task_ctx());
                let batches = batches
                    .await
                    .unwrap_or_else(|error| panic!("{sql}: {error}"));
                let mut found = texts(&batches);
                found.sort_unstable();
                let counts = (found.len(), expected.len());
                assert!(found == expected, "{sql} in {bytes} bytes: {counts:?}");
                spilled += spills(&plan);
            }
            assert!(spilled > 0, "{sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_the_probe_side_is_kept_also_when_spilled() {
    // `b` is the smaller: the build side. The subquery is sorted, and its order needs no second sort.
    let tables = [seeded(2_400, 3, 1), seeded(2_000, 5, 2)];
    let sql = "SELECT s.pos, s.id, b.id FROM (SELECT * FROM a ORDER BY pos, id) s JOIN b ON \
               s.contig = b.contig AND s.pos <= b.end_pos AND s.end_pos >= b.pos ORDER BY s.pos, s.id";
    let in_memory = session(&tables, PLAIN, true);
    let (_, expected) = sorted(&in_memory, sql).await;
    for (memory, spills) in [(None, false), (Some(400_000), true)] {
        let setting = Setting {
            partitions: 1,
            batch_size: 1024,
            reorder: true,
            memory,
        };
        let with = session(&tables, setting, true);
        let (plan, mut found) = run(&with, sql).await;
        let above = plan.split("IntervalJoinExec").next().unwrap();
        assert!(!above.contains("SortExec"), "{plan}");
        let place = |row: &String| -> (i64, i64) {
            let mut values = row.split(' ').map(|v| v.parse().unwrap_or(i64::MAX));
            (values.next().unwrap(), values.next().unwrap())
        };
        assert!(found.is_sorted_by_key(place), "spills: {spills}");
        found.sort_unstable();
        assert_eq!(found, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_of_a_column_are_joined_as_in_region_says() {
    let tables = [seeded(2_000, 7, 2), seeded(10, 11, 1)];
    let sql = "SELECT a.id, r.region FROM a JOIN (VALUES ('chr1:100-900'), ('2:5,000'), ('chr3'), ('X:1-5'), \
               ('chr1:19000-'), (NULL)) AS r(region) ON in_region(a.contig, a.pos, a.end_pos, r.region)";
    let (_, expected) = sorted(&session(&tables, PLAIN, false), sql).await;
    assert!(expected.len() > 100);
    let (plan, found) = sorted(&session(&tables, PLAIN, true), sql).await;
    assert!(plan.contains("IntervalJoinExec"), "{plan}");
    assert!(plan.contains("region_start"), "{plan}");
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_joins_are_left_alone() {
    let tables = [seeded(50, 7, 2), seeded(10, 11, 1)];
    let with = session(&tables, PLAIN, true);
    for condition in [
        "a.contig = b.contig",
        "a.contig = b.contig AND a.pos <= b.end_pos",
        "a.contig = b.contig AND (a.pos <= b.end_pos OR a.end_pos >= b.pos)",
        "a.contig = b.contig AND a.pos::double precision <= b.end_pos AND a.end_pos >= b.pos::double precision",
        "(a.contig IS NOT DISTINCT FROM b.contig) AND a.pos <= b.end_pos AND a.end_pos >= b.pos AND a.k IS NULL",
    ] {
        let sql = format!("SELECT count(*) FROM a JOIN b ON {condition}");
        let (plan, _) = run(&with, &sql).await;
        assert!(!plan.contains("IntervalJoinExec"), "{condition}\n{plan}");
    }
}
