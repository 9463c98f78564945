//! Drives real clients against a site and records what they asked and were told.
//!
//! A [`Site`] gives connections, a [`Client`] runs one transaction; the recorder does the rest: one thread a client, a plan from a [`Workload`], monotonic nanoseconds around each
//! transaction, and every finished one to the caller, who judges it or stops. What makes the history worth judging:
//!
//! - the clock is read before the first byte is sent and after the last is received, of one machine;
//! - a lost connection, once the commit may have been sent, is [`Outcome::Unknown`], never a failure; the client goes on under a new process number, since the old one's transaction may still be
//!   open to take effect;
//! - so is one that was not answered within the caller's patience;
//! - a failed transaction is never sent again under the same values: the next plan has its own;
//! - at the end one client reads every list, so that no acknowledged append stays unread.
//!
//! Attempts to connect and failures in a row are bounded by the [`Policy`]; the queue to the caller too.

mod connection;
#[cfg(feature = "postgres")]
pub mod postgres;
mod workload;

use crate::history::{Operation, Outcome, Transaction};
use crate::random::Random;
use connection::Connection;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

pub use workload::{Registers, Workload};

/// How a transaction ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Acknowledged, with the timestamp at which it executed where the site tells it.
    Committed {
        /// For the replay.
        execute_at: Option<u128>,
    },
    /// A definite error; the connection is fit for the next.
    Failed,
    /// A definite error, and the connection is gone.
    FailedAndLost,
    /// No answer; the connection is gone.
    Unknown,
}

/// One connection.
pub trait Client {
    /// Runs the planned operations as one transaction. Into `done` goes every write before it is sent and every read with its answer, in program order.
    fn run(&mut self, planned: &[Operation], done: &mut Vec<Operation>) -> Ended;
}

/// What is under test: a server, or several.
pub trait Site: Sync {
    /// Its connections. Each lives in a thread of its own, which may outlive the recording.
    type Client: Client + Send + 'static;
    /// Why there was none.
    type Error: fmt::Display;

    /// A connection for a process; a site of several nodes chooses one by the number.
    ///
    /// # Errors
    /// If there is none now; the recorder tries again as the [`Policy`] says.
    fn connect(&self, process: u32) -> Result<Self::Client, Self::Error>;
}

/// How many clients, and how patient.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Clients at once.
    pub clients: u32,
    /// Transactions of each at most, failures included.
    pub transactions: u64,
    /// When no new transaction is begun any more.
    pub lasts: Duration,
    /// How long a transaction may take before its connection is given up and its outcome unknown.
    pub patience: Duration,
    /// Attempts to connect before a client gives up.
    pub connects: u32,
    /// Between two attempts to connect.
    pub pause: Duration,
    /// Failures in a row before a client gives up.
    pub failures: u32,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            clients: 8,
            transactions: 1_000,
            lasts: Duration::from_secs(60),
            patience: Duration::from_secs(10),
            connects: 100,
            pause: Duration::from_millis(50),
            failures: 1_000,
        }
    }
}

/// Why a recording did not come to its end. What was recorded until then is with the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// A client found nobody to talk to.
    NoConnection {
        /// Its number.
        process: u32,
        /// The last attempt's error.
        error: String,
    },
    /// A client only ever failed.
    OnlyFailures {
        /// Its number.
        process: u32,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::NoConnection { process, error } => {
                write!(out, "process {process} cannot connect: {error}")
            }
            RecordError::OnlyFailures { process } => {
                write!(
                    out,
                    "process {process} fails every time; look at the site, or raise Policy::failures"
                )
            }
        }
    }
}

impl std::error::Error for RecordError {}

/// Transactions on their way to the caller.
const QUEUE: usize = 4_096;
/// Lists that the final read takes in one transaction.
const LISTS_A_READ: usize = 64;

struct Recorder<'a, S: Site> {
    site: &'a S,
    workload: &'a Workload,
    policy: &'a Policy,
    began: Instant,
    stop: AtomicBool,
    next_process: AtomicU32,
}

