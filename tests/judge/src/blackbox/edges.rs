//! Every edge of a window of the history, enumerated without being stored.
//!
//! *Versions*: a list's writers in their order; a read comes after the writer of the last version that it saw and before the next. *Fans*: an append that nobody saw comes after
//! all versions that were seen, in no known order among its like; so whoever saw all versions leads to a virtual node, and from there to all of those. Some of those themselves saw
//! all versions: these, the insiders, lead to a second virtual node that leaves them out, and two of them contradict each other. *Moments*: a transaction leads to the first
//! moment after its end at which something begins, every moment to the next, and a transaction follows the last moment before it begins. *Processes*: each to its next.

use super::registers::Registers;
use crate::error::HistoryError;
use crate::graph::{Label, Sink};
use crate::keys::{Key, Shape};
use crate::mutants;
use crate::packed::{Act, Columns, NONE, Standing, Step};
use std::collections::BTreeMap;

/// The appends to one key that nobody saw.
struct Fan {
    key: u32,
    /// In [`Edges::unseen`]: insiders, then others.
    first: usize,
    others: usize,
    end: usize,
}

/// The edges of a window.
pub struct Edges<'a> {
    columns: &'a Columns,
    keys: &'a [Key],
    by_invoked: Vec<u32>,
    by_completed: Vec<u32>,
    moments: usize,
    fans: Vec<Fan>,
    fan_of_key: Vec<u32>,
    unseen: Vec<u32>,
    registers: Registers<'a>,
}

