//! Tables cut into overlapping files and runs: merges against the model.

use crate::model::{File, MapKey, Model, Table};
use sstable::{
    FileColumn, GarbageRule, KeyShape, MergeRun, Overlap, PageCheck, Position, PositionRange,
    RowContent, RunCursor, ScanRequest, Selection, VersionMerge, merge_visible,
};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::prng::Prng;
use types::{SliceId, Timestamp, Value};

fn cut(prng: &mut Prng, model: &Model, parts: usize) -> Vec<Model> {
    let mut models = vec![Model::default(); parts];
    // Either row by row, or whole stretches of keys in one source, so that galloping has something to gallop over.
    let stretch = [1, 1, 20, 200][prng.index(4)];
    let mut part = 0;
    for (number, (key, row)) in model.rows.iter().enumerate() {
        if number % stretch == 0 {
            part = prng.index(parts);
        }
        models[part].rows.insert(key.clone(), row.clone());
    }
    models
}

/// A table whose files carry timestamps.
fn table(prng: &mut Prng) -> Table {
    Table { sealed: false, ..Table::random(prng) }
}

struct Source {
    /// Values of all rows that the merge can name.
    rows: Vec<Vec<Value>>,
}

fn file_sources(file: &File, request: &ScanRequest, runs: &mut Vec<MergeRun>) -> Vec<Source> {
    let plan = file.metadata.plan_scan(request);
    let mut sources = Vec::new();
    for group in &plan.groups {
        let fetch = group.fetch(&file.metadata, &file.metadata.merge_columns());
        let fetched = fetch.with(file.buffers(&fetch)).expect("all ranges");
        let run = file.metadata.merge_run(request, group, &fetched, PageCheck::Verify);
        runs.push(run.expect("an undamaged file"));
        let all: Vec<FileColumn> =
            (0..file.table.types.len() as u16).map(FileColumn::Stored).collect();
        let everything = Selection::All(group.row_count);
        let columns = file.fetched_columns(group, &all, &everything).expect("undamaged");
        sources.push(Source { rows: file.values(&columns, group.row_count) });
    }
    sources
}

fn run_source(model: &Model, table: &Table) -> Source {
    let nulls = vec![Value::Null; table.types.len()];
    let rows = model.rows.values().map(|row| row.clone().unwrap_or(nulls.clone())).collect();
    Source { rows }
}

#[test]
fn a_scan_over_overlapping_sources_sees_what_the_model_sees() {
    for seed in 0..60 {
        let mut prng = Prng::new(1000 + seed);
        let table = table(&mut prng);
        let model = Model::random(&mut prng, &table);
        let part_count = 1 + prng.index(5);
        let parts = cut(&mut prng, &model, part_count);
        let files: Vec<File> = parts.iter().map(|part| part.build(&mut prng, &table)).collect();
        let keys: Vec<&MapKey> = model.rows.keys().collect();
        let position = |prng: &mut Prng| {
            (!keys.is_empty() && prng.below(2) == 0).then(|| {
                let (slice, key, _) = keys[prng.index(keys.len())];
                Position { slice: *slice, key: key.clone() }
            })
        };
        for _ in 0..4 {
            let at = Timestamp::new(1, prng.below(1100), 1);
            let positions = PositionRange { start: position(&mut prng), end: position(&mut prng) };
            let request = ScanRequest {
                positions: positions.clone(),
                overlap: Overlap::Merged,
                ..ScanRequest::everything(at)
            };
            let mut runs = Vec::new();
            let mut sources = Vec::new();
            for (index, (file, part)) in files.iter().zip(&parts).enumerate() {
                if index % 3 == 2 {
                    let run = part.run(&table);
                    let shape = file.metadata.key_schema().shape();
                    let inside = run.inside(&positions, &request.keys);
                    runs.push(run.merge_run(shape, &inside));
                    sources.push(run_source(part, &table));
                } else {
                    sources.extend(file_sources(file, &request, &mut runs));
                }
            }
            let mut found = Vec::new();
            for span in merge_visible(&runs, at) {
                let rows = &sources[span.run as usize].rows;
                found.extend(&rows[span.first as usize..(span.first + span.count) as usize]);
            }
            let expected = model.visible(at);
            let expected: Vec<&Vec<Value>> = expected
                .iter()
                .filter(|(slice, key, _)| positions.contains(*slice, key))
                .map(|(_, _, row)| row)
                .collect();
            assert_eq!(found.len(), expected.len(), "seed {seed}");
            let agree = |(a, b): (&&Vec<Value>, &&Vec<Value>)| crate::model::same(a, b);
            assert!(found.iter().zip(&expected).all(agree), "seed {seed}");
        }
    }
}

#[test]
fn runs_that_do_not_interleave_come_out_as_whole_spans() {
    let mut runs = Vec::new();
    for part in 0..4u64 {
        let mut run = sstable::SortedRun::new();
        for number in 0..1000u64 {
            run.push(sstable::RowVersion {
                slice: SliceId(0),
                key: &(part * 1000 + number).to_be_bytes(),
                execute_at: Timestamp::new(1, 5, 0),
                content: RowContent::Row(&[]),
            });
        }
        runs.push(run.merge_run(KeyShape::Word { bytes: 8 }, &Selection::All(1000)));
    }
    let spans = merge_visible(&runs, Timestamp::MAX);
    assert_eq!(spans.len(), 4);
    assert!(spans.iter().all(|span| span.count == 1000));
}

