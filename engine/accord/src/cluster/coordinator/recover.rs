//! Taking up what somebody else began (sections 4.5 to 4.7).
//!
//! The table, tried in order; `m` is the vote that knows most:
//!
//! | what a quorum of every range says | what follows |
//! |---|---|
//! | m is invalidated | say so everywhere |
//! | m has accepted to invalidate | have that accepted, then say so |
//! | m has the writes, or an agreement | agree on dependencies where nobody holds agreed ones, then go on from there |
//! | m has accepted a timestamp | wait for what must be decided first, then propose that timestamp |
//! | a conflicting transaction excludes the fast path | invalidate |
//! | more electors than it could bear did not vote | invalidate |
//! | something must be decided first | wait, and begin again |
//! | otherwise | propose the id as the timestamp |

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use types::Timestamp;
use types::mutants::live;

use super::tally::{of_range, slow_quorum_everywhere, votes};
use super::{Answers, Coordination, Node, Step};
use crate::cluster::deps::Deps;
use crate::cluster::message::{Proposal, RecoveryVote};
use crate::cluster::replica::Minter;
use crate::cluster::status::{Ballot, Status, knowledge};
use crate::cluster::topology::{RangeId, Topology};
use crate::mutants;
use crate::txn::TxnId;

/// What a recovery does next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Invalidated,
    Invalidate,
    /// A time of execution is agreed on.
    Agreed {
        execute_at: Timestamp,
    },
    Propose {
        execute_at: Timestamp,
    },
    Wait,
}

fn decide(
    topology: &Topology,
    txn_id: TxnId,
    ranges: &[RangeId],
    all: &Answers<RecoveryVote>,
) -> Verdict {
    let most = all
        .values()
        .max_by_key(|vote| knowledge(vote.status, vote.accepted))
        .expect("a quorum has voted");
    let mut waits: BTreeSet<TxnId> = BTreeSet::new();
    let mut harmless: BTreeSet<TxnId> = BTreeSet::new();
    for vote in all.values() {
        waits.extend(&vote.earlier_wait);
        harmless.extend(&vote.earlier_no_wait);
    }
    let must_wait = waits.difference(&harmless).next().is_some();
    match most.status {
        Status::Invalidated => Verdict::Invalidated,
        Status::AcceptedInvalidate => Verdict::Invalidate,
        Status::Committed | Status::Stable | Status::PreApplied | Status::Applied => {
            Verdict::Agreed { execute_at: most.execute_at }
        }
        Status::Accepted => Verdict::Propose { execute_at: most.execute_at },
        Status::NotDefined | Status::PreAccepted => {
            let superseded = all.values().any(|vote| vote.superseded);
            let rejected = ranges.iter().any(|range| {
                let votes = votes(topology, *range, all, |vote| vote.voted);
                topology.range(*range).rejects_fast(votes.rejects)
                    && !live(mutants::RECOVERY_IGNORES_REJECTIONS)
            });
            if superseded || rejected {
                Verdict::Invalidate
            } else if must_wait {
                Verdict::Wait
            } else {
                Verdict::Propose { execute_at: txn_id.0 }
            }
        }
    }
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
    if let Some(vote) = accepted {
        return vote.deps.clone();
    }
    let mut deps = Deps::default();
    for (_, vote) in of_range(all, range) {
        deps.merge(&vote.local_deps);
    }
    deps
}

impl Node {
    pub(super) fn decide_recover(&mut self, txn_id: TxnId) {
        let Some(coordination) = self.coordinations.get(&txn_id) else { return };
        let Step::Recover { votes } = &coordination.step else { return };
        let ranges = coordination.participants.clone();
        if !slow_quorum_everywhere(&self.topology, &ranges, votes) {
            return;
        }
        let votes = votes.clone();
        match decide(&self.topology, txn_id, &ranges, &votes) {
            Verdict::Invalidated => self.finish_invalidated(txn_id),
            Verdict::Invalidate => {
                self.go_to(txn_id, Step::Invalidate { answers: BTreeMap::new() });
            }
            Verdict::Wait => {
                let until_micros = self.clock.wall_micros + self.pace.resend_micros;
                self.go_to(txn_id, Step::Wait { until_micros });
                self.hasten(&votes);
            }
            Verdict::Propose { execute_at } => {
                let deps = ranges.iter().map(|range| (*range, proposed_deps(*range, &votes)));
                let deps = deps.collect();
                self.propose(txn_id, execute_at, deps, ranges);
            }
            Verdict::Agreed { execute_at } => {
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
                self.agreed(txn_id, execute_at, deps, missing, &votes);
            }
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
        deps: BTreeMap<RangeId, Deps>,
        missing: Vec<RangeId>,
        votes: &Answers<RecoveryVote>,
    ) {
        let record = votes.values().find_map(|vote| vote.record.clone());
        if !missing.is_empty() {
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
                let unfinished = !command.status.is_decided();
                command.transaction.clone().filter(|_| unfinished)
            });
            let (Some(transaction), Some(ballot)) = (known, self.clock.mint_above(Timestamp::ZERO))
            else {
                continue;
            };
            let participants = self.topology.participants(&transaction.footprint);
            let now = self.clock.wall_micros;
            let ballot = Ballot(ballot);
            self.begin(Coordination::recovery(
                txn_id,
                transaction,
                participants,
                ballot,
                (now, self.pace),
            ));
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
            let (ballot, now) = (coordination.ballot, self.clock.wall_micros);
            let participants = self.topology.participants(&transaction.footprint);
            self.begin(Coordination::recovery(
                txn_id,
                transaction,
                participants,
                ballot,
                (now, self.pace),
            ));
            return;
        }
        if slow_quorum_everywhere(&self.topology, &coordination.participants, answers) {
            self.go_to(txn_id, Step::Invalidate { answers: BTreeMap::new() });
        }
    }
}
