//! COPY … FROM STDIN: bytes of a client to rows of a temporary table.
//!
//! ```text
//! CopyData ─► buffer ─► record (a line, or a binary tuple) ─► fields ─► ColumnInput … ─► Filling
//! ```
//! Messages end anywhere: what is no whole record waits in the buffer. Nothing is in the table before the end.

mod binary;
mod csv;
mod text;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use bytes::{Buf as _, Bytes, BytesMut};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::sql::sqlparser::ast;

use super::fill::{Filling, Origin, Target, batch_of, null_value};
use super::{Piece, TempTable, assign};
use crate::pg_input::{ColumnInput, utf8};
use crate::pgwire::encode::TextStyle;
use crate::session::statement::temp::Name;
use crate::session::statement::{CopyFormat, CopyHeader, CopyOptions};
use crate::sqlstate::ServerError;

/// Rows that are gathered before they go to the table.
const BATCH_ROWS: usize = 8_192;
/// A record that is longer is refused: it is held in memory until its end.
const RECORD_BYTES_MAX: usize = 1 << 30;
/// Bytes of a record that are not counted while it has not ended.
const HELD_STEP: usize = 1 << 20;
/// What holds the memory of longer ones.
const UNENDED: &str = "rows of COPY";

/// A COPY FROM STDIN that takes data.
pub struct CopyIn {
    name: Name,
    target: Target,
    schema: SchemaRef,
    options: CopyOptions,
    style: TextStyle,
    /// The query of the rows that go into the table; None: all do.
    condition: Option<Box<ast::Statement>>,
    /// The columns that the data has: place in the table, name, values so far.
    inputs: Vec<(usize, String, ColumnInput)>,
    /// Where the values of the others come from.
    others: Vec<(usize, Origin)>,
    filling: Filling,
    pending_rows: usize,
    buffer: BytesMut,
    /// The memory of a long record.
    held: MemoryReservation,
    /// Where the search for the end of a record goes on.
    splitter: Splitter,
    /// Lines or tuples so far, the header included.
    line: u64,
    ended: bool,
}

/// The columns of a COPY, by their places in the table.
pub(super) struct CopyColumns {
    /// Those that the data has.
    pub(super) given: Vec<usize>,
    /// The others, and where their values come from.
    pub(super) others: Vec<(usize, Origin)>,
}

/// How far the buffer was searched for the end of a record.
#[derive(Default)]
pub(super) struct Splitter {
    at: usize,
    quoted: bool,
    escaped: bool,
    /// What ends lines, once the first was seen.
    ending: Option<Ending>,
    /// The signature of the binary format was read.
    begun: bool,
}

/// What ends lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Lf,
    CrLf,
    Cr,
}

/// A field of a text format.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TextField {
    Null,
    Value(Vec<u8>),
}

impl std::fmt::Debug for CopyIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopyIn")
            .field("columns", &self.inputs.len())
            .finish_non_exhaustive()
    }
}

impl CopyIn {
    pub(super) fn new(
        name: &Name,
        target: Target,
        table: &TempTable,
        columns: CopyColumns,
        filling: Filling,
        options: &CopyOptions,
        style: TextStyle,
    ) -> Result<CopyIn, ServerError> {
        let inputs = columns.given.into_iter().map(|at| {
            let field = table.schema.field(at);
            Ok((at, field.name().clone(), ColumnInput::new(field)?))
        });
        let held = filling.memory().take(UNENDED, 0)?;
        let copy = CopyIn {
            name: name.clone(),
            target,
            schema: Arc::clone(&table.schema),
            options: options.clone(),
            style,
            condition: None,
            inputs: inputs.collect::<Result<_, ServerError>>()?,
            others: columns.others,
            filling,
            pending_rows: 0,
            buffer: BytesMut::new(),
            held,
            splitter: Splitter::default(),
            line: 0,
            ended: false,
        };
        for column in options.force_null.iter().chain(&options.force_not_null) {
            if column != "*" && !copy.inputs.iter().any(|(_, name, _)| name == column) {
                let known = table.schema.index_of(column).is_ok();
                let (code, what) = match known {
                    true => ("42P10", "not referenced by COPY".to_owned()),
                    false => (
                        "42703",
                        format!("of relation \"{}\" does not exist", name.name),
                    ),
                };
                let text = match known {
                    true => format!("FORCE_NULL column \"{column}\" {what}"),
                    false => format!("column \"{column}\" {what}"),
                };
                return Err(ServerError::new(code, text).near(column));
            }
        }
        Ok(copy)
    }

