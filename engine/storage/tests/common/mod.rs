//! What the tests of storage share: lakes on three stores, rows, writers that die.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

pub mod mortal;
pub mod tools;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, BinaryArray, Float32Array, Int16Array, Int32Array, Int64Array,
    ListBuilder, RecordBatch, StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use futures::stream::{BoxStream, TryStreamExt as _};
use genokura_core::schema::{FieldDef, FieldType, Number};
use genokura_storage::{
    Batch, Block, CommitOutcome, Contig, DatasetState, FileReader, InputRecord, Lake, LakeChange,
    Location, NewFile, PartWriter, ReadPlan, Result, TableChange, TableId, TableSnapshot,
    WritePolicy,
};

/// A place for a lake that nobody else uses.
pub struct Kit {
    url: String,
    _directory: Option<tempfile::TempDir>,
}

impl Kit {
    pub async fn memory(test: &str) -> Self {
        Self {
            url: format!("memory://{test}/lake"),
            _directory: None,
        }
    }

    pub async fn local(_test: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = directory.path().join("a lake").to_str().unwrap().to_owned();
        Self {
            url,
            _directory: Some(directory),
        }
    }

    /// As `local`, without a space in the path: polars does not decode paths.
    pub async fn plain_local() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = directory.path().join("lake").to_str().unwrap().to_owned();
        Self {
            url,
            _directory: Some(directory),
        }
    }

    pub async fn s3(test: &str) -> Self {
        let bucket = tools::S3Server::shared().bucket();
        Self {
            url: format!("s3://{bucket}/{test}/lake"),
            _directory: None,
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn is_slow(&self) -> bool {
        self.url.starts_with("s3")
    }

    pub async fn lake(&self) -> Lake {
        Lake::open_or_create(&self.url).await.unwrap()
    }

    /// The lake as another process would see it: without our caches.
    pub async fn reopen(&self) -> Lake {
        self.lake().await
    }
}

pub fn schema() -> SchemaRef {
    let comment = [("comment".to_owned(), "Position, 1-based".to_owned())];
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    Arc::new(Schema::new(vec![
        Field::new("vid", DataType::Int64, false),
        Field::new("contig", DataType::Utf8, false),
        Field::new("pos", DataType::Int32, false).with_metadata(comment.into()),
        Field::new("small", DataType::Int16, true),
        Field::new("qual", DataType::Float32, true),
        Field::new("gt", DataType::Binary, true),
        Field::new("ids", DataType::List(item), true),
    ]))
}

/// Rows whose every value follows from `vid`.
pub fn rows(vids: Range<i64>) -> RecordBatch {
    let ints = || vids.clone().map(|v| i32::try_from(v).unwrap());
    let mut ids = ListBuilder::new(StringBuilder::new());
    for v in vids.clone() {
        match v % 3 {
            0 => ids.append(false),
            n => {
                for i in 0..n {
                    ids.values().append_value(format!("rs{v}.{i}"));
                }
                ids.append(true);
            }
        }
    }
    let blob =
        |v: i64| (v % 5 != 0).then(|| v.to_le_bytes().repeat(usize::try_from(v % 7).unwrap()));
    let blobs: Vec<Option<Vec<u8>>> = vids.clone().map(blob).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(vids.clone())),
        Arc::new(StringArray::from_iter_values(vids.clone().map(|_| "chr1"))),
        Arc::new(Int32Array::from_iter_values(ints().map(|v| v + 100))),
        Arc::new(Int16Array::from_iter(
            vids.clone().map(|v| (v % 4 != 0).then_some(7_i16)),
        )),
        Arc::new(
            ints()
                .map(|v| (v % 2 == 0).then(|| 0.5 * f32::from(i16::try_from(v).unwrap())))
                .collect::<Float32Array>(),
        ),
        Arc::new(blobs.iter().map(|b| b.as_deref()).collect::<BinaryArray>()),
        Arc::new(ids.finish()),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

pub async fn write(lake: &Lake, id: &TableId, parts: &[(&str, Range<i64>)]) -> Vec<NewFile> {
    let policy = WritePolicy {
        page_rows: 1000,
        ..WritePolicy::site()
    };
    let mut writer = PartWriter::new(lake, id, schema(), policy);
    for (bin, vids) in parts {
        let all = rows(vids.clone());
        let mut offset = 0;
        while offset < all.num_rows() {
            let length = 700.min(all.num_rows() - offset);
            writer
                .write(Some(bin), &all.slice(offset, length))
                .await
                .unwrap();
            offset += length;
        }
    }
    writer.finish().await.unwrap()
}

pub fn append(id: &TableId, add: Vec<NewFile>) -> LakeChange {
    LakeChange {
        operation: "test".to_owned(),
        tables: vec![TableChange {
            id: id.clone(),
            schema: schema(),
            partition_columns: vec!["pos_bin".to_owned()],
            add,
            replace: false,
        }],
        ..LakeChange::default()
    }
}

pub async fn append_with_column(
    lake: &Lake,
    id: &TableId,
    column: &str,
    vids: Range<i64>,
) -> (LakeChange, RecordBatch) {
    let batch = rows(vids.clone());
    let mut fields = batch.schema().fields().to_vec();
    fields.push(Arc::new(Field::new(column, DataType::Int32, true)));
    let wide = Arc::new(Schema::new(fields));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(Int32Array::from(vec![1; batch.num_rows()])));
    let batch = RecordBatch::try_new(Arc::clone(&wide), columns).unwrap();
    let mut writer = PartWriter::new(lake, id, Arc::clone(&wide), WritePolicy::site());
    writer.write(Some("chr1:0"), &batch).await.unwrap();
    let mut change = append(id, writer.finish().await.unwrap());
    change.tables[0].schema = wide;
    (change, batch)
}

