//! The specification's hard cases by hand, one turn of one replica or node each: what random schedules meet too rarely.

use std::sync::Arc;

use accord::cluster::deps::{Deps, Evidence};
use accord::cluster::message::{Agreement, Answer, Message, Proposal, RecoveryVote, Request};
use accord::cluster::replica::{Minter, RangeReplica};
use accord::cluster::status::{Ballot, Durability, Status};
use accord::cluster::{
    Effect, Event, Identity, LogEntry, Member, Pace, RangeId, ReplicatedRange, Topology,
    Transaction,
};
use accord::{LogPosition, Record, RequestId, TokenRange, TxnId};
use types::prng::Prng;
use types::{CoreId, NodeId, ShardId, Timestamp};

use crate::lists::{ListTransaction, Touch};

const RANGE: RangeId = RangeId(0);
const PEER: CoreId = CoreId::new(NodeId(1), ShardId(0));

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
    let touches = vec![(7, Touch::Append)];
    ListTransaction { number: 1, touches, sweep: false }.transaction(&topology())
}

/// One range, replicated by three nodes.
fn topology() -> Topology {
    let nodes = vec![NodeId(0), NodeId(1), NodeId(2)];
    Topology::new(1, vec![ReplicatedRange::new(TokenRange::ALL, nodes.clone(), nodes)])
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
    ask(&mut replica, earlier, Request::PreAccept { transaction: append() });
    let accept = Request::Accept {
        ballot: Ballot::ZERO,
        proposal: Proposal::Slow,
        agreement: agreement(at(30)),
        transaction: Some(append()),
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
        transaction: Some(append()),
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
        transaction: Some(append()),
    };
    ask(&mut replica, earlier, commit);
    let vote = recover(&mut replica, recovered)?;
    ensure(!vote.superseded && vote.earlier_wait.is_empty(), "an innocent transaction testifies")
}

