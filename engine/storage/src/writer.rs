//! Writes the Parquet files of a table: row-group policy, rolling, statistics for the Delta log.
//!
//! | kind of table | row groups | pages | blobs |
//! |---|---|---|---|
//! | site | 65,536 rows | 8,192 rows or 1 MB | none |
//! | genotype | where [`PartWriter::end_row_group`] says | 8,192 rows or 1 MB | zstd level 6, no dictionary or statistics |
//! | format | as genotype | 1,024 rows or 256 kB | zstd level 1, else as genotype |
//! | others | 131,072 rows | 16,384 rows or 1 MB | like above |
//!
//! Everything has a page index; where nothing else is said, zstd has level 3. Carriers of neighbours
//! repeat, which level 6 finds (2 % less for 0.2 s more over 25 MB of blobs). Depths and qualities are noise: there
//! level 1 takes less room than level 3 (DP 0.624 and 0.630 bytes a call, GQ 0.586 and 0.609), which
//! spends bits on matches by chance, and a page of 256 kB takes no more than one of 1 MB. Blob tables
//! are written a few rows at a time: the Parquet writer looks at the size of a page only between
//! batches, and 1,024 blobs of 8 kB would make a page of 8 MB. Integers that rise along a file are
//! delta-packed; counts of a block, which jump, are split by bytes (0.4 of what they take delta-packed).

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;

use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::manifest::{ColumnStats, FileStats, NewFile, ScalarStat, TableId};

/// Files end when they are larger than this, in bytes.
pub const FILE_BYTES_MAX: u64 = 512 << 20;

/// Bytes of a page before compression.
const PAGE_BYTES: usize = 1 << 20;

/// Bytes of a page of FORMAT blobs before compression.
const FORMAT_PAGE_BYTES: usize = 256 << 10;

/// Rows given to the Parquet writer at a time, in tables with blobs.
const BLOB_WRITE_ROWS: usize = 64;

/// As [`BLOB_WRITE_ROWS`], where a blob may have tens of kB.
const FORMAT_WRITE_ROWS: usize = 8;

/// Bytes of one part of an upload; a file of 512 MB has some 50 of them.
const UPLOAD_PART_BYTES: usize = 10 << 20;

/// Uploads of one file at a time.
const UPLOADS_AT_ONCE: usize = 4;

const ZSTD_LEVEL: i32 = 3;

const FORMAT_ZSTD_LEVEL: i32 = 1;

const GENOTYPE_ZSTD_LEVEL: i32 = 12;

/// Columns whose statistics a Delta log has when none are named: Delta's own default.
const STATS_COLUMNS_DEFAULT: usize = 32;

/// How the files of one kind of table are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritePolicy {
    /// Rows of a row group at most.
    pub row_group_rows: usize,
    /// Rows of a page at most.
    pub page_rows: usize,
    /// Bytes of a page before compression, about.
    pub page_bytes: usize,
    /// Rows given to the Parquet writer at a time in a table with blobs: pages end only between them.
    pub blob_write_rows: usize,
    /// Level of zstd.
    pub zstd_level: i32,
    /// Size after which a new file begins, in bytes.
    pub file_bytes_max: u64,
    /// Integer columns that rise along a file; stored as packed differences.
    pub rising: &'static [&'static str],
    /// Integer columns that jump from row to row; stored split by bytes, without a dictionary.
    pub jumping: &'static [&'static str],
    /// Columns whose statistics go to the Delta log; empty: the first 32.
    pub stats: &'static [&'static str],
    /// Whether only the caller ends row groups (and so files).
    pub caller_ends_row_groups: bool,
}

/// Columns with statistics in the Delta log, of the tables of a dataset.
const STATS: &[&str] = &[
    "vid", "record", "block", "pos", "end_pos", "vcf_pos", "contig", "alt",
];

impl WritePolicy {
    /// The site table.
    #[must_use]
    pub fn site() -> Self {
        Self {
            row_group_rows: 65_536,
            page_rows: 8_192,
            page_bytes: PAGE_BYTES,
            blob_write_rows: BLOB_WRITE_ROWS,
            zstd_level: ZSTD_LEVEL,
            file_bytes_max: FILE_BYTES_MAX,
            rising: &["vid", "record", "pos", "end_pos", "vcf_pos"],
            jumping: &[],
            stats: STATS,
            caller_ends_row_groups: false,
        }
    }

