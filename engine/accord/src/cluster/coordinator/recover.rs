//! Taking up what somebody else began (sections 4.5 to 4.7).
//!
//! The table, tried in order; `m` is the vote that knows most:
//!
//! | what a quorum of every range says | what follows |
//! |---|---|
//! | m is invalidated | say so everywhere |
//! | m has accepted to invalidate | have that accepted, then say so |
//! | m has the writes, or an agreement | agree on dependencies where nobody holds agreed ones, then go on from there |
//! | m has accepted a timestamp | wait for what must be decided first where nobody has accepted; then propose that timestamp |
//! | it is a sync point | invalidate: those that came later do not name it, so votes prove nothing |
//! | a conflicting transaction excludes the fast path | invalidate |
//! | more electors than it could bear did not vote | invalidate |
//! | something must be decided first | wait, and begin again |
//! | otherwise | propose the id as the timestamp |

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use types::Timestamp;
use types::mutants::live;

use super::tally::{of_range, slow_quorum_everywhere, votes};
use super::{Answers, Coordination, Member, Step};
use crate::cluster::counters::RecoveryRow;
use crate::cluster::deps::Deps;
use crate::cluster::message::{Proposal, RecoveryVote};
use crate::cluster::replica::Minter;
use crate::cluster::status::{Ballot, Status, knowledge};
use crate::cluster::topology::{RangeId, Topology};
use crate::mutants;
use crate::txn::TxnId;

fn decide(
    topology: &Topology,
    txn_id: TxnId,
    (ranges, is_sync_point): (&[RangeId], bool),
    all: &Answers<RecoveryVote>,
) -> (RecoveryRow, Timestamp) {
    let most = all
        .values()
        .max_by_key(|vote| {
            let ballot =
                if live(mutants::BALLOT_DOES_NOT_RANK) { Ballot::ZERO } else { vote.accepted };
            knowledge(vote.status, ballot)
        })
        .expect("a quorum has voted");
    let row = match most.status {
        Status::Invalidated => RecoveryRow::Invalidated,
        Status::AcceptedInvalidate => RecoveryRow::AcceptedInvalidate,
        Status::Applied | Status::PreApplied => RecoveryRow::Applied,
        Status::Stable => RecoveryRow::Stable,
        Status::Committed => RecoveryRow::Committed,
        Status::Accepted => {
            let undecided = |range: &&RangeId| {
                of_range(all, **range).all(|(_, vote)| vote.status != Status::Accepted)
            };
            let open: Vec<RangeId> = ranges.iter().filter(undecided).copied().collect();
            let waits = must_wait(&open, all);
            if waits { RecoveryRow::AcceptedWaits } else { RecoveryRow::Accepted }
        }
        Status::NotDefined | Status::PreAccepted => {
            let rejected = ranges.iter().any(|range| {
                let votes = votes(topology, *range, all, |vote| vote.voted);
                topology.range(*range).rejects_fast(votes.rejects)
                    && !live(mutants::RECOVERY_IGNORES_REJECTIONS)
            });
            if is_sync_point {
                RecoveryRow::SyncPointUndecided
            } else if all.values().any(|vote| vote.superseded) {
                RecoveryRow::Superseded
            } else if rejected {
                RecoveryRow::Rejected
            } else if must_wait(ranges, all) {
                RecoveryRow::Waits
            } else {
                return (RecoveryRow::ProposeInitial, txn_id.0);
            }
        }
    };
    (row, most.execute_at)
}

/// Whether something must be decided before this one can be on some of the ranges.
fn must_wait(ranges: &[RangeId], all: &Answers<RecoveryVote>) -> bool {
    let mut waits: BTreeSet<TxnId> = BTreeSet::new();
    let mut harmless: BTreeSet<TxnId> = BTreeSet::new();
    for range in ranges {
        for (_, vote) in of_range(all, *range) {
            waits.extend(&vote.earlier_wait);
            harmless.extend(&vote.earlier_no_wait);
        }
    }
    waits.difference(&harmless).next().is_some()
}

/// Section 4.7: what to propose where nothing is agreed; `None` where agreed dependencies are held.
fn agreed_deps(range: RangeId, all: &Answers<RecoveryVote>) -> Option<Deps> {
    let committed = of_range(all, range)
        .map(|(_, vote)| vote)
        .filter(|vote| vote.status.is_committed())
        .max_by_key(|vote| knowledge(vote.status, vote.accepted))?;
    Some(committed.deps.clone())
}

fn proposed_deps(range: RangeId, all: &Answers<RecoveryVote>) -> Deps {
    let accepted = of_range(all, range)
        .map(|(_, vote)| vote)
        .filter(|vote| vote.status == Status::Accepted)
        .max_by_key(|vote| vote.accepted);
    match accepted {
        Some(vote) if !live(mutants::ACCEPTED_DEPS_IGNORED) => vote.deps.clone(),
        _ => Deps::union(of_range(all, range).map(|(_, vote)| &vote.local_deps)),
    }
}

