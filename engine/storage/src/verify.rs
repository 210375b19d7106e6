//! Checks that a lake is whole: every pinned file is there and holds what the log says.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use object_store::ObjectStoreExt as _;

use crate::delta::DeltaTable;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::manifest::{DataFile, TableId};
use crate::reader::FileReader;
use crate::snapshot::{LakeSnapshot, TableSnapshot};
use crate::state::DatasetState;

/// How many files are looked at once.
const FILES_AT_ONCE: usize = 16;

/// What a check of the newest version found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// The version that was checked; `None` for a lake without commits.
    pub lake_version: Option<u64>,
    /// Tables checked.
    pub tables: u64,
    /// Files checked.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Damage: something that belongs to this version is missing or is not what it must be.
    pub problems: Vec<Problem>,
    /// Tables whose Delta log goes on beyond the pinned version (an ingest at work, or one that
    /// died). No reader of the lake sees it; the next commit to the table puts it right.
    pub ahead: Vec<(TableId, u64)>,
}

impl VerifyReport {
    /// True when nothing is damaged.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty()
    }
}

/// One damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The table.
    pub table: TableId,
    /// The file, as path in the object store; empty when it is the table as a whole.
    pub path: String,
    /// What is wrong, for people.
    pub what: String,
}

impl Lake {
    /// Checks the newest version: every pinned file exists with its size, its footer can be read,
    /// it has as many rows as the log says, and ids of rows belong to landed batches and blocks.
    /// Calls `progress(done, total)` after each file. Reads footers, not rows.
    ///
    /// # Errors
    /// Only what keeps it from looking (the store cannot be reached); damage is in the report.
    pub async fn verify(&self, progress: impl Fn(u64, u64)) -> Result<VerifyReport> {
        let snapshot = self.snapshot().await?;
        let mut report = VerifyReport {
            lake_version: snapshot.version,
            ..VerifyReport::default()
        };
        let mut tables = Vec::new();
        for id in snapshot.tables() {
            report.tables += 1;
            match snapshot.table(id).await {
                Ok(Some(table)) => tables.push(table),
                Ok(None) => {}
                Err(Error::Store(error)) => return Err(Error::Store(error)),
                Err(error) => report.problem(id, "", error.to_string()),
            }
        }
        let total = tables.iter().map(|table| table.files.len() as u64).sum();
        for table in &tables {
            self.verify_files(table, &mut report, total, &progress)
                .await;
            check_ids(&snapshot, table, &mut report);
            self.check_tip(table, &mut report).await?;
        }
        Ok(report)
    }

    async fn verify_files(
        &self,
        table: &TableSnapshot,
        report: &mut VerifyReport,
        total: u64,
        progress: &impl Fn(u64, u64),
    ) {
        let mut checks = futures::stream::iter(&table.files)
            .map(|file| async move { (file, self.check_file(file).await) })
            .buffer_unordered(FILES_AT_ONCE);
        while let Some((file, result)) = checks.next().await {
            report.files += 1;
            report.rows += file.rows;
            report.bytes += file.size;
            if let Err(what) = result {
                report.problem(&table.id, file.path.as_ref(), what);
            }
            progress(report.files, total);
        }
    }

    async fn check_file(&self, file: &DataFile) -> Result<(), String> {
        let found = self
            .store_ref()
            .head(&file.path)
            .await
            .map_err(|e| match e {
                object_store::Error::NotFound { .. } => "the file is missing".to_owned(),
                other => other.to_string(),
            })?;
        if found.size != file.size {
            return Err(format!(
                "the file has {} bytes, the log says {}",
                found.size, file.size
            ));
        }
        let reader = FileReader::open(self, file)
            .await
            .map_err(|e| e.to_string())?;
        let rows: u64 = reader.row_groups().map(|group| group.rows()).sum();
        if rows != file.rows {
            return Err(format!(
                "the file has {rows} rows, the log says {}",
                file.rows
            ));
        }
        Ok(())
    }

    async fn check_tip(&self, table: &TableSnapshot, report: &mut VerifyReport) -> Result<()> {
        let tip = DeltaTable::of(self, &table.id).tip_version().await?;
        if let Some(tip) = tip.filter(|tip| *tip > table.delta_version) {
            report.ahead.push((table.id.clone(), tip));
        }
        Ok(())
    }
}

impl VerifyReport {
    fn problem(&mut self, table: &TableId, path: &str, what: String) {
        self.problems.push(Problem {
            table: table.clone(),
            path: path.to_owned(),
            what,
        });
    }
}

/// Ids of rows are made of batch and block numbers, so their ranges tell where rows come from.
fn check_ids(snapshot: &LakeSnapshot, table: &TableSnapshot, report: &mut VerifyReport) {
    let Some(dataset) = snapshot.dataset(&table.id.schema) else {
        return;
    };
    let batches: BTreeSet<i64> = dataset.batches.iter().map(|b| i64::from(b.batch)).collect();
    let blocks: BTreeSet<i64> = dataset.blocks.iter().map(|b| i64::from(b.block)).collect();
    for file in &table.files {
        for (column, shift, known) in [
            ("vid", 40, &batches),
            ("record", 40, &batches),
            ("block", 0, &blocks),
        ] {
            let Some((min, max)) = file.stats.int_range(column) else {
                continue;
            };
            for value in [min >> shift, max >> shift] {
                if !known.contains(&value) {
                    let what = format!("{column} belongs to {value}, which never landed");
                    report.problem(&table.id, file.path.as_ref(), what);
                }
            }
        }
    }
    if table.id.table == "site" {
        check_row_count(dataset, table, report);
    }
}

fn check_row_count(dataset: &DatasetState, table: &TableSnapshot, report: &mut VerifyReport) {
    let landed: u64 = dataset.batches.iter().map(|batch| batch.rows).sum();
    if landed != table.rows() {
        let what = format!("it has {} rows, its batches brought {landed}", table.rows());
        report.problem(&table.id, "", what);
    }
}
