//! A table `v` of genotype texts, packed as the scan packs them: two blocks of one directory.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "shared by two test binaries"
)]

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BinaryViewArray, Int32Array, RecordBatch, StringArray};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::datasource::MemTable;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use genokura_core::codec::cell::CellWriter;
use genokura_core::codec::{DefaultCall, RecordEncoder};
use genokura_exec::AccessContext;
use genokura_exec::directory::{CellAccess, DirectoryBlock, SampleDirectory};

/// One row: the ALT it is about, how many ALTs its record has, and a text for each sample; an empty text in a
/// whole block means that the row has no data for the block.
#[derive(Clone, Debug)]
pub struct Row {
    pub alt: u16,
    pub n_alts: u16,
    pub texts: Vec<String>,
}

impl Row {
    pub fn new(alt: u16, texts: &[&str]) -> Self {
        Self {
            alt,
            n_alts: 3,
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        }
    }
}

/// Keep it alive as long as cells are read.
pub struct Packed {
    pub directory: Arc<SampleDirectory>,
    pub context: SessionContext,
}

/// Samples `S0`, `S1`, … in two blocks, the second one in reverse order.
pub fn pack(rows: &[Row], default: DefaultCall) -> Packed {
    let samples = rows.first().map_or(0, |row| row.texts.len());
    let directory = directory(samples);
    let cells = rows.iter().map(|row| cell(row, &directory, default));
    let gt: ArrayRef = Arc::new(BinaryViewArray::from_iter_values(cells));
    let n = i32::try_from(rows.len()).unwrap();
    let id: ArrayRef = Arc::new(Int32Array::from_iter_values(0..n));
    let contig: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|_| "chr1")));
    let columns = [("id", id), ("contig", contig), ("gt", gt)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let context = context();
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    context.register_table("v", Arc::new(table)).unwrap();
    Packed { directory, context }
}

/// A session with the functions, of plain text types.
pub fn context() -> SessionContext {
    let config = SessionConfig::new()
        .with_target_partitions(1)
        .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false);
    let builder = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features();
    let mut state = genokura_sql_ext::register_all(builder).build();
    let options = state.config_mut().options_mut();
    options.extensions.insert(access());
    SessionContext::new_with_state(state)
}

fn access() -> CellAccess {
    CellAccess::of(&AccessContext::default())
}

fn directory(samples: usize) -> Arc<SampleDirectory> {
    let names = (0..samples).map(|i| format!("S{i}")).collect();
    let all: Vec<u32> = (0..u32::try_from(samples).unwrap()).collect();
    let (first, second) = all.split_at(samples.div_ceil(2));
    let reversed: Vec<u32> = second.iter().rev().copied().collect();
    let blocks = vec![
        DirectoryBlock {
            block: 0,
            samples: first.into(),
        },
        DirectoryBlock {
            block: 4096,
            samples: reversed.into(),
        },
    ];
    SampleDirectory::register(names, blocks, access())
}

fn cell(row: &Row, directory: &SampleDirectory, default: DefaultCall) -> Vec<u8> {
    let texts_of = |block: &DirectoryBlock| -> Vec<&str> {
        block
            .samples
            .iter()
            .map(|sample| row.texts[*sample as usize].as_str())
            .collect()
    };
    let blocks: Vec<(u32, Vec<&str>)> = (0u32..)
        .zip(directory.blocks.iter().map(texts_of))
        .filter(|(_, texts)| texts.iter().any(|text| !text.is_empty()))
        .collect();
    let mut bytes = Vec::new();
    let parts = u32::try_from(blocks.len()).unwrap();
    let mut writer = CellWriter::begin(&mut bytes, directory.id, parts);
    let mut encoder = RecordEncoder::new();
    for (ordinal, texts) in blocks {
        let mut blob = Vec::new();
        encoder.begin(u32::try_from(texts.len()).unwrap(), row.n_alts, default);
        for (position, text) in (0u32..).zip(&texts) {
            encoder.call(position, text.as_bytes()).unwrap();
        }
        if encoder.finish(row.alt, &mut blob).is_default {
            writer.part_default(ordinal, default);
        } else {
            writer.part_blob(ordinal, &blob);
        }
    }
    bytes
}

/// The only column of a query, as text; NULL is `-`.
pub async fn column(context: &SessionContext, sql: &str) -> Vec<String> {
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let mut values = Vec::new();
    for batch in &batches {
        let options = FormatOptions::default().with_null("-");
        let formatter = ArrayFormatter::try_new(batch.column(0), &options);
        let formatter = formatter.unwrap();
        values.extend((0..batch.num_rows()).map(|row| formatter.value(row).to_string()));
    }
    values
}

/// The error of a statement, wherever it comes up.
pub async fn error(context: &SessionContext, sql: &str) -> datafusion::error::DataFusionError {
    match context.sql(sql).await {
        Ok(frame) => frame.collect().await.unwrap_err(),
        Err(error) => error,
    }
}
