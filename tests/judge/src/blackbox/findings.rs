//! What the black box finds without the graph, and how each finding is put into words.

use super::Judge;
use crate::anomaly::{Anomaly, Kind, Level};
use crate::cycle::Cycle;
use crate::mutants;
use crate::packed::{Act, NONE, Standing};

/// How many values of a list a report shows at its end.
const VALUES_SHOWN: usize = 24;

pub(super) fn show_values(values: &[u64]) -> String {
    let shown = &values[values.len().saturating_sub(VALUES_SHOWN)..];
    let shown: Vec<String> = shown.iter().map(u64::to_string).collect();
    let before = if values.len() > VALUES_SHOWN { "… " } else { "" };
    format!("[{before}{}]", shown.join(" "))
}

impl Judge {
    fn finds(&mut self, kind: Kind, level: Level, transactions: &[u32], says: &str) {
        let mut text = format!("  {says}");
        for transaction in transactions {
            text.push_str("\n  ");
            text.push_str(&self.describe(*transaction));
        }
        let transactions = transactions.iter().map(|number| self.outer_number(*number)).collect();
        self.verdict.add(Anomaly { kind, level, transactions, text });
    }

    pub(super) fn outer_number(&self, number: u32) -> u64 {
        self.first_number + u64::from(number)
    }

    fn name(&self, key: u32) -> u64 {
        self.keys[key as usize].name
    }

    pub(super) fn finds_internal(&mut self, number: u32, key: u32, got: &[u64], why: &str) {
        let says = format!(
            "T{}'s read of key {} = {} {why}",
            self.outer_number(number),
            self.name(key),
            show_values(got)
        );
        self.finds(Kind::Internal, Level::Serializable, &[number], &says);
    }

    pub(super) fn finds_fork(&mut self, number: u32, key: u32, got: &[u64]) {
        let known = &self.keys[key as usize];
        let reader = known.longest_reader;
        let mut says = format!(
            "T{} read key {} = {}",
            self.outer_number(number),
            known.name,
            show_values(got)
        );
        let mut who = vec![number];
        if reader == NONE {
            says.push_str(", which does not begin with what was settled before");
        } else {
            let (other, values) = (self.outer_number(reader), show_values(&known.longest));
            says.push_str(&format!(", T{other} read {values}: neither begins the other"));
            who.push(reader);
        }
        self.finds(Kind::IncompatibleOrder, Level::Serializable, &who, &says);
    }

    pub(super) fn finds_shorter(&mut self, number: u32, key: u32, got: &[u64], settled: usize) {
        let says = format!(
            "T{} read key {} = {}, which had {settled} values at the last quiescent point",
            self.outer_number(number),
            self.name(key),
            show_values(got)
        );
        self.finds(Kind::LostAppend, Level::RealTime, &[number], &says);
    }

    pub(super) fn finds_phantom(&mut self, reader: u32, key: u32, value: u64) {
        let says = format!(
            "T{} saw value {value} of key {}, which nobody wrote",
            self.outer_number(reader),
            self.name(key)
        );
        self.finds(Kind::Phantom, Level::Serializable, &[reader], &says);
    }

    pub(super) fn finds_duplicate(&mut self, reader: u32, key: u32, value: u64) {
        let says = format!(
            "T{} saw value {value} twice in key {}",
            self.outer_number(reader),
            self.name(key)
        );
        self.finds(Kind::Duplicate, Level::Serializable, &[reader], &says);
    }

    pub(super) fn finds_aborted_read(&mut self, reader: u32, writer: u32, key: u32, value: u64) {
        let says = format!(
            "T{} saw value {value} of key {}, of T{}, which failed",
            self.outer_number(reader),
            self.name(key),
            self.outer_number(writer)
        );
        self.finds(Kind::G1a, Level::Serializable, &[reader, writer], &says);
    }

    pub(super) fn finds_intermediate(&mut self, reader: u32, writer: u32, key: u32) {
        if mutants::live(mutants::INTERMEDIATE_READS_ALLOWED) {
            return;
        }
        let says = format!(
            "T{} saw key {} as it was in the middle of T{}",
            self.outer_number(reader),
            self.name(key),
            self.outer_number(writer)
        );
        self.finds(Kind::G1b, Level::Serializable, &[reader, writer], &says);
    }

    /// Reads of lists that saw the middle of another, or what their own transaction appends only later.
    pub(super) fn find_misplaced_reads(&mut self) {
        for number in 0..self.columns.len() as u32 {
            if !self.columns.standing[number as usize].took_effect() {
                continue;
            }
            let appends = self.columns.of(number).iter().any(|step| step.act() == Act::Append);
            for at in self.columns.range(number) {
                let step = self.columns.steps[at];
                if step.act() != Act::List || step.place == NONE || step.value == 0 {
                    continue;
                }
                let version = step.value as usize - 1;
                let known = &self.keys[step.key() as usize];
                let wrote_on = known.wrote_on(version).filter(|writer| *writer != number);
                if let Some(writer) = wrote_on {
                    self.finds_intermediate(number, writer, step.key());
                }
                if appends {
                    self.find_future_read(number, at);
                }
            }
        }
    }

    fn find_future_read(&mut self, number: u32, at: usize) {
        let read = self.columns.steps[at];
        let foreign = |step: &&crate::packed::Step| {
            step.act() == Act::Append
                && step.key() == read.key()
                && step.place != NONE
                && u64::from(step.place) < read.value
        };
        let value = self.columns.of(number).iter().find(foreign).map(|step| step.value);
        if let Some(value) = value {
            let why = "holds, among what others wrote, what it appends itself";
            self.finds_internal(number, read.key(), &[value], why);
        }
    }

    /// Acknowledged appends that a later read lacks.
    pub(super) fn find_lost_appends(&mut self) {
        if mutants::live(mutants::UNSEEN_APPENDS_FORGOTTEN) {
            return;
        }
        for number in 0..self.columns.len() as u32 {
            if self.columns.standing[number as usize] != Standing::Committed {
                continue;
            }
            for at in self.columns.range(number) {
                let step = self.columns.steps[at];
                if step.act() != Act::Append || step.place != NONE {
                    continue;
                }
                let (invoked, reader) = self.keys[step.key() as usize].last_read;
                if reader != NONE && invoked > self.columns.completed[number as usize] {
                    let says = format!(
                        "T{} was acknowledged; T{}, invoked later, does not see value {} of key {}",
                        self.outer_number(number),
                        self.outer_number(reader),
                        step.value,
                        self.name(step.key())
                    );
                    let who = [number, reader];
                    self.finds(Kind::LostAppend, Level::RealTime, &who, &says);
                }
            }
        }
    }

    pub(super) fn finds_cycle(&mut self, cycle: &Cycle) {
        let (kind, level) = cycle.class();
        let text = self.explain(cycle);
        let transactions =
            cycle.steps.iter().map(|(number, _)| self.outer_number(*number)).collect();
        self.verdict.add(Anomaly { kind, level, transactions, text });
    }
}
