//! Holding back the writers of a table at the door, for a bounded time: what lets a bulk commit or a change of the schema, which must find the whole table
//! unchanged, come to its end among writers that never pause.
//!
//! Correctness never rests on it: the validation at COMMIT decides, as without. New transactions that write rows of the table wait where they are submitted;
//! those that name the table whole pass, the holder's own among them, and what is under way goes on. The message that holds
//! reaches each shard before any later one
//! of the same core, so a snapshot taken after it sees all but what was under way.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use accord::{Footprint, RequestId, TokenRange, Workload};
use platform::{SchedulingClass, spawn};
use types::{ShardId, TableId};

use crate::client::ShardClient;
use crate::inbox::ShardMessage;
use crate::shard::Shard;

/// Names a hold: the core that asked for it, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldId {
    shard: ShardId,
    number: u64,
}

struct Waiting {
    request: RequestId,
    footprint: Arc<Footprint>,
    workload: Arc<dyn Workload>,
}

/// The holds on one shard.
#[derive(Default)]
pub(crate) struct Holds {
    next: Cell<u64>,
    held: RefCell<BTreeMap<HoldId, Arc<[TableId]>>>,
    waiting: RefCell<Vec<Waiting>>,
}

/// Writers are held back while this lives, and its time has not run out.
pub struct Hold {
    client: ShardClient,
    hold: HoldId,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let shard = self.client.shard();
        shard.to_all(|| ShardMessage::Release { hold: self.hold });
        shard.release(self.hold);
    }
}

/// Whether a transaction writes rows of a table without naming it whole.
fn writes_rows(footprint: &Footprint, table: TableId) -> bool {
    let points = || {
        let mut points = footprint.points().iter();
        points.any(|point| point.table == table && point.access.writes())
    };
    let ranges = || footprint.ranges().iter().filter(|range| range.table == table);
    let whole = ranges().any(|range| range.access.writes() && range.tokens == TokenRange::ALL);
    !whole && (ranges().any(|range| range.access.writes()) || points())
}

impl Holds {
    /// Whether no transaction has to be looked at.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.borrow().is_empty()
    }

    fn stops(&self, footprint: &Footprint) -> bool {
        let held = self.held.borrow();
        held.values().flat_map(|tables| tables.iter()).any(|table| writes_rows(footprint, *table))
    }
}

impl Shard {
    fn to_all(&self, message: impl Fn() -> ShardMessage) {
        for shard in (0..self.inner.placement.shard_count()).map(ShardId) {
            if shard != self.inner.shard {
                self.send(shard, message());
            }
        }
    }

    /// Keeps a transaction at the door if it is held back; else gives it back.
    pub(crate) fn keep_if_held(
        &self,
        request: RequestId,
        footprint: Arc<Footprint>,
        workload: Arc<dyn Workload>,
    ) -> Option<(RequestId, Arc<Footprint>, Arc<dyn Workload>)> {
        let holds = &self.inner.holds;
        if holds.is_empty() || !holds.stops(&footprint) {
            return Some((request, footprint, workload));
        }
        holds.waiting.borrow_mut().push(Waiting { request, footprint, workload });
        None
    }

    /// Holds writers of some tables back on this shard.
    pub(crate) fn hold(&self, hold: HoldId, tables: Arc<[TableId]>, at_most: Duration) {
        self.inner.holds.held.borrow_mut().insert(hold, tables);
        let shard = self.clone();
        let spawner = &self.inner.platform.spawner;
        spawn(&**spawner, SchedulingClass::Maintenance, "end of a hold", async move {
            platform::sleep(&shard.inner.platform.spawner, at_most).await;
            shard.release(hold);
        });
    }

    /// Lets them go on.
    pub(crate) fn release(&self, hold: HoldId) {
        let holds = &self.inner.holds;
        if holds.held.borrow_mut().remove(&hold).is_none() {
            return;
        }
        let waiting = std::mem::take(&mut *holds.waiting.borrow_mut());
        for Waiting { request, footprint, workload } in waiting {
            self.submit_unleased(request, footprint, workload);
        }
    }
}

impl ShardClient {
    /// Holds back new transactions that write rows of some storage tables, on every core, until the result is dropped or
    /// `at_most` has passed. Transactions that
    /// name such a table whole are not held back.
    pub fn hold_writers(&self, tables: Arc<[TableId]>, at_most: Duration) -> Hold {
        let shard = self.shard();
        let holds = &shard.inner.holds;
        let number = holds.next.get();
        holds.next.set(number + 1);
        let hold = HoldId { shard: shard.inner.shard, number };
        let message = || ShardMessage::Hold { hold, tables: Arc::clone(&tables), at_most };
        shard.to_all(message);
        shard.hold(hold, Arc::clone(&tables), at_most);
        Hold { client: self.clone(), hold }
    }
}