    /// The genotype table: a row group is one window of alleles of one sample block.
    #[must_use]
    pub fn genotype() -> Self {
        Self {
            row_group_rows: 1 << 20,
            page_rows: 8_192,
            zstd_level: GENOTYPE_ZSTD_LEVEL,
            rising: &["vid"],
            jumping: &["ac", "an", "n_missing"],
            caller_ends_row_groups: true,
            ..Self::site()
        }
    }

    /// The format table: a row group is one window of records of one sample block.
    #[must_use]
    pub fn format() -> Self {
        Self {
            rising: &["record", "vcf_pos"],
            jumping: &[],
            page_rows: 1_024,
            page_bytes: FORMAT_PAGE_BYTES,
            blob_write_rows: FORMAT_WRITE_ROWS,
            zstd_level: FORMAT_ZSTD_LEVEL,
            ..Self::genotype()
        }
    }

    /// Every other table.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            row_group_rows: 131_072,
            page_rows: 16_384,
            rising: &[],
            stats: &[],
            caller_ends_row_groups: false,
            ..Self::site()
        }
    }

    fn properties(&self, schema: &Schema) -> Result<WriterProperties> {
        let level = self.zstd_level;
        let zstd = ZstdLevel::try_new(level)
            .map_err(|e| Error::Internal(format!("zstd level {level}: {e}")))?;
        let mut builder = WriterProperties::builder()
            .set_created_by(crate::ENGINE.to_owned())
            .set_compression(Compression::ZSTD(zstd))
            .set_max_row_group_row_count(Some(self.row_group_rows))
            .set_data_page_size_limit(self.page_bytes)
            .set_data_page_row_count_limit(self.page_rows)
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_coerce_types(true);
        for field in schema.fields() {
            let column = ColumnPath::from(field.name().as_str());
            builder = match field.data_type() {
                t if is_blob(t) => blob(builder, column).set_write_batch_size(self.blob_write_rows),
                _ if self.rising.contains(&field.name().as_str()) => builder
                    .set_column_dictionary_enabled(column.clone(), false)
                    .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED),
                _ if self.jumping.contains(&field.name().as_str()) => builder
                    .set_column_dictionary_enabled(column.clone(), false)
                    .set_column_encoding(column, Encoding::BYTE_STREAM_SPLIT),
                _ => builder,
            };
        }
        Ok(builder.build())
    }
}

fn blob(builder: WriterPropertiesBuilder, column: ColumnPath) -> WriterPropertiesBuilder {
    builder
        .set_column_dictionary_enabled(column.clone(), false)
        .set_column_statistics_enabled(column, EnabledStatistics::None)
}

fn is_blob(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView
    )
}

/// Writes the rows of one table into as many files as it takes, one partition at a time.
///
/// Rows stay in the order they come. A file never holds rows of two partitions; coming back to a
/// partition begins another file. Dropping the writer abandons the file at hand; files that were
/// finished stay in the store and nobody sees them until they are committed.
#[derive(Debug)]
pub struct PartWriter {
    lake: Lake,
    id: TableId,
    schema: SchemaRef,
    policy: WritePolicy,
    open: Option<OpenFile>,
    finished: Vec<NewFile>,
}

struct OpenFile {
    pos_bin: Option<String>,
    path: Path,
    writer: AsyncArrowWriter<BufWriter>,
}

impl std::fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl PartWriter {
    /// A writer of rows with the columns of `schema` (without partition columns).
    #[must_use]
    pub fn new(lake: &Lake, id: &TableId, schema: SchemaRef, policy: WritePolicy) -> Self {
        let (lake, id) = (lake.clone(), id.clone());
        Self {
            lake,
            id,
            schema,
            policy,
            open: None,
            finished: Vec::new(),
        }
    }

