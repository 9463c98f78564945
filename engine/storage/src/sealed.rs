//! Sealed files: what a bulk write makes on background threads, invisible until a [`crate::Publication`] names them.
//!
//! The rows of a large transaction are gathered in batches; each batch is sorted and written as files of its own, cut at the shards' borders. They carry no
//! execute_at: that comes with the publication. Until then no manifest names them: they go with whoever holds them, and a crash leaves orphans.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use platform::{BlockIo, CancelFlag, DiskError};
use sstable::{RowContent, VersionSource, Versioning};
use types::{ShardId, SliceId, TableId, Timestamp};

use crate::compaction::job::PieceSource;
use crate::directory::DataDirectory;
use crate::error::StorageError;
use crate::files::{Piece, TableFile};
use crate::layout::TableLayout;
use crate::publication::Publication;
use crate::table_writer::{TableFileWriter, table_options};
use crate::version::{overlap, start};
use crate::version_edit::FileEntry;

#[derive(Clone, Copy, Debug)]
struct Place {
    slice: SliceId,
    start: usize,
    key_bytes: u32,
    row_bytes: u32,
}

/// Rows to seal, in any order; one buffer holds all bytes.
#[derive(Clone, Debug, Default)]
pub struct SealBatch {
    bytes: Vec<u8>,
    rows: Vec<Place>,
}

impl SealBatch {
    /// Adds a row by its slice, its encoded storage key and its bytes.
    pub fn push(&mut self, slice: SliceId, key: &[u8], row: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(row);
        let (key_bytes, row_bytes) = (key.len() as u32, row.len() as u32);
        self.rows.push(Place { slice, start, key_bytes, row_bytes });
    }

    /// Forgets the rows and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of memory that it takes, roughly.
    pub fn byte_count(&self) -> usize {
        self.bytes.len() + self.rows.len() * size_of::<Place>()
    }

    fn key(&self, place: &Place) -> &[u8] {
        &self.bytes[place.start..place.start + place.key_bytes as usize]
    }

    fn row(&self, place: &Place) -> &[u8] {
        let start = place.start + place.key_bytes as usize;
        &self.bytes[start..start + place.row_bytes as usize]
    }

    /// Sorts by slice and key.
    fn sorted(&self) -> Vec<Place> {
        let mut rows = self.rows.clone();
        rows.sort_unstable_by(|a, b| {
            a.slice.cmp(&b.slice).then_with(|| self.key(a).cmp(self.key(b)))
        });
        rows
    }
}

/// Files of one bulk write that are durable and not visible. Unless a publication names them they go with the last one that holds them.
#[derive(Clone, Debug, Default)]
pub struct SealedFiles {
    /// By shard.
    files: Vec<(ShardId, Piece)>,
}

/// A key stands twice in a bulk write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key stands twice in a bulk write")]
pub struct DuplicateKey {
    /// The slice.
    pub slice: SliceId,
    /// The key.
    pub key: Vec<u8>,
    /// One of the rows.
    pub row: Vec<u8>,
}

/// Why a batch could not be sealed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SealError {
    /// The caller decides what a duplicate is (23505, or the later one counts).
    #[error(transparent)]
    Duplicate(#[from] DuplicateKey),
    /// Reading or writing failed; nothing of the batch remains.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<DiskError> for SealError {
    fn from(error: DiskError) -> SealError {
        SealError::Storage(error.into())
    }
}

/// Sorts and writes one batch of rows of a table. Blocking: for a background thread. The files are durable, names included, when this returns.
///
/// # Errors
/// A duplicate key, or why the files could not be written; then nothing remains.
pub fn seal(
    io: &dyn BlockIo,
    cancel: &CancelFlag,
    directory: &DataDirectory,
    layout: &TableLayout,
    batch: &SealBatch,
) -> Result<SealedFiles, SealError> {
    let rows = batch.sorted();
    let twice = |pair: &&[Place]| {
        pair[0].slice == pair[1].slice && batch.key(&pair[0]) == batch.key(&pair[1])
    };
    if let Some(pair) = rows.windows(2).find(twice) {
        let (key, row) = (batch.key(&pair[1]).to_vec(), batch.row(&pair[1]).to_vec());
        return Err(DuplicateKey { slice: pair[1].slice, key, row }.into());
    }
    let mut sealed = SealedFiles::default();
    let shard_of = |slice: SliceId| directory.slices().owner(slice, directory.shard_count());
    for part in rows.chunk_by(|a, b| shard_of(a.slice) == shard_of(b.slice)) {
        let piece = write_part(io, cancel, directory, layout, (batch, part))?;
        piece.file.belongs_to_bulk_write();
        sealed.files.push((shard_of(part[0].slice), piece));
    }
    io.sync_directory(&directory.path)?;
    Ok(sealed)
}

fn write_part(
    io: &dyn BlockIo,
    cancel: &CancelFlag,
    directory: &DataDirectory,
    layout: &TableLayout,
    (batch, rows): (&SealBatch, &[Place]),
) -> Result<Piece, StorageError> {
    let sizes = table_options(&directory.options);
    let sealed = Versioning::Sealed;
    let mut writer =
        TableFileWriter::create(io, cancel, &directory.registry, layout, sealed, &sizes)?;
    for row in rows {
        let (key, bytes) = (batch.key(row), batch.row(row));
        if let Err(error) = writer.push(row.slice, key, Timestamp::ZERO, Some(bytes)) {
            writer.abandon();
            return Err(error);
        }
    }
    writer.finish(0, None)
}

