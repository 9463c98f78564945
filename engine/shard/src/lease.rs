//! Leases on rows: they order interactive transactions that want the same rows, so that these do not fail one another at COMMIT.
//!
//! ```text
//! taker ── Take ──▶ the row's shard: free? granted : queues, first come first served ──▶ answered when granted, or when its time is over
//! COMMIT that writes a row which somebody else holds queues too, for a bounded time
//! ```
//!
//! Correctness never rests on a lease: validation at COMMIT decides, as without. A lease that is lost, or a queue that is left early, costs a retry. A lease is
//! one transaction's; it takes rows one by one and gives all back when it is dropped. Nothing here waits: who queues is an entry of a list, and one task a
//! shard looks for those whose time is over, while there are any.
//!
//! Deadlock: who has queued for [`DEADLOCK_AFTER`], holds rows already and queues behind an older lease is told so. In every circle of waiting somebody is.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use accord::{Footprint, RequestId, Workload};
use platform::{SchedulingClass, spawn};
use types::{ShardId, TableId, Token};

use crate::client::ShardClient;
use crate::error::ShardError;
use crate::inbox::ShardMessage;
use crate::requests::{Answer, Requests};
use crate::shard::Shard;

/// After so long in a queue a deadlock is thought of.
const DEADLOCK_AFTER: Duration = Duration::from_secs(1);
/// How often queues are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Names a lease: when it began, the core that asked for it, its number there. The order is that of age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaseId {
    began_micros: u64,
    shard: ShardId,
    number: u64,
}

/// What to do when another holds the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseWait {
    /// How long to queue; zero not at all.
    pub at_most: Duration,
    /// How long others' COMMITs queue behind this lease.
    pub keeps_for: Duration,
}

/// How asking for a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// It is the lease's, and was nobody's.
    Free,
    /// It is the lease's, and was another's a moment ago.
    Waited,
    /// Another has it, and the time is over.
    Busy,
    /// Waiting longer would be for ever.
    Deadlock,
}

/// A request for one row.
#[derive(Clone, Copy, Debug)]
pub struct LeaseTake {
    lease: LeaseId,
    /// Whether the lease has rows already.
    has_rows: bool,
    wait: LeaseWait,
}

enum Waiter {
    Taker(LeaseTake, RequestId),
    Commit(RequestId, Arc<Footprint>, Arc<dyn Workload>),
}

struct Waiting {
    since: platform::MonotonicNanos,
    waiter: Waiter,
}

struct LeasedRow {
    holder: LeaseId,
    keeps_for: Duration,
    waiting: VecDeque<Waiting>,
}

type RowKey = (TableId, Vec<u8>);

/// The leased rows of one shard.
#[derive(Default)]
pub(crate) struct Leases {
    next: Cell<u64>,
    rows: RefCell<BTreeMap<RowKey, LeasedRow>>,
    held: RefCell<BTreeMap<LeaseId, Vec<RowKey>>>,
    looking: Cell<bool>,
}

/// One transaction's lease. Dropping it gives its rows back.
pub struct Lease {
    client: ShardClient,
    id: LeaseId,
    /// Shards that were asked for a row.
    asked: Vec<ShardId>,
    has_rows: bool,
}

impl Lease {
    /// Its name.
    pub fn id(&self) -> LeaseId {
        self.id
    }

    /// Whether it has a row.
    pub fn has_rows(&self) -> bool {
        self.has_rows
    }