impl Member {
    pub(super) fn decide_recover(&mut self, txn_id: TxnId) {
        let Some(coordination) = self.coordinations.get_mut(&txn_id) else { return };
        let is_sync_point = coordination.is_sync_point();
        let ranges = coordination.participants.clone();
        let Step::Recover { votes } = &mut coordination.step else { return };
        if !slow_quorum_everywhere(&self.topology, &ranges, votes) {
            return;
        }
        let votes = core::mem::take(votes);
        let (row, execute_at) = decide(&self.topology, txn_id, (&ranges, is_sync_point), &votes);
        self.counters.meet(row);
        match row {
            RecoveryRow::Invalidated => self.finish_invalidated(txn_id),
            RecoveryRow::AcceptedWaits | RecoveryRow::Waits => {
                self.go_to(txn_id, Step::Wait);
                self.hasten(&votes);
            }
            RecoveryRow::Accepted | RecoveryRow::ProposeInitial => {
                let deps = ranges.iter().map(|range| (*range, proposed_deps(*range, &votes)));
                let deps = deps.collect();
                self.propose(txn_id, execute_at, deps, ranges);
            }
            RecoveryRow::Applied | RecoveryRow::Stable | RecoveryRow::Committed => {
                let (mut deps, mut missing) = (BTreeMap::new(), Vec::new());
                for range in ranges {
                    match agreed_deps(range, &votes) {
                        Some(agreed) => deps.insert(range, agreed),
                        None => {
                            missing.push(range);
                            deps.insert(range, proposed_deps(range, &votes))
                        }
                    };
                }
                self.agreed(txn_id, execute_at, (deps, missing), &votes);
            }
            _ => self.go_to(txn_id, Step::Invalidate { answers: BTreeMap::new() }),
        }
    }

    fn propose(
        &mut self,
        txn_id: TxnId,
        execute_at: Timestamp,
        deps: BTreeMap<RangeId, Deps>,
        ranges: Vec<RangeId>,
    ) {
        let proposal = Proposal::Slow;
        let answers = BTreeMap::new();
        self.go_to(txn_id, Step::Propose { proposal, execute_at, deps, ranges, answers });
    }

    /// The time is agreed on; dependencies perhaps not everywhere.
    fn agreed(
        &mut self,
        txn_id: TxnId,
        execute_at: Timestamp,
        (deps, missing): (BTreeMap<RangeId, Deps>, Vec<RangeId>),
        votes: &Answers<RecoveryVote>,
    ) {
        let record = votes.values().find_map(|vote| vote.record.clone());
        if !missing.is_empty() && !live(mutants::MISSING_DEPS_ASSUMED) {
            self.counters.meet(RecoveryRow::DepsMissing);
            self.propose(txn_id, execute_at, deps, missing);
        } else if let Some(record) = record {
            let answers = BTreeMap::new();
            self.go_to(txn_id, Step::Persist { execute_at, deps, record, answers });
        } else {
            let answers = BTreeMap::new();
            self.go_to(txn_id, Step::Stabilise { execute_at, deps, answers });
        }
    }

    /// Takes up what a recovery waits for, if nobody here does.
    fn hasten(&mut self, votes: &Answers<RecoveryVote>) {
        let waits: BTreeSet<TxnId> =
            votes.values().flat_map(|vote| vote.earlier_wait.iter().copied()).collect();
        for txn_id in waits {
            if self.coordinations.contains_key(&txn_id) {
                continue;
            }
            let known = self.replicas.values().find_map(|replica| {
                let command = replica.command(txn_id)?;
                let unfinished = !command.status().is_decided();
                command.transaction().filter(|_| unfinished).cloned()
            });
            let (Some(transaction), Some(ballot)) = (known, self.clock.mint_above(Timestamp::ZERO))
            else {
                continue;
            };
            let at = (self.clock.wall_micros, self.pace);
            self.counters.recoveries += 1;
            self.begin(Coordination::recovery(txn_id, transaction, Ballot(ballot), at));
        }
    }

    /// Somebody may know what it does; if a quorum of the range does not, it cannot have been decided.
    pub(super) fn decide_inquire(&mut self, txn_id: TxnId) {
        let Some(coordination) = self.coordinations.get(&txn_id) else { return };
        let Step::Inquire { answers } = &coordination.step else { return };
        if answers.values().any(|known| known.status == Status::Invalidated) {
            self.finish_invalidated(txn_id);
            return;
        }
        if let Some(transaction) = answers.values().find_map(|known| known.transaction.clone()) {
            let (ballot, at) = (coordination.ballot, (self.clock.wall_micros, self.pace));
            self.begin(Coordination::recovery(txn_id, transaction, ballot, at));
            return;
        }
        if slow_quorum_everywhere(&self.topology, &coordination.participants, answers) {
            self.go_to(txn_id, Step::Invalidate { answers: BTreeMap::new() });
        }
    }
}
