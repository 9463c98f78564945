//! What the clients of a schedule do: small transactions over a few keys, each leaving its number in what it writes.

use accord::{
    Abort, Access, Commit, Expected, Footprint, Installs, Outcome, RangeNeed, SchemaChange,
    TokenRange, Validation, View, Workload, Write,
};
use types::codec::Encoder;
use types::token::SliceCount;
use types::{SchemaVersion, SliceId, TableId, Timestamp, Token};

/// Index of a key; the key after the last is the catalog's row.
pub type Key = usize;
/// Index of a transaction of the schedule.
pub type Txn = usize;

/// The table of all keys.
pub const TABLE: TableId = TableId(1);
/// The table of the catalog's row.
pub const CATALOG: TableId = TableId(2);
/// Few slices, so that few cores own several each.
pub const SLICES: u16 = 4;

/// What one client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A transaction with a known footprint: reads, and writes (a tombstone if the flag is set).
    Known { reads: Vec<Key>, writes: Vec<(Key, Tombstone)> },
    /// BEGIN; a read of each key; COMMIT that validates `reads`, validates that `deferred` exist and updates them.
    Interactive { reads: Vec<Key>, deferred: Vec<Key>, writes: Vec<(Key, Tombstone)> },
    /// BEGIN; a read of the whole table; COMMIT that validates it and writes one key.
    InteractiveScan { write: Key },
    /// BEGIN; a read of each key; nothing else.
    ReadOnly { reads: Vec<Key> },
    /// One transaction that reads the whole table and writes a key, if any.
    Scan { write: Option<Key> },
    /// An analytic snapshot.
    Analytic,
    /// A change of the table's schema.
    Ddl,
    /// A bulk write: its rows are visible when they are installed, after the record is durable.
    Bulk { writes: Vec<(Key, Tombstone)> },
}

/// Whether a write deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tombstone {
    No,
    Yes,
}

impl Kind {
    /// Point reads and point writes of the transaction.
    pub fn points(&self) -> (Vec<Key>, Vec<(Key, Tombstone)>) {
        match self {
            Kind::Known { reads, writes } => (reads.clone(), writes.clone()),
            Kind::Interactive { reads, deferred, writes } => {
                let mut all_reads = reads.clone();
                let mut all_writes = writes.clone();
                for key in deferred {
                    if !all_reads.contains(key) {
                        all_reads.push(*key);
                    }
                    all_writes.push((*key, Tombstone::No));
                }
                (all_reads, all_writes)
            }
            Kind::InteractiveScan { write } => (Vec::new(), vec![(*write, Tombstone::No)]),
            Kind::Scan { write } => {
                (Vec::new(), write.iter().map(|key| (*key, Tombstone::No)).collect())
            }
            Kind::Bulk { writes } => (Vec::new(), writes.clone()),
            Kind::ReadOnly { reads } => (reads.clone(), Vec::new()),
            Kind::Analytic | Kind::Ddl => (Vec::new(), Vec::new()),
        }
    }
}

/// Where a key lives. Neighbouring keys have different owners as soon as there are two cores.
pub fn token_of(key: Key) -> Token {
    let slices = SliceCount::new(SLICES).expect("a power of two");
    let slice = [0, 2, 1, 3][key % 4];
    Token::in_slice(slices, SliceId(slice), key as u64)
}

/// What was seen of a key: who wrote it.
pub type Seen = Option<Txn>;

/// A row names its writer, whether it is a tombstone, and what the writer had seen.
pub fn encode_row(txn: Txn, tombstone: Tombstone, seen: &[(Key, Seen)]) -> Vec<u8> {
    let mut row = vec![txn as u8, u8::from(tombstone == Tombstone::Yes)];
    row.extend(encode_seen(seen));
    row
}

/// Writer of an encoded row.
pub fn writer_of(row: &[u8]) -> Txn {
    usize::from(row[0])
}

/// Whether an encoded row is a tombstone.
pub fn is_tombstone(row: &[u8]) -> bool {
    row[1] == 1
}

/// What the writer of a row had seen.
pub fn seen_of_row(row: &[u8]) -> Vec<(Key, Seen)> {
    decode_seen(&row[2..])
}

fn encode_seen(seen: &[(Key, Seen)]) -> Vec<u8> {
    let pair = |(key, writer): &(Key, Seen)| [*key as u8, writer.map_or(255, |txn| txn as u8)];
    seen.iter().flat_map(pair).collect()
}

/// Inverse of the encoding of what was seen.
pub fn decode_seen(bytes: &[u8]) -> Vec<(Key, Seen)> {
    let pair =
        |pair: &[u8]| (usize::from(pair[0]), (pair[1] != 255).then_some(usize::from(pair[1])));
    bytes.chunks(2).map(pair).collect()
}

/// Bugs of the world around the protocol; the judge must find these too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// Messages from one core to another may overtake each other.
    MessagesOvertake,
    /// Recovery replays what the files already hold.
    ReplayIgnoresPositions,
    /// A frozen memtable is installed before the log is durable through it.
    InstallNotHeld,
    /// Recovery serves the end of a log that it has not flushed.
    RecoveryDoesNotFlush,
    /// A deferred update is evaluated on the snapshot's row.
    #[cfg_attr(mutants, expect(dead_code, reason = "flaws are looked for in the normal build"))]
    DeferredOnSnapshot,
}

/// The kind of a [`Script`].
const KIND: u8 = 201;

/// The transaction's function.
#[derive(Clone, Debug)]
pub struct Script {
    pub txn: Txn,
    pub key_count: usize,
    pub reads: Vec<Key>,
    pub writes: Vec<(Key, Tombstone)>,
    pub scans: bool,
    pub validation: Validation,
    /// What the snapshot showed, used instead of the row as it is: a flaw.
    pub deferred_seen: Vec<(Key, Seen)>,
    pub schema: Option<SchemaVersion>,
    pub installs: Installs,
}

