//! SCROLL cursors: the rows that were read are kept, so that FETCH and MOVE go both ways.
//!
//! ```text
//!            before the first      on a row      after the last
//! position          0            1 … rows.len        len + 1
//! ```
//! Rows are read from the plan as far as a FETCH reaches and no further, and each is read once: what a volatile
//! function said of it stays.

mod kept;

use std::sync::Arc;

use arrow::array::{RecordBatchOptions, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use futures::Stream;
use tokio::sync::Mutex;

use super::rows::Rows;
use super::statement::Fetch;
use super::stop::Stop;
use crate::pgwire::column::Column;
use crate::roles::RoleLimits;
use crate::sqlstate::ServerError;
use kept::Kept;

/// The rows of a SCROLL cursor and where it stands, which clones share.
#[derive(Clone)]
pub(super) struct Scroll {
    columns: Arc<[Column]>,
    stop: Stop,
    state: Arc<Mutex<State>>,
}

struct State {
    rows: Rows,
    kept: Kept,
    /// 0: before the first row; one more than there are rows: after the last.
    at: u64,
    limits: RoleLimits,
    broken: bool,
}

/// Which rows are still to be given.
enum Span {
    /// From the position on, at most so many.
    Forward(Option<u64>),
    /// From this row back to that one.
    Backward(u64, u64),
    Nothing,
}

impl Scroll {
    /// A cursor over rows of which none was read.
    pub(super) async fn over(rows: Rows) -> Scroll {
        let limits = rows.limits().await;
        Scroll {
            columns: Arc::clone(&rows.columns),
            stop: rows.stop.clone(),
            state: Arc::new(Mutex::new(State {
                kept: Kept::in_room_of(&rows),
                // Whole batches are read, of which the role may get fewer rows.
                rows: rows.under(RoleLimits::default()).await,
                at: 0,
                limits,
                broken: false,
            })),
        }
    }

    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Whether a FETCH failed or was stopped: the cursor cannot be run then, as in PostgreSQL.
    pub(super) async fn is_broken(&self) -> bool {
        self.stop.is_set() || self.state.lock().await.broken
    }

    /// The rows that FETCH gives.
    pub(super) fn fetch(&self, which: Fetch) -> Rows {
        Rows::of_results(
            Arc::clone(&self.columns),
            self.stream(which, true),
            self.stop.clone(),
        )
    }

    /// As many rows as MOVE passes, without columns.
    pub(super) fn pass(&self, which: Fetch) -> Rows {
        Rows::of_results(Arc::default(), self.stream(which, false), self.stop.clone())
    }

    fn stream(
        &self,
        which: Fetch,
        shown: bool,
    ) -> impl Stream<Item = Result<RecordBatch, ServerError>> + Send + use<> {
        let start = (Arc::clone(&self.state), None);
        futures::stream::try_unfold(start, move |(state, span)| async move {
            let mut own = state.lock().await;
            let given = own.step(which, span, shown).await;
            own.broken |= given.is_err();
            drop(own);
            Ok(given?.map(|(batch, span)| (batch, (state, Some(span)))))
        })
    }
}

impl State {
    /// The next rows; None when the fetch is done.
    async fn step(
        &mut self,
        which: Fetch,
        span: Option<Span>,
        shown: bool,
    ) -> Result<Option<(RecordBatch, Span)>, ServerError> {
        let span = match span {
            Some(span) => span,
            None => self.begin(which).await?,
        };
        match span {
            Span::Nothing | Span::Forward(Some(0)) => Ok(None),
            Span::Forward(left) => {
                let next = self.at.saturating_add(1);
                if !self.reaches(next).await? {
                    self.at = self.kept.rows() + 1;
                    return Ok(None);
                }
                let most = left.unwrap_or(u64::MAX);
                let batch = self.forward(next, most, shown)?;
                let given = rows_of(&batch);
                self.at += given;
                Ok(Some((batch, Span::Forward(left.map(|left| left - given)))))
            }
            Span::Backward(from, to) => {
                let batch = self.backward(from, to, shown)?;
                let next = from - rows_of(&batch);
                let rest = match next >= to {
                    true => Span::Backward(next, to),
                    false => Span::Nothing,
                };
                Ok(Some((batch, rest)))
            }
        }
    }

    /// What a FETCH gives from here; the cursor goes where it will stand, when that is known.
    async fn begin(&mut self, which: Fetch) -> Result<Span, ServerError> {
        Ok(match which {
            Fetch::Forward(0) | Fetch::Backward(0) | Fetch::Relative(0) => match self.at {
                at if at > 0 && at <= self.kept.rows() => Span::Backward(at, at),
                _ => Span::Nothing,
            },
            Fetch::Forward(count) => Span::Forward(Some(count)),
            Fetch::Backward(count) => self.back(count),
            Fetch::AllForward => Span::Forward(None),
            Fetch::AllBackward => self.back(u64::MAX),
            Fetch::Absolute(row) if row >= 0 => self.to(row.unsigned_abs()).await?,
            Fetch::Absolute(row) => {
                self.reaches(u64::MAX).await?;
                let from_end = (self.kept.rows() + 1).checked_sub(row.unsigned_abs());
                self.to(from_end.unwrap_or(0)).await?
            }
            Fetch::Relative(distance) => {
                let row = self.at.checked_add_signed(distance);
                self.to(row.unwrap_or(0)).await?
            }
        })
    }

    /// So many rows back from the position.
    fn back(&mut self, count: u64) -> Span {
        let before = self.at.saturating_sub(1);
        let to = self.at.saturating_sub(count);
        self.at = to;
        match before {
            0 => Span::Nothing,
            from => Span::Backward(from, to.max(1)),
        }
    }

    /// One row, or what lies beyond the rows.
    async fn to(&mut self, row: u64) -> Result<Span, ServerError> {
        if row == 0 {
            self.at = 0;
            return Ok(Span::Nothing);
        }
        if self.reaches(row).await? {
            self.at = row;
            return Ok(Span::Backward(row, row));
        }
        self.at = self.kept.rows() + 1;
        Ok(Span::Nothing)
    }

    /// Reads until the row of this number is kept; false when there is none.
    async fn reaches(&mut self, row: u64) -> Result<bool, ServerError> {
        while self.kept.rows() < row {
            let read = self.rows.next(None).await;
            let batch = read.map_err(|error| self.limits.of_spilling(error))?;
            let Some(batch) = batch else {
                return Ok(false);
            };
            let kept = self.kept.keep(batch);
            kept.map_err(|error| self.limits.of_spilling(error))?;
        }
        Ok(true)
    }

    /// Rows from this one on.
    fn forward(&mut self, first: u64, most: u64, shown: bool) -> Result<RecordBatch, ServerError> {
        let (chunk, place) = self.kept.chunk_of(first)?;
        let length = (self.kept.chunk_rows(chunk) - place).min(usize_of(most));
        self.permitted(first.saturating_add(length as u64 - 1))?;
        match shown {
            true => Ok(self.kept.read(chunk)?.slice(place, length)),
            false => counted(length),
        }
    }

    /// Rows from this one back, in that order.
    fn backward(&mut self, from: u64, to: u64, shown: bool) -> Result<RecordBatch, ServerError> {
        self.permitted(from)?;
        let (chunk, place) = self.kept.chunk_of(from)?;
        let length = (place + 1).min(usize_of(from - to + 1));
        if !shown {
            return counted(length);
        }
        let start = place + 1 - length;
        let rows = self.kept.read(chunk)?.slice(start, length);
        if rows.num_columns() == 0 {
            return Ok(rows);
        }
        let reversed = UInt64Array::from_iter_values((0..length as u64).rev());
        Ok(take_record_batch(&rows, &reversed)?)
    }

    /// The role may have rows up to this one.
    fn permitted(&self, row: u64) -> Result<(), ServerError> {
        match self.limits.rows {
            Some(most) if row > most => Err(self.limits.too_many_rows(most)),
            _ => Ok(()),
        }
    }
}

fn rows_of(batch: &RecordBatch) -> u64 {
    batch.num_rows() as u64
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// So many rows without columns.
fn counted(rows: usize) -> Result<RecordBatch, ServerError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let schema = Arc::new(Schema::empty());
    Ok(RecordBatch::try_new_with_options(
        schema,
        Vec::new(),
        &options,
    )?)
}
