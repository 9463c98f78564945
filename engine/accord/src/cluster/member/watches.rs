//! Who sees to it that a transaction ends (section 4.1).
//!
//! The replicas of its home range do, until no minority's loss takes its writes away; elsewhere a replica minds a transaction only while one of
//! its own waits for it, or while it knows nothing but an id. Each is looked at after some patience, doubled each time, with a random part and
//! later on replicas of higher rank, so that they do not take it up at once; a core takes up a bounded number.

use types::Timestamp;
use types::mutants::live;

use super::Member;
use crate::cluster::coordinator::Coordination;
use crate::cluster::replica::Minter;
use crate::cluster::status::{Ballot, Durability, Status};
use crate::cluster::timers::Timer;
use crate::cluster::topology::RangeId;
use crate::mutants;
use crate::txn::TxnId;

const PATIENCE_DOUBLINGS_MAX: u32 = 6;

/// How a replica stands to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Concern {
    /// It is over, as far as this replica has to care.
    None,
    /// It must see to its end.
    Mine,
    /// Others see to its end, and nothing here waits for it.
    Others,
}

impl Member {
    fn concern(&self, range: RangeId, txn_id: TxnId) -> Concern {
        let Some(replica) = self.replicas.get(&range) else { return Concern::None };
        let Some(command) = replica.command(txn_id) else {
            return if self.is_blocking(range, txn_id) { Concern::Mine } else { Concern::None };
        };
        let home = command.transaction().is_none_or(|transaction| transaction.home() == range);
        match command.status() {
            Status::Invalidated => Concern::None,
            Status::Applied if home && command.durability() < Durability::Majority => Concern::Mine,
            Status::Applied => Concern::None,
            _ if home && !live(mutants::HOME_DOES_NOT_WATCH) => Concern::Mine,
            _ if self.is_blocking(range, txn_id) => Concern::Mine,
            _ => Concern::Others,
        }
    }

    fn is_blocking(&self, range: RangeId, txn_id: TxnId) -> bool {
        self.replicas[&range].is_blocking(txn_id) && !live(mutants::BLOCKERS_NOT_WATCHED)
    }

    /// Minds a transaction that changed, or minds it no longer.
    pub(super) fn watch_if_unfinished(&mut self, range: RangeId, txn_id: TxnId) {
        match self.concern(range, txn_id) {
            Concern::Mine => self.watch(range, txn_id),
            Concern::None => self.unwatch(range, txn_id),
            Concern::Others => {}
        }
    }

    pub(super) fn unwatch(&mut self, range: RangeId, txn_id: TxnId) {
        self.timers.cancel(Timer::Watch(range, txn_id));
        self.attempts.remove(&(range, txn_id));
    }

    fn watch(&mut self, range: RangeId, txn_id: TxnId) {
        let timer = Timer::Watch(range, txn_id);
        if !self.timers.is_set(timer) {
            let rank = self.topology.rank(range, self.core.node()).unwrap_or(0) as u64;
            let patience = self.pace.patience_micros;
            let wait = patience + patience * rank / 4 + self.prng.below(patience);
            self.timers.set(timer, self.clock.wall_micros + wait);
        }
    }

    pub(super) fn watch_is_due(&mut self, range: RangeId, txn_id: TxnId) {
        if self.concern(range, txn_id) != Concern::Mine {
            self.attempts.remove(&(range, txn_id));
            return;
        }
        let attempts = self.attempts.entry((range, txn_id)).or_default();
        *attempts += 1;
        let patience = self.pace.patience_micros << (*attempts).min(PATIENCE_DOUBLINGS_MAX);
        let due = self.clock.wall_micros + patience + self.prng.below(patience);
        self.timers.set(Timer::Watch(range, txn_id), due);
        let deciding = self.coordinations.values().filter(|all| all.is_deciding_anothers());
        let busy = deciding.count() >= self.pace.recoveries_max;
        if !busy && !self.coordinations.contains_key(&txn_id) {
            self.take_up(range, txn_id);
        }
    }

    fn take_up(&mut self, range: RangeId, txn_id: TxnId) {
        let Some(ballot) = self.clock.mint_above(Timestamp::ZERO) else { return };
        let (ballot, at) = (Ballot(ballot), (self.clock.wall_micros, self.pace));
        let command = self.replicas[&range].command(txn_id);
        let known = command.filter(|command| command.status() != Status::NotDefined);
        let coordination = match known.and_then(|command| command.transaction()) {
            Some(transaction) => Coordination::recovery(txn_id, transaction.clone(), ballot, at),
            None => Coordination::inquiry(txn_id, range, ballot, at),
        };
        self.counters.recoveries += 1;
        self.begin(coordination);
    }
}
