//! The black box while the history goes on, in bounded memory.
//!
//! At a *quiescent point* no transaction is open, so all before it come before all after it in real time. If in addition every acknowledged append was seen by somebody, the past is
//! one order of versions for every list and nothing later can change how it is judged: the window is judged and forgotten, and of each list remain the number of its versions and a hash of
//! them, with which every later read must begin. Unknown transactions that nobody saw are carried on, since they may still take effect, but without their reads: such a one may have taken
//! effect before the point, with nobody reading its lists since, and its reads are then of a past that is forgotten. Registers are refused: their last value is not known at such a point.
//!
//! A caller pauses its clients now and then, reads the lists that [`Settled::Waiting`] names, and goes on. What is lost against the judge of the whole: the transactions before the point are no
//! longer shown in reports, the reads of unknown ones that are seen windows later are not judged, and a value of a failed transaction that shows up windows later, or a settled one that shows up again, is
//! reported as a phantom. Memory: the window, some 200 bytes a list, and the unknown.

use super::Judge;
use crate::anomaly::Verdict;
use crate::error::HistoryError;
use crate::generate::is_write;
use crate::history::{Operation, Outcome, Transaction};
use crate::mutants;
use crate::packed::{Act, NONE, Standing};

/// What may be held at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Transactions between two points that settle.
    pub window: usize,
    /// Unknown transactions that nobody saw.
    pub doubtful: usize,
    /// Lists.
    pub keys: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { window: 1 << 20, doubtful: 1 << 16, keys: 1 << 20 }
    }
}

/// What came of a quiescent point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The window is judged and forgotten.
    Judged,
    /// Acknowledged appends to these lists were not seen yet; read them and come again.
    Waiting {
        /// Some of the lists, by number.
        unread: Vec<u64>,
    },
}

/// Lists named by one [`Settled::Waiting`].
const UNREAD_NAMED: usize = 4096;

/// Judges a history that goes on.
pub struct Online {
    judge: Judge,
    bounds: Bounds,
}

impl Online {
    /// With an empty history.
    pub fn new(bounds: Bounds) -> Online {
        Online { judge: Judge::new(), bounds }
    }

    /// Adds a transaction.
    ///
    /// # Errors
    /// As [`Judge::feed`]; registers; more than the bounds.
    pub fn feed(&mut self, transaction: &Transaction) -> Result<(), HistoryError> {
        let register = |operation: &&Operation| {
            matches!(operation, Operation::Read { .. } | Operation::Write { .. })
        };
        if transaction.operations.iter().any(|operation| register(&operation)) {
            let operation = "register";
            return Err(HistoryError::NotJudged {
                operation,
                instead: "lists, or the whole judge",
            });
        }
        let bound = self.bounds.window;
        if self.judge.columns.len() >= bound {
            return Err(HistoryError::TooMany { of: "transactions before a point settles", bound });
        }
        let bound = self.bounds.doubtful;
        if transaction.outcome == Outcome::Unknown && self.judge.doubtful.len() >= bound {
            return Err(HistoryError::TooMany { of: "unknown transactions", bound });
        }
        self.judge.feed(transaction)?;
        let bound = self.bounds.keys;
        if self.judge.keys.len() > bound {
            return Err(HistoryError::TooMany { of: "lists", bound });
        }
        Ok(())
    }

    /// Says that no transaction is open: those fed have ended, and later ones will be invoked later.
    ///
    /// # Errors
    /// As [`Judge::finish`].
    pub fn quiescent(&mut self) -> Result<Settled, HistoryError> {
        self.judge.resolve();
        let unread = self.judge.unread();
        if !unread.is_empty() {
            return Ok(Settled::Waiting { unread });
        }
        self.judge.judge_window()?;
        self.judge.forget_window()?;
        Ok(Settled::Judged)
    }

    /// What was found so far.
    pub fn so_far(&self) -> &Verdict {
        &self.judge.verdict
    }

    /// The end of the history.
    ///
    /// # Errors
    /// As [`Judge::finish`].
    pub fn finish(self) -> Result<Verdict, HistoryError> {
        self.judge.finish()
    }
}

impl Judge {
    /// Lists with appends that took effect and that nobody saw.
    fn unread(&self) -> Vec<u64> {
        let mut unread = Vec::new();
        for number in self.columns.effective() {
            let open = self.columns.of(number).iter();
            let open = open.filter(|step| step.act() == Act::Append && step.place == NONE);
            unread.extend(open.map(|step| self.keys[step.key() as usize].name));
        }
        unread.sort_unstable();
        unread.dedup();
        unread.truncate(UNREAD_NAMED);
        unread
    }

    fn forget_window(&mut self) -> Result<(), HistoryError> {
        let doubtful = |standing: &Standing| *standing == Standing::Doubtful;
        let carried = self.columns.standing.iter().filter(|standing| doubtful(standing)).count();
        self.first_number += (self.columns.len() - carried) as u64;
        self.columns.clear();
        self.writers.clear();
        self.keys.iter_mut().for_each(crate::keys::Key::settle);
        for (_number, mut transaction) in std::mem::take(&mut self.doubtful) {
            if !mutants::live(mutants::CARRIED_READS_KEPT) {
                transaction.operations.retain(is_write);
            }
            self.feed(&transaction)?;
        }
        Ok(())
    }
}
