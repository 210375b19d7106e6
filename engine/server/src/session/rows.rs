//! The rows of a result: a stream that can be read in portions.

use std::pin::Pin;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::sync::Mutex;

use super::stop::Stop;
use crate::pgwire::column::Column;
use crate::roles::RoleLimits;
use crate::sqlstate::ServerError;

/// A stream of record batches.
pub type BatchStream = Pin<Box<dyn Stream<Item = Result<RecordBatch, ServerError>> + Send>>;

/// Rows of a result with their description. Clones share the position, as a portal and the
/// FETCH that reads it do.
#[derive(Clone)]
pub struct Rows {
    /// Columns as the client sees them; as many as each batch has.
    pub columns: Arc<[Column]>,
    /// At most this many rows are read through this handle.
    pub limit: Option<u64>,
    /// Stops the plan that makes the rows.
    pub stop: Stop,
    /// The memory and spill files that the plan has; None: the rows are in memory already.
    pub(super) runtime: Option<Arc<RuntimeEnv>>,
    source: Arc<Mutex<Source>>,
}

/// How far rows were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Rows that were read.
    pub(super) given: u64,
    /// Somebody asked for one more than there are.
    pub(super) ended: bool,
}

struct Source {
    stream: BatchStream,
    pending: Option<RecordBatch>,
    /// Rows that were read.
    given: u64,
    /// The stream said that there are no more.
    ended: bool,
    /// The stream failed.
    failed: bool,
    limits: RoleLimits,
    /// The statement that the rows are of.
    text: Option<Arc<str>>,
}

impl Source {
    async fn next(&mut self, most: Option<u64>) -> Result<Option<RecordBatch>, ServerError> {
        loop {
            let batch = match self.pending.take() {
                Some(batch) => batch,
                None if self.ended => return Ok(None),
                None => match self.stream.next().await {
                    Some(batch) => {
                        let limits = self.limits;
                        batch.map_err(|error| match &self.text {
                            Some(text) => limits.of_spilling(error).locate_value(text),
                            None => limits.of_spilling(error),
                        })?
                    }
                    None => {
                        self.ended = true;
                        return Ok(None);
                    }
                },
            };
            if batch.num_rows() == 0 {
                continue;
            }
            let most = most
                .and_then(|most| usize::try_from(most).ok())
                .unwrap_or(usize::MAX);
            if batch.num_rows() <= most {
                return self.give(batch);
            }
            self.pending = Some(batch.slice(most, batch.num_rows() - most));
            return self.give(batch.slice(0, most));
        }
    }

    /// Hands rows out; 54000 when they are more than the role may have.
    fn give(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>, ServerError> {
        self.given += rows_of(&batch);
        match self.limits.rows {
            Some(most) if self.given > most => Err(self.limits.too_many_rows(most)),
            _ => Ok(Some(batch)),
        }
    }
}

impl Rows {
    /// Rows that come from a running plan, which `stop` stops.
    pub fn new(
        columns: Vec<Column>,
        stream: impl Stream<Item = Result<RecordBatch, DataFusionError>> + Send + 'static,
        stop: Stop,
    ) -> Rows {
        Rows::of_results(columns.into(), stream.map_err(ServerError::from), stop)
    }

    /// Rows that are known already.
    #[must_use]
    pub fn of_batches(columns: Vec<Column>, batches: Vec<RecordBatch>) -> Rows {
        let stream = futures::stream::iter(batches.into_iter().map(Ok));
        Rows::of_results(columns.into(), stream, Stop::default())
    }

    /// Rows of any stream.
    pub(super) fn of_results(
        columns: Arc<[Column]>,
        stream: impl Stream<Item = Result<RecordBatch, ServerError>> + Send + 'static,
        stop: Stop,
    ) -> Rows {
        Rows::of_stream(columns, Box::pin(stream), stop)
    }

    fn of_stream(columns: Arc<[Column]>, stream: BatchStream, stop: Stop) -> Rows {
        let source = Source {
            stream,
            pending: None,
            given: 0,
            ended: false,
            failed: false,
            limits: RoleLimits::default(),
            text: None,
        };
        Rows {
            columns,
            limit: None,
            stop,
            runtime: None,
            source: Arc::new(Mutex::new(source)),
        }
    }

    /// The same rows, with the memory and the spill files of the plan that makes them.
    pub(super) fn made_in(self, runtime: Arc<RuntimeEnv>) -> Rows {
        Rows {
            runtime: Some(runtime),
            ..self
        }
    }

    /// The same rows, under the limits of a role.
    pub(crate) async fn under(self, limits: RoleLimits) -> Rows {
        self.source.lock().await.limits = limits;
        self
    }

    /// The same rows, whose errors are about constants of a statement.
    pub(super) async fn of_text(self, text: &str) -> Rows {
        self.source.lock().await.text = Some(Arc::from(text));
        self
    }

    pub(super) async fn limits(&self) -> RoleLimits {
        self.source.lock().await.limits
    }

    /// How far they were read.
    pub(super) async fn place(&self) -> Place {
        let source = self.source.lock().await;
        Place {
            given: source.given,
            ended: source.ended,
        }
    }

    /// Whether reading them failed or was stopped: nobody knows then which row would be next.
    pub(super) async fn is_broken(&self) -> bool {
        self.stop.is_set() || self.source.lock().await.failed
    }

    /// The rows after the next `skipped`, of which at most `limit` are read.
    pub(super) fn after(&self, skipped: u64, limit: Option<u64>) -> Rows {
        let rows = self.limited(limit);
        if skipped == 0 {
            return rows;
        }
        let start = (rows.clone(), skipped, limit);
        let stream = futures::stream::try_unfold(start, |(rows, skipped, left)| async move {
            let mut skipped = skipped;
            while skipped > 0 {
                match rows.next(Some(skipped)).await? {
                    Some(batch) => skipped = skipped.saturating_sub(rows_of(&batch)),
                    None => return Ok(None),
                }
            }
            if left == Some(0) {
                return Ok(None);
            }
            let Some(batch) = rows.next(left).await? else {
                return Ok(None);
            };
            let left = left.map(|left| left.saturating_sub(rows_of(&batch)));
            Ok(Some((batch, (rows, 0, left))))
        });
        Rows {
            limit,
            ..Rows::of_results(Arc::clone(&rows.columns), stream, rows.stop.clone())
        }
    }

    /// The same rows, of which at most `limit` are read through the new handle.
    #[must_use]
    pub fn limited(&self, limit: Option<u64>) -> Rows {
        Rows {
            limit,
            ..self.clone()
        }
    }

    /// The next batch of at most `most` rows; None at the end.
    ///
    /// # Errors
    /// What the plan fails with; the rows end there.
    pub async fn next(&self, most: Option<u64>) -> Result<Option<RecordBatch>, ServerError> {
        let mut source = self.source.lock().await;
        let batch = source.next(most).await;
        source.failed |= batch.is_err();
        batch
    }

    /// The rest as a stream of batches, the limit of this handle kept.
    pub fn into_stream(self) -> BatchStream {
        let left = self.limit;
        Box::pin(futures::stream::try_unfold(
            (self, left),
            |(rows, left)| async move {
                if left == Some(0) {
                    return Ok(None);
                }
                let Some(batch) = rows.next(left).await? else {
                    return Ok(None);
                };
                let left = left.map(|left| left.saturating_sub(rows_of(&batch)));
                Ok(Some((batch, (rows, left))))
            },
        ))
    }
}

fn rows_of(batch: &RecordBatch) -> u64 {
    u64::try_from(batch.num_rows()).unwrap_or(u64::MAX)
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}