/// Section 2.6: what is found only while accepting orders execution and is no evidence.
fn what_is_found_late_is_no_evidence() -> Result<(), String> {
    let mut replica = RangeReplica::new(RANGE, TokenRange::ALL);
    let (found, accepted) = (TxnId(at(20)), TxnId(at(40)));
    ask(&mut replica, found, Request::PreAccept { transaction: append() });
    let accept = Request::Accept {
        ballot: Ballot::ZERO,
        proposal: Proposal::Slow,
        agreement: agreement(at(50)),
        transaction: Some(append()),
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
    let answer = ask(&mut replica, txn_id, Request::PreAccept { transaction: append() });
    let told =
        matches!(answer, Some(Answer::Preempted { promised }) if promised == Ballot(at(800)));
    ensure(told, "a promise was forgotten")
}

/// Section 6.4: no answer leaves before what it says is in the log.
fn answers_wait_for_the_log() -> Result<(), String> {
    let identity = Identity {
        core: CoreId::new(NodeId(0), ShardId(0)),
        topology: Arc::new(topology()),
        ranges: vec![RANGE],
        pace: Pace::default(),
    };
    let (mut member, _) = Member::start(identity, [], Prng::new(1), 1_000);
    let message = Message::Request(Request::PreAccept { transaction: append() });
    let event = Event::Message { from: PEER, range: RANGE, txn_id: TxnId(at(2_000)), message };
    let mut logged = LogPosition::NONE;
    for effect in member.handle(event, 1_000) {
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

fn apply(replica: &mut RangeReplica, txn_id: TxnId, execute_at: Timestamp) {
    let request = Request::Apply {
        agreement: agreement(execute_at),
        transaction: Some(append()),
        record: record(execute_at),
    };
    ask(replica, txn_id, request);
}

fn record(execute_at: Timestamp) -> Arc<Record> {
    Arc::new(Record {
        execute_at,
        writes: Vec::new(),
        schema: Vec::new(),
        attachment: Vec::new(),
        installs: Default::default(),
    })
}

fn settled_at(id: u64) -> RangeReplica {
    let mut replica = RangeReplica::new(RANGE, TokenRange::ALL);
    let txn_id = TxnId(at(id));
    apply(&mut replica, txn_id, at(id));
    ask(&mut replica, txn_id, Request::Durable { durability: Durability::Universal });
    replica
}

/// What every replica has applied is let go of, and still excludes the fast path of what did not come before it.
fn the_settled_testify() -> Result<(), String> {
    let mut replica = settled_at(30);
    ensure(replica.is_settled(TxnId(at(30))), "it is kept")?;
    ensure(replica.commands().next().is_none(), "it is kept as a command")?;
    let vote = recover(&mut replica, TxnId(at(20)))?;
    ensure(vote.superseded, "the fast path is not excluded by what was let go of")?;
    ensure(!recover(&mut settled_at(30), TxnId(at(40)))?.superseded, "an earlier one testifies")
}

/// … and nothing conflicting gets a timestamp below it.
fn the_settled_are_not_overtaken() -> Result<(), String> {
    let mut replica = settled_at(30);
    let pre_accept = Request::PreAccept { transaction: append() };
    match ask(&mut replica, TxnId(at(20)), pre_accept) {
        Some(Answer::PreAccepted { witnessed, .. }) => {
            ensure(witnessed > at(30), "a transaction slips below one that is applied")
        }
        other => Err(format!("a new transaction is answered {other:?}")),
    }
}

fn sync_point() -> Arc<Transaction> {
    Arc::new(Transaction::sync_point([RANGE]))
}

/// Section 3.4: none begins below a sync point.
fn a_sync_point_keeps_out_what_is_below() -> Result<(), String> {
    let mut replica = RangeReplica::new(RANGE, TokenRange::ALL);
    ask(&mut replica, TxnId(at(50)), Request::PreAccept { transaction: sync_point() });
    let below = ask(&mut replica, TxnId(at(20)), Request::PreAccept { transaction: append() });
    ensure(below == Some(Answer::Rejected), "a transaction begins below a sync point")?;
    let above = ask(&mut replica, TxnId(at(60)), Request::PreAccept { transaction: append() });
    ensure(matches!(above, Some(Answer::PreAccepted { .. })), "one above it does not begin")
}

/// Section 4.4: a sync point that was accepted without a transaction excludes that transaction's fast path.
fn a_sync_point_testifies() -> Result<(), String> {
    let mut replica = RangeReplica::new(RANGE, TokenRange::ALL);
    let accept = Request::Accept {
        ballot: Ballot::ZERO,
        proposal: Proposal::Slow,
        agreement: agreement(at(50)),
        transaction: Some(sync_point()),
    };
    ask(&mut replica, TxnId(at(50)), accept);
    ensure(recover(&mut replica, TxnId(at(20)))?.superseded, "a sync point is overtaken")
}

fn apply_sync_point(replica: &mut RangeReplica, deps: Deps) {
    let request = Request::Apply {
        agreement: Agreement { execute_at: at(50), deps },
        transaction: Some(sync_point()),
        record: record(at(50)),
    };
    ask(replica, TxnId(at(50)), request);
}

/// Section 2.8: a sync point waits for everything below it, though it executes later.
fn a_sync_point_waits_for_all() -> Result<(), String> {
    let mut replica = RangeReplica::new(RANGE, TokenRange::ALL);
    let txn_id = TxnId(at(30));
    let commit = Request::Commit {
        ballot: Ballot::ZERO,
        agreement: agreement(at(60)),
        transaction: Some(append()),
    };
    ask(&mut replica, txn_id, commit);
    apply_sync_point(&mut replica, Deps::of(vec![(txn_id, Evidence::Stable)]));
    ensure(replica.bounds().applied_below < txn_id, "a sync point leaves one below behind")?;
    apply(&mut replica, txn_id, at(60));
    ensure(replica.bounds().applied_below == TxnId(at(50)), "a sync point is never applied")
}

/// Section 6.3: of what is below an applied sync point nothing is known any more, and it is not new.
fn the_gone_are_not_new() -> Result<(), String> {
    let mut replica = RangeReplica::new(RANGE, TokenRange::ALL);
    let undecided = TxnId(at(20));
    ask(&mut replica, undecided, Request::PreAccept { transaction: append() });
    apply_sync_point(&mut replica, Deps::default());
    let status = replica.command(undecided).map(|command| command.status());
    ensure(status == Some(Status::Invalidated), "what a sync point excludes lives on")?;
    let unknown = TxnId(at(25));
    let ballot = Ballot(at(900));
    for request in [
        Request::PreAccept { transaction: append() },
        Request::Recover { ballot, transaction: append() },
        Request::PromiseUnknown { ballot },
        Request::AcceptInvalidate { ballot },
    ] {
        let answer = ask(&mut replica, unknown, request);
        ensure(answer == Some(Answer::Truncated), "what is gone is taken for new")?;
    }
    ensure(replica.command(unknown).is_none(), "a late message revives what is gone")
}

/// Section 2.6: dependencies that were found while accepting survive before anybody executes by them.
fn the_slow_path_stabilises() -> Result<(), String> {
    let mut member = Coordinator::of(append())?;
    let txn_id = member.txn_id;
    let later = Timestamp::new(0, txn_id.0.hlc() + 500, PEER.0);
    let vote = |witnessed| Answer::PreAccepted { witnessed, deps: Deps::default() };
    member.hear(PEER, Ballot::ZERO, vote(later));
    member.hear(OTHER, Ballot::ZERO, vote(later));
    let proposed = member.sent.iter().any(|request| matches!(request, Request::Accept { .. }));
    ensure(proposed, "a later timestamp is not proposed")?;
    let dep = (TxnId(at(5)), Evidence::Unstable);
    member.sent.clear();
    member.hear(PEER, Ballot::ZERO, Answer::Accepted { extra: Deps::of(vec![dep]) });
    member.hear(OTHER, Ballot::ZERO, Answer::Accepted { extra: Deps::default() });
    let agreed = |request: &Request| matches!(request, Request::Commit { agreement, .. } if agreement.deps.contains(dep.0));
    ensure(member.sent.iter().any(agreed), "dependencies are used before they survive")
}

/// Section 4.3: whoever first hears of a transaction from a recovery does not vote for it.
fn a_recovery_brings_no_vote() -> Result<(), String> {
    let mut replica = RangeReplica::new(RANGE, TokenRange::ALL);
    ensure(!recover(&mut replica, TxnId(at(20)))?.voted, "a recovery makes its own votes")
}

/// Ballots: what is below a promise is refused.
fn a_promise_is_kept() -> Result<(), String> {
    let promise = Ballot(at(900));
    for request in [
        Request::AcceptInvalidate { ballot: Ballot::ZERO },
        Request::Commit {
            ballot: Ballot::ZERO,
            agreement: agreement(at(20)),
            transaction: Some(append()),
        },
        Request::Accept {
            ballot: Ballot::ZERO,
            proposal: Proposal::Slow,
            agreement: agreement(at(20)),
            transaction: Some(append()),
        },
    ] {
        let mut replica = RangeReplica::new(RANGE, TokenRange::ALL);
        recover(&mut replica, TxnId(at(20)))?;
        let answer = ask(&mut replica, TxnId(at(20)), request);
        let refused = answer == Some(Answer::Preempted { promised: promise });
        ensure(refused, "a promise is broken")?;
    }
    Ok(())
}

fn vote(status: Status, accepted: u64, execute_at: u64, deps: Deps) -> Answer {
    Answer::Recovered(RecoveryVote {
        status,
        accepted: Ballot(at(accepted)),
        execute_at: at(execute_at),
        deps,
        local_deps: Deps::default(),
        voted: false,
        superseded: false,
        earlier_wait: Vec::new(),
        earlier_no_wait: Vec::new(),
        record: None,
    })
}

/// Table 4.5: with an electorate of three, one that did not vote excludes the fast path.
fn one_of_three_rejects() -> Result<(), String> {
    let pre_accept = Request::PreAccept { transaction: append() };
    let mut member = Coordinator::recovering(pre_accept)?;
    member.hear(PEER, member.ballot, vote(Status::PreAccepted, 0, 5_000, Deps::default()));
    let given_up = |request: &Request| matches!(request, Request::AcceptInvalidate { .. });
    ensure(member.sent.iter().any(given_up), "a rejected transaction is taken for fast")
}

fn accepted(ballot: u64, execute_at: u64) -> Request {
    Request::Accept {
        ballot: Ballot(at(ballot)),
        proposal: Proposal::Slow,
        agreement: agreement(at(execute_at)),
        transaction: Some(append()),
    }
}

/// Table 4.5: of what was accepted, the highest ballot's is proposed.
fn the_highest_ballot_is_proposed() -> Result<(), String> {
    let mut member = Coordinator::recovering(accepted(800, 7_000))?;
    member.hear(PEER, member.ballot, vote(Status::Accepted, 700, 6_000, Deps::default()));
    let proposed = member.sent.iter().find_map(|request| match request {
        Request::Accept { agreement, .. } => Some(agreement.execute_at),
        _ => None,
    });
    ensure(proposed == Some(at(7_000)), "an older proposal is taken up")
}

/// Section 4.7: with the dependencies that were accepted with it.
fn accepted_deps_are_proposed() -> Result<(), String> {
    let pre_accept = Request::PreAccept { transaction: append() };
    let mut member = Coordinator::recovering(pre_accept)?;
    let dep = TxnId(at(5));
    let deps = Deps::of(vec![(dep, Evidence::Stable)]);
    member.hear(PEER, member.ballot, vote(Status::Accepted, 700, 6_000, deps));
    let proposed = |request: &Request| matches!(request, Request::Accept { agreement, .. } if agreement.deps.contains(dep));
    ensure(member.sent.iter().any(proposed), "accepted dependencies are lost")
}

/// Rule T4: a restarted core mints above whatever it may have used before, though its clock is behind.
fn a_restart_mints_above_its_reservation() -> Result<(), String> {
    let through = Timestamp::new(0, 50_000_000, u32::MAX);
    let member = Coordinator::start([LogEntry::Reserve { through }]);
    let id = Coordinator::submit(member, append())?.txn_id;
    ensure(id.0 > through, "a timestamp may be minted twice")
}

/// Section 2.7: a dependency that executes later is not waited for once that is agreed on.
fn a_later_execution_is_not_waited_for() -> Result<(), String> {
    let mut replica = RangeReplica::new(RANGE, TokenRange::ALL);
    let (later, txn_id) = (TxnId(at(10)), TxnId(at(20)));
    let request = Request::Apply {
        agreement: Agreement {
            execute_at: at(20),
            deps: Deps::of(vec![(later, Evidence::Stable)]),
        },
        transaction: Some(append()),
        record: record(at(20)),
    };
    ask(&mut replica, txn_id, request);
    let status = |replica: &RangeReplica| replica.command(txn_id).map(|command| command.status());
    ensure(status(&replica) == Some(Status::PreApplied), "an undecided one is not waited for")?;
    let commit = Request::Commit {
        ballot: Ballot::ZERO,
        agreement: agreement(at(60)),
        transaction: Some(append()),
    };
    ask(&mut replica, later, commit);
    ensure(status(&replica) == Some(Status::Applied), "two wait for each other")
}

/// Section 4.1: what blocks others is looked into, though nobody here knows what it is.
fn what_blocks_is_looked_into() -> Result<(), String> {
    let unknown = TxnId(at(1_500));
    let request = Request::Read {
        agreement: Agreement {
            execute_at: at(2_000),
            deps: Deps::of(vec![(unknown, Evidence::Stable)]),
        },
        transaction: Some(append()),
    };
    let mut member = Coordinator::start([]);
    let (range, txn_id, message) = (RANGE, TxnId(at(2_000)), Message::Request(request));
    member.handle(Event::Message { from: PEER, range, txn_id, message }, 1_000);
    let asked = member.handle(Event::Tick, 1_000_000).into_iter().any(|effect| {
        let Effect::Send { txn_id, message: Message::Request(request), .. } = effect else {
            return false;
        };
        txn_id == unknown && matches!(request, Request::PromiseUnknown { .. })
    });
    ensure(asked, "nobody looks into what blocks")
}

/// Section 6.4, row 5: a promise is in the log.
fn promises_are_logged() -> Result<(), String> {
    let mut member = Coordinator::start([]);
    let ballot = Ballot(at(9_000));
    let request = Request::Recover { ballot, transaction: append() };
    let (range, txn_id, message) = (RANGE, TxnId(at(2_000)), Message::Request(request));
    let effects = member.handle(Event::Message { from: PEER, range, txn_id, message }, 1_000);
    let logged = effects.iter().any(|effect| match effect {
        Effect::Log { entry: LogEntry::Change { change, .. }, .. } => {
            change.ballots.is_some_and(|(promised, _)| promised == ballot)
        }
        _ => false,
    });
    ensure(logged, "a promise is not logged")
}

/// What a sync point lets go of may execute above it, where undecided ones are.
fn what_is_expunged_is_not_overtaken() -> Result<(), String> {
    let mut member = Coordinator::start([]);
    let tell = |member: &mut Member, hlc: u64, request: Request| {
        let (range, txn_id, message) = (RANGE, TxnId(at(hlc)), Message::Request(request));
        member.handle(Event::Message { from: PEER, range, txn_id, message }, 1_000)
    };
    let apply = |execute_at: u64, transaction| Request::Apply {
        agreement: agreement(at(execute_at)),
        transaction: Some(transaction),
        record: record(at(execute_at)),
    };
    // It executes above the sync point, and began below it.
    tell(&mut member, 2_000, apply(9_000, append()));
    tell(&mut member, 5_000, apply(5_000, sync_point()));
    tell(&mut member, 5_000, Request::UniversallyApplied);
    let gone = member.replica(RANGE).is_some_and(|replica| {
        replica.command(TxnId(at(2_000))).is_none() && !replica.is_settled(TxnId(at(2_000)))
    });
    ensure(gone, "a sync point lets nothing go")?;
    let pre_accept = Request::PreAccept { transaction: append() };
    let witnessed = tell(&mut member, 7_000, pre_accept).into_iter().find_map(|effect| {
        let Effect::Send { message: Message::Answer { answer, .. }, .. } = effect else {
            return None;
        };
        match answer {
            Answer::PreAccepted { witnessed, .. } => Some(witnessed),
            _ => None,
        }
    });
    ensure(witnessed > Some(at(9_000)), "a transaction slips below one that is gone")
}

const OTHER: CoreId = CoreId::new(NodeId(2), ShardId(0));

/// A member that coordinates one transaction, and what it asks the others.
struct Coordinator {
    member: Member,
    txn_id: TxnId,
    ballot: Ballot,
    sent: Vec<Request>,
}

impl Coordinator {
    fn of(transaction: Arc<Transaction>) -> Result<Coordinator, String> {
        Coordinator::submit(Coordinator::start([]), transaction)
    }

    fn submit(mut member: Member, transaction: Arc<Transaction>) -> Result<Coordinator, String> {
        let event = Event::Submit { request: RequestId(1), transaction };
        let asked = member.handle(event, 1_000).into_iter().find_map(|effect| match effect {
            Effect::Send { txn_id, .. } => Some(txn_id),
            _ => None,
        });
        let txn_id = asked.ok_or("nobody is asked to witness it")?;
        Ok(Coordinator { member, txn_id, ballot: Ballot::ZERO, sent: Vec::new() })
    }

    /// One that has heard something of a transaction, and, when nothing came of it, takes it up.
    fn recovering(heard: Request) -> Result<Coordinator, String> {
        let mut member = Coordinator::start([]);
        let txn_id = TxnId(at(2_000));
        let (range, message) = (RANGE, Message::Request(heard));
        member.handle(Event::Message { from: PEER, range, txn_id, message }, 1_000);
        let asked = member.handle(Event::Tick, 1_000_000).into_iter().find_map(|effect| {
            let Effect::Send { message: Message::Request(request), .. } = effect else {
                return None;
            };
            matches!(request, Request::Recover { .. }).then_some(request)
        });
        let Some(Request::Recover { ballot, .. }) = asked else {
            return Err("nobody takes up what does not end".into());
        };
        Ok(Coordinator { member, txn_id, ballot, sent: Vec::new() })
    }

    /// A member that may mint timestamps.
    fn start(log: impl IntoIterator<Item = LogEntry>) -> Member {
        let identity = Identity {
            core: CoreId::new(NodeId(0), ShardId(0)),
            topology: Arc::new(topology()),
            ranges: vec![RANGE],
            pace: Pace::default(),
        };
        let (mut member, effects) = Member::start(identity, log, Prng::new(1), 1_000);
        for effect in effects {
            if let Effect::Log { entry: LogEntry::Reserve { through }, .. } = effect {
                member.handle(Event::Reserved { through }, 1_000);
            }
        }
        member
    }

    fn hear(&mut self, from: CoreId, ballot: Ballot, answer: Answer) {
        let (range, txn_id) = (RANGE, self.txn_id);
        let message = Message::Answer { ballot, answer };
        let event = Event::Message { from, range, txn_id, message };
        for effect in self.member.handle(event, 1_000_000) {
            if let Effect::Send { message: Message::Request(request), .. } = effect {
                self.sent.push(request);
            }
        }
    }
}

/// All of them.
pub fn all() -> Result<(), String> {
    an_earlier_accepted_is_waited_for()?;
    an_earlier_committed_excludes_the_fast_path()?;
    an_earlier_that_executes_before_proves_nothing()?;
    what_is_found_late_is_no_evidence()?;
    a_promise_for_the_unknown_is_told()?;
    answers_wait_for_the_log()?;
    the_settled_testify()?;
    the_settled_are_not_overtaken()?;
    a_sync_point_keeps_out_what_is_below()?;
    a_sync_point_testifies()?;
    a_sync_point_waits_for_all()?;
    the_gone_are_not_new()?;
    the_slow_path_stabilises()?;
    a_recovery_brings_no_vote()?;
    a_promise_is_kept()?;
    one_of_three_rejects()?;
    the_highest_ballot_is_proposed()?;
    accepted_deps_are_proposed()?;
    a_restart_mints_above_its_reservation()?;
    a_later_execution_is_not_waited_for()?;
    what_blocks_is_looked_into()?;
    promises_are_logged()?;
    what_is_expunged_is_not_overtaken()
}
