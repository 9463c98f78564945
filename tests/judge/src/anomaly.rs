//! What a judge may find, and the verdict that collects it.
//!
//! The names are Adya's (Weak Consistency, 1999) as extended by Elle (Kingsbury and Alvaro, VLDB 2020): a cycle of dependencies between transactions, by what
//! edges it is made of. A cycle that needs the order of a process or real time says so in its name: without that order the history would still be serializable.

use std::collections::BTreeMap;
use std::fmt;

/// What kind of anomaly. The order is from worse to milder; a cycle gets the first name that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A value was seen that nobody wrote.
    Phantom,
    /// A value of a transaction that failed was seen.
    G1a,
    /// A value stands twice in a list, so something took effect twice.
    Duplicate,
    /// Two reads of one list of which neither begins the other.
    IncompatibleOrder,
    /// A transaction contradicts itself: it does not see its own writes, or sees two states.
    Internal,
    /// A value from the middle of a transaction was seen by another.
    G1b,
    /// An acknowledged append is missing from a read invoked after it completed.
    LostAppend,
    /// Two transactions name the same execution timestamp. White box only.
    SameTimestamp,
    /// A read differs from the replay in the order of execution timestamps. White box only.
    WrongRead,
    /// A cycle of writes.
    G0,
    /// A cycle of writes and reads of them.
    G1c,
    /// A cycle with one read that missed a write: lost updates, read skew, stale reads.
    GSingle,
    /// A cycle with several such reads, no two of them adjacent.
    GNonadjacent,
    /// A cycle with adjacent ones: write skew.
    G2,
    /// The order of execution timestamps contradicts real time. White box only.
    RealTimeOrder,
}

impl Kind {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Phantom => "phantom",
            Kind::G1a => "G1a",
            Kind::Duplicate => "duplicate",
            Kind::IncompatibleOrder => "incompatible-order",
            Kind::Internal => "internal",
            Kind::G1b => "G1b",
            Kind::LostAppend => "lost-append",
            Kind::SameTimestamp => "same-timestamp",
            Kind::WrongRead => "wrong-read",
            Kind::G0 => "G0",
            Kind::G1c => "G1c",
            Kind::GSingle => "G-single",
            Kind::GNonadjacent => "G-nonadjacent",
            Kind::G2 => "G2",
            Kind::RealTimeOrder => "order",
        }
    }
}

/// The weakest promise that an anomaly breaks. Each promise includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Some serial order explains all answers.
    Serializable,
    /// One that also keeps the order of every process.
    Process,
    /// One that also keeps real time: strict serializability.
    RealTime,
}

/// One finding.
#[derive(Clone, Debug)]
pub struct Anomaly {
    /// What.
    pub kind: Kind,
    /// Which promise it breaks.
    pub level: Level,
    /// Who, by their place in the history from zero; a cycle in its order.
    pub transactions: Vec<u64>,
    /// For people: the transactions with their operations, and why each comes before the next.
    pub text: String,
}

impl Anomaly {
    /// `G2`, `G-single-process`, `G1c-realtime`.
    pub fn name(&self) -> String {
        let suffix = match self.level {
            Level::Serializable => "",
            Level::Process => "-process",
            Level::RealTime => "-realtime",
        };
        format!("{}{suffix}", self.kind.name())
    }
}

/// How many anomalies of one name are kept with their text. All are counted.
const KEPT_OF_EACH: u64 = 8;

/// The end of a judgement.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// How many transactions were judged.
    pub transactions: u64,
    /// The first of every name.
    pub anomalies: Vec<Anomaly>,
    /// How many of every name there were.
    pub counts: BTreeMap<String, u64>,
    /// The search for the smallest cycles came to its bound: cycles are real, but there may be smaller ones, or ones with worse names.
    pub search_cut_short: bool,
}

impl Verdict {
    /// Whether nothing was found: the history is strictly serializable as far as it says.
    pub fn is_clean(&self) -> bool {
        self.anomalies.is_empty()
    }

    /// Whether a promise is kept.
    pub fn holds(&self, level: Level) -> bool {
        self.anomalies.iter().all(|anomaly| anomaly.level > level)
    }

    /// Whether there is an anomaly of a name, as `G-single-realtime`.
    pub fn has(&self, name: &str) -> bool {
        self.counts.contains_key(name)
    }

    pub(crate) fn add(&mut self, anomaly: Anomaly) {
        let count = self.counts.entry(anomaly.name()).or_default();
        *count += 1;
        if *count <= KEPT_OF_EACH {
            self.anomalies.push(anomaly);
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for anomaly in &self.anomalies {
            writeln!(out, "{}\n{}", anomaly.name(), anomaly.text)?;
        }
        if self.search_cut_short {
            writeln!(out, "the search for smallest cycles came to its bound")?;
        }
        let counts: Vec<String> =
            self.counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let found = if counts.is_empty() { "no anomaly".into() } else { counts.join(", ") };
        write!(out, "{} transactions: {found}", self.transactions)
    }
}
