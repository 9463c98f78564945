//! Where a session stands between BEGIN and COMMIT.

use std::sync::Arc;

use oltp::Transaction;
use plan::catalog::Catalog;
use plan::statement::TransactionModes;

use crate::ddl::PendingCatalog;

/// Who opened a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opener {
    /// BEGIN.
    Client,
    /// Several statements in one simple query, or several executions before one Sync.
    Batch,
}

/// An open transaction block.
#[derive(Debug)]
pub struct Block<B> {
    /// Who opened it.
    pub opener: Opener,
    /// What BEGIN and SET TRANSACTION said.
    pub modes: TransactionModes,
    /// Microseconds since 2000-01-01 at which it began; `now()` inside it.
    pub begun_micros: i64,
    /// Reads and buffered writes; made by the first statement that needs the snapshot.
    pub transaction: Option<Transaction>,
    /// Changes of the schema, not committed yet.
    pub catalog: Option<PendingCatalog>,
    /// Loads in bulk, finished but not committed.
    pub loads: Vec<B>,
    /// Whether a statement has run in it: SET TRANSACTION comes too late then.
    pub has_run: bool,
}

impl<B> Block<B> {
    /// A block in which nothing has run.
    pub fn new(opener: Opener, modes: TransactionModes, begun_micros: i64) -> Block<B> {
        Block {
            opener,
            modes,
            begun_micros,
            transaction: None,
            catalog: None,
            loads: Vec::new(),
            has_run: false,
        }
    }

    /// The catalog that statements of the block see.
    pub fn catalog(&self, committed: Arc<Catalog>) -> Arc<Catalog> {
        self.catalog.as_ref().map_or(committed, |pending| pending.overlay.clone())
    }
}

/// Where a session stands.
#[derive(Debug)]
pub enum State<B> {
    /// Outside a block.
    Idle,
    /// In a block.
    Open(Box<Block<B>>),
    /// In a block that can only be rolled back.
    Failed(Opener),
}
