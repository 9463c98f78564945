//! Who waits for whom (section 2.8), and the restart.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use types::NodeId;
use types::mutants::live;

use super::{RangeReplica, Task};
use crate::cluster::command::Command;
use crate::cluster::status::{Ballot, Status};
use crate::mutants;
use crate::txn::TxnId;

impl RangeReplica {
    /// Takes back a command from the log, in any order; [`RangeReplica::restarted`] when all are back.
    pub fn restore(&mut self, txn_id: TxnId, command: Command) {
        if let Some(transaction) = &command.transaction
            && self.commands.get(&txn_id).is_none_or(|known| known.transaction.is_none())
        {
            self.conflicts.insert(txn_id, &transaction.footprint);
        }
        self.commands.insert(txn_id, command);
    }

    /// Waits anew for what was waited for, and applies anew what was applied: the store comes back empty.
    pub fn restarted(&mut self) {
        let mut applied = Vec::new();
        for (txn_id, command) in &mut self.commands {
            command.waiting_on.clear();
            if command.status == Status::Applied {
                applied.push((command.execute_at, *txn_id));
            }
        }
        applied.sort_unstable();
        for (_, txn_id) in applied {
            let record = self.commands[&txn_id].record.clone().expect("applied with its writes");
            self.tasks.push(Task::Apply { txn_id, record });
        }
        let waiting: Vec<TxnId> = self
            .commands
            .iter()
            .filter(|(_, command)| matches!(command.status, Status::Stable | Status::PreApplied))
            .map(|(txn_id, _)| *txn_id)
            .collect();
        for txn_id in waiting {
            self.start_waiting(txn_id);
            self.apply_if_ready(txn_id);
        }
    }

    /// A transaction has become stable: notes which of its dependencies it waits for.
    pub(super) fn start_waiting(&mut self, txn_id: TxnId) {
        let deps: Vec<TxnId> = self.commands[&txn_id].deps.iter().collect();
        let execute_at = self.commands[&txn_id].execute_at;
        let mut waiting_on = BTreeSet::new();
        for dep in deps {
            let passed = self.commands.get(&dep).is_some_and(|dep| {
                let after = dep.status.is_committed() && dep.execute_at > execute_at;
                dep.status.is_over() || after
            });
            if !passed && !live(mutants::EXECUTE_WITHOUT_WAITING) {
                waiting_on.insert(dep);
                self.blocked.entry(dep).or_default().insert(txn_id);
            }
        }
        let command = self.commands.get_mut(&txn_id).expect("it is stable");
        command.waiting_on = waiting_on;
    }

    /// A transaction is decided, applied or ended: those that wait for it may go on.
    pub(super) fn unblock(&mut self, txn_id: TxnId) {
        let mut moved = Vec::from([txn_id]);
        while let Some(txn_id) = moved.pop() {
            self.serve_readers(txn_id);
            let Some(blocked) = self.blocked.get(&txn_id).cloned() else { continue };
            let (status, execute_at) = {
                let command = &self.commands[&txn_id];
                (command.status, command.execute_at)
            };
            for waiter in blocked {
                let command = self.commands.get_mut(&waiter).expect("it waits");
                let after = status.is_committed() && execute_at > command.execute_at;
                if !status.is_over() && !after {
                    continue;
                }
                command.waiting_on.remove(&txn_id);
                let waiters = self.blocked.get_mut(&txn_id).expect("just seen");
                waiters.remove(&waiter);
                if waiters.is_empty() {
                    self.blocked.remove(&txn_id);
                }
                self.serve_readers(waiter);
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
        if command.status != Status::PreApplied || !command.waiting_on.is_empty() {
            return false;
        }
        let record = command.record.clone().expect("its writes are known");
        self.tasks.push(Task::Apply { txn_id, record });
        self.change(txn_id).status = Status::Applied;
        true
    }

    pub(super) fn read_when_ready(&mut self, txn_id: TxnId, reader: NodeId) {
        let readers = self.readers.entry(txn_id).or_default();
        if !readers.contains(&(reader, Ballot::ZERO)) {
            readers.push((reader, Ballot::ZERO));
        }
        self.serve_readers(txn_id);
    }

    fn serve_readers(&mut self, txn_id: TxnId) {
        if self.commands.get(&txn_id).is_some_and(Command::is_ready)
            && let Some(readers) = self.readers.remove(&txn_id)
        {
            for (to, ballot) in readers {
                self.tasks.push(Task::Read { txn_id, to, ballot });
            }
        }
    }
}
