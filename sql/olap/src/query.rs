//! The public entry: a bound query and a snapshot go in, batches of rows come out of a sink.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::execution::memory_pool::MemoryPool;
use futures::{FutureExt, StreamExt};
use plan::catalog::VirtualTable;
use plan::query::{OutputColumn, Query, Subqueries};
use snapshot::Snapshot;
use tokio::sync::Notify;
use types::{ByteCount, Value, ValueError};

use crate::answers::Statement;
use crate::budget::{QueryBudget, QueryPool, runtime_environment};
use crate::column_cache::ColumnCache;
use crate::engine::{Engine, Joins, hashes_joins, lines};
use crate::error::AnalyticsError;
use crate::evaluation::{StatementContext, StopFlag};
use crate::result::{ResultBatch, ResultSink, SinkError};
use crate::statistics::{Counters, Progress, QueryStatistics};
use crate::worker_pool::{Demand, WorkerPool, WorkerPoolOptions};

/// The analytics of one node.
#[derive(Debug)]
pub struct Analytics {
    pool: WorkerPool,
    cache: Arc<ColumnCache>,
    budget: QueryBudget,
}

/// Gives the rows of computed tables, as they are at the statement's moment.
pub trait VirtualTables: Send + Sync {
    /// All rows, with all columns of the table's definition.
    ///
    /// # Errors
    /// What the session raises.
    fn rows(&self, table: VirtualTable) -> Result<Vec<Box<[Value]>>, ValueError>;
}

/// What is to be run.
pub struct QueryRequest {
    /// The query.
    pub query: Arc<Query>,
    /// Its statement's subqueries and WITH queries.
    pub subqueries: Arc<Subqueries>,
    /// What its expressions may know.
    pub context: StatementContext,
    /// The tables that it reads, at one timestamp.
    pub snapshot: Snapshot,
    /// The computed tables.
    pub virtual_tables: Arc<dyn VirtualTables>,
}

impl std::fmt::Debug for QueryRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryRequest")
            .field("timestamp", &self.snapshot.timestamp)
            .finish_non_exhaustive()
    }
}

/// A query that runs or waits for its turn. Dropping it cancels.
#[derive(Debug)]
pub struct RunningQuery {
    stop: Arc<Stop>,
    progress: Progress,
}

#[derive(Debug, Default)]
struct Stop {
    flag: StopFlag,
    woken: Notify,
}

impl Stop {
    fn ask(&self) {
        self.flag.ask();
        self.woken.notify_one();
    }

    async fn wait(&self) {
        // A notification that came before is kept, so none is missed.
        while !self.flag.is_asked() {
            self.woken.notified().await;
        }
    }
}

impl RunningQuery {
    /// Asks it to stop; its sink then finishes with 57014, unless it was done.
    pub fn cancel(&self) {
        self.stop.ask();
    }

    /// How far it has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}

impl Drop for RunningQuery {
    fn drop(&mut self) {
        self.stop.ask();
    }
}

impl Analytics {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system refuses them.
    pub fn start(
        pool: WorkerPoolOptions,
        budget: QueryBudget,
        cache: ByteCount,
    ) -> Result<Analytics, AnalyticsError> {
        let pool = WorkerPool::start(pool)?;
        Ok(Analytics { pool, cache: Arc::new(ColumnCache::new(cache)), budget })
    }

    /// Runs a query into a sink. Errors of the query come out of the sink; an error here means that it was not begun.
    ///
    /// # Errors
    /// 53000 if too many queries wait already. The sink is then dropped without `finish`.
    pub fn run(
        &self,
        request: QueryRequest,
        sink: Box<dyn ResultSink>,
    ) -> Result<RunningQuery, AnalyticsError> {
        let place = self.pool.enter()?;
        let counters = Arc::new(Counters::default());
        let stop = Arc::new(Stop::default());
        let mut request = request;
        request.context.stop = stop.flag.clone();
        let query = Execution {
            request,
            counters: counters.clone(),
            cache: self.cache.clone(),
            budget: self.budget.clone(),
            threads: self.pool.threads(),
            demand: self.pool.demand(),
        };
        let stopped = stop.clone();
        self.pool.spawn(async move {
            let mut sink = sink;
            let asked = Instant::now();
            let outcome = {
                let work = async {
                    let _turn = place.turn().await;
                    query.run(&mut *sink, asked).await
                };
                // A panic in an operator of ours fails this query only.
                let work = AssertUnwindSafe(work).catch_unwind();
                tokio::select! {
                    biased;
                    () = stopped.wait() => Err(AnalyticsError::Cancelled),
                    done = work => done.unwrap_or(Err(AnalyticsError::Panicked)),
                }
            };
            // The end needs room as rows do; a thread that waited for it would be lost to every other query. Nobody reading is no reason not to finish.
            let _closed = poll_fn(|cx| sink.poll_ready(cx)).await;
            sink.finish(outcome);
        });
        Ok(RunningQuery { stop, progress: Progress { counters } })
    }

