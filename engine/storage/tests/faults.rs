//! What is wrong on disk is never a wrong answer: flipped bits anywhere, a full disk, a device that fails.

#[path = "support/double.rs"]
mod double;
#[path = "support/rot.rs"]
mod rot;
#[path = "support/rows.rs"]
mod rows;
#[path = "support/workload.rs"]
mod workload;

use double::{Image, Machine};
use rot::{check_flipped_bits, commit, read};
use storage::{StorageErrorKind, StorageOptions};
use types::prng::Prng;
use workload::{key_of, open, options, row_of, slice_of};

#[test]
fn a_flipped_bit_is_the_right_answer_or_a_typed_error() {
    check_flipped_bits(7);
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
