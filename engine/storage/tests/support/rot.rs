//! Flipped bits, and the few helpers of the tests that need no model.
#![allow(dead_code, reason = "each test file uses a part of it")]

use storage::{StorageError, StorageErrorKind, StorageOptions, Tree, WriteBatchBuilder};
use types::prng::Prng;
use types::{ByteCount, KIB, TableId, Timestamp};

use crate::double::{Image, Machine};
use crate::workload::{Node, key_of, layout, open, options, row_of, slice_of};

pub const TABLE: TableId = TableId(20);

fn put(number: i64, clock: u64, text: usize) -> Vec<u8> {
    let mut builder = WriteBatchBuilder::new();
    builder.define(&layout(TABLE));
    let key = key_of(number);
    builder.put(TABLE, slice_of(&key), &key, &row_of(number, clock as i64, text));
    builder.encode(Timestamp::new(0, clock, 0))
}

/// Commits a row on its own shard and waits until it is durable.
pub fn commit(
    machine: &mut Machine,
    node: &Node,
    number: i64,
    clock: u64,
) -> Result<(), StorageError> {
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

pub fn read(
    machine: &mut Machine,
    tree: &Tree,
    number: i64,
) -> Result<Option<Vec<u8>>, StorageError> {
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

/// Flips bits in every file; each time the directory must be refused, or each row must be right or refused.
pub fn check_flipped_bits(seed: u64) {
    let (image, options) = directory(seed);
    let mut prng = Prng::new(seed + 1);
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
