//! Keys, and the order of versions of every list.
//!
//! A list only grows at its end, so every read of it is the beginning of one sequence: the order of its versions. The longest read so far is kept; another is compared
//! with it when it arrives, and from then on is a number of versions. A read that is no beginning of the longest, nor the other way round, cannot be explained by any order.
//! Cost: 8 bytes a version that was seen and 4 for its writer, and about a hundred a key.

use crate::packed::NONE;

/// In [`Key::writers`]: the writer wrote on after this version, so others may not see it as the last.
const INTERMEDIATE: u32 = 1 << 31;

/// How a key is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nobody used it yet.
    Unused,
    /// Appends and whole reads.
    List,
    /// Writes and reads.
    Register,
}

/// What the transaction being fed did to a key; void when `by` is another.
#[derive(Clone, Copy, Debug)]
pub struct Touch {
    /// Which transaction.
    pub by: u32,
    /// How many writes so far.
    pub writes: u32,
    /// What it saw of others: versions of a list, or a register's value.
    pub seen: Option<u64>,
    /// Whether it saw a register without a value.
    pub seen_nil: bool,
    /// Its last write to a register.
    pub wrote: u64,
}

impl Touch {
    /// Nothing yet.
    pub fn by(transaction: u32) -> Touch {
        Touch { by: transaction, writes: 0, seen: None, seen_nil: false, wrote: 0 }
    }
}

/// Everything known of one key.
pub struct Key {
    /// As the history calls it.
    pub name: u64,
    /// How it is used.
    pub shape: Shape,
    /// The versions that were seen, oldest first.
    pub longest: Vec<u64>,
    /// Who read them all.
    pub longest_reader: u32,
    /// Who wrote them; as long as `longest` once resolved.
    writers: Vec<u32>,
    /// When the latest read of it was invoked, and by whom.
    pub last_read: (u64, u32),
    /// What the transaction being fed did.
    pub touch: Touch,
    /// Versions of windows judged before, which are not in `longest`; online only.
    pub settled: u64,
    settled_hash: u64,
}

impl Key {
    /// Not yet used.
    pub fn new(name: u64) -> Key {
        Key {
            name,
            shape: Shape::Unused,
            longest: Vec::new(),
            longest_reader: NONE,
            writers: Vec::new(),
            last_read: (0, NONE),
            touch: Touch::by(NONE),
            settled: 0,
            settled_hash: 0,
        }
    }

    /// What this transaction did to it so far.
    pub fn touched_by(&mut self, transaction: u32) -> &mut Touch {
        if self.touch.by != transaction {
            self.touch = Touch::by(transaction);
        }
        &mut self.touch
    }

    /// How many versions have their writer.
    pub fn resolved(&self) -> usize {
        self.writers.len()
    }

    /// The writer of a version; none if nobody wrote it who may have.
    pub fn writer(&self, version: usize) -> Option<u32> {
        let writer = self.writers[version];
        (writer != NONE).then_some(writer & !INTERMEDIATE)
    }

    /// The writer of a version if it wrote on after it.
    pub fn wrote_on(&self, version: usize) -> Option<u32> {
        let writer = self.writers[version];
        (writer != NONE && writer & INTERMEDIATE != 0).then_some(writer & !INTERMEDIATE)
    }

    /// The last version's writer.
    pub fn last_writer(&self) -> Option<u32> {
        (0..self.writers.len()).rev().find_map(|version| self.writer(version))
    }

    /// Names the writer of the next version without one.
    pub fn resolve(&mut self, writer: Option<(u32, bool)>) {
        self.writers.push(match writer {
            Some((writer, true)) => writer | INTERMEDIATE,
            Some((writer, false)) => writer,
            None => NONE,
        });
    }

    /// Whether values begin with all settled versions.
    pub fn begins_settled(&self, values: &[u64]) -> bool {
        fold(0, &values[..self.settled as usize]) == self.settled_hash
    }

    /// Makes the versions seen so far settled: from now on every read must begin with them. They are kept as their number and a hash of 64 bits.
    pub fn settle(&mut self) {
        self.settled_hash = fold(self.settled_hash, &self.longest);
        self.settled += self.longest.len() as u64;
        self.longest.clear();
        self.writers.clear();
        self.longest_reader = NONE;
        self.last_read = (0, NONE);
        self.touch = Touch::by(NONE);
    }
}

fn fold(hash: u64, values: &[u64]) -> u64 {
    values.iter().fold(hash, |hash, value| {
        let mixed = (hash.rotate_left(23) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed ^ (mixed >> 29)).wrapping_add(0xD6E8_FEB8_6659_FD93)
    })
}
