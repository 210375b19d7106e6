//! Reads the Parquet files of a table: cached footers, coalesced range reads, blobs as views.
//!
//! Files never change, so footers and page indexes are kept for the whole process by path, up to
//! [`METADATA_BYTES_MAX`]; the least recently used go first.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, RowFilter, RowSelection, RowSelector,
};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;

use crate::byte_cache::ByteCache;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::manifest::DataFile;

/// Bytes of footers and page indexes kept in memory by the process.
pub const METADATA_BYTES_MAX: usize = 256 << 20;

/// Bytes read from the end of a file in the hope that footer and page index are among them.
const FOOTER_BYTES: usize = 256 << 10;

/// Column that is in the Delta log and not in the files.
const PARTITION_COLUMN: &str = "pos_bin";

/// An open file of a table: its footer and page index are in memory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FileReader {
    source: Source,
    pos_bin: Option<String>,
}

/// What to read of a file.
#[derive(Default)]
pub struct ReadPlan {
    /// Columns of the result, in order. A column that the file lacks is NULL in every row;
    /// `pos_bin` is the file's partition; a column of another type is cast. `Binary` comes out as
    /// `BinaryView`, see [`ReadPlan::output_schema`].
    pub schema: Option<SchemaRef>,
    /// Row groups to read, rising; `None`: all.
    pub row_groups: Option<Vec<usize>>,
    /// Rows to read of these row groups; `None`: all.
    pub selection: Option<RowSelection>,
    /// Predicates that are evaluated while reading; columns of the result that only rows which
    /// pass need are decoded for those rows.
    pub filter: Option<RowFilter>,
    /// Rows of a batch at most; 0: 8,192.
    pub batch_size: usize,
    /// Rows of the result at most.
    pub limit: Option<usize>,
}

impl std::fmt::Debug for ReadPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadPlan")
            .field("schema", &self.schema)
            .field("row_groups", &self.row_groups)
            .field("selection", &self.selection)
            .field("filtered", &self.filter.is_some())
            .field("batch_size", &self.batch_size)
            .field("limit", &self.limit)
            .finish()
    }
}

/// Rows of a batch when the plan does not say.
const BATCH_ROWS: usize = 8_192;

impl FileReader {
    /// Opens `file` of `lake`; reads its footer and page index unless they are in the cache.
    ///
    /// # Errors
    /// [`Error::Missing`] when it is not there, [`Error::Parquet`] when it is no Parquet file.
    pub async fn open(lake: &Lake, file: &DataFile) -> Result<Self> {
        Self::open_at(lake.store(), file).await
    }

    /// As [`FileReader::open`], in any store.
    ///
    /// # Errors
    /// As [`FileReader::open`].
    pub async fn open_at(store: Arc<dyn ObjectStore>, file: &DataFile) -> Result<Self> {
        let mut fetch = Ranges {
            store,
            path: file.path.clone(),
        };
        let metadata = match CACHE.get(&file.path) {
            Some(metadata) => metadata,
            None => keep(&file.path, load(&mut fetch, file).await?),
        };
        Ok(Self {
            source: Source { fetch, metadata },
            pos_bin: file.pos_bin.clone(),
        })
    }

