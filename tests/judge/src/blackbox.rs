//! The black box: judges what clients saw, and nothing else.
//!
//! # How
//! Feeding packs transactions (`packed.rs`) and compares every read of a list with the longest so far (`keys.rs`). At the end every version that was seen finds its writer,
//! which also settles which of the unknown transactions took effect: those of which something was seen, whole. Then edges (`edges.rs`, `registers.rs`): for one list the order
//! of its versions is known, appends that nobody saw come after all that were seen, and real time is a chain of moments. A history of lists is explained by a serial order exactly
//! if the graph has no cycle, since any topological order then gives every read what it saw. For registers with blind writes that is one direction only (deciding it is NP-hard,
//! Papadimitriou 1979): a cycle is an anomaly, no cycle is no proof.
//!
//! # What is not judged
//! Reads of transactions that failed, or that are unknown and were never seen: no promise covers them. That nothing is missing of an unknown transaction nobody saw.
//!
//! # Cost
//! Linear but for two sorts by time. `docs/checker.md` has figures.

mod edges;
mod explain;
mod findings;
mod online;
mod registers;

use crate::anomaly::Verdict;
use crate::cycle;
use crate::error::HistoryError;
use crate::graph::{Graph, Sink};
use crate::history::{Operation, Outcome, Transaction};
use crate::keys::{Key, Shape, Touch};
use crate::mutants;
use crate::packed::{Act, Columns, NIL, NONE, NUMBERS, Standing, Step};
use crate::table::Table;
use edges::Edges;
use std::collections::BTreeMap;

pub use online::{Bounds, Online, Settled};

/// Judges a whole history.
pub struct Judge {
    columns: Columns,
    keys: Vec<Key>,
    key_numbers: Table,
    writers: Table,
    /// Unknown transactions that nobody saw yet, for their reads.
    doubtful: BTreeMap<u32, Transaction>,
    /// Register reads that have not found their writer: transaction and step.
    open_reads: Vec<(u32, u32)>,
    verdict: Verdict,
    /// What to add to a number in the report.
    first_number: u64,
}

impl Default for Judge {
    fn default() -> Judge {
        Judge::new()
    }
}

impl Judge {
    /// With an empty history.
    pub fn new() -> Judge {
        Judge {
            columns: Columns::new(),
            keys: Vec::new(),
            key_numbers: Table::new(),
            writers: Table::new(),
            doubtful: BTreeMap::new(),
            open_reads: Vec::new(),
            verdict: Verdict::default(),
            first_number: 0,
        }
    }

    /// Adds a transaction, in any order.
    ///
    /// # Errors
    /// If the history is not one; the judge is then of no further use.
    pub fn feed(&mut self, transaction: &Transaction) -> Result<(), HistoryError> {
        let number = self.columns.open(transaction)?;
        for operation in &transaction.operations {
            self.pack(number, operation)?;
        }
        self.columns.seal()?;
        match transaction.outcome {
            Outcome::Committed => self.observe(number, transaction),
            Outcome::Unknown => {
                self.doubtful.insert(number, transaction.clone());
            }
            Outcome::Failed => {}
        }
        Ok(())
    }

    /// The end of the history.
    ///
    /// # Errors
    /// If a process had two transactions open.
    pub fn finish(mut self) -> Result<Verdict, HistoryError> {
        self.resolve();
        self.writers = Table::new();
        self.judge_window()?;
        self.verdict.transactions = self.first_number + self.columns.len() as u64;
        Ok(self.verdict)
    }

    fn key_number(&mut self, name: u64) -> Result<u32, HistoryError> {
        if let Some(number) = self.key_numbers.get(0, name) {
            return Ok(number);
        }
        let bound = NUMBERS as usize;
        let number = u32::try_from(self.keys.len()).ok().filter(|number| *number < NUMBERS);
        let number = number.ok_or(HistoryError::TooMany { of: "keys", bound })?;
        self.key_numbers.put(0, name, number);
        self.keys.push(Key::new(name));
        Ok(number)
    }

