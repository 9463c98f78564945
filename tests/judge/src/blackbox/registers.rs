//! What registers with unique values say cheaply. Their versions have no order that reads reveal, so only these are used:
//!
//! 1. who wrote what a transaction read;
//! 2. a transaction that reads a version and replaces it follows that version at once, so other readers of the version come before it, and two such contradict each other;
//! 3. whoever saw no value comes before every write;
//! 4. in real time: a write that began after another had ended replaced it, so readers of the other come before it. `Suffix` nodes stand for "every write invoked from here on".
//!
//! Not used: that a blind write falls before the version or after its readers, which is a choice and not an edge.

use crate::graph::{Label, Sink};
use crate::keys::{Key, Shape};
use crate::packed::{Act, Columns, NIL, NONE, Standing};

/// A read from outside, of a version or of nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    key: u32,
    /// Who wrote it, or [`NIL`].
    writer: u32,
    by: u32,
}

/// A transaction that writes a register.
#[derive(Clone, Copy)]
struct Written {
    key: u32,
    invoked: u64,
    by: u32,
}

/// The edges of registers.
pub struct Registers<'a> {
    columns: &'a Columns,
    /// Number of the first virtual node: two for each key of `nothing`, then one a write.
    pub first_node: u32,
    reads: Vec<Seen>,
    /// The reads whose transaction also writes the key.
    replaces: Vec<Seen>,
    /// Keys that somebody saw without a value.
    nothing: Vec<u32>,
    /// By key, then time.
    writes: Vec<Written>,
    /// For each of `writes`: which of the key's from there on completed first.
    earliest: Vec<u32>,
}

