//! A recovered node against the model: first what the crash decided, record by record, then every read.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use platform::JobClass;
use storage::{LogPosition, RangeLookup, RangeRead, RowVersion};
use types::prng::Prng;
use types::{LogId, SliceId, TableId, Timestamp};

use crate::model::{Key, Model, TableState, Transaction};
use crate::node::{KEYS, Node, at, key_of, slice_of, slices, values_of};
use crate::rows::rows_of;

/// Works out what of the unacknowledged survived, and asserts that nothing acknowledged is missing.
pub async fn settle(node: &Node, model: &mut Model) {
    settle_tables(node, model);
    settle_floor(node, model);
    let mut lost: BTreeSet<u64> = BTreeSet::new();
    let mut lost_from: BTreeMap<LogId, LogPosition> = BTreeMap::new();
    let mut kept_through: BTreeMap<LogId, LogPosition> = BTreeMap::new();
    let mut highest = 0;
    for transaction in &model.transactions {
        // At the floor a tombstone may be gone, below it any version; and only what is acknowledged is there.
        let readable = transaction.at > model.floor;
        assert!(readable || transaction.acknowledged, "the floor passed an open transaction");
        let mut present = Vec::new();
        for (key, row) in &transaction.rows {
            if readable && model.state(key.0) == TableState::Live {
                present
                    .push((*key, holds_exactly(node, key, transaction.at, row.as_deref()).await));
            }
        }
        let there = present.iter().filter(|(_, there)| *there).count();
        let (position, log) = (transaction.position, transaction.log);
        if transaction.acknowledged {
            let all = there == present.len();
            assert!(
                all,
                "acknowledged at {} in log {log} at {position} and lost: {present:?}, {:?}",
                transaction.at, node.report
            );
        }
        if there == present.len() {
            // A record of which no row can be asked for proves nothing.
            if there > 0 {
                highest = highest.max(transaction.at);
                let through = kept_through.entry(log).or_insert(position);
                *through = (*through).max(position);
            }
            continue;
        }
        assert_eq!(there, 0, "the record at {} survives in part: {present:?}", transaction.at);
        let made = transaction.makes.map(|table| model.state(table));
        assert_ne!(made, Some(TableState::Live), "a table came without its rows");
        lost.insert(transaction.at);
        let from = lost_from.entry(log).or_insert(position);
        *from = (*from).min(position);
    }
    for (log, from) in lost_from {
        let through = kept_through.get(&log).copied().unwrap_or(LogPosition::NONE);
        assert!(through < from, "{log}: the record at {from} is lost, a later one is there");
    }
    assert!(node.reservation >= at(highest), "a timestamp may be given twice");
    model.lose(&lost);
    model.pins.clear();
}

/// A floor that was not acknowledged has risen or not; wherever it is now, everything above it is there.
fn settle_floor(node: &Node, model: &mut Model) {
    let floors: Vec<u64> = node.trees.iter().map(|tree| tree.floor().hlc()).collect();
    assert!(floors.iter().all(|floor| *floor == floors[0]), "{floors:?}");
    assert!(floors[0] <= model.floor, "the floor is above what anybody asked for");
    assert!(floors[0] >= model.floor_told, "the floor fell");
    model.floor = floors[0];
}

/// A definition or a drop that was not acknowledged has happened everywhere or nowhere.
fn settle_tables(node: &Node, model: &mut Model) {
    let mut gone = Vec::new();
    for (id, table) in &mut model.tables {
        let layouts: Vec<Option<usize>> = node
            .trees
            .iter()
            .map(|tree| tree.layout(*id).map(|layout| layout.columns.len()))
            .collect();
        assert!(layouts.iter().all(|other| *other == layouts[0]), "table {id}: {layouts:?}");
        match (table.state, layouts[0]) {
            (TableState::Defining, None) => {
                let told = |other: &Transaction| other.acknowledged && other.makes == Some(*id);
                assert!(!model.transactions.iter().any(told), "table {id} is lost with its rows");
                gone.push(*id);
            }
            (TableState::Dropping | TableState::Dropped, None) => table.state = TableState::Dropped,
            (TableState::Defining | TableState::Live | TableState::Dropping, Some(columns)) => {
                table.state = TableState::Live;
                assert!(columns >= table.columns, "table {id} lost a column");
                assert!(columns <= table.columns_asked, "table {id} has an unknown column");
                table.columns = columns;
                table.columns_asked = columns;
            }
            (TableState::Live, None) => panic!("table {id} is lost"),
            (TableState::Dropped, Some(_)) => panic!("table {id} is back"),
        }
    }
    model.tables.retain(|id, _| !gone.contains(id));
}

async fn holds_exactly(node: &Node, key: &Key, clock: u64, row: Option<&[u8]>) -> bool {
    let slice = slice_of(key.1);
    let tree = node.tree_of(slice);
    let found = tree.read(key.0, slice, &key_of(key.1), at(clock)).await;
    let found = found.unwrap_or_else(|error| panic!("{key:?} at {clock}: {error}"));
    match found {
        Some(version) if version.execute_at == at(clock) => {
            let same = version.row.as_deref().map(values_of) == row.map(values_of);
            assert!(same, "{key:?} at {clock} holds another row");
            true
        }
        _ => false,
    }
}

/// Asserts that what a point read found is what the model holds.
pub fn check_point(model: &Model, key: &Key, clock: u64, found: Option<&RowVersion>) {
    let expected = model.expected(key, clock);
    match (&expected, found) {
        // A tombstone may be gone, or be there.
        (None | Some((_, None)), None) => {}
        (Some((written_at, row)), Some(version)) => {
            assert_eq!(version.execute_at, at(*written_at), "{key:?} at {clock}");
            let (found, row) = (version.row.as_deref(), row.as_deref());
            assert_eq!(found.map(values_of), row.map(values_of), "{key:?} at {clock}");
        }
        _ => panic!("{key:?} at {clock}: expected {expected:?}, found {found:?}"),
    }
}

