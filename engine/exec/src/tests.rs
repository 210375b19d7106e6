//! The tables against a naive reading of the genotype texts they were made of.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation
)]

mod access;
mod pruning;
mod rows;
mod seeds;

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
    let directory = directory::opened(cell.directory_id()).unwrap();
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
