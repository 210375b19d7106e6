//! The tables against a naive reading of the genotype texts they were made of.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::util::display::array_value_to_string;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::{ExecutionPlan, collect_partitioned};
use datafusion::prelude::SessionContext;
use futures::StreamExt as _;
use genokura_core::codec::GenotypeRow;
use genokura_core::codec::cell::{Cell, Part};
use proptest::prelude::{ProptestConfig, any, proptest};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use crate::testing::{CONTIGS, DATASET, Expected, Fixture, Record, Shape, Source, expected};
use crate::{AccessContext, Engine, EngineConfig, MaskedColumn, ReadGrant, directory};

pub(crate) async fn session(
    fixture: &Fixture,
    partitions: usize,
    batch_size: usize,
    access: AccessContext,
) -> SessionContext {
    session_with(fixture, partitions, batch_size, access, &|builder| builder).await
}

pub(crate) async fn session_with(
    fixture: &Fixture,
    partitions: usize,
    batch_size: usize,
    access: AccessContext,
    extensions: &dyn Fn(SessionStateBuilder) -> SessionStateBuilder,
) -> SessionContext {
    let config = EngineConfig {
        partitions,
        batch_size,
        ..EngineConfig::default()
    };
    let engine = Engine::new(Arc::clone(&fixture.lake), config).unwrap();
    let snapshot = fixture.lake.snapshot().await.unwrap();
    engine.session(snapshot, access, extensions).unwrap()
}

async fn open(fixture: &Fixture) -> SessionContext {
    session(fixture, 2, 8192, AccessContext::default()).await
}

pub(crate) async fn plan(ctx: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
    ctx.sql(sql)
        .await
        .unwrap()
        .create_physical_plan()
        .await
        .unwrap()
}

/// Batches in the order of partitions.
pub(crate) async fn run_plan(
    ctx: &SessionContext,
    plan: Arc<dyn ExecutionPlan>,
) -> Vec<RecordBatch> {
    collect_partitioned(plan, ctx.task_ctx())
        .await
        .unwrap()
        .into_iter()
        .flatten()
        .collect()
}

async fn run(ctx: &SessionContext, sql: &str) -> Vec<RecordBatch> {
    run_plan(ctx, plan(ctx, sql).await).await
}

pub(crate) fn texts(batches: &[RecordBatch]) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cell = |c: &Arc<dyn Array>| match c.is_null(row) {
                true => "-".to_owned(),
                false => array_value_to_string(c, row).unwrap(),
            };
            rows.push(
                batch
                    .columns()
                    .iter()
                    .map(cell)
                    .collect::<Vec<_>>()
                    .join(" "),
            );
        }
    }
    rows
}

pub(crate) async fn query(ctx: &SessionContext, sql: &str) -> Vec<String> {
    texts(&run(ctx, sql).await)
}

async fn explain(ctx: &SessionContext, sql: &str) -> String {
    query(ctx, &format!("EXPLAIN {sql}")).await.join("\n")
}

pub(crate) fn metric(plan: &Arc<dyn ExecutionPlan>, name: &str) -> usize {
    let own = plan
        .metrics()
        .and_then(|m| m.sum_by_name(name))
        .map_or(0, |v| v.as_usize());
    own + plan
        .children()
        .into_iter()
        .map(|child| metric(child, name))
        .sum::<usize>()
}

const VARIANT_COLUMNS: &str = "contig, pos, ref, alt, qual, ac, an, n_het, n_hom_alt, n_missing";

fn dash<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or("-".to_owned(), |v| v.to_string())
}

fn variant_text(e: &Expected, sees: &dyn Fn(&str) -> bool) -> String {
    let c = e.counts(sees);
    let qual = e
        .qual
        .map(|q| array_value_to_string(&arrow::array::Float32Array::from(vec![q]), 0).unwrap());
    format!(
        "{} {} {} {} {} {} {} {} {} {}",
        e.contig,
        e.pos,
        e.reference,
        dash(e.alt.as_ref()),
        dash(qual),
        c.ac,
        c.an,
        c.n_het,
        c.n_hom_alt,
        c.n_missing
    )
}

fn variant_texts(all: &[Expected], sees: &dyn Fn(&str) -> bool) -> Vec<String> {
    all.iter().map(|e| variant_text(e, sees)).collect()
}

