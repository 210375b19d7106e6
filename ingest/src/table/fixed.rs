//! Tables whose columns are known before anything is read, and their rows on the way.

use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{FieldRef, SchemaRef};

use super::columns::{BatchBuilder, Column};
use super::landing::Sink;
use super::types::{Cell, ColumnType};
use crate::error::Result;
use crate::progress::CancelFlag;

/// Rows between two looks at the cancel flag.
const ROWS_PER_CHECK: u64 = 4_096;

/// Name, type and comment of a column.
pub(crate) type FixedColumn = (&'static str, ColumnType, &'static str);

/// The columns of a table.
pub(crate) fn columns(of: &[FixedColumn]) -> Vec<Column> {
    let column = |(name, ty, comment): &FixedColumn| Column {
        name: (*name).to_owned(),
        source: (*name).to_owned(),
        ty: *ty,
        comment: (*comment).to_owned(),
    };
    of.iter().map(column).collect()
}

/// Rows of one table on their way.
pub(crate) struct Out<'a> {
    table: usize,
    batch: BatchBuilder,
    rows: u64,
    cancel: &'a CancelFlag,
    sink: &'a Sink,
    /// The columns of the table that is there, when they are others.
    target: Option<SchemaRef>,
}

impl<'a> Out<'a> {
    /// No rows yet of the table at this place of the landing.
    pub(crate) fn new(
        table: usize,
        of: &[FixedColumn],
        cancel: &'a CancelFlag,
        sink: &'a Sink,
    ) -> Self {
        Self::of_columns(table, columns(of), cancel, sink)
    }

    /// The same for columns that a file has.
    pub(crate) fn of_columns(
        table: usize,
        columns: Vec<Column>,
        cancel: &'a CancelFlag,
        sink: &'a Sink,
    ) -> Self {
        Self {
            table,
            batch: BatchBuilder::new(columns),
            rows: 0,
            cancel,
            sink,
            target: None,
        }
    }

    /// The same for a table with more columns, or in another order: those that rows lack are NULL.
    pub(crate) fn into_schema(self, target: SchemaRef) -> Self {
        let target = Some(target);
        Self { target, ..self }
    }

    /// A row; `line` is told when a cell does not fit.
    ///
    /// # Errors
    /// [`Error::Cell`](crate::Error::Cell), and when the job was cancelled.
    pub(crate) fn row(&mut self, cells: &[Cell<'_>], line: u64) -> Result<()> {
        for (column, cell) in cells.iter().enumerate() {
            self.batch.append(column, *cell, line)?;
        }
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS_PER_CHECK) {
            self.cancel.check()?;
        }
        if self.batch.end_row() {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Sends what is left.
    ///
    /// # Errors
    /// When nobody takes rows any more.
    pub(crate) fn flush(&mut self) -> Result<()> {
        match self.batch.finish()? {
            Some(batch) => self.sink.send_to(self.table, self.placed(batch)?),
            None => Ok(()),
        }
    }
}

impl Out<'_> {
    fn placed(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let Some(target) = &self.target else {
            return Ok(batch);
        };
        let rows = batch.num_rows();
        let column = |field: &FieldRef| match batch.column_by_name(field.name()) {
            Some(column) => Arc::clone(column),
            None => new_null_array(field.data_type(), rows),
        };
        let columns = target.fields().iter().map(column).collect();
        Ok(RecordBatch::try_new(Arc::clone(target), columns)?)
    }
}

/// A text, if there is one.
pub(crate) fn cell(text: Option<&str>) -> Cell<'_> {
    text.map_or(Cell::Null, Cell::Quoted)
}

/// A list; NULL when it has nothing.
pub(crate) fn list(items: &[String]) -> Cell<'_> {
    if items.is_empty() {
        Cell::Null
    } else {
        Cell::List(items)
    }
}