    /// Stores one operation and its writes; answers are looked at later.
    fn pack(&mut self, number: u32, operation: &Operation) -> Result<(), HistoryError> {
        let (act, shape, name, value) = match operation {
            Operation::Append { key, value } => (Act::Append, Shape::List, *key, *value),
            Operation::List { key, .. } => (Act::List, Shape::List, *key, 0),
            Operation::Write { key, value } => (Act::Write, Shape::Register, *key, *value),
            Operation::Read { key, .. } => (Act::Read, Shape::Register, *key, 0),
            Operation::Delete { .. } => return Err(not_judged("delete")),
            Operation::Scan { .. } => return Err(not_judged("scan")),
            Operation::Count { .. } => return Err(not_judged("count")),
        };
        let key = self.key_number(name)?;
        let known = &mut self.keys[key as usize].shape;
        if *known == Shape::Unused {
            *known = shape;
        }
        if *known != shape {
            return Err(HistoryError::MixedKey { key: name });
        }
        let writes = matches!(act, Act::Append | Act::Write);
        if writes && self.writers.put(key, value, number).is_some() {
            return Err(HistoryError::ValueNotUnique { key: name, value });
        }
        self.columns.steps.push(Step::new(act, key, value));
        Ok(())
    }

    /// Looks at the answers of a transaction that took effect.
    fn observe(&mut self, number: u32, transaction: &Transaction) {
        let first = self.columns.range(number).start;
        for (index, operation) in transaction.operations.iter().enumerate() {
            let at = first + index;
            let key = self.columns.steps[at].key();
            let touch = self.keys[key as usize].touched_by(number);
            match operation {
                Operation::Append { .. } => touch.writes += 1,
                Operation::Write { value, .. } => {
                    touch.writes += 1;
                    touch.wrote = *value;
                }
                Operation::List { values, .. } => self.observe_list(number, at, values),
                Operation::Read { value, .. } => self.observe_register(number, at, *value),
                Operation::Delete { .. } | Operation::Scan { .. } | Operation::Count { .. } => {
                    unreachable!("pack refuses it")
                }
            }
        }
    }

    fn observe_list(&mut self, number: u32, at: usize, all: &[u64]) {
        let key = self.columns.steps[at].key();
        let Some(values) = self.after_settled(number, key, all) else { return };
        let touch = self.keys[key as usize].touch;
        let own =
            if mutants::live(mutants::OWN_APPENDS_ARE_FOREIGN) { 0 } else { touch.writes as usize };
        if !self.ends_with_own(number, at, values, own) {
            return self.finds_internal(number, key, all, "does not end with its own appends");
        }
        let seen = (values.len() - own) as u64;
        if touch.seen.is_some_and(|before| before != seen) {
            return self.finds_internal(number, key, all, "differs from its read before");
        }
        self.keys[key as usize].touch.seen = Some(seen);
        let known = &mut self.keys[key as usize];
        let shared = values.len().min(known.longest.len());
        if values[..shared] != known.longest[..shared] && !mutants::live(mutants::FORKS_ALLOWED) {
            return self.finds_fork(number, key, values);
        }
        if values.len() > known.longest.len() {
            known.longest.extend_from_slice(&values[shared..]);
            known.longest_reader = number;
        }
        let invoked = self.columns.invoked[number as usize];
        if invoked >= known.last_read.0 {
            known.last_read = (invoked, number);
        }
        let step = &mut self.columns.steps[at];
        step.value = seen;
        step.place = own as u32;
    }

