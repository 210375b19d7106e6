//! Rows to the socket: encoded on the query runtime, handed over in chunks, written as they come.
//!
//! ```text
//! query runtime                              connection task
//! plan -> batch -> rows encoded -> chunk --channel of 2--> out buffer -> socket
//! ```
//! A slow client fills the channel, which stops the plan: nothing grows with the result.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::connection::{Connection, FLUSH_BYTES};
use super::encode::{Format, RowEncoder, TextStyle};
use crate::session::Rows;
use crate::sqlstate::ServerError;

/// Chunks between the encoder and the socket.
const CHUNKS: usize = 2;
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
        let guard = rows.stop.guard();
        let style = self.session.settings().text_style();
        let work = encode(rows, framing, style, sender);
        let task = AbortOnDropHandle::new(self.session.runtime().spawn(work));
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
        guard.disarm();
        ended.map_err(|_| bug())?
    }

    /// Reads rows and drops them; returns how many.
    pub(super) async fn skip_rows(&mut self, rows: Rows) -> Result<u64, ServerError> {
        let guard = rows.stop.guard();
        let task = AbortOnDropHandle::new(self.session.runtime().spawn(count(rows)));
        let ended = self.interrupts.race(async { Ok(task.await) }).await?;
        guard.disarm();
        ended.map_err(|_| bug())?
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
    let (mut sent, mut left, mut shown) = (0_u64, rows.limit, Instant::now());
    framing.begin(&mut out)?;
    while left != Some(0) {
        let batch = match rows.next(left).await {
            Ok(Some(batch)) => batch,
            Ok(None) => break,
            Err(error) => {
                // What was encoded before the error still belongs to the client.
                let _ = chunks.send(out.split().freeze()).await;
                return Err(error);
            }
        };
        let mut encoder = RowEncoder::new(&batch, &rows.columns, framing.formats(), &style)?;
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
        left = left.map(|left| left.saturating_sub(rows_of_batch));
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

async fn count(rows: Rows) -> Result<u64, ServerError> {
    let (mut counted, mut left) = (0_u64, rows.limit);
    while left != Some(0) {
        let Some(batch) = rows.next(left).await? else {
            break;
        };
        let rows_of_batch = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        counted += rows_of_batch;
        left = left.map(|left| left.saturating_sub(rows_of_batch));
    }
    Ok(counted)
}
