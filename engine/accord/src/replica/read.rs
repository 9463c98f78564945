//! Reads at the snapshot of an interactive transaction.
//!
//! Such a read sees versions at or below the snapshot s. It waits, on its rows, for what is undecided or open at or below s,
//! and raises this core's clock to s, so that whatever writes those rows later is above s.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use types::Timestamp;
use types::mutants::live;

use crate::conflicts::Treat;
use crate::effect::{Effect, RequestId, Response};
use crate::footprint::Footprint;
use crate::mutants;
use crate::replica::evaluate::{NotLoaded, Observed};
use crate::replica::registry::{Decision, Waiter};
use crate::replica::{AfterLoad, Replica, Step};
use crate::store::{LogPosition, Store};
use crate::workload::Abort;

/// Names a read that waits for a registered transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ReadId(u64);

#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) request: RequestId,
    at: Timestamp,
    footprint: Arc<Footprint>,
}

/// The reads that wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads {
    next: u64,
    waiting: BTreeMap<ReadId, Read>,
}

impl Reads {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn take(&mut self, read_id: ReadId) -> Option<Read> {
        self.waiting.remove(&read_id)
    }

    fn park(&mut self, read: Read) -> ReadId {
        let read_id = ReadId(self.next);
        self.next += 1;
        self.waiting.insert(read_id, read);
        read_id
    }
}

impl Replica {
    pub(super) fn read_at<S: Store>(
        &mut self,
        request: RequestId,
        at: Timestamp,
        footprint: Arc<Footprint>,
        step: &mut Step<'_, S>,
    ) {
        if !live(mutants::READ_DOES_NOT_RAISE_CLOCK) {
            self.clock.receive(at);
            self.floors.note_snapshot(at);
        }
        self.try_read(Read { request, at, footprint }, step);
    }

    pub(super) fn try_read<S: Store>(&mut self, read: Read, step: &mut Step<'_, S>) {
        if !self.registry.is_empty()
            && let Some(blocker) = self.blocker_of_read(&read)
        {
            let read_id = self.reads.park(read);
            self.registry.watch(blocker, Waiter::Read(read_id));
            return;
        }
        if self.is_below_floor(&read, &*step.store) && !live(mutants::READ_BELOW_FLOOR) {
            let response = Response::ReadRefused(Abort::SnapshotTooOld);
            step.out.push(Effect::Reply { request: read.request, response });
            return;
        }
        match self.gather(&*step.store, &read.footprint, read.at, LogPosition::NONE) {
            Ok(Observed { result, needs }) => {
                let early = live(mutants::SNAPSHOT_READ_NOT_HELD);
                let needs = if early { LogPosition::NONE } else { needs };
                let response = Response::Rows(result);
                let effect = Effect::Reply { request: read.request, response };
                self.outbox.put(needs, read.at, effect, step.out);
            }
            Err(NotLoaded) => {
                let (footprint, at) = (Arc::clone(&read.footprint), read.at);
                self.loads.start(footprint, at, AfterLoad::Read(read), step.out);
            }
        }
    }

    fn blocker_of_read(&self, read: &Read) -> Option<crate::TxnId> {
        self.registry.blocker(&read.footprint, Treat::AsReads, |_, other| match other.decision {
            Decision::Undecided { floor } => {
                floor < read.at && !live(mutants::READ_IGNORES_UNDECIDED)
            }
            Decision::Decided { execute_at } => {
                execute_at <= read.at && !live(mutants::READ_IGNORES_OPEN)
            }
        })
    }

    fn is_below_floor<S: Store>(&self, read: &Read, store: &S) -> bool {
        let points = read.footprint.points().iter().filter_map(|point| {
            let tokens = crate::TokenRange::one(point.token).intersection(self.owned)?;
            Some((point.table, tokens))
        });
        let ranges = read
            .footprint
            .ranges()
            .iter()
            .filter_map(|range| Some((range.table, range.tokens.intersection(self.owned)?)));
        let mut parts = points.chain(ranges);
        parts.any(|(table, tokens)| read.at < store.history_floor(table, tokens))
    }
}