/// Reads a slice of a table at a timestamp, in small portions.
pub async fn read_slice(
    node: &Node,
    table: TableId,
    slice: SliceId,
    clock: u64,
    rows_max: usize,
) -> Result<Vec<(Vec<u8>, RowVersion)>, storage::StorageError> {
    let tree = node.tree_of(slice);
    let mut read = RangeRead {
        table,
        slice,
        start: Vec::new(),
        end: None,
        at: at(clock),
        rows_max,
        bytes_max: 4000,
    };
    let mut rows = Vec::new();
    loop {
        let loaded = tree.load_range(&read).await?;
        let RangeLookup::Rows(found) = tree.read_range(&read)? else {
            panic!("it was just loaded and is held")
        };
        drop(loaded);
        rows.extend(found.rows);
        match found.resume {
            Some(resume) => read.start = resume,
            None => return Ok(rows),
        }
    }
}

/// Asserts that a range read found what the model holds.
pub fn check_slice(
    model: &Model,
    (table, slice): (TableId, SliceId),
    clock: u64,
    found: &[(Vec<u8>, RowVersion)],
) {
    let expected: Vec<_> = (0..KEYS)
        .filter(|number| slice_of(*number) == slice)
        .filter_map(|number| {
            let (written_at, row) = model.expected(&(table, number), clock)?;
            Some((key_of(number), at(written_at), values_of(row.as_deref()?)))
        })
        .collect();
    let found: Vec<_> = found
        .iter()
        .map(|(key, version)| {
            let row = version.row.as_deref().expect("ranges give rows");
            (key.clone(), version.execute_at, values_of(row))
        })
        .collect();
    assert_eq!(found, expected, "{table:?} {slice:?} at {clock}");
}

/// A clock at or above the floor: now, or any.
pub fn some_clock(model: &Model, prng: &mut Prng) -> u64 {
    match prng.below(2) {
        0 => model.clock,
        _ => model.floor + prng.below(model.clock - model.floor + 1),
    }
}

/// Every read of everything, now and at some older timestamps, by ranges and now and then by snapshots.
pub async fn check_everything(node: &Node, model: &Model, prng: &mut Prng) {
    for (table, known) in &model.tables {
        let clocks = [model.clock, some_clock(model, prng), model.floor];
        for slice in (0..slices().get()).map(SliceId) {
            for clock in clocks {
                let rows_max = 1 + prng.below(12) as usize;
                let found = read_slice(node, *table, slice, clock, rows_max).await;
                let found = found.unwrap_or_else(|error| panic!("{table:?} at {clock}: {error}"));
                if known.state == TableState::Live {
                    check_slice(model, (*table, slice), clock, &found);
                } else {
                    assert!(found.is_empty(), "{table:?} was dropped and is back");
                }
            }
        }
        for _ in 0..4 {
            let key = (*table, prng.below(KEYS as u64) as i64);
            let clock = some_clock(model, prng);
            let slice = slice_of(key.1);
            let read = node.tree_of(slice).read(key.0, slice, &key_of(key.1), at(clock)).await;
            let read = read.unwrap_or_else(|error| panic!("{key:?} at {clock}: {error}"));
            if known.state == TableState::Live {
                check_point(model, &key, clock, read.as_ref());
            }
        }
        if known.state == TableState::Live && prng.below(8) == 0 {
            check_frozen(node, model, *table, some_clock(model, prng));
        }
    }
    if prng.below(16) == 0 {
        let io = node.platforms[0].background.block_io(JobClass::Optional);
        let cancel = platform::CancelFlag::new();
        let report = storage::inspect::verify(&*io, &cancel, &node.directory.path);
        let report = report.expect("the identity is readable");
        assert!(report.damage.is_empty(), "{:?}", report.damage);
    }
}

/// A frozen table, merged from chunks and files as analytics merges them, is the model.
pub fn check_frozen(node: &Node, model: &Model, table: TableId, clock: u64) {
    let mut newest: BTreeMap<Vec<u8>, (Timestamp, bool)> = BTreeMap::new();
    for tree in &node.trees {
        let lease = Duration::from_secs(60);
        let snapshot = tree.freeze(table, at(clock), "test", lease).expect("above the floor");
        let mut note = |key: &[u8], when: Timestamp, tombstone: bool| {
            let known = newest.get(key).is_some_and(|(known, _)| *known >= when);
            if when <= at(clock) && !known {
                newest.insert(key.to_vec(), (when, tombstone));
            }
        };
        for run in snapshot.frozen.runs() {
            for row in 0..run.len() {
                let version = run.version(row);
                let tombstone = version.content == sstable::RowContent::Tombstone;
                note(version.key, version.execute_at, tombstone);
            }
        }
        let io = node.platforms[0].background.block_io(JobClass::Scan);
        for piece in &snapshot.pieces {
            for (key, when, tombstone) in rows_of(&*io, piece) {
                note(&key, when, tombstone);
            }
        }
    }
    for number in 0..KEYS {
        let expected = model.expected(&(table, number), clock);
        let expected = expected.filter(|(_, row)| row.is_some()).map(|(clock, _)| at(clock));
        let found = newest.get(&key_of(number)).filter(|(_, tombstone)| !tombstone);
        let found = found.map(|(when, _)| *when);
        assert_eq!(found, expected, "snapshot of {table:?}, key {number}, at {clock}");
    }
}

/// The model as tasks share it.
pub type SharedModel = Rc<RefCell<Model>>;
