//! Durability rounds (section 6.2): how what has ended everywhere is let go of.
//!
//! Now and then a replica of a range coordinates a sync point over it. When every replica has applied it, every core of every node is told, and lets
//! go of what is below in each of its ranges. The replica of lowest rank begins; the others only when nothing has come of that for a while.

use alloc::sync::Arc;
use alloc::vec::Vec;

use types::Timestamp;

use super::{LogEntry, Member};
use crate::cluster::coordinator::Coordination;
use crate::cluster::replica::{Minter, RangeReplica};
use crate::cluster::status::{Durability, Status};
use crate::cluster::timers::Timer;
use crate::cluster::topology::RangeId;
use crate::cluster::transaction::Transaction;
use crate::txn::TxnId;

impl Member {
    pub(super) fn schedule_round(&mut self, range: RangeId) {
        let rank = self.topology.rank(range, self.core.node()).unwrap_or(0) as u64;
        let every = self.pace.round_micros.max(1);
        let wait = every + every * rank + self.prng.below(every / 4 + 1);
        self.timers.set(Timer::Round(range), self.clock.wall_micros + wait);
    }

    pub(super) fn round_is_due(&mut self, range: RangeId) {
        self.schedule_round(range);
        // One at a time: whatever keeps it from its end would keep the next one too.
        if self.replicas.get(&range).is_none_or(|replica| replica.has_open_sync_point()) {
            return;
        }
        let Some(id) = self.clock.mint_above(Timestamp::ZERO) else { return };
        let transaction = Arc::new(Transaction::sync_point([range]));
        let at = (self.clock.wall_micros, self.pace);
        self.begin(Coordination::sync_point(TxnId(id), transaction, at));
    }

    /// Every replica of a range has applied this sync point.
    pub(super) fn universal_at(&mut self, range: RangeId, sync_point: TxnId) {
        let Some(known) = self.universal.get_mut(usize::from(range.0)) else { return };
        if *known >= sync_point {
            return;
        }
        *known = sync_point;
        self.log(LogEntry::Universal { range, sync_point });
        if let Some(replica) = self.replicas.get_mut(&range) {
            replica.is_durable(sync_point, Durability::Universal);
            self.schedule_round(range);
        }
        let mine: Vec<RangeId> = self.replicas.keys().copied().collect();
        for range in mine {
            let replica = self.replicas.get_mut(&range).expect("just listed");
            replica.expunge(&self.universal);
            self.settle(range);
        }
    }

    /// Somebody has let go of a transaction: if it is applied here, it is on every replica of all its ranges.
    pub(in crate::cluster) fn is_universal(&mut self, txn_id: TxnId) {
        let applied = |replica: &RangeReplica| {
            replica.command(txn_id).is_some_and(|command| command.status() == Status::Applied)
        };
        let mine = self.replicas.iter().filter(|(_, replica)| applied(replica));
        let mine: Vec<RangeId> = mine.map(|(range, _)| *range).collect();
        for range in mine {
            let replica = self.replicas.get_mut(&range).expect("just listed");
            replica.is_durable(txn_id, Durability::Universal);
            self.settle(range);
        }
    }
}