    /// Where the file is in its store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.source.fetch.path
    }

    /// Footer and page index.
    #[must_use]
    pub fn metadata(&self) -> &Arc<ParquetMetaData> {
        self.source.metadata.metadata()
    }

    /// Footer with the Arrow schema that [`FileReader::source`] is read with.
    #[must_use]
    pub fn arrow_metadata(&self) -> &ArrowReaderMetadata {
        &self.source.metadata
    }

    /// Columns of the file itself; blobs are `BinaryView`.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        self.source.metadata.schema()
    }

    /// The bytes of the file, for readers that build their own Parquet stream.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source.clone()
    }

    /// Row groups with row count and statistics, in order.
    pub fn row_groups(&self) -> impl Iterator<Item = RowGroup<'_>> {
        self.metadata()
            .row_groups()
            .iter()
            .enumerate()
            .map(|(index, meta)| RowGroup { index, meta })
    }

    /// Which columns of the file a [`RowFilter`] reads, by name; columns it lacks are left out.
    #[must_use]
    pub fn projection<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> ProjectionMask {
        let roots = names
            .into_iter()
            .filter_map(|name| self.schema().index_of(name).ok());
        ProjectionMask::roots(self.metadata().file_metadata().schema_descr(), roots)
    }

    /// Rows of the pages of a row group whose smallest and largest value of an integer column
    /// `keep` accepts, by the page index. Pages that the index does not tell of are kept; without
    /// any index all rows are.
    #[must_use]
    pub fn pages_where(
        &self,
        row_group: usize,
        column: &str,
        mut keep: impl FnMut(i64, i64) -> bool,
    ) -> RowSelection {
        let Some(group) = self.metadata().row_groups().get(row_group) else {
            return RowSelection::default();
        };
        let rows = usize::try_from(group.num_rows()).unwrap_or_default();
        let pages = self
            .page_bounds(row_group, column)
            .unwrap_or_else(|| vec![(0..rows, None)]);
        let selectors = pages.into_iter().map(|(range, bounds)| {
            if bounds.is_none_or(|(min, max)| keep(min, max)) {
                RowSelector::select(range.len())
            } else {
                RowSelector::skip(range.len())
            }
        });
        selectors.collect()
    }

    /// Number of pages of a column in a row group, by the page index; `None` when it does not tell.
    #[must_use]
    pub fn pages(&self, row_group: usize, column: &str) -> Option<usize> {
        let metadata = self.metadata();
        let leaf = leaf_of(metadata.row_groups().get(row_group)?, column)?;
        let index = metadata.offset_index()?.get(row_group)?.get(leaf)?;
        Some(index.page_locations().len())
    }

    /// Rows of each page of an integer column, with its bounds where known.
    fn page_bounds(&self, row_group: usize, column: &str) -> Option<Vec<PageBounds>> {
        let metadata = self.metadata();
        let group = metadata.row_group(row_group);
        let leaf = leaf_of(group, column)?;
        let pages = metadata
            .offset_index()?
            .get(row_group)?
            .get(leaf)?
            .page_locations();
        let index = metadata.column_index()?.get(row_group)?.get(leaf)?;
        let starts: Option<Vec<usize>> = pages
            .iter()
            .map(|page| usize::try_from(page.first_row_index).ok())
            .collect();
        let starts = starts?;
        let rows = usize::try_from(group.num_rows()).ok()?;
        let ends = starts.iter().skip(1).copied().chain([rows]);
        let ranges = starts
            .iter()
            .copied()
            .zip(ends)
            .map(|(start, end)| start..end);
        Some(
            ranges
                .enumerate()
                .map(|(page, range)| (range, int_bounds(index, page)))
                .collect(),
        )
    }

    /// Reads what `plan` says. The stream reads ahead of nothing: one row group at a time, its
    /// ranges coalesced.
    ///
    /// # Errors
    /// [`Error::Parquet`] for a plan that does not fit the file; the stream reports the rest.
    pub fn read(&self, plan: ReadPlan) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let path = self.source.fetch.path.clone();
        let output = match &plan.schema {
            Some(_) => plan.output_schema(),
            None => Arc::clone(self.schema()),
        };
        let names = output.fields().iter().map(|field| field.name().as_str());
        let mask = self.projection(names);
        let batch_size = if plan.batch_size == 0 {
            BATCH_ROWS
        } else {
            plan.batch_size
        };
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(
            self.source(),
            self.source.metadata.clone(),
        )
        .with_projection(mask)
        .with_batch_size(batch_size);
        if let Some(groups) = plan.row_groups {
            builder = builder.with_row_groups(groups);
        }
        if let Some(selection) = plan.selection {
            builder = builder.with_row_selection(selection);
        }
        if let Some(filter) = plan.filter {
            builder = builder.with_row_filter(filter);
        }
        if let Some(limit) = plan.limit {
            builder = builder.with_limit(limit);
        }
        let stream = builder.build().map_err(|e| Error::parquet(&path, e))?;
        let pos_bin = self.pos_bin.clone();
        Ok(stream
            .map(move |batch| {
                let batch = batch.map_err(|e| Error::parquet(&path, e))?;
                adapt(&batch, &output, pos_bin.as_deref())
            })
            .boxed())
    }
}