/// The same context with grants on everything and one that names `qual`, which was computed over all samples.
pub(crate) fn vouching_for_qual(access: AccessContext) -> AccessContext {
    let grant = |table: Option<&str>, columns: Option<&str>| ReadGrant {
        schema: None,
        table: table.map(str::to_owned),
        columns: columns.map(|column| BTreeSet::from([column.to_owned()])),
        ..ReadGrant::default()
    };
    access.with_grants([grant(None, None), grant(Some("variants"), Some("qual"))])
}

const CALL_COLUMNS: &str = "contig, pos, ref, alt, sample_id, gt, dosage, dp, ad";

struct CallText {
    text: String,
    dosage: Option<u8>,
}

fn call_rows(all: &[Expected], sees: &dyn Fn(&str) -> bool) -> Vec<CallText> {
    let mut rows = Vec::new();
    for e in all {
        for call in e.calls.iter().filter(|c| sees(&c.sample)) {
            let genotype = call
                .gt
                .as_ref()
                .map(|gt| genokura_core::genotype::Genotype::parse(gt.as_bytes()).unwrap());
            let dosage = genotype.and_then(|g| {
                g.dosage(if call.alt == 0 {
                    u16::MAX - 1
                } else {
                    call.alt
                })
            });
            let dp = call.dp.as_ref().filter(|t| *t != ".");
            let ad = call.ad.as_ref().filter(|t| *t != ".").map(|t| {
                let items: Vec<_> = t
                    .split(',')
                    .map(|i| {
                        if i == "." {
                            String::new()
                        } else {
                            i.to_owned()
                        }
                    })
                    .collect();
                format!("[{}]", items.join(", "))
            });
            rows.push(CallText {
                text: format!(
                    "{} {} {} {} {} {} {} {} {}",
                    e.contig,
                    e.pos,
                    e.reference,
                    dash(e.alt.as_ref()),
                    call.sample,
                    dash(call.gt.as_ref()),
                    dash(dosage),
                    dash(dp),
                    dash(ad)
                ),
                dosage,
            });
        }
    }
    rows
}

/// Genotype texts of a `gt` column, "sample=gt" per sample of each row.
fn cell_texts(batches: &[RecordBatch]) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in batches {
        let cells = batch.column(0).as_binary_view();
        for row in 0..batch.num_rows() {
            let text = if cells.is_null(row) {
                "-".into()
            } else {
                cell_text(cells.value(row))
            };
            rows.push(text);
        }
    }
    rows
}

fn cell_text(bytes: &[u8]) -> String {
    let cell = Cell::parse(bytes).unwrap();
    let directory = directory::lookup(cell.directory_id()).unwrap();
    let mut calls = Vec::new();
    for (ordinal, part) in cell.parts() {
        let block = &directory.blocks[ordinal as usize];
        let row = match part {
            Part::Default(default) => GenotypeRow::of_default(block.samples.len() as u32, default),
            Part::Row(row) => row,
        };
        assert_eq!(row.n_samples() as usize, block.samples.len());
        row.for_each_call(None, |i, call| {
            let mut text = Vec::new();
            call.write_text(&mut text);
            let name = &directory.samples[block.samples[i as usize] as usize];
            calls.push(format!("{name}={}", String::from_utf8(text).unwrap()));
        });
    }
    calls.join(" ")
}

fn expected_cells(all: &[Expected], sees: &dyn Fn(&str) -> bool) -> Vec<String> {
    let cell = |e: &Expected| {
        let calls: Vec<String> = e
            .calls
            .iter()
            .filter(|c| sees(&c.sample))
            .map(|c| format!("{}={}", c.sample, c.gt.clone().unwrap_or_default()))
            .collect();
        if calls.is_empty() {
            "-".to_owned()
        } else {
            calls.join(" ")
        }
    };
    all.iter().map(cell).collect()
}

fn everybody(_: &str) -> bool {
    true
}

/// Two batches: disjoint samples on shared sites, a partial overlap of samples, multi-allelic and odd calls.
async fn two_batches() -> Fixture {
    let shape = Shape::default();
    let first = Source::new(
        &["S1", "S2", "S3", "S4"],
        vec![
            Record::new("chr2", 100, &["C"], &["0/0", "0/1", "1/1", "./."]),
            Record::new("chr2", 200, &["C", "G"], &["1/2", "0/2", "0/0", "0/."]),
            Record::new("chr2", 300, &["C"], &["0/0", "0/0", "0/0", "0/0"]),
            Record::new("chr10", 150, &["T"], &["0|1", "1|0", "0|0", "1|1"]),
            Record::new("chrM", 5, &["T"], &["0", "1", ".", "0"]),
            Record::new("chrM", 9, &[], &["0/0", "0/0", "0/0", "0/0"]),
        ],
    );
    let second = Source::new(
        &["T1", "T2"],
        vec![
            Record::new("chr2", 100, &["C"], &["0/1", "0/0"]),
            Record::new("chr2", 250, &["C"], &["1/1", "0/1"]),
            Record::new("chr10", 150, &["G"], &["0|1", "0|0"]),
        ],
    );
    let third = Source::new(
        &["T2", "U1"],
        vec![Record::new("chr2", 100, &["C"], &["1/1", "0/1"])],
    );
    Fixture::of(shape, vec![vec![first], vec![second], vec![third]]).await
}

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

