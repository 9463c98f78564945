//! An answer on its way from background threads to its session's core: a bounded queue of pieces, and how it ended.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use olap::{AnalyticsError, QueryStatistics, ResultBatch, ResultSink, RunningQuery, SinkError};
use platform::{ChannelReceiver, ChannelSender, TrySendError};
use session::SqlError;
use session::analytics::{QueryCost, RowStream};
use types::SqlState;

use super::form::Form;
use super::of_analytics;

/// Pieces that wait for a client.
const PIECES_MAX: usize = 4;

/// How a query ended, once it has.
type Ended = Arc<Mutex<Option<Result<QueryStatistics, SqlError>>>>;

/// Gives rows a form and queues them, on the query's own threads.
pub struct Sink<F: Form> {
    form: F,
    sender: ChannelSender<F::Rows>,
    /// A batch whose rows from one on are not queued yet.
    left: Option<(ResultBatch, usize)>,
    ended: Ended,
}

/// Where the pieces arrive.
pub struct Receiver<R> {
    pieces: ChannelReceiver<R>,
    ended: Ended,
}

/// The two ends of an answer.
pub fn channel<F: Form>(form: F) -> (Box<Sink<F>>, Receiver<F::Rows>) {
    let (sender, pieces) = platform::channel(PIECES_MAX);
    let ended = Ended::default();
    (Box::new(Sink { form, sender, left: None, ended: ended.clone() }), Receiver { pieces, ended })
}

impl<F: Form> ResultSink for Sink<F> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SinkError>> {
        loop {
            ready!(self.sender.poll_room(cx)).map_err(|_| SinkError::Closed)?;
            let Some((batch, from)) = &mut self.left else { return Poll::Ready(Ok(())) };
            let formed = self.form.rows(batch, *from);
            let (rows, next) =
                formed.map_err(|error| SinkError::Failed(AnalyticsError::Value(error)))?;
            *from = next;
            if next == batch.row_count() {
                self.left = None;
            }
            match self.sender.try_send(rows) {
                Ok(()) => {}
                Err(TrySendError::Closed(_) | TrySendError::Full(_)) => {
                    return Poll::Ready(Err(SinkError::Closed));
                }
            }
        }
    }

    fn send(&mut self, batch: ResultBatch) -> Result<(), SinkError> {
        assert!(self.left.is_none(), "a batch is taken when the one before is queued");
        self.left = Some((batch, 0)).filter(|(batch, _)| batch.row_count() > 0);
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<QueryStatistics, AnalyticsError>) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        *ended = Some(outcome.map_err(|error| of_analytics(&error)));
        // The sender goes with the sink: whoever reads finds the end after the last piece.
    }
}

/// The rows of a running query. Dropping it cancels.
pub struct Answer<R> {
    receiver: Receiver<R>,
    query: RunningQuery,
    snapshot_wait: Duration,
}

impl<R> Answer<R> {
    /// Of a query that has been started.
    pub fn new(receiver: Receiver<R>, query: RunningQuery, snapshot_wait: Duration) -> Answer<R> {
        Answer { receiver, query, snapshot_wait }
    }

    fn ended(&self) -> Option<Result<QueryStatistics, SqlError>> {
        self.receiver.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<R> RowStream for Answer<R> {
    type Rows = R;

    async fn next(&mut self) -> Result<Option<R>, SqlError> {
        if let Some(rows) = self.receiver.pieces.recv().await {
            return Ok(Some(rows));
        }
        match self.ended() {
            Some(outcome) => outcome.map(|_| None),
            None => {
                let message = "the query ended without saying how";
                Err(SqlError::new(SqlState::INTERNAL_ERROR, message))
            }
        }
    }

    fn cost(&self) -> QueryCost {
        let snapshot_wait_micros = self.snapshot_wait.as_micros() as u64;
        match self.ended() {
            Some(Ok(statistics)) => QueryCost {
                rows_read: statistics.rows_read,
                bytes_read: statistics.bytes_read.0,
                files_pruned: statistics.files_pruned,
                files_read: statistics.files,
                snapshot_wait_micros,
                memory_bytes_peak: statistics.peak_memory.0,
            },
            _ => QueryCost {
                rows_read: self.query.progress().rows_read(),
                snapshot_wait_micros,
                ..QueryCost::default()
            },
        }
    }
}
