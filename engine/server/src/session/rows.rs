//! The rows of a result: a stream that can be read in portions.

use std::pin::Pin;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::sync::Mutex;

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
    source: Arc<Mutex<Source>>,
}

struct Source {
    stream: BatchStream,
    pending: Option<RecordBatch>,
    /// Rows that were read.
    given: u64,
    limits: RoleLimits,
}

impl Source {
    /// Hands rows out; 54000 when they are more than the role may have.
    fn give(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>, ServerError> {
        self.given += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        match self.limits.rows {
            Some(most) if self.given > most => Err(self.limits.too_many_rows(most)),
            _ => Ok(Some(batch)),
        }
    }
}

impl Rows {
    /// Rows that come from a running plan.
    pub fn new(
        columns: Vec<Column>,
        stream: impl Stream<Item = Result<RecordBatch, DataFusionError>> + Send + 'static,
    ) -> Rows {
        Rows::of_stream(columns, Box::pin(stream.map_err(ServerError::from)))
    }

    /// Rows that are known already.
    #[must_use]
    pub fn of_batches(columns: Vec<Column>, batches: Vec<RecordBatch>) -> Rows {
        let stream = futures::stream::iter(batches.into_iter().map(Ok));
        Rows::of_stream(columns, Box::pin(stream))
    }

    fn of_stream(columns: Vec<Column>, stream: BatchStream) -> Rows {
        let source = Source {
            stream,
            pending: None,
            given: 0,
            limits: RoleLimits::default(),
        };
        Rows {
            columns: columns.into(),
            limit: None,
            source: Arc::new(Mutex::new(source)),
        }
    }

    /// The same rows, under the limits of a role.
    pub(crate) async fn under(self, limits: RoleLimits) -> Rows {
        self.source.lock().await.limits = limits;
        self
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
        loop {
            let batch = match source.pending.take() {
                Some(batch) => batch,
                None => match source.stream.next().await {
                    Some(batch) => {
                        let limits = source.limits;
                        batch.map_err(|error| limits.of_spilling(error))?
                    }
                    None => return Ok(None),
                },
            };
            if batch.num_rows() == 0 {
                continue;
            }
            let most = most
                .and_then(|most| usize::try_from(most).ok())
                .unwrap_or(usize::MAX);
            if batch.num_rows() <= most {
                return source.give(batch);
            }
            source.pending = Some(batch.slice(most, batch.num_rows() - most));
            return source.give(batch.slice(0, most));
        }
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
                let taken = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
                let left = left.map(|left| left.saturating_sub(taken));
                Ok(Some((batch, (rows, left))))
            },
        ))
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}
