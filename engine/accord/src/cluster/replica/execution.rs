//! Who waits for whom (section 2.8), and the restart.

use alloc::vec::Vec;

use types::mutants::live;

use super::{RangeReplica, Task, Waiter};
use crate::cluster::command::{Change, Command};
use crate::cluster::status::Status;
use crate::mutants;
use crate::txn::TxnId;

impl RangeReplica {
    /// Takes back a change of a command from the log, in the order of the log; [`RangeReplica::restarted`] when all are back.
    pub(in crate::cluster) fn restore(&mut self, txn_id: TxnId, change: Change) {
        let command = self.commands.entry(txn_id).or_default();
        let defined = command.transaction().is_none();
        command.fold(change);
        let execute_at = command.execute_at();
        if let Some(transaction) = command.transaction().filter(|_| defined).cloned() {
            self.index(txn_id, &transaction);
        }
        self.note(execute_at);
    }

    /// Waits anew for what was waited for, and lets go of what can be let go of. What is applied is in the store.
    pub(in crate::cluster) fn restarted(&mut self, universal: &[TxnId]) {
        let applied: Vec<TxnId> = self
            .commands
            .iter()
            .filter(|(_, command)| command.status() == Status::Applied)
            .map(|(txn_id, _)| *txn_id)
            .collect();
        applied.into_iter().for_each(|txn_id| self.settle(txn_id));
        let waiting: Vec<TxnId> = self
            .commands
            .iter()
            .filter(|(_, command)| matches!(command.status(), Status::Stable | Status::PreApplied))
            .map(|(txn_id, _)| *txn_id)
            .collect();
        for txn_id in waiting {
            self.start_waiting(txn_id);
            self.apply_if_ready(txn_id);
        }
        self.expunge(universal);
    }

    /// Whether one that waits for another need not, or no longer.
    fn has_passed(&self, waiter: &Command, dep: TxnId) -> bool {
        let Some(known) = self.commands.get(&dep) else {
            return self.truncated.contains(&dep) || dep < self.bounds.applied_below;
        };
        let waits_for_all =
            waiter.transaction().is_some_and(|transaction| transaction.is_sync_point())
                && !live(mutants::SYNC_POINT_PASSES_LATER);
        let after = known.status().is_committed() && known.execute_at() > waiter.execute_at();
        let passes = after && !waits_for_all && !live(mutants::COMMITTED_DOES_NOT_UNBLOCK);
        known.status().is_over() || passes
    }

    /// A transaction has become stable: notes which of its dependencies it waits for.
    pub(super) fn start_waiting(&mut self, txn_id: TxnId) {
        let command = &self.commands[&txn_id];
        let waiting_on: Vec<TxnId> = command
            .deps()
            .iter()
            .filter(|dep| !self.has_passed(command, *dep))
            .filter(|_| !live(mutants::EXECUTE_WITHOUT_WAITING))
            .collect();
        for dep in &waiting_on {
            let waiters = self.blocked.entry(*dep).or_default();
            if waiters.is_empty() {
                self.newly_blocking.push(*dep);
            }
            waiters.push(txn_id);
        }
        self.commands.get_mut(&txn_id).expect("it is stable").waiting_on = waiting_on;
    }

    /// A transaction is decided, applied or ended: those that wait for it may go on.
    pub(super) fn unblock(&mut self, txn_id: TxnId) {
        let mut moved = Vec::from([txn_id]);
        while let Some(txn_id) = moved.pop() {
            self.serve(txn_id);
            let Some(mut blocked) = self.blocked.remove(&txn_id) else { continue };
            let mut passed = Vec::new();
            blocked.retain(|waiter| {
                let passes = self.has_passed(&self.commands[waiter], txn_id);
                if passes {
                    passed.push(*waiter);
                }
                !passes
            });
            if !blocked.is_empty() {
                self.blocked.insert(txn_id, blocked);
            }
            for waiter in passed {
                let command = self.commands.get_mut(&waiter).expect("it waits");
                if let Ok(at) = command.waiting_on.binary_search(&txn_id) {
                    command.waiting_on.remove(at);
                }
                self.serve(waiter);
                if self.apply_ready(waiter) {
                    moved.push(waiter);
                }
            }
        }
    }

    pub(super) fn apply_if_ready(&mut self, txn_id: TxnId) {
        if self.apply_ready(txn_id) {
            self.unblock(txn_id);
        }
    }

    fn apply_ready(&mut self, txn_id: TxnId) -> bool {
        let command = &self.commands[&txn_id];
        if command.status() != Status::PreApplied || !command.waiting_on.is_empty() {
            return false;
        }
        let record = command.record().cloned().expect("its writes are known");
        let transaction = command.transaction().cloned().expect("it is stable");
        self.change(txn_id).applied();
        if self.sync_points.contains(&txn_id) {
            self.sync_point_applied(txn_id);
        } else {
            self.tasks.push(Task::Apply { txn_id, transaction, record });
        }
        true
    }

    pub(super) fn serve_when_ready(&mut self, txn_id: TxnId, waiter: Waiter) {
        let waiters = self.waiters.entry(txn_id).or_default();
        if !waiters.contains(&waiter) {
            waiters.push(waiter);
        }
        self.serve(txn_id);
    }

    /// Answers those who waited for what is now so.
    fn serve(&mut self, txn_id: TxnId) {
        let Some(waiters) = self.waiters.get_mut(&txn_id) else { return };
        let Some(command) = self.commands.get(&txn_id) else { return };
        let Some(transaction) = command.transaction() else { return };
        let (ready, execute_at) = (command.is_ready(), command.execute_at());
        let applied = command.status() == Status::Applied;
        waiters.retain(|waiter| match waiter {
            Waiter::Rows(to) if ready => {
                let (transaction, to) = (transaction.clone(), *to);
                self.tasks.push(Task::Read { txn_id, transaction, execute_at, to });
                false
            }
            Waiter::Applied(to) if applied => {
                self.tasks.push(Task::Applied { txn_id, to: *to });
                false
            }
            Waiter::Rows(_) | Waiter::Applied(_) => true,
        });
        if waiters.is_empty() {
            self.waiters.remove(&txn_id);
        }
    }
}
