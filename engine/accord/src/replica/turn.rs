//! A transaction of one core: one uninterrupted turn.
//!
//! Rows first; then, in one call, the timestamp is taken and the transaction is read, evaluated, logged and applied on
//! the rows as they are. What meets a registered transaction registers at once with its timestamp, decided, and runs
//! at that timestamp when its turn comes; otherwise a stream of Prepares would starve it.

use alloc::sync::Arc;

use types::mutants::live;
use types::{LogId, Timestamp};

use crate::effect::{Effect, RequestId, Response};
use crate::footprint::Footprint;
use crate::mutants;
use crate::replica::evaluate::{NotLoaded, Observed};
use crate::replica::registry::{Decision, Registered, Role, Stage};
use crate::replica::{AfterLoad, Replica, Step};
use crate::store::{LogPosition, NotLogged, Store};
use crate::txn::TxnId;
use crate::workload::{Abort, Commit, Installs, Outcome, Record, Workload};

/// A transaction as it was submitted.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) request: RequestId,
    pub(super) footprint: Arc<Footprint>,
    pub(super) workload: Arc<dyn Workload>,
    #[cfg(mutants)]
    taken: Option<Timestamp>,
}

impl Turn {
    pub(super) const fn new(
        request: RequestId,
        footprint: Arc<Footprint>,
        workload: Arc<dyn Workload>,
    ) -> Turn {
        Turn {
            request,
            footprint,
            workload,
            #[cfg(mutants)]
            taken: None,
        }
    }
}

impl Replica {
    pub(super) fn submit<S: Store>(&mut self, turn: Turn, step: &mut Step<'_, S>) {
        self.clock.receive(turn.footprint.above());
        let participants = self.placement.participants(&turn.footprint);
        assert!(participants.contains(self.shard), "a home core takes part in its transaction");
        if participants.count() == 1 {
            self.turn(turn, step);
        } else {
            self.coordinate(turn, participants, step);
        }
    }

    /// One turn, or the start of a wait for a load or for others.
    pub(super) fn turn<S: Store>(&mut self, turn: Turn, step: &mut Step<'_, S>) {
        if !self.registry.is_empty() && self.registry.conflicts(&turn.footprint) {
            let execute_at = self.clock.mint(step.now.wall_micros);
            let Turn { request, footprint, workload, .. } = turn;
            let txn_id = TxnId(execute_at);
            let decision = Decision::Decided { execute_at };
            let role = Role::Turn { request, workload };
            self.registry.insert(txn_id, Registered::new(footprint, decision, role));
            self.check(txn_id, step);
            return;
        }
        let execute_at = self.timestamp_of(&turn, step);
        match self.evaluate(&*step.store, &turn.footprint, &*turn.workload, execute_at, &[]) {
            Ok(observed) => {
                let Turn { request, footprint, .. } = turn;
                self.finish_turn(request, &footprint, TxnId(execute_at), observed, step);
            }
            Err(NotLoaded) => {
                #[cfg(mutants)]
                let turn = Turn {
                    taken: live(mutants::TIMESTAMP_BEFORE_LOAD).then_some(execute_at),
                    ..turn
                };
                let footprint = Arc::clone(&turn.footprint);
                self.loads.start(footprint, Timestamp::MAX, AfterLoad::Turn(turn), step.out);
            }
        }
    }

    /// A registered turn's time has come.
    pub(super) fn execute_turn<S: Store>(
        &mut self,
        txn_id: TxnId,
        execute_at: Timestamp,
        step: &mut Step<'_, S>,
    ) {
        let registered = self.registry.get_mut(txn_id).expect("its caller found it");
        let Role::Turn { request, workload } = &registered.role else {
            panic!("only turns are executed as turns");
        };
        let (request, workload) = (*request, Arc::clone(workload));
        let footprint = Arc::clone(&registered.footprint);
        match self.evaluate(&*step.store, &footprint, &*workload, execute_at, &[]) {
            Ok(observed) => {
                self.finish_turn(request, &footprint, txn_id, observed, step);
            }
            Err(NotLoaded) => self.load_registered(txn_id, footprint, execute_at, step),
        }
    }

    pub(super) fn load_registered<S: Store>(
        &mut self,
        txn_id: TxnId,
        footprint: Arc<Footprint>,
        at: Timestamp,
        step: &mut Step<'_, S>,
    ) {
        let registered = self.registry.get_mut(txn_id).expect("its caller found it");
        registered.stage = Stage::Loading;
        self.loads.start(footprint, at, AfterLoad::Registered(txn_id), step.out);
    }

