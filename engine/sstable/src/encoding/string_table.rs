//! A hash table from strings to their position in a dictionary. The strings live in the dictionary; the table holds positions only.
//!
//! It also remembers the page before: sorted dictionaries of neighbouring pages are often the same bytes, and then nothing is looked up.
//! Open addressing with a fixed hash (XXH3, seed zero), so that the same strings give the same table everywhere.

use crate::column::{ByteArray, DictionaryArray};
use alloc::vec;
use alloc::vec::Vec;
use xxhash_rust::xxh3::xxh3_64;

/// Positions of the strings of one dictionary, plus one; zero is an empty slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct StringTable {
    slots: Vec<u32>,
    used: usize,
    /// The distinct strings of the page before, as they lay there, and the dictionary's code for each.
    latest: Vec<u8>,
    latest_codes: Vec<i32>,
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
        self.latest.clear();
        self.latest_codes.clear();
    }

    /// The dictionary's code for each string of a page; strings that it lacks are appended.
    pub(crate) fn codes_of(&mut self, array: &mut DictionaryArray, page: &ByteArray) -> &[i32] {
        self.latest.clear();
        self.latest_codes.clear();
        for string in page.iter() {
            let code = self.find_or_push(&mut array.dictionary, string) as i32;
            self.latest_codes.push(code);
        }
        &self.latest_codes
    }

    /// Whether these are the distinct strings of the page before.
    pub(crate) fn is_latest(&self, section: &[u8]) -> bool {
        !self.latest.is_empty() && self.latest == section
    }

    /// Remembers how the strings lay for which [`StringTable::codes_of`] was asked last.
    pub(crate) fn set_latest(&mut self, section: &[u8]) {
        self.latest.extend_from_slice(section);
    }

    /// Replaces a page's codes by the dictionary's. Nothing if one is beyond the page's strings.
    pub(crate) fn translate(&self, codes: &mut [i32]) -> Option<()> {
        let highest = codes.iter().fold(0, |highest, code| highest.max(*code as u32));
        if !codes.is_empty() && highest as usize >= self.latest_codes.len() {
            return None;
        }
        if self.latest_codes.iter().enumerate().all(|(own, code)| own as i32 == *code) {
            return Some(());
        }
        for code in codes {
            *code = self.latest_codes[*code as usize];
        }
        Some(())
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
