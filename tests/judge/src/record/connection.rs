//! A connection in a thread of its own, so that a server that stops answering does not stop the recorder.
//!
//! A client waits for an answer as long as its socket lets it: for a stopped process that is for ever. The recorder waits as long as it has patience, then gives the connection up: the
//! transaction is unknown with every write that was planned, since the abandoned client may still send the rest and commit. Its thread ends when its server answers or its socket closes, so
//! there are at most as many as transactions were given up. Cost: two hand-overs a transaction, outside what the server sees, inside the recorded times, which they can only widen.

use super::{Client, Ended};
use crate::generate::is_write;
use crate::history::Operation;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// A client at work elsewhere.
pub(super) struct Connection {
    plans: SyncSender<Vec<Operation>>,
    answers: Receiver<(Vec<Operation>, Ended)>,
}

impl Connection {
    /// Takes a client into its thread.
    pub(super) fn new<C: Client + Send + 'static>(mut client: C) -> Connection {
        let (plans, planned) = sync_channel::<Vec<Operation>>(1);
        let (answered, answers) = sync_channel(1);
        thread::spawn(move || {
            for plan in planned {
                let mut done = Vec::with_capacity(plan.len());
                let ended = client.run(&plan, &mut done);
                if answered.send((done, ended)).is_err() {
                    return;
                }
            }
        });
        Connection { plans, answers }
    }

    /// Runs one transaction; what was done, and how it ended.
    ///
    /// # Panics
    /// If the client does.
    pub(super) fn run(&self, plan: &[Operation], patience: Duration) -> (Vec<Operation>, Ended) {
        self.plans.send(plan.to_vec()).expect("a client does not panic");
        match self.answers.recv_timeout(patience) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => (
                plan.iter().filter(|operation| is_write(operation)).cloned().collect(),
                Ended::Unknown,
            ),
            Err(RecvTimeoutError::Disconnected) => panic!("a client panicked; its thread says why"),
        }
    }
}
