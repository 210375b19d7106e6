//! Rows to the socket: encoded on the query runtime, handed over in chunks, written as they come.
//!
//! ```text
//! query runtime                              connection task
//! plan -> batch -> rows encoded -> chunk --channel of 2--> out buffer -> socket
//! ```
//! A slow client fills the channel, which stops the plan: nothing grows with the result. While a large batch is
//! encoded the plan makes the next one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::connection::{Connection, FLUSH_BYTES};
use super::encode::{Format, RowEncoder, TextStyle};
use crate::session::Rows;
use crate::sqlstate::ServerError;

/// Chunks between the encoder and the socket.
const CHUNKS: usize = 2;
/// Rows of a batch at least, that the next is made while they are encoded.
const AHEAD_ROWS_MIN: usize = 1_024;
/// Rows that trickle in are shown at least this often.
const SHOW_AFTER: Duration = Duration::from_millis(50);

/// Puts rows into messages.
pub(super) trait Framing: Send + 'static {
    /// Formats the columns are encoded in.
    fn formats(&self) -> &[Format];
    /// What comes before the first row, once even without rows.
    fn begin(&mut self, out: &mut BytesMut) -> Result<(), ServerError>;
    /// One row.
    fn row(
        &mut self,
        rows: &mut RowEncoder,
        row: usize,
        out: &mut BytesMut,
    ) -> Result<(), ServerError>;
    /// What comes after the last row.
    fn finish(&mut self, out: &mut BytesMut) -> Result<(), ServerError>;
}

/// DataRow messages.
struct DataRows(Vec<Format>);

impl Framing for DataRows {
    fn formats(&self) -> &[Format] {
        &self.0
    }

    fn begin(&mut self, _out: &mut BytesMut) -> Result<(), ServerError> {
        Ok(())
    }

    fn row(
        &mut self,
        rows: &mut RowEncoder,
        row: usize,
        out: &mut BytesMut,
    ) -> Result<(), ServerError> {
        rows.data_row(row, out)
    }

    fn finish(&mut self, _out: &mut BytesMut) -> Result<(), ServerError> {
        Ok(())
    }
}

impl Connection {
    /// Sends rows as DataRow messages; returns how many.
    pub(super) async fn send_rows(
        &mut self,
        rows: Rows,
        formats: Vec<Format>,
    ) -> Result<u64, ServerError> {
        self.send_framed(rows, DataRows(formats)).await
    }

    /// Encodes rows on the query runtime and writes the chunks; returns how many rows.
    pub(super) async fn send_framed(
        &mut self,
        rows: Rows,
        framing: impl Framing,
    ) -> Result<u64, ServerError> {
        let (sender, mut chunks) = mpsc::channel(CHUNKS);
        let stop = rows.stop.clone();
        let guard = stop.guard();
        let style = self.session.settings().text_style();
        let work = encode(rows, framing, style, sender);
        let task = self.session.work().start(&stop, work);
        loop {
            let received = self
                .interrupts
                .race(async { Ok(chunks.recv().await) })
                .await?;
            let Some(chunk) = received else { break };
            self.out.extend_from_slice(&chunk);
            if self.out.len() >= FLUSH_BYTES || chunks.is_empty() {
                self.flush_statement().await?;
            }
        }
        let ended = self.interrupts.race(async { Ok(task.await) }).await?;
        let sent = ended.map_err(|_| bug())??;
        guard.disarm();
        Ok(sent)
    }

    /// Reads rows and drops them; returns how many.
    pub(super) async fn skip_rows(&mut self, rows: Rows) -> Result<u64, ServerError> {
        let stop = rows.stop.clone();
        let guard = stop.guard();
        let task = self.session.work().start(&stop, count(rows));
        let ended = self.interrupts.race(async { Ok(task.await) }).await?;
        let sent = ended.map_err(|_| bug())??;
        guard.disarm();
        Ok(sent)
    }
}

fn bug() -> ServerError {
    ServerError::internal("the query ran into a bug of the server")
}

