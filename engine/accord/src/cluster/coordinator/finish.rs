//! From an agreement to its effect, and giving up (sections 2.9, 2.10 and 4.6).

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use types::Timestamp;
use types::mutants::live;

use super::tally::{of_range, slow_quorum_everywhere};
use super::{Member, Response, Step};
use crate::cluster::counters::RecoveryRow;
use crate::cluster::deps::Deps;
use crate::cluster::message::Request;
use crate::cluster::status::Durability;
use crate::cluster::topology::RangeId;
use crate::mutants;
use crate::rows::Rows;
use crate::txn::TxnId;
use crate::view::{RowVersion, RowVisitor, View};
use crate::workload::{Installs, Outcome, Record};

/// The rows of all ranges.
struct Gathered(Rows);

impl View for Gathered {
    fn point(&self, point: usize) -> Option<RowVersion<'_>> {
        self.0.point(point).map(|found| RowVersion {
            execute_at: found.execute_at,
            row: Cow::Owned(found.row.into_owned()),
        })
    }

    fn range(&self, range: usize, visit: &mut RowVisitor<'_>) {
        self.0.range(range, visit);
    }

    fn changed_at(&self, range: usize) -> Timestamp {
        self.0.changed_at(range)
    }
}

impl Member {
    /// Asks one replica of **every** range for rows, of those that are only written too: its answer says that everything
    /// before is applied there, without which an acknowledgement could be overtaken (section 7.2).
    pub(super) fn execute(
        &mut self,
        txn_id: TxnId,
        execute_at: Timestamp,
        deps: BTreeMap<RangeId, Deps>,
    ) {
        for deps in deps.values() {
            let last = deps.last();
            assert!(last.is_none_or(|last| last.0 < execute_at), "a dependency is below");
        }
        let step = if self.coordinations[&txn_id].is_sync_point() {
            let record = Arc::new(empty_record(execute_at));
            Step::Persist { execute_at, deps, record, answers: BTreeMap::new() }
        } else {
            Step::Execute { execute_at, deps, rows: BTreeMap::new(), turn: 0 }
        };
        self.go_to(txn_id, step);
    }

    pub(super) fn decide_execute(&mut self, txn_id: TxnId) {
        let Some(coordination) = self.coordinations.get(&txn_id) else { return };
        let Step::Execute { execute_at, deps, rows, .. } = &coordination.step else { return };
        let all = coordination.participants.iter().all(|range| rows.contains_key(range));
        let early = live(mutants::ANSWER_WITHOUT_ALL_RANGES) && !rows.is_empty();
        if !all && !early {
            return;
        }
        let mut gathered = Rows::default();
        for rows in rows.values() {
            gathered.absorb(rows);
        }
        let (execute_at, deps) = (*execute_at, deps.clone());
        let workload = coordination.transaction().workload().expect("a sync point does not read");
        let outcome = workload.evaluate(execute_at, &Gathered(gathered));
        let (record, response) = match outcome {
            Outcome::Commit(commit) => (
                Record {
                    execute_at,
                    writes: commit.writes,
                    schema: commit.schema,
                    attachment: commit.attachment,
                    installs: commit.installs,
                },
                Response::Committed { txn_id, execute_at, reply: commit.reply },
            ),
            Outcome::Abort(abort) => {
                (empty_record(execute_at), Response::Aborted { txn_id, abort })
            }
        };
        let coordination = self.coordinations.get_mut(&txn_id).expect("just seen");
        coordination.give_up_micros = self.clock.wall_micros + 20 * self.pace.patience_micros;
        if let Some(request) = coordination.client.take() {
            self.reply(request, response);
        }
        let record = Arc::new(record);
        let answers = BTreeMap::new();
        self.go_to(txn_id, Step::Persist { execute_at, deps, record, answers });
    }

    /// A snapshot must be above everything acknowledged before: the client's next sync point is, this one is given up.
    pub(super) fn take_snapshot_above(&mut self, txn_id: TxnId, highest: Timestamp) {
        let Some(coordination) = self.coordinations.get_mut(&txn_id) else { return };
        let (client, transaction) =
            (coordination.client.take(), coordination.transaction().clone());
        self.go_to(txn_id, Step::Invalidate { answers: BTreeMap::new() });
        self.clock.reserved.receive(highest);
        if let Some(request) = client {
            self.submit(request, transaction);
        }
    }

