//! What clients ask for: transactions of reads, appends and writes over few hot keys.
//!
//! Values are unique because each client has a range of its own; lists are replaced by fresh ones when they have had so many appends, which keeps reads short. Shared by all
//! clients without a lock: a list's place holds its key, and the append that fills it puts the next key there.

use crate::history::Operation;
use crate::random::Random;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether some of the keys are registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registers {
    /// All are lists.
    None,
    /// All are registers; every write follows a read of the same key in its transaction, so that each version names the one before.
    ReadThenWrite,
}

/// Values of one client are its number and multiples of this above it, so that they stay short.
const CLIENTS: u64 = 1_000;

struct Place {
    key: AtomicU64,
    appends: AtomicU64,
}

/// A source of plans.
pub struct Workload {
    registers: Registers,
    operations: u64,
    values_of_list: u64,
    first_key: u64,
    places: Vec<Place>,
    next_key: AtomicU64,
}

impl Workload {
    /// Over so many keys at a time, beginning with a number, transactions of at most so many operations.
    pub fn new(registers: Registers, first_key: u64, keys: u64, operations: u64) -> Workload {
        let places = (first_key..first_key + keys)
            .map(|key| Place { key: AtomicU64::new(key), appends: AtomicU64::new(0) })
            .collect();
        Workload {
            registers,
            operations,
            values_of_list: 64,
            first_key,
            places,
            next_key: AtomicU64::new(first_key + keys),
        }
    }

    /// The value before a client's first.
    ///
    /// # Panics
    /// From the thousandth client on.
    pub fn values_of(&self, client: u32) -> u64 {
        let client = u64::from(client);
        assert!(client < CLIENTS, "so many values are told apart");
        client
    }

    /// Every list used so far.
    pub fn lists(&self) -> Vec<u64> {
        match self.registers {
            Registers::None => (self.first_key..self.next_key.load(Ordering::Relaxed)).collect(),
            Registers::ReadThenWrite => Vec::new(),
        }
    }

    /// The next transaction of a client.
    pub fn plan(&self, random: &mut Random, values: &mut u64) -> Vec<Operation> {
        let count = 1 + random.below(self.operations);
        let mut plan = Vec::with_capacity(2 * count as usize);
        for _ in 0..count {
            let place = random.pick(&self.places);
            let key = place.key.load(Ordering::Relaxed);
            let writes = random.permille(500);
            if writes {
                *values += CLIENTS;
            }
            match (self.registers, writes) {
                (Registers::None, false) => plan.push(Operation::List { key, values: vec![] }),
                (Registers::None, true) => {
                    plan.push(Operation::Append { key, value: *values });
                    self.appended(place);
                }
                (Registers::ReadThenWrite, false) => {
                    plan.push(Operation::Read { key, value: None });
                }
                (Registers::ReadThenWrite, true) => {
                    plan.push(Operation::Read { key, value: None });
                    plan.push(Operation::Write { key, value: *values });
                }
            }
        }
        plan
    }

    fn appended(&self, place: &Place) {
        if place.appends.fetch_add(1, Ordering::Relaxed) + 1 == self.values_of_list {
            place.appends.store(0, Ordering::Relaxed);
            let key = self.next_key.fetch_add(1, Ordering::Relaxed);
            place.key.store(key, Ordering::Relaxed);
        }
    }
}
