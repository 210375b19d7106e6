//! What the integration tests share: the shared data, temporary inputs, reading a table back.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, unreachable_pub)]

use std::io::Write as _;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use genokura_storage::{Lake, TableId};
use object_store::ObjectStoreExt as _;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// The folder of the shared data, beside the workspace or where `GENOKURA_SHARED` says. Without it a
/// test says so and ends; under CI it fails.
pub fn shared() -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path = std::env::var_os("GENOKURA_SHARED").map_or_else(default, PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "CI needs the shared data; set GENOKURA_SHARED"
    );
    eprintln!("NOT RUN: no shared data (set GENOKURA_SHARED to its folder)");
    None
}

/// A temporary file of this name.
pub struct Written {
    folder: tempfile::TempDir,
    name: String,
    path: PathBuf,
}

impl Written {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path as text; the file stays until the process ends.
    pub fn keep(self) -> String {
        self.folder
            .keep()
            .join(self.name)
            .to_str()
            .unwrap()
            .to_owned()
    }
}

/// Writes a temporary file.
pub fn written(name: &str, text: &str) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::File::create(&path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    Written {
        folder,
        name: name.to_owned(),
        path,
    }
}

/// All rows of a table at the newest version of the lake, in file order.
pub async fn read_table(lake: &Lake, id: &TableId) -> RecordBatch {
    let table = lake
        .snapshot()
        .await
        .unwrap()
        .table(id)
        .await
        .unwrap()
        .expect("the table exists");
    let mut batches = Vec::new();
    for file in &table.files {
        let bytes = lake
            .store()
            .get(&file.path)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
            .unwrap()
            .build()
            .unwrap();
        batches.extend(reader.map(Result::unwrap));
    }
    match batches.first() {
        Some(first) => concat_batches(&first.schema(), &batches).unwrap(),
        None => RecordBatch::new_empty(std::sync::Arc::clone(&table.schema)),
    }
}
