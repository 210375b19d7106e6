//! Statements of those who embed a session: their rows as batches.

use tokio_util::task::AbortOnDropHandle;

use super::rows::{BatchStream, Rows};
use super::{Outcome, Session, statement};
use crate::pgwire::column::Column;
use crate::sqlstate::ServerError;

/// Runs every statement of `sql` in `session` and returns the rows of the last one as a stream,
/// with their columns; rows of earlier statements are read and dropped.
///
/// # Errors
/// The first error of any statement.
pub async fn query_batches(
    session: &mut Session,
    sql: &str,
) -> Result<(Vec<Column>, BatchStream), ServerError> {
    let mut last: (Vec<Column>, BatchStream) = (Vec::new(), Box::pin(futures::stream::empty()));
    let statements = statement::parse(sql)?;
    session.sync();
    if statements.len() > 1 {
        session.begin_implicit_block();
    }
    let last_number = statements.len().saturating_sub(1);
    for (number, parsed) in statements.into_iter().enumerate() {
        session.followed(number < last_number);
        drain(std::mem::replace(
            &mut last.1,
            Box::pin(futures::stream::empty()),
        ))
        .await?;
        let outcome = match session.run(&parsed, &[]).await {
            Ok(outcome) => outcome,
            Err(error) => {
                session.fail();
                return Err(error);
            }
        };
        last = match outcome {
            Outcome::Rows { rows, .. } | Outcome::Copy { rows, .. } => {
                (rows.columns.to_vec(), session.stream(rows))
            }
            Outcome::Skip { rows, .. } => {
                drain(session.stream(rows)).await?;
                (Vec::new(), Box::pin(futures::stream::empty()))
            }
            Outcome::CopyIn(_) => {
                session.fail();
                return Err(no_input());
            }
            Outcome::Done { .. } => (Vec::new(), Box::pin(futures::stream::empty())),
        };
    }
    Ok(last)
}

/// 0A000: COPY FROM STDIN of a session that no client sends data to.
#[must_use]
pub fn no_input() -> ServerError {
    ServerError::unsupported("COPY FROM STDIN needs a client of the server")
        .hint("Use \"genokura serve\" and psql, or INSERT INTO … VALUES.")
}

async fn drain(mut stream: BatchStream) -> Result<(), ServerError> {
    use futures::TryStreamExt as _;
    while stream.try_next().await?.is_some() {}
    Ok(())
}

impl Session {
    /// Rows as a stream whose work is done on the query runtime, two batches ahead.
    #[must_use]
    pub fn stream(&self, rows: Rows) -> BatchStream {
        use futures::StreamExt as _;
        let (sender, receiver) = tokio::sync::mpsc::channel(2);
        // Dropped with the stream, unless that came to its end: a cursor may go on then.
        let guard = rows.stop.guard();
        let task = AbortOnDropHandle::new(self.options.runtime.spawn(async move {
            let mut batches = rows.into_stream();
            while let Some(batch) = batches.next().await {
                if sender.send(batch).await.is_err() {
                    return;
                }
            }
        }));
        Box::pin(futures::stream::unfold(
            (receiver, task, guard),
            |(mut receiver, task, guard)| async move {
                match receiver.recv().await {
                    Some(batch) => Some((batch, (receiver, task, guard))),
                    None => {
                        guard.disarm();
                        None
                    }
                }
            },
        ))
    }
}