pub enum Kind {
    Int,
    Text,
}

pub async fn plain_change(
    lake: &Lake,
    id: &TableId,
    column: &str,
    kind: Kind,
    n: usize,
    replace: bool,
) -> LakeChange {
    let (data_type, values): (_, ArrayRef) = match kind {
        Kind::Int => (DataType::Int32, Arc::new(Int32Array::from(vec![40; n]))),
        Kind::Text => (DataType::Utf8, Arc::new(StringArray::from(vec!["x"; n]))),
    };
    let schema = Arc::new(Schema::new(vec![
        Field::new("person_id", DataType::Utf8, true),
        Field::new(column, data_type, true),
    ]));
    let persons: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..n).map(|i| format!("P{i}")),
    ));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![persons, values]).unwrap();
    let mut writer = PartWriter::new(lake, id, Arc::clone(&schema), WritePolicy::plain());
    writer.write(None, &batch).await.unwrap();
    let add = writer.finish().await.unwrap();
    let table = TableChange {
        id: id.clone(),
        schema,
        partition_columns: Vec::new(),
        add,
        replace,
    };
    LakeChange {
        operation: "test".to_owned(),
        tables: vec![table],
        ..LakeChange::default()
    }
}

/// A change of a dataset as ingest makes it, planned on an empty lake.
pub async fn dataset_change(
    lake: &Lake,
    name: &str,
    batch: u32,
    digest: &str,
    info: &str,
    ordinals: Range<i64>,
) -> LakeChange {
    let id = TableId::new(name, "site");
    let shift = i64::from(batch) << 40;
    let rows = u64::try_from(ordinals.end - ordinals.start).unwrap();
    let mut change = append(&id, write(lake, &id, &[("chr1:0", ordinals)]).await);
    // The ids of these rows are those of batch 0; tell the log what a real ingest would.
    for file in &mut change.tables[0].add {
        if let Some(stats) = file.stats.columns.get_mut("vid") {
            for bound in [&mut stats.min, &mut stats.max].into_iter().flatten() {
                let value = bound.as_i64().unwrap();
                *bound = genokura_storage::ScalarStat::Int(value + shift);
            }
        }
    }
    let input = InputRecord {
        digest: digest.to_owned(),
        records: rows,
        ..InputRecord::default()
    };
    change.dataset = Some((
        name.to_owned(),
        DatasetState {
            assembly: Some("GRCh38".to_owned()),
            contigs: vec![Contig {
                name: "chr1".to_owned(),
                length: Some(248_956_422),
            }],
            info: vec![FieldDef::new(
                "info_",
                info,
                Number::Count(1),
                FieldType::Float,
                "A field",
            )],
            blocks: vec![Block {
                block: i32::try_from(batch << 12).unwrap(),
                n_samples: 3,
            }],
            batches: vec![Batch {
                batch,
                inputs: vec![input],
                rows,
            }],
            ..DatasetState::default()
        },
    ));
    change
}

/// Does all of a commit but the lake commit, as a process does that dies there.
pub async fn delta_only(lake: &Lake, change: LakeChange) {
    let mut location = Location::parse(lake.url().as_str()).unwrap();
    location.store = Arc::new(mortal::Mortal(lake.store()));
    let dying = Lake::at(location);
    let base = dying.snapshot().await.unwrap();
    let error = dying.commit(&base, change).await.unwrap_err().to_string();
    assert!(error.contains("the writer died"), "{error}");
}

pub async fn die_before_lake_commit(lake: &Lake, id: &TableId, vids: Range<i64>) {
    let change = append(id, write(lake, id, &[("chr1:0", vids)]).await);
    delta_only(lake, change).await;
}

pub async fn die_with_column(lake: &Lake, id: &TableId, column: &str, vids: Range<i64>) {
    let (change, _) = append_with_column(lake, id, column, vids).await;
    delta_only(lake, change).await;
}

pub async fn collect(stream: BoxStream<'static, Result<RecordBatch>>) -> Vec<RecordBatch> {
    stream.try_collect().await.unwrap()
}

/// All `vid`s of a table, sorted.
pub async fn ids(lake: &Lake, table: &TableSnapshot) -> Vec<i64> {
    let mut ids = Vec::new();
    for file in &table.files {
        let reader = FileReader::open(lake, file).await.unwrap();
        let vid = Schema::new(vec![Field::new("vid", DataType::Int64, true)]);
        for batch in collect(reader.read(ReadPlan::of(Arc::new(vid))).unwrap()).await {
            ids.extend(batch.column(0).as_primitive::<Int64Type>().values());
        }
    }
    ids.sort_unstable();
    ids
}

pub async fn read_ids(lake: &Lake, id: &TableId) -> Vec<i64> {
    let snapshot = lake.snapshot().await.unwrap();
    ids(lake, &snapshot.table(id).await.unwrap().unwrap()).await
}

/// Rows of a table, and how many have a value in `column`.
pub async fn non_null(lake: &Lake, table: &TableSnapshot, column: &str) -> (usize, usize) {
    let (mut rows, mut valid) = (0, 0);
    for file in &table.files {
        let reader = FileReader::open(lake, file).await.unwrap();
        for batch in collect(
            reader
                .read(ReadPlan::of(Arc::clone(&table.schema)))
                .unwrap(),
        )
        .await
        {
            rows += batch.num_rows();
            let values = batch.column_by_name(column).unwrap();
            valid += values.len() - values.null_count();
        }
    }
    (rows, valid)
}

pub async fn land(lake: &Lake, change: LakeChange) {
    let base = lake.snapshot().await.unwrap();
    let outcome = lake.commit(&base, change).await.unwrap();
    assert!(
        matches!(outcome, CommitOutcome::Committed(_)),
        "{outcome:?}"
    );
}
