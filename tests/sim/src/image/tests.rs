//! The disk's promises, one by one.

use super::*;

fn coverage(below: u64, in_flight: &[u64]) -> Coverage {
    let in_flight = in_flight.iter().map(|change| ChangeId(*change)).collect();
    Coverage { below: ChangeId(below), in_flight, linked: Vec::new() }
}

fn block(fill: u8) -> Vec<u8> {
    vec![fill; BLOCK_BYTES]
}

fn first_byte(disk: &DiskState, file: u64, sector: usize) -> u8 {
    let mut bytes = [0; BLOCK_BYTES];
    disk.file(file).read(0, &mut bytes);
    bytes[sector * SECTOR_BYTES]
}

fn disk_with_a_file() -> (DiskState, u64) {
    let mut disk = DiskState::default();
    let file = disk.create(ChangeId(0), PathBuf::from("/file"));
    disk.file_mut(file).write(0, &block(1), ChangeId(1));
    disk.sync_directory(Path::new("/"), &coverage(2, &[]));
    disk.file_mut(file).sync(&coverage(2, &[]));
    (disk, file)
}

#[test]
fn a_flush_covers_what_had_completed_and_nothing_else() {
    let (mut disk, file) = disk_with_a_file();
    disk.file_mut(file).write(0, &block(2), ChangeId(2));
    disk.file_mut(file).write(0, &block(3), ChangeId(3));
    disk.file_mut(file).sync(&coverage(4, &[3]));
    let prng = &mut Prng::new(1);
    let lost = disk.survive(Survival::None, prng);
    assert_eq!(first_byte(&lost, file, 0), 2);
    let mut seen = BTreeSet::new();
    for _ in 0..50 {
        let torn = disk.survive(Survival::Torn, prng);
        seen.extend((0..8).map(|sector| first_byte(&torn, file, sector)));
    }
    assert_eq!(seen, BTreeSet::from([2, 3]), "what was before the covered write is gone");
    let linked = Coverage { linked: vec![ChangeId(3)], ..coverage(4, &[3]) };
    disk.file_mut(file).sync(&linked);
    assert_eq!(first_byte(&disk.survive(Survival::None, prng), file, 0), 3);
}

#[test]
fn names_and_lengths_are_durable_after_the_right_flush_only() {
    let (mut disk, file) = disk_with_a_file();
    let prng = &mut Prng::new(2);
    let other = disk.create(ChangeId(2), PathBuf::from("/other"));
    disk.file_mut(other).write(0, &block(7), ChangeId(3));
    disk.file_mut(file).write(4096, &block(8), ChangeId(4));
    disk.file_mut(other).sync(&coverage(5, &[]));
    let left = disk.survive(Survival::None, prng);
    assert_eq!(left.names.len(), 1, "the name was not flushed");
    assert_eq!(left.file(file).bytes, 4096, "the length was not flushed");
    disk.sync_directory(Path::new("/"), &coverage(5, &[]));
    let left = disk.survive(Survival::None, prng);
    assert_eq!(left.names.len(), 2);
    assert_eq!(first_byte(&left, other, 0), 7);
    disk.change_names(ChangeId(5), NameChange::Remove { path: "/file".into() });
    assert_eq!(disk.survive(Survival::None, prng).names.len(), 2, "removals can be lost, too");
    assert_eq!(disk.survive(Survival::All, prng).names.len(), 1);
    let node = Node::File(other);
    let renamed = NameChange::Rename { source: "/other".into(), target: "/file".into(), node };
    disk.change_names(ChangeId(6), renamed);
    for _ in 0..20 {
        let names = disk.survive(Survival::Torn, prng).names;
        assert!(names.contains_key(Path::new("/other")) || names.contains_key(Path::new("/file")));
    }
}

#[test]
fn a_directory_that_is_lost_takes_its_files_along() {
    let mut disk = DiskState::default();
    let node = Node::Directory;
    disk.change_names(ChangeId(0), NameChange::Set { path: "/data".into(), node });
    disk.create(ChangeId(1), PathBuf::from("/data/file"));
    disk.sync_directory(Path::new("/data"), &coverage(2, &[]));
    let prng = &mut Prng::new(3);
    assert!(disk.survive(Survival::None, prng).names.is_empty());
    disk.sync_directory(Path::new("/"), &coverage(2, &[]));
    assert_eq!(disk.survive(Survival::None, prng).names.len(), 2);
}

#[test]
fn a_prefix_keeps_earlier_changes_before_later_ones() {
    let (mut disk, file) = disk_with_a_file();
    for change in 2..10u64 {
        disk.file_mut(file).write((change - 2) * 4096, &block(change as u8), ChangeId(change));
    }
    let prng = &mut Prng::new(4);
    let mut lengths = BTreeSet::new();
    for _ in 0..100 {
        let left = disk.survive(Survival::Prefix, prng);
        let blocks = left.file(file).bytes / 4096;
        for number in 0..blocks {
            let mut bytes = [0; BLOCK_BYTES];
            left.file(file).read(number * 4096, &mut bytes);
            let expected = number as u8 + 2;
            assert!(bytes[0] == expected || (number == 0 && bytes[0] == 1));
        }
        lengths.insert(blocks);
    }
    assert_eq!(lengths.len(), 8);
}