async fn encode(
    rows: Rows,
    mut framing: impl Framing,
    style: TextStyle,
    chunks: mpsc::Sender<Bytes>,
) -> Result<u64, ServerError> {
    let mut out = BytesMut::with_capacity(FLUSH_BYTES + FLUSH_BYTES / 4);
    let (mut sent, mut shown) = (0_u64, Instant::now());
    let columns = Arc::clone(&rows.columns);
    framing.begin(&mut out)?;
    let mut ahead = Ahead::new(rows);
    loop {
        let batch = match ahead.next().await {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(error) => {
                // What was encoded before the error still belongs to the client.
                let _ = chunks.send(out.split().freeze()).await;
                return Err(error);
            }
        };
        let mut encoder = RowEncoder::new(&batch, &columns, framing.formats(), &style)?;
        for row in 0..batch.num_rows() {
            framing.row(&mut encoder, row, &mut out)?;
            if out.len() >= FLUSH_BYTES {
                if chunks.send(out.split().freeze()).await.is_err() {
                    return Ok(sent);
                }
                out.reserve(FLUSH_BYTES + FLUSH_BYTES / 4);
                shown = Instant::now();
            }
        }
        let rows_of_batch = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        let first = sent == 0;
        sent += rows_of_batch;
        if !out.is_empty() && (first || shown.elapsed() > SHOW_AFTER) {
            if chunks.send(out.split().freeze()).await.is_err() {
                return Ok(sent);
            }
            shown = Instant::now();
        }
    }
    framing.finish(&mut out)?;
    if !out.is_empty() {
        let _ = chunks.send(out.freeze()).await;
    }
    Ok(sent)
}

/// Batches of a result, of which the next is made while a large one is encoded.
enum Ahead {
    /// The rows, and how many more are wanted.
    Here(Rows, Option<u64>),
    /// A task makes them.
    There(
        mpsc::Receiver<Result<RecordBatch, ServerError>>,
        AbortOnDropHandle<()>,
    ),
    Ended,
}

impl Ahead {
    fn new(rows: Rows) -> Ahead {
        let left = rows.limit;
        Ahead::Here(rows, left)
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>, ServerError> {
        match self {
            Ahead::There(batches, _) => match batches.recv().await {
                Some(batch) => batch.map(Some),
                None => self.ended().await,
            },
            Ahead::Here(_, Some(0)) | Ahead::Ended => Ok(None),
            Ahead::Here(rows, left) => {
                let Some(batch) = read(rows, left).await? else {
                    *self = Ahead::Ended;
                    return Ok(None);
                };
                if batch.num_rows() >= AHEAD_ROWS_MIN && *left != Some(0) {
                    *self = Ahead::made_by_a_task(rows.clone(), *left);
                }
                Ok(Some(batch))
            }
        }
    }

    fn made_by_a_task(rows: Rows, mut left: Option<u64>) -> Ahead {
        let (sender, batches) = mpsc::channel(1);
        let work = async move {
            while left != Some(0)
                && let Ok(place) = sender.reserve().await
            {
                match read(&rows, &mut left).await.transpose() {
                    Some(Ok(batch)) => place.send(Ok(batch)),
                    Some(Err(error)) => return place.send(Err(error)),
                    None => return,
                }
            }
        };
        Ahead::There(batches, AbortOnDropHandle::new(tokio::spawn(work)))
    }

    /// The end of what a task makes: that it was reached, and not that the task fell.
    async fn ended(&mut self) -> Result<Option<RecordBatch>, ServerError> {
        match std::mem::replace(self, Ahead::Ended) {
            Ahead::There(_, task) => task.await.map(|()| None).map_err(|_| bug()),
            _ => Ok(None),
        }
    }
}

/// The next of the rows that are left.
async fn read(rows: &Rows, left: &mut Option<u64>) -> Result<Option<RecordBatch>, ServerError> {
    let batch = rows.next(*left).await?;
    let read = batch.as_ref().map_or(0, RecordBatch::num_rows);
    let read = u64::try_from(read).unwrap_or(u64::MAX);
    *left = left.map(|left| left.saturating_sub(read));
    Ok(batch)
}

async fn count(rows: Rows) -> Result<u64, ServerError> {
    let (mut counted, mut left) = (0_u64, rows.limit);
    while left != Some(0)
        && let Some(batch) = read(&rows, &mut left).await?
    {
        counted += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
    }
    Ok(counted)
}
