//! Rows on their way into a temporary table: gathered into pieces of some thousand rows, copied out of the buffers
//! that a query shares among its batches, with their memory reserved.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::physical_expr::PhysicalExpr;

use super::assign::{self, Session};
use super::enforce::row_text;
use super::{Piece, TempTable};
use crate::pg_types::{PgType, modifier_of_field};
use crate::pgwire::encode::TextStyle;
use crate::session::digits;
use crate::session::memory::SessionMemory;
use crate::sqlstate::{Object, ServerError};

/// Rows and bytes of a piece, about.
pub(super) const PIECE_ROWS: usize = 8_192;
const PIECE_BYTES: usize = 4 << 20;

/// Where the values of a column come from.
pub(super) enum Origin {
    /// A column of the rows, of this type.
    Column(usize, PgType),
    /// One value for every row.
    Constant(ArrayRef, PgType),
    /// A value of its own for each row, as of `random()`.
    Each(Arc<dyn PhysicalExpr>, PgType),
}

impl Origin {
    /// The type of its values.
    pub(super) fn pg_type(&self) -> PgType {
        match self {
            Origin::Column(_, from) | Origin::Constant(_, from) | Origin::Each(_, from) => *from,
        }
    }

    /// Its values for the rows of a query; of a constant of no query, `batch` is any of so many rows.
    ///
    /// # Errors
    /// What computing them fails with.
    pub(super) fn values(&self, batch: &RecordBatch) -> Result<ArrayRef, ServerError> {
        let rows = batch.num_rows();
        match self {
            Origin::Column(at, _) => batch.columns().get(*at).cloned().ok_or_else(|| {
                ServerError::internal("a query with fewer columns than it was planned with")
            }),
            Origin::Constant(value, _) => {
                let zeros = UInt32Array::from(vec![0; rows]);
                Ok(arrow::compute::take(value, &zeros, None)?)
            }
            Origin::Each(expr, _) => Ok(expr.evaluate(batch)?.into_array(rows)?),
        }
    }
}

/// How rows of a query become rows of a table.
pub(super) struct Arrangement {
    pub(super) target: Target,
    pub(super) schema: SchemaRef,
    pub(super) origins: Vec<Origin>,
    pub(super) session: Session,
}

impl Arrangement {
    /// The rows as the table keeps them.
    ///
    /// # Errors
    /// What a value fails with when it is assigned to its column; 23502 for NULL where there must be none.
    pub(super) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, ServerError> {
        let rows = batch.num_rows();
        let mut arrays = Vec::with_capacity(self.origins.len());
        for (origin, field) in self.origins.iter().zip(self.schema.fields()) {
            let values = origin.values(batch)?;
            let array = assign::assign(&values, origin.pg_type(), field, &self.session)?;
            arrays.push(array);
        }
        let style = &self.session.style;
        batch_of(&self.target, &self.schema, arrays, rows, style)
    }
}

/// The table that rows are for.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) schema: String,
    pub(super) table: String,
}

/// 23502: NULL where there must be none.
pub(super) fn null_value(target: &Target, field: &Field) -> ServerError {
    let (name, table) = (field.name(), &target.table);
    let text = format!(
        "null value in column \"{name}\" of relation \"{table}\" violates not-null constraint"
    );
    ServerError::new("23502", text).of_object(Object {
        schema: target.schema.clone(),
        table: table.clone(),
        column: Some(name.clone()),
        constraint: None,
    })
}

/// The first row that has NULL where there must be none, and the column.
fn first_null(arrays: &[ArrayRef], schema: &SchemaRef) -> Option<(usize, usize)> {
    let columns = arrays.iter().zip(schema.fields()).enumerate();
    let nulls = columns.filter_map(|(at, (array, field))| {
        if field.is_nullable() || array.logical_null_count() == 0 {
            return None;
        }
        let nulls = array.logical_nulls()?;
        (0..array.len())
            .find(|row| nulls.is_null(*row))
            .map(|row| (row, at))
    });
    nulls.min()
}

