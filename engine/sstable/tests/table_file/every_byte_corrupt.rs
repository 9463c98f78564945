//! Every byte of a file is changed in turn: each change is noticed or harmless, never a panic, never a wrong row.

use crate::model::{File, Look, Model, Table, open_bytes, same};
use sstable::{
    Compression, Fetch, Joining, LayoutChoice, ScanRequest, SstableError, TableOptions,
    check_header,
};
use std::cmp::Reverse;
use types::key::KeyOrder;
use types::prng::Prng;
use types::schema::KeyColumn;
use types::{SqlType, Timestamp, Value};

fn small_table() -> Table {
    Table {
        types: vec![SqlType::Int8, SqlType::Text, SqlType::Float8, SqlType::Bool, SqlType::Int4],
        looks: vec![Look::Any, Look::Few, Look::Any, Look::Any, Look::Narrow],
        nulls: vec![0, 10, 50, 0, 0],
        key: vec![KeyColumn { position: 0, order: KeyOrder::PRIMARY }],
        slices: 2,
        sealed: false,
    }
}

fn options() -> TableOptions {
    TableOptions {
        page_rows: 16,
        group_rows: 32,
        layout: LayoutChoice::Columns,
        compression: Compression::Lz4,
        ..TableOptions::default()
    }
}

/// Reads everything; what does not fail must be right.
fn read(file: &File, model: &Model, expected: &[Vec<Value>]) -> Result<(), SstableError> {
    check_header(&file.bytes)?;
    let request = ScanRequest::everything(Timestamp::new(1, 600, 0));
    let (_, rows) = file.scan(&request)?;
    assert_eq!(rows.len(), expected.len());
    assert!(rows.iter().zip(expected).all(|(found, row)| same(found, row)), "a wrong row");
    for (slice, key, Reverse(at)) in model.rows.keys().step_by(7) {
        let found = file.point(*slice, key, *at)?;
        assert_ne!(found, sstable::PointRead::Absent, "a lost row");
    }
    for group in 0..file.metadata.group_count() {
        let pages = file.metadata.group_pages(group);
        for column in file.metadata.all_columns() {
            let fetch = Fetch::new(&file.metadata, &pages, &[column], Joining::SCAN);
            let fetched = fetch.with(file.buffers(&fetch))?;
            sstable::verify_pages(&file.metadata, &pages, column, &fetched)?;
        }
    }
    Ok(())
}

#[test]
fn a_flipped_bit_is_never_a_wrong_answer() {
    let mut prng = Prng::new(77);
    let table = small_table();
    let mut model = Model::default();
    for number in 0..60 {
        let row = table.row(&mut prng, number);
        let slice = types::SliceId((number % 2) as u16);
        (0..1 + prng.below(2)).for_each(|_| model.add_version(&mut prng, &table, slice, &row));
    }
    let mut file = model.build_with(options(), &table);
    let visible = model.visible(Timestamp::new(1, 600, 0));
    let expected: Vec<Vec<Value>> = visible.into_iter().map(|(_, _, row)| row).collect();
    read(&file, &model, &expected).expect("an undamaged file");
    let mut noticed = 0;
    for at in 0..file.bytes.len() {
        let bit = 1u8 << prng.below(8);
        file.bytes[at] ^= bit;
        match open_bytes(&file.bytes, 200) {
            Err(_) => noticed += 1,
            Ok(metadata) => {
                let intact = std::mem::replace(&mut file.metadata, metadata);
                noticed += u32::from(read(&file, &model, &expected).is_err());
                file.metadata = intact;
            }
        }
        file.bytes[at] ^= bit;
    }
    // No byte of a file is without meaning: header, pages, filter, metadata and trailer are all covered.
    assert_eq!(noticed as usize, file.bytes.len());
}

#[test]
fn a_file_cut_or_grown_is_noticed() {
    let mut prng = Prng::new(78);
    let table = small_table();
    let model = Model::random(&mut prng, &table);
    let file = model.build_with(options(), &table);
    for length in (0..file.bytes.len()).step_by(13) {
        assert!(open_bytes(&file.bytes[..length], 4096).is_err());
    }
    let mut longer = file.bytes.clone();
    longer.insert(0, 0);
    assert!(open_bytes(&longer, 4096).is_err());
}

#[test]
fn a_page_of_another_place_is_noticed() {
    let mut prng = Prng::new(79);
    let table = Table { looks: vec![Look::Any; 5], ..small_table() };
    let mut model = Model::default();
    for number in 0..64 {
        let row = table.row(&mut prng, number);
        model.add_version(&mut prng, &table, types::SliceId(0), &row);
    }
    let mut file = model.build_with(options(), &table);
    let column = sstable::FileColumn::Stored(0);
    let (a, b) = (
        file.metadata.page_range(sstable::PageId(0), column).expect("stored"),
        file.metadata.page_range(sstable::PageId(2), column).expect("stored"),
    );
    assert_eq!(a.bytes, b.bytes, "keys that do not compress");
    let moved = file.bytes[b.offset as usize..b.end() as usize].to_vec();
    file.bytes[a.offset as usize..a.end() as usize].copy_from_slice(&moved);
    let error = file.scan(&ScanRequest::everything(Timestamp::MAX)).expect_err("a moved page");
    assert!(matches!(error, SstableError::Checksum { .. }));
}
