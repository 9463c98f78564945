//! Reading all row versions of a piece, and telling a stopped machine from a failed job.
#![allow(dead_code, reason = "each test file uses a part of it")]

/// The error of a job that the power cut ended.
pub fn double_is_stopping(error: &storage::sealed::SealError) -> bool {
    matches!(
        error,
        storage::sealed::SealError::Storage(storage::StorageError::Disk(
            platform::DiskError::Closed
        ))
    )
}

/// Key, time and "is a tombstone" of all row versions in a piece's slices.
pub fn rows_of(
    io: &dyn platform::BlockIo,
    piece: &storage::Piece,
) -> Vec<(Vec<u8>, types::Timestamp, bool)> {
    let metadata = &piece.file.metadata;
    let mut found = Vec::new();
    for group in 0..metadata.group_count() {
        let pages = metadata.group_pages(group);
        let fetch =
            sstable::Fetch::new(metadata, &pages, &metadata.all_columns(), sstable::Joining::SCAN);
        let parts: Vec<Vec<u8>> = fetch
            .ranges()
            .iter()
            .map(|range| {
                let start = range.offset / 4096 * 4096;
                let read = platform::BlockRead {
                    file: piece.file.handle.clone(),
                    offset: types::ByteOffset(start),
                    bytes: (range.end() - start).next_multiple_of(4096) as usize,
                };
                let buffer = io.read_many(&[read]).expect("readable").remove(0);
                let skip = (range.offset - start) as usize;
                buffer[skip..skip + range.bytes as usize].to_vec()
            })
            .collect();
        let fetched = fetch.with(parts.iter().map(Vec::as_slice)).expect("whole");
        let rows = metadata
            .decode_rows(&pages, &fetched, piece.entry.published_at, sstable::PageCheck::Verify)
            .expect("sound");
        let mut key = Vec::new();
        for row in 0..rows.len() {
            if piece.entry.holds(rows.slice(row)) {
                rows.key_into(row, &mut key);
                found.push((key.clone(), rows.execute_at(row), rows.is_tombstone(row)));
            }
        }
    }
    found
}