/// Records until every client is done, or the caller breaks off; then reads every list. `each` gets every transaction at its end.
///
/// # Errors
/// If a client gives up.
pub fn record<S: Site>(
    site: &S,
    workload: &Workload,
    policy: &Policy,
    seed: u64,
    mut each: impl FnMut(Transaction) -> ControlFlow<()>,
) -> Result<(), RecordError> {
    let recorder = Recorder {
        site,
        workload,
        policy,
        began: Instant::now(),
        stop: AtomicBool::new(false),
        next_process: AtomicU32::new(policy.clients),
    };
    let broke_off = thread::scope(|scope| {
        let (queue, arriving) = sync_channel(QUEUE);
        let clients: Vec<_> = (0..policy.clients)
            .map(|process| {
                let (recorder, queue) = (&recorder, queue.clone());
                let random = Random::new(seed ^ u64::from(process).wrapping_mul(0x9E37_79B9));
                scope.spawn(move || recorder.client(process, random, &queue))
            })
            .collect();
        drop(queue);
        let mut broke_off = false;
        for transaction in arriving {
            if !broke_off && each(transaction).is_break() {
                broke_off = true;
                recorder.stop.store(true, Ordering::Relaxed);
            }
        }
        let ends =
            clients.into_iter().map(|client| client.join().expect("a client does not panic"));
        ends.collect::<Result<Vec<()>, RecordError>>().map(|_all| broke_off)
    })?;
    if broke_off { Ok(()) } else { recorder.final_reads(&mut each) }
}

impl<S: Site> Recorder<'_, S> {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn connect(&self, process: u32) -> Result<Connection, RecordError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.site.connect(process) {
                Ok(client) => return Ok(Connection::new(client)),
                Err(error) if attempts >= self.policy.connects => {
                    return Err(RecordError::NoConnection { process, error: error.to_string() });
                }
                Err(_again) => thread::park_timeout(self.policy.pause),
            }
        }
    }

    fn once(
        &self,
        connection: &Connection,
        process: u32,
        plan: &[Operation],
    ) -> (Transaction, Ended) {
        let invoked = self.now();
        let (operations, ended) = connection.run(plan, self.policy.patience);
        let completed = self.now();
        let (outcome, execute_at) = match ended {
            Ended::Committed { execute_at } => (Outcome::Committed, execute_at),
            Ended::Failed | Ended::FailedAndLost => (Outcome::Failed, None),
            Ended::Unknown => (Outcome::Unknown, None),
        };
        let transaction =
            Transaction { process, invoked, completed, outcome, execute_at, operations };
        (transaction, ended)
    }

    fn client(
        &self,
        mut process: u32,
        mut random: Random,
        queue: &SyncSender<Transaction>,
    ) -> Result<(), RecordError> {
        let mut values = self.workload.values_of(process);
        let mut connection = self.connect(process)?;
        let mut failures = 0;
        for _ in 0..self.policy.transactions {
            if self.stop.load(Ordering::Relaxed) || self.began.elapsed() >= self.policy.lasts {
                break;
            }
            let plan = self.workload.plan(&mut random, &mut values);
            let (transaction, ended) = self.once(&connection, process, &plan);
            // The caller is gone only when its thread panicked, which the scope reports.
            let _gone = queue.send(transaction);
            failures = match ended {
                Ended::Committed { .. } => 0,
                _ => failures + 1,
            };
            if failures >= self.policy.failures {
                return Err(RecordError::OnlyFailures { process });
            }
            if matches!(ended, Ended::Unknown | Ended::FailedAndLost) {
                process = self.next_process.fetch_add(1, Ordering::Relaxed);
                connection = self.connect(process)?;
            }
        }
        Ok(())
    }

    /// Every list is read once by a transaction that commits.
    fn final_reads(
        &self,
        each: &mut impl FnMut(Transaction) -> ControlFlow<()>,
    ) -> Result<(), RecordError> {
        let mut process = self.next_process.fetch_add(1, Ordering::Relaxed);
        let mut connection = self.connect(process)?;
        for keys in self.workload.lists().chunks(LISTS_A_READ) {
            let plan: Vec<Operation> =
                keys.iter().map(|key| Operation::List { key: *key, values: Vec::new() }).collect();
            let mut failures = 0;
            loop {
                let (transaction, ended) = self.once(&connection, process, &plan);
                let goes_on = each(transaction);
                if goes_on.is_break() {
                    return Ok(());
                }
                if matches!(ended, Ended::Committed { .. }) {
                    break;
                }
                failures += 1;
                if failures >= self.policy.failures {
                    return Err(RecordError::OnlyFailures { process });
                }
                if ended != Ended::Failed {
                    process = self.next_process.fetch_add(1, Ordering::Relaxed);
                    connection = self.connect(process)?;
                }
            }
        }
        Ok(())
    }
}
