//! A history in memory: columns of transactions and one array of operations, 16 bytes each, without the lists that were read.
//!
//! A read of a list is kept as the number of versions it saw, since all reads of one list that agree begin alike; `keys.rs` keeps the longest. Transactions are numbered in
//! the order in which they were fed. Cost: 25 bytes a transaction and 16 an operation.

use crate::error::HistoryError;
use crate::history::{Outcome, Transaction};

/// No transaction, no place: also a read that is not used, because it was not answered or contradicts others.
pub const NONE: u32 = u32::MAX;
/// In [`Step::place`] of a register read: it saw no value.
pub const NIL: u32 = u32::MAX - 1;
/// Transactions and keys have numbers below this; `keys.rs` needs the bit.
pub const NUMBERS: u32 = 1 << 30;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Act {
    /// `value`; `place` is its version in the order of its list, or [`NONE`] while nobody saw it.
    Append,
    /// `value` is the number of versions that it saw of others, `place` of its own; [`NONE`] if it is not used.
    List,
    /// `value`.
    Write,
    /// `value`; `place` is who wrote it, [`NIL`], or [`NONE`].
    Read,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// By [`Act`].
    pub value: u64,
    /// By [`Act`].
    pub place: u32,
    act_and_key: u32,
}

impl Step {
    /// On a numbered key.
    pub fn new(act: Act, key: u32, value: u64) -> Step {
        Step { value, place: NONE, act_and_key: key << 2 | act as u32 }
    }

    /// What it does.
    pub fn act(self) -> Act {
        match self.act_and_key & 3 {
            0 => Act::Append,
            1 => Act::List,
            2 => Act::Write,
            _ => Act::Read,
        }
    }

    /// The key's number.
    pub fn key(self) -> u32 {
        self.act_and_key >> 2
    }
}

const _: () = assert!(size_of::<Step>() == 16);

/// What is known of a transaction's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Acknowledged.
    Committed,
    /// Refused for certain.
    Failed,
    /// Nobody said, and nobody saw it.
    Doubtful,
    /// Nobody said, but what it wrote was seen.
    Seen,
}

impl Standing {
    /// Whether it has a place in the order.
    pub fn took_effect(self) -> bool {
        matches!(self, Standing::Committed | Standing::Seen)
    }
}

/// All transactions.
pub struct Columns {
    /// When each was invoked.
    pub invoked: Vec<u64>,
    /// When each completed.
    pub completed: Vec<u64>,
    /// Who asked.
    pub process: Vec<u32>,
    /// How each ended.
    pub standing: Vec<Standing>,
    first: Vec<u32>,
    /// All operations, by transaction.
    pub steps: Vec<Step>,
}

impl Columns {
    /// None yet.
    pub fn new() -> Columns {
        Columns {
            invoked: Vec::new(),
            completed: Vec::new(),
            process: Vec::new(),
            standing: Vec::new(),
            first: vec![0],
            steps: Vec::new(),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.invoked.len()
    }

    /// Adds one whose steps follow by [`Columns::seal`]; gives its number.
    ///
    /// # Errors
    /// If it completed before it began, or there are too many.
    pub fn open(&mut self, transaction: &Transaction) -> Result<u32, HistoryError> {
        if transaction.completed < transaction.invoked {
            return Err(HistoryError::Backwards {
                invoked: transaction.invoked,
                completed: transaction.completed,
            });
        }
        let number = u32::try_from(self.len()).ok().filter(|number| *number < NUMBERS);
        let bound = NUMBERS as usize;
        let number = number.ok_or(HistoryError::TooMany { of: "transactions", bound })?;
        self.invoked.push(transaction.invoked);
        self.completed.push(transaction.completed);
        self.process.push(transaction.process);
        self.standing.push(match transaction.outcome {
            Outcome::Committed => Standing::Committed,
            Outcome::Failed => Standing::Failed,
            Outcome::Unknown => Standing::Doubtful,
        });
        Ok(number)
    }

    /// The steps pushed since belong to the transaction opened last.
    ///
    /// # Errors
    /// If there are too many.
    pub fn seal(&mut self) -> Result<(), HistoryError> {
        let bound = u32::MAX as usize;
        let end = u32::try_from(self.steps.len())
            .map_err(|_more| HistoryError::TooMany { of: "operations", bound })?;
        self.first.push(end);
        Ok(())
    }

    /// Where the steps of a transaction are.
    pub fn range(&self, transaction: u32) -> std::ops::Range<usize> {
        let at = transaction as usize;
        self.first[at] as usize..self.first[at + 1] as usize
    }

    /// The steps of a transaction.
    pub fn of(&self, transaction: u32) -> &[Step] {
        &self.steps[self.range(transaction)]
    }

    /// Transactions with a place in the order.
    pub fn effective(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len() as u32).filter(|number| self.standing[*number as usize].took_effect())
    }

    /// Forgets all and keeps the memory.
    pub fn clear(&mut self) {
        self.invoked.clear();
        self.completed.clear();
        self.process.clear();
        self.standing.clear();
        self.first.truncate(1);
        self.steps.clear();
    }
}
