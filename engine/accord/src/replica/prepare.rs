//! A participant's part in a transaction of several cores: register, be told the time, answer in order, apply.

use alloc::sync::Arc;

use types::mutants::live;
use types::{LogId, ShardId, Timestamp};

use crate::conflicts::Treat;
use crate::effect::Effect;
use crate::footprint::Footprint;
use crate::message::{Answer, Message};
use crate::mutants;
use crate::replica::evaluate::{NotLoaded, Observed};
use crate::replica::registry::{Decision, Registered, Role, Stage, Waiter};
use crate::replica::{Replica, Step, send};
use crate::store::{LogPosition, Store};
use crate::txn::TxnId;
use crate::workload::{Abort, Installs, Record};

impl Replica {
    /// Registers, and answers at once with what the transaction must execute above.
    pub(super) fn prepare<S: Store>(
        &mut self,
        home: ShardId,
        txn_id: TxnId,
        footprint: Arc<Footprint>,
        step: &mut Step<'_, S>,
    ) {
        let floor = self.floors.floor(self.clock.highest());
        let decision = Decision::Undecided { floor };
        let registered = Registered::new(footprint, decision, Role::Participant { home });
        self.register_prepared(txn_id, registered);
        send(home, Message::PrepareOk { txn_id, floor }, step);
    }

    fn register_prepared(&mut self, txn_id: TxnId, registered: Registered) {
        #[cfg(mutants)]
        if live(mutants::PREPARE_DOES_NOT_REGISTER) {
            self.registry.insert_unclaimed(txn_id, registered);
            return;
        }
        self.registry.insert(txn_id, registered);
    }

    /// The home core has chosen the time.
    pub(super) fn commit<S: Store>(
        &mut self,
        txn_id: TxnId,
        execute_at: Timestamp,
        step: &mut Step<'_, S>,
    ) {
        #[cfg(mutants)]
        if live(mutants::PREPARE_DOES_NOT_REGISTER) {
            self.registry.claim(txn_id);
        }
        if !live(mutants::COMMIT_DOES_NOT_RAISE_CLOCK) {
            self.clock.receive(execute_at);
        }
        self.floors.note_write(execute_at);
        self.decide(txn_id, execute_at);
        self.check(txn_id, step);
    }

    pub(super) fn decide(&mut self, txn_id: TxnId, execute_at: Timestamp) {
        let waiters = self.registry.decide(txn_id, execute_at);
        self.wake.extend(waiters);
    }

    /// Executes a registered transaction if every conflicting one is decided and those below it are done.
    pub(super) fn check<S: Store>(&mut self, txn_id: TxnId, step: &mut Step<'_, S>) {
        let Some(registered) = self.registry.get(txn_id) else { return };
        let Decision::Decided { execute_at } = registered.decision else { return };
        if registered.stage != Stage::Queued {
            return;
        }
        if let Some(blocker) = self.blocker_of(txn_id, registered, execute_at) {
            self.registry.watch(blocker, Waiter::Txn(txn_id));
            return;
        }
        match registered.role {
            Role::Turn { .. } => self.execute_turn(txn_id, execute_at, step),
            Role::Participant { home } => self.answer(txn_id, home, execute_at, step),
            Role::Home(_) => self.own_part_ready(txn_id, step),
        }
    }

    fn blocker_of(
        &self,
        txn_id: TxnId,
        registered: &Registered,
        execute_at: Timestamp,
    ) -> Option<TxnId> {
        let is_turn = matches!(registered.role, Role::Turn { .. });
        if live(mutants::BLIND_WRITE_SKIPS_QUEUE)
            && !is_turn
            && !self.reads_here(&registered.footprint)
        {
            return None;
        }
        let footprint = &registered.footprint;
        self.registry.blocker(footprint, Treat::AsDeclared, |other_id, other| {
            let before = match other.decision {
                Decision::Undecided { .. } => true,
                Decision::Decided { execute_at: other_at } => {
                    let overlooked = if is_turn {
                        live(mutants::TURN_QUEUES_UNTIL_DECIDED)
                    } else {
                        live(mutants::COMMIT_ANSWERS_BEFORE_APPLIED)
                    };
                    other_at < execute_at && !overlooked
                }
            };
            other_id != txn_id && before
        })
    }