impl<'a> Registers<'a> {
    /// Collects reads and writes.
    pub fn new(columns: &'a Columns, keys: &[Key]) -> Registers<'a> {
        let mut registers = Registers {
            columns,
            first_node: 0,
            reads: Vec::new(),
            replaces: Vec::new(),
            nothing: Vec::new(),
            writes: Vec::new(),
            earliest: Vec::new(),
        };
        if keys.iter().any(|key| key.shape == Shape::Register) {
            registers.collect();
        }
        registers
    }

    fn collect(&mut self) {
        for by in self.columns.effective() {
            for step in self.columns.of(by) {
                let key = step.key();
                if step.act() == Act::Read && step.place != NONE {
                    self.reads.push(Seen { key, writer: step.place, by });
                } else if step.act() == Act::Write {
                    let invoked = self.columns.invoked[by as usize];
                    self.writes.push(Written { key, invoked, by });
                }
            }
        }
        self.reads.sort_unstable();
        self.reads.dedup();
        self.writes.sort_by_key(|write| (write.key, write.invoked, write.by));
        self.writes.dedup_by_key(|write| (write.key, write.by));
        let mut writers: Vec<(u32, u32)> =
            self.writes.iter().map(|write| (write.key, write.by)).collect();
        writers.sort_unstable();
        let replaces = |read: &&Seen| writers.binary_search(&(read.key, read.by)).is_ok();
        self.replaces = self.reads.iter().filter(replaces).copied().collect();
        self.nothing =
            self.reads.iter().filter(|read| read.writer == NIL).map(|read| read.key).collect();
        self.nothing.dedup();
        self.earliest = vec![NONE; self.writes.len()];
        for at in (0..self.writes.len()).rev() {
            let here = self.writes[at];
            let same_key = self.writes.get(at + 1).is_some_and(|next| next.key == here.key);
            let later = if same_key { self.earliest[at + 1] } else { NONE };
            let first = later == NONE || self.end_of(here.by) < self.end_of(later);
            self.earliest[at] = if first { here.by } else { later };
        }
    }

    /// When a transaction was over for certain.
    fn end_of(&self, number: u32) -> u64 {
        match self.columns.standing[number as usize] {
            Standing::Committed => self.columns.completed[number as usize],
            _ => u64::MAX,
        }
    }

    /// How many virtual nodes.
    pub fn nodes(&self) -> usize {
        2 * self.nothing.len() + self.writes.len()
    }

    fn suffix(&self, at: usize) -> u32 {
        self.first_node + 2 * self.nothing.len() as u32 + at as u32
    }

    fn of_key(&self, key: u32) -> std::ops::Range<usize> {
        self.writes.partition_point(|write| write.key < key)
            ..self.writes.partition_point(|write| write.key <= key)
    }

    /// Who replaces what these readers saw.
    fn replacing(&self, key: u32, writer: u32) -> &[Seen] {
        let begin = self.replaces.partition_point(|seen| (seen.key, seen.writer) < (key, writer));
        let end = self.replaces.partition_point(|seen| (seen.key, seen.writer) <= (key, writer));
        &self.replaces[begin..end]
    }

    /// All edges.
    pub fn enumerate(&self, sink: Sink<'_>) {
        for group in self.replaces.chunk_by(|a, b| (a.key, a.writer) == (b.key, b.writer)) {
            for (place, seen) in group.iter().enumerate() {
                // Of two that replace one version, one replaced the other's write without having seen it. Which of them is not known, and is all the same.
                let next = group[(place + 1) % group.len()];
                let label = if next.by > seen.by { Label::WriteWrite } else { Label::ReadWrite };
                if next.by != seen.by {
                    sink(seen.by, next.by, label);
                }
            }
        }
        for (index, key) in self.nothing.iter().enumerate() {
            self.nothing_seen(index, *key, sink);
        }
        for at in 0..self.writes.len() {
            sink(self.suffix(at), self.writes[at].by, Label::Via);
            if self.writes.get(at + 1).is_some_and(|next| next.key == self.writes[at].key) {
                sink(self.suffix(at), self.suffix(at + 1), Label::Via);
            }
        }
        for seen in self.reads.iter().filter(|seen| seen.writer != NIL) {
            sink(seen.writer, seen.by, Label::WriteRead);
            let replacing = self.replacing(seen.key, seen.writer);
            if let Some(next) = replacing.first()
                && replacing.iter().all(|next| next.by != seen.by)
            {
                sink(seen.by, next.by, Label::ReadWrite);
            }
            self.replaced_later(*seen, sink);
        }
    }

    /// From those who saw no value to every write of the key.
    fn nothing_seen(&self, index: usize, key: u32, sink: Sink<'_>) {
        let all = self.first_node + 2 * index as u32;
        let others = all + 1;
        let insiders = self.replacing(key, NIL);
        sink(all, others, Label::Via);
        for write in &self.writes[self.of_key(key)] {
            let inside = insiders.iter().any(|seen| seen.by == write.by);
            sink(if inside { all } else { others }, write.by, Label::Via);
        }
        let begin = self.reads.partition_point(|seen| (seen.key, seen.writer) < (key, NIL));
        for seen in self.reads[begin..].iter().take_while(|seen| seen.key == key) {
            let inside = insiders.iter().any(|other| other.by == seen.by);
            sink(seen.by, if inside { others } else { all }, Label::ReadWrite);
        }
    }

    /// From a reader to the writes that began after the version's writer had ended.
    fn replaced_later(&self, seen: Seen, sink: Sink<'_>) {
        let ended = self.end_of(seen.writer);
        let range = self.of_key(seen.key);
        let later = self.writes[range.clone()].partition_point(|write| write.invoked <= ended);
        let mut from = range.start + later;
        if from == range.end {
            return;
        }
        let invoked = self.columns.invoked[seen.by as usize];
        let own = self.writes[range.clone()]
            .binary_search_by_key(&(invoked, seen.by), |write| (write.invoked, write.by));
        if let Ok(own) = own {
            let earliest = self.earliest[from];
            if self.end_of(earliest) < invoked {
                sink(seen.by, earliest, Label::ReadWriteByTime);
            }
            from = from.max(range.start + own + 1);
        }
        if from < range.end {
            sink(seen.by, self.suffix(from), Label::ReadWriteByTime);
        }
    }
}