    /// The versions that are not settled, if the read has the settled ones.
    fn after_settled<'a>(&mut self, number: u32, key: u32, all: &'a [u64]) -> Option<&'a [u64]> {
        let settled = self.keys[key as usize].settled as usize;
        if all.len() < settled {
            if !mutants::live(mutants::SHORTER_THAN_SETTLED) {
                self.finds_shorter(number, key, all, settled);
            }
            return None;
        }
        if !self.keys[key as usize].begins_settled(all) {
            self.finds_fork(number, key, all);
            return None;
        }
        Some(&all[settled..])
    }

    fn ends_with_own(&self, number: u32, at: usize, values: &[u64], own: usize) -> bool {
        let Some(begin) = values.len().checked_sub(own) else { return false };
        let key = self.columns.steps[at].key();
        let first = self.columns.range(number).start;
        let appended = self.columns.steps[first..at]
            .iter()
            .rev()
            .filter(|step| step.act() == Act::Append && step.key() == key);
        values[begin..].iter().rev().zip(appended).all(|(value, step)| *value == step.value)
    }

    fn observe_register(&mut self, number: u32, at: usize, value: Option<u64>) {
        let key = self.columns.steps[at].key();
        let touch: Touch = self.keys[key as usize].touch;
        let got: Vec<u64> = value.into_iter().collect();
        if touch.writes > 0 {
            if value != Some(touch.wrote) {
                self.finds_internal(number, key, &got, "is not what it wrote itself");
            }
            return;
        }
        let read_before = touch.seen.is_some() || touch.seen_nil;
        if read_before && touch.seen != value {
            return self.finds_internal(number, key, &got, "differs from its read before");
        }
        let touch = self.keys[key as usize].touched_by(number);
        touch.seen = value;
        touch.seen_nil = value.is_none();
        let step = &mut self.columns.steps[at];
        match value {
            Some(value) => {
                step.value = value;
                self.open_reads.push((number, at as u32));
            }
            None => step.place = NIL,
        }
    }

    /// Finds the writer of everything that was seen; unknown transactions that were seen bring their own reads, so until nothing is new.
    fn resolve(&mut self) {
        loop {
            let mut newly = Vec::new();
            for key in 0..self.keys.len() as u32 {
                let versions = self.keys[key as usize].longest.len();
                for version in self.keys[key as usize].resolved()..versions {
                    let writer = self.resolve_version(key, version, &mut newly);
                    self.keys[key as usize].resolve(writer);
                }
            }
            for (number, at) in std::mem::take(&mut self.open_reads) {
                self.resolve_read(number, at, &mut newly);
            }
            if newly.is_empty() {
                return;
            }
            for number in newly {
                let transaction = self.doubtful.remove(&number);
                if !mutants::live(mutants::UNKNOWN_READS_IGNORED) {
                    let transaction = transaction.expect("a doubtful transaction is kept whole");
                    self.observe(number, &transaction);
                }
            }
        }
    }

    /// Whether a value's writer may be seen; a doubtful one is, from now on.
    fn admits(&mut self, writer: u32, newly: &mut Vec<u32>) -> bool {
        let standing = &mut self.columns.standing[writer as usize];
        match *standing {
            Standing::Committed | Standing::Seen => true,
            Standing::Failed => mutants::live(mutants::FAILED_WRITES_COUNT),
            Standing::Doubtful => {
                *standing = Standing::Seen;
                newly.push(writer);
                true
            }
        }
    }

    fn resolve_version(
        &mut self,
        key: u32,
        version: usize,
        newly: &mut Vec<u32>,
    ) -> Option<(u32, bool)> {
        let known = &self.keys[key as usize];
        let (value, reader) = (known.longest[version], known.longest_reader);
        let Some(writer) = self.writers.get(key, value) else {
            self.finds_phantom(reader, key, value);
            return None;
        };
        let range = self.columns.range(writer);
        let is_append = |step: &Step| step.act() == Act::Append && step.key() == key;
        let at = self.columns.steps[range.clone()]
            .iter()
            .position(|step| is_append(step) && step.value == value)
            .expect("the table of writers names the step")
            + range.start;
        if self.columns.steps[at].place != NONE {
            if !mutants::live(mutants::DUPLICATES_ALLOWED) {
                self.finds_duplicate(reader, key, value);
            }
            return None;
        }
        self.columns.steps[at].place = version as u32;
        let wrote_on = self.columns.steps[at + 1..range.end].iter().any(is_append);
        if !self.admits(writer, newly) {
            self.finds_aborted_read(reader, writer, key, value);
            return None;
        }
        Some((writer, wrote_on))
    }

    fn resolve_read(&mut self, number: u32, at: u32, newly: &mut Vec<u32>) {
        let step = self.columns.steps[at as usize];
        let (key, value) = (step.key(), step.value);
        let Some(writer) = self.writers.get(key, value) else {
            return self.finds_phantom(number, key, value);
        };
        if writer == number {
            return self.finds_internal(number, key, &[value], "is what it writes only later");
        }
        if !self.admits(writer, newly) {
            return self.finds_aborted_read(number, writer, key, value);
        }
        let last = self.columns.of(writer).iter().rev();
        let last = last.filter(|step| step.act() == Act::Write && step.key() == key);
        if last.map(|step| step.value).next() != Some(value) {
            self.finds_intermediate(number, writer, key);
        }
        self.columns.steps[at as usize].place = writer;
    }

    /// Everything that needs all writers known.
    fn judge_window(&mut self) -> Result<(), HistoryError> {
        self.find_misplaced_reads();
        self.find_lost_appends();
        let edges = Edges::new(&self.columns, &self.keys)?;
        let graph = Graph::build(edges.nodes(), |sink: Sink<'_>| edges.enumerate(sink));
        drop(edges);
        let transactions = self.columns.len() as u32;
        let (cycles, cut_short) = cycle::find(&graph, |node| node < transactions);
        drop(graph);
        self.verdict.search_cut_short |= cut_short;
        for cycle in cycles {
            self.finds_cycle(&cycle);
        }
        Ok(())
    }
}

fn not_judged(operation: &'static str) -> HistoryError {
    HistoryError::NotJudged { operation, instead: "the replay by timestamps" }
}
