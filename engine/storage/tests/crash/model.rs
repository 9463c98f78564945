//! What the directory must hold: every version of every key, tables, the floor; and what a crash may decide.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use storage::LogPosition;
use types::{LogId, TableId};

use crate::node::{CLOCK_FIRST, COLUMNS_FIRST};

pub type Key = (TableId, i64);
pub type Row = Option<Rc<[u8]>>;

/// A record of this start, as its client sees it.
#[derive(Clone)]
pub struct Transaction {
    pub at: u64,
    pub log: LogId,
    pub position: LogPosition,
    pub rows: Vec<(Key, Row)>,
    /// The table that it makes.
    pub makes: Option<TableId>,
    /// Its client was told.
    pub acknowledged: bool,
    /// Every participant shows it.
    pub applied: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableState {
    /// Its definition is not acknowledged.
    Defining,
    Live,
    /// Its drop is not acknowledged.
    Dropping,
    Dropped,
}

#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub state: TableState,
    /// Columns that are acknowledged; rows are written with so many.
    pub columns: usize,
    /// Columns that it may have.
    pub columns_asked: usize,
}

/// What a crash can come into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// A record of several shards is logged and some have not applied it.
    CrossShard,
    /// A log writes into a segment that it used before.
    SegmentReuse,
    Flush,
    Compaction,
    Floor,
    Publication,
    Define,
    Drop,
    Freeze,
}

impl Activity {
    pub const ALL: [Activity; 9] = [
        Activity::CrossShard,
        Activity::SegmentReuse,
        Activity::Flush,
        Activity::Compaction,
        Activity::Floor,
        Activity::Publication,
        Activity::Define,
        Activity::Drop,
        Activity::Freeze,
    ];
    pub const COUNT: usize = Self::ALL.len();
}

#[derive(Clone)]
pub struct Model {
    pub rows: BTreeMap<Key, BTreeMap<u64, Row>>,
    pub tables: BTreeMap<TableId, Table>,
    pub clock: u64,
    /// No read of ours goes below.
    pub floor: u64,
    /// The highest floor that was said to be durable on every shard.
    pub floor_told: u64,
    /// What goes on now, how often at once.
    pub running: [u32; Activity::COUNT],
    /// Snapshots that are open, with how often.
    pub pins: BTreeMap<u64, usize>,
    /// Those of the present start, and of crashed ones that nobody has looked at since.
    pub transactions: Vec<Transaction>,
    next_table: u32,
}

impl Model {
    pub fn new() -> Model {
        Model {
            rows: BTreeMap::new(),
            tables: BTreeMap::new(),
            clock: CLOCK_FIRST,
            floor: 0,
            floor_told: 0,
            running: [0; Activity::COUNT],
            pins: BTreeMap::new(),
            transactions: Vec::new(),
            next_table: 20,
        }
    }

    /// The next timestamp.
    pub fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// The newest version at or below a clock.
    pub fn expected(&self, key: &Key, clock: u64) -> Option<(u64, &Row)> {
        let (at, row) = self.rows.get(key)?.range(..=clock).next_back()?;
        Some((*at, row))
    }

    pub fn state(&self, table: TableId) -> TableState {
        self.tables.get(&table).map_or(TableState::Dropped, |table| table.state)
    }

    pub fn tables_in(&self, state: TableState) -> Vec<TableId> {
        let found = self.tables.iter().filter(|(_, table)| table.state == state);
        found.map(|(id, _)| *id).collect()
    }

    /// A table that is being made.
    pub fn new_table(&mut self) -> TableId {
        let id = TableId(self.next_table);
        self.next_table += 1;
        let (state, columns) = (TableState::Defining, COLUMNS_FIRST);
        self.tables.insert(id, Table { state, columns, columns_asked: columns });
        id
    }

    /// Tables that are made or being made.
    pub fn open_tables(&self) -> usize {
        let open = |table: &&Table| matches!(table.state, TableState::Live | TableState::Defining);
        self.tables.values().filter(open).count()
    }

    /// True if a version at or below a clock is logged and not shown everywhere yet.
    pub fn is_busy(&self, key: &Key, clock: u64) -> bool {
        self.transactions.iter().any(|transaction| {
            !transaction.applied
                && transaction.at <= clock
                && transaction.rows.iter().any(|(other, _)| other == key)
        })
    }

    pub fn is_table_busy(&self, table: TableId) -> bool {
        self.transactions.iter().any(|transaction| {
            !transaction.applied && transaction.rows.iter().any(|((other, _), _)| *other == table)
        })
    }

    /// Highest clock to which the floor may rise: below everything that a crash can take back, and every open snapshot.
    pub fn floor_max(&self) -> u64 {
        let open = self
            .transactions
            .iter()
            .filter(|transaction| !(transaction.acknowledged && transaction.applied))
            .map(|transaction| transaction.at - 1)
            .min();
        let pinned = self.pins.keys().next().copied();
        [open, pinned].into_iter().flatten().min().unwrap_or(self.clock)
    }

    pub fn pin(&mut self, clock: u64) {
        *self.pins.entry(clock).or_default() += 1;
    }

    pub fn unpin(&mut self, clock: u64) {
        let count = self.pins.get_mut(&clock).expect("it was pinned");
        *count -= 1;
        if *count == 0 {
            self.pins.remove(&clock);
        }
    }

    /// Notes a record that was logged.
    pub fn log(&mut self, transaction: Transaction) {
        for (key, row) in &transaction.rows {
            self.rows.entry(*key).or_default().insert(transaction.at, row.clone());
        }
        self.transactions.push(transaction);
    }

    /// Every participant shows the transaction.
    pub fn shown(&mut self, at: u64) {
        let transaction = self.transaction(at);
        transaction.applied = true;
        if let Some(table) = transaction.makes {
            self.tables.get_mut(&table).expect("it was being made").state = TableState::Live;
        }
    }

    pub fn transaction(&mut self, at: u64) -> &mut Transaction {
        let found = self.transactions.iter_mut().rev().find(|transaction| transaction.at == at);
        found.expect("it was logged in this start")
    }

    /// Forgets what a crash has taken.
    pub fn lose(&mut self, lost: &BTreeSet<u64>) {
        for transaction in self.transactions.drain(..) {
            if !lost.contains(&transaction.at) {
                continue;
            }
            for (key, _) in &transaction.rows {
                let versions = self.rows.get_mut(key).expect("it was written");
                versions.remove(&transaction.at);
            }
        }
    }
}

impl Model {
    /// What goes on now; a log of more segments than `segments_max` has come back to one.
    pub fn goes_on(&self, segments_max: u32) -> impl Iterator<Item = Activity> + '_ {
        let crosses = self.transactions.iter().any(|one| !one.applied);
        let reuses = self.transactions.iter().any(|one| one.position.generation() > segments_max);
        Activity::ALL.into_iter().filter(move |activity| match activity {
            Activity::CrossShard => crosses,
            Activity::SegmentReuse => reuses,
            _ => self.running[*activity as usize] > 0,
        })
    }
}