/// A batch of a table.
///
/// # Errors
/// 23502 for NULL where there must be none, 22008 for a time that its column rounds past the end of the day.
pub(super) fn batch_of(
    target: &Target,
    schema: &SchemaRef,
    arrays: Vec<ArrayRef>,
    rows: usize,
    style: &TextStyle,
) -> Result<RecordBatch, ServerError> {
    let mut kept = Vec::with_capacity(arrays.len());
    for (array, field) in arrays.into_iter().zip(schema.fields()) {
        kept.push(digits::rounded(array, modifier_of_field(field))?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    if let Some((row, at)) = first_null(&kept, schema) {
        let fields = schema.fields().iter();
        let fields = fields.map(|field| field.as_ref().clone().with_nullable(true));
        let open = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let batch = RecordBatch::try_new_with_options(open, kept, &options)?;
        let shown = row_text(&batch, row, style)?;
        let error = null_value(target, schema.field(at));
        return Err(error.detail(format!("Failing row contains ({shown}).")));
    }
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        kept,
        &options,
    )?)
}

/// Gathers batches into pieces.
pub(super) struct Filling {
    schema: SchemaRef,
    memory: SessionMemory,
    pending: Vec<RecordBatch>,
    pending_rows: usize,
    pending_bytes: usize,
    pieces: Vec<Arc<Piece>>,
    rows: u64,
}

impl Filling {
    pub(super) fn new(schema: SchemaRef, memory: SessionMemory) -> Filling {
        Filling {
            schema,
            memory,
            pending: Vec::new(),
            pending_rows: 0,
            pending_bytes: 0,
            pieces: Vec::new(),
            rows: 0,
        }
    }

    /// The memory that the rows take.
    pub(super) fn memory(&self) -> &SessionMemory {
        &self.memory
    }

    /// Adds rows.
    ///
    /// # Errors
    /// 53200 when they do not fit.
    pub(super) fn push(&mut self, batch: RecordBatch) -> Result<(), ServerError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        self.pending_rows += batch.num_rows();
        self.pending_bytes += batch.get_array_memory_size();
        self.pending.push(batch);
        if self.pending_rows >= PIECE_ROWS || self.pending_bytes >= PIECE_BYTES {
            self.end_piece()?;
        }
        Ok(())
    }

    fn end_piece(&mut self) -> Result<(), ServerError> {
        let pending = std::mem::take(&mut self.pending);
        (self.pending_rows, self.pending_bytes) = (0, 0);
        let batch = match pending.as_slice() {
            [] => return Ok(()),
            [one] => copied(one)?,
            many => concat_batches(&self.schema, many)?,
        };
        self.pieces
            .push(Arc::new(Piece::held(batch, &self.memory)?));
        Ok(())
    }

    /// The rows as pieces, and how many they are.
    ///
    /// # Errors
    /// As [`Filling::push`].
    pub(super) fn finish(mut self) -> Result<(Vec<Arc<Piece>>, u64), ServerError> {
        self.end_piece()?;
        Ok((self.pieces, self.rows))
    }
}

/// The same rows in buffers of their own.
fn copied(batch: &RecordBatch) -> Result<RecordBatch, ServerError> {
    let rows = u32::try_from(batch.num_rows())
        .map_err(|_| ServerError::new("54000", "a batch of more than 4 billion rows"))?;
    Ok(take_record_batch(
        batch,
        &UInt32Array::from_iter_values(0..rows),
    )?)
}

impl TempTable {
    /// The table with more rows. A small last piece grows, so that many small statements make few pieces.
    ///
    /// # Errors
    /// 53200 when they do not fit.
    pub(super) fn extended(
        &self,
        more: Vec<Arc<Piece>>,
        memory: &SessionMemory,
    ) -> Result<TempTable, ServerError> {
        let mut pieces = self.pieces.clone();
        for piece in more {
            let joins = pieces.last().is_some_and(|last| {
                last.batch.num_rows() + piece.batch.num_rows() <= PIECE_ROWS
                    && last.bytes + piece.bytes <= PIECE_BYTES
            });
            if !joins {
                pieces.push(piece);
                continue;
            }
            if let Some(last) = pieces.pop() {
                // The new piece stands beside both until they go.
                let joined = concat_batches(&self.schema, [&last.batch, &piece.batch])?;
                pieces.push(Arc::new(Piece::held(joined, memory)?));
            }
        }
        Ok(TempTable {
            pieces,
            ..self.clone()
        })
    }
}
