//! Background jobs: started at a drawn moment, in one piece or step by step.
//!
//! A job is blocking code, so one that is to stop between its steps needs a stack of its own: a thread. It and the world hold a baton in turn, so
//! still only one of them runs at a time and a seed still replays.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use platform::{Background, BlockIo, CancelFlag, Job, JobClass, JobError, JobRefused};

use crate::block_io::SimBlockIo;
use crate::machine::Machine;

/// Nanoseconds before a job begins, and between its steps.
const JOB_START_NANOS: u64 = 200_000;
const JOB_STEP_NANOS: u64 = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    World,
    Job,
    /// The world ends: the job runs on, every operation fails, nobody waits.
    Ending,
    Done,
}

/// Who may run: the world, or the thread of a job.
pub(crate) struct Baton {
    turn: Mutex<Turn>,
    changed: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Baton {
    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, waits: impl Fn(Turn) -> bool) -> Turn {
        let turn = self.lock();
        let turn = self.changed.wait_while(turn, |turn| waits(*turn));
        *turn.unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, turn: Turn) {
        *self.lock() = turn;
        self.changed.notify_all();
    }

    /// Called by the job: lets the world run until it hands the baton back.
    pub(crate) fn hand_to_world(&self) {
        if *self.lock() == Turn::Ending {
            return;
        }
        self.set(Turn::World);
        self.wait_while(|turn| turn == Turn::World);
    }

    /// Called by the world: lets the job run until its next step or its end. True once it has ended.
    fn hand_to_job(&self) -> bool {
        self.set(Turn::Job);
        let done = self.wait_while(|turn| turn == Turn::Job) == Turn::Done;
        if done {
            self.join();
        }
        done
    }

    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.join().expect("a job's panic is caught in the job");
        }
    }

    /// Lets the job run to its end; its disk is closed by now.
    pub(crate) fn end(&self) {
        let mut turn = self.lock();
        if *turn != Turn::Done {
            *turn = Turn::Ending;
            self.changed.notify_all();
        }
        drop(turn);
        self.join();
    }
}

pub(crate) struct SimBackground(pub(crate) Arc<Machine>);

impl Background for SimBackground {
    fn spawn(&self, _class: JobClass, cancel: CancelFlag, job: Job) -> Result<(), JobRefused> {
        let (delay, stepped) = {
            let mut state = self.0.lock();
            if state.frozen {
                return Err(JobRefused { job, reason: JobError::Closed });
            }
            let delay = state.prng.below(JOB_START_NANOS);
            let in_a_hundred = u64::from(state.options.stepped_jobs_percent);
            (state.now + delay, state.prng.below(100) < in_a_hundred)
        };
        self.0.schedule_at(delay, move |machine| {
            if stepped {
                start_thread(machine, cancel, job);
            } else {
                job(&SimBlockIo { machine: machine.clone(), baton: None }, &cancel);
            }
        });
        Ok(())
    }

    fn block_io(&self, _class: JobClass) -> Arc<dyn BlockIo> {
        Arc::new(SimBlockIo { machine: self.0.clone(), baton: None })
    }

    fn adopt_current_thread(&self, _class: JobClass) {}

    fn core_count(&self) -> usize {
        1
    }
}

fn start_thread(machine: &Arc<Machine>, cancel: CancelFlag, job: Job) {
    let baton = Arc::new(Baton {
        turn: Mutex::new(Turn::World),
        changed: Condvar::new(),
        thread: Mutex::new(None),
    });
    let io = SimBlockIo { machine: machine.clone(), baton: Some(baton.clone()) };
    let own = baton.clone();
    let thread = std::thread::spawn(move || {
        own.wait_while(|turn| turn == Turn::World);
        // `run_job` has caught the panic and told the asker; what comes here is the job's own affair.
        let _ = catch_unwind(AssertUnwindSafe(|| job(&io, &cancel)));
        drop(io);
        own.set(Turn::Done);
    });
    *baton.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    machine.lock().batons.push(baton.clone());
    resume(machine, baton);
}

fn resume(machine: &Arc<Machine>, baton: Arc<Baton>) {
    if baton.hand_to_job() {
        machine.lock().batons.retain(|other| !Arc::ptr_eq(other, &baton));
        return;
    }
    let due = machine.now() + machine.draw(JOB_STEP_NANOS);
    machine.schedule_at(due, move |machine| resume(machine, baton));
}
