//! Rows to the files of a dataset's tables, as they come from the assembler.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::SchemaRef;
use arrow_array::RecordBatch;
use genokura_core::schema::{
    PARTITION_COLUMN, format_schema, genotype_schema, headers_schema, quarantine_schema,
    samples_schema, site_schema,
};
use genokura_storage::{Lake, NewFile, PartWriter, TableChange, TableId, WritePolicy};

use crate::again::Check;
use crate::assemble::{Output, Table};
use crate::error::Result;
use crate::plan::Layout;

/// Files written by one pass, not yet visible.
pub(crate) type Written = BTreeMap<Table, Vec<NewFile>>;

/// Writes batches until the channel closes. When `aborted` is set by then, nothing is finished.
///
/// `check` looks at the rows of sites before they are written; what it counts comes back beside the files.
pub(crate) async fn write_all(
    lake: &Lake,
    dataset: &str,
    layout: &Layout,
    mut outputs: tokio::sync::mpsc::Receiver<Output>,
    aborted: &AtomicBool,
    mut check: Option<Check<'_>>,
) -> Result<(Written, u64)> {
    let mut writers: BTreeMap<Table, PartWriter> = BTreeMap::new();
    while let Some(output) = outputs.recv().await {
        if let (Table::Site, Some(check)) = (output.table, &mut check) {
            check.rows(output.pos_bin.as_deref(), &output.rows).await?;
        }
        let writer = writers.entry(output.table).or_insert_with(|| {
            let id = TableId::new(dataset, output.table.name());
            PartWriter::new(
                lake,
                &id,
                output.table.schema(layout),
                output.table.policy(),
            )
        });
        writer
            .write(output.pos_bin.as_deref(), &output.rows)
            .await?;
        if output.ends_row_group {
            writer.end_row_group().await?;
        }
    }
    let mut written = Written::new();
    if !aborted.load(Ordering::Acquire) {
        for (table, writer) in writers {
            written.insert(table, writer.finish().await?);
        }
    }
    Ok((written, check.map_or(0, |check| check.n_otherwise())))
}

/// Writes one small table at once.
pub(crate) async fn write_table(
    lake: &Lake,
    dataset: &str,
    table: &str,
    rows: &RecordBatch,
) -> Result<TableChange> {
    let id = TableId::new(dataset, table);
    let mut writer = PartWriter::new(lake, &id, rows.schema(), WritePolicy::plain());
    writer.write(None, rows).await?;
    let add = writer.finish().await?;
    Ok(TableChange {
        id,
        schema: rows.schema(),
        partition_columns: Vec::new(),
        add,
        replace: false,
    })
}

impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Genotype => "genotype",
            Self::Format => "format",
            Self::Quarantine => "quarantine",
        }
    }

    fn schema(self, layout: &Layout) -> SchemaRef {
        match self {
            Self::Site => site_schema(&layout.info),
            Self::Genotype => genotype_schema(),
            Self::Format => format_schema(&layout.format),
            Self::Quarantine => quarantine_schema(),
        }
    }

    fn policy(self) -> WritePolicy {
        match self {
            Self::Site => WritePolicy::site(),
            Self::Genotype => WritePolicy::genotype(),
            Self::Format => WritePolicy::format(),
            Self::Quarantine => WritePolicy::plain(),
        }
    }

    fn is_partitioned(self) -> bool {
        self != Self::Quarantine
    }
}

/// The changes of a dataset's big tables. Site, genotype and format exist from the first batch on,
/// with or without rows; the quarantine only when a record was refused.
pub(crate) fn changes(dataset: &str, layout: &Layout, mut written: Written) -> Vec<TableChange> {
    let mut changes = Vec::new();
    for table in [
        Table::Site,
        Table::Genotype,
        Table::Format,
        Table::Quarantine,
    ] {
        let add = written.remove(&table).unwrap_or_default();
        if add.is_empty() && table == Table::Quarantine {
            continue;
        }
        let partition = table.is_partitioned().then(|| PARTITION_COLUMN.to_owned());
        changes.push(TableChange {
            id: TableId::new(dataset, table.name()),
            schema: table.schema(layout),
            partition_columns: partition.into_iter().collect(),
            add,
            replace: false,
        });
    }
    changes
}

/// An empty table of samples or headers, for a dataset whose inputs have none.
pub(crate) fn empty(table: &str) -> RecordBatch {
    let schema = if table == "samples" {
        samples_schema()
    } else {
        headers_schema()
    };
    RecordBatch::new_empty(Arc::clone(&schema))
}
