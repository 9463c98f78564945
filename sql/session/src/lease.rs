//! Rows taken by lease: `SELECT … FOR UPDATE` and its kin, and rows over which transactions of this session have lost before.
//!
//! A row over which a COMMIT or a moved snapshot has failed is *hot* for a while: the session's later blocks take it before they read it, so that attempts
//! queue instead of failing one another. Leases order attempts; what COMMIT validates is what counts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use accord::{Abort, Footprint};
use oltp::transaction::OwnRow;
use oltp::{
    Engine, LeaseOutcome, LeaseWait, OltpError, ReadOutcome, StatementError, StoredRows, TableRows,
    Targets, candidates, finish_read,
};
use plan::statement::{LockWait, RowLock, ShortRead};
use types::schema::RowAddress;
use types::{SqlState, TableId, Value};

use crate::block::State;
use crate::compiled::Compiled;
use crate::functions::SessionContext;
use crate::node::Node;
use crate::session::Session;

const DEADLOCK_DETECTED: SqlState = SqlState(*b"40P01");
/// How long FOR UPDATE waits for a row when `lock_timeout` does not say.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long COMMITs of others queue behind a row that was asked for by FOR UPDATE.
const LOCK_KEEPS_FOR: Duration = Duration::from_secs(5);
/// How long a hot row is waited for, and kept.
const HOT_WAIT: Duration = Duration::from_millis(500);
/// For how long a row is hot after the last conflict over it.
const HOT_FOR_MICROS: i64 = 10_000_000;
/// Rows that one session remembers.
const HOT_ROWS_MAX: usize = 64;

/// Rows over which this session has lost.
#[derive(Debug, Default)]
pub(crate) struct HotRows(VecDeque<(TableId, Vec<u8>, i64)>);

impl HotRows {
    fn is_hot(&self, table: TableId, key: &[u8], now_micros: i64) -> bool {
        self.0.iter().any(|(known_table, known, since)| {
            *known_table == table && known == key && now_micros - since < HOT_FOR_MICROS
        })
    }

    fn note(&mut self, table: TableId, key: &[u8], now_micros: i64) {
        self.0.retain(|(known_table, known, _)| *known_table != table || known != key);
        if self.0.len() >= HOT_ROWS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((table, key.to_vec(), now_micros));
    }
}

impl<N: Node> Session<N> {
    /// A transaction failed over one of its rows: the next one takes it first.
    pub(crate) fn note_conflict(&mut self, abort: &Abort, footprint: &Footprint) {
        if let Abort::PointChanged(index) = abort
            && let Some(point) = footprint.points().get(*index)
        {
            let now = self.node.wall_micros();
            self.hot.note(point.table, footprint.key_of(point), now);
        }
    }

    /// Takes those of some rows that are hot, before they are read in the open block.
    pub(crate) async fn take_hot(
        &mut self,
        table: &TableRows,
        addresses: &[RowAddress],
    ) -> Result<(), OltpError> {
        if self.hot.0.is_empty() || !matches!(self.state, State::Open(_)) {
            return Ok(());
        }
        let storage = table.schema.storage_id;
        let now = self.node.wall_micros();
        let hot: Vec<RowAddress> = addresses
            .iter()
            .filter(|address| self.hot.is_hot(storage, &address.key, now))
            .cloned()
            .collect();
        if hot.is_empty() || !self.may_move() {
            return Ok(());
        }
        let wait = LeaseWait { at_most: HOT_WAIT, keeps_for: HOT_WAIT };
        let mut taken = false;
        for address in &hot {
            match self.take_row(storage, address, wait).await? {
                LeaseOutcome::Free => taken = true,
                LeaseOutcome::Waited => {
                    taken = true;
                    self.hot.note(storage, &address.key, now);
                }
                // Without it the transaction may fail, and no more.
                LeaseOutcome::Busy | LeaseOutcome::Deadlock => {}
            }
        }
        if taken { self.move_on().await } else { Ok(()) }
    }

    /// Whether the open block's transaction may move to another snapshot, or has none yet.
    fn may_move(&self) -> bool {
        let State::Open(block) = &self.state else { return false };
        let movable = block.transaction.as_ref().is_none_or(oltp::Transaction::is_movable);
        movable && block.loads.is_empty()
    }

    async fn take_row(
        &mut self,
        storage: TableId,
        address: &RowAddress,
        wait: LeaseWait,
    ) -> Result<LeaseOutcome, OltpError> {
        let node = self.node.clone();
        let engine = node.engine();
        let lease = self.lease.get_or_insert_with(|| engine.open_lease());
        engine.take_row(lease, storage, address, wait).await
    }