    /// The same, of which a query chooses the rows.
    pub(super) fn of(self, condition: Option<Box<ast::Statement>>) -> CopyIn {
        CopyIn { condition, ..self }
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    pub(super) fn condition(&self) -> Option<Box<ast::Statement>> {
        self.condition.clone()
    }

    /// Whether the data is binary.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.options.format == CopyFormat::Binary
    }

    /// Columns of the data.
    #[must_use]
    pub fn width(&self) -> usize {
        self.inputs.len()
    }

    /// Takes bytes; the rows that end in them are read.
    ///
    /// # Errors
    /// 22P04 for data that is no such file, and whatever a value fails with; both say the line.
    pub fn push(&mut self, data: &[u8]) -> Result<(), ServerError> {
        if self.ended && self.is_binary() && !data.is_empty() {
            let error = malformed("received copy data after EOF marker");
            return Err(self.located(error, None));
        }
        if self.ended {
            return Ok(());
        }
        self.buffer.extend_from_slice(data);
        self.read(false)?;
        self.hold_buffer()?;
        if self.buffer.len() > RECORD_BYTES_MAX {
            return Err(ServerError::new(
                "54000",
                "a row of COPY is larger than 1 GiB",
            ));
        }
        Ok(())
    }

    /// Takes memory for what is no whole record yet, in large steps.
    ///
    /// # Errors
    /// 53200 when the session has no more.
    fn hold_buffer(&mut self) -> Result<(), ServerError> {
        // The buffer, and the values that the record is read to.
        let needed = self.buffer.capacity().saturating_mul(2);
        let has = self.held.size();
        if self.buffer.len() < HELD_STEP {
            self.held.free();
            return Ok(());
        }
        if needed > has {
            let more = needed - has;
            let grown = self.filling.memory().grow(&self.held, UNENDED, more);
            grown.map_err(|error| self.located(error, None))?;
        }
        Ok(())
    }

    /// The end of the data: the rows as pieces, and how many they are.
    pub(super) fn finish(mut self) -> Result<(Vec<Arc<Piece>>, u64), ServerError> {
        if !self.ended {
            self.read(true)?;
        }
        self.end_batch()?;
        self.filling.finish()
    }

