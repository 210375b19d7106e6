//! Parquet inputs: columns keep their types, brought to those of plain tables.
//!
//! int8, int16 and uint8, uint16 become int4; uint32 and uint64 int8; decimals and half floats
//! float8; timestamps of any unit microseconds, with time zone kept as UTC; dictionaries and
//! views plain text. Lists of these are kept. Anything else is refused by column.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::columns::{Column, schema_of};
use super::input::Input;
use super::landing::Sink;
use super::reader::Rows;
use super::types::Cell;
use crate::error::{Error, Result};
use crate::progress::CancelFlag;

/// Rows read at once.
const BATCH_ROWS: usize = 8_192;

/// A Parquet input, spooled to a temporary file since its end is read first. Blocking.
pub(crate) struct ParquetInput {
    file: File,
    schema: SchemaRef,
}

impl ParquetInput {
    /// Spools the input and reads its schema.
    ///
    /// # Errors
    /// [`Error::Format`] for damaged Parquet.
    pub(crate) fn open(input: &Input) -> Result<Self> {
        let mut file = tempfile::tempfile().map_err(Error::Spill)?;
        std::io::copy(&mut input.read()?, &mut file).map_err(Error::Spill)?;
        let again = file.try_clone().map_err(Error::Spill)?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(again).map_err(damaged)?;
        let schema = Arc::clone(reader.schema());
        Ok(Self { file, schema })
    }

    /// Names of its columns.
    pub(crate) fn names(&self) -> Vec<String> {
        self.schema
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .collect()
    }

    /// The type that a column gets in the lake.
    ///
    /// # Errors
    /// [`Error::Format`] for a type that plain tables do not have.
    pub(crate) fn target(&self, column: usize) -> Result<DataType> {
        let field = self.schema.field(column);
        target(field.data_type()).ok_or_else(|| {
            let (name, ty) = (field.name(), field.data_type());
            let reason = format!(
                "column {name:?} has type {ty}, which plain tables do not have; drop or flatten it"
            );
            Error::Format { input: 1, reason }
        })
    }

    /// Sends all rows that `look` has passed, the columns cast to those of `schema` by place. It is told how many rows
    /// came before those of a batch.
    pub(crate) fn send(
        self,
        schema: SchemaRef,
        look: impl Fn(&RecordBatch, u64) -> Result<()>,
        cancel: &CancelFlag,
        sink: &Sink,
    ) -> Result<()> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(self.file).map_err(damaged)?;
        let reader = reader
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(damaged)?;
        let mut before = 0;
        for batch in reader {
            cancel.check()?;
            let batch = batch?;
            let columns = batch.columns().iter().zip(schema.fields());
            let cast = columns
                .map(|(array, field)| cast_column(array, field))
                .collect::<Result<_>>()?;
            let batch = RecordBatch::try_new(Arc::clone(&schema), cast)?;
            look(&batch, before)?;
            before += batch.num_rows() as u64;
            sink.send(batch)?;
        }
        Ok(())
    }
}

/// The rows of a Parquet input with every cell as text, for jobs that give columns types of their own.
pub(crate) struct ParquetRows {
    batches: ParquetRecordBatchReader,
    headers: Vec<String>,
    columns: Vec<StringArray>,
    row: usize,
    line: u64,
}

impl ParquetInput {
    /// Its rows; the number of a row, from 1, stands for its line.
    ///
    /// # Errors
    /// [`Error::Format`] for damaged Parquet.
    pub(crate) fn rows(self) -> Result<ParquetRows> {
        let headers = self.names();
        let reader = ParquetRecordBatchReaderBuilder::try_new(self.file).map_err(damaged)?;
        let reader = reader.with_batch_size(BATCH_ROWS);
        Ok(ParquetRows {
            batches: reader.build().map_err(damaged)?,
            headers,
            columns: Vec::new(),
            row: 0,
            line: 0,
        })
    }
}

impl Rows for ParquetRows {
    fn next_row(&mut self) -> Result<Option<u64>> {
        self.row += 1;
        while self.columns.first().is_none_or(|c| self.row >= c.len()) {
            let Some(batch) = self.batches.next().transpose()? else {
                return Ok(None);
            };
            let fields = self.headers.iter().zip(batch.columns());
            let texts = fields.map(|(name, array)| {
                let field = Field::new(name, DataType::Utf8, true);
                Ok(cast_column(array, &field)?.as_string::<i32>().clone())
            });
            self.columns = texts.collect::<Result<_>>()?;
            self.row = 0;
        }
        self.line += 1;
        Ok(Some(self.line))
    }

    fn headers(&self) -> &[String] {
        &self.headers
    }

    fn cell(&self, column: usize) -> Cell<'_> {
        let texts = self.columns.get(column);
        match texts.filter(|texts| texts.is_valid(self.row)) {
            Some(texts) => Cell::Bare(texts.value(self.row)),
            None => Cell::Null,
        }
    }
}

/// The schema of the rows: names and comments of `columns`, types of their own.
pub(crate) fn typed_schema(columns: &[Column], types: Vec<DataType>) -> SchemaRef {
    let schema = schema_of(columns);
    let fields = schema.fields().iter().zip(types);
    let fields: Vec<Field> = fields
        .map(|(field, ty)| field.as_ref().clone().with_data_type(ty))
        .collect();
    Arc::new(arrow::datatypes::Schema::new(fields))
}

fn cast_column(array: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, field.data_type(), &options).map_err(|e| Error::Format {
        input: 1,
        reason: format!(
            "column {:?} does not fit type {}: {e} (rule cell-type)",
            field.name(),
            field.data_type()
        ),
    })
}

fn target(ty: &DataType) -> Option<DataType> {
    Some(match ty {
        DataType::Boolean => DataType::Boolean,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => {
            DataType::Int32
        }
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float32 => DataType::Float32,
        DataType::Float16 | DataType::Float64 => DataType::Float64,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) => {
            DataType::Float64
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
            DataType::Utf8
        }
        DataType::Dictionary(_, value) => return target(value),
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        DataType::List(item) | DataType::LargeList(item) => {
            let item = target(item.data_type()).filter(|ty| !matches!(ty, DataType::List(_)))?;
            DataType::List(Arc::new(Field::new("item", item, true)))
        }
        _ => return None,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "shape of map_err")]
fn damaged(error: parquet::errors::ParquetError) -> Error {
    Error::Format {
        input: 1,
        reason: format!("not readable as Parquet: {error}"),
    }
}