/// Blocks, pages and files by seed, small enough that random cohorts have several of each.
pub(crate) fn random_shape(rng: &mut StdRng) -> Shape {
    Shape {
        block_samples: rng.random_range(1..=5),
        window: rng.random_range(1..=8),
        site_rows: rng.random_range(1..=9),
        page_rows: rng.random_range(1..=4),
        file_rows: [3, 10, 1 << 20][rng.random_range(0..3)],
    }
}

/// A cohort by seed: some batches, inputs, overlapping positions and samples, odd genotypes.
pub(crate) fn random_batches(rng: &mut StdRng) -> Vec<Vec<Source>> {
    let names: Vec<String> = (0..14).map(|i| format!("S{i}")).collect();
    let batches = rng.random_range(1..=3);
    (0..batches)
        .map(|_| {
            let sources = rng.random_range(1..=2);
            (0..sources).map(|_| random_source(rng, &names)).collect()
        })
        .collect()
}

fn random_source(rng: &mut StdRng, names: &[String]) -> Source {
    let mut samples = names.to_vec();
    samples.shuffle(rng);
    samples.truncate(rng.random_range(0..=7));
    let records = (0..rng.random_range(0..30))
        .map(|_| random_record(rng, samples.len()))
        .collect();
    Source { samples, records }
}

fn random_record(rng: &mut StdRng, samples: usize) -> Record {
    let contig = CONTIGS.choose(rng).unwrap().0;
    let far = contig == "chr2" && rng.random_bool(0.3);
    let alts: &[&str] = [&["C"][..], &["C"], &["C", "G"], &["C", "G", "T"], &[]]
        .choose(rng)
        .unwrap();
    let gt = |rng: &mut StdRng| {
        let n = alts.len();
        let allele = |rng: &mut StdRng| match rng.random_range(0..10) {
            0 => ".".to_owned(),
            1..=6 => "0".to_owned(),
            _ => rng.random_range(0..=n).to_string(),
        };
        match rng.random_range(0..8) {
            0 => allele(rng),
            1 => format!("{}|{}", allele(rng), allele(rng)),
            2 => format!("{}/{}/{}", allele(rng), allele(rng), allele(rng)),
            _ => format!("{}/{}", allele(rng), allele(rng)),
        }
    };
    let has_gt = rng.random_bool(0.9);
    let dull = rng.random_bool(0.3);
    let gts = (0..samples)
        .map(|_| if dull { "0/0".to_owned() } else { gt(rng) })
        .collect();
    let number = |rng: &mut StdRng| match rng.random_range(0..4) {
        0 => ".".to_owned(),
        _ => rng.random_range(0..500).to_string(),
    };
    let has_format = rng.random_bool(0.5);
    let list = |rng: &mut StdRng| match rng.random_range(0..4) {
        0 => ".".to_owned(),
        _ => (0..=alts.len())
            .map(|_| number(rng))
            .collect::<Vec<_>>()
            .join(","),
    };
    Record {
        contig,
        pos: rng.random_range(1..12) + if far { 70_000_000 } else { 0 },
        reference: "A".into(),
        alts: alts.iter().map(|a| (*a).to_owned()).collect(),
        qual: rng.random_bool(0.8).then(|| rng.random_range(0..50) as f32),
        info_dp: rng.random_bool(0.5).then(|| rng.random_range(0..9)),
        gts: if has_gt { gts } else { Vec::new() },
        dp: if has_format {
            (0..samples).map(|_| number(rng)).collect()
        } else {
            Vec::new()
        },
        ad: if has_format {
            (0..samples).map(|_| list(rng)).collect()
        } else {
            Vec::new()
        },
    }
}

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

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 0, ..ProptestConfig::default() })]
    #[test]
    fn every_cohort_reads_as_its_texts(seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_seed(seed));
    }
}
