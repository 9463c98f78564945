//! The record that publishes sealed files: one for each bulk transaction, on its home shard's log, naming the files of every shard.
//!
//! ```text
//! execute_at (16) | definitions (4) { layout }* | shards (4) { shard (2) | files (4) { file entry }* }* | rows (4) write batch
//! ```
//! The rows are those that the same transaction writes beside its files (of the catalog, say): one record makes both visible.
//! A sealed file carries no execute_at; the entries here do, and each shard installs its own by a version edit that names this record's address.

use types::codec::{Decoder, Encoder};
use types::{ShardId, Timestamp};

use crate::error::StorageError;
use crate::layout::TableLayout;
use crate::version_edit::FileEntry;
use crate::write_batch::WriteBatch;

/// Which files become visible, where and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Publication {
    /// When all their rows take effect.
    pub execute_at: Timestamp,
    /// Layouts of tables made by the same transaction.
    pub definitions: Vec<TableLayout>,
    /// Files of each shard, synced with their names. `published_at`, `lowest` and `highest` of each are `execute_at`.
    pub files: Vec<(ShardId, Vec<FileEntry>)>,
    /// Payload of a [`crate::WriteBatch`] at the same `execute_at` with the transaction's other writes; empty if there are none.
    pub rows: Vec<u8>,
}

impl Publication {
    /// The payload of the record.
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.u128(self.execute_at.0);
        encoder.u32(self.definitions.len() as u32);
        self.definitions.iter().for_each(|layout| encoder.raw(&layout.encode()));
        encoder.u32(self.files.len() as u32);
        for (shard, entries) in &self.files {
            encoder.u16(shard.0);
            encoder.u32(entries.len() as u32);
            entries.iter().for_each(|entry| entry.encode(&mut encoder));
        }
        encoder.bytes(&self.rows);
        encoder.into_bytes()
    }

    /// The rows beside the files.
    ///
    /// # Errors
    /// If they are no batch at the same time.
    pub fn batch(&self) -> Result<Option<WriteBatch<'_>>, StorageError> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let batch = WriteBatch::parse(&self.rows)?;
        assert_eq!(batch.execute_at(), self.execute_at, "one transaction has one time");
        Ok(Some(batch))
    }

    /// Reads the payload of the record.
    ///
    /// # Errors
    /// If it was not written by [`Publication::encode`].
    pub fn decode(payload: &[u8]) -> Result<Publication, StorageError> {
        let decoder = &mut Decoder::new(payload);
        let execute_at = Timestamp(decoder.u128()?);
        let mut definitions = Vec::new();
        for _ in 0..decoder.count(8, "layouts")? {
            definitions.push(TableLayout::decode(decoder)?);
        }
        let mut files = Vec::new();
        for _ in 0..decoder.count(6, "shards")? {
            let shard = ShardId(decoder.u16()?);
            let mut entries = Vec::new();
            for _ in 0..decoder.count(58, "files")? {
                entries.push(FileEntry::decode(decoder)?);
            }
            files.push((shard, entries));
        }
        let rows = decoder.bytes()?.to_vec();
        if decoder.remaining() > 0 {
            return Err(decoder.invalid("end of the publication").into());
        }
        Ok(Publication { execute_at, definitions, files, rows })
    }
}