    /// The execution plan of a query, as lines of text. Nothing is read.
    ///
    /// # Errors
    /// As planning fails; through the future.
    pub fn explain(
        &self,
        request: QueryRequest,
        done: impl FnOnce(Result<Vec<String>, AnalyticsError>) + Send + 'static,
    ) {
        let query = Execution {
            request,
            counters: Arc::new(Counters::default()),
            cache: self.cache.clone(),
            budget: self.budget.clone(),
            threads: self.pool.threads(),
            demand: self.pool.demand(),
        };
        self.pool.spawn(async move {
            let work = AssertUnwindSafe(query.explain()).catch_unwind();
            done(work.await.unwrap_or(Err(AnalyticsError::Panicked)));
        });
    }

    /// The column cache.
    pub fn column_cache(&self) -> &ColumnCache {
        &self.cache
    }
}

/// One query being run.
struct Execution {
    request: QueryRequest,
    counters: Arc<Counters>,
    cache: Arc<ColumnCache>,
    budget: QueryBudget,
    threads: usize,
    demand: Demand,
}

/// How long a client may take nothing before its query's place is given to one that waits.
const STALLED_AFTER: Duration = Duration::from_secs(10);
/// How often a query whose client takes nothing looks whether others wait.
const STALLED_TICK: Duration = Duration::from_millis(250);

/// Whether rows have left already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Nothing,
    Rows,
}

/// Waits, not for ever, until tasks of an attempt that failed have seen it and given back their memory.
async fn returned(pool: &QueryPool) {
    const ROUNDS_MAX: usize = 1_000;
    for _ in 0..ROUNDS_MAX {
        if pool.reserved() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn stopped(error: SinkError) -> AnalyticsError {
    match error {
        SinkError::Closed => AnalyticsError::Cancelled,
        SinkError::Failed(error) => error,
    }
}

impl Execution {
    fn statement(&self, engine: Engine) -> Statement {
        Statement::new(
            engine,
            self.request.subqueries.clone(),
            Arc::new(self.request.context.clone()),
            self.request.snapshot.clone(),
            self.request.virtual_tables.clone(),
            self.cache.clone(),
            self.counters.clone(),
        )
    }

    fn engine(&self, pool: &Arc<QueryPool>, joins: Joins) -> Result<Engine, AnalyticsError> {
        let runtime = runtime_environment(&self.budget, pool.clone())?;
        Ok(Engine::new(runtime, self.threads, self.budget.memory, joins))
    }

    async fn run(
        self,
        sink: &mut dyn ResultSink,
        asked: Instant,
    ) -> Result<QueryStatistics, AnalyticsError> {
        let begun = Instant::now();
        let pool = Arc::new(QueryPool::new(self.budget.memory, self.threads));
        let mut sent = Sent::Nothing;
        let mut hashed = false;
        let first = self.attempt(&pool, Joins::Hashed, sink, &mut sent, &mut hashed).await;
        match first {
            // A join side too large to be hashed in memory may still be sorted, which spills.
            Err(AnalyticsError::OutOfMemory { .. }) if hashed && sent == Sent::Nothing => {
                returned(&pool).await;
                self.attempt(&pool, Joins::Sorted, sink, &mut sent, &mut hashed).await?;
            }
            other => other?,
        }
        Ok(QueryStatistics::of(
            &self.counters,
            self.request.snapshot.timestamp,
            pool.peak(),
            begun - asked,
            begun.elapsed(),
        ))
    }

    async fn attempt(
        &self,
        pool: &Arc<QueryPool>,
        joins: Joins,
        sink: &mut dyn ResultSink,
        sent: &mut Sent,
        hashed: &mut bool,
    ) -> Result<(), AnalyticsError> {
        let engine = self.engine(pool, joins)?;
        let mut statement = self.statement(engine.clone());
        let logical = statement.prepare(&self.request.query.root).await?;
        let physical = engine.plan(&logical).await?;
        *hashed = joins == Joins::Hashed && hashes_joins(&*physical);
        let mut rows = engine.start(physical)?;
        let columns: Arc<[OutputColumn]> = self.request.query.columns.clone().into();
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            if batch.num_rows() == 0 {
                continue;
            }
            self.wait_for_client(sink).await?;
            Counters::add(&self.counters.rows_returned, batch.num_rows());
            *sent = Sent::Rows;
            let batch = ResultBatch { batch, columns: columns.clone() };
            sink.send(batch).map_err(stopped)?;
        }
        self.wait_for_client(sink).await
    }

    /// Waits until the client takes rows.
    async fn wait_for_client(&self, sink: &mut dyn ResultSink) -> Result<(), AnalyticsError> {
        let begun = Instant::now();
        loop {
            let ready = poll_fn(|cx| sink.poll_ready(cx));
            match tokio::time::timeout(STALLED_TICK, ready).await {
                Ok(ready) => return ready.map_err(stopped),
                Err(_) if begun.elapsed() >= STALLED_AFTER && self.demand.claim() => {
                    return Err(AnalyticsError::Stalled);
                }
                Err(_) => {}
            }
        }
    }

    async fn explain(self) -> Result<Vec<String>, AnalyticsError> {
        let pool = Arc::new(QueryPool::new(self.budget.memory, self.threads));
        let engine = self.engine(&pool, Joins::Hashed)?;
        let statement = self.statement(engine.clone());
        let logical = statement.outline(&self.request.query.root)?;
        Ok(lines(&*engine.plan(&logical).await?))
    }
}
