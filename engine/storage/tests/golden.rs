//! The lake commit as it is stored: golden bytes. A change here changes the storage format.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use genokura_core::schema::{FieldDef, FieldType, Number};
use genokura_storage::commit::TableChanged;
use genokura_storage::state::TablePin;
use genokura_storage::{
    Batch, Block, Contig, DatasetState, InputRecord, Lake, LakeCommit, LakeState, TableId,
};
use object_store::ObjectStoreExt as _;

fn sample() -> LakeCommit {
    let site = TableId::new("demo", "site");
    let dataset = DatasetState {
        assembly: Some("GRCh38".to_owned()),
        reference: None,
        contigs: vec![
            Contig {
                name: "chr1".to_owned(),
                length: Some(248_956_422),
            },
            Contig {
                name: "decoy".to_owned(),
                length: None,
            },
        ],
        info: vec![FieldDef::new(
            "info_",
            "AF",
            Number::A,
            FieldType::Float,
            "Allele frequency",
        )],
        format: vec![FieldDef::new(
            "fmt_",
            "DP",
            Number::Count(1),
            FieldType::Integer,
            "Depth",
        )],
        filters: vec!["PASS".to_owned(), "q10".to_owned()],
        blocks: vec![Block {
            block: 0,
            n_samples: 3,
        }],
        batches: vec![Batch {
            batch: 0,
            inputs: vec![InputRecord {
                digest: "sha256:00".to_owned(),
                size: 1234,
                records: 10,
                quarantined: 1,
                name: "input 1".to_owned(),
            }],
            rows: 12,
        }],
    };
    LakeCommit {
        format: 1,
        version: 7,
        id: "3f2504e0-4f89-41d3-9a0c-0305e82c3301".to_owned(),
        timestamp: "2026-01-02T03:04:05.678Z".to_owned(),
        engine: "genokura/0.1.0".to_owned(),
        operation: "ingest vcf".to_owned(),
        dataset: Some("demo".to_owned()),
        changes: vec![TableChanged {
            table: site.clone(),
            delta_version: 4,
            files: 2,
            rows: 12,
            replaced: false,
        }],
        details: serde_json::json!({"samples": 3}),
        state: LakeState {
            tables: [(site, TablePin { delta_version: 4 })].into(),
            datasets: [("demo".to_owned(), dataset)].into(),
            cohorts: BTreeMap::new(),
        },
    }
}

const GOLDEN: &str = include_str!("../../../testdata/golden/lake-commit.json");

#[test]
fn a_lake_commit_is_written_as_ever() {
    let text = serde_json::to_string_pretty(&sample()).unwrap();
    assert_eq!(text.trim(), GOLDEN.trim(), "written now:\n{text}");
}

#[tokio::test]
async fn a_lake_commit_of_old_is_read() {
    let lake = Lake::memory();
    lake.store()
        .put(&lake.layout().commit(7), GOLDEN.into())
        .await
        .unwrap();
    assert_eq!(lake.read_commit(7).await.unwrap(), sample());
}

#[tokio::test]
async fn a_newer_format_is_refused_by_name() {
    let lake = Lake::memory();
    let newer = GOLDEN.replacen("\"format\": 1", "\"format\": 3", 1);
    lake.store()
        .put(&lake.layout().commit(0), newer.into())
        .await
        .unwrap();
    let error = lake.snapshot().await.unwrap_err().to_string();
    assert!(
        error.contains("format 3") && error.contains("newer genokura"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_no_lake_commit_is_an_error_that_names_the_object() {
    let lake = Lake::memory();
    for text in ["", "{", "[]", "{\"format\": 1}", "{\"format\": -1}"] {
        lake.store()
            .put(&lake.layout().commit(0), text.into())
            .await
            .unwrap();
        let error = lake.snapshot().await.unwrap_err().to_string();
        assert!(error.contains("00000000000000000000.json"), "{error}");
    }
}