impl SealedFiles {
    /// Takes the files of another batch of the same bulk write, in addition.
    pub fn join(&mut self, other: SealedFiles) {
        self.files.extend(other.files);
    }

    /// Those of one storage table.
    pub fn of_table(&self, table: TableId) -> SealedFiles {
        let files = self.files.iter().filter(|(_, piece)| piece.entry.table == table);
        SealedFiles { files: files.cloned().collect() }
    }

    /// True without files.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Rows in all files.
    pub fn row_count(&self) -> u64 {
        self.files.iter().map(|(_, piece)| piece.entry.row_count).sum()
    }

    /// The files as they would be if they were published at `at`, for the bulk write's own reads: with the shard of each.
    pub fn pieces_at(&self, at: Timestamp) -> impl Iterator<Item = (ShardId, Piece)> {
        self.files.iter().map(move |(shard, piece)| {
            let entry =
                FileEntry { lowest: at, highest: at, published_at: Some(at), ..piece.entry };
            (*shard, Piece { entry, file: piece.file.clone() })
        })
    }

    /// Open files, as [`crate::Tree::publish`] takes them.
    pub fn table_files(&self) -> Vec<Arc<TableFile>> {
        self.files.iter().map(|(_, piece)| piece.file.clone()).collect()
    }

    /// The record that publishes them.
    pub fn publication(&self, execute_at: Timestamp, definitions: Vec<TableLayout>) -> Publication {
        let mut files: Vec<(ShardId, Vec<FileEntry>)> = Vec::new();
        for (shard, piece) in &self.files {
            let entry = FileEntry {
                lowest: execute_at,
                highest: execute_at,
                published_at: Some(execute_at),
                ..piece.entry
            };
            match files.iter_mut().find(|(known, _)| known == shard) {
                Some((_, entries)) => entries.push(entry),
                None => files.push((*shard, vec![entry])),
            }
        }
        files.sort_unstable_by_key(|(shard, _)| *shard);
        Publication { execute_at, definitions, files, rows: Vec::new() }
    }

    /// Puts the files on level one, where they are found by search and need no compaction, if no two of one table hold keys in the same place. Only for
    /// tables that are made by the same transaction: nothing else is there then.
    pub fn settle_below(&mut self) {
        let overlaps = self.files.iter().enumerate().any(|(index, (_, piece))| {
            let mut earlier = self.files[..index].iter();
            earlier
                .any(|(_, other)| other.entry.table == piece.entry.table && overlap(other, piece))
        });
        if !overlaps {
            self.files.iter_mut().for_each(|(_, piece)| piece.entry.level = 1);
        }
    }

    /// A key that stands in more than one of the files of a table. Blocking: for a background thread. Reads nothing where no two files hold keys in
    /// the same place.
    ///
    /// # Errors
    /// [`SealError::Duplicate`], or why a file could not be read.
    pub fn check_distinct(&self, io: &dyn BlockIo, cancel: &CancelFlag) -> Result<(), SealError> {
        let mut pieces: Vec<Arc<Piece>> =
            self.pieces_at(Timestamp::MAX).map(|(_, piece)| Arc::new(piece)).collect();
        pieces.sort_by_cached_key(|piece| (piece.entry.table, start(piece)));
        let mut rest = pieces.as_slice();
        while let Some(first) = rest.first() {
            // The run of files that are connected by places where two hold keys.
            let connected = |count: usize| {
                rest.get(count).is_some_and(|next| {
                    next.entry.table == first.entry.table
                        && rest[..count].iter().any(|own| overlap(own, next))
                })
            };
            let mut count = 1;
            while connected(count) {
                count += 1;
            }
            if count > 1 {
                check_run(io, cancel, &rest[..count])?;
            }
            rest = &rest[count..];
        }
        Ok(())
    }
}

fn check_run(io: &dyn BlockIo, cancel: &CancelFlag, run: &[Arc<Piece>]) -> Result<(), SealError> {
    let mut sources = Vec::with_capacity(run.len());
    for piece in run {
        sources.push(PieceSource::open(io, cancel, piece.clone(), piece.entry.slices)?);
    }
    // A heap of heads; each holds a copy of its key, in a buffer that is used again.
    let mut heads = BinaryHeap::with_capacity(sources.len());
    for (index, source) in sources.iter().enumerate() {
        if let Some(head) = source.head() {
            heads.push(Reverse((head.slice, head.key.to_vec(), index)));
        }
    }
    let mut last: Option<(SliceId, Vec<u8>)> = None;
    while let Some(Reverse((slice, key, index))) = heads.pop() {
        let source = &mut sources[index];
        if last.as_ref().is_some_and(|(of, known)| *of == slice && *known == key) {
            let row = match source.head().map(|head| head.content) {
                Some(RowContent::Row(row)) => row.to_vec(),
                _ => Vec::new(),
            };
            return Err(DuplicateKey { slice, key, row }.into());
        }
        source.advance()?;
        if let Some(head) = source.head() {
            let mut buffer = last.take().map_or_else(Vec::new, |(_, buffer)| buffer);
            buffer.clear();
            buffer.extend_from_slice(head.key);
            heads.push(Reverse((head.slice, buffer, index)));
        }
        last = Some((slice, key));
    }
    Ok(())
}
