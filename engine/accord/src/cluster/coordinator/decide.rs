//! From the first answers to an agreement that survives (sections 2.5 and 2.6).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use types::mutants::live;

use super::tally::{of_range, slow_quorum_everywhere, votes};
use super::{Member, Step, Vote};
use crate::cluster::deps::Deps;
use crate::cluster::message::Proposal;
use crate::cluster::topology::RangeId;
use crate::mutants;
use crate::txn::TxnId;

impl Member {
    /// Takes the fast path if every range allows it, another when it does not or when it has been waited for long enough.
    pub(super) fn decide_pre_accept(&mut self, txn_id: TxnId) {
        let Some(coordination) = self.coordinations.get(&txn_id) else { return };
        let Step::PreAccept { answers, slow_micros } = &coordination.step else { return };
        let ranges = &coordination.participants;
        if !slow_quorum_everywhere(&self.topology, ranges, answers) {
            return;
        }
        let ordinary = !coordination.is_sync_point();
        let (mut fast, mut fast_possible, mut medium) = (ordinary, ordinary, ordinary);
        for range in ranges {
            let of = self.topology.range(*range);
            let votes = votes(&self.topology, *range, answers, |vote| vote.is_for(txn_id));
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
        let rejected = answers.values().any(|vote| matches!(vote, Vote::Rejected));
        if rejected && !fast && !medium && !live(mutants::REJECTION_IGNORED) {
            self.go_to(txn_id, Step::Invalidate { answers: BTreeMap::new() });
            return;
        }
        let highest = answers.values().filter_map(Vote::witnessed).max();
        if !ordinary
            && coordination.client.is_some()
            && highest.is_some_and(|highest| highest > txn_id.0)
            && !live(mutants::SNAPSHOT_BELOW_ACKNOWLEDGED)
        {
            self.take_snapshot_above(txn_id, highest.unwrap_or_default());
            return;
        }
        let mut execute_at = txn_id.0;
        let mut found: BTreeMap<RangeId, Vec<&Deps>> = BTreeMap::new();
        for ((range, _), vote) in answers {
            let Vote::Witnessed(witnessed, deps) = vote else { continue };
            if *witnessed == txn_id.0 || !(fast || medium) {
                found.entry(*range).or_default().push(deps);
                if ordinary {
                    execute_at = execute_at.max(*witnessed);
                }
            }
        }
        let union = |(range, deps): (RangeId, Vec<&Deps>)| (range, Deps::union(deps));
        let deps: BTreeMap<RangeId, Deps> = found.into_iter().map(union).collect();
        let ranges = ranges.clone();
        if fast {
            self.counters.fast += 1;
            self.execute(txn_id, execute_at, deps);
            return;
        }
        if ordinary {
            *(if medium { &mut self.counters.medium } else { &mut self.counters.slow }) += 1;
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
        if !live(mutants::EXTRA_DEPS_DROPPED) {
            for range in ranges {
                let extra = of_range(answers, *range).map(|(_, extra)| extra);
                let proposed = deps.remove(range).unwrap_or_default();
                deps.insert(*range, Deps::union(extra.chain([&proposed])));
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