    /// Appends rows. Their columns are those of the writer, in order and by name; a text column
    /// may come dictionary-encoded, a binary one as view, the same way in every batch.
    ///
    /// # Errors
    /// [`Error::Internal`] for other columns; what Parquet and the object store report.
    pub async fn write(&mut self, pos_bin: Option<&str>, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.check_columns(batch)?;
        if self
            .open
            .as_ref()
            .is_some_and(|open| self.is_full(open) || open.pos_bin.as_deref() != pos_bin)
        {
            self.finish_file().await?;
        }
        if self.open.is_none() {
            self.open = Some(self.begin(pos_bin, &batch.schema())?);
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        open.writer
            .write(batch)
            .await
            .map_err(|e| Error::parquet(&open.path, e))
    }

    /// Ends the row group at hand; the next row begins a new one.
    ///
    /// # Errors
    /// What Parquet and the object store report.
    pub async fn end_row_group(&mut self) -> Result<()> {
        match &mut self.open {
            Some(open) => open
                .writer
                .flush()
                .await
                .map_err(|e| Error::parquet(&open.path, e)),
            None => Ok(()),
        }
    }

    /// Bytes held in memory by the row group at hand.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.open
            .as_ref()
            .map_or(0, |open| open.writer.memory_size())
    }

    /// Finishes the last file and returns all files, in the order they were written.
    ///
    /// # Errors
    /// What Parquet and the object store report.
    pub async fn finish(mut self) -> Result<Vec<NewFile>> {
        self.finish_file().await?;
        Ok(std::mem::take(&mut self.finished))
    }

    fn check_columns(&self, batch: &RecordBatch) -> Result<()> {
        let schema = batch.schema_ref();
        let same = schema.fields().len() == self.schema.fields().len()
            && schema
                .fields()
                .iter()
                .zip(self.schema.fields())
                .all(|(a, b)| a.name() == b.name());
        if same {
            return Ok(());
        }
        let table = &self.id;
        Err(Error::Internal(format!(
            "rows for table {table} do not have its writer's columns"
        )))
    }

    fn is_full(&self, open: &OpenFile) -> bool {
        let writer = &open.writer;
        let bytes = writer.bytes_written() as u64 + writer.in_progress_size() as u64;
        let may_end = !self.policy.caller_ends_row_groups || writer.in_progress_rows() == 0;
        may_end && bytes >= self.policy.file_bytes_max
    }

    fn begin(&self, pos_bin: Option<&str>, schema: &SchemaRef) -> Result<OpenFile> {
        let path = self.lake.layout().new_part(&self.id, pos_bin);
        let upload = BufWriter::with_capacity(self.lake.store(), path.clone(), UPLOAD_PART_BYTES)
            .with_max_concurrency(UPLOADS_AT_ONCE);
        let options = ArrowWriterOptions::new()
            .with_properties(self.policy.properties(schema)?)
            .with_skip_arrow_metadata(true);
        let writer = AsyncArrowWriter::try_new_with_options(upload, Arc::clone(schema), options)
            .map_err(|e| Error::parquet(&path, e))?;
        Ok(OpenFile {
            pos_bin: pos_bin.map(str::to_owned),
            path,
            writer,
        })
    }

    async fn finish_file(&mut self) -> Result<()> {
        let Some(mut open) = self.open.take() else {
            return Ok(());
        };
        let metadata = open
            .writer
            .finish()
            .await
            .map_err(|e| Error::parquet(&open.path, e))?;
        let rows = metadata.file_metadata().num_rows();
        self.finished.push(NewFile {
            size: open.writer.bytes_written() as u64,
            rows: u64::try_from(rows).unwrap_or_default(),
            pos_bin: open.pos_bin,
            modified_ms: chrono::Utc::now().timestamp_millis(),
            stats: self.stats(&metadata),
            path: open.path,
        });
        Ok(())
    }

    fn stats(&self, metadata: &ParquetMetaData) -> FileStats {
        let named = self.policy.stats;
        let columns = self.schema.fields().iter();
        let kept = columns.filter(|f| named.is_empty() || named.contains(&f.name().as_str()));
        let kept = kept.take(if named.is_empty() {
            STATS_COLUMNS_DEFAULT
        } else {
            usize::MAX
        });
        let mut stats = BTreeMap::new();
        for field in kept {
            if let Some(column) = column_stats(metadata, field.name(), field.data_type()) {
                stats.insert(field.name().clone(), column);
            }
        }
        FileStats { columns: stats }
    }
}