    /// Asks for a row.
    ///
    /// # Errors
    /// As [`ShardClient::submit`].
    ///
    /// # Cancel safety
    /// Safe: what is granted to nobody goes back with the lease.
    pub async fn take(
        &mut self,
        (table, token, key): (TableId, Token, &[u8]),
        wait: LeaseWait,
    ) -> Result<LeaseOutcome, ShardError> {
        let shard = self.client.shard().clone();
        let owner = shard.inner.placement.owner(token);
        if !self.asked.contains(&owner) {
            self.asked.push(owner);
        }
        let mut pending = shard.open(1)?;
        let take = LeaseTake { lease: self.id, has_rows: self.has_rows, wait };
        let row = (table, key.to_vec());
        if owner == shard.inner.shard {
            shard.take_lease(pending.request, take, row);
        } else {
            shard.send(owner, ShardMessage::TakeLease { request: pending.request, take, row });
        }
        match pending.next().await? {
            Answer::Lease(outcome) => {
                self.has_rows |= matches!(outcome, LeaseOutcome::Free | LeaseOutcome::Waited);
                Ok(outcome)
            }
            other => panic!("a lease is answered by its outcome, not {other:?}"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let shard = self.client.shard();
        for owner in &self.asked {
            if *owner == shard.inner.shard {
                shard.end_lease(self.id);
            } else {
                shard.send(*owner, ShardMessage::EndLease { lease: self.id });
            }
        }
    }
}

impl ShardClient {
    /// A lease without rows.
    pub fn open_lease(&self) -> Lease {
        let inner = &self.shard().inner;
        let number = inner.leases.next.get();
        inner.leases.next.set(number + 1);
        let began_micros = inner.platform.clock.wall_micros();
        let id = LeaseId { began_micros, shard: inner.shard, number };
        Lease { client: self.clone(), id, asked: Vec::new(), has_rows: false }
    }
}

impl Shard {
    /// A lease asks for a row of this shard.
    pub(crate) fn take_lease(&self, request: RequestId, take: LeaseTake, key: RowKey) {
        let leases = &self.inner.leases;
        let mut rows = leases.rows.borrow_mut();
        let outcome = match rows.get_mut(&key) {
            None => {
                let (holder, keeps_for) = (take.lease, take.wait.keeps_for);
                rows.insert(key.clone(), LeasedRow { holder, keeps_for, waiting: VecDeque::new() });
                leases.held.borrow_mut().entry(holder).or_default().push(key);
                Some(LeaseOutcome::Free)
            }
            Some(row) if row.holder == take.lease => {
                row.keeps_for = row.keeps_for.max(take.wait.keeps_for);
                Some(LeaseOutcome::Free)
            }
            Some(_) if take.wait.at_most.is_zero() => Some(LeaseOutcome::Busy),
            Some(row) => {
                let since = self.inner.platform.clock.monotonic();
                row.waiting.push_back(Waiting { since, waiter: Waiter::Taker(take, request) });
                None
            }
        };
        drop(rows);
        match outcome {
            Some(outcome) => self.answer_lease(request, outcome),
            None => self.look_after_leases(),
        }
    }

    /// A lease gives its rows of this shard back; who waits on its behalf waits no more.
    pub(crate) fn end_lease(&self, lease: LeaseId) {
        let leases = &self.inner.leases;
        let held = leases.held.borrow_mut().remove(&lease).unwrap_or_default();
        for key in held {
            self.pass_on(&key);
        }
        let mut rows = leases.rows.borrow_mut();
        for row in rows.values_mut() {
            row.waiting.retain(
                |waiting| !matches!(&waiting.waiter, Waiter::Taker(take, _) if take.lease == lease),
            );
        }
    }

    /// The holder of a row is gone: COMMITs that wait go on, up to the first taker, whose row it is now.
    fn pass_on(&self, key: &RowKey) {
        let leases = &self.inner.leases;
        loop {
            let mut rows = leases.rows.borrow_mut();
            let Some(row) = rows.get_mut(key) else { return };
            match row.waiting.pop_front().map(|waiting| waiting.waiter) {
                None => {
                    rows.remove(key);
                    return;
                }
                Some(Waiter::Taker(take, request)) => {
                    row.holder = take.lease;
                    row.keeps_for = take.wait.keeps_for;
                    drop(rows);
                    leases.held.borrow_mut().entry(take.lease).or_default().push(key.clone());
                    self.answer_lease(request, LeaseOutcome::Waited);
                    return;
                }
                Some(Waiter::Commit(request, footprint, workload)) => {
                    drop(rows);
                    self.submit_unleased(request, footprint, workload);
                }
            }
        }
    }

    fn answer_lease(&self, request: RequestId, outcome: LeaseOutcome) {
        let asker = Requests::asker(request);
        if asker == self.inner.shard {
            self.deliver(request, Answer::Lease(outcome));
        } else {
            self.send(asker, ShardMessage::Leased { request, outcome });
        }
    }

    /// Keeps a transaction that writes a row which another holds; else gives it back.
    pub(crate) fn keep_if_leased(
        &self,
        lease: Option<LeaseId>,
        request: RequestId,
        footprint: Arc<Footprint>,
        workload: Arc<dyn Workload>,
    ) -> Option<(RequestId, Arc<Footprint>, Arc<dyn Workload>)> {
        let mut rows = self.inner.leases.rows.borrow_mut();
        if rows.is_empty() {
            return Some((request, footprint, workload));
        }
        let written = footprint.points().iter().filter(|point| point.access.writes());
        let keys = written.map(|point| (point.table, footprint.key_of(point).to_vec()));
        let held = keys.into_iter().find(|key| {
            let row = rows.get(key);
            row.is_some_and(|row| Some(row.holder) != lease && !row.keeps_for.is_zero())
        });
        let Some(row) = held.and_then(|key| rows.get_mut(&key)) else {
            return Some((request, footprint, workload));
        };
        let since = self.inner.platform.clock.monotonic();
        let waiter = Waiter::Commit(request, footprint, workload);
        row.waiting.push_back(Waiting { since, waiter });
        drop(rows);
        self.look_after_leases();
        None
    }

    /// Sees to it that nobody waits longer than asked for.
    fn look_after_leases(&self) {
        if self.inner.leases.looking.replace(true) {
            return;
        }
        let shard = self.clone();
        let spawner = &*self.inner.platform.spawner;
        spawn(spawner, SchedulingClass::Foreground, "leases", async move {
            loop {
                platform::sleep(&shard.inner.platform.spawner, LOOK_INTERVAL).await;
                if !shard.look_at_waiters() {
                    shard.inner.leases.looking.set(false);
                    return;
                }
            }
        });
    }

    /// Ends the waiting of those whose time is over. Gives whether anybody still waits.
    fn look_at_waiters(&self) -> bool {
        let now = self.inner.platform.clock.monotonic();
        let (mut over, mut waits) = (Vec::new(), false);
        for row in self.inner.leases.rows.borrow_mut().values_mut() {
            let mut oldest = row.holder;
            let keeps_for = row.keeps_for;
            for waiting in std::mem::take(&mut row.waiting) {
                let waited = now.since(waiting.since);
                let outcome = match &waiting.waiter {
                    Waiter::Commit(..) => (waited >= keeps_for).then_some(LeaseOutcome::Busy),
                    Waiter::Taker(take, _) => {
                        let stuck = take.has_rows && oldest < take.lease;
                        oldest = oldest.min(take.lease);
                        if waited >= take.wait.at_most {
                            Some(LeaseOutcome::Busy)
                        } else {
                            (stuck && waited >= DEADLOCK_AFTER).then_some(LeaseOutcome::Deadlock)
                        }
                    }
                };
                match outcome {
                    Some(outcome) => over.push((waiting.waiter, outcome)),
                    None => {
                        waits = true;
                        row.waiting.push_back(waiting);
                    }
                }
            }
        }
        for (waiter, outcome) in over {
            match waiter {
                Waiter::Taker(_, request) => self.answer_lease(request, outcome),
                Waiter::Commit(request, footprint, workload) => {
                    self.submit_unleased(request, footprint, workload);
                }
            }
        }
        waits
    }
}
