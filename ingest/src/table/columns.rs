//! The columns of a plain table while it is read: names, types, comments, and the batch at hand.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use genokura_core::schema::COMMENT_KEY;
use genokura_storage::TableId;

use super::types::{Cell, ColumnBuilder, ColumnType};
use crate::error::{Error, Result};

/// Rows of a batch at most.
const BATCH_ROWS: usize = 16_384;
/// Bytes of text in a batch at most, about.
const BATCH_BYTES: usize = 16 << 20;

/// One column of the table to be written.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Name in SQL.
    pub(crate) name: String,
    /// Name in the input; errors show it.
    pub(crate) source: String,
    /// Type.
    pub(crate) ty: ColumnType,
    /// Comment, empty when there is none.
    pub(crate) comment: String,
}

/// The Arrow schema of the columns, comments as metadata.
pub(crate) fn schema_of(columns: &[Column]) -> SchemaRef {
    let field = |column: &Column| {
        let field = Field::new(&column.name, column.ty.arrow(), true);
        if column.comment.is_empty() {
            return field;
        }
        field.with_metadata(HashMap::from([(
            COMMENT_KEY.to_owned(),
            column.comment.clone(),
        )]))
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// The columns of the table as it stands, and behind them those that are new.
///
/// # Errors
/// [`Error::Request`] for a column whose type is another.
pub(crate) fn merged(
    id: &TableId,
    columns: &[FieldRef],
    existing: Option<&SchemaRef>,
) -> Result<SchemaRef> {
    let mut fields: Vec<FieldRef> = existing.map_or_else(Vec::new, |schema| {
        schema.fields().iter().map(Arc::clone).collect()
    });
    for column in columns {
        match fields.iter().find(|field| field.name() == column.name()) {
            None => fields.push(Arc::clone(column)),
            Some(known) if known.data_type() == column.data_type() => {}
            Some(known) => {
                let message = format!(
                    "column {} of {}.{} is {} and this input declares {}: load it into a table of its own, or with \
                     --replace",
                    column.name(),
                    id.schema,
                    id.table,
                    known.data_type(),
                    column.data_type()
                );
                return Err(Error::Request(message));
            }
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Collects rows into batches.
pub(crate) struct BatchBuilder {
    schema: SchemaRef,
    columns: Vec<Column>,
    builders: Vec<ColumnBuilder>,
    rows: usize,
    bytes: usize,
    hint: &'static str,
}

impl BatchBuilder {
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        let builders = columns.iter().map(|c| ColumnBuilder::new(c.ty)).collect();
        Self {
            schema: schema_of(&columns),
            columns,
            builders,
            rows: 0,
            bytes: 0,
            hint: "mend the cell",
        }
    }

    /// What to do about a cell that does not fit.
    pub(crate) fn with_hint(self, hint: &'static str) -> Self {
        Self { hint, ..self }
    }

    /// Appends the value of one column of the row at hand. Every column gets one value a row.
    ///
    /// # Errors
    /// [`Error::Cell`] when the value does not fit; the batch is of no use then.
    pub(crate) fn append(&mut self, column: usize, cell: Cell<'_>, line: u64) -> Result<()> {
        if let Cell::Bare(text) | Cell::Quoted(text) = cell {
            self.bytes += text.len();
        }
        if self.builders[column].append(cell) {
            return Ok(());
        }
        let Column { source, ty, .. } = &self.columns[column];
        Err(bad_cell(source, *ty, cell, line, self.hint))
    }

    /// Ends the row; true when the batch is full.
    pub(crate) fn end_row(&mut self) -> bool {
        self.rows += 1;
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The rows so far as a batch; `None` when there are none.
    ///
    /// # Errors
    /// [`Error::Arrow`] when columns differ in length, which is our bug.
    pub(crate) fn finish(&mut self) -> Result<Option<RecordBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        (self.rows, self.bytes) = (0, 0);
        let arrays = self
            .builders
            .iter_mut()
            .map(ColumnBuilder::finish)
            .collect();
        Ok(Some(RecordBatch::try_new(
            Arc::clone(&self.schema),
            arrays,
        )?))
    }
}

/// The error for a cell; the text of the cell stays in the data.
fn bad_cell(source: &str, ty: ColumnType, cell: Cell<'_>, line: u64, hint: &str) -> Error {
    let shape = match cell {
        Cell::Bare(text) | Cell::Quoted(text) => {
            format!("a text of {} characters", text.chars().count())
        }
        Cell::List(items) => format!("a list of {} values", items.len()),
        Cell::Null => "no value".to_owned(),
    };
    let message = format!(
        "{shape} is no {ty} (rule cell-type); {hint}",
        ty = ty.as_str()
    );
    Error::Cell {
        input: 1,
        line,
        column: source.to_owned(),
        message,
    }
}
