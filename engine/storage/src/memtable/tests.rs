//! The memtable against a `BTreeMap`, and what it costs.

use std::collections::BTreeMap;

use sstable::{RowContent, RunCursor, VersionMerge};
use types::prng::Prng;
use types::{SliceId, TableId, Timestamp};

use super::{FrozenTable, Memtable};
use crate::position::LogPosition;
use crate::write_batch::RowWrite;

type Model = BTreeMap<(u16, Vec<u8>, std::cmp::Reverse<u64>), Option<Vec<u8>>>;

fn at(micros: u64) -> Timestamp {
    Timestamp::new(0, micros, 0)
}

fn key_of(prng: &mut Prng) -> Vec<u8> {
    let length = prng.below(12) as usize;
    (0..length).map(|_| prng.below(3) as u8).collect()
}

#[test]
fn agrees_with_a_map() {
    for seed in 0..30 {
        let mut prng = Prng::new(seed);
        let mut memtable = Memtable::new(256);
        let mut model = Model::new();
        let table = TableId(9);
        for step in 1..3000u64 {
            let slice = prng.below(3) as u16;
            let key = key_of(&mut prng);
            let micros = if prng.below(3) == 0 { prng.below(step) + 1 } else { step };
            let row = (prng.below(4) > 0).then(|| step.to_le_bytes().to_vec());
            let write = RowWrite { table, slice: SliceId(slice), key: &key, row: row.as_deref() };
            memtable.insert(&write, at(micros), LogPosition::new(1, step as u32));
            model.insert((slice, key, std::cmp::Reverse(micros)), row);
        }
        for _ in 0..1000 {
            let slice = prng.below(3) as u16;
            let key = key_of(&mut prng);
            let micros = prng.below(3100);
            let expected = model
                .range((slice, key.clone(), std::cmp::Reverse(micros))..)
                .next()
                .filter(|(found, _)| found.0 == slice && found.1 == key);
            let found = memtable.get(table, SliceId(slice), &key, at(micros));
            match (expected, found) {
                (None, None) => {}
                (Some((place, row)), Some(version)) => {
                    assert_eq!(version.execute_at, at(place.2.0));
                    assert_eq!(version.row.as_deref(), row.as_deref());
                }
                (expected, found) => panic!("expected {expected:?}, found {found:?}"),
            }
        }
        let mut view = FrozenTable::empty(table);
        memtable.freeze_into(&mut view);
        let sources: Vec<RunCursor> = view.runs().into_iter().map(RunCursor::new).collect();
        let mut merge = VersionMerge::new(sources, Timestamp::ZERO, |_, _| true);
        for ((slice, key, micros), row) in &model {
            let Ok(version) = merge.next_version();
            let version = version.expect("as many as the model has");
            assert_eq!((version.slice.0, version.key), (*slice, &key[..]));
            assert_eq!(version.execute_at, at(micros.0));
            let content = row.as_deref().map_or(RowContent::Tombstone, RowContent::Row);
            assert_eq!(version.content, content);
        }
        let Ok(end) = merge.next_version();
        assert!(end.is_none());
        for slice in 0..3u16 {
            let from = key_of(&mut prng);
            let mut scan = memtable.scan(table, SliceId(slice), &from);
            let expected = model
                .range((slice, from.clone(), std::cmp::Reverse(u64::MAX))..)
                .take_while(|(place, _)| place.0 == slice);
            for ((_, key, micros), _) in expected {
                let head = scan.head().expect("as many as the model has");
                assert_eq!((head.key, head.execute_at), (&key[..], at(micros.0)));
                scan.advance();
            }
            assert!(scan.head().is_none());
        }
    }
}

#[test]
fn a_frozen_view_never_changes() {
    let mut memtable = Memtable::new(256);
    let table = TableId(1);
    let mut prng = Prng::new(5);
    let mut views: Vec<(FrozenTable, usize)> = Vec::new();
    for step in 1..500u64 {
        let key = prng.next_u64().to_be_bytes();
        let write = RowWrite { table, slice: SliceId(0), key: &key, row: Some(&key) };
        memtable.insert(&write, at(step), LogPosition::NONE);
        if prng.below(10) == 0 {
            let mut view = FrozenTable::empty(table);
            memtable.freeze_into(&mut view);
            views.push((view, step as usize));
        }
    }
    memtable.seal();
    drop(memtable);
    for (view, count) in views {
        let rows: usize = view.runs().iter().map(|run| run.len()).sum();
        assert_eq!(rows, count);
        assert_eq!(view.highest_execute_at(), at(count as u64));
    }
}
