//! The specification's hard cases by hand, one turn of one replica or node each: what random schedules meet too rarely.

use std::sync::Arc;

use accord::cluster::deps::Deps;
use accord::cluster::message::{
    Agreement, Answer, Message, Proposal, RecoveryVote, Request, Transaction,
};
use accord::cluster::replica::{Minter, RangeReplica};
use accord::cluster::status::Ballot;
use accord::cluster::{Effect, Event, Node, Pace, RangeId, ReplicatedRange, Topology};
use accord::{LogPosition, TokenRange, TxnId};
use types::prng::Prng;
use types::{NodeId, Timestamp};

use crate::lists::{ListTransaction, Touch};

const RANGE: RangeId = RangeId(0);
const PEER: NodeId = NodeId(1);

struct Counting(u64);

impl Minter for Counting {
    fn mint_above(&mut self, floor: Timestamp) -> Option<Timestamp> {
        self.0 = self.0.max(floor.hlc()) + 1;
        Some(Timestamp::new(0, self.0, 9))
    }
}

fn at(hlc: u64) -> Timestamp {
    Timestamp::new(0, hlc, 1)
}

fn append() -> Arc<Transaction> {
    ListTransaction { number: 1, touches: vec![(7, Touch::Append)] }.transaction()
}

fn agreement(execute_at: Timestamp) -> Agreement {
    Agreement { execute_at, deps: Deps::default() }
}

fn ask(replica: &mut RangeReplica, txn_id: TxnId, request: Request) -> Option<Answer> {
    replica.handle(PEER, txn_id, request, &mut Counting(1_000)).map(|(_, answer)| answer)
}

fn recover(replica: &mut RangeReplica, txn_id: TxnId) -> Result<RecoveryVote, String> {
    let request = Request::Recover { ballot: Ballot(at(900)), transaction: append() };
    match ask(replica, txn_id, request) {
        Some(Answer::Recovered(vote)) => Ok(vote),
        other => Err(format!("a recovery was answered {other:?}")),
    }
}

fn ensure(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// Table 4.4, row 4: an earlier transaction accepted above this one, without it, may yet commit so.
fn an_earlier_accepted_is_waited_for() -> Result<(), String> {
    let mut replica = RangeReplica::new(RANGE, TokenRange::ALL);
    let (earlier, recovered) = (TxnId(at(10)), TxnId(at(20)));
    ask(&mut replica, earlier, Request::PreAccept(append()));
    let accept = Request::Accept {
        ballot: Ballot::ZERO,
        proposal: Proposal::Slow,
        agreement: agreement(at(30)),
        transaction: append(),
    };
    ask(&mut replica, earlier, accept);
    let vote = recover(&mut replica, recovered)?;
    ensure(vote.earlier_wait == [earlier], "an earlier accepted transaction is not waited for")
}

/// Table 4.4, row 2: an earlier transaction that committed above this one would have seen it, had it been fast.
fn an_earlier_committed_excludes_the_fast_path() -> Result<(), String> {
    let mut replica = RangeReplica::new(RANGE, TokenRange::ALL);
    let (earlier, recovered) = (TxnId(at(10)), TxnId(at(20)));
    let commit = Request::Commit {
        ballot: Ballot::ZERO,
        agreement: agreement(at(30)),
        transaction: append(),
    };
    ask(&mut replica, earlier, commit);
    ensure(recover(&mut replica, recovered)?.superseded, "the fast path is not excluded")
}

/// The same, committed below it: its absence proves nothing.
fn an_earlier_that_executes_before_proves_nothing() -> Result<(), String> {
    let mut replica = RangeReplica::new(RANGE, TokenRange::ALL);
    let (earlier, recovered) = (TxnId(at(10)), TxnId(at(20)));
    let commit = Request::Commit {
        ballot: Ballot::ZERO,
        agreement: agreement(at(15)),
        transaction: append(),
    };
    ask(&mut replica, earlier, commit);
    let vote = recover(&mut replica, recovered)?;
    ensure(!vote.superseded && vote.earlier_wait.is_empty(), "an innocent transaction testifies")
}

/// Section 2.6: what is found only while accepting orders execution and is no evidence.
fn what_is_found_late_is_no_evidence() -> Result<(), String> {
    let mut replica = RangeReplica::new(RANGE, TokenRange::ALL);
    let (found, accepted) = (TxnId(at(20)), TxnId(at(40)));
    ask(&mut replica, found, Request::PreAccept(append()));
    let accept = Request::Accept {
        ballot: Ballot::ZERO,
        proposal: Proposal::Slow,
        agreement: agreement(at(50)),
        transaction: append(),
    };
    let Some(Answer::Accepted { extra }) = ask(&mut replica, accepted, accept) else {
        return Err("it was not accepted".into());
    };
    ensure(extra.contains(found), "it orders execution")?;
    ensure(!extra.witnesses(found), "it is taken for evidence")
}

/// Pitfall 16: a promise for an unknown transaction is kept and told.
fn a_promise_for_the_unknown_is_told() -> Result<(), String> {
    let mut replica = RangeReplica::new(RANGE, TokenRange::ALL);
    let txn_id = TxnId(at(20));
    ask(&mut replica, txn_id, Request::PromiseUnknown { ballot: Ballot(at(800)) });
    let answer = ask(&mut replica, txn_id, Request::PreAccept(append()));
    let told =
        matches!(answer, Some(Answer::Preempted { promised }) if promised == Ballot(at(800)));
    ensure(told, "a promise was forgotten")
}

/// Section 6.4: no answer leaves before what it says is in the log.
fn answers_wait_for_the_log() -> Result<(), String> {
    let nodes = vec![NodeId(0), PEER, NodeId(2)];
    let range = ReplicatedRange::new(TokenRange::ALL, nodes.clone(), nodes);
    let topology = Arc::new(Topology::new(1, vec![range]));
    let pace = (Pace::default(), Prng::new(1));
    let (mut node, _) = Node::start(NodeId(0), topology, [], pace, 1_000);
    let message = Message::Request(Request::PreAccept(append()));
    let event = Event::Message { from: PEER, range: RANGE, txn_id: TxnId(at(2_000)), message };
    let mut logged = LogPosition::NONE;
    for effect in node.handle(event, 1_000) {
        match effect {
            Effect::Log { position, .. } => logged = position,
            Effect::Send { after, .. } => {
                ensure(logged > LogPosition::NONE, "a vote was not logged")?;
                ensure(after >= logged, "a vote leaves before it is durable")?;
            }
            _ => {}
        }
    }
    ensure(logged > LogPosition::NONE, "nothing was logged")
}

/// All of them.
pub fn all() -> Result<(), String> {
    an_earlier_accepted_is_waited_for()?;
    an_earlier_committed_excludes_the_fast_path()?;
    an_earlier_that_executes_before_proves_nothing()?;
    what_is_found_late_is_no_evidence()?;
    a_promise_for_the_unknown_is_told()?;
    answers_wait_for_the_log()
}
