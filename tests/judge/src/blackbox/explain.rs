//! Says in words why each transaction of a cycle comes before the next.

use super::Judge;
use super::findings::show_values;
use crate::cycle::Cycle;
use crate::graph::Label;
use crate::packed::{Act, NIL, NONE, Standing, Step};

/// Operations of one transaction that a report shows.
const OPERATIONS_SHOWN: usize = 16;

impl Judge {
    /// The transactions with their operations, then the reasons, a line each.
    pub(super) fn explain(&self, cycle: &Cycle) -> String {
        let mut lines = Vec::new();
        for (number, _) in &cycle.steps {
            lines.push(format!("  {}", self.describe(*number)));
        }
        for (place, (from, label)) in cycle.steps.iter().enumerate() {
            let (to, _) = cycle.steps[(place + 1) % cycle.steps.len()];
            let (a, b) = (self.outer_number(*from), self.outer_number(to));
            lines.push(format!("  T{a} is before T{b}: {}", self.reason(*from, to, *label)));
        }
        lines.join("\n")
    }

    /// A transaction in one line.
    pub(super) fn describe(&self, number: u32) -> String {
        let at = number as usize;
        let steps = self.columns.of(number);
        let shown: Vec<String> = steps
            .iter()
            .take(OPERATIONS_SHOWN)
            .map(|step| self.describe_step(number, *step))
            .collect();
        let more = if steps.len() > OPERATIONS_SHOWN { "; …" } else { "" };
        let standing = match self.columns.standing[at] {
            Standing::Committed => "committed",
            Standing::Failed => "failed",
            Standing::Doubtful => "unknown",
            Standing::Seen => "unknown, but seen",
        };
        format!(
            "T{} (process {}, {} to {}, {standing}): {}{more}",
            self.outer_number(number),
            self.columns.process[at],
            self.columns.invoked[at],
            self.columns.completed[at],
            shown.join("; ")
        )
    }

    fn describe_step(&self, number: u32, step: Step) -> String {
        let key = &self.keys[step.key() as usize];
        let name = key.name;
        match step.act() {
            Act::Append => format!("append {} to {name}", step.value),
            Act::Write => format!("write {} to {name}", step.value),
            Act::Read if step.place == NIL => format!("read {name} = nothing"),
            Act::Read if step.place == NONE => format!("read {name}"),
            Act::Read => format!("read {name} = {}", step.value),
            Act::List if step.place == NONE => format!("read {name}"),
            Act::List => {
                let mut values = key.longest[..step.value as usize].to_vec();
                let own = self.columns.of(number).iter();
                let own =
                    own.filter(|other| other.act() == Act::Append && other.key() == step.key());
                values.extend(own.take(step.place as usize).map(|other| other.value));
                let settled = if key.settled > 0 {
                    format!("{} settled, ", key.settled)
                } else {
                    String::new()
                };
                format!("read {name} = {settled}{}", show_values(&values))
            }
        }
    }

    fn reason(&self, from: u32, to: u32, label: Label) -> String {
        let (a, b) = (self.outer_number(from), self.outer_number(to));
        match label {
            Label::Process => {
                format!("process {} asked for it first", self.columns.process[from as usize])
            }
            Label::RealTime => format!(
                "it completed at {}, before the other was invoked at {}",
                self.columns.completed[from as usize], self.columns.invoked[to as usize]
            ),
            Label::WriteWrite => match self.pair(from, to, writes_before) {
                Some((one, other)) => {
                    let unseen = if other.place == NONE { ", which nobody saw" } else { "" };
                    format!(
                        "it appended {} to {} before {}{unseen}",
                        one.value,
                        self.keys[one.key() as usize].name,
                        other.value
                    )
                }
                None => "both replaced what both had read, so one write is lost".into(),
            },
            Label::WriteRead => match self
                .pair(from, to, |one, other| self.read_from(from, one, other))
            {
                Some((one, _)) => {
                    format!("T{b} saw its {} in {}", one.value, self.keys[one.key() as usize].name)
                }
                None => format!("T{b} saw its write"),
            },
            Label::ReadWrite | Label::ReadWriteByTime => {
                let why =
                    if label == Label::ReadWrite { "" } else { ", written after what it saw" };
                match self.pair(from, to, read_without) {
                    Some((one, other)) => format!(
                        "it read {} without T{b}'s {}{why}",
                        self.keys[one.key() as usize].name,
                        other.value
                    ),
                    None => format!("T{a} did not see T{b}'s write{why}"),
                }
            }
            Label::Via => unreachable!("a virtual edge is no step of a cycle"),
        }
    }

    /// The first pair of steps on one key that bears out an edge.
    fn pair(
        &self,
        from: u32,
        to: u32,
        bears_out: impl Fn(&Step, &Step) -> bool,
    ) -> Option<(Step, Step)> {
        self.columns.of(from).iter().find_map(|one| {
            let same_key = |other: &&Step| other.key() == one.key();
            let mut others = self.columns.of(to).iter().filter(same_key);
            others.find(|other| bears_out(one, other)).map(|other| (*one, *other))
        })
    }

    fn read_from(&self, writer: u32, one: &Step, other: &Step) -> bool {
        match (one.act(), other.act()) {
            (Act::Append, Act::List) => {
                one.place != NONE && other.place != NONE && u64::from(one.place) + 1 == other.value
            }
            (Act::Write, Act::Read) => other.place == writer && other.value == one.value,
            _ => false,
        }
    }
}

fn writes_before(one: &Step, other: &Step) -> bool {
    one.act() == Act::Append && other.act() == Act::Append && one.place < other.place
}

fn read_without(one: &Step, other: &Step) -> bool {
    match (one.act(), other.act()) {
        (Act::List, Act::Append) => {
            one.place != NONE && (other.place == NONE || u64::from(other.place) >= one.value)
        }
        (Act::Read, Act::Write) => one.place != NONE,
        _ => false,
    }
}