impl ReadPlan {
    /// A plan for all rows of these columns.
    #[must_use]
    pub fn of(schema: SchemaRef) -> Self {
        Self {
            schema: Some(schema),
            ..Self::default()
        }
    }

    /// Columns of the batches: `schema` with `BinaryView` for every `Binary`; empty without one.
    #[must_use]
    pub fn output_schema(&self) -> SchemaRef {
        self.schema
            .as_ref()
            .map_or_else(|| Arc::new(Schema::empty()), with_views)
    }
}

type PageBounds = (Range<usize>, Option<(i64, i64)>);

/// A row group of a file.
#[derive(Clone, Copy, Debug)]
pub struct RowGroup<'a> {
    /// Its number in the file, from 0.
    pub index: usize,
    meta: &'a RowGroupMetaData,
}

impl<'a> RowGroup<'a> {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        u64::try_from(self.meta.num_rows()).unwrap_or_default()
    }

    /// Compressed size in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::try_from(self.meta.compressed_size()).unwrap_or_default()
    }

    /// Size in bytes of a column before compression, of a list that of its items; 0 when the file
    /// lacks it.
    #[must_use]
    pub fn decoded_bytes(&self, column: &str) -> u64 {
        let of_column = |chunk: &&ColumnChunkMetaData| {
            let parts = chunk.column_path().parts();
            parts.first().is_some_and(|root| root == column)
        };
        let chunks = self.meta.columns().iter().filter(of_column);
        let bytes =
            chunks.map(|chunk| u64::try_from(chunk.uncompressed_size()).unwrap_or_default());
        bytes.sum()
    }

    /// Smallest and largest value of an integer column; `None` when not known or all NULL.
    #[must_use]
    pub fn int_range(&self, column: &str) -> Option<(i64, i64)> {
        match self.statistics(column)? {
            Statistics::Int32(s) => Some((i64::from(*s.min_opt()?), i64::from(*s.max_opt()?))),
            Statistics::Int64(s) => Some((*s.min_opt()?, *s.max_opt()?)),
            _ => None,
        }
    }

    /// A lower and an upper bound of a text column; `None` when not known or all NULL.
    #[must_use]
    pub fn text_range(&self, column: &str) -> Option<(&'a str, &'a str)> {
        match self.statistics(column)? {
            Statistics::ByteArray(s) => {
                Some((s.min_opt()?.as_utf8().ok()?, s.max_opt()?.as_utf8().ok()?))
            }
            _ => None,
        }
    }

    fn statistics(&self, column: &str) -> Option<&'a Statistics> {
        self.meta.column(leaf_of(self.meta, column)?).statistics()
    }
}

fn leaf_of(group: &RowGroupMetaData, column: &str) -> Option<usize> {
    group.columns().iter().position(|chunk| {
        let parts = chunk.column_path().parts();
        parts.len() == 1 && parts[0] == column
    })
}

fn int_bounds(index: &ColumnIndexMetaData, page: usize) -> Option<(i64, i64)> {
    match index {
        ColumnIndexMetaData::INT32(index) => {
            let (min, max) = (index.min_value(page)?, index.max_value(page)?);
            Some((i64::from(*min), i64::from(*max)))
        }
        ColumnIndexMetaData::INT64(index) => {
            Some((*index.min_value(page)?, *index.max_value(page)?))
        }
        _ => None,
    }
}

