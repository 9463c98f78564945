//! A home core's part in a transaction of several cores.
//!
//! Prepare everywhere; a time above all answers; Commit(t) everywhere; when every participant has answered, its own part
//! included: evaluate, one record with every core's writes, its own part applied in the same call; when the record is
//! durable: Apply to the others, in log order, and the reply. The session may be gone; the transaction goes on.

use alloc::sync::Arc;
use alloc::vec::Vec;

use types::mutants::live;
use types::{ShardId, Timestamp};

use crate::effect::{Effect, RequestId, Response};
use crate::message::{Answer, Message};
use crate::mutants;
use crate::participants::ShardSet;
use crate::replica::evaluate::{NotLoaded, Observed};
use crate::replica::registry::{Decision, Registered, Role, Stage};
use crate::replica::turn::Turn;
use crate::replica::{Replica, Step, send};
use crate::rows::Rows;
use crate::store::{LogPosition, NotLogged, Store};
use crate::txn::TxnId;
use crate::workload::{Abort, Commit, Installs, Outcome, Record, Workload};

/// What the home core keeps of a transaction that it drives.
#[derive(Clone, Debug)]
pub(super) struct Home {
    request: RequestId,
    workload: Arc<dyn Workload>,
    others: ShardSet,
    phase: Phase,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Some have not answered Prepare.
    Preparing { awaiting: ShardSet, floor: Timestamp },
    /// The time is chosen; some have not answered Commit(t).
    Executing { awaiting: ShardSet, answers: Vec<(ShardId, Rows)>, refused: Option<Abort> },
}

impl Replica {
    /// Starts a transaction of several cores.
    pub(super) fn coordinate<S: Store>(
        &mut self,
        turn: Turn,
        participants: ShardSet,
        step: &mut Step<'_, S>,
    ) {
        let Turn { request, footprint, workload, .. } = turn;
        let floor = self.floors.floor(self.clock.highest());
        let txn_id = TxnId(self.clock.mint(step.now.wall_micros));
        let mut others = participants;
        others.remove(self.shard);
        let phase = Phase::Preparing { awaiting: others, floor };
        let role = Role::Home(Home { request, workload, others, phase });
        let decision = Decision::Undecided { floor };
        let registered = Registered::new(Arc::clone(&footprint), decision, role);
        self.registry.insert(txn_id, registered);
        for other in others.iter() {
            let footprint = Arc::clone(&footprint);
            send(other, Message::Prepare { txn_id, footprint }, step);
        }
    }

    /// A participant has registered it.
    pub(super) fn prepare_ok<S: Store>(
        &mut self,
        from: ShardId,
        txn_id: TxnId,
        answered_floor: Timestamp,
        step: &mut Step<'_, S>,
    ) {
        let home = self.home_mut(txn_id).expect("nothing ends while it prepares");
        let others = home.others;
        let Phase::Preparing { awaiting, floor } = &mut home.phase else {
            panic!("each participant answers Prepare once");
        };
        assert!(awaiting.remove(from), "each participant answers Prepare once");
        *floor = (*floor).max(answered_floor);
        if !awaiting.is_empty() {
            return;
        }
        let floor = *floor;
        let (answers, refused) = (Vec::new(), None);
        home.phase = Phase::Executing { awaiting: others, answers, refused };
        self.clock.receive(floor);
        let execute_at = self.clock.mint(step.now.wall_micros);
        self.floors.note_write(execute_at);
        self.decide(txn_id, execute_at);
        for other in others.iter() {
            send(other, Message::Commit { txn_id, execute_at }, step);
        }
        self.check(txn_id, step);
    }

    /// On this core, everything before the transaction is done.
    pub(super) fn own_part_ready<S: Store>(&mut self, txn_id: TxnId, step: &mut Step<'_, S>) {
        let registered = self.registry.get_mut(txn_id).expect("its caller found it");
        registered.stage = Stage::Executed;
        self.conclude(txn_id, step);
    }

    /// A participant has answered Commit(t).
    pub(super) fn executed<S: Store>(
        &mut self,
        from: ShardId,
        txn_id: TxnId,
        answer: Answer,
        step: &mut Step<'_, S>,
    ) {
        // It may be gone: aborted for a reason found here.
        let Some(home) = self.home_mut(txn_id) else { return };
        let Phase::Executing { awaiting, answers, refused } = &mut home.phase else {
            panic!("Commit(t) is answered after it was sent");
        };
        assert!(awaiting.remove(from), "each participant answers Commit(t) once");
        match answer {
            Answer::Rows(rows) => answers.push((from, rows)),
            Answer::Refused(abort) => *refused = Some(abort),
        }
        self.conclude(txn_id, step);
    }