/// Statistics of a column over all row groups; `None` for a nested column or one without any.
fn column_stats(
    metadata: &ParquetMetaData,
    name: &str,
    data_type: &DataType,
) -> Option<ColumnStats> {
    let groups = metadata.row_groups().iter();
    let parts: Option<Vec<&Statistics>> = groups.map(|group| chunk_stats(group, name)).collect();
    let parts = parts?;
    let nulls = parts.iter().map(|part| part.null_count_opt());
    let null_count = nulls.sum::<Option<u64>>();
    let bounds = |pick: fn(&Statistics, &DataType) -> Option<ScalarStat>, less: bool| {
        let full = |s: &&Statistics| !is_all_null(s);
        parts
            .iter()
            .copied()
            .filter(full)
            .map(|part| pick(part, data_type))
            .reduce(|a, b| Some(extreme(a?, b?, less)))
            .flatten()
    };
    Some(ColumnStats {
        min: bounds(minimum, true),
        max: bounds(maximum, false),
        null_count,
    })
}

fn chunk_stats<'a>(group: &'a RowGroupMetaData, name: &str) -> Option<&'a Statistics> {
    let mut chunks = group.columns().iter();
    let chunk = chunks.find(|chunk| {
        let parts = chunk.column_path().parts();
        parts.len() == 1 && parts[0] == name
    })?;
    chunk.statistics()
}

/// True of a chunk that tells neither minimum nor maximum because it has no value.
fn is_all_null(stats: &Statistics) -> bool {
    stats.min_bytes_opt().is_none()
        && stats.max_bytes_opt().is_none()
        && stats.null_count_opt().is_some_and(|nulls| nulls > 0)
}

fn minimum(stats: &Statistics, data_type: &DataType) -> Option<ScalarStat> {
    match stats {
        Statistics::Int32(s) => int32(*s.min_opt()?, data_type),
        Statistics::Int64(s) => int64(*s.min_opt()?, data_type),
        Statistics::Float(s) => float(f64::from(*s.min_opt()?)),
        Statistics::Double(s) => float(*s.min_opt()?),
        Statistics::ByteArray(s) => text(s.min_opt()?.as_utf8().ok()?, data_type),
        _ => None,
    }
}

fn maximum(stats: &Statistics, data_type: &DataType) -> Option<ScalarStat> {
    match stats {
        Statistics::Int32(s) => int32(*s.max_opt()?, data_type),
        Statistics::Int64(s) => int64(*s.max_opt()?, data_type),
        Statistics::Float(s) => float(f64::from(*s.max_opt()?)),
        Statistics::Double(s) => float(*s.max_opt()?),
        Statistics::ByteArray(s) => text(s.max_opt()?.as_utf8().ok()?, data_type),
        _ => None,
    }
}

fn int32(value: i32, data_type: &DataType) -> Option<ScalarStat> {
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 => Some(ScalarStat::Int(value.into())),
        DataType::Date32 => {
            let days = chrono::TimeDelta::try_days(value.into())?;
            let date = chrono::NaiveDate::default().checked_add_signed(days)?;
            Some(ScalarStat::Text(date.format("%Y-%m-%d").to_string()))
        }
        _ => None,
    }
}

fn int64(value: i64, data_type: &DataType) -> Option<ScalarStat> {
    (*data_type == DataType::Int64).then_some(ScalarStat::Int(value))
}

fn float(value: f64) -> Option<ScalarStat> {
    value.is_finite().then_some(ScalarStat::Float(value))
}

fn text(value: &str, data_type: &DataType) -> Option<ScalarStat> {
    let is_text = match data_type {
        DataType::Dictionary(_, value) => value.is_string(),
        other => other.is_string(),
    };
    is_text.then(|| ScalarStat::Text(value.to_owned()))
}

fn extreme(a: ScalarStat, b: ScalarStat, less: bool) -> ScalarStat {
    let a_is_less = match (&a, &b) {
        (ScalarStat::Int(x), ScalarStat::Int(y)) => x <= y,
        (ScalarStat::Float(x), ScalarStat::Float(y)) => x <= y,
        (ScalarStat::Text(x), ScalarStat::Text(y)) => x <= y,
        // One column has one kind of value.
        _ => true,
    };
    if a_is_less == less { a } else { b }
}