    fn reads_here(&self, footprint: &Footprint) -> bool {
        let mut points = footprint.points().iter();
        let mut ranges = footprint.ranges().iter();
        points.any(|point| point.access.reads() && self.owned.contains(point.token))
            || ranges.any(|range| {
                range.access.reads() && range.tokens.intersection(self.owned).is_some()
            })
    }

    /// Goes on after a load.
    pub(super) fn resume<S: Store>(&mut self, txn_id: TxnId, step: &mut Step<'_, S>) {
        let Some(registered) = self.registry.get_mut(txn_id) else { return };
        let Decision::Decided { execute_at } = registered.decision else {
            panic!("rows are loaded for what is decided");
        };
        match registered.role {
            Role::Turn { .. } => self.execute_turn(txn_id, execute_at, step),
            Role::Participant { home } => self.answer(txn_id, home, execute_at, step),
            Role::Home(_) => self.conclude(txn_id, step),
        }
    }

    fn answer<S: Store>(
        &mut self,
        txn_id: TxnId,
        home: ShardId,
        execute_at: Timestamp,
        step: &mut Step<'_, S>,
    ) {
        let registered = self.registry.get(txn_id).expect("its caller found it");
        let footprint = Arc::clone(&registered.footprint);
        let (schema, needs) = self.tables.check_schema(&footprint);
        if let Err(abort) = schema {
            self.put_answer(txn_id, home, needs, Answer::Refused(abort), step);
            return;
        }
        match self.gather(&*step.store, &footprint, execute_at, needs) {
            Ok(Observed { result, needs }) => {
                self.put_answer(txn_id, home, needs, Answer::Rows(result), step);
            }
            Err(NotLoaded) => self.load_registered(txn_id, footprint, execute_at, step),
        }
    }

    fn put_answer<S: Store>(
        &mut self,
        txn_id: TxnId,
        home: ShardId,
        needs: LogPosition,
        answer: Answer,
        step: &mut Step<'_, S>,
    ) {
        let registered = self.registry.get_mut(txn_id).expect("its caller found it");
        registered.stage = Stage::Executed;
        let needs = if live(mutants::ANSWER_NOT_HELD) { LogPosition::NONE } else { needs };
        let message = Message::Executed { txn_id, answer };
        self.outbox.put(needs, Timestamp::ZERO, Effect::Send { to: home, message }, step.out);
        if live(mutants::RELEASE_AT_ANSWER) {
            self.deregister(txn_id);
        }
    }

    /// The record is durable on its home core's log.
    pub(super) fn apply<S: Store>(
        &mut self,
        txn_id: TxnId,
        record: Arc<Record>,
        log: LogId,
        position: LogPosition,
        step: &mut Step<'_, S>,
    ) {
        if !live(mutants::COMMIT_DOES_NOT_RAISE_CLOCK) {
            self.clock.receive(record.execute_at);
        }
        step.store.apply(&record, log, position);
        let registered = self.registry.get(txn_id);
        let footprint = registered.map(|registered| Arc::clone(&registered.footprint));
        let footprint = footprint.expect("a participant is registered until Apply or Release");
        if !live(mutants::CHANGE_NOT_NOTED) {
            self.note_record(&record, &footprint, LogPosition::NONE);
        }
        match record.installs {
            Installs::AtOnce => self.deregister(txn_id),
            Installs::WhenDurable => self.install(txn_id, record, log, position, step),
        }
    }

    /// The transaction has no effect here.
    pub(super) fn release(&mut self, txn_id: TxnId) {
        self.deregister(txn_id);
    }

    pub(super) fn deregister(&mut self, txn_id: TxnId) {
        if let Some((_, waiters)) = self.registry.remove(txn_id) {
            self.wake.extend(waiters);
        }
    }

    /// A registered transaction's rows could not be read.
    pub(super) fn refuse<S: Store>(&mut self, txn_id: TxnId, abort: Abort, step: &mut Step<'_, S>) {
        let Some(registered) = self.registry.get(txn_id) else { return };
        match &registered.role {
            Role::Turn { request, .. } => {
                let request = *request;
                let response = crate::effect::Response::Aborted(abort);
                self.deregister(txn_id);
                step.out.push(Effect::Reply { request, response });
            }
            Role::Participant { home } => {
                let home = *home;
                self.put_answer(txn_id, home, LogPosition::NONE, Answer::Refused(abort), step);
            }
            Role::Home(_) => self.abort(txn_id, abort, LogPosition::NONE, step),
        }
    }
}