    /// Ends a turn, registered or not; a turn's identity is its timestamp.
    fn finish_turn<S: Store>(
        &mut self,
        request: RequestId,
        footprint: &Arc<Footprint>,
        txn_id: TxnId,
        observed: Observed<Outcome>,
        step: &mut Step<'_, S>,
    ) {
        let execute_at = txn_id.0;
        let Observed { result, needs } = observed;
        match result {
            Outcome::Commit(commit) if !commit.is_read_only() => {
                let Commit { writes, schema, attachment, installs, reply } = commit;
                let record = Record { execute_at, writes, schema, attachment, installs };
                match self.log_and_apply(&record, footprint, step) {
                    Ok(needs) => {
                        let response = Response::Committed { execute_at, reply };
                        self.hold_or_release(txn_id, footprint, record, needs, step);
                        self.reply_write(request, needs, execute_at, response, step);
                        return;
                    }
                    Err(NotLogged(reason)) => {
                        let outcome = Outcome::Abort(Abort::NotLogged(reason));
                        self.reply_read(request, needs, execute_at, outcome, step);
                    }
                }
            }
            outcome => self.reply_read(request, needs, execute_at, outcome, step),
        }
        self.deregister(txn_id);
    }

    /// After a turn was logged: gives up its tokens, or holds them until what it attaches is installed.
    fn hold_or_release<S: Store>(
        &mut self,
        txn_id: TxnId,
        footprint: &Arc<Footprint>,
        record: Record,
        position: LogPosition,
        step: &mut Step<'_, S>,
    ) {
        if record.installs == Installs::AtOnce {
            self.deregister(txn_id);
            return;
        }
        if self.registry.get(txn_id).is_none() {
            let decision = Decision::Decided { execute_at: txn_id.0 };
            let role = Role::Participant { home: self.shard };
            let registered = Registered::new(Arc::clone(footprint), decision, role);
            self.registry.insert(txn_id, registered);
        }
        self.install(txn_id, Arc::new(record), self.log, position, step);
    }

    /// Asks for what a record attaches to be installed as soon as the record is durable. Its tokens stay held.
    pub(super) fn install<S: Store>(
        &mut self,
        txn_id: TxnId,
        record: Arc<Record>,
        log: LogId,
        position: LogPosition,
        step: &mut Step<'_, S>,
    ) {
        let registered = self.registry.get_mut(txn_id).expect("it holds its tokens");
        registered.stage = Stage::Executed;
        let needs = if log == self.log { position } else { LogPosition::NONE };
        let effect = Effect::Install { txn_id, record, log, position };
        self.outbox.put(needs, Timestamp::ZERO, effect, step.out);
        if live(mutants::INSTALL_NOT_AWAITED) {
            self.deregister(txn_id);
        }
    }

    /// Logs a record and applies this shard's part, at once.
    pub(super) fn log_and_apply<S: Store>(
        &mut self,
        record: &Record,
        footprint: &Footprint,
        step: &mut Step<'_, S>,
    ) -> Result<LogPosition, NotLogged> {
        let position = step.store.append(record)?;
        assert!(position > self.log_end, "log positions rise");
        self.log_end = position;
        step.store.apply(record, self.log, position);
        self.note_record(record, footprint, position);
        Ok(position)
    }

    pub(super) fn reply_write<S: Store>(
        &mut self,
        request: RequestId,
        needs: LogPosition,
        shows: Timestamp,
        response: Response,
        step: &mut Step<'_, S>,
    ) {
        let early = live(mutants::COMMIT_REPLY_NOT_HELD);
        let needs = if early { LogPosition::NONE } else { needs };
        let shows = if live(mutants::SLOT_IGNORES_COMMITS) { Timestamp::ZERO } else { shows };
        self.outbox.put(needs, shows, Effect::Reply { request, response }, step.out);
    }

    /// Replies for a transaction that wrote nothing.
    pub(super) fn reply_read<S: Store>(
        &mut self,
        request: RequestId,
        needs: LogPosition,
        execute_at: Timestamp,
        outcome: Outcome,
        step: &mut Step<'_, S>,
    ) {
        let response = match outcome {
            Outcome::Commit(commit) => Response::Committed { execute_at, reply: commit.reply },
            Outcome::Abort(abort) => Response::Aborted(abort),
        };
        let early = live(mutants::READ_REPLY_NOT_HELD);
        let needs = if early { LogPosition::NONE } else { needs };
        self.floors.note_read(execute_at);
        self.outbox.put(needs, execute_at, Effect::Reply { request, response }, step.out);
    }

    fn timestamp_of<S: Store>(&mut self, turn: &Turn, step: &Step<'_, S>) -> Timestamp {
        #[cfg(mutants)]
        if let Some(taken) = turn.taken {
            return taken;
        }
        let _ = turn;
        self.clock.mint(step.now.wall_micros)
    }
}