    /// After rows were taken: a transaction that has a snapshot moves to one that sees them as they are now.
    async fn move_on(&mut self) -> Result<(), OltpError> {
        if !self.may_move() {
            return Ok(());
        }
        let node = self.node.clone();
        let engine = node.engine();
        let State::Open(block) = &mut self.state else { return Ok(()) };
        let Some(transaction) = &mut block.transaction else { return Ok(()) };
        let old = transaction.snapshot();
        let new = engine.begin().await?;
        match transaction.move_to(engine, new).await {
            Ok(()) => {
                engine.end_snapshot(old);
                Ok(())
            }
            Err(error) => {
                engine.end_snapshot(new);
                Err(error)
            }
        }
    }

    /// `SELECT … FOR UPDATE` in a block: takes the rows, then reads them as they are.
    pub(crate) async fn locked_read(
        &mut self,
        compiled: &Arc<Compiled>,
        (short, lock): (&ShortRead, RowLock),
        targets: Targets,
        parameters: &[Value],
    ) -> Result<ReadOutcome, OltpError> {
        let table = compiled.table.clone().expect("a short read of a table has it prepared");
        let surroundings = self.surroundings();
        let (rows, mut most) = match &targets {
            Targets::Points(addresses) if short.limit.is_none() && short.offset.is_none() => {
                (addresses.clone(), usize::MAX)
            }
            _ => {
                let found = self.glanced(compiled, &table, &targets).await?;
                let session = SessionContext::new(self, &surroundings);
                let (rows, most) = candidates(short, found, parameters, &session.context())?;
                (rows.into_iter().map(|row| row.address).collect(), most)
            }
        };
        let mut taken = Vec::with_capacity(rows.len().min(most));
        for address in rows {
            if most == 0 {
                break;
            }
            if self.lock_row(&table, &address, lock.wait).await? {
                taken.push(address);
                most -= 1;
            }
        }
        self.move_on().await?;
        // What was left out because others hold it is nothing that the client was shown.
        let keeps_range = lock.wait != LockWait::SkipLocked;
        if keeps_range && !matches!(targets, Targets::Points(_)) {
            self.found(compiled, &table, &targets).await?;
        }
        let found = self.found(compiled, &table, &Targets::Points(taken)).await?;
        let mut stored = StoredRows::default();
        for row in found {
            stored.push(&table.encode(&row.values)?);
        }
        let rest = ShortRead { limit: None, offset: None, ..short.clone() };
        let session = SessionContext::new(self, &surroundings);
        let context = session.context();
        let outcome = finish_read(&rest, Some(&table), stored, parameters, &context)?;
        session.settle();
        Ok(outcome)
    }

    /// Takes one row as a statement asked for it; nothing is taken where others are passed over.
    async fn lock_row(
        &mut self,
        table: &TableRows,
        address: &RowAddress,
        wait: LockWait,
    ) -> Result<bool, OltpError> {
        if !self.may_move() {
            // The transaction has built on the table as a whole: COMMIT finds it unchanged or fails.
            return Ok(true);
        }
        let at_most = match wait {
            LockWait::Wait => self
                .settings
                .milliseconds("lock_timeout")
                .map_or(LOCK_WAIT_MAX, Duration::from_millis),
            LockWait::NoWait | LockWait::SkipLocked => Duration::ZERO,
        };
        let lease_wait = LeaseWait { at_most, keeps_for: LOCK_KEEPS_FOR };
        let error = |sqlstate, message: String| Err(StatementError::new(sqlstate, message).into());
        match self.take_row(table.schema.storage_id, address, lease_wait).await? {
            LeaseOutcome::Free | LeaseOutcome::Waited => Ok(true),
            LeaseOutcome::Deadlock => error(DEADLOCK_DETECTED, "deadlock detected".into()),
            LeaseOutcome::Busy => match wait {
                LockWait::SkipLocked => Ok(false),
                LockWait::NoWait => error(
                    SqlState::LOCK_NOT_AVAILABLE,
                    format!("could not obtain lock on row in relation \"{}\"", table.schema.name),
                ),
                LockWait::Wait => error(
                    SqlState::LOCK_NOT_AVAILABLE,
                    "canceling statement due to lock timeout".into(),
                ),
            },
        }
    }

    async fn glanced(
        &mut self,
        compiled: &Arc<Compiled>,
        table: &TableRows,
        targets: &Targets,
    ) -> Result<Vec<OwnRow>, OltpError> {
        let node = self.node.clone();
        let transaction = self.transaction().await.map_err(crate::execute::unavailable)?;
        transaction.planned_at(&compiled.bound.tables);
        transaction.glance(node.engine(), table, targets).await
    }

    async fn found(
        &mut self,
        compiled: &Arc<Compiled>,
        table: &TableRows,
        targets: &Targets,
    ) -> Result<Vec<OwnRow>, OltpError> {
        let node = self.node.clone();
        let transaction = self.transaction().await.map_err(crate::execute::unavailable)?;
        transaction.planned_at(&compiled.bound.tables);
        transaction.rows(node.engine(), table, targets).await
    }
}
