//! What is wrong on disk is never a wrong answer: flipped bits anywhere, a full disk, a device that fails.

#[path = "support/double.rs"]
mod double;
#[path = "support/rows.rs"]
mod rows;
#[path = "support/workload.rs"]
mod workload;

use double::{Image, Machine};
use storage::{StorageError, StorageErrorKind, StorageOptions, Tree, WriteBatchBuilder};
use types::prng::Prng;
use types::{ByteCount, KIB, TableId, Timestamp};
use workload::{Node, key_of, layout, open, options, row_of, slice_of};

const TABLE: TableId = TableId(20);

fn put(number: i64, clock: u64, text: usize) -> Vec<u8> {
    let mut builder = WriteBatchBuilder::new();
    builder.define(&layout(TABLE));
    let key = key_of(number);
    builder.put(TABLE, slice_of(&key), &key, &row_of(number, clock as i64, text));
    builder.encode(Timestamp::new(0, clock, 0))
}

/// Commits a row on its own shard and waits until it is durable.
fn commit(machine: &mut Machine, node: &Node, number: i64, clock: u64) -> Result<(), StorageError> {
    let tree = node.tree_of(slice_of(&key_of(number))).clone();
    let payload = put(number, clock, 20);
    machine
        .run(async move {
            tree.admit(payload.len()).await?;
            let position = tree.commit(1, &payload)?;
            tree.wait_durable(position).await
        })
        .expect("the machine runs")
}

fn read(machine: &mut Machine, tree: &Tree, number: i64) -> Result<Option<Vec<u8>>, StorageError> {
    let tree = tree.clone();
    let key = key_of(number);
    machine
        .run(async move {
            let at = Timestamp::MAX;
            let found = tree.read(TABLE, slice_of(&key), &key, at).await?;
            Ok(found.and_then(|version| version.row.map(|row| row.to_vec())))
        })
        .expect("the machine runs")
}

/// A directory with files of several levels, a log and two shards. Row i has the clock 100 + i.
fn directory(seed: u64) -> (Image, StorageOptions) {
    let mut prng = Prng::new(seed);
    let options = StorageOptions { memtable_bytes: ByteCount(32 * KIB), ..options(&mut prng) };
    let mut machine = Machine::new(seed, Image::default());
    let node = open(&mut machine, 2, &options).expect("runs").expect("a new directory opens");
    for number in 0..40 {
        commit(&mut machine, &node, number, 100 + number as u64).expect("healthy");
        if number % 13 == 12 {
            for tree in node.trees.clone() {
                machine.run(async move { tree.flush().await }).expect("runs").expect("healthy");
            }
        }
        if number == 30 {
            for tree in node.trees.clone() {
                machine
                    .run(async move { tree.compact_table(TABLE).await })
                    .expect("runs")
                    .expect("healthy");
            }
        }
    }
    // Long enough for the idle log to write its last claim.
    machine.pass(200_000_000).expect("runs");
    (machine.kill(), options)
}

#[test]
fn a_flipped_bit_is_the_right_answer_or_a_typed_error() {
    let (image, options) = directory(7);
    let mut prng = Prng::new(8);
    let mut refused = 0;
    let mut unharmed = 0;
    for (name, bytes) in image.files() {
        if name == "reserve" {
            continue;
        }
        for _ in 0..60 {
            let mut rotten = image.clone();
            rotten.flip(&name, prng.index(bytes), prng.below(8) as u8);
            let mut machine = Machine::new(1, rotten);
            let node = match open(&mut machine, 2, &options).expect("runs") {
                Ok(node) => node,
                Err(error) => {
                    assert_eq!(error.kind(), StorageErrorKind::Damage, "{name}: {error}");
                    refused += 1;
                    continue;
                }
            };
            let mut damaged = false;
            for number in 0..40 {
                let tree = node.tree_of(slice_of(&key_of(number))).clone();
                match read(&mut machine, &tree, number) {
                    Ok(row) => {
                        let expected = row_of(number, 100 + number, 20);
                        assert_eq!(row, Some(expected), "{name}: key {number}");
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), StorageErrorKind::Damage, "{name}: {error}");
                        damaged = true;
                    }
                }
            }
            if damaged { refused += 1 } else { unharmed += 1 }
        }
    }
    assert!(refused > 20, "{refused} refused");
    assert!(unharmed > 20, "{unharmed} unharmed");
}