impl<'a> Edges<'a> {
    /// Prepares the enumeration.
    ///
    /// # Errors
    /// If a process had two transactions open.
    pub fn new(columns: &'a Columns, keys: &'a [Key]) -> Result<Edges<'a>, HistoryError> {
        let mut by_invoked: Vec<u32> = columns.effective().collect();
        let over = |number: &u32| {
            columns.standing[*number as usize] == Standing::Committed
                || mutants::live(mutants::UNKNOWN_IS_OVER)
        };
        let mut by_completed: Vec<u32> = by_invoked.iter().copied().filter(over).collect();
        by_invoked.sort_by_key(|number| {
            (columns.invoked[*number as usize], columns.completed[*number as usize])
        });
        by_completed.sort_by_key(|number| columns.completed[*number as usize]);
        let mut edges = Edges {
            columns,
            keys,
            by_invoked,
            by_completed,
            moments: 0,
            fans: Vec::new(),
            fan_of_key: vec![NONE; keys.len()],
            unseen: Vec::new(),
            registers: Registers::new(columns, keys),
        };
        edges.moments = edges.time(&mut |_source, _target, _label| {});
        edges.check_processes()?;
        edges.find_fans();
        edges.registers.first_node = edges.first_fan() as u32 + 2 * edges.fans.len() as u32;
        Ok(edges)
    }

    /// Transactions, then virtual nodes.
    pub fn nodes(&self) -> usize {
        self.first_fan() + 2 * self.fans.len() + self.registers.nodes()
    }

    fn first_fan(&self) -> usize {
        self.columns.len() + self.moments
    }

    /// All edges, the same every time.
    pub fn enumerate(&self, sink: Sink<'_>) {
        self.versions(sink);
        for number in self.columns.effective() {
            for step in self.columns.of(number) {
                if step.act() == Act::List && step.place != NONE {
                    self.read(number, *step, sink);
                }
            }
        }
        for (index, fan) in self.fans.iter().enumerate() {
            self.fan(index, fan, sink);
        }
        self.registers.enumerate(sink);
        self.time(sink);
        self.processes(sink);
    }

    fn versions(&self, sink: Sink<'_>) {
        for key in self.keys.iter().filter(|key| key.shape == Shape::List) {
            let mut before: Option<u32> = None;
            for writer in (0..key.resolved()).filter_map(|version| key.writer(version)) {
                if let Some(before) = before
                    && before != writer
                {
                    sink(before, writer, Label::WriteWrite);
                }
                before = Some(writer);
            }
        }
    }

    fn read(&self, number: u32, step: Step, sink: Sink<'_>) {
        let key = &self.keys[step.key() as usize];
        let seen = step.value as usize;
        let writer = seen.checked_sub(1).and_then(|version| key.writer(version));
        if let Some(writer) = writer
            && writer != number
        {
            sink(writer, number, Label::WriteRead);
        }
        if mutants::live(mutants::NO_READ_BEFORE_WRITE) {
            return;
        }
        match (seen..key.resolved()).find_map(|version| key.writer(version)) {
            Some(next) if next == number => {}
            Some(next) => sink(number, next, Label::ReadWrite),
            None => {
                let fan = self.fan_of_key[step.key() as usize];
                if fan != NONE {
                    sink(number, self.entrance(fan, number), Label::ReadWrite);
                }
            }
        }
    }

    /// The virtual node from which a transaction reaches all of a fan but itself.
    fn entrance(&self, index: u32, number: u32) -> u32 {
        let fan = &self.fans[index as usize];
        let inside = self.unseen[fan.first..fan.others].contains(&number);
        self.first_fan() as u32 + 2 * index + u32::from(inside)
    }

    fn saw_all(&self, number: u32, key: u32) -> bool {
        let versions = self.keys[key as usize].resolved() as u64;
        self.columns.of(number).iter().any(|step| {
            step.act() == Act::List
                && step.key() == key
                && step.place != NONE
                && step.value == versions
        })
    }

    fn find_fans(&mut self) {
        if mutants::live(mutants::UNSEEN_APPENDS_FORGOTTEN) {
            return;
        }
        let mut appends: Vec<(u32, u32)> = Vec::new();
        for number in self.columns.effective() {
            let seen = self.columns.standing[number as usize] == Standing::Seen;
            if seen && mutants::live(mutants::UNKNOWN_IS_NOT_ATOMIC) {
                continue;
            }
            let unseen = |step: &&Step| step.act() == Act::Append && step.place == NONE;
            let steps = self.columns.of(number).iter().filter(unseen);
            appends.extend(steps.map(|step| (step.key(), number)));
        }
        appends.sort_unstable();
        appends.dedup();
        for group in appends.chunk_by(|a, b| a.0 == b.0) {
            let key = group[0].0;
            let last = self.keys[key as usize].last_writer();
            let inside = |number: u32| Some(number) == last || self.saw_all(number, key);
            let (mut members, others): (Vec<u32>, Vec<u32>) =
                group.iter().map(|(_, number)| *number).partition(|number| inside(*number));
            let first = self.unseen.len();
            let fan = Fan { key, first, others: first + members.len(), end: first + group.len() };
            members.extend(others);
            self.unseen.extend(members);
            self.fan_of_key[key as usize] = self.fans.len() as u32;
            self.fans.push(fan);
        }
    }

    fn fan(&self, index: usize, fan: &Fan, sink: Sink<'_>) {
        let all = self.first_fan() as u32 + 2 * index as u32;
        let others = all + 1;
        let insiders = &self.unseen[fan.first..fan.others];
        let last = self.keys[fan.key as usize].last_writer();
        if let Some(last) = last {
            sink(last, self.entrance(index as u32, last), Label::WriteWrite);
        }
        sink(all, others, Label::Via);
        for (place, insider) in insiders.iter().enumerate() {
            sink(all, *insider, Label::Via);
            let next = insiders[(place + 1) % insiders.len()];
            // Whichever of two insiders comes first, the other's append follows it without having seen it.
            let follows = Some(*insider) == last || (Some(next) != last && next > *insider);
            let label = if follows { Label::WriteWrite } else { Label::ReadWrite };
            if next != *insider {
                sink(*insider, next, label);
            }
        }
        for number in &self.unseen[fan.others..fan.end] {
            sink(others, *number, Label::Via);
        }
    }

    /// Real time; gives the number of moments.
    fn time(&self, sink: Sink<'_>) -> usize {
        let first = self.columns.len() as u32;
        let (mut moments, mut ended) = (0u32, 0);
        for number in &self.by_invoked {
            let invoked = self.columns.invoked[*number as usize];
            let over = |other: &&u32| {
                let completed = self.columns.completed[**other as usize];
                completed < invoked
                    || (completed == invoked && mutants::live(mutants::EQUAL_TIMES_ARE_ORDERED))
            };
            let late = self.by_completed[ended..].iter().take_while(over).count();
            if late > 0 {
                for other in &self.by_completed[ended..ended + late] {
                    sink(*other, first + moments, Label::RealTime);
                }
                if moments > 0 && !mutants::live(mutants::MOMENTS_NOT_CHAINED) {
                    sink(first + moments - 1, first + moments, Label::Via);
                }
                moments += 1;
                ended += late;
            }
            if moments > 0 {
                sink(first + moments - 1, *number, Label::Via);
            }
        }
        moments as usize
    }

    /// Each process's transactions in their order. One whose outcome nobody knows may take effect after its process went on.
    fn processes(&self, sink: Sink<'_>) {
        let mut last: BTreeMap<u32, u32> = BTreeMap::new();
        for number in &self.by_invoked {
            let process = self.columns.process[*number as usize];
            if let Some(before) = last.get(&process) {
                sink(*before, *number, Label::Process);
            }
            if self.columns.standing[*number as usize] == Standing::Committed {
                last.insert(process, *number);
            }
        }
    }

    fn check_processes(&self) -> Result<(), HistoryError> {
        let mut free: BTreeMap<u32, u64> = BTreeMap::new();
        for number in &self.by_invoked {
            let process = self.columns.process[*number as usize];
            let invoked = self.columns.invoked[*number as usize];
            let completed = self.columns.completed[*number as usize];
            if free.insert(process, completed).is_some_and(|free| free > invoked) {
                return Err(HistoryError::Overlap { process, invoked });
            }
        }
        Ok(())
    }
}
