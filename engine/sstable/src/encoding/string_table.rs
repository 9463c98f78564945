//! A hash table from strings to their position in a dictionary. The strings live in the dictionary; the table holds positions only.
//!
//! Open addressing with a fixed hash (XXH3, seed zero), so that the same strings give the same table everywhere.

use crate::column::ByteArray;
use alloc::vec;
use alloc::vec::Vec;
use xxhash_rust::xxh3::xxh3_64;

/// Positions of the strings of one dictionary, plus one; zero is an empty slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct StringTable {
    slots: Vec<u32>,
    used: usize,
}

impl StringTable {
    /// The position of `string` in `dictionary`, after appending it if it is not there.
    pub(crate) fn find_or_push(&mut self, dictionary: &mut ByteArray, string: &[u8]) -> u32 {
        if self.used != dictionary.len() || self.slots.len() < 2 * (self.used + 1) {
            self.rebuild(dictionary);
        }
        let slot = self.slot_of(dictionary, string);
        match self.slots[slot] {
            0 => {
                dictionary.push(string);
                self.used += 1;
                self.slots[slot] = self.used as u32;
                self.used as u32 - 1
            }
            position => position - 1,
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.used = 0;
    }

    fn slot_of(&self, dictionary: &ByteArray, string: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = xxh3_64(string) as usize & mask;
        while self.slots[slot] != 0 && dictionary.get(self.slots[slot] as usize - 1) != string {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn rebuild(&mut self, dictionary: &ByteArray) {
        self.slots = vec![0; (4 * (dictionary.len() + 8)).next_power_of_two()];
        self.used = dictionary.len();
        for (position, string) in dictionary.iter().enumerate() {
            let slot = self.slot_of(dictionary, string);
            self.slots[slot] = position as u32 + 1;
        }
    }
}