#[test]
fn a_full_disk_refuses_writes_and_goes_on_when_there_is_room() {
    let mut prng = Prng::new(3);
    let options = StorageOptions { segments_per_shard_max: 4, ..options(&mut prng) };
    let options = StorageOptions { segments_per_shard: 4, ..options };
    let mut machine = Machine::new(3, Image::default());
    let node = open(&mut machine, 1, &options).expect("runs").expect("a new directory opens");
    machine.set_capacity(Some(machine.disk_bytes()));
    let mut clock = 100;
    let mut acknowledged = Vec::new();
    let error = loop {
        clock += 1;
        assert!(clock < 20_000, "a full disk refuses at last");
        match commit(&mut machine, &node, clock as i64 % 50, clock) {
            Ok(()) => acknowledged.push(clock),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), StorageErrorKind::NoSpace, "{error}");
    // Reads go on.
    let last = *acknowledged.last().expect("some were taken");
    let tree = node.trees[0].clone();
    let found = read(&mut machine, &tree, last as i64 % 50).expect("reads go on");
    assert_eq!(found, Some(row_of(last as i64 % 50, last as i64, 20)));
    // Work resumes when there is room.
    machine.set_capacity(None);
    machine.pass(5_000_000_000).expect("runs");
    clock += 1;
    commit(&mut machine, &node, clock as i64 % 50, clock).expect("there is room again");
    acknowledged.push(clock);
    // And nothing acknowledged was lost on the way.
    drop((node, tree));
    let mut machine = Machine::new(4, machine.power_cut());
    let node = open(&mut machine, 3, &options).expect("runs").expect("it opens");
    for number in 0..50i64 {
        let newest = acknowledged.iter().rev().find(|clock| **clock as i64 % 50 == number);
        let tree = node.tree_of(slice_of(&key_of(number))).clone();
        let expected = newest.map(|clock| row_of(number, *clock as i64, 20));
        assert_eq!(read(&mut machine, &tree, number).expect("sound"), expected);
    }
}

#[test]
fn a_failed_device_fences_and_is_not_tried_again() {
    let mut prng = Prng::new(5);
    let options = options(&mut prng);
    let mut machine = Machine::new(5, Image::default());
    let node = open(&mut machine, 1, &options).expect("runs").expect("a new directory opens");
    commit(&mut machine, &node, 1, 101).expect("healthy");
    machine.fail_device();
    let error = commit(&mut machine, &node, 2, 102).expect_err("the flush failed");
    assert_eq!(error.kind(), StorageErrorKind::Fenced);
    machine.heal_device();
    let error = commit(&mut machine, &node, 3, 103).expect_err("fenced for ever");
    assert_eq!(error.kind(), StorageErrorKind::Fenced);
    // The next start serves what was acknowledged.
    drop(node);
    let mut machine = Machine::new(6, machine.power_cut());
    let node = open(&mut machine, 1, &options).expect("runs").expect("it opens");
    let tree = node.trees[0].clone();
    assert_eq!(read(&mut machine, &tree, 1).expect("sound"), Some(row_of(1, 101, 20)));
}

#[test]
fn a_foreign_directory_is_refused() {
    let mut machine = Machine::new(1, Image::default());
    let platform = machine.platform();
    machine
        .run(async move {
            let path = workload::path().join("somebody's.db");
            platform.disk.open(&path, platform::OpenMode::CreateNew).await.expect("made");
        })
        .expect("runs");
    let refused = open(&mut machine, 1, &options(&mut Prng::new(1))).expect("runs");
    let error = refused.err().expect("not ours");
    assert_eq!(error.kind(), StorageErrorKind::Foreign);
}