impl Script {
    /// The footprint, in the order that [`Script::evaluate`] relies on: reads first.
    pub fn footprint(&self, planned: SchemaVersion, above: Timestamp) -> Footprint {
        let mut footprint = Footprint::new();
        footprint.planned_at(TABLE, planned);
        footprint.execute_above(above);
        for key in &self.reads {
            let written = self.writes.iter().any(|(write, _)| write == key);
            let access = if written { Access::ReadWrite } else { Access::Read };
            footprint.point(TABLE, token_of(*key), &[*key as u8], access);
        }
        for (key, _) in &self.writes {
            if !self.reads.contains(key) {
                footprint.point(TABLE, token_of(*key), &[*key as u8], Access::Write);
            }
        }
        if self.scans || !self.validation.ranges.is_empty() {
            let need =
                if self.scans { RangeNeed::Rows { limit: 100 } } else { RangeNeed::ChangedAt };
            footprint.range(TABLE, TokenRange::ALL, (&[], None), Access::Read, need);
        }
        if self.schema.is_some() || self.installs == Installs::WhenDurable {
            footprint.whole_table(TABLE, Access::Write);
        }
        if self.schema.is_some() {
            let catalog = self.key_count;
            footprint.point(CATALOG, token_of(catalog), &[catalog as u8], Access::Write);
        }
        footprint
    }

    fn observe(&self, view: &dyn View) -> Vec<(Key, Seen)> {
        let mut seen = Vec::new();
        for (point, key) in self.reads.iter().enumerate() {
            let snapshot = self.deferred_seen.iter().find(|(deferred, _)| deferred == key);
            let current = view.point(point).map(|version| writer_of(&version.row));
            seen.push((*key, snapshot.map_or(current, |(_, writer)| *writer)));
        }
        if self.scans {
            let mut writers = vec![None; self.key_count];
            view.range(0, &mut |key, _, row| writers[usize::from(key[0])] = Some(writer_of(row)));
            seen.extend(writers.into_iter().enumerate());
        }
        seen
    }
}

impl Workload for Script {
    fn evaluate(&self, _execute_at: Timestamp, view: &dyn View) -> Outcome {
        if let Err(abort) = self.validation.check(view) {
            return Outcome::Abort(abort);
        }
        let seen = self.observe(view);
        let mut writes: Vec<Write> = Vec::new();
        for (key, tombstone) in &self.writes {
            writes.push(self.write(TABLE, *key, *tombstone, &seen));
        }
        let mut schema = Vec::new();
        if let Some(version) = self.schema {
            writes.push(self.write(CATALOG, self.key_count, Tombstone::No, &seen));
            schema.push(SchemaChange { table: TABLE, version: Some(version) });
        }
        let bulk = self.installs == Installs::WhenDurable;
        let attachment = if bulk { vec![1] } else { Vec::new() };
        let (installs, reply) = (self.installs, encode_seen(&seen));
        Outcome::Commit(Commit { writes, schema, attachment, installs, reply })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::after(std::mem::take(out));
        encoder.u8(KIND);
        encoder.varint(self.txn as u64);
        encoder.varint(self.key_count as u64);
        encoder.varint(self.reads.len() as u64);
        self.reads.iter().for_each(|key| encoder.varint(*key as u64));
        encoder.varint(self.writes.len() as u64);
        for (key, tombstone) in &self.writes {
            encoder.varint(*key as u64);
            encoder.bool(*tombstone == Tombstone::Yes);
        }
        encoder.bool(self.scans);
        self.validation.encode(&mut encoder);
        encoder.var_bytes(&encode_seen(&self.deferred_seen));
        encoder.bool(self.schema.is_some());
        encoder.varint(self.schema.map_or(0, |version| version.0));
        encoder.bool(self.installs == Installs::WhenDurable);
        *out = encoder.into_bytes();
    }
}

impl Script {
    fn write(&self, table: TableId, key: Key, dead: Tombstone, seen: &[(Key, Seen)]) -> Write {
        let row = Some(encode_row(self.txn, dead, seen));
        Write { table, token: token_of(key), key: vec![key as u8], row }
    }
}

/// What a client was shown by one statement of an interactive transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    pub key: Key,
    pub writer: Seen,
    pub version: Option<Timestamp>,
}

/// The COMMIT of an interactive transaction that was shown `shown` at `snapshot`.
pub fn validation_of(kind: &Kind, shown: &[Shown], snapshot: Timestamp) -> Validation {
    let mut validation = Validation::default();
    match kind {
        Kind::Interactive { reads, deferred, .. } => {
            let (all_reads, _) = kind.points();
            for (point, key) in all_reads.iter().enumerate() {
                let statement = shown.iter().find(|shown| shown.key == *key);
                let version = statement.expect("each key was read").version;
                let expected = match version {
                    None => Expected::Absent,
                    Some(version) if reads.contains(key) => Expected::Version(version),
                    Some(_) => {
                        assert!(deferred.contains(key));
                        Expected::Present
                    }
                };
                validation.points.push((point, expected));
            }
        }
        Kind::InteractiveScan { .. } => validation.ranges.push((0, snapshot)),
        _ => {}
    }
    validation
}

/// Whether an abort is one that the scripts can cause.
pub fn is_expected(abort: &Abort) -> bool {
    matches!(
        abort,
        Abort::PointChanged(_)
            | Abort::RangeChanged(_)
            | Abort::SchemaChanged { .. }
            | Abort::NotLogged(_)
    )
}