    /// If every part is ready: evaluates, logs, applies here, and lets the rest follow when it is durable.
    pub(super) fn conclude<S: Store>(&mut self, txn_id: TxnId, step: &mut Step<'_, S>) {
        let registered = self.registry.get(txn_id).expect("its caller found it");
        let Decision::Decided { execute_at } = registered.decision else { return };
        let Role::Home(home) = &registered.role else { panic!("its caller is a home core") };
        let Phase::Executing { awaiting, answers, refused } = &home.phase else { return };
        let blind = || footprint_is_blind(&registered.footprint);
        let ahead = live(mutants::LOG_BEFORE_ANSWERS) && blind();
        if registered.stage == Stage::Queued || (!awaiting.is_empty() && !ahead) {
            return;
        }
        if let Some(abort) = refused {
            let abort = abort.clone();
            self.abort(txn_id, abort, LogPosition::NONE, step);
            return;
        }
        let (footprint, workload) = (&registered.footprint, &*home.workload);
        match self.evaluate(&*step.store, footprint, workload, execute_at, answers) {
            Err(NotLoaded) => {
                let footprint = Arc::clone(footprint);
                self.load_registered(txn_id, footprint, execute_at, step);
            }
            Ok(Observed { result: Outcome::Commit(commit), needs }) => {
                if commit.is_read_only() {
                    let outcome = Outcome::Commit(commit);
                    self.end_without_writes(txn_id, execute_at, outcome, needs, step);
                } else {
                    self.log_home(txn_id, execute_at, Observed { result: commit, needs }, step);
                }
            }
            Ok(Observed { result: Outcome::Abort(abort), needs }) => {
                self.abort(txn_id, abort, needs, step);
            }
        }
    }

    fn log_home<S: Store>(
        &mut self,
        txn_id: TxnId,
        execute_at: Timestamp,
        observed: Observed<Commit>,
        step: &mut Step<'_, S>,
    ) {
        let Commit { writes, schema, attachment, installs, reply } = observed.result;
        let record = Arc::new(Record { execute_at, writes, schema, attachment, installs });
        let home = self.home_mut(txn_id).expect("its caller found it");
        let (request, others) = (home.request, home.others);
        let needs = match self.log_home_part(txn_id, &record, step) {
            Ok(position) => position,
            Err(NotLogged(reason)) => {
                self.abort(txn_id, Abort::NotLogged(reason), observed.needs, step);
                return;
            }
        };
        for other in others.iter() {
            let record = Arc::clone(&record);
            let message = Message::Apply { txn_id, record, log: self.log, position: needs };
            let early = live(mutants::APPLY_NOT_HELD);
            let needs = if early { LogPosition::NONE } else { needs };
            let effect = Effect::Send { to: other, message };
            self.outbox.put(needs, Timestamp::ZERO, effect, step.out);
        }
        let response = Response::Committed { execute_at, reply };
        self.reply_write(request, needs, execute_at, response, step);
    }

    fn log_home_part<S: Store>(
        &mut self,
        txn_id: TxnId,
        record: &Arc<Record>,
        step: &mut Step<'_, S>,
    ) -> Result<LogPosition, NotLogged> {
        #[cfg(mutants)]
        if live(mutants::HOME_APPLIES_LATE) {
            let position = step.store.append(record)?;
            self.log_end = position;
            self.late.push_back((position, txn_id, Arc::clone(record)));
            return Ok(position);
        }
        let registered = self.registry.get(txn_id).expect("its caller found it");
        let footprint = Arc::clone(&registered.footprint);
        let position = self.log_and_apply(record, &footprint, step)?;
        match record.installs {
            Installs::AtOnce => self.deregister(txn_id),
            Installs::WhenDurable => {
                self.install(txn_id, Arc::clone(record), self.log, position, step);
            }
        }
        Ok(position)
    }

    #[cfg(mutants)]
    pub(super) fn apply_late<S: Store>(&mut self, through: LogPosition, step: &mut Step<'_, S>) {
        while self.late.front().is_some_and(|(position, ..)| *position <= through) {
            let (position, txn_id, record) = self.late.pop_front().expect("there is a front");
            step.store.apply(&record, self.log, position);
            if let Some(registered) = self.registry.get(txn_id) {
                let footprint = Arc::clone(&registered.footprint);
                self.note_record(&record, &footprint, position);
            }
            self.deregister(txn_id);
        }
    }

    pub(super) fn abort<S: Store>(
        &mut self,
        txn_id: TxnId,
        abort: Abort,
        needs: LogPosition,
        step: &mut Step<'_, S>,
    ) {
        let registered = self.registry.get(txn_id).expect("its caller found it");
        let Decision::Decided { execute_at } = registered.decision else {
            panic!("nothing is found out before the time is chosen");
        };
        self.end_without_writes(txn_id, execute_at, Outcome::Abort(abort), needs, step);
    }

    fn end_without_writes<S: Store>(
        &mut self,
        txn_id: TxnId,
        execute_at: Timestamp,
        outcome: Outcome,
        needs: LogPosition,
        step: &mut Step<'_, S>,
    ) {
        let home = self.home_mut(txn_id).expect("its caller found it");
        let (request, others) = (home.request, home.others);
        self.deregister(txn_id);
        for other in others.iter() {
            send(other, Message::Release { txn_id }, step);
        }
        self.reply_read(request, needs, execute_at, outcome, step);
    }

    fn home_mut(&mut self, txn_id: TxnId) -> Option<&mut Home> {
        match &mut self.registry.get_mut(txn_id)?.role {
            Role::Home(home) => Some(home),
            _ => None,
        }
    }
}

fn footprint_is_blind(footprint: &crate::Footprint) -> bool {
    footprint.points().iter().all(|point| !point.access.reads())
        && footprint.ranges().iter().all(|range| !range.access.reads())
}