    /// A sync point that somebody wants as a snapshot is applied on a replica of each range, on this node's where it has one: told once.
    fn answer_snapshot(&mut self, txn_id: TxnId) {
        let Some(coordination) = self.coordinations.get_mut(&txn_id) else { return };
        let Step::Persist { answers, .. } = &coordination.step else { return };
        if coordination.client.is_none() {
            return;
        }
        let node = self.core.node();
        let replica = |range: &RangeId| {
            let here = self.topology.range(*range).replicas().contains(&node);
            let mut applied = of_range(answers, *range).map(|(replica, _)| replica);
            let chosen = applied.find(|replica| !here || *replica == node)?;
            Some((*range, chosen))
        };
        let replicas: Option<Vec<_>> = coordination.participants.iter().map(replica).collect();
        if let Some(replicas) = replicas
            && let Some(request) = coordination.client.take()
        {
            self.reply(request, Response::Snapshot { sync_point: txn_id, replicas });
        }
    }

    /// Every replica has applied it: nothing is left to do, and nobody will wait for it again.
    pub(super) fn decide_persist(&mut self, txn_id: TxnId) {
        self.answer_snapshot(txn_id);
        let Some(coordination) = self.coordinations.get(&txn_id) else { return };
        let Step::Persist { answers, .. } = &coordination.step else { return };
        let replicas = |range| self.topology.range(range).replicas().len();
        let expected: usize = coordination.participants.iter().map(|range| replicas(*range)).sum();
        let enough =
            if live(mutants::MAJORITY_IS_UNIVERSAL) { expected.div_ceil(2) } else { expected };
        if answers.len() < enough {
            return;
        }
        let Some(coordination) = self.forget(txn_id) else { return };
        let topology = self.topology.clone();
        for range in &coordination.participants {
            if coordination.is_sync_point() {
                self.counters.rounds += 1;
                for node in topology.nodes() {
                    self.send_to_all_cores(node, *range, txn_id, Request::UniversallyApplied);
                }
                continue;
            }
            let durability = Durability::Universal;
            for node in topology.range(*range).replicas() {
                self.send(*node, *range, txn_id, Request::Durable { durability });
            }
        }
    }

    /// Some replica knows nothing of it any more. If a replica here has not decided it, it was not applied everywhere: so it never can be
    /// (`replica/cleanup.rs`). If it is applied here, it is everywhere.
    pub(super) fn on_truncated(&mut self, txn_id: TxnId) {
        let undecided_here = self.replicas.values().any(|replica| {
            let status = replica.command(txn_id).map(|command| command.status());
            status.is_some_and(|status| !status.is_decided())
                || (status.is_none() && replica.is_blocking(txn_id))
        });
        let recovers = matches!(
            self.coordinations[&txn_id].step,
            Step::Recover { .. } | Step::Inquire { .. } | Step::Invalidate { .. }
        );
        if recovers && undecided_here {
            self.counters.meet(RecoveryRow::Truncated);
            self.finish_invalidated(txn_id);
            return;
        }
        self.leave(txn_id);
        self.is_universal(txn_id);
    }

    /// One range's quorum is enough: a decision needs all ranges.
    pub(super) fn decide_invalidate(&mut self, txn_id: TxnId) {
        let Some(coordination) = self.coordinations.get(&txn_id) else { return };
        let Step::Invalidate { answers } = &coordination.step else { return };
        let home = [coordination.home()];
        if slow_quorum_everywhere(&self.topology, &home, answers) {
            self.finish_invalidated(txn_id);
        }
    }

    pub(super) fn finish_invalidated(&mut self, txn_id: TxnId) {
        let Some(coordination) = self.forget(txn_id) else { return };
        self.counters.invalidated += 1;
        if let Some(request) = coordination.client {
            self.reply(request, Response::Invalidated { txn_id });
        }
        let topology = self.topology.clone();
        for range in &coordination.participants {
            for node in topology.range(*range).replicas() {
                self.send(*node, *range, txn_id, Request::Invalidate);
            }
        }
    }
}

fn empty_record(execute_at: Timestamp) -> Record {
    Record {
        execute_at,
        writes: Default::default(),
        schema: Default::default(),
        attachment: Default::default(),
        installs: Installs::AtOnce,
    }
}
