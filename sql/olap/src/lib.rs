//! Analytics over snapshots: DataFusion's joins, sorts and grouping under PostgreSQL's types, operators and aggregates.
//!
//! The engine below is used for what has one answer in every database: moving rows. Every value is computed by us ([`expression`], [`aggregation`],
//! [`window`]), in PostgreSQL's types ([`physical`]), compared by keys whose bytes order as SQL orders ([`sort_key`]). Its SQL, its type coercion, its
//! functions and the optimizer rules that rewrite values are not reachable.
//!
//! A query runs on [`WorkerPool`]'s low-priority threads within a [`QueryBudget`]; what does not fit spills or fails with 53200. It reads one strict
//! snapshot, so it sees every row committed before it began and none later.
#![deny(unsafe_code)]

mod aggregation;
mod answers;
mod budget;
mod column_cache;
mod engine;
mod error;
mod evaluation;
mod export;
mod expression;
mod fetch;
mod lowering;
mod operators;
mod physical;
mod pruning;
mod query;
mod record_batch;
mod result;
mod set_function;
mod snapshot_exec;
mod sort_key;
mod split;
mod statistics;
mod table;
mod value_codec;
mod worker_pool;

pub use budget::QueryBudget;
pub use column_cache::ColumnCache;
pub use error::{AnalyticsError, ErrorKind};
pub use evaluation::{StatementContext, StopFlag};
pub use export::{ExportFormat, FileExport};
pub use query::{Analytics, QueryRequest, RunningQuery, VirtualTables};
pub use result::{BatchReader, Cell, ResultBatch, ResultSink, SinkError};
pub use statistics::{Progress, QueryStatistics};
pub use worker_pool::{ThreadStart, WorkerPool, WorkerPoolOptions};