    fn read(&mut self, last: bool) -> Result<(), ServerError> {
        if self.is_binary() {
            return self.read_tuples(last);
        }
        while !self.ended {
            let (bytes, splitter) = (&self.buffer[..], &mut self.splitter);
            let found = match self.options.format {
                CopyFormat::Csv => splitter.csv_line(bytes, &self.options, last),
                _ => splitter.text_line(bytes, last),
            };
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    self.line += 1;
                    let place = last.then_some(Place::Line(&self.buffer));
                    return Err(self.located(error, place));
                }
            };
            let Some((length, ending)) = found else {
                return Ok(());
            };
            self.line += 1;
            if utf8(self.buffer.get(..length).unwrap_or_default()).is_err() {
                // What stands behind the line shows how the character goes on.
                let told = utf8(&self.buffer).map(|_| ());
                return told.map_err(|error| self.located(error, None));
            }
            let line = self.buffer.split_to(length).freeze();
            self.buffer.advance(ending);
            self.splitter.next();
            if line[..] == b"\\."[..] {
                self.ended = true;
                return Ok(());
            }
            if self.line == 1 && self.options.header != CopyHeader::None {
                self.header(&line)?;
                continue;
            }
            self.row(&line)?;
        }
        Ok(())
    }

    fn fields(&self, line: &[u8]) -> Result<Vec<TextField>, ServerError> {
        match self.options.format {
            CopyFormat::Csv => {
                let forced = |list: &[String], at: usize| {
                    let name = self.inputs.get(at).map(|(_, name, _)| name.as_str());
                    list.iter()
                        .any(|column| column == "*" || Some(column.as_str()) == name)
                };
                csv::fields(line, &self.options, |at| csv::Forced {
                    null: forced(&self.options.force_null, at),
                    not_null: forced(&self.options.force_not_null, at),
                })
            }
            _ => text::fields(line, &self.options),
        }
    }

    /// The first line: dropped, or its names are those of the columns.
    fn header(&mut self, line: &Bytes) -> Result<(), ServerError> {
        if self.options.header != CopyHeader::Match {
            return Ok(());
        }
        let fields = self
            .fields(line)
            .map_err(|error| self.located(error, None))?;
        if fields.len() != self.inputs.len() {
            let text = format!(
                "wrong number of fields in header line: got {}, expected {}",
                fields.len(),
                self.inputs.len()
            );
            return Err(self.located(malformed(&text), Some(Place::Line(line))));
        }
        for (number, (field, (_, name, _))) in fields.iter().zip(&self.inputs).enumerate() {
            let found = match field {
                TextField::Value(bytes) => String::from_utf8_lossy(bytes),
                TextField::Null => "".into(),
            };
            if found != *name {
                let text = format!(
                    "column name mismatch in header line field {}: got \"{found}\", expected \"{name}\"",
                    number + 1
                );
                return Err(self.located(malformed(&text), Some(Place::Line(line))));
            }
        }
        Ok(())
    }

    fn row(&mut self, line: &Bytes) -> Result<(), ServerError> {
        // A table without columns takes empty lines.
        let fields = match self.inputs.is_empty() && line.is_empty() {
            true => Vec::new(),
            false => self
                .fields(line)
                .map_err(|error| self.located(error, Some(Place::Line(line))))?,
        };
        if line.contains(&b'\\') {
            for field in &fields {
                if let TextField::Value(bytes) = field {
                    utf8(bytes).map_err(|error| self.located(error, Some(Place::Line(line))))?;
                }
            }
        }
        if fields.len() > self.inputs.len() {
            let error = malformed("extra data after last expected column");
            return Err(self.located(error, Some(Place::Line(line))));
        }
        if let Some((_, name, _)) = self.inputs.get(fields.len()) {
            let error = malformed(&format!("missing data for column \"{name}\""));
            return Err(self.located(error, Some(Place::Line(line))));
        }
        let mut missing = None;
        for (at, field) in fields.into_iter().enumerate() {
            let Some((place, _, column)) = self.inputs.get_mut(at) else {
                continue;
            };
            let bytes = match field {
                TextField::Null => {
                    column.null();
                    if !self.schema.field(*place).is_nullable() {
                        missing = missing.or(Some(*place));
                    }
                    continue;
                }
                TextField::Value(bytes) => bytes,
            };
            let taken = match utf8(&bytes) {
                Ok(text) => column.text(text, &self.style),
                Err(error) => return Err(self.located(error, None)),
            };
            taken.map_err(|error| self.located(error, Some(Place::Field(at, &bytes))))?;
        }
        if let Some(place) = missing {
            let error = null_value(&self.target, self.schema.field(place));
            return Err(self.located(error, Some(Place::Line(line))));
        }
        self.end_row()
    }

    fn end_row(&mut self) -> Result<(), ServerError> {
        self.pending_rows += 1;
        if self.pending_rows >= BATCH_ROWS {
            self.end_batch()?;
        }
        Ok(())
    }

    fn end_batch(&mut self) -> Result<(), ServerError> {
        let rows = std::mem::take(&mut self.pending_rows);
        if rows == 0 {
            return Ok(());
        }
        let mut arrays: Vec<Option<ArrayRef>> = vec![None; self.schema.fields().len()];
        for (at, _, column) in &mut self.inputs {
            if let Some(slot) = arrays.get_mut(*at) {
                *slot = Some(column.finish()?);
            }
        }
        let session = assign::Session { style: self.style };
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let none =
            RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
        for (at, origin) in &self.others {
            if let Some(slot) = arrays.get_mut(*at) {
                let values = origin.values(&none)?;
                let field = self.schema.field(*at);
                *slot = Some(assign::assign(&values, origin.pg_type(), field, &session)?);
            }
        }
        let arrays: Option<Vec<ArrayRef>> = arrays.into_iter().collect();
        let arrays = arrays.ok_or_else(|| ServerError::internal("a column without values"))?;
        let batch = batch_of(&self.target, &self.schema, arrays, rows, &self.style);
        let batch = batch.map_err(|error| self.located(error, None))?;
        self.filling.push(batch)
    }

    /// An error that came from elsewhere than the data, with the line that was to come next.
    #[must_use]
    pub fn before_next_line(&self, error: ServerError) -> ServerError {
        let (table, line) = (&self.name.name, self.line + 1);
        error.context(format!("COPY {table}, line {line}"))
    }

    /// The error, with where it is as PostgreSQL says it.
    fn located(&self, error: ServerError, place: Option<Place<'_>>) -> ServerError {
        let (table, line) = (&self.name.name, self.line);
        let shown = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            match text.char_indices().nth(100) {
                Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
                None => text.into_owned(),
            }
        };
        error.context(match place {
            Some(Place::Line(bytes)) => format!("COPY {table}, line {line}: \"{}\"", shown(bytes)),
            Some(Place::Field(at, bytes)) => {
                let name = self.inputs.get(at).map_or("", |(_, name, _)| name.as_str());
                format!(
                    "COPY {table}, line {line}, column {name}: \"{}\"",
                    shown(bytes)
                )
            }
            Some(Place::Column(at)) => {
                let name = self.inputs.get(at).map_or("", |(_, name, _)| name.as_str());
                format!("COPY {table}, line {line}, column {name}")
            }
            None => format!("COPY {table}, line {line}"),
        })
    }
}

