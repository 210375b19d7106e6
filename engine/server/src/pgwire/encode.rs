//! Arrow columns to PostgreSQL text and binary values.
//!
//! A [`RowEncoder`] resolves one [`Cells`] per column and batch, so that no type is looked at
//! again per cell. Every value goes to one growing buffer; the length word of a cell is patched
//! after its bytes are written.

mod binary;
mod cells;
mod dates;
mod interval;
mod json;
mod number;
mod style;
mod text;

use arrow::record_batch::RecordBatch;
use bytes::{BufMut, BytesMut};

pub(crate) use cells::{Cells, two_forms};
pub use dates::DateStyle;
pub(crate) use dates::{date, timestamp};
pub use interval::IntervalStyle;
use number::FloatTexts;
pub(crate) use number::float;
pub use style::TextStyle;
pub(crate) use text::bytea;

use super::column::Column;
use crate::pg_types::PgType;
use crate::session::with_blanks;
use crate::sqlstate::ServerError;

/// How the values of one column are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text output of the type.
    Text,
    /// `typsend` output of the type.
    Binary,
}

impl Format {
    /// Reads a format code of Bind; codes other than 0 and 1 are refused.
    pub fn from_code(code: i16) -> Result<Format, ServerError> {
        match code {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            other => {
                let text = format!("unsupported format code: {other}");
                Err(ServerError::new("22023", text))
            }
        }
    }

    /// The format code of RowDescription.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            Format::Text => 0,
            Format::Binary => 1,
        }
    }
}

/// Encodes the rows of one batch.
pub struct RowEncoder {
    columns: Vec<(Cells, Format)>,
    style: TextStyle,
    floats: FloatTexts,
}

impl RowEncoder {
    /// Resolves an encoder per column. `formats` and `columns` are as long as the batch is wide.
    ///
    /// # Errors
    /// A column whose Arrow type does not fit the announced PostgreSQL type.
    pub fn new(
        batch: &RecordBatch,
        columns: &[Column],
        formats: &[Format],
        style: &TextStyle,
    ) -> Result<RowEncoder, ServerError> {
        if batch.num_columns() != columns.len() || columns.len() != formats.len() {
            return Err(ServerError::internal(format!(
                "a batch of {} columns for a result of {} columns",
                batch.num_columns(),
                columns.len()
            )));
        }
        let columns = batch
            .columns()
            .iter()
            .zip(columns.iter().zip(formats))
            .map(|(array, (column, format))| {
                let is_char = column.pg_type.element().unwrap_or(column.pg_type) == PgType::BPCHAR;
                let cells = match is_char && column.typmod >= 0 {
                    true => Cells::new(&with_blanks(array, column.typmod)?, column.pg_type)?,
                    false => Cells::new(array, column.pg_type)?,
                };
                Ok((cells, *format))
            })
            .collect::<Result<Vec<_>, ServerError>>()?;
        let prints_floats =
            |(cells, format): &(Cells, Format)| *format == Format::Text && cells.is_float();
        let floats = if columns.iter().any(prints_floats) {
            FloatTexts::new(style.fewer_float_digits)
        } else {
            FloatTexts::default()
        };
        Ok(RowEncoder {
            columns,
            style: *style,
            floats,
        })
    }

    /// Number of columns of each row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// Appends a whole DataRow message for `row`.
    pub fn data_row(&mut self, row: usize, out: &mut BytesMut) -> Result<(), ServerError> {
        out.put_slice(&[b'D', 0, 0, 0, 0]);
        let start = out.len() - 4;
        self.fields(row, out)?;
        patch_length(out, start, start)
    }

    /// Appends field count and length-prefixed fields of `row`: the body of DataRow and of a
    /// tuple of binary COPY.
    pub fn fields(&mut self, row: usize, out: &mut BytesMut) -> Result<(), ServerError> {
        let count = i16::try_from(self.columns.len())
            .map_err(|_| ServerError::internal("more than 32767 columns"))?;
        out.put_i16(count);
        for (cells, format) in &self.columns {
            if cells.is_null(row) {
                out.put_i32(-1);
                continue;
            }
            if let Some(bytes) = cells.same_bytes(row) {
                out.put_i32(length_word(bytes.len())?);
                out.put_slice(bytes);
                continue;
            }
            if *format == Format::Text
                && let Some(number) = cells.number_text(row, &mut self.floats)
            {
                out.put_i32(length_word(number.as_bytes().len())?);
                out.put_slice(number.as_bytes());
                continue;
            }
            let start = out.len();
            out.put_i32(0);
            match format {
                Format::Text => cells.text(row, &self.style, out)?,
                Format::Binary => cells.binary(row, out)?,
            }
            patch_length(out, start, start + 4)?;
        }
        Ok(())
    }

    /// Whether the value of column `column` in `row` is NULL.
    #[must_use]
    pub fn is_null(&self, column: usize, row: usize) -> bool {
        self.columns
            .get(column)
            .is_none_or(|(cells, _)| cells.is_null(row))
    }

    /// Appends the text form of one value that is not NULL.
    pub fn text(
        &mut self,
        column: usize,
        row: usize,
        out: &mut BytesMut,
    ) -> Result<(), ServerError> {
        let mut scratch = BytesMut::new();
        self.with_text(column, row, &mut scratch, |text, _| out.put_slice(text))
    }

    /// Calls `f` with the text form of one value that is not NULL and whether it is an integer or
    /// a floating-point number; `scratch` is for those that are not at hand.
    pub fn with_text(
        &mut self,
        column: usize,
        row: usize,
        scratch: &mut BytesMut,
        f: impl FnOnce(&[u8], bool),
    ) -> Result<(), ServerError> {
        let Some((cells, _)) = self.columns.get(column) else {
            return Ok(());
        };
        if let Some(text) = cells.same_bytes(row) {
            f(text, false);
        } else if let Some(number) = cells.number_text(row, &mut self.floats) {
            f(number.as_bytes(), true);
        } else {
            scratch.clear();
            cells.text(row, &self.style, scratch)?;
            f(scratch, false);
        }
        Ok(())
    }
}

/// Writes the number of bytes from `from` to the end of `out` into the four bytes at `at`.
pub(crate) fn patch_length(out: &mut BytesMut, at: usize, from: usize) -> Result<(), ServerError> {
    let length = length_word(out.len() - from)?;
    if let Some(slot) = out.get_mut(at..at + 4) {
        slot.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

fn length_word(bytes: usize) -> Result<i32, ServerError> {
    i32::try_from(bytes)
        .map_err(|_| ServerError::new("54000", "a row or value is larger than 2 GiB"))
}
