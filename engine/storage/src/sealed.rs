//! Sealed files: what a bulk write makes on background threads, invisible until a [`crate::Publication`] names them.
//!
//! The rows of a large transaction are given in batches; each batch is sorted and written as files of its own, cut at the shards' borders. They carry no
//! execute_at: that comes with the publication. Until then no manifest names them, so a rollback removes them and a crash leaves orphans.

use std::sync::Arc;

use platform::{BlockIo, CancelFlag};
use sstable::Versioning;
use types::{ShardId, SliceId, Timestamp};

use crate::directory::DataDirectory;
use crate::error::StorageError;
use crate::files::{FileRegistry, Piece, TableFile};
use crate::layout::TableLayout;
use crate::publication::Publication;
use crate::table_writer::{TableFileWriter, table_options};
use crate::version_edit::FileEntry;

/// A row to seal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SealedRow {
    /// The slice of its token.
    pub slice: SliceId,
    /// Encoded storage key.
    pub key: Vec<u8>,
    /// The row's bytes.
    pub row: Vec<u8>,
}

/// Files of one bulk write that are durable and not visible.
#[derive(Clone, Debug, Default)]
pub struct SealedFiles {
    /// By shard.
    files: Vec<(ShardId, Piece)>,
}

/// A key stands twice among the rows of one batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key stands twice in a bulk write")]
pub struct DuplicateKey {
    /// The slice.
    pub slice: SliceId,
    /// The key.
    pub key: Vec<u8>,
}

/// Why a batch could not be sealed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SealError {
    /// The caller decides what a duplicate is (23505, or the later one counts) before it seals.
    #[error(transparent)]
    Duplicate(#[from] DuplicateKey),
    /// Writing failed; nothing of the batch remains.
    #[error(transparent)]
    Storage(#[from] StorageError),
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
    mut rows: Vec<SealedRow>,
) -> Result<SealedFiles, SealError> {
    rows.sort_unstable();
    let twice =
        |pair: &&[SealedRow]| (pair[0].slice, &pair[0].key) == (pair[1].slice, &pair[1].key);
    if let Some(pair) = rows.windows(2).find(twice) {
        return Err(DuplicateKey { slice: pair[0].slice, key: pair[0].key.clone() }.into());
    }
    let mut sealed = SealedFiles::default();
    let shard_of = |slice: SliceId| directory.slices().owner(slice, directory.shard_count());
    for part in rows.chunk_by(|a, b| shard_of(a.slice) == shard_of(b.slice)) {
        match write_part(io, cancel, directory, layout, part) {
            Ok(piece) => sealed.files.push((shard_of(part[0].slice), piece)),
            Err(error) => {
                sealed.remove(io, &directory.registry);
                return Err(error.into());
            }
        }
    }
    if let Err(error) = io.sync_directory(&directory.path) {
        sealed.remove(io, &directory.registry);
        return Err(StorageError::from(error).into());
    }
    Ok(sealed)
}

fn write_part(
    io: &dyn BlockIo,
    cancel: &CancelFlag,
    directory: &DataDirectory,
    layout: &TableLayout,
    rows: &[SealedRow],
) -> Result<Piece, StorageError> {
    let sizes = table_options(&directory.options);
    let sealed = Versioning::Sealed;
    let mut writer =
        TableFileWriter::create(io, cancel, &directory.registry, layout, sealed, &sizes)?;
    for row in rows {
        if let Err(error) = writer.push(row.slice, &row.key, Timestamp::ZERO, Some(&row.row)) {
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

    /// True without files.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Row versions in all files.
    pub fn row_count(&self) -> u64 {
        self.files.iter().map(|(_, piece)| piece.entry.row_count).sum()
    }

    /// The files, for the bulk write's own reads (with a timestamp of the reader's choice as `published_at`) and for [`crate::Tree::publish`].
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.files.iter().map(|(_, piece)| piece)
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

    /// Removes the files: a rollback. What cannot be removed is an orphan, which the next start removes.
    pub fn remove(self, io: &dyn BlockIo, registry: &FileRegistry) {
        for (_, piece) in self.files {
            let _ = io.remove(&registry.path_of(piece.entry.file));
        }
    }
}