/// Bytes of one file, with its footer at hand: what the Parquet reader asks for.
#[derive(Clone, Debug)]
pub struct Source {
    fetch: Ranges,
    metadata: ArrowReaderMetadata,
}

impl AsyncFileReader for Source {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.fetch.get_bytes(range)
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        self.fetch.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let metadata = Arc::clone(self.metadata.metadata());
        async move { Ok(metadata) }.boxed()
    }
}

/// Range reads of one object.
#[derive(Clone, Debug)]
struct Ranges {
    store: Arc<dyn ObjectStore>,
    path: Path,
}

impl AsyncFileReader for Ranges {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move {
            self.store
                .get_range(&self.path, range)
                .await
                .map_err(external)
        }
        .boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move {
            self.store
                .get_ranges(&self.path, &ranges)
                .await
                .map_err(external)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let none = ParquetError::General("the footer is read by the metadata reader".to_owned());
        async move { Err(none) }.boxed()
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

async fn load(fetch: &mut Ranges, file: &DataFile) -> Result<ArrowReaderMetadata> {
    let hint = usize::try_from(file.size)
        .unwrap_or(usize::MAX)
        .min(FOOTER_BYTES);
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Optional)
        .with_prefetch_hint(Some(hint))
        .load_and_finish(fetch, file.size)
        .await
        .map_err(|e| missing_or_parquet(&file.path, e))?;
    viewed(Arc::new(metadata)).map_err(|e| Error::parquet(&file.path, e))
}

fn missing_or_parquet(path: &Path, error: ParquetError) -> Error {
    if let ParquetError::External(source) = &error
        && let Some(object_store::Error::NotFound { path, .. }) = source.downcast_ref()
    {
        return Error::Missing { path: path.clone() };
    }
    Error::parquet(path, error)
}

/// The footer with a schema that reads blobs as views.
fn viewed(metadata: Arc<ParquetMetaData>) -> parquet::errors::Result<ArrowReaderMetadata> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let plain = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options)?;
    let schema = with_views(plain.schema());
    ArrowReaderMetadata::try_new(metadata, ArrowReaderOptions::new().with_schema(schema))
}

fn with_views(schema: &SchemaRef) -> SchemaRef {
    let view = |field: &Arc<Field>| match field.data_type() {
        DataType::Binary | DataType::LargeBinary => {
            Arc::new(field.as_ref().clone().with_data_type(DataType::BinaryView))
        }
        _ => Arc::clone(field),
    };
    let fields: Vec<_> = schema.fields().iter().map(view).collect();
    Arc::new(Schema::new(fields).with_metadata(schema.metadata().clone()))
}

fn adapt(batch: &RecordBatch, output: &SchemaRef, pos_bin: Option<&str>) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let column = |field: &Arc<Field>| -> Result<ArrayRef> {
        match batch.column_by_name(field.name()) {
            Some(array) if array.data_type() == field.data_type() => Ok(Arc::clone(array)),
            Some(array) => Ok(cast(array, field.data_type())?),
            None => match pos_bin {
                Some(bin) if field.name() == PARTITION_COLUMN => Ok(Arc::new(
                    StringArray::from_iter_values(std::iter::repeat_n(bin, rows)),
                )),
                _ => Ok(new_null_array(field.data_type(), rows)),
            },
        }
    };
    let columns = output
        .fields()
        .iter()
        .map(column)
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(output),
        columns,
        &options,
    )?)
}

static CACHE: LazyLock<ByteCache<Path, ArrowReaderMetadata>> =
    LazyLock::new(|| ByteCache::new(METADATA_BYTES_MAX));

fn keep(path: &Path, metadata: ArrowReaderMetadata) -> ArrowReaderMetadata {
    let bytes = metadata.metadata().memory_size();
    CACHE.put(path.clone(), metadata.clone(), bytes);
    metadata
}