/// What the rule says, said again naively.
fn kept(
    model: &Model,
    floor: Timestamp,
    older_may_exist: impl Fn(&[u8]) -> bool,
) -> BTreeMap<MapKey, Option<Vec<Value>>> {
    let mut kept = BTreeMap::new();
    for ((slice, key, Reverse(at)), row) in &model.rows {
        let newer_below_floor = model.rows.keys().any(|(s, k, Reverse(other))| {
            (s, k) == (slice, key) && *other <= floor && *other > *at
        });
        let garbage =
            *at <= floor && (newer_below_floor || (row.is_none() && !older_may_exist(key)));
        if !garbage {
            kept.insert((*slice, key.clone(), Reverse(*at)), row.clone());
        }
    }
    kept
}

#[test]
fn compaction_keeps_what_can_be_read_and_nothing_else() {
    for seed in 0..40 {
        let mut prng = Prng::new(2000 + seed);
        let table = table(&mut prng);
        let mut model = Model::random(&mut prng, &table);
        let keep = 60;
        let extra: Vec<MapKey> = model.rows.keys().skip(keep).cloned().collect();
        extra.iter().for_each(|key| drop(model.rows.remove(key)));
        let part_count = 1 + prng.index(4);
        let parts = cut(&mut prng, &model, part_count);
        let floor = Timestamp::new(1, prng.below(1000), 1);
        let older = |key: &[u8]| key.iter().map(|byte| u64::from(*byte)).sum::<u64>() % 2 == 0;
        let mut sources: Vec<RunCursor> =
            parts.iter().map(|part| RunCursor::new(Arc::new(part.run(&table)))).collect();
        // The same version twice, as after a crash between install and truncation of the log.
        sources.push(RunCursor::new(Arc::new(parts[0].run(&table))));
        let mut merge = VersionMerge::new(sources, floor, |_, key: &[u8]| older(key));
        let expected = kept(&model, floor, older);
        let mut expected = expected.iter();
        while let Some(version) = merge.next_version().expect("runs cannot fail") {
            let ((slice, key, Reverse(at)), row) = expected.next().expect("no more than expected");
            assert_eq!((version.slice, version.key), (*slice, key.as_slice()));
            assert_eq!(version.execute_at, *at);
            assert_eq!(version.content == RowContent::Tombstone, row.is_none());
        }
        assert!(expected.next().is_none(), "seed {seed}: nothing is lost");
    }
}

#[test]
fn the_rule_alone_on_one_key() {
    let floor = Timestamp::new(1, 10, 0);
    let mut rule = GarbageRule::new(floor);
    let at = |hlc| Timestamp::new(1, hlc, 0);
    assert!(rule.keeps(false, at(12), true, || false), "above the floor everything stays");
    assert!(rule.keeps(true, at(10), false, || false), "the newest at or below it stays");
    assert!(!rule.keeps(true, at(9), false, || true), "older ones go");
    assert!(rule.keeps(false, at(3), true, || true), "a tombstone over an older source stays");
    assert!(!rule.keeps(false, at(3), true, || false), "over none it goes");
    assert!(!rule.keeps(true, at(2), false, || true), "and with it what it hid");
}

#[test]
fn of_two_versions_at_one_timestamp_the_run_given_first_wins() {
    let run = |row: &'static [u8]| {
        let mut run = sstable::SortedRun::new();
        run.push(sstable::RowVersion {
            slice: SliceId(0),
            key: &[1; 8],
            execute_at: Timestamp::new(1, 5, 0),
            content: RowContent::Row(row),
        });
        run.merge_run(KeyShape::Word { bytes: 8 }, &Selection::All(1))
    };
    let spans = merge_visible(&[run(b"own"), run(b"committed")], Timestamp::new(1, 5, 0));
    assert_eq!(spans, [sstable::Span { run: 0, first: 0, count: 1 }]);
}

#[test]
fn splits_cover_everything_once() {
    for seed in 0..20 {
        let mut prng = Prng::new(3000 + seed);
        let table = table(&mut prng);
        let model = Model::random(&mut prng, &table);
        let part_count = 1 + prng.index(3);
        let parts = cut(&mut prng, &model, part_count);
        let files: Vec<File> = parts.iter().map(|part| part.build(&mut prng, &table)).collect();
        let metadata: Vec<&sstable::Metadata> = files.iter().map(|file| &file.metadata).collect();
        let target = 1 + prng.below(300);
        let splits = sstable::splits(&metadata, &PositionRange::default(), target);
        for pair in splits.windows(2) {
            assert!(pair[0].end.is_some());
            assert_eq!(pair[0].end, pair[1].start);
        }
        assert!(splits[0].start.is_none());
        assert!(splits[splits.len() - 1].end.is_none());
        for file in &files {
            let request =
                |positions| ScanRequest { positions, ..ScanRequest::everything(Timestamp::MAX) };
            let whole = file.scan(&request(PositionRange::default())).expect("undamaged").1;
            let cut = splits
                .iter()
                .flat_map(|split| file.scan(&request(split.clone())).expect("undamaged").1);
            assert!(cut.eq(whole), "seed {seed}");
        }
    }
}