/// Where an error is.
enum Place<'a> {
    Line(&'a [u8]),
    Field(usize, &'a [u8]),
    Column(usize),
}

/// 22P04: no such file.
fn malformed(text: &str) -> ServerError {
    ServerError::new("22P04", text)
}

impl Splitter {
    /// A record was taken out of the buffer.
    fn next(&mut self) {
        *self = Splitter {
            ending: self.ending,
            begun: self.begun,
            ..Splitter::default()
        };
    }

    /// Whether the line that has been read up to `at`, where a CR or LF stands, ends there: bytes of its ending, or
    /// None when the next byte has to be seen first.
    fn ends(&mut self, bytes: &[u8], at: usize, last: bool) -> Option<Option<usize>> {
        let carriage = bytes.get(at) == Some(&b'\r');
        let next = bytes.get(at + 1);
        if carriage && next.is_none() && !last && self.ending != Some(Ending::Cr) {
            return None;
        }
        let found = match (carriage, next) {
            (true, Some(b'\n')) => Ending::CrLf,
            (true, _) => Ending::Cr,
            (false, _) => Ending::Lf,
        };
        let wanted = *self.ending.get_or_insert(found);
        Some(match (wanted, found) {
            (Ending::CrLf, Ending::CrLf) => Some(2),
            (Ending::Lf, Ending::Lf) | (Ending::Cr, Ending::Cr) => Some(1),
            // With lines that end in CR, the LF after one is data; it is told of then.
            (Ending::Cr, Ending::CrLf) => Some(1),
            _ => None,
        })
    }
}
