//! From the first answers to an agreement that survives (sections 2.5 and 2.6).

use alloc::collections::BTreeMap;

use types::mutants::live;

use super::tally::{of_range, slow_quorum_everywhere, votes};
use super::{Node, Step};
use crate::cluster::deps::Deps;
use crate::cluster::message::Proposal;
use crate::cluster::topology::RangeId;
use crate::mutants;
use crate::txn::TxnId;

impl Node {
    /// Takes the fast path if every range allows it, another when it does not or when it has been waited for long enough.
    pub(super) fn decide_pre_accept(&mut self, txn_id: TxnId) {
        let Some(coordination) = self.coordinations.get(&txn_id) else { return };
        let Step::PreAccept { answers, slow_micros } = &coordination.step else { return };
        let ranges = &coordination.participants;
        if !slow_quorum_everywhere(&self.topology, ranges, answers) {
            return;
        }
        let (mut fast, mut fast_possible, mut medium) = (true, true, true);
        for range in ranges {
            let of = self.topology.range(*range);
            let votes = votes(&self.topology, *range, answers, |(at, _)| *at == txn_id.0);
            let needed = if live(mutants::FAST_QUORUM_TOO_SMALL) {
                of.slow_quorum()
            } else {
                of.fast_quorum()
            };
            fast &= votes.accepts >= needed;
            fast_possible &= !of.rejects_fast(votes.rejects);
            medium &= votes.accepts >= of.slow_quorum();
        }
        if !fast && fast_possible && *slow_micros > self.clock.wall_micros {
            return;
        }
        let mut deps: BTreeMap<RangeId, Deps> = BTreeMap::new();
        let mut execute_at = txn_id.0;
        for ((range, _), (witnessed, found)) in answers {
            let counts = *witnessed == txn_id.0 || !(fast || medium);
            if counts {
                deps.entry(*range).or_default().merge(found);
                execute_at = execute_at.max(*witnessed);
            }
        }
        let ranges = ranges.clone();
        if fast {
            self.execute(txn_id, execute_at, deps);
            return;
        }
        let proposal = if medium { Proposal::Medium } else { Proposal::Slow };
        let answers = BTreeMap::new();
        self.go_to(txn_id, Step::Propose { proposal, execute_at, deps, ranges, answers });
    }

    /// A quorum of each range has accepted: what it added belongs to the agreement.
    pub(super) fn decide_propose(&mut self, txn_id: TxnId) {
        let Some(coordination) = self.coordinations.get(&txn_id) else { return };
        let Step::Propose { proposal, execute_at, deps, ranges, answers } = &coordination.step
        else {
            return;
        };
        if !slow_quorum_everywhere(&self.topology, ranges, answers) {
            return;
        }
        let (execute_at, mut deps) = (*execute_at, deps.clone());
        for range in ranges {
            for (_, extra) in of_range(answers, *range) {
                deps.entry(*range).or_default().merge(extra);
            }
        }
        if *proposal == Proposal::Medium || live(mutants::NO_STABILISE) {
            self.execute(txn_id, execute_at, deps);
        } else {
            let answers = BTreeMap::new();
            self.go_to(txn_id, Step::Stabilise { execute_at, deps, answers });
        }
    }

    /// The agreement survives.
    pub(super) fn decide_stabilise(&mut self, txn_id: TxnId) {
        let Some(coordination) = self.coordinations.get(&txn_id) else { return };
        let Step::Stabilise { execute_at, deps, answers } = &coordination.step else { return };
        if slow_quorum_everywhere(&self.topology, &coordination.participants, answers) {
            let (execute_at, deps) = (*execute_at, deps.clone());
            self.execute(txn_id, execute_at, deps);
        }
    }
}
